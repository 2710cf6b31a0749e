//! Landing zones to which nothing is done, and what their status says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;

use super::context::Context;
use super::memory::Memory;
use super::reconcile::{Error, Observation};
use super::report::publish;
use super::round::Prepared;
use super::status::{self, Conditions, Progress};
use crate::api::LandingZoneStatus;
use crate::api::condition::reason;
use crate::api::names::{GROUP, VERSION};
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
    context.stands(name, false, false);
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
    let message = format!("nothing was changed, because the declaration is not valid: {sentence}");
    let stuck = Progress::Stuck(reason::INVALID);
    only_conditions(
        observation,
        context,
        memory,
        "False",
        stuck,
        &message,
        |_| {},
    )
    .await
}

/// A landing zone that is left alone.
pub(super) async fn suspended(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    zone: &domain::LandingZone,
) -> Result<Action, Error> {
    let message = "spec.suspend is true: nothing is reconciled and no drift is put back; set it to \
                   false to go on";
    let done = Progress::Done(reason::SUSPENDED);
    let effective = status::effective(zone, observation.facts.flavour());
    only_conditions(
        observation,
        context,
        memory,
        "Unknown",
        done,
        message,
        |status| {
            status.effective = Some(effective);
        },
    )
    .await
}

/// A landing zone that is only planned.
pub(super) async fn planned(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    zone: &domain::LandingZone,
    prepared: &Prepared,
) -> Result<Action, Error> {
    let plan = &prepared.plan;
    let why: BTreeMap<_, _> = prepared
        .withheld
        .iter()
        .map(|(name, withheld)| (name.clone(), withheld.why.clone()))
        .collect();
    let sentences = plan.sentences(&why);
    let message = format!(
        "stage Plan: {} changes would be made, see status.plan; nothing is changed until stage is \
         Enforce",
        plan.writes.len() + plan.prune.len()
    );
    let effective = status::effective(zone, observation.facts.flavour());
    let done = Progress::Done(reason::PLAN_ONLY);
    only_conditions(
        observation,
        context,
        memory,
        "True",
        done,
        &message,
        |status| {
            status.plan = sentences
                .into_iter()
                .take(PLAN_SENTENCES)
                .map(status::shortened)
                .collect();
            status.effective = Some(effective);
        },
    )
    .await
}

/// Writes a status in which only the conditions change: nothing was applied.
pub(super) async fn only_conditions(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    ready: &str,
    progress: Progress,
    message: &str,
    amend: impl FnOnce(&mut LandingZoneStatus),
) -> Result<Action, Error> {
    let generation = observation.zone.metadata.generation;
    let base = observation.status.as_ref();
    let mut conditions = Conditions::of(base, generation, Timestamp::now());
    status::progress(&mut conditions, ready, progress, message);
    let mut status = base.cloned().unwrap_or_default();
    status.conditions = conditions.finish();
    status.observed_generation = generation;
    status.plan.clear();
    amend(&mut status);
    let version = observation.resource_version.clone();
    publish(observation, context, memory, status, base, &version).await?;
    Ok(Action::await_change())
}
