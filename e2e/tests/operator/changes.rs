//! Changes of the declaration.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::shop::{Shop, Watched};
use e2e::{eventually, holds_for};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use landing_zone_operator::api::names::OWNER;
use landing_zone_operator::api::{Stage, rule};
use landing_zone_operator::controller::{Kind, ObjectKey};
use serde_json::{Value, json};

use crate::Fixture;

/// How long it is watched that the operator does nothing; it repairs within milliseconds.
const SILENCE: Duration = Duration::from_secs(3);

fn bare(shop: &Shop<'_>, parts: &[&str]) -> Value {
    let namespaces = parts
        .iter()
        .map(|part| json!({"name": shop.named(part), "zone": part}));
    Value::Array(namespaces.collect())
}

pub async fn what_leaves_the_declaration_leaves_the_cluster(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("leaving").await?;
    let namespaces = [shop.namespace("web"), shop.namespace("data")];
    let former = Watched::since_now([shop.policy("boundary")]).await?;
    let leaving = [
        shop.quota(),
        shop.limits(),
        shop.binding(),
        shop.object(Kind::ClusterRole, "landing-zone-leaving-reader"),
        shop.object(Kind::ClusterRoleBinding, "landing-zone-leaving-reader"),
        shop.policy("data-flows"),
    ];
    for object in &leaving {
        object.read().await?;
    }
    shop.edit_and_converge(json!({
        "namespaces": bare(&shop, &["web", "data"]),
        "access": Value::Null,
        "network": Value::Null,
        "labels": Value::Null,
        "placement": Value::Null,
    }))
    .await?;
    for object in &leaving {
        object.vanishes().await?;
        shop.event("Pruned", &[&object.key().to_string()]).await?;
        let name = object.key().to_string();
        ensure!(!shop.status().await?.inventory.contains(&name));
    }
    for namespace in &namespaces {
        ensure!(namespace.at("/metadata/labels/costCenter").await?.is_null());
        let placement = "/metadata/annotations/scheduler.alpha.kubernetes.io~1node-selector";
        ensure!(namespace.at(placement).await?.is_null());
    }
    shop.policy("inside").read().await?;
    former.are_untouched().await?;
    shop.counts_repairs(0).await
}

/// An object with a finalizer is in force until that is gone, and a team can set one.
pub async fn a_finalizer_keeps_no_access(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("clinging").await?;
    let binding = shop.binding();
    let finalizers = |names: Value| json!({"metadata": {"finalizers": names}});
    binding
        .merge(finalizers(json!(["example.com/cling"])))
        .await?;
    shop.edit(json!({"access": Value::Null})).await?;
    binding.vanishes().await?;
    shop.edit(e2e::shop::spec_with("clinging", json!({})))
        .await?;
    binding.appears().await?;
    // Nor does one that was deleted before it left the declaration.
    binding
        .merge(finalizers(json!(["example.com/cling"])))
        .await?;
    binding.delete().await?;
    shop.edit_and_converge(json!({"access": Value::Null}))
        .await?;
    binding.vanishes().await
}

/// Somebody else declares the same label too.
pub async fn a_label_that_somebody_else_holds_stays(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("label-shared").await?;
    let (web, data) = (shop.namespace("web"), shop.namespace("data"));
    let applied = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": shop.named("web"), "labels": {"costCenter": "4711"}},
    });
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client(&shop));
    namespaces
        .patch(
            &shop.named("web"),
            &PatchParams::apply("finance"),
            &Patch::Apply(&applied),
        )
        .await?;
    data.label("team", "blue").await?;
    shop.edit_and_converge(json!({"labels": Value::Null}))
        .await?;
    data.becomes("/metadata/labels/costCenter", Value::Null)
        .await?;
    ensure!(data.at("/metadata/labels/team").await? == "blue");
    holds_for(SILENCE, "the label stays", async || {
        ensure!(web.at("/metadata/labels/costCenter").await? == "4711");
        Ok(())
    })
    .await
}

/// What it got from a former declaration goes, though it was not declared for a while.
pub async fn a_namespace_that_comes_back_is_as_it_is_declared(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("comes-back").await?;
    let data = shop.namespace("data");
    ensure!(data.at("/metadata/labels/costCenter").await? == "4711");
    let web = json!({"name": shop.named("web"), "zone": "web"});
    let without_data = json!({"namespaces": [web], "access": Value::Null, "network": Value::Null});
    shop.edit_and_converge(without_data).await?;
    ensure!(data.at("/metadata/labels/costCenter").await? == "4711");
    let both = json!([web, {"name": shop.named("data"), "zone": "data"}]);
    shop.edit_and_converge(json!({"namespaces": both, "labels": Value::Null}))
        .await?;
    ensure!(data.at("/metadata/labels/costCenter").await?.is_null());
    Ok(())
}

