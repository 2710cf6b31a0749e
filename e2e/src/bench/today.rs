//! What people do today in the operator's place: `kubectl apply` of the same objects, or Flux.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use landing_zone_operator::api::names::OWNER;
use serde_json::{Value, json};

use super::bare;
use crate::LocalCluster;
use crate::flux::Flux;
use crate::process::{command_that_dies_with_us, spawn};
use crate::wait::eventually;

/// Has kubectl apply these objects on the server's side, namespaces first. Returns how long it took, seconds.
pub(super) async fn kubectl_apply(cluster: &LocalCluster, objects: &[Value]) -> Result<f64> {
    let (namespaces, others): (Vec<_>, Vec<_>) =
        objects.iter().partition(|it| it["kind"] == "Namespace");
    let items: Vec<_> = namespaces.into_iter().chain(others).collect();
    let kubeconfig = bare::move_in(cluster).await?;
    let file = cluster.directory().join("rendered.json");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    std::fs::write(&file, list.to_string()).context("failed to write what is rendered")?;
    let mut command = command_that_dies_with_us(cluster.kubectl_path());
    command
        .args(["apply", "--server-side", "--output=name", "--filename"])
        .arg(&file)
        .env("KUBECONFIG", kubeconfig.path())
        .env("KUBECACHEDIR", cluster.directory().join("kubectl-cache"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let started = Instant::now();
    let running = spawn(command)?;
    let output = tokio::task::spawn_blocking(move || running.wait_with_output())
        .await
        .context("kubectl was cut off")??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl apply: {said}");
    Ok(started.elapsed().as_secs_f64())
}

/// Landing zones whose objects are one Kustomization. It keeps a list of all that it applied in its status, which etcd takes up to
/// 1.5 MiB of.
const IN_A_KUSTOMIZATION: usize = 100;
/// How long Flux may take.
const PATIENCE: Duration = Duration::from_hours(2);

/// Has Flux's kustomize-controller, with its defaults, apply these objects from a source that has them. Returns how long it took
/// from the first Kustomization until each said that it is applied, seconds.
pub(super) async fn flux_apply(
    cluster: &LocalCluster,
    controller: &Path,
    objects: &[Value],
) -> Result<f64> {
    let flux = Flux::start(cluster, controller).await?;
    let mut by_zone: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for object in objects {
        let zone = object["metadata"]["labels"][OWNER].as_str();
        by_zone
            .entry(zone.unwrap_or_default())
            .or_default()
            .push(object);
    }
    let zones: Vec<_> = by_zone.into_values().collect();
    // Each with how many objects it has.
    let mut parts = Vec::new();
    for (number, zones) in zones.chunks(IN_A_KUSTOMIZATION).enumerate() {
        let name = format!("part-{number}");
        let folder = flux.folder().join(&name);
        fs::create_dir_all(&folder)?;
        for (number, objects) in zones.iter().enumerate() {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
            fs::write(folder.join(format!("{number}.yaml")), list.to_string())?;
        }
        parts.push((name, zones.iter().map(Vec::len).sum::<usize>()));
    }
    flux.commit().await?;
    let started = Instant::now();
    for (name, _) in &parts {
        flux.kustomize(name, json!({"interval": "1h", "prune": true}))
            .await?;
    }
    for (name, objects) in &parts {
        eventually(PATIENCE, "Flux to have applied all", async || {
            let said = flux.said(name).await?;
            ensure!(said["status"] == "True", "{said}");
            // It writes its conditions first, and what it applied in a request of its own.
            let applied = flux.applied(name).await?;
            ensure!(
                applied == *objects,
                "{name}: {applied} of {objects} objects are applied"
            );
            Ok(Some(()))
        })
        .await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(seconds)
}
