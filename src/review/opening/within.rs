//! Whether one opening lies within another one: whatever it lets through, the other one does as well.
//!
//! What is not surely so counts as not so. One rule lies within another one if each of its criteria is at least as narrow, and
//! all that was taken away before the other one is still taken away before it.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;

use super::peers::Peers;
use super::ports::{Atom, is_in, parts};
use super::work::Work;
use super::{End, Local, Opening, RuleShape, Scope};
use crate::domain::FieldPath;
use crate::policy::{Action, PortMatch};
use crate::review::address::Holds;
use crate::review::covered::Cover;

/// With more rules that take something away, none but equal ones are looked for.
const MOST_TAKEN: usize = 64;

/// What of openings is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::review) enum Extent {
    /// All of it.
    Whole,
    /// What nothing declares.
    Undeclared,
}

/// Compares openings, and remembers what the rules of a direction share.
#[derive(Default)]
pub(in crate::review) struct Comparing {
    pub(super) work: Work,
    /// What is left for openings that lie within several others, so that nothing of it is missing for those that lie in one.
    pub(super) of_pieces: Work,
    scopes: HashMap<(usize, usize), Rc<Scopes>>,
}

/// What the rules of one direction share, compared with the same of another policy.
struct Scopes {
    is_same: bool,
    /// Whether the policy stands where it does not come before others more than the other one.
    is_placed: bool,
    /// For each of those that it is for, those of the other one that hold all of its pods; None: there are no such.
    locals: Vec<Option<Vec<usize>>>,
    /// Whether they are the same.
    same: Vec<bool>,
    /// For each rule of the other policy that takes something away, how many of those here have to come before one for that to
    /// be taken away; None: not all of it is.
    needed: Vec<Option<usize>>,
    /// The most that the first so many of them need.
    most_needed: Vec<Option<usize>>,
}

impl Comparing {
    /// Whether all that the one opens is open in the other one.
    pub(in crate::review) fn is_within(
        &mut self,
        now: &Opening,
        before: &Opening,
        extent: Extent,
    ) -> bool {
        if now.scope.way != before.scope.way {
            return false;
        }
        let scopes = self.scopes(&now.scope, &before.scope);
        if !scopes.is_placed || !self.is_taken(now, before, &scopes) {
            return false;
        }
        let holds = &before.holds;
        if !holds.contains(&Holds::Everything) && has_ranges(before) && !now.holds.is_subset(holds)
        {
            return false;
        }
        // Whatever passes on leaves it to somebody else whether it is allowed.
        let actions = (now.rule.action, before.rule.action);
        if actions.0 != actions.1 && actions != (Action::Pass, Action::Allow) {
            return false;
        }
        let is_same = now.rule == before.rule;
        if is_same && scopes.is_same {
            return true;
        }
        let size = now.rule.size() + before.rule.size();
        if !self.work.spend(size) || (!is_same && !self.work.allows(&now.rule, &before.rule)) {
            return false;
        }
        let locals = now.scope.locals.iter().zip(&scopes.locals);
        let mut locals = locals.zip(&scopes.same);
        locals.all(|((local, others), same)| {
            if *same && is_same {
                return true;
            }
            let others = others.iter().flatten();
            let others: Vec<_> = others
                .filter_map(|it| before.scope.locals.get(*it))
                .collect();
            self.work
                .is_open_for((now, local), (before, &others), extent)
        })
    }

    /// Whether all that was taken away before the other one is taken away before this one, or was none of what it opens.
    fn is_taken(&mut self, now: &Opening, before: &Opening, scopes: &Scopes) -> bool {
        let most = scopes.most_needed.get(before.behind).copied().flatten();
        if most.is_some_and(|most| most <= now.behind) {
            return true;
        }
        let taken = before.scope.taken.iter().zip(&scopes.needed);
        before.behind <= MOST_TAKEN
            && taken.take(before.behind).all(|(rule, needed)| {
                needed.is_some_and(|needed| needed <= now.behind)
                    || self.work.are_apart(&now.rule, rule)
            })
    }

    fn scopes(&mut self, now: &Arc<Scope>, before: &Arc<Scope>) -> Rc<Scopes> {
        let key = (Arc::as_ptr(now).addr(), Arc::as_ptr(before).addr());
        if let Some(known) = self.scopes.get(&key) {
            return known.clone();
        }
        let scopes = Rc::new(self.work.scopes(now, before));
        self.scopes.insert(key, scopes.clone());
        scopes
    }
}

/// Whether an opening is about addresses.
fn has_ranges(opening: &Opening) -> bool {
    let end = &opening.rule.outside;
    end.has_nets || end.meant.is_some()
}

/// Whether all that the one does not understand, the other one has as well: it may be what narrows it.
fn has_all(now: &[(FieldPath, Value)], before: &[(FieldPath, Value)]) -> bool {
    before.iter().all(|it| now.contains(it))
}

