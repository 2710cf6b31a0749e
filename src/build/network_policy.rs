//! Kubernetes policies, for clusters without Calico's kinds: weaker, since they only ever add up,
//! so that a team's own policy can open the boundary.

mod crossing;

use std::collections::{BTreeMap, BTreeSet};

use crossing::Rules;
use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::targets::Targets;
use super::{address_range, calico_rule, metadata};
use crate::api::{IntraZone, Protocol, names};
use crate::domain::{
    Flow, FlowEnd, LandingZone, LandingZoneName, NamespaceName, Openings, Platform, PortRange, Zone,
};

/// Name of the policy that selects every pod of a namespace.
const NAME: &str = "landing-zone";

/// The policies of all namespaces, sorted by namespace and name.
pub(super) fn network_policies(
    zone: &LandingZone,
    targets: &Targets,
    platform: &Platform,
    openings: &Openings,
) -> Vec<NetworkPolicy> {
    let mut policies = Vec::new();
    for (namespace, layer) in targets.with_zones() {
        let of_crossings = crossing::for_every_pod(openings, layer, platform);
        let of_all = for_every_pod(zone, namespace, layer, platform, of_crossings);
        let mut of_namespace = vec![of_all];
        of_namespace.extend(crossing::for_some_pods(
            zone, namespace, layer, openings, platform,
        ));
        for flow in &zone.network.flows {
            of_namespace.extend(for_some_pods(zone, namespace, layer, flow));
        }
        of_namespace.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
        policies.extend(of_namespace);
    }
    if !openings.pretenders.is_empty() {
        let peers = policies.iter_mut().filter_map(|it| it.spec.as_mut());
        peers
            .flat_map(peers_of)
            .for_each(|peer| except(peer, &openings.pretenders));
    }
    policies
}

/// All peers of a policy's rules.
fn peers_of(spec: &mut NetworkPolicySpec) -> impl Iterator<Item = &mut NetworkPolicyPeer> {
    let ingress = spec.ingress.iter_mut().flatten();
    let ingress = ingress.flat_map(|rule| rule.from.iter_mut().flatten());
    let egress = spec.egress.iter_mut().flatten();
    ingress.chain(egress.flat_map(|rule| rule.to.iter_mut().flatten()))
}

/// Leaves namespaces out, by name, where a landing zone's are known by their label.
fn except(peer: &mut NetworkPolicyPeer, pretenders: &BTreeSet<NamespaceName>) {
    let by_label = |it: &&mut LabelSelector| {
        let labels = it.match_labels.as_ref();
        labels.is_some_and(|labels| labels.contains_key(names::OWNER))
    };
    if let Some(selector) = peer.namespace_selector.as_mut().filter(by_label) {
        selector.match_expressions = Some(vec![LabelSelectorRequirement {
            key: names::METADATA_NAME.to_owned(),
            operator: "NotIn".to_owned(),
            values: Some(pretenders.iter().map(ToString::to_string).collect()),
        }]);
    }
}

/// What holds for every pod of a namespace: DNS, free traffic, and flows and crossings that select all
/// pods.
fn for_every_pod(
    zone: &LandingZone,
    namespace: &NamespaceName,
    layer: &Zone,
    platform: &Platform,
    crossings: Rules,
) -> NetworkPolicy {
    let mut ingress = crossings.ingress;
    let mut egress = vec![dns(&platform.dns_addresses)];
    egress.extend(crossings.egress);
    let free = match (zone.network.flows.is_empty(), zone.network.intra_zone) {
        (true, _) => Some(pods(zone, None, &BTreeMap::new())),
        (false, IntraZone::Allow) => Some(pods(zone, Some(layer), &BTreeMap::new())),
        (false, IntraZone::FlowsOnly) => None,
    };
    if let Some(peer) = free {
        ingress.push(from(peer.clone(), &[]));
        egress.push(to(peer, &[]));
    }
    for flow in sorted(&zone.network.flows) {
        if whole_zone(&flow.to, layer) {
            ingress.push(from(end(zone, &flow.from), &flow.ports));
        }
        if whole_zone(&flow.from, layer) {
            egress.push(to(end(zone, &flow.to), &flow.ports));
        }
    }
    policy(
        zone,
        namespace,
        NAME.to_owned(),
        NetworkPolicySpec {
            pod_selector: Some(LabelSelector::default()),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress).filter(|rules| !rules.is_empty()),
            egress: Some(egress),
        },
    )
}

