//! What a rule of a policy opens beyond a boundary, exactly as far as that decides whether a change opens more.
//!
//! | file | what it knows |
//! |---|---|
//! | `peers` | whether peers of one rule are among those of another one |
//! | `ports` | which of a rule's ports are declared |
//! | `apart` | whether two rules have nothing in common |
//! | `pieces` | whether several openings together hold another one |
//! | `within` | whether one opening lies within another one |
//! | `work` | how much is looked at before it is given up |

mod apart;
mod peers;
mod pieces;
pub(super) mod ports;
mod within;
mod work;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use serde_json::Value;

use super::address::{Holds, without};
use super::covered::Cover;
use super::known::canonical;
use crate::domain::FieldPath;
use crate::policy::{
    Action, AddressSet, Icmp, Policy, PolicyRule, PortMatch, RuleEnd, Selector, TransportProtocol,
    Way,
};

pub(super) use within::{Comparing, Extent};

/// What a rule of a policy opens beyond the boundaries of those that it is for.
#[derive(Clone, PartialEq)]
pub struct Opening {
    /// All that the rules of one direction share.
    pub(super) scope: Arc<Scope>,
    /// How many of the rules that take something away come before it.
    pub(super) behind: usize,
    /// The rule.
    pub(super) rule: RuleShape,
    /// Whose addresses its ranges hold.
    pub(super) holds: BTreeSet<Holds>,
}

/// An order is a number that somebody wrote, so it equals itself.
impl Eq for Opening {}

/// In short: what the rules of a direction share may be about a thousand landing zones.
impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("rule", &self.rule)
            .finish_non_exhaustive()
    }
}

/// What the rules of one direction of a policy share.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scope {
    pub(super) way: Way,
    pub(super) place: Place,
    /// What nobody here understands of the policy, beside its rules.
    pub(super) unread: Vec<(FieldPath, Value)>,
    /// Those that it is for.
    pub(super) locals: Arc<[Local]>,
    /// The rules that take something away from later ones, in their order.
    pub(super) taken: Vec<RuleShape>,
}

/// Where a policy stands among the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Place {
    tier: String,
    /// Lower comes first; None: last.
    order: Option<f64>,
    /// Decides between those of the same order: lower comes first.
    name: String,
    /// Whether it takes nothing away from policies behind it, so that it may move back.
    only_allows: bool,
}

impl Place {
    pub(super) fn of(policy: &Policy) -> Self {
        let rules = policy.ingress.iter().chain(&policy.egress);
        let mut rules = rules.flatten();
        Self {
            tier: policy.tier.clone(),
            order: policy.order,
            name: policy.place().1,
            only_allows: rules.all(|it| matches!(it.action, Action::Allow | Action::Log)),
        }
    }
}

/// Pods of one boundary that a policy selects.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Local {
    /// Which, by namespace.
    pub(super) pods: Arc<[(String, Selector)]>,
    /// Who counts as inside of the boundary.
    pub(super) inside: Selector,
    /// The namespaces of the boundary.
    pub(super) own: BTreeSet<String>,
    /// What is declared for all of these pods.
    pub(super) covers: Vec<Cover>,
}

/// The ports of a protocol; none of either: all.
pub(super) type Ports = (Option<TransportProtocol>, Vec<PortMatch>);

/// A rule as far as it decides what it is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RuleShape {
    pub(super) action: Action,
    /// The end outside.
    pub(super) outside: End,
    /// The end of those that the policy is for.
    pub(super) inside: End,
    /// Ports that are connected to.
    pub(super) ports: Vec<Ports>,
    pub(super) ip_version: Option<u8>,
    pub(super) not_protocol: Option<TransportProtocol>,
    pub(super) icmp: Option<Icmp>,
    pub(super) not_icmp: Option<Icmp>,
    /// What nobody here understands of it: it may narrow the rule.
    pub(super) unread: Vec<(FieldPath, Value)>,
}

