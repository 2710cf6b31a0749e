//! What is told of one pair of places.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use crate::cli::landscape::{Behind, Landscape, PlaceName};
use crate::policy::{
    AddressSet, Answer, Decider, NAME, NAMESPACE, OF_NAMESPACE, Passage, Policy, PolicyId,
    PolicyRule, PortSpan, Selector, Way,
};

/// What is told of two places, and of some ports: one for each verdict and what decides it. Where nothing passes,
/// there is one without ports; else what is not told is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Entry {
    /// The cluster.
    pub cluster: String,
    /// Who opens the connection.
    pub from: PlaceName,
    /// Who is connected to.
    pub to: PlaceName,
    /// What passes.
    pub verdict: VerdictWord,
    /// On which ports: `any`, `TCP 8080`, `TCP 8000-8010`, `UDP`.
    pub ports: Vec<String>,
    /// What decides it, in both directions.
    pub decided_by: String,
    /// The rule of a network security group that denies what the policies let through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_group: Option<String>,
    /// Of what passes partly: tells apart what the rules say that decide it.
    #[serde(skip)]
    within: Option<u64>,
}

/// What the rules of a cluster say, for those who compare two states of it.
pub(super) struct Rules<'a> {
    policies: BTreeMap<&'a PolicyId, &'a Policy>,
    landscape: &'a Landscape,
}

impl<'a> Rules<'a> {
    pub(super) fn of(landscape: &'a Landscape) -> Self {
        let policies = landscape.world.policies().iter().map(|it| (&it.id, it));
        Self {
            policies: policies.collect(),
            landscape,
        }
    }

    /// Tells apart what decides between two places: for which of their pods a policy is, and what its rule says of them. What
    /// policies are called, and what they say of others, makes no difference.
    fn within(&self, (from, to): (&PlaceName, &PlaceName), passage: &Passage) -> u64 {
        let said = |way: Way, decider: &Decider| {
            let own = match way {
                Way::Ingress => to,
                Way::Egress => from,
            };
            match decider {
                Decider::Rule(id, index) => {
                    let policy = self.policies.get(id);
                    let rules = policy.and_then(|it| match way {
                        Way::Ingress => it.ingress.as_ref(),
                        Way::Egress => it.egress.as_ref(),
                    });
                    let rule = rules.and_then(|it| it.get(*index));
                    let selected = policy.map(|it| self.left(&it.selector, own));
                    told_apart(&(selected, rule.map(|it| self.said(it, from, to))))
                }
                Decider::EndOfTier(tier, policies) => {
                    let policies = policies.iter().filter_map(|id| self.policies.get(id));
                    let selected = policies.map(|it| self.left(&it.selector, own));
                    told_apart(&(tier, selected.collect::<BTreeSet<_>>()))
                }
                other => told_apart(other),
            }
        };
        let egress = passage.egress.iter().map(|it| said(Way::Egress, it));
        let ingress = passage.ingress.iter().map(|it| said(Way::Ingress, it));
        let all: BTreeSet<u64> = egress.chain(ingress).collect();
        told_apart(&all)
    }

    /// What a rule says of two places.
    fn said(&self, rule: &PolicyRule, from: &PlaceName, to: &PlaceName) -> u64 {
        let mut rest = rule.clone();
        let ends = [(&mut rest.source, from), (&mut rest.destination, to)];
        let ends = ends.map(|(end, place)| {
            let (meant, not) = (end.selector.take(), end.not_selector.take());
            let left = [&meant, &not].map(|it| it.as_ref().map(|it| self.left(it, place)));
            // Rules mean network sets by their labels.
            let is_meant = |set: &&AddressSet| {
                meant.as_ref().is_some_and(|it| it.matches(&set.labels))
                    && !not.as_ref().is_some_and(|it| it.matches(&set.labels))
            };
            let sets = self.landscape.world.sets.iter().filter(is_meant);
            let nets: BTreeSet<_> = sets.flat_map(|it| &it.nets).collect();
            told_apart(&(left, nets))
        });
        told_apart(&(rest, ends))
    }

    /// What a selector asks of the pods of a place, once the labels of its namespaces are known.
    fn left(&self, selector: &Selector, place: &PlaceName) -> BTreeSet<String> {
        let namespaces = self.landscape.namespaces_of(place);
        if namespaces.is_empty() {
            return [selector.to_string()].into();
        }
        let left = namespaces.iter().map(|name| {
            let labels = self.landscape.namespaces.get(*name);
            let known = |label: &str| match label.strip_prefix(OF_NAMESPACE) {
                _ if label == NAMESPACE => Some(Some(*name)),
                Some(NAME) => Some(Some(*name)),
                Some(label) => {
                    let value = labels.and_then(|it| it.get(label));
                    Some(value.map(String::as_str))
                }
                None => None,
            };
            selector.assuming(&known).to_string()
        });
        left.collect()
    }
}

fn told_apart(value: &impl Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{value:?}").hash(&mut hasher);
    hasher.finish()
}

/// A verdict, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum VerdictWord {
    /// All pods of the one place reach all of the other.
    Allowed,
    /// Some of them do, or may.
    Partly,
    /// None does.
    Denied,
}

impl VerdictWord {
    /// The word.
    pub fn text(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Partly => "partly",
            Self::Denied => "denied",
        }
    }
}

impl From<Answer> for VerdictWord {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Allowed => Self::Allowed,
            Answer::Partly => Self::Partly,
            Answer::Denied => Self::Denied,
        }
    }
}

/// What was added or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    /// It passes now, and did not before.
    Opened,
    /// It passed before.
    Closed,
    /// It passes partly, as it did before, by rules that say another thing: of whom that holds is not told.
    Altered,
}

