//! Real packets between the landing zone, its neighbours and the outside, before and after the boundary
//! stands: through Calico's Felix, in network namespaces that end with the demo.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Api;
use kube::api::{Patch, PatchParams};
use landing_zone_operator::api::condition::READY;
use landing_zone_operator::api::{self, LandingZone};
use serde_json::json;

use super::Options;
use super::page::Page;
use super::stage::Stage;
use crate::binaries::has_felix;
use crate::data_plane::{End, FelixNode, Place, Protocol, Verdict, WiredPod};
use crate::governed::{CONVERGED, condition};
use crate::install::apply_objects;
use crate::prerequisites::PacketFilter;
use crate::{LocalCluster, eventually};

/// A namespace that belongs to no landing zone.
const NEIGHBOUR: &str = "neighbour";
/// Policies take effect within about a second; a busy machine takes longer.
const TAKES_EFFECT: Duration = Duration::from_secs(20);
/// Packets on their way at once. More would make answers late on two cores.
const AT_ONCE: usize = 24;
/// Widths of a row's name and of a cell.
const COLUMNS: (usize, usize) = (12, 12);

/// Somebody who sends or is sent to.
struct Party<'a> {
    name: String,
    /// The zone of the landing zone, where it is in one.
    zone: Option<String>,
    end: End<'a>,
    /// Where it is called.
    port: (Protocol, u16),
}

/// What became of a packet from the first to the second, by their places among the parties.
type Matrix = BTreeMap<(usize, usize), Verdict>;

/// Shows who reaches whom while nothing is denied, and then with the boundary.
pub(super) async fn show(
    options: &Options,
    stage: &Stage,
    zone: &LandingZone,
    page: &mut Page,
) -> Result<()> {
    // A cluster of the user's has packets of its own.
    let Some(cluster) = stage.local_cluster() else {
        return Ok(());
    };
    let filter = tokio::task::spawn_blocking(PacketFilter::ensure).await?;
    match filter {
        Ok(PacketFilter::Ready) => {}
        Ok(PacketFilter::OutOfReach(why)) => {
            page.gap();
            page.say(&format!("Who reaches whom is not shown: {why}."));
            return Ok(());
        }
        Err(error) if !options.packets => {
            page.gap();
            page.say(&format!("Who reaches whom is not shown: {error:#}"));
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    if !options.packets && !has_felix()? {
        page.gap();
        page.say(
            "Who reaches whom can be shown with real packets, too: cargo demo --packets builds Calico's \
             Felix for that, which takes 2 to 3 minutes once.",
        );
        return Ok(());
    }
    page.heading("Who reaches whom: real packets, before and after");
    play(cluster, stage, zone, page).await
}

async fn play(
    cluster: &LocalCluster,
    stage: &Stage,
    zone: &LandingZone,
    page: &mut Page,
) -> Result<()> {
    let node = FelixNode::start(cluster).await?;
    let beside = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NEIGHBOUR}}),
        // What tells which pods the cluster's DNS are.
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {
                "selector": {"k8s-app": "kube-dns"},
                "ports": [{"name": "dns", "protocol": "UDP", "port": 53}],
            },
        }),
    ];
    let beside = beside.map(serde_json::from_value).into_iter();
    apply_objects(&stage.client(), beside.collect::<Result<_, _>>()?).await?;
    let pods = wire(&node, zone).await?;
    let parties = parties(zone, &pods);
    page.say(
        "Calico's Felix runs on a node of this cluster. Each zone gets a pod: a network namespace that \
         answers with its name. Beside them are a neighbour in no landing zone, the cluster's DNS, and a \
         machine outside.",
    );

    page.gap();
    enters(stage, zone, api::Stage::Observe, page).await?;
    let open = |from: usize, to: usize| from != to;
    let text = "Nothing is denied: everybody reaches everybody.";
    confirm(&node, &parties, open, text, page).await?;

    page.gap();
    enters(stage, zone, api::Stage::Enforce, page).await?;
    let declared =
        |from: usize, to: usize| from != to && is_declared(zone, &parties[from], &parties[to]);
    let text = "What the file declares gets through, and DNS. Nothing else enters or leaves the landing \
                zone.";
    confirm(&node, &parties, declared, text, page).await?;
    drop(parties);
    drop(pods);
    node.stop().await
}

/// A pod for each zone, for the neighbour, and for DNS.
async fn wire(node: &FelixNode, zone: &LandingZone) -> Result<Vec<WiredPod>> {
    let zones = zone.spec.namespaces.iter();
    let own = zones.map(|namespace| (namespace.name.as_str(), "pod", &[] as &[_]));
    let beside: [(&str, &str, &[_]); 2] = [
        (NEIGHBOUR, "pod", &[]),
        ("kube-system", "coredns", &[("k8s-app", "kube-dns")]),
    ];
    let all = own.chain(beside);
    stream::iter(all)
        .map(|(namespace, name, labels)| node.wire(namespace, name, labels))
        .buffered(4)
        .try_collect()
        .await
}

