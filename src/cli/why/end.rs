//! The two ends of a question, as people write them.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use thiserror::Error;

use crate::api::names;
use crate::cli::landscape::{self, Landscape, Place, PlaceKind, WorkloadKind, WorkloadName};
use crate::cli::spelling;
use crate::policy::{LabelMap, Member, TransportProtocol};

/// One end.
pub(super) struct End<'a> {
    /// What it is called.
    pub name: String,
    /// What it consists of.
    pub members: Vec<Member>,
    /// The place that it is, or lies in.
    pub place: Option<&'a Place>,
    /// Its address, where it is one.
    pub address: Option<IpAddr>,
    /// What to know about it.
    pub note: Option<String>,
    /// The landing zone and the zone that it is, where nothing of them could be read.
    pub unread: Option<(String, String)>,
}

/// The end that is connected to.
pub(super) struct Asked<'a> {
    pub end: End<'a>,
    /// None: all ports.
    pub port: Option<(TransportProtocol, u16)>,
}

/// An end is not what it should be.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum EndError {
    #[error(
        "{0:?} is none of the places here: write landingzone/zone, namespace/pod, namespace/kind/name with a kind of \
         workloads ({kinds}), an address, or a place as matrix tells it{1}", kinds = kinds()
    )]
    NoSuch(String, String),
    #[error("there is no {0} here that could be read{1}")]
    NoSuchWorkload(String, String),
    #[error("{0:?} is no kind of workloads: there are {kinds}", kinds = kinds())]
    NoSuchKind(String),
    #[error(
        "the pods of {0} are on the network of their nodes, where no policy of pods applies: ask about the address of a node"
    )]
    OnNode(String),
    #[error(
        "pod {0} is on the network of its node, where no policy of pods applies: ask about the address of the node"
    )]
    PodOnNode(String),
    #[error(
        "{0} is an address of a Service: policies see traffic after it was translated to what is behind the Service, so \
         that a crossing to it opens nothing. Ask about the landing zone and zone, the pods or the addresses behind it; \
         about \"API server\" for the Service default/kubernetes, and about DNS for kube-system/kube-dns"
    )]
    OfService(IpAddr),
    #[error("{0:?} is not a port: write it like :443 or :53/UDP, with TCP, UDP or SCTP")]
    Port(String),
    #[error(
        "{text} is an IPv6 address, and may be meant as {address} with port {port}: write [{address}]:{port} for that, or \
         [{text}] for the address and all ports"
    )]
    AddressOrPort {
        text: String,
        address: Ipv6Addr,
        port: u16,
    },
}

/// The kinds of workloads, in words.
fn kinds() -> String {
    WorkloadKind::ALL
        .map(|it| it.name().to_ascii_lowercase())
        .join(", ")
}

/// What two ends, as people write them, ask about: whose they are, and workloads.
pub(super) fn asked_about(ends: [&str; 2]) -> landscape::Asked<'_> {
    let [from, to] = ends;
    let to = to.rsplit_once(':').map_or(to, |(name, _)| name);
    let is_name =
        |it: &&str| !it.is_empty() && it.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let owners = [from, to].into_iter();
    let owners = owners.filter_map(|it| Some(it.split_once('/')?.0));
    landscape::Asked {
        owners: owners.filter(is_name).collect(),
        workloads: [from, to]
            .into_iter()
            .filter_map(WorkloadName::read)
            .collect(),
    }
}

