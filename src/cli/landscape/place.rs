//! The places between which it is asked: zones of landing zones, and all that they may have to do with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Serialize;

use super::{Landscape, OWNER};
use crate::api::{names, rule::METADATA_ADDRESSES};
use crate::domain::ServicePeer;
use crate::policy::{LabelMap, Member, TransportProtocol, everywhere, without};

/// A place.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Place {
    /// What it is called.
    pub name: PlaceName,
    /// What it is.
    pub kind: PlaceKind,
    /// What it consists of, by position among the members.
    pub members: Vec<usize>,
}

/// What a place is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct PlaceName {
    /// Its landing zone, or its application's code where nobody declares landing zones; None outside of all.
    pub landing_zone: Option<String>,
    /// Its zone; outside of landing zones what it is.
    pub zone: String,
}

/// What a place is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum PlaceKind {
    /// A zone of a landing zone.
    Zone,
    /// A shared service of the platform, by name.
    SharedService(String),
    /// A destination that the platform names.
    Destination(String),
    /// The API server.
    ApiServer,
    /// The cluster's DNS.
    Dns,
    /// Namespaces of no landing zone.
    Namespaces,
    /// Addresses.
    Addresses,
}

/// What whatever namespace of no landing zone is called.
const ANY_NAMESPACE: &str = "namespaces of no landing zone";
/// What the API server is called.
const API_SERVER: &str = "API server";
/// What addresses are called that are nobody's here.
const INTERNET: &str = "internet";
/// What the name of one that is known begins with.
const A_NAMESPACE: &str = "namespace ";

impl PlaceName {
    /// Whether it is whatever namespace of no landing zone.
    pub fn is_any_namespace(&self) -> bool {
        self.landing_zone.is_none() && self.zone == ANY_NAMESPACE
    }

    /// Whether it is the API server.
    pub fn is_api_server(&self) -> bool {
        self.landing_zone.is_none() && self.zone == API_SERVER
    }

    /// Whether it is the internet.
    pub fn is_internet(&self) -> bool {
        self.landing_zone.is_none() && self.zone == INTERNET
    }

    /// The name of the namespace, where it is one of no landing zone that is known.
    pub fn namespace(&self) -> Option<&str> {
        match self.landing_zone {
            None => self.zone.strip_prefix(A_NAMESPACE),
            Some(_) => None,
        }
    }

    /// Whatever namespace, where it is one of no landing zone.
    pub fn any_namespace(&self) -> Option<Self> {
        self.namespace().map(|_| Self {
            landing_zone: None,
            zone: ANY_NAMESPACE.to_owned(),
        })
    }
}

impl fmt::Display for PlaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.landing_zone {
            Some(landing_zone) => write!(f, "{landing_zone}/{}", self.zone),
            None => f.write_str(&self.zone),
        }
    }
}

/// Ranges that nobody routes on the internet (RFC 1918, 6598, 4193).
const PRIVATE: [&str; 5] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];

impl Place {
    /// Whether it belongs to a landing zone.
    pub fn is_inside(&self) -> bool {
        self.name.landing_zone.is_some()
    }
}

impl Landscape {
    pub(super) fn find_places(&mut self) {
        self.find_zones();
        let services = self.platform.shared_services.clone();
        for service in &services {
            let members = service.peers.iter().flat_map(|it| self.running(it));
            let members = members.collect();
            let kind = PlaceKind::SharedService(service.name.clone());
            self.add(
                None,
                format!("shared service {}", service.name),
                kind,
                members,
            );
        }
        self.find_dns();
        self.find_namespaces();
        self.find_addresses();
    }

    fn add(
        &mut self,
        landing_zone: Option<String>,
        zone: String,
        kind: PlaceKind,
        members: Vec<Member>,
    ) {
        if members.is_empty() {
            return;
        }
        let first = self.members.len();
        self.members.extend(members);
        self.places.push(Place {
            name: PlaceName { landing_zone, zone },
            kind,
            members: (first..self.members.len()).collect(),
        });
    }

