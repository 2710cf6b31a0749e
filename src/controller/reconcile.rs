//! One landing zone: observe → validate → build → compare → apply → status.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use tokio::time::Instant;

use super::apply::{Applied, Behalf, Failure};
use super::context::{Context, Stored};
use super::inheritance;
use super::kind::{Kind, ObjectKey};
use super::memory::Memory;
use super::plan::{Basis, Plan, plan};
use super::released::released;
use super::rendered::{RenderError, Rendered, Source};
use super::report::{publish, remember, report};
use super::standstill::{invalid, planned, suspended, unreadable};
use super::status::{self, CONFLICT_PATIENCE, Conditions, Outcome, Progress, Withheld};
use super::withheld::withheld;
use super::{removal, tiers};
use crate::api::condition::reason;
use crate::api::{LandingZone, LandingZoneStatus, Stage};
use crate::build::Released;
use crate::cluster::{ClusterFacts, failure};
use crate::domain;

/// When to look again after transient failures.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long transient failures are nobody's business.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);
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
    /// Something about the deletion could not be found out.
    #[error("failed to look whether the namespaces may be deleted: {}", failure(.0))]
    Deletion(#[source] kube::Error),
}

impl Error {
    /// Whether the landing zone changed since it was looked at: looking again is enough.
    fn is_conflict(&self) -> bool {
        match self {
            Self::Status(kube::Error::Api(status)) | Self::Finalizer(kube::Error::Api(status)) => {
                status.is_conflict() || status.is_not_found()
            }
            _ => false,
        }
    }
}

/// What is known of a landing zone at the start of a reconcile.
pub(super) struct Observation {
    pub zone: LandingZone,
    pub name: String,
    pub facts: ClusterFacts,
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

/// Reconciles one landing zone.
pub async fn reconcile(stored: Arc<Stored>, context: Arc<Context>) -> Result<Action, Error> {
    let name = stored.name_any();
    let Some(facts) = context
        .facts()
        .filter(|facts| context.cache.read().are_synced(facts.flavour()))
    else {
        // Whoever completes the picture asks for every landing zone.
        return Ok(Action::await_change());
    };
    let memory = context.memory(&name);
    let mut memory = memory.lock().await;
    let started = Instant::now();
    let result = match &stored.0 {
        Ok(zone) => {
            let observation = observe(zone, &memory, facts);
            if observation.zone.metadata.deletion_timestamp.is_some() {
                removal::remove(&observation, &context, &mut memory).await
            } else {
                govern(&observation, &context, &mut memory).await
            }
        }
        Err(invalid) => unreadable(invalid, &context, &mut memory).await,
    };
    context
        .metrics
        .reconcile_seconds
        .observe(started.elapsed().as_secs_f64());
    result.or_else(|error| {
        if error.is_conflict() {
            Ok(soon())
        } else {
            Err(error)
        }
    })
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
    Action::requeue(backoff(failures))
}

fn backoff(failures: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(10));
    BACKOFF.0.saturating_mul(factor).min(BACKOFF.1)
}

pub(super) fn soon() -> Action {
    Action::requeue(Duration::from_millis(200))
}

fn observe(zone: &LandingZone, memory: &Memory, facts: ClusterFacts) -> Observation {
    let seen = zone.metadata.resource_version.clone().unwrap_or_default();
    let number = |version: &str| version.parse::<u128>().unwrap_or(0);
    // Our own last write may not have come back through the watch yet.
    let (status, resource_version) = match &memory.written {
        Some((status, version)) if number(version) > number(&seen) => {
            (Some(status.clone()), version.clone())
        }
        _ => (zone.status.clone(), seen),
    };
    Observation {
        name: zone.name_any(),
        inventory: status::inventory(status.as_ref()),
        zone: zone.clone(),
        facts,
        status,
        resource_version,
    }
}

