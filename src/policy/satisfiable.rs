//! Whether there are labels at all that selectors select, and which: decided, not tried.
//!
//! A selector says something of labels one by one, joined by `&&`, `||` and `!`. Its alternatives are gone
//! through, each time with all that is said of a label so far; where nothing is left to choose, each label gets a
//! value for which all of it holds ([`value`]). A missing label fulfils whatever is negative, so a label is there
//! only where something asks for it.

mod value;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::{Comparison, Selector};
use crate::domain::is_label_key;
use value::Said;

/// So many alternatives are gone through. Selectors that mean anything have a few; hostile ones as many as they
/// like.
const MOST_STEPS: usize = 20_000;

/// It was given up: selectors like these are nobody's, and whoever asks must expect the worst of them.
#[derive(thiserror::Error, Clone, Copy, Debug, PartialEq, Eq)]
#[error("the selectors are too complex to decide whether anything matches them")]
pub struct TooComplex;

/// Labels that all of these selectors select, as few as can be found; None where there are none. `global()` holds
/// for everything, as in [`Selector::matches`].
///
/// Labels are those that Kubernetes accepts, and what Calico makes of the labels of a namespace (`pcns.`) and of a
/// service account (`pcsa.`).
///
/// # Errors
/// Where there are too many alternatives.
///
/// ```
/// use landing_zone_operator::policy::{Selector, example};
/// let selector = |text: &str| text.parse::<Selector>().unwrap();
/// let both = [selector("zone != 'web'"), selector("has(zone)")];
/// assert_eq!(example(&both).unwrap().unwrap().len(), 1);
/// assert_eq!(example(&[selector("zone == 'web' && !has(zone)")]), Ok(None));
/// ```
pub fn example(selectors: &[Selector]) -> Result<Option<BTreeMap<String, String>>, TooComplex> {
    let mut search = Search { steps: 0 };
    let conditions = selectors.iter().map(|it| (it, true)).collect();
    search.go_on(conditions, Vec::new(), BTreeMap::new())
}

/// A selector, and whether it has to hold or must not.
type Condition<'a> = (&'a Selector, bool);
/// All that is said of each label.
type Labels<'a> = BTreeMap<&'a str, Said<'a>>;

struct Search {
    steps: usize,
}

