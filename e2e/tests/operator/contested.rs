//! Two writers over one object.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::shop::{MALLORY, Object};
use e2e::{eventually, holds_for};
use serde_json::json;

use crate::Fixture;

/// Rounds in a minute after which an object is contested.
const ROUNDS: u32 = 5;
const PAUSE: Duration = Duration::from_mins(1);

async fn raise(quota: &Object, pods: u32) -> Result<()> {
    let hard = json!({"pods": pods.to_string()});
    quota.merge(json!({"spec": {"hard": hard}})).await?;
    Ok(())
}

pub async fn a_fight_over_a_quota_slows_down(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("fight-quota").await?;
    let quota = shop.quota();
    for round in 0..ROUNDS {
        raise(&quota, 500 + round).await?;
        shop.is_back(&quota).await?;
    }
    let last_repair = Instant::now();
    let object = quota.key().to_string();
    let named = [MALLORY, object.as_str(), "once a minute"];
    shop.says("Contested", "True", "OtherWriter", &named)
        .await?;

    raise(&quota, 600).await?;
    holds_for(Duration::from_secs(20), "the operator waits", async || {
        ensure!(quota.at("/spec/hard/pods").await? == "600");
        Ok(())
    })
    .await?;
    // Nothing else of the landing zone waits.
    let boundary = shop.policy("boundary");
    boundary.delete().await?;
    shop.puts_back(&boundary, "deleted", None).await?;

    eventually(PAUSE, "the repair of the next minute", async || {
        ensure!(quota.at("/spec/hard/pods").await? == "50");
        Ok(Some(()))
    })
    .await?;
    // The clock of the test began a moment after the operator's.
    let waited = last_repair.elapsed();
    ensure!(waited + Duration::from_secs(3) > PAUSE, "{waited:?}");

    shop.reports(&quota, "spec.hard.pods: 600, declared 50", Some(MALLORY))
        .await?;
    shop.event("Contested", &named).await?;
    let contested = shop.events("Contested").await?;
    ensure!(contested.len() == 1, "{contested:?}");
    let ready = shop.events("Ready").await?;
    ensure!(ready.len() == 1, "{ready:?}");
    Ok(())
}

/// A team must not buy open minutes by changing often.
pub async fn a_fight_over_a_binding_never_slows_down(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("fight-binding").await?;
    let binding = shop.binding();
    let subject =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"});
    let began = Instant::now();
    for round in 0..20 {
        binding
            .change(json!({"op": "add", "path": "/subjects/-", "value": subject}))
            .await?;
        let what = format!("the repair of round {round}");
        eventually(Duration::from_secs(1), &what, async || {
            let subjects = binding.at("/subjects").await?;
            ensure!(subjects.as_array().is_some_and(|all| all.len() == 1));
            Ok(Some(()))
        })
        .await?;
    }
    let object = binding.key().to_string();
    shop.says(
        "Contested",
        "True",
        "OtherWriter",
        &[MALLORY, &object, "at once"],
    )
    .await?;
    shop.counts_repairs(20).await?;
    shop.event("Contested", &[MALLORY, &object]).await?;
    let contested = shop.events("Contested").await?;
    ensure!(contested.len() == 1, "{contested:?}");
    // Gathered: at most one in 5 s, the first at once and the last after the end.
    let told = u64::try_from(shop.events("DriftRepaired").await?.len())?;
    let most = began.elapsed().as_secs() / 5 + 2;
    ensure!(told <= most, "{told} events");
    Ok(())
}
