//! Policies of the Kubernetes network policy API (`policy.networking.k8s.io`) as Calico evaluates them:
//! `AdminNetworkPolicy` and `BaselineAdminNetworkPolicy` from 3.29, `ClusterNetworkPolicy` from 3.32.
//!
//! Calico makes cluster-wide policies of its own of them, in tiers that it brings along. A rule with something that it
//! cannot do (named ports, nodes, domain names) is left out where it allows, and denies everything where it denies or
//! passes on (`libcalico-go`, its conversion of these kinds).

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

use super::rewrite::{self, ORCHESTRATOR, Written};
use super::{
    Action, EntityRule, GlobalNetworkPolicy, GlobalNetworkPolicySpec, Policy, PolicyKind,
    PolicyRule, Rule, Selector, Unreadable, Way,
};
use crate::domain::FieldPath;

/// One of the three kinds; which one is said beside it.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct AdminPolicy {
    /// Its name.
    pub metadata: ObjectMeta,
    /// What it says.
    #[serde(default)]
    pub spec: AdminPolicySpec,
}

/// Spec of an [`AdminPolicy`].
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AdminPolicySpec {
    /// Admin or Baseline; of a `ClusterNetworkPolicy` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Lower comes first; a `BaselineAdminNetworkPolicy` has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Which pods it is about.
    #[serde(default)]
    pub subject: AdminPeer,
    /// Rules for what comes in, the first match decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<AdminRule>,
    /// Rules for what goes out, the first match decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<AdminRule>,
}

/// One rule.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct AdminRule {
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Allow or Accept, Deny, Pass.
    pub action: String,
    /// Who opens the connection, of what comes in: one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<AdminPeer>,
    /// Who is connected to, of what goes out: one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<AdminPeer>,
    /// Ports of an (`Baseline`)`AdminNetworkPolicy`; None: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<AdminPort>>,
    /// Protocols of a `ClusterNetworkPolicy`, with their ports; None: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Vec<ClusterProtocol>>,
}

/// Pods or addresses: one of these is said.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AdminPeer {
    /// All pods of such namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<LabelSelector>,
    /// Such pods in such namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<AdminPods>,
    /// Ranges of addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// Nodes, which Calico cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<LabelSelector>,
    /// Names in DNS, which open source Calico cannot tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domain_names: Vec<String>,
}

/// Pods, by their namespaces and by themselves.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AdminPods {
    /// Labels of namespaces.
    #[serde(default)]
    pub namespace_selector: LabelSelector,
    /// Labels of pods.
    #[serde(default)]
    pub pod_selector: LabelSelector,
}

/// One port or several: one of these is said.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AdminPort {
    /// One port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_number: Option<PortNumber>,
    /// Several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_range: Option<PortsFromTo>,
    /// What containers call it, which Calico cannot tell here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_port: Option<String>,
}

/// A port of a protocol.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct PortNumber {
    /// TCP where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The port.
    pub port: u16,
}

/// Ports of a protocol.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct PortsFromTo {
    /// TCP where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The first port.
    pub start: u16,
    /// The last port.
    pub end: u16,
}

/// A protocol of a `ClusterNetworkPolicy`: one of these is said, or none for all.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClusterProtocol {
    /// TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<ClusterPorts>,
    /// UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp: Option<ClusterPorts>,
    /// SCTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sctp: Option<ClusterPorts>,
    /// What containers call it, which Calico cannot tell here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_named_port: Option<String>,
}

/// Destination ports of a protocol; None: all.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPorts {
    /// The ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<ClusterPort>,
}

/// One port, or several.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct ClusterPort {
    /// One port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u16>,
    /// Several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<PortsFromTo>,
}

/// The tiers that Calico brings along for these kinds, each with its order; all of them pass on at their end.
pub(super) const TIERS: [(&str, f64); 4] = [
    ("adminnetworkpolicy", 1_000.0),
    ("kube-admin", 1_000.0),
    ("baselineadminnetworkpolicy", 10_000_000.0),
    ("kube-baseline", 10_000_000.0),
];

