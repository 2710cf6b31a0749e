//! Who may reach whom, of all at once: what [`World::verdict`] says of two pods, for thousands of namespaces of which
//! not all is known.
//!
//! A *member* is whatever the same is known about: all pods of a namespace, pods with the same labels, addresses. Of
//! each it is worked out, tier by tier as Felix does, from which others something may come in and to which it may go
//! out, with one bit for each of them and for two questions: may something be allowed there, may something be denied.
//! Allowed without a doubt is what is not perhaps denied, and the other way round; where both may be, the answer is
//! [`Answer::Partly`]. So an answer is never wrong for a pod or an address that is meant, and exact where labels of
//! pods, named ports and source ports do not matter.
//!
//! What a pod sends to itself is not asked about. With ICMP an echo request is meant.
//!
//! | file | what it knows |
//! |---|---|
//! | `member` | what is asked about, and what is known of it |
//! | `lanes` | many yes and no at once |
//! | `label_index` | whom a selector selects |
//! | `rule_end` | whom one end of a rule means |
//! | `port_span` | between which ports there is a difference |
//! | `walk` | what comes of it, tier by tier |

mod label_index;
mod lanes;
mod member;
mod port_span;
mod rule_end;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeSet;

pub use member::{Member, everywhere, without};
pub use port_span::PortSpan;

use super::model::{PolicyRule, TransportProtocol};
use super::verdict::{Decider, Way, rules};
use super::world::World;
use lanes::{Bits, Lanes};
use rule_end::{EndId, RuleEnds};
pub use walk::Does;
use walk::Step;

/// What is known of everything that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// All of it passes.
    Allowed,
    /// Some of it passes and some does not, or nothing is known that would decide it.
    Partly,
    /// Nothing passes.
    Denied,
}

/// What comes of some ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// What passes there.
    pub answer: Answer,
    /// The ports; empty: all of all protocols.
    pub ports: Vec<PortSpan>,
    /// What decides on the way out of the source. More than one where it depends on the pod.
    pub egress: Vec<Decider>,
    /// What decides on the way into the destination.
    pub ingress: Vec<Decider>,
}

/// Something that may do something on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The tier; None where no policy applies.
    pub tier: Option<String>,
    /// What it is.
    pub by: Decider,
    /// What it does.
    pub does: Does,
}

/// How much had to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Conditions on one label that were looked up.
    pub conditions: usize,
    /// Ends of rules that say something else than all others.
    pub rule_ends: usize,
    /// Rules that were gone through, for a member, a direction and some ports each.
    pub rules: usize,
}

/// Who may reach whom among members.
pub struct Reach<'a> {
    world: &'a World,
    ends: RuleEnds<'a>,
    /// Of each policy, the rules of each direction.
    rules: Vec<ByWay<Vec<JudgedRule<'a>>>>,
    /// Of each member, the policies that may apply to it, in the order of evaluation.
    applying: Vec<ByWay<Vec<Applying>>>,
    /// Of each member, what came of it.
    rows: Vec<ByWay<Row>>,
    work: Work,
}

/// Something of each direction.
#[derive(Clone, Debug)]
struct ByWay<T> {
    ingress: T,
    egress: T,
}

impl<T: Default> Default for ByWay<T> {
    fn default() -> Self {
        Self {
            ingress: T::default(),
            egress: T::default(),
        }
    }
}

impl<T> ByWay<T> {
    fn of(&self, way: Way) -> &T {
        match way {
            Way::Ingress => &self.ingress,
            Way::Egress => &self.egress,
        }
    }

    fn of_mut(&mut self, way: Way) -> &mut T {
        match way {
            Way::Ingress => &mut self.ingress,
            Way::Egress => &mut self.egress,
        }
    }
}

/// A rule, and whom its ends mean.
struct JudgedRule<'a> {
    rule: &'a PolicyRule,
    source: EndId,
    destination: EndId,
}

/// A policy that applies to a member, and whether to all of it.
#[derive(Clone, Copy, Debug)]
struct Applying {
    policy: usize,
    tier: usize,
    surely: bool,
}

/// What comes of everything that one member sends, or gets.
#[derive(Clone, Debug, Default)]
struct Row {
    spans: Vec<PortSpan>,
    /// For each span, which outcome it has: neighbours often have the same, for other reasons.
    places: Vec<usize>,
    outcomes: Vec<Outcome<Bits>>,
    /// Peers of which nothing is allowed on any port.
    denied: Option<Bits>,
}

/// What may come of something.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome<L> {
    allowed: L,
    denied: L,
}

impl Outcome<Bits> {
    fn answer(&self, at: usize) -> Answer {
        match (self.allowed.has(at), self.denied.has(at)) {
            (true, false) => Answer::Allowed,
            (false, _) => Answer::Denied,
            (true, true) => Answer::Partly,
        }
    }
}

impl Row {
    /// What comes of a span, by its position.
    fn answer(&self, span: usize, peer: usize) -> Option<Answer> {
        let outcome = self.outcomes.get(*self.places.get(span)?)?;
        Some(outcome.answer(peer))
    }
}

