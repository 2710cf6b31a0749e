//! The report, as SARIF for code scanning: a result for whatever fails, and a notification for what is unknown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::report::Report;
use crate::cli::digest::digest;
use crate::cli::sarif::{Log, location};
use crate::posture::{Check, Outcome, Question, Seen, Severity};

/// What stands for a file where none was given. GitHub takes no result that lies in none, and with it none of the log.
const NO_FILE: &str = "cluster";

/// Writes a report as one log with one run.
pub(super) fn print(report: &Report) -> Result<String, serde_json::Error> {
    let failing = report
        .checks
        .iter()
        .filter(|it| it.outcome == Outcome::Fail);
    let mut repeated = BTreeMap::new();
    let mut results = Vec::new();
    for check in failing {
        let file = report.file(check).unwrap_or(NO_FILE);
        let seen = check.seen.iter();
        results.extend(seen.map(|seen| result(check, seen, file, &mut repeated)));
    }
    let unknown = report
        .checks
        .iter()
        .filter(|it| it.outcome == Outcome::Unknown);
    let notes = report.notes.iter().map(|(place, message)| {
        json!({"level": "note", "message": {"text": format!("{place}: {message}")}})
    });
    Log {
        of: "posture",
        rules: Question::ALL.iter().copied().map(rule).collect(),
        results,
        is_whole: report.is_whole,
        notifications: unknown.map(notification).chain(notes).collect(),
        properties: json!({"headline": report.headline()}),
    }
    .print()
}

fn rule(question: Question) -> Value {
    let mut help = format!("{}.", question.why());
    for control in question.controls() {
        // Writing to a String cannot fail.
        let _ = write!(help, " {control}.");
    }
    let source = question.source();
    let _ = write!(help, " {} ({source}).", source.article.title());
    json!({
        "id": question.id(),
        "shortDescription": {"text": question.title()},
        "fullDescription": {"text": question.title()},
        "help": {"text": help, "markdown": help},
        "defaultConfiguration": {"level": level(question.severity())},
        "properties": {
            "tags": ["posture", "security"],
            "security-severity": security_severity(question.severity()),
        },
    })
}

fn result(check: &Check, seen: &Seen, file: &str, repeated: &mut BTreeMap<String, usize>) -> Value {
    let question = check.question;
    let index = Question::ALL.iter().position(|it| *it == question);
    let name = seen.resource.as_deref().unwrap_or("cluster");
    let about = seen
        .resource
        .as_ref()
        .map_or_else(String::new, |it| format!("{it} "));
    let text = format!("{}: {about}{}", question.title(), seen.what);
    let excepted = seen.excepted.iter();
    let suppressions: Vec<Value> = excepted
        .map(|it| {
            let justification = format!("{} (until {})", it.reason, it.expires);
            json!({"kind": "external", "justification": justification})
        })
        .collect();
    let fingerprint = digest(&[question.id(), name]);
    let nth = repeated.entry(fingerprint.clone()).or_default();
    *nth += 1;
    json!({
        "ruleId": question.id(),
        "ruleIndex": index,
        "level": level(check.severity),
        "message": {"text": text},
        // The file as a whole: what is missing stands in no line.
        "locations": [location(name, Some((file, (1, 1))), None)],
        "partialFingerprints": {
            // What GitHub follows alerts by.
            "primaryLocationLineHash": format!("{fingerprint}:{nth}"),
        },
        "suppressions": suppressions,
        "properties": {"mend": check.mend, "notes": check.notes},
    })
}

fn notification(check: &Check) -> Value {
    let seen: Vec<&str> = check.seen.iter().map(|it| it.what.as_str()).collect();
    let text = format!(
        "{} is unknown: {}; it would be told by {}",
        check.question,
        seen.join("; "),
        check.tells.join(", or by ")
    );
    json!({"level": "warning", "message": {"text": text}})
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// The number by which GitHub orders alerts, a CVSS score.
const fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "8.0",
        Severity::Medium => "5.0",
        Severity::Low => "3.0",
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::posture::InputFile;

    /// What only the cluster shows lies in no file of its own.
    #[test]
    fn every_result_lies_in_a_file() {
        let places = |files: Vec<(InputFile, String)>| -> Vec<Value> {
            let seen = Seen {
                resource: Some("shop".to_owned()),
                what: "is open".to_owned(),
                excepted: None,
            };
            let check = Check {
                question: Question::DefaultDeny,
                outcome: Outcome::Fail,
                severity: Severity::High,
                seen: vec![seen],
                notes: Vec::new(),
                tells: Vec::new(),
                mend: Vec::new(),
            };
            let report = Report {
                checks: vec![check],
                today: date(2026, 11, 28),
                files,
                notes: Vec::new(),
                is_whole: true,
            };
            let log: Value = serde_json::from_str(&print(&report).unwrap()).unwrap();
            let results = log["runs"][0]["results"].as_array().unwrap().iter();
            let places = results.map(|it| {
                let physical = &it["locations"][0]["physicalLocation"];
                physical["artifactLocation"]["uri"].clone()
            });
            places.collect()
        };
        assert_eq!(places(Vec::new()), ["cluster"]);
        let files = vec![(InputFile::Vnet, "vnet.json".to_owned())];
        assert_eq!(places(files), ["vnet.json"]);
    }
}
