//! Follows the platform: what it declares holds for every landing zone, and its status says so.

use std::sync::Arc;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client, CustomResourceExt, Resource, ResourceExt};
use serde_json::json;

use super::context::Context;
use super::status::{Conditions, Progress, progress, sentence};
use super::watch::{explained, is_missing_kind};
use crate::api::condition::{READY, reason};
use crate::api::names::MANAGER;
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
    let events = follow(Api::<Declared>::all(client), Config::default());
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = None,
            Ok(Event::InitApply(platform)) => {
                if platform.name_any() == PLATFORM_NAME {
                    listed = Some(platform);
                }
            }
            Ok(Event::InitDone) => {
                health.is_well(PART);
                take(listed.take(), &context, &told).await;
            }
            Ok(Event::Apply(platform)) => {
                health.is_well(PART);
                if platform.name_any() == PLATFORM_NAME {
                    take(Some(platform), &context, &told).await;
                }
            }
            Ok(Event::Delete(platform)) => {
                if platform.name_any() == PLATFORM_NAME {
                    take(None, &context, &told).await;
                }
            }
            Err(error) => {
                // Without the kind nothing can be declared, and landing zones need not wait.
                if is_missing_kind(&error) && context.platform().is_none() {
                    context.set_platform(told.clone());
                }
                health.fails(PART, &explained(error, LandingZonePlatform::crd_name()));
            }
        }
    }
}

/// Puts what is declared into force, and says so.
async fn take(declared: Option<Declared>, context: &Context, told: &Platform) {
    let Some(declared) = declared else {
        return context.set_platform(told.clone());
    };
    let meta = declared.meta().clone();
    let status = match &declared.0 {
        Ok(platform) => platform.status.clone(),
        Err(_) => None,
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
        return;
    }
    let is_news = |status: &LandingZonePlatformStatus| {
        let ready = status.conditions.iter().find(|it| it.type_ == READY);
        ready.map(|it| (it.status.clone(), it.reason.clone()))
    };
    let changed = is_news(&base) != is_news(&new);
    if let Err(error) = write(context, &new).await {
        let error = failure(&error);
        tracing::warn!(error, "failed to write the status of the platform");
        return;
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
}

/// Replaces the whole status: a list that became empty leaves nothing behind.
async fn write(context: &Context, status: &LandingZonePlatformStatus) -> Result<(), kube::Error> {
    let operations = json!([{"op": "add", "path": "/status", "value": status}]);
    let patch = serde_json::from_value(operations).map_err(kube::Error::SerdeError)?;
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    // The answer may be as unreadable as what is stored, so nothing but its metadata is read.
    let api = Api::<PartialObjectMeta<LandingZonePlatform>>::all(context.client.clone());
    api.patch_status(PLATFORM_NAME, &params, &Patch::Json::<()>(patch))
        .await
        .map(drop)
}
