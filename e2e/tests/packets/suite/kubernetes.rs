//! What holds where there are no kinds of Calico's: Felix enforces Kubernetes' own policies, too.

use anyhow::{Result, anyhow};
use e2e::data_plane::POD_CIDR;
use e2e::data_plane::Verdict::{Allowed, Denied};
use e2e::install::apply_objects;
use landing_zone_operator::api::LandingZone;
use landing_zone_operator::build;
use landing_zone_operator::domain::{self, Flavour, Openings, Platform, TeamPolicies};
use serde_json::json;

use super::landscape::Landscape;
use super::table::Sent::{Both, Tcp, Udp};
use super::table::{Row, holds};
use super::team::create;

/// What the team may open: whatever its first policy allows.
const BEYOND: &str = "outside endpoint stranger orders-data";

/// A landing zone as the operator renders it in such a cluster; nobody governs it here.
pub async fn kubernetes_policies_hold_until_a_team_opens_them(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let spec = json!({
        "applicationCode": "plain",
        "namespaces": [{"name": "plain-web", "zone": "web"}, {"name": "plain-api", "zone": "api"}],
        "network": {"flows": [{"name": "web-to-api", "from": {"zone": "web"}, "to": {"zone": "api"},
                               "ports": [{"protocol": "TCP", "port": 8080}]}]},
    });
    let zone = LandingZone::new("plain", serde_json::from_value(spec)?);
    let platform = Platform {
        pod_cidrs: vec![POD_CIDR.parse()?],
        ..Platform::default()
    };
    let zone = domain::LandingZone::validate(&zone, &platform);
    let zone = zone.map_err(|problems| anyhow!("{problems:?}"))?;
    let flavour = Flavour::KUBERNETES;
    let (openings, teams) = (Openings::default(), TeamPolicies::default());
    let desired = build::landing_zone(&zone, &[], &platform, &openings, &teams, flavour);
    let objects = build::manifests(&desired, flavour)?.into_iter();
    let objects = objects
        .map(serde_json::from_value)
        .collect::<Result<_, _>>()?;
    apply_objects(&wired.governed.client(), objects).await?;

    let all = "plain-web plain-api";
    let always: [Row; 7] = [
        ("plain-web", Tcp(8080), "plain-api", Allowed),
        ("plain-web", Both(53), "kube-system/coredns", Allowed),
        ("node", Both(8080), all, Allowed),
        // Of the other namespace nobody opened anything.
        ("plain-api", Both(8080), BEYOND, Denied),
        ("plain-api", Both(53), "stranger/false-dns", Denied),
        ("outside endpoint stranger", Both(8080), "plain-api", Denied),
        ("plain-web", Udp(8080), "plain-api", Denied),
    ];
    let held: [Row; 6] = [
        ("plain-api", Both(8080), "plain-web", Denied),
        ("plain-web", Both(8080), BEYOND, Denied),
        ("plain-web", Both(8080), "node metadata", Denied),
        ("plain-web", Both(53), "stranger/false-dns outside", Denied),
        ("outside endpoint stranger", Both(8080), "plain-web", Denied),
        ("orders-data", Both(8080), "plain-web", Denied),
    ];
    holds(wired, &always).await?;
    holds(wired, &held).await?;

    let opens = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "all", "namespace": "plain-web"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]},
    });
    create(wired, opens).await?;
    let opened = [
        (
            "plain-web",
            Both(8080),
            "outside endpoint stranger node metadata",
            Allowed,
        ),
        ("plain-web", Both(53), "stranger/false-dns outside", Allowed),
        (
            "outside endpoint stranger",
            Both(8080),
            "plain-web",
            Allowed,
        ),
        // Who is behind a boundary that holds stays there; and its own other end is not the team's policy.
        ("plain-web", Both(8080), "orders-data", Denied),
        ("orders-data", Both(8080), "plain-web", Denied),
        ("plain-api", Both(8080), "plain-web", Denied),
    ];
    holds(wired, &opened).await?;
    holds(wired, &always).await
}
