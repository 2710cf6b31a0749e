//! The life of a landing zone, step by step, and what there is of it after each.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use e2e::governed::condition;
use e2e::owned::owned_by;
use e2e::shop::{Object, spec_with};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use landing_zone_operator::api::LandingZone;
use serde_json::{Value, json};

/// What happens to a landing zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// It is declared, with three namespaces.
    Convergence,
    /// Labels, quota, limits, access, flows and what becomes of its namespaces change.
    Update,
    /// A namespace leaves the declaration.
    Shrink,
    /// A namespace that was there before joins it.
    Adoption,
    /// It is deleted and leaves everything as it is.
    Release,
    /// It is declared again.
    Return,
    /// It is deleted with its namespaces.
    Deletion,
}

impl Step {
    pub const ALL: [Self; 7] = [
        Self::Convergence,
        Self::Update,
        Self::Shrink,
        Self::Adoption,
        Self::Release,
        Self::Return,
        Self::Deletion,
    ];

    /// Does it, as Git and people would; what the operator makes of it comes later.
    pub async fn act(self, client: &Client, name: &str) -> Result<()> {
        let zones: Api<LandingZone> = Api::all(client.clone());
        let edit = async |patch: Value| -> Result<()> {
            let params = PatchParams {
                field_manager: Some("git".to_owned()),
                ..PatchParams::default()
            };
            let patch = Patch::Merge(json!({"spec": patch}));
            zones.patch(name, &params, &patch).await?;
            Ok(())
        };
        let declare = async |amend: Value| -> Result<()> {
            let spec = serde_json::from_value(spec_with(name, amend))?;
            let zone = LandingZone::new(name, spec);
            zones.create(&PostParams::default(), &zone).await?;
            Ok(())
        };
        match self {
            Self::Convergence => declare(json!({"namespaces": with(name, &["jobs"])})).await,
            Self::Update => edit(changed(name, &["jobs"])).await,
            Self::Shrink => edit(changed(name, &[])).await,
            Self::Adoption => edit(changed(name, &["old"])).await,
            Self::Release => {
                edit(json!({"deletePolicy": "Keep"})).await?;
                delete(&zones, name).await
            }
            Self::Return => declare(changed(name, &["old"])).await,
            Self::Deletion => delete(&zones, name).await,
        }
    }
}

async fn delete(zones: &Api<LandingZone>, name: &str) -> Result<()> {
    zones.delete(name, &DeleteParams::default()).await?;
    Ok(())
}

/// The namespaces `web` and `data`, and those.
fn with(name: &str, others: &[&str]) -> Value {
    let mut all = vec![
        json!({
            "name": format!("{name}-web"), "zone": "web",
            "quota": {"pods": "50", "requests.cpu": "4"},
            "limits": {"default": {"cpu": "500m"}, "max": {"cpu": "2"}},
        }),
        json!({"name": format!("{name}-data"), "zone": "data"}),
    ];
    all.extend(
        others.iter().map(
            |it| json!({"name": format!("{name}-{it}"), "zone": "data", "quota": {"pods": "5"}}),
        ),
    );
    json!(all)
}

/// The declaration from its update on.
fn changed(name: &str, others: &[&str]) -> Value {
    let mut namespaces = with(name, others);
    namespaces[0]["quota"] = json!({"pods": "60", "requests.memory": "8Gi"});
    namespaces[0]["limits"] = json!({"default": {"cpu": "250m"}, "max": {"cpu": "3"}});
    json!({
        "labels": {"costCenter": "4712"},
        "namespaces": namespaces,
        "adoptionPolicy": "Always",
        "deletePolicy": "Delete",
        "access": [
            {"kind": "Group", "name": "developers", "role": "edit", "zones": ["web"]},
            {"kind": "Group", "name": "auditors", "role": "view", "zones": ["data"]},
        ],
        "network": {"flows": [
            {"name": "web-to-data", "from": {"zone": "web"}, "to": {"zone": "data"},
             "ports": [{"protocol": "TCP", "port": 5433}]},
            {"name": "data-to-web", "from": {"zone": "data"}, "to": {"zone": "web"},
             "ports": [{"protocol": "TCP", "port": 8080}]},
        ]},
    })
}

/// What there is besides before a landing zone is declared: a namespace with a team's objects.
pub async fn given(client: &Client, name: &str) -> Result<()> {
    let namespace = format!("{name}-old");
    let manifest = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": namespace, "labels": {"team": "blue"}},
    });
    Object::create(client.clone(), manifest).await?;
    team_objects(client, &namespace).await
}

/// What an application team writes into a namespace.
pub async fn team_objects(client: &Client, namespace: &str) -> Result<()> {
    for manifest in [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
        }),
    ] {
        let mut manifest = manifest;
        manifest["metadata"] = json!({"name": "team", "namespace": namespace});
        Object::create(client.clone(), manifest).await?;
    }
    Ok(())
}

/// What there is of a landing zone, without what differs from one life to the next: its name, and what the API server fills
/// in. Whatever is the same in two lives reads the same.
pub type View = BTreeMap<String, Value>;

