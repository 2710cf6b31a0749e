//! What a landing zone's pods reach across its boundary, and who reaches them: the rendered policies, asked.
//!
//! One pod stands for each zone, and one more for each set of labels that something open names. All that is
//! declared to be open, before or after, cuts ports and addresses into pieces that no policy tells apart: one
//! packet for each piece says what holds for all of it.

mod cluster;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;

use super::estate::{Estate, bare};
use super::extent;
use super::spans::{self, Spans};
use crate::api::{CrossingDirection, Stage, names};
use crate::build::{self, Released};
use crate::domain::{LandingZone, LandingZoneName, Opening, PolicyApi, Reach, TeamPolicies, Zone};
use crate::policy::{LabelMap, Packet, Place, Policy, Written};
use cluster::{API_SERVER, Cluster, address};

/// Most ranges whose addresses are asked for, of one landing zone.
const MOST_NETS: usize = 256;
/// Addresses that stand for all that nothing names.
const ELSEWHERE: [&str; 3] = ["203.0.113.9", "198.51.100.9", "8.8.8.8"];

/// A pod that stands for all like it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pods {
    pub layer: Zone,
    pub labels: LabelMap,
}

/// Somebody outside the boundary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outsider {
    /// Pods of another landing zone.
    LandingZone(LandingZoneName, Pods),
    /// Pods in namespaces of no landing zone, by labels of theirs and of their namespaces.
    Foreign(LabelMap, LabelMap),
    /// Pods of no landing zone about which nothing else is known.
    AnyPods,
    /// The API server.
    ApiServer,
    /// Addresses, from the first to the last; whether they are of IPv6.
    Addresses(bool, u128, u128),
    /// An address that nothing names.
    Elsewhere,
}

/// Pods, which way, and whoever is outside.
pub(super) type Between = (Pods, CrossingDirection, Outsider);

/// Who reaches whom, on which ports.
pub(super) type Reached = BTreeMap<Between, Spans>;

/// What two sides know of one landing zone, in which the same is asked.
pub(super) struct Question<'a> {
    name: &'a LandingZoneName,
    /// What is open on either side, by what it leads to.
    openings: Vec<Opening>,
    nets: Vec<IpNet>,
    peers: BTreeSet<LandingZoneName>,
}

/// One side of a [`Question`].
pub(super) struct Asked<'a> {
    pub estate: &'a Estate<'a>,
    /// Namespaces that were declared before and are not any more.
    pub released: &'a BTreeMap<LandingZoneName, Vec<Released>>,
    /// Landing zones whose real stage counts, and beside them that of all others; those are else asked as if in stage Enforce.
    pub by_stage: &'a BTreeSet<LandingZoneName>,
    /// What was rendered already: a landing zone is asked about by each of its neighbours.
    pub known: RefCell<BTreeMap<LandingZoneName, Rc<Rendered>>>,
}

/// The policies of a landing zone, with the labels of its namespaces.
#[derive(Debug, PartialEq)]
pub(super) struct Rendered {
    policies: Vec<Policy>,
    namespaces: BTreeMap<String, LabelMap>,
}

