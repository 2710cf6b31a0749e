//! A tree of texts, each wrapped at the width of the terminal.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{Look, Tint};

/// A text with others below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Tree {
    pieces: Vec<(Tint, String)>,
    below: Vec<Tree>,
}

impl Tree {
    /// A text, in which nothing stands out.
    pub(in crate::cli) fn new(text: impl Into<String>) -> Self {
        Self::default().then(Tint::Plain, text)
    }

    /// A text that says something at a glance.
    pub(in crate::cli) fn tinted(tint: Tint, text: impl Into<String>) -> Self {
        Self::default().then(tint, text)
    }

    /// The same, with more text behind it, after a space.
    #[must_use]
    pub(in crate::cli) fn then(mut self, tint: Tint, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.pieces.push((tint, text));
        }
        self
    }

    /// Adds a tree below this one.
    pub(in crate::cli) fn add(&mut self, tree: Self) {
        self.below.push(tree);
    }

    /// Adds a heading with trees below it; nothing where there are none.
    pub(in crate::cli) fn section(&mut self, name: &str, below: Vec<Self>) {
        if !below.is_empty() {
            let mut section = Self::tinted(Tint::Strong, name);
            section.below = below;
            self.below.push(section);
        }
    }

    /// Writes it, a line break at its end. Codes for colours are in it.
    #[must_use]
    pub(in crate::cli) fn print(&self, look: Look) -> String {
        let mut out = String::new();
        self.write(&mut out, look, "", "");
        out
    }

    fn write(&self, out: &mut String, look: Look, first: &str, rest: &str) {
        let (branch, last, trunk, gap) = if look.unicode {
            ("├─ ", "└─ ", "│  ", "   ")
        } else {
            ("|- ", "`- ", "|  ", "   ")
        };
        // Below a root the second line stands as far in as what is below it.
        let under = if self.below.is_empty() { gap } else { trunk };
        let room = look.width.saturating_sub(rest.width() + under.width());
        let lines = self.lines(look, look.width.saturating_sub(first.width()), room);
        for (position, line) in lines.iter().enumerate() {
            if position == 0 {
                out.push_str(first);
            } else {
                out.push_str(rest);
                out.push_str(under);
            }
            for (index, (tint, word)) in line.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                let style = tint.style();
                // Writing to a String cannot fail.
                let _ = write!(out, "{style}{word}{style:#}");
            }
            out.push('\n');
        }
        for (position, tree) in self.below.iter().enumerate() {
            let is_last = position + 1 == self.below.len();
            let (own, further) = if is_last {
                (last, gap)
            } else {
                (branch, trunk)
            };
            tree.write(
                out,
                look,
                &format!("{rest}{own}"),
                &format!("{rest}{further}"),
            );
        }
    }

    /// Its words, line by line: the first line has its own room.
    fn lines(&self, look: Look, first: usize, room: usize) -> Vec<Vec<(Tint, String)>> {
        let mut lines = vec![Vec::new()];
        let mut left = first;
        for (tint, text) in &self.pieces {
            for word in shown(text, look).split_whitespace() {
                let mut word = word;
                loop {
                    let is_first = lines.last().is_some_and(Vec::is_empty);
                    let gap = usize::from(!is_first);
                    if word.width() + gap <= left {
                        left -= word.width() + gap;
                        push(&mut lines, *tint, word);
                        break;
                    }
                    // A word that fits no line is broken where the line ends.
                    if is_first || word.width() > room {
                        let end = fitting(word, left.saturating_sub(gap).max(1));
                        if is_first || end >= LEAST {
                            push(&mut lines, *tint, &word[..end]);
                            word = &word[end..];
                        }
                    }
                    lines.push(Vec::new());
                    left = room;
                    if word.is_empty() {
                        break;
                    }
                }
            }
        }
        lines
    }
}

/// Less than so many bytes of a long word are not worth breaking it.
const LEAST: usize = 8;

