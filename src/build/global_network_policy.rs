//! The Calico policies of one landing zone.
//!
//! | order | policy | does | tier, where there are tiers |
//! |---|---|---|---|
//! | 10 | dns | allows the cluster's DNS | platform |
//! | 15 | pretenders | denies foreign namespaces that bear the label of a landing zone | platform |
//! | 20 | services, crossings by zone | allow what the platform and both sides declare | platform |
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
use super::halves::{Part, halves};
use super::policy_name::{self, Purpose};
use super::targets::Targets;
use super::{metadata, tier};
use crate::api::names;
use crate::domain::{Flavour, LandingZone, NamespaceName, Opening, Openings, Platform};
use crate::policy::{
    GlobalNetworkPolicy, GlobalNetworkPolicySpec, MAX_RULES, MAX_SELECTOR_LENGTH, Rule, Selector,
};

// Orders below 100 are the platform's; a team's policy without order, or of Kubernetes' kind,
// counts as 1,000 or later.
const DNS: f64 = 10.0;
const PRETENDERS: f64 = 15.0;
const CROSSINGS: f64 = 20.0;
const BOUNDARY: f64 = 30.0;
const INSIDE: f64 = 4_000.0;
const DENY: f64 = 5_000.0;

/// All policies of a landing zone, in the order of their evaluation.
pub(super) fn global_network_policies(
    zone: &LandingZone,
    targets: &Targets,
    platform: &Platform,
    openings: &Openings,
    flavour: Flavour,
) -> Vec<GlobalNetworkPolicy> {
    let all = targets.all();
    let mut policies = Vec::new();
    let mut add = |layer: Layer,
                   purpose: Purpose<'_>,
                   names: &BTreeSet<&NamespaceName>,
                   rules: (Vec<Rule>, Vec<Rule>)| {
        let targets = PartTargets {
            namespaces: names.clone(),
            pods: None,
        };
        policies.extend(parts(zone, flavour, &layer, purpose, &targets, rules));
    };

    add(
        Layer::platform(DNS, &["Egress"]),
        Purpose::Dns,
        &all,
        (Vec::new(), calico_rule::dns(&platform.dns_addresses)),
    );
    if !openings.pretenders.is_empty() {
        let rules = |direction| calico_rule::pretenders(&openings.pretenders, direction);
        let rules = (rules(Direction::Ingress), rules(Direction::Egress));
        add(
            Layer::platform(PRETENDERS, BOTH),
            Purpose::Pretenders,
            &all,
            rules,
        );
    }
    for (purpose, names, open) in opened(&all, targets, openings) {
        let rules = |direction| calico_rule::openings(&open, direction);
        let rules = (rules(Direction::Ingress), rules(Direction::Egress));
        if !rules.0.is_empty() || !rules.1.is_empty() {
            add(Layer::platform(CROSSINGS, BOTH), purpose, &names, rules);
        }
    }
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

/// What a policy is for, the namespaces that it selects, and what it opens.
type Opened<'a> = (Purpose<'a>, BTreeSet<&'a NamespaceName>, Vec<&'a Opening>);

/// What is open across the boundary: what is the same for all pods, and what each zone declares.
fn opened<'a>(
    all: &BTreeSet<&'a NamespaceName>,
    targets: &'a Targets,
    openings: &'a Openings,
) -> Vec<Opened<'a>> {
    let services = openings.services.iter().collect();
    let mut opened = vec![(Purpose::Services, all.clone(), services)];
    for (layer, names) in targets.by_zone() {
        let crossings = openings.crossings_of(layer).collect();
        opened.push((Purpose::Crossings(layer), names, crossings));
    }
    opened
}

const BOTH: &[&str] = &["Ingress", "Egress"];

/// Where a policy stands in the evaluation.
pub(super) struct Layer {
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

    pub(super) fn baseline(order: f64, types: &'static [&'static str]) -> Self {
        Self {
            tier: tier::BASELINE,
            order,
            types,
        }
    }
}

/// What a policy selects.
#[derive(Default)]
pub(super) struct PartTargets<'a> {
    pub namespaces: BTreeSet<&'a NamespaceName>,
    /// Which of their pods; all of them if left out.
    pub pods: Option<Selector>,
}

/// One policy, or as many as its names and rules need. Parts share an order: those with different
/// targets never meet, and rules are many only where all of them allow.
pub(super) fn parts(
    zone: &LandingZone,
    flavour: Flavour,
    layer: &Layer,
    purpose: Purpose<'_>,
    selected: &PartTargets<'_>,
    rules: (Vec<Rule>, Vec<Rule>),
) -> Vec<GlobalNetworkPolicy> {
    let tier = tier::used(flavour).then_some(layer.tier);
    let rules = spread(rules);
    let mut parts = Vec::new();
    for targets in selecting(&selected.namespaces) {
        for rules in &rules {
            let (ingress, egress) = directions(&rules.items);
            let name = policy_name::in_tier(&zone.name, purpose, (targets.place, rules.place));
            parts.push(GlobalNetworkPolicy {
                metadata: metadata::cluster_wide(
                    &zone.name,
                    policy_name::stored(flavour, tier, &name),
                ),
                spec: GlobalNetworkPolicySpec {
                    tier: tier.map(str::to_owned),
                    order: Some(layer.order),
                    selector: selected.pods.as_ref().map(ToString::to_string),
                    namespace_selector: Some(selector(&targets.items)),
                    staged_action: None,
                    types: layer.types.iter().map(|&it| it.to_owned()).collect(),
                    ingress,
                    egress,
                    ..GlobalNetworkPolicySpec::default()
                },
            });
        }
    }
    parts
}

/// The rules of both directions, in parts that Calico takes.
fn spread((ingress, egress): (Vec<Rule>, Vec<Rule>)) -> Vec<Part<(Direction, Rule)>> {
    let ingress = ingress.into_iter().map(|rule| (Direction::Ingress, rule));
    let egress = egress.into_iter().map(|rule| (Direction::Egress, rule));
    halves(
        ingress.chain(egress).collect(),
        |(direction, rule)| format!("{direction:?} {rule:?}"),
        |rules| {
            let of = |wanted| rules.iter().filter(|rule| rule.0 == wanted).count();
            of(Direction::Ingress) <= MAX_RULES && of(Direction::Egress) <= MAX_RULES
        },
    )
}

fn directions(rules: &[(Direction, Rule)]) -> (Vec<Rule>, Vec<Rule>) {
    let of = |wanted| {
        let rules = rules.iter().filter(|(direction, _)| *direction == wanted);
        rules.map(|(_, rule)| rule.clone()).collect()
    };
    (of(Direction::Ingress), of(Direction::Egress))
}

/// Namespaces in parts whose selectors are short enough for Calico.
pub(super) fn selecting<'a>(
    namespaces: &BTreeSet<&'a NamespaceName>,
) -> Vec<Part<&'a NamespaceName>> {
    halves(
        namespaces.iter().copied().collect(),
        ToString::to_string,
        |names| {
            let names: Vec<_> = names.iter().map(|name| **name).collect();
            selector(&names).len() <= MAX_SELECTOR_LENGTH
        },
    )
}

/// A selector of exactly these namespaces.
pub(super) fn selector(names: &[&NamespaceName]) -> String {
    let names = names.iter().map(|name| name.as_str());
    Selector::one_of(names::CALICO_NAMESPACE_NAME, names).to_string()
}
