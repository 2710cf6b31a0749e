use kube::core::admission::AdmissionReview;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::api;
use crate::domain::{LandingZone, Platform, Resolved};

fn knowledge(stage: GuardStage) -> Knowledge {
    let declared = json!({
        "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
        "metadata": {"name": "shop"},
        "spec": {"applicationCode": "shop", "namespaces": [{"name": "shop-web", "zone": "web"}]},
    });
    let declared: api::LandingZone = serde_json::from_value(declared).unwrap();
    let zone = LandingZone::validate(&declared, &Platform::default()).unwrap();
    let landscape = Landscape::new(&[(&zone, &Resolved::default())], &[], Platform::default());
    Knowledge {
        stage,
        landscape: Arc::new(landscape),
    }
}

/// A policy with one rule for each of these selectors of namespaces.
fn policy(selectors: &[&str]) -> Value {
    let rules: Vec<_> = selectors
        .iter()
        .map(|it| json!({"action": "Allow", "destination": {"namespaceSelector": it}}))
        .collect();
    json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "default.a", "namespace": "shop-web"},
        "spec": {"selector": "app == 'a'", "types": ["Egress"], "egress": rules},
    })
}

fn request(object: &Value, old: Option<&Value>) -> AdmissionRequest<DynamicObject> {
    let review: AdmissionReview<DynamicObject> = serde_json::from_value(json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "42",
            "kind": {"group": "crd.projectcalico.org", "version": "v1", "kind": "NetworkPolicy"},
            "resource": {"group": "crd.projectcalico.org", "version": "v1", "resource": "networkpolicies"},
            "name": "default.a",
            "namespace": "shop-web",
            "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
            "userInfo": {"username": "developer"},
            "object": object,
            "oldObject": old,
        },
    }))
    .unwrap();
    review.try_into().unwrap()
}

const OUTSIDE: &str = "projectcalico.org/name == 'kube-system'";
const ELSEWHERE: &str = "projectcalico.org/name == 'monitoring'";
const INSIDE: &str = "applicationcode == 'shop'";

#[test]
fn what_stays_inside_passes_in_silence() {
    for stage in [GuardStage::Observe, GuardStage::Enforce] {
        let response = answer(&request(&policy(&[INSIDE]), None), &knowledge(stage));
        assert!(response.allowed);
        assert_eq!(response.warnings, None);
        assert_eq!(response.uid, "42");
    }
}

#[test]
fn what_leaves_is_warned_of_or_refused_and_passes_where_the_guard_is_off() {
    let leaving = request(&policy(&[OUTSIDE]), None);
    let warned = answer(&leaving, &knowledge(GuardStage::Observe));
    assert!(warned.allowed);
    let warnings = warned.warnings.unwrap();
    assert!(warnings[0].starts_with("spec.egress[0]"), "{warnings:?}");
    assert!(warnings[0].contains("namespace-name"), "{warnings:?}");

    let refused = answer(&leaving, &knowledge(GuardStage::Enforce));
    assert!(!refused.allowed);
    let message = &refused.result.message;
    for words in [
        "landing zone shop",
        "spec.egress[0]",
        "namespace-name",
        "kube-system",
        "spec.network",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }

    let passed = answer(&leaving, &knowledge(GuardStage::Off));
    assert!(passed.allowed && passed.warnings.is_none());
}

#[test]
fn of_a_change_only_what_it_adds_is_told() {
    let enforce = knowledge(GuardStage::Enforce);
    let old = policy(&[OUTSIDE]);
    // The place moves, and the order of rules with it.
    let same = policy(&[INSIDE, OUTSIDE]);
    assert!(answer(&request(&same, Some(&old)), &enforce).allowed);
    let more = policy(&[OUTSIDE, ELSEWHERE]);
    let message = answer(&request(&more, Some(&old)), &enforce).result.message;
    assert!(message.contains("monitoring"), "{message}");
    assert!(!message.contains("kube-system"), "{message}");
}

