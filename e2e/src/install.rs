//! Applies manifests, and waits until what they define is served.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::{GroupVersionKind, TypeMeta},
    discovery::{Scope, pinned_kind},
};
use serde_json::{Value, json};

use crate::{
    prerequisites::{Prerequisites, download_module},
    wait::eventually,
    workspace,
};

/// Under this name the fields of what is applied here are owned.
const FIELD_MANAGER: &str = "e2e";
const ESTABLISHED_DEADLINE: Duration = Duration::from_secs(30);
/// A release of Calico that the pinned module belongs to.
pub(crate) const CALICO_VERSION: &str = "v3.28.5";

/// Applies the YAML files of a folder, or one file: `CustomResourceDefinitions`
/// first, then namespaces, then the rest in the order of the files' names.
pub async fn apply_manifests(client: &Client, path: &Path) -> Result<()> {
    let objects = read_manifests(path)?;
    apply_objects(client, objects).await
}

/// Applies objects: `CustomResourceDefinitions` first, then namespaces, then the
/// rest in the order given; and waits until the definitions are served.
pub async fn apply_objects(client: &Client, mut objects: Vec<DynamicObject>) -> Result<()> {
    // A stable sort: among equals the order stays.
    objects.sort_by_key(|object| match kind(object) {
        "CustomResourceDefinition" => 0,
        "Namespace" => 1,
        _ => 2,
    });
    let definitions = objects
        .iter()
        .filter(|o| kind(o) == "CustomResourceDefinition")
        .count();
    let rest = objects.split_off(definitions);
    let names: Vec<String> = objects.iter().map(ResourceExt::name_any).collect();
    for object in objects {
        apply(client, object).await?;
    }
    for name in names {
        wait_until_established(client, &name).await?;
    }
    for object in rest {
        apply(client, object).await?;
    }
    Ok(())
}

/// Waits until the kind that a `CustomResourceDefinition` defines is served.
pub async fn wait_until_established(client: &Client, name: &str) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let what = format!("the definition {name} to be established");
    eventually(ESTABLISHED_DEADLINE, &what, async || {
        let definition = definitions.get(name).await?;
        let conditions = definition
            .status
            .and_then(|status| status.conditions)
            .unwrap_or_default();
        let established = conditions
            .iter()
            .any(|c| c.type_ == "Established" && c.status == "True");
        Ok(established.then_some(()))
    })
    .await
}

/// Installs Calico's kinds as a default AKS cluster has them: the definitions of
/// `crd.projectcalico.org/v1`, and the object that tells Calico's version.
pub async fn install_calico_crds(client: &Client) -> Result<()> {
    let folder = tokio::task::spawn_blocking(calico_crds)
        .await
        .context("the download of Calico was cut off")??;
    apply_manifests(client, &folder)
        .await
        .context("failed to install the kinds of Calico")?;
    let information = json!({
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "ClusterInformation",
        "metadata": { "name": "default" },
        "spec": { "datastoreReady": true, "calicoVersion": CALICO_VERSION },
    });
    apply(client, serde_json::from_value(information)?).await
}

/// The folder of Calico's definitions, in the module that `e2e/go/calico` pins.
fn calico_crds() -> Result<PathBuf> {
    Ok(calico_sources()?
        .join("libcalico-go")
        .join("config")
        .join("crd"))
}

/// The folder of the module that `e2e/go/calico` pins.
pub fn calico_sources() -> Result<PathBuf> {
    let prerequisites = Prerequisites::ensure()?;
    let directory = workspace::go_modules().join("calico");
    download_module(
        &prerequisites.go,
        "github.com/projectcalico/calico",
        &directory,
    )
}

