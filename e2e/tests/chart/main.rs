//! The chart, by the real Helm: it renders what `config/` says, is installed, upgraded, rolled back and taken away, and nothing
//! that it made possible goes with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{ExitCode, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::binaries::{OperatorBinaries, Profile, helm};
use e2e::governed::CONVERGED;
use e2e::install::{install_calico_crds, parse_manifests};
use e2e::kustomize::{self, Overlay};
use e2e::operator::OPERATOR_USER;
use e2e::process::command_that_dies_with_us;
use e2e::progress::Progress;
use e2e::scenario::{self, Shared};
use e2e::{ClusterOptions, LocalCluster, OperatorOptions, OperatorProcess, eventually};
use e2e::{cert_manager, scenarios, workspace};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, ListParams, PostParams};
use kube::{Api, ResourceExt};
use landing_zone_operator::api::LandingZone;
use serde_json::{Value, json};

mod certificate;
mod effects;
mod installed;
mod monitors;
mod stored;
mod upgrade;
mod values;

use certificate::cert_manager_is_a_value_here_and_a_component_there;
use installed::{
    kustomize_takes_no_landing_zone_away, the_operator_has_seats_of_its_own,
    the_pods_run_on_the_system_pool,
};
use stored::{
    objects_of_the_first_schema_are_understood, stored_objects_survive_newer_definitions,
};
use upgrade::{WITH_A_BUILD, an_upgrade_and_the_way_back_lose_nothing};
use values::{
    every_value_changes_what_it_says_and_nothing_else, roles_are_handed_out_by_name,
    the_pod_may_do_nothing_that_it_need_not, values_change_what_they_say,
};

const CHART: &str = "charts/landing-zone-operator";
const RELEASE: &str = "landing-zone-operator";
const NAMESPACE: &str = "landing-zone-system";
const LONG: Duration = Duration::from_mins(3);
/// What is for everybody, as folders.
const RESOURCES: [&str; 2] = ["crds", "config"];
/// What is not for everybody, as values; cert-manager by itself.
const WITH_EVERYTHING: [&str; 9] = [
    "placement.install=Always",
    "azure.namespace=azure-resources",
    "azure.karpenter=true",
    "eviction.allow=true",
    "namespaceDeletion.allow=true",
    "prometheus.rules=true",
    "prometheus.serviceMonitor=true",
    "prometheus.podMonitor=true",
    "prometheus.azurePodMonitor=true",
];

/// Helm and the operator, built once before the tests.
struct Built {
    helm: PathBuf,
    operator: PathBuf,
    kubectl: PathBuf,
}

impl Shared for Built {
    async fn start() -> Result<Self> {
        let progress = Progress::new();
        let building = tokio::task::spawn_blocking(move || {
            anyhow::Ok(Self {
                helm: helm(&progress)?,
                operator: OperatorBinaries::ensure(Profile::Test)?.operator,
                kubectl: e2e::binaries::ControlPlaneBinaries::ensure(&progress)?.kubectl,
            })
        });
        building.await?
    }

    async fn stop(self) -> Result<()> {
        Ok(())
    }
}

