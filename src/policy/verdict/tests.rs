use k8s_openapi::api::networking::v1 as networking;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::policy::world::{AddressSet, LabelMap, labels};
use crate::policy::{GlobalNetworkPolicy, NetworkPolicy, NetworkSet, Tier, Written};

type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

/// Pods of this world: `<namespace>/<name>`, their labels, and their service account.
const PODS: [Row; 6] = [
    ("shop/web", &[("app", "web")], "default"),
    ("shop/db", &[("app", "db")], "db"),
    ("orders/web", &[("app", "web")], "default"),
    ("orders/db", &[("app", "db")], "default"),
    // It would like to be of shop.
    (
        "evil/spy",
        &[
            ("app", "web"),
            ("pcns.team", "shop"),
            ("projectcalico.org/namespace", "shop"),
        ],
        "default",
    ),
    ("kube-system/dns", &[("k8s-app", "kube-dns")], "coredns"),
];
const OUTSIDE: &str = "203.0.113.9";

fn pairs(labels: &[(&str, &str)]) -> LabelMap {
    let labels = labels.iter();
    labels
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn of_namespace(name: &str) -> LabelMap {
    pairs(&[("team", name), ("kubernetes.io/metadata.name", name)])
}

fn endpoints() -> Vec<Endpoint> {
    let pods = PODS.iter().enumerate();
    let endpoint = |(number, (name, own, account)): (usize, &Row)| {
        let (namespace, name) = name.split_once('/').unwrap();
        let of_account = pairs(&[("role", account)]);
        Endpoint {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            labels: labels(
                &pairs(own),
                (namespace, &of_namespace(namespace)),
                Some((account, &of_account)),
            ),
            addresses: vec![format!("10.244.0.{}", number + 1).parse().unwrap()],
            ports: vec![("http".to_owned(), TransportProtocol::TCP, 8080)],
        }
    };
    pods.map(endpoint).collect()
}

/// A world with these objects; a policy is what its fields say.
fn world(objects: &[Value]) -> World {
    let (mut policies, mut tiers, mut sets) = (Vec::new(), Vec::new(), Vec::new());
    for object in objects {
        let read = || object.clone();
        let written = match object["apiVersion"]
            .as_str()
            .unwrap_or("projectcalico.org/v3")
        {
            "crd.projectcalico.org/v1" => Written::Storage,
            _ => Written::Api,
        };
        match object["kind"].as_str().unwrap() {
            "NetworkPolicy" if object["apiVersion"] == "networking.k8s.io/v1" => {
                let policy: networking::NetworkPolicy = serde_json::from_value(read()).unwrap();
                policies.push(Policy::of_kubernetes(&policy).unwrap());
            }
            "NetworkPolicy" => {
                let policy: NetworkPolicy = serde_json::from_value(read()).unwrap();
                policies.push(Policy::of_calico(&policy, written).unwrap());
            }
            "GlobalNetworkPolicy" => {
                let policy: GlobalNetworkPolicy = serde_json::from_value(read()).unwrap();
                policies.extend(Policy::of_global(&policy, written).unwrap());
            }
            "Tier" => tiers.push(serde_json::from_value::<Tier>(read()).unwrap()),
            _ => {
                let set: NetworkSet = serde_json::from_value(read()).unwrap();
                let namespace = set.metadata.namespace.clone().unwrap_or_default();
                sets.push(AddressSet::of(&set, &of_namespace(&namespace)));
            }
        }
    }
    let dns = "10.244.0.6".parse().unwrap();
    let service = ("kube-system".to_owned(), "kube-dns".to_owned());
    let mut world = World::new(&tiers, policies);
    world.endpoints = endpoints();
    world.sets = sets;
    world.services = [(service, vec![(dns, TransportProtocol::UDP, 53)])].into();
    world
}

fn place<'a>(world: &'a World, name: &str) -> Place<'a> {
    match name.split_once('/') {
        None => Place::Address(name.parse().unwrap()),
        Some((namespace, pod)) => {
            let mut all = world.endpoints.iter();
            let found = all.find(|it| it.namespace == namespace && it.name == pod);
            Place::Pod(found.unwrap())
        }
    }
}

