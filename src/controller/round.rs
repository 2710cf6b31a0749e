//! One round of a landing zone: what is declared, built and compared, then applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::Api;
use tokio::time::Instant;

use super::apply::{Applied, Behalf, Failure};
use super::azure;
use super::cache::Objects;
use super::context::Context;
use super::crossings;
use super::inheritance;
use super::kind::{Kind, ObjectKey};
use super::memory::{Memory, WrittenStatus};
use super::plan::{Basis, Change, Half, Plan, Write, plan};
use super::pretenders::Pretenders;
use super::reconcile::{Error, LOOK_AGAIN, Observation, next};
use super::released::{recorded_keys, released};
use super::rendered::{Rendered, Source};
use super::report::{remember, report};
use super::status::{self, Conditions, Progress, Withheld};
use super::tiers;
use super::withheld::{Claimed, claimed};
use crate::api::condition::reason;
use crate::api::{LandingZone, LandingZoneStatus, Stage};
use crate::build::Released;
use crate::domain::{self, PolicyApi, Resolved, TeamPolicies};

/// What is to be done, before any request.
pub(super) struct Prepared {
    pub rendered: Arc<Rendered>,
    pub plan: Plan,
    pub withheld: BTreeMap<String, Withheld>,
    pub shared_code: Option<Withheld>,
    pub released: Vec<Released>,
    /// What is open across the boundary.
    pub crossings: Resolved,
    /// What stage Observe cannot see, a sentence each.
    pub unobserved: Vec<String>,
    /// What is to be done in Azure.
    pub azure: azure::Prepared,
    /// Namespaces that were in force and are gone.
    lost: BTreeSet<String>,
    now: Instant,
}

/// What was done.
pub(super) struct Round {
    pub rendered: Arc<Rendered>,
    pub plan: Plan,
    pub applied: Applied,
    pub withheld: BTreeMap<String, Withheld>,
    pub shared_code: Option<Withheld>,
    pub released: Vec<Released>,
    /// What is open across the boundary.
    pub crossings: Resolved,
    /// What stage Observe cannot see, a sentence each.
    pub unobserved: Vec<String>,
    /// What was done in Azure.
    pub azure: azure::Round,
    /// What is the landing zone's own now.
    pub owned: BTreeSet<ObjectKey>,
    /// The status as it stands, and the resource version that goes with it.
    pub base: Option<LandingZoneStatus>,
    pub version: String,
    /// When it began.
    pub now: Instant,
}

impl Prepared {
    /// Leaves out whatever would bring a namespace into being, and what would be in it.
    pub(super) fn keep_to_what_is_there(&mut self, objects: &Objects) {
        let is_there = |namespace: &str| objects.get(&ObjectKey::namespace(namespace)).is_some();
        self.lost.clear();
        self.plan.writes.retain(|write| {
            let creates = matches!(write.change, Change::Create);
            !creates || write.target.key.in_namespace().is_none_or(is_there)
        });
        self.azure.keep_to_what_is_there();
    }
}

