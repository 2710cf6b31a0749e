//! A cluster, read with the rights of whoever asks. Who may not list a kind everywhere reads what lies in the namespaces
//! of their own landing zone; what cannot be read is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use crate::api::{self, names};
use crate::cluster::failure;
use crate::domain::{LandingZone, Platform};

/// The group of Calico's API server.
const CALICO: &str = "projectcalico.org";
/// Objects are read in pages of so many.
const PAGE: u32 = 500;

/// A kind, as the API server serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    group: &'static str,
    version: &'static str,
    name: &'static str,
    plural: &'static str,
    is_namespaced: bool,
}

impl Kind {
    /// A kind whose objects lie in namespaces.
    pub const fn namespaced(
        (group, version): (&'static str, &'static str),
        name: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            name,
            plural,
            is_namespaced: true,
        }
    }

    /// A kind whose objects lie in none.
    pub const fn global(
        group: (&'static str, &'static str),
        name: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            is_namespaced: false,
            ..Self::namespaced(group, name, plural)
        }
    }

    /// Its plural, as its address has it.
    pub const fn plural(self) -> &'static str {
        self.plural
    }

    fn resource(self) -> ApiResource {
        let gvk = GroupVersionKind::gvk(self.group, self.version, self.name);
        ApiResource::from_gvk_with_plural(&gvk, self.plural)
    }
}

/// `networkpolicies of projectcalico.org/v3`
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            "" => f.write_str(self.plural),
            group => write!(f, "{} of {group}/{}", self.plural, self.version),
        }
    }
}

const OURS: (&str, &str) = (names::GROUP, names::VERSION);
/// Landing zones.
pub(super) const ZONES: Kind = Kind::global(OURS, "LandingZone", "landingzones");
/// The platform.
pub(super) const PLATFORMS: Kind =
    Kind::global(OURS, "LandingZonePlatform", "landingzoneplatforms");
/// Namespaces.
pub(super) const NAMESPACES: Kind = Kind::global(("", "v1"), "Namespace", "namespaces");

/// Administrators' policies, in the versions of their group that serve them.
pub(super) const ADMINISTRATORS: [Kind; 3] = [
    Kind::global(
        ("policy.networking.k8s.io", "v1alpha1"),
        "AdminNetworkPolicy",
        "adminnetworkpolicies",
    ),
    Kind::global(
        ("policy.networking.k8s.io", "v1alpha1"),
        "BaselineAdminNetworkPolicy",
        "baselineadminnetworkpolicies",
    ),
    Kind::global(
        ("policy.networking.k8s.io", "v1alpha2"),
        "ClusterNetworkPolicy",
        "clusternetworkpolicies",
    ),
];

/// What somebody's own landing zones may be known by.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    /// Landing zones.
    pub landing_zones: Vec<String>,
    /// Namespaces.
    pub namespaces: Vec<String>,
    /// What may be the one or the other.
    pub either: Vec<String>,
}

/// What could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    /// What, in a few words.
    pub what: String,
    /// Why, in the API server's words.
    pub why: String,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// Objects of a kind.
#[derive(Debug)]
pub(super) struct Found {
    /// Those that could be read.
    pub objects: Vec<Value>,
    /// Whether they are all there are.
    pub is_whole: bool,
}

/// Reads a cluster.
pub(super) struct Reader {
    client: Client,
    /// The only namespace whose objects are read, where one is named.
    only: Option<String>,
    /// Namespaces that are read one by one where a kind may not be listed.
    own: BTreeSet<String>,
    /// The plurals that each group serves; None where it does not say.
    served: BTreeMap<(&'static str, &'static str), Option<BTreeSet<String>>>,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

impl Reader {
    /// Reads nothing yet.
    pub fn new(client: Client, only: Option<&str>) -> Self {
        Self {
            client,
            only: only.map(str::to_owned),
            own: only.map(str::to_owned).into_iter().collect(),
            served: BTreeMap::new(),
            unread: Vec::new(),
        }
    }

    /// Notes that something could not be read.
    pub fn miss(&mut self, what: impl Into<String>, why: impl Into<String>) {
        let (what, why) = (what.into(), why.into());
        self.unread.push(Unread { what, why });
    }

    /// The landing zones, as they are written; of those who may not list them their own. What is read afterwards is
    /// looked for in the namespaces of those that the hints mean, where it may not be listed.
    pub async fn zones(&mut self, hints: &Hints) -> Found {
        let context = self.client.default_namespace().to_owned();
        let mut names: BTreeSet<String> = hints.landing_zones.iter().cloned().collect();
        let mut namespaces: BTreeSet<String> = BTreeSet::new();
        // Whose a namespace is says its label, to those who may read it.
        let of_hints = hints.namespaces.iter().chain(&hints.either);
        for name in of_hints.chain([&context]) {
            if let Ok(Some(namespace)) = self.get(NAMESPACES, name).await {
                namespaces.insert(name.clone());
                let owner = namespace["metadata"]["labels"][names::OWNER].as_str();
                names.extend(owner.map(str::to_owned));
            } else if hints.namespaces.contains(name) {
                namespaces.insert(name.clone());
            } else if hints.either.contains(name) {
                names.insert(name.clone());
            }
        }
        let found = match self.list(ZONES, None).await {
            Ok(found) => Found {
                objects: found.unwrap_or_default(),
                is_whole: true,
            },
            Err(error) => {
                let objects = self.zones_by_name(&names).await;
                let read = objects.iter().map(|it| it["metadata"]["name"].as_str());
                let read: Vec<&str> = read.flatten().collect();
                let (what, way_out) = if read.is_empty() {
                    let way_out = "; name yours with --landing-zone, if you may read it";
                    (ZONES.to_string(), way_out)
                } else {
                    (format!("{ZONES} other than {}", read.join(", ")), "")
                };
                self.miss(what, failure(&error) + way_out);
                let is_whole = false;
                Found { objects, is_whole }
            }
        };
        let is_meant = |zone: &&Value| {
            zone["metadata"]["name"]
                .as_str()
                .is_some_and(|it| names.contains(it))
        };
        for zone in found.objects.iter().filter(is_meant) {
            let declared = zone["spec"]["namespaces"].as_array();
            let declared = declared.into_iter().flatten();
            namespaces.extend(declared.filter_map(|it| it["name"].as_str().map(str::to_owned)));
        }
        if self.only.is_none() {
            self.own = namespaces;
        }
        found
    }

