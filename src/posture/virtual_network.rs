//! The VNet: its protection against volumetric attacks, and the security groups of its subnets.

use super::api_server::is_private;
use super::azure::{is_same, last_name};
use super::check::{Answer, Seen};
use super::ingress::near;
use super::{Asked, InputFile};

/// Whether DDoS Network Protection covers the VNet.
pub(super) fn ddos(asked: &Asked<'_>) -> Answer {
    let vnet = asked.azure.vnet();
    let is_on = vnet.is_some_and(|it| it.get("enableDdosProtection").flag() == Some(true));
    let plan = vnet.and_then(|it| it.get("ddosProtectionPlan").get("id").text());
    if is_on && plan.is_some() {
        return Answer::pass("enableDdosProtection is true, with a plan");
    }
    if has_no_public_address(asked) {
        return Answer::pass(
            "nothing of the cluster, nor around it, has a public address, so the question does not arise",
        );
    }
    if vnet.is_none() {
        return asked.without(InputFile::Vnet);
    }
    let names = asked.azure.names();
    let seen = if is_on {
        "enableDdosProtection is true, without a plan"
    } else {
        "enableDdosProtection is not true"
    };
    Answer::fail(seen)
        .note("where nothing has a public address the question does not arise: --cluster, --application-gateways, --api-management and --live together tell")
        .mend("# a plan is expensive and serves many VNets: look whether your tenant has one")
        .mend("az network ddos-protection create -g <resource group of the hub> -n <plan>")
        .mend(format!(
            "az network vnet update -g {} -n {} --ddos-protection true --ddos-protection-plan <id of the plan>",
            names.network_group, names.vnet
        ))
}

/// Whether neither the API server, nor egress, nodes, services, application gateways and API Management have an address on the
/// internet. What was not looked at may have one.
fn has_no_public_address(asked: &Asked<'_>) -> bool {
    let azure = &asked.azure;
    let Some(cluster) = azure.cluster() else {
        return false;
    };
    let outbound = cluster.get("networkProfile").get("outboundType").text();
    let is_routed = outbound.is_some_and(|it| is_same(it, "userDefinedRouting"));
    let of_nodes = azure.pools().iter().any(|it| it.has_public_addresses);
    let services = asked.live.and_then(|it| it.load_balancers.as_ref().ok());
    let all_inside = services.is_some_and(|it| it.iter().all(|it| it.is_internal));
    let addons = cluster.get("addonProfiles");
    let addon = addons.get("ingressApplicationGateway").get("enabled");
    let gateways = azure.given(InputFile::ApplicationGateways);
    let of_gateways = gateways.map(|it| match near(asked, it) {
        Ok(near) => near.iter().any(|it| {
            let addresses = it.get("frontendIPConfigurations").items();
            let mut addresses = addresses
                .iter()
                .map(|it| it.get("publicIPAddress").get("id"));
            addresses.any(|it| it.text().is_some())
        }),
        Err(_) => true,
    });
    // Even one that is inside has a public address, for its management.
    let instances = azure.given(InputFile::ApiManagement);
    is_routed
        && is_private(cluster)
        && !of_nodes
        && all_inside
        && addon.flag() != Some(true)
        && of_gateways == Some(false)
        && instances.is_some_and(<[_]>::is_empty)
}

