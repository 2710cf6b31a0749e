//! The shape of a declaration, checked against the schema that the API server enforces, with a
//! place for each mistake, and all of them at once.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::CustomResourceExt;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::document::{Content, Entry, Flaw, Node, Position};
use super::spelling;
use crate::domain::FieldPath;

/// What is wrong with a document's shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShapeReport {
    /// Fields that the kind does not have.
    pub unknown: Vec<Flaw>,
    /// Wrong types, missing fields and words that a field does not know: the document cannot be
    /// read as its kind.
    pub broken: Vec<Flaw>,
    /// Too long, too many, too large. The rules of the domain say most of it better.
    pub bounds: Vec<Flaw>,
}

/// The schema of one of our kinds, the metadata included.
#[derive(Clone, Debug)]
pub struct KindSchema(JSONSchemaProps);

/// The schema of a kind could not be made from its types.
#[derive(Debug, thiserror::Error)]
#[error("failed to derive the schema of a kind")]
pub struct SchemaError(#[from] serde_json::Error);

impl KindSchema {
    /// The schema of a kind, from its types.
    pub fn of<K: CustomResourceExt>() -> Result<Self, SchemaError> {
        let crd = K::crd();
        let mut root = crd
            .spec
            .versions
            .into_iter()
            .find_map(|version| version.schema?.open_api_v3_schema)
            .unwrap_or_default();
        let text = || JSONSchemaProps {
            type_: Some("string".to_owned()),
            ..JSONSchemaProps::default()
        };
        let properties = root.properties.get_or_insert_default();
        properties.insert("apiVersion".to_owned(), text());
        properties.insert("kind".to_owned(), text());
        properties.insert("metadata".to_owned(), metadata_schema()?);
        // Whatever stands there is not read: files that were exported from a cluster hold a status.
        properties.insert(
            "status".to_owned(),
            JSONSchemaProps {
                x_kubernetes_preserve_unknown_fields: Some(true),
                ..JSONSchemaProps::default()
            },
        );
        let required = root.required.get_or_insert_default();
        for field in ["metadata", "spec"] {
            if !required.iter().any(|known| known == field) {
                required.push(field.to_owned());
            }
        }
        Ok(Self(root))
    }

    /// Everything that is wrong with the shape of a document.
    #[must_use]
    pub fn check(&self, root: &Node) -> ShapeReport {
        let mut checker = Checker::default();
        checker.check(root, root.at, &FieldPath::default(), &self.0);
        checker.report
    }
}

/// The CRD says of metadata only that it is an object; the API server knows the rest.
fn metadata_schema() -> Result<JSONSchemaProps, serde_json::Error> {
    let generated = SchemaSettings::openapi3()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<ObjectMeta>();
    let mut generated = generated.to_value();
    if let Some(root) = generated.as_object_mut() {
        root.remove("$schema");
    }
    let mut schema: JSONSchemaProps = serde_json::from_value(generated)?;
    // Exporters write `creationTimestamp: null`, and the API server drops it.
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|all| all.values_mut())
    {
        property.nullable = Some(true);
    }
    if let Some(name) = schema
        .properties
        .as_mut()
        .and_then(|all| all.get_mut("name"))
    {
        name.nullable = None;
    }
    schema.required = Some(vec!["name".to_owned()]);
    Ok(schema)
}

#[derive(Default)]
struct Checker {
    report: ShapeReport,
}

