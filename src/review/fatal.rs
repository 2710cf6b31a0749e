//! On what Calico's Felix ends: it is in Calico's storage, which takes it, and iptables refuses what Felix makes of it. The
//! causes are those of `config/admission/fatal-rules.yaml` and `network-sets.yaml`, each tried with Felix 3.28; they are
//! looked for in what is written, since some of them have no form that could be read.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::object::Shape;
use crate::domain::FieldPath;
use crate::policy::{Action, TransportProtocol};

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
        ranges(spec.get("nets"), Ranges::Meant, &at.key("nets"), &mut found);
    }
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
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
                        ranges(except, Ranges::Excepted, &at, &mut found);
                    }
                }
                Shape::Calico | Shape::Global => rule(one, &at, &mut found),
                Shape::NetworkSet | Shape::Tier | Shape::Admin(_) | Shape::Namespace => {}
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
        ranges(written.get("nets"), Ranges::Meant, &at.key("nets"), found);
        ranges(
            written.get("notNets"),
            Ranges::Excepted,
            &at.key("notNets"),
            found,
        );
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

#[derive(Clone, Copy, PartialEq)]
enum Ranges {
    Meant,
    Excepted,
}

fn ranges(written: Option<&Value>, what: Ranges, at: &FieldPath, found: &mut Vec<Fatal>) {
    for range in list(written).filter_map(Value::as_str) {
        let (why, instead) = match (prefix(range), what) {
            (None, _) => (
                "is no range of addresses to Felix",
                "write a range such as 10.0.0.0/8",
            ),
            (Some(0), Ranges::Excepted) => (
                "excepts every address, which iptables refuses",
                "remove the rule: nothing is left when every address is left out",
            ),
            _ => continue,
        };
        found.push(Fatal {
            path: at.clone(),
            why: format!("\"{}\" {why}", shortened(range)),
            instead,
        });
        return;
    }
}

/// The length of a range's prefix; None where it is neither a range nor an address, as Kubernetes reads them. IPv4 in the
/// form of IPv6 is not.
fn prefix(range: &str) -> Option<u8> {
    let (address, length) = match range.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (range, None),
    };
    let address: IpAddr = address.parse().ok()?;
    if matches!(address, IpAddr::V6(it) if it.to_ipv4_mapped().is_some()) {
        return None;
    }
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let Some(length) = length else {
        return Some(whole);
    };
    let is_plain = length == "0" || !length.starts_with(['0', '+']);
    let length = length.parse().ok().filter(|_| is_plain)?;
    IpNet::new(address, length).is_ok().then_some(length)
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
            (
                json!({"destination": {"nets": ["10.0.0.0/33"]}}),
                ".destination.nets",
            ),
            (
                json!({"destination": {"nets": ["10.0.0.0/08"]}}),
                ".destination.nets",
            ),
            (
                json!({"destination": {"nets": ["010.0.0.0/8"]}}),
                ".destination.nets",
            ),
            (
                json!({"destination": {"nets": ["everything"]}}),
                ".destination.nets",
            ),
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
        let set = |net: &str| fatal(&json!({"spec": {"nets": [net]}}), Shape::NetworkSet);
        assert_eq!(set("10.0.0.0/8-").len(), 1);
        assert_eq!(set("0.0.0.0/0"), []);
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
