//! What declarations cover, and what they decide before a team does.

use super::*;

/// The landscape, where application2 declares two crossings to the data of orders and one to addresses.
fn known() -> Landscape {
    let port = |port: u16| json!([{"protocol": "TCP", "port": port}]);
    let ours = zone(
        "application2",
        "app2",
        &json!({"egress": [
            {"name": "orders-db", "from": {"zone": "backend"}, "to": {"landingZone": "orders", "zone": "data"}, "ports": port(5432)},
            {"name": "orders-admin", "from": {"zone": "backend"}, "to": {"landingZone": "orders", "zone": "data"},
             "ports": [{"protocol": "TCP", "port": 8080, "endPort": 8090}]},
            {"name": "bank", "from": {"zone": "backend", "podSelector": {"matchLabels": {"app": "a"}}},
             "to": {"cidrs": ["192.0.2.0/28"]}, "ports": port(443)},
            {"name": "partner", "to": {"cidrs": ["203.0.113.0/25"]}, "ports": port(443)},
            {"name": "partner-too", "to": {"cidrs": ["203.0.113.128/25"]}, "ports": port(443)},
        ]}),
    );
    let theirs = zone(
        "orders",
        "orders",
        &json!({"ingress": [
            {"name": "application2", "from": {"landingZone": "application2"}, "to": {"zone": "data"}},
        ]}),
    );
    let platform = Platform {
        pod_cidrs: vec!["10.244.0.0/16".parse().unwrap()],
        ..Platform::default()
    };
    let resolved = |own: &LandingZone, other: &LandingZone| {
        resolve(
            own,
            &Surroundings {
                platform: &platform,
                flavour: Flavour::KUBERNETES,
                today: date(2026, 11, 26),
                neighbours: [(
                    other.name.clone(),
                    Neighbour::InForce(Box::new(other.clone())),
                )]
                .into(),
                before: Vec::new(),
                shared_ranges: std::collections::BTreeMap::new(),
            },
        )
    };
    let (one, two) = (resolved(&ours, &theirs), resolved(&theirs, &ours));
    Landscape::new(&[(&ours, &one), (&theirs, &two)], &[], platform.clone())
}

fn judged(policy: &Value) -> Vec<Finding> {
    judge(&Object::read(policy).unwrap().unwrap(), &known())
}

/// A rule of the backend about what orders has, with ports of TCP.
fn to_orders(action: &str, ports: &Value) -> Value {
    let mut policy =
        to(&json!({"namespaceSelector": "applicationcode == 'orders' && zone == 'data'"}));
    let rule = &mut policy["spec"]["egress"][0];
    rule["action"] = json!(action);
    if !ports.is_null() {
        rule["protocol"] = json!("TCP");
        rule["destination"]["ports"] = ports.clone();
    }
    policy
}

#[test]
fn several_crossings_cover_the_ports_of_one_rule() {
    for ports in [
        json!([5432]),
        json!([5432, 8080]),
        json!(["8081:8090", 5432]),
    ] {
        let found = judged(&to_orders("Allow", &ports));
        assert_eq!(found.len(), 1, "{ports}: {found:?}");
        assert!(found[0].declared.is_some(), "{ports}: {found:?}");
    }
    let both = judged(&to_orders("Allow", &json!([5432, 8080])));
    let declared = both[0].declared.as_ref().unwrap();
    assert_eq!(declared.matches("crossing").count(), 2, "{declared}");
    for (ports, told) in [
        (json!([5432, 22]), "not declared: TCP 22"),
        (json!(["8080:8091"]), "not declared: TCP 8091"),
        (
            json!(["8000:9000"]),
            "not declared: TCP 8000-8079, TCP 8091-9000",
        ),
        (json!(["http"]), "can be proposed for TCP http"),
        (json!(["http"]), "write the numbers"),
    ] {
        let found = judged(&to_orders("Allow", &ports));
        assert!(found[0].needs_approval(), "{ports}: {found:?}");
        assert!(
            found[0].suggestion.contains(told),
            "{ports}: {}",
            found[0].suggestion
        );
    }
    // All ports, and those of no protocol, are more than any crossing has.
    assert!(judged(&to_orders("Allow", &Value::Null))[0].needs_approval());
    // And so are several crossings for the addresses of one rule.
    let nets = to_port(&json!({"nets": ["203.0.113.0/24"]}), "TCP", 443);
    let found = judged(&nets);
    assert!(found[0].declared.is_some(), "{found:?}");
}