/// Compares what is declared with what is there. None while the objects of another flavour are known
/// only. `is_entering`, the landing zone is observed first.
pub(super) fn prepare(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    zone: &domain::LandingZone,
    is_entering: bool,
) -> Result<Option<Prepared>, Error> {
    let flavour = observation.facts.flavour();
    let Claimed {
        withheld,
        shared_code,
    } = claimed(observation, context, memory, zone);
    let released = released(observation, context, zone);
    let mut crossings = crossings::resolved(observation, context, memory, zone);
    let withheld_names: BTreeSet<String> = withheld.keys().cloned().collect();
    crossings.openings.pretenders = {
        let objects = context.cache.read();
        let pretenders = Pretenders {
            objects: &objects,
            known: &|name| context.zone(name),
        };
        pretenders.of(zone, &withheld_names, &released, &crossings.openings)
    };
    let Some((teams, unobserved)) = decided_by_teams(observation, context, zone, is_entering)
    else {
        // Whoever learns of them asks for a reconcile.
        return Ok(None);
    };
    let source = Source {
        declaration: observation.declaration(),
        flavour,
        platform: observation.platform.clone(),
        withheld: withheld_names,
        released: released.clone(),
        openings: crossings.openings.clone(),
        teams,
        is_entering,
        azure: azure::source(observation, context, zone),
    };
    let rendered = render(observation, context, zone, source)?;

    let now = Instant::now();
    memory.tidy(now);
    let applied_before = !memory.compared && applied_before(observation, &rendered);
    let lost = lost_namespaces(context, memory, &rendered, applied_before);
    let left_alone = left_alone(&withheld, &released);
    let recorded_keys = recorded_keys(observation.status.as_ref());
    let exists = |zone: &str| context.exists(zone);
    let inherited = inheritance::due(
        &observation.name,
        &observation.inventory,
        &context.cache.read(),
        exists,
        |namespace, uid| context.had(namespace, uid),
    );
    let basis = Basis {
        half: Half::Cluster,
        owner: &observation.name,
        targets: &rendered.targets,
        recorded_keys: &recorded_keys,
        inventory: &observation.inventory,
        inherited: &inherited,
        left_alone: &left_alone,
        applied_before,
        lost: &lost,
        memory,
        now,
    };
    let objects = context.cache.read();
    if !objects.are_synced(flavour) {
        // The flavour changed just now. Not one object of it is known yet, which says nothing
        // about what is there.
        return Ok(None);
    }
    let plan = plan(&basis, &objects);
    drop(objects);
    let azure = azure::prepare(observation, context, memory, zone, &rendered, now);
    let mut objects = context.cache.write();
    objects.strip(&observation.name, |key| rendered.get(key).is_some());
    drop(objects);
    Ok(Some(Prepared {
        rendered,
        plan,
        withheld,
        shared_code,
        released,
        crossings,
        unobserved,
        azure,
        lost,
        now,
    }))
}

/// Applies what was prepared, remembers it and reports it.
pub(super) async fn carry_out(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    zone: &domain::LandingZone,
    prepared: Prepared,
) -> Result<Round, Error> {
    let Prepared {
        rendered,
        plan,
        withheld,
        shared_code,
        released,
        crossings,
        unobserved,
        azure,
        lost,
        now,
    } = prepared;
    let flavour = observation.facts.flavour();
    let mut owned = owned_objects(observation, context, &rendered);
    owned.extend(azure.targets(&rendered).cloned());
    let plans = std::iter::once(&plan).chain(azure.plan());
    let writes: Vec<_> = plans.flat_map(|plan| &plan.writes).collect();
    let (base, version) = record_inventory(observation, context, memory, &owned, &writes).await?;
    let is_creation =
        |write: &&Write| matches!(write.change, Change::Create | Change::Replace { .. });
    // A status that was just written on its version says the same.
    if version == observation.resource_version && writes.iter().any(is_creation) {
        is_still_declared(observation, context).await?;
    }
    let blocked = tiers::ensure(context, flavour).await?;
    let behalf = Behalf {
        zone: &observation.name,
        adoption: zone.adoption_policy,
        flavour,
    };
    let applied = context.writer.apply(&plan, blocked, behalf).await;
    memory.opened = Some(crossings.openings.crossings.clone());
    context.guard.governs(&rendered.zone, &crossings);
    azure::lets_out(observation, context, zone, &crossings.openings);
    report(observation, context, memory, &applied, &lost, &plan);
    remember(context, Some(&observation.name), memory, &applied);
    let azure = azure::carry_out(observation, context, memory, azure, behalf, &rendered).await;
    Ok(Round {
        rendered,
        plan,
        applied,
        withheld,
        shared_code,
        released,
        crossings,
        unobserved,
        azure,
        owned,
        base,
        version,
        now,
    })
}

/// What came of keeping things in order.
#[derive(Default)]
pub(super) struct Kept {
    /// What could not be put right.
    pub failed: Vec<Failure>,
    /// When to look again.
    pub look_again: Option<Duration>,
}

/// Puts right what is there, and says what could not be. What is gone stays gone: while nothing else
/// goes on, somebody may be clearing up by hand.
pub(super) async fn keep_in_order(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    zone: &domain::LandingZone,
) -> Result<Kept, Error> {
    if !zone.is_in_force() {
        return Ok(Kept::default());
    }
    let Some(mut prepared) = prepare(observation, context, memory, zone, false)? else {
        return Ok(Kept::default());
    };
    prepared.keep_to_what_is_there(&context.cache.read());
    let round = carry_out(observation, context, memory, zone, prepared).await?;
    let mut look_again = next(&observation.name, memory, &round, None);
    let transient = |failure: &Failure| failure.error.is_transient();
    let (soon_over, failed): (Vec<_>, Vec<_>) =
        round.applied.failed.into_iter().partition(transient);
    if !soon_over.is_empty() {
        look_again = Some(LOOK_AGAIN);
    }
    if failed.is_empty() {
        memory.failures = 0;
    }
    Ok(Kept { failed, look_again })
}

