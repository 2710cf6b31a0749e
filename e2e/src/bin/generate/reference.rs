//! The reference of both kinds, from their schemas.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Context;
use kube::CustomResourceExt;
use serde_json::Value;

use super::Generated;

const HEAD: &str = "<!-- Generated from the Rust types in src/api by `cargo generate`: do not edit. -->\n\n# Reference\n\n\
    Every field of both kinds, as `kubectl explain` tells them in a cluster. What is required is in **bold**; what a field may say \
    stands behind its type, and rules on admission that need more than one field below their object.\n";

/// Writes `docs/reference.md`.
pub(super) fn file(kinds: &[(&str, Value)]) -> anyhow::Result<Generated> {
    let mut content = HEAD.to_owned();
    for (kind, definition) in kinds {
        let version = &definition["spec"]["versions"][0];
        let schema = &version["schema"]["openAPIV3Schema"];
        let group = definition["spec"]["group"].as_str().context("no group")?;
        let name = version["name"].as_str().context("no version")?;
        let scope = definition["spec"]["scope"].as_str().context("no scope")?;
        write!(content, "\n## {kind}\n\n")?;
        writeln!(
            content,
            "`apiVersion: {group}/{name}`, scope: {scope}. {}",
            text(schema)
        )?;
        rules(&mut content, schema)?;
        for part in ["spec", "status"] {
            let schema = &schema["properties"][part];
            write!(content, "\n### {kind} {part}\n")?;
            object(&mut content, part, schema)?;
        }
    }
    Ok(Generated {
        path: "docs/reference.md".to_owned(),
        content,
    })
}

/// The definition of a kind, as JSON.
pub(super) fn definition<K: CustomResourceExt>() -> anyhow::Result<Value> {
    let mut definition = serde_json::to_value(K::crd())?;
    super::unwrap_descriptions(&mut definition);
    Ok(definition)
}

/// A table of an object's fields, and below it those of the objects inside.
fn object(out: &mut String, path: &str, schema: &Value) -> anyhow::Result<()> {
    let Some(properties) = schema["properties"].as_object() else {
        return Ok(());
    };
    let required: BTreeSet<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    out.push_str("\n| field | type | |\n|---|---|---|\n");
    for (name, field) in properties {
        let name = if required.contains(name.as_str()) {
            format!("**`{name}`**")
        } else {
            format!("`{name}`")
        };
        let mut told = text(field);
        for rule in messages(field) {
            write!(told, " *{rule}*")?;
        }
        writeln!(out, "| {name} | {} | {} |", kind(field), cell(&told))?;
    }
    rules(out, schema)?;
    for (name, field) in properties {
        let (inside, suffix) = inner(field);
        if inside["properties"].is_object() {
            let path = format!("{path}.{name}{suffix}");
            write!(out, "\n#### {path}\n\n{}\n", text(field))?;
            object(out, &path, inside)?;
        }
    }
    Ok(())
}

/// The schema of what a list or a map holds, however deep, and how a path to it goes on.
fn inner(schema: &Value) -> (&Value, String) {
    if schema["items"].is_object() {
        let (inside, suffix) = inner(&schema["items"]);
        return (inside, format!("[]{suffix}"));
    }
    if schema["additionalProperties"].is_object() {
        let (inside, suffix) = inner(&schema["additionalProperties"]);
        return (inside, format!(".*{suffix}"));
    }
    (schema, String::new())
}

/// What a value may be, in a few words.
fn kind(schema: &Value) -> String {
    if schema["items"].is_object() {
        return format!(
            "list of {}{}",
            kind(&schema["items"]),
            bounds(schema, "Items", "items")
        );
    }
    if schema["additionalProperties"].is_object() {
        let held = kind(&schema["additionalProperties"]);
        return format!("map of {held}{}", bounds(schema, "Properties", "keys"));
    }
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().filter(|it| !it.is_null());
        let values: Vec<_> = values.map(|it| format!("`{}`", plain(it))).collect();
        return values.join(", ");
    }
    if schema["x-kubernetes-int-or-string"] == Value::Bool(true) {
        return "number or string".to_owned();
    }
    let name = schema["type"].as_str().unwrap_or("any value");
    let format = schema["format"].as_str().filter(|it| *it == "date-time");
    let name = format.map_or(name, |_| "time (RFC 3339)");
    match name {
        "string" => format!("string{}", bounds(schema, "Length", "characters")),
        "integer" => {
            let bound = |word: &str, field: &str| {
                let value = schema[field].as_f64()?;
                Some(format!("{word} {value}"))
            };
            let all = [bound("from", "minimum"), bound("to", "maximum")];
            let all: Vec<_> = all.into_iter().flatten().collect();
            format!("integer {}", all.join(" ")).trim_end().to_owned()
        }
        other => other.to_owned(),
    }
}

/// How many there may be, where that is said.
fn bounds(schema: &Value, what: &str, word: &str) -> String {
    let least = schema[format!("min{what}")].as_u64().filter(|it| *it > 0);
    let most = schema[format!("max{what}")].as_u64();
    match (least, most) {
        (Some(least), Some(most)) => format!(", {least} to {most} {word}"),
        (Some(least), None) => format!(", at least {least} {word}"),
        (None, Some(most)) => format!(", at most {most} {word}"),
        (None, None) => String::new(),
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// What rules on a schema say, each once.
fn messages(schema: &Value) -> BTreeSet<String> {
    let rules = schema["x-kubernetes-validations"].as_array();
    let messages = rules
        .into_iter()
        .flatten()
        .filter_map(|rule| rule["message"].as_str());
    messages
        .map(|it| format!("It {it}.").replace("..", "."))
        .filter(|it| it.starts_with("It must"))
        .collect()
}

/// Rules about an object as a whole.
fn rules(out: &mut String, schema: &Value) -> anyhow::Result<()> {
    let rules = schema["x-kubernetes-validations"].as_array();
    let mut told: Vec<String> = Vec::new();
    for rule in rules.into_iter().flatten() {
        let at = rule["fieldPath"]
            .as_str()
            .map(|it| it.trim_start_matches('.'));
        let at = at.map_or(String::new(), |it| format!("`{it}`: "));
        let said = rule["message"].as_str().map(|it| format!("{at}{it}"));
        let said = said.or_else(|| {
            rule["rule"]
                .as_str()
                .map(|rule| format!("{at}`{}`", joined(rule)))
        });
        if let Some(said) = said.filter(|it| !told.contains(it)) {
            told.push(said);
        }
    }
    if !told.is_empty() {
        out.push_str("\nRules:\n\n");
        for rule in told {
            writeln!(out, "- {rule}")?;
        }
    }
    Ok(())
}

fn text(schema: &Value) -> String {
    joined(schema["description"].as_str().unwrap_or_default())
}

/// The same text in one line.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same in one cell of a table.
fn cell(text: &str) -> String {
    joined(text).replace('|', "\\|").replace('<', "&lt;")
}
