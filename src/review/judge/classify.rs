//! Why a peer reaches beyond a boundary, read off the way in which it is written.

use crate::api::names::{APPLICATION_CODE, METADATA_NAME, OWNER, STAGE, ZONE};
use crate::policy::{Comparison, NAME, NAMESPACE, OF_NAMESPACE, Selector};
use crate::review::Rule;
use crate::review::landscape::Boundary;

use super::walk::{Namespaces, WalkedRule};

/// The rule by which a peer is found that selects pods outside.
pub(super) fn rule(walked: &WalkedRule, boundary: &Boundary) -> Rule {
    if walked.has_accounts && !matches!(walked.namespaces, Namespaces::By(_)) {
        return Rule::ServiceAccounts;
    }
    match &walked.namespaces {
        Namespaces::All => Rule::AllNamespaces,
        Namespaces::None => Rule::OutsideCluster,
        Namespaces::By(selector) => by(&said(selector), boundary),
        // A cluster-wide policy may say it among the labels of pods.
        Namespaces::Own | Namespaces::Any => {
            let selector = walked.end.selector.as_ref();
            let mut said = selector.map(said).unwrap_or_default();
            said.retain(|it| it.label.starts_with(OF_NAMESPACE) || it.label == NAMESPACE);
            for it in &mut said {
                it.label = match it.label.strip_prefix(OF_NAMESPACE) {
                    Some(label) => label,
                    None => NAME,
                };
            }
            if said.is_empty() {
                Rule::AllNamespaces
            } else {
                by(&said, boundary)
            }
        }
    }
}

fn by(said: &[Said<'_>], boundary: &Boundary) -> Rule {
    let codes = said
        .iter()
        .filter(|it| it.label == APPLICATION_CODE || it.label == OWNER);
    let codes: Vec<_> = codes.collect();
    let is_own = |label: &str, value: &str| match label {
        APPLICATION_CODE => boundary.code == value,
        _ => boundary.landing_zone.as_deref() == Some(value),
    };
    let mut asked = codes
        .iter()
        .filter_map(|it| Some((it.label, it.comparison?, it.wanted)))
        .filter(|(_, comparison, wanted)| is_positive(comparison) == *wanted)
        .peekable();
    if asked.peek().is_some() {
        let is_only_own = asked.all(|(label, comparison, _)| match comparison {
            Comparison::Equal(value) | Comparison::NotEqual(value) => is_own(label, value),
            Comparison::In(values) | Comparison::NotIn(values) => {
                values.iter().all(|value| is_own(label, value))
            }
            _ => false,
        });
        return if is_only_own {
            Rule::CodeOptional
        } else {
            Rule::CodeWrong
        };
    }
    if codes.iter().any(|it| it.comparison.is_some()) {
        return Rule::CodeNegated;
    }
    if !codes.is_empty() {
        return Rule::CodeMissing;
    }
    let is_name = |it: &Said<'_>| [NAME, METADATA_NAME].contains(&it.label);
    if said.iter().any(is_name) {
        Rule::NamespaceName
    } else if said.iter().all(|it| [ZONE, STAGE].contains(&it.label)) {
        Rule::CodeMissing
    } else {
        Rule::NamespaceLabels
    }
}

fn is_positive(comparison: &Comparison) -> bool {
    !matches!(comparison, Comparison::NotEqual(_) | Comparison::NotIn(_))
}

/// What is said of one label somewhere in a selector.
struct Said<'a> {
    label: &'a str,
    /// None: only that it is there.
    comparison: Option<&'a Comparison>,
    /// Whether it has to hold, or must not.
    wanted: bool,
}

fn said(selector: &Selector) -> Vec<Said<'_>> {
    let mut all = Vec::new();
    collect(selector, true, &mut all);
    all
}

fn collect<'a>(selector: &'a Selector, wanted: bool, all: &mut Vec<Said<'a>>) {
    match selector {
        Selector::All | Selector::Global => {}
        Selector::Has(label) => all.push(Said {
            label,
            comparison: None,
            wanted,
        }),
        Selector::Compare(label, comparison) => all.push(Said {
            label,
            comparison: Some(comparison),
            wanted,
        }),
        Selector::Not(inner) => collect(inner, !wanted, all),
        Selector::And(operands) | Selector::Or(operands) => {
            for operand in operands {
                collect(operand, wanted, all);
            }
        }
    }
}
