//! From policies as they are written to policies as Felix takes them (`libcalico-go`, its update processors and its
//! conversion of Kubernetes' policies, 3.28).

use ipnet::IpNet;
use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::model::{
    DEFAULT_TIER, Policy, PolicyId, PolicyKind, PolicyRule, PortMatch, RuleEnd, TransportProtocol,
};
use super::{
    Action, Comparison, EntityRule, GlobalNetworkPolicy, NetworkPolicy, Rule, Selector,
    SelectorError, ServiceAccountMatch, Unsupported, blocks,
};
use crate::domain::FieldPath;

/// The namespace of an endpoint, on every pod and on the network sets of a namespace.
pub const NAMESPACE: &str = "projectcalico.org/namespace";
/// The service account of a pod.
pub const SERVICE_ACCOUNT: &str = "projectcalico.org/serviceaccount";
/// Who runs an endpoint: `k8s` on every pod.
pub const ORCHESTRATOR: &str = "projectcalico.org/orchestrator";
/// The name of a namespace or a service account, among its labels.
pub const NAME: &str = "projectcalico.org/name";
/// What stands before the labels of a namespace on its endpoints.
pub const OF_NAMESPACE: &str = "pcns.";
/// What stands before the labels of a service account on its endpoints.
pub const OF_SERVICE_ACCOUNT: &str = "pcsa.";
/// Where the policies of Kubernetes stand in tier default.
const ORDER_OF_KUBERNETES: f64 = 1000.0;

/// Where a policy was written to: where nothing says which directions it has, they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// `projectcalico.org/v3`: directions follow the rules.
    Api,
    /// `crd.projectcalico.org/v1`: it has both.
    Storage,
}

/// Why Felix takes a policy for missing.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
#[error("{path}: {why}")]
pub struct Unreadable {
    /// The field, from the root of the policy.
    pub path: FieldPath,
    /// What is wrong with it.
    pub why: Why,
}

/// What is wrong with a field.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has no name.
    #[error("must not be empty")]
    Missing,
    /// It is no selector.
    #[error("is not a selector: {0}")]
    Selector(SelectorError),
    /// It is no range of addresses.
    #[error("{0:?} is not an address or a range of addresses")]
    Net(String),
    /// It is no port.
    #[error("{0:?} is not a port, a range of ports or the name of one")]
    Port(String),
    /// Ports without a protocol that has some.
    #[error("must stand beside protocol TCP, UDP or SCTP")]
    PortsWithoutProtocol,
    /// It is no protocol.
    #[error("{0:?} is not a protocol")]
    Protocol(String),
    /// It is no direction.
    #[error("{0:?} is not a direction: Ingress or Egress")]
    Direction(String),
    /// A selector of Kubernetes with an operator that it does not have.
    #[error("{0:?} is not an operator: In, NotIn, Exists or DoesNotExist")]
    Operator(String),
    /// A rule of an administrator's that Calico cannot do.
    #[error(transparent)]
    Unsupported(Unsupported),
}

fn unreadable(path: &FieldPath, why: Why) -> Unreadable {
    Unreadable {
        path: path.clone(),
        why,
    }
}

fn selector(text: Option<&str>, path: &FieldPath) -> Result<Option<Selector>, Unreadable> {
    // An empty text is no selector at all.
    let text = text.filter(|text| !text.is_empty());
    let parsed = text.map(str::parse::<Selector>).transpose();
    parsed.map_err(|error| unreadable(path, Why::Selector(error)))
}

impl Selector {
    /// The same selector over labels that have something before them.
    fn of_labels_with(self, prefix: &str) -> Self {
        self.relabelled(&|label| format!("{prefix}{label}"))
    }

    /// The same selector with something else in place of `all()`, and of `global()` where that is given.
    fn in_place_of_all(self, all: &Self, global: Option<&Self>) -> Self {
        let each = |operands: Vec<Self>| {
            let operands = operands.into_iter();
            operands.map(|it| it.in_place_of_all(all, global)).collect()
        };
        match self {
            Self::All => all.clone(),
            Self::Global => global.cloned().unwrap_or(Self::Global),
            Self::Not(inner) => Self::Not(Box::new(inner.in_place_of_all(all, global))),
            Self::And(operands) => Self::And(each(operands)),
            Self::Or(operands) => Self::Or(each(operands)),
            other @ (Self::Has(_) | Self::Compare(..)) => other,
        }
    }
}

