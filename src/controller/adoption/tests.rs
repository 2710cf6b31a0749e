use rstest::rstest;
use serde_json::json;

use super::*;
use crate::controller::kind::Kind;

fn declared() -> Value {
    json!({"metadata": {"name": "shop-web", "labels": {
        "applicationcode": "shop", "zone": "web", OWNER: "shop", MANAGED_BY: "landing-zone-operator",
    }}})
}

fn found(labels: &Value, annotations: &Value) -> Observed {
    let object = json!({"metadata": {
        "name": "shop-web", "uid": "1", "resourceVersion": "7",
        "labels": labels, "annotations": annotations,
    }});
    Observed::of(Kind::Namespace, object).unwrap()
}

fn shop(policy: AdoptionPolicy) -> Circumstances<'static> {
    Circumstances {
        zone: "shop",
        policy,
        ..Circumstances::default()
    }
}

#[test]
fn what_does_not_exist_is_created() {
    let decision = decide(&declared(), None, &shop(AdoptionPolicy::Never));
    assert_eq!(decision, Decision::Create);
}

#[test]
fn our_label_makes_it_ours_even_without_inventory() {
    let ours = found(&json!({OWNER: "shop"}), &json!({}));
    let decision = decide(&declared(), Some(&ours), &shop(AdoptionPolicy::Never));
    assert_eq!(decision, Decision::Ours);
}

#[test]
fn the_same_namespace_stripped_of_its_labels_is_still_ours() {
    let stripped = found(&json!({}), &json!({}));
    let mut known = shop(AdoptionPolicy::Never);
    known.in_inventory = true;
    known.known_uid = Some("1");
    assert_eq!(decide(&declared(), Some(&stripped), &known), Decision::Ours);
    // Deleted and created anew by somebody else: the inventory alone proves nothing.
    known.known_uid = Some("another");
    let decision = decide(&declared(), Some(&stripped), &known);
    assert!(matches!(decision, Decision::Withhold(_)));
}

#[test]
fn a_forged_label_takes_nothing_away() {
    let forged = found(&json!({OWNER: "other"}), &json!({}));
    let mut known = shop(AdoptionPolicy::Never);
    known.in_inventory = true;
    known.known_uid = Some("1");
    known.declared_by_owner = true;
    assert_eq!(decide(&declared(), Some(&forged), &known), Decision::Ours);
    // The other one took it over while it was released.
    known.held_by_owner = true;
    let decision = decide(&declared(), Some(&forged), &known);
    assert!(matches!(decision, Decision::Withhold(_)));
}

#[rstest]
#[case::never(AdoptionPolicy::Never, json!({}), "adoptionPolicy: Always")]
#[case::different(AdoptionPolicy::IfIdentical, json!({"applicationcode": "shop"}), "label zone is missing, declared web")]
fn somebody_elses_is_withheld_with_the_way_out(
    #[case] policy: AdoptionPolicy,
    #[case] labels: Value,
    #[case] words: &str,
) {
    let decision = decide(
        &declared(),
        Some(&found(&labels, &json!({}))),
        &shop(policy),
    );
    let Decision::Withhold(why) = decision else {
        panic!("{decision:?}");
    };
    assert!(why.contains(words), "{why}");
}

#[test]
fn identical_is_adopted() {
    let same = found(
        &json!({"applicationcode": "shop", "zone": "web", "other": "x"}),
        &json!({}),
    );
    let decision = decide(&declared(), Some(&same), &shop(AdoptionPolicy::IfIdentical));
    assert_eq!(decision, Decision::Adopt);
}

#[rstest]
#[case::arm(json!({"kubernetes.azure.com/managedByArm": "true"}), json!({}), "Azure Resource Manager")]
#[case::argo(json!({}), json!({"argocd.argoproj.io/tracking-id": "x"}), "sync-options: Prune=false")]
#[case::argo_2(json!({"app.kubernetes.io/instance": "x"}), json!({}), "sync-options: Prune=false")]
#[case::flux(json!({"kustomize.toolkit.fluxcd.io/name": "x"}), json!({}), "prune: disabled")]
#[case::helm(json!({}), json!({"meta.helm.sh/release-name": "x"}), "resource-policy: keep")]
fn what_another_tool_tracks_is_withheld_even_when_all_may_be_adopted(
    #[case] labels: Value,
    #[case] annotations: Value,
    #[case] words: &str,
) {
    let tracked = found(&labels, &annotations);
    let decision = decide(&declared(), Some(&tracked), &shop(AdoptionPolicy::Always));
    let Decision::Withhold(why) = decision else {
        panic!("{decision:?}");
    };
    assert!(why.contains(words), "{why}");
}

#[rstest]
#[case(json!({"argocd.argoproj.io/tracking-id": "x", "argocd.argoproj.io/sync-options": "A=b, Prune=false"}))]
#[case(json!({"meta.helm.sh/release-name": "x", "helm.sh/resource-policy": "keep"}))]
fn protected_from_pruning_it_is_adopted(#[case] annotations: Value) {
    let tracked = found(&json!({}), &annotations);
    let decision = decide(&declared(), Some(&tracked), &shop(AdoptionPolicy::Always));
    assert_eq!(decision, Decision::Adopt);
}

#[test]
fn another_landing_zones_is_withheld_while_that_declares_it() {
    let theirs = found(&json!({OWNER: "other"}), &json!({}));
    let mut both = shop(AdoptionPolicy::Always);
    both.declared_by_owner = true;
    let decision = decide(&declared(), Some(&theirs), &both);
    assert!(matches!(decision, Decision::Withhold(why) if why.contains("landing zone other")));
    both.declared_by_owner = false;
    assert_eq!(decide(&declared(), Some(&theirs), &both), Decision::Adopt);
}

#[test]
fn what_is_being_deleted_is_waited_for() {
    let mut ours = found(&json!({OWNER: "shop"}), &json!({}));
    ours.deleting = true;
    let decision = decide(&declared(), Some(&ours), &shop(AdoptionPolicy::Never));
    assert_eq!(decision, Decision::Wait);
}