impl Asked<'_> {
    /// A landing zone as it is declared.
    pub fn rendered(&self, zone: &LandingZone) -> Rc<Rendered> {
        if let Some(known) = self.known.borrow().get(&zone.name) {
            return Rc::clone(known);
        }
        let rendered = Rc::new(self.render(zone));
        let mut known = self.known.borrow_mut();
        known.insert(zone.name.clone(), Rc::clone(&rendered));
        rendered
    }

    fn render(&self, zone: &LandingZone) -> Rendered {
        let mut zone = zone.clone();
        if !self.by_stage.contains(&zone.name) {
            zone.stage = Stage::Enforce;
        }
        let flavour = self.estate.flavour;
        let openings = self.estate.resolved(&zone).openings;
        let released = self.released.get(&zone.name);
        let desired = build::landing_zone(
            &zone,
            released.map_or(&[], Vec::as_slice),
            self.estate.platform,
            &openings,
            &TeamPolicies::default(),
            flavour,
        );
        let written = match flavour.api {
            PolicyApi::CalicoCrdV1 => Written::Storage,
            PolicyApi::CalicoV3 | PolicyApi::Kubernetes => Written::Api,
        };
        // What Felix cannot read is not there.
        let global = desired.global_network_policies.iter();
        let global = global.filter_map(|it| Policy::of_global(it, written).ok().flatten());
        let namespaced = desired.network_policies.iter();
        let namespaced = namespaced.filter_map(|it| Policy::of_kubernetes(it).ok());
        let policies = global.chain(namespaced).collect();
        let labelled = desired
            .namespaces
            .into_iter()
            .filter_map(|it| Some((it.metadata.name?, it.metadata.labels.unwrap_or_default())));
        Rendered {
            policies,
            namespaces: labelled.collect(),
        }
    }

    fn zone(&self, name: &LandingZoneName) -> Option<&LandingZone> {
        self.estate.zones.get(name).copied()
    }
}

