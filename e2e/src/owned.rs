//! What a landing zone is made of in a cluster, beside what the command line renders without one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use kube::{Api, Client};
use landing_zone_operator::api::names::OWNER;
use serde_json::Value;

use crate::binaries::{OperatorBinaries, Profile};
use crate::process::{command_that_dies_with_us, spawn};
use crate::workspace;

/// Every kind that carries the ownership label, in whatever API serves it: group, version, kind and plural.
pub(crate) const KINDS: [(&str, &str, &str, &str); 9] = [
    (
        "crd.projectcalico.org",
        "v1",
        "GlobalNetworkPolicy",
        "globalnetworkpolicies",
    ),
    (
        "projectcalico.org",
        "v3",
        "GlobalNetworkPolicy",
        "globalnetworkpolicies",
    ),
    ("", "v1", "Namespace", "namespaces"),
    ("", "v1", "ResourceQuota", "resourcequotas"),
    ("", "v1", "LimitRange", "limitranges"),
    (
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
        "networkpolicies",
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "RoleBinding",
        "rolebindings",
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRole",
        "clusterroles",
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
    ),
];

/// Objects by apiVersion, kind, namespace and name.
pub type Objects = BTreeMap<String, Value>;

/// The file of the sample landing zone `application2`.
#[must_use]
pub fn sample_file() -> PathBuf {
    workspace::root().join("config/samples/application2.yaml")
}

/// The spec of the sample landing zone `application2`.
pub fn sample_spec() -> Result<Value> {
    let sample = crate::install::read_manifests(&sample_file())?;
    let zone = sample.first().context("the sample is empty")?;
    zone.data
        .get("spec")
        .cloned()
        .context("the sample has no spec")
}

/// Everything in the cluster that carries the ownership label of a landing zone.
pub async fn owned_by(client: &Client, zone: &str) -> Result<Objects> {
    let mut objects = Objects::new();
    let labelled = ListParams::default().labels(&format!("{OWNER}={zone}"));
    for (group, version, kind, plural) in KINDS {
        let kind = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let found = match api.list(&labelled).await {
            Ok(found) => found.items,
            // A group that nobody serves is answered in plain text, without a reason.
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("failed to list {plural}.{group}"));
            }
        };
        for mut object in found {
            // Items of a list do not say what they are.
            object.types = Some(TypeMeta {
                api_version: resource.api_version.clone(),
                kind: resource.kind.clone(),
            });
            let object = serde_json::to_value(object)?;
            objects.insert(key(&object)?, object);
        }
    }
    Ok(objects)
}

/// What `kubectl landingzone render` prints for the sample; tiers, which belong to no landing zone,
/// are returned beside it.
pub async fn rendered(file: &Path, flags: &[&str]) -> Result<(Objects, Objects)> {
    let binaries = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test))
        .await
        .context("the build of the plugin was cut off")??;
    let mut command = command_that_dies_with_us(&binaries.plugin);
    command
        .args(["render", "-f"])
        .arg(file)
        .args(flags)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = spawn(command).context("failed to start the plugin")?;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output())
        .await
        .context("the plugin was cut off")??;
    ensure!(
        output.status.success(),
        "render {flags:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let objects = crate::install::parse_manifests(&String::from_utf8(output.stdout)?)?;
    let (mut zone, mut tiers) = (Objects::new(), Objects::new());
    for object in objects {
        let object = serde_json::to_value(object)?;
        let of = if object["kind"] == "Tier" {
            &mut tiers
        } else {
            &mut zone
        };
        of.insert(key(&object)?, object);
    }
    Ok((zone, tiers))
}

fn key(object: &Value) -> Result<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (Some(version), Some(kind), Some(name)) =
        (text("/apiVersion"), text("/kind"), text("/metadata/name"))
    else {
        bail!("no object: {object}");
    };
    let namespace = text("/metadata/namespace").unwrap_or_default();
    Ok(format!("{version} {kind} {namespace}/{name}"))
}

/// Fails unless both hold the same objects, and each field that is declared is stored as declared.
pub fn ensure_stored(declared: &Objects, stored: &Objects) -> Result<()> {
    let names = |objects: &Objects| -> BTreeSet<String> { objects.keys().cloned().collect() };
    let (ours, theirs) = (names(declared), names(stored));
    let missing: Vec<_> = ours.difference(&theirs).collect();
    let too_many: Vec<_> = theirs.difference(&ours).collect();
    ensure!(
        missing.is_empty() && too_many.is_empty(),
        "rendered and not in the cluster: {missing:#?}; in the cluster and not rendered: {too_many:#?}"
    );
    for (key, declared) in declared {
        ensure_contains(declared, &stored[key], key)?;
    }
    Ok(())
}

/// Fails unless each field of `declared` is in `stored` with the same value. Lists are whole.
fn ensure_contains(declared: &Value, stored: &Value, at: &str) -> Result<()> {
    match (declared, stored) {
        (Value::Object(declared), Value::Object(stored)) => {
            declared.iter().try_for_each(|(field, value)| {
                let at = format!("{at} {field}");
                let stored = stored
                    .get(field)
                    .with_context(|| format!("{at} is not stored"))?;
                ensure_contains(value, stored, &at)
            })
        }
        (Value::Array(declared), Value::Array(stored)) if declared.len() == stored.len() => {
            let both = declared.iter().zip(stored).enumerate();
            both.into_iter()
                .try_for_each(|(index, (declared, stored))| {
                    ensure_contains(declared, stored, &format!("{at} {index}"))
                })
        }
        (declared, stored) => {
            ensure!(
                declared == stored,
                "{at} is stored as {stored}, declared {declared}"
            );
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn objects(spec: &Value) -> Objects {
        Objects::from([("one".to_owned(), json!({"spec": spec}))])
    }

    #[test]
    fn what_the_server_fills_in_is_no_difference() {
        let stored = objects(&json!({"pods": "5", "filled": 1}));
        ensure_stored(&objects(&json!({"pods": "5"})), &stored).unwrap();
        assert!(ensure_stored(&objects(&json!({"pods": "6"})), &stored).is_err());
        assert!(ensure_stored(&objects(&json!({"cpu": "1"})), &stored).is_err());
        assert!(ensure_stored(&Objects::new(), &stored).is_err());
    }
}
