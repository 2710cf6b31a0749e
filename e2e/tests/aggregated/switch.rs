//! Calico's API server comes, and goes, while the operator runs: the policies are the same objects
//! through either API, so nothing is written, let alone deleted.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::governed::serve_v3;
use e2e::install::apply_objects;
use e2e::process::last_lines;
use e2e::shop::Shop;
use e2e::{Calico, Governed, OperatorOptions, eventually, governed::CONVERGED, holds_for};
use kube::Api;
use kube::api::DynamicObject;
use serde_json::json;

use super::Fixture;
use super::policies::{STORAGE, V3, delete, edit, eventually_says, marks, policies, said};

const PART: &str = "landing-zone-switched-";
const BOUNDARY: &str = "landing-zone-switched-boundary";
const STORED: &str = "default.landing-zone-switched-boundary";
/// Longer than a comparison after a new list takes.
const SILENCE: Duration = Duration::from_secs(5);

async fn with_storage(test: impl AsyncFnOnce(&Governed) -> Result<()>) -> Result<()> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    if let Err(error) = test(&governed).await {
        let log = governed.operator.logs().unwrap_or_default();
        return Err(error).with_context(|| format!("the log ends:\n{}", last_lines(&log, 60)));
    }
    governed.stop().await
}

pub async fn calicos_api_server_comes_and_goes_unnoticed(_: &Fixture) -> Result<()> {
    with_storage(async |governed| {
        let shop = Shop::open(governed, "switched").await?;
        let (served, stored) = (policies(governed, V3), policies(governed, STORAGE));
        let declared = said(&stored, STORED).await?;
        let inventory = shop.status().await?.inventory;
        let before = marks(&stored, PART).await?;

        let calico = serve_v3(&governed.cluster).await?;
        writes_through(governed, V3.0).await?;
        untouched(&stored, &before).await.context("when v3 came")?;
        ensure!(shop.status().await?.inventory == inventory);

        // Written through v3, so that Calico's API server keeps the labels its own way.
        let served_declared = said(&served, BOUNDARY).await?;
        delete(&served, BOUNDARY).await?;
        eventually_says(&served, BOUNDARY, &served_declared).await?;
        edit(&served, BOUNDARY, json!({"spec": {"order": 5}})).await?;
        eventually_says(&served, BOUNDARY, &served_declared).await?;
        let before = marks(&stored, PART).await?;

        let client = governed.client();
        calico.stop().await?;
        calico.wait_until_unavailable(&client).await?;
        writes_through(governed, STORAGE.0).await?;
        untouched(&stored, &before)
            .await
            .context("when v3 failed")?;
        calico.unregister(&client).await?;
        untouched(&stored, &before).await.context("when v3 went")?;
        ensure!(shop.status().await?.inventory == inventory);

        // What v3 wrote is governed directly: whatever happens to it is put back.
        edit(&stored, STORED, json!({"spec": {"ingress": null}})).await?;
        eventually_says(&stored, STORED, &declared).await?;
        delete(&stored, STORED).await?;
        eventually_says(&stored, STORED, &declared).await?;
        governed.ready("switched").await?;

        // And pruned: the deny was not touched since v3 came.
        let calico = serve_v3(&governed.cluster).await?;
        writes_through(governed, V3.0).await?;
        edit(
            &served,
            "landing-zone-switched-data-flows",
            json!({"spec": {"order": 7}}),
        )
        .await?;
        shop.counts_repairs(5).await?;
        calico.unregister(&client).await?;
        writes_through(governed, STORAGE.0).await?;
        shop.edit_and_converge(json!({"network": null})).await?;
        eventually(CONVERGED, "the flows to be gone", async || {
            let found = marks(&stored, "landing-zone-switched-data-flows").await?;
            ensure!(found.is_empty(), "{found:?}");
            Ok(Some(()))
        })
        .await?;
        shop.counts_repairs(5).await
    })
    .await
}

/// Fails when a policy was written, deleted or created anew.
async fn untouched(stored: &Api<DynamicObject>, before: &Vec<serde_json::Value>) -> Result<()> {
    holds_for(SILENCE, "the policies are untouched", async || {
        let now = marks(stored, PART).await?;
        ensure!(now == *before, "they were {before:?}, are {now:?}");
        Ok(())
    })
    .await
}

/// Waits until the landing zone is ready through an API.
async fn writes_through(governed: &Governed, group: &str) -> Result<()> {
    governed
        .zone_when("switched", &format!("to use {group}"), |_, status| {
            let effective = status.effective.as_ref();
            effective.is_some_and(|effective| effective.flavour.starts_with(group))
        })
        .await?;
    governed.ready("switched").await?;
    Ok(())
}

pub async fn an_api_server_that_never_answers_holds_nothing_up(_: &Fixture) -> Result<()> {
    with_storage(async |governed| {
        let shop = Shop::open(governed, "switched").await?;
        let registration = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": "v3.projectcalico.org"},
            "spec": {
                "group": "projectcalico.org", "version": "v3",
                "groupPriorityMinimum": 1500, "versionPriority": 200,
                "service": {"name": "calico-api", "namespace": "calico-apiserver"},
                "insecureSkipTLSVerify": true,
            },
        });
        let registration = serde_json::from_value(registration)?;
        apply_objects(&governed.client(), vec![registration]).await?;
        let stored = policies(governed, STORAGE);
        let declared = said(&stored, STORED).await?;
        // Until the operator has surely heard of the registration, and after.
        holds_for(SILENCE, "drift is put back", async || {
            delete(&stored, STORED).await?;
            eventually_says(&stored, STORED, &declared).await
        })
        .await?;
        writes_through(governed, STORAGE.0).await?;
        shop.policy("boundary").read().await?;
        Ok(())
    })
    .await
}
