use serde_json::{Value, json};

use super::*;
use crate::domain::{CalicoNaming, PolicyApi};
use crate::policy::{self, Packet};

fn objects(all: &[Value]) -> Objects {
    let mut objects = Objects::default();
    for object in all {
        objects.add(object, "a.yaml");
    }
    objects
}

#[test]
fn objects_are_taken_by_kind() {
    let found = objects(&[
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"x": "y"}}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p", "namespace": "a"},
            "spec": {"podSelector": {}}}),
        json!({"apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy", "metadata": {"name": "g"},
            "spec": {"selector": "all()"}}),
        json!({"apiVersion": "projectcalico.org/v3", "kind": "StagedNetworkPolicy", "metadata": {"name": "s", "namespace": "a"}}),
        json!({"apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkSet", "metadata": {"name": "n"}, "spec": {"nets": []}}),
        json!({"apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": "t"}, "spec": {"order": 1}}),
        json!({"apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": "AdminNetworkPolicy", "metadata": {"name": "a"},
            "spec": {"priority": 10, "subject": {"namespaces": {}}, "ingress": [{"action": "Deny", "from": [{"namespaces": {}}]}]}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}),
    ]);
    assert_eq!(found.notes, Vec::<String>::new());
    assert_eq!(found.policies.len(), 3);
    assert_eq!(found.policies[2].tier, "adminnetworkpolicy");
    // Calico's storage takes a policy without types for one with both.
    assert!(found.policies[1].egress.is_some());
    assert_eq!((found.sets.len(), found.tiers.len()), (1, 1));
    assert_eq!(found.namespaces["a"]["x"], "y");
}

#[test]
fn what_cannot_be_read_is_noted() {
    let found = objects(&[
        json!({"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy", "metadata": {"name": "p", "namespace": "a"},
            "spec": {"ingress": [{"action": "Maybe"}]}}),
        json!({"apiVersion": "crd.projectcalico.org/v1", "kind": "Tier", "metadata": {"name": "t"}, "spec": {"order": "first"}}),
    ]);
    assert!(found.policies.is_empty());
    assert!(
        found.notes[0].contains("a/p counts as missing: spec.ingress[0].action"),
        "{:?}",
        found.notes
    );
    let tier = &found.notes[1];
    assert!(
        tier.contains("Tier t counts as missing: spec.order"),
        "{tier}"
    );
}

#[test]
fn endpoints_that_are_not_ready_get_nothing() {
    let found = objects(&[json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "kube-system", "name": "kube-dns-x", "labels": {"kubernetes.io/service-name": "kube-dns"}},
        "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
        ],
        "ports": [{"port": 53, "protocol": "UDP"}],
    })]);
    let service = ("kube-system".to_owned(), "kube-dns".to_owned());
    assert_eq!(found.services[&service].len(), 1);
}

/// A namespace that bears the label of a landing zone without being declared is not inside, whichever form policies have.
#[test]
fn who_bears_the_label_of_a_landing_zone_is_not_inside() {
    let text = |owner: &str| {
        format!(
            "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {{name: shop}}
spec:
  applicationCode: shop
  namespaces: [{{name: shop-web, zone: web}}, {{name: shop-api, zone: api}}]
---
apiVersion: v1
kind: Namespace
metadata: {{name: false-shop, labels: {{landingzones.dev/landing-zone: {owner}, zone: web}}}}
{}{}{}",
            pod("shop-web", "10.244.0.1"),
            pod("shop-api", "10.244.0.2"),
            pod("false-shop", "10.244.0.3"),
        )
    };
    for (api, tiers) in [
        (PolicyApi::CalicoCrdV1, false),
        (PolicyApi::CalicoV3, true),
        (PolicyApi::Kubernetes, false),
    ] {
        let flavour = Flavour {
            api,
            tiers,
            staged: false,
            naming: CalicoNaming::TierPrefixed,
        };
        let world = world(&text("shop"), &Platform::default(), flavour).unwrap();
        let reaches = |from: &str, to: &str| {
            let pod = |name: &str| {
                let mut all = world.endpoints.iter();
                policy::Place::Pod(all.find(|it| it.namespace == name).unwrap())
            };
            let packet = Packet {
                protocol: TransportProtocol::TCP,
                source_port: 40_000,
                port: 8080,
            };
            let verdict = world.verdict(pod(from), pod(to), packet);
            verdict.unwrap().is_allowed()
        };
        assert!(reaches("shop-web", "shop-api"), "{flavour:?}");
        assert!(!reaches("false-shop", "shop-api"), "{flavour:?}");
        assert!(!reaches("shop-api", "false-shop"), "{flavour:?}");
    }
    let nobody = world("kind: Nothing", &Platform::default(), Flavour::KUBERNETES);
    assert!(nobody.unwrap_err().contains("no LandingZone"));
}

fn pod(namespace: &str, address: &str) -> String {
    format!(
        "\
---
apiVersion: v1
kind: Pod
metadata: {{name: a, namespace: {namespace}}}
spec: {{nodeName: node-1, containers: [{{name: a, image: a}}]}}
status: {{podIPs: [{{ip: {address}}}]}}
"
    )
}
