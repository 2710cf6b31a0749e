//! Landing zones that come, go and change, apart from their crossings.

use rstest::rstest;

use super::fixture::{between, only, told};
use super::{BASE, TO_DATA, egress};
use crate::review::changes::{ChangeKind, Part, approval_required};

/// The text with one piece replaced, which has to be there.
fn with(text: &str, piece: &str, other: &str) -> String {
    assert!(text.contains(piece), "{piece}");
    text.replacen(piece, other, 1)
}

const ORDERS: &str = "  applicationCode: orders\n";

fn orders(field: &str) -> String {
    with(&egress(TO_DATA), ORDERS, &format!("{ORDERS}  {field}\n"))
}

#[rstest]
#[case::observe("stage: Enforce", "stage: Observe", (Part::Stage, ChangeKind::Lowered, true), "nothing is denied any more")]
#[case::observe_no_more("stage: Observe", "stage: Enforce", (Part::Stage, ChangeKind::Raised, false), "the boundary is held")]
#[case::plan("stage: Enforce", "stage: Plan", (Part::Stage, ChangeKind::Lowered, true), "what is in force stays")]
#[case::plan_that_was_observed("stage: Observe", "stage: Plan", (Part::Stage, ChangeKind::Lowered, false), "nothing was denied before")]
#[case::out_of_plan("stage: Plan", "stage: Observe", (Part::Stage, ChangeKind::Raised, true), "an earlier stage left in force")]
#[case::planned_only(
    "stage: Plan", "stage: Enforce", (Part::Stage, ChangeKind::Raised, true),
    "newly open: application2/backend → orders/data TCP 5432"
)]
#[case::suspended("suspend: false", "suspend: true", (Part::Suspend, ChangeKind::Lowered, true), "nobody puts it back")]
#[case::not_suspended("suspend: true", "suspend: false", (Part::Suspend, ChangeKind::Raised, false), "put back when it is changed")]
#[case::contact("contact: me", "contact: you", (Part::Description, ChangeKind::Changed, false), "contact from \"me\" to \"you\"")]
#[case::adopts(
    "adoptionPolicy: Never", "adoptionPolicy: Always", (Part::Description, ChangeKind::Changed, true),
    "namespaces that are there already come inside the boundary"
)]
#[case::adopts_no_more(
    "adoptionPolicy: Always", "adoptionPolicy: IfIdentical", (Part::Description, ChangeKind::Changed, false),
    "adoptionPolicy from \"Always\" to \"IfIdentical\""
)]
#[case::inside(
    "network_: 1", "network_: 1", (Part::Flow, ChangeKind::Added, false), "inside its boundary"
)]
fn a_landing_zone_changes(
    #[case] before: &str,
    #[case] after: &str,
    #[case] expected: (Part, ChangeKind, bool),
    #[case] says: &str,
) {
    let found = if before.starts_with("network_") {
        let flow = "  network:\n    flows: [{name: f, from: {zone: web}, to: {zone: data}}]\n    ingress:\n";
        let text = egress(TO_DATA);
        between(&text, &with(&text, "  network:\n    ingress:\n", flow))
    } else {
        between(&orders(before), &orders(after))
    };
    let change = only(&found);
    let (part, kind, crosses) = expected;
    assert_eq!(
        (change.part, change.kind, change.crosses_boundary),
        (part, kind, crosses),
        "{change}"
    );
    assert!(change.message.contains(says), "{change}");
    assert_eq!(change.landing_zone.as_deref(), Some("orders"));
}

#[test]
fn what_observing_opens_is_shown() {
    let found = between(&orders("stage: Enforce"), &orders("stage: Observe"));
    let reach = &only(&found).reach;
    assert_eq!(
        reach.before,
        ["application2/backend → orders/data TCP 5432"]
    );
    for line in [
        "pods of no landing zone → orders/data all ports",
        "orders/web → any address all ports",
    ] {
        assert!(
            reach.after.iter().any(|it| it == line),
            "{:#?}",
            reach.after
        );
    }
}