/// A namespace selector, over the labels of endpoints.
fn of_namespaces(selector: Selector) -> Selector {
    let inside = Selector::has(NAMESPACE);
    let nowhere = inside.clone().negate();
    selector
        .of_labels_with(OF_NAMESPACE)
        .in_place_of_all(&inside, Some(&nowhere))
}

impl Policy {
    /// A Calico policy of a namespace.
    ///
    /// # Errors
    /// What Felix takes the policy for missing because of.
    pub fn of_calico(policy: &NetworkPolicy, written: Written) -> Result<Self, Unreadable> {
        let root = FieldPath::default();
        let at = root.key("spec");
        let spec = &policy.spec;
        let metadata = (&policy.metadata.name, &policy.metadata.namespace);
        let (Some(name), Some(namespace)) = metadata else {
            let missing = if metadata.0.is_none() {
                "name"
            } else {
                "namespace"
            };
            return Err(unreadable(&root.key("metadata").key(missing), Why::Missing));
        };
        let own = Selector::equal(NAMESPACE, namespace);
        let pods = selector(spec.selector.as_deref(), &at.key("selector"))?;
        let account = spec.service_account_selector.as_deref();
        let accounts = selector(account, &at.key("serviceAccountSelector"))?;
        let accounts = accounts.map(|it| it.of_labels_with(OF_SERVICE_ACCOUNT));
        let directions = Directions::of(&spec.types, &spec.ingress, &spec.egress, written, &at)?;
        Ok(Self {
            id: PolicyId {
                kind: PolicyKind::Calico,
                namespace: Some(namespace.clone()),
                name: name.clone(),
            },
            tier: tier(spec.tier.as_deref()),
            order: spec.order,
            selector: Selector::and(pods.into_iter().chain([own]).chain(accounts)),
            ingress: rules(
                directions.ingress,
                &spec.ingress,
                namespace,
                &at.key("ingress"),
            )?,
            egress: rules(
                directions.egress,
                &spec.egress,
                namespace,
                &at.key("egress"),
            )?,
        })
    }

