//! `LandingZone`: what one application gets in a shared cluster.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AccessEntry, LandingZoneAzure, LandingZoneStatus, NamespaceSpec, Network, Placement,
    QuantityText, rule, schema,
};

/// One application's landing zone in a shared cluster: its namespaces with their quotas, limits,
/// access, placement, and the network boundary around them.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "landingzones.dev",
    version = "v1alpha1",
    kind = "LandingZone",
    plural = "landingzones",
    shortname = "lz",
    status = "LandingZoneStatus",
    derive = "PartialEq",
    doc = "What one application gets in a shared cluster: its namespaces with quotas, limits, access and placement, and the network boundary around them.",
    validation = Rule::new("self.metadata.name.size() <= 40").message(schema::about("metadata.name", rule::TOO_LONG)),
    validation = Rule::new("!self.metadata.name.contains('.')").message(schema::about("metadata.name", rule::DNS_LABEL)),
    validation = schema::not_itself("egress", "to"),
    validation = schema::not_itself("ingress", "from"),
    printcolumn(
        name = "Code",
        type_ = "string",
        json_path = ".spec.applicationCode",
        description = "The application's code"
    ),
    printcolumn(
        name = "Stage",
        type_ = "string",
        json_path = ".status.effective.stage",
        description = "How far the landing zone is put into force"
    ),
    printcolumn(
        name = "Namespaces",
        type_ = "string",
        json_path = ".status.namespacesReady",
        description = "Namespaces that are ready, of those declared"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether everything is in the cluster as declared"
    ),
    printcolumn(
        name = "Drift",
        type_ = "integer",
        json_path = ".status.drift.repaired",
        description = "Objects that were put back since the landing zone was created"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the landing zone was created"
    ),
    printcolumn(
        name = "Flavour",
        type_ = "string",
        json_path = ".status.effective.flavour",
        description = "The form in which policies are written in this cluster",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not, in a word",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "Why it is ready or not, and what to do",
        priority = 1
    )
)]
#[x_kube(
    validation = schema::flow_zones("from"),
    validation = schema::flow_zones("to"),
    validation = schema::crossing_zones("egress", "from"),
    validation = schema::crossing_zones("ingress", "to"),
    validation = schema::access_zones(),
    validation = schema::all_bounded(),
    validation = schema::within_total()
)]
#[serde(rename_all = "camelCase")]
pub struct LandingZoneSpec {
    /// The application's code in the company's CMDB. It becomes the label applicationcode of every
    /// namespace. Unique in the cluster; it cannot be changed.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(
        validation = schema::label_value(),
        validation = Rule::new("self == oldSelf").message(rule::IMMUTABLE_CODE)
    )]
    pub application_code: String,
    /// Who to ask about this application, for instance a mail address; appears in refusals and
    /// events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = schema::one_line())]
    pub contact: Option<String>,
    /// How far the landing zone is put into force; Enforce when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// When true, nothing is reconciled and no drift is repaired; status says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What to do about namespaces that exist already; Never when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption_policy: Option<AdoptionPolicy>,
    /// What becomes of the namespaces when the landing zone is deleted; Keep when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_policy: Option<DeletePolicy>,
    /// Labels for all namespaces of the landing zone. Keys of the operator, of Kubernetes, Calico
    /// and AKS, and those by which GitOps tools track objects are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// The most that the quotas of all namespaces may add up to, by resource, for instance
    /// requests.cpu: "12". Every namespace must have a quota for each resource named here, its own or
    /// the platform's default, since a namespace without one could use any amount.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quota")]
    pub quota_total: BTreeMap<String, QuantityText>,
    /// The namespaces of the application, 1 to 50.
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub namespaces: Vec<NamespaceSpec>,
    /// Who may do what in the namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into(), "role".into()]))]
    pub access: Vec<AccessEntry>,
    /// Which nodes the pods run on; what the platform says when left out, otherwise any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Who may talk to whom inside the landing zone, and what crosses its boundary. The boundary
    /// itself needs no declaration: it is always held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// What the landing zone owns in Azure: nodes, their subnet, and its network security group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<LandingZoneAzure>,
}

/// How far the landing zone is put into force. Plan says in status what would be done and changes
/// nothing. Observe creates or adopts the namespaces and hands out access, denies nothing, and records
/// what would be denied; quotas, limits and placement wait. Enforce does it all, and is meant when this
/// is left out.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Says what it would do, changes nothing.
    Plan,
    /// Denies nothing, and records what would be denied.
    Observe,
    /// Applies everything.
    #[default]
    Enforce,
}

/// What to do about namespaces that exist already, in the words of AKS managed namespaces. Never
/// adopts none, and is meant when this is left out. IfIdentical adopts those whose labels and
/// annotations are already as declared. Always adopts all.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdoptionPolicy {
    /// Adopt none.
    #[default]
    Never,
    /// Adopt those that already are as declared.
    IfIdentical,
    /// Adopt all.
    Always,
}

/// What becomes of the namespaces when the landing zone is deleted, in the words of AKS managed
/// namespaces. Keep leaves them with all that is in them, and is meant when this is left out.
/// Delete deletes them, after confirmation where they are in use.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletePolicy {
    /// They stay, with all that is in them.
    #[default]
    Keep,
    /// They are deleted, after confirmation where they are in use.
    Delete,
}
