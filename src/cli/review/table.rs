//! What is found, for people at a terminal.

use std::fmt::Write as _;

use super::super::finding::excerpt;
use super::declared::Located;
use super::report::{Report, Reported};
use crate::review::Severity;

/// Writes each finding with its line, and a count at the end.
pub(super) fn print(report: &Report) -> String {
    let mut out = String::new();
    for reported in &report.findings {
        // Writing to a String cannot fail.
        let _ = write_finding(&mut out, reported);
        out.push('\n');
    }
    for located in &report.changes {
        let _ = write_change(&mut out, located);
        out.push('\n');
    }
    // What is told of declarations is something.
    if report.changes.is_empty() || !report.findings.is_empty() {
        let _ = writeln!(out, "{}", count(report));
    }
    let _ = writeln!(out, "{}", report.headline());
    out
}

fn write_finding(out: &mut String, reported: &Reported) -> std::fmt::Result {
    let finding = &reported.finding;
    let place = reported.place();
    let message = one_line(&finding.message);
    let (severity, rule) = (finding.severity(), finding.rule);
    let approval = reported.why_approved();
    let approval = approval.map_or_else(String::new, |why| format!(" ({why})"));
    writeln!(out, "{place}: {severity}[{rule}]{approval}: {message}")?;
    let line = reported.line.as_deref().zip(reported.at);
    if let Some(excerpt) = line.and_then(|(line, at)| excerpt(line, at)) {
        writeln!(out, "{excerpt}")?;
    }
    writeln!(
        out,
        "  in        {}",
        one_line(&reported.object.to_string())
    )?;
    let waived = reported.waived();
    let rows = [
        ("who", finding.witness.as_deref()),
        ("declared", finding.declared.as_deref()),
        ("waived", waived.as_deref()),
        ("instead", Some(finding.suggestion.as_str())),
    ];
    for (name, text) in rows {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let text = one_line(text);
            let lines = match name {
                "instead" => steps(&text),
                _ => vec![text.as_str()],
            };
            let mut lines = lines.into_iter();
            writeln!(out, "  {name:<9} {}", lines.next().unwrap_or_default())?;
            for line in lines {
                writeln!(out, "  {:<9} {line}", "")?;
            }
        }
    }
    Ok(())
}

/// Characters of a line with all that is to be done; what is longer stands in several, one for each step.
const WIDEST: usize = 100;

/// The steps of what is to be done, each in a line of its own: what is copied into a file is never broken.
fn steps(text: &str) -> Vec<&str> {
    if text.chars().count() <= WIDEST {
        return vec![text];
    }
    let mut steps = Vec::new();
    let mut rest = text;
    while let Some((at, gap)) = next_step(rest) {
        let (step, behind) = rest.split_at(at);
        steps.push(step);
        rest = behind.get(gap..).unwrap_or_default();
    }
    steps.push(rest);
    steps
}

/// Where the next step begins, and how much stands between: never within quotes.
fn next_step(text: &str) -> Option<(usize, usize)> {
    let mut is_quoted = false;
    for (at, c) in text.char_indices() {
        let is_joint = |joint: &str| !is_quoted && text[at..].starts_with(joint);
        if c == '"' {
            is_quoted = !is_quoted;
        } else if is_joint("; ") || is_joint(", and declare in ") {
            return Some((at + 1, 1));
        }
    }
    None
}

fn write_change(out: &mut String, located: &Located) -> std::fmt::Result {
    let change = &located.change;
    let weight = if change.crosses_boundary {
        "needs approval"
    } else {
        "changed"
    };
    let message = one_line(&change.message);
    writeln!(out, "{}: {weight}: {message}", located.place())?;
    for (name, reach) in [
        ("before", &change.reach.before),
        ("after", &change.reach.after),
    ] {
        for line in reach {
            writeln!(out, "  {name:<9} {}", one_line(line))?;
        }
    }
    Ok(())
}

/// Without what a terminal would obey.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn count(report: &Report) -> String {
    let of = |severity| {
        let findings = report.findings.iter();
        findings
            .filter(|it| it.finding.severity() == severity)
            .count()
    };
    let severities = [
        (of(Severity::Error), "error"),
        (of(Severity::Warning), "warning"),
        (of(Severity::Note), "note"),
    ];
    let parts: Vec<String> = severities
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if parts.is_empty() {
        "nothing found".to_owned()
    } else {
        parts.join(", ")
    }
}
