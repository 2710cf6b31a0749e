use k8s_openapi::api::networking::v1 as networking;
use serde_json::{Value, json};

use super::super::fixture::{Given, agent, namespaces, refused, state};
use super::super::{Check, Missing, Outcome, Question};
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
            of_cilium: 0,
            dns: vec![dns],
            pod_cidrs,
        }),
        agents: Ok(vec![agent("calico-node")]),
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
        ["in", "out"].map(|direction| {
            let what = format!("is cut off by GlobalNetworkPolicy deny on the way {direction}");
            Seen::of("kube-system", what)
        })
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
    let other = ask(
        &[deny_all(), to_dns(json!([{"protocol": "TCP", "port": 53}]))],
        Question::DnsAllowed,
    );
    assert_eq!(
        other.seen,
        [Seen::of(
            "shop",
            "does not reach the cluster's DNS by UDP 53"
        )]
    );
}

/// A policy that selects all pods and allows everything decides, and denies nothing.
#[test]
fn what_lets_everything_through_is_no_deny() {
    let spec = |egress: Value| {
        kubernetes(
            &json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": egress}),
        )
    };
    let everywhere =
        json!([{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"namespaceSelector": {}}]}]);
    for all in [json!([{}]), everywhere] {
        let check = ask(&[spec(all)], Question::DefaultDeny);
        assert_eq!(
            check.seen,
            [Seen::of(
                "shop",
                "has policies that let everything through: out everything passes"
            )]
        );
    }
    // By port, and to a part of the world: somebody meant it.
    let some = json!([{"ports": [{"protocol": "TCP", "port": 443}]}]);
    let cluster = json!([{"to": [{"namespaceSelector": {}}]}]);
    let labelled = kubernetes(
        &json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"], "egress": [{}]}),
    );
    for policies in [
        vec![spec(some)],
        vec![spec(cluster)],
        vec![deny_all(), labelled],
    ] {
        let check = ask(&policies, Question::DefaultDeny);
        assert_eq!(check.outcome, Outcome::Pass, "{check:?}");
    }
}

/// What a cluster-wide policy leaves open, and what the namespace opens for itself, takes nothing from the cut.
#[test]
fn a_cut_of_the_system_hides_behind_no_opening() {
    let own = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p", "namespace": "kube-system"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}});
    let all = global(&json!({"selector": "all()", "order": 5000, "types": ["Ingress", "Egress"]}));
    let told = |policies: &[Value]| -> Vec<String> {
        let check = ask(policies, Question::SystemNamespacesExempt);
        assert_eq!(check.outcome, Outcome::Fail, "{policies:?}");
        check.seen.iter().map(|it| it.what.clone()).collect()
    };
    assert_eq!(told(&[all, own]).len(), 2);
    let but_dns = global(
        &json!({"selector": "all()", "types": ["Egress"], "egress": [{"action": "Allow", "protocol": "UDP", "destination": {"ports": [53]}}]}),
    );
    let seen = told(&[but_dns]);
    assert_eq!(seen.len(), 1);
    assert!(
        seen[0].starts_with(
            "is cut off by GlobalNetworkPolicy deny on the way out by every other protocol, "
        ),
        "{seen:?}"
    );
    let pods = global(
        &json!({"selector": "all()", "types": ["Ingress"], "ingress": [{"action": "Deny", "source": {"selector": "all()"}}, {"action": "Allow"}]}),
    );
    assert_eq!(
        told(&[pods]),
        ["is cut off by GlobalNetworkPolicy deny on the way in, for pods"]
    );
}

