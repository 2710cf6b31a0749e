//! A cluster that is as declared costs its API server nothing, and a restart next to nothing.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::audit::{Event, Mark};
use e2e::governed::CONVERGED;
use e2e::scenario::{self, Shared};
use e2e::{Calico, Governed, OperatorOptions, OperatorProcess, eventually, holds_for, scenarios};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// Each with three namespaces.
const LANDING_ZONES: usize = 50;
/// How long the operator must be silent. The one wait for a time: nothing is to happen.
const SILENCE: Duration = Duration::from_mins(1);
/// Shorter silences, after something that is none of the operator's business.
const BRIEFLY: Duration = Duration::from_secs(3);
/// What a restart may cost: discovery, and a list and a watch for each kind.
const REQUESTS_AT_RESTART: usize = 40;

struct Fixture(Governed);

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
        let names = (0..LANDING_ZONES).map(|number| format!("app{number}"));
        for name in names.clone() {
            governed.declare(&name, spec(&name)).await?;
        }
        let names: Vec<String> = names.collect();
        try_join_all(names.iter().map(|name| governed.ready(name))).await?;
        Ok(Self(governed))
    }

    async fn stop(self) -> Result<()> {
        self.0.stop().await
    }

    fn logs(&self) -> String {
        self.0.operator.logs().unwrap_or_default()
    }
}

