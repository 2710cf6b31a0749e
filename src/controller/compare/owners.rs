//! Who wrote a field, read from managed fields.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::api::names::MANAGER;

/// The manager, other than the operator, that holds the field at `path` (as
/// [`super::Difference::managed_path`] writes it), by itself or as part of a value that is held
/// whole; the latest where several do.
#[must_use]
pub fn holder(object: &Value, path: &[String]) -> Option<String> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    entries
        .iter()
        .filter(|entry| entry.get("manager").and_then(Value::as_str) != Some(MANAGER))
        .filter(|entry| holds(entry.get("fieldsV1"), path))
        .filter_map(|entry| {
            let time = entry.get("time").and_then(Value::as_str).unwrap_or("");
            Some((time, entry.get("manager")?.as_str()?))
        })
        .max()
        .map(|(_, manager)| manager.to_owned())
}

fn holds(fields: Option<&Value>, path: &[String]) -> bool {
    let Some(mut fields) = fields else {
        return false;
    };
    for (depth, step) in path.iter().enumerate() {
        match fields.get(step) {
            Some(below) => fields = below,
            // A leaf holds everything below it: the value is atomic.
            None => return depth > 0 && fields.as_object().is_some_and(serde_json::Map::is_empty),
        }
    }
    true
}

/// The keys of `metadata.<map>` (labels or annotations) that the operator wrote and still holds.
#[must_use]
pub fn keys_held(object: &Value, map: &str) -> BTreeSet<String> {
    let entries = object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    entries
        .into_iter()
        .flatten()
        .filter(|entry| entry.get("manager").and_then(Value::as_str) == Some(MANAGER))
        .filter_map(|entry| {
            entry
                .get("fieldsV1")?
                .get("f:metadata")?
                .get(format!("f:{map}"))?
                .as_object()
        })
        .flat_map(|keys| keys.keys())
        .filter_map(|key| key.strip_prefix("f:").map(str::to_owned))
        .collect()
}
