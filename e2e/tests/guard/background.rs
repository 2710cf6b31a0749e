//! Everything that others write is judged, whichever way it came.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::governed::{CONVERGED, condition};
use e2e::shop::Shop;
use e2e::{Governed, OperatorOptions, OperatorProcess, eventually, holds_for};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use landing_zone_operator::api::LandingZoneStatus;
use serde_json::json;

use super::Clusters;
use super::policy::{CALICO, KUBERNETES, api, object, towards};

/// How long nothing may happen, to say that nothing happens.
const BRIEFLY: Duration = Duration::from_secs(7);

pub async fn what_others_write_is_judged_in_the_background(clusters: &Clusters) -> Result<()> {
    let test = async |governed: &Governed| {
        let _shop = Shop::open(governed, "shop").await?;
        governed
            .condition("shop", "BoundaryHeld", "True", "NothingCrosses")
            .await?;
        a_policy_that_leaves_is_found(governed)
            .await
            .context("at first")?;
        a_restart_repeats_nothing(governed)
            .await
            .context("after a restart")
    };
    clusters
        .with(OperatorOptions::default(), Vec::new(), test)
        .await
}

async fn a_policy_that_leaves_is_found(governed: &Governed) -> Result<()> {
    let calico = api(governed.client(), CALICO, "NetworkPolicy", Some("shop-web"));
    let leaves = towards("projectcalico.org/name == 'kube-system'");
    let leaves = object(CALICO, "NetworkPolicy", "default.leaves", &leaves)?;
    calico.create(&PostParams::default(), &leaves).await?;
    let status = when(governed, "the policy to be found", |status| {
        is(status, "True", "KeptClosed") && status.findings.len() == 1
    })
    .await?;
    let found = &status.findings[0];
    ensure!(found.rule == "namespace-name" && !found.open, "{found:?}");
    ensure!(
        found.object == "NetworkPolicy.crd.projectcalico.org/shop-web/default.leaves",
        "{found:?}"
    );
    ensure!(
        found
            .field
            .as_deref()
            .is_some_and(|it| it.starts_with("spec.egress[0]")),
        "{found:?}"
    );
    ensure!(found.message.contains("kube-system"), "{found:?}");
    shown(governed, "namespace-name", Some(1)).await?;

    let kubernetes = api(
        governed.client(),
        KUBERNETES,
        "NetworkPolicy",
        Some("shop-data"),
    );
    let spec = json!({
        "podSelector": {}, "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}],
    });
    let open = object(KUBERNETES, "NetworkPolicy", "open", &spec)?;
    kubernetes.create(&PostParams::default(), &open).await?;
    when(governed, "both to be found", |status| {
        status
            .findings
            .iter()
            .any(|it| it.object == "NetworkPolicy/shop-data/open")
    })
    .await?;
    told(governed, &["default.leaves", "shop-data/open"]).await?;

    // Mended, it is taken back; said again in other words, it is no news.
    kubernetes.delete("open", &DeleteParams::default()).await?;
    let fixed = Patch::Merge(json!({"spec": towards("applicationcode == 'shop'")}));
    calico
        .patch("default.leaves", &PatchParams::default(), &fixed)
        .await?;
    when(governed, "nothing to be found", |status| {
        is(status, "True", "NothingCrosses") && status.findings.is_empty()
    })
    .await?;
    shown(governed, "namespace-name", None).await?;
    let again = Patch::Merge(json!({"spec": towards("all()")}));
    calico
        .patch("default.leaves", &PatchParams::default(), &again)
        .await?;
    when(governed, "the policy to be found again", |status| {
        status.findings.iter().any(|it| it.rule == "all-namespaces")
    })
    .await?;
    Ok(())
}

async fn a_restart_repeats_nothing(governed: &Governed) -> Result<()> {
    // What is gathered is published.
    let before = settled_events(governed).await?;
    let status = governed.zones().get("shop").await?.status;
    governed.operator.terminate().await?;
    let options = OperatorOptions {
        name: Some("restarted".to_owned()),
        ..OperatorOptions::default()
    };
    let restarted = OperatorProcess::start(&governed.cluster, options).await?;
    restarted.wait_until_ready(CONVERGED).await?;
    eventually(CONVERGED, "the finding to be counted again", async || {
        let metrics = restarted.metrics().await?;
        let line = "landingzone_boundary_findings{landing_zone=\"shop\",rule=\"all-namespaces\",open=\"false\"} 1\n";
        ensure!(metrics.contains(line), "{metrics}");
        Ok(Some(()))
    })
    .await?;
    holds_for(BRIEFLY, "nothing is told twice", async || {
        let now = events(governed).await?;
        ensure!(now == before, "{before:#?} became {now:#?}");
        let now = governed.zones().get("shop").await?.status;
        ensure!(now == status, "the status was written: {now:#?}");
        Ok(())
    })
    .await?;
    restarted.terminate().await?;
    Ok(())
}