impl Checker {
    fn check(&mut self, node: &Node, at: Position, path: &FieldPath, schema: &JSONSchemaProps) {
        if node.is_null() && schema.nullable == Some(true) {
            return;
        }
        match &node.content {
            Content::Scalar { value, written } => {
                if let Some(rule) = wrong_scalar(value, written, schema) {
                    let shown = shown(value, written);
                    self.report
                        .broken
                        .push(Flaw::new(at, path.clone(), shown, rule));
                } else {
                    self.check_scalar_bounds(value, written, at, path, schema);
                }
            }
            Content::List(items) if expects(schema, "array") => {
                self.check_count(items.len(), schema.min_items, schema.max_items, at, path);
                if let Some(JSONSchemaPropsOrArray::Schema(item_schema)) = &schema.items {
                    for (index, item) in items.iter().enumerate() {
                        self.check(item, item.at, &path.index(index), item_schema);
                    }
                }
            }
            Content::Map(entries) if expects(schema, "object") => {
                self.check_count(
                    entries.len(),
                    schema.min_properties,
                    schema.max_properties,
                    at,
                    path,
                );
                self.check_entries(entries, at, path, schema);
            }
            Content::List(_) | Content::Map(_) => {
                let rule = format!("must be {}, not {}", wanted(schema), kind_of(node));
                self.report
                    .broken
                    .push(Flaw::new(at, path.clone(), "", rule));
            }
        }
    }

    fn check_entries(
        &mut self,
        entries: &[Entry],
        at: Position,
        path: &FieldPath,
        schema: &JSONSchemaProps,
    ) {
        for entry in entries {
            let below = path.key(&entry.key);
            let property = schema
                .properties
                .as_ref()
                .and_then(|properties| properties.get(&entry.key));
            match (property, &schema.additional_properties) {
                (Some(property), _) => self.check(&entry.value, entry.pointer(), &below, property),
                (None, Some(JSONSchemaPropsOrBool::Schema(values))) => {
                    self.check(&entry.value, entry.pointer(), &below, values);
                }
                (None, Some(JSONSchemaPropsOrBool::Bool(true))) => {}
                (None, _) if schema.x_kubernetes_preserve_unknown_fields == Some(true) => {}
                // An object that declares no fields says nothing about them.
                (None, None) if schema.properties.is_none() => {}
                (None, _) => {
                    let known = schema.properties.iter().flat_map(|all| all.keys());
                    let rule = spelling::unknown("field", &entry.key, known.map(String::as_str));
                    self.report
                        .unknown
                        .push(Flaw::new(entry.key_at, below, "", rule));
                }
            }
        }
        for field in schema.required.iter().flatten() {
            if entries.iter().all(|entry| entry.key != *field) {
                let missing = path.key(field);
                self.report.broken.push(Flaw::new(
                    at,
                    missing,
                    "",
                    "this field is required and missing",
                ));
            }
        }
    }

    fn check_count(
        &mut self,
        count: usize,
        least: Option<i64>,
        most: Option<i64>,
        at: Position,
        path: &FieldPath,
    ) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rule = match (least, most) {
            (Some(least), _) if count < least => format!("must have at least {least}, has {count}"),
            (_, Some(most)) if count > most => format!("must have at most {most}, has {count}"),
            _ => return,
        };
        self.report
            .bounds
            .push(Flaw::new(at, path.clone(), "", rule));
    }

    fn check_scalar_bounds(
        &mut self,
        value: &Value,
        written: &str,
        at: Position,
        path: &FieldPath,
        schema: &JSONSchemaProps,
    ) {
        let rule = if let Some(text) = value.as_str() {
            let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            match (schema.min_length, schema.max_length) {
                (Some(1), _) if length < 1 => "must not be empty".to_owned(),
                (Some(least), _) if length < least => {
                    format!("must have at least {least} characters, has {length}")
                }
                (_, Some(most)) if length > most => {
                    format!("must have at most {most} characters, has {length}")
                }
                _ => return,
            }
        } else if let Some(number) = value.as_f64() {
            match (schema.minimum, schema.maximum) {
                (Some(least), _) if number < least => format!("must be at least {least}"),
                (_, Some(most)) if number > most => format!("must be at most {most}"),
                _ => return,
            }
        } else {
            return;
        };
        self.report
            .bounds
            .push(Flaw::new(at, path.clone(), shown(value, written), rule));
    }
}