async fn govern(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
) -> Result<Action, Error> {
    let zone = match domain::LandingZone::validate(&observation.zone, &context.platform) {
        Ok(zone) => zone,
        Err(problems) => return invalid(observation, context, memory, &problems).await,
    };
    if zone.suspend {
        return suspended(observation, context, memory, &zone).await;
    }
    removal::keep_finalizer(observation, context, &zone).await?;
    let flavour = observation.facts.flavour();

    let withheld = withheld(observation, context, memory, &zone);
    let released = released(observation, context, &zone);
    let rendered = render(observation, context, &zone, &withheld, released.clone())?;

    let now = Instant::now();
    memory.tidy(now);
    let applied_before = !memory.compared && applied_before(observation, &rendered);
    let lost = lost_namespaces(context, memory, &rendered, applied_before);
    let left_alone = left_alone(&withheld, &released);
    let recorded_keys = recorded_keys(observation);
    let exists = |zone: &str| context.exists(zone);
    let inherited = inheritance::due(
        &observation.name,
        &observation.inventory,
        &context.cache.read(),
        exists,
    );
    let basis = Basis {
        rendered: &rendered,
        recorded_keys: &recorded_keys,
        inventory: &observation.inventory,
        inherited: &inherited,
        left_alone: &left_alone,
        applied_before,
        lost: &lost,
        memory,
        now,
    };
    let plan = {
        let objects = context.cache.read();
        if !objects.are_synced(flavour) {
            // The flavour changed just now. Not one object of it is known yet, which says nothing
            // about what is there.
            return Ok(Action::await_change());
        }
        plan(&basis, &objects)
    };
    if zone.stage == Stage::Plan {
        return planned(observation, context, memory, &zone, &plan, &withheld).await;
    }

    let owned = owned_objects(observation, context, &rendered);
    let (base, version) = record_inventory(observation, context, memory, &owned, &plan).await?;
    let blocked = tiers::ensure(context, flavour).await?;
    let behalf = Behalf {
        zone: &observation.name,
        adoption: zone.adoption_policy,
        flavour,
    };
    let applied = context.writer.apply(&plan, blocked, behalf).await;

    report(observation, context, memory, &applied, &lost, &plan);
    remember(context, memory, &applied);
    if is_unsettled(memory, &applied, now) {
        return Ok(Action::requeue(LOOK_AGAIN));
    }
    let round = Round {
        zone: &zone,
        rendered: &rendered,
        plan: &plan,
        applied: &applied,
        withheld: &withheld,
        released: &released,
        owned: &owned,
        base: base.as_ref(),
        version: &version,
        now,
    };
    tell(observation, context, memory, &round).await
}

/// One round of a landing zone: what was declared, planned and applied.
struct Round<'a> {
    zone: &'a domain::LandingZone,
    rendered: &'a Rendered,
    plan: &'a Plan,
    applied: &'a Applied,
    withheld: &'a BTreeMap<String, Withheld>,
    released: &'a [Released],
    owned: &'a BTreeSet<ObjectKey>,
    /// The status as it stands, and the resource version that goes with it.
    base: Option<&'a LandingZoneStatus>,
    version: &'a str,
    now: Instant,
}

/// Tells what came of a round, and when to look again.
async fn tell(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    round: &Round<'_>,
) -> Result<Action, Error> {
    let &Round {
        applied, base, now, ..
    } = round;
    let outcome = Outcome {
        zone: round.zone,
        rendered: round.rendered,
        plan: round.plan,
        applied,
        withheld: round.withheld,
        uids: &memory.uids,
        conflict_is_old: memory
            .conflict_since
            .is_some_and(|since| now - since >= CONFLICT_PATIENCE),
        fights: &memory.fights(Instant::now()),
        facts: &observation.facts,
    };
    let generation = observation.zone.metadata.generation;
    let mut status = status::after_apply(&outcome, base, generation, Timestamp::now());
    status.released = round.released.iter().map(Into::into).collect();
    status.inventory = inventory_after(observation, context, round.owned, applied);
    status.drift = memory.drift.clone().or_else(|| base?.drift.clone());
    let complete =
        applied.failed.is_empty() && applied.skipped.is_empty() && round.withheld.is_empty();
    status.applied_digest = complete.then(|| round.rendered.digest.to_string());
    let flush = publish(observation, context, memory, status, base, round.version).await?;
    if applied
        .failed
        .iter()
        .all(|failure| failure.error.is_transient())
    {
        // Only now: a status that is refused again and again needs its pauses too.
        memory.failures = 0;
    }
    Ok(next(memory, round.plan, applied, flush))
}

fn render(
    observation: &Observation,
    context: &Context,
    zone: &domain::LandingZone,
    withheld: &BTreeMap<String, Withheld>,
    released: Vec<Released>,
) -> Result<Arc<Rendered>, Error> {
    let source = Source {
        declaration: observation.declaration(),
        flavour: observation.facts.flavour(),
        withheld: withheld.keys().cloned().collect(),
        released,
    };
    if let Some(known) = context.rendered(&observation.name)
        && known.source == source
    {
        return Ok(known);
    }
    let rendered = Arc::new(Rendered::of(zone.clone(), source, &context.platform)?);
    context.set_rendered(&observation.name, rendered.clone());
    Ok(rendered)
}

/// Whether nothing but transient failures happened, and not for long: then looking again tells
/// more than a status would.
fn is_unsettled(memory: &mut Memory, applied: &Applied, now: Instant) -> bool {
    let transient = |failure: &Failure| failure.error.is_transient();
    if applied.failed.is_empty() || !applied.failed.iter().all(transient) {
        memory.unsettled_since = None;
        return false;
    }
    let since = *memory.unsettled_since.get_or_insert(now);
    now.duration_since(since) < SETTLES_WITHIN
}

