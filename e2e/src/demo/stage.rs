//! Where the demo plays: a cluster of its own, or one of the user's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use landing_zone_operator::api::LandingZone;

use super::Options;
use super::context::UserCluster;
use super::page::Page;
use crate::audit::AuditLog;
use crate::binaries::{OperatorBinaries, Profile};
use crate::governed::{CONVERGED, install_calico};
use crate::{
    Calico, ClusterOptions, LocalCluster, OperatorOptions, OperatorProcess, holds_for, install,
};

/// Longer than anybody keeps a demo.
const KEPT: Duration = Duration::from_hours(24 * 365);
/// Whoever changes things in the demo, in a cluster where it can act as anybody.
const INTRUDER: &str = "night-shift@example.com";
const INTRUDERS_TOOL: &str = "night-shift";
const DEVELOPER: &str = "dev@application2.example.com";

/// A cluster with the operator at work.
pub(super) struct Stage {
    client: Client,
    since: Timestamp,
    place: Place,
}

enum Place {
    Local(Box<Local>),
    Users(Box<UserCluster>),
}

struct Local {
    cluster: LocalCluster,
    operator: OperatorProcess,
}

/// Somebody who does something in the demo.
pub(super) struct Person {
    /// How the reader and the audit log know them.
    pub(super) name: String,
    /// The field manager of their writes.
    pub(super) manager: String,
    /// A client with their rights.
    pub(super) client: Client,
    /// Whether the rights are really theirs.
    pub(super) is_impersonated: bool,
}

impl Stage {
    /// Starts the cluster or looks at the user's, and starts the operator.
    pub(super) async fn open(
        options: &Options,
        sample: &LandingZone,
        page: &mut Page,
    ) -> Result<Self> {
        let since = Timestamp::now();
        let (client, place) = if let Some(context) = &options.context {
            let cluster = UserCluster::open(context, options, sample, page).await?;
            (cluster.client(), Place::Users(Box::new(cluster)))
        } else {
            let local = Local::open(options, page).await?;
            (local.cluster.client(), Place::Local(Box::new(local)))
        };
        Ok(Self {
            client,
            since,
            place,
        })
    }

    /// A client with all rights.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The local cluster, where the demo plays in one.
    pub(super) fn local_cluster(&self) -> Option<&LocalCluster> {
        match &self.place {
            Place::Local(local) => Some(&local.cluster),
            Place::Users(_) => None,
        }
    }

    /// What the API server recorded, where the demo may read it.
    pub(super) fn audit_log(&self) -> Option<AuditLog> {
        match &self.place {
            Place::Local(local) => Some(local.cluster.audit_log()),
            Place::Users(_) => None,
        }
    }

    /// Whether an event is of this run.
    pub(super) fn is_since_start(&self, event: &Event) -> bool {
        let time = event.event_time.as_ref();
        time.is_some_and(|time| time.0 >= self.since)
    }

    /// Somebody of the team, with the rights that the landing zone gives to its first group.
    pub(super) async fn team(&self, zone: &LandingZone) -> Result<Person> {
        let entry = zone.spec.access.first().context("nobody has access")?;
        self.person(DEVELOPER, "kubectl-create", &entry.name).await
    }

    /// Somebody with all rights who does not know of the operator.
    pub(super) async fn intruder(&self) -> Result<Person> {
        self.person(INTRUDER, INTRUDERS_TOOL, "system:masters")
            .await
    }

    async fn person(&self, name: &str, manager: &str, group: &str) -> Result<Person> {
        let (name, client, is_impersonated) = match &self.place {
            Place::Local(local) => {
                let client = local.cluster.client_as_user(name, &[group]).await?;
                (name, client, true)
            }
            // To act as somebody else in a cluster of the user's would be a surprise in its logs.
            Place::Users(_) => ("Your user", self.client(), false),
        };
        Ok(Person {
            name: name.to_owned(),
            manager: manager.to_owned(),
            client,
            is_impersonated,
        })
    }

    /// Runs kubectl and returns what it prints.
    pub(super) async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        match &self.place {
            Place::Local(local) => local.cluster.kubectl(arguments.iter().copied()).await,
            Place::Users(cluster) => cluster.kubectl(arguments).await,
        }
    }

    /// Fails with the end of its log if a part has ended.
    pub(super) async fn ensure_running(&self) -> Result<()> {
        match &self.place {
            Place::Local(local) => {
                local.cluster.ensure_running().await?;
                local.operator.process().ensure_running()
            }
            Place::Users(cluster) => cluster.ensure_running(),
        }
    }

    /// Tells how to go on by hand.
    pub(super) fn invite(&self, page: &mut Page) {
        page.title("Cluster and operator go on until Ctrl-C. In another terminal:");
        match &self.place {
            Place::Local(local) => {
                let Local { cluster, operator } = local.as_ref();
                let folder = |program: &Path| program.parent().unwrap_or(Path::new("")).to_owned();
                page.verbatim(&format!(
                    "export KUBECONFIG={}\nexport PATH={}:{}:$PATH\nkubectl get lz -w\nkubectl landingzone status\n\
                     curl -s {}/metrics",
                    cluster.kubeconfig().path().display(),
                    folder(cluster.kubectl_path()).display(),
                    // The plugin is built with the operator.
                    folder(operator.process().program()).display(),
                    operator.address(),
                ));
            }
            Place::Users(cluster) => {
                page.verbatim(&format!(
                    "kubectl --context {} get lz -w",
                    cluster.context()
                ));
            }
        }
    }

    /// Returns when a part of it ends by itself, which is a failure.
    pub(super) async fn until_something_ends(&self) -> Result<()> {
        holds_for(KEPT, "the demo", async || self.ensure_running().await).await
    }

    /// Stops what was started and removes what was made.
    pub(super) async fn close(self, page: &mut Page) -> Result<()> {
        match self.place {
            Place::Local(local) => {
                local.operator.terminate().await?;
                local.cluster.stop().await
            }
            Place::Users(cluster) => cluster.close(page).await,
        }
    }
}

impl Local {
    async fn open(options: &Options, page: &mut Page) -> Result<Self> {
        page.heading("A cluster of your own");
        let binary = operator_binary(options).await?;
        let cluster = LocalCluster::start(ClusterOptions::default()).await?;
        page.say(&format!(
            "Kubernetes {} runs on this machine: etcd, API server, controller manager, scheduler.",
            cluster.version()
        ));
        install_calico(&cluster.client(), Calico::Storage).await?;
        page.say("Calico's kinds are installed as a default AKS cluster has them.");
        install::install_operator_manifests(&cluster.client()).await?;
        page.command("for it in crds config/rbac config/admission; do kubectl apply --server-side -k $it; done");
        let operator =
            OperatorProcess::start_binary(&cluster, binary, OperatorOptions::default()).await?;
        operator.wait_until_ready(CONVERGED).await?;
        page.fact(
            true,
            "The operator is ready. It has the rights of its ServiceAccount, and no others.",
        );
        Ok(Self { cluster, operator })
    }
}

/// Builds the operator, or takes the one that is built.
pub(super) async fn operator_binary(options: &Options) -> Result<PathBuf> {
    if let Some(binary) = &options.operator {
        return Ok(binary.clone());
    }
    let build = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Dev));
    let binaries = build
        .await
        .context("the build of the operator was cut off")??;
    Ok(binaries.operator)
}
