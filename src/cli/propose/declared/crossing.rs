//! Traffic across a boundary: what the landing zones of both ends declare, or the platform.

use ipnet::IpNet;

use super::{Cover, Halves, Judgement, Route, has_labels, holds, is_in_zone, passes, takes};
use crate::api::names::API_SERVER_PORT;
use crate::api::{
    CrossingDirection, Protocol, RangeAcknowledgement, ServiceAudience, ServiceDirection,
};
use crate::cli::propose::inventory::{End, Located};
use crate::domain::{
    Crossing, CrossingEnd, LandingZone, Peer, Platform, ServicePeer, SharedService,
};

/// A shared service that a packet may use.
pub(super) enum Offer {
    /// The landing zone uses it.
    Taken(String),
    /// The landing zone would have to name it.
    Open(String),
}

/// What two landing zones declare about a packet from one to the other.
pub(super) fn between<'a>(
    from: &'a LandingZone,
    to: &'a LandingZone,
    route: Route<'_>,
) -> Judgement<'a> {
    let egress = half(from, to, route, CrossingDirection::Egress);
    let ingress = half(to, from, route, CrossingDirection::Ingress);
    match (egress, ingress) {
        (Some(egress), Some(_)) => passes(from, Cover::Egress(egress.name.clone())),
        (egress, ingress) => Judgement::Asks {
            from: route.from.end.clone(),
            to: route.to.end.clone(),
            missing: Halves {
                egress: egress.is_none(),
                ingress: ingress.is_none(),
            },
        },
    }
}

/// What one of two landing zones declares about a packet between them.
fn half<'a>(
    own: &'a LandingZone,
    other: &LandingZone,
    route: Route<'_>,
    direction: CrossingDirection,
) -> Option<&'a Crossing> {
    let (inner, outer) = match direction {
        CrossingDirection::Egress => (route.from, route.to),
        CrossingDirection::Ingress => (route.to, route.from),
    };
    own.network.crossings.iter().find(|crossing| {
        let is_meant = |peer: &Peer| match peer {
            Peer::LandingZone { name, end } => *name == other.name && is_at(end, outer),
            Peer::Addresses { .. } | Peer::Fqdns(_) | Peer::Destination(_) | Peer::ApiServer => {
                false
            }
        };
        crossing.direction == direction
            && is_at(&crossing.own, inner)
            && is_meant(&crossing.peer)
            && takes(&crossing.ports, route.target)
    })
}

/// The name of the crossing by which a landing zone lets a packet out of all landing zones.
pub(super) fn out_of<'a>(
    own: &'a LandingZone,
    platform: &Platform,
    route: Route<'_>,
) -> Option<&'a str> {
    let is_meant = |crossing: &&Crossing| {
        crossing.direction == CrossingDirection::Egress
            && is_at(&crossing.own, route.from)
            && takes(&crossing.ports, route.target)
            && reaches(crossing, platform, route)
    };
    let crossing = own.network.crossings.iter().find(is_meant)?;
    Some(&crossing.name)
}

fn reaches(crossing: &Crossing, platform: &Platform, route: Route<'_>) -> bool {
    match &crossing.peer {
        // Of a packet nobody knows by which name its address was found.
        Peer::LandingZone { .. } | Peer::Fqdns(_) => false,
        Peer::Addresses { cidrs, except } => {
            let to = route.to;
            holds_address(cidrs, to)
                && !holds_address(except, to)
                && match acknowledgement(&to.end) {
                    Some(needed) => crossing.acknowledge == Some(needed),
                    None => true,
                }
        }
        Peer::Destination(name) => platform.destinations.iter().any(|destination| {
            destination.name == *name
                && holds_address(&destination.cidrs, route.to)
                && takes(&destination.ports, route.target)
        }),
        Peer::ApiServer => is_to_api_server(platform, route),
    }
}

/// What has to be acknowledged before ranges of addresses reach an end.
fn acknowledgement(end: &End) -> Option<RangeAcknowledgement> {
    match end {
        End::Metadata(_) => Some(RangeAcknowledgement::MetadataService),
        End::Node => Some(RangeAcknowledgement::NodeRange),
        End::Namespace(_) | End::Zone { .. } => Some(RangeAcknowledgement::PodRange),
        End::ApiServer | End::Destination(_) | End::Service(_) | End::Outside => None,
    }
}

/// Whether a crossing to the API server opens the way of a packet.
fn is_to_api_server(platform: &Platform, route: Route<'_>) -> bool {
    let is_https = route.target == Some((Protocol::TCP, API_SERVER_PORT));
    is_https && holds_address(&platform.api_server, route.to)
}

/// What the platform calls the address that a packet goes to.
pub(super) fn named(platform: &Platform, route: Route<'_>) -> Option<End> {
    if is_to_api_server(platform, route) {
        return Some(End::ApiServer);
    }
    let destination = platform.destinations.iter().find(|destination| {
        holds_address(&destination.cidrs, route.to) && takes(&destination.ports, route.target)
    })?;
    Some(End::Destination(destination.name.as_str().into()))
}

/// The shared service that a packet from or to a landing zone may use; one that it uses already
/// comes first.
pub(super) fn offer(
    own: &LandingZone,
    platform: &Platform,
    route: Route<'_>,
    direction: CrossingDirection,
) -> Option<Offer> {
    let peer = match direction {
        CrossingDirection::Egress => route.to,
        CrossingDirection::Ingress => route.from,
    };
    let is_meant = |service: &&SharedService| {
        opens(service.direction, direction)
            && takes(&service.ports, route.target)
            && service.peers.iter().any(|it| runs_at(it, peer))
    };
    let is_taken = |service: &&SharedService| {
        service.landing_zones == ServiceAudience::All
            || own.network.shared_services.contains(&service.name)
    };
    let mut meant = platform.shared_services.iter().filter(is_meant);
    let first = meant.clone().next()?;
    match meant.find(is_taken) {
        Some(taken) => Some(Offer::Taken(taken.name.clone())),
        None => Some(Offer::Open(first.name.clone())),
    }
}

fn opens(declared: ServiceDirection, wanted: CrossingDirection) -> bool {
    match declared {
        ServiceDirection::ToLandingZones => wanted == CrossingDirection::Ingress,
        ServiceDirection::FromLandingZones => wanted == CrossingDirection::Egress,
        ServiceDirection::Both => true,
    }
}

fn runs_at(declared: &ServicePeer, located: &Located) -> bool {
    match declared {
        ServicePeer::Pods {
            namespace_labels,
            pod_labels,
        } => {
            let labels = located.namespace_labels.as_deref();
            labels.is_some_and(|labels| holds(labels, namespace_labels))
                && has_labels(located, pod_labels)
        }
        ServicePeer::Addresses(ranges) => holds_address(ranges, located),
        ServicePeer::Nodes => located.end == End::Node,
    }
}

fn is_at(declared: &CrossingEnd, located: &Located) -> bool {
    let zone = declared.zone.as_ref();
    zone.is_none_or(|zone| is_in_zone(located, zone.as_str()))
        && has_labels(located, &declared.pod_labels)
}

fn holds_address(ranges: &[IpNet], located: &Located) -> bool {
    ranges.iter().any(|range| range.contains(&located.address))
}
