//! Who may talk to whom inside a landing zone, and across its boundary.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EgressCrossing, IngressCrossing, rule, schema};

/// Who may talk to whom inside the landing zone, and across its boundary.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Whether pods of one zone may talk freely once flows are declared; Allow when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intra_zone: Option<IntraZone>,
    /// Traffic between zones. With none, everything inside the landing zone is free; with some,
    /// only these are, and what intraZone allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub flows: Vec<Flow>,
    /// Shared services of the platform that the landing zone uses or is reached from, besides those
    /// that are for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = schema::each_name())]
    pub shared_services: Vec<String>,
    /// What pods of the landing zone may open connections to outside of it. One to another landing
    /// zone opens only when that one declares it as ingress, and on the ports that both name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub egress: Vec<EgressCrossing>,
    /// Which other landing zones may open connections to pods of this one, where they declare it as
    /// egress.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub ingress: Vec<IngressCrossing>,
}

/// Whether pods of one zone may talk freely once flows are declared: Allow, which is meant when
/// this is left out, or FlowsOnly.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntraZone {
    /// They may.
    #[default]
    Allow,
    /// Only where a flow says so.
    FlowsOnly,
}

/// Traffic from one zone to another, or inside a zone between selected pods. Replies pass.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "self.from.zone != self.to.zone || has(self.from.podSelector) || has(self.to.podSelector)"
    )
    .message(schema::after("self.name", rule::SELF_FLOW))
)]
pub struct Flow {
    /// Name of the flow, unique in the landing zone; at most 40 lower-case letters, digits and
    /// hyphens.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::short_name(), validation = schema::dns_label())]
    pub name: String,
    /// Who opens the connection.
    pub from: FlowEnd,
    /// Who is connected to.
    pub to: FlowEnd,
    /// Destination ports; all ports of all protocols when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic, validation = schema::distinct_ports())]
    pub ports: Vec<Port>,
}

/// One end of a flow.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FlowEnd {
    /// A zone of this landing zone.
    #[schemars(length(min = 1, max = 63))]
    pub zone: String,
    /// Which of the zone's pods; all of them when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<PodSelector>,
}

/// Selects pods by their labels.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PodSelector {
    /// Labels that a pod must have, at least one.
    #[schemars(schema_with = "schema::pod_selector")]
    pub match_labels: BTreeMap<String, String>,
}

/// A destination port, or a range of them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.endPort) || self.endPort >= self.port")
        .message(schema::about("endPort", rule::END_PORT))
        .field_path(".endPort")
)]
pub struct Port {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The port, or the first of a range: 1 to 65535.
    #[x_kube(validation = schema::port())]
    pub port: i32,
    /// The last port, where a range is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = schema::port())]
    pub end_port: Option<i32>,
}

/// Transport protocol of a port.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum Protocol {
    /// Transmission Control Protocol.
    TCP,
    /// User Datagram Protocol.
    UDP,
    /// Stream Control Transmission Protocol.
    SCTP,
}
