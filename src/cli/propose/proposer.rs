//! From packets to the entries that would let them pass.
//!
//! Each entry has one port, and so depends on nothing but its own packets: a longer log adds entries
//! and renames none.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use super::declared::{Cover, Declared, List};
use super::inventory::{Claim, End, Inventory};
use super::proposal::{
    Ask, Covered, Example, LandingZoneProposals, ListLengths, Observed, Proposal, Proposals,
    SharedServiceProposal, SourceKind, Undeclarable,
};
use super::tally::{Group, Key, Tallied, Target};
use crate::api::{Protocol, RangeAcknowledgement, names};
use crate::review::declare::Names;
use crate::review::declare::{Direction, Entry, MAX_CIDRS, Peer, Port, ServicePeer, SharedService};

const PORTLESS: &str = "it has no ports that an entry could name; an entry without ports takes it, \
    and everything else";
const UNLABELLED: &str = "a flow inside a zone selects pods by label, and these have none of \
    app.kubernetes.io/name, app.kubernetes.io/component, app, k8s-app and name";

/// Proposes entries for all packets that no declaration lets pass.
#[must_use]
pub fn propose(tallied: &Tallied, declared: &Declared<'_>, inventory: &Inventory) -> Proposals {
    let mut proposer = Proposer::new(declared);
    for ((landing_zone, cover), packets) in &tallied.covered {
        if let Some(drafts) = proposer.drafts.get_mut(landing_zone.as_str()) {
            drafts.proposals.covered.push(covered(cover, *packets));
        }
    }
    for (key, group) in &tallied.groups {
        proposer.add(key, group);
    }
    proposer.finish(declared, inventory)
}

struct Proposer<'a> {
    drafts: BTreeMap<&'a str, Drafts>,
    services: BTreeMap<(End, Direction, Protocol, u16), Service>,
}

/// What one landing zone would have to declare, and the names of its lists.
struct Drafts {
    proposals: LandingZoneProposals,
    flows: Names,
    egress: Names,
    ingress: Names,
    asks: BTreeMap<Rc<str>, (SourceKind, Group)>,
}

/// What would have to be a shared service.
#[derive(Default)]
struct Service {
    group: Group,
    landing_zones: Vec<Rc<str>>,
}

impl<'a> Proposer<'a> {
    fn new(declared: &Declared<'a>) -> Self {
        let drafts = declared.landing_zones().map(|landing_zone| {
            let taken = |list| declared.names(landing_zone, list);
            let drafts = Drafts {
                proposals: LandingZoneProposals {
                    landing_zone: landing_zone.to_owned(),
                    declared: ListLengths {
                        flows: taken(List::Flows).len(),
                        shared_services: taken(List::SharedServices).len(),
                        egress: taken(List::Egress).len(),
                        ingress: taken(List::Ingress).len(),
                    },
                    ..LandingZoneProposals::default()
                },
                flows: Names::new(taken(List::Flows)),
                egress: Names::new(taken(List::Egress)),
                ingress: Names::new(taken(List::Ingress)),
                asks: BTreeMap::new(),
            };
            (landing_zone, drafts)
        });
        Self {
            drafts: drafts.collect(),
            services: BTreeMap::new(),
        }
    }

    fn add(&mut self, key: &Key, group: &Group) {
        let target = match key.target {
            Target::Port(protocol, port) => Port::one(protocol, port),
            Target::ApiServer => return self.egress(key, group, Peer::api_server(), None),
            Target::Portless(protocol) => {
                return self.undeclarable(key, group, &protocol.to_string(), PORTLESS);
            }
        };
        let (from, to) = (key.from.landing_zone(), key.to.landing_zone());
        match (from, to, &key.from, &key.to) {
            (Some(from), Some(to), ..) if from == to => self.flow(from, key, group, target),
            (Some(from), Some(to), ..) => self.crossing(from, to, key, group, target),
            (Some(_), None, _, End::Outside) => self.outside(key, group, target),
            (Some(_), None, _, End::Metadata(to)) => self.metadata(key, group, *to, target),
            (Some(_), None, _, End::Destination(name)) => {
                self.egress(key, group, Peer::destination(name), Some(target));
            }
            (Some(own), None, _, End::Service(name)) | (None, Some(own), End::Service(name), _) => {
                self.ask(own, name, source_kind(&key.from), group);
            }
            (Some(own), None, _, peer) => {
                self.service(own, peer, Direction::FromLandingZones, group, target);
            }
            (None, Some(own), peer, _) => {
                self.service(own, peer, Direction::ToLandingZones, group, target);
            }
            (None, None, ..) => {}
        }
    }

