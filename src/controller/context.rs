//! What every reconcile shares.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::DeserializeGuard;
use kube::runtime::controller::ReconcileRequest;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};

use super::apply::Writer;
use super::cache::Cache;
use super::claims::Claims;
use super::kind::ObjectKey;
use super::memory::Memory;
use super::rendered::Rendered;
use super::run::Clients;
use crate::api::LandingZone;
use crate::cluster::{ClusterFacts, Signs};
use crate::domain::Platform;
use crate::telemetry::{Events, Metrics, Note, Severity};

/// A landing zone as it is stored: one that cannot be read must not stop the others.
pub type Stored = DeserializeGuard<LandingZone>;

/// What every reconcile shares.
pub struct Context {
    /// Client for requests that are answered at once.
    pub client: Client,
    /// Client for watches.
    pub watching: Client,
    /// All landing zones.
    pub zones: Store<Stored>,
    /// All owned objects, and all namespaces.
    pub cache: Cache,
    /// Who claims what.
    pub claims: RwLock<Claims>,
    platform: RwLock<Option<Arc<Platform>>>,
    /// What the cluster can do.
    pub signs: Signs,
    /// Writes owned objects.
    pub writer: Writer,
    /// Where reconciles are asked for.
    pub queue: Queue,
    /// Where people read what happened.
    pub events: Events,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// One writer of tiers at a time, since all landing zones share them.
    pub tiers: tokio::sync::Mutex<()>,
    /// Whether all landing zones are known.
    zones_listed: AtomicBool,
    memories: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Memory>>>>,
    rendered: RwLock<HashMap<String, Arc<Rendered>>>,
    standing: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    not_ready: BTreeSet<String>,
    contested: BTreeSet<String>,
}

/// Asks for reconciles. One that waits already is not asked for twice.
#[derive(Clone, Debug)]
pub struct Queue(UnboundedSender<ReconcileRequest<Stored>>);

impl Queue {
    /// A queue and its other end.
    #[must_use]
    pub fn new() -> (Self, UnboundedReceiver<ReconcileRequest<Stored>>) {
        let (sender, receiver) = unbounded();
        (Self(sender), receiver)
    }

    /// Asks for a reconcile of a landing zone.
    pub fn push(&self, zone: &str) {
        let request = ObjectRef::<Stored>::new(zone).into();
        if self.0.unbounded_send(request).is_err() {
            tracing::debug!(zone, "asked for a reconcile after the end");
        }
    }
}

impl Context {
    /// Puts the shared parts together.
    #[must_use]
    pub fn new(
        clients: Clients,
        zones: Store<Stored>,
        cache: Cache,
        signs: Signs,
        queue: Queue,
        events: Events,
        metrics: Arc<Metrics>,
    ) -> Self {
        let writer = Writer::new(clients.asking.clone(), cache.clone(), metrics.clone());
        Self {
            client: clients.asking,
            watching: clients.watching,
            zones,
            cache,
            claims: RwLock::default(),
            platform: RwLock::default(),
            signs,
            writer,
            queue,
            events,
            metrics,
            tiers: tokio::sync::Mutex::default(),
            zones_listed: AtomicBool::new(false),
            memories: Mutex::default(),
            rendered: RwLock::default(),
            standing: Mutex::default(),
        }
    }

    /// What the cluster can do; None until that is known.
    #[must_use]
    pub fn facts(&self) -> Option<ClusterFacts> {
        self.signs.borrow().clone()
    }

    /// What holds for the whole cluster; None until that is known.
    #[must_use]
    pub fn platform(&self) -> Option<Arc<Platform>> {
        let platform = self.platform.read();
        platform.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets what holds for the whole cluster. Where that is something else than before, every landing
    /// zone is looked at again.
    pub fn set_platform(&self, platform: Platform) {
        {
            let mut known = self
                .platform
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            if known.as_deref() == Some(&platform) {
                return;
            }
            *known = Some(Arc::new(platform));
        }
        self.push_all();
    }

    /// What is remembered of a landing zone.
    #[must_use]
    pub fn memory(&self, zone: &str) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        memories.entry(zone.to_owned()).or_default().clone()
    }