/// What a flow means for the pods of a namespace that it selects by label: a policy for each of its
/// ends, since a Kubernetes rule cannot say which of the policy's pods it is for.
fn for_some_pods(
    zone: &LandingZone,
    namespace: &NamespaceName,
    layer: &Zone,
    flow: &Flow,
) -> Vec<NetworkPolicy> {
    let selected = |end: &FlowEnd| {
        let some = end.zone == *layer && !end.pod_labels.is_empty();
        some.then(|| labelled(&end.pod_labels))
    };
    let mut policies = Vec::new();
    if let Some(pod_selector) = selected(&flow.from) {
        policies.push(policy(
            zone,
            namespace,
            format!("{NAME}-from-{}", flow.name),
            NetworkPolicySpec {
                pod_selector: Some(pod_selector),
                policy_types: Some(vec!["Egress".to_owned()]),
                egress: Some(vec![to(end(zone, &flow.to), &flow.ports)]),
                ingress: None,
            },
        ));
    }
    if let Some(pod_selector) = selected(&flow.to) {
        policies.push(policy(
            zone,
            namespace,
            format!("{NAME}-to-{}", flow.name),
            NetworkPolicySpec {
                pod_selector: Some(pod_selector),
                policy_types: Some(vec!["Ingress".to_owned()]),
                ingress: Some(vec![from(end(zone, &flow.from), &flow.ports)]),
                egress: None,
            },
        ));
    }
    policies
}

/// `CoreDNS` in `kube-system` only: the pod label alone could be anybody's.
fn dns(caches: &[IpNet]) -> NetworkPolicyEgressRule {
    let mut peers = vec![NetworkPolicyPeer {
        namespace_selector: Some(label(names::METADATA_NAME, "kube-system")),
        pod_selector: Some(label("k8s-app", "kube-dns")),
        ip_block: None,
    }];
    let caches = address_range::families(caches);
    peers.extend(caches.iter().flatten().map(|net| NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: net.to_string(),
            except: None,
        }),
        ..NetworkPolicyPeer::default()
    }));
    let port = |protocol| PortRange {
        protocol,
        first: 53,
        last: 53,
    };
    NetworkPolicyEgressRule {
        to: Some(peers),
        ports: ports(&[port(Protocol::TCP), port(Protocol::UDP)]),
    }
}

fn whole_zone(end: &FlowEnd, layer: &Zone) -> bool {
    end.zone == *layer && end.pod_labels.is_empty()
}

fn sorted(flows: &[Flow]) -> Vec<&Flow> {
    let mut sorted: Vec<&Flow> = flows.iter().collect();
    sorted.sort_by(|one, other| one.name.cmp(&other.name));
    sorted
}

fn end(zone: &LandingZone, end: &FlowEnd) -> NetworkPolicyPeer {
    pods(zone, Some(&end.zone), &end.pod_labels)
}

/// Pods of the landing zone, of one zone of it, with some labels.
fn pods(
    zone: &LandingZone,
    layer: Option<&Zone>,
    labels: &BTreeMap<String, String>,
) -> NetworkPolicyPeer {
    pods_of(&zone.name, layer, labels)
}

/// The same of the landing zone of that name.
fn pods_of(
    owner: &LandingZoneName,
    layer: Option<&Zone>,
    labels: &BTreeMap<String, String>,
) -> NetworkPolicyPeer {
    let mut namespaces = label(names::OWNER, owner.as_str());
    if let (Some(layer), Some(labels)) = (layer, &mut namespaces.match_labels) {
        labels.insert(names::ZONE.to_owned(), layer.to_string());
    }
    NetworkPolicyPeer {
        namespace_selector: Some(namespaces),
        pod_selector: (!labels.is_empty()).then(|| labelled(labels)),
        ip_block: None,
    }
}

fn label(key: &str, value: &str) -> LabelSelector {
    labelled(&BTreeMap::from([(key.to_owned(), value.to_owned())]))
}

fn labelled(labels: &BTreeMap<String, String>) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels.clone()),
        match_expressions: None,
    }
}

fn from(peer: NetworkPolicyPeer, ranges: &[PortRange]) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from: Some(vec![peer]),
        ports: ports(ranges),
    }
}

fn to(peer: NetworkPolicyPeer, ranges: &[PortRange]) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: Some(vec![peer]),
        ports: ports(ranges),
    }
}

/// None, for all ports of all protocols, where none are declared.
fn ports(ranges: &[PortRange]) -> Option<Vec<NetworkPolicyPort>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let ports: Vec<_> = sorted
        .iter()
        .map(|range| NetworkPolicyPort {
            protocol: Some(calico_rule::protocol_name(range.protocol).to_owned()),
            port: Some(IntOrString::Int(range.first.into())),
            end_port: (range.first != range.last).then(|| range.last.into()),
        })
        .collect();
    Some(ports).filter(|ports| !ports.is_empty())
}

fn policy(
    zone: &LandingZone,
    namespace: &NamespaceName,
    name: String,
    spec: NetworkPolicySpec,
) -> NetworkPolicy {
    NetworkPolicy {
        metadata: metadata::namespaced(&zone.name, namespace, name),
        spec: Some(spec),
    }
}
