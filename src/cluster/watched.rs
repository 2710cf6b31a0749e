//! An object as a watch sends it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::{ApiResource, DynamicObject, DynamicResourceScope};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// The annotation in which kubectl keeps a configuration: it is as large as the object, and nobody needs it here.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object of any kind as one tree of values, read once. (kube's `DynamicObject` takes an object apart by way of
/// `serde(flatten)`, which builds it twice, and whoever compares the whole has to put it together again.)
///
/// As a [`Resource`] it knows its name, namespace, UID and resource version; all else is in the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    meta: ObjectMeta,
    tree: Value,
}

impl Watched {
    /// The whole object.
    #[must_use]
    pub fn tree(&self) -> &Value {
        &self.tree
    }

    /// The same, without a copy.
    #[must_use]
    pub fn into_tree(self) -> Value {
        self.tree
    }

    /// What a review reads of it: name, namespace, labels, annotations, and the spec.
    #[must_use]
    pub fn shown(&self) -> DynamicObject {
        let texts = |field: &str| -> Option<BTreeMap<String, String>> {
            let texts = self.tree.get("metadata")?.get(field)?;
            BTreeMap::deserialize(texts).ok()
        };
        let metadata = ObjectMeta {
            labels: texts("labels"),
            annotations: texts("annotations"),
            ..self.meta.clone()
        };
        let spec = self.tree.get("spec");
        DynamicObject {
            types: None,
            metadata,
            data: spec.map_or(json!({}), |spec| json!({"spec": spec})),
        }
    }

    /// Leaves nothing but the metadata.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        if let Some(fields) = self.tree.as_object_mut() {
            fields.retain(|field, _| field == "metadata");
        }
        self
    }
}

impl From<Value> for Watched {
    fn from(mut tree: Value) -> Self {
        let text = |field: &str| Some(tree.get("metadata")?.get(field)?.as_str()?.to_owned());
        let meta = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        let annotations = tree.pointer_mut("/metadata/annotations");
        if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
        Self { meta, tree }
    }
}

impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

impl Resource for Watched {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;

    use super::*;

    #[test]
    fn an_object_is_read_as_it_is_but_for_what_kubectl_keeps() {
        let object = json!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {
                "name": "a", "namespace": "b", "uid": "c", "resourceVersion": "7", "labels": {"d": "e"},
                "annotations": {LAST_APPLIED: "{}", "f": "g"},
            },
            "spec": {"hard": {"pods": "1"}},
        });
        let text = object.to_string();
        let watched: Watched = serde_json::from_str(&text).unwrap();
        let meta = watched.meta();
        assert_eq!(
            (watched.name_any(), watched.namespace()),
            ("a".into(), Some("b".into()))
        );
        assert_eq!(
            (meta.uid.as_deref(), meta.resource_version.as_deref()),
            (Some("c"), Some("7"))
        );
        let mut expected = object;
        expected["metadata"]["annotations"] = json!({"f": "g"});
        assert_eq!(watched.tree(), &expected);
        let metadata = watched.without_content().into_tree();
        assert_eq!(metadata, json!({"metadata": expected["metadata"]}));
    }

    #[test]
    fn what_is_no_object_is_nobody() {
        for odd in [
            json!(null),
            json!([]),
            json!({"metadata": 1}),
            json!({"metadata": {"name": 1}}),
        ] {
            assert_eq!(Watched::from(odd).meta(), &ObjectMeta::default());
        }
    }
}
