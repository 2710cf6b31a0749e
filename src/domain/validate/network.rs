//! Who may talk to whom inside the landing zone, and across its boundary.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Zones, crossings, metadata};
use crate::api::rule::{self, LONGEST_NAME};
use crate::api::{self, LandingZoneSpec};
use crate::domain::{FieldPath, Flow, FlowEnd, Network, PortRange, syntax};

pub(super) fn validate(
    spec: &LandingZoneSpec,
    own_name: &str,
    zones: &Zones<'_>,
    path: &FieldPath,
    findings: &mut Findings,
) -> Network {
    let Some(declared) = &spec.network else {
        return Network::default();
    };
    let mut seen = BTreeSet::new();
    let mut flows = Vec::new();
    for (index, declared) in declared.flows.iter().enumerate() {
        let path = path.key("flows").index(index);
        let at_name = path.key("name");
        findings.check(
            &at_name,
            &declared.name,
            syntax::dns_label(&declared.name, LONGEST_NAME),
        );
        if !seen.insert(&declared.name) {
            findings.report(&at_name, &declared.name, rule::TWICE);
        }
        flows.extend(flow(declared, zones, &path, findings));
    }
    Network {
        intra_zone: declared.intra_zone.unwrap_or_default(),
        flows,
        shared_services: crossings::shared_services(spec, path, findings),
        crossings: crossings::validate(spec, own_name, zones, path, findings),
    }
}

fn flow(
    declared: &api::Flow,
    zones: &Zones<'_>,
    path: &FieldPath,
    findings: &mut Findings,
) -> Option<Flow> {
    let from = end(&declared.from, zones, &path.key("from"), findings);
    let to = end(&declared.to, zones, &path.key("to"), findings);
    let selects = |end: &api::FlowEnd| end.pod_selector.is_some();
    if declared.from.zone == declared.to.zone && !selects(&declared.from) && !selects(&declared.to)
    {
        findings.report(path, &declared.name, rule::SELF_FLOW);
    }
    let ports = ports(&declared.ports, &path.key("ports"), findings);
    Some(Flow {
        name: declared.name.clone(),
        from: from?,
        to: to?,
        ports,
    })
}

fn end(
    declared: &api::FlowEnd,
    zones: &Zones<'_>,
    path: &FieldPath,
    findings: &mut Findings,
) -> Option<FlowEnd> {
    zones.check_known(&declared.zone, &path.key("zone"), findings);
    let pod_labels = pod_labels(declared.pod_selector.as_ref(), path, findings);
    Some(FlowEnd {
        zone: declared.zone.parse().ok()?,
        pod_labels,
    })
}

/// The labels that a pod must have; `path` is that of the end that they belong to.
pub(in crate::domain) fn pod_labels(
    declared: Option<&api::PodSelector>,
    path: &FieldPath,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    let Some(selector) = declared else {
        return BTreeMap::new();
    };
    let path = path.key("podSelector");
    labels(selector, &path, findings);
    selector.match_labels.clone()
}

/// Labels by which something is selected.
pub(in crate::domain) fn labels(
    selector: &api::PodSelector,
    path: &FieldPath,
    findings: &mut Findings,
) {
    let path = path.key("matchLabels");
    if selector.match_labels.is_empty() {
        findings.report(&path, "", rule::EMPTY_SELECTOR);
    }
    let length: usize = selector
        .match_labels
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if selector.match_labels.len() > rule::SELECTOR_LABELS || length > rule::SELECTOR_LENGTH {
        findings.report(&path, "", rule::LONG_SELECTOR);
    }
    metadata::selector(&selector.match_labels, &path, findings);
}

pub(in crate::domain) fn ports(
    declared: &[api::Port],
    path: &FieldPath,
    findings: &mut Findings,
) -> Vec<PortRange> {
    let mut ranges = Vec::new();
    for (index, port) in declared.iter().enumerate() {
        let path = path.index(index);
        let first = number(port.port, &path.key("port"), findings);
        let last = match port.end_port {
            Some(end) => number(end, &path.key("endPort"), findings),
            None => first,
        };
        let (Some(first), Some(last)) = (first, last) else {
            continue;
        };
        if last < first {
            findings.report(&path.key("endPort"), last, rule::END_PORT);
            continue;
        }
        let range = PortRange {
            protocol: port.protocol,
            first,
            last,
        };
        if ranges.contains(&range) {
            findings.report(&path, first, rule::TWICE);
        }
        ranges.push(range);
    }
    ranges
}

fn number(port: i32, path: &FieldPath, findings: &mut Findings) -> Option<u16> {
    match u16::try_from(port) {
        Ok(port) if port > 0 => Some(port),
        _ => {
            findings.report(path, port, rule::PORT);
            None
        }
    }
}
