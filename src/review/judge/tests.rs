mod admin;
mod covered;
mod deciding;
mod endpoints;
mod generated;
mod hostile;
mod labels;
mod lenient;
mod speed;
mod suggested;
mod widened;

use jiff::civil::date;
use k8s_openapi::api::core::v1::Namespace;
use serde_json::{Value, json};

use super::*;
use crate::api;
use crate::domain::{Flavour, LandingZone, Neighbour, Platform, Surroundings, resolve};
use crate::policy::NetworkSet;

fn zone(name: &str, prefix: &str, network: &Value) -> LandingZone {
    let declared = json!({
        "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
        "metadata": {"name": name},
        "spec": {
            "applicationCode": name,
            "namespaces": [
                {"name": format!("{prefix}-ns1"), "zone": "frontend"},
                {"name": format!("{prefix}-ns2"), "zone": "backend"},
                {"name": format!("{prefix}-ns3"), "zone": "data"},
            ],
            "network": network,
        },
    });
    let declared: api::LandingZone = serde_json::from_value(declared).unwrap();
    LandingZone::validate(&declared, &Platform::default()).unwrap()
}

/// application2, which may reach the data of orders and some addresses, and orders.
fn landscape() -> Landscape {
    let ours = zone(
        "application2",
        "app2",
        &json!({"egress": [
            {"name": "orders-db", "from": {"zone": "backend"}, "to": {"landingZone": "orders", "zone": "data"},
             "ports": [{"protocol": "TCP", "port": 5432}]},
            {"name": "partner", "to": {"cidrs": ["203.0.113.0/24"]}, "ports": [{"protocol": "TCP", "port": 443}]},
        ]}),
    );
    let theirs = zone(
        "orders",
        "orders",
        &json!({"ingress": [
            {"name": "application2", "from": {"landingZone": "application2"}, "to": {"zone": "data"},
             "ports": [{"protocol": "TCP", "port": 5432}]},
        ]}),
    );
    let platform = Platform {
        pod_cidrs: vec!["10.244.0.0/16".parse().unwrap()],
        node_cidrs: vec!["10.1.0.0/24".parse().unwrap()],
        ..Platform::default()
    };
    let zones = [ours, theirs];
    let resolved: Vec<_> = zones
        .iter()
        .map(|it| {
            let others = zones.iter().filter(|other| other.name != it.name);
            let neighbours = others
                .map(|other| {
                    (
                        other.name.clone(),
                        Neighbour::InForce(Box::new(other.clone())),
                    )
                })
                .collect();
            resolve(
                it,
                &Surroundings {
                    platform: &platform,
                    flavour: Flavour::KUBERNETES,
                    today: date(2026, 11, 26),
                    neighbours,
                    before: Vec::new(),
                    shared_ranges: std::collections::BTreeMap::new(),
                },
            )
        })
        .collect();
    let all: Vec<_> = zones.iter().zip(&resolved).collect();
    let stranger = serde_json::from_value(
        json!({"metadata": {"name": "stranger", "labels": {"team": "red"}}}),
    );
    Landscape::new(&all, &[stranger.unwrap()], platform)
}

fn found(object: &Value) -> Vec<Finding> {
    let object = Object::read(object).unwrap().unwrap();
    judge(&object, &landscape())
}

fn rules(object: &Value) -> Vec<&'static str> {
    found(object).iter().map(|it| it.rule.id()).collect()
}

/// A policy of Calico's in the backend of application2 that allows what goes to one end.
fn to(end: &Value) -> Value {
    json!({
        "apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy",
        "metadata": {"name": "team", "namespace": "app2-ns2"},
        "spec": {"selector": "all()", "types": ["Egress"], "egress": [{"action": "Allow", "destination": end}]},
    })
}

/// The same with a port.
fn to_port(end: &Value, protocol: &str, port: u16) -> Value {
    let mut policy = to(end);
    policy["spec"]["egress"][0]["protocol"] = json!(protocol);
    policy["spec"]["egress"][0]["destination"]["ports"] = json!([port]);
    policy
}

fn kubernetes_from(peers: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "team", "namespace": "app2-ns2"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": peers}]},
    })
}

