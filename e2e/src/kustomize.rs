//! What kustomize makes of `config/`, and of overlays on it as users write them.

use std::fs;
use std::path::{Component, Path};

use anyhow::{Context, Result, ensure};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::install::parse_manifests;
use crate::process::command_that_dies_with_us;
use crate::workspace;

/// A kustomization of somebody who uses ours.
#[derive(Clone, Debug, Default)]
pub struct Overlay<'a> {
    /// Folders of the workspace, as its resources.
    pub resources: &'a [&'a str],
    /// Folders of the workspace, as its components.
    pub components: &'a [&'a str],
    /// Its patches, each with its target, as in a kustomization.
    pub patches: Vec<Value>,
}

impl Overlay<'_> {
    /// Writes it into a folder, and renders it with this kubectl.
    ///
    /// # Errors
    /// What kustomize says against it.
    pub fn build(&self, kubectl: &Path, folder: &Path) -> Result<Vec<DynamicObject>> {
        fs::create_dir_all(folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        let folder = fs::canonicalize(folder).context("failed to find a folder")?;
        let from_here = |all: &[&str]| all.iter().map(|it| relative(&folder, it)).collect();
        let [resources, components]: [Vec<String>; 2] =
            [from_here(self.resources), from_here(self.components)];
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": resources,
            "components": components,
            "patches": self.patches,
        });
        fs::write(folder.join("kustomization.yaml"), kustomization.to_string())
            .context("failed to write a kustomization")?;
        build(kubectl, &folder)
    }
}

/// The objects of a folder with a kustomization, as this kubectl renders it.
///
/// # Errors
/// What kustomize says against it.
pub fn build(kubectl: &Path, folder: &Path) -> Result<Vec<DynamicObject>> {
    let output = command_that_dies_with_us(kubectl)
        .arg("kustomize")
        .arg(folder)
        .output()
        .context("failed to run kubectl kustomize")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", folder.display());
    // What is deprecated works until it is gone.
    ensure!(said.is_empty(), "{}: {said}", folder.display());
    parse_manifests(&String::from_utf8(output.stdout)?)
}

/// The way from a folder to one of the workspace: kustomize takes no absolute ones.
fn relative(folder: &Path, in_workspace: &str) -> String {
    let up = folder
        .components()
        .filter(|it| matches!(it, Component::Normal(_)))
        .map(|_| "../");
    let down = workspace::root().join(in_workspace);
    up.collect::<String>() + down.to_string_lossy().trim_start_matches('/')
}
