//! Namespaces that left the declaration: they keep their labels and policies and are no longer
//! repaired. Losing the ownership label takes none of them out of the boundary.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::cache::{Objects, Observed};
use super::context::Context;
use super::kind::{Kind, ObjectKey};
use super::packed::Packed;
use super::reconcile::Observation;
use super::status::inventory;
use crate::api::names::{CALICO_NAMESPACE_NAME, ZONE};
use crate::api::{LandingZone, LandingZoneStatus, ReleasedNamespace};
use crate::build::Released;
use crate::domain;
use crate::policy::{LabelMap, Selector};

/// The released namespaces of a landing zone, by name.
///
/// A namespace is released when it is no longer declared and was the landing zone's: it bears the
/// ownership label, and the status knows it, or, where that is lost, a policy of ours selects it; or the
/// status knows it by its UID, and we gave it to no other landing zone. A label that somebody else set
/// neither releases a namespace, which would put a foreign one behind this landing zone's boundary, nor
/// takes one out; and whoever may set it may also call himself as we do, so who seems to have set it does not count.
pub(super) fn released(
    observation: &Observation,
    context: &Context,
    zone: &domain::LandingZone,
) -> Vec<Released> {
    let objects = context.cache.read();
    let rendered = context.rendered(&observation.name);
    let of = Former {
        status: observation.status.as_ref(),
        inventory: &observation.inventory,
        before: rendered.as_ref().map_or(&[], |it| &it.source.released),
        objects: &objects,
        known: &|name| context.zone(name),
    };
    of.released(zone)
}

/// What is known of the namespaces that a landing zone had.
pub(crate) struct Former<'a> {
    /// What its status says.
    pub status: Option<&'a LandingZoneStatus>,
    /// What its status says is its own.
    pub inventory: &'a BTreeSet<ObjectKey>,
    /// Those that were released when it was rendered last.
    pub before: &'a [Released],
    /// What is there.
    pub objects: &'a Objects,
    /// The other landing zones, by name.
    pub known: &'a dyn Fn(&str) -> Option<LandingZone>,
}

