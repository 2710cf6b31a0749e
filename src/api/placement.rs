//! Which nodes the pods of a landing zone run on.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{rule, schema};

/// Which nodes the pods run on.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::selector")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate; no others may be tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub tolerations: Vec<Toleration>,
}

/// A taint that pods tolerate.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "!has(self.value) || !has(self.operator) || self.operator != 'Exists'"
    )
    .message(schema::about("value", rule::EXISTS_WITH_VALUE))
    .field_path(".value")
)]
pub struct Toleration {
    /// Key of the taint. It is required: a toleration without key tolerates every taint.
    #[schemars(length(max = 317))]
    #[x_kube(
        validation = Rule::new("self != ''").message(rule::NO_KEY),
        validation = Rule::new(format!("self != '{}'", rule::SYSTEM_POOL))
            .message(rule::TOLERATES_SYSTEM_POOL),
        validation = Rule::new("self == '' || !format.qualifiedName().validate(self).hasValue()")
            .message(rule::QUALIFIED_NAME)
    )]
    pub key: String,
    /// How the value compares; Equal when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<TolerationOperator>,
    /// Value of the taint; none with operator Exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(
        validation = Rule::new("!format.labelValue().validate(self).hasValue()")
            .message(rule::LABEL_VALUE)
    )]
    pub value: Option<String>,
    /// Effect of the taint; every effect when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TolerationEffect>,
}

/// How the value compares with the taint's: Equal, which is meant when this is left out, or Exists,
/// which takes any value.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TolerationOperator {
    /// The values are equal.
    #[default]
    Equal,
    /// Any value.
    Exists,
}

/// Effect of the taint; every effect when left out.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TolerationEffect {
    /// Pods without the toleration are not scheduled.
    NoSchedule,
    /// Pods without the toleration are scheduled elsewhere where possible.
    PreferNoSchedule,
    /// Pods without the toleration are evicted.
    NoExecute,
}
