//! What every reconcile shares.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::DeserializeGuard;
use kube::runtime::controller::ReconcileRequest;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use tokio::sync::{Notify, watch};

use super::apply::Writer;
use super::azure::{self, AzureContext};
use super::cache::{Cache, Objects, PLATFORM_OWNER};
use super::claims::Claims;
use super::clients::Clients;
use super::eviction::Evictions;
use super::guard::Guard;
use super::kind::ObjectKey;
use super::lease::Leadership;
use super::memory::Memory;
use super::neighbourhood::Neighbourhood;
use super::placement::Placements;
use super::platform_status::PlatformStatus;
use super::pressure::Pressure;
use super::released::recorded_uid;
use super::rendered::{Rendered, Target, Targets};
use super::team_policies::Policies;
use crate::api::LandingZone;
use crate::build::Neighbours;
use crate::cluster::{ClusterFacts, Nodes, Signs, WantedNodes};
use crate::domain::{Placement, Platform};
use crate::telemetry::{CrossingLabels, Events, Metrics, Note, ReasonLabels, Severity};

/// A landing zone as it is stored: one that cannot be read must not stop the others.
pub type Stored = DeserializeGuard<LandingZone>;

/// What every reconcile shares.
pub struct Context {
    /// Client for requests that are answered at once.
    pub client: Client,
    /// Client for watches.
    pub watching: Client,
    /// Whether this operator writes.
    pub leadership: Leadership,
    /// All landing zones.
    pub zones: Store<Stored>,
    /// All owned objects, and all namespaces.
    pub cache: Cache,
    /// Who claims what.
    pub claims: RwLock<Claims>,
    /// What pods showed of placements.
    pub placements: Placements,
    /// Which pods are to be evicted.
    pub evictions: Evictions,
    /// The nodes, while somebody wants to know.
    pub nodes: watch::Sender<Nodes>,
    /// Who wants to know of nodes.
    pub wanted_nodes: watch::Sender<WantedNodes>,
    /// Who has to do with whom across boundaries.
    pub neighbourhood: RwLock<Neighbourhood>,
    /// What others write, and what is found in it.
    pub guard: Arc<Guard>,
    /// What all landing zones share about Azure.
    pub azure: AzureContext,
    /// Where others' policies decide.
    pub team_policies: RwLock<Policies>,
    /// Whether a landing zone, or the default deny, is in stage Observe.
    pub observing: watch::Sender<bool>,
    platform: RwLock<Option<Arc<Platform>>>,
    /// What the cluster can do.
    pub signs: Signs,
    /// Writes owned objects.
    pub writer: Writer,
    /// Where reconciles are asked for.
    pub queue: Queue,
    /// Where people read what happened.
    pub events: Events,
    /// Whether there is so much to write that what is told waits.
    pub pressure: Arc<Pressure>,
    /// Who waits for that, and to hear of them.
    pub untold: (Mutex<BTreeSet<String>>, Notify),
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// One writer of tiers at a time, since all landing zones share them.
    pub tiers: tokio::sync::Mutex<()>,
    /// Whether all landing zones are known.
    zones_listed: AtomicBool,
    memories: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Memory>>>>,
    rendered: RwLock<HashMap<String, Arc<Rendered>>>,
    /// The status of the platform.
    pub platform_status: PlatformStatus,
    default_deny: RwLock<Option<Arc<Targets>>>,
    default_deny_woken: Notify,
    webhook_woken: Notify,
    /// Whether the default deny has to know where others decide.
    default_deny_observes: AtomicBool,
    standing: Mutex<Standing>,
}

/// How a landing zone stands.
#[derive(Clone, Copy, Debug)]
pub struct Stands<'a> {
    /// Whether it is ready.
    pub is_ready: bool,
    /// Whether somebody else keeps changing back one of its objects.
    pub is_contested: bool,
    /// Why its boundary does not hold, where that is known: the reason of the condition.
    pub not_held: Option<&'a str>,
}

#[derive(Debug, Default)]
struct Standing {
    not_ready: BTreeSet<String>,
    contested: BTreeSet<String>,
    /// Why the boundary does not hold, of each landing zone of which that is known.
    not_held: HashMap<String, String>,
    /// The crossings of each landing zone that have a last day.
    ending: HashMap<String, BTreeSet<CrossingLabels>>,
}

