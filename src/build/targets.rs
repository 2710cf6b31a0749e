//! Which namespaces the policies of a landing zone select.

use std::collections::{BTreeMap, BTreeSet};

use super::Released;
use crate::domain::{LandingZone, NamespaceName, Zone};

/// The namespaces that policies select, declared and released, by zone and sorted by name.
pub(super) struct Targets(BTreeMap<Zone, BTreeSet<NamespaceName>>);

impl Targets {
    /// A namespace that is both declared and released counts as declared: it came back.
    pub(super) fn new(zone: &LandingZone, released: &[Released]) -> Self {
        let mut zone_of: BTreeMap<&NamespaceName, &Zone> = released
            .iter()
            .map(|released| (&released.name, &released.zone))
            .collect();
        zone_of.extend(
            zone.namespaces
                .iter()
                .map(|namespace| (&namespace.name, &namespace.zone)),
        );
        let mut by_zone: BTreeMap<Zone, BTreeSet<NamespaceName>> = BTreeMap::new();
        for (name, zone) in zone_of {
            by_zone
                .entry(zone.clone())
                .or_default()
                .insert(name.clone());
        }
        Self(by_zone)
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeSet<&NamespaceName> {
        self.0.values().flatten().collect()
    }

    /// Each zone with its namespaces; none is empty.
    pub(super) fn by_zone(&self) -> impl Iterator<Item = (&Zone, BTreeSet<&NamespaceName>)> {
        self.0
            .iter()
            .map(|(zone, names)| (zone, names.iter().collect()))
    }

    /// Each namespace with its zone, sorted by name.
    pub(super) fn with_zones(&self) -> BTreeMap<&NamespaceName, &Zone> {
        self.0
            .iter()
            .flat_map(|(zone, names)| names.iter().map(move |name| (name, zone)))
            .collect()
    }
}
