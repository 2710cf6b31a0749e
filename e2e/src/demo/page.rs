//! What the reader sees: at most 100 columns, in colour where a terminal wants it.

use std::fmt::Display;
use std::io::{Stdout, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

const WIDTH: usize = 100;
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NAME: Style = AnsiColor::Cyan.on_default();

/// The page, and what was claimed on it.
pub(super) struct Page {
    out: anstream::AutoStream<Stdout>,
    headings: usize,
    checked: usize,
    failed: Vec<String>,
}

/// A line of a tree with what is below it.
#[derive(Debug)]
pub(super) struct Branch {
    name: String,
    text: String,
    below: Vec<Branch>,
}

impl Branch {
    pub(super) fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
            below: Vec::new(),
        }
    }

    pub(super) fn over(mut self, below: Vec<Branch>) -> Self {
        self.below = below;
        self
    }
}

impl Page {
    pub(super) fn new() -> Self {
        Self {
            out: anstream::stdout(),
            headings: 0,
            checked: 0,
            failed: Vec::new(),
        }
    }

    /// How many facts were claimed.
    pub(super) fn checked(&self) -> usize {
        self.checked
    }

    /// Those that did not hold.
    pub(super) fn failed(&self) -> &[String] {
        &self.failed
    }

    pub(super) fn title(&mut self, text: &str) {
        self.print(format_args!("\n{BOLD}{text}{BOLD:#}"));
    }

    /// Begins the next part.
    pub(super) fn heading(&mut self, text: &str) {
        self.headings += 1;
        let number = self.headings;
        self.print(format_args!("\n{BOLD}{number}. {text}{BOLD:#}"));
    }

    /// A paragraph.
    pub(super) fn say(&mut self, text: &str) {
        for line in wrapped(text, WIDTH - 3) {
            self.print(format_args!("   {line}"));
        }
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.print("");
    }

    /// A command that the reader can type.
    pub(super) fn command(&mut self, line: &str) {
        self.print(format_args!("   {DIM}${DIM:#} {line}"));
    }

    /// Text as a program wrote it.
    pub(super) fn verbatim(&mut self, text: &str) {
        for line in text.lines() {
            self.print(format_args!("     {line}"));
        }
    }

    /// Claims something, and remembers when it does not hold.
    pub(super) fn fact(&mut self, holds: bool, text: &str) {
        self.checked += 1;
        let (style, mark) = if holds { (GOOD, '✓') } else { (BAD, '✗') };
        self.hanging(&format!("   {style}{mark}{style:#} "), 5, text);
        if !holds {
            self.failed.push(text.to_owned());
        }
    }

    /// Claims that something came out as expected; says why not where it did not.
    pub(super) fn outcome<T>(&mut self, text: &str, result: anyhow::Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.fact(true, text);
                Some(value)
            }
            Err(error) => {
                self.fact(false, &format!("{text} But: {error:#}"));
                None
            }
        }
    }

    /// Repeats a fact that did not hold.
    pub(super) fn failure(&mut self, text: &str) {
        self.hanging(&format!("   {BAD}✗{BAD:#} "), 5, text);
    }

    /// Names with what is said about each, below each other.
    pub(super) fn entries(&mut self, entries: &[(&str, &str)]) {
        let column = entries.iter().map(|(name, _)| width(name)).max();
        let column = column.unwrap_or_default();
        for (name, text) in entries {
            let start = format!("   {NAME}{name:<column$}{NAME:#}  ");
            self.hanging(&start, column + 5, text);
        }
    }

    pub(super) fn tree(&mut self, root: &Branch) {
        self.hanging(
            &format!("   {BOLD}{}{BOLD:#}  ", root.name),
            5 + width(&root.name),
            &root.text,
        );
        self.print_below(&root.below, "   ");
    }

    fn print_below(&mut self, branches: &[Branch], indent: &str) {
        let column = branches.iter().map(|branch| width(&branch.name)).max();
        let column = column.unwrap_or_default();
        for (index, branch) in branches.iter().enumerate() {
            let last = index + 1 == branches.len();
            let (fork, below) = if last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let rail = if branch.below.is_empty() { " " } else { "│" };
            let inner = format!("{indent}{below}");
            let Branch { name, text, .. } = branch;
            let room = WIDTH.saturating_sub(width(&inner) + column + 2);
            for (index, line) in wrapped(text, room).iter().enumerate() {
                if index == 0 {
                    let style = if branch.below.is_empty() { NAME } else { BOLD };
                    let pad = column - width(name);
                    self.print(format_args!(
                        "{DIM}{indent}{fork}{DIM:#}{style}{name}{style:#}{:pad$}  {line}",
                        ""
                    ));
                } else {
                    let pad = column + 1;
                    self.print(format_args!("{DIM}{inner}{rail}{DIM:#}{:pad$}{line}", ""));
                }
            }
            self.print_below(&branch.below, &inner);
        }
    }

    /// Prints text after a start of `column` columns, further lines below each other.
    fn hanging(&mut self, start: &str, column: usize, text: &str) {
        for (index, line) in wrapped(text, WIDTH - column).iter().enumerate() {
            if index == 0 {
                self.print(format_args!("{start}{line}"));
            } else {
                self.print(format_args!("{:column$}{line}", ""));
            }
        }
    }

    /// Whoever closed the other end of a pipe has read enough, and the demo goes on to its end.
    fn print(&mut self, line: impl Display) {
        let _ = writeln!(self.out, "{line}");
    }
}

/// The words in lines of at most `room` columns; a longer word stands alone. At least one line.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.len() - 1;
        let line = &mut lines[line];
        if line.is_empty() {
            line.push_str(word);
        } else if width(line) + 1 + width(word) <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// All that is shown is one column wide for each character.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// A time as people read it.
pub(super) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f32())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("immeasurable a", 4), ["immeasurable", "a"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("→ → →", 3), ["→ →", "→"]);
    }

    #[test]
    fn times_are_short() {
        assert_eq!(seconds(Duration::from_micros(23_400)), "23 ms");
        assert_eq!(seconds(Duration::from_millis(1_260)), "1.3 s");
    }

    #[test]
    fn a_fact_that_does_not_hold_is_remembered() {
        let mut page = Page::new();
        page.fact(true, "it holds");
        page.outcome::<()>("it works.", Err(anyhow::anyhow!("it does not")));
        assert_eq!(page.checked(), 2);
        assert_eq!(page.failed(), ["it works. But: it does not"]);
    }
}
