//! The namespaces of a landing zone.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{QuantityText, rule, schema};

/// One namespace of a landing zone.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "!has(self.podSecurity) || self.podSecurity != 'privileged' || has(self.acknowledge)"
    )
    .message(schema::about("privileged", rule::PRIVILEGED))
    .field_path(".podSecurity"),
    validation = Rule::new(
        "!has(self.acknowledge) || (has(self.podSecurity) && self.podSecurity == 'privileged')"
    )
    .message(schema::about("acknowledge", rule::NOT_PRIVILEGED))
    .field_path(".acknowledge")
)]
pub struct NamespaceSpec {
    /// Name of the namespace: lower-case letters, digits and hyphens, at most 63.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::dns_label(), validation = schema::not_exempt())]
    pub name: String,
    /// The layer that it belongs to, for instance frontend, backend or data; it becomes the label
    /// zone. Several namespaces may share a zone. At most 40 characters.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::short_name(), validation = schema::dns_label())]
    pub zone: String,
    /// Labels for this namespace; they win over those of the landing zone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations for this namespace.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Pod Security standard; what the platform says when left out, otherwise restricted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurity>,
    /// The acknowledgement that a privileged namespace needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<PrivilegedAcknowledgement>,
    /// Hard limits of the namespace's ResourceQuota, by resource, for instance requests.cpu: "4",
    /// requests.memory: 8Gi or pods: "50". What the platform says when left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quota")]
    pub quota: BTreeMap<String, QuantityText>,
    /// Defaults and bounds for each container; what the platform says when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ContainerLimits>,
}

/// Pod Security standard that the namespace enforces: restricted, which is meant when this is left
/// out, baseline, or privileged, which needs acknowledge.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    /// Current hardening practice.
    #[default]
    Restricted,
    /// Prevents known escalations.
    Baseline,
    /// No restriction; pods on the host's network escape every network policy.
    Privileged,
}

/// Must be HostNetworkEscapesPolicies where podSecurity is privileged: pods on the host's network
/// are outside every network policy.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivilegedAcknowledgement {
    /// Pods on the host's network are outside every network policy.
    HostNetworkEscapesPolicies,
}

/// Defaults and bounds for each container, as in a LimitRange of type Container.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = schema::ordered("min", "max"),
    validation = schema::ordered("min", "default"),
    validation = schema::ordered("min", "defaultRequest"),
    validation = schema::ordered("default", "max"),
    validation = schema::ordered("defaultRequest", "max"),
    validation = schema::ordered("defaultRequest", "default"),
    validation = schema::no_overcommit()
)]
pub struct ContainerLimits {
    /// Limits of a container that sets none, by resource, for instance cpu: 500m.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::resources")]
    pub default: BTreeMap<String, QuantityText>,
    /// Requests of a container that sets none, by resource.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::resources")]
    pub default_request: BTreeMap<String, QuantityText>,
    /// The most that a container may ask for, by resource.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::resources")]
    pub max: BTreeMap<String, QuantityText>,
    /// The least that a container must ask for, by resource.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::resources")]
    pub min: BTreeMap<String, QuantityText>,
}
