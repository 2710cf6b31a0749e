//! Pairs of policies: what gets through the one and not through the other is told of a change from the other to the one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::generated::{VALUES, end, outsider};
use super::*;
use crate::policy::{
    AddressSet, Decider, Endpoint, Packet, Place, TransportProtocol, Way, World, Written, labels,
};
use crate::review::{Found, added};

const NETS: [&str; 6] = [
    "198.51.100.0/24",
    "198.51.100.0/25",
    "198.51.100.128/25",
    "198.51.100.7/32",
    "192.0.2.0/24",
    "0.0.0.0/0",
];
const ADDRESSES: [&str; 4] = [
    "198.51.100.7",
    "198.51.100.99",
    "198.51.100.200",
    "192.0.2.1",
];
const PORTS: [u16; 3] = [80, 443, 8080];

fn ports() -> impl Strategy<Value = Value> {
    let each = vec![
        json!(80),
        json!("443"),
        json!("80:443"),
        json!("444:9000"),
        json!(8080),
    ];
    let some = proptest::collection::vec(select(each), 1..3);
    prop_oneof![2 => Just(json!([])), 3 => some.prop_map(Value::from)]
}

/// Peers of all kinds.
fn peer() -> impl Strategy<Value = Value> {
    let nets = || proptest::collection::vec(select(&NETS[..]), 1..3);
    let not_nets = proptest::option::weighted(0.4, nets());
    let by_nets = (nets(), not_nets).prop_map(|(nets, not)| match not {
        None => json!({"nets": nets}),
        Some(not) => json!({"nets": nets, "notNets": not}),
    });
    prop_oneof![
        6 => end(),
        3 => by_nets,
        1 => Just(json!({})),
        1 => (end(), nets()).prop_map(|(mut end, nets)| {
            end["notNets"] = json!(nets);
            end
        }),
        1 => end().prop_map(|end| json!({"notSelector": end.get("selector")})),
    ]
}

/// A rule in the words of both directions: the peer is put where it belongs.
#[derive(Clone, Debug)]
struct Drafted {
    action: &'static str,
    protocol: Option<&'static str>,
    peer: Value,
    ports: Value,
    not_ports: Value,
    more: Value,
}

fn rule() -> impl Strategy<Value = Drafted> {
    let action =
        prop_oneof![5 => Just("Allow"), 2 => Just("Deny"), 1 => Just("Pass"), 1 => Just("Log")];
    let more = prop_oneof![
        6 => Just(json!({})),
        1 => Just(json!({"ipVersion": 4})),
        1 => Just(json!({"notProtocol": "UDP"})),
        1 => Just(json!({"metadata": {"annotations": {"why": "because"}}})),
    ];
    let protocol = prop_oneof![3 => Just(Some("TCP")), 1 => Just(None), 1 => Just(Some("UDP"))];
    let not_ports = prop_oneof![4 => Just(json!([])), 1 => ports()];
    (action, protocol, peer(), ports(), not_ports, more).prop_map(
        |(action, protocol, peer, ports, not_ports, more)| Drafted {
            action,
            protocol,
            peer,
            ports,
            not_ports,
            more,
        },
    )
}

impl Drafted {
    fn written(&self, way: Way) -> Value {
        let mut rule = self.more.clone();
        rule["action"] = json!(self.action);
        let mut destination = match way {
            Way::Egress => self.peer.clone(),
            Way::Ingress => json!({}),
        };
        if let Some(protocol) = self.protocol {
            rule["protocol"] = json!(protocol);
            destination["ports"] = self.ports.clone();
            destination["notPorts"] = self.not_ports.clone();
            if rule.get("notProtocol").is_some() {
                rule.as_object_mut().unwrap().remove("notProtocol");
            }
        }
        rule["destination"] = destination;
        if way == Way::Ingress {
            rule["source"] = self.peer.clone();
        }
        rule
    }
}

/// A policy before it is written.
#[derive(Clone, Debug)]
struct Draft {
    name: &'static str,
    way: Way,
    is_global: bool,
    is_stored: bool,
    selector: &'static str,
    order: Option<u16>,
    rules: Vec<Drafted>,
}

