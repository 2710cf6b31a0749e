//! What becomes of a landing zone that is deleted.

use anyhow::{Result, ensure};
use e2e::shop::{Shop, Watched};
use landing_zone_operator::api::names::{CONFIRM_DELETE, FINALIZER};
use landing_zone_operator::controller::Kind;
use serde_json::{Value, json};

use crate::Fixture;

pub async fn with_keep_everything_stays(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("kept").await?;
    let everything = shop.inventory().await?;
    let zone = fixture.0.zones().get("kept").await?;
    ensure!(zone.metadata.finalizers.unwrap_or_default().is_empty());
    // Kubernetes' controllers write quotas and namespaces besides; nobody writes these.
    let calm = everything
        .iter()
        .filter(|object| !matches!(object.key().kind, Kind::Namespace | Kind::ResourceQuota));
    let watched = Watched::since_now(calm.cloned()).await?;
    shop.close().await?;
    for object in &everything {
        shop.is_back(object).await?;
    }

    // Declared again under the same name it is taken back, though nothing may be adopted.
    shop.reopen(json!({})).await?;
    fixture.0.ready("kept").await?;
    watched.are_untouched().await?;
    ensure!(shop.inventory().await?.len() == everything.len());
    ensure!(shop.events("NamespaceAdopted").await?.is_empty());
    shop.quota().delete().await?;
    shop.puts_back(&shop.quota(), "deleted", None).await
}

async fn has_finalizer(shop: &Shop<'_>, expected: bool) -> Result<()> {
    let what = format!("{} to have a finalizer: {expected}", shop.name());
    e2e::eventually(e2e::shop::PATIENCE, &what, async || {
        let zone = shop.governed().zones().get(shop.name()).await?;
        let finalizers = zone.metadata.finalizers.unwrap_or_default();
        ensure!(finalizers.contains(&FINALIZER.to_owned()) == expected);
        Ok(Some(()))
    })
    .await
}

pub async fn a_finalizer_stands_while_delete_does(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("finalized").await?;
    shop.edit(json!({"deletePolicy": "Delete"})).await?;
    has_finalizer(&shop, true).await?;
    shop.edit(json!({"deletePolicy": "Keep"})).await?;
    has_finalizer(&shop, false).await?;
    shop.close().await?;
    shop.namespace("web").read().await?;
    Ok(())
}

fn delete() -> Value {
    json!({"deletePolicy": "Delete"})
}

pub async fn unused_namespaces_are_deleted(fixture: &Fixture) -> Result<()> {
    let bystander = fixture.shop("bystander").await?;
    let watched = Watched::since_now(bystander.policies().await?).await?;
    let shop = Shop::open_with(&fixture.0, "deleted", delete()).await?;
    let everything = shop.inventory().await?;
    shop.close().await?;
    for object in &everything {
        object.vanishes().await?;
    }
    watched.are_untouched().await?;
    for object in bystander.inventory().await? {
        bystander.is_back(&object).await?;
    }
    Ok(())
}

pub async fn namespaces_in_use_need_confirmation(fixture: &Fixture) -> Result<()> {
    let shop = Shop::open_with(&fixture.0, "in-use", delete()).await?;
    let inside = |name: &str, part: &str| json!({"name": name, "namespace": shop.named(part)});
    let restricted = json!({
        "allowPrivilegeEscalation": false, "runAsNonRoot": true,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    });
    let pod = shop
        .somebody_creates(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": inside("till", "web"),
            "spec": {"automountServiceAccountToken": false, "containers": [
                {"name": "till", "image": "till:1", "securityContext": restricted,
                 "resources": {"requests": {"cpu": "100m"}}},
            ]},
        }))
        .await?;
    let claim = shop
        .somebody_creates(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": inside("goods", "data"),
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }))
        .await?;
    // Holds the namespace up, so that its policies can be looked at meanwhile.
    let held = shop
        .somebody_creates(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "held", "namespace": shop.named("web"),
                "finalizers": ["example.com/held"],
            },
        }))
        .await?;
    let everything = shop.inventory().await?;
    fixture.0.withdraw("in-use").await?;
    shop.says(
        "Stalled",
        "True",
        "ConfirmationNeeded",
        &[
            "pods in in-use-web (till)",
            "persistentvolumeclaims in in-use-data (goods)",
            "kubectl annotate --overwrite landingzone in-use landingzones.dev/confirm-delete=in-use",
        ],
    )
    .await?;
    // A confirmation of something else is none.
    let confirm = |name: &str| json!({"metadata": {"annotations": {CONFIRM_DELETE: name}}});
    shop.amend(confirm("another")).await?;
    let heard = ["it says \"another\" now, which confirms nothing"];
    shop.says("Stalled", "True", "ConfirmationNeeded", &heard)
        .await?;
    e2e::holds_for(
        std::time::Duration::from_secs(2),
        "nothing is deleted",
        async || {
            for object in everything.iter().chain([&pod, &claim]) {
                ensure!(object.at("/metadata/deletionTimestamp").await?.is_null());
            }
            Ok(())
        },
    )
    .await?;
    shop.amend(confirm("in-use")).await?;
    pod.vanishes().await?;
    shop.namespace("data").vanishes().await?;
    // The policies outlive the namespaces.
    for object in everything
        .iter()
        .filter(|object| object.key().kind.is_policy())
    {
        ensure!(object.at("/metadata/deletionTimestamp").await?.is_null());
    }
    held.merge(json!({"metadata": {"finalizers": Value::Null}}))
        .await?;
    shop.is_closed().await?;
    for object in &everything {
        object.vanishes().await?;
    }
    Ok(())
}

