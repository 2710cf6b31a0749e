//! The boundary that is rendered, judged by the evaluator: whatever teams write, in every flavour of Calico.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1 as networking;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::fixture::{CALICO, landing_zone as empty, namespace, platform, sample};
use super::{Desired, landing_zone, tier};
use crate::domain::{Flavour, LandingZone, Openings, PolicyApi, TeamPolicies};
use crate::policy::{
    Endpoint, LabelMap, NetworkPolicy, Packet, Place, Policy, TransportProtocol, Verdict, World,
    Written, labels,
};

const OUTSIDE: &str = "203.0.113.9";
const CACHE: &str = "169.254.20.10";
/// The namespaces of the two landing zones, and of nobody.
const SHOP: [&str; 3] = ["application2-ns1", "application2-ns2", "application2-ns3"];
const ORDERS: [&str; 2] = ["orders-web", "orders-data"];
const NOBODY: [&str; 2] = ["stranger", "kube-system"];

fn orders() -> LandingZone {
    let mut zone = empty("orders");
    zone.namespaces = vec![
        namespace("orders-web", "frontend"),
        namespace("orders-data", "data"),
    ];
    zone
}

fn rendered(zone: &LandingZone, flavour: Flavour) -> Desired {
    let nothing = TeamPolicies::default();
    landing_zone(
        zone,
        &[],
        &platform(),
        &Openings::default(),
        &nothing,
        flavour,
    )
}

/// Both landing zones with a pod in each namespace, pods of nobody, and what the teams wrote.
fn world(flavour: Flavour, written: &[Value]) -> World {
    let desired = [rendered(&sample(), flavour), rendered(&orders(), flavour)];
    let of_storage = if flavour.api == PolicyApi::CalicoCrdV1 {
        Written::Storage
    } else {
        Written::Api
    };
    let mut policies = Vec::new();
    for policy in desired.iter().flat_map(|it| &it.global_network_policies) {
        policies.extend(Policy::of_global(policy, of_storage).unwrap());
    }
    for policy in written {
        policies.push(if policy["apiVersion"] == "networking.k8s.io/v1" {
            let policy: networking::NetworkPolicy = serde_json::from_value(policy.clone()).unwrap();
            Policy::of_kubernetes(&policy).unwrap()
        } else {
            let policy: NetworkPolicy = serde_json::from_value(policy.clone()).unwrap();
            Policy::of_calico(&policy, of_storage).unwrap()
        });
    }
    let tiers = if tier::used(flavour) {
        tier::all()
    } else {
        Vec::new()
    };
    let mut world = World::new(&tiers, policies);
    let declared = desired.iter().flat_map(|it| &it.namespaces);
    let mut namespaces: BTreeMap<String, LabelMap> = declared
        .map(|it| {
            (
                it.metadata.name.clone().unwrap(),
                it.metadata.labels.clone().unwrap(),
            )
        })
        .collect();
    for name in NOBODY {
        // It carries what belongs to a landing zone, but for the label that only the operator writes.
        let forged = [("applicationcode", "application2"), ("zone", "backend")];
        let forged = forged.map(|(key, value)| (key.to_owned(), value.to_owned()));
        namespaces.insert(name.to_owned(), forged.into());
    }
    let pods = namespaces.iter().enumerate();
    world.endpoints = pods
        .map(|(number, (namespace, of_namespace))| {
            let own = [("app", "web"), ("zone", "backend")];
            let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
            Endpoint {
                namespace: namespace.clone(),
                name: "a".to_owned(),
                labels: labels(&own.into(), (namespace, of_namespace), None),
                addresses: vec![format!("10.244.0.{}", number + 1).parse().unwrap()],
                ports: Vec::new(),
            }
        })
        .collect();
    world
}

fn place<'a>(world: &'a World, name: &str) -> Place<'a> {
    let mut all = world.endpoints.iter();
    match all.find(|it| it.namespace == name) {
        Some(pod) => Place::Pod(pod),
        None => Place::Address(name.parse().unwrap()),
    }
}

fn verdict(world: &World, from: &str, to: &str, protocol: TransportProtocol, port: u16) -> Verdict {
    let packet = Packet {
        protocol,
        source_port: 40_000,
        port,
    };
    let found = world.verdict(place(world, from), place(world, to), packet);
    found.unwrap()
}

