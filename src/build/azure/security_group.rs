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
use crate::policy::without;
use ipnet::IpNet;

/// The port of kubelet, which the API server asks for logs and by which it runs commands.
const KUBELET: u16 = 10250;
/// The port of DNS.
const DNS: u16 = 53;
/// Where Calico's agents on all nodes ask for policies (Typha), on whatever nodes it runs.
const TYPHA: u16 = 5473;
/// Where Calico's own network wraps the packets of pods (VXLAN).
const VXLAN: u16 = 4789;
/// The port of the API server.
const HTTPS: u16 = 443;
/// Where the Application Gateway talks to.
const WEB: [u16; 2] = [80, 443];
/// Priorities of rules that the platform declares: whom the API server and the Application Gateway are.
pub(super) const COME_AND_GO: [u16; 2] = [130, 200];

/// The last priority that there is, of what nothing before it decides.
const LAST: u16 = 4096;

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
    let around = Around {
        neighbours,
        open: neighbours
            .subnets
            .iter()
            .filter(|(other, it)| **other != zone.name && !it.has_security_group)
            .flat_map(|(_, it)| it.ranges())
            .chain(shared.iter().copied())
            .collect(),
        nodes: neighbours
            .subnets
            .iter()
            .filter(|(other, _)| **other != zone.name)
            .flat_map(|(_, it)| it.ranges())
            .chain(shared.iter().copied())
            .collect(),
        shared,
        sees_pods: seen(platform) == Seen::Addresses,
    };
    let mut group = Group::default();
    let system = azure.system_subnet.subnet.ranges();
    group.allow_in(100, "SystemPool", Protocol::Any, ranges(&system), &[]);
    let own = neighbours.subnets.get(&zone.name);
    let former = own.map(|it| it.former.clone()).unwrap_or_default();
    let own = [subnet.ranges(), former].concat();
    group.allow_in(110, "Subnet", Protocol::Any, ranges(&own), &[]);
    group.what_everybody_needs(platform, azure);
    // What looks at nodes may run in a pool that is shared.
    if !around.shared.is_empty() {
        let shared = ranges(&around.shared);
        group.allow_in(160, "Kubelet", Protocol::Tcp, shared, &[KUBELET]);
    }
    for opening in openings.services.iter().chain(&openings.crossings) {
        group.open(opening, &around);
    }
    // In stage Observe nothing is denied, by the rules that every group has neither.
    let access = if zone.stage == Stage::Observe {
        Access::Allow
    } else {
        Access::Deny
    };
    group.others(Direction::Inbound, access, vec![AddressPrefix::Any]);
    if !around.open.is_empty() {
        if seen(platform) == Seen::Wrapped {
            group.allow_out(140, "Vxlan", Protocol::Udp, azure, VXLAN);
        }
        group.allow_out(150, "Typha", Protocol::Tcp, azure, TYPHA);
        group.allow_out(170, "DnsTcp", Protocol::Tcp, azure, DNS);
        group.allow_out(171, "DnsUdp", Protocol::Udp, azure, DNS);
        group.others(Direction::Outbound, access, ranges(&around.open));
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
    let own = system.subnet.ranges();
    let network = ranges(&azure.virtual_network.cidrs);
    let mut group = Group::default();
    group.allow_in(110, "Subnet", Protocol::Any, ranges(&own), &[]);
    group.what_everybody_needs(platform, azure);
    group.allow_in(160, "Kubelet", Protocol::Tcp, network.clone(), &[KUBELET]);
    group.allow_in(170, "DnsTcp", Protocol::Tcp, network.clone(), &[DNS]);
    group.allow_in(171, "DnsUdp", Protocol::Udp, network.clone(), &[DNS]);
    // The private endpoint of a private cluster lies in this subnet, where nobody says otherwise.
    let inside = meeting(&platform.api_server, &[], &own);
    if !inside.is_empty() {
        let ports = [PortRange {
            protocol: api::Protocol::TCP,
            first: HTTPS,
            last: HTTPS,
        }];
        let ends = (network.clone(), ranges(&inside));
        group.keyed(Direction::Inbound, "ToApiServer", ends, &ports);
    }
    if let Some(gateway) = system.application_gateway {
        let gateway = ranges(&[gateway]);
        group.allow_in(200, "ApplicationGateway", Protocol::Tcp, gateway, &WEB);
    }
    for service in &platform.shared_services {
        if service.direction == api::ServiceDirection::ToLandingZones {
            continue;
        }
        let mut reached = Vec::new();
        for peer in &service.peers {
            match peer {
                // All ports would be those of the nodes, too.
                ServicePeer::Pods { .. } if service.ports.is_empty() => {}
                ServicePeer::Pods { .. } if seen(platform) == Seen::Addresses => {
                    reached.push(system.subnet.pods());
                }
                ServicePeer::Pods { .. } | ServicePeer::Nodes => {}
                ServicePeer::Addresses(nets) => reached.extend(meeting(nets, &[], &own)),
            }
        }
        if !reached.is_empty() {
            let subject = format!("ToService-{}", service.name);
            let ends = (network.clone(), ranges(&reached));
            group.keyed(Direction::Inbound, &subject, ends, &service.ports);
        }
    }
    group.others(Direction::Inbound, Access::Deny, vec![AddressPrefix::Any]);
    Some(group.finish(name, before))
}

