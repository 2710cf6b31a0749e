//! Pods that ran elsewhere before, where a landing zone asks for their eviction.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::governed::condition;
use e2e::install::apply_manifests;
use e2e::{Governed, eventually, workspace};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::pools::{Pools, placed, tenant};
use super::workload::{are_on, create, pod_spec, settle, workload};

/// One pod after the other, each with its pause.
const MOVED_WITHIN: Duration = Duration::from_secs(90);

const ZONE: &str = "leaving";

fn evicting(pool: &str, zones: u8) -> Value {
    let mut placement = tenant(pool);
    placement["evictMisplaced"] = json!(true);
    // Changes nothing but the declaration.
    placement["minAvailabilityZones"] = json!(zones);
    placement
}

async fn place(governed: &Governed, placement: Value) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": {"placement": placement}}));
    let zones = governed.zones();
    zones.patch(ZONE, &PatchParams::default(), &patch).await?;
    governed.ready(ZONE).await.map(drop)
}

/// Waits until the condition says all of that.
async fn says(governed: &Governed, state: &str, reason: &str, words: &[&str]) -> Result<()> {
    let what = format!("PodsPlaced={state} ({reason}), saying {words:?}");
    eventually(MOVED_WITHIN, &what, async || {
        let zone = governed.zones().get(ZONE).await?;
        let status = zone.status.context("no status")?;
        let (is, why, message) = condition(&status, "PodsPlaced").context("not told")?;
        ensure!(
            is == state && why == reason && words.iter().all(|it| message.contains(it)),
            "{is} ({why}): {message}"
        );
        Ok(Some(()))
    })
    .await
}

async fn keep(governed: &Governed, name: &str, available: u32) -> Result<()> {
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(governed.client(), ZONE);
    let budget = json!({
        "metadata": {"name": name},
        "spec": {"minAvailable": available, "selector": {"matchLabels": {"app": name}}},
    });
    let budget = serde_json::from_value(budget)?;
    budgets.create(&PostParams::default(), &budget).await?;
    Ok(())
}

/// The nodes of those pods of a workload that serve.
async fn serving(pods: &Api<Pod>, name: &str) -> Result<Vec<String>> {
    let found = pods
        .list(&ListParams::default().labels(&format!("app={name}")))
        .await?;
    let serves = |pod: &Pod| {
        let conditions = pod.status.iter().flat_map(|it| &it.conditions).flatten();
        let is_ready = { conditions }.any(|it| it.type_ == "Ready" && it.status == "True");
        is_ready && pod.metadata.deletion_timestamp.is_none()
    };
    let serving = found.items.into_iter().filter(serves);
    Ok(serving
        .filter_map(|pod| pod.spec.and_then(|spec| spec.node_name))
        .collect())
}

/// Waits until all pods of a workload serve in a pool. Returns how many served at least.
async fn moves(pods: &Api<Pod>, name: &str, replicas: usize, pool: &str) -> Result<usize> {
    let mut fewest = replicas;
    eventually(MOVED_WITHIN, "the pods to move", async || {
        let nodes = serving(pods, name).await?;
        fewest = fewest.min(nodes.len());
        let has_moved = nodes.len() == replicas && nodes.iter().all(|it| it.starts_with(pool));
        ensure!(has_moved, "they are on {nodes:?}");
        Ok(Some(()))
    })
    .await?;
    Ok(fewest)
}

/// The pods of a workload have done what they should.
async fn ends(pods: &Api<Pod>, name: &str) -> Result<()> {
    let of_it = ListParams::default().labels(&format!("app={name}"));
    let over = Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
    for pod in pods.list(&of_it).await?.items {
        pods.patch_status(&pod.name_any(), &PatchParams::default(), &over)
            .await?;
    }
    Ok(())
}