/// Finds an end by name.
pub(super) fn found<'a>(landscape: &'a Landscape, name: &str) -> Result<End<'a>, EndError> {
    let members = |place: &Place| {
        let members = place.members.iter();
        members
            .filter_map(|at| landscape.members.get(*at).cloned())
            .collect()
    };
    let mut places = landscape.places.iter();
    let is_called = |place: &&Place| match &place.kind {
        PlaceKind::SharedService(service) | PlaceKind::Destination(service) if service == name => {
            true
        }
        _ => place.name.to_string() == name,
    };
    if let Some(place) = places.find(is_called) {
        return Ok(End {
            name: place.name.to_string(),
            members: members(place),
            place: Some(place),
            address: None,
            note: None,
            unread: None,
        });
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return of_address(landscape, address);
    }
    if name.matches('/').count() == 2 {
        return of_workload(landscape, name);
    }
    if let Some((namespace, pod)) = name.split_once('/') {
        let mut pods = landscape.world.endpoints.iter();
        let known = pods.find(|it| it.namespace == namespace && it.name == pod);
        if let Some(pod) = known {
            return Ok(End {
                name: name.to_owned(),
                members: vec![Member::pods(&[pod])],
                place: landscape.zone_of(namespace),
                address: None,
                note: None,
                unread: None,
            });
        }
        let key = (namespace.to_owned(), pod.to_owned());
        if let Some(known) = landscape.pods_without_address.get(&key) {
            let Some(known) = known else {
                return Err(EndError::PodOnNode(name.to_owned()));
            };
            let note = format!(
                "{name} has no address here: it is judged by its labels only, as a pod with any address of pods"
            );
            let ranges = &landscape.platform.pod_cidrs;
            return Ok(End {
                name: name.to_owned(),
                members: vec![Member::pods(&[known]).somewhere_in(ranges)],
                place: landscape.zone_of(namespace),
                address: None,
                note: Some(note),
                unread: None,
            });
        }
        if landscape.namespaces.contains_key(namespace) {
            let note = format!(
                "nothing is known of a pod {pod} in namespace {namespace}: this holds for every pod there"
            );
            return Ok(End {
                name: name.to_owned(),
                members: landscape.of_namespace(namespace),
                place: landscape.zone_of(namespace),
                address: None,
                note: Some(note),
                unread: None,
            });
        }
    }
    if let Some(unread) = of_unread(landscape, name) {
        return Ok(unread);
    }
    let places: Vec<String> = landscape
        .places
        .iter()
        .map(|it| it.name.to_string())
        .collect();
    let closest = spelling::closest(name, places.iter().map(String::as_str));
    let meant = closest.map_or_else(String::new, |it| format!("; did you mean {it}?"));
    Err(EndError::NoSuch(name.to_owned(), meant))
}

/// Pods as a workload makes them.
fn of_workload<'a>(landscape: &'a Landscape, text: &str) -> Result<End<'a>, EndError> {
    let Some(name) = WorkloadName::read(text) else {
        let kind = text.split('/').nth(1).unwrap_or_default();
        return Err(EndError::NoSuchKind(kind.to_owned()));
    };
    let Some(pod) = landscape.workloads.get(&name) else {
        let known: Vec<String> = landscape
            .workloads
            .keys()
            .map(ToString::to_string)
            .collect();
        let closest = spelling::closest(&name.to_string(), known.iter().map(String::as_str));
        let meant = closest.map_or_else(String::new, |it| format!("; did you mean {it}?"));
        return Err(EndError::NoSuchWorkload(name.to_string(), meant));
    };
    let Some(pod) = pod else {
        return Err(EndError::OnNode(name.to_string()));
    };
    Ok(End {
        members: vec![Member::pods(&[pod]).somewhere_in(&landscape.platform.pod_cidrs)],
        place: landscape.zone_of(&name.namespace),
        name: name.to_string(),
        address: None,
        note: None,
        unread: None,
    })
}

