//! What crosses the boundary of the landing zone.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::network::{pod_labels, ports};
use super::{Findings, Zones};
use crate::api::rule::{self, LONGEST_NAME};
use crate::api::{self, CrossingDirection, LandingZoneSpec, RangeAcknowledgement};
use crate::domain::address::{is_metadata, parse_range, reaches_most};
use crate::domain::{Crossing, CrossingEnd, FieldPath, Fqdn, Peer, syntax};

pub(super) fn validate(
    spec: &LandingZoneSpec,
    own_name: &str,
    zones: &Zones<'_>,
    path: &FieldPath,
    findings: &mut Findings,
) -> Vec<Crossing> {
    let Some(network) = &spec.network else {
        return Vec::new();
    };
    let mut context = Context {
        own_name,
        zones,
        findings,
    };
    let mut crossings = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, declared) in network.egress.iter().enumerate() {
        let path = path.key("egress").index(index);
        context.name(&declared.name, &mut seen, &path.key("name"));
        crossings.extend(context.egress(declared, &path));
    }
    seen.clear();
    for (index, declared) in network.ingress.iter().enumerate() {
        let path = path.key("ingress").index(index);
        context.name(&declared.name, &mut seen, &path.key("name"));
        crossings.extend(context.ingress(declared, &path));
    }
    crossings
}

/// Names of shared services that a landing zone asks for.
pub(super) fn shared_services(
    spec: &LandingZoneSpec,
    path: &FieldPath,
    findings: &mut Findings,
) -> BTreeSet<String> {
    let declared = spec.network.iter().flat_map(|it| &it.shared_services);
    let mut names = BTreeSet::new();
    for (index, name) in declared.enumerate() {
        let path = path.key("sharedServices").index(index);
        findings.check(&path, name, syntax::dns_label(name, LONGEST_NAME));
        if !names.insert(name.clone()) {
            findings.report(&path, name, rule::TWICE);
        }
    }
    names
}

struct Context<'a, 'z> {
    own_name: &'a str,
    zones: &'a Zones<'z>,
    findings: &'a mut Findings,
}

