//! What policies act on: endpoints, network sets, services, tiers and the policies themselves, as Felix sees them.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Pod;

use super::model::{DEFAULT_TIER, Policy, PortMatch, RuleEnd, TransportProtocol};
use super::rewrite::{
    NAME, NAMESPACE, OF_NAMESPACE, OF_SERVICE_ACCOUNT, ORCHESTRATOR, SERVICE_ACCOUNT,
};
use super::{Comparison, NetworkSet, Selector, Tier, net};

/// Labels, by key.
pub type LabelMap = BTreeMap<String, String>;

/// What a pod is to policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Its namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// All labels that selectors see: the pod's own, those that Calico adds, and what it inherits from its namespace
    /// (`pcns.`) and its service account (`pcsa.`).
    pub labels: LabelMap,
    /// Its addresses, at most one of each family.
    pub addresses: Vec<IpAddr>,
    /// The ports of its containers that have a name.
    pub ports: Vec<(String, TransportProtocol, u16)>,
}

impl Endpoint {
    /// A pod with the labels of its namespace and of its service account. None where policies do not apply to it:
    /// it is on its node's network, it is over, or nobody knows where it runs or which address it has.
    #[must_use]
    pub fn of(pod: &Pod, namespace: &LabelMap, service_account: &LabelMap) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let status = pod.status.as_ref()?;
        let is_over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        if spec.host_network == Some(true) || spec.node_name.is_none() || is_over {
            return None;
        }
        let all = status.pod_ips.iter().flatten().map(|it| it.ip.as_str());
        let mut known: Vec<IpAddr> = all.filter_map(|it| it.parse().ok()).collect();
        if known.is_empty() {
            known.extend(
                status
                    .pod_ip
                    .as_deref()
                    .and_then(|it| it.parse::<IpAddr>().ok()),
            );
        }
        if known.is_empty() {
            return None;
        }
        let metadata = &pod.metadata;
        let own = metadata.labels.clone().unwrap_or_default();
        let inside = metadata.namespace.clone().unwrap_or_default();
        let account = spec.service_account_name.as_deref();
        let ports = spec
            .containers
            .iter()
            .flat_map(|it| it.ports.iter().flatten());
        let ports = ports.filter_map(|port| {
            let protocol = TransportProtocol::read(port.protocol.as_deref().unwrap_or("TCP"))?;
            let number = u16::try_from(port.container_port).ok()?;
            Some((port.name.clone()?, protocol, number))
        });
        Some(Self {
            labels: labels(
                &own,
                (&inside, namespace),
                account.map(|it| (it, service_account)),
            ),
            namespace: inside,
            name: metadata.name.clone().unwrap_or_default(),
            addresses: known,
            ports: ports.collect(),
        })
    }
}

/// The labels of a pod, with all that Calico adds: names come with labels.
#[must_use]
pub fn labels(
    own: &LabelMap,
    (namespace, of_namespace): (&str, &LabelMap),
    service_account: Option<(&str, &LabelMap)>,
) -> LabelMap {
    let mut all = inherited(OF_NAMESPACE, namespace, of_namespace);
    if let Some((name, of_account)) = service_account.filter(|(name, _)| !name.is_empty()) {
        all.extend(inherited(OF_SERVICE_ACCOUNT, name, of_account));
    }
    // Calico takes what only looks inherited away from pods.
    let is_own = |key: &str| !key.starts_with(OF_NAMESPACE) && !key.starts_with(OF_SERVICE_ACCOUNT);
    let own = own.iter().filter(|(key, _)| is_own(key));
    all.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    all.insert(NAMESPACE.to_owned(), namespace.to_owned());
    all.insert(ORCHESTRATOR.to_owned(), "k8s".to_owned());
    if let Some((name, _)) = service_account.filter(|(name, _)| !name.is_empty()) {
        all.insert(SERVICE_ACCOUNT.to_owned(), name.to_owned());
    }
    all
}

fn inherited(prefix: &str, name: &str, labels: &LabelMap) -> LabelMap {
    let mut all: LabelMap = labels
        .iter()
        .map(|(key, value)| (format!("{prefix}{key}"), value.clone()))
        .collect();
    all.insert(format!("{prefix}{NAME}"), name.to_owned());
    all
}

