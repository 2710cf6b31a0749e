//! What changes in a landing zone and opens nothing across its boundary.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use crate::api::AdoptionPolicy;
use crate::domain::{Access, FieldPath, Flow, LandingZone, Namespace, Placement, Platform};
use crate::review::changes::{Change, ChangeKind, Part, Scope, Side, spans, spec};

/// What became of everything that crosses no boundary.
pub(super) fn changes(
    old: &LandingZone,
    new: &LandingZone,
    old_platform: &Platform,
    new_platform: &Platform,
) -> Vec<Change> {
    let mut changes = description(old, new);
    changes.extend(metadata(old, new));
    changes.extend(quotas(old, new, (old_platform, new_platform)));
    changes.extend(flows(old, new));
    changes.extend(access(old, new));
    changes.extend(placement(old, new, (old_platform, new_platform)));
    changes
}

fn change(
    zone: &LandingZone,
    (part, kind): (Part, ChangeKind),
    at: (Side, FieldPath),
    message: impl Into<String>,
) -> Change {
    Change::new(Some(&zone.name), (part, kind), at, message)
}

/// What stands in a field.
type Told<'a> = &'a dyn Fn(&LandingZone) -> String;

/// How much of what is there already a landing zone takes over.
fn takes(zone: &LandingZone) -> u8 {
    match zone.adoption_policy {
        AdoptionPolicy::Never => 0,
        AdoptionPolicy::IfIdentical => 1,
        AdoptionPolicy::Always => 2,
    }
}

fn description(old: &LandingZone, new: &LandingZone) -> Vec<Change> {
    let fields: [(&str, Told<'_>); 4] = [
        ("applicationCode", &|it| it.code.to_string()),
        ("contact", &|it| it.contact.clone().unwrap_or_default()),
        ("adoptionPolicy", &|it| format!("{:?}", it.adoption_policy)),
        ("deletePolicy", &|it| format!("{:?}", it.delete_policy)),
    ];
    let differ = fields
        .into_iter()
        .filter(|(_, value)| value(old) != value(new));
    differ
        .map(|(field, value)| {
            let message = format!(
                "landing zone {} changes {field} from \"{}\" to \"{}\"",
                new.name,
                value(old),
                value(new)
            );
            let at = (Side::After, spec().key(field));
            let adopts = field == "adoptionPolicy" && takes(new) > takes(old);
            let message = if adopts {
                format!("{message}: namespaces that are there already come inside the boundary, out of whatever one they are in")
            } else {
                message
            };
            change(new, (Part::Description, ChangeKind::Changed), at, message)
                .named(field)
                .crossing_if(adopts, Scope::Carries(new.name.clone()))
        })
        .collect()
}

/// The namespaces that both have, with their index after.
fn shared<'a>(
    old: &'a LandingZone,
    new: &'a LandingZone,
) -> impl Iterator<Item = (usize, &'a Namespace, &'a Namespace)> {
    let known: BTreeMap<_, _> = old.namespaces.iter().map(|it| (&it.name, it)).collect();
    let all = new.namespaces.iter().enumerate();
    all.filter_map(move |(index, it)| Some((index, *known.get(&it.name)?, it)))
}

fn metadata(old: &LandingZone, new: &LandingZone) -> Option<Change> {
    let differ = shared(old, new)
        .filter(|(_, old, new)| (&old.labels, &old.annotations) != (&new.labels, &new.annotations));
    let differ: Vec<_> = differ
        .map(|(index, _, it)| (index, it.name.to_string()))
        .collect();
    let path = match differ.as_slice() {
        [] => return None,
        [(index, _)] => spec().key("namespaces").index(*index).key("labels"),
        _ => spec().key("labels"),
    };
    let names: Vec<_> = differ.into_iter().map(|(_, name)| name).collect();
    let message = format!(
        "landing zone {} changes labels or annotations of {}",
        new.name,
        names.join(", ")
    );
    Some(change(
        new,
        (Part::Metadata, ChangeKind::Changed),
        (Side::After, path),
        message,
    ))
}

/// Quotas and limits. What namespaces get because they say nothing is the platform's change.
fn quotas(
    old: &LandingZone,
    new: &LandingZone,
    (old_platform, new_platform): (&Platform, &Platform),
) -> Vec<Change> {
    let mut changes = Vec::new();
    if old.quota_total != new.quota_total {
        let message = format!(
            "landing zone {} changes the total of its quotas: {}",
            new.name,
            amounts(&old.quota_total, &new.quota_total)
        );
        let at = (Side::After, spec().key("quotaTotal"));
        changes.push(change(new, (Part::Quota, ChangeKind::Changed), at, message));
    }
    for (index, was, is) in shared(old, new) {
        let path = spec().key("namespaces").index(index);
        let by_default =
            was.quota == old_platform.defaults.quota && is.quota == new_platform.defaults.quota;
        if was.quota != is.quota && !by_default {
            let message = format!(
                "namespace {} of landing zone {} changes its quota: {}",
                is.name,
                new.name,
                amounts(&was.quota, &is.quota)
            );
            let at = (Side::After, path.key("quota"));
            let quota = change(new, (Part::Quota, ChangeKind::Changed), at, message);
            changes.push(quota.named(is.name.as_str()));
        }
        let by_default =
            was.limits == old_platform.defaults.limits && is.limits == new_platform.defaults.limits;
        if was.limits != is.limits && !by_default {
            let message = format!(
                "namespace {} of landing zone {} changes the limits of its containers",
                is.name, new.name
            );
            let at = (Side::After, path.key("limits"));
            let limits = change(new, (Part::Limits, ChangeKind::Changed), at, message);
            changes.push(limits.named(is.name.as_str()));
        }
    }
    changes
}