    fn find_zones(&mut self) {
        let mut found: BTreeMap<(String, String), Vec<Member>> = BTreeMap::new();
        for landing_zone in &self.zones {
            for namespace in &landing_zone.namespaces {
                let name = (landing_zone.name.to_string(), namespace.zone.to_string());
                let members = self.of_namespace(namespace.name.as_str());
                found.entry(name).or_default().extend(members);
            }
        }
        for (place, namespaces) in &self.applications {
            let members = namespaces.iter().flat_map(|it| self.of_namespace(it));
            found.insert(place.clone(), members.collect());
        }
        for ((landing_zone, zone), members) in found {
            self.add(Some(landing_zone), zone, PlaceKind::Zone, members);
        }
    }

    /// The pods of a namespace that are known; where none are, all that it may have.
    pub(in crate::cli) fn of_namespace(&self, name: &str) -> Vec<Member> {
        let known = Member::pods_of(&self.world, name);
        if !known.is_empty() {
            return known;
        }
        let nothing = LabelMap::new();
        let labels = self.namespaces.get(name).unwrap_or(&nothing);
        vec![Member::namespace(name, labels, &self.platform.pod_cidrs)]
    }

    /// The namespaces of a zone of a landing zone; none of any other place.
    pub(in crate::cli) fn namespaces_of(&self, place: &PlaceName) -> Vec<&str> {
        let Some(landing_zone) = &place.landing_zone else {
            return Vec::new();
        };
        let mut zones = self.zones.iter();
        let zone = zones.find(|it| it.name.as_str() == landing_zone);
        let namespaces = zone.into_iter().flat_map(|it| &it.namespaces);
        let own = namespaces.filter(|it| it.zone.as_str() == place.zone);
        let own = own.map(|it| it.name.as_str());
        let labelled = (landing_zone.clone(), place.zone.clone());
        let labelled = self.applications.get(&labelled).into_iter().flatten();
        own.chain(labelled.map(String::as_str)).collect()
    }

    /// Namespaces of landing zones: what runs elsewhere is in none of them.
    fn own_namespaces(&self) -> BTreeSet<String> {
        let zones = self.zones.iter();
        let namespaces = zones.flat_map(|zone| &zone.namespaces);
        let declared = namespaces.map(|it| it.name.to_string());
        let labelled = self.applications.values().flatten().cloned();
        declared.chain(labelled).collect()
    }

    /// Where a shared service runs.
    fn running(&self, peer: &ServicePeer) -> Vec<Member> {
        match peer {
            ServicePeer::Pods {
                namespace_labels,
                pod_labels,
            } => vec![Member::labelled(
                (namespace_labels, OWNER),
                pod_labels,
                &Arc::new(self.own_namespaces()),
                &self.platform.pod_cidrs,
            )],
            ServicePeer::Addresses(nets) => vec![Member::addresses(nets)],
            ServicePeer::Nodes if self.platform.node_cidrs.is_empty() => Vec::new(),
            ServicePeer::Nodes => vec![Member::addresses(&self.platform.node_cidrs)],
        }
    }

    fn find_dns(&mut self) {
        let (namespace, service) = DNS;
        let of_namespace = [(names::METADATA_NAME, namespace)];
        let of_namespace = of_namespace.map(|(key, value)| (key.to_owned(), value.to_owned()));
        // Where its namespace is known, so are its labels.
        let mut of_namespace: LabelMap = of_namespace.into();
        let known = self.namespaces.get(namespace).cloned();
        of_namespace.extend(known.unwrap_or_default());
        let own = [("k8s-app".to_owned(), service.to_owned())];
        let ports = vec![(TransportProtocol::UDP, 53), (TransportProtocol::TCP, 53)];
        let pods = Member::labelled(
            (&of_namespace, OWNER),
            &own.into(),
            &Arc::new(self.own_namespaces()),
            &self.platform.pod_cidrs,
        )
        .of_system();
        let mut members = vec![pods.serving(DNS, ports)];
        if !self.platform.dns_addresses.is_empty() {
            members.push(Member::addresses(&self.platform.dns_addresses));
        }
        self.add(None, "DNS".to_owned(), PlaceKind::Dns, members);
    }

