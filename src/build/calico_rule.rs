//! The rules of Calico policies: who is a pod of this landing zone, and who is not.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::address_range;
use super::global_network_policy::{selecting, selector};
use crate::api::{CrossingDirection, IntraZone, Protocol, names};
use crate::domain::{
    FlowEnd, LandingZone, LandingZoneName, NamespaceName, Opening, PortRange, Reach, Zone,
};
use crate::policy::{
    Action, EntityRule, MAX_NETS, MAX_PORTS, MAX_SELECTOR_LENGTH, Rule, Selector, ServiceMatch,
};

/// Label of Calico on every pod, by which it tells pods from network sets: those inherit the labels
/// of their namespace, so that one with outside addresses would else count as inside.
const IS_POD: &str = "projectcalico.org/orchestrator";
/// Label of Calico on everything that lies in a namespace.
const IN_NAMESPACE: &str = "projectcalico.org/namespace";

/// A direction, seen from the pods that a policy selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Others connect to them.
    Ingress,
    /// They connect to others.
    Egress,
}

/// The same rules for a tier that is not the last: what they allow is left to whoever decides after us,
/// such as an administrator's baseline.
pub(super) fn passing(rules: Vec<Rule>) -> Vec<Rule> {
    let pass = |rule: Rule| match rule.action {
        Action::Allow => Rule {
            action: Action::Pass,
            ..rule
        },
        _ => rule,
    };
    rules.into_iter().map(pass).collect()
}

/// Allows the cluster's DNS, and nothing else that listens on port 53.
///
/// By service, because its endpoints cannot be forged by labels; caches on the node have no
/// endpoints, so they are known by address.
pub(super) fn dns(caches: &[IpNet]) -> Vec<Rule> {
    let service = EntityRule {
        services: Some(ServiceMatch {
            name: "kube-dns".to_owned(),
            namespace: "kube-system".to_owned(),
        }),
        ..EntityRule::default()
    };
    let mut rules = vec![rule(Action::Allow, None, EntityRule::default(), service)];
    // One rule never holds both families: Felix would drop the whole policy.
    for family in address_range::families(caches) {
        for nets in family.chunks(MAX_NETS) {
            for protocol in ["UDP", "TCP"] {
                let cache = EntityRule {
                    nets: written(nets),
                    ports: vec![IntOrString::Int(53)],
                    ..EntityRule::default()
                };
                let protocol = Some(protocol.to_owned());
                rules.push(rule(Action::Allow, protocol, EntityRule::default(), cache));
            }
        }
    }
    rules
}

/// Denies every peer that is no pod of this landing zone.
pub(super) fn outsiders(
    owner: &LandingZoneName,
    pod_cidrs: &[IpNet],
    direction: Direction,
) -> Vec<Rule> {
    let mut peers = not_pod_addresses(pod_cidrs);
    peers.push(EntityRule {
        namespace_selector: Some(Selector::not_equal(names::OWNER, owner.as_str()).to_string()),
        selector: Some(Selector::has(IS_POD).to_string()),
        ..EntityRule::default()
    });
    // Everything that is no pod at all. Both labels: a network set lies in a namespace, too.
    peers.push(EntityRule {
        not_selector: Some(
            Selector::and([Selector::has(IN_NAMESPACE), Selector::has(IS_POD)]).to_string(),
        ),
        ..EntityRule::default()
    });
    peers
        .into_iter()
        .map(|peer| towards(direction, Action::Deny, None, EntityRule::default(), peer))
        .collect()
}

/// Denies foreign namespaces, by name.
pub(super) fn pretenders(names: &BTreeSet<NamespaceName>, direction: Direction) -> Vec<Rule> {
    let parts = selecting(&names.iter().collect());
    parts
        .iter()
        .map(|part| {
            let peer = EntityRule {
                namespace_selector: Some(selector(&part.items)),
                ..EntityRule::default()
            };
            towards(direction, Action::Deny, None, EntityRule::default(), peer)
        })
        .collect()
}

