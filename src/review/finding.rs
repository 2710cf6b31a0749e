//! What is found in a policy, told so that its author can mend it and an analyst can decide.

use std::fmt;
use std::sync::Arc;

use super::opening::Opening;
use super::{Fatal, Rule, Severity, Unread};
use crate::domain::FieldPath;

/// One thing that is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// By which rule.
    pub rule: Rule,
    /// Where, from the root of the object.
    pub path: FieldPath,
    /// What is wrong, as a sentence without a full stop; it names what is written there.
    pub message: String,
    /// Who would get through, in words; None where the rule is not about that, or nobody can be named.
    pub witness: Option<String>,
    /// What the landing zone or the platform declares and what covers it; None: nothing does, so it stays closed.
    pub declared: Option<String>,
    /// How to write it instead, or what to declare.
    pub suggestion: String,
    /// Why it is waived; None: it is not.
    pub waived: Option<String>,
    /// What the rule opens that it is about, which decides whether a change opens more; None where it is about none.
    pub opening: Option<Arc<Opening>>,
}

impl Finding {
    /// Something that nobody is named to get through, and that nothing declares or waives.
    #[must_use]
    pub fn new(
        rule: Rule,
        path: FieldPath,
        message: impl Into<String>,
        suggestion: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            path,
            message: message.into(),
            witness: None,
            declared: None,
            suggestion: suggestion.into(),
            waived: None,
            opening: None,
        }
    }

    /// How much it weighs: what is declared or waived is a note.
    #[must_use]
    pub fn severity(&self) -> Severity {
        if self.declared.is_some() || self.waived.is_some() {
            Severity::Note
        } else {
            self.rule.severity()
        }
    }

    /// Whether something outside gets through, declared or not.
    #[must_use]
    pub fn leaves_boundary(&self) -> bool {
        self.rule.leaves_boundary()
    }

    /// Whether it leaves the boundary, or ends what enforces it, and nothing declares that, and nobody waived it.
    #[must_use]
    pub fn needs_approval(&self) -> bool {
        self.rule.needs_approval() && self.declared.is_none() && self.waived.is_none()
    }
}

/// Of what cannot be read nobody can say what becomes of it.
impl From<&Unread> for Finding {
    fn from(unread: &Unread) -> Self {
        Self::new(
            Rule::Invalid,
            unread.path.clone(),
            format!(
                "it cannot be read ({}), so nobody can say what becomes of it, and it has to be taken for open",
                unread.why
            ),
            "correct it",
        )
    }
}

/// What Felix ends on.
impl From<&Fatal> for Finding {
    fn from(fatal: &Fatal) -> Self {
        Self::new(
            Rule::BreaksFelix,
            fatal.path.clone(),
            format!(
                "{}: Felix 3.28 ends on every node that has a pod concerned, and again whenever it starts",
                fatal.why
            ),
            fatal.instead.to_owned(),
        )
    }
}

/// In one line, without the place: `code-wrong: …; a pod … could …; …`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.message)?;
        if let Some(witness) = &self.witness {
            write!(f, "; {witness}")?;
        }
        if let Some(declared) = &self.declared {
            write!(f, "; declared: {declared}")?;
        }
        if !self.suggestion.is_empty() {
            write!(f, "; {}", self.suggestion)?;
        }
        Ok(())
    }
}
