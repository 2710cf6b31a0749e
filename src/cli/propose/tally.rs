//! Packets, counted by what would have to be declared for them to pass.
//!
//! Memory is bounded whatever the log holds: what is beyond a bound is counted, and said.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use serde::Serialize;

use super::declared::{Cover, Declared, Halves, Judgement, Route};
use super::inventory::{End, Inventory, Located, Unknown};
use super::packet::{Content, IpProtocol, Packet, Sign};
use crate::api::Protocol;

/// Groups of packets that are told apart, and as many connections whose direction is open.
const MAX_GROUPS: usize = 10_000;
/// Senders, and addresses outside, that are told apart in one group.
pub const MAX_MEMBERS: usize = 256;
/// Addresses without a pod that are told apart.
const MAX_UNKNOWN: usize = 10_000;
/// First of the ports that Linux gives to whoever connects without asking for one.
const FIRST_EPHEMERAL: u16 = 32_768;

/// What would have to be declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Who opens the connection.
    pub from: End,
    /// Who is connected to.
    pub to: End,
    /// To which port.
    pub target: Target,
}

/// What is connected to at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A port.
    Port(Protocol, u16),
    /// Whatever the API server's ports are: a declaration does not say them.
    ApiServer,
    /// A protocol that has none.
    Portless(IpProtocol),
}

/// Packets that need the same declaration.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// How many.
    pub packets: u64,
    /// How many of them the landing zone does not let out, which goes for crossings.
    pub not_let_out: u64,
    /// How many of them the landing zone does not let in, which goes for crossings.
    pub not_let_in: u64,
    /// Who sent them.
    pub senders: Members<Rc<str>>,
    /// Addresses at the end that is outside, if one is.
    pub outside: Members<IpAddr>,
    /// Sender and receiver of the first of them.
    pub example: Option<(Rc<str>, Rc<str>)>,
}

/// The first of those that belong to a group.
#[derive(Clone, Debug)]
pub struct Members<T> {
    /// At most [`MAX_MEMBERS`] of them.
    pub kept: BTreeSet<T>,
    /// Whether there were more.
    pub has_more: bool,
}

/// How many packets came to which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Logged by both ends, and counted at the first.
    pub repeated: u64,
    /// They pass already.
    pub declared: u64,
    /// They answer a connection that was opened the other way.
    pub replies: u64,
    /// They do not say who opened the connection, or to which port.
    pub unclear: u64,
    /// Neither end is in a landing zone.
    pub elsewhere: u64,
    /// An end is a pod that is not known.
    pub without_pod: u64,
    /// Not told apart any more, since a bound was reached.
    pub beyond: u64,
}

/// Packets that pass already, by landing zone and what lets them.
pub type Covered = BTreeMap<(String, Cover), u64>;

/// All packets of all logs.
pub struct Tally<'a> {
    inventory: &'a Inventory,
    declared: &'a Declared<'a>,
    bundle: Bundle,
    /// What was connected to, declared or not: at most [`MAX_GROUPS`].
    opened: BTreeSet<Key>,
    /// Packets of connections that were opened before the log began, as what they are if they go
    /// the way of the opening, and if they go back.
    undecided: BTreeMap<(Key, Key), Bundle>,
    counts: Counts,
    unknown: BTreeMap<IpAddr, (u64, Unknown)>,
    last: Option<Packet>,
}

/// Packets by what they ask for.
#[derive(Clone, Debug, Default)]
struct Bundle {
    groups: BTreeMap<Key, Group>,
    covered: Covered,
}

/// The result.
#[derive(Debug, Default)]
pub struct Tallied {
    /// What would have to be declared.
    pub groups: BTreeMap<Key, Group>,
    /// What passes already.
    pub covered: Covered,
    /// How many packets came to which end.
    pub counts: Counts,
    /// Addresses without a pod, with the number of their packets, most of them first.
    pub unknown: Vec<(IpAddr, u64, Unknown)>,
}

impl<'a> Tally<'a> {
    /// Nothing counted.
    #[must_use]
    pub fn new(inventory: &'a Inventory, declared: &'a Declared<'a>) -> Self {
        Self {
            inventory,
            declared,
            bundle: Bundle::default(),
            opened: BTreeSet::new(),
            undecided: BTreeMap::new(),
            counts: Counts::default(),
            unknown: BTreeMap::new(),
            last: None,
        }
    }