/// The rule that a scalar breaks by its type or its word.
fn wrong_scalar(value: &Value, written: &str, schema: &JSONSchemaProps) -> Option<String> {
    let fits = if schema.x_kubernetes_int_or_string == Some(true) {
        value.is_string() || is_integer(value)
    } else {
        match schema.type_.as_deref() {
            None => !value.is_null() || schema.x_kubernetes_preserve_unknown_fields == Some(true),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => is_integer(value),
            Some("number") => value.is_number(),
            Some(_) => false,
        }
    };
    if !fits {
        if value.is_null() {
            let wanted = wanted(schema);
            return Some(format!(
                "must be {wanted}, and is empty: leave the field out or fill it in"
            ));
        }
        if let Some(words) = &schema.enum_
            && let Value::Bool(read) = value
        {
            let words: Vec<&str> = words.iter().filter_map(|word| word.0.as_str()).collect();
            // YAML 1.1 reads these words as booleans: whoever wrote one of them may have passed such a reader.
            let of_boolean: &[&str] = if *read {
                &["On", "Yes"]
            } else {
                &["Off", "No"]
            };
            if let Some(word) = words.iter().find(|it| of_boolean.contains(it)) {
                return Some(format!(
                    "must be one of {}, and not the boolean {written}: if {word} is meant, put it in quotes, \"{word}\"",
                    words.join(", ")
                ));
            }
        }
        if schema.type_.as_deref() == Some("string") || expects_quantity(schema) {
            return Some(format!(
                "must be {}: put it in quotes, \"{written}\"",
                wanted(schema)
            ));
        }
        if is_quoted_number(value, schema) {
            return Some(format!("must be {}: leave out the quotes", wanted(schema)));
        }
        let kind = match value {
            Value::String(_) => "text",
            Value::Bool(_) => "a boolean",
            _ => "a number",
        };
        return Some(format!("must be {}, not {kind}", wanted(schema)));
    }
    let words = schema.enum_.as_ref()?;
    if words.iter().any(|word| word.0 == *value) {
        return None;
    }
    let words: Vec<&str> = words.iter().filter_map(|word| word.0.as_str()).collect();
    Some(spelling::not_one_of(written, &words))
}

fn is_integer(value: &Value) -> bool {
    // 8.0 is a whole number in JSON Schema, and the API server reads it as one.
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// Whether a number stands in quotes where a number is wanted.
fn is_quoted_number(value: &Value, schema: &JSONSchemaProps) -> bool {
    schema.type_.as_deref() == Some("integer")
        && value
            .as_str()
            .is_some_and(|text| text.parse::<i64>().is_ok())
}

fn expects_quantity(schema: &JSONSchemaProps) -> bool {
    schema.x_kubernetes_int_or_string == Some(true)
}

/// Whether a schema takes lists or maps. One without type takes whatever its parts describe.
fn expects(schema: &JSONSchemaProps, kind: &str) -> bool {
    match schema.type_.as_deref() {
        Some(expected) => expected == kind,
        None => schema.x_kubernetes_int_or_string != Some(true),
    }
}

fn wanted(schema: &JSONSchemaProps) -> &'static str {
    if expects_quantity(schema) {
        return "a whole number or text";
    }
    match schema.type_.as_deref() {
        Some("string") => "text",
        Some("boolean") => "true or false",
        Some("integer") => "a whole number",
        Some("number") => "a number",
        Some("array") => "a list",
        Some("object") => "a map",
        _ => "a value",
    }
}

fn kind_of(node: &Node) -> &'static str {
    match node.content {
        Content::Scalar { .. } => "a single value",
        Content::List(_) => "a list",
        Content::Map(_) => "a map",
    }
}

/// What stands there, shortened where it is long.
fn shown(value: &Value, written: &str) -> String {
    const LONGEST: usize = 60;
    if value.is_null() {
        return String::new();
    }
    if written.chars().count() <= LONGEST {
        return written.to_owned();
    }
    let start: String = written.chars().take(LONGEST).collect();
    format!("{start}…")
}
