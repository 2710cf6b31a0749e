//! May this reach that, and what decides: tier by tier, in both directions.

use std::fmt;
use std::net::IpAddr;

use super::model::{Policy, PolicyId, PolicyRule, TransportProtocol};
use super::world::{Endpoint, TierEnd, World};
use super::{Action, Icmp};

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A pod to which policies apply.
    Pod(&'a Endpoint),
    /// Whatever else has this address: nothing is enforced there.
    Address(IpAddr),
}

/// What is sent to open a connection; with ICMP, an echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The protocol.
    pub protocol: TransportProtocol,
    /// The port that it comes from; 0 where the protocol has none.
    pub source_port: u16,
    /// The port that it goes to; 0 where the protocol has none.
    pub port: u16,
}

/// The direction, as seen from the pod whose policies decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It comes in.
    Ingress,
    /// It goes out.
    Egress,
}

/// What decided in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decider {
    /// No policies apply there at all: not a pod, or none that says anything about this direction.
    Nothing,
    /// The rule of a policy, counted from 0.
    Rule(PolicyId, usize),
    /// The end of a tier in which these policies apply and none of them has a rule for it.
    EndOfTier(String, Vec<PolicyId>),
    /// Every tier that applies passed it on, the last one by this rule or at its end: that allows.
    Passed(String),
}

impl fmt::Display for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("no policy applies"),
            Self::Rule(policy, rule) => write!(f, "{policy}, rule {}", rule + 1),
            Self::EndOfTier(tier, policies) => {
                let policies: Vec<_> = policies.iter().map(ToString::to_string).collect();
                write!(f, "the end of tier {tier}, after {}", policies.join(", "))
            }
            Self::Passed(tier) => write!(f, "tier {tier} passes it on, and no other applies"),
        }
    }
}

/// What came of one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may pass.
    pub allowed: bool,
    /// What decided.
    pub by: Decider,
    /// The rules that passed it on before, in order.
    pub passed: Vec<(PolicyId, usize)>,
}

/// Whether something reaches something, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// On its way out of the source.
    pub egress: Decision,
    /// On its way into the destination.
    pub ingress: Decision,
}

impl Verdict {
    /// Whether it passes both.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.egress.allowed && self.ingress.allowed
    }
}

impl World {
    /// Whether a packet that opens a connection arrives. None where the two ends have no addresses of the same
    /// family. What a pod sends to itself never leaves it.
    #[must_use]
    pub fn verdict(&self, from: Place<'_>, to: Place<'_>, packet: Packet) -> Option<Verdict> {
        let (source, destination) = addresses(from, to)?;
        let nothing = Decision {
            allowed: true,
            by: Decider::Nothing,
            passed: Vec::new(),
        };
        if source == destination {
            return Some(Verdict {
                egress: nothing.clone(),
                ingress: nothing,
            });
        }
        let decide = |place, way| match place {
            Place::Pod(pod) => self.decide(pod, way, source, destination, packet),
            Place::Address(_) => nothing.clone(),
        };
        Some(Verdict {
            egress: decide(from, Way::Egress),
            ingress: decide(to, Way::Ingress),
        })
    }

    fn decide(
        &self,
        pod: &Endpoint,
        way: Way,
        source: IpAddr,
        destination: IpAddr,
        packet: Packet,
    ) -> Decision {
        let mut passed = Vec::new();
        let mut last = None;
        'tiers: for (tier, policies) in self.tiers_for(&pod.labels) {
            let mut applying = Vec::new();
            for policy in policies {
                let Some(rules) =
                    rules(policy, way).filter(|_| policy.selector.matches(&pod.labels))
                else {
                    continue;
                };
                applying.push(policy.id.clone());
                for (index, rule) in rules.iter().enumerate() {
                    if rule.action == Action::Log
                        || !self.rule_matches(rule, source, destination, packet)
                    {
                        continue;
                    }
                    if rule.action == Action::Pass {
                        passed.push((policy.id.clone(), index));
                        last = Some(&tier.name);
                        continue 'tiers;
                    }
                    return Decision {
                        allowed: rule.action == Action::Allow,
                        by: Decider::Rule(policy.id.clone(), index),
                        passed,
                    };
                }
            }
            if applying.is_empty() {
                continue;
            }
            if tier.end == TierEnd::Deny {
                return Decision {
                    allowed: false,
                    by: Decider::EndOfTier(tier.name.clone(), applying),
                    passed,
                };
            }
            last = Some(&tier.name);
        }
        // The profile of a namespace allows what no tier decided.
        Decision {
            allowed: true,
            by: last.map_or(Decider::Nothing, |tier| Decider::Passed(tier.clone())),
            passed,
        }
    }

    fn rule_matches(
        &self,
        rule: &PolicyRule,
        source: IpAddr,
        destination: IpAddr,
        packet: Packet,
    ) -> bool {
        let version = if source.is_ipv4() { 4 } else { 6 };
        let is_message = |it: Icmp| {
            let echo = match packet.protocol {
                TransportProtocol::ICMP => 8,
                TransportProtocol::ICMP_V6 => 128,
                _ => return false,
            };
            it.type_.is_none_or(|it| it == echo) && it.code.is_none_or(|it| it == 0)
        };
        rule.ip_version.is_none_or(|it| it == version)
            && rule.protocol.is_none_or(|it| it == packet.protocol)
            && rule.not_protocol.is_none_or(|it| it != packet.protocol)
            && rule.icmp.is_none_or(is_message)
            && !rule.not_icmp.is_some_and(is_message)
            && self.matches(
                &rule.source,
                source,
                (packet.protocol, packet.source_port),
                false,
            )
            && self.matches(
                &rule.destination,
                destination,
                (packet.protocol, packet.port),
                true,
            )
    }
}

/// What a policy says of a direction; None: nothing at all.
pub(super) fn rules(policy: &Policy, way: Way) -> Option<&[PolicyRule]> {
    match way {
        Way::Ingress => policy.ingress.as_deref(),
        Way::Egress => policy.egress.as_deref(),
    }
}

fn addresses(from: Place<'_>, to: Place<'_>) -> Option<(IpAddr, IpAddr)> {
    let all = |place| match place {
        Place::Pod(pod) => pod.addresses.clone(),
        Place::Address(address) => vec![address],
    };
    let destinations = all(to);
    let pair = |source: IpAddr| {
        let mut same = destinations
            .iter()
            .filter(|it| it.is_ipv4() == source.is_ipv4());
        same.next().map(|destination| (source, *destination))
    };
    all(from).into_iter().find_map(pair)
}

#[cfg(test)]
mod tests;
