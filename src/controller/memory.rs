//! What the operator remembers of one landing zone between reconciles. Losing it costs nothing but
//! the distinction between drift and a change of our own.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::cache::is_older;
use super::compare::{Digest, digest_of};
use super::kind::{Kind, ObjectKey};
use crate::api::{DriftRepair, DriftStatus, LandingZone, LandingZoneStatus};
use crate::domain::Opening;

/// Rounds after which two writers are in a fight.
const ROUNDS: usize = 5;
/// The time in which those rounds have to happen, and the pause afterwards.
pub const FIGHT: Duration = Duration::from_mins(1);
/// The longest that an urgent repair waits in a fight: well below the second that a team could use.
const URGENT_PAUSE: Duration = Duration::from_millis(200);
/// How many repairs the status shows.
const RECENT_REPAIRS: usize = 10;

/// What the operator remembers of one landing zone.
#[derive(Debug, Default)]
pub struct Memory {
    /// What was last seen to be as declared: a difference from it is drift.
    pub in_force: HashMap<ObjectKey, Digest>,
    /// What was opened last across the boundary; ahead of the status.
    pub opened: Option<Vec<Opening>>,
    /// UIDs under which namespaces were last known to be ours.
    pub uids: HashMap<String, String>,
    /// Objects that came back from the API server other than they were sent, and when.
    pub rewritten: HashMap<ObjectKey, (Digest, Instant)>,
    /// The status as we last wrote it.
    pub written: Option<WrittenStatus>,
    /// Drift counts, ahead of the status by at most 5 s; None where they are those of the status.
    pub drift: Option<DriftStatus>,
    /// When drift counts were last written.
    pub drift_written: Option<Instant>,
    /// Since when drift is counted that is not written.
    pub drift_untold: Option<Instant>,
    /// Namespaces whose loss was told and that are not back yet.
    pub lost: BTreeSet<String>,
    /// State and reason of conditions as events told them last, and of which generation.
    pub told: HashMap<&'static str, (Option<i64>, (String, String))>,
    /// Since when something is withheld because another landing zone has it.
    pub conflict_since: Option<Instant>,
    /// The declaration, by UID and generation, that was told to be unreadable.
    pub unreadable: Option<(Option<String>, Option<i64>)>,
    /// Since when all of a running application is observed, on its way to a boundary.
    pub entered: Option<Instant>,
    /// Since when others' policies are not known that have to be.
    pub waits_since: Option<Instant>,
    /// Since when nobody has judged what others write, though all is applied.
    pub unjudged_since: Option<Instant>,
    /// The status that waits for it, and the resource version that it was decided on.
    pub untold: Option<(LandingZoneStatus, String)>,
    /// Since when nobody knows what Azure Service Operator was told.
    pub azure_unknown_since: Option<Instant>,
    /// Since when nothing but transient failures happens.
    pub unsettled_since: Option<Instant>,
    /// Reconciles in a row that ended with an error.
    pub failures: u32,
    /// How often in a row somebody else was faster to change the landing zone.
    pub conflicts: u32,
    /// Whether a reconcile compared everything since the operator started.
    pub compared: bool,
    repairs: HashMap<ObjectKey, Repairs>,
}

impl Memory {
    /// The status of a landing zone as it was last written, and the resource version that goes with it: our own last write
    /// may not have come back through the watch yet.
    #[must_use]
    pub fn last_status<'a>(
        &'a self,
        zone: &'a LandingZone,
    ) -> (Option<&'a LandingZoneStatus>, &'a str) {
        let seen = zone
            .metadata
            .resource_version
            .as_deref()
            .unwrap_or_default();
        let written = self.written.as_ref();
        match written.and_then(|it| it.newer_than(seen)) {
            Some((status, version)) => (Some(status), version),
            None => (zone.status.as_ref(), seen),
        }
    }

    /// Whether the status that the watch brought is the one that was written last.
    #[must_use]
    pub fn is_last(&self, status: Option<&LandingZoneStatus>) -> bool {
        match (&self.written, status) {
            (Some(written), Some(status)) => written.is(status),
            (written, status) => written.is_none() && status.is_none(),
        }
    }

    /// Lets go of what a landing zone says itself from now on, so that nothing is kept twice.
    pub fn leave_to(&mut self, status: Option<&LandingZoneStatus>, version: &str) {
        let Some(written) = &mut self.written else {
            return;
        };
        if !is_older(version, &written.version) {
            written.ahead = None;
            if status.is_some_and(|status| status.drift == self.drift) {
                self.drift = None;
            }
        }
    }
}

/// A status as it was written.
#[derive(Debug)]
pub struct WrittenStatus {
    /// Itself, until the watch has brought it.
    ahead: Option<Box<LandingZoneStatus>>,
    digest: Digest,
    version: String,
}

#[derive(Debug)]
struct Repairs {
    /// The last of them; it has its room from the beginning, so that a storm does not leave more behind than the one before.
    times: VecDeque<Instant>,
    /// Whether the last rounds came so quickly that it is a fight; lasts while rounds go on.
    fighting: bool,
    manager: Option<String>,
}

