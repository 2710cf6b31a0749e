//! A data plane: Calico's Felix on a real kernel, pods with real interfaces, and packets between them.
//!
//! Nodes, pods and the world outside are network namespaces that belong to us alone. The control plane
//! stays where it is; the node reaches it through a relay.

mod host;
mod kernel_log;
mod network_namespace;
mod node;
mod place;
mod probe;

pub use host::{HostNetwork, Lodgings};
pub use kernel_log::KernelLog;
pub use network_namespace::NetworkNamespace;
pub use node::{Call, DNS_CACHE, End, FelixNode, NODE_ADDRESS, POD_CIDR, PORTS, WiredPod};
pub use place::{OUTSIDE, OUTSIDE_RANGE, Place};
pub use probe::{Calls, Conversation, Protocol, Verdict};
