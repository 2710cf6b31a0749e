//! What an operator does that does not write: it judges policies for the API server, as the one that writes does, and so
//! has to know what is in force.

use std::sync::Arc;

use kube::ResourceExt;

use super::context::{Context, Stored};
use super::left_alone;
use super::memory::Memory;
use super::reconcile::observe;
use super::round::prepare;
use crate::cluster::ClusterFacts;
use crate::domain;

/// Looks at one landing zone and takes in what is in force, without a request. What is wrong with it is told by the
/// operator that writes. Returns whether enough is known for that.
pub(super) fn look_on(
    stored: &Stored,
    context: &Context,
    facts: ClusterFacts,
    platform: Arc<domain::Platform>,
) -> bool {
    let Ok(zone) = &stored.0 else {
        return true;
    };
    // Not the memory of what was done: nothing was.
    let mut memory = Memory::default();
    let observation = observe(zone, &memory, facts, platform);
    if zone.metadata.deletion_timestamp.is_some() {
        return true;
    }
    let Ok(zone) = domain::LandingZone::validate(&observation.zone, &observation.platform) else {
        return true;
    };
    if !zone.is_in_force() {
        left_alone::tell_guard(&observation, context, &memory, &zone);
        return true;
    }
    match prepare(&observation, context, &mut memory, &zone, false) {
        Ok(Some(prepared)) => context
            .guard
            .governs(&prepared.rendered.zone, &prepared.crossings),
        // Whoever completes the picture asks again.
        Ok(None) => return false,
        Err(error) => {
            let zone = observation.zone.name_any();
            tracing::warn!(zone, %error, "failed to look at a landing zone");
        }
    }
    true
}
