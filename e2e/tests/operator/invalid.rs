//! Declarations that the schema lets pass and that are not valid.

use anyhow::{Result, ensure};
use e2e::shop::{Shop, Watched};
use serde_json::{Value, json};

use crate::Fixture;

fn admin_of_all() -> Value {
    json!([{"kind": "Group", "name": "developers", "role": "cluster-admin"}])
}

const TEXTS: [&str; 4] = [
    "spec.access[0].role",
    "\"cluster-admin\"",
    "is not a role that the platform allows",
    "--allowed-role",
];

pub async fn a_role_that_is_not_allowed_stalls_only_its_landing_zone(
    fixture: &Fixture,
) -> Result<()> {
    let shop = Shop::declare(&fixture.0, "invalid", json!({"access": admin_of_all()})).await?;
    shop.says("Stalled", "True", "Invalid", &TEXTS).await?;
    shop.says("Ready", "False", "Invalid", &TEXTS).await?;
    shop.event("NotReady", &TEXTS).await?;
    ensure!(shop.namespace("web").look().await?.is_none());
    ensure!(shop.policy("boundary").look().await?.is_none());
    // Others go on.
    let other = fixture.shop("invalid-neighbour").await?;
    other.quota().delete().await?;
    other.puts_back(&other.quota(), "deleted", None).await?;
    // The way out works.
    shop.edit_and_converge(json!({"access": Value::Null}))
        .await?;
    Ok(())
}

pub async fn what_is_in_force_stays_when_an_edit_is_invalid(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("invalidated").await?;
    let everything = shop.inventory().await?;
    let calm = [shop.policy("boundary"), shop.binding(), shop.limits()];
    let watched = Watched::since_now(calm).await?;
    // Half of the edit would be valid.
    shop.edit(json!({"access": admin_of_all(), "labels": {"costCenter": "1"}}))
        .await?;
    shop.says("Stalled", "True", "Invalid", &TEXTS).await?;
    for object in &everything {
        shop.is_back(object).await?;
    }
    watched.are_untouched().await?;
    // What was declared before is still kept in order, and the status says so.
    let kept = ["what was declared before is kept in order meanwhile"];
    shop.says("Ready", "False", "Invalid", &kept).await?;
    shop.policy("boundary").delete().await?;
    shop.puts_back(&shop.policy("boundary"), "deleted", None)
        .await?;
    shop.quota().delete().await?;
    shop.puts_back(&shop.quota(), "deleted", None).await?;
    shop.says("NetworkEnforced", "True", "Calico", &["in place"])
        .await?;
    // As quickly as ever, however often somebody deletes it.
    for _ in 0..8 {
        let boundary = shop.policy("boundary");
        let former = boundary.uid().await?;
        boundary.delete().await?;
        e2e::eventually(
            std::time::Duration::from_secs(5),
            "the boundary to be back",
            async || {
                let found = boundary.look().await?;
                let uid = found.map(|found| found["metadata"]["uid"].clone());
                Ok((uid.is_some() && uid != Some(former.clone())).then_some(()))
            },
        )
        .await?;
    }
    Ok(())
}
