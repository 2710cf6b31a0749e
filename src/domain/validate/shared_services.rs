//! What the platform opens for landing zones.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::Findings;
use super::network::{labels, ports};
use crate::api::rule::{self, LONGEST_NAME};
use crate::api::{self, Preset};
use crate::domain::address::parse_range;
use crate::domain::{Destination, FieldPath, ServicePeer, SharedService, syntax};

/// Shared services, those of presets first.
pub(in crate::domain) fn shared_services(
    declared: &[api::SharedService],
    presets: &[Preset],
    path: &FieldPath,
    findings: &mut Findings,
) -> Vec<SharedService> {
    let mut services: Vec<SharedService> = presets
        .iter()
        .copied()
        .flat_map(SharedService::of_preset)
        .collect();
    let of_presets: BTreeSet<String> = services.iter().map(|it| it.name.clone()).collect();
    let mut seen = BTreeSet::new();
    for (index, declared) in declared.iter().enumerate() {
        let path = path.key("sharedServices").index(index);
        let at_name = path.key("name");
        name(&declared.name, &mut seen, &at_name, findings);
        if of_presets.contains(&declared.name) {
            findings.report(&at_name, &declared.name, rule::PRESET_NAME);
        }
        let mut peers = Vec::new();
        for (index, declared) in declared.peers.iter().enumerate() {
            peers.extend(peer(declared, &path.key("peers").index(index), findings));
        }
        services.push(SharedService {
            name: declared.name.clone(),
            peers,
            direction: declared.direction,
            ports: ports(&declared.ports, &path.key("ports"), findings),
            landing_zones: declared.landing_zones.unwrap_or_default(),
        });
    }
    services
}

/// Destinations.
pub(in crate::domain) fn destinations(
    declared: &[api::Destination],
    path: &FieldPath,
    findings: &mut Findings,
) -> Vec<Destination> {
    let mut seen = BTreeSet::new();
    let mut destinations = Vec::new();
    for (index, declared) in declared.iter().enumerate() {
        let path = path.key("destinations").index(index);
        name(&declared.name, &mut seen, &path.key("name"), findings);
        let owner = &declared.owner;
        findings.check(&path.key("owner"), owner, syntax::one_line(owner, 256));
        destinations.push(Destination {
            name: declared.name.clone(),
            owner: owner.clone(),
            cidrs: ranges(&declared.cidrs, &path.key("cidrs"), findings),
            ports: ports(&declared.ports, &path.key("ports"), findings),
        });
    }
    destinations
}

fn name<'n>(
    name: &'n str,
    seen: &mut BTreeSet<&'n str>,
    path: &FieldPath,
    findings: &mut Findings,
) {
    findings.check(path, name, syntax::dns_label(name, LONGEST_NAME));
    if !seen.insert(name) {
        findings.report(path, name, rule::TWICE);
    }
}

fn peer(
    declared: &api::ServicePeer,
    path: &FieldPath,
    findings: &mut Findings,
) -> Option<ServicePeer> {
    let said = [
        declared.namespace_selector.is_some(),
        !declared.cidrs.is_empty(),
        declared.nodes.is_some(),
    ];
    if said.iter().filter(|it| **it).count() != 1 {
        findings.report(path, "", rule::ONE_SERVICE_PEER);
        return None;
    }
    if declared.namespace_selector.is_none() && declared.pod_selector.is_some() {
        findings.report(&path.key("podSelector"), "", rule::PODS_OF_NOBODY);
    }
    if let Some(namespaces) = &declared.namespace_selector {
        labels(namespaces, &path.key("namespaceSelector"), findings);
        let pods = declared.pod_selector.as_ref();
        if let Some(pods) = pods {
            labels(pods, &path.key("podSelector"), findings);
        }
        return Some(ServicePeer::Pods {
            namespace_labels: namespaces.match_labels.clone(),
            pod_labels: pods.map(|it| it.match_labels.clone()).unwrap_or_default(),
        });
    }
    match declared.nodes {
        Some(true) => Some(ServicePeer::Nodes),
        Some(false) => {
            findings.report(&path.key("nodes"), false, rule::ONLY_TRUE);
            None
        }
        None => {
            let cidrs = ranges(&declared.cidrs, &path.key("cidrs"), findings);
            Some(ServicePeer::Addresses(cidrs))
        }
    }
}

fn ranges(texts: &[String], path: &FieldPath, findings: &mut Findings) -> Vec<IpNet> {
    let mut ranges = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match parse_range(text) {
            Some(range) => ranges.push(range),
            None => findings.report(&path.index(index), text, rule::RANGE),
        }
    }
    ranges
}
