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