#[test]
fn what_stays_inside_is_not_found() {
    for end in [
        json!({"namespaceSelector": "applicationcode == 'application2' && zone == 'data'"}),
        json!({"namespaceSelector": "applicationcode == 'application2'", "selector": "app != 'x' || has(y)"}),
        json!({"namespaceSelector": "projectcalico.org/name == 'app2-ns1'"}),
        json!({"namespaceSelector": "kubernetes.io/metadata.name in {'app2-ns1','app2-ns3'}"}),
        json!({"namespaceSelector": "landingzones.dev/landing-zone == 'application2'"}),
        json!({"namespaceSelector": "applicationcode == 'application2' || projectcalico.org/name == 'app2-ns1'"}),
        json!({"namespaceSelector": "applicationcode in {'application2'} && zone != 'data'"}),
        json!({"namespaceSelector": "applicationcode == 'application2' && (zone == 'data' || zone == 'frontend')"}),
        json!({"selector": "app == 'web'"}),
        json!({"serviceAccounts": {"names": ["default"]}}),
        json!({"notSelector": "app == 'web'"}),
        json!({"services": {"name": "api"}}),
        json!({"services": {"name": "api", "namespace": "app2-ns3"}}),
    ] {
        assert_eq!(rules(&to(&end)), Vec::<&str>::new(), "{end}");
    }
}

#[test]
fn what_leaves_is_found_by_the_way_in_which_it_is_written() {
    for (end, rule) in [
        (
            json!({"namespaceSelector": "zone == 'backend'"}),
            "code-missing",
        ),
        (
            json!({"namespaceSelector": "has(applicationcode)"}),
            "code-missing",
        ),
        (
            json!({"namespaceSelector": "applicationcode == 'application3'"}),
            "code-wrong",
        ),
        (
            json!({"namespaceSelector": "applicationcode == 'aplication2' && zone == 'data'"}),
            "code-wrong",
        ),
        (
            json!({"namespaceSelector": "applicationcode in {'application2','orders'}"}),
            "code-wrong",
        ),
        (
            json!({"namespaceSelector": "applicationcode starts with 'app'"}),
            "code-wrong",
        ),
        (
            json!({"namespaceSelector": "applicationcode != 'orders'"}),
            "code-negated",
        ),
        (
            json!({"namespaceSelector": "applicationcode not in {'orders'}"}),
            "code-negated",
        ),
        (
            json!({"namespaceSelector": "!(applicationcode == 'application2')"}),
            "code-negated",
        ),
        (
            json!({"namespaceSelector": "applicationcode == 'application2' || zone == 'data'"}),
            "code-optional",
        ),
        (
            json!({"namespaceSelector": "projectcalico.org/name == 'orders-ns1'"}),
            "namespace-name",
        ),
        (
            json!({"namespaceSelector": "kubernetes.io/metadata.name != 'x'"}),
            "namespace-name",
        ),
        (
            json!({"namespaceSelector": "team == 'red'"}),
            "namespace-labels",
        ),
        (json!({"namespaceSelector": "all()"}), "all-namespaces"),
        (
            json!({"namespaceSelector": "all()", "selector": "app == 'web'"}),
            "all-namespaces",
        ),
        (
            json!({"namespaceSelector": "global()"}),
            "outside-namespaces",
        ),
        (json!({}), "any-peer"),
        (json!({"nets": ["0.0.0.0/0"]}), "nets-everything"),
        (json!({"nets": ["10.244.3.0/24"]}), "nets-reach-pods"),
        (json!({"nets": ["10.1.0.7/32"]}), "nets-reach-nodes"),
        (
            json!({"nets": ["169.254.169.254/32"]}),
            "nets-reach-metadata",
        ),
        (json!({"nets": ["198.51.100.0/24"]}), "nets-outside"),
        (
            json!({"services": {"name": "api", "namespace": "orders-ns2"}}),
            "by-service",
        ),
        (
            json!({"serviceAccounts": {"names": ["ci"]}, "namespaceSelector": "all()"}),
            "service-accounts",
        ),
    ] {
        let found = found(&to(&end));
        let ids: Vec<_> = found.iter().map(|it| it.rule.id()).collect();
        assert_eq!(ids, [rule], "{end}");
        assert!(found[0].needs_approval(), "{end}: {found:?}");
        assert!(found[0].witness.is_some(), "{end}");
        assert!(!found[0].suggestion.is_empty(), "{end}");
    }
}

#[test]
fn kubernetes_peers_are_judged_the_same() {
    for (peers, rule) in [
        (json!([{"namespaceSelector": {}}]), "all-namespaces"),
        (
            json!([{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}]),
            "all-namespaces",
        ),
        (
            json!([{"namespaceSelector": {"matchLabels": {"zone": "frontend"}}}]),
            "code-missing",
        ),
        (
            json!([{"namespaceSelector": {"matchLabels": {"applicationcode": "orders"}}}]),
            "code-wrong",
        ),
        (
            json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "stranger"}}}]),
            "namespace-name",
        ),
        (
            json!([{"ipBlock": {"cidr": "0.0.0.0/0"}}]),
            "nets-everything",
        ),
        (
            json!([{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.7/32"]}}]),
            "nets-outside",
        ),
        (json!([]), "any-peer"),
    ] {
        assert_eq!(rules(&kubernetes_from(&peers)), [rule], "{peers}");
    }
    for peers in [
        json!([{"podSelector": {}}]),
        json!([{"namespaceSelector": {"matchLabels": {"applicationcode": "application2", "zone": "frontend"}}}]),
        json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "app2-ns1"}}}]),
    ] {
        assert_eq!(
            rules(&kubernetes_from(&peers)),
            Vec::<&str>::new(),
            "{peers}"
        );
    }
}