impl Former<'_> {
    /// The namespaces that are released, by name.
    pub(crate) fn released(&self, zone: &domain::LandingZone) -> Vec<Released> {
        let Self {
            status,
            inventory,
            objects,
            ..
        } = *self;
        let owner = zone.name.as_str();
        let recorded = recorded(status);
        let is_declared =
            |name: &str| (zone.namespaces.iter()).any(|declared| declared.name.as_str() == name);
        let labelled = objects
            .owned_by(owner)
            .filter(|(key, _)| key.kind == Kind::Namespace)
            .map(|(key, _)| &*key.name);
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
                    let ours = inventory.contains(&key) || self.was_in_force(owner, name);
                    let label = || label(found, ZONE).filter(|_| ours);
                    known.map(|known| known.zone).or_else(label)
                } else {
                    known
                        .filter(|_| is_same && !self.is_given_away(&key, found))
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

impl Former<'_> {
    /// Whether a namespace was behind the boundary, though the status does not know it: one was lost, or the landing zone
    /// is declared anew. Policies say so that lie in no namespace: who may label a namespace cannot write them.
    fn was_in_force(&self, owner: &str, namespace: &str) -> bool {
        if self.before.iter().any(|it| it.name.as_str() == namespace) {
            return true;
        }
        let labels = LabelMap::from([(CALICO_NAMESPACE_NAME.to_owned(), namespace.to_owned())]);
        let selects = |policy: &Value| {
            let selector = policy.pointer("/spec/namespaceSelector");
            let selector = selector.and_then(|it| it.as_str()?.parse::<Selector>().ok());
            selector.is_some_and(|it| it.matches(&labels))
        };
        let mut policies = self.objects.owned_by(owner).filter(|(key, found)| {
            key.kind.is_calico_policy() && key.namespace.is_none() && found.labelled_by_us
        });
        policies.any(|(_, policy)| {
            let policy = policy.object.as_ref().map(Packed::unpack);
            policy.is_some_and(|it| selects(&it))
        })
    }

    /// Whether we gave a namespace to the landing zone that its label names: that one declares it, or had it at last.
    fn is_given_away(&self, key: &ObjectKey, found: &Observed) -> bool {
        let heir = found.owner.as_deref().and_then(|owner| (self.known)(owner));
        heir.is_some_and(|heir| {
            let mut declared = heir.spec.namespaces.iter();
            found.labelled_by_us
                && (declared.any(|it| *it.name == *key.name)
                    || inventory(heir.status.as_ref()).contains(key))
        })
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
    found.labels.get(label).map(String::as_str)
}

/// The labels and annotations that the declaration put on each namespace that the status knows, declared or released.
pub(crate) fn recorded_keys(
    status: Option<&LandingZoneStatus>,
) -> BTreeMap<String, BTreeSet<String>> {
    let declared = status.iter().flat_map(|status| &status.namespaces);
    let declared = declared.map(|it| (&it.name, &it.keys));
    let released = status.iter().flat_map(|status| &status.released);
    let released = released.map(|it| (&it.name, &it.keys));
    declared
        .chain(released)
        .map(|(name, keys)| (name.clone(), keys.iter().cloned().collect()))
        .collect()
}

/// The released namespaces as the status tells them, after what it told before.
pub(super) fn in_status(
    released: &[Released],
    before: Option<&LandingZoneStatus>,
    context: &Context,
) -> Vec<ReleasedNamespace> {
    let objects = context.cache.read();
    let mut keys = recorded_keys(before);
    let mut tell = |released: &Released| ReleasedNamespace {
        keys: keys
            .remove(released.name.as_str())
            .into_iter()
            .flatten()
            .collect(),
        name: released.name.to_string(),
        zone: released.zone.to_string(),
        uid: objects
            .get(&ObjectKey::namespace(released.name.as_str()))
            .map(|found| found.uid.clone()),
    };
    released.iter().map(&mut tell).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::names::{MANAGER, OWNER};
    use crate::build::fixture::{landing_zone, namespace};

    const BOUNDARY: &str = "GlobalNetworkPolicy/default.landing-zone-shop-boundary";

    fn see(objects: &mut Objects, key: &str, owner: &str, manager: &str, selector: &str) {
        let key: ObjectKey = key.parse().unwrap();
        let fields = json!({"f:metadata": {"f:labels": {format!("f:{OWNER}"): {}}}});
        let object = json!({
            "metadata": {
                "name": &*key.name, "uid": format!("uid of {}", key.name), "resourceVersion": "1",
                "labels": {OWNER: owner, "zone": "web"},
                "managedFields": [{"manager": manager, "fieldsV1": fields}],
            },
            "spec": {"namespaceSelector": selector},
        });
        let observed = Observed::of(key.kind, object).unwrap();
        objects.observe(key, observed).unwrap();
    }

    fn there(namespace: &str, owner: &str) -> Objects {
        let mut objects = Objects::default();
        see(&mut objects, namespace, owner, MANAGER, "");
        objects
    }

    /// The names of those that shop released, which declares shop-web.
    fn released(objects: &Objects, status: Option<&LandingZoneStatus>) -> Vec<String> {
        let orders = || {
            serde_json::from_value(json!({
                "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
                "metadata": {"name": "orders"},
                "spec": {"applicationCode": "orders", "namespaces": [{"name": "shop-sold", "zone": "web"}]},
                "status": {"inventory": ["Namespace/shop-handed-on"]},
            }))
            .unwrap()
        };
        let of = Former {
            status,
            inventory: &inventory(status),
            before: &[],
            objects,
            known: &|name| (name == "orders").then(orders),
        };
        let mut zone = landing_zone("shop");
        zone.namespaces = vec![namespace("shop-web", "web")];
        let found = of.released(&zone).into_iter();
        found.map(|it| it.name.to_string()).collect()
    }

    fn with_status(inventory: &[&str], namespace: Option<&str>) -> LandingZoneStatus {
        let namespaces = namespace.map(|name| {
            json!({"name": name, "zone": "web", "state": "Ready", "uid": format!("uid of {name}")})
        });
        let namespaces: Vec<_> = namespaces.into_iter().collect();
        serde_json::from_value(json!({"inventory": inventory, "namespaces": namespaces})).unwrap()
    }

    #[test]
    fn a_label_alone_releases_nothing_whoever_seems_to_have_set_it() {
        let objects = there("Namespace/poser", "shop");
        assert_eq!(released(&objects, None), Vec::<String>::new());
        let status = with_status(&["Namespace/shop-web"], None);
        assert_eq!(released(&objects, Some(&status)), Vec::<String>::new());
        let known = with_status(&["Namespace/poser"], None);
        assert_eq!(released(&objects, Some(&known)), ["poser"]);
    }

    #[test]
    fn where_the_status_is_lost_the_policies_know() {
        let selects = "projectcalico.org/name in {'shop-web','shop-old'}";
        let mut objects = there("Namespace/shop-old", "shop");
        see(&mut objects, "Namespace/poser", "shop", MANAGER, "");
        see(&mut objects, BOUNDARY, "shop", MANAGER, selects);
        assert_eq!(released(&objects, None), ["shop-old"]);
        // Somebody else wrote it, or it is another one's.
        for (owner, manager) in [("shop", "mallory"), ("orders", MANAGER)] {
            see(&mut objects, BOUNDARY, owner, manager, selects);
            assert_eq!(released(&objects, None), Vec::<String>::new());
        }
    }

    #[test]
    fn only_another_landing_zone_takes_one_out() {
        let stays = |name: &str, owner: &str| {
            let objects = there(&format!("Namespace/{name}"), owner);
            let status = with_status(&[], Some(name));
            released(&objects, Some(&status)) == [name]
        };
        assert!(stays("shop-old", "shop"));
        assert!(stays("shop-old", "nobody"));
        assert!(stays("shop-old", "orders"));
        // It declares one, and had the other.
        assert!(!stays("shop-sold", "orders"));
        assert!(!stays("shop-handed-on", "orders"));
    }
}
