use kube::CustomResourceExt;
use serde_json::Value;

use super::LandingZone;

/// The schema of `spec` as the API server gets it.
fn spec() -> Value {
    let crd = serde_json::to_value(LandingZone::crd()).unwrap();
    let schema = crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
    schema.cloned().expect("the schema has a spec")
}

/// Calls `check` with every schema below `schema`, and its path.
fn each(schema: &Value, path: &str, check: &mut impl FnMut(&str, &Value)) {
    check(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        each(property, &format!("{path}.{name}"), check);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            each(&schema[inner], &format!("{path}.{inner}"), check);
        }
    }
}

/// kubectl warns of a format that it does not know.
#[test]
fn formats_are_those_that_kubernetes_knows() {
    each(&spec(), "spec", &mut |path, schema| {
        let format = schema["format"].as_str().unwrap_or("int32");
        assert!(
            ["date-time", "int32", "int64"].contains(&format),
            "{path} has the format {format}"
        );
    });
}

#[test]
fn everything_is_bounded_so_that_rules_can_be_priced() {
    each(&spec(), "spec", &mut |path, schema| {
        let bound = match schema["type"].as_str() {
            Some("array") => "maxItems",
            Some("object") if schema["additionalProperties"].is_object() => "maxProperties",
            Some("string") if schema["enum"].is_null() => "maxLength",
            Some(_) => return,
            None => panic!("{path} has no type"),
        };
        assert!(schema[bound].is_number(), "{path} has no {bound}");
    });
}

#[test]
fn nothing_has_a_default_that_git_does_not_know() {
    each(&spec(), "spec", &mut |path, schema| {
        assert!(schema["default"].is_null(), "{path} has a default");
    });
}

#[test]
fn every_field_is_described() {
    each(&spec(), "spec", &mut |path, schema| {
        if !path.ends_with("items") && !path.ends_with("additionalProperties") {
            let description = schema["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{path} has no description");
        }
    });
}
