//! The pod that shows whether a placement is in force, and what it lacks. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorTerm, Pod, PodSpec};
use serde_json::{Value, json};

use crate::api::{NodeOperator, TolerationOperator, WhenUnsatisfiable};
use crate::domain::{Limits, NodeRequirement, Placement, Toleration};

/// The topology that pods spread over.
const AVAILABILITY_ZONE: &str = "topology.kubernetes.io/zone";

/// A pod that is never created: as it would come out of a Deployment, since only such pods spread, and
/// as no rule of Pod Security refuses it. It asks for the least that the limits of its namespace allow,
/// and names what a quota may want to see.
pub(super) fn test_pod(limits: Option<&Limits>) -> serde_json::Result<Pod> {
    let least = |resource: &str, otherwise: &str| {
        let declared = limits.and_then(|limits| limits.min.get(resource));
        declared.map_or_else(|| otherwise.to_owned(), ToString::to_string)
    };
    let resources = json!({
        "cpu": least("cpu", "1m"),
        "memory": least("memory", "1Mi"),
        "ephemeral-storage": least("ephemeral-storage", "1Mi"),
    });
    serde_json::from_value(json!({
        "metadata": {
            "name": "landing-zone-placement-test",
            "labels": {"pod-template-hash": "placement-test"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "landing-zone-placement-test",
                "uid": "00000000-0000-0000-0000-000000000000", "controller": true,
            }],
        },
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "test",
                "image": "placement-test.invalid/none",
                "resources": {"requests": resources, "limits": resources},
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    }))
}

/// What a pod lacks of a placement, in words; empty where it has all of it.
pub(super) fn missing(placement: &Placement, pod: &PodSpec) -> Vec<String> {
    let mut missing = Vec::new();
    let none = BTreeMap::new();
    let selector = pod.node_selector.as_ref().unwrap_or(&none);
    for (key, value) in &placement.node_selector {
        if selector.get(key) != Some(value) {
            missing.push(format!("the node selector {key}={value}"));
        }
    }
    for declared in &placement.tolerations {
        let tolerated = pod.tolerations.iter().flatten();
        if !tolerated.into_iter().any(|it| is_written(declared, it)) {
            missing.push(format!("the toleration of {}", declared.key));
        }
    }
    let affinity = pod
        .affinity
        .as_ref()
        .and_then(|it| it.node_affinity.as_ref());
    let required = affinity
        .and_then(|it| {
            it.required_during_scheduling_ignored_during_execution
                .as_ref()
        })
        .map_or(&[][..], |it| &it.node_selector_terms);
    for requirement in &placement.node_affinity {
        let in_all = required.iter().all(|term| has(term, requirement));
        if required.is_empty() || !in_all {
            missing.push(format!("the node affinity for {}", requirement.key));
        }
    }
    if let Some(spread) = placement.spread {
        let when = match spread {
            WhenUnsatisfiable::DoNotSchedule => "DoNotSchedule",
            WhenUnsatisfiable::ScheduleAnyway => "ScheduleAnyway",
        };
        let constraints = pod.topology_spread_constraints.iter().flatten();
        if !constraints
            .into_iter()
            .any(|it| it.topology_key == AVAILABILITY_ZONE && it.when_unsatisfiable == when)
        {
            missing.push("the spread over availability zones".to_owned());
        }
    }
    missing
}

fn is_written(declared: &Toleration, it: &k8s_openapi::api::core::v1::Toleration) -> bool {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let operator = match text(&it.operator).as_str() {
        "" | "Equal" => TolerationOperator::Equal,
        _ => TolerationOperator::Exists,
    };
    let effect = declared.effect.map(|effect| json!(effect));
    text(&it.key) == declared.key
        && operator == declared.operator
        && text(&it.value) == text(&declared.value)
        && json!(text(&it.effect)) == effect.unwrap_or_else(|| Value::from(""))
}

fn has(term: &NodeSelectorTerm, requirement: &NodeRequirement) -> bool {
    let operator = match requirement.operator {
        NodeOperator::In => "In",
        NodeOperator::NotIn => "NotIn",
        NodeOperator::Exists => "Exists",
    };
    term.match_expressions.iter().flatten().any(|it| {
        let values = it.values.iter().flatten().cloned();
        it.key == requirement.key
            && it.operator == operator
            && values.collect::<std::collections::BTreeSet<_>>() == requirement.values
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TolerationEffect;

    fn placement() -> Placement {
        Placement {
            node_selector: BTreeMap::from([("stack".into(), "tenant1".into())]),
            tolerations: vec![Toleration {
                key: "stack".into(),
                operator: TolerationOperator::Equal,
                value: Some("tenant1".into()),
                effect: Some(TolerationEffect::NoSchedule),
            }],
            node_affinity: vec![NodeRequirement {
                key: "pool".into(),
                operator: NodeOperator::In,
                values: ["a".to_owned(), "b".to_owned()].into(),
            }],
            spread: Some(WhenUnsatisfiable::DoNotSchedule),
            min_availability_zones: None,
            evict_misplaced: false,
        }
    }

    fn spec(value: Value) -> PodSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_a_pod_lacks_is_named() {
        let whole = json!({
            "containers": [],
            "nodeSelector": {"stack": "tenant1", "more": "x"},
            "tolerations": [{"key": "stack", "value": "tenant1", "effect": "NoSchedule"}],
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "pool", "operator": "In", "values": ["b", "a"]},
                ]}],
            }}},
            "topologySpreadConstraints": [{
                "maxSkew": 1, "topologyKey": AVAILABILITY_ZONE, "whenUnsatisfiable": "DoNotSchedule",
            }],
        });
        assert!(missing(&placement(), &spec(whole.clone())).is_empty());
        let other_terms = json!([{"matchExpressions": [
            {"key": "pool", "operator": "In", "values": ["b", "a"]},
        ]}, {"matchFields": []}]);
        let terms = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
        for (pointer, value, expected) in [
            (
                "/nodeSelector/stack",
                json!("tenant2"),
                "the node selector stack=tenant1",
            ),
            (
                "/tolerations/0/effect",
                json!("NoExecute"),
                "the toleration of stack",
            ),
            (
                "/tolerations/0/operator",
                json!("Exists"),
                "the toleration of stack",
            ),
            (terms, other_terms, "the node affinity for pool"),
            (
                "/topologySpreadConstraints/0/whenUnsatisfiable",
                json!("ScheduleAnyway"),
                "the spread over availability zones",
            ),
        ] {
            let mut pod = whole.clone();
            if let Some(place) = pod.pointer_mut(pointer) {
                *place = value;
            } else {
                pod["tolerations"][0]["operator"] = value;
            }
            assert_eq!(missing(&placement(), &spec(pod)), [expected]);
        }
        assert_eq!(
            missing(&placement(), &spec(json!({"containers": []}))).len(),
            4
        );
        assert!(missing(&Placement::default(), &spec(json!({"containers": []}))).is_empty());
    }

    /// It asks for no less than the namespace's limits allow.
    #[test]
    fn the_pod_fits_the_limits() {
        let limits = Limits {
            min: BTreeMap::from([("cpu".into(), "50m".parse().unwrap())]),
            ..Limits::default()
        };
        let pod = test_pod(Some(&limits)).unwrap();
        let requests = |pod: &Pod| {
            let container = &pod.spec.as_ref().unwrap().containers[0];
            json!(container.resources.as_ref().unwrap().requests)
        };
        assert_eq!(requests(&pod)["cpu"], "50m");
        assert_eq!(requests(&test_pod(None).unwrap())["memory"], "1Mi");
    }
}
