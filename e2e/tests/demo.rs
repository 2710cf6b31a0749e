//! The demo, as a user runs it: that it ends well, that it does not when something fails, and that
//! it leaves nothing behind.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ExitCode, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use e2e::{
    ClusterOptions, LocalCluster,
    binaries::{OperatorBinaries, Profile},
    eventually,
    install::{apply_objects, install_calico_crds, parse_manifests},
    prerequisites::PacketFilter,
    process::{command_that_dies_with_us, last_lines, spawn},
    scenario::{self, Shared},
    scenarios,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{ListParams, ObjectMeta, PostParams},
};
use landing_zone_operator::api::LandingZone;

const SHORT: Duration = Duration::from_secs(15);
/// Each demo starts a cluster, or tears namespaces down.
const LONG: Duration = Duration::from_mins(4);

struct Fixture {
    operator: PathBuf,
}

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        let build = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test));
        let operator = build.await??.operator;
        Ok(Self { operator })
    }

    async fn stop(self) -> Result<()> {
        Ok(())
    }
}

fn main() -> ExitCode {
    scenario::run::<Fixture>(scenarios![
        a_demo_shows_everything_and_ends_well within LONG,
        a_cluster_of_the_users_is_left_as_it_was within LONG,
        a_repair_that_is_refused_fails_the_demo within LONG,
        an_unknown_context_is_named within LONG,
        a_killed_demo_leaves_nothing within LONG,
    ])
}

async fn a_demo_shows_everything_and_ends_well(fixture: &Fixture) -> Result<()> {
    let page = read(run(fixture, &["--packets"], None).await?)?;
    ensure!(page.code == Some(0), "{page}");
    let matrix = match tokio::task::spawn_blocking(PacketFilter::ensure).await?? {
        PacketFilter::Ready => [
            "✓ Nothing is denied: everybody reaches everybody.",
            "✓ What the file declares gets through, and DNS.",
        ],
        PacketFilter::OutOfReach(_) => ["Who reaches whom is not shown"; 2],
    };
    for line in matrix {
        ensure!(page.text.contains(line), "no {line:?} in:\n{page}");
    }
    for line in [
        "application2  code application2, stage Enforce, policies as crd.projectcalico.org/v1",
        "frontend → backend TCP 8080",
        "backend → data TCP 5432-5440",
        "denies what crosses the boundary, in and out",
        "nodes with stack=tenant1",
        "was put back after",
        "status names the field manager night-shift",
        "Its drift count is 4",
        "✓ The team's own policy only-the-gateway is untouched.",
        "✓ The colleague's label example.com/billing=quarterly is untouched.",
    ] {
        ensure!(page.text.contains(line), "no {line:?} in:\n{page}");
    }
    ensure!(
        !page.text.contains('✗') && page.text.contains("facts shown above held"),
        "{page}"
    );
    ensure!(
        !page.text.contains('\u{1b}'),
        "colours without a terminal:\n{page}"
    );
    let wide = page.text.lines().find(|line| line.chars().count() > 100);
    ensure!(wide.is_none(), "a line is too wide: {wide:?}");
    Ok(())
}

/// Without Calico's kinds, so that the other form of policies is shown as well.
async fn a_cluster_of_the_users_is_left_as_it_was(fixture: &Fixture) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    let page = read(run(fixture, &["--context", "local", "--yes"], Some(&cluster)).await?)?;
    ensure!(page.code == Some(0), "{page}");
    ensure!(
        page.text.contains("policies as networking.k8s.io/v1"),
        "{page}"
    );
    ensure_clean(&cluster).await?;

    // A namespace that somebody made meanwhile is nothing that the demo may remove.
    let theirs = Namespace {
        metadata: ObjectMeta {
            name: Some("application2-ns2".to_owned()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    namespaces.create(&PostParams::default(), &theirs).await?;
    let page = read(run(fixture, &["--context", "local", "--yes"], Some(&cluster)).await?)?;
    ensure!(
        page.code == Some(1) && page.errors.contains("application2-ns2 exists"),
        "{page}"
    );
    let kept = namespaces.get("application2-ns2").await?;
    ensure!(kept.metadata.deletion_timestamp.is_none());
    cluster.stop().await
}

async fn a_repair_that_is_refused_fails_the_demo(fixture: &Fixture) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    install_calico_crds(&cluster.client()).await?;
    let refusal = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-repairs}
spec:
  matchConstraints:
    resourceRules:
    - apiGroups: [rbac.authorization.k8s.io]
      apiVersions: [v1]
      operations: [UPDATE]
      resources: [rolebindings]
  validations:
  - expression: request.userInfo.username != 'system:serviceaccount:landing-zone-system:landing-zone-operator'
    message: not today
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-repairs}
spec: {policyName: no-repairs, validationActions: [Deny]}
";
    apply_objects(&cluster.client(), parse_manifests(refusal)?).await?;
    let page = read(run(fixture, &["--context", "local", "--yes"], Some(&cluster)).await?)?;
    ensure!(page.code == Some(1), "{page}");
    let failed = "✗ RoleBinding/application2-ns1/landing-zone-edit was put back. But:";
    ensure!(page.text.contains(failed), "{page}");
    ensure!(page.text.contains("did not hold"), "{page}");
    // The others were, and a failure is no reason to leave things behind.
    let repaired = "✓ ResourceQuota/application2-ns1/landing-zone was put back within";
    ensure!(page.text.contains(repaired), "{page}");
    ensure_clean(&cluster).await?;
    cluster.stop().await
}