#[test]
fn a_finding_names_who_gets_through_and_what_to_write() {
    let end = json!({"namespaceSelector": "zone == 'data'", "selector": "app == 'web'"});
    let finding = found(&to(&end)).remove(0);
    assert_eq!(
        finding.path.to_string(),
        "spec.egress[0].destination.namespaceSelector"
    );
    assert_eq!(
        finding.message,
        "namespaceSelector \"zone == 'data'\" does not ask for applicationcode == 'application2'"
    );
    assert_eq!(
        finding.witness.unwrap(),
        "pods of app2-ns2 could reach a pod labelled app=web in namespace orders-ns3 of landing zone orders"
    );
    assert_eq!(
        finding.suggestion,
        "write namespaceSelector: \"applicationcode == 'application2' && zone == 'data'\" to stay inside; if \
         landing zone orders is meant, write namespaceSelector: \"applicationcode == 'orders' && zone == 'data'\", and declare \
         in landing zone application2: network: {egress: [{name: orders-data, reason: \"why it is needed\", from: {zone: \
         backend}, to: {landingZone: orders, zone: data, podSelector: {matchLabels: {app: web}}}}]}, and declare in landing \
         zone orders: network: {ingress: [{name: application2-backend, reason: \"why it is needed\", from: {landingZone: \
         application2, zone: backend}, to: {zone: data, podSelector: {matchLabels: {app: web}}}}]}"
    );
    let peers = json!([{"namespaceSelector": {"matchLabels": {"team": "blue"}}}]);
    let finding = found(&kubernetes_from(&peers)).remove(0);
    assert_eq!(
        finding.witness.unwrap(),
        "a pod in any namespace labelled team=blue could reach pods of app2-ns2"
    );
}

#[test]
fn what_is_declared_is_told_and_needs_no_approval() {
    let orders = json!({"namespaceSelector": "applicationcode == 'orders' && zone == 'data'"});
    let finding = found(&to_port(&orders, "TCP", 5432)).remove(0);
    assert_eq!(
        finding.declared.as_deref(),
        Some("crossing orders-db, to landing zone orders, zone data")
    );
    assert!(finding.leaves_boundary() && !finding.needs_approval());
    let by_name = json!({"namespaceSelector": "projectcalico.org/name == 'orders-ns3'"});
    assert!(found(&to_port(&by_name, "TCP", 5432))[0].declared.is_some());
    let partner = json!({"nets": ["203.0.113.128/25"]});
    assert!(found(&to_port(&partner, "TCP", 443))[0].declared.is_some());

    // Other ports, all ports, other zones, wider ranges, another zone of ours, the other direction.
    let all = json!({"namespaceSelector": "applicationcode == 'orders'"});
    let wider = json!({"nets": ["203.0.112.0/23"]});
    let mut frontend = to_port(&orders, "TCP", 5432);
    frontend["metadata"]["namespace"] = json!("app2-ns1");
    for policy in [
        to_port(&orders, "TCP", 5433),
        to_port(&orders, "UDP", 5432),
        to(&orders),
        to_port(&all, "TCP", 5432),
        to_port(&wider, "TCP", 443),
        frontend,
    ] {
        assert!(found(&policy)[0].needs_approval(), "{policy}");
    }
}

#[test]
fn dns_is_the_clusters_only() {
    let dns = json!({"namespaceSelector": "projectcalico.org/name == 'kube-system'", "selector": "k8s-app == 'kube-dns'"});
    assert!(!found(&to_port(&dns, "UDP", 53))[0].needs_approval());
    assert!(found(&to_port(&dns, "UDP", 5353))[0].needs_approval());
    let anywhere = json!({"namespaceSelector": "all()", "selector": "k8s-app == 'kube-dns'"});
    assert!(found(&to_port(&anywhere, "UDP", 53))[0].needs_approval());
    let service = json!({"services": {"namespace": "kube-system", "name": "kube-dns"}});
    assert!(!found(&to(&service))[0].needs_approval());
}

