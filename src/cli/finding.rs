//! What is wrong with the input, as compilers say it.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use super::document::{Flaw, Position};
use super::source::SourceFile;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, as its path was given.
    pub file: String,
    /// The place in the file, where there is one.
    pub at: Option<Position>,
    /// What is wrong: field, value, rule and way out.
    pub message: String,
}

impl Finding {
    /// Something that is wrong with a whole file.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            at: None,
            message: message.into(),
        }
    }

    /// Something that is wrong at a place of a file.
    pub fn of_flaw(file: impl Into<String>, flaw: &Flaw) -> Self {
        Self {
            file: file.into(),
            at: Some(flaw.at),
            message: flaw.message(),
        }
    }

    /// The line of `text` that is meant, and a mark below it; nothing where there is no such line.
    #[must_use]
    pub fn excerpt(&self, text: &str) -> Option<String> {
        let at = self.at?;
        let mut lines = text.trim_start_matches('\u{feff}').lines();
        excerpt(lines.nth(at.line.checked_sub(1)?)?, at)
    }
}

/// A line of a file, and a mark below its column; nothing where that is far to the right.
#[must_use]
pub fn excerpt(line: &str, at: Position) -> Option<String> {
    // Tabs stay tabs, so that the mark stands below what it marks.
    let indent: String = line
        .chars()
        .take(at.column.saturating_sub(1).min(EXCERPT_WIDTH))
        .map(|c| if c == '\t' { c } else { ' ' })
        .collect();
    let shown: String = line
        .chars()
        .take(EXCERPT_WIDTH)
        .map(|c| if c.is_control() && c != '\t' { ' ' } else { c })
        .collect();
    if indent.chars().count() >= EXCERPT_WIDTH {
        return None;
    }
    Some(format!("{:>6} | {shown}\n       | {indent}^", at.line))
}

const EXCERPT_WIDTH: usize = 160;

/// Writes one line for each finding; people at a terminal see the line that is meant below it.
pub fn report(
    stderr: &mut dyn Write,
    findings: &[Finding],
    files: &[SourceFile],
) -> io::Result<()> {
    let at_terminal = io::stderr().is_terminal();
    for finding in findings {
        writeln!(stderr, "{finding}")?;
        let file = files.iter().find(|file| file.name == finding.file);
        if at_terminal && let Some(excerpt) = file.and_then(|file| finding.excerpt(&file.text)) {
            writeln!(stderr, "{excerpt}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{}:{at}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FieldPath;

    fn finding(line: usize, column: usize, path: FieldPath) -> Finding {
        Finding::of_flaw(
            "a.yaml",
            &Flaw::new(Position { line, column }, path, "x\u{1b}\ny", "must be z"),
        )
    }

    #[test]
    fn a_finding_is_one_line_that_no_terminal_obeys() {
        let path = FieldPath::default().key("spec").key("name");
        assert_eq!(
            finding(3, 7, path).to_string(),
            "a.yaml:3:7: spec.name: \"x  y\": must be z"
        );
        assert_eq!(
            finding(3, 7, FieldPath::default()).to_string(),
            "a.yaml:3:7: \"x  y\": must be z"
        );
    }

    #[test]
    fn the_mark_stands_below_what_is_meant() {
        let finding = finding(2, 4, FieldPath::default());
        assert_eq!(
            finding.excerpt("a: 1\n\tb: x\r\n").unwrap(),
            "     2 | \tb: x\n       | \t  ^"
        );
        assert_eq!(finding.excerpt("a: 1\n"), None);
    }
}
