//! What something puts values in for after it was read here: Flux, envsubst, Helm, a pipeline that replaces tokens.

use serde_json::Value;

use super::input::Written;
use crate::domain::FieldPath;
use crate::review::{Body, Finding, Rule};

/// How a name for a value begins and ends. No selector, range, port or label has any of these.
const MARKS: [(&str, &str); 4] = [("${", "}"), ("$(", ")"), ("{{", "}}"), ("#{", "}")];
/// So many of one object are told.
const MOST: usize = 32;

/// Adds what nobody can know of an object, and takes back what only the name of a value says.
pub(super) fn add(written: &Written, found: &mut Vec<Finding>) {
    let body = written.read.as_ref().map(|it| &it.body);
    // Of these nothing is judged in any case.
    if matches!(body, Ok(Body::Deciding(_))) {
        return;
    }
    let root = FieldPath::default();
    let mut places = Vec::new();
    for field in ["spec", "endpoints", "ports", "subsets"] {
        if let Some(value) = written.json.get(field) {
            collect(value, &root.key(field), &mut places);
        }
    }
    for field in ["namespace", "labels"] {
        if let Some(value) = written.json.pointer(&format!("/metadata/{field}")) {
            collect(value, &root.key("metadata").key(field), &mut places);
        }
    }
    for (path, name) in places.into_iter().take(MOST) {
        let is_of_name = |it: &Finding| {
            let is_reading = matches!(
                it.rule,
                Rule::Invalid
                    | Rule::MatchesNothing
                    | Rule::SelectsNothing
                    | Rule::NamespaceUnknown
            );
            is_reading && it.path != root && path.0.starts_with(&it.path.0)
        };
        found.retain(|it| !is_of_name(it));
        found.push(Finding::new(
            Rule::Invalid,
            path.clone(),
            format!(
                "{path} holds {name}, for which something puts a value in after it was read here: nobody can say what becomes \
                 of it"
            ),
            "write the value, or give what comes out, for instance: flux build kustomization NAME --path DIR | kubectl \
             landingzone review -f -",
        ));
    }
}

/// The texts that hold the name of a value, each with that name; what is noted on rules decides nothing.
fn collect(value: &Value, at: &FieldPath, found: &mut Vec<(FieldPath, String)>) {
    match value {
        Value::String(text) => found.extend(placeholder(text).map(|name| (at.clone(), name))),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &at.index(index), found);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| *key != "annotations") {
                let below = at.key(key);
                found.extend(placeholder(key).map(|name| (below.clone(), name)));
                collect(value, &below, found);
            }
        }
        _ => {}
    }
}

/// The first name of a value in a text, with its marks.
fn placeholder(text: &str) -> Option<String> {
    MARKS.iter().find_map(|(begin, end)| {
        let start = text.find(begin)?;
        let rest = text.get(start + begin.len()..)?;
        let length = rest.find(end).filter(|it| *it > 0)?;
        text.get(start..start + begin.len() + length + end.len())
            .map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_values_are_told_from_what_only_looks_like_them() {
        for (text, expected) in [
            ("applicationcode == '${code}'", Some("${code}")),
            ("${code:=shop}-a", Some("${code:=shop}")),
            ("$(CODE)", Some("$(CODE)")),
            ("{{ .Values.code }}", Some("{{ .Values.code }}")),
            ("#{code}#", Some("#{code}")),
            ("app in {'a', 'b'}", None),
            ("app == '$a'", None),
            ("${", None),
            ("${}", None),
            ("ö${ä}", Some("${ä}")),
        ] {
            assert_eq!(placeholder(text).as_deref(), expected, "{text}");
        }
    }
}
