//! The network security groups of seed 000: of a landing zone's subnet, and of the system pool's.
//!
//! The same declarations that open a boundary in Calico's policies open it here ([`Openings`]). A group sees addresses and
//! not pods, so it is as narrow as a subnet: which zones and pods of both landing zones are meant is for Calico to hold.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::Neighbours;
use super::priorities::priorities;
use super::short_digest;
use crate::api::{self, CrossingDirection, NetworkPlugin, Stage};
use crate::domain::{
    LandingZone, Opening, Openings, Platform, PlatformAzure, PortRange, Reach, ServicePeer,
};
use crate::policy::security_group::{
    Access, AddressPrefix, Direction, Protocol, SecurityGroup, SecurityRule,
};
use ipnet::IpNet;

/// The port of kubelet, which the API server asks for logs and by which it runs commands.
const KUBELET: u16 = 10250;
/// The port of DNS.
const DNS: u16 = 53;
/// Where Calico's agents on all nodes ask for policies (Typha), on whatever nodes it runs.
const TYPHA: u16 = 5473;
/// Where Calico's own network wraps the packets of pods (VXLAN).
const VXLAN: u16 = 4789;
/// Where the Application Gateway talks to.
const WEB: [u16; 2] = [80, 443];
/// The last priority that there is, of what nothing before it decides.
const LAST: u16 = 4096;

/// Addresses of the virtual network, of what it is peered with and of what is connected to it.
const VIRTUAL_NETWORK: &str = "VirtualNetwork";
/// Where probes of load balancers come from.
const AZURE_LOAD_BALANCER: &str = "AzureLoadBalancer";

/// What a network security group sees of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen<'a> {
    /// Each has an address of the virtual network (Azure CNI).
    Addresses,
    /// They have addresses that say nothing of the node: all of them are let through, and Calico alone governs them
    /// (kubenet, Azure CNI Overlay).
    Range(&'a [IpNet]),
    /// Nothing: their packets are wrapped on the way from node to node (Calico's own network).
    Wrapped,
}

fn seen(platform: &Platform) -> Seen<'_> {
    match platform.plugin {
        Some(NetworkPlugin::Kubenet | NetworkPlugin::AzureCNIOverlay) => {
            Seen::Range(&platform.pod_cidrs)
        }
        Some(NetworkPlugin::Calico) => Seen::Wrapped,
        // Without one there is no group: the platform's declaration is refused.
        Some(NetworkPlugin::AzureCNI) | None => Seen::Addresses,
    }
}

/// Whether network security groups govern traffic between pods, or only that between nodes.
#[must_use]
pub fn security_groups_govern_pods(platform: &Platform) -> bool {
    seen(platform) == Seen::Addresses
}

/// The group of a landing zone's own subnet; None where it declares none. `before` is what priority a rule had.
pub(super) fn landing_zone(
    zone: &LandingZone,
    name: String,
    platform: &Platform,
    azure: &PlatformAzure,
    openings: &Openings,
    neighbours: &Neighbours,
    before: &BTreeMap<String, u16>,
) -> Option<SecurityGroup> {
    let subnet = zone
        .azure
        .subnet
        .filter(|_| zone.azure.has_security_group)?;
    let shared: Vec<IpNet> = azure
        .shared_subnets
        .iter()
        .flat_map(|it| it.subnet.ranges())
        .collect();
    let mut group = Group::default();
    let system = azure.system_subnet.subnet.ranges();
    group.allow_in(100, "SystemPool", Protocol::Any, ranges(&system), &[]);
    group.allow_in(110, "Subnet", Protocol::Any, ranges(&subnet.ranges()), &[]);
    group.what_everybody_needs(platform, &[KUBELET]);
    if seen(platform) == Seen::Addresses {
        for opening in openings.services.iter().chain(&openings.crossings) {
            group.open(opening, neighbours, &shared);
        }
    }
    if zone.stage == Stage::Observe {
        // Nothing is denied, by the rules that every group has neither.
        let all = vec![AddressPrefix::Any];
        group.allow_in(LAST, "All", Protocol::Any, all, &[]);
    } else {
        group.deny(Direction::Inbound, "DenyAll", vec![AddressPrefix::Any]);
        group.deny_shared_subnets(platform, &shared);
    }
    Some(group.finish(name, before))
}