#[test]
fn what_earlier_rules_deny_does_not_get_through() {
    let mut policy = to(&json!({"namespaceSelector": "zone == 'data'"}));
    let deny = json!({"action": "Deny", "destination": {"namespaceSelector": "applicationcode != 'application2'"}});
    policy["spec"]["egress"]
        .as_array_mut()
        .unwrap()
        .insert(0, deny);
    let found = found(&policy);
    assert!(
        found.iter().all(|it| it.rule == Rule::DenyWithoutEffect),
        "{found:?}"
    );
    let deny = json!({"action": "Deny", "protocol": "UDP", "destination": {"namespaceSelector": "applicationcode != 'application2'"}});
    policy["spec"]["egress"][0] = deny;
    assert!(rules(&policy).contains(&"code-missing"));
}

#[test]
fn what_has_no_effect_is_found() {
    let end = json!({"namespaceSelector": "applicationcode == 'application2' && zone == 'bakend'"});
    assert_eq!(rules(&to(&end)), ["matches-nothing"]);
    let end = json!({"namespaceSelector": "applicationcode == 'application2' && zone == 'data' && zone == 'frontend'"});
    assert_eq!(rules(&to(&end)), ["matches-nothing"]);

    let mut policy = to(&json!({"namespaceSelector": "applicationcode == 'application2'"}));
    let narrower = json!({"action": "Deny", "destination": {"namespaceSelector": "applicationcode == 'application2' && zone == 'data'"}});
    policy["spec"]["egress"]
        .as_array_mut()
        .unwrap()
        .push(narrower);
    let found = found(&policy);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].rule, found[0].path.to_string().as_str()),
        (Rule::Unreachable, "spec.egress[1]")
    );

    policy["spec"]["selector"] = json!("app == 'a' && app == 'b'");
    assert_eq!(rules(&policy), ["selects-nothing"]);

    let mut policy = to(&json!({"namespaceSelector": "applicationcode == 'application2'"}));
    policy["spec"]["types"] = json!(["Ingress"]);
    assert_eq!(rules(&policy), ["rules-without-type"]);
    policy["spec"].as_object_mut().unwrap().remove("types");
    assert_eq!(rules(&policy), ["types-missing"]);

    let mut policy = to(&json!({"namespaceSelector": "applicationcode == 'orders'"}));
    policy["spec"]["egress"][0]["action"] = json!("Deny");
    // Part of that is declared to be open, and the platform's policies decide first: it stays open.
    assert_eq!(rules(&policy), ["deny-without-effect"]);
    policy["spec"]["egress"][0]["destination"]["namespaceSelector"] =
        json!("team == 'red' && applicationcode != 'application2'");
    assert_eq!(rules(&policy), Vec::<&str>::new(), "orders could be red");
    policy["spec"]["egress"][0]["destination"] = json!({"nets": ["198.51.100.0/24"]});
    assert_eq!(rules(&policy), ["deny-without-effect"]);
}

#[test]
fn what_comes_before_the_boundary_or_cannot_be_read_is_found() {
    let mut policy = to(&json!({"namespaceSelector": "applicationcode == 'application2'"}));
    policy["spec"]["order"] = json!(5);
    assert_eq!(rules(&policy), ["order-before-platform"]);
    policy["spec"]["order"] = json!(100);
    policy["spec"]["tier"] = json!("security");
    assert_eq!(rules(&policy), ["other-tier"]);
    policy["spec"].as_object_mut().unwrap().remove("tier");
    policy["metadata"]["name"] = json!("security.team");
    assert_eq!(rules(&policy), ["other-tier"]);
    policy["metadata"]["name"] = json!("default.team");
    policy["spec"]["egress"][0]["destination"]["namespaceSelector"] =
        json!("applicationcode = 'application2'");
    let invalid = found(&policy);
    assert_eq!(invalid[0].rule, Rule::Invalid);
    assert_eq!(
        invalid[0].path.to_string(),
        "spec.egress[0].destination.namespaceSelector"
    );

    let mut typo = to(&json!({"namepaceSelector": "applicationcode == 'application2'"}));
    assert_eq!(rules(&typo), ["unknown-field", "any-peer"]);
    typo["metadata"]["namespace"] = json!("nowhere");
    assert_eq!(rules(&typo), ["unknown-field", "namespace-unknown"]);

    let felix = to(&json!({"notNets": ["0.0.0.0/0"]}));
    assert!(rules(&felix).contains(&"breaks-felix"));
}

