//! Whether all peers of one rule are among those of another one.

use ipnet::IpNet;

use super::within::Extent;
use super::work::Work;
use super::{End, Local, RuleShape, everything};
use crate::policy::{AddressSet, Selector, Way};
use crate::review::address::without;
use crate::review::covered::Cover;
use crate::review::known::{is_pod, outside_namespaces};

/// So many earlier rules are looked at for whether they leave anybody.
const MOST_EARLIER: usize = 64;

/// Peers of a rule outside of a boundary, on some of its ports.
pub(super) struct Peers<'a> {
    pub(super) end: &'a End,
    pub(super) way: Way,
    /// Those that the policy is for.
    pub(super) local: &'a Local,
    /// What is declared on these ports.
    pub(super) covers: Vec<&'a Cover>,
    pub(super) extent: Extent,
}

impl Peers<'_> {
    /// Ranges that are meant; None: every address. What is declared is told of ranges that are named, and not of others.
    fn nets(&self) -> Option<Vec<IpNet>> {
        let nets = self.end.nets.clone()?;
        let is_by_nets = self.end.has_nets && self.end.meant.is_none();
        Some(if is_by_nets {
            self.declared_out(nets)
        } else {
            nets
        })
    }

    /// Ranges of network sets outside that are meant.
    fn set_nets(&self) -> Vec<IpNet> {
        let own = &self.local.own;
        let is_foreign = |set: &&AddressSet| set.name.0.as_ref().is_none_or(|it| !own.contains(it));
        let sets = self.end.sets.iter().map(AsRef::as_ref).filter(is_foreign);
        sets.flat_map(|it| &it.nets).copied().collect()
    }

    fn declared_out(&self, nets: Vec<IpNet>) -> Vec<IpNet> {
        self.covers.iter().fold(nets, |left, cover| {
            without(&left, &without(&cover.nets, &cover.except))
        })
    }

    /// Whether a service is one of the boundary, or declared.
    fn is_settled(&self, (namespace, name): &(String, String)) -> bool {
        let service = Some((namespace.as_str(), name.as_str()));
        let mut covers = self.covers.iter();
        // The ports of a service are its own.
        let is_dns = service == Some(("kube-system", "kube-dns")) && self.way == Way::Egress;
        self.local.own.contains(namespace)
            || covers.any(|it| it.service == service)
            || (is_dns && self.extent == Extent::Undeclared)
    }

    /// Conditions on the labels of pods outside that are meant, and not declared.
    fn pods(&self, meant: &Selector) -> Vec<Selector> {
        let declared = self.covers.iter().filter_map(|it| it.pods.clone());
        let mut all = vec![meant.clone(), self.local.inside.clone().negate()];
        all.extend(declared.map(Selector::negate));
        all
    }

    /// Whether what is declared of network sets is all that is meant, so that what else lies in no namespace is not; None where
    /// nobody knows.
    fn is_about_sets(&self, meant: &Selector, work: &mut Work) -> Option<bool> {
        let sets = self.set_nets();
        if sets.is_empty() || !self.declared_out(sets).is_empty() {
            return Some(false);
        }
        let outside = self.local.inside.clone().negate();
        let pods = work.are_some(&[meant.clone(), outside, is_pod()]);
        pods.map(|are_some| !are_some)
    }
}

impl Work {
    /// Whether surely nobody is meant, behind what earlier rules take away.
    pub(super) fn is_nobody(&mut self, peers: &Peers<'_>, earlier: &[RuleShape]) -> bool {
        let end = peers.end;
        if let Some(service) = &end.service {
            return peers.is_settled(service);
        }
        if peers.nets().is_some_and(|it| it.is_empty()) {
            return true;
        }
        let Some(meant) = &end.meant else {
            return false;
        };
        if !peers.declared_out(peers.set_nets()).is_empty() {
            return false;
        }
        let earlier = earlier.iter().filter_map(RuleShape::only_meant);
        let earlier = earlier.take(MOST_EARLIER).map(|it| it.clone().negate());
        let meant = Selector::and([meant.clone()].into_iter().chain(earlier));
        let mut pods = peers.pods(&meant);
        pods.push(is_pod());
        self.never(&pods)
            && (self.never(&[outside_namespaces(&meant)])
                || peers.is_about_sets(&meant, self) == Some(true))
    }

