//! Crossings and shared services of one landing zone: what became of each of them.

use super::about::{About, Terms};
use super::estate::{Estate, bare};
use super::extent::{self, Traffic};
use super::{Change, ChangeKind, Part, Scope, Side, spans, spec};
use crate::api::{CrossingDirection, CrossingStatus};
use crate::domain::{
    Crossing, CrossingEnd, FieldPath, LandingZone, LandingZoneName, Peer, PortRange, Reach,
};

/// One landing zone, on both sides; at least one of them has it.
#[derive(Clone, Copy)]
pub(super) struct Both<'a> {
    pub name: &'a LandingZoneName,
    pub before: &'a Estate<'a>,
    pub after: &'a Estate<'a>,
    pub old: Option<&'a LandingZone>,
    pub new: Option<&'a LandingZone>,
}

/// What became of its crossings and of the shared services that it asks for.
pub(super) fn changes(both: Both<'_>) -> Vec<Change> {
    let pairs = pairs(both.old, both.new);
    let known = both.known();
    let mut changes: Vec<Change> = pairs
        .into_iter()
        .map(|(old, new)| crossing(both, old, new, &known))
        .collect();
    changes.extend(services(both, &known));
    changes
}

impl Both<'_> {
    /// What was open before, also to what was not there before: the platform opens some things for all.
    fn known(&self) -> Vec<Traffic> {
        let old = self.old.map(|old| self.before.all_traffic(old));
        let new = self.new.map(|new| self.before.all_traffic(&bare(new)));
        old.into_iter().chain(new).flatten().collect()
    }
}

/// The crossings that are not the same before and after. One that only got another name is one.
fn pairs<'a>(
    old: Option<&'a LandingZone>,
    new: Option<&'a LandingZone>,
) -> Vec<(Option<&'a Crossing>, Option<&'a Crossing>)> {
    let of = |zone: Option<&'a LandingZone>| -> Vec<&'a Crossing> {
        zone.into_iter()
            .flat_map(|it| &it.network.crossings)
            .collect()
    };
    let (mut left, mut pairs) = (of(old), Vec::new());
    let mut take = |is_it: &dyn Fn(&Crossing) -> bool| {
        let index = left.iter().position(|it| is_it(it))?;
        Some(left.remove(index))
    };
    let mut others = of(new);
    others.retain(|crossing| take(&|it| is_same(it, crossing)).is_none());
    // Names may have been exchanged, and nothing else.
    others.retain(|crossing| {
        let known = take(&|it| {
            let name = crossing.name.clone();
            is_same(&Crossing { name, ..it.clone() }, crossing)
        });
        pairs.extend(known.map(|known| (Some(known), Some(*crossing))));
        known.is_none()
    });
    for crossing in others {
        let key = (crossing.direction, &crossing.name);
        let known = take(&|it| (it.direction, &it.name) == key);
        pairs.push((known, Some(crossing)));
    }
    pairs.extend(left.into_iter().map(|gone| (Some(gone), None)));
    pairs
}

/// Whether two crossings mean the same, however they are written.
fn is_same(one: &Crossing, other: &Crossing) -> bool {
    let plain = |it: &Crossing| Crossing {
        ports: Vec::new(),
        peer: Peer::ApiServer,
        ..it.clone()
    };
    plain(one) == plain(other)
        && spans::ports(&one.ports) == spans::ports(&other.ports)
        && is_same_peer(&one.peer, &other.peer)
}

fn is_same_peer(one: &Peer, other: &Peer) -> bool {
    match (one, other) {
        (
            Peer::Addresses { cidrs, except },
            Peer::Addresses {
                cidrs: other_cidrs,
                except: other_except,
            },
        ) => [false, true].into_iter().all(|is_v6| {
            let open = |nets: &[_], except: &[_]| {
                spans::addresses(nets, is_v6).without(&spans::addresses(except, is_v6))
            };
            open(cidrs, except) == open(other_cidrs, other_except)
        }),
        (one, other) => one == other,
    }
}

/// A crossing on one side, and what became of it there.
struct Seen<'a> {
    zone: &'a LandingZone,
    crossing: &'a Crossing,
    told: Option<CrossingStatus>,
    traffic: Vec<Traffic>,
    addresses: Vec<String>,
}

impl<'a> Seen<'a> {
    fn of(estate: &Estate<'_>, zone: &'a LandingZone, crossing: &'a Crossing) -> Self {
        let (told, traffic, openings) = estate.crossing(zone, crossing);
        let addresses = openings.crossings.iter().filter_map(|it| match &it.reach {
            Reach::Addresses { nets, .. } => Some(nets),
            _ => None,
        });
        Self {
            zone,
            crossing,
            told,
            traffic,
            addresses: addresses.flatten().map(ToString::to_string).collect(),
        }
    }

