//! Nodes that are objects, and pods on them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use k8s_openapi::{
    api::core::v1::{Node, NodeCondition, NodeStatus, Pod},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;

pub use k8s_openapi::api::core::v1::Taint;

use super::LocalCluster;

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
