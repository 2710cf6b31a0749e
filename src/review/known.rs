//! What is known of every pod: labels that always say the same, and how what is found reads in words.

use std::collections::BTreeMap;

use super::landscape::{Boundary, KnownNamespace, Landscape};
use crate::api::names::{APPLICATION_CODE, METADATA_NAME, OWNER};
use crate::policy::{
    LabelMap, NAME, NAMESPACE, OF_NAMESPACE, OF_SERVICE_ACCOUNT, ORCHESTRATOR, SERVICE_ACCOUNT,
    Selector, TooComplex, example,
};

/// The same selector, with labels that are always equal under one name.
pub(super) fn canonical(selector: Selector) -> Selector {
    selector.relabelled(&|label| match label.strip_prefix(OF_NAMESPACE) {
        Some(NAME | METADATA_NAME) => NAMESPACE.to_owned(),
        _ if label.strip_prefix(OF_SERVICE_ACCOUNT) == Some(NAME) => SERVICE_ACCOUNT.to_owned(),
        _ => label,
    })
}

/// A label of a namespace, as pods have it.
pub(super) fn of_namespace(label: &str) -> String {
    match label {
        METADATA_NAME | NAME => NAMESPACE.to_owned(),
        _ => format!("{OF_NAMESPACE}{label}"),
    }
}

/// What holds for every pod to which policies apply.
pub(super) fn is_pod() -> Selector {
    Selector::and([
        Selector::has(NAMESPACE),
        Selector::equal(ORCHESTRATOR, "k8s"),
    ])
}

/// The selector, where it is about what lies in no namespace: global network sets and hosts. They have no labels of
/// namespaces but forged ones, which are found where they are.
pub(super) fn outside_namespaces(selector: &Selector) -> Selector {
    selector.assuming(&|label| {
        let is_of_pods = [NAMESPACE, ORCHESTRATOR, SERVICE_ACCOUNT].contains(&label)
            || label.starts_with(OF_NAMESPACE)
            || label.starts_with(OF_SERVICE_ACCOUNT);
        is_of_pods.then_some(None)
    })
}

/// What holds for pods in the namespaces of an application, whichever mark they are known by.
pub(super) fn is_inside(boundary: &Boundary) -> Selector {
    let code = Selector::equal(of_namespace(APPLICATION_CODE), &boundary.code);
    let owner = boundary.landing_zone.as_ref();
    let owner = owner.map(|name| Selector::equal(of_namespace(OWNER), name));
    let names = (!boundary.namespaces.is_empty())
        .then(|| Selector::one_of(NAMESPACE, boundary.namespaces.iter().cloned()));
    Selector::any_of([code].into_iter().chain(owner).chain(names))
}

/// The selector, where it is about pods of one namespace. What it says of labels that the namespace may have or not is
/// left.
pub(super) fn in_namespace(
    selector: &Selector,
    name: &str,
    namespace: &KnownNamespace,
) -> Selector {
    let is_certain = |label: &str| {
        let of_namespace = label.strip_prefix(OF_NAMESPACE);
        of_namespace.is_none_or(|it| namespace.is_certain(it))
    };
    selector.assuming(&|label| {
        is_certain(label)
            .then(|| of_pod(label, name, namespace))
            .flatten()
    })
}

/// The same where the namespace has no labels but those that are known.
pub(super) fn in_namespace_as_known(
    selector: &Selector,
    name: &str,
    namespace: &KnownNamespace,
) -> Selector {
    selector.assuming(&|label| of_pod(label, name, namespace))
}

/// What pods of a namespace have, or do not have, whichever they are.
#[allow(
    clippy::option_option,
    reason = "what is known of a label may be that it is missing"
)]
fn of_pod<'a>(
    label: &str,
    name: &'a str,
    namespace: &'a KnownNamespace,
) -> Option<Option<&'a str>> {
    match (label, label.strip_prefix(OF_NAMESPACE)) {
        (NAMESPACE, _) => Some(Some(name)),
        (ORCHESTRATOR, _) => Some(Some("k8s")),
        (_, Some(label)) => Some(namespace.labels.get(label).map(String::as_str)),
        (_, None) => None,
    }
}

