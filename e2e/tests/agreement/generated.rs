//! Policies and network sets that nobody thought of, for one group of namespaces each.

use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Select, select, subsequence};
use serde_json::{Value, json};

/// Which of a group's two namespaces.
pub const SIDES: [&str; 2] = ["x", "y"];
pub type Row = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// A group's pods: side, name and labels.
pub const PODS: [Row; 10] = [
    ("x", "web", &[("app", "web"), ("tier", "front")]),
    ("x", "api", &[("app", "api"), ("tier", "back")]),
    ("x", "db", &[("app", "db"), ("tier", "back")]),
    ("x", "bare", &[]),
    ("x", "odd", &[("app", "web-2"), ("pcns.team", "y")]),
    ("y", "web", &[("app", "web"), ("tier", "front")]),
    ("y", "api", &[("app", "api")]),
    ("y", "db", &[("app", "db"), ("tier", "back")]),
    ("y", "bare", &[]),
    ("y", "odd", &[("tier", "")]),
];
/// Ports that are asked for, and what a rule may name.
pub const ASKED: [u16; 2] = [8080, 9090];

/// The name of a group's namespace.
pub fn namespace(group: usize, side: &str) -> String {
    format!("g{group}-{side}")
}

/// The address of a group's pod: each group has a range of its own.
pub fn address(group: usize, pod: usize) -> Ipv4Addr {
    let number = |it: usize| u8::try_from(it).unwrap_or(u8::MAX);
    Ipv4Addr::new(10, 244, number(group + 1), number(pod + 1))
}

/// Ranges of a group: all of its pods, the first seven, the others, and two of them.
fn ranges(group: usize) -> [String; 5] {
    let [all, first, others] = [(0, 24), (0, 29), (8, 29)]
        .map(|(at, length)| format!("10.244.{}.{at}/{length}", group + 1));
    let [one, other] = [2, 7].map(|pod| format!("{}/32", address(group, pod)));
    [all, first, others, one, other]
}

/// What one group has in one round.
pub fn set(group: usize) -> impl Strategy<Value = Vec<Value>> {
    let policies = vec(policy(group), 1..6);
    let sets = vec(address_set(group), 0..3);
    (policies, sets).prop_map(move |(policies, sets)| {
        let all = policies.into_iter().chain(sets).enumerate();
        all.map(|(number, mut object)| {
            let calico = object["apiVersion"] == "crd.projectcalico.org/v1";
            let is_policy = object["kind"]
                .as_str()
                .is_some_and(|it| it.ends_with("Policy"));
            let prefix = if calico && is_policy { "default." } else { "" };
            // Names decide between equal orders.
            object["metadata"]["name"] = json!(format!("{prefix}g{group}-{}", (number * 7) % 10));
            object
        })
        .collect()
    })
}

fn policy(group: usize) -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => kubernetes(group),
        4 => calico(group),
        3 => global(group),
    ]
}

fn some<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> Select<T> {
    select(all.to_vec())
}

fn labels() -> impl Strategy<Value = Value> {
    some(&[
        json!({}),
        json!({"matchLabels": {"app": "web"}}),
        json!({"matchLabels": {"app": "db", "tier": "back"}}),
        json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}),
        json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["back"]}]}),
        json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}),
        json!({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}),
    ])
}