/// A policy with rules for what goes out, and more in its spec.
fn with_rules(rules: Value, more: &Value) -> Value {
    let mut policy = policy(&[]);
    policy["spec"]["egress"] = rules;
    for (field, value) in more.as_object().into_iter().flatten() {
        policy["spec"][field] = value.clone();
    }
    policy
}

fn passes(now: &Value, before: &Value) -> bool {
    let knowledge = knowledge(GuardStage::Enforce);
    answer(&request(now, Some(before)), &knowledge).allowed
}

fn allow(destination: &Value) -> Value {
    json!({"action": "Allow", "protocol": "TCP", "destination": destination})
}

fn deny(destination: &Value) -> Value {
    json!({"action": "Deny", "protocol": "TCP", "destination": destination})
}

#[rstest]
#[case::another_range(json!([{"nets": ["203.0.113.0/24"]}]), json!([{"nets": ["198.51.100.0/24"]}]))]
#[case::another_port(
    json!([{"nets": ["203.0.113.0/24"], "ports": [443]}]),
    json!([{"nets": ["203.0.113.0/24"], "ports": [443, 22]}]),
)]
#[case::every_port(json!([{"ports": [443]}]), json!([{}]))]
#[case::another_service(
    json!([{"services": {"name": "a", "namespace": "other"}}]),
    json!([{"services": {"name": "b", "namespace": "other"}}]),
)]
fn an_old_rule_cannot_be_widened_unseen(#[case] before: Value, #[case] now: Value) {
    let rules = |ends: &Value| ends.as_array().unwrap().iter().map(allow).collect();
    let [before, now] = [before, now].map(|it| with_rules(rules(&it), &json!({})));
    assert!(passes(&before, &before));
    assert!(!passes(&now, &before));
}

#[rstest]
#[case::other_pods(json!({}), json!({"selector": "all()"}))]
#[case::other_accounts(json!({"serviceAccountSelector": "a == 'b'"}), json!({}))]
#[case::another_tier(json!({}), json!({"tier": "other"}))]
fn an_old_rule_cannot_be_given_to_others_unseen(#[case] before: Value, #[case] now: Value) {
    let rules = json!([allow(&json!({"nets": ["203.0.113.0/24"]}))]);
    let [before, now] = [before, now].map(|it| with_rules(rules.clone(), &it));
    assert!(passes(&before, &before));
    assert!(!passes(&now, &before));
}

#[test]
fn what_was_kept_from_an_old_rule_cannot_be_given_to_it_unseen() {
    let all = allow(&json!({"namespaceSelector": "all()"}));
    let denied = deny(&json!({"namespaceSelector": OUTSIDE}));
    let policy = |rules: Value| with_rules(rules, &json!({}));
    let before = policy(json!([denied, all]));
    assert!(passes(&before, &before));
    assert!(!passes(&policy(json!([all])), &before));
    assert!(!passes(&policy(json!([all, denied])), &before));
    // What is denied in addition widens nothing.
    let more = deny(&json!({"namespaceSelector": ELSEWHERE}));
    let narrower = policy(json!([more, denied, all]));
    assert!(passes(&narrower, &before));
}

#[test]
fn an_old_policy_does_not_come_before_others_unseen() {
    let rules = json!([allow(&json!({"namespaceSelector": "all()"}))]);
    let at = |order: Option<u16>| with_rules(rules.clone(), &json!({"order": order}));
    assert!(passes(&at(None), &at(Some(700))));
    assert!(passes(&at(Some(800)), &at(Some(700))));
    assert!(!passes(&at(Some(700)), &at(Some(800))));
    assert!(!passes(&at(Some(700)), &at(None)));
}

