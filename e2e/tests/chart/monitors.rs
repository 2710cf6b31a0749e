//! The kinds of the Prometheus Operator, as its own module has them, and those of Azure Monitor.

use anyhow::{Context, Result};
use e2e::prerequisites::{Prerequisites, download_module};
use e2e::{install, workspace};
use kube::Client;

/// Nothing of it is built, so no go.mod requires it.
const MODULE: &str = "github.com/prometheus-operator/prometheus-operator@v0.85.0";
const KINDS: [&str; 3] = ["podmonitors", "prometheusrules", "servicemonitors"];
/// Azure Monitor's group of kinds.
const AZURE: &str = "azmonitoring.coreos.com";

/// Installs them, and waits until they are served.
///
/// Azure's own definition is to be had from an AKS cluster only. Microsoft says of its `PodMonitor` that it is that of the
/// Prometheus Operator under another group: so this takes that schema for it, which is as near as one gets here.
pub async fn install_kinds(client: &Client) -> Result<()> {
    let downloading = tokio::task::spawn_blocking(|| {
        let prerequisites = Prerequisites::ensure()?;
        let folder = workspace::go_modules().join("flux");
        download_module(&prerequisites.go, MODULE, &folder)
    });
    let module = downloading
        .await
        .context("the download of the Prometheus Operator's kinds was cut off")??;
    let folder = module.join("example/prometheus-operator-crd");
    for kind in KINDS {
        let file = folder.join(format!("monitoring.coreos.com_{kind}.yaml"));
        let definitions = install::read_manifests(&file)?;
        if kind == "podmonitors" {
            let mut of_azure = definitions.clone();
            for definition in &mut of_azure {
                definition.metadata.name = Some(format!("{kind}.{AZURE}"));
                definition.data["spec"]["group"] = AZURE.into();
            }
            install::apply_objects(client, of_azure).await?;
        }
        install::apply_objects(client, definitions).await?;
    }
    Ok(())
}