/// default is exempt from the cluster-wide deny, and all the same nothing of the system runs there.
#[test]
fn the_namespace_default_is_not_the_systems() {
    let with_default = |policies: &[Value], question| {
        let own = [("kubernetes.io/metadata.name", "default")];
        let state = ClusterState {
            namespaces: Ok(namespaces(&[("default", &own)])),
            ..running(policies)
        };
        Given::default().live(state).ask(question)
    };
    let open = with_default(&[], Question::DefaultDeny);
    assert_eq!(open.seen[0].resource.as_deref(), Some("default"));
    let deny = [global(
        &json!({"selector": "projectcalico.org/namespace == 'default'", "types": ["Ingress", "Egress"]}),
    )];
    for question in [
        Question::DefaultDeny,
        Question::SystemNamespacesExempt,
        // Nothing has to run there.
        Question::DnsAllowed,
    ] {
        let check = with_default(&deny, question);
        assert_eq!(check.outcome, Outcome::Pass, "{check:?}");
    }
}

/// What nobody enforces denies nothing.
#[test]
fn policies_count_where_the_engine_knows_them() {
    let deny = || global(&json!({"selector": "all()", "types": ["Ingress", "Egress"]}));
    let with = |policies: &[Value], agents: &[&str], of_cilium, question| {
        let mut state = running(policies);
        state.agents = Ok(agents.iter().map(|it| agent(it)).collect());
        if let Ok(policies) = &mut state.policies {
            policies.of_cilium = of_cilium;
        }
        Given::default().live(state).ask(question)
    };
    let nobody = with(&[deny_all()], &[], 0, Question::DefaultDeny);
    assert_eq!(nobody.outcome, Outcome::Fail);
    assert!(
        nobody.seen[0].what.contains("runs none of calico-node"),
        "{nobody:?}"
    );
    for (agents, expected) in [
        (["calico-node"], Outcome::Pass),
        (["cilium"], Outcome::Fail),
        (["azure-npm"], Outcome::Fail),
    ] {
        // Calico's policies stay when Calico goes.
        assert_eq!(
            with(&[deny()], &agents, 0, Question::DefaultDeny).outcome,
            expected
        );
        assert_eq!(
            with(&[deny_all()], &agents, 0, Question::DefaultDeny).outcome,
            Outcome::Pass
        );
        let system = with(&[deny()], &agents, 0, Question::SystemNamespacesExempt);
        assert_ne!(
            system.outcome, expected,
            "what cuts nobody off is left out as well"
        );
    }
    for question in [
        Question::DefaultDeny,
        Question::DnsAllowed,
        Question::SystemNamespacesExempt,
    ] {
        let cilium = with(&[deny_all()], &["cilium"], 2, question);
        assert_eq!(cilium.outcome, Outcome::Unknown);
        assert!(
            cilium.tells[0].contains("ciliumnetworkpolicies"),
            "{cilium:?}"
        );
        let left_behind = with(&[deny_all()], &["calico-node"], 2, question);
        assert_ne!(left_behind.outcome, Outcome::Unknown);
    }
    let refused = ClusterState {
        agents: Err(refused("daemonsets of apps/v1")),
        ..running(&[deny_all()])
    };
    let check = Given::default().live(refused).ask(Question::DefaultDeny);
    assert_eq!(
        check.tells,
        ["the right to list daemonsets of apps/v1 (--live)"]
    );
}

/// A policy that cannot be read may say anything, and a platform that cannot be read may exempt anything.
#[test]
fn what_cannot_be_used_leaves_it_open() {
    for question in [
        Question::DefaultDeny,
        Question::DnsAllowed,
        Question::SystemNamespacesExempt,
    ] {
        let missing = || Missing::Unusable {
            what: "GlobalNetworkPolicy deny".to_owned(),
            why: "spec.selector: is no selector".to_owned(),
        };
        let state = ClusterState {
            policies: Err(missing()),
            ..running(&[])
        };
        let check = Given::default().live(state).ask(question);
        assert_eq!(check.outcome, Outcome::Unknown);
        assert_eq!(
            check.tells,
            ["GlobalNetworkPolicy deny, once it can be used (--live)"]
        );
        let state = ClusterState {
            exempt: Err(missing()),
            ..running(&[])
        };
        let check = Given::default().live(state).ask(question);
        assert_eq!(check.outcome, Outcome::Unknown);
    }
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