/// What a rule has that Calico cannot do.
#[derive(thiserror::Error, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// Nodes as peers, in rules of this direction.
    #[error(
        "nodes are no peers to Calico, and what a network plugin that knows them would open is not judged"
    )]
    Nodes(Way),
    /// Names in DNS.
    #[error(
        "names in DNS are no peers to Calico without Calico Enterprise, and what they would open is not judged"
    )]
    DomainNames,
    /// What containers call a port.
    #[error("Calico does not look up what containers call a port in these kinds")]
    NamedPort,
    /// Ranges of those who connect.
    #[error(
        "these kinds know ranges of addresses only for whom is connected to, not for those who connect"
    )]
    RangesOfSources,
    /// Something else, or nothing.
    #[error("it names no peer that Calico knows: namespaces, pods, or ranges of addresses")]
    Peer,
}

impl Unsupported {
    /// What to write instead at a place.
    #[must_use]
    pub fn instead(self, path: &FieldPath) -> String {
        match self {
            Self::Nodes(Way::Egress) => format!(
                "name the addresses of the nodes: write networks instead of nodes in {path}, or remove it"
            ),
            Self::Nodes(Way::Ingress) => format!(
                "remove {path}: whom nodes may reach, the platform opens as one of spec.sharedServices with the peer nodes: true"
            ),
            Self::DomainNames => format!("name addresses: write networks in {path}, or remove it"),
            Self::NamedPort => {
                format!("write the number of the port in the rule of {path}, or remove it")
            }
            Self::RangesOfSources => format!(
                "remove {path}: whom addresses may reach, the platform opens as one of spec.sharedServices"
            ),
            Self::Peer => {
                format!("write {path} as a rule of its own that Calico can do, or remove it")
            }
        }
    }
}

/// One peer of a rule of an administrator's, with all that the rule says of ports.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminPeerRule {
    /// Its rules, one for each protocol, as Felix takes them.
    pub rules: Vec<PolicyRule>,
    /// The namespaces that are meant; None: it is about addresses.
    pub namespaces: Option<Selector>,
}

impl AdminPolicy {
    /// Peers that Calico cannot do anything with, with what their rules do: it leaves out one that allows, and any other denies
    /// everything.
    #[must_use]
    pub fn not_done(&self) -> Vec<(Unreadable, Action)> {
        let spec = FieldPath::default().key("spec");
        let lists = [
            ("ingress", &self.spec.ingress),
            ("egress", &self.spec.egress),
        ];
        let mut found = Vec::new();
        for (list, rules) in lists {
            for (index, rule) in rules.iter().enumerate() {
                let at = spec.key(list).index(index);
                let (peers, name) = match list {
                    "ingress" => (&rule.from, "from"),
                    _ => (&rule.to, "to"),
                };
                for (position, peer) in peers.iter().enumerate() {
                    let at = at.key(name).index(position);
                    let read = rule.of_peer(peer, list == "ingress", &at);
                    if let (Err(why), Some(action)) = (read, rule.does()) {
                        found.push((why, action));
                    }
                }
            }
        }
        found
    }
}

impl AdminRule {
    /// What it does; None: the API server takes no such action.
    #[must_use]
    pub fn does(&self) -> Option<Action> {
        match self.action.as_str() {
            "Allow" | "Accept" => Some(Action::Allow),
            "Pass" => Some(Action::Pass),
            "Deny" => Some(Action::Deny),
            _ => None,
        }
    }

    /// What Calico makes of it for one of its peers; `at` is where the peer stands.
    ///
    /// # Errors
    /// What Calico leaves the rule out because of, where it allows; otherwise it denies everything instead.
    pub fn of_peer(
        &self,
        peer: &AdminPeer,
        is_ingress: bool,
        at: &FieldPath,
    ) -> Result<AdminPeerRule, Unreadable> {
        let unsupported = |it: Unsupported| Unreadable {
            path: at.clone(),
            why: super::Why::Unsupported(it),
        };
        let action = self.does().unwrap_or(Action::Deny);
        let written = self.of_one(action, peer, is_ingress).map_err(unsupported)?;
        let read = written.iter().map(|rule| rewrite::rule(rule, "", at));
        Ok(AdminPeerRule {
            rules: read.collect::<Result<_, _>>()?,
            namespaces: pods(peer, at)?.map(|(namespaces, _)| namespaces),
        })
    }

