//! The part of an object that is ours, in a form in which equal means the same.

use std::fmt;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::controller::kind::Kind;
use crate::domain::Quantity;

/// The part of an object that is ours, normalised: quantities by value, absent and empty the same
/// where they mean the same, what the server fills in left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Content(pub Value);

/// A digest of a [`Content`]. SHA-256, since a team chooses part of what is digested.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 16]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Content {
    /// The comparable part of an object of a kind whose whole fields are ours.
    #[must_use]
    pub fn of(kind: Kind, object: &Value) -> Self {
        let mut content = Map::new();
        let labels = object.pointer("/metadata/labels");
        let ours: Map<String, Value> = kind
            .ownership_labels()
            .iter()
            .filter_map(|&key| Some((key.to_owned(), labels?.get(key)?.clone())))
            .collect();
        content.insert("metadata".into(), json!({ "labels": ours }));
        for field in kind.whole_fields() {
            if let Some(value) = object.get(*field) {
                let mut value = value.clone();
                normalise(kind, &mut value);
                if !is_empty(&value) {
                    content.insert((*field).into(), value);
                }
            }
        }
        Self(Value::Object(content))
    }

    /// Digest of this content.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest_of(&self.0)
    }
}

/// Digest of any JSON value. Maps are sorted by key, so order does not matter.
#[must_use]
pub fn digest_of(value: &Value) -> Digest {
    let mut text = Sha256::new();
    let written = serde_json::to_writer(&mut text, value);
    debug_assert!(written.is_ok(), "values are JSON, and a digest takes them");
    let full = text.finalize();
    let mut digest = [0; 16];
    digest.copy_from_slice(&full[..16]);
    Digest(digest)
}

fn normalise(kind: Kind, value: &mut Value) {
    drop_nulls(value);
    match kind {
        Kind::ResourceQuota => {
            quantities(value, "hard");
            drop_empty_fields(value);
        }
        Kind::LimitRange => {
            let limits = value.get_mut("limits").and_then(Value::as_array_mut);
            for limit in limits.into_iter().flatten() {
                for field in ["default", "defaultRequest", "max", "min"] {
                    quantities(limit, field);
                }
                drop_empty_fields(limit);
            }
        }
        Kind::GlobalNetworkPolicy | Kind::StagedGlobalNetworkPolicy | Kind::Tier => {
            // In Calico's kinds an empty string, list or map says the same as none at all, and the
            // v3 API fills in `source: {}`, `destination: {}` and `tier: default`.
            drop_empty_deep(value);
            if let Some(spec) = value.as_object_mut()
                && spec.get("tier").and_then(Value::as_str) == Some("default")
            {
                spec.remove("tier");
            }
            numbers(value);
        }
        // In a Kubernetes policy an empty selector means everything and an absent one nothing:
        // only the lists of rules and their parts are the same empty and absent.
        Kind::NetworkPolicy => {
            drop_empty_lists(value);
        }
        Kind::Namespace | Kind::RoleBinding | Kind::ClusterRole | Kind::ClusterRoleBinding => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn drop_empty_fields(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, field| !is_empty(field));
    }
}

fn drop_empty_deep(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(drop_empty_deep);
            fields.retain(|_, field| !is_empty(field));
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty_deep),
        _ => {}
    }
}

fn drop_empty_lists(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(drop_empty_lists);
            fields.retain(|_, field| !matches!(field, Value::Array(items) if items.is_empty()));
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty_lists),
        _ => {}
    }
}

/// `10` and `10.0` are the same order.
fn numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(numbers),
        Value::Array(items) => items.iter_mut().for_each(numbers),
        Value::Number(number) => {
            if let Some(float) = number.as_f64() {
                *value = Value::from(float);
            }
        }
        _ => {}
    }
}

/// Replaces each quantity of a map by its exact value in billionths. What does not parse stays as it is.
fn quantities(object: &mut Value, field: &str) {
    let Some(Value::Object(map)) = object.get_mut(field) else {
        return;
    };
    for value in map.values_mut() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        if let Ok(quantity) = text.parse::<Quantity>() {
            *value = Value::String(quantity.nano().to_string());
        }
    }
}
