//! The only module that changes owned objects. Every change carries the resource version that it
//! was decided on, so that nothing is overwritten unseen.

mod applied;
mod requests;
mod write_error;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{FutureExt, StreamExt, stream};
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Request;
use kube::core::params::GetParams;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::cache::{Cache, Observed, written_by_us};
use super::calico_metadata;
use super::clients::Clients;
use super::compare::{Content, differences};
use super::kind::{Kind, ObjectKey};
use super::plan::{Cause, Change, Plan, Prune, Write, field_change};
use super::pressure::Pressure;
use super::rendered::Target;
use crate::api::AdoptionPolicy;
use crate::api::names::{MANAGED_BY, MANAGER, OWNER};
use crate::build;
use crate::domain::Flavour;
use crate::telemetry::{Metrics, RequestVerb};
use requests::{fields_patch, request};

pub use applied::{Applied, Failure, Repaired};
pub use write_error::WriteError;

/// Requests of one landing zone that may be under way at once.
const IN_FLIGHT_EACH: usize = 8;

/// Writes objects.
#[derive(Clone, Debug)]
pub struct Writer {
    client: ClientDebug,
    cache: Cache,
    pressure: Arc<Pressure>,
    metrics: Arc<Metrics>,
    /// Those of requests of the whole process that may be under way at once, but those that grant rights.
    permits: Arc<Semaphore>,
    /// Those of requests that grant rights in the whole cluster. They have places of their own, as many, since each of them
    /// takes some ten times as long as any other without giving anybody anything to do: the API server looks whether the
    /// operator has the rights itself, and for each role that it reads for that it waits until what it reads is fresh, a tenth
    /// of a second each time (measured with Kubernetes 1.37).
    permits_to_grant: Arc<Semaphore>,
}

#[derive(Clone)]
struct ClientDebug(Client);

impl std::fmt::Debug for ClientDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// On whose behalf something is written.
#[derive(Clone, Copy, Debug)]
pub struct Behalf<'a> {
    /// The landing zone.
    pub zone: &'a str,
    /// What it says about objects that exist already.
    pub adoption: AdoptionPolicy,
    /// Where the policies go.
    pub flavour: Flavour,
}

/// The writes of a plan to objects of some kinds.
fn in_phase(plan: &Plan, phase: fn(Kind) -> bool) -> impl Iterator<Item = &Write> {
    let writes = plan.writes.iter();
    writes.filter(move |write| phase(write.target.key.kind))
}

impl Writer {
    /// A writer that takes what it wrote into the cache.
    #[must_use]
    pub fn new(
        clients: &Clients,
        cache: Cache,
        pressure: Arc<Pressure>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let in_flight = usize::from(clients.writes_in_flight);
        Self {
            client: ClientDebug(clients.asking.clone()),
            cache,
            pressure,
            metrics,
            permits: Arc::new(Semaphore::new(in_flight)),
            permits_to_grant: Arc::new(Semaphore::new(in_flight)),
        }
    }

