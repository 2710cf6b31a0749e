//! Status of a `LandingZone`: what was applied and observed, never what was meant. The one
//! exception is the inventory, where a name is recorded before its object is created.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AdoptionPolicy, CrossingStatus, DeletePolicy, IntraZone, Stage};

/// What the operator applied and observed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LandingZoneStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled as kstatus reads them, and one for each concern.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Namespaces that are ready, of those declared, for instance 3/3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub namespaces_ready: Option<String>,
    /// The values in force, defaults included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveValues>,
    /// Each declared namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub namespaces: Vec<NamespaceStatus>,
    /// Namespaces that left the spec: they keep their labels and policies and are no longer
    /// repaired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub released: Vec<ReleasedNamespace>,
    /// Every object that belongs to the landing zone, as Kind/name or Kind/namespace/name,
    /// recorded before it is created.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10000), inner(length(max = 512)))]
    pub inventory: Vec<String>,
    /// Drift that was put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftStatus>,
    /// What crosses the boundary: each declared crossing and shared service, and what other landing
    /// zones declare and this one does not; the first 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub crossings: Vec<CrossingStatus>,
    /// What others' policies and network sets do that would leave the boundary and is not declared; the first 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub findings: Vec<BoundaryFinding>,
    /// What stage Observe cannot see, one sentence each; the first 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 4096)))]
    pub unobserved: Vec<String>,
    /// What stage Plan would do, one sentence each; the first 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 4096)))]
    pub plan: Vec<String>,
    /// Digest of all that was rendered and applied: tells drift from a change of our own after a
    /// restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub applied_digest: Option<String>,
}

/// Something in a policy or a network set of others that would leave the boundary, and that nothing declares.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BoundaryFinding {
    /// By which rule, for instance namespace-name.
    #[schemars(length(max = 64))]
    pub rule: String,
    /// The object, as Kind/name or Kind/namespace/name; kinds of Calico with their group.
    #[schemars(length(max = 600))]
    pub object: String,
    /// The field that does it, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub field: Option<String>,
    /// What is wrong, who would get through, and how to write it instead.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// Whether it gets past the boundary, or could; otherwise the platform's policies keep it closed.
    pub open: bool,
}

/// The values in force, defaults included.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveValues {
    /// Stage in force.
    pub stage: Stage,
    /// Adoption policy in force.
    pub adoption_policy: AdoptionPolicy,
    /// Delete policy in force.
    pub delete_policy: DeletePolicy,
    /// Whether pods of one zone may talk freely.
    pub intra_zone: IntraZone,
    /// The form in which policies are written in this cluster, for instance
    /// crd.projectcalico.org/v1.
    #[schemars(length(max = 64))]
    pub flavour: String,
    /// Whether Calico's tiers are used.
    pub tiers: bool,
}

/// One declared namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceStatus {
    /// Name of the namespace.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The zone that it belongs to.
    #[schemars(length(max = 63))]
    pub zone: String,
    /// Where it stands.
    pub state: NamespaceState,
    /// Its UID, once it is the landing zone's: tells the same namespace from a new one of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
    /// Labels and annotations that the declaration put on it, as labels/key and annotations/key:
    /// they go when they leave the declaration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(max = 400)))]
    pub keys: Vec<String>,
    /// What is wrong and what to do about it, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
}

/// Where a declared namespace stands.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceState {
    /// It and all that belongs in it is as declared.
    Ready,
    /// It is being created or brought in line.
    Pending,
    /// It is being deleted; it is created anew once it is gone.
    Terminating,
    /// It is somebody else's, or another landing zone's; nothing is done to it.
    Withheld,
}

/// A namespace that left the spec.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ReleasedNamespace {
    /// Name of the namespace.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The zone that it belonged to.
    #[schemars(length(max = 63))]
    pub zone: String,
    /// UID of the namespace: without its ownership label it is still told from another one of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
    /// Labels and annotations that the declaration put on it, as labels/key and annotations/key: should it be declared again,
    /// those go that are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(max = 400)))]
    pub keys: Vec<String>,
}

/// Drift that was put back.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DriftStatus {
    /// Objects repaired since the landing zone was created.
    pub repaired: i64,
    /// The last repairs, newest first, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub recent: Vec<DriftRepair>,
}

/// One repair.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DriftRepair {
    /// The object, as Kind/name or Kind/namespace/name.
    #[schemars(length(max = 512))]
    pub object: String,
    /// What was different, for instance spec.hard pods: 500, declared 50.
    #[schemars(length(max = 4096))]
    pub change: String,
    /// The field manager that wrote the difference, where managed fields still tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub manager: Option<String>,
    /// When it was put back.
    pub time: Time,
}
