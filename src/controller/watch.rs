//! One watch for each kind, whatever the number of landing zones; every event is dispatched here.
//!
//! Shared streams of kube-runtime drop deletions (kube-rs/kube#1590), and after a new list nobody
//! says what vanished meanwhile. So deletions are forwarded, and after each list every landing zone
//! is compared again, which is local and costs no request.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use futures::StreamExt;
use kube::core::ApiResource;
use kube::runtime::reflector::store::Writer as StoreWriter;
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client, CustomResourceExt, Resource, ResourceExt};
use tokio_util::task::AbortOnDropHandle;

use super::cache::{Observed, PLATFORM_OWNER};
use super::calico_metadata;
use super::context::{Context, Stored};
use super::kind::{Kind, ObjectKey};
use super::others::{self, Source};
use crate::api::names::OWNER;
use crate::api::{LandingZone, LandingZoneStatus};
use crate::cluster::{LAST_APPLIED, Watched, follow};
use crate::domain::{AzureKind, Flavour};
use crate::telemetry::{Health, KindLabels};

/// What is watched, whether its objects have another name in Calico's storage, and the watch.
type Running = HashMap<Kind, (ApiResource, bool, AbortOnDropHandle<()>)>;

/// Watches of all kinds in the present flavour; follows the flavour until it is dropped.
pub async fn follow_flavour(context: Arc<Context>, health: Health) {
    let mut running = Running::new();
    let mut signs = context.signs.clone();
    loop {
        let flavour = signs
            .borrow_and_update()
            .as_ref()
            .map(crate::cluster::ClusterFacts::flavour);
        if let Some(flavour) = flavour {
            restart_changed(&context, &health, flavour, &mut running);
            context.push_all();
        }
        if signs.changed().await.is_err() {
            return;
        }
    }
}

fn restart_changed(
    context: &Arc<Context>,
    health: &Health,
    flavour: Flavour,
    running: &mut Running,
) {
    let renames = |kind: Kind| kind.is_calico_policy() && flavour.renames();
    let changed: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| {
            let wanted = kind.api_resource(flavour);
            let current = running.get(kind);
            wanted.map(|wanted| (wanted, renames(*kind)))
                != current.map(|(resource, renames, _)| (resource.clone(), *renames))
        })
        .collect();
    let ended: Vec<_> = changed
        .iter()
        .filter_map(|kind| Some((*kind, running.remove(kind)?)))
        .collect();
    let ended: Vec<Kind> = ended.into_iter().map(|(kind, _watch)| kind).collect();
    // At once: no reconcile may see one flavour and the objects of another.
    context.cache.write().watch(flavour, &changed);
    for kind in changed {
        if let Some(source) = Source::of(kind) {
            others::unlist(context, source);
        }
        if ended.contains(&kind) {
            context
                .metrics
                .watch_synced
                .get_or_create(&KindLabels::from(kind))
                .set(0.0);
            health.not_needed(&part(kind));
        }
        if let Some(resource) = kind.api_resource(flavour) {
            health.waits_for(&part(kind));
            let watch = watch_kind(
                (kind, flavour),
                resource.clone(),
                context.clone(),
                health.clone(),
            );
            let watch = AbortOnDropHandle::new(tokio::spawn(watch));
            running.insert(kind, (resource, renames(kind), watch));
        }
    }
}

fn part(kind: Kind) -> String {
    format!("watch of {kind}")
}

/// A kind, and the flavour in which its objects are named.
type Named = (Kind, Flavour);

async fn watch_kind(named: Named, resource: ApiResource, context: Arc<Context>, health: Health) {
    let (kind, _) = named;
    let client = context.watching.clone();
    match kind {
        // Whole, since a label-selected watch would call a namespace that lost its label deleted;
        // metadata only, since nothing else of a namespace is ours.
        Kind::Namespace => {
            let api = Api::<Watched>::all_with(client, &resource);
            let events = follow(api, Config::default()).map(|event| event.map(metadata_only));
            dispatch_all(named, events, &context, &health).await;
        }
        // Tiers belong to no landing zone, and there are few. Policies whole, too: Calico's API
        // server tells nothing of one that lost its label to whoever watches by label, and in its
        // storage the labels of what it wrote are not where a selector looks. What others write is
        // judged besides.
        Kind::Tier
        | Kind::GlobalNetworkPolicy
        | Kind::StagedGlobalNetworkPolicy
        | Kind::NetworkPolicy => {
            let api = Api::<Watched>::all_with(client, &resource);
            dispatch_all(named, follow(api, Config::default()), &context, &health).await;
        }
        _ => {
            let api = Api::<Watched>::all_with(client, &resource);
            let config = Config::default().labels(OWNER);
            dispatch_all(named, follow(api, config), &context, &health).await;
        }
    }
}

