//! The local cluster itself: that it is what the other tests take it for.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use e2e::{
    ClusterOptions, LocalCluster,
    audit::{Mark, Stage},
    binaries::{OperatorBinaries, Profile},
    cluster::{AdmissionPlugins, Audit, Taint},
    eventually, install,
    scenario::{self, Shared, skip},
    scenarios,
};
use k8s_openapi::api::core::v1::{Container, Namespace, Pod, PodSpec, ServiceAccount, Toleration};
use kube::{
    Api,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};

const SHORT: Duration = Duration::from_secs(15);
/// For what starts a cluster of its own.
const LONG: Duration = Duration::from_mins(2);

struct Fixture {
    cluster: LocalCluster,
}

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        Ok(Self {
            cluster: LocalCluster::start(ClusterOptions::default()).await?,
        })
    }

    async fn stop(self) -> Result<()> {
        self.cluster.stop().await
    }
}

fn main() -> ExitCode {
    scenario::run::<Fixture>(scenarios![
        the_pinned_release_is_served,
        mutating_admission_policies_are_served,
        the_controller_manager_works,
        a_pod_is_placed_by_the_annotations_of_its_namespace,
        a_taint_keeps_pods_away,
        a_namespace_with_placed_pods_can_be_deleted,
        the_audit_log_counts_requests,
        a_user_has_only_the_rights_of_its_groups,
        a_service_account_has_a_kubeconfig,
        kubectl_works,
        calicos_kinds_are_installed,
        the_operator_is_built within LONG,
        the_api_server_restarts within LONG,
        clusters_run_side_by_side_and_leave_nothing within LONG,
        a_killed_parent_takes_its_children_along within LONG,
    ])
}

async fn the_pinned_release_is_served(fixture: &Fixture) -> Result<()> {
    let version = fixture.cluster.client().apiserver_version().await?;
    let served = version.git_version;
    // Another one is chosen for all tests, from outside.
    let chosen = std::env::var("KUBERNETES_VERSION").unwrap_or_else(|_| "1.37".to_owned());
    ensure!(
        served.starts_with(&format!("v{chosen}.")),
        "the API server is {served}"
    );
    ensure!(served == fixture.cluster.version());
    Ok(())
}

async fn mutating_admission_policies_are_served(fixture: &Fixture) -> Result<()> {
    let version = fixture.cluster.version();
    if version.starts_with("v1.33.") {
        return skip(format!("Kubernetes {version} has none in v1"));
    }
    let resources = fixture
        .cluster
        .client()
        .list_api_group_resources("admissionregistration.k8s.io/v1")
        .await?;
    for kind in ["MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"] {
        ensure!(
            resources.resources.iter().any(|r| r.kind == kind),
            "{kind} is not served"
        );
    }
    Ok(())
}

async fn the_controller_manager_works(fixture: &Fixture) -> Result<()> {
    let namespace = create_namespace(&fixture.cluster, "controllers", &[]).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(fixture.cluster.client(), &namespace);
    eventually(SHORT, "the default service account", async || {
        Ok(accounts.get_opt("default").await?)
    })
    .await?;
    Ok(())
}

async fn a_pod_is_placed_by_the_annotations_of_its_namespace(fixture: &Fixture) -> Result<()> {
    let cluster = &fixture.cluster;
    cluster
        .create_node("placed-elsewhere", &[("stack", "other")], &[])
        .await?;
    cluster
        .create_node("placed-here", &[("stack", "placed")], &[])
        .await?;
    let selector = (
        "scheduler.alpha.kubernetes.io/node-selector",
        "stack=placed",
    );
    let namespace = create_namespace(cluster, "placed", &[selector]).await?;

    create_pod(cluster, &namespace, "plain", PodSpec::default()).await?;
    let node = node_of(cluster, &namespace, "plain").await?;
    ensure!(node == "placed-here", "the pod is on {node}");

    let elsewhere = PodSpec {
        node_selector: Some(BTreeMap::from([("stack".to_owned(), "other".to_owned())])),
        ..PodSpec::default()
    };
    let refused = create_pod(cluster, &namespace, "rebel", elsewhere).await;
    ensure!(
        refused.is_err(),
        "a pod got past the selector of its namespace"
    );
    Ok(())
}

