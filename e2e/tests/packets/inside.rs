//! The table of what may talk to whom, row by row.

use anyhow::Result;
use e2e::data_plane::Verdict::{Allowed, Denied};

use crate::landscape::Landscape;
use crate::table::Sent::{Both, Tcp, Udp};
use crate::table::holds;

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