/// Nothing of an object but its metadata.
fn metadata_only(event: Event<Watched>) -> Event<Watched> {
    match event {
        Event::InitApply(object) => Event::InitApply(object.without_content()),
        Event::Apply(object) => Event::Apply(object.without_content()),
        Event::Init | Event::InitDone | Event::Delete(_) => event,
    }
}

async fn dispatch_all(
    named: Named,
    events: impl futures::Stream<Item = Result<Event<Watched>, String>>,
    context: &Context,
    health: &Health,
) {
    let (kind, _) = named;
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if !matches!(event, Event::Init | Event::InitApply(_)) {
                    health.is_well(&part(kind));
                }
                dispatch(named, event, context);
            }
            Err(error) => health.fails(&part(kind), &error),
        }
    }
}

pub(super) fn dispatch(named: Named, event: Event<Watched>, context: &Context) {
    let (kind, flavour) = named;
    if let Some(source) = Source::of(kind) {
        others::take_in(context, source, flavour, &event);
    }
    match event {
        Event::Init => context.cache.write().list_begins(kind),
        Event::InitApply(object) | Event::Apply(object) => seen(named, object, context),
        Event::Delete(object) => gone(&key_of(named, &object), version_of(&object), context),
        Event::InitDone => {
            let vanished = context.cache.write().list_ends(kind);
            if !vanished.is_empty() {
                tracing::info!(%kind, count = vanished.len(), "vanished while the watch was cut");
            }
            let labels = KindLabels::from(kind);
            context.metrics.watch_synced.get_or_create(&labels).set(1.0);
            if kind.is_azure() {
                // Which of them completes what is known differs from one landing zone to another.
                context.push_azure();
                return;
            }
            context.push_all();
        }
    }
}

fn key_of((kind, flavour): Named, object: &Watched) -> ObjectKey {
    let meta = object.meta();
    let served = meta.name.as_deref().unwrap_or_default();
    ObjectKey::of_served(kind, meta.namespace.as_deref(), served, flavour)
}

fn version_of(object: &Watched) -> Option<&str> {
    object.meta().resource_version.as_deref()
}

fn seen(named: Named, object: Watched, context: &Context) {
    let (kind, _) = named;
    let key = key_of(named, &object);
    let version = version_of(&object).map(str::to_owned);
    let object = calico_metadata::with_labels(kind, object.into_tree());
    let Some(mut observed) = Observed::digested(kind, &object) else {
        tracing::error!(%key, "an object came without UID or resource version");
        return;
    };
    let owner = observed.owner.clone();
    if (kind.is_calico_policy() || kind == Kind::NetworkPolicy) && owner.is_none() {
        // Somebody else's, or it lost its label: as far as what is ours goes, it is not there.
        return gone(&key, version.as_deref(), context);
    }
    let digest = observed.digest;
    let azure = observed.azure.clone();
    let quiet = kind != Kind::Namespace
        && !observed.deleting
        && owner
            .as_ref()
            .is_some_and(|owner| context.is_as_declared(&key, owner, digest));
    if !quiet || !observed.is_told_by_digest(kind) {
        observed.keep(&object);
        if key.is_in_reach_of_teams() {
            let declared = owner
                .as_ref()
                .is_some_and(|owner| context.may_be_declared(&key, owner));
            observed.bound(declared);
        }
    }
    let before = {
        let mut objects = context.cache.write();
        let before = objects.observe(key.clone(), observed);
        before.map(|before| (before, objects.take_former_owner(&key)))
    };
    let Ok((before, former_owner)) = before else {
        return;
    };
    let settled_before = before
        .as_ref()
        .is_some_and(|before| before.digest == digest && !before.deleting && before.azure == azure);
    if quiet && settled_before && former_owner.is_none() {
        return;
    }
    let owner_before = before.and_then(|before| before.owner);
    tell_concerned(&key, context, [owner, owner_before, former_owner]);
}

