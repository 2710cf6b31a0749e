use rstest::rstest;
use serde_json::{Value, json};

use super::super::fixture::{Given, POOL_SUBNET, VNET, cluster, state, vnet};
use super::super::{ClusterState, LoadBalancer, Outcome, Question};
use super::*;

const HUB: &str =
    "/subscriptions/0/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub";

fn gateway(name: &str, subnet: &str, fields: &Value) -> Value {
    let mut gateway = json!({"type": "Microsoft.Network/applicationGateways", "id": format!("/gateways/{name}"), "name": name,
        "gatewayIPConfigurations": [{"subnet": {"id": subnet}}]});
    for (key, value) in fields.as_object().unwrap() {
        gateway[key] = value.clone();
    }
    gateway
}

fn with_addon() -> Value {
    cluster(
        json!({"addonProfiles": {"IngressApplicationGateway": {"enabled": true, "config": {"applicationGatewayId": "/Gateways/a"}}}}),
    )
}

fn ask(cluster: Value, gateways: Value) -> super::super::Check {
    Given::default()
        .file(InputFile::Cluster, cluster)
        .file(InputFile::ApplicationGateways, gateways)
        .ask(Question::WafInFront)
}

#[rstest]
#[case(json!({"sku": {"tier": "WAF_v2"}, "firewallPolicy": {"id": "/waf"}}), Outcome::Pass)]
#[case(json!({"sku": {"tier": "WAF"}, "webApplicationFirewallConfiguration": {"enabled": true}}), Outcome::Pass)]
#[case::nothing_set(json!({"sku": {"tier": "WAF_v2"}}), Outcome::Fail)]
#[case::off(json!({"sku": {"tier": "WAF_v2"}, "webApplicationFirewallConfiguration": {"enabled": false}}), Outcome::Fail)]
#[case(json!({"sku": {"tier": "Standard_v2"}}), Outcome::Fail)]
fn the_gateway_of_the_addon_has_a_firewall(#[case] fields: Value, #[case] expected: Outcome) {
    let gateways = json!([gateway("a", "/elsewhere", &fields)]);
    assert_eq!(ask(with_addon(), gateways).outcome, expected);
}

#[test]
fn a_gateway_that_nobody_gave_is_unknown() {
    let check = ask(with_addon(), json!([]));
    assert_eq!(check.tells, [InputFile::ApplicationGateways.to_string()]);
    let without = Given::default().file(InputFile::Cluster, with_addon());
    let check = without.ask(Question::WafInFront);
    assert!(
        check.seen[0].what.contains("tier was not seen"),
        "{check:?}"
    );
}

#[test]
fn other_gateways_stand_in_the_vnet_or_a_peered_one() {
    let good = json!({"sku": {"tier": "WAF_v2"}, "firewallPolicy": {"id": "/waf"}});
    let own = json!([gateway("a", POOL_SUBNET, &good)]);
    assert_eq!(ask(cluster(json!({})), own).outcome, Outcome::Pass);
    assert_eq!(ask(cluster(json!({})), json!([])).outcome, Outcome::Fail);
    let hub = json!([gateway("a", &format!("{HUB}/subnets/agw"), &good)]);
    let unknown = ask(cluster(json!({})), hub.clone());
    assert_eq!(unknown.tells, [InputFile::Vnet.to_string()]);
    let peered = vnet(json!({"virtualNetworkPeerings": [{"remoteVirtualNetwork": {"id": HUB}}]}));
    for (vnet, expected) in [(peered, Outcome::Pass), (vnet(json!({})), Outcome::Fail)] {
        let given = Given::default()
            .file(InputFile::Cluster, cluster(json!({})))
            .file(InputFile::Vnet, vnet)
            .file(InputFile::ApplicationGateways, hub.clone());
        assert_eq!(given.ask(Question::WafInFront).outcome, expected);
    }
}

