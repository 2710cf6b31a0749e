//! What crosses the boundary of a landing zone, as one side declares it.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use jiff::civil::Date;

use super::{Fqdn, LandingZoneName, PortRange, Zone};
use crate::api::{CrossingDirection, RangeAcknowledgement};

/// Traffic across the boundary, as one side declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossing {
    /// Who opens the connection.
    pub direction: CrossingDirection,
    /// Its name, unique in its direction.
    pub name: String,
    /// The end inside the landing zone.
    pub own: CrossingEnd,
    /// The end outside.
    pub peer: Peer,
    /// Destination ports; empty: all ports of all protocols, or those of the destination.
    pub ports: Vec<PortRange>,
    /// A range that is seldom meant, and is meant here.
    pub acknowledge: Option<RangeAcknowledgement>,
    /// Last day on which it is needed.
    pub valid_until: Option<Date>,
    /// Why it is needed, for people.
    pub reason: Option<String>,
    /// Who answers for it, for people.
    pub owner: Option<String>,
}

/// Pods at one end of a crossing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrossingEnd {
    /// A zone of the landing zone; None: all.
    pub zone: Option<Zone>,
    /// Labels that a pod must have; empty: all pods.
    pub pod_labels: BTreeMap<String, String>,
}

/// The end outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Peer {
    /// Another landing zone.
    LandingZone {
        /// Its name.
        name: LandingZoneName,
        /// Which of its pods.
        end: CrossingEnd,
    },
    /// Addresses outside the cluster.
    Addresses {
        /// Ranges, in declared order.
        cidrs: Vec<IpNet>,
        /// Ranges within them that stay closed.
        except: Vec<IpNet>,
    },
    /// Names on the internet, which a firewall matches; never empty.
    Fqdns(BTreeSet<Fqdn>),
    /// A destination that the platform names.
    Destination(String),
    /// The API server.
    ApiServer,
}

impl CrossingEnd {
    /// The pods that both ends mean; None where there can be none.
    #[must_use]
    pub fn shared(&self, other: &Self) -> Option<Self> {
        let zone = match (&self.zone, &other.zone) {
            (Some(one), Some(other)) if one != other => return None,
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let mut pod_labels = self.pod_labels.clone();
        for (key, value) in &other.pod_labels {
            let known = pod_labels.insert(key.clone(), value.clone());
            if known.is_some_and(|known| known != *value) {
                return None;
            }
        }
        Some(Self { zone, pod_labels })
    }
}

impl Crossing {
    /// The landing zone that it names.
    #[must_use]
    pub fn names(&self) -> Option<&LandingZoneName> {
        match &self.peer {
            Peer::LandingZone { name, .. } => Some(name),
            Peer::Addresses { .. } | Peer::Fqdns(_) | Peer::Destination(_) | Peer::ApiServer => {
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(zone: Option<&str>, labels: &[(&str, &str)]) -> CrossingEnd {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        CrossingEnd {
            zone: zone.map(|zone| zone.parse().unwrap()),
            pod_labels: labels.iter().map(own).collect(),
        }
    }

    #[test]
    fn ends_share_the_pods_that_both_mean() {
        let all = end(None, &[]);
        let data = end(Some("data"), &[("app", "db")]);
        assert_eq!(all.shared(&data), Some(data.clone()));
        assert_eq!(data.shared(&all), Some(data.clone()));
        assert_eq!(
            data.shared(&end(None, &[("tier", "one")])),
            Some(end(Some("data"), &[("app", "db"), ("tier", "one")]))
        );
        assert_eq!(data.shared(&end(Some("web"), &[])), None);
        assert_eq!(data.shared(&end(None, &[("app", "cache")])), None);
    }
}