/// Addresses with labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    /// Namespace and name; a global set has no namespace.
    pub name: (Option<String>, String),
    /// All labels that selectors see. What it has itself is stronger than what it inherits: its labels can be forged.
    pub labels: LabelMap,
    /// Its ranges.
    pub nets: Vec<IpNet>,
}

impl AddressSet {
    /// A network set with the labels of its namespace; ranges that cannot be read are left out.
    #[must_use]
    pub fn of(set: &NetworkSet, namespace: &LabelMap) -> Self {
        let own = set.metadata.labels.clone().unwrap_or_default();
        let inside = set.metadata.namespace.as_deref();
        let mut labels = inside.map_or_else(LabelMap::new, |name| {
            inherited(OF_NAMESPACE, name, namespace)
        });
        labels.extend(own);
        if let Some(name) = inside {
            labels.insert(NAMESPACE.to_owned(), name.to_owned());
        }
        let read = |text: &String| net::range_or_address(text);
        Self {
            name: (
                set.metadata.namespace.clone(),
                set.metadata.name.clone().unwrap_or_default(),
            ),
            labels,
            nets: set.spec.nets.iter().filter_map(read).collect(),
        }
    }
}

/// Where a service sends what comes: address, protocol and port.
pub type ServiceEndpoint = (IpAddr, TransportProtocol, u16);

/// What happens at the end of a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierEnd {
    /// What no policy allowed is denied.
    Deny,
    /// The next tier decides.
    Pass,
}

/// Tiers, policies and what they act on.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// In the order of evaluation.
    tiers: Vec<PlacedTier>,
    /// In the order of evaluation, those of one tier together.
    policies: Vec<Policy>,
    by_namespace: ByNamespace,
    /// All pods to which policies apply.
    pub endpoints: Vec<Endpoint>,
    /// All network sets.
    pub sets: Vec<AddressSet>,
    /// The ready endpoints of services, by namespace and name.
    pub services: BTreeMap<(String, String), Vec<ServiceEndpoint>>,
}

/// A tier, and where its policies are.
#[derive(Clone, Debug)]
pub(super) struct PlacedTier {
    pub name: String,
    pub end: TierEnd,
    /// Positions among all policies.
    pub policies: Range<usize>,
}

/// Where tier default stands (Calico).
const ORDER_OF_DEFAULT: f64 = 1_000_000.0;

/// The tiers that Calico brings along, with their orders and ends.
#[must_use]
pub fn brought_tiers() -> Vec<Tier> {
    let default = (DEFAULT_TIER, ORDER_OF_DEFAULT, "Deny");
    let others = super::admin::TIERS.iter();
    let others = others.map(|(name, order)| (*name, *order, "Pass"));
    let tier = |(name, order, end): (&str, f64, &str)| {
        let mut tier = Tier::default();
        tier.metadata.name = Some(name.to_owned());
        tier.spec.order = Some(order);
        tier.spec.default_action = Some(end.to_owned());
        tier
    };
    [default].into_iter().chain(others).map(tier).collect()
}

