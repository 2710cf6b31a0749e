//! What comes of one member, one direction and some ports: tier by tier, rule by rule.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::lanes::{Bits, Lanes, Matching};
use super::port_span::PortSpan;
use super::{JudgedRule, Outcome, Reach};
use crate::policy::model::{PolicyRule, PortMatch, RuleEnd, TransportProtocol};
use crate::policy::verdict::{Decider, Way};
use crate::policy::world::TierEnd;
use crate::policy::{Action, Icmp};

/// What something does with what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// It lets it pass.
    Allows,
    /// It stops it.
    Denies,
    /// It leaves it to the next tier.
    Passes,
}

/// What may decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A rule of a policy.
    Rule(usize, usize),
    /// The end of a tier, after these policies.
    EndOfTier(usize, Vec<usize>),
    /// The last tier that passed it on; None: no tier applies.
    Passed(Option<usize>),
}

/// One question: the member whose policies are asked, the direction and the ports.
#[derive(Clone, Copy)]
struct Question {
    own: usize,
    way: Way,
    span: PortSpan,
    /// The peer, where it is one.
    peer: usize,
}

impl Reach<'_> {
    /// What may come of it, for all peers at once.
    pub(super) fn outcomes(
        &self,
        own: usize,
        way: Way,
        span: PortSpan,
        everybody: &Bits,
    ) -> Outcome<Bits> {
        let question = Question {
            own,
            way,
            span,
            peer: own,
        };
        self.walk(question, everybody, |_, _| {})
    }

    /// What may do something about one peer, in the order of evaluation.
    pub(super) fn steps(
        &self,
        own: usize,
        way: Way,
        span: PortSpan,
        peer: usize,
    ) -> Vec<(Step, Does)> {
        let question = Question {
            own,
            way,
            span,
            peer,
        };
        let mut steps = Vec::new();
        self.walk(question, &true, |step, does| {
            steps.push((step(), does));
        });
        steps
    }

    pub(super) fn decider(&self, step: &Step) -> Option<Decider> {
        let policies = self.world.policies();
        let tier = |at: usize| self.world.tiers().get(at).map(|tier| tier.name.clone());
        Some(match step {
            Step::Rule(policy, rule) => Decider::Rule(policies.get(*policy)?.id.clone(), *rule),
            Step::EndOfTier(at, after) => {
                let after = after.iter().filter_map(|at| policies.get(*at));
                Decider::EndOfTier(tier(*at)?, after.map(|it| it.id.clone()).collect())
            }
            Step::Passed(Some(at)) => Decider::Passed(tier(*at)?),
            Step::Passed(None) => Decider::Nothing,
        })
    }

    /// The tier in which something is done.
    pub(super) fn tier(&self, step: &Step) -> Option<&str> {
        match step {
            Step::Rule(policy, _) => self
                .world
                .policies()
                .get(*policy)
                .map(|it| it.tier.as_str()),
            Step::EndOfTier(tier, _) | Step::Passed(Some(tier)) => {
                self.world.tiers().get(*tier).map(|it| it.name.as_str())
            }
            Step::Passed(None) => None,
        }
    }

    /// `tell` is called for whatever may do something.
    fn walk<L: Lanes>(
        &self,
        question: Question,
        everybody: &L,
        mut tell: impl FnMut(&dyn Fn() -> Step, Does),
    ) -> Outcome<L> {
        let mut outcome = Outcome {
            allowed: everybody.nobody(),
            denied: everybody.nobody(),
        };
        // For whom it may come so far.
        let mut open = everybody.clone();
        let mut last = BTreeSet::from([None]);
        let all = self.applying.get(question.own);
        let all = all.map_or(&[][..], |it| it.of(question.way).as_slice());
        for of_tier in all.chunk_by(|one, other| one.tier == other.tier) {
            let Some(tier) = of_tier.first().map(|it| it.tier) else {
                continue;
            };
            let mut passed = everybody.nobody();
            // For whom a policy may apply and decide nothing.
            let mut undecided = everybody.nobody();
            for applying in of_tier {
                let rules = self.rules.get(applying.policy);
                let rules = rules.map_or(&[][..], |it| it.of(question.way).as_slice());
                // For whom it may come so far, if the policy applies.
                let mut left = open.clone();
                for (at, rule) in rules.iter().enumerate() {
                    let Some(matching) = self.matching::<L>(question, rule) else {
                        continue;
                    };
                    if !left.meets(&matching.perhaps) {
                        continue;
                    }
                    let step = || Step::Rule(applying.policy, at);
                    match rule.rule.action {
                        Action::Allow => {
                            outcome.allowed.or_both(&left, &matching.perhaps);
                            tell(&step, Does::Allows);
                        }
                        Action::Deny => {
                            outcome.denied.or_both(&left, &matching.perhaps);
                            tell(&step, Does::Denies);
                        }
                        Action::Pass => {
                            passed.or_both(&left, &matching.perhaps);
                            tell(&step, Does::Passes);
                        }
                        Action::Log => continue,
                    }
                    left.and_not(&matching.surely);
                }
                undecided.or(&left);
                if applying.surely {
                    open = left;
                }
            }
            let surely = of_tier.iter().any(|it| it.surely);
            let denies = self.world.tiers().get(tier).map(|it| it.end) == Some(TierEnd::Deny);
            if open.meets(&undecided) {
                let after = || of_tier.iter().map(|it| it.policy).collect();
                let does = if denies { Does::Denies } else { Does::Passes };
                tell(&|| Step::EndOfTier(tier, after()), does);
            }
            if denies {
                outcome.denied.or_both(&open, &undecided);
            }
            if denies && surely {
                open = passed;
            } else {
                open.or(&passed);
            }
            if surely {
                last.clear();
            }
            last.insert(Some(tier));
        }
        if open.meets(everybody) {
            outcome.allowed.or(&open);
            for tier in last {
                tell(&|| Step::Passed(tier), Does::Allows);
            }
        }
        outcome
    }

    /// For which peers a rule matches, if its policy applies; None: for nobody.
    fn matching<L: Lanes>(
        &self,
        question: Question,
        judged: &JudgedRule<'_>,
    ) -> Option<Cow<'_, Matching<L>>> {
        let rule = judged.rule;
        let span = question.span;
        if !is_protocol(rule, span) {
            return None;
        }
        let (own, peer) = match question.way {
            Way::Ingress => (judged.destination, judged.source),
            Way::Egress => (judged.source, judged.destination),
        };
        let mut own = self.ends.get(own)?.of(question.own);
        own.and(&from_any_port(rule));
        let mut peer = L::pick(self.ends.get(peer)?, question.peer);
        let ports = ToPorts::of(&rule.destination, span);
        let service = rule.destination.service.as_ref();
        let answering = service.map(|service| self.answering(service, span));
        match question.way {
            // The ports are those of the member itself, to which policies apply: it is a pod.
            Way::Ingress => {
                own.and(&ports.of_pods);
                if let Some(answering) = &answering {
                    own.and(&answering.of(question.own));
                }
            }
            Way::Egress if ports.of_pods == ports.of_addresses => own.and(&ports.of_pods),
            Way::Egress => {
                let among = ports.among(&self.ends.pods);
                peer.to_mut().and(&L::pick(&among, question.peer));
            }
        }
        if question.way == Way::Egress
            && let Some(answering) = answering
        {
            peer.to_mut().and(&L::pick(&answering, question.peer));
        }
        if !own.perhaps {
            return None;
        }
        if !own.surely {
            let peer = peer.to_mut();
            peer.surely = peer.surely.nobody();
        }
        Some(peer)
    }

    /// Who answers for a service on some ports.
    fn answering(&self, service: &(String, String), span: PortSpan) -> Matching<Bits> {
        let mut answering = Matching::none(self.ends.pods.length());
        for (at, surely, port) in self.ends.answering(service) {
            if port.is_none_or(|(protocol, port)| span.holds(protocol, port)) {
                answering.perhaps.insert(*at);
                if *surely {
                    answering.surely.insert(*at);
                }
            }
        }
        answering
    }
}

