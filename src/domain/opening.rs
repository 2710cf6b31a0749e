//! What is open across the boundary of a landing zone: what both sides declare, or the platform does.

#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use jiff::ToSpan;
use jiff::civil::Date;

use super::address::{all_addresses, metadata_addresses, not_on_the_internet, overlap};
use super::{
    Crossing, CrossingEnd, Flavour, Fqdn, LandingZone, LandingZoneName, NamespaceName, Peer,
    Platform, PolicyApi, PortRange, ServicePeer, SharedService, Zone, shared_ports,
};
use crate::api::{
    CrossingDirection, CrossingState, CrossingStatus, ExpiredCrossings, Protocol,
    RangeAcknowledgement, ServiceAudience, ServiceDirection, rule,
};

/// How long before its end a crossing is warned of, in days.
const WARNED_AHEAD: i64 = 30;
/// The most that a status lists.
const LISTED: usize = 200;
/// The most that it says about one of them, in characters.
const SAID: usize = 1000;

/// Traffic across the boundary that is open. Replies pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// Who opens the connection.
    pub direction: CrossingDirection,
    /// Pods of the landing zone.
    pub own: CrossingEnd,
    /// Whom they reach, or who reaches them.
    pub reach: Reach,
    /// Destination ports; empty: all ports of all protocols.
    pub ports: Vec<PortRange>,
}

/// All that is open across the boundary of a landing zone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Openings {
    /// What the platform opens, for all pods of the landing zone.
    pub services: Vec<Opening>,
    /// What is declared, by name.
    pub crossings: Vec<Opening>,
    /// Namespaces that bear the label of this landing zone, or of one that something is open to, and belong to
    /// neither: by their label they would count as its own, so they are closed by name.
    pub pretenders: BTreeSet<NamespaceName>,
}

impl Openings {
    /// The landing zones that something is open to.
    pub fn landing_zones(&self) -> impl Iterator<Item = &LandingZoneName> {
        self.crossings.iter().filter_map(|it| match &it.reach {
            Reach::LandingZone { name, .. } => Some(name),
            _ => None,
        })
    }

    /// What is declared for pods of a zone.
    pub fn crossings_of<'a>(&'a self, zone: &'a Zone) -> impl Iterator<Item = &'a Opening> {
        let own = move |it: &&Opening| it.own.zone.as_ref().is_none_or(|own| own == zone);
        self.crossings.iter().filter(own)
    }
}

/// The outer end of an [`Opening`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reach {
    /// Pods of another landing zone.
    LandingZone {
        /// Its name.
        name: LandingZoneName,
        /// Which of its pods.
        end: CrossingEnd,
    },
    /// Pods in namespaces of no landing zone.
    Namespaces {
        /// Labels of the namespaces; never empty.
        namespace_labels: BTreeMap<String, String>,
        /// Labels of the pods; empty: all pods.
        pod_labels: BTreeMap<String, String>,
    },
    /// Addresses.
    Addresses {
        /// Ranges; never empty.
        nets: Vec<IpNet>,
        /// Ranges within them that stay closed.
        except: Vec<IpNet>,
        /// Whether pods that have such an address are left out, by what they are. Not where no pod can
        /// have one: whoever forges what a pod is known by could close it.
        without_pods: bool,
    },
    /// Names on the internet. Policies let everything out that is on the internet, and a firewall on the way
    /// matches the names.
    Fqdns {
        /// The name of the crossing, by which its rule is called.
        crossing: String,
        /// Names; never empty.
        names: BTreeSet<Fqdn>,
        /// Ranges in which the internet lies; never empty.
        nets: Vec<IpNet>,
        /// Ranges within them that are somewhere else.
        except: Vec<IpNet>,
        /// As with addresses.
        without_pods: bool,
    },
    /// The API server: the endpoints of the Service default/kubernetes, and these addresses.
    ApiServer(Vec<IpNet>),
}

/// The port of names where nobody says which.
const HTTPS: PortRange = PortRange {
    protocol: Protocol::TCP,
    first: 443,
    last: 443,
};

