//! Priorities of rules that come and go.
//!
//! They all allow, so that their order means nothing; what matters is that a rule keeps its priority while others come and go,
//! since Azure refuses two of the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

/// Where rules lie that follow from declarations; what every group has lies before and behind.
pub(super) const DECLARED: RangeInclusive<u16> = 1000..=3999;

/// A priority for each name. Those in `before` stay, as far as they still lie where they may and nobody else has them; each of the others
/// gets the one that its name leads to, or the next that is free.
pub(super) fn priorities(
    names: &BTreeSet<String>,
    before: &BTreeMap<String, u16>,
) -> BTreeMap<String, u16> {
    let mut taken = BTreeSet::new();
    let mut priorities = BTreeMap::new();
    for name in names {
        if let Some(known) = before.get(name)
            && DECLARED.contains(known)
            && taken.insert(*known)
        {
            priorities.insert(name.clone(), *known);
        }
    }
    for name in names {
        if priorities.contains_key(name) {
            continue;
        }
        let first = led_to(name);
        let onwards = first..=*DECLARED.end();
        let around = *DECLARED.start()..first;
        let free = onwards.chain(around).find(|it| !taken.contains(it));
        // A group takes 1,000 rules, and there are three times as many places.
        if let Some(free) = free {
            taken.insert(free);
            priorities.insert(name.clone(), free);
        }
    }
    priorities
}

fn led_to(name: &str) -> u16 {
    let digest = Sha256::digest(name.as_bytes());
    let number = u16::from_be_bytes([digest[0], digest[1]]);
    let places = DECLARED.end() - DECLARED.start() + 1;
    DECLARED.start() + number % places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// One that comes or goes moves no other, once it is known where they were.
        #[test]
        fn what_has_a_priority_keeps_it(
            names in prop::collection::btree_set("[a-z]{1,6}", 1..300),
            more in prop::collection::btree_set("[a-z]{1,6}", 0..30),
        ) {
            let before = priorities(&names, &BTreeMap::new());
            prop_assert_eq!(before.len(), names.len());
            let all: BTreeSet<_> = names.union(&more).cloned().collect();
            let after = priorities(&all, &before);
            for name in &names {
                prop_assert_eq!(after[name], before[name]);
            }
            let places: BTreeSet<_> = after.values().collect();
            prop_assert_eq!(places.len(), all.len());
            let fewer: BTreeSet<_> = names.iter().skip(1).cloned().collect();
            for (name, priority) in priorities(&fewer, &after) {
                prop_assert_eq!(priority, before[&name]);
            }
        }
    }

    /// Without knowing where they were, only those that are led to the same place can move.
    #[test]
    fn names_alone_lead_to_much_the_same() {
        let names: BTreeSet<String> = (0..100).map(|it| format!("shop-{it}")).collect();
        let before = priorities(&names, &BTreeMap::new());
        let mut moved = 0;
        for number in 0..100 {
            let mut all = names.clone();
            all.insert(format!("other-{number}"));
            let after = priorities(&all, &BTreeMap::new());
            moved += names.iter().filter(|it| after[*it] != before[*it]).count();
        }
        // 100 of 3,000 places are taken: one of thirty meets another, and moves it where its name comes first.
        assert!(moved <= 10, "{moved} of 10,000");
    }

    #[test]
    fn a_place_that_two_had_is_one_s() {
        let names = ["a", "b"].map(str::to_owned).into();
        let before = [("a".to_owned(), 1500), ("b".to_owned(), 1500)].into();
        let after = priorities(&names, &before);
        assert_eq!(after["a"], 1500);
        assert_ne!(after["b"], 1500);
        let outside = [("a".to_owned(), 200)].into();
        assert!(DECLARED.contains(&priorities(&names, &outside)["a"]));
    }
}
