//! Whether several openings together hold all of another one: each piece of it lies in one of them.

use super::ports::parts;
use super::within::{Comparing, Extent};
use super::{Opening, Ports};
use crate::policy::Selector;

/// So many others are asked, and so many pieces are made of the ports.
const MOST: usize = 32;
/// So much work it is to make a piece and to look at it.
const OF_A_PIECE: usize = 32;

impl Comparing {
    /// Whether all that the one opens is open in the others, piece by piece: port by port, and of each by the ranges, or by the
    /// labels, that others name.
    pub(in crate::review) fn is_within_all(
        &mut self,
        now: &Opening,
        before: &[&Opening],
        extent: Extent,
    ) -> bool {
        if before.len() < 2 {
            return false;
        }
        let before = &before[..before.len().min(MOST)];
        let ports = each_port(&now.rule.ports);
        if ports.len() > MOST {
            return false;
        }
        // What lies within one alone is looked at first, and has work of its own.
        std::mem::swap(&mut self.work, &mut self.of_pieces);
        let is_within = ports.into_iter().all(|ports| {
            if !self.pays_for(now) {
                return false;
            }
            let mut piece = now.clone();
            piece.rule.ports = ports.into_iter().collect();
            let mut each = before.iter();
            each.any(|it| self.pays_for(&piece) && self.is_within(&piece, it, extent))
                || self.is_by_ranges(&piece, before, extent)
                || self.is_by_labels(&piece, before, extent)
        });
        std::mem::swap(&mut self.work, &mut self.of_pieces);
        is_within
    }

    /// Takes the work that it is to look at a piece.
    fn pays_for(&mut self, piece: &Opening) -> bool {
        self.work.spend(OF_A_PIECE + piece.rule.size())
    }

    fn is_by_ranges(&mut self, now: &Opening, before: &[&Opening], extent: Extent) -> bool {
        let Some(mut left) = now.rule.outside.nets.clone() else {
            return false;
        };
        for known in before {
            let Some(ranges) = &known.rule.outside.nets else {
                continue;
            };
            let Some(rest) = self.work.left_of(&left, ranges) else {
                return false;
            };
            let Some(own) = self.work.left_of(&left, &rest) else {
                return false;
            };
            if own.is_empty() {
                continue;
            }
            if !self.pays_for(now) {
                return false;
            }
            let mut piece = now.clone();
            piece.rule.outside.nets = Some(own);
            if self.is_within(&piece, known, extent) {
                left = rest;
            }
        }
        left.is_empty()
    }

    fn is_by_labels(&mut self, now: &Opening, before: &[&Opening], extent: Extent) -> bool {
        let Some(mut left) = now.rule.outside.meant.clone() else {
            return false;
        };
        for known in before {
            let Some(meant) = &known.rule.outside.meant else {
                continue;
            };
            if !self.pays_for(now) {
                return false;
            }
            // All network sets stay in each piece, as if all of them were meant by it.
            let mut piece = now.clone();
            piece.rule.outside.meant = Some(Selector::and([left.clone(), meant.clone()]));
            if self.is_within(&piece, known, extent) {
                left = Selector::and([left, meant.clone().negate()]);
                if self.work.never(std::slice::from_ref(&left)) {
                    return true;
                }
            }
        }
        false
    }
}

/// A rule's ports, one by one; none: all of them at once.
fn each_port(of_rule: &[Ports]) -> Vec<Option<Ports>> {
    if of_rule.is_empty() {
        return vec![None];
    }
    let all = parts(of_rule, &[]).into_iter();
    let each = all.flat_map(|it| it.ports);
    each.map(|(protocol, port)| Some((protocol, port.into_iter().collect())))
        .collect()
}
