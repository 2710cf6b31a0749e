//! What the platform opens for landing zones.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::PortRange;
use crate::api::{ServiceAudience, ServiceDirection};

/// Something of the platform that landing zones use or are reached from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedService {
    /// Its name.
    pub name: String,
    /// Where it runs; never empty.
    pub peers: Vec<ServicePeer>,
    /// Who opens the connection.
    pub direction: ServiceDirection,
    /// Destination ports; empty: all ports of all protocols.
    pub ports: Vec<PortRange>,
    /// Which landing zones.
    pub landing_zones: ServiceAudience,
}

/// Where a shared service runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServicePeer {
    /// Pods in namespaces that belong to no landing zone.
    Pods {
        /// Labels of the namespaces; never empty.
        namespace_labels: BTreeMap<String, String>,
        /// Labels of the pods; empty: all pods.
        pod_labels: BTreeMap<String, String>,
    },
    /// Addresses.
    Addresses(Vec<IpNet>),
    /// The nodes.
    Nodes,
}

/// A place outside the cluster that several landing zones may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its name.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// Its addresses; never empty.
    pub cidrs: Vec<IpNet>,
    /// Its ports; empty: all ports of all protocols.
    pub ports: Vec<PortRange>,
}
