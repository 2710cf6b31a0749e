//! The program of the image: static, and without a trace of where it was built.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::binaries::{Compiled, cargo};
use crate::workspace;

/// Between the flags of the compiler in one variable.
const SEPARATOR: &str = "\x1f";
/// What is written in place of where this machine keeps packages.
const PACKAGES: &str = "/cargo";

/// What a program is built from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The root of the workspace.
    pub root: PathBuf,
    /// Where Cargo puts what it builds.
    pub target: PathBuf,
    /// The commit, for `--version` and the labels of the image; with `-dirty` where files differ from it.
    pub commit: String,
    /// When it was made, in seconds since 1970: the time of everything in the image.
    pub time: u64,
}

/// A program that needs nothing but a kernel.
#[derive(Clone, Debug)]
pub struct StaticProgram {
    /// Its file.
    pub file: PathBuf,
    /// The packages that are linked, by Cargo's ids.
    pub linked: BTreeSet<String>,
    /// What the compiler calls the machine that it is for.
    pub triple: &'static str,
    /// What containers call its processor.
    pub architecture: &'static str,
}

impl Source {
    /// This workspace, as it is.
    ///
    /// # Errors
    /// Where it is no checkout of git.
    pub fn here() -> Result<Self> {
        let root = workspace::root();
        let mut commit = git(&root, &["rev-parse", "HEAD"])?;
        let time = git(&root, &["show", "--no-patch", "--format=%ct", "HEAD"])?;
        if !git(&root, &["status", "--porcelain", "--untracked-files=no"])?.is_empty() {
            commit += "-dirty";
        }
        Ok(Self {
            target: workspace::target(),
            commit,
            time: time.parse().context("git knows no time of the commit")?,
            root,
        })
    }

    /// Compiles the operator.
    ///
    /// # Errors
    /// Where that fails, or for a processor that nobody has tried.
    pub fn compile(&self) -> Result<StaticProgram> {
        let (triple, architecture) = platform()?;
        let mut command = cargo();
        command
            .current_dir(&self.root)
            .args(["build", "--release", "--locked", "--target", triple])
            .args(["--package", "landing-zone-operator"])
            .args(["--bin", "landing-zone-operator"])
            .arg("--target-dir")
            .arg(&self.target)
            .env("CARGO_ENCODED_RUSTFLAGS", Self::flags()?)
            .env("CFLAGS", Self::c_flags()?)
            // What Cargo keeps to build faster may differ from one time to the next.
            .env("CARGO_INCREMENTAL", "0")
            .env("LANDING_ZONE_OPERATOR_COMMIT", &self.commit)
            .env("SOURCE_DATE_EPOCH", self.time.to_string());
        let Compiled {
            mut programs,
            packages,
        } = Compiled::by(command)?;
        let file = programs
            .remove("landing-zone-operator")
            .context("cargo built no landing-zone-operator")?;
        // What runs while it is compiled is elsewhere.
        let for_target = self.target.join(triple);
        let is_linked = |files: &[PathBuf]| {
            let mut files = files.iter();
            files.any(|it| {
                it.starts_with(&for_target) && it.extension().is_some_and(|it| it == "rlib")
            })
        };
        let linked = packages.into_iter().filter(|(_, files)| is_linked(files));
        Ok(StaticProgram {
            file,
            linked: linked.map(|(package, _)| package).collect(),
            triple,
            architecture,
        })
    }

    /// What Rust's compiler is told: no library of the system, and no path of this machine. Its own packages Cargo names
    /// from the root of the workspace; only those of others are named by where Cargo keeps them.
    fn flags() -> Result<String> {
        let from = packages()?;
        let hidden = format!("--remap-path-prefix={from}={PACKAGES}");
        Ok(["-Ctarget-feature=+crt-static", &hidden].join(SEPARATOR))
    }

    /// The same for the compiler of C.
    fn c_flags() -> Result<String> {
        Ok(format!("-ffile-prefix-map={}={PACKAGES}", packages()?))
    }
}

/// Where Cargo keeps what it fetches.
fn packages() -> Result<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let home = home.context("nobody's home folder is known")?;
    let text = home.to_str().map(str::to_owned);
    text.with_context(|| format!("{} is no text", home.display()))
}

/// What this machine is called, by compilers and by containers.
pub(super) fn platform() -> Result<(&'static str, &'static str)> {
    ensure!(cfg!(target_os = "linux"), "an image is built on Linux");
    match std::env::consts::ARCH {
        "x86_64" => Ok(("x86_64-unknown-linux-gnu", "amd64")),
        "aarch64" => Ok(("aarch64-unknown-linux-gnu", "arm64")),
        other => anyhow::bail!("no image is built for {other}: there are x86_64 and aarch64"),
    }
}

fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .current_dir(root)
        .args(arguments)
        .output()
        .context("failed to start git, which knows the commit")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {arguments:?}: {said}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
