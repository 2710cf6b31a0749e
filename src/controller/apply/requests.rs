//! How objects are asked for and changed.

use kube::api::{DynamicObject, Patch};
use kube::core::{Request, Resource};
use serde_json::{Value, json};

use super::write_error::WriteError;
use crate::controller::calico_metadata;
use crate::controller::kind::ObjectKey;
use crate::controller::rendered::Target;
use crate::domain::Flavour;

/// The request path of an object's kind.
pub(super) fn request(key: &ObjectKey, flavour: Flavour) -> Result<Request, WriteError> {
    let resource = key
        .kind
        .api_resource(flavour)
        .ok_or(WriteError::NoSuchKind)?;
    let path = DynamicObject::url_path(&resource, key.namespace.as_deref());
    Ok(Request::new(path))
}

/// Replaces the whole fields of an object and sets its labels, on condition of its version.
pub(super) fn fields_patch(
    target: &Target,
    found: Option<&Value>,
    resource_version: &str,
) -> Result<Patch<Value>, WriteError> {
    let mut operations = vec![json!({
        "op": "replace", "path": "/metadata/resourceVersion", "value": resource_version,
    })];
    let labels = found.and_then(|found| found.pointer("/metadata/labels"));
    if found.is_some_and(calico_metadata::is_there) {
        // The labels that Calico's API server keeps apart win over those on the object: they move to
        // the object, where the storage wants them.
        operations.push(json!({"op": "remove", "path": calico_metadata::POINTER}));
        operations.push(json!({"op": "add", "path": "/metadata/labels", "value": labels}));
    }
    if found.is_some() && labels.is_none() {
        operations.push(json!({"op": "add", "path": "/metadata/labels", "value": {}}));
    }
    let declared = target.object.unpack();
    let ours = declared.pointer("/metadata/labels");
    for key in target.key.kind.ownership_labels() {
        let path = format!(
            "/metadata/labels/{}",
            key.replace('~', "~0").replace('/', "~1")
        );
        match ours.and_then(|ours| ours.get(key)) {
            Some(value) => {
                operations.push(json!({"op": "add", "path": path, "value": value}));
            }
            // Somebody else says that it is another's.
            None if labels.is_some_and(|labels| labels.get(key).is_some()) => {
                operations.push(json!({"op": "remove", "path": path}));
            }
            None => {}
        }
    }
    for field in target.key.kind.whole_fields() {
        let path = format!("/{field}");
        match declared.get(*field) {
            Some(value) => operations.push(json!({"op": "add", "path": path, "value": value})),
            None if found.is_some_and(|found| found.get(*field).is_some()) => {
                operations.push(json!({"op": "remove", "path": path}));
            }
            None => {}
        }
    }
    let patch = serde_json::from_value(Value::Array(operations))
        .map_err(|error| WriteError::Refused(error.to_string()))?;
    Ok(Patch::Json(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::names::{MANAGED_BY, OWNER, PLATFORM};
    use crate::controller::compare::{Content, digest_of};
    use crate::controller::kind::Kind;
    use crate::controller::packed::Packed;

    /// What Calico's API server keeps in its annotation would win over what is written beside it.
    #[test]
    fn labels_move_out_of_calicos_annotation() {
        let annotation = json!({"labels": {"own": "x", OWNER: "other"}}).to_string();
        let stored = json!({
            "metadata": {"annotations": {"projectcalico.org/metadata": annotation}},
            "spec": {"order": 1},
        });
        let found = calico_metadata::with_labels(Kind::GlobalNetworkPolicy, stored);
        let object = json!({
            "metadata": {"labels": {OWNER: "shop", MANAGED_BY: "us"}}, "spec": {"order": 2},
        });
        let target = Target {
            key: "GlobalNetworkPolicy/default.a".parse().unwrap(),
            digest: digest_of(&object),
            object: Packed::from(&object),
        };
        let Patch::Json::<Value>(patch) = fields_patch(&target, Some(&found), "7").unwrap() else {
            panic!("another kind of patch");
        };
        let operations = serde_json::to_value(&patch).unwrap();
        let added = |path: &str| {
            let operations = operations.as_array().unwrap();
            let last = operations.iter().rfind(|one| one["path"] == path).unwrap();
            last.clone()
        };
        assert_eq!(added(calico_metadata::POINTER)["op"], "remove");
        let all = json!({"own": "x", OWNER: "other"});
        assert_eq!(added("/metadata/labels")["value"], all);
        let owner = format!("/metadata/labels/{}", OWNER.replace('/', "~1"));
        assert_eq!(added(&owner)["value"], "shop");
    }

    /// Otherwise it would count as another's from then on.
    #[test]
    fn a_label_of_another_owner_is_taken_off() {
        let found = json!({"metadata": {"labels": {OWNER: "shop", PLATFORM: "cluster"}}});
        let object = json!({"metadata": {"labels": {PLATFORM: "cluster", MANAGED_BY: "us"}}});
        let target = Target {
            key: "GlobalNetworkPolicy/default.a".parse().unwrap(),
            digest: digest_of(&object),
            object: Packed::from(&object),
        };
        assert_ne!(
            Content::digest_of(target.key.kind, &found),
            Content::digest_of(target.key.kind, &object)
        );
        let Patch::Json::<Value>(patch) = fields_patch(&target, Some(&found), "7").unwrap() else {
            panic!("another kind of patch");
        };
        let removed = json!({
            "op": "remove", "path": format!("/metadata/labels/{}", OWNER.replace('/', "~1")),
        });
        let operations = serde_json::to_value(&patch).unwrap();
        assert!(
            operations.as_array().unwrap().contains(&removed),
            "{operations}"
        );
    }
}
