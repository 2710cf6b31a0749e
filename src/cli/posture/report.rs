//! What is told, whatever the form of output.

use jiff::civil::Date;

use crate::posture::{Check, InputFile, Outcome, Severity};

/// Everything that is told.
#[derive(Debug)]
pub(super) struct Report {
    /// All questions with their answers, in the order of the catalogue.
    pub checks: Vec<Check>,
    /// The day for which it is told.
    pub today: Date,
    /// What the files are called that were given.
    pub files: Vec<(InputFile, String)>,
    /// What has to be known of exceptions: where one is declared, and what.
    pub notes: Vec<(String, String)>,
    /// Whether all could be read that was given.
    pub is_whole: bool,
}

/// How many have which answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub fail: usize,
    pub excepted: usize,
    pub unknown: usize,
    pub pass: usize,
}

impl Report {
    /// The file that answers a question, or else the first one that was given; None where none was.
    pub fn file(&self, check: &Check) -> Option<&str> {
        let input = InputFile::of(check.question);
        let found = self.files.iter().find(|(it, _)| Some(*it) == input);
        found.or(self.files.first()).map(|(_, name)| name.as_str())
    }

    /// Whether something fails that is not excepted.
    pub fn fails(&self) -> bool {
        self.checks.iter().any(Check::counts)
    }

    /// Whether something is unknown.
    pub fn is_partial(&self) -> bool {
        self.checks.iter().any(|it| it.outcome == Outcome::Unknown)
    }

    /// How many have which answer.
    pub fn counts(&self) -> Counts {
        let count = |is_it: fn(&Check) -> bool| self.checks.iter().filter(|it| is_it(it)).count();
        Counts {
            fail: count(Check::counts),
            excepted: count(Check::is_excepted),
            unknown: count(|it| it.outcome == Outcome::Unknown),
            pass: count(|it| it.outcome == Outcome::Pass),
        }
    }

    /// The checks as people read them: what fails first, then what is unknown, what is excepted and what passes; each by weight.
    pub fn by_weight(&self) -> Vec<&Check> {
        let mut checks: Vec<&Check> = self.checks.iter().collect();
        let rank = |check: &Check| match check.outcome {
            Outcome::Fail if check.counts() => 0,
            Outcome::Unknown => 1,
            Outcome::Fail => 2,
            Outcome::Pass => 3,
        };
        checks.sort_by_key(|it| (rank(it), std::cmp::Reverse(it.severity)));
        checks
    }

    /// One line that says it all.
    pub fn headline(&self) -> String {
        let Counts {
            fail,
            excepted,
            unknown,
            pass,
        } = self.counts();
        let high = self
            .checks
            .iter()
            .filter(|it| it.counts() && it.severity == Severity::High)
            .count();
        let parts = [
            (fail > 0)
                .then(|| format!("{fail} of {} fail, {high} of them high", self.checks.len())),
            (fail == 0).then(|| "nothing fails".to_owned()),
            (excepted > 0).then(|| format!("{excepted} excepted")),
            (unknown > 0).then(|| format!("{unknown} unknown")),
            Some(format!("{pass} pass")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join(", ")
    }
}

/// The word for what came of a question.
pub(super) fn word(check: &Check) -> &'static str {
    if check.is_excepted() {
        "excepted"
    } else {
        check.outcome.word()
    }
}

/// What was seen, with the resource before it and the exception behind it.
pub(super) fn seen(check: &Check) -> impl Iterator<Item = String> {
    check.seen.iter().map(|it| {
        let about = it
            .resource
            .as_ref()
            .map_or_else(String::new, |it| format!("{it} "));
        let excepted = it.excepted.as_ref().map_or_else(String::new, |it| {
            format!(" (excepted until {}: {})", it.expires, it.reason)
        });
        format!("{about}{}{excepted}", it.what)
    })
}
