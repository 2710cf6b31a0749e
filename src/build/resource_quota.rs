//! The quota of a namespace.

use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::metadata;
use crate::domain::{LandingZone, Namespace};

/// Name of the one quota in each namespace.
const NAME: &str = "landing-zone";

/// The quota of a namespace; none where nothing is declared.
pub(super) fn resource_quota(zone: &LandingZone, namespace: &Namespace) -> Option<ResourceQuota> {
    if namespace.quota.is_empty() {
        return None;
    }
    let hard = namespace
        .quota
        .iter()
        .map(|(resource, quantity)| (resource.clone(), Quantity(quantity.to_string())))
        .collect();
    Some(ResourceQuota {
        metadata: metadata::namespaced(&zone.name, &namespace.name, NAME),
        spec: Some(ResourceQuotaSpec {
            hard: Some(hard),
            ..ResourceQuotaSpec::default()
        }),
        ..ResourceQuota::default()
    })
}
