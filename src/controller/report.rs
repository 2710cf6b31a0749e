//! What is remembered, counted and told after a plan was carried out, and when the status is
//! written.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tokio::time::Instant;

use super::apply::{Applied, Repaired};
use super::context::{Context, Stands, Stored};
use super::guard;
use super::kind::Kind;
use super::memory::{Memory, WrittenStatus};
use super::plan::Plan;
use super::pressure::LONGEST_WAIT;
use super::reconcile::{Error, Observation};
use super::status;
use crate::api::condition::{self, reason};
use crate::api::{BoundaryFinding, DriftRepair, LandingZone, LandingZoneStatus};
use crate::build::Released;
use crate::cluster::failure;
use crate::telemetry::Severity;

/// Drift counts are written at most this often.
const DRIFT_GATHERS: Duration = Duration::from_secs(5);
/// How often it is looked whether there is still so much to write that they wait.
const GLANCE: Duration = Duration::from_millis(500);
/// Last words that are under way at once.
const IN_FLIGHT: usize = 32;

/// Remembers what is in force now, of a landing zone or of the platform.
pub(super) fn remember(
    context: &Context,
    zone: Option<&str>,
    memory: &mut Memory,
    applied: &Applied,
) {
    let mut objects = context.cache.write();
    // A landing zone that went meanwhile is forgotten, and its objects say themselves what they are for.
    let is_known = zone.is_none_or(|zone| context.rendered(zone).is_some());
    for (key, digest) in &applied.done {
        if is_known {
            objects.settle(key, *digest);
        }
        memory.in_force.insert(key.clone(), *digest);
        if key.kind == Kind::Namespace
            && let Some(found) = objects.get(key)
        {
            memory.uids.insert(key.name.to_string(), found.uid.clone());
            memory.lost.remove(&*key.name);
        }
    }
    for key in &applied.pruned {
        memory.in_force.remove(key);
    }
    let now = Instant::now();
    for (key, digest) in &applied.rewritten {
        memory.rewritten.insert(key.clone(), (*digest, now));
    }
    memory.compared = true;
    let failed = applied
        .failed
        .iter()
        .any(|failure| !failure.error.is_transient());
    if failed {
        memory.failures = memory.failures.saturating_add(1);
    }
}

/// Counts and tells what was put back of the platform's own.
pub(super) async fn tell_platform_repairs(
    context: &Context,
    memory: &mut Memory,
    repaired: &[Repaired],
) {
    for repaired in repaired {
        let (text, repair) = put_back(context, None, repaired);
        let desk = &context.platform_status;
        desk.note(context, Severity::Normal, "DriftRepaired", text)
            .await;
        memory.repaired(repair, &repaired.key, Instant::now());
    }
}

/// Counts what was put back of somebody's, and logs it. Returns what is told, and what a status lists.
fn put_back(
    context: &Context,
    zone: Option<&str>,
    Repaired {
        key,
        change,
        manager,
    }: &Repaired,
) -> (String, DriftRepair) {
    let change = status::shortened(change.clone());
    let labels = key.kind.into();
    context.metrics.drift_repairs.get_or_create(&labels).inc();
    let who = manager
        .as_deref()
        .unwrap_or("somebody (unknown, see the audit log)");
    tracing::info!(zone, object = %key, change, who, "put back");
    let text = format!("{key}: {change}; changed by {who}, put back");
    let manager = manager.as_ref();
    let repair = DriftRepair {
        object: key.to_string(),
        change,
        manager: manager.map(|manager| manager.chars().take(128).collect()),
        time: Time(whole_seconds(Timestamp::now())),
    };
    (text, repair)
}

/// Counts and tells what was put back, and what people should know besides.
pub(super) fn report(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    applied: &Applied,
    lost: &BTreeSet<String>,
    plan: &Plan,
) {
    if memory.drift.is_none() && !applied.repaired.is_empty() {
        memory.drift = observation
            .status
            .as_ref()
            .and_then(|status| status.drift.clone());
    }
    for repaired in &applied.repaired {
        let (text, repair) = put_back(context, Some(&observation.name), repaired);
        context.note(&observation.zone, Severity::Normal, "DriftRepaired", text);
        memory.repaired(repair, &repaired.key, Instant::now());
    }
    for namespace in lost {
        // Its deletion takes a while, and is looked at more than once.
        if !memory.lost.insert(namespace.clone()) {
            continue;
        }
        let text = format!(
            "Namespace/{namespace} was deleted by somebody (unknown, see the audit log), and \
             everything in it is gone; it comes back empty, with its quotas, access and policies"
        );
        context.note(&observation.zone, Severity::Warning, "NamespaceLost", text);
    }
    let adopted = plan.writes.iter().filter(|write| {
        write.is_adoption(&observation.inventory) && applied.changed.contains(&write.target.key)
    });
    for write in adopted {
        let text = format!(
            "{} existed and was adopted; its pods were outside the boundary until now, and their \
             open connections go on until they close",
            write.target.key
        );
        context.note(
            &observation.zone,
            Severity::Normal,
            "NamespaceAdopted",
            text,
        );
    }
    for key in &applied.pruned {
        let text = format!("{key} left the declaration and was deleted");
        context.note(&observation.zone, Severity::Normal, "Pruned", text);
    }
}

