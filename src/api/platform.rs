//! `LandingZonePlatform`: what holds for the whole cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DefaultDeny, DefaultDenyStage, Destination, DestinationInForce, Exempt, ExpiredCrossings,
    PlatformAzure, PlatformDefaults, Preset, SharedService, SharedServiceInForce, WorkloadRules,
    rule, schema,
};

/// What holds for the whole cluster, whichever landing zone it is. Without it, built-in values hold.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "landingzones.dev",
    version = "v1alpha1",
    kind = "LandingZonePlatform",
    plural = "landingzoneplatforms",
    shortname = "lzp",
    status = "LandingZonePlatformStatus",
    derive = "PartialEq",
    doc = "What holds for the whole cluster, whichever landing zone it is. There is one, named cluster; without it, built-in values hold.",
    validation = Rule::new("self.metadata.name == 'cluster'").message(schema::about("metadata.name", rule::ONLY_PLATFORM)),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the values are in force"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since it was created"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "Why they are or are not, and what to do",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct LandingZonePlatformSpec {
    /// Where pods find the cluster's DNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<PlatformDns>,
    /// What landing zones may hand out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<PlatformAccess>,
    /// Addresses in this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<PlatformNetwork>,
    /// What of the platform landing zones use or are reached from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 48))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub shared_services: Vec<SharedService>,
    /// Control planes that sidecars need, with known namespaces and ports: each is a shared service of
    /// that name, for landing zones that ask for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub presets: Vec<Preset>,
    /// Places outside the cluster that several landing zones may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub destinations: Vec<Destination>,
    /// What becomes of a crossing whose last day is over; Warn when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_crossings: Option<ExpiredCrossings>,
    /// Denies what nothing allows, in every namespace that is neither exempt nor a landing zone's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_deny: Option<DefaultDeny>,
    /// Namespaces that the default deny leaves alone, besides the built-in ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exempt: Option<Exempt>,
    /// Whether policies that leave a landing zone's boundary undeclared are told of or refused when somebody
    /// writes them: "Off", in quotes since YAML takes it for a boolean, which is meant when this is left out;
    /// Observe, which warns; or Enforce, which refuses. It needs config/guard. In the background all of them
    /// are judged in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardStage>,
    /// Rules for what application teams put into landing zones: their Ingresses, Services and pods. The API server
    /// keeps them, by the policies in config/workload-rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_rules: Option<WorkloadRules>,
    /// What landing zones get where they say nothing. It counts as if they had said it, and is not
    /// written into them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<PlatformDefaults>,
    /// Keys of labels that every landing zone must have a value for in its spec.labels, for instance
    /// costCenter. One without them is refused in its status; what it declared before stays in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 317)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = schema::each_key(),
        validation = schema::each_settable()
    )]
    pub required_labels: Vec<String>,
    /// Where in Azure the cluster lies, for landing zones that own nodes or subnets there. It needs
    /// network.plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<PlatformAzure>,
}

/// What is done about a policy that leaves a landing zone's boundary undeclared when somebody writes it: "Off",
/// in quotes since YAML takes it for a boolean; Observe, which warns; or Enforce, which refuses.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum GuardStage {
    /// Nothing.
    #[default]
    Off,
    /// Whoever writes it is warned.
    Observe,
    /// It is refused.
    Enforce,
}

/// Where pods find the cluster's DNS, besides the Service kube-system/kube-dns.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PlatformDns {
    /// Whether NodeLocal DNSCache runs on the nodes: pods may then ask 169.254.20.10 and the address of
    /// the Service kube-system/kube-dns, which the operator follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_local: Option<bool>,
    /// Addresses or ranges of more DNS caches on the nodes, for instance 169.254.10.10 and
    /// 169.254.10.11 for LocalDNS of AKS; besides those that the operator was started with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    #[x_kube(validation = schema::each_address())]
    pub extra_addresses: Vec<String>,
}

/// What landing zones may hand out.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PlatformAccess {
    /// Cluster roles that landing zones may hand out, besides those that the operator was started
    /// with: view, edit and admin when left out. The operator needs the right to bind each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    #[x_kube(validation = schema::each_role())]
    pub cluster_roles: Option<Vec<String>>,
}