/// The labels of namespaces among those of a pod, `key=value`, with commas; None: there are none.
pub(super) fn labels_of_namespace(labels: &LabelMap) -> Option<String> {
    let of_namespace = labels
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(OF_NAMESPACE)?, value)));
    let listed = listed(of_namespace);
    (!listed.is_empty()).then_some(listed)
}

/// A pod that somebody could have.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Witness {
    /// What it is and where, in words.
    pub(super) words: String,
    /// The landing zone that it is in, where that is known.
    pub(super) landing_zone: Option<String>,
}

/// A pod that all of these selectors select: in a namespace that is known, where there is one. None: there can be none.
pub(super) fn a_pod(
    selectors: &[Selector],
    landscape: &Landscape,
) -> Result<Option<Witness>, TooComplex> {
    let all = Selector::and(selectors.iter().cloned());
    let Some(found) = example(&[all.clone(), is_pod()])? else {
        return Ok(None);
    };
    for name in candidates(&found, landscape) {
        let Some(namespace) = landscape.namespace(name) else {
            continue;
        };
        let left = in_namespace_as_known(&all, name, namespace);
        if let Some(labels) = example(&[left])? {
            let boundary = landscape.of_namespace(name).map(|(boundary, _)| boundary);
            let whose = boundary.map(|it| format!(" of {it}")).unwrap_or_default();
            return Ok(Some(Witness {
                words: format!("{} in namespace {name}{whose}", pod(&labels)),
                landing_zone: boundary.and_then(|it| it.landing_zone.clone()),
            }));
        }
    }
    Ok(Some(Witness {
        words: format!("{} in {}", pod(&found), namespaces(&found)),
        landing_zone: None,
    }))
}

/// Whether all of these selectors select a pod that could be in a namespace that is known. What is too complex counts as
/// none.
pub(super) fn in_known_namespace(selectors: &[Selector], landscape: &Landscape) -> bool {
    let all = Selector::and(selectors.iter().cloned());
    let Ok(Some(found)) = example(&[all.clone(), is_pod()]) else {
        return false;
    };
    candidates(&found, landscape).into_iter().any(|name| {
        let namespace = landscape.namespace(name);
        namespace.is_some_and(|namespace| {
            let left = in_namespace_as_known(&all, name, namespace);
            matches!(example(&[left]), Ok(Some(_)))
        })
    })
}

/// Namespaces that are worth trying: those with a label of the pod that was found, and a few of others.
fn candidates<'a>(found: &LabelMap, landscape: &'a Landscape) -> Vec<&'a str> {
    const TRIED: usize = 16;
    let mut all: Vec<&str> = Vec::new();
    for (key, value) in found {
        if key == NAMESPACE {
            all.extend(landscape.known_name(value));
        } else if let Some(label) = key.strip_prefix(OF_NAMESPACE) {
            all.extend(landscape.labelled(label, value).take(TRIED));
        }
    }
    let others = landscape.namespaces().map(|(name, _)| name);
    all.extend(others.take(TRIED));
    all
}

fn listed<'a>(labels: impl Iterator<Item = (&'a str, &'a String)>) -> String {
    let labels: Vec<_> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    labels.join(", ")
}

fn pod(labels: &LabelMap) -> String {
    let is_own = |key: &str| {
        !key.starts_with(OF_NAMESPACE)
            && !key.starts_with(OF_SERVICE_ACCOUNT)
            && ![NAMESPACE, ORCHESTRATOR, SERVICE_ACCOUNT].contains(&key)
    };
    let own: BTreeMap<&str, &String> = labels
        .iter()
        .filter(|(key, _)| is_own(key))
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    let own = (!own.is_empty()).then(|| format!(" labelled {}", listed(own.into_iter())));
    let account = labels.get(SERVICE_ACCOUNT);
    let account = account.map(|it| format!(" with the service account {it}"));
    format!(
        "a pod{}{}",
        own.unwrap_or_default(),
        account.unwrap_or_default()
    )
}

/// The namespaces that a pod may be in.
fn namespaces(labels: &LabelMap) -> String {
    match (labels.get(NAMESPACE), labels_of_namespace(labels)) {
        (Some(name), _) if !name.is_empty() => format!("a namespace called {name}"),
        (_, None) => "any namespace outside".to_owned(),
        (_, Some(labels)) => format!("any namespace labelled {labels}"),
    }
}
