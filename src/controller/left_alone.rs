//! What is in force of a landing zone that is left alone, because it is suspended or only planned. Nothing of it is
//! changed, so what an earlier stage put into force holds on, and what its teams write is judged by that; also by an
//! operator that started since, which put nothing into force itself.

use std::collections::{BTreeMap, BTreeSet};

use super::cache::Objects;
use super::claims::Holding;
use super::context::Context;
use super::crossings;
use super::kind::Kind;
use super::memory::Memory;
use super::pretenders::Pretenders;
use super::reconcile::Observation;
use super::released::released;
use crate::api::LandingZoneStatus;
use crate::domain;

/// Tells the guard what is in force of a landing zone that is left alone. Without a request.
pub(super) fn tell_guard(
    observation: &Observation,
    context: &Context,
    memory: &Memory,
    zone: &domain::LandingZone,
) {
    let standing = standing(zone, observation.status.as_ref(), &context.cache.read());
    let in_force = standing.map(|zone| {
        let mut crossings = crossings::resolved(observation, context, memory, &zone);
        let released = released(observation, context, &zone);
        let objects = context.cache.read();
        let pretenders = Pretenders {
            objects: &objects,
            known: &|name| context.zone(name),
        };
        crossings.openings.pretenders =
            pretenders.of(&zone, &BTreeSet::new(), &released, &crossings.openings);
        drop(objects);
        (zone, crossings)
    });
    context.guard.finds(&observation.name, in_force);
}

/// A landing zone with those of its declared namespaces that it has, in the zones that they are in; None where it has
/// nothing, so that nothing of it is in force. A namespace that left the declaration meanwhile is told by its label.
fn standing(
    declared: &domain::LandingZone,
    status: Option<&LandingZoneStatus>,
    objects: &Objects,
) -> Option<domain::LandingZone> {
    let name = declared.name.as_str();
    let holding = Holding::of(name, status);
    let recorded = status.iter().flat_map(|status| &status.namespaces);
    let zones: BTreeMap<&str, &str> = recorded
        .map(|it| (it.name.as_str(), it.zone.as_str()))
        .collect();
    let labelled = objects.owned_by(name).map(|(key, _)| key);
    let labelled = labelled.filter(|key| key.kind == Kind::Namespace);
    let mut known = labelled.map(|key| &*key.name).chain(zones.keys().copied());
    if !known.any(|name| holding.has(name, objects)) {
        return None;
    }
    let mut standing = declared.clone();
    standing
        .namespaces
        .retain(|it| holding.has(it.name.as_str(), objects));
    for namespace in &mut standing.namespaces {
        // Declared anew meanwhile, the zone is not the one that was put into force.
        let zone = zones.get(namespace.name.as_str());
        if let Some(zone) = zone.and_then(|zone| zone.parse().ok()) {
            namespace.zone = zone;
        }
    }
    Some(standing)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::names::{MANAGER, OWNER};
    use crate::build::fixture::{landing_zone, namespace};
    use crate::controller::cache::Observed;
    use crate::controller::kind::ObjectKey;

    fn there(namespaces: &[(&str, Option<&str>, &str)]) -> Objects {
        let mut objects = Objects::default();
        for (name, owner, manager) in namespaces {
            let object = json!({"metadata": {
                "name": name, "uid": format!("uid of {name}"), "resourceVersion": "1",
                "labels": owner.map(|owner| json!({OWNER: owner})),
                "managedFields": [{
                    "manager": manager,
                    "fieldsV1": {"f:metadata": {"f:labels": {format!("f:{OWNER}"): {}}}},
                }],
            }});
            let observed = Observed::of(Kind::Namespace, object).unwrap();
            let key = ObjectKey::namespace(*name);
            objects.observe(key, observed).unwrap();
        }
        objects
    }

    fn status(of: Value) -> LandingZoneStatus {
        serde_json::from_value(of).unwrap()
    }

    fn declared(namespaces: &[(&str, &str)]) -> domain::LandingZone {
        let mut zone = landing_zone("shop");
        zone.namespaces = namespaces
            .iter()
            .map(|(name, zone)| namespace(name, zone))
            .collect();
        zone
    }

    fn names(zone: &domain::LandingZone) -> Vec<(&str, &str)> {
        let all = zone.namespaces.iter();
        all.map(|it| (it.name.as_str(), it.zone.as_str())).collect()
    }

    #[test]
    fn what_was_put_into_force_stands() {
        let objects = there(&[
            ("shop-web", Some("shop"), MANAGER),
            ("shop-data", None, "kubectl"),
            ("shop-new", None, "kubectl"),
            ("shop-lost", Some("orders"), MANAGER),
        ]);
        let status = status(json!({
            "namespaces": [
                {"name": "shop-web", "zone": "web", "state": "Ready", "uid": "uid of shop-web"},
                {"name": "shop-data", "zone": "data", "state": "Ready", "uid": "uid of shop-data"},
                {"name": "shop-lost", "zone": "web", "state": "Withheld"},
            ],
            "inventory": ["Namespace/shop-web", "Namespace/shop-data", "Namespace/shop-gone"],
        }));
        let declared = declared(&[
            ("shop-web", "front"),
            ("shop-data", "data"),
            ("shop-new", "web"),
            ("shop-lost", "web"),
            ("shop-gone", "web"),
        ]);
        let standing = standing(&declared, Some(&status), &objects).unwrap();
        assert_eq!(
            names(&standing),
            [("shop-web", "web"), ("shop-data", "data")]
        );
    }

    #[test]
    fn what_was_only_planned_does_not_stand() {
        // Its application runs already, and somebody else set the label.
        let objects = there(&[
            ("shop-web", None, "kubectl"),
            ("shop-data", Some("shop"), "kubectl"),
        ]);
        let declared = declared(&[("shop-web", "web"), ("shop-data", "data")]);
        assert_eq!(standing(&declared, None, &objects), None);
        let planned = status(json!({"plan": ["create Namespace/shop-web"]}));
        assert_eq!(standing(&declared, Some(&planned), &objects), None);
    }

    #[test]
    fn it_stands_without_a_namespace_that_is_still_declared_and_without_a_status() {
        let objects = there(&[("shop-old", Some("shop"), MANAGER)]);
        let declared = declared(&[("shop-web", "web")]);
        let standing = standing(&declared, None, &objects).unwrap();
        assert_eq!(names(&standing), []);
    }
}