impl Search {
    /// Takes all conditions, and one of each list of alternatives.
    fn go_on<'a>(
        &mut self,
        mut conditions: Vec<Condition<'a>>,
        mut choices: Vec<Vec<Condition<'a>>>,
        mut labels: Labels<'a>,
    ) -> Result<Option<BTreeMap<String, String>>, TooComplex> {
        loop {
            while let Some(condition) = conditions.pop() {
                self.steps += 1;
                if self.steps > MOST_STEPS {
                    return Err(TooComplex);
                }
                if !take(condition, &mut conditions, &mut choices, &mut labels) {
                    return Ok(None);
                }
            }
            // What cannot hold any more is no choice; where one is left, it is none either.
            let mut left = Vec::with_capacity(choices.len());
            for mut alternatives in choices {
                self.steps += alternatives.len();
                if alternatives.iter().any(|it| holds(*it, &labels)) {
                    continue;
                }
                alternatives.retain(|it| may_hold(*it, &labels));
                match alternatives.len() {
                    0 => return Ok(None),
                    1 => conditions.extend(alternatives),
                    _ => left.push(alternatives),
                }
            }
            choices = left;
            if conditions.is_empty() {
                break;
            }
        }
        let shortest = (0..choices.len()).min_by_key(|at| choices[*at].len());
        let Some(shortest) = shortest else {
            return values(&labels);
        };
        let alternatives = choices.swap_remove(shortest);
        for alternative in alternatives {
            let found = self.go_on(vec![alternative], choices.clone(), labels.clone())?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// Takes a condition apart. Returns false where it contradicts what was taken before.
fn take<'a>(
    (selector, wanted): Condition<'a>,
    conditions: &mut Vec<Condition<'a>>,
    choices: &mut Vec<Vec<Condition<'a>>>,
    labels: &mut Labels<'a>,
) -> bool {
    match selector {
        Selector::All | Selector::Global => wanted,
        Selector::Not(inner) => {
            conditions.push((inner, !wanted));
            true
        }
        Selector::And(operands) | Selector::Or(operands) => {
            let operands = operands.iter().map(|it| (it, wanted));
            if matches!(selector, Selector::And(_)) == wanted {
                conditions.extend(operands);
            } else {
                choices.push(operands.collect());
            }
            true
        }
        Selector::Has(label) => labels
            .entry(label)
            .or_default()
            .has(wanted && is_key(label), wanted),
        Selector::Compare(label, comparison) => {
            let said = labels.entry(label).or_default();
            let (is_negative, base) = base(comparison);
            let wanted = wanted != is_negative;
            if wanted && !is_key(label) {
                return false;
            }
            said.compare(base, wanted)
        }
    }
}

/// The positive comparison that a comparison is, or is the opposite of.
fn base(comparison: &Comparison) -> (bool, Base<'_>) {
    match comparison {
        Comparison::Equal(value) => (false, Base::Equal(value)),
        Comparison::NotEqual(value) => (true, Base::Equal(value)),
        Comparison::In(values) => (false, Base::In(values)),
        Comparison::NotIn(values) => (true, Base::In(values)),
        Comparison::Contains(text) => (false, Base::Contains(text)),
        Comparison::StartsWith(text) => (false, Base::StartsWith(text)),
        Comparison::EndsWith(text) => (false, Base::EndsWith(text)),
    }
}

/// A comparison that holds for values only, never for a missing label.
#[derive(Clone, Copy, Debug)]
enum Base<'a> {
    Equal(&'a str),
    In(&'a BTreeSet<String>),
    Contains(&'a str),
    StartsWith(&'a str),
    EndsWith(&'a str),
}

impl Base<'_> {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equal(other) => value == *other,
            Self::In(values) => values.contains(value),
            Self::Contains(text) => value.contains(text),
            Self::StartsWith(text) => value.starts_with(text),
            Self::EndsWith(text) => value.ends_with(text),
        }
    }
}

/// Whether a condition holds whatever else is chosen.
fn holds((selector, wanted): Condition<'_>, labels: &Labels<'_>) -> bool {
    match selector {
        Selector::All | Selector::Global => wanted,
        Selector::Not(inner) => holds((inner, !wanted), labels),
        Selector::Has(label) => labels
            .get(label.as_str())
            .is_some_and(|it| it.is_there() == Some(wanted)),
        // What is said of a value is rarely the same twice; a value that stands is a choice of one.
        Selector::Compare(label, comparison) => {
            let value = labels.get(label.as_str()).and_then(Said::only_value);
            value.is_some_and(|value| comparison.matches(Some(value)) == wanted)
        }
        Selector::And(_) | Selector::Or(_) => false,
    }
}

/// Whether a condition does not contradict what is chosen at first sight.
fn may_hold(condition: Condition<'_>, labels: &Labels<'_>) -> bool {
    let (selector, wanted) = condition;
    match selector {
        Selector::Not(inner) => may_hold((inner, !wanted), labels),
        Selector::And(_) | Selector::Or(_) => true,
        Selector::All | Selector::Global | Selector::Has(_) | Selector::Compare(..) => {
            let label = match selector {
                Selector::Has(label) | Selector::Compare(label, _) => label.as_str(),
                _ => return wanted,
            };
            let mut alone: Labels<'_> = BTreeMap::new();
            if let Some(said) = labels.get(label) {
                alone.insert(label, said.clone());
            }
            take(condition, &mut Vec::new(), &mut Vec::new(), &mut alone)
        }
    }
}

/// A value for each label that has to be there.
fn values(labels: &Labels<'_>) -> Result<Option<BTreeMap<String, String>>, TooComplex> {
    let mut found = BTreeMap::new();
    for (label, said) in labels {
        if said.is_there() != Some(true) {
            continue;
        }
        match said.value()? {
            Some(value) => found.insert((*label).to_owned(), value),
            None => return Ok(None),
        };
    }
    Ok(Some(found))
}

/// Whether something can have this label.
fn is_key(label: &str) -> bool {
    // What Calico puts before the labels of namespaces and service accounts may come twice in no way.
    let inherited = ["pcns.", "pcsa."]
        .iter()
        .find_map(|prefix| label.strip_prefix(prefix));
    is_label_key(label) || inherited.is_some_and(is_label_key)
}