fn is_protocol(rule: &PolicyRule, span: PortSpan) -> bool {
    let is_message = |it: Icmp| {
        let echo = match span.protocol {
            Some(TransportProtocol::ICMP) => 8,
            Some(TransportProtocol::ICMP_V6) => 128,
            _ => return false,
        };
        it.type_.is_none_or(|it| it == echo) && it.code.is_none_or(|it| it == 0)
    };
    // A protocol that a rule names is named among the spans.
    rule.protocol.is_none_or(|it| span.protocol == Some(it))
        && rule.not_protocol.is_none_or(|it| span.protocol != Some(it))
        && rule.icmp.is_none_or(is_message)
        && !rule.not_icmp.is_some_and(is_message)
}

/// Whether a rule matches from whatever port.
fn from_any_port(rule: &PolicyRule) -> Matching<bool> {
    let is_any = |it: &PortMatch| matches!(it, PortMatch::Range(0..=1, u16::MAX));
    let (ports, not_ports) = (&rule.source.ports, &rule.source.not_ports);
    let is_never = not_ports.iter().any(is_any);
    Matching {
        surely: not_ports.is_empty() && (ports.is_empty() || ports.iter().any(is_any)),
        perhaps: !is_never,
    }
}

/// Whether a rule matches some ports: what a port of a pod is called is not known, and addresses have no such names.
struct ToPorts {
    of_pods: Matching<bool>,
    of_addresses: Matching<bool>,
}

impl ToPorts {
    fn of(end: &RuleEnd, span: PortSpan) -> Self {
        let is_number = |it: &PortMatch| match it {
            PortMatch::Range(first, last) => span.is_within(*first, *last),
            PortMatch::Named(_) => false,
        };
        let is_name = |it: &PortMatch| matches!(it, PortMatch::Named(_));
        let is_port = end.ports.is_empty() || end.ports.iter().any(is_number);
        let is_other = !end.not_ports.iter().any(is_number);
        Self {
            of_pods: Matching {
                surely: is_port && is_other && !end.not_ports.iter().any(is_name),
                perhaps: (is_port || end.ports.iter().any(is_name)) && is_other,
            },
            of_addresses: Matching {
                surely: is_port && is_other,
                perhaps: is_port && is_other,
            },
        }
    }

    fn among(&self, pods: &Bits) -> Matching<Bits> {
        let among = |of_pods: bool, of_addresses: bool| {
            let mut bits = if of_addresses {
                Bits::all(pods.length())
            } else {
                Bits::none(pods.length())
            };
            if of_pods {
                bits.or(pods);
            } else {
                bits.and_not(pods);
            }
            bits
        };
        Matching {
            surely: among(self.of_pods.surely, self.of_addresses.surely),
            perhaps: among(self.of_pods.perhaps, self.of_addresses.perhaps),
        }
    }
}
