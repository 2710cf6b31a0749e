//! What crosses the boundary of a landing zone because both sides, or the platform, declare it.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PodSelector, Port, rule, schema};

/// Connections that pods of the landing zone open to somebody outside of it. Replies pass.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.to.apiServer) || !has(self.ports)")
        .message(schema::about("ports", rule::API_SERVER_PORTS))
        .field_path(".ports"),
    validation = schema::fqdn_ports(),
    validation = schema::acknowledged(
        &schema::wide_range(),
        "AllAddresses",
        rule::ALL_ADDRESSES
    ),
    validation = schema::acknowledged(
        &schema::metadata_range(),
        "MetadataService",
        rule::METADATA_SERVICE
    )
)]
pub struct EgressCrossing {
    /// Name of the crossing, unique among those that leave the landing zone; at most 40 lower-case
    /// letters, digits and hyphens.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::short_name(), validation = schema::dns_label())]
    pub name: String,
    /// Which pods of this landing zone open the connection; all of them when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<CrossingEnd>,
    /// Who is connected to.
    pub to: EgressPeer,
    /// Destination ports; all ports of all protocols when left out, those of the destination
    /// where one is named, and TCP 443 with fqdns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic, validation = schema::distinct_ports())]
    pub ports: Vec<Port>,
    /// Says that a range which is seldom meant is meant: AllAddresses for ranges that reach most of
    /// the internet, MetadataService for Azure's metadata addresses, PodRange and NodeRange for
    /// addresses of pods and nodes. Without it, wide ranges leave these out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<RangeAcknowledgement>,
    /// Why it is needed, for instance the number of the change; shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = schema::one_line())]
    pub reason: Option<String>,
    /// Who answers for it; shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = schema::one_line())]
    pub owner: Option<String>,
    /// Last day on which it is needed, in UTC, for instance 2027-06-30. Status warns from 30 days
    /// ahead; what happens afterwards is the platform's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = schema::date())]
    pub valid_until: Option<String>,
}

/// Connections that another landing zone's pods open to pods of this one. Replies pass.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IngressCrossing {
    /// Name of the crossing, unique among those that enter the landing zone; at most 40 lower-case
    /// letters, digits and hyphens.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::short_name(), validation = schema::dns_label())]
    pub name: String,
    /// Who opens the connection.
    pub from: IngressPeer,
    /// Which pods of this landing zone are connected to; all of them when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<CrossingEnd>,
    /// Destination ports; all ports of all protocols when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic, validation = schema::distinct_ports())]
    pub ports: Vec<Port>,
    /// Why it is needed, for instance the number of the change; shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = schema::one_line())]
    pub reason: Option<String>,
    /// Who answers for it; shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = schema::one_line())]
    pub owner: Option<String>,
    /// Last day on which it is needed, in UTC, for instance 2027-06-30. Status warns from 30 days
    /// ahead; what happens afterwards is the platform's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = schema::date())]
    pub valid_until: Option<String>,
}

/// The end of a crossing that lies in this landing zone.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CrossingEnd {
    /// A zone of this landing zone; all zones when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub zone: Option<String>,
    /// Which of its pods; all of them when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<PodSelector>,
}

/// Who is connected to: one of landingZone, cidrs, fqdns, destination and apiServer.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "[has(self.landingZone), has(self.cidrs), has(self.fqdns), has(self.destination), \
          has(self.apiServer)].filter(it, it).size() == 1"
    )
    .message(rule::ONE_PEER),
    validation = Rule::new(
        "has(self.landingZone) || !(has(self.zone) || has(self.podSelector))"
    )
    .message(rule::ZONE_OF_NOBODY),
    validation = Rule::new("has(self.cidrs) || !has(self.except)")
        .message(schema::about("except", rule::EXCEPT_OF_NOTHING))
        .field_path(".except")
)]
pub struct EgressPeer {
    /// Another landing zone, which has to declare the same as ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::short_name(), validation = schema::dns_label())]
    pub landing_zone: Option<String>,
    /// A zone of that landing zone; all of its zones when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::short_name(), validation = schema::dns_label())]
    pub zone: Option<String>,
    /// Which of its pods; all of them when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<PodSelector>,
    /// Addresses or ranges outside the cluster. Those of pods and nodes, and Azure's metadata
    /// addresses, are left out unless acknowledge says otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = schema::each_range())]
    pub cidrs: Vec<String>,
    /// Ranges within cidrs that stay closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = schema::each_range())]
    pub except: Vec<String>,
    /// Names on the internet, such as api.example.com, or *.example.com for every name below it. Azure Firewall
    /// lets them through: it needs azure.hub.firewall of the LandingZonePlatform.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = schema::each_fqdn())]
    pub fqdns: Vec<String>,
    /// A destination that the platform names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::short_name(), validation = schema::dns_label())]
    pub destination: Option<String>,
    /// The API server of the cluster; only true can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message(schema::about("apiServer", rule::ONLY_TRUE)))]
    pub api_server: Option<bool>,
}

/// The landing zone that opens the connection. It has to declare the same as egress.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IngressPeer {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::short_name(), validation = schema::dns_label())]
    pub landing_zone: String,
    /// A zone of it; all of its zones when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::short_name(), validation = schema::dns_label())]
    pub zone: Option<String>,
    /// Which of its pods; all of them when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<PodSelector>,
}

/// A range that is seldom meant, and is meant here.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeAcknowledgement {
    /// A range that reaches most of the internet.
    AllAddresses,
    /// Azure's instance metadata service or wire server.
    MetadataService,
    /// Addresses of pods.
    PodRange,
    /// Addresses of nodes.
    NodeRange,
}

/// What became of a declared crossing.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CrossingStatus {
    /// Who opens the connection; left out for shared services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<CrossingDirection>,
    /// Its name, here or, where it is declared only there, in the other landing zone.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Who is on the other side, in words.
    #[schemars(length(max = 4096))]
    pub peer: String,
    /// Whether it is open.
    pub state: CrossingState,
    /// Why, and what somebody can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
    /// Last day on which it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub valid_until: Option<String>,
    /// What is open between two landing zones: what both declare.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub open: Vec<OpenedCrossing>,
}

/// What is open between this landing zone and another one.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OpenedCrossing {
    /// The other landing zone.
    #[schemars(length(max = 63))]
    pub landing_zone: String,
    /// Zone of this landing zone; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub zone: Option<String>,
    /// Labels that its pods must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::told_labels")]
    pub pod_labels: BTreeMap<String, String>,
    /// Zone of the other landing zone; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub peer_zone: Option<String>,
    /// Labels that its pods must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::told_labels")]
    pub peer_pod_labels: BTreeMap<String, String>,
    /// Destination ports, for instance TCP 5432 or UDP 8000-8100; all when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(length(max = 32)))]
    pub ports: Vec<String>,
}

/// Who opens a connection across the boundary.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum CrossingDirection {
    /// Pods of this landing zone.
    Egress,
    /// Somebody outside.
    Ingress,
}

/// Whether a crossing is open, and why not.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrossingState {
    /// It is open.
    Open,
    /// Closed: the other landing zone does not declare it.
    DeclaredHere,
    /// Closed: only the other landing zone declares it.
    DeclaredThere,
    /// Closed: the other landing zone, the destination or the shared service does not exist.
    NoSuchPeer,
    /// Closed: the other landing zone is not in force.
    PeerNotInForce,
    /// Closed: it leads to addresses that it does not acknowledge.
    NotAcknowledged,
    /// Closed: its last day is over.
    Expired,
    /// Closed: this cluster has no means to open it.
    Unsupported,
}
