use rstest::rstest;
use serde_json::{Value, json};

use super::found::{gets_through, is_asked_first, news, short};
use super::*;
use crate::api::{BoundaryFinding, LandingZoneStatus};
use crate::domain::{CalicoNaming, FieldPath, PolicyApi};
use crate::review::{Finding, Object, Rule};

pub(super) const CALICO: Flavour = Flavour {
    api: PolicyApi::CalicoCrdV1,
    tiers: false,
    staged: false,
    naming: CalicoNaming::TierPrefixed,
};

pub(super) fn object(namespace: &str, name: &str, rest: Value) -> Watched {
    let mut whole = json!({"metadata": {"name": name, "namespace": namespace}});
    json_merge(&mut whole, rest);
    serde_json::from_value(whole).unwrap()
}

fn json_merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                json_merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch,
    }
}

fn known(guard: &Guard) -> Vec<String> {
    let state = guard.lock();
    state
        .written
        .keys()
        .map(|(_, _, name)| name.clone())
        .collect()
}

#[test]
fn what_is_not_listed_again_is_gone() {
    let guard = Guard::default();
    for name in ["a", "b"] {
        guard.saw(Source::Calico, CALICO, &object("shop-web", name, json!({})));
    }
    guard.saw(
        Source::NetworkSet,
        CALICO,
        &object("shop-web", "set", json!({})),
    );
    guard.list_begins(Source::Calico);
    guard.saw(Source::Calico, CALICO, &object("shop-web", "b", json!({})));
    guard.list_ends(Source::Calico);
    assert_eq!(known(&guard), ["b", "set"]);
    guard.unlist(Source::Calico);
    assert_eq!(known(&guard), ["set"]);
}

#[test]
fn what_did_not_change_is_not_judged_again() {
    let guard = Guard::default();
    let policy = |order: i64, version: &str| {
        let rest = json!({"metadata": {"resourceVersion": version}, "spec": {"order": order}});
        object("shop-web", "a", rest)
    };
    let taken_in = |policy: &Watched| {
        guard.saw(Source::Calico, CALICO, policy);
        guard.lock().written.values().next().unwrap().taken_in
    };
    let first = taken_in(&policy(100, "1"));
    assert_eq!(taken_in(&policy(100, "2")), first);
    assert_ne!(taken_in(&policy(101, "3")), first);
}

#[test]
fn one_namespace_cannot_fill_the_memory() {
    let guard = Guard::default();
    let large = |size: usize| json!({"spec": {"selector": "a".repeat(size)}});
    let is_kept = |name: &str| {
        let state = guard.lock();
        let key = (Source::Calico, Some("shop-web".to_owned()), name.to_owned());
        state.written[&key].is_whole
    };
    guard.saw(
        Source::Calico,
        CALICO,
        &object("shop-web", "huge", large(LARGEST)),
    );
    assert!(!is_kept("huge"));
    let names: Vec<_> = (0..20).map(|number| format!("large-{number}")).collect();
    for name in &names {
        guard.saw(
            Source::Calico,
            CALICO,
            &object("shop-web", name, large(LARGEST - 1000)),
        );
    }
    assert!(is_kept(&names[0]) && !is_kept(&names[19]));
    // What is not kept is known by little.
    let longest = |state: &State| {
        let reduced = state.written.values().filter(|it| !it.is_whole);
        reduced.map(|it| it.object.size()).max().unwrap()
    };
    assert!(longest(&guard.lock()) < 10_000);
    assert!(
        guard.lock().fits_now().is_empty(),
        "there was room for more"
    );
    // Others have their own room, and what goes gives its room back.
    guard.saw(
        Source::Calico,
        CALICO,
        &object("shop-data", "small", json!({})),
    );
    assert_eq!(guard.lock().kept.len(), 2);
    for name in names.iter().map(String::as_str).chain(["huge"]) {
        guard.gone(&(Source::Calico, Some("shop-web".to_owned()), name.to_owned()));
    }
    guard.saw(
        Source::Calico,
        CALICO,
        &object("shop-web", "last", large(1000)),
    );
    assert!(is_kept("last"));
}

