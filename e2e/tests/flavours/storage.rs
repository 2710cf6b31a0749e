//! Calico's storage kinds, as a default AKS cluster has them.

use anyhow::{Context, Result, ensure};
use e2e::governed::{condition, install_calico};
use e2e::install::apply_manifests;
use e2e::owned::sample_spec;
use e2e::{Calico, Governed, eventually, governed::CONVERGED, workspace};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::json;

use super::Clusters;
use super::audited::{ensure_before, eventually_replaced, of, writes};
use super::policies::{SAMPLE, ensure_effective, eventually_as_rendered, expected_orders, orders};

const STORAGE: &str = "crd.projectcalico.org/v1";
const POLICIES: &str = "globalnetworkpolicies";

pub async fn storage_without_tiers_takes_prefixed_names_until_they_are_plain(
    clusters: &Clusters,
) -> Result<()> {
    clusters
        .with(Calico::Storage, async |governed| {
            let zone = governed.converge(SAMPLE, sample_spec()?).await?;
            ensure_effective(&zone, STORAGE, false)?;
            let status = zone.status.as_ref().context("no status")?;
            let (state, why, _) = condition(status, "NetworkEnforced").context("no condition")?;
            ensure!((state, why) == ("True", "Calico"));
            let prefixed = expected_orders("default.", "default.");
            let found = orders(governed, STORAGE, SAMPLE).await?;
            ensure!(found == prefixed, "{found:?}");
            eventually_as_rendered(governed, &["--flavour=crd", "--calico-version=3.28"]).await?;

            let mark = governed.cluster.audit_log().mark()?;
            set_version(governed, "v3.32.0").await?;
            eventually_replaced(governed, mark, (POLICIES, prefixed.len()), POLICIES).await?;
            let found = orders(governed, STORAGE, SAMPLE).await?;
            ensure!(found == expected_orders("", ""), "{found:?}");
            eventually_as_rendered(
                governed,
                &["--flavour=crd", "--calico-version=3.32", "--tiers=false"],
            )
            .await
        })
        .await
}

async fn set_version(governed: &Governed, version: &str) -> Result<()> {
    let kind = GroupVersionKind::gvk("crd.projectcalico.org", "v1", "ClusterInformation");
    let resource = ApiResource::from_gvk_with_plural(&kind, "clusterinformations");
    let informations: Api<DynamicObject> = Api::all_with(governed.client(), &resource);
    let patch = Patch::Merge(json!({"spec": {"calicoVersion": version}}));
    informations
        .patch("default", &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

pub async fn policies_move_into_tiers_when_there_are_any(clusters: &Clusters) -> Result<()> {
    clusters
        .with(Calico::Storage, async |governed| {
            governed.converge(SAMPLE, sample_spec()?).await?;
            let old = orders(governed, STORAGE, SAMPLE).await?;
            let mark = governed.cluster.audit_log().mark()?;
            install_calico(&governed.client(), Calico::StorageWithTiers).await?;
            eventually_replaced(governed, mark, (POLICIES, old.len()), POLICIES).await?;
            let writes = writes(governed, mark)?;
            ensure_before(
                &of(&writes, "create", "tiers"),
                &of(&writes, "create", POLICIES),
            )?;
            let zone = governed.ready(SAMPLE).await?;
            ensure_effective(&zone, STORAGE, true)?;
            eventually_as_rendered(governed, &["--flavour=crd", "--calico-version=3.30"]).await
        })
        .await
}

pub async fn policies_come_before_their_namespaces_and_outlive_them(
    clusters: &Clusters,
) -> Result<()> {
    clusters
        .with(Calico::Storage, async |governed| {
            let role = workspace::root().join("config/namespace-deletion");
            apply_manifests(&governed.client(), &role).await?;
            let log = governed.cluster.audit_log();

            let mark = log.mark()?;
            let mut spec = sample_spec()?;
            spec["deletePolicy"] = json!("Delete");
            governed.converge(SAMPLE, spec).await?;
            let created = eventually(CONVERGED, "the creations to be recorded", async || {
                let writes = writes(governed, mark)?;
                let namespaces = of(&writes, "create", "namespaces").len();
                ensure!(namespaces == 3, "{namespaces} namespaces");
                Ok(Some(writes))
            })
            .await?;
            let policies = of(&created, "create", POLICIES);
            ensure!(policies.len() == 6, "{policies:?}");
            ensure_before(&policies, &of(&created, "create", "namespaces"))?;

            let mark = log.mark()?;
            governed.withdraw(SAMPLE).await?;
            let deleted = eventually(CONVERGED, "the policies to be deleted", async || {
                let writes = writes(governed, mark)?;
                let policies = of(&writes, "delete", POLICIES).len();
                ensure!(policies == 6, "{policies} policies");
                Ok(Some(writes))
            })
            .await?;
            // Finalized, a namespace is gone.
            let events = log.since(mark)?;
            let finalized: Vec<_> = events
                .iter()
                .filter(|event| event.resource == "namespaces" && event.subresource == "finalize")
                .filter(|event| event.succeeded() && event.name.starts_with(SAMPLE))
                .collect();
            ensure!(finalized.len() >= 3, "{finalized:?}");
            ensure_before(&finalized, &of(&deleted, "delete", POLICIES))
        })
        .await
}
