//! Evicts pods that run where their placement does not admit them, where a landing zone asks for it with
//! `placement.evictMisplaced`.
//!
//! It goes on beside the reconciles, one landing zone after the other: these say what is wanted, and tell what
//! came of it. Pods are not watched but listed, when a placement or a node's labels change, and again and
//! again only as long as pods are elsewhere.

mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{self, ObjectReference};
use kube::Api;
use kube::api::{DeleteParams, EvictParams, PostParams, Preconditions};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::context::Context;
use crate::api::names::MANAGER;
use crate::cluster::{failure, list_pods};
use crate::domain::{Node, Placement, Pod, elsewhere, movable};
use crate::telemetry::{Note, Severity};

use told::Found;
pub use told::Told;

/// So many pods of a landing zone are evicted before it is looked at again.
const A_FEW: usize = 5;
/// When a landing zone is looked at again after pods were evicted.
const PROGRESSES: Duration = Duration::from_secs(5);
/// The first and the longest wait while none could be.
const WAITS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(1));
/// For how long none has to be before that is worth a warning: a pod that starts slowly takes minutes.
const BLOCKED_AFTER: Duration = Duration::from_mins(10);
/// When pods that are never evicted are counted again.
const COUNTED_AGAIN: Duration = Duration::from_mins(5);
/// How long pods that are all in their place are taken to stay so.
const STANDS: Duration = Duration::from_hours(4);
/// Nodes come in groups, and each of them changes several times when it does.
const NODES_GATHER: Duration = Duration::from_secs(1);

/// Where pods belong.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    /// The placement that is in force.
    pub placement: Placement,
    /// The namespaces that are there and as declared.
    pub namespaces: BTreeSet<String>,
}

/// What is to be evicted, and what came of it, by landing zone.
#[derive(Debug, Default)]
pub struct Evictions {
    zones: Mutex<BTreeMap<String, Entry>>,
    woken: Notify,
}

#[derive(Debug)]
struct Entry {
    scope: Arc<Scope>,
    /// When it is looked at next.
    due: Instant,
    /// The nodes that it admitted when it was looked at last.
    admitted: BTreeSet<String>,
    told: Option<Told>,
    /// When a pod was evicted last, or it was looked at first.
    moved: Instant,
    /// How often it was looked at since, and none could be evicted.
    fruitless: u32,
}

impl Evictions {
    fn zones(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up what was wanted for a landing zone, unless that is still its placement.
    pub fn keep(&self, zone: &str, placement: Option<&Placement>) {
        let mut zones = self.zones();
        let stays = zones
            .get(zone)
            .is_some_and(|entry| Some(&entry.scope.placement) == placement);
        if !stays {
            zones.remove(zone);
        }
    }

    /// Takes in where the pods of a landing zone belong. Returns what is known of them; None: not yet.
    /// `stood`, every pod was in its place before the operator started, and nothing was changed since; then nodes are
    /// taken to be as they were.
    pub fn want(
        &self,
        zone: &str,
        scope: Scope,
        stood: bool,
        nodes: Option<&BTreeMap<String, Node>>,
    ) -> Option<Told> {
        let now = Instant::now();
        let mut zones = self.zones();
        if let Some(entry) = zones.get(zone)
            && *entry.scope == scope
        {
            return entry.told.clone();
        }
        // An operator that starts does not ask for every pod in the cluster at once.
        let due = if stood {
            now + share_of(STANDS, zone)
        } else {
            now
        };
        let admitted = admitted(&scope.placement, nodes.into_iter().flatten());
        let entry = Entry {
            scope: Arc::new(scope),
            due,
            admitted,
            told: None,
            moved: now,
            fruitless: 0,
        };
        zones.insert(zone.to_owned(), entry);
        drop(zones);
        self.woken.notify_one();
        None
    }

    fn is_wanted(&self, zone: &str, scope: &Arc<Scope>) -> bool {
        let zones = self.zones();
        let entry = zones.get(zone);
        entry.is_some_and(|entry| Arc::ptr_eq(&entry.scope, scope))
    }

    /// The landing zone that is due first.
    fn next(&self) -> Option<(Instant, String, Arc<Scope>)> {
        let zones = self.zones();
        let (zone, entry) = zones.iter().min_by_key(|(_, entry)| entry.due)?;
        Some((entry.due, zone.clone(), entry.scope.clone()))
    }

    /// Takes in what came of a look. Returns whether there is something new to tell.
    fn settle(&self, zone: &str, scope: &Arc<Scope>, looked: Looked, now: Instant) -> bool {
        let mut zones = self.zones();
        let entry = zones.get_mut(zone);
        let Some(entry) = entry.filter(|entry| Arc::ptr_eq(&entry.scope, scope)) else {
            // Something else is wanted by now.
            return false;
        };
        entry.settle(looked, now)
    }

    /// Takes in that nodes changed: whoever may have a pod on one that is not admitted any more is looked at.
    fn nodes_changed(&self, nodes: &BTreeMap<String, Node>, now: Instant) {
        for entry in self.zones().values_mut() {
            let placement = &entry.scope.placement;
            let lost = |name: &String| nodes.get(name).is_some_and(|node| !placement.admits(node));
            let waits_for_one = entry.told.as_ref().is_some_and(Told::waits_for_nodes);
            let has_one = || nodes.values().any(|node| is_open(placement, node));
            if entry.admitted.iter().any(lost) || (waits_for_one && has_one()) {
                entry.due = now;
            }
        }
    }
}

impl Entry {
    fn settle(&mut self, looked: Looked, now: Instant) -> bool {
        self.admitted = looked.admitted;
        let told = match looked.found {
            Ok(mut found) => {
                if found.evicted > 0 || found.moving.is_empty() {
                    (self.moved, self.fruitless) = (now, 0);
                } else {
                    self.fruitless = self.fruitless.saturating_add(1);
                }
                found.is_blocked = now.duration_since(self.moved) >= BLOCKED_AFTER;
                self.due = now + self.pause(&found);
                found.told()
            }
            Err(told) => {
                self.due = now + WAITS.1;
                told
            }
        };
        let is_news = self.told.as_ref() != Some(&told);
        self.told = Some(told);
        is_news
    }