    /// Where it is written.
    fn path(&self) -> FieldPath {
        let list = match self.crossing.direction {
            CrossingDirection::Egress => "egress",
            CrossingDirection::Ingress => "ingress",
        };
        let all = self.zone.network.crossings.iter();
        let mut same = all.filter(|it| it.direction == self.crossing.direction);
        let index = same.position(|it| it.name == self.crossing.name);
        let path = spec().key("network").key(list);
        path.index(index.unwrap_or_default())
    }

    fn peer(&self) -> String {
        let told = self.told.as_ref().map(|it| it.peer.clone());
        let told = told.unwrap_or_default();
        if matches!(self.crossing.peer, Peer::Destination(_)) && !self.addresses.is_empty() {
            format!("{told} ({})", self.addresses.join(", "))
        } else {
            told
        }
    }

    fn ports(&self) -> String {
        match (&self.crossing.peer, self.crossing.ports.as_slice()) {
            (Peer::ApiServer, _) => "its port".to_owned(),
            (Peer::Destination(_), []) => "its ports".to_owned(),
            (Peer::Fqdns(_), []) => "TCP 443".to_owned(),
            (_, ports) => spans::ports_in_words(&spans::ports(ports)),
        }
    }

    /// On which terms it is open: not for longer by another crossing.
    fn terms(&self, estate: &Estate<'_>) -> Terms {
        let until = self.crossing.valid_until.filter(|_| {
            let mut without = self.zone.clone();
            let key = (self.crossing.direction, &self.crossing.name);
            let all = &mut without.network.crossings;
            all.retain(|it| (it.direction, &it.name) != key);
            !extent::is_within(
                &extent::without_end(&self.traffic),
                &estate.all_traffic(&without),
            )
        });
        Terms::of(self.zone, until)
    }

    fn until(&self) -> Option<String> {
        self.crossing
            .valid_until
            .map(|last| format!("until {last}"))
    }

    /// Why it is not open.
    fn message(&self) -> String {
        let told = self.told.as_ref().and_then(|it| it.message.clone());
        told.unwrap_or_else(|| "nothing of it is open".to_owned())
    }