    /// What a landing zone was rendered to last.
    #[must_use]
    pub fn rendered(&self, zone: &str) -> Option<Arc<Rendered>> {
        let rendered = self.rendered.read().unwrap_or_else(PoisonError::into_inner);
        rendered.get(zone).cloned()
    }

    /// Records what a landing zone was rendered to, so that a watch can tell what is as declared.
    pub fn set_rendered(&self, zone: &str, new: Arc<Rendered>) {
        let mut rendered = self
            .rendered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        rendered.insert(zone.to_owned(), new);
    }

    /// Whether an object is known to be as a landing zone declares it.
    #[must_use]
    pub fn is_as_declared(
        &self,
        key: &ObjectKey,
        owner: &str,
        digest: super::compare::Digest,
    ) -> bool {
        let rendered = self.rendered(owner);
        rendered.is_some_and(|rendered| {
            rendered
                .get(key)
                .is_some_and(|target| target.digest == digest)
        })
    }

    /// All landing zones are known now: what names others is nobody's.
    pub fn zones_are_listed(&self) {
        self.zones_listed.store(true, Ordering::Release);
        let mut objects = self.cache.write();
        let gone: Vec<_> = objects
            .owners()
            .filter(|owner| !self.exists(owner))
            .cloned()
            .collect();
        for owner in gone {
            objects.strip(&owner, |_| false);
        }
    }

    /// Whether all landing zones are known.
    #[must_use]
    pub fn are_zones_listed(&self) -> bool {
        self.zones_listed.load(Ordering::Acquire)
    }

    /// Whether an object that bears a landing zone's label may be one that it declares.
    #[must_use]
    pub fn may_be_declared(&self, key: &ObjectKey, owner: &str) -> bool {
        match self.rendered(owner) {
            Some(rendered) => rendered.get(key).is_some(),
            None => !self.are_zones_listed() || self.exists(owner),
        }
    }

    /// The landing zone of that name, where it is there and can be read.
    #[must_use]
    pub fn zone(&self, name: &str) -> Option<LandingZone> {
        let stored = self.zones.get(&ObjectRef::<Stored>::new(name))?;
        stored.0.as_ref().ok().cloned()
    }

    /// Whether there is a landing zone of that name, readable or not.
    #[must_use]
    pub fn exists(&self, name: &str) -> bool {
        self.zones.get(&ObjectRef::<Stored>::new(name)).is_some()
    }

    /// Whether there is a landing zone of that name, readable or not, that is not being deleted.
    #[must_use]
    pub fn stays(&self, name: &str) -> bool {
        let stored = self.zones.get(&ObjectRef::<Stored>::new(name));
        stored.is_some_and(|stored| stored.meta().deletion_timestamp.is_none())
    }

    /// Asks for a reconcile of every landing zone.
    pub fn push_all(&self) {
        for zone in self.zones.state() {
            self.queue.push(&zone.name_any());
        }
    }

    /// Forgets a landing zone that is gone.
    pub fn forget(&self, zone: &str) {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        memories.remove(zone);
        let mut rendered = self
            .rendered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        rendered.remove(zone);
        self.stands(zone, true, false);
    }

    /// Records how a landing zone stands, for the metrics.
    pub fn stands(&self, zone: &str, ready: bool, contested: bool) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let record = |set: &mut BTreeSet<String>, is_in: bool| {
            if is_in {
                set.insert(zone.to_owned());
            } else {
                set.remove(zone);
            }
        };
        record(&mut standing.not_ready, !ready);
        record(&mut standing.contested, contested);
        let count = |set: &BTreeSet<String>| i64::try_from(set.len()).unwrap_or(i64::MAX);
        self.metrics
            .landing_zones_not_ready
            .set(count(&standing.not_ready));
        self.metrics.contested.set(count(&standing.contested));
    }

    /// Tells people about a landing zone.
    pub fn note(&self, zone: &LandingZone, severity: Severity, reason: &'static str, text: String) {
        let contact = zone.spec.contact.as_ref();
        let text = match contact {
            Some(contact) => format!("{text} (contact: {contact})"),
            None => text,
        };
        let regarding: ObjectReference = zone.object_ref(&());
        self.events.note(Note {
            regarding,
            severity,
            reason,
            text,
        });
    }
}
