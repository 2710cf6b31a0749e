//! Spreads what one policy cannot hold over several.
//!
//! The parts of a policy are written one by one, so nothing may move from a part that stays to
//! another one that stays: it would be in neither for a moment. So the items are halved by a digest of
//! their own, again and again, until each part fits: an item's part depends on no other item but by how
//! often it is halved. A part that becomes too large gives way to its two halves, and two halves that
//! fit together give way to the whole: the new ones are created first, and what they replace is pruned
//! after that.

use sha2::{Digest as _, Sha256};

/// One part. `place` is 1 for the whole; the halves of `n` are `2n` and `2n + 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part<T> {
    pub place: u64,
    pub items: Vec<T>,
}

/// Halves items until each part fits. The order of the items stays; no part is empty.
///
/// `key` is what an item is told apart by, and has to be the same whatever else there is. A single item
/// is never halved.
pub(super) fn halves<T>(
    items: Vec<T>,
    key: impl Fn(&T) -> String,
    fits: impl Fn(&[&T]) -> bool,
) -> Vec<Part<T>> {
    // Mostly so: nobody has to be told apart then.
    if fits(&items.iter().collect::<Vec<_>>()) {
        let whole = Part { place: 1, items };
        return Vec::from_iter((!whole.items.is_empty()).then_some(whole));
    }
    let keyed = items.into_iter().map(|item| {
        let digest: [u8; 32] = Sha256::digest(key(&item)).into();
        (digest, item)
    });
    let mut parts = Vec::new();
    let mut open = vec![(1_u64, keyed.collect::<Vec<_>>())];
    while let Some((place, items)) = open.pop() {
        let bare: Vec<&T> = items.iter().map(|(_, item)| item).collect();
        let depth = place.ilog2();
        if items.len() <= 1 || depth == u64::BITS - 1 || fits(&bare) {
            if !items.is_empty() {
                let items = items.into_iter().map(|(_, item)| item).collect();
                parts.push(Part { place, items });
            }
            continue;
        }
        let (upper, lower) = items
            .into_iter()
            .partition(|(digest, _)| digest[depth as usize / 8] & (1 << (depth % 8)) != 0);
        open.push((2 * place + 1, upper));
        open.push((2 * place, lower));
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    /// Parts of at most three numbers, by place.
    fn parts_of(numbers: &BTreeSet<u16>) -> BTreeMap<u64, BTreeSet<u16>> {
        let items: Vec<u16> = numbers.iter().copied().collect();
        halves(items, u16::to_string, |items| items.len() <= 3)
            .into_iter()
            .map(|part| (part.place, part.items.into_iter().collect()))
            .collect()
    }

    fn place_of(parts: &BTreeMap<u64, BTreeSet<u16>>, number: u16) -> Option<u64> {
        let mut places = parts.iter().filter(|(_, items)| items.contains(&number));
        places.next().map(|(place, _)| *place)
    }

    proptest! {
        #[test]
        fn every_item_is_in_one_part_and_each_part_fits(numbers in btree_set(0..500_u16, 0..60)) {
            let parts = parts_of(&numbers);
            let mut all: Vec<u16> = parts.values().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, numbers.into_iter().collect::<Vec<_>>());
            prop_assert!(parts.values().all(|items| (1..=3).contains(&items.len())));
        }

        #[test]
        fn nothing_moves_between_parts_that_stay(
            before in btree_set(0..60_u16, 0..30),
            after in btree_set(0..60_u16, 0..30),
        ) {
            let (old, new) = (parts_of(&before), parts_of(&after));
            for number in before.intersection(&after) {
                let (Some(from), Some(to)) = (place_of(&old, *number), place_of(&new, *number)) else {
                    panic!("{number} is in no part");
                };
                let both_stay = new.contains_key(&from) && old.contains_key(&to);
                prop_assert!(from == to || !both_stay, "{} moved from {} to {}", number, from, to);
                // What it moves to is created; what it moves from is pruned.
                prop_assert!(from == to || !(new.contains_key(&from) || old.contains_key(&to)));
            }
        }
    }

    #[test]
    fn what_fits_is_one_part() {
        assert_eq!(parts_of(&(1..4).collect()).keys().collect::<Vec<_>>(), [&1]);
        assert!(parts_of(&BTreeSet::new()).is_empty());
    }
}
