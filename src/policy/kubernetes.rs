//! Policies of Kubernetes as Calico converts them (`libcalico-go`, `backend/k8s/conversion`, 3.28).

use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::model::{
    DEFAULT_TIER, Policy, PolicyId, PolicyKind, PolicyRule, PortMatch, RuleEnd, TransportProtocol,
};
use super::objection::{Effect, Objection, Objections, Unreadable, Why, unreadable};
use super::rewrite::{NAMESPACE, ORCHESTRATOR, of_namespaces, ports};
use super::{Action, Comparison, Selector, net};
use crate::domain::FieldPath;

/// Where the policies of Kubernetes stand in tier default.
const ORDER_OF_KUBERNETES: f64 = 1000.0;

impl Policy {
    /// A policy of Kubernetes. Rules that cannot be read are left out, as Calico does.
    ///
    /// # Errors
    /// What Calico cannot read it because of.
    pub fn of_kubernetes(policy: &networking::NetworkPolicy) -> Result<Self, Unreadable> {
        let root = FieldPath::default();
        let at = root.key("spec");
        let metadata = (&policy.metadata.name, &policy.metadata.namespace);
        let (Some(name), Some(namespace)) = metadata else {
            let missing = if metadata.0.is_none() {
                "name"
            } else {
                "namespace"
            };
            return Err(unreadable(&root.key("metadata").key(missing), Why::Missing));
        };
        let spec = policy.spec.clone().unwrap_or_default();
        let types = spec.policy_types.unwrap_or_default();
        let has = |type_: &str| types.iter().any(|it| it == type_);
        let pods = spec.pod_selector.unwrap_or_default();
        let pods = kubernetes_selector(&pods, &at.key("podSelector"))?;
        let own = Selector::equal(NAMESPACE, namespace);
        let is_kubernetes = Selector::equal(ORCHESTRATOR, "k8s");

        let ingress = spec.ingress.unwrap_or_default();
        let ingress = ingress.into_iter().filter_map(|rule| {
            let (peers, ports) = (
                rule.from.unwrap_or_default(),
                rule.ports.unwrap_or_default(),
            );
            kubernetes_rules(&peers, &ports, namespace, &at.key("ingress")).ok()
        });
        let ingress = ingress.flatten().map(|(protocol, peer, ports)| PolicyRule {
            source: peer,
            destination: RuleEnd {
                ports,
                ..RuleEnd::default()
            },
            ..allow(protocol)
        });
        let egress = spec.egress.unwrap_or_default();
        let has_egress = !egress.is_empty();
        let egress = egress.into_iter().filter_map(|rule| {
            let (peers, ports) = (rule.to.unwrap_or_default(), rule.ports.unwrap_or_default());
            kubernetes_rules(&peers, &ports, namespace, &at.key("egress")).ok()
        });
        let egress = egress.flatten().map(|(protocol, peer, ports)| PolicyRule {
            destination: RuleEnd { ports, ..peer },
            ..allow(protocol)
        });
        // What the API server fills in where nothing is said.
        let comes_in = has("Ingress") || types.is_empty();
        let goes_out = has("Egress") || (types.is_empty() && has_egress);
        Ok(Self {
            id: PolicyId {
                kind: PolicyKind::Kubernetes,
                namespace: Some(namespace.clone()),
                name: name.clone(),
            },
            tier: DEFAULT_TIER.to_owned(),
            order: Some(ORDER_OF_KUBERNETES),
            selector: Selector::and([is_kubernetes].into_iter().chain(pods).chain([own])),
            ingress: comes_in.then(|| ingress.collect()),
            egress: goes_out.then(|| egress.collect()),
        })
    }
}

impl RuleEnd {
    /// A peer in a policy of Kubernetes, with what the API server refuses of it, or refused in some versions.
    ///
    /// # Errors
    /// What Calico leaves the rule out because of.
    pub fn of_kubernetes(
        peer: &networking::NetworkPolicyPeer,
        namespace: &str,
        at: &FieldPath,
    ) -> Result<(Self, Vec<Objection>), Unreadable> {
        let mut objections = Objections::default();
        let end = kubernetes_peer(peer, namespace, at, &mut objections)?;
        Ok((end, objections.0))
    }
}

impl Selector {
    /// The labels that a selector of Kubernetes selects.
    ///
    /// # Errors
    /// Where it has an operator that does not exist.
    pub fn of_kubernetes(selector: &LabelSelector, at: &FieldPath) -> Result<Self, Unreadable> {
        Ok(Self::and(kubernetes_selector(selector, at)?))
    }
}

fn allow(protocol: Option<TransportProtocol>) -> PolicyRule {
    PolicyRule {
        action: Action::Allow,
        ip_version: None,
        protocol,
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        source: RuleEnd::default(),
        destination: RuleEnd::default(),
    }
}

/// What a rule of Kubernetes comes to: protocol, peer and ports, one for each combination.
type KubernetesRule = (Option<TransportProtocol>, RuleEnd, Vec<PortMatch>);

