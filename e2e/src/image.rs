//! The operator's image: one static program in an OCI archive, its bill of materials beside it, and the same bytes from the
//! same commit.

mod archive;
mod materials;
mod program;
mod runtime;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use archive::Archive;
pub use program::{Source, StaticProgram};
pub use runtime::{Confined, Pod};

/// What a release ships.
#[derive(Clone, Debug)]
pub struct Image {
    /// The program, as it is in the image.
    pub program: StaticProgram,
    /// The image, to be loaded, pushed or signed.
    pub archive: Archive,
    /// What the program is made of, as `CycloneDX` 1.5 in JSON.
    pub materials: PathBuf,
}

impl Image {
    /// Builds all of it for this machine's own processor and writes it to a folder.
    ///
    /// Blocks for minutes where the program has not been built before: call it from a thread that may.
    ///
    /// # Errors
    /// Where the program does not compile, or buildah is missing and cannot be installed.
    pub fn build(source: &Source, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        let mut program = source.compile()?;
        // Where Cargo put it, the next build replaces it.
        let kept = folder.join("landing-zone-operator");
        std::fs::copy(&program.file, &kept).context("failed to keep the program")?;
        program.file = kept;
        let materials = folder.join("landing-zone-operator.cdx.json");
        materials::write(source, &program, &materials)?;
        let archive = Archive::pack(source, &program, folder)?;
        Ok(Self {
            program,
            archive,
            materials,
        })
    }
}
