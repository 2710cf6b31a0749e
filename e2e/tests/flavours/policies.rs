//! The Calico policies of a landing zone, as they stand in the cluster.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use e2e::owned::{self, ensure_stored, owned_by, rendered};
use e2e::{Governed, eventually, governed::CONVERGED};
use landing_zone_operator::api::LandingZone;
use serde_json::Value;

/// The landing zone of the sample.
pub const SAMPLE: &str = "application2";

/// Waits until what the operator made is exactly what the command line renders for this flavour.
pub async fn eventually_as_rendered(governed: &Governed, flags: &[&str]) -> Result<()> {
    let (declared, _) = rendered(&owned::sample_file(), flags).await?;
    let client = governed.client();
    let what = format!("the cluster to hold what is rendered with {flags:?}");
    eventually(CONVERGED, &what, async || {
        ensure_stored(&declared, &owned_by(&client, SAMPLE).await?)?;
        Ok(Some(()))
    })
    .await
}

/// Name → order of the Calico policies of a landing zone in one API.
pub async fn orders(
    governed: &Governed,
    api_version: &str,
    zone: &str,
) -> Result<BTreeMap<String, f64>> {
    let objects = owned_by(&governed.client(), zone).await?;
    let policies = objects.values().filter(|object| {
        object["kind"] == "GlobalNetworkPolicy" && object["apiVersion"] == api_version
    });
    policies
        .map(|policy| {
            let name = policy["metadata"]["name"].as_str().context("no name")?;
            let order = policy["spec"]["order"].as_f64().context("no order")?;
            Ok((name.to_owned(), order))
        })
        .collect()
}

/// The orders of the sample's policies, by purpose, with a prefix for each layer.
pub fn expected_orders(platform: &str, baseline: &str) -> BTreeMap<String, f64> {
    let policy = |prefix: &str, purpose: &str, order| {
        (format!("{prefix}landing-zone-{SAMPLE}-{purpose}"), order)
    };
    BTreeMap::from([
        policy(platform, "dns", 10.0),
        policy(platform, "boundary", 30.0),
        policy(baseline, "frontend-flows", 4_000.0),
        policy(baseline, "backend-flows", 4_000.0),
        policy(baseline, "data-flows", 4_000.0),
        policy(baseline, "deny", 5_000.0),
    ])
}

/// Fails unless the status says which flavour is in force.
pub fn ensure_effective(zone: &LandingZone, flavour: &str, tiers: bool) -> Result<()> {
    let status = zone.status.as_ref().context("no status")?;
    let effective = status.effective.as_ref().context("no effective values")?;
    ensure!(
        (effective.flavour.as_str(), effective.tiers) == (flavour, tiers),
        "{effective:?}"
    );
    Ok(())
}

/// A definition of a kind that means nothing but that it is there.
pub fn definition(plural: &str, group: &str, kind: &str) -> Result<kube::api::DynamicObject> {
    let definition: Value = serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{
                "name": "v2", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }],
        },
    });
    Ok(serde_json::from_value(definition)?)
}
