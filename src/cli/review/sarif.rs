//! What is found, as SARIF 2.1.0 for code scanning. Source: OASIS, Static Analysis Results Interchange Format
//! version 2.1.0; and what GitHub reads of it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::report::{Report, Reported};
use crate::review::{Rule, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// What the tool is called.
const TOOL: &str = "kubectl-landingzone";
/// GitHub orders alerts by this number, a CVSS score; rules that leave a boundary are high.
const SECURITY_SEVERITY: &str = "8.0";

/// Writes a report as one log with one run.
pub(super) fn print(report: &Report) -> Result<String, serde_json::Error> {
    let version = env!("CARGO_PKG_VERSION");
    let rules: Vec<Value> = Rule::ALL.iter().copied().map(rule).collect();
    let results: Vec<Value> = report.findings.iter().map(result).collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": TOOL,
                "version": version,
                "semanticVersion": version,
                "rules": rules,
            }},
            "automationDetails": {"id": format!("{TOOL}/review/")},
            "columnKind": "unicodeCodePoints",
            "properties": {
                "approvalRequired": report.approval_required(),
                "headline": report.headline(),
            },
            "results": results,
        }],
    });
    Ok(serde_json::to_string_pretty(&log)? + "\n")
}

fn rule(rule: Rule) -> Value {
    let mut properties = json!({"tags": ["network-policy"]});
    if rule.leaves_boundary() {
        properties = json!({
            "tags": ["network-policy", "security"],
            "security-severity": SECURITY_SEVERITY,
        });
    }
    json!({
        "id": rule.id(),
        "shortDescription": {"text": rule.title()},
        "fullDescription": {"text": rule.title()},
        "help": {"text": format!("docs/review-rules.md has an example of {rule}, and how to write it instead.")},
        "defaultConfiguration": {"level": level(rule.severity())},
        "properties": properties,
    })
}

fn result(reported: &Reported) -> Value {
    let finding = &reported.finding;
    let index = Rule::ALL.iter().position(|rule| *rule == finding.rule);
    let parts = [
        Some(finding.message.clone()),
        finding.witness.clone(),
        finding
            .declared
            .as_ref()
            .map(|it| format!("declared: {it}")),
        Some(finding.suggestion.clone()).filter(|it| !it.is_empty()),
    ];
    let text: Vec<String> = parts.into_iter().flatten().collect();
    let waived = finding.waived.iter();
    let suppressions: Vec<Value> = waived
        .map(|reason| json!({"kind": "inSource", "justification": reason}))
        .collect();
    json!({
        "ruleId": finding.rule.id(),
        "ruleIndex": index,
        "level": level(finding.severity()),
        "message": {"text": text.join("; ")},
        "locations": [location(reported)],
        "partialFingerprints": {
            // What GitHub follows alerts by.
            "primaryLocationLineHash": reported.fingerprint,
        },
        "suppressions": suppressions,
        "properties": {
            "leavesBoundary": finding.leaves_boundary(),
            "declared": finding.declared.is_some(),
        },
    })
}

fn location(reported: &Reported) -> Value {
    let mut location = Map::new();
    if let (Some(file), Some(at)) = (&reported.file, reported.at) {
        let mut physical = json!({
            "artifactLocation": artifact(file),
            "region": {"startLine": at.line, "startColumn": at.column},
        });
        if let Some(line) = &reported.line {
            physical["contextRegion"] = json!({"startLine": at.line, "snippet": {"text": line}});
        }
        location.insert("physicalLocation".to_owned(), physical);
    }
    let name = format!("{}: {}", reported.object, reported.finding.path);
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

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