/// The group of the system pool's subnet; None where the platform declares none. `before` is what priority a rule had.
pub(super) fn system_subnet(
    name: String,
    platform: &Platform,
    azure: &PlatformAzure,
    before: &BTreeMap<String, u16>,
) -> Option<SecurityGroup> {
    let system = &azure.system_subnet;
    if !system.has_security_group {
        return None;
    }
    let mut group = Group::default();
    group.allow_in(
        110,
        "Subnet",
        Protocol::Any,
        ranges(&system.subnet.ranges()),
        &[],
    );
    // Those who answer the API server's questions about admission and metrics run here, on ports of their own choice.
    group.what_everybody_needs(platform, &[]);
    group.allow_in(160, "Kubelet", Protocol::Tcp, network(), &[KUBELET]);
    group.allow_in(170, "DnsTcp", Protocol::Tcp, network(), &[DNS]);
    group.allow_in(171, "DnsUdp", Protocol::Udp, network(), &[DNS]);
    if let Some(gateway) = system.application_gateway {
        group.allow_in(
            200,
            "ApplicationGateway",
            Protocol::Tcp,
            ranges(&[gateway]),
            &WEB,
        );
    }
    if seen(platform) == Seen::Addresses {
        for service in &platform.shared_services {
            let runs_in_pods = |it: &ServicePeer| matches!(it, ServicePeer::Pods { .. });
            let is_reached = service.direction != api::ServiceDirection::ToLandingZones;
            if is_reached && service.peers.iter().any(runs_in_pods) {
                let subject = format!("ToService-{}", service.name);
                group.keyed(Direction::Inbound, &subject, network(), &service.ports);
            }
        }
    }
    group.deny(Direction::Inbound, "DenyAll", vec![AddressPrefix::Any]);
    Some(group.finish(name, before))
}

/// A group that grows.
#[derive(Default)]
struct Group {
    rules: Vec<SecurityRule>,
    /// What follows from declarations, by direction and what it is about.
    keyed: BTreeMap<(Direction, String), Keyed>,
}

/// What is allowed of one subject.
#[derive(Default)]
struct Keyed {
    prefixes: Vec<AddressPrefix>,
    /// Everything.
    all: bool,
    tcp: BTreeSet<(u16, u16)>,
    udp: BTreeSet<(u16, u16)>,
}

impl Group {
    fn allow_in(
        &mut self,
        priority: u16,
        whom: &str,
        protocol: Protocol,
        sources: Vec<AddressPrefix>,
        ports: &[u16],
    ) {
        self.rules.push(SecurityRule {
            name: format!("Allow{whom}InBound"),
            priority,
            direction: Direction::Inbound,
            access: Access::Allow,
            protocol,
            sources,
            source_ports: Vec::new(),
            destinations: vec![AddressPrefix::Any],
            destination_ports: ports.iter().map(|it| *it..=*it).collect(),
        });
    }

    /// To wherever in the virtual network.
    fn allow_out(&mut self, priority: u16, what: &str, protocol: Protocol, port: u16) {
        self.rules.push(SecurityRule {
            name: format!("Allow{what}OutBound"),
            priority,
            direction: Direction::Outbound,
            access: Access::Allow,
            protocol,
            sources: vec![AddressPrefix::Any],
            source_ports: Vec::new(),
            destinations: network(),
            destination_ports: vec![port..=port],
        });
    }

    /// Other landing zones' subnets are closed by their own groups, and the system pool's has to be reached for DNS.
    fn deny_shared_subnets(&mut self, platform: &Platform, shared: &[IpNet]) {
        if shared.is_empty() {
            return;
        }
        if seen(platform) == Seen::Wrapped {
            self.allow_out(140, "Vxlan", Protocol::Udp, VXLAN);
        }
        self.allow_out(150, "Typha", Protocol::Tcp, TYPHA);
        self.allow_out(170, "DnsTcp", Protocol::Tcp, DNS);
        self.allow_out(171, "DnsUdp", Protocol::Udp, DNS);
        self.deny(Direction::Outbound, "DenySharedSubnets", ranges(shared));
    }

