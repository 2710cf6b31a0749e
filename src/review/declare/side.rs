//! A crossing between two landing zones, which both of them declare.

use jiff::civil::Date;

use super::entry::{Entry, Peer, Port, Selector};
use super::name::Names;
use crate::api::CrossingDirection;
use crate::domain::{Crossing, CrossingEnd, Peer as Declared};
use crate::policy::LabelMap;

/// One side of a crossing between landing zones.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its landing zone.
    pub landing_zone: &'a str,
    /// A zone of it; None: all.
    pub zone: Option<&'a str>,
    /// Labels of the pods that are meant, empty: all of them; None: which pods is not asked.
    pub labels: Option<&'a LabelMap>,
    /// What it declares; empty as well where that cannot be read.
    pub declared: &'a [Crossing],
}

/// What one side has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing: the crossing of this name says it.
    Already(String),
    /// Nothing but to let the crossing of this name hold for longer: it ended on that day.
    Ended(String, Date),
    /// To declare this.
    Missing(Box<Entry>),
}

/// The list of `spec.network` in which crossings of a direction stand.
#[must_use]
pub const fn list(direction: CrossingDirection) -> &'static str {
    match direction {
        CrossingDirection::Egress => "egress",
        CrossingDirection::Ingress => "ingress",
    }
}

impl Side<'_> {
    /// What this side says of connections with the other one, in a direction, on ports; none: all. `today` is the first
    /// day on which a crossing that ended before is over; None: none is.
    #[must_use]
    pub fn said(
        &self,
        direction: CrossingDirection,
        peer: &Side<'_>,
        ports: &[Port],
        today: Option<Date>,
    ) -> Said {
        let declared = self.declared.iter().find(|it| {
            it.direction == direction
                && self.is_within(&it.own)
                && peer.is_meant_by(it)
                && holds(it, ports)
        });
        if let Some(declared) = declared {
            let name = declared.name.clone();
            let ended = declared.valid_until.zip(today);
            return match ended.filter(|(last, today)| last < today) {
                Some((last, _)) => Said::Ended(name, last),
                None => Said::Already(name),
            };
        }
        let taken = self.declared.iter().filter(|it| it.direction == direction);
        let words = [Some(peer.landing_zone), peer.zone];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        let name = Names::new(taken.map(|it| it.name.as_str())).give(&words);
        let (here, there) = (self.peer(), peer.peer_outside());
        let (from, to) = match direction {
            CrossingDirection::Egress => (here, there),
            CrossingDirection::Ingress => (there, here),
        };
        Said::Missing(Box::new(Entry {
            ports: ports.to_vec(),
            ..Entry::new(name, from, to, None)
        }))
    }

    /// Whether all pods that are meant are among those of an end.
    fn is_within(&self, end: &CrossingEnd) -> bool {
        let of_zone = end.zone.as_ref();
        let mut labels = end.pod_labels.iter();
        of_zone.is_none_or(|zone| Some(zone.as_str()) == self.zone)
            && self
                .labels
                .is_none_or(|own| labels.all(|(key, value)| own.get(key) == Some(value)))
    }

    fn is_meant_by(&self, crossing: &Crossing) -> bool {
        match &crossing.peer {
            Declared::LandingZone { name, end } => {
                name.as_str() == self.landing_zone && self.is_within(end)
            }
            Declared::Addresses { .. }
            | Declared::Fqdns(_)
            | Declared::Destination(_)
            | Declared::ApiServer => false,
        }
    }

    /// As its own landing zone names it.
    #[must_use]
    pub fn peer(&self) -> Peer {
        let labels = self.labels.filter(|labels| !labels.is_empty());
        Peer {
            zone: self.zone.map(str::to_owned),
            pod_selector: labels.map(|labels| Selector {
                match_labels: labels.clone(),
            }),
            ..Peer::default()
        }
    }

    /// As another one names it.
    fn peer_outside(&self) -> Peer {
        Peer {
            landing_zone: Some(self.landing_zone.to_owned()),
            ..self.peer()
        }
    }
}

/// Whether a crossing holds for all of some ports; none: all ports.
fn holds(crossing: &Crossing, ports: &[Port]) -> bool {
    let own = &crossing.ports;
    own.is_empty() || (!ports.is_empty() && ports.iter().all(|port| port.is_in(own)))
}
