use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

/// A landing zone of generation 3 with a status that speaks of it.
fn zone(status: Value) -> LandingZone {
    let mut status = status;
    status["observedGeneration"] = json!(3);
    let zone = json!({
        "metadata": {"name": "shop", "generation": 3},
        "spec": {"applicationCode": "shop", "namespaces": [{"name": "shop-web", "zone": "web"}]},
        "status": status,
    });
    serde_json::from_value(zone).unwrap()
}

fn condition(type_: &str, status: &str, why: &str, message: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": why, "message": message,
        "lastTransitionTime": "2026-11-26T00:00:00Z",
    })
}

fn ready() -> Value {
    condition("Ready", "True", "AsDeclared", "everything is there")
}

fn of(status: Value) -> String {
    of_zone(&zone(status)).to_string()
}

/// What is said of a landing zone which is ready but for one condition.
fn beside_ready(type_: &str, status: &str, why: &str) -> String {
    of_zone(&zone(json!({
        "conditions": [ready(), condition(type_, status, why, "the message")],
    })))
    .word()
}

/// Every reason that there is, with a condition that has it and what follows from it. One that is missing here was
/// not thought of yet: decide in `course` what people have to do about it, and write it down.
const EXPECTED: &[(&str, &str, &str, &str)] = &[
    ("AsDeclared", "CrossingsOpen", "True", "healthy"),
    (
        "Progressing",
        "NamespacesReady",
        "False",
        "waiting for the operator",
    ),
    (
        "Suspended",
        "NetworkEnforced",
        "Unknown",
        "waiting for its own team",
    ),
    (
        "PlanOnly",
        "NetworkEnforced",
        "Unknown",
        "waiting for its own team",
    ),
    ("Invalid", "NamespacesReady", "Unknown", "act now"),
    ("Conflict", "NamespacesReady", "False", "act now"),
    ("NotAdopted", "NamespacesReady", "False", "act now"),
    (
        "Terminating",
        "NamespacesReady",
        "False",
        "waiting for Kubernetes",
    ),
    (
        "ApplyFailed",
        "NamespacesReady",
        "False",
        "waiting for the platform team",
    ),
    ("Calico", "NetworkEnforced", "True", "healthy"),
    (
        "KubernetesPoliciesOnly",
        "NetworkEnforced",
        "True",
        "waiting for the platform team",
    ),
    (
        "NoEnforcingPlugin",
        "NetworkEnforced",
        "False",
        "waiting for the platform team",
    ),
    ("Observed", "NetworkEnforced", "False", "healthy"),
    (
        "PoliciesPending",
        "NetworkEnforced",
        "False",
        "waiting for the operator",
    ),
    ("AddedToPods", "PlacementEnforced", "True", "healthy"),
    ("NoNode", "PlacementEnforced", "True", "waiting for nodes"),
    (
        "FewAvailabilityZones",
        "PlacementEnforced",
        "True",
        "waiting for nodes",
    ),
    (
        "NotAddedToPods",
        "PlacementEnforced",
        "False",
        "waiting for the platform team",
    ),
    (
        "TestRefused",
        "PlacementEnforced",
        "Unknown",
        "waiting for the operator",
    ),
    ("AllPlaced", "PodsPlaced", "True", "healthy"),
    (
        "Evicting",
        "PodsPlaced",
        "False",
        "waiting for the operator",
    ),
    ("EvictionBlocked", "PodsPlaced", "False", "act now"),
    ("NotEvicted", "PodsPlaced", "False", "act now"),
    (
        "EvictionForbidden",
        "PodsPlaced",
        "Unknown",
        "waiting for the platform team",
    ),
    (
        "PodsUnknown",
        "PodsPlaced",
        "Unknown",
        "waiting for the operator",
    ),
    ("PlacementNotEnforced", "PodsPlaced", "Unknown", "healthy"),
    ("CrossingsClosed", "CrossingsOpen", "False", "act now"),
    ("CrossingsRemarked", "CrossingsOpen", "True", "healthy"),
    ("NothingCrosses", "BoundaryHeld", "True", "healthy"),
    ("KeptClosed", "BoundaryHeld", "True", "healthy"),
    ("BoundaryOpen", "BoundaryHeld", "False", "act now"),
    ("NamespacesWithheld", "NetworkEnforced", "False", "healthy"),
    ("OtherWriter", "Contested", "True", "act now"),
    ("NoOtherWriter", "Contested", "False", "healthy"),
    ("ConfirmationNeeded", "NamespacesReady", "False", "act now"),
    (
        "DeletionRefused",
        "NamespacesReady",
        "False",
        "waiting for the platform team",
    ),
    (
        "Deleting",
        "NetworkEnforced",
        "Unknown",
        "waiting for Kubernetes",
    ),
    ("NotManaged", "AzureReady", "Unknown", "healthy"),
    (
        "KarpenterMissing",
        "AzureReady",
        "False",
        "waiting for the platform team",
    ),
    (
        "KarpenterUnfit",
        "AzureReady",
        "False",
        "waiting for the platform team",
    ),
    (
        "ServiceOperatorMissing",
        "AzureReady",
        "False",
        "waiting for the platform team",
    ),
    (
        "ServiceOperatorUnfit",
        "AzureReady",
        "False",
        "waiting for the platform team",
    ),
    (
        "NotWatched",
        "AzureReady",
        "False",
        "waiting for the platform team",
    ),
    ("PoolCannotChange", "AzureReady", "False", "act now"),
    ("RefusedByAzure", "AzureReady", "False", "act now"),
    ("Leaving", "AzureReady", "False", "act now"),
    (
        "Replacing",
        "AzureReady",
        "False",
        "waiting for the operator",
    ),
    ("Declared", "PodRangesKnown", "True", "healthy"),
    ("Told", "PodRangesKnown", "True", "healthy"),
    ("IPPools", "PodRangesKnown", "True", "healthy"),
    ("Nodes", "PodRangesKnown", "True", "healthy"),
    ("NotFound", "PodRangesKnown", "False", "act now"),
    ("ServiceFound", "NodeLocalDnsAllowed", "True", "healthy"),
    ("ServiceMissing", "NodeLocalDnsAllowed", "False", "act now"),
    ("Off", "DefaultDenyReady", "True", "healthy"),
    ("Enforcing", "DefaultDenyReady", "True", "healthy"),
    ("WouldCutOff", "DefaultDenyReady", "False", "act now"),
    ("ExemptionsTooLong", "DefaultDenyReady", "False", "act now"),
    ("Answering", "GuardReady", "True", "healthy"),
    ("NotAnswering", "GuardReady", "False", "act now"),
    ("WebhookMissing", "GuardReady", "False", "act now"),
    ("NoCertificate", "GuardReady", "False", "act now"),
    ("NoCalico", "DefaultDenyReady", "False", "act now"),
];

