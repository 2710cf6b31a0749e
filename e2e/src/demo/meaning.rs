//! What a policy means, in a line, read from its rules.

use std::collections::BTreeMap;

use serde_json::Value;

use super::owned::Owned;

/// Traffic that a rule allows between two zones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Passage {
    pub(super) from: String,
    pub(super) to: String,
    /// Such as `TCP 8080`; empty for all traffic.
    pub(super) ports: String,
}

/// Which way a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

impl Direction {
    const BOTH: [Self; 2] = [Self::In, Self::Out];

    /// Where rules of this direction are, and in Calico's rules and in those of Kubernetes where
    /// the other end is.
    fn fields(self) -> [&'static str; 3] {
        match self {
            Self::In => ["ingress", "source", "from"],
            Self::Out => ["egress", "destination", "to"],
        }
    }
}

/// A policy's short name and its place in the order of evaluation.
pub(super) fn title(policy: &Owned, owner: &str) -> (String, Option<f64>) {
    let name = &policy.key.name;
    let prefix = format!("landing-zone-{owner}-");
    let short = name.split_once(&prefix).map_or(&**name, |(_, short)| short);
    let short = short.replace("--", "-");
    (short, policy.object.data["spec"]["order"].as_f64())
}

/// What a policy means.
pub(super) fn meaning(policy: &Owned, zones: &BTreeMap<String, String>) -> String {
    let rules = |direction: Direction| rules(policy, direction);
    let all = Direction::BOTH.map(rules).concat();
    let all_deny = |rules: &[Value]| rules.iter().all(|rule| rule["action"] == "Deny");
    let ways = match Direction::BOTH.map(|direction| !rules(direction).is_empty()) {
        [true, true] => "in and out",
        [true, false] => "in",
        _ => "out",
    };
    if all.iter().any(is_everything_denied) {
        return format!("denies all that nothing above allows, {ways}");
    }
    let denies: Vec<Value> = all
        .iter()
        .filter(|rule| rule["action"] != "Pass")
        .cloned()
        .collect();
    if !denies.is_empty() && all_deny(&denies) {
        return format!("denies what crosses the boundary, {ways}");
    }
    let mut parts = Vec::new();
    if all.iter().any(is_dns) {
        parts.push("allows the cluster's DNS".to_owned());
    }
    for (passage, directions) in by_passage(policy, zones) {
        let Passage { from, to, ports } = passage;
        parts.push(match (from == to, ports.is_empty()) {
            (true, true) => format!("free inside {from}"),
            (_, true) => format!("{from} → {to} {directions}"),
            (_, false) => format!("{from} → {to} {ports} {directions}"),
        });
    }
    if parts.is_empty() {
        return format!("{} rules, {ways}", all.len());
    }
    parts.join("; ")
}

/// What passes by a policy in one direction.
pub(super) fn passages(
    policy: &Owned,
    zones: &BTreeMap<String, String>,
    direction: Direction,
) -> Vec<Passage> {
    let here = own_zones(policy, zones);
    let [_, calico, kubernetes] = direction.fields();
    let mut found = Vec::new();
    for rule in rules(policy, direction) {
        if !(rule["action"].is_null() || rule["action"] == "Allow") {
            continue;
        }
        let peers = rule[kubernetes].as_array().into_iter().flatten();
        let selected = peers
            .filter_map(|peer| peer["namespaceSelector"]["matchLabels"]["zone"].as_str())
            .chain(zone_in(&rule[calico]["namespaceSelector"]));
        for there in selected {
            found.extend(here.iter().map(|here| {
                let (from, to) = match direction {
                    Direction::In => (there, here.as_str()),
                    Direction::Out => (here.as_str(), there),
                };
                Passage {
                    from: from.to_owned(),
                    to: to.to_owned(),
                    ports: ports(&rule),
                }
            }));
        }
    }
    found
}

