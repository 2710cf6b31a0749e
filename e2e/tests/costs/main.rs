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
use e2e::{Calico, Governed, OperatorOptions, eventually, scenarios};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use landing_zone_operator::api::LandingZonePlatform;
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
    a_change_of_the_platform(governed).await
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
        what_it_costs_is_counted within Duration::from_mins(3),
    ])
}
