//! Entries of `spec.network` and of the platform's shared services, as files hold them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use crate::api::{Protocol, RangeAcknowledgement};
use crate::domain::PortRange;

/// Ranges that one entry takes.
pub const MAX_CIDRS: usize = 32;

/// An entry of `flows`, `egress` or `ingress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its name: a DNS label of at most 40 characters, unique in its list.
    pub name: String,
    /// Why it is needed, where somebody has to say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Who opens the connection.
    pub from: Peer,
    /// Who is connected to.
    pub to: Peer,
    /// Destination ports; none where all are meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// What somebody has to acknowledge before the entry is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<RangeAcknowledgement>,
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
    /// Those among them that stay closed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Cidr>,
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
    pub match_labels: BTreeMap<String, String>,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr(pub IpNet);

/// Destination ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Their protocol.
    pub protocol: Protocol,
    /// The number of the first.
    pub port: u16,
    /// That of the last; None: there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_port: Option<u16>,
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
            reason: None,
            from,
            to,
            ports: port.into_iter().collect(),
            acknowledge: None,
        }
    }
}

impl Peer {
    /// Addresses outside.
    #[must_use]
    pub fn outside(addresses: &[IpAddr]) -> Self {
        Self {
            cidrs: addresses.iter().copied().map(Cidr::from).collect(),
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

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

impl From<IpAddr> for Cidr {
    fn from(address: IpAddr) -> Self {
        Self(address.into())
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Port {
    /// One port.
    #[must_use]
    pub fn one(protocol: Protocol, port: u16) -> Self {
        Self {
            protocol,
            port,
            end_port: None,
        }
    }

    /// Whether one of these ranges holds all of it.
    #[must_use]
    pub fn is_in(self, ranges: &[PortRange]) -> bool {
        let last = self.end_port.unwrap_or(self.port);
        let mut same = ranges.iter().filter(|it| it.protocol == self.protocol);
        same.any(|it| it.first <= self.port && last <= it.last)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, port, .. } = self;
        write!(f, "{protocol:?} {port}")?;
        match self.end_port {
            Some(last) => write!(f, "-{last}"),
            None => Ok(()),
        }
    }
}
