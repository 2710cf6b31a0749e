//! What the operator asks of the API server, counted: `cargo bench-zones` measures the rest, with many more landing zones.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::audit::{Event, Mark};
use e2e::bench::Fleet;
use e2e::binaries::{OperatorBinaries, Profile};
use e2e::governed::CONVERGED;
use e2e::scenario::{self, Shared};
use e2e::{Calico, Governed, OperatorOptions, OperatorProcess, eventually, holds_for, scenarios};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use landing_zone_operator::api::LandingZonePlatform;
use serde_json::json;
use tokio::sync::Mutex;

/// Of three namespaces each.
const FLEET: Fleet = Fleet { landing_zones: 50 };
/// What the landing zones make of one policy each.
const CHANGED_BY_DNS: &str = "globalnetworkpolicies";

struct Fixture {
    governed: Mutex<Governed>,
    /// Where the log of requests ended before any landing zone was declared.
    before: Mark,
    logs: String,
}

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
        let before = governed.cluster.audit_log().mark()?;
        FLEET.declare(&governed.client()).await?;
        for name in FLEET.names() {
            governed.ready(&name).await?;
        }
        let logs = governed.operator.logs().unwrap_or_default();
        Ok(Self {
            governed: Mutex::new(governed),
            before,
            logs,
        })
    }

    async fn stop(self) -> Result<()> {
        self.governed.into_inner().stop().await
    }

    fn logs(&self) -> String {
        self.logs.clone()
    }
}

/// One after the other: each counts all that the operator asks for.
async fn what_it_costs_is_counted(fixture: &Fixture) -> Result<()> {
    let mut governed = fixture.governed.lock().await;
    quiet(&governed).await?;
    from_nothing(&governed, fixture.before)?;
    a_change_of_the_platform(&governed).await?;
    a_restart(&mut governed).await
}

/// Each object is written once, and each status at most three times: what will be there, what is, and what was judged.
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
    ensure!(statuses <= 3 * zones, "{statuses} statuses: {what:#?}");
    ensure!(events <= zones, "{events} events: {what:#?}");
    let others = writes.len() - statuses - events;
    ensure!(
        others == objects,
        "{others} writes for {objects} objects: {what:#?}"
    );
    let failed: Vec<_> = writes.iter().filter(|it| !it.succeeded()).collect();
    ensure!(failed.is_empty(), "{failed:#?}");
    Ok(())
}

/// Only what differs is written: the policy, and in the status which objects are in force, by which a restart tells drift
/// from a change.
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
    quiet(governed).await?;
    let mark = governed.cluster.audit_log().mark()?;
    let patch = Patch::Merge(platform(&["10.9.0.53"]));
    let params = PatchParams::default();
    platforms.patch("cluster", &params, &patch).await?;
    eventually(CONVERGED, "each landing zone to follow", async || {
        let writes = writes_since(governed, mark)?;
        let changed = writes.iter().filter(|it| it.resource == CHANGED_BY_DNS);
        let changed = changed.count();
        ensure!(changed >= FLEET.landing_zones, "{changed}");
        Ok(Some(()))
    })
    .await?;
    quiet(governed).await?;
    let mut writes = writes_since(governed, mark)?;
    writes.retain(|it| it.resource != "landingzoneplatforms");
    let what = by_kind(&writes);
    let statuses = writes.iter().filter(|it| it.resource == "landingzones");
    ensure!(statuses.count() == FLEET.landing_zones, "{what:#?}");
    ensure!(writes.len() == 2 * FLEET.landing_zones, "{what:#?}");
    Ok(())
}

/// A list and a watch of each kind, however many landing zones there are.
async fn a_restart(governed: &mut Governed) -> Result<()> {
    FLEET.write_team_policies(&governed.client()).await?;
    quiet(governed).await?;
    governed.operator.terminate().await?;
    let mark = governed.cluster.audit_log().mark()?;
    governed.operator =
        OperatorProcess::start(&governed.cluster, OperatorOptions::default()).await?;
    governed.operator.wait_until_ready(CONVERGED).await?;
    quiet(governed).await?;
    let log = governed.cluster.audit_log();
    let requests = log.requests_by(governed.operator_user(), mark)?;
    let what = by_kind(&requests);
    ensure!(!requests.iter().any(Event::is_write), "{what:#?}");
    // However many pages a list has.
    let mut asked = requests.clone();
    asked.retain(|it| !it.request_uri.contains("continue="));
    ensure!(asked.len() < 60, "{} requests: {what:#?}", asked.len());
    let begun = requests.iter().filter(|it| it.verb == "watch");
    let mut watched: BTreeMap<_, usize> = BTreeMap::new();
    for it in begun {
        *watched
            .entry((&it.api_group, &it.resource, &it.name))
            .or_default() += 1;
    }
    ensure!(watched.values().all(|times| *times == 1), "{watched:#?}");
    Ok(())
}

fn writes_since(governed: &Governed, mark: Mark) -> Result<Vec<Event>> {
    let log = governed.cluster.audit_log();
    log.writes_by(governed.operator_user(), mark)
}

/// Waits until the operator asks for nothing any more.
async fn quiet(governed: &Governed) -> Result<()> {
    const MOMENT: Duration = Duration::from_secs(2);
    let log = governed.cluster.audit_log();
    eventually(CONVERGED, "the operator to be done", async || {
        let mark = log.mark()?;
        let quiet = holds_for(MOMENT, "silence", async || {
            let mut requests = log.requests_by(governed.operator_user(), mark)?;
            requests.retain(|it| it.verb != "watch");
            ensure!(requests.is_empty(), "{:?}", by_kind(&requests));
            Ok(())
        });
        quiet.await.map(Some)
    })
    .await
    .context("it goes on")
}

/// How many requests there were of each kind.
fn by_kind(requests: &[Event]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for it in requests {
        let what = format!("{} {} {} {}", it.verb, it.resource, it.subresource, it.code);
        *kinds.entry(what).or_default() += 1;
    }
    kinds
}

fn main() -> ExitCode {
    scenario::run::<Fixture>(scenarios![
        what_it_costs_is_counted within Duration::from_mins(3),
    ])
}
