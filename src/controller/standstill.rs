//! Landing zones to which nothing is done, and what their status says.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use tokio::time::Instant;

use super::apply::Failure;
use super::context::{Context, Stands};
use super::crossings;
use super::guard;
use super::left_alone;
use super::memory::Memory;
use super::reconcile::{Error, Observation};
use super::report::{publish, tell_findings};
use super::round::{Prepared, keep_in_order};
use super::status::{self, Conditions, Progress};
use crate::api::condition::{self, reason};
use crate::api::names::{GROUP, VERSION};
use crate::api::{LandingZoneStatus, Stage};
use crate::domain;
use crate::telemetry::{Note, Severity};

/// The status lists at most this much of a plan.
const PLAN_SENTENCES: usize = 100;

/// A declaration that cannot even be read, because it was stored under another schema. Only its
/// conditions are written: what else the status says, the inventory above all, stays as it is.
pub(super) async fn unreadable(
    invalid: &InvalidObject,
    context: &Context,
    memory: &mut Memory,
) -> Result<Action, Error> {
    let meta = &invalid.metadata;
    let declaration = (meta.uid.clone(), meta.generation);
    let name = meta.name.as_deref().unwrap_or_default();
    let stands = Stands {
        is_ready: false,
        is_contested: false,
        not_held: None,
    };
    context.stands(name, stands);
    if memory.unreadable.as_ref() == Some(&declaration) {
        return Ok(Action::await_change());
    }
    let message = format!(
        "nothing was changed, because the declaration cannot be read: {}; correct it, or apply the \
         CustomResourceDefinition that belongs to this operator",
        invalid.error
    );
    tracing::error!(
        zone = name,
        error = invalid.error,
        "cannot read the landing zone"
    );
    let mut conditions = Conditions::of(None, meta.generation, Timestamp::now());
    let stuck = Progress::Stuck(reason::INVALID);
    status::progress(&mut conditions, "False", stuck, &message);
    status::write_conditions(&context.client, name, meta.generation, &conditions.finish())
        .await
        .map_err(Error::Status)?;
    let regarding = ObjectReference {
        api_version: Some(format!("{GROUP}/{VERSION}")),
        kind: Some("LandingZone".to_owned()),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        ..ObjectReference::default()
    };
    context.events.note(Note {
        regarding,
        severity: Severity::Warning,
        reason: "NotReady",
        text: message,
    });
    memory.unreadable = Some(declaration);
    Ok(Action::await_change())
}

/// A declaration that breaks a rule which admission did not catch.
pub(super) async fn invalid(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    problems: &[domain::Problem],
) -> Result<Action, Error> {
    let sentence = status::sentence(problems.iter().map(ToString::to_string));
    let mut message =
        format!("nothing was changed, because the declaration is not valid: {sentence}");
    let spec = &observation.zone.spec;
    let is_left_alone = spec.suspend == Some(true) || spec.stage == Some(Stage::Plan);
    // What was valid last is known unless the operator started since; what was only planned was never
    // in force.
    let last = context
        .rendered(&observation.name)
        .filter(|last| !is_left_alone && last.zone.stage != Stage::Plan);
    let mut look_again = None;
    if let Some(last) = &last {
        message += "; what was declared before is kept in order meanwhile";
        let kept = keep_in_order(observation, context, memory, &last.zone).await?;
        look_again = kept.look_again;
        for failure in kept.failed {
            let Failure { key, error } = failure;
            message = format!("{message}; {key} cannot be put right: {error}");
        }
    } else {
        message += "; no drift is put back until it is";
    }
    let said = Said {
        ready: "False",
        progress: Progress::Stuck(reason::INVALID),
        message,
        looked_after: last.is_some(),
        look_again,
    };
    only_conditions(observation, context, memory, said, |_| {}).await
}

/// A landing zone that is left alone.
pub(super) async fn suspended(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    zone: &domain::LandingZone,
) -> Result<Action, Error> {
    left_alone::tell_guard(observation, context, memory, zone);
    let message = "spec.suspend is true: nothing is reconciled and no drift is put back; set it to \
                   false to go on";
    let effective = status::effective(zone, observation.facts.flavour());
    let said = Said {
        ready: "Unknown",
        progress: Progress::Done(reason::SUSPENDED),
        message: message.to_owned(),
        looked_after: false,
        look_again: None,
    };
    only_conditions(observation, context, memory, said, |status| {
        status.effective = Some(effective);
    })
    .await
}

