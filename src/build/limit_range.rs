//! Defaults and bounds for the containers of a namespace.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, LimitRangeSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::metadata;
use crate::domain::{self, LandingZone, Limits, Namespace};

/// Name of the one limit range in each namespace.
const NAME: &str = "landing-zone";

/// The limits of a namespace; none where nothing is declared.
pub(super) fn limit_range(zone: &LandingZone, namespace: &Namespace) -> Option<LimitRange> {
    let declared = namespace.limits.as_ref()?;
    if *declared == Limits::default() {
        return None;
    }
    Some(LimitRange {
        metadata: metadata::namespaced(&zone.name, &namespace.name, NAME),
        spec: Some(LimitRangeSpec {
            limits: vec![item(declared)],
        }),
    })
}

/// Writes out what the API server fills in, so that what it stores is what was declared
/// (`SetDefaults_LimitRangeItem` of Kubernetes 1.37): a default limit is the maximum; a default
/// request is the default limit, otherwise the minimum.
fn item(declared: &Limits) -> LimitRangeItem {
    let default = with_fallback(&declared.default, &declared.max);
    let default_request = with_fallback(&declared.default_request, &default);
    let default_request = with_fallback(&default_request, &declared.min);
    LimitRangeItem {
        default: resources(&default),
        default_request: resources(&default_request),
        max: resources(&declared.max),
        max_limit_request_ratio: None,
        min: resources(&declared.min),
        type_: "Container".to_owned(),
    }
}

type Resources = BTreeMap<String, domain::Quantity>;

fn with_fallback(declared: &Resources, fallback: &Resources) -> Resources {
    let mut filled = fallback.clone();
    filled.extend(declared.clone());
    filled
}

fn resources(quantities: &Resources) -> Option<BTreeMap<String, Quantity>> {
    let written: BTreeMap<_, _> = quantities
        .iter()
        .map(|(resource, quantity)| (resource.clone(), Quantity(quantity.to_string())))
        .collect();
    Some(written).filter(|written| !written.is_empty())
}
