//! What has to be written so that the cluster holds what was rendered. Decided locally, before any
//! request. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::cache::{Objects, Observed};
use super::compare::{Difference, Digest, differences, holder, keys_held};
use super::kind::{Kind, ObjectKey};
use super::memory::{FIGHT, Memory};
use super::rendered::{Target, Targets};
use crate::api::names::{
    DEFAULT_TOLERATIONS, NODE_AFFINITY, NODE_SELECTOR, SPREAD, TOLERATIONS, TOLERATIONS_WHITELIST,
};

/// Annotations that only placement sets.
const PLACEMENT_KEYS: [&str; 6] = [
    NODE_SELECTOR,
    DEFAULT_TOLERATIONS,
    TOLERATIONS_WHITELIST,
    TOLERATIONS,
    NODE_AFFINITY,
    SPREAD,
];

/// Everything that has to be written for one landing zone.
#[derive(Debug, Default)]
pub struct Plan {
    /// Creations and changes, in the order of the targets.
    pub writes: Vec<Write>,
    /// What is as declared already.
    pub settled: Vec<(ObjectKey, Digest)>,
    /// What left the declaration and is deleted.
    pub prune: Vec<Prune>,
    /// What cannot be written yet because its namespace is being deleted.
    pub waiting: Vec<ObjectKey>,
    /// Repairs that wait because somebody else keeps changing the object back, or because the API
    /// server stores it differently, and why.
    pub postponed: Vec<Postponed>,
}

/// A repair that waits.
#[derive(Clone, Debug)]
pub struct Postponed {
    /// The object.
    pub key: ObjectKey,
    /// Until when.
    pub until: Instant,
    /// Why, where it is not a fight.
    pub why: Option<String>,
}

/// One object to be written.
#[derive(Clone, Debug)]
pub struct Write {
    /// As it must be.
    pub target: Target,
    /// What has to be done.
    pub change: Change,
    /// Whether somebody changed it behind our back.
    pub cause: Cause,
    /// Whether it was ours when it was last looked at: then whatever has its name now took its
    /// place, and no adoption rule protects it.
    pub was_ours: bool,
}

impl Write {
    /// Whether it takes a namespace in that ran without the landing zone, whose inventory this is.
    #[must_use]
    pub fn is_adoption(&self, inventory: &BTreeSet<ObjectKey>) -> bool {
        self.target.key.kind == Kind::Namespace
            && matches!(self.change, Change::Metadata { .. })
            && self.cause == Cause::Declared
            && !inventory.contains(&self.target.key)
    }
}

/// What has to be done to one object.
#[derive(Clone, Debug)]
pub enum Change {
    /// It is not there.
    Create,
    /// Its whole fields are put back. The differences are empty where only a digest was kept,
    /// because the declaration changed.
    Fields {
        /// The object as it was found, where it was kept.
        found: Option<Arc<Value>>,
        /// Precondition.
        resource_version: String,
        /// What differs.
        differences: Vec<Difference>,
    },
    /// Single labels and annotations of a namespace.
    Metadata {
        /// Merge patch of `metadata`: what is declared, and null for what was ours and no longer is.
        patch: Value,
        /// The namespace as it was found.
        found: Arc<Value>,
        /// Precondition.
        resource_version: String,
        /// What differs.
        differences: Vec<Difference>,
    },
    /// It cannot be changed (the role of a binding): deleted and created anew.
    Replace {
        /// Precondition.
        uid: String,
        /// Precondition.
        resource_version: String,
        /// The object as it was found.
        found: Arc<Value>,
        /// What differs.
        differences: Vec<Difference>,
    },
}

/// Why an object has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The declaration, the cluster's flavour or the operator changed.
    Declared,
    /// Somebody changed what was as declared.
    Drift,
}

/// One object to be deleted: it bears our label, and the inventory names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prune {
    /// The object.
    pub key: ObjectKey,
    /// Precondition.
    pub uid: String,
    /// Precondition.
    pub resource_version: String,
}

/// What a plan is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// What lies in the cluster.
    Cluster,
    /// What lies in Azure.
    Azure,
}

/// What the plan is made from, besides the objects.
#[derive(Debug)]
pub struct Basis<'a> {
    /// What it is about: nothing of the other half is deleted.
    pub half: Half,
    /// Who owns it, as [`Observed::owner`] names owners.
    pub owner: &'a str,
    /// What must be there.
    pub targets: &'a Targets,
    /// What the status inventory names.
    pub inventory: &'a BTreeSet<ObjectKey>,
    /// What landing zones that are gone left behind and nothing needs any more.
    pub inherited: &'a BTreeSet<ObjectKey>,
    /// Namespaces that keep what they have: released ones, and those that are withheld.
    pub left_alone: &'a BTreeSet<String>,
    /// Whether this is the first look since the operator started, and the status says that exactly
    /// this was applied before.
    pub applied_before: bool,
    /// Namespaces that are gone: their loss is one, whatever was in them.
    pub lost: &'a BTreeSet<String>,
    /// Labels and annotations that the declaration put on its namespaces, as
    /// [`crate::api::NamespaceStatus::keys`] records them, by namespace.
    pub recorded_keys: &'a BTreeMap<String, BTreeSet<String>>,
    /// What is remembered.
    pub memory: &'a Memory,
    /// Now.
    pub now: Instant,
}

