//! Whom to ask, and what would have to be declared.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::end::{Asked, End};
use crate::api::{
    CrossingDirection, Protocol, RangeAcknowledgement, ServiceAudience, ServiceDirection,
};
use crate::cli::crossings::today;
use crate::cli::landscape::{Landscape, Place, PlaceKind};
use crate::cli::propose::yaml::{fragment, shared_service_fragment};
use crate::domain::{
    Crossing, Destination, LandingZone, Peer as Outside, Platform, PortRange, ServicePeer,
    SharedService, is_metadata,
};
use crate::policy::TransportProtocol;
use crate::review::declare::{
    Cidr, Direction, Entry, Names, Peer, Port, Said, ServicePeer as Running,
    SharedService as Proposed, Side, list,
};

/// The contacts of both ends.
pub(super) fn whom_to_ask(landscape: &Landscape, from: &End<'_>, to: &End<'_>) -> String {
    let zones = [from, to].map(|end| {
        let unread = end.unread.as_ref().map(|(owner, _)| owner.as_str());
        end.place
            .and_then(|it| it.name.landing_zone.as_deref())
            .or(unread)
    });
    let zones: BTreeSet<&str> = zones.into_iter().flatten().collect();
    let mut text = "whom to ask\n".to_owned();
    for zone in zones {
        let is_read = landscape.zones.iter().any(|it| it.name.as_str() == zone);
        let contact = match landscape.contact(zone) {
            Some(contact) => contact,
            None if is_read => "no contact is declared",
            None if landscape.is_partial => "its contact cannot be read with your rights",
            None => "nothing that was read declares it, so its contact is not known",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {zone}: {contact}");
    }
    text
}

/// What would let it pass; nothing where nothing denies it.
pub(super) fn remedies(
    landscape: &Landscape,
    from: &End<'_>,
    asked: &Asked<'_>,
    is_denied: bool,
) -> String {
    if !is_denied {
        return String::new();
    }
    let mut text = String::new();
    let to = &asked.end;
    let port = asked.port.and_then(|(protocol, port)| {
        let protocol = match protocol {
            TransportProtocol::TCP => Protocol::TCP,
            TransportProtocol::UDP => Protocol::UDP,
            TransportProtocol::SCTP => Protocol::SCTP,
            _ => return None,
        };
        Some(Port::one(protocol, port))
    });
    let inside = |end: &End<'_>| {
        let name = end.place?.name.landing_zone.as_deref()?;
        let mut zones = landscape.zones.iter();
        let zone = zones.find(|zone| zone.name.as_str() == name)?;
        Some((zone.clone(), end.place?.name.zone.clone()))
    };
    let ends = [(inside(from), from), (inside(to), to)];
    let sides = ends
        .each_ref()
        .map(|(inside, end)| match (inside, &end.unread) {
            (Some((declared, zone)), _) => Some(Side {
                landing_zone: declared.name.as_str(),
                zone: Some(zone),
                labels: None,
                declared: &declared.network.crossings,
            }),
            (None, Some((landing_zone, zone))) => Some(Side {
                landing_zone,
                zone: Some(zone),
                labels: None,
                declared: &[],
            }),
            (None, None) => None,
        });
    let [(from_inside, _), (to_inside, _)] = &ends;
    match (from_inside, to_inside, &sides) {
        (Some((own, from)), Some((peer, to)), _) if own.name == peer.name => {
            text.push_str(&flow(own, from, to, port));
        }
        (_, _, [Some(own), Some(peer)]) => {
            let [from_is_read, to_is_read] = ends.each_ref().map(|(inside, _)| inside.is_some());
            let (egress, ingress) = (CrossingDirection::Egress, CrossingDirection::Ingress);
            text.push_str(&side(egress, own, peer, (port, from_is_read)));
            text.push_str(&side(ingress, peer, own, (port, to_is_read)));
        }
        (Some(own), ..) => text.push_str(&outwards(&landscape.platform, own, to, port)),
        (_, Some(own), _) => text.push_str(&inwards(&landscape.platform, own, from, port)),
        _ => {}
    }
    text
}

