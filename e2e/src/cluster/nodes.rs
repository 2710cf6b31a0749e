//! Nodes that are objects, and pods on them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::{
    api::core::v1::{Node, NodeCondition, NodeStatus, Pod},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::task::JoinHandle;

pub use k8s_openapi::api::core::v1::Taint;

use super::LocalCluster;

/// How often pods are looked after.
const KUBELET_LOOKS: Duration = Duration::from_millis(100);

impl LocalCluster {
    /// Makes a node that is ready and has room for 110 pods.
    pub async fn create_node(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        taints: &[Taint],
    ) -> Result<Node> {
        let nodes: Api<Node> = Api::all(self.client());
        let hostname = ("kubernetes.io/hostname", name);
        let labels: BTreeMap<String, String> = std::iter::once(&hostname)
            .chain(labels)
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let node = Node {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            ..Node::default()
        };
        nodes
            .create(&PostParams::default(), &node)
            .await
            .with_context(|| format!("failed to create the node {name}"))?;

        let status = json!({ "status": ready_status() });
        nodes
            .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .with_context(|| format!("failed to make the node {name} ready"))?;
        // Admission marks a new node as not ready, and the controller that would
        // remove the mark does not run.
        let spec = json!({ "spec": { "taints": taints } });
        nodes
            .patch(name, &PatchParams::default(), &Patch::Merge(spec))
            .await
            .with_context(|| format!("failed to taint the node {name}"))
    }

    /// Deletes the pods of a namespace at once, as the kubelet would in the end.
    /// Without this, a pod that was placed on a node keeps its namespace from
    /// going away.
    pub async fn delete_pods(&self, namespace: &str) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client(), namespace);
        let now = DeleteParams::default().grace_period(0);
        pods.delete_collection(&now, &ListParams::default())
            .await
            .with_context(|| format!("failed to delete the pods of {namespace}"))?;
        Ok(())
    }
}

/// Does for the pods of a namespace what kubelets would, as far as an object tells: those with a node run and
/// are ready, those that are to go are gone. Ends when it is dropped.
pub struct Kubelet {
    task: JoinHandle<()>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LocalCluster {
    /// Begins to run the pods of a namespace.
    #[must_use]
    pub fn run_pods(&self, namespace: &str) -> Kubelet {
        let pods: Api<Pod> = Api::namespaced(self.client(), namespace);
        let task = tokio::spawn(async move {
            loop {
                // What fails is tried again; whoever waits for the pods has a deadline.
                if let Ok(found) = pods.list(&ListParams::default()).await {
                    for pod in found.items {
                        let _ = run(&pods, &pod).await;
                    }
                }
                tokio::time::sleep(KUBELET_LOOKS).await;
            }
        });
        Kubelet { task }
    }
}

async fn run(pods: &Api<Pod>, pod: &Pod) -> kube::Result<()> {
    let name = pod.name_any();
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
    if node.is_none() {
        return Ok(());
    }
    if pod.metadata.deletion_timestamp.is_some() {
        let now = DeleteParams::default().grace_period(0);
        return pods.delete(&name, &now).await.map(drop);
    }
    let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
    if phase == Some("Pending") {
        let ready = json!({"status": {
            "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
        }});
        let patch = Patch::Strategic(ready);
        pods.patch_status(&name, &PatchParams::default(), &patch)
            .await?;
    }
    Ok(())
}

fn ready_status() -> NodeStatus {
    let resources: BTreeMap<String, Quantity> = [
        ("cpu", "16"),
        ("memory", "64Gi"),
        ("ephemeral-storage", "100Gi"),
        ("pods", "110"),
    ]
    .map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())))
    .into();
    NodeStatus {
        capacity: Some(resources.clone()),
        allocatable: Some(resources),
        conditions: Some(vec![NodeCondition {
            type_: "Ready".to_owned(),
            status: "True".to_owned(),
            reason: Some("Simulated".to_owned()),
            message: Some("this node is an object only".to_owned()),
            ..NodeCondition::default()
        }]),
        ..NodeStatus::default()
    }
}
