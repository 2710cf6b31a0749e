//! Where Calico's API server keeps the labels of its objects. Pure.
//!
//! It stores them in an annotation and leaves the object itself without them. Whoever looks at the
//! storage directly has to look there, or would take what is ours for somebody else's.

use serde_json::{Map, Value};

use super::kind::Kind;

/// The annotation that holds the metadata, as JSON. Calico's API server hides it.
pub const POINTER: &str = "/metadata/annotations/projectcalico.org~1metadata";

/// Whether Calico's API server wrote the object, which was read from the storage.
#[must_use]
pub fn is_there(object: &Value) -> bool {
    object.pointer(POINTER).is_some()
}

/// The labels that Calico's API server put away.
#[must_use]
pub fn labels(object: &Value) -> Option<Map<String, Value>> {
    let text = object.pointer(POINTER)?.as_str()?;
    let mut metadata: Value = serde_json::from_str(text).ok()?;
    match metadata.get_mut("labels")?.take() {
        Value::Object(labels) => Some(labels),
        _ => None,
    }
}

/// An object with the labels that Calico's API server would show: those in the annotation win.
#[must_use]
pub fn with_labels(kind: Kind, mut object: Value) -> Value {
    if !kind.is_calico_policy() && kind != Kind::Tier {
        return object;
    }
    let Some(kept) = labels(&object) else {
        return object;
    };
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let labels = metadata
            .entry("labels")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(labels) = labels.as_object_mut() {
            labels.extend(kept);
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ANNOTATION: &str = "projectcalico.org/metadata";

    #[test]
    fn labels_in_the_annotation_win() {
        let metadata = json!({"labels": {"a": "1", "b": "2"}, "creationTimestamp": null});
        let object = json!({"metadata": {
            "labels": {"b": "3", "c": "4"},
            "annotations": {ANNOTATION: metadata.to_string()},
        }});
        assert!(is_there(&object));
        let shown = with_labels(Kind::GlobalNetworkPolicy, object.clone());
        let labels = json!({"a": "1", "b": "2", "c": "4"});
        assert_eq!(shown["metadata"]["labels"], labels);
        assert_eq!(with_labels(Kind::ResourceQuota, object.clone()), object);
    }

    #[test]
    fn what_is_no_metadata_changes_nothing() {
        for text in ["", "[]", "{}", "{\"labels\": null}"] {
            let object = json!({"metadata": {"annotations": {ANNOTATION: text}}});
            assert_eq!(with_labels(Kind::Tier, object.clone()), object);
        }
    }
}
