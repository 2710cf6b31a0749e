//! Rules of all kinds in one form: the end outside, as it is written and as Felix takes it.

use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::domain::FieldPath;
use crate::policy::{
    self, Action, EntityRule, Objection, PolicyRule, PortMatch, RuleEnd, Selector,
    TransportProtocol, Unreadable, Way,
};
use crate::review::opening::Ports;
use crate::review::spans::Spans;

/// The rules of one direction.
pub(super) struct Direction {
    pub(super) way: Way,
    /// As far as they can be read.
    pub(super) rules: Vec<Result<WalkedRule, Unreadable>>,
}

impl Direction {
    pub(super) fn ingress(rules: Vec<Result<WalkedRule, Unreadable>>) -> Self {
        let way = Way::Ingress;
        Self { way, rules }
    }

    pub(super) fn egress(rules: Vec<Result<WalkedRule, Unreadable>>) -> Self {
        let way = Way::Egress;
        Self { way, rules }
    }
}

/// A rule, or one of several peers of a rule.
pub(super) struct WalkedRule {
    /// Where it stands.
    pub(super) at: FieldPath,
    pub(super) action: Action,
    /// The end outside: who may be meant.
    pub(super) end: RuleEnd,
    /// Where that end stands.
    pub(super) end_at: FieldPath,
    /// How its namespaces are chosen.
    pub(super) namespaces: Namespaces,
    /// Where that is written, and what is written there; None where nothing is.
    pub(super) blamed: Option<(FieldPath, String)>,
    /// Whether it names service accounts.
    pub(super) has_accounts: bool,
    /// Its protocol and destination ports: a protocol for each list.
    pub(super) ports: Vec<(Option<TransportProtocol>, Vec<PortMatch>)>,
    /// The whole rule as Felix takes it, where one rule is one.
    pub(super) whole: Option<PolicyRule>,
    /// In whose words it is written.
    pub(super) form: Form,
    /// What is wrong with its end, and not told yet.
    pub(super) objections: Vec<Objection>,
}

impl WalkedRule {
    /// A rule that says nothing of whom it is about.
    pub(super) fn of_everything(action: Action, at: &FieldPath, end_at: FieldPath) -> Self {
        Self {
            at: at.clone(),
            action,
            end: RuleEnd::default(),
            end_at,
            namespaces: Namespaces::Any,
            blamed: None,
            has_accounts: false,
            ports: vec![(None, Vec::new())],
            whole: None,
            form: Form::Admin,
            objections: Vec::new(),
        }
    }

    /// Its ports without those that it leaves out by their numbers; none at all: it is about none.
    pub(super) fn left_ports(&self) -> Vec<Ports> {
        let not = self.whole.as_ref().map(|it| &it.destination.not_ports);
        let not = Spans::of(not.into_iter().flatten().filter_map(span));
        if not.is_empty() {
            return self.ports.clone();
        }
        let left = self.ports.iter().filter_map(|(protocol, ports)| {
            // Others have no ports, whatever is written.
            let has_ports = protocol.is_some_and(|it| TransportProtocol::WITH_PORTS.contains(&it));
            if !has_ports {
                return Some((*protocol, ports.clone()));
            }
            let own = if ports.is_empty() {
                Spans::of([(1, u128::from(u16::MAX))])
            } else {
                Spans::of(ports.iter().filter_map(span))
            };
            let own = own.without(&not);
            let own = own.iter().filter_map(|(first, last)| {
                let first = u16::try_from(first).ok()?;
                Some(PortMatch::Range(first, u16::try_from(last).ok()?))
            });
            let names = ports.iter().filter(|it| span(it).is_none()).cloned();
            let left: Vec<PortMatch> = own.chain(names).collect();
            (!left.is_empty()).then_some((*protocol, left))
        });
        left.collect()
    }
}

/// The numbers of ports; None: they have a name.
fn span(ports: &PortMatch) -> Option<(u128, u128)> {
    match ports {
        PortMatch::Range(first, last) => Some((u128::from(*first), u128::from(*last))),
        PortMatch::Named(_) => None,
    }
}

/// In whose words a rule is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Calico's.
    Calico,
    /// Those of a team, in Kubernetes.
    Kubernetes,
    /// Those of an administrator, in Kubernetes.
    Admin,
}

/// How the namespaces of a peer are chosen.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Namespaces {
    /// That of the policy.
    Own,
    /// Nothing is said of them.
    Any,
    /// All of them.
    All,
    /// None: what lies in no namespace.
    None,
    /// By their labels, as they are written.
    By(Selector),
}