#[rstest]
#[case::a_narrower_range(json!({"nets": ["203.0.113.0/24"]}), json!({"nets": ["203.0.113.0/25"]}))]
#[case::fewer_ports(json!({"ports": [443, 22]}), json!({"ports": ["443"]}))]
#[case::fewer_pods(
    json!({"namespaceSelector": "all()"}),
    json!({"namespaceSelector": "all()", "selector": "app == 'a'"}),
)]
#[case::not_all_of_them(
    json!({"namespaceSelector": "all()"}),
    json!({"namespaceSelector": OUTSIDE}),
)]
fn what_is_narrower_than_an_old_rule_passes(#[case] before: Value, #[case] now: Value) {
    let [before, now] = [before, now].map(|it| with_rules(json!([allow(&it)]), &json!({})));
    assert!(passes(&now, &before));
    assert!(!passes(&before, &now));
}

#[test]
fn a_rule_that_is_too_complex_to_compare_is_new_unless_it_is_the_same() {
    let alternatives = |count: usize| {
        let parts =
            (0..count).map(|it| format!("(a{it} contains 'x' || b{it} == 'y' || !has(c{it}))"));
        parts.collect::<Vec<_>>().join(" && ")
    };
    let policy = |count: usize| {
        let all: Vec<_> = (0..40)
            .map(|it| allow(&json!({"namespaceSelector": format!("team == 't{it}' && {}", alternatives(count))})))
            .collect();
        with_rules(json!(all), &json!({}))
    };
    let before = policy(400);
    assert!(passes(&before, &before));
    assert!(!passes(&policy(399), &before));
}

#[test]
fn what_comes_before_the_boundary_stays_as_it_is() {
    let policy = |rules: Value| with_rules(rules, &json!({"order": 5}));
    let before = policy(json!([allow(&json!({"namespaceSelector": INSIDE}))]));
    assert!(passes(&before, &before));
    assert!(!passes(&policy(json!([allow(&json!({}))])), &before));
    assert!(!passes(&policy(json!([])), &before));
}

#[test]
fn a_peer_of_kubernetes_is_compared_by_itself() {
    let policy = |peers: Value, ports: Value| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "a", "namespace": "shop-web"},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": peers, "ports": ports}]},
        })
    };
    let request = |now: &Value, before: &Value| {
        let mut request = request(now, Some(before));
        request.kind.group = "networking.k8s.io".to_owned();
        request
    };
    let enforce = knowledge(GuardStage::Enforce);
    let passes = |now: &Value, before: &Value| answer(&request(now, before), &enforce).allowed;
    let https = json!([{"protocol": "TCP", "port": 443}]);
    let (one, other) = (
        json!({"ipBlock": {"cidr": "203.0.113.0/24"}}),
        json!({"ipBlock": {"cidr": "198.51.100.0/24"}}),
    );
    let inside = json!({"namespaceSelector": {"matchLabels": {"applicationcode": "shop"}}});
    let before = policy(json!([one]), https.clone());
    assert!(passes(
        &policy(json!([inside, one]), https.clone()),
        &before
    ));
    assert!(!passes(
        &policy(json!([one, other]), https.clone()),
        &before
    ));
    assert!(!passes(&policy(json!([other]), https), &before));
    assert!(!passes(&policy(json!([one]), json!([])), &before));
}

#[test]
fn labels_and_addresses_of_an_old_network_set_are_compared() {
    let set = |label: &str, net: &str| {
        json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkSet",
            "metadata": {"name": "a", "namespace": "shop-web", "labels": {"pcns.projectcalico.org/name": label}},
            "spec": {"nets": [net]},
        })
    };
    let passes = |now: &Value, before: &Value| {
        let mut request = request(now, Some(before));
        "NetworkSet".clone_into(&mut request.kind.kind);
        answer(&request, &knowledge(GuardStage::Enforce)).allowed
    };
    let before = set("orders", "203.0.113.0/24");
    assert!(passes(&before, &before));
    assert!(!passes(&set("kube-system", "203.0.113.0/24"), &before));
    assert!(!passes(&set("orders", "198.51.100.0/24"), &before));
}

