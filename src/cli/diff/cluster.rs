//! What is declared in a cluster, and what the cluster takes, read with the rights of whoever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::{Api, Client};

use crate::api::{LandingZone, LandingZonePlatform};
use crate::cli::pod_ranges;
use crate::cli::reader::{Hints, Kind, PLATFORMS, Reader, Unread};
use crate::cluster::ClusterFacts;
use crate::controller::{ObjectKey, status};
use crate::domain::{Flavour, Platform};

/// Calico's groups. The second is its storage.
const CALICO: [(&str, &str); 2] = [("projectcalico.org", "v3"), ("crd.projectcalico.org", "v1")];
/// From this version on Calico stores policies under their own name.
const PLAIN_NAMES: &str = "v3.32";

/// What is declared in a cluster.
pub(super) struct Cluster {
    /// The landing zones, by name.
    pub zones: BTreeMap<String, LandingZone>,
    /// Those that are stored under another schema.
    pub unreadable: BTreeSet<String>,
    /// Whether these are all there are.
    pub is_whole: bool,
    /// What holds for the whole cluster.
    pub platform: Arc<Platform>,
    /// Whether the cluster said so; otherwise it may say more.
    pub is_platform_known: bool,
    /// What the platform's status says is its own.
    pub inventory: BTreeSet<ObjectKey>,
    /// The form in which the cluster takes policies.
    pub flavour: Flavour,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

/// Reads it. `told` holds where the platform says nothing.
pub(super) async fn read(client: &Client, told: &Platform, name: Option<&str>) -> Cluster {
    let mut reader = Reader::new(client.clone(), None);
    let hints = Hints {
        landing_zones: name.map(str::to_owned).into_iter().collect(),
        ..Hints::default()
    };
    let found = reader.zones(&hints).await;
    let mut zones = BTreeMap::new();
    let mut unreadable = BTreeSet::new();
    for object in found.objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let name = name.to_owned();
        match serde_json::from_value::<LandingZone>(object) {
            Ok(zone) => {
                zones.insert(name, zone);
            }
            Err(error) => {
                reader.miss(format!("landing zone {name}"), error.to_string());
                unreadable.insert(name);
            }
        }
    }
    let facts = facts(client, &zones).await;
    let missed = reader.unread.len();
    let (mut platform, inventory) = platform(client, &mut reader, told, &facts).await;
    let is_platform_known = reader.unread.len() == missed;
    if !is_platform_known {
        // What stands in the cluster was judged by the operator, which knows the roles that are allowed.
        let access = zones.values().flat_map(|it| &it.spec.access);
        platform.roles.extend(access.map(|it| it.role.clone()));
    }
    Cluster {
        zones,
        unreadable,
        is_whole: found.is_whole,
        platform: Arc::new(platform),
        is_platform_known,
        inventory,
        flavour: facts.flavour(),
        unread: reader.unread,
    }
}

/// The signs by which the operator tells the form of policies, from what everybody may ask for.
async fn facts(client: &Client, zones: &BTreeMap<String, LandingZone>) -> ClusterFacts {
    let mut definitions = BTreeSet::new();
    for (group, version) in CALICO {
        let list = client
            .list_api_group_resources(&format!("{group}/{version}"))
            .await;
        let served = list.into_iter().flat_map(|it| it.resources);
        let served = served.filter(|it| !it.name.contains('/'));
        definitions.extend(served.map(|it| format!("{}.{group}", it.name)));
    }
    let services: Api<APIService> = Api::all(client.clone());
    let service = services.get_opt("v3.projectcalico.org").await;
    let names: Vec<_> = zones.values().flat_map(policies).collect();
    let aggregated_v3 = if let Ok(service) = service {
        service.is_some_and(|it| it.spec.is_some_and(|it| it.service.is_some()))
    } else {
        // Whoever may not ask takes the operator's word.
        let effective = zones.values().filter_map(|it| it.status.as_ref());
        let mut effective = effective.filter_map(|it| it.effective.as_ref());
        let is_v3 = effective.any(|it| it.flavour.starts_with("projectcalico.org/"));
        is_v3 && definitions.contains("globalnetworkpolicies.crd.projectcalico.org")
    };
    if aggregated_v3 {
        // What an API server serves is not stored in resources of that name.
        definitions.retain(|it| !is_of_v3(it));
    }
    let told = version(client).await;
    let is_plain = !names.is_empty() && names.iter().all(|it| !it.name.contains('.'));
    ClusterFacts {
        definitions,
        aggregated_v3,
        calico_version: told.or_else(|| is_plain.then(|| PLAIN_NAMES.to_owned())),
        ..ClusterFacts::default()
    }
}

fn is_of_v3(definition: &str) -> bool {
    definition
        .split_once('.')
        .is_some_and(|(_, group)| group == CALICO[0].0)
}

/// The policies that a status names.
fn policies(zone: &LandingZone) -> impl Iterator<Item = ObjectKey> + use<> {
    let inventory = status::inventory(zone.status.as_ref());
    inventory
        .into_iter()
        .filter(|it| it.kind.is_calico_policy())
}

/// Calico's version, where it may be read.
async fn version(client: &Client) -> Option<String> {
    let kind = Kind::global(CALICO[1], "ClusterInformation", "clusterinformations");
    let mut reader = Reader::new(client.clone(), None);
    let found = reader.objects(kind).await?;
    let version = found.objects.first()?.pointer("/spec/calicoVersion")?;
    version.as_str().map(str::to_owned)
}

/// What holds for the whole cluster, and what the platform's status says is its own.
async fn platform(
    client: &Client,
    reader: &mut Reader,
    told: &Platform,
    facts: &ClusterFacts,
) -> (Platform, BTreeSet<ObjectKey>) {
    let found = reader.objects(PLATFORMS).await;
    let object = found.and_then(|it| it.objects.into_iter().next());
    let declared = object.map(serde_json::from_value::<LandingZonePlatform>);
    let mut platform = told.clone();
    match declared {
        Some(Ok(declared)) => {
            let status = declared.status.as_ref();
            let inventory = status.into_iter().flat_map(|it| &it.inventory);
            let inventory = inventory.filter_map(|it| it.parse().ok()).collect();
            if let Some(effective) = status.and_then(|it| it.effective.as_ref()) {
                let (platform, found) = Platform::of_status(effective);
                return (platform.completed(&found, &[]), inventory);
            }
            match told.declared(&declared) {
                Ok(declared) => platform = declared,
                Err(problems) => {
                    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                    reader.miss("the LandingZonePlatform", problems.join("; "));
                }
            }
        }
        Some(Err(error)) => reader.miss("the LandingZonePlatform", error.to_string()),
        None => {}
    }
    if platform.pod_cidrs.is_empty() {
        let found = pod_ranges::found(client, facts.pools()).await;
        platform = platform.completed(&found, &[]);
    }
    (platform, BTreeSet::new())
}
