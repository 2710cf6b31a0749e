//! What is open across the boundary of one landing zone, and what is told about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kube::runtime::reflector::ObjectRef;

use super::context::{Context, Stored};
use super::memory::Memory;
use super::reconcile::Observation;
use super::status;
use crate::api::{CrossingState, CrossingStatus, LandingZone, LandingZoneStatus, Stage};
use crate::domain::{self, Neighbour, Opening, Platform, Resolved, Surroundings, resolve};
use crate::telemetry::{CrossingLabels, Severity};

/// Finds out what is open across the boundary of a landing zone.
pub(super) fn resolved(
    observation: &Observation,
    context: &Context,
    memory: &Memory,
    zone: &domain::LandingZone,
) -> Resolved {
    let neighbourhood = context
        .neighbourhood
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    let mut names = neighbourhood.of(&observation.name);
    let shared = neighbourhood.sharing(&observation.name);
    drop(neighbourhood);
    // What is in force may be an earlier declaration than the one that is recorded.
    let crossings = zone.network.crossings.iter();
    names.extend(
        crossings
            .filter_map(|it| it.names())
            .map(ToString::to_string),
    );
    let surroundings = Surroundings {
        platform: &observation.platform,
        flavour: observation.facts.flavour(),
        today: today(),
        neighbours: neighbours(&names, context, &observation.platform),
        before: memory
            .opened
            .clone()
            .unwrap_or_else(|| before(observation.status.as_ref())),
        shared_ranges: shared,
    };
    resolve(zone, &surroundings)
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// How long until that day begins, and a moment more.
pub(super) fn until(day: Date) -> Option<Duration> {
    let begins = day.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let left = begins.duration_since(Timestamp::now());
    let left = Duration::try_from(left).unwrap_or_default();
    Some(left + Duration::from_secs(1))
}

fn neighbours(
    names: &BTreeSet<String>,
    context: &Context,
    platform: &Platform,
) -> BTreeMap<domain::LandingZoneName, Neighbour> {
    names
        .iter()
        .filter_map(|name| {
            let stored = context.zones.get(&ObjectRef::<Stored>::new(name))?;
            Some((name.parse().ok()?, neighbour(&stored, platform)))
        })
        .collect()
}

const NOT_VALID: &str = "is not validly declared";

fn neighbour(stored: &Stored, platform: &Platform) -> Neighbour {
    if kube::Resource::meta(stored).deletion_timestamp.is_some() {
        return Neighbour::Leaving;
    }
    match &stored.0 {
        Ok(zone) => neighbour_of(zone, platform),
        Err(_) => Neighbour::AsBefore(NOT_VALID),
    }
}

/// A landing zone, as another one sees it that it has to do with.
pub(crate) fn neighbour_of(zone: &LandingZone, platform: &Platform) -> Neighbour {
    if zone.metadata.deletion_timestamp.is_some() {
        return Neighbour::Leaving;
    }
    if zone.spec.stage == Some(Stage::Plan) {
        return Neighbour::AsBefore("is in stage Plan");
    }
    if zone.spec.suspend == Some(true) {
        return Neighbour::AsBefore("is suspended");
    }
    match domain::LandingZone::validate(zone, platform) {
        Ok(zone) => Neighbour::InForce(Box::new(zone)),
        Err(_) => Neighbour::AsBefore(NOT_VALID),
    }
}

/// What was open to other landing zones, as it was told last.
fn before(status: Option<&LandingZoneStatus>) -> Vec<Opening> {
    status.map_or_else(Vec::new, |status| Opening::all_of_status(&status.crossings))
}

/// Shows when crossings end, to whoever watches the metrics.
pub(super) fn measure(zone: &str, context: &Context, crossings: &[CrossingStatus]) {
    let ends = crossings.iter().filter_map(|crossing| {
        let last: Date = crossing.valid_until.as_ref()?.parse().ok()?;
        let over = last.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?;
        let labels = CrossingLabels {
            landing_zone: zone.to_owned(),
            direction: format!("{:?}", crossing.direction?),
            crossing: crossing.name.clone(),
        };
        Some((labels, over.timestamp().as_second()))
    });
    context.ends(zone, &ends.collect());
}

/// Whether both tell of the same crossing.
pub(super) fn is_same(one: &CrossingStatus, other: &CrossingStatus) -> bool {
    (one.direction, &one.name, &one.peer) == (other.direction, &other.name, &other.peer)
}

/// Tells what became of crossings since it was told last.
pub(super) fn tell(
    observation: &Observation,
    context: &Context,
    base: Option<&LandingZoneStatus>,
    now: &[CrossingStatus],
) {
    let before: &[CrossingStatus] = base.map_or(&[], |status| &status.crossings);
    let mut opened = Vec::new();
    let mut warned = Vec::new();
    for crossing in now {
        let known = before.iter().find(|known| is_same(known, crossing));
        let stood = known.map(|known| known.state);
        let is_open = crossing.state == CrossingState::Open;
        if is_open && known.is_some_and(|known| known.state != CrossingState::Open) {
            opened.push(format!("{} ({}) is open", crossing.name, crossing.peer));
        }
        let said = known.and_then(|known| known.message.as_ref());
        let is_news = stood != Some(crossing.state) || said != crossing.message.as_ref();
        if let Some(message) = crossing.message.as_ref().filter(|_| is_news) {
            let state = if is_open { "open" } else { "closed" };
            warned.push(format!(
                "{} ({}) is {state}: {message}",
                crossing.name, crossing.peer
            ));
        }
    }
    let closed = before.iter().filter(|known| {
        known.state == CrossingState::Open && !now.iter().any(|crossing| is_same(known, crossing))
    });
    let gone = closed.map(|known| {
        format!(
            "{} ({}) left the declaration and is closed; connections that are open go on until they \
             end",
            known.name, known.peer
        )
    });
    opened.extend(gone);
    for (severity, reason, items) in [
        (Severity::Normal, "CrossingsChanged", opened),
        (Severity::Warning, "CrossingWarning", warned),
    ] {
        if !items.is_empty() {
            let text = status::sentence(items.into_iter());
            context.note(&observation.zone, severity, reason, status::shortened(text));
        }
    }
}

#[cfg(test)]
mod tests;