impl Context<'_, '_> {
    fn name<'n>(&mut self, name: &'n str, seen: &mut BTreeSet<&'n str>, path: &FieldPath) {
        self.findings
            .check(path, name, syntax::dns_label(name, LONGEST_NAME));
        if !seen.insert(name) {
            self.findings.report(path, name, rule::TWICE);
        }
    }

    fn egress(&mut self, declared: &api::EgressCrossing, path: &FieldPath) -> Option<Crossing> {
        let own = self.own_end(declared.from.as_ref(), &path.key("from"));
        let peer = self.egress_peer(declared, &path.key("to"));
        let at_ports = path.key("ports");
        if declared.to.api_server.is_some() && !declared.ports.is_empty() {
            self.findings.report(&at_ports, "", rule::API_SERVER_PORTS);
        }
        let has_names = |port: &api::Port| {
            port.protocol == api::Protocol::TCP
                && port.end_port.is_none()
                && port.port <= rule::LAST_FQDN_PORT.into()
        };
        if !declared.to.fqdns.is_empty() && !declared.ports.iter().all(has_names) {
            self.findings.report(&at_ports, "", rule::FQDN_PORTS);
        }
        let ports = ports(&declared.ports, &at_ports, self.findings);
        self.told(declared.reason.as_ref(), &path.key("reason"));
        self.told(declared.owner.as_ref(), &path.key("owner"));
        let valid_until = self.day(declared.valid_until.as_ref(), &path.key("validUntil"));
        Some(Crossing {
            direction: CrossingDirection::Egress,
            name: declared.name.clone(),
            own: own?,
            peer: peer?,
            ports,
            acknowledge: declared.acknowledge,
            valid_until,
            reason: declared.reason.clone(),
            owner: declared.owner.clone(),
        })
    }

    fn ingress(&mut self, declared: &api::IngressCrossing, path: &FieldPath) -> Option<Crossing> {
        let own = self.own_end(declared.to.as_ref(), &path.key("to"));
        let from = &declared.from;
        let peer = self.landing_zone(
            &from.landing_zone,
            from.zone.as_ref(),
            from.pod_selector.as_ref(),
            &path.key("from"),
        );
        let ports = ports(&declared.ports, &path.key("ports"), self.findings);
        self.told(declared.reason.as_ref(), &path.key("reason"));
        self.told(declared.owner.as_ref(), &path.key("owner"));
        let valid_until = self.day(declared.valid_until.as_ref(), &path.key("validUntil"));
        Some(Crossing {
            direction: CrossingDirection::Ingress,
            name: declared.name.clone(),
            own: own?,
            peer: peer?,
            ports,
            acknowledge: None,
            valid_until,
            reason: declared.reason.clone(),
            owner: declared.owner.clone(),
        })
    }

    fn own_end(
        &mut self,
        declared: Option<&api::CrossingEnd>,
        path: &FieldPath,
    ) -> Option<CrossingEnd> {
        let Some(declared) = declared else {
            return Some(CrossingEnd::default());
        };
        if let Some(zone) = &declared.zone {
            self.zones
                .check_known(zone, &path.key("zone"), self.findings);
        }
        self.end(
            declared.zone.as_ref(),
            declared.pod_selector.as_ref(),
            path,
            false,
        )
    }

    /// `report` says whether a zone that is none is told here; otherwise somebody else tells it.
    fn end(
        &mut self,
        zone: Option<&String>,
        pods: Option<&api::PodSelector>,
        path: &FieldPath,
        report: bool,
    ) -> Option<CrossingEnd> {
        let pod_labels = pod_labels(pods, path, self.findings);
        let zone = match zone {
            None => None,
            Some(zone) if report => Some(self.findings.parse(&path.key("zone"), zone)?),
            Some(zone) => Some(zone.parse().ok()?),
        };
        Some(CrossingEnd { zone, pod_labels })
    }

    fn egress_peer(&mut self, declared: &api::EgressCrossing, path: &FieldPath) -> Option<Peer> {
        let to = &declared.to;
        let peers = [
            to.landing_zone.is_some(),
            !to.cidrs.is_empty(),
            !to.fqdns.is_empty(),
            to.destination.is_some(),
            to.api_server.is_some(),
        ];
        if peers.iter().filter(|it| **it).count() != 1 {
            self.findings.report(path, "", rule::ONE_PEER);
            return None;
        }
        if to.landing_zone.is_none() && (to.zone.is_some() || to.pod_selector.is_some()) {
            self.findings.report(path, "", rule::ZONE_OF_NOBODY);
        }
        if to.cidrs.is_empty() && !to.except.is_empty() {
            let path = path.key("except");
            self.findings.report(&path, "", rule::EXCEPT_OF_NOTHING);
        }
        if let Some(name) = &to.landing_zone {
            let (zone, pods) = (to.zone.as_ref(), to.pod_selector.as_ref());
            return self.landing_zone(name, zone, pods, path);
        }
        if !to.fqdns.is_empty() {
            return Some(self.fqdns(&to.fqdns, &path.key("fqdns")));
        }
        if let Some(name) = &to.destination {
            let path = path.key("destination");
            self.findings
                .check(&path, name, syntax::dns_label(name, LONGEST_NAME));
            return Some(Peer::Destination(name.clone()));
        }
        if let Some(api_server) = to.api_server {
            if !api_server {
                let path = path.key("apiServer");
                self.findings.report(&path, api_server, rule::ONLY_TRUE);
            }
            return Some(Peer::ApiServer);
        }
        Some(self.addresses(declared, path))
    }

    fn fqdns(&mut self, texts: &[String], path: &FieldPath) -> Peer {
        let mut names = BTreeSet::new();
        for (index, text) in texts.iter().enumerate() {
            let path = path.index(index);
            match text.parse::<Fqdn>() {
                Ok(name) if names.contains(&name) => self.findings.report(&path, text, rule::TWICE),
                Ok(name) => drop(names.insert(name)),
                Err(rule) => self.findings.report(&path, text, rule),
            }
        }
        Peer::Fqdns(names)
    }

    fn addresses(&mut self, declared: &api::EgressCrossing, path: &FieldPath) -> Peer {
        let at_cidrs = path.key("cidrs");
        let cidrs = self.ranges(&declared.to.cidrs, &at_cidrs);
        let is_acknowledged = |by| declared.acknowledge == Some(by);
        for (index, cidr) in &cidrs {
            let path = at_cidrs.index(*index);
            if reaches_most(*cidr) && !is_acknowledged(RangeAcknowledgement::AllAddresses) {
                self.findings.report(&path, cidr, rule::ALL_ADDRESSES);
            }
            if is_metadata(*cidr) && !is_acknowledged(RangeAcknowledgement::MetadataService) {
                self.findings.report(&path, cidr, rule::METADATA_SERVICE);
            }
        }
        let at_except = path.key("except");
        let except = self.ranges(&declared.to.except, &at_except);
        for (index, range) in &except {
            if !cidrs.iter().any(|(_, cidr)| cidr.contains(range)) {
                let path = at_except.index(*index);
                self.findings.report(&path, range, rule::EXCEPT_OUTSIDE);
            }
        }
        let bare = |ranges: &[(usize, IpNet)]| ranges.iter().map(|(_, net)| *net).collect();
        let excepted: Vec<IpNet> = bare(&except);
        // Halves of a range leave nothing of it, either.
        let left_out = IpNet::aggregate(&excepted);
        for (index, cidr) in &cidrs {
            if left_out.iter().any(|range| range.contains(cidr)) {
                let path = at_cidrs.index(*index);
                self.findings.report(&path, cidr, rule::EXCEPTED_AS_A_WHOLE);
            }
        }
        Peer::Addresses {
            cidrs: bare(&cidrs),
            except: excepted,
        }
    }

    fn ranges(&mut self, texts: &[String], path: &FieldPath) -> Vec<(usize, IpNet)> {
        let mut ranges: Vec<(usize, IpNet)> = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let path = path.index(index);
            match parse_range(text) {
                Some(range) if ranges.iter().any(|(_, known)| *known == range) => {
                    self.findings.report(&path, text, rule::TWICE);
                }
                Some(range) => ranges.push((index, range)),
                None => self.findings.report(&path, text, rule::RANGE),
            }
        }
        ranges
    }

    fn landing_zone(
        &mut self,
        name: &str,
        zone: Option<&String>,
        pods: Option<&api::PodSelector>,
        path: &FieldPath,
    ) -> Option<Peer> {
        let at_name = path.key("landingZone");
        if name == self.own_name {
            self.findings.report(&at_name, name, rule::OWN_LANDING_ZONE);
        }
        let end = self.end(zone, pods, path, true);
        let name = self.findings.parse(&at_name, name)?;
        Some(Peer::LandingZone { name, end: end? })
    }

    fn told(&mut self, text: Option<&String>, path: &FieldPath) {
        if let Some(text) = text {
            self.findings.check(path, text, syntax::one_line(text, 256));
        }
    }

    fn day(&mut self, text: Option<&String>, path: &FieldPath) -> Option<jiff::civil::Date> {
        let text = text?;
        // Other forms that the parser takes, like 20270630, are refused on admission.
        let day = text
            .parse()
            .ok()
            .filter(|_| text.len() == "2027-06-30".len());
        if day.is_none() {
            self.findings.report(path, text, rule::DATE);
        }
        day
    }
}
