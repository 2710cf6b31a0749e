//! Labels and annotations that people give to namespaces, and selectors made of labels.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use crate::api::rule::{self, RESERVED_KEYS, ReservedKeys};
use crate::domain::{FieldPath, syntax};

/// Checks labels for namespaces.
pub(super) fn labels(labels: &BTreeMap<String, String>, path: &FieldPath, findings: &mut Findings) {
    for (key, value) in labels {
        let path = path.key(key);
        key_allowed(key, &path, findings);
        findings.check(&path, value, syntax::label_value_or_empty(value));
    }
}

/// Checks that labels which the platform requires are there, and say something.
pub(super) fn required(
    labels: &BTreeMap<String, String>,
    required: &BTreeSet<String>,
    path: &FieldPath,
    findings: &mut Findings,
) {
    let is_missing = |key: &&String| labels.get(*key).is_none_or(String::is_empty);
    let missing: Vec<&str> = required
        .iter()
        .filter(is_missing)
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let rule = format!(
            "must have a value for {}: add what is missing, since the platform requires it \
             (spec.requiredLabels of the LandingZonePlatform)",
            missing.join(", ")
        );
        findings.report(path, "", rule);
    }
}

/// Reads the keys of labels that the platform requires.
pub(in crate::domain) fn required_keys(
    declared: &[String],
    path: &FieldPath,
    findings: &mut Findings,
) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (index, key) in declared.iter().enumerate() {
        let path = path.index(index);
        findings.check(&path, key, syntax::qualified_name(key));
        if RESERVED_KEYS.iter().any(|keys| includes(keys, key)) {
            findings.report(&path, key, rule::UNSETTABLE_LABEL);
        }
        if !keys.insert(key.clone()) {
            findings.report(&path, key, rule::TWICE);
        }
    }
    keys
}

/// Checks annotations for namespaces.
pub(super) fn annotations(
    annotations: &BTreeMap<String, String>,
    path: &FieldPath,
    findings: &mut Findings,
) {
    for key in annotations.keys() {
        key_allowed(key, &path.key(key), findings);
    }
}

/// Checks labels that nodes or pods must have.
pub(super) fn selector(
    labels: &BTreeMap<String, String>,
    path: &FieldPath,
    findings: &mut Findings,
) {
    for (key, value) in labels {
        let path = path.key(key);
        findings.check(&path, key, syntax::qualified_name(key));
        findings.check(&path, value, syntax::label_value_or_empty(value));
    }
}

fn key_allowed(key: &str, path: &FieldPath, findings: &mut Findings) {
    findings.check(path, key, syntax::qualified_name(key));
    let reserved = RESERVED_KEYS.iter().find(|keys| includes(keys, key));
    if let Some(reserved) = reserved {
        findings.report(path, key, reserved.rule);
    }
}

fn includes(reserved: &ReservedKeys, key: &str) -> bool {
    let below = |domain: &&str| {
        let prefix = key.split_once('/').map(|(prefix, _)| prefix);
        prefix
            .and_then(|prefix| prefix.strip_suffix(*domain))
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    reserved.names.contains(&key) || reserved.domains.iter().any(below)
}