fn kubernetes(group: usize) -> impl Strategy<Value = Value> {
    let namespaces = some(&[
        json!({}),
        json!({"matchLabels": {"team": "x", "group": format!("g{group}")}}),
        json!({"matchLabels": {"kubernetes.io/metadata.name": namespace(group, "y")}}),
        json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["y"]}]}),
    ]);
    let [all, first, others, one, other] = ranges(group);
    let block = some(&[
        json!({"cidr": "0.0.0.0/0"}),
        json!({"cidr": "0.0.0.0/0", "except": ["203.0.113.0/24", &one]}),
        json!({"cidr": "10.244.0.0/16", "except": [&first]}),
        json!({"cidr": &all, "except": [&one, &other]}),
        json!({"cidr": "203.0.113.0/24"}),
        json!({"cidr": &others}),
    ]);
    let peer = prop_oneof![
        3 => labels().prop_map(|pods| json!({"podSelector": pods})),
        2 => namespaces.clone().prop_map(|it| json!({"namespaceSelector": it})),
        2 => (namespaces, labels()).prop_map(|(it, pods)| json!({"namespaceSelector": it, "podSelector": pods})),
        1 => block.prop_map(|it| json!({"ipBlock": it})),
    ];
    let port = some(&[
        json!({"port": 8080}),
        json!({"port": 8080, "protocol": "UDP"}),
        json!({"port": 9000, "endPort": 9100}),
        json!({"protocol": "UDP"}),
        json!({}),
        json!({"port": "http"}),
    ]);
    let rule = |field: &'static str| {
        (vec(peer.clone(), 0..3), vec(port.clone(), 0..3))
            .prop_map(move |(peers, ports)| json!({field: peers, "ports": ports}))
    };
    let types = subsequence(vec!["Ingress", "Egress"], 1..=2);
    (
        some(&SIDES),
        labels(),
        types,
        vec(rule("from"), 0..3),
        vec(rule("to"), 0..3),
    )
        .prop_map(move |(side, pods, types, ingress, egress)| {
            let mut spec = json!({"podSelector": pods, "policyTypes": types});
            if types.contains(&"Ingress") {
                spec["ingress"] = json!(ingress);
            }
            if types.contains(&"Egress") {
                spec["egress"] = json!(egress);
            }
            json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"namespace": namespace(group, side)}, "spec": spec,
            })
        })
}

fn pods() -> impl Strategy<Value = &'static str> {
    some(&[
        "all()",
        "app == 'web'",
        "app != 'web'",
        "has(tier)",
        "!has(tier)",
        "app in {'web','db'}",
        "app not in {'web','api'}",
        "app starts with 'web'",
        "tier == ''",
        "app == 'web' || tier == 'back'",
        "!(app == 'web' && has(tier))",
        "app contains 'b'",
        "projectcalico.org/orchestrator == 'k8s'",
        "kind == 'partner'",
    ])
}

fn namespaces(group: usize) -> impl Strategy<Value = String> {
    some(&[
        "all()".to_owned(),
        "global()".to_owned(),
        "team == 'x'".to_owned(),
        "team != 'x'".to_owned(),
        "has(team)".to_owned(),
        "!has(team)".to_owned(),
        format!("projectcalico.org/name == '{}'", namespace(group, "y")),
        format!("group == 'g{group}' && team in {{'x','y'}}"),
    ])
}

/// One end of a rule of Calico. Ports are only there beside a protocol.
fn end(group: usize) -> impl Strategy<Value = Value> {
    let [all, first, others, one, other] = ranges(group);
    let nets = some(&[
        json!(["10.244.0.0/16"]),
        json!(["203.0.113.0/24"]),
        json!([&first, "203.0.113.0/24"]),
        json!([&others, &one]),
        json!(["0.0.0.0/0"]),
    ]);
    // 0.0.0.0/0 is refused on admission: Felix 3.28 ends on it.
    let others = some(&[
        json!([&all]),
        json!(["203.0.113.0/24"]),
        json!([&first]),
        json!([&one, &other]),
    ]);
    let accounts = some(&[
        json!({"names": ["default"]}),
        json!({"names": ["nobody"]}),
        json!({}),
    ]);
    (
        option::weighted(0.4, pods()),
        option::weighted(0.3, namespaces(group)),
        option::weighted(0.15, pods()),
        option::weighted(0.15, nets),
        option::weighted(0.1, others),
        option::weighted(0.1, accounts),
    )
        .prop_map(|(pods, namespaces, not, nets, not_nets, accounts)| {
            let mut end = json!({});
            for (field, value) in [
                ("selector", pods.map(Value::from)),
                ("namespaceSelector", namespaces.map(Value::from)),
                ("notSelector", not.map(Value::from)),
                ("nets", nets),
                ("notNets", not_nets),
                ("serviceAccounts", accounts),
            ] {
                if let Some(value) = value {
                    end[field] = value;
                }
            }
            end
        })
}