    /// Carries out a plan: policies first, so that no namespace is open for a moment; then the
    /// namespaces; then what is in them; at last what is no longer declared goes.
    ///
    /// `blocked` is what the policies depend on and could not be written: they wait for it.
    pub async fn apply(&self, plan: &Plan, blocked: Vec<Failure>, behalf: Behalf<'_>) -> Applied {
        let is_blocked = !blocked.is_empty();
        let mut applied = Applied {
            done: plan.settled.clone(),
            failed: blocked,
            ..Applied::default()
        };
        // The API server looks a role up before it lets anybody bind it, and learns of new ones with a
        // little delay: so roles come well before their bindings. Nothing else waits for them.
        let roles = async {
            let mut applied = Applied::default();
            let roles = in_phase(plan, |kind| kind == Kind::ClusterRole);
            self.write_all(roles, behalf, IN_FLIGHT_EACH, &mut applied)
                .await;
            applied
        };
        let boundary = self.write_boundary(plan, is_blocked, behalf, &mut applied);
        let (roles, policies_failed) = futures::join!(roles, boundary);
        applied.add(roles);

        let missing: Vec<String> = applied
            .failed
            .iter()
            .map(|failure| &failure.key)
            .chain(&applied.skipped)
            .filter(|key| key.kind == Kind::Namespace)
            .filter(|key| self.cache.read().get(key).is_none())
            .map(|key| key.name.to_string())
            .collect();
        let rest = in_phase(plan, |kind| {
            !matches!(
                kind,
                Kind::Tier
                    | Kind::GlobalNetworkPolicy
                    | Kind::StagedGlobalNetworkPolicy
                    | Kind::ClusterRole
                    | Kind::Namespace
            )
        });
        let (now, later): (Vec<_>, Vec<_>) = rest.partition(|write| {
            let namespace = write.target.key.namespace.as_deref();
            namespace.is_none_or(|namespace| !missing.iter().any(|it| it == namespace))
        });
        applied
            .skipped
            .extend(later.iter().map(|write| write.target.key.clone()));
        self.write_all(now.into_iter(), behalf, IN_FLIGHT_EACH, &mut applied)
            .await;

        // Old policies go only after all the new ones are there; what else is no longer declared, such
        // as somebody's access, goes whatever could not be written.
        let policies_are_there = !policies_failed
            && !applied
                .failed
                .iter()
                .map(|failure| &failure.key)
                .chain(&applied.skipped)
                .chain(&plan.waiting)
                .chain(plan.postponed.iter().map(|postponed| &postponed.key))
                .any(|key| key.kind.is_policy());
        let prunes = plan
            .prune
            .iter()
            .filter(|prune| policies_are_there || !prune.key.kind.is_policy());
        // What denies goes before what allows: on the way to stage Observe nothing that is declared is
        // cut.
        let denies = |prune: &&Prune| build::denies(&prune.key.name);
        let (first, then): (Vec<_>, Vec<_>) = prunes.partition(denies);
        let before = applied.failed.len();
        self.prune_all(first.into_iter(), behalf.flavour, &mut applied)
            .await;
        // While it is still there, without what allows it would deny what is declared.
        let still_denied = applied.failed.len() > before;
        let then = then
            .into_iter()
            .filter(|prune| !still_denied || !prune.key.kind.is_policy());
        self.prune_all(then, behalf.flavour, &mut applied).await;
        applied
    }

    /// Carries out a plan for Azure Service Operator, which waits itself for what an object refers to. What goes is the caller's
    /// choice.
    pub async fn apply_azure(&self, plan: &Plan, behalf: Behalf<'_>) -> Applied {
        let mut applied = Applied {
            done: plan.settled.clone(),
            ..Applied::default()
        };
        self.write_all(plan.writes.iter(), behalf, IN_FLIGHT_EACH, &mut applied)
            .await;
        applied
    }

    /// Writes the policies, then the namespaces. Returns whether any policy is not in force.
    async fn write_boundary(
        &self,
        plan: &Plan,
        is_blocked: bool,
        behalf: Behalf<'_>,
        applied: &mut Applied,
    ) -> bool {
        let is_global = |kind: Kind| matches!(kind, Kind::Tier | Kind::GlobalNetworkPolicy);
        let policies = in_phase(plan, |kind| kind == Kind::Tier || kind.is_calico_policy());
        if is_blocked {
            applied
                .skipped
                .extend(policies.map(|write| write.target.key.clone()));
        } else {
            // One after the other, in the order of evaluation: what allows is there before what denies.
            self.write_all(policies, behalf, 1, applied).await;
        }

        // A namespace that its policies do not wait for would be open.
        let held_up = plan
            .waiting
            .iter()
            .chain(plan.postponed.iter().map(|postponed| &postponed.key))
            .any(|key| is_global(key.kind));
        let policies_failed = held_up || !applied.failed.is_empty();
        let (now, later): (Vec<_>, Vec<_>) = in_phase(plan, |kind| kind == Kind::Namespace)
            .partition(|write| {
                let stays = matches!(write.change, Change::Metadata { .. });
                !policies_failed || (stays && write.cause == Cause::Drift)
            });
        applied
            .skipped
            .extend(later.iter().map(|write| write.target.key.clone()));
        self.write_all(now.into_iter(), behalf, IN_FLIGHT_EACH, applied)
            .await;
        policies_failed
    }

