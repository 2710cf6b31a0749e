//! Policies as Felix takes them: all namespaces, service accounts and shorthands written out as selectors over the
//! labels that an endpoint has in the end.

use std::fmt;

use ipnet::IpNet;

use super::{Action, Icmp, Selector};

/// What a policy is called, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId {
    /// Its kind.
    pub kind: PolicyKind,
    /// Its namespace; None: cluster-wide.
    pub namespace: Option<String>,
    /// Its name, as it is written.
    pub name: String,
}

/// A kind of policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyKind {
    /// `networking.k8s.io/v1`, `NetworkPolicy`.
    Kubernetes,
    /// Calico's `NetworkPolicy`.
    Calico,
    /// Calico's `GlobalNetworkPolicy`.
    Global,
    /// `policy.networking.k8s.io`, `AdminNetworkPolicy`.
    Admin,
    /// `policy.networking.k8s.io`, `BaselineAdminNetworkPolicy`.
    BaselineAdmin,
    /// `policy.networking.k8s.io`, `ClusterNetworkPolicy`.
    ClusterNetworkPolicy,
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            PolicyKind::Kubernetes => "NetworkPolicy (Kubernetes)",
            PolicyKind::Calico => "NetworkPolicy (Calico)",
            PolicyKind::Global => "GlobalNetworkPolicy",
            PolicyKind::Admin => "AdminNetworkPolicy",
            PolicyKind::BaselineAdmin => "BaselineAdminNetworkPolicy",
            PolicyKind::ClusterNetworkPolicy => "ClusterNetworkPolicy",
        };
        match &self.namespace {
            Some(namespace) => write!(f, "{kind} {namespace}/{}", self.name),
            None => write!(f, "{kind} {}", self.name),
        }
    }
}

/// A policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What it is called.
    pub id: PolicyId,
    /// Its tier.
    pub tier: String,
    /// Lower comes first; None: last.
    pub order: Option<f64>,
    /// Which endpoints it applies to.
    pub selector: Selector,
    /// Rules for what comes in; None: it says nothing about that.
    pub ingress: Option<Vec<PolicyRule>>,
    /// Rules for what goes out; None: it says nothing about that.
    pub egress: Option<Vec<PolicyRule>>,
}

impl Policy {
    /// What decides between policies of one tier: order, then namespace and name as Felix writes them.
    pub(crate) fn place(&self) -> (f64, String) {
        let stored = match self.id.kind {
            PolicyKind::Kubernetes => format!("knp.default.{}", self.id.name),
            _ if self.tier == DEFAULT_TIER && !self.id.name.starts_with("default.") => {
                format!("default.{}", self.id.name)
            }
            _ => self.id.name.clone(),
        };
        let name = match &self.id.namespace {
            Some(namespace) => format!("{namespace}/{stored}"),
            None => stored,
        };
        (self.order.unwrap_or(f64::INFINITY), name)
    }
}

/// The tier of policies that name none.
pub const DEFAULT_TIER: &str = "default";

/// One rule: all its criteria hold together.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyRule {
    /// What happens on a match.
    pub action: Action,
    /// 4 or 6; None: both.
    pub ip_version: Option<u8>,
    /// The protocol; None: any.
    pub protocol: Option<TransportProtocol>,
    /// The protocol that does not match.
    pub not_protocol: Option<TransportProtocol>,
    /// Messages of ICMP.
    pub icmp: Option<Icmp>,
    /// Messages of ICMP that do not match.
    pub not_icmp: Option<Icmp>,
    /// Who opens the connection.
    pub source: RuleEnd,
    /// Who is connected to.
    pub destination: RuleEnd,
}

/// One end of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleEnd {
    /// Endpoints and network sets that match; None: whatever they are.
    pub selector: Option<Selector>,
    /// Endpoints and network sets that do not match.
    pub not_selector: Option<Selector>,
    /// Addresses that match; None: any.
    pub nets: Option<Vec<IpNet>>,
    /// Addresses that do not match.
    pub not_nets: Vec<IpNet>,
    /// Ports that match; empty: any.
    pub ports: Vec<PortMatch>,
    /// Ports that do not match.
    pub not_ports: Vec<PortMatch>,
    /// Namespace and name of a service whose endpoints match.
    pub service: Option<(String, String)>,
}

/// Ports of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortMatch {
    /// From the first to the last.
    Range(u16, u16),
    /// Those that an endpoint's containers call so.
    Named(String),
}

/// A protocol on top of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportProtocol(
    /// Its number (IANA).
    pub u8,
);

impl TransportProtocol {
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// SCTP.
    pub const SCTP: Self = Self(132);
    /// ICMP.
    pub const ICMP: Self = Self(1);
    /// ICMP of IPv6.
    pub const ICMP_V6: Self = Self(58);
    /// Those that have ports.
    pub const WITH_PORTS: [Self; 3] = [Self::TCP, Self::UDP, Self::SCTP];

    /// By the names that Calico knows, or by number; None: it is neither.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let number = match text.to_ascii_lowercase().as_str() {
            "tcp" => 6,
            "udp" => 17,
            "icmp" => 1,
            "icmpv6" => 58,
            "sctp" => 132,
            "udplite" => 136,
            // Go takes no sign.
            number if number.starts_with('+') => return None,
            number => number.parse().ok().filter(|number| *number > 0)?,
        };
        Some(Self(number))
    }

    /// Whether it has ports that a rule can name.
    #[must_use]
    pub fn has_ports(self) -> bool {
        [Self::TCP, Self::UDP, Self::SCTP].contains(&self)
    }
}

impl fmt::Display for TransportProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            6 => f.write_str("TCP"),
            17 => f.write_str("UDP"),
            1 => f.write_str("ICMP"),
            58 => f.write_str("ICMPv6"),
            132 => f.write_str("SCTP"),
            136 => f.write_str("UDPLite"),
            number => write!(f, "protocol {number}"),
        }
    }
}