/// What lies around a landing zone's subnet.
struct Around<'a> {
    neighbours: &'a Neighbours,
    /// Where nobody else's group denies: shared subnets, and those of landing zones without a group.
    open: Vec<IpNet>,
    /// Where other nodes and pods are.
    nodes: Vec<IpNet>,
    /// What landing zones without a subnet share.
    shared: Vec<IpNet>,
    sees_pods: bool,
}

/// A group that grows.
#[derive(Default)]
struct Group {
    rules: Vec<SecurityRule>,
    /// What follows from declarations, by direction and what it is about.
    keyed: BTreeMap<(Direction, String), Keyed>,
}

/// From where, and to where.
type Ends = (Vec<AddressPrefix>, Vec<AddressPrefix>);

/// What is allowed of one subject.
#[derive(Default)]
struct Keyed {
    ends: Ends,
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
            destinations: any(),
            destination_ports: ports.iter().map(|it| *it..=*it).collect(),
        });
    }

    /// To wherever in the virtual network.
    fn allow_out(
        &mut self,
        priority: u16,
        what: &str,
        protocol: Protocol,
        azure: &PlatformAzure,
        port: u16,
    ) {
        self.rules.push(SecurityRule {
            name: format!("Allow{what}OutBound"),
            priority,
            direction: Direction::Outbound,
            access: Access::Allow,
            protocol,
            sources: any(),
            source_ports: Vec::new(),
            destinations: ranges(&azure.virtual_network.cidrs),
            destination_ports: vec![port..=port],
        });
    }

    /// Whom nothing before is about. What becomes of them changes with the stage, and the rule stays the same: two of the same
    /// priority cannot be there one after the other.
    fn others(&mut self, direction: Direction, access: Access, others: Vec<AddressPrefix>) {
        let (name, sources, destinations) = match direction {
            Direction::Inbound => ("OthersInBound", others, any()),
            Direction::Outbound => ("OtherSubnetsOutBound", any(), others),
        };
        self.rules.push(SecurityRule {
            name: name.to_owned(),
            priority: LAST,
            direction,
            access,
            protocol: Protocol::Any,
            sources,
            source_ports: Vec::new(),
            destinations,
            destination_ports: Vec::new(),
        });
    }

    /// Load balancers' probes, the API server, Calico, and what the network plugin needs.
    fn what_everybody_needs(&mut self, platform: &Platform, azure: &PlatformAzure) {
        let balancer = vec![AddressPrefix::Tag(AZURE_LOAD_BALANCER.to_owned())];
        self.allow_in(120, "AzureLoadBalancer", Protocol::Any, balancer, &[]);
        // It asks kubelets, and whoever answers for admission and metrics, on ports of their own choice.
        if let Some(subnet) = azure.api_server_subnet {
            self.allow_in(130, "ApiServer", Protocol::Tcp, ranges(&[subnet]), &[]);
        }
        let network = || ranges(&azure.virtual_network.cidrs);
        match seen(platform) {
            Seen::Addresses => {}
            Seen::Range(pods) => self.allow_in(140, "Pods", Protocol::Any, ranges(pods), &[]),
            Seen::Wrapped => self.allow_in(140, "Vxlan", Protocol::Udp, network(), &[VXLAN]),
        }
        self.allow_in(150, "Typha", Protocol::Tcp, network(), &[TYPHA]);
    }

    /// What is open across the boundary, as far as this group would hold it back.
    fn open(&mut self, opening: &Opening, around: &Around<'_>) {
        let is_ingress = opening.direction == CrossingDirection::Ingress;
        let ports = &opening.ports;
        match &opening.reach {
            Reach::LandingZone { .. } | Reach::Namespaces { .. } if !around.sees_pods => {}
            Reach::LandingZone { name, .. } => match around.neighbours.subnets.get(name) {
                Some(other) if is_ingress => {
                    let ends = (ranges(&other.pods()), any());
                    self.keyed(Direction::Inbound, &format!("From-{name}"), ends, ports);
                }
                // Its own group lets it in.
                Some(other) if other.has_security_group => {}
                Some(other) => {
                    let ends = (any(), ranges(&other.pods()));
                    self.keyed(Direction::Outbound, &format!("To-{name}"), ends, ports);
                }
                None => self.shared(is_ingress, &around.shared, ports),
            },
            // Nobody knows where these run, if not in the system pool.
            Reach::Namespaces { .. } => self.shared(is_ingress, &around.shared, ports),
            Reach::Addresses { nets, .. } if is_ingress => {
                let nets = without_wider(nets, &around.nodes);
                if !nets.is_empty() {
                    let subject = format!("FromAddresses-{}", digest(&nets));
                    self.keyed(Direction::Inbound, &subject, (ranges(&nets), any()), ports);
                }
            }
            Reach::Addresses { nets, except, .. } => {
                let nets = meeting(nets, except, &around.open);
                if !nets.is_empty() {
                    let subject = format!("ToAddresses-{}", digest(&nets));
                    self.keyed(Direction::Outbound, &subject, (any(), ranges(&nets)), ports);
                }
            }
            // Whatever is not in the virtual network, every group lets out.
            Reach::Fqdns { .. } | Reach::ApiServer(_) => {}
        }
    }

    fn shared(&mut self, is_ingress: bool, shared: &[IpNet], ports: &[PortRange]) {
        if shared.is_empty() {
            return;
        }
        if is_ingress {
            let ends = (ranges(shared), any());
            self.keyed(Direction::Inbound, "FromSharedSubnets", ends, ports);
        } else {
            let ends = (any(), ranges(shared));
            self.keyed(Direction::Outbound, "ToSharedSubnets", ends, ports);
        }
    }

    /// Allows ports of one subject besides those that it is allowed already; none: all of all protocols.
    fn keyed(&mut self, direction: Direction, subject: &str, ends: Ends, ports: &[PortRange]) {
        let keyed = self.keyed.entry((direction, subject.to_owned()));
        let keyed = keyed.or_default();
        keyed.ends = ends;
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
            let nothing = BTreeSet::new();
            let all = [(Protocol::Any, "", &nothing)];
            let some = [
                (Protocol::Tcp, "-Tcp", &keyed.tcp),
                (Protocol::Udp, "-Udp", &keyed.udp),
            ];
            let protocols: &[_] = if keyed.all { &all } else { &some };
            for (protocol, suffix, ports) in protocols {
                if ports.is_empty() && !keyed.all {
                    continue;
                }
                let end = match direction {
                    Direction::Inbound => "InBound",
                    Direction::Outbound => "OutBound",
                };
                declared.push(SecurityRule {
                    name: format!("Allow-{subject}{suffix}-{end}"),
                    priority: 0,
                    direction: *direction,
                    access: Access::Allow,
                    protocol: *protocol,
                    sources: keyed.ends.0.clone(),
                    source_ports: Vec::new(),
                    destinations: keyed.ends.1.clone(),
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

fn any() -> Vec<AddressPrefix> {
    vec![AddressPrefix::Any]
}

/// Ranges as a rule takes them: of IPv4, as subnets are, and none within another.
fn ranges(nets: &[IpNet]) -> Vec<AddressPrefix> {
    let nets: Vec<IpNet> = nets
        .iter()
        .filter(|it| matches!(it, IpNet::V4(_)))
        .copied()
        .collect();
    let nets = IpNet::aggregate(&nets);
    nets.into_iter().map(AddressPrefix::Range).collect()
}

/// Ranges have no name.
fn digest(nets: &[IpNet]) -> String {
    let sorted: BTreeSet<String> = nets.iter().map(ToString::to_string).collect();
    short_digest(&sorted.into_iter().collect::<Vec<_>>().join(","))
}

/// Those that name a place in `subnets`: wide ones that hold subnets among others do not mean what runs there.
fn meeting(nets: &[IpNet], except: &[IpNet], subnets: &[IpNet]) -> Vec<IpNet> {
    let is_inside = |net: &&IpNet| subnets.iter().any(|it| it.contains(*net));
    let meant: Vec<IpNet> = nets.iter().filter(is_inside).copied().collect();
    without(&meant, except)
}

/// These without the subnets that they hold: whoever opens a wide range does not mean nodes and pods.
fn without_wider(nets: &[IpNet], subnets: &[IpNet]) -> Vec<IpNet> {
    let mut left = Vec::new();
    for net in nets.iter().filter(|it| matches!(it, IpNet::V4(_))) {
        let held = subnets.iter().filter(|it| net.contains(*it) && net != *it);
        left.extend(without(&[*net], &held.copied().collect::<Vec<_>>()));
    }
    left
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
