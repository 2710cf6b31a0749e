//! What differs, for people and for programs.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::cluster::Cluster;
use super::compared::{Field, ObjectDiff, State};
use super::objects::Live;
use crate::cli::reader::Unread;
use crate::cli::terminal::{Look, Tint, Tree};

/// Longer values are shortened for people.
const LONGEST: usize = 300;

/// Everything that is told.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What differs.
    pub differences: Vec<ObjectDiff>,
    /// How many objects were compared.
    pub compared: usize,
    /// What there is to know besides.
    pub notes: Vec<String>,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

impl Report {
    /// Begins with what is known of the cluster.
    pub(super) fn of(cluster: &Cluster) -> Self {
        Self {
            unread: cluster.unread.clone(),
            ..Self::default()
        }
    }

    /// Adds the objects that could not be read, a line for each kind and reason.
    pub(super) fn miss(&mut self, live: &Live<'_>) {
        let mut by_kind: BTreeMap<_, Vec<(String, &str)>> = BTreeMap::new();
        for (key, why) in &live.unread {
            let of_kind = by_kind
                .entry((key.kind, key.namespace.clone()))
                .or_default();
            of_kind.push((key.to_string(), why));
        }
        for ((kind, namespace), keys) in by_kind {
            self.compared = self.compared.saturating_sub(keys.len());
            let Some((first, why)) = keys.first() else {
                continue;
            };
            let what = match (keys.len(), namespace) {
                (1, _) => first.clone(),
                (count, Some(namespace)) => format!("{count} of {kind} in {namespace}"),
                (count, None) => format!("{count} of {kind}"),
            };
            let why = (*why).to_owned();
            self.unread.push(Unread { what, why });
        }
    }
}

/// Each object that differs with its fields, landing zone by landing zone, and a count.
pub(super) fn tree(report: &Report, look: Look) -> String {
    let mut by_zone: BTreeMap<Option<&str>, Vec<Tree>> = BTreeMap::new();
    for it in &report.differences {
        let objects = by_zone.entry(it.landing_zone.as_deref()).or_default();
        objects.push(object(it, look));
    }
    let mut out = String::new();
    for (zone, objects) in by_zone {
        let heading = match zone {
            Some(zone) => format!("landing zone {zone}"),
            None => "shared by all landing zones".to_owned(),
        };
        let mut tree = Tree::tinted(Tint::Strong, heading);
        for object in objects {
            tree.add(object);
        }
        out.push_str(&tree.print(look));
    }
    let count = report.differences.len();
    let of = match report.compared {
        1 => "of 1 object that was compared".to_owned(),
        compared => format!("of {compared} objects that were compared"),
    };
    let last = match count {
        0 => Tree::tinted(Tint::Good, "no difference").then(Tint::Plain, of),
        1 => Tree::new(format!("1 object differs, {of}")),
        count => Tree::new(format!("{count} objects differ, {of}")),
    };
    out.push_str(&last.print(look));
    out
}

fn object(it: &ObjectDiff, look: Look) -> Tree {
    let (tint, word) = match it.state {
        State::Missing => (Tint::Bad, "missing"),
        State::Differs => (Tint::Waiting, "differs"),
        State::NotDeclared => (Tint::Bad, "not declared any more"),
    };
    let mut tree = Tree::tinted(tint, word).then(Tint::Plain, it.key.to_string());
    for field in &it.fields {
        let Field {
            path,
            found,
            declared,
            manager,
        } = field;
        let by = manager.as_ref().map(|it| format!("(by {it})"));
        let below = Tree::new(format!("{path}:"))
            .then(Tint::Bad, value(found.as_ref()))
            .then(Tint::Plain, look.arrow())
            .then(Tint::Good, value(declared.as_ref()))
            .then(Tint::Plain, by.unwrap_or_default());
        tree.add(below);
    }
    tree
}

fn value(value: Option<&Value>) -> String {
    let text = match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(other) => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… (see -o json)", &text[..end]),
        None => text,
    }
}

#[derive(Serialize)]
struct Told<'a> {
    differences: Vec<ToldObject<'a>>,
    compared: usize,
    notes: &'a [String],
    unread: Vec<ToldUnread<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldObject<'a> {
    landing_zone: Option<&'a str>,
    object: String,
    state: &'static str,
    fields: Vec<ToldField<'a>>,
}

#[derive(Serialize)]
struct ToldField<'a> {
    path: &'a str,
    found: Option<&'a Value>,
    declared: Option<&'a Value>,
    manager: Option<&'a str>,
}

#[derive(Serialize)]
struct ToldUnread<'a> {
    what: &'a str,
    why: &'a str,
}

fn told(field: &Field) -> ToldField<'_> {
    ToldField {
        path: &field.path,
        found: field.found.as_ref(),
        declared: field.declared.as_ref(),
        manager: field.manager.as_deref(),
    }
}

/// All of it as one object.
pub(super) fn json(report: &Report) -> Result<String, serde_json::Error> {
    let objects = report.differences.iter().map(|it| ToldObject {
        landing_zone: it.landing_zone.as_deref(),
        object: it.key.to_string(),
        state: match it.state {
            State::Missing => "Missing",
            State::Differs => "Differs",
            State::NotDeclared => "NotDeclared",
        },
        fields: it.fields.iter().map(told).collect(),
    });
    let told = Told {
        differences: objects.collect(),
        compared: report.compared,
        notes: &report.notes,
        unread: report
            .unread
            .iter()
            .map(|Unread { what, why }| ToldUnread { what, why })
            .collect(),
    };
    Ok(serde_json::to_string_pretty(&told)? + "\n")
}

#[cfg(test)]
mod tests;
