//! Whether labels are what a selector means.

use std::collections::BTreeMap;

use super::{Comparison, Selector};

/// Labels, of whatever has some.
pub trait Labels {
    /// The value of a label; None where it is missing.
    fn label(&self, key: &str) -> Option<&str>;
}

impl Labels for BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

impl Selector {
    /// Whether it selects what has these labels. `global()` selects everything, as `all()` does: what it means
    /// in a rule is decided where rules are read.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use landing_zone_operator::policy::Selector;
    /// let selector: Selector = "zone != 'web'".parse().unwrap();
    /// assert!(selector.matches(&BTreeMap::new()));
    /// ```
    #[must_use]
    pub fn matches(&self, labels: &impl Labels) -> bool {
        match self {
            Self::All | Self::Global => true,
            Self::Has(label) => labels.label(label).is_some(),
            Self::Compare(label, comparison) => comparison.matches(labels.label(label)),
            Self::Not(inner) => !inner.matches(labels),
            Self::And(operands) => operands.iter().all(|it| it.matches(labels)),
            Self::Or(operands) => operands.iter().any(|it| it.matches(labels)),
        }
    }
}

impl Comparison {
    /// Whether it holds for a label's value; None where the label is missing.
    #[must_use]
    pub fn matches(&self, found: Option<&str>) -> bool {
        match self {
            Self::Equal(value) => found == Some(value),
            Self::NotEqual(value) => found != Some(value),
            Self::Contains(text) => found.is_some_and(|found| found.contains(text)),
            Self::StartsWith(text) => found.is_some_and(|found| found.starts_with(text)),
            Self::EndsWith(text) => found.is_some_and(|found| found.ends_with(text)),
            Self::In(values) => found.is_some_and(|found| values.contains(found)),
            Self::NotIn(values) => found.is_none_or(|found| !values.contains(found)),
        }
    }
}
