//! What is proposed, as machines read it.

use serde::Serialize;

use crate::review::declare::{Entry, SharedService};

/// Everything that would have to be declared.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposals {
    /// By landing zone; those that no packet concerns are left out.
    pub landing_zones: Vec<LandingZoneProposals>,
    /// What only the platform can declare, for its `spec.sharedServices`.
    pub shared_services: Vec<SharedServiceProposal>,
}

/// What one landing zone would have to declare.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LandingZoneProposals {
    /// The landing zone.
    pub landing_zone: String,
    /// How many entries its lists have.
    pub declared: ListLengths,
    /// What lets packets pass already.
    pub covered: Vec<Covered>,
    /// For `spec.network.flows`.
    pub flows: Vec<Proposal>,
    /// For `spec.network.egress`.
    pub egress: Vec<Proposal>,
    /// For `spec.network.ingress`.
    pub ingress: Vec<Proposal>,
    /// For `spec.network.egress`, once somebody acknowledges what they open.
    pub to_acknowledge: Vec<Proposal>,
    /// For `spec.network.sharedServices`.
    pub shared_services: Vec<Ask>,
    /// For `spec.network.sharedServices`, once the platform has them.
    pub missing_shared_services: Vec<String>,
    /// What no entry can name.
    pub undeclarable: Vec<Undeclarable>,
}

/// How many entries lists of `spec.network` have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListLengths {
    /// Flows.
    pub flows: usize,
    /// Shared services.
    pub shared_services: usize,
    /// Egress.
    pub egress: usize,
    /// Ingress.
    pub ingress: usize,
}

/// A shared service that the platform has, and the packets that ask for it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    /// Its name.
    pub name: String,
    /// The packets.
    #[serde(flatten)]
    pub observed: Observed,
}

/// Something that passes already.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Covered {
    /// What lets it.
    pub by: String,
    /// How many packets.
    pub packets: u64,
}

/// An entry and the packets that ask for it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// The entry.
    pub entry: Entry,
    /// The packets.
    #[serde(flatten)]
    pub observed: Observed,
}

/// A shared service that the platform would need, and who asks for it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedServiceProposal {
    /// The entry.
    pub entry: SharedService,
    /// The packets.
    #[serde(flatten)]
    pub observed: Observed,
    /// Who would use it.
    pub landing_zones: Vec<String>,
    /// Why it may be no shared service at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// Packets that no entry can name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Undeclarable {
    /// What they are: a protocol, and a port if it has one.
    pub what: String,
    /// Who sent them.
    pub from: String,
    /// Who received them.
    pub to: String,
    /// Why no entry can.
    pub why: &'static str,
    /// The packets.
    #[serde(flatten)]
    pub observed: Observed,
}

/// Packets that ask for the same.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// How many.
    pub packets: u64,
    /// How many pods, nodes or addresses sent them.
    pub sources: usize,
    /// What those are.
    pub source_kind: SourceKind,
    /// Whether there were more of them than are told apart.
    pub more_sources: bool,
    /// Whether there were more addresses outside than are told apart.
    pub more_addresses: bool,
    /// The first of them.
    pub example: Example,
}

/// One packet.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// Who sent it: `namespace/pod`, `node/name`, or an address.
    pub from: String,
    /// Who received it.
    pub to: String,
}

/// What sent packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum SourceKind {
    /// Pods.
    Pod,
    /// Nodes.
    Node,
    /// Addresses outside.
    Address,
}

impl LandingZoneProposals {
    /// Whether there is anything for `spec.network`.
    #[must_use]
    pub fn has_entries(&self) -> bool {
        !(self.flows.is_empty()
            && self.shared_services.is_empty()
            && self.egress.is_empty()
            && self.ingress.is_empty())
    }

    /// Whether no packet concerns the landing zone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has_entries()
            && self.covered.is_empty()
            && self.to_acknowledge.is_empty()
            && self.missing_shared_services.is_empty()
            && self.undeclarable.is_empty()
    }
}