fn gone(key: &ObjectKey, version: Option<&str>, context: &Context) {
    let known = context.cache.write().forget(key, version);
    // An object that merely lost its label looks deleted here; the reconcile's POST tells.
    if let Some(known) = known {
        tell_concerned(key, context, [known.owner]);
    }
}

fn tell_concerned<const N: usize>(key: &ObjectKey, context: &Context, owners: [Option<String>; N]) {
    let mut concerned: BTreeSet<String> = owners.into_iter().flatten().collect();
    let is_platforms = concerned.remove(PLATFORM_OWNER);
    if is_platforms && key.kind.is_azure() {
        context.azure.wake_platform();
    } else if is_platforms || key.kind == Kind::Namespace {
        context.wake_default_deny();
    }
    if matches!(key.kind, Kind::Namespace | Kind::Tier) {
        context.guard.wake();
    }
    match key.kind {
        Kind::Namespace => {
            // Whom something is open to is known by its label.
            let neighbourhood = context.neighbourhood.read();
            let neighbourhood = neighbourhood.unwrap_or_else(PoisonError::into_inner);
            let neighbours = concerned.iter().flat_map(|owner| neighbourhood.of(owner));
            let neighbours: Vec<_> = neighbours.collect();
            drop(neighbourhood);
            concerned.extend(neighbours);
            let claims = context
                .claims
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            concerned.extend(claims.of_namespace(&key.name).map(str::to_owned));
        }
        // Others let in whoever is in a subnet that is declared no more.
        Kind::Azure(AzureKind::VirtualNetworksSubnet) if context.notes_former_subnets() => {
            context.push_azure();
        }
        // Tiers concern all landing zones. Whichever comes first puts them right, and it must not be
        // one that is suspended.
        Kind::Tier => return context.push_all(),
        _ => {}
    }
    for zone in concerned {
        context.queue.push(&zone);
    }
}

/// Follows the landing zones themselves. Status written by the operator asks for nothing.
pub async fn follow_zones(
    client: Client,
    mut store: StoreWriter<Stored>,
    context: Arc<Context>,
    health: Health,
) {
    const PART: &str = "watch of LandingZone";
    let mut known: HashMap<String, Seen> = HashMap::new();
    let mut listed: BTreeSet<String> = BTreeSet::new();
    health.waits_for(PART);
    let events = follow(Api::<Stored>::all(client), Config::default());
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                health.fails(PART, &explained(error, LandingZone::crd_name()));
                continue;
            }
        };
        let event = without_history(event);
        store.apply_watcher_event(&event);
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(zone) => {
                listed.insert(zone.name_any());
                declared(&zone, &context, &mut known, Listed::InPart);
            }
            Event::Apply(zone) => {
                health.is_well(PART);
                declared(&zone, &context, &mut known, Listed::Wholly);
            }
            Event::Delete(zone) => withdrawn(&zone.name_any(), &context, &mut known),
            Event::InitDone => {
                health.is_well(PART);
                let vanished: Vec<_> = known
                    .keys()
                    .filter(|name| !listed.contains(*name))
                    .cloned()
                    .collect();
                for name in vanished {
                    withdrawn(&name, &context, &mut known);
                }
                context.zones_are_listed();
                context.push_all();
            }
        }
        let count = i64::try_from(known.len()).unwrap_or(i64::MAX);
        context.metrics.landing_zones.set(count);
    }
}

/// Who wrote what of a landing zone, and what kubectl applied, is nobody's question, and takes more memory than the landing
/// zone.
fn without_history(mut event: Event<Stored>) -> Event<Stored> {
    if let Event::InitApply(zone) | Event::Apply(zone) | Event::Delete(zone) = &mut event {
        let meta = kube::Resource::meta_mut(zone);
        meta.managed_fields = None;
        if let Some(annotations) = &mut meta.annotations {
            annotations.remove(LAST_APPLIED);
        }
    }
    event
}

/// Why a watch of one of our kinds failed, and what helps.
pub(super) fn explained(error: String, definition: &str) -> String {
    if error.contains("404") || error.contains("NotFound") || error.contains("not found") {
        format!("{error}; is the CustomResourceDefinition {definition} installed?")
    } else {
        error
    }
}

