//! The Calico policies of one landing zone.
//!
//! | order | policy | does | tier, where there are tiers |
//! |---|---|---|---|
//! | 10 | dns | allows the cluster's DNS | platform |
//! | 30 | boundary | denies everything that is not a pod of this landing zone | platform |
//! | | | (policies of the team) | default |
//! | 4,000 | inside, or flows by zone | allows what is declared | baseline |
//! | 5,000 | deny | denies the rest | baseline |
//!
//! They select their targets by the namespaces' names and their peers by label: a namespace that
//! loses its label is cut off, not opened. Each selects this landing zone only: one policy that
//! selects a pod in a direction denies the rest of that direction, so a DNS policy for all landing
//! zones would bind those, too, that enforce nothing.

use std::collections::BTreeSet;

use super::calico_rule::{self, Direction};
use super::policy_name::{self, Purpose};
use super::targets::Targets;
use super::{metadata, tier};
use crate::api::names;
use crate::domain::{Flavour, LandingZone, NamespaceName, Platform};
use crate::policy::{
    GlobalNetworkPolicy, GlobalNetworkPolicySpec, MAX_RULES, MAX_SELECTOR_LENGTH, Rule, Selector,
};

// Orders below 100 are the platform's; a team's policy without order, or of Kubernetes' kind,
// counts as 1,000 or later.
const DNS: f64 = 10.0;
const BOUNDARY: f64 = 30.0;
const INSIDE: f64 = 4_000.0;
const DENY: f64 = 5_000.0;

/// All policies of a landing zone, in the order of their evaluation.
pub(super) fn global_network_policies(
    zone: &LandingZone,
    targets: &Targets,
    platform: &Platform,
    flavour: Flavour,
) -> Vec<GlobalNetworkPolicy> {
    let all = targets.all();
    let mut policies = Vec::new();
    let mut add = |layer: Layer,
                   purpose: Purpose<'_>,
                   names: &BTreeSet<&NamespaceName>,
                   rules: (Vec<Rule>, Vec<Rule>)| {
        policies.extend(parts(zone, flavour, &layer, purpose, names, rules));
    };

    add(
        Layer::platform(DNS, &["Egress"]),
        Purpose::Dns,
        &all,
        (Vec::new(), calico_rule::dns(&platform.dns_addresses)),
    );
    add(
        Layer::platform(BOUNDARY, BOTH),
        Purpose::Boundary,
        &all,
        (
            calico_rule::outsiders(&zone.name, &platform.pod_cidrs, Direction::Ingress),
            calico_rule::outsiders(&zone.name, &platform.pod_cidrs, Direction::Egress),
        ),
    );
    if zone.network.flows.is_empty() {
        let inside = |direction| vec![calico_rule::inside(&zone.name, None, direction)];
        add(
            Layer::baseline(INSIDE, BOTH),
            Purpose::Inside,
            &all,
            (inside(Direction::Ingress), inside(Direction::Egress)),
        );
    } else {
        for (layer, names) in targets.by_zone() {
            let flows = |direction| calico_rule::flows(zone, layer, direction);
            let rules = (flows(Direction::Ingress), flows(Direction::Egress));
            if rules.0.is_empty() && rules.1.is_empty() {
                continue;
            }
            add(
                Layer::baseline(INSIDE, BOTH),
                Purpose::Flows(layer),
                &names,
                rules,
            );
        }
    }
    add(
        Layer::baseline(DENY, BOTH),
        Purpose::Deny,
        &all,
        (vec![calico_rule::deny_all()], vec![calico_rule::deny_all()]),
    );
    policies
}

const BOTH: &[&str] = &["Ingress", "Egress"];

/// Where a policy stands in the evaluation.
struct Layer {
    tier: &'static str,
    order: f64,
    types: &'static [&'static str],
}

impl Layer {
    fn platform(order: f64, types: &'static [&'static str]) -> Self {
        Self {
            tier: tier::PLATFORM,
            order,
            types,
        }
    }

    fn baseline(order: f64, types: &'static [&'static str]) -> Self {
        Self {
            tier: tier::BASELINE,
            order,
            types,
        }
    }
}

/// One policy, or as many as its names and rules need.
///
/// Parts may share an order: those with different targets never meet, and rules are many only where
/// all of them allow. The last part comes first: a new name pushes others into later parts, which
/// must select them before the earlier part lets go of them.
fn parts(
    zone: &LandingZone,
    flavour: Flavour,
    layer: &Layer,
    purpose: Purpose<'_>,
    names: &BTreeSet<&NamespaceName>,
    (ingress, egress): (Vec<Rule>, Vec<Rule>),
) -> Vec<GlobalNetworkPolicy> {
    let tier = tier::used(flavour).then_some(layer.tier);
    let rounds = ingress.len().max(egress.len()).div_ceil(MAX_RULES);
    let part_of = |rules: &[Rule], round: usize| -> Vec<Rule> {
        let chunk = rules.chunks(MAX_RULES).nth(round);
        chunk.unwrap_or_default().to_vec()
    };
    let mut parts = Vec::new();
    for selector in selecting(names) {
        for round in 0..rounds {
            let name = policy_name::in_tier(&zone.name, purpose, parts.len());
            parts.push(GlobalNetworkPolicy {
                metadata: metadata::cluster_wide(
                    &zone.name,
                    policy_name::stored(flavour, tier, &name),
                ),
                spec: GlobalNetworkPolicySpec {
                    tier: tier.map(str::to_owned),
                    order: Some(layer.order),
                    selector: None,
                    namespace_selector: Some(selector.clone()),
                    types: layer.types.iter().map(|&it| it.to_owned()).collect(),
                    ingress: part_of(&ingress, round),
                    egress: part_of(&egress, round),
                },
            });
        }
    }
    parts.reverse();
    parts
}

/// Selectors that together select exactly these namespaces, each short enough for Calico.
fn selecting(namespaces: &BTreeSet<&NamespaceName>) -> Vec<String> {
    let text = |names: &[&str]| {
        Selector::one_of(names::CALICO_NAMESPACE_NAME, names.iter().copied()).to_string()
    };
    let mut selectors = Vec::new();
    let mut chunk: Vec<&str> = Vec::new();
    for namespace in namespaces {
        chunk.push(namespace.as_str());
        // A single name always fits, so the chunk that is closed here is never empty.
        if text(&chunk).len() > MAX_SELECTOR_LENGTH {
            chunk.pop();
            selectors.push(text(&chunk));
            chunk = vec![namespace.as_str()];
        }
    }
    if !chunk.is_empty() {
        selectors.push(text(&chunk));
    }
    selectors
}
