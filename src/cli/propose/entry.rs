//! Entries of `spec.network` and of the platform's shared services, as files hold them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::dump::Labels;
use super::inventory::{End, NAMESPACE_NAME};
use crate::api::Protocol;

/// Ranges that one entry takes.
pub const MAX_CIDRS: usize = 32;

/// An entry of `flows`, `egress` or `ingress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its name: a DNS label of at most 40 characters, unique in its list.
    pub name: String,
    /// Who opens the connection.
    pub from: Peer,
    /// Who is connected to.
    pub to: Peer,
    /// Destination ports; none where all are meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// What somebody has to acknowledge before the entry is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<&'static str>,
}

/// One end of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Another landing zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing_zone: Option<String>,
    /// A zone, of that landing zone or of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Which pods of the zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<Selector>,
    /// Addresses outside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cidrs: Vec<Cidr>,
    /// A destination that the platform names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The API server.
    #[serde(skip_serializing_if = "is_false")]
    pub api_server: bool,
}

/// Selects pods or namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Labels that they have.
    pub match_labels: Labels,
}

/// A range of addresses that holds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr(pub IpAddr);

/// A destination port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
}

/// An entry of the platform's `sharedServices`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedService {
    /// Its name.
    pub name: String,
    /// Who it is.
    pub peers: Vec<ServicePeer>,
    /// Who opens the connection.
    pub direction: Direction,
    /// Destination ports; none where all are meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// Which landing zones may use it.
    pub landing_zones: &'static str,
}

/// Who a shared service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ServicePeer {
    /// Pods of namespaces.
    NamespaceSelector(Selector),
    /// Addresses outside.
    Cidrs(Vec<Cidr>),
    /// The nodes.
    Nodes(bool),
}

/// Who opens the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Direction {
    /// The shared service.
    ToLandingZones,
    /// The landing zones.
    FromLandingZones,
}

impl Entry {
    /// An entry with one port, or with all.
    #[must_use]
    pub fn new(name: String, from: Peer, to: Peer, port: Option<Port>) -> Self {
        Self {
            name,
            from,
            to,
            ports: port.into_iter().collect(),
            acknowledge: None,
        }
    }
}

impl Peer {
    /// A zone as its own landing zone names it.
    #[must_use]
    pub fn own(end: &End) -> Self {
        let End::Zone { zone, pods, .. } = end else {
            return Self::default();
        };
        let labels = pods.clone().filter(|labels| !labels.is_empty());
        Self {
            zone: Some(zone.to_string()),
            pod_selector: labels.map(|match_labels| Selector { match_labels }),
            ..Self::default()
        }
    }

    /// A zone as other landing zones name it.
    #[must_use]
    pub fn foreign(end: &End) -> Self {
        Self {
            landing_zone: end.landing_zone().map(ToString::to_string),
            ..Self::own(end)
        }
    }

    /// Addresses outside.
    #[must_use]
    pub fn outside(addresses: &[IpAddr]) -> Self {
        Self {
            cidrs: addresses.iter().copied().map(Cidr).collect(),
            ..Self::default()
        }
    }

    /// A destination that the platform names.
    #[must_use]
    pub fn destination(name: &str) -> Self {
        Self {
            destination: Some(name.to_owned()),
            ..Self::default()
        }
    }

    /// The API server.
    #[must_use]
    pub fn api_server() -> Self {
        Self {
            api_server: true,
            ..Self::default()
        }
    }
}

impl ServicePeer {
    /// An end that is in no landing zone; `outside` are its addresses where it has no other name.
    #[must_use]
    pub fn all(end: &End, outside: &BTreeSet<IpAddr>) -> Vec<Self> {
        match end {
            End::Namespace(namespace) => vec![Self::NamespaceSelector(Selector {
                match_labels: Labels::from([(NAMESPACE_NAME.to_owned(), namespace.to_string())]),
            })],
            End::Node => vec![Self::Nodes(true)],
            _ => {
                let all: Vec<Cidr> = outside.iter().copied().map(Cidr).collect();
                let some = all.chunks(MAX_CIDRS);
                some.map(|cidrs| Self::Cidrs(cidrs.to_vec())).collect()
            }
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = if self.0.is_ipv4() { 32 } else { 128 };
        write!(f, "{}/{length}", self.0)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, port } = self;
        write!(f, "{protocol:?} {port}")
    }
}
