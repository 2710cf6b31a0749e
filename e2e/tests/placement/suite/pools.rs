//! A cluster with node pools as on AKS: a system pool that is tainted, a shared one, and one for each of
//! two tenants: the first in three availability zones, the second in one.

use anyhow::Result;
use e2e::cluster::{AdmissionPlugins, Taint};
use e2e::install::{apply_manifests, apply_objects};
use e2e::scenario::Shared;
use e2e::{Calico, ClusterOptions, Governed, LocalCluster, OperatorOptions, workspace};
use serde_json::{Value, json};

use crate::PLUGINS;

/// The taint of AKS's system pool.
pub const SYSTEM: &str = "CriticalAddonsOnly";

/// The cluster.
pub struct Pools(pub Governed);

impl Shared for Pools {
    async fn start() -> Result<Self> {
        let governed = Self::bare().await?;
        if PLUGINS == AdmissionPlugins::None {
            Self::install_policy(&governed).await?;
        }
        let platform = json!({
            "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZonePlatform",
            "metadata": {"name": "cluster"},
            "spec": {"defaults": {"placement": {"nodeSelector": {"kubernetes.azure.com/mode": "user", "pool": "shared"}}}},
        });
        apply_objects(&governed.client(), vec![serde_json::from_value(platform)?]).await?;
        Ok(Self(governed))
    }

    async fn stop(self) -> Result<()> {
        self.0.stop().await
    }

    fn logs(&self) -> String {
        self.0.operator.logs().unwrap_or_default()
    }
}

impl Pools {
    /// The nodes alone: no policy that places pods, and no defaults.
    pub async fn bare() -> Result<Governed> {
        let options = ClusterOptions {
            admission_plugins: PLUGINS,
            ..ClusterOptions::default()
        };
        let operator = OperatorOptions::default();
        let governed = Governed::start_in(options, Calico::Storage, operator, Vec::new()).await?;
        nodes(&governed.cluster).await?;
        Ok(governed)
    }

    /// Installs the policy that puts placement into pods.
    pub async fn install_policy(governed: &Governed) -> Result<()> {
        let policy = workspace::root().join("config/placement");
        apply_manifests(&governed.client(), &policy).await
    }
}

async fn nodes(cluster: &LocalCluster) -> Result<()> {
    let taint = |key: &str, value: &str| Taint {
        key: key.to_owned(),
        value: Some(value.to_owned()),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    for (name, pool, zone, taints) in [
        (
            "system-1",
            "system",
            "westeurope-1",
            vec![taint(SYSTEM, "true")],
        ),
        ("shared-1", "shared", "westeurope-1", vec![]),
        ("shared-2", "shared", "westeurope-2", vec![]),
        (
            "tenant1-1",
            "tenant1",
            "westeurope-1",
            vec![taint("stack", "tenant1")],
        ),
        (
            "tenant1-2",
            "tenant1",
            "westeurope-2",
            vec![taint("stack", "tenant1")],
        ),
        (
            "tenant1-3",
            "tenant1",
            "westeurope-3",
            vec![taint("stack", "tenant1")],
        ),
        (
            "tenant2-1",
            "tenant2",
            "westeurope-1",
            vec![taint("stack", "tenant2")],
        ),
    ] {
        let mode = if pool == "system" { "system" } else { "user" };
        let labels = [
            ("kubernetes.azure.com/mode", mode),
            ("pool", pool),
            ("stack", pool),
            ("topology.kubernetes.io/zone", zone),
        ];
        cluster.create_node(name, &labels, &taints).await?;
    }
    Ok(())
}

/// A landing zone with one namespace of its own name and a placement.
pub fn placed(name: &str, placement: &Value) -> Value {
    let mut spec = json!({
        "applicationCode": name,
        "contact": "platform@example.com",
        "namespaces": [{"name": name, "zone": "web", "podSecurity": "baseline"}],
    });
    if !placement.is_null() {
        spec["placement"] = placement.clone();
    }
    spec
}

/// The placement of a tenant with a pool of its own.
pub fn tenant(name: &str) -> Value {
    json!({
        "nodeSelector": {"stack": name},
        "tolerations": [{"key": "stack", "value": name, "effect": "NoSchedule"}],
    })
}
