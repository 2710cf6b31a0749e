//! A cluster whose operator asks everything through a proxy that lets things fail.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::binaries::{OperatorBinaries, Profile};
use e2e::fault_proxy::FaultProxy;
use e2e::governed::{CONVERGED, install_calico};
use e2e::operator::operator_kubeconfig;
use e2e::{
    Calico, ClusterOptions, LocalCluster, OperatorOptions, OperatorProcess, eventually, install,
    workspace,
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::DeleteParams;
use kube::{Api, Client};

use crate::journey::Expected;

/// Nothing is asked for during this time: whoever had something to do would have done it.
const QUIET: Duration = Duration::from_millis(700);
/// After a failure something is tried again within a second, and then within two.
const LONGER: Duration = Duration::from_millis(1200);

/// The cluster, the proxy and the operator that runs now.
pub struct Ground {
    cluster: LocalCluster,
    pub proxy: FaultProxy,
    operator: OperatorProcess,
    binary: PathBuf,
    /// What each step of a landing zone's life comes to when nothing fails.
    pub expected: Option<Expected>,
    /// How many landing zones have lived here.
    lives: usize,
    /// How often an operator was started.
    starts: usize,
}

impl Ground {
    pub async fn start() -> Result<Self> {
        let cluster = LocalCluster::start(ClusterOptions::default()).await?;
        install_calico(&cluster.client(), Calico::Storage).await?;
        install::install_operator_manifests(&cluster.client()).await?;
        let deletion = workspace::root().join("config/namespace-deletion");
        install::apply_manifests(&cluster.client(), &deletion).await?;
        let proxy = FaultProxy::start(&operator_kubeconfig(&cluster).await?).await?;
        let binaries = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test));
        let binary = binaries.await.context("the build was cut off")??.operator;
        let operator = run(&cluster, &proxy, binary.clone(), 0)?;
        operator.wait_until_ready(CONVERGED).await?;
        Ok(Self {
            cluster,
            proxy,
            operator,
            binary,
            expected: None,
            lives: 0,
            starts: 1,
        })
    }

    pub async fn stop(self) -> Result<()> {
        self.operator.terminate().await?;
        self.cluster.stop().await
    }

    pub fn logs(&self) -> String {
        self.operator.logs().unwrap_or_default()
    }

    pub fn client(&self) -> Client {
        self.cluster.client()
    }

    /// Runs the real kubectl as administrator.
    pub async fn kubectl<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<()> {
        self.cluster.kubectl(arguments).await.map(drop)
    }

    /// A name that no landing zone had before; all are equally long.
    pub fn next_name(&mut self) -> String {
        self.lives += 1;
        format!("life-{:04}", self.lives)
    }

    /// Kills the operator, and lets its Lease run out at once.
    pub async fn kill(&self) -> Result<()> {
        self.operator.process().ensure_running()?;
        self.operator.kill().await?;
        self.operator_is_gone().await
    }

    async fn operator_is_gone(&self) -> Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.client(), "landing-zone-system");
        match leases
            .delete("landing-zone-operator", &DeleteParams::default())
            .await
        {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            deleted => deleted.map(drop).context("failed to free the Lease"),
        }
    }

    /// Starts an operator after one was killed; it may not be ready yet.
    pub fn start_operator(&mut self) -> Result<()> {
        self.operator = run(&self.cluster, &self.proxy, self.binary.clone(), self.starts)?;
        self.starts += 1;
        Ok(())
    }

    /// Has an operator run again, whatever became of the last one.
    pub async fn recover(&mut self) -> Result<()> {
        if self.runs().is_ok() {
            self.operator.kill().await?;
        }
        self.operator_is_gone().await?;
        self.proxy.clear();
        self.start_operator()?;
        self.is_ready().await
    }

    /// Waits until the operator is ready.
    pub async fn is_ready(&self) -> Result<()> {
        self.operator.wait_until_ready(CONVERGED).await
    }

    /// Fails if the operator has ended.
    pub fn runs(&self) -> Result<()> {
        self.operator.process().ensure_running()
    }

    /// Waits until the operator writes nothing more.
    pub async fn is_quiet(&self) -> Result<()> {
        self.writes_nothing_for(QUIET).await
    }

    /// The same, for longer than it waits after its first failures.
    pub async fn stays_quiet(&self) -> Result<()> {
        self.writes_nothing_for(LONGER).await
    }

    async fn writes_nothing_for(&self, moment: Duration) -> Result<()> {
        eventually(CONVERGED, "the operator to be quiet", async || {
            drop(self.proxy.take_writes());
            tokio::time::sleep(moment).await;
            let writes = self.proxy.take_writes();
            anyhow::ensure!(writes.is_empty(), "it writes: {writes:?}");
            Ok(Some(()))
        })
        .await
    }
}

/// Each operator has a log of its own, so that one that was killed can still be read about.
fn run(
    cluster: &LocalCluster,
    proxy: &FaultProxy,
    binary: PathBuf,
    number: usize,
) -> Result<OperatorProcess> {
    let options = OperatorOptions {
        name: Some(format!("operator-{number}")),
        ..OperatorOptions::default()
    };
    OperatorProcess::start_with(cluster, proxy.kubeconfig(), binary, options)
}