    fn flow(&mut self, landing_zone: &str, key: &Key, group: &Group, target: Port) {
        let (from, to) = (Peer::own(&key.from), Peer::own(&key.to));
        if from.zone == to.zone && from.pod_selector.is_none() && to.pod_selector.is_none() {
            return self.undeclarable(key, group, &target.to_string(), UNLABELLED);
        }
        let Some(drafts) = self.drafts.get_mut(landing_zone) else {
            return;
        };
        let words = [words(&key.from), vec!["to"], words(&key.to)].concat();
        let name = give(&mut drafts.flows, words, Some(target));
        let entry = Entry::new(name, from, to, Some(target));
        let observed = observed(SourceKind::Pod, group);
        drafts.proposals.flows.push(Proposal { entry, observed });
    }

    /// Proposes a crossing to each landing zone that does not declare its half: it opens only where
    /// both do.
    fn crossing(&mut self, from: &str, to: &str, key: &Key, group: &Group, target: Port) {
        if group.not_let_out > 0
            && let Some(drafts) = self.drafts.get_mut(from)
        {
            let words = [words(&key.from), vec!["to", to], words(&key.to)].concat();
            let name = give(&mut drafts.egress, words, Some(target));
            let peer = Peer::foreign(&key.to);
            let entry = Entry::new(name, Peer::own(&key.from), peer, Some(target));
            let observed = Observed {
                packets: group.not_let_out,
                ..observed(SourceKind::Pod, group)
            };
            drafts.proposals.egress.push(Proposal { entry, observed });
        }
        if group.not_let_in > 0
            && let Some(drafts) = self.drafts.get_mut(to)
        {
            let from = [vec!["from", from], words(&key.from)].concat();
            let words = [from, vec!["to"], words(&key.to)].concat();
            let name = give(&mut drafts.ingress, words, Some(target));
            let peer = Peer::foreign(&key.from);
            let entry = Entry::new(name, peer, Peer::own(&key.to), Some(target));
            let observed = Observed {
                packets: group.not_let_in,
                ..observed(SourceKind::Pod, group)
            };
            drafts.proposals.ingress.push(Proposal { entry, observed });
        }
    }

    fn outside(&mut self, key: &Key, group: &Group, target: Port) {
        let Some(drafts) = self.sender(key) else {
            return;
        };
        let addresses: Vec<IpAddr> = group.outside.kept.iter().copied().collect();
        for (index, some) in addresses.chunks(MAX_CIDRS).enumerate() {
            let part = (index > 0).then(|| (index + 1).to_string());
            let mut words = [words(&key.from), vec!["to", "outside"]].concat();
            words.extend(part.as_deref());
            drafts.leave(key, group, &words, Peer::outside(some), Some(target));
        }
    }

    /// Proposes a crossing to what the platform has a name for.
    fn egress(&mut self, key: &Key, group: &Group, to: Peer, target: Option<Port>) {
        let name = to.destination.clone();
        let words = [
            words(&key.from),
            vec!["to", name.as_deref().unwrap_or("api-server")],
        ];
        if let Some(drafts) = self.sender(key) {
            drafts.leave(key, group, &words.concat(), to, target);
        }
    }

