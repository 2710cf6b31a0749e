//! Network security groups of Azure: what a subnet lets in and out.
//!
//! Rules of one direction are looked at in the order of their priority, and the first that matches decides; behind them come
//! six rules that every group has and nobody can remove. A group is stateful: answers pass. A packet from one subnet to
//! another passes if the group of the first lets it out and the group of the second lets it in; one that stays in its subnet
//! meets both rules of the same group.
//!
//! Source: Microsoft's documentation, "Network security groups" and "Azure virtual network limits".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

#[cfg(test)]
mod tests;

/// Priorities that a rule of one's own may have.
pub const PRIORITIES: RangeInclusive<u16> = 100..=4096;
/// Most rules of one group.
pub const MAX_SECURITY_RULES: usize = 1000;
/// Most addresses and ranges at one end of a rule.
pub const MAX_PREFIXES: usize = 4000;

/// The address of the platform in every virtual network: probes of load balancers come from it.
const PLATFORM: &str = "168.63.129.16/32";

/// A network security group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Its name.
    pub name: String,
    /// Its own rules, in any order.
    pub rules: Vec<SecurityRule>,
}

/// A rule of a network security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityRule {
    /// Its name, unique in its group.
    pub name: String,
    /// Its place among the rules of its direction: 100 to 4096, unique there.
    pub priority: u16,
    /// Whether it is about what comes in or about what goes out.
    pub direction: Direction,
    /// What becomes of what matches.
    pub access: Access,
    /// The protocol.
    pub protocol: Protocol,
    /// From where; never empty.
    pub sources: Vec<AddressPrefix>,
    /// From which ports; empty: all.
    pub source_ports: Vec<RangeInclusive<u16>>,
    /// To where; never empty.
    pub destinations: Vec<AddressPrefix>,
    /// To which ports; empty: all.
    pub destination_ports: Vec<RangeInclusive<u16>>,
}

/// Whether a rule is about what comes in or about what goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// What comes into the subnet.
    Inbound,
    /// What leaves it.
    Outbound,
}

/// What becomes of what matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It passes.
    Allow,
    /// It is dropped.
    Deny,
}

/// Protocols that a rule can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Every protocol.
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// The encrypted payload of a secured packet.
    Esp,
    /// Its authentication header.
    Ah,
}

/// One end of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressPrefix {
    /// Every address, `*`.
    Any,
    /// A range of addresses.
    Range(IpNet),
    /// A service tag, for instance `AzureLoadBalancer`.
    Tag(String),
}

/// A packet that opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// From where.
    pub source: IpAddr,
    /// From which port; protocols without ports have 0.
    pub source_port: u16,
    /// To where.
    pub destination: IpAddr,
    /// To which port; protocols without ports have 0.
    pub destination_port: u16,
    /// By which protocol; [`Protocol::Any`] is one that no rule can name.
    pub protocol: Protocol,
}

/// What service tags stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceTags {
    /// `VirtualNetwork`: the ranges of the virtual network, of what it is peered with and of what is connected to it. The
    /// platform's own address belongs to it, too.
    pub virtual_network: Vec<IpNet>,
    /// Others, by name, from Microsoft's list of the day. Names are compared without case.
    pub others: BTreeMap<String, Vec<IpNet>>,
}

/// The rule that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<'a> {
    /// What becomes of the packet.
    pub access: Access,
    /// The name of the rule.
    pub rule: &'a str,
    /// Its priority; 65000 and above: a rule that every group has.
    pub priority: u16,
}

/// A service tag whose addresses are not known decides: nobody can tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the addresses of service tag {0} are not known")]
pub struct UnknownServiceTag(pub String);

/// What is wrong with a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecurityGroupFault {
    /// Too many rules.
    #[error("holds {0} rules, at most {MAX_SECURITY_RULES} are allowed")]
    TooManyRules(usize),
    /// A priority that no rule of one's own may have.
    #[error("rule {rule}: priority {priority} must be from 100 to 4096")]
    Priority {
        /// The rule.
        rule: String,
        /// Its priority.
        priority: u16,
    },
    /// Two rules of one direction have the same priority.
    #[error("rules {one} and {other} have priority {priority} in the same direction")]
    SamePriority {
        /// The first of them.
        one: String,
        /// The second.
        other: String,
        /// Their priority.
        priority: u16,
    },
    /// Two rules have the same name.
    #[error("two rules are called {0}")]
    SameName(String),
    /// A rule with nothing at one end.
    #[error("rule {0} names no source or no destination")]
    NoPrefix(String),
    /// Too many addresses at one end of a rule.
    #[error("rule {rule} holds {count} addresses at one end, at most {MAX_PREFIXES} are allowed")]
    TooManyPrefixes {
        /// The rule.
        rule: String,
        /// How many there are.
        count: usize,
    },
    /// `*` beside others.
    #[error("rule {0} names * beside other addresses")]
    AnyBesideOthers(String),
    /// Addresses of both families in one rule.
    #[error("rule {0} names addresses of IPv4 and of IPv6")]
    MixedFamilies(String),
    /// An address within another one of the same end.
    #[error("rule {rule} names {inner} beside {outer}, which holds it")]
    NestedPrefixes {
        /// The rule.
        rule: String,
        /// The wider range.
        outer: IpNet,
        /// The range within it.
        inner: IpNet,
    },
    /// Ports of a protocol that has none.
    #[error("rule {0} names ports, but its protocol has none")]
    PortsWithoutProtocol(String),
}

