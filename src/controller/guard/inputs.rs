//! What a judgement depends on besides the object: as long as it is the same, so is what was found.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ObjectMeta;

use super::{InForce, State};
use crate::cluster::ClusterFacts;
use crate::controller::cache::Objects;
use crate::controller::kind::Kind;
use crate::controller::packed::Packed;
use crate::domain::{Flavour, Platform};
use crate::policy::{LabelMap, NetworkSet, Tier};
use crate::review::{Body, Landscape, Object};

/// What a judgement depends on besides the object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Inputs {
    pub flavour: Flavour,
    platform: Shared<Platform>,
    zones: BTreeMap<String, Shared<InForce>>,
    namespaces: BTreeMap<Arc<str>, Arc<LabelMap>>,
    tiers: Option<Vec<Tier>>,
    sets: Vec<Packed>,
}

/// What is equal without a look if both are the same one: nearly all landing zones are, from one look to the next.
#[derive(Clone, Debug, Default)]
struct Shared<T>(Arc<T>);

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Inputs {
    pub fn new(
        facts: &ClusterFacts,
        platform: Arc<Platform>,
        objects: &Objects,
        state: &State,
    ) -> Self {
        let flavour = facts.flavour();
        let namespaces = objects.of_kind(Kind::Namespace);
        let namespaces = namespaces.map(|(key, found)| (key.name.clone(), found.labels.clone()));
        let tiers = flavour.tiers.then(|| {
            let tiers = objects.of_kind(Kind::Tier);
            tiers
                .filter_map(|(_, found)| {
                    serde_json::from_value(found.object.as_ref()?.unpack()).ok()
                })
                .collect()
        });
        let sets = state.written.iter();
        let sets = sets.filter(|((source, ..), _)| source.is_set());
        Self {
            flavour,
            platform: Shared(platform),
            zones: state
                .in_force
                .iter()
                .map(|(name, it)| (name.clone(), Shared(it.clone())))
                .collect(),
            namespaces: namespaces.collect(),
            tiers,
            sets: sets.map(|(_, set)| set.object.clone()).collect(),
        }
    }

    #[cfg(test)]
    pub fn of_zones(flavour: Flavour, zones: Vec<InForce>, state: &State) -> Self {
        let sets = state.written.iter();
        let sets = sets.filter(|((source, ..), _)| source.is_set());
        Self {
            flavour,
            platform: Shared::default(),
            zones: zones
                .into_iter()
                .map(|it| (it.zone.name.to_string(), Shared(Arc::new(it))))
                .collect(),
            namespaces: BTreeMap::new(),
            tiers: None,
            sets: sets.map(|(_, set)| set.object.clone()).collect(),
        }
    }

    /// The landscape that they make.
    pub fn landscape(&self) -> Landscape {
        let zones: Vec<_> = self
            .zones
            .values()
            .map(|it| (it.zone.as_ref(), &it.crossings))
            .collect();
        let namespaces: Vec<_> = self
            .namespaces
            .iter()
            .map(|(name, labels)| Namespace {
                metadata: ObjectMeta {
                    name: Some(name.to_string()),
                    labels: Some(LabelMap::clone(labels)),
                    ..ObjectMeta::default()
                },
                ..Namespace::default()
            })
            .collect();
        let platform = Platform::clone(&self.platform);
        let sets: Vec<_> = self.sets.iter().filter_map(set).collect();
        let kept = self.namespaces.iter().map(|(name, it)| (&**name, it));
        let mut landscape = Landscape::new(&zones, &namespaces, platform)
            .sharing(kept)
            .with_sets(&sets);
        landscape.tiers.clone_from(&self.tiers);
        landscape
    }

    /// The landing zones in force.
    pub fn zones(&self) -> impl Iterator<Item = (&String, &InForce)> {
        self.zones.iter().map(|(name, it)| (name, &**it))
    }

    /// The labels of a namespace.
    pub fn labels(&self, namespace: &str) -> Option<&LabelMap> {
        self.namespaces.get(namespace).map(Arc::as_ref)
    }

    /// Whether both judge every policy in the same way, as far as their landscapes do.
    pub fn judge_like(&self, other: &Self) -> bool {
        let Self {
            flavour,
            zones,
            // All of these are in the landscape.
            platform: _,
            namespaces: _,
            tiers: _,
            sets: _,
        } = self;
        *flavour == other.flavour && *zones == other.zones
    }
}

fn set(object: &Packed) -> Option<NetworkSet> {
    match Object::read(&object.unpack())?.ok()?.body {
        Body::NetworkSet(set) => Some(*set),
        _ => None,
    }
}
