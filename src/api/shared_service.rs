//! What the platform opens for landing zones: shared services and destinations with a name.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PodSelector, Port, rule, schema};

/// Something of the platform that landing zones use or are reached from, for instance an ingress
/// controller or monitoring.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SharedService {
    /// Name of the service, by which landing zones ask for it; at most 40 lower-case letters, digits
    /// and hyphens.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::short_name(), validation = schema::dns_label())]
    pub name: String,
    /// Where it runs. Namespaces of landing zones never count, whatever their labels.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub peers: Vec<ServicePeer>,
    /// Who opens the connection.
    pub direction: ServiceDirection,
    /// Destination ports; all ports of all protocols when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic, validation = schema::distinct_ports())]
    pub ports: Vec<Port>,
    /// Which landing zones; Declared when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing_zones: Option<ServiceAudience>,
}

/// Where a shared service runs: one of namespaceSelector, cidrs and nodes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "[has(self.namespaceSelector), has(self.cidrs), has(self.nodes)].filter(it, it).size() == 1"
    )
    .message(rule::ONE_SERVICE_PEER),
    validation = Rule::new("has(self.namespaceSelector) || !has(self.podSelector)")
        .message(schema::about("podSelector", rule::PODS_OF_NOBODY))
        .field_path(".podSelector")
)]
pub struct ServicePeer {
    /// Namespaces, by their labels; kubernetes.io/metadata.name is a namespace's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<PodSelector>,
    /// Which of their pods; all of them when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<PodSelector>,
    /// Addresses or ranges, for instance the subnet of an Application Gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = schema::each_range())]
    pub cidrs: Vec<String>,
    /// The nodes, for instance for an agent on the host's network: every address of
    /// network.nodeCidrs. Only true can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message(schema::about("nodes", rule::ONLY_TRUE)))]
    pub nodes: Option<bool>,
}

/// Who opens the connection between a shared service and a landing zone.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum ServiceDirection {
    /// The service, for instance an ingress controller.
    ToLandingZones,
    /// The landing zone, for instance towards a registry of services.
    FromLandingZones,
    /// Either.
    Both,
}

/// Which landing zones a shared service is for. Declared is meant when this is left out.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceAudience {
    /// All of them.
    All,
    /// Those that name it in network.sharedServices.
    #[default]
    Declared,
}

/// Control planes with known namespaces and ports, as shared services of that name.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Istio: istiod for the sidecars, and the gateways that call pods.
    Istio,
    /// Dapr: the control plane that its sidecars need.
    Dapr,
}

/// A place outside the cluster that several landing zones may use.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// Name of the destination, by which landing zones ask for it; at most 40 lower-case letters,
    /// digits and hyphens.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::short_name(), validation = schema::dns_label())]
    pub name: String,
    /// Who answers for it; shown to people.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = schema::one_line())]
    pub owner: String,
    /// Its addresses or ranges.
    #[schemars(length(min = 1, max = 32), inner(length(max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = schema::each_range())]
    pub cidrs: Vec<String>,
    /// Its ports; all ports of all protocols when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic, validation = schema::distinct_ports())]
    pub ports: Vec<Port>,
}

/// A shared service as it is in force. It repeats no rule of the schema: those have been kept.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SharedServiceInForce {
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Where it runs.
    #[schemars(length(max = 16))]
    pub peers: Vec<ServicePeerInForce>,
    /// Who opens the connection.
    pub direction: ServiceDirection,
    /// Destination ports, for instance TCP 8080; all when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 32)))]
    pub ports: Vec<String>,
    /// Which landing zones.
    pub landing_zones: ServiceAudience,
}

/// Where a shared service runs, as it is in force.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ServicePeerInForce {
    /// Labels of the namespaces.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::told_labels")]
    pub namespace_labels: BTreeMap<String, String>,
    /// Labels of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::told_labels")]
    pub pod_labels: BTreeMap<String, String>,
    /// Addresses or ranges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    pub cidrs: Vec<String>,
    /// Whether it runs on the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<bool>,
}

/// A destination as it is in force.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DestinationInForce {
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Who answers for it.
    #[schemars(length(max = 256))]
    pub owner: String,
    /// Its addresses or ranges.
    #[schemars(length(max = 64), inner(length(max = 64)))]
    pub cidrs: Vec<String>,
    /// Its ports, for instance TCP 1433; all when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 32)))]
    pub ports: Vec<String>,
}

/// What becomes of a crossing whose last day is over. Warn is meant when this is left out.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpiredCrossings {
    /// It stays open, and status says so.
    #[default]
    Warn,
    /// It is closed.
    Close,
}
