//! What only AKS's admission plugins do.

use anyhow::{Context, Result, ensure};
use e2e::eventually;
use e2e::governed::{CONVERGED, condition};
use e2e::shop::Shop;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use crate::suite::pools::{Pools, placed, tenant};
use crate::suite::workload::{are_on, create, pod_spec, settle, workload};

/// The plugins do not look at templates, by which a `DaemonSet` chooses its nodes: without a word it runs
/// nowhere, and with the placement in its template on every node of the pool.
pub async fn a_daemon_set_never_leaves_the_pool(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    settle(governed, "daemons", placed("daemons", &tenant("tenant1"))).await?;
    let said = workload("DaemonSet", "said", 0, pod_spec(tenant("tenant1")));
    are_on(governed, "daemons", said, 3, "tenant1-").await?;

    create(
        governed,
        "daemons",
        workload("DaemonSet", "unsaid", 0, pod_spec(json!({}))),
    )
    .await??;
    let pods: Api<Pod> = Api::namespaced(governed.client(), "daemons");
    let unsaid = ListParams::default().labels("app=unsaid");
    eventually(
        CONVERGED,
        "the pods of the DaemonSet to be turned away",
        async || {
            let found = pods.list(&unsaid).await?.items;
            ensure!(!found.is_empty(), "it has no pods");
            for pod in &found {
                let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
                ensure!(
                    node.is_none_or(|node| node.starts_with("tenant1-")),
                    "one is on {node:?}"
                );
            }
            let conditions = found
                .iter()
                .filter_map(|pod| pod.status.as_ref()?.conditions.as_ref());
            let looked_at = conditions
                .flatten()
                .filter(|it| it.type_ == "PodScheduled")
                .count();
            Ok((looked_at == found.len()).then_some(()))
        },
    )
    .await
}

/// What the plugins cannot do is not pretended.
pub async fn node_affinity_without_the_policy_is_told(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    let mut placement = tenant("tenant1");
    placement["nodeAffinity"] = json!([{"key": "pool", "operator": "Exists"}]);
    governed
        .declare("richer", placed("richer", &placement))
        .await?;
    for type_ in ["PlacementEnforced", "Ready"] {
        let told = governed
            .condition("richer", type_, "False", "NotAddedToPods")
            .await?;
        let status = told.status.context("no status")?;
        let (.., message) = condition(&status, "PlacementEnforced").context("not told")?;
        ensure!(
            message.contains("leaves out the node affinity for pool, as")
                && message.contains("apply config/placement"),
            "{message}"
        );
    }
    let shop = Shop::visit(governed, "richer").await?;
    shop.event("PlacementNotEnforced", &["the node affinity for pool"])
        .await
}

/// As on AKS from Kubernetes 1.36 on: neither adds what the other did, and neither refuses it.
pub async fn the_plugins_and_the_policy_agree(_: &Pools) -> Result<()> {
    let governed = Pools::bare().await?;
    Pools::install_policy(&governed).await?;
    let mut placement = tenant("tenant1");
    placement["nodeAffinity"] = json!([
        {"key": "topology.kubernetes.io/zone", "operator": "NotIn", "values": ["westeurope-3"]},
    ]);
    settle(&governed, "both", placed("both", &placement)).await?;
    governed
        .condition("both", "PlacementEnforced", "True", "AddedToPods")
        .await?;
    let pods: Api<Pod> = Api::namespaced(governed.client(), "both");
    for (kind, replicas) in [
        ("Pod", 1),
        ("Deployment", 4),
        ("StatefulSet", 2),
        ("Job", 2),
        ("DaemonSet", 2),
    ] {
        let name = kind.to_lowercase();
        let manifest = workload(kind, &name, replicas, pod_spec(json!({})));
        let count = usize::try_from(replicas)?;
        let nodes = are_on(&governed, "both", manifest, count, "tenant1-").await?;
        ensure!(
            !nodes.contains(&"tenant1-3".to_owned()),
            "{kind}: {nodes:?}"
        );
        let of_it = ListParams::default().labels(&format!("app={name}"));
        for pod in pods.list(&of_it).await?.items {
            let tolerations = pod.spec.and_then(|spec| spec.tolerations);
            let tolerations = tolerations.unwrap_or_default();
            let ours = tolerations
                .iter()
                .filter(|it| it.key.as_deref() == Some("stack"));
            ensure!(ours.count() == 1, "{kind}: {tolerations:?}");
        }
    }
    governed.stop().await
}
