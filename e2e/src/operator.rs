//! The operator as a child process, with the rights of its `ServiceAccount`.

use std::{path::PathBuf, process::ExitStatus, time::Duration};

use anyhow::{Context, Result};
use http::{Response, StatusCode};
use k8s_openapi::api::core::v1::EnvVar;

use crate::{
    binaries::{OperatorBinaries, Profile},
    cluster::{Kubeconfig, LocalCluster},
    http::HttpClient,
    install::read_manifests,
    ports::free_port,
    process::{Process, Program},
    wait::eventually,
    workspace,
};

const NAMESPACE: &str = "landing-zone-system";
const SERVICE_ACCOUNT: &str = "landing-zone-operator";
/// Under this name its requests stand in the audit log.
pub const OPERATOR_USER: &str = "system:serviceaccount:landing-zone-system:landing-zone-operator";

/// How long the operator may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(15);

/// How the operator starts.
#[derive(Clone, Debug, Default)]
pub struct OperatorOptions {
    /// How it is compiled.
    pub profile: Profile,
    /// More arguments.
    pub arguments: Vec<String>,
    /// More variables of the environment, such as `RUST_LOG`.
    pub environment: Vec<(String, String)>,
    /// Names the log file, for clusters in which several run.
    pub name: Option<String>,
}

/// The variables of the environment that the operator's Deployment sets.
fn shipped_environment() -> Result<Vec<(String, String)>> {
    let manifests = read_manifests(&workspace::root().join("config/operator/operator.yaml"))?;
    let mut manifests = manifests.iter();
    let deployment = manifests.find_map(|it| it.data.pointer("/spec/template/spec/containers/0"));
    let variables = deployment
        .context("the operator has no Deployment")?
        .get("env");
    let variables = variables.cloned().unwrap_or_default();
    let variables: Vec<EnvVar> = serde_json::from_value(variables)?;
    let fixed = variables.into_iter();
    Ok(fixed.filter_map(|it| Some((it.name, it.value?))).collect())
}

/// An operator that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct OperatorProcess {
    process: Process,
    http: HttpClient,
}

impl OperatorProcess {
    /// Builds the operator and starts it against a cluster, in which its
    /// manifests are installed already. It may not be ready yet.
    pub async fn start(cluster: &LocalCluster, options: OperatorOptions) -> Result<Self> {
        let profile = options.profile;
        let binaries = tokio::task::spawn_blocking(move || OperatorBinaries::ensure(profile))
            .await
            .context("the build of the operator was cut off")??;
        Self::start_binary(cluster, binaries.operator, options).await
    }

    /// Starts an operator that is built already.
    pub async fn start_binary(
        cluster: &LocalCluster,
        binary: PathBuf,
        options: OperatorOptions,
    ) -> Result<Self> {
        let kubeconfig = operator_kubeconfig(cluster).await?;
        Self::start_with(cluster, &kubeconfig, binary, options)
    }

    /// Starts an operator with a kubeconfig that is there already: the API server may be down.
    pub fn start_with(
        cluster: &LocalCluster,
        kubeconfig: &Kubeconfig,
        binary: PathBuf,
        options: OperatorOptions,
    ) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let name = options.name.as_deref().unwrap_or("landing-zone-operator");
        let mut program = Program::new(binary, cluster.directory().join(format!("{name}.log")))
            .argument("--listen")
            .argument(&address)
            .arguments(["--log-format", "json"])
            .arguments(options.arguments)
            .variable("KUBECONFIG", kubeconfig.path())
            .variable("RUST_BACKTRACE", "1");
        for (name, value) in shipped_environment()? {
            program = program.variable(name, value);
        }
        for (name, value) in options.environment {
            program = program.variable(name, value);
        }
        Self::run(&program, &address)
    }

    /// Starts a program that becomes an operator which listens there.
    pub fn run(program: &Program, address: &str) -> Result<Self> {
        Ok(Self {
            process: program.start()?,
            http: HttpClient::new(address),
        })
    }

    /// Where it listens: host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        self.http.address()
    }

    /// Its process, for what this type does not offer.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its metrics, as Prometheus reads them.
    pub async fn metrics(&self) -> Result<String> {
        let (status, body) = self.get("/metrics").await?;
        anyhow::ensure!(status.is_success(), "/metrics answered {status}: {body}");
        Ok(body)
    }

    /// What `/readyz` answers.
    pub async fn ready(&self) -> Result<(StatusCode, String)> {
        self.get("/readyz").await
    }

    /// Waits until `/readyz` says yes; fails at once if the operator ends.
    pub async fn wait_until_ready(&self, deadline: Duration) -> Result<()> {
        eventually(deadline, "the operator to be ready", async || {
            if let Err(ended) = self.process.ensure_running() {
                return Ok(Some(Err(ended)));
            }
            let (status, body) = self.ready().await?;
            anyhow::ensure!(status.is_success(), "/readyz answers {status}: {body}");
            Ok(Some(Ok(())))
        })
        .await?
    }

    /// What it has logged so far.
    pub fn logs(&self) -> Result<String> {
        self.process.log()
    }

    /// Asks it to end (SIGTERM) and waits for that.
    pub async fn terminate(&self) -> Result<ExitStatus> {
        self.process.stop(GRACE).await
    }

    /// Kills it (SIGKILL), as a failing machine would.
    pub async fn kill(&self) -> Result<ExitStatus> {
        self.process.kill().await
    }

    /// Stops it in its tracks (SIGSTOP): it loses its lease without knowing.
    pub fn pause(&self) -> Result<()> {
        self.process.pause()
    }

    /// Lets it go on after a pause.
    pub fn resume(&self) -> Result<()> {
        self.process.resume()
    }

    /// Asks for a path that the operator serves.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, String)> {
        let answer = self.fetch(path).await?;
        Ok((answer.status(), answer.into_body()))
    }

    /// The same, with the headers of the answer.
    pub async fn fetch(&self, path: &str) -> Result<Response<String>> {
        self.http.get(path, &[]).await
    }

    /// The same for a client that takes an answer in one form only.
    pub async fn fetch_as(&self, path: &str, form: &str) -> Result<Response<String>> {
        self.http.get(path, &[("accept", form)]).await
    }
}

/// The way in for an operator with the rights of its `ServiceAccount`.
pub async fn operator_kubeconfig(cluster: &LocalCluster) -> Result<Kubeconfig> {
    cluster
        .kubeconfig_for_service_account(NAMESPACE, SERVICE_ACCOUNT)
        .await
}
