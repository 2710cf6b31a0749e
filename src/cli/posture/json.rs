//! The report, for programs.

use serde::Serialize;

use super::report::Report;
use crate::posture::{Check, Control, Seen};

/// All that is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    today: String,
    is_whole: bool,
    fail: usize,
    excepted: usize,
    unknown: usize,
    pass: usize,
    checks: Vec<ToldCheck<'a>>,
    exceptions: Vec<ToldException<'a>>,
}

/// A question with its answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldCheck<'a> {
    id: &'static str,
    title: &'static str,
    outcome: &'static str,
    is_excepted: bool,
    severity: String,
    seen: Vec<ToldSeen<'a>>,
    notes: &'a [String],
    would_tell: &'a [String],
    why: &'static str,
    mend: &'a [String],
    controls: Vec<ToldControl>,
    source: ToldSource,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldSeen<'a> {
    resource: Option<&'a str>,
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<ToldReason<'a>>,
}

#[derive(Serialize)]
struct ToldReason<'a> {
    reason: &'a str,
    expires: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldControl {
    benchmark: &'static str,
    version: &'static str,
    id: &'static str,
    is_own_mapping: bool,
}

#[derive(Serialize)]
struct ToldSource {
    article: &'static str,
    number: u8,
    part: &'static str,
}

/// What has to be known of an exception.
#[derive(Serialize)]
struct ToldException<'a> {
    place: &'a str,
    message: &'a str,
}

/// Writes a report as one object.
pub(super) fn print(report: &Report) -> Result<String, serde_json::Error> {
    let counts = report.counts();
    let notes = report.notes.iter();
    let told = Told {
        today: report.today.to_string(),
        is_whole: report.is_whole,
        fail: counts.fail,
        excepted: counts.excepted,
        unknown: counts.unknown,
        pass: counts.pass,
        checks: report.checks.iter().map(told).collect(),
        exceptions: notes
            .map(|(place, message)| ToldException { place, message })
            .collect(),
    };
    Ok(serde_json::to_string_pretty(&told)? + "\n")
}

fn told(check: &Check) -> ToldCheck<'_> {
    let question = check.question;
    let source = question.source();
    ToldCheck {
        id: question.id(),
        title: question.title(),
        outcome: check.outcome.word(),
        is_excepted: check.is_excepted(),
        severity: check.severity.to_string(),
        seen: check.seen.iter().map(seen).collect(),
        notes: &check.notes,
        would_tell: &check.tells,
        why: question.why(),
        mend: &check.mend,
        controls: question.controls().iter().map(control).collect(),
        source: ToldSource {
            article: source.article.title(),
            number: source.article.number(),
            part: source.part,
        },
    }
}

fn seen(seen: &Seen) -> ToldSeen<'_> {
    ToldSeen {
        resource: seen.resource.as_deref(),
        what: &seen.what,
        exception: seen.excepted.as_ref().map(|it| ToldReason {
            reason: &it.reason,
            expires: it.expires.to_string(),
        }),
    }
}

fn control(control: &Control) -> ToldControl {
    ToldControl {
        benchmark: control.benchmark.name(),
        version: control.benchmark.version(),
        id: control.id,
        is_own_mapping: control.is_own_mapping,
    }
}
