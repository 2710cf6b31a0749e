//! What is open, taken apart so that it can be compared: whose pods, whom they reach, on which ports, how long.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use jiff::civil::Date;

use super::reach::{Outsider, Pods};
use super::spans::{self, Spans};
use crate::api::{CrossingDirection, Protocol, names};
use crate::domain::{
    CrossingEnd, Fqdn, LandingZone, LandingZoneName, Opening, PortRange, Reach, Zone,
};

/// Labels that a pod must have.
type Labels = BTreeMap<String, String>;

/// Traffic that is open, from or to pods of one zone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Traffic {
    direction: CrossingDirection,
    layer: Zone,
    labels: Labels,
    far: Far,
    ports: Spans,
    /// The last day; None: without end.
    until: Option<Date>,
}

/// The outer end.
#[derive(Clone, Debug, PartialEq)]
enum Far {
    Pods {
        name: LandingZoneName,
        layer: Zone,
        labels: Labels,
    },
    Foreign {
        namespaces: Labels,
        pods: Labels,
    },
    Addresses {
        is_v6: bool,
        addresses: Spans,
        without_pods: bool,
    },
    /// A name that a firewall lets through.
    Name(Fqdn),
    ApiServer,
}

/// The layers of a landing zone.
pub(super) fn layers(zone: &LandingZone) -> BTreeSet<&Zone> {
    zone.namespaces.iter().map(|it| &it.zone).collect()
}

/// Takes an opening of `own` apart; `peers` knows the other landing zones.
pub(super) fn traffic<'a>(
    opening: &Opening,
    own: &LandingZone,
    peers: impl Fn(&LandingZoneName) -> Option<&'a LandingZone>,
    until: Option<Date>,
) -> Vec<Traffic> {
    let mut fars: Vec<(Far, Spans)> = Vec::new();
    let ports = spans::ports(&opening.ports);
    match &opening.reach {
        Reach::LandingZone { name, end } => {
            let there = peers(name);
            for layer in there.into_iter().flat_map(|there| within(there, end)) {
                let far = Far::Pods {
                    name: name.clone(),
                    layer: layer.clone(),
                    labels: end.pod_labels.clone(),
                };
                fars.push((far, ports.clone()));
            }
        }
        Reach::Namespaces {
            namespace_labels,
            pod_labels,
        } => {
            let far = Far::Foreign {
                namespaces: namespace_labels.clone(),
                pods: pod_labels.clone(),
            };
            fars.push((far, ports));
        }
        Reach::Addresses {
            nets,
            except,
            without_pods,
        } => fars.extend(by_family(nets, except, *without_pods, &ports)),
        // Policies let out whatever is on the internet: what differs is which names the firewall lets through.
        Reach::Fqdns {
            names,
            nets,
            except,
            without_pods,
            ..
        } => {
            let named = names
                .iter()
                .map(|name| (Far::Name(name.clone()), ports.clone()));
            fars.extend(named);
            fars.extend(by_family(nets, except, *without_pods, &ports));
        }
        Reach::ApiServer(nets) => {
            fars.push((Far::ApiServer, spans::all_ports()));
            let https = PortRange {
                protocol: Protocol::TCP,
                first: names::API_SERVER_PORT,
                last: names::API_SERVER_PORT,
            };
            fars.extend(by_family(nets, &[], false, &spans::ports(&[https])));
        }
    }
    let own_layers = within(own, &opening.own);
    let all = own_layers.into_iter().flat_map(|layer| {
        fars.iter().map(move |(far, ports)| Traffic {
            direction: opening.direction,
            layer: layer.clone(),
            labels: opening.own.pod_labels.clone(),
            far: far.clone(),
            ports: ports.clone(),
            until,
        })
    });
    all.collect()
}

fn within<'a>(zone: &'a LandingZone, end: &CrossingEnd) -> Vec<&'a Zone> {
    let all = layers(zone).into_iter();
    all.filter(|layer| end.zone.as_ref().is_none_or(|meant| meant == *layer))
        .collect()
}

fn by_family(
    nets: &[IpNet],
    except: &[IpNet],
    without_pods: bool,
    ports: &Spans,
) -> Vec<(Far, Spans)> {
    let of_family = |is_v6| {
        let addresses = spans::addresses(nets, is_v6).without(&spans::addresses(except, is_v6));
        let far = Far::Addresses {
            is_v6,
            addresses,
            without_pods,
        };
        (far, ports.clone())
    };
    [false, true].map(of_family).into()
}

/// What of `after` is not in `before`.
pub(super) fn newly(after: &[Traffic], before: &[Traffic]) -> Vec<Traffic> {
    after.iter().flat_map(|it| it.beyond(before)).collect()
}

/// Whether all of `after` is in `before`.
pub(super) fn is_within(after: &[Traffic], before: &[Traffic]) -> bool {
    newly(after, before).is_empty()
}