/// A zone of a landing zone that the rights of whoever asks do not let be read: what its namespaces are labelled with is
/// known all the same.
fn of_unread<'a>(landscape: &'a Landscape, name: &str) -> Option<End<'a>> {
    let (owner, zone) = name.split_once('/')?;
    let mut zones = landscape.zones.iter();
    if !landscape.is_partial || zones.any(|it| it.name.as_str() == owner) {
        return None;
    }
    let is_name = |it: &str| {
        let mut chars = it.chars();
        !it.is_empty() && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if !is_name(owner) || !is_name(zone) {
        return None;
    }
    let labels = [(names::OWNER, owner), (names::ZONE, zone)];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let known = landscape.namespaces.keys().cloned().collect();
    let pods = Member::labelled(
        (&labels.into(), names::OWNER),
        &LabelMap::new(),
        &Arc::new(known),
        &landscape.platform.pod_cidrs,
    );
    let note = format!(
        "nothing of {name} can be read with your rights: it is taken for zone {zone} of landing zone {owner}, and what is \
         decided there is left out"
    );
    Some(End {
        name: name.to_owned(),
        members: vec![pods],
        place: None,
        address: None,
        note: Some(note),
        unread: Some((owner.to_owned(), zone.to_owned())),
    })
}

fn of_address(landscape: &Landscape, address: IpAddr) -> Result<End<'_>, EndError> {
    let mut pods = landscape.world.endpoints.iter();
    if let Some(pod) = pods.find(|it| it.addresses.contains(&address)) {
        return Ok(End {
            name: format!("{address} ({}/{})", pod.namespace, pod.name),
            members: vec![Member::pods(&[pod])],
            place: landscape.zone_of(&pod.namespace),
            address: None,
            note: None,
            unread: None,
        });
    }
    let platform = &landscape.platform;
    let holds = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&address));
    // Caches of DNS on the node answer on the address of a Service themselves, and what the platform takes for the API
    // server is no Service.
    let is_seen = holds(&platform.dns_addresses) || holds(&platform.api_server);
    if holds(&platform.service_cidrs) && !is_seen {
        return Err(EndError::OfService(address));
    }
    let note = holds(&platform.pod_cidrs).then(|| {
        format!("{address} lies in a range of pods, and no pod here has it: it is taken for none")
    });
    let member = Member::addresses(&[address.into()]);
    let is_api_server = holds(&platform.api_server);
    let mut places = landscape.places.iter();
    let place = places.find(|it| is_api_server && it.kind == PlaceKind::ApiServer);
    let member = match place {
        Some(_) => member.serving(
            ("default", "kubernetes"),
            vec![(TransportProtocol::TCP, crate::api::names::API_SERVER_PORT)],
        ),
        None => member,
    };
    Ok(End {
        name: address.to_string(),
        members: vec![member],
        place,
        address: Some(address),
        note,
        unread: None,
    })
}

/// Finds the end that is connected to, with its port.
pub(super) fn with_port<'a>(landscape: &'a Landscape, text: &str) -> Result<Asked<'a>, EndError> {
    // An IPv6 address has colons of its own.
    let bracketed = text.strip_prefix('[').and_then(|it| it.split_once(']'));
    if let Some(error) = address_or_port(text) {
        return Err(error);
    }
    let (name, port) = match bracketed {
        Some((name, "")) => (name, None),
        Some((name, rest)) => {
            let port = rest.strip_prefix(':');
            let port = port.ok_or_else(|| EndError::Port(rest.to_owned()))?;
            (name, Some(port))
        }
        None if text.parse::<IpAddr>().is_ok() => (text, None),
        None => match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map(|text| port_of(text).ok_or_else(|| EndError::Port(text.to_owned())));
    Ok(Asked {
        port: port.transpose()?,
        end: found(landscape, name)?,
    })
}

/// That somebody may have meant the last part of an IPv6 address as a port; None: it cannot be one.
fn address_or_port(text: &str) -> Option<EndError> {
    text.parse::<Ipv6Addr>().ok()?;
    let (address, port) = text.rsplit_once(':')?;
    Some(EndError::AddressOrPort {
        text: text.to_owned(),
        address: address.parse().ok()?,
        port: port.parse().ok().filter(|port| *port > 0)?,
    })
}

fn port_of(text: &str) -> Option<(TransportProtocol, u16)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "TCP"));
    let protocol = TransportProtocol::read(protocol).filter(|it| it.has_ports())?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Some((protocol, port))
}
