//! The VNet: its protection against volumetric attacks, and the security groups of its subnets.

use super::api_server::is_private;
use super::azure::is_same;
use super::check::{Answer, Seen};
use super::{Asked, InputFile};

/// Whether DDoS Network Protection covers the VNet.
pub(super) fn ddos(asked: &Asked<'_>) -> Answer {
    if has_no_public_address(asked) {
        return Answer::pass(
            "nothing of the cluster has a public address, so the question does not arise",
        );
    }
    let Some(vnet) = asked.azure.vnet() else {
        return Answer::without(InputFile::Vnet);
    };
    let names = asked.azure.names();
    let is_on = vnet.get("enableDdosProtection").flag() == Some(true);
    let plan = vnet.get("ddosProtectionPlan").get("id").text();
    let answer = match (is_on, plan) {
        (true, Some(_)) => Answer::pass("enableDdosProtection is true, with a plan"),
        (true, None) => Answer::fail("enableDdosProtection is true, without a plan"),
        (false, _) => Answer::fail("enableDdosProtection is not true"),
    };
    answer
        .mend("# a plan is expensive and serves many VNets: look whether your tenant has one")
        .mend("az network ddos-protection create -g <resource group of the hub> -n <plan>")
        .mend(format!(
            "az network vnet update -g {} -n {} --ddos-protection true --ddos-protection-plan <id of the plan>",
            names.network_group, names.vnet
        ))
}

/// Whether neither the API server, nor egress, nor a service has an address on the internet.
fn has_no_public_address(asked: &Asked<'_>) -> bool {
    let services = asked.live.and_then(|it| it.load_balancers.as_ref().ok());
    let all_inside = services.is_some_and(|it| it.iter().all(|it| it.is_internal));
    asked.azure.cluster().is_some_and(|cluster| {
        let outbound = cluster.get("networkProfile").get("outboundType").text();
        let is_routed = outbound.is_some_and(|it| is_same(it, "userDefinedRouting"));
        is_routed && is_private(cluster)
    }) && all_inside
}

/// Whether every node subnet has a network security group.
pub(super) fn security_groups(asked: &Asked<'_>) -> Answer {
    if asked.azure.vnet().is_none() {
        return Answer::without(InputFile::Vnet);
    }
    if asked.azure.is_managed_vnet() {
        return Answer::pass("AKS manages the VNet and its security groups");
    }
    let subnets = asked.azure.node_subnets();
    if asked.azure.cluster().is_none() {
        let seen = "which of the subnets are those of nodes was not seen";
        return Answer::unknown(seen, InputFile::Cluster);
    }
    let open = subnets
        .iter()
        .filter(|it| it.network_security_group.is_none());
    let open = open.map(|it| Seen::of(it.name, "has no network security group"));
    let open: Vec<Seen> = open.collect();
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

    use super::super::fixture::{Given, POOL_SUBNET, cluster, state, vnet};
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

    #[test]
    fn what_has_no_public_address_needs_no_cover() {
        let cluster = cluster(
            json!({"networkProfile": {"outboundType": "userDefinedRouting"},
            "apiServerAccessProfile": {"enablePrivateCluster": true}}),
        );
        let given = |is_internal| {
            let balancer = LoadBalancer {
                namespace: "ingress".to_owned(),
                name: "front".to_owned(),
                is_internal,
                ports: vec![443],
            };
            Given::default()
                .file(InputFile::Cluster, cluster.clone())
                .live(ClusterState {
                    load_balancers: Ok(vec![balancer]),
                    ..state()
                })
                .ask(Question::DdosProtection)
        };
        assert_eq!(given(true).outcome, Outcome::Pass);
        let open = given(false);
        assert_eq!(open.tells, [InputFile::Vnet.to_string()]);
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