#[test]
fn network_sets_are_found() {
    let set = |kind: &str, namespace: Option<&str>, labels: Value| {
        json!({
            "apiVersion": "projectcalico.org/v3", "kind": kind,
            "metadata": {"name": "set", "namespace": namespace, "labels": labels},
            "spec": {"nets": ["198.51.100.0/24"]},
        })
    };
    assert_eq!(
        rules(&set("NetworkSet", Some("app2-ns1"), json!({}))),
        ["network-set-inside"]
    );
    assert_eq!(
        rules(&set("NetworkSet", Some("stranger"), json!({}))),
        Vec::<&str>::new()
    );
    assert_eq!(
        rules(&set(
            "GlobalNetworkSet",
            None,
            json!({"pcns.applicationcode": "application2"})
        )),
        ["forged-labels"]
    );

    let partner = set("GlobalNetworkSet", None, json!({"role": "partner"}));
    let partner: NetworkSet = serde_json::from_value(partner).unwrap();
    let landscape = landscape().with_sets([&partner]);
    let policy = to(&json!({"namespaceSelector": "global()", "selector": "role == 'partner'"}));
    let policy = Object::read(&policy).unwrap().unwrap();
    let found = judge(&policy, &landscape);
    assert_eq!(found[0].rule, Rule::NetworkSet);
    assert!(
        found[0]
            .witness
            .as_ref()
            .unwrap()
            .contains("198.51.100.0/24"),
        "{found:?}"
    );
}

#[test]
fn rules_about_something_else_decide_nothing() {
    let inside = json!({"namespaceSelector": "applicationcode == 'application2'"});
    for first in [
        json!({"action": "Deny", "protocol": "UDP", "destination": inside}),
        json!({"action": "Deny", "ipVersion": 6, "destination": inside}),
        json!({"action": "Deny", "source": {"selector": "app == 'web'"}, "destination": inside}),
        json!({"action": "Log", "destination": inside}),
        json!({"action": "Deny", "protocol": "TCP", "destination": {"namespaceSelector": inside["namespaceSelector"], "ports": [80]}}),
    ] {
        let mut policy = to(&inside);
        let rules_of_policy = policy["spec"]["egress"].as_array_mut().unwrap();
        rules_of_policy.insert(0, first.clone());
        assert_eq!(rules(&policy), Vec::<&str>::new(), "{first}");
    }
}

#[test]
fn what_is_declared_of_one_set_says_nothing_about_another() {
    let set = |name: &str, net: &str| -> NetworkSet {
        let set = json!({"metadata": {"name": name, "labels": {"role": "partner"}}, "spec": {"nets": [net]}});
        serde_json::from_value(set).unwrap()
    };
    let declared = set("a", "203.0.113.0/25");
    let wide = set("b", "0.0.0.0/1");
    let end = json!({"namespaceSelector": "global()", "selector": "role == 'partner'"});
    let policy = Object::read(&to_port(&end, "TCP", 443)).unwrap().unwrap();
    let found = judge(&policy, &landscape().with_sets([&declared]));
    assert!(!found[0].needs_approval(), "{found:?}");
    let found = judge(&policy, &landscape().with_sets([&declared, &wide]));
    assert!(found[0].needs_approval(), "{found:?}");

    // Pods that are declared do not hide a set with the same labels either.
    let mut beside = set("c", "198.51.100.0/24");
    beside.metadata.namespace = Some("orders-ns3".to_owned());
    let end = json!({"namespaceSelector": "applicationcode == 'orders' && zone == 'data'"});
    let policy = Object::read(&to_port(&end, "TCP", 5432)).unwrap().unwrap();
    let found = judge(&policy, &landscape());
    assert!(!found[0].needs_approval(), "{found:?}");
    let found = judge(&policy, &landscape().with_sets([&beside]));
    assert_eq!(found[0].rule, Rule::NetworkSet, "{found:?}");
    assert!(found[0].needs_approval(), "{found:?}");
}

#[test]
fn what_calico_drops_is_no_criterion() {
    // A name that is none ends the selector, and Calico drops all of it: anyone is meant.
    let quoted = json!({"serviceAccounts": {"names": ["a'b"], "selector": "role == 'x'"}});
    let quoted = json!({"action": "Allow", "source": quoted});
    let policy = json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "a"},
        "spec": {"namespaceSelector": "applicationcode == 'application2'", "types": ["Ingress"], "ingress": [quoted]},
    });
    assert_eq!(rules(&policy), ["invalid", "any-peer"]);
    // One that brings a selector along is believed.
    let names = json!(["x'} || has(projectcalico.org/namespace) || a in {'b"]);
    let end = json!({"namespaceSelector": "all()", "serviceAccounts": {"names": names}});
    assert_eq!(rules(&to(&end)), ["invalid", "service-accounts"]);
    for service in [
        json!({"name": ""}),
        json!({}),
        json!({"namespace": "app2-ns2"}),
    ] {
        assert_eq!(
            rules(&to(&json!({"services": service}))),
            ["any-peer"],
            "{service}"
        );
    }
}

