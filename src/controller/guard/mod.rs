//! Judges what others write: policies and network sets, all of them, when they change and when what is declared
//! does. No webhook is needed for it, and no way in escapes it.
//!
//! | file | does |
//! |---|---|
//! | `mod` | what is known: what others wrote, and what is in force |
//! | `inputs` | what a judgement depends on besides the object |
//! | `judge` | the loop: judges what has to be judged, and says whom it concerns |
//! | `room` | what is kept of what is too large, and what is read again once there is room |
//! | `found` | what is found, by landing zone; whether it gets through |

mod found;
mod inputs;
mod judge;
mod room;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::others::{Key, Source, key};
use super::packed::Packed;
use super::team_policies::is_ours;
use crate::api::names::OWNER;
use crate::cluster::{ClusterFacts, Watched};
use crate::domain::{Flavour, LandingZone, Resolved};
use crate::review::{Landscape, judged_part};
use crate::telemetry::{Metrics, contained};

pub(super) use found::{Found, in_status, news};
pub(super) use judge::judge_others;
use room::reduced;

/// The largest object that is kept and judged, in bytes of JSON: many times what anybody needs.
const LARGEST: usize = 256 * 1024;
/// So much is kept of what lies in one namespace, in bytes: whoever has rights in a single namespace must not fill
/// the memory.
const LARGEST_NAMESPACE: usize = 4 * 1024 * 1024;

/// What others write, what is declared, and what is found.
#[derive(Debug, Default)]
pub struct Guard {
    state: Mutex<State>,
    landscape: Mutex<Option<Arc<Landscape>>>,
    woken: Notify,
}

#[derive(Debug, Default)]
struct State {
    listed: BTreeSet<Source>,
    listing: BTreeMap<Source, BTreeSet<Key>>,
    written: BTreeMap<Key, Written>,
    /// How much is kept, by namespace.
    kept: BTreeMap<String, usize>,
    in_force: BTreeMap<String, Arc<InForce>>,
    /// Those that were seen to be put into force since this operator started.
    seen_in_force: BTreeSet<String>,
    /// Those that were looked at since this operator started, whatever came of it.
    looked_at: BTreeSet<String>,
    found: BTreeMap<String, Arc<Found>>,
    /// Counts what is taken in.
    clock: u64,
    /// Counts landing zones that come into force, each time as something else than before.
    came_into_force: u64,
}

/// An object of others.
#[derive(Debug)]
struct Written {
    /// The object without what nobody judges.
    object: Packed,
    /// Whether that is all of it; otherwise what decides whom it concerns, and nothing harmless.
    is_whole: bool,
    /// How large it is as a whole, in bytes.
    size: usize,
    /// The landing zone that its ownership label names.
    owner: Option<String>,
    /// When it was taken in.
    taken_in: u64,
    /// What was found in it; None: it has to be judged.
    judged: Option<found::Judged>,
}

/// A landing zone as it is in force.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InForce {
    /// The landing zone, without the namespaces that are withheld from it.
    pub zone: Arc<LandingZone>,
    /// What is open across its boundary.
    pub crossings: Resolved,
}

impl Guard {
    /// Asks for another look.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Records a landing zone as it is in force.
    pub(super) fn governs(&self, zone: &Arc<LandingZone>, crossings: &Resolved) {
        let mut state = self.lock();
        state.seen_in_force.insert(zone.name.to_string());
        if state.put_in_force(zone, crossings) {
            self.wake();
        }
    }

    /// Records what is found in force of a landing zone that is left alone; None: nothing. Where it was seen to be put
    /// into force, that is known better.
    pub(super) fn finds(&self, name: &str, in_force: Option<(LandingZone, Resolved)>) {
        let mut state = self.lock();
        if state.seen_in_force.contains(name) {
            return;
        }
        let is_news = match in_force {
            Some((zone, crossings)) => state.put_in_force(&Arc::new(zone), &crossings),
            None => state.in_force.remove(name).is_some(),
        };
        if is_news {
            self.wake();
        }
    }

    /// Takes in that somebody looked at a landing zone: what is in force of it was told, or nothing can be told.
    pub(super) fn looked_at(&self, zone: &str) {
        let mut state = self.lock();
        if !state.looked_at.contains(zone) {
            state.looked_at.insert(zone.to_owned());
        }
    }

    /// Forgets a landing zone that is gone.
    pub(super) fn forget(&self, zone: &str, metrics: &Metrics) {
        let mut state = self.lock();
        state.looked_at.remove(zone);
        state.in_force.remove(zone);
        state.seen_in_force.remove(zone);
        if let Some(found) = state.found.remove(zone) {
            found.withdraw(zone, metrics);
        }
        self.wake();
    }

