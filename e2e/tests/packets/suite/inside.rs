//! The table of what may talk to whom, row by row.

use anyhow::{Context, Result, ensure};
use e2e::binaries::calicoctl;
use e2e::data_plane::Verdict::{Allowed, Denied};
use e2e::progress::Progress;
use serde_json::{Value, json};

use super::landscape::Landscape;
use super::table::Sent::{Both, Tcp, Udp};
use super::table::holds;
use super::team::{allows_everything, create};

/// The four landing zones of three zones each.
const LANDING_ZONES: &str = "shop-* portal-* orders-* billing-*";
/// Namespaces of no landing zone.
const SYSTEM: &str = "kube-system gatekeeper-system app-routing-system stranger";

/// Calico's own tool reads the policies, by the names that it knows them by.
pub async fn calicoctl_reads_what_is_written(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let theirs = json!({"order": 100, "selector": "app == 'nobody'"});
    create(wired, allows_everything("other-web", "read", theirs)).await?;
    let program = tokio::task::spawn_blocking(|| calicoctl(&Progress::new())).await??;
    let kubeconfig = wired.governed.cluster.kubeconfig().path().to_owned();
    let read = async |arguments: &[&str]| {
        let output = tokio::process::Command::new(&program)
            .args(arguments)
            .env("DATASTORE_TYPE", "kubernetes")
            .env("KUBECONFIG", &kubeconfig)
            .kill_on_drop(true)
            .output()
            .await?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {error}");
        anyhow::Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // It takes one kind at a time, and no namespaces for what lies in none. As a table, and as it would be written through Calico's API.
    let table = read(&["get", "gnp"]).await?;
    let yaml = read(&["get", "gnp", "-o", "yaml"]).await?;
    for purpose in ["dns", "boundary", "frontend-flows", "deny"] {
        let name = format!("landing-zone-shop-{purpose}");
        let row = table
            .lines()
            .any(|line| line.split_whitespace().next() == Some(&name));
        ensure!(row, "no {name} in {table}");
        let name = format!("name: {name}\n");
        ensure!(yaml.contains(&name), "no {name} in {yaml}");
    }
    let policies = read(&["get", "np", "-A"]).await?;
    let row = policies
        .lines()
        .any(|line| line.split_whitespace().collect::<Vec<_>>() == ["other-web", "read"]);
    ensure!(row, "{policies}");
    // What it reads in full, it reads as it was written.
    let boundary = read(&["get", "gnp", "landing-zone-orders-boundary", "-o", "json"]).await?;
    let boundary: Value = serde_json::from_str(&boundary)?;
    let spec = boundary
        .pointer("/0/spec")
        .or(boundary.get("spec"))
        .context("no spec")?;
    let selects = "projectcalico.org/name in {'orders-backend','orders-data','orders-frontend'}";
    ensure!(
        spec["order"] == 30 && spec["namespaceSelector"] == selects,
        "{spec}"
    );
    Ok(())
}

pub async fn traffic_inside_is_free_until_flows_are_declared(landscape: &Landscape) -> Result<()> {
    let rows = [
        ("orders-*", Both(8080), "orders-*", Allowed),
        ("orders-*", Both(5432), "orders-*", Allowed),
        ("orders-frontend", Both(9090), "orders-frontend/b", Allowed),
    ];
    holds(landscape.wired()?, &rows).await
}

pub async fn traffic_goes_along_flows_and_not_against_them(landscape: &Landscape) -> Result<()> {
    let rows = [
        ("shop-frontend", Tcp(8080), "shop-backend", Allowed),
        ("shop-backend", Both(5432), "shop-data", Allowed),
        ("shop-frontend", Both(9090), "shop-frontend/b", Allowed),
        // Not the protocol that the flow names, nor another port.
        ("shop-frontend", Udp(8080), "shop-backend", Denied),
        ("shop-frontend", Both(9090), "shop-backend", Denied),
        ("shop-backend", Both(5440), "shop-data", Denied),
        // Against the flow, and past it.
        ("shop-backend", Both(8080), "shop-frontend", Denied),
        ("shop-data", Both(5432), "shop-backend", Denied),
        ("shop-frontend", Both(5432), "shop-data", Denied),
        ("shop-data", Both(8080), "shop-frontend", Denied),
    ];
    holds(landscape.wired()?, &rows).await
}

pub async fn only_flows_pass_where_only_flows_count(landscape: &Landscape) -> Result<()> {
    let rows = [
        // A flow without ports is one of all ports.
        ("billing-frontend", Both(8080), "billing-backend", Allowed),
        ("billing-frontend", Both(9090), "billing-backend", Allowed),
        ("billing-backend", Both(9090), "billing-frontend", Denied),
        // A range, of one protocol.
        ("billing-backend", Udp(5432), "billing-data", Allowed),
        ("billing-backend", Udp(5440), "billing-data", Allowed),
        ("billing-backend", Both(5441), "billing-data", Denied),
        ("billing-backend", Tcp(5432), "billing-data", Denied),
        ("billing-backend", Tcp(5440), "billing-data", Denied),
        ("billing-data", Both(5432), "billing-backend", Denied),
        // Not even inside a zone.
        ("billing-frontend", Both(8080), "billing-frontend/b", Denied),
        ("billing-frontend/b", Both(8080), "billing-frontend", Denied),
    ];
    holds(landscape.wired()?, &rows).await
}

pub async fn no_landing_zone_reaches_another(landscape: &Landscape) -> Result<()> {
    let rows = [
        ("shop-*", Both(8080), "portal-* orders-* billing-*", Denied),
        ("portal-*", Both(8080), "shop-* orders-* billing-*", Denied),
        ("orders-*", Both(8080), "shop-* portal-* billing-*", Denied),
        ("billing-*", Both(8080), "shop-* portal-* orders-*", Denied),
        // Along what would be a flow at home.
        (
            "shop-backend",
            Both(5432),
            "portal-data orders-data billing-data",
            Denied,
        ),
        (
            "portal-backend",
            Both(5432),
            "shop-data orders-data billing-data",
            Denied,
        ),
    ];
    holds(landscape.wired()?, &rows).await
}

pub async fn nothing_crosses_the_boundary(landscape: &Landscape) -> Result<()> {
    let rows = [
        (LANDING_ZONES, Both(8080), SYSTEM, Denied),
        (SYSTEM, Both(8080), LANDING_ZONES, Denied),
        (
            LANDING_ZONES,
            Both(8080),
            "outside metadata endpoint",
            Denied,
        ),
        (
            "outside metadata endpoint",
            Both(8080),
            LANDING_ZONES,
            Denied,
        ),
        (LANDING_ZONES, Both(8080), "node", Denied),
        // kubelet's probes.
        ("node", Both(8080), LANDING_ZONES, Allowed),
    ];
    holds(landscape.wired()?, &rows).await
}

pub async fn only_the_cluster_s_dns_is_dns(landscape: &Landscape) -> Result<()> {
    let rows = [
        (LANDING_ZONES, Both(53), "kube-system/coredns", Allowed),
        (LANDING_ZONES, Both(8080), "kube-system/coredns", Denied),
        ("kube-system/coredns", Both(53), LANDING_ZONES, Denied),
        // A cache on the node is known by its address.
        (LANDING_ZONES, Both(53), "dns-cache", Allowed),
        (LANDING_ZONES, Both(8080), "dns-cache", Denied),
        // It is on the node, which reaches its pods whatever it sends.
        ("dns-cache", Both(53), LANDING_ZONES, Allowed),
        // Nobody else, whatever he calls himself or wherever he is.
        (
            LANDING_ZONES,
            Both(53),
            "stranger/false-dns impostor/false-dns",
            Denied,
        ),
        (
            "stranger/false-dns impostor/false-dns",
            Both(53),
            LANDING_ZONES,
            Denied,
        ),
        (
            LANDING_ZONES,
            Both(53),
            "kube-system outside metadata endpoint node",
            Denied,
        ),
    ];
    holds(landscape.wired()?, &rows).await
}

/// By the labels of a namespace, or of a pod.
pub async fn nobody_is_a_member_by_labels(landscape: &Landscape) -> Result<()> {
    let impostors = "impostor stranger/impostor";
    let rows = [
        (impostors, Both(8080), "orders-*", Denied),
        ("orders-*", Both(8080), impostors, Denied),
    ];
    holds(landscape.wired()?, &rows).await
}

/// Namespaces that took the label of a landing zone, with all that goes with it, when nothing refused it yet.
pub async fn namespaces_that_took_the_label_before_gain_nothing(
    landscape: &Landscape,
) -> Result<()> {
    let rows = [
        // Free inside.
        ("false-orders", Both(8080), "orders-*", Denied),
        ("orders-*", Both(8080), "false-orders", Denied),
        // What is declared to the one whose label it is.
        ("false-buyer", Both(5432), "seller-data", Denied),
        ("seller-data", Both(5432), "false-buyer", Denied),
        ("false-buyer", Both(8080), "buyer-web", Denied),
        ("buyer-web", Both(8080), "false-buyer", Denied),
        // Those whose label it is, and whom they call, are as they were.
        ("orders-frontend", Both(8080), "orders-*", Allowed),
        ("buyer-web", Tcp(5432), "seller-data", Allowed),
    ];
    holds(landscape.wired()?, &rows).await
}

pub async fn everybody_else_is_as_before(landscape: &Landscape) -> Result<()> {
    let others = "outside metadata endpoint";
    let rows = [
        (SYSTEM, Both(8080), SYSTEM, Allowed),
        (SYSTEM, Both(8080), others, Allowed),
        (others, Both(8080), SYSTEM, Allowed),
        (SYSTEM, Both(8080), "node", Allowed),
        ("node", Both(8080), SYSTEM, Allowed),
        (
            SYSTEM,
            Both(53),
            "kube-system/coredns stranger/false-dns",
            Allowed,
        ),
        (SYSTEM, Both(8080), "impostor stranger/impostor", Allowed),
        ("impostor stranger/impostor", Both(8080), SYSTEM, Allowed),
    ];
    holds(landscape.wired()?, &rows).await
}