const WAYS: [Way; 2] = [Way::Ingress, Way::Egress];

impl World {
    /// Works out who may reach whom. What the world says of its pods counts only where they are members.
    #[must_use]
    pub fn reach<'a>(&'a self, members: &'a [Member]) -> Reach<'a> {
        let mut reach = Reach {
            world: self,
            ends: RuleEnds::new(self, members),
            rules: Vec::new(),
            applying: members.iter().map(|_| ByWay::default()).collect(),
            rows: Vec::new(),
            work: Work::default(),
        };
        for (tier, of_tier) in self.tiers().iter().enumerate() {
            for at in of_tier.policies.clone() {
                reach.take(at, tier);
            }
        }
        for at in 0..members.len() {
            let mut row = ByWay::default();
            for way in WAYS {
                *row.of_mut(way) = reach.row(at, way);
            }
            reach.rows.push(row);
        }
        (reach.work.conditions, reach.work.rule_ends) = reach.ends.work();
        reach
    }
}

impl<'a> Reach<'a> {
    /// Takes the next policy in the order of evaluation.
    fn take(&mut self, at: usize, tier: usize) {
        let mut judged = ByWay::<Vec<JudgedRule<'a>>>::default();
        let Some(policy) = self.world.policies().get(at) else {
            return;
        };
        let selected = self.ends.selected(&policy.selector);
        let is_of_somebody = selected.perhaps.iter().next().is_some();
        for way in WAYS {
            let Some(rules) = rules(policy, way).filter(|_| is_of_somebody) else {
                continue;
            };
            for member in selected.perhaps.iter() {
                let surely = selected.surely.has(member);
                if let Some(applying) = self.applying.get_mut(member) {
                    applying.of_mut(way).push(Applying {
                        policy: at,
                        tier,
                        surely,
                    });
                }
            }
            for rule in rules {
                let (source, destination) = self.ends.judge(rule);
                judged.of_mut(way).push(JudgedRule {
                    rule,
                    source,
                    destination,
                });
            }
        }
        self.rules.push(judged);
    }

    fn row(&mut self, at: usize, way: Way) -> Row {
        let spans = self.spans(at, way);
        let mut row = Row::default();
        let everybody = Bits::first(self.applying.len(), self.ends.pods.length());
        for span in spans {
            let outcome = self.outcomes(at, way, span, &everybody);
            self.work.rules += self.rules_of(at, way).count();
            let mut denied = everybody.clone();
            denied.and_not(&outcome.allowed);
            match &mut row.denied {
                Some(known) => known.and(&denied),
                None => row.denied = Some(denied),
            }
            row.spans.push(span);
            if row.outcomes.last() != Some(&outcome) {
                row.outcomes.push(outcome);
            }
            row.places.push(row.outcomes.len() - 1);
        }
        row
    }