/// `<from> <to> <port>` with TCP, or `<port>/udp`.
fn asked(world: &World, question: &str) -> Verdict {
    let words: Vec<_> = question.split(' ').collect();
    let (port, protocol) = match words[2].split_once('/') {
        None => (words[2], TransportProtocol::TCP),
        Some((port, protocol)) => (port, TransportProtocol::read(protocol).unwrap()),
    };
    let packet = Packet {
        protocol,
        source_port: 40_000,
        port: port.parse().unwrap(),
    };
    let found = world.verdict(place(world, words[0]), place(world, words[1]), packet);
    found.unwrap()
}

fn allowed(world: &World, questions: &[&str]) {
    for question in questions {
        let verdict = asked(world, question);
        assert!(verdict.is_allowed(), "{question}: {verdict:?}");
    }
}

fn denied(world: &World, questions: &[&str]) {
    for question in questions {
        let verdict = asked(world, question);
        assert!(!verdict.is_allowed(), "{question}: {verdict:?}");
    }
}

fn calico(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({"kind": "NetworkPolicy", "metadata": {"namespace": namespace, "name": name}, "spec": spec})
}

fn global(name: &str, spec: &Value) -> Value {
    json!({"kind": "GlobalNetworkPolicy", "metadata": {"name": name}, "spec": spec})
}

fn kubernetes(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"namespace": namespace, "name": name}, "spec": spec,
    })
}

#[test]
fn without_policies_all_is_open() {
    let world = world(&[]);
    allowed(
        &world,
        &[
            "shop/web orders/db 5432",
            "shop/web 203.0.113.9 443",
            "203.0.113.9 shop/web 80",
        ],
    );
    assert_eq!(
        asked(&world, "shop/web orders/db 1").egress.by,
        Decider::Nothing
    );
}

#[test]
fn a_policy_of_kubernetes_closes_what_it_selects_and_opens_what_it_says() {
    let world = world(&[kubernetes(
        "shop",
        "db",
        &json!({
            "podSelector": {"matchLabels": {"app": "db"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 5432}]}],
        }),
    )]);
    allowed(
        &world,
        &[
            "shop/web shop/db 5432",
            "shop/db orders/db 5432",
            "orders/db shop/web 80",
        ],
    );
    denied(
        &world,
        &[
            "shop/web shop/db 5433",
            "shop/web shop/db 5432/udp",
            "orders/web shop/db 5432",
            "evil/spy shop/db 5432",
            "203.0.113.9 shop/db 5432",
        ],
    );
    let verdict = asked(&world, "orders/web shop/db 5432");
    let Decider::EndOfTier(tier, policies) = &verdict.ingress.by else {
        panic!("{verdict:?}");
    };
    assert_eq!((tier.as_str(), policies.len()), ("default", 1));
    assert_eq!(
        verdict.ingress.by.to_string(),
        "the end of tier default, after NetworkPolicy (Kubernetes) shop/db"
    );
}

#[rstest]
#[case::own_namespace(json!({"podSelector": {}}), &["shop/web"], &["orders/web", "203.0.113.9", "evil/spy"])]
#[case::all_namespaces(json!({"namespaceSelector": {}}), &["shop/web", "orders/web", "evil/spy"], &["203.0.113.9"])]
#[case::a_namespace_by_label(json!({"namespaceSelector": {"matchLabels": {"team": "orders"}}}), &["orders/web", "orders/db"], &["shop/web", "evil/spy"])]
#[case::both(json!({"namespaceSelector": {"matchLabels": {"team": "orders"}}, "podSelector": {"matchLabels": {"app": "web"}}}), &["orders/web"], &["orders/db", "shop/web"])]
#[case::expressions(json!({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["evil", "shop"]}]}}), &["orders/web", "kube-system/dns"], &["evil/spy", "shop/web", "203.0.113.9"])]
#[case::a_label_that_nobody_has(json!({"namespaceSelector": {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}}), &["orders/web", "shop/web"], &["203.0.113.9"])]
#[case::addresses(json!({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.244.0.3/32"]}}), &["203.0.113.9", "evil/spy"], &["orders/web"])]
fn peers_of_kubernetes_are_those(
    #[case] peer: Value,
    #[case] may: &[&str],
    #[case] may_not: &[&str],
) {
    let spec = json!({"podSelector": {}, "ingress": [{"from": [peer]}]});
    let world = world(&[kubernetes("shop", "peers", &spec)]);
    let questions = |from: &[&str]| -> Vec<String> {
        let from = from.iter().filter(|it| **it != "shop/db");
        from.map(|from| format!("{from} shop/db 5432")).collect()
    };
    let text = |questions: &[String]| questions.to_vec();
    for question in text(&questions(may)) {
        allowed(&world, &[&question]);
    }
    for question in text(&questions(may_not)) {
        denied(&world, &[&question]);
    }
}

