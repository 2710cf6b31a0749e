//! A cluster: etcd, the API server, the controller manager and the scheduler,
//! each a process of its own, with certificates and state in one folder.
//!
//! Nodes are objects only, and nothing runs containers: the real scheduler places
//! pods, and that is where a pod's life ends here.

mod access;
mod control_plane;
mod directory;
mod nodes;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use kube::Client;
use tokio::sync::Mutex;

pub use access::Kubeconfig;
pub use nodes::{Kubelet, Taint};

use self::{
    control_plane::{ControlPlane, Etcd},
    directory::ClusterDirectory,
};
use crate::{
    audit::AuditLog, binaries::ControlPlaneBinaries, process::Process, progress::Progress, rights,
    wait::eventually,
};

/// How often a start is tried when somebody else takes one of its ports.
const ATTEMPTS: u32 = 4;
const START_DEADLINE: Duration = Duration::from_mins(1);
/// Asked to end, the API server refuses new requests at once, but waits up to a
/// minute for watches, which do not end by themselves. So it is killed after this.
const DRAIN: Duration = Duration::from_secs(1);

/// What a cluster is like.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Whether each request is written to an audit log.
    pub audit: Audit,
    /// Which admission plugins are on besides those that Kubernetes turns on.
    pub admission_plugins: AdmissionPlugins,
    /// More arguments for the API server, such as `--feature-gates=...`.
    pub apiserver_arguments: Vec<String>,
    /// Where a build shows its progress.
    pub progress: Progress,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            audit: Audit::On,
            admission_plugins: AdmissionPlugins::Aks,
            apiserver_arguments: Vec::new(),
            progress: Progress::new(),
        }
    }
}

/// Whether each request is written to an audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// Who asked for what, when, and the answer's code; no bodies.
    On,
    /// Nothing, which is faster.
    Off,
}

/// The admission plugins that are on besides those that Kubernetes turns on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdmissionPlugins {
    /// As AKS has them: placement by annotations of the namespace.
    Aks,
    /// None, as in most other clusters.
    None,
}

/// What a cluster stored at one moment.
#[derive(Debug)]
pub struct Snapshot {
    data: PathBuf,
}

fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("failed to make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("failed to read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("failed to write {}", target.display()))?;
        }
    }
    Ok(())
}

/// A running cluster. Dropped, its processes are killed, and its folder stays
/// for a look at the logs until the next cluster starts.
pub struct LocalCluster {
    etcd: Process,
    etcd_program: Etcd,
    apiserver: Mutex<Option<Process>>,
    controller_manager: Process,
    scheduler: Process,
    control_plane: ControlPlane,
    admin: Kubeconfig,
    client: Client,
    binaries: ControlPlaneBinaries,
    directory: ClusterDirectory,
}

impl LocalCluster {
    /// Builds what has to be built, and starts a cluster.
    pub async fn start(options: ClusterOptions) -> Result<Self> {
        let progress = options.progress.clone();
        let binaries = tokio::task::spawn_blocking(move || ControlPlaneBinaries::ensure(&progress))
            .await
            .context("the build of the control plane was cut off")??;
        let mut attempt = 1;
        loop {
            let directory = ClusterDirectory::create()?;
            let logs = directory.logs();
            match Self::start_once(&options, binaries.clone(), directory).await {
                // The folder and its lock are gone here, but its logs are not.
                Err(_) if attempt < ATTEMPTS && logs.say("address already in use") => attempt += 1,
                result => return result.context("failed to start a cluster"),
            }
        }
    }

    async fn start_once(
        options: &ClusterOptions,
        binaries: ControlPlaneBinaries,
        directory: ClusterDirectory,
    ) -> Result<Self> {
        let etcd_program = Etcd::prepare(&binaries, directory.path())?;
        let etcd = etcd_program.start().await?;
        let control_plane =
            ControlPlane::prepare(options, &binaries, directory.path(), &etcd_program.url())?;
        let apiserver = control_plane.apiserver.start()?;
        let admin = control_plane.admin.clone();
        let client = admin.client().await?;
        wait_until_ready(&client, &apiserver).await?;

        let controller_manager = control_plane.controller_manager.start()?;
        let scheduler = control_plane.scheduler.start()?;
        let cluster = Self {
            etcd,
            etcd_program,
            apiserver: Mutex::new(Some(apiserver)),
            controller_manager,
            scheduler,
            control_plane,
            admin,
            client,
            binaries,
            directory,
        };
        cluster.wait_for_controllers().await?;
        Ok(cluster)
    }

