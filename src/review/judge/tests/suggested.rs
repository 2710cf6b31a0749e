//! What is suggested settles what is found, and opens no more than the rule asks for.

mod exceptions;
mod ports;
mod several;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::domain::{CalicoNaming, PolicyApi, Reach};
use crate::review::address::Addresses;

/// Landing zones by name, each with the prefix of its namespaces and its network, and the platform.
#[derive(Clone)]
struct Stand {
    zones: Vec<(&'static str, &'static str, Value)>,
    platform: Platform,
    /// Pods that are known.
    pods: Vec<crate::policy::Endpoint>,
}

impl Stand {
    /// Three that declare nothing; the ranges of pods and nodes.
    fn new(pods: &str, nodes: &str) -> Self {
        let names = [
            ("application2", "app2"),
            ("orders", "orders"),
            ("pay", "pay"),
        ];
        let nets = |texts: &str| texts.split(' ').map(|it| it.parse().unwrap()).collect();
        Self {
            zones: names.map(|(name, prefix)| (name, prefix, json!({}))).into(),
            platform: Platform {
                pod_cidrs: nets(pods),
                node_cidrs: nets(nodes),
                ..Platform::default()
            },
            pods: Vec::new(),
        }
    }

    fn with(mut self, landing_zone: &str, network: Value) -> Self {
        self.merge(landing_zone, network);
        self
    }

    fn merge(&mut self, landing_zone: &str, network: Value) {
        let mut zones = self.zones.iter_mut();
        let zone = zones.find(|it| it.0 == landing_zone).unwrap();
        let Value::Object(network) = network else {
            panic!("{network}");
        };
        for (list, entries) in network {
            let known = zone.2.as_object_mut().unwrap().entry(list);
            let known = known.or_insert(json!([])).as_array_mut().unwrap();
            known.extend(entries.as_array().unwrap().iter().cloned());
        }
    }

    fn landscape(&self) -> Landscape {
        let zones = self.zones.iter();
        let zones: Vec<_> = zones
            .map(|(name, prefix, network)| zone(name, prefix, network))
            .collect();
        let neighbours = |own: &LandingZone| {
            let others = zones.iter().filter(|other| other.name != own.name);
            let others =
                others.map(|it| (it.name.clone(), Neighbour::InForce(Box::new(it.clone()))));
            others.collect()
        };
        let resolved = zones.iter().map(|it| {
            let around = Surroundings {
                platform: &self.platform,
                flavour: Flavour {
                    api: PolicyApi::CalicoV3,
                    tiers: true,
                    staged: true,
                    naming: CalicoNaming::Plain,
                },
                today: date(2026, 11, 26),
                neighbours: neighbours(it),
                before: Vec::new(),
                shared_ranges: std::collections::BTreeMap::new(),
            };
            resolve(it, &around)
        });
        let resolved: Vec<_> = resolved.collect();
        let all: Vec<_> = zones.iter().zip(&resolved).collect();
        let mut landscape = Landscape::new(&all, &[], self.platform.clone());
        landscape.pods.clone_from(&self.pods);
        landscape
    }

    fn found(&self, policy: &Value) -> Vec<Finding> {
        let mut found = judge(&Object::read(policy).unwrap().unwrap(), &self.landscape());
        found.retain(Finding::needs_approval);
        found
    }

    /// Declares what a suggestion says, and writes the policy as it says.
    fn apply(&mut self, policy: &mut Value, suggestion: &str) {
        let mut declared = 0;
        for part in suggestion.split("declare in landing zone ").skip(1) {
            let (name, network) = part.split_once(": network: ").unwrap();
            let network = serde_saphyr::from_str(first_map(network)).unwrap();
            self.merge(name, network);
            declared += 1;
        }
        assert_ne!(declared, 0, "{suggestion}");
        if let Some((_, text)) = suggestion.split_once("is meant, write namespaceSelector: \"") {
            let (selector, _) = text.split_once('"').unwrap();
            end_of(policy)["namespaceSelector"] = json!(selector);
        }
    }
}

/// The end outside of the only rule.
fn end_of(policy: &mut Value) -> &mut Value {
    let spec = &mut policy["spec"];
    if spec.get("egress").is_some() {
        &mut spec["egress"][0]["destination"]
    } else {
        &mut spec["ingress"][0]["source"]
    }
}

