//! Follows the signs from which the flavour is told, while the operator runs.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, future};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;

use super::azure::{AzureDefinitions, read_definitions};
use super::{ADMINISTRATORS_POLICIES, ClusterFacts, FLAVOUR_SIGNS, follow};
use crate::domain::AzureKind;
use crate::telemetry::Health;

/// The facts as they are now; None until all signs were read once.
pub type Signs = watch::Receiver<Option<ClusterFacts>>;

const DEFINITIONS: &str = "watch of customresourcedefinitions";
const API_SERVICES: &str = "watch of apiservices";
const CLUSTER_INFORMATION: &str = "watch of clusterinformations";
const CLUSTER_INFORMATIONS: &str = "clusterinformations.crd.projectcalico.org";

/// Follows custom resource definitions (metadata only), Calico's `APIService` and its
/// `ClusterInformation`, and sends the facts whenever they change.
pub async fn watch_signs(
    client: Client,
    health: Health,
    facts: watch::Sender<Option<ClusterFacts>>,
) {
    let (definitions, mut definitions_seen) = watch::channel::<Option<BTreeSet<String>>>(None);
    let (aggregated, mut aggregated_seen) = watch::channel(None);
    let (version, mut version_seen) = watch::channel(None);
    let (azure_installed, azure_to_read) = watch::channel(None);
    let (azure, mut azure_seen) = watch::channel::<Option<AzureDefinitions>>(None);
    health.waits_for(DEFINITIONS);
    health.waits_for(API_SERVICES);

    let gather = async {
        loop {
            let changed = tokio::select! {
                changed = definitions_seen.changed() => changed,
                changed = aggregated_seen.changed() => changed,
                changed = version_seen.changed() => changed,
                changed = azure_seen.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            let known = definitions_seen.borrow_and_update().clone();
            let aggregated_v3 = *aggregated_seen.borrow_and_update();
            let version = version_seen.borrow_and_update().clone();
            let azure = azure_seen.borrow_and_update().clone();
            let (
                Some(definitions),
                Some(aggregated_v3),
                Some(CalicoVersion(calico_version)),
                Some(azure),
            ) = (known, aggregated_v3, version, azure)
            else {
                continue;
            };
            let new = ClusterFacts {
                definitions,
                aggregated_v3,
                calico_version,
                azure,
            };
            facts.send_if_modified(|old| {
                let differs = old.as_ref() != Some(&new);
                if differs {
                    let flavour = new.flavour();
                    tracing::info!(api = %flavour.api, tiers = flavour.tiers, "policies' flavour");
                    *old = Some(new);
                }
                differs
            });
        }
    };
    let installed = definitions.subscribe();
    tokio::join!(
        watch_definitions(client.clone(), &health, definitions, azure_installed),
        read_definitions(client.clone(), azure_to_read, azure),
        watch_api_service(client.clone(), &health, aggregated),
        watch_version(client, &health, installed, version),
        gather,
    );
}

async fn watch_definitions(
    client: Client,
    health: &Health,
    found: watch::Sender<Option<BTreeSet<String>>>,
    azure: watch::Sender<Option<BTreeMap<AzureKind, Option<i64>>>>,
) {
    let api = Api::<PartialObjectMeta<CustomResourceDefinition>>::all(client);
    // By name, with the generation: their schemas matter of some.
    let mut names = BTreeMap::new();
    let mut listed = BTreeMap::new();
    let mut events = std::pin::pin!(follow(api, watcher::Config::default()));
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(watcher::Event::InitApply(definition)) => {
                listed.insert(definition.name_any(), definition.metadata.generation);
                continue;
            }
            Ok(watcher::Event::InitDone) => names = std::mem::take(&mut listed),
            Ok(watcher::Event::Apply(definition))
                if definition.metadata.deletion_timestamp.is_none() =>
            {
                names.insert(definition.name_any(), definition.metadata.generation);
            }
            // A definition that is being deleted serves nothing new.
            Ok(watcher::Event::Apply(definition) | watcher::Event::Delete(definition)) => {
                names.remove(&definition.name_any());
            }
            Err(error) => {
                health.fails(DEFINITIONS, &error);
                continue;
            }
        }
        health.is_well(DEFINITIONS);
        let of_azure = names.iter().filter_map(|(name, generation)| {
            let kind = AzureKind::defined_by(name)?;
            Some((kind, *generation))
        });
        send_if_new(&azure, of_azure.collect());
        let signs = names
            .keys()
            .filter(|name| {
                let mut endings = FLAVOUR_SIGNS.iter().chain([&ADMINISTRATORS_POLICIES]);
                endings.any(|ending| name.ends_with(ending))
            })
            .cloned()
            .collect();
        send_if_new(&found, signs);
    }
}

