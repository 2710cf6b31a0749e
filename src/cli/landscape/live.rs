//! A cluster as it is, read with the rights of whoever asks. What they may not read is told, and is missing.

use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::Value;

use super::{Landscape, LandscapeError, Objects};
use crate::api::{self, LandingZonePlatform};
use crate::cli::client::client;
use crate::cluster::failure;
use crate::domain::{LandingZone, Platform};

/// A kind: group, version, kind and plural.
type Listed = (&'static str, &'static str, &'static str, &'static str);

const ZONES: Listed = (
    "landingzones.dev",
    "v1alpha1",
    "LandingZone",
    "landingzones",
);
const PLATFORMS: Listed = (
    "landingzones.dev",
    "v1alpha1",
    "LandingZonePlatform",
    "landingzoneplatforms",
);
const KUBERNETES: [Listed; 8] = [
    ("", "v1", "Namespace", "namespaces"),
    ("", "v1", "ServiceAccount", "serviceaccounts"),
    ("", "v1", "Pod", "pods"),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    (
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
        "networkpolicies",
    ),
    (
        "policy.networking.k8s.io",
        "v1alpha1",
        "AdminNetworkPolicy",
        "adminnetworkpolicies",
    ),
    (
        "policy.networking.k8s.io",
        "v1alpha1",
        "BaselineAdminNetworkPolicy",
        "baselineadminnetworkpolicies",
    ),
    (
        "policy.networking.k8s.io",
        "v1alpha2",
        "ClusterNetworkPolicy",
        "clusternetworkpolicies",
    ),
];
/// Kind and plural, in whichever group there is.
const CALICO: [(&str, &str); 5] = [
    ("Tier", "tiers"),
    ("GlobalNetworkPolicy", "globalnetworkpolicies"),
    ("NetworkPolicy", "networkpolicies"),
    ("GlobalNetworkSet", "globalnetworksets"),
    ("NetworkSet", "networksets"),
];
const CALICO_GROUPS: [(&str, &str); 2] =
    [("projectcalico.org", "v3"), ("crd.projectcalico.org", "v1")];
/// So many objects are asked for at once.
const PAGE: u32 = 500;

/// Reads a cluster. `told` holds where its platform says nothing. What could not be read is told in sentences.
pub(in crate::cli) async fn read(
    context: Option<&str>,
    told: &Platform,
) -> Result<(Landscape, Vec<String>), LandscapeError> {
    let reader = Reader {
        client: client(context).await?,
    };
    let mut notes = Vec::new();
    let mut platform = told.clone();
    for object in reader.all(PLATFORMS, &mut notes).await {
        match serde_json::from_value::<LandingZonePlatform>(object) {
            Ok(declared) => {
                let effective = declared.status.and_then(|status| status.effective);
                if let Some(values) = effective {
                    platform = Platform::of_status(&values).0;
                } else {
                    notes.push(
                        "the platform has no status yet: its values are not known".to_owned(),
                    );
                }
            }
            Err(error) => notes.push(format!("the platform cannot be read: {error}")),
        }
    }
    let mut zones = Vec::new();
    for object in reader.all(ZONES, &mut notes).await {
        match zone(object, &platform) {
            Ok(zone) => zones.push(zone),
            Err(why) => notes.push(why),
        }
    }
    zones.sort_by(|one, other| one.name.cmp(&other.name));
    let mut objects = Objects::default();
    for listed in KUBERNETES {
        for object in reader.all(listed, &mut notes).await {
            objects.add(&object, "the cluster");
        }
    }
    for (kind, plural) in CALICO {
        // Both groups show the same objects.
        for (group, version) in CALICO_GROUPS {
            match reader.list((group, version, kind, plural)).await {
                Ok(Some(found)) => {
                    for object in &found {
                        objects.add(object, "the cluster");
                    }
                    break;
                }
                Ok(None) => {}
                Err(error) => {
                    notes.push(unread(plural, &error));
                    break;
                }
            }
        }
    }
    notes.append(&mut objects.notes);
    let cluster = context.unwrap_or("live").to_owned();
    Ok((Landscape::of(cluster, zones, platform, objects), notes))
}

fn zone(object: Value, platform: &Platform) -> Result<LandingZone, String> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    let name = name.unwrap_or_default().to_owned();
    let wrong = |why: String| format!("landing zone {name} is left out: {why}");
    let declared: api::LandingZone =
        serde_json::from_value(object).map_err(|error| wrong(error.to_string()))?;
    LandingZone::validate(&declared, platform).map_err(|problems| {
        let first = problems.first().map(ToString::to_string);
        wrong(first.unwrap_or_default())
    })
}

fn unread(plural: &str, error: &kube::Error) -> String {
    format!(
        "{plural} cannot be read, so what they decide is missing: {}",
        failure(error)
    )
}

struct Reader {
    client: Client,
}

impl Reader {
    /// All objects of a kind; none where they cannot be read, which is noted.
    async fn all(&self, listed: Listed, notes: &mut Vec<String>) -> Vec<Value> {
        match self.list(listed).await {
            Ok(found) => found.unwrap_or_default(),
            Err(error) => {
                notes.push(unread(listed.3, &error));
                Vec::new()
            }
        }
    }

    /// All objects of a kind; None where the cluster does not have the kind.
    async fn list(
        &self,
        (group, version, kind, plural): Listed,
    ) -> Result<Option<Vec<Value>>, kube::Error> {
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
        let mut params = ListParams::default().limit(PAGE);
        let mut objects = Vec::new();
        loop {
            let page = match api.list(&params).await {
                Ok(page) => page,
                // Of a group that is not there the API server says so without a reason.
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
                Err(error) => return Err(error),
            };
            for object in page.items {
                let mut object = serde_json::to_value(object).map_err(kube::Error::SerdeError)?;
                // The items of a list do not say what they are.
                if let Some(fields) = object.as_object_mut() {
                    fields.insert("apiVersion".to_owned(), resource.api_version.clone().into());
                    fields.insert("kind".to_owned(), kind.into());
                }
                objects.push(object);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(Some(objects)),
            }
        }
    }
}