/// Something that passes now or passed before, not both, or by other rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Changed {
    /// Which of them.
    pub change: Change,
    /// What.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Entry {
    pub(super) fn new(
        cluster: &str,
        (from, to): (&PlaceName, &PlaceName),
        passage: &Passage,
        rules: Option<&Rules<'_>>,
    ) -> Self {
        let is_partly = passage.answer == Answer::Partly;
        Self {
            within: rules
                .filter(|_| is_partly)
                .map(|it| it.within((from, to), passage)),
            cluster: cluster.to_owned(),
            from: from.clone(),
            to: to.clone(),
            verdict: passage.answer.into(),
            ports: match passage.answer {
                Answer::Denied => Vec::new(),
                Answer::Allowed | Answer::Partly => ports(&passage.ports),
            },
            decided_by: decided_by(passage),
            security_group: None,
        }
    }

    /// This, and what is left of it behind network security groups: what passes them, then what they deny.
    pub(super) fn behind(self, behind: Behind) -> Vec<Self> {
        if behind.is_open() {
            return vec![self];
        }
        let Behind { passes, denied } = behind;
        let passing = (!passes.is_empty()).then(|| Self {
            ports: ports(&passes),
            ..self.clone()
        });
        let denied = denied.into_iter().map(|(rule, spans)| Self {
            verdict: VerdictWord::Denied,
            ports: ports(&spans),
            security_group: Some(rule),
            ..self.clone()
        });
        passing.into_iter().chain(denied).collect()
    }

    /// Whether it goes from one landing zone to something that is none of its own.
    pub(in crate::cli) fn is_crossing(&self) -> bool {
        self.from.landing_zone != self.to.landing_zone
    }
}

/// Ports as they are written; none: any.
pub(in crate::cli) fn ports(spans: &[PortSpan]) -> Vec<String> {
    if spans.is_empty() {
        return vec!["any".to_owned()];
    }
    spans.iter().map(ToString::to_string).collect()
}

fn decided_by(passage: &Passage) -> String {
    let ways = [("egress", &passage.egress), ("ingress", &passage.ingress)];
    let ways = ways.map(|(way, deciders)| (way, named(deciders)));
    let told = ways
        .iter()
        .filter(|(_, deciders)| !deciders.is_empty())
        .map(|(way, deciders)| format!("{way}: {deciders}"));
    let told: Vec<_> = told.collect();
    if told.is_empty() {
        return Decider::Nothing.to_string();
    }
    told.join("; ")
}

/// So many that may decide are named.
const NAMED: usize = 3;

/// What may decide in one direction; nothing where no policy applies.
fn named(deciders: &[Decider]) -> String {
    if deciders == [Decider::Nothing] {
        return String::new();
    }
    let names = deciders.iter().take(NAMED).map(ToString::to_string);
    let mut text = names.collect::<Vec<_>>().join(" or ");
    if let Some(more) = deciders.len().checked_sub(NAMED).filter(|more| *more > 0) {
        // Writing to a String cannot fail.
        let _ = write!(text, " or {more} more");
    }
    text
}

/// What passes only before or only afterwards, by pair. What passes partly before and after is altered where the rules that
/// decide it say another thing. A namespace of no landing zone that is known on one side only is on the other side one of those
/// that there may be.
pub(super) fn changes(before: &[Entry], after: &[Entry]) -> Vec<Changed> {
    /// Two places.
    type Pair = (PlaceName, PlaceName);
    /// What passes between them.
    type Passing = (VerdictWord, Vec<String>, Option<u64>);
    let said = |entry: &Entry| -> (Pair, Passing) {
        (
            (entry.from.clone(), entry.to.clone()),
            (entry.verdict, entry.ports.clone(), entry.within),
        )
    };
    let of = |entries: &[Entry]| {
        let mut passing: BTreeMap<Pair, Vec<Passing>> = BTreeMap::new();
        for entry in entries {
            let (pair, passes) = said(entry);
            passing.entry(pair).or_default().push(passes);
        }
        passing
    };
    let only = |entries: &[Entry], others: &BTreeMap<Pair, Vec<Passing>>, change| {
        let places: BTreeSet<&PlaceName> = others.keys().flat_map(|(a, b)| [a, b]).collect();
        let there = |place: PlaceName| {
            let any = place.any_namespace().filter(|_| !places.contains(&place));
            any.unwrap_or(place)
        };
        let only = entries.iter().filter(|entry| {
            let ((from, to), passes) = said(entry);
            let pair = (there(from), there(to));
            let known = others.get(&pair).is_some_and(|it| it.contains(&passes));
            entry.verdict != VerdictWord::Denied && !known
        });
        let changed = only.cloned().map(|entry| Changed { change, entry });
        changed.collect::<Vec<_>>()
    };
    let mut changes = only(after, &of(before), Change::Opened);
    let mut closed = only(before, &of(after), Change::Closed);
    // Who reads both would see no difference.
    let told = |it: &Changed| {
        let Entry {
            from,
            to,
            verdict,
            ports,
            ..
        } = &it.entry;
        (from.clone(), to.clone(), *verdict, ports.clone())
    };
    let closed_too: BTreeSet<_> = closed.iter().map(told).collect();
    let mut altered = BTreeSet::new();
    for opened in &mut changes {
        let told = told(opened);
        if closed_too.contains(&told) && altered.insert(told) {
            opened.change = Change::Altered;
        }
    }
    closed.retain(|it| !altered.contains(&told(it)));
    changes.extend(closed);
    changes.sort_by(|one, other| {
        let key = |it: &Changed| (it.entry.from.clone(), it.entry.to.clone());
        key(one).cmp(&key(other))
    });
    changes
}