/// Asks for reconciles. One that waits already is not asked for twice. Nothing is asked for before it is opened: whoever
/// completes the picture asks for every landing zone.
#[derive(Clone, Debug)]
pub struct Queue {
    requests: UnboundedSender<ReconcileRequest<Stored>>,
    is_open: Arc<AtomicBool>,
}

impl Queue {
    /// A queue and its other end.
    #[must_use]
    pub fn new() -> (Self, UnboundedReceiver<ReconcileRequest<Stored>>) {
        let (requests, receiver) = unbounded();
        let is_open = Arc::default();
        (Self { requests, is_open }, receiver)
    }

    fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }

    /// Asks for a reconcile of a landing zone.
    pub fn push(&self, zone: &str) {
        if !self.is_open.load(Ordering::Acquire) {
            return;
        }
        let request = ObjectRef::<Stored>::new(zone).into();
        if self.requests.unbounded_send(request).is_err() {
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
        signs: Signs,
        queue: Queue,
        events: Events,
        pressure: Arc<Pressure>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let cache = Cache::default();
        let writer = Writer::new(&clients, cache.clone(), pressure.clone(), metrics.clone());
        Self {
            client: clients.asking,
            watching: clients.watching,
            leadership: clients.leadership,
            zones,
            cache,
            claims: RwLock::default(),
            placements: Placements::default(),
            evictions: Evictions::default(),
            nodes: watch::Sender::new(None),
            wanted_nodes: watch::Sender::new(WantedNodes::default()),
            neighbourhood: RwLock::default(),
            guard: Arc::default(),
            azure: AzureContext::default(),
            team_policies: RwLock::default(),
            observing: watch::Sender::new(false),
            platform: RwLock::default(),
            signs,
            writer,
            queue,
            events,
            pressure,
            untold: <_>::default(),
            metrics,
            tiers: tokio::sync::Mutex::default(),
            zones_listed: AtomicBool::new(false),
            memories: Mutex::default(),
            rendered: RwLock::default(),
            platform_status: PlatformStatus::default(),
            default_deny: RwLock::default(),
            default_deny_woken: Notify::new(),
            webhook_woken: Notify::new(),
            default_deny_observes: AtomicBool::new(false),
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

    /// What every reconcile needs, once all of it is known: what the cluster can do, what holds for all of it, and,
    /// besides, every landing zone and every object. Whoever completes it asks for every landing zone.
    #[must_use]
    pub fn picture(&self) -> Option<(ClusterFacts, Arc<Platform>)> {
        let (facts, platform) = (self.facts()?, self.platform()?);
        let is_complete = self.are_zones_listed() && self.cache.read().are_synced(facts.flavour());
        is_complete.then_some((facts, platform))
    }

    /// Sets what holds for the whole cluster. Where that is something else than before, every landing
    /// zone is looked at again.
    pub fn set_platform(&self, platform: Platform) {
        self.azure.declares(platform.azure.as_ref());
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
        self.wake_webhook();
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
        let is_as = |target: Option<&Target>| target.is_some_and(|it| it.digest == digest);
        if owner == PLATFORM_OWNER {
            let targets = if key.kind.is_azure() {
                self.azure.platform_targets()
            } else {
                self.default_deny()
            };
            return targets.is_some_and(|targets| is_as(targets.get(key)));
        }
        let rendered = self.rendered(owner);
        rendered.is_some_and(|rendered| is_as(rendered.get(key)))
    }

    /// The policies of the default deny as they were rendered last.
    #[must_use]
    pub fn default_deny(&self) -> Option<Arc<Targets>> {
        let targets = self.default_deny.read();
        targets.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records the policies of the default deny, so that a watch can tell what is as declared.
    pub fn set_default_deny(&self, new: Option<Arc<Targets>>) {
        let targets = self.default_deny.write();
        *targets.unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// Records whether the default deny has to know where others decide.
    pub fn set_default_deny_observes(&self, observes: bool) {
        self.default_deny_observes
            .store(observes, Ordering::Release);
        self.note_observing();
    }

    /// Asks for a look at the default deny.
    pub fn wake_default_deny(&self) {
        self.default_deny_woken.notify_one();
    }

    /// Waits until somebody asks for a look at the default deny, or did since the last one.
    pub async fn default_deny_woken(&self) {
        self.default_deny_woken.notified().await;
    }

    /// Asks for a look at the webhook.
    pub fn wake_webhook(&self) {
        self.webhook_woken.notify_one();
    }

    /// Waits until somebody asks for a look at the webhook, or did since the last one.
    pub async fn webhook_woken(&self) {
        self.webhook_woken.notified().await;
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

    /// Whether a landing zone's status knows a namespace of that name and UID as its own.
    #[must_use]
    pub fn had(&self, namespace: &str, uid: &str) -> bool {
        let zones = self.zones.state();
        let mut statuses = zones.iter().filter_map(|it| it.0.as_ref().ok());
        statuses.any(|it| recorded_uid(it.status.as_ref(), namespace) == Some(uid))
    }

    /// Whether there is an owner of that name: a landing zone, readable or not, or the platform.
    #[must_use]
    pub fn exists(&self, name: &str) -> bool {
        // What belongs to the platform is nobody's to take over.
        name == PLATFORM_OWNER || self.zones.get(&ObjectRef::<Stored>::new(name)).is_some()
    }

    /// Whether there is a landing zone of that name, readable or not, that is not being deleted.
    #[must_use]
    pub fn stays(&self, name: &str) -> bool {
        let stored = self.zones.get(&ObjectRef::<Stored>::new(name));
        stored.is_some_and(|stored| stored.meta().deletion_timestamp.is_none())
    }

    /// Asks for a reconcile of every landing zone, where enough is known for that, and for a look at what is the platform's.
    pub fn push_all(&self) {
        self.wake_default_deny();
        self.azure.wake_platform();
        self.guard.wake();
        if self.picture().is_none() {
            return;
        }
        self.queue.open();
        for zone in self.zones.state() {
            self.queue.push(&zone.name_any());
        }
    }

    /// Asks for a reconcile of every landing zone that has to do with Azure, and for a look at what the platform owns there.
    pub fn push_azure(&self) {
        self.azure.wake_platform();
        for zone in self.azure.concerned() {
            self.queue.push(&zone);
        }
    }

    /// What each landing zone owns in Azure, with subnets that are declared no more and still there.
    #[must_use]
    pub fn azure_neighbours(&self, objects: &Objects) -> Arc<Neighbours> {
        let neighbourhood = self.neighbourhood.read();
        let neighbourhood = neighbourhood.unwrap_or_else(PoisonError::into_inner);
        let mut neighbours = neighbourhood.azure();
        for (owner, range) in azure::former_subnets(objects, &neighbourhood.azure()) {
            let subnets = &mut Arc::make_mut(&mut neighbours).subnets;
            if let Some(own) = subnets.get_mut(&owner) {
                own.former.push(range);
            }
        }
        neighbours
    }

    /// Takes in which subnets are declared no more and still there. Returns whether there are any, or the last has just gone.
    #[must_use]
    pub fn notes_former_subnets(&self) -> bool {
        let objects = self.cache.read();
        let neighbourhood = self.neighbourhood.read();
        let neighbourhood = neighbourhood.unwrap_or_else(PoisonError::into_inner);
        let number = azure::former_subnets(&objects, &neighbourhood.azure()).len();
        let before = self.azure.former_subnets.swap(number, Ordering::AcqRel);
        number > 0 || before > 0
    }

    /// Asks for a reconcile of every landing zone in stage Observe, and for a look at the default deny.
    pub fn push_observing(&self) {
        self.wake_default_deny();
        let neighbourhood = self.neighbourhood.read();
        let neighbourhood = neighbourhood.unwrap_or_else(PoisonError::into_inner);
        for zone in neighbourhood.observing() {
            self.queue.push(zone);
        }
    }

    /// Takes in whether a landing zone is observed for a moment on its way to stage Enforce.
    pub fn enters(&self, zone: &str, is_entering: bool) {
        let is_news = {
            let neighbourhood = self.neighbourhood.write();
            let mut neighbourhood = neighbourhood.unwrap_or_else(PoisonError::into_inner);
            neighbourhood.enters(zone, is_entering)
        };
        if is_news {
            self.note_observing();
        }
    }

    /// Takes in whether any landing zone, or the default deny, is in stage Observe.
    pub fn note_observing(&self) {
        let neighbourhood = self.neighbourhood.read();
        let neighbourhood = neighbourhood.unwrap_or_else(PoisonError::into_inner);
        let any = neighbourhood.observing().next().is_some()
            || self.default_deny_observes.load(Ordering::Acquire);
        self.observing
            .send_if_modified(|known| std::mem::replace(known, any) != any);
    }

    /// Takes in on which nodes a landing zone places its pods, where it does.
    pub fn places(&self, zone: &str, placement: Option<&Placement>) {
        let wanted = self.placements.places(zone, placement);
        self.wanted_nodes
            .send_if_modified(|known| std::mem::replace(&mut known.placement, wanted) != wanted);
    }

    /// Forgets a landing zone that is gone.
    pub fn forget(&self, zone: &str) {
        self.places(zone, None);
        self.evictions.keep(zone, None);
        self.guard.forget(zone, &self.metrics);
        self.azure.forget(zone);
        let memories = self.memories.lock();
        memories
            .unwrap_or_else(PoisonError::into_inner)
            .remove(zone);
        let rendered = self.rendered.write();
        let rendered = rendered
            .unwrap_or_else(PoisonError::into_inner)
            .remove(zone);
        // Declared again, a landing zone knows from its policies which namespaces it had.
        let targets = rendered.iter().flat_map(|rendered| &rendered.targets);
        let policies =
            targets.filter(|it| it.key.kind.is_calico_policy() && it.key.namespace.is_none());
        let mut objects = self.cache.write();
        policies.for_each(|policy| objects.unsettle(policy));
        drop(objects);
        let nothing = Stands {
            is_ready: true,
            is_contested: false,
            not_held: None,
        };
        self.stands(zone, nothing);
        self.ends(zone, &BTreeMap::new());
    }

    /// Records how a landing zone stands, for the metrics.
    pub fn stands(&self, zone: &str, stands: Stands<'_>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let record = |set: &mut BTreeSet<String>, is_in: bool| {
            if is_in {
                set.insert(zone.to_owned());
            } else {
                set.remove(zone);
            }
        };
        record(&mut standing.not_ready, !stands.is_ready);
        record(&mut standing.contested, stands.is_contested);
        let count = |set: &BTreeSet<String>| i64::try_from(set.len()).unwrap_or(i64::MAX);
        self.metrics
            .landing_zones_not_ready
            .set(count(&standing.not_ready));
        self.metrics.contested.set(count(&standing.contested));

        let gauges = &self.metrics.boundary_not_held;
        let labels = |reason: &str| ReasonLabels {
            reason: reason.to_owned(),
        };
        let before = standing.not_held.remove(zone);
        if let Some(reason) = stands.not_held {
            standing.not_held.insert(zone.to_owned(), reason.to_owned());
        }
        let number = |reason: &str| {
            let all = standing.not_held.values();
            i64::try_from(all.filter(|it| *it == reason).count()).unwrap_or(i64::MAX)
        };
        for reason in before.as_deref().into_iter().chain(stands.not_held) {
            gauges.get_or_create(&labels(reason)).set(number(reason));
        }
    }

    /// Records when crossings of a landing zone end, for the metrics: labels, and seconds since 1970.
    pub fn ends(&self, zone: &str, ends: &BTreeMap<CrossingLabels, i64>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let gauges = &self.metrics.crossing_expiry;
        for (labels, at) in ends {
            gauges.get_or_create(labels).set(*at);
        }
        let known = standing.ending.remove(zone).unwrap_or_default();
        for gone in known.iter().filter(|labels| !ends.contains_key(labels)) {
            gauges.remove(gone);
        }
        if !ends.is_empty() {
            let labels = ends.keys().cloned().collect();
            standing.ending.insert(zone.to_owned(), labels);
        }
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
