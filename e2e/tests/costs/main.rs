//! What the operator asks of the API server, counted; when nothing happens, and at a restart, `silence` counts.
//! `cargo bench-zones` measures the same and more, with many more landing zones.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::audit::{Event, Mark, by_kind};
use e2e::bench::Fleet;
use e2e::binaries::{OperatorBinaries, Profile};
use e2e::governed::CONVERGED;
use e2e::scenario::{self, Shared};
use e2e::{Calico, Governed, OperatorOptions, eventually, install, scenarios, workspace};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Event as CoreEvent, ResourceQuota};
use k8s_openapi::api::flowcontrol::v1::PriorityLevelConfiguration;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use landing_zone_operator::api::LandingZonePlatform;
use landing_zone_operator::api::names::OWNER;
use serde_json::json;

/// Of three namespaces each.
const FLEET: Fleet = Fleet { landing_zones: 50 };

struct Fixture {
    governed: Governed,
    /// Where the log of requests ended before any landing zone was declared.
    before: Mark,
}

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
        let before = governed.cluster.audit_log().mark()?;
        FLEET.declare(&governed.client()).await?;
        for name in FLEET.names() {
            governed.ready(&name).await?;
        }
        Ok(Self { governed, before })
    }

    async fn stop(self) -> Result<()> {
        self.governed.stop().await
    }

    fn logs(&self) -> String {
        self.governed.operator.logs().unwrap_or_default()
    }
}

/// One after the other: each counts all that the operator asks for.
async fn what_it_costs_is_counted(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.governed;
    quiet(governed).await?;
    from_nothing(governed, fixture.before)?;
    a_storm(governed).await?;
    a_change_of_the_platform(governed).await?;
    few_seats(governed).await
}

/// Each object is written once, and each status twice: what will be there, and what is.
fn from_nothing(governed: &Governed, before: Mark) -> Result<()> {
    let plugin = OperatorBinaries::ensure(Profile::Test)?.plugin;
    let folder = governed.cluster.directory().join("declared");
    let objects = FLEET.rendered(&plugin, &folder)?.len();
    let writes = writes_since(governed, before)?;
    let what = by_kind(&writes);
    let count = |verb: &str, resource: &str| {
        let all = writes.iter();
        all.filter(|it| it.verb == verb && it.resource == resource)
            .count()
    };
    let statuses = count("patch", "landingzones");
    let events = count("create", "events");
    let zones = FLEET.landing_zones;
    ensure!(statuses == 2 * zones, "{statuses} statuses: {what:#?}");
    ensure!(events <= zones, "{events} events: {what:#?}");
    let others = writes.len() - statuses - events;
    ensure!(
        others == objects,
        "{others} for {objects} objects: {what:#?}"
    );
    let failed: Vec<_> = writes.iter().filter(|it| !it.succeeded()).collect();
    ensure!(failed.is_empty(), "{failed:#?}");
    Ok(())
}

/// Much drift at once: each object is put back by one write, and what is told of it waits for that and is told once.
async fn a_storm(governed: &Governed) -> Result<()> {
    let mark = quiet(governed).await?;
    let client = governed.client();
    let quotas: Api<ResourceQuota> = Api::all(client.clone());
    let owned = ListParams::default().labels(OWNER);
    let all = quotas.list_metadata(&owned).await?.items;
    let drifted = all.len();
    ensure!(drifted >= 3 * FLEET.landing_zones, "{drifted} quotas");
    let raised = Patch::Merge(json!({"spec": {"hard": {"pods": "9999"}}}));
    let raise = all.iter().map(|it| {
        let quotas: Api<ResourceQuota> = Api::namespaced(
            client.clone(),
            it.metadata.namespace.as_deref().unwrap_or_default(),
        );
        let raised = &raised;
        async move {
            let params = PatchParams::default();
            quotas.patch(&it.name_any(), &params, raised).await
        }
    });
    try_join_all(raise).await?;
    let zones = governed.zones();
    eventually(CONVERGED, "each repair to be counted", async || {
        let found = zones.list(&ListParams::default()).await?.items;
        let repaired = found.iter().map(|zone| {
            let drift = zone.status.as_ref()?.drift.as_ref()?;
            usize::try_from(drift.repaired).ok()
        });
        let repaired: usize = repaired.map(Option::unwrap_or_default).sum();
        ensure!(repaired == drifted, "{repaired} of {drifted}");
        Ok(Some(()))
    })
    .await?;
    quiet(governed).await?;
    let mut writes = writes_since(governed, mark)?;
    let what = by_kind(&writes);
    // A quota changes once more when what it says is counted anew: who met that looks again.
    writes
        .retain(|it| it.succeeded() || (it.resource.as_str(), it.code) != ("resourcequotas", 409));
    let count = |resource: &str| writes.iter().filter(|it| it.resource == resource).count();
    let (repairs, statuses, events) = (
        count("resourcequotas"),
        count("landingzones"),
        count("events"),
    );
    ensure!(repairs == drifted, "{repairs} for {drifted}: {what:#?}");
    let zones = FLEET.landing_zones;
    ensure!(statuses <= 2 * zones, "{statuses} statuses: {what:#?}");
    // Those of one landing zone come together for 5 seconds: more only where it takes longer.
    let of_events = writes.iter().filter(|it| it.resource == "events");
    let (first, last) = (
        of_events.clone().map(|it| it.completed).min(),
        of_events.map(|it| it.completed).max(),
    );
    let span = first
        .zip(last)
        .map(|(first, last)| last.duration_since(first));
    let gathered = usize::try_from(span.map_or(0, |it| it.as_secs()) / 5)?;
    ensure!(
        events <= (2 + gathered) * zones,
        "{events} events: {what:#?}"
    );
    ensure!(writes.len() == repairs + statuses + events, "{what:#?}");
    println!("{drifted} repairs, {statuses} statuses, {events} events");
    Ok(())
}

