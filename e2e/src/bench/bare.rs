//! A client that writes objects and does nothing else. It waits for each answer and looks at none but its code.
//!
//! It is a service account with all rights, as whatever writes objects in a cluster is: of the administrator that a cluster
//! begins with, a member of `system:masters`, the API server does not ask whether he may, and what it asks of everybody else
//! grows with the bindings that there are.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Request;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::LocalCluster;
use crate::cluster::Kubeconfig;
use crate::owned::KINDS;
use crate::wait::eventually;

/// Under this name its fields are owned.
const MANAGER: &str = "bench";

/// How long its rights may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where its service account is.
const NAMESPACE: &str = "default";

/// Gives it a service account with all rights. Returns how to be it.
pub async fn move_in(cluster: &LocalCluster) -> Result<Kubeconfig> {
    let client = cluster.client();
    let account = serde_json::from_value(json!({"metadata": {"name": MANAGER}}))?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    accounts.create(&PostParams::default(), &account).await?;
    let binding = serde_json::from_value(json!({
        "metadata": {"name": MANAGER},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": MANAGER, "namespace": NAMESPACE}],
    }))?;
    let bindings: Api<ClusterRoleBinding> = Api::all(client);
    bindings.create(&PostParams::default(), &binding).await?;
    let kubeconfig = cluster
        .kubeconfig_for_service_account(NAMESPACE, MANAGER)
        .await?;
    // The API server hears of the binding by a watch.
    let namespaces: Api<Namespace> = Api::all(kubeconfig.client().await?);
    eventually(PATIENCE, "its rights to be known", async || {
        namespaces.list(&ListParams::default().limit(1)).await?;
        Ok(Some(()))
    })
    .await?;
    Ok(kubeconfig)
}

/// A request that is ready to be sent.
#[derive(Clone, Debug)]
pub struct Write {
    path: String,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Write {
    /// Applies an object by server-side apply.
    pub fn apply(object: &Value) -> Result<Self> {
        Ok(Self {
            path: format!("{}?fieldManager={MANAGER}&force=true", path(object)?),
            content_type: "application/apply-patch+yaml",
            body: serde_json::to_vec(object)?,
        })
    }

    /// Replaces the status of a landing zone as a whole.
    pub fn status(zone: &str, status: &Value) -> Result<Self> {
        Ok(Self {
            path: format!(
                "/apis/landingzones.dev/v1alpha1/landingzones/{zone}/status?fieldManager={MANAGER}"
            ),
            content_type: "application/json-patch+json",
            body: serde_json::to_vec(&json!([{"op": "add", "path": "/status", "value": status}]))?,
        })
    }

    /// Changes fields of an object by a merge patch, as somebody else would.
    pub fn merge(object: &Value, patch: &Value) -> Result<Self> {
        Ok(Self {
            path: format!("{}?fieldManager=somebody", path(object)?),
            content_type: "application/merge-patch+json",
            body: serde_json::to_vec(patch)?,
        })
    }

    /// Sends it.
    pub async fn send(&self, client: &Client) -> Result<()> {
        let request = Request::patch(&self.path)
            .header("content-type", self.content_type)
            .body(self.body.clone())?;
        client
            .request_text(request)
            .await
            .with_context(|| format!("failed to write {}", self.path))?;
        Ok(())
    }
}

/// Sends all of them, so many at once, in their order; and says how long it took.
pub async fn write_all(client: &Client, writes: &[Write], at_once: usize) -> Result<Duration> {
    let started = Instant::now();
    stream::iter(writes)
        .map(|write| write.send(client))
        .buffer_unordered(at_once)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    Ok(started.elapsed())
}

/// Where an object is served.
fn path(object: &Value) -> Result<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let api_version = text("/apiVersion").context("an object without apiVersion")?;
    let name = text("/metadata/name").context("an object without name")?;
    let plural = plural(object)?;
    let root = if api_version.contains('/') {
        "/apis"
    } else {
        "/api"
    };
    Ok(match text("/metadata/namespace") {
        Some(namespace) => format!("{root}/{api_version}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("{root}/{api_version}/{plural}/{name}"),
    })
}

/// What the API server calls objects of this kind.
pub(super) fn plural(object: &Value) -> Result<&'static str> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let mut kinds = KINDS.iter();
    let known = kinds.find(|it| (it.0, it.1, it.2) == (group, version, kind));
    let (.., plural) = known
        .with_context(|| format!("{kind} of {api_version} is none of the operator's kinds"))?;
    Ok(plural)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_written_where_they_are_served() {
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "view", "namespace": "shop"},
        });
        let expected = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/view";
        assert_eq!(path(&role).unwrap(), expected);
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        assert_eq!(path(&namespace).unwrap(), "/api/v1/namespaces/shop");
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop"}});
        assert!(path(&pod).is_err());
    }
}