#[test]
fn every_reason_leads_somewhere() {
    let source = include_str!("../../../api/condition.rs");
    let (_, reasons) = source.split_once("pub mod reason").unwrap();
    let constants = reasons
        .lines()
        .filter(|it| it.trim().starts_with("pub const"));
    let known: BTreeSet<&str> = constants.map(|it| it.split('"').nth(1).unwrap()).collect();
    assert!(known.len() > 50, "{known:?}");
    let expected: BTreeSet<&str> = EXPECTED.iter().map(|it| it.0).collect();
    assert_eq!(known, expected, "a reason that nobody has thought of");
    for (why, type_, status, expected) in EXPECTED {
        assert!(course(why).is_some(), "{why}");
        assert!(is_ours(type_), "{type_}");
        assert_eq!(beside_ready(type_, status, why), *expected, "{why}");
    }
}

#[test]
fn every_condition_is_known_for_ours() {
    let source = include_str!("../../../api/condition.rs");
    let (conditions, _) = source.split_once("pub mod reason").unwrap();
    let constants = conditions.lines().filter(|it| it.starts_with("pub const"));
    let known: BTreeSet<&str> = constants.map(|it| it.split('"').nth(1).unwrap()).collect();
    assert_eq!(known, OURS.into_iter().collect());
}

#[test]
fn what_is_well_is_healthy_and_conditions_of_others_change_nothing() {
    let status = json!({"conditions": [ready(), condition("Theirs", "False", "Odd", "not ours")]});
    assert_eq!(of(status), "healthy: everything is there");
}