/// Another landing zone, seen from one that it has to do with.
#[derive(Clone, Debug)]
pub enum Neighbour {
    /// What it declares holds.
    InForce(Box<LandingZone>),
    /// Nothing about it changes, and why: it is planned only, suspended, or its declaration is not
    /// valid. What was open stays open, nothing opens.
    AsBefore(&'static str),
    /// It is being deleted: nothing of it holds.
    Leaving,
}

/// What decides about the crossings of a landing zone besides its own declaration.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// What holds for the whole cluster.
    pub platform: &'a Platform,
    /// The form of policies: not all can open everything.
    pub flavour: Flavour,
    /// The day, in UTC.
    pub today: Date,
    /// Every landing zone that it names or that names it; one that is missing does not exist.
    pub neighbours: BTreeMap<LandingZoneName, Neighbour>,
    /// What was open to other landing zones, as it was told last.
    pub before: Vec<Opening>,
    /// Ranges that other landing zones open, too, with their names.
    pub shared_ranges: BTreeMap<IpNet, BTreeSet<String>>,
}

/// What became of all crossings of a landing zone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// What is open, by name.
    pub openings: Openings,
    /// Each crossing and shared service, with what became of it.
    pub crossings: Vec<CrossingStatus>,
    /// The next day on which this changes by itself.
    pub next_change: Option<Date>,
}

/// Finds out what is open across the boundary of `zone`.
#[must_use]
pub fn resolve(zone: &LandingZone, surroundings: &Surroundings<'_>) -> Resolved {
    let mut boundary = Boundary {
        zone,
        around: surroundings,
        resolved: Resolved::default(),
    };
    boundary.shared_services();
    for crossing in by_name(&zone.network.crossings) {
        boundary.crossing(crossing);
    }
    boundary.wanted();
    boundary.resolved.crossings.truncate(LISTED);
    boundary.resolved
}

/// The order of a declaration means nothing.
fn by_name(crossings: &[Crossing]) -> Vec<&Crossing> {
    let mut sorted: Vec<&Crossing> = crossings.iter().collect();
    sorted.sort_by_key(|crossing| (crossing.direction, &crossing.name));
    sorted
}

struct Boundary<'a> {
    zone: &'a LandingZone,
    around: &'a Surroundings<'a>,
    resolved: Resolved,
}

/// What became of one crossing.
struct Verdict {
    state: CrossingState,
    openings: Vec<Opening>,
    remarks: Vec<String>,
}

impl Verdict {
    fn closed(state: CrossingState, why: String) -> Self {
        Self {
            state,
            openings: Vec::new(),
            remarks: vec![why],
        }
    }

    fn open(openings: Vec<Opening>) -> Self {
        Self {
            state: CrossingState::Open,
            openings,
            remarks: Vec::new(),
        }
    }
}

