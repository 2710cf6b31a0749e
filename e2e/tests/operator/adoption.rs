//! Namespaces and objects that exist already.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::holds_for;
use e2e::shop::{Object, Shop, Watched, spec_with};
use landing_zone_operator::api::names::OWNER;
use landing_zone_operator::domain::{Openings, Platform, TeamPolicies};
use landing_zone_operator::{build, domain};
use serde_json::{Value, json};

use crate::Fixture;

/// A namespace that was there before.
async fn existing(fixture: &Fixture, name: &str, marks: Value) -> Result<Object> {
    let mut manifest = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
    });
    for (field, value) in marks.as_object().into_iter().flatten() {
        manifest["metadata"][field] = value.clone();
    }
    Object::create(fixture.0.client(), manifest).await
}

fn owner() -> String {
    format!("/metadata/labels/{}", OWNER.replace('/', "~1"))
}

/// Declares a landing zone over a namespace that is withheld, and what status says of it.
async fn withheld<'a>(
    fixture: &'a Fixture,
    name: &str,
    policy: &str,
    marks: Value,
    texts: &[&str],
) -> Result<(Shop<'a>, Object)> {
    let web = existing(fixture, &format!("{name}-web"), marks).await?;
    let watched = Watched::since_now([web.clone()]).await?;
    let shop = Shop::declare(&fixture.0, name, json!({"adoptionPolicy": policy})).await?;
    shop.says("Stalled", "True", "NotAdopted", texts).await?;
    // The other namespace does not wait.
    shop.namespace("data").appears().await?;
    ensure!(shop.quota().look().await?.is_none());
    watched.are_untouched().await?;
    Ok((shop, web))
}

async fn adopted(shop: &Shop<'_>, web: &Object) -> Result<()> {
    shop.governed().ready(shop.name()).await?;
    ensure!(web.at(&owner()).await? == shop.name());
    shop.quota().read().await?;
    let key = web.key().to_string();
    shop.event(
        "NamespaceAdopted",
        &[&key, "outside the boundary until now"],
    )
    .await
}

pub async fn an_existing_namespace_is_never_adopted(fixture: &Fixture) -> Result<()> {
    let texts = ["adopt-never-web", "adoptionPolicy: Always"];
    let (shop, web) = withheld(fixture, "adopt-never", "Never", json!({}), &texts).await?;
    shop.event("NotReady", &texts).await?;
    // The way out works.
    shop.edit(json!({"adoptionPolicy": "Always"})).await?;
    adopted(&shop, &web).await
}

pub async fn an_existing_namespace_is_adopted_once_it_is_identical(
    fixture: &Fixture,
) -> Result<()> {
    let marks = json!({"labels": {"zone": "front", "applicationcode": "adopt-same"}});
    let texts = ["label zone is front, declared web", "costCenter is missing"];
    let (shop, web) = withheld(fixture, "adopt-same", "IfIdentical", marks, &texts).await?;
    web.merge(json!({"metadata": declared_marks("adopt-same")?}))
        .await?;
    adopted(&shop, &web).await
}

/// Labels and annotations of the first namespace, as the landing zone declares them.
fn declared_marks(name: &str) -> Result<Value> {
    let spec = serde_json::from_value(spec_with(name, json!({})))?;
    let zone = landing_zone_operator::api::LandingZone::new(name, spec);
    let platform = Platform::default();
    let zone = domain::LandingZone::validate(&zone, &platform)
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let desired = build::landing_zone(
        &zone,
        &[],
        &platform,
        &Openings::default(),
        &TeamPolicies::default(),
        e2e::shop::FLAVOUR,
    );
    let web = desired
        .namespaces
        .iter()
        .find(|namespace| namespace.metadata.name == Some(format!("{name}-web")));
    let mut marks = json!(web.map(|web| (&web.metadata.labels, &web.metadata.annotations)));
    let mut labels = marks[0].take();
    if let Some(labels) = labels.as_object_mut() {
        // Nobody else can have them.
        labels.remove(OWNER);
        labels.remove("app.kubernetes.io/managed-by");
    }
    Ok(json!({"labels": labels, "annotations": marks[1].take()}))
}