    /// A cluster-wide policy of Calico; None where it is about hosts only.
    ///
    /// # Errors
    /// What Felix takes the policy for missing because of.
    pub fn of_global(
        policy: &GlobalNetworkPolicy,
        written: Written,
    ) -> Result<Option<Self>, Unreadable> {
        let root = FieldPath::default();
        let at = root.key("spec");
        let spec = &policy.spec;
        let Some(name) = &policy.metadata.name else {
            return Err(unreadable(&root.key("metadata").key("name"), Why::Missing));
        };
        if spec.do_not_track == Some(true) || spec.pre_dnat == Some(true) {
            return Ok(None);
        }
        let mut all = selector(spec.selector.as_deref(), &at.key("selector"))?;
        for (text, field, prefix, anyone) in [
            (
                &spec.namespace_selector,
                "namespaceSelector",
                OF_NAMESPACE,
                NAMESPACE,
            ),
            (
                &spec.service_account_selector,
                "serviceAccountSelector",
                OF_SERVICE_ACCOUNT,
                SERVICE_ACCOUNT,
            ),
        ] {
            let Some(more) = selector(text.as_deref(), &at.key(field))? else {
                continue;
            };
            let both = all.take().into_iter().chain([more.of_labels_with(prefix)]);
            // Calico replaces it in the whole selector, not in this part only.
            all = Some(Selector::and(both).in_place_of_all(&Selector::has(anyone), None));
        }
        let directions = Directions::of(&spec.types, &spec.ingress, &spec.egress, written, &at)?;
        Ok(Some(Self {
            id: PolicyId {
                kind: PolicyKind::Global,
                namespace: None,
                name: name.clone(),
            },
            tier: tier(spec.tier.as_deref()),
            order: spec.order,
            selector: all.unwrap_or(Selector::All),
            ingress: rules(directions.ingress, &spec.ingress, "", &at.key("ingress"))?,
            egress: rules(directions.egress, &spec.egress, "", &at.key("egress"))?,
        }))
    }

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

fn tier(declared: Option<&str>) -> String {
    let declared = declared.filter(|tier| !tier.is_empty());
    declared.unwrap_or(DEFAULT_TIER).to_owned()
}

/// Which directions a policy has.
struct Directions {
    ingress: bool,
    egress: bool,
}

impl Directions {
    fn of(
        types: &[String],
        ingress: &[Rule],
        egress: &[Rule],
        written: Written,
        at: &FieldPath,
    ) -> Result<Self, Unreadable> {
        if types.is_empty() {
            return Ok(match written {
                Written::Storage => Self {
                    ingress: true,
                    egress: true,
                },
                Written::Api => Self {
                    ingress: !ingress.is_empty() || egress.is_empty(),
                    egress: !egress.is_empty(),
                },
            });
        }
        let known = |type_: &&String| ["Ingress", "Egress"].contains(&type_.as_str());
        if let Some(other) = types.iter().find(|type_| !known(type_)) {
            return Err(unreadable(&at.key("types"), Why::Direction(other.clone())));
        }
        Ok(Self {
            ingress: types.iter().any(|it| it == "Ingress"),
            egress: types.iter().any(|it| it == "Egress"),
        })
    }
}

fn rules(
    has_direction: bool,
    rules: &[Rule],
    namespace: &str,
    at: &FieldPath,
) -> Result<Option<Vec<PolicyRule>>, Unreadable> {
    let rules = rules.iter().enumerate();
    // Also those that no direction uses have to be right.
    let rules = rules
        .map(|(index, it)| rule(it, namespace, &at.index(index)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(has_direction.then_some(rules))
}

pub(super) fn rule(rule: &Rule, namespace: &str, at: &FieldPath) -> Result<PolicyRule, Unreadable> {
    let protocol = |text: &Option<String>, field| {
        let read = |text: &String| {
            let why = || unreadable(&at.key(field), Why::Protocol(text.clone()));
            TransportProtocol::read(text).ok_or_else(why)
        };
        text.as_ref().map(read).transpose()
    };
    let own = protocol(&rule.protocol, "protocol")?;
    let ends = [(&rule.source, "source"), (&rule.destination, "destination")];
    for (end, name) in ends {
        for (ports, field) in [(&end.ports, "ports"), (&end.not_ports, "notPorts")] {
            let can = own.is_some_and(TransportProtocol::has_ports);
            if !ports.is_empty() && !can {
                return Err(unreadable(
                    &at.key(name).key(field),
                    Why::PortsWithoutProtocol,
                ));
            }
        }
    }
    Ok(blocks::as_checked(PolicyRule {
        action: rule.action,
        ip_version: rule.ip_version,
        protocol: own,
        not_protocol: protocol(&rule.not_protocol, "notProtocol")?,
        icmp: rule.icmp,
        not_icmp: rule.not_icmp,
        source: end(&rule.source, namespace, &at.key("source"))?,
        destination: end(&rule.destination, namespace, &at.key("destination"))?,
    }))
}

impl RuleEnd {
    /// One end of a rule of Calico's, in a policy of a namespace; empty for one of the whole cluster.
    ///
    /// # Errors
    /// What Felix takes the policy for missing because of.
    pub fn of_calico(
        end: &EntityRule,
        namespace: &str,
        at: &FieldPath,
    ) -> Result<Self, Unreadable> {
        self::end(end, namespace, at)
    }

    /// A peer in a policy of Kubernetes.
    ///
    /// # Errors
    /// What Calico leaves the rule out because of.
    pub fn of_kubernetes(
        peer: &networking::NetworkPolicyPeer,
        namespace: &str,
        at: &FieldPath,
    ) -> Result<Self, Unreadable> {
        kubernetes_peer(peer, namespace, at)
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

fn end(end: &EntityRule, namespace: &str, at: &FieldPath) -> Result<RuleEnd, Unreadable> {
    let pods = selector(end.selector.as_deref(), &at.key("selector"))?;
    let not = selector(end.not_selector.as_deref(), &at.key("notSelector"))?;
    let namespaces = end.namespace_selector.as_deref();
    let namespaces = selector(namespaces, &at.key("namespaceSelector"))?;
    let accounts = end.service_accounts.as_ref();
    let accounts = accounts.map(|it| service_accounts(it, &at.key("serviceAccounts")));
    let accounts = accounts.transpose()?.flatten();

    let named = pods.is_some() || not.is_some() || accounts.is_some();
    let inside = match namespaces {
        Some(namespaces) => Some(of_namespaces(namespaces)),
        // Whoever names pods in any way means those of the policy's own namespace.
        None if named && !namespace.is_empty() => Some(Selector::equal(NAMESPACE, namespace)),
        None => None,
    };
    let all: Vec<_> = inside.into_iter().chain(accounts).chain(pods).collect();
    let nets = nets(&end.nets, &at.key("nets"))?;
    Ok(RuleEnd {
        selector: (!all.is_empty()).then(|| Selector::and(all)),
        not_selector: not,
        nets: (!end.nets.is_empty()).then_some(nets),
        not_nets: self::nets(&end.not_nets, &at.key("notNets"))?,
        ports: ports(&end.ports, &at.key("ports"))?,
        not_ports: ports(&end.not_ports, &at.key("notPorts"))?,
        // Without a name it is no criterion to Felix.
        service: end
            .services
            .as_ref()
            .filter(|it| !it.name.is_empty())
            .map(|it| (it.namespace.clone(), it.name.clone())),
    })
}

fn service_accounts(
    accounts: &ServiceAccountMatch,
    at: &FieldPath,
) -> Result<Option<Selector>, Unreadable> {
    let labelled = selector(accounts.selector.as_deref(), &at.key("selector"))?;
    let labelled = labelled.map(|it| it.of_labels_with(OF_SERVICE_ACCOUNT));
    if accounts.names.is_empty() {
        return Ok(labelled);
    }
    // Calico puts the names into the text of a selector as they are. Where that is none, it drops all that is said
    // of service accounts, and where a name brings a selector of its own along, that counts.
    let names = accounts.names.join("', '");
    let by_name = format!("{SERVICE_ACCOUNT} in {{ '{names}' }}").parse::<Selector>();
    let all = |by_name| Selector::and(labelled.into_iter().chain([by_name]));
    Ok(by_name.ok().map(all))
}

fn nets(texts: &[String], at: &FieldPath) -> Result<Vec<IpNet>, Unreadable> {
    let texts = texts.iter().enumerate();
    texts
        .map(|(index, text)| {
            let net = text.parse::<IpNet>().map(|net| net.trunc());
            let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
            net.or_else(|_| address())
                .map_err(|_| unreadable(&at.index(index), Why::Net(text.clone())))
        })
        .collect()
}

fn ports(declared: &[IntOrString], at: &FieldPath) -> Result<Vec<PortMatch>, Unreadable> {
    let declared = declared.iter().enumerate();
    declared
        .map(|(index, port)| {
            port_match(port).ok_or_else(|| {
                let text = match port {
                    IntOrString::Int(number) => number.to_string(),
                    IntOrString::String(text) => text.clone(),
                };
                unreadable(&at.index(index), Why::Port(text))
            })
        })
        .collect()
}

/// A number, a range of them, or a name.
fn port_match(port: &IntOrString) -> Option<PortMatch> {
    let text = match port {
        IntOrString::Int(number) => {
            let number = u16::try_from(*number).ok()?;
            return Some(PortMatch::Range(number, number));
        }
        IntOrString::String(text) => text,
    };
    if let Some((first, last)) = text.split_once(':') {
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        return (first <= last).then_some(PortMatch::Range(first, last));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse().ok()?;
        return Some(PortMatch::Range(number, number));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (text.len() <= 128 && text.bytes().all(is_name)).then(|| PortMatch::Named(text.clone()))
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
        ends.push(kubernetes_peer(peer, namespace, at)?);
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
) -> Result<RuleEnd, Unreadable> {
    if let Some(block) = &peer.ip_block {
        return Ok(RuleEnd {
            nets: Some(nets(std::slice::from_ref(&block.cidr), &at.key("ipBlock"))?),
            not_nets: nets(
                block.except.as_deref().unwrap_or_default(),
                &at.key("except"),
            )?,
            ..RuleEnd::default()
        });
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
