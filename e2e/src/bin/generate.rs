//! Writes what is generated from the Rust types, or with `--check` fails where it is not current.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Parser;
use kube::CustomResourceExt;
use landing_zone_operator::api::{LandingZone, LandingZonePlatform};
use serde_json::Value;

#[path = "generate/chart.rs"]
mod chart;
#[path = "generate/man.rs"]
mod man;
#[path = "generate/reference.rs"]
mod reference;
#[path = "generate/workload_rules.rs"]
mod workload_rules;

/// Writes the generated files of the project.
#[derive(Parser)]
struct Arguments {
    /// Write nothing, and fail where a generated file is not current
    #[arg(long)]
    check: bool,
}

/// One generated file.
pub(crate) struct Generated {
    /// Its place below the root of the workspace.
    pub(crate) path: String,
    pub(crate) content: String,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let root = root();
    if arguments.check {
        return check(&stale(&root, generated(&root)?));
    }
    // The chart copies these, among others.
    write(&root, workload_rules::observed(&root)?)?;
    write(&root, generated(&root)?)
}

/// Writes what is not current.
fn write(root: &Path, files: Vec<Generated>) -> anyhow::Result<()> {
    for Generated { path, content } in stale(root, files) {
        let file = root.join(&path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("failed to create {}", folder.display()))?;
        }
        fs::write(&file, content).with_context(|| format!("failed to write {path}"))?;
        println!("{path} written");
    }
    Ok(())
}

/// Those that are not on the disk as they are generated now.
fn stale(root: &Path, mut files: Vec<Generated>) -> Vec<Generated> {
    files.retain(|it| {
        let current = fs::read_to_string(root.join(&it.path));
        current.ok().as_ref() != Some(&it.content)
    });
    files
}

/// Fails where there is any.
fn check(stale: &[Generated]) -> anyhow::Result<()> {
    if stale.is_empty() {
        return Ok(());
    }
    let paths: Vec<&str> = stale.iter().map(|it| it.path.as_str()).collect();
    bail!(
        "not current: {}; run `cargo generate` and commit the result",
        paths.join(", ")
    )
}

fn generated(root: &Path) -> anyhow::Result<Vec<Generated>> {
    let definitions = [
        ("landingzones.dev_landingzones.yaml", crd::<LandingZone>()?),
        (
            "landingzones.dev_landingzoneplatforms.yaml",
            crd::<LandingZonePlatform>()?,
        ),
    ];
    let mut files = workload_rules::observed(root)?;
    files.extend(chart::files(root, &definitions)?);
    files.extend(man::pages()?);
    files.push(reference::file(&[
        ("LandingZone", reference::definition::<LandingZone>()?),
        (
            "LandingZonePlatform",
            reference::definition::<LandingZonePlatform>()?,
        ),
    ])?);
    Ok(files)
}

fn crd<K: CustomResourceExt>() -> anyhow::Result<String> {
    let mut crd = serde_json::to_value(K::crd())?;
    unwrap_descriptions(&mut crd);
    let yaml = serde_saphyr::to_string(&crd)
        .with_context(|| format!("failed to write {} as YAML", K::crd_name()))?;
    Ok(format!(
        "# Generated from the Rust types in src/api by `cargo generate`: do not edit.\n{yaml}"
    ))
}

/// Joins the lines of each paragraph: `kubectl explain` wraps by itself, and shows our line breaks
/// besides its own.
fn unwrap_descriptions(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "description" => {
                        let paragraphs = text.split("\n\n").map(|text| text.replace('\n', " "));
                        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
                    }
                    _ => unwrap_descriptions(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_descriptions),
        _ => {}
    }
}

/// The root of the workspace, in which this package is a folder.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `cargo generate --check` says it: whoever runs the tests need not think of it.
    #[test]
    fn what_is_generated_is_current() {
        let root = root();
        check(&stale(&root, generated(&root).unwrap())).unwrap();
    }
}