/// `requests.cpu from 4 to 8, pods 50 is new`
fn amounts<V: PartialEq + ToString>(
    old: &BTreeMap<String, V>,
    new: &BTreeMap<String, V>,
) -> String {
    let mut parts = Vec::new();
    for (resource, value) in new {
        match old.get(resource) {
            Some(known) if known == value => {}
            Some(known) => {
                parts.push(format!(
                    "{resource} from {} to {}",
                    known.to_string(),
                    value.to_string()
                ));
            }
            None => parts.push(format!("{resource} {} is new", value.to_string())),
        }
    }
    let gone = old.keys().filter(|it| !new.contains_key(*it));
    parts.extend(gone.map(|resource| format!("{resource} is gone")));
    parts.join(", ")
}

/// What became of the items of a list that have a name: for each pair that differs.
fn each<'a, T, K: Ord>(
    old: &'a [T],
    new: &'a [T],
    key: impl Fn(&'a T) -> K,
    is_same: impl Fn(&T, &T) -> bool,
) -> Vec<(ChangeKind, Side, usize, &'a T)> {
    let known: BTreeMap<K, &T> = old.iter().map(|it| (key(it), it)).collect();
    let kept: BTreeSet<K> = new.iter().map(&key).collect();
    let mut found = Vec::new();
    for (index, it) in new.iter().enumerate() {
        match known.get(&key(it)) {
            Some(known) if is_same(known, it) => {}
            Some(_) => found.push((ChangeKind::Changed, Side::After, index, it)),
            None => found.push((ChangeKind::Added, Side::After, index, it)),
        }
    }
    let gone = old
        .iter()
        .enumerate()
        .filter(|(_, it)| !kept.contains(&key(it)));
    found.extend(gone.map(|(index, it)| (ChangeKind::Removed, Side::Before, index, it)));
    found
}

fn verb(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "adds",
        ChangeKind::Removed => "removes",
        _ => "changes",
    }
}

fn flows(old: &LandingZone, new: &LandingZone) -> Vec<Change> {
    let same_ports =
        |one: &Flow, other: &Flow| spans::ports(&one.ports) == spans::ports(&other.ports);
    let is_same = |one: &Flow, other: &Flow| {
        (&one.from, &one.to) == (&other.from, &other.to) && same_ports(one, other)
    };
    let found = each(
        &old.network.flows,
        &new.network.flows,
        |it| &it.name,
        is_same,
    );
    let mut changes: Vec<Change> = found
        .into_iter()
        .map(|(kind, side, index, flow)| {
            let message = format!(
                "landing zone {} {} flow {} from zone {} to zone {}, {}: inside its boundary",
                new.name,
                verb(kind),
                flow.name,
                flow.from.zone,
                flow.to.zone,
                spans::ports_in_words(&spans::ports(&flow.ports))
            );
            let path = spec().key("network").key("flows").index(index);
            change(new, (Part::Flow, kind), (side, path), message).named(&flow.name)
        })
        .collect();
    if old.network.intra_zone != new.network.intra_zone {
        let message = format!(
            "landing zone {} changes intraZone from {:?} to {:?}: inside its boundary",
            new.name, old.network.intra_zone, new.network.intra_zone
        );
        let at = (Side::After, spec().key("network").key("intraZone"));
        changes
            .push(change(new, (Part::Flow, ChangeKind::Changed), at, message).named("intraZone"));
    }
    changes
}

fn access(old: &LandingZone, new: &LandingZone) -> Vec<Change> {
    let key = |it: &'_ Access| {
        (
            it.kind,
            it.namespace.clone(),
            it.name.clone(),
            it.role.clone(),
        )
    };
    let found = each(&old.access, &new.access, key, |one, other| one == other);
    found
        .into_iter()
        .map(|(kind, side, index, it)| {
            let zones: Vec<_> = it.zones.iter().map(ToString::to_string).collect();
            let message = format!(
                "landing zone {} {} access of {:?} {}: role {} in zones {}",
                new.name,
                verb(kind),
                it.kind,
                it.name,
                it.role,
                zones.join(", ")
            );
            let at = (side, spec().key("access").index(index));
            change(new, (Part::Access, kind), at, message).named(&it.name)
        })
        .collect()
}

fn placement(
    old: &LandingZone,
    new: &LandingZone,
    (old_platform, new_platform): (&Platform, &Platform),
) -> Option<Change> {
    let by_default = is_same_placement(
        old.placement.as_ref(),
        old_platform.defaults.placement.as_ref(),
    ) && is_same_placement(
        new.placement.as_ref(),
        new_platform.defaults.placement.as_ref(),
    );
    if by_default || is_same_placement(old.placement.as_ref(), new.placement.as_ref()) {
        return None;
    }
    let message = format!(
        "landing zone {} changes which nodes its pods run on",
        new.name
    );
    let at = (Side::After, spec().key("placement"));
    Some(change(
        new,
        (Part::Placement, ChangeKind::Changed),
        at,
        message,
    ))
}

/// The order of tolerations and requirements means nothing.
fn is_same_placement(one: Option<&Placement>, other: Option<&Placement>) -> bool {
    fn sorted<T: Debug>(items: &[T]) -> Vec<String> {
        let mut texts: Vec<_> = items.iter().map(|it| format!("{it:?}")).collect();
        texts.sort();
        texts
    }
    let parts = |it: &Placement| {
        let rest = Placement {
            tolerations: Vec::new(),
            node_affinity: Vec::new(),
            ..it.clone()
        };
        (rest, sorted(&it.tolerations), sorted(&it.node_affinity))
    };
    one.map(parts) == other.map(parts)
}