fn render(
    observation: &Observation,
    context: &Context,
    zone: &domain::LandingZone,
    source: Source,
) -> Result<Arc<Rendered>, Error> {
    if let Some(known) = context.rendered(&observation.name)
        && known.source == source
    {
        return Ok(known);
    }
    let rendered = Arc::new(Rendered::of(zone.clone(), source)?);
    context.set_rendered(&observation.name, rendered.clone());
    Ok(rendered)
}

/// Where others' policies decide, and what is not observed because of it; None until that is known.
/// It matters only where a landing zone is observed, and there where the operator logs and allows.
pub(super) fn decided_by_teams(
    observation: &Observation,
    context: &Context,
    zone: &domain::LandingZone,
    is_entering: bool,
) -> Option<(TeamPolicies, Vec<String>)> {
    let flavour = observation.facts.flavour();
    let logs = flavour.api != PolicyApi::Kubernetes && !flavour.staged;
    let is_observed = is_entering || zone.stage == Stage::Observe;
    if !is_observed || !logs {
        return Some(<_>::default());
    }
    let policies = context.team_policies.read();
    let policies = policies.unwrap_or_else(PoisonError::into_inner);
    // Policies select what was released, too.
    let released = released(observation, context, zone);
    let declared = zone.namespaces.iter().map(|namespace| &namespace.name);
    let all: BTreeSet<_> = declared.chain(released.iter().map(|it| &it.name)).collect();
    policies.decided(all.into_iter())
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
        .map(|target| target.key.name.to_string())
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

/// Whether exactly this was in force when the operator started.
fn applied_before(observation: &Observation, rendered: &Rendered) -> bool {
    let status = observation.status.as_ref();
    let digest = status.and_then(|status| status.applied_digest.as_ref());
    digest == Some(&rendered.digest.to_string())
}

/// What is the landing zone's own after this reconcile: what was rendered, what it released, and what it
/// takes over from landing zones that are gone.
fn owned_objects(
    observation: &Observation,
    context: &Context,
    rendered: &Rendered,
) -> BTreeSet<ObjectKey> {
    let exists = |zone: &str| zone == observation.name || context.exists(zone);
    let namespaces = rendered.targets.iter().map(|target| &target.key);
    let namespaces = namespaces.filter(|key| key.kind == Kind::Namespace);
    let taken_over = inheritance::taken_over(namespaces, &context.cache.read(), exists);
    let released = rendered.source.released.iter();
    let released = released.map(|it| ObjectKey::namespace(it.name.as_str()));
    let rendered = rendered.keys().into_iter();
    rendered.chain(taken_over).chain(released).collect()
}

/// Asks the API server itself whether a landing zone is still declared as it was seen. What is changed and deleted bears the version
/// that it was decided on; what is created bears none, and would stay for ever where a watch is late to tell that the landing zone
/// went, after it told that its objects did.
async fn is_still_declared(observation: &Observation, context: &Context) -> Result<(), Error> {
    let zones = Api::<LandingZone>::all(context.client.clone());
    let now = zones.get_metadata_opt(&observation.name).await;
    let now = now.map_err(Error::Look)?.map(|it| it.metadata);
    let seen = &observation.zone.metadata;
    let is_same = now.is_some_and(|it| it.uid == seen.uid && it.generation == seen.generation);
    if is_same {
        Ok(())
    } else {
        Err(Error::Outdated)
    }
}

/// Records the names of what will be created, before it is: a crash in between orphans nothing.
/// Returns the status as it stands then, and the resource version that goes with it.
async fn record_inventory(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    owned: &BTreeSet<ObjectKey>,
    writes: &[&Write],
) -> Result<(Option<LandingZoneStatus>, String), Error> {
    let is_new = |write: &&Write| !observation.inventory.contains(&write.target.key);
    if !writes.iter().any(is_new) {
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
    let message = format!("{} objects are being written", writes.len());
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
    memory.written = Some(WrittenStatus::new(status.clone(), version.clone()));
    Ok((Some(status), version))
}
