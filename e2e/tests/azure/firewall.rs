//! What the platform owns in Azure: the group of its system subnet, and what the firewall lets through.

use anyhow::{Context, Result, ensure};
use e2e::governed::CONVERGED;
use e2e::{OperatorOptions, OperatorProcess, eventually};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use landing_zone_operator::api::LandingZonePlatform;
use landing_zone_operator::domain::AzureKind;
use serde_json::{Value, json};

use super::{InAzure, READY, spec};

const HUB: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network";

/// A hub with a firewall, and a system subnet with a group.
fn hub() -> Value {
    json!({
        "systemSubnet": {
            "name": "snet-system", "cidr": "10.1.0.0/24", "networkSecurityGroup": "Managed",
        },
        "hub": {
            "routeTable": format!("{HUB}/routeTables/rt-hub"),
            "firewall": {"policy": format!("{HUB}/firewallPolicies/fw")},
        },
    })
}

/// Egress to some names.
fn towards(names: &[&str]) -> Value {
    json!({"egress": [{"name": "partners", "to": {"fqdns": names}}]})
}

impl InAzure {
    fn platforms(&self) -> Api<LandingZonePlatform> {
        Api::all(self.governed.client())
    }

    /// Waits until the platform says of Azure what is expected, of what it declares now. Returns the message.
    async fn platform_says(&self, state: &str, reason: &str) -> Result<String> {
        let what = format!("{READY}={state} because of {reason} of the platform");
        let platforms = self.platforms();
        eventually(CONVERGED, &what, async || {
            let platform = platforms.get("cluster").await?;
            let generation = platform.metadata.generation;
            let status = platform.status.context("no status")?;
            let found = status.conditions.iter().find(|it| it.type_ == READY);
            let found = found.with_context(|| format!("{:?}", status.conditions))?;
            ensure!(
                found.status == state
                    && found.reason == reason
                    && found.observed_generation == generation,
                "{found:?}"
            );
            Ok(Some(found.message.clone()))
        })
        .await
    }

    /// The rules of landing zones that the firewall has, by name.
    fn rules(&self) -> Result<Vec<(String, Value)>> {
        let groups = self
            .aso
            .resources(AzureKind::FirewallPoliciesRuleCollectionGroup);
        ensure!(groups.len() <= 1, "{groups:?}");
        let collections = groups
            .values()
            .filter_map(|it| it["ruleCollections"].as_array());
        let inside = collections
            .flatten()
            .map(|it| &it["firewallPolicyFilterRuleCollection"]);
        let ours = inside.filter(|it| it["name"] == "landing-zones");
        let rules = ours.filter_map(|it| it["rules"].as_array()).flatten();
        Ok(rules
            .map(|it| &it["applicationRule"])
            .map(|it| {
                (
                    it["name"].as_str().unwrap_or_default().to_owned(),
                    it.clone(),
                )
            })
            .collect())
    }

    /// Waits until the firewall has one rule of that name, for these names.
    async fn lets_through(&self, rule: &str, names: &[&str]) -> Result<Value> {
        let what = format!("the firewall to let {names:?} through");
        eventually(CONVERGED, &what, async || {
            let rules = self.rules()?;
            let [(name, found)] = rules.as_slice() else {
                anyhow::bail!("{rules:?}");
            };
            ensure!(
                name == rule && found["targetFqdns"] == json!(names),
                "{found}"
            );
            Ok(Some(found.clone()))
        })
        .await
    }
}

/// The group of the system subnet, and the names that AKS needs, without any landing zone; and what somebody changes there is put back.
pub(super) async fn what_is_the_platforms_own_reaches_azure((): &()) -> Result<()> {
    let azure = InAzure::start_with(hub()).await?;
    let message = azure.platform_says("True", "AsDeclared").await?;
    ensure!(message.contains("resources are as declared"), "{message}");
    let groups = azure.aso.resources(AzureKind::NetworkSecurityGroup);
    ensure!(groups.len() == 1, "{groups:?}");
    let firewall = azure
        .aso
        .resources(AzureKind::FirewallPoliciesRuleCollectionGroup);
    let (name, group) = firewall.first_key_value().context("no group of rules")?;
    ensure!(
        group["owner"]["armId"] == format!("{HUB}/firewallPolicies/fw"),
        "{group}"
    );
    let aks = &group["ruleCollections"][0]["firewallPolicyFilterRuleCollection"];
    ensure!(
        aks["rules"][0]["applicationRule"]["fqdnTags"] == json!(["AzureKubernetesService"]),
        "{aks}"
    );
    ensure!(azure.rules()?.is_empty(), "{group}");

    let opened = json!({"spec": {"ruleCollections": [], "priority": 2000}});
    let groups = azure.objects(AzureKind::FirewallPoliciesRuleCollectionGroup);
    let params = PatchParams {
        field_manager: Some("mallory".to_owned()),
        ..PatchParams::default()
    };
    groups.patch(name, &params, &Patch::Merge(opened)).await?;
    eventually(CONVERGED, "it to be put back", async || {
        let found = groups.get(name).await?;
        let spec = &found.data["spec"];
        ensure!(spec["priority"] == 1000, "{spec}");
        ensure!(
            spec["ruleCollections"]
                .as_array()
                .is_some_and(|it| !it.is_empty()),
            "{spec}"
        );
        Ok(Some(()))
    })
    .await?;
    // Deleted, it comes back, and was never gone in Azure.
    groups.delete(name, &DeleteParams::default()).await?;
    eventually(CONVERGED, "it to come back", async || {
        let found = groups.get(name).await?;
        Ok(found.metadata.deletion_timestamp.is_none().then_some(()))
    })
    .await?;
    azure.platform_says("True", "AsDeclared").await?;

    // What the platform declares no more stays in Azure: the nodes of the whole cluster depend on it.
    let out = json!({"spec": {"azure": {"hub": {"firewall": null}}}});
    let platforms = azure.platforms();
    platforms
        .patch("cluster", &PatchParams::default(), &Patch::Merge(out))
        .await?;
    eventually(CONVERGED, "the object to go", async || {
        let left = groups.list(&ListParams::default()).await?.items;
        ensure!(left.is_empty(), "{left:?}");
        Ok(Some(()))
    })
    .await?;
    azure.platform_says("True", "AsDeclared").await?;
    ensure!(azure.aso.deleted().is_empty(), "{:?}", azure.aso.deleted());
    eventually(CONVERGED, "nobody to know of it", async || {
        let platform = platforms.get("cluster").await?;
        let status = platform.status.context("no status")?;
        let mut left = status.inventory.iter();
        let left = left.find(|it| it.starts_with("FirewallPolicies"));
        ensure!(left.is_none(), "{left:?}");
        Ok(Some(()))
    })
    .await?;
    azure.stop().await
}