/// Of two landing zones that are both observed, neither denies anything: whoever begins to be observed opens itself to all that
/// are already, declared or not.
#[test]
fn what_observing_opens_to_others_that_are_observed_is_shown() {
    let third = with(
        THIRD,
        "  applicationCode: third\n",
        "  applicationCode: third\n  stage: Observe\n",
    );
    let enforced = THIRD.replace("third", "fourth");
    let at = |stage: &str, neighbour: &str| {
        let code = "  applicationCode: application2\n";
        let zones = with(&orders(stage), code, &format!("{code}  {neighbour}\n"));
        format!("{third}{enforced}{}", zones.trim_start())
    };
    let shown = |neighbour: &str| {
        let found = between(
            &at("stage: Enforce", neighbour),
            &at("stage: Observe", neighbour),
        );
        let reach = only(&found).reach.clone();
        let other = at("stage: Observe", neighbour);
        let raised = between(&other, &at("stage: Enforce", neighbour));
        let raised = &only(&raised).reach;
        assert_eq!(
            (&raised.before, &raised.after),
            (&reach.after, &reach.before)
        );
        reach
    };
    let reach = shown("stage: Observe");
    assert_eq!(
        reach.before,
        ["application2/backend → orders/data TCP 5432"]
    );
    for line in [
        "third/web → orders/data all ports",
        "orders/web → third/web all ports",
        // A crossing is declared there, and what it leaves closed is open as well.
        "application2/backend → orders/data all ports",
        "application2/frontend → orders/web all ports",
    ] {
        assert!(
            reach.after.iter().any(|it| it == line),
            "{line}: {:#?}",
            reach.after
        );
    }
    let is_closed = |line: &String| line.contains("fourth");
    assert!(!reach.after.iter().any(is_closed), "{:#?}", reach.after);
    // Beside one that holds its boundary, only what is declared is open.
    let reach = shown("stage: Enforce");
    let to_neighbour = reach.after.iter().filter(|it| it.contains("application2"));
    let to_neighbour: Vec<&String> = to_neighbour.collect();
    assert_eq!(
        to_neighbour,
        ["application2/backend → orders/data TCP 5432"]
    );
}

#[test]
fn a_crossing_that_is_declared_while_nothing_is_denied_needs_approval() {
    let base = with(
        BASE,
        "  applicationCode: application2\n",
        "  applicationCode: application2\n  stage: Observe\n",
    );
    let opened = with(
        &base,
        "  stage: Observe\n",
        &format!("  stage: Observe\n  network: {{egress: [{TO_DATA}]}}\n"),
    );
    let found = between(&base, &opened);
    let change = only(&found);
    assert_eq!(
        (change.kind, change.crosses_boundary),
        (ChangeKind::Opened, true)
    );
    // And what was approved then is not asked for again.
    let found = between(&opened, &with(&opened, "  stage: Observe\n", ""));
    assert_eq!(
        (only(&found).part, approval_required(&found)),
        (Part::Stage, false)
    );
}

const NS1: &str = "  - {name: application2-ns1, zone: frontend, quota: {pods: '10'}}\n";

#[test]
fn namespaces_join_and_leave() {
    let joined = with(
        BASE,
        NS1,
        &format!("{NS1}  - {{name: application2-ns3, zone: frontend}}\n"),
    );
    let found = between(BASE, &joined);
    let change = only(&found);
    assert_eq!(
        change.message,
        "namespace application2-ns3 joins landing zone application2, zone frontend"
    );
    assert_eq!(change.path.to_string(), "spec.namespaces[1]");
    assert!(!change.crosses_boundary);

    let found = between(&joined, BASE);
    let change = only(&found);
    assert_eq!(
        (change.kind, change.crosses_boundary),
        (ChangeKind::Removed, false)
    );
    assert_eq!(change.path.to_string(), "spec.namespaces[1]");

    let adopting = |text: &str| {
        let code = "  applicationCode: application2\n";
        with(text, code, &format!("{code}  adoptionPolicy: Always\n"))
    };
    let found = between(&adopting(BASE), &adopting(&joined));
    assert!(
        only(&found).crosses_boundary,
        "pods that are there already come inside"
    );
}

