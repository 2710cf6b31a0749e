//! Azure Service Operator, simulated: its kinds, and what it does with their objects as far as somebody else can see it.
//!
//! Source: Azure Service Operator's documentation, "Conditions", "Annotations and labels" and "Ownership".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use landing_zone_operator::domain::{AzureKind, AzureVersions};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::install::{apply_objects, parse_manifests, read_manifests};
use crate::workspace;

/// The namespace of its objects.
pub const NAMESPACE: &str = "azure-resources";
const FINALIZER: &str = "serviceoperator.azure.com/finalizer";
const POLICY: &str = "serviceoperator.azure.com/reconcile-policy";
/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// The definitions of the kinds that landing zones are written in.
///
/// # Errors
/// Where they cannot be read.
pub fn definitions() -> Result<Vec<DynamicObject>> {
    read_manifests(&workspace::root().join("e2e/azure_service_operator"))
}

/// Installs the kinds, the namespace of its objects, and the operator's rights in it.
///
/// # Errors
/// Where something cannot be applied.
pub async fn install(client: &Client) -> Result<()> {
    let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}");
    let mut objects = parse_manifests(&namespace)?;
    objects.extend(read_manifests(&workspace::root().join("config/azure"))?);
    objects.extend(definitions()?);
    apply_objects(client, objects).await
}

/// What is in Azure, and what it refuses.
#[derive(Debug, Default)]
struct Azure {
    /// Specs by kind and name.
    resources: BTreeMap<(AzureKind, String), Value>,
    /// Names that it refuses for good.
    refused: BTreeSet<String>,
    /// What was once there and was deleted.
    deleted: BTreeSet<String>,
}

/// Azure Service Operator, until it is dropped.
pub struct AzureServiceOperator {
    azure: Arc<Mutex<Azure>>,
    _running: AbortOnDropHandle<()>,
}

impl AzureServiceOperator {
    /// Starts it in a cluster that has its kinds.
    #[must_use]
    pub fn start(client: Client) -> Self {
        let azure = Arc::new(Mutex::new(Azure::default()));
        let running = run(client, azure.clone());
        Self {
            azure,
            _running: AbortOnDropHandle::new(tokio::spawn(running)),
        }
    }

    /// What is in Azure of a kind, by name there.
    #[must_use]
    pub fn resources(&self, kind: AzureKind) -> BTreeMap<String, Value> {
        let azure = self.azure.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kind = azure.resources.iter().filter(|((it, _), _)| *it == kind);
        of_kind
            .map(|((_, name), spec)| (name.clone(), spec.clone()))
            .collect()
    }

    /// Names of what was deleted in Azure.
    #[must_use]
    pub fn deleted(&self) -> BTreeSet<String> {
        let azure = self.azure.lock().unwrap_or_else(PoisonError::into_inner);
        azure.deleted.clone()
    }

    /// From now on Azure refuses what has that name, or takes it again.
    pub fn refuses(&self, name: &str, refuses: bool) {
        let mut azure = self.azure.lock().unwrap_or_else(PoisonError::into_inner);
        if refuses {
            azure.refused.insert(name.to_owned());
        } else {
            azure.refused.remove(name);
        }
    }
}

/// The objects of a kind; Karpenter's lie in no namespace.
#[must_use]
pub fn objects(client: Client, kind: AzureKind) -> Api<DynamicObject> {
    let versions = AzureVersions::common();
    let gvk = GroupVersionKind::gvk(kind.group(), versions.version(kind), kind.name());
    let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural());
    if kind.is_karpenter() {
        Api::all_with(client, &resource)
    } else {
        Api::namespaced_with(client, NAMESPACE, &resource)
    }
}

async fn run(client: Client, azure: Arc<Mutex<Azure>>) {
    loop {
        for kind in AzureKind::ALL.into_iter().filter(|it| !it.is_karpenter()) {
            let api = objects(client.clone(), kind);
            // Where the kind is not there, or an object changed meanwhile, the next look helps.
            let Ok(found) = api.list(&ListParams::default()).await else {
                continue;
            };
            for object in found {
                let _ = look(&api, kind, &object, &azure).await;
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn look(
    api: &Api<DynamicObject>,
    kind: AzureKind,
    object: &DynamicObject,
    azure: &Mutex<Azure>,
) -> Result<()> {
    let name = object.name_any();
    let spec = object.data["spec"].clone();
    let in_azure = spec["azureName"]
        .as_str()
        .context("no azureName")?
        .to_owned();
    let merge = PatchParams::default();
    if object.metadata.deletion_timestamp.is_some() {
        let policy = object.annotations().get(POLICY).map(String::as_str);
        if !matches!(policy, Some("detach-on-delete" | "skip")) {
            let mut azure = azure.lock().unwrap_or_else(PoisonError::into_inner);
            azure.resources.remove(&(kind, in_azure.clone()));
            azure.deleted.insert(in_azure);
        }
        let patch = json!({"metadata": {"finalizers": null}});
        api.patch(&name, &merge, &Patch::Merge(patch)).await?;
        return Ok(());
    }
    if !object.finalizers().iter().any(|it| it == FINALIZER) {
        let patch = json!({"metadata": {
            "finalizers": [FINALIZER],
            "annotations": {"serviceoperator.azure.com/resource-id": format!("/{in_azure}")},
        }});
        api.patch(&name, &merge, &Patch::Merge(patch)).await?;
    }
    let is_refused = {
        let mut azure = azure.lock().unwrap_or_else(PoisonError::into_inner);
        let is_refused = azure.refused.contains(&in_azure);
        if !is_refused {
            azure.resources.insert((kind, in_azure), spec);
        }
        is_refused
    };
    let generation = object.metadata.generation;
    let said = object.data.pointer("/status/conditions/0");
    let wanted = if is_refused { "False" } else { "True" };
    let is_said = said.is_some_and(|it| {
        it["status"] == wanted && it["observedGeneration"].as_i64() == generation
    });
    if is_said {
        return Ok(());
    }
    let mut condition = json!({
        "type": "Ready", "status": wanted, "reason": "Succeeded", "observedGeneration": generation,
        "lastTransitionTime": format!("{:.0}", Timestamp::now()),
    });
    if is_refused {
        condition["severity"] = json!("Error");
        condition["reason"] = json!("InvalidParameter");
        condition["message"] = json!("Azure does not like it");
    }
    let patch = json!({"status": {"conditions": [condition]}});
    api.patch_status(&name, &merge, &Patch::Merge(patch))
        .await?;
    Ok(())
}
