//! The operator never writes outside the names of its landing zones, whatever happened in a run.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use e2e::Governed;
use e2e::audit::{Event, Mark};

/// Looks through everything that was asked of the API server since it started.
pub fn was_respected(governed: &Governed) -> Result<()> {
    let log = governed.cluster.audit_log();
    let operator = governed.operator_user();
    let all = log.since(Mark::default())?;
    // Each test calls its namespaces `<landing zone>-<part>`.
    let zones: BTreeSet<&str> = all
        .iter()
        .filter(|event| event.user != operator && event.resource == "landingzones")
        .map(|event| event.name.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    let writes = log.writes_by(operator, Mark::default())?;
    ensure!(!writes.is_empty(), "the operator wrote nothing");
    let foreign = writes.iter().find(|write| !is_within(&zones, write));
    ensure!(foreign.is_none(), "the operator wrote {foreign:?}");
    Ok(())
}

fn is_within(zones: &BTreeSet<&str>, write: &Event) -> bool {
    let named = |text: &str, prefix: &str| {
        text.strip_prefix(prefix).is_some_and(|rest| {
            let of = |zone: &&str| {
                rest.strip_prefix(*zone)
                    .is_some_and(|end| end.starts_with('-'))
            };
            zones.iter().any(of)
        })
    };
    let name = write.name.as_str();
    match write.resource.as_str() {
        "landingzones" => zones.contains(name),
        "namespaces" => named(name, ""),
        "resourcequotas" | "limitranges" => named(&write.namespace, "") && name == "landing-zone",
        "rolebindings" => named(&write.namespace, "") && name.starts_with("landing-zone-"),
        "globalnetworkpolicies" => named(name, "default.landing-zone-"),
        "clusterroles" | "clusterrolebindings" => named(name, "landing-zone-"),
        "events" => write.verb == "create" && write.namespace == "default",
        _ => false,
    }
}
