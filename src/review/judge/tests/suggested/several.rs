//! A policy of the cluster for pods of several landing zones.

use super::*;

fn of_cluster(namespaces: &str, end: &Value) -> Value {
    json!({
        "apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "team"},
        "spec": {
            "namespaceSelector": namespaces, "types": ["Egress"],
            "egress": [{"action": "Allow", "destination": end}],
        },
    })
}

#[test]
fn each_landing_zone_gets_its_crossing() {
    let policy = of_cluster(
        "applicationcode in {'application2', 'orders'}",
        &json!({"nets": ["198.51.100.0/24"]}),
    );
    let suggestion = settles(&plain(), &policy);
    for name in ["application2", "orders"] {
        let own = format!("declare in landing zone {name}: network: {{egress: [{{name: to-");
        assert!(suggestion.contains(&own), "{suggestion}");
    }
    // One of them declares it already.
    let partner = json!({"egress": [{"name": "partner", "to": {"cidrs": ["198.51.100.0/24"]}}]});
    let suggestion = settles(&plain().with("application2", partner), &policy);
    assert!(
        !suggestion.contains("in landing zone application2"),
        "{suggestion}"
    );
}

#[test]
fn each_landing_zone_has_what_is_missing_for_it() {
    let policy = of_cluster(
        "applicationcode in {'application2', 'orders'}",
        &json!({"namespaceSelector": "applicationcode == 'pay' && zone == 'data'"}),
    );
    let suggestion = settles(&plain(), &policy);
    for name in ["application2", "orders"] {
        let own = format!("declare in landing zone {name}: network: {{egress: [{{name: pay-data");
        let theirs = format!("from: {{landingZone: {name}}}");
        assert!(
            suggestion.contains(&own) && suggestion.contains(&theirs),
            "{suggestion}"
        );
    }
    assert!(!suggestion.contains("to stay inside"), "{suggestion}");
}

/// No one selector of namespaces says what is meant for each of them.
#[test]
fn what_has_to_be_written_otherwise_is_written_for_each_alone() {
    let policy = of_cluster(
        "applicationcode in {'application2', 'orders'}",
        &json!({"namespaceSelector": "zone == 'data'"}),
    );
    let found = plain().found(&policy);
    let suggestion = &found[0].suggestion;
    for (name, code) in [("application2", "application2"), ("orders", "orders")] {
        let own = format!(
            "in a policy for landing zone {name} alone, write namespaceSelector: \"applicationcode == '{code}' && zone == 'data'\" \
             to stay inside"
        );
        assert!(suggestion.contains(&own), "{suggestion}");
    }
}

#[test]
fn with_many_landing_zones_the_rest_is_counted() {
    let policy = of_cluster(
        "has(applicationcode)",
        &json!({"nets": ["198.51.100.0/24"]}),
    );
    let mut stand = plain();
    for (name, prefix) in [("a", "a"), ("b", "b"), ("c", "c")] {
        stand.zones.push((name, prefix, json!({})));
    }
    let found = stand.found(&policy);
    let suggestion = &found[0].suggestion;
    assert_eq!(
        suggestion.matches("declare in landing zone").count(),
        4,
        "{suggestion}"
    );
    assert!(
        suggestion.ends_with("; 2 more landing zones likewise"),
        "{suggestion}"
    );
}