/// The map that a text begins with.
fn first_map(text: &str) -> &str {
    let (mut depth, mut is_quoted) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            '{' if !is_quoted => depth += 1,
            '}' if !is_quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..=at];
        }
    }
    panic!("{text}");
}

fn plain() -> Stand {
    Stand::new("10.244.0.0/16", "10.1.0.0/24")
}

/// What is suggested settles it; returns what was suggested.
fn settles(stand: &Stand, policy: &Value) -> String {
    let before = stand.found(policy);
    let [finding] = before.as_slice() else {
        panic!("{policy}: {before:#?}");
    };
    let (mut stand, mut policy) = (stand.clone(), policy.clone());
    stand.apply(&mut policy, &finding.suggestion);
    let after = stand.found(&policy);
    assert_eq!(after, [], "{policy}\n{}", finding.suggestion);
    finding.suggestion.clone()
}

fn from(end: &Value) -> Value {
    let mut policy = to(end);
    let spec = policy["spec"].as_object_mut().unwrap();
    spec.remove("egress");
    spec["types"] = json!(["Ingress"]);
    spec.insert(
        "ingress".to_owned(),
        json!([{"action": "Allow", "source": end}]),
    );
    policy
}

#[test]
fn ranges_need_a_crossing_for_each_thing_to_acknowledge() {
    for (nets, acknowledged) in [
        (
            json!(["0.0.0.0/0"]),
            &["AllAddresses", "MetadataService", "NodeRange", "PodRange"][..],
        ),
        (
            json!(["0.0.0.0/1", "128.0.0.0/1"]),
            &["AllAddresses", "MetadataService", "NodeRange", "PodRange"],
        ),
        (json!(["::/0"]), &["AllAddresses"]),
        (
            json!(["::/0", "0.0.0.0/0"]),
            &["AllAddresses", "MetadataService", "NodeRange", "PodRange"],
        ),
        (json!(["10.0.0.0/8"]), &["NodeRange", "PodRange"]),
        (json!(["10.244.1.0/24"]), &["PodRange"]),
        (
            json!(["169.254.169.254/32", "198.51.100.0/24"]),
            &["MetadataService"],
        ),
    ] {
        let suggestion = settles(&plain(), &to(&json!({"nets": nets})));
        let told: Vec<&str> = suggestion.split("acknowledge: ").skip(1).collect();
        let told: Vec<&str> = told
            .iter()
            .map(|it| it.split(['}', ',']).next().unwrap())
            .collect();
        assert_eq!(told, acknowledged, "{suggestion}");
    }
}

#[test]
fn exceptions_stay_exceptions() {
    let policy = to(&json!({"nets": ["198.51.100.0/24"], "notNets": ["198.51.100.7/32"]}));
    let suggestion = settles(&plain(), &policy);
    let expected = "to: {cidrs: [198.51.100.0/24], except: [198.51.100.7/32]}";
    assert!(suggestion.contains(expected), "{suggestion}");
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "team", "namespace": "app2-ns2"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "api"}}, "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": "198.51.100.0/24", "except": ["198.51.100.7/32"]}}]}],
        },
    });
    let suggestion = settles(&plain(), &policy);
    assert!(suggestion.contains(expected), "{suggestion}");
    assert!(
        suggestion.contains("from: {zone: backend, podSelector: {matchLabels: {app: api}}}"),
        "{suggestion}"
    );
    // What is declared already is not declared again.
    let partner = json!({"egress": [{"name": "partner", "to": {"cidrs": ["198.51.100.0/25"]}}]});
    let stand = plain().with("application2", partner);
    let suggestion = settles(&stand, &to(&json!({"nets": ["198.51.100.0/24"]})));
    assert!(
        suggestion.contains("cidrs: [198.51.100.128/25]}"),
        "{suggestion}"
    );
}

#[test]
fn addresses_of_pods_and_nodes_at_once_are_told_to_be_left_out() {
    let stand = Stand::new("10.1.0.0/25", "10.1.0.0/24");
    let found = stand.found(&to(&json!({"nets": ["10.1.0.0/24"]})));
    let suggestion = &found[0].suggestion;
    assert!(
        suggestion.contains("cidrs: [10.1.0.128/25]}, acknowledge: NodeRange}")
            && suggestion.contains("; leave out 10.1.0.0/25: no crossing opens"),
        "{suggestion}"
    );
    let found = stand.found(&to(&json!({"nets": ["10.1.0.4/32"]})));
    let suggestion = &found[0].suggestion;
    assert!(
        suggestion.starts_with("no crossing opens 10.1.0.4/32"),
        "{suggestion}"
    );
}

