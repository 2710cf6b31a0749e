//! With which arguments the parts of a control plane start.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;

use super::{AdmissionPlugins, Audit, ClusterOptions, Kubeconfig};
use crate::{
    binaries::ControlPlaneBinaries,
    certificates::{Authority, TokenKeyFiles},
    ports::free_port,
    process::{Process, Program},
    wait::eventually,
};

const ETCD_DEADLINE: Duration = Duration::from_secs(30);

/// Every request once, when it is answered; a watch also when it begins, since
/// its end may be hours away.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
";

/// What AKS adds to the plugins that are on in every cluster.
const AKS_PLUGINS: &str = "PodNodeSelector,PodTolerationRestriction,ExtendedResourceToleration";

/// The parts that need the API server's address, ready to start.
#[derive(Debug)]
pub(super) struct ControlPlane {
    pub(super) apiserver: Program,
    pub(super) controller_manager: Program,
    pub(super) scheduler: Program,
    pub(super) admin: Kubeconfig,
    pub(super) audit_log: PathBuf,
}

/// Etcd, ready to start, as often as need be with the same state.
#[derive(Debug)]
pub(super) struct Etcd {
    program: Program,
    port: u16,
    /// Where its state is.
    pub(super) data: PathBuf,
}

impl Etcd {
    pub(super) fn prepare(binaries: &ControlPlaneBinaries, directory: &Path) -> Result<Self> {
        let (port, peer_port) = (free_port()?, free_port()?);
        let data = directory.join("etcd");
        let client_url = format!("http://127.0.0.1:{port}");
        let peer_url = format!("http://127.0.0.1:{peer_port}");
        let program = Program::new(&binaries.etcd, directory.join("etcd.log"))
            .argument("--name=default")
            .argument(flag("data-dir", &data))
            .argument(format!("--listen-client-urls={client_url}"))
            .argument(format!("--advertise-client-urls={client_url}"))
            .argument(format!("--listen-peer-urls={peer_url}"))
            .argument(format!("--initial-advertise-peer-urls={peer_url}"))
            .argument(format!("--initial-cluster=default={peer_url}"))
            // The state of a test need not survive a power failure.
            .argument("--unsafe-no-fsync")
            .argument("--log-level=warn");
        Ok(Self {
            program,
            port,
            data,
        })
    }

    /// Where it listens once it runs.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it, and waits until it listens.
    pub(super) async fn start(&self) -> Result<Process> {
        let etcd = self.program.start()?;
        let listening = eventually(ETCD_DEADLINE, "etcd to listen", async || {
            if let Err(ended) = etcd.ensure_running() {
                return Ok(Some(Err(ended)));
            }
            TcpStream::connect(("127.0.0.1", self.port)).await?;
            Ok(Some(Ok(())))
        });
        listening.await??;
        Ok(etcd)
    }
}

impl ControlPlane {
    /// Makes the certificates and files that the parts need.
    pub(super) fn prepare(
        options: &ClusterOptions,
        binaries: &ControlPlaneBinaries,
        directory: &Path,
        etcd_url: &str,
    ) -> Result<Self> {
        let certificates = directory.join("certificates");
        fs::create_dir_all(&certificates).context("failed to make the folder of certificates")?;
        let authority = Authority::create(&certificates, "cluster")?;
        let token_key = TokenKeyFiles::create(&certificates)?;
        let server = format!("https://127.0.0.1:{}", free_port()?);

        let kubeconfig = |user: &str, group: Option<&str>| {
            let files = authority.client(user, group)?;
            let file = directory.join(format!("{}.kubeconfig", user.replace(':', "-")));
            Kubeconfig::with_certificate(file, &server, authority.certificate(), &files)
        };
        let admin = kubeconfig("admin", Some("system:masters"))?;
        let controller_manager = kubeconfig("system:kube-controller-manager", None)?;
        let scheduler = kubeconfig("system:kube-scheduler", None)?;

        let files = Files {
            directory,
            certificates: &certificates,
            token_key: &token_key,
        };
        let audit_log = directory.join("audit.jsonl");
        Ok(Self {
            apiserver: apiserver(options, binaries, &files, &authority, &server, etcd_url)?
                .arguments(audit(options, directory, &audit_log)?)
                .arguments(&options.apiserver_arguments),
            controller_manager: Program::new(
                &binaries.controller_manager,
                directory.join("kube-controller-manager.log"),
            )
            .argument(flag("kubeconfig", controller_manager.path()))
            // Each controller under its own name, as in real clusters: rules that
            // let the namespace controller through are tested with it.
            .argument("--use-service-account-credentials")
            .argument(flag("service-account-private-key-file", &token_key.private))
            .argument(flag("root-ca-file", authority.certificate()))
            // Nobody sends heartbeats for nodes that are only objects.
            .argument("--controllers=*,-node-lifecycle-controller")
            .argument("--leader-elect=false")
            .argument("--secure-port=0")
            .arguments(["--kube-api-qps=500", "--kube-api-burst=1000"]),
            scheduler: Program::new(&binaries.scheduler, directory.join("kube-scheduler.log"))
                .argument(flag("kubeconfig", scheduler.path()))
                .argument("--leader-elect=false")
                .argument("--secure-port=0"),
            admin,
            audit_log,
        })
    }
}

