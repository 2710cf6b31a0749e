//! What people do today in the operator's place: `kubectl apply` of the same objects.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::LocalCluster;
use crate::process::{command_that_dies_with_us, spawn};

/// Has kubectl apply these objects on the server's side, namespaces first. Returns how long it took, seconds.
pub(super) async fn kubectl_apply(cluster: &LocalCluster, objects: &[Value]) -> Result<f64> {
    let (namespaces, others): (Vec<_>, Vec<_>) =
        objects.iter().partition(|it| it["kind"] == "Namespace");
    let items: Vec<_> = namespaces.into_iter().chain(others).collect();
    let file = cluster.directory().join("rendered.json");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    std::fs::write(&file, list.to_string()).context("failed to write what is rendered")?;
    let mut command = command_that_dies_with_us(cluster.kubectl_path());
    command
        .args(["apply", "--server-side", "--output=name", "--filename"])
        .arg(&file)
        .env("KUBECONFIG", cluster.kubeconfig().path())
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
