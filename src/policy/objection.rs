//! What is wrong with a policy, and what Felix makes of it.
//!
//! Through `projectcalico.org/v3` all of this is refused. What is written to `crd.projectcalico.org/v1` nobody validates:
//! the update processors of `libcalico-go` convert it as they can, and Felix validates what comes out (3.28).

use crate::domain::FieldPath;

use super::{SelectorError, Unsupported};

/// A field that is not as it has to be.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
#[error("{path}: {why}")]
pub struct Unreadable {
    /// The field, from the root of the policy.
    pub path: FieldPath,
    /// What is wrong with it.
    pub why: Why,
}

/// What is wrong with a field.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has no name.
    #[error("must not be empty")]
    Missing,
    /// It is no selector.
    #[error("is not a selector: {0}")]
    Selector(SelectorError),
    /// It is no range of addresses.
    #[error("{0:?} is not an address or a range of addresses")]
    Net(String),
    /// It is a range, and not written as ranges are.
    #[error("{written:?} is not how a range is written: {meant} is")]
    Range {
        /// As it is written.
        written: String,
        /// As it should be.
        meant: String,
    },
    /// An exception that is not in the range.
    #[error("{0:?} is not a part of cidr")]
    Except(String),
    /// A peer that says nothing.
    #[error("must name a peer: podSelector, namespaceSelector or ipBlock")]
    NoPeer,
    /// A peer that says two things.
    #[error("must not stand beside podSelector or namespaceSelector")]
    TwoPeers,
    /// It is no port.
    #[error("{0:?} is not a port, a range of ports or the name of one")]
    Port(String),
    /// Ports without a protocol that has some.
    #[error("must stand beside protocol TCP, UDP or SCTP")]
    PortsWithoutProtocol,
    /// It is no protocol.
    #[error("{0:?} is not a protocol")]
    Protocol(String),
    /// It is no version of IP.
    #[error("{0} is not a version of IP: 4 or 6")]
    IpVersion(u8),
    /// It is no action.
    #[error("{0:?} is not an action: Allow, Deny, Log or Pass")]
    Action(String),
    /// It is no direction.
    #[error("{0:?} is not a direction: Ingress or Egress")]
    Direction(String),
    /// It is no name of a service account.
    #[error("{0:?} is not the name of a service account")]
    ServiceAccount(String),
    /// It is no hint.
    #[error("{0:?} is not a hint: AssumeNeededOnEveryNode")]
    Hint(String),
    /// A selector of Kubernetes with an operator that it does not have.
    #[error("{0:?} is not an operator: In, NotIn, Exists or DoesNotExist")]
    Operator(String),
    /// A rule of an administrator's that Calico cannot do.
    #[error(transparent)]
    Unsupported(Unsupported),
}

/// A field that is not as it has to be, and what becomes of the policy where nobody validates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// The field, and what is wrong with it.
    pub problem: Unreadable,
    /// What becomes of it.
    pub effect: Effect,
}

/// What Felix makes of a policy because of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It takes the whole policy for missing.
    Missing,
    /// It leaves the field out, and the rest holds.
    LeftOut,
    /// It takes the field for this.
    TakenFor(String),
}

/// They, as they are found.
#[derive(Debug, Default)]
pub(super) struct Objections(pub(super) Vec<Objection>);

impl Objections {
    pub(super) fn add(&mut self, path: &FieldPath, why: Why, effect: Effect) {
        let problem = unreadable(path, why);
        self.0.push(Objection { problem, effect });
    }

    /// Notes an error that the policy is missing because of.
    pub(super) fn unless<T>(&mut self, read: Result<T, Unreadable>) -> Option<T> {
        read.map_err(|problem| {
            let effect = Effect::Missing;
            self.0.push(Objection { problem, effect });
        })
        .ok()
    }
}

pub(super) fn unreadable(path: &FieldPath, why: Why) -> Unreadable {
    Unreadable {
        path: path.clone(),
        why,
    }
}
