//! What the rendered policies let through, before and after: shown with each change, and the net below them. What
//! is newly open and no change explains is a change of its own.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::about::{About, Terms};
use super::estate::Estate;
use super::lines::lines;
use super::reach::{Asked, Outsider, Question, Reached, growth};
use super::{Change, ChangeKind, Part, Scope, Side, spec};
use crate::api::Stage;
use crate::build::Released;
use crate::domain::{LandingZone, LandingZoneName};

/// Most lines that a change shows on either side.
const SHOWN: usize = 50;
/// Most lines that stand in a sentence.
const SAID: usize = 3;

/// Asks the policies of all landing zones that are rendered otherwise than before, and completes `changes`.
pub(super) fn judge(before: &Estate<'_>, after: &Estate<'_>, changes: &mut Vec<Change>) {
    let released = released(before, after);
    let nothing = BTreeMap::new();
    let by_stage = by_stage(before, after);
    let before = Asked {
        estate: before,
        released: &nothing,
        by_stage: &by_stage,
        known: RefCell::default(),
    };
    let after = Asked {
        estate: after,
        released: &released,
        by_stage: &by_stage,
        known: RefCell::default(),
    };
    let mut names = touched(&before, &after);
    // What holds for longer or shorter is rendered as before.
    let all = before.estate.zones.keys().chain(after.estate.zones.keys());
    names.extend(all.copied().filter(|name| {
        let is_its = |it: &Change| it.landing_zone.as_deref() == Some(name.as_str());
        let mut changes = changes.iter().filter(|it| is_its(it));
        changes.any(|it| matches!(it.about, About::Opening { .. }))
    }));
    for name in names {
        let question = Question::new(name, &before, &after);
        let was = question.reached(&before);
        let is = question.reached(&after);
        let grown = growth(&question.baseline(&was, &before, &after), &is);
        let told = |reached: &Reached| lines(name, reached, question.nets());
        for (outsider, part) in by_peer(&grown) {
            explain(name, outsider.as_ref(), &told(&part), changes);
        }
        let all_known = !by_stage.contains(name);
        for index in 0..changes.len() {
            let (head, rest) = changes.split_at_mut(index);
            if let Some((change, tail)) = rest.split_first_mut() {
                let others: Vec<&Change> = head.iter().chain(tail.iter()).collect();
                show(
                    change,
                    &others,
                    name,
                    (&was, &is),
                    &grown,
                    (all_known, &told),
                );
            }
        }
    }
    for change in changes {
        shorten(&mut change.reach.before);
        shorten(&mut change.reach.after);
    }
}

/// Namespaces that left a landing zone and that no other one claims: the policies keep selecting them.
fn released(before: &Estate<'_>, after: &Estate<'_>) -> BTreeMap<LandingZoneName, Vec<Released>> {
    let kept: BTreeSet<_> = after
        .zones
        .values()
        .flat_map(|zone| zone.namespaces.iter().map(|it| &it.name))
        .collect();
    let of_zone = |(name, old): (&&LandingZoneName, &&LandingZone)| {
        let gone = old.namespaces.iter().filter(|it| !kept.contains(&it.name));
        let gone = gone.map(|it| Released {
            name: it.name.clone(),
            zone: it.zone.clone(),
        });
        ((*name).clone(), gone.collect())
    };
    before.zones.iter().map(of_zone).collect()
}

/// Landing zones that begin or end to be observed: there it counts that nothing is denied.
fn by_stage(before: &Estate<'_>, after: &Estate<'_>) -> BTreeSet<LandingZoneName> {
    let differs = |(name, old): (&&LandingZoneName, &&LandingZone)| {
        let new = after.zones.get(*name)?;
        let is_observed = [old.stage, new.stage].contains(&Stage::Observe);
        (is_observed && old.stage != new.stage).then(|| (*name).clone())
    };
    before.zones.iter().filter_map(differs).collect()
}

/// The landing zones whose policies are otherwise than before.
fn touched<'a>(before: &Asked<'a>, after: &Asked<'a>) -> BTreeSet<&'a LandingZoneName> {
    let (old, new) = (&before.estate.zones, &after.estate.zones);
    let everybody = before.estate.platform != after.estate.platform;
    let mut candidates = BTreeSet::new();
    for name in old.keys().chain(new.keys()).copied() {
        if everybody {
            candidates.insert(name);
        }
        if old.get(name) == new.get(name) {
            continue;
        }
        candidates.insert(name);
        for side in [before, after] {
            if let Some(zone) = side.estate.zones.get(name) {
                candidates.extend(side.estate.neighbours(zone));
            }
        }
    }
    let rendered = |side: &Asked<'_>, name| side.estate.zones.get(name).map(|it| side.rendered(it));
    candidates.retain(|name| rendered(before, *name) != rendered(after, *name));
    candidates
}

/// What is reached of each landing zone, and of whoever is in none.
fn by_peer(reached: &Reached) -> BTreeMap<Option<LandingZoneName>, Reached> {
    let mut parts: BTreeMap<_, Reached> = BTreeMap::new();
    for (key, ports) in reached {
        let part = parts.entry(peer(&key.2).cloned()).or_default();
        part.insert(key.clone(), ports.clone());
    }
    parts
}