/// Tells which namespaces were released since the status was written last.
pub(super) fn tell_released(
    observation: &Observation,
    context: &Context,
    base: Option<&LandingZoneStatus>,
    released: &[Released],
) {
    let known: BTreeSet<&str> = base
        .iter()
        .flat_map(|status| &status.released)
        .map(|released| released.name.as_str())
        .collect();
    let names = released.iter().map(|released| released.name.as_str());
    for name in names.filter(|name| !known.contains(name)) {
        let text = format!(
            "Namespace/{name} left the declaration and was released: it keeps its labels, quotas, \
             access and policies, and only the policies are put back when they drift; declare it \
             again to take it back, or delete it"
        );
        context.note(
            &observation.zone,
            Severity::Normal,
            "NamespaceReleased",
            text,
        );
    }
}

/// Tells what is found in what others write since the status was written last: each finding once, across restarts,
/// too.
pub(super) fn tell_findings(
    observation: &Observation,
    context: &Context,
    base: Option<&LandingZoneStatus>,
    now: &[BoundaryFinding],
) {
    for finding in guard::news(base, now) {
        let BoundaryFinding {
            object,
            rule,
            field,
            message,
            open,
        } = finding;
        let place = field.as_ref().map(|field| format!(", {field}"));
        let place = place.unwrap_or_default();
        let (reason, effect) = if *open {
            ("BoundaryOpen", "gets past the boundary, or could")
        } else {
            (
                "UndeclaredCrossing",
                "stays closed, since nothing declares it",
            )
        };
        let text = format!("{object}{place}: {rule}: {message}; it {effect}");
        context.note(&observation.zone, Severity::Warning, reason, text);
    }
}

fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Writes the status where it says something new. Returns when gathered drift counts are due.
pub(super) async fn publish(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    mut status: LandingZoneStatus,
    base: Option<&LandingZoneStatus>,
    version: &str,
) -> Result<Option<Instant>, Error> {
    let find = |status: &LandingZoneStatus, type_: &str| {
        let condition = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == type_);
        condition.map(|condition| (condition.status.clone(), condition.reason.clone()))
    };
    let is_true = |type_: &str| find(&status, type_).is_some_and(|(state, _)| state == "True");
    let boundary = find(&status, condition::BOUNDARY_HELD);
    let not_held = boundary.filter(|(state, _)| state == "False");
    let stands = Stands {
        is_ready: is_true(condition::READY),
        is_contested: is_true(condition::CONTESTED),
        not_held: not_held.as_ref().map(|(_, reason)| reason.as_str()),
    };
    context.stands(&observation.name, stands);

    if base == Some(&status) {
        return Ok(None);
    }
    let now = Instant::now();
    let has_drifted = base.and_then(|base| base.drift.as_ref()) != status.drift.as_ref();
    if let Some(base) = base
        && has_drifted
        && let Some(due) = drift_waits_until(&observation.name, context, memory, now)
    {
        let drift = std::mem::replace(&mut status.drift, base.drift.clone());
        if *base == status {
            return Ok(Some(due));
        }
        status.drift = drift;
    }
    memory.drift_untold = None;
    if has_drifted {
        memory.drift_written = Some(now);
    }
    let version = status::write(&context.client, &observation.zone, version, &status)
        .await
        .map_err(Error::Status)?;
    tell_changes(observation, context, memory, &status);
    memory.written = Some(WrittenStatus::new(status, version));
    Ok(None)
}

/// Until when drift counts wait, where nothing else is to be said: they are gathered, and while there is much to repair
/// that comes first.
fn drift_waits_until(
    zone: &str,
    context: &Context,
    memory: &mut Memory,
    now: Instant,
) -> Option<Instant> {
    let since = *memory.drift_untold.get_or_insert(now);
    let mut until = memory.drift_written.map(|last| last + DRIFT_GATHERS);
    if context.pressure.is_high(now) {
        until = until.max(Some(since + LONGEST_WAIT));
        let (untold, more) = &context.untold;
        let mut untold = untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold.insert(zone.to_owned());
        more.notify_one();
    }
    until.filter(|until| now < *until)
}

/// Asks for a look at those whose drift counts wait, once there is no longer so much to write.
pub(super) async fn tell_once_calm(context: &Context) {
    let (untold, more) = &context.untold;
    loop {
        more.notified().await;
        while context.pressure.is_high(Instant::now()) {
            tokio::time::sleep(GLANCE).await;
        }
        let calm = {
            let mut untold = untold.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *untold)
        };
        for zone in calm {
            context.queue.push(&zone);
        }
    }
}