    /// `egress from its zone backend to landing zone orders, zone data, TCP 5432, until 2026-12-31`
    fn phrase(&self) -> String {
        let own = own(&self.crossing.own);
        let peer = self.peer();
        let way = match self.crossing.direction {
            CrossingDirection::Egress if own.is_empty() => format!("egress to {peer}"),
            CrossingDirection::Egress => format!("egress from {own} to {peer}"),
            CrossingDirection::Ingress if own.is_empty() => format!("ingress from {peer}"),
            CrossingDirection::Ingress => format!("ingress to {own} from {peer}"),
        };
        let reason = self.crossing.reason.as_ref();
        let parts = [Some(way), Some(self.ports()), self.until()];
        let parts = parts.into_iter().flatten();
        parts
            .chain(reason.map(|reason| format!("reason \"{reason}\"")))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// What was otherwise before.
    fn differences(&self, old: &Self) -> String {
        let whole = |end: &CrossingEnd| match own(end) {
            text if text.is_empty() => "all its pods".to_owned(),
            text => text,
        };
        let reason = |it: &Self| {
            it.crossing
                .reason
                .clone()
                .unwrap_or_else(|| "no reason".to_owned())
        };
        let owner = |it: &Self| {
            it.crossing
                .owner
                .clone()
                .unwrap_or_else(|| "no owner".to_owned())
        };
        let acknowledged = |it: &Self| match it.crossing.acknowledge {
            Some(by) => format!("acknowledged {by:?}"),
            None => "not acknowledged".to_owned(),
        };
        let name = |it: &Self| format!("name {}", it.crossing.name);
        let parts = [
            (name(old), name(self)),
            (whole(&old.crossing.own), whole(&self.crossing.own)),
            (old.peer(), self.peer()),
            (old.ports(), self.ports()),
            (acknowledged(old), acknowledged(self)),
            (reason(old), reason(self)),
            (owner(old), owner(self)),
        ];
        let was = parts.into_iter().filter(|(old, new)| old != new);
        let was: Vec<_> = was.map(|(old, _)| old).collect();
        let was = (!was.is_empty()).then(|| format!("was {}", was.join("; ")));
        let last = match (old.crossing.valid_until, self.crossing.valid_until) {
            (old, new) if old == new => None,
            (Some(old), Some(new)) => Some(format!("valid until {old} before, until {new} now")),
            (Some(old), None) => Some(format!("valid until {old} before, without end now")),
            (None, Some(new)) => Some(format!("valid without end before, until {new} now")),
            (None, None) => None,
        };
        was.into_iter().chain(last).collect::<Vec<_>>().join("; ")
    }
}

fn own(end: &CrossingEnd) -> String {
    let labels = end.pod_labels.iter();
    let labels: Vec<_> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    match (&end.zone, labels.is_empty()) {
        (None, true) => String::new(),
        (Some(zone), true) => format!("its zone {zone}"),
        (None, false) => format!("its pods {}", labels.join(", ")),
        (Some(zone), false) => format!("its zone {zone}, pods {}", labels.join(", ")),
    }
}

/// What became of one crossing; at least one side has it. `known` is what was open before.
fn crossing(
    both: Both<'_>,
    old: Option<&Crossing>,
    new: Option<&Crossing>,
    known: &[Traffic],
) -> Change {
    let seen_old = both
        .old
        .zip(old)
        .map(|(zone, it)| Seen::of(both.before, zone, it));
    let seen_new = both
        .new
        .zip(new)
        .map(|(zone, it)| Seen::of(both.after, zone, it));
    let nothing = Vec::new();
    let traffic_old = seen_old.as_ref().map_or(&nothing, |it| &it.traffic);
    let traffic_new = seen_new.as_ref().map_or(&nothing, |it| &it.traffic);
    let kind = kind(traffic_old, traffic_new, new.is_some());
    let opens = matches!(
        kind,
        ChangeKind::Opened | ChangeKind::Widened | ChangeKind::Extended
    );
    let crosses = opens && !extent::is_within(traffic_new, known);
    let effect = effect(both, kind, crosses, (seen_old.as_ref(), seen_new.as_ref()));
    let (side, seen) = match (&seen_new, &seen_old) {
        (Some(seen), _) => (Side::After, seen),
        (None, Some(seen)) => (Side::Before, seen),
        // One of the two is always there.
        (None, None) => {
            let at = (Side::After, spec());
            return Change::new(Some(both.name), (Part::Crossing, kind), at, String::new());
        }
    };
    let kind = if opens && !crosses {
        let still = both
            .new
            .map(|zone| both.after.all_traffic(zone))
            .unwrap_or_default();
        opens_nothing(traffic_old, &still)
    } else {
        kind
    };
    let verb = match kind {
        ChangeKind::Opened => "opens",
        ChangeKind::Widened => "widens",
        ChangeKind::Extended => "extends",
        ChangeKind::Narrowed => "narrows",
        ChangeKind::Shortened => "shortens",
        ChangeKind::Closed => "closes",
        ChangeKind::StillClosed | ChangeKind::Added => "declares",
        ChangeKind::Removed => "no longer declares",
        _ => "describes otherwise",
    };
    let colon = if effect.is_empty() { "" } else { ": " };
    let message = format!(
        "landing zone {} {verb} {}{colon}{effect}",
        both.name,
        seen.phrase()
    );
    let terms = |estate: &Estate<'_>, seen: Option<&Seen<'_>>| {
        seen.map_or_else(Terms::default, |it| it.terms(estate))
    };
    let about = About::Opening {
        traffic: [traffic_old.as_slice(), traffic_new].concat(),
        before: terms(both.before, seen_old.as_ref()),
        after: terms(both.after, seen_new.as_ref()),
    };
    let scope = match &seen.crossing.peer {
        Peer::LandingZone { name, .. } => Scope::Peer(name.clone()),
        Peer::Addresses { .. } | Peer::Fqdns(_) | Peer::Destination(_) | Peer::ApiServer => {
            Scope::Outside
        }
    };
    let shown = seen.crossing;
    Change {
        direction: Some(shown.direction),
        peer: Some(seen.peer()),
        ports: shown.ports.iter().map(PortRange::to_string).collect(),
        reason: shown.reason.clone(),
        owner: shown.owner.clone(),
        valid_until: shown.valid_until,
        acknowledge: shown.acknowledge,
        ..Change::new(
            Some(both.name),
            (Part::Crossing, kind),
            (side, seen.path()),
            message,
        )
        .named(&shown.name)
        .about(about)
        .crossing_if(crosses, scope)
    }
}

/// What became of traffic.
fn kind(old: &[Traffic], new: &[Traffic], is_declared: bool) -> ChangeKind {
    match (old.is_empty(), new.is_empty()) {
        (true, true) if is_declared => return ChangeKind::StillClosed,
        (true, true) => return ChangeKind::Removed,
        (true, false) => return ChangeKind::Opened,
        (false, true) => return ChangeKind::Closed,
        (false, false) => {}
    }
    let (always_old, always_new) = (extent::without_end(old), extent::without_end(new));
    if !extent::is_within(&always_new, &always_old) {
        ChangeKind::Widened
    } else if !extent::is_within(new, old) {
        ChangeKind::Extended
    } else if !extent::is_within(&always_old, &always_new) {
        ChangeKind::Narrowed
    } else if !extent::is_within(old, new) {
        ChangeKind::Shortened
    } else {
        ChangeKind::Reworded
    }
}

/// What became of traffic where all that it has now was open before, by something else: `old` is what it had, and `still`
/// all that is open after.
fn opens_nothing(old: &[Traffic], still: &[Traffic]) -> ChangeKind {
    if old.is_empty() {
        ChangeKind::Added
    } else if extent::is_within(old, still) {
        ChangeKind::Reworded
    } else {
        ChangeKind::Narrowed
    }
}

fn effect(
    both: Both<'_>,
    kind: ChangeKind,
    crosses: bool,
    (old, new): (Option<&Seen<'_>>, Option<&Seen<'_>>),
) -> String {
    let mut parts = Vec::new();
    match (kind, old, new) {
        (ChangeKind::StillClosed, old, Some(new)) => {
            parts.extend(old.map(|old| new.differences(old)));
            parts.push(format!("still closed, {}", new.message()));
        }
        (ChangeKind::Closed, _, Some(new)) => {
            parts.push(format!("still declared, but closed, {}", new.message()));
        }
        (ChangeKind::Opened, _, Some(new)) => {
            if let Some(peer) = new.crossing.names() {
                let (_, already, _) = both.before.crossing(new.zone, new.crossing);
                let when = if already.is_empty() {
                    " in the same change"
                } else {
                    ""
                };
                parts.push(format!("{peer} declares the other half{when}"));
            }
            parts.extend(
                new.crossing
                    .acknowledge
                    .map(|by| format!("acknowledged: {by:?}")),
            );
        }
        (_, Some(old), Some(new)) => {
            parts.push(new.differences(old));
            let by = new
                .crossing
                .acknowledge
                .filter(|_| kind == ChangeKind::Widened);
            parts.extend(by.map(|by| format!("acknowledged: {by:?}")));
        }
        (ChangeKind::Removed, ..) => parts.push("nothing of it was open".to_owned()),
        _ => {}
    }
    let opens = matches!(
        kind,
        ChangeKind::Opened | ChangeKind::Widened | ChangeKind::Extended
    );
    if opens && !crosses {
        parts.push("opens nothing that was not open before".to_owned());
    }
    parts.join("; ")
}

/// What became of the shared services that it asks for.
fn services(both: Both<'_>, known: &[Traffic]) -> Vec<Change> {
    let asked = |zone: Option<&LandingZone>| {
        let names = zone.map(|it| it.network.shared_services.clone());
        names.unwrap_or_default()
    };
    let (old, new) = (asked(both.old), asked(both.new));
    let differ = old.symmetric_difference(&new);
    let one = |name: &String| {
        let (side, estate, zone) = if new.contains(name) {
            (Side::After, both.after, both.new)
        } else {
            (Side::Before, both.before, both.old)
        };
        let services = estate.platform.shared_services.iter();
        let service = services.clone().find(|it| it.name == *name);
        let traffic = service
            .zip(zone)
            .map(|(it, zone)| estate.service(zone, it))
            .unwrap_or_default();
        let about = About::Opening {
            traffic: traffic.clone(),
            before: both
                .old
                .map_or_else(Terms::default, |it| Terms::of(it, None)),
            after: both
                .new
                .map_or_else(Terms::default, |it| Terms::of(it, None)),
        };
        let is_new = side == Side::After;
        let crosses = is_new && !extent::is_within(&traffic, known);
        let ports = service.map(|it| it.ports.clone()).unwrap_or_default();
        let (kind, verb, effect) = match (is_new, traffic.is_empty()) {
            (true, true) => {
                let effect = "still closed, the platform has no such service with known addresses";
                (ChangeKind::StillClosed, "asks for", effect)
            }
            (true, false) if crosses => (ChangeKind::Opened, "opens", ""),
            (true, false) => {
                let effect = "opens nothing that was not open before";
                (ChangeKind::Added, "asks for", effect)
            }
            (false, true) => (
                ChangeKind::Removed,
                "no longer asks for",
                "nothing of it was open",
            ),
            (false, false) => (ChangeKind::Closed, "no longer asks for", ""),
        };
        let of_service = service.map(super::platform::service_in_words);
        let of_service = of_service
            .map(|words| format!(" ({words})"))
            .unwrap_or_default();
        let colon = if effect.is_empty() { "" } else { ": " };
        let message = format!(
            "landing zone {} {verb} shared service {name}{of_service}{colon}{effect}",
            both.name
        );
        let at = (side, spec().key("network").key("sharedServices"));
        Change {
            peer: Some(format!("shared service {name}")),
            ports: ports.iter().map(PortRange::to_string).collect(),
            ..Change::new(Some(both.name), (Part::SharedService, kind), at, message)
                .named(name)
                .about(about)
                .crossing_if(crosses, Scope::Outside)
        }
    };
    differ.map(one).collect()
}
