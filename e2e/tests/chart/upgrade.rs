//! From the chart and the operator of an earlier commit to those of today, and back, while applications run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::audit::{Event, Mark};
use e2e::cluster::{Kubelet, Taint};
use e2e::earlier::Earlier;
use e2e::governed::CONVERGED;
use e2e::handover::{Holdings, faults};
use e2e::install::{apply_objects, install_calico_crds, parse_manifests};
use e2e::operator::OPERATOR_USER;
use e2e::{ClusterOptions, LocalCluster, OperatorOptions, OperatorProcess, eventually, holds_for};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use landing_zone_operator::api::{LandingZone, LandingZonePlatform};
use serde_json::json;

use crate::{Built, CHART, NAMESPACE, RELEASE, ready};

/// The first run builds the earlier operator; later ones take a minute.
pub const WITH_A_BUILD: Duration = Duration::from_mins(25);
/// The old one gives up its Lease as it ends.
const HANDED_OVER: Duration = Duration::from_secs(15);
/// Longer than events and drift counts are gathered.
const QUIET: Duration = Duration::from_secs(6);

/// Two landing zones with a crossing, a third in stage Observe, and a platform with stages of its own.
const DECLARED: &str = r#"
apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata: {name: cluster}
spec:
  network: {plugin: Kubenet, podCidrs: [10.244.0.0/16], nodeCidrs: [10.1.0.0/22], serviceCidrs: [10.0.0.0/16]}
  dns: {extraAddresses: [169.254.10.10]}
  access: {clusterRoles: [view, edit]}
  sharedServices:
  - name: ingress
    direction: ToLandingZones
    peers:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: app-routing-system}}
    - cidrs: [10.1.8.0/24]
    ports: [{protocol: TCP, port: 8080}]
  destinations:
  - {name: ledger, owner: team-ledger, cidrs: [10.20.3.4/32], ports: [{protocol: TCP, port: 1433}]}
  defaults:
    quota: {requests.cpu: "4", pods: "50"}
    limits: {default: {cpu: 500m, memory: 512Mi}, defaultRequest: {cpu: 100m, memory: 128Mi}}
    podSecurity: baseline
  expiredCrossings: Close
  defaultDeny: {stage: Observe}
  exempt: {namespaces: [my-platform]}
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: shop}
spec:
  applicationCode: shop
  contact: shop@example.com
  labels: {costCenter: "4711"}
  quotaTotal: {pods: "60"}
  namespaces:
  - name: shop-web
    zone: frontend
    podSecurity: restricted
    quota: {pods: "50", requests.cpu: "4"}
    limits: {default: {cpu: 250m, memory: 64Mi}, max: {cpu: "2"}}
  - name: shop-data
    zone: data
    quota: {pods: "10"}
  access:
  - {kind: Group, name: 00000000-0000-4000-8000-000000000001, role: edit, zones: [frontend]}
  placement:
    nodeSelector: {pool: shop}
    tolerations: [{key: pool, operator: Equal, value: shop, effect: NoSchedule}]
  network:
    intraZone: FlowsOnly
    sharedServices: [ingress]
    flows:
    - {name: web-to-data, from: {zone: frontend}, to: {zone: data}, ports: [{protocol: TCP, port: 5432}]}
    egress:
    - name: orders
      from: {zone: frontend}
      to: {landingZone: orders, zone: api}
      ports: [{protocol: TCP, port: 8443}]
    - {name: ledger, owner: team-shop, reason: invoices, from: {zone: data}, to: {destination: ledger}}
    - {name: partner, validUntil: "2099-12-31", to: {cidrs: [203.0.113.0/24], except: [203.0.113.7/32]}, ports: [{protocol: TCP, port: 443}]}
    - {name: api-server, from: {zone: data}, to: {apiServer: true}}
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: orders}
spec:
  applicationCode: orders
  namespaces: [{name: orders-api, zone: api}]
  network:
    ingress:
    - name: shop
      from: {landingZone: shop, zone: frontend}
      to: {zone: api}
      ports: [{protocol: TCP, port: 8443}]
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: trial}
spec:
  applicationCode: trial
  stage: Observe
  namespaces: [{name: trial-web, zone: web}, {name: trial-api, zone: api}]
  network:
    flows: [{name: web-to-api, from: {zone: web}, to: {zone: api}}]
"#;
const ZONES: [&str; 3] = ["shop", "orders", "trial"];
const RUNNING_IN: [&str; 5] = [
    "shop-web",
    "shop-data",
    "orders-api",
    "trial-web",
    "trial-api",
];

