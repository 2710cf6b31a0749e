//! Policies.

use anyhow::{Result, ensure};
use e2e::shop::MALLORY;
use landing_zone_operator::api::names::OWNER;
use landing_zone_operator::controller::Kind;
use serde_json::{Value, json};

use crate::Fixture;

pub async fn an_added_rule_goes(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("rule-added").await?;
    let boundary = shop.policy("boundary");
    boundary
        .change(json!({"op": "add", "path": "/spec/ingress/0", "value": {"action": "Allow"}}))
        .await?;
    shop.puts_back(
        &boundary,
        "spec.ingress: 3 entries, declared 2",
        Some(MALLORY),
    )
    .await?;
    shop.counts_repairs(1).await
}

/// It narrows whom the policy selects, and server-side apply would not see it.
pub async fn an_added_selector_goes(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("selector-added").await?;
    let boundary = shop.policy("boundary");
    boundary
        .merge(json!({"spec": {"serviceAccountSelector": "role == 'nobody'"}}))
        .await?;
    let change = "spec.serviceAccountSelector: added, role == 'nobody'";
    shop.puts_back(&boundary, change, Some(MALLORY)).await?;
    shop.counts_repairs(1).await
}

pub async fn an_added_field_goes(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("field-added").await?;
    let boundary = shop.policy("boundary");
    boundary
        .merge(json!({"spec": {"applyOnForward": true, "preDNAT": true}}))
        .await?;
    shop.puts_back(&boundary, "spec.preDNAT: added, true", Some(MALLORY))
        .await?;
    shop.counts_repairs(1).await
}

pub async fn dropped_types_come_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("types-dropped").await?;
    let deny = shop.policy("deny");
    deny.merge(json!({"spec": {"types": Value::Null}})).await?;
    shop.puts_back(&deny, "spec.types: removed", None).await?;
    shop.counts_repairs(1).await
}

/// Without it the policy looks deleted in a watch that selects by it.
pub async fn a_policy_stripped_of_its_label_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("policy-label").await?;
    let boundary = shop.policy("boundary");
    let former = boundary.uid().await?;
    boundary.strip_label(OWNER).await?;
    shop.puts_back(&boundary, "removed, declared policy-label", None)
        .await?;
    ensure!(boundary.uid().await? == former, "it was created anew");
    shop.counts_repairs(1).await
}

/// Stripped and opened by the same write.
pub async fn a_policy_opened_under_no_label_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("policy-opened").await?;
    let boundary = shop.policy("boundary");
    boundary
        .merge(json!({
            "metadata": {"labels": Value::Null},
            "spec": {"ingress": [{"action": "Allow"}]},
        }))
        .await?;
    shop.puts_back(&boundary, "spec.ingress", Some(MALLORY))
        .await?;
    shop.counts_repairs(1).await
}

pub async fn a_deleted_policy_comes_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("policy-deleted").await?;
    let boundary = shop.policy("boundary");
    boundary.delete().await?;
    shop.puts_back(&boundary, "deleted", None).await?;
    shop.counts_repairs(1).await
}

pub async fn all_policies_deleted_at_once_come_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("policies-deleted").await?;
    let policies = shop.policies().await?;
    let deletions = policies.iter().map(e2e::shop::Object::delete);
    futures::future::try_join_all(deletions).await?;
    for policy in &policies {
        shop.puts_back(policy, "deleted", None).await?;
    }
    let back = shop.labelled(Kind::GlobalNetworkPolicy).await?;
    ensure!(back.len() == policies.len(), "{back:?}");
    shop.counts_repairs(i64::try_from(policies.len())?).await
}