/// Rules of Calico's, with what Felix takes those at some positions for.
pub(super) fn of_calico(
    written: &[policy::Rule],
    (positions, read): (&[usize], &[PolicyRule]),
    namespace: &str,
    field: &str,
) -> Vec<Result<WalkedRule, Unreadable>> {
    let at = FieldPath::default().key("spec").key(field);
    let is_ingress = field == "ingress";
    let rules = positions.iter().zip(read);
    rules
        .filter_map(|(index, whole)| Some((*index, written.get(*index)?, whole)))
        .map(|(index, rule, whole)| {
            let at = at.index(index);
            let (end, read, name) = if is_ingress {
                (&rule.source, &whole.source, "source")
            } else {
                (&rule.destination, &whole.destination, "destination")
            };
            let end_at = at.key(name);
            let mut read = read.clone();
            // Ports of the end are told apart below.
            read.ports.clear();
            if let Some((service, _)) = read.service.as_mut().filter(|it| it.0.is_empty()) {
                namespace.clone_into(service);
            }
            let (namespaces, blamed) = namespaces_of(end, namespace, &end_at);
            Ok(WalkedRule {
                action: rule.action,
                end: read,
                namespaces,
                blamed,
                has_accounts: end.service_accounts.is_some(),
                ports: vec![(whole.protocol, whole.destination.ports.clone())],
                whole: Some(whole.clone()),
                form: Form::Calico,
                objections: Vec::new(),
                end_at,
                at,
            })
        })
        .collect()
}

fn namespaces_of(
    end: &EntityRule,
    namespace: &str,
    at: &FieldPath,
) -> (Namespaces, Option<(FieldPath, String)>) {
    let written = |text: &Option<String>, field: &str| {
        let text = text.as_deref().filter(|it| !it.is_empty())?;
        Some((at.key(field), text.to_owned()))
    };
    let pods =
        written(&end.selector, "selector").or_else(|| written(&end.not_selector, "notSelector"));
    match written(&end.namespace_selector, "namespaceSelector") {
        Some((path, text)) => {
            let namespaces = match text.parse::<Selector>() {
                Ok(Selector::All) => Namespaces::All,
                Ok(Selector::Global) => Namespaces::None,
                Ok(selector) => Namespaces::By(selector),
                // It was read before.
                Err(_) => Namespaces::Any,
            };
            (namespaces, Some((path, text)))
        }
        None if namespace.is_empty() => (Namespaces::Any, pods),
        None => {
            let is_named = pods.is_some() || end.service_accounts.is_some();
            let namespaces = if is_named {
                Namespaces::Own
            } else {
                Namespaces::Any
            };
            (namespaces, pods)
        }
    }
}

/// Rules of Kubernetes for what comes in.
pub(super) fn of_kubernetes_ingress(
    rules: &[networking::NetworkPolicyIngressRule],
    namespace: &str,
) -> Vec<Result<WalkedRule, Unreadable>> {
    let each = rules
        .iter()
        .map(|it| (it.from.as_deref(), it.ports.as_deref()));
    of_kubernetes(each, namespace, ("ingress", "from"))
}

/// Rules of Kubernetes for what goes out.
pub(super) fn of_kubernetes_egress(
    rules: &[networking::NetworkPolicyEgressRule],
    namespace: &str,
) -> Vec<Result<WalkedRule, Unreadable>> {
    let each = rules
        .iter()
        .map(|it| (it.to.as_deref(), it.ports.as_deref()));
    of_kubernetes(each, namespace, ("egress", "to"))
}

type KubernetesRule<'a> = (
    Option<&'a [networking::NetworkPolicyPeer]>,
    Option<&'a [networking::NetworkPolicyPort]>,
);

fn of_kubernetes<'a>(
    rules: impl Iterator<Item = KubernetesRule<'a>>,
    namespace: &str,
    (field, peers_field): (&str, &str),
) -> Vec<Result<WalkedRule, Unreadable>> {
    let root = FieldPath::default().key("spec").key(field);
    let mut walked = Vec::new();
    for (index, (peers, ports)) in rules.enumerate() {
        let at = root.index(index);
        let ports = kubernetes_ports(ports.unwrap_or_default());
        let rule = |(end, objections), end_at: FieldPath, namespaces, blamed| WalkedRule {
            at: at.clone(),
            action: Action::Allow,
            end,
            end_at,
            namespaces,
            blamed,
            has_accounts: false,
            ports: ports.clone(),
            whole: None,
            form: Form::Kubernetes,
            objections,
        };
        let peers = peers.unwrap_or_default();
        if peers.is_empty() {
            walked.push(Ok(rule(
                (RuleEnd::default(), Vec::new()),
                at.clone(),
                Namespaces::Any,
                None,
            )));
        }
        for (position, peer) in peers.iter().enumerate() {
            let end_at = at.key(peers_field).index(position);
            walked
                .push(kubernetes_peer(peer, namespace, &end_at).map(
                    |(end, namespaces, blamed)| rule(end, end_at.clone(), namespaces, blamed),
                ));
        }
    }
    walked
}

