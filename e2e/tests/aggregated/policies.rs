//! One policy, as it is seen through one of Calico's two APIs.

use anyhow::{Context, Result, ensure};
use e2e::shop::MALLORY;
use e2e::{Governed, eventually, governed::CONVERGED};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use landing_zone_operator::api::names::OWNER;
use serde_json::{Value, json};

/// The API of Calico's own API server.
pub const V3: (&str, &str) = ("projectcalico.org", "v3");
/// The API of Calico's storage.
pub const STORAGE: (&str, &str) = ("crd.projectcalico.org", "v1");

/// Cluster-wide policies through one of the APIs.
pub fn policies(governed: &Governed, (group, version): (&str, &str)) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(group, version, "GlobalNetworkPolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "globalnetworkpolicies");
    Api::all_with(governed.client(), &resource)
}

/// All names with that part in them, sorted.
pub async fn names(policies: &Api<DynamicObject>, part: &str) -> Result<Vec<String>> {
    let found = policies.list(&ListParams::default()).await?;
    let names = found
        .items
        .into_iter()
        .filter_map(|policy| policy.metadata.name);
    let mut names: Vec<_> = names.filter(|name| name.contains(part)).collect();
    names.sort();
    Ok(names)
}

/// UID and resource version of each: no write leaves both as they are.
pub async fn marks(policies: &Api<DynamicObject>, part: &str) -> Result<Vec<Value>> {
    let found = policies.list(&ListParams::default()).await?;
    let marks = found.items.into_iter().map(|policy| policy.metadata);
    let mut marks: Vec<_> = marks
        .map(|meta| {
            (
                meta.name.unwrap_or_default(),
                meta.uid,
                meta.resource_version,
            )
        })
        .filter(|(name, ..)| name.contains(part))
        .collect();
    marks.sort();
    Ok(marks.into_iter().map(|mark| json!(mark)).collect())
}

/// A merge patch by somebody who is not the operator.
pub async fn edit(policies: &Api<DynamicObject>, name: &str, patch: Value) -> Result<()> {
    let params = PatchParams {
        field_manager: Some(MALLORY.to_owned()),
        ..PatchParams::default()
    };
    let edited = policies.patch(name, &params, &Patch::Merge(patch)).await;
    edited.with_context(|| format!("failed to edit {name}"))?;
    Ok(())
}

/// Deletes a policy.
pub async fn delete(policies: &Api<DynamicObject>, name: &str) -> Result<()> {
    policies.delete(name, &DeleteParams::default()).await?;
    Ok(())
}

/// What counts of a policy: what it says and whose it is.
pub async fn said(policies: &Api<DynamicObject>, name: &str) -> Result<Value> {
    let policy = policies.get(name).await?;
    let owner = policy.metadata.labels.unwrap_or_default().remove(OWNER);
    Ok(json!({"owner": owner, "spec": policy.data["spec"]}))
}

/// Waits until a policy says again what it said.
pub async fn eventually_says(
    policies: &Api<DynamicObject>,
    name: &str,
    declared: &Value,
) -> Result<()> {
    let what = format!("the policy {name} to be put back");
    eventually(CONVERGED, &what, async || {
        let found = said(policies, name).await?;
        ensure!(found == *declared, "it says {found}, declared {declared}");
        Ok(Some(()))
    })
    .await
}