#[test]
fn labels_that_others_gave_to_a_namespace_count() {
    let landscape = landscape();
    let mut namespace = LabelMap::clone(&landscape.namespace("app2-ns2").unwrap().labels);
    namespace.insert("environment".to_owned(), "prod".to_owned());
    namespace.insert("zone".to_owned(), "forged".to_owned());
    let live = json!({"metadata": {"name": "app2-ns2", "labels": namespace}});
    let ours = zone("application2", "app2", &json!({}));
    let resolved = crate::domain::Resolved::default();
    let live = serde_json::from_value(live).unwrap();
    let landscape = Landscape::new(&[(&ours, &resolved)], &[live], Platform::default());
    let known = landscape.namespace("app2-ns2").unwrap();
    assert_eq!(known.zone(), Some("backend"), "what is declared wins");
    let open = json!({
        "apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "open"},
        "spec": {"namespaceSelector": "environment == 'prod'", "types": ["Ingress"], "ingress": [{"action": "Allow"}]},
    });
    let open = Object::read(&open).unwrap().unwrap();
    assert_eq!(judge(&open, &landscape)[0].rule, Rule::AnyPeer);
    let inside = to(
        &json!({"namespaceSelector": "applicationcode == 'application2' && environment == 'prod'"}),
    );
    let inside = Object::read(&inside).unwrap().unwrap();
    assert_eq!(judge(&inside, &landscape), []);
}

#[test]
fn fields_of_calico_that_say_nothing_about_pods_are_known() {
    let mut policy = to(&json!({"namespaceSelector": "applicationcode == 'application2'"}));
    policy["spec"]["egress"][0]["metadata"] = json!({"annotations": {"why": "because"}});
    policy["spec"]["performanceHints"] = json!(["AssumeNeededOnEveryNode"]);
    assert_eq!(rules(&policy), Vec::<&str>::new());
}

/// With tiers, that of the boundary comes before tier default; where nobody declares anything, no boundary is there.
#[test]
fn an_order_is_early_only_where_a_boundary_has_orders() {
    let mut policy = to(&json!({"namespaceSelector": "applicationcode == 'application2'"}));
    policy["spec"]["order"] = json!(5);
    let object = Object::read(&policy).unwrap().unwrap();
    let mut landscape = landscape();
    let rules = |landscape: &Landscape| -> Vec<Rule> {
        judge(&object, landscape).iter().map(|it| it.rule).collect()
    };
    assert_eq!(rules(&landscape), [Rule::OrderBeforePlatform]);
    landscape.tiers = Some(Vec::new());
    assert_eq!(rules(&landscape), []);
    let labels =
        json!({"metadata": {"name": "app2-ns2", "labels": {"applicationcode": "application2"}}});
    let namespace: Namespace = serde_json::from_value(labels).unwrap();
    let undeclared = Landscape::new(&[], &[namespace], Platform::default());
    assert_eq!(rules(&undeclared), []);
}

/// It opens nothing, and whoever approves it is told so.
#[test]
fn what_a_staged_policy_would_open_is_found_and_told_as_such() {
    let mut policy = to(&json!({"namespaceSelector": "team == 'blue'"}));
    let enforced = found(&policy);
    policy["kind"] = json!("StagedNetworkPolicy");
    let staged = found(&policy);
    assert_eq!(staged.len(), enforced.len());
    for (staged, enforced) in staged.iter().zip(&enforced) {
        assert!(staged.needs_approval());
        assert_eq!(
            staged.message,
            format!(
                "{}; the policy is staged: it decides nothing yet, and would once it is enforced",
                enforced.message
            )
        );
    }
}

#[test]
fn policies_of_hosts_alone_are_for_people_to_read() {
    for field in ["doNotTrack", "preDNAT"] {
        let policy = json!({
            "apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy", "metadata": {"name": "hosts"},
            "spec": {"selector": "role == 'node'", field: true, "applyOnForward": true, "types": ["Ingress"],
                     "ingress": [{"action": "Allow"}]},
        });
        let found = found(&policy);
        let [finding] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(finding.rule, Rule::DecidesUnread);
        assert_eq!(finding.path.to_string(), format!("spec.{field}"));
        assert!(finding.needs_approval());
    }
}

#[test]
fn tiers_decide_who_is_asked_first() {
    let tier = |name: &str, order: Value, end: &str| {
        let tier = json!({
            "apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": name},
            "spec": {"order": order, "defaultAction": end},
        });
        rules(&tier)
    };
    for (name, order, end) in [
        ("default", json!(1_000_000), "Deny"),
        ("adminnetworkpolicy", json!(1000), "Pass"),
        ("landingzones-platform", json!(900), "Pass"),
        ("landingzones-baseline", json!(2_000_000), "Deny"),
        ("audit", json!(5000), "Deny"),
    ] {
        assert_eq!(tier(name, order, end), Vec::<&str>::new(), "{name}");
    }
    for (name, order, end) in [
        ("default", json!(1), "Deny"),
        ("landingzones-platform", json!(3_000_000), "Pass"),
        ("landingzones-platform", json!(900), "Deny"),
        ("first", json!(1), "Pass"),
        ("first", json!(900), "Deny"),
    ] {
        assert_eq!(tier(name, order, end), ["other-tier"], "{name}");
    }
}

