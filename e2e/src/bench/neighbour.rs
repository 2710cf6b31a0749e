//! Somebody else who uses the same API server meanwhile: how long his requests take.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::figures::at;
use crate::LocalCluster;
use crate::wait::eventually;

const NAME: &str = "neighbour";
const NAMESPACE: &str = "default";
/// How long his rights may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// From the answer to one request to the next request.
const PAUSE: Duration = Duration::from_millis(20);

/// So many of his slowest requests are told, for who looks for what held them up.
const TOLD: usize = 12;

/// Whoever reads and writes a `ConfigMap` by turns, with no more rights and no more priority than anybody else.
pub(super) struct Neighbour {
    stop: CancellationToken,
    asking: JoinHandle<Result<Vec<Request>>>,
}

/// One of his requests.
struct Request {
    /// Since he began, seconds.
    began: f64,
    /// Whether it wrote.
    wrote: bool,
    /// How long it took, seconds.
    took: f64,
}

impl Neighbour {
    /// Gives him the right to it.
    pub async fn move_in(cluster: &LocalCluster) -> Result<()> {
        let client = cluster.client();
        let binding = serde_json::from_value(json!({
            "metadata": {"name": NAME},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": NAME}],
        }))?;
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), NAMESPACE);
        bindings.create(&PostParams::default(), &binding).await?;
        let maps: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
        let map = serde_json::from_value(json!({"metadata": {"name": NAME}}))?;
        maps.create(&PostParams::default(), &map).await?;
        // The API server hears of the binding by a watch.
        let his: Api<ConfigMap> =
            Api::namespaced(cluster.client_as_user(NAME, &[]).await?, NAMESPACE);
        eventually(PATIENCE, "his rights to be known", async || {
            his.get(NAME).await?;
            Ok(Some(()))
        })
        .await
    }

    /// Begins to ask.
    pub async fn begin(cluster: &LocalCluster) -> Result<Self> {
        let client = cluster.client_as_user(NAME, &[]).await?;
        let maps: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let asking = tokio::spawn(async move {
            let mut requests = Vec::new();
            let first = Instant::now();
            while !stopped.is_cancelled() {
                let started = Instant::now();
                let number = requests.len();
                let wrote = number % 2 == 1;
                if wrote {
                    let patch = Patch::Merge(json!({"data": {"count": number.to_string()}}));
                    maps.patch(NAME, &PatchParams::default(), &patch)
                        .await
                        .context("the neighbour's write")?;
                } else {
                    maps.get(NAME).await.context("the neighbour's read")?;
                }
                requests.push(Request {
                    began: started.duration_since(first).as_secs_f64(),
                    wrote,
                    took: started.elapsed().as_secs_f64(),
                });
                tokio::time::sleep(PAUSE).await;
            }
            Ok(requests)
        });
        Ok(Self { stop, asking })
    }

    /// Ends it. Returns the time below which 99 of 100 requests stayed, or all where there were fewer, seconds.
    pub async fn end(self) -> Result<f64> {
        self.stop.cancel();
        let mut requests = self.asking.await.context("the neighbour was cut off")??;
        ensure!(!requests.is_empty(), "not one request was answered");
        requests.sort_by(|one, other| one.took.total_cmp(&other.took));
        eprintln!("somebody else, the slowest of {}:", requests.len());
        for Request { began, wrote, took } in requests.iter().rev().take(TOLD) {
            let what = if *wrote { "write" } else { "read" };
            eprintln!("  {:>7.1} ms a {what} after {began:.2} s", took * 1e3);
        }
        let took: Vec<_> = requests.iter().map(|it| it.took).collect();
        Ok(at(&took, 0.99))
    }
}
