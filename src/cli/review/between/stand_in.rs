//! Namespaces that nobody wrote down, and that are there all the same: those that policies name, those that a policy lets go
//! of by its labels, and one that nobody thought of.

use std::collections::BTreeMap;

use super::super::input::Input;
use crate::api::names::METADATA_NAME;
use crate::cli::landscape::Objects;
use crate::policy::{
    Comparison, LabelMap, NAME, NAMESPACE, OF_NAMESPACE, Policy, PolicyId, Selector, example,
};

/// What the namespace of which nobody knows anything is called.
const UNKNOWN: &str = "no-such-namespace";

/// A namespace that stands for those that nobody wrote down.
#[derive(Debug)]
pub(super) struct StandIn {
    pub labels: LabelMap,
    /// What it is called in a sentence; None: a policy names it.
    pub words: Option<String>,
}

/// All of them, by name.
#[derive(Debug)]
pub(super) struct StandIns(BTreeMap<String, StandIn>);

impl StandIns {
    pub fn of(before: &Input, after: &Input) -> Self {
        let [before, after] = [policies(before), policies(after)];
        let mut all = BTreeMap::new();
        for policy in before.iter().chain(&after) {
            each_selector(policy, &mut |selector| named(selector, &mut all));
        }
        let mut stand_ins = Self(all);
        stand_ins.add(None, LabelMap::new());
        let now: BTreeMap<&PolicyId, &Policy> = after.iter().map(|it| (&it.id, it)).collect();
        for was in before.iter().filter(|it| it.id.namespace.is_none()) {
            let let_go = |it: &&&Policy| it.selector != was.selector;
            match now.get(&was.id) {
                Some(now) => {
                    if let_go(&now) {
                        stand_ins.let_go(&was.selector, &now.selector);
                    }
                }
                None => stand_ins.let_go(&was.selector, &Selector::All.negate()),
            }
        }
        stand_ins
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &StandIn)> {
        self.0.iter()
    }

    /// Adds a namespace that one selector selects pods of, and another one does not. What is too complex has none.
    fn let_go(&mut self, was: &Selector, now: &Selector) {
        let canonical = |it: &Selector| {
            it.clone()
                .relabelled(&|label| match label.strip_prefix(OF_NAMESPACE) {
                    Some(NAME | METADATA_NAME) => NAMESPACE.to_owned(),
                    _ => label,
                })
        };
        let both = [
            canonical(was),
            canonical(now).negate(),
            Selector::has(NAMESPACE),
        ];
        if let Ok(Some(found)) = example(&both) {
            let labels = found.iter().filter_map(|(key, value)| {
                let key = key.strip_prefix(OF_NAMESPACE)?;
                Some((key.to_owned(), value.clone()))
            });
            let name = found.get(NAMESPACE).map(String::as_str);
            self.add(name, labels.collect());
        }
    }

    /// Adds one, under a name that is named where it has to have that.
    fn add(&mut self, name: Option<&str>, labels: LabelMap) {
        if let Some(known) = name.and_then(|it| self.0.get_mut(it)) {
            known.labels.extend(labels);
            return;
        }
        let listed = labels.iter().map(|(key, value)| format!("{key}={value}"));
        let listed: Vec<String> = listed.collect();
        let words = match listed.join(", ") {
            none if none.is_empty() => "a namespace that nobody names".to_owned(),
            labels => format!("a namespace labelled {labels}"),
        };
        let words = Some(words);
        let same = |it: &StandIn| it.words == words;
        if !self.0.values().any(same) {
            let name = format!("{UNKNOWN}-{}", self.0.len());
            self.0.insert(name, StandIn { labels, words });
        }
    }
}

/// Policies as Felix takes them.
fn policies(input: &Input) -> Vec<Policy> {
    let mut objects = Objects::default();
    for written in &input.written {
        objects.add(&written.json, "");
    }
    objects.policies
}

fn each_selector(policy: &Policy, see: &mut impl FnMut(&Selector)) {
    see(&policy.selector);
    let rules = [&policy.ingress, &policy.egress];
    for rule in rules.into_iter().flatten().flatten() {
        for end in [&rule.source, &rule.destination] {
            let selectors = [&end.selector, &end.not_selector];
            selectors.into_iter().flatten().for_each(&mut *see);
        }
    }
}

/// Adds the namespaces that a selector names.
fn named(selector: &Selector, all: &mut BTreeMap<String, StandIn>) {
    match selector {
        Selector::Compare(label, comparison) if is_name(label) => {
            let exactly = |name: &String| (name.clone(), None);
            let about = |name: String, how: &str, text: &str| {
                (name, Some(format!("a namespace whose name {how} '{text}'")))
            };
            let names: Vec<(String, Option<String>)> = match comparison {
                Comparison::Equal(name) | Comparison::NotEqual(name) => vec![exactly(name)],
                Comparison::In(names) | Comparison::NotIn(names) => {
                    names.iter().map(exactly).collect()
                }
                Comparison::StartsWith(text) => {
                    vec![about(format!("{text}{UNKNOWN}"), "starts with", text)]
                }
                Comparison::EndsWith(text) => {
                    vec![about(format!("{UNKNOWN}{text}"), "ends with", text)]
                }
                Comparison::Contains(text) => {
                    vec![about(format!("{UNKNOWN}{text}{UNKNOWN}"), "contains", text)]
                }
            };
            for (name, words) in names {
                let labels = LabelMap::new();
                all.entry(name).or_insert(StandIn { labels, words });
            }
        }
        Selector::Not(inner) => named(inner, all),
        Selector::And(operands) | Selector::Or(operands) => {
            for operand in operands {
                named(operand, all);
            }
        }
        Selector::All | Selector::Global | Selector::Has(_) | Selector::Compare(..) => {}
    }
}

/// Whether a label of pods says what their namespace is called.
fn is_name(label: &str) -> bool {
    label == NAMESPACE || matches!(label.strip_prefix(OF_NAMESPACE), Some(NAME | METADATA_NAME))
}
