//! On what Calico's Felix ends: it is in Calico's storage, which takes it, and iptables refuses what Felix makes of it. The
//! causes are those of `config/admission/fatal-rules.yaml` and `network-sets.yaml`, each tried with Felix 3.28; they are
//! looked for in what is written, since some of them have no form that could be read.

use std::borrow::Cow;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::object::Shape;
use crate::domain::FieldPath;
use crate::policy::{Action, TransportProtocol, range_or_address};

/// Each name, and each fifteen numbers, is a match of iptables, which takes some thirty.
const MOST_NOT_PORTS: usize = 50;
const MOST_NAMES_IN_NOT_PORTS: usize = 10;
/// Each annotation of a rule is one, too.
const MOST_ANNOTATIONS: usize = 20;
/// One is enough to end Felix; so many are told of an object.
const MOST_TOLD: usize = 50;

/// A cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fatal {
    /// Where.
    pub path: FieldPath,
    /// What is wrong, in words that name what is written there.
    pub why: String,
    /// What to do about it.
    pub instead: &'static str,
}

/// All causes in an object.
pub(super) fn fatal(object: &Value, shape: Shape) -> Vec<Fatal> {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let at = FieldPath::default().key("spec");
    let mut found = Vec::new();
    if shape == Shape::NetworkSet {
        // Felix takes what it cannot read in one of a namespace for an address that is there (Calico's
        // `networksetprocessor.go`), and leaves it out in one of the cluster.
        let is_global = object.get("kind").and_then(Value::as_str) == Some("GlobalNetworkSet");
        let ranges = if is_global {
            Ranges::OfGlobalSet
        } else {
            Ranges::OfSet
        };
        find_ranges(spec.get("nets"), ranges, &at.key("nets"), &mut found);
    }
    for (direction, peers, end) in [
        ("ingress", "from", Ranges::ExceptedOfSource),
        ("egress", "to", Ranges::Excepted),
    ] {
        for (index, one) in list(spec.get(direction)).enumerate() {
            if found.len() >= MOST_TOLD {
                break;
            }
            let at = at.key(direction).index(index);
            match shape {
                Shape::Kubernetes => {
                    for (index, peer) in list(one.get(peers)).enumerate() {
                        let at = at.key(peers).index(index).key("ipBlock").key("except");
                        let except = peer.pointer("/ipBlock/except");
                        find_ranges(except, end, &at, &mut found);
                    }
                }
                Shape::Calico | Shape::Global => rule(one, &at, &mut found),
                Shape::NetworkSet
                | Shape::Tier
                | Shape::Admin(_)
                | Shape::Namespace
                | Shape::HostEndpoint
                | Shape::EndpointSlice
                | Shape::Endpoints
                | Shape::Deciding => {}
            }
        }
    }
    found.truncate(MOST_TOLD);
    found
}

/// An object with actions that can be read: what Felix ends on neither allows nor denies.
pub(super) fn readable(object: &Value, shape: Shape) -> Cow<'_, Value> {
    if !matches!(shape, Shape::Calico | Shape::Global) {
        return Cow::Borrowed(object);
    }
    let mut object = Cow::Borrowed(object);
    for direction in ["/spec/ingress", "/spec/egress"] {
        let rules = object.pointer(direction);
        if !list(rules).any(|rule| unknown_action(rule).is_some()) {
            continue;
        }
        let rules = object.to_mut().pointer_mut(direction);
        for rule in rules.and_then(Value::as_array_mut).into_iter().flatten() {
            if unknown_action(rule).is_some() {
                rule["action"] = json!("Deny");
            }
        }
    }
    object
}

fn unknown_action(rule: &Value) -> Option<&str> {
    let action = rule.get("action").and_then(Value::as_str);
    action.filter(|it| Action::read(it).is_none())
}

