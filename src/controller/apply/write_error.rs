//! Why something could not be written.

use std::time::Duration;

use crate::cluster::failure;
use crate::controller::compare::Digest;

/// How long one request may take. kube's own retries are off: the queue tries again.
pub(in crate::controller) const TIMEOUT: Duration = Duration::from_secs(15);

/// Why something could not be written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The object changed since it was looked at; it is looked at anew.
    #[error("it changed in the meantime")]
    Stale,
    /// Its namespace is being deleted.
    #[error("its namespace is being deleted")]
    Terminating,
    /// An object of that name is somebody else's.
    #[error("{0}")]
    NotOurs(String),
    /// The API server refused.
    #[error("the API server refused: {0}")]
    Refused(String),
    /// No answer in time.
    #[error("the API server did not answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// The API server cannot be reached.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    /// The API server stored something else.
    #[error(
        "the API server stored it other than it was sent ({different}); an admission webhook or policy changes it"
    )]
    Rewritten {
        /// What differs.
        different: String,
        /// Digest of what was stored.
        stored: Digest,
    },
    /// This flavour has no such kind; a defect.
    #[error("this cluster has no such kind")]
    NoSuchKind,
}

impl WriteError {
    pub(super) fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.is_conflict() || status.is_not_found() => {
                Self::Stale
            }
            kube::Error::Api(status)
                if status.details.as_ref().is_some_and(|details| {
                    details
                        .causes
                        .iter()
                        .any(|cause| cause.reason == "NamespaceTerminating")
                }) =>
            {
                Self::Terminating
            }
            kube::Error::Api(status) => Self::Refused(status.message.clone()),
            other => Self::Unreachable(failure(other)),
        }
    }

    /// Whether looking again soon is enough.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Stale | Self::Terminating)
    }
}