#[test]
fn what_is_declared_passes_in_silence() {
    let dns = json!({"services": {"name": "kube-dns", "namespace": "kube-system"}});
    let policy = with_rules(json!([{"action": "Allow", "destination": dns}]), &json!({}));
    for stage in [GuardStage::Observe, GuardStage::Enforce] {
        let response = answer(&request(&policy, None), &knowledge(stage));
        assert!(response.allowed, "{:?}", response.result);
        assert_eq!(response.warnings, None);
    }
}

#[test]
fn what_cannot_be_read_is_found() {
    let unread = with_rules(
        json!([{"action": "Allow", "ipVersion": "four"}]),
        &json!({}),
    );
    let warned = answer(&request(&unread, None), &knowledge(GuardStage::Observe));
    let warnings = warned.warnings.unwrap();
    assert!(
        warnings[0].contains("spec.egress[0].ipVersion: invalid"),
        "{warnings:?}"
    );
    let refused = answer(&request(&unread, None), &knowledge(GuardStage::Enforce));
    assert!(
        refused.result.message.contains("cannot be read"),
        "{:?}",
        refused.result
    );
    // It can be mended, and labelled, and not changed otherwise.
    assert!(passes(&unread, &unread));
    assert!(passes(&policy(&[INSIDE]), &unread));
    let other = with_rules(
        json!([{"action": "Allow"}, {"action": "Allow", "ipVersion": "four"}]),
        &json!({}),
    );
    assert!(!passes(&other, &unread));
}

#[test]
fn what_is_being_deleted_goes_and_changes_no_more_than_anything_else() {
    let mut going = policy(&[OUTSIDE]);
    going["metadata"]["deletionTimestamp"] = json!("2026-11-26T09:00:00Z");
    let mut held = going.clone();
    held["metadata"]["finalizers"] = json!(["example.com/backup"]);
    let knowledge = knowledge(GuardStage::Enforce);
    assert!(answer(&request(&going, Some(&held)), &knowledge).allowed);
    // It is in force until its last finalizer is gone.
    let mut harmless = policy(&[]);
    harmless["metadata"] = held["metadata"].clone();
    assert!(!answer(&request(&held, Some(&harmless)), &knowledge).allowed);
}

#[test]
fn a_waiver_does_not_count() {
    let mut waived = policy(&[OUTSIDE]);
    waived["metadata"]["annotations"] = json!({"landingzones.dev/waive": "namespace-name: needed"});
    assert!(!answer(&request(&waived, None), &knowledge(GuardStage::Enforce)).allowed);
}

#[test]
fn warnings_and_refusals_are_bounded() {
    let names: Vec<_> = (0..40)
        .map(|number| format!("projectcalico.org/name == 'somebody-else-{number:0>40}'"))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let leaving = request(&policy(&names), None);
    let warnings = answer(&leaving, &knowledge(GuardStage::Observe))
        .warnings
        .unwrap();
    assert_eq!(warnings.len(), MOST_TOLD + 1);
    assert!(
        warnings
            .iter()
            .all(|it| it.chars().count() <= LONGEST_WARNING + 1)
    );
    assert!(warnings[MOST_TOLD].starts_with("35 more"), "{warnings:?}");
    let message = answer(&leaving, &knowledge(GuardStage::Enforce))
        .result
        .message;
    assert!(message.contains("and 35 more"), "{message}");
    assert!(message.len() < 8_192, "{}", message.len());
}

#[test]
fn what_took_too_long_is_taken_for_open() {
    let request = request(&policy(&[INSIDE]), None);
    assert!(!in_vain(&request, GuardStage::Enforce).allowed);
    let warned = in_vain(&request, GuardStage::Observe);
    assert!(warned.allowed);
    assert!(warned.warnings.unwrap()[0].contains("too-complex"));
}
