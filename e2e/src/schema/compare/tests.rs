use serde_json::json;

use super::*;

/// A definition with one version, whose spec has this schema.
fn definition(spec: &Value) -> Value {
    json!({
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Cluster",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": spec},
            }}}],
        },
    })
}

/// The breaches between two schemas of one field `spec.it`, without the name of the definition.
fn between(old: &Value, new: &Value) -> Vec<String> {
    let spec = |it: &Value| definition(&json!({"type": "object", "properties": {"it": it}}));
    told(&spec(old), &spec(new))
}

fn told(old: &Value, new: &Value) -> Vec<String> {
    let found = incompatible(old, new, &[]);
    for breach in &found {
        assert!(breach.to_string().contains(breach.way_out), "{breach}");
    }
    let told = found
        .iter()
        .map(|it| format!("{}: {}", it.field, it.change));
    told.map(|it| it.replace("things.example.com v1 ", ""))
        .collect()
}

#[test]
fn the_same_is_compatible() {
    let it = json!({
        "type": "array", "maxItems": 3, "x-kubernetes-list-type": "set", "items": {
            "type": "string", "enum": ["A"], "pattern": "A", "maxLength": 3,
            "x-kubernetes-validations": [{"rule": "self != ''", "message": "no"}],
        },
    });
    assert_eq!(between(&it, &it), Vec::<String>::new());
}

#[test]
fn what_takes_more_is_compatible() {
    let old = json!({
        "type": "object", "required": ["name"], "maxProperties": 3, "properties": {
            "name": {"type": "string", "enum": ["A"], "maxLength": 3, "minLength": 1, "pattern": "A",
                "x-kubernetes-validations": [{"rule": "self != ''"}]},
            "count": {"type": "integer", "minimum": 1.0, "maximum": 2.0},
        },
    });
    let new = json!({
        "type": "object", "required": ["kind"], "maxProperties": 4, "properties": {
            "name": {"type": "string", "enum": ["A", "B"], "maxLength": 4, "minLength": 0, "nullable": true},
            "count": {"type": "integer", "minimum": 0.0},
            "more": {"type": "string", "maxLength": 1, "x-kubernetes-validations": [{"rule": "self != 'x'"}]},
            "kind": {"type": "string", "default": "A"},
        },
    });
    assert_eq!(between(&old, &new), Vec::<String>::new());
}

#[test]
fn what_takes_less_is_found() {
    let text = json!({"type": "string"});
    for (old, new, breach) in [
        (
            json!({"type": "integer"}),
            text.clone(),
            "spec.it: the type was \"integer\" and is \"string\"",
        ),
        (
            text.clone(),
            json!({"type": "string", "enum": ["A"]}),
            "spec.it: only [\"A\"] is allowed",
        ),
        (
            json!({"type": "string", "enum": ["A", "B"]}),
            json!({"type": "string", "enum": ["A", "C"]}),
            "spec.it: \"B\" is no longer allowed",
        ),
        (
            text.clone(),
            json!({"type": "string", "pattern": "^a"}),
            "spec.it: pattern was null and is \"^a\"",
        ),
        (
            text.clone(),
            json!({"type": "string", "format": "date"}),
            "spec.it: format was null and is \"date\"",
        ),
        (
            text.clone(),
            json!({"type": "string", "maxLength": 5}),
            "spec.it: maxLength was without bound and is 5",
        ),
        (
            json!({"type": "integer", "maximum": 10.0}),
            json!({"type": "integer", "maximum": 9.0}),
            "spec.it: maximum was 10 and is 9",
        ),
        (
            json!({"type": "integer", "minimum": 1}),
            json!({"type": "integer", "minimum": 2}),
            "spec.it: minimum was 1 and is 2",
        ),
        (
            json!({"type": "integer"}),
            json!({"type": "integer", "minimum": 0}),
            "spec.it: minimum was without bound and is 0",
        ),
        (
            json!({"type": "string", "nullable": true}),
            text.clone(),
            "spec.it: nullable is gone",
        ),
        (
            text.clone(),
            json!({"type": "string", "default": "A"}),
            "spec.it: the default was null and is \"A\"",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            json!({"type": "array", "items": {"type": "string", "minLength": 1}}),
            "spec.it[]: minLength was without bound and is 1",
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "atomic"}),
            json!({"type": "array", "x-kubernetes-list-type": "set"}),
            "spec.it: x-kubernetes-list-type was \"atomic\" and is \"set\"",
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "additionalProperties": {"type": "integer"}}),
            "spec.it{}: the type was \"string\" and is \"integer\"",
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "object"}),
            "spec.it{}: is gone",
        ),
        (
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
            json!({"type": "object"}),
            "spec.it: x-kubernetes-preserve-unknown-fields is gone",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}}),
            json!({"type": "object", "properties": {"b": {"type": "string"}}}),
            "spec.it.a: the field is gone: what is stored in it is lost",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}}),
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}),
            "spec.it.a: the field is required now",
        ),
        (
            json!({"type": "object"}),
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}),
            "spec.it.a: the field is required now",
        ),
    ] {
        assert_eq!(between(&old, &new), [breach]);
    }
}

#[test]
fn a_new_rule_has_to_let_stay_what_is_stored() {
    let old = json!({"type": "string", "x-kubernetes-validations": [{"rule": "self != 'a'", "message": "one"}]});
    let with = |rule: Value| json!({"type": "string", "x-kubernetes-validations": [rule]});

    let other_words = with(json!({"rule": "self != 'a'", "message": "two"}));
    assert_eq!(between(&old, &other_words), Vec::<String>::new());
    let gone = json!({"type": "string"});
    assert_eq!(between(&old, &gone), Vec::<String>::new());

    let stricter = with(json!({"rule": "self != 'b'"}));
    let expected = ["spec.it: the rule \"self != 'b'\" is new"];
    assert_eq!(between(&old, &stricter), expected);
    // To be optional does nothing where the rule does not ask.
    let does_not_ask = with(json!({"rule": "self != 'b'", "optionalOldSelf": true}));
    assert_eq!(between(&old, &does_not_ask), expected);
    let lets_stay = with(json!({
        "rule": "oldSelf.hasValue() && oldSelf.value() == self || self != 'b'", "optionalOldSelf": true,
    }));
    assert_eq!(between(&old, &lets_stay), Vec::<String>::new());

    let spec = |it: &Value| definition(&json!({"type": "object", "properties": {"it": it}}));
    let (old, stricter) = (spec(&old), spec(&stricter));
    let relaxed = [("spec.it", "self != 'b'")];
    assert_eq!(incompatible(&old, &stricter, &relaxed), []);
    let elsewhere = [("spec.other", "self != 'b'")];
    assert_eq!(incompatible(&old, &stricter, &elsewhere).len(), 1);
}

#[test]
fn versions_and_names_stay() {
    let old = definition(&json!({"type": "object"}));
    let mut new = old.clone();
    new["spec"]["versions"][0]["storage"] = json!(false);
    new["spec"]["versions"][0]["served"] = json!(false);
    new["spec"]["names"]["kind"] = json!("Stuff");
    assert_eq!(
        told(&old, &new),
        [
            "things.example.com: the kind was \"Thing\" and is \"Stuff\"",
            "things.example.com: the version v1 is no longer served",
            "things.example.com: the version v1 is no longer stored",
        ]
    );
    new = old.clone();
    new["spec"]["versions"][0]["name"] = json!("v2");
    assert_eq!(
        told(&old, &new),
        ["things.example.com: the version v1 is gone"]
    );
}
