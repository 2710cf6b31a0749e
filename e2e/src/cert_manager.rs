//! cert-manager: its kinds, and its own controllers as a process beside the cluster.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;

use crate::cluster::LocalCluster;
use crate::prerequisites::{Prerequisites, download_module};
use crate::process::{Process, Program};
use crate::progress::Progress;
use crate::{binaries, install, workspace};

/// How long it may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(10);

/// cert-manager, with all rights. Dropped, it is killed.
#[derive(Debug)]
pub struct CertManager {
    process: Process,
}

impl CertManager {
    /// Builds it where it is not there, and starts it against a cluster that knows its kinds.
    ///
    /// # Errors
    /// Where it cannot be built or started.
    pub async fn start(cluster: &LocalCluster) -> Result<Self> {
        let built = tokio::task::spawn_blocking(|| binaries::cert_manager(&Progress::new()));
        let binary = built
            .await
            .context("the build of cert-manager was cut off")??;
        let process = Program::new(binary, cluster.directory().join("cert-manager.log"))
            .variable("KUBECONFIG", cluster.kubeconfig().path())
            .start()?;
        Ok(Self { process })
    }

    /// Fails with the end of its log if it has ended.
    ///
    /// # Errors
    /// That it has.
    pub fn ensure_running(&self) -> Result<()> {
        self.process.ensure_running()
    }

    /// Stops it, and waits until it is gone.
    ///
    /// # Errors
    /// Where it does not go.
    pub async fn stop(self) -> Result<()> {
        self.process.stop(GRACE).await.map(drop)
    }
}

/// Installs cert-manager's kinds, and waits until they are served.
///
/// # Errors
/// Where the module cannot be downloaded, or the API server does not take them.
pub async fn install_kinds(client: &Client) -> Result<()> {
    let folder = tokio::task::spawn_blocking(kinds)
        .await
        .context("the download of cert-manager was cut off")??;
    install::apply_manifests(client, &folder)
        .await
        .context("failed to install the kinds of cert-manager")
}

/// The folder of its definitions, in the module that `e2e/go/cert-manager` pins.
fn kinds() -> Result<PathBuf> {
    let prerequisites = Prerequisites::ensure()?;
    let module = download_module(
        &prerequisites.go,
        "github.com/cert-manager/cert-manager",
        &workspace::go_modules().join("cert-manager"),
    )?;
    Ok(module.join("deploy").join("crds"))
}
