//! Policies in tiers of our own, and the tiers, which all landing zones share.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use e2e::owned::{self, ensure_stored, rendered, sample_spec};
use e2e::{Calico, Governed, eventually, governed::CONVERGED, governed::condition};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use landing_zone_operator::api::names::OWNER;
use serde_json::{Value, json};

use super::Clusters;
use super::policies::{SAMPLE, ensure_effective, eventually_as_rendered, expected_orders, orders};

const PLATFORM: &str = "landingzones-platform";
const BASELINE: &str = "landingzones-baseline";

pub async fn tiers_of_the_storage_kinds_are_used_and_kept(clusters: &Clusters) -> Result<()> {
    clusters
        .with(Calico::StorageWithTiers, async |governed| {
            let flags = ["--flavour=crd", "--calico-version=3.30"];
            used_and_kept(governed, ("crd.projectcalico.org", "v1"), &flags).await
        })
        .await
}

pub async fn tiers_of_native_kinds_are_used_and_kept(clusters: &Clusters) -> Result<()> {
    clusters
        .with(Calico::Native, async |governed| {
            let flags = ["--flavour=v3", "--calico-version=3.32"];
            used_and_kept(governed, ("projectcalico.org", "v3"), &flags).await
        })
        .await
}

pub async fn staged_policies_say_what_would_be_enforced(clusters: &Clusters) -> Result<()> {
    clusters
        .with(Calico::StorageWithTiers, async |governed| {
            staged(governed, ("crd.projectcalico.org", "v1")).await
        })
        .await
}

pub async fn native_staged_policies_say_what_would_be_enforced(clusters: &Clusters) -> Result<()> {
    clusters
        .with(Calico::Native, async |governed| {
            staged(governed, ("projectcalico.org", "v3")).await
        })
        .await
}

/// From Calico 3.30 on, stage Observe writes the policies of stage Enforce as staged ones.
async fn staged(governed: &Governed, served: (&str, &str)) -> Result<()> {
    let mut spec = sample_spec()?;
    spec["stage"] = json!("Observe");
    let zone = governed.converge(SAMPLE, spec).await?;
    let status = zone.status.context("no status")?;
    let told = condition(&status, "NetworkEnforced").context("no condition")?;
    ensure!(
        told.1 == "Observed" && told.2.contains("staged policies"),
        "{told:?}"
    );
    let kind = policies(governed, served, "StagedGlobalNetworkPolicy");
    let staged = specs(&kind).await?;
    let in_force = policies(governed, served, "GlobalNetworkPolicy");
    ensure!(specs(&in_force).await?.is_empty());

    // Repaired like everything else, also where it lost the label by which it is known.
    let name = format!("{PLATFORM}.landing-zone-{SAMPLE}-boundary");
    kind.delete(&name, &DeleteParams::default()).await?;
    eventually(CONVERGED, "the staged policy to be put back", async || {
        Ok(kind.get_opt(&name).await?.map(drop))
    })
    .await?;
    for labels in [json!({}), json!({OWNER: null})] {
        let change = json!({"metadata": {"labels": labels}, "spec": {"selector": "has(mine)"}});
        let params = PatchParams::default();
        kind.patch(&name, &params, &Patch::Merge(change)).await?;
        eventually(CONVERGED, "the staged policy to be as it was", async || {
            let now = kind.get(&name).await?;
            let owner = now.metadata.labels.unwrap_or_default().remove(OWNER);
            ensure!(owner.as_deref() == Some(SAMPLE), "{owner:?}");
            ensure!(specs(&kind).await? == staged);
            Ok(Some(()))
        })
        .await?;
    }

    let enforce = Patch::Merge(json!({"spec": {"stage": "Enforce"}}));
    let zones = governed.zones();
    zones
        .patch(SAMPLE, &PatchParams::default(), &enforce)
        .await?;
    governed
        .condition(SAMPLE, "NetworkEnforced", "True", "Calico")
        .await?;
    let enforced = specs(&in_force).await?;
    let as_staged = enforced.into_iter().map(|(name, mut spec)| {
        spec["stagedAction"] = json!("Set");
        (name, spec)
    });
    ensure!(as_staged.collect::<BTreeMap<_, _>>() == staged);
    eventually(CONVERGED, "no staged policy to be left", async || {
        let left = specs(&kind).await?;
        Ok(left.is_empty().then_some(()))
    })
    .await
}

