//! What lies outside of the cluster, one hop away from its node.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Result;

use super::network_namespace::NetworkNamespace;

/// Where something outside of the cluster has its address.
pub const OUTSIDE: Ipv4Addr = Place::Internet.address();
/// Addresses outside of the cluster, [`OUTSIDE`] and the node's among them.
pub const OUTSIDE_RANGE: &str = "203.0.113.0/24";

/// Something outside of the cluster that has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Anything: a partner, the internet.
    Internet,
    /// The cloud's metadata service, which hands out a node's identity.
    Metadata,
    /// A private endpoint or a machine whose address lies in the pods' own range, as in flat networks.
    Endpoint,
    /// Another node of the cluster: kubelet and pods on its host's network send from its address.
    OtherNode,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Internet,
        Self::Metadata,
        Self::Endpoint,
        Self::OtherNode,
    ];

    /// Its name, short enough for an interface.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internet => "internet",
            Self::Metadata => "metadata",
            Self::Endpoint => "endpoint",
            Self::OtherNode => "other-node",
        }
    }

    /// Its address.
    #[must_use]
    pub const fn address(self) -> Ipv4Addr {
        match self {
            Self::Internet => Ipv4Addr::new(203, 0, 113, 10),
            Self::Metadata => Ipv4Addr::new(169, 254, 169, 254),
            Self::Endpoint => Ipv4Addr::new(10, 244, 255, 10),
            Self::OtherNode => Ipv4Addr::new(203, 0, 113, 2),
        }
    }

    /// Makes it, one hop away from a node that has this address.
    pub(super) async fn beside(
        self,
        node: &NetworkNamespace,
        node_address: Ipv4Addr,
        folder: &Path,
    ) -> Result<NetworkNamespace> {
        let (name, address) = (self.name(), self.address());
        let network = NetworkNamespace::create(name, folder).await?;
        node.ip(&format!(
            "link add {name} type veth peer name eth0 netns {}\n\
             link set {name} up\n\
             route add {address} dev {name}\n",
            network.holder()
        ))
        .await?;
        network
            .ip(&format!(
                "addr add {address}/32 dev eth0\n\
                 link set eth0 up\n\
                 route add {node_address} dev eth0 scope link\n\
                 route add default via {node_address}\n"
            ))
            .await?;
        Ok(network)
    }
}
