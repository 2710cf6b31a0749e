//! Policies of administrators.

use super::*;

/// An administrator's policy about application2 with rules for what comes in.
fn admin(kind: &str, ingress: &Value) -> Value {
    let version = match kind {
        "ClusterNetworkPolicy" => "v1alpha2",
        _ => "v1alpha1",
    };
    json!({
        "apiVersion": format!("policy.networking.k8s.io/{version}"), "kind": kind, "metadata": {"name": "admin"},
        "spec": {
            "subject": {"namespaces": {"matchLabels": {"applicationcode": "application2"}}},
            "ingress": ingress,
        },
    })
}

fn of(key: &str, value: &str) -> Value {
    json!({"namespaces": {"matchLabels": {key: value}}})
}

#[test]
fn what_leaves_is_found_in_each_kind() {
    for kind in [
        "AdminNetworkPolicy",
        "BaselineAdminNetworkPolicy",
        "ClusterNetworkPolicy",
    ] {
        let action = if kind == "ClusterNetworkPolicy" {
            "Accept"
        } else {
            "Allow"
        };
        for (peer, expected) in [
            (json!({"namespaces": {}}), "all-namespaces"),
            (of("zone", "frontend"), "code-missing"),
            (of("applicationcode", "orders"), "code-wrong"),
            (
                json!({"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}}),
                "all-namespaces",
            ),
        ] {
            let policy = admin(
                kind,
                &json!([{"action": action, "from": [of("applicationcode", "application2"), peer]}]),
            );
            let found = found(&policy);
            assert_eq!(found.len(), 1, "{policy}: {found:?}");
            assert_eq!(found[0].rule.id(), expected, "{found:?}");
            assert!(
                found[0]
                    .path
                    .to_string()
                    .starts_with("spec.ingress[0].from[1]."),
                "{found:?}"
            );
            assert!(found[0].needs_approval());
        }
    }
}

#[test]
fn what_stays_inside_or_is_denied_is_not_found() {
    for rules in [
        json!([{"action": "Allow", "from": [of("applicationcode", "application2")]}]),
        json!([{"action": "Deny", "from": [{"namespaces": {}}]}]),
        json!([
            {"action": "Deny", "from": [of("zone", "data")]},
            {"action": "Allow", "from": [{"namespaces": {"matchExpressions": [
                {"key": "applicationcode", "operator": "In", "values": ["application2"]},
            ]}}]},
        ]),
        json!([]),
    ] {
        let policy = admin("AdminNetworkPolicy", &rules);
        assert_eq!(super::rules(&policy), Vec::<&str>::new(), "{policy}");
    }
}

#[test]
fn what_calico_cannot_do_is_told_where_it_allows() {
    let nodes = json!([{"action": "Allow", "from": [of("applicationcode", "application2"), {"nodes": {}}]}]);
    let found = found(&admin("AdminNetworkPolicy", &nodes));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].rule, Rule::Invalid);
    assert_eq!(found[0].path.to_string(), "spec.ingress[0].from[1]");
    // What is not judged is said, and what to do instead.
    assert!(
        found[0].message.contains("nodes are no peers to Calico, and what a network plugin that knows them would open is not judged; Calico leaves the rule out"),
        "{found:?}"
    );
    assert_eq!(
        found[0].suggestion,
        "remove spec.ingress[0].from[1]: whom nodes may reach, the platform opens as one of spec.sharedServices with the peer nodes: true"
    );
    let mut out = admin("AdminNetworkPolicy", &json!([]));
    out["spec"]["egress"] = json!([{"action": "Allow", "to": [{"nodes": {}}]}]);
    let out = super::found(&out);
    assert_eq!(
        out[0].suggestion,
        "name the addresses of the nodes: write networks instead of nodes in spec.egress[0].to[0], or remove it"
    );
    let named = json!([{"action": "Allow", "ports": [{"namedPort": "http"}], "from": [{"namespaces": {}}]}]);
    assert_eq!(
        super::rules(&admin("AdminNetworkPolicy", &named)),
        ["invalid"]
    );
}

#[test]
fn ranges_are_judged_by_what_they_hold_and_by_what_is_declared() {
    let to = |networks: &Value, port: u16| {
        let mut policy = admin("AdminNetworkPolicy", &json!([]));
        policy["spec"]["egress"] = json!([{
            "action": "Allow", "to": [{"networks": networks}],
            "ports": [{"portNumber": {"protocol": "TCP", "port": port}}],
        }]);
        policy
    };
    let declared = found(&to(&json!(["203.0.113.0/25"]), 443));
    assert_eq!(declared.len(), 1);
    assert!(declared[0].declared.is_some(), "{declared:?}");
    let other = found(&to(&json!(["203.0.113.0/25", "10.1.0.0/24"]), 443));
    assert_eq!(other[0].rule, Rule::NetsReachNodes);
    assert_eq!(other[0].path.to_string(), "spec.egress[0].to[0].networks");
    assert_eq!(
        super::rules(&to(&json!(["203.0.113.0/25"]), 80)),
        ["nets-outside"]
    );
}
