//! How objects are asked for and changed.

use kube::api::{DynamicObject, Patch};
use kube::core::{ApiResource, Request, Resource};
use serde_json::{Map, Value, json};

use super::write_error::WriteError;
use crate::controller::calico_metadata;
use crate::controller::kind::{ObjectKey, OwnedFields};
use crate::controller::rendered::Target;

/// The request path of an object's kind, where it is served.
pub(super) fn request(
    key: &ObjectKey,
    resource: Option<&ApiResource>,
) -> Result<Request, WriteError> {
    let resource = resource.ok_or(WriteError::NoSuchKind)?;
    let path = DynamicObject::url_path(resource, key.namespace.as_deref());
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
    let kind = target.key.kind;
    let annotations = found.and_then(|found| found.pointer("/metadata/annotations"));
    if found.is_some() && annotations.is_none() && !kind.own_annotations().is_empty() {
        operations.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    }
    for (map, keys, there) in [
        ("labels", kind.ownership_labels(), labels),
        ("annotations", kind.own_annotations(), annotations),
    ] {
        let ours = declared.pointer(&format!("/metadata/{map}"));
        for key in keys {
            let path = format!("/metadata/{map}/{}", escaped(key));
            match ours.and_then(|ours| ours.get(key)) {
                Some(value) => {
                    operations.push(json!({"op": "add", "path": path, "value": value}));
                }
                // Somebody else says that it is another's.
                None if there.is_some_and(|there| there.get(key).is_some()) => {
                    operations.push(json!({"op": "remove", "path": path}));
                }
                None => {}
            }
        }
    }
    for field in kind.whole_fields() {
        let path = format!("/{field}");
        let there = found.and_then(|found| found.get(*field));
        let laid_over = match kind.owned_fields() {
            OwnedFields::Whole => None,
            of @ OwnedFields::Only(_) => of.laid_over(declared.get(*field), there),
        };
        match (
            laid_over.as_ref().or(declared.get(*field)),
            kind.left_after_creation(),
        ) {
            (Some(Value::Object(ours)), Some(left)) => {
                operations.extend(single_fields(&path, ours, there, left));
            }
            (Some(value), _) => {
                operations.push(json!({"op": "add", "path": path, "value": value}));
            }
            (None, _) if there.is_some() => {
                operations.push(json!({"op": "remove", "path": path}));
            }
            (None, _) => {}
        }
    }
    let patch = serde_json::from_value(Value::Array(operations))
        .map_err(|error| WriteError::Refused(error.to_string()))?;
    Ok(Patch::Json(patch))
}

/// Sets each field by itself, and takes away what is not declared; one is left as it is.
fn single_fields(
    path: &str,
    ours: &Map<String, Value>,
    there: Option<&Value>,
    left: &str,
) -> Vec<Value> {
    let set = ours.iter().filter(|(name, _)| *name != left);
    let set = set.map(|(name, value)| {
        json!({"op": "add", "path": format!("{path}/{}", escaped(name)), "value": value})
    });
    let there = there.and_then(Value::as_object).into_iter().flatten();
    let too_much = there.filter(|(name, _)| *name != left && !ours.contains_key(*name));
    let removed = too_much
        .map(|(name, _)| json!({"op": "remove", "path": format!("{path}/{}", escaped(name))}));
    set.chain(removed).collect()
}

/// A name in a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
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

    /// Whoever scales the nodes of a pool is not disturbed by what else changes.
    #[test]
    fn the_count_of_a_pool_is_left_alone() {
        let found = json!({"spec": {"count": 7, "minCount": 1, "maxCount": 9, "foreign": true}});
        let object = json!({
            "metadata": {
                "labels": {OWNER: "shop"},
                "annotations": {"serviceoperator.azure.com/reconcile-policy": "detach-on-delete"},
            },
            "spec": {"count": 2, "minCount": 2, "maxCount": 9},
        });
        let target = Target {
            key: "ManagedClustersAgentPool/azure/shop".parse().unwrap(),
            digest: digest_of(&object),
            object: Packed::from(&object),
        };
        let Patch::Json::<Value>(patch) = fields_patch(&target, Some(&found), "7").unwrap() else {
            panic!("another kind of patch");
        };
        let operations = serde_json::to_value(&patch).unwrap();
        let of = |path: &str| {
            let operations = operations.as_array().unwrap();
            let last = operations.iter().rfind(|one| one["path"] == path)?;
            Some((last["op"].clone(), last["value"].clone()))
        };
        assert_eq!(of("/spec"), None);
        assert_eq!(of("/spec/count"), None);
        assert_eq!(of("/spec/minCount"), Some((json!("add"), json!(2))));
        assert_eq!(of("/spec/foreign"), Some((json!("remove"), Value::Null)));
        let annotation = "/metadata/annotations/serviceoperator.azure.com~1reconcile-policy";
        let detach = (json!("add"), json!("detach-on-delete"));
        assert_eq!(of(annotation), Some(detach));

        let kind = target.key.kind;
        let mut scaled = object.clone();
        scaled["spec"]["count"] = json!(7);
        assert_eq!(
            Content::digest_of(kind, &scaled),
            Content::digest_of(kind, &object)
        );
        scaled["metadata"]["annotations"] = json!({});
        assert_ne!(
            Content::digest_of(kind, &scaled),
            Content::digest_of(kind, &object)
        );
    }
}
