//! Calico's kinds, as `projectcalico.org/v3` and `crd.projectcalico.org/v1` both write them
//! (fields from Calico's API reference). They carry no apiVersion: the flavour decides it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

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
    /// Directions: Ingress, Egress. Always written: without it Felix and the v3 API differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Rules for what comes in, the first match decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<Rule>,
    /// Rules for what goes out, the first match decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<Rule>,
}

/// One rule. All its criteria hold together.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// What happens on a match.
    pub action: Action,
    /// Protocol by name; needed where ports are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Who opens the connection.
    #[serde(default, skip_serializing_if = "EntityRule::is_empty")]
    pub source: EntityRule,
    /// Who is connected to.
    #[serde(default, skip_serializing_if = "EntityRule::is_empty")]
    pub destination: EntityRule,
}

/// What a rule does with matching traffic.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
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
    /// A service whose endpoints and ports match; excludes selectors, nets and ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<ServiceMatch>,
}

/// A service, by name.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ServiceMatch {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

impl EntityRule {
    /// Whether it names no criterion, so that it matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
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