fn peer(outsider: &Outsider) -> Option<&LandingZoneName> {
    match outsider {
        Outsider::LandingZone(name, _) => Some(name),
        _ => None,
    }
}

/// Finds the change that explains what is newly open between a landing zone and somebody outside.
fn explain(
    name: &LandingZoneName,
    outsider: Option<&LandingZoneName>,
    lines: &[String],
    changes: &mut Vec<Change>,
) {
    let of = |change: &Change, zone: &LandingZoneName| {
        change.landing_zone.as_deref() == Some(zone.as_str())
    };
    let is_explained = |change: &Change| match (&change.scope, outsider) {
        (Scope::Everything, _) | (Scope::AnyOutside, None) => true,
        (Scope::Carries(zone), _) => zone == name || Some(zone) == outsider,
        (Scope::Peer(other), Some(peer)) => {
            (of(change, name) && other == peer) || (of(change, peer) && other == name)
        }
        (Scope::Outside, None) => of(change, name),
        (Scope::Peer(_) | Scope::Outside | Scope::AnyOutside | Scope::Nothing, _) => false,
    };
    if changes
        .iter()
        .any(|it| it.crosses_boundary && is_explained(it))
    {
        return;
    }
    let said = said(lines);
    // What by itself crosses no boundary, and does since something is open for all of its landing zone.
    let sides = [Some(name), outsider].into_iter().flatten();
    for zone in sides {
        let carries = |it: &&mut Change| it.scope == Scope::Carries(zone.clone());
        if let Some(change) = changes.iter_mut().find(carries) {
            change.crosses_boundary = true;
            change.message = format!("{}; newly open: {said}", change.message);
            return;
        }
    }
    let message = format!(
        "the policies of landing zone {name} newly let through what no other change explains: {said}"
    );
    let at = (Side::After, spec().key("network"));
    let scope = outsider.map_or(Scope::Outside, |peer| Scope::Peer(peer.clone()));
    let change = Change::new(Some(name), (Part::Reach, ChangeKind::Opened), at, message);
    changes.push(change.crossing_if(true, scope).about(About::Growth));
}

fn said(lines: &[String]) -> String {
    let shown: Vec<_> = lines.iter().take(SAID).map(String::as_str).collect();
    match lines.len() - shown.len() {
        0 => shown.join("; "),
        more => format!("{} and {more} more", shown.join("; ")),
    }
}

/// Says what is reached, in lines.
type Told<'a> = dyn Fn(&Reached) -> Vec<String> + 'a;

/// Shows what is reached of what a change is about.
fn show(
    change: &mut Change,
    others: &[&Change],
    name: &LandingZoneName,
    (was, is): (&Reached, &Reached),
    grown: &Reached,
    (all_known, told): (bool, &Told<'_>),
) {
    // What only may open something, and did not, is not about what others changed.
    if matches!(change.part, Part::Description | Part::Suspend) && !change.crosses_boundary {
        return;
    }
    let is_own = change.landing_zone.as_deref() == Some(name.as_str());
    let scope = change.scope.clone();
    let is_meant = |outsider: &Outsider| match &scope {
        Scope::Nothing => false,
        Scope::Peer(other) => is_own && peer(outsider) == Some(other),
        Scope::Outside => is_own && peer(outsider).is_none(),
        Scope::Carries(zone) => zone == name,
        Scope::AnyOutside => peer(outsider).is_none(),
        Scope::Everything => true,
    };
    let within = |reached: &Reached| -> Reached {
        let part = reached.iter().filter(|(key, _)| is_meant(&key.2));
        part.map(|(key, ports)| (key.clone(), ports.clone()))
            .collect()
    };
    let others = others
        .iter()
        .filter(|it| it.landing_zone == change.landing_zone);
    let others: Vec<&About> = others.map(|it| &it.about).collect();
    let lines = |reached: &Reached, terms: Terms| -> Vec<String> {
        let part = change.about.part(&within(reached), grown, &others);
        told(&part).iter().map(|line| terms.told(line)).collect()
    };
    let terms = change.about.terms();
    let (before, after) = (lines(was, terms.0), lines(is, terms.1));
    if change.landing_zone.is_none() {
        let only = |these: &[String], others: &[String]| {
            these
                .iter()
                .filter(|it| !others.contains(it))
                .cloned()
                .collect::<Vec<_>>()
        };
        change.reach.before.extend(only(&before, &after));
        change.reach.after.extend(only(&after, &before));
        return;
    }
    change.reach.before.extend(before);
    change.reach.after.extend(after);
    let opens = matches!(change.kind, ChangeKind::Opened | ChangeKind::Widened);
    let is_crossing = change.part == Part::Crossing && is_own && all_known;
    if opens && is_crossing && change.crosses_boundary && within(grown).is_empty() {
        change
            .message
            .push_str("; the rendered policies let nothing more through");
    }
}

/// Keeps the first of too many lines, and says how many there were besides.
fn shorten(lines: &mut Vec<String>) {
    if let Some(more) = lines.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.truncate(SHOWN);
        lines.push(format!("and {more} more"));
    }
}
