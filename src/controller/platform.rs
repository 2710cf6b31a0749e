//! Follows the platform: what it declares holds for every landing zone, and its status says so.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client, CustomResourceExt, Resource, ResourceExt};

use super::context::Context;
use super::status::{self, Conditions, Progress, progress, sentence};
use super::watch::explained;
use crate::api::condition::{READY, reason};
use crate::api::{LandingZonePlatform, LandingZonePlatformStatus};
use crate::cluster::{failure, follow};
use crate::domain::{PLATFORM_NAME, Platform};
use crate::telemetry::{Health, Note, Severity};

/// A platform as it is stored: one that cannot be read must not stop the operator.
type Declared = DeserializeGuard<LandingZonePlatform>;

const PART: &str = "watch of the platform (LandingZonePlatform)";

/// Follows the platform. `told` is what the operator was started with: it holds where nothing is
/// declared.
pub(super) async fn follow_platform(
    client: Client,
    context: Arc<Context>,
    told: Platform,
    health: Health,
) {
    health.waits_for(PART);
    let mut listed: Option<Declared> = None;
    // What was declared last and could not be told yet.
    let mut untold: Option<Declared> = None;
    let events = follow(Api::<Declared>::all(client), Config::default());
    let mut events = std::pin::pin!(events);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = tokio::time::sleep(TELL_AGAIN), if untold.is_some() => {
                untold = take(untold.take(), &context, &told).await;
                continue;
            }
        };
        let Some(event) = event else { return };
        let is_it = |platform: &Declared| platform.name_any() == PLATFORM_NAME;
        let declared = match event {
            Ok(Event::Init) => {
                listed = None;
                continue;
            }
            Ok(Event::InitApply(platform)) => {
                if is_it(&platform) {
                    listed = Some(platform);
                }
                continue;
            }
            Ok(Event::InitDone) => listed.take(),
            Ok(Event::Apply(platform)) if is_it(&platform) => Some(platform),
            Ok(Event::Delete(platform)) if is_it(&platform) => None,
            // Another name is refused on admission.
            Ok(Event::Apply(_) | Event::Delete(_)) => continue,
            Err(error) => {
                // Without the kind nothing can be declared, and landing zones need not wait.
                if context.platform().is_none() && is_missing(&context).await {
                    context.set_platform(told.clone());
                }
                health.fails(PART, &explained(error, LandingZonePlatform::crd_name()));
                continue;
            }
        };
        health.is_well(PART);
        untold = take(declared, &context, &told).await;
    }
}

/// When to try again to write a status.
const TELL_AGAIN: Duration = Duration::from_secs(5);

/// Puts what is declared into force, and says so. Returns it where that could not be said.
async fn take(declared: Option<Declared>, context: &Context, told: &Platform) -> Option<Declared> {
    let Some(declared) = declared else {
        context.set_platform(told.clone());
        return None;
    };
    let meta = declared.meta().clone();
    let status = match &declared.0 {
        Ok(platform) => platform.status.clone(),
        Err(_) => match stored_status(context).await {
            Ok(status) => status,
            Err(error) => {
                let error = failure(&error);
                tracing::warn!(error, "failed to read the status of the platform");
                return Some(declared);
            }
        },
    };
    let found = match &declared.0 {
        Ok(platform) => told.declared(platform).map_err(|problems| {
            let problems = problems.iter().map(ToString::to_string);
            format!(
                "the declaration is not valid: {}; correct it",
                sentence(problems)
            )
        }),
        Err(invalid) => Err(format!(
            "the declaration cannot be read: {}; correct it, or apply the CustomResourceDefinition \
             that belongs to this operator",
            invalid.error
        )),
    };
    let (ready, state, message) = match found {
        Ok(platform) => {
            context.set_platform(platform);
            let message = "the values in status.effective hold for every landing zone".to_owned();
            ("True", Progress::Done(reason::AS_DECLARED), message)
        }
        Err(why) => {
            // What held before goes on holding, across a restart too: falling back to less would
            // open boundaries.
            if context.platform().is_none() {
                let before = status.as_ref().and_then(|status| status.effective.as_ref());
                context.set_platform(before.map_or_else(|| told.clone(), Platform::of_values));
            }
            let message = format!("{why}; until then what held before holds, see status.effective");
            ("False", Progress::Stuck(reason::INVALID), message)
        }
    };
    let base = status.unwrap_or_default();
    let mut conditions =
        Conditions::after(base.conditions.clone(), meta.generation, Timestamp::now());
    progress(&mut conditions, ready, state, &message);
    let new = LandingZonePlatformStatus {
        observed_generation: meta.generation,
        conditions: conditions.finish(),
        effective: context.platform().map(|platform| platform.values()),
    };
    if new == base {
        return None;
    }
    let is_news = |status: &LandingZonePlatformStatus| {
        let ready = status.conditions.iter().find(|it| it.type_ == READY);
        ready.map(|it| (it.status.clone(), it.reason.clone()))
    };
    let changed = is_news(&base) != is_news(&new);
    if let Err(error) = status::write_platform(&context.client, &new).await {
        let error = failure(&error);
        tracing::warn!(error, "failed to write the status of the platform");
        return Some(declared);
    }
    if changed {
        let (severity, reason) = match ready {
            "True" => (Severity::Normal, "Ready"),
            _ => (Severity::Warning, "NotReady"),
        };
        let regarding = ObjectReference {
            api_version: Some(LandingZonePlatform::api_version(&()).into_owned()),
            kind: Some(LandingZonePlatform::kind(&()).into_owned()),
            name: meta.name,
            uid: meta.uid,
            ..ObjectReference::default()
        };
        context.events.note(Note {
            regarding,
            severity,
            reason,
            text: message,
        });
    }
    None
}

/// Whether the kind is not installed. What a watch says about its failure is not enough to go by: with
/// fewer values, boundaries would be weaker.
async fn is_missing(context: &Context) -> bool {
    let api = Api::<PartialObjectMeta<CustomResourceDefinition>>::all(context.client.clone());
    matches!(api.get_opt(LandingZonePlatform::crd_name()).await, Ok(None))
}

/// The status of a platform whose spec cannot be read.
async fn stored_status(context: &Context) -> kube::Result<Option<LandingZonePlatformStatus>> {
    let resource = ApiResource::erase::<LandingZonePlatform>(&());
    let api = Api::<DynamicObject>::all_with(context.client.clone(), &resource);
    let stored = api.get_opt(PLATFORM_NAME).await?;
    Ok(stored.and_then(|stored| {
        let status = stored.data.get("status")?.clone();
        serde_json::from_value(status).ok()
    }))
}
