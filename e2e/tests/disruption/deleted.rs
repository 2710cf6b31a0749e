//! What people do to declarations in haste.

use anyhow::{Context, Result, ensure};
use e2e::shop::{Object, PATIENCE, Shop};
use e2e::{Calico, Governed, OperatorOptions, eventually, holds_for, install, workspace};
use kube::api::{DeleteParams, Preconditions};
use landing_zone_operator::controller::Kind;
use serde_json::{Value, json};
use std::time::Duration;

/// Longer than the operator takes to look at a landing zone again.
const A_WHILE: Duration = Duration::from_secs(3);

async fn with_the_right_to_delete() -> Result<Governed> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let right = workspace::root().join("config/namespace-deletion");
    install::apply_manifests(&governed.client(), &right).await?;
    Ok(governed)
}

/// Something of the team's, which makes its namespace one in use.
async fn in_use(shop: &Shop<'_>) -> Result<Object> {
    shop.somebody_creates(json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "goods", "namespace": shop.named("web")},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }))
    .await
}

/// Which namespaces there are, by their identity.
async fn identities(objects: &[Object]) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for object in objects {
        if object.key().kind == Kind::Namespace {
            all.push(object.uid().await?);
        }
    }
    ensure!(!all.is_empty(), "no namespaces");
    Ok(all)
}

/// Fails where an object is gone or goes.
async fn are_there(objects: &[Object]) -> Result<()> {
    for object in objects {
        let goes = object.at("/metadata/deletionTimestamp").await?;
        ensure!(goes.is_null(), "{} goes", object.key());
    }
    Ok(())
}

/// `kubectl delete landingzones --all`, and Git applies them again.
pub async fn deleting_all_landing_zones_takes_no_namespace_in_use((): &()) -> Result<()> {
    let governed = with_the_right_to_delete().await?;
    let kept = Shop::open(&governed, "all-kept").await?;
    let confirmed = json!({"deletePolicy": "Delete"});
    let waiting = Shop::open_with(&governed, "all-waiting", confirmed.clone()).await?;
    let goods = in_use(&waiting).await?;
    let (kept_objects, waiting_objects) = (kept.inventory().await?, waiting.inventory().await?);
    let before = [
        identities(&kept_objects).await?,
        identities(&waiting_objects).await?,
    ];

    let all = ["delete", "landingzones", "--all", "--wait=false"];
    governed.cluster.kubectl(all).await?;
    let heard = ["persistentvolumeclaims in all-waiting-web (goods)"];
    waiting
        .says("Stalled", "True", "ConfirmationNeeded", &heard)
        .await?;
    kept.is_closed().await?;
    holds_for(A_WHILE, "nothing is deleted", async || {
        are_there(&kept_objects).await?;
        are_there(&waiting_objects).await?;
        goods.read().await.map(drop)
    })
    .await?;

    // Whoever did not mean it keeps the namespaces, and declares both again.
    waiting.edit(json!({"deletePolicy": "Keep"})).await?;
    waiting.is_closed().await?;
    kept.reopen(json!({})).await?;
    waiting.reopen(confirmed).await?;
    governed.ready("all-kept").await?;
    governed.ready("all-waiting").await?;
    let after = [
        identities(&kept_objects).await?,
        identities(&waiting_objects).await?,
    ];
    ensure!(
        before == after,
        "there were {before:?}, there are {after:?}"
    );
    goods.read().await?;
    governed.stop().await
}

/// The API server refuses it, and nothing has begun.
pub async fn deleting_what_has_changed_since_deletes_nothing((): &()) -> Result<()> {
    let governed = with_the_right_to_delete().await?;
    let shop = Shop::open_with(&governed, "changed", json!({"deletePolicy": "Delete"})).await?;
    let objects = shop.inventory().await?;
    let zones = governed.zones();
    let old = zones.get("changed").await?.metadata.resource_version;
    shop.edit_and_converge(json!({"contact": "other@example.com"}))
        .await?;
    let only_the_old = DeleteParams {
        preconditions: Some(Preconditions {
            resource_version: old,
            uid: None,
        }),
        ..DeleteParams::default()
    };
    let refused = zones.delete("changed", &only_the_old).await;
    ensure!(
        matches!(&refused, Err(kube::Error::Api(status)) if status.code == 409),
        "{refused:?}"
    );
    holds_for(A_WHILE, "nothing is deleted", async || {
        are_there(&objects).await
    })
    .await?;
    governed.ready("changed").await?;
    governed.stop().await
}

/// Somebody is tired of waiting. What the finalizer stood for does not happen then.
pub async fn a_finalizer_removed_by_hand_deletes_nothing((): &()) -> Result<()> {
    let governed = with_the_right_to_delete().await?;
    let shop = Shop::open_with(&governed, "by-hand", json!({"deletePolicy": "Delete"})).await?;
    let goods = in_use(&shop).await?;
    let objects = shop.inventory().await?;
    let before = identities(&objects).await?;
    governed.withdraw("by-hand").await?;
    shop.says("Stalled", "True", "ConfirmationNeeded", &["(goods)"])
        .await?;
    // It may be put back as long as the landing zone is there: once more then.
    eventually(PATIENCE, "the landing zone to be gone", async || {
        let gone = governed.zones().get_opt("by-hand").await?.is_none();
        if !gone {
            let nothing = json!({"metadata": {"finalizers": Value::Null}});
            shop.amend(nothing).await.context("not yet")?;
        }
        Ok(gone.then_some(()))
    })
    .await?;
    holds_for(A_WHILE, "nothing is deleted", async || {
        are_there(&objects).await?;
        goods.read().await.map(drop)
    })
    .await?;

    shop.reopen(json!({})).await?;
    governed.ready("by-hand").await?;
    let after = identities(&objects).await?;
    ensure!(
        before == after,
        "there were {before:?}, there are {after:?}"
    );
    ensure!(shop.events("NamespaceLost").await?.is_empty());
    shop.quota().delete().await?;
    shop.is_back(&shop.quota()).await?;
    governed.stop().await
}