fn kubernetes_rules(
    peers: &[networking::NetworkPolicyPeer],
    ports: &[networking::NetworkPolicyPort],
    namespace: &str,
    at: &FieldPath,
) -> Result<Vec<KubernetesRule>, Unreadable> {
    let mut ends = Vec::new();
    for peer in peers {
        ends.push(kubernetes_peer(
            peer,
            namespace,
            at,
            &mut Objections::default(),
        )?);
    }
    if peers.is_empty() {
        ends.push(RuleEnd::default());
    }
    // None: all ports of the protocol.
    let mut by_protocol: Vec<(Option<TransportProtocol>, Option<Vec<PortMatch>>)> = Vec::new();
    for port in ports {
        let name = port.protocol.as_deref().unwrap_or("TCP");
        let why = || unreadable(&at.key("ports"), Why::Protocol(name.to_owned()));
        let protocol = TransportProtocol::read(name).ok_or_else(why)?;
        let range = match (&port.port, port.end_port) {
            (None, _) => None,
            (Some(IntOrString::Int(first)), Some(last)) => {
                Some(IntOrString::String(format!("{first}:{last}")))
            }
            (Some(one), _) => Some(one.clone()),
        };
        let range = range.map(|range| self::ports(&[range], &at.key("ports")));
        let range = range.transpose()?;
        let known = by_protocol.iter_mut().find(|it| it.0 == Some(protocol));
        match (known, range) {
            (Some((_, known)), None) => *known = None,
            (Some((_, Some(known))), Some(range)) => known.extend(range),
            (Some((_, None)), Some(_)) => {}
            (None, range) => by_protocol.push((Some(protocol), range)),
        }
    }
    if ports.is_empty() {
        by_protocol.push((None, None));
    }
    let each = by_protocol.into_iter().flat_map(|(protocol, ports)| {
        let ports = ports.unwrap_or_default();
        let ends = ends.clone();
        ends.into_iter()
            .map(move |end| (protocol, end, ports.clone()))
    });
    Ok(each.collect())
}

fn kubernetes_peer(
    peer: &networking::NetworkPolicyPeer,
    namespace: &str,
    at: &FieldPath,
    objections: &mut Objections,
) -> Result<RuleEnd, Unreadable> {
    let has_selector = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
    if let Some(block) = &peer.ip_block {
        if has_selector {
            objections.add(&at.key("ipBlock"), Why::TwoPeers, Effect::LeftOut);
        }
        return Ok(ip_block(block, &at.key("ipBlock"), objections));
    }
    if !has_selector {
        objections.add(at, Why::NoPeer, Effect::LeftOut);
    }
    let pods = peer.pod_selector.clone().unwrap_or_default();
    let pods = kubernetes_selector(&pods, &at.key("podSelector"))?;
    let namespaces = match &peer.namespace_selector {
        None => Selector::equal(NAMESPACE, namespace),
        Some(selector) => {
            let labels = kubernetes_selector(selector, &at.key("namespaceSelector"))?;
            of_namespaces(Selector::and(labels))
        }
    };
    let is_kubernetes = Selector::equal(ORCHESTRATOR, "k8s");
    Ok(RuleEnd {
        selector: Some(Selector::and(
            [namespaces, is_kubernetes].into_iter().chain(pods),
        )),
        ..RuleEnd::default()
    })
}

fn kubernetes_selector(
    selector: &LabelSelector,
    at: &FieldPath,
) -> Result<Vec<Selector>, Unreadable> {
    let labels = selector.match_labels.iter().flatten();
    let mut all: Vec<_> = labels
        .map(|(key, value)| Selector::equal(key, value))
        .collect();
    for it in selector.match_expressions.iter().flatten() {
        let values = || it.values.iter().flatten().cloned().collect();
        all.push(match it.operator.as_str() {
            "In" => Selector::Compare(it.key.clone(), Comparison::In(values())),
            "NotIn" => Selector::Compare(it.key.clone(), Comparison::NotIn(values())),
            "Exists" => Selector::has(&it.key),
            "DoesNotExist" => Selector::has(&it.key).negate(),
            other => return Err(unreadable(at, Why::Operator(other.to_owned()))),
        });
    }
    Ok(all)
}

/// A range with its exceptions. Where Calico cannot read it, the rule says nothing of addresses any more, and is for
/// everybody; from the first exception that it cannot read, there are none.
fn ip_block(block: &networking::IPBlock, at: &FieldPath, objections: &mut Objections) -> RuleEnd {
    let path = at.key("cidr");
    let Some(cidr) = net::range(&block.cidr) else {
        objections.add(&path, Why::Net(block.cidr.clone()), Effect::LeftOut);
        return RuleEnd::default();
    };
    let odd = |text: &str, net: ipnet::IpNet| {
        (net.to_string() != *text && text.parse() != Ok(net)).then(|| {
            let (written, meant) = (text.to_owned(), net.to_string());
            let effect = Effect::TakenFor(meant.clone());
            (Why::Range { written, meant }, effect)
        })
    };
    if let Some((why, effect)) = odd(&block.cidr, cidr) {
        objections.add(&path, why, effect);
    }
    let mut not_nets = Vec::new();
    for (index, text) in block.except.iter().flatten().enumerate() {
        let path = at.key("except").index(index);
        let Some(net) = net::range(text) else {
            objections.add(&path, Why::Net(text.clone()), Effect::LeftOut);
            break;
        };
        if let Some((why, effect)) = odd(text, net) {
            objections.add(&path, why, effect);
        } else if !cidr.contains(&net) || net == cidr {
            let effect = Effect::TakenFor(net.to_string());
            objections.add(&path, Why::Except(text.clone()), effect);
        }
        not_nets.push(net);
    }
    RuleEnd {
        nets: Some(vec![cidr]),
        not_nets,
        ..RuleEnd::default()
    }
}
