//! What the operator asks of the API server in all tests, held against what it is granted.
//!
//! Each cluster leaves the calls of its operators behind when it is stopped, in a file of its test target. A later test
//! reads them all.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::api::DynamicObject;
use serde::{Deserialize, Serialize};

use crate::audit::Event;
use crate::operator::OPERATOR_USER;
use crate::workspace;

/// The folders of `config/` that grant the operator something.
pub const GRANTING: [&str; 6] = [
    "azure",
    "eviction",
    "guard",
    "karpenter",
    "namespace-deletion",
    "rbac",
];

/// What somebody asked for, as rules of RBAC see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    /// The group of the API; empty for the core.
    pub group: String,
    /// With the subresource behind a slash, where there is one.
    pub resource: String,
    /// Such as `patch`.
    pub verb: String,
    /// Empty where the whole cluster is meant.
    pub namespace: String,
    /// Empty where one object is not meant.
    pub name: String,
}

/// One right: a verb on a resource, in a namespace or everywhere, on one object or all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The role that grants it.
    pub role: String,
    /// The namespace of the role; None where it is for the whole cluster.
    pub namespace: Option<String>,
    /// The group of the API.
    pub group: String,
    /// With the subresource behind a slash, where there is one.
    pub resource: String,
    /// Such as `patch`.
    pub verb: String,
    /// The only object it is about, where it is about one; it may end in `*`, as Calico reads it.
    pub name: Option<String>,
}

impl Right {
    /// All rights that roles grant, apart.
    ///
    /// # Errors
    /// Where a role cannot be read.
    pub fn of(manifests: &[DynamicObject]) -> Result<BTreeSet<Self>> {
        let mut rights = BTreeSet::new();
        for object in manifests {
            let kind = object.types.as_ref().map(|it| it.kind.as_str());
            let (role, rules) = match kind {
                Some("ClusterRole") => {
                    let role: ClusterRole = object.clone().try_parse()?;
                    (role.metadata, role.rules.unwrap_or_default())
                }
                Some("Role") => {
                    let role: Role = object.clone().try_parse()?;
                    (role.metadata, role.rules.unwrap_or_default())
                }
                _ => continue,
            };
            let name = role.name.context("a role without a name")?;
            for rule in &rules {
                rights.extend(apart(&name, role.namespace.as_deref(), rule));
            }
        }
        Ok(rights)
    }

    /// Whether it grants a call.
    #[must_use]
    pub fn grants(&self, call: &Call) -> bool {
        let namespace = self.namespace.as_ref();
        let name = self.name.as_ref();
        self.group == call.group
            && self.resource == call.resource
            && self.verb == call.verb
            && namespace.is_none_or(|it| *it == call.namespace)
            && name.is_none_or(|it| *it == call.name)
    }
}

fn apart(role: &str, namespace: Option<&str>, granted: &PolicyRule) -> Vec<Right> {
    let some = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let names = some(&granted.resource_names);
    let names: Vec<Option<String>> = if names.is_empty() {
        vec![None]
    } else {
        names.into_iter().map(Some).collect()
    };
    let mut rights = Vec::new();
    for group in some(&granted.api_groups) {
        for resource in some(&granted.resources) {
            for verb in &granted.verbs {
                rights.extend(names.iter().map(|name| Right {
                    role: role.to_owned(),
                    namespace: namespace.map(str::to_owned),
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                    name: name.clone(),
                }));
            }
        }
    }
    rights
}

impl From<Event> for Call {
    fn from(event: Event) -> Self {
        let resource = if event.subresource.is_empty() {
            event.resource
        } else {
            format!("{}/{}", event.resource, event.subresource)
        };
        // The audit log has an object's namespace even where the object is the namespace itself.
        let is_namespace = event.api_group.is_empty() && resource == "namespaces";
        Self {
            group: event.api_group,
            namespace: if is_namespace {
                String::new()
            } else {
                event.namespace
            },
            resource,
            verb: event.verb,
            name: event.name,
        }
    }
}

/// Keeps what operators asked for in a cluster, before its audit log goes.
pub(crate) fn keep(audit_log: &Path) -> Result<()> {
    static KEPT: Mutex<Option<BTreeSet<Call>>> = Mutex::new(None);
    let file = match fs::File::open(audit_log) {
        Ok(file) => file,
        // Not every cluster has one.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context("failed to open the audit log"),
    };
    let mut calls = BTreeSet::new();
    for line in BufReader::new(file).lines() {
        let line = line.context("failed to read the audit log")?;
        if !line.contains(OPERATOR_USER) {
            continue;
        }
        // The last line may have been under way.
        let Ok(event) = Event::read(line.as_bytes()) else {
            continue;
        };
        // It asks for pods in a dry run itself; whoever else asks so is a test that holds its token.
        if event.request_uri.contains("dryRun=All") && event.resource != "pods" {
            continue;
        }
        // What is no resource, such as /version, everybody may ask for.
        if event.user == OPERATOR_USER && !event.resource.is_empty() {
            calls.insert(Call::from(event));
        }
    }
    if calls.is_empty() {
        return Ok(());
    }
    let mut kept = KEPT
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    kept.extend(calls);
    let file = folder().join(format!("{}.json", target()?));
    fs::create_dir_all(folder())?;
    let text = serde_json::to_string(kept)?;
    fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))
}

/// What operators asked for, by the test target in which they did.
///
/// # Errors
/// Where what was kept cannot be read.
pub fn kept() -> Result<Vec<(String, BTreeSet<Call>)>> {
    let mut all = Vec::new();
    let Ok(entries) = fs::read_dir(folder()) else {
        return Ok(all);
    };
    for entry in entries {
        let path = entry?.path();
        let target = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read(&path).context("failed to read what was kept")?;
        all.push((target.into_owned(), serde_json::from_slice(&text)?));
    }
    Ok(all)
}

fn folder() -> PathBuf {
    workspace::state().join("calls")
}

/// The name of this executable, without what Cargo adds.
fn target() -> Result<String> {
    let executable = std::env::current_exe().context("this executable has no path")?;
    let name = executable.file_stem().unwrap_or_default().to_string_lossy();
    let target = name.rsplit_once('-').map_or(&*name, |(target, _)| target);
    Ok(target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(resource: &str, verb: &str, namespace: &str, name: &str) -> Call {
        Call {
            group: String::new(),
            resource: resource.to_owned(),
            verb: verb.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_right_is_about_what_its_rule_says() {
        let manifests = crate::install::parse_manifests(
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: keeper, namespace: system}, rules: [
              {apiGroups: [''], resources: [secrets], resourceNames: [a, b], verbs: [get, patch]},
              {apiGroups: [''], resources: [pods/eviction], verbs: [create]}]}",
        );
        let rights = Right::of(&manifests.unwrap()).unwrap();
        assert_eq!(rights.len(), 5);
        let is_granted = |call: Call| rights.iter().any(|right| right.grants(&call));
        assert!(is_granted(call("secrets", "get", "system", "a")));
        assert!(is_granted(call("pods/eviction", "create", "system", "p")));
        assert!(!is_granted(call("secrets", "get", "system", "c")));
        assert!(!is_granted(call("secrets", "get", "other", "a")));
        assert!(!is_granted(call("secrets", "delete", "system", "a")));
        assert!(!is_granted(call("pods", "create", "system", "p")));
    }
}
