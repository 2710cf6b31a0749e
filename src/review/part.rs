//! What is judged of an object of a cluster.

use kube::core::DynamicObject;
use serde_json::{Map, Value, json};

use super::landscape::{STORED, is_stored_oddly, labels_in_storage};

/// What is judged of an object, as JSON that `Object::read` takes: name, namespace, labels and spec. Labels that
/// Calico's API server has put away into an annotation are where it would show them. Waivers do not count in the
/// cluster: whoever may write the policy may write the waiver.
#[must_use]
pub fn judged_part(api_version: &str, kind: &str, object: &DynamicObject) -> Value {
    let metadata = &object.metadata;
    let mut labels = metadata.labels.clone();
    if !api_version.starts_with("networking.k8s.io/") {
        let stored = labels_in_storage(metadata);
        if !stored.is_empty() {
            labels.get_or_insert_default().extend(stored);
        }
    }
    let mut shown = Map::new();
    // Where readers may differ about what is put away, that is what has to be told.
    let odd = metadata
        .annotations
        .as_ref()
        .filter(|_| is_stored_oddly(metadata));
    let odd = odd
        .and_then(|it| it.get(STORED))
        .map(|text| json!({STORED: text}));
    for (key, value) in [
        ("name", json!(metadata.name)),
        ("namespace", json!(metadata.namespace)),
        ("labels", json!(labels)),
        ("annotations", json!(odd)),
    ] {
        if !value.is_null() {
            shown.insert(key.to_owned(), value);
        }
    }
    let mut part = Map::new();
    part.insert("apiVersion".to_owned(), json!(api_version));
    part.insert("kind".to_owned(), json!(kind));
    part.insert("metadata".to_owned(), Value::Object(shown));
    if let Some(spec) = object.data.get("spec") {
        part.insert("spec".to_owned(), spec.clone());
    }
    Value::Object(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_calico_hides_count_and_waivers_do_not() {
        // Whatever else stands beside the labels.
        for beside in [json!(null), json!(7)] {
            let hidden =
                json!({"labels": {"pcns.landingzones.dev/landing-zone": "shop"}, "uid": beside});
            let set = json!({
                "metadata": {
                    "name": "set", "namespace": "shop-web",
                    "annotations": {
                        "projectcalico.org/metadata": hidden.to_string(),
                        "landingzones.dev/waive": "network-set-inside: needed",
                    },
                },
                "spec": {"nets": ["203.0.113.7/32"]},
            });
            let set: DynamicObject = serde_json::from_value(set).unwrap();
            let expected = json!({
                "apiVersion": "crd.projectcalico.org/v1",
                "kind": "NetworkSet",
                "metadata": {
                    "name": "set",
                    "namespace": "shop-web",
                    "labels": {"pcns.landingzones.dev/landing-zone": "shop"},
                },
                "spec": {"nets": ["203.0.113.7/32"]},
            });
            let part = judged_part("crd.projectcalico.org/v1", "NetworkSet", &set);
            assert_eq!(part, expected);
        }
    }

    #[test]
    fn kubernetes_own_policies_hide_nothing() {
        let policy = json!({
            "metadata": {"name": "a", "annotations": {"projectcalico.org/metadata": "{\"labels\": {\"a\": \"1\"}}"}},
        });
        let policy: DynamicObject = serde_json::from_value(policy).unwrap();
        let part = judged_part("networking.k8s.io/v1", "NetworkPolicy", &policy);
        assert_eq!(part["metadata"], json!({"name": "a"}));
    }
}