#[test]
fn a_reason_of_a_newer_operator_counts_where_its_condition_is_not_well() {
    assert_eq!(beside_ready("NetworkEnforced", "True", "Newer"), "healthy");
    assert_eq!(beside_ready("NetworkEnforced", "False", "Newer"), "act now");
    assert_eq!(beside_ready("Contested", "False", "Newer"), "healthy");
    assert_eq!(beside_ready("Contested", "True", "Newer"), "act now");
}

#[test]
fn what_nobody_has_looked_at_waits_for_the_operator() {
    let mut new = zone(json!({}));
    new.status = None;
    assert_eq!(of_zone(&new).word(), "waiting for the operator");
    let mut edited = zone(json!({"conditions": [ready()]}));
    edited.metadata.generation = Some(4);
    let verdict = of_zone(&edited);
    assert_eq!(verdict.word(), "waiting for the operator");
    assert!(verdict.message.contains("was edited"), "{verdict}");
}

#[rstest]
#[case::confirmation("ConfirmationNeeded", &[FINALIZER], "act now: why")]
#[case::refused("DeletionRefused", &[FINALIZER], "waiting for the platform team: why")]
#[case::goes_on("Deleting", &[FINALIZER], "waiting for Kubernetes: why")]
#[case::unseen("AsDeclared", &[FINALIZER], "waiting for the operator: it is being deleted, and the operator has not")]
#[case::others("AsDeclared", &["example.com/a"], "waiting for Kubernetes: it is being deleted, and whoever set")]
fn a_deletion_comes_before_all_else(
    #[case] why: &str,
    #[case] finalizers: &[&str],
    #[case] expected: &str,
) {
    let ready = condition("Ready", "False", why, "why");
    let mut zone = zone(json!({"conditions": [ready]}));
    zone.metadata.generation = Some(9);
    let metadata = json!({"deletionTimestamp": "2026-11-26T00:00:00Z", "finalizers": finalizers});
    let metadata: kube::core::ObjectMeta = serde_json::from_value(metadata).unwrap();
    zone.metadata.deletion_timestamp = metadata.deletion_timestamp;
    zone.metadata.finalizers = metadata.finalizers;
    let said = of_zone(&zone).to_string();
    assert!(said.starts_with(expected), "{said}");
}

#[rstest]
#[case::stage("PlanOnly", "True", "waiting for its own team: why")]
#[case::suspended("Suspended", "Unknown", "waiting for its own team: why")]
#[case::invalid("Invalid", "False", "act now: why")]
#[case::failed("ApplyFailed", "False", "waiting for the platform team: why")]
fn a_standstill_says_who_ends_it(#[case] why: &str, #[case] state: &str, #[case] expected: &str) {
    let nobody = "nobody looks after it: see Ready";
    let conditions = json!([
        condition("NetworkEnforced", "Unknown", why, nobody),
        condition("Ready", state, why, "why"),
    ]);
    assert_eq!(of(json!({"conditions": conditions})), expected);
}

#[test]
fn the_condition_that_says_more_is_repeated() {
    let conditions = json!([
        condition(
            "Ready",
            "False",
            "NotAddedToPods",
            "not all: see PlacementEnforced"
        ),
        condition("PlacementEnforced", "False", "NotAddedToPods", "apply it"),
    ]);
    assert_eq!(
        of(json!({"conditions": conditions})),
        "waiting for the platform team: apply it"
    );
}

const CONFLICT: &str =
    "shop-web: the landing zone other declares the namespace too and comes first; remove it";

#[test]
fn a_conflict_waits_for_the_other_team_until_it_is_old() {
    let status = |stalled: &str| {
        json!({"conditions": [
            condition("Ready", "False", "Conflict", CONFLICT),
            condition("Stalled", stalled, "Conflict", CONFLICT),
        ]})
    };
    let young = of(status("False"));
    assert!(
        young.starts_with("waiting for the team of landing zone other: shop-web: the landing"),
        "{young}"
    );
    assert_eq!(of(status("True")), format!("act now: {CONFLICT}"));
}

