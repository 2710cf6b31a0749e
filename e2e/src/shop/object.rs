//! One object of a cluster, and what somebody may do to it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client};
use landing_zone_operator::controller::{Kind, ObjectKey};
use landing_zone_operator::domain::{CalicoNaming, Flavour, PolicyApi};
use serde_json::{Value, json};

use super::{NAMESPACE_PATIENCE, PATIENCE};
use crate::eventually;

/// Under this name the fields are owned of what is changed behind the operator's back.
pub const MALLORY: &str = "mallory";

/// How policies are written in the cluster of the shops: as a default AKS cluster stores them.
pub const FLAVOUR: Flavour = Flavour {
    api: PolicyApi::CalicoCrdV1,
    tiers: false,
    staged: false,
    naming: CalicoNaming::TierPrefixed,
};

/// One object. Whatever is done to it here is done by somebody else than the operator.
#[derive(Clone, Debug)]
pub struct Object {
    key: ObjectKey,
    /// None where this flavour lacks the kind.
    api: Option<Api<DynamicObject>>,
}

impl Object {
    /// An object of a kind that the operator knows.
    #[must_use]
    pub fn new(client: Client, key: ObjectKey) -> Self {
        let api = key
            .kind
            .api_resource(FLAVOUR)
            .map(|resource| match &key.namespace {
                Some(namespace) => Api::namespaced_with(client, namespace, &resource),
                None => Api::all_with(client, &resource),
            });
        Self { key, api }
    }

    /// Creates an object of any kind, as its manifest says. Its key is of no consequence where the
    /// operator does not know the kind.
    pub async fn create(client: Client, manifest: Value) -> Result<Self> {
        let object: DynamicObject = serde_json::from_value(manifest)?;
        let types = object.types.clone().context("a manifest without a kind")?;
        let kind = GroupVersionKind::try_from(&types)?;
        let (resource, capabilities) = pinned_kind(&client, &kind).await?;
        let name = object.metadata.name.clone().context("no name")?;
        let namespace = object.metadata.namespace.clone();
        let api = match (&capabilities.scope, &namespace) {
            (Scope::Namespaced, Some(namespace)) => {
                Api::namespaced_with(client, namespace, &resource)
            }
            _ => Api::all_with(client, &resource),
        };
        let known = Kind::ALL.into_iter().find(|kind| kind.name() == types.kind);
        let params = PostParams {
            field_manager: Some(MALLORY.to_owned()),
            ..PostParams::default()
        };
        api.create(&params, &object)
            .await
            .with_context(|| format!("failed to create {} {name}", types.kind))?;
        let key = ObjectKey {
            kind: known.unwrap_or(Kind::NetworkPolicy),
            namespace: namespace.map(Into::into),
            name: name.into(),
        };
        Ok(Self {
            key,
            api: Some(api),
        })
    }

    fn api(&self) -> Result<&Api<DynamicObject>> {
        let api = self.api.as_ref();
        api.with_context(|| format!("this cluster has no kind {}", self.key.kind))
    }

    /// Its kind, namespace and name.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The object, if it is there.
    pub async fn look(&self) -> Result<Option<Value>> {
        let found = self.api()?.get_opt(&self.key.name).await?;
        found
            .map(|object| serde_json::to_value(object).context("an object that is no JSON"))
            .transpose()
    }

    /// The object, which must be there.
    pub async fn read(&self) -> Result<Value> {
        let found = self.look().await?;
        found.with_context(|| format!("{} is not there", self.key))
    }

    /// What it says: all but what the API server and its controllers keep.
    pub async fn content(&self) -> Result<Value> {
        Ok(content(&self.read().await?))
    }

    /// A value in it, by JSON pointer; null where there is none.
    pub async fn at(&self, pointer: &str) -> Result<Value> {
        let object = self.read().await?;
        Ok(object.pointer(pointer).cloned().unwrap_or_default())
    }

    /// Its identity, which a new object of the same name does not have.
    pub async fn uid(&self) -> Result<Value> {
        self.at("/metadata/uid").await
    }

    /// Changes with each write.
    pub async fn version(&self) -> Result<Value> {
        self.at("/metadata/resourceVersion").await
    }