async fn an_unknown_context_is_named(fixture: &Fixture) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    let page = read(run(fixture, &["--context", "prod", "--yes"], Some(&cluster)).await?)?;
    ensure!(page.code == Some(1), "{page}");
    ensure!(
        page.errors.contains("no context \"prod\"; it has: local"),
        "{page}"
    );
    cluster.stop().await
}

async fn a_killed_demo_leaves_nothing(fixture: &Fixture) -> Result<()> {
    let mut demo = start(fixture, &["--keep"], None)?;
    let stdout = demo.stdout.take().context("the demo has no output")?;
    let reading = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(stdout).lines();
        // Then all of its parts run.
        lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("2. ")))
    });
    reading.await?.context("the demo ended early")??;
    let children = children_of(demo.id())?;
    ensure!(
        children.len() == 5,
        "a control plane and an operator: {children:?}"
    );
    demo.kill().context("failed to kill the demo")?;
    demo.wait().context("failed to wait for the demo")?;
    eventually(SHORT, "the children to be gone", async || {
        let left: Vec<&u32> = children.iter().filter(|&&id| has_program(id)).collect();
        ensure!(left.is_empty(), "left: {left:?}");
        Ok(Some(()))
    })
    .await
}

/// What a demo printed, and how it ended.
struct Printed {
    code: Option<i32>,
    text: String,
    errors: String,
}

impl std::fmt::Display for Printed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let errors = last_lines(&self.errors, 20);
        write!(f, "code {:?}\n{}\n{errors}", self.code, self.text)
    }
}

fn read(output: Output) -> Result<Printed> {
    Ok(Printed {
        code: output.status.code(),
        text: String::from_utf8(output.stdout)?,
        errors: String::from_utf8(output.stderr)?,
    })
}

async fn run(
    fixture: &Fixture,
    arguments: &[&str],
    cluster: Option<&LocalCluster>,
) -> Result<Output> {
    let demo = start(fixture, arguments, cluster)?;
    let folder = e2e::workspace::state()
        .join("demo")
        .join(demo.id().to_string());
    let output = tokio::task::spawn_blocking(move || demo.wait_with_output());
    let output = output.await?.context("failed to wait for the demo")?;
    ensure!(!folder.exists(), "a token is left on the disk");
    Ok(output)
}

fn start(fixture: &Fixture, arguments: &[&str], cluster: Option<&LocalCluster>) -> Result<Child> {
    let mut command = command_that_dies_with_us(env!("CARGO_BIN_EXE_demo"));
    command
        .arg("--operator")
        .arg(&fixture.operator)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(cluster) = cluster {
        command.env("KUBECONFIG", cluster.kubeconfig().path());
    }
    spawn(command).context("failed to start the demo")
}

/// Nothing is left of the landing zone.
async fn ensure_clean(cluster: &LocalCluster) -> Result<()> {
    let zones: Api<LandingZone> = Api::all(cluster.client());
    let zones = zones.list(&ListParams::default()).await?;
    ensure!(zones.items.is_empty(), "a landing zone is left");
    let owned = "--selector=landingzones.dev/landing-zone";
    let kinds = "namespaces,clusterroles,clusterrolebindings,resourcequotas,rolebindings";
    let left = cluster
        .kubectl(["get", kinds, "-A", "-o", "name", owned])
        .await?;
    ensure!(left.is_empty(), "left: {left}");
    Ok(())
}

fn children_of(parent: u32) -> Result<Vec<u32>> {
    let parent = format!("PPid:\t{parent}");
    let processes = fs::read_dir("/proc").context("failed to list processes")?;
    let ids = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |id: &u32| {
        let status = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("status"));
        status.is_ok_and(|status| status.lines().any(|line| line == parent))
    };
    Ok(ids.filter(is_child).collect())
}

/// Whether a process runs; one that has ended has no program any more, also before it is waited for.
fn has_program(id: u32) -> bool {
    fs::read_link(Path::new("/proc").join(id.to_string()).join("exe")).is_ok()
}
