//! Objects in the forms that kubectl prints.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

/// A form of output.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// One YAML document for each object
    #[default]
    Yaml,
    /// One JSON object of kind List
    Json,
    /// One line for each object: kind, group and name
    Name,
}

/// Writes objects in a form.
#[must_use]
pub fn print(objects: &[Value], format: OutputFormat) -> String {
    match format {
        OutputFormat::Yaml => yaml(objects),
        OutputFormat::Json => {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
            format!("{list:#}\n")
        }
        OutputFormat::Name => objects.iter().map(|object| name(object) + "\n").collect(),
    }
}

/// The name of an object as kubectl prints it: `resourcequota/quota`, `tier.projectcalico.org/x`.
fn name(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").unwrap_or_default().to_lowercase();
    let group = text("/apiVersion").and_then(|version| version.split_once('/'));
    let name = text("/metadata/name").unwrap_or_default();
    match group {
        Some((group, _)) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

/// Writes one YAML document for each object, the same bytes for the same objects.
///
/// Text is quoted unless every reader of YAML 1.1 and 1.2 takes it for text, keys included: a label
/// called `on` must not become `true` on its way through kubectl.
#[must_use]
pub fn yaml(objects: &[Value]) -> String {
    let mut out = String::new();
    for object in objects {
        out.push_str("---\n");
        match object {
            Value::Object(fields) if !fields.is_empty() => write_fields(&mut out, fields, 0),
            other => write_value(&mut out, other),
        }
    }
    out
}

fn write_fields(out: &mut String, fields: &Map<String, Value>, indent: usize) {
    let mut keys: Vec<&String> = fields.keys().collect();
    keys.sort_by_key(|key| (rank(key, indent), *key));
    for (position, key) in keys.into_iter().enumerate() {
        // The first field of a list item stands behind its dash.
        if position > 0 || !out.ends_with("- ") {
            write_indent(out, indent);
        }
        write_text(out, key);
        out.push(':');
        if let Some(value) = fields.get(key) {
            write_below(out, value, indent);
        }
    }
}

/// The order of Kubernetes at the top, the alphabet below.
fn rank(key: &str, indent: usize) -> usize {
    const FIRST: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];
    let first = FIRST.iter().position(|first| *first == key);
    first.filter(|_| indent == 0).unwrap_or(FIRST.len())
}

/// Writes the value of a field behind its colon.
fn write_below(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            write_fields(out, fields, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            write_items(out, items, indent);
        }
        scalar => {
            out.push(' ');
            write_value(out, scalar);
        }
    }
}

fn write_items(out: &mut String, items: &[Value], indent: usize) {
    for item in items {
        write_indent(out, indent);
        out.push_str("- ");
        match item {
            Value::Object(fields) if !fields.is_empty() => write_fields(out, fields, indent + 2),
            other => write_value(out, other),
        }
    }
}

/// Writes a value that fits on the rest of the line; lists in lists, which no kind of ours has, as
/// JSON, which YAML takes.
fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => write_text(out, text),
        other => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{other}");
        }
    }
    out.push('\n');
}

fn write_indent(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Writes text so that whoever reads it takes it for text.
pub fn write_text(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else {
        quote(out, text);
    }
}

/// Whether text can stand without quotes whoever reads it.
fn is_plain(text: &str) -> bool {
    const RESERVED: [&str; 12] = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity",
    ];
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '/')
        && characters.all(|c| c.is_ascii_alphanumeric() || " _-./:'(),=!&|<>{}@+".contains(c))
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && RESERVED
            .iter()
            .all(|reserved| !text.eq_ignore_ascii_case(reserved))
}

/// Double quotes with the escapes that JSON and YAML share.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_unprintable(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Characters that YAML does not take as they are, or takes for line breaks.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

#[cfg(test)]
mod tests;
