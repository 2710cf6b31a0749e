use std::sync::Arc;

use serde_json::json;

use super::super::cluster::Cluster;
use super::super::world::{Files, World};
use super::*;
use crate::api::LandingZone;
use crate::controller::Kind;
use crate::controller::cache::Observed;
use crate::domain::{CalicoNaming, Flavour, Platform, PolicyApi};

const FLAVOUR: Flavour = Flavour {
    api: PolicyApi::CalicoCrdV1,
    tiers: true,
    staged: true,
    naming: CalicoNaming::TierPrefixed,
};

fn zone_of(name: &str, network: &Value, status: &Value) -> LandingZone {
    let zone = json!({
        "metadata": {"name": name, "generation": 1, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "applicationCode": name,
            "namespaces": [
                {"name": format!("{name}-web"), "zone": "web", "quota": {"pods": "50"}},
                {"name": format!("{name}-data"), "zone": "data"},
            ],
            "network": network,
        },
        "status": status,
    });
    serde_json::from_value(zone).unwrap()
}

fn world(zones: Vec<LandingZone>) -> World {
    let cluster = Cluster {
        zones: zones
            .into_iter()
            .map(|it| (it.metadata.name.clone().unwrap(), it))
            .collect(),
        unreadable: BTreeSet::new(),
        is_whole: true,
        platform: Arc::new(Platform::default()),
        is_platform_known: true,
        inventory: BTreeSet::new(),
        flavour: FLAVOUR,
        unread: Vec::new(),
    };
    World::of(&cluster)
}

fn rendered(world: &World, name: &str, objects: &Objects) -> Declared {
    world.rendered(name, objects).unwrap().unwrap()
}

fn put(objects: &mut Objects, key: &ObjectKey, object: &Value, version: u32) {
    let mut object = object.clone();
    object["metadata"]["uid"] = json!(key.to_string());
    object["metadata"]["resourceVersion"] = json!(version.to_string());
    let observed = Observed::of(key.kind, object).unwrap();
    objects.observe(key.clone(), observed).unwrap();
}

/// Everything as it must be, as the operator leaves it.
fn as_declared(world: &World, name: &str) -> Objects {
    let mut objects = Objects::default();
    let declared = rendered(world, name, &objects);
    for target in declared.targets() {
        put(&mut objects, &target.key, &target.object.unpack(), 1);
    }
    objects
}

fn quota() -> ObjectKey {
    ObjectKey {
        kind: Kind::ResourceQuota,
        namespace: Some("shop-web".into()),
        name: "landing-zone".into(),
    }
}

fn compared(world: &World, objects: &Objects) -> Vec<ObjectDiff> {
    zone(&rendered(world, "shop", objects), objects, &Unread::new())
}

#[test]
fn what_is_as_declared_does_not_differ() {
    let world = world(vec![zone_of("shop", &json!({}), &json!({}))]);
    let objects = as_declared(&world, "shop");
    assert_eq!(compared(&world, &objects), []);
}

#[test]
fn a_field_is_told_as_it_was_found_and_as_it_is_declared() {
    let world = world(vec![zone_of("shop", &json!({}), &json!({}))]);
    let mut objects = as_declared(&world, "shop");
    let declared = rendered(&world, "shop", &objects);
    let mut changed = declared.targets().get(&quota()).unwrap().object.unpack();
    changed["spec"]["hard"]["pods"] = json!("500");
    changed["metadata"]["managedFields"] = json!([{
        "manager": "kubectl-edit", "operation": "Update", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:hard": {"f:pods": {}}}},
    }]);
    put(&mut objects, &quota(), &changed, 2);
    let expected = ObjectDiff {
        landing_zone: Some("shop".to_owned()),
        key: quota(),
        state: State::Differs,
        fields: vec![Field {
            path: "spec.hard.pods".to_owned(),
            found: Some(json!("500")),
            declared: Some(json!("50")),
            manager: Some("kubectl-edit".to_owned()),
        }],
    };
    assert_eq!(compared(&world, &objects), [expected]);

    // Said in other words it is the same.
    changed["spec"]["hard"]["pods"] = json!("0.05k");
    put(&mut objects, &quota(), &changed, 3);
    assert_eq!(compared(&world, &objects), []);
}