/// Addresses in this cluster.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PlatformNetwork {
    /// Who gives pods their addresses: Kubenet, AzureCNI (from a subnet of the virtual network, the
    /// nodes' or the pods' own), AzureCNIOverlay, or Calico. It decides where the ranges of pods are
    /// looked for while podCidrs is left out; without it, in Calico's IPPools, then on the Nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<NetworkPlugin>,
    /// Ranges that pods get their addresses from, for instance 10.244.0.0/16. When left out, those that
    /// the operator was started with, else those of Calico's enabled IPPools, else those of the Nodes, as
    /// far as the plugin has any. Known, no address outside of them passes for a pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    #[x_kube(validation = schema::each_range())]
    pub pod_cidrs: Vec<String>,
    /// Subnets of the nodes, for instance 10.1.0.0/22. Known, no crossing to a wider range reaches a
    /// node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    #[x_kube(validation = schema::each_range())]
    pub node_cidrs: Vec<String>,
    /// Addresses of the API server besides those behind the Service default/kubernetes, for crossings
    /// to it, on TCP 443.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    #[x_kube(validation = schema::each_address())]
    pub api_server: Vec<String>,
    /// Ranges of Services, for instance 10.0.0.0/16. Known, status tells of crossings to them: policies
    /// see traffic after it was translated to the pods behind a Service, so that they open nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    #[x_kube(validation = schema::each_range())]
    pub service_cidrs: Vec<String>,
}

/// What the operator made of it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LandingZonePlatformStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled as kstatus reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The values in force, built-in ones and those that the operator was started with included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<PlatformValues>,
    /// Every object that belongs to the platform, as Kind/name, recorded before it is created.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 512)))]
    pub inventory: Vec<String>,
    /// Digest of those objects as they were applied: tells drift from a change of our own after a
    /// restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub applied_digest: Option<String>,
}

/// The values in force.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PlatformValues {
    /// Ranges that pods get their addresses from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 64)))]
    pub pod_cidrs: Vec<String>,
    /// Who says so, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_cidrs_from: Option<PodCidrsSource>,
    /// Who gives pods their addresses, where that is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<NetworkPlugin>,
    /// Addresses of DNS caches on the nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 64)))]
    pub dns_addresses: Vec<String>,
    /// Cluster roles that landing zones may hand out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 253)))]
    pub cluster_roles: Vec<String>,
    /// Subnets of the nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 64)))]
    pub node_cidrs: Vec<String>,
    /// Addresses of the API server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 64)))]
    pub api_server: Vec<String>,
    /// Shared services, those of presets included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub shared_services: Vec<SharedServiceInForce>,
    /// Destinations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub destinations: Vec<DestinationInForce>,
    /// What becomes of a crossing whose last day is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_crossings: Option<ExpiredCrossings>,
    /// Stage of the default deny that is in force; condition DefaultDenyReady says why it is another
    /// one than declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_deny: Option<DefaultDenyStage>,
    /// What is done about policies that leave a boundary; condition GuardReady says whether anybody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardStage>,
    /// Namespaces that the default deny leaves alone, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 63)))]
    pub exempt_namespaces: Vec<String>,
    /// Labels by which the default deny leaves a namespace alone, all of them together.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::told_labels")]
    pub exempt_labels: BTreeMap<String, String>,
    /// Labels each of which makes the default deny leave a namespace alone, whatever its value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 317)))]
    pub exempt_markers: Vec<String>,
    /// What landing zones get where they say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::told::<PlatformDefaults>")]
    pub defaults: Option<PlatformDefaults>,
    /// Keys of labels that every landing zone must have a value for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 317)))]
    pub required_labels: Vec<String>,
    /// Ranges of Services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 64)))]
    pub service_cidrs: Vec<String>,
    /// Where in Azure the cluster lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::told::<PlatformAzure>")]
    pub azure: Option<PlatformAzure>,
    /// Rules for what application teams put into landing zones, where one is not off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::told::<WorkloadRules>")]
    pub workload_rules: Option<WorkloadRules>,
}

/// Who gives pods their addresses.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkPlugin {
    /// Kubenet: from the range of each Node, which its spec says.
    Kubenet,
    /// Azure CNI: from a subnet of the virtual network, which nothing in the cluster says.
    AzureCNI,
    /// Azure CNI Overlay: from a range of each Node.
    AzureCNIOverlay,
    /// Calico's own: from its pools.
    Calico,
}

/// Who says which ranges pods get their addresses from: Platform is network.podCidrs, Operator its
/// flag --pod-cidr, IPPools are Calico's enabled pools, Nodes their spec.podCIDRs.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodCidrsSource {
    /// network.podCidrs of the platform.
    Platform,
    /// What the operator was started with.
    #[default]
    Operator,
    /// Calico's enabled pools of addresses.
    IPPools,
    /// What each Node's spec says.
    Nodes,
}
