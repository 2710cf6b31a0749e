//! What the operator would write for landing zones, where it is not there or cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use super::Objects;
use crate::api::{Stage, names};
use crate::build::{self, Desired};
use crate::cli::render;
use crate::domain::{
    Bearers, Flavour, LandingZone, Openings, Platform, PolicyApi, Resolved, TeamPolicies,
    pretenders,
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
    let there = objects.policies.iter();
    let there: BTreeSet<String> = there.map(|it| it.id.name.clone()).collect();
    let bearers = bearers(zones, &objects.namespaces);
    for (zone, resolved) in zones.iter().zip(resolved) {
        if zone.stage == Stage::Plan {
            objects.notes.push(format!(
                "landing zone {} is in stage Plan: none of its policies is in force",
                zone.name
            ));
            continue;
        }
        let teams = TeamPolicies::default();
        let render = |openings: &Openings| {
            build::landing_zone(zone, &[], platform, openings, &teams, flavour)
        };
        let mut desired = render(&resolved.openings);
        let closed = pretenders(&zone.name, &resolved.openings, |name| {
            bearers.get(name.as_str()).cloned()
        });
        // Where its policies are there, they say who is closed.
        if !closed.is_empty() && !is_there(&desired, &there) {
            let mut openings = resolved.openings.clone();
            openings.pretenders = closed;
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

/// Whether any of a landing zone's policies is among these.
fn is_there(desired: &Desired, names: &BTreeSet<String>) -> bool {
    let mut own = desired.global_network_policies.iter();
    own.any(|it| {
        it.metadata
            .name
            .as_ref()
            .is_some_and(|it| names.contains(it))
    })
}

/// Who bears the label of a landing zone, by its name. One that is declared gets its label from there, whatever it bears,
/// and so it belongs to all of them.
fn bearers(
    zones: &[LandingZone],
    namespaces: &BTreeMap<String, LabelMap>,
) -> BTreeMap<String, Bearers> {
    let declared = zones.iter().flat_map(|zone| &zone.namespaces);
    let declared: BTreeSet<&str> = declared.map(|it| it.name.as_str()).collect();
    let mut found: BTreeMap<String, Bearers> = BTreeMap::new();
    for (name, labels) in namespaces {
        if let Some(owner) = labels.get(names::OWNER)
            && let Ok(labelled) = name.parse()
        {
            let bearers = found.entry(owner.clone()).or_default();
            bearers.labelled.insert(labelled);
            if declared.contains(name.as_str()) {
                bearers.members.insert(name.clone());
            }
        }
    }
    found
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
