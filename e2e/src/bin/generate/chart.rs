//! What the chart takes from elsewhere: the kinds, the objects of `config/`, and the table of its values.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Generated;

const CHART: &str = "charts/landing-zone-operator";
/// The folders of `config/` that the chart renders from, and whether their objects stay when the release goes: without the
/// rules on admission, application teams could leave their boundaries.
const FOLDERS: [(&str, bool); 15] = [
    ("admission", true),
    ("azure", false),
    ("cert-manager", false),
    ("eviction", false),
    ("flow-control", false),
    ("guard", false),
    ("karpenter", false),
    ("namespace-deletion", false),
    ("placement", true),
    ("prometheus/azure-pod-monitor", false),
    ("prometheus/pod-monitor", false),
    ("prometheus/rules", false),
    ("prometheus/service-monitor", false),
    ("rbac", false),
    ("workload-rules", true),
];
/// By this Helm leaves an object where it is when the release goes.
const KEPT_BY_HELM: &str = "helm.sh/resource-policy: keep";
/// By these Flux and Argo CD leave a definition where it is when it left Git: with it every landing zone would go.
const KEPT_BY_GIT: [&str; 2] = [
    "argocd.argoproj.io/sync-options: Prune=false,Delete=false",
    "kustomize.toolkit.fluxcd.io/prune: disabled",
];
/// The namespace of a release is Helm's to make.
const LEFT_OUT: [&str; 2] = ["kustomization.yaml", "namespace.yaml"];

/// The generated files of the chart, and the kinds by themselves. `definitions` are the kinds, by the names of their files.
pub fn files(root: &Path, definitions: &[(&str, String)]) -> Result<Vec<Generated>> {
    let mut files = Vec::new();
    for (name, text) in definitions {
        let [argo_cd, flux] = KEPT_BY_GIT;
        files.push(Generated {
            path: format!("{CHART}/files/crds/{name}"),
            content: annotated(text, &[argo_cd, KEPT_BY_HELM, flux])?,
        });
        files.push(Generated {
            path: format!("crds/{name}"),
            content: annotated(text, &KEPT_BY_GIT)?,
        });
    }
    for (folder, stays) in FOLDERS {
        let from = root.join("config").join(folder);
        let mut names: Vec<String> = fs::read_dir(&from)
            .with_context(|| format!("failed to list {}", from.display()))?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        names.retain(|name| {
            let is_yaml = Path::new(name).extension().is_some_and(|it| it == "yaml");
            is_yaml && !LEFT_OUT.contains(&name.as_str())
        });
        names.sort();
        for name in names {
            let text = fs::read_to_string(from.join(&name))
                .with_context(|| format!("failed to read config/{folder}/{name}"))?;
            let text = if stays {
                annotated(&text, &[KEPT_BY_HELM])?
            } else {
                text
            };
            files.push(Generated {
                path: format!("{CHART}/files/{folder}/{name}"),
                content: format!(
                    "# Generated from config/{folder}/{name} by `cargo generate`: do not edit.\n{text}"
                ),
            });
        }
    }
    files.push(Generated {
        path: format!("{CHART}/README.md"),
        content: readme(root)?,
    });
    Ok(files)
}

/// The same objects, with annotations.
fn annotated(text: &str, annotations: &[&str]) -> Result<String> {
    let mut lines = Vec::new();
    let mut is_metadata = false;
    for line in text.lines() {
        lines.push(line.to_owned());
        if is_metadata {
            ensure!(
                line.starts_with("  name: "),
                "metadata begins with {line:?}, but its name has to come first"
            );
            lines.push("  annotations:".to_owned());
            lines.extend(annotations.iter().map(|it| format!("    {it}")));
        }
        is_metadata = line == "metadata:";
    }
    Ok(lines.join("\n") + "\n")
}

/// What the chart is, and each of its values.
fn readme(root: &Path) -> Result<String> {
    let read = |name: &str| {
        let file = root.join(CHART).join(name);
        fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))
    };
    let schema: Value = serde_json::from_str(&read("values.schema.json")?)?;
    let values: Value = serde_saphyr::from_str(&read("values.yaml")?)?;
    let mut rows = Vec::new();
    collect(&schema, &values, "", &mut rows)?;
    let mut text = read("README.md.in")?;
    text.insert_str(
        0,
        "<!-- Generated from README.md.in and values.schema.json by `cargo generate`: do not edit. -->\n",
    );
    text.push_str("\n| value | default | meaning |\n|---|---|---|\n");
    for (path, default, meaning) in rows {
        writeln!(text, "| `{path}` | `{default}` | {meaning} |")?;
    }
    Ok(text)
}

/// Every value that the schema names, with its default; fails where one of the two is missing.
fn collect(
    schema: &Value,
    values: &Value,
    path: &str,
    rows: &mut Vec<(String, String, String)>,
) -> Result<()> {
    let properties = schema["properties"].as_object();
    let Some(properties) = properties.filter(|_| schema["additionalProperties"] == false) else {
        let meaning = schema["description"].as_str();
        let meaning = meaning.with_context(|| format!("{path} has no description"))?;
        rows.push((path.to_owned(), values.to_string(), meaning.to_owned()));
        return Ok(());
    };
    let known = values
        .as_object()
        .with_context(|| format!("{path} has no defaults"))?;
    for name in known.keys() {
        ensure!(
            properties.contains_key(name),
            "the schema has no {path}.{name}"
        );
    }
    for (name, schema) in properties {
        let values = known
            .get(name)
            .with_context(|| format!("{path}.{name} has no default"))?;
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        collect(schema, values, &path, rows)?;
    }
    Ok(())
}