/// A confirmation may take days. Nothing opens meanwhile; and who clears up by hand is let do so.
pub async fn what_waits_for_a_confirmation_is_kept_in_order(fixture: &Fixture) -> Result<()> {
    let shop = Shop::open_with(&fixture.0, "waiting", delete()).await?;
    shop.somebody_creates(json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "goods", "namespace": shop.named("web")},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }))
    .await?;
    fixture.0.withdraw("waiting").await?;
    shop.says(
        "Stalled",
        "True",
        "ConfirmationNeeded",
        &["persistentvolumeclaims in waiting-web (goods)"],
    )
    .await?;
    shop.policy("boundary").delete().await?;
    shop.puts_back(&shop.policy("boundary"), "deleted", None)
        .await?;
    shop.namespace("web")
        .strip_label("pod-security.kubernetes.io/enforce")
        .await?;
    shop.is_back(&shop.namespace("web")).await?;
    let data = shop.namespace("data");
    data.delete().await?;
    data.vanishes().await?;
    e2e::holds_for(
        std::time::Duration::from_secs(2),
        "the namespace stays gone",
        async || {
            ensure!(data.look().await?.is_none());
            shop.policy("boundary").read().await.map(drop)
        },
    )
    .await?;
    shop.says("Stalled", "True", "ConfirmationNeeded", &["(goods)"])
        .await?;
    ensure!(shop.events("NamespaceLost").await?.is_empty());
    let confirm = json!({"metadata": {"annotations": {CONFIRM_DELETE: "waiting"}}});
    shop.amend(confirm).await?;
    shop.is_closed().await
}

/// It is no longer declared, so it is not deleted, and what holds its boundary stays.
pub async fn a_released_namespace_outlives_deletion(fixture: &Fixture) -> Result<()> {
    let shop = Shop::open_with(&fixture.0, "outliving", delete()).await?;
    shop.edit_and_converge(json!({
        "namespaces": [{"name": shop.named("data"), "zone": "data"}],
        "access": Value::Null,
        "network": Value::Null,
    }))
    .await?;
    let web = shop.namespace("web");
    let quota = shop.quota();
    shop.close().await?;
    shop.namespace("data").vanishes().await?;
    ensure!(web.at("/metadata/deletionTimestamp").await?.is_null());
    quota.read().await?;
    shop.policy("boundary").read().await?;
    Ok(())
}

/// Deleted with Keep and declared again, a landing zone knows which namespaces it had released, as it would after a restart of
/// the operator: they stay behind its boundary.
pub async fn what_was_released_is_known_when_it_is_declared_again(fixture: &Fixture) -> Result<()> {
    let shop = fixture.shop("again").await?;
    let without_data = json!({
        "namespaces": [{"name": shop.named("web"), "zone": "web"}],
        "access": Value::Null, "network": Value::Null, "deletePolicy": "Delete",
    });
    shop.edit_and_converge(without_data.clone()).await?;
    let boundary = shop.policy("boundary").content().await?;
    ensure!(boundary.to_string().contains("again-data"), "{boundary}");
    shop.edit(json!({"deletePolicy": "Keep"})).await?;
    shop.close().await?;
    shop.reopen(without_data).await?;
    fixture.0.ready("again").await?;
    let status = shop.status().await?;
    let released: Vec<_> = status.released.iter().map(|it| &it.name).collect();
    ensure!(released == ["again-data"], "{released:?}");
    let now = shop.policy("boundary").content().await?;
    ensure!(now == boundary, "it was {boundary}, is {now}");
    Ok(())
}
