//! Calico's own API server, which serves `projectcalico.org/v3` in front of Calico's storage kinds.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::DeleteParams;
use kube::{Api, Client};
use serde_json::json;

use crate::LocalCluster;
use crate::binaries::calico_api_server;
use crate::certificates::Authority;
use crate::eventually;
use crate::install::apply_objects;
use crate::ports::free_port;
use crate::process::{Process, Program};
use crate::progress::Progress;

const NAMESPACE: &str = "calico-apiserver";
const SERVICE: &str = "calico-api";
const API_SERVICE: &str = "v3.projectcalico.org";
/// The aggregator looks after what it forwards to every few seconds.
const AVAILABLE: Duration = Duration::from_mins(1);
const STOPPED: Duration = Duration::from_secs(5);

/// Calico's API server as a child process. Dropped, it is killed.
pub struct CalicoApiServer {
    process: Process,
    port: u16,
    authority: String,
}

impl CalicoApiServer {
    /// Starts it, and waits until it listens. Nobody is led to it before [`Self::register`].
    pub async fn start(cluster: &LocalCluster) -> Result<Self> {
        let binary = tokio::task::spawn_blocking(|| calico_api_server(&Progress::new()))
            .await
            .context("the build of Calico's API server was cut off")??;
        let folder = cluster.directory().join("calico-apiserver");
        std::fs::create_dir_all(&folder).context("failed to make a folder of certificates")?;
        let authority = Authority::create(&folder, "calico")?;
        let name = format!("{SERVICE}.{NAMESPACE}.svc");
        let serving = authority.server("calico-apiserver", &[&name, "localhost", "127.0.0.1"])?;
        let port = free_port()?;
        let kubeconfig = cluster.kubeconfig().path().display().to_string();
        let log = cluster.directory().join("calico-apiserver.log");
        let mut program = Program::new(binary, log)
            .argument("--bind-address=127.0.0.1")
            .argument(format!("--secure-port={port}"))
            .argument(format!("--tls-cert-file={}", serving.certificate.display()))
            .argument(format!("--tls-private-key-file={}", serving.key.display()))
            .variable("DATASTORE_TYPE", "kubernetes")
            .variable("KUBECONFIG", &kubeconfig);
        for flag in [
            "kubeconfig",
            "authentication-kubeconfig",
            "authorization-kubeconfig",
        ] {
            program = program.argument(format!("--{flag}={kubeconfig}"));
        }
        let server = Self {
            process: program.start()?,
            port,
            authority: std::fs::read_to_string(authority.certificate())?,
        };
        let listening = eventually(AVAILABLE, "Calico's API server to listen", async || {
            if let Err(ended) = server.process.ensure_running() {
                return Ok(Some(Err(ended)));
            }
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            Ok(Some(Ok(())))
        });
        listening.await??;
        Ok(server)
    }

    /// Tells the cluster that it serves `projectcalico.org/v3`.
    pub async fn register(&self, client: &Client) -> Result<()> {
        let objects = [
            json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": NAMESPACE},
            }),
            // No container has an address here: the name of the service is this machine's own.
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": SERVICE, "namespace": NAMESPACE},
                "spec": {
                    "type": "ExternalName", "externalName": "localhost",
                    "ports": [{"port": self.port}],
                },
            }),
            json!({
                "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                "metadata": {"name": API_SERVICE},
                "spec": {
                    "group": "projectcalico.org", "version": "v3",
                    "groupPriorityMinimum": 1500, "versionPriority": 200,
                    "service": {"name": SERVICE, "namespace": NAMESPACE, "port": self.port},
                    "caBundle": base64(&self.authority)?,
                },
            }),
        ];
        let objects = objects.into_iter().map(serde_json::from_value);
        apply_objects(client, objects.collect::<Result<_, _>>()?).await
    }

    /// Waits until the cluster forwards `projectcalico.org/v3` to it.
    pub async fn wait_until_available(&self, client: &Client) -> Result<()> {
        self.wait_until(client, "True").await
    }

    /// Waits until the cluster no longer does.
    pub async fn wait_until_unavailable(&self, client: &Client) -> Result<()> {
        self.wait_until(client, "False").await
    }

    async fn wait_until(&self, client: &Client, wanted: &str) -> Result<()> {
        let services: Api<APIService> = Api::all(client.clone());
        let what = format!("Calico's API server to be Available={wanted}");
        eventually(AVAILABLE, &what, async || {
            let conditions = services.get(API_SERVICE).await?.status;
            let conditions = conditions.and_then(|status| status.conditions);
            let available = conditions
                .into_iter()
                .flatten()
                .find(|condition| condition.type_ == "Available")
                .context("no condition")?;
            ensure!(available.status == wanted, "{available:?}");
            Ok(Some(()))
        })
        .await
    }

    /// Takes the registration back: what is stored stays.
    pub async fn unregister(&self, client: &Client) -> Result<()> {
        let services: Api<APIService> = Api::all(client.clone());
        services
            .delete(API_SERVICE, &DeleteParams::default())
            .await?;
        Ok(())
    }

    /// Stops it; the registration stays.
    pub async fn stop(&self) -> Result<()> {
        self.process.stop(STOPPED).await?;
        Ok(())
    }

    /// What it wrote so far.
    pub fn log(&self) -> Result<String> {
        self.process.log()
    }
}

/// Bytes as manifests hold them.
fn base64(text: &str) -> Result<serde_json::Value> {
    let bytes = k8s_openapi::ByteString(text.as_bytes().to_vec());
    serde_json::to_value(bytes).context("bytes that are no JSON")
}
