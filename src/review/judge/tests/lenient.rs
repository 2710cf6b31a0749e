//! What Calico takes, and does not take for what it seems.

use super::*;

/// A policy of the backend of application2 in Calico's storage.
fn stored(spec: &Value) -> Value {
    json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "default.team", "namespace": "app2-ns2"}, "spec": spec,
    })
}

fn global(spec: &Value) -> Value {
    json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "default.team"}, "spec": spec,
    })
}

const INSIDE: &str = "applicationcode == 'application2'";

#[test]
fn what_is_spelled_otherwise_is_told_and_judged() {
    let policy = stored(&json!({"types": ["ingress"], "ingress": [{"action": "allow"}]}));
    assert_eq!(rules(&policy), ["invalid", "invalid", "any-peer"]);
    let found = found(&policy);
    assert_eq!(found[0].path.to_string(), "spec.types");
    assert_eq!(found[1].path.to_string(), "spec.ingress[0].action");
    assert!(
        found[1].message.contains("Felix takes it for Allow"),
        "{found:?}"
    );
    // It denies nothing of what it seems to be silent about.
    let denied = stored(
        &json!({"types": ["Ingress"], "ingress": [{"action": "deny"}, {"action": "Allow"}]}),
    );
    assert_eq!(rules(&denied), ["invalid", "unreachable"]);
}

#[test]
fn one_field_that_cannot_be_read_hides_nothing_else() {
    for broken in [
        json!({"action": "Allow", "source": {"namespaceSelector": "applicationcode = 'application2'"}}),
        json!({"action": "Allow", "source": {"selector": "("}}),
        json!({"action": "Allow", "destination": {"ports": [80]}}),
        json!({"action": "Allow", "ipVersion": 5}),
    ] {
        for version in ["crd.projectcalico.org/v1", "projectcalico.org/v3"] {
            let mut policy = stored(&json!({"types": ["Ingress"], "ingress": [
                broken, {"action": "Allow", "source": {"namespaceSelector": "all()"}},
            ]}));
            policy["apiVersion"] = json!(version);
            let found = found(&policy);
            assert_eq!(rules(&policy), ["invalid", "all-namespaces"], "{policy}");
            assert_eq!(
                found[1].path.to_string(),
                "spec.ingress[1].source.namespaceSelector"
            );
        }
    }
    let selector = stored(
        &json!({"selector": "app = 'x'", "types": ["Ingress"], "ingress": [{"action": "Allow"}]}),
    );
    assert_eq!(rules(&selector), ["invalid", "any-peer"]);
}

#[test]
fn ranges_that_calico_drops_mean_anybody() {
    let bogus = stored(
        &json!({"types": ["Ingress"], "ingress": [{"action": "Allow", "source": {"nets": ["bogus"]}}]}),
    );
    assert_eq!(rules(&bogus), ["invalid", "any-peer"]);
    let zeros = stored(
        &json!({"types": ["Egress"], "egress": [{"action": "Allow", "destination": {"nets": ["10.0.0.0/000"]}}]}),
    );
    assert_eq!(rules(&zeros), ["invalid", "nets-everything"]);
}

#[test]
fn a_policy_of_the_cluster_that_is_for_more_than_it_seems_is_judged_for_all() {
    let spec = json!({
        "namespaceSelector": "team = 'red'", "types": ["Ingress"],
        "ingress": [{"action": "Allow", "source": {"namespaceSelector": "team == 'red'"}}],
    });
    let found = found(&global(&spec));
    assert_eq!(rules(&global(&spec)), ["invalid", "namespace-labels"]);
    assert!(
        found[1]
            .witness
            .as_ref()
            .unwrap()
            .contains("1 more landing zone"),
        "{found:?}"
    );
}

#[test]
fn a_selector_that_leaves_its_namespace_is_judged_for_all_that_it_selects() {
    let spec = json!({
        "selector": "app == 'x') || (all()", "types": ["Ingress"],
        "ingress": [{"action": "Allow", "source": {"namespaceSelector": INSIDE}}],
    });
    let found = found(&stored(&spec));
    assert_eq!(found[0].rule, Rule::Invalid);
    // It is also for pods of orders, and lets those of application2 in there.
    assert_eq!(found[1].rule, Rule::CodeWrong, "{found:?}");
    assert!(
        found[1].witness.as_ref().unwrap().contains("orders"),
        "{found:?}"
    );
}

