//! The image itself, made by buildah without a container engine.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::program::{Source, StaticProgram};
use crate::prerequisites;

const NAME: &str = "landing-zone-operator";

/// An image in a file, as `oci-archive:` of every tool for containers.
#[derive(Clone, Debug)]
pub struct Archive {
    /// The file.
    pub file: PathBuf,
    /// The digest of its manifest, by which a cluster can name it: `sha256:` and 64 digits.
    pub digest: String,
    buildah: Buildah,
}

impl Archive {
    /// Packs a program.
    ///
    /// # Errors
    /// Where buildah is missing and cannot be installed, or refuses.
    pub(super) fn pack(source: &Source, program: &StaticProgram, folder: &Path) -> Result<Self> {
        let buildah = Buildah {
            program: prerequisites::image_builder()?,
            state: folder.join("buildah"),
        };
        let context = folder.join("context");
        fs::create_dir_all(&context)?;
        fs::copy(&program.file, context.join(NAME)).context("failed to copy the program")?;
        let version = env!("CARGO_PKG_VERSION");
        let tag = format!("localhost/{NAME}:{version}");
        let time = source.time.to_string();
        let mut build = buildah.command("build");
        build
            .args(["--isolation", "chroot", "--no-cache", "--quiet"])
            .args(["--timestamp", &time, "--tag", &tag])
            .args(["--platform", &format!("linux/{}", program.architecture)])
            // Else its own version is a label, and another buildah makes another image.
            .args(["--identity-label=false"])
            .arg("--file")
            .arg(source.root.join("Containerfile"));
        for (label, value) in [
            ("title", NAME),
            (
                "description",
                "Declares and guards landing zones for applications in shared AKS clusters",
            ),
            ("version", version),
            ("revision", &source.commit),
            ("licenses", "Apache-2.0"),
        ] {
            build.args([
                "--label",
                &format!("org.opencontainers.image.{label}={value}"),
            ]);
        }
        run(build.arg(&context))?;

        let file = folder.join(format!("{NAME}-{version}-{}.tar", program.architecture));
        if file.exists() {
            fs::remove_file(&file)?;
        }
        let written = folder.join("digest");
        let mut push = buildah.command("push");
        push.args(["--quiet", "--digestfile"])
            .arg(&written)
            .arg(&tag);
        run(push.arg(format!("oci-archive:{}:{version}", file.display())))?;
        let digest = fs::read_to_string(&written)?.trim().to_owned();
        ensure!(
            digest.starts_with("sha256:"),
            "the digest {digest:?} is none"
        );
        fs::remove_file(written)?;
        fs::remove_dir_all(context)?;
        Ok(Self {
            file,
            digest,
            buildah,
        })
    }

    /// What a cluster reads of it before it starts it: user, entry point, labels, layers.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn config(&self) -> Result<Value> {
        let container = self.container()?;
        let said = run(self.buildah.command("inspect").arg(&container));
        self.remove(&container)?;
        let said: Value = serde_json::from_str(&said?)?;
        Ok(said["OCIv1"].clone())
    }

    /// Lays its file tree out in a folder, as the runtime of a node does.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn unpack(&self, folder: &Path) -> Result<()> {
        let container = self.container()?;
        let copied = run(self.buildah.command("mount").arg(&container)).and_then(|tree| {
            let mut copy = Command::new("cp");
            run(copy
                .arg("--archive")
                .arg("--no-target-directory")
                .arg(tree.trim())
                .arg(folder))
        });
        self.remove(&container)?;
        copied.map(drop)
    }

    fn container(&self) -> Result<String> {
        let mut from = self.buildah.command("from");
        let said = run(from
            .arg("--quiet")
            .arg(format!("oci-archive:{}", self.file.display())))?;
        Ok(said.trim().to_owned())
    }

    fn remove(&self, container: &str) -> Result<()> {
        run(self.buildah.command("rm").arg(container)).map(drop)
    }
}

/// Buildah, with images of its own that nobody else sees.
#[derive(Clone, Debug)]
struct Buildah {
    program: PathBuf,
    state: PathBuf,
}

impl Buildah {
    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--root")
            .arg(self.state.join("storage"))
            .arg("--runroot")
            .arg(self.state.join("run"))
            .args(["--storage-driver", "vfs"])
            .arg(subcommand);
        command
    }
}

fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_owned();
    let name = Path::new(&name)
        .file_name()
        .map(OsStr::to_owned)
        .unwrap_or(name);
    let name = name.to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("failed to start {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", said.trim());
    String::from_utf8(output.stdout).with_context(|| format!("{name} writes no text"))
}
