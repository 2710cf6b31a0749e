use k8s_openapi::api::networking::v1 as networking;
use serde_json::{Value, json};

use super::super::fixture::{Given, namespaces, refused, state};
use super::super::{Check, Outcome, Question};
use super::*;
use crate::api::names::OWNER;
use crate::policy::{GlobalNetworkPolicy, LabelMap, Policy, World, Written};

/// A cluster with the namespaces shop and kube-system, whose DNS is known by its labels.
fn running(policies: &[Value]) -> ClusterState {
    let policies = policies.iter().filter_map(|object| {
        if object["kind"] == "NetworkPolicy" {
            let policy: networking::NetworkPolicy = serde_json::from_value(object.clone()).unwrap();
            Some(Policy::of_kubernetes(&policy).unwrap())
        } else {
            let policy: GlobalNetworkPolicy = serde_json::from_value(object.clone()).unwrap();
            Policy::of_global(&policy, Written::Api).unwrap()
        }
    });
    let of_dns: LabelMap = [(
        "kubernetes.io/metadata.name".to_owned(),
        "kube-system".to_owned(),
    )]
    .into();
    let own: LabelMap = [("k8s-app".to_owned(), "kube-dns".to_owned())].into();
    let pod_cidrs = vec!["10.244.0.0/16".parse().unwrap()];
    let dns = Member::labelled(
        (&of_dns, OWNER),
        &own,
        &std::sync::Arc::default(),
        &pod_cidrs,
    )
    .of_system();
    let shop = [("kubernetes.io/metadata.name", "shop")];
    let system = [("kubernetes.io/metadata.name", "kube-system")];
    ClusterState {
        namespaces: Ok(namespaces(&[("shop", &shop), ("kube-system", &system)])),
        policies: Ok(Policies {
            world: World::new(&[], policies.collect()),
            dns: vec![dns],
            pod_cidrs,
        }),
        ..state()
    }
}

fn ask(policies: &[Value], question: Question) -> Check {
    Given::default().live(running(policies)).ask(question)
}

fn kubernetes(spec: &Value) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p", "namespace": "shop"}, "spec": spec})
}

fn global(spec: &Value) -> Value {
    json!({"apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy", "metadata": {"name": "deny"}, "spec": spec})
}

fn deny_all() -> Value {
    kubernetes(&json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}))
}

#[test]
fn a_policy_for_all_pods_in_both_directions_is_a_default_deny() {
    assert_eq!(
        ask(&[deny_all()], Question::DefaultDeny).outcome,
        Outcome::Pass
    );
    let told = |policies: &[Value]| ask(policies, Question::DefaultDeny).seen[0].what.clone();
    assert!(told(&[]).contains("in and out everything"));
    let ingress = kubernetes(&json!({"podSelector": {}, "policyTypes": ["Ingress"]}));
    assert!(told(&[ingress]).contains(": out everything"));
    let some = kubernetes(
        &json!({"podSelector": {"matchLabels": {"app": "a"}}, "policyTypes": ["Ingress", "Egress"]}),
    );
    assert!(
        told(&[some]).contains("in and out everything"),
        "others are left open"
    );
}

#[test]
fn what_a_policy_opens_on_purpose_takes_nothing_from_the_deny() {
    let open = kubernetes(
        &json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": 443}]}]}),
    );
    let check = ask(&[deny_all(), open], Question::DefaultDeny);
    assert_eq!(check.outcome, Outcome::Pass, "{check:?}");
}

#[test]
fn what_decides_of_addresses_only_leaves_pods_undecided() {
    let deny = global(
        &json!({"selector": "projectcalico.org/namespace == 'shop'", "types": ["Ingress", "Egress"],
        "ingress": [{"action": "Deny", "source": {"notNets": ["10.244.0.0/16"]}}, {"action": "Pass"}],
        "egress": [{"action": "Deny", "destination": {"notNets": ["10.244.0.0/16"]}}, {"action": "Pass"}]}),
    );
    let check = ask(&[deny], Question::DefaultDeny);
    assert_eq!(check.outcome, Outcome::Fail, "{check:?}");
}

#[test]
fn a_cluster_wide_deny_counts() {
    let deny = global(
        &json!({"selector": "projectcalico.org/namespace != 'kube-system'", "types": ["Ingress", "Egress"]}),
    );
    assert_eq!(
        ask(std::slice::from_ref(&deny), Question::DefaultDeny).outcome,
        Outcome::Pass
    );
    assert_eq!(
        ask(&[deny], Question::SystemNamespacesExempt).outcome,
        Outcome::Pass
    );
    let all = global(&json!({"selector": "all()", "types": ["Ingress", "Egress"]}));
    let check = ask(&[all], Question::SystemNamespacesExempt);
    assert_eq!(check.outcome, Outcome::Fail);
    assert_eq!(
        check.seen,
        [Seen::of(
            "kube-system",
            "is cut off by GlobalNetworkPolicy deny"
        )]
    );
}

#[test]
fn dns_has_to_be_allowed_under_a_deny() {
    assert_eq!(ask(&[], Question::DnsAllowed).outcome, Outcome::Pass);
    let cut_off = ask(&[deny_all()], Question::DnsAllowed);
    assert_eq!(cut_off.outcome, Outcome::Fail);
    assert_eq!(cut_off.seen[0].resource.as_deref(), Some("shop"));
    let to_dns = |ports: Value| {
        kubernetes(
            &json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{
            "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
            "ports": ports}]}),
        )
    };
    let both = to_dns(json!([{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]));
    let check = ask(&[deny_all(), both], Question::DnsAllowed);
    assert_eq!(
        (check.outcome, check.notes.len()),
        (Outcome::Pass, 0),
        "{check:?}"
    );
    let one = ask(
        &[deny_all(), to_dns(json!([{"protocol": "UDP", "port": 53}]))],
        Question::DnsAllowed,
    );
    assert_eq!((one.outcome, one.notes.len()), (Outcome::Pass, 1));
}

#[test]
fn what_may_not_be_read_names_the_right() {
    for question in [
        Question::DefaultDeny,
        Question::DnsAllowed,
        Question::SystemNamespacesExempt,
    ] {
        let state = ClusterState {
            policies: Err(refused("globalnetworkpolicies of crd.projectcalico.org/v1")),
            ..running(&[])
        };
        let check = Given::default().live(state).ask(question);
        assert_eq!(
            check.tells,
            ["the right to list globalnetworkpolicies of crd.projectcalico.org/v1 (--live)"]
        );
        let state = ClusterState {
            namespaces: Err(refused("namespaces")),
            ..running(&[])
        };
        assert_eq!(
            Given::default().live(state).ask(question).outcome,
            Outcome::Unknown
        );
        assert_eq!(Given::default().ask(question).outcome, Outcome::Unknown);
    }
}
