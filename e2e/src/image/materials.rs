//! The bill of materials: every package that is linked, with version, licence and checksum, and what no package of Cargo's is:
//! Rust's standard library, and glibc.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_cyclonedx::SbomGenerator;
use cargo_cyclonedx::config::{SbomConfig, Target};
use cargo_metadata::MetadataCommand;
use cyclonedx_bom::external_models::spdx::SpdxExpression;
use cyclonedx_bom::models::bom::SpecVersion;
use cyclonedx_bom::models::component::{Classification, Component};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::prelude::{DateTime, Purl, Validate};
use jiff::Timestamp;

use super::program::{Source, StaticProgram};

const PACKAGE: &str = "landing-zone-operator";

/// Rust's standard library, as the compiler brings it along.
fn standard_library() -> Result<Component> {
    let said = said(Command::new("rustc").arg("--version"))?;
    // Such as `rustc 1.95.0 (59807616e 2026-04-14)`.
    let version = said.split_whitespace().nth(1);
    let version = version.with_context(|| format!("rustc has no version: {said}"))?;
    let purl = Purl::new("generic", "rust-std", version)?;
    Ok(library("rust-std", version, purl, "MIT OR Apache-2.0"))
}

/// The C library that is linked, as Debian's package of it or, elsewhere, by its own version.
fn glibc() -> Result<Component> {
    let mut of_debian = Command::new("dpkg-query");
    of_debian.args(["--show", "--showformat=${source:Version}", "libc6-dev"]);
    let (version, purl) = if let Ok(version) = said(&mut of_debian) {
        let purl = Purl::new("deb", "glibc", &version)?;
        (version, purl)
    } else {
        // Such as `glibc 2.36`.
        let said = said(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
        let version = said.trim_start_matches("glibc ").to_owned();
        let purl = Purl::new("generic", "glibc", &version)?;
        (version, purl)
    };
    Ok(library("glibc", &version, purl, "LGPL-2.1-or-later"))
}

fn library(name: &str, version: &str, purl: Purl, licence: &str) -> Component {
    let mut library = Component::new(
        Classification::Library,
        name,
        version,
        Some(purl.to_string()),
    );
    let licence = LicenseChoice::Expression(SpdxExpression::new(licence));
    library.licenses = Some(Licenses(vec![licence]));
    library.purl = Some(purl);
    library
}

/// What a command says, without the end of the line.
fn said(command: &mut Command) -> Result<String> {
    let what = format!("{command:?}");
    let output = command
        .output()
        .with_context(|| format!("failed to start {what}"))?;
    ensure!(output.status.success(), "{what} failed");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Writes it to a file. The same commit gives the same bytes.
///
/// # Errors
/// Where Cargo cannot say what the program depends on.
pub(super) fn write(source: &Source, program: &StaticProgram, file: &Path) -> Result<()> {
    let triple = program.triple;
    let metadata = MetadataCommand::new()
        .manifest_path(source.root.join("Cargo.toml"))
        .other_options([
            "--locked".to_owned(),
            "--filter-platform".to_owned(),
            triple.to_owned(),
        ])
        .exec()
        .context("cargo metadata failed")?;
    let config = SbomConfig {
        target: Some(Target::SingleTarget(triple.to_owned())),
        // What only builds or tests it is not in it.
        only_normal_deps: Some(true),
        ..SbomConfig::empty_config()
    };
    let all = SbomGenerator::create_sboms(metadata, &config)
        .context("failed to list what the program is made of")?;
    let mut materials = all
        .into_iter()
        .find(|it| it.package_name == PACKAGE)
        .context("cargo does not know the operator")?
        .bom;
    // By default it has a random number and the time of now.
    materials.serial_number = None;
    let described = materials
        .metadata
        .as_mut()
        .context("it describes nothing")?;
    let time = Timestamp::from_second(source.time.try_into()?)?;
    described.timestamp =
        Some(DateTime::try_from(time.to_string()).map_err(|error| anyhow::anyhow!("{error:?}"))?);
    // Cargo speaks of the whole workspace, whose other members ask for more of some packages.
    let is_linked = |id: &str| program.linked.contains(id);
    if let Some(components) = &mut materials.components {
        let is_linked = |it: &Component| it.bom_ref.as_deref().is_some_and(is_linked);
        components.0.retain(is_linked);
        components.0.extend([standard_library()?, glibc()?]);
    }
    if let Some(dependencies) = &mut materials.dependencies {
        dependencies.0.retain(|it| is_linked(&it.dependency_ref));
        for it in &mut dependencies.0 {
            it.dependencies.retain(|id| is_linked(id));
        }
    }
    let validated = materials.validate_version(SpecVersion::V1_5);
    ensure!(
        validated.passed(),
        "the bill of materials is not valid: {validated:?}"
    );
    let mut written = Vec::new();
    materials
        .output_as_json(&mut written, SpecVersion::V1_5)
        .context("failed to write the bill of materials")?;
    // Packages of the workspace are named by where they are.
    let root = source.root.to_str().context("a path that is no text")?;
    let written = String::from_utf8(written)?.replace(root, "/source");
    std::fs::write(file, written).with_context(|| format!("failed to write {}", file.display()))
}