fn rule(group: usize) -> impl Strategy<Value = Value> {
    let ports = some(&[
        json!([8080]),
        json!(["9000:9100"]),
        json!([53, 9090]),
        json!(["http"]),
        json!(["http"]),
        json!(["http", 9090]),
    ]);
    (
        some(&["Allow", "Allow", "Deny", "Deny", "Pass", "Log"]),
        option::weighted(0.5, some(&[json!("TCP"), json!("UDP"), json!(17)])),
        option::weighted(0.1, some(&["TCP", "UDP"])),
        end(group),
        end(group),
        option::weighted(0.4, ports.clone()),
        option::weighted(0.1, ports),
    )
        .prop_map(
            |(action, protocol, not_protocol, source, mut destination, ports, not_ports)| {
                let mut rule = json!({"action": action});
                if let Some(protocol) = protocol {
                    rule["protocol"] = protocol;
                    for (field, ports) in [("ports", ports), ("notPorts", not_ports)] {
                        if let Some(ports) = ports {
                            destination[field] = ports;
                        }
                    }
                } else if let Some(protocol) = not_protocol {
                    rule["notProtocol"] = json!(protocol);
                }
                rule["source"] = source;
                rule["destination"] = destination;
                rule
            },
        )
}

/// What the specs of both kinds of Calico have in common.
fn spec(group: usize) -> impl Strategy<Value = Value> {
    let orders = some(&[
        json!(1),
        json!(1),
        json!(2.5),
        json!(999),
        json!(1000),
        json!(1001),
        json!(-3),
    ]);
    let types = prop_oneof![
        4 => subsequence(vec!["Ingress", "Egress"], 1..=2),
        1 => Just(vec![]),
    ];
    (
        option::weighted(0.8, orders),
        types,
        option::weighted(0.7, pods()),
        vec(rule(group), 0..4),
        vec(rule(group), 0..4),
    )
        .prop_map(|(order, types, selector, ingress, egress)| {
            let mut spec = json!({"ingress": ingress, "egress": egress});
            if let Some(order) = order {
                spec["order"] = order;
            }
            if !types.is_empty() {
                spec["types"] = json!(types);
            }
            if let Some(selector) = selector {
                spec["selector"] = json!(selector);
            }
            spec
        })
}

fn calico(group: usize) -> impl Strategy<Value = Value> {
    (some(&SIDES), spec(group)).prop_map(move |(side, spec)| {
        json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy",
            "metadata": {"namespace": namespace(group, side)}, "spec": spec,
        })
    })
}

/// Cluster-wide in form, and about one group only.
fn global(group: usize) -> impl Strategy<Value = Value> {
    let within = some(&[
        "",
        " && team == 'x'",
        " && (team == 'y' || !has(team))",
        " && !(team == 'x')",
    ]);
    (within, spec(group)).prop_map(move |(within, mut spec)| {
        spec["namespaceSelector"] = json!(format!("group == 'g{group}'{within}"));
        json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy",
            "metadata": {}, "spec": spec,
        })
    })
}

fn address_set(group: usize) -> impl Strategy<Value = Value> {
    let [_, first, _, one, other] = ranges(group);
    let nets = some(&[
        json!(["203.0.113.10/32"]),
        json!(["203.0.113.0/24"]),
        json!([&one, &other]),
        json!([&first]),
        json!([]),
    ]);
    let labels = some(&[
        json!({"kind": "partner"}),
        json!({"app": "web"}),
        json!({"app": "db", "tier": "back"}),
        json!({}),
    ]);
    let side = option::weighted(0.6, some(&SIDES));
    (side, nets, labels).prop_map(move |(side, nets, labels)| {
        let kind = if side.is_some() {
            "NetworkSet"
        } else {
            "GlobalNetworkSet"
        };
        let mut set = json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": kind,
            "metadata": {"labels": labels}, "spec": {"nets": nets},
        });
        if let Some(side) = side {
            set["metadata"]["namespace"] = json!(namespace(group, side));
        }
        set
    })
}