/// Compares what must be there with what is.
#[must_use]
pub fn plan(basis: &Basis<'_>, objects: &Objects) -> Plan {
    let mut plan = Plan::default();
    for target in basis.targets {
        compare(basis, target, objects, &mut plan);
    }
    let left_behind = basis
        .inherited
        .iter()
        .filter_map(|key| Some((key, objects.get(key)?)));
    plan.prune = objects
        .owned_by(basis.owner)
        .chain(left_behind)
        .filter(|(key, observed)| {
            // What a finalizer keeps is still in force; in a namespace teams can set one.
            key.kind != Kind::Namespace
                && key.kind.is_azure() == (basis.half == Half::Azure)
                && (!observed.deleting || key.is_in_reach_of_teams())
                && basis.inventory.contains(key)
                && basis.targets.get(key).is_none()
                && key
                    .namespace
                    .as_deref()
                    .is_none_or(|namespace| !basis.left_alone.contains(namespace))
        })
        .map(|(key, observed)| Prune {
            key: key.clone(),
            uid: observed.uid.clone(),
            resource_version: observed.resource_version.clone(),
        })
        .collect();
    plan
}

fn compare(basis: &Basis<'_>, target: &Target, objects: &Objects, plan: &mut Plan) {
    let key = &target.key;
    if let Some(namespace) = &key.namespace
        && let Some(namespace) = objects.get(&ObjectKey::namespace(namespace.clone()))
        && namespace.deleting
    {
        plan.waiting.push(key.clone());
        return;
    }
    let change = match objects.get(key) {
        None => Change::Create,
        // Other objects are still in force while a finalizer keeps them: they are put right all the same.
        Some(found)
            if found.deleting && (key.kind == Kind::Namespace || found.digest == target.digest) =>
        {
            plan.waiting.push(key.clone());
            return;
        }
        Some(found) if key.kind == Kind::Namespace => {
            let Some(change) = namespace_change(basis, target, found) else {
                plan.settled.push((key.clone(), target.digest));
                return;
            };
            change
        }

        Some(found) if found.digest == target.digest => {
            plan.settled.push((key.clone(), target.digest));
            return;
        }
        Some(found) => {
            if let Some((stored, when)) = basis.memory.rewritten.get(key)
                && *stored == found.digest
            {
                plan.postponed.push(Postponed {
                    key: key.clone(),
                    until: *when + FIGHT,
                    why: Some(format!(
                        "{key}: the API server stores it other than it was sent; an admission \
                         webhook or policy changes it"
                    )),
                });
                return;
            }
            field_change(target, found)
        }
    };
    let cause = cause(basis, target);
    if cause == Cause::Drift
        && let Some(until) = basis.memory.repair_waits_until(key, basis.now)
    {
        let key = key.clone();
        plan.postponed.push(Postponed {
            key,
            until,
            why: None,
        });
        return;
    }
    plan.writes.push(Write {
        target: target.clone(),
        change,
        cause,
        was_ours: cause == Cause::Drift || basis.memory.in_force.contains_key(key),
    });
}

/// What was as declared and is not any more drifted; everything else is new to us.
fn cause(basis: &Basis<'_>, target: &Target) -> Cause {
    let key = &target.key;
    let in_force = basis.memory.in_force.get(key);
    let before_start = basis.applied_before && basis.inventory.contains(key);
    let lost = key.kind != Kind::Namespace
        && key
            .in_namespace()
            .is_some_and(|namespace| basis.lost.contains(namespace));
    if !lost && (in_force == Some(&target.digest) || before_start) {
        Cause::Drift
    } else {
        Cause::Declared
    }
}

/// What has to be done so that an object which is there says what the target says.
#[must_use]
pub fn field_change(target: &Target, found: &Observed) -> Change {
    let found_object = found.object.as_ref().map(|it| Arc::new(it.unpack()));
    let differences = found_object.as_ref().map_or_else(Vec::new, |object| {
        differences(target.key.kind, &target.object.unpack(), object)
    });
    let role_differs = differences.iter().any(|difference| {
        let first = difference.path.0.first();
        matches!(first, Some(crate::domain::Segment::Key(key)) if key == "roleRef")
    });
    match found_object {
        Some(object) if role_differs => Change::Replace {
            uid: found.uid.clone(),
            resource_version: found.resource_version.clone(),
            found: object,
            differences,
        },
        object => Change::Fields {
            found: object,
            resource_version: found.resource_version.clone(),
            differences,
        },
    }
}

