//! What is said about crossings: what is wrong, and what somebody would have to write.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::{Opening, Reach};
use crate::api::{CrossingDirection, CrossingStatus, OpenedCrossing};
use crate::domain::address::reaches_most;
use crate::domain::{Crossing, CrossingEnd, Fqdn, LandingZoneName, Peer, Platform, PortRange};

/// What holds where nobody knows where the nodes are.
pub(super) const NODES_NOT_KNOWN: &str = "the subnets of the nodes are not known, so nodes among these \
    addresses can be reached: list them in the platform's network.nodeCidrs";

/// What holds for names where a landing zone has no subnet of its own.
pub(super) const SHARED_WAY_OUT: &str = "the firewall sees subnets and not pods: whoever shares a subnet with this landing zone, \
    and declares any name, reaches these, too; a subnet of its own (azure.subnet) tells them apart";

/// Who is on the other side.
pub(super) fn peer(peer: &Peer, platform: &Platform) -> String {
    match peer {
        Peer::LandingZone { name, end } => landing_zone(name, end),
        Peer::Addresses { cidrs, except } => {
            let list = |ranges: &[IpNet]| {
                let texts: Vec<_> = ranges.iter().map(ToString::to_string).collect();
                texts.join(", ")
            };
            if except.is_empty() {
                list(cidrs)
            } else {
                format!("{} except {}", list(cidrs), list(except))
            }
        }
        Peer::Fqdns(names) => {
            let names: Vec<_> = names.iter().map(Fqdn::as_str).collect();
            names.join(", ")
        }
        Peer::Destination(name) => {
            let known = platform.destinations.iter().find(|it| it.name == *name);
            match known {
                Some(known) => format!("destination {name} of {}", known.owner),
                None => format!("destination {name}"),
            }
        }
        Peer::ApiServer => "the API server".to_owned(),
    }
}

/// Pods of a landing zone.
pub(super) fn landing_zone(name: &LandingZoneName, end: &CrossingEnd) -> String {
    let mut parts = vec![format!("landing zone {name}")];
    parts.extend(end.zone.as_ref().map(|zone| format!("zone {zone}")));
    let labels = end.pod_labels.iter();
    parts.extend(labels.map(|(key, value)| format!("{key}={value}")));
    parts.join(", ")
}

/// A name that the platform does not know.
pub(super) fn no_such<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.collect();
    let known = if known.is_empty() {
        "it has none".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    };
    format!(
        "the platform has no {what} {name} ({known}): it opens when the platform declares one of this \
         name; correct the name if another one is meant"
    )
}

/// A crossing whose last day is over.
pub(super) fn expired(crossing: &Crossing, closed: bool) -> String {
    let last = crossing.valid_until.map(|last| last.to_string());
    let state = if closed { "closed" } else { "still open" };
    format!(
        "its last day was {}, and it is {state}, as the platform says: extend validUntil, or remove the \
         crossing",
        last.unwrap_or_default()
    )
}

/// What the other landing zone would have to write.
pub(super) fn declare_there(
    own: &LandingZoneName,
    other: &LandingZoneName,
    crossing: &Crossing,
) -> String {
    let (list, entry) = counterpart(own, crossing);
    format!(
        "declared here, not there: it opens when landing zone {other} declares it in \
         spec.network.{list}, for instance {entry}"
    )
}

/// What this landing zone would have to write.
pub(super) fn declare_here(other: &LandingZoneName, theirs: &Crossing) -> String {
    let (list, entry) = counterpart(other, theirs);
    format!(
        "declared there, not here: landing zone {other} asks for it; if it is to be, declare it in \
         spec.network.{list}, for instance {entry}"
    )
}

/// What the other landing zone would have to write, where both name the same pods and share no port.
pub(super) fn other_ports_there(
    own: &LandingZoneName,
    other: &LandingZoneName,
    crossing: &Crossing,
    theirs: &Crossing,
) -> String {
    let (list, entry) = counterpart(own, crossing);
    let differ = other_ports(other, crossing, theirs);
    format!("{differ}: change them here, or have spec.network.{list} there say {entry}")
}

/// What this landing zone would have to write, where both name the same pods and share no port.
pub(super) fn other_ports_here(
    other: &LandingZoneName,
    crossing: &Crossing,
    theirs: &Crossing,
) -> String {
    let (list, entry) = counterpart(other, theirs);
    let differ = other_ports(other, crossing, theirs);
    format!("{differ}: if that is to be, have spec.network.{list} here say {entry}")
}

fn other_ports(other: &LandingZoneName, crossing: &Crossing, theirs: &Crossing) -> String {
    format!(
        "declared on both sides, on other ports: here {} ({}), in landing zone {other} {} ({}); it opens on \
         the ports that both name",
        ports(&crossing.ports),
        crossing.name,
        ports(&theirs.ports),
        theirs.name
    )
}

