//! Tables judged by the evaluator: in a cluster with tiers, since Felix 3.28, which sends the packets, has none; and
//! what the rows leave out.

use std::fmt::Write as _;
use std::net::IpAddr;

use anyhow::{Context, Error, Result, ensure};
use e2e::data_plane::{DNS_CACHE, End, NODE_ADDRESS, POD_CIDR, Protocol, Verdict};
use e2e::eventually;
use e2e::governed::CONVERGED;
use landing_zone_operator::cli::world;
use landing_zone_operator::domain::{CalicoNaming, Flavour, Platform, PolicyApi};
use landing_zone_operator::policy::{Packet, Place, TransportProtocol, Verdict as Judged, World};
use serde_json::Value;

use super::landscape::Wired;
use super::table::Probe;
use crate::API;

/// What clusters with tiers take: Calico's API, and its storage under both of its names.
const TIERS: [Flavour; 3] = [
    with_tiers(PolicyApi::CalicoV3, CalicoNaming::Plain),
    with_tiers(PolicyApi::CalicoCrdV1, CalicoNaming::TierPrefixed),
    with_tiers(PolicyApi::CalicoCrdV1, CalicoNaming::Plain),
];

/// The cluster that sends the packets, by either of Calico's APIs.
const WITHOUT_TIERS: Flavour = Flavour {
    api: PolicyApi::CalicoCrdV1,
    tiers: false,
    staged: false,
    naming: CalicoNaming::Plain,
};

const fn with_tiers(api: PolicyApi, naming: CalicoNaming) -> Flavour {
    Flavour {
        api,
        tiers: true,
        staged: true,
        naming,
    }
}

/// Whether the evaluator says of all packets what the table says, with what is declared and written at present. Other
/// tests write at the same time, and may be in the middle of it.
pub async fn hold(wired: &Wired, probes: &[Probe<'_>]) -> Result<()> {
    eventually(CONVERGED, "the table to hold with tiers", async || {
        let written = written_by_people(wired).await?;
        let platform = platform()?;
        let mut wrong = String::new();
        for flavour in TIERS {
            let world = world(&written, &platform, flavour).map_err(Error::msg)?;
            for probe in probes {
                differs(&world, probe, &mut wrong)
                    .with_context(|| format!("{probe} with {flavour:?}"))?;
            }
            ensure!(wrong.is_empty(), "{flavour:?}:\n{wrong}");
        }
        Ok(Some(()))
    })
    .await
}

/// The packets with what the evaluator says of them without tiers, as in the cluster that sends them. It leaves out what
/// comes from the pods' own node.
pub async fn judged_without<'a>(wired: &Wired, probes: &[Probe<'a>]) -> Result<Vec<Probe<'a>>> {
    let written = written_by_people(wired).await?;
    let world = world(&written, &platform()?, WITHOUT_TIERS).map_err(Error::msg)?;
    let mut judged = Vec::new();
    for probe in probes {
        if let Some(verdict) = verdict(&world, probe)? {
            let expected = if verdict.is_allowed() {
                Verdict::Allowed
            } else {
                Verdict::Denied
            };
            judged.push(Probe { expected, ..*probe });
        }
    }
    Ok(judged)
}

fn platform() -> Result<Platform> {
    Ok(Platform {
        pod_cidrs: [POD_CIDR.parse()?].into(),
        dns_addresses: [IpAddr::V4(DNS_CACHE).into()].into(),
        ..Platform::default()
    })
}

fn differs(world: &World, probe: &Probe<'_>, wrong: &mut String) -> Result<()> {
    let Some(verdict) = verdict(world, probe)? else {
        return Ok(());
    };
    if verdict.is_allowed() != (probe.expected == Verdict::Allowed) {
        writeln!(
            wrong,
            "{probe}: the table says {}, but going out {} and coming in {}",
            probe.expected, verdict.egress.by, verdict.ingress.by
        )?;
    }
    Ok(())
}

/// Nothing for what comes from a pod's own node, as probes do: Calico asks no policy about it.
fn verdict(world: &World, probe: &Probe<'_>) -> Result<Option<Judged>> {
    if matches!(probe.from.1, End::Node | End::DnsCache) {
        return Ok(None);
    }
    let packet = Packet {
        protocol: match probe.protocol {
            Protocol::Tcp => TransportProtocol::TCP,
            Protocol::Udp => TransportProtocol::UDP,
        },
        source_port: 40_000,
        port: probe.port,
    };
    let (from, to) = (place(world, probe.from.1)?, place(world, probe.to.1)?);
    let verdict = world.verdict(from, to, packet).context("no addresses")?;
    Ok(Some(verdict))
}

fn place<'a>(world: &'a World, end: End<'_>) -> Result<Place<'a>> {
    let address = match end {
        End::Pod(wired) => {
            let mut all = world.endpoints.iter();
            let pod = all.find(|it| it.namespace == wired.namespace && it.name == wired.name);
            return pod.map(Place::Pod).with_context(|| {
                format!(
                    "the evaluator knows no pod {}/{}",
                    wired.namespace, wired.name
                )
            });
        }
        End::Node => NODE_ADDRESS,
        End::DnsCache => DNS_CACHE,
        End::Outside(place) => place.address(),
    };
    Ok(Place::Address(address.into()))
}

/// All that decides, but for what the operator made of it without tiers.
async fn written_by_people(wired: &Wired) -> Result<String> {
    let (group, _) = API.split_once('/').context("no group")?;
    let kinds = [
        "landingzones.landingzones.dev".to_owned(),
        "landingzoneplatforms.landingzones.dev".to_owned(),
        "namespaces".to_owned(),
        "serviceaccounts".to_owned(),
        "pods".to_owned(),
        "endpointslices.discovery.k8s.io".to_owned(),
        "networkpolicies.networking.k8s.io".to_owned(),
        format!("networkpolicies.{group}"),
        format!("globalnetworkpolicies.{group}"),
        format!("networksets.{group}"),
        format!("globalnetworksets.{group}"),
    ];
    let cluster = &wired.governed.cluster;
    let listed = cluster
        .kubectl(["get", &kinds.join(","), "-A", "-o", "json"])
        .await?;
    let mut listed: Value = serde_json::from_str(&listed)?;
    let items = listed["items"].as_array_mut().context("no list")?;
    items.retain(|it| {
        let name = it["metadata"]["name"].as_str().unwrap_or_default();
        let name = name.strip_prefix("default.").unwrap_or(name);
        it["kind"] != "GlobalNetworkPolicy" || !name.starts_with("landing-zone-")
    });
    Ok(listed.to_string())
}