pub async fn an_upgrade_and_the_way_back_lose_nothing(built: &Built) -> Result<()> {
    let earlier = tokio::task::spawn_blocking(Earlier::ensure).await??;
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    install_calico_crds(&cluster.client()).await?;
    let before_that = Mark::default();
    let chart = earlier.chart.to_str().context("a path that is no text")?;
    let install = [
        "install",
        RELEASE,
        chart,
        "-n",
        NAMESPACE,
        "--create-namespace",
    ];
    built.said(Some(&cluster), &install)?;
    let upgrading = Upgrading {
        cluster: &cluster,
        began: before_that,
    };
    let old = upgrading.start(&earlier.operator, "earlier").await?;
    leads(&old).await?;
    upgrading.make_nodes().await?;
    apply_objects(&cluster.client(), parse_manifests(DECLARED)?).await?;
    upgrading.all_ready().await?;
    let kubelets = upgrading.run_pods().await?;
    upgrading.quiet().await?;
    let first = upgrading.look().await?;
    ensure!(
        first.held.of_kind("namespaces") == RUNNING_IN.len(),
        "{first:#?}"
    );
    ensure!(
        first.held.of_kind("globalnetworkpolicies") > RUNNING_IN.len(),
        "{first:#?}"
    );

    // The objects of the new chart are there, and the old operator goes on with them.
    built.said(
        Some(&cluster),
        &["upgrade", RELEASE, CHART, "-n", NAMESPACE],
    )?;
    old.process().ensure_running()?;
    upgrading.all_ready().await?;
    upgrading.quiet().await?;
    first.is_kept_in(&upgrading.look().await?)?;

    let new = upgrading.hand_over(old, &built.operator, "current").await?;
    upgrading.works("after-upgrade").await?;
    let second = upgrading.look().await?;

    // And back.
    built.said(Some(&cluster), &["rollback", RELEASE, "1", "-n", NAMESPACE])?;
    new.process().ensure_running()?;
    upgrading.all_ready().await?;
    upgrading.quiet().await?;
    second.is_kept_in(&upgrading.look().await?)?;
    let back = upgrading.hand_over(new, &earlier.operator, "again").await?;
    upgrading.works("after-rollback").await?;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), NAMESPACE);
    deployments.get(RELEASE).await?;

    drop(kubelets);
    back.terminate().await?;
    cluster.stop().await
}

/// A cluster with a release of the chart that changes.
struct Upgrading<'a> {
    cluster: &'a LocalCluster,
    began: Mark,
}

/// What is there at one moment.
#[derive(Debug)]
struct Seen {
    held: Holdings,
    /// Pods by namespace and name: uid and node.
    pods: Vec<(String, Option<String>, Option<String>)>,
    /// The end of the audit log.
    mark: Mark,
}

impl Seen {
    /// Fails unless nothing but what `later` shows differs, and nothing was lost on the way.
    fn is_kept_in(&self, later: &Self) -> Result<()> {
        ensure!(
            self.pods == later.pods,
            "{:#?}\n{:#?}",
            self.pods,
            later.pods
        );
        ensure!(
            self.held == later.held,
            "{:#?}\n{:#?}",
            self.held,
            later.held
        );
        Ok(())
    }
}

