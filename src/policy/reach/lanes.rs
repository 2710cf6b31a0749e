//! Many peers judged at once: one bit for each.

use std::borrow::Cow;

/// A yes or no for many peers, or for one.
pub(super) trait Lanes: Clone {
    /// Also where another one says yes.
    fn or(&mut self, other: &Self);
    /// Also where two others both say yes.
    fn or_both(&mut self, one: &Self, other: &Self);
    /// Only where another one says yes, too.
    fn and(&mut self, other: &Self);
    /// Not where another one says yes.
    fn and_not(&mut self, other: &Self);
    /// No for everybody.
    fn nobody(&self) -> Self;
    /// Whether somebody is yes in both.
    fn meets(&self, other: &Self) -> bool;
    /// What is known of all peers, or of the one that is asked about.
    fn pick(matching: &Matching<Bits>, peer: usize) -> Cow<'_, Matching<Self>>;
}

impl Lanes for bool {
    fn or(&mut self, other: &Self) {
        *self |= other;
    }

    fn or_both(&mut self, one: &Self, other: &Self) {
        *self |= one & other;
    }

    fn and(&mut self, other: &Self) {
        *self &= other;
    }

    fn and_not(&mut self, other: &Self) {
        *self &= !other;
    }

    fn nobody(&self) -> Self {
        false
    }

    fn meets(&self, other: &Self) -> bool {
        self & other
    }

    fn pick(matching: &Matching<Bits>, peer: usize) -> Cow<'_, Matching<Self>> {
        Cow::Owned(matching.of(peer))
    }
}

/// A set of small numbers below a length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    words: Box<[u64]>,
    length: usize,
}

const WORD: usize = 64;

impl Bits {
    /// None of so many.
    pub fn none(length: usize) -> Self {
        Self {
            words: vec![0; length.div_ceil(WORD)].into(),
            length,
        }
    }

    /// All of so many.
    pub fn all(length: usize) -> Self {
        let mut all = Self::none(length);
        all.invert();
        all
    }

    /// Those below a number, of so many.
    pub fn first(count: usize, length: usize) -> Self {
        let mut first = Self::none(length);
        for (at, word) in first.words.iter_mut().enumerate() {
            let below = count.saturating_sub(at * WORD).min(WORD);
            *word = if below == WORD {
                u64::MAX
            } else {
                (1 << below) - 1
            };
        }
        first
    }

    /// Whether a number is in it.
    pub fn has(&self, at: usize) -> bool {
        let word = self.words.get(at / WORD);
        word.is_some_and(|word| word >> (at % WORD) & 1 == 1)
    }

    pub fn insert(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / WORD) {
            *word |= 1 << (at % WORD);
        }
    }

    /// All that were not in it.
    pub fn invert(&mut self) {
        for word in &mut self.words {
            *word = !*word;
        }
        let rest = self.length % WORD;
        if let Some(last) = self.words.last_mut().filter(|_| rest > 0) {
            *last &= (1 << rest) - 1;
        }
    }

    /// How many numbers there are.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The numbers in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (bit < WORD).then_some(at * WORD + bit)
            })
        })
    }
}

impl Lanes for Bits {
    fn or(&mut self, other: &Self) {
        for (own, other) in self.words.iter_mut().zip(&other.words) {
            *own |= other;
        }
    }

    fn or_both(&mut self, one: &Self, other: &Self) {
        let both = one.words.iter().zip(&other.words);
        for (own, (one, other)) in self.words.iter_mut().zip(both) {
            *own |= one & other;
        }
    }

    fn and(&mut self, other: &Self) {
        for (own, other) in self.words.iter_mut().zip(&other.words) {
            *own &= other;
        }
    }

    fn and_not(&mut self, other: &Self) {
        for (own, other) in self.words.iter_mut().zip(&other.words) {
            *own &= !other;
        }
    }

    fn nobody(&self) -> Self {
        Self::none(self.length)
    }

    fn meets(&self, other: &Self) -> bool {
        let mut both = self.words.iter().zip(&other.words);
        both.any(|(one, other)| one & other != 0)
    }

    fn pick(matching: &Matching<Self>, _: usize) -> Cow<'_, Matching<Self>> {
        Cow::Borrowed(matching)
    }
}

/// Who matches something: surely, and perhaps. Who surely does perhaps does, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matching<L> {
    /// All that is meant by it matches.
    pub surely: L,
    /// Something that is meant by it may match.
    pub perhaps: L,
}

impl<L: Lanes> Matching<L> {
    pub fn and(&mut self, other: &Self) {
        self.surely.and(&other.surely);
        self.perhaps.and(&other.perhaps);
    }
}

impl Matching<Bits> {
    pub fn all(length: usize) -> Self {
        Self::exactly(Bits::all(length))
    }

    pub fn none(length: usize) -> Self {
        Self::exactly(Bits::none(length))
    }

    /// Nothing is open.
    pub fn exactly(bits: Bits) -> Self {
        Self {
            surely: bits.clone(),
            perhaps: bits,
        }
    }

    pub fn or(&mut self, other: &Self) {
        self.surely.or(&other.surely);
        self.perhaps.or(&other.perhaps);
    }

    /// The opposite.
    pub fn not(mut self) -> Self {
        self.surely.invert();
        self.perhaps.invert();
        Self {
            surely: self.perhaps,
            perhaps: self.surely,
        }
    }

    pub fn of(&self, at: usize) -> Matching<bool> {
        Matching {
            surely: self.surely.has(at),
            perhaps: self.perhaps.has(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_know_their_length() {
        for length in [0, 1, 63, 64, 65, 130] {
            assert_eq!(Bits::all(length).iter().count(), length);
            assert_eq!(Bits::first(length, 130), {
                let mut some = Bits::none(130);
                (0..length).for_each(|at| some.insert(at));
                some
            });
        }
        let mut some = Bits::none(130);
        some.insert(64);
        some.insert(129);
        assert_eq!(some.iter().collect::<Vec<_>>(), [64, 129]);
        assert!(some.has(64) && !some.has(63) && !some.has(500));
        some.invert();
        assert_eq!(some.iter().count(), 128);
    }
}
