//! What Calico takes into account besides policies.

use super::*;

fn host(profiles: &Value, addresses: &Value) -> Value {
    json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "HostEndpoint",
        "metadata": {"name": "node1-eth1", "labels": {"role": "gateway"}},
        "spec": {"node": "node1", "interfaceName": "eth1", "profiles": profiles, "expectedIPs": addresses},
    })
}

#[test]
fn a_host_endpoint_with_the_profile_of_a_namespace_counts_as_inside() {
    for profile in ["kns.app2-ns2", "ksa.app2-ns2.default"] {
        let found = found(&host(&json!([profile]), &json!(["203.0.113.7"])));
        let ids: Vec<_> = found.iter().map(|it| it.rule.id()).collect();
        assert_eq!(ids, ["host-endpoint-inside", "decides-unread"]);
        let witness = found[0].witness.as_deref().unwrap();
        assert_eq!(
            witness,
            "whoever has an address of 203.0.113.7 counts as a pod of landing zone application2"
        );
        assert_eq!(found[0].path.to_string(), "spec.profiles[0]");
    }
}

#[test]
fn without_addresses_or_such_a_profile_people_have_to_read_it() {
    for host in [
        host(&json!(["kns.app2-ns2"]), &json!([])),
        host(
            &json!(["projectcalico-default-allow"]),
            &json!(["203.0.113.7"]),
        ),
        host(&json!(["kns.elsewhere"]), &json!(["203.0.113.7"])),
    ] {
        assert_eq!(rules(&host), ["decides-unread"]);
    }
}

#[test]
fn labels_of_pods_on_a_host_endpoint_are_forged() {
    let mut host = host(&json!([]), &json!(["203.0.113.7"]));
    host["metadata"]["labels"] = json!({
        "projectcalico.org/created-by": "calico-kube-controllers",
        "projectcalico.org/orchestrator": "k8s",
        "pcns.landingzones.dev/landing-zone": "orders",
    });
    assert_eq!(
        rules(&host),
        ["forged-labels", "forged-labels", "decides-unread"]
    );
    host["metadata"]["labels"] = json!({});
    let hidden = json!({"labels": {"pcns.zone": "data"}}).to_string();
    host["metadata"]["annotations"] = json!({"projectcalico.org/metadata": hidden});
    assert_eq!(rules(&host), ["forged-labels", "decides-unread"]);
}

#[test]
fn whatever_else_calico_reads_has_to_be_read_by_people() {
    for (version, kind) in [
        ("projectcalico.org/v3", "FelixConfiguration"),
        ("crd.projectcalico.org/v1", "IPPool"),
        ("projectcalico.org/v3", "Profile"),
        ("crd.projectcalico.org/v1", "BGPConfiguration"),
        ("projectcalico.org/v3", "KubeControllersConfiguration"),
        ("projectcalico.org/v3", "WhateverComesNext"),
        ("operator.tigera.io/v1", "Installation"),
    ] {
        let object = json!({
            "apiVersion": version, "kind": kind, "metadata": {"name": "default"},
            "spec": {"failsafeInboundHostPorts": [{"protocol": "tcp", "port": 22}]},
        });
        let found = found(&object);
        let ids: Vec<_> = found.iter().map(|it| it.rule.id()).collect();
        assert_eq!(ids, ["decides-unread"], "{kind}");
        assert!(found[0].needs_approval(), "{kind}");
        assert!(found[0].message.contains(kind), "{}", found[0].message);
    }
    for (version, kind) in [
        ("projectcalico.org/v3", "CalicoNodeStatus"),
        ("v1", "ConfigMap"),
    ] {
        assert!(!Object::is_judged(version, kind), "{kind}");
    }
}
