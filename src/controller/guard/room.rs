//! What is kept of an object that is too large, and what is read again once there is room.

use kube::Api;
use kube::api::ListParams;
use serde_json::{Map, Value, json};

use super::{LARGEST, LARGEST_NAMESPACE, State};
use crate::cluster::{Watched, failure};
use crate::controller::context::Context;
use crate::controller::others::{Key, Source};
use crate::domain::Flavour;
use crate::review::CALICOS_PREFIXES;

/// The longest text that is kept of such an object, and how much its labels may be in all, in bytes.
const LONGEST: usize = 4 * 1024;
/// So many are read again at once: each may be as large as the API server takes.
const AT_ONCE: usize = 16;
/// What a policy selects, in which tier and when: all that decides whom it concerns.
const OF_POLICIES: [&str; 6] = [
    "selector",
    "namespaceSelector",
    "serviceAccountSelector",
    "tier",
    "order",
    "types",
];

/// What is kept of an object that is not kept whole: of a network set, its labels and every address; of a policy, what
/// it selects. Few kilobytes at most.
pub(super) fn reduced(source: Source, object: &Value) -> Value {
    let metadata = |field: &str| object.pointer(&format!("/metadata/{field}"));
    let spec = if source.is_set() {
        json!({"nets": ["0.0.0.0/0", "::/0"]})
    } else {
        let fields = OF_POLICIES.into_iter().filter_map(|field| {
            let value = object.get("spec")?.get(field)?;
            (value.to_string().len() <= LONGEST).then(|| (field.to_owned(), value.clone()))
        });
        Value::Object(fields.collect())
    };
    json!({
        "apiVersion": object.get("apiVersion"),
        "kind": object.get("kind"),
        "metadata": {
            "name": metadata("name"),
            "namespace": metadata("namespace"),
            "labels": labels(metadata("labels")),
        },
        "spec": spec,
    })
}

/// Labels up to the limit; those that only Calico gives before others.
fn labels(written: Option<&Value>) -> Value {
    let all = written.and_then(Value::as_object);
    let mut all: Vec<_> = all.into_iter().flatten().collect();
    all.sort_by_key(|(key, _)| !CALICOS_PREFIXES.iter().any(|it| key.starts_with(it)));
    let mut kept = Map::new();
    let mut size = 0;
    for (key, value) in all {
        let length = key.len() + value.to_string().len();
        if size + length <= LONGEST {
            size += length;
            kept.insert(key.clone(), value.clone());
        }
    }
    Value::Object(kept)
}

impl State {
    /// What was not kept for want of room, and would be now; with the moment at which it was taken in.
    pub(super) fn fits_now(&self) -> Vec<(Key, u64)> {
        let fitting = self.written.iter().filter(|(key, written)| {
            let size = written.size;
            !written.is_whole
                && size <= LARGEST
                && self.kept_in(key.1.as_deref()) + size <= LARGEST_NAMESPACE
        });
        let fitting = fitting.map(|(key, written)| (key.clone(), written.taken_in));
        fitting.take(AT_ONCE).collect()
    }
}

/// Reads again what was not kept for want of room. Whether something is left that could not be read.
pub(super) async fn read_again(context: &Context, flavour: Flavour) -> bool {
    let missing = context.guard.lock().fits_now();
    let mut has_failed = false;
    for (key, taken_in) in missing {
        let (source, Some(namespace), name) = &key else {
            continue;
        };
        let resource = source.resource(flavour);
        let api = Api::<Watched>::namespaced_with(context.client.clone(), namespace, &resource);
        // A list, since that is the right that the watch needs, too.
        let params = ListParams::default().fields(&format!("metadata.name={name}"));
        let listed = match api.list(&params).await {
            Ok(listed) => listed.items.into_iter().next(),
            Err(error) => {
                let error = failure(&error);
                tracing::warn!(error, name, namespace, "failed to read what has room now");
                has_failed = true;
                continue;
            }
        };
        if let Some(object) = listed {
            context.guard.saw_again(&key, taken_in, flavour, &object);
        }
    }
    has_failed
}
