//! The report, for people at a terminal.

use std::fmt::Write as _;

use super::report::{Report, seen, word};
use crate::cli::terminal::Tint;
use crate::posture::{Check, Outcome};

/// Writes each check, those that pass in a line, and a count at the end. Codes for colours are in it.
pub(super) fn print(report: &Report) -> String {
    let mut out = String::new();
    let mut last = None;
    for check in report.by_weight() {
        // What is told at length stands apart.
        let is_long = check.outcome != Outcome::Pass;
        if last.is_some_and(|last| last || is_long) {
            out.push('\n');
        }
        last = Some(is_long);
        // Writing to a String cannot fail.
        let _ = write_check(&mut out, check);
    }
    let _ = writeln!(out, "\n{}", report.headline());
    out
}

fn write_check(out: &mut String, check: &Check) -> std::fmt::Result {
    let question = check.question;
    let (id, title) = (question.id(), question.title());
    let style = tint(check).style();
    let weight = match check.outcome {
        Outcome::Pass => String::new(),
        Outcome::Fail | Outcome::Unknown => format!(" ({})", check.severity),
    };
    writeln!(out, "{style}{}{style:#} {id}{weight}: {title}", word(check))?;
    rows(out, "seen", seen(check))?;
    rows(out, "note", check.notes.iter().cloned())?;
    rows(out, "tells", check.tells.iter().cloned())?;
    // The rest is for whoever has something to mend; other forms have it always.
    if check.outcome != Outcome::Fail {
        return Ok(());
    }
    rows(out, "why", [question.why().to_owned()])?;
    rows(out, "mend", check.mend.iter().cloned())?;
    let source = question.source();
    let controls = question.controls().iter().map(ToString::to_string);
    rows(out, "control", controls)?;
    rows(
        out,
        "source",
        [format!("{} ({source})", source.article.title())],
    )
}

/// Lines with a name before the first one.
fn rows(out: &mut String, name: &str, texts: impl IntoIterator<Item = String>) -> std::fmt::Result {
    for (at, text) in texts.into_iter().enumerate() {
        let name = if at == 0 { name } else { "" };
        writeln!(out, "  {name:<8} {}", text.replace(char::is_control, " "))?;
    }
    Ok(())
}

fn tint(check: &Check) -> Tint {
    match check.outcome {
        Outcome::Fail if check.counts() => Tint::Bad,
        Outcome::Fail | Outcome::Unknown => Tint::Waiting,
        Outcome::Pass => Tint::Good,
    }
}
