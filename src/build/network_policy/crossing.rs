//! What is open across the boundary, as rules of Kubernetes policies.

use std::collections::BTreeMap;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use sha2::{Digest as _, Sha256};

use super::{NAME, labelled, pods_of, policy, ports};
use crate::api::{CrossingDirection, Protocol, names};
use crate::build::address_range;
use crate::domain::{
    LandingZone, NamespaceName, Opening, Openings, Platform, PortRange, Reach, Zone,
};

/// Rules in both directions.
#[derive(Default)]
pub(super) struct Rules {
    pub ingress: Vec<NetworkPolicyIngressRule>,
    pub egress: Vec<NetworkPolicyEgressRule>,
}

/// What is open to every pod of a zone.
pub(super) fn for_every_pod(openings: &Openings, layer: &Zone, platform: &Platform) -> Rules {
    let of_all = openings.crossings_of(layer);
    let of_all = of_all.filter(|it| it.own.pod_labels.is_empty());
    rules(openings.services.iter().chain(of_all), platform)
}

/// What is open to some pods of a zone: a policy for each set of labels.
pub(super) fn for_some_pods(
    zone: &LandingZone,
    namespace: &NamespaceName,
    layer: &Zone,
    openings: &Openings,
    platform: &Platform,
) -> Vec<NetworkPolicy> {
    let mut by_labels: BTreeMap<&BTreeMap<String, String>, Vec<&Opening>> = BTreeMap::new();
    for opening in openings.crossings_of(layer) {
        if !opening.own.pod_labels.is_empty() {
            let same = by_labels.entry(&opening.own.pod_labels).or_default();
            same.push(opening);
        }
    }
    let policies = by_labels.into_iter().filter_map(|(labels, openings)| {
        let Rules { ingress, egress } = rules(openings.into_iter(), platform);
        if ingress.is_empty() && egress.is_empty() {
            return None;
        }
        let some = |is_empty: bool, name: &str| (!is_empty).then(|| name.to_owned());
        let types = some(ingress.is_empty(), "Ingress")
            .into_iter()
            .chain(some(egress.is_empty(), "Egress"));
        Some(policy(
            zone,
            namespace,
            format!("{NAME}-crossings-{}", digest(labels)),
            NetworkPolicySpec {
                pod_selector: Some(labelled(labels)),
                policy_types: Some(types.collect()),
                ingress: Some(ingress).filter(|rules| !rules.is_empty()),
                egress: Some(egress).filter(|rules| !rules.is_empty()),
            },
        ))
    });
    policies.collect()
}

fn rules<'a>(openings: impl Iterator<Item = &'a Opening>, platform: &Platform) -> Rules {
    let mut rules = Rules::default();
    for opening in openings {
        let (peers, ports) = opened(opening, platform);
        if peers.is_empty() {
            // A rule without peers would mean everybody.
            continue;
        }
        match opening.direction {
            CrossingDirection::Ingress => rules.ingress.push(NetworkPolicyIngressRule {
                from: Some(peers),
                ports,
            }),
            CrossingDirection::Egress => rules.egress.push(NetworkPolicyEgressRule {
                to: Some(peers),
                ports,
            }),
        }
    }
    rules
}

type Ports = Option<Vec<k8s_openapi::api::networking::v1::NetworkPolicyPort>>;

fn opened(opening: &Opening, platform: &Platform) -> (Vec<NetworkPolicyPeer>, Ports) {
    let own_ports = ports(&opening.ports);
    match &opening.reach {
        Reach::LandingZone { name, end } => {
            let peer = pods_of(name, end.zone.as_ref(), &end.pod_labels);
            (vec![peer], own_ports)
        }
        Reach::Namespaces {
            namespace_labels,
            pod_labels,
        } => {
            let of_nobody = LabelSelectorRequirement {
                key: names::OWNER.to_owned(),
                operator: "DoesNotExist".to_owned(),
                values: None,
            };
            let peer = NetworkPolicyPeer {
                namespace_selector: Some(LabelSelector {
                    match_labels: Some(namespace_labels.clone()),
                    match_expressions: Some(vec![of_nobody]),
                }),
                pod_selector: (!pod_labels.is_empty()).then(|| labelled(pod_labels)),
                ip_block: None,
            };
            (vec![peer], own_ports)
        }
        Reach::Addresses {
            nets,
            except,
            without_pods,
        }
        | Reach::Fqdns {
            nets,
            except,
            without_pods,
            ..
        } => {
            // Nothing here tells pods from others by what they are.
            let pods: &[IpNet] = if *without_pods {
                &platform.pod_cidrs
            } else {
                &[]
            };
            (blocks(nets, except, pods), own_ports)
        }
        Reach::ApiServer(nets) => {
            let https = PortRange {
                protocol: Protocol::TCP,
                first: 443,
                last: 443,
            };
            (blocks(nets, &[], &[]), ports(&[https]))
        }
    }
}

/// Address ranges, each with what it excepts; ranges that are excepted as a whole are left out. Ranges
/// that lie among the pods as a whole are meant.
fn blocks(nets: &[IpNet], except: &[IpNet], pods: &[IpNet]) -> Vec<NetworkPolicyPeer> {
    let flat = |nets: &[IpNet]| address_range::families(nets).into_iter().flatten();
    let except: Vec<_> = flat(except).collect();
    let within: Vec<_> = except.iter().copied().chain(flat(pods)).collect();
    let open = flat(nets).filter(|net| !except.iter().any(|range| range.contains(net)));
    let block = |net: IpNet| {
        let within = within
            .iter()
            .filter(|range| net.contains(*range) && net != **range);
        let within: Vec<_> = within.map(ToString::to_string).collect();
        NetworkPolicyPeer {
            ip_block: Some(IPBlock {
                cidr: net.to_string(),
                except: Some(within).filter(|ranges| !ranges.is_empty()),
            }),
            ..NetworkPolicyPeer::default()
        }
    };
    open.map(block).collect()
}

/// Eight digits by which sets of labels are told apart.
fn digest(labels: &BTreeMap<String, String>) -> String {
    let digest = Sha256::digest(format!("{labels:?}"));
    let [one, two, three, four, ..] = <[u8; 32]>::from(digest);
    format!("{one:02x}{two:02x}{three:02x}{four:02x}")
}
