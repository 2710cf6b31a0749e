//! The Calico policy language; pure.
//!
//! | file | what it knows |
//! |---|---|
//! | `selector` | what a selector says, and whether labels are what it means |
//! | `satisfiable` | whether anything at all can be what selectors mean |
//! | `resource` | Calico's kinds as they are written |
//! | `validate` | what Felix must find in a policy before it enforces it |
//! | `rewrite`, `model` | from policies as they are written to policies as Felix takes them |
//! | `kubernetes` | the same for policies of Kubernetes |
//! | `objection` | what is wrong with a policy, and what Felix makes of it |
//! | `net` | ranges of addresses as Go reads them |
//! | `admin` | the same for administrators' policies of Kubernetes |
//! | `world` | what policies act on, and in which order |
//! | `verdict` | who may reach whom, and what decides |
//! | `reach` | who may reach whom among thousands of which not all is known |
//! | `security_group` | what Azure's network security groups let in and out of a subnet |

mod admin;
mod blocks;
mod kubernetes;
mod model;
mod net;
mod objection;
mod reach;
mod resource;
mod rewrite;
mod satisfiable;
pub mod security_group;
mod selector;
mod validate;
mod verdict;
mod world;

pub use admin::{
    AdminPeer, AdminPeerRule, AdminPods, AdminPolicy, AdminPolicySpec, AdminPort, AdminRule,
    ClusterPort, ClusterPorts, ClusterProtocol, PortNumber, PortsFromTo, Unsupported,
};
pub use model::{
    DEFAULT_TIER, Policy, PolicyId, PolicyKind, PolicyRule, PortMatch, RuleEnd, TransportProtocol,
};
pub(crate) use net::range_or_address;
pub use objection::{Effect, Objection, Unreadable, Why};
pub use reach::{Answer, Does, Link, Member, Passage, PortSpan, Reach, Work, everywhere, without};
pub use resource::{
    Action, EntityRule, GlobalNetworkPolicy, GlobalNetworkPolicySpec, HostEndpoint,
    HostEndpointSpec, Icmp, NetworkPolicy, NetworkPolicySpec, NetworkSet, NetworkSetSpec, Rule,
    ServiceAccountMatch, ServiceMatch, Tier, TierSpec,
};
pub use rewrite::{
    Draft, NAME, NAMESPACE, OF_NAMESPACE, OF_SERVICE_ACCOUNT, ORCHESTRATOR, SERVICE_ACCOUNT,
    Written, of_namespaces,
};
pub use satisfiable::{TooComplex, example};
pub use selector::{Comparison, Labels, Selector, SelectorError};
pub use validate::{Fault, MAX_NETS, MAX_PORTS, MAX_RULES, MAX_SELECTOR_LENGTH, PolicyProblem};
pub use verdict::{Decider, Decision, Packet, Place, Verdict, Way};
pub use world::{
    AddressSet, Endpoint, LabelMap, ServiceEndpoint, TierEnd, World, brought_tiers, labels,
};
