//! What an author says about findings, in the annotation `landingzones.dev/waive` of a policy:
//!
//! ```text
//! <rule>: <reason>
//! ```
//!
//! one to a line. It opens nothing: the boundary denies what is not declared, whatever a policy says.

use super::{Finding, Object, Rule};
use crate::api::names::WAIVE;
use crate::domain::FieldPath;

/// One line of the annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiver<'a> {
    rule: Rule,
    reason: &'a str,
}

/// Why a line is no waiver.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
enum Malformed {
    #[error("the waiver \"{0}\" names no rule: there is none of that id")]
    Unknown(String),
    #[error("the waiver of {0} gives no reason")]
    NoReason(Rule),
    #[error("the waiver of {0} is written twice, and the first one holds")]
    Twice(Rule),
}

/// What was found in an object, with what its author waives; waivers that waive nothing are findings themselves.
#[must_use]
pub fn waive(object: &Object, mut findings: Vec<Finding>) -> Vec<Finding> {
    let Some(annotation) = &object.waivers else {
        return findings;
    };
    let (waivers, malformed) = read(annotation);
    let mut without_effect = Vec::new();
    for waiver in waivers {
        let mut is_used = false;
        for finding in findings.iter_mut().filter(|it| it.rule == waiver.rule) {
            finding.waived = Some(waiver.reason.to_owned());
            is_used = true;
        }
        if !is_used {
            without_effect.push(told(
                format!(
                    "the waiver of {} waives nothing: nothing of that kind is found here",
                    waiver.rule
                ),
                "delete the line".to_owned(),
            ));
        }
    }
    let malformed = malformed.into_iter().map(|it| {
        told(
            it.to_string(),
            "write <rule>: <reason>, one to a line, with the rule's id as findings tell it"
                .to_owned(),
        )
    });
    findings.extend(malformed.chain(without_effect));
    findings
}

/// A waiver that an object had for another reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherReason {
    /// What is waived.
    pub rule: Rule,
    /// Why it was waived.
    pub before: String,
}

/// The waivers of an object that it had for other reasons.
#[must_use]
pub fn other_reasons(before: &Object, after: &Object) -> Vec<OtherReason> {
    let (known, _) = read(before.waivers.as_deref().unwrap_or_default());
    let (waivers, _) = read(after.waivers.as_deref().unwrap_or_default());
    let others = waivers.into_iter().filter_map(|waiver| {
        let mut known = known.iter().filter(|it| it.rule == waiver.rule);
        let before = known.next().filter(|it| it.reason != waiver.reason)?;
        Some(OtherReason {
            rule: waiver.rule,
            before: before.reason.to_owned(),
        })
    });
    others.collect()
}

/// The waivers of an annotation, and the lines that are none.
fn read(annotation: &str) -> (Vec<Waiver<'_>>, Vec<Malformed>) {
    let mut waivers: Vec<Waiver<'_>> = Vec::new();
    let mut malformed = Vec::new();
    for line in annotation.lines().map(str::trim) {
        if line.is_empty() {
            continue;
        }
        let (id, reason) = line.split_once(':').unwrap_or((line, ""));
        let reason = reason.trim();
        match Rule::of_id(id.trim()) {
            None => malformed.push(Malformed::Unknown(shortened(id.trim()))),
            Some(rule) if reason.is_empty() => malformed.push(Malformed::NoReason(rule)),
            Some(rule) if waivers.iter().any(|it| it.rule == rule) => {
                malformed.push(Malformed::Twice(rule));
            }
            Some(rule) => waivers.push(Waiver { rule, reason }),
        }
    }
    (waivers, malformed)
}

/// No rule has an id as long.
const SHOWN: usize = 60;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn told(message: String, suggestion: String) -> Finding {
    let annotations = FieldPath::default().key("metadata").key("annotations");
    Finding {
        rule: Rule::WaiverWithoutEffect,
        path: annotations.key(WAIVE),
        message,
        witness: None,
        declared: None,
        suggestion,
        waived: None,
        opening: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(rule: Rule) -> Finding {
        Finding {
            rule,
            path: FieldPath::default().key("spec"),
            message: "something".to_owned(),
            witness: None,
            declared: None,
            suggestion: String::new(),
            waived: None,
            opening: None,
        }
    }

    fn waived(annotation: &str, rules: &[Rule]) -> Vec<Finding> {
        let object = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "a", "namespace": "n", "annotations": {"landingzones.dev/waive": annotation}},
            "spec": {"podSelector": {}},
        });
        let object = Object::read(&object).unwrap().unwrap();
        waive(&object, rules.iter().copied().map(found).collect())
    }

    #[test]
    fn what_is_waived_stays_listed_with_its_reason_and_needs_no_approval() {
        let findings = waived(
            "code-wrong: approved until the move: CHG-1\n\n any-peer : public",
            &[Rule::CodeWrong, Rule::AnyPeer, Rule::CodeWrong],
        );
        let reasons: Vec<_> = findings.iter().map(|it| it.waived.as_deref()).collect();
        let first = Some("approved until the move: CHG-1");
        assert_eq!(reasons, [first, Some("public"), first]);
        assert!(findings.iter().all(|it| !it.needs_approval()));
    }

    #[test]
    fn a_waiver_holds_for_its_rule_only() {
        let findings = waived("code-wrong: known", &[Rule::CodeWrong, Rule::AnyPeer]);
        assert_eq!(findings.len(), 2);
        assert!(findings[1].needs_approval());
    }

    #[test]
    fn waivers_that_waive_nothing_are_findings() {
        let findings = waived(
            "code-wrong: known\nany-peer\nnets-outside:\ncode-worng: typo\nany-peer: yes\nany-peer: again",
            &[Rule::AnyPeer],
        );
        let told: Vec<_> = findings[1..].iter().map(|it| &*it.message).collect();
        assert_eq!(
            told,
            [
                "the waiver of any-peer gives no reason",
                "the waiver of nets-outside gives no reason",
                "the waiver \"code-worng\" names no rule: there is none of that id",
                "the waiver of any-peer is written twice, and the first one holds",
                "the waiver of code-wrong waives nothing: nothing of that kind is found here",
            ]
        );
        assert!(
            findings[1..]
                .iter()
                .all(|it| it.rule == Rule::WaiverWithoutEffect
                    && it.path.to_string() == "metadata.annotations[landingzones.dev/waive]")
        );
        assert_eq!(findings[0].waived.as_deref(), Some("yes"));
    }

    #[test]
    fn waivers_for_other_reasons_are_told_by_rule() {
        let object = |annotation: &str| {
            let object = json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": "a", "namespace": "n", "annotations": {"landingzones.dev/waive": annotation}},
                "spec": {"podSelector": {}},
            });
            Object::read(&object).unwrap().unwrap()
        };
        let old = object("code-wrong: CHG-1\nany-peer: CHG-2\ncode-missing: CHG-3");
        let new = object("any-peer :  CHG-2\ncode-wrong: CHG-9\nnets-outside: CHG-4\nno such line");
        let expected = OtherReason {
            rule: Rule::CodeWrong,
            before: "CHG-1".to_owned(),
        };
        assert_eq!(other_reasons(&old, &new), [expected]);
        assert_eq!(other_reasons(&new, &new), []);
    }

    #[test]
    fn nothing_waives_a_useless_waiver() {
        let findings = waived("waiver-without-effect: please", &[]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].waived, None);
    }
}
