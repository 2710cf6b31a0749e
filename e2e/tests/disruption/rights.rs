//! Rights that the operator does not have.

use anyhow::{Result, ensure};
use e2e::shop::Shop;
use e2e::{Calico, Governed, OperatorOptions, install, workspace};
use serde_json::json;

/// `config/namespace-deletion` is not applied.
pub async fn without_the_right_to_delete_namespaces_the_message_says_so((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let amend = json!({"deletePolicy": "Delete"});
    let shop = Shop::open_with(&governed, "undeletable", amend).await?;
    let everything = shop.inventory().await?;
    governed.withdraw("undeletable").await?;
    shop.says(
        "Stalled",
        "True",
        "DeletionRefused",
        &["config/namespace-deletion", "deletePolicy: Keep"],
    )
    .await?;
    for object in &everything {
        shop.is_back(object).await?;
    }
    ensure!(
        shop.policy("boundary")
            .at("/metadata/deletionTimestamp")
            .await?
            .is_null()
    );

    // Others go on, and the way out works.
    Shop::open(&governed, "neighbour").await?;
    let right = workspace::root().join("config/namespace-deletion");
    install::apply_manifests(&governed.client(), &right).await?;
    // Looked at again at once, since somebody edited it.
    shop.amend(json!({"metadata": {"annotations": {"example.com/note": "try again"}}}))
        .await?;
    shop.is_closed().await?;
    for object in &everything {
        object.vanishes().await?;
    }
    governed.stop().await
}
