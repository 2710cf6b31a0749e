//! Why something could not be written.

use crate::cluster::failure;
use crate::controller::clients::LONGEST_WAIT;
use crate::controller::compare::Digest;

/// The rule in config/admission that holds the operator's bindings to landing zones, and by which of its words it is known.
const OF_BINDINGS: (&str, &str) = (
    "landing-zone-operator-bindings",
    "the API server knows of no landing zone",
);

/// Why something could not be written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The object changed since it was looked at; it is looked at anew.
    #[error("it changed in the meantime")]
    Stale,
    /// Its namespace is being deleted.
    #[error("its namespace is being deleted")]
    Terminating,
    /// The rule on bindings sees an older state of the namespace, without its label.
    #[error(
        "the rule on admission {} does not see yet that its namespace belongs to a landing zone",
        OF_BINDINGS.0
    )]
    NamespaceUnseen,
    /// An object of that name is somebody else's.
    #[error("{0}")]
    NotOurs(String),
    /// The API server refused.
    #[error("the API server refused: {0}")]
    Refused(String),
    /// The API server has too much to do, also when asked again for a while.
    #[error(
        "the API server has too much to do, and takes no more requests of the operator at present"
    )]
    Overloaded,
    /// No answer in time.
    #[error("the API server did not answer within {} s", LONGEST_WAIT.as_secs())]
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
            kube::Error::Api(status)
                if status.is_forbidden()
                    && [OF_BINDINGS.0, OF_BINDINGS.1]
                        .iter()
                        .all(|words| status.message.contains(words)) =>
            {
                Self::NamespaceUnseen
            }
            kube::Error::Api(status) if status.code == 429 => Self::Overloaded,
            kube::Error::Api(status) => Self::Refused(status.message.clone()),
            kube::Error::Service(error) if matches!(error.downcast_ref(), Some(Self::Timeout)) => {
                Self::Timeout
            }
            other => Self::Unreachable(failure(other)),
        }
    }

    /// Whether looking again soon is enough.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Stale | Self::Terminating | Self::NamespaceUnseen
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden(message: &str) -> WriteError {
        let status = kube::core::Status::failure(message, "Forbidden").with_code(403);
        WriteError::of(&kube::Error::Api(Box::new(status)))
    }

    /// With no answer the rest of a landing zone's objects is not tried, so it must not pass for anything else.
    #[test]
    fn no_answer_is_no_refusal_and_too_much_to_do_neither() {
        let service = kube::Error::Service(WriteError::Timeout.into());
        assert!(matches!(WriteError::of(&service), WriteError::Timeout));
        let status = kube::core::Status::failure("too many", "TooManyRequests").with_code(429);
        let turned_away = WriteError::of(&kube::Error::Api(Box::new(status)));
        assert!(
            matches!(turned_away, WriteError::Overloaded),
            "{turned_away:?}"
        );
    }

    /// The words are those of the rule itself: a changed rule would have the operator tell people of what is over at once.
    #[test]
    fn a_namespace_whose_label_is_not_seen_yet_is_asked_for_again() {
        let rules = include_str!("../../../config/admission/operator.yaml");
        let (policy, words) = OF_BINDINGS;
        assert!(rules.contains(&format!("  name: {policy}\n")));
        let one_line = rules.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(one_line.contains(words), "{one_line}");

        let unseen = forbidden(&format!(
            "rolebindings \"landing-zone-edit\" is forbidden: ValidatingAdmissionPolicy '{policy}' with binding \
             '{policy}' denied request: the operator of landing zones writes bindings in namespaces of landing zones only, \
             and {words} that shop-web belongs to"
        ));
        assert!(matches!(unseen, WriteError::NamespaceUnseen), "{unseen:?}");
        assert!(unseen.is_transient());
        let other = forbidden(&format!(
            "ValidatingAdmissionPolicy '{policy}' denied request"
        ));
        assert!(matches!(other, WriteError::Refused(_)), "{other:?}");
    }
}