fn spec(name: &str) -> Value {
    let namespace = |zone: &str| {
        json!({
            "name": format!("{name}-{zone}"),
            "zone": zone,
            "quota": {"requests.cpu": "4", "requests.memory": "8Gi", "pods": "50"},
            "limits": {"default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}},
        })
    };
    let namespaces = ["frontend", "backend", "data"].map(namespace);
    json!({
        "applicationCode": name,
        "namespaces": namespaces,
        "access": [{"kind": "Group", "name": format!("{name}-developers"), "role": "edit"}],
        "placement": {"nodeSelector": {"kubernetes.io/os": "linux"}},
        "network": {"flows": [
            {"name": "web", "from": {"zone": "frontend"}, "to": {"zone": "backend"},
             "ports": [{"protocol": "TCP", "port": 8080}]},
            {"name": "data", "from": {"zone": "backend"}, "to": {"zone": "data"},
             "ports": [{"protocol": "TCP", "port": 5432}]},
        ]},
    })
}

/// One after the other: each looks at all that the operator does.
async fn a_converged_cluster_is_left_in_peace(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    silent(governed, SILENCE).await?;
    what_is_foreign_is_ignored(governed)
        .await
        .context("after foreign changes")?;
    a_status_of_somebody_else_is_put_right(governed)
        .await
        .context("after somebody wrote a status")?;
    a_restart_writes_nothing(governed)
        .await
        .context("at a restart")
}

/// Fails when the operator asks for anything but renewals of its watches.
async fn silent(governed: &Governed, period: Duration) -> Result<()> {
    let log = governed.cluster.audit_log();
    // What was under way is recorded.
    let mark = settled(governed).await?;
    holds_for(period, "the operator is silent", async || {
        let mut requests = log.requests_by(governed.operator_user(), mark)?;
        requests.retain(|event| event.verb != "watch");
        ensure!(requests.is_empty(), "it asked: {:#?}", told(&requests));
        Ok(())
    })
    .await
}

/// Waits until nothing was asked for a moment, and returns the place in the log. What is no warning is told a second and a
/// half after there was much to write.
async fn settled(governed: &Governed) -> Result<Mark> {
    const MOMENT: Duration = Duration::from_millis(2_500);
    let log = governed.cluster.audit_log();
    log.quiet(governed.operator_user(), MOMENT, CONVERGED).await
}

fn told(requests: &[Event]) -> Vec<String> {
    let one = |event: &Event| format!("{} {} {}", event.verb, event.request_uri, event.code);
    requests.iter().map(one).collect()
}

async fn what_is_foreign_is_ignored(governed: &Governed) -> Result<()> {
    let client = governed.client();
    let log = governed.cluster.audit_log();
    let mark = settled(governed).await?;

    let namespaces: Api<Namespace> = Api::all(client.clone());
    let label = Patch::Merge(json!({"metadata": {
        "labels": {"team.example.com/owner": "us"},
        "annotations": {"team.example.com/note": "ours"},
    }}));
    namespaces
        .patch("app0-frontend", &PatchParams::default(), &label)
        .await?;

    let pods: Api<Pod> = Api::namespaced(client.clone(), "app0-frontend");
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "web", "image": "web",
                "resources": {"requests": {"memory": "1Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    }))?;
    pods.create(&PostParams::default(), &pod).await?;
    let quotas: Api<ResourceQuota> = Api::namespaced(client, "app0-frontend");
    eventually(CONVERGED, "the quota to count the pod", async || {
        let found = quotas.list(&ListParams::default()).await?;
        let counted = found.items.iter().any(|quota| {
            let used = quota
                .status
                .as_ref()
                .and_then(|status| status.used.as_ref());
            used.is_some_and(|used| used.get("pods").is_some_and(|pods| pods.0 == "1"))
        });
        Ok(counted.then_some(()))
    })
    .await?;

    holds_for(BRIEFLY, "the operator is silent", async || {
        let requests = log.requests_by(governed.operator_user(), mark)?;
        ensure!(requests.is_empty(), "it asked: {:#?}", told(&requests));
        Ok(())
    })
    .await
}

/// A status that somebody else wrote, such as an older one from a backup.
async fn a_status_of_somebody_else_is_put_right(governed: &Governed) -> Result<()> {
    let zones = governed.zones();
    let right = zones.get("app1").await?.status.context("no status")?;
    let older = Patch::Merge(json!({"status": {
        "namespacesReady": "0/3", "appliedDigest": "00", "inventory": [],
    }}));
    zones
        .patch_status("app1", &PatchParams::default(), &older)
        .await?;
    eventually(CONVERGED, "the status to be put right", async || {
        let found = zones.get("app1").await?.status.context("no status")?;
        ensure!(found == right, "{:?}", found.namespaces_ready);
        Ok(Some(()))
    })
    .await
}

async fn a_restart_writes_nothing(governed: &Governed) -> Result<()> {
    let versions = async || -> Result<BTreeMap<String, Option<String>>> {
        let zones = governed.zones().list(&ListParams::default()).await?;
        let version = |zone: landing_zone_operator::api::LandingZone| {
            let meta = zone.metadata;
            (meta.name.unwrap_or_default(), meta.resource_version)
        };
        Ok(zones.items.into_iter().map(version).collect())
    };
    settled(governed).await?;
    let before = versions().await?;
    governed.operator.terminate().await?;

    let log = governed.cluster.audit_log();
    let mark = log.mark()?;
    let options = OperatorOptions {
        name: Some("restarted".to_owned()),
        ..OperatorOptions::default()
    };
    let restarted = OperatorProcess::start(&governed.cluster, options).await?;
    restarted.wait_until_ready(CONVERGED).await?;
    eventually(CONVERGED, "every landing zone to be compared", async || {
        let metrics = restarted.metrics().await?;
        let known = format!("landingzone_landing_zones {LANDING_ZONES}\n");
        ensure!(metrics.contains(&known), "{metrics}");
        let reconciled = reconciles(&metrics)?;
        ensure!(reconciled >= LANDING_ZONES, "{reconciled}");
        Ok(Some(()))
    })
    .await?;
    settled(governed).await?;
    // Once all is known, and once more those that looked before the nodes were; neither while the lists come in, nor for a
    // judgement that the status tells already.
    let reconciled = reconciles(&restarted.metrics().await?)?;
    println!("{reconciled} reconciles of {LANDING_ZONES} landing zones at a restart");
    ensure!(
        reconciled <= 2 * LANDING_ZONES,
        "{reconciled} reconciles of {LANDING_ZONES} landing zones"
    );

    let mut requests = log.requests_by(governed.operator_user(), mark)?;
    requests.retain(|event| !event.is_next_page());
    let writes: Vec<_> = requests.iter().filter(|event| event.is_write()).collect();
    ensure!(writes.is_empty(), "{writes:#?}");
    println!("{} requests at a restart", requests.len());
    // One watch for each kind.
    let mut watches: BTreeMap<_, usize> = BTreeMap::new();
    for it in requests.iter().filter(|event| event.verb == "watch") {
        let kind = (&it.api_group, &it.resource, &it.name);
        *watches.entry(kind).or_default() += 1;
    }
    ensure!(watches.values().all(|it| *it == 1), "{watches:#?}");
    // Single objects are not looked at; discovery has no resource.
    let single = requests
        .iter()
        .find(|event| event.verb == "get" && !event.resource.is_empty());
    ensure!(single.is_none(), "{single:?}");
    ensure!(
        requests.len() <= REQUESTS_AT_RESTART,
        "{:#?}",
        told(&requests)
    );
    let after = versions().await?;
    ensure!(before == after, "{before:?} became {after:?}");
    restarted.terminate().await?;
    Ok(())
}

/// How many reconciles an operator has done.
fn reconciles(metrics: &str) -> Result<usize> {
    let mut lines = metrics.lines();
    let done =
        lines.find_map(|line| line.strip_prefix("landingzone_reconciles_total{result=\"Ok\"} "));
    Ok(done.context("none yet")?.parse()?)
}

fn main() -> ExitCode {
    let long = Duration::from_mins(4);
    scenario::run::<Fixture>(scenarios![a_converged_cluster_is_left_in_peace within long])
}