#[test]
fn what_is_missing_is_told_and_what_could_not_be_read_is_not_missing() {
    let world = world(vec![zone_of("shop", &json!({}), &json!({}))]);
    let mut objects = as_declared(&world, "shop");
    objects.forget(&quota(), None);
    let all = compared(&world, &objects);
    assert_eq!(all.len(), 1);
    assert_eq!((&all[0].key, all[0].state), (&quota(), State::Missing));
    let unread = Unread::from([(quota(), "forbidden".to_owned())]);
    let declared = rendered(&world, "shop", &objects);
    assert_eq!(zone(&declared, &objects, &unread), []);
}

#[test]
fn what_left_the_declaration_is_told_where_the_inventory_names_it() {
    let inventory = ["ResourceQuota/shop-data/landing-zone"];
    let with = world(vec![zone_of(
        "shop",
        &json!({}),
        &json!({"inventory": inventory}),
    )]);
    let without = world(vec![zone_of("shop", &json!({}), &json!({}))]);
    let mut objects = as_declared(&with, "shop");
    let key: ObjectKey = inventory[0].parse().unwrap();
    let labels = json!({"landingzones.dev/landing-zone": "shop"});
    put(
        &mut objects,
        &key,
        &json!({"metadata": {"labels": labels}}),
        1,
    );
    let all = compared(&with, &objects);
    assert_eq!(all.len(), 1);
    assert_eq!((&all[0].key, all[0].state), (&key, State::NotDeclared));
    assert_eq!(compared(&without, &objects), []);
}

#[test]
fn a_foreign_namespace_is_left_alone() {
    let world = world(vec![zone_of("shop", &json!({}), &json!({}))]);
    let mut objects = as_declared(&world, "shop");
    let foreign = ObjectKey::namespace("shop-data");
    put(
        &mut objects,
        &foreign,
        &json!({"metadata": {"name": "shop-data"}}),
        2,
    );
    let declared = rendered(&world, "shop", &objects);
    assert!(declared.withheld.contains_key("shop-data"));
    let notes = declared.notes().join("\n");
    assert!(
        notes.contains("leaves Namespace/shop-data alone: the namespace exists"),
        "{notes}"
    );
    let all = zone(&declared, &objects, &Unread::new());
    assert!(
        all.iter()
            .all(|it| it.key.in_namespace() != Some("shop-data")),
        "{all:?}"
    );
}

#[test]
fn files_change_their_landing_zone_and_the_other_end_of_its_crossings() {
    let egress = json!({"egress": [
        {"name": "orders", "from": {"zone": "web"}, "to": {"landingZone": "orders", "zone": "data"},
         "ports": [{"protocol": "TCP", "port": 5432}]},
    ]});
    let ingress = json!({"ingress": [
        {"name": "shop", "from": {"landingZone": "shop", "zone": "web"}, "to": {"zone": "data"},
         "ports": [{"protocol": "TCP", "port": 5432}]},
    ]});
    let before = world(vec![
        zone_of("shop", &egress, &json!({})),
        zone_of("orders", &json!({}), &json!({})),
        zone_of("bills", &json!({}), &json!({})),
    ]);
    let mut file = zone_of("orders", &ingress, &json!({}));
    file.metadata.uid = None;
    let after = before.with(Files {
        zones: vec![file],
        platform: None,
    });
    assert_eq!(after.peers("orders"), ["shop".to_owned()].into());
    let objects = as_declared(&before, "shop");
    assert!(!before.renders_alike(&after, "shop", &objects).unwrap());
    assert!(
        before
            .renders_alike(&after, "bills", &Objects::default())
            .unwrap()
    );
    assert_eq!(compared(&before, &objects), []);
    let all = compared(&after, &objects);
    let [opened] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert_eq!(opened.state, State::Missing);
    assert!(opened.key.name.contains("web-crossings"), "{opened:?}");
}

#[test]
fn an_invalid_declaration_says_why_it_renders_to_nothing() {
    let mut zone = zone_of("shop", &json!({}), &json!({}));
    zone.spec.namespaces[0].zone = "Not A Zone".to_owned();
    let world = world(vec![zone]);
    let why = world.rendered("shop", &Objects::default()).unwrap().err();
    assert!(why.is_some_and(|it| it.contains("spec.namespaces[0].zone")));
}
