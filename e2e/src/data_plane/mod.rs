//! A data plane: Calico's Felix on a real kernel, pods with real interfaces, and packets between them.
//!
//! Nodes, pods and the world outside are network namespaces that belong to us alone. The control plane
//! stays where it is; the node reaches it through a relay.

mod network_namespace;
mod node;
mod probe;

pub use network_namespace::NetworkNamespace;
pub use node::{End, FelixNode, NODE_ADDRESS, OUTSIDE, POD_CIDR, PORTS, WiredPod};
pub use probe::{Leak, Protocol, Verdict};