/// The entry that answers a crossing which `declarant` declares, and the list that it belongs to.
fn counterpart(declarant: &LandingZoneName, crossing: &Crossing) -> (&'static str, String) {
    let declared_by = fields(Some(declarant), &crossing.own);
    let reached = match &crossing.peer {
        Peer::LandingZone { end, .. } => fields(None, end),
        Peer::Addresses { .. } | Peer::Fqdns(_) | Peer::Destination(_) | Peer::ApiServer => {
            String::new()
        }
    };
    let (list, prefix, from, to) = match crossing.direction {
        CrossingDirection::Egress => ("ingress", "from", declared_by, reached),
        CrossingDirection::Ingress => ("egress", "to", reached, declared_by),
    };
    let mut name = format!("{prefix}-{declarant}");
    name.truncate(40);
    let name = name.trim_end_matches('-');
    let mut entry = vec![format!("name: {name}")];
    entry.extend((!from.is_empty()).then(|| format!("from: {{{from}}}")));
    entry.extend((!to.is_empty()).then(|| format!("to: {{{to}}}")));
    if !crossing.ports.is_empty() {
        let ports: Vec<_> = crossing.ports.iter().copied().map(port).collect();
        entry.push(format!("ports: [{}]", ports.join(", ")));
    }
    (list, format!("- {{{}}}", entry.join(", ")))
}

fn fields(landing_zone: Option<&LandingZoneName>, end: &CrossingEnd) -> String {
    let mut parts = Vec::new();
    parts.extend(landing_zone.map(|name| format!("landingZone: {name}")));
    parts.extend(end.zone.as_ref().map(|zone| format!("zone: {zone}")));
    if !end.pod_labels.is_empty() {
        let labels: Vec<_> = end
            .pod_labels
            .iter()
            .map(|(key, value)| format!("{key}: \"{value}\""))
            .collect();
        parts.push(format!(
            "podSelector: {{matchLabels: {{{}}}}}",
            labels.join(", ")
        ));
    }
    parts.join(", ")
}

fn port(range: PortRange) -> String {
    let PortRange {
        protocol,
        first,
        last,
    } = range;
    if last == first {
        format!("{{protocol: {protocol:?}, port: {first}}}")
    } else {
        format!("{{protocol: {protocol:?}, port: {first}, endPort: {last}}}")
    }
}

/// Ports, one after the other.
pub(super) fn ports(ports: &[PortRange]) -> String {
    let mut texts: Vec<_> = ports.iter().map(ToString::to_string).collect();
    texts.sort();
    texts.join(", ")
}

/// Another landing zone opens the same range.
pub(super) fn opened_by_others(range: IpNet, others: &BTreeSet<String>) -> String {
    let shown: Vec<_> = others.iter().take(3).map(String::as_str).collect();
    let more = others.len() - shown.len();
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "{range} is opened by {}{more}, too: give it a name and an owner in the platform's destinations",
        shown.join(", ")
    )
}

/// A range in which there is nothing to reach once policies are asked.
pub(super) fn without_effect(range: IpNet) -> String {
    format!(
        "{range} has no effect, since these are addresses of Services, and policies see traffic after it \
         was translated to what is behind them: name the landing zone, or the addresses behind the Service"
    )
}

/// Whether nodes may have addresses in a range: where it is private, or wide.
pub(super) fn may_hold_nodes(range: &IpNet) -> bool {
    let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
    let private = private.iter().filter_map(|text| text.parse::<IpNet>().ok());
    reaches_most(*range)
        || private
            .into_iter()
            .any(|private| private.contains(range) || range.contains(&private))
}

/// What is open between two landing zones.
pub(super) fn opened(openings: &[Opening]) -> Vec<OpenedCrossing> {
    openings.iter().filter_map(told).collect()
}

fn told(opening: &Opening) -> Option<OpenedCrossing> {
    let Reach::LandingZone { name, end } = &opening.reach else {
        return None;
    };
    Some(OpenedCrossing {
        landing_zone: name.to_string(),
        zone: opening.own.zone.as_ref().map(ToString::to_string),
        pod_labels: opening.own.pod_labels.clone(),
        peer_zone: end.zone.as_ref().map(ToString::to_string),
        peer_pod_labels: end.pod_labels.clone(),
        ports: opening.ports.iter().map(ToString::to_string).collect(),
    })
}

impl Opening {
    /// All that a status told to be open to other landing zones.
    #[must_use]
    pub fn all_of_status(crossings: &[CrossingStatus]) -> Vec<Self> {
        let told = crossings.iter();
        let told = told.filter_map(|told| Some((told.direction?, &told.open)));
        told.flat_map(|(direction, open)| {
            let open = open.iter();
            open.filter_map(move |open| Self::of_status(direction, open))
        })
        .collect()
    }

    /// What a status told to be open between two landing zones. What it tells in a form that is none is
    /// not open.
    #[must_use]
    pub fn of_status(direction: CrossingDirection, told: &OpenedCrossing) -> Option<Self> {
        let end = |zone: &Option<String>, pod_labels: &BTreeMap<String, String>| {
            let zone = match zone {
                Some(zone) => Some(zone.parse().ok()?),
                None => None,
            };
            Some(CrossingEnd {
                zone,
                pod_labels: pod_labels.clone(),
            })
        };
        let ports: Option<Vec<PortRange>> =
            told.ports.iter().map(|text| text.parse().ok()).collect();
        Some(Self {
            direction,
            own: end(&told.zone, &told.pod_labels)?,
            reach: Reach::LandingZone {
                name: told.landing_zone.parse().ok()?,
                end: end(&told.peer_zone, &told.peer_pod_labels)?,
            },
            ports: ports?,
        })
    }
}