struct Files<'a> {
    directory: &'a Path,
    certificates: &'a Path,
    token_key: &'a TokenKeyFiles,
}

fn apiserver(
    options: &ClusterOptions,
    binaries: &ControlPlaneBinaries,
    files: &Files<'_>,
    authority: &Authority,
    server: &str,
    etcd_url: &str,
) -> Result<Program> {
    let names = [
        "127.0.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default.svc",
    ];
    let serving = authority.server("kube-apiserver", &names)?;
    // Whoever holds a certificate of the front proxy's authority can claim any
    // name, so it is not the authority of the users.
    let front_authority = Authority::create(files.certificates, "front-proxy")?;
    let front = front_authority.client("front-proxy-client", None)?;
    let Some((_, port)) = server.rsplit_once(':') else {
        bail!("{server} has no port")
    };

    let program = Program::new(
        &binaries.apiserver,
        files.directory.join("kube-apiserver.log"),
    )
    .argument(format!("--etcd-servers={etcd_url}"))
    .argument("--bind-address=127.0.0.1")
    .argument(format!("--secure-port={port}"))
    // Endpoints may not be on loopback, and nobody looks for the API server there.
    .argument("--advertise-address=127.0.0.1")
    .argument("--endpoint-reconciler-type=none")
    .argument("--service-cluster-ip-range=10.96.0.0/16")
    .argument(flag("cert-dir", files.certificates))
    .argument(flag("tls-cert-file", &serving.certificate))
    .argument(flag("tls-private-key-file", &serving.key))
    .argument(flag("client-ca-file", authority.certificate()))
    .argument("--authorization-mode=Node,RBAC")
    .argument("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
    .argument(flag("service-account-key-file", &files.token_key.public))
    .argument(flag(
        "service-account-signing-key-file",
        &files.token_key.private,
    ))
    .argument(flag(
        "requestheader-client-ca-file",
        front_authority.certificate(),
    ))
    .argument("--requestheader-allowed-names=front-proxy-client")
    .argument("--requestheader-username-headers=X-Remote-User")
    .argument("--requestheader-group-headers=X-Remote-Group")
    .argument("--requestheader-extra-headers-prefix=X-Remote-Extra-")
    .argument(flag("proxy-client-cert-file", &front.certificate))
    .argument(flag("proxy-client-key-file", &front.key));
    Ok(match options.admission_plugins {
        AdmissionPlugins::Aks => {
            program.argument(format!("--enable-admission-plugins={AKS_PLUGINS}"))
        }
        AdmissionPlugins::None => program,
    })
}

fn audit(options: &ClusterOptions, directory: &Path, log: &Path) -> Result<Vec<String>> {
    if options.audit == Audit::Off {
        return Ok(Vec::new());
    }
    let policy = directory.join("audit-policy.yaml");
    fs::write(&policy, AUDIT_POLICY).context("failed to write the audit policy")?;
    Ok(vec![
        flag("audit-policy-file", &policy),
        flag("audit-log-path", log),
        // In megabytes. Left out, the log begins anew at 100, and a reader loses its place.
        "--audit-log-maxsize=100000".to_owned(),
    ])
}

fn flag(name: &str, path: impl AsRef<Path>) -> String {
    format!("--{name}={}", path.as_ref().display())
}
