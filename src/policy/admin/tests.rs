use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::policy::{
    Decider, Endpoint, NetworkPolicy, Packet, Place, TransportProtocol, Verdict, World, labels,
};

fn pod(namespace: &str, team: &str, app: &str, last: u8) -> Endpoint {
    let map = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    Endpoint {
        namespace: namespace.to_owned(),
        name: app.to_owned(),
        labels: labels(&map("app", app), (namespace, &map("team", team)), None),
        addresses: vec![[10, 0, 0, last].into()],
        ports: Vec::new(),
    }
}

fn admin(kind: PolicyKind, spec: &Value) -> Policy {
    let policy = json!({"metadata": {"name": "admin"}, "spec": spec});
    Policy::of_admin(&serde_json::from_value(policy).unwrap(), kind).unwrap()
}

fn team_denies() -> Policy {
    let policy: NetworkPolicy = serde_json::from_value(json!({
        "metadata": {"name": "closed", "namespace": "red"}, "spec": {"types": ["Ingress"]},
    }))
    .unwrap();
    Policy::of_calico(&policy, Written::Api).unwrap()
}

/// From blue's web to red's api.
fn asked(policies: Vec<Policy>, protocol: TransportProtocol, port: u16) -> Verdict {
    let mut world = World::new(&[], policies);
    let (from, to) = (pod("blue", "blue", "web", 1), pod("red", "red", "api", 2));
    world.endpoints = vec![from.clone(), to.clone()];
    let packet = Packet {
        protocol,
        source_port: 40_000,
        port,
    };
    world
        .verdict(Place::Pod(&from), Place::Pod(&to), packet)
        .unwrap()
}

fn to_red(action: &str, more: &Value) -> Value {
    let mut rule =
        json!({"action": action, "from": [{"namespaces": {"matchLabels": {"team": "blue"}}}]});
    for (key, value) in more.as_object().unwrap() {
        rule[key] = value.clone();
    }
    json!({
        "priority": 10, "subject": {"namespaces": {"matchLabels": {"team": "red"}}},
        "ingress": [rule],
    })
}

#[test]
fn an_administrator_comes_before_teams_and_a_baseline_after_them() {
    let tcp = TransportProtocol::TCP;
    let allow = admin(PolicyKind::Admin, &to_red("Allow", &json!({})));
    assert!(asked(vec![team_denies(), allow.clone()], tcp, 80).is_allowed());
    let pass = admin(PolicyKind::Admin, &to_red("Pass", &json!({})));
    assert!(!asked(vec![team_denies(), pass.clone()], tcp, 80).is_allowed());
    assert!(asked(vec![pass.clone()], tcp, 80).is_allowed());
    let deny = admin(PolicyKind::BaselineAdmin, &to_red("Deny", &json!({})));
    assert!(!asked(vec![deny.clone()], tcp, 80).is_allowed());
    assert!(!asked(vec![pass, deny.clone()], tcp, 80).is_allowed());
    let verdict = asked(vec![allow, deny], tcp, 80);
    assert!(verdict.is_allowed());
    let Decider::Rule(by, 0) = verdict.ingress.by else {
        panic!("{verdict:?}")
    };
    assert_eq!(by.to_string(), "AdminNetworkPolicy admin");
}

#[test]
fn priorities_decide_between_them() {
    let mut later = to_red("Deny", &json!({}));
    later["priority"] = json!(11);
    let deny = admin(PolicyKind::Admin, &later);
    let allow = admin(PolicyKind::Admin, &to_red("Allow", &json!({})));
    assert!(
        asked(
            vec![deny.clone(), allow.clone()],
            TransportProtocol::TCP,
            80
        )
        .is_allowed()
    );
    later["priority"] = json!(9);
    let deny = admin(PolicyKind::Admin, &later);
    assert!(!asked(vec![deny, allow], TransportProtocol::TCP, 80).is_allowed());
}

#[test]
fn ports_are_those_of_their_protocol() {
    let tcp = TransportProtocol::TCP;
    let ports = json!({"ports": [
        {"portNumber": {"protocol": "TCP", "port": 80}},
        {"portRange": {"protocol": "UDP", "start": 100, "end": 200}},
    ]});
    let allow = admin(PolicyKind::Admin, &to_red("Allow", &ports));
    let is_open =
        |protocol, port| asked(vec![team_denies(), allow.clone()], protocol, port).is_allowed();
    assert!(is_open(tcp, 80) && is_open(TransportProtocol::UDP, 150));
    assert!(!is_open(tcp, 81) && !is_open(TransportProtocol::UDP, 80) && !is_open(tcp, 150));

    let mut accept = to_red(
        "Accept",
        &json!({"protocols": [{"tcp": {"destinationPort": {"number": 80}}}, {"udp": {}}]}),
    );
    accept["tier"] = json!("Admin");
    let allow = admin(PolicyKind::ClusterNetworkPolicy, &accept);
    let is_open =
        |protocol, port| asked(vec![team_denies(), allow.clone()], protocol, port).is_allowed();
    assert!(is_open(tcp, 80) && is_open(TransportProtocol::UDP, 9));
    assert!(!is_open(tcp, 81) && !is_open(TransportProtocol::SCTP, 80));
}

#[test]
fn what_calico_cannot_do_closes_and_never_opens() {
    let named = json!({"ports": [{"namedPort": "http"}]});
    let tcp = TransportProtocol::TCP;
    let allow = admin(PolicyKind::Admin, &to_red("Allow", &named));
    assert_eq!(allow.ingress, None, "nothing is left of it");
    for action in ["Deny", "Pass"] {
        let closed = admin(PolicyKind::Admin, &to_red(action, &named));
        assert!(!asked(vec![closed], tcp, 80).is_allowed(), "{action}");
    }
    let nodes = json!({"priority": 1, "subject": {"namespaces": {}}, "egress": [
        {"action": "Deny", "to": [{"nodes": {}}]},
    ]});
    assert!(!asked(vec![admin(PolicyKind::Admin, &nodes)], tcp, 80).is_allowed());
}

#[test]
fn pods_and_ranges_are_selected() {
    let tcp = TransportProtocol::TCP;
    let by_pods = |app: &str| {
        json!({"priority": 1, "subject": {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}}, "egress": [
            {"action": "Deny", "to": [{"pods": {"namespaceSelector": {"matchLabels": {"team": "red"}}, "podSelector": {"matchLabels": {"app": app}}}}]},
        ]})
    };
    assert!(!asked(vec![admin(PolicyKind::Admin, &by_pods("api"))], tcp, 80).is_allowed());
    assert!(asked(vec![admin(PolicyKind::Admin, &by_pods("db"))], tcp, 80).is_allowed());
    let by_range = |range: &str| {
        json!({"priority": 1, "subject": {"namespaces": {}}, "egress": [
            {"action": "Deny", "to": [{"networks": [range]}]},
        ]})
    };
    assert!(
        !asked(
            vec![admin(PolicyKind::Admin, &by_range("10.0.0.2/32"))],
            tcp,
            80
        )
        .is_allowed()
    );
    assert!(
        asked(
            vec![admin(PolicyKind::Admin, &by_range("10.0.0.3/32"))],
            tcp,
            80
        )
        .is_allowed()
    );
}