impl Built {
    /// Runs Helm, without a cluster unless it is told of one.
    fn helm(&self, cluster: Option<&LocalCluster>, arguments: &[&str]) -> Result<Output> {
        let folder = workspace::state().join("helm");
        let mut command = command_that_dies_with_us(&self.helm);
        command.current_dir(workspace::root()).args(arguments);
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(name, &folder);
        }
        command.env("KUBECONFIG", "");
        if let Some(cluster) = cluster {
            command.env("KUBECONFIG", cluster.kubeconfig().path());
        }
        command.output().context("failed to run Helm")
    }

    /// What Helm writes, where it succeeds.
    fn said(&self, cluster: Option<&LocalCluster>, arguments: &[&str]) -> Result<String> {
        let output = self.helm(cluster, arguments)?;
        ensure!(
            output.status.success(),
            "helm {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The objects that the chart renders to.
    fn rendered(&self, arguments: &[&str]) -> Result<Vec<DynamicObject>> {
        let mut all = vec!["template", RELEASE, CHART, "--namespace", NAMESPACE];
        all.extend(arguments);
        parse_manifests(&self.said(None, &all)?)
    }

    /// What the chart says of bad values.
    fn refusal(&self, arguments: &[&str]) -> Result<String> {
        let mut all = vec!["template", RELEASE, CHART];
        all.extend(arguments);
        let output = self.helm(None, &all)?;
        ensure!(!output.status.success(), "{arguments:?} is accepted");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The objects of a folder of `config/`, as kustomize builds it.
    fn kustomized(&self, folder: &str) -> Result<Vec<DynamicObject>> {
        kustomize::build(&self.kubectl, &workspace::root().join(folder))
    }

    async fn start(&self, cluster: &LocalCluster) -> Result<OperatorProcess> {
        let options = OperatorOptions::default();
        let operator =
            OperatorProcess::start_binary(cluster, self.operator.clone(), options).await?;
        operator.wait_until_ready(CONVERGED).await?;
        Ok(operator)
    }
}

/// Objects by kind, namespace and name, without what only Helm reads.
fn by_name(objects: Vec<DynamicObject>) -> Result<BTreeMap<String, Value>> {
    let mut named = BTreeMap::new();
    for mut object in objects {
        if let Some(annotations) = &mut object.metadata.annotations {
            annotations.remove("helm.sh/resource-policy");
            if annotations.is_empty() {
                object.metadata.annotations = None;
            }
        }
        let kind = &object
            .types
            .as_ref()
            .context("an object without a kind")?
            .kind;
        let namespace = object.namespace().unwrap_or_default();
        // There are kinds of one name in several groups.
        let group = match kind.as_str() {
            "PodMonitor" => object.types.as_ref().map_or("", |it| &it.api_version),
            _ => "",
        };
        let name = format!("{kind}{group} {namespace}/{}", object.name_any());
        let value = with_plain_numbers(serde_json::to_value(&object)?);
        ensure!(
            named.insert(name.clone(), value).is_none(),
            "{name} is there twice"
        );
    }
    Ok(named)
}

/// The same, with 1 for 1.0: kustomize writes numbers anew.
fn with_plain_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(number) => json!(number),
            None => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(with_plain_numbers).collect(),
        Value::Object(fields) => {
            let plain = |(key, value)| (key, with_plain_numbers(value));
            Value::Object(fields.into_iter().map(plain).collect())
        }
        other => other,
    }
}

async fn the_chart_is_without_faults(built: &Built) -> Result<()> {
    let said = built.said(None, &["lint", "--strict", CHART])?;
    ensure!(said.contains("0 chart(s) failed"), "{said}");
    Ok(())
}

/// Fails where the chart and kustomize differ in more than the namespace, which Helm makes itself.
pub fn are_the_same(chart: &BTreeMap<String, Value>, kustomize: Vec<DynamicObject>) -> Result<()> {
    let mut kustomize = by_name(kustomize)?;
    kustomize
        .remove(&format!("Namespace /{NAMESPACE}"))
        .context("no namespace")?;
    let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
    ensure!(
        names(chart) == names(&kustomize),
        "{:?}\n{:?}",
        names(chart),
        names(&kustomize)
    );
    for (name, object) in chart {
        let other = &kustomize[name];
        ensure!(object == other, "{name}: {object:#}\n{other:#}");
    }
    Ok(())
}

async fn chart_and_kustomize_render_the_same(built: &Built) -> Result<()> {
    let chart = by_name(built.rendered(&[])?)?;
    let folder = workspace::state().join("kustomize");
    let usual = Overlay {
        resources: &RESOURCES,
        ..Overlay::default()
    };
    are_the_same(&chart, usual.build(&built.kubectl, &folder.join("usual"))?)?;

    // What is not for everybody is a value here and a component there.
    let values = WITH_EVERYTHING.iter().flat_map(|it| ["--set", it]);
    let chart = by_name(built.rendered(&values.collect::<Vec<_>>())?)?;
    let everything = Overlay {
        resources: &RESOURCES,
        components: &[
            "config/azure",
            "config/eviction",
            "config/karpenter",
            "config/namespace-deletion",
            "config/placement",
            "config/prometheus/azure-pod-monitor",
            "config/prometheus/pod-monitor",
            "config/prometheus/rules",
            "config/prometheus/service-monitor",
        ],
        ..Overlay::default()
    };
    are_the_same(
        &chart,
        everything.build(&built.kubectl, &folder.join("everything"))?,
    )
}