#[test]
fn what_found_no_room_is_taken_in_once_there_is_some() {
    let guard = Guard::default();
    let policy = |name: &str| {
        let rest = json!({"spec": {"selector": "a".repeat(LARGEST - 1000)}});
        object("shop-web", name, rest)
    };
    let key = |name: &str| (Source::Calico, Some("shop-web".to_owned()), name.to_owned());
    let names: Vec<_> = (10..27).map(|number| format!("large-{number}")).collect();
    for name in &names {
        guard.saw(Source::Calico, CALICO, &policy(name));
    }
    let last = key(&names[16]);
    assert!(!guard.lock().written[&last].is_whole);
    assert_eq!(guard.lock().fits_now(), []);
    guard.gone(&key(&names[0]));
    let fits = guard.lock().fits_now();
    assert_eq!(fits.len(), 1);
    assert_eq!(fits[0].0, last);
    // Something else was seen since it was asked for.
    guard.saw(Source::Calico, CALICO, &policy(&names[16]));
    guard.gone(&key(&names[1]));
    guard.saw(
        Source::Calico,
        CALICO,
        &object("shop-web", &names[16], json!({"spec": {"order": 5}})),
    );
    guard.saw_again(&last, fits[0].1, CALICO, &policy(&names[16]));
    assert!(guard.lock().written[&last].size < 1000, "what is older won");
    assert_eq!(guard.lock().fits_now(), []);
}

#[test]
fn what_was_read_again_is_judged_as_a_whole() {
    let guard = Guard::default();
    let policy = object(
        "shop-web",
        "large",
        json!({"spec": {"selector": "a".repeat(LARGEST - 1000)}}),
    );
    guard
        .lock()
        .kept
        .insert("shop-web".to_owned(), LARGEST_NAMESPACE);
    guard.saw(Source::Calico, CALICO, &policy);
    guard.lock().kept.clear();
    let fits = guard.lock().fits_now();
    guard.saw_again(&fits[0].0, fits[0].1, CALICO, &policy);
    let state = guard.lock();
    let written = &state.written[&fits[0].0];
    assert!(written.is_whole && written.judged.is_none());
}

#[test]
fn global_policies_with_the_operators_label_are_its_own() {
    let guard = Guard::default();
    let policy = |labels: Value| object("", "dns", json!({"metadata": {"labels": labels}}));
    let own = policy(json!({"landingzones.dev/landing-zone": "shop"}));
    guard.saw(Source::CalicoGlobal, CALICO, &own);
    assert!(known(&guard).is_empty());
    guard.saw(Source::CalicoGlobal, CALICO, &policy(json!({})));
    assert_eq!(known(&guard), ["dns"]);
}

#[rstest]
#[case(Rule::NamespaceName, CALICO, false)]
#[case(Rule::AnyPeer, CALICO, false)]
#[case(Rule::NetworkSetInside, CALICO, true)]
#[case(Rule::ForgedLabels, CALICO, true)]
#[case(Rule::OrderBeforePlatform, CALICO, true)]
#[case(Rule::OtherTier, CALICO, true)]
#[case(Rule::BreaksFelix, CALICO, true)]
#[case(Rule::TooComplex, CALICO, true)]
#[case(Rule::OrderBeforePlatform, Flavour { tiers: true, ..CALICO }, false)]
#[case(Rule::OtherTier, Flavour { tiers: true, ..CALICO }, true)]
#[case(Rule::NamespaceName, Flavour::KUBERNETES, true)]
#[case(Rule::Invalid, Flavour::KUBERNETES, true)]
fn what_is_merely_asked_for_stays_closed_where_calico_is(
    #[case] rule: Rule,
    #[case] flavour: Flavour,
    #[case] expected: bool,
) {
    assert_eq!(gets_through(rule, flavour), expected);
}

