//! How the operator ends.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::governed::{CONVERGED, condition, install_calico};
use e2e::install::install_operator_manifests;
use e2e::operator::OPERATOR_USER;
use e2e::{Calico, LocalCluster, OperatorOptions, OperatorProcess, eventually};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use landing_zone_operator::api::LandingZone;
use serde_json::json;

use super::Fixture;

/// Kubernetes would kill it after 30 s.
const SOON: Duration = Duration::from_secs(8);
const LANDING_ZONES: usize = 40;

pub async fn a_signal_ends_it_once_the_writes_in_hand_are_done(fixture: &Fixture) -> Result<()> {
    fixture
        .alone(async |cluster| {
            install_calico(&cluster.client(), Calico::Storage).await?;
            install_operator_manifests(&cluster.client()).await?;
            let operator = busy(cluster, 0..LANDING_ZONES).await?;
            let asked = Instant::now();
            let ended = operator.terminate().await?;
            println!("ended after {:?}", asked.elapsed());
            ensure!(ended.code() == Some(0), "{ended}");
            ensure!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
            what_was_begun_is_done(cluster).await?;

            // An API server that takes requests and does not answer holds nobody up.
            let operator = busy(cluster, LANDING_ZONES..2 * LANDING_ZONES).await?;
            cluster.pause_apiserver().await?;
            let ended = operator.terminate().await;
            cluster.resume_apiserver().await?;
            let ended = ended?;
            ensure!(ended.code() == Some(0), "without an answer: {ended}");
            Ok(())
        })
        .await
}

/// Drift counts are gathered for five seconds; those of the last ones must not be lost.
pub async fn the_last_repairs_are_counted(fixture: &Fixture) -> Result<()> {
    fixture
        .alone(async |cluster| {
            install_calico(&cluster.client(), Calico::Storage).await?;
            install_operator_manifests(&cluster.client()).await?;
            let operator = OperatorProcess::start(cluster, OperatorOptions::default()).await?;
            let zones: Api<LandingZone> = Api::all(cluster.client());
            zones.create(&PostParams::default(), &zone(1)?).await?;
            let drift = async || {
                let status = zones.get("zone-1").await?.status;
                anyhow::Ok(status.and_then(|status| status.drift).map(|it| it.repaired))
            };
            for (part, counted) in [("web", Some(1)), ("data", None)] {
                let quotas =
                    Api::<ResourceQuota>::namespaced(cluster.client(), &format!("zone-1-{part}"));
                let declared = async || {
                    let quota = quotas.get("landing-zone").await?;
                    let hard = quota.spec.and_then(|spec| spec.hard).unwrap_or_default();
                    let pods = hard.get("pods").map(|pods| pods.0.as_str());
                    anyhow::Ok((pods == Some("5")).then_some(()))
                };
                eventually(CONVERGED, "the quota", declared).await?;
                let raise = Patch::Merge(json!({"spec": {"hard": {"pods": "500"}}}));
                quotas
                    .patch("landing-zone", &PatchParams::default(), &raise)
                    .await?;
                eventually(CONVERGED, "the repair", declared).await?;
                if counted.is_some() {
                    let what = "the first repair to be counted";
                    eventually(CONVERGED, what, async || {
                        Ok((drift().await? == counted).then_some(()))
                    })
                    .await?;
                }
            }
            ensure!(drift().await? == Some(1), "the second was counted at once");
            let ended = operator.terminate().await?;
            ensure!(ended.code() == Some(0), "{ended}");
            ensure!(drift().await? == Some(2), "{:?}", drift().await?);
            Ok(())
        })
        .await
}

/// An operator that has begun to write what is declared here.
async fn busy(cluster: &LocalCluster, numbers: Range<usize>) -> Result<OperatorProcess> {
    let zones: Api<LandingZone> = Api::all(cluster.client());
    for number in numbers {
        zones.create(&PostParams::default(), &zone(number)?).await?;
    }
    let log = cluster.audit_log();
    let mark = log.mark()?;
    let operator = OperatorProcess::start(cluster, OperatorOptions::default()).await?;
    eventually(CONVERGED, "the operator to be busy", async || {
        let busy = !log.writes_by(OPERATOR_USER, mark)?.is_empty();
        Ok(busy.then_some(()))
    })
    .await?;
    Ok(operator)
}

/// Fails where a landing zone was left before its status told what became of it.
async fn what_was_begun_is_done(cluster: &LocalCluster) -> Result<()> {
    let zones: Api<LandingZone> = Api::all(cluster.client());
    let zones = zones.list(&ListParams::default()).await?.items;
    let begun = zones
        .iter()
        .filter_map(|zone| Some((&zone.metadata.name, zone.status.as_ref()?)));
    for (name, status) in begun.clone() {
        let reconciling = condition(status, "Reconciling").context("no condition")?;
        ensure!(
            reconciling.1 != "Progressing" || status.namespaces_ready.is_some(),
            "{name:?} was left: {reconciling:?}"
        );
    }
    println!(
        "{} of {} landing zones were begun",
        begun.count(),
        zones.len()
    );
    Ok(())
}

fn zone(number: usize) -> Result<LandingZone> {
    let name = format!("zone-{number}");
    let spec = json!({
        "applicationCode": name,
        "namespaces": [
            {"name": format!("{name}-web"), "zone": "frontend", "quota": {"pods": "5"}},
            {"name": format!("{name}-data"), "zone": "data", "quota": {"pods": "5"}},
        ],
    });
    Ok(LandingZone::new(&name, serde_json::from_value(spec)?))
}
