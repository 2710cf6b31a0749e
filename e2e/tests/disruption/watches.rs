//! What happens while nobody looks.

use anyhow::{Result, ensure};
use e2e::governed::CONVERGED;
use e2e::shop::Shop;
use e2e::{Calico, Governed, OperatorOptions, OperatorProcess};

/// The operator stands still and its watches are cut; only then are objects deleted, so that nothing
/// of it waits in a connection. A restarted API server begins its history anew: the watches' place in
/// it is gone (410), and new lists have to tell.
pub async fn what_was_deleted_while_the_watch_was_cut_comes_back((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let shop = Shop::open(&governed, "cut").await?;
    let deleted = [shop.policy("boundary"), shop.quota(), shop.binding()];

    governed.operator.pause()?;
    governed.cluster.restart_apiserver().await?;
    for object in &deleted {
        object.delete().await?;
    }
    governed.cluster.restart_apiserver().await?;
    for object in &deleted {
        ensure!(object.look().await?.is_none(), "{} is there", object.key());
    }
    governed.operator.resume()?;

    for object in &deleted {
        shop.puts_back(object, "deleted", None).await?;
    }
    shop.counts_repairs(3).await?;
    governed.ready("cut").await?;
    // No watch told of the deletions: the new lists did.
    let log = governed.operator.logs()?;
    ensure!(log.contains("vanished while the watch was cut"), "{log}");
    governed.stop().await
}

pub async fn a_namespace_lost_while_the_operator_was_down_is_told((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let web = {
        let shop = Shop::open(&governed, "down").await?;
        shop.namespace("web")
    };
    governed.operator.kill().await?;
    web.delete().await?;
    web.vanishes().await?;
    governed.operator =
        OperatorProcess::start(&governed.cluster, OperatorOptions::default()).await?;
    governed.operator.wait_until_ready(CONVERGED).await?;

    web.appears().await?;
    governed.ready("down").await?;
    let shop = Shop::visit(&governed, "down").await?;
    shop.event(
        "NamespaceLost",
        &["Namespace/down-web", "everything in it is gone"],
    )
    .await?;
    shop.event("DriftRepaired", &["Namespace/down-web: deleted"])
        .await?;
    shop.quota().read().await?;
    // The loss of the namespace is one, whatever was in it.
    shop.counts_repairs(1).await?;
    governed.stop().await
}
