//! YAML and JSON files as trees in which every value knows its line and column.
//!
//! The values are those that Kubernetes reads from the same text. Where its readers disagree with
//! one another (`yes`, `012`, `1_000`), and where a text means less than it seems to (a key that is
//! written twice), the tree carries a [`Flaw`], which counts only in documents that are ours.

mod node;
mod parse;
mod scalar;

use std::fmt;

pub use node::{Content, Entry, Node};
pub use parse::{Stream, parse};
pub use scalar::is_read_differently;

use crate::domain::{FieldPath, Problem};

/// A place in a file, counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it says.
    pub root: Node,
    /// What is wrong with how it says it.
    pub flaws: Vec<Flaw>,
}

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Where it is written.
    pub at: Position,
    /// What is wrong, by field.
    pub problem: Problem,
}

impl Flaw {
    /// A rule that what is written at a place breaks.
    pub fn new(
        at: Position,
        path: FieldPath,
        value: impl Into<String>,
        rule: impl Into<String>,
    ) -> Self {
        Self {
            at,
            problem: Problem {
                path,
                value: value.into(),
                rule: rule.into(),
            },
        }
    }

    /// What is wrong, on one line and without what a terminal would obey.
    #[must_use]
    pub fn message(&self) -> String {
        let Problem { path, value, rule } = &self.problem;
        let message = if !path.0.is_empty() {
            self.problem.to_string()
        } else if value.is_empty() {
            rule.clone()
        } else {
            format!("\"{value}\": {rule}")
        };
        message.replace(char::is_control, " ")
    }
}

#[cfg(test)]
mod tests;
