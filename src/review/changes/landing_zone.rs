//! What became of landing zones, apart from their crossings: namespaces, stage, and what crosses no boundary.

mod azure;
mod inside;

use std::collections::{BTreeMap, BTreeSet};

use super::about::About;
use super::crossings::{self, Both};
use super::estate::Estate;
use super::extent;
use super::{Change, ChangeKind, Part, Scope, Side, spec};
use crate::api::{AdoptionPolicy, DefaultDenyStage, DeletePolicy, PodSecurity, Stage};
use crate::domain::{FieldPath, LandingZone, LandingZoneName, Namespace, NamespaceName};

/// Whose a namespace is.
type Owners<'a> = BTreeMap<&'a NamespaceName, (&'a LandingZone, &'a Namespace)>;

/// What became of each landing zone, by name.
pub(super) fn changes<'a>(before: &'a Estate<'a>, after: &'a Estate<'a>) -> Vec<Change> {
    let owners = (owners(before), owners(after));
    let names: BTreeSet<&LandingZoneName> = before
        .zones
        .keys()
        .chain(after.zones.keys())
        .copied()
        .collect();
    let mut changes = Vec::new();
    for name in names {
        let both = Both {
            name,
            before,
            after,
            old: before.zones.get(name).copied(),
            new: after.zones.get(name).copied(),
        };
        if both.old == both.new {
            continue;
        }
        match (both.old, both.new) {
            (None, Some(new)) => changes.push(added(both, new)),
            (Some(old), None) => changes.push(removed(old, &owners.1)),
            (Some(old), Some(new)) => {
                changes.extend(stage(old, new));
                changes.extend(suspend(old, new));
                changes.extend(inside::changes(old, new, before.platform, after.platform));
                changes.extend(azure::changes(old, new));
            }
            (None, None) => {}
        }
        changes.extend(namespaces(both, (&owners.0, &owners.1)));
        changes.extend(crossings::changes(both));
    }
    changes
}

fn owners<'a>(estate: &Estate<'a>) -> Owners<'a> {
    let all = estate.zones.values();
    all.flat_map(|zone| zone.namespaces.iter().map(|it| (&it.name, (*zone, it))))
        .collect()
}

fn listed(zone: &LandingZone) -> String {
    let mut names: Vec<_> = zone
        .namespaces
        .iter()
        .map(|it| format!("{} (zone {})", it.name, it.zone))
        .collect();
    names.sort();
    names.join(", ")
}

fn added(both: Both<'_>, new: &LandingZone) -> Change {
    let denied = both.before.platform.default_deny.stage == DefaultDenyStage::Enforce;
    let opens = denied && new.stage == Stage::Observe;
    let adopts = new.adoption_policy != AdoptionPolicy::Never;
    let mut why = "";
    if opens {
        why = ": in stage Observe nothing is denied there, and the default deny leaves landing zones alone";
    }
    let and = if opens { "; and" } else { ":" };
    let policy = new.adoption_policy;
    let takes_over = if adopts {
        format!(
            "{and} with adoptionPolicy {policy:?} it takes over namespaces that are there already, out of whatever \
             boundary they are in"
        )
    } else {
        String::new()
    };
    let message = format!(
        "landing zone {} is added in stage {:?}, with {}{why}{takes_over}",
        new.name,
        new.stage,
        listed(new)
    );
    let at = (
        Side::After,
        FieldPath::default().key("metadata").key("name"),
    );
    Change::new(
        Some(&new.name),
        (Part::LandingZone, ChangeKind::Added),
        at,
        message,
    )
    .named(new.name.as_str())
    .crossing_if(opens || adopts, Scope::Carries(new.name.clone()))
}

fn removed(old: &LandingZone, owners: &Owners<'_>) -> Change {
    let stays = old.delete_policy == DeletePolicy::Keep;
    let is_left = |it: &&Namespace| !owners.contains_key(&it.name);
    let left = stays && old.namespaces.iter().any(|it| is_left(&it));
    let what = match old.delete_policy {
        DeletePolicy::Keep => {
            "its namespaces and policies stay, and nobody puts them back when they are changed"
        }
        DeletePolicy::Delete => "its namespaces are deleted, once that is confirmed",
    };
    let message = format!(
        "landing zone {} is removed, with {}: {what}",
        old.name,
        listed(old)
    );
    let at = (
        Side::Before,
        FieldPath::default().key("metadata").key("name"),
    );
    Change::new(
        Some(&old.name),
        (Part::LandingZone, ChangeKind::Removed),
        at,
        message,
    )
    .named(old.name.as_str())
    .crossing_if(left, Scope::Carries(old.name.clone()))
}

