//! Labels and annotations of a namespace, and the namespace itself.

use anyhow::{Result, ensure};
use e2e::eventually;
use e2e::shop::{MALLORY, PATIENCE, Watched};
use landing_zone_operator::api::names::{NODE_SELECTOR, OWNER};
use landing_zone_operator::controller::Kind;
use serde_json::{Value, json};

use crate::Fixture;

pub async fn a_changed_label_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("label-changed").await?;
    let web = shop.namespace("web");
    web.label("zone", "data").await?;
    shop.puts_back(
        &web,
        "metadata.labels.zone: data, declared web",
        Some(MALLORY),
    )
    .await?;
    shop.counts_repairs(1).await
}

pub async fn a_removed_label_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("label-removed").await?;
    let web = shop.namespace("web");
    web.strip_label("zone").await?;
    shop.puts_back(&web, "metadata.labels.zone: removed, declared web", None)
        .await?;
    shop.counts_repairs(1).await
}

pub async fn a_lost_ownership_label_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("owner-removed").await?;
    let web = shop.namespace("web");
    web.strip_label(OWNER).await?;
    shop.puts_back(&web, "removed, declared owner-removed", None)
        .await?;
    shop.counts_repairs(1).await
}

/// As an application that wants to join another's boundary would.
pub async fn a_foreign_ownership_label_is_put_back(fixture: &Fixture) -> Result<()> {
    let victim = fixture.shop("owner-victim").await?;
    let shop = fixture.shop("owner-forged").await?;
    let web = shop.namespace("web");
    let watched = Watched::since_now(victim.inventory().await?).await?;
    web.label(OWNER, "owner-victim").await?;
    shop.puts_back(&web, "owner-victim, declared owner-forged", Some(MALLORY))
        .await?;
    ensure!(victim.status().await?.released.is_empty());
    watched.are_untouched().await
}

/// What it was decided on is old by then: it is looked at anew, and put back all the same.
pub async fn what_changes_again_while_it_is_put_back_is_looked_at(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let shop = fixture.shop("label-restless").await?;
    let web = shop.namespace("web");
    let log = governed.cluster.audit_log();
    let mark = log.mark()?;
    eventually(PATIENCE, "a change in the middle of a repair", async || {
        for value in ["data", "web", "data"] {
            web.label("zone", value).await?;
        }
        let requests = log.requests_by(governed.operator_user(), mark)?;
        let looked = requests.iter().any(|it| {
            (&*it.verb, &*it.resource, &*it.name) == ("get", "namespaces", "label-restless-web")
        });
        Ok(looked.then_some(()))
    })
    .await?;
    shop.is_back(&web).await
}

pub async fn all_labels_stripped_at_once_are_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("labels-stripped").await?;
    let web = shop.namespace("web");
    web.strip_all_labels().await?;
    shop.puts_back(&web, "metadata.labels.applicationcode: removed", None)
        .await?;
    shop.counts_repairs(1).await
}

pub async fn a_changed_placement_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("placement-changed").await?;
    let web = shop.namespace("web");
    web.annotate(NODE_SELECTOR, "stack=tenant2").await?;
    shop.puts_back(&web, "stack=tenant2, declared stack=tenant1", Some(MALLORY))
        .await?;
    shop.counts_repairs(1).await
}

pub async fn a_deleted_namespace_comes_back_behind_its_policies(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("namespace-lost").await?;
    let (web, secret) = (shop.namespace("web"), shop.named("web"));
    let secret = shop
        .somebody_creates(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "password", "namespace": secret},
        }))
        .await?;
    let policies = Watched::since_now(shop.policies().await?).await?;
    let former = web.uid().await?;

    web.delete().await?;

    shop.puts_back(&web, "deleted", None).await?;
    ensure!(web.uid().await? != former, "it is the old namespace");
    for object in [shop.quota(), shop.limits(), shop.binding()] {
        shop.is_back(&object).await?;
    }
    ensure!(secret.look().await?.is_none(), "the content is back");
    shop.event(
        "NamespaceLost",
        &["Namespace/namespace-lost-web", "everything in it is gone"],
    )
    .await?;
    policies.are_untouched().await?;
    fixture.0.ready(shop.name()).await?;
    let told = shop.events("NamespaceLost").await?;
    ensure!(told.len() == 1 && told[0].lines().count() == 1, "{told:?}");
    // The loss of the namespace is one, whatever was in it.
    shop.counts_repairs(1).await?;
    policies.are_untouched().await
}

/// Somebody else's finalizer holds the namespace up: its boundary and its neighbour do not wait.
pub async fn a_namespace_that_cannot_go_holds_nothing_up(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("namespace-stuck").await?;
    let web = shop.namespace("web");
    let held = shop
        .somebody_creates(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "held", "namespace": shop.named("web"),
                "finalizers": ["example.com/held"],
            },
        }))
        .await?;
    web.delete().await?;
    shop.says(
        "NamespacesReady",
        "False",
        "Terminating",
        &["being deleted"],
    )
    .await?;
    let boundary = shop.policy("boundary");
    boundary.delete().await?;
    shop.puts_back(&boundary, "deleted", None).await?;
    let data = shop.namespace("data");
    data.label("zone", "web").await?;
    shop.puts_back(&data, "declared data", Some(MALLORY))
        .await?;
    held.merge(json!({"metadata": {"finalizers": Value::Null}}))
        .await?;
    shop.is_back(&shop.quota()).await?;
    fixture.0.ready(shop.name()).await?;
    let policies = shop.labelled(Kind::GlobalNetworkPolicy).await?;
    ensure!(policies.len() == shop.policies().await?.len());
    Ok(())
}