/// What everybody fears of an operator: that it takes everything with it.
/// What Helm does not do for `crds/`: a newer chart brings newer definitions, and the way back takes them back.
async fn definitions_follow_the_chart(built: &Built, cluster: &LocalCluster) -> Result<()> {
    const FIELD: &str = "fromTheNextVersion";
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client());
    let knows_it = async || -> Result<bool> {
        let found = definitions.get("landingzones.landingzones.dev").await?;
        Ok(serde_json::to_string(&found.spec)?.contains(FIELD))
    };
    let next = cluster.directory().join("next-chart");
    let copied = std::process::Command::new("cp")
        .args(["--recursive", "--dereference"])
        .args([workspace::root().join(CHART), next.clone()])
        .status()?;
    ensure!(copied.success(), "{copied}");
    let path = next.join("files/crds/landingzones.dev_landingzones.yaml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let of_the_code = "              applicationCode:\n";
    ensure!(text.matches(of_the_code).count() == 1, "{}", path.display());
    let new = format!("              {FIELD}:\n                type: string\n{of_the_code}");
    fs::write(&path, text.replace(of_the_code, &new))?;
    let next = next.to_str().context("a path that is no text")?;
    ensure!(!knows_it().await?, "{FIELD} is there already");
    built.said(Some(cluster), &["upgrade", RELEASE, next, "-n", NAMESPACE])?;
    ensure!(knows_it().await?, "helm upgrade left the old definition");
    built.said(Some(cluster), &["rollback", RELEASE, "-n", NAMESPACE])?;
    ensure!(!knows_it().await?, "helm rollback left the new definition");
    Ok(())
}

async fn nothing_goes_with_the_release(built: &Built) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    let client = cluster.client();
    install_calico_crds(&client).await?;
    // Held to the strictest standard before there is any pod.
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let restricted = json!({"metadata": {
        "name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    }});
    namespaces
        .create(&PostParams::default(), &serde_json::from_value(restricted)?)
        .await?;
    let install = [
        "install",
        RELEASE,
        CHART,
        "-n",
        NAMESPACE,
        "--create-namespace",
    ];
    let notes = built.said(Some(&cluster), &install)?;
    ensure!(
        notes.contains("rollout status deployment/landing-zone-operator"),
        "{notes}"
    );
    the_pod_is_admitted(&cluster).await?;

    // With the rights that the chart gives it.
    let began = cluster.audit_log().mark()?;
    let operator = built.start(&cluster).await?;
    let zones: Api<LandingZone> = Api::all(client.clone());
    let spec = serde_json::from_value(json!({
        "applicationCode": "shop", "namespaces": [{"name": "shop-web", "zone": "frontend"}],
    }))?;
    zones
        .create(&PostParams::default(), &LandingZone::new("shop", spec))
        .await?;
    ready(&zones, "shop").await?;
    let before = namespaces.get("shop-web").await?;

    let upgrade = [
        "upgrade",
        RELEASE,
        CHART,
        "-n",
        NAMESPACE,
        "--set",
        "replicas=3",
    ];
    built.said(Some(&cluster), &upgrade)?;
    definitions_follow_the_chart(built, &cluster).await?;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let replicas = async || -> Result<Option<i32>> {
        let found = deployments.get(RELEASE).await?;
        Ok(found.spec.and_then(|spec| spec.replicas))
    };
    ensure!(replicas().await? == Some(3), "{:?}", replicas().await?);
    built.said(Some(&cluster), &["rollback", RELEASE, "1", "-n", NAMESPACE])?;
    ensure!(replicas().await? == Some(2), "{:?}", replicas().await?);
    ready(&zones, "shop").await?;
    // What it lacks would be refused.
    let asked = cluster.audit_log().since(began)?;
    let asked = asked.iter().filter(|it| it.user == OPERATOR_USER);
    let refused: Vec<_> = asked.clone().filter(|it| it.code == 403).collect();
    ensure!(
        asked.count() > 0 && refused.is_empty(),
        "refused: {refused:#?}"
    );

    built.said(Some(&cluster), &["uninstall", RELEASE, "-n", NAMESPACE])?;
    ensure!(
        deployments.get_opt(RELEASE).await?.is_none(),
        "the operator is there"
    );
    operator.kill().await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for name in [
        "landingzones.landingzones.dev",
        "landingzoneplatforms.landingzones.dev",
    ] {
        let found = definitions.get(name).await?;
        ensure!(
            found.metadata.deletion_timestamp.is_none(),
            "{name} is being deleted"
        );
    }
    let after = namespaces.get("shop-web").await?;
    ensure!(
        before.metadata.uid == after.metadata.uid,
        "the namespace is another one"
    );
    ensure!(after.metadata.deletion_timestamp.is_none(), "{after:?}");
    zones.get("shop").await?;
    let rules: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    rules.get("landing-zone-namespaces").await?;

    // And it comes back to what it left.
    built.said(Some(&cluster), &install)?;
    let operator = built.start(&cluster).await?;
    ready(&zones, "shop").await?;
    operator.terminate().await?;
    cluster.stop().await
}

/// The API server takes a pod of the Deployment in a namespace that is held to the Restricted standard.
async fn the_pod_is_admitted(cluster: &LocalCluster) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), NAMESPACE);
    eventually(CONVERGED, "the pods of the Deployment", async || {
        let found = pods
            .list(&ListParams::default().labels("app.kubernetes.io/name=landing-zone-operator"))
            .await?;
        ensure!(found.items.len() == 2, "{} pods", found.items.len());
        for pod in &found.items {
            let spec = pod.spec.as_ref().context("no spec")?;
            ensure!(spec.priority == Some(2_000_000_000), "{:?}", spec.priority);
        }
        Ok(Some(()))
    })
    .await?;

    // A pod that may a little more is refused there.
    let running = pods.list(&ListParams::default()).await?;
    let spec = &running.items.first().context("no pod")?.spec;
    let mut more = json!({"metadata": {"name": "more"}, "spec": spec});
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    pods.create(&dry, &serde_json::from_value(more.clone())?)
        .await?;
    more["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    let refused = pods.create(&dry, &serde_json::from_value(more)?).await;
    let words = refused.err().context("anything is admitted")?.to_string();
    ensure!(words.contains("restricted"), "{words}");
    Ok(())
}

