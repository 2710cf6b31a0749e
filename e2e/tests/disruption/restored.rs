//! The cluster is put back to what it was an hour ago, while the operator goes on.

use anyhow::{Result, ensure};
use e2e::governed::CONVERGED;
use e2e::shop::Shop;
use e2e::{Calico, Governed, OperatorOptions, OperatorProcess, eventually, install, workspace};
use kube::ResourceExt;
use serde_json::{Value, json};

/// What the operator remembers of the time since is no reason to delete anything, and no reason not to see what comes.
/// Versions of objects are given out a second time, so that watches that ask for what came after the last one that they saw are
/// told nothing: so it ends, and starts anew with what is there.
pub async fn a_cluster_put_back_to_an_hour_ago_loses_nothing((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    // One that waits must not take over with what it remembers, either.
    let waiting = OperatorOptions {
        name: Some("waiting".to_owned()),
        ..OperatorOptions::default()
    };
    let waiting = OperatorProcess::start(&governed.cluster, waiting).await?;
    waiting.wait_until_ready(CONVERGED).await?;
    let right = workspace::root().join("config/namespace-deletion");
    install::apply_manifests(&governed.client(), &right).await?;
    let delete = json!({"deletePolicy": "Delete"});
    let without_data = json!({
        "namespaces": [{"name": "hour-web", "zone": "web"}],
        "access": Value::Null, "network": Value::Null, "deletePolicy": "Delete",
    });
    let (identities, everything) = {
        let shop = Shop::open_with(&governed, "hour", delete.clone()).await?;
        Shop::open_with(&governed, "gone", delete.clone()).await?;
        let all = shop.inventory().await?;
        let uids = [
            shop.namespace("web").uid().await?,
            shop.namespace("data").uid().await?,
        ];
        let all: Vec<_> = all.iter().map(|object| object.key().clone()).collect();
        (uids, all)
    };
    let snapshot = governed.cluster.snapshot().await?;
    governed.ready("hour").await?;

    // An hour of edits: a namespace leaves and is deleted, one landing zone goes with all it has, and another comes.
    {
        let shop = Shop::visit(&governed, "hour").await?;
        shop.edit_and_converge(without_data).await?;
        shop.namespace("data").delete().await?;
        shop.namespace("data").vanishes().await?;
        Shop::visit(&governed, "gone").await?.close().await?;
        Shop::open_with(&governed, "newer", delete).await?;
    }
    governed.cluster.restore(&snapshot).await?;

    // It finds out by itself. In a cluster the kubelet starts it again.
    eventually(CONVERGED, "the operator to find out", async || {
        let both = [&governed.operator, &waiting];
        let ended = |it: &OperatorProcess| it.process().ensure_running().is_err();
        Ok(both.into_iter().all(ended).then_some(()))
    })
    .await?;
    for operator in [&governed.operator, &waiting] {
        let log = operator.logs()?;
        ensure!(log.contains("put back to an earlier state"), "{log}");
    }
    governed.operator =
        OperatorProcess::start(&governed.cluster, OperatorOptions::default()).await?;
    governed.operator.wait_until_ready(CONVERGED).await?;

    governed.ready("hour").await?;
    governed.ready("gone").await?;
    let shop = Shop::visit(&governed, "hour").await?;
    let now = [
        shop.namespace("web").uid().await?,
        shop.namespace("data").uid().await?,
    ];
    ensure!(
        now == identities,
        "there were {identities:?}, there are {now:?}"
    );
    let kept: Vec<_> = shop.inventory().await?;
    let kept: Vec<_> = kept.iter().map(|object| object.key().clone()).collect();
    ensure!(
        kept == everything,
        "there was {everything:?}, there is {kept:?}"
    );
    for object in shop.inventory().await? {
        ensure!(object.at("/metadata/deletionTimestamp").await?.is_null());
    }
    // It sees what happens from now on.
    shop.quota().delete().await?;
    shop.is_back(&shop.quota()).await?;
    Shop::visit(&governed, "gone")
        .await?
        .quota()
        .delete()
        .await?;
    let gone = Shop::visit(&governed, "gone").await?;
    gone.quota().appears().await?;
    Shop::open(&governed, "newest").await?;
    let zones = governed
        .zones()
        .list(&kube::api::ListParams::default())
        .await?;
    let names: Vec<_> = zones.iter().map(ResourceExt::name_any).collect();
    ensure!(names == ["gone", "hour", "newest"], "{names:?}");
    governed.stop().await
}