fn stage(old: &LandingZone, new: &LandingZone) -> Option<Change> {
    use Stage::{Enforce, Observe, Plan};
    if old.stage == new.stage {
        return None;
    }
    let (kind, crosses, what) = match (old.stage, new.stage) {
        (Enforce, Observe) => (
            ChangeKind::Lowered,
            true,
            "nothing is denied any more, only recorded",
        ),
        (Enforce, Plan) => (
            ChangeKind::Lowered,
            true,
            "what is in force stays, and nobody puts it back when it is changed",
        ),
        (Observe, Plan) => (
            ChangeKind::Lowered,
            false,
            "nothing was denied before either",
        ),
        // An earlier stage may have left a boundary behind.
        (Plan, Observe) => (
            ChangeKind::Raised,
            true,
            "whatever an earlier stage left in force is not denied any more",
        ),
        (_, Enforce) => (ChangeKind::Raised, false, "the boundary is held"),
        (Plan, Plan) | (Observe, Observe) => return None,
    };
    let message = format!(
        "landing zone {} goes from stage {:?} to {:?}: {what}",
        new.name, old.stage, new.stage
    );
    let change = Change::new(
        Some(&new.name),
        (Part::Stage, kind),
        (Side::After, spec().key("stage")),
        message,
    );
    Some(change.crossing_if(crosses, Scope::Carries(new.name.clone())))
}

fn suspend(old: &LandingZone, new: &LandingZone) -> Option<Change> {
    if old.suspend == new.suspend {
        return None;
    }
    let (kind, what) = if new.suspend {
        (
            ChangeKind::Lowered,
            "is suspended: what is in force stays, and nobody puts it back when it is changed",
        )
    } else {
        (
            ChangeKind::Raised,
            "is not suspended any more: its boundary is put back when it is changed",
        )
    };
    let message = format!("landing zone {} {what}", new.name);
    let at = (Side::After, spec().key("suspend"));
    let change = Change::new(Some(&new.name), (Part::Suspend, kind), at, message);
    Some(change.crossing_if(new.suspend, Scope::Carries(new.name.clone())))
}

/// Namespaces that join, leave or move, and those whose pods may get past every policy.
fn namespaces(both: Both<'_>, (old_owners, new_owners): (&Owners<'_>, &Owners<'_>)) -> Vec<Change> {
    let mut changes = Vec::new();
    let declared = both.new.into_iter();
    for (index, namespace) in declared.flat_map(|it| it.namespaces.iter().enumerate()) {
        let at = || (Side::After, spec().key("namespaces").index(index));
        let known = old_owners.get(&namespace.name).copied();
        let change = match known {
            Some((owner, known)) if owner.name == *both.name => {
                relayered(both, known, namespace, at())
            }
            Some((owner, known)) => Some(moved(both.name, owner, known, namespace, at())),
            // It is told with the landing zone.
            None if both.old.is_none() => None,
            None => both.new.map(|new| joined(both, new, namespace, at())),
        };
        changes.extend(change);
        let before = known.map(|(_, known)| known.pod_security);
        changes.extend(pod_security(both, namespace, before, at()));
    }
    let gone = both.old.filter(|_| both.new.is_some()).into_iter();
    for (index, namespace) in gone.flat_map(|it| it.namespaces.iter().enumerate()) {
        if new_owners.contains_key(&namespace.name) {
            continue;
        }
        let message = format!(
            "namespace {} leaves landing zone {}, zone {}: it keeps its label and policies until another one \
             claims it",
            namespace.name, both.name, namespace.zone
        );
        let at = (Side::Before, spec().key("namespaces").index(index));
        let change = Change::new(
            Some(both.name),
            (Part::Namespace, ChangeKind::Removed),
            at,
            message,
        );
        changes.push(change.named(namespace.name.as_str()));
    }
    changes
}

