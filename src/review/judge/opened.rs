//! What rules open, kept for whoever compares it with what was open before.

use std::cell::OnceCell;
use std::sync::Arc;

use serde_json::Value;

use super::walk::{Direction, WalkedRule};
use super::{Judge, MOST_RULES, Selected};
use crate::domain::FieldPath;
use crate::policy::{Action, RuleEnd, Way};
use crate::review::address::{Addresses, kinds};
use crate::review::covered::covers;
use crate::review::known::is_inside;
use crate::review::opening::{End, Local, Opening, RuleShape, Scope};

/// The rules of one direction, and what all of them share.
pub(super) struct Around<'b, 'a> {
    pub(super) direction: &'b Direction,
    pub(super) selected: &'b [Selected<'a>],
    locals: OnceCell<Arc<[Local]>>,
    scope: OnceCell<Arc<Scope>>,
}

impl<'b, 'a> Around<'b, 'a> {
    pub(super) fn new(direction: &'b Direction, selected: &'b [Selected<'a>]) -> Self {
        Self {
            direction,
            selected,
            locals: OnceCell::new(),
            scope: OnceCell::new(),
        }
    }
}

/// Whether a rule takes something away from later ones.
fn takes(walked: &WalkedRule) -> bool {
    matches!(walked.action, Action::Deny | Action::Pass)
}

impl Judge<'_> {
    /// Those that the policy is for, each with what is declared for them.
    pub(super) fn locals(&self, around: &Around<'_, '_>) -> Arc<[Local]> {
        let way = around.direction.way;
        let local = |it: &Selected<'_>| {
            let mut declared = covers(it.boundary, it.namespace, way, self.landscape);
            declared.retain(|cover| cover.is_for(&it.selector));
            Local {
                pods: it.pods.clone(),
                inside: is_inside(it.boundary),
                own: it.boundary.namespaces.clone(),
                covers: declared,
            }
        };
        let locals = || around.selected.iter().map(local).collect();
        around.locals.get_or_init(locals).clone()
    }

    /// What a rule opens.
    pub(super) fn opening(
        &self,
        around: &Around<'_, '_>,
        index: usize,
        walked: &WalkedRule,
    ) -> Arc<Opening> {
        let way = around.direction.way;
        let rules = around.direction.rules.iter();
        let taking = rules.clone().take(MOST_RULES).flatten();
        let scope = || {
            let taken = taking.filter(|it| takes(it));
            Arc::new(Scope {
                way,
                place: self.place.clone(),
                unread: self.unread_beside_rules(),
                locals: self.locals(around),
                taken: taken.map(|it| self.shape(way, it)).collect(),
            })
        };
        let rule = self.shape(way, walked);
        let earlier = rules.take(index).flatten();
        Arc::new(Opening {
            scope: around.scope.get_or_init(scope).clone(),
            behind: earlier.filter(|it| takes(it)).count(),
            holds: kinds(
                &Addresses::of(&rule.outside.ranges()),
                &self.landscape.platform,
            ),
            rule,
        })
    }

    /// What opens everything for those that the policy is for.
    pub(super) fn opening_of_everything(&self, selected: &[Selected<'_>]) -> Arc<Opening> {
        let direction = Direction::ingress(Vec::new());
        let around = Around::new(&direction, selected);
        let root = FieldPath::default();
        let everything = WalkedRule::of_everything(Action::Allow, &root, root.clone());
        self.opening(&around, 0, &everything)
    }

    fn shape(&self, way: Way, walked: &WalkedRule) -> RuleShape {
        let inside = walked.whole.as_ref().map(|whole| match way {
            Way::Ingress => &whole.destination,
            Way::Egress => &whole.source,
        });
        let mut shape = RuleShape::new(
            (walked.action, way),
            self.end(&walked.end),
            inside.map(|it| self.end(it)).unwrap_or_default(),
            walked.ports.clone(),
            walked.whole.as_ref(),
        );
        shape.unread = self.unread(&walked.at);
        shape
    }

    /// An end with the network sets that it is about.
    fn end(&self, end: &RuleEnd) -> End {
        let not = end.not_selector.as_ref();
        let Some(selector) = end.selector.as_ref().or(not) else {
            return End::of(end, Vec::new());
        };
        let not = not.filter(|_| end.selector.is_some());
        let sets = self.landscape.sets.iter().filter(|set| {
            selector.matches(&set.labels) && !not.is_some_and(|not| not.matches(&set.labels))
        });
        End::of(end, sets.cloned().collect())
    }

    /// What nobody here understands below a field.
    fn unread(&self, at: &FieldPath) -> Vec<(FieldPath, Value)> {
        let unread = self.object.unread.iter();
        let below = unread.filter_map(|(path, value)| {
            let rest = path.0.strip_prefix(at.0.as_slice())?;
            Some((FieldPath(rest.to_vec()), value.clone()))
        });
        below.collect()
    }

    /// The same of the policy, beside its rules.
    fn unread_beside_rules(&self) -> Vec<(FieldPath, Value)> {
        let spec = FieldPath::default().key("spec");
        let rules = [spec.key("ingress"), spec.key("egress")];
        let unread = self.object.unread.iter();
        let beside = unread.filter(|(path, _)| {
            let mut rules = rules.iter();
            !rules.any(|rules| path.0.starts_with(&rules.0))
        });
        beside.cloned().collect()
    }
}
