//! How much is looked at before it is given up: whoever asks then takes it for new.

use ipnet::IpNet;

use crate::policy::{Selector, example};
use crate::review::address::without;

/// So many parts of selectors, and pairs of ranges, are looked at in one comparison of two policies.
const MOST: usize = 400_000;
/// More parts at once can take as long as is allowed, each time.
const MOST_PARTS: usize = 2048;
/// After so many that are too complex, the rest is taken for such, too.
const MOST_COMPLEX: usize = 3;
/// A pair of ranges is quicker to look at than a part of a selector.
const PAIRS_OF_A_PART: usize = 16;

/// What is left of it.
pub(super) struct Work {
    left: usize,
    complex: usize,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            left: MOST,
            complex: 0,
        }
    }
}

impl Work {
    /// Whether surely no labels at all are what these select.
    pub(super) fn never(&mut self, selectors: &[Selector]) -> bool {
        self.are_some(selectors) == Some(false)
    }

    /// Whether some labels are what these select; None where it is not looked at any more.
    pub(super) fn are_some(&mut self, selectors: &[Selector]) -> Option<bool> {
        let parts = selectors.iter().map(Selector::parts).sum();
        if parts > MOST_PARTS || self.complex >= MOST_COMPLEX || !self.spend(parts) {
            return None;
        }
        let found = example(selectors);
        self.complex += usize::from(found.is_err());
        found.ok().map(|found| found.is_some())
    }

    /// Whether all of some ranges lie in others.
    pub(super) fn lie_in(&mut self, some: &[IpNet], others: &[IpNet]) -> bool {
        self.left_of(some, others)
            .is_some_and(|left| left.is_empty())
    }

    /// What is left of some ranges without others; None where it is not looked at any more.
    pub(super) fn left_of(&mut self, some: &[IpNet], others: &[IpNet]) -> Option<Vec<IpNet>> {
        if some == others {
            return Some(Vec::new());
        }
        let pairs = some.len().saturating_mul(others.len());
        self.spend(pairs / PAIRS_OF_A_PART)
            .then(|| without(some, others))
    }

    /// Takes work from what is left; false: there is not so much.
    pub(super) fn spend(&mut self, work: usize) -> bool {
        let left = self.left.checked_sub(work);
        self.left = left.unwrap_or_default();
        left.is_some()
    }
}
