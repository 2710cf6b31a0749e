//! One landing zone: observe → validate → build → compare → apply → status.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use tokio::time::Instant;

use super::apply::{Failure, WriteError};
use super::azure::AzureTold;
use super::cache::Observed;
use super::context::{Context, Stored};
use super::crossings;
use super::entry;
use super::eviction::{Scope, Told};
use super::inheritance;
use super::kind::{Kind, ObjectKey};
use super::memory::Memory;
use super::placement::{self, Looked, Shown};
use super::rendered::RenderError;
use super::report::{publish, tell_findings, tell_released};
use super::round::{Round, carry_out, decided_by_teams, prepare};
use super::standby::look_on;
use super::standstill::{invalid, planned, suspended, unreadable, waits_for_policies};
use super::status::{self, CONFLICT_PATIENCE, Outcome};
use super::{released, removal};
use crate::api::condition::reason;
use crate::api::{LandingZone, LandingZoneStatus, Stage};
use crate::cluster::{ClusterFacts, NoAzure, failure};
use crate::domain;

/// When to look again after transient failures.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long transient failures are nobody's business.
pub(super) const SETTLES_WITHIN: Duration = Duration::from_secs(5);
/// When to look again while pods move off a node pool that is replaced: the next of a workload moves once the last one serves.
const MOVES_ON: Duration = Duration::from_secs(10);
/// The first and the longest wait after somebody else was faster to change something. The watch tells of the change and asks for
/// a look by itself, unless only labels differ; where it is late, nobody gains by trying again and again.
const AFTER_CONFLICT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// The first and the longest wait after errors.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Why a reconcile ended early. What could not be applied is no error: the status tells it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Rendering is wrong.
    #[error("failed to render: {0}")]
    Render(#[from] RenderError),
    /// The status could not be written.
    #[error("failed to write the status: {}", failure(.0))]
    Status(#[source] kube::Error),
    /// The landing zone's metadata could not be written.
    #[error("failed to change the finalizer: {}", failure(.0))]
    Finalizer(#[source] kube::Error),
    /// An object of a landing zone that goes could not be deleted yet.
    #[error("{0} could not be deleted yet: {1}")]
    NotYet(ObjectKey, #[source] WriteError),
    /// It is not known whether the landing zone is still declared as it was seen.
    #[error("failed to look whether it is still declared as it was: {}", failure(.0))]
    Look(#[source] kube::Error),
    /// It is not: the watch will tell.
    #[error("the declaration has changed, which the watch has not told yet")]
    Outdated,
    /// Something about the deletion could not be found out.
    #[error("failed to look whether the namespaces may be deleted: {}", failure(.0))]
    Deletion(#[source] kube::Error),
}

impl Error {
    /// Whether something changed since it was looked at, or the like: looking again is enough.
    fn is_conflict(&self) -> bool {
        match self {
            Self::NotYet(..) | Self::Outdated => true,
            Self::Status(kube::Error::Api(status)) | Self::Finalizer(kube::Error::Api(status)) => {
                status.is_conflict() || status.is_not_found()
            }
            _ => false,
        }
    }
}

/// What is known of a landing zone at the start of a reconcile.
#[derive(Clone)]
pub(super) struct Observation {
    pub zone: LandingZone,
    pub name: String,
    pub facts: ClusterFacts,
    /// What holds for the whole cluster.
    pub platform: Arc<domain::Platform>,
    /// The status as it was last written, and the resource version that goes with it.
    pub status: Option<LandingZoneStatus>,
    pub resource_version: String,
    pub inventory: BTreeSet<ObjectKey>,
}

impl Observation {
    /// UID and generation of the declaration.
    pub fn declaration(&self) -> (Option<String>, Option<i64>) {
        let meta = &self.zone.metadata;
        (meta.uid.clone(), meta.generation)
    }
}

/// Reconciles one landing zone; only looks at it while another operator writes.
pub async fn reconcile(stored: Arc<Stored>, context: Arc<Context>) -> Result<Action, Error> {
    let name = stored.name_any();
    let Some((facts, platform)) = context.picture() else {
        // Whoever completes it asks for every landing zone.
        return Ok(Action::await_change());
    };
    if !context.leadership.has_begun() {
        if look_on(&stored, &context, facts, platform) {
            context.guard.looked_at(&name);
        }
        // Everything is asked for once it writes.
        return Ok(Action::await_change());
    }
    let memory = context.memory(&name);
    let mut memory = memory.lock().await;
    memory.untold = None;
    // What the watch has brought since is no longer remembered: with what was stored before it a status would be written that
    // the API server refuses.
    let stored = context
        .zones
        .get(&ObjectRef::<Stored>::new(&name))
        .unwrap_or(stored);
    let started = Instant::now();
    let result = match &stored.0 {
        Ok(zone) => {
            // It may have come while another reconcile of it worked.
            let version = zone.metadata.resource_version.as_deref();
            memory.leave_to(zone.status.as_ref(), version.unwrap_or_default());
            let observation = observe(zone, &memory, facts, platform);
            if observation.zone.metadata.deletion_timestamp.is_some() {
                context.evictions.keep(&name, None);
                removal::remove(&observation, &context, &mut memory).await
            } else {
                govern(&observation, &context, &mut memory).await
            }
        }
        Err(invalid) => {
            context.evictions.keep(&name, None);
            unreadable(invalid, &context, &mut memory).await
        }
    };
    if memory.waits_since.is_none() {
        context.guard.looked_at(&name);
    }
    context
        .metrics
        .reconcile_seconds
        .observe(started.elapsed().as_secs_f64());
    match result {
        Err(error) if error.is_conflict() => {
            memory.conflicts = memory.conflicts.saturating_add(1);
            let pause = paused(&name, memory.conflicts, AFTER_CONFLICT);
            Ok(Action::requeue(pause))
        }
        result => {
            memory.conflicts = 0;
            result
        }
    }
}

/// When to try again after an error.
pub fn try_again(stored: &Stored, error: &Error, context: &Context) -> Action {
    let name = stored.name_any();
    tracing::warn!(zone = name, %error, "failed to reconcile");
    let memory = context.memory(&name);
    let failures = memory.try_lock().map_or(1, |mut memory| {
        memory.failures = memory.failures.saturating_add(1);
        memory.failures
    });
    Action::requeue(backoff(&name, failures))
}

/// How long somebody waits after so many failures in a row. Whoever failed together does not come back together: the wait
/// is up to a quarter shorter, by name.
pub(super) fn backoff(who: &str, failures: u32) -> Duration {
    paused(who, failures, BACKOFF)
}

/// The same from a first pause to a longest one.
fn paused(who: &str, failures: u32, (first, last): (Duration, Duration)) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(10));
    let longest = first.saturating_mul(factor).min(last);
    let mut hasher = DefaultHasher::new();
    (who, failures).hash(&mut hasher);
    let [place, ..] = hasher.finish().to_be_bytes();
    longest.mul_f64(1.0 - 0.25 * f64::from(place) / f64::from(u8::MAX))
}

impl Observation {
    /// Whether an object is gone because its kind is: with the definitions of Karpenter's kinds all that they stand for goes, unlike
    /// with those of Azure Service Operator, which come back and find in Azure what they left there.
    pub(super) fn is_gone_with_its_kind(&self, key: &ObjectKey) -> bool {
        let kind = key.kind.as_azure().filter(|kind| kind.is_karpenter());
        let found = kind.map(|kind| self.facts.azure_versions(&[kind]));
        matches!(found, Some(Err(NoAzure::Missing(_))))
    }
}

pub(super) fn observe(
    zone: &LandingZone,
    memory: &Memory,
    facts: ClusterFacts,
    platform: Arc<domain::Platform>,
) -> Observation {
    let (status, resource_version) = memory.last_status(zone);
    Observation {
        name: zone.name_any(),
        inventory: status::inventory(status),
        zone: zone.clone(),
        facts,
        platform,
        status: status.cloned(),
        resource_version: resource_version.to_owned(),
    }
}

async fn govern(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
) -> Result<Action, Error> {
    let zone = match domain::LandingZone::validate(&observation.zone, &observation.platform) {
        Ok(zone) => zone,
        Err(problems) => {
            context.evictions.keep(&observation.name, None);
            return invalid(observation, context, memory, &problems).await;
        }
    };
    context
        .evictions
        .keep(&observation.name, evicted_for(&zone));
    if zone.suspend {
        return suspended(observation, context, memory, &zone).await;
    }
    removal::keep_finalizer(observation, context, &zone).await?;
    let mut is_entering = entry::is_entering(observation, context, memory, &zone);
    if decided_by_teams(observation, context, &zone, is_entering).is_none() {
        // Whoever learns of them asks for a reconcile: only where that does not happen it is told.
        let since = *memory.waits_since.get_or_insert_with(Instant::now);
        let left = SETTLES_WITHIN.saturating_sub(since.elapsed());
        if !left.is_zero() {
            return Ok(Action::requeue(left));
        }
        if !is_entering {
            return waits_for_policies(observation, context, memory).await;
        }
        // Packets that are lost for a moment are better than a boundary that never comes.
        is_entering = false;
    }
    memory.waits_since = None;
    let Some(mut prepared) = prepare(observation, context, memory, &zone, is_entering)? else {
        return Ok(Action::await_change());
    };
    if zone.stage == Stage::Plan {
        return planned(observation, context, memory, &zone, &mut prepared).await;
    }
    let round = carry_out(observation, context, memory, &zone, prepared).await?;
    // Azure Service Operator writes into its objects while they are written.
    let in_azure = &round.azure.applied.failed;
    let failed = round.applied.failed.iter().chain(in_azure);
    if is_unsettled(memory, failed, round.now) {
        return Ok(Action::requeue(LOOK_AGAIN));
    }
    if is_entering && round.applied.failed.is_empty() && round.applied.skipped.is_empty() {
        return entry::follows(observation, context, memory, &round).await;
    }
    tell(observation, context, memory, &zone, &round).await
}

/// The placement for which pods are evicted that run elsewhere, where there is one.
fn evicted_for(zone: &domain::LandingZone) -> Option<&domain::Placement> {
    let placement = zone.placement.as_ref();
    let placement = placement.filter(|it| it.evict_misplaced && !it.is_empty());
    placement.filter(|_| zone.stage == Stage::Enforce && !zone.suspend)
}

/// Asks that the pods of a landing zone be where they belong, and says what is known of them; None where nobody
/// is evicted, or nothing is known yet.
fn pods_placed(
    observation: &Observation,
    context: &Context,
    zone: &domain::LandingZone,
    round: &Round,
    looked: Option<&Looked>,
    is_there: impl Fn(&domain::Namespace) -> bool,
) -> Option<Told> {
    let placement = evicted_for(zone)?;
    if looked?.shown != Shown::InForce {
        context.evictions.keep(&observation.name, None);
        return Some(Told::waits_for_placement());
    }
    let namespaces = zone.namespaces.iter().filter(|it| is_there(it));
    let scope = Scope {
        placement: placement.clone(),
        namespaces: namespaces.map(|it| it.name.to_string()).collect(),
    };
    let base = round.base.as_ref();
    let is_as_before = base.and_then(|status| status.applied_digest.as_ref())
        == Some(&round.rendered.digest.to_string());
    let stood = is_as_before && status::were_pods_placed(base);
    let nodes = context.nodes.borrow().clone();
    let name = &observation.name;
    context.evictions.want(name, scope, stood, nodes.as_deref())
}

/// Tells what came of a round, and when to look again.
async fn tell(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    zone: &domain::LandingZone,
    round: &Round,
) -> Result<Action, Error> {
    let applied = &round.applied;
    let base = round.base.as_ref();
    if matches!(round.azure.told, Some(AzureTold::Unknown(_))) {
        // Whoever lists them asks for a reconcile: only where that does not happen it is told.
        let since = *memory.azure_unknown_since.get_or_insert_with(Instant::now);
        let left = SETTLES_WITHIN.saturating_sub(since.elapsed());
        if !left.is_zero() {
            return Ok(Action::requeue(left));
        }
    } else {
        memory.azure_unknown_since = None;
    }
    let is_there = |namespace: &domain::Namespace| {
        let key = ObjectKey::namespace(namespace.name.as_str());
        applied.done.iter().any(|(done, _)| *done == key)
    };
    let placement = placement::look(context, zone, is_there).await;
    if let Some(placement) = placement.as_ref()
        && placement.is_settling
        && applied.failed.is_empty()
    {
        return Ok(Action::requeue(placement.until - Instant::now()));
    }
    let looked = placement.as_ref();
    let pods_placed = pods_placed(observation, context, zone, round, looked, is_there);
    let found = context.guard.found(&observation.name);
    let outcome = Outcome {
        zone,
        rendered: &round.rendered,
        plan: &round.plan,
        applied,
        withheld: &round.withheld,
        shared_code: round.shared_code.as_ref(),
        uids: &memory.uids,
        conflict_is_old: memory
            .conflict_since
            .is_some_and(|since| round.now - since >= CONFLICT_PATIENCE),
        fights: &memory.fights(Instant::now()),
        facts: &observation.facts,
        crossings: &round.crossings.crossings,
        found: found.as_deref(),
        unobserved: &round.unobserved,
        placement: looked,
        azure: round.azure.told.as_ref(),
        evicts: evicted_for(zone).is_some(),
        pods_placed: pods_placed.as_ref(),
    };
    let generation = observation.zone.metadata.generation;
    let mut status = status::after_apply(&outcome, base, generation, Timestamp::now());
    status.released = released::in_status(&round.released, observation.status.as_ref(), context);
    status.inventory = inventory_after(observation, context, round);
    status.drift = memory.drift.clone().or_else(|| base?.drift.clone());
    let complete =
        applied.failed.is_empty() && applied.skipped.is_empty() && round.withheld.is_empty();
    status.applied_digest = complete.then(|| round.rendered.digest.to_string());
    if complete && status::is_first_judgement_due(&status, base) {
        // Whoever judges asks for a reconcile: then all is told at once. Only where that does not happen it is
        // told without.
        // From now on, not since the round began: among many landing zones it may have taken as long as that.
        let since = *memory.unjudged_since.get_or_insert_with(Instant::now);
        let left = SETTLES_WITHIN.saturating_sub(since.elapsed());
        if !left.is_zero() {
            memory.untold = Some((status, round.version.clone()));
            return Ok(Action::requeue(left));
        }
    }
    memory.unjudged_since = None;
    let told = status.crossings.clone();
    let findings = status.findings.clone();
    let flush = publish(observation, context, memory, status, base, &round.version).await?;
    tell_released(observation, context, base, &round.released);
    tell_findings(observation, context, base, &findings);
    crossings::tell(observation, context, base, &told);
    crossings::measure(&observation.name, context, &told);
    let in_azure = &round.azure.applied.failed;
    let mut failed = applied.failed.iter().chain(in_azure);
    if failed.all(|failure| failure.error.is_transient()) {
        // Only now: a status that is refused again and again needs its pauses too.
        memory.failures = 0;
    }
    let placement = placement.map(|placement| placement.until - Instant::now());
    let again = next(&observation.name, memory, round, flush)
        .into_iter()
        .chain(placement)
        .min();
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

/// Whether nothing but transient failures happened, and not for long: then looking again tells
/// more than a status would.
pub(super) fn is_unsettled<'a>(
    memory: &mut Memory,
    failed: impl Iterator<Item = &'a Failure>,
    now: Instant,
) -> bool {
    let mut failed = failed.peekable();
    if failed.peek().is_none() || !failed.all(|failure| failure.error.is_transient()) {
        memory.unsettled_since = None;
        return false;
    }
    let since = *memory.unsettled_since.get_or_insert(now);
    now.duration_since(since) < SETTLES_WITHIN
}

/// What is in the inventory after all was applied: what is the landing zone's own, and what is still
/// there of what was before. Entries of kinds that this version does not know stay.
fn inventory_after(observation: &Observation, context: &Context, round: &Round) -> Vec<String> {
    let objects = context.cache.read();
    // When the flavour changed meanwhile, nobody knows what is still there.
    let known = objects.are_synced(observation.facts.flavour());
    let still_there = observation.inventory.iter().filter(|key| {
        let known = match key.kind {
            Kind::Azure(kind) => {
                objects.is_azure_synced(&[kind]) || observation.is_gone_with_its_kind(key)
            }
            _ => known,
        };
        let is_on_its_way = |found: &Observed| key.kind.is_azure() && found.deleting;
        let found = objects.get(key);
        let ours = found.is_some_and(|found| {
            found.owner.as_ref() == Some(&observation.name)
                || inheritance::is_left_behind(found, |zone| context.exists(zone))
        });
        let pruned = round.applied.pruned.contains(key)
            || round.azure.applied.pruned.contains(key) && !found.is_some_and(is_on_its_way);
        !pruned && (ours || !known)
    });
    let mut names: BTreeSet<String> = still_there.map(ToString::to_string).collect();
    names.extend(round.owned.iter().map(ToString::to_string));
    let released = round.released.iter();
    names.extend(released.map(|released| ObjectKey::namespace(released.name.as_str()).to_string()));
    let recorded = observation
        .status
        .iter()
        .flat_map(|status| &status.inventory);
    names.extend(
        recorded
            .filter(|entry| entry.parse::<ObjectKey>().is_err())
            .cloned(),
    );
    names.into_iter().collect()
}

/// When to look again without being told to.
pub(super) fn next(
    name: &str,
    memory: &Memory,
    round: &Round,
    flush: Option<Instant>,
) -> Option<Duration> {
    let Round { plan, applied, .. } = round;
    let now = Instant::now();
    let mut times: Vec<Instant> = Vec::new();
    times.extend(flush);
    times.extend(plan.postponed.iter().map(|postponed| postponed.until));
    times.extend(memory.peace_at(now));
    times.extend(
        memory
            .conflict_since
            .map(|since| since + CONFLICT_PATIENCE)
            .filter(|at| *at > now),
    );
    // What is transient, or waits for something transient, is looked at again at once; what keeps
    // failing, and what waits for that, only after a pause.
    let transient = |failure: &Failure| failure.error.is_transient();
    let pending = !applied.failed.is_empty() || !applied.skipped.is_empty();
    if pending && applied.failed.iter().all(transient) {
        times.push(now + SETTLES_WITHIN);
    }
    if memory.failures > 0 {
        times.push(now + backoff(name, memory.failures));
    }
    let changes = round.crossings.next_change.and_then(crossings::until);
    times.extend(changes.map(|left| now + left));
    if round.azure.is_transient() {
        times.push(now + SETTLES_WITHIN);
    }
    // What runs on nodes is not watched.
    match &round.azure.told {
        Some(AzureTold::Working(reason::LEAVING, _)) => times.push(now + removal::LOOK_AGAIN),
        Some(AzureTold::Working(reason::REPLACING, _)) => times.push(now + MOVES_ON),
        _ => {}
    }
    let first = times.into_iter().min()?;
    Some(first.saturating_duration_since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_that_lasts_is_tried_less_and_less() {
        let pause = |conflicts| paused("shop", conflicts, AFTER_CONFLICT);
        assert!(pause(1) <= Duration::from_millis(200));
        assert!(pause(4) >= 4 * pause(1));
        assert!(pause(100) <= Duration::from_secs(2) && pause(100) >= Duration::from_millis(1500));
    }

    #[test]
    fn whoever_failed_together_does_not_come_back_together() {
        let names: Vec<_> = (0..100).map(|it| format!("app-{it}")).collect();
        let waits = |failures| names.iter().map(move |name| backoff(name, failures));
        for (failures, longest) in [(1, 1), (2, 2), (5, 16), (7, 60), (u32::MAX, 60)] {
            let longest = Duration::from_secs(longest);
            let all: BTreeSet<_> = waits(failures).collect();
            let (first, last) = (*all.first().unwrap(), *all.last().unwrap());
            assert!(
                last <= longest && first >= longest * 3 / 4,
                "{first:?} to {last:?}"
            );
            assert!(
                last.saturating_sub(first) > longest / 8 && all.len() > 50,
                "{first:?} to {last:?}"
            );
        }
    }
}