impl RuleShape {
    /// From its ends and ports; `whole` is the rule as Felix takes it, where there is one.
    pub(super) fn new(
        (action, way): (Action, Way),
        outside: End,
        inside: End,
        ports: Vec<Ports>,
        whole: Option<&PolicyRule>,
    ) -> Self {
        let mut shape = Self {
            action,
            outside,
            inside,
            ports,
            ip_version: whole.and_then(|it| it.ip_version),
            not_protocol: whole.and_then(|it| it.not_protocol),
            icmp: whole.and_then(|it| it.icmp),
            not_icmp: whole.and_then(|it| it.not_icmp),
            unread: Vec::new(),
        };
        // Ports that are connected to are told apart by what is declared, those that it comes from are not.
        let source = whole.map(|it| it.source.ports.clone());
        let source = source.unwrap_or_default();
        match way {
            Way::Ingress => {
                shape.outside.ports = source;
                shape.inside.ports = Vec::new();
            }
            Way::Egress => {
                shape.outside.ports = Vec::new();
                shape.inside.ports = source;
            }
        }
        shape
    }
}

impl RuleShape {
    /// How much there is to look at.
    fn size(&self) -> usize {
        let ports = self.ports.iter().map(|(_, ports)| 1 + ports.len());
        let nets = [&self.outside, &self.inside].map(|it| it.nets.as_ref().map_or(0, Vec::len));
        1 + ports.sum::<usize>() + nets.iter().sum::<usize>()
    }

    /// What it is about, where that is everything that has labels which the end outside means.
    fn only_meant(&self) -> Option<&Selector> {
        let meant = self.outside.meant.as_ref()?;
        let only = End {
            meant: Some(meant.clone()),
            sets: self.outside.sets.clone(),
            ..End::default()
        };
        let is_all = self.outside == only
            && self.inside == End::default()
            && self.ports.iter().any(|it| *it == (None, Vec::new()))
            && self.ip_version.is_none()
            && self.not_protocol.is_none()
            && self.icmp.is_none()
            && self.not_icmp.is_none()
            && self.unread.is_empty();
        is_all.then_some(meant)
    }
}

/// One end of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct End {
    /// Labels of whoever is meant, by canonical names; None: nothing is said of them.
    meant: Option<Selector>,
    /// Labels of whoever is not meant, where nothing else is said of labels.
    not: Option<Selector>,
    /// Network sets that are meant, or, where only that is said, that are not.
    sets: Vec<Arc<AddressSet>>,
    /// Ranges that are meant, without those that are not; None: every address.
    nets: Option<Vec<IpNet>>,
    /// Whether ranges are named, and not only some that are not meant.
    has_nets: bool,
    /// Ranges as they are written, where they are too many to be looked at: nothing is known of them then.
    unseen: Option<Box<[Vec<IpNet>; 2]>>,
    /// A service, by namespace and name.
    service: Option<(String, String)>,
    ports: Vec<PortMatch>,
    not_ports: Vec<PortMatch>,
}

impl End {
    /// As it is in a rule, and with the network sets that its labels mean.
    pub(super) fn of(end: &RuleEnd, sets: Vec<Arc<AddressSet>>) -> Self {
        let not = end.not_selector.clone().map(canonical);
        let meant = end.selector.clone().map(|selector| {
            let not = not.clone().map(Selector::negate);
            Selector::and([canonical(selector)].into_iter().chain(not))
        });
        let own = end.nets.clone().unwrap_or_else(everything);
        let pairs = own.len().saturating_mul(end.not_nets.len());
        let unseen = (pairs > MOST_PAIRS).then(|| Box::new([own.clone(), end.not_nets.clone()]));
        let is_all = end.nets.is_none() && end.not_nets.is_empty();
        let nets =
            (!is_all && unseen.is_none()).then(|| IpNet::aggregate(&without(&own, &end.not_nets)));
        Self {
            not: not.filter(|_| meant.is_none()),
            meant,
            sets,
            nets,
            has_nets: end.nets.is_some(),
            unseen,
            service: end.service.clone(),
            ports: end.ports.clone(),
            not_ports: end.not_ports.clone(),
        }
    }

    /// All ranges that are meant: its own, and those of network sets.
    pub(super) fn ranges(&self) -> Vec<IpNet> {
        let unseen = self.unseen.iter().flat_map(|it| &it[0]);
        let own = self.nets.iter().flatten().chain(unseen);
        let own = own.filter(|_| self.has_nets);
        let sets = self.sets.iter().filter(|_| self.meant.is_some());
        own.chain(sets.flat_map(|it| &it.nets)).copied().collect()
    }
}

/// So many pairs of ranges that are meant and that are not are looked at: more than Calico takes from 3.33 on.
const MOST_PAIRS: usize = 1 << 16;

/// Every address.
fn everything() -> Vec<IpNet> {
    vec![
        IpNet::V4(ipnet::Ipv4Net::default()),
        IpNet::V6(ipnet::Ipv6Net::default()),
    ]
}
