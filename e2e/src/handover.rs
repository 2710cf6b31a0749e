//! From one operator to another: what must not be lost on the way, and what must not be written.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use landing_zone_operator::api::names::OWNER;
use serde_json::Value;

use crate::audit::Event;
use crate::owned::KINDS;

const NAMESPACES: &str = "namespaces";
/// Objects that decide who may reach a pod.
const POLICIES: [&str; 2] = ["globalnetworkpolicies", "networkpolicies"];

/// An object, by where the API server has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    resource: String,
    namespace: String,
    name: String,
}

impl Place {
    /// The object that a request was about.
    fn of(event: &Event) -> Self {
        Self::new(&event.resource, &event.namespace, &event.name)
    }

    fn new(resource: &str, namespace: &str, name: &str) -> Self {
        // The audit log says of a namespace that it lies in itself.
        let namespace = if resource == NAMESPACES {
            ""
        } else {
            namespace
        };
        Self {
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn is_policy(&self) -> bool {
        POLICIES.contains(&self.resource.as_str())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}/{}", self.resource, self.namespace, self.name)
    }
}

/// What an operator has in a cluster at one moment: landing zones' objects, and all policies of the whole cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Holdings(BTreeMap<Place, Value>);

impl Holdings {
    /// Looks at a cluster whose Calico serves its storage.
    pub async fn of(client: &Client) -> Result<Self> {
        let mut objects = BTreeMap::new();
        for (group, version, kind, plural) in KINDS {
            let kind = GroupVersionKind::gvk(group, version, kind);
            let resource = ApiResource::from_gvk_with_plural(&kind, plural);
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            // The default deny and the platform's other policies belong to no landing zone.
            let which = if plural == "globalnetworkpolicies" {
                ListParams::default()
            } else {
                ListParams::default().labels(OWNER)
            };
            let found = match api.list(&which).await {
                Ok(found) => found,
                // Nobody serves that group here.
                Err(kube::Error::Api(status)) if status.code == 404 => continue,
                Err(error) => {
                    return Err(error).with_context(|| format!("failed to list {plural}"));
                }
            };
            for object in found {
                let namespace = object.namespace().unwrap_or_default();
                let place = Place::new(plural, &namespace, &object.name_any());
                objects.insert(place, lasting(serde_json::to_value(object)?));
            }
        }
        Ok(Self(objects))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Those of one kind, by its plural.
    #[must_use]
    pub fn of_kind(&self, plural: &str) -> usize {
        self.0
            .keys()
            .filter(|place| place.resource == plural)
            .count()
    }
}

/// An object without what changes by itself.
fn lasting(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in ["managedFields", "resourceVersion", "generation"] {
            metadata.remove(key);
        }
    }
    object
}

/// What went wrong between two moments, told from what was there then, is there now, and was written in between.
///
/// - A namespace, a quota, a binding or a range of limits is gone or another one.
/// - A policy went before all new ones were there, or was made anew under its name: pods had no boundary meanwhile.
/// - Something was written that is as it was.
#[must_use]
pub fn faults(before: &Holdings, after: &Holdings, writes: &[Event]) -> Vec<String> {
    let mut faults = Vec::new();
    for (place, old) in &before.0 {
        match after.0.get(place) {
            None if !place.is_policy() => faults.push(format!("{place} is gone")),
            Some(new) if new["metadata"]["uid"] != old["metadata"]["uid"] => {
                faults.push(format!("{place} is another one of the same name"));
            }
            _ => {}
        }
    }
    let done: Vec<(&Event, Place)> = writes
        .iter()
        .filter(|event| event.succeeded() && event.subresource.is_empty())
        .map(|event| (event, Place::of(event)))
        .collect();
    let added = |place: &&Place| place.is_policy() && !before.0.contains_key(place);
    for (event, place) in &done {
        if event.verb.starts_with("delete") && place.is_policy() {
            for new in after.0.keys().filter(added) {
                let is_first = |(other, at): &(&Event, Place)| {
                    at == new
                        && !other.verb.starts_with("delete")
                        && other.completed <= event.received
                };
                if !done.iter().any(is_first) {
                    faults.push(format!("{place} went before {new} was there"));
                }
            }
        }
        if event.verb.starts_with("delete") && place.resource == NAMESPACES {
            faults.push(format!("{place} was deleted"));
        }
        let same = before
            .0
            .get(place)
            .filter(|old| after.0.get(place) == Some(*old));
        if same.is_some() {
            let verb = &event.verb;
            faults.push(format!("{verb} of {place}, which is as it was"));
        }
    }
    faults
}

#[cfg(test)]
mod tests;
