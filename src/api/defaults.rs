//! What landing zones get where they say nothing.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{ContainerLimits, Placement, PodSecurity, QuantityText, rule, schema};

/// What landing zones get where they say nothing. Nothing of it is written into a LandingZone.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PlatformDefaults {
    /// Hard limits for a namespace without quota, by resource, for instance requests.cpu: "4". A
    /// namespace with a quota of its own gets none of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quota")]
    pub quota: BTreeMap<String, QuantityText>,
    /// Defaults and bounds for each container of a namespace without limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ContainerLimits>,
    /// Pod Security standard of a namespace without podSecurity: restricted, which is meant when this
    /// is left out, or baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self != 'privileged'")
            .message(schema::about("privileged", rule::PRIVILEGED_BY_DEFAULT))
    )]
    pub pod_security: Option<PodSecurity>,
    /// Which nodes the pods of a landing zone without placement run on; any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
}
