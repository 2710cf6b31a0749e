//! Ports that are left out, and ports by the names that containers give them.

use super::*;
use crate::policy::{Endpoint, LabelMap, TransportProtocol, labels};

fn of_tcp(mut policy: Value, field: &str, ports: &Value) -> Value {
    let spec = &mut policy["spec"];
    let rule = if spec.get("egress").is_some() {
        &mut spec["egress"][0]
    } else {
        &mut spec["ingress"][0]
    };
    rule["protocol"] = json!("TCP");
    rule["destination"][field] = ports.clone();
    policy
}

#[test]
fn ports_that_are_left_out_are_left_out_of_the_crossing() {
    let outside = to(&json!({"nets": ["198.51.100.0/24"]}));
    for (ports, not_ports, expected) in [
        (
            json!([]),
            json!([80]),
            "ports: [{protocol: TCP, port: 1, endPort: 79}, {protocol: TCP, port: 81, endPort: 65535}]",
        ),
        (
            json!(["1:1000"]),
            json!([80, "100:200"]),
            "ports: [{protocol: TCP, port: 1, endPort: 79}, {protocol: TCP, port: 81, endPort: 99}, {protocol: TCP, port: \
             201, endPort: 1000}]",
        ),
        (
            json!([80, 443]),
            json!([80]),
            "ports: [{protocol: TCP, port: 443}]",
        ),
        // Nobody knows which number that is.
        (
            json!([443]),
            json!(["http"]),
            "ports: [{protocol: TCP, port: 443}]",
        ),
    ] {
        let policy = of_tcp(
            of_tcp(outside.clone(), "ports", &ports),
            "notPorts",
            &not_ports,
        );
        let suggestion = settles(&plain(), &policy);
        assert!(suggestion.contains(expected), "{suggestion}");
    }
    let policy = of_tcp(
        from(&json!({"namespaceSelector": "applicationcode == 'orders'"})),
        "notPorts",
        &json!([80]),
    );
    let suggestion = settles(&plain(), &policy);
    assert!(suggestion.contains("endPort: 79}"), "{suggestion}");
    // What is left of them is none.
    let policy = of_tcp(
        of_tcp(outside, "ports", &json!([80])),
        "notPorts",
        &json!([80]),
    );
    assert_eq!(plain().found(&policy), []);
}

/// A pod with a port that has a name.
fn pod(namespace: &str, code: &str, zone: &str, (name, number): (&str, u16)) -> Endpoint {
    let of_namespace: LabelMap = [
        ("applicationcode", code),
        ("zone", zone),
        ("landingzones.dev/landing-zone", code),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    Endpoint {
        namespace: namespace.to_owned(),
        name: "a".to_owned(),
        labels: labels(&LabelMap::new(), (namespace, &of_namespace), None),
        addresses: Vec::new(),
        ports: vec![(name.to_owned(), TransportProtocol::TCP, number)],
    }
}

#[test]
fn ports_have_the_numbers_that_pods_give_them() {
    let mut stand = plain();
    stand.pods = vec![
        pod("orders-ns3", "orders", "data", ("db", 5432)),
        // These are not meant.
        pod("orders-ns1", "orders", "frontend", ("db", 1)),
        pod("pay-ns3", "pay", "data", ("db", 2)),
        pod("app2-ns2", "application2", "backend", ("http", 8080)),
    ];
    let data = json!({"namespaceSelector": "applicationcode == 'orders' && zone == 'data'"});
    let policy = of_tcp(to(&data), "ports", &json!(["db"]));
    let found = stand.found(&policy);
    let suggestion = &found[0].suggestion;
    assert!(
        suggestion.contains(
            "to: {landingZone: orders, zone: data}, ports: [{protocol: TCP, port: 5432}]}"
        ) && suggestion.contains("with it, write 5432 instead of db in the ports of the rule"),
        "{suggestion}"
    );
    // Both of it settles it.
    let suggestion = suggestion.clone();
    let mut after = of_tcp(to(&data), "ports", &json!([5432]));
    let mut declared = stand.clone();
    declared.apply(&mut after, &suggestion);
    assert_eq!(declared.found(&after), []);
    // What comes in goes to one's own pods.
    let policy = of_tcp(from(&data), "ports", &json!([]));
    let mut policy = policy;
    policy["spec"]["ingress"][0]["destination"] = json!({"ports": ["http"]});
    let found = stand.found(&policy);
    assert!(
        found[0]
            .suggestion
            .contains("to: {zone: backend}, ports: [{protocol: TCP, port: 8080}]}"),
        "{}",
        found[0].suggestion
    );
}

#[test]
fn for_names_that_no_pod_gives_no_crossing_is_proposed() {
    let orders = json!({"namespaceSelector": "applicationcode == 'orders'"});
    for (end, why) in [
        (&orders, "no pod that was read calls a port so"),
        (
            &json!({"nets": ["198.51.100.0/24"]}),
            "addresses have no names of ports",
        ),
    ] {
        let policy = of_tcp(to(end), "ports", &json!(["db"]));
        let found = plain().found(&policy);
        let suggestion = &found[0].suggestion;
        assert!(
            !suggestion.contains("declare in")
                && suggestion.contains("no crossing can be proposed for TCP db: ")
                && suggestion.contains(why),
            "{suggestion}"
        );
        // Of the others it is.
        let policy = of_tcp(to(end), "ports", &json!(["db", 443]));
        let found = plain().found(&policy);
        let suggestion = &found[0].suggestion;
        assert!(
            suggestion.contains("ports: [{protocol: TCP, port: 443}]}")
                && suggestion.contains("no crossing can be proposed for TCP db: "),
            "{suggestion}"
        );
    }
}
