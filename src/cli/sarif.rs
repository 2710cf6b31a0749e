//! Logs in SARIF 2.1.0, for code scanning. Source: OASIS, Static Analysis Results Interchange Format version 2.1.0; and
//! what GitHub reads of it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// What the tool is called.
const TOOL: &str = "kubectl-landingzone";

/// A log with one run.
pub(super) struct Log {
    /// The command whose run it is.
    pub of: &'static str,
    /// All rules, whether anything is found by them or not.
    pub rules: Vec<Value>,
    /// What is found.
    pub results: Vec<Value>,
    /// Whether all could be read that should be.
    pub is_whole: bool,
    /// What is told beside it.
    pub notifications: Vec<Value>,
    /// What the run says as a whole.
    pub properties: Value,
}

impl Log {
    /// Writes it.
    pub fn print(self) -> Result<String, serde_json::Error> {
        let version = env!("CARGO_PKG_VERSION");
        let log = json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": TOOL,
                    "version": version,
                    "semanticVersion": version,
                    "rules": self.rules,
                }},
                "automationDetails": {"id": format!("{TOOL}/{}/", self.of)},
                "columnKind": "unicodeCodePoints",
                "invocations": [{
                    "executionSuccessful": self.is_whole,
                    "toolExecutionNotifications": self.notifications,
                }],
                "properties": self.properties,
                "results": self.results,
            }],
        });
        Ok(serde_json::to_string_pretty(&log)? + "\n")
    }
}

/// A place: a field of an object, and where it stands in a file.
pub(super) fn location(
    name: &str,
    at: Option<(&str, (usize, usize))>,
    written: Option<&str>,
) -> Value {
    let mut location = Map::new();
    if let Some((file, (line, column))) = at {
        let mut physical = json!({
            "artifactLocation": artifact(file),
            "region": {"startLine": line, "startColumn": column, "endLine": line},
        });
        if let Some(written) = written {
            let end = written.chars().count() + 1;
            physical["region"]["endColumn"] = Value::from(end.max(column + 1));
            physical["contextRegion"] = json!({"startLine": line, "snippet": {"text": written}});
        }
        location.insert("physicalLocation".to_owned(), physical);
    }
    let logical = json!([{"fullyQualifiedName": name, "kind": "resource"}]);
    location.insert("logicalLocations".to_owned(), logical);
    Value::Object(location)
}

/// A file by its path below the root of the repository, where it lies there.
fn artifact(file: &str) -> Value {
    let path = file.trim_start_matches("./");
    if path.starts_with('/') {
        json!({"uri": format!("file://{}", encoded(path))})
    } else {
        json!({"uri": encoded(path), "uriBaseId": "%SRCROOT%"})
    }
}

/// A path as part of a URI.
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