/// Writes what was still to be said when the operator was told to stop: drift counts that were being gathered, and how
/// landing zones stand of which only the judgement was missing.
pub(super) async fn flush(context: &Context) {
    let zones = futures::stream::iter(context.zones.state());
    let say = async |stored: Arc<Stored>| {
        if let Ok(zone) = &stored.0
            && let Err(error) = say_the_last(context, zone).await
        {
            let error = failure(&error);
            tracing::warn!(zone = zone.name_any(), error, "the last was not said");
        }
    };
    zones.for_each_concurrent(IN_FLIGHT, say).await;
}

async fn say_the_last(context: &Context, zone: &LandingZone) -> Result<(), kube::Error> {
    let memory = context.memory(&zone.name_any());
    let mut memory = memory.lock().await;
    let drift = memory.drift.clone();
    let untold = memory.untold.take();
    let is_untold = untold.is_some();
    let last = || {
        let (status, version) = memory.last_status(zone);
        Some((status?.clone(), version.to_owned()))
    };
    let Some((mut status, version)) = untold.or_else(last) else {
        return Ok(());
    };
    if drift.is_some() && status.drift != drift {
        status.drift = drift;
    } else if !is_untold {
        return Ok(());
    }
    status::write(&context.client, zone, &version, &status)
        .await
        .map(drop)
}

/// One event for each change of state, told against what was told last: in a fight a landing zone
/// is not ready once a minute.
fn tell_changes(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    status: &LandingZoneStatus,
) {
    let stood = observation.status.as_ref();
    let generation = status.observed_generation;
    for (type_, good) in [
        (condition::READY, "True"),
        (condition::CONTESTED, "False"),
        (condition::NETWORK_ENFORCED, "True"),
        (condition::PLACEMENT_ENFORCED, "True"),
        (condition::PODS_PLACED, "True"),
        (condition::AZURE_READY, "True"),
    ] {
        let of = |status: &LandingZoneStatus| {
            let found = status
                .conditions
                .iter()
                .find(|condition| condition.type_ == type_)?;
            Some((
                found.status.clone(),
                found.reason.clone(),
                found.message.clone(),
            ))
        };
        let Some((state, why, message)) = of(status) else {
            continue;
        };
        // That nobody looks after it, Ready tells.
        let is_unknown =
            type_ != condition::READY && state == "Unknown" && why != reason::EVICTION_FORBIDDEN;
        if why == reason::PROGRESSING || is_unknown {
            continue;
        }
        let stood = stood.and_then(of).map(|(state, why, _)| (state, why));
        let first = stood.is_none();
        let stood = stood.filter(|(_, why)| why != reason::PROGRESSING);
        let before = match memory.told.get(type_) {
            // An edit of the declaration is answered.
            Some((edition, _)) if type_ == condition::READY && *edition != generation => None,
            Some((_, told)) => Some(told.clone()),
            None => stood,
        };
        let now_reason = why.clone();
        let now = (state.clone(), why);
        let changed = before.as_ref() != Some(&now);
        memory.told.insert(type_, (generation, now));
        let is_warning = [
            reason::NO_NODE,
            reason::FEW_AVAILABILITY_ZONES,
            reason::EVICTION_FORBIDDEN,
        ]
        .contains(&now_reason.as_str());
        // Nothing was wrong before the first time, so nothing is told about its being right.
        if !changed || (type_ != condition::READY && first && state == good && !is_warning) {
            continue;
        }
        let is_expected = state == "Unknown"
            || [reason::DELETING, reason::EVICTING].contains(&now_reason.as_str());
        let severity = if !is_warning && (state == good || is_expected) {
            Severity::Normal
        } else {
            Severity::Warning
        };
        let reason = match (type_, state == good) {
            (condition::READY, true) => "Ready",
            (condition::READY, false) => "NotReady",
            (condition::CONTESTED, true) => "NoLongerContested",
            (condition::CONTESTED, false) => "Contested",
            (condition::PLACEMENT_ENFORCED, true) if is_warning => "PlacementWarning",
            (condition::PLACEMENT_ENFORCED, true) => "PlacementEnforced",
            (condition::PLACEMENT_ENFORCED, false) => "PlacementNotEnforced",
            (condition::PODS_PLACED, true) => "PodsPlaced",
            (condition::PODS_PLACED, false) => "PodsMisplaced",
            (condition::AZURE_READY, true) => "AzureReady",
            (condition::AZURE_READY, false) => "AzureNotReady",
            (_, true) => "NetworkEnforced",
            (_, false) => "NetworkNotEnforced",
        };
        context.note(&observation.zone, severity, reason, message);
    }
}