#[test]
fn a_deny_of_what_is_declared_is_told_to_be_without_effect() {
    for (policy, names) in [
        (
            to_orders("Deny", &json!([5432])),
            vec!["TCP 5432", "stays open"],
        ),
        (
            to_orders("Deny", &Value::Null),
            vec!["TCP 5432", "TCP 8080-8090"],
        ),
        (
            to_orders("Deny", &json!([22])),
            vec!["the boundary denies that already"],
        ),
    ] {
        let found = judged(&policy);
        assert_eq!(found.len(), 1, "{policy}: {found:?}");
        assert_eq!(found[0].rule, Rule::DenyWithoutEffect);
        for name in names {
            assert!(found[0].message.contains(name), "{found:?}");
        }
        assert!(!found[0].needs_approval());
    }
    let mut nets = to_port(&json!({"nets": ["203.0.113.0/28"]}), "TCP", 443);
    nets["spec"]["egress"][0]["action"] = json!("Deny");
    let found = judged(&nets);
    assert!(found[0].message.contains("partner"), "{found:?}");
    // What is denied inside has an effect.
    let mut inside = to(&json!({"namespaceSelector": "has(applicationcode)"}));
    inside["spec"]["egress"][0]["action"] = json!("Deny");
    assert_eq!(judged(&inside), []);
}

#[test]
fn pods_that_a_crossing_leaves_out_are_named() {
    let mut policy = to_port(&json!({"nets": ["192.0.2.0/28"]}), "TCP", 443);
    let told = judged(&policy).remove(0);
    assert!(told.needs_approval());
    assert_eq!(
        told.witness.as_deref(),
        Some(
            "pods of app2-ns2 without app == 'a', for which alone it is declared, could reach whoever has an address of \
             192.0.2.0/28"
        )
    );
    // Of what nobody declares, all pods are told.
    let other = to_port(&json!({"nets": ["192.0.2.0/28"]}), "TCP", 22);
    let told = judged(&other).remove(0).witness.unwrap();
    assert!(told.starts_with("pods of app2-ns2 could reach"), "{told}");
    policy["spec"]["selector"] = json!("app == 'a'");
    let told = judged(&policy).remove(0);
    assert!(told.declared.is_some(), "{told}");
}

/// application2 may go to the API server, whose address besides its service is this one.
fn with_api_server() -> Landscape {
    let ours = zone(
        "application2",
        "app2",
        &json!({"egress": [{"name": "api", "to": {"apiServer": true}}]}),
    );
    let platform = Platform {
        api_server: vec!["10.2.0.4/32".parse().unwrap()],
        ..Platform::default()
    };
    let resolved = resolve(
        &ours,
        &Surroundings {
            platform: &platform,
            flavour: Flavour::KUBERNETES,
            today: date(2026, 11, 26),
            neighbours: std::collections::BTreeMap::new(),
            before: Vec::new(),
            shared_ranges: std::collections::BTreeMap::new(),
        },
    );
    Landscape::new(&[(&ours, &resolved)], &[], platform.clone())
}

#[test]
fn the_api_server_is_open_on_its_own_port() {
    let landscape = with_api_server();
    let open = |policy: &Value| {
        let found = judge(&Object::read(policy).unwrap().unwrap(), &landscape);
        let undeclared = found.iter().filter(|it| it.declared.is_none());
        (found.len(), undeclared.count())
    };
    let address = json!({"nets": ["10.2.0.4/32"]});
    assert_eq!(open(&to_port(&address, "TCP", 443)), (1, 0));
    for (protocol, port) in [("TCP", 10_250), ("UDP", 443), ("TCP", 22)] {
        assert_eq!(open(&to_port(&address, protocol, port)), (1, 1), "{port}");
    }
    assert_eq!(open(&to(&address)), (1, 1));
    // The ports of a service are its own.
    let service = json!({"services": {"namespace": "default", "name": "kubernetes"}});
    assert_eq!(open(&to(&service)), (1, 0));
}
