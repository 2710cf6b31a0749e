use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::DeserializeGuard;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn seen(spec: &Value, leaving: bool) -> Neighbour {
    let mut declared = json!({
        "applicationCode": "orders",
        "namespaces": [{"name": "orders", "zone": "data"}],
    });
    let fields = declared.as_object_mut().unwrap();
    fields.extend(spec.as_object().unwrap().clone());
    let mut zone = LandingZone::new("orders", serde_json::from_value(declared).unwrap());
    zone.metadata.deletion_timestamp = leaving.then_some(Time(Timestamp::UNIX_EPOCH));
    let here = neighbour_of(&zone, &Platform::default());
    let stored = neighbour(&DeserializeGuard(Ok(zone)), &Platform::default());
    assert_eq!(format!("{here:?}"), format!("{stored:?}"));
    here
}

#[rstest]
#[case::enforced(json!({}))]
#[case::observed(json!({"stage": "Observe"}))]
#[case::not_suspended(json!({"suspend": false}))]
fn what_is_declared_holds(#[case] spec: Value) {
    let seen = seen(&spec, false);
    assert!(matches!(seen, Neighbour::InForce(_)), "{seen:?}");
}

#[rstest]
#[case::planned(json!({"stage": "Plan"}), "is in stage Plan")]
#[case::suspended(json!({"suspend": true}), "is suspended")]
#[case::not_valid(json!({"applicationCode": ""}), NOT_VALID)]
fn what_is_not_in_force_changes_nothing(#[case] spec: Value, #[case] why: &str) {
    let seen = seen(&spec, false);
    assert!(
        matches!(seen, Neighbour::AsBefore(said) if said == why),
        "{seen:?}"
    );
}

/// Whatever it says besides.
#[rstest]
#[case::enforced(json!({}))]
#[case::planned(json!({"stage": "Plan"}))]
#[case::suspended(json!({"suspend": true}))]
fn of_what_is_being_deleted_nothing_holds(#[case] spec: Value) {
    let seen = seen(&spec, true);
    assert!(matches!(seen, Neighbour::Leaving), "{seen:?}");
}
