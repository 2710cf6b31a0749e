use serde_json::json;

use super::*;
use crate::domain::{CalicoNaming, PolicyApi};

fn key() -> ObjectKey {
    "GlobalNetworkPolicy/landing-zone-shop-deny"
        .parse()
        .unwrap()
}

fn seen(version: &str, owner: Option<&str>) -> Observed {
    let object = json!({"metadata": {
        "uid": "1", "resourceVersion": version, "labels": owner.map(|owner| json!({OWNER: owner})),
    }});
    Observed::of(Kind::GlobalNetworkPolicy, object).unwrap()
}

fn owned(objects: &Objects, owner: &str) -> usize {
    objects.owned_by(owner).count()
}

#[test]
fn an_old_event_does_not_undo_what_was_written_since() {
    let mut objects = Objects::default();
    objects.observe(key(), seen("10", Some("shop"))).unwrap();
    assert_eq!(objects.observe(key(), seen("9", None)).unwrap_err(), Late);
    assert!(objects.forget(&key(), Some("9")).is_none());
    assert_eq!(objects.get(&key()).unwrap().resource_version, "10");
    assert!(objects.forget(&key(), Some("11")).is_some());
    assert_eq!(owned(&objects, "shop"), 0);
}

#[test]
fn the_index_follows_the_label() {
    let mut objects = Objects::default();
    objects.observe(key(), seen("1", Some("shop"))).unwrap();
    objects.observe(key(), seen("2", Some("other"))).unwrap();
    assert_eq!((owned(&objects, "shop"), owned(&objects, "other")), (0, 1));
    objects.observe(key(), seen("3", None)).unwrap();
    assert_eq!(owned(&objects, "other"), 0);
}

#[test]
fn a_list_shows_what_vanished_but_not_what_was_written_meanwhile() {
    let mut objects = Objects::default();
    let kind = Kind::GlobalNetworkPolicy;
    let named = |name: &str| ObjectKey {
        name: name.into(),
        ..key()
    };
    objects.observe(named("gone"), seen("1", None)).unwrap();
    objects.observe(named("listed"), seen("2", None)).unwrap();
    objects.list_begins(kind);
    // The list may be older than what is known: it was seen all the same.
    assert!(objects.observe(named("listed"), seen("1", None)).is_err());
    objects.observe(named("written"), seen("3", None)).unwrap();
    assert_eq!(objects.list_ends(kind), [named("gone")]);
    assert_eq!(objects.count(kind), 2);
}

#[test]
fn what_another_api_holds_does_not_count() {
    let v1 = Flavour {
        api: PolicyApi::CalicoCrdV1,
        tiers: false,
        staged: false,
        naming: CalicoNaming::TierPrefixed,
    };
    let v3 = Flavour {
        api: PolicyApi::CalicoV3,
        ..v1
    };
    let mut objects = Objects::default();
    objects.watch(v3, &[]);
    objects.observe_in(v1, &key(), seen("1", None));
    assert!(objects.get(&key()).is_none());
    objects.observe_in(v3, &key(), seen("1", None));
    assert!(objects.get(&key()).is_some());
    // Other kinds are the same through every flavour.
    let namespace = ObjectKey::namespace("shop-web");
    objects.observe_in(v1, &namespace, seen("2", None));
    assert!(objects.get(&namespace).is_some());
}

#[test]
fn what_a_team_labels_as_ours_takes_no_memory() {
    let policy =
        |name: &str| -> ObjectKey { format!("NetworkPolicy/shop-web/{name}").parse().unwrap() };
    let with = |rule: &str| {
        let object = json!({
            "metadata": {"uid": "1", "resourceVersion": "1", "labels": {OWNER: "shop"}},
            "spec": {"ingress": [rule]},
        });
        Observed::of(Kind::NetworkPolicy, object).unwrap()
    };
    let kept = |rule: &str, declared: bool| {
        let mut observed = with(rule);
        observed.bound(declared);
        observed.object.is_some()
    };
    assert!(kept("a", true));
    assert!(!kept("a", false));
    assert!(!kept(&"a".repeat(LARGEST_KEPT), true));

    let mut objects = Objects::default();
    for name in ["declared", "forged"] {
        objects.observe(policy(name), with("a")).unwrap();
    }
    objects.observe(key(), seen("1", Some("shop"))).unwrap();
    objects.strip("shop", |key| &*key.name == "declared");
    let kept = |key: &ObjectKey| objects.get(key).unwrap().object.is_some();
    assert!(kept(&policy("declared")) && !kept(&policy("forged")));
    // Nobody but the platform writes these.
    assert!(kept(&key()));
}

/// The answer to a write may come before the watch hears of it: whoever had the object must still be told
/// once.
#[test]
fn a_write_of_ours_does_not_hide_whose_an_object_was() {
    let mut objects = Objects::default();
    let namespace = ObjectKey::namespace("shop-web");
    let flavour = Flavour::KUBERNETES;
    objects
        .observe(namespace.clone(), seen("1", Some("shop")))
        .unwrap();
    objects.observe_in(flavour, &namespace, seen("2", Some("other")));
    let before = objects
        .observe(namespace.clone(), seen("2", Some("other")))
        .unwrap();
    assert_eq!(before.unwrap().owner.as_deref(), Some("other"));
    assert_eq!(
        objects.take_former_owner(&namespace).as_deref(),
        Some("shop")
    );
    assert_eq!(objects.take_former_owner(&namespace), None);
    // What stays with its owner, or comes to be, is nobody else's.
    objects.observe_in(flavour, &namespace, seen("3", Some("other")));
    assert_eq!(objects.take_former_owner(&namespace), None);
}