    /// Writes objects; once one has no answer in time, the others are not tried: a landing zone must
    /// not wait for each of its objects in turn.
    async fn write_all<'a>(
        &self,
        writes: impl Iterator<Item = &'a Write>,
        behalf: Behalf<'_>,
        in_flight: usize,
        applied: &mut Applied,
    ) {
        let silent = AtomicBool::new(applied.is_without_answer());
        let silent = &silent;
        // Boxed before the first await: a closure that is kept across one makes the future no task's.
        let one = |write: &'a Write| {
            async move {
                if silent.load(Ordering::Relaxed) {
                    return (write, None);
                }
                let result = self.write(write, behalf).await;
                if matches!(result, Err(WriteError::Timeout)) {
                    silent.store(true, Ordering::Relaxed);
                }
                (write, Some(result))
            }
            .boxed()
        };
        let all: Vec<_> = writes.map(one).collect();
        let mut results = stream::iter(all).buffer_unordered(in_flight);
        while let Some((write, result)) = results.next().await {
            match result {
                Some(result) => applied.take(write, result),
                None => applied.skipped.push(write.target.key.clone()),
            }
        }
    }

    async fn prune_all<'a>(
        &self,
        prunes: impl Iterator<Item = &'a Prune>,
        flavour: Flavour,
        applied: &mut Applied,
    ) {
        if applied.is_without_answer() {
            return;
        }
        let one = |prune: &'a Prune| {
            async move {
                let version = Some(prune.resource_version.as_str());
                let result = self.delete(&prune.key, &prune.uid, version, flavour).await;
                (prune, result)
            }
            .boxed()
        };
        let all: Vec<_> = prunes.map(one).collect();
        let mut results = stream::iter(all).buffer_unordered(IN_FLIGHT_EACH);
        while let Some((prune, result)) = results.next().await {
            match result {
                Ok(()) => applied.pruned.push(prune.key.clone()),
                Err(error) => applied.failed.push(Failure {
                    key: prune.key.clone(),
                    error,
                }),
            }
        }
    }

    /// Writes one object. Returns what was different where that was learned only now: an object
    /// that had merely lost its label.
    async fn write(&self, write: &Write, behalf: Behalf<'_>) -> Result<Option<Change>, WriteError> {
        let target = &write.target;
        match &write.change {
            Change::Create => match self.create(target, behalf.flavour).await {
                Err(WriteError::NotOurs(_)) => self.exists(write, behalf).await,
                created => created.map(|()| None),
            },
            // What cannot be patched (the role of a binding), or only field by field, shows only on the object itself.
            Change::Fields { found: None, .. }
                if matches!(target.key.kind, Kind::RoleBinding | Kind::Azure(_)) =>
            {
                let object = self.get(&target.key, behalf.flavour).await?;
                let observed = object.and_then(|object| Observed::of(target.key.kind, object));
                let change = field_change(target, &observed.ok_or(WriteError::Stale)?);
                self.put_right(target, &change, behalf.flavour).await?;
                Ok(Some(change))
            }
            change => self
                .put_right(target, change, behalf.flavour)
                .await
                .map(|()| None),
        }
    }

    /// Changes an object that is there, or deletes it and creates it anew where it cannot be changed.
    async fn put_right(
        &self,
        target: &Target,
        change: &Change,
        flavour: Flavour,
    ) -> Result<(), WriteError> {
        let Change::Replace {
            uid,
            resource_version,
            ..
        } = change
        else {
            return self.change(target, change, flavour).await;
        };
        self.delete(&target.key, uid, Some(resource_version), flavour)
            .await?;
        self.create(target, flavour).await
    }

    /// A POST found an object of that name. It is ours when it lost no more than its label, lies in
    /// our namespace under our manager's mark, or took the place of what was ours: otherwise a team
    /// would get rid of its quota by putting another in its place. In all other cases the adoption
    /// rule decides.
    async fn exists(
        &self,
        write: &Write,
        behalf: Behalf<'_>,
    ) -> Result<Option<Change>, WriteError> {
        let target = &write.target;
        let key = &target.key;
        let object = self
            .get(key, behalf.flavour)
            .await?
            .ok_or(WriteError::Stale)?;
        let observed = Observed::of(key.kind, object.clone()).ok_or(WriteError::Stale)?;
        if key.kind == Kind::Namespace {
            // Decided anew with the namespace in sight: see the adoption rule.
            self.observe(key, observed, behalf.flavour);
            return Err(WriteError::Stale);
        }
        let labels = object.pointer("/metadata/labels");
        let label = |key: &str| labels.and_then(|labels| labels.get(key)?.as_str());
        let ours = write.was_ours
            || written_by_us(&object)
            || label(OWNER) == Some(behalf.zone)
            || (key.is_in_reach_of_teams() && label(MANAGED_BY) == Some(MANAGER));
        if !ours {
            let different = differences(key.kind, &target.object.unpack(), &object);
            let spec_differs = different
                .iter()
                .any(|difference| !difference.path.to_string().starts_with("metadata"));
            match behalf.adoption {
                AdoptionPolicy::Always => {}
                AdoptionPolicy::IfIdentical if !spec_differs => {}
                AdoptionPolicy::IfIdentical => {
                    let different: Vec<_> = different.iter().map(ToString::to_string).collect();
                    return Err(WriteError::NotOurs(format!(
                        "an object of that name exists and differs: {}; change it, or set \
                         adoptionPolicy: Always",
                        different.join("; ")
                    )));
                }
                AdoptionPolicy::Never => {
                    return Err(WriteError::NotOurs(
                        "an object of that name exists and is not the landing zone's; delete or \
                         rename it, or set adoptionPolicy: Always to take it over"
                            .to_owned(),
                    ));
                }
            }
        }
        let change = field_change(target, &observed);
        self.put_right(target, &change, behalf.flavour).await?;
        Ok(ours.then_some(change))
    }

    async fn create(&self, target: &Target, flavour: Flavour) -> Result<(), WriteError> {
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let body = target.object.json();
        let request = self.request(&target.key, flavour)?.create(&params, body);
        match self.send(RequestVerb::Create, &target.key, request).await {
            Ok(stored) => self.take(target, stored, flavour),
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
                Err(WriteError::NotOurs(status.message.clone()))
            }
            Err(error) => Err(WriteError::of(&error)),
        }
    }

    async fn change(
        &self,
        target: &Target,
        change: &Change,
        flavour: Flavour,
    ) -> Result<(), WriteError> {
        let patch = match change {
            Change::Metadata { patch, .. } => Patch::Merge(patch.clone()),
            Change::Fields {
                found,
                resource_version,
                ..
            } => fields_patch(target, found.as_deref(), resource_version)?,
            Change::Create | Change::Replace { .. } => return Err(WriteError::Stale),
        };
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let key = &target.key;
        let request = self
            .request(key, flavour)?
            .patch(key.name_served(flavour), &params, &patch);
        match self.send(RequestVerb::Patch, key, request).await {
            Ok(stored) => self.take(target, stored, flavour),
            Err(error) => {
                let error = WriteError::of(&error);
                if matches!(error, WriteError::Stale) {
                    self.refresh(key, flavour).await?;
                }
                Err(error)
            }
        }
    }

    /// Deletes an object, unless it is another one or changed since.
    ///
    /// # Errors
    /// [`WriteError::Stale`] where it is; others as the API server answers.
    pub async fn delete(
        &self,
        key: &ObjectKey,
        uid: &str,
        resource_version: Option<&str>,
        flavour: Flavour,
    ) -> Result<(), WriteError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: resource_version.map(str::to_owned),
            }),
            ..DeleteParams::default()
        };
        let request = self
            .request(key, flavour)?
            .delete(key.name_served(flavour), &params);
        match self.send(RequestVerb::Delete, key, request).await {
            Ok(left) if key.kind.is_azure() && left.pointer("/metadata/finalizers").is_some() => {
                // Azure Service Operator takes its time, and says how far it is.
                if let Some(observed) = Observed::of(key.kind, left) {
                    self.observe(key, observed, flavour);
                }
                Ok(())
            }
            Ok(left) => {
                if key.is_in_reach_of_teams() && left.pointer("/metadata/finalizers").is_some() {
                    self.let_go(key, uid, flavour).await?;
                }
                if key.kind != Kind::Namespace {
                    self.cache.write().forget(key, None);
                }
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                self.cache.write().forget(key, None);
                Ok(())
            }
            Err(error) => {
                let error = WriteError::of(&error);
                if matches!(error, WriteError::Stale) {
                    self.refresh(key, flavour).await?;
                }
                Err(error)
            }
        }
    }

    /// Changes these fields of an object of Azure Service Operator, unless it changed since.
    ///
    /// # Errors
    /// [`WriteError::Stale`] where it did; others as the API server answers.
    pub async fn patch_azure(
        &self,
        prune: &Prune,
        mut patch: Value,
        flavour: Flavour,
    ) -> Result<(), WriteError> {
        let key = &prune.key;
        patch["metadata"]["uid"] = json!(prune.uid);
        patch["metadata"]["resourceVersion"] = json!(prune.resource_version);
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = self
            .request(key, flavour)?
            .patch(&key.name, &params, &Patch::Merge(patch));
        match self.send(RequestVerb::Patch, key, request).await {
            Ok(stored) => {
                if let Some(observed) = Observed::of(key.kind, stored) {
                    self.observe(key, observed, flavour);
                }
                Ok(())
            }
            Err(error) => {
                let error = WriteError::of(&error);
                if matches!(error, WriteError::Stale) {
                    self.refresh(key, flavour).await?;
                }
                Err(error)
            }
        }
    }

    /// Looks at the objects that a plan would change and of which only a digest is known, so that it
    /// can tell what would change. One that cannot be read is told without.
    pub async fn examine(&self, plan: &mut Plan, flavour: Flavour) {
        for write in &mut plan.writes {
            let key = &write.target.key;
            if !matches!(write.change, Change::Fields { found: None, .. }) {
                continue;
            }
            match self.get(key, flavour).await {
                Ok(Some(object)) => {
                    if let Some(observed) = Observed::of(key.kind, object) {
                        write.change = field_change(&write.target, &observed);
                        self.observe(key, observed, flavour);
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(%key, %error, "cannot look at it"),
            }
        }
    }

    /// Takes the finalizers off an object of ours that was deleted: with one, a team could keep the
    /// access or the policy that it is no longer meant to have.
    async fn let_go(&self, key: &ObjectKey, uid: &str, flavour: Flavour) -> Result<(), WriteError> {
        // The UID makes sure that it is still the same object.
        let patch = json!({"metadata": {"uid": uid, "finalizers": null}});
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let name = key.name_served(flavour);
        let request = self
            .request(key, flavour)?
            .patch(name, &params, &Patch::Merge(patch));
        match self.send(RequestVerb::Patch, key, request).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            sent => sent.map(drop).map_err(|error| WriteError::of(&error)),
        }
    }

    /// Looks at an object anew and takes it into the cache.
    async fn refresh(&self, key: &ObjectKey, flavour: Flavour) -> Result<(), WriteError> {
        match self.get(key, flavour).await? {
            Some(object) => {
                if let Some(observed) = Observed::of(key.kind, object) {
                    self.observe(key, observed, flavour);
                }
            }
            None => {
                self.cache.write().forget(key, None);
            }
        }
        Ok(())
    }

    async fn get(&self, key: &ObjectKey, flavour: Flavour) -> Result<Option<Value>, WriteError> {
        let request = self
            .request(key, flavour)?
            .get(key.name_served(flavour), &GetParams::default())
            .map_err(|error| WriteError::Refused(error.to_string()))?;
        match self.client.0.request::<Value>(request).await {
            Ok(object) => Ok(Some(calico_metadata::with_labels(key.kind, object))),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            Err(error) => Err(WriteError::of(&error)),
        }
    }

    fn request(&self, key: &ObjectKey, flavour: Flavour) -> Result<Request, WriteError> {
        let resource = self.cache.read().resource(key.kind, flavour);
        request(key, resource.as_ref())
    }

    fn observe(&self, key: &ObjectKey, observed: Observed, flavour: Flavour) {
        let mut objects = self.cache.write();
        objects.observe_in(flavour, key, observed);
    }

    /// Takes what the API server stored into the cache, and checks that it is what was sent.
    fn take(&self, target: &Target, stored: Value, flavour: Flavour) -> Result<(), WriteError> {
        let key = &target.key;
        let stored = calico_metadata::with_labels(key.kind, stored);
        let observed = Observed::digested(key.kind, &stored);
        let digest = match &observed {
            Some(observed) => observed.digest,
            None => Content::digest_of(key.kind, &stored),
        };
        let different = match key.kind {
            Kind::Namespace => Vec::new(),
            _ if digest == target.digest => Vec::new(),
            kind => differences(kind, &target.object.unpack(), &stored),
        };
        if let Some(mut observed) = observed {
            if !different.is_empty() || !observed.is_told_by_digest(key.kind) {
                observed.keep(&stored);
            }
            self.observe(key, observed, flavour);
        }
        if different.is_empty() {
            return Ok(());
        }
        let different: Vec<_> = different.iter().map(ToString::to_string).collect();
        Err(WriteError::Rewritten {
            different: different.join("; "),
            stored: digest,
        })
    }

    async fn send(
        &self,
        verb: RequestVerb,
        key: &ObjectKey,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Value, kube::Error> {
        let request = request.map_err(kube::Error::BuildRequest)?;
        let grants = matches!(key.kind, Kind::ClusterRole | Kind::ClusterRoleBinding);
        let permits = if grants {
            &self.permits_to_grant
        } else {
            &self.permits
        };
        let _permit = permits.acquire().await;
        let labels = crate::telemetry::WriteLabels {
            verb,
            kind: key.kind.name().to_owned(),
        };
        self.metrics.writes.get_or_create(&labels).inc();
        self.pressure.writes(Instant::now());
        tracing::debug!(?verb, %key, "write");
        self.client.0.request::<Value>(request).await
    }
}
