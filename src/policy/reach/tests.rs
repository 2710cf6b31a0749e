//! Every answer against [`World::verdict`], which judges one pod and one packet.

use k8s_openapi::api::networking::v1 as networking;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::policy::verdict::{Packet, Place};
use crate::policy::world::{AddressSet, Endpoint, LabelMap, labels};
use crate::policy::{
    GlobalNetworkPolicy, NetworkPolicy, NetworkSet, Policy, Tier, TransportProtocol, Written,
};

const NAMESPACES: [&str; 3] = ["shop-web", "shop-data", "stranger"];
const OUTSIDE: [&str; 2] = ["203.0.113.9", "10.1.0.4"];

fn pairs(labels: &[(&str, &str)]) -> LabelMap {
    let labels = labels.iter();
    labels
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn of_namespace(name: &str) -> LabelMap {
    match name {
        "shop-web" => pairs(&[("team", "shop"), ("zone", "web")]),
        "shop-data" => pairs(&[("team", "shop"), ("zone", "data")]),
        _ => pairs(&[("zone", "web")]),
    }
}

/// A pod: its namespace, its labels and its service account.
type Drawn = (&'static str, LabelMap, &'static str);

fn world(objects: &[Value], pods: &[Drawn]) -> World {
    let (mut policies, mut tiers, mut sets) = (Vec::new(), Vec::new(), Vec::new());
    for (at, object) in objects.iter().enumerate() {
        let mut object = object.clone();
        // Names differ, so that it is seen which one decides.
        let name = object["metadata"]["name"].as_str().unwrap_or("p");
        if object["kind"] != "Tier" {
            object["metadata"]["name"] = json!(format!("{name}-{at}"));
        }
        match (object["kind"].as_str().unwrap(), &object["apiVersion"]) {
            ("NetworkPolicy", Value::String(_)) => {
                let policy: networking::NetworkPolicy = serde_json::from_value(object).unwrap();
                policies.push(Policy::of_kubernetes(&policy).unwrap());
            }
            ("NetworkPolicy", _) => {
                let policy: NetworkPolicy = serde_json::from_value(object).unwrap();
                policies.push(Policy::of_calico(&policy, Written::Api).unwrap());
            }
            ("GlobalNetworkPolicy", _) => {
                let policy: GlobalNetworkPolicy = serde_json::from_value(object).unwrap();
                policies.extend(Policy::of_global(&policy, Written::Api).unwrap());
            }
            ("Tier", _) => tiers.push(serde_json::from_value::<Tier>(object).unwrap()),
            _ => {
                let set: NetworkSet = serde_json::from_value(object).unwrap();
                let namespace = set.metadata.namespace.clone().unwrap_or_default();
                sets.push(AddressSet::of(&set, &of_namespace(&namespace)));
            }
        }
    }
    let mut world = World::new(&tiers, policies);
    world.sets = sets;
    for (number, (namespace, own, account)) in pods.iter().enumerate() {
        let of_account = pairs(&[("role", account)]);
        world.endpoints.push(Endpoint {
            namespace: (*namespace).to_owned(),
            name: format!("pod-{number}"),
            labels: labels(
                own,
                (namespace, &of_namespace(namespace)),
                Some((account, &of_account)),
            ),
            addresses: vec![format!("10.244.0.{}", number + 1).parse().unwrap()],
            ports: if number % 2 == 0 {
                vec![("http".to_owned(), TransportProtocol::TCP, 8080)]
            } else {
                Vec::new()
            },
        });
    }
    let service = ("stranger".to_owned(), "dns".to_owned());
    let behind = world
        .endpoints
        .iter()
        .filter(|it| it.namespace == "stranger");
    let behind = behind.map(|it| (it.addresses[0], TransportProtocol::UDP, 53));
    world.services = [(service, behind.collect())].into();
    world
}

/// What is drawn of rules: where labels of pods and names of ports decide, not everything is known.
#[derive(Clone, Copy, PartialEq)]
enum Rules {
    Any,
    WithoutNames,
}

fn rule(which: Rules) -> BoxedStrategy<Value> {
    let peer = select(vec![
        json!({}),
        json!({"namespaceSelector": "all()"}),
        json!({"namespaceSelector": "team == 'shop'"}),
        json!({"namespaceSelector": "team != 'shop'"}),
        json!({"namespaceSelector": "zone in {'web'} && has(team)"}),
        json!({"namespaceSelector": "projectcalico.org/name starts with 'shop'"}),
        json!({"namespaceSelector": "global()"}),
        json!({"selector": "all()"}),
        json!({"selector": "app == 'web'"}),
        json!({"selector": "!has(app) || app contains 'd'", "namespaceSelector": "all()"}),
        json!({"notSelector": "team == 'shop'"}),
        json!({"notSelector": "app in {'db'}", "namespaceSelector": "zone == 'web'"}),
        json!({"selector": "kind == 'partner'", "namespaceSelector": "global()"}),
        json!({"nets": ["0.0.0.0/0"]}),
        json!({"nets": ["10.244.0.0/31", "203.0.113.0/24"]}),
        json!({"notNets": ["10.244.0.0/16"]}),
        json!({"serviceAccounts": {"names": ["builder"]}}),
        json!({"serviceAccounts": {"selector": "role != 'builder'"}, "namespaceSelector": "all()"}),
    ]);
    let mut ports = vec![
        json!(null),
        json!(null),
        json!({"protocol": "TCP", "ports": [80, "8000:8100"]}),
        json!({"protocol": "TCP", "notPorts": [8080]}),
        json!({"protocol": "UDP", "ports": [53]}),
        json!({"protocol": "UDP"}),
        json!({"protocol": "ICMP", "icmp": {"type": 8}}),
        json!({"notProtocol": "TCP"}),
        json!({"notICMP": {"type": 8, "code": 0}}),
        json!({"ipVersion": 4}),
        json!({"ipVersion": 6}),
        json!({"services": {"name": "dns", "namespace": "stranger"}}),
    ];
    if which == Rules::Any {
        ports.extend([
            json!({"protocol": "TCP", "ports": ["http"]}),
            json!({"protocol": "TCP", "notPorts": ["http", 22]}),
            json!({"protocol": "TCP", "from": ["1000:50000"]}),
            json!({"protocol": "TCP", "from": [53]}),
        ]);
    }
    let action = select(&["Allow", "Allow", "Deny", "Deny", "Pass", "Log"]);
    (action, peer.clone(), peer, select(ports))
        .prop_map(|(action, source, destination, ports)| {
            let mut rule = json!({"action": action, "source": source, "destination": destination});
            for field in ["protocol", "notProtocol", "icmp", "notICMP", "ipVersion"] {
                if !ports[field].is_null() {
                    rule[field] = ports[field].clone();
                }
            }
            for field in ["ports", "notPorts", "services"] {
                if !ports[field].is_null() {
                    rule["destination"][field] = ports[field].clone();
                }
            }
            if !ports["from"].is_null() {
                rule["source"]["ports"] = ports["from"].clone();
            }
            rule
        })
        .boxed()
}

fn object(which: Rules) -> impl Strategy<Value = Value> {
    let rules = || proptest::collection::vec(rule(which), 0..4);
    let order = select(vec![json!(1), json!(2), json!(1500), Value::Null]);
    let types = select(vec![
        json!(["Ingress"]),
        json!(["Egress"]),
        json!(["Ingress", "Egress"]),
    ]);
    let selector = select(&["", "all()", "app == 'web'", "!has(app)", "app != 'web'"]);
    let tier = select(vec![json!("default"), json!("first"), json!("lost")]);
    let spec = (order, types, selector, rules(), rules(), tier).prop_map(
        |(order, types, selector, ingress, egress, tier)| {
            json!({
                "order": order, "types": types, "selector": selector, "ingress": ingress, "egress": egress,
                "tier": tier,
            })
        },
    ).boxed();
    let calico = (spec.clone(), select(&NAMESPACES[..])).prop_map(|(spec, namespace)| {
        json!({"kind": "NetworkPolicy", "metadata": {"namespace": namespace}, "spec": spec})
    });
    let chosen = select(vec![
        json!("all()"),
        json!("team == 'shop'"),
        json!("team != 'shop'"),
        json!("projectcalico.org/name in {'shop-web', 'stranger'}"),
        Value::Null,
    ]);
    let global = (spec, chosen).prop_map(|(mut spec, chosen)| {
        spec["namespaceSelector"] = chosen;
        json!({"kind": "GlobalNetworkPolicy", "metadata": {}, "spec": spec})
    });
    let peers = select(vec![
        json!([]),
        json!([{"podSelector": {}}]),
        json!([{"podSelector": {"matchLabels": {"app": "web"}}}]),
        json!([{"namespaceSelector": {"matchLabels": {"zone": "web"}}}]),
        json!([{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.244.0.0/16"]}}]),
    ]);
    let kubernetes = (peers, select(&NAMESPACES[..]), any::<bool>()).prop_map(
        |(peers, namespace, is_ingress)| {
            let ports = json!([{"port": 80, "endPort": 90}, {"port": 53, "protocol": "UDP"}]);
            let spec = if is_ingress {
                json!({"podSelector": {}, "ingress": [{"from": peers, "ports": ports}]})
            } else {
                json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"], "egress": [{"to": peers}]})
            };
            json!({
                "kind": "NetworkPolicy", "apiVersion": "networking.k8s.io/v1",
                "metadata": {"namespace": namespace}, "spec": spec,
            })
        },
    );
    let set = (
        select(vec![
            json!({"kind": "partner"}),
            json!({"team": "shop"}),
            json!({}),
        ]),
        select(vec![json!("shop-web"), json!("stranger"), Value::Null]),
        select(vec![
            json!(["203.0.113.0/24"]),
            json!(["10.244.0.2", "203.0.113.9"]),
            json!(["10.0.0.0/8"]),
        ]),
    )
        .prop_map(|(labels, namespace, nets)| {
            json!({
                "kind": "NetworkSet", "metadata": {"namespace": namespace, "labels": labels},
                "spec": {"nets": nets},
            })
        });
    let end = select(vec![json!("Pass"), json!("Deny")]);
    let tier = end.prop_map(|end| {
        json!({"kind": "Tier", "metadata": {"name": "first"}, "spec": {"order": 100, "defaultAction": end}})
    });
    prop_oneof![4 => calico, 4 => global, 2 => kubernetes, 2 => set, 1 => tier]
}

fn objects(which: Rules) -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::vec(object(which), 0..8).prop_map(|mut objects| {
        let mut tiers = 0;
        objects.retain(|it| {
            tiers += usize::from(it["kind"] == "Tier");
            it["kind"] != "Tier" || tiers == 1
        });
        objects
    })
}

fn pods() -> impl Strategy<Value = Vec<Drawn>> {
    let own = select(vec![
        pairs(&[]),
        pairs(&[("app", "web")]),
        pairs(&[("app", "db")]),
    ]);
    let pod = (
        select(&NAMESPACES[..]),
        own,
        select(&["default", "builder"][..]),
    );
    proptest::collection::vec(pod, 2..7)
}

const PACKETS: [(TransportProtocol, u16); 10] = [
    (TransportProtocol::TCP, 80),
    (TransportProtocol::TCP, 81),
    (TransportProtocol::TCP, 22),
    (TransportProtocol::TCP, 8080),
    (TransportProtocol::TCP, 65_535),
    (TransportProtocol::UDP, 53),
    (TransportProtocol::UDP, 5353),
    (TransportProtocol::SCTP, 80),
    (TransportProtocol::ICMP, 0),
    (TransportProtocol(47), 0),
];

/// What is in a passage, among those of one pair.
fn holds(span: PortSpan, spans: &[PortSpan], (protocol, port): (TransportProtocol, u16)) -> bool {
    let is_named = spans.iter().any(|it| it.protocol == Some(protocol));
    span.holds(protocol, port) || (span.protocol.is_none() && !is_named)
}

/// Of policies that apply to some pods only, the end of a tier tells all.
fn is_told(told: &Decider, by: &Decider) -> bool {
    match (told, by) {
        (Decider::EndOfTier(tier, may), Decider::EndOfTier(it, after)) => {
            tier == it && after.iter().all(|it| may.contains(it))
        }
        _ => told == by,
    }
}

fn agree(
    reach: &Reach<'_>,
    world: &World,
    (from, to): (Place<'_>, Place<'_>),
    (from_member, to_member): (usize, usize),
    is_exact: bool,
) -> Result<(), TestCaseError> {
    let answers = reach.answers(&[from_member], &[to_member]);
    let passages = reach.passages(&[from_member], &[to_member]);
    let spans: Vec<_> = answers.iter().map(|it| it.0).collect();
    for packet in PACKETS {
        let found: Vec<_> = answers
            .iter()
            .filter(|(span, _)| holds(*span, &spans, packet))
            .collect();
        prop_assert_eq!(found.len(), 1, "{:?} is in one of {:?}", packet, spans);
        let (span, answer) = *found[0];
        prop_assert_eq!(
            reach.answer_on(&[from_member], &[to_member], packet),
            Some((span, answer))
        );
        let concrete = Packet {
            protocol: packet.0,
            source_port: 40_000,
            port: packet.1,
        };
        let Some(verdict) = world.verdict(from, to, concrete) else {
            continue;
        };
        let told = format!("{from:?} → {to:?} {packet:?}: {answer:?}, {verdict:?}");
        match answer {
            Answer::Allowed => prop_assert!(verdict.is_allowed(), "{}", told),
            Answer::Denied => prop_assert!(!verdict.is_allowed(), "{}", told),
            Answer::Partly => prop_assert!(!is_exact, "{}", told),
        }
        let closed = reach.is_closed(&[from_member], &[to_member]);
        prop_assert!(!closed || !verdict.is_allowed(), "closed: {}", told);
        // What decides is told.
        let (egress, ingress) = reach.deciders(&[from_member], &[to_member], span, answer);
        for (told_by, decision) in [(egress, verdict.egress), (ingress, verdict.ingress)] {
            if answer != Answer::Denied || !decision.allowed {
                let has = told_by.iter().any(|it| is_told(it, &decision.by));
                prop_assert!(has, "{}: {:?} is not in {:?}", told, decision.by, told_by);
            }
            prop_assert!(!is_exact || told_by.len() <= 1, "{}: {:?}", told, told_by);
        }
    }
    let is_open = answers.iter().any(|(_, answer)| *answer != Answer::Denied);
    prop_assert_eq!(
        passages.iter().all(|it| it.answer != Answer::Denied),
        is_open
    );
    prop_assert!(is_open || passages.len() == 1);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is said of a namespace of which only its labels and the ranges of its pods are known holds for each
    /// of its pods.
    #[test]
    fn what_is_said_of_a_namespace_holds_for_each_of_its_pods(
        objects in objects(Rules::Any), pods in pods(), are_ranges_known: bool,
    ) {
        let world = world(&objects, &pods);
        let ranges: Vec<_> = are_ranges_known
            .then(|| "10.244.0.0/16".parse().unwrap()).into_iter().collect();
        let mut members: Vec<_> = NAMESPACES
            .iter()
            .map(|name| Member::namespace(name, &of_namespace(name), &ranges))
            .collect();
        members.push(Member::addresses(&without(&everywhere(), &["10.244.0.0/16".parse().unwrap()])));
        let reach = world.reach(&members);
        let member = |pod: &Endpoint| NAMESPACES.iter().position(|it| *it == pod.namespace).unwrap();
        for from in &world.endpoints {
            for to in world.endpoints.iter().filter(|to| to.name != from.name) {
                agree(&reach, &world, (Place::Pod(from), Place::Pod(to)), (member(from), member(to)), false)?;
            }
            for address in OUTSIDE {
                let outside = Place::Address(address.parse().unwrap());
                agree(&reach, &world, (Place::Pod(from), outside), (member(from), 3), false)?;
                agree(&reach, &world, (outside, Place::Pod(from)), (3, member(from)), false)?;
            }
        }
    }

    /// Where all is known, nothing is left open, and one thing decides.
    #[test]
    fn what_is_said_of_pods_is_what_the_verdict_says(
        objects in objects(Rules::WithoutNames), pods in pods(),
    ) {
        let world = world(&objects, &pods);
        let mut members: Vec<_> = world.endpoints.iter().map(|pod| Member::pods(&[pod])).collect();
        let addresses = OUTSIDE.map(|it| it.parse::<std::net::IpAddr>().unwrap());
        members.extend(addresses.map(|it| Member::addresses(&[it.into()])));
        let reach = world.reach(&members);
        for (from, pod) in world.endpoints.iter().enumerate() {
            for (to, other) in world.endpoints.iter().enumerate().filter(|(to, _)| *to != from) {
                agree(&reach, &world, (Place::Pod(pod), Place::Pod(other)), (from, to), true)?;
            }
            for (at, address) in addresses.into_iter().enumerate() {
                let (at, outside) = (pods.len() + at, Place::Address(address));
                agree(&reach, &world, (Place::Pod(pod), outside), (from, at), true)?;
                agree(&reach, &world, (outside, Place::Pod(pod)), (at, from), true)?;
            }
        }
    }

    /// Several members together are what holds for all of them.
    #[test]
    fn together_members_are_as_each_of_them(
        objects in objects(Rules::Any), pods in pods(), sides in proptest::collection::vec(any::<Index>(), 4),
    ) {
        let world = world(&objects, &pods);
        let members: Vec<_> = world.endpoints.iter().map(|pod| Member::pods(&[pod])).collect();
        let reach = world.reach(&members);
        let at: Vec<_> = sides.iter().map(|it| it.index(members.len())).collect();
        let (from, to) = at.split_at(2);
        let all = reach.answers(from, to);
        let spans: Vec<_> = all.iter().map(|it| it.0).collect();
        for packet in PACKETS {
            let each: Vec<Answer> = from
                .iter()
                .flat_map(|from| to.iter().map(|to| (*from, *to)))
                .map(|(from, to)| {
                    let own = reach.answers(&[from], &[to]);
                    let spans: Vec<_> = own.iter().map(|it| it.0).collect();
                    own.iter().find(|(span, _)| holds(*span, &spans, packet)).unwrap().1
                })
                .collect();
            let together = all.iter().find(|(span, _)| holds(*span, &spans, packet)).unwrap().1;
            let is_one = each.iter().all(|it| *it == each[0]);
            prop_assert_eq!(together, if is_one { each[0] } else { Answer::Partly });
        }
    }
}

fn calico(namespace: &str, spec: &Value) -> Value {
    json!({"kind": "NetworkPolicy", "metadata": {"namespace": namespace}, "spec": spec})
}

/// Labels of namespaces decide without a doubt; those of pods do not, where nothing is known of pods.
#[rstest]
#[case::everybody(json!({}), json!({}), Answer::Allowed, "")]
#[case::by_namespace(json!({}), json!({"namespaceSelector": "zone == 'web'"}), Answer::Allowed, "")]
#[case::another_namespace(json!({}), json!({"namespaceSelector": "zone == 'data'"}), Answer::Denied, "")]
#[case::by_name(json!({}), json!({"namespaceSelector": "projectcalico.org/name in {'shop-web'}"}), Answer::Allowed, "")]
#[case::some_pods(json!({}), json!({"selector": "app == 'web'", "namespaceSelector": "all()"}), Answer::Partly, "")]
#[case::all_pods(json!({}), json!({"selector": "has(projectcalico.org/orchestrator)", "namespaceSelector": "all()"}), Answer::Allowed, "")]
#[case::some_of_the_own(json!({"selector": "app == 'db'"}), json!({"namespaceSelector": "zone == 'web'"}), Answer::Allowed, "")]
#[case::ports(json!({"protocol": "TCP", "destination": {"ports": [5432, 5433]}}), json!({"namespaceSelector": "zone == 'web'"}), Answer::Allowed, "TCP 5432-5433")]
fn what_is_known_decides(
    #[case] more: Value,
    #[case] source: Value,
    #[case] expected: Answer,
    #[case] ports: &str,
) {
    let mut rule = json!({"action": "Allow", "source": source});
    let mut spec = json!({"types": ["Ingress"]});
    for (field, value) in more.as_object().unwrap() {
        let place = if field == "selector" {
            &mut spec
        } else {
            &mut rule
        };
        place[field] = value.clone();
    }
    spec["ingress"] = json!([rule]);
    let world = world(&[calico("shop-data", &spec)], &[]);
    let members: Vec<_> = NAMESPACES
        .iter()
        .map(|name| Member::namespace(name, &of_namespace(name), &[]))
        .collect();
    let reach = world.reach(&members);
    let passages = reach.passages(&[0], &[1]);
    let told: Vec<_> = passages[0].ports.iter().map(ToString::to_string).collect();
    assert_eq!(
        (passages[0].answer, told.join(", ").as_str()),
        (expected, ports),
        "{passages:?}"
    );
    assert_eq!(passages.len(), 1, "{passages:?}");
}

/// What a member's own policies say, whatever those of the other end deny, and what is left where some policies are gone.
#[test]
fn own_policies_are_judged_by_themselves() {
    let closed = calico("shop-data", &json!({"types": ["Ingress"]}));
    let allow = json!({"types": ["Egress"], "egress": [{"action": "Allow"}]});
    let all = world(&[closed, calico("shop-web", &allow)], &[]);
    let members: Vec<_> = NAMESPACES
        .iter()
        .map(|name| Member::namespace(name, &of_namespace(name), &[]))
        .collect();
    let is = |world: &World, (of, peer), way, expected| {
        let reach = world.reach(&members);
        let answers = reach.own_answers(of, &[peer], way);
        assert!(!answers.is_empty());
        let is_it = answers.iter().all(|(_, it)| *it == expected);
        assert!(is_it, "{answers:?}");
    };
    is(&all, (0, 1), Way::Egress, Answer::Allowed);
    is(&all, (1, 0), Way::Ingress, Answer::Denied);
    let left = all.only(|it| it.id.namespace.as_deref() != Some("shop-data"));
    is(&left, (1, 0), Way::Ingress, Answer::Allowed);
    assert_eq!(left.policies().len(), 1);
}

/// The work grows with the landing zones, not with their pairs.
#[test]
fn work_grows_with_namespaces_and_not_with_their_pairs() {
    let work = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("app-{at}")).collect();
        let policies: Vec<Value> = names
            .iter()
            .map(|name| {
                let own =
                    json!({"namespaceSelector": format!("projectcalico.org/name == '{name}'")});
                let rule = json!({"action": "Allow", "source": own});
                calico(name, &json!({"types": ["Ingress"], "ingress": [rule]}))
            })
            .collect();
        let world = world(&policies, &[]);
        let of = |name: &String| Member::namespace(name, &LabelMap::new(), &[]);
        let members: Vec<_> = names.iter().map(of).collect();
        world.reach(&members).work()
    };
    let (few, many) = (work(50), work(400));
    assert!(few.conditions >= 50 && few.rules >= 50, "{few:?}");
    for (few, many) in [
        (few.conditions, many.conditions),
        (few.rule_ends, many.rule_ends),
        (few.rules, many.rules),
    ] {
        assert!(many <= few * 8 + 8, "{few} for 50, {many} for 400");
    }
}
