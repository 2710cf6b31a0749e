//! What is found, as SARIF for code scanning.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::digest::digest;
use super::super::sarif::{self, location};
use super::declared::Located;
use super::report::{NotJudged, Report, Reported, in_cluster};
use crate::review::{Rule, Severity};

/// The id of the rule by which declarations are told that open something.
const OPENS: &str = "declaration-opens";
/// GitHub orders alerts by this number, a CVSS score; rules that leave a boundary are high.
const SECURITY_SEVERITY: &str = "8.0";
/// GitHub refuses a run with more results.
const MAX_RESULTS: usize = 25_000;
/// What to do about a declaration that opens something.
const MEANT: &str = "It is meant, and somebody has to approve it.";
/// The catalogue of the rules, an entry for each.
const CATALOGUE: &str = include_str!("../../../docs/review-rules.md");

/// Writes a report as one log with one run.
pub(super) fn print(report: &Report) -> Result<String, serde_json::Error> {
    let rules = Rule::ALL.iter().copied().map(rule);
    let rules: Vec<Value> = rules.chain([opens()]).collect();
    let crossing = report
        .changes
        .iter()
        .filter(|it| it.change.crosses_boundary);
    let mut repeated = BTreeMap::new();
    let opened = crossing.map(|it| opened(it, &mut repeated));
    let opened: Vec<Value> = opened.collect();
    // Where there are too many, what has to be approved goes first.
    let room = MAX_RESULTS.saturating_sub(opened.len());
    let mut findings: Vec<&Reported> = report.findings.iter().collect();
    if findings.len() > room {
        findings.sort_by_key(|it| (!it.needs_approval(), !it.counts()));
    }
    let left_out = findings.len().saturating_sub(room);
    findings.truncate(room);
    let results = findings.into_iter().map(result).chain(opened);
    let results: Vec<Value> = results.take(MAX_RESULTS).collect();
    let mut notifications: Vec<Value> = report.not_judged.iter().map(not_judged).collect();
    if left_out > 0 {
        let text =
            format!("{left_out} more results are left out: code scanning takes {MAX_RESULTS}");
        notifications.push(json!({"level": "warning", "message": {"text": text}}));
    }
    sarif::Log {
        of: "review",
        rules,
        results,
        is_whole: report.is_whole,
        notifications,
        properties: json!({
            "approvalRequired": report.approval_required(),
            "headline": report.headline(),
        }),
    }
    .print()
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
        "help": help(rule),
        "defaultConfiguration": {"level": level(rule.severity())},
        "properties": properties,
    })
}

/// The entry of the catalogue, which has examples and how to write it instead.
fn help(rule: Rule) -> Value {
    let mut entries = CATALOGUE.split("\n## ").skip(1);
    let entry = entries.find_map(|it| it.strip_prefix(rule.id())?.strip_prefix('\n'));
    let entry = entry.unwrap_or_default().trim();
    json!({"text": entry, "markdown": entry})
}

/// What nothing is said of.
fn not_judged(it: &NotJudged) -> Value {
    let level = if it.decides { "warning" } else { "note" };
    json!({"level": level, "message": {"text": format!("not judged: {it}")}})
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
        .map(|reason| {
            let mut waived = json!({"kind": "inSource", "justification": reason});
            // A waiver that nobody has approved yet suppresses nothing so far.
            if reported.why_approved().is_some() {
                waived["status"] = json!("underReview");
            }
            waived
        })
        .collect();
    let cluster = reported.cluster.as_deref();
    let name = format!("{}: {}", reported.object, finding.path);
    let name = in_cluster(cluster, name);
    let at = reported.at.map(|at| (at.line, at.column));
    let at = reported.file.as_deref().zip(at);
    json!({
        "ruleId": finding.rule.id(),
        "ruleIndex": index,
        "level": level(finding.severity()),
        "message": {"text": in_cluster(cluster, text.join("; "))},
        "locations": [location(&name, at, reported.line.as_deref())],
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

/// The rule by which declarations are told that open something.
fn opens() -> Value {
    json!({
        "id": OPENS,
        "shortDescription": {"text": "a declaration opens a boundary"},
        "fullDescription": {"text": "a landing zone or the platform declares what opens something across a boundary"},
        "help": {"text": MEANT, "markdown": MEANT},
        "defaultConfiguration": {"level": "warning"},
        "properties": {"tags": ["network-policy", "security"], "security-severity": SECURITY_SEVERITY},
    })
}

fn opened(located: &Located, repeated: &mut BTreeMap<String, usize>) -> Value {
    let change = &located.change;
    let whose = change.landing_zone.as_deref().unwrap_or("the platform");
    let cluster = located.cluster.as_deref();
    let name = in_cluster(cluster, format!("{whose}: {}", change.path));
    let at = located.line.zip(located.column);
    let (part, kind) = (format!("{:?}", change.part), format!("{:?}", change.kind));
    let mut parts = vec![OPENS, whose, &part, &kind, &change.name];
    parts.extend(cluster);
    let fingerprint = digest(&parts);
    let before = repeated.entry(fingerprint.clone()).or_default();
    *before += 1;
    let fingerprint = format!("{fingerprint}:{before}");
    json!({
        "ruleId": OPENS,
        "ruleIndex": Rule::ALL.len(),
        "level": "warning",
        "message": {"text": in_cluster(cluster, change.message.clone())},
        "locations": [location(&name, located.file.as_deref().zip(at), None)],
        "partialFingerprints": {
            // What GitHub follows alerts by.
            "primaryLocationLineHash": fingerprint,
        },
        "suppressions": [],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