impl World {
    /// Puts tiers and policies into their order. A tier that is not there, and that Calico does not bring along for
    /// administrators' policies, comes last and denies at its end.
    #[must_use]
    pub fn new(tiers: &[Tier], policies: Vec<Policy>) -> Self {
        let mut known: Vec<(String, f64, TierEnd)> = Vec::new();
        for tier in tiers {
            let end = match tier.spec.default_action.as_deref() {
                Some("Pass") => TierEnd::Pass,
                _ => TierEnd::Deny,
            };
            let order = tier.spec.order.unwrap_or(f64::INFINITY);
            known.push((tier.metadata.name.clone().unwrap_or_default(), order, end));
        }
        if !known.iter().any(|(name, ..)| name == DEFAULT_TIER) {
            known.push((DEFAULT_TIER.to_owned(), ORDER_OF_DEFAULT, TierEnd::Deny));
        }
        let mut by_tier: BTreeMap<String, Vec<Policy>> = BTreeMap::new();
        for policy in policies {
            let of_tier = by_tier.entry(policy.tier.clone()).or_default();
            of_tier.push(policy);
        }
        for name in by_tier.keys() {
            if !known.iter().any(|(tier, ..)| tier == name) {
                let mut brought = super::admin::TIERS.iter();
                let brought = brought.find(|(tier, _)| tier == name);
                let (order, end) = brought.map_or((f64::INFINITY, TierEnd::Deny), |(_, order)| {
                    (*order, TierEnd::Pass)
                });
                known.push((name.clone(), order, end));
            }
        }
        known.sort_by(|one, other| one.1.total_cmp(&other.1).then_with(|| one.0.cmp(&other.0)));
        let mut world = Self::default();
        for (name, _, end) in known {
            let policies = by_tier.remove(&name).unwrap_or_default().into_iter();
            let mut policies: Vec<_> = policies.map(|it| (it.place(), it)).collect();
            policies.sort_by(|((one, name), _), ((other, other_name), _)| {
                one.total_cmp(other).then_with(|| name.cmp(other_name))
            });
            let first = world.policies.len();
            world
                .policies
                .extend(policies.into_iter().map(|(_, policy)| policy));
            world.tiers.push(PlacedTier {
                name,
                end,
                policies: first..world.policies.len(),
            });
        }
        world.by_namespace = ByNamespace::of(&world.policies);
        world
    }

    /// The same world, in which there are those policies only that are wanted.
    #[must_use]
    pub fn only(&self, is_wanted: impl Fn(&Policy) -> bool) -> Self {
        let mut world = Self {
            tiers: Vec::new(),
            policies: Vec::new(),
            ..self.clone()
        };
        for tier in &self.tiers {
            let first = world.policies.len();
            let of_tier = self.policies.get(tier.policies.clone());
            let wanted = of_tier.into_iter().flatten().filter(|it| is_wanted(it));
            world.policies.extend(wanted.cloned());
            world.tiers.push(PlacedTier {
                policies: first..world.policies.len(),
                ..tier.clone()
            });
        }
        world.by_namespace = ByNamespace::of(&world.policies);
        world
    }

    /// The tiers in the order of evaluation.
    pub(super) fn tiers(&self) -> &[PlacedTier] {
        &self.tiers
    }

    /// All policies in the order of evaluation.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The tiers in the order of evaluation, each with those of its policies that may select what has these labels.
    pub(super) fn tiers_for(
        &self,
        labels: &LabelMap,
    ) -> impl Iterator<Item = (&PlacedTier, impl Iterator<Item = &Policy>)> {
        let candidates = self.by_namespace.candidates(labels);
        let mut next = 0;
        self.tiers.iter().map(move |tier| {
            let first = next;
            while candidates
                .get(next)
                .is_some_and(|at| *at < tier.policies.end)
            {
                next += 1;
            }
            let of_tier = candidates.get(first..next).unwrap_or_default().to_vec();
            let policies = of_tier.into_iter().filter_map(|at| self.policies.get(at));
            (tier, policies)
        })
    }

    /// Whether something that a selector selects, and another one does not, has an address. Where both are there,
    /// it has to be the same thing: Felix makes one set of them.
    fn selects(&self, selector: &Selector, not: Option<&Selector>, address: IpAddr) -> bool {
        let endpoints = self.endpoints.iter();
        let mut endpoints = endpoints.filter(|it| it.addresses.contains(&address));
        let of_set = |it: &&AddressSet| it.nets.iter().any(|net| net.contains(&address));
        let mut sets = self.sets.iter().filter(of_set);
        endpoints.any(|it| is_meant(selector, not, &it.labels))
            || sets.any(|it| is_meant(selector, not, &it.labels))
    }

