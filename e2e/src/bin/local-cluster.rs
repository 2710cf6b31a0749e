//! Starts a cluster, prints where it is, and stops it on SIGINT or SIGTERM.

use anyhow::{Context, Result};
use clap::Parser;
use e2e::{ClusterOptions, LocalCluster};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

/// Starts a plain Kubernetes control plane on this machine, prints a line of JSON that says where its
/// kubeconfig and kubectl are, and stops it on Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "local-cluster", version)]
struct Arguments {}

#[tokio::main]
async fn main() -> Result<()> {
    Arguments::parse();
    let mut interrupted = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let mut terminated = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let cluster = tokio::select! {
        cluster = LocalCluster::start(ClusterOptions::default()) => cluster?,
        _ = interrupted.recv() => return Ok(()),
        _ = terminated.recv() => return Ok(()),
    };
    // One line, for people and for programs.
    let place = json!({
        "kubeconfig": cluster.kubeconfig().path(),
        "kubectl": cluster.kubectl_path(),
        "version": cluster.version(),
        "processes": cluster.process_ids().await,
    });
    println!("{place}");
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    cluster.stop().await
}