/// Allows traffic between the selected pods and those of the landing zone, or of one zone of it.
pub(super) fn inside(owner: &LandingZoneName, zone: Option<&Zone>, direction: Direction) -> Rule {
    let peer = pods(owner, zone, &Selector::All);
    towards(direction, Action::Allow, None, EntityRule::default(), peer)
}

/// Allows the flows that lead to the pods of a zone (ingress) or from them (egress).
///
/// A flow whose pod labels make a selector longer than Calico takes is left out, which denies its
/// traffic; validation refuses such a flow before.
pub(super) fn flows(declared: &LandingZone, zone: &Zone, direction: Direction) -> Vec<Rule> {
    let mut rules = Vec::new();
    let network = &declared.network;
    if network.intra_zone == IntraZone::Allow {
        rules.push(inside(&declared.name, Some(zone), direction));
    }
    let mut flows: Vec<_> = network.flows.iter().collect();
    flows.sort_by(|one, other| one.name.cmp(&other.name));
    for flow in flows {
        let (own, peer) = match direction {
            Direction::Ingress => (&flow.to, &flow.from),
            Direction::Egress => (&flow.from, &flow.to),
        };
        if own.zone != *zone || too_long(own) || too_long(peer) {
            continue;
        }
        let labelled = EntityRule {
            selector: selected(&own.pod_labels),
            ..EntityRule::default()
        };
        let peer = pods(
            &declared.name,
            Some(&peer.zone),
            &Selector::from(&peer.pod_labels),
        );
        for (protocol, ports) in by_protocol(&flow.ports) {
            let mut rule = towards(
                direction,
                Action::Allow,
                protocol,
                labelled.clone(),
                peer.clone(),
            );
            rule.destination.ports = ports;
            rules.push(rule);
        }
    }
    // Two flows may say the same, for instance with ports in another order.
    let mut distinct: Vec<Rule> = Vec::with_capacity(rules.len());
    for rule in rules {
        if !distinct.contains(&rule) {
            distinct.push(rule);
        }
    }
    distinct
}

/// Allows what is open across the boundary in one direction.
pub(super) fn openings(openings: &[&Opening], direction: Direction) -> Vec<Rule> {
    let wanted = match direction {
        Direction::Ingress => CrossingDirection::Ingress,
        Direction::Egress => CrossingDirection::Egress,
    };
    let mut distinct: Vec<Rule> = Vec::new();
    for opening in openings.iter().filter(|it| it.direction == wanted) {
        for rule in opened(opening, direction) {
            if !distinct.contains(&rule) {
                distinct.push(rule);
            }
        }
    }
    distinct
}

fn opened(opening: &Opening, direction: Direction) -> Vec<Rule> {
    let own = EntityRule {
        selector: selected(&opening.own.pod_labels),
        ..EntityRule::default()
    };
    let ports = by_protocol(&opening.ports);
    let open = |peer: EntityRule, ports: &[Served]| {
        let rules = ports.iter().map(|(protocol, ports)| {
            let (own, peer) = (own.clone(), peer.clone());
            let mut rule = towards(direction, Action::Allow, protocol.clone(), own, peer);
            rule.destination.ports.clone_from(ports);
            rule
        });
        rules.collect::<Vec<_>>()
    };
    let peers = match &opening.reach {
        Reach::LandingZone { name, end } => {
            let labels = Selector::from(&end.pod_labels);
            vec![pods(name, end.zone.as_ref(), &labels)]
        }
        Reach::Namespaces {
            namespace_labels,
            pod_labels,
        } => vec![foreign_pods(namespace_labels, pod_labels)],
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
        } => addresses(nets, except, *without_pods),
        Reach::ApiServer(nets) => {
            let service = EntityRule {
                services: Some(ServiceMatch {
                    name: "kubernetes".to_owned(),
                    namespace: "default".to_owned(),
                }),
                ..EntityRule::default()
            };
            let mut rules = open(service, &[(None, Vec::new())]);
            let https = (
                Some("TCP".to_owned()),
                vec![IntOrString::Int(names::API_SERVER_PORT.into())],
            );
            for peer in addresses(nets, &[], false) {
                rules.extend(open(peer, std::slice::from_ref(&https)));
            }
            return rules;
        }
    };
    peers
        .into_iter()
        .filter(|peer| is_short(own.selector.as_ref()) && is_short(peer.selector.as_ref()))
        .filter(|peer| is_short(peer.namespace_selector.as_ref()))
        .flat_map(|peer| open(peer, &ports))
        .collect()
}

