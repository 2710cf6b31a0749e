use std::collections::BTreeSet;

use super::compare::incompatible;
use super::*;

fn value(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap()
}

/// What is stored under the released definitions survives those that are in `crds/` now.
#[test]
fn nothing_is_taken_away_from_what_was_released() {
    let current = current().unwrap();
    let mut breaches = Vec::new();
    for old in released().unwrap() {
        let new = same_as(&old, &current).unwrap();
        breaches.extend(incompatible(&value(&old), &value(new), RELAXED));
    }
    let told: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(
        told.is_empty(),
        "crds/ takes something away from what {RELEASED} stores (docs/upgrade.md):\n{}",
        told.join("\n")
    );
}

/// The real schemas, with something taken away from each: the comparison goes down to their leaves.
#[test]
fn a_field_that_goes_is_found_in_the_real_definitions() {
    let old = released().unwrap();
    for (definition, path, field) in [
        (
            "landingzones.landingzones.dev",
            "/spec/properties/network/properties/egress/items/properties/to/properties",
            "except",
        ),
        (
            "landingzoneplatforms.landingzones.dev",
            "/spec/properties/sharedServices/items/properties/peers/items/properties",
            "nodes",
        ),
    ] {
        let old = old.iter().find(|it| it.name_any() == definition).unwrap();
        let old = value(old);
        let mut new = old.clone();
        let schema = "/spec/versions/0/schema/openAPIV3Schema/properties";
        let fields = new.pointer_mut(&format!("{schema}{path}")).unwrap();
        fields.as_object_mut().unwrap().remove(field).unwrap();
        let found = incompatible(&old, &new, &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].field.ends_with(&format!(".{field}")), "{found:?}");
    }
}

/// What the objects do not use, no test of an upgrade would miss.
#[test]
fn the_released_objects_use_every_field_of_a_spec() {
    let objects = released_objects().unwrap();
    for definition in released().unwrap() {
        let kind = &definition.data["spec"]["names"]["kind"];
        let schema = &stored_schema(&definition).unwrap()["properties"]["spec"];
        let mut missing = fields::of(schema);
        for object in &objects {
            if object
                .types
                .as_ref()
                .is_some_and(|types| *kind == *types.kind)
            {
                let used = fields::used(schema, &object.data["spec"]);
                missing.retain(|path| !used.contains(path));
            }
        }
        assert_eq!(
            missing,
            BTreeSet::new(),
            "{kind}: no object in e2e/released uses these"
        );
    }
}

#[test]
fn a_status_can_be_filled() {
    for definition in released().unwrap() {
        let schema = &stored_schema(&definition).unwrap()["properties"]["status"];
        let status = fields::filled(schema).unwrap();
        assert_eq!(fields::used(schema, &status), fields::of(schema));
    }
}