/// Installs Flux's kinds that `kustomize-controller` works with: its own, and the sources it reads.
pub async fn install_flux_crds(client: &Client) -> Result<()> {
    const MODULES: [&str; 2] = [
        "github.com/fluxcd/kustomize-controller",
        // Of the same release; nothing of it is built, so no go.mod requires it.
        "github.com/fluxcd/source-controller@v1.9.5",
    ];
    for module in MODULES {
        let folder = tokio::task::spawn_blocking(move || {
            let prerequisites = Prerequisites::ensure()?;
            let directory = workspace::go_modules().join("flux");
            download_module(&prerequisites.go, module, &directory)
        })
        .await
        .context("the download of Flux was cut off")??;
        apply_manifests(client, &folder.join("config").join("crd").join("bases"))
            .await
            .context("failed to install the kinds of Flux")?;
    }
    Ok(())
}

/// Installs what the operator needs in a cluster: its kinds, its namespace, its
/// `ServiceAccount` and its rights, and the rules that keep its boundaries in force.
pub async fn install_operator_manifests(client: &Client) -> Result<()> {
    let root = workspace::root();
    for folder in ["crds", "config/rbac", "config/admission"].map(|folder| root.join(folder)) {
        apply_manifests(client, &folder)
            .await
            .with_context(|| format!("failed to apply {}", folder.display()))?;
    }
    Ok(())
}

/// Reads the YAML files of a folder, in the order of their names, or one file.
pub fn read_manifests(path: &Path) -> Result<Vec<DynamicObject>> {
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in
            fs::read_dir(path).with_context(|| format!("failed to list {}", path.display()))?
        {
            let file = entry?.path();
            let is_yaml = file.extension().is_some_and(|e| e == "yaml" || e == "yml");
            // Kustomize's own file is no object of the cluster.
            let is_kustomization = file.file_stem().is_some_and(|name| name == "kustomization");
            if is_yaml && !is_kustomization {
                files.push(file);
            }
        }
        files.sort();
        ensure!(!files.is_empty(), "no YAML files in {}", path.display());
    } else {
        files.push(path.to_path_buf());
    }
    let mut objects = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)
            .with_context(|| format!("failed to read {}", file.display()))?;
        let documents = parse_manifests(&text)
            .with_context(|| format!("failed to understand {}", file.display()))?;
        objects.extend(documents);
    }
    Ok(objects)
}

/// Reads the documents of a text in YAML; empty ones are left out.
pub fn parse_manifests(text: &str) -> Result<Vec<DynamicObject>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).context("broken YAML")?;
    documents
        .into_iter()
        .filter(|document| !document.is_null())
        .map(|document| serde_json::from_value(document).context("a document is no object"))
        .collect()
}

/// Applies one object by server-side apply.
pub async fn apply(client: &Client, mut object: DynamicObject) -> Result<()> {
    let name = object.name_any();
    let Some(TypeMeta { api_version, kind }) = object.types.clone() else {
        bail!("the object {name} has no kind");
    };
    // Read from a server, an object brings what no client may apply.
    object.metadata.managed_fields = None;
    let (resource, scope) = served(client, &api_version, &kind).await?;
    let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
    let api: Api<DynamicObject> = match scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), &namespace, &resource),
    };
    api.patch(
        &name,
        &PatchParams::apply(FIELD_MANAGER).force(),
        &Patch::Apply(&object),
    )
    .await
    .with_context(|| format!("failed to apply {kind} {name}"))?;
    Ok(())
}

/// Finds out how a kind is served. A new kind is served a moment after its
/// definition is established.
async fn served(client: &Client, api_version: &str, kind: &str) -> Result<(ApiResource, Scope)> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let kind = GroupVersionKind::gvk(group, version, kind);
    let what = format!("the kind {} of {api_version}", kind.kind);
    let (resource, capabilities) = eventually(ESTABLISHED_DEADLINE, &what, async || {
        Ok(Some(pinned_kind(client, &kind).await?))
    })
    .await?;
    Ok((resource, capabilities.scope))
}

fn kind(object: &DynamicObject) -> &str {
    object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_and_empty_ones_left_out() {
        let objects = parse_manifests(
            "# a comment\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n---\n\
             apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: \"1\"}\n",
        )
        .unwrap();
        let kinds: Vec<&str> = objects.iter().map(kind).collect();
        assert_eq!(kinds, ["Namespace", "ConfigMap"]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(parse_manifests("just text").is_err());
    }
}