fn by_passage(policy: &Owned, zones: &BTreeMap<String, String>) -> Vec<(Passage, &'static str)> {
    let [incoming, outgoing] = Direction::BOTH.map(|direction| passages(policy, zones, direction));
    let (inside, incoming): (Vec<_>, Vec<_>) = incoming
        .into_iter()
        .partition(|passage| passage.from == passage.to);
    let outgoing = outgoing
        .into_iter()
        .filter(|passage| passage.from != passage.to);
    let incoming = incoming.into_iter().map(|passage| (passage, "(in)"));
    let outgoing = outgoing.map(|passage| (passage, "(out)"));
    let mut all: Vec<_> = incoming.chain(outgoing).collect();
    all.extend(inside.into_iter().map(|passage| (passage, "")));
    all
}

fn rules(policy: &Owned, direction: Direction) -> Vec<Value> {
    let [field, ..] = direction.fields();
    let rules = policy.object.data["spec"][field].as_array();
    rules.cloned().unwrap_or_default()
}

/// The zones of the namespaces that a policy is for.
fn own_zones(policy: &Owned, zones: &BTreeMap<String, String>) -> Vec<String> {
    let selector = policy.object.data["spec"]["namespaceSelector"].as_str();
    let mut own: Vec<String> = zones
        .iter()
        .filter(|(namespace, _)| match selector {
            Some(selector) => selector.contains(&format!("'{namespace}'")),
            None => policy.key.namespace.as_deref() == Some(namespace.as_str()),
        })
        .map(|(_, zone)| zone.clone())
        .collect();
    own.sort();
    own.dedup();
    own
}

/// The zone that a selector of Calico's asks for.
fn zone_in(selector: &Value) -> Option<&str> {
    // Labels whose names end in the same word are others.
    let mut terms = selector.as_str()?.split(" && ");
    terms.find_map(|term| term.strip_prefix("zone == '")?.strip_suffix('\''))
}

fn is_everything_denied(rule: &Value) -> bool {
    let only_action = rule.as_object().is_some_and(|rule| rule.len() == 1);
    rule["action"] == "Deny" && only_action
}

fn is_dns(rule: &Value) -> bool {
    let namespace = "kubernetes.io/metadata.name";
    let peers = rule["to"].as_array().into_iter().flatten();
    let mut peers = peers.map(|peer| &peer["namespaceSelector"]["matchLabels"][namespace]);
    rule["destination"]["services"]["name"] == "kube-dns"
        || peers.any(|namespace| namespace == "kube-system")
}

/// Calico writes `protocol` once and ranges as `5432:5440`; Kubernetes repeats the protocol and has
/// a field for the end.
fn ports(rule: &Value) -> String {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let calico = rule["destination"]["ports"].as_array();
    let kubernetes = rule["ports"].as_array();
    let mut parts = Vec::new();
    for port in calico.into_iter().flatten() {
        let port = text(port).replace(':', "-");
        parts.push(format!("{} {port}", text(&rule["protocol"])));
    }
    for port in kubernetes.into_iter().flatten() {
        let end = port["endPort"]
            .as_u64()
            .map_or(String::new(), |end| format!("-{end}"));
        parts.push(format!(
            "{} {}{end}",
            text(&port["protocol"]),
            text(&port["port"])
        ));
    }
    if parts.is_empty() && rule["protocol"].is_string() {
        parts.push(text(&rule["protocol"]));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_is_told_from_labels_that_end_alike() {
        let selector = serde_json::json!("example.dev/landing-zone == 'shop' && zone == 'web'");
        assert_eq!(zone_in(&selector), Some("web"));
        assert_eq!(
            zone_in(&serde_json::json!("example.dev/landing-zone == 'shop'")),
            None
        );
    }

    #[test]
    fn ports_read_alike_in_both_languages() {
        let calico =
            serde_json::json!({"protocol": "TCP", "destination": {"ports": [80, "90:99"]}});
        let kubernetes = serde_json::json!({"ports": [
            {"protocol": "TCP", "port": 80}, {"protocol": "TCP", "port": 90, "endPort": 99},
        ]});
        assert_eq!(ports(&calico), "TCP 80, TCP 90-99");
        assert_eq!(ports(&calico), ports(&kubernetes));
        assert_eq!(ports(&serde_json::json!({})), "");
    }
}
