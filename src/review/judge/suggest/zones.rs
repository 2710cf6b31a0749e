//! Crossings between landing zones, which both sides declare.

use std::collections::BTreeSet;

use super::{Declaring, REASON, Wanted, own};
use crate::api::CrossingDirection;
use crate::api::names::APPLICATION_CODE;
use crate::policy::{LabelMap, Selector, TooComplex, example};
use crate::review::covered::pods_of;
use crate::review::declare::{Entry, Names, Port, Said, Side, list};
use crate::review::known::{a_pod, in_namespace_as_known, is_pod, of_namespace};
use crate::review::landscape::Boundary;

/// So many landing zones, or zones of them, are named.
const MOST_PEERS: usize = 4;

/// Pods of another landing zone, and the ports on which they are meant.
struct There<'w> {
    boundary: &'w Boundary,
    landing_zone: &'w str,
    /// None: all zones.
    zone: Option<&'w str>,
    labels: LabelMap,
    ports: &'w [Port],
}

/// What both sides declare; where more is meant than pods of a few landing zones, what the rule has to say first. None:
/// neither can be told.
pub(super) fn told(wanted: &Wanted<'_, '_>) -> Option<Declaring> {
    if let Some(all) = there(wanted, None) {
        return Some(format!("if it is meant, {}", declared(wanted, &all)?).into());
    }
    let other = wanted.leak.landing_zone.as_deref()?;
    let boundary = wanted.landscape.called(other)?;
    let only = Selector::equal(of_namespace(APPLICATION_CODE), &boundary.code);
    let all = there(wanted, Some(&only))?;
    Some(Declaring {
        text: format!(
            "if {boundary} is meant, {}, and {}",
            wanted.written_only_for(boundary),
            declared(wanted, &all)?
        ),
        settles: false,
    })
}

/// Who is meant, where all of them are pods of landing zones; of what else is meant, `only` leaves nothing.
fn there<'w>(wanted: &'w Wanted<'_, '_>, only: Option<&Selector>) -> Option<Vec<There<'w>>> {
    let mut all = Vec::new();
    for leak in wanted.all() {
        if leak.who.is_empty() {
            return None;
        }
        let who: Vec<Selector> = leak.who.iter().chain(only).cloned().collect();
        // What is too complex is not told.
        all.extend(peers(wanted, who, leak.declare.listed()).ok()??);
    }
    (all.len() <= MOST_PEERS).then_some(all)
}

fn peers<'w>(
    wanted: &'w Wanted<'_, '_>,
    mut left: Vec<Selector>,
    ports: &'w [Port],
) -> Result<Option<Vec<There<'w>>>, TooComplex> {
    let landscape = wanted.landscape;
    let selector = wanted.walked.end.selector.as_ref();
    let labels = selector.map(own::necessary).unwrap_or_default();
    let mut found = Vec::new();
    while let Some(witness) = a_pod(&left, landscape)? {
        let whose = witness.landing_zone;
        let boundary = whose.and_then(|name| landscape.called(&name));
        let boundary = boundary.and_then(|it| Some((it, it.landing_zone.as_deref()?)));
        let Some((boundary, landing_zone)) = boundary.filter(|_| found.len() < MOST_PEERS) else {
            return Ok(None);
        };
        let pods = |zone: Option<&str>| pods_of(landing_zone, (zone, &labels), landscape);
        let is_any = |left: &[Selector], pods: Selector| {
            let all = left.iter().cloned().chain([pods, is_pod()]);
            example(&all.collect::<Vec<_>>()).map(|found| found.is_some())
        };
        let meant = Selector::and(left.iter().cloned());
        let (mut known, mut zones) = (BTreeSet::new(), BTreeSet::new());
        for name in &boundary.namespaces {
            let namespace = landscape.namespace(name);
            let zone = namespace.and_then(|it| Some((it, it.zone()?)));
            let Some((namespace, zone)) = zone else {
                continue;
            };
            known.insert(zone);
            if example(&[in_namespace_as_known(&meant, name, namespace)])?.is_some() {
                zones.insert(zone);
            }
        }
        let mut rest = left.clone();
        rest.extend(zones.iter().map(|zone| pods(Some(zone)).negate()));
        let mut zones: Vec<Option<&str>> = zones.into_iter().map(Some).collect();
        let is_some = zones.len() < known.len() || known.len() == 1;
        if zones.is_empty() || !is_some || is_any(&rest, pods(None))? {
            zones = vec![None];
        }
        for zone in zones {
            left.push(pods(zone).negate());
            found.push(There {
                boundary,
                landing_zone,
                zone,
                labels: labels.clone(),
                ports,
            });
        }
    }
    Ok(Some(found))
}

