//! The tiers that the policies of all landing zones share: one on each side of tier `default`, in
//! which teams write theirs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::names;
use crate::domain::{Flavour, PolicyApi};
use crate::policy::{Tier, TierSpec};

/// Tier of the boundary: before teams' policies, so that none of them opens it.
pub(super) const PLATFORM: &str = "landingzones-platform";
/// Tier of flows and of the final deny: after teams' policies.
pub(super) const BASELINE: &str = "landingzones-baseline";

/// Before the tiers of administrators' network policies (1,000): their Allow would otherwise get
/// past the boundary.
const PLATFORM_ORDER: f64 = 900.0;
/// After tier `default` (1,000,000), before the baseline of administrators (10,000,000).
const BASELINE_ORDER: f64 = 2_000_000.0;

/// Whether policies of this flavour lie in tiers of our own.
pub(super) fn used(flavour: Flavour) -> bool {
    flavour.tiers && flavour.api != PolicyApi::Kubernetes
}

/// Both tiers. They belong to no single landing zone, so they carry no ownership label.
pub(super) fn all() -> Vec<Tier> {
    vec![
        tier(PLATFORM, PLATFORM_ORDER, "Pass"),
        tier(BASELINE, BASELINE_ORDER, "Deny"),
    ]
}

fn tier(name: &str, order: f64, default_action: &str) -> Tier {
    Tier {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some([(names::MANAGED_BY.to_owned(), names::MANAGER.to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: TierSpec {
            order: Some(order),
            default_action: Some(default_action.to_owned()),
        },
    }
}
