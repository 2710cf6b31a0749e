//! What is found about a landing zone, and whether it gets through. Pure but for the metrics.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{BoundaryFinding, LandingZoneStatus};
use crate::controller::status::shortened;
use crate::domain::{Flavour, PolicyApi};
use crate::policy::DEFAULT_TIER;
use crate::review::{Body, FIRST_ORDER_OF_TEAMS, Finding, Object, Rule};
use crate::telemetry::{FindingLabels, Metrics};

/// The status lists at most this many findings.
const LISTED: usize = 50;

/// What was found in one object, each time with the landing zones that it is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Judged(pub Vec<(Vec<String>, Vec<BoundaryFinding>)>);

/// What is found about one landing zone, what gets through first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found(Vec<BoundaryFinding>);

impl Found {
    pub(in crate::controller) fn of(mut findings: Vec<BoundaryFinding>) -> Self {
        let order = |it: &BoundaryFinding| (!it.open, it.object.clone(), it.field.clone());
        findings.sort_by_cached_key(|it| (order(it), it.rule.clone(), it.message.clone()));
        findings.dedup();
        Self(findings)
    }

    /// What gets through, or could.
    pub fn open(&self) -> impl Iterator<Item = &BoundaryFinding> {
        self.0.iter().filter(|it| it.open)
    }

    /// What is asked for, and stays closed.
    pub fn closed(&self) -> impl Iterator<Item = &BoundaryFinding> {
        self.0.iter().filter(|it| !it.open)
    }

    /// Shows them to whoever watches the metrics; `before`, what was shown.
    pub(super) fn measure(&self, zone: &str, before: Option<&Self>, metrics: &Metrics) {
        let (counts, before) = (self.counts(), before.map(Self::counts).unwrap_or_default());
        for (what, count) in &counts {
            let gauge = metrics
                .boundary_findings
                .get_or_create(&labels(zone, *what));
            gauge.set(*count);
        }
        for what in before.keys().filter(|what| !counts.contains_key(*what)) {
            metrics.boundary_findings.remove(&labels(zone, *what));
        }
    }

    /// Takes back what the metrics show.
    pub(super) fn withdraw(&self, zone: &str, metrics: &Metrics) {
        Self::default().measure(zone, Some(self), metrics);
    }

    /// How many there are, by rule and by whether they get through.
    fn counts(&self) -> BTreeMap<(&str, bool), i64> {
        let mut counts = BTreeMap::new();
        for finding in &self.0 {
            *counts
                .entry((finding.rule.as_str(), finding.open))
                .or_default() += 1;
        }
        counts
    }
}

fn labels(zone: &str, (rule, open): (&str, bool)) -> FindingLabels {
    FindingLabels {
        landing_zone: zone.to_owned(),
        rule: rule.to_owned(),
        open: open.to_string(),
    }
}

/// What is listed in the status.
pub(in crate::controller) fn in_status(found: &Found) -> Vec<BoundaryFinding> {
    found.0.iter().take(LISTED).cloned().collect()
}

/// What is listed now and was not before, a sentence each: what the same rule finds at the same place is no news,
/// whatever the words.
pub(in crate::controller) fn news<'a>(
    before: Option<&LandingZoneStatus>,
    now: &'a [BoundaryFinding],
) -> Vec<&'a BoundaryFinding> {
    let place = |it: &BoundaryFinding| (it.rule.clone(), it.object.clone(), it.field.clone());
    let known = before.iter().flat_map(|status| &status.findings);
    let known: BTreeSet<_> = known.map(place).collect();
    now.iter()
        .filter(|it| !known.contains(&place(it)))
        .collect()
}

/// The finding in short; None for one that is not about a boundary, or is declared.
pub(super) fn short(object: &str, finding: &Finding, flavour: Flavour) -> Option<BoundaryFinding> {
    let is_about = finding.leaves_boundary() || finding.rule == Rule::BreaksFelix;
    if !is_about || finding.declared.is_some() {
        return None;
    }
    let parts = [
        Some(&finding.message),
        finding.witness.as_ref(),
        Some(&finding.suggestion),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .flatten()
        .filter(|it| !it.is_empty())
        .cloned()
        .collect();
    Some(BoundaryFinding {
        rule: finding.rule.to_string(),
        object: object.to_owned(),
        field: Some(finding.path.to_string())
            .filter(|it| !it.is_empty())
            .map(|it| it.chars().take(512).collect()),
        message: shortened(parts.join("; ")),
        open: gets_through(finding.rule, flavour),
    })
}

/// Whether a policy of the whole cluster is asked before the boundary, or could be, so that what it allows is open.
pub(super) fn is_asked_first(object: &Object, flavour: Flavour) -> bool {
    let Body::Global(policy) = &object.body else {
        return false;
    };
    let spec = &policy.spec;
    if !flavour.tiers {
        return spec.order.is_some_and(|order| order < FIRST_ORDER_OF_TEAMS);
    }
    let tier = spec.tier.as_deref().filter(|it| !it.is_empty());
    let of_name = object.name().split_once('.').map(|(tier, _)| tier);
    tier.or(of_name).is_some_and(|tier| tier != DEFAULT_TIER)
}

/// Whether what a rule finds gets past the boundary, or could. With Calico the platform's own policies are asked
/// first, so that a policy that merely asks for more opens nothing. Kubernetes policies add up: there, all of it is
/// open.
pub(super) fn gets_through(rule: Rule, flavour: Flavour) -> bool {
    if flavour.api == PolicyApi::Kubernetes {
        return rule.leaves_boundary();
    }
    if rule == Rule::OrderBeforePlatform {
        // With tiers the platform's own one comes before tier default, whatever the order there.
        return !flavour.tiers;
    }
    matches!(
        rule,
        // The boundary tells inside from outside by labels, which these give to whatever addresses they list.
        Rule::NetworkSetInside | Rule::ForgedLabels
        // It is asked before the boundary, or could be.
        | Rule::OtherTier
        // Nothing at all is programmed any more.
        | Rule::BreaksFelix
        // Nobody knows.
        | Rule::TooComplex
    )
}
