//! Shared services and destinations as the platform's status tells them, and back.

use ipnet::IpNet;

use crate::api::{DestinationInForce, ServicePeerInForce, SharedServiceInForce};
use crate::domain::{Destination, PortRange, ServicePeer, SharedService};

pub(super) fn service(service: &SharedService) -> SharedServiceInForce {
    SharedServiceInForce {
        name: service.name.clone(),
        peers: service.peers.iter().map(peer).collect(),
        direction: service.direction,
        ports: service.ports.iter().map(ToString::to_string).collect(),
        landing_zones: service.landing_zones,
    }
}

/// None where ports are told that are none: without ports, all would be meant.
pub(super) fn read_service(told: &SharedServiceInForce) -> Option<SharedService> {
    Some(SharedService {
        name: told.name.clone(),
        peers: told.peers.iter().map(read_peer).collect(),
        direction: told.direction,
        ports: read_ports(&told.ports)?,
        landing_zones: told.landing_zones,
    })
}

pub(super) fn destination(destination: &Destination) -> DestinationInForce {
    DestinationInForce {
        name: destination.name.clone(),
        owner: destination.owner.clone(),
        cidrs: destination.cidrs.iter().map(ToString::to_string).collect(),
        ports: destination.ports.iter().map(ToString::to_string).collect(),
    }
}

/// None where ports are told that are none.
pub(super) fn read_destination(told: &DestinationInForce) -> Option<Destination> {
    Some(Destination {
        name: told.name.clone(),
        owner: told.owner.clone(),
        cidrs: read_ranges(&told.cidrs),
        ports: read_ports(&told.ports)?,
    })
}

fn peer(peer: &ServicePeer) -> ServicePeerInForce {
    match peer {
        ServicePeer::Pods {
            namespace_labels,
            pod_labels,
        } => ServicePeerInForce {
            namespace_labels: namespace_labels.clone(),
            pod_labels: pod_labels.clone(),
            ..ServicePeerInForce::default()
        },
        ServicePeer::Addresses(nets) => ServicePeerInForce {
            cidrs: nets.iter().map(ToString::to_string).collect(),
            ..ServicePeerInForce::default()
        },
        ServicePeer::Nodes => ServicePeerInForce {
            nodes: Some(true),
            ..ServicePeerInForce::default()
        },
    }
}

/// One without namespaces is never pods: that would be all of them.
fn read_peer(told: &ServicePeerInForce) -> ServicePeer {
    if told.nodes == Some(true) {
        ServicePeer::Nodes
    } else if told.namespace_labels.is_empty() {
        ServicePeer::Addresses(read_ranges(&told.cidrs))
    } else {
        ServicePeer::Pods {
            namespace_labels: told.namespace_labels.clone(),
            pod_labels: told.pod_labels.clone(),
        }
    }
}

fn read_ranges(texts: &[String]) -> Vec<IpNet> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn read_ports(texts: &[String]) -> Option<Vec<PortRange>> {
    texts.iter().map(|text| text.parse().ok()).collect()
}