impl Upgrading<'_> {
    async fn start(&self, program: &std::path::Path, name: &str) -> Result<OperatorProcess> {
        let options = OperatorOptions {
            name: Some(name.to_owned()),
            environment: vec![("HOSTNAME".to_owned(), name.to_owned())],
            ..OperatorOptions::default()
        };
        let program = PathBuf::from(program);
        let operator = OperatorProcess::start_binary(self.cluster, program, options).await?;
        operator.wait_until_ready(CONVERGED).await?;
        Ok(operator)
    }

    /// As a Deployment rolls: the new one is ready and waits for the Lease, then the old one is told to end.
    async fn hand_over(
        &self,
        old: OperatorProcess,
        program: &std::path::Path,
        name: &str,
    ) -> Result<OperatorProcess> {
        let before = self.look().await?;
        let new = self.start(program, name).await?;
        let metrics = new.metrics().await?;
        ensure!(metrics.contains("landingzone_leader 0\n"), "{metrics}");
        let waiting = looked(&metrics);
        let ended = old.terminate().await?;
        ensure!(ended.success(), "the old operator ended with {ended}");
        leads(&new).await?;
        eventually(
            CONVERGED,
            "the new operator to have looked at everything",
            async || {
                let metrics = new.metrics().await?;
                let more = looked(&metrics) - waiting;
                ensure!(more >= ZONES.len(), "{metrics}");
                Ok(Some(()))
            },
        )
        .await?;
        self.all_ready().await?;
        self.quiet().await?;

        let after = self.look().await?;
        ensure!(
            before.pods == after.pods,
            "{:#?}\n{:#?}",
            before.pods,
            after.pods
        );
        let writes = self.writes(before.mark)?;
        let found = faults(&before.held, &after.held, &writes);
        ensure!(found.is_empty(), "{found:#?}");
        let told: Vec<String> = writes.iter().map(told).collect();
        println!(
            "{name}: {} objects held, {} requests: {told:#?}",
            after.held.count(),
            told.len()
        );
        Ok(new)
    }

    async fn look(&self) -> Result<Seen> {
        let client = self.cluster.client();
        let mark = self.cluster.audit_log().mark()?;
        let held = Holdings::of(&client).await?;
        let mut pods = Vec::new();
        for namespace in RUNNING_IN {
            let found = Api::<Pod>::namespaced(client.clone(), namespace);
            for pod in found.list(&ListParams::default()).await? {
                let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
                let name = format!("{namespace}/{}", pod.name_any());
                pods.push((name, pod.metadata.uid, node));
            }
        }
        Ok(Seen { held, pods, mark })
    }

    fn writes(&self, since: Mark) -> Result<Vec<Event>> {
        self.cluster.audit_log().writes_by(OPERATOR_USER, since)
    }

    /// Waits until nothing is written any more.
    async fn quiet(&self) -> Result<()> {
        eventually(
            10 * QUIET,
            "the operator to have nothing to write",
            async || {
                let count = self.writes(self.began)?.len();
                let still = holds_for(QUIET, "nothing is written", async || {
                    let now = self.writes(self.began)?.len();
                    ensure!(now == count, "{} more", now - count);
                    Ok(())
                });
                still.await.map(Some)
            },
        )
        .await
    }

    async fn all_ready(&self) -> Result<()> {
        let zones: Api<LandingZone> = Api::all(self.cluster.client());
        for name in ZONES {
            ready(&zones, name)
                .await
                .with_context(|| format!("{name} is not ready"))?;
        }
        let platforms: Api<LandingZonePlatform> = Api::all(self.cluster.client());
        eventually(CONVERGED, "the platform to be ready", async || {
            let status = platforms
                .get("cluster")
                .await?
                .status
                .context("no status")?;
            let ready = status.conditions.iter().find(|it| it.type_ == "Ready");
            let ready = ready.context("no condition")?;
            ensure!(ready.status == "True", "{}", ready.message);
            Ok(Some(()))
        })
        .await
    }

    /// The operator does what it is there for: one more landing zone becomes ready.
    async fn works(&self, name: &str) -> Result<()> {
        let spec = json!({"applicationCode": name, "namespaces": [{"name": name, "zone": "web"}]});
        let zones: Api<LandingZone> = Api::all(self.cluster.client());
        let zone = LandingZone::new(name, serde_json::from_value(spec)?);
        zones.create(&PostParams::default(), &zone).await?;
        ready(&zones, name).await?;
        self.quiet().await
    }

    /// A node for the placement, and one for everybody.
    async fn make_nodes(&self) -> Result<()> {
        let taint = Taint {
            key: "pool".to_owned(),
            value: Some("shop".to_owned()),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        };
        self.cluster
            .create_node("shop-1", &[("pool", "shop")], &[taint])
            .await?;
        self.cluster
            .create_node("shared-1", &[("pool", "shared")], &[])
            .await?;
        Ok(())
    }

    /// A pod in each namespace, on the node that the placement leads to.
    async fn run_pods(&self) -> Result<Vec<Kubelet>> {
        let client = self.cluster.client();
        let mut kubelets = Vec::new();
        for namespace in RUNNING_IN {
            kubelets.push(self.cluster.run_pods(namespace));
            let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
            eventually(CONVERGED, "the default service account", async || {
                Ok(accounts.get_opt("default").await?)
            })
            .await?;
            let pods = Api::<Pod>::namespaced(client.clone(), namespace);
            let pod = serde_json::from_value(json!({
                "metadata": {"name": "app", "labels": {"app": "app"}},
                "spec": {
                    "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [{
                        "name": "app", "image": "example.invalid/app:1",
                        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
                        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                    }],
                },
            }))?;
            pods.create(&PostParams::default(), &pod).await?;
            eventually(CONVERGED, "the pod to run", async || {
                let status = pods.get("app").await?.status.context("no status")?;
                let phase = status.phase.unwrap_or_default();
                ensure!(phase == "Running", "it is {phase}");
                Ok(Some(()))
            })
            .await?;
        }
        Ok(kubelets)
    }
}

/// How often an operator has looked at a landing zone.
fn looked(metrics: &str) -> usize {
    let count = metrics
        .lines()
        .find_map(|line| line.strip_prefix("landingzone_reconciles_total{result=\"Ok\"} "));
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// A write in a line.
fn told(event: &Event) -> String {
    let Event {
        verb,
        resource,
        subresource,
        namespace,
        name,
        code,
        ..
    } = event;
    format!("{verb} {resource}/{subresource} {namespace}/{name}: {code}")
}

async fn leads(operator: &OperatorProcess) -> Result<()> {
    eventually(HANDED_OVER, "the operator to lead", async || {
        let metrics = operator.metrics().await?;
        Ok(metrics.contains("landingzone_leader 1\n").then_some(()))
    })
    .await
}
