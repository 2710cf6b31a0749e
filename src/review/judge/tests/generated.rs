//! Policies of one rule, and what they let through when nothing else is there.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::policy::{
    Decider, Endpoint, Packet, Place, Policy, TransportProtocol, World, Written, labels,
};

const LABELS: [&str; 5] = [
    "applicationcode",
    "zone",
    "team",
    "projectcalico.org/name",
    "landingzones.dev/landing-zone",
];
pub(super) const VALUES: [&str; 7] = [
    "application2",
    "orders",
    "data",
    "frontend",
    "red",
    "app2-ns1",
    "stranger",
];

fn comparison(labels: &'static [&'static str]) -> impl Strategy<Value = String> {
    (
        select(labels),
        select(&VALUES[..]),
        select(&VALUES[..]),
        0..8_u8,
    )
        .prop_map(|(label, one, other, form)| match form {
            0 | 1 => format!("{label} == '{one}'"),
            2 => format!("{label} != '{one}'"),
            3 => format!("{label} in {{'{one}','{other}'}}"),
            4 => format!("{label} not in {{'{one}','{other}'}}"),
            5 => format!("has({label})"),
            6 => format!("!has({label})"),
            _ => format!("{label} starts with '{}'", &one[..3]),
        })
}

fn selector(labels: &'static [&'static str]) -> impl Strategy<Value = String> {
    comparison(labels).prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4)
                .prop_map(|all| format!("({})", all.join(" && "))),
            proptest::collection::vec(inner.clone(), 2..4)
                .prop_map(|all| format!("({})", all.join(" || "))),
            inner.prop_map(|it| format!("!({it})")),
        ]
    })
}

pub(super) fn end() -> impl Strategy<Value = Value> {
    let namespaces = prop_oneof![
        8 => selector(&LABELS).prop_map(Some),
        1 => Just(Some("all()".to_owned())),
        1 => Just(None),
    ];
    let pods = proptest::option::of(selector(&["app", "team"]));
    let not = proptest::option::weighted(0.3, selector(&["app", "team"]));
    (namespaces, pods, not).prop_map(|(namespaces, pods, not)| {
        let mut end = json!({});
        for (field, text) in [
            ("namespaceSelector", namespaces),
            ("selector", pods),
            ("notSelector", not),
        ] {
            if let Some(text) = text {
                end[field] = json!(text);
            }
        }
        end
    })
}

/// A namespace outside of application2, and a pod's labels.
pub(super) fn outsider() -> impl Strategy<Value = Endpoint> {
    let value = || select(&VALUES[1..]);
    let own =
        proptest::collection::btree_map(select(&["app", "team"][..]), select(&VALUES[..]), 0..3);
    let of_namespace = proptest::collection::btree_map(select(&LABELS[..3]), value(), 0..4);
    let name = select(&["stranger", "orders-ns3", "orders", "red", "data"][..]);
    (name, of_namespace, own).prop_map(|(name, of_namespace, own)| {
        let map = |labels: BTreeMap<&str, &str>| {
            labels
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect()
        };
        let mut of_namespace: BTreeMap<String, String> = map(of_namespace);
        if of_namespace
            .get("applicationcode")
            .is_some_and(|it| it == "orders")
        {
            of_namespace.insert(
                "landingzones.dev/landing-zone".to_owned(),
                "orders".to_owned(),
            );
        }
        Endpoint {
            namespace: name.to_owned(),
            name: "pod".to_owned(),
            labels: labels(
                &map(own),
                (name, &of_namespace),
                Some(("default", &BTreeMap::new())),
            ),
            addresses: vec!["10.244.9.9".parse().unwrap()],
            ports: Vec::new(),
        }
    })
}

/// What somebody may write who knows that nobody validates Calico's storage.
fn sloppy(policy: &mut Value, how: u8) {
    let spec = &mut policy["spec"];
    match how {
        0 => spec["egress"][1]["action"] = json!("allow"),
        1 => spec["egress"][1]["action"] = json!(""),
        2 => spec["types"] = json!(["EGRESS", "in"]),
        3 => spec["egress"][0]["action"] = json!("log"),
        4 => spec["egress"][1]["destination"] = json!({"nets": ["bogus"]}),
        5 => spec["egress"][1]["destination"]["nets"] = json!(["10.0.0.0/33"]),
        6 => spec["egress"][1]["destination"] = json!({"nets": ["10.0.0.0/008"]}),
        7 => spec["selector"] = json!("app == 'x') || (all()"),
        8 => spec["serviceAccountSelector"] = json!("app = 'x'"),
        9 => spec["egress"][0]["destination"] = json!({"notNets": ["0.0.0.0/0x"]}),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_gets_through_is_found(
        deny in end(), allow in end(), outsiders in proptest::collection::vec(outsider(), 8), how in 0..20_u8,
    ) {
        let mut policy = to(&allow);
        policy["apiVersion"] = json!("crd.projectcalico.org/v1");
        policy["spec"]["egress"].as_array_mut().unwrap().insert(0, json!({"action": "Deny", "destination": deny}));
        sloppy(&mut policy, how);
        let read: NetworkPolicy = serde_json::from_value(policy.clone()).unwrap();
        let mut world = World::new(&[], vec![Policy::of_calico(&read, Written::Storage).unwrap()]);
        world.endpoints = outsiders;
        let own = landscape().namespace("app2-ns2").unwrap().labels.clone();
        let own = Endpoint {
            namespace: "app2-ns2".to_owned(),
            name: "own".to_owned(),
            labels: labels(&BTreeMap::new(), ("app2-ns2", &own), None),
            addresses: vec!["10.244.1.1".parse().unwrap()],
            ports: Vec::new(),
        };
        let packet = Packet { protocol: TransportProtocol::TCP, source_port: 40_000, port: 80 };
        // Endpoints of one address would be one to the evaluator.
        let others: Vec<_> = std::mem::take(&mut world.endpoints);
        let gets_through = others.iter().find(|other| {
            let mut world = world.clone();
            world.endpoints = vec![own.clone(), (*other).clone()];
            let verdict = world.verdict(Place::Pod(&own), Place::Pod(other), packet).unwrap();
            matches!(verdict.egress.by, Decider::Rule(..)) && verdict.egress.allowed
        });
        let found = found(&policy);
        if let Some(other) = gets_through {
            prop_assert!(found.iter().any(Finding::needs_approval), "{policy}\n{other:?}\n{found:?}");
        }
    }
}
