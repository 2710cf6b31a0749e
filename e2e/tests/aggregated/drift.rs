//! Drift, through the API that the operator uses and behind its back.

use anyhow::{Context, Result, ensure};
use e2e::shop::Shop;
use e2e::{eventually, governed::CONVERGED};
use kube::Api;
use kube::api::DynamicObject;
use landing_zone_operator::api::names::{MANAGED_BY, OWNER};
use serde_json::{Value, json};

use super::Fixture;
use super::policies::{STORAGE, V3, delete, edit, eventually_says, names, policies, said};

const WIDE_OPEN: &str = "the boundary lets everything in";

fn wide_open() -> Value {
    json!({"spec": {"ingress": [{"action": "Allow"}]}})
}

fn labels(owner: Option<&str>) -> Value {
    json!({"metadata": {"labels": {OWNER: owner, MANAGED_BY: null}}})
}

pub async fn drift_through_v3_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = Shop::open(&fixture.0, "served").await?;
    let served = policies(&fixture.0, V3);
    let name = "landing-zone-served-boundary";
    let declared = said(&served, name).await?;

    edit(&served, name, wide_open()).await?;
    eventually_says(&served, name, &declared)
        .await
        .context(WIDE_OPEN)?;
    edit(&served, name, labels(None)).await?;
    eventually_says(&served, name, &declared)
        .await
        .context("without labels")?;
    edit(&served, name, labels(Some("somebody-else"))).await?;
    eventually_says(&served, name, &declared)
        .await
        .context("another's label")?;
    // Without the label it is not among what the operator knows as its own.
    let mut both = labels(None);
    both["spec"] = wide_open()["spec"].clone();
    edit(&served, name, both).await?;
    eventually_says(&served, name, &declared)
        .await
        .context("both at once")?;
    delete(&served, name).await?;
    eventually_says(&served, name, &declared)
        .await
        .context("deleted")?;
    fixture.0.ready("served").await?;
    shop.counts_repairs(5).await
}

pub async fn drift_in_calicos_storage_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = Shop::open(&fixture.0, "stored").await?;
    let (served, stored) = (policies(&fixture.0, V3), policies(&fixture.0, STORAGE));
    let (name, in_storage) = (
        "landing-zone-stored-boundary",
        "default.landing-zone-stored-boundary",
    );
    let declared = said(&served, name).await?;

    edit(&stored, in_storage, wide_open()).await?;
    eventually_says(&served, name, &declared)
        .await
        .context(WIDE_OPEN)?;
    // Calico's API server keeps the labels there.
    edit(
        &stored,
        in_storage,
        json!({"metadata": {"annotations": null}}),
    )
    .await?;
    eventually_says(&served, name, &declared)
        .await
        .context("without labels")?;
    delete(&stored, in_storage).await?;
    eventually_says(&served, name, &declared)
        .await
        .context("deleted")?;
    fixture.0.ready("stored").await?;
    shop.counts_repairs(3).await
}

pub async fn what_leaves_the_declaration_leaves_calicos_storage(fixture: &Fixture) -> Result<()> {
    let shop = Shop::open(&fixture.0, "pruned").await?;
    let stored = policies(&fixture.0, STORAGE);
    let flows = "landing-zone-pruned-data-flows";
    ensure!(!names(&stored, flows).await?.is_empty());
    shop.edit_and_converge(json!({"network": null})).await?;
    gone(&stored, flows).await?;
    ensure!(
        !names(&stored, "landing-zone-pruned-boundary")
            .await?
            .is_empty()
    );
    Ok(())
}

async fn gone(policies: &Api<DynamicObject>, name: &str) -> Result<()> {
    eventually(CONVERGED, &format!("{name} to be gone"), async || {
        let found = names(policies, name).await?;
        ensure!(found.is_empty(), "{found:?}");
        Ok(Some(()))
    })
    .await
}