    /// Proposes what gives out identity tokens apart: nobody shall paste that along with the rest.
    fn metadata(&mut self, key: &Key, group: &Group, to: IpAddr, target: Port) {
        let Some(drafts) = self.sender(key) else {
            return;
        };
        let words = [words(&key.from), vec!["to", "metadata"]].concat();
        let name = give(&mut drafts.egress, words, Some(target));
        let peer = Peer::outside(&[to]);
        let mut entry = Entry::new(name, Peer::own(&key.from), peer, Some(target));
        entry.acknowledge = Some(RangeAcknowledgement::MetadataService);
        let observed = observed(SourceKind::Pod, group);
        drafts
            .proposals
            .to_acknowledge
            .push(Proposal { entry, observed });
    }

    /// What the landing zone that sends would have to declare.
    fn sender(&mut self, key: &Key) -> Option<&mut Drafts> {
        let landing_zone = key.from.landing_zone()?;
        self.drafts.get_mut(&**landing_zone)
    }

    fn ask(&mut self, landing_zone: &str, name: &Rc<str>, kind: SourceKind, group: &Group) {
        if let Some(drafts) = self.drafts.get_mut(landing_zone) {
            let ask = drafts.asks.entry(Rc::clone(name));
            let (_, known) = ask.or_insert_with(|| (kind, Group::default()));
            known.merge(group.clone());
        }
    }

    fn service(
        &mut self,
        landing_zone: &Rc<str>,
        peer: &End,
        direction: Direction,
        group: &Group,
        target: Port,
    ) {
        let key = (peer.clone(), direction, target.protocol, target.port);
        let service = self.services.entry(key).or_default();
        service.group.merge(group.clone());
        if !service.landing_zones.contains(landing_zone) {
            service.landing_zones.push(Rc::clone(landing_zone));
        }
    }

    fn undeclarable(&mut self, key: &Key, group: &Group, what: &str, why: &'static str) {
        let mut landing_zones = vec![key.from.landing_zone(), key.to.landing_zone()];
        landing_zones.dedup();
        for landing_zone in landing_zones.into_iter().flatten() {
            if let Some(drafts) = self.drafts.get_mut(&**landing_zone) {
                drafts.proposals.undeclarable.push(Undeclarable {
                    what: what.to_owned(),
                    from: described(&key.from),
                    to: described(&key.to),
                    why,
                    observed: observed(source_kind(&key.from), group),
                });
            }
        }
    }

    fn finish(mut self, declared: &Declared<'_>, inventory: &Inventory) -> Proposals {
        let mut proposals = Proposals::default();
        let mut names = Names::new(declared.services());
        for ((peer, direction, protocol, port), mut service) in self.services {
            service.landing_zones.sort_unstable();
            let target = Port::one(protocol, port);
            let name = give(&mut names, service_words(&peer, direction), Some(target));
            for landing_zone in &service.landing_zones {
                if let Some(drafts) = self.drafts.get_mut(&**landing_zone) {
                    drafts.proposals.missing_shared_services.push(name.clone());
                }
            }
            let proposal = shared_service(name, &peer, direction, target, &service, inventory);
            proposals.shared_services.push(proposal);
        }
        proposals.landing_zones = self
            .drafts
            .into_values()
            .map(Drafts::finish)
            .filter(|proposals| !proposals.is_empty())
            .collect();
        proposals
    }
}

impl Drafts {
    /// Adds a crossing that leaves all landing zones.
    fn leave(&mut self, key: &Key, group: &Group, words: &[&str], to: Peer, target: Option<Port>) {
        let name = give(&mut self.egress, words.to_vec(), target);
        let entry = Entry::new(name, Peer::own(&key.from), to, target);
        let observed = observed(SourceKind::Pod, group);
        self.proposals.egress.push(Proposal { entry, observed });
    }

    fn finish(mut self) -> LandingZoneProposals {
        let asks = self.asks.into_iter().map(|(name, (kind, group))| Ask {
            name: name.to_string(),
            observed: observed(kind, &group),
        });
        self.proposals.shared_services.extend(asks);
        self.proposals
    }
}