#[test]
fn a_foreign_namespace_on_its_way_out_is_waited_for() {
    let status = |messages: &[&str]| {
        let namespaces: Vec<_> = messages
            .iter()
            .map(|it| json!({"name": "a", "zone": "web", "state": "Withheld", "message": it}))
            .collect();
        json!({
            "conditions": [condition("Ready", "False", "NotAdopted", "theirs")],
            "namespaces": namespaces,
        })
    };
    let gone = format!("it is being deleted; {CREATED_ONCE_GONE}");
    assert_eq!(of(status(&[&gone])), "waiting for Kubernetes: theirs");
    assert_eq!(of(status(&[&gone, "theirs"])), "act now: theirs");
}

fn crossing(name: &str, peer: &str, state: &str) -> Value {
    let direction = "Egress";
    json!({"direction": direction, "name": name, "peer": peer, "state": state, "message": "why"})
}

#[rstest]
#[case(
    "landing zone orders, zone data",
    "DeclaredHere",
    "waiting for the team of landing zone orders: a"
)]
#[case(
    "landing zone orders",
    "PeerNotInForce",
    "waiting for the team of landing zone orders: a"
)]
#[case(
    "landing zone orders",
    "NoSuchPeer",
    "waiting for the team of landing zone orders: a"
)]
#[case(
    "destination db",
    "NoSuchPeer",
    "waiting for the platform team: a (destination db): why"
)]
#[case("10.0.0.0/8", "NotAcknowledged", "act now: a (10.0.0.0/8): why")]
#[case("10.0.0.0/8", "Expired", "act now: a")]
#[case("the API server", "Unsupported", "waiting for the platform team: a")]
fn a_closed_crossing_waits_for_its_other_end(
    #[case] peer: &str,
    #[case] state: &str,
    #[case] expected: &str,
) {
    let said = of(json!({
        "conditions": [ready(), condition("CrossingsOpen", "False", "CrossingsClosed", "closed")],
        "crossings": [
            crossing("open", "landing zone x", "Open"),
            crossing("theirs", "landing zone y", "DeclaredThere"),
            crossing("a", peer, state),
        ],
    }));
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn everybody_who_is_waited_for_is_named_and_the_worst_comes_first() {
    let status = |second: &str| {
        json!({
            "conditions": [
                ready(),
                condition("CrossingsOpen", "False", "CrossingsClosed", "closed"),
                condition("PlacementEnforced", "True", "NoNode", "no node"),
            ],
            "crossings": [
                crossing("b", "landing zone orders", "DeclaredHere"),
                crossing("a", "landing zone bills", second),
            ],
        })
    };
    let said = of(status("DeclaredHere"));
    let expected = "waiting for the team of landing zone bills and the team of landing zone orders and nodes: a";
    assert!(said.starts_with(expected), "{said}");
    let said = of(status("Expired"));
    assert!(
        said.starts_with("act now: a (landing zone bills): why"),
        "{said}"
    );
}

#[test]
fn what_opens_a_weak_boundary_has_to_go() {
    let status = |open: bool| {
        let finding = json!({"rule": "r", "object": "o", "message": "m", "open": open});
        let weak = "KubernetesPoliciesOnly";
        json!({
            "conditions": [
                ready(),
                condition("NetworkEnforced", "True", weak, "weaker"),
                condition("BoundaryHeld", "False", weak, "opened by o"),
            ],
            "findings": [finding],
        })
    };
    assert_eq!(of(status(false)), "waiting for the platform team: weaker");
    assert_eq!(of(status(true)), "act now: opened by o");
}

#[test]
fn the_platform_s_own_team_does_not_wait_for_itself() {
    let platform = |why: &str, observed: i64| {
        let platform = json!({
            "metadata": {"name": "cluster", "generation": 2},
            "spec": {},
            "status": {
                "observedGeneration": observed,
                "conditions": [ready(), condition("DefaultDenyReady", "False", why, "the message")],
            },
        });
        let platform: LandingZonePlatform = serde_json::from_value(platform).unwrap();
        of_platform(&platform).to_string()
    };
    assert_eq!(platform("ApplyFailed", 2), "act now: the message");
    assert_eq!(platform("WouldCutOff", 2), "act now: the message");
    assert_eq!(
        platform("Progressing", 2),
        "waiting for the operator: the message"
    );
    assert!(platform("WouldCutOff", 1).starts_with("waiting for the operator: the declaration"));
}