impl<'a> Question<'a> {
    /// What to ask about a landing zone, so that both sides can be compared.
    pub fn new(name: &'a LandingZoneName, before: &Asked<'_>, after: &Asked<'_>) -> Self {
        let open = |side: &Asked<'_>| {
            let resolved = side.zone(name).map(|zone| side.estate.resolved(zone));
            let openings = resolved.unwrap_or_default().openings;
            openings
                .services
                .into_iter()
                .chain(openings.crossings)
                .collect::<Vec<_>>()
        };
        let (before_open, after_open) = (open(before), open(after));
        // What differs comes first: there may be more than is asked about.
        let differs = |one: &Opening, others: &[Opening]| !others.contains(one);
        let mut openings: Vec<Opening> = Vec::new();
        for (all, others) in [(&after_open, &before_open), (&before_open, &after_open)] {
            openings.extend(all.iter().filter(|it| differs(it, others)).cloned());
        }
        openings.extend(after_open.into_iter().filter(|it| before_open.contains(it)));
        let mut nets: Vec<IpNet> = Vec::new();
        for opening in &openings {
            let (ranges, except): (&[IpNet], &[IpNet]) = match &opening.reach {
                Reach::Addresses { nets, except, .. } | Reach::Fqdns { nets, except, .. } => {
                    (nets, except)
                }
                Reach::ApiServer(nets) => (nets, &[]),
                Reach::LandingZone { .. } | Reach::Namespaces { .. } => (&[], &[]),
            };
            nets.extend(ranges.iter().chain(except));
        }
        nets.truncate(MOST_NETS);
        let mut peers = BTreeSet::new();
        for side in [before, after] {
            if let Some(zone) = side.zone(name) {
                peers.extend(side.estate.neighbours(zone).into_iter().cloned());
            }
        }
        Self {
            name,
            openings,
            nets,
            peers,
        }
    }

    /// What was reached before, to compare with: zones that were not there are taken to have had what the
    /// platform opens for everybody.
    pub fn baseline(&self, reached: &Reached, before: &Asked<'_>, after: &Asked<'_>) -> Reached {
        let mut all = reached.clone();
        let known = before
            .zone(self.name)
            .map(extent::layers)
            .unwrap_or_default();
        if let Some(zone) = after.zone(self.name)
            && extent::layers(zone).iter().any(|it| !known.contains(it))
        {
            let bare = bare(zone);
            let granted = self.asked(before, &bare, &before.render(&bare));
            let granted = granted.into_iter();
            all.extend(granted.filter(|((pods, ..), _)| !known.contains(&pods.layer)));
        }
        all
    }

    /// What a landing zone reaches on one side, and who reaches it.
    pub fn reached(&self, side: &Asked<'_>) -> Reached {
        side.zone(self.name)
            .map(|zone| self.asked(side, zone, &side.rendered(zone)))
            .unwrap_or_default()
    }

    fn asked(&self, side: &Asked<'_>, zone: &LandingZone, own: &Rendered) -> Reached {
        let mut reached = Reached::new();
        let mut cluster = Cluster::new(side, own.policies.clone());
        cluster.add_zone(zone, &own.namespaces, &self.labels_here());
        cluster.add_outsiders(&self.openings);
        ask(&cluster, &self.outside(&cluster), &mut reached);
        let is_open = |it: &LandingZone| it.stage == Stage::Observe;
        let counts = side.by_stage.contains(self.name) && is_open(zone);
        // Where neither side denies anything, no declaration is needed, and no packet has to be sent to know it.
        let others = side.estate.zones.values().copied();
        let open = others.filter(|it| counts && is_open(it) && it.name != *self.name);
        let open: BTreeMap<&LandingZoneName, &LandingZone> =
            open.map(|it| (&it.name, it)).collect();
        for there in open.values() {
            all_between(zone, there, &mut reached);
        }
        for peer in self.peers.iter().filter(|it| !open.contains_key(it)) {
            let Some(there) = side.zone(peer) else {
                continue;
            };
            let theirs = side.rendered(there);
            let both = own.policies.iter().chain(&theirs.policies).cloned();
            let mut cluster = Cluster::new(side, both.collect());
            cluster.add_zone(zone, &own.namespaces, &self.labels_here());
            let there = cluster.add_zone(there, &theirs.namespaces, &self.labels_there(peer));
            let ports = self
                .ports(|reach| matches!(reach, Reach::LandingZone { name, .. } if name == peer));
            let places = there.into_iter().map(|(pods, index)| Probe {
                who: Outsider::LandingZone(peer.clone(), pods),
                place: Spot::Pod(index),
                pieces: ports.clone(),
            });
            ask(&cluster, &places.collect::<Vec<_>>(), &mut reached);
        }
        reached
    }

    /// The sets of labels that something open names here.
    fn labels_here(&self) -> BTreeSet<LabelMap> {
        let named = self.openings.iter().map(|it| it.own.pod_labels.clone());
        named.chain([LabelMap::new()]).collect()
    }

    fn labels_there(&self, peer: &LandingZoneName) -> BTreeSet<LabelMap> {
        let named = self.openings.iter().filter_map(|it| match &it.reach {
            Reach::LandingZone { name, end } if name == peer => Some(end.pod_labels.clone()),
            _ => None,
        });
        named.chain([LabelMap::new()]).collect()
    }

    /// All ports, in pieces that no policy about such an outsider tells apart.
    fn ports(&self, is_meant: impl Fn(&Reach) -> bool) -> Vec<(u128, u128)> {
        let meant = self.openings.iter().filter(|it| is_meant(&it.reach));
        let mut known: Vec<Spans> = meant.map(|it| spans::ports(&it.ports)).collect();
        known.dedup();
        spans::all_ports().pieces(&known)
    }

    fn outside(&self, cluster: &Cluster<'_>) -> Vec<Probe> {
        let mut probes = Vec::new();
        for (who, index) in &cluster.outsiders {
            let pieces = match who {
                Outsider::Foreign(namespaces, pods) => self.ports(|reach| {
                    matches!(reach, Reach::Namespaces { namespace_labels, pod_labels }
                        if namespace_labels == namespaces && pod_labels == pods)
                }),
                _ => self.ports(|_| false),
            };
            let place = Spot::Pod(*index);
            let who = who.clone();
            probes.push(Probe { who, place, pieces });
        }
        let at = |who, address, pieces| Probe {
            who,
            place: Spot::Address(address),
            pieces,
        };
        let https = Spans::of([(
            u128::from(names::API_SERVER_PORT),
            u128::from(names::API_SERVER_PORT),
        )]);
        probes.push(at(
            Outsider::ApiServer,
            API_SERVER.into(),
            spans::all_ports().pieces([&https]),
        ));
        let candidates = ELSEWHERE
            .iter()
            .filter_map(|text| text.parse::<IpAddr>().ok());
        let mut free = candidates.filter(|it| !self.nets.iter().any(|net| net.contains(it)));
        if let Some(address) = free.next() {
            probes.push(at(Outsider::Elsewhere, address, self.ports(|_| false)));
        }
        for is_v6 in [false, true] {
            let ranges: Vec<Spans> = self
                .nets
                .iter()
                .map(|net| spans::addresses(&[*net], is_v6))
                .collect();
            let all = Spans::of(ranges.iter().flat_map(Spans::iter));
            for (first, last) in all.pieces(&ranges) {
                let Some(address) = address(first, is_v6) else {
                    continue;
                };
                let pieces = self.ports(|reach| match reach {
                    Reach::Addresses { nets, .. } | Reach::Fqdns { nets, .. } => {
                        nets.iter().any(|net| net.contains(&address))
                    }
                    _ => false,
                });
                // Addresses of the API server are open on its port.
                let pieces = pieces
                    .into_iter()
                    .flat_map(|piece| Spans::of([piece]).pieces([&https]));
                let who = Outsider::Addresses(is_v6, first, last);
                probes.push(at(who, address, pieces.collect()));
            }
        }
        probes
    }

    /// The ranges that declarations name, for words.
    pub fn nets(&self) -> &[IpNet] {
        &self.nets
    }
}