#[test]
fn only_the_pods_that_the_policy_selects_are_declared() {
    for (selector, expected) in [
        ("app == 'api'", Some("{app: api}")),
        ("app == 'api' && tier in {'x'}", Some("{app: api, tier: x}")),
        ("app == 'true'", Some("{app: \"true\"}")),
        // These no labels say.
        ("app in {'a', 'b'}", None),
        ("has(app)", None),
        ("app == 'api' && tier != 'x'", None),
        ("projectcalico.org/serviceaccount == 'a'", None),
    ] {
        for mut policy in [
            to(&json!({"nets": ["198.51.100.0/24"]})),
            to(&json!({"namespaceSelector": "applicationcode == 'orders'"})),
            from(&json!({"namespaceSelector": "applicationcode == 'orders'"})),
        ] {
            policy["spec"]["selector"] = json!(selector);
            let suggestion = settles(&plain(), &policy);
            let own = match expected {
                Some(labels) => {
                    format!("{{zone: backend, podSelector: {{matchLabels: {labels}}}}}")
                }
                None => "{zone: backend}".to_owned(),
            };
            assert!(suggestion.contains(&own), "{selector}: {suggestion}");
        }
    }
}

#[test]
fn both_landing_zones_get_their_lines() {
    for (end, peer) in [
        (
            "applicationcode == 'orders' && zone == 'data'",
            "zone: data",
        ),
        ("applicationcode == 'orders'", "landingZone: orders}"),
        (
            "applicationcode == 'orders' && zone in {'data', 'frontend'}",
            "zone: frontend",
        ),
        ("projectcalico.org/name == 'orders-ns3'", "zone: data"),
        ("applicationcode in {'orders', 'pay'}", "landingZone: pay}"),
        // These mean others as well, and have to be written otherwise first.
        ("zone == 'data'", "zone: data"),
        ("applicationcode != 'application2'", "landingZone: orders}"),
        ("all()", "landingZone: orders}"),
        (
            "applicationcode == 'application2' || zone == 'data'",
            "landingZone: orders, zone: data}",
        ),
    ] {
        for policy in [
            to(&json!({"namespaceSelector": end})),
            from(&json!({"namespaceSelector": end})),
        ] {
            let suggestion = settles(&plain(), &policy);
            assert!(suggestion.contains(peer), "{end}: {suggestion}");
            assert!(
                suggestion.contains("declare in landing zone orders: network: "),
                "{suggestion}"
            );
        }
    }
    // Pods of the other end are told by their labels.
    let end =
        json!({"namespaceSelector": "applicationcode == 'orders'", "selector": "app == 'db'"});
    let suggestion = settles(&plain(), &to(&end));
    let peer = "landingZone: orders, podSelector: {matchLabels: {app: db}}}";
    assert!(suggestion.contains(peer), "{suggestion}");
    // Nobody is told of, in Kubernetes' words as in Calico's.
    let peers = json!([{"namespaceSelector": {"matchLabels": {"applicationcode": "orders", "zone": "frontend"}}}]);
    let suggestion = settles(&plain(), &kubernetes_from(&peers));
    assert!(
        suggestion.starts_with(
            "write namespaceSelector: {matchLabels: {applicationcode: application2, zone: frontend}} to stay inside; "
        ),
        "{suggestion}"
    );
}

/// Of everybody, the one that is found first is no likelier to be meant than another.
#[test]
fn whoever_means_everybody_is_not_told_of_one_of_them() {
    let peers = json!([]);
    for (policy, who) in [
        (
            to(&json!({})),
            "a landing zone by namespaceSelector, addresses by nets",
        ),
        (
            from(&json!({})),
            "a landing zone by namespaceSelector, addresses by nets",
        ),
        (
            kubernetes_from(&peers),
            "a landing zone by namespaceSelector, addresses by ipBlock",
        ),
    ] {
        let found = plain().found(&policy);
        let suggestion = &found[0].suggestion;
        assert!(
            suggestion.contains("to stay inside; if others are meant, say who, "),
            "{suggestion}"
        );
        assert!(suggestion.contains(who), "{suggestion}");
        assert!(!suggestion.contains("orders"), "{suggestion}");
    }
}

