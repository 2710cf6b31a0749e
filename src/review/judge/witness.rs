//! Who gets through, where it takes more than the rule itself to say.

use super::leak::Case;
use super::walk::{Direction, WalkedRule};
use super::{Judge, MOST_COMPLEX, MOST_RULES, Selected};
use crate::api::names::OWNER;
use crate::policy::{Action, Selector, Way};
use crate::review::covered::{Cover, covers};
use crate::review::known::{a_pod, canonical, of_namespace};
use crate::review::{Finding, Rule};

/// Who could reach whom.
pub(super) fn in_words(way: Way, who: &str, own: &str) -> String {
    match way {
        Way::Ingress => format!("{who} could reach {}", own.trim_end_matches(',')),
        Way::Egress => format!("{own} could reach {}", who.trim_end_matches(',')),
    }
}

impl<'a> Judge<'a> {
    /// Pods that the policy selects and that are left out by the crossing which declares what else the rule lets through.
    pub(super) fn left_out(
        &self,
        way: Way,
        walked: &WalkedRule,
        selected: &Selected<'_>,
        earlier: &[Selector],
    ) -> Option<String> {
        if self.complex >= MOST_COMPLEX {
            return None;
        }
        let mut all = covers(selected.boundary, selected.namespace, way, self.landscape);
        all.retain(|it| it.may_be_for(&selected.selector));
        let is_narrow = |it: &&Cover| !it.is_for(&selected.selector);
        if !all.iter().any(|it| is_narrow(&it)) {
            return None;
        }
        let leak = self.leak_by_ports((way, walked, selected, earlier), &all);
        let declared = leak.ok()??.declared?;
        let narrow = all.iter().filter(is_narrow);
        let narrow = narrow.filter(|it| declared.contains(&it.what));
        let labels: Vec<_> = narrow.map(|it| it.own.to_string()).collect();
        let but = labels.join(", or ");
        (!but.is_empty()).then(|| {
            format!(
                "{} without {but}, for which alone it is declared,",
                selected.words
            )
        })
    }

    /// Who gets through a rule that is asked before the boundary, or in its place, in words: whatever is declared; and
    /// where all that is meant carries the code of the application, whoever carries the code alone.
    fn past_boundary(
        &self,
        way: Way,
        walked: &WalkedRule,
        selected: &Selected<'_>,
    ) -> Option<String> {
        if !matches!(walked.action, Action::Allow | Action::Pass) {
            return None;
        }
        let case = Case {
            way,
            walked,
            selected,
            covers: Vec::new(),
            earlier: &[],
        };
        let who = if let Some(leak) = self.leak(&case).ok()? {
            leak.witness?
        } else {
            let end = &walked.end;
            let mut meant = vec![canonical(end.selector.clone()?)];
            let not = end.not_selector.iter().cloned();
            meant.extend(not.map(|not| canonical(not).negate()));
            let owner = selected.boundary.landing_zone.as_ref()?;
            meant.push(Selector::equal(of_namespace(OWNER), owner).negate());
            a_pod(&meant, self.landscape).ok()??.words
        };
        let own = &selected.words;
        Some(format!(
            "{}, and the boundary is not asked",
            in_words(way, &who, own)
        ))
    }

    /// Names somebody whom a policy lets through that is asked before the boundary, or in its place.
    pub(super) fn witness_past_boundary(
        &mut self,
        direction: &Direction,
        selected: &[Selected<'a>],
    ) {
        let is_past = |it: &Finding| {
            matches!(it.rule, Rule::OrderBeforePlatform | Rule::OtherTier) && it.witness.is_none()
        };
        if !self.findings.iter().any(is_past) {
            return;
        }
        let rules = direction.rules.iter().take(MOST_RULES).flatten();
        let mut pairs = rules.flat_map(|rule| selected.iter().map(move |it| (rule, it)));
        let witness =
            pairs.find_map(|(rule, selected)| self.past_boundary(direction.way, rule, selected));
        for finding in self.findings.iter_mut().filter(|it| is_past(it)) {
            finding.witness.clone_from(&witness);
        }
    }

    /// A field that says nothing, or something else, widens its rule: whoever gets through that rule shows it.
    pub(super) fn witness_of_invalid(&mut self) {
        let of_rule = |it: &Finding| -> Vec<_> { it.path.0.iter().take(3).cloned().collect() };
        let known: Vec<_> = self
            .findings
            .iter()
            .filter(|it| it.rule != Rule::Invalid && it.rule.leaves_boundary())
            .filter_map(|it| Some((of_rule(it), it.witness.clone()?)))
            .collect();
        for finding in &mut self.findings {
            if finding.rule == Rule::Invalid && finding.path.0.len() > 2 {
                let rule = of_rule(finding);
                let same = known.iter().find(|(of, _)| *of == rule);
                finding.witness = same.map(|(_, witness)| witness.clone());
            }
        }
    }
}