/// What is sent, across.
const PACKETS: [(TransportProtocol, u16); 3] = [
    (TransportProtocol::TCP, 8080),
    (TransportProtocol::UDP, 53),
    (TransportProtocol::TCP, 5432),
];

fn nothing_crosses(world: &World) -> Result<(), TestCaseError> {
    let outside_of_shop = ORDERS.iter().chain(&NOBODY).chain(&[OUTSIDE, "10.244.9.9"]);
    for other in outside_of_shop {
        for own in SHOP {
            for (protocol, port) in PACKETS {
                for (from, to) in [(own, *other), (*other, own)] {
                    let verdict = verdict(world, from, to, protocol, port);
                    prop_assert!(
                        !verdict.is_allowed(),
                        "{from} → {to} {protocol} {port}: {verdict:?}"
                    );
                }
            }
        }
    }
    Ok(())
}

#[test]
fn flows_are_open_and_nothing_else() {
    for flavour in CALICO {
        let world = world(flavour, &[]);
        nothing_crosses(&world).unwrap();
        let passes =
            |from, to, port| verdict(&world, from, to, TransportProtocol::TCP, port).is_allowed();
        assert!(passes(SHOP[0], SHOP[1], 8080), "{flavour:?}");
        assert!(passes(SHOP[1], SHOP[2], 5440), "{flavour:?}");
        for (from, to, port) in [
            (SHOP[1], SHOP[0], 8080),
            (SHOP[0], SHOP[1], 8081),
            (SHOP[0], SHOP[2], 5432),
            (SHOP[0], CACHE, 443),
        ] {
            assert!(!passes(from, to, port), "{flavour:?}: {from} → {to} {port}");
        }
        let dns = verdict(&world, SHOP[0], CACHE, TransportProtocol::UDP, 53);
        assert!(dns.is_allowed(), "{flavour:?}: {dns:?}");
        assert!(
            passes(ORDERS[0], ORDERS[1], 1),
            "no flows are declared: all is free inside"
        );
    }
}

/// A policy of a team as admission lets it through: with no order, or one after the boundary.
fn team_policy() -> impl Strategy<Value = Value> {
    let namespaces = || select(SHOP.iter().chain(&ORDERS).copied().collect::<Vec<_>>());
    let peer = select(vec![
        json!({}),
        json!({"namespaceSelector": "all()"}),
        json!({"selector": "all()"}),
        json!({"namespaceSelector": "applicationcode == 'application2'"}),
        json!({"namespaceSelector": "projectcalico.org/name == 'stranger'"}),
        json!({"namespaceSelector": "code != 'x' || has(x)"}),
        json!({"notSelector": "has(nothing)"}),
        json!({"nets": ["0.0.0.0/0"]}),
        json!({"nets": ["10.244.0.0/16"]}),
        json!({"serviceAccounts": {"names": ["default"]}}),
    ]);
    let rule = (select(&["Allow", "Pass", "Log", "Deny"]), peer.clone(), peer).prop_map(
        |(action, source, destination)| {
            json!({"action": action, "source": source, "destination": destination})
        },
    );
    let rules = || proptest::collection::vec(rule.clone(), 0..3);
    let order = prop_oneof![
        Just(Value::Null),
        (100..10_000_u32).prop_map(|it| json!(it))
    ];
    let types = select(vec![
        json!(["Ingress"]),
        json!(["Egress"]),
        json!(["Ingress", "Egress"]),
    ]);
    let selector = select(&["", "all()", "app == 'web'", "!has(x)"]);
    let calico = (namespaces(), order, types, selector, rules(), rules()).prop_map(
        |(namespace, order, types, selector, ingress, egress)| {
            json!({
                "metadata": {"namespace": namespace, "name": "default.team"},
                "spec": {"order": order, "types": types, "selector": selector, "ingress": ingress, "egress": egress},
            })
        },
    );
    let kubernetes = namespaces().prop_map(|namespace| {
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "metadata": {"namespace": namespace, "name": "open"},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]},
        })
    });
    prop_oneof![4 => calico, 1 => kubernetes]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_teams_write_nothing_crosses(
        flavour in select(&CALICO[..]),
        written in proptest::collection::vec(team_policy(), 0..6),
    ) {
        nothing_crosses(&world(flavour, &written))?;
    }
}