fn client(shop: &Shop<'_>) -> Client {
    shop.governed().client()
}

/// Only its data namespace is left, and nothing that names the other's zone.
fn without_web(shop: &Shop<'_>) -> Value {
    json!({
        "namespaces": bare(shop, &["data"]),
        "access": Value::Null,
        "network": Value::Null,
    })
}

pub async fn a_namespace_that_leaves_is_released(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("releasing").await?;
    let web = shop.namespace("web");
    let kept = [shop.quota(), shop.limits(), shop.binding()];
    let former = web.uid().await?;
    shop.edit_and_converge(without_web(&shop)).await?;
    let status = shop
        .when("to list the released namespace", |status| {
            let names = status
                .released
                .iter()
                .map(|released| released.name.as_str());
            names.eq(["releasing-web"])
        })
        .await?;
    ensure!(status.namespaces.len() == 1);
    // It keeps its label, its policies and what is in it ...
    ensure!(web.at(&owner()).await? == "releasing");
    for object in &kept {
        object.read().await?;
    }
    let boundary = shop.policy("boundary");
    let selected = boundary.at("/spec/namespaceSelector").await?;
    ensure!(
        selected.to_string().contains("'releasing-web'"),
        "{selected}"
    );
    shop.event(
        "NamespaceReleased",
        &[
            "Namespace/releasing-web",
            "declare it again to take it back",
        ],
    )
    .await?;
    // ... which losing the label does not end,
    web.strip_label(OWNER).await?;
    shop.policy("deny").delete().await?;
    shop.policy("deny").appears().await?;
    for policy in [&boundary, &shop.policy("deny")] {
        let selected = policy.at("/spec/namespaceSelector").await?;
        ensure!(
            selected.to_string().contains("'releasing-web'"),
            "{selected}"
        );
    }
    ensure!(shop.status().await?.released.len() == 1);
    // ... and nobody puts back what changes in it,
    web.label("zone", "elsewhere").await?;
    kept[0]
        .merge(json!({"spec": {"hard": {"pods": "7"}}}))
        .await?;
    kept[2].delete().await?;
    // while its policies are put back.
    boundary.delete().await?;
    boundary.appears().await?;
    holds_for(
        SILENCE,
        "the released namespace is left alone",
        async || {
            ensure!(web.at("/metadata/labels/zone").await? == "elsewhere");
            ensure!(kept[0].at("/spec/hard/pods").await? == "7");
            ensure!(kept[2].look().await?.is_none());
            Ok(())
        },
    )
    .await?;

    // Back in the declaration it is taken back, though nothing may be adopted.
    let declared = e2e::shop::spec_with("releasing", json!({}));
    shop.edit_and_converge(declared).await?;
    for object in &kept {
        shop.is_back(object).await?;
    }
    shop.is_back(&web).await?;
    ensure!(web.uid().await? == former);
    ensure!(shop.status().await?.released.is_empty());
    ensure!(shop.events("NamespaceAdopted").await?.is_empty());
    Ok(())
}

fn owner() -> String {
    format!("/metadata/labels/{}", OWNER.replace('/', "~1"))
}

pub async fn a_released_namespace_may_be_claimed(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("claimed").await?;
    shop.edit_and_converge(without_web(&shop)).await?;
    let web = shop.namespace("web");
    let claim = json!({"namespaces": [{"name": shop.named("web"), "zone": "web"}]});
    let claimant = Shop::declare(&fixture.0, "claimed-2", {
        let mut amend = claim.clone();
        amend["network"] = Value::Null;
        amend
    })
    .await?;
    // Its adoptionPolicy is Never.
    claimant
        .says(
            "Stalled",
            "True",
            "NotAdopted",
            &[
                "claimed-web",
                "was the landing zone claimed's",
                "adoptionPolicy: Always",
            ],
        )
        .await?;
    ensure!(web.at(&owner()).await? == "claimed");

    claimant
        .edit_and_converge(json!({"adoptionPolicy": "Always"}))
        .await?;
    ensure!(web.at(&owner()).await? == "claimed-2");
    claimant
        .event("NamespaceAdopted", &["Namespace/claimed-web"])
        .await?;
    shop.when("to let go of the namespace", |status| {
        status.released.is_empty() && !status.inventory.contains(&"Namespace/claimed-web".into())
    })
    .await?;
    let boundary = shop.policy("boundary");
    eventually(e2e::shop::PATIENCE, "its policies to let go", async || {
        let selected = boundary.at("/spec/namespaceSelector").await?;
        ensure!(!selected.to_string().contains("claimed-web"), "{selected}");
        Ok(Some(()))
    })
    .await
}

