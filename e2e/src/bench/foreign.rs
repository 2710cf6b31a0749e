//! What somebody else writes to the operator's objects, one at a time or in a storm.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use super::bare::{Write, plural};
use super::figures::count;
use crate::audit::Event;

/// How long a storm takes to come in.
const STORM: Duration = Duration::from_secs(10);
/// Writes of a storm that may be under way at once.
const IN_A_STORM: usize = 256;

/// A write of somebody else, and the bare client's answer to it.
pub(super) struct Foreign {
    pub key: Key,
    pub change: Write,
    pub answer: Write,
}

/// Foreign writes: each to another object, of each kind in turn.
pub(super) fn foreign_writes(objects: &[Value], wanted: usize) -> Result<Vec<Foreign>> {
    let mut by_kind: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or_default();
        by_kind.entry(kind).or_default().push(object);
    }
    let longest = by_kind.values().map(Vec::len).max().unwrap_or_default();
    let kinds: Vec<_> = by_kind.into_values().collect();
    let mut foreign = Vec::new();
    for object in
        (0..longest).flat_map(|place| kinds.iter().filter_map(move |kind| kind.get(place)))
    {
        if let Some(patch) = foreign_change(object) {
            foreign.push(Foreign {
                key: Key::of(object)?,
                change: Write::merge(object, &patch)?,
                answer: Write::apply(object)?,
            });
        }
        if foreign.len() == wanted {
            break;
        }
    }
    Ok(foreign)
}

/// What somebody else would change about an object, by a merge patch; nothing where nobody would.
fn foreign_change(object: &Value) -> Option<Value> {
    Some(match object["kind"].as_str()? {
        "Namespace" => json!({"metadata": {"labels": {"applicationcode": "somebody"}}}),
        "LimitRange" => {
            json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "9"}}]}})
        }
        "ClusterRole" => json!({"rules": []}),
        "ResourceQuota" => json!({"spec": {"hard": {"pods": "51"}}}),
        "GlobalNetworkPolicy" => json!({"spec": {"order": 999}}),
        "RoleBinding" => json!({"subjects": []}),
        _ => return None,
    })
}

/// Does something with each at a steady pace, all within the time of a storm where the server keeps up, and waits for it.
pub(super) async fn paced(
    all: &[Foreign],
    work: impl AsyncFn(&Foreign) -> Result<()>,
) -> Result<()> {
    let started = tokio::time::Instant::now();
    let pace = STORM.div_f64(count(all.len()));
    let work = &work;
    stream::iter(all.iter().enumerate())
        .map(|(place, item)| async move {
            tokio::time::sleep_until(started + pace.mul_f64(count(place))).await;
            work(item).await
        })
        .buffer_unordered(IN_A_STORM)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await
}

/// An object, as the audit log names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    resource: String,
    namespace: String,
    name: String,
}

impl Key {
    fn of(object: &Value) -> Result<Self> {
        let text = |pointer: &str| {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let resource = plural(object)?.to_owned();
        let name = text("/metadata/name");
        // The API server says of a namespace that it lies in itself.
        let namespace = if resource == "namespaces" {
            name.clone()
        } else {
            text("/metadata/namespace")
        };
        Ok(Self {
            resource,
            namespace,
            name,
        })
    }

    pub fn of_event(event: &Event) -> Self {
        Self {
            resource: event.resource.clone(),
            namespace: event.namespace.clone(),
            name: event.name.clone(),
        }
    }
}