    /// Whether all of some peers are surely among others.
    pub(super) fn are_among(&mut self, now: &Peers<'_>, before: &Peers<'_>) -> bool {
        let (end, other) = (now.end, before.end);
        if let Some(service) = &other.service {
            return end.service.as_ref() == Some(service) && !before.is_settled(service);
        }
        if !self.says_as_much(end, other, (now.nets(), before.nets())) {
            return false;
        }
        let Some(theirs) = &other.meant else {
            return true;
        };
        let Some(meant) = &end.meant else {
            return false;
        };
        let of_pods = |peers: &Peers<'_>| -> Vec<Option<Selector>> {
            peers.covers.iter().map(|it| it.pods.clone()).collect()
        };
        let is_same = meant == theirs
            && now.local.inside == before.local.inside
            && of_pods(now) == of_pods(before);
        let mut pods = now.pods(meant);
        pods.push(is_pod());
        pods.push(Selector::and(before.pods(theirs)).negate());
        (is_same || self.never(&pods))
            && self.lie_in(
                &now.declared_out(now.set_nets()),
                &before.declared_out(before.set_nets()),
            )
            && self.are_outside(now, before, (meant, theirs))
    }

    /// Whether what is meant in no namespace was meant there before.
    fn are_outside(
        &mut self,
        now: &Peers<'_>,
        before: &Peers<'_>,
        (meant, theirs): (&Selector, &Selector),
    ) -> bool {
        let is_about_sets = now.is_about_sets(meant, self) == Some(true);
        if before.is_about_sets(theirs, self) != Some(false) {
            return is_about_sets || self.never(&[outside_namespaces(meant)]);
        }
        let more = Selector::and([meant.clone(), theirs.clone().negate()]);
        is_about_sets || meant == theirs || self.never(&[outside_namespaces(&more)])
    }

    /// Whether an end means no more than another one, whoever is asked.
    pub(super) fn means_no_more(&mut self, now: &End, before: &End) -> bool {
        if now == before {
            return true;
        }
        if before.service.is_some() {
            return now.service == before.service;
        }
        if !self.says_as_much(now, before, (now.nets.clone(), before.nets.clone())) {
            return false;
        }
        match (&now.meant, &before.meant) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(meant), Some(theirs)) => {
                (meant == theirs || self.never(&[meant.clone(), theirs.clone().negate()]))
                    && self.lie_in(&all_nets(now), &all_nets(before))
            }
        }
    }

    /// Whether an end is as narrow as another one in all that is not about the labels of whoever is meant. Ranges are those
    /// that count; None: every address.
    fn says_as_much(
        &mut self,
        end: &End,
        other: &End,
        (nets, others): (Option<Vec<IpNet>>, Option<Vec<IpNet>>),
    ) -> bool {
        if end.unseen.is_some() || other.unseen.is_some() {
            return false;
        }
        if end.service.is_some() {
            // Nobody knows its addresses.
            return other.meant.is_none() && other.not.is_none() && others.is_none();
        }
        if let Some(others) = others
            && !self.lie_in(&nets.unwrap_or_else(everything), &others)
        {
            return false;
        }
        let Some(out) = &other.not else {
            return true;
        };
        match (&end.not, &end.meant) {
            // What was left out has to be left out still.
            (Some(not), _) => {
                (not == out || self.never(&[out.clone(), not.clone().negate()]))
                    && self.lie_in(&all_nets(other), &all_nets(end))
            }
            (None, Some(meant)) => {
                let (own, others) = (all_nets(end), all_nets(other));
                self.never(&[out.clone(), meant.clone()])
                    && self
                        .left_of(&own, &others)
                        .is_some_and(|left| self.lie_in(&own, &left))
            }
            (None, None) => false,
        }
    }
}

/// The ranges of all network sets that an end is about.
fn all_nets(end: &End) -> Vec<IpNet> {
    let sets = end.sets.iter().flat_map(|it| &it.nets);
    sets.copied().collect()
}
