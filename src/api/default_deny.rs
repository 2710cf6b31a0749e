//! The default deny of the whole cluster, and the namespaces that it leaves alone.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Denies what nothing allows, in every namespace that is neither exempt nor a landing zone's: those
/// have their own boundary.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DefaultDeny {
    /// How far it goes; Off when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<DefaultDenyStage>,
}

/// How far the default deny goes: "Off", in quotes since YAML takes it for a boolean, which is meant
/// when this is left out; Observe, which denies nothing and records what Enforce would deny; or Enforce.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum DefaultDenyStage {
    /// Nothing is denied.
    #[default]
    Off,
    /// Nothing is denied; what Enforce would deny is recorded.
    Observe,
    /// What nothing allows is denied; DNS is allowed. Refused while it would cut off a namespace that
    /// hosts an admission webhook or an aggregated API.
    Enforce,
}

/// Namespaces that the default deny leaves alone, besides the built-in ones and those that AKS marks
/// as its own.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Exempt {
    /// Names of namespaces. Without Calico's tiers about 25 have room, so prefer a label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(max = 63)))]
    #[x_kube(validation = schema::each_dns_label())]
    pub namespaces: Vec<String>,
    /// Namespaces by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<ExemptSelector>,
}

/// Selects namespaces by their labels. Whoever may label a namespace can exempt it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ExemptSelector {
    /// Labels that a namespace must have, at least one.
    #[schemars(schema_with = "schema::exempt_selector")]
    pub match_labels: BTreeMap<String, String>,
}