/// The rules that every group has.
struct DefaultRule {
    name: &'static str,
    priority: u16,
    direction: Direction,
    access: Access,
    source: Option<&'static str>,
    destination: Option<&'static str>,
}

const VIRTUAL_NETWORK: &str = "VirtualNetwork";
const AZURE_LOAD_BALANCER: &str = "AzureLoadBalancer";
const INTERNET: &str = "Internet";

const DEFAULT_RULES: [DefaultRule; 6] = [
    DefaultRule {
        name: "AllowVnetInBound",
        priority: 65000,
        direction: Direction::Inbound,
        access: Access::Allow,
        source: Some(VIRTUAL_NETWORK),
        destination: Some(VIRTUAL_NETWORK),
    },
    DefaultRule {
        name: "AllowAzureLoadBalancerInBound",
        priority: 65001,
        direction: Direction::Inbound,
        access: Access::Allow,
        source: Some(AZURE_LOAD_BALANCER),
        destination: None,
    },
    DefaultRule {
        name: "DenyAllInBound",
        priority: 65500,
        direction: Direction::Inbound,
        access: Access::Deny,
        source: None,
        destination: None,
    },
    DefaultRule {
        name: "AllowVnetOutBound",
        priority: 65000,
        direction: Direction::Outbound,
        access: Access::Allow,
        source: Some(VIRTUAL_NETWORK),
        destination: Some(VIRTUAL_NETWORK),
    },
    DefaultRule {
        name: "AllowInternetOutBound",
        priority: 65001,
        direction: Direction::Outbound,
        access: Access::Allow,
        source: None,
        destination: Some(INTERNET),
    },
    DefaultRule {
        name: "DenyAllOutBound",
        priority: 65500,
        direction: Direction::Outbound,
        access: Access::Deny,
        source: None,
        destination: None,
    },
];

impl SecurityGroup {
    /// The rule that decides about a packet in one direction.
    ///
    /// # Errors
    /// Where a rule that may decide names a service tag that nobody knows.
    pub fn decide(
        &self,
        direction: Direction,
        flow: &Flow,
        tags: &ServiceTags,
    ) -> Result<Decided<'_>, UnknownServiceTag> {
        let own = self.rules.iter().filter(|it| it.direction == direction);
        let mut own: Vec<_> = own.collect();
        own.sort_by_key(|it| it.priority);
        for rule in own {
            if rule.matches(flow, tags)? {
                return Ok(Decided {
                    access: rule.access,
                    rule: &rule.name,
                    priority: rule.priority,
                });
            }
        }
        let is_in =
            |tag: Option<&str>, address| tag.map_or(Ok(true), |tag| tags.contain(tag, address));
        let mut decided = Decided {
            access: Access::Deny,
            rule: "",
            priority: u16::MAX,
        };
        // The last of each direction matches everything.
        for rule in DEFAULT_RULES.iter().filter(|it| it.direction == direction) {
            decided = Decided {
                access: rule.access,
                rule: rule.name,
                priority: rule.priority,
            };
            if is_in(rule.source, flow.source)? && is_in(rule.destination, flow.destination)? {
                break;
            }
        }
        Ok(decided)
    }

    /// All that Azure would refuse; empty if nothing.
    #[must_use]
    pub fn validate(&self) -> Vec<SecurityGroupFault> {
        let mut faults = Vec::new();
        if self.rules.len() > MAX_SECURITY_RULES {
            faults.push(SecurityGroupFault::TooManyRules(self.rules.len()));
        }
        let mut names = BTreeSet::new();
        let mut places: BTreeMap<(Direction, u16), &str> = BTreeMap::new();
        for rule in &self.rules {
            // Azure compares names without case.
            if !names.insert(rule.name.to_lowercase()) {
                faults.push(SecurityGroupFault::SameName(rule.name.clone()));
            }
            if let Some(one) = places.insert((rule.direction, rule.priority), &rule.name) {
                faults.push(SecurityGroupFault::SamePriority {
                    one: one.to_owned(),
                    other: rule.name.clone(),
                    priority: rule.priority,
                });
            }
            rule.validate(&mut faults);
        }
        faults
    }
}