async fn a_taint_keeps_pods_away(fixture: &Fixture) -> Result<()> {
    let cluster = &fixture.cluster;
    let taint = Taint {
        key: "pool".to_owned(),
        value: Some("tainted".to_owned()),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    cluster
        .create_node("tainted", &[("pool", "tainted")], &[taint])
        .await?;
    let namespace = create_namespace(cluster, "tainted", &[]).await?;
    let to_the_pool = PodSpec {
        node_selector: Some(BTreeMap::from([("pool".to_owned(), "tainted".to_owned())])),
        ..PodSpec::default()
    };
    create_pod(cluster, &namespace, "without", to_the_pool.clone()).await?;
    let tolerant = PodSpec {
        tolerations: Some(vec![Toleration {
            key: Some("pool".to_owned()),
            operator: Some("Exists".to_owned()),
            ..Toleration::default()
        }]),
        ..to_the_pool
    };
    create_pod(cluster, &namespace, "with", tolerant).await?;
    node_of(cluster, &namespace, "with").await?;

    let pods: Api<Pod> = Api::namespaced(cluster.client(), &namespace);
    eventually(
        SHORT,
        "the pod without toleration to be turned away",
        async || {
            let conditions = pods
                .get("without")
                .await?
                .status
                .and_then(|status| status.conditions);
            let refused = conditions.unwrap_or_default().into_iter().find(|c| {
                c.type_ == "PodScheduled" && c.reason.as_deref() == Some("Unschedulable")
            });
            Ok(refused)
        },
    )
    .await?;
    Ok(())
}

async fn a_namespace_with_placed_pods_can_be_deleted(fixture: &Fixture) -> Result<()> {
    let cluster = &fixture.cluster;
    cluster
        .create_node("deleted", &[("stack", "deleted")], &[])
        .await?;
    let selector = (
        "scheduler.alpha.kubernetes.io/node-selector",
        "stack=deleted",
    );
    let namespace = create_namespace(cluster, "deleted", &[selector]).await?;
    create_pod(cluster, &namespace, "pod", PodSpec::default()).await?;
    node_of(cluster, &namespace, "pod").await?;

    let namespaces: Api<Namespace> = Api::all(cluster.client());
    namespaces
        .delete(&namespace, &DeleteParams::default())
        .await?;
    cluster.delete_pods(&namespace).await?;
    eventually(SHORT, "the namespace to be gone", async || {
        Ok(namespaces
            .get_opt(&namespace)
            .await?
            .is_none()
            .then_some(()))
    })
    .await
}

async fn the_audit_log_counts_requests(fixture: &Fixture) -> Result<()> {
    let log = fixture.cluster.audit_log();
    let mark = log.mark()?;
    let client = fixture
        .cluster
        .client_as_user("auditor", &["system:masters"])
        .await?;
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.list(&ListParams::default()).await?;
    let audited = namespace_named("audited", &[]);
    namespaces.create(&PostParams::default(), &audited).await?;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    namespaces
        .create(&dry, &namespace_named("imagined", &[]))
        .await?;

    let requests = eventually(SHORT, "three requests in the audit log", async || {
        let requests = log.requests_by("auditor", mark)?;
        ensure!(requests.len() >= 3, "{} requests", requests.len());
        Ok(Some(requests))
    })
    .await?;
    let verbs: Vec<&str> = requests.iter().map(|event| event.verb.as_str()).collect();
    ensure!(
        verbs == ["list", "create", "create"],
        "the audit log holds {verbs:?}"
    );
    let writes = log.writes_by("auditor", mark)?;
    let [write] = writes.as_slice() else {
        anyhow::bail!("writes: {writes:?}")
    };
    ensure!(
        write.resource == "namespaces" && write.name == "audited",
        "{write:?}"
    );
    ensure!(
        write.code == 201 && write.stage == Stage::ResponseComplete,
        "{write:?}"
    );
    ensure!(log.since(Mark::default())?.len() > requests.len());
    Ok(())
}

async fn a_user_has_only_the_rights_of_its_groups(fixture: &Fixture) -> Result<()> {
    let nobody = fixture
        .cluster
        .client_as_user("developer", &["team-shop"])
        .await?;
    let error = match Api::<Namespace>::all(nobody)
        .list(&ListParams::default())
        .await
    {
        Err(kube::Error::Api(status)) => status,
        other => anyhow::bail!("a user without rights got {other:?}"),
    };
    ensure!(
        error.code == 403 && error.message.contains("\"developer\""),
        "{error:?}"
    );
    Ok(())
}

async fn a_service_account_has_a_kubeconfig(fixture: &Fixture) -> Result<()> {
    let namespace = create_namespace(&fixture.cluster, "accounts", &[]).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(fixture.cluster.client(), &namespace);
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some("robot".to_owned()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    accounts.create(&PostParams::default(), &account).await?;
    let kubeconfig = fixture
        .cluster
        .kubeconfig_for_service_account(&namespace, "robot")
        .await?;
    let robot = kubeconfig.client().await?;
    let error = match Api::<Namespace>::all(robot)
        .list(&ListParams::default())
        .await
    {
        Err(kube::Error::Api(status)) => status,
        other => anyhow::bail!("a service account without rights got {other:?}"),
    };
    let name = format!("system:serviceaccount:{namespace}:robot");
    ensure!(
        error.code == 403 && error.message.contains(&name),
        "{error:?}"
    );
    Ok(())
}

async fn kubectl_works(fixture: &Fixture) -> Result<()> {
    let version = fixture
        .cluster
        .kubectl(["version", "--output=json"])
        .await?;
    let version: serde_json::Value = serde_json::from_str(&version)?;
    for side in ["clientVersion", "serverVersion"] {
        let said = version[side]["gitVersion"].as_str();
        ensure!(said == Some(fixture.cluster.version()), "{version}");
    }
    let refused = fixture
        .cluster
        .kubectl(["get", "namespace", "nowhere"])
        .await;
    let error = refused.err().context("kubectl found what is not there")?;
    ensure!(format!("{error:#}").contains("NotFound"), "{error:#}");
    Ok(())
}

async fn calicos_kinds_are_installed(fixture: &Fixture) -> Result<()> {
    let client = fixture.cluster.client();
    install::install_calico_crds(&client).await?;
    let resources = client
        .list_api_group_resources("crd.projectcalico.org/v1")
        .await?;
    let serves = |kind: &str| resources.resources.iter().any(|r| r.kind == kind);
    ensure!(
        serves("GlobalNetworkPolicy") && serves("NetworkPolicy"),
        "{resources:?}"
    );
    ensure!(!serves("Tier"), "Calico 3.28 has no tiers");
    let version = [
        "get",
        "clusterinformations.crd.projectcalico.org",
        "default",
        "--output",
    ];
    let version = version
        .into_iter()
        .chain(["jsonpath={.spec.calicoVersion}"]);
    let version = fixture.cluster.kubectl(version).await?;
    ensure!(version.starts_with("v3.28."), "the cluster says {version}");
    Ok(())
}

async fn the_operator_is_built(_: &Fixture) -> Result<()> {
    let build = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test));
    let binaries = build.await??;
    for binary in [binaries.operator, binaries.plugin] {
        let folder = binary.parent().and_then(Path::file_name);
        ensure!(
            folder.is_some_and(|f| f == "debug"),
            "{} is a test",
            binary.display()
        );
        ensure!(binary.is_file(), "{} is not there", binary.display());
    }
    Ok(())
}

