use kube::core::admission::AdmissionReview;
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
