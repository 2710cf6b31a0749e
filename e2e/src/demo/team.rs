//! What belongs to others: the operator must leave it alone.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::{Namespace, ResourceQuota};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use kube::api::Patch;
use landing_zone_operator::api::LandingZone;
use serde_json::json;

use super::page::Page;
use super::stage::Stage;
use super::written_by;
use crate::eventually;

const POLICY: &str = "only-the-gateway";
const LABEL: (&str, &str) = ("example.com/billing", "quarterly");
/// Roles take effect a moment after they are bound.
const RIGHTS_DEADLINE: Duration = Duration::from_secs(10);

/// Makes a policy of the team's, and a label of a colleague's.
pub(super) async fn show(stage: &Stage, zone: &LandingZone, page: &mut Page) -> Result<()> {
    page.heading("The team and its colleagues at work");
    let namespace = first_namespace(zone)?;
    let team = stage.team(zone).await?;
    let who = team.name.as_str();
    let (_, post) = written_by(&team.manager);
    let policies: Api<NetworkPolicy> = Api::namespaced(team.client.clone(), namespace);
    let policy: NetworkPolicy = serde_json::from_value(json!({
        "metadata": {"name": POLICY},
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "gateway"}}}]}],
        },
    }))?;
    let made = eventually(
        RIGHTS_DEADLINE,
        "the right to make a policy",
        async || match policies.create(&post, &policy).await {
            Ok(made) => Ok(Some(made)),
            Err(kube::Error::Api(status)) if status.code == 403 => bail!("{}", status.message),
            Err(error) => Ok(Some(Err(error)?)),
        },
    )
    .await;
    let text = format!("{who} may make a network policy, {POLICY}, in {namespace}.");
    page.outcome(&text, made);

    if team.is_impersonated {
        let quotas: Api<ResourceQuota> = Api::namespaced(team.client, namespace);
        let (patch, _) = written_by(&team.manager);
        let more = json!({"spec": {"hard": {"pods": "500"}}});
        let refused = quotas
            .patch("landing-zone", &patch, &Patch::Merge(more))
            .await;
        let refused = matches!(refused, Err(kube::Error::Api(status)) if status.code == 403);
        page.fact(refused, &format!("{who} may not raise the quota."));
    }

    let namespaces: Api<Namespace> = Api::all(stage.client());
    let (patch, _) = written_by("billing");
    let (key, value) = LABEL;
    let label = json!({"metadata": {"labels": {key: value}}});
    namespaces
        .patch(namespace, &patch, &Patch::Merge(label))
        .await
        .context("failed to label a namespace")?;
    page.say(&format!("A colleague labels {namespace}: {key}={value}."));
    Ok(())
}

/// Checks that both are still there.
pub(super) async fn survived(stage: &Stage, zone: &LandingZone, page: &mut Page) -> Result<()> {
    page.heading("What is not the operator's stayed");
    let namespace = first_namespace(zone)?;
    let policies: Api<NetworkPolicy> = Api::namespaced(stage.client(), namespace);
    let policy = policies.get(POLICY).await;
    let policy = policy.context("it is gone").and_then(|policy| {
        let generation = policy.metadata.generation;
        ensure!(generation == Some(1), "its spec was changed");
        Ok(())
    });
    page.outcome(
        &format!("The team's own policy {POLICY} is untouched."),
        policy,
    );
    let namespaces: Api<Namespace> = Api::all(stage.client());
    let labels = namespaces
        .get(namespace)
        .await?
        .metadata
        .labels
        .unwrap_or_default();
    let (key, value) = LABEL;
    let kept = labels.get(key).is_some_and(|kept| kept == value);
    page.fact(
        kept,
        &format!("The colleague's label {key}={value} is untouched."),
    );
    Ok(())
}

fn first_namespace(zone: &LandingZone) -> Result<&str> {
    let first = zone
        .spec
        .namespaces
        .first()
        .context("no namespaces are declared")?;
    Ok(&first.name)
}