    fn rules_of(&self, at: usize, way: Way) -> impl Iterator<Item = &JudgedRule<'a>> {
        let applying = self.applying.get(at).into_iter();
        let applying = applying.flat_map(move |it| it.of(way));
        let rules = applying.filter_map(|it| self.rules.get(it.policy));
        rules.flat_map(move |it| it.of(way))
    }

    fn spans(&self, at: usize, way: Way) -> Vec<PortSpan> {
        let services = self.rules_of(at, way);
        let services = services.filter_map(|it| it.rule.destination.service.as_ref());
        let ports = services.flat_map(|service| self.ends.answering(service));
        let ports: BTreeSet<_> = ports.filter_map(|(_, _, port)| *port).collect();
        port_span::spans(self.rules_of(at, way).map(|it| it.rule), &ports)
    }

    fn rows(&self, from: usize, to: usize) -> Option<(&Row, &Row)> {
        let egress = self.rows.get(from)?.of(Way::Egress);
        let ingress = self.rows.get(to)?.of(Way::Ingress);
        Some((egress, ingress))
    }

    /// Whether nothing at all passes from any of some members to any of others, on any port.
    #[must_use]
    pub fn is_closed(&self, from: &[usize], to: &[usize]) -> bool {
        let denies = |row: &Row, peer: usize| row.denied.as_ref().is_some_and(|it| it.has(peer));
        from.iter().all(|from| {
            to.iter().all(|to| {
                self.rows(*from, *to)
                    .is_none_or(|(egress, ingress)| denies(egress, *to) || denies(ingress, *from))
            })
        })
    }

    /// What passes from some members to others, by port, without what decides it.
    #[must_use]
    pub fn answers(&self, from: &[usize], to: &[usize]) -> Vec<(PortSpan, Answer)> {
        let mut all: Option<Vec<(PortSpan, Answer)>> = None;
        for from in from {
            for to in to {
                let Some((egress, ingress)) = self.rows(*from, *to) else {
                    continue;
                };
                let spans = port_span::overlaid(&egress.spans, &ingress.spans);
                let own: Vec<_> = spans
                    .into_iter()
                    .filter_map(|(span, at_egress, at_ingress)| {
                        let out = egress.answer(at_egress, *to)?;
                        let into = ingress.answer(at_ingress, *from)?;
                        Some((span, out.max(into)))
                    })
                    .collect();
                all = Some(match all {
                    None => own,
                    Some(known) => together(&known, &own),
                });
            }
        }
        all.unwrap_or_default()
    }

    /// What passes from some members to others on one port, and the span that it lies in.
    #[must_use]
    pub fn answer_on(
        &self,
        from: &[usize],
        to: &[usize],
        (protocol, port): (TransportProtocol, u16),
    ) -> Option<(PortSpan, Answer)> {
        let answers = self.answers(from, to);
        let named = answers.iter().find(|(span, _)| span.holds(protocol, port));
        named.or(answers.last()).copied()
    }

    /// What passes from some members to others: one passage for each answer and all that decides it. Where nothing
    /// passes at all, that is one passage; else what is denied is left out.
    #[must_use]
    pub fn passages(&self, from: &[usize], to: &[usize]) -> Vec<Passage> {
        let answers = self.answers(from, to);
        let count = answers.len();
        let open = answers.iter().filter(|(_, it)| *it != Answer::Denied);
        let open: Vec<_> = open.copied().collect();
        if open.is_empty() {
            // What denies all that is not named says most.
            let last = answers.last().map(|(span, answer)| {
                let (egress, ingress) = self.deciders(from, to, *span, *answer);
                Passage {
                    answer: *answer,
                    ports: Vec::new(),
                    egress,
                    ingress,
                }
            });
            return last.into_iter().collect();
        }
        let mut passages: Vec<Passage> = Vec::new();
        for (span, answer) in open {
            let (egress, ingress) = self.deciders(from, to, span, answer);
            let same = passages
                .iter_mut()
                .find(|it| it.answer == answer && it.egress == egress && it.ingress == ingress);
            match same {
                Some(same) => same.ports.push(span),
                None => passages.push(Passage {
                    answer,
                    ports: vec![span],
                    egress,
                    ingress,
                }),
            }
        }
        for passage in &mut passages {
            if passage.ports.len() == count {
                passage.ports.clear();
            } else {
                passage.ports = PortSpan::merged(&passage.ports);
            }
        }
        passages
    }

    /// What may decide in both directions; of what is denied, only what denies.
    fn deciders(
        &self,
        from: &[usize],
        to: &[usize],
        span: PortSpan,
        answer: Answer,
    ) -> (Vec<Decider>, Vec<Decider>) {
        let told = |way| {
            let links = self.chain(from, to, way, span).into_iter();
            let deciding = links.filter(|it| match answer {
                Answer::Denied => it.does == Does::Denies,
                Answer::Allowed | Answer::Partly => it.does != Does::Passes,
            });
            deciding.map(|it| it.by).collect()
        };
        (told(Way::Egress), told(Way::Ingress))
    }

    /// What the policies of one member say of what passes between it and others in one direction, by port. What those of
    /// the others say is left out.
    #[must_use]
    pub fn own_answers(&self, of: usize, peers: &[usize], way: Way) -> Vec<(PortSpan, Answer)> {
        let Some(row) = self.rows.get(of).map(|it| it.of(way)) else {
            return Vec::new();
        };
        let answer = |span| {
            let mut all = peers.iter().filter_map(|peer| row.answer(span, *peer));
            let first = all.next()?;
            let is_same = all.all(|it| it == first);
            Some(if is_same { first } else { Answer::Partly })
        };
        let spans = row.spans.iter().enumerate();
        spans
            .filter_map(|(at, span)| Some((*span, answer(at)?)))
            .collect()
    }

    /// What may do something in one direction about some ports, in the order of evaluation.
    #[must_use]
    pub fn chain(&self, from: &[usize], to: &[usize], way: Way, span: PortSpan) -> Vec<Link> {
        let mut steps: Vec<(Step, Does)> = Vec::new();
        for from in from {
            for to in to {
                let (own, peer) = match way {
                    Way::Egress => (*from, *to),
                    Way::Ingress => (*to, *from),
                };
                for step in self.steps(own, way, span, peer) {
                    if !steps.contains(&step) {
                        steps.push(step);
                    }
                }
            }
        }
        let links = steps.iter().filter_map(|(step, does)| {
            Some(Link {
                by: self.decider(step)?,
                tier: self.tier(step).map(str::to_owned),
                does: *does,
            })
        });
        links.collect()
    }

    /// How much had to be looked at.
    #[must_use]
    pub fn work(&self) -> Work {
        self.work
    }
}

/// What is true of two of which both are meant.
fn together(one: &[(PortSpan, Answer)], other: &[(PortSpan, Answer)]) -> Vec<(PortSpan, Answer)> {
    let spans = |all: &[(PortSpan, Answer)]| all.iter().map(|it| it.0).collect::<Vec<_>>();
    let overlaid = port_span::overlaid(&spans(one), &spans(other));
    let both = overlaid.into_iter().filter_map(|(span, at_one, at_other)| {
        let (one, other) = (one.get(at_one)?.1, other.get(at_other)?.1);
        let answer = if one == other { one } else { Answer::Partly };
        Some((span, answer))
    });
    both.collect()
}