#[test]
fn the_side_that_declares_it_already_is_told() {
    let ingress = json!({"ingress": [
        {"name": "shop", "from": {"landingZone": "application2"}, "to": {"zone": "data"}, "ports": [{"protocol": "TCP", "port": 5432}]},
    ]});
    let stand = plain().with("orders", ingress);
    let orders = json!({"namespaceSelector": "applicationcode == 'orders' && zone == 'data'"});
    let suggestion = settles(&stand, &to_port(&orders, "TCP", 5432));
    assert!(
        suggestion.ends_with("}, and landing zone orders declares it already: ingress shop"),
        "{suggestion}"
    );
    // On other ports it does not.
    let suggestion = settles(&stand, &to_port(&orders, "TCP", 5433));
    assert!(!suggestion.contains("already"), "{suggestion}");
    let over = json!({"egress": [
        {"name": "late", "from": {"zone": "backend"}, "to": {"landingZone": "orders"}, "validUntil": "2020-02-29"},
    ]});
    let mut stand = stand.with("application2", over);
    stand.platform.expired_crossings = crate::api::ExpiredCrossings::Close;
    let found = stand.found(&to_port(&orders, "TCP", 5432));
    let suggestion = &found[0].suggestion;
    assert!(
        suggestion.contains("give egress late of landing zone application2 a later validUntil"),
        "{suggestion}"
    );
}

#[test]
fn what_else_a_rule_asks_for_stays() {
    for (selector, instead) in [
        (
            "applicationcode == 'orders' && zone == 'frontend'",
            "applicationcode == 'application2' && zone == 'frontend'",
        ),
        (
            "applicationcode != 'orders' && zone == 'data'",
            "applicationcode == 'application2' && zone == 'data'",
        ),
        // None of its namespaces has such a label.
        (
            "applicationcode == 'orders' && zone == 'ledger'",
            "applicationcode == 'application2'",
        ),
        (
            "projectcalico.org/name == 'orders-ns1'",
            "applicationcode == 'application2'",
        ),
    ] {
        let policy = to(&json!({"namespaceSelector": selector}));
        let found = plain().found(&policy);
        let expected = format!("write namespaceSelector: \"{instead}\" to stay inside; ");
        assert!(
            found[0].suggestion.starts_with(&expected),
            "{}",
            found[0].suggestion
        );
        assert_eq!(
            plain().found(&to(&json!({"namespaceSelector": instead}))),
            []
        );
    }
}

#[test]
fn each_port_has_what_is_missing_for_it() {
    let partner = json!({"egress": [
        {"name": "partner", "to": {"cidrs": ["10.0.0.0/8"]}, "ports": [{"protocol": "TCP", "port": 443}]},
    ]});
    let stand = plain().with("application2", partner);
    let mut policy = to(&json!({"nets": ["10.0.0.0/8"], "ports": [443, 80]}));
    policy["spec"]["egress"][0]["protocol"] = json!("TCP");
    settles(&stand, &policy);
    let mut ping = to(&json!({"nets": ["198.51.100.0/24"]}));
    ping["spec"]["egress"][0]["protocol"] = json!("ICMP");
    let suggestion = settles(&stand, &ping);
    assert!(
        suggestion.contains("one for another protocol opens all of them"),
        "{suggestion}"
    );
    let server = to(&json!({"services": {"name": "kubernetes", "namespace": "default"}}));
    let suggestion = settles(&stand, &server);
    assert!(suggestion.contains("to: {apiServer: true}"), "{suggestion}");
}

#[test]
fn a_policy_of_the_cluster_is_declared_for_all_that_it_selects() {
    let policy = |namespaces: &str| {
        json!({
            "apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy",
            "metadata": {"name": "team"},
            "spec": {
                "namespaceSelector": namespaces, "selector": "app == 'api'", "types": ["Egress"],
                "egress": [{"action": "Allow", "destination": {"nets": ["10.0.0.0/8"]}}],
            },
        })
    };
    let own = "podSelector: {matchLabels: {app: api}}";
    for (namespaces, from) in [
        (
            "applicationcode == 'application2'",
            format!("from: {{{own}}}"),
        ),
        (
            "applicationcode == 'application2' && zone == 'data'",
            format!("from: {{zone: data, {own}}}"),
        ),
    ] {
        let suggestion = settles(&plain(), &policy(namespaces));
        assert!(suggestion.contains(&from), "{suggestion}");
    }
}