/// What a landing zone declares opens at both: policies let it out to the internet, and the firewall on the way to these names.
pub(super) async fn names_go_through_the_firewall((): &()) -> Result<()> {
    let azure = InAzure::start_with(hub()).await?;
    let governed = &azure.governed;
    governed
        .declare("shop", spec("shop", 4, &towards(&["api.example.com"])))
        .await?;
    let rule = azure
        .lets_through("shop.partners", &["api.example.com"])
        .await?;
    ensure!(rule["sourceAddresses"] == json!(["10.1.4.0/24"]), "{rule}");
    ensure!(
        rule["protocols"] == json!([{"protocolType": "Https", "port": 443}]),
        "{rule}"
    );
    let zone = governed.ready("shop").await?;
    let status = zone.status.context("no status")?;
    let told = status.crossings.iter().find(|it| it.name == "partners");
    let told = told.context("not told")?;
    ensure!(told.peer == "api.example.com", "{told:?}");
    azure.platform_says("True", "AsDeclared").await?;

    azure
        .edit(
            "shop",
            json!({"network": towards(&["*.example.org", "api.example.com"])}),
        )
        .await?;
    azure
        .lets_through("shop.partners", &["*.example.org", "api.example.com"])
        .await?;
    governed.withdraw("shop").await?;
    eventually(CONVERGED, "its rule to go", async || {
        let rules = azure.rules()?;
        ensure!(rules.is_empty(), "{rules:?}");
        Ok(Some(()))
    })
    .await?;
    azure.stop().await
}

/// Open-source Calico matches no names: where nobody else does, nothing opens, and everything else goes on.
pub(super) async fn without_a_firewall_names_are_closed((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let governed = &azure.governed;
    governed
        .declare("shop", spec("shop", 4, &towards(&["api.example.com"])))
        .await?;
    let zone = governed.ready("shop").await?;
    let status = zone.status.context("no status")?;
    let told = status.crossings.iter().find(|it| it.name == "partners");
    let message = told.and_then(|it| it.message.clone()).context("not told")?;
    ensure!(message.contains("azure.hub.firewall"), "{message}");
    ensure!(azure.rules()?.is_empty());

    let platforms = azure.platforms();
    let declared = json!({"spec": {"azure": hub()}});
    platforms
        .patch("cluster", &PatchParams::default(), &Patch::Merge(declared))
        .await?;
    azure
        .lets_through("shop.partners", &["api.example.com"])
        .await?;
    azure.platform_says("True", "AsDeclared").await?;
    governed.ready("shop").await?;
    azure.stop().await
}

/// Of what is suspended nothing changes, whoever else comes and goes, and after a restart neither.
pub(super) async fn what_is_suspended_keeps_its_way_out((): &()) -> Result<()> {
    let azure = InAzure::start_with(hub()).await?;
    let governed = &azure.governed;
    governed
        .declare("shop", spec("shop", 4, &towards(&["api.example.com"])))
        .await?;
    azure
        .lets_through("shop.partners", &["api.example.com"])
        .await?;
    governed.ready("shop").await?;
    azure.platform_says("True", "AsDeclared").await?;
    azure
        .edit(
            "shop",
            json!({"suspend": true, "network": towards(&["other.example.com"])}),
        )
        .await?;
    governed.operator.terminate().await?;
    let log = governed.cluster.audit_log();
    let mark = log.mark()?;
    let operator = OperatorProcess::start(&governed.cluster, OperatorOptions::default()).await?;
    operator.wait_until_ready(CONVERGED).await?;
    // Somebody else's nodes need what AKS needs, so that the rules are written anew.
    governed
        .declare("orders", spec("orders", 5, &json!({})))
        .await?;
    let kind = AzureKind::FirewallPoliciesRuleCollectionGroup;
    eventually(CONVERGED, "the rules to be written", async || {
        let writes = log.writes_by(governed.operator_user(), mark)?;
        let mut writes = writes.iter();
        Ok(writes.any(|it| it.resource == kind.plural()).then_some(()))
    })
    .await?;
    azure
        .lets_through("shop.partners", &["api.example.com"])
        .await?;
    azure.platform_says("True", "AsDeclared").await?;
    operator.terminate().await?;
    Ok(())
}