/// What one landing zone says.
struct OfSide<'w> {
    boundary: &'w Boundary,
    landing_zone: &'w str,
    direction: CrossingDirection,
    names: Names,
    missing: Vec<Entry>,
    /// Crossings that say it already.
    known: Vec<String>,
    /// Crossings that said it until their last day.
    over: Vec<String>,
}

impl<'w> OfSide<'w> {
    fn new(boundary: &'w Boundary, landing_zone: &'w str, direction: CrossingDirection) -> Self {
        Self {
            boundary,
            landing_zone,
            direction,
            names: Wanted::names(boundary, direction),
            missing: Vec::new(),
            known: Vec::new(),
            over: Vec::new(),
        }
    }

    fn add(&mut self, own: &Side<'_>, peer: &Side<'_>, ports: &[Port]) {
        match own.said(self.direction, peer, ports, None) {
            Said::Missing(entry) => {
                // One for each of several rules is called after the same peer.
                let words = [Some(peer.landing_zone), peer.zone];
                let words: Vec<&str> = words.into_iter().flatten().collect();
                self.missing.push(Entry {
                    name: self.names.give(&words),
                    reason: Some(REASON),
                    ..*entry
                });
            }
            Said::Already(name) | Said::Ended(name, _) => {
                let is_over = Wanted::is_over(self.boundary, self.direction, &name);
                let list = if is_over {
                    &mut self.over
                } else {
                    &mut self.known
                };
                if !list.contains(&name) {
                    list.push(name);
                }
            }
        }
    }

    /// What it has to declare first, then what it declares.
    fn parts(&self, wanted: &Wanted<'_, '_>) -> impl Iterator<Item = String> {
        let (zone, list) = (self.landing_zone, list(self.direction));
        let missing = (!self.missing.is_empty()).then(|| {
            let network = wanted.listed(zone, self.direction, &self.missing);
            format!("declare in landing zone {zone}: network: {network}")
        });
        let known = self
            .known
            .iter()
            .map(move |name| format!("landing zone {zone} declares it already: {list} {name}"));
        let over = self.over.iter().map(move |name| {
            format!("give {list} {name} of landing zone {zone} a later validUntil")
        });
        missing.into_iter().chain(over).chain(known)
    }
}

/// What both sides declare, in words and YAML. None: no landing zone could declare it, or all of it is declared.
fn declared(wanted: &Wanted<'_, '_>, all: &[There<'_>]) -> Option<String> {
    let own = own::end(wanted.selected);
    let own = own.side(wanted.selected);
    let direction = wanted.direction();
    let other_way = match direction {
        CrossingDirection::Egress => CrossingDirection::Ingress,
        CrossingDirection::Ingress => CrossingDirection::Egress,
    };
    let boundary = wanted.boundary();
    let name = boundary.landing_zone.as_deref()?;
    let mut here = OfSide::new(boundary, name, direction);
    let mut theirs: Vec<OfSide<'_>> = Vec::new();
    for it in all {
        let peer = Side {
            landing_zone: it.landing_zone,
            zone: it.zone,
            labels: Some(&it.labels),
            declared: &it.boundary.crossings,
        };
        here.add(&own, &peer, it.ports);
        let known = theirs
            .iter()
            .position(|side| side.landing_zone == it.landing_zone);
        let at = known.unwrap_or_else(|| {
            theirs.push(OfSide::new(it.boundary, it.landing_zone, other_way));
            theirs.len() - 1
        });
        if let Some(side) = theirs.get_mut(at) {
            side.add(&peer, &own, it.ports);
        }
    }
    let sides = || std::iter::once(&here).chain(&theirs);
    let is_open = sides().all(|it| it.missing.is_empty() && it.over.is_empty());
    let parts: Vec<String> = sides().flat_map(|it| it.parts(wanted)).collect();
    (!is_open).then(|| parts.join(", and "))
}