#[test]
fn what_kubernetes_refuses_is_told() {
    let block = |cidr: &str| kubernetes_from(&json!([{"ipBlock": {"cidr": cidr}}]));
    for (cidr, expected) in [
        // Host bits, and zeros that are too many, are taken for a range by older versions.
        ("203.0.113.7/24", vec!["invalid", "nets-outside"]),
        ("203.0.113.0/024", vec!["invalid", "nets-outside"]),
        // Calico cannot read it, and leaves it out.
        ("203.0.113.010/32", vec!["invalid", "any-peer"]),
        ("203.0.113.7", vec!["invalid", "any-peer"]),
        ("203.0.113.0/24", vec!["nets-outside"]),
        ("2001:DB8::/32", vec!["nets-outside"]),
    ] {
        assert_eq!(rules(&block(cidr)), expected, "{cidr}");
    }
    let except = kubernetes_from(
        &json!([{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["198.51.100.0/24"]}}]),
    );
    assert_eq!(rules(&except), ["invalid", "nets-outside"]);
    assert_eq!(rules(&kubernetes_from(&json!([{}]))), ["invalid"]);
    let both = json!([{"podSelector": {}, "ipBlock": {"cidr": "203.0.113.0/24"}}]);
    assert_eq!(rules(&kubernetes_from(&both)), ["invalid", "nets-outside"]);
    // What a crossing declares is not declared in another form.
    let mut to_partner = kubernetes_from(&json!([]));
    to_partner["spec"] = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{
        "to": [{"ipBlock": {"cidr": "203.0.113.9/24"}}], "ports": [{"protocol": "TCP", "port": 443}],
    }]});
    let found = found(&to_partner);
    assert!(found.iter().any(Finding::needs_approval), "{found:?}");
}

#[test]
fn addresses_of_a_set_that_cannot_be_read_are_told() {
    let mut set = json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkSet", "metadata": {"name": "set"},
        "spec": {"nets": ["198.51.100.0/24", "here"]},
    });
    assert_eq!(rules(&set), ["invalid"]);
    assert_eq!(found(&set)[0].path.to_string(), "spec.nets[1]");
    set["kind"] = json!("NetworkSet");
    set["metadata"]["namespace"] = json!("elsewhere");
    assert_eq!(rules(&set), ["breaks-felix", "invalid"]);
}

#[test]
fn labels_that_are_put_away_oddly_are_forged() {
    // Calico takes each of these for the label (libcalico-go/lib/json, jsoniter).
    let label = "\"pcns.applicationcode\":\"application2\"";
    for text in [
        format!("{{\"Labels\":{{{label}}}}}"),
        format!("{{\"label\u{17f}\":{{{label}}}}}"),
        format!("{{\"labels\":{{{label}}},\"labels\":{{}}}}"),
        format!("{{\"labels\":{{{label},\"x\":\"\\ud800\"}}}}"),
        format!("{{\"labels\":{{{label}}}"),
    ] {
        let set = json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkSet",
            "metadata": {"name": "set", "annotations": {"projectcalico.org/metadata": text}},
            "spec": {"nets": ["198.51.100.0/24"]},
        });
        assert_eq!(rules(&set), ["forged-labels"], "{text}");
        let object = serde_json::from_value(set).unwrap();
        let part =
            crate::review::judged_part("crd.projectcalico.org/v1", "GlobalNetworkSet", &object);
        assert_eq!(rules(&part), ["forged-labels"], "{part}");
    }
    let as_written = json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkSet",
        "metadata": {"name": "set", "annotations": {
            "projectcalico.org/metadata": "{\"uid\":\"1\",\"creationTimestamp\":null,\"labels\":{\"role\":\"offices\"}}",
        }},
        "spec": {"nets": ["198.51.100.0/24"]},
    });
    assert_eq!(rules(&as_written), Vec::<&str>::new());
}

#[test]
fn what_lets_through_before_the_boundary_is_told_of_the_whole_cluster_too() {
    let end = json!({"namespaceSelector": INSIDE});
    let spec = |more: Value| {
        let mut spec = json!({
            "namespaceSelector": INSIDE, "types": ["Ingress"], "ingress": [{"action": "Allow", "source": end}],
        });
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        global(&spec)
    };
    assert_eq!(rules(&spec(json!({"order": 5}))), ["order-before-platform"]);
    assert_eq!(rules(&spec(json!({"order": 500}))), Vec::<&str>::new());
    let in_ours = spec(json!({"tier": "landingzones-platform"}));
    assert_eq!(rules(&in_ours), ["other-tier"]);
    // Whoever only denies opens nothing.
    let denies = spec(
        json!({"order": 5, "ingress": [{"action": "Deny", "source": {"nets": ["192.0.2.0/24"]}}]}),
    );
    assert_eq!(rules(&denies), Vec::<&str>::new());
}

