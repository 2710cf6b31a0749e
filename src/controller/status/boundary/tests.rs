use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use rstest::rstest;

use super::*;

fn finding(object: &str, open: bool) -> BoundaryFinding {
    BoundaryFinding {
        rule: "all-namespaces".to_owned(),
        object: object.to_owned(),
        field: None,
        message: "every namespace is meant".to_owned(),
        open,
    }
}

fn said(network: (&str, &str), found: Option<&[BoundaryFinding]>) -> Condition {
    let mut conditions = Conditions::of(None, Some(1), Timestamp::UNIX_EPOCH);
    conditions.set(condition::NETWORK_ENFORCED, network.0, network.1, "");
    let found = found.map(|found| Found::of(found.to_vec()));
    held(&mut conditions, found.as_ref());
    conditions.get(condition::BOUNDARY_HELD).unwrap().clone()
}

const ENFORCED: (&str, &str) = ("True", reason::CALICO);

#[rstest]
#[case::nothing(ENFORCED, &[], "True", "NothingCrosses", "nothing is found")]
#[case::asked_for(ENFORCED, &[("a", false)], "True", "KeptClosed", "a (all-namespaces): every namespace")]
#[case::open(ENFORCED, &[("a", false), ("b", true)], "False", "BoundaryOpen", "or could: b (all-namespaces)")]
#[case::observed(("False", reason::OBSERVED), &[("a", false)], "False", "Observed", "besides, others ask")]
#[case::pending(("False", reason::POLICIES_PENDING), &[], "False", "PoliciesPending", "see NetworkEnforced")]
#[case::weak(("True", reason::KUBERNETES_POLICIES_ONLY), &[], "False", "KubernetesPoliciesOnly", "no policy of others")]
#[case::weak_and_open(
    ("True", reason::KUBERNETES_POLICIES_ONLY), &[("a", true)], "False", "KubernetesPoliciesOnly",
    "what opens it: a (all-namespaces)"
)]
fn it_holds_where_the_platform_denies_and_nothing_gets_past_it(
    #[case] network: (&str, &str),
    #[case] found: &[(&str, bool)],
    #[case] state: &str,
    #[case] reason: &str,
    #[case] words: &str,
) {
    let found: Vec<_> = found
        .iter()
        .map(|(object, open)| finding(object, *open))
        .collect();
    let said = said(network, Some(&found));
    assert_eq!(
        (said.status.as_str(), said.reason.as_str()),
        (state, reason)
    );
    assert!(said.message.contains(words), "{}", said.message);
}

#[test]
fn before_anybody_has_looked_nobody_knows() {
    let said = said(ENFORCED, None);
    assert_eq!(
        (said.status.as_str(), said.reason.as_str()),
        ("Unknown", "Progressing")
    );
}

#[test]
fn what_was_told_stands_until_somebody_has_looked() {
    let mut conditions = Conditions::of(None, Some(1), Timestamp::UNIX_EPOCH);
    conditions.set(condition::NETWORK_ENFORCED, "True", reason::CALICO, "");
    conditions.set(
        condition::BOUNDARY_HELD,
        "False",
        reason::BOUNDARY_OPEN,
        "a set",
    );
    held(&mut conditions, None);
    let stood = conditions.get(condition::BOUNDARY_HELD).unwrap();
    assert_eq!(
        (stood.reason.as_str(), stood.message.as_str()),
        ("BoundaryOpen", "a set")
    );
}

#[test]
fn many_findings_are_counted() {
    let many: Vec<_> = (0..8)
        .map(|number| finding(&format!("policy-{number}"), false))
        .collect();
    let message = said(ENFORCED, Some(&many)).message;
    assert!(message.contains("policy-4"), "{message}");
    assert!(!message.contains("policy-5"), "{message}");
    assert!(message.contains("and 3 more"), "{message}");
    assert!(message.contains("status.findings lists them"), "{message}");
}

/// As an operator finds it that has just started.
#[rstest]
#[case::nothing(&[], &[], 1, true)]
#[case::the_same(&[("a", false), ("b", true)], &[("a", false), ("b", true)], 1, true)]
#[case::something_new(&[], &[("a", false)], 1, false)]
#[case::something_gone(&[("a", false)], &[], 1, false)]
#[case::it_gets_through_now(&[("a", false)], &[("a", true)], 1, false)]
#[case::declared_anew(&[], &[], 2, false)]
fn what_a_status_tells_need_not_be_told_again(
    #[case] told: &[(&str, bool)],
    #[case] now: &[(&str, bool)],
    #[case] generation: i64,
    #[case] is_so: bool,
) {
    let found = |all: &[(&str, bool)]| {
        let all = all.iter().map(|(object, open)| finding(object, *open));
        Found::of(all.collect())
    };
    let mut conditions = Conditions::of(None, Some(1), Timestamp::UNIX_EPOCH);
    conditions.set(condition::NETWORK_ENFORCED, ENFORCED.0, ENFORCED.1, "");
    held(&mut conditions, Some(&found(told)));
    let status = LandingZoneStatus {
        conditions: conditions.finish(),
        findings: guard::in_status(&found(told)),
        ..LandingZoneStatus::default()
    };
    assert_eq!(is_told(&found(now), &status, Some(generation)), is_so);
}

#[test]
fn a_status_that_says_nothing_of_the_boundary_tells_nothing() {
    let status = LandingZoneStatus::default();
    assert!(!is_told(&Found::of(Vec::new()), &status, Some(1)));
}
