//! Follows the objects of Azure Service Operator, while there is a namespace for them, and those of Karpenter, while it makes nodes
//! here, as far as their kinds are served.

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

/// Where objects are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// That of Azure Service Operator's.
    namespace: Option<String>,
    versions: AzureVersions,
}

/// Watches each kind in the namespace of the platform's objects, until it is dropped. What is wrong with it is told of landing
/// zones; nothing else waits for it.
pub(in crate::controller) async fn follow_azure(context: Arc<Context>) {
    let mut signs = context.signs.clone();
    let mut followed = context.azure.followed.subscribe();
    let mut place = None;
    let mut running: Vec<AbortOnDropHandle<()>> = Vec::new();
    loop {
        let wanted = {
            let signs = signs.borrow_and_update();
            let followed = followed.borrow_and_update().clone();
            signs.as_ref().and_then(|facts| {
                // One that cannot be written keeps none of the others.
                let can_be = |kind: &AzureKind| {
                    followed.has(*kind) && facts.azure_versions(&[*kind]).is_ok()
                };
                let kinds: Vec<_> = AzureKind::ALL.into_iter().filter(can_be).collect();
                let versions = facts.azure_versions(&kinds).ok();
                versions
                    .filter(|it| it.kinds().next().is_some())
                    .map(|versions| Place {
                        namespace: followed.namespace,
                        versions,
                    })
            })
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
                let kinds: Vec<_> = place.versions.kinds().map(AzureKind::name).collect();
                let kinds = kinds.join(", ");
                tracing::info!(
                    namespace = place.namespace,
                    kinds,
                    "follows what is in Azure"
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
            changed = followed.changed() => changed,
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

async fn watch_kind(
    kind: Kind,
    resource: ApiResource,
    namespace: Option<String>,
    context: Arc<Context>,
) {
    let client = context.watching.clone();
    let namespace = namespace.filter(|_| !kind.is_karpenter());
    let api = match &namespace {
        Some(namespace) => Api::<Watched>::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
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
            Err(error) => {
                let place = namespace.iter().map(|it| format!(" in namespace {it}"));
                let place: String = place.collect();
                Some(format!("{kind}{place} cannot be watched: {error}"))
            }
        };
        if context.azure.fails(kind, trouble) {
            context.push_azure();
        }
    }
}