fn rule(rule: &Value, at: &FieldPath, found: &mut Vec<Fatal>) {
    let mut find = |path: FieldPath, why: String, instead| {
        found.push(Fatal { path, why, instead });
    };
    if let Some(action) = unknown_action(rule) {
        let why = format!("\"{}\" is no action", shortened(action));
        find(at.key("action"), why, "write Allow, Deny, Log or Pass");
    }
    let said = |field: &str| rule.get(field).filter(|it| !it.is_null());
    let (protocol, not_protocol) = (said("protocol"), said("notProtocol"));
    if protocol.is_some()
        && let Some(not) = not_protocol
    {
        let why = format!(
            "notProtocol {} stands beside protocol",
            shortened(&text(not))
        );
        find(at.key("notProtocol"), why, "leave one of them out");
    }
    for field in ["icmp", "notICMP"] {
        if said(field).is_some() && !is_icmp(protocol, said("ipVersion")) {
            let why = "messages of ICMP need protocol ICMP, or ICMPv6, and not the ipVersion of the other one";
            find(
                at.key(field),
                why.to_owned(),
                "correct protocol and ipVersion",
            );
        }
    }
    if let Some(annotations) = rule
        .pointer("/metadata/annotations")
        .and_then(Value::as_object)
        && annotations.len() > MOST_ANNOTATIONS
    {
        let why = format!(
            "the rule has {} annotations, each of them a match of iptables",
            annotations.len()
        );
        find(
            at.key("metadata").key("annotations"),
            why,
            "leave some out: 20 are safe",
        );
    }
    for end in ["source", "destination"] {
        let Some(written) = rule.get(end) else {
            continue;
        };
        let at = at.key(end);
        let ports = list(written.get("notPorts"));
        let (mut count, mut names) = (0, 0);
        for port in ports {
            count += 1;
            let is_number = text(port)
                .bytes()
                .all(|it| it.is_ascii_digit() || it == b':');
            names += usize::from(!is_number);
        }
        if count > MOST_NOT_PORTS || names > MOST_NAMES_IN_NOT_PORTS {
            found.push(Fatal {
                path: at.key("notPorts"),
                why: format!("it has {count} ports, {names} of them by name, more than iptables takes as matches"),
                instead: "join neighbours to a range, or write what is meant as ports: 50, 10 of them by name, are safe",
            });
        }
        // Nothing that is meant at the destination ends it.
        if end == "source" {
            let nets = written.get("nets");
            find_ranges(nets, Ranges::OfSource, &at.key("nets"), found);
        }
        let excepted = if end == "source" {
            Ranges::ExceptedOfSource
        } else {
            Ranges::Excepted
        };
        let not_nets = written.get("notNets");
        find_ranges(not_nets, excepted, &at.key("notNets"), found);
    }
}

/// Whether messages of ICMP can be told apart with this protocol.
fn is_icmp(protocol: Option<&Value>, version: Option<&Value>) -> bool {
    let protocol = protocol
        .map(text)
        .and_then(|it| TransportProtocol::read(&it));
    let version = version.and_then(Value::as_u64);
    match protocol {
        Some(TransportProtocol::ICMP) => version.is_none_or(|it| it == 4),
        Some(TransportProtocol::ICMP_V6) => version.is_none_or(|it| it == 6),
        _ => false,
    }
}

/// What ranges are for. What is none, Felix leaves out of a rule and goes on (tried): all but an empty text at the source,
/// of which it makes an address that iptables does not know (Calico's `rules.go`, `ConvertStringsToNets`).
#[derive(Clone, Copy, PartialEq)]
enum Ranges {
    OfSource,
    ExceptedOfSource,
    Excepted,
    OfSet,
    OfGlobalSet,
}