/// What Calico makes of what stands in a rule of a policy in shop, and of one that is cluster-wide.
#[rstest]
#[case::a_selector_means_the_own_namespace(json!({"selector": "app == 'web'"}), &["shop/web"], &["shop/web", "orders/web", "evil/spy"])]
#[case::nothing_is_everybody(json!({}), &["shop/web", "orders/web", "evil/spy", OUTSIDE], &["shop/web", "orders/web", "evil/spy", OUTSIDE])]
#[case::all_namespaces(json!({"namespaceSelector": "all()"}), &["shop/web", "orders/web", "evil/spy"], &["shop/web", "orders/web", "evil/spy"])]
#[case::no_namespace(json!({"namespaceSelector": "global()"}), &[], &[])]
#[case::by_name(json!({"namespaceSelector": "projectcalico.org/name == 'orders'"}), &["orders/web"], &["orders/web"])]
#[case::anything_but_in_the_own_namespace(json!({"notSelector": "app == 'db'"}), &["shop/web"], &["shop/web", "orders/web", "evil/spy", OUTSIDE])]
#[case::missing_is_not_equal(json!({"namespaceSelector": "code != 'shop'"}), &["shop/web", "orders/web", "evil/spy"], &["shop/web", "orders/web", "evil/spy"])]
#[case::nobody_forges_a_namespace(json!({"namespaceSelector": "team == 'shop'"}), &["shop/web"], &["shop/web"])]
#[case::a_service_account(json!({"serviceAccounts": {"names": ["default"]}}), &["shop/web"], &["shop/web", "orders/web", "evil/spy"])]
#[case::labels_of_service_accounts(json!({"serviceAccounts": {"selector": "role == 'coredns'"}, "namespaceSelector": "all()"}), &["kube-system/dns"], &["kube-system/dns"])]
#[case::addresses(json!({"nets": ["10.244.0.0/30"]}), &["shop/web", "orders/web"], &["shop/web", "orders/web"])]
#[case::other_addresses(json!({"notNets": ["10.244.0.0/16"]}), &[OUTSIDE], &[OUTSIDE])]
#[case::both_together(json!({"nets": ["10.244.0.0/16"], "namespaceSelector": "team == 'orders'"}), &["orders/web"], &["orders/web"])]
fn peers_of_calico_are_those(
    #[case] source: Value,
    #[case] in_a_namespace: &[&str],
    #[case] everywhere: &[&str],
) {
    let everybody = [
        "shop/web",
        "orders/web",
        "evil/spy",
        "kube-system/dns",
        OUTSIDE,
    ];
    let rule = json!({"action": "Allow", "source": source});
    let spec = json!({"selector": "app == 'db'", "types": ["Ingress"], "ingress": [rule]});
    let mut cluster_wide = spec.clone();
    cluster_wide["namespaceSelector"] = json!("team == 'shop'");
    for (policy, may) in [
        (calico("shop", "db", &spec), in_a_namespace),
        (global("db", &cluster_wide), everywhere),
    ] {
        let world = world(std::slice::from_ref(&policy));
        for from in everybody {
            // What is not in question is only named where it matters.
            let is_named = in_a_namespace.contains(&from) || everywhere.contains(&from);
            if from == "kube-system/dns" && !is_named {
                continue;
            }
            let verdict = asked(&world, &format!("{from} shop/db 5432"));
            assert_eq!(
                verdict.is_allowed(),
                may.contains(&from),
                "{from} {policy}: {verdict:?}"
            );
        }
    }
}

