//! What an application team may do itself.

use anyhow::{Context, Result, bail};
use e2e::shop::Shop;
use e2e::{eventually, governed::CONVERGED};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use super::Fixture;

pub async fn a_team_writes_policies_in_its_own_namespaces_only(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let _shop = Shop::open(governed, "team").await?;
    let client = governed
        .cluster
        .client_as_user("developer", &["developers"])
        .await?;
    let resource = |kind: &str, plural: &str| {
        let kind = GroupVersionKind::gvk("projectcalico.org", "v3", kind);
        ApiResource::from_gvk_with_plural(&kind, plural)
    };
    let own = resource("NetworkPolicy", "networkpolicies");
    let spec = json!({"order": 1000, "selector": "app == 'web'", "types": ["Ingress"]});
    let policy = |kind: &str| -> Result<DynamicObject> {
        let manifest = json!({
            "apiVersion": "projectcalico.org/v3", "kind": kind,
            "metadata": {"name": "team-own"}, "spec": spec,
        });
        Ok(serde_json::from_value::<DynamicObject>(manifest)?)
    };
    let web: Api<DynamicObject> = Api::namespaced_with(client.clone(), "team-web", &own);
    // Roles are put together by a controller of the cluster.
    eventually(CONVERGED, "the team to create its own policy", async || {
        let own = policy("NetworkPolicy")?;
        Ok(Some(web.create(&PostParams::default(), &own).await?))
    })
    .await?;
    let found = web.get("team-own").await?;
    let order: Option<&Value> = found.data.pointer("/spec/order");
    order.context("no order")?;

    let data: Api<DynamicObject> = Api::namespaced_with(client.clone(), "team-data", &own);
    let elsewhere: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &own);
    let global = resource("GlobalNetworkPolicy", "globalnetworkpolicies");
    let global: Api<DynamicObject> = Api::all_with(client, &global);
    for (api, kind) in [
        (&data, "NetworkPolicy"),
        (&elsewhere, "NetworkPolicy"),
        (&global, "GlobalNetworkPolicy"),
    ] {
        match api.create(&PostParams::default(), &policy(kind)?).await {
            Err(kube::Error::Api(status)) if status.code == 403 => {}
            other => bail!("{kind} was not forbidden: {other:?}"),
        }
    }
    match global
        .delete("landing-zone-team-boundary", &DeleteParams::default())
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 403 => {}
        other => bail!("the boundary could be deleted: {other:?}"),
    }
    web.delete("team-own", &DeleteParams::default()).await?;
    Ok(())
}