#[test]
fn a_service_that_takes_http_from_the_internet_goes_past_it() {
    let with = |is_internal, port| {
        let balancer = LoadBalancer {
            namespace: "ingress".to_owned(),
            name: "front".to_owned(),
            is_internal,
            keeps_source: true,
            ports: vec![port],
        };
        let good = json!({"sku": {"tier": "WAF_v2"}, "firewallPolicy": {"id": "/waf"}});
        Given::default()
            .file(InputFile::Cluster, with_addon())
            .file(
                InputFile::ApplicationGateways,
                json!([gateway("a", POOL_SUBNET, &good)]),
            )
            .live(ClusterState {
                load_balancers: Ok(vec![balancer]),
                ingress_classes: Ok(vec!["nginx".to_owned()]),
                ..state()
            })
            .ask(Question::WafInFront)
    };
    assert_eq!(with(true, 443).outcome, Outcome::Pass);
    assert_eq!(with(false, 5432).outcome, Outcome::Pass);
    let open = with(false, 443);
    assert_eq!(open.outcome, Outcome::Fail);
    assert_eq!(open.seen[0].resource.as_deref(), Some("ingress/front"));
    assert_eq!(open.notes, ["ingress classes of the cluster: nginx"]);
}

#[test]
fn nothing_tells_without_files() {
    for question in [Question::WafInFront, Question::ApiManagementInVnet] {
        assert_eq!(Given::default().ask(question).outcome, Outcome::Unknown);
    }
}

#[rstest]
#[case::inside(json!({"virtualNetworkType": "Internal", "virtualNetworkConfiguration": {"subnetResourceId": format!("{VNET}/subnets/apim")}}), Outcome::Pass)]
#[case::elsewhere(json!({"virtualNetworkType": "Internal", "virtualNetworkConfiguration": {"subnetResourceId": "/other/subnets/apim"}}), Outcome::Fail)]
#[case::in_front(json!({"virtualNetworkType": "External"}), Outcome::Fail)]
#[case::none(json!({"virtualNetworkType": "None"}), Outcome::Fail)]
#[case::not_told(json!({}), Outcome::Fail)]
fn api_management_is_inside(#[case] fields: Value, #[case] expected: Outcome) {
    let mut instance = json!({"type": "Microsoft.ApiManagement/service", "name": "apim"});
    instance
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let given = Given::default()
        .file(InputFile::Cluster, cluster(json!({})))
        .file(InputFile::Vnet, vnet(json!({})))
        .file(InputFile::ApiManagement, json!([instance]));
    assert_eq!(given.ask(Question::ApiManagementInVnet).outcome, expected);
}

#[test]
fn without_api_management_the_question_does_not_arise() {
    let given = Given::default().file(InputFile::ApiManagement, json!([]));
    assert_eq!(
        given.ask(Question::ApiManagementInVnet).outcome,
        Outcome::Pass
    );
    let inside = json!([{"type": "Microsoft.ApiManagement/service", "name": "apim", "virtualNetworkType": "Internal",
        "virtualNetworkConfiguration": {"subnetResourceId": "/other/subnets/apim"}}]);
    let given = Given::default().file(InputFile::ApiManagement, inside);
    assert_eq!(
        given.ask(Question::ApiManagementInVnet).tells,
        [InputFile::Vnet.to_string()]
    );
}

/// Which instance is listed first makes no difference, and none of the cluster's own VNet hides behind another.
#[test]
fn instances_count_in_any_order() {
    let instance = |name: &str, kind: &str, subnet: &str| {
        json!({"type": "Microsoft.ApiManagement/service", "name": name, "virtualNetworkType": kind,
            "virtualNetworkConfiguration": {"subnetResourceId": subnet}})
    };
    let own = format!("{VNET}/subnets/apim");
    let inside = instance("inside", "Internal", &own);
    let elsewhere = instance("elsewhere", "Internal", "/other/subnets/apim");
    let open = instance("open", "External", &own);
    let foreign = instance("foreign", "None", "");
    let ask = |instances: Vec<Value>, with_vnet: bool| {
        let given = Given::default()
            .file(InputFile::Cluster, cluster(json!({})))
            .file(InputFile::ApiManagement, Value::from(instances));
        let given = if with_vnet {
            given.file(InputFile::Vnet, vnet(json!({})))
        } else {
            given
        };
        given.ask(Question::ApiManagementInVnet).outcome
    };
    for (one, other, with_vnet, expected) in [
        (&inside, &elsewhere, false, Outcome::Pass),
        (&inside, &elsewhere, true, Outcome::Pass),
        (&inside, &foreign, true, Outcome::Pass),
        (&inside, &open, true, Outcome::Fail),
        (&elsewhere, &foreign, false, Outcome::Unknown),
        (&elsewhere, &foreign, true, Outcome::Fail),
    ] {
        for both in [
            vec![one.clone(), other.clone()],
            vec![other.clone(), one.clone()],
        ] {
            assert_eq!(ask(both.clone(), with_vnet), expected, "{both:?}");
        }
    }
}