/// All pods of one landing zone reach all of another one, and are reached by them.
fn all_between(own: &LandingZone, there: &LandingZone, reached: &mut Reached) {
    let all = |zone: &LandingZone| -> Vec<Pods> {
        let layers = extent::layers(zone).into_iter();
        let pods = layers.map(|layer| Pods {
            layer: layer.clone(),
            labels: LabelMap::new(),
        });
        pods.collect()
    };
    let theirs = all(there);
    for pods in all(own) {
        for other in &theirs {
            for direction in [CrossingDirection::Egress, CrossingDirection::Ingress] {
                let other = Outsider::LandingZone(there.name.clone(), other.clone());
                reached.insert((pods.clone(), direction, other), spans::all_ports());
            }
        }
    }
}

/// Sends one packet for each piece of ports, both ways.
fn ask(cluster: &Cluster<'_>, probes: &[Probe], reached: &mut Reached) {
    let world = &cluster.world;
    for (pods, index) in &cluster.own {
        let Some(own) = world.endpoints.get(*index).map(Place::Pod) else {
            continue;
        };
        for probe in probes {
            let (far, is_v6) = match probe.place {
                Spot::Pod(index) => (world.endpoints.get(index).map(Place::Pod), false),
                Spot::Address(address) => (Some(Place::Address(address)), address.is_ipv6()),
            };
            let Some(far) = far else {
                continue;
            };
            for (direction, from, to) in [
                (CrossingDirection::Egress, own, far),
                (CrossingDirection::Ingress, far, own),
            ] {
                let is_open = |number| {
                    let (protocol, port) = spans::packet(number, is_v6);
                    let packet = Packet {
                        protocol,
                        source_port: 40_000,
                        port,
                    };
                    let verdict = world.verdict(from, to, packet);
                    verdict.is_some_and(|it| it.is_allowed())
                };
                let pieces = probe.pieces.iter().copied();
                let open = Spans::of(pieces.filter(|(first, _)| is_open(*first)));
                if !open.is_empty() {
                    let key = (pods.clone(), direction, probe.who.clone());
                    reached.insert(key, open);
                }
            }
        }
    }
}

/// What of `after` is not in `before`.
pub(super) fn growth(before: &Reached, after: &Reached) -> Reached {
    let mut grown = Reached::new();
    for (key, ports) in after {
        let more = match before.get(key) {
            Some(known) => ports.without(known),
            None => ports.clone(),
        };
        if !more.is_empty() {
            grown.insert(key.clone(), more);
        }
    }
    grown
}

/// Who is asked about, where it is, and the pieces of ports.
struct Probe {
    who: Outsider,
    place: Spot,
    pieces: Vec<(u128, u128)>,
}

#[derive(Clone, Copy)]
enum Spot {
    /// Index of an endpoint.
    Pod(usize),
    Address(IpAddr),
}