fn parties<'a>(zone: &LandingZone, pods: &'a [WiredPod]) -> Vec<Party<'a>> {
    let zone_of = |pod: &WiredPod| {
        let mut namespaces = zone.spec.namespaces.iter();
        let namespace = namespaces.find(|namespace| namespace.name == pod.namespace)?;
        Some(namespace.zone.clone())
    };
    let mut parties = Vec::new();
    for pod in pods {
        let zone_of_pod = zone_of(pod);
        let (name, port) = match (&zone_of_pod, pod.name.as_str()) {
            (Some(zone_of_pod), _) => (zone_of_pod.clone(), port_into(zone, zone_of_pod)),
            (None, "coredns") => ("DNS".to_owned(), (Protocol::Udp, 53)),
            (None, _) => (NEIGHBOUR.to_owned(), (Protocol::Tcp, 8080)),
        };
        parties.push(Party {
            name,
            zone: zone_of_pod,
            end: End::Pod(pod),
            port,
        });
    }
    parties.push(Party {
        name: "outside".to_owned(),
        zone: None,
        end: End::Outside(Place::Internet),
        port: (Protocol::Tcp, 443),
    });
    parties
}

/// The port on which a zone is called: that of a flow into it, where there is one.
fn port_into(zone: &LandingZone, called: &str) -> (Protocol, u16) {
    let mut flows = zone.spec.network.iter().flat_map(|network| &network.flows);
    let flow = flows.find(|flow| flow.to.zone == called);
    let port = flow.and_then(|flow| u16::try_from(flow.ports.first()?.port).ok());
    (Protocol::Tcp, port.unwrap_or(8080))
}

/// Whether the landing zone lets a packet through: by a flow, as DNS, or because it is not concerned.
fn is_declared(zone: &LandingZone, from: &Party<'_>, to: &Party<'_>) -> bool {
    match (&from.zone, &to.zone) {
        (None, None) => true,
        (Some(_), None) => to.name == "DNS",
        (None, Some(_)) => false,
        (Some(from), Some(to)) => {
            let mut flows = zone.spec.network.iter().flat_map(|network| &network.flows);
            flows.any(|flow| flow.from.zone == *from && flow.to.zone == *to)
        }
    }
}

/// Brings the landing zone into a stage, and waits until it is.
async fn enters(
    stage: &Stage,
    zone: &LandingZone,
    wanted: api::Stage,
    page: &mut Page,
) -> Result<()> {
    let name = zone.metadata.name.as_deref().unwrap_or_default();
    let zones: Api<LandingZone> = Api::all(stage.client());
    let patch = json!({"spec": {"stage": wanted}});
    page.command(&format!(
        "kubectl patch lz {name} --type merge -p '{patch}'"
    ));
    let params = PatchParams {
        field_manager: Some("kubectl-patch".to_owned()),
        ..PatchParams::default()
    };
    zones.patch(name, &params, &Patch::Merge(patch)).await?;
    let what = format!("the landing zone to be in stage {wanted:?}");
    eventually(CONVERGED, &what, async || {
        stage.ensure_running().await?;
        let zone = zones.get(name).await?;
        let status = zone.status.as_ref().context("it has no status")?;
        let (is, reason, message) = condition(status, READY).context("it has no Ready")?;
        ensure!(is == "True", "Ready is {is} because of {reason}: {message}");
        let current = status.observed_generation == zone.metadata.generation;
        Ok(current.then_some(()))
    })
    .await
}

/// Sends packets until all became what is expected, shows what became of them, and claims it.
async fn confirm(
    node: &FelixNode,
    parties: &[Party<'_>],
    expected: impl Fn(usize, usize) -> bool,
    text: &str,
    page: &mut Page,
) -> Result<()> {
    let mut seen = Matrix::new();
    let held = eventually(TAKES_EFFECT, "the packets to be as declared", async || {
        seen = send(node, parties).await?;
        let wrong: Vec<_> = seen
            .iter()
            .filter(|((from, to), verdict)| (**verdict == Verdict::Allowed) != expected(*from, *to))
            .map(|((from, to), verdict)| {
                format!("{} → {}: {verdict}", parties[*from].name, parties[*to].name)
            })
            .collect();
        ensure!(wrong.is_empty(), "{}", wrong.join("; "));
        Ok(Some(()))
    })
    .await;
    draw(parties, &seen, page);
    page.outcome(text, held);
    Ok(())
}

async fn send(node: &FelixNode, parties: &[Party<'_>]) -> Result<Matrix> {
    let all = 0..parties.len();
    let pairs = all
        .clone()
        .flat_map(|from| all.clone().map(move |to| (from, to)));
    // What an end sends to itself never leaves it.
    let pairs = pairs.filter(|(from, to)| from != to);
    stream::iter(pairs)
        .map(|(from, to)| async move {
            let (protocol, port) = parties[to].port;
            let found = node.can(parties[from].end, parties[to].end, protocol, port);
            anyhow::Ok(((from, to), found.await?))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

fn draw(parties: &[Party<'_>], seen: &Matrix, page: &mut Page) {
    let (first, rest) = COLUMNS;
    let line = |start: &str, cells: Vec<String>| {
        let cells = cells.into_iter().map(|cell| format!("{cell:<rest$}"));
        let cells: Vec<_> = cells.collect();
        format!("{start:<first$}{}", cells.concat())
            .trim_end()
            .to_owned()
    };
    let names = parties.iter().map(|to| to.name.clone()).collect();
    page.verbatim(&line("from \\ to", names));
    let ports = parties
        .iter()
        .map(|to| format!("{} {}", to.port.0, to.port.1));
    page.verbatim(&line("", ports.collect()));
    for (from, party) in parties.iter().enumerate() {
        let cell = |to: usize| match seen.get(&(from, to)) {
            Some(Verdict::Allowed) => "yes".to_owned(),
            Some(Verdict::Denied) => "–".to_owned(),
            None => String::new(),
        };
        page.verbatim(&line(&party.name, (0..parties.len()).map(cell).collect()));
    }
}
