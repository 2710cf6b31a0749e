//! Flux: its real kustomize-controller applies a folder of landing zones from a source that the test serves.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::flux::Flux;
use e2e::governed::CONVERGED;
use e2e::install::{install_calico_crds, install_operator_manifests, read_manifests};
use e2e::owned::owned_by;
use e2e::{
    ClusterOptions, LocalCluster, OperatorOptions, OperatorProcess, eventually, holds_for,
    workspace,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use landing_zone_operator::api::{LandingZone, LandingZoneStatus};
use serde_json::{Value, json};

use crate::Fixture;

/// How long a Kustomization may wait for what it applied: longer than any test.
const PATIENCE: &str = "5m";
/// How soon a failure has to show, which is long before that.
const SOON: Duration = Duration::from_mins(1);
/// How often it applies everything anew.
const INTERVAL: &str = "5s";
const THREE_INTERVALS: Duration = Duration::from_secs(15);

/// What only these tests do with Flux.
struct Git<'a>(Flux<'a>);

impl<'a> Git<'a> {
    async fn start(cluster: &'a LocalCluster, controller: &Path) -> Result<Self> {
        Ok(Self(Flux::start(cluster, controller).await?))
    }

    /// Puts a landing zone into the folder, or takes it out.
    fn write(&self, name: &str, spec: Option<Value>) -> Result<()> {
        let file = self.0.folder().join(name).join("landing-zone.yaml");
        fs::create_dir_all(self.0.folder().join(name))?;
        let Some(spec) = spec else {
            return fs::remove_file(file).context("failed to remove a file");
        };
        let object = json!({
            "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
            "metadata": {"name": name}, "spec": spec,
        });
        fs::write(file, object.to_string()).context("failed to write a file")
    }

    /// Has a folder of the source applied, and what is in it looked at as `config/flux` says.
    async fn kustomize(&self, name: &str) -> Result<()> {
        let documented = read_manifests(&workspace::root().join("config/flux"))?;
        let [documented] = documented.as_slice() else {
            bail!("one Kustomization expected");
        };
        let checks = &documented.data["spec"]["healthCheckExprs"];
        ensure!(checks.is_array(), "{documented:#?}");
        self.kustomize_by(name, checks).await
    }

    /// The same, with other checks.
    async fn kustomize_by(&self, name: &str, checks: &Value) -> Result<()> {
        let spec = json!({
            "interval": INTERVAL, "retryInterval": INTERVAL, "prune": true, "wait": true, "timeout": PATIENCE,
            "healthCheckExprs": checks,
        });
        self.0.kustomize(name, spec).await
    }

    /// Waits until a Kustomization says so of itself.
    async fn says(&self, name: &str, ready: &str, words: &str) -> Result<()> {
        let what = format!("the Kustomization {name} to say {ready}: {words}");
        eventually(SOON, &what, async || {
            let condition = self.0.said(name).await?;
            let message = condition["message"].as_str().unwrap_or_default();
            ensure!(
                condition["status"] == ready && message.to_lowercase().contains(words),
                "{}: {message}",
                condition["status"]
            );
            Ok(Some(()))
        })
        .await
    }
}

fn spec(code: &str, namespace: &str) -> Value {
    json!({
        "applicationCode": code,
        "namespaces": [{"name": namespace, "zone": "frontend"}],
    })
}

fn is_ready(status: &LandingZoneStatus) -> bool {
    let is_ready = |it: &Condition| it.type_ == "Ready" && it.status == "True";
    status.conditions.iter().any(is_ready)
}

/// Until the operator has seen a landing zone, it says nothing of it, and Flux by itself takes that for ready. With what
/// `config/flux` has it waits.
pub async fn flux_waits_for_an_operator_that_is_not_there_yet(fixture: &Fixture) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    install_calico_crds(&cluster.client()).await?;
    install_operator_manifests(&cluster.client()).await?;
    let flux = Git::start(&cluster, &fixture.kustomize_controller).await?;
    flux.write("early", Some(spec("early", "early-web")))?;
    flux.write("blind", Some(spec("blind", "blind-web")))?;
    let mut planned = spec("planned", "planned-web");
    planned["stage"] = json!("Plan");
    flux.write("planned", Some(planned))?;
    let mut paused = spec("paused", "paused-web");
    paused["suspend"] = json!(true);
    flux.write("paused", Some(paused))?;
    flux.0.commit().await?;
    for name in ["early", "planned", "paused"] {
        flux.kustomize(name).await?;
    }
    flux.kustomize_by("blind", &json!([])).await?;

    let zones: Api<LandingZone> = Api::all(cluster.client());
    eventually(CONVERGED, "the landing zones to be applied", async || {
        let all = zones.list(&ListParams::default()).await?.items;
        Ok((all.len() == 4).then_some(()))
    })
    .await?;
    // What this is about: without the checks it is too early.
    flux.says("blind", "True", "applied revision").await?;
    let waits = async || {
        let condition = flux.0.said("early").await?;
        ensure!(condition["status"] == "Unknown", "{condition}");
        Ok(())
    };
    eventually(CONVERGED, "Flux to wait", async || waits().await.map(Some)).await?;
    holds_for(THREE_INTERVALS, "Flux waits", waits).await?;
    let zone = zones.get("early").await?;
    ensure!(zone.status.is_none(), "somebody said something: {zone:?}");

    let operator = OperatorProcess::start(&cluster, OperatorOptions::default()).await?;
    flux.says("early", "True", "applied revision").await?;
    let status = zones.get("early").await?.status.context("no status")?;
    ensure!(is_ready(&status), "{:?}", status.conditions);
    // As it was meant, and nothing more will come.
    for name in ["planned", "paused"] {
        flux.says(name, "True", "applied revision").await?;
    }
    flux.kinds_stay().await?;
    operator.terminate().await?;
    cluster.stop().await
}

