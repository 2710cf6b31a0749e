//! Whom the ends of rules mean, of all members at once.

use std::collections::{BTreeSet, HashMap};

use ipnet::IpNet;

use super::label_index::LabelIndex;
use super::lanes::{Bits, Lanes, Matching};
use super::member::{Member, everywhere, without};
use crate::policy::model::{PolicyRule, RuleEnd, TransportProtocol};
use crate::policy::{Selector, World};

/// All that one end of a rule says but for its ports; ends that say the same are judged once.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Said<'a> {
    selector: Option<&'a Selector>,
    not_selector: Option<&'a Selector>,
    nets: Option<&'a [IpNet]>,
    not_nets: &'a [IpNet],
    version: Option<u8>,
    /// As a source: by its addresses alone.
    service: Option<&'a (String, String)>,
}

/// Where ends that say the same are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndId(usize);

/// Who answers for a service: a member, whether all of it, and on which port. No port: on all of them.
pub(super) type Answering = (usize, bool, Option<(TransportProtocol, u16)>);

/// Ends of rules, judged.
pub(super) struct RuleEnds<'a> {
    world: &'a World,
    members: &'a [Member],
    labels: LabelIndex<'a>,
    /// Members with the same ranges of addresses together.
    profiles: Vec<(&'a [IpNet], Bits)>,
    /// Members that policies apply to.
    pub pods: Bits,
    known: HashMap<Said<'a>, EndId>,
    ends: Vec<Matching<Bits>>,
    services: HashMap<&'a (String, String), Vec<Answering>>,
}

impl<'a> RuleEnds<'a> {
    pub fn new(world: &'a World, members: &'a [Member]) -> Self {
        let length = members.len() + world.sets.len();
        let mut pods = Bits::none(length);
        let mut profiles: HashMap<&[IpNet], Bits> = HashMap::new();
        for (at, member) in members.iter().enumerate() {
            if member.known().is_some() {
                pods.insert(at);
            }
            let profile = profiles
                .entry(&member.addresses)
                .or_insert_with(|| Bits::none(length));
            profile.insert(at);
        }
        Self {
            world,
            members,
            labels: LabelIndex::new(members, &world.sets),
            profiles: profiles.into_iter().collect(),
            pods,
            known: HashMap::new(),
            ends: Vec::new(),
            services: HashMap::new(),
        }
    }

    /// How many conditions were looked up, and how many distinct ends there are.
    pub fn work(&self) -> (usize, usize) {
        (self.labels.looked_up.get(), self.ends.len())
    }

    fn length(&self) -> usize {
        self.members.len() + self.world.sets.len()
    }

    /// Whom the selector of a policy selects.
    pub fn selected(&self, selector: &Selector) -> Matching<Bits> {
        let mut selected = self.labels.selected(selector);
        selected.and(&Matching::exactly(self.pods.clone()));
        selected
    }

    pub fn get(&self, id: EndId) -> Option<&Matching<Bits>> {
        self.ends.get(id.0)
    }

    /// Who answers for a service that a rule named.
    pub fn answering(&self, service: &(String, String)) -> &[Answering] {
        self.services.get(service).map_or(&[], Vec::as_slice)
    }

    /// Judges both ends of a rule.
    pub fn judge(&mut self, rule: &'a PolicyRule) -> (EndId, EndId) {
        for service in [&rule.source.service, &rule.destination.service] {
            if let Some(service) = service
                && !self.services.contains_key(service)
            {
                let answering = self.answer(service);
                self.services.insert(service, answering);
            }
        }
        let said = |end: &'a RuleEnd, service: Option<&'a (String, String)>| Said {
            selector: end.selector.as_ref(),
            not_selector: end.not_selector.as_ref(),
            nets: end.nets.as_deref(),
            not_nets: &end.not_nets,
            version: rule.ip_version,
            service,
        };
        let source = said(&rule.source, rule.source.service.as_ref());
        let destination = said(&rule.destination, None);
        (self.end(source), self.end(destination))
    }

    fn end(&mut self, said: Said<'a>) -> EndId {
        if let Some(id) = self.known.get(&said) {
            return *id;
        }
        let id = EndId(self.ends.len());
        let judged = self.judged(&said);
        self.ends.push(judged);
        self.known.insert(said, id);
        id
    }

