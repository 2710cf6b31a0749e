//! What may be done about a namespace that a landing zone declares, whatever state it is found in.
//! Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cache::Observed;
use super::packed::Packed;
use crate::api::AdoptionPolicy;
use crate::api::names::{APPLICATION_CODE, MANAGED_BY, OWNER, ZONE};

/// What is told of a namespace that is somebody else's for a moment more: waiting is enough.
pub const CREATED_ONCE_GONE: &str = "it is created once it is gone";

/// What may be done about a declared namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It does not exist: create it.
    Create,
    /// It is ours: keep it as declared.
    Ours,
    /// It is somebody else's and may be taken over.
    Adopt,
    /// It is being deleted: wait until it is gone.
    Wait,
    /// It stays as it is; why, and the way out.
    Withhold(String),
}

/// What is known about a declared namespace besides the namespace itself.
#[derive(Clone, Debug, Default)]
pub struct Circumstances<'a> {
    /// The landing zone that declares it.
    pub zone: &'a str,
    /// What it says about existing namespaces.
    pub policy: AdoptionPolicy,
    /// Whether its inventory names the namespace.
    pub in_inventory: bool,
    /// The UID under which it was last known to be ours.
    pub known_uid: Option<&'a str>,
    /// Whether the landing zone that the ownership label names still declares it.
    pub declared_by_owner: bool,
    /// Whether that landing zone's inventory names it, so that the label is no forgery.
    pub held_by_owner: bool,
}

/// Decides about one declared namespace.
#[must_use]
pub fn decide(
    declared: &Value,
    found: Option<&Observed>,
    circumstances: &Circumstances<'_>,
) -> Decision {
    let Some(found) = found else {
        return Decision::Create;
    };
    if is_ours(found, circumstances) {
        return if found.deleting {
            Decision::Wait
        } else {
            Decision::Ours
        };
    }
    if found.deleting {
        return Decision::Withhold(format!(
            "the namespace exists, is not the landing zone's and is being deleted; {CREATED_ONCE_GONE}"
        ));
    }
    if let Some(owner) = &found.owner
        && circumstances.declared_by_owner
    {
        return Decision::Withhold(format!(
            "the namespace belongs to the landing zone {owner}, which declares it; \
             remove it from one of the two"
        ));
    }
    let object = found.object.as_ref().map(Packed::unpack);
    let object = &object.unwrap_or_default();
    if let Some(tracked) = tracked_by(object) {
        return Decision::Withhold(tracked);
    }
    let history = found.owner.as_ref().map_or_else(
        || "the namespace exists and is not the landing zone's".to_owned(),
        |owner| {
            format!("the namespace was the landing zone {owner}'s, which no longer declares it")
        },
    );
    match circumstances.policy {
        AdoptionPolicy::Always => Decision::Adopt,
        AdoptionPolicy::Never => Decision::Withhold(format!(
            "{history}; set adoptionPolicy: Always to take it over, or IfIdentical once its labels \
             are as declared"
        )),
        AdoptionPolicy::IfIdentical => {
            let differences = differences(declared, object);
            if differences.is_empty() {
                return Decision::Adopt;
            }
            Decision::Withhold(format!(
                "{history} and is not as declared: {}; change it, or set adoptionPolicy: Always",
                differences.join(", ")
            ))
        }
    }
}

/// A label alone could be set by anybody; the inventory alone may name what somebody else created
/// first. A namespace is ours by its label, or by its inventory entry where it is the very same
/// namespace or still bears our field manager, unless the landing zone that the label names has it
/// in its inventory too: taking off or changing the label takes nothing out of its boundary.
fn is_ours(found: &Observed, circumstances: &Circumstances<'_>) -> bool {
    if found.owner.as_deref() == Some(circumstances.zone) {
        return true;
    }
    (found.owner.is_none() || !circumstances.held_by_owner)
        && circumstances.in_inventory
        && (circumstances.known_uid == Some(&found.uid) || found.written_by_us)
}

/// Who else manages a namespace, and what would happen; None when nobody does.
fn tracked_by(namespace: &Value) -> Option<String> {
    let labels = namespace.pointer("/metadata/labels");
    let annotations = namespace.pointer("/metadata/annotations");
    let either = |key: &str| {
        [labels, annotations]
            .into_iter()
            .flatten()
            .any(|map| map.get(key).is_some())
    };
    let annotated = |key: &str, value: &str| {
        let text = annotations.and_then(|map| map.get(key)?.as_str());
        text.is_some_and(|text| text.split(',').any(|option| option.trim() == value))
    };
    let arm = [labels, annotations]
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .flat_map(|map| map.keys())
        // AKS's documentation and its component differ in the case of the mark.
        .any(|key| key.eq_ignore_ascii_case("kubernetes.azure.com/managedByARM"));
    if arm {
        return Some(
            "Azure Resource Manager manages the namespace (its ManagedByARM mark) and would undo \
             every change; delete the managed namespace in Azure with deletePolicy Keep first"
                .to_owned(),
        );
    }
    let prunes = |tool: &str, annotation: &str| {
        Some(format!(
            "{tool} still tracks the namespace and would delete it once its manifest leaves Git; \
             annotate it with {annotation}, then it is adopted"
        ))
    };
    if either("argocd.argoproj.io/tracking-id") || either("argocd.argoproj.io/instance") {
        let key = "argocd.argoproj.io/sync-options";
        return if annotated(key, "Prune=false") {
            None
        } else {
            prunes("Argo CD", "argocd.argoproj.io/sync-options: Prune=false")
        };
    }
    if either("kustomize.toolkit.fluxcd.io/name") {
        let key = "kustomize.toolkit.fluxcd.io/prune";
        return if annotated(key, "disabled") {
            None
        } else {
            prunes("Flux", "kustomize.toolkit.fluxcd.io/prune: disabled")
        };
    }
    if either("helm.toolkit.fluxcd.io/name") || either("meta.helm.sh/release-name") {
        return if annotated("helm.sh/resource-policy", "keep") {
            None
        } else {
            prunes("Helm", "helm.sh/resource-policy: keep")
        };
    }
    // Argo CD before 3.0 tracks by this label, but every Helm chart sets it too: the mark counts
    // only where nothing else says who set it.
    if labels.is_some_and(|map| map.get("app.kubernetes.io/instance").is_some())
        && !annotated("argocd.argoproj.io/sync-options", "Prune=false")
    {
        return prunes(
            "A tool that sets app.kubernetes.io/instance (Argo CD before 3.0 does)",
            "argocd.argoproj.io/sync-options: Prune=false",
        );
    }
    None
}

/// In which of the declared labels and annotations a namespace differs. Marks of ownership are left
/// out: a namespace that is not ours cannot have them.
fn differences(declared: &Value, found: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for (map, what) in [("labels", "label"), ("annotations", "annotation")] {
        let wanted = strings(declared, map);
        let there = strings(found, map);
        for (key, value) in wanted {
            if [OWNER, MANAGED_BY].contains(&key) {
                continue;
            }
            match there.get(key) {
                Some(other) if *other == value => {}
                Some(other) => all.push(format!("{what} {key} is {other}, declared {value}")),
                None => all.push(format!("{what} {key} is missing, declared {value}")),
            }
        }
    }
    // The two that decide about the boundary come first.
    all.sort_by_key(|text| !(text.contains(APPLICATION_CODE) || text.contains(ZONE)));
    all
}

fn strings<'a>(object: &'a Value, map: &str) -> BTreeMap<&'a str, &'a str> {
    let map = object.pointer(&format!("/metadata/{map}"));
    map.and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        .collect()
}

#[cfg(test)]
mod tests;
