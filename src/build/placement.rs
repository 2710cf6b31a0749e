//! Placement, as annotations of namespaces: those that the admission plugins `PodNodeSelector` and
//! `PodTolerationRestriction` read, and those that the policies in config/placement and config/admission do.
//! No webhook has to answer before a pod starts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::{NodeOperator, TolerationEffect, TolerationOperator, WhenUnsatisfiable, names};
use crate::domain::{NodeRequirement, Placement, Toleration};

/// Taints that Kubernetes itself has pods tolerate, by key and effect. The list of what may be
/// tolerated must hold them, or no pod starts: `DefaultTolerationSeconds` adds the first two to
/// every pod, `PodTolerationRestriction` memory pressure to every pod with requests, and the
/// `DaemonSet` controller all of them (Kubernetes 1.37).
const TOLERATED_BY_THE_SYSTEM: [(&str, &str); 7] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/network-unavailable", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// The annotations of a placement; none for a placement that asks for nothing.
pub(super) fn annotations(placement: &Placement) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::new();
    if placement.adds_nothing() {
        return annotations;
    }
    annotations.extend(
        node_affinity(&placement.node_affinity).map(|text| (names::NODE_AFFINITY.to_owned(), text)),
    );
    annotations.extend(placement.spread.map(|spread| {
        let text = match spread {
            WhenUnsatisfiable::DoNotSchedule => "DoNotSchedule",
            WhenUnsatisfiable::ScheduleAnyway => "ScheduleAnyway",
        };
        (names::SPREAD.to_owned(), text.to_owned())
    }));
    if !placement.node_selector.is_empty() {
        let pairs: Vec<String> = placement
            .node_selector
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        annotations.insert(names::NODE_SELECTOR.to_owned(), pairs.join(","));
    }

    let declared = sorted(&placement.tolerations);
    let taints: Vec<_> = declared
        .iter()
        .map(|toleration| taint(toleration))
        .collect();
    annotations.insert(names::TOLERATIONS.to_owned(), taints.join(","));
    // Written even when empty: absent, the plugin falls back to defaults of the cluster, which the
    // list of what may be tolerated would then refuse.
    annotations.insert(
        names::DEFAULT_TOLERATIONS.to_owned(),
        list(declared.iter().map(|toleration| written(toleration))),
    );
    let allowed = declared
        .iter()
        .map(|toleration| written(toleration))
        .chain(
            declared
                .iter()
                .filter_map(|toleration| unspoken(toleration)),
        )
        .chain(TOLERATED_BY_THE_SYSTEM.iter().map(|(key, effect)| {
            // Without seconds: an entry with seconds would refuse a pod that tolerates longer.
            json!({ "effect": effect, "key": key, "operator": "Exists" })
        }));
    annotations.insert(names::TOLERATIONS_WHITELIST.to_owned(), list(allowed));
    annotations
}

/// What the labels of nodes must say, for a policy that can only split texts; None without any. Their
/// order carries no meaning.
fn node_affinity(requirements: &[NodeRequirement]) -> Option<String> {
    let mut texts: Vec<_> = requirements
        .iter()
        .map(
            |NodeRequirement {
                 key,
                 operator,
                 values,
             }| {
                let values: Vec<_> = values.iter().map(String::as_str).collect();
                match operator {
                    NodeOperator::In => format!("{key} In {}", values.join(",")),
                    NodeOperator::NotIn => format!("{key} NotIn {}", values.join(",")),
                    NodeOperator::Exists => format!("{key} Exists"),
                }
            },
        )
        .collect();
    texts.sort();
    texts.dedup();
    (!texts.is_empty()).then(|| texts.join(";"))
}

/// A toleration as kubectl writes taints.
fn taint(toleration: &Toleration) -> String {
    let mut text = toleration.key.clone();
    if toleration.operator == TolerationOperator::Equal {
        text.push('=');
        text.push_str(toleration.value.as_deref().unwrap_or_default());
    }
    if let Some(declared) = toleration.effect {
        text.push(':');
        text.push_str(effect(declared));
    }
    text
}

/// Their order carries no meaning, so that reordering a declaration changes nothing.
fn sorted(tolerations: &[Toleration]) -> Vec<&Toleration> {
    let key = |toleration: &&Toleration| {
        (
            toleration.key.clone(),
            operator(toleration.operator),
            toleration.value.clone(),
            toleration.effect.map(effect),
        )
    };
    let mut sorted: Vec<&Toleration> = tolerations.iter().collect();
    sorted.sort_by_key(key);
    sorted.dedup_by_key(|toleration| key(toleration));
    sorted
}

// Keys in alphabetical order, so that the text is the same whether or not maps keep theirs.
fn written(toleration: &Toleration) -> Value {
    let mut fields = serde_json::Map::new();
    if let Some(declared) = toleration.effect {
        fields.insert("effect".into(), effect(declared).into());
    }
    fields.insert("key".into(), toleration.key.as_str().into());
    fields.insert("operator".into(), operator(toleration.operator).into());
    if let Some(value) = &toleration.value {
        fields.insert("value".into(), value.as_str().into());
    }
    Value::Object(fields)
}

/// The same toleration with its operator left out, as people write it in pods. It means Equal, but
/// the plugin compares the texts, and would refuse it.
fn unspoken(toleration: &Toleration) -> Option<Value> {
    if toleration.operator != TolerationOperator::Equal {
        return None;
    }
    let mut fields = written(toleration);
    if let Value::Object(fields) = &mut fields {
        fields.remove("operator");
    }
    Some(fields)
}

fn list(tolerations: impl Iterator<Item = Value>) -> String {
    Value::Array(tolerations.collect()).to_string()
}

fn operator(operator: TolerationOperator) -> &'static str {
    match operator {
        TolerationOperator::Equal => "Equal",
        TolerationOperator::Exists => "Exists",
    }
}

fn effect(effect: TolerationEffect) -> &'static str {
    match effect {
        TolerationEffect::NoSchedule => "NoSchedule",
        TolerationEffect::PreferNoSchedule => "PreferNoSchedule",
        TolerationEffect::NoExecute => "NoExecute",
    }
}