impl Traffic {
    /// The parts of this that are in none of `others`, each of a part of its addresses and ports.
    fn beyond(&self, others: &[Self]) -> Vec<Self> {
        let mut left = vec![(self.far.addresses(), self.ports.clone())];
        left.retain(|(addresses, _)| !addresses.is_empty());
        for other in others.iter().filter(|other| other.may_hold(self)) {
            let known = other.far.addresses();
            left = left
                .into_iter()
                .flat_map(|(addresses, ports)| {
                    let elsewhere = addresses.without(&known);
                    let here = addresses.and(&known);
                    let others = ports.without(&other.ports);
                    [(elsewhere, ports), (here, others)]
                })
                .filter(|(addresses, ports)| !addresses.is_empty() && !ports.is_empty())
                .collect();
        }
        let part = |(addresses, ports)| Self {
            far: self.far.at(addresses),
            ports,
            ..self.clone()
        };
        left.into_iter().map(part).collect()
    }

    /// The ports that are open by it between pods and somebody outside; None: it is not about these.
    pub fn between(
        &self,
        pods: &Pods,
        direction: CrossingDirection,
        outsider: &Outsider,
    ) -> Option<&Spans> {
        let is_meant = self.direction == direction
            && self.layer == pods.layer
            && selects(&self.labels, &pods.labels)
            && self.far.may_be(outsider);
        is_meant.then_some(&self.ports)
    }

    /// Whether it means the same ends as `other`, or more, wherever addresses and ports are the same.
    fn may_hold(&self, other: &Self) -> bool {
        let lasts = match (self.until, other.until) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => own >= other,
        };
        lasts
            && self.direction == other.direction
            && self.layer == other.layer
            && selects(&self.labels, &other.labels)
            && self.far.may_hold(&other.far)
    }
}

/// Whether whatever has all of `other` has all of `labels`.
fn selects(labels: &Labels, other: &Labels) -> bool {
    labels
        .iter()
        .all(|(key, value)| other.get(key) == Some(value))
}

impl Far {
    /// Its addresses; where it is known otherwise, one number that stands for it.
    fn addresses(&self) -> Spans {
        match self {
            Self::Addresses { addresses, .. } => addresses.clone(),
            Self::Pods { .. } | Self::Foreign { .. } | Self::Name(_) | Self::ApiServer => {
                Spans::of([(0, 0)])
            }
        }
    }

    fn at(&self, part: Spans) -> Self {
        match self {
            Self::Addresses {
                is_v6,
                without_pods,
                ..
            } => Self::Addresses {
                is_v6: *is_v6,
                addresses: part,
                without_pods: *without_pods,
            },
            other => other.clone(),
        }
    }

    /// Whether somebody outside is meant. Pods have addresses, too.
    fn may_be(&self, outsider: &Outsider) -> bool {
        match (self, outsider) {
            (
                Self::Pods {
                    name,
                    layer,
                    labels,
                },
                Outsider::LandingZone(whose, pods),
            ) => name == whose && *layer == pods.layer && selects(labels, &pods.labels),
            (Self::Foreign { namespaces, pods }, Outsider::Foreign(of_namespaces, of_pods)) => {
                selects(namespaces, of_namespaces) && selects(pods, of_pods)
            }
            (Self::Foreign { namespaces, pods }, Outsider::AnyPods) => {
                namespaces.is_empty() && pods.is_empty()
            }
            (
                Self::Addresses {
                    is_v6, addresses, ..
                },
                Outsider::Addresses(of_v6, first, last),
            ) => is_v6 == of_v6 && !addresses.and(&Spans::of([(*first, *last)])).is_empty(),
            (Self::Addresses { without_pods, .. }, Outsider::AnyPods | Outsider::Foreign(..)) => {
                !without_pods
            }
            (Self::ApiServer, Outsider::ApiServer) => true,
            _ => false,
        }
    }

    fn may_hold(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Pods {
                    name,
                    layer,
                    labels,
                },
                Self::Pods {
                    name: other_name,
                    layer: other_layer,
                    labels: other_labels,
                },
            ) => name == other_name && layer == other_layer && selects(labels, other_labels),
            (
                Self::Foreign { namespaces, pods },
                Self::Foreign {
                    namespaces: other_namespaces,
                    pods: other_pods,
                },
            ) => selects(namespaces, other_namespaces) && selects(pods, other_pods),
            (
                Self::Addresses {
                    is_v6,
                    without_pods,
                    ..
                },
                Self::Addresses {
                    is_v6: other_v6,
                    without_pods: other_without,
                    ..
                },
            ) => is_v6 == other_v6 && (!without_pods || *other_without),
            (Self::Name(name), Self::Name(other)) => name.holds(other),
            (Self::ApiServer, Self::ApiServer) => true,
            _ => false,
        }
    }
}

/// The same without a last day.
pub(super) fn without_end(traffic: &[Traffic]) -> Vec<Traffic> {
    let endless = |it: &Traffic| Traffic {
        until: None,
        ..it.clone()
    };
    traffic.iter().map(endless).collect()
}

/// What is open for pods of one layer, as if they were of another one.
pub(super) fn as_of_layer(traffic: &[Traffic], layer: &Zone, other: &Zone) -> Vec<Traffic> {
    let of_layer = traffic.iter().filter(|it| it.layer == *layer);
    let renamed = of_layer.map(|it| Traffic {
        layer: other.clone(),
        ..it.clone()
    });
    renamed.collect()
}