/// Looks at a landing zone.
pub async fn view(client: &Client, name: &str) -> Result<View> {
    let mut view = View::new();
    for (key, object) in owned_by(client, name).await? {
        view.insert(key, content(&object));
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for part in ["web", "data", "jobs", "old"] {
        let found = namespaces.get_opt(&format!("{name}-{part}")).await?;
        let said = found.map(|it| content(&json!(it)));
        view.insert(format!("the namespace {part}"), json!(said));
    }
    let zones: Api<LandingZone> = Api::all(client.clone());
    let zone = zones.get_opt(name).await?;
    view.insert(
        "the landing zone".to_owned(),
        json!(zone.map(|it| told(&it))),
    );
    let text = serde_json::to_string(&view)?.replace(name, "NAME");
    serde_json::from_str(&text).context("a view that cannot be read back")
}

/// What an object says.
fn content(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut said = object.clone();
    said["metadata"] = json!({
        "labels": metadata["labels"], "annotations": metadata["annotations"],
        "finalizers": metadata["finalizers"],
        "isGoing": !metadata["deletionTimestamp"].is_null(),
    });
    if let Some(fields) = said.as_object_mut() {
        fields.remove("status");
    }
    said
}

/// What is told of it, once all is done.
fn told(zone: &LandingZone) -> Value {
    let status = zone.status.clone().unwrap_or_default();
    let mut inventory = status.inventory.clone();
    inventory.sort();
    // They are a map by type.
    let mut conditions = status.conditions.clone();
    conditions.sort_by(|one, other| one.type_.cmp(&other.type_));
    json!({
        "finalizers": zone.metadata.finalizers,
        "isGoing": zone.metadata.deletion_timestamp.is_some(),
        "isObserved": status.observed_generation == zone.metadata.generation,
        "conditions": conditions.iter()
            .map(|it| (&it.type_, &it.status, &it.reason, &it.message)).collect::<Vec<_>>(),
        "namespacesReady": status.namespaces_ready,
        "effective": status.effective,
        "namespaces": status.namespaces.iter()
            .map(|it| (&it.name, &it.zone, it.state, &it.keys, &it.message)).collect::<Vec<_>>(),
        "released": status.released.iter().map(|it| (&it.name, &it.zone)).collect::<Vec<_>>(),
        "inventory": inventory,
        "repaired": status.drift.as_ref().map_or(0, |drift| drift.repaired),
        "crossings": status.crossings,
        "findings": status.findings,
        "unobserved": status.unobserved,
    })
}

/// Whether a landing zone that nothing disturbs has got where it goes.
pub async fn is_done(client: &Client, name: &str, step: Step) -> Result<()> {
    let zones: Api<LandingZone> = Api::all(client.clone());
    let zone = zones.get_opt(name).await?;
    let goes = matches!(step, Step::Release | Step::Deletion);
    match zone {
        None if goes => Ok(()),
        Some(zone) if !goes => {
            let status = zone.status.clone().unwrap_or_default();
            let is = |type_, wanted| condition(&status, type_).is_some_and(|it| it.0 == wanted);
            anyhow::ensure!(
                status.observed_generation == zone.metadata.generation
                    && is("Ready", "True")
                    && is("Reconciling", "False"),
                "it says {}",
                json!(status.conditions)
            );
            Ok(())
        }
        zone => bail!("it is {}", json!(zone.map(|it| it.status))),
    }
}

/// What no disturbance may change: which namespaces these are, and that nobody wrote what is not the operator's.
#[derive(Clone, Debug, PartialEq)]
pub struct Marks(BTreeMap<String, Value>);

impl Marks {
    /// Of the namespaces and the team's objects of a landing zone.
    pub async fn of(client: &Client, name: &str) -> Result<Self> {
        let mut marks = BTreeMap::new();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        for part in ["web", "data", "jobs", "old"] {
            let namespace = format!("{name}-{part}");
            let Some(found) = namespaces.get_opt(&namespace).await? else {
                continue;
            };
            marks.insert(format!("the namespace {part}"), json!(found.metadata.uid));
            for (kind, object) in foreign(client, &namespace).await? {
                let metadata = &object["metadata"];
                let mark = json!([metadata["uid"], metadata["resourceVersion"]]);
                marks.insert(format!("the team's {kind} in {part}"), mark);
            }
        }
        Ok(Self(marks))
    }

    /// Fails where something that was there is there no more, or is another, except in namespaces that shall go.
    pub fn ensure_kept(&self, now: &Self, goes: &[&str]) -> Result<()> {
        for (what, mark) in &self.0 {
            if goes.iter().any(|part| what.ends_with(part)) {
                continue;
            }
            let found = now.0.get(what);
            anyhow::ensure!(found == Some(mark), "{what} was {mark}, is {found:?}");
        }
        Ok(())
    }
}

/// The team's objects in a namespace.
async fn foreign(client: &Client, namespace: &str) -> Result<Vec<(&'static str, Value)>> {
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::api::networking::v1::NetworkPolicy;
    let configs: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), namespace);
    let config = configs.get_opt("team").await?.map(|it| json!(it));
    let policy = policies.get_opt("team").await?.map(|it| json!(it));
    let both = [("ConfigMap", config), ("NetworkPolicy", policy)];
    Ok(both
        .into_iter()
        .filter_map(|(kind, found)| Some((kind, found?)))
        .collect())
}

/// Clears away what a landing zone left that lived to its end.
pub async fn bury(client: &Client, name: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for part in ["web", "data", "jobs", "old"] {
        let namespace = format!("{name}-{part}");
        match namespaces
            .delete(&namespace, &DeleteParams::default())
            .await
        {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            deleted => drop(deleted?),
        }
    }
    Ok(())
}
