//! What is reviewed, read from a cluster with the rights of whoever asks.

use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use super::input::{Input, ObjectName};
use crate::api::{self, names};
use crate::cluster::failure;
use crate::domain::{LandingZone, Platform};

/// Objects are read in pages of so many.
const PAGE: u32 = 500;

/// A kind that is read.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    plural: &'static str,
    is_namespaced: bool,
}

const fn namespaced(name: &'static str, plural: &'static str) -> Kind {
    Kind {
        name,
        plural,
        is_namespaced: true,
    }
}

const fn global(name: &'static str, plural: &'static str) -> Kind {
    Kind {
        name,
        plural,
        is_namespaced: false,
    }
}

/// Calico's kinds, those first that every version has.
const CALICO: [Kind; 8] = [
    namespaced("NetworkPolicy", "networkpolicies"),
    global("GlobalNetworkPolicy", "globalnetworkpolicies"),
    namespaced("NetworkSet", "networksets"),
    global("GlobalNetworkSet", "globalnetworksets"),
    global("Tier", "tiers"),
    namespaced("StagedNetworkPolicy", "stagednetworkpolicies"),
    global("StagedGlobalNetworkPolicy", "stagedglobalnetworkpolicies"),
    namespaced(
        "StagedKubernetesNetworkPolicy",
        "stagedkubernetesnetworkpolicies",
    ),
];
/// Administrators' kinds of Kubernetes, with the versions of their group that serve them.
const ADMIN: [(&str, Kind); 3] = [
    (
        "v1alpha1",
        global("AdminNetworkPolicy", "adminnetworkpolicies"),
    ),
    (
        "v1alpha1",
        global("BaselineAdminNetworkPolicy", "baselineadminnetworkpolicies"),
    ),
    (
        "v1alpha2",
        global("ClusterNetworkPolicy", "clusternetworkpolicies"),
    ),
];
/// Calico's groups. What the first one serves, the second one only stores.
const CALICO_GROUPS: [(&str, &str); 2] =
    [("projectcalico.org", "v3"), ("crd.projectcalico.org", "v1")];

/// What of the cluster could be read, and what could not.
pub(super) struct Live {
    pub input: Input,
    /// One sentence for each kind that could not be read.
    pub unread: Vec<String>,
}

/// Reads everything that a review looks at; of one namespace only, where one is named.
pub(super) async fn read(client: &Client, told: &Platform, namespace: Option<&str>) -> Live {
    let mut reader = Reader {
        client,
        namespace,
        live: Live {
            input: Input {
                platform: told.clone(),
                ..Input::default()
            },
            unread: Vec::new(),
        },
    };
    reader.declarations().await;
    reader
        .objects(("", "v1"), global("Namespace", "namespaces"))
        .await;
    let networking = ("networking.k8s.io", "v1");
    reader.objects(networking, CALICO[0]).await;
    for (version, kind) in ADMIN {
        let group = ("policy.networking.k8s.io", version);
        if reader.is_served(group, kind).await {
            reader.objects(group, kind).await;
        }
    }
    for group in CALICO_GROUPS {
        let mut is_served = false;
        for kind in CALICO {
            is_served |= reader.objects(group, kind).await;
        }
        // The rest of what is stored is the same, and says less of how it was written.
        if is_served {
            break;
        }
    }
    reader.live
}

struct Reader<'a> {
    client: &'a Client,
    namespace: Option<&'a str>,
    live: Live,
}

impl Reader<'_> {
    async fn declarations(&mut self) {
        let group = (names::GROUP, names::VERSION);
        let platforms = global("LandingZonePlatform", "landingzoneplatforms");
        for platform in self.list(group, platforms).await.unwrap_or_default() {
            match serde_json::from_value(platform) {
                Ok(platform) => self.platform(&platform),
                Err(error) => self.unread("the LandingZonePlatform", &error.to_string()),
            }
        }
        let zones = global("LandingZone", "landingzones");
        for zone in self.list(group, zones).await.unwrap_or_default() {
            let name = ObjectName::of(&zone);
            let read: Result<api::LandingZone, _> = serde_json::from_value(zone);
            let valid = read.map_err(|error| error.to_string()).and_then(|zone| {
                LandingZone::validate(&zone, &self.live.input.platform).map_err(|problems| {
                    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                    problems.join("; ")
                })
            });
            match valid {
                Ok(zone) => self.live.input.zones.push(zone),
                Err(why) => self.unread(&name.to_string(), &why),
            }
        }
        self.live.input.zones.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// What the operator says is in force knows more than what is declared: it has looked for it in the cluster.
    fn platform(&mut self, platform: &api::LandingZonePlatform) {
        let effective = platform
            .status
            .as_ref()
            .and_then(|it| it.effective.as_ref());
        if let Some(effective) = effective {
            let (platform, found) = Platform::of_status(effective);
            self.live.input.platform = platform.completed(&found, &[]);
            return;
        }
        match self.live.input.platform.declared(platform) {
            Ok(declared) => self.live.input.platform = declared,
            Err(problems) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                self.unread("the LandingZonePlatform", &problems.join("; "));
            }
        }
    }

    /// Whether the cluster serves a kind, which everybody may ask: who may not read a kind is forbidden it where there is none,
    /// too. Where that cannot be told, it counts as served.
    async fn is_served(&self, (group, version): (&str, &str), kind: Kind) -> bool {
        let version = format!("{group}/{version}");
        match self.client.list_api_group_resources(&version).await {
            Ok(served) => served.resources.iter().any(|it| it.name == kind.plural),
            Err(kube::Error::Api(status)) => status.code != 404,
            Err(_) => true,
        }
    }

    /// Reads all objects of a kind; false where the cluster does not serve it.
    async fn objects(&mut self, group: (&str, &str), kind: Kind) -> bool {
        let Some(objects) = self.list(group, kind).await else {
            return false;
        };
        for object in objects {
            self.live.input.add(object, None);
        }
        true
    }

    /// All objects of a kind; None where the cluster does not serve it. What is forbidden is told and counts as none.
    async fn list(&mut self, (group, version): (&str, &str), kind: Kind) -> Option<Vec<Value>> {
        let gvk = GroupVersionKind::gvk(group, version, kind.name);
        let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural);
        let client = self.client.clone();
        let namespace = self.namespace.filter(|_| kind.is_namespaced);
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        };
        let mut params = ListParams::default().limit(PAGE);
        let mut objects = Vec::new();
        loop {
            let page = match api.list(&params).await {
                Ok(page) => page,
                // Of a group that is not there the API server says so without a reason.
                Err(kube::Error::Api(status)) if status.code == 404 => return None,
                Err(error) => {
                    let what = format!("{} of {}", kind.plural, resource.api_version);
                    self.unread(&what, &failure(&error));
                    return Some(Vec::new());
                }
            };
            // Calico's API server shows those of Kubernetes, too.
            let is_own = |object: &DynamicObject| {
                !(group == CALICO_GROUPS[0].0 && object.name_any().starts_with("knp."))
            };
            for object in page.items.into_iter().filter(is_own) {
                let mut object = serde_json::to_value(object).unwrap_or_default();
                // Items of a list say neither.
                object["apiVersion"] = Value::from(resource.api_version.as_str());
                object["kind"] = Value::from(kind.name);
                objects.push(object);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Some(objects),
            }
        }
    }

    fn unread(&mut self, what: &str, why: &str) {
        self.live.unread.push(format!("{what}: {why}"));
    }
}