/// Two differences that decide whether a boundary holds: missing labels in namespace selectors, and addresses that
/// are nobody's.
#[test]
fn a_namespace_selector_over_a_missing_label_selects_whatever_has_none() {
    let outside = json!({
        "kind": "GlobalNetworkSet", "metadata": {"name": "partner", "labels": {"kind": "partner"}},
        "spec": {"nets": ["203.0.113.0/24"]},
    });
    let rule = json!({"action": "Allow", "source": {"namespaceSelector": "team != 'orders'"}});
    let policy = calico(
        "shop",
        "db",
        &json!({"types": ["Ingress"], "ingress": [rule]}),
    );
    allowed(
        &world(&[policy.clone(), outside]),
        &["203.0.113.9 shop/db 1"],
    );
    denied(&world(&[policy]), &["203.0.113.9 shop/db 1"]);
}

#[test]
fn network_sets_inherit_and_forge() {
    let rule = |source: Value| {
        let spec =
            json!({"types": ["Ingress"], "ingress": [{"action": "Allow", "source": source}]});
        calico("shop", "db", &spec)
    };
    let set = |labels: Value| {
        json!({
            "kind": "NetworkSet", "metadata": {"namespace": "evil", "name": "mine", "labels": labels},
            "spec": {"nets": ["203.0.113.9"]},
        })
    };
    let of_evil = rule(json!({"namespaceSelector": "team == 'evil'"}));
    allowed(
        &world(&[of_evil, set(json!({}))]),
        &["203.0.113.9 shop/db 1"],
    );
    let of_shop = rule(json!({"namespaceSelector": "team == 'shop'"}));
    denied(
        &world(&[of_shop.clone(), set(json!({}))]),
        &["203.0.113.9 shop/db 1"],
    );
    let forged = set(json!({"pcns.team": "shop"}));
    allowed(
        &world(&[of_shop, forged.clone()]),
        &["203.0.113.9 shop/db 1"],
    );
    let pods = rule(
        json!({"namespaceSelector": "team == 'shop'", "selector": "has(projectcalico.org/orchestrator)"}),
    );
    denied(&world(&[pods, forged]), &["203.0.113.9 shop/db 1"]);
}

/// What is selected and what is not are one set: two network sets with one address do not get in each other's way.
#[test]
fn a_not_selector_beside_a_selector_is_about_the_same_thing() {
    let set = |name: &str, label: &str| {
        json!({
            "kind": "GlobalNetworkSet", "metadata": {"name": name, "labels": {"kind": label}},
            "spec": {"nets": ["203.0.113.0/24"]},
        })
    };
    let policy = |source: Value| {
        let rule = json!({"action": "Allow", "source": source});
        global(
            "db",
            &json!({"namespaceSelector": "team == 'shop'", "types": ["Ingress"], "ingress": [rule]}),
        )
    };
    let sets = [set("a", "partner"), set("b", "banned")];
    let judged = |source: Value| world(&[policy(source), sets[0].clone(), sets[1].clone()]);
    let both = json!({"selector": "kind == 'partner'", "notSelector": "kind == 'banned'"});
    allowed(&judged(both), &["203.0.113.9 shop/db 1"]);
    denied(
        &judged(json!({"notSelector": "kind == 'banned'"})),
        &["203.0.113.9 shop/db 1"],
    );
}

#[test]
fn order_then_name_then_rule_decides() {
    let rule = |action: &str| json!({"action": action});
    let policy = |name: &str, order: Value, actions: &[&str]| {
        let rules: Vec<_> = actions.iter().map(|it| rule(it)).collect();
        global(
            name,
            &json!({"order": order, "types": ["Ingress"], "ingress": rules, "namespaceSelector": "all()"}),
        )
    };
    let decided = |policies: &[Value]| {
        let verdict = asked(&world(policies), "shop/web shop/db 1");
        (verdict.is_allowed(), verdict.ingress.by.to_string())
    };
    let (allow, deny) = (
        |order| policy("a", order, &["Allow"]),
        |order| policy("d", order, &["Deny"]),
    );
    assert_eq!(
        decided(&[deny(json!(2)), allow(json!(1))]),
        (true, "GlobalNetworkPolicy a, rule 1".to_owned())
    );
    assert!(!decided(&[deny(json!(1)), allow(json!(2))]).0);
    assert!(!decided(&[deny(json!(-1)), allow(json!(0))]).0);
    assert!(
        !decided(&[deny(json!(1)), allow(Value::Null)]).0,
        "no order is last"
    );
    assert!(
        decided(&[deny(json!(1)), allow(json!(1))]).0,
        "by name then"
    );
    let both = policy("b", json!(1), &["Log", "Deny", "Allow"]);
    assert_eq!(
        decided(&[both]),
        (false, "GlobalNetworkPolicy b, rule 2".to_owned())
    );
    let team = kubernetes("shop", "a", &json!({"podSelector": {}, "ingress": [{}]}));
    assert!(
        decided(&[team.clone(), deny(json!(1001))]).0,
        "Kubernetes is at 1000"
    );
    assert!(!decided(&[team, deny(json!(999))]).0);
}

