//! Pods as crossings name them: a zone, and labels.

use std::collections::BTreeMap;

use super::Selected;
use crate::domain::{is_label_key, is_label_value};
use crate::policy::{Comparison, LabelMap, OF_NAMESPACE, OF_SERVICE_ACCOUNT, Selector};
use crate::review::declare::{Peer, Side};
use crate::review::landscape::KnownNamespace;

/// Labels that one selector of a declaration takes, and characters of all of them.
const MOST_LABELS: usize = 8;
const LONGEST_LABELS: usize = 800;
/// Calico's own labels of pods begin so.
const CALICOS: &str = "projectcalico.org/";

/// Pods that a policy selects.
pub(super) struct OwnEnd<'a> {
    /// Their zone; None: they may be in several.
    pub(super) zone: Option<&'a str>,
    /// Labels that all of them have, and no others in that zone; empty: no labels say which they are.
    pub(super) labels: LabelMap,
}

/// The pods that a policy selects.
pub(super) fn end<'a>(selected: &Selected<'a>) -> OwnEnd<'a> {
    let mut pods = selected.pods.iter().map(|(_, selector)| selector);
    let first = pods.next().filter(|first| pods.all(|it| it == *first));
    OwnEnd {
        zone: selected.namespace.and_then(KnownNamespace::zone),
        labels: first.and_then(labels).unwrap_or_default(),
    }
}

impl OwnEnd<'_> {
    /// As their landing zone names them.
    pub(super) fn peer(&self, selected: &Selected<'_>) -> Peer {
        self.side(selected).peer()
    }

    /// As one side of a crossing.
    pub(super) fn side<'s>(&'s self, selected: &'s Selected<'_>) -> Side<'s> {
        Side {
            landing_zone: selected.boundary.name(),
            zone: self.zone,
            labels: Some(&self.labels),
            declared: &selected.boundary.crossings,
        }
    }
}

/// The labels by which a selector says the same; None: it asks for something else.
pub(super) fn labels(selector: &Selector) -> Option<LabelMap> {
    let conditions = match selector {
        Selector::All => &[][..],
        Selector::And(operands) => operands,
        other => std::slice::from_ref(other),
    };
    let mut labels = BTreeMap::new();
    for condition in conditions {
        let (key, value) = label(condition)?;
        let known = labels.insert(key.to_owned(), value.to_owned());
        if known.is_some_and(|known| known != value) {
            return None;
        }
    }
    is_short(&labels).then_some(labels)
}

/// Labels that whatever a selector selects has.
pub(super) fn necessary(selector: &Selector) -> LabelMap {
    let conditions = match selector {
        Selector::And(operands) => operands,
        other => std::slice::from_ref(other),
    };
    let labels = conditions.iter().filter_map(label);
    let labels: LabelMap = labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    if is_short(&labels) {
        labels
    } else {
        LabelMap::new()
    }
}

fn is_short(labels: &LabelMap) -> bool {
    let length: usize = labels
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    labels.len() <= MOST_LABELS && length <= LONGEST_LABELS
}

/// A condition that a pod has this label of its own.
fn label(condition: &Selector) -> Option<(&str, &str)> {
    let Selector::Compare(key, comparison) = condition else {
        return None;
    };
    let value = match comparison {
        Comparison::Equal(value) => value.as_str(),
        Comparison::In(values) if values.len() == 1 => values.iter().next()?,
        _ => return None,
    };
    let others = [OF_NAMESPACE, OF_SERVICE_ACCOUNT, CALICOS];
    let is_own = !others.iter().any(|it| key.starts_with(it));
    (is_own && is_label_key(key) && is_label_value(value)).then_some((key, value))
}