#[test]
fn a_namespace_that_joins_a_zone_with_crossings_needs_approval() {
    let open = egress(TO_DATA);
    let join = |text: &str, zone: &str| {
        let added = format!("{NS1}  - {{name: strangers, zone: {zone}}}\n");
        with(text, NS1, &added)
    };
    let found = between(&open, &join(&open, "backend"));
    let change = only(&found);
    assert_eq!(
        (change.part, change.kind, change.crosses_boundary),
        (Part::Namespace, ChangeKind::Added, true)
    );
    assert_eq!(
        change.message,
        "namespace strangers joins landing zone application2, zone backend: its pods get all that is open across the \
         boundary for that zone"
    );
    // Nothing is open for the other zone, and nothing at all while the other half is missing.
    assert!(!approval_required(&between(
        &open,
        &join(&open, "frontend")
    )));
    let half = with(
        &open,
        "from: {landingZone: application2",
        "from: {landingZone: nobody",
    );
    assert!(!approval_required(&between(&half, &join(&half, "backend"))));
}

#[test]
fn a_zone_that_joins_gets_what_is_open_to_all_zones() {
    let open = egress(&TO_DATA.replace("from: {zone: backend}, ", ""));
    let joined = with(
        &open,
        NS1,
        &format!("{NS1}  - {{name: application2-ns3, zone: batch}}\n"),
    );
    let found = between(&open, &joined);
    let change = only(&found);
    assert_eq!(
        change.message,
        "namespace application2-ns3 joins landing zone application2, zone batch; newly open: \
         application2/batch → orders/data TCP 5432"
    );
    assert!(change.crosses_boundary);
    // What is for one zone only is not for another one.
    let open = egress(TO_DATA);
    let joined = with(
        &open,
        NS1,
        &format!("{NS1}  - {{name: application2-ns3, zone: batch}}\n"),
    );
    assert!(!approval_required(&between(&open, &joined)));
}

#[test]
fn a_zone_that_joins_gets_what_the_platform_opens_for_all_without_approval() {
    let all = with(
        BASE,
        "direction: ToLandingZones",
        "landingZones: All, direction: ToLandingZones",
    );
    let joined = with(
        &all,
        NS1,
        &format!("{NS1}  - {{name: application2-ns3, zone: batch}}\n"),
    );
    assert!(!approval_required(&between(&all, &joined)));
}

#[test]
fn a_namespace_changes_sides() {
    let moved = with(BASE, NS1, "");
    let moved = with(
        &moved,
        "[{name: orders-web",
        "[{name: application2-ns1, zone: web}, {name: orders-web",
    );
    let found = between(BASE, &moved);
    let change = only(&found);
    assert_eq!(
        change.message,
        "namespace application2-ns1 moves from landing zone application2, zone frontend, to landing zone orders, \
         zone web: its pods change sides"
    );
    assert!(change.crosses_boundary);
}

#[test]
fn a_namespace_goes_to_another_zone() {
    let to_backend = |text: &str| with(text, "ns1, zone: frontend", "ns1, zone: backend");
    let found = between(BASE, &to_backend(BASE));
    let change = only(&found);
    assert_eq!(
        (change.kind, change.crosses_boundary),
        (ChangeKind::Moved, false),
        "{change}"
    );
    let open = egress(TO_DATA);
    let found = between(&open, &to_backend(&open));
    let change = only(&found);
    assert_eq!(
        (change.kind, change.crosses_boundary),
        (ChangeKind::Moved, true),
        "{change}"
    );
    assert!(
        change
            .message
            .ends_with("more is open across the boundary for pods of that zone")
    );
}

