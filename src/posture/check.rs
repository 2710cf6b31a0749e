//! What comes of a question.

use super::cluster_state::Missing;
use super::exception::Excepted;
use super::{InputFile, Question, Severity};

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is as it should be, or the question does not arise.
    Pass,
    /// It is not.
    Fail,
    /// What was given does not tell.
    Unknown,
}

impl Outcome {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

/// A question with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was asked.
    pub question: Question,
    /// What came of it. A failure that is excepted stays one.
    pub outcome: Outcome,
    /// How much it weighs here.
    pub severity: Severity,
    /// What was seen; never empty.
    pub seen: Vec<Seen>,
    /// What has to be known besides.
    pub notes: Vec<String>,
    /// What would tell; never empty where the outcome is unknown, else empty.
    pub tells: Vec<String>,
    /// Commands and steps that mend it, in this order; only where it fails. What begins with `#` is no command.
    pub mend: Vec<String>,
}

impl Check {
    /// Whether it fails, and not all of it is excepted.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.outcome == Outcome::Fail && self.seen.iter().any(|it| it.excepted.is_none())
    }

    /// Whether it fails, and all of it is excepted.
    #[must_use]
    pub fn is_excepted(&self) -> bool {
        self.outcome == Outcome::Fail && !self.counts()
    }
}

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The resource it is about, by its name; None where it is the cluster, or nothing that has a name.
    pub resource: Option<String>,
    /// What was seen, as a sentence without a full stop.
    pub what: String,
    /// The exception that somebody made of it.
    pub excepted: Option<Excepted>,
}

impl Seen {
    pub(super) fn of(resource: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            resource: Some(resource.into()),
            what: what.into(),
            excepted: None,
        }
    }
}

impl From<String> for Seen {
    fn from(what: String) -> Self {
        Self {
            resource: None,
            what,
            excepted: None,
        }
    }
}

impl From<&str> for Seen {
    fn from(what: &str) -> Self {
        what.to_owned().into()
    }
}

/// An answer, before it is known which question it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub outcome: Outcome,
    pub severity: Option<Severity>,
    pub seen: Vec<Seen>,
    pub notes: Vec<String>,
    pub tells: Vec<String>,
    pub mend: Vec<String>,
}

impl Answer {
    fn new(outcome: Outcome, seen: Vec<Seen>) -> Self {
        Self {
            outcome,
            severity: None,
            seen,
            notes: Vec::new(),
            tells: Vec::new(),
            mend: Vec::new(),
        }
    }

    /// It is as it should be.
    pub fn pass(seen: impl Into<Seen>) -> Self {
        Self::new(Outcome::Pass, vec![seen.into()])
    }

    /// It is not.
    pub fn fail(seen: impl Into<Seen>) -> Self {
        Self::new(Outcome::Fail, vec![seen.into()])
    }

    /// It is not, in several places; `all_well` where there is none.
    pub fn fail_each(seen: Vec<Seen>, all_well: impl Into<Seen>) -> Self {
        if seen.is_empty() {
            Self::pass(all_well)
        } else {
            Self::new(Outcome::Fail, seen)
        }
    }

    /// What was given does not tell; a file would.
    pub fn unknown(seen: impl Into<Seen>, file: InputFile) -> Self {
        let mut answer = Self::new(Outcome::Unknown, vec![seen.into()]);
        answer.tells.push(file.to_string());
        answer
    }

    /// Nobody looked into the cluster, which alone tells.
    pub fn without_cluster() -> Self {
        let mut answer = Self::new(
            Outcome::Unknown,
            vec!["nobody looked into the cluster".into()],
        );
        answer.tells.push(LIVE.to_owned());
        answer
    }

    /// What would tell could not be read in the cluster.
    pub fn missing(missing: &Missing) -> Self {
        Self::untold(missing.to_string(), missing.tells())
    }

    /// What was given does not tell; something else than a file would.
    pub fn untold(seen: impl Into<Seen>, tells: impl Into<String>) -> Self {
        let mut answer = Self::new(Outcome::Unknown, vec![seen.into()]);
        answer.tells.push(tells.into());
        answer
    }

    /// The same, where something else would tell as well.
    pub fn or_tells(mut self, tells: &impl ToString) -> Self {
        self.tells.push(tells.to_string());
        self
    }

    /// The same, with something to be known besides.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The same, with another weight than the question's.
    pub fn weighs(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// The same, with a command or step that mends it.
    pub fn mend(mut self, step: impl Into<String>) -> Self {
        if self.outcome == Outcome::Fail {
            self.mend.push(step.into());
        }
        self
    }

    /// As the answer to a question.
    pub fn to(self, question: Question) -> Check {
        Check {
            question,
            outcome: self.outcome,
            severity: self.severity.unwrap_or(question.severity()),
            seen: self.seen,
            notes: self.notes,
            tells: self.tells,
            mend: self.mend,
        }
    }
}

/// What tells of the cluster itself.
pub(super) const LIVE: &str = "--live (your kubeconfig, with the right to list what is asked for)";
