//! Follows the objects of Azure Service Operator, while there is a namespace for them and their kinds are served.

use std::sync::Arc;

use futures::StreamExt;
use kube::Api;
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{Config, Event};
use tokio_util::task::AbortOnDropHandle;

use crate::api::names::{MANAGED_BY, MANAGER};
use crate::cluster::{Watched, follow};
use crate::controller::context::Context;
use crate::controller::kind::Kind;
use crate::controller::watch::dispatch;
use crate::domain::{AzureKind, AzureVersions, Flavour};

/// Where objects of Azure Service Operator are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    namespace: String,
    versions: AzureVersions,
}

/// Watches each kind in the namespace of the platform's objects, until it is dropped. What is wrong with it is told of landing
/// zones; nothing else waits for it.
pub(in crate::controller) async fn follow_azure(context: Arc<Context>) {
    let mut signs = context.signs.clone();
    let mut namespace = context.azure.namespace.subscribe();
    let mut place = None;
    let mut running: Vec<AbortOnDropHandle<()>> = Vec::new();
    loop {
        let wanted = {
            let signs = signs.borrow_and_update();
            let namespace = namespace.borrow_and_update().clone();
            match (signs.as_ref(), namespace) {
                // One that cannot be written keeps none of the others.
                (Some(facts), Some(namespace)) => {
                    let can_be = |kind: &AzureKind| facts.azure_versions(&[*kind]).is_ok();
                    let kinds: Vec<_> = AzureKind::ALL.into_iter().filter(can_be).collect();
                    let versions = facts.azure_versions(&kinds).ok();
                    versions.map(|versions| Place {
                        namespace,
                        versions,
                    })
                }
                _ => None,
            }
        };
        if wanted != place {
            running.clear();
            context.azure.is_calm();
            let resources = wanted.iter().flat_map(|place| {
                let kinds = place.versions.kinds();
                kinds.map(|kind| (Kind::Azure(kind), resource(kind, &place.versions)))
            });
            let resources: Vec<_> = resources.collect();
            context.cache.write().watch_azure(resources.clone());
            if let Some(place) = &wanted {
                tracing::info!(
                    namespace = place.namespace,
                    "follows Azure Service Operator"
                );
                running.extend(resources.into_iter().map(|(kind, resource)| {
                    let watch =
                        watch_kind(kind, resource, place.namespace.clone(), context.clone());
                    AbortOnDropHandle::new(tokio::spawn(watch))
                }));
            }
            place = wanted;
            context.push_azure();
        }
        let changed = tokio::select! {
            changed = signs.changed() => changed,
            changed = namespace.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

fn resource(kind: AzureKind, versions: &AzureVersions) -> ApiResource {
    let version = versions.version(kind);
    let gvk = GroupVersionKind::gvk(kind.group(), version, kind.name());
    ApiResource::from_gvk_with_plural(&gvk, kind.plural())
}

async fn watch_kind(kind: Kind, resource: ApiResource, namespace: String, context: Arc<Context>) {
    let api = Api::<Watched>::namespaced_with(context.watching.clone(), &namespace, &resource);
    // A landing zone's, or the platform's.
    let ours = format!("{MANAGED_BY}={MANAGER}");
    let mut events = std::pin::pin!(follow(api, Config::default().labels(&ours)));
    while let Some(event) = events.next().await {
        let trouble = match event {
            Ok(event) => {
                let is_listed = !matches!(event, Event::Init | Event::InitApply(_));
                // No flavour of policies names these otherwise.
                dispatch((kind, Flavour::KUBERNETES), event, &context);
                if !is_listed {
                    continue;
                }
                None
            }
            Err(error) => Some(format!(
                "{kind} in namespace {namespace} cannot be watched: {error}"
            )),
        };
        if context.azure.fails(kind, trouble) {
            context.push_azure();
        }
    }
}