/// A landing zone that is to be observed before others' policies are known.
pub(super) async fn waits_for_policies(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
) -> Result<Action, Error> {
    let message = "stage Observe waits until the operator knows everybody's policies; if it stays so, its \
                   /readyz and its log say why they cannot be read";
    let said = Said {
        ready: "Unknown",
        progress: Progress::Working(reason::PROGRESSING),
        message: message.to_owned(),
        looked_after: false,
        look_again: None,
    };
    only_conditions(observation, context, memory, said, |_| {}).await
}

/// A landing zone that is only planned.
pub(super) async fn planned(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    zone: &domain::LandingZone,
    prepared: &mut Prepared,
) -> Result<Action, Error> {
    left_alone::tell_guard(observation, context, memory, zone);
    let flavour = observation.facts.flavour();
    context.writer.examine(&mut prepared.plan, flavour).await;
    let plan = &prepared.plan;
    let why: BTreeMap<_, _> = prepared
        .withheld
        .iter()
        .map(|(name, withheld)| (name.clone(), withheld.why.clone()))
        .collect();
    let mut sentences = plan.sentences(&why, &observation.inventory);
    let in_azure = prepared.azure.sentences(&observation.inventory);
    let message = format!(
        "stage Plan: {} changes would be made, see status.plan; nothing is changed until stage is \
         Observe or Enforce",
        plan.writes.len() + plan.prune.len() + prepared.azure.changes()
    );
    sentences.extend(in_azure);
    let effective = status::effective(zone, flavour);
    let said = Said {
        ready: "True",
        progress: Progress::Done(reason::PLAN_ONLY),
        message,
        looked_after: false,
        look_again: prepared.crossings.next_change.and_then(crossings::until),
    };
    only_conditions(observation, context, memory, said, |status| {
        status.plan = sentences
            .into_iter()
            .take(PLAN_SENTENCES)
            .map(status::shortened)
            .collect();
        status.effective = Some(effective);
        let before = std::mem::take(&mut status.crossings);
        status.crossings.clone_from(&prepared.crossings.crossings);
        for crossing in &mut status.crossings {
            // What an earlier stage opened stays open, and nothing else opens.
            let stood = before.iter().find(|it| crossings::is_same(it, crossing));
            crossing.open = stood.map(|it| it.open.clone()).unwrap_or_default();
        }
    })
    .await
}

/// What is said of a landing zone to which nothing new is done.
pub(super) struct Said {
    /// State of the condition Ready.
    pub ready: &'static str,
    pub progress: Progress,
    pub message: String,
    /// Whether drift is put back: otherwise nobody knows how namespaces and policies are.
    pub looked_after: bool,
    /// When to look again, where not all that helps can be watched.
    pub look_again: Option<Duration>,
}

/// Writes a status in which only the conditions change, and the drift that was counted.
pub(super) async fn only_conditions(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    said: Said,
    amend: impl FnOnce(&mut LandingZoneStatus),
) -> Result<Action, Error> {
    let generation = observation.zone.metadata.generation;
    let base = observation.status.as_ref();
    let mut conditions = Conditions::of(base, generation, Timestamp::now());
    status::progress(&mut conditions, said.ready, said.progress, &said.message);
    if !said.looked_after {
        status::nobody_looks(&mut conditions, said.progress);
    }
    // Drift is put back in a standstill, but nobody is evicted.
    status::nobody_looks_after(&mut conditions, condition::PODS_PLACED, said.progress);
    let mut status = base.cloned().unwrap_or_default();
    if said.looked_after
        && let Some(found) = context.guard.found(&observation.name)
    {
        status::boundary_held(&mut conditions, Some(&found));
        status.findings = guard::in_status(&found);
    }
    let findings = status.findings.clone();
    status.conditions = conditions.finish();
    status.observed_generation = generation;
    status.plan.clear();
    if !said.looked_after {
        status.namespaces_ready = None;
    }
    status.drift = memory.drift.clone().or(status.drift);
    amend(&mut status);
    let version = observation.resource_version.clone();
    let flush = publish(observation, context, memory, status, base, &version).await?;
    tell_findings(observation, context, base, &findings);
    let flush = flush.map(|due| due.saturating_duration_since(Instant::now()));
    let next = flush.into_iter().chain(said.look_again).min();
    Ok(next.map_or_else(Action::await_change, Action::requeue))
}
