//! The pipelines in `config/ci/`: what they call is there.

use std::fs;
use std::path::Path;

use clap::Parser;
use serde_json::Value;

use super::super::super::document;
use super::super::super::{Arguments, Command};
use crate::cli::review::markdown::MARKER;

const PIPELINES: [&str; 2] = ["azure-pipelines.yaml", "github-actions.yaml"];

fn pipeline(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/ci");
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let stream = document::parse(&text);
    assert_eq!(stream.syntax, [], "{name}");
    let [document] = stream.documents.as_slice() else {
        panic!("{name} has one document");
    };
    document.root.to_json()
}

/// All scripts of a pipeline.
fn scripts(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let of_field =
                fields
                    .iter()
                    .flat_map(|(key, value)| match (key.as_str(), value.as_str()) {
                        ("run" | "bash" | "script", Some(script)) => vec![script],
                        _ => scripts(value),
                    });
            of_field.collect()
        }
        Value::Array(items) => items.iter().flat_map(scripts).collect(),
        _ => Vec::new(),
    }
}

/// The calls of the plugin, as a shell would split them.
fn calls(pipeline: &Value) -> Vec<Vec<String>> {
    let lines = scripts(pipeline).into_iter().flat_map(str::lines);
    lines
        .filter_map(|line| line.trim().strip_prefix("kubectl landingzone "))
        .map(|call| {
            let (call, _) = call.split_once('>').unwrap_or((call, ""));
            let words = call.split_whitespace().map(|word| word.replace('"', ""));
            ["kubectl-landingzone".to_owned()]
                .into_iter()
                .chain(words)
                .collect()
        })
        .collect()
}

#[test]
fn what_pipelines_call_is_there() {
    for name in PIPELINES {
        let calls = calls(&pipeline(name));
        assert!(calls.len() >= 3, "{name}: {calls:?}");
        for call in calls {
            let parsed = Arguments::try_parse_from(&call);
            let parsed = parsed.map_err(|error| format!("{name}: {error}")).unwrap();
            let Command::Review(review) = parsed.command else {
                panic!("{name}: {call:?}");
            };
            assert!(review.flavour.flavour().is_ok(), "{name}");
        }
    }
}

#[test]
fn pipelines_find_their_comment() {
    for name in PIPELINES {
        let pipeline = pipeline(name);
        let scripts = scripts(&pipeline);
        assert!(scripts.iter().any(|it| it.contains(MARKER)), "{name}");
    }
}

/// The stages wait for a variable of this name.
#[test]
fn azures_stages_read_the_variable_that_is_set() {
    let pipeline = pipeline("azure-pipelines.yaml");
    let call = calls(&pipeline).into_iter().flatten();
    let name = call
        .skip_while(|it| it != "--azure-devops-variable")
        .nth(1)
        .unwrap();
    let conditions: Vec<&str> = pipeline["stages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|stage| stage["condition"].as_str())
        .collect();
    assert_eq!(conditions.len(), 2);
    let output = format!("dependencies.Review.outputs['Review.review.{name}']");
    assert!(
        conditions.iter().all(|it| it.contains(&output)),
        "{conditions:?}"
    );
}
