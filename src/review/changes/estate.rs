//! One of the two sets of declarations, with what is open across each boundary.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::Declared;
use super::extent::{self, Traffic};
use crate::api::{CrossingStatus, Stage};
use crate::domain::{
    Crossing, Flavour, LandingZone, LandingZoneName, Neighbour, Openings, Platform, Resolved,
    SharedService, Surroundings, resolve,
};

/// One of the two sets of declarations.
#[derive(Clone)]
pub(super) struct Estate<'a> {
    pub zones: BTreeMap<&'a LandingZoneName, &'a LandingZone>,
    /// Who names a landing zone.
    named_by: BTreeMap<&'a LandingZoneName, BTreeSet<&'a LandingZoneName>>,
    pub platform: &'a Platform,
    pub flavour: Flavour,
    pub today: Date,
    /// What was before: a landing zone in stage Plan stays as it was.
    earlier: Option<&'a Estate<'a>>,
}

impl<'a> Estate<'a> {
    pub fn new(
        declared: Declared<'a>,
        flavour: Flavour,
        today: Date,
        earlier: Option<&'a Estate<'a>>,
    ) -> Self {
        let mut named_by: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for zone in declared.zones {
            for peer in zone.network.crossings.iter().filter_map(Crossing::names) {
                named_by.entry(peer).or_default().insert(&zone.name);
            }
        }
        Self {
            zones: declared.zones.iter().map(|it| (&it.name, it)).collect(),
            named_by,
            platform: declared.platform,
            flavour,
            today,
            earlier,
        }
    }

    /// The same landing zones on another platform.
    pub fn on<'b>(&self, platform: &'b Platform) -> Estate<'b>
    where
        'a: 'b,
    {
        let same: Estate<'b> = self.clone();
        Estate { platform, ..same }
    }

    /// The landing zones that one names, and those that name it.
    pub fn neighbours(&self, zone: &'a LandingZone) -> BTreeSet<&'a LandingZoneName> {
        let named = zone.network.crossings.iter().filter_map(Crossing::names);
        let by = self.named_by.get(&zone.name);
        named.chain(by.into_iter().flatten().copied()).collect()
    }

    /// What is open across the boundary of a landing zone, which may be one that is not declared so.
    pub fn resolved(&self, zone: &LandingZone) -> Resolved {
        let named = zone.network.crossings.iter().filter_map(Crossing::names);
        let by = self.named_by.get(&zone.name);
        let all = named.chain(by.into_iter().flatten().copied());
        let neighbours = all.filter_map(|name| self.zones.get(name));
        let neighbours: BTreeMap<_, _> = neighbours
            .map(|it| (it.name.clone(), neighbour(it)))
            .collect();
        let is_planned = |it: &Neighbour| matches!(it, Neighbour::AsBefore(_));
        let earlier = self.earlier.filter(|_| neighbours.values().any(is_planned));
        let before = earlier.and_then(|earlier| {
            let same = earlier.zones.get(&zone.name)?;
            Some(earlier.resolved(same).openings.crossings)
        });
        let surroundings = Surroundings {
            platform: self.platform,
            flavour: self.flavour,
            today: self.today,
            neighbours,
            before: before.unwrap_or_default(),
            shared_ranges: BTreeMap::new(),
        };
        resolve(zone, &surroundings)
    }

    /// What becomes of one crossing of a landing zone, and the traffic that it opens.
    pub fn crossing(
        &self,
        zone: &LandingZone,
        crossing: &Crossing,
    ) -> (Option<CrossingStatus>, Vec<Traffic>, Openings) {
        let mut alone = zone.clone();
        alone.network.crossings = vec![crossing.clone()];
        alone.network.shared_services.clear();
        let resolved = self.on(&without_services(self.platform)).resolved(&alone);
        let mut told = resolved.crossings.into_iter();
        let told =
            told.find(|it| it.name == crossing.name && it.direction == Some(crossing.direction));
        let openings = resolved.openings;
        let traffic = self.traffic(zone, &openings.crossings, crossing);
        (told, traffic, openings)
    }

    fn traffic(
        &self,
        zone: &LandingZone,
        openings: &[crate::domain::Opening],
        crossing: &Crossing,
    ) -> Vec<Traffic> {
        let all = openings.iter().flat_map(|opening| {
            let peers = |name: &LandingZoneName| self.zones.get(name).copied();
            extent::traffic(opening, zone, peers, crossing.valid_until)
        });
        all.collect()
    }

    /// What one shared service opens for a landing zone that may use it.
    pub fn service(&self, zone: &LandingZone, service: &SharedService) -> Vec<Traffic> {
        let platform = Platform {
            shared_services: vec![service.clone()],
            ..without_services(self.platform)
        };
        let mut alone = zone.clone();
        alone.network.crossings.clear();
        alone.network.shared_services = BTreeSet::from([service.name.clone()]);
        let resolved = self.on(&platform).resolved(&alone);
        let openings = resolved.openings.services.iter();
        openings
            .flat_map(|opening| extent::traffic(opening, zone, |_| None, None))
            .collect()
    }

    /// All that is open across the boundary of a landing zone.
    pub fn all_traffic(&self, zone: &LandingZone) -> Vec<Traffic> {
        let services = self.platform.shared_services.iter();
        let for_all = services.filter(|it| is_for_all(it));
        let mut all: Vec<_> = for_all.flat_map(|it| self.service(zone, it)).collect();
        all.extend(self.declared_traffic(zone));
        all
    }

    /// What a landing zone declares of it: not what the platform opens for every landing zone.
    pub fn declared_traffic(&self, zone: &LandingZone) -> Vec<Traffic> {
        let services = self.platform.shared_services.iter();
        let asked = services.filter(|it| is_for(it, zone) && !is_for_all(it));
        let mut all: Vec<_> = asked.flat_map(|it| self.service(zone, it)).collect();
        for crossing in &zone.network.crossings {
            all.extend(self.crossing(zone, crossing).1);
        }
        all
    }
}

fn is_for_all(service: &SharedService) -> bool {
    service.landing_zones == crate::api::ServiceAudience::All
}

/// Whether a landing zone uses a shared service, or is reached from it.
pub(super) fn is_for(service: &SharedService, zone: &LandingZone) -> bool {
    is_for_all(service) || zone.network.shared_services.contains(&service.name)
}

/// A landing zone that declares nothing about its boundary.
pub(super) fn bare(zone: &LandingZone) -> LandingZone {
    let mut bare = zone.clone();
    bare.network.crossings.clear();
    bare.network.shared_services.clear();
    bare
}

fn without_services(platform: &Platform) -> Platform {
    Platform {
        shared_services: Vec::new(),
        ..platform.clone()
    }
}

fn neighbour(zone: &LandingZone) -> Neighbour {
    match zone.stage {
        // What was in force before it was planned otherwise, nobody knows here.
        Stage::Plan => Neighbour::AsBefore("is in stage Plan"),
        Stage::Observe | Stage::Enforce => Neighbour::InForce(Box::new(zone.clone())),
    }
}
