//! The report as one page that loads nothing and runs no script.

use std::fmt::Write as _;

use super::report::{Report, seen, word};
use crate::cli::html::escaped;
use crate::posture::{Check, Outcome};

/// The page without what it shows.
const PAGE: &str = include_str!("page.html");

/// Writes the page.
pub(super) fn print(report: &Report) -> String {
    let mut rows = String::new();
    for check in report.by_weight() {
        // Writing to a String cannot fail.
        let _ = write_row(&mut rows, check);
    }
    let mut notes = String::new();
    for (place, message) in &report.notes {
        let _ = writeln!(notes, "<p>{}: {}</p>", escaped(place), escaped(message));
    }
    if !report.is_whole {
        notes.push_str("<p>Not all could be read that was given: this report is not whole.</p>\n");
    }
    // What is put in is escaped, and holds no mark of ours.
    PAGE.replace("<!--day-->", &report.today.to_string())
        .replace("<!--headline-->", &escaped(&report.headline()))
        .replace("<!--notes-->", &notes)
        .replace("<!--rows-->", &rows)
}

fn write_row(out: &mut String, check: &Check) -> std::fmt::Result {
    let question = check.question;
    let word = word(check);
    let weight = match check.outcome {
        Outcome::Pass => String::new(),
        Outcome::Fail | Outcome::Unknown => check.severity.to_string(),
    };
    write!(
        out,
        "<tr class=\"{word}\"><td>{word}</td><td>{weight}</td><td><b>{}</b><br><code>{}</code></td><td>",
        escaped(question.title()),
        question.id()
    )?;
    for text in seen(check) {
        write!(out, "<p>{}</p>", escaped(&text))?;
    }
    for note in &check.notes {
        write!(out, "<p class=\"note\">{}</p>", escaped(note))?;
    }
    for tells in &check.tells {
        write!(out, "<p>Would tell: {}</p>", escaped(tells))?;
    }
    if check.outcome != Outcome::Pass {
        write!(out, "<p>{}</p>", escaped(question.why()))?;
    }
    if !check.mend.is_empty() {
        let steps: Vec<String> = check.mend.iter().map(|it| escaped(it)).collect();
        write!(
            out,
            "<details><summary>How to mend it</summary><pre>{}</pre></details>",
            steps.join("\n")
        )?;
    }
    let controls = question.controls().iter().map(ToString::to_string);
    let controls: Vec<String> = controls.map(|it| escaped(&it)).collect();
    let source = question.source();
    writeln!(
        out,
        "</td><td>{}</td><td title=\"{}\">{source}</td></tr>",
        controls.join("<br>"),
        escaped(source.article.title())
    )
}
