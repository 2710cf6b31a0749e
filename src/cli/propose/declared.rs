//! What is declared already, so that nothing of it is proposed again.
//!
//! Declared counts, whether or not it is in force today: what is closed by its date, or because of
//! a stage, is not mended by one more entry. `render` tells about those.

mod crossing;

use std::collections::BTreeMap;

use self::crossing::Offer;
use super::dump::Labels;
use super::inventory::{End, Located};
use super::selector;
use crate::api::{CrossingDirection, IntraZone, Protocol};
use crate::domain::{Flow, FlowEnd, LandingZone, Platform, PortRange};

const DNS_PORT: u16 = 53;
const DNS_NAMESPACE: &str = "kube-system";
const DNS_LABEL: (&str, &str) = ("k8s-app", "kube-dns");

/// What lets a packet pass already.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cover {
    /// The platform, which allows the cluster's DNS.
    Dns,
    /// Pods of one zone may talk freely.
    IntraZone,
    /// A flow, by name.
    Flow(String),
    /// A crossing of the landing zone that opens the connection, by name.
    Egress(String),
    /// A shared service, by name.
    SharedService(String),
}

/// What is declared about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement<'a> {
    /// It passes already.
    Passes {
        /// The landing zone that this counts for.
        landing_zone: &'a str,
        /// What lets it.
        cover: Cover,
    },
    /// Something has to be declared for it.
    Asks {
        /// Who opens the connection, as a declaration would name it.
        from: End,
        /// Who is connected to.
        to: End,
        /// What is missing of a crossing between landing zones.
        missing: Halves,
    },
}

/// Halves of a crossing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Halves {
    /// What the landing zone declares that opens the connection.
    pub egress: bool,
    /// What the landing zone declares that is connected to.
    pub ingress: bool,
}

/// A list of `spec.network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Inside the landing zone.
    Flows,
    /// Out of it.
    Egress,
    /// Into it.
    Ingress,
    /// What the platform opens.
    SharedServices,
}

/// Protocol and destination port; none for protocols that have none.
type Target = Option<(Protocol, u16)>;

/// Where a packet goes, as declarations see it.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// Who sent it.
    pub from: &'a Located,
    /// Who receives it.
    pub to: &'a Located,
    /// What it is connected to there.
    pub target: Target,
}

/// All declarations.
#[derive(Debug)]
pub struct Declared<'a> {
    zones: BTreeMap<&'a str, &'a LandingZone>,
    platform: &'a Platform,
}

impl<'a> Declared<'a> {
    /// What landing zones and the platform declare.
    #[must_use]
    pub fn new(zones: &'a [LandingZone], platform: &'a Platform) -> Self {
        Self {
            zones: zones
                .iter()
                .map(|zone| (zone.name.as_str(), zone))
                .collect(),
            platform,
        }
    }