    fn judged(&self, said: &Said<'a>) -> Matching<Bits> {
        let mut judged = match (said.selector, said.not_selector) {
            (None, None) => Matching::all(self.length()),
            (Some(selector), None) => self.meant(self.labels.selected(selector)),
            (Some(selector), Some(not)) => {
                let mut both = self.labels.selected(selector);
                both.and(&self.labels.selected(not).not());
                self.meant(both)
            }
            (None, Some(not)) => self.meant(self.labels.selected(not)).not(),
        };
        if let Some(nets) = said.nets {
            judged.and(&self.within(nets));
        }
        if !said.not_nets.is_empty() {
            judged.and(&self.within(said.not_nets).not());
        }
        let family = match said.version {
            Some(4) => everywhere().first().copied(),
            Some(6) => everywhere().last().copied(),
            _ => None,
        };
        if let Some(family) = family {
            judged.and(&self.within(&[family]));
        }
        if let Some(service) = said.service {
            let mut answering = Matching::none(self.length());
            for (at, surely, _) in self.answering(service) {
                answering.perhaps.insert(*at);
                if *surely {
                    answering.surely.insert(*at);
                }
            }
            judged.and(&answering);
        }
        let members = Bits::first(self.members.len(), self.length());
        judged.and(&Matching::exactly(members));
        judged
    }

    /// Whom a selector means by its address: pods that it selects, and whatever is in a network set that it selects.
    fn meant(&self, selected: Matching<Bits>) -> Matching<Bits> {
        let first = self.members.len();
        let sets = self.world.sets.iter().enumerate();
        let sets = sets.filter(|(at, _)| selected.perhaps.has(first + at));
        let nets: Vec<_> = sets.map(|(_, set)| set.nets.as_slice()).collect();
        let mut meant = selected;
        meant.and(&Matching::exactly(self.pods.clone()));
        for nets in nets {
            meant.or(&self.within(nets));
        }
        meant
    }

    /// Whose addresses lie in some ranges.
    fn within(&self, nets: &[IpNet]) -> Matching<Bits> {
        let mut within = Matching::none(self.length());
        for (addresses, members) in &self.profiles {
            let overlaps = |range: &IpNet| {
                nets.iter()
                    .any(|net| net.contains(range) || range.contains(net))
            };
            if addresses.iter().any(overlaps) {
                within.perhaps.or(members);
                if without(addresses, nets).is_empty() {
                    within.surely.or(members);
                }
            }
        }
        within
    }

    /// Who answers for a service: those that are said to, and whoever has the address of an endpoint. Of a service
    /// without known endpoints, whatever lies in its namespace may, on the ports that are said.
    fn answer(&self, service: &(String, String)) -> Vec<Answering> {
        let mut answering = Vec::new();
        let endpoints = self.world.services.get(service);
        let serving = self.members.iter().flat_map(|it| &it.serves);
        let serving = serving.filter(|(it, _)| it == service);
        let serving: BTreeSet<_> = serving.flat_map(|(_, ports)| ports).copied().collect();
        for (at, member) in self.members.iter().enumerate() {
            if let Some((_, ports)) = member.serves.iter().find(|(it, _)| it == service) {
                if ports.is_empty() {
                    answering.push((at, true, None));
                }
                answering.extend(ports.iter().map(|port| (at, true, Some(*port))));
                continue;
            }
            let namespace = member.known().map(|known| known.namespace.as_deref());
            let may_lie_there = match namespace {
                Some(Some(name)) => name == service.0,
                Some(None) => true,
                None => false,
            };
            let Some(endpoints) = endpoints else {
                if may_lie_there && serving.is_empty() {
                    answering.push((at, false, None));
                } else if may_lie_there {
                    answering.extend(serving.iter().map(|port| (at, false, Some(*port))));
                }
                continue;
            };
            for (address, protocol, port) in endpoints {
                let is_in = |range: &IpNet| range.contains(address);
                let has_it = member.addresses.iter().any(is_in);
                let owner = self.world.endpoints.iter();
                let mut owner = owner.filter(|it| it.addresses.contains(address));
                // Two pods never have one address.
                let may_be = owner.next().is_none_or(|owner| {
                    namespace.is_some_and(|it| it.is_none_or(|name| name == owner.namespace))
                });
                if has_it && may_be {
                    let is_all = member
                        .addresses
                        .iter()
                        .all(|it| *it == IpNet::from(*address));
                    answering.push((at, is_all, Some((*protocol, *port))));
                }
            }
        }
        answering
    }
}
