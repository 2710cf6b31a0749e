//! `cargo bench-zones`: what the operator costs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use e2e::bench::{self, Figures, Limits, Options};

/// Measures what the operator costs on a real control plane on this machine, next to a client that writes the same objects
/// and nothing else.
#[derive(Debug, Parser)]
#[command(name = "bench-zones", version)]
struct Arguments {
    /// Landing zones, of three namespaces each
    #[arg(long, default_value_t = 1000)]
    landing_zones: usize,
    /// Seconds during which nothing happens
    #[arg(long, default_value_t = 600)]
    idle_seconds: u64,
    /// Foreign writes, one at a time
    #[arg(long, default_value_t = 500)]
    drifts: usize,
    /// Foreign writes in a storm
    #[arg(long, default_value_t = 5000)]
    storm: usize,
    /// Storms
    #[arg(long, default_value_t = 1)]
    storms: usize,
    /// Limits of the operator with which somebody else's requests are timed besides, in a cluster each: its shares of the API
    /// server (`flowControl.shares` of the chart), its `--writes-in-flight`, and its `--requests-per-second`
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "SHARES:WRITES[:PER_SECOND]",
        default_value = "30:32:50"
    )]
    limits: Vec<Limits>,
    /// Leaves out `kubectl apply`, which takes minutes
    #[arg(long)]
    without_kubectl: bool,
    /// Leaves out Flux, which takes minutes, too
    #[arg(long)]
    without_flux: bool,
    /// Draws how long it takes until all objects are there
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Writes the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let options = Options {
        landing_zones: arguments.landing_zones,
        idle: Duration::from_secs(arguments.idle_seconds),
        drifts: arguments.drifts,
        storm: arguments.storm,
        storms: arguments.storms,
        limits: arguments.limits,
        kubectl: !arguments.without_kubectl,
        flux: !arguments.without_flux,
    };
    let (svg, json) = (arguments.svg, arguments.json);
    let save = move |figures: &Figures| {
        if let Some(file) = &svg {
            bench::draw(figures, file)?;
        }
        if let Some(file) = &json {
            let text = serde_json::to_string_pretty(figures)? + "\n";
            std::fs::write(file, text)
                .with_context(|| format!("failed to write {}", file.display()))?;
        }
        Ok(())
    };
    let figures = Box::pin(bench::run(&options, &save)).await?;
    println!("{figures}");
    Ok(())
}