/// Pods that nothing brings back stay, and so does what a budget holds; the rest moves, one at a time, and
/// nobody is evicted before the rights are there.
pub async fn pods_elsewhere_are_evicted_as_budgets_allow(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    settle(governed, ZONE, placed(ZONE, &evicting("tenant2", 1))).await?;
    says(
        governed,
        "Unknown",
        "EvictionForbidden",
        &["config/eviction", "cannot list resource \"pods\""],
    )
    .await?;
    let _kubelet = governed.cluster.run_pods(ZONE);
    for (kind, name, pods) in [
        ("Deployment", "web", 4),
        ("Deployment", "held", 2),
        ("Job", "batch", 1),
        ("Pod", "bare", 1),
    ] {
        let manifest = workload(kind, name, pods, pod_spec(json!({})));
        are_on(governed, ZONE, manifest, usize::try_from(pods)?, "tenant2-").await?;
    }
    keep(governed, "web", 3).await?;
    keep(governed, "held", 2).await?;

    let rights = workspace::root().join("config/eviction");
    apply_manifests(&governed.client(), &rights).await?;
    place(governed, evicting("tenant2", 2)).await?;
    says(governed, "True", "AllPlaced", &[]).await?;

    let log = governed.cluster.audit_log();
    let mark = log.mark()?;
    // There are nodes for it, and they take nobody.
    let closed = [("stack", "closed")];
    governed
        .cluster
        .create_node("closed-1", &closed, &[])
        .await?;
    let cordon = Patch::Merge(json!({"spec": {"unschedulable": true}}));
    let nodes = Api::<Node>::all(governed.client());
    nodes
        .patch("closed-1", &PatchParams::default(), &cordon)
        .await?;
    place(governed, evicting("closed", 2)).await?;
    says(
        governed,
        "False",
        "NoNode",
        &["8 pods run on nodes", "takes pods at present"],
    )
    .await?;

    place(governed, evicting("tenant1", 2)).await?;
    let pods: Api<Pod> = Api::namespaced(governed.client(), ZONE);
    let fewest = moves(&pods, "web", 4, "tenant1-").await?;
    ensure!(fewest >= 3, "only {fewest} of 4 served");
    says(
        governed,
        "False",
        "Evicting",
        &[
            "4 pods run on nodes",
            "The disruption budget held needs 2 healthy pods and has 2 currently",
            "leaving/bare on tenant2-1 (nothing would bring it back",
            "(its Job ends by itself)",
        ],
    )
    .await?;
    let nodes = serving(&pods, "held").await?;
    ensure!(nodes == ["tenant2-1", "tenant2-1"], "they are on {nodes:?}");
    let requests = log.requests_by(governed.operator_user(), mark)?;
    let evictions = requests.iter().filter(|it| it.subresource == "eviction");
    let done = evictions.filter(|it| it.code == 201).count();
    ensure!(done == 4, "{done} evictions");
    let deletions = requests
        .iter()
        .filter(|it| it.resource == "pods" && it.verb == "delete");
    ensure!(deletions.count() == 0, "pods were deleted");

    let events: Api<Event> = Api::namespaced(governed.client(), ZONE);
    let of_evictions = ListParams::default().fields("reason=EvictedForPlacement");
    let told = events.list(&of_evictions).await?.items;
    ensure!(told.len() == 4, "{} events: {told:?}", told.len());
    let note = told[0].note.as_deref().unwrap_or_default();
    ensure!(
        note.contains("evicted from tenant2-1") && note.contains("landing zone leaving"),
        "{note}"
    );

    let budgets: Api<PodDisruptionBudget> = Api::namespaced(governed.client(), ZONE);
    let now = DeleteParams::default();
    pods.delete("bare", &now).await?;
    ends(&pods, "batch").await?;
    budgets.delete("held", &now).await?;
    moves(&pods, "held", 2, "tenant1-").await?;
    says(governed, "True", "AllPlaced", &[]).await?;
    nobody_else_is_evicted(governed).await
}

/// The right to evict is good for landing zones only, whoever has the operator's token.
async fn nobody_else_is_evicted(governed: &Governed) -> Result<()> {
    let operator = governed
        .cluster
        .kubeconfig_for_service_account("landing-zone-system", "landing-zone-operator")
        .await?
        .client()
        .await?;
    let mut watched = placed("spared", &tenant("tenant1"));
    watched["stage"] = json!("Observe");
    settle(governed, "spared", watched).await?;
    for namespace in ["default", "spared"] {
        let manifest = workload("Pod", "innocent", 1, pod_spec(json!({})));
        let pod = eventually(MOVED_WITHIN, "a pod", async || {
            Ok(Some(create(governed, namespace, manifest.clone()).await??))
        })
        .await?;
        let pods = Api::<Pod>::namespaced(operator.clone(), namespace);
        let params = EvictParams {
            post_options: PostParams {
                dry_run: true,
                ..PostParams::default()
            },
            ..EvictParams::default()
        };
        let refused = eventually(MOVED_WITHIN, "a refusal", async || {
            match pods.evict(&pod.name_any(), &params).await {
                Ok(_) => bail!("it may be evicted"),
                Err(kube::Error::Api(status)) => Ok(Some(status.message)),
                Err(error) => Err(error.into()),
            }
        });
        let refused = refused.await?;
        ensure!(
            refused.contains("evicts pods of landing zones in stage Enforce only"),
            "{refused}"
        );
    }
    Ok(())
}
