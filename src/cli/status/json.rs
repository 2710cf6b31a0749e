//! How landing zones stand, for programs.

use serde::Serialize;

use super::Zone;
use super::told::Row;
use super::verdict::{Standing, Verdict, Whom};
use crate::api::{LandingZonePlatform, LandingZonePlatformStatus, LandingZoneStatus};
use crate::cli::reader::Unread;

/// One landing zone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told<'a> {
    verdict: Standing,
    waiting_for: &'a [Whom],
    message: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pods: Option<String>,
    status: Option<&'a LandingZoneStatus>,
}

impl<'a> Told<'a> {
    /// What is told of a landing zone; `pods` of those that run elsewhere.
    pub(super) fn of(zone: &'a Zone, pods: Option<String>) -> Self {
        let Verdict {
            standing,
            waiting_for,
            message,
        } = &zone.verdict;
        let declared = zone.declared.as_ref().ok();
        Self {
            verdict: *standing,
            waiting_for,
            message,
            name: &zone.name,
            pods,
            status: declared.and_then(|it| it.status.as_ref()),
        }
    }
}

/// All of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct All<'a> {
    verdict: Standing,
    waiting_for: &'a [Whom],
    message: &'a str,
    landing_zones: Vec<Told<'a>>,
    platform: Option<ToldPlatform<'a>>,
    unread: Vec<ToldUnread<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldPlatform<'a> {
    verdict: Standing,
    waiting_for: &'a [Whom],
    message: &'a str,
    status: Option<&'a LandingZonePlatformStatus>,
}

/// What could not be read.
#[derive(Serialize)]
struct ToldUnread<'a> {
    what: &'a str,
    why: &'a str,
}

impl<'a> All<'a> {
    /// What is told of all of them, in the order of the rows.
    pub(super) fn of(
        verdict: &'a Verdict,
        zones: &'a [Zone],
        rows: &[Row],
        platform: Option<&'a (LandingZonePlatform, Verdict)>,
        unread: &'a [Unread],
    ) -> Self {
        let named = |row: &Row| zones.iter().find(|it| it.name == row.name);
        let told = rows.iter().filter_map(named);
        Self {
            verdict: verdict.standing,
            waiting_for: &verdict.waiting_for,
            message: &verdict.message,
            landing_zones: told.map(|it| Told::of(it, None)).collect(),
            platform: platform.map(|(platform, verdict)| ToldPlatform {
                verdict: verdict.standing,
                waiting_for: &verdict.waiting_for,
                message: &verdict.message,
                status: platform.status.as_ref(),
            }),
            unread: unread
                .iter()
                .map(|Unread { what, why }| ToldUnread { what, why })
                .collect(),
        }
    }
}

/// For whoever reads it whole.
pub(super) fn pretty(told: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(told)? + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    // Scripts rely on these names.
    #[test]
    fn the_fields_are_those_that_the_help_tells() {
        let zone = Zone::of(json!({
            "metadata": {"name": "shop", "generation": 1},
            "spec": {"applicationCode": "shop", "namespaces": [{"name": "a", "zone": "web"}]},
            "status": {"observedGeneration": 1, "namespacesReady": "1/1", "conditions": [
                {"type": "Ready", "status": "True", "reason": "AsDeclared", "message": "fine",
                 "lastTransitionTime": "2026-11-26T00:00:00Z"},
                {"type": "CrossingsOpen", "status": "False", "reason": "CrossingsClosed", "message": "closed",
                 "lastTransitionTime": "2026-11-26T00:00:00Z"},
            ], "crossings": [
                {"name": "a", "peer": "landing zone orders", "state": "DeclaredHere", "message": "why"},
            ]},
        }));
        let told: Value = serde_json::to_value(Told::of(&zone, Some("1 run".into()))).unwrap();
        assert_eq!(told["verdict"], "Waiting");
        let expected = json!([{"who": "LandingZone", "name": "orders"}]);
        assert_eq!(told["waitingFor"], expected);
        assert_eq!(told["message"], "a (landing zone orders): why");
        assert_eq!(told["name"], "shop");
        assert_eq!(told["pods"], "1 run");
        assert_eq!(told["status"]["namespacesReady"], "1/1");
        for field in told.as_object().unwrap().keys() {
            assert!(
                super::super::AFTER_HELP.contains(&format!("\n  {field} ")),
                "{field}"
            );
        }

        let rows = [zone.row()];
        let unread = [Unread {
            what: "platform".into(),
            why: "forbidden".into(),
        }];
        let zones = [zone];
        let all = All::of(&zones[0].verdict, &zones, &rows, None, &unread);
        let all = serde_json::to_value(all).unwrap();
        assert_eq!(all["landingZones"][0]["name"], "shop");
        assert_eq!(all["platform"], Value::Null);
        assert_eq!(
            all["unread"],
            json!([{"what": "platform", "why": "forbidden"}])
        );
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let zone = Zone::of(json!({"metadata": {"name": "odd"}, "spec": {"namespaces": 1}}));
        assert_eq!(zone.name, "odd");
        let told = serde_json::to_value(Told::of(&zone, None)).unwrap();
        assert_eq!(
            (&told["verdict"], &told["status"]),
            (&json!("ActNow"), &Value::Null)
        );
    }
}