#[test]
fn tiers_come_one_after_the_other() {
    let tier = |name: &str, order: u32, end: Value| json!({"kind": "Tier", "metadata": {"name": name}, "spec": {"order": order, "defaultAction": end}});
    let policy = |tier: &str, source: &str, action: &str| {
        let rule = json!({"action": action, "source": {"namespaceSelector": format!("team == '{source}'")}});
        global(
            &format!("{tier}.{source}"),
            &json!({"tier": tier, "types": ["Ingress"], "ingress": [rule], "namespaceSelector": "team == 'shop'"}),
        )
    };
    let team = calico(
        "shop",
        "open",
        &json!({"types": ["Ingress"], "ingress": [{"action": "Allow"}]}),
    );
    let first = tier("first", 100, Value::Null);
    // What it passes, the team decides; what it does not know, its end denies.
    let passing = world(&[
        first.clone(),
        policy("first", "orders", "Pass"),
        team.clone(),
    ]);
    allowed(&passing, &["orders/web shop/db 1"]);
    denied(&passing, &["evil/spy shop/db 1"]);
    assert_eq!(
        asked(&passing, "orders/web shop/db 1").ingress.passed.len(),
        1
    );
    // Nobody comes after it: that allows.
    let last = world(&[first, policy("first", "orders", "Pass")]);
    let verdict = asked(&last, "orders/web shop/db 1");
    assert_eq!(
        (verdict.is_allowed(), verdict.ingress.by),
        (true, Decider::Passed("first".to_owned()))
    );
    // An end that passes.
    let open = tier("first", 100, json!("Pass"));
    allowed(
        &world(&[
            open.clone(),
            policy("first", "orders", "Deny"),
            team.clone(),
        ]),
        &["evil/spy shop/db 1"],
    );
    denied(
        &world(&[open, policy("first", "orders", "Deny"), team.clone()]),
        &["orders/web shop/db 1"],
    );
    // A tier that is not there bites after all others, and denies.
    let gone = world(&[policy("lost", "orders", "Allow"), team]);
    allowed(&gone, &["evil/spy shop/db 1"]);
    denied(
        &world(&[policy("lost", "orders", "Allow")]),
        &["evil/spy shop/db 1"],
    );
}

#[test]
fn a_policy_without_types_has_those_of_where_it_is_written() {
    let policy = |version: &str| {
        let mut policy = calico("shop", "db", &json!({"ingress": [{"action": "Allow"}]}));
        policy["apiVersion"] = json!(version);
        policy
    };
    allowed(
        &world(&[policy("projectcalico.org/v3")]),
        &["shop/web orders/db 1"],
    );
    let stored = world(&[policy("crd.projectcalico.org/v1")]);
    denied(&stored, &["shop/web orders/db 1"]);
    allowed(&stored, &["orders/db shop/web 1"]);
}

#[test]
fn a_policy_of_kubernetes_without_types_has_those_that_the_api_server_fills_in() {
    let comes_in = world(&[kubernetes("shop", "a", &json!({"podSelector": {}}))]);
    denied(&comes_in, &["orders/db shop/web 1"]);
    allowed(&comes_in, &["shop/web orders/db 1"]);
    let to = json!({"podSelector": {}, "egress": [{"to": [{"podSelector": {}}]}]});
    let both = world(&[kubernetes("shop", "a", &to)]);
    denied(&both, &["orders/db shop/web 1", "shop/web orders/db 1"]);
}