async fn the_api_server_restarts(_: &Fixture) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    create_namespace(&cluster, "survivor", &[]).await?;
    cluster.stop_apiserver().await?;
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    ensure!(
        namespaces.get("survivor").await.is_err(),
        "the API server answers after its end"
    );
    cluster.start_apiserver().await?;
    namespaces
        .get("survivor")
        .await
        .context("the state was lost")?;
    cluster.restart_apiserver().await?;
    namespaces
        .get("survivor")
        .await
        .context("the state was lost")?;
    cluster.ensure_running().await?;
    cluster.stop().await
}

async fn clusters_run_side_by_side_and_leave_nothing(fixture: &Fixture) -> Result<()> {
    let options = ClusterOptions {
        audit: Audit::Off,
        admission_plugins: AdmissionPlugins::None,
        ..ClusterOptions::default()
    };
    let other = LocalCluster::start(options).await?;
    let namespace = create_namespace(&other, "only-here", &[]).await?;
    let here: Api<Namespace> = Api::all(fixture.cluster.client());
    ensure!(
        here.get_opt(&namespace).await?.is_none(),
        "two clusters share their state"
    );

    let processes = other.process_ids().await;
    ensure!(processes.len() == 4 && processes.iter().all(|&id| is_alive(id)));
    let directory = other.directory().to_path_buf();
    other.stop().await?;
    ensure!(
        !processes.iter().any(|&id| is_alive(id)),
        "a process is left"
    );
    ensure!(!directory.exists(), "{} is left", directory.display());
    Ok(())
}

