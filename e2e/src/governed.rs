//! A cluster that the operator governs: what the demo, the tests and the benchmark start from.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::{Api, Client};
use landing_zone_operator::api::{LandingZone, LandingZoneStatus};
use serde_json::Value;

use crate::operator::OPERATOR_USER;
use crate::{
    CalicoApiServer, ClusterOptions, LocalCluster, OperatorOptions, OperatorProcess, eventually,
    install,
};

/// How long a landing zone may take to become ready on a busy machine.
pub const CONVERGED: Duration = Duration::from_secs(30);

/// How Calico is installed in a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calico {
    /// Not at all.
    Absent,
    /// As a default AKS cluster has it: storage kinds only, no tiers (3.28).
    #[default]
    Storage,
    /// Storage kinds without tiers, and Calico's own API server in front of them (3.28).
    Aggregated,
    /// Storage kinds with tiers (3.30).
    StorageWithTiers,
    /// Native custom resources of `projectcalico.org/v3`, with tiers (3.32).
    Native,
}

/// A cluster with its operator.
pub struct Governed {
    /// The cluster.
    pub cluster: LocalCluster,
    /// The operator, running with its own rights.
    pub operator: OperatorProcess,
    /// Calico's API server, where the cluster was started with one.
    pub calico_api_server: Option<CalicoApiServer>,
}

impl Governed {
    /// Starts a cluster with Calico's kinds, ours, and the operator, and waits until it is ready.
    pub async fn start(calico: Calico, options: OperatorOptions) -> Result<Self> {
        Self::start_among(calico, options, Vec::new()).await
    }

    /// The same, with objects that were in the cluster before the operator and its rules on admission.
    pub async fn start_among(
        calico: Calico,
        options: OperatorOptions,
        older: Vec<DynamicObject>,
    ) -> Result<Self> {
        Self::start_in(ClusterOptions::default(), calico, options, older).await
    }

    /// The same, in a cluster of another kind.
    pub async fn start_in(
        cluster: ClusterOptions,
        calico: Calico,
        options: OperatorOptions,
        older: Vec<DynamicObject>,
    ) -> Result<Self> {
        let cluster = LocalCluster::start(cluster).await?;
        install_calico(&cluster.client(), calico).await?;
        let calico_api_server = match calico {
            Calico::Aggregated => Some(serve_v3(&cluster).await?),
            _ => None,
        };
        install::apply_objects(&cluster.client(), older).await?;
        install::install_operator_manifests(&cluster.client()).await?;
        let operator = OperatorProcess::start(&cluster, options).await?;
        operator.wait_until_ready(CONVERGED).await?;
        Ok(Self {
            cluster,
            operator,
            calico_api_server,
        })
    }

    /// Stops both; nothing is left behind.
    pub async fn stop(self) -> Result<()> {
        self.operator.terminate().await?;
        self.cluster.stop().await
    }

    /// A client with all rights.
    #[must_use]
    pub fn client(&self) -> Client {
        self.cluster.client()
    }

    /// Declares a landing zone.
    pub async fn declare(&self, name: &str, spec: Value) -> Result<LandingZone> {
        let spec = serde_json::from_value(spec).context("the spec of the test is wrong")?;
        let zone = LandingZone::new(name, spec);
        let created = self.zones().create(&PostParams::default(), &zone).await;
        created.with_context(|| format!("failed to declare the landing zone {name}"))
    }

    /// Declares a landing zone and waits until it is ready.
    pub async fn converge(&self, name: &str, spec: Value) -> Result<LandingZone> {
        self.declare(name, spec).await?;
        self.ready(name).await
    }

    /// Waits until a landing zone's present generation is ready, and its boundary judged, which may
    /// take one look more: until then, the status says that nobody has.
    pub async fn ready(&self, name: &str) -> Result<LandingZone> {
        self.zone_when(name, "to be ready", |zone, status| {
            status.observed_generation == zone.metadata.generation
                && condition(status, "Ready").is_some_and(|(state, ..)| state == "True")
                && condition(status, "Reconciling").is_some_and(|(state, ..)| state == "False")
                && condition(status, "BoundaryHeld").is_none_or(|(_, why, _)| why != "Progressing")
        })
        .await
    }

    /// Waits until a landing zone has a condition in a state, for a reason.
    pub async fn condition(
        &self,
        name: &str,
        type_: &str,
        state: &str,
        reason: &str,
    ) -> Result<LandingZone> {
        let what = format!("to have {type_}={state} because of {reason}");
        self.zone_when(name, &what, |_, status| {
            condition(status, type_).is_some_and(|(is, why, _)| is == state && why == reason)
        })
        .await
    }

    /// Waits until a landing zone is as a test wants it.
    pub async fn zone_when(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&LandingZone, &LandingZoneStatus) -> bool,
    ) -> Result<LandingZone> {
        let what = format!("the landing zone {name} {what}");
        let zones = self.zones();
        let mut last = None;
        let found = eventually(CONVERGED, &what, async || {
            let zone = zones.get(name).await?;
            let fits = zone
                .status
                .as_ref()
                .is_some_and(|status| wanted(&zone, status));
            last.clone_from(&zone.status);
            Ok(fits.then_some(zone))
        })
        .await;
        found.with_context(|| format!("last seen status: {:#}", serde_json::json!(last)))
    }

    /// Deletes a landing zone's declaration.
    pub async fn withdraw(&self, name: &str) -> Result<()> {
        self.zones().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// All landing zones.
    #[must_use]
    pub fn zones(&self) -> Api<LandingZone> {
        Api::all(self.client())
    }

    /// The user name under which the operator's requests stand in the audit log.
    #[must_use]
    pub const fn operator_user(&self) -> &'static str {
        OPERATOR_USER
    }
}

/// State, reason and message of a condition.
#[must_use]
pub fn condition<'a>(
    status: &'a LandingZoneStatus,
    type_: &str,
) -> Option<(&'a str, &'a str, &'a str)> {
    let found = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)?;
    Some((&found.status, &found.reason, &found.message))
}

/// Puts Calico's API server in front of Calico's storage, and waits until it serves.
pub async fn serve_v3(cluster: &LocalCluster) -> Result<CalicoApiServer> {
    let server = CalicoApiServer::start(cluster).await?;
    server.register(&cluster.client()).await?;
    server.wait_until_available(&cluster.client()).await?;
    Ok(server)
}

/// Installs Calico's kinds in one of the forms that clusters have; its API server is a process of
/// its own: [`serve_v3`].
pub async fn install_calico(client: &Client, calico: Calico) -> Result<()> {
    let small = |name: &str| crate::workspace::root().join("e2e/calico").join(name);
    match calico {
        Calico::Absent => Ok(()),
        Calico::Storage | Calico::Aggregated => install::install_calico_crds(client).await,
        Calico::StorageWithTiers => {
            install::apply_manifests(client, &small("storage-with-tiers.yaml")).await
        }
        Calico::Native => install::apply_manifests(client, &small("native.yaml")).await,
    }
}
