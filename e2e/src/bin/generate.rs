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
    let mut stale = Vec::new();
    for Generated { path, content } in generated(&root)? {
        let file = root.join(&path);
        if fs::read_to_string(&file).is_ok_and(|current| current == content) {
            continue;
        }
        if arguments.check {
            stale.push(path);
            continue;
        }
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("failed to create {}", folder.display()))?;
        }
        fs::write(&file, content).with_context(|| format!("failed to write {path}"))?;
        println!("{path} written");
    }
    if !stale.is_empty() {
        bail!(
            "not current: {}; run `cargo generate` and commit the result",
            stale.join(", ")
        );
    }
    Ok(())
}

fn generated(root: &Path) -> anyhow::Result<Vec<Generated>> {
    let definitions = [
        ("landingzones.dev_landingzones.yaml", crd::<LandingZone>()?),
        (
            "landingzones.dev_landingzoneplatforms.yaml",
            crd::<LandingZonePlatform>()?,
        ),
    ];
    let mut files = chart::files(root, &definitions)?;
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
