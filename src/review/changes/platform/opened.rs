//! What the platform opens: shared services, and the destinations that landing zones may name.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::{change, is_within, named};
use crate::api::{Preset, ServiceAudience, ServiceDirection};
use crate::domain::{
    Destination, FieldPath, LandingZone, LandingZoneName, Peer, PortRange, ServicePeer,
    SharedService,
};
use crate::review::changes::estate::Estate;
use crate::review::changes::extent::{self, Traffic};
use crate::review::changes::{Change, ChangeKind, Part, Side, spans, spec};

/// What became of shared services, those of presets included.
pub(super) fn services(before: &Estate<'_>, after: &Estate<'_>) -> Vec<Change> {
    let by_name = |estate: &Estate<'_>| -> BTreeMap<String, SharedService> {
        let all = estate.platform.shared_services.iter();
        all.map(|it| (it.name.clone(), it.clone())).collect()
    };
    let (old, new) = (by_name(before), by_name(after));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name));
    changed
        .filter_map(|name| service(before, after, (old.get(name), new.get(name))))
        .collect()
}

fn service(
    before: &Estate<'_>,
    after: &Estate<'_>,
    (old, new): (Option<&SharedService>, Option<&SharedService>),
) -> Option<Change> {
    let (side, estate, shown) = match (old, new) {
        (_, Some(new)) => (Side::After, after, new),
        (Some(old), None) => (Side::Before, before, old),
        (None, None) => return None,
    };
    let is_for_all = shown.landing_zones == ServiceAudience::All;
    let users: Vec<_> = users(estate, |it| {
        it.network.shared_services.contains(&shown.name)
    });
    let is_used = is_for_all || !users.is_empty();
    let (was, is) = (opens(before, after, old), opens(after, before, new));
    let all_before = old.is_some_and(|it| it.landing_zones == ServiceAudience::All);
    let more = !extent::is_within(&is, &was) || (is_for_all && !all_before && new.is_some());
    let less = !extent::is_within(&was, &is) || (all_before && !is_for_all);
    let kind = match (old, new) {
        (None, _) if is_used && more => ChangeKind::Opened,
        (None, _) => ChangeKind::Added,
        (_, None) if is_used => ChangeKind::Closed,
        (_, None) => ChangeKind::Removed,
        _ if more && is_used => ChangeKind::Widened,
        _ if more => ChangeKind::Changed,
        _ if less => ChangeKind::Narrowed,
        _ if was.is_empty() != is.is_empty() => ChangeKind::Changed,
        // The same, in another order.
        _ if old
            .zip(new)
            .is_some_and(|(old, new)| service_in_words(old) == service_in_words(new)) =>
        {
            return None;
        }
        _ => ChangeKind::Reworded,
    };
    let opens = new.is_some() && more;
    let whom = if is_for_all {
        "all landing zones".to_owned()
    } else if users.is_empty() {
        "no landing zone, since none asks for it".to_owned()
    } else {
        named(&users)
    };
    let was = old.filter(|_| new.is_some());
    let was = was
        .map(|it| format!("; was {}{}", service_in_words(it), audience(it, shown)))
        .unwrap_or_default();
    let message = format!(
        "the platform {} shared service {} ({}), for {whom}{was}",
        verb(kind),
        shown.name,
        service_in_words(shown)
    );
    Some(Change {
        side,
        ports: shown.ports.iter().map(PortRange::to_string).collect(),
        ..change(
            (Part::SharedService, kind),
            service_path(estate, shown),
            message,
            opens && is_used,
        )
        .named(&shown.name)
    })
}

/// Whom a service was for, where that is otherwise now.
fn audience(old: &SharedService, new: &SharedService) -> &'static str {
    match old.landing_zones {
        was if was == new.landing_zones => "",
        ServiceAudience::All => ", for all landing zones",
        ServiceAudience::Declared => ", for those that ask for it",
    }
}

/// What a service opens for whoever may use it. Somebody has to be there to use it.
fn opens(here: &Estate<'_>, there: &Estate<'_>, service: Option<&SharedService>) -> Vec<Traffic> {
    // The same landing zone on both sides, so that its zones are the same, too.
    let all: BTreeSet<_> = here.zones.keys().chain(there.zones.keys()).collect();
    let first = all.into_iter().next();
    let zone = first.and_then(|name| {
        let (one, other) = (here.zones.get(*name), there.zones.get(*name));
        let sides = one.into_iter().chain(other).copied();
        sides.max_by_key(|zone| format!("{:?}", zone.namespaces))
    });
    zone.zip(service)
        .map(|(zone, it)| here.service(zone, it))
        .unwrap_or_default()
}

fn verb(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Opened => "opens",
        ChangeKind::Added => "adds",
        ChangeKind::Closed => "closes",
        ChangeKind::Removed => "removes",
        ChangeKind::Widened => "widens",
        ChangeKind::Narrowed => "narrows",
        ChangeKind::Changed => "changes",
        _ => "describes otherwise",
    }
}

fn users<'a>(estate: &Estate<'a>, uses: impl Fn(&LandingZone) -> bool) -> Vec<&'a LandingZoneName> {
    let all = estate.zones.values();
    all.filter(|it| uses(it)).map(|it| &it.name).collect()
}