fn policies(governed: &Governed, (group, version): (&str, &str), kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(group, version, kind);
    let plural = kind.kind.to_lowercase().replace("policy", "policies");
    Api::all_with(
        governed.client(),
        &ApiResource::from_gvk_with_plural(&kind, &plural),
    )
}

/// Specs of all policies of a kind, by name.
async fn specs(kind: &Api<DynamicObject>) -> Result<BTreeMap<String, Value>> {
    let found = kind.list(&ListParams::default()).await?;
    let specs = found.items.into_iter();
    Ok(specs
        .map(|it| {
            (
                it.metadata.name.unwrap_or_default(),
                it.data["spec"].clone(),
            )
        })
        .collect())
}

async fn used_and_kept(
    governed: &Governed,
    (group, version): (&str, &str),
    flags: &[&str],
) -> Result<()> {
    // Whoever is told about a tier must not leave it to a landing zone that does nothing.
    for number in 0..6 {
        let name = format!("suspended-{number}");
        let spec = json!({
            "applicationCode": name, "suspend": true,
            "namespaces": [{"name": name, "zone": "frontend"}],
        });
        governed.declare(&name, spec).await?;
    }
    let zone = governed.converge(SAMPLE, sample_spec()?).await?;
    let api_version = format!("{group}/{version}");
    ensure_effective(&zone, &api_version, true)?;
    let found = orders(governed, &api_version, SAMPLE).await?;
    let expected = expected_orders(&format!("{PLATFORM}."), &format!("{BASELINE}."));
    ensure!(found == expected, "{found:?}");
    eventually_as_rendered(governed, flags).await?;

    let kind = GroupVersionKind::gvk(group, version, "Tier");
    let resource = ApiResource::from_gvk_with_plural(&kind, "tiers");
    let tiers: Api<DynamicObject> = Api::all_with(governed.client(), &resource);
    eventually_as_declared(&tiers, flags).await?;

    let edit = Patch::Merge(json!({"spec": {"order": 5, "defaultAction": "Deny"}}));
    tiers
        .patch(PLATFORM, &PatchParams::default(), &edit)
        .await?;
    eventually_as_declared(&tiers, flags)
        .await
        .context("after an edit")?;
    tiers.delete(BASELINE, &DeleteParams::default()).await?;
    eventually_as_declared(&tiers, flags)
        .await
        .context("after a deletion")?;
    governed.ready(SAMPLE).await?;
    Ok(())
}

/// Waits until the tiers are as they must be, and as they are rendered.
async fn eventually_as_declared(tiers: &Api<DynamicObject>, flags: &[&str]) -> Result<()> {
    let (_, declared) = rendered(&owned::sample_file(), flags).await?;
    let orders: BTreeMap<&str, (Option<f64>, Option<&str>)> = declared
        .values()
        .map(|tier| {
            let name = tier["metadata"]["name"].as_str().unwrap_or_default();
            let spec = &tier["spec"];
            (
                name,
                (spec["order"].as_f64(), spec["defaultAction"].as_str()),
            )
        })
        .collect();
    let expected = BTreeMap::from([
        (PLATFORM, (Some(900.0), Some("Pass"))),
        (BASELINE, (Some(2_000_000.0), Some("Deny"))),
    ]);
    ensure!(orders == expected, "{orders:?}");

    eventually(CONVERGED, "the tiers to be as declared", async || {
        let found = tiers.list(&ListParams::default()).await?;
        let stored = found.items.iter().map(|tier| {
            let spec = tier.data.get("spec").cloned().unwrap_or(Value::Null);
            (tier.metadata.name.clone().unwrap_or_default(), spec)
        });
        let declared = declared.values().map(|tier| {
            let name = tier["metadata"]["name"].as_str().unwrap_or_default();
            (name.to_owned(), tier["spec"].clone())
        });
        ensure_stored(&declared.collect(), &stored.collect())?;
        Ok(Some(()))
    })
    .await
}
