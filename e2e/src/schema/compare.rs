//! What a newer definition of a kind takes away from an older one.
//!
//! The API server reads stored objects by the newer schema. It prunes what that does not know, and refuses the next write of what
//! that does not allow; it overlooks the latter where the value stays as it was (`CRDValidationRatcheting`, on since Kubernetes
//! 1.33), but not for what is required, for kinds of lists, and for whoever writes the same declaration into a new cluster. So each
//! narrowing counts.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

/// Something that a newer definition takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The definition and the field, such as `landingzones.landingzones.dev v1alpha1 spec.namespaces[].zone`.
    pub field: String,
    /// What is different.
    pub change: String,
    /// What to do instead.
    pub way_out: &'static str,
}

impl fmt::Display for Breach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            change,
            way_out,
        } = self;
        write!(out, "{field}: {change}; {way_out}")
    }
}

const KEEP_FIELD: &str = "keep the field, say in its description that it is out of use, and stop reading it; it can go with v1alpha1";
const NEW_FIELD: &str =
    "keep the field as it is, and add another one beside it with the new meaning";
const OPTIONAL: &str = "make it optional, and let the operator say in the status what is missing, or give it a default";
const WIDER: &str = "leave it as wide as it was; where a value does harm, let the operator refuse it in the status, or write a rule with optionalOldSelf that lets stay what is stored";
const NO_DEFAULT: &str = "leave the default out of the schema: what is left out gets its meaning in the operator, as it had";
const RATCHET: &str = "let stay what is stored: set optionalOldSelf: true and begin the rule with 'oldSelf.hasValue() && oldSelf.value() == self || '; if it refuses less than before, list it in RELAXED (e2e/src/schema/mod.rs) and say why";
const KEEP_VERSION: &str =
    "serve and store the version as before; another one can be served beside it, with a conversion";
const KEEP_NAME: &str =
    "leave it: a definition under another name is another kind, and what is stored stays behind";

/// Bounds that refuse more as they fall.
const UPPER: [&str; 4] = ["maximum", "maxItems", "maxLength", "maxProperties"];
/// Bounds that refuse more as they rise.
const LOWER: [&str; 4] = ["minimum", "minItems", "minLength", "minProperties"];
/// Words about a value that refuse something else when they are others.
const FORMS: [&str; 3] = ["pattern", "format", "multipleOf"];
/// What refuses when it is there.
const STRICT: [&str; 3] = ["exclusiveMaximum", "exclusiveMinimum", "uniqueItems"];
/// What lets pass when it is there.
const LENIENT: [&str; 3] = [
    "nullable",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
];
/// How lists and maps are merged and compared. A change is not overlooked for what is stored.
const MERGING: [&str; 3] = [
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
];
const COMPOSED: [&str; 4] = ["allOf", "anyOf", "oneOf", "not"];

/// What a newer `CustomResourceDefinition` takes away from an older one. `relaxed` names rules, by field and text, that refuse less
/// than those they replace.
#[must_use]
pub fn incompatible(old: &Value, new: &Value, relaxed: &[(&str, &str)]) -> Vec<Breach> {
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    let mut found = Comparison {
        relaxed,
        place: name.to_owned(),
        breaches: Vec::new(),
    };
    let (old, new) = (&old["spec"], &new["spec"]);
    for (what, before, after) in [
        ("the group", &old["group"], &new["group"]),
        ("the kind", &old["names"]["kind"], &new["names"]["kind"]),
        (
            "the plural",
            &old["names"]["plural"],
            &new["names"]["plural"],
        ),
        ("the scope", &old["scope"], &new["scope"]),
    ] {
        if before != after {
            found.tell("", format!("{what} was {before} and is {after}"), KEEP_NAME);
        }
    }
    let versions = |spec: &Value| spec["versions"].as_array().cloned().unwrap_or_default();
    let newer = versions(new);
    for version in versions(old) {
        let text = version["name"].as_str().unwrap_or_default();
        let place = format!("{name} {text}");
        let Some(same) = newer.iter().find(|newer| newer["name"] == version["name"]) else {
            found.tell("", format!("the version {text} is gone"), KEEP_VERSION);
            continue;
        };
        for (what, key) in [("served", "served"), ("stored", "storage")] {
            if version[key] == Value::Bool(true) && same[key] != Value::Bool(true) {
                let change = format!("the version {text} is no longer {what}");
                found.tell("", change, KEEP_VERSION);
            }
        }
        let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
        let outer = std::mem::replace(&mut found.place, place);
        found.schema("", &schema(&version), &schema(same));
        found.place = outer;
    }
    found.breaches
}

struct Comparison<'a> {
    relaxed: &'a [(&'a str, &'a str)],
    place: String,
    breaches: Vec<Breach>,
}