    /// Counts a packet.
    pub fn add(&mut self, packet: Packet) {
        if self
            .last
            .take()
            .is_some_and(|last| last.is_repeated_by(&packet))
        {
            self.counts.repeated += 1;
            return;
        }
        let from = self.inventory.locate(packet.source, packet.from_pod);
        let to = self.inventory.locate(packet.destination, packet.to_pod);
        match (from, to) {
            (Ok(from), Ok(to)) => self.add_located(&from, &to, packet.content),
            (from, to) => {
                self.counts.without_pod += 1;
                self.note_unknown(packet.source, from.err());
                self.note_unknown(packet.destination, to.err());
            }
        }
        self.last = Some(packet);
    }

    fn note_unknown(&mut self, address: IpAddr, why: Option<Unknown>) {
        let Some(why) = why else { return };
        if self.unknown.len() < MAX_UNKNOWN || self.unknown.contains_key(&address) {
            self.unknown.entry(address).or_insert((0, why)).0 += 1;
        }
    }

    fn add_located(&mut self, from: &Located, to: &Located, content: Content) {
        if from.end.landing_zone().or(to.end.landing_zone()).is_none() {
            self.counts.elsewhere += 1;
            return;
        }
        let connection = |target| Key {
            from: from.end.clone(),
            to: to.end.clone(),
            target,
        };
        match content {
            Content::Fragment => self.counts.unclear += 1,
            Content::Portless(protocol) => {
                let target = Target::Portless(protocol);
                let seen = self.seen(from, to, target);
                self.count(connection(target), seen);
            }
            Content::Ports {
                protocol,
                source,
                destination,
                sign,
            } => {
                let target = Target::Port(protocol, destination);
                let forth = connection(target);
                let back = Key {
                    from: to.end.clone(),
                    to: from.end.clone(),
                    target: Target::Port(protocol, source),
                };
                match self.direction(&forth, &back, sign) {
                    Direction::Forth => {
                        let seen = self.seen(from, to, target);
                        self.count(forth, seen);
                    }
                    Direction::Back => self.counts.replies += 1,
                    Direction::Undecided => {
                        let seen = self.seen(from, to, target);
                        self.keep_undecided((forth, back), seen);
                    }
                }
            }
        }
    }

    /// Whether a packet goes the way in which its connection was opened. A log is in the order of
    /// time, so that what was opened before is known.
    fn direction(&self, forth: &Key, back: &Key, sign: Sign) -> Direction {
        match sign {
            Sign::Opens => Direction::Forth,
            Sign::Answers => Direction::Back,
            _ if self.opened.contains(forth) => Direction::Forth,
            _ if forth.is_ephemeral() && !back.is_ephemeral() => Direction::Back,
            _ if self.opened.contains(back) => Direction::Back,
            // Only the first packet of something without connections is ever judged.
            Sign::Midway if forth.is_ephemeral() == back.is_ephemeral() => Direction::Undecided,
            Sign::Midway | Sign::None => Direction::Forth,
        }
    }

    /// One packet, by what it asks for.
    fn seen(&self, from: &Located, to: &Located, target: Target) -> Bundle {
        let port = match target {
            Target::Port(protocol, port) => Some((protocol, port)),
            Target::ApiServer | Target::Portless(_) => None,
        };
        let route = Route {
            from,
            to,
            target: port,
        };
        let mut bundle = Bundle::default();
        match self.declared.judge(route) {
            Judgement::Passes {
                landing_zone,
                cover,
            } => {
                bundle.covered.insert((landing_zone.to_owned(), cover), 1);
            }
            Judgement::Asks {
                from: asking,
                to: asked,
                missing,
            } => {
                let is_api_server = asked == End::ApiServer;
                let key = Key {
                    from: asking,
                    to: asked,
                    target: if is_api_server {
                        Target::ApiServer
                    } else {
                        target
                    },
                };
                bundle.groups.insert(key, Group::one(from, to, missing));
            }
        }
        bundle
    }