    /// Namespaces of no landing zone: those that are known, else whatever there may be.
    fn find_namespaces(&mut self) {
        let own = self.own_namespaces();
        let others: Vec<String> = self.namespaces.keys().cloned().collect();
        let others: Vec<_> = others.into_iter().filter(|it| !own.contains(it)).collect();
        for name in &others {
            let members = self.of_namespace(name);
            let zone = format!("{A_NAMESPACE}{name}");
            self.add(None, zone, PlaceKind::Namespaces, members);
        }
        if others.is_empty() {
            self.add_any_namespace();
        }
    }

    /// Adds whatever namespaces there may be beside those of landing zones, where some are known, so that they are named.
    /// Whoever compares two states needs them in both.
    pub(in crate::cli) fn find_any_namespace(&mut self) {
        if !self.places.iter().any(|it| it.name.is_any_namespace()) {
            self.add_any_namespace();
        }
    }

    fn add_any_namespace(&mut self) {
        let nothing = LabelMap::new();
        let any = Member::labelled(
            (&nothing, OWNER),
            &nothing,
            &Arc::new(self.own_namespaces()),
            &self.platform.pod_cidrs,
        );
        let zone = ANY_NAMESPACE.to_owned();
        self.add(None, zone, PlaceKind::Namespaces, vec![any]);
    }

    fn find_addresses(&mut self) {
        let platform = self.platform.clone();
        let metadata: Vec<IpNet> = nets(&METADATA_ADDRESSES);
        let private = nets(&PRIVATE);
        // What has a name of its own, or is no address of a peer at all.
        let mut taken = platform.pod_cidrs.clone();
        taken.extend(&platform.service_cidrs);
        taken.extend(&platform.dns_addresses);
        taken.extend(&metadata);
        taken.extend(&platform.api_server);
        taken.extend(&platform.node_cidrs);
        let api_server = if platform.api_server.is_empty() {
            without(&everywhere(), &taken)
        } else {
            platform.api_server.clone()
        };
        let https = vec![(TransportProtocol::TCP, names::API_SERVER_PORT)];
        let api_server = Member::addresses(&api_server).serving(("default", "kubernetes"), https);
        self.add(
            None,
            API_SERVER.to_owned(),
            PlaceKind::ApiServer,
            vec![api_server],
        );
        for destination in &platform.destinations {
            taken.extend(&destination.cidrs);
            let zone = format!("destination {}", destination.name);
            let kind = PlaceKind::Destination(destination.name.clone());
            self.add(
                None,
                zone,
                kind,
                vec![Member::addresses(&destination.cidrs)],
            );
        }
        let places = [
            ("nodes", platform.node_cidrs.clone()),
            ("metadata of Azure", metadata),
            ("private networks", without(&private, &taken)),
        ];
        taken.extend(private);
        let internet = (INTERNET, without(&everywhere(), &taken));
        for (name, ranges) in places.into_iter().chain([internet]) {
            if !ranges.is_empty() {
                let members = vec![Member::addresses(&ranges)];
                self.add(None, name.to_owned(), PlaceKind::Addresses, members);
            }
        }
    }
}

/// The service of the cluster's DNS.
const DNS: (&str, &str) = ("kube-system", "kube-dns");

fn nets(texts: &[&str]) -> Vec<IpNet> {
    let address = |text: &&str| text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    let net = |text: &&str| text.parse().ok().or_else(|| address(text));
    texts.iter().filter_map(net).collect()
}