/// Labels and annotations that are declared and differ, and those that were declared and no longer
/// are.
fn namespace_change(basis: &Basis<'_>, target: &Target, found: &Observed) -> Option<Change> {
    let object = found.object.as_ref()?.unpack();
    let target_object = target.object.unpack();
    let recorded = basis.recorded_keys.get(&*target.key.name);
    let was_declared = |map: &str, key: &str| {
        PLACEMENT_KEYS.contains(&key)
            || recorded.is_some_and(|recorded| recorded.contains(&format!("{map}/{key}")))
    };
    let mut all = Vec::new();
    let mut patch = Map::new();
    for map in ["labels", "annotations"] {
        let pointer = format!("/metadata/{map}");
        let declared = target_object.pointer(&pointer).and_then(Value::as_object);
        let there = object.pointer(&pointer).and_then(Value::as_object);
        let mut changes = Map::new();
        for (key, value) in declared.into_iter().flatten() {
            let other = there.and_then(|there| there.get(key));
            if other != Some(value) {
                changes.insert(key.clone(), value.clone());
                all.push(metadata_difference(map, key, Some(value), other));
            }
        }
        // Held by us alone is not enough: what an admission webhook or the API server adds to our
        // creation counts as ours in managed fields. And what somebody else declares too stays.
        for key in keys_held(&object, map) {
            let is_declared = declared.is_some_and(|declared| declared.contains_key(&key));
            if is_declared || !was_declared(map, &key) {
                continue;
            }
            let other = there.and_then(|there| there.get(&key));
            let difference = metadata_difference(map, &key, None, other);
            if holder(&object, &difference.managed_path()).is_none() {
                all.push(difference);
                changes.insert(key, Value::Null);
            }
        }
        if !changes.is_empty() {
            patch.insert(map.to_owned(), Value::Object(changes));
        }
    }
    if patch.is_empty() {
        return None;
    }
    patch.insert("resourceVersion".into(), json!(found.resource_version));
    Some(Change::Metadata {
        patch: json!({ "metadata": patch }),
        found: Arc::new(object),
        resource_version: found.resource_version.clone(),
        differences: all,
    })
}

fn metadata_difference(
    map: &str,
    key: &str,
    declared: Option<&Value>,
    found: Option<&Value>,
) -> Difference {
    Difference {
        path: crate::domain::FieldPath::default()
            .key("metadata")
            .key(map)
            .key(key),
        declared: declared.cloned(),
        found: found.cloned(),
    }
}

impl Change {
    /// What differs, as sentences; the digest alone tells nothing.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Create => "deleted".to_owned(),
            Self::Fields { differences, .. }
            | Self::Metadata { differences, .. }
            | Self::Replace { differences, .. } => {
                let all: Vec<_> = differences.iter().map(ToString::to_string).collect();
                all.join("; ")
            }
        }
    }

    /// The managers that hold the differing fields now; empty where that cannot be known.
    #[must_use]
    pub fn managers(&self) -> BTreeSet<String> {
        let (found, differences) = match self {
            Self::Create | Self::Fields { found: None, .. } => return BTreeSet::new(),
            Self::Fields {
                found: Some(found),
                differences,
                ..
            }
            | Self::Metadata {
                found, differences, ..
            }
            | Self::Replace {
                found, differences, ..
            } => (found, differences),
        };
        differences
            .iter()
            .filter(|difference| difference.found.is_some())
            .filter_map(|difference| holder(found, &difference.managed_path()))
            .collect()
    }
}

impl Plan {
    /// What the plan would do, one sentence each, for stage Plan.
    #[must_use]
    pub fn sentences(
        &self,
        withheld: &BTreeMap<String, String>,
        inventory: &BTreeSet<ObjectKey>,
    ) -> Vec<String> {
        let writes = self.writes.iter().map(|write| match &write.change {
            Change::Create => format!("create {}", write.target.key),
            change if write.is_adoption(inventory) => {
                let change = change.describe();
                // Nobody took away what was never there.
                let change = change.replace(": removed, declared ", ": none, declared ");
                format!("adopt {}: {change}", write.target.key)
            }
            change => format!("change {}: {}", write.target.key, change.describe()),
        });
        let prunes = self
            .prune
            .iter()
            .map(|prune| format!("delete {}", prune.key));
        let withheld = withheld
            .iter()
            .map(|(namespace, why)| format!("leave Namespace/{namespace} alone: {why}"));
        writes.chain(prunes).chain(withheld).collect()
    }
}

#[cfg(test)]
mod tests;
