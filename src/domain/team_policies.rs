//! Where policies of others decide already.

use std::collections::{BTreeMap, BTreeSet};

use super::NamespaceName;
use crate::policy::{MAX_SELECTOR_LENGTH, Selector};

/// Directions of traffic, seen from pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directions {
    /// Others connect to them.
    pub ingress: bool,
    /// They connect to others.
    pub egress: bool,
}

impl Directions {
    /// Both.
    pub const BOTH: Self = Self {
        ingress: true,
        egress: true,
    };

    /// What is in one of the two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            ingress: self.ingress || other.ingress,
            egress: self.egress || other.egress,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// The pods of a namespace that somebody else's policies select in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectedPods {
    /// Those that match one of these; none without any.
    Matching(BTreeSet<Selector>),
    /// Every pod.
    All,
}

impl Default for SelectedPods {
    fn default() -> Self {
        Self::Matching(BTreeSet::new())
    }
}

impl SelectedPods {
    /// Adds what one policy selects: the pods that match, every pod without a selector.
    pub fn add(&mut self, pods: Option<&Selector>) {
        match (&mut *self, pods) {
            (Self::All, _) => {}
            (Self::Matching(selectors), Some(pods)) => {
                selectors.insert(pods.clone());
            }
            (Self::Matching(_), None) => *self = Self::All,
        }
    }

    /// The pods that nobody else's policy selects. None where there are none, or where nothing short
    /// enough for Calico says which they are.
    #[must_use]
    pub fn others(&self) -> Option<Selector> {
        let Self::Matching(selectors) = self else {
            return None;
        };
        let others = Selector::none_match(selectors.iter().cloned());
        (others.to_string().len() <= MAX_SELECTOR_LENGTH).then_some(others)
    }
}

/// The pods of a namespace that somebody else's policies select, by direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Others connect to them.
    pub ingress: SelectedPods,
    /// They connect to others.
    pub egress: SelectedPods,
}

/// Where somebody else's policies select pods: such a policy closes the rest of its direction, and an
/// Allow of ours in the same tier would open it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeamPolicies(pub BTreeMap<NamespaceName, Selected>);

impl TeamPolicies {
    /// What is selected in a namespace.
    #[must_use]
    pub fn of(&self, namespace: &NamespaceName) -> Selected {
        self.0.get(namespace).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(selectors: &[&str]) -> SelectedPods {
        let mut selected = SelectedPods::default();
        for selector in selectors {
            selected.add(Some(&selector.parse().unwrap()));
        }
        selected
    }

    #[test]
    fn the_others_are_those_that_no_policy_selects() {
        let others = |selected: &SelectedPods| selected.others().map(|it| it.to_string());
        let mut two = selected(&["app == 'a'", "has(b) || c == 'd'", "app == 'a'"]);
        assert_eq!(others(&two).unwrap(), "!(app == 'a' || has(b) || c == 'd')");
        assert_eq!(others(&selected(&["!has(a)"])).unwrap(), "has(a)");
        assert_eq!(others(&SelectedPods::default()).unwrap(), "all()");
        two.add(None);
        assert_eq!(others(&two), None);
        let long = format!("a == '{}'", "b".repeat(1024));
        assert_eq!(others(&selected(&[&long])), None);
    }
}
