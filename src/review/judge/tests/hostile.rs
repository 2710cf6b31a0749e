//! What nobody means, and somebody may send: judged in bounded time, and never taken for harmless.

use std::fmt::Write as _;

use super::*;
use crate::review::{Found, added};

/// All of it must be judged within the time that a request on admission has, also on a busy machine without
/// optimisation: the sizes below take seconds to hours where a bound is missing.
fn judged(policy: &Value) -> Vec<Finding> {
    found(policy)
}

#[test]
fn ten_thousand_rules() {
    let rule = |index: usize| json!({"action": "Allow", "destination": {"namespaceSelector": format!("applicationcode == 'application2' && zone == 'z{index}'")}});
    let mut policy = to(&json!({}));
    policy["spec"]["egress"] = (0..10_000).map(rule).collect();
    let found = judged(&policy);
    let last = found.last().unwrap();
    assert_eq!(last.rule, Rule::TooComplex);
    assert!(last.needs_approval(), "{last:?}");
}

#[test]
fn a_selector_of_a_megabyte() {
    let mut text = "applicationcode == 'application2'".to_owned();
    let mut number = 0;
    while text.len() < 1_000_000 {
        let _ = write!(
            text,
            " || (team == 't{number}' && !(app in {{'a{number}','b'}} || has(x{number})))"
        );
        number += 1;
    }
    let found = judged(&to(&json!({"namespaceSelector": text})));
    assert!(found.iter().any(Finding::needs_approval));
}

#[test]
fn conditions_that_take_for_ever_to_decide() {
    // Each of them has an alternative that contradicts another one.
    let mut parts = Vec::new();
    for one in 0..40 {
        for other in 0..one {
            parts.push(format!(
                "(a{one} contains 'x{other}' || a{other} contains 'y{one}' || !has(a{other}))"
            ));
        }
    }
    parts.push("a0 == 'z' && !(a0 contains 'z')".to_owned());
    let selector = parts.join(" && ");
    let ends = vec![json!({"namespaceSelector": selector}); 50];
    let rules: Vec<_> = ends
        .iter()
        .map(|end| json!({"action": "Allow", "destination": end}))
        .collect();
    let mut policy = to(&json!({}));
    policy["spec"]["egress"] = json!(rules);
    for finding in judged(&policy) {
        assert!(
            [Rule::MatchesNothing, Rule::Unreachable, Rule::TooComplex].contains(&finding.rule),
            "{finding:?}"
        );
    }
}

#[test]
fn deep_parentheses_and_odd_characters_are_invalid() {
    let deep = format!("{}has(a){}", "(".repeat(100_000), ")".repeat(100_000));
    for text in [
        deep.as_str(),
        "a == '\u{0}'\n",
        "has(\u{202e})",
        "a == \"it's\" && \u{fffd}",
    ] {
        let found = judged(&to(&json!({"namespaceSelector": text})));
        assert!(
            found
                .iter()
                .any(|it| it.rule == Rule::Invalid || it.rule == Rule::MatchesNothing),
            "{text:.20}: {found:?}"
        );
    }
}

#[test]
fn rules_that_take_for_ever_to_compare() {
    // Seven pigeons in six holes, in words of labels: whether two such are the same is hard, and each differs.
    let pigeons = |name: usize| {
        let mut parts = Vec::new();
        for pigeon in 0..7 {
            let holes: Vec<_> = (0..6)
                .map(|hole| format!("has(p{pigeon}h{hole}x{name})"))
                .collect();
            parts.push(format!("({})", holes.join(" || ")));
        }
        for hole in 0..6 {
            for one in 0..7 {
                for other in 0..one {
                    parts.push(format!(
                        "!(has(p{one}h{hole}x{name}) && has(p{other}h{hole}x{name}))"
                    ));
                }
            }
        }
        format!("!({})", parts.join(" && "))
    };
    let hard =
        (0..16).map(|name| json!({"action": "Deny", "destination": {"selector": pigeons(name)}}));
    let easy = (0..900).map(
        |name| json!({"action": "Deny", "destination": {"selector": format!("has(z{name})")}}),
    );
    let mut policy = to(&json!({}));
    policy["spec"]["egress"] = hard.chain(easy).collect();
    judged(&policy);
}

/// A policy with a rule that leaves for each number, each of which differs, compared with another one of the kind.
#[test]
fn a_thousand_rules_that_all_changed() {
    let policy = |label: &str| {
        let rules = (0..1000).map(|it| {
            let alternatives: Vec<_> = (0..8)
                .map(|other| format!("{label}{other} == 'v{it}'"))
                .collect();
            json!({"action": "Allow", "destination": {"namespaceSelector": alternatives.join(" || ")}})
        });
        let mut policy = to(&json!({}));
        policy["spec"]["egress"] = rules.collect();
        policy
    };
    let [one, other] = ["a", "b"].map(policy);
    let [found_in_one, found_in_other] = [&one, &other].map(judged);
    let is_new = |(now, found): (&Value, &[Finding]), (before, known): (&Value, &[Finding])| {
        let now = Found {
            object: now,
            findings: found.iter().collect(),
        };
        let before = Found {
            object: before,
            findings: known.iter().collect(),
        };
        added(&now, &[before])
    };
    let new = is_new((&one, &found_in_one), (&other, &found_in_other));
    assert_eq!(new, vec![true; 1000]);
    let mut behind = one.clone();
    behind["spec"]["egress"].as_array_mut().unwrap().reverse();
    let new = is_new((&behind, &judged(&behind)), (&one, &found_in_one));
    assert_eq!(new, vec![false; 1000]);
}
