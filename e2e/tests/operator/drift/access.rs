//! Bindings.

use anyhow::Result;
use e2e::shop::MALLORY;
use landing_zone_operator::controller::Kind;
use serde_json::{Value, json};

use crate::Fixture;

fn mallory() -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"})
}

pub async fn an_added_subject_goes(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("subject-added").await?;
    let binding = shop.binding();
    binding
        .change(json!({"op": "add", "path": "/subjects/-", "value": mallory()}))
        .await?;
    shop.puts_back(&binding, "subjects: 2 entries, declared 1", Some(MALLORY))
        .await?;
    shop.counts_repairs(1).await
}

/// The role of a binding cannot be changed: somebody deletes it and creates another.
pub async fn a_swapped_role_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("role-swapped").await?;
    let binding = shop.binding();
    binding
        .swap(json!({"roleRef": {"name": "cluster-admin"}}))
        .await?;
    let change = "roleRef.name: cluster-admin, declared edit";
    shop.puts_back(&binding, change, Some(MALLORY)).await
}

/// Without our labels the watch sees a deletion only.
pub async fn a_swapped_role_without_our_labels_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("role-swapped-bare").await?;
    let binding = shop.binding();
    binding
        .swap(json!({
            "metadata": {"labels": Value::Null},
            "roleRef": {"name": "cluster-admin"},
            "subjects": [mallory()],
        }))
        .await?;
    let change = "roleRef.name: cluster-admin, declared edit";
    shop.puts_back(&binding, change, Some(MALLORY)).await
}

pub async fn a_deleted_binding_comes_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("binding-deleted").await?;
    let binding = shop.binding();
    binding.delete().await?;
    shop.puts_back(&binding, "deleted", None).await?;
    shop.counts_repairs(1).await
}

/// What lets the subjects read their own landing zone must not let them read others.
pub async fn a_widened_reader_role_is_put_back(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("reader-widened").await?;
    let name = "landing-zone-reader-widened-reader";
    let role = shop.object(Kind::ClusterRole, name);
    role.change(json!({"op": "remove", "path": "/rules/0/resourceNames"}))
        .await?;
    shop.puts_back(&role, "rules[0].resourceNames: removed", None)
        .await?;
    let binding = shop.object(Kind::ClusterRoleBinding, name);
    binding
        .change(json!({"op": "add", "path": "/subjects/-", "value": mallory()}))
        .await?;
    shop.puts_back(&binding, "subjects: 2 entries, declared 1", Some(MALLORY))
        .await?;
    binding.delete().await?;
    shop.puts_back(&binding, "deleted", None).await
}
