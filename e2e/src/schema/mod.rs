//! Definitions of kinds from one release to the next: whether what is stored under an older one survives a newer one.
//!
//! Pure, but for [`released`] and [`current`], which read files of the workspace.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::install::read_manifests;
use crate::workspace;

pub mod compare;
pub mod fields;

/// The version from which upgrades are tried: a folder of `e2e/released`.
pub const RELEASED: &str = "0.1.0";

/// Rules that were changed so that they refuse less than before, which no comparison of words can see: the path of the field, as
/// [`compare::incompatible`] names it after definition and version, and the new rule. Each with a comment that says why it refuses less.
pub const RELAXED: &[(&str, &str)] = &[
    // About a field that nothing stored has.
    (
        "spec.network.egress[]",
        "!has(self.to.fqdns) || !has(self.ports) || self.ports.all(p, p.protocol == 'TCP' && !has(p.endPort) && p.port <= 64000)",
    ),
    // One more kind of peer may be named.
    (
        "spec.network.egress[].to",
        "[has(self.landingZone), has(self.cidrs), has(self.fqdns), has(self.destination), has(self.apiServer)].filter(it, it).size() == 1",
    ),
];

/// The definitions of the release that upgrades are tried from.
pub fn released() -> Result<Vec<DynamicObject>> {
    read_manifests(&released_folder().join("crds"))
}

/// Objects of that release in which every field is filled.
pub fn released_objects() -> Result<Vec<DynamicObject>> {
    read_manifests(&released_folder().join("objects"))
}

/// The definitions as they are now.
pub fn current() -> Result<Vec<DynamicObject>> {
    read_manifests(&workspace::root().join("crds"))
}

fn released_folder() -> PathBuf {
    workspace::root().join("e2e/released").join(RELEASED)
}

/// The definition among others that has the same name.
pub fn same_as<'a>(
    definition: &DynamicObject,
    others: &'a [DynamicObject],
) -> Result<&'a DynamicObject> {
    let name = definition.name_any();
    let found = others.iter().find(|other| other.name_any() == name);
    found.with_context(|| format!("the definition {name} is gone"))
}

/// The schema of the version that a definition stores.
pub fn stored_schema(definition: &DynamicObject) -> Result<&Value> {
    let versions = definition.data["spec"]["versions"].as_array();
    let stored = versions
        .into_iter()
        .flatten()
        .find(|version| version["storage"] == Value::Bool(true))
        .with_context(|| format!("{} stores no version", definition.name_any()))?;
    let schema = &stored["schema"]["openAPIV3Schema"];
    ensure!(
        schema.is_object(),
        "{} has no schema",
        definition.name_any()
    );
    Ok(schema)
}

#[cfg(test)]
mod tests;