#[test]
fn privileged_pods_are_outside_of_every_policy() {
    let privileged = with(
        BASE,
        "quota: {pods: '10'}",
        "quota: {pods: '10'}, podSecurity: privileged, acknowledge: HostNetworkEscapesPolicies",
    );
    let found = between(BASE, &privileged);
    let change = only(&found);
    assert_eq!(
        (change.part, change.kind, change.crosses_boundary),
        (Part::PodSecurity, ChangeKind::Lowered, true)
    );
    assert_eq!(change.path.to_string(), "spec.namespaces[0].podSecurity");
    assert!(!approval_required(&between(&privileged, BASE)));
}

const THIRD: &str = "kind: LandingZone
metadata: {name: third}
spec:
  applicationCode: third
  namespaces: [{name: third-ns1, zone: web}]
---
";

#[test]
fn landing_zones_come_and_go() {
    let with_third = |field: &str| {
        let third = with(
            THIRD,
            "  applicationCode: third\n",
            &format!("  applicationCode: third\n{field}"),
        );
        format!("{third}{}", BASE.trim_start())
    };
    let found = between(BASE, &with_third(""));
    let change = only(&found);
    assert_eq!(
        change.message,
        "landing zone third is added in stage Enforce, with third-ns1 (zone web)"
    );
    assert!(!change.crosses_boundary);

    let internet = "  network: {egress: [{name: x, to: {cidrs: [198.51.100.0/24]}}]}\n";
    let found = between(BASE, &with_third(internet));
    assert_eq!(found.len(), 2, "{:#?}", told(&found));
    assert_eq!(
        (found[0].part, found[0].kind),
        (Part::Crossing, ChangeKind::Opened)
    );
    assert!(found[0].crosses_boundary && !found[1].crosses_boundary);
    assert_eq!(
        found[0].reach.after,
        ["third/web → 198.51.100.0/24 all ports"]
    );

    let denying = |text: &str| {
        with(
            text,
            "  destinations:",
            "  defaultDeny: {stage: Enforce}\n  destinations:",
        )
    };
    let observed = with_third("  stage: Observe\n");
    assert!(!approval_required(&between(BASE, &observed)));
    assert!(approval_required(&between(
        &denying(BASE),
        &denying(&observed)
    )));

    // Nobody repairs what is left behind; what is deleted is not there.
    assert!(approval_required(&between(&with_third(""), BASE)));
    assert!(!approval_required(&between(
        &with_third("  deletePolicy: Delete\n"),
        BASE
    )));
}

#[test]
fn a_landing_zone_that_goes_closes_its_crossings() {
    let open = egress(TO_DATA);
    let (_, rest) = open.split_once("---\n").unwrap();
    let found = between(&open, rest);
    let kinds: Vec<_> = found.iter().map(|it| (it.part, it.kind)).collect();
    assert_eq!(
        kinds,
        [
            (Part::LandingZone, ChangeKind::Removed),
            (Part::Crossing, ChangeKind::Closed)
        ]
    );
}

#[test]
fn a_landing_zone_under_another_name_takes_its_namespaces_along() {
    let renamed = BASE
        .replace("application2}", "renamed}")
        .replace("applicationCode: application2", "applicationCode: renamed");
    let found = between(BASE, &renamed);
    let moves = found
        .iter()
        .filter(|it| it.kind == ChangeKind::Moved && it.crosses_boundary);
    assert_eq!(moves.count(), 2, "{:#?}", told(&found));
}

#[test]
fn a_new_landing_zone_that_takes_over_has_to_be_approved() {
    let new = |policy: &str| {
        format!(
            "{BASE}---\napiVersion: landingzones.dev/v1alpha1\nkind: LandingZone\nmetadata: {{name: late}}\nspec:\n  \
             applicationCode: late\n  adoptionPolicy: {policy}\n  namespaces: [{{name: stranger, zone: a}}]\n"
        )
    };
    for (policy, expected) in [("Never", false), ("IfIdentical", true), ("Always", true)] {
        let found = between(BASE, &new(policy));
        assert_eq!(
            approval_required(&found),
            expected,
            "{policy}: {:?}",
            told(&found)
        );
    }
}