    fn deny(&mut self, direction: Direction, name: &str, others: Vec<AddressPrefix>) {
        let (name, sources, destinations) = match direction {
            Direction::Inbound => (format!("{name}InBound"), others, vec![AddressPrefix::Any]),
            Direction::Outbound => (format!("{name}OutBound"), vec![AddressPrefix::Any], others),
        };
        self.rules.push(SecurityRule {
            name,
            priority: LAST,
            direction,
            access: Access::Deny,
            protocol: Protocol::Any,
            sources,
            source_ports: Vec::new(),
            destinations,
            destination_ports: Vec::new(),
        });
    }

    /// Load balancers, the API server on such ports (all of them without any), and what the network plugin needs.
    fn what_everybody_needs(&mut self, platform: &Platform, of_api_server: &[u16]) {
        let balancer = vec![AddressPrefix::Tag(AZURE_LOAD_BALANCER.to_owned())];
        self.allow_in(120, "AzureLoadBalancer", Protocol::Any, balancer, &[]);
        // Where the API server has an address in the virtual network, it asks from there.
        if !platform.api_server.is_empty() {
            let sources = ranges(&platform.api_server);
            self.allow_in(130, "ApiServer", Protocol::Tcp, sources, of_api_server);
        }
        match seen(platform) {
            Seen::Addresses | Seen::Range([]) => {}
            Seen::Range(pods) => self.allow_in(140, "Pods", Protocol::Any, ranges(pods), &[]),
            Seen::Wrapped => {
                self.allow_in(140, "Vxlan", Protocol::Udp, network(), &[VXLAN]);
            }
        }
        self.allow_in(150, "Typha", Protocol::Tcp, network(), &[TYPHA]);
    }

    /// What is open across the boundary, as far as this group would hold it back.
    fn open(&mut self, opening: &Opening, neighbours: &Neighbours, shared: &[IpNet]) {
        let is_ingress = opening.direction == CrossingDirection::Ingress;
        let ports = &opening.ports;
        match &opening.reach {
            Reach::LandingZone { name, .. } => match neighbours.subnet(name) {
                Some(subnet) if is_ingress => {
                    let subject = format!("From-{name}");
                    self.keyed(
                        Direction::Inbound,
                        &subject,
                        ranges(&[subnet.pods()]),
                        ports,
                    );
                }
                // Only what leads to shared subnets is held back on its way out.
                Some(_) => {}
                None => self.shared(is_ingress, shared, ports),
            },
            // Nobody knows where these run, if not in the system pool.
            Reach::Namespaces { .. } => self.shared(is_ingress, shared, ports),
            Reach::Addresses { nets, .. } if is_ingress => {
                let subject = format!("From-{}", digest(nets));
                self.keyed(Direction::Inbound, &subject, ranges(nets), ports);
            }
            Reach::Addresses { nets, except, .. } => {
                let nets: Vec<IpNet> = meeting(nets, except, shared);
                if !nets.is_empty() {
                    let subject = format!("To-{}", digest(&nets));
                    self.keyed(Direction::Outbound, &subject, ranges(&nets), ports);
                }
            }
            Reach::ApiServer(_) => {}
        }
    }

    fn shared(&mut self, is_ingress: bool, shared: &[IpNet], ports: &[PortRange]) {
        if shared.is_empty() {
            return;
        }
        let (direction, subject) = if is_ingress {
            (Direction::Inbound, "FromSharedSubnets")
        } else {
            (Direction::Outbound, "ToSharedSubnets")
        };
        self.keyed(direction, subject, ranges(shared), ports);
    }