    /// One rule for each protocol.
    fn of_one(
        &self,
        action: Action,
        peer: &AdminPeer,
        is_ingress: bool,
    ) -> Result<Vec<Rule>, Unsupported> {
        let each = protocols(self)?.into_iter().map(|(protocol, ports)| {
            let mut rule = Rule::new(action);
            rule.protocol = protocol;
            let end = end(peer, is_ingress)?;
            if is_ingress {
                rule.source = end;
            } else {
                rule.destination = end;
            }
            rule.destination.ports = ports;
            Ok(rule)
        });
        each.collect()
    }
}

impl Policy {
    /// A policy of one of the three kinds.
    ///
    /// # Errors
    /// What Calico takes it for missing because of.
    pub fn of_admin(policy: &AdminPolicy, kind: PolicyKind) -> Result<Self, Unreadable> {
        let spec = &policy.spec;
        let tier = match (kind, spec.tier.as_deref()) {
            (PolicyKind::ClusterNetworkPolicy, Some("Baseline")) => "kube-baseline",
            (PolicyKind::ClusterNetworkPolicy, _) => "kube-admin",
            (PolicyKind::BaselineAdmin, _) => "baselineadminnetworkpolicy",
            _ => "adminnetworkpolicy",
        };
        let at = FieldPath::default().key("spec").key("subject");
        let (namespaces, pods) = pods(&spec.subject, &at)?.unwrap_or_else(everything);
        let ingress: Vec<Rule> = spec
            .ingress
            .iter()
            .flat_map(|rule| rules(rule, true))
            .collect();
        let egress: Vec<Rule> = spec
            .egress
            .iter()
            .flat_map(|rule| rules(rule, false))
            .collect();
        let has = |name: &str, rules: &[Rule]| (!rules.is_empty()).then(|| name.to_owned());
        let types: Vec<_> = [has("Ingress", &ingress), has("Egress", &egress)]
            .into_iter()
            .flatten()
            .collect();
        let written = GlobalNetworkPolicy {
            metadata: policy.metadata.clone(),
            spec: GlobalNetworkPolicySpec {
                tier: Some(tier.to_owned()),
                order: Some(f64::from(spec.priority.unwrap_or_default())),
                selector: Some(pods.to_string()),
                namespace_selector: Some(namespaces.to_string()),
                types: types.clone(),
                ingress,
                egress,
                ..GlobalNetworkPolicySpec::default()
            },
        };
        let read = Self::of_global(&written, Written::Api)?;
        let mut read = read.ok_or(Unreadable {
            path: at,
            why: super::Why::Missing,
        })?;
        read.id.kind = kind;
        if types.is_empty() {
            // Without rules it says nothing about either direction.
            (read.ingress, read.egress) = (None, None);
        }
        Ok(read)
    }
}

fn everything() -> (Selector, Selector) {
    (Selector::All, Selector::equal(ORCHESTRATOR, "k8s"))
}

/// Namespaces and pods that are meant; None where it is not about pods.
fn pods(peer: &AdminPeer, at: &FieldPath) -> Result<Option<(Selector, Selector)>, Unreadable> {
    let is_kubernetes = Selector::equal(ORCHESTRATOR, "k8s");
    if let Some(pods) = &peer.pods {
        let at = at.key("pods");
        let namespaces =
            Selector::of_kubernetes(&pods.namespace_selector, &at.key("namespaceSelector"))?;
        let own = Selector::of_kubernetes(&pods.pod_selector, &at.key("podSelector"))?;
        let own = match own {
            Selector::All => is_kubernetes,
            own => Selector::and([is_kubernetes, own]),
        };
        return Ok(Some((namespaces, own)));
    }
    let Some(namespaces) = &peer.namespaces else {
        return Ok(None);
    };
    let namespaces = Selector::of_kubernetes(namespaces, &at.key("namespaces"))?;
    Ok(Some((namespaces, is_kubernetes)))
}

/// What Calico makes of a rule: one for each protocol and peer.
fn rules(rule: &AdminRule, is_ingress: bool) -> Vec<Rule> {
    // The API server takes no other.
    let Some(action) = rule.does() else {
        return Vec::new();
    };
    let peers = if is_ingress { &rule.from } else { &rule.to };
    let of_peers = peers
        .iter()
        .map(|peer| rule.of_one(action, peer, is_ingress));
    let made: Result<Vec<Vec<Rule>>, Unsupported> = of_peers.collect();
    match made {
        // Those of one protocol stand together.
        Ok(made) => {
            let protocols = made.first().map_or(0, Vec::len);
            let of_protocol = |index: usize| made.iter().filter_map(move |it| it.get(index));
            (0..protocols).flat_map(of_protocol).cloned().collect()
        }
        Err(_) if action == Action::Allow => Vec::new(),
        Err(_) => vec![Rule::new(Action::Deny)],
    }
}

