//! What is found, for programs.

use serde::Serialize;

use super::super::base::Compared;
use super::declared::Located;
use super::report::{NotJudged, Report, Reported};

/// All that is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    approval_required: bool,
    findings: Vec<ToldFinding<'a>>,
    changes: &'a [Located],
    not_judged: &'a [NotJudged],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    compared: &'a [Compared],
}

/// A finding.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldFinding<'a> {
    rule: &'static str,
    severity: String,
    leaves_boundary: bool,
    policy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    message: &'a str,
    witness: Option<&'a str>,
    declared: Option<&'a str>,
    suggestion: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    waived: Option<&'a str>,
}

/// Writes a report as one object.
pub(super) fn print(report: &Report) -> Result<String, serde_json::Error> {
    let told = Told {
        approval_required: report.approval_required(),
        findings: report.findings.iter().map(told).collect(),
        changes: &report.changes,
        not_judged: &report.not_judged,
        compared: &report.compared,
    };
    Ok(serde_json::to_string_pretty(&told)? + "\n")
}

fn told(reported: &Reported) -> ToldFinding<'_> {
    let finding = &reported.finding;
    ToldFinding {
        rule: finding.rule.id(),
        severity: finding.severity().to_string(),
        leaves_boundary: finding.leaves_boundary(),
        policy: reported.object.to_string(),
        cluster: reported.cluster.as_deref(),
        file: reported.file.as_deref(),
        line: reported.at.map(|at| at.line),
        column: reported.at.map(|at| at.column),
        message: &finding.message,
        witness: finding.witness.as_deref(),
        declared: finding.declared.as_deref(),
        suggestion: &finding.suggestion,
        waived: finding.waived.as_deref(),
    }
}
