//! Chart and operator of an earlier commit, which upgrades begin with.
//!
//! The sources come out of the repository's own history; the operator is built once, and kept under its commit.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::binaries::{Compiled, cargo};
use crate::process::{command_that_dies_with_us, spawn};
use crate::scenario::Skipped;
use crate::workspace;

/// The earliest commit that has a chart and compiles: whoever installed by Helm at all, has it or a later one. The first release
/// takes its place.
pub const COMMIT: &str = "3635f7cb242405e6a20a19da1b87ae70125d5480";

const OPERATOR: &str = "landing-zone-operator";

/// What that commit made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Its chart: a folder.
    pub chart: PathBuf,
    /// Its `landing-zone-operator`.
    pub operator: PathBuf,
}

impl Earlier {
    /// Returns them, and builds the operator first where it is not there.
    ///
    /// Blocks for minutes when it builds: call it from a thread that may.
    ///
    /// # Errors
    /// Where the repository does not hold the commit, as a shallow clone does not: a test that is not run must not look like one
    /// that passed. With `SHALLOW_CLONE=1` somebody says that he knows, and it is [`Skipped`].
    pub fn ensure() -> Result<Self> {
        let all = workspace::state().join("earlier");
        let folder = all.join(COMMIT);
        let source = folder.join("source");
        let found = Self {
            chart: source.join("charts").join(OPERATOR),
            operator: folder.join(OPERATOR),
        };
        if found.operator.is_file() {
            return Ok(found);
        }
        if !is_there()? {
            let why = format!(
                "the commit {COMMIT} is not in this clone, so no upgrade can be tried: `git fetch --unshallow` brings it"
            );
            if std::env::var_os("SHALLOW_CLONE").is_some() {
                return Err(Skipped::because(why).into());
            }
            bail!("{why}; with SHALLOW_CLONE=1 the test is skipped");
        }
        fs::create_dir_all(&all).context("failed to make the folder of earlier programs")?;
        let lock = File::create(all.join(".lock")).context("failed to open a lock file")?;
        lock.lock().context("failed to wait for another build")?;
        if !found.operator.is_file() {
            unpack(&source)?;
            let built = build(&source, &all.join("build"))?;
            // The program appears whole or not at all.
            let unfinished = folder.join(".unfinished");
            fs::copy(&built, &unfinished).context("failed to copy the earlier operator")?;
            fs::rename(&unfinished, &found.operator)
                .context("failed to put the earlier operator in place")?;
            // A gigabyte that nobody needs again.
            fs::remove_dir_all(all.join("build")).context("failed to clear up after the build")?;
        }
        Ok(found)
    }
}

fn git() -> Command {
    let mut command = command_that_dies_with_us("git");
    command.current_dir(workspace::root()).stdin(Stdio::null());
    command
}

/// Whether the repository holds the commit.
fn is_there() -> Result<bool> {
    let mut command = git();
    command.args(["cat-file", "-e", &format!("{COMMIT}^{{commit}}")]);
    let output = command.stderr(Stdio::null()).status();
    Ok(output.context("failed to run git")?.success())
}

fn unpack(source: &Path) -> Result<()> {
    fs::create_dir_all(source).context("failed to make the folder of earlier sources")?;
    let mut command = git();
    command
        .args(["archive", "--format=tar", COMMIT])
        .stdout(Stdio::piped());
    let mut archive = spawn(command).context("failed to run git archive")?;
    let packed = archive.stdout.take().context("git archive has no output")?;
    let mut tar = command_that_dies_with_us("tar");
    tar.args(["--extract", "--directory"])
        .arg(source)
        .stdin(packed);
    let unpacked = tar.status().context("failed to run tar")?;
    let archived = archive.wait().context("failed to wait for git archive")?;
    ensure!(
        archived.success() && unpacked.success(),
        "git archive ended with {archived}, tar with {unpacked}"
    );
    Ok(())
}

fn build(source: &Path, target: &Path) -> Result<PathBuf> {
    let mut command = cargo();
    command
        .current_dir(source)
        .env("CARGO_TARGET_DIR", target)
        .args([
            "build",
            "--locked",
            "--package",
            OPERATOR,
            "--bin",
            OPERATOR,
        ]);
    let mut built = Compiled::by(command).context("failed to build the earlier operator")?;
    built
        .programs
        .remove(OPERATOR)
        .context("cargo built no earlier operator")
}
