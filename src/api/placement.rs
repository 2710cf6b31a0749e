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
    /// What a node's labels must say besides, all of it: for several node pools, or some availability
    /// zones. It needs Kubernetes 1.36 and the policy in config/placement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub node_affinity: Vec<NodeRequirement>,
    /// How pods of one workload spread over availability zones; as the scheduler likes when left out. It
    /// needs Kubernetes 1.36 and the policy in config/placement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// In how many availability zones the nodes should be that pods may run on, 1 to 10: fewer are told in the
    /// condition PlacementEnforced, and change nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub min_availability_zones: Option<i32>,
    /// Whether pods that run on nodes that the placement does not admit are evicted, a few at a time and as
    /// disruption budgets allow; they stay when left out. It needs the rights in config/eviction, and tells
    /// of it in the condition PodsPlaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evict_misplaced: Option<bool>,
}

/// What a label of a node must say.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.operator == 'Exists' || has(self.values) && self.values.size() > 0")
        .message(schema::about("values", rule::NO_VALUES))
        .field_path(".values"),
    validation = Rule::new("self.operator != 'Exists' || !has(self.values) || self.values.size() == 0")
        .message(schema::about("values", rule::EXISTS_WITH_VALUES))
        .field_path(".values")
)]
pub struct NodeRequirement {
    /// Key of the label, for instance kubernetes.azure.com/agentpool or topology.kubernetes.io/zone.
    #[schemars(length(max = 317))]
    #[x_kube(
        validation = Rule::new("self != '' && !format.qualifiedName().validate(self).hasValue()")
            .message(rule::QUALIFIED_NAME)
    )]
    pub key: String,
    /// How the label compares with the values.
    pub operator: NodeOperator,
    /// Values of the label; none with operator Exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 63)))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = Rule::new("self.all(it, !format.labelValue().validate(it).hasValue())")
            .message(rule::LABEL_VALUE)
    )]
    pub values: Vec<String>,
}

/// How a node's label compares with values.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeOperator {
    /// It is there and is one of them.
    In,
    /// It is none of them, or not there.
    NotIn,
    /// It is there, whatever it says.
    Exists,
}

/// How pods spread over availability zones.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// What becomes of a pod that would make one availability zone have two pods of its workload more than
    /// another.
    pub when_unsatisfiable: WhenUnsatisfiable,
}

/// What becomes of a pod that does not spread.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenUnsatisfiable {
    /// It waits.
    DoNotSchedule,
    /// It goes where it makes the least difference.
    ScheduleAnyway,
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
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TolerationOperator {
    /// The values are equal.
    #[default]
    Equal,
    /// Any value.
    Exists,
}

/// Effect of the taint; every effect when left out.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TolerationEffect {
    /// Pods without the toleration are not scheduled.
    NoSchedule,
    /// Pods without the toleration are scheduled elsewhere where possible.
    PreferNoSchedule,
    /// Pods without the toleration are evicted.
    NoExecute,
}
