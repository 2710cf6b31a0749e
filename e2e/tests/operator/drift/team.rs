//! What belongs to the team stays, whatever is put back around it.

use anyhow::{Result, ensure};
use e2e::governed::condition;
use e2e::shop::Watched;
use landing_zone_operator::api::names::{MANAGED_BY, MANAGER, OWNER};
use serde_json::json;

use crate::Fixture;

pub async fn the_teams_objects_stay(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("team").await?;
    let (web, quota) = (shop.namespace("web"), shop.quota());
    let inside = |name: &str| json!({"name": name, "namespace": shop.named("web")});
    let theirs = [
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": inside("ours"),
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
        }),
        json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy",
            "metadata": inside("default.ours"),
            "spec": {"order": 500, "selector": "all()", "types": ["Ingress"]},
        }),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": inside("password")}),
        json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": inside("ours"),
            "spec": {"hard": {"configmaps": "10"}},
        }),
    ];
    let mut objects = Vec::new();
    for manifest in theirs {
        objects.push(shop.somebody_creates(manifest).await?);
    }
    for object in [&web, &quota] {
        object.label("team", "blue").await?;
        object.annotate("example.com/note", "ours").await?;
    }
    // Namespaces and quotas are written by Kubernetes' controllers too; these are not.
    let controlled = objects.pop();
    let watched = Watched::since_now(objects).await?;

    quota
        .merge(json!({"spec": {"hard": {"pods": "500"}}}))
        .await?;
    web.strip_label("zone").await?;
    shop.policy("boundary").delete().await?;
    shop.counts_repairs(3).await?;

    quota.becomes("/spec/hard/pods", json!("50")).await?;
    web.becomes("/metadata/labels/zone", json!("web")).await?;
    for object in [&web, &quota] {
        ensure!(object.at("/metadata/labels/team").await? == "blue");
        let note = object.at("/metadata/annotations/example.com~1note").await?;
        ensure!(note == "ours");
    }
    watched.are_untouched().await?;
    let hard = controlled.map(|quota| async move { quota.at("/spec/hard/configmaps").await });
    ensure!(hard.is_some());
    if let Some(hard) = hard {
        ensure!(hard.await? == "10");
    }
    Ok(())
}

/// Whoever can set a label puts nothing under the operator's hand with it, neither to change nor to
/// prune nor to select. A namespace with it is closed by name, and told, until the label is gone.
pub async fn a_forged_label_takes_nothing_in(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("taken-in").await?;
    let marks = json!({OWNER: "taken-in", MANAGED_BY: MANAGER, "zone": "web"});
    let stranger = shop
        .somebody_creates(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "stranger", "labels": marks},
        }))
        .await?;
    let theirs = [
        json!({
            "apiVersion": "v1", "kind": "LimitRange",
            "metadata": {"name": "landing-zone", "namespace": "stranger", "labels": marks},
            "spec": {"limits": []},
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "theirs", "namespace": shop.named("web"), "labels": marks},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view",
            },
        }),
        json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy",
            "metadata": {"name": "default.theirs", "labels": marks},
            "spec": {"order": 5000, "selector": "all()", "types": ["Ingress"]},
        }),
    ];
    let mut objects = Vec::new();
    for manifest in theirs {
        objects.push(shop.somebody_creates(manifest).await?);
    }
    let watched = Watched::since_now(objects).await?;
    let labels = stranger.at("/metadata/labels").await?;

    shop.edit_and_converge(json!({"labels": {"costCenter": "4712"}}))
        .await?;
    shop.policy("boundary").delete().await?;
    shop.puts_back(&shop.policy("boundary"), "deleted", None)
        .await?;
    watched.are_untouched().await?;
    ensure!(stranger.at("/metadata/labels").await? == labels);
    let status = shop.status().await?;
    ensure!(status.released.is_empty(), "{:?}", status.released);
    for policy in shop.policies().await? {
        let selected = policy.at("/spec/namespaceSelector").await?.to_string();
        ensure!(!selected.contains("stranger"), "{selected}");
    }
    let closed = shop.policy("pretenders");
    let peer = closed
        .at("/spec/ingress/0/source/namespaceSelector")
        .await?;
    ensure!(peer.to_string().contains("stranger"), "{peer}");
    let told = ["closed by name", "stranger"];
    shop.says("NetworkEnforced", "True", "Calico", &told)
        .await?;
    stranger.strip_label(OWNER).await?;
    closed.vanishes().await?;
    let told = "to say nothing of it any more";
    let quiet = shop.governed().zone_when(shop.name(), told, |_, status| {
        let enforced = condition(status, "NetworkEnforced");
        enforced.is_some_and(|(state, _, message)| state == "True" && !message.contains("stranger"))
    });
    quiet.await.map(drop)
}
