//! What to write instead of a rule that something gets through, or what to declare.

use ipnet::IpNet;

use super::Selected;
use super::leak::Leak;
use super::walk::{Form, Namespaces, WalkedRule};
use crate::api::names::{APPLICATION_CODE, ZONE};
use crate::policy::{PortMatch, Selector, TransportProtocol, Way};
use crate::review::Rule;
use crate::review::opening::ports::{Atom, Part};

/// With more ranges than these, the entry that declares them is not written out.
const MOST_DECLARED: usize = 16;
/// Names of crossings are cut behind so many characters of a range; they may have 40.
const LONGEST_NAME: usize = 32;

/// How to write a rule instead, or what to declare.
pub(super) fn suggestion(
    leak: &Leak,
    walked: &WalkedRule,
    selected: &Selected<'_>,
    way: Way,
) -> String {
    let boundary = selected.boundary;
    if leak.declared.is_some() {
        return String::new();
    }
    let code = &boundary.code;
    let crossing = crossing(leak, selected, way);
    let inside = match (&walked.namespaces, walked.form) {
        _ if leak.holds.is_some() || matches!(leak.rule, Rule::ByService) => String::new(),
        (_, Form::Admin) => format!(
            "ask for {APPLICATION_CODE}: {code} among the labels of namespaces to stay inside"
        ),
        (_, Form::Kubernetes) => format!(
            "add namespaceSelector: {{matchLabels: {{{APPLICATION_CODE}: {code}}}}} to stay inside"
        ),
        (Namespaces::By(selector), _) if leak.rule == Rule::CodeMissing => {
            let own = Selector::equal(APPLICATION_CODE, code);
            let both = Selector::and([own, selector.clone()]);
            format!("write namespaceSelector: \"{both}\" to stay inside")
        }
        _ => format!("write namespaceSelector: \"{APPLICATION_CODE} == '{code}'\" to stay inside"),
    };
    let mut suggestion = if inside.is_empty() {
        crossing
    } else {
        format!("{inside}; {crossing}")
    };
    if let Some(ports) = &leak.ports {
        suggestion = format!("{suggestion} (not declared: {ports})");
        let mut all = walked.ports.iter().flat_map(|(_, ports)| ports);
        if all.any(|it| matches!(it, PortMatch::Named(_))) {
            suggestion +=
                "; write the numbers of ports: what containers call them is not known here";
        }
    }
    suggestion
}

/// The crossing to declare.
fn crossing(leak: &Leak, selected: &Selected<'_>, way: Way) -> String {
    let (here, there) = match way {
        Way::Ingress => ("ingress", "egress"),
        Way::Egress => ("egress", "ingress"),
    };
    let own = match &selected.boundary.landing_zone {
        Some(name) => format!("landing zone {name}"),
        None => "a LandingZone".to_owned(),
    };
    if let Some(other) = &leak.landing_zone {
        return format!(
            "if it is meant, declare network.{here} in {own} and network.{there} in landing zone {other}"
        );
    }
    if way == Way::Ingress && leak.holds.is_some() {
        return from_ranges(leak, &own);
    }
    match to_ranges(leak, selected) {
        Some(entry) => {
            let pods = match leak.rule {
                Rule::NetsReachPods => {
                    "pods are better named by their landing zone than by addresses; "
                }
                _ => "",
            };
            format!("{pods}if it is meant, declare in {own}: network: {{{here}: [{entry}]}}")
        }
        None => format!("if it is meant, declare it as network.{here} in {own}"),
    }
}

/// The ranges that are open, as YAML has them in one line, and a name made of the first; None: they are too many.
fn ranges(leak: &Leak) -> Option<(String, String)> {
    let nets: Vec<IpNet> = leak.nets.nets().take(MOST_DECLARED + 1).collect();
    let first = nets.first().filter(|_| nets.len() <= MOST_DECLARED)?;
    let text = |net: &IpNet| match net {
        IpNet::V4(net) => net.to_string(),
        // In a list of YAML in one line, a colon can be taken for something else.
        IpNet::V6(net) => format!("\"{net}\""),
    };
    let ranges: Vec<String> = nets.iter().map(text).collect();
    let name: String = first.to_string();
    let name = name.replace(|it: char| !it.is_ascii_alphanumeric(), "-");
    let name = name.split('-').filter(|it| !it.is_empty());
    let name: String = name.collect::<Vec<_>>().join("-");
    let name: String = name.chars().take(LONGEST_NAME).collect();
    Some((ranges.join(", "), name.trim_end_matches('-').to_owned()))
}