/// Whether Calico takes a selector. One that it does not take opens nothing; validation refuses it
/// before.
fn is_short(selector: Option<&String>) -> bool {
    selector.is_none_or(|text| text.len() <= MAX_SELECTOR_LENGTH)
}

/// Pods in namespaces of no landing zone.
fn foreign_pods(
    namespace_labels: &BTreeMap<String, String>,
    pod_labels: &BTreeMap<String, String>,
) -> EntityRule {
    let of_nobody = Selector::has(names::OWNER).negate();
    let namespaces = Selector::from(namespace_labels);
    EntityRule {
        namespace_selector: Some(Selector::and([namespaces, of_nobody]).to_string()),
        selector: Some(labelled_pods(&Selector::from(pod_labels))),
        ..EntityRule::default()
    }
}

/// Addresses, one family at a time. Of a family that is excepted as a whole nothing is left.
fn addresses(nets: &[IpNet], except: &[IpNet], without_pods: bool) -> Vec<EntityRule> {
    let except = address_range::families(except);
    let mut peers = Vec::new();
    for family in address_range::families(nets) {
        let not_nets = except
            .iter()
            .find(|nets| is_v6_range(nets) == is_v6_range(&family))
            .map(|nets| address_range::at_most(nets, MAX_NETS))
            .unwrap_or_default();
        if is_everything(&not_nets) {
            continue;
        }
        for nets in family.chunks(MAX_NETS) {
            peers.push(EntityRule {
                nets: written(nets),
                not_nets: written(&not_nets),
                not_selector: without_pods.then(|| Selector::has(IS_POD).to_string()),
                ..EntityRule::default()
            });
        }
    }
    peers
}

/// Records what nothing allowed so far, and allows it.
pub(super) fn log_and_allow() -> [Rule; 2] {
    [Action::Log, Action::Allow]
        .map(|action| rule(action, None, EntityRule::default(), EntityRule::default()))
}

/// Denies everything.
pub(super) fn deny_all() -> Rule {
    rule(
        Action::Deny,
        None,
        EntityRule::default(),
        EntityRule::default(),
    )
}

/// What no pod's address can be; nothing where the pods' ranges are unknown. First of all, since it
/// holds against whatever labels a network set claims.
///
/// All ranges of a family stand in one rule: over several they would add up and deny every pod. A
/// family in which pods have no range is outside as a whole, and of one that is theirs as a whole nothing is.
fn not_pod_addresses(pod_cidrs: &[IpNet]) -> Vec<EntityRule> {
    let families = address_range::families(pod_cidrs);
    if families.is_empty() {
        return Vec::new();
    }
    let missing = [("0.0.0.0/0", false), ("::/0", true)]
        .into_iter()
        .filter(|(_, is_v6)| !families.iter().any(|nets| is_v6_range(nets) == *is_v6))
        .map(|(everything, _)| EntityRule {
            nets: vec![everything.to_owned()],
            ..EntityRule::default()
        });
    families
        .iter()
        .map(|nets| address_range::at_most(nets, MAX_NETS))
        .filter(|nets| !is_everything(nets))
        .map(|nets| EntityRule {
            not_nets: written(&nets),
            ..EntityRule::default()
        })
        .chain(missing)
        .collect()
}

/// Whether ranges are every address of their family. A rule about all others would match nothing, and Felix 3.28 ends
/// on one.
fn is_everything(nets: &[IpNet]) -> bool {
    nets.iter().any(|net| net.prefix_len() == 0)
}

fn is_v6_range(nets: &[IpNet]) -> bool {
    matches!(nets.first(), Some(IpNet::V6(_)))
}

