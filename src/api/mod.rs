//! The kinds as people write them. No behaviour lives here: what a `LandingZone` means is decided
//! in [`crate::domain`], and what it becomes in [`crate::build`].

#![allow(
    clippy::doc_markdown,
    reason = "the descriptions of fields are read through kubectl explain, which shows backticks"
)]

mod access;
mod azure;
pub mod condition;
mod crossing;
mod default_deny;
mod defaults;
mod landing_zone;
pub mod names;
mod namespace;
mod network;
mod placement;
mod platform;
mod quantity_text;
pub mod rule;
mod schema;
mod shared_service;
mod status;
#[cfg(test)]
mod tests;
mod workload_rules;

pub use access::{AccessEntry, SubjectKind};
pub use azure::{
    Firewall, Hub, LandingZoneAzure, NetworkSecurityGroup, NodePool, NodeProvisioning, OsSku,
    PlatformAzure, ServiceOperator, SharedSubnet, Subnet, SystemSubnet, VirtualNetwork,
};
pub use crossing::{
    CrossingDirection, CrossingEnd, CrossingState, CrossingStatus, EgressCrossing, EgressPeer,
    IngressCrossing, IngressPeer, OpenedCrossing, RangeAcknowledgement,
};
pub use default_deny::{DefaultDeny, DefaultDenyStage, Exempt, ExemptSelector};
pub use defaults::PlatformDefaults;
pub use landing_zone::{AdoptionPolicy, DeletePolicy, LandingZone, LandingZoneSpec, Stage};
pub use namespace::{ContainerLimits, NamespaceSpec, PodSecurity, PrivilegedAcknowledgement};
pub use network::{Flow, FlowEnd, IntraZone, Network, PodSelector, Port, Protocol};
pub use placement::{
    NodeOperator, NodeRequirement, Placement, Spread, Toleration, TolerationEffect,
    TolerationOperator, WhenUnsatisfiable,
};
pub use platform::{
    GuardStage, LandingZonePlatform, LandingZonePlatformSpec, LandingZonePlatformStatus,
    NetworkPlugin, PlatformAccess, PlatformDns, PlatformNetwork, PlatformValues, PodCidrsSource,
};
pub use quantity_text::QuantityText;
pub use shared_service::{
    Destination, DestinationInForce, ExpiredCrossings, Preset, ServiceAudience, ServiceDirection,
    ServicePeer, ServicePeerInForce, SharedService, SharedServiceInForce,
};
pub use status::{
    BoundaryFinding, DriftRepair, DriftStatus, EffectiveValues, LandingZoneStatus, NamespaceState,
    NamespaceStatus, ReleasedNamespace,
};
pub use workload_rules::{
    ExternalIps, HostNetwork, ServicePorts, WorkloadRuleStage, WorkloadRules,
};
