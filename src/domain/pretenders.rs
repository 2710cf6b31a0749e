//! Who pretends to be inside: namespaces that bear the label of a landing zone to which they do not belong. Policies know
//! their peers by it, so these are closed by name.

use std::collections::BTreeSet;

use super::{LandingZoneName, NamespaceName, Openings};

/// What is known of the namespaces that bear the label of one landing zone.
#[derive(Clone, Debug, Default)]
pub struct Bearers {
    /// All of them.
    pub labelled: BTreeSet<NamespaceName>,
    /// Those that belong to it, labelled or not.
    pub members: BTreeSet<String>,
}

/// Those that would pass for the landing zone itself, or for one that something is open to. `bearers` is what is known of
/// each; None: it is not there, and so nothing is open to it.
#[must_use]
pub fn pretenders(
    zone: &LandingZoneName,
    openings: &Openings,
    bearers: impl Fn(&LandingZoneName) -> Option<Bearers>,
) -> BTreeSet<NamespaceName> {
    let meant: BTreeSet<_> = openings.landing_zones().chain([zone]).collect();
    let known = meant.into_iter().filter_map(bearers);
    let pretending = known.flat_map(|Bearers { labelled, members }| {
        let mut labelled = labelled;
        labelled.retain(|name| !members.contains(name.as_str()));
        labelled
    });
    pretending.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::CrossingDirection;
    use crate::domain::{CrossingEnd, Opening, Reach};

    fn towards(name: &str) -> Opening {
        Opening {
            direction: CrossingDirection::Egress,
            own: CrossingEnd::default(),
            reach: Reach::LandingZone {
                name: name.parse().unwrap(),
                end: CrossingEnd::default(),
            },
            ports: Vec::new(),
        }
    }

    fn bearers(zone: &LandingZoneName) -> Option<Bearers> {
        let (labelled, members): (&[&str], &[&str]) = match zone.as_str() {
            "shop" => (
                &["shop-web", "false-shop"],
                &["shop-web", "shop-unlabelled"],
            ),
            "orders" => (
                &["orders-data", "false-orders", "shop-web"],
                &["orders-data"],
            ),
            "quiet" => (&["false-quiet"], &[]),
            _ => return None,
        };
        Some(Bearers {
            labelled: labelled.iter().map(|it| it.parse().unwrap()).collect(),
            members: members.iter().map(ToString::to_string).collect(),
        })
    }

    fn of_shop(open_to: &[&str]) -> Vec<String> {
        let openings = Openings {
            crossings: open_to.iter().map(|name| towards(name)).collect(),
            ..Openings::default()
        };
        let found = pretenders(&"shop".parse().unwrap(), &openings, bearers);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn who_bears_the_label_without_belonging_pretends() {
        assert_eq!(of_shop(&[]), ["false-shop"]);
        // Those of others matter where something is open to them; to one that is not there, nothing is.
        assert_eq!(
            of_shop(&["orders", "gone"]),
            ["false-orders", "false-shop", "shop-web"]
        );
    }
}