async fn watch_api_service(client: Client, health: &Health, found: watch::Sender<Option<bool>>) {
    let config = watcher::Config::default().fields("metadata.name=v3.projectcalico.org");
    let mut events = std::pin::pin!(follow(Api::<APIService>::all(client), config));
    let mut aggregated = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => {
                aggregated = false;
                continue;
            }
            Ok(watcher::Event::InitApply(service)) => {
                aggregated = serves(&service);
                continue;
            }
            Ok(watcher::Event::InitDone) => {}
            Ok(watcher::Event::Apply(service)) => aggregated = serves(&service),
            Ok(watcher::Event::Delete(_)) => aggregated = false,
            Err(error) => {
                health.fails(API_SERVICES, &error);
                continue;
            }
        }
        health.is_well(API_SERVICES);
        send_if_new(&found, aggregated);
    }
}

/// Whether Calico's API server is there and answers. One that is merely registered must not take the
/// operator's sight of the policies: it may take minutes to start, or be down for hours.
fn serves(service: &APIService) -> bool {
    let spec = service.spec.as_ref();
    let status = service.status.as_ref();
    let mut conditions = status
        .iter()
        .flat_map(|status| &status.conditions)
        .flatten();
    spec.is_some_and(|spec| spec.service.is_some())
        && conditions.any(|condition| condition.type_ == "Available" && condition.status == "True")
}

/// What the `ClusterInformation` says; None inside where there is none or it names no version.
#[derive(Clone, Debug, PartialEq)]
struct CalicoVersion(Option<String>);

/// Calico's version decides how policies are named. It is watched only while its kind exists.
async fn watch_version(
    client: Client,
    health: &Health,
    mut installed: watch::Receiver<Option<BTreeSet<String>>>,
    found: watch::Sender<Option<CalicoVersion>>,
) {
    loop {
        let exists = {
            let Ok(definitions) = installed.wait_for(Option::is_some).await else {
                return;
            };
            definitions
                .as_ref()
                .is_some_and(|names| names.contains(CLUSTER_INFORMATIONS))
        };
        let following = async {
            if exists {
                follow_version(client.clone(), health, &found).await;
            } else {
                health.not_needed(CLUSTER_INFORMATION);
                send_if_new(&found, CalicoVersion(None));
                future::pending::<()>().await;
            }
        };
        let toggled = installed.wait_for(|definitions| {
            let names = definitions.as_ref();
            names.is_some_and(|names| names.contains(CLUSTER_INFORMATIONS)) != exists
        });
        tokio::select! {
            () = following => return,
            toggled = toggled => if toggled.is_err() { return },
        }
    }
}

async fn follow_version(
    client: Client,
    health: &Health,
    found: &watch::Sender<Option<CalicoVersion>>,
) {
    health.waits_for(CLUSTER_INFORMATION);
    let kind = GroupVersionKind::gvk("crd.projectcalico.org", "v1", "ClusterInformation");
    let resource = ApiResource::from_gvk_with_plural(&kind, "clusterinformations");
    let api = Api::<DynamicObject>::all_with(client, &resource);
    let config = watcher::Config::default().fields("metadata.name=default");
    let mut events = std::pin::pin!(follow(api, config));
    let mut version = None;
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => {
                version = None;
                continue;
            }
            Ok(watcher::Event::InitApply(information)) => {
                version = calico_version(&information);
                continue;
            }
            Ok(watcher::Event::InitDone) => {}
            Ok(watcher::Event::Apply(information)) => version = calico_version(&information),
            Ok(watcher::Event::Delete(_)) => version = None,
            Err(error) => {
                health.fails(CLUSTER_INFORMATION, &error);
                continue;
            }
        }
        health.is_well(CLUSTER_INFORMATION);
        send_if_new(found, CalicoVersion(version.clone()));
    }
}

fn calico_version(information: &DynamicObject) -> Option<String> {
    let version = information.data.pointer("/spec/calicoVersion")?;
    version.as_str().map(str::to_owned)
}

pub(super) fn send_if_new<T: PartialEq>(channel: &watch::Sender<Option<T>>, new: T) {
    channel.send_if_modified(|old| {
        let differs = old.as_ref() != Some(&new);
        if differs {
            *old = Some(new);
        }
        differs
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(spec: &serde_json::Value, available: &str) -> APIService {
        let conditions = json!([{"type": "Available", "status": available}]);
        let service = json!({
            "metadata": {"name": "v3.projectcalico.org"},
            "spec": spec, "status": {"conditions": conditions},
        });
        serde_json::from_value(service).unwrap()
    }

    #[test]
    fn only_an_api_server_that_answers_counts() {
        let forwarded = json!({
            "groupPriorityMinimum": 1, "versionPriority": 1,
            "service": {"name": "calico-api", "namespace": "calico-apiserver"},
        });
        assert!(serves(&service(&forwarded, "True")));
        assert!(!serves(&service(&forwarded, "False")));
        let local = json!({"groupPriorityMinimum": 1, "versionPriority": 1});
        assert!(!serves(&service(&local, "True")));
        let mut new = service(&forwarded, "True");
        new.status = None;
        assert!(!serves(&new));
    }
}
