//! What Azure's network security groups make of traffic between landing zones, behind the policies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::PlaceName;
use crate::build::{Neighbours, Priorities, landing_zone_azure, security_groups_govern_pods};
use crate::domain::{LandingZone, Platform, Resolved, Subnet};
use crate::policy::security_group::{
    Access, Direction, Flow, Protocol, SecurityGroup, ServiceTags, UnknownServiceTag,
};
use crate::policy::{PortSpan, TransportProtocol};

/// The groups of landing zones, where they see pods.
#[derive(Debug)]
pub(in crate::cli) struct SecurityGroups {
    /// Of each landing zone whose nodes lie somewhere that is known, by name.
    ends: BTreeMap<String, End>,
    tags: ServiceTags,
}

/// Where a landing zone's pods are.
#[derive(Debug)]
struct End {
    /// Some pod's address; landing zones that share subnets have the same.
    address: IpAddr,
    /// What guards its subnet.
    group: Option<SecurityGroup>,
}

/// What groups make of ports that policies let through.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Behind {
    /// What passes them, too; empty: nothing.
    pub passes: Vec<PortSpan>,
    /// What does not, by which rule of which group.
    pub denied: Vec<(String, Vec<PortSpan>)>,
}

impl SecurityGroups {
    /// Those that follow from declarations; None where there are none, or they see nothing of pods.
    pub(super) fn of(
        zones: &[LandingZone],
        resolved: &[Resolved],
        platform: &Platform,
    ) -> Option<Self> {
        let azure = platform.azure.as_ref()?;
        if !security_groups_govern_pods(platform) {
            return None;
        }
        let neighbours = Neighbours::of(zones);
        let shared = azure.shared_subnets.first().map(|it| it.subnet);
        let mut ends = BTreeMap::new();
        for (zone, resolved) in zones
            .iter()
            .zip(resolved)
            .filter(|(zone, _)| zone.is_in_force())
        {
            let Some(address) = zone.azure.subnet.or(shared).and_then(some_pod) else {
                continue;
            };
            let openings = &resolved.openings;
            let before = Priorities::new();
            let resources = landing_zone_azure(zone, platform, openings, &neighbours, &before);
            let group = resources.security_groups.into_iter().next();
            ends.insert(zone.name.to_string(), End { address, group });
        }
        let has_any = ends.values().any(|it| it.group.is_some());
        let own = zones.iter().filter_map(|it| it.azure.subnet);
        let of_platform = azure.subnets().map(|(_, subnet)| subnet);
        let known = own.chain(of_platform).flat_map(|it| it.ranges());
        let declared = &azure.virtual_network.cidrs;
        has_any.then(|| Self {
            ends,
            tags: ServiceTags {
                virtual_network: known.chain(declared.iter().copied()).collect(),
                others: BTreeMap::new(),
            },
        })
    }

    /// What they make of ports (none: all of all protocols) between two places; None where they have no say.
    pub(in crate::cli) fn behind(
        &self,
        from: &PlaceName,
        to: &PlaceName,
        ports: &[PortSpan],
    ) -> Option<Behind> {
        let end = |place: &PlaceName| self.ends.get(place.landing_zone.as_deref()?);
        let (source, destination) = (end(from)?, end(to)?);
        // In one subnet nothing of one stands between, as far as landing zones are concerned.
        let is_inside = source.address == destination.address;
        if is_inside || (source.group.is_none() && destination.group.is_none()) {
            return None;
        }
        let mut behind = Behind::default();
        for span in split(ports, [source, destination]) {
            match self.denied(source, destination, span).ok()? {
                None => behind.passes.push(span),
                Some(by) => match behind.denied.iter_mut().find(|(rule, _)| *rule == by) {
                    Some((_, spans)) => spans.push(span),
                    None => behind.denied.push((by, vec![span])),
                },
            }
        }
        behind.passes = PortSpan::merged(&behind.passes);
        for (_, spans) in &mut behind.denied {
            *spans = PortSpan::merged(spans);
        }
        Some(behind)
    }

    /// The rule that denies something, if one does.
    fn denied(
        &self,
        source: &End,
        destination: &End,
        span: PortSpan,
    ) -> Result<Option<String>, UnknownServiceTag> {
        let protocol = match span.protocol {
            Some(TransportProtocol::TCP) => Protocol::Tcp,
            Some(TransportProtocol::UDP) => Protocol::Udp,
            Some(TransportProtocol::ICMP) => Protocol::Icmp,
            _ => Protocol::Any,
        };
        let flow = Flow {
            source: source.address,
            // No rule is about the port that somebody comes from.
            source_port: 0,
            destination: destination.address,
            destination_port: span.first,
            protocol,
        };
        for (end, direction) in [
            (source, Direction::Outbound),
            (destination, Direction::Inbound),
        ] {
            let Some(group) = &end.group else { continue };
            let decided = group.decide(direction, &flow, &self.tags)?;
            if decided.access == Access::Deny {
                return Ok(Some(format!("{}: {decided}", group.name)));
            }
        }
        Ok(None)
    }
}

/// Ports between which no rule makes a difference.
fn split(ports: &[PortSpan], ends: [&End; 2]) -> Vec<PortSpan> {
    let whole = |protocol| PortSpan {
        protocol: Some(protocol),
        first: 0,
        last: u16::MAX,
    };
    let others = PortSpan {
        protocol: None,
        first: 0,
        last: 0,
    };
    let all = [
        whole(TransportProtocol::TCP),
        whole(TransportProtocol::UDP),
        others,
    ];
    let ports = if ports.is_empty() { &all[..] } else { ports };
    let rules = ends
        .iter()
        .filter_map(|it| it.group.as_ref())
        .flat_map(|it| &it.rules);
    let ranges = rules.flat_map(|it| &it.destination_ports);
    let begins: BTreeSet<u16> = ranges
        .flat_map(|it| [Some(*it.start()), it.end().checked_add(1)])
        .flatten()
        .collect();
    let mut split = Vec::new();
    for span in ports {
        let has_ports = matches!(
            span.protocol,
            Some(TransportProtocol::TCP | TransportProtocol::UDP)
        );
        let mut first = span.first;
        for begin in begins.iter().filter(|_| has_ports) {
            if first < *begin && *begin <= span.last {
                let last = begin - 1;
                split.push(PortSpan {
                    first,
                    last,
                    ..*span
                });
                first = *begin;
            }
        }
        split.push(PortSpan { first, ..*span });
    }
    split
}

fn some_pod(subnet: Subnet) -> Option<IpAddr> {
    // Azure keeps the first ones.
    subnet.pods().hosts().nth(4)
}

impl Behind {
    /// Whether all of it passes.
    pub(in crate::cli) const fn is_open(&self) -> bool {
        self.denied.is_empty()
    }
}