/// Whether every node subnet has a network security group.
pub(super) fn security_groups(asked: &Asked<'_>) -> Answer {
    if asked.azure.vnet().is_none() {
        return asked.without(InputFile::Vnet);
    }
    if asked.azure.is_managed_vnet() {
        return Answer::pass("AKS manages the VNet and its security groups");
    }
    if asked.azure.cluster().is_none() {
        let seen = "which of the subnets are those of nodes was not seen";
        return Answer::unknown(seen, InputFile::Cluster);
    }
    let (subnets, missing) = asked.azure.node_subnets();
    let open = subnets
        .iter()
        .filter(|it| it.network_security_group.is_none());
    let open = open.map(|it| Seen::of(it.name, "has no network security group"));
    let open: Vec<Seen> = open.collect();
    if let Some(id) = missing.first().filter(|_| open.is_empty()) {
        let seen = format!("the VNet's file does not list the subnet {}", last_name(id));
        return Answer::unknown(seen, InputFile::Vnet);
    }
    let names = asked.azure.names();
    Answer::fail_each(open, "every subnet of a pool has a network security group").mend(format!(
        "az network vnet subnet update -g {} --vnet-name {} -n <subnet> --network-security-group <group>",
        names.network_group, names.vnet
    ))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::fixture::{Given, POOL_SUBNET, VNET, cluster, state, vnet};
    use super::super::{ClusterState, LoadBalancer, Outcome, Question};
    use super::*;

    #[rstest]
    #[case(json!({"enableDdosProtection": true, "ddosProtectionPlan": {"id": "/plan"}}), Outcome::Pass)]
    #[case(json!({"enableDdosProtection": true}), Outcome::Fail)]
    #[case(json!({"enableDdosProtection": false}), Outcome::Fail)]
    #[case(json!({}), Outcome::Fail)]
    fn a_vnet_is_covered_by_a_plan(#[case] fields: Value, #[case] expected: Outcome) {
        let given = Given::default().file(InputFile::Vnet, vnet(fields));
        assert_eq!(given.ask(Question::DdosProtection).outcome, expected);
    }

    fn balancer(is_internal: bool) -> LoadBalancer {
        LoadBalancer {
            namespace: "ingress".to_owned(),
            name: "front".to_owned(),
            is_internal,
            keeps_source: true,
            ports: vec![443],
        }
    }

    /// All that tells that nothing has a public address, with a cluster of these fields, gateways and services.
    fn hidden(fields: &Value, gateways: Value, is_internal: bool) -> Given {
        let mut all = json!({"networkProfile": {"outboundType": "userDefinedRouting"},
            "apiServerAccessProfile": {"enablePrivateCluster": true}});
        let fields = fields.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(fields);
        Given::default()
            .file(InputFile::Cluster, cluster(all))
            .file(InputFile::ApplicationGateways, gateways)
            .file(InputFile::ApiManagement, json!([]))
            .live(ClusterState {
                load_balancers: Ok(vec![balancer(is_internal)]),
                ..state()
            })
    }

    #[test]
    fn what_has_no_public_address_needs_no_cover() {
        let ask = |given: Given| given.ask(Question::DdosProtection);
        let off = || vnet(json!({"enableDdosProtection": false}));
        let well = hidden(&json!({}), json!([]), true);
        assert_eq!(ask(well).outcome, Outcome::Pass);
        let well = hidden(&json!({}), json!([]), true).file(InputFile::Vnet, off());
        assert_eq!(ask(well).outcome, Outcome::Pass);
        let gateway = json!([{"type": "Microsoft.Network/applicationGateways", "name": "agw",
            "gatewayIPConfigurations": [{"subnet": {"id": format!("{VNET}/subnets/agw")}}],
            "frontendIPConfigurations": [{"publicIPAddress": {"id": "/ip"}}]}]);
        let addon = json!({"addonProfiles": {"ingressApplicationGateway": {"enabled": true}}});
        let nodes = json!({"agentPoolProfiles": [{"name": "a", "vnetSubnetId": POOL_SUBNET, "enableNodePublicIp": true}]});
        for open in [
            hidden(&json!({}), json!([]), false),
            hidden(&json!({}), gateway, true),
            hidden(&addon, json!([]), true),
            hidden(&nodes, json!([]), true),
        ] {
            let check = ask(open);
            assert_eq!(check.tells, [InputFile::Vnet.to_string()]);
        }
        let open = hidden(&json!({}), json!([]), false).file(InputFile::Vnet, off());
        assert_eq!(ask(open).outcome, Outcome::Fail);
    }

    /// Who did not look at gateways and API Management does not know that there are none.
    #[test]
    fn what_was_not_looked_at_may_have_a_public_address() {
        let fields = json!({"networkProfile": {"outboundType": "userDefinedRouting"},
            "apiServerAccessProfile": {"enablePrivateCluster": true}});
        let given = Given::default()
            .file(InputFile::Cluster, cluster(fields))
            .live(state());
        assert_eq!(
            given.ask(Question::DdosProtection).outcome,
            Outcome::Unknown
        );
    }

    #[test]
    fn a_subnet_that_the_vnet_does_not_list_was_not_seen() {
        let given = Given::default()
            .file(InputFile::Cluster, cluster(json!({})))
            .file(
                InputFile::Vnet,
                vnet(
                    json!({"subnets": [{"id": "/other", "networkSecurityGroup": {"id": "/nsg"}}]}),
                ),
            );
        assert_eq!(
            given.ask(Question::SubnetNsg).tells,
            [InputFile::Vnet.to_string()]
        );
    }

    #[test]
    fn each_subnet_of_a_pool_has_a_group() {
        let ask = |subnet: Value| {
            Given::default()
                .file(InputFile::Cluster, cluster(json!({})))
                .file(
                    InputFile::Vnet,
                    vnet(json!({"subnets": [subnet, {"id": "/other"}]})),
                )
                .ask(Question::SubnetNsg)
        };
        let with = json!({"id": POOL_SUBNET, "networkSecurityGroup": {"id": "/nsg"}});
        assert_eq!(ask(with).outcome, Outcome::Pass);
        let without = ask(json!({"id": POOL_SUBNET, "networkSecurityGroup": null}));
        assert_eq!(
            without.seen,
            [Seen::of("nodes", "has no network security group")]
        );
        let given = Given::default().file(InputFile::Vnet, vnet(json!({})));
        assert_eq!(given.ask(Question::SubnetNsg).outcome, Outcome::Unknown);
        assert_eq!(
            Given::default().ask(Question::SubnetNsg).outcome,
            Outcome::Unknown
        );
    }

    #[test]
    fn a_managed_vnet_has_those_of_aks() {
        let managed = json!({"agentPoolProfiles": [{"name": "a"}], "nodeResourceGroup": "rg"});
        let given = Given::default()
            .file(InputFile::Cluster, cluster(managed))
            .file(InputFile::Vnet, vnet(json!({})));
        assert_eq!(given.ask(Question::SubnetNsg).outcome, Outcome::Pass);
    }
}