/// The first of some ranges on which Felix ends.
fn find_ranges(written: Option<&Value>, what: Ranges, at: &FieldPath, found: &mut Vec<Fatal>) {
    let is_set = matches!(what, Ranges::OfSet | Ranges::OfGlobalSet);
    let is_excepted = matches!(what, Ranges::Excepted | Ranges::ExceptedOfSource);
    for text in list(written).filter_map(Value::as_str) {
        let read = range_or_address(text);
        let (why, instead) = match read {
            None if what == Ranges::OfSet || (text.is_empty() && what != Ranges::Excepted) => (
                "is no range of addresses to Felix",
                "write a range such as 10.0.0.0/8",
            ),
            Some(IpNet::V4(_)) if is_set && text.contains(':') && text.contains('/') => (
                "is a range of IPv4 in the form of IPv6, which no set takes",
                "write it like 10.0.0.0/8",
            ),
            Some(net) if is_excepted && net.prefix_len() == 0 => (
                "excepts every address, which iptables refuses",
                "remove the rule: nothing is left when every address is left out",
            ),
            _ => continue,
        };
        found.push(Fatal {
            path: at.clone(),
            why: format!("\"{}\" {why}", shortened(text)),
            instead,
        });
        return;
    }
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Where causes are found in a policy with one rule for what goes out.
    fn places(rule: &Value) -> Vec<String> {
        let policy = json!({"spec": {"egress": [{}, rule]}});
        let found = fatal(&policy, Shape::Calico);
        found.iter().map(|it| it.path.to_string()).collect()
    }

    fn ports(count: u16) -> Value {
        (1..=count).map(|it| json!(it * 2)).collect()
    }

    fn names(count: u16) -> Value {
        (1..=count).map(|it| json!(format!("port-{it}"))).collect()
    }

    #[test]
    fn each_cause_is_found_where_it_is() {
        let annotations = |count: u16| -> Value {
            let all = (0..count).map(|it| (it.to_string(), json!("a")));
            Value::Object(all.collect())
        };
        for (rule, field) in [
            (json!({"action": "Accept"}), ".action"),
            (json!({"action": "permit"}), ".action"),
            (
                json!({"protocol": "TCP", "notProtocol": 17}),
                ".notProtocol",
            ),
            (json!({"icmp": {"type": 8}}), ".icmp"),
            (json!({"icmp": {"type": 8}, "protocol": "TCP"}), ".icmp"),
            (
                json!({"notICMP": {"type": 8}, "protocol": "ICMP", "ipVersion": 6}),
                ".notICMP",
            ),
            (
                json!({"icmp": {}, "protocol": "ICMPv6", "ipVersion": 4}),
                ".icmp",
            ),
            (
                json!({"source": {"notPorts": ports(51)}}),
                ".source.notPorts",
            ),
            (
                json!({"destination": {"notPorts": names(11)}}),
                ".destination.notPorts",
            ),
            (
                json!({"metadata": {"annotations": annotations(21)}}),
                ".metadata.annotations",
            ),
            (
                json!({"source": {"notNets": ["10.0.0.0/8", "0.0.0.0/0"]}}),
                ".source.notNets",
            ),
            (
                json!({"destination": {"notNets": ["1.2.3.4/0"]}}),
                ".destination.notNets",
            ),
            (
                json!({"destination": {"notNets": ["::/0"]}}),
                ".destination.notNets",
            ),
            (
                json!({"destination": {"notNets": ["0.0.0.0/00"]}}),
                ".destination.notNets",
            ),
            (
                json!({"destination": {"notNets": ["::ffff:0.0.0.0/96"]}}),
                ".destination.notNets",
            ),
            (json!({"source": {"nets": [""]}}), ".source.nets"),
            (json!({"source": {"notNets": [""]}}), ".source.notNets"),
        ] {
            assert_eq!(places(&rule), [format!("spec.egress[1]{field}")], "{rule}");
        }
        for rule in [
            json!({"action": "Pass", "protocol": "tcp", "notProtocol": null}),
            json!({"icmp": {"type": 8}, "protocol": "icmp", "ipVersion": 4}),
            json!({"icmp": {"type": 8}, "protocol": 1}),
            json!({"notICMP": {}, "protocol": "ICMPv6"}),
            json!({"source": {"notPorts": ports(50)}, "destination": {"notPorts": names(10)}}),
            json!({"metadata": {"annotations": annotations(20)}}),
            // Felix leaves out what it cannot read (tried with packets: `e2e/tests/agreement/sloppy.rs`).
            json!({"source": {"nets": ["everything"]}, "destination": {"nets": ["10.0.0.0/33"]}}),
            json!({"source": {"nets": ["10.0.0.0/08"]}, "destination": {"nets": ["010.0.0.0/8", ""]}}),
            json!({"source": {"notNets": ["everything"]}, "destination": {"notNets": ["::ffff:10.0.0.0/104", ""]}}),
            json!({"source": {"nets": ["0.0.0.0/0", "::/0", "10.1.2.3"], "notNets": ["10.0.0.0/8", "fd00::1"]}}),
        ] {
            assert_eq!(places(&rule), [""; 0], "{rule}");
        }
    }

    #[test]
    fn kubernetes_exceptions_and_network_sets_are_looked_at() {
        let peers = json!([{}, {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["0.0.0.0/0"]}}]);
        let policy = json!({"spec": {"ingress": [{"from": peers}]}});
        let found = fatal(&policy, Shape::Kubernetes);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].path.to_string(),
            "spec.ingress[0].from[1].ipBlock.except"
        );
        let set = |kind: &str, net: &str| {
            let set = json!({"kind": kind, "spec": {"nets": [net]}});
            fatal(&set, Shape::NetworkSet).len()
        };
        for (net, of_namespace, of_cluster) in [
            ("10.0.0.0/8-", 1, 0),
            ("10.0.0.0/33", 1, 0),
            ("", 1, 1),
            ("::ffff:10.0.0.0/104", 1, 1),
            ("10.0.0.0/08", 0, 0),
            ("0.0.0.0/0", 0, 0),
        ] {
            assert_eq!(set("NetworkSet", net), of_namespace, "{net}");
            assert_eq!(set("GlobalNetworkSet", net), of_cluster, "{net}");
        }
    }

    #[test]
    fn what_has_an_unknown_action_is_read_otherwise() {
        let policy = json!({"spec": {"egress": [{"action": "Accept"}, {"action": "Allow"}]}});
        let read = readable(&policy, Shape::Calico);
        assert_eq!(
            read["spec"]["egress"],
            json!([{"action": "Deny"}, {"action": "Allow"}])
        );
    }

    #[test]
    fn many_causes_are_a_few_findings() {
        let rules = vec![json!({"action": "Accept"}); 10_000];
        let found = fatal(&json!({"spec": {"egress": rules}}), Shape::Global);
        assert_eq!(found.len(), MOST_TOLD);
    }
}