type KubernetesPeer = (
    (RuleEnd, Vec<Objection>),
    Namespaces,
    Option<(FieldPath, String)>,
);

fn kubernetes_peer(
    peer: &networking::NetworkPolicyPeer,
    namespace: &str,
    at: &FieldPath,
) -> Result<KubernetesPeer, Unreadable> {
    let end = RuleEnd::of_kubernetes(peer, namespace, at)?;
    if let Some(block) = &peer.ip_block {
        let blamed = (at.key("ipBlock").key("cidr"), block.cidr.clone());
        return Ok((end, Namespaces::Any, Some(blamed)));
    }
    let Some(selector) = &peer.namespace_selector else {
        return Ok((end, Namespaces::Own, None));
    };
    let at = at.key("namespaceSelector");
    let namespaces = match Selector::of_kubernetes(selector, &at)? {
        Selector::All => Namespaces::All,
        other => Namespaces::By(other),
    };
    let text = match &namespaces {
        Namespaces::By(selector) => selector.to_string(),
        _ => "{}".to_owned(),
    };
    Ok((end, namespaces, Some((at, text))))
}

/// Rules of an administrator's. Where Calico cannot do what one denies, it denies everything; what it allows is then left
/// out, and told.
pub(super) fn of_admin(
    rules: &[policy::AdminRule],
    field: &str,
) -> Vec<Result<WalkedRule, Unreadable>> {
    let root = FieldPath::default().key("spec").key(field);
    let is_ingress = field == "ingress";
    let mut walked = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let at = root.index(index);
        let Some(action) = rule.does() else { continue };
        let (peers, name) = if is_ingress {
            (&rule.from, "from")
        } else {
            (&rule.to, "to")
        };
        for (position, peer) in peers.iter().enumerate() {
            let end_at = at.key(name).index(position);
            let read = rule.of_peer(peer, is_ingress, &end_at);
            if read.is_err() && action == Action::Deny {
                walked.push(Ok(WalkedRule::of_everything(action, &at, end_at)));
                continue;
            }
            if read.is_err() && action != Action::Allow {
                continue;
            }
            walked
                .push(read.map(|read| admin_rule(peer, read, (action, is_ingress), &at, &end_at)));
        }
    }
    walked
}

fn admin_rule(
    peer: &policy::AdminPeer,
    read: policy::AdminPeerRule,
    (action, is_ingress): (Action, bool),
    at: &FieldPath,
    end_at: &FieldPath,
) -> WalkedRule {
    let ports = read.rules.iter();
    let ports = ports.map(|it| (it.protocol, it.destination.ports.clone()));
    let ports = ports.collect();
    let mut rules = read.rules.into_iter();
    let first = rules.next();
    let end = first.as_ref().map(|it| {
        let end = if is_ingress {
            &it.source
        } else {
            &it.destination
        };
        RuleEnd {
            ports: Vec::new(),
            ..end.clone()
        }
    });
    let field = match (&peer.pods, &read.namespaces) {
        (Some(_), _) => end_at.key("pods").key("namespaceSelector"),
        (None, Some(_)) => end_at.key("namespaces"),
        (None, None) => end_at.key("networks"),
    };
    let (namespaces, text) = match read.namespaces {
        Some(Selector::All) => (Namespaces::All, "{}".to_owned()),
        Some(selector) => {
            let text = selector.to_string();
            (Namespaces::By(selector), text)
        }
        None => (Namespaces::Any, peer.networks.join(", ")),
    };
    WalkedRule {
        at: at.clone(),
        action,
        end: end.unwrap_or_default(),
        end_at: end_at.clone(),
        namespaces,
        blamed: Some((field, text)),
        has_accounts: false,
        ports,
        // Of several protocols each is a rule of its own.
        whole: first.filter(|_| rules.next().is_none()),
        form: Form::Admin,
        objections: Vec::new(),
    }
}

fn kubernetes_ports(
    ports: &[networking::NetworkPolicyPort],
) -> Vec<(Option<TransportProtocol>, Vec<PortMatch>)> {
    if ports.is_empty() {
        return vec![(None, Vec::new())];
    }
    ports
        .iter()
        .map(|port| {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let protocol = TransportProtocol::read(protocol);
            let number = |number: i32| u16::try_from(number).unwrap_or_default();
            let ports = match (&port.port, port.end_port) {
                (None, _) => Vec::new(),
                (Some(IntOrString::Int(first)), last) => {
                    vec![PortMatch::Range(
                        number(*first),
                        number(last.unwrap_or(*first)),
                    )]
                }
                (Some(IntOrString::String(name)), _) => vec![PortMatch::Named(name.clone())],
            };
            (protocol, ports)
        })
        .collect()
}
