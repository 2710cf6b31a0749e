//! What a declaration becomes.

use anyhow::{Context, Result, ensure};
use e2e::install::read_manifests;
use e2e::workspace;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use super::Fixture;

pub async fn the_sample_becomes_a_landing_zone(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let sample = read_manifests(&workspace::root().join("config/samples/application2.yaml"))?;
    let zone = sample.first().context("the sample is empty")?;
    let spec = zone
        .data
        .get("spec")
        .context("the sample has no spec")?
        .clone();
    let zone = governed.converge("application2", spec).await?;
    let status = zone.status.context("no status")?;
    ensure!(status.namespaces_ready.as_deref() == Some("3/3"));
    let namespaces: Api<Namespace> = Api::all(governed.client());
    for (name, zone) in [
        ("application2-ns1", "frontend"),
        ("application2-ns2", "backend"),
        ("application2-ns3", "data"),
    ] {
        let labels = namespaces
            .get(name)
            .await?
            .metadata
            .labels
            .unwrap_or_default();
        ensure!(labels["applicationcode"] == "application2");
        ensure!(labels["zone"] == zone);
    }
    Ok(())
}
