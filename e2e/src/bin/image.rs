//! `cargo image`: what a release ships.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use e2e::image::{Image, Source};

/// Builds the operator's image for this machine's own processor, without a container engine, and its bill of materials.
#[derive(Parser)]
struct Arguments {
    /// Folder that the archive and the bill of materials are written to
    #[arg(long, value_name = "FOLDER", default_value = "target/image")]
    output: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let source = Source::here()?;
    let output = std::path::absolute(&arguments.output)?;
    let image = Image::build(&source, &output)?;
    let size = std::fs::metadata(&image.archive.file)
        .context("the archive is gone")?
        .len();
    println!("{}", image.archive.file.display());
    println!("{}", image.materials.display());
    println!("{}", image.archive.digest);
    eprintln!(
        "{:.1} MiB for linux/{}, of commit {}",
        mebibytes(size),
        image.program.architecture,
        source.commit
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
