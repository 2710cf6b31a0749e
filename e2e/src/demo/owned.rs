//! The objects of a landing zone, read back from the cluster.

use anyhow::{Context, Result};
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Client};
use landing_zone_operator::api::{LandingZone, LandingZoneStatus};
use landing_zone_operator::controller::ObjectKey;
use landing_zone_operator::domain::{CalicoNaming, Flavour, PolicyApi};

/// An object as it is in the cluster.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    pub(super) key: ObjectKey,
    pub(super) object: DynamicObject,
    pub(super) resource: ApiResource,
}

impl Owned {
    /// Where it is, for somebody's client.
    pub(super) fn api(&self, client: Client) -> Api<DynamicObject> {
        api(client, &self.key, &self.resource)
    }

    /// A label of it.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        let labels = self.object.metadata.labels.as_ref()?;
        labels.get(key).map(String::as_str)
    }

    /// An annotation of it.
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        let annotations = self.object.metadata.annotations.as_ref()?;
        annotations.get(key).map(String::as_str)
    }
}

/// What the inventory names.
pub(super) fn inventory(status: &LandingZoneStatus) -> Result<Vec<ObjectKey>> {
    let keys = status.inventory.iter();
    keys.map(|key| key.parse().context("the inventory cannot be read"))
        .collect()
}

/// How the kind of an object is served in this cluster.
pub(super) fn resource(status: &LandingZoneStatus, key: &ObjectKey) -> Result<ApiResource> {
    let effective = status
        .effective
        .as_ref()
        .context("status has no values in force")?;
    let known = [
        PolicyApi::CalicoV3,
        PolicyApi::CalicoCrdV1,
        PolicyApi::Kubernetes,
    ];
    let api = known
        .into_iter()
        .find(|api| api.to_string() == effective.flavour)
        .with_context(|| format!("status names the unknown flavour {}", effective.flavour))?;
    let flavour = Flavour {
        api,
        tiers: effective.tiers,
        staged: false,
        naming: CalicoNaming::Plain,
    };
    key.kind
        .api_resource(flavour)
        .with_context(|| format!("{key} is of a kind that this cluster does not have"))
}

pub(super) fn api(client: Client, key: &ObjectKey, resource: &ApiResource) -> Api<DynamicObject> {
    match &key.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, resource),
        None => Api::all_with(client, resource),
    }
}

/// Reads every object of the inventory.
pub(super) async fn read_all(client: &Client, zone: &LandingZone) -> Result<Vec<Owned>> {
    let status = zone
        .status
        .as_ref()
        .context("the landing zone has no status")?;
    let mut objects = Vec::new();
    for key in inventory(status)? {
        let resource = resource(status, &key)?;
        let object = api(client.clone(), &key, &resource)
            .get(&key.name)
            .await
            .with_context(|| format!("failed to read {key}, which the inventory names"))?;
        objects.push(Owned {
            key,
            object,
            resource,
        });
    }
    Ok(objects)
}
