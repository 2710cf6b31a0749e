//! The fields of a schema, those that an object uses, and objects that use all of them.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

/// The path of each field below a schema: `.` leads to a field, `[]` to the items of a list, `{}` to the values of a map.
#[must_use]
pub fn of(schema: &Value) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    collect(schema, String::new(), &mut paths);
    paths
}

fn collect(schema: &Value, path: String, paths: &mut BTreeSet<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        collect(field, format!("{path}.{name}"), paths);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            collect(&schema[key], format!("{path}{mark}"), paths);
        }
    }
    paths.insert(path);
}

/// The paths of a schema that a value uses. What the schema does not know is no path of it.
#[must_use]
pub fn used(schema: &Value, value: &Value) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    use_up(schema, value, String::new(), &mut paths);
    paths
}

fn use_up(schema: &Value, value: &Value, path: String, paths: &mut BTreeSet<String>) {
    match value {
        Value::Null => return,
        Value::Array(items) => {
            for item in items {
                use_up(&schema["items"], item, format!("{path}[]"), paths);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let field = &schema["properties"][name];
                let rest = &schema["additionalProperties"];
                if field.is_object() {
                    use_up(field, value, format!("{path}.{name}"), paths);
                } else if rest.is_object() {
                    use_up(rest, value, format!("{path}{{}}"), paths);
                }
            }
        }
        _ => {}
    }
    paths.insert(path);
}

/// A value in which every field of a schema is filled once. It keeps types, enumerations, formats and bounds, but knows no CEL rules:
/// it is for a status, which has none.
///
/// # Errors
/// A type, a format or a pattern that it cannot fill; the message names the field.
pub fn filled(schema: &Value) -> Result<Value> {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return Ok(first.clone());
    }
    Ok(match schema["type"].as_str().unwrap_or_default() {
        "object" => {
            let mut fields = Map::new();
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                let value = filled(field).with_context(|| format!("in the field {name}"))?;
                fields.insert(name.clone(), value);
            }
            if schema["additionalProperties"].is_object() {
                fields.insert("key".into(), filled(&schema["additionalProperties"])?);
            }
            fields.into()
        }
        "array" => json!([filled(&schema["items"])?]),
        "boolean" => json!(true),
        "integer" => {
            let below = schema["minimum"].as_f64().is_some_and(|it| it > 7.0);
            let above = schema["maximum"].as_f64().is_some_and(|it| it < 7.0);
            ensure!(!below && !above, "bounds that leave out 7");
            json!(7)
        }
        "string" if !schema["pattern"].is_null() => bail!("a pattern: {}", schema["pattern"]),
        "string" => match schema["format"].as_str() {
            None => json!("text"),
            Some("date-time") => json!("2026-01-02T03:04:05Z"),
            Some(format) => bail!("the format {format}"),
        },
        other => bail!("the type {other:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "properties": {
            "list": {"type": "array", "items": {"type": "object", "properties": {
                "a": {"type": "string", "enum": ["A", "B"]}, "b": {"type": "boolean"},
            }}},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "when": {"type": "string", "format": "date-time"},
            "count": {"type": "integer", "minimum": 1.0},
        }})
    }

    #[test]
    fn every_field_has_a_path() {
        let expected = [
            "",
            ".count",
            ".list",
            ".list[]",
            ".list[].a",
            ".list[].b",
            ".map",
            ".map{}",
            ".when",
        ];
        assert_eq!(of(&schema()), BTreeSet::from(expected.map(String::from)));
    }

    #[test]
    fn what_an_object_uses_is_told() {
        let object =
            json!({"list": [{"a": "A"}, {"unknown": 1}], "map": {}, "when": null, "other": 1});
        let expected = ["", ".list", ".list[]", ".list[].a", ".map"];
        assert_eq!(
            used(&schema(), &object),
            BTreeSet::from(expected.map(String::from))
        );
    }

    #[test]
    fn what_is_filled_uses_every_field() {
        let value = filled(&schema()).unwrap();
        assert_eq!(used(&schema(), &value), of(&schema()));
        assert_eq!(value["list"][0]["a"], "A");
        let unknown =
            json!({"type": "object", "properties": {"it": {"type": "string", "pattern": "a+"}}});
        let error = format!("{:#}", filled(&unknown).unwrap_err());
        assert!(error.contains("the field it"), "{error}");
    }
}