    /// Allows ports of one subject besides those that it is allowed already; none: all of all protocols.
    fn keyed(
        &mut self,
        direction: Direction,
        subject: &str,
        prefixes: Vec<AddressPrefix>,
        ports: &[PortRange],
    ) {
        let keyed = self
            .keyed
            .entry((direction, subject.to_owned()))
            .or_default();
        keyed.prefixes = prefixes;
        keyed.all |= ports.is_empty();
        for port in ports {
            let range = (port.first, port.last);
            match port.protocol {
                api::Protocol::TCP => keyed.tcp.insert(range),
                api::Protocol::UDP => keyed.udp.insert(range),
                // No rule can name it, and virtual networks do not carry it.
                api::Protocol::SCTP => false,
            };
        }
    }

    fn finish(mut self, name: String, before: &BTreeMap<String, u16>) -> SecurityGroup {
        let mut declared = Vec::new();
        for ((direction, subject), keyed) in &self.keyed {
            let all = [(Protocol::Any, "", &BTreeSet::new())];
            let some = [
                (Protocol::Tcp, "-Tcp", &keyed.tcp),
                (Protocol::Udp, "-Udp", &keyed.udp),
            ];
            let protocols: &[_] = if keyed.all { &all } else { &some };
            for (protocol, suffix, ports) in protocols {
                if ports.is_empty() && !keyed.all {
                    continue;
                }
                let (end, sources, destinations) = match direction {
                    Direction::Inbound => {
                        ("InBound", keyed.prefixes.clone(), vec![AddressPrefix::Any])
                    }
                    Direction::Outbound => {
                        ("OutBound", vec![AddressPrefix::Any], keyed.prefixes.clone())
                    }
                };
                declared.push(SecurityRule {
                    name: format!("Allow-{subject}{suffix}-{end}"),
                    priority: 0,
                    direction: *direction,
                    access: Access::Allow,
                    protocol: *protocol,
                    sources,
                    source_ports: Vec::new(),
                    destinations,
                    destination_ports: merged(ports),
                });
            }
        }
        let names = declared.iter().map(|it| it.name.clone()).collect();
        let priorities = priorities(&names, before);
        for mut rule in declared {
            if let Some(priority) = priorities.get(&rule.name) {
                rule.priority = *priority;
                self.rules.push(rule);
            }
        }
        self.rules.sort_by_key(|it| (it.direction, it.priority));
        SecurityGroup {
            name,
            rules: self.rules,
        }
    }
}

fn network() -> Vec<AddressPrefix> {
    vec![AddressPrefix::Tag(VIRTUAL_NETWORK.to_owned())]
}

fn ranges(nets: &[IpNet]) -> Vec<AddressPrefix> {
    let sorted: BTreeSet<IpNet> = nets.iter().copied().collect();
    sorted.into_iter().map(AddressPrefix::Range).collect()
}

/// Ranges have no name.
fn digest(nets: &[IpNet]) -> String {
    let sorted: BTreeSet<String> = nets.iter().map(ToString::to_string).collect();
    short_digest(&sorted.into_iter().collect::<Vec<_>>().join(","))
}

/// The parts of `nets` that lie in `shared` and are not left out by `except`.
fn meeting(nets: &[IpNet], except: &[IpNet], shared: &[IpNet]) -> Vec<IpNet> {
    let mut met = BTreeSet::new();
    for net in nets {
        for range in shared {
            let both = if range.contains(net) {
                *net
            } else if net.contains(range) {
                *range
            } else {
                continue;
            };
            if !except
                .iter()
                .any(|it| it.contains(&both) || both.contains(it))
            {
                met.insert(both);
            }
        }
    }
    met.into_iter().collect()
}

/// Ranges of ports without overlaps, in their order.
fn merged(ports: &BTreeSet<(u16, u16)>) -> Vec<RangeInclusive<u16>> {
    let mut merged: Vec<(u16, u16)> = Vec::new();
    for (first, last) in ports {
        match merged.last_mut() {
            Some((_, end)) if u32::from(*first) <= u32::from(*end) + 1 => *end = (*end).max(*last),
            _ => merged.push((*first, *last)),
        }
    }
    merged
        .into_iter()
        .map(|(first, last)| first..=last)
        .collect()
}