    fn pause(&self, found: &Found) -> Duration {
        if found.evicted > 0 {
            PROGRESSES
        } else if found.moving.is_empty() && found.staying.is_empty() {
            STANDS
        } else if found.moving.is_empty() || !found.has_nodes {
            COUNTED_AGAIN
        } else {
            let factor = 2_u32.saturating_pow(self.fruitless.saturating_sub(1).min(10));
            WAITS.0.saturating_mul(factor).min(WAITS.1)
        }
    }
}

/// The names of the nodes that a placement admits.
fn admitted<'a>(
    placement: &Placement,
    nodes: impl Iterator<Item = (&'a String, &'a Node)>,
) -> BTreeSet<String> {
    let admitted = nodes.filter(|(_, node)| placement.admits(node));
    admitted.map(|(name, _)| name.clone()).collect()
}

/// Whether a pod that is evicted could go to a node.
fn is_open(placement: &Placement, node: &Node) -> bool {
    placement.admits(node) && !node.is_closed
}

/// A part of a time, another one for each name.
fn share_of(whole: Duration, name: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let part = u32::try_from(hasher.finish() % 1000).unwrap_or_default();
    whole / 1000 * part
}

/// What a look at the pods of a landing zone gave.
struct Looked {
    /// What was found; or what is told instead.
    found: Result<Found, Told>,
    /// The nodes that the placement admits.
    admitted: BTreeSet<String>,
}