#[test]
fn ports_are_numbers_ranges_names_and_services() {
    let rule = |destination: Value, protocol: Value| {
        let rule = json!({"action": "Allow", "protocol": protocol, "destination": destination});
        world(&[calico(
            "shop",
            "out",
            &json!({"types": ["Egress"], "egress": [rule]}),
        )])
    };
    let some = rule(json!({"ports": [80, "8000:8010"]}), json!("TCP"));
    allowed(&some, &["shop/web orders/db 80", "shop/web orders/db 8010"]);
    denied(
        &some,
        &["shop/web orders/db 81", "shop/web orders/db 80/udp"],
    );
    let named = rule(json!({"ports": ["http"]}), json!(6));
    allowed(&named, &["shop/web orders/db 8080"]);
    denied(
        &named,
        &["shop/web orders/db 80", "shop/web 203.0.113.9 8080"],
    );
    let not = rule(json!({"notPorts": ["http", 22]}), json!("TCP"));
    allowed(
        &not,
        &["shop/web orders/db 80", "shop/web 203.0.113.9 8080"],
    );
    denied(&not, &["shop/web orders/db 8080", "shop/web orders/db 22"]);
    let dns = rule(
        json!({"services": {"name": "kube-dns", "namespace": "kube-system"}}),
        Value::Null,
    );
    allowed(&dns, &["shop/web kube-system/dns 53/udp"]);
    denied(
        &dns,
        &[
            "shop/web kube-system/dns 53",
            "shop/web kube-system/dns 80/udp",
            "shop/web orders/db 53/udp",
        ],
    );
}

/// Felix makes one set of a named port and of the selector beside it: only pods have named ports, and one that is not
/// selected itself adds none, though a network set with its address is selected.
#[test]
fn a_named_port_is_that_of_a_pod_which_is_selected() {
    let partner = json!({
        "kind": "GlobalNetworkSet", "metadata": {"name": "a", "labels": {"kind": "partner"}},
        "spec": {"nets": ["10.244.0.4/32"]},
    });
    let open_to = |destination: Value| {
        let rule = json!({"action": "Allow", "protocol": "TCP", "destination": destination});
        let spec =
            json!({"namespaceSelector": "team == 'shop'", "types": ["Egress"], "egress": [rule]});
        world(&[global("out", &spec), partner.clone()])
    };
    let by = |selector: &str, field: &str, ports: Value| {
        open_to(json!({"selector": selector, field: ports}))
    };
    let (http, other) = ("shop/web orders/db 8080", "shop/web orders/db 9090");
    let partners = "kind == 'partner'";
    allowed(&by(partners, "ports", json!([8080])), &[http]);
    denied(&by(partners, "ports", json!(["http"])), &[http]);
    let both = by(partners, "ports", json!(["http", 9090]));
    allowed(&both, &[other]);
    denied(&both, &[http]);
    allowed(&by(partners, "notPorts", json!(["http"])), &[http]);
    allowed(&by("app == 'db'", "ports", json!(["http"])), &[http]);
    denied(&by("app == 'db'", "notPorts", json!(["http"])), &[http]);
    // What is not selected beside it is taken from the same set.
    let but =
        |not: &str| open_to(json!({"selector": "has(app)", "notSelector": not, "ports": ["http"]}));
    denied(&but("app == 'db'"), &[http]);
    allowed(&but(partners), &[http]);
}

/// Felix makes a block of each list that one rule of iptables cannot hold, and checks two of them: found by packets.
#[rstest]
#[case::two_blocks(json!([8080]), &["10.244.0.0/30", "192.0.2.0/24"], &["10.244.0.8/30", "192.0.2.0/24"], false)]
#[case::a_name_and_a_number_are_one(json!(["http", 9090]), &["10.244.0.0/30", "192.0.2.0/24"], &["10.244.0.8/30", "192.0.2.0/24"], true)]
#[case::so_are_many_numbers(json!([1, 3, "5:6", "8:9", "11:12", "14:15", "17:18", "20:21", "23:24", 9090]), &["10.244.0.0/30", "192.0.2.0/24"], &["10.244.0.8/30", "192.0.2.0/24"], true)]
#[case::the_last_of_15(json!([1, "5:6", "8:9", "11:12", "14:15", "17:18", "20:21", 9090]), &["10.244.0.0/30", "192.0.2.0/24"], &["10.244.0.8/30", "192.0.2.0/24"], false)]
#[case::one_range_is_none(json!(["http", 9090]), &["10.244.0.0/30", "192.0.2.0/24"], &["10.244.0.8/30"], false)]
#[case::families_are_apart(json!(["http", 9090]), &["10.244.0.0/30", "fd00::/8"], &["10.244.0.8/30", "192.0.2.0/24"], false)]
#[case::the_second_is_checked(json!(["http", 9090]), &["10.244.0.8/30", "192.0.2.0/24"], &["10.244.0.0/30", "192.0.2.0/24"], false)]
fn the_third_list_of_alternatives_is_not_checked(
    #[case] ports: Value,
    #[case] from: &[&str],
    #[case] to: &[&str],
    #[case] is_open: bool,
) {
    let rule = json!({
        "action": "Allow", "protocol": "TCP", "source": {"nets": from},
        "destination": {"nets": to, "ports": ports},
    });
    let spec = json!({"types": ["Egress"], "egress": [rule]});
    let world = world(&[calico("shop", "out", &spec)]);
    let port = if ports == json!([8080]) { 8080 } else { 9090 };
    let question = format!("shop/web orders/db {port}");
    assert_eq!(asked(&world, &question).is_allowed(), is_open);
}

