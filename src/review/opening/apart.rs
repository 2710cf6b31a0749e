//! Whether two rules surely have nothing in common.

use ipnet::IpNet;

use super::ports::Atom;
use super::within::atoms;
use super::work::Work;
use super::{End, RuleShape};
use crate::policy::PortMatch;

impl Work {
    /// Whether no packet is one that both rules are about.
    pub(super) fn are_apart(&mut self, one: &RuleShape, other: &RuleShape) -> bool {
        if !self.spend(one.size() + other.size()) {
            return false;
        }
        let (ports, others) = (atoms(one), atoms(other));
        let pairs = ports.len().saturating_mul(others.len());
        let have_none_in_common = self.spend(pairs)
            && ports
                .iter()
                .all(|it| others.iter().all(|other| have_none(it, other)));
        have_none_in_common || self.mean_nobody(&one.outside, &other.outside)
    }

    /// Whether nobody is what both ends mean.
    fn mean_nobody(&mut self, one: &End, other: &End) -> bool {
        if let (Some(nets), Some(others)) = (&one.nets, &other.nets) {
            let overlap = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
            let pairs = nets.len().saturating_mul(others.len());
            let mut nets = nets.iter();
            if self.spend(pairs) && !nets.any(|it| others.iter().any(|other| overlap(it, other))) {
                return true;
            }
        }
        // What has an address by one network set may have it by another one, too, or be a pod; a pod has its own.
        let is_of_pods = |end: &End| end.sets.is_empty() && end.service.is_none();
        match (&one.meant, &other.meant) {
            (Some(meant), Some(others)) if is_of_pods(one) && is_of_pods(other) => {
                self.never(&[meant.clone(), others.clone()])
            }
            _ => false,
        }
    }
}

/// Whether two ports are surely different ones.
fn have_none((protocol, port): &Atom, (others, other): &Atom) -> bool {
    let (Some(protocol), Some(others)) = (protocol, others) else {
        return false;
    };
    let is_before = |one: &Option<PortMatch>, other: &Option<PortMatch>| match (one, other) {
        (Some(PortMatch::Range(_, last)), Some(PortMatch::Range(first, _))) => last < first,
        _ => false,
    };
    protocol != others || is_before(port, other) || is_before(other, port)
}
