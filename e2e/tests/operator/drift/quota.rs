//! Quotas and limits.

use anyhow::Result;
use e2e::shop::MALLORY;
use landing_zone_operator::api::names::OWNER;
use serde_json::{Value, json};

use crate::Fixture;

pub async fn a_raised_quota_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("quota-raised").await?;
    let quota = shop.quota();
    quota
        .merge(json!({"spec": {"hard": {"pods": "500"}}}))
        .await?;
    shop.puts_back(&quota, "spec.hard.pods: 500, declared 50", Some(MALLORY))
        .await?;
    shop.counts_repairs(1).await
}

pub async fn a_key_added_to_a_quota_goes(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("quota-key").await?;
    let quota = shop.quota();
    quota
        .merge(json!({"spec": {"hard": {"secrets": "0"}}}))
        .await?;
    shop.puts_back(&quota, "spec.hard.secrets: added, 0", Some(MALLORY))
        .await?;
    shop.counts_repairs(1).await
}

pub async fn a_key_removed_from_a_quota_comes_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("quota-key-removed").await?;
    let quota = shop.quota();
    quota
        .merge(json!({"spec": {"hard": {"pods": Value::Null}}}))
        .await?;
    shop.puts_back(&quota, "spec.hard.pods: removed, declared 50", None)
        .await?;
    shop.counts_repairs(1).await
}

pub async fn a_quota_stripped_of_its_label_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("quota-label").await?;
    let quota = shop.quota();
    quota.strip_label(OWNER).await?;
    shop.puts_back(&quota, "removed, declared quota-label", None)
        .await?;
    shop.counts_repairs(1).await
}

pub async fn a_deleted_quota_comes_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("quota-deleted").await?;
    let quota = shop.quota();
    quota.delete().await?;
    shop.puts_back(&quota, "deleted", None).await?;
    shop.counts_repairs(1).await
}

/// A quota of the same name with other marks is no way around ours.
pub async fn a_quota_replaced_by_the_teams_own_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("quota-swapped").await?;
    let quota = shop.quota();
    quota
        .swap(json!({
            "metadata": {"labels": Value::Null},
            "spec": {"hard": {"pods": "500"}},
        }))
        .await?;
    shop.puts_back(&quota, "spec.hard.pods: 500, declared 50", Some(MALLORY))
        .await
}

pub async fn deleted_limits_come_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("limits-deleted").await?;
    let limits = shop.limits();
    limits.delete().await?;
    shop.puts_back(&limits, "deleted", None).await?;
    shop.counts_repairs(1).await
}

pub async fn changed_limits_are_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("limits-changed").await?;
    let limits = shop.limits();
    limits
        .change(json!({"op": "replace", "path": "/spec/limits/0/max/cpu", "value": "64"}))
        .await?;
    shop.puts_back(
        &limits,
        "spec.limits[0].max.cpu: 64, declared 2",
        Some(MALLORY),
    )
    .await?;
    shop.counts_repairs(1).await
}