    /// The names of all landing zones, sorted.
    pub fn landing_zones(&self) -> impl Iterator<Item = &'a str> {
        self.zones.keys().copied()
    }

    /// The names that stand in a list of a landing zone.
    #[must_use]
    pub fn names(&self, landing_zone: &str, list: List) -> Vec<&'a str> {
        let Some(zone) = self.zones.get(landing_zone) else {
            return Vec::new();
        };
        let network = &zone.network;
        let crossings = |direction| {
            let all = network.crossings.iter();
            let some = all.filter(move |crossing| crossing.direction == direction);
            some.map(|crossing| crossing.name.as_str()).collect()
        };
        match list {
            List::Flows => network
                .flows
                .iter()
                .map(|flow| flow.name.as_str())
                .collect(),
            List::Egress => crossings(CrossingDirection::Egress),
            List::Ingress => crossings(CrossingDirection::Ingress),
            List::SharedServices => network.shared_services.iter().map(String::as_str).collect(),
        }
    }

    /// The names of the platform's shared services.
    pub fn services(&self) -> impl Iterator<Item = &'a str> {
        let services = self.platform.shared_services.iter();
        services.map(|service| service.name.as_str())
    }

    /// What is declared about a packet that concerns a landing zone.
    #[must_use]
    pub fn judge(&self, route: Route<'_>) -> Judgement<'a> {
        match (self.landing_zone(route.from), self.landing_zone(route.to)) {
            (Some(from), Some(to)) if from.name == to.name => inside(from, route),
            (Some(from), Some(to)) => crossing::between(from, to, route),
            (Some(from), None) => self.leaving(from, route),
            (None, Some(to)) => self.entering(to, route),
            (None, None) => asks(route.from.end.clone(), route.to.end.clone()),
        }
    }

    fn landing_zone(&self, located: &Located) -> Option<&'a LandingZone> {
        let name = located.end.landing_zone()?;
        self.zones.get(&**name).copied()
    }

    fn leaving(&self, from: &'a LandingZone, route: Route<'_>) -> Judgement<'a> {
        let offer = crossing::offer(from, self.platform, route, CrossingDirection::Egress);
        if self.is_dns(route) {
            passes(from, Cover::Dns)
        } else if let Some(name) = crossing::out_of(from, self.platform, route) {
            passes(from, Cover::Egress(name.to_owned()))
        } else {
            let to = match offer {
                Some(Offer::Taken(name)) => return passes(from, Cover::SharedService(name)),
                Some(Offer::Open(name)) => End::Service(name.into()),
                None => {
                    crossing::named(self.platform, route).unwrap_or_else(|| route.to.end.clone())
                }
            };
            asks(route.from.end.clone(), to)
        }
    }

    fn entering(&self, to: &'a LandingZone, route: Route<'_>) -> Judgement<'a> {
        let offer = crossing::offer(to, self.platform, route, CrossingDirection::Ingress);
        let from = match offer {
            Some(Offer::Taken(name)) => return passes(to, Cover::SharedService(name)),
            Some(Offer::Open(name)) => End::Service(name.into()),
            None => route.from.end.clone(),
        };
        asks(from, route.to.end.clone())
    }

    /// Whether a packet is for the cluster's DNS.
    fn is_dns(&self, route: Route<'_>) -> bool {
        let Some((Protocol::TCP | Protocol::UDP, DNS_PORT)) = route.target else {
            return false;
        };
        let serves = || match (&route.to.end, &route.to.labels) {
            (End::Namespace(namespace), Some(labels)) => {
                &**namespace == DNS_NAMESPACE
                    && labels
                        .get(DNS_LABEL.0)
                        .is_some_and(|app| app == DNS_LABEL.1)
            }
            _ => false,
        };
        let caches = &self.platform.dns_addresses;
        caches.iter().any(|cache| cache.contains(&route.to.address)) || serves()
    }
}

fn passes(landing_zone: &LandingZone, cover: Cover) -> Judgement<'_> {
    Judgement::Passes {
        landing_zone: landing_zone.name.as_str(),
        cover,
    }
}

fn asks<'a>(from: End, to: End) -> Judgement<'a> {
    Judgement::Asks {
        from,
        to,
        missing: Halves::default(),
    }
}

fn inside<'a>(landing_zone: &'a LandingZone, route: Route<'_>) -> Judgement<'a> {
    let network = &landing_zone.network;
    let in_one_zone = route.from.end == route.to.end;
    if in_one_zone && network.intra_zone == IntraZone::Allow {
        return passes(landing_zone, Cover::IntraZone);
    }
    if let Some(flow) = network.flows.iter().find(|flow| is_along(flow, route)) {
        return passes(landing_zone, Cover::Flow(flow.name.clone()));
    }
    if in_one_zone {
        asks(by_labels(route.from), by_labels(route.to))
    } else {
        asks(route.from.end.clone(), route.to.end.clone())
    }
}

/// A pod's end, as a flow inside a zone names it.
fn by_labels(located: &Located) -> End {
    let mut end = located.end.clone();
    if let End::Zone { pods, .. } = &mut end {
        let labels = located.labels.as_deref().map(selector::identifying);
        *pods = Some(labels.unwrap_or_default());
    }
    end
}

fn is_along(flow: &Flow, route: Route<'_>) -> bool {
    is_at(&flow.from, route.from) && is_at(&flow.to, route.to) && takes(&flow.ports, route.target)
}

fn is_at(declared: &FlowEnd, located: &Located) -> bool {
    is_in_zone(located, declared.zone.as_str()) && has_labels(located, &declared.pod_labels)
}

fn is_in_zone(located: &Located, name: &str) -> bool {
    matches!(&located.end, End::Zone { zone, .. } if **zone == *name)
}

fn has_labels(located: &Located, wanted: &Labels) -> bool {
    wanted.is_empty()
        || located
            .labels
            .as_deref()
            .is_some_and(|labels| holds(labels, wanted))
}

fn holds(labels: &Labels, wanted: &Labels) -> bool {
    wanted
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether ports hold a target; none mean all ports of all protocols.
fn takes(ports: &[PortRange], target: Target) -> bool {
    ports.is_empty()
        || target.is_some_and(|(protocol, port)| {
            ports.iter().any(|range| {
                range.protocol == protocol && (range.first..=range.last).contains(&port)
            })
        })
}
