//! Flux: its real kustomize-controller, and a source of what it applies as if it were in Git.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::LocalCluster;
use crate::install::{apply, install_flux_crds};
use crate::ports::free_port;
use crate::process::{Process, Program};

const NAMESPACE: &str = "flux-system";
const SOURCE: &str = "platform";

/// The controller, and the folder that it reads as if it were in Git.
pub struct Flux<'a> {
    cluster: &'a LocalCluster,
    folder: PathBuf,
    archive: Arc<Mutex<Vec<u8>>>,
    address: String,
    _controller: Process,
    _serving: AbortOnDropHandle<()>,
}

impl<'a> Flux<'a> {
    /// Installs its kinds and starts the controller in a cluster, with an empty folder.
    ///
    /// # Errors
    /// Where the kinds cannot be installed, or the controller does not start.
    pub async fn start(cluster: &'a LocalCluster, controller: &Path) -> Result<Self> {
        let client = cluster.client();
        install_flux_crds(&client).await?;
        let namespaces: Api<Namespace> = Api::all(client);
        let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        namespaces
            .create(&PostParams::default(), &namespace)
            .await?;

        let folder = cluster.directory().join("git");
        fs::create_dir_all(&folder)?;
        let archive = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let serving = AbortOnDropHandle::new(tokio::spawn(serve(listener, archive.clone())));

        let log = cluster.directory().join("kustomize-controller.log");
        let program = Program::new(controller, log)
            .arguments(["--watch-all-namespaces", "--events-addr="])
            .argument("--enable-leader-election=false")
            .argument(format!("--metrics-addr=127.0.0.1:{}", free_port()?))
            .argument(format!("--health-addr=127.0.0.1:{}", free_port()?))
            .variable("KUBECONFIG", cluster.kubeconfig().path())
            .variable("RUNTIME_NAMESPACE", NAMESPACE);
        Ok(Self {
            cluster,
            folder,
            archive,
            address,
            _controller: program.start()?,
            _serving: serving,
        })
    }

    fn objects(&self, group: &str, kind: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(group, "v1", kind);
        let resource = ApiResource::from_gvk(&kind);
        Api::namespaced_with(self.cluster.client(), NAMESPACE, &resource)
    }

    /// What it reads; each folder in it is a Kustomization's.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A client of its cluster.
    #[must_use]
    pub fn client(&self) -> Client {
        self.cluster.client()
    }

    /// What the source controller does when there is a new commit.
    ///
    /// # Errors
    /// Where the folder cannot be packed, or the source not be written.
    pub async fn commit(&self) -> Result<()> {
        let packed = Command::new("tar")
            .args(["-cz", "-C"])
            .arg(&self.folder)
            .arg(".")
            .output()
            .context("failed to run tar")?;
        ensure!(packed.status.success(), "tar: {}", packed.status);
        let digest = format!("{:x}", Sha256::digest(&packed.stdout));
        let size = packed.stdout.len();
        *self.archive.lock().unwrap_or_else(PoisonError::into_inner) = packed.stdout;

        let source = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": SOURCE, "namespace": NAMESPACE},
            "spec": {"interval": "1m", "url": "https://git.example.com/platform"},
        });
        apply(&self.cluster.client(), serde_json::from_value(source)?).await?;
        let sources = self.objects("source.toolkit.fluxcd.io", "GitRepository");
        let now = format!("{:.0}", Timestamp::now());
        let revision = format!("main@sha1:{}", &digest[..40]);
        let status = json!({"status": {
            "observedGeneration": 1,
            "artifact": {
                "revision": revision, "digest": format!("sha256:{digest}"), "path": "platform.tar.gz",
                "url": format!("{}/platform.tar.gz", self.address), "lastUpdateTime": now, "size": size,
            },
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": revision,
                "lastTransitionTime": now, "observedGeneration": 1,
            }],
        }});
        let params = PatchParams::default();
        sources
            .patch_status(SOURCE, &params, &Patch::Merge(status))
            .await?;
        Ok(())
    }

    /// Has the folder of that name applied; the path and the source are added to the spec.
    ///
    /// # Errors
    /// Where the Kustomization cannot be written.
    pub async fn kustomize(&self, name: &str, mut spec: Value) -> Result<()> {
        spec["path"] = json!(format!("./{name}"));
        spec["sourceRef"] = json!({"kind": "GitRepository", "name": SOURCE});
        let kustomization = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec,
        });
        apply(&self.client(), serde_json::from_value(kustomization)?).await
    }

    /// How many objects a Kustomization says that it has applied.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn applied(&self, name: &str) -> Result<usize> {
        let kustomizations = self.objects("kustomize.toolkit.fluxcd.io", "Kustomization");
        let found = kustomizations.get(name).await?;
        let entries = found.data["status"]["inventory"]["entries"].as_array();
        Ok(entries.map_or(0, Vec::len))
    }

    /// The condition Ready of a Kustomization.
    ///
    /// # Errors
    /// Where there is none yet.
    pub async fn said(&self, name: &str) -> Result<Value> {
        let kustomizations = self.objects("kustomize.toolkit.fluxcd.io", "Kustomization");
        let found = kustomizations.get(name).await?;
        let conditions = found.data["status"]["conditions"].as_array().cloned();
        let condition = conditions
            .into_iter()
            .flatten()
            .find(|it| it["type"] == "Ready");
        condition.context("nothing said yet")
    }
}

/// Answers every request with the archive, until it is dropped.
async fn serve(listener: TcpListener, archive: Arc<Mutex<Vec<u8>>>) {
    while let Ok((mut connection, _)) = listener.accept().await {
        let archive = archive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        tokio::spawn(async move {
            let mut request = [0_u8; 4096];
            let _ = connection.read(&mut request).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                archive.len()
            );
            // Whoever hung up asks again.
            let _ = connection.write_all(head.as_bytes()).await;
            let _ = connection.write_all(&archive).await;
            let _ = connection.shutdown().await;
        });
    }
}
