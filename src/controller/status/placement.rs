//! Whether pods get what the placement declares, and run where it says.

use super::{Conditions, Outcome, sentence};
use crate::api::condition::{self, reason};
use crate::api::{LandingZoneStatus, Stage};
use crate::controller::eviction::Told;
use crate::controller::placement::{Admitted, Shown};
use crate::domain;

/// Whether pods get what the placement declares.
pub(super) fn placement_enforced(conditions: &mut Conditions, outcome: &Outcome<'_>) {
    let type_ = condition::PLACEMENT_ENFORCED;
    let declared = outcome.zone.placement.as_ref();
    if declared.is_none_or(domain::Placement::is_empty) {
        conditions.remove(type_);
        return;
    }
    if outcome.zone.stage == Stage::Observe {
        let message = "stage Observe: placement waits for stage Enforce";
        conditions.set(type_, "False", reason::OBSERVED, message);
        return;
    }
    match outcome.placement.map(|looked| &looked.shown) {
        // Its namespaces are not there yet, which Ready tells.
        None => conditions.set(
            type_,
            "Unknown",
            reason::PROGRESSING,
            "no namespace is there yet",
        ),
        Some(Shown::InForce) => {
            let (why, warning) = remarked(outcome);
            let message = format!(
                "the API server adds it to every pod, as a pod that was not created has shown{warning}"
            );
            conditions.set(type_, "True", why, message);
        }
        Some(Shown::Missing(missing)) => {
            let message = format!(
                "the API server leaves out {}, as a pod that was not created has shown: pods run where \
                 they like. AKS has the admission plugins for node selectors and tolerations; elsewhere, and \
                 for node affinity and spread, apply config/placement (Kubernetes 1.36 and later)",
                sentence(missing.iter().cloned())
            );
            conditions.set(type_, "False", reason::NOT_ADDED_TO_PODS, message);
        }
        Some(Shown::Refused(why)) => {
            let message = format!(
                "nobody knows: the API server refused the pod that would have shown it, which is not \
                 created ({why}); it is tried again"
            );
            conditions.set(type_, "Unknown", reason::TEST_REFUSED, message);
        }
    }
}

/// Whether every pod runs where it belongs, where those that do not are evicted.
pub(super) fn pods_placed(conditions: &mut Conditions, outcome: &Outcome<'_>) {
    let type_ = condition::PODS_PLACED;
    match outcome.pods_placed {
        _ if !outcome.evicts => conditions.remove(type_),
        Some(Told {
            state,
            reason,
            message,
        }) => conditions.set(type_, state, reason, message),
        // What was told before the operator started stands until somebody has looked.
        None if conditions.has(type_) => {}
        None => {
            let message = "nobody has looked yet where the pods run";
            conditions.set(type_, "Unknown", reason::PROGRESSING, message);
        }
    }
}

/// Whether every pod was in its place when the status was written.
#[must_use]
pub fn were_pods_placed(status: Option<&LandingZoneStatus>) -> bool {
    let mut conditions = status.into_iter().flat_map(|status| &status.conditions);
    conditions.any(|it| it.type_ == condition::PODS_PLACED && it.status == "True")
}

/// What there is to know about the nodes that a placement admits. No numbers of nodes: they change with every
/// scaling of a pool.
fn remarked(outcome: &Outcome<'_>) -> (&'static str, String) {
    let wanted = outcome.zone.placement.as_ref();
    let wanted = wanted.and_then(|placement| placement.min_availability_zones);
    match outcome.placement.map(|looked| &looked.admitted) {
        Some(Admitted::None) => {
            let warning = "; but no node has what it asks for at present, and pods wait for one: a node pool \
                           that is scaled to zero, or a label or taint that no pool has";
            (reason::NO_NODE, warning.to_owned())
        }
        Some(Admitted::In(zones)) if wanted.is_some_and(|wanted| zones.len() < wanted.into()) => {
            let names: Vec<_> = zones.iter().map(String::as_str).collect();
            let names = if names.is_empty() {
                String::new()
            } else {
                format!(" ({})", names.join(", "))
            };
            let warning = format!(
                "; but its nodes are in {} availability zones{names}, and minAvailabilityZones asks for {}: use \
                 a pool that spans more, or ask for fewer",
                zones.len(),
                wanted.unwrap_or_default()
            );
            (reason::FEW_AVAILABILITY_ZONES, warning)
        }
        _ => (reason::ADDED_TO_PODS, String::new()),
    }
}
