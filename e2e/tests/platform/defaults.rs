//! What the platform fills in, and what it asks of every landing zone.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::shop::{PATIENCE, Shop};
use e2e::{Calico, Governed, OperatorOptions, eventually, holds_for};
use landing_zone_operator::controller::{Kind, ObjectKey};
use serde_json::{Value, json};

use crate::{declare, edit, stands};

/// What lies in the second namespace of a shop, which says nothing about quota and limits.
fn in_data(shop: &Shop<'_>, kind: Kind) -> e2e::shop::Object {
    let key = ObjectKey {
        kind,
        namespace: Some(shop.named("data").into()),
        name: "landing-zone".into(),
    };
    e2e::shop::Object::new(shop.governed().client(), key)
}

const HARD: &str = "/spec/hard";

pub async fn what_a_landing_zone_leaves_out_is_filled_in((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let shop = Shop::open_with(&governed, "plain", json!({"placement": null})).await?;
    let quota = in_data(&shop, Kind::ResourceQuota);
    ensure!(
        quota.look().await?.is_none(),
        "a quota that nobody asked for"
    );
    let declared = governed.zones().get("plain").await?.spec;

    let log = governed.cluster.audit_log();
    let mark = log.mark()?;
    let defaults = json!({
        "quota": {"requests.cpu": "2000m", "pods": "20"},
        "limits": {"default": {"memory": "256Mi"}},
        "podSecurity": "baseline",
        "placement": {"nodeSelector": {"pool": "shared"}},
    });
    declare(&governed, "cluster", json!({ "defaults": defaults })).await?;
    let status = stands(&governed, "True").await?;
    let told = json!(status.effective.context("no values")?.defaults);
    ensure!(told["quota"] == defaults["quota"], "{told}");
    ensure!(told["podSecurity"] == "baseline", "{told}");
    quota.appears().await?;
    let limits = in_data(&shop, Kind::LimitRange);
    limits.appears().await?;
    governed.ready("plain").await?;

    let hard = quota.at(HARD).await?;
    ensure!(hard == json!({"requests.cpu": "2", "pods": "20"}), "{hard}");
    let memory = limits.at("/spec/limits/0/default/memory").await?;
    ensure!(memory == "256Mi", "{memory}");
    // What is said wins, whole.
    let own = shop.quota().at(HARD).await?;
    ensure!(own == json!({"requests.cpu": "4", "pods": "50"}), "{own}");
    for part in ["web", "data"] {
        let meta = shop.namespace(part).at("/metadata").await?;
        let level = &meta["labels"]["pod-security.kubernetes.io/enforce"];
        ensure!(level == "baseline", "{meta}");
        let selector = &meta["annotations"]["scheduler.alpha.kubernetes.io/node-selector"];
        ensure!(selector == "pool=shared", "{meta}");
    }
    ensure!(governed.zones().get("plain").await?.spec == declared);
    // Two namespaces and what is new in them; nothing twice, and no drift.
    holds_for(
        Duration::from_secs(2),
        "nothing else is written",
        async || {
            let writes = log.writes_by(governed.operator_user(), mark)?;
            let written = writes
                .iter()
                .filter(|write| write.subresource != "status" && write.resource != "events");
            let written: Vec<_> = written
                .map(|it| format!("{} {}", it.verb, it.resource))
                .collect();
            ensure!(written.len() == 4, "{written:?}");
            Ok(())
        },
    )
    .await?;
    shop.counts_repairs(0).await?;

    // It follows, and goes.
    edit(&governed, json!({"defaults": {"quota": {"pods": "30"}}})).await?;
    quota.becomes("/spec/hard/pods", "30".into()).await?;
    a_total_counts_what_is_filled_in(&governed, &shop).await?;
    edit(&governed, json!({"defaults": null})).await?;
    quota.vanishes().await?;
    limits.vanishes().await?;
    drop(shop);
    governed.stop().await
}

async fn a_total_counts_what_is_filled_in(governed: &Governed, shop: &Shop<'_>) -> Result<()> {
    shop.edit_and_converge(json!({"quotaTotal": {"pods": "80"}}))
        .await?;
    edit(governed, json!({"defaults": {"quota": {"pods": "31"}}})).await?;
    let says = [
        "spec.quotaTotal.pods",
        "with 31 for each of 1 that have no quota of their own, from the platform's defaults",
        "what was declared before is kept in order",
    ];
    shop.says("Ready", "False", "Invalid", &says).await?;
    let quota = in_data(shop, Kind::ResourceQuota);
    let before = json!({"requests.cpu": "2", "pods": "30"});
    ensure!(quota.at(HARD).await? == before, "half of it was applied");
    quota
        .merge(json!({"spec": {"hard": {"pods": "500"}}}))
        .await?;
    quota.becomes(HARD, before).await?;
    shop.edit_and_converge(json!({"quotaTotal": null})).await?;
    quota.becomes("/spec/hard/pods", "31".into()).await
}

pub async fn a_landing_zone_without_required_labels_is_refused((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let shop = Shop::open(&governed, "labelled").await?;
    declare(
        &governed,
        "cluster",
        json!({"requiredLabels": ["costCenter"]}),
    )
    .await?;
    let status = stands(&governed, "True").await?;
    let required = status.effective.context("no values")?.required_labels;
    ensure!(required == ["costCenter"], "{required:?}");
    governed.ready("labelled").await?;

    // A new one: nothing of it is made.
    let new = json!({"labels": {"costCenter": null, "team": "new"}});
    let bare = Shop::declare(&governed, "bare", new).await?;
    let says = [
        "spec.labels",
        "must have a value for costCenter",
        "requiredLabels",
    ];
    bare.says("Ready", "False", "Invalid", &says).await?;
    ensure!(bare.namespace("web").look().await?.is_none());
    ensure!(bare.status().await?.inventory.is_empty());

    // One that was valid: what it declared before stays in order, what is new does not take effect.
    edit(
        &governed,
        json!({"requiredLabels": ["costCenter", "owner", "tier"]}),
    )
    .await?;
    let says = [
        "must have a value for owner, tier",
        "what was declared before is kept in order",
    ];
    shop.says("Ready", "False", "Invalid", &says).await?;
    shop.edit(json!({"labels": {"owner": "us"}})).await?;
    shop.says("Ready", "False", "Invalid", &["must have a value for tier"])
        .await?;
    let boundary = shop.policy("boundary");
    boundary.delete().await?;
    boundary.appears().await?;
    let labels = shop.namespace("web").at("/metadata/labels").await?;
    ensure!(labels["owner"] == Value::Null, "{labels}");
    shop.edit_and_converge(json!({"labels": {"tier": "gold"}}))
        .await?;
    eventually(PATIENCE, "its labels to take effect", async || {
        let labels = shop.namespace("web").at("/metadata/labels").await?;
        Ok((labels["tier"] == "gold").then_some(()))
    })
    .await?;

    // No longer required.
    edit(&governed, json!({"requiredLabels": null})).await?;
    governed.ready("bare").await?;
    drop((shop, bare));
    governed.stop().await
}
