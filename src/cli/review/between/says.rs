//! Whether what passes passed before, by the rules that decide it.

use std::collections::BTreeSet;

use crate::policy::{Action, Answer, Decider, Passage, Policy, PolicyId, PortSpan, Way, World};

/// What rules say, before and now.
pub(super) struct Says<'a> {
    /// Now.
    pub now: &'a World,
    /// Before.
    pub before: &'a World,
    /// Whether the rules that pass on are the same.
    pub pass_alike: bool,
}

impl Says<'_> {
    /// Whether all that passes surely passed before. Part of what passes is the same part where the same rules decide it.
    pub fn was_open(&self, now: &Passage, before: &[Passage]) -> bool {
        let is_as_open = |it: &&Passage| {
            it.answer == Answer::Allowed
                || (it.answer == Answer::Partly
                    && now.answer == Answer::Partly
                    && self.decide_alike(now, it))
        };
        let open: Vec<&Passage> = before.iter().filter(is_as_open).collect();
        if open
            .iter()
            .any(|it| it.ports.is_empty() || it.ports == now.ports)
        {
            return true;
        }
        let mut ports = now.ports.iter();
        // What is open of all protocols that are not named depends on those that are.
        !now.ports.is_empty() && ports.all(|port| port.protocol.is_some() && is_in(*port, &open))
    }

    /// Whether nothing else allows than before, and whatever denied still does.
    fn decide_alike(&self, now: &Passage, before: &Passage) -> bool {
        let has_sets = !self.now.sets.is_empty() || !self.before.sets.is_empty();
        let alike = |way: Way, now: &[Decider], before: &[Decider]| {
            let [allowing, denying] = said(self.now, way, now);
            let [allowed, denied] = said(self.before, way, before);
            allowing.is_subset(&allowed) && denied.is_subset(&denying)
        };
        self.pass_alike
            && (!has_sets || self.now.sets == self.before.sets)
            && alike(Way::Egress, &now.egress, &before.egress)
            && alike(Way::Ingress, &now.ingress, &before.ingress)
    }
}

/// What allows and what does not, each with all that it says.
fn said(world: &World, way: Way, all: &[Decider]) -> [BTreeSet<String>; 2] {
    let find = |id: &PolicyId| world.policies().iter().find(|it| it.id == *id);
    let [mut allowing, mut denying] = [BTreeSet::new(), BTreeSet::new()];
    for decider in all {
        let rules = |policy: &Policy| match way {
            Way::Ingress => policy.ingress.clone(),
            Way::Egress => policy.egress.clone(),
        };
        match decider {
            Decider::Rule(id, index) => {
                let policy = find(id);
                let said = policy.map(|it| rule(it, way, *index));
                let allows = policy.and_then(rules).is_some_and(|rules| {
                    let rule = rules.get(*index);
                    rule.is_some_and(|it| it.action == Action::Allow)
                });
                let of_kind = if allows { &mut allowing } else { &mut denying };
                of_kind.extend(said);
            }
            Decider::EndOfTier(tier, policies) => {
                // Whom it denies: those that one of these policies is for.
                let selectors = policies.iter().filter_map(find);
                let selectors: BTreeSet<_> =
                    selectors.map(|it| format!("{:?}", it.selector)).collect();
                denying.insert(format!("{tier} {selectors:?}"));
            }
            other => {
                allowing.insert(format!("{other:?}"));
            }
        }
    }
    [allowing, denying]
}

/// All that a rule says, of whom, and where it stands.
pub(super) fn rule(policy: &Policy, way: Way, index: usize) -> String {
    let rules = match way {
        Way::Ingress => &policy.ingress,
        Way::Egress => &policy.egress,
    };
    let rule = rules.as_ref().and_then(|it| it.get(index));
    let tier = &policy.tier;
    format!(
        "{tier} {:?} {index} {:?} {rule:?}",
        policy.place(),
        policy.selector
    )
}

/// Whether ports lie in those that were open.
fn is_in(port: PortSpan, open: &[&Passage]) -> bool {
    let spans = open.iter().flat_map(|it| &it.ports);
    let mut spans: Vec<_> = spans
        .filter(|it| it.protocol == port.protocol)
        .map(|it| (it.first, it.last))
        .collect();
    spans.sort_unstable();
    let mut next = Some(port.first);
    for (first, last) in spans {
        next = next.and_then(|next| {
            if (first..=last).contains(&next) {
                last.checked_add(1)
            } else {
                Some(next)
            }
        });
    }
    next.is_none_or(|next| next > port.last)
}