    /// A client with all rights. It does not try again by itself: a test sees
    /// each refusal.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The kubeconfig of the administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> &Kubeconfig {
        &self.admin
    }

    /// The version of Kubernetes, such as `v1.37.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.binaries.version
    }

    /// The folder of the cluster's state; what else belongs to the cluster may go there.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What the API server was asked to do.
    #[must_use]
    pub fn audit_log(&self) -> AuditLog {
        AuditLog::new(self.control_plane.audit_log.clone())
    }

    /// The process ids of all parts that run.
    pub async fn process_ids(&self) -> Vec<u32> {
        let apiserver = self.apiserver.lock().await;
        [&self.etcd, &self.controller_manager, &self.scheduler]
            .into_iter()
            .chain(apiserver.as_ref())
            .map(Process::id)
            .collect()
    }

    /// Fails with the end of its log if a part of the cluster has ended.
    pub async fn ensure_running(&self) -> Result<()> {
        let apiserver = self.apiserver.lock().await;
        [&self.etcd, &self.controller_manager, &self.scheduler]
            .into_iter()
            .chain(apiserver.as_ref())
            .try_for_each(Process::ensure_running)
    }

    /// Stops the API server and waits until it is gone.
    pub async fn stop_apiserver(&self) -> Result<()> {
        if let Some(apiserver) = self.apiserver.lock().await.take() {
            apiserver.stop(DRAIN).await?;
        }
        Ok(())
    }

    /// Starts the API server again, on the same port, and waits until it is ready.
    pub async fn start_apiserver(&self) -> Result<()> {
        let mut slot = self.apiserver.lock().await;
        if slot.is_some() {
            bail!("the API server runs already");
        }
        let apiserver = slot.insert(self.control_plane.apiserver.start()?);
        wait_until_ready(&self.client, apiserver).await
    }

    /// Stops the API server and starts it again: all watches are cut.
    pub async fn restart_apiserver(&self) -> Result<()> {
        self.stop_apiserver().await?;
        self.start_apiserver().await
    }

    /// Takes a snapshot of everything that the cluster stores; the API server is away meanwhile.
    pub async fn snapshot(&mut self) -> Result<Snapshot> {
        let data = self.directory.path().join("snapshot");
        self.stop_apiserver().await?;
        self.etcd.kill().await?;
        copy_directory(&self.etcd_program.data, &data)?;
        self.etcd = self.etcd_program.start().await?;
        self.start_apiserver().await?;
        Ok(Snapshot { data })
    }

    /// Puts back what the cluster stored then, as if nothing had been written since: versions of objects are given out a
    /// second time. Who asks the API server is not restarted.
    pub async fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.stop_apiserver().await?;
        self.etcd.kill().await?;
        let data = &self.etcd_program.data;
        fs::remove_dir_all(data).context("failed to remove the state of etcd")?;
        copy_directory(&snapshot.data, data)?;
        self.etcd = self.etcd_program.start().await?;
        self.start_apiserver().await
    }

    /// Pauses the API server (SIGSTOP): connections stay open and nothing is answered.
    pub async fn pause_apiserver(&self) -> Result<()> {
        self.apiserver
            .lock()
            .await
            .as_ref()
            .context("the API server is stopped")?
            .pause()
    }

    /// Lets the API server go on after a pause.
    pub async fn resume_apiserver(&self) -> Result<()> {
        self.apiserver
            .lock()
            .await
            .as_ref()
            .context("the API server is stopped")?
            .resume()
    }

    /// Stops everything and removes the folder.
    pub async fn stop(self) -> Result<()> {
        // Nothing of it is needed again, so nothing has to be put in order first.
        if let Some(apiserver) = self.apiserver.into_inner() {
            apiserver.kill().await?;
        }
        for process in [&self.controller_manager, &self.scheduler, &self.etcd] {
            process.kill().await?;
        }
        rights::keep(&self.control_plane.audit_log)?;
        self.directory.remove()
    }

    /// The controller manager has started when it has made what every pod needs.
    async fn wait_for_controllers(&self) -> Result<()> {
        use k8s_openapi::api::core::v1::ServiceAccount;
        let accounts: kube::Api<ServiceAccount> = kube::Api::namespaced(self.client(), "default");
        let found = eventually(START_DEADLINE, "the default service account", async || {
            let account = accounts.get_opt("default").await?;
            Ok(account
                .map(Ok)
                .or_else(|| self.controller_manager.ensure_running().err().map(Err)))
        });
        found.await??;
        self.scheduler.ensure_running()
    }
}

async fn wait_until_ready(client: &Client, apiserver: &Process) -> Result<()> {
    let ready = eventually(START_DEADLINE, "a ready API server", async || {
        if let Err(ended) = apiserver.ensure_running() {
            return Ok(Some(Err(ended)));
        }
        let request = http::Request::get("/readyz").body(Vec::new())?;
        client.request_text(request).await?;
        Ok(Some(Ok(())))
    });
    ready.await?
}