    /// What is declared, and whose namespaces there are, as they were judged by last; None: nothing was yet.
    pub(super) fn landscape(&self) -> Option<Arc<Landscape>> {
        let landscape = self.landscape.lock();
        landscape.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_landscape(&self, new: &Arc<Landscape>) {
        let mut landscape = self
            .landscape
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *landscape = Some(new.clone());
    }

    /// What is found about a landing zone; None: it was not judged yet.
    pub(super) fn found(&self, zone: &str) -> Option<Arc<Found>> {
        self.lock().found.get(zone).cloned()
    }

    pub(super) fn list_begins(&self, source: Source) {
        self.lock().listing.insert(source, BTreeSet::new());
    }

    pub(super) fn list_ends(&self, source: Source) {
        let mut state = self.lock();
        let listed = state.listing.remove(&source).unwrap_or_default();
        let vanished: Vec<_> = state
            .written
            .keys()
            .filter(|known| known.0 == source && !listed.contains(known))
            .cloned()
            .collect();
        for key in &vanished {
            state.remove(key);
        }
        state.listed.insert(source);
        self.wake();
    }

    /// Nothing is known of a kind any more.
    pub(super) fn unlist(&self, source: Source) {
        let mut state = self.lock();
        state.listing.remove(&source);
        state.listed.remove(&source);
        let of_it = state.written.keys().filter(|known| known.0 == source);
        for key in of_it.cloned().collect::<Vec<_>>() {
            state.remove(&key);
        }
    }

    pub(super) fn saw(&self, source: Source, flavour: Flavour, object: &Watched) {
        let key = key(source, object);
        let mut state = self.lock();
        if let Some(listed) = state.listing.get_mut(&source) {
            listed.insert(key.clone());
        }
        if state.take_in(key, flavour, object) {
            self.wake();
        }
    }

    /// Takes in what was read once more, unless something else was seen since.
    fn saw_again(&self, key: &Key, taken_in: u64, flavour: Flavour, object: &Watched) {
        let mut state = self.lock();
        let known = state.written.get(key);
        if known.is_some_and(|known| known.taken_in == taken_in)
            && state.take_in(key.clone(), flavour, object)
        {
            self.wake();
        }
    }

    pub(super) fn gone(&self, key: &Key) {
        if self.lock().remove(key) {
            self.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; were it so, the maps would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns whether that is news.
    fn put_in_force(&mut self, zone: &Arc<LandingZone>, crossings: &Resolved) -> bool {
        let name = zone.name.to_string();
        let known = self.in_force.get(&name);
        if known.is_some_and(|known| known.zone == *zone && known.crossings == *crossings) {
            return false;
        }
        let (zone, crossings) = (zone.clone(), crossings.clone());
        let in_force = Arc::new(InForce { zone, crossings });
        self.in_force.insert(name, in_force);
        self.came_into_force += 1;
        true
    }

    /// Returns whether that is news.
    fn take_in(&mut self, key: Key, flavour: Flavour, object: &Watched) -> bool {
        let source = key.0;
        if matches!(source, Source::CalicoGlobal | Source::StagedGlobal) && is_ours(object) {
            // Only the platform can write it. Whether it is as declared is told by NetworkEnforced.
            return self.remove(&key);
        }
        let resource = source.resource(flavour);
        let (version, kind) = (&resource.api_version, &resource.kind);
        let read = contained(|| judged_part(version, kind, &object.shown()));
        let Ok(object) = read else {
            // It is kept by name only, and told as what cannot be judged.
            let metadata = json!({"name": key.2, "namespace": key.1});
            let bare = json!({"apiVersion": version, "kind": kind, "metadata": metadata});
            return self.put(key, &bare, 0);
        };
        self.put(key, &object, LARGEST)
    }

    /// Keeps an object whole up to that size. Returns whether that is news.
    fn put(&mut self, key: Key, object: &Value, largest: usize) -> bool {
        let packed = Packed::from(object);
        let size = packed.size();
        if let Some(known) = self.written.get(&key)
            && known.is_whole
            && known.object == packed
        {
            return false;
        }
        self.remove(&key);
        let kept = self.kept_in(key.1.as_deref());
        let is_whole = size <= largest && kept + size <= LARGEST_NAMESPACE;
        let kept = if is_whole {
            if let Some(namespace) = &key.1 {
                *self.kept.entry(namespace.clone()).or_default() += size;
            }
            packed
        } else {
            Packed::from(&reduced(key.0, object))
        };
        let owner = object
            .pointer("/metadata/labels")
            .and_then(|labels| labels.get(OWNER)?.as_str())
            .map(str::to_owned);
        self.clock += 1;
        let written = Written {
            object: kept,
            is_whole,
            size,
            owner,
            taken_in: self.clock,
            judged: None,
        };
        self.written.insert(key, written);
        true
    }

    /// How much is kept of what lies in a namespace; of what lies in none, every object has its own room.
    fn kept_in(&self, namespace: Option<&str>) -> usize {
        let kept = namespace.and_then(|namespace| self.kept.get(namespace));
        kept.copied().unwrap_or_default()
    }

    fn remove(&mut self, key: &Key) -> bool {
        let Some(gone) = self.written.remove(key) else {
            return false;
        };
        if let (true, Some(namespace)) = (gone.is_whole, &key.1)
            && let Some(kept) = self.kept.get_mut(namespace)
        {
            *kept -= gone.size;
            if *kept == 0 {
                self.kept.remove(namespace);
            }
        }
        true
    }

    /// Whether everything that others write is known.
    fn is_complete(&self, facts: &ClusterFacts) -> bool {
        let mut sources = Source::ALL.into_iter();
        sources.all(|source| !source.is_in(facts) || self.listed.contains(&source))
    }
}

#[cfg(test)]
mod tests;
