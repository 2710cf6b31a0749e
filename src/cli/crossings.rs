//! What is open between the landing zones that are given, and what is not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::api::{CrossingState, Stage};
use crate::domain::{
    Flavour, LandingZone, LandingZoneName, Neighbour, Opening, Peer, Platform, Resolved,
    Surroundings, resolve,
};

/// What is open across the boundary of each landing zone, as if no others existed than these.
pub(super) fn resolved(
    zones: &[LandingZone],
    platform: &Platform,
    flavour: Flavour,
) -> Vec<Resolved> {
    resolved_among(zones, platform, flavour, None)
}

/// What was open across the boundary of each landing zone, by its name, as its status tells it.
pub(super) type Before = BTreeMap<LandingZoneName, Vec<Opening>>;

/// The same where there are others that cannot be read: to those is open what was open `before`.
pub(super) fn resolved_among(
    zones: &[LandingZone],
    platform: &Platform,
    flavour: Flavour,
    before: Option<&Before>,
) -> Vec<Resolved> {
    let known: BTreeMap<&LandingZoneName, &LandingZone> =
        zones.iter().map(|zone| (&zone.name, zone)).collect();
    // By whom each is named: of a thousand landing zones, few have to do with one.
    let mut named_by: BTreeMap<&LandingZoneName, Vec<&LandingZone>> = BTreeMap::new();
    for zone in zones {
        for crossing in &zone.network.crossings {
            if let Some(name) = crossing.names() {
                named_by.entry(name).or_default().push(zone);
            }
        }
    }
    let neighbours = |zone: &LandingZone| {
        let crossings = zone.network.crossings.iter();
        let peers = crossings.filter_map(|it| it.names());
        let unread = peers
            .clone()
            .filter(|it| before.is_some() && !known.contains_key(it))
            .map(|it| (it.clone(), Neighbour::AsBefore("cannot be read")));
        let named = peers.filter_map(|it| known.get(it));
        let naming = named_by.get(&zone.name).into_iter().flatten();
        let all = named.chain(naming);
        all.map(|it| (it.name.clone(), neighbour(it)))
            .chain(unread)
            .collect()
    };
    let opened = opened_by(zones);
    let today = today();
    let surroundings = |zone: &LandingZone| Surroundings {
        platform,
        flavour,
        today,
        neighbours: neighbours(zone),
        before: before
            .and_then(|before| before.get(&zone.name))
            .cloned()
            .unwrap_or_default(),
        shared_ranges: shared_ranges(zone, &opened),
    };
    let resolved = zones.iter().map(|zone| resolve(zone, &surroundings(zone)));
    resolved.collect()
}

/// The day by which crossings are over, as the operator counts days.
pub(super) fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// One line for each crossing that is closed or has something to know about it.
pub(super) fn note(
    stderr: &mut dyn Write,
    zone: &LandingZone,
    resolved: &Resolved,
) -> io::Result<()> {
    for crossing in &resolved.crossings {
        let Some(message) = &crossing.message else {
            continue;
        };
        let state = match crossing.state {
            CrossingState::Open => "open",
            _ => "closed",
        };
        writeln!(
            stderr,
            "note: landing zone {}: {} ({}) is {state}: {message}",
            zone.name, crossing.name, crossing.peer
        )?;
    }
    Ok(())
}

fn neighbour(zone: &LandingZone) -> Neighbour {
    match zone.stage {
        // Nobody knows here what was before.
        Stage::Plan => Neighbour::AsBefore("is in stage Plan"),
        // One that is suspended counts as it is written: nobody knows here what was before.
        Stage::Observe | Stage::Enforce => Neighbour::InForce(Box::new(zone.clone())),
    }
}

fn opened_by(zones: &[LandingZone]) -> BTreeMap<IpNet, BTreeSet<String>> {
    let mut opened: BTreeMap<IpNet, BTreeSet<String>> = BTreeMap::new();
    for zone in zones {
        for range in ranges(zone) {
            let names = opened.entry(range).or_default();
            names.insert(zone.name.to_string());
        }
    }
    opened
}

fn shared_ranges(
    zone: &LandingZone,
    opened: &BTreeMap<IpNet, BTreeSet<String>>,
) -> BTreeMap<IpNet, BTreeSet<String>> {
    let mut shared = BTreeMap::new();
    for range in ranges(zone) {
        let mut others = opened.get(&range).cloned().unwrap_or_default();
        others.remove(zone.name.as_str());
        if !others.is_empty() {
            shared.insert(range, others);
        }
    }
    shared
}

fn ranges(zone: &LandingZone) -> impl Iterator<Item = IpNet> {
    let crossings = zone.network.crossings.iter();
    crossings.flat_map(|crossing| match &crossing.peer {
        Peer::Addresses { cidrs, .. } => cidrs.clone(),
        Peer::LandingZone { .. } | Peer::Fqdns(_) | Peer::Destination(_) | Peer::ApiServer => {
            Vec::new()
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api;
    use crate::domain::{CalicoNaming, PolicyApi};

    fn zone(name: &str, stage: &str, network: impl Into<Value>) -> LandingZone {
        let spec = json!({
            "applicationCode": name, "stage": stage,
            "namespaces": [{"name": name, "zone": "web"}],
            "network": network.into(),
        });
        let declared = api::LandingZone::new(name, serde_json::from_value(spec).unwrap());
        LandingZone::validate(&declared, &Platform::default()).unwrap()
    }

    #[test]
    fn a_neighbour_that_is_planned_only_opens_nothing() {
        let flavour = Flavour {
            api: PolicyApi::CalicoCrdV1,
            tiers: false,
            staged: false,
            naming: CalicoNaming::TierPrefixed,
        };
        for (stage, expected) in [
            ("Plan", CrossingState::PeerNotInForce),
            ("Observe", CrossingState::Open),
            ("Enforce", CrossingState::Open),
        ] {
            let to = json!({"egress": [{"name": "out", "to": {"landingZone": "orders"}}]});
            let from = json!({"ingress": [{"name": "in", "from": {"landingZone": "shop"}}]});
            let zones = [zone("shop", "Enforce", to), zone("orders", stage, from)];
            let resolved = resolved(&zones, &Platform::default(), flavour);
            assert_eq!(resolved[0].crossings[0].state, expected, "{stage}");
        }
    }
}
