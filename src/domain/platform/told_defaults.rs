//! What landing zones get by default, as the platform's status tells it. It is read back by the rules
//! that hold for a declaration.

use std::collections::BTreeMap;

use crate::api::{self, PlatformDefaults, QuantityText};
use crate::domain::validate::{self, Findings};
use crate::domain::{
    Defaults, FieldPath, Limits, NodeRequirement, Placement, Quantity, Toleration,
};

/// None where there are none.
pub(super) fn defaults(defaults: &Defaults) -> Option<PlatformDefaults> {
    let told = PlatformDefaults {
        quota: quantities(&defaults.quota),
        limits: defaults.limits.as_ref().map(limits),
        pod_security: defaults.pod_security,
        placement: defaults.placement.as_ref().map(placement),
    };
    Some(told).filter(|told| *told != PlatformDefaults::default())
}

/// What was told, as far as it is right.
pub(super) fn read(told: Option<&PlatformDefaults>) -> Defaults {
    let mut findings = Findings::default();
    let read = |told| validate::defaults::defaults(told, &FieldPath::default(), &mut findings);
    let defaults = told.map(read).unwrap_or_default();
    if findings.0.is_empty() {
        defaults
    } else {
        Defaults::default()
    }
}

fn limits(limits: &Limits) -> api::ContainerLimits {
    api::ContainerLimits {
        default: quantities(&limits.default),
        default_request: quantities(&limits.default_request),
        max: quantities(&limits.max),
        min: quantities(&limits.min),
    }
}

fn quantities(quantities: &BTreeMap<String, Quantity>) -> BTreeMap<String, QuantityText> {
    let told = |(resource, quantity): (&String, &Quantity)| {
        (resource.clone(), QuantityText(quantity.to_string()))
    };
    quantities.iter().map(told).collect()
}

fn placement(placement: &Placement) -> api::Placement {
    api::Placement {
        node_selector: placement.node_selector.clone(),
        tolerations: placement.tolerations.iter().map(toleration).collect(),
        node_affinity: placement.node_affinity.iter().map(requirement).collect(),
        spread: placement
            .spread
            .map(|when_unsatisfiable| api::Spread { when_unsatisfiable }),
        min_availability_zones: placement.min_availability_zones.map(i32::from),
        evict_misplaced: placement.evict_misplaced.then_some(true),
    }
}

fn requirement(requirement: &NodeRequirement) -> api::NodeRequirement {
    api::NodeRequirement {
        key: requirement.key.clone(),
        operator: requirement.operator,
        values: requirement.values.iter().cloned().collect(),
    }
}

fn toleration(toleration: &Toleration) -> api::Toleration {
    api::Toleration {
        key: toleration.key.clone(),
        operator: Some(toleration.operator),
        value: toleration.value.clone(),
        effect: toleration.effect,
    }
}