/// A landing zone and one of its zones.
type Inside = (LandingZone, String);

fn flow(zone: &LandingZone, from: &str, to: &str, port: Option<Port>) -> String {
    let own = |zone: &str| Peer {
        zone: Some(zone.to_owned()),
        ..Peer::default()
    };
    let taken = zone.network.flows.iter().map(|it| it.name.as_str());
    let name = Names::new(taken).give(&[from, "to", to]);
    let mut text = String::new();
    if zone.network.flows.is_empty() {
        let _ = writeln!(
            text,
            "landing zone {} declares no flow: all is free inside but for policies of its team",
            zone.name
        );
        return text;
    }
    let entry = Entry::new(name, own(from), own(to), port);
    declare(zone.name.as_str(), "flows", &entry)
}

/// What one side of a crossing between landing zones declares.
fn side(
    direction: CrossingDirection,
    own: &Side<'_>,
    peer: &Side<'_>,
    (port, is_read): (Option<Port>, bool),
) -> String {
    let (zone, list) = (own.landing_zone, list(direction));
    let ports: Vec<Port> = port.into_iter().collect();
    match own.said(direction, peer, &ports, Some(today())) {
        Said::Ended(name, day) => format!(
            "landing zone {zone} declares it until {day}, which is over: {list} {name}; give it a later validUntil, or \
             leave that out\n"
        ),
        Said::Already(name) => {
            format!("landing zone {zone} declares it already: {list} {name}\n")
        }
        Said::Missing(entry) => {
            let mut text = declare(zone, list, &entry);
            if !is_read {
                let _ = writeln!(
                    text,
                    "  (or does already: what it declares cannot be read with your rights)"
                );
            }
            text
        }
    }
}

fn covers(ports: &[PortRange], port: Option<Port>) -> bool {
    ports.is_empty() || port.is_some_and(|port| port.is_in(ports))
}

fn outwards(platform: &Platform, (own, zone): &Inside, to: &End<'_>, port: Option<Port>) -> String {
    let kind = to.place.map(|place| &place.kind);
    // No destination reaches pods by their addresses.
    let is_pod = |it: &IpAddr| platform.pod_cidrs.iter().any(|range| range.contains(it));
    let named = to.address.filter(|it| !is_pod(it));
    let named = named.map(|it| Named::of(it, port, platform));
    let there = match (kind, to.address) {
        (Some(PlaceKind::ApiServer), _) => Peer::api_server(),
        (Some(PlaceKind::Destination(name)), _) => Peer::destination(name),
        (_, Some(address)) => match &named {
            Some(Named::Exactly(destination)) => Peer::destination(&destination.name),
            _ => Peer::outside(&[address]),
        },
        (Some(PlaceKind::SharedService(name)), _) => return asking(own, name),
        _ if to.place.is_some_and(|it| it.name.is_internet()) => {
            return internet(own, zone, port);
        }
        _ => return elsewhere(to.place),
    };
    let here = Peer {
        zone: Some(zone.clone()),
        ..Peer::default()
    };
    // The API server has one port, and a crossing to it names none.
    let port = port.filter(|_| !there.api_server);
    let name = crossing_name(
        &own.network.crossings,
        CrossingDirection::Egress,
        &[zone, "to", &to.name],
    );
    let mut entry = Entry::new(name, here, there, port);
    let is_address = !entry.to.cidrs.is_empty();
    let kept = to
        .address
        .filter(|_| is_address)
        .and_then(|it| kept_apart(it, platform));
    entry.acknowledge = kept.map(|(acknowledge, _)| acknowledge);
    let mut text = declare(own.name.as_str(), "egress", &entry);
    if let Some((_, what)) = kept {
        let _ = writeln!(text, "  (somebody has to acknowledge that this is {what})");
    }
    match named.filter(|_| !entry.to.api_server) {
        Some(Named::Exactly(destination)) => {
            let asked = to.address.map(IpNet::from);
            let others: Vec<_> = destination
                .cidrs
                .iter()
                .filter(|it| Some(**it) != asked)
                .map(ToString::to_string)
                .collect();
            if !others.is_empty() {
                let _ = writeln!(text, "  (and with it {})", others.join(", "));
            }
        }
        // A wide range leaves out what is kept apart.
        Some(Named::Wider(destination)) if kept.is_none() => {
            let all: Vec<_> = destination.cidrs.iter().map(ToString::to_string).collect();
            let (name, all) = (&destination.name, all.join(", "));
            let _ = writeln!(
                text,
                "  (or `to: {{destination: {name}}}`, which is all of {all})"
            );
        }
        Some(Named::Wider(_) | Named::Not) | None => {}
    }
    text
}

