//! Who may do what in which zones.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{rule, schema};

/// Who may do what in which zones.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "self.kind != 'ServiceAccount' || \
         self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?:[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')"
    )
    .message(schema::after("self.name", rule::SERVICE_ACCOUNT))
    .field_path(".name"),
    validation = Rule::new("self.kind == 'ServiceAccount' || !self.name.startsWith('system:')")
        .message(schema::after("self.name", rule::SYSTEM_SUBJECT))
        .field_path(".name")
)]
pub struct AccessEntry {
    /// Kind of the subject: User, Group or ServiceAccount.
    pub kind: SubjectKind,
    /// Name of the subject: an Entra object id for groups and users, namespace:name for a
    /// ServiceAccount.
    #[schemars(length(min = 1, max = 320))]
    #[x_kube(validation = schema::one_line())]
    pub name: String,
    /// What people call the subject; shown to people and never used to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = schema::one_line())]
    pub display_name: Option<String>,
    /// What the subject may do: view, edit, admin, or a ClusterRole that the platform allows.
    #[schemars(length(min = 1, max = 253))]
    pub role: String,
    /// Zones that this holds for; all zones when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub zones: Vec<String>,
}

/// Kind of an access subject.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum SubjectKind {
    /// A user, by object id or name.
    User,
    /// A group, by object id or name.
    Group,
    /// A service account, as namespace:name.
    ServiceAccount,
}