/// Looks after pods that run elsewhere; never ends.
pub(super) async fn evict_misplaced(context: Arc<Context>) {
    let evictions = &context.evictions;
    let mut nodes = context.nodes.subscribe();
    loop {
        let next = evictions.next();
        let due = async {
            match &next {
                Some((due, ..)) => tokio::time::sleep_until(*due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = evictions.woken.notified() => continue,
            changed = nodes.changed() => {
                if changed.is_err() {
                    return;
                }
                tokio::time::sleep(NODES_GATHER).await;
                let known = nodes.borrow_and_update().clone();
                evictions.nodes_changed(&known.unwrap_or_default(), Instant::now());
                continue;
            }
            () = due => {}
        }
        let Some((_, zone, scope)) = next else {
            continue;
        };
        let looked = look(&context, &zone, &scope).await;
        if evictions.settle(&zone, &scope, looked, Instant::now()) {
            context.queue.push(&zone);
        }
    }
}

async fn look(context: &Context, zone: &str, scope: &Arc<Scope>) -> Looked {
    let nodes = context.nodes.borrow().clone();
    let Some(nodes) = nodes else {
        let found = Err(Told::unknown("the nodes cannot be read"));
        let admitted = BTreeSet::new();
        return Looked { found, admitted };
    };
    Looked {
        admitted: admitted(&scope.placement, nodes.iter()),
        found: evict_a_few(context, zone, scope, &nodes).await,
    }
}

async fn evict_a_few(
    context: &Context,
    zone: &str,
    scope: &Arc<Scope>,
    nodes: &BTreeMap<String, Node>,
) -> Result<Found, Told> {
    let mut pods = Vec::new();
    for namespace in &scope.namespaces {
        pods.extend(read(context, namespace).await?);
    }
    let elsewhere = elsewhere(&scope.placement, nodes, &pods);
    let mut found = Found {
        has_nodes: nodes.values().any(|node| is_open(&scope.placement, node)),
        ..Found::of(&elsewhere, &pods)
    };
    if !found.has_nodes {
        return Ok(found);
    }
    let text = |pod: &Pod| {
        let node = pod.node.as_deref().unwrap_or_default();
        format!(
            "evicted from {node}, which the placement of the landing zone {zone} does not admit; its successor \
             goes to one that it does"
        )
    };
    let is_wanted = || context.evictions.is_wanted(zone, scope);
    let moved = move_away(context, zone, (&elsewhere, &pods), is_wanted, text).await;
    found.evicted = moved.evicted;
    found.refused = found.refused.or(moved.refused);
    Ok(found)
}

/// What came of moving pods.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// How many were evicted.
    pub evicted: usize,
    /// Why one was not.
    pub refused: Option<String>,
}

/// Evicts those of some pods that may move now, a few at most, while it is wanted; `all` are the pods beside which they are. Tells whoever
/// looks for one of them why it is gone.
pub(super) async fn move_away(
    context: &Context,
    zone: &str,
    (pods, all): (&[&Pod], &[Pod]),
    is_wanted: impl Fn() -> bool,
    text: impl Fn(&Pod) -> String,
) -> Moved {
    let mut moved = Moved::default();
    for pod in movable(pods, all) {
        if moved.evicted == A_FEW || !is_wanted() {
            break;
        }
        match evict(context, pod).await {
            Evicted::Yes => {
                moved.evicted += 1;
                context.metrics.pods_evicted.inc();
                tell(context, zone, pod, text(pod));
            }
            Evicted::Gone => {}
            Evicted::Refused(why) => moved.refused = moved.refused.or(Some(why)),
        }
    }
    moved
}

async fn read(context: &Context, namespace: &str) -> Result<Vec<Pod>, Told> {
    list_pods(&context.client, namespace)
        .await
        .map_err(|error| match error {
            kube::Error::Api(status) if status.is_forbidden() => Told::forbidden(&status.message),
            error => Told::unknown(&failure(&error)),
        })
}

/// What came of an eviction.
enum Evicted {
    /// It is on its way out.
    Yes,
    /// It was gone already, or is another one by now.
    Gone,
    /// It was not, and why.
    Refused(String),
}

async fn evict(context: &Context, pod: &Pod) -> Evicted {
    let this_one = Preconditions {
        uid: Some(pod.uid.clone()),
        resource_version: None,
    };
    let params = EvictParams {
        delete_options: Some(DeleteParams {
            preconditions: Some(this_one),
            ..DeleteParams::default()
        }),
        post_options: PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        },
    };
    let api = Api::<v1::Pod>::namespaced(context.client.clone(), &pod.namespace);
    let named = |why: &str| format!("{}/{}: {why}", pod.namespace, pod.name);
    match api.evict(&pod.name, &params).await {
        Ok(_) => Evicted::Yes,
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
            Evicted::Gone
        }
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            let why = format!("{} (the rights are in config/eviction)", status.message);
            Evicted::Refused(named(&why))
        }
        Err(kube::Error::Api(status)) => {
            // Of a disruption budget the cause says which, and what it lacks.
            let causes = status.details.iter().flat_map(|it| &it.causes);
            let causes = causes.map(|cause| cause.message.as_str());
            let why: Vec<_> = std::iter::once(status.message.as_str())
                .chain(causes)
                .collect();
            Evicted::Refused(named(&why.join(" ")))
        }
        Err(error) => Evicted::Refused(named(&failure(&error))),
    }
}

/// Whoever looks for the pod finds out why it is gone.
fn tell(context: &Context, zone: &str, pod: &Pod, text: String) {
    let node = pod.node.as_deref().unwrap_or_default();
    tracing::info!(
        zone,
        namespace = pod.namespace,
        pod = pod.name,
        node,
        "evicted"
    );
    let regarding = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.namespace.clone()),
        name: Some(pod.name.clone()),
        uid: Some(pod.uid.clone()),
        ..ObjectReference::default()
    };
    context.events.note(Note {
        regarding,
        severity: Severity::Normal,
        reason: "EvictedForPlacement",
        text,
    });
}

#[cfg(test)]
mod tests;