/// What opens all of the internet, which few mean.
fn internet(own: &LandingZone, zone: &str, port: Option<Port>) -> String {
    let all = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
    let is_it = |it: &Crossing| {
        let is_all = match &it.peer {
            Outside::Addresses { cidrs, .. } => all.iter().all(|range| cidrs.contains(range)),
            _ => false,
        };
        let is_here = it.own.zone.as_ref().is_none_or(|it| it.as_str() == zone);
        let is_egress = it.direction == CrossingDirection::Egress;
        is_egress && is_all && is_here && covers(&it.ports, port)
    };
    if own.network.crossings.iter().any(is_it) {
        return "all addresses are declared: what is denied of them is kept apart by the boundary,\nas addresses of pods and of \
                metadata are, or the declaration is not in force\n"
            .to_owned();
    }
    let here = Peer {
        zone: Some(zone.to_owned()),
        ..Peer::default()
    };
    let there = Peer {
        cidrs: all.map(Cidr).into(),
        ..Peer::default()
    };
    let name = crossing_name(
        &own.network.crossings,
        CrossingDirection::Egress,
        &[zone, "to", "internet"],
    );
    let mut entry = Entry::new(name, here, there, port);
    entry.acknowledge = Some(RangeAcknowledgement::AllAddresses);
    let fragment = declare(own.name.as_str(), "egress", &entry);
    format!(
        "{fragment}  (somebody has to acknowledge that this is all addresses there are:\n  ask again with the one that is meant, and \
         it is written out)\n"
    )
}

/// What the platform calls an address with a port.
enum Named<'a> {
    /// A destination that has this address.
    Exactly(&'a Destination),
    /// One that has a range around it.
    Wider(&'a Destination),
    /// Nothing.
    Not,
}

impl<'a> Named<'a> {
    fn of(address: IpAddr, port: Option<Port>, platform: &'a Platform) -> Self {
        let all = platform.destinations.iter();
        let covering = || all.clone().filter(|it| covers(&it.ports, port));
        // The fewer others are opened with it, the better.
        let exactly = covering().filter(|it| it.cidrs.contains(&address.into()));
        if let Some(destination) = exactly.min_by_key(|it| it.cidrs.len()) {
            return Self::Exactly(destination);
        }
        covering()
            .find(|it| it.cidrs.iter().any(|range| range.contains(&address)))
            .map_or(Self::Not, Self::Wider)
    }
}

/// What somebody has to acknowledge before an address is opened, and why.
fn kept_apart(
    address: IpAddr,
    platform: &Platform,
) -> Option<(RangeAcknowledgement, &'static str)> {
    let holds = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&address));
    if is_metadata(address.into()) {
        Some((
            RangeAcknowledgement::MetadataService,
            "what gives out identity tokens",
        ))
    } else if holds(&platform.pod_cidrs) {
        let why = "an address of pods, which others get when these are gone: name the landing zone instead where there is one";
        Some((RangeAcknowledgement::PodRange, why))
    } else if holds(&platform.node_cidrs) {
        Some((RangeAcknowledgement::NodeRange, "an address of nodes"))
    } else {
        None
    }
}