    async fn zones_by_name(&mut self, names: &BTreeSet<String>) -> Vec<Value> {
        let mut zones = Vec::new();
        for name in names {
            match self.get(ZONES, name).await {
                Ok(zone) => zones.extend(zone),
                Err(error) => self.miss(format!("landing zone {name}"), failure(&error)),
            }
        }
        zones
    }

    /// The objects of a kind; None where the cluster does not serve it.
    pub async fn objects(&mut self, kind: Kind) -> Option<Found> {
        if !self.serves(kind).await {
            return None;
        }
        let only = self.only.clone().filter(|_| kind.is_namespaced);
        let error = match self.list(kind, only.as_deref()).await {
            Ok(found) => {
                return found.map(|objects| Found {
                    objects,
                    is_whole: only.is_none(),
                });
            }
            Err(error) => error,
        };
        let mut objects = Vec::new();
        let own = std::mem::take(&mut self.own);
        let is_divided = is_forbidden(&error) && only.is_none();
        if is_divided && (kind.is_namespaced || kind == NAMESPACES) && !own.is_empty() {
            for namespace in &own {
                let read = if kind == NAMESPACES {
                    let read = self.get(kind, namespace).await;
                    read.map(|it| Some(Vec::from_iter(it)))
                } else {
                    self.list(kind, Some(namespace)).await
                };
                match read {
                    Ok(read) => objects.extend(read.into_iter().flatten()),
                    Err(error) => self.miss(format!("{kind} in {namespace}"), failure(&error)),
                }
            }
            self.miss(format!("{kind} elsewhere"), failure(&error));
        } else {
            self.miss(kind.to_string(), failure(&error));
        }
        self.own = own;
        Some(Found {
            objects,
            is_whole: false,
        })
    }

    /// Whether the cluster has the kind. Whoever may not read a kind that is not there is refused all the same, and
    /// would be told that something is missing.
    async fn serves(&mut self, kind: Kind) -> bool {
        if kind.group.is_empty() {
            return true;
        }
        let group = (kind.group, kind.version);
        if !self.served.contains_key(&group) {
            let version = format!("{}/{}", kind.group, kind.version);
            let plurals = match self.client.list_api_group_resources(&version).await {
                Ok(list) => Some(list.resources.into_iter().map(|it| it.name).collect()),
                Err(kube::Error::Api(status)) if status.code == 404 => Some(BTreeSet::new()),
                // It is asked for each kind, then.
                Err(_) => None,
            };
            self.served.insert(group, plurals);
        }
        let plurals = self.served.get(&group).and_then(Option::as_ref);
        plurals.is_none_or(|plurals| plurals.contains(kind.plural))
    }

    /// An object of a namespace; None where there is none, or it cannot be read.
    pub async fn object(&mut self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        let client = self.client.clone();
        let api = Api::<DynamicObject>::namespaced_with(client, namespace, &kind.resource());
        let read = api.get_opt(name).await;
        match read.and_then(|it| it.map(|it| written(it, kind)).transpose()) {
            Ok(object) => object,
            Err(error) => {
                self.miss(format!("{kind} {namespace}/{name}"), failure(&error));
                None
            }
        }
    }

    /// An object that lies in no namespace; None where there is none.
    async fn get(&self, kind: Kind, name: &str) -> Result<Option<Value>, kube::Error> {
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &kind.resource());
        let object = api.get_opt(name).await?;
        object.map(|it| written(it, kind)).transpose()
    }

    /// All objects of a kind, or those of a namespace; None where the cluster does not have the kind.
    async fn list(
        &self,
        kind: Kind,
        namespace: Option<&str>,
    ) -> Result<Option<Vec<Value>>, kube::Error> {
        let client = self.client.clone();
        let resource = kind.resource();
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
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
                Err(error) => return Err(error),
            };
            // Calico's API server shows those of Kubernetes, too.
            let is_own = |object: &DynamicObject| {
                !(kind.group == CALICO && object.name_any().starts_with("knp."))
            };
            for object in page.items.into_iter().filter(is_own) {
                objects.push(written(object, kind)?);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(Some(objects)),
            }
        }
    }
}

/// As it is written in a file: the items of a list do not say what they are.
fn written(object: DynamicObject, kind: Kind) -> Result<Value, kube::Error> {
    let mut object = serde_json::to_value(object).map_err(kube::Error::SerdeError)?;
    object["apiVersion"] = Value::from(kind.resource().api_version);
    object["kind"] = Value::from(kind.name);
    Ok(object)
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// A landing zone as it is declared. Where the platform is not known, neither are the roles that it allows: whom a landing
/// zone gives them to decides nothing about its network.
pub(super) fn declared(
    zone: Value,
    platform: &Platform,
    is_platform_known: bool,
) -> Result<LandingZone, String> {
    let mut zone: api::LandingZone =
        serde_json::from_value(zone).map_err(|error| error.to_string())?;
    if !is_platform_known {
        zone.spec.access.clear();
    }
    LandingZone::validate(&zone, platform).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        problems.join("; ")
    })
}