impl Comparison<'_> {
    fn tell(&mut self, path: &str, change: impl Into<String>, way_out: &'static str) {
        let place = &self.place;
        self.breaches.push(Breach {
            field: format!("{place} {path}").trim_end().to_owned(),
            change: change.into(),
            way_out,
        });
    }

    fn schema(&mut self, path: &str, old: &Value, new: &Value) {
        if old["type"] != new["type"] {
            let change = format!("the type was {} and is {}", old["type"], new["type"]);
            self.tell(path, change, NEW_FIELD);
            // Nothing else compares.
            return;
        }
        self.words(path, old, new);
        self.bounds(path, old, new);
        self.rules(path, old, new);
        self.properties(path, old, new);
        for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
            let below = format!("{path}{mark}");
            match (&old[key], &new[key]) {
                (Value::Object(_), Value::Object(_)) => {
                    self.schema(&below, &old[key], &new[key]);
                }
                (Value::Null | Value::Bool(false), _) | (_, Value::Bool(true)) => {}
                (_, Value::Object(_)) => self.tell(&below, "anything was allowed", WIDER),
                _ => self.tell(&below, "is gone", KEEP_FIELD),
            }
        }
    }

    fn words(&mut self, path: &str, old: &Value, new: &Value) {
        match (old["enum"].as_array(), new["enum"].as_array()) {
            (Some(old), Some(new)) => {
                for value in old.iter().filter(|value| !new.contains(value)) {
                    self.tell(path, format!("{value} is no longer allowed"), WIDER);
                }
            }
            (None, Some(_)) => {
                let change = format!("only {} is allowed", new["enum"]);
                self.tell(path, change, WIDER);
            }
            (_, None) => {}
        }
        for key in FORMS {
            if !new[key].is_null() && old[key] != new[key] {
                let change = format!("{key} was {} and is {}", old[key], new[key]);
                self.tell(path, change, WIDER);
            }
        }
        for key in MERGING.into_iter().chain(COMPOSED) {
            if old[key] != new[key] {
                let change = format!("{key} was {} and is {}", old[key], new[key]);
                self.tell(path, change, NEW_FIELD);
            }
        }
        for key in STRICT {
            if new[key] == Value::Bool(true) && old[key] != new[key] {
                self.tell(path, format!("{key} is new"), WIDER);
            }
        }
        for key in LENIENT {
            if old[key] == Value::Bool(true) && old[key] != new[key] {
                self.tell(path, format!("{key} is gone"), WIDER);
            }
        }
        if old["default"] != new["default"] {
            let change = format!(
                "the default was {} and is {}",
                old["default"], new["default"]
            );
            self.tell(path, change, NO_DEFAULT);
        }
    }

    fn bounds(&mut self, path: &str, old: &Value, new: &Value) {
        let bounds = UPPER.map(|key| (key, 1.0)).into_iter();
        for (key, sign) in bounds.chain(LOWER.map(|key| (key, -1.0))) {
            let Some(after) = new[key].as_f64() else {
                continue;
            };
            // Nothing is shorter than nothing.
            let nothing = sign < 0.0 && key != "minimum" && after <= 0.0;
            let before = old[key].as_f64();
            if !nothing && before.is_none_or(|before| sign * after < sign * before) {
                let before = before.map_or_else(|| "without bound".to_owned(), |it| it.to_string());
                self.tell(path, format!("{key} was {before} and is {after}"), WIDER);
            }
        }
    }

    fn rules(&mut self, path: &str, old: &Value, new: &Value) {
        let known: BTreeSet<&str> = rules(old)
            .filter_map(|rule| rule["rule"].as_str())
            .collect();
        for rule in rules(new) {
            let text = rule["rule"].as_str().unwrap_or_default();
            let lets_stay =
                rule["optionalOldSelf"] == Value::Bool(true) && text.contains("oldSelf");
            let relaxed = self.relaxed.contains(&(path, text));
            if !(known.contains(text) || lets_stay || relaxed) {
                self.tell(path, format!("the rule {text:?} is new"), RATCHET);
            }
        }
    }

    fn properties(&mut self, path: &str, old: &Value, new: &Value) {
        let none = Map::new();
        let before = old["properties"].as_object().unwrap_or(&none);
        let after = new["properties"].as_object().unwrap_or(&none);
        let below = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        for (name, old) in before {
            match after.get(name) {
                Some(new) => self.schema(&below(name), old, new),
                None => self.tell(
                    &below(name),
                    "the field is gone: what is stored in it is lost",
                    KEEP_FIELD,
                ),
            }
        }
        let required: BTreeSet<&str> = names(&old["required"]).collect();
        for name in names(&new["required"]).filter(|name| !required.contains(name)) {
            // Read from storage, objects get the defaults of fields that they lack.
            let is_new = !before.contains_key(name);
            let has_default = after
                .get(name)
                .is_some_and(|field| !field["default"].is_null());
            if !(is_new && has_default) {
                self.tell(&below(name), "the field is required now", OPTIONAL);
            }
        }
    }
}

fn rules(schema: &Value) -> impl Iterator<Item = &Value> {
    schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

#[cfg(test)]
mod tests;