#[test]
fn what_lets_addresses_in_has_the_ports_that_are_missing_for_it() {
    let mut policy = from(&json!({"nets": ["198.51.100.0/24", "2001:db8::/32"]}));
    policy["spec"]["ingress"][0]["protocol"] = json!("TCP");
    policy["spec"]["ingress"][0]["destination"] = json!({"ports": [443]});
    let found = plain().found(&policy);
    let services = "the platform declares it: sharedServices: [{name: from-198-51-100-0-24, peers: [{cidrs: [198.51.100.0/24, \
                    \"2001:db8::/32\"]}], direction: ToLandingZones, ports: [{protocol: TCP, port: 443}], landingZones: \
                    Declared}], and landing zone application2 names it: network: {sharedServices: [from-198-51-100-0-24]}";
    assert!(
        found[0].suggestion.contains(services),
        "{}",
        found[0].suggestion
    );
}

const NETS: [&str; 12] = [
    "0.0.0.0/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "::/0",
    "10.0.0.0/8",
    "10.244.0.0/15",
    "10.1.0.0/23",
    "10.1.0.128/25",
    "169.254.169.254/32",
    "168.63.0.0/16",
    "198.51.100.0/24",
    "2001:db8::/32",
];
const OTHERS: [&str; 10] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "10.244.7.0/24",
    "198.51.100.7/32",
    "10.1.0.4/30",
    "169.254.169.254/32",
    "2001:db8::1/128",
    "64.0.0.0/3",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_suggested_for_ranges_settles_them_and_opens_no_more(
        nets in subsequence(NETS.to_vec(), 1..4),
        others in subsequence(OTHERS.to_vec(), 0..6),
        known in subsequence(NETS.to_vec(), 0..2),
        ports in select(vec![Value::Null, json!([443]), json!([443, "8000:8010"])]),
        nodes in select(vec!["10.1.0.0/24", "10.1.0.0/16 10.3.0.0/24"]),
    ) {
        let mut policy = to(&json!({"nets": nets, "notNets": others}));
        if !ports.is_null() {
            policy["spec"]["egress"][0]["protocol"] = json!("TCP");
            policy["spec"]["egress"][0]["destination"]["ports"] = ports;
        }
        let entries: Vec<Value> = known
            .iter()
            .map(|it| json!({
                "name": "known", "to": {"cidrs": [it]}, "ports": [{"protocol": "TCP", "port": 443}],
                "acknowledge": if ["169.254.169.254/32"].contains(it) { "MetadataService" } else { "AllAddresses" },
            }))
            .collect();
        let mut stand = Stand::new("10.244.0.0/16", nodes).with("application2", json!({"egress": entries}));
        let found = stand.found(&policy);
        prop_assume!(!found.is_empty());
        prop_assert_eq!(found.len(), 1, "{:?}", &found);
        let suggestion = found[0].suggestion.clone();
        let before = stand.landscape();
        stand.apply(&mut policy, &suggestion);
        let after = stand.found(&policy);
        prop_assert!(after.is_empty(), "{}\n{:?}", suggestion, after);
        // Nothing but what the rule lets through is open.
        let nets = |texts: &[&str]| texts.iter().map(|it| it.parse().unwrap()).collect::<Vec<_>>();
        let rule = Addresses::of_all_but(&nets(&nets_of(&policy, "nets")), &nets(&nets_of(&policy, "notNets")));
        let landscape = stand.landscape();
        let open = |landscape: &Landscape| {
            let boundary = landscape.called("application2").unwrap();
            boundary.openings.crossings.clone()
        };
        let had = open(&before);
        for opening in open(&landscape).into_iter().filter(|it| !had.contains(it)) {
            let Reach::Addresses { nets, except, .. } = &opening.reach else {
                panic!("{opening:?}");
            };
            let more = Addresses::of_all_but(nets, except).without(&rule);
            prop_assert!(more.is_empty(), "{}", suggestion);
            prop_assert_eq!(opening.own.zone.as_ref().map(ToString::to_string), Some("backend".to_owned()));
        }
    }
}

fn nets_of<'a>(policy: &'a Value, field: &str) -> Vec<&'a str> {
    let nets = policy["spec"]["egress"][0]["destination"][field].as_array();
    nets.into_iter()
        .flatten()
        .map(|it| it.as_str().unwrap())
        .collect()
}