impl Git<'_> {
    /// The kinds that left Git stay in the cluster, with every landing zone. What left beside them goes.
    async fn kinds_stay(&self) -> Result<()> {
        let folder = self.0.folder().join("kinds");
        fs::create_dir_all(&folder)?;
        let from = workspace::root().join("crds");
        let mut names = Vec::new();
        for definition in read_manifests(&from)? {
            let name = definition.name_any();
            fs::write(
                folder.join(format!("{name}.json")),
                serde_json::to_string(&definition)?,
            )?;
            names.push(name);
        }
        ensure!(names.len() == 2, "{names:?}");
        let settings = |name: &str| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": "default"},
            })
        };
        let write =
            |name: &str| fs::write(folder.join("settings.json"), settings(name).to_string());
        let kustomization = |resources: &[String]| {
            let text = json!({
                "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
                "resources": resources,
            });
            fs::write(folder.join("kustomization.yaml"), text.to_string())
        };
        let mut resources: Vec<String> = names.iter().map(|it| format!("{it}.json")).collect();
        resources.push("settings.json".to_owned());
        kustomization(&resources)?;
        write("goes")?;
        self.0.commit().await?;
        self.kustomize("kinds").await?;
        self.says("kinds", "True", "applied revision").await?;
        let definitions: Api<CustomResourceDefinition> = Api::all(self.0.client());
        for name in &names {
            let labels = definitions.get(name).await?.metadata.labels;
            let labels = labels.unwrap_or_default();
            let of_flux = labels.get("kustomize.toolkit.fluxcd.io/name");
            ensure!(of_flux.is_some_and(|it| it == "kinds"), "{labels:?}");
        }

        write("stays")?;
        kustomization(&["settings.json".to_owned()])?;
        self.0.commit().await?;
        let maps: Api<ConfigMap> = Api::namespaced(self.0.client(), "default");
        eventually(SOON, "what left Git to be pruned", async || {
            let (goes, stays) = (maps.get_opt("goes").await?, maps.get_opt("stays").await?);
            Ok((goes.is_none() && stays.is_some()).then_some(()))
        })
        .await?;
        holds_for(THREE_INTERVALS, "the kinds are there", async || {
            for name in &names {
                let found = definitions.get(name).await?;
                ensure!(found.metadata.deletion_timestamp.is_none(), "{name}");
            }
            Ok(())
        })
        .await
    }
}

pub async fn flux_waits_fails_fast_prunes_and_leaves_alone(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.governed;
    let flux = Git::start(&governed.cluster, &fixture.kustomize_controller).await?;
    let namespaces: Api<Namespace> = Api::all(governed.client());
    let taken = serde_json::from_value(json!({"metadata": {"name": "taken"}}))?;
    namespaces.create(&PostParams::default(), &taken).await?;
    flux.write("good", Some(spec("good", "good-web")))?;
    flux.write("bad", Some(spec("bad", "taken")))?;
    flux.0.commit().await?;

    // Ready when ours is.
    flux.kustomize("good").await?;
    flux.says("good", "True", "applied revision").await?;
    let zones: Api<LandingZone> = governed.zones();
    // Not a moment before.
    let status = zones.get("good").await?.status.context("no status")?;
    ensure!(is_ready(&status), "{:?}", status.conditions);

    // What only an edit helps fails at once.
    let asked = Instant::now();
    flux.kustomize("bad").await?;
    flux.says("bad", "False", "landingzone/bad").await?;
    println!("failed {:?} after it was declared", asked.elapsed());
    flux.write("bad", Some(spec("bad", "bad-web")))?;
    flux.0.commit().await?;
    flux.says("bad", "True", "applied revision").await?;

    // Neither of the two undoes what the other does.
    let before = zones.get("good").await?.metadata.resource_version;
    let log = governed.cluster.audit_log();
    let mark = log.mark()?;
    holds_for(THREE_INTERVALS, "nobody writes", async || {
        let now = zones.get("good").await?.metadata.resource_version;
        ensure!(now == before, "the landing zone was written");
        let writes = log.writes_by(governed.operator_user(), mark)?;
        let about_it: Vec<_> = writes
            .iter()
            .filter(|it| it.request_uri.contains("good"))
            .collect();
        ensure!(about_it.is_empty(), "{about_it:#?}");
        Ok(())
    })
    .await?;

    // Out of Git, out of the cluster, but nothing that it stood for.
    let namespace = namespaces.get("good-web").await?;
    let owned = owned_by(&governed.client(), "good").await?;
    ensure!(owned.len() > 2, "{:?}", owned.keys());
    flux.write("good", None)?;
    flux.0.commit().await?;
    eventually(CONVERGED, "the landing zone to be pruned", async || {
        Ok(zones.get_opt("good").await?.is_none().then_some(()))
    })
    .await?;
    ensure!(status.inventory.len() > 2, "{:?}", status.inventory);
    let after = namespaces.get("good-web").await?;
    ensure!(
        after.metadata.uid == namespace.metadata.uid,
        "another namespace"
    );
    ensure!(
        after.metadata.deletion_timestamp.is_none(),
        "it is being deleted"
    );
    holds_for(THREE_INTERVALS, "all of it is there", async || {
        let after = owned_by(&governed.client(), "good").await?;
        ensure!(
            after == owned,
            "{:?} became {:?}",
            owned.keys(),
            after.keys()
        );
        Ok(())
    })
    .await
}
