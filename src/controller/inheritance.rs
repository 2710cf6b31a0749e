//! What a landing zone that is gone left behind, and who clears it away. Pure.
//!
//! With `deletePolicy: Keep` its objects stay when it is deleted, policies included. Once another
//! landing zone takes over its namespaces (a rename in Git), the old policies would deny what the
//! new ones allow, and old bindings would go on giving access. So whoever takes over a namespace
//! takes these objects into its inventory, and prunes them when nothing needs them any more.

use std::collections::BTreeSet;

use super::cache::{Objects, Observed};
use super::kind::{Kind, ObjectKey};

/// Objects that a landing zone takes into its inventory because it takes over these namespaces from
/// landing zones that are gone.
///
/// Only a label of our own writing counts: with one that somebody else set, a namespace would clear
/// away the policies of another.
#[must_use]
pub fn taken_over<'a>(
    namespaces: impl Iterator<Item = &'a ObjectKey>,
    objects: &Objects,
    exists: impl Fn(&str) -> bool,
) -> BTreeSet<ObjectKey> {
    let former = namespaces
        .filter_map(|key| objects.get(key))
        .filter(|found| found.labelled_by_us)
        .filter_map(|found| found.owner.as_deref())
        .filter(|owner| !exists(owner));
    let former: BTreeSet<_> = former.collect();
    former
        .into_iter()
        .flat_map(|owner| objects.owned_by(owner))
        .filter(|(key, found)| key.kind != Kind::Namespace && found.labelled_by_us)
        .map(|(key, _)| key.clone())
        .collect()
}

/// Whether an inventory entry is something taken over, whose landing zone is still gone.
#[must_use]
pub fn is_left_behind(found: &Observed, exists: impl Fn(&str) -> bool) -> bool {
    found.labelled_by_us && found.owner.as_deref().is_some_and(|owner| !exists(owner))
}

/// What was taken over and nothing needs any more: an object in a namespace once that is `zone`'s,
/// a cluster-wide one once no namespace can be its landing zone's. `had` says whether a landing zone that
/// is there had a namespace, by name and UID.
#[must_use]
pub fn due(
    zone: &str,
    inventory: &BTreeSet<ObjectKey>,
    objects: &Objects,
    exists: impl Fn(&str) -> bool,
    had: impl Fn(&str, &str) -> bool,
) -> BTreeSet<ObjectKey> {
    let is_ours = |namespace: &str| {
        let found = objects.get(&ObjectKey::namespace(namespace));
        found.is_some_and(|found| found.owner.as_deref() == Some(zone))
    };
    let is_due = |key: &&ObjectKey| {
        let Some(found) = objects.get(key) else {
            return false;
        };
        key.kind != Kind::Namespace
            && is_left_behind(found, &exists)
            && match (&key.namespace, &found.owner) {
                (Some(namespace), _) => is_ours(namespace),
                (None, Some(owner)) => !objects.any_namespace_of(owner, &had),
                (None, None) => false,
            }
    };
    inventory.iter().filter(is_due).cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::names::{MANAGER, OWNER};

    const POLICY: &str = "GlobalNetworkPolicy/default.landing-zone-old-boundary";
    const BINDING: &str = "RoleBinding/shop-web/landing-zone-admin";

    fn see(objects: &mut Objects, key: &str, owner: Option<&str>, manager: &str) {
        let key: ObjectKey = key.parse().unwrap();
        let fields = json!({"f:metadata": {"f:labels": {format!("f:{OWNER}"): {}, "f:zone": {}}}});
        let object: Value = json!({"metadata": {
            "name": &*key.name, "uid": "1", "resourceVersion": "1",
            "labels": owner.map(|owner| json!({OWNER: owner})),
            "managedFields": [{"manager": manager, "fieldsV1": fields}],
        }});
        let observed = Observed::of(key.kind, object).unwrap();
        objects.observe(key, observed).unwrap();
    }

    fn left_by_old(web: Option<&str>, manager: &str) -> Objects {
        let mut objects = Objects::default();
        see(&mut objects, "Namespace/shop-web", web, manager);
        see(&mut objects, POLICY, Some("old"), MANAGER);
        see(&mut objects, BINDING, Some("old"), MANAGER);
        objects
    }

    fn keys(all: &[&str]) -> BTreeSet<ObjectKey> {
        all.iter().map(|key| key.parse().unwrap()).collect()
    }

    #[test]
    fn what_a_gone_landing_zone_left_is_taken_over_with_its_namespace() {
        let web = ObjectKey::namespace("shop-web");
        let taken = |objects: &Objects, exists: bool| {
            taken_over(std::iter::once(&web), objects, |_| exists)
        };
        let objects = left_by_old(Some("old"), MANAGER);
        assert_eq!(taken(&objects, false), keys(&[POLICY, BINDING]));
        assert_eq!(taken(&objects, true), keys(&[]));
        let forged = left_by_old(Some("old"), "mallory");
        assert_eq!(taken(&forged, false), keys(&[]));
    }

    #[test]
    fn it_goes_once_no_namespace_needs_it() {
        let inventory = keys(&[POLICY, BINDING]);
        let due_beside = |objects: &Objects, exists: bool, had: &str| {
            let had = |name: &str, uid: &str| (name, uid) == (had, "1");
            due("new", &inventory, objects, |_| exists, had)
        };
        let due = |objects: &Objects, exists: bool| due_beside(objects, exists, "");
        let mut objects = left_by_old(Some("new"), MANAGER);
        assert_eq!(due(&objects, false), inventory);
        // It came back.
        assert_eq!(due(&objects, true), keys(&[]));
        // Another namespace is still its own, or may be, without its label.
        see(&mut objects, "Namespace/shop-data", Some("old"), MANAGER);
        assert_eq!(due(&objects, false), keys(&[BINDING]));
        let mut objects = left_by_old(Some("new"), MANAGER);
        see(&mut objects, "Namespace/shop-data", None, MANAGER);
        assert_eq!(due(&objects, false), keys(&[BINDING]));
        // It was another one's, and lost that label.
        assert_eq!(due_beside(&objects, false, "shop-data"), inventory);
        assert_eq!(due_beside(&objects, false, "shop-other"), keys(&[BINDING]));
    }
}