const SELECTORS: [&str; 5] = [
    "",
    "app == 'x'",
    "has(app)",
    "app in {'x','y'}",
    "projectcalico.org/namespace != 'app2-ns1'",
];

/// Names before and behind that of another policy of the same order.
const NAMES: [&str; 3] = ["alpha", "team", "zulu"];
const BETWEEN: &str = "mid";

fn draft() -> impl Strategy<Value = Draft> {
    let rules = proptest::collection::vec(rule(), 1..4);
    let way = prop_oneof![Just(Way::Ingress), Just(Way::Egress)];
    let selector = select(&SELECTORS[..]);
    let order = prop_oneof![3 => Just(None), 1 => Just(Some(200)), 1 => Just(Some(300))];
    let name = select(&NAMES[..]);
    (
        name,
        way,
        any::<bool>(),
        any::<bool>(),
        selector,
        order,
        rules,
    )
        .prop_map(
            |(name, way, is_global, is_stored, selector, order, rules)| Draft {
                name,
                way,
                is_global,
                is_stored,
                selector,
                order,
                rules,
            },
        )
}

impl Draft {
    fn written(&self) -> Value {
        let (field, type_) = match self.way {
            Way::Ingress => ("ingress", "Ingress"),
            Way::Egress => ("egress", "Egress"),
        };
        let rules: Vec<_> = self.rules.iter().map(|it| it.written(self.way)).collect();
        let mut spec = json!({"selector": self.selector, "types": [type_]});
        spec[field] = json!(rules);
        if let Some(order) = self.order {
            spec["order"] = json!(order);
        }
        let group = if self.is_stored {
            "crd.projectcalico.org/v1"
        } else {
            "projectcalico.org/v3"
        };
        let mut metadata = json!({"name": self.name});
        let kind = if self.is_global {
            spec["namespaceSelector"] = json!("has(applicationcode)");
            "GlobalNetworkPolicy"
        } else {
            metadata["namespace"] = json!("app2-ns2");
            "NetworkPolicy"
        };
        json!({"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec})
    }

    fn policy(&self) -> Policy {
        let written = self.written();
        let stored = if self.is_stored {
            Written::Storage
        } else {
            Written::Api
        };
        if self.is_global {
            let read: GlobalNetworkPolicy = serde_json::from_value(written).unwrap();
            Policy::of_global(&read, stored).unwrap().unwrap()
        } else {
            let read: NetworkPolicy = serde_json::from_value(written).unwrap();
            Policy::of_calico(&read, stored).unwrap()
        }
    }

    /// A policy of the same order that denies everything, or some of it.
    fn between(&self, what: &Drafted) -> Policy {
        let mut rule = what.clone();
        rule.action = "Deny";
        let between = Self {
            name: BETWEEN,
            is_global: true,
            selector: "",
            rules: vec![rule],
            ..self.clone()
        };
        between.policy()
    }

    /// Two rules become one, where both name ranges or neither does.
    fn merged(&mut self, position: usize) {
        let other = (position + 1) % self.rules.len();
        if other == position {
            return;
        }
        let taken = self.rules[other].clone();
        let own = &mut self.rules[position];
        let nets = |it: &Value| it.get("nets").and_then(Value::as_array).cloned();
        if let (Some(mut all), Some(more)) = (nets(&own.peer), nets(&taken.peer)) {
            all.extend(more);
            own.peer["nets"] = json!(all);
        }
        if let (Some(all), Some(more)) = (own.ports.as_array_mut(), taken.ports.as_array())
            && !all.is_empty()
        {
            all.extend(more.iter().cloned());
        }
        self.rules.remove(other);
    }

    /// Changed in one place.
    fn edited(mut self, edit: u8, at: Index, other: &Drafted, selector: &'static str) -> Self {
        let position = at.index(self.rules.len());
        match edit {
            0 => {
                self.rules.remove(position);
            }
            1 => self.rules.insert(position, other.clone()),
            2 => self.rules[position].peer = other.peer.clone(),
            3 => self.rules[position].ports = other.ports.clone(),
            4 => self.rules[position].protocol = other.protocol,
            5 => self.rules.reverse(),
            6 => self.selector = selector,
            7 => self.is_stored = !self.is_stored,
            8 => self.rules[position].not_ports = other.not_ports.clone(),
            9 => self.rules[position].more = other.more.clone(),
            10 => self.rules[position].action = other.action,
            14 => self.name = NAMES[at.index(NAMES.len())],
            15 => self.merged(position),
            16 => {
                if let Some(nets) = self.rules[position].peer.get_mut("nets") {
                    *nets = json!([NETS[0]]);
                }
            }
            // What a deny was for, without it.
            17 => {
                if let Some(deny) = self.rules.iter().position(|it| it.action == "Deny") {
                    let denied = self.rules.remove(deny).peer;
                    if let (Some(nets), Some(rule)) = (denied.get("nets"), self.rules.get_mut(deny))
                    {
                        rule.peer["notNets"] = nets.clone();
                    }
                }
            }
            11 => {
                for field in [
                    "selector",
                    "notSelector",
                    "nets",
                    "notNets",
                    "namespaceSelector",
                ] {
                    if let Some(value) = other.peer.get(field) {
                        self.rules[position].peer[field] = value.clone();
                        break;
                    }
                }
            }
            12 => {
                let all = self.rules[position].peer.as_object_mut().unwrap();
                if let Some(field) = all.keys().next().cloned() {
                    all.remove(&field);
                }
            }
            _ => {}
        }
        self
    }
}

/// Network sets, in a namespace of nobody's or in none.
fn sets() -> impl Strategy<Value = Vec<Value>> {
    let labels =
        proptest::collection::btree_map(select(&["app", "team"][..]), select(&VALUES[..]), 0..3);
    let nets = proptest::collection::vec(select(&NETS[..5]), 0..3);
    let set = (any::<bool>(), labels, nets);
    let sets = proptest::collection::vec(set, 0..3);
    sets.prop_map(|sets| {
        let sets = sets.into_iter().enumerate();
        let written = sets.map(|(at, (is_global, labels, nets))| {
            let namespace = (!is_global).then_some("stranger");
            json!({"metadata": {"name": format!("set-{at}"), "namespace": namespace, "labels": labels}, "spec": {"nets": nets}})
        });
        written.collect()
    })
}

/// What is declared, with some network sets.
struct Known {
    landscape: Landscape,
    sets: Vec<AddressSet>,
}

impl Known {
    fn of(sets: &[Value]) -> Self {
        let sets = sets
            .iter()
            .map(|it| serde_json::from_value(it.clone()).unwrap());
        let sets: Vec<NetworkSet> = sets.collect();
        let landscape = landscape().with_sets(&sets);
        Self {
            sets: landscape.sets.iter().map(|it| (**it).clone()).collect(),
            landscape,
        }
    }

    fn found(&self, policy: &Value) -> Vec<Finding> {
        judge(&Object::read(policy).unwrap().unwrap(), &self.landscape)
    }

    fn world(&self, draft: &Draft, between: Option<&Policy>) -> World {
        let policies = [draft.policy()].into_iter().chain(between.cloned());
        let mut world = World::new(&[], policies.collect());
        world.sets.clone_from(&self.sets);
        world
    }
}

fn own_pod(app: Option<&str>) -> Endpoint {
    let of_namespace = landscape().namespace("app2-ns2").unwrap().labels.clone();
    let own: BTreeMap<_, _> = app
        .map(|it| ("app".to_owned(), it.to_owned()))
        .into_iter()
        .collect();
    Endpoint {
        namespace: "app2-ns2".to_owned(),
        name: "own".to_owned(),
        labels: labels(&own, ("app2-ns2", &of_namespace), None),
        addresses: vec!["10.244.1.1".parse().unwrap()],
        ports: Vec::new(),
    }
}

/// Whether a rule lets it through.
fn passes(world: &World, way: Way, (own, other): (Place<'_>, Place<'_>), packet: Packet) -> bool {
    let decision = match way {
        Way::Egress => world.verdict(own, other, packet).unwrap().egress,
        Way::Ingress => world.verdict(other, own, packet).unwrap().ingress,
    };
    decision.allowed && matches!(decision.by, Decider::Rule(..))
}

fn new<'a>(
    (policy, found): (&'a Value, &'a [Finding]),
    (before, known): (&'a Value, &'a [Finding]),
) -> Vec<&'a Finding> {
    let now = Found {
        object: policy,
        findings: found.iter().collect(),
    };
    let before = Found {
        object: before,
        findings: known.iter().collect(),
    };
    let is_new = added(&now, &[before]);
    let new = found.iter().zip(is_new).filter(|(_, is_new)| *is_new);
    new.map(|(it, _)| it).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_gets_through_anew_is_told(
        before in draft(), edits in proptest::collection::vec((0..18_u8, any::<Index>(), rule(), select(&SELECTORS[..])), 0..3),
        between in proptest::option::weighted(0.4, rule()),
        sets in sets(), other_sets in sets(), are_other in proptest::bool::weighted(0.3),
        outsiders in proptest::collection::vec(outsider(), 6),
    ) {
        let mut now = before.clone();
        for (edit, at, other, selector) in &edits {
            if !now.rules.is_empty() {
                now = now.edited(*edit, *at, other, selector);
            }
        }
        let known = Known::of(&sets);
        let known_now = if are_other { Known::of(&other_sets) } else { Known::of(&sets) };
        let (written, was) = (now.written(), before.written());
        let (found, found_before) = (known_now.found(&written), known.found(&was));
        let new_ones = new((&written, &found), (&was, &found_before));

        // Another policy, which stays as it is, and so does what it denies.
        let between = between.filter(|_| !are_other).map(|it| before.between(&it));
        let world = known_now.world(&now, between.as_ref());
        let world_before = known.world(&before, between.as_ref());
        let mut anew = None;
        let addresses = ADDRESSES.map(|it| it.parse::<IpAddr>().unwrap());
        for app in [None, Some("x"), Some("y"), Some("z")] {
            let own = own_pod(app);
            for (protocol, port) in [TransportProtocol::TCP, TransportProtocol::UDP].into_iter().flat_map(|it| PORTS.map(|port| (it, port))) {
                let packet = Packet { protocol, source_port: 40_000, port };
                let pods = outsiders.iter().map(Some).chain([None; 4]).enumerate();
                for (at, pod) in pods {
                    let other = pod.map_or_else(|| Place::Address(addresses[at - outsiders.len()]), Place::Pod);
                    let passes = |world: &World| {
                        // Endpoints of one address would be one to the evaluator.
                        let mut world = world.clone();
                        world.endpoints = [Some(&own), pod].into_iter().flatten().cloned().collect();
                        passes(&world, now.way, (Place::Pod(&own), other), packet)
                    };
                    if anew.is_none() && passes(&world) && !passes(&world_before) {
                        anew = Some((app, protocol, port, pod, at));
                    }
                }
            }
        }
        if let Some(anew) = anew {
            prop_assert!(
                new_ones.iter().any(|it| it.needs_approval()),
                "{anew:?}\n{was}\n{written}\n{sets:?}\n{other_sets:?}\n{found:#?}",
            );
        }
        let again = new((&written, &found), (&written, &found));
        prop_assert!(again.is_empty(), "{written}\n{again:?}");
    }

    #[test]
    fn a_part_of_what_is_allowed_is_not_new(policy in draft(), at in any::<Index>(), sets in sets()) {
        let mut policy = policy;
        let position = at.index(policy.rules.len());
        policy.rules[position].action = "Allow";
        let mut less = policy.clone();
        less.rules.remove(position);
        let known = Known::of(&sets);
        let (written, was) = (less.written(), policy.written());
        let (found, found_before) = (known.found(&written), known.found(&was));
        let new_ones = new((&written, &found), (&was, &found_before));
        let leaving: Vec<_> = new_ones.iter().filter(|it| it.needs_approval()).collect();
        prop_assert!(leaving.is_empty(), "{was}\n{written}\n{leaving:#?}");
    }
}
