//! A cluster without Calico, in which it comes and goes.

use anyhow::{Context, Result, ensure};
use e2e::governed::{condition, install_calico};
use e2e::install::apply_objects;
use e2e::owned::sample_spec;
use e2e::{Calico, Governed, eventually, governed::CONVERGED};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use landing_zone_operator::api::names::OWNER;
use serde_json::json;

use super::Clusters;
use super::audited::eventually_replaced;
use super::policies::{
    SAMPLE, definition, ensure_effective, eventually_as_rendered, expected_orders, orders,
};

pub async fn calico_that_comes_later_and_goes_is_followed(clusters: &Clusters) -> Result<()> {
    clusters
        .with(Calico::Absent, async |governed| {
            nothing_enforces(governed).await?;
            another_plugin_may_enforce(governed).await?;
            what_was_changed_is_put_back(governed).await?;
            calico_comes(governed).await?;
            calico_goes(governed).await
        })
        .await
}

async fn nothing_enforces(governed: &Governed) -> Result<()> {
    governed.declare(SAMPLE, sample_spec()?).await?;
    let zone = governed
        .condition(SAMPLE, "Ready", "False", "NoEnforcingPlugin")
        .await?;
    let status = zone.status.as_ref().context("no status")?;
    let (state, why, _) = condition(status, "NetworkEnforced").context("no condition")?;
    ensure!((state, why) == ("False", "NoEnforcingPlugin"));
    ensure!(status.namespaces_ready.as_deref() == Some("3/3"));
    ensure_effective(&zone, "networking.k8s.io/v1", false)?;
    counted_as_not_held(governed, &[("NoEnforcingPlugin", 1)]).await?;
    eventually_as_rendered(governed, &["--flavour=kubernetes"]).await
}

/// What the alert `LandingZoneBoundaryNotEnforced` goes by.
async fn counted_as_not_held(governed: &Governed, counts: &[(&str, u32)]) -> Result<()> {
    eventually(CONVERGED, "the metric to follow", async || {
        let metrics = governed.operator.metrics().await?;
        for (reason, count) in counts {
            let line = format!("landingzone_boundary_not_held{{reason=\"{reason}\"}} {count}\n");
            ensure!(metrics.contains(&line), "no {line:?}: {metrics}");
        }
        Ok(Some(()))
    })
    .await
}

async fn another_plugin_may_enforce(governed: &Governed) -> Result<()> {
    let cilium = definition("ciliumnetworkpolicies", "cilium.io", "CiliumNetworkPolicy")?;
    apply_objects(&governed.client(), vec![cilium]).await?;
    governed
        .condition(SAMPLE, "NetworkEnforced", "True", "KubernetesPoliciesOnly")
        .await?;
    governed.ready(SAMPLE).await?;
    counted_as_not_held(
        governed,
        &[("NoEnforcingPlugin", 0), ("KubernetesPoliciesOnly", 1)],
    )
    .await
}

/// Also where it lost the label by which it is known, so that it seems to be gone.
async fn what_was_changed_is_put_back(governed: &Governed) -> Result<()> {
    let policies: Api<NetworkPolicy> = Api::all(governed.client());
    let ours = ListParams::default().labels(OWNER);
    let policy = policies.list(&ours).await?.items.into_iter().next();
    let policy = policy.context("no policy")?;
    let namespace = policy.metadata.namespace.context("no namespace")?;
    let name = policy.metadata.name.context("no name")?;
    let policies: Api<NetworkPolicy> = Api::namespaced(governed.client(), &namespace);
    for change in [
        json!({"spec": {"ingress": [{}]}}),
        json!({"metadata": {"labels": {OWNER: null}}, "spec": {"ingress": [{}]}}),
    ] {
        let change = Patch::Merge(change);
        let changed = policies
            .patch(&name, &PatchParams::default(), &change)
            .await?;
        let changed = changed.metadata.resource_version;
        eventually(CONVERGED, "the policy to be as it was", async || {
            let now = policies.get(&name).await?;
            let owner = now.metadata.labels.unwrap_or_default().remove(OWNER);
            ensure!(now.metadata.resource_version != changed);
            ensure!(owner.as_deref() == Some(SAMPLE), "{owner:?}");
            ensure!(now.spec == policy.spec, "{:?}", now.spec);
            Ok(Some(()))
        })
        .await?;
    }
    Ok(())
}

async fn calico_comes(governed: &Governed) -> Result<()> {
    let mark = governed.cluster.audit_log().mark()?;
    install_calico(&governed.client(), Calico::Storage).await?;
    let zone = governed
        .condition(SAMPLE, "NetworkEnforced", "True", "Calico")
        .await?;
    ensure_effective(&zone, "crd.projectcalico.org/v1", false)?;
    // One for each namespace.
    eventually_replaced(
        governed,
        mark,
        ("networkpolicies", 3),
        "globalnetworkpolicies",
    )
    .await?;
    eventually_as_rendered(governed, &["--flavour=crd", "--calico-version=3.28"]).await?;
    let found = orders(governed, "crd.projectcalico.org/v1", SAMPLE).await?;
    ensure!(
        found == expected_orders("default.", "default."),
        "{found:?}"
    );
    governed.ready(SAMPLE).await?;
    counted_as_not_held(
        governed,
        &[("NoEnforcingPlugin", 0), ("KubernetesPoliciesOnly", 0)],
    )
    .await
}

async fn calico_goes(governed: &Governed) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(governed.client());
    for name in [
        "clusterinformations.crd.projectcalico.org",
        "globalnetworkpolicies.crd.projectcalico.org",
    ] {
        definitions.delete(name, &DeleteParams::default()).await?;
        let what = format!("the definition {name} to be gone");
        eventually(CONVERGED, &what, async || {
            Ok(definitions.get_opt(name).await?.is_none().then_some(()))
        })
        .await?;
    }
    governed
        .condition(SAMPLE, "NetworkEnforced", "True", "KubernetesPoliciesOnly")
        .await?;
    eventually_as_rendered(governed, &["--flavour=kubernetes"]).await?;
    governed.ready(SAMPLE).await?;
    let (status, complaints) = governed.operator.ready().await?;
    ensure!(status.is_success(), "/readyz says {complaints}");
    Ok(())
}