/// A namespace that was in no landing zone gets what is open for its zone, whose crossings were approved without it. What
/// a zone gets that is new itself, the policies tell.
fn joined(
    both: Both<'_>,
    zone: &LandingZone,
    namespace: &Namespace,
    at: (Side, FieldPath),
) -> Change {
    let adopts = zone.adoption_policy != AdoptionPolicy::Never;
    let mut what = String::new();
    if adopts {
        what = format!(
            ": with adoptionPolicy {:?} it may be one that is there already, whose pods come inside the boundary",
            zone.adoption_policy
        );
    }
    let is_known = |old: &LandingZone| old.namespaces.iter().any(|it| it.zone == namespace.zone);
    let declared = both.after.declared_traffic(zone);
    let inherits = both.old.is_some_and(is_known)
        && !extent::as_of_layer(&declared, &namespace.zone, &namespace.zone).is_empty();
    if inherits {
        let and = if adopts { ", and" } else { ":" };
        what =
            format!("{what}{and} its pods get all that is open across the boundary for that zone");
    }
    let message = format!(
        "namespace {} joins landing zone {}, zone {}{what}",
        namespace.name, zone.name, namespace.zone
    );
    Change::new(
        Some(&zone.name),
        (Part::Namespace, ChangeKind::Added),
        at,
        message,
    )
    .named(namespace.name.as_str())
    .about(About::Zones([namespace.zone.clone()].into()))
    .crossing_if(adopts || inherits, Scope::Carries(zone.name.clone()))
}

fn moved(
    name: &LandingZoneName,
    from: &LandingZone,
    old: &Namespace,
    new: &Namespace,
    at: (Side, FieldPath),
) -> Change {
    let message = format!(
        "namespace {} moves from landing zone {}, zone {}, to landing zone {name}, zone {}: its pods change sides",
        new.name, from.name, old.zone, new.zone
    );
    Change {
        peer: Some(format!("landing zone {}", from.name)),
        ..Change::new(
            Some(name),
            (Part::Namespace, ChangeKind::Moved),
            at,
            message,
        )
        .named(new.name.as_str())
        .about(About::Zones([new.zone.clone()].into()))
        .crossing_if(true, Scope::Carries(name.clone()))
    }
}

/// A namespace that goes to another zone of its landing zone gets what is open there.
fn relayered(
    both: Both<'_>,
    old: &Namespace,
    new: &Namespace,
    at: (Side, FieldPath),
) -> Option<Change> {
    if old.zone == new.zone {
        return None;
    }
    let all = |estate: &Estate<'_>, zone: Option<&LandingZone>| {
        zone.map(|zone| estate.all_traffic(zone))
            .unwrap_or_default()
    };
    let had = all(both.before, both.old);
    let gets = extent::as_of_layer(&all(both.after, both.new), &new.zone, &old.zone);
    let opens = !extent::is_within(&gets, &had);
    let what = if opens {
        "more is open across the boundary for pods of that zone"
    } else {
        "no more is open across the boundary for pods of that zone"
    };
    let message = format!(
        "namespace {} moves from zone {} to zone {} of landing zone {}: {what}",
        new.name, old.zone, new.zone, both.name
    );
    let change = Change::new(
        Some(both.name),
        (Part::Namespace, ChangeKind::Moved),
        at,
        message,
    );
    let zones = [old.zone.clone(), new.zone.clone()];
    let change = change
        .named(new.name.as_str())
        .about(About::Zones(zones.into()));
    Some(change.crossing_if(opens, Scope::Carries(both.name.clone())))
}

fn pod_security(
    both: Both<'_>,
    namespace: &Namespace,
    before: Option<PodSecurity>,
    (side, path): (Side, FieldPath),
) -> Option<Change> {
    let now = namespace.pod_security;
    let privileged = now == PodSecurity::Privileged;
    // What the platform says for those that say nothing is the platform's change.
    let by_default = before == both.before.platform.defaults.pod_security
        && Some(now) == both.after.platform.defaults.pod_security;
    let is_news = match before {
        Some(before) => before != now && !by_default,
        None => privileged,
    };
    if !is_news {
        return None;
    }
    let kind = match before {
        _ if privileged => ChangeKind::Lowered,
        Some(PodSecurity::Privileged) => ChangeKind::Raised,
        _ => ChangeKind::Changed,
    };
    let told = |level: PodSecurity| format!("{level:?}").to_lowercase();
    let was = before
        .map(|it| format!(", was {}", told(it)))
        .unwrap_or_default();
    let what = if privileged {
        ": pods on the host's network are outside of every network policy"
    } else {
        ""
    };
    let message = format!(
        "namespace {} of landing zone {} gets Pod Security standard {}{was}{what}",
        namespace.name,
        both.name,
        told(now)
    );
    let at = (side, path.key("podSecurity"));
    let change = Change::new(Some(both.name), (Part::PodSecurity, kind), at, message);
    Some(
        change
            .named(namespace.name.as_str())
            .crossing_if(privileged, Scope::Nothing),
    )
}