impl Default for Repairs {
    fn default() -> Self {
        Self {
            times: VecDeque::with_capacity(ROUNDS),
            fighting: false,
            manager: None,
        }
    }
}

/// An object that somebody else keeps changing back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fight {
    /// The object.
    pub key: ObjectKey,
    /// Who, where that could be seen.
    pub manager: Option<String>,
}

impl Memory {
    /// Records a repair.
    pub fn repaired(&mut self, repair: DriftRepair, key: &ObjectKey, now: Instant) {
        let repairs = self.repairs.entry(key.clone()).or_default();
        repairs.manager = repair.manager.clone().or(repairs.manager.take());
        if repairs.times.len() == ROUNDS {
            repairs.times.pop_front();
        }
        repairs.times.push_back(now);
        repairs.fighting = repairs.is_quick() || (repairs.fighting && repairs.goes_on());
        let drift = self.drift.get_or_insert_default();
        drift.repaired += 1;
        drift.recent.insert(0, repair);
        drift.recent.truncate(RECENT_REPAIRS);
    }

    /// When the next repair of an object may be made; None: at once.
    #[must_use]
    pub fn repair_waits_until(&self, key: &ObjectKey, now: Instant) -> Option<Instant> {
        let repairs = self.repairs.get(key)?;
        if !repairs.is_fight(now) {
            return None;
        }
        let pause = if key.kind.is_urgent() {
            URGENT_PAUSE
        } else {
            FIGHT
        };
        let next = *repairs.times.back()? + pause;
        (next > now).then_some(next)
    }

    /// The objects that somebody else keeps changing back.
    #[must_use]
    pub fn fights(&self, now: Instant) -> Vec<Fight> {
        let mut fights: Vec<_> = self
            .repairs
            .iter()
            .filter(|(_, repairs)| repairs.is_fight(now))
            .map(|(key, repairs)| Fight {
                key: key.clone(),
                manager: repairs.manager.clone(),
            })
            .collect();
        fights.sort_by(|one, other| one.key.cmp(&other.key));
        fights
    }

    /// When the first fight will be over if nobody changes anything; None without one.
    #[must_use]
    pub fn peace_at(&self, now: Instant) -> Option<Instant> {
        self.repairs
            .values()
            .filter(|repairs| repairs.is_fight(now))
            .filter_map(|repairs| Some(*repairs.times.back()? + 2 * FIGHT))
            .min()
    }

    /// Forgets what is too old to matter, so that memory does not grow with every repair.
    pub fn tidy(&mut self, now: Instant) {
        self.repairs.retain(|_, repairs| {
            repairs
                .times
                .back()
                .is_some_and(|last| now.duration_since(*last) < 2 * FIGHT)
        });
        self.rewritten
            .retain(|_, (_, when)| now.duration_since(*when) < FIGHT);
    }

    /// A namespace is gone, and with it all that was in it: that is one loss, not many.
    pub fn namespace_gone(&mut self, namespace: &str) {
        self.in_force
            .retain(|key, _| key.kind == Kind::Namespace || key.in_namespace() != Some(namespace));
    }
}

impl WrittenStatus {
    /// A status, and the resource version that it got.
    #[must_use]
    pub fn new(status: LandingZoneStatus, version: String) -> Self {
        Self {
            digest: digest_of(&status),
            ahead: Some(Box::new(status)),
            version,
        }
    }

    /// It, with its resource version, where the watch has only brought an older one so far.
    #[must_use]
    pub fn newer_than(&self, seen: &str) -> Option<(&LandingZoneStatus, &str)> {
        let status = self
            .ahead
            .as_ref()
            .filter(|_| is_older(seen, &self.version));
        Some((status?, &self.version))
    }

    /// Whether a status says the same.
    fn is(&self, status: &LandingZoneStatus) -> bool {
        digest_of(status) == self.digest
    }
}

impl Repairs {
    /// A fight begins with 5 rounds in a minute and lasts until two minutes pass without one: while
    /// it lasts, repairs come once a minute, so a quiet minute alone does not tell.
    fn is_fight(&self, now: Instant) -> bool {
        let last = self.times.back();
        self.fighting && last.is_some_and(|last| now.duration_since(*last) < 2 * FIGHT)
    }

    fn is_quick(&self) -> bool {
        let (first, last) = (self.times.front(), self.times.back());
        let span = first
            .zip(last)
            .map(|(first, last)| last.duration_since(*first));
        self.times.len() >= ROUNDS && span.is_some_and(|span| span <= FIGHT)
    }

    /// Whether the last two rounds belong to one fight.
    fn goes_on(&self) -> bool {
        let mut latest = self.times.iter().rev();
        let pair = latest.next().zip(latest.next());
        pair.is_some_and(|(last, before)| last.duration_since(*before) < 2 * FIGHT)
    }
}

#[cfg(test)]
mod tests;
