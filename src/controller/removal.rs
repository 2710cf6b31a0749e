//! What happens when a landing zone is deleted. With `deletePolicy: Keep` nothing does, and there is
//! no finalizer. With Delete its namespaces go, after confirmation where they are in use, and their
//! policies after them.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::controller::Action;
use kube::{Api, Client, CustomResourceExt, ResourceExt};
use serde_json::json;

use super::apply::{Failure, WriteError};
use super::azure::{Declared, Leaving, Left, leave};
use super::cache::Observed;
use super::context::Context;
use super::kind::{Kind, ObjectKey};
use super::memory::Memory;
use super::plan::Prune;
use super::reconcile::{Error, Observation};
use super::released;
use super::round::{Kept, keep_in_order};
use super::standstill::{Said, only_conditions};
use super::status::{Progress, sentence};
use crate::api::condition::reason;
use crate::api::names::{CONFIRM_DELETE, FINALIZER, MANAGER};
use crate::api::{DeletePolicy, LandingZone};
use crate::domain;
use crate::telemetry::Severity;

/// How often a namespace in use is looked at again while nobody confirms.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Kinds whose presence means that a namespace is in use.
const IN_USE: &[(&str, &str, &str, &str)] = &[
    ("", "v1", "Pod", "pods"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("apps", "v1", "Deployment", "deployments"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("apps", "v1", "DaemonSet", "daemonsets"),
    ("batch", "v1", "CronJob", "cronjobs"),
    ("batch", "v1", "Job", "jobs"),
];

/// Sets the finalizer while `deletePolicy: Delete` stands, and only then.
pub(super) async fn keep_finalizer(
    observation: &Observation,
    context: &Context,
    zone: &domain::LandingZone,
) -> Result<(), Error> {
    let wanted = zone.delete_policy == DeletePolicy::Delete;
    if observation
        .zone
        .finalizers()
        .iter()
        .any(|name| name == FINALIZER)
        == wanted
    {
        return Ok(());
    }
    set_finalizer(observation, &context.client, wanted).await?;
    // The next look is at the landing zone with its new version.
    Err(Error::Finalizer(conflict()))
}

fn conflict() -> kube::Error {
    let status = kube::core::Status::failure("the finalizer was changed", "Conflict");
    kube::Error::Api(Box::new(status.with_code(409)))
}

async fn set_finalizer(
    observation: &Observation,
    client: &Client,
    wanted: bool,
) -> Result<(), Error> {
    let mut finalizers = observation.zone.finalizers().to_vec();
    finalizers.retain(|name| name != FINALIZER);
    if wanted {
        finalizers.push(FINALIZER.to_owned());
    }
    let patch = json!({"metadata": {
        "resourceVersion": observation.resource_version,
        "finalizers": finalizers,
    }});
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    Api::<LandingZone>::all(client.clone())
        .patch(&observation.name, &params, &Patch::Merge(patch))
        .await
        .map(drop)
        .map_err(Error::Finalizer)
}

/// Carries a deletion on: one step each time, driven by the namespaces that go.
pub(super) async fn remove(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
) -> Result<Action, Error> {
    if !observation
        .zone
        .finalizers()
        .iter()
        .any(|name| name == FINALIZER)
    {
        return Ok(Action::await_change());
    }
    let delete = observation.zone.spec.delete_policy == Some(DeletePolicy::Delete);
    if !delete || definition_is_going(&context.client).await? {
        if delete {
            let text = "the LandingZone kind itself is being deleted: the namespaces are kept, with \
                        all that is in them, whatever deletePolicy says";
            context.note(
                &observation.zone,
                Severity::Warning,
                "NamespacesKept",
                text.to_owned(),
            );
        }
        set_finalizer(observation, &context.client, false).await?;
        return Ok(Action::await_change());
    }
    let namespaces = own_namespaces(observation, context);
    if namespaces.is_empty() {
        return finish(observation, context, memory).await;
    }
    let confirmed = observation.zone.annotations().get(CONFIRM_DELETE) == Some(&observation.name);
    if !confirmed {
        match used(&context.client, &namespaces).await {
            Ok(used) if used.is_empty() => {}
            Ok(used) => return ask(observation, context, memory, &used).await,
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                let message = format!(
                    "what is in the namespaces cannot be seen: {}",
                    status.message
                );
                return held(
                    observation,
                    context,
                    memory,
                    reason::DELETION_REFUSED,
                    refused(&message),
                )
                .await;
            }
            Err(error) => return Err(Error::Deletion(error)),
        }
    }
    for (key, uid) in &namespaces {
        let flavour = observation.facts.flavour();
        let deleted = context.writer.delete(key, uid, None, flavour).await;
        match deleted {
            Ok(()) | Err(WriteError::Stale) => {}
            Err(error) => {
                let message = refused(&format!("{key} cannot be deleted: {error}"));
                let why = reason::DELETION_REFUSED;
                return held(observation, context, memory, why, message).await;
            }
        }
    }
    let names = namespaces.keys().map(ToString::to_string);
    let message = format!(
        "being deleted, as deletePolicy: Delete asks: {}",
        sentence(names)
    );
    let working = Progress::Working(reason::DELETING);
    let said = Said {
        ready: "False",
        progress: working,
        message,
        looked_after: true,
        look_again: None,
    };
    only_conditions(observation, context, memory, said, |_| {}).await
}

/// Deleting the kind deletes every landing zone: no namespace must pay for that.
async fn definition_is_going(client: &Client) -> Result<bool, Error> {
    let api = Api::<PartialObjectMeta<CustomResourceDefinition>>::all(client.clone());
    match api.get_opt(LandingZone::crd_name()).await {
        Ok(Some(definition)) => Ok(definition.metadata.deletion_timestamp.is_some()),
        Ok(None) => Ok(true),
        Err(error) => Err(Error::Deletion(error)),
    }
}

/// Whether an inventoried namespace is still the landing zone's: by its label, or, where somebody
/// took that off, by its identity. A lost label must not end with the policies deleted while pods run.
fn is_own(observation: &Observation, key: &ObjectKey, found: &Observed) -> bool {
    let recorded = || released::recorded_uid(observation.status.as_ref(), &key.name);
    match &found.owner {
        Some(owner) => *owner == observation.name,
        None => recorded() == Some(&found.uid),
    }
}

/// Declared namespaces that are ours by label and inventory and still there, with their UIDs.
/// Released ones are not deleted, nor those that another landing zone declares too: then a folder in
/// Git moved, or one waits to take over.
fn own_namespaces(observation: &Observation, context: &Context) -> BTreeMap<ObjectKey, String> {
    let objects = context.cache.read();
    let claims = context
        .claims
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    let has_heir = |key: &ObjectKey| {
        claims
            .of_namespace(&key.name)
            .filter(|other| *other != observation.name)
            .any(|other| context.stays(other))
    };
    let declared = &observation.zone.spec.namespaces;
    declared
        .iter()
        .map(|namespace| ObjectKey::namespace(&namespace.name))
        .filter(|key| observation.inventory.contains(key) && !has_heir(key))
        .filter_map(|key| {
            let found = objects.get(&key)?;
            is_own(observation, &key, found).then(|| (key, found.uid.clone()))
        })
        .collect()
}

/// What the namespaces are used for, a phrase each.
async fn used(
    client: &Client,
    namespaces: &BTreeMap<ObjectKey, String>,
) -> Result<Vec<String>, kube::Error> {
    let mut looks = Vec::new();
    for namespace in namespaces.keys() {
        for kind in IN_USE {
            looks.push(used_for(client, &namespace.name, *kind).boxed());
        }
    }
    let found: Vec<_> = stream::iter(looks).buffered(8).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// One of them, where there is any.
async fn used_for(
    client: &Client,
    namespace: &str,
    (group, version, kind, plural): (&str, &str, &str, &str),
) -> Result<Option<String>, kube::Error> {
    let kind = GroupVersionKind::gvk(group, version, kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    let objects = Api::<PartialObjectMeta<DynamicObject>>::namespaced_with(
        client.clone(),
        namespace,
        &resource,
    );
    let found = objects.list(&ListParams::default().limit(1)).await?;
    let first = found.items.first();
    Ok(first.map(|one| format!("{plural} in {namespace} ({})", one.name_any())))
}

fn refused(why: &str) -> String {
    format!(
        "the deletion stops here, because {why}; let the operator delete namespaces \
         (config/namespace-deletion), or set deletePolicy: Keep"
    )
}

async fn ask(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    used: &[String],
) -> Result<Action, Error> {
    let name = &observation.name;
    let mut message = format!(
        "nothing was deleted, because the namespaces are in use: {}; to delete them with all that \
         is in them: kubectl annotate --overwrite landingzone {name} {CONFIRM_DELETE}={name}",
        sentence(used.iter().cloned()),
    );
    if let Some(other) = observation.zone.annotations().get(CONFIRM_DELETE) {
        let other: String = other.chars().take(60).collect();
        message = format!("{message} (it says {other:?} now, which confirms nothing)");
    }
    let why = reason::CONFIRMATION_NEEDED;
    held(observation, context, memory, why, message).await
}

/// The deletion waits for somebody, and that may take days: what is there is kept in order meanwhile,
/// and its boundary closed.
async fn held(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    why: &'static str,
    mut message: String,
) -> Result<Action, Error> {
    let zone = domain::LandingZone::validate(&observation.zone, &observation.platform);
    let kept = match zone {
        Ok(zone) => keep_in_order(observation, context, memory, &zone).await?,
        Err(_) => Kept::default(),
    };
    for failure in kept.failed {
        let Failure { key, error } = failure;
        message = format!("{message}; meanwhile {key} cannot be put right: {error}");
    }
    let again = kept.look_again.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN);
    stuck(observation, context, memory, why, &message, again).await
}

/// Says what somebody has to do, and looks again later: not all that helps can be watched.
async fn stuck(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    why: &'static str,
    message: &str,
    again: Duration,
) -> Result<Action, Error> {
    let stuck = Progress::Stuck(why);
    let said = Said {
        ready: "False",
        progress: stuck,
        message: message.to_owned(),
        looked_after: true,
        look_again: Some(again),
    };
    only_conditions(observation, context, memory, said, |_| {}).await
}

/// Lets go of what the landing zone owns in Azure, as its deletePolicy there says. Returns what is still to go; None: nothing.
async fn leave_azure(observation: &Observation, context: &Context) -> Option<String> {
    let is_azure = |key: &&ObjectKey| key.kind.is_azure();
    let mut recorded: Vec<_> = observation.inventory.iter().filter(is_azure).collect();
    // With its kinds Karpenter's objects are gone.
    recorded.retain(|key| !observation.is_gone_with_its_kind(key));
    let has_of_karpenter = recorded.iter().any(|key| key.kind.is_karpenter());
    context
        .azure
        .has_of_karpenter(&observation.name, has_of_karpenter);
    if recorded.is_empty() {
        return None;
    }
    let declared = observation.zone.spec.azure.as_ref();
    let delete_policy = declared.and_then(|it| it.delete_policy).unwrap_or_default();
    let leaving = {
        let objects = context.cache.read();
        let kinds: Vec<_> = recorded
            .iter()
            .filter_map(|key| key.kind.as_azure())
            .collect();
        if !objects.is_azure_synced(&kinds) {
            // Whoever deletes it all on purpose still gets his way once Azure Service Operator is back, or right now where
            // nothing is to be deleted there.
            let is_being_read = kinds.iter().all(|kind| {
                let is_served = observation.facts.azure_versions(&[*kind]).is_ok();
                is_served && context.azure.followed.borrow().has(*kind)
            });
            if is_being_read && context.azure.trouble(&kinds).is_none() {
                return Some("what is there is being read".to_owned());
            }
            let waits = delete_policy == DeletePolicy::Delete;
            return waits.then(|| {
                "nobody knows what is there, since the objects of Azure Service Operator or Karpenter cannot be read; mend that, or set \
                 azure.deletePolicy: Keep"
                    .to_owned()
            });
        }
        let owned = objects.owned_by(&observation.name);
        let owned = owned.filter(|(key, found)| recorded.contains(key) && !found.deleting);
        let prune: Vec<_> = owned
            .map(|(key, found)| Prune {
                key: key.clone(),
                uid: found.uid.clone(),
                resource_version: found.resource_version.clone(),
            })
            .collect();
        Leaving::of(&prune, &objects, Declared::only(delete_policy))
    };
    let flavour = observation.facts.flavour();
    let Left { failed, waits, .. } = leave(context, &observation.name, leaving, flavour).await;
    let failed = failed.iter();
    let failed = failed.map(|Failure { key, error }| format!("{key} cannot be deleted: {error}"));
    let going = {
        let objects = context.cache.read();
        let owned = objects.owned_by(&observation.name);
        let going = owned.filter(|(key, found)| recorded.contains(key) && found.deleting);
        going
            .map(|(key, _)| format!("{key} is being deleted"))
            .collect::<Vec<_>>()
    };
    let all: Vec<_> = waits.into_iter().chain(failed).chain(going).collect();
    (!all.is_empty()).then(|| sentence(all.into_iter()))
}

/// The namespaces are gone: their policies follow, and whatever else is ours by label and
/// inventory. What belongs to released namespaces stays, and so do the policies while there are any.
async fn finish(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
) -> Result<Action, Error> {
    if let Some(waits) = leave_azure(observation, context).await {
        let message = format!("its namespaces are gone; in Azure {waits}");
        let working = Progress::Working(reason::LEAVING);
        let said = Said {
            ready: "False",
            progress: working,
            message,
            looked_after: false,
            look_again: Some(LOOK_AGAIN),
        };
        return only_conditions(observation, context, memory, said, |_| {}).await;
    }
    let (released, owned) = {
        let objects = context.cache.read();
        let owned: Vec<_> = objects
            .owned_by(&observation.name)
            .filter(|(key, _)| !key.kind.is_azure() && observation.inventory.contains(key))
            .map(|(key, found)| {
                (
                    key.clone(),
                    found.uid.clone(),
                    found.resource_version.clone(),
                )
            })
            .collect();
        let recorded = observation.inventory.iter();
        let released = recorded
            .filter(|key| key.kind == Kind::Namespace)
            .filter_map(|key| Some((key, objects.get(key)?)))
            .any(|(key, found)| is_own(observation, key, found));
        (released, owned)
    };
    for (key, uid, version) in owned {
        let inside = key.in_namespace().is_some();
        if inside || (released && key.kind.is_policy()) {
            continue;
        }
        let flavour = observation.facts.flavour();
        if let Err(error) = context
            .writer
            .delete(&key, &uid, Some(&version), flavour)
            .await
        {
            if error.is_transient() {
                return Err(Error::NotYet(key, error));
            }
            let message = refused(&format!("{key} cannot be deleted: {error}"));
            let why = reason::DELETION_REFUSED;
            return stuck(observation, context, memory, why, &message, LOOK_AGAIN).await;
        }
    }
    tracing::info!(zone = observation.name, at = %Timestamp::now(), "all of it is deleted");
    set_finalizer(observation, &context.client, false).await?;
    Ok(Action::await_change())
}
