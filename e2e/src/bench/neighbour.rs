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

/// Whoever reads and writes a `ConfigMap` by turns, with no more rights and no more priority than anybody else.
pub(super) struct Neighbour {
    stop: CancellationToken,
    asking: JoinHandle<Result<Vec<f64>>>,
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
            let mut took = Vec::new();
            while !stopped.is_cancelled() {
                let started = Instant::now();
                if took.len() % 2 == 0 {
                    maps.get(NAME).await.context("the neighbour's read")?;
                } else {
                    let patch = Patch::Merge(json!({"data": {"count": took.len().to_string()}}));
                    maps.patch(NAME, &PatchParams::default(), &patch)
                        .await
                        .context("the neighbour's write")?;
                }
                took.push(started.elapsed().as_secs_f64());
                tokio::time::sleep(PAUSE).await;
            }
            Ok(took)
        });
        Ok(Self { stop, asking })
    }

    /// Ends it. Returns the time below which 99 of 100 requests stayed, or all where there were fewer, seconds.
    pub async fn end(self) -> Result<f64> {
        self.stop.cancel();
        let mut took = self.asking.await.context("the neighbour was cut off")??;
        ensure!(!took.is_empty(), "not one request was answered");
        took.sort_by(f64::total_cmp);
        Ok(at(&took, 0.99))
    }
}