pub async fn a_network_set_that_was_there_first_is_found(clusters: &Clusters) -> Result<()> {
    let mut set = object(
        CALICO,
        "GlobalNetworkSet",
        "partners",
        &json!({"nets": ["203.0.113.0/24"]}),
    )?;
    let label = (
        "pcns.landingzones.dev/landing-zone".to_owned(),
        "shop".to_owned(),
    );
    set.metadata.labels = Some([label].into());
    let test = async |governed: &Governed| {
        let _shop = Shop::open(governed, "shop").await?;
        let _other = Shop::open(governed, "orders").await?;
        let status = when(governed, "the set to be found", |status| {
            is(status, "False", "BoundaryOpen")
        })
        .await?;
        let found = status.findings.first().context("no finding")?;
        ensure!(found.rule == "forged-labels" && found.open, "{found:?}");
        shown(governed, "forged-labels", Some(1)).await?;
        // It passes for somebody inside of one landing zone, and of no other.
        governed
            .condition("orders", "BoundaryHeld", "True", "NothingCrosses")
            .await?;
        let sets = api(governed.client(), CALICO, "GlobalNetworkSet", None);
        sets.delete("partners", &DeleteParams::default()).await?;
        governed
            .condition("shop", "BoundaryHeld", "True", "NothingCrosses")
            .await?;
        shown(governed, "forged-labels", None).await
    };
    clusters
        .with(OperatorOptions::default(), vec![set], test)
        .await
}

/// What is kept of a namespace is bounded: what does not fit counts as open, and is judged when something else goes.
pub async fn what_found_no_room_is_judged_once_there_is_some(clusters: &Clusters) -> Result<()> {
    const LARGE: usize = 250 * 1024;
    const FIT: usize = 4 * 1024 * 1024 / LARGE;
    let test = async |governed: &Governed| {
        let _shop = Shop::open(governed, "shop").await?;
        let policies = api(governed.client(), CALICO, "NetworkPolicy", Some("shop-web"));
        for number in 0..=FIT {
            let mut spec = towards("applicationcode == 'shop'");
            spec["selector"] = json!(format!("a == '{}'", "a".repeat(LARGE)));
            let name = format!("default.large-{number}");
            let large = object(CALICO, "NetworkPolicy", &name, &spec)?;
            policies.create(&PostParams::default(), &large).await?;
        }
        let status = when(governed, "the last one to find no room", |status| {
            is(status, "False", "BoundaryOpen")
        })
        .await?;
        let rules: Vec<_> = status.findings.iter().map(|it| &it.rule).collect();
        ensure!(rules == ["too-complex"], "{rules:?}");
        let unfit = &status.findings[0].object;
        let first = format!("default.large-{}", usize::from(unfit.ends_with("large-0")));
        policies.delete(&first, &DeleteParams::default()).await?;
        when(governed, "it to be judged", |status| {
            is(status, "True", "NothingCrosses") && status.findings.is_empty()
        })
        .await?;
        Ok(())
    };
    clusters
        .with(OperatorOptions::default(), Vec::new(), test)
        .await
}

pub(super) fn is(status: &LandingZoneStatus, state: &str, reason: &str) -> bool {
    condition(status, "BoundaryHeld").is_some_and(|(is, why, _)| is == state && why == reason)
}

pub(super) async fn when(
    governed: &Governed,
    what: &str,
    wanted: impl Fn(&LandingZoneStatus) -> bool,
) -> Result<LandingZoneStatus> {
    let zone = governed
        .zone_when("shop", what, |_, status| wanted(status))
        .await?;
    zone.status.context("no status")
}

/// Waits until the metric shows so many findings; None: no series at all.
pub(super) async fn shown(governed: &Governed, rule: &str, count: Option<i64>) -> Result<()> {
    eventually(CONVERGED, "the metric to follow", async || {
        let metrics = governed.operator.metrics().await?;
        let start =
            format!("landingzone_boundary_findings{{landing_zone=\"shop\",rule=\"{rule}\",open=");
        let shown = metrics.lines().find_map(|line| line.strip_prefix(&start));
        let shown = shown.and_then(|rest| Some(rest.split_once("} ")?.1));
        let expected = count.map(|count| count.to_string());
        ensure!(shown == expected.as_deref(), "it shows {shown:?}");
        Ok(Some(()))
    })
    .await
}

/// What is told of findings, in the order of the words.
async fn events(governed: &Governed) -> Result<Vec<String>> {
    let events: Api<Event> = Api::namespaced(governed.client(), "default");
    let all = events.list(&ListParams::default()).await?;
    let of_findings = all.items.into_iter().filter(|event| {
        let reasons = ["UndeclaredCrossing", "BoundaryOpen"];
        event
            .reason
            .as_deref()
            .is_some_and(|reason| reasons.contains(&reason))
    });
    let mut notes: Vec<_> = of_findings.filter_map(|event| event.note).collect();
    notes.sort();
    Ok(notes)
}

/// Waits until each of these is told, and looks whether nothing is told twice.
pub(super) async fn told(governed: &Governed, objects: &[&str]) -> Result<()> {
    let is_told = |notes: &[String], object: &str| notes.iter().any(|note| note.contains(object));
    eventually(CONVERGED, "each finding to be told", async || {
        let notes = events(governed).await?;
        ensure!(
            objects.iter().all(|object| is_told(&notes, object)),
            "{notes:?}"
        );
        Ok(Some(()))
    })
    .await?;
    let notes = settled_events(governed).await?;
    let lines: Vec<_> = notes.iter().flat_map(|note| note.lines()).collect();
    let distinct: BTreeSet<_> = lines.iter().collect();
    ensure!(
        distinct.len() == lines.len(),
        "something was told twice: {notes:#?}"
    );
    Ok(())
}

/// The events once no more come: they are gathered for 5 s.
async fn settled_events(governed: &Governed) -> Result<Vec<String>> {
    eventually(CONVERGED, "all to be told", async || {
        let before = events(governed).await?;
        let quiet = holds_for(BRIEFLY, "no more events", async || {
            let now = events(governed).await?;
            ensure!(now == before, "{now:?}");
            Ok(())
        });
        quiet.await?;
        Ok(Some(before))
    })
    .await
}