async fn ready(zones: &Api<LandingZone>, name: &str) -> Result<()> {
    eventually(CONVERGED, "the landing zone to be ready", async || {
        let zone = zones.get(name).await?;
        let status = zone.status.context("no status")?;
        let ready = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == "Ready");
        let ready = ready.context("no condition")?;
        ensure!(ready.status == "True", "{}", ready.message);
        Ok(Some(()))
    })
    .await
}

/// The API server's own schemas know every field, and its rules compile.
async fn the_api_server_takes_every_object(built: &Built) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    for namespace in [NAMESPACE, "azure-resources"] {
        cluster.kubectl(["create", "namespace", namespace]).await?;
    }
    monitors::install_kinds(&cluster.client()).await?;
    is_taken(built, &cluster, &WITH_EVERYTHING).await?;
    cert_manager::install_kinds(&cluster.client()).await?;
    let own = ["guard.certManager.enabled=true"];
    is_taken(built, &cluster, &own).await?;
    let others: Vec<&str> = own.into_iter().chain(certificate::BY_OTHERS).collect();
    is_taken(built, &cluster, &others).await?;
    cluster.stop().await
}

/// The API server takes what the chart renders with these values, and knows every field of it.
async fn is_taken(built: &Built, cluster: &LocalCluster, values: &[&str]) -> Result<()> {
    let arguments = values.iter().flat_map(|value| ["--set", value]);
    let mut template = vec!["template", RELEASE, CHART, "--namespace", NAMESPACE];
    template.extend(arguments);
    let text = built.said(None, &template)?;
    let count = parse_manifests(&text)?.len();
    let file = cluster.directory().join("chart.yaml");
    std::fs::write(&file, &text)?;
    let file = file.to_str().context("a path that is no text")?;
    let said = cluster
        .kubectl([
            "apply",
            "--server-side",
            "--dry-run=server",
            "--validate=strict",
            "-f",
            file,
        ])
        .await?;
    ensure!(
        said.lines().count() == count,
        "{values:?}: {count} objects, but: {said}"
    );
    Ok(())
}

fn main() -> ExitCode {
    scenario::run::<Built>(scenarios![
        the_chart_is_without_faults,
        chart_and_kustomize_render_the_same,
        every_value_changes_what_it_says_and_nothing_else within LONG,
        roles_are_handed_out_by_name,
        values_change_what_they_say,
        the_pod_may_do_nothing_that_it_need_not,
        cert_manager_is_a_value_here_and_a_component_there,
        the_api_server_takes_every_object within LONG,
        nothing_goes_with_the_release within LONG,
        kustomize_takes_no_landing_zone_away within LONG,
        the_operator_has_seats_of_its_own within LONG,
        the_pods_run_on_the_system_pool within LONG,
        stored_objects_survive_newer_definitions within LONG,
        objects_of_the_first_schema_are_understood within LONG,
        an_upgrade_and_the_way_back_lose_nothing within WITH_A_BUILD,
    ])
}
