//! Stage Observe where there are no staged policies: nothing is denied, and what would be is logged.
//!
//! One policy that selects a pod in a direction denies the rest of that direction, so each of these
//! ends by allowing everything. It may select only pods that nobody else's policy does: in one tier an
//! Allow at the end would open what that policy closes. With tiers it passes instead, to whatever comes
//! after us.

use std::collections::BTreeSet;

use super::calico_rule::{self, Direction};
use super::global_network_policy::{Layer, PartTargets, parts};
use super::policy_name::Purpose;
use super::targets::Targets;
use super::tier;
use crate::domain::{Flavour, LandingZone, NamespaceName, Openings, Platform, TeamPolicies, Zone};
use crate::policy::{GlobalNetworkPolicy, Rule, Selector};

// After what denies in stage Enforce: on the way from one stage to the other both are there.
const OBSERVE: f64 = 6_000.0;

/// What a landing zone is observed against.
#[derive(Clone, Copy)]
pub(super) struct Observed<'a> {
    pub zone: &'a LandingZone,
    pub targets: &'a Targets,
    pub platform: &'a Platform,
    pub openings: &'a Openings,
    pub teams: &'a TeamPolicies,
}

/// The policies that observe, by zone and direction. A namespace in which others select some pods has one
/// of its own, for the other pods.
pub(super) fn policies(observed: Observed<'_>, flavour: Flavour) -> Vec<GlobalNetworkPolicy> {
    let mut policies = Vec::new();
    for (layer, names) in observed.targets.by_zone() {
        for direction in [Direction::Ingress, Direction::Egress] {
            let mut rules = rules(observed, layer, direction);
            if tier::used(flavour) {
                rules = calico_rule::passing(rules);
            }
            let (types, rules) = match direction {
                Direction::Ingress => (["Ingress"].as_slice(), (rules, Vec::new())),
                Direction::Egress => (["Egress"].as_slice(), (Vec::new(), rules)),
            };
            let place = Layer::baseline(OBSERVE, types);
            for (purpose, targets) in selected(observed.teams, layer, &names, direction) {
                let rules = rules.clone();
                policies.extend(parts(
                    observed.zone,
                    flavour,
                    &place,
                    purpose,
                    &targets,
                    rules,
                ));
            }
        }
    }
    policies
}

/// The pods of a zone that nobody else's policy selects in a direction.
fn selected<'a>(
    teams: &TeamPolicies,
    layer: &'a Zone,
    names: &BTreeSet<&'a NamespaceName>,
    direction: Direction,
) -> Vec<(Purpose<'a>, PartTargets<'a>)> {
    let mut free = PartTargets::default();
    let mut selected = Vec::new();
    for &name in names {
        let theirs = teams.of(name);
        let (others, purpose) = match direction {
            Direction::Ingress => (
                theirs.ingress.others(),
                Purpose::ObservedIngressBeside(name),
            ),
            Direction::Egress => (theirs.egress.others(), Purpose::ObservedEgressBeside(name)),
        };
        match others {
            None => {}
            Some(Selector::All) => {
                free.namespaces.insert(name);
            }
            Some(others) => {
                let targets = PartTargets {
                    namespaces: BTreeSet::from([name]),
                    pods: Some(others),
                };
                selected.push((purpose, targets));
            }
        }
    }
    let purpose = match direction {
        Direction::Ingress => Purpose::ObservedIngress(layer),
        Direction::Egress => Purpose::ObservedEgress(layer),
    };
    selected.push((purpose, free));
    selected
}

/// What stage Enforce would allow, without a word; then the rest, logged.
fn rules(observed: Observed<'_>, layer: &Zone, direction: Direction) -> Vec<Rule> {
    let Observed {
        zone,
        platform,
        openings,
        ..
    } = observed;
    let mut rules = Vec::new();
    if direction == Direction::Egress {
        rules.extend(calico_rule::dns(&platform.dns_addresses));
    }
    let open = openings.services.iter().chain(openings.crossings_of(layer));
    rules.extend(calico_rule::openings(&open.collect::<Vec<_>>(), direction));
    if zone.network.flows.is_empty() {
        rules.push(calico_rule::inside(&zone.name, None, direction));
    } else {
        rules.extend(calico_rule::flows(zone, layer, direction));
    }
    rules.extend(calico_rule::log_and_allow());
    rules
}
