//! What differs between what is declared and what is there, field by field.

use std::fmt;

use serde_json::Value;

use super::Content;
use crate::controller::kind::Kind;
use crate::domain::{FieldPath, Segment};

/// One field that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where, from the root of the object.
    pub path: FieldPath,
    /// What is declared; None where the field is too much.
    pub declared: Option<Value>,
    /// What is there; None where the field is missing.
    pub found: Option<Value>,
}

/// All fields of ours in which the object `found` differs from the object `declared`. They are
/// found by meaning and told as they were written.
#[must_use]
pub fn differences(kind: Kind, declared: &Value, found: &Value) -> Vec<Difference> {
    let mut all = Vec::new();
    let (ours, theirs) = (Content::of(kind, declared), Content::of(kind, found));
    collect(
        &FieldPath::default(),
        Some(&ours.0),
        Some(&theirs.0),
        &mut all,
    );
    for difference in &mut all {
        difference.declared = as_written(declared, &difference.path, difference.declared.take());
        difference.found = as_written(found, &difference.path, difference.found.take());
    }
    all
}

fn as_written(object: &Value, path: &FieldPath, normalised: Option<Value>) -> Option<Value> {
    let written = path.0.iter().try_fold(object, |value, step| match step {
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.get(index),
    });
    normalised.map(|normalised| written.cloned().unwrap_or(normalised))
}

fn collect(
    path: &FieldPath,
    declared: Option<&Value>,
    found: Option<&Value>,
    all: &mut Vec<Difference>,
) {
    match (declared, found) {
        (Some(Value::Object(declared)), Some(Value::Object(found))) => {
            for (key, value) in declared {
                collect(&path.key(key), Some(value), found.get(key), all);
            }
            for (key, value) in found {
                if !declared.contains_key(key) {
                    collect(&path.key(key), None, Some(value), all);
                }
            }
        }
        (Some(Value::Array(declared)), Some(Value::Array(found)))
            if declared.len() == found.len() =>
        {
            for (index, (declared, found)) in declared.iter().zip(found).enumerate() {
                collect(&path.index(index), Some(declared), Some(found), all);
            }
        }
        (declared, found) if declared == found => {}
        (declared, found) => all.push(Difference {
            path: path.clone(),
            declared: declared.cloned(),
            found: found.cloned(),
        }),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match (&self.declared, &self.found) {
            (Some(Value::Array(declared)), Some(Value::Array(found))) => write!(
                f,
                "{path}: {} entries, declared {}",
                found.len(),
                declared.len()
            ),
            (Some(declared), Some(found)) => {
                write!(f, "{path}: {}, declared {}", Short(found), Short(declared))
            }
            (Some(declared), None) => write!(f, "{path}: removed, declared {}", Short(declared)),
            (None, Some(found)) => write!(f, "{path}: added, {}", Short(found)),
            (None, None) => write!(f, "{path}"),
        }
    }
}

/// A value as a person reads it, shortened: events and status hold sentences, not documents.
struct Short<'a>(&'a Value);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 60;
        let text = match self.0 {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if text.chars().count() <= LONGEST {
            return f.write_str(&text);
        }
        let start: String = text.chars().take(LONGEST).collect();
        write!(f, "{start}…")
    }
}

impl Difference {
    /// The path as managed fields write it: `f:spec`, `f:hard`, `f:pods`. It ends at the first
    /// list, which managed fields name by content.
    #[must_use]
    pub fn managed_path(&self) -> Vec<String> {
        self.path
            .0
            .iter()
            .map_while(|segment| match segment {
                Segment::Key(key) => Some(format!("f:{key}")),
                Segment::Index(_) => None,
            })
            .collect()
    }
}
