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
    /// It is about requests of HTTP.
    #[error("is for application layer policy, and only in rules of ingress that allow, with TCP")]
    Http,
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

impl Why {
    /// How the field is written rightly: its name, and what may stand there.
    #[must_use]
    pub fn instead(&self, path: &FieldPath) -> String {
        let field = FieldPath(path.0.last().cloned().into_iter().collect());
        match self {
            Self::Missing => format!("fill {path} in"),
            Self::Selector(_) => format!(
                "write {field} as, for instance, \"app == 'web' && has(tier)\": values stand in quotes, \
                 and are compared by ==, != or in {{'a', 'b'}}"
            ),
            Self::Net(text) => {
                format!(
                    "write {path} as a range such as 203.0.113.0/24 instead of {text:?}, or remove it"
                )
            }
            Self::Range { written, meant } => {
                format!("if {meant} is meant, write {path}: {meant} instead of {written}")
            }
            Self::Except(text) => {
                format!("write a part of cidr in {path} instead of {text}, or remove it")
            }
            Self::Http => format!("remove {path}, and say by ports and peers what is meant"),
            Self::NoPeer => {
                format!("write podSelector: {{}} in {path} to mean the pods of the same namespace")
            }
            Self::TwoPeers => format!("make {path} a peer of its own: an entry of the list"),
            Self::Port(text) => format!(
                "write {path} as a number such as 8080, a range such as 8080:8090, or the name of a port in small letters, \
                 instead of {text:?}"
            ),
            Self::PortsWithoutProtocol => format!("add protocol: TCP beside {path}, or remove it"),
            Self::Protocol(text) => format!(
                "write {path}: TCP, UDP, SCTP, ICMP, ICMPv6 or UDPLite, or a number up to 255, instead of {text:?}"
            ),
            Self::IpVersion(version) => {
                format!("write {path}: 4 or {path}: 6 instead of {version}, or remove it")
            }
            Self::Action(text) => {
                let near = ["Allow", "Deny", "Log", "Pass"]
                    .into_iter()
                    .find(|it| it.eq_ignore_ascii_case(text));
                match near {
                    Some(near) => format!("write {path}: {near} instead of {text}"),
                    None => format!("write {path}: Allow, Deny, Log or Pass instead of {text:?}"),
                }
            }
            Self::Direction(text) => {
                let near = ["Ingress", "Egress"]
                    .into_iter()
                    .find(|it| it.eq_ignore_ascii_case(text));
                match near {
                    Some(near) => format!("write {path}: {near} instead of {text}"),
                    None => format!("write {path}: Ingress or Egress instead of {text:?}"),
                }
            }
            Self::ServiceAccount(_) => {
                format!(
                    "write {path} in small letters, digits, dashes and dots, as the account is called"
                )
            }
            Self::Hint(_) => format!("write {path}: AssumeNeededOnEveryNode, or remove it"),
            Self::Operator(_) => format!("write {path}: In, NotIn, Exists or DoesNotExist"),
            Self::Unsupported(what) => what.instead(path),
        }
    }
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