fn end(peer: &AdminPeer, is_ingress: bool) -> Result<EntityRule, Unsupported> {
    let read = pods(peer, &FieldPath::default()).map_err(|_| Unsupported::Peer)?;
    let mut end = EntityRule::default();
    if let Some((namespaces, pods)) = read {
        // Of namespaces alone Calico says nothing about pods.
        end.selector = peer.pods.as_ref().map(|_| pods.to_string());
        end.namespace_selector = Some(namespaces.to_string());
    } else if !peer.networks.is_empty() && !is_ingress {
        let is_range = |net: &String| net.parse::<IpNet>().is_ok() || net.parse::<IpAddr>().is_ok();
        if !peer.networks.iter().all(is_range) {
            return Err(Unsupported::Peer);
        }
        end.nets.clone_from(&peer.networks);
    } else if peer.nodes.is_some() {
        let way = if is_ingress {
            Way::Ingress
        } else {
            Way::Egress
        };
        return Err(Unsupported::Nodes(way));
    } else if !peer.domain_names.is_empty() {
        return Err(Unsupported::DomainNames);
    } else if !peer.networks.is_empty() {
        return Err(Unsupported::RangesOfSources);
    } else {
        return Err(Unsupported::Peer);
    }
    Ok(end)
}

type Protocols = Vec<(Option<String>, Vec<IntOrString>)>;

/// Protocols with their ports; without ports: all of the protocol.
fn protocols(rule: &AdminRule) -> Result<Protocols, Unsupported> {
    let range = |ports: &PortsFromTo| IntOrString::String(format!("{}:{}", ports.start, ports.end));
    let mut all: Vec<(String, Option<IntOrString>)> = Vec::new();
    for port in rule.ports.iter().flatten() {
        let protocol = |named: &Option<String>| named.clone().unwrap_or_else(|| "TCP".to_owned());
        match (&port.port_number, &port.port_range) {
            (Some(one), _) => all.push((
                protocol(&one.protocol),
                Some(IntOrString::Int(i32::from(one.port))),
            )),
            (None, Some(several)) => all.push((protocol(&several.protocol), Some(range(several)))),
            (None, None) if port.named_port.is_some() => {
                return Err(Unsupported::NamedPort);
            }
            (None, None) => return Ok(vec![(None, Vec::new())]),
        }
    }
    for it in rule.protocols.iter().flatten() {
        let known = [("TCP", &it.tcp), ("UDP", &it.udp), ("SCTP", &it.sctp)];
        let said = known
            .into_iter()
            .find_map(|(name, ports)| Some((name, ports.as_ref()?)));
        let Some((name, ports)) = said else {
            if it.destination_named_port.is_some() {
                return Err(Unsupported::NamedPort);
            }
            return Ok(vec![(None, Vec::new())]);
        };
        let port = ports.destination_port.as_ref();
        let number = port.and_then(|it| it.number.filter(|number| *number > 0));
        let number = number.map(|number| IntOrString::Int(i32::from(number)));
        let several = port.and_then(|it| it.range.as_ref()).map(range);
        all.push((name.to_owned(), number.or(several)));
    }
    if all.is_empty() {
        return Ok(vec![(None, Vec::new())]);
    }
    let mut gathered: Vec<(String, Option<Vec<IntOrString>>)> = Vec::new();
    for (protocol, port) in all {
        let known = gathered.iter_mut().find(|(known, _)| *known == protocol);
        match (known, port) {
            (Some((_, ports)), None) => *ports = None,
            (Some((_, Some(ports))), Some(port)) => ports.push(port),
            (Some((_, None)), Some(_)) => {}
            (None, port) => gathered.push((protocol, port.map(|port| vec![port]))),
        }
    }
    gathered.sort_by(|one, other| one.0.cmp(&other.0));
    let each = gathered.into_iter();
    Ok(each
        .map(|(protocol, ports)| (Some(protocol), ports.unwrap_or_default()))
        .collect())
}

#[cfg(test)]
mod tests;