    /// Whether one end of a rule means an address and a port. `is_destination`, since of a service a source has the
    /// addresses only.
    pub(super) fn matches(
        &self,
        end: &RuleEnd,
        address: IpAddr,
        (protocol, port): (TransportProtocol, u16),
        is_destination: bool,
    ) -> bool {
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        let is_port = |ports: &[PortMatch]| {
            ports
                .iter()
                .any(|it| self.is_port(it, end, address, (protocol, port)))
        };
        let of_service = |service: &(String, String)| {
            let mut endpoints = self.services.get(service).into_iter().flatten();
            endpoints
                .any(|it| it.0 == address && (!is_destination || (it.1, it.2) == (protocol, port)))
        };
        let by_labels = |selector: Option<&Selector>, not: Option<&Selector>| match (selector, not)
        {
            (Some(selector), not) => self.selects(selector, not, address),
            (None, Some(not)) => !self.selects(not, None, address),
            (None, None) => true,
        };
        end.nets.as_ref().is_none_or(|nets| within(nets))
            && !within(&end.not_nets)
            && (end.ports.is_empty() || is_port(&end.ports))
            && !is_port(&end.not_ports)
            && by_labels(end.selector.as_ref(), end.not_selector.as_ref())
            && end.service.as_ref().is_none_or(of_service)
    }

    /// Whether a port is one of those that a rule names. A named one is that of a pod which the end of the rule selects:
    /// Felix makes one set of both, and network sets have no ports.
    fn is_port(
        &self,
        ports: &PortMatch,
        end: &RuleEnd,
        address: IpAddr,
        (protocol, port): (TransportProtocol, u16),
    ) -> bool {
        match ports {
            PortMatch::Range(first, last) => (*first..=*last).contains(&port),
            PortMatch::Named(name) => {
                let is_it = |it: &(String, TransportProtocol, u16)| {
                    it.0 == *name && (it.1, it.2) == (protocol, port)
                };
                let mut endpoints = self.endpoints.iter();
                endpoints.any(|it| {
                    it.addresses.contains(&address)
                        && it.ports.iter().any(is_it)
                        && end.selector.as_ref().is_none_or(|selector| {
                            is_meant(selector, end.not_selector.as_ref(), &it.labels)
                        })
                })
            }
        }
    }
}

/// Which policies may select the pods of a namespace: most name it, and the rest may select anything.
#[derive(Clone, Debug, Default)]
struct ByNamespace {
    /// By one of the labels that name a namespace, and its value.
    named: [HashMap<String, Vec<usize>>; 2],
    anywhere: Vec<usize>,
}

/// The labels that tell the namespace of a pod by name.
const NAMING: [&str; 2] = [NAMESPACE, "pcns.projectcalico.org/name"];

impl ByNamespace {
    fn of(policies: &[Policy]) -> Self {
        let mut index = Self::default();
        for (at, policy) in policies.iter().enumerate() {
            let Some((label, names)) = named_by(&policy.selector) else {
                index.anywhere.push(at);
                continue;
            };
            for name in names {
                if let Some(named) = index.named.get_mut(label) {
                    named.entry(name.clone()).or_default().push(at);
                }
            }
        }
        index
    }

    /// Positions of policies, ascending.
    fn candidates(&self, labels: &LabelMap) -> Vec<usize> {
        let mut found = self.anywhere.clone();
        for (label, named) in NAMING.iter().zip(&self.named) {
            let policies = labels.get(*label).and_then(|name| named.get(name));
            found.extend(policies.into_iter().flatten());
        }
        found.sort_unstable();
        found
    }
}

/// The names of namespaces without which a selector selects nothing, and by which label it knows them.
fn named_by(selector: &Selector) -> Option<(usize, Vec<&String>)> {
    match selector {
        Selector::And(operands) => operands.iter().find_map(named_by),
        Selector::Compare(label, comparison) => {
            let at = NAMING.iter().position(|it| it == label)?;
            match comparison {
                Comparison::Equal(name) => Some((at, vec![name])),
                Comparison::In(names) => Some((at, names.iter().collect())),
                _ => None,
            }
        }
        _ => None,
    }
}
/// Whether labels are selected by the one, and not by the other.
fn is_meant(selector: &Selector, not: Option<&Selector>, labels: &LabelMap) -> bool {
    selector.matches(labels) && !not.is_some_and(|not| not.matches(labels))
}
