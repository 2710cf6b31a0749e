//! What the landing zone itself says about its drift: its status, its events, and its line in
//! `kubectl get`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{Timestamp, Unit};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use landing_zone_operator::api::{DriftRepair, LandingZone};

use super::drift::Repair;
use super::is_ready;
use super::page::Page;
use super::stage::Stage;
use crate::eventually;

/// Both are gathered for 5 s.
const GATHERED: Duration = Duration::from_secs(15);
const REPAIRED: &str = "DriftRepaired";

/// Shows what the landing zone reports, and checks it against what happened.
pub(super) async fn show(
    stage: &Stage,
    zone: &LandingZone,
    repairs: &[Repair],
    page: &mut Page,
) -> Result<()> {
    let name = zone.metadata.name.as_deref().unwrap_or_default();
    page.heading("What the landing zone says about it");
    page.command(&format!("kubectl get lz {name} -o yaml   # status.drift"));
    let reported = status(stage, name, repairs, page).await?;
    for repair in repairs {
        let found = reported.iter().find(|report| is_about(report, repair));
        let Some(report) = found else {
            continue;
        };
        let right = report.manager == repair.manager;
        let text = match &repair.manager {
            Some(manager) => format!(
                "{}: status names the field manager {manager}.",
                repair.object
            ),
            None => format!("{}: status does not guess who it was.", repair.object),
        };
        page.fact(right, &text);
    }

    page.gap();
    page.command("kubectl get events   # gathered: at most one in 5 s");
    let events = events(stage, name, repairs).await;
    let shown = events_of(stage, name).await?;
    let lines: Vec<(&str, &str)> = shown
        .iter()
        .flat_map(|event| {
            let reason = event.reason.as_deref().unwrap_or_default();
            let notes = event.note.as_deref().unwrap_or_default().lines();
            notes.map(move |note| (reason, note))
        })
        .collect();
    page.entries(&lines);
    page.outcome("An event tells each repair.", events);

    page.gap();
    page.command("kubectl get lz");
    let line = stage.kubectl(&["get", "lz"]).await?;
    page.verbatim(&line);
    let count = repairs.len().to_string();
    let columns: Vec<&str> = line
        .lines()
        .nth(1)
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let namespaces = zone.spec.namespaces.len();
    let ready = format!("{namespaces}/{namespaces}");
    let (is, text) = if is_ready(zone) {
        (
            "True",
            "All namespaces are ready, and so is the landing zone.",
        )
    } else {
        (
            "False",
            "All namespaces are ready; the landing zone is not, as before.",
        )
    };
    page.fact(
        columns.get(3) == Some(&ready.as_str()) && columns.get(4) == Some(&is),
        text,
    );
    page.fact(
        columns.get(5) == Some(&count.as_str()) && !repairs.is_empty(),
        &format!("Its drift count is {count}: as many as were put back."),
    );
    Ok(())
}

/// Waits until the status tells of each repair, and shows the last ones.
async fn status(
    stage: &Stage,
    name: &str,
    repairs: &[Repair],
    page: &mut Page,
) -> Result<Vec<DriftRepair>> {
    let zones: Api<LandingZone> = Api::all(stage.client());
    let read = async || -> Result<Vec<DriftRepair>> {
        let drift = zones
            .get(name)
            .await?
            .status
            .and_then(|status| status.drift);
        Ok(drift.map(|drift| drift.recent).unwrap_or_default())
    };
    let complete = eventually(GATHERED, "status.drift to tell each repair", async || {
        let recent = read().await?;
        for repair in repairs {
            let told = recent.iter().any(|report| is_about(report, repair));
            ensure!(told, "it does not tell of {}", repair.object);
        }
        Ok(Some(()))
    })
    .await;
    let mut recent = read().await?;
    // Oldest first, as it happened.
    recent.reverse();
    for report in &recent {
        let manager = report
            .manager
            .as_deref()
            .unwrap_or("unknown, see the audit log");
        let text = format!(
            "{}: {}; changed by: {manager}",
            report.object, report.change
        );
        page.entries(&[("repair", &text)]);
    }
    page.outcome("The status tells each repair.", complete);
    Ok(recent)
}

fn is_about(report: &DriftRepair, repair: &Repair) -> bool {
    // The status counts in whole seconds.
    let begin = repair.changed.round(Unit::Second).unwrap_or(repair.changed);
    let begin = begin.min(repair.changed).as_second();
    report.object == repair.object
        && report.time.0 >= Timestamp::from_second(begin).unwrap_or_default()
}

/// Waits until events tell of each repair.
async fn events(stage: &Stage, name: &str, repairs: &[Repair]) -> Result<()> {
    eventually(GATHERED, "events", async || {
        let events = events_of(stage, name).await?;
        let repaired = events
            .iter()
            .filter(|event| event.reason.as_deref() == Some(REPAIRED));
        let notes: Vec<&str> = repaired.filter_map(|event| event.note.as_deref()).collect();
        for Repair { object, .. } in repairs {
            let start = format!("{object}: ");
            let told = notes
                .iter()
                .any(|note| note.lines().any(|line| line.starts_with(&start)));
            ensure!(told, "none tells of {object}");
        }
        Ok(Some(()))
    })
    .await
}

/// The events about this landing zone, in order.
async fn events_of(stage: &Stage, name: &str) -> Result<Vec<Event>> {
    // Events about objects without a namespace are in `default`.
    let api: Api<Event> = Api::namespaced(stage.client(), "default");
    let about =
        ListParams::default().fields(&format!("regarding.kind=LandingZone,regarding.name={name}"));
    let mut events = api
        .list(&about)
        .await
        .context("failed to list events")?
        .items;
    events.retain(|event| stage.is_since_start(event));
    events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
    Ok(events)
}