#[test]
fn the_name_of_an_operators_policy_is_the_operators() {
    let named = |name: &str, managed: bool| {
        let label = if managed {
            "landing-zone-operator"
        } else {
            "somebody"
        };
        let policy = json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": label}},
            "spec": {"selector": "app == 'web'", "namespaceSelector": "team == 'red'", "types": ["Ingress"], "ingress": [{"action": "Deny"}]},
        });
        Object::read(&policy).unwrap().unwrap()
    };
    let ids = |object: &Object| -> Vec<_> {
        let found = judge(object, &landscape());
        found.iter().map(|it| it.rule.id()).collect()
    };
    for name in [
        "landing-zone-application2-boundary",
        "default.landing-zone-orders-web-crossings-2",
        "landingzones-platform.landing-zone-application2-dns",
        "landing-zones-default-deny",
    ] {
        assert_eq!(ids(&named(name, false)), ["operators-name"], "{name}");
        // In a file anybody can write the label.
        assert_eq!(
            ids(&named(name, true).in_file()),
            ["operators-name"],
            "{name}"
        );
        assert_eq!(ids(&named(name, true)), [] as [&str; 0], "{name}");
    }
    for name in ["landing-zone-of-mine", "boundary", "default.allow-dns"] {
        assert_eq!(ids(&named(name, false)), [] as [&str; 0], "{name}");
    }
}

#[test]
fn requests_of_http_are_no_matter_of_felix() {
    let rule = json!({
        "action": "Allow", "protocol": "TCP", "http": {"methods": ["GET"]},
        "source": {"namespaceSelector": "applicationcode == 'application2'"},
    });
    let mut policy = json!({
        "apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy",
        "metadata": {"name": "team", "namespace": "app2-ns2"},
        "spec": {"selector": "all()", "types": ["Ingress"], "ingress": [rule]},
    });
    let found_there = found(&policy);
    assert_eq!(found_there.len(), 1);
    assert_eq!(found_there[0].rule, Rule::UnknownField);
    assert_eq!(found_there[0].path.to_string(), "spec.ingress[0].http");
    assert!(!found_there[0].needs_approval());
    // What it does let through is judged as if it did not stand there.
    policy["spec"]["ingress"][0]["source"] = json!({});
    assert_eq!(rules(&policy), ["unknown-field", "any-peer"]);
    // Where Calico's API does not take it.
    let mut going_out = to(&json!({"namespaceSelector": "applicationcode == 'application2'"}));
    going_out["spec"]["egress"][0]["http"] = json!({"methods": ["GET"]});
    assert_eq!(rules(&going_out), ["invalid"]);
    for (field, value) in [("action", "Deny"), ("protocol", "UDP")] {
        policy["spec"]["ingress"][0]["source"] =
            json!({"namespaceSelector": "applicationcode == 'application2'"});
        let mut other = policy.clone();
        other["spec"]["ingress"][0][field] = json!(value);
        assert_eq!(rules(&other), ["invalid"], "{field}");
    }
}

/// An end of a rule of which nothing is understood is written by nobody: what is wrong with it is in it all the same.
#[test]
fn the_field_that_is_unknown_is_named_where_it_is_the_only_one() {
    let policy = stored(&json!({
        "types": ["Ingress", "Egress"],
        "ingress": [{"action": "Allow", "source": {"selektor": "app == 'web'"}}],
        "egress": [
            {"action": "Deny"},
            {"action": "Deny", "destination": {"nett": ["10.0.0.0/8"], "servces": {"name": "a"}}},
        ],
    }));
    let unknown = found(&policy);
    let unknown = unknown.iter().filter(|it| it.rule == Rule::UnknownField);
    let paths: Vec<String> = unknown.map(|it| it.path.to_string()).collect();
    assert_eq!(
        paths,
        [
            "spec.egress[1].destination.nett",
            "spec.egress[1].destination.servces",
            "spec.ingress[0].source.selektor",
        ]
    );
    // Rules of Kubernetes have no such ends at all.
    let kubernetes = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "team", "namespace": "app2-ns2"},
        "spec": {"podSelector": {}, "ingress": [{"source": {"selector": "all()"}}]},
    });
    assert_eq!(
        found(&kubernetes)[0].path.to_string(),
        "spec.ingress[0].source"
    );
}
