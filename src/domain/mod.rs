//! Validated values: what cannot be said wrongly.
//!
//! [`LandingZone::validate`] turns what people wrote into these types, or says everything that is
//! wrong with it, each with field, value, rule and way out. The schema of the kind refuses the same
//! mistakes on admission; these rules serve the command line and whatever reached the cluster
//! before the schema knew a rule.

mod address;
mod azure;
mod azure_kind;
mod crossing;
mod default_deny;
mod defaults;
mod flavour;
mod fqdn;
mod landing_zone;
mod names;
mod node;
mod opening;
mod platform;
mod pod;
mod port_range;
mod preset;
mod pretenders;
mod problem;
mod quantity;
mod shared_service;
mod syntax;
mod team_policies;
mod validate;
mod workload_rules;

pub(crate) use address::{at_most, is_metadata, metadata_addresses, reaches_most};
pub use azure::{
    Firewall, LandingZoneAzure, NodePool, PlatformAzure, ServiceOperator, SharedSubnet, Subnet,
    SystemSubnet, VirtualNetwork,
};
pub use azure_kind::{AzureKind, AzureVersions};
pub use crossing::{Crossing, CrossingEnd, Peer};
pub use default_deny::{DefaultDeny, Exempt};
pub use defaults::Defaults;
pub use flavour::{CalicoNaming, Flavour, PolicyApi};
pub use fqdn::Fqdn;
pub use landing_zone::{
    Access, Flow, FlowEnd, LandingZone, Limits, Namespace, Network, NodeRequirement, Placement,
    Toleration,
};
pub use names::{ApplicationCode, LandingZoneName, NamespaceName, Zone};
pub use node::{Node, Taint};
pub use opening::{Neighbour, Opening, Openings, Reach, Resolved, Surroundings, resolve};
pub use platform::{
    BUILT_IN_EXEMPT_NAMESPACES, FoundRanges, PLATFORM_NAME, Platform, PodRangeSources,
};
pub use pod::{Pod, Stays, Workload, awaited, elsewhere, movable};
pub use port_range::{PortRange, shared_ports};
pub use pretenders::{Bearers, pretenders};
pub use problem::{FieldPath, Problem, Segment};
pub use quantity::Quantity;
pub use shared_service::{Destination, ServicePeer, SharedService};
pub(crate) use syntax::{is_label_key, is_label_value};
pub use team_policies::{Directions, Selected, SelectedPods, TeamPolicies};
pub use workload_rules::{ExternalIps, HostNetwork, ServicePorts, WorkloadRules};
