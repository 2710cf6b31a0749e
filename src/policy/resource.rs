//! Calico's kinds, as `projectcalico.org/v3` and `crd.projectcalico.org/v1` both write them
//! (fields from Calico's API reference). They carry no apiVersion: the flavour decides it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Deserializer, Serialize};

/// A cluster-wide policy.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct GlobalNetworkPolicy {
    /// Name (as the flavour stores it) and labels.
    pub metadata: ObjectMeta,
    /// What it says.
    pub spec: GlobalNetworkPolicySpec,
}

/// Spec of a [`GlobalNetworkPolicy`].
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GlobalNetworkPolicySpec {
    /// Name of the tier; none where tiers do not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// What would be done with the policy, in a staged one: Set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged_action: Option<String>,
    /// Lower comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<f64>,
    /// Which endpoints, by their own labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Which endpoints, by the labels of their namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<String>,
    /// Which endpoints, by the labels of their service account. Never written by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_selector: Option<String>,
    /// Directions: Ingress, Egress. Always written: without it Felix and the v3 API differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// For hosts, before connections are tracked: pods are not concerned. Never written by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub do_not_track: Option<bool>,
    /// For hosts, before addresses are translated: pods are not concerned. Never written by us.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "preDNAT")]
    pub pre_dnat: Option<bool>,
    /// Rules for what comes in, the first match decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<Rule>,
    /// Rules for what goes out, the first match decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<Rule>,
    /// What helps the data plane and decides nothing. Never written by us.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub performance_hints: Vec<String>,
}

/// A policy of one namespace, as application teams write it.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct NetworkPolicy {
    /// Name (as the flavour stores it), namespace and labels.
    pub metadata: ObjectMeta,
    /// What it says.
    #[serde(default)]
    pub spec: NetworkPolicySpec,
}

/// Spec of a [`NetworkPolicy`].
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// Name of the tier; none where tiers do not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// What would be done with the policy, in a staged one: Set, Delete, Learn or Ignore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged_action: Option<String>,
    /// Lower comes first; last without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<f64>,
    /// Which pods of the namespace, by their own labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Which pods of the namespace, by the labels of their service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_selector: Option<String>,
    /// Directions: Ingress, Egress.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Rules for what comes in, the first match decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<Rule>,
    /// Rules for what goes out, the first match decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<Rule>,
    /// What helps the data plane and decides nothing. Never written by us.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub performance_hints: Vec<String>,
}

/// Addresses with labels, of one namespace or, as a `GlobalNetworkSet`, of none.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct NetworkSet {
    /// Name, namespace and labels.
    pub metadata: ObjectMeta,
    /// The addresses.
    #[serde(default)]
    pub spec: NetworkSetSpec,
}

/// Spec of a [`NetworkSet`].
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct NetworkSetSpec {
    /// Address ranges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nets: Vec<String>,
}

/// One rule. All its criteria hold together.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// What happens on a match.
    pub action: Action,
    /// 4 or 6; none: both. Never written by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_version: Option<u8>,
    /// Protocol by name, or its number; needed where ports are.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "name_or_number"
    )]
    pub protocol: Option<String>,
    /// The protocol that does not match. Never written by us.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "name_or_number"
    )]
    pub not_protocol: Option<String>,
    /// Messages of ICMP. Never written by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Icmp>,
    /// Messages of ICMP that do not match. Never written by us.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "notICMP")]
    pub not_icmp: Option<Icmp>,
    /// Who opens the connection.
    #[serde(default, skip_serializing_if = "EntityRule::is_empty")]
    pub source: EntityRule,
    /// Who is connected to.
    #[serde(default, skip_serializing_if = "EntityRule::is_empty")]
    pub destination: EntityRule,
}

impl Rule {
    /// A rule about everything.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self {
            action,
            ip_version: None,
            protocol: None,
            not_protocol: None,
            icmp: None,
            not_icmp: None,
            source: EntityRule::default(),
            destination: EntityRule::default(),
        }
    }
}

fn name_or_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let read = Option::<IntOrString>::deserialize(from)?;
    Ok(read.map(|read| match read {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name,
    }))
}

/// Messages of ICMP.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Icmp {
    /// Type; none: all of them.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<u8>,
    /// Code; none: all of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
}

/// What a rule does with matching traffic.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Accepts it.
    Allow,
    /// Drops it.
    Deny,
    /// Records it and goes on to the next rule.
    Log,
    /// Goes on to the next tier.
    Pass,
}

impl Action {
    /// By name, as Felix reads it: in any case, and nothing at all allows. None: Felix knows no such action, and ends.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match text.to_lowercase().as_str() {
            "" | "allow" => Some(Self::Allow),
            "deny" => Some(Self::Deny),
            "log" => Some(Self::Log),
            "pass" | "next-tier" => Some(Self::Pass),
            _ => None,
        }
    }

    /// Its name, as Calico's API has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
            Self::Log => "Log",
            Self::Pass => "Pass",
        }
    }
}

/// As Felix reads it, since nobody validates what is written to its storage.
impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::read(&text).ok_or_else(|| {
            let what = format!("{text:?} is not an action: Allow, Deny, Log or Pass");
            serde::de::Error::custom(what)
        })
    }
}

/// One end of a rule.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EntityRule {
    /// Address ranges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nets: Vec<String>,
    /// Address ranges that do not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_nets: Vec<String>,
    /// Endpoints by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Endpoints that do not match, by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_selector: Option<String>,
    /// Endpoints by the labels of their namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<String>,
    /// Ports, as numbers or `first:last`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<IntOrString>,
    /// Ports that do not match. Never written by us.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_ports: Vec<IntOrString>,
    /// Endpoints by their service account. Never written by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_accounts: Option<ServiceAccountMatch>,
    /// A service whose endpoints and ports match; excludes selectors, nets and ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<ServiceMatch>,
}

/// A service, by name.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ServiceMatch {
    /// Its name; empty: it says nothing.
    #[serde(default)]
    pub name: String,
    /// Its namespace; empty: that of the policy.
    #[serde(default)]
    pub namespace: String,
}

/// Service accounts, by name and by label: both hold together.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAccountMatch {
    /// One of these; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// With such labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

impl EntityRule {
    /// Whether it names no criterion, so that it matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An interface of a node, or what is reached through one: its addresses have labels, its own and those that its
/// profiles apply.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct HostEndpoint {
    /// Its name and labels.
    pub metadata: ObjectMeta,
    /// Its addresses and profiles.
    #[serde(default)]
    pub spec: HostEndpointSpec,
}

/// Spec of a [`HostEndpoint`].
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HostEndpointSpec {
    /// The node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The interface, or * for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface_name: Option<String>,
    /// The addresses that selectors mean.
    #[serde(default, rename = "expectedIPs", skip_serializing_if = "Vec::is_empty")]
    pub expected_ips: Vec<String>,
    /// Names of profiles, whose labels it gets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// Ports with names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<serde_json::Value>,
}

/// A tier: a group of policies that is evaluated as a whole.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct Tier {
    /// Its name and labels.
    pub metadata: ObjectMeta,
    /// Its order and end.
    pub spec: TierSpec,
}

/// Spec of a [`Tier`].
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TierSpec {
    /// Lower comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<f64>,
    /// What happens at its end: Deny or Pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_action: Option<String>,
}