impl SecurityRule {
    fn matches(&self, flow: &Flow, tags: &ServiceTags) -> Result<bool, UnknownServiceTag> {
        let is_protocol = self.protocol == Protocol::Any || self.protocol == flow.protocol;
        let is_port = |ports: &[RangeInclusive<u16>], port: u16| {
            ports.is_empty() || ports.iter().any(|it| it.contains(&port))
        };
        if !is_protocol
            || !is_port(&self.source_ports, flow.source_port)
            || !is_port(&self.destination_ports, flow.destination_port)
        {
            return Ok(false);
        }
        Ok(any_holds(&self.sources, flow.source, tags)?
            && any_holds(&self.destinations, flow.destination, tags)?)
    }

    fn validate(&self, faults: &mut Vec<SecurityGroupFault>) {
        let rule = || self.name.clone();
        if !PRIORITIES.contains(&self.priority) {
            faults.push(SecurityGroupFault::Priority {
                rule: rule(),
                priority: self.priority,
            });
        }
        for end in [&self.sources, &self.destinations] {
            if end.is_empty() {
                faults.push(SecurityGroupFault::NoPrefix(rule()));
            }
            if end.len() > MAX_PREFIXES {
                faults.push(SecurityGroupFault::TooManyPrefixes {
                    rule: rule(),
                    count: end.len(),
                });
            }
            if end.len() > 1 && end.contains(&AddressPrefix::Any) {
                faults.push(SecurityGroupFault::AnyBesideOthers(rule()));
            }
            if let Some((outer, inner)) = nested(end) {
                faults.push(SecurityGroupFault::NestedPrefixes {
                    rule: rule(),
                    outer,
                    inner,
                });
            }
        }
        let all = self.sources.iter().chain(&self.destinations);
        let families: BTreeSet<bool> = ranges(all).map(|it| it.addr().is_ipv6()).collect();
        if families.len() > 1 {
            faults.push(SecurityGroupFault::MixedFamilies(rule()));
        }
        let may_have_ports = matches!(self.protocol, Protocol::Any | Protocol::Tcp | Protocol::Udp);
        let names_ports = !self.source_ports.is_empty() || !self.destination_ports.is_empty();
        if names_ports && !may_have_ports {
            faults.push(SecurityGroupFault::PortsWithoutProtocol(rule()));
        }
    }
}

fn ranges<'a>(prefixes: impl Iterator<Item = &'a AddressPrefix>) -> impl Iterator<Item = IpNet> {
    prefixes.filter_map(|prefix| match prefix {
        AddressPrefix::Range(range) => Some(*range),
        AddressPrefix::Any | AddressPrefix::Tag(_) => None,
    })
}

/// The first range that lies within another one, or is named twice.
fn nested(prefixes: &[AddressPrefix]) -> Option<(IpNet, IpNet)> {
    let mut sorted: Vec<IpNet> = ranges(prefixes.iter()).collect();
    // What holds another one comes right before the first that it holds.
    sorted.sort_unstable();
    let mut pairs = sorted.windows(2);
    let found = pairs.find(|pair| pair[0].contains(&pair[1]))?;
    Some((found[0], found[1]))
}

/// Whether one of them holds an address. One that nobody knows says nothing only where another holds it.
fn any_holds(
    prefixes: &[AddressPrefix],
    address: IpAddr,
    tags: &ServiceTags,
) -> Result<bool, UnknownServiceTag> {
    let mut unknown = None;
    for prefix in prefixes {
        let holds = match prefix {
            AddressPrefix::Any => Ok(true),
            AddressPrefix::Range(range) => Ok(range.contains(&address)),
            AddressPrefix::Tag(tag) => tags.contain(tag, address),
        };
        match holds {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => unknown = Some(error),
        }
    }
    unknown.map_or(Ok(false), Err)
}

impl ServiceTags {
    /// Whether an address is among those that a tag stands for.
    ///
    /// # Errors
    /// Where nobody knows what the tag stands for.
    pub fn contain(&self, tag: &str, address: IpAddr) -> Result<bool, UnknownServiceTag> {
        let is = |name: &str| tag.eq_ignore_ascii_case(name);
        let is_platform = || {
            PLATFORM
                .parse()
                .is_ok_and(|it: IpNet| it.contains(&address))
        };
        let is_inside =
            || is_platform() || self.virtual_network.iter().any(|it| it.contains(&address));
        if is(VIRTUAL_NETWORK) {
            return Ok(is_inside());
        }
        if is(AZURE_LOAD_BALANCER) {
            return Ok(is_platform());
        }
        if is(INTERNET) {
            return Ok(!is_inside());
        }
        let mut others = self.others.iter();
        let known = others.find(|(name, _)| is(name));
        let (_, ranges) = known.ok_or_else(|| UnknownServiceTag(tag.to_owned()))?;
        Ok(ranges.iter().any(|it| it.contains(&address)))
    }
}

/// As a person would look it up: `DenyAllInBound (65500)`.
impl fmt::Display for Decided<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.rule, self.priority)
    }
}
