//! `LandingZonePlatform`: what holds for the whole cluster.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{rule, schema};

/// What holds for the whole cluster, whichever landing zone it is. Without it, built-in values hold.
#[derive(
    CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq,
)]
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
}

/// Where pods find the cluster's DNS, besides the Service kube-system/kube-dns.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PlatformDns {
    /// Addresses or ranges of DNS caches on the nodes, for instance 169.254.20.10 for NodeLocal
    /// DNSCache or 169.254.10.10 and 169.254.10.11 for LocalDNS of AKS; besides those that the
    /// operator was started with.
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
    /// Ranges that pods get their addresses from, for instance 10.244.0.0/16; those that the operator
    /// was started with when left out. Known, no address outside of them passes for a pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    #[x_kube(validation = schema::each_range())]
    pub pod_cidrs: Vec<String>,
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
}

/// The values in force.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PlatformValues {
    /// Ranges that pods get their addresses from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 64)))]
    pub pod_cidrs: Vec<String>,
    /// Addresses of DNS caches on the nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 64)))]
    pub dns_addresses: Vec<String>,
    /// Cluster roles that landing zones may hand out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 253)))]
    pub cluster_roles: Vec<String>,
}