/// What lets addresses in: a landing zone cannot declare that, only the platform can, as a shared service.
fn from_ranges(leak: &Leak, own: &str) -> String {
    let Some((ranges, name)) = ranges(leak) else {
        return format!(
            "if it is meant, the platform declares it as one of spec.sharedServices, and {own} names that in \
             network.sharedServices"
        );
    };
    let ports = leak.declare.as_ref();
    let ports = ports.map_or(String::new(), |ports| format!(", ports: [{ports}]"));
    format!(
        "if it is meant, the platform declares it: sharedServices: [{{name: from-{name}, peers: [{{cidrs: [{ranges}]}}], \
         direction: ToLandingZones{ports}, landingZones: Declared}}], and {own} names it: network: {{sharedServices: \
         [from-{name}]}}"
    )
}

/// The entry that declares the ranges that are open: what is missing in it is only why.
fn to_ranges(leak: &Leak, selected: &Selected<'_>) -> Option<String> {
    leak.holds.as_ref()?;
    let (ranges, name) = ranges(leak)?;
    let labels = selected.namespace.map(|it| &it.labels);
    let zone = labels.and_then(|it| it.get(ZONE));
    let zone = zone.map(|zone| format!(", from: {{zone: \"{zone}\"}}"));
    let ports = leak.declare.as_ref();
    let ports = ports.map(|ports| format!(", ports: [{ports}]"));
    let by = match leak.rule {
        Rule::NetsEverything => Some("AllAddresses"),
        Rule::NetsReachMetadata => Some("MetadataService"),
        Rule::NetsReachNodes => Some("NodeRange"),
        Rule::NetsReachPods => Some("PodRange"),
        _ => None,
    };
    let by = by.map(|by| format!(", acknowledge: {by}"));
    Some(format!(
        "{{name: to-{name}, reason: \"why it is needed\"{}, to: {{cidrs: [{ranges}]}}{}{}}}",
        zone.unwrap_or_default(),
        ports.unwrap_or_default(),
        by.unwrap_or_default(),
    ))
}

/// The ports of parts, in order.
fn all_ports<'a>(parts: &[&'a Part]) -> Vec<&'a Atom> {
    let mut all: Vec<&Atom> = parts.iter().flat_map(|it| &it.ports).collect();
    all.sort_by_key(|(protocol, port)| {
        let first = match port {
            Some(PortMatch::Range(first, _)) => *first,
            Some(PortMatch::Named(_)) | None => 0,
        };
        (protocol.map(|it| it.to_string()), first)
    });
    all
}

/// The ports of parts, in words.
pub(super) fn words(parts: &[&Part]) -> String {
    let all = Part {
        covers: Vec::new(),
        ports: all_ports(parts).into_iter().cloned().collect(),
        named: None,
    };
    all.words()
}

/// The ports of parts as a crossing has them, `{protocol: TCP, port: 443}`; None: all of them, or what no crossing can have.
pub(super) fn as_declared(parts: &[&Part]) -> Option<String> {
    let one = |(protocol, port): &Atom| {
        let known = [
            TransportProtocol::TCP,
            TransportProtocol::UDP,
            TransportProtocol::SCTP,
        ];
        let protocol = (*protocol).filter(|it| known.contains(it))?;
        match port {
            None => Some(format!("{{protocol: {protocol}, port: 1, endPort: 65535}}")),
            Some(PortMatch::Range(first, last)) if first == last => {
                Some(format!("{{protocol: {protocol}, port: {first}}}"))
            }
            Some(PortMatch::Range(first, last)) => Some(format!(
                "{{protocol: {protocol}, port: {first}, endPort: {last}}}"
            )),
            Some(PortMatch::Named(_)) => None,
        }
    };
    let all: Option<Vec<String>> = all_ports(parts).into_iter().map(one).collect();
    all.map(|all| all.join(", "))
}