/// Only what differs is written: a policy of each landing zone, and in its status which objects are in force, by which a
/// restart tells drift from a change.
async fn a_change_of_the_platform(governed: &Governed) -> Result<()> {
    let platforms: Api<LandingZonePlatform> = Api::all(governed.client());
    let platform = |addresses: &[&str]| {
        json!({
            "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZonePlatform",
            "metadata": {"name": "cluster"}, "spec": {"dns": {"extraAddresses": addresses}},
        })
    };
    let declared = serde_json::from_value(platform(&[]))?;
    platforms.create(&PostParams::default(), &declared).await?;
    let mark = quiet(governed).await?;
    let patch = Patch::Merge(platform(&["10.9.0.53"]));
    let params = PatchParams::default();
    platforms.patch("cluster", &params, &patch).await?;
    let count = |writes: &[Event], resource: &str| {
        let all = writes.iter();
        all.filter(|it| it.resource == resource).count()
    };
    eventually(CONVERGED, "each landing zone to follow", async || {
        let changed = count(&writes_since(governed, mark)?, "globalnetworkpolicies");
        ensure!(changed >= FLEET.landing_zones, "{changed}");
        Ok(Some(()))
    })
    .await?;
    quiet(governed).await?;
    let mut writes = writes_since(governed, mark)?;
    // What it says of the platform itself.
    writes.retain(|it| it.resource != "landingzoneplatforms");
    let what = by_kind(&writes);
    let statuses = count(&writes, "landingzones");
    ensure!(statuses == FLEET.landing_zones, "{what:#?}");
    ensure!(writes.len() == 2 * FLEET.landing_zones, "{what:#?}");
    Ok(())
}

/// An API server that turns most requests away gets each of them again until it takes it, nobody is told of a failure, and
/// nothing is written twice.
async fn few_seats(governed: &Governed) -> Result<()> {
    const NAME: &str = "landing-zone-operator";
    // The more it turns away, the longer it asks to wait, up to half a minute.
    const FOLLOWED: Duration = Duration::from_mins(3);
    let client = governed.client();
    let flow_control = workspace::root().join("config/flow-control/flow-control.yaml");
    install::apply_manifests(&client, &flow_control).await?;
    let levels: Api<PriorityLevelConfiguration> = Api::all(client.clone());
    let limited = json!({
        "nominalConcurrencyShares": 3,
        "limitResponse": {"type": "Reject", "queuing": null},
    });
    let few = Patch::Merge(json!({"spec": {"limited": limited}}));
    levels.patch(NAME, &PatchParams::default(), &few).await?;
    let turned_away = |writes: &[Event]| writes.iter().filter(|it| it.code == 429).count();
    let zones = FLEET.landing_zones;

    // The API server takes to its new limits in its own time.
    let platforms: Api<LandingZonePlatform> = Api::all(client.clone());
    let mut round = 0_u8;
    let writes = eventually(FOLLOWED, "requests to be turned away", async || {
        let mark = quiet(governed).await?;
        round += 1;
        let addresses = [format!("10.9.1.{round}")];
        let change = Patch::Merge(json!({"spec": {"dns": {"extraAddresses": addresses}}}));
        platforms
            .patch("cluster", &PatchParams::default(), &change)
            .await?;
        eventually(FOLLOWED, "each landing zone to follow", async || {
            // Whoever is asked to wait is silent for long, and has not done yet.
            let writes = writes_since(governed, mark)?;
            let done = |resource: &str| {
                let all = writes.iter();
                all.filter(|it| it.resource == resource && it.succeeded())
                    .count()
            };
            let (policies, statuses) = (done("globalnetworkpolicies"), done("landingzones"));
            ensure!(
                policies >= zones && statuses >= zones,
                "{policies} policies, {statuses} statuses"
            );
            Ok(Some(()))
        })
        .await?;
        quiet(governed).await?;
        let writes = writes_since(governed, mark)?;
        Ok((turned_away(&writes) > 0).then_some(writes))
    })
    .await?;
    let count = turned_away(&writes);
    let what = by_kind(&writes);
    // Besides there is what it says of the platform itself, and what is still told of the storm.
    let done = writes.iter().filter(|it| it.succeeded());
    let others = ["landingzoneplatforms", "events"];
    let done = done
        .filter(|it| !others.contains(&it.resource.as_str()))
        .count();
    ensure!(done == 2 * zones, "{done} of {}: {what:#?}", 2 * zones);
    let events: Api<CoreEvent> = Api::all(client);
    let warnings = ListParams::default().fields("type=Warning");
    let mut told = events.list(&warnings).await?.items;
    told.retain(|it| it.involved_object.kind.as_deref() == Some("LandingZone"));
    ensure!(told.is_empty(), "{told:#?}");
    println!("{count} of {} requests turned away", writes.len());
    Ok(())
}

fn writes_since(governed: &Governed, mark: Mark) -> Result<Vec<Event>> {
    let log = governed.cluster.audit_log();
    log.writes_by(governed.operator_user(), mark)
}

/// Waits until the operator asks for nothing any more.
async fn quiet(governed: &Governed) -> Result<Mark> {
    const MOMENT: Duration = Duration::from_secs(2);
    let log = governed.cluster.audit_log();
    log.quiet(governed.operator_user(), MOMENT, CONVERGED).await
}

fn main() -> ExitCode {
    scenario::run::<Fixture>(scenarios![
        what_it_costs_is_counted within Duration::from_mins(6),
    ])
}
