//! Whoever may write namespaces may also call himself as the operator does: by its field manager nobody is told from it.
//! Admission refuses the label from others; these are what was labelled before, or without it.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::holds_for;
use e2e::shop::Shop;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use landing_zone_operator::api::names::{MANAGED_BY, MANAGER, OWNER};
use serde_json::{Value, json};

use crate::Fixture;

/// How long it is watched that nothing happens; the operator acts within milliseconds.
const SILENCE: Duration = Duration::from_secs(3);

fn namespaces(fixture: &Fixture) -> Api<Namespace> {
    Api::all(fixture.0.client())
}

/// Fails unless the selectors of policies are as a test wants them.
async fn selects(shop: &Shop<'_>, wanted: impl Fn(&str) -> bool) -> Result<()> {
    for purpose in ["boundary", "deny"] {
        let policy = shop.policy(purpose);
        let selected = policy.at("/spec/namespaceSelector").await?.to_string();
        ensure!(wanted(&selected), "{purpose}: {selected}");
    }
    Ok(())
}

/// It would be behind the boundary, and among the pods there.
pub async fn a_label_under_the_operators_name_takes_nothing_in(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("posing").await?;
    let labels = json!({OWNER: "posing", MANAGED_BY: MANAGER, "zone": "web"});
    let poser: Namespace =
        serde_json::from_value(json!({"metadata": {"name": "poser", "labels": labels}}))?;
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    namespaces(fixture).create(&params, &poser).await?;
    let told = ["closed by name", "poser"];
    shop.says("NetworkEnforced", "True", "Calico", &told)
        .await?;
    let status = shop.status().await?;
    ensure!(status.released.is_empty(), "{:?}", status.released);
    let closed = shop.policy("pretenders");
    let peer = closed
        .at("/spec/ingress/0/source/namespaceSelector")
        .await?;
    ensure!(peer.to_string().contains("poser"), "{peer}");
    holds_for(SILENCE, "no policy selects it", async || {
        selects(&shop, |it| !it.contains("poser")).await
    })
    .await
}

/// It would be outside its boundary, with nobody's policies.
pub async fn a_label_under_the_operators_name_takes_nothing_out(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("fleeing").await?;
    let data = json!({"namespaces": [{"name": "fleeing-data", "zone": "data"}], "network": Value::Null,
        "access": Value::Null});
    shop.edit_and_converge(data).await?;
    let is_released = |what: &'static str| {
        shop.when(what, |status| {
            let names = status.released.iter().map(|it| it.name.as_str());
            names.eq(["fleeing-web"])
        })
    };
    is_released("to release the namespace").await?;
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let elsewhere = Patch::Merge(json!({"metadata": {"labels": {OWNER: "elsewhere"}}}));
    namespaces(fixture)
        .patch("fleeing-web", &params, &elsewhere)
        .await?;
    // A round that has seen it.
    shop.edit_and_converge(json!({"labels": {"costCenter": "4712"}}))
        .await?;
    is_released("to hold on to the namespace").await?;
    holds_for(SILENCE, "its policies select it", async || {
        selects(&shop, |it| it.contains("'fleeing-web'")).await
    })
    .await
}