/// Pods of the landing zone, of one zone of it, with some labels.
fn pods(owner: &LandingZoneName, zone: Option<&Zone>, labels: &Selector) -> EntityRule {
    let own = Selector::equal(names::OWNER, owner.as_str());
    let in_zone = zone.map(|zone| Selector::equal(names::ZONE, zone.as_str()));
    EntityRule {
        namespace_selector: Some(Selector::and([own].into_iter().chain(in_zone)).to_string()),
        selector: Some(labelled_pods(labels)),
        ..EntityRule::default()
    }
}

/// Which of the pods that a policy selects; all of them without labels.
fn selected(labels: &BTreeMap<String, String>) -> Option<String> {
    (!labels.is_empty()).then(|| Selector::from(labels).to_string())
}

fn labelled_pods(labels: &Selector) -> String {
    let is_pod = Selector::has(IS_POD);
    match labels {
        Selector::All => is_pod.to_string(),
        labels => Selector::and([is_pod, labels.clone()]).to_string(),
    }
}

fn too_long(end: &FlowEnd) -> bool {
    labelled_pods(&Selector::from(&end.pod_labels)).len() > MAX_SELECTOR_LENGTH
}

/// A protocol and its ports as Calico writes them; without either, all are meant.
type Served = (Option<String>, Vec<IntOrString>);

/// Ports, for one protocol each.
fn by_protocol(ports: &[PortRange]) -> Vec<Served> {
    if ports.is_empty() {
        return vec![(None, Vec::new())];
    }
    let mut sorted = ports.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
        .chunk_by(|one, other| one.protocol == other.protocol)
        .flat_map(|same| same.chunks(MAX_PORTS))
        .map(|chunk| {
            let protocol = chunk.first().map(|range| protocol_name(range.protocol));
            let ports = chunk.iter().copied().map(port).collect();
            (protocol.map(str::to_owned), ports)
        })
        .collect()
}

fn port(range: PortRange) -> IntOrString {
    if range.first == range.last {
        IntOrString::Int(range.first.into())
    } else {
        IntOrString::String(format!("{}:{}", range.first, range.last))
    }
}

/// Name of a protocol, the same for Calico and Kubernetes.
pub(super) fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::TCP => "TCP",
        Protocol::UDP => "UDP",
        Protocol::SCTP => "SCTP",
    }
}

fn written(nets: &[IpNet]) -> Vec<String> {
    nets.iter().map(ToString::to_string).collect()
}

fn towards(
    direction: Direction,
    action: Action,
    protocol: Option<String>,
    own: EntityRule,
    peer: EntityRule,
) -> Rule {
    match direction {
        Direction::Ingress => rule(action, protocol, peer, own),
        Direction::Egress => rule(action, protocol, own, peer),
    }
}

fn rule(
    action: Action,
    protocol: Option<String>,
    source: EntityRule,
    destination: EntityRule,
) -> Rule {
    Rule {
        protocol,
        source,
        destination,
        ..Rule::new(action)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn ranges(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[rstest]
    #[case(&["0.0.0.0/0"])]
    #[case(&["0.0.0.0/1", "128.0.0.0/1"])]
    #[case(&["1.2.3.4/0"])]
    fn what_is_excepted_as_a_whole_opens_nothing(#[case] except: &[&str]) {
        let open = addresses(&ranges(&["10.0.0.0/8", "fd00::/8"]), &ranges(except), false);
        assert_eq!(open.len(), 1);
        assert_eq!(
            (open[0].nets.as_slice(), open[0].not_nets.len()),
            (&["fd00::/8".to_owned()][..], 0)
        );
    }

    #[test]
    fn where_every_address_may_be_a_pod_s_none_is_denied_for_its_own_sake() {
        let denied = not_pod_addresses(&ranges(&["0.0.0.0/1", "128.0.0.0/1", "fd00::/8"]));
        assert_eq!(denied.len(), 1);
        assert_eq!(denied[0].not_nets, ["fd00::/8"]);
        // One family alone: the other one is outside.
        let denied = not_pod_addresses(&ranges(&["::/0"]));
        assert_eq!(denied.len(), 1);
        assert_eq!(denied[0].nets, ["0.0.0.0/0"]);
    }
}