fn push(lines: &mut [Vec<(Tint, String)>], tint: Tint, word: &str) {
    if let Some(line) = lines.last_mut() {
        line.push((tint, word.to_owned()));
    }
}

/// How many bytes of a word fit into so many columns; at least its first character.
fn fitting(word: &str, columns: usize) -> usize {
    let mut taken = 0;
    for (position, c) in word.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken > columns && position > 0 {
            return position;
        }
    }
    word.len()
}

/// A text on one line, cut where the line ends.
pub(in crate::cli) fn cut(text: &str, look: Look) -> String {
    let text = shown(text, look);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.width() <= look.width {
        return text;
    }
    let more = if look.unicode { "…" } else { "..." };
    let end = fitting(&text, look.width.saturating_sub(more.width()));
    format!("{}{more}", text[..end].trim_end())
}

/// Without what a terminal would obey, or read backwards.
fn shown(text: &str, look: Look) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push(' '),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            '…' if !look.unicode => out.push_str("..."),
            '→' if !look.unicode => out.push_str("->"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ASCII: Look = Look {
        unicode: false,
        width: 30,
    };
    const UNICODE: Look = Look {
        unicode: true,
        width: 30,
    };

    fn plain(tree: &Tree, look: Look) -> String {
        anstream::adapter::strip_str(&tree.print(look)).to_string()
    }

    fn sample() -> Tree {
        let mut tree = Tree::tinted(Tint::Bad, "act now:").then(Tint::Plain, "a b c");
        tree.section("nothing", Vec::new());
        tree.section(
            "conditions",
            vec![
                Tree::tinted(Tint::Good, "Ready").then(Tint::Plain, "everything is in the cluster"),
                Tree::new("Contested"),
            ],
        );
        tree.add(Tree::new("supercalifragilisticexpialidocious and more"));
        tree
    }

    #[test]
    fn a_tree_is_wrapped_and_its_lines_go_on() {
        let expected = "act now: a b c\n\
                        |- conditions\n\
                        |  |- Ready everything is in\n\
                        |  |     the cluster\n\
                        |  `- Contested\n\
                        `- supercalifragilisticexpiali\n\
                        \x20     docious and more\n";
        assert_eq!(plain(&sample(), ASCII), expected);
        let printed = plain(&sample(), UNICODE);
        assert!(printed.contains("│  ├─ Ready everything is in\n│  │     the cluster\n"));
        assert!(printed.contains("└─ supercali"), "{printed}");
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_shown() {
        let tree = Tree::new("a\u{1b}[31mb\r\nc\u{202e}d … →");
        assert_eq!(plain(&tree, UNICODE), "a [31mb cd … →\n");
        assert_eq!(plain(&tree, ASCII), "a [31mb cd ... ->\n");
    }

    #[test]
    fn a_line_is_cut_where_it_ends() {
        assert_eq!(cut("short", ASCII), "short");
        let long = "a b ".repeat(20);
        assert_eq!(cut(&long, ASCII), "a b a b a b a b a b a b a b...");
        assert_eq!(cut(&"漢".repeat(40), UNICODE), "漢".repeat(14) + "…");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            texts in proptest::collection::vec("[a-zä漢🦀 ]{0,90}", 1..6),
            unicode: bool,
        ) {
            let mut tree = Tree::new(texts[0].clone());
            for text in &texts[1..] {
                let mut below = Tree::new(text.clone());
                below.section("below", vec![Tree::new(text.clone())]);
                tree.add(below);
            }
            let printed = plain(&tree, Look { unicode, width: 30 });
            for line in printed.lines() {
                prop_assert!(line.width() <= 30, "{line:?}");
            }
            let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
            let below: usize = texts[1..].iter().map(|it| 2 * letters(it) + 5).sum();
            prop_assert_eq!(letters(&printed), letters(&texts[0]) + below);
        }
    }
}