pub async fn an_existing_namespace_is_always_adopted(fixture: &Fixture) -> Result<()> {
    let marks = json!({"labels": {"zone": "front", "team": "blue"}});
    let web = existing(fixture, "adopt-always-web", marks).await?;
    let former = web.uid().await?;
    let shop = Shop::declare(
        &fixture.0,
        "adopt-always",
        json!({"adoptionPolicy": "Always"}),
    )
    .await?;
    adopted(&shop, &web).await?;
    ensure!(web.uid().await? == former);
    ensure!(web.at("/metadata/labels/zone").await? == "web");
    ensure!(web.at("/metadata/labels/team").await? == "blue");
    shop.counts_repairs(0).await
}

pub async fn what_azure_manages_is_not_adopted(fixture: &Fixture) -> Result<()> {
    let marks = json!({"labels": {"kubernetes.azure.com/managedByARM": "true"}});
    let texts = [
        "adopt-arm-web",
        "Azure Resource Manager",
        "deletePolicy Keep",
    ];
    withheld(fixture, "adopt-arm", "Always", marks, &texts).await?;
    Ok(())
}

pub async fn what_argo_tracks_is_adopted_once_it_is_protected(fixture: &Fixture) -> Result<()> {
    let marks = json!({"annotations": {"argocd.argoproj.io/tracking-id": "shop:/Namespace:x/y"}});
    let texts = ["Argo CD", "argocd.argoproj.io/sync-options: Prune=false"];
    let (shop, web) = withheld(fixture, "adopt-argo", "Always", marks, &texts).await?;
    web.annotate("argocd.argoproj.io/sync-options", "Prune=false")
        .await?;
    adopted(&shop, &web).await
}

pub async fn what_flux_tracks_is_adopted_once_it_is_protected(fixture: &Fixture) -> Result<()> {
    let marks = json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}});
    let texts = ["Flux", "kustomize.toolkit.fluxcd.io/prune: disabled"];
    let (shop, web) = withheld(fixture, "adopt-flux", "Always", marks, &texts).await?;
    web.annotate("kustomize.toolkit.fluxcd.io/prune", "disabled")
        .await?;
    adopted(&shop, &web).await
}

/// A team had a quota of our name before a quota was declared.
pub async fn a_foreign_object_of_our_name_is_not_overwritten(fixture: &Fixture) -> Result<()> {
    let without_quota = json!([
        {"name": "adopt-object-web", "zone": "web"},
        {"name": "adopt-object-data", "zone": "data"},
    ]);
    let shop = Shop::open_with(
        &fixture.0,
        "adopt-object",
        json!({"namespaces": without_quota}),
    )
    .await?;
    let quota = shop
        .somebody_creates(json!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": "landing-zone", "namespace": "adopt-object-web"},
            "spec": {"hard": {"pods": "3"}},
        }))
        .await?;
    let declared = spec_with("adopt-object", json!({}))["namespaces"].take();
    shop.edit(json!({"namespaces": declared})).await?;
    shop.says(
        "Stalled",
        "True",
        "NotAdopted",
        &[
            "ResourceQuota/adopt-object-web/landing-zone",
            "is not the landing zone's",
            "adoptionPolicy: Always",
        ],
    )
    .await?;
    // What else was declared is there.
    shop.limits().appears().await?;
    let unharmed = async || {
        ensure!(quota.at("/spec/hard").await? == json!({"pods": "3"}));
        ensure!(quota.at(&owner()).await?.is_null());
        Ok(())
    };
    holds_for(Duration::from_secs(2), "the quota stays theirs", unharmed).await?;
    shop.edit(json!({"adoptionPolicy": "IfIdentical"})).await?;
    shop.says(
        "Stalled",
        "True",
        "NotAdopted",
        &["spec.hard.pods: 3, declared 50"],
    )
    .await?;
    unharmed().await?;
    // Gone from the declaration, it is not deleted either: it never was ours.
    shop.edit_and_converge(json!({"namespaces": without_quota}))
        .await?;
    unharmed().await?;
    shop.edit_and_converge(json!({"namespaces": declared, "adoptionPolicy": "Always"}))
        .await?;
    quota.becomes("/spec/hard/pods", json!("50")).await
}
