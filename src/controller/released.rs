//! Namespaces that left the declaration: they keep their labels and policies and are no longer
//! repaired.

use std::collections::BTreeMap;

use super::context::Context;
use super::kind::Kind;
use super::reconcile::Observation;
use crate::api::ReleasedNamespace;
use crate::api::names::ZONE;
use crate::build::Released;
use crate::domain;

/// The released namespaces of a landing zone, by name.
///
/// A namespace is released when it bears the ownership label, is no longer declared, and either the
/// status knows it or the label is our own writing. A label that somebody else set releases
/// nothing: it would put a foreign namespace behind this landing zone's boundary.
pub(super) fn released(
    observation: &Observation,
    context: &Context,
    zone: &domain::LandingZone,
) -> Vec<Released> {
    let status = observation.status.as_ref();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for namespace in status.iter().flat_map(|status| &status.namespaces) {
        known.insert(namespace.name.clone(), namespace.zone.clone());
    }
    for namespace in status.iter().flat_map(|status| &status.released) {
        known.insert(namespace.name.clone(), namespace.zone.clone());
    }
    let objects = context.cache.read();
    objects
        .owned_by(&observation.name)
        .filter(|(key, _)| key.kind == Kind::Namespace)
        .filter(|(key, _)| {
            let declared = |namespace: &domain::Namespace| namespace.name.as_str() == key.name;
            !zone.namespaces.iter().any(declared)
        })
        .filter_map(|(key, found)| {
            let label = || {
                let labels = found.object.as_deref()?.pointer("/metadata/labels")?;
                Some(labels.get(ZONE)?.as_str()?.to_owned())
            };
            let recorded = observation.inventory.contains(key) || found.labelled_by_us;
            let zone = known
                .get(&key.name)
                .cloned()
                .or_else(|| label().filter(|_| recorded))?;
            Some(Released {
                name: key.name.parse().ok()?,
                zone: zone.parse().ok()?,
            })
        })
        .collect()
}

impl From<&Released> for ReleasedNamespace {
    fn from(released: &Released) -> Self {
        Self {
            name: released.name.to_string(),
            zone: released.zone.to_string(),
        }
    }
}