async fn a_killed_parent_takes_its_children_along(_: &Fixture) -> Result<()> {
    let starting = tokio::task::spawn_blocking(|| {
        let mut parent = Command::new(env!("CARGO_BIN_EXE_local-cluster"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start a parent")?;
        let stdout = parent.stdout.take().context("the parent has no output")?;
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .context("failed to listen to the parent")?;
        anyhow::Ok((parent, line))
    });
    let (mut parent, line) = starting.await??;
    let place: serde_json::Value = serde_json::from_str(&line).context("no cluster started")?;
    let processes: Vec<u32> = serde_json::from_value(place["processes"].clone())?;
    ensure!(
        processes.len() == 4 && processes.iter().all(|&id| is_alive(id)),
        "{place}"
    );

    parent.kill().context("failed to kill the parent")?;
    parent.wait().context("failed to wait for the parent")?;
    eventually(SHORT, "the children to be gone", async || {
        let left: Vec<&u32> = processes.iter().filter(|&&id| is_alive(id)).collect();
        ensure!(left.is_empty(), "left: {left:?}");
        Ok(Some(()))
    })
    .await
}

/// Whether a process runs; one that has ended and waits for its parent does not.
fn is_alive(id: u32) -> bool {
    std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat"))
        .ok()
        .and_then(|stat| {
            stat.rsplit_once(") ")
                .map(|(_, rest)| !rest.starts_with('Z'))
        })
        .unwrap_or(false)
}

fn namespace_named(name: &str, annotations: &[(&str, &str)]) -> Namespace {
    let annotations = annotations
        .iter()
        .map(|&(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

async fn create_namespace(
    cluster: &LocalCluster,
    name: &str,
    annotations: &[(&str, &str)],
) -> Result<String> {
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    namespaces
        .create(&PostParams::default(), &namespace_named(name, annotations))
        .await?;
    Ok(name.to_owned())
}

/// Creates a pod; admission wants the default service account to be there first.
async fn create_pod(
    cluster: &LocalCluster,
    namespace: &str,
    name: &str,
    spec: PodSpec,
) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), namespace);
    eventually(SHORT, "the default service account", async || {
        Ok(accounts.get_opt("default").await?)
    })
    .await?;
    let container = Container {
        name: "app".to_owned(),
        image: Some("example.invalid/app:1".to_owned()),
        ..Container::default()
    };
    let pod = Pod {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            containers: vec![container],
            ..spec
        }),
        ..Pod::default()
    };
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    pods.create(&PostParams::default(), &pod)
        .await
        .context("failed to create a pod")?;
    Ok(())
}

async fn node_of(cluster: &LocalCluster, namespace: &str, pod: &str) -> Result<String> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    eventually(SHORT, "the pod to be placed", async || {
        Ok(pods.get(pod).await?.spec.and_then(|spec| spec.node_name))
    })
    .await
}
