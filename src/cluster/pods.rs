//! The pods of a namespace, as their place goes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ListParams, Object};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;

use crate::domain::{Pod, Workload};

/// Pods are read in pages of so many.
const PAGE: u32 = 500;

/// A Pod as it is read: nothing else of it is kept.
type Read = Object<SpecOfPod, StatusOfPod>;

#[derive(Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct SpecOfPod {
    node_name: Option<String>,
}

#[derive(Deserialize, Clone, Debug, Default)]
struct StatusOfPod {
    phase: Option<String>,
    #[serde(default)]
    conditions: Vec<ConditionOfPod>,
}

#[derive(Deserialize, Clone, Debug)]
struct ConditionOfPod {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

/// The pods of a namespace that are not over, as they are now.
///
/// # Errors
/// As the API server answers.
pub async fn list_pods(client: &Client, namespace: &str) -> kube::Result<Vec<Pod>> {
    let kind = GroupVersionKind::gvk("", "v1", "Pod");
    let resource = ApiResource::from_gvk_with_plural(&kind, "pods");
    let api = Api::<Read>::namespaced_with(client.clone(), namespace, &resource);
    list(&api, ListParams::default()).await
}

/// The pods on a node that are not over, of all namespaces, as they are now.
///
/// # Errors
/// As the API server answers.
pub async fn list_pods_on(client: &Client, node: &str) -> kube::Result<Vec<Pod>> {
    let kind = GroupVersionKind::gvk("", "v1", "Pod");
    let resource = ApiResource::from_gvk_with_plural(&kind, "pods");
    let api = Api::<Read>::all_with(client.clone(), &resource);
    list(
        &api,
        ListParams::default().fields(&format!("spec.nodeName={node}")),
    )
    .await
}

async fn list(api: &Api<Read>, params: ListParams) -> kube::Result<Vec<Pod>> {
    let mut params = params.limit(PAGE);
    let mut pods = Vec::new();
    loop {
        let page = api.list(&params).await?;
        pods.extend(page.items.iter().filter_map(read));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(pods),
        }
    }
}

fn read(pod: &Read) -> Option<Pod> {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    let conditions = pod.status.iter().flat_map(|status| &status.conditions);
    let is_ready = |it: &ConditionOfPod| it.type_ == "Ready" && it.status == "True";
    let controls = |it: &&OwnerReference| it.controller == Some(true);
    let controller = pod.owner_references().iter().find(controls);
    Some(Pod {
        namespace: pod.namespace().unwrap_or_default(),
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        node: pod.spec.node_name.clone().filter(|name| !name.is_empty()),
        workload: controller.map(|it| Workload {
            kind: it.kind.clone(),
            uid: it.uid.clone(),
        }),
        is_ready: { conditions }.any(is_ready),
        is_leaving: pod.metadata.deletion_timestamp.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(metadata: &Value, spec: &Value, status: &Value) -> Option<Pod> {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "spec": spec, "status": status,
            "metadata": {"namespace": "shop", "name": "a", "uid": "1"},
        });
        for (key, value) in metadata.as_object().unwrap() {
            pod["metadata"][key] = value.clone();
        }
        read(&serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn a_pod_is_read_as_far_as_its_place_goes() {
        let owners = json!([
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "9"},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "2", "controller": true},
        ]);
        let whole = pod(
            &json!({"ownerReferences": owners, "deletionTimestamp": "2026-01-01T00:00:00Z"}),
            &json!({"nodeName": "n"}),
            &json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
        );
        let expected = Pod {
            namespace: "shop".to_owned(),
            name: "a".to_owned(),
            uid: "1".to_owned(),
            node: Some("n".to_owned()),
            workload: Some(Workload {
                kind: "ReplicaSet".to_owned(),
                uid: "2".to_owned(),
            }),
            is_ready: true,
            is_leaving: true,
        };
        assert_eq!(whole, Some(expected));
        let bare = pod(&json!({}), &json!({}), &json!({})).unwrap();
        assert!(bare.node.is_none() && bare.workload.is_none());
        assert!(!bare.is_ready && !bare.is_leaving);
    }

    #[test]
    fn what_is_over_is_no_pod() {
        for phase in ["Succeeded", "Failed"] {
            let status = json!({"phase": phase});
            assert!(pod(&json!({}), &json!({}), &status).is_none());
        }
    }
}
