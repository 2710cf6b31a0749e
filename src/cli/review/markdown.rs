//! What is found, for a comment on a pull request.

use std::fmt::Write as _;

use super::super::base::Compared;
use super::declared::Located;
use super::report::{NotJudged, Report, Reported};

/// A pipeline finds its comment by this and writes it anew; people do not see it.
pub(super) const MARKER: &str = "<!-- kubectl-landingzone-review -->";
/// GitHub takes 65,536 characters, Azure DevOps more.
const MAX_CHARACTERS: usize = 60_000;
/// So much of what is not judged is named.
const NAMED: usize = 10;

/// Writes a report; its first line says whether somebody has to approve.
pub(super) fn print(report: &Report) -> String {
    let mut out = report.headline() + "\n\n";
    let mut left_out = write_changes(&mut out, &report.changes);
    let (open, settled): (Vec<_>, Vec<_>) = report.findings.iter().partition(|it| it.counts());
    left_out += write_findings(&mut out, &open);
    if !settled.is_empty() {
        let _ = write!(
            out,
            "<details><summary>declared or waived: {}</summary>\n\n",
            settled.len()
        );
        left_out += write_findings(&mut out, &settled);
        out.push_str("</details>\n\n");
    }
    if left_out > 0 {
        let _ = write!(
            out,
            "… and {left_out} more, which are too many for a comment: see the output of the pipeline\n\n"
        );
    }
    if report.findings.is_empty() && report.changes.is_empty() {
        out.push_str("Nothing found.\n\n");
    }
    out.push_str(&compared(&report.compared));
    out.push_str(&not_judged(&report.not_judged));
    out.push_str(MARKER);
    out.push('\n');
    out
}

/// What was compared with what, where it may not be what is meant.
fn compared(all: &[Compared]) -> String {
    if all.iter().all(Compared::is_plain) {
        return String::new();
    }
    let told: Vec<String> = all.iter().map(|it| text(&it.to_string())).collect();
    format!("Base: {}.\n\n", told.join("; "))
}

/// What nothing is said of, in one line.
fn not_judged(all: &[NotJudged]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let named = all.iter().take(NAMED).map(|it| {
        let count = it.count.map_or_else(String::new, |it| format!("{it} × "));
        let why = if it.decides {
            format!(" ({})", text(&it.why))
        } else {
            String::new()
        };
        let cluster = it.cluster.as_ref();
        let cluster = cluster.map_or_else(String::new, |it| text(&format!("{it}: ")));
        format!("{cluster}{count}{}{why}", code(&it.what))
    });
    let named: Vec<String> = named.collect();
    let more = all.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("Not judged: {}{more}.\n\n", named.join(", "))
}

/// Writes what declarations open and close, those that need approval in the open.
fn write_changes(out: &mut String, changes: &[Located]) -> usize {
    let (crossing, others): (Vec<_>, Vec<_>) =
        changes.iter().partition(|it| it.change.crosses_boundary);
    let mut left_out = 0;
    for located in crossing {
        left_out += usize::from(!add(out, &change(located)));
    }
    if !others.is_empty() {
        let _ = write!(
            out,
            "<details><summary>changes that cross no boundary: {}</summary>\n\n",
            others.len()
        );
        for located in others {
            left_out += usize::from(!add(out, &change(located)));
        }
        out.push_str("</details>\n\n");
    }
    left_out
}

fn change(located: &Located) -> String {
    let change = &located.change;
    let weight = if change.crosses_boundary {
        "**needs approval** "
    } else {
        ""
    };
    let place = code(&located.place());
    let mut out = format!("{weight}{place}: {}\n\n", text(&change.message));
    for (name, reach) in [
        ("before", &change.reach.before),
        ("after", &change.reach.after),
    ] {
        for line in reach {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "- {name}: {}", text(line));
        }
    }
    out.push('\n');
    out
}

/// Adds a text where there is room for it.
fn add(out: &mut String, text: &str) -> bool {
    let has_room = out.len() + text.len() <= MAX_CHARACTERS;
    if has_room {
        out.push_str(text);
    }
    has_room
}

/// Writes as many as there is room for; returns how many there are besides.
fn write_findings(out: &mut String, findings: &[&Reported]) -> usize {
    for (index, reported) in findings.iter().enumerate() {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write_finding(&mut text, reported);
        if !add(out, &text) {
            return findings.len() - index;
        }
    }
    0
}

fn write_finding(out: &mut String, reported: &Reported) -> std::fmt::Result {
    let finding = &reported.finding;
    let approval = reported.why_approved();
    let approval = approval.map_or_else(String::new, |why| format!(", {why}"));
    writeln!(
        out,
        "**{} {}{approval}** in {}, {}\n",
        finding.severity(),
        code(finding.rule.id()),
        code(&reported.object.to_string()),
        code(&reported.place()),
    )?;
    writeln!(out, "{}\n", text(&finding.message))?;
    if let Some(line) = &reported.line {
        let line = line.trim().replace(char::is_control, " ");
        let fence = fence(&line);
        writeln!(out, "{fence}yaml\n{line}\n{fence}\n")?;
    }
    let waived = reported.waived();
    let rows = [
        ("who", finding.witness.as_deref()),
        ("declared", finding.declared.as_deref()),
        ("waived", waived.as_deref()),
        ("instead", Some(finding.suggestion.as_str())),
    ];
    for (name, told) in rows {
        if let Some(told) = told.filter(|told| !told.is_empty()) {
            writeln!(out, "- {name}: {}", text(told))?;
        }
    }
    writeln!(out)
}

/// Text that is nothing but text: no markup, nobody mentioned, no HTML.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            '#' => out.push_str("&#35;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Text in the letters of code. HTML, since a code span of Markdown ends at a backtick.
fn code(told: &str) -> String {
    format!("<code>{}</code>", text(told))
}

/// A fence that is longer than any in a line.
fn fence(line: &str) -> String {
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_nothing_but_text() {
        assert_eq!(
            text("@team <!-- x --> [a](b) `c` #1\n* y"),
            "&#64;team &lt;!-- x --&gt; \\[a\\](b) \\`c\\` &#35;1 \\* y"
        );
    }

    #[test]
    fn no_line_ends_its_fence() {
        assert_eq!(fence("a: b"), "```");
        assert_eq!(fence("a: ```` x"), "`````");
    }
}
