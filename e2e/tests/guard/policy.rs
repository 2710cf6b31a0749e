//! Policies that teams write, and where they are.

use anyhow::Result;
use kube::Api;
use kube::Client;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

pub const CALICO: &str = "crd.projectcalico.org/v1";
pub const KUBERNETES: &str = "networking.k8s.io/v1";

/// Objects of a kind in a namespace; in none, those of the whole cluster.
pub fn api(
    client: Client,
    api_version: &str,
    kind: &str,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let plural = match kind {
        policy if policy.ends_with("Policy") => {
            policy.to_lowercase().trim_end_matches('y').to_owned() + "ies"
        }
        other => other.to_lowercase() + "s",
    };
    let kind = GroupVersionKind::gvk(group, version, kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

/// An object of any kind.
pub fn object(api_version: &str, kind: &str, name: &str, spec: &Value) -> Result<DynamicObject> {
    let whole = json!({
        "apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    Ok(serde_json::from_value(whole)?)
}

/// A spec of Calico that lets pods reach the namespaces that a selector means.
pub fn towards(namespaces: &str) -> Value {
    json!({
        "order": 1000,
        "selector": "all()",
        "types": ["Egress"],
        "egress": [{"action": "Allow", "destination": {"namespaceSelector": namespaces}}],
    })
}