impl Work {
    fn scopes(&mut self, now: &Scope, before: &Scope) -> Scopes {
        let is_same = now == before;
        let (one, other) = (&now.place, &before.place);
        let order = |it: Option<f64>| it.unwrap_or(f64::INFINITY);
        let by_name = || one.name.cmp(&other.name);
        let by_order = order(one.order).total_cmp(&order(other.order));
        let place = by_order.then_with(by_name);
        let is_behind = one.only_allows && other.only_allows && place.is_gt();
        let is_placed = one.tier == other.tier
            && (place.is_eq() || is_behind)
            && has_all(&now.unread, &before.unread);
        let mut by_namespace = HashMap::new();
        for (at, local) in before.locals.iter().enumerate() {
            for (namespace, selector) in local.pods.iter() {
                by_namespace.insert(namespace.as_str(), (at, selector));
            }
        }
        let mut same = Vec::with_capacity(now.locals.len());
        let locals = now.locals.iter().map(|local| {
            let mut all = Vec::new();
            for (namespace, selector) in local.pods.iter() {
                let found = by_namespace.get(namespace.as_str());
                let found = found.filter(|(_, other)| {
                    selector == *other || self.never(&[selector.clone(), (*other).clone().negate()])
                });
                match found {
                    Some((at, _)) if all.contains(at) => {}
                    Some((at, _)) => all.push(*at),
                    None => {
                        same.push(false);
                        return None;
                    }
                }
            }
            let is_same = matches!(all.as_slice(), [at] if before.locals.get(*at) == Some(local));
            same.push(is_same);
            Some(all)
        });
        let locals = locals.collect();
        let needed = self.needed(&now.taken, &before.taken);
        Scopes {
            is_same,
            is_placed,
            locals,
            same,
            most_needed: most(&needed),
            needed,
        }
    }

    fn needed(&mut self, now: &[RuleShape], before: &[RuleShape]) -> Vec<Option<usize>> {
        let needed = before.iter().map(|rule| {
            let at = now.iter().position(|it| it == rule).or_else(|| {
                let mut some = now.iter().take(MOST_TAKEN);
                some.position(|it| self.takes_all_of(rule, it))
            });
            at.map(|at| at + 1)
        });
        needed.collect()
    }

    /// Whether a rule takes away all that another one does.
    fn takes_all_of(&mut self, rule: &RuleShape, wider: &RuleShape) -> bool {
        // What is passed on may be allowed after all.
        let takes = wider.action == Action::Deny || rule.action == wider.action;
        let all = atoms(wider);
        takes
            && self.allows(rule, wider)
            && atoms(rule).iter().all(|it| is_in(it, &all))
            && self.means_no_more(&rule.outside, &wider.outside)
    }

    /// Whether all that a rule says, beside its action, its ports and its end outside, is as narrow as in another one.
    fn allows(&mut self, now: &RuleShape, before: &RuleShape) -> bool {
        (before.ip_version.is_none() || now.ip_version == before.ip_version)
            && (before.not_protocol.is_none() || now.not_protocol == before.not_protocol)
            && (before.icmp.is_none() || now.icmp == before.icmp)
            && (before.not_icmp.is_none() || now.not_icmp == before.not_icmp)
            && has_all(&now.unread, &before.unread)
            && has_ports(&now.outside, &before.outside)
            && has_ports(&now.inside, &before.inside)
            && self.means_no_more(&now.inside, &before.inside)
    }

    /// Whether what a rule opens for some pods is open in another one, each time for some of those that hold all of them.
    fn is_open_for(
        &mut self,
        (now, local): (&Opening, &Local),
        (before, others): (&Opening, &[&Local]),
        extent: Extent,
    ) -> bool {
        let way = now.scope.way;
        let own = covers(local, extent);
        for part in parts(&now.rule.ports, own) {
            let peers = Peers {
                end: &now.rule.outside,
                way,
                local,
                covers: part.covers.iter().filter_map(|it| own.get(*it)).collect(),
                extent,
            };
            if self.is_nobody(&peers, &now.scope.taken[..now.behind]) {
                continue;
            }
            if others.is_empty() {
                return false;
            }
            for other in others {
                let theirs = covers(other, extent);
                let mut open = Vec::new();
                for part in parts(&before.rule.ports, theirs) {
                    let covers = part.covers.iter().filter_map(|it| theirs.get(*it));
                    let those = Peers {
                        end: &before.rule.outside,
                        way,
                        local: other,
                        covers: covers.collect(),
                        extent,
                    };
                    if self.are_among(&peers, &those) {
                        open.extend(part.ports);
                    }
                }
                if !part.ports.iter().all(|it| is_in(it, &open)) {
                    return false;
                }
            }
        }
        true
    }
}

/// The most of the first so many, from none on; None: one of them is not there.
fn most(needed: &[Option<usize>]) -> Vec<Option<usize>> {
    let mut most = Some(0);
    let first = most;
    let others = needed.iter().map(|needed| {
        most = most.and_then(|most| needed.map(|needed| most.max(needed)));
        most
    });
    [first].into_iter().chain(others).collect()
}

/// What is declared, as far as that is looked at.
fn covers(local: &Local, extent: Extent) -> &[Cover] {
    match extent {
        Extent::Whole => &[],
        Extent::Undeclared => &local.covers,
    }
}

/// All ports of a rule.
pub(super) fn atoms(rule: &RuleShape) -> Vec<Atom> {
    let parts = parts(&rule.ports, &[]).into_iter();
    parts.flat_map(|it| it.ports).collect()
}

/// Whether ports of an end other than those that are connected to are as narrow as in another one.
fn has_ports(now: &End, before: &End) -> bool {
    let atoms = |ports: &[PortMatch]| -> Vec<Atom> {
        ports.iter().map(|it| (None, Some(it.clone()))).collect()
    };
    let all_in = |some: &[PortMatch], others: &[PortMatch]| {
        let others = atoms(others);
        atoms(some).iter().all(|it| is_in(it, &others))
    };
    let is_narrow =
        before.ports.is_empty() || (!now.ports.is_empty() && all_in(&now.ports, &before.ports));
    is_narrow && all_in(&before.not_ports, &now.not_ports)
}