/// Those of presets stand before those that are written out.
fn service_path(estate: &Estate<'_>, service: &SharedService) -> FieldPath {
    let of_presets: Vec<SharedService> = [Preset::Istio, Preset::Dapr]
        .into_iter()
        .flat_map(SharedService::of_preset)
        .collect();
    if of_presets.contains(service) {
        return spec().key("presets");
    }
    let written = estate.platform.shared_services.iter();
    let mut written = written.filter(|it| !of_presets.contains(it));
    let index = written.position(|it| it.name == service.name);
    spec()
        .key("sharedServices")
        .index(index.unwrap_or_default())
}

/// `to landing zones from namespaces with tier=edge (app=nginx), TCP 8080`
pub(in crate::review::changes) fn service_in_words(service: &SharedService) -> String {
    let mut peers: Vec<_> = service.peers.iter().map(peer_in_words).collect();
    peers.sort();
    let peers = peers.join(" and ");
    let ports = spans::ports_in_words(&spans::ports(&service.ports));
    match service.direction {
        ServiceDirection::ToLandingZones => format!("from {peers}, {ports}"),
        ServiceDirection::FromLandingZones => format!("to {peers}, {ports}"),
        ServiceDirection::Both => format!("from and to {peers}, {ports}"),
    }
}

fn peer_in_words(peer: &ServicePeer) -> String {
    let labels = |labels: &BTreeMap<String, String>| {
        let labels: Vec<_> = labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        labels.join(", ")
    };
    match peer {
        ServicePeer::Pods {
            namespace_labels,
            pod_labels,
        } if pod_labels.is_empty() => format!("namespaces with {}", labels(namespace_labels)),
        ServicePeer::Pods {
            namespace_labels,
            pod_labels,
        } => format!(
            "namespaces with {} ({})",
            labels(namespace_labels),
            labels(pod_labels)
        ),
        ServicePeer::Addresses(nets) => listed(nets),
        ServicePeer::Nodes => "the nodes".to_owned(),
    }
}

fn listed(nets: &[IpNet]) -> String {
    let mut nets = IpNet::aggregate(&nets.to_vec());
    nets.sort_unstable();
    let texts: Vec<_> = nets.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// What became of destinations.
pub(super) fn destinations(before: &Estate<'_>, after: &Estate<'_>) -> Vec<Change> {
    let by_name = |estate: &Estate<'_>| -> BTreeMap<String, (usize, Destination)> {
        let all = estate.platform.destinations.iter().enumerate();
        all.map(|(index, it)| (it.name.clone(), (index, it.clone())))
            .collect()
    };
    let (old, new) = (by_name(before), by_name(after));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| destination((before, after), old.get(name), new.get(name)))
        .collect()
}

fn destination(
    (before, after): (&Estate<'_>, &Estate<'_>),
    old: Option<&(usize, Destination)>,
    new: Option<&(usize, Destination)>,
) -> Option<Change> {
    let (side, estate, (index, shown)) = match (old, new) {
        (_, Some(new)) => (Side::After, after, new),
        (Some(old), None) => (Side::Before, before, old),
        (None, None) => return None,
    };
    let names = |zone: &LandingZone| {
        let mut peers = zone.network.crossings.iter().map(|it| &it.peer);
        peers.any(|peer| matches!(peer, Peer::Destination(name) if *name == shown.name))
    };
    let users = users(estate, names);
    let is_used = !users.is_empty();
    let kind = match (old.map(|it| &it.1), new.map(|it| &it.1)) {
        (None, _) if is_used => ChangeKind::Opened,
        (None, _) => ChangeKind::Added,
        (_, None) if is_used => ChangeKind::Closed,
        (_, None) => ChangeKind::Removed,
        (Some(old), Some(new)) if !is_part(new, old) && is_used => ChangeKind::Widened,
        (Some(old), Some(new)) if !is_part(new, old) => ChangeKind::Changed,
        (Some(old), Some(new)) if !is_part(old, new) => ChangeKind::Narrowed,
        (Some(old), Some(new)) if old.owner == new.owner => return None,
        _ => ChangeKind::Reworded,
    };
    let whom = if is_used {
        named(&users)
    } else {
        "no landing zone, since none names it".to_owned()
    };
    let told = |it: &Destination| {
        let ports = spans::ports_in_words(&spans::ports(&it.ports));
        format!("{}, {ports}, of {}", listed(&it.cidrs), it.owner)
    };
    let was = old.filter(|_| new.is_some());
    let was = was
        .map(|(_, it)| format!("; was {}", told(it)))
        .unwrap_or_default();
    let message = format!(
        "the platform {} destination {} ({}), for {whom}{was}",
        verb(kind),
        shown.name,
        told(shown)
    );
    let opens = is_used && matches!(kind, ChangeKind::Opened | ChangeKind::Widened);
    let path = spec().key("destinations").index(*index);
    Some(Change {
        side,
        ports: shown.ports.iter().map(PortRange::to_string).collect(),
        owner: Some(shown.owner.clone()),
        peer: Some(listed(&shown.cidrs)),
        ..change((Part::Destination, kind), path, message, opens).named(&shown.name)
    })
}

/// Whether one destination is part of another.
fn is_part(one: &Destination, other: &Destination) -> bool {
    let ports = spans::ports(&one.ports).without(&spans::ports(&other.ports));
    ports.is_empty() && is_within(&one.cidrs, &other.cidrs)
}