/// What lets somebody in who is in no landing zone: the platform alone can.
fn inwards(platform: &Platform, (own, _): &Inside, from: &End<'_>, port: Option<Port>) -> String {
    let address = match (from.place.map(|place| &place.kind), from.address) {
        (_, Some(address)) => address,
        (Some(PlaceKind::SharedService(name)), _) => return asking(own, name),
        _ => return elsewhere(from.place),
    };
    let holds = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&address));
    if holds(&platform.pod_cidrs) {
        return format!(
            "{address} is an address of pods, which no declaration names: ask again with its landing zone and zone, or \
             its namespace\n"
        );
    }
    let is_node = holds(&platform.node_cidrs);
    let uses = |it: &SharedService| {
        it.landing_zones == ServiceAudience::All
            || own.network.shared_services.contains(it.name.as_str())
    };
    let services = platform.shared_services.iter().filter(|service| {
        let is_peer = |peer: &ServicePeer| match peer {
            ServicePeer::Addresses(ranges) => holds(ranges),
            ServicePeer::Nodes => is_node,
            ServicePeer::Pods { .. } => false,
        };
        service.direction != ServiceDirection::FromLandingZones
            && covers(&service.ports, port)
            && service.peers.iter().any(is_peer)
    });
    if let Some(service) = services.max_by_key(|it| uses(it)) {
        if service.landing_zones == ServiceAudience::All {
            return format!(
                "shared service {} of the platform is for all landing zones already\n",
                service.name
            );
        }
        return asking(own, &service.name);
    }
    let taken = platform.shared_services.iter().map(|it| it.name.as_str());
    let mut names = Names::new(taken);
    let (name, peer) = if is_node {
        // Nodes come and go, and so do their addresses.
        (names.give(&["from", "nodes"]), Running::Nodes(true))
    } else {
        let address_name = from.name.as_str();
        let peer = Running::Cidrs(vec![Cidr::from(address)]);
        (names.give(&["from", address_name]), peer)
    };
    let service = Proposed {
        name,
        peers: vec![peer],
        direction: Direction::ToLandingZones,
        ports: port.into_iter().collect(),
        landing_zones: "Declared",
    };
    format!(
        "to let it pass, the LandingZonePlatform declares\n{}and landing zone {} declares\n{}",
        shared_service_fragment(&service, 2),
        own.name,
        ask_fragment(&service.name)
    )
}

fn asking(own: &LandingZone, service: &str) -> String {
    if own.network.shared_services.contains(service) {
        return format!(
            "landing zone {} asks for shared service {service} already: its direction and ports are \
             the platform's\n",
            own.name
        );
    }
    format!(
        "to let it pass, landing zone {} declares\n{}",
        own.name,
        ask_fragment(service)
    )
}

fn ask_fragment(service: &str) -> String {
    format!("  spec:\n    network:\n      sharedServices: [{service}]\n")
}

/// What no landing zone can declare.
fn elsewhere(place: Option<&Place>) -> String {
    match place.map(|place| &place.kind) {
        Some(PlaceKind::Dns) => "DNS is open on port 53, and only from landing zones\n".to_owned(),
        Some(PlaceKind::Addresses) => {
            "addresses are opened one by one: ask again with one of them, and what to declare is written out\n"
                .to_owned()
        }
        _ => "what runs in no landing zone is opened by the platform alone, as one of its sharedServices\n"
            .to_owned(),
    }
}

fn crossing_name(crossings: &[Crossing], direction: CrossingDirection, words: &[&str]) -> String {
    let taken = crossings.iter().filter(|it| it.direction == direction);
    Names::new(taken.map(|it| it.name.as_str())).give(words)
}

fn declare(landing_zone: &str, list: &str, entry: &Entry) -> String {
    let fragment = fragment(list, entry, 2);
    format!("to let it pass, landing zone {landing_zone} declares\n{fragment}")
}
