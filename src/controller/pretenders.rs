//! Namespaces that bear the label of a landing zone, and those that belong to it, as the cluster shows them. Admission
//! refuses the label, but not on what was there before it: who pretends to be inside is found from both.

use std::collections::BTreeSet;

use super::cache::Objects;
use super::kind::Kind;
use crate::api::{LandingZone, NamespaceState};
use crate::build::Released;
use crate::domain::{self, Bearers, LandingZoneName, NamespaceName, Openings, pretenders};

/// Where it is looked.
pub(crate) struct Pretenders<'a> {
    /// What is there.
    pub objects: &'a Objects,
    /// The other landing zones, by name.
    pub known: &'a dyn Fn(&str) -> Option<LandingZone>,
}

impl Pretenders<'_> {
    /// Those that would pass for a landing zone itself, or for one that something is open to.
    pub(crate) fn of(
        &self,
        zone: &domain::LandingZone,
        withheld: &BTreeSet<String>,
        released: &[Released],
        openings: &Openings,
    ) -> BTreeSet<NamespaceName> {
        let declared = zone.namespaces.iter().map(|it| it.name.as_str());
        let own: BTreeSet<String> = declared
            .filter(|name| !withheld.contains(*name))
            .chain(released.iter().map(|it| it.name.as_str()))
            .map(str::to_owned)
            .collect();
        let bearers = |name: &LandingZoneName| {
            let members = if *name == zone.name {
                own.clone()
            } else {
                members(&(self.known)(name.as_str())?)
            };
            let labelled = self.labelled(name.as_str());
            Some(Bearers { labelled, members })
        };
        pretenders(&zone.name, openings, bearers)
    }

    /// Namespaces with the label of a landing zone.
    fn labelled(&self, owner: &str) -> BTreeSet<NamespaceName> {
        let labelled = self.objects.owned_by(owner);
        labelled
            .filter(|(key, _)| key.kind == Kind::Namespace)
            .filter_map(|(key, _)| key.name.parse().ok())
            .collect()
    }
}

/// The namespaces of another landing zone: those that it declares, unless they are withheld from it, and those that it
/// had.
fn members(zone: &LandingZone) -> BTreeSet<String> {
    let status = zone.status.iter();
    let known = status.clone().flat_map(|status| &status.namespaces);
    let withheld: BTreeSet<&str> = known
        .clone()
        .filter(|it| it.state == NamespaceState::Withheld)
        .map(|it| it.name.as_str())
        .collect();
    let released = status.flat_map(|status| &status.released);
    let declared = zone.spec.namespaces.iter().map(|it| it.name.as_str());
    declared
        .chain(known.map(|it| it.name.as_str()))
        .filter(|name| !withheld.contains(name))
        .chain(released.map(|it| it.name.as_str()))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::build::fixture::{landing_zone, namespace};
    use crate::controller::cache::Observed;
    use crate::controller::kind::ObjectKey;
    use crate::domain::{CrossingEnd, Opening, Reach};

    fn there(namespaces: &[(&str, &str)]) -> Objects {
        let mut objects = Objects::default();
        for (name, owner) in namespaces {
            let object = json!({"metadata": {
                "name": name, "uid": name, "resourceVersion": "1",
                "labels": {"landingzones.dev/landing-zone": owner},
            }});
            let observed = Observed::of(Kind::Namespace, object).unwrap();
            objects
                .observe(ObjectKey::namespace(*name), observed)
                .unwrap();
        }
        objects
    }

    fn names(found: &BTreeSet<NamespaceName>) -> Vec<&str> {
        found.iter().map(NamespaceName::as_str).collect()
    }

    #[test]
    fn who_bears_a_label_without_belonging_is_found() {
        let objects = there(&[
            ("shop-web", "shop"),
            ("shop-old", "shop"),
            ("shop-lost", "shop"),
            ("false-shop", "shop"),
            ("orders-data", "orders"),
            ("orders-former", "orders"),
            ("orders-lost", "orders"),
            ("false-orders", "orders"),
            ("false-billing", "billing"),
        ]);
        let orders: LandingZone = serde_json::from_value(json!({
            "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
            "metadata": {"name": "orders"},
            "spec": {"applicationCode": "orders", "namespaces": [
                {"name": "orders-data", "zone": "data"}, {"name": "orders-lost", "zone": "data"},
            ]},
            "status": {
                "namespaces": [{"name": "orders-lost", "zone": "data", "state": "Withheld"}],
                "released": [{"name": "orders-former", "zone": "data"}],
            },
        }))
        .unwrap();
        let known = |name: &str| (name == "orders").then(|| orders.clone());
        let pretenders = Pretenders {
            objects: &objects,
            known: &known,
        };
        let mut zone = landing_zone("shop");
        zone.namespaces = vec![namespace("shop-web", "web"), namespace("shop-lost", "web")];
        let withheld = BTreeSet::from(["shop-lost".to_owned()]);
        let released = [Released {
            name: "shop-old".parse().unwrap(),
            zone: "web".parse().unwrap(),
        }];
        let mut openings = Openings::default();
        let found = pretenders.of(&zone, &withheld, &released, &openings);
        assert_eq!(names(&found), ["false-shop", "shop-lost"]);
        // Those of others matter where something is open to them.
        let towards = |name: &str| Opening {
            direction: crate::api::CrossingDirection::Egress,
            own: CrossingEnd::default(),
            reach: Reach::LandingZone {
                name: name.parse().unwrap(),
                end: CrossingEnd::default(),
            },
            ports: Vec::new(),
        };
        openings.crossings = vec![towards("orders"), towards("billing")];
        let found = pretenders.of(&zone, &withheld, &released, &openings);
        assert_eq!(
            names(&found),
            ["false-orders", "false-shop", "orders-lost", "shop-lost"]
        );
    }
}
