//! How an application that runs already gets its boundary all at once.
//!
//! Its namespaces get their labels one after the other, and whoever enforces policies sees each of them
//! at another moment. Meanwhile the boundary of the first would deny what goes to the second, declared or
//! not. So it enters by way of stage Observe, in which nothing is denied, and the boundary follows once
//! all of its namespaces have been seen.

use std::time::Duration;

use kube::runtime::controller::Action;
use tokio::time::Instant;

use super::context::Context;
use super::kind::ObjectKey;
use super::memory::Memory;
use super::reconcile::{Error, Observation};
use super::round::Round;
use super::standstill::{Said, only_conditions};
use super::status::Progress;
use crate::api::condition::reason;
use crate::api::{AdoptionPolicy, DefaultDenyStage, Stage};
use crate::build;
use crate::domain::{LandingZone, PolicyApi};

/// After this long whoever enforces policies has seen all namespaces: they take effect within about a
/// second.
const SEEN_WITHIN: Duration = Duration::from_secs(3);

/// Whether a landing zone is observed for now, on its way to stage Enforce.
pub(super) fn is_entering(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    zone: &LandingZone,
) -> bool {
    let denies =
        zone.stage == Stage::Enforce && observation.facts.flavour().api != PolicyApi::Kubernetes;
    if !denies {
        memory.entered = None;
    }
    let is_entering = denies
        && match memory.entered {
            Some(since) => since.elapsed() < SEEN_WITHIN,
            None => runs_without_boundary(observation, context, zone),
        };
    context.enters(&observation.name, is_entering);
    is_entering
}

/// Whether several of its namespaces are still to be adopted, and nothing denies anything yet: between
/// the layers of one namespace there is no such moment, since it gets its labels at once.
fn runs_without_boundary(observation: &Observation, context: &Context, zone: &LandingZone) -> bool {
    // With the default deny in force they are closed already, and nothing may open on the way.
    let is_closed = observation.platform.default_deny.stage == DefaultDenyStage::Enforce;
    if is_closed || zone.adoption_policy == AdoptionPolicy::Never {
        return false;
    }
    let objects = context.cache.read();
    let mut owned = objects.owned_by(&observation.name);
    if owned.any(|(key, _)| key.kind.is_policy() && build::denies(&key.name)) {
        return false;
    }
    let names = zone.namespaces.iter();
    let found = names.filter_map(|it| objects.get(&ObjectKey::namespace(it.name.as_str())));
    // Nobody's: what comes from another landing zone is behind a boundary already.
    found
        .filter(|it| it.owner.is_none() && !it.deleting)
        .nth(1)
        .is_some()
}

/// Says that the boundary follows, and looks again when it does.
pub(super) async fn follows(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    round: &Round,
) -> Result<Action, Error> {
    let since = *memory.entered.get_or_insert_with(Instant::now);
    let message = "its namespaces ran before it: what is declared is allowed, and in a few seconds, when \
                   that has taken effect everywhere, the rest is denied";
    let said = Said {
        ready: "False",
        progress: Progress::Working(reason::PROGRESSING),
        message: message.to_owned(),
        looked_after: true,
        look_again: Some(SEEN_WITHIN.saturating_sub(since.elapsed())),
    };
    // The round wrote into the status what it would create.
    let observation = Observation {
        status: round.base.clone(),
        resource_version: round.version.clone(),
        ..observation.clone()
    };
    only_conditions(&observation, context, memory, said, |_| {}).await
}
