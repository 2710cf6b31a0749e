//! What this cluster can do: the flavour of its policies and who enforces them; and which addresses it
//! has.

mod addresses;
mod azure;
mod facts;
mod follow;
mod nodes;
mod pods;
mod watch;
mod watched;

pub(crate) use addresses::range_of_pool;
pub use addresses::{ClusterAddresses, WantedAddresses, watch_addresses};
pub use azure::{AzureDefinition, AzureDefinitions};
pub use facts::{ADMINISTRATORS_POLICIES, ClusterFacts, Enforcement, FLAVOUR_SIGNS, NoAzure};
pub use follow::{failure, follow};
pub use nodes::{Nodes, WantedNodes, list_nodes, watch_nodes};
pub use pods::{list_pods, list_pods_on};
pub use watch::{Signs, watch_signs};
pub use watched::{LAST_APPLIED, Watched};