pub async fn a_suspended_landing_zone_is_left_alone(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("suspended").await?;
    shop.edit(json!({"suspend": true})).await?;
    shop.says("Ready", "Unknown", "Suspended", &["set it to false"])
        .await?;
    shop.says("Stalled", "False", "Suspended", &[]).await?;
    let quota = shop.quota();
    quota.delete().await?;
    shop.namespace("web").strip_label("zone").await?;
    holds_for(SILENCE, "nothing is put back", async || {
        ensure!(quota.look().await?.is_none());
        Ok(())
    })
    .await?;
    shop.edit_and_converge(json!({"suspend": false})).await?;
    shop.is_back(&quota).await?;
    shop.is_back(&shop.namespace("web")).await
}

pub async fn stage_plan_changes_nothing(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let mark = governed.cluster.audit_log().mark()?;
    let shop = Shop::declare(governed, "planned", json!({"stage": "Plan"})).await?;
    let status = shop
        .says("Ready", "True", "PlanOnly", &["see status.plan"])
        .await?;
    for would in [
        "create Namespace/planned-web",
        "create ResourceQuota/planned-web/landing-zone",
        "create GlobalNetworkPolicy/default.landing-zone-planned-boundary",
    ] {
        ensure!(
            status.plan.iter().any(|line| line == would),
            "{:?}",
            status.plan
        );
    }
    holds_for(SILENCE, "the operator writes status only", async || {
        let writes = governed
            .cluster
            .audit_log()
            .writes_by(governed.operator_user(), mark)?;
        let foreign = writes.iter().find(|write| {
            let about = write.name.contains("planned") || write.namespace.contains("planned");
            about && write.subresource != "status"
        });
        ensure!(foreign.is_none(), "{foreign:?}");
        Ok(())
    })
    .await?;
    // What is in force is not changed either; the plan says what would be.
    shop.edit_and_converge(json!({"stage": "Enforce"})).await?;
    shop.edit(json!({"stage": "Plan"})).await?;
    shop.when("to plan nothing", |status| {
        let stage = status.effective.as_ref().map(|effective| effective.stage);
        status.plan.is_empty() && stage == Some(Stage::Plan)
    })
    .await?;
    // Nobody looks after it meanwhile.
    shop.says("NetworkEnforced", "Unknown", "PlanOnly", &["see Ready"])
        .await?;
    shop.edit(json!({"network": {"intraZone": "FlowsOnly"}}))
        .await?;
    let change = "change GlobalNetworkPolicy/default.landing-zone-planned-web-flows: spec.";
    shop.when("to plan the change, and say what it is", |status| {
        status.plan.iter().any(|line| line.starts_with(change))
    })
    .await?;
    shop.quota()
        .merge(json!({"spec": {"hard": {"pods": "500"}}}))
        .await?;
    shop.when("to plan the repair", |status| {
        status
            .plan
            .iter()
            .any(|line| line.contains("spec.hard.pods: 500, declared 50"))
    })
    .await?;
    ensure!(shop.quota().at("/spec/hard/pods").await? == "500");
    Ok(())
}

pub async fn the_application_code_cannot_be_changed(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("immutable").await?;
    let watched = Watched::since_now([shop.namespace("web"), shop.policy("boundary")]).await?;
    let refused = shop.edit(json!({"applicationCode": "another"})).await;
    let refusal = format!("{:#}", refused.err().context("it was changed")?);
    ensure!(refusal.contains("applicationCode"), "{refusal}");
    ensure!(refusal.contains(rule::IMMUTABLE_CODE), "{refusal}");
    watched.are_untouched().await
}

/// A zone is a label of its namespace: the policies follow.
pub async fn a_namespace_may_change_its_zone(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("rezoned").await?;
    let data = ObjectKey::namespace(shop.named("data"));
    shop.edit_and_converge(json!({
        "namespaces": [
            {"name": shop.named("web"), "zone": "web"},
            {"name": &*data.name, "zone": "store"},
        ],
        "network": {"flows": [
            {"name": "web-to-data", "from": {"zone": "web"}, "to": {"zone": "store"}},
        ]},
    }))
    .await?;
    let zone = shop.namespace("data").at("/metadata/labels/zone").await?;
    ensure!(zone == "store");
    shop.policy("store-flows").read().await?;
    shop.policy("data-flows").vanishes().await?;
    shop.counts_repairs(0).await
}
