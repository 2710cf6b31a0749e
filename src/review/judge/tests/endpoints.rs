//! Addresses behind services of a landing zone.

use super::*;

fn slice(addresses: &Value, target: &Value, port: u16) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "db-1", "namespace": "app2-ns2", "labels": {"kubernetes.io/service-name": "db"}},
        "addressType": "IPv4", "ports": [{"protocol": "TCP", "port": port}],
        "endpoints": [{"addresses": addresses, "targetRef": target}],
    })
}

fn in_file(object: &Value) -> Vec<Finding> {
    let object = Object::read(object).unwrap().unwrap().in_file();
    judge(&object, &landscape())
}

#[test]
fn addresses_outside_are_found_where_they_are_written() {
    let outside = slice(&json!(["198.51.100.7"]), &json!(null), 443);
    for found in [in_file(&outside), found(&outside)] {
        let [found] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(found.rule, Rule::EndpointsOutside);
        assert_eq!(found.path.to_string(), "endpoints[0].addresses[0]");
        assert!(found.needs_approval());
        let witness = found.witness.as_deref().unwrap();
        assert!(witness.contains("could reach 198.51.100.7"), "{witness}");
    }
    let older = json!({
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "db", "namespace": "app2-ns2"},
        "subsets": [{"addresses": [{"ip": "198.51.100.7"}], "ports": [{"port": 443}]}],
    });
    let found = in_file(&older);
    assert_eq!(found[0].path.to_string(), "subsets[0].addresses[0].ip");
    let mut elsewhere = outside.clone();
    elsewhere["metadata"]["namespace"] = json!("stranger");
    assert_eq!(in_file(&elsewhere), []);
}

#[test]
fn pods_of_a_controller_are_inside_and_those_of_people_are_not() {
    let pod = json!({"kind": "Pod", "name": "db-0", "namespace": "app2-ns2"});
    let slice = slice(&json!(["10.244.0.7"]), &pod, 443);
    assert_eq!(found(&slice), []);
    // By hand, it may be a pod of somebody else.
    assert_eq!(in_file(&slice)[0].rule, Rule::EndpointsOutside);
    let outside = json!(["198.51.100.7"]);
    let mut forged = slice;
    forged["endpoints"][0]["addresses"] = outside;
    assert_eq!(found(&forged)[0].rule, Rule::EndpointsOutside);
}

#[test]
fn what_a_crossing_declares_is_declared() {
    // The crossing partner, TCP 443.
    let found = in_file(&slice(&json!(["203.0.113.9"]), &json!(null), 443));
    let declared = found[0].declared.as_deref().unwrap();
    assert!(declared.contains("crossing partner"), "{declared}");
    for (addresses, port) in [
        (json!(["203.0.113.9"]), 22),
        (json!(["203.0.113.9", "198.51.100.7"]), 443),
    ] {
        let found = in_file(&slice(&addresses, &json!(null), port));
        assert_eq!(found[0].declared, None, "{addresses} {port}");
        let path = found[0].path.to_string();
        let position = addresses.as_array().unwrap().len() - 1;
        assert_eq!(path, format!("endpoints[0].addresses[{position}]"));
    }
}

#[test]
fn a_rule_by_an_own_service_without_selector_means_whatever_is_written_there() {
    let policy = to(&json!({"services": {"name": "db"}}));
    let object = Object::read(&policy).unwrap().unwrap();
    let mut landscape = landscape();
    assert_eq!(judge(&object, &landscape), []);
    let service = ("app2-ns2".to_owned(), "db".to_owned());
    landscape.services_by_hand.insert(service);
    let found = judge(&object, &landscape);
    assert_eq!(found[0].rule, Rule::ByService);
    let witness = found[0].witness.as_deref().unwrap();
    assert!(
        witness.contains("app2-ns2/db, which has no selector"),
        "{witness}"
    );
    let suggestion = &found[0].suggestion;
    assert!(!suggestion.contains("network.ingress"), "{suggestion}");
}