#[test]
fn labels_that_calico_put_away_in_its_storage_count() {
    let set = json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkSet",
        "metadata": {"name": "set", "annotations": {
            "projectcalico.org/metadata": r#"{"labels":{"pcns.applicationcode":"application2","role":"x"}}"#,
        }},
        "spec": {"nets": ["198.51.100.0/24"]},
    });
    let forged = found(&set);
    assert_eq!(forged.len(), 1);
    assert_eq!(
        (forged[0].rule, forged[0].path.to_string().as_str()),
        (
            Rule::ForgedLabels,
            "metadata.annotations[projectcalico.org/metadata]"
        )
    );

    // With it, what stays inside does not any more.
    let set: NetworkSet = serde_json::from_value(set).unwrap();
    let landscape = landscape().with_sets([&set]);
    let policy = to(&json!({"namespaceSelector": "applicationcode == 'application2'"}));
    let policy = Object::read(&policy).unwrap().unwrap();
    let found = judge(&policy, &landscape);
    assert_eq!(found[0].rule, Rule::NetworkSet, "{found:?}");
}

#[test]
fn policies_of_the_cluster_are_judged_for_each_boundary() {
    let policy = json!({
        "apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "open"},
        "spec": {
            "namespaceSelector": "has(applicationcode)", "types": ["Ingress"],
            "ingress": [{"action": "Allow", "source": {"namespaceSelector": "applicationcode == 'application2'"}}],
        },
    });
    let found = found(&policy);
    assert_eq!(found.len(), 1, "{found:?}");
    // Those of application2 are inside, those of orders are not.
    assert!(
        found[0]
            .witness
            .as_ref()
            .unwrap()
            .ends_with("could reach pods of landing zone orders"),
        "{found:?}"
    );
    let deny_all = json!({
        "apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "deny-all"},
        "spec": {
            "selector": "projectcalico.org/namespace not in {'kube-system'}", "types": ["Ingress", "Egress"],
            "ingress": [{"action": "Deny"}], "egress": [{"action": "Deny"}],
        },
    });
    assert_eq!(rules(&deny_all), Vec::<&str>::new());
}

#[test]
fn the_seeds_own_policies_stay_inside() {
    let written = [
        (
            "app2-ns1",
            json!({"types": ["Egress"], "egress": [
            {"action": "Allow", "destination": {"namespaceSelector": "applicationcode == 'application2' && zone == 'backend'"}}]}),
        ),
        (
            "app2-ns2",
            json!({"types": ["Ingress", "Egress"],
            "ingress": [{"action": "Allow", "source": {"namespaceSelector": "applicationcode == 'application2' && zone == 'frontend'"}}],
            "egress": [{"action": "Allow", "destination": {"namespaceSelector": "applicationcode == 'application2' && zone == 'data'"}}]}),
        ),
        (
            "app2-ns3",
            json!({"types": ["Ingress"], "ingress": [
            {"action": "Allow", "source": {"namespaceSelector": "applicationcode == 'application2' && zone == 'backend'"}}]}),
        ),
    ];
    for (namespace, spec) in written {
        let policy = json!({
            "apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy",
            "metadata": {"name": "allow", "namespace": namespace}, "spec": spec,
        });
        assert_eq!(rules(&policy), Vec::<&str>::new(), "{policy}");
    }
}

/// A policy of application2's backend in which the operator's order or tier does not stand.
fn before_boundary(spec: &Value, rule: &Value) -> Value {
    let mut policy = to(&json!({}));
    policy["spec"]["egress"] = json!([rule]);
    for (field, value) in spec.as_object().unwrap() {
        policy["spec"][field] = value.clone();
    }
    policy
}

#[test]
fn what_is_asked_before_the_boundary_names_who_gets_through() {
    let inside = json!({"namespaceSelector": "applicationcode == 'application2'"});
    let partner = json!({"nets": ["203.0.113.0/24"]});
    for (spec, rule) in [
        (json!({"order": 5}), "order-before-platform"),
        (json!({"tier": "security"}), "other-tier"),
    ] {
        for (end, who) in [
            (
                json!({"namespaceSelector": "team == 'blue'"}),
                "pods of app2-ns2 could reach a pod in any namespace labelled team=blue, and the boundary is not asked",
            ),
            // Declared or not.
            (
                partner.clone(),
                "pods of app2-ns2 could reach whoever has an address of 203.0.113.0/24, and the boundary is not asked",
            ),
            // The boundary goes by the owner; whoever carries the code alone is outside.
            (
                inside.clone(),
                "pods of app2-ns2 could reach a pod in any namespace labelled applicationcode=application2, and the \
                 boundary is not asked",
            ),
        ] {
            let policy = before_boundary(&spec, &json!({"action": "Pass", "destination": end}));
            let found = found(&policy);
            let finding = found.iter().find(|it| it.rule.id() == rule).unwrap();
            assert_eq!(finding.witness.as_deref(), Some(who), "{policy}");
        }
        let policy = before_boundary(&spec, &json!({"action": "Deny", "destination": partner}));
        let found = found(&policy);
        let finding = found.iter().find(|it| it.rule.id() == rule).unwrap();
        assert_eq!(finding.witness, None, "{policy}");
    }
}