fn finding(rule: Rule) -> Finding {
    Finding {
        rule,
        path: FieldPath::default().key("spec").key("egress").index(0),
        message: "the application code is shop2".to_owned(),
        witness: Some("a pod in shop2-web could be reached".to_owned()),
        declared: None,
        suggestion: "declare it".to_owned(),
        waived: None,
        opening: None,
    }
}

#[test]
fn a_finding_is_told_in_short_unless_it_is_declared() {
    let told = short(
        "NetworkPolicy/shop-web/a",
        &finding(Rule::CodeWrong),
        CALICO,
    )
    .unwrap();
    let expected = BoundaryFinding {
        rule: "code-wrong".to_owned(),
        object: "NetworkPolicy/shop-web/a".to_owned(),
        field: Some("spec.egress[0]".to_owned()),
        message: "the application code is shop2; a pod in shop2-web could be reached; declare it"
            .to_owned(),
        open: false,
    };
    assert_eq!(told, expected);
    let mut declared = finding(Rule::CodeWrong);
    declared.declared = Some("orders".to_owned());
    assert_eq!(short("a", &declared, CALICO), None);
    assert_eq!(short("a", &finding(Rule::SelectsNothing), CALICO), None);
}

#[test]
fn only_what_was_not_told_is_news_whatever_the_words() {
    let told = short("a", &finding(Rule::CodeWrong), CALICO).unwrap();
    let mut other_words = told.clone();
    other_words.message = "other words".to_owned();
    let mut other_place = told.clone();
    other_place.object = "b".to_owned();
    let before = LandingZoneStatus {
        findings: vec![told],
        ..LandingZoneStatus::default()
    };
    let now = [other_words, other_place.clone()];
    assert_eq!(news(Some(&before), &now), [&other_place]);
    assert_eq!(news(None, &now).len(), 2);
}

#[test]
fn metrics_count_by_rule_and_forget_what_is_mended() {
    let metrics = Metrics::default();
    let of = |rule, object: &str| short(object, &finding(rule), CALICO).unwrap();
    let first = Found::of(vec![
        of(Rule::CodeWrong, "a"),
        of(Rule::CodeWrong, "b"),
        of(Rule::ForgedLabels, "c"),
    ]);
    first.measure("shop", None, &metrics);
    let text = metrics.encode().unwrap();
    let line = |rule: &str, open: bool, count: i64| {
        let labels = format!("landing_zone=\"shop\",rule=\"{rule}\",open=\"{open}\"");
        format!("landingzone_boundary_findings{{{labels}}} {count}\n")
    };
    assert!(text.contains(&line("code-wrong", false, 2)), "{text}");
    assert!(text.contains(&line("forged-labels", true, 1)), "{text}");
    assert!(first.open().map(|it| &it.object).eq(["c"]));
    let second = Found::of(vec![of(Rule::CodeWrong, "a")]);
    second.measure("shop", Some(&first), &metrics);
    let text = metrics.encode().unwrap();
    assert!(text.contains(&line("code-wrong", false, 1)), "{text}");
    assert!(!text.contains("forged-labels"), "{text}");
    second.withdraw("shop", &metrics);
    assert!(!metrics.encode().unwrap().contains("rule="));
}

#[test]
fn a_policy_of_the_cluster_that_is_asked_first_opens_what_it_allows() {
    let first = |tiers: bool, spec: Value| {
        let policy = json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy",
            "metadata": {"name": "default.open"}, "spec": spec,
        });
        let object = Object::read(&policy).unwrap().unwrap();
        is_asked_first(&object, Flavour { tiers, ..CALICO })
    };
    assert!(first(false, json!({"order": 5})));
    assert!(!first(false, json!({"order": 100})));
    assert!(!first(false, json!({})));
    // With tiers the boundary comes before tier default, whatever the order there.
    assert!(!first(true, json!({"order": 5})));
    assert!(first(true, json!({"tier": "security", "order": 500})));
}