    fn count(&mut self, connection: Key, seen: Bundle) {
        if self.opened.len() < MAX_GROUPS {
            self.opened.insert(connection);
        }
        self.counts.beyond += self.bundle.merge(seen);
    }

    fn keep_undecided(&mut self, connection: (Key, Key), seen: Bundle) {
        if let Some(known) = self.undecided.get_mut(&connection) {
            self.counts.beyond += known.merge(seen);
        } else if self.undecided.len() < MAX_GROUPS {
            self.undecided.insert(connection, seen);
        } else {
            self.counts.beyond += seen.packets();
        }
    }

    /// Decides what is open, now that every connection that was opened is known.
    #[must_use]
    pub fn finish(mut self) -> Tallied {
        for ((forth, back), bundle) in std::mem::take(&mut self.undecided) {
            if self.opened.contains(&forth) {
                self.count(forth, bundle);
            } else if self.opened.contains(&back) {
                self.counts.replies += bundle.packets();
            } else if forth.is_ephemeral() {
                // Either port may be the one that was connected to.
                self.counts.unclear += bundle.packets();
            } else {
                self.count(forth, bundle);
            }
        }
        let Bundle { groups, covered } = self.bundle;
        self.counts.declared = covered.values().sum();
        let unknown = self.unknown.into_iter();
        let mut unknown: Vec<_> = unknown
            .map(|(address, (packets, why))| (address, packets, why))
            .collect();
        unknown.sort_by_key(|(address, packets, _)| (Reverse(*packets), *address));
        Tallied {
            groups,
            covered,
            counts: self.counts,
            unknown,
        }
    }
}

impl Key {
    /// Whether the port is one that Linux gives to whoever connects without asking for one.
    fn is_ephemeral(&self) -> bool {
        matches!(self.target, Target::Port(_, port) if port >= FIRST_EPHEMERAL)
    }
}

/// Which way a packet goes.
enum Direction {
    /// The way in which its connection was opened.
    Forth,
    /// The other way.
    Back,
    /// It shows when all packets are known.
    Undecided,
}

impl Bundle {
    /// How many packets there are.
    fn packets(&self) -> u64 {
        let asking = self.groups.values().map(|group| group.packets);
        asking.chain(self.covered.values().copied()).sum()
    }

    /// Adds other packets, which come after its own; returns how many are beyond the bound.
    fn merge(&mut self, other: Self) -> u64 {
        let mut beyond = 0;
        for (key, group) in other.groups {
            if let Some(known) = self.groups.get_mut(&key) {
                known.merge(group);
            } else if self.groups.len() < MAX_GROUPS {
                self.groups.insert(key, group);
            } else {
                beyond += group.packets;
            }
        }
        for (cover, packets) in other.covered {
            *self.covered.entry(cover).or_default() += packets;
        }
        beyond
    }
}

impl Group {
    /// A group of one packet.
    fn one(from: &Located, to: &Located, missing: Halves) -> Self {
        let mut group = Self {
            packets: 1,
            not_let_out: missing.egress.into(),
            not_let_in: missing.ingress.into(),
            example: Some((Rc::clone(&from.name), Rc::clone(&to.name))),
            ..Self::default()
        };
        group.senders.kept.insert(Rc::clone(&from.name));
        let outside = [from, to].into_iter().filter(|it| it.end == End::Outside);
        group.outside.kept.extend(outside.map(|it| it.address));
        group
    }

    /// Adds other packets, which come after its own.
    pub fn merge(&mut self, other: Self) {
        self.packets += other.packets;
        self.not_let_out += other.not_let_out;
        self.not_let_in += other.not_let_in;
        self.senders.merge(other.senders);
        self.outside.merge(other.outside);
        if self.example.is_none() {
            self.example = other.example;
        }
    }
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self {
            kept: BTreeSet::new(),
            has_more: false,
        }
    }
}

impl<T: Ord> Members<T> {
    fn merge(&mut self, other: Self) {
        self.has_more |= other.has_more;
        for member in other.kept {
            if self.kept.len() < MAX_MEMBERS {
                self.kept.insert(member);
            } else {
                self.has_more |= !self.kept.contains(&member);
            }
        }
    }
}

#[cfg(test)]
mod tests;
