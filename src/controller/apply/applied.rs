//! What came of a plan.

use super::write_error::WriteError;
use crate::controller::compare::Digest;
use crate::controller::kind::ObjectKey;
use crate::controller::plan::{Cause, Change, Write};

/// What came of a plan. Status is computed from this, never from the plan.
#[derive(Debug, Default)]
pub struct Applied {
    /// What is now as declared.
    pub done: Vec<(ObjectKey, Digest)>,
    /// What was put back, with what was different and who did it.
    pub repaired: Vec<Repaired>,
    /// What was created or changed because it was declared so.
    pub changed: Vec<ObjectKey>,
    /// What was deleted because it left the declaration.
    pub pruned: Vec<ObjectKey>,
    /// What could not be written, and why.
    pub failed: Vec<Failure>,
    /// What was not tried because what it depends on is not there yet.
    pub skipped: Vec<ObjectKey>,
    /// Objects that came back other than they were sent.
    pub rewritten: Vec<(ObjectKey, Digest)>,
}

/// Drift that was put back.
#[derive(Clone, Debug)]
pub struct Repaired {
    /// The object.
    pub key: ObjectKey,
    /// What was different.
    pub change: String,
    /// Who wrote it, where managed fields still tell.
    pub manager: Option<String>,
}

/// Something that could not be written.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The object.
    pub key: ObjectKey,
    /// What went wrong.
    pub error: WriteError,
}

impl Applied {
    /// Adds what came of another plan.
    pub(in crate::controller) fn add(&mut self, other: Self) {
        let Self {
            done,
            repaired,
            changed,
            pruned,
            failed,
            skipped,
            rewritten,
        } = other;
        self.done.extend(done);
        self.repaired.extend(repaired);
        self.changed.extend(changed);
        self.pruned.extend(pruned);
        self.failed.extend(failed);
        self.skipped.extend(skipped);
        self.rewritten.extend(rewritten);
    }

    /// Whether the API server left a write without an answer.
    pub(super) fn is_without_answer(&self) -> bool {
        self.failed
            .iter()
            .any(|failure| matches!(failure.error, WriteError::Timeout))
    }

    pub(super) fn take(&mut self, write: &Write, result: Result<Option<Change>, WriteError>) {
        let key = write.target.key.clone();
        let digest = write.target.digest;
        match result {
            Ok(learned) => {
                self.done.push((key.clone(), digest));
                let change = learned.as_ref().unwrap_or(&write.change);
                // An object that merely lost its label was ours all the time.
                if write.cause == Cause::Drift {
                    let managers: Vec<_> = change.managers().into_iter().collect();
                    self.repaired.push(Repaired {
                        key,
                        change: change.describe(),
                        manager: (!managers.is_empty()).then(|| managers.join(", ")),
                    });
                } else {
                    self.changed.push(key);
                }
            }
            Err(error) => {
                if let WriteError::Rewritten { stored, .. } = &error {
                    self.rewritten.push((key.clone(), *stored));
                }
                self.failed.push(Failure { key, error });
            }
        }
    }
}