#[test]
fn icmp_is_matched_by_message() {
    let rule = |rule: Value| {
        let spec = json!({"types": ["Egress"], "egress": [rule]});
        world(&[calico("shop", "out", &spec)])
    };
    let pings = |world: &World| asked(world, "shop/web orders/db 0/icmp").is_allowed();
    let echo = json!({"action": "Allow", "protocol": "ICMP", "icmp": {"type": 8}});
    assert!(pings(&rule(echo.clone())));
    denied(&rule(echo), &["shop/web orders/db 80"]);
    assert!(!pings(&rule(
        json!({"action": "Allow", "protocol": "ICMP", "icmp": {"type": 3}})
    )));
    assert!(!pings(&rule(
        json!({"action": "Allow", "notICMP": {"type": 8, "code": 0}})
    )));
    assert!(pings(&rule(
        json!({"action": "Allow", "notProtocol": "TCP"})
    )));
}

#[test]
fn what_felix_would_drop_is_told_with_its_place() {
    for (spec, expected) in [
        (
            json!({"selector": "app = 'web'"}),
            "spec.selector: is not a selector: at byte 4: expected",
        ),
        (
            json!({"ingress": [{"action": "Deny", "source": {"nets": ["10.0.0.0/8", "here"]}}]}),
            "spec.ingress[0].source.nets[1]: \"here\" is not an address",
        ),
        (
            json!({"types": ["Ingress"], "egress": [{"action": "Deny", "protocol": "TCP", "destination": {"ports": ["9:1"]}}]}),
            "spec.egress[0].destination.ports[0]: \"9:1\" is not a port",
        ),
        (
            json!({"ingress": [{"action": "Deny", "destination": {"notPorts": [1]}}]}),
            "spec.ingress[0].destination.notPorts: must stand beside protocol",
        ),
        (
            json!({"types": ["ingress"]}),
            "spec.types: \"ingress\" is not a direction",
        ),
    ] {
        let policy = serde_json::from_value(calico("shop", "a", &spec)).unwrap();
        let error = Policy::of_calico(&policy, Written::Api)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn pods_that_policies_do_not_concern_are_no_endpoints() {
    let pod = |spec: Value, status: Value| {
        let pod =
            json!({"metadata": {"namespace": "shop", "name": "a"}, "spec": spec, "status": status});
        let pod = serde_json::from_value(pod).unwrap();
        Endpoint::of(&pod, &LabelMap::new(), &LabelMap::new())
    };
    let spec = json!({"containers": [], "nodeName": "n"});
    let status = json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]});
    let found = pod(spec.clone(), status.clone()).unwrap();
    assert_eq!(found.addresses.len(), 2);
    assert_eq!(found.labels["projectcalico.org/orchestrator"], "k8s");
    assert_eq!(found.labels["pcns.projectcalico.org/name"], "shop");
    assert!(pod(spec.clone(), json!({})).is_none());
    assert!(pod(json!({"containers": []}), status.clone()).is_none());
    assert!(pod(spec, json!({"podIP": "10.0.0.1", "phase": "Succeeded"})).is_none());
    let host = json!({"containers": [], "nodeName": "n", "hostNetwork": true});
    assert!(pod(host, status).is_none());
}