    /// Changes it by a merge patch.
    pub async fn merge(&self, patch: Value) -> Result<Value> {
        self.patch(&Patch::Merge(patch)).await
    }

    /// Changes it by a JSON patch of one operation.
    pub async fn change(&self, operation: Value) -> Result<Value> {
        let patch = serde_json::from_value(json!([operation]))?;
        self.patch(&Patch::Json(patch)).await
    }

    async fn patch(&self, patch: &Patch<Value>) -> Result<Value> {
        let params = PatchParams {
            field_manager: Some(MALLORY.to_owned()),
            ..PatchParams::default()
        };
        let patched = self.api()?.patch(&self.key.name, &params, patch).await;
        let patched = patched.with_context(|| format!("failed to change {}", self.key))?;
        Ok(serde_json::to_value(patched)?)
    }

    /// Takes a label off.
    pub async fn strip_label(&self, label: &str) -> Result<()> {
        let labels = json!({ label: null });
        self.merge(json!({"metadata": {"labels": labels}})).await?;
        Ok(())
    }

    /// Sets a label.
    pub async fn label(&self, label: &str, value: &str) -> Result<()> {
        let labels = json!({ label: value });
        self.merge(json!({"metadata": {"labels": labels}})).await?;
        Ok(())
    }

    /// Sets an annotation.
    pub async fn annotate(&self, annotation: &str, value: &str) -> Result<()> {
        let annotations = json!({ annotation: value });
        self.merge(json!({"metadata": {"annotations": annotations}}))
            .await?;
        Ok(())
    }

    /// Takes all labels off.
    pub async fn strip_all_labels(&self) -> Result<()> {
        let operation = json!({"op": "replace", "path": "/metadata/labels", "value": {}});
        self.change(operation).await?;
        Ok(())
    }

    /// Deletes it.
    pub async fn delete(&self) -> Result<()> {
        let deleted = self
            .api()?
            .delete(&self.key.name, &DeleteParams::default())
            .await;
        deleted.with_context(|| format!("failed to delete {}", self.key))?;
        Ok(())
    }

    /// Puts another object of the same name in its place, as the object itself with a merge patch
    /// applied. The operator may be quicker between deletion and creation: then once more.
    pub async fn swap(&self, amend: Value) -> Result<()> {
        let mut other = content(&self.read().await?);
        super::merge(&mut other, amend);
        let other: DynamicObject = serde_json::from_value(other)?;
        let params = PostParams {
            field_manager: Some(MALLORY.to_owned()),
            ..PostParams::default()
        };
        let what = format!("{} to be swapped", self.key);
        eventually(PATIENCE, &what, async || {
            match self
                .api()?
                .delete(&self.key.name, &DeleteParams::default())
                .await
            {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                deleted => drop(deleted?),
            }
            self.api()?.create(&params, &other).await?;
            Ok(Some(()))
        })
        .await
    }

    /// Waits until it is there, as a new object or the old.
    pub async fn appears(&self) -> Result<Value> {
        let what = format!("{} to be there", self.key);
        eventually(PATIENCE, &what, async || self.look().await).await
    }

    /// How long it may take to go, or to come back after it went.
    pub(super) fn patience(&self) -> Duration {
        match self.key.kind {
            Kind::Namespace => NAMESPACE_PATIENCE,
            _ => PATIENCE,
        }
    }

    /// Waits until it is gone.
    pub async fn vanishes(&self) -> Result<()> {
        let what = format!("{} to be gone", self.key);
        eventually(self.patience(), &what, async || {
            let found = self.look().await?;
            ensure!(found.is_none(), "it is there: {found:?}");
            Ok(Some(()))
        })
        .await
    }

    /// Waits until a value in it, by JSON pointer, is that; null means that there is none.
    pub async fn becomes(&self, pointer: &str, expected: Value) -> Result<()> {
        let what = format!("{pointer} of {} to be {expected}", self.key);
        eventually(PATIENCE, &what, async || {
            let found = self.at(pointer).await?;
            ensure!(found == expected, "it is {found}");
            Ok(Some(()))
        })
        .await
    }
}

/// What an object says: all but what the API server and its controllers keep.
pub(super) fn content(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| {
            ["name", "namespace", "labels", "annotations"].contains(&field.as_str())
        });
    }
    object
}
