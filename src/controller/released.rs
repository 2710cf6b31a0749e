//! Namespaces that left the declaration: they keep their labels and policies and are no longer
//! repaired. Losing the ownership label takes none of them out of the boundary.

use std::collections::{BTreeMap, BTreeSet};

use super::cache::{Objects, Observed};
use super::context::Context;
use super::kind::{Kind, ObjectKey};
use super::reconcile::Observation;
use crate::api::names::ZONE;
use crate::api::{LandingZoneStatus, ReleasedNamespace};
use crate::build::Released;
use crate::domain;

/// The released namespaces of a landing zone, by name.
///
/// A namespace is released when it is no longer declared and was the landing zone's: it bears the
/// ownership label, and either the status knows it or the label is our own writing; or the status knows
/// it by its UID, and we gave it to no other landing zone. A label that somebody else set neither
/// releases a namespace, which would put a foreign one behind this landing zone's boundary, nor takes
/// one out.
pub(super) fn released(
    observation: &Observation,
    context: &Context,
    zone: &domain::LandingZone,
) -> Vec<Released> {
    let objects = context.cache.read();
    let of = Former {
        status: observation.status.as_ref(),
        inventory: &observation.inventory,
        objects: &objects,
    };
    of.released(zone)
}

/// What is known of the namespaces that a landing zone had.
pub(crate) struct Former<'a> {
    /// What its status says.
    pub status: Option<&'a LandingZoneStatus>,
    /// What its status says is its own.
    pub inventory: &'a BTreeSet<ObjectKey>,
    /// What is there.
    pub objects: &'a Objects,
}

impl Former<'_> {
    /// The namespaces that are released, by name.
    pub(crate) fn released(&self, zone: &domain::LandingZone) -> Vec<Released> {
        let Self {
            status,
            inventory,
            objects,
        } = *self;
        let owner = zone.name.as_str();
        let recorded = recorded(status);
        let is_declared =
            |name: &str| (zone.namespaces.iter()).any(|declared| declared.name.as_str() == name);
        let labelled = objects
            .owned_by(owner)
            .filter(|(key, _)| key.kind == Kind::Namespace)
            .map(|(key, _)| key.name.as_str());
        let names: BTreeSet<&str> = labelled.chain(recorded.keys().copied()).collect();
        names
            .into_iter()
            .filter(|name| !is_declared(name))
            .filter_map(|name| {
                let key = ObjectKey::namespace(name);
                let found = objects.get(&key)?;
                let known = recorded.get(name);
                let is_same = known.is_some_and(|known| known.uid == Some(&found.uid));
                let zone = if found.owner.as_deref() == Some(owner) {
                    let ours = inventory.contains(&key) || found.labelled_by_us;
                    let label = || label(found, ZONE).filter(|_| ours);
                    known.map(|known| known.zone).or_else(label)
                } else {
                    known
                        .filter(|_| is_same && !found.labelled_by_us)
                        .map(|known| known.zone)
                };
                Some(Released {
                    name: name.parse().ok()?,
                    zone: zone?.parse().ok()?,
                })
            })
            .collect()
    }
}

/// What the status knows of a namespace.
struct Recorded<'a> {
    zone: &'a str,
    uid: Option<&'a String>,
}

fn recorded(status: Option<&LandingZoneStatus>) -> BTreeMap<&str, Recorded<'_>> {
    let declared = status.iter().flat_map(|status| &status.namespaces);
    let declared = declared.map(|it| (it.name.as_str(), it.zone.as_str(), it.uid.as_ref()));
    let released = status.iter().flat_map(|status| &status.released);
    let released = released.map(|it| (it.name.as_str(), it.zone.as_str(), it.uid.as_ref()));
    declared
        .chain(released)
        .map(|(name, zone, uid)| (name, Recorded { zone, uid }))
        .collect()
}

/// The UID under which the status knows a namespace as the landing zone's.
pub(super) fn recorded_uid<'a>(
    status: Option<&'a LandingZoneStatus>,
    namespace: &str,
) -> Option<&'a str> {
    recorded(status).get(namespace)?.uid.map(String::as_str)
}

fn label<'a>(found: &'a Observed, label: &str) -> Option<&'a str> {
    let labels = found.object.as_deref()?.pointer("/metadata/labels")?;
    labels.get(label)?.as_str()
}

/// The released namespaces as the status tells them.
pub(super) fn in_status(released: &[Released], context: &Context) -> Vec<ReleasedNamespace> {
    let objects = context.cache.read();
    let tell = |released: &Released| ReleasedNamespace {
        name: released.name.to_string(),
        zone: released.zone.to_string(),
        uid: objects
            .get(&ObjectKey::namespace(released.name.as_str()))
            .map(|found| found.uid.clone()),
    };
    released.iter().map(tell).collect()
}
