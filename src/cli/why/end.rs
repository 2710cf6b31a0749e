//! The two ends of a question, as people write them.

use std::net::IpAddr;

use thiserror::Error;

use crate::cli::landscape::{Landscape, Place, PlaceKind};
use crate::cli::spelling;
use crate::policy::{Member, TransportProtocol};

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
        "{0:?} is none of the places here: write landingzone/zone, namespace/pod or an address{1}"
    )]
    NoSuch(String, String),
    #[error("{0:?} is not a port: write it like :443 or :53/UDP, with TCP, UDP or SCTP")]
    Port(String),
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
        });
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(of_address(landscape, address));
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
            });
        }
    }
    let names: Vec<String> = landscape
        .places
        .iter()
        .map(|it| it.name.to_string())
        .collect();
    let closest = spelling::closest(name, names.iter().map(String::as_str));
    let meant = closest.map_or_else(String::new, |it| format!("; did you mean {it}?"));
    Err(EndError::NoSuch(name.to_owned(), meant))
}

fn of_address(landscape: &Landscape, address: IpAddr) -> End<'_> {
    let mut pods = landscape.world.endpoints.iter();
    if let Some(pod) = pods.find(|it| it.addresses.contains(&address)) {
        return End {
            name: format!("{address} ({}/{})", pod.namespace, pod.name),
            members: vec![Member::pods(&[pod])],
            place: landscape.zone_of(&pod.namespace),
            address: None,
            note: None,
        };
    }
    let pods = &landscape.platform.pod_cidrs;
    let note = pods.iter().any(|range| range.contains(&address)).then(|| {
        format!("{address} lies in a range of pods, and no pod here has it: it is taken for none")
    });
    let member = Member::addresses(&[address.into()]);
    let is_api_server = landscape
        .platform
        .api_server
        .iter()
        .any(|net| net.contains(&address));
    let mut places = landscape.places.iter();
    let place = places.find(|it| is_api_server && it.kind == PlaceKind::ApiServer);
    let member = match place {
        Some(_) => member.serving(
            ("default", "kubernetes"),
            vec![(TransportProtocol::TCP, crate::api::names::API_SERVER_PORT)],
        ),
        None => member,
    };
    End {
        name: address.to_string(),
        members: vec![member],
        place,
        address: Some(address),
        note,
    }
}

/// Finds the end that is connected to, with its port.
pub(super) fn with_port<'a>(landscape: &'a Landscape, text: &str) -> Result<Asked<'a>, EndError> {
    // An IPv6 address has colons of its own.
    let bracketed = text.strip_prefix('[').and_then(|it| it.split_once(']'));
    let (name, port) = match bracketed {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
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

fn port_of(text: &str) -> Option<(TransportProtocol, u16)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "TCP"));
    let protocol = TransportProtocol::read(protocol).filter(|it| it.has_ports())?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Some((protocol, port))
}