fn shared_service(
    name: String,
    peer: &End,
    direction: Direction,
    target: Port,
    service: &Service,
    inventory: &Inventory,
) -> SharedServiceProposal {
    let source = match direction {
        Direction::ToLandingZones => source_kind(peer),
        Direction::FromLandingZones => SourceKind::Pod,
    };
    let claim = match peer {
        End::Namespace(namespace) => inventory.claim(namespace),
        _ => None,
    };
    SharedServiceProposal {
        entry: SharedService {
            name,
            peers: ServicePeer::all(peer, &service.group.outside.kept),
            direction,
            ports: vec![target],
            landing_zones: "Declared",
        },
        observed: observed(source, &service.group),
        landing_zones: service
            .landing_zones
            .iter()
            .map(ToString::to_string)
            .collect(),
        doubt: claim.map(doubt),
    }
}

fn covered(cover: &Cover, packets: u64) -> Covered {
    let by = match cover {
        Cover::Dns => "the cluster's DNS".to_owned(),
        Cover::IntraZone => "intraZone: Allow".to_owned(),
        Cover::Flow(name) => format!("flow {name}"),
        Cover::Egress(name) => format!("egress {name}"),
        Cover::SharedService(name) => format!("shared service {name}"),
    };
    Covered { by, packets }
}

fn doubt(claim: &Claim) -> String {
    match claim {
        Claim::Owner(owner) => format!(
            "it carries the label {}: {owner}, but no LandingZone of these files declares it",
            names::OWNER
        ),
        Claim::Code { code, landing_zone } => format!(
            "it carries the application code {code} of landing zone {landing_zone}, which does not \
             declare it"
        ),
    }
}

fn observed(source_kind: SourceKind, group: &Group) -> Observed {
    let (from, to) = group.example.clone().unwrap_or_default();
    Observed {
        packets: group.packets,
        sources: group.senders.kept.len(),
        source_kind,
        more_sources: group.senders.has_more,
        more_addresses: group.outside.has_more,
        example: Example {
            from: from.to_string(),
            to: to.to_string(),
        },
    }
}

fn source_kind(end: &End) -> SourceKind {
    match end {
        End::Zone { .. } | End::Namespace(_) => SourceKind::Pod,
        End::Node => SourceKind::Node,
        End::Metadata(_)
        | End::ApiServer
        | End::Destination(_)
        | End::Service(_)
        | End::Outside => SourceKind::Address,
    }
}

/// What a zone, and its pods where not all are meant, are called in names.
fn words(end: &End) -> Vec<&str> {
    match end {
        End::Zone { zone, pods, .. } => {
            let labels = pods.iter().flatten().map(|(_, value)| value.as_str());
            std::iter::once(&**zone).chain(labels).collect()
        }
        _ => Vec::new(),
    }
}

fn service_words(peer: &End, direction: Direction) -> Vec<&str> {
    let towards = match direction {
        Direction::ToLandingZones => "from",
        Direction::FromLandingZones => "to",
    };
    let who = match peer {
        End::Namespace(namespace) => namespace,
        End::Node => "nodes",
        _ => "outside",
    };
    vec![towards, who]
}

/// Names an entry by words and its port; TCP is meant where no protocol stands.
fn give(names: &mut Names, words: Vec<&str>, target: Option<Port>) -> String {
    let Some(Port { protocol, port, .. }) = target else {
        return names.give(&words);
    };
    let port = port.to_string();
    let protocol = match protocol {
        Protocol::TCP => None,
        Protocol::UDP => Some("udp"),
        Protocol::SCTP => Some("sctp"),
    };
    let words: Vec<&str> = words.into_iter().chain([&*port]).chain(protocol).collect();
    names.give(&words)
}

/// An end, for people.
fn described(end: &End) -> String {
    match end {
        End::Zone {
            landing_zone, zone, ..
        } => format!("zone {zone} of {landing_zone}"),
        End::Namespace(namespace) => format!("namespace {namespace}"),
        End::Node => "nodes".to_owned(),
        End::Metadata(address) => address.to_string(),
        End::ApiServer => "the API server".to_owned(),
        End::Destination(name) => format!("destination {name}"),
        End::Service(name) => format!("shared service {name}"),
        End::Outside => "outside".to_owned(),
    }
}

#[cfg(test)]
mod tests;