impl Boundary<'_> {
    fn shared_services(&mut self) {
        let asked = &self.zone.network.shared_services;
        let mut known: Vec<_> = self.around.platform.shared_services.iter().collect();
        known.sort_by_key(|service| &service.name);
        for service in &known {
            let is_meant =
                service.landing_zones == ServiceAudience::All || asked.contains(&service.name);
            if is_meant {
                let verdict = self.shared_service(service);
                let peer = format!("shared service {}", service.name);
                self.tell(None, &service.name, peer, None, verdict);
            }
        }
        for name in asked {
            if !known.iter().any(|service| service.name == *name) {
                let verdict = Verdict::closed(
                    CrossingState::NoSuchPeer,
                    words::no_such(
                        "shared service",
                        name,
                        known.iter().map(|service| service.name.as_str()),
                    ),
                );
                self.tell(None, name, format!("shared service {name}"), None, verdict);
            }
        }
    }

    fn shared_service(&self, service: &SharedService) -> Verdict {
        let nodes = &self.around.platform.node_cidrs;
        let addresses = |nets: &[IpNet]| Reach::Addresses {
            nets: nets.to_vec(),
            except: Vec::new(),
            without_pods: self.may_be_pods(nets),
        };
        let outwards = |nets: &[IpNet]| Reach::Addresses {
            nets: nets.to_vec(),
            except: self.not_meant(nets),
            without_pods: self.may_be_pods(nets),
        };
        let mut verdict = Verdict::open(Vec::new());
        for peer in &service.peers {
            let reach = match peer {
                ServicePeer::Pods {
                    namespace_labels,
                    pod_labels,
                } => Reach::Namespaces {
                    namespace_labels: namespace_labels.clone(),
                    pod_labels: pod_labels.clone(),
                },
                ServicePeer::Addresses(nets) => addresses(nets),
                ServicePeer::Nodes if nodes.is_empty() => {
                    verdict.remarks.push(rule::NODES_UNKNOWN.to_owned());
                    continue;
                }
                ServicePeer::Nodes => addresses(nodes),
            };
            let directions: &[CrossingDirection] = match service.direction {
                ServiceDirection::ToLandingZones => &[CrossingDirection::Ingress],
                ServiceDirection::FromLandingZones => &[CrossingDirection::Egress],
                ServiceDirection::Both => &[CrossingDirection::Ingress, CrossingDirection::Egress],
            };
            for direction in directions {
                let reach = match (peer, direction) {
                    (ServicePeer::Addresses(nets), CrossingDirection::Egress) => outwards(nets),
                    _ => reach.clone(),
                };
                verdict.openings.push(Opening {
                    direction: *direction,
                    own: CrossingEnd::default(),
                    reach,
                    ports: service.ports.clone(),
                });
            }
        }
        if verdict.openings.is_empty() {
            verdict.state = CrossingState::Unsupported;
        }
        verdict
    }

    fn crossing(&mut self, crossing: &Crossing) {
        let mut verdict = if self.is_closed_by_date(crossing) {
            Verdict::closed(CrossingState::Expired, words::expired(crossing, true))
        } else {
            match &crossing.peer {
                Peer::LandingZone { name, end } => self.to_landing_zone(crossing, name, end),
                Peer::Addresses { cidrs, except } => self.to_addresses(crossing, cidrs, except),
                Peer::Fqdns(names) => self.to_fqdns(crossing, names),
                Peer::Destination(name) => self.to_destination(crossing, name),
                Peer::ApiServer => self.to_api_server(crossing),
            }
        };
        if verdict.state == CrossingState::Open {
            verdict.remarks.extend(self.ending(crossing));
        }
        self.await_days(crossing);
        let peer = words::peer(&crossing.peer, self.around.platform);
        self.tell(
            Some(crossing.direction),
            &crossing.name,
            peer,
            crossing.valid_until,
            verdict,
        );
    }

    fn to_landing_zone(
        &self,
        crossing: &Crossing,
        name: &LandingZoneName,
        end: &CrossingEnd,
    ) -> Verdict {
        let neighbour = match self.around.neighbours.get(name) {
            None => {
                let why = format!(
                    "there is no landing zone {name}: it opens when one of this name declares it, \
                     too; correct the name if another one is meant"
                );
                return Verdict::closed(CrossingState::NoSuchPeer, why);
            }
            Some(Neighbour::Leaving) => {
                let why = format!("landing zone {name} is being deleted: it is closed");
                return Verdict::closed(CrossingState::PeerNotInForce, why);
            }
            Some(Neighbour::AsBefore(why)) => return self.as_before(crossing, name, end, why),
            Some(Neighbour::InForce(neighbour)) => neighbour,
        };
        let has_zone = |zone: &Zone| neighbour.namespaces.iter().any(|it| it.zone == *zone);
        if let Some(zone) = end.zone.as_ref().filter(|zone| !has_zone(zone)) {
            let zones: BTreeSet<_> = neighbour.namespaces.iter().map(|it| &it.zone).collect();
            let zones: Vec<_> = zones.iter().map(ToString::to_string).collect();
            let why = format!(
                "landing zone {name} has no zone {zone} (there are {}): correct it",
                zones.join(", ")
            );
            return Verdict::closed(CrossingState::NoSuchPeer, why);
        }
        let theirs = by_name(&neighbour.network.crossings).into_iter();
        let theirs = theirs.filter(|other| !self.is_closed_by_date(other));
        let openings: Vec<_> = theirs
            .clone()
            .filter_map(|other| self.both_declare(crossing, other, name))
            .collect();
        if openings.is_empty() {
            let own = &self.zone.name;
            let mut same_ends = theirs.filter(|other| self.shared(crossing, other, name).is_some());
            let why = match same_ends.next() {
                Some(other) => words::other_ports_there(own, name, crossing, other),
                None => words::declare_there(own, name, crossing),
            };
            return Verdict::closed(CrossingState::DeclaredHere, why);
        }
        Verdict::open(openings)
    }

    /// What two declarations open, where they mean the same traffic.
    fn both_declare(
        &self,
        own: &Crossing,
        other: &Crossing,
        other_zone: &LandingZoneName,
    ) -> Option<Opening> {
        let (own_end, end) = self.shared(own, other, other_zone)?;
        Some(Opening {
            direction: own.direction,
            own: own_end,
            reach: Reach::LandingZone {
                name: other_zone.clone(),
                end,
            },
            ports: shared_ports(&own.ports, &other.ports)?,
        })
    }

    /// The ends that two declarations share, here and there, where they mean traffic between the same
    /// pods in the same direction, on whatever ports.
    fn shared(
        &self,
        own: &Crossing,
        other: &Crossing,
        other_zone: &LandingZoneName,
    ) -> Option<(CrossingEnd, CrossingEnd)> {
        let (
            Peer::LandingZone { name, end: towards },
            Peer::LandingZone {
                name: back,
                end: from,
            },
        ) = (&own.peer, &other.peer)
        else {
            return None;
        };
        if name != other_zone || *back != self.zone.name || own.direction == other.direction {
            return None;
        }
        let own_end = own.own.shared(from).filter(selectable)?;
        let has_zone = |zone: &Zone| self.zone.namespaces.iter().any(|it| it.zone == *zone);
        if own_end.zone.as_ref().is_some_and(|zone| !has_zone(zone)) {
            return None;
        }
        let end = towards.shared(&other.own).filter(selectable)?;
        Some((own_end, end))
    }

    /// What was open stays open as far as it is still declared here.
    fn as_before(
        &self,
        crossing: &Crossing,
        name: &LandingZoneName,
        end: &CrossingEnd,
        why: &str,
    ) -> Verdict {
        let narrowed = |before: &Opening| {
            let Reach::LandingZone {
                name: reached,
                end: known,
            } = &before.reach
            else {
                return None;
            };
            if reached != name || before.direction != crossing.direction {
                return None;
            }
            Some(Opening {
                direction: before.direction,
                own: crossing.own.shared(&before.own).filter(selectable)?,
                reach: Reach::LandingZone {
                    name: name.clone(),
                    end: end.shared(known).filter(selectable)?,
                },
                ports: shared_ports(&crossing.ports, &before.ports)?,
            })
        };
        let openings: Vec<_> = self.around.before.iter().filter_map(narrowed).collect();
        let why = format!(
            "landing zone {name} {why}: what was open stays open, and nothing opens until that changes"
        );
        if openings.is_empty() {
            return Verdict::closed(CrossingState::PeerNotInForce, why);
        }
        Verdict {
            remarks: vec![why],
            ..Verdict::open(openings)
        }
    }

    fn to_addresses(&self, crossing: &Crossing, cidrs: &[IpNet], except: &[IpNet]) -> Verdict {
        let platform = self.around.platform;
        let is_acknowledged = |by| crossing.acknowledge == Some(by);
        let mut except = except.to_vec();
        for (ranges, by, what) in [
            (&platform.pod_cidrs, RangeAcknowledgement::PodRange, "pods"),
            (
                &platform.node_cidrs,
                RangeAcknowledgement::NodeRange,
                "nodes",
            ),
        ] {
            if is_acknowledged(by) {
                continue;
            }
            let within = |cidr: &&IpNet| ranges.iter().any(|range| range.contains(*cidr));
            if let Some(cidr) = cidrs.iter().find(within) {
                let why = format!(
                    "{cidr} belongs to the addresses of {what}: name the landing zone instead, or add \
                     acknowledge: {by:?}"
                );
                return Verdict::closed(CrossingState::NotAcknowledged, why);
            }
            except.extend(ranges);
        }
        if !is_acknowledged(RangeAcknowledgement::MetadataService) {
            except.extend(metadata_addresses());
        }
        except.retain(|range| cidrs.iter().any(|cidr| overlap(*cidr, *range)));
        except.sort_unstable();
        except.dedup();
        let opening = Opening {
            direction: crossing.direction,
            own: crossing.own.clone(),
            reach: Reach::Addresses {
                nets: cidrs.to_vec(),
                except,
                // Known ranges of pods are excepted already.
                without_pods: !is_acknowledged(RangeAcknowledgement::PodRange)
                    && platform.pod_cidrs.is_empty(),
            },
            ports: crossing.ports.clone(),
        };
        let mut verdict = Verdict::open(vec![opening]);
        if let Some(by) = crossing.acknowledge {
            verdict.remarks.push(format!("acknowledged: {by:?}"));
        }
        if platform.node_cidrs.is_empty() && cidrs.iter().any(words::may_hold_nodes) {
            verdict.remarks.push(words::NODES_NOT_KNOWN.to_owned());
        }
        verdict.remarks.extend(self.of_services(cidrs));
        for cidr in cidrs {
            if let Some(others) = self.around.shared_ranges.get(cidr) {
                verdict.remarks.push(words::opened_by_others(*cidr, others));
            }
        }
        verdict
    }

    /// Out to the internet, where a firewall on the way matches the names.
    fn to_fqdns(&self, crossing: &Crossing, names: &BTreeSet<Fqdn>) -> Verdict {
        let platform = self.around.platform;
        let azure = platform.azure.as_ref();
        let Some(azure) = azure.filter(|azure| azure.firewall.is_some()) else {
            return Verdict::closed(CrossingState::Unsupported, rule::NO_FIREWALL.to_owned());
        };
        let mut elsewhere = [not_on_the_internet(), metadata_addresses()].concat();
        elsewhere.extend(&azure.virtual_network.cidrs);
        elsewhere.extend(&platform.pod_cidrs);
        elsewhere.extend(&platform.node_cidrs);
        elsewhere.extend(&platform.service_cidrs);
        let internet = all_addresses();
        elsewhere.retain(|range| overlap(internet, *range));
        let mut ports = crossing.ports.clone();
        if ports.is_empty() {
            ports.push(HTTPS);
        }
        let mut verdict = Verdict::open(vec![Opening {
            direction: crossing.direction,
            own: crossing.own.clone(),
            reach: Reach::Fqdns {
                crossing: crossing.name.clone(),
                names: names.clone(),
                nets: vec![internet],
                except: IpNet::aggregate(&elsewhere),
                without_pods: platform.pod_cidrs.is_empty(),
            },
            ports,
        }]);
        if self.zone.azure.subnet.is_none() {
            verdict.remarks.push(words::SHARED_WAY_OUT.to_owned());
        }
        verdict
    }

    /// Nodes and what tells a machine's secrets, where wider ranges of the platform hold them: whoever
    /// means them names them.
    fn not_meant(&self, nets: &[IpNet]) -> Vec<IpNet> {
        let nodes = self.around.platform.node_cidrs.iter().copied();
        let mut all: Vec<IpNet> = metadata_addresses().into_iter().chain(nodes).collect();
        all.retain(|range| {
            let is_meant = nets.iter().any(|net| range.contains(net));
            !is_meant && nets.iter().any(|net| overlap(*net, *range))
        });
        all.sort_unstable();
        all.dedup();
        all
    }

    fn to_destination(&self, crossing: &Crossing, name: &str) -> Verdict {
        let known = &self.around.platform.destinations;
        let Some(destination) = known.iter().find(|it| it.name == name) else {
            let names = known.iter().map(|it| it.name.as_str());
            return Verdict::closed(
                CrossingState::NoSuchPeer,
                words::no_such("destination", name, names),
            );
        };
        let Some(ports) = shared_ports(&crossing.ports, &destination.ports) else {
            let why = format!(
                "destination {name} has other ports ({}): correct them, or leave ports out",
                words::ports(&destination.ports)
            );
            return Verdict::closed(CrossingState::DeclaredHere, why);
        };
        Verdict {
            remarks: self.of_services(&destination.cidrs).collect(),
            ..Verdict::open(vec![Opening {
                direction: crossing.direction,
                own: crossing.own.clone(),
                reach: Reach::Addresses {
                    nets: destination.cidrs.clone(),
                    except: self.not_meant(&destination.cidrs),
                    without_pods: self.may_be_pods(&destination.cidrs),
                },
                ports,
            }])
        }
    }

    /// What to know about ranges that are addresses of Services and nothing else.
    fn of_services(&self, cidrs: &[IpNet]) -> impl Iterator<Item = String> {
        let services = &self.around.platform.service_cidrs;
        let is_service = |cidr: &&IpNet| services.iter().any(|range| range.contains(*cidr));
        let found: Vec<_> = cidrs.iter().filter(is_service).copied().collect();
        found.into_iter().map(words::without_effect)
    }

    fn to_api_server(&self, crossing: &Crossing) -> Verdict {
        let addresses = &self.around.platform.api_server;
        if self.around.flavour.api == PolicyApi::Kubernetes && addresses.is_empty() {
            let why = "Kubernetes policies know the API server by address only: list its addresses in \
                       the platform's network.apiServer";
            return Verdict::closed(CrossingState::Unsupported, why.to_owned());
        }
        Verdict::open(vec![Opening {
            direction: crossing.direction,
            own: crossing.own.clone(),
            reach: Reach::ApiServer(addresses.clone()),
            ports: Vec::new(),
        }])
    }

    /// Whether pods may have some of these addresses.
    fn may_be_pods(&self, nets: &[IpNet]) -> bool {
        let pods = &self.around.platform.pod_cidrs;
        let overlaps = |net: &IpNet| pods.iter().any(|range| overlap(*net, *range));
        pods.is_empty() || nets.iter().any(overlaps)
    }

    /// What other landing zones declare with this one, and this one does not.
    fn wanted(&mut self) {
        for (name, neighbour) in &self.around.neighbours {
            let Neighbour::InForce(neighbour) = neighbour else {
                continue;
            };
            for other in by_name(&neighbour.network.crossings) {
                if other.names() != Some(&self.zone.name) {
                    continue;
                }
                self.await_days(other);
                let own = &self.zone.network.crossings;
                let is_declared = own
                    .iter()
                    .any(|own| self.both_declare(own, other, name).is_some());
                if is_declared || self.is_closed_by_date(other) {
                    continue;
                }
                let same_ends = |own: &&Crossing| self.shared(own, other, name).is_some();
                let why = match by_name(own).into_iter().find(same_ends) {
                    Some(own) => words::other_ports_here(name, own, other),
                    None => words::declare_here(name, other),
                };
                let direction = match other.direction {
                    CrossingDirection::Egress => CrossingDirection::Ingress,
                    CrossingDirection::Ingress => CrossingDirection::Egress,
                };
                let peer = words::landing_zone(name, &other.own);
                let verdict = Verdict::closed(CrossingState::DeclaredThere, why);
                self.tell(Some(direction), &other.name, peer, None, verdict);
            }
        }
    }

    fn tell(
        &mut self,
        direction: Option<CrossingDirection>,
        name: &str,
        peer: String,
        valid_until: Option<Date>,
        verdict: Verdict,
    ) {
        let remarks: String = verdict.remarks.join("; ").chars().take(SAID).collect();
        self.resolved.crossings.push(CrossingStatus {
            direction,
            name: name.to_owned(),
            peer,
            state: verdict.state,
            message: Some(remarks).filter(|text| !text.is_empty()),
            valid_until: valid_until.map(|date| date.to_string()),
            open: words::opened(&verdict.openings),
        });
        let openings = &mut self.resolved.openings;
        if direction.is_some() {
            openings.crossings.extend(verdict.openings);
        } else {
            openings.services.extend(verdict.openings);
        }
    }

    fn is_closed_by_date(&self, crossing: &Crossing) -> bool {
        self.around.platform.expired_crossings == ExpiredCrossings::Close
            && crossing
                .valid_until
                .is_some_and(|last| last < self.around.today)
    }

    fn ending(&self, crossing: &Crossing) -> Option<String> {
        let last = crossing.valid_until?;
        if last < self.around.today {
            return Some(words::expired(crossing, false));
        }
        if warned_from(last) > self.around.today {
            return None;
        }
        let afterwards = match self.around.platform.expired_crossings {
            ExpiredCrossings::Warn => "stays open afterwards, as the platform says",
            ExpiredCrossings::Close => "is closed afterwards, as the platform says",
        };
        Some(format!(
            "its last day is {last}, and it {afterwards}: extend validUntil, or remove the crossing"
        ))
    }

    fn await_days(&mut self, crossing: &Crossing) {
        let Some(last) = crossing.valid_until else {
            return;
        };
        let days = [warned_from(last), last.saturating_add(1.day())];
        let days = days.into_iter().filter(|day| *day > self.around.today);
        let next = days.chain(self.resolved.next_change).min();
        self.resolved.next_change = next;
    }
}

fn warned_from(last: Date) -> Date {
    last.saturating_sub(WARNED_AHEAD.days())
}

/// Whether Calico takes a selector of these pods: two ends that are short enough each may not be so
/// together.
fn selectable(end: &CrossingEnd) -> bool {
    let length: usize = end
        .pod_labels
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    end.pod_labels.len() <= rule::SELECTOR_LABELS && length <= rule::SELECTOR_LENGTH
}
