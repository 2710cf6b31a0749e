//! What the operator needs and does not find.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::audit::Mark;
use e2e::governed::{CONVERGED, condition, install_calico};
use e2e::install::{apply_manifests, install_operator_manifests};
use e2e::operator::{OPERATOR_USER, operator_kubeconfig};
use e2e::owned::sample_file;
use e2e::{Calico, LocalCluster, OperatorOptions, OperatorProcess, eventually, workspace};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use landing_zone_operator::api::LandingZone;

use super::{Fixture, operator_binary};

/// Well below what Kubernetes waits before it kills.
const SOON: Duration = Duration::from_secs(5);
/// Enough to see whether each of them is logged.
const TRIES: usize = 4;

pub async fn what_is_missing_is_said_once_and_waited_for(fixture: &Fixture) -> Result<()> {
    fixture
        .alone(async |cluster| {
            let client = cluster.client();
            install_calico(&client, Calico::Storage).await?;
            let rbac = workspace::root().join("config/rbac");
            apply_manifests(&client, &rbac).await?;
            let without_bindings = forbid_role_bindings(cluster).await?;

            let log = cluster.audit_log();
            let mark = log.mark()?;
            let operator = OperatorProcess::start(cluster, OperatorOptions::default()).await?;
            eventually_complains(&operator, "landingzones.landingzones.dev installed?").await?;
            eventually_complains(
                &operator,
                "rolebindings.rbac.authorization.k8s.io is forbidden",
            )
            .await?;
            refused(cluster, mark, "landingzones").await?;
            refused(cluster, mark, "rolebindings").await?;
            for part in ["watch of LandingZone", "watch of RoleBinding"] {
                let said = warnings(&operator, part)?;
                ensure!(said.len() == 1, "said {} times: {said:#?}", said.len());
            }

            let roles: Api<ClusterRole> = Api::all(client.clone());
            let mut role = without_bindings;
            role.metadata.resource_version = None;
            roles.delete(&name(&role), &DeleteParams::default()).await?;
            roles.create(&PostParams::default(), &role).await?;
            install_operator_manifests(&client).await?;
            operator.wait_until_ready(CONVERGED).await?;
            apply_manifests(&client, &sample_file()).await?;
            eventually_ready(cluster, "application2").await?;
            operator.terminate().await?;
            Ok(())
        })
        .await
}

/// Takes the rule about role bindings away, and returns the role as it was.
async fn forbid_role_bindings(cluster: &LocalCluster) -> Result<ClusterRole> {
    let roles: Api<ClusterRole> = Api::all(cluster.client());
    let whole = roles.get("landing-zone-operator").await?;
    let mut less = whole.clone();
    for rule in less.rules.iter_mut().flatten() {
        if let Some(resources) = &mut rule.resources {
            resources.retain(|resource| resource != "rolebindings");
        }
    }
    roles
        .replace(&name(&whole), &PostParams::default(), &less)
        .await?;
    Ok(whole)
}

fn name(role: &ClusterRole) -> String {
    role.metadata.name.clone().unwrap_or_default()
}

/// Waits until the operator was refused a resource several times.
async fn refused(cluster: &LocalCluster, mark: Mark, resource: &str) -> Result<()> {
    let what = format!("{resource} to be asked for again and again");
    eventually(CONVERGED, &what, async || {
        let requests = cluster.audit_log().requests_by(OPERATOR_USER, mark)?;
        let path = format!("/{resource}?");
        let refused = requests
            .iter()
            .filter(|event| event.request_uri.contains(&path) && !event.succeeded())
            .count();
        ensure!(refused >= TRIES, "{refused} times");
        Ok(Some(()))
    })
    .await
}

/// The warnings that the operator logged about something.
fn warnings(operator: &OperatorProcess, about: &str) -> Result<Vec<String>> {
    let logs = operator.logs()?;
    let warnings = logs
        .lines()
        .filter(|line| line.contains(r#""level":"WARN""#) || line.contains(r#""level":"ERROR""#));
    Ok(warnings
        .filter(|line| line.contains(about))
        .map(str::to_owned)
        .collect())
}

/// Waits until `/readyz` says no, and why.
async fn eventually_complains(operator: &OperatorProcess, why: &str) -> Result<()> {
    let what = format!("/readyz to say: {why}");
    eventually(CONVERGED, &what, async || {
        let (status, text) = operator.ready().await?;
        ensure!(
            status == http::StatusCode::SERVICE_UNAVAILABLE,
            "{status}: {text}"
        );
        ensure!(text.contains(why), "{text}");
        Ok(Some(()))
    })
    .await
}

async fn eventually_ready(cluster: &LocalCluster, name: &str) -> Result<()> {
    let zones: Api<LandingZone> = Api::all(cluster.client());
    eventually(CONVERGED, "the landing zone to be ready", async || {
        let status = zones.get(name).await?.status.context("no status")?;
        let (ready, _, message) = condition(&status, "Ready").context("not known")?;
        ensure!(ready == "True", "{ready}: {message}");
        Ok(Some(()))
    })
    .await
}

pub async fn an_api_server_that_is_gone_is_waited_for(fixture: &Fixture) -> Result<()> {
    fixture
        .alone(async |cluster| {
            install_calico(&cluster.client(), Calico::Storage).await?;
            install_operator_manifests(&cluster.client()).await?;
            let binary = operator_binary().await?;
            let kubeconfig = operator_kubeconfig(cluster).await?;

            cluster.stop_apiserver().await?;
            // One that never saw it has nothing in hand, and ends at once.
            let options = OperatorOptions {
                name: Some("early".to_owned()),
                ..OperatorOptions::default()
            };
            let early = OperatorProcess::start_with(cluster, &kubeconfig, binary.clone(), options)?;
            eventually_complains(&early, "Connection refused").await?;
            let asked = Instant::now();
            early.terminate().await?;
            ensure!(asked.elapsed() < SOON, "{:?}", asked.elapsed());

            let options = OperatorOptions::default();
            let operator = OperatorProcess::start_with(cluster, &kubeconfig, binary, options)?;
            unreachable_and_back(cluster, &operator, 0)
                .await
                .context("at the start")?;
            apply_manifests(&cluster.client(), &sample_file()).await?;
            eventually_ready(cluster, "application2").await?;

            let said = warnings(&operator, "")?.len();
            cluster.stop_apiserver().await?;
            unreachable_and_back(cluster, &operator, said)
                .await
                .context("while it ran")?;
            operator.terminate().await?;
            Ok(())
        })
        .await
}

/// While the API server is gone, `/readyz` says why and the log says it once; once it is back, all
/// is well, although nothing changes in the cluster.
async fn unreachable_and_back(
    cluster: &LocalCluster,
    operator: &OperatorProcess,
    said_before: usize,
) -> Result<()> {
    eventually_complains(operator, "Connection refused").await?;
    let deadline = Duration::from_secs(5);
    let kept = e2e::holds_for(deadline, "few words are made", async || {
        operator.process().ensure_running()?;
        let said = warnings(operator, "")?;
        let new = &said[said_before..];
        // Watches that break off may tell so in other words than a list that fails.
        ensure!(new.len() <= 4, "{new:#?}");
        let refused = new
            .iter()
            .filter(|line| line.contains("Connection refused"));
        // And the Lease is told apart.
        ensure!(refused.count() <= 3, "{new:#?}");
        Ok(())
    });
    kept.await?;
    cluster.start_apiserver().await?;
    operator.wait_until_ready(CONVERGED).await
}
