//! What the operator would write for landing zones, where it is not there or cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use super::Objects;
use crate::api::{Stage, names};
use crate::build::{self, Desired};
use crate::cli::render;
use crate::domain::{
    Flavour, LandingZone, NamespaceName, Openings, Platform, PolicyApi, Resolved, TeamPolicies,
};
use crate::policy::{GlobalNetworkPolicy, LabelMap, Policy, PolicyId, Unreadable, Written};

/// Adds what the operator would have applied, besides what there is already. `resolved` is what is open across the boundary
/// of each landing zone.
pub(super) fn add(
    objects: &mut Objects,
    zones: &[LandingZone],
    resolved: &[Resolved],
    platform: &Platform,
    flavour: Flavour,
) {
    let mut policies = Rendered::new(flavour);
    match render::default_deny(platform, flavour) {
        Ok(denying) => {
            policies.global(&denying.opening);
            policies.global(&denying.closing);
        }
        Err(error) => objects
            .notes
            .push(format!("spec.defaultDeny of the platform: {error}")),
    }
    for (zone, resolved) in zones.iter().zip(resolved) {
        if zone.stage == Stage::Plan {
            objects.notes.push(format!(
                "landing zone {} is in stage Plan: none of its policies is in force",
                zone.name
            ));
            continue;
        }
        let teams = TeamPolicies::default();
        let mut openings = resolved.openings.clone();
        let known: BTreeSet<&str> = objects
            .policies
            .iter()
            .map(|it| it.id.name.as_str())
            .collect();
        let render = |openings: &Openings| {
            build::landing_zone(zone, &[], platform, openings, &teams, flavour)
        };
        let mut desired = render(&openings);
        // Where its policies are there, they say who is closed.
        let mut names = desired.global_network_policies.iter();
        if !names.any(|it| {
            it.metadata
                .name
                .as_deref()
                .is_some_and(|it| known.contains(it))
        }) {
            openings.pretenders = pretenders(zone, &openings, zones, &objects.namespaces);
            desired = render(&openings);
        }
        policies.of(&desired);
        for namespace in &desired.namespaces {
            let name = namespace.metadata.name.clone().unwrap_or_default();
            let labels = namespace.metadata.labels.iter().flatten();
            let known = objects.namespaces.entry(name).or_default();
            known.extend(labels.map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    let unreadable = policies.unreadable.iter();
    objects.notes.extend(
        unreadable.map(|error| format!("a policy that is rendered cannot be read: {error}")),
    );
    // What is there already is taken as it is.
    let known: BTreeSet<PolicyId> = objects.policies.iter().map(|it| it.id.clone()).collect();
    let added = policies.read.into_iter();
    objects
        .policies
        .extend(added.filter(|it| !known.contains(&it.id)));
    for tier in build::tiers(flavour) {
        let mut tiers = objects.tiers.iter();
        if !tiers.any(|it| it.metadata.name == tier.metadata.name) {
            objects.tiers.push(tier);
        }
    }
}

/// Namespaces that bear the label of a landing zone, or of one that something is open to, and that neither declares.
fn pretenders(
    zone: &LandingZone,
    openings: &Openings,
    zones: &[LandingZone],
    namespaces: &BTreeMap<String, LabelMap>,
) -> BTreeSet<NamespaceName> {
    let meant: BTreeSet<_> = openings.landing_zones().chain([&zone.name]).collect();
    let labelled = namespaces.iter().filter(|(name, labels)| {
        let owner = labels.get(names::OWNER);
        let mut owners = zones.iter().filter(|it| {
            meant.contains(&it.name) && owner.is_some_and(|owner| owner == it.name.as_str())
        });
        owners.any(|it| {
            it.namespaces
                .iter()
                .all(|own| own.name.as_str() != name.as_str())
        })
    });
    labelled.filter_map(|(name, _)| name.parse().ok()).collect()
}

/// Policies that the operator would write, as Felix takes them.
struct Rendered {
    written: Written,
    read: Vec<Policy>,
    unreadable: Vec<Unreadable>,
}

impl Rendered {
    fn new(flavour: Flavour) -> Self {
        Self {
            written: if flavour.api == PolicyApi::CalicoCrdV1 {
                Written::Storage
            } else {
                Written::Api
            },
            read: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    fn global(&mut self, policies: &[GlobalNetworkPolicy]) {
        for policy in policies {
            match Policy::of_global(policy, self.written) {
                Ok(policy) => self.read.extend(policy),
                Err(error) => self.unreadable.push(error),
            }
        }
    }

    fn of(&mut self, desired: &Desired) {
        self.global(&desired.global_network_policies);
        for policy in &desired.network_policies {
            match Policy::of_kubernetes(policy) {
                Ok(policy) => self.read.push(policy),
                Err(error) => self.unreadable.push(error),
            }
        }
    }
}
