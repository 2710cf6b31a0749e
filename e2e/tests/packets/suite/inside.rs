//! The table of what may talk to whom, row by row.

use anyhow::{Result, ensure};
use e2e::binaries::calicoctl;
use e2e::data_plane::Verdict::{Allowed, Denied};
use e2e::progress::Progress;

use super::landscape::Landscape;
use super::table::Sent::{Both, Tcp, Udp};
use super::table::holds;

/// Calico's own tool reads the policies, by the names that it knows them by.
pub async fn calicoctl_reads_what_is_written(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let program = tokio::task::spawn_blocking(|| calicoctl(&Progress::new())).await??;
    let kubeconfig = wired.governed.cluster.kubeconfig().path().to_owned();
    let output = tokio::process::Command::new(program)
        .args(["get", "gnp", "-o", "yaml"])
        .env("DATASTORE_TYPE", "kubernetes")
        .env("KUBECONFIG", kubeconfig)
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{error}");
    for purpose in ["dns", "boundary", "web-flows", "deny"] {
        let name = format!("name: landing-zone-shop-{purpose}\n");
        ensure!(said.contains(&name), "no {name} in {said}");
    }
    Ok(())
}

pub async fn traffic_inside_is_free_until_flows_are_declared(landscape: &Landscape) -> Result<()> {
    let rows = [
        ("free-web", Both(8080), "free-api", Allowed),
        ("free-api", Both(9090), "free-web", Allowed),
        ("other-web", Both(5432), "other-data", Allowed),
    ];
    holds(landscape.wired()?, &rows).await
}

pub async fn traffic_goes_along_flows_and_not_against_them(landscape: &Landscape) -> Result<()> {
    let rows = [
        ("shop-web", Tcp(8080), "shop-api", Allowed),
        ("shop-api", Both(5432), "shop-data", Allowed),
        // Not the protocol that the flow names, nor another port.
        ("shop-web", Udp(8080), "shop-api", Denied),
        ("shop-web", Both(9090), "shop-api", Denied),
        // Against the flow, and past it.
        ("shop-api", Both(8080), "shop-web", Denied),
        ("shop-data", Both(5432), "shop-api", Denied),
        ("shop-web", Both(5432), "shop-data", Denied),
    ];
    holds(landscape.wired()?, &rows).await
}

pub async fn nothing_crosses_the_boundary(landscape: &Landscape) -> Result<()> {
    let rows = [
        ("shop-web", Both(8080), "free-api", Denied),
        ("free-api", Both(8080), "shop-web", Denied),
        ("free-web", Both(8080), "other-web", Denied),
        ("stranger", Both(8080), "free-web", Denied),
        ("free-web", Both(8080), "stranger", Denied),
        ("free-web", Both(8080), "outside", Denied),
        ("outside", Both(8080), "free-web", Denied),
        ("free-web", Both(8080), "node", Denied),
        // Who calls himself one of them, by the labels of his namespace or his pod.
        ("impostor", Both(8080), "free-web", Denied),
        ("free-web", Both(8080), "impostor", Denied),
        ("stranger/impostor", Both(8080), "free-web", Denied),
        ("free-web", Both(8080), "stranger/impostor", Denied),
        // DNS, and only where the cluster's is.
        ("free-web", Both(53), "kube-system/coredns", Allowed),
        ("shop-data", Both(53), "kube-system/coredns", Allowed),
        ("free-web", Both(53), "stranger/false-dns", Denied),
        ("free-web", Both(8080), "kube-system/coredns", Denied),
        // kubelet's probes.
        ("node", Both(8080), "shop-web", Allowed),
        // Everybody else as before.
        ("stranger", Both(8080), "kube-system", Allowed),
        ("stranger", Both(53), "stranger/false-dns", Allowed),
        ("outside", Both(8080), "stranger", Allowed),
        ("stranger", Both(8080), "outside", Allowed),
    ];
    holds(landscape.wired()?, &rows).await
}