/// The part of a landing zone that a reconcile depends on.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    uid: Option<String>,
    generation: Option<i64>,
    deleting: bool,
    annotations: std::collections::BTreeMap<String, String>,
    finalizers: Vec<String>,
    readable: bool,
}

fn declared(stored: &Stored, context: &Context, known: &mut HashMap<String, Seen>, listed: Listed) {
    let name = stored.name_any();
    let zone = stored.0.as_ref().ok();
    let meta = kube::Resource::meta(stored);
    let seen = Seen {
        uid: meta.uid.clone(),
        generation: meta.generation,
        deleting: meta.deletion_timestamp.is_some(),
        annotations: meta.annotations.clone().unwrap_or_default(),
        finalizers: meta.finalizers.clone().unwrap_or_default(),
        readable: zone.is_some(),
    };
    let is_same = known.get(&name) == Some(&seen);
    known.insert(name.clone(), seen);
    // What somebody else wrote into the status is put right.
    let status = zone.and_then(|zone| zone.status.as_ref());
    let version = meta.resource_version.as_deref().unwrap_or_default();
    if is_own_status(&name, (status, version), context, listed) && is_same {
        return;
    }
    if let Some(zone) = zone {
        claim(zone, context);
    }
    // It may lie in another subnet now.
    context.azure.wake_platform();
    context.queue.push(&name);
}

/// How much of a list of landing zones is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listed {
    InPart,
    Wholly,
}

/// Whether a status is the one that the operator wrote last. While a reconcile holds the memory,
/// that reconcile's own write is what comes back; it looks at the end whether anything is left.
fn is_own_status(
    name: &str,
    (status, version): (Option<&LandingZoneStatus>, &str),
    context: &Context,
    listed: Listed,
) -> bool {
    let memory = context.memory(name);
    let Ok(mut memory) = memory.try_lock() else {
        // Asking once more costs a local comparison.
        return false;
    };
    // Until all are listed, whoever asks for the landing zone gets it as it was before.
    if listed == Listed::Wholly {
        memory.leave_to(status, version);
    }
    memory.is_last(status)
}

fn claim(zone: &LandingZone, context: &Context) {
    let concerned = {
        let mut claims = context
            .claims
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut concerned = claims.update(zone);
        if zone.metadata.deletion_timestamp.is_some() {
            concerned.extend(claims.sharing(&zone.name_any()));
        }
        concerned
    };
    let neighbours = {
        let neighbourhood = context.neighbourhood.write();
        let mut neighbourhood = neighbourhood.unwrap_or_else(PoisonError::into_inner);
        neighbourhood.update(zone)
    };
    context.note_observing();
    for other in concerned.union(&neighbours) {
        context.queue.push(other);
    }
}

fn withdrawn(name: &str, context: &Context, known: &mut HashMap<String, Seen>) {
    known.remove(name);
    context.forget(name);
    let concerned = {
        let mut claims = context
            .claims
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        claims.remove(name)
    };
    let neighbours = {
        let neighbourhood = context.neighbourhood.write();
        let mut neighbourhood = neighbourhood.unwrap_or_else(PoisonError::into_inner);
        neighbourhood.remove(name)
    };
    context.note_observing();
    for other in concerned.union(&neighbours) {
        context.queue.push(other);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn history_is_not_kept_and_what_people_wrote_is() {
        let stored: Stored = serde_json::from_value(json!({
            "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
            "metadata": {
                "name": "shop", "annotations": {LAST_APPLIED: "{}", "team": "web"},
                "managedFields": [{"manager": "kubectl", "operation": "Apply"}],
            },
            "spec": {"applicationCode": "shop", "namespaces": [{"name": "shop-web", "zone": "web"}]},
        }))
        .unwrap();
        let Event::Apply(kept) = without_history(Event::Apply(stored)) else {
            unreachable!("an event stays what it is");
        };
        let meta = kube::Resource::meta(&kept);
        assert_eq!(meta.managed_fields, None);
        let annotations = meta.annotations.clone().unwrap();
        assert_eq!(annotations, [("team".to_owned(), "web".to_owned())].into());
    }
}