#[test]
fn what_is_invalid_names_who_gets_through_and_how_it_is_written() {
    for (end, at, instead, who) in [
        (
            json!({"nets": ["bogus"]}),
            "spec.egress[0].destination.nets[0]",
            "write spec.egress[0].destination.nets[0] as a range such as 203.0.113.0/24 instead of \"bogus\", or remove it",
            Some("any address"),
        ),
        (
            json!({"nets": ["198.51.100.0/024"]}),
            "spec.egress[0].destination.nets[0]",
            "if 198.51.100.0/24 is meant, write spec.egress[0].destination.nets[0]: 198.51.100.0/24 instead of \
             198.51.100.0/024",
            Some("whoever has an address of 198.51.100.0/24"),
        ),
        // The whole policy is missing: nobody gets through it.
        (
            json!({"namespaceSelector": "team = 'blue'"}),
            "spec.egress[0].destination.namespaceSelector",
            "== 'web'",
            None,
        ),
    ] {
        let found = found(&to(&end));
        let finding = found.iter().find(|it| it.rule == Rule::Invalid).unwrap();
        assert_eq!(finding.path.to_string(), at, "{end}");
        assert!(
            finding.suggestion.contains(instead),
            "{}",
            finding.suggestion
        );
        let witness = finding.witness.as_deref();
        assert_eq!(witness.is_some(), who.is_some(), "{end}: {witness:?}");
        assert!(
            witness
                .unwrap_or_default()
                .contains(who.unwrap_or_default()),
            "{end}: {witness:?}"
        );
    }
    // Another rule of the policy is no witness.
    let mut policy = to(&json!({"nets": ["198.51.100.0/24"]}));
    let rules = policy["spec"]["egress"].as_array_mut().unwrap();
    rules.push(json!({"action": "Allow", "ipVersion": 5}));
    let found = found(&policy);
    let finding = found.iter().find(|it| it.rule == Rule::Invalid).unwrap();
    assert_eq!(finding.witness, None);
}

#[test]
fn ranges_come_with_the_crossing_that_declares_them() {
    let rule = |end: Value| {
        let mut policy = to(&end);
        let rule = &mut policy["spec"]["egress"][0];
        rule["protocol"] = json!("TCP");
        rule["destination"]["ports"] = json!([443, "8000:8010"]);
        found(&policy).remove(0)
    };
    for (range, by) in [
        ("198.51.100.0/24", None),
        ("0.0.0.0/0", Some("AllAddresses")),
        ("10.244.7.0/24", Some("PodRange")),
        ("10.1.0.7/32", Some("NodeRange")),
        ("169.254.169.254/32", Some("MetadataService")),
        ("2001:db8::/32", None),
    ] {
        let finding = rule(json!({"nets": [range]}));
        let (_, network) = finding.suggestion.split_once(": network: ").unwrap();
        let end = network.rfind("]}").unwrap() + 2;
        let network: Value = serde_saphyr::from_str(&network[..end]).unwrap();
        let entry = &network["egress"][0];
        assert_eq!(entry["to"], json!({"cidrs": [range]}), "{network}");
        assert_eq!(entry["from"], json!({"zone": "backend"}));
        assert_eq!(
            entry["ports"],
            json!([{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 8000, "endPort": 8010}])
        );
        assert_eq!(entry["acknowledge"].as_str(), by);
        // It can be declared so.
        let declared = zone("application2", "app2", &network);
        let entries = network["egress"].as_array().unwrap();
        assert_eq!(declared.network.crossings.len(), entries.len());
    }
}

#[test]
fn whose_ports_are_not_declared_is_told() {
    let mut policy = to(&json!({"nets": ["203.0.113.0/24"]}));
    policy["spec"]["egress"][0]["protocol"] = json!("TCP");
    policy["spec"]["egress"][0]["destination"]["ports"] = json!([443, 22]);
    assert_eq!(
        found(&policy)[0].witness.as_deref(),
        Some(
            "pods of app2-ns2 could reach whoever has an address of 203.0.113.0/24 on TCP 22, which no crossing declares"
        )
    );
}