/// Namespaces that were in force and are gone, with all that was in them.
fn lost_namespaces(
    context: &Context,
    memory: &mut Memory,
    rendered: &Rendered,
    applied_before: bool,
) -> BTreeSet<String> {
    let objects = context.cache.read();
    let lost: BTreeSet<_> = rendered
        .targets
        .iter()
        .filter(|target| target.key.kind == Kind::Namespace)
        .filter(|target| applied_before || memory.in_force.contains_key(&target.key))
        .filter(|target| objects.get(&target.key).is_none_or(|found| found.deleting))
        .map(|target| target.key.name.clone())
        .collect();
    for namespace in &lost {
        memory.namespace_gone(namespace);
    }
    lost
}

fn left_alone(withheld: &BTreeMap<String, Withheld>, released: &[Released]) -> BTreeSet<String> {
    let released = released.iter().map(|released| released.name.to_string());
    withheld.keys().cloned().chain(released).collect()
}

fn recorded_keys(observation: &Observation) -> BTreeMap<String, BTreeSet<String>> {
    let namespaces = observation
        .status
        .iter()
        .flat_map(|status| &status.namespaces);
    namespaces
        .map(|namespace| {
            (
                namespace.name.clone(),
                namespace.keys.iter().cloned().collect(),
            )
        })
        .collect()
}

/// Whether exactly this was in force when the operator started.
fn applied_before(observation: &Observation, rendered: &Rendered) -> bool {
    let status = observation.status.as_ref();
    let digest = status.and_then(|status| status.applied_digest.as_ref());
    digest == Some(&rendered.digest.to_string())
}

/// What is the landing zone's own after this reconcile: what was rendered, and what it takes over
/// from landing zones that are gone.
fn owned_objects(
    observation: &Observation,
    context: &Context,
    rendered: &Rendered,
) -> BTreeSet<ObjectKey> {
    let exists = |zone: &str| zone == observation.name || context.exists(zone);
    let namespaces = rendered.targets.iter().map(|target| &target.key);
    let namespaces = namespaces.filter(|key| key.kind == Kind::Namespace);
    let taken_over = inheritance::taken_over(namespaces, &context.cache.read(), exists);
    rendered.keys().into_iter().chain(taken_over).collect()
}

/// Records the names of what will be created, before it is: a crash in between orphans nothing.
/// Returns the status as it stands then, and the resource version that goes with it.
async fn record_inventory(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    owned: &BTreeSet<ObjectKey>,
    plan: &Plan,
) -> Result<(Option<LandingZoneStatus>, String), Error> {
    let is_new = |write: &&super::plan::Write| !observation.inventory.contains(&write.target.key);
    if !plan.writes.iter().any(|write| is_new(&write)) {
        return Ok((
            observation.status.clone(),
            observation.resource_version.clone(),
        ));
    }
    let generation = observation.zone.metadata.generation;
    let mut status = observation.status.clone().unwrap_or_default();
    let mut names: BTreeSet<String> = status.inventory.into_iter().collect();
    names.extend(owned.iter().map(ToString::to_string));
    status.inventory = names.into_iter().collect();
    let mut conditions = Conditions::of(observation.status.as_ref(), generation, Timestamp::now());
    let message = format!("{} objects are being written", plan.writes.len());
    let working = Progress::Working(reason::PROGRESSING);
    status::progress(&mut conditions, "Unknown", working, &message);
    status.conditions = conditions.finish();
    status.observed_generation = generation;
    status.applied_digest = None;
    let zone = &observation.zone;
    let version = status::write(
        &context.client,
        zone,
        &observation.resource_version,
        &status,
    )
    .await
    .map_err(Error::Status)?;
    memory.written = Some((status.clone(), version.clone()));
    Ok((Some(status), version))
}

/// What is in the inventory after all was applied: what is the landing zone's own, and what is still
/// there of what was before. Entries of kinds that this version does not know stay.
fn inventory_after(
    observation: &Observation,
    context: &Context,
    owned: &BTreeSet<ObjectKey>,
    applied: &Applied,
) -> Vec<String> {
    let objects = context.cache.read();
    // When the flavour changed meanwhile, nobody knows what is still there.
    let known = objects.are_synced(observation.facts.flavour());
    let still_there = observation.inventory.iter().filter(|key| {
        let found = objects.get(key);
        let ours = found.is_some_and(|found| {
            found.owner.as_ref() == Some(&observation.name)
                || inheritance::is_left_behind(found, |zone| context.exists(zone))
        });
        !applied.pruned.contains(key) && (ours || !known)
    });
    let mut names: BTreeSet<String> = still_there.map(ToString::to_string).collect();
    names.extend(owned.iter().map(ToString::to_string));
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
fn next(memory: &Memory, plan: &Plan, applied: &Applied, flush: Option<Instant>) -> Action {
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
        times.push(now + backoff(memory.failures));
    }
    times
        .into_iter()
        .min()
        .map_or_else(Action::await_change, |at| {
            Action::requeue(at.saturating_duration_since(now))
        })
}
