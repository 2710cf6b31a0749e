//! What a change adds. Pure.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::answer::is_about_boundary;
use crate::domain::Segment;
use crate::review::{Finding, Rule};

/// Fields of a spec that do not decide what a single rule opens: the rules themselves, their directions, which are found
/// by what is found, and the order among the policies of a team, of which each one is judged as if it stood alone.
const BESIDE_RULES: [&str; 5] = ["ingress", "egress", "types", "policyTypes", "order"];

/// What is found in an object, as it is written.
#[derive(Default)]
pub(super) struct Found {
    pub(super) object: Value,
    pub(super) findings: Vec<Finding>,
}

/// What is found now and was not before. What leaves the boundary is old only where the same rule stands in the same policy
/// for the same pods, and nothing that was kept from it is no longer. Of anything else the same words are enough.
pub(super) fn added(now: &Found, before: &Found) -> Vec<Finding> {
    let is_same = of_object(&now.object) == of_object(&before.object);
    let has_same_pods = beside_rules(&now.object) == beside_rules(&before.object);
    let mut numbers = HashMap::new();
    let mut kept = Kept::default();
    let mut known: HashMap<Subject<'_>, BTreeSet<usize>> = HashMap::new();
    for finding in &before.findings {
        // Of several that are the same the first one opens most: what is kept from it is kept from the others, too.
        let kept = kept.from(finding, &before.object, &mut numbers);
        known
            .entry(Subject::of(finding, &before.object))
            .or_insert(kept);
    }
    let mut kept = Kept::default();
    let mut new = Vec::new();
    for finding in &now.findings {
        let subject = Subject::of(finding, &now.object);
        let may_be_old = match &subject.what {
            What::Words(_) => true,
            What::Rule { .. } => has_same_pods,
            What::Whole => is_same,
        };
        let before = known.get(&subject).filter(|_| may_be_old);
        let is_old = before
            .is_some_and(|before| before.is_subset(&kept.from(finding, &now.object, &mut numbers)));
        if !is_old {
            new.push(finding.clone());
        }
    }
    new
}

/// All that decides what an object opens: of a network set, its labels as well as its addresses.
fn of_object(object: &Value) -> [Option<&Value>; 2] {
    [object.get("spec"), object.pointer("/metadata/labels")]
}

/// What decides beside a rule what it opens: which pods the policy is for, and its tier.
fn beside_rules(object: &Value) -> BTreeSet<(&String, String)> {
    let spec = object.get("spec").and_then(Value::as_object);
    let fields = spec.into_iter().flatten();
    let fields = fields.filter(|(field, _)| !BESIDE_RULES.contains(&field.as_str()));
    fields
        .map(|(field, value)| (field, value.to_string()))
        .collect()
}

/// What a finding is about.
#[derive(PartialEq, Eq, Hash)]
struct Subject<'a> {
    rule: Rule,
    what: What<'a>,
}

#[derive(PartialEq, Eq, Hash)]
enum What<'a> {
    /// Nothing that leaves the boundary.
    Words(&'a str),
    /// A rule, wherever it stands; of several peers only one.
    Rule {
        direction: &'a str,
        fields: Vec<(&'a str, &'a Value)>,
        peer: Option<&'a Value>,
    },
    /// The object as a whole.
    Whole,
}

impl<'a> Subject<'a> {
    fn of(finding: &'a Finding, object: &'a Value) -> Self {
        let rule = finding.rule;
        let what = if !is_about_boundary(finding) {
            What::Words(&finding.message)
        } else if is_about_all(rule) {
            What::Whole
        } else {
            What::of_rule(finding, object).unwrap_or(What::Whole)
        };
        Self { rule, what }
    }
}

impl<'a> What<'a> {
    fn of_rule(finding: &'a Finding, object: &'a Value) -> Option<Self> {
        let (direction, index, rest) = place(finding)?;
        let rule = object.get("spec")?.get(direction)?.get(index)?;
        let (peers, peer) = match rest {
            [Segment::Key(peers), Segment::Index(peer), ..] => {
                (Some(peers), Some(rule.get(peers)?.get(peer)?))
            }
            _ => (None, None),
        };
        let fields = rule
            .as_object()?
            .iter()
            .filter(|(field, _)| Some(*field) != peers);
        Some(Self::Rule {
            direction,
            fields: fields.map(|(field, it)| (field.as_str(), it)).collect(),
            peer,
        })
    }
}

/// Whether a rule finds something about all of an object: what comes before the boundary opens whatever it allows, and of
/// what is invalid or too complex nobody knows more.
fn is_about_all(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::OrderBeforePlatform
            | Rule::OtherTier
            | Rule::Invalid
            | Rule::TooComplex
            | Rule::NetworkSetInside
            | Rule::ForgedLabels
    )
}

/// Direction and index of the rule that a finding is about, and where in it.
fn place(finding: &Finding) -> Option<(&str, usize, &[Segment])> {
    match finding.path.0.as_slice() {
        [
            Segment::Key(spec),
            Segment::Key(direction),
            Segment::Index(index),
            rest @ ..,
        ] if spec == "spec" => Some((direction, *index, rest)),
        _ => None,
    }
}

/// By direction: the rules that keep something from those behind them. What is the same has the same number.
#[derive(Default)]
struct Kept<'a>(HashMap<&'a str, Vec<(usize, usize)>>);

impl<'a> Kept<'a> {
    /// What is kept from the rule that a finding is about.
    fn from(
        &mut self,
        finding: &'a Finding,
        object: &'a Value,
        numbers: &mut HashMap<&'a Value, usize>,
    ) -> BTreeSet<usize> {
        let Some((direction, end, _)) = place(finding) else {
            return BTreeSet::new();
        };
        let mut keeping = || {
            let rules = object.get("spec")?.get(direction)?.as_array()?;
            let is_keeping = |rule: &Value| {
                let action = rule.get("action").and_then(Value::as_str);
                action.is_some_and(|it| it == "Deny" || it == "Pass")
            };
            let rules = rules
                .iter()
                .enumerate()
                .filter(|(_, rule)| is_keeping(rule));
            let numbered = rules.map(|(index, rule)| {
                let next = numbers.len();
                (index, *numbers.entry(rule).or_insert(next))
            });
            Some(numbered.collect())
        };
        let keeping = self
            .0
            .entry(direction)
            .or_insert_with(|| keeping().unwrap_or_default());
        let before = keeping.iter().take_while(|(index, _)| *index < end);
        before.map(|(_, number)| *number).collect()
    }
}
