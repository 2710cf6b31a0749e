//! Whom selectors select, of all members at once: by label and value, not one by one.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use super::lanes::{Bits, Lanes, Matching};
use super::member::{Giver, Label, Member, Owner};
use crate::policy::world::AddressSet;
use crate::policy::{Comparison, Selector};

/// Members and, behind them, network sets, by their labels.
pub(super) struct LabelIndex<'a> {
    length: usize,
    keys: HashMap<&'a str, OfKey<'a>>,
    open: [Bits; 5],
    nothing: OfKey<'a>,
    /// How many conditions were looked up.
    pub looked_up: Cell<usize>,
}

/// What is known of one key.
struct OfKey<'a> {
    values: HashMap<&'a str, Vec<usize>>,
    /// Those that have another value than these.
    others: Vec<(usize, &'a BTreeSet<String>)>,
    /// Those that surely have it.
    there: Bits,
    /// Those of which it is known whether they have it.
    known: Bits,
}

impl OfKey<'_> {
    fn new(length: usize) -> Self {
        Self {
            values: HashMap::new(),
            others: Vec::new(),
            there: Bits::none(length),
            known: Bits::none(length),
        }
    }
}

const OWNERS: [Owner; 5] = [
    Owner::Namespace(Giver::System),
    Owner::Namespace(Giver::Anybody),
    Owner::ServiceAccount,
    Owner::Pod(Giver::System),
    Owner::Pod(Giver::Anybody),
];

impl<'a> LabelIndex<'a> {
    pub fn new(members: &'a [Member], sets: &'a [AddressSet]) -> Self {
        let length = members.len() + sets.len();
        let mut index = Self {
            length,
            keys: HashMap::new(),
            open: OWNERS.map(|_| Bits::none(length)),
            nothing: OfKey::new(length),
            looked_up: Cell::new(0),
        };
        for (at, member) in members.iter().enumerate() {
            let Some(known) = member.known() else {
                continue;
            };
            for (owner, open) in OWNERS.iter().zip(&mut index.open) {
                if known.open.is_for(*owner) {
                    open.insert(at);
                }
            }
            for (key, label) in &known.labels {
                let of_key = index.keys.entry(key).or_insert_with(|| OfKey::new(length));
                of_key.known.insert(at);
                match label {
                    Label::Value(value) => {
                        of_key.there.insert(at);
                        of_key.values.entry(value).or_default().push(at);
                    }
                    Label::Other(values) => {
                        of_key.there.insert(at);
                        of_key.others.push((at, values.as_ref()));
                    }
                    Label::Absent => {}
                }
            }
        }
        for (at, set) in sets.iter().enumerate() {
            let at = members.len() + at;
            for (key, value) in &set.labels {
                let of_key = index.keys.entry(key).or_insert_with(|| OfKey::new(length));
                of_key.known.insert(at);
                of_key.there.insert(at);
                of_key.values.entry(value).or_default().push(at);
            }
        }
        index
    }

    /// Whom a selector selects. What is not known of a label makes it perhaps, and two conditions on it are not put
    /// together: `perhaps` may be too many, `surely` too few.
    pub fn selected(&self, selector: &Selector) -> Matching<Bits> {
        match selector {
            Selector::All | Selector::Global => Matching::all(self.length),
            Selector::Not(inner) => self.selected(inner).not(),
            Selector::And(operands) => {
                let mut both = Matching::all(self.length);
                for operand in operands {
                    both.and(&self.selected(operand));
                }
                both
            }
            Selector::Or(operands) => {
                let mut either = Matching::none(self.length);
                for operand in operands {
                    either.or(&self.selected(operand));
                }
                either
            }
            Selector::Has(label) => {
                let of_key = self.of(label);
                let mut perhaps = self.unknown(label, of_key);
                perhaps.or(&of_key.there);
                Matching {
                    surely: of_key.there.clone(),
                    perhaps,
                }
            }
            Selector::Compare(label, comparison) => match comparison {
                Comparison::NotEqual(value) => self.one_of(label, [value.as_str()]).not(),
                Comparison::NotIn(values) => {
                    self.one_of(label, values.iter().map(String::as_str)).not()
                }
                Comparison::Equal(value) => self.one_of(label, [value.as_str()]),
                Comparison::In(values) => self.one_of(label, values.iter().map(String::as_str)),
                Comparison::Contains(_) | Comparison::StartsWith(_) | Comparison::EndsWith(_) => {
                    self.like(label, comparison)
                }
            },
        }
    }

    fn of(&self, label: &str) -> &OfKey<'a> {
        self.looked_up.set(self.looked_up.get() + 1);
        self.keys.get(label).unwrap_or(&self.nothing)
    }

    /// Those of which it is not known whether they have a label.
    fn unknown(&self, label: &str, of_key: &OfKey<'_>) -> Bits {
        let owner = Owner::of(label);
        let mut owners = OWNERS.iter().zip(&self.open);
        let open = owners.find(|(it, _)| **it == owner);
        let mut unknown = open.map_or_else(|| Bits::all(self.length), |(_, open)| open.clone());
        unknown.and_not(&of_key.known);
        unknown
    }

    fn one_of<'v>(&self, label: &str, values: impl IntoIterator<Item = &'v str>) -> Matching<Bits> {
        let of_key = self.of(label);
        let mut surely = Bits::none(self.length);
        let mut perhaps = self.unknown(label, of_key);
        for value in values {
            for at in of_key.values.get(value).into_iter().flatten() {
                surely.insert(*at);
            }
            for (at, others) in &of_key.others {
                if !others.contains(value) {
                    perhaps.insert(*at);
                }
            }
        }
        perhaps.or(&surely);
        Matching { surely, perhaps }
    }

    fn like(&self, label: &str, comparison: &Comparison) -> Matching<Bits> {
        let of_key = self.of(label);
        let mut surely = Bits::none(self.length);
        let mut perhaps = self.unknown(label, of_key);
        for (value, members) in &of_key.values {
            if comparison.matches(Some(value)) {
                for at in members {
                    surely.insert(*at);
                }
            }
        }
        for (at, _) in &of_key.others {
            perhaps.insert(*at);
        }
        perhaps.or(&surely);
        Matching { surely, perhaps }
    }
}
