//! A value for one label, for which everything holds that is said of it.
//!
//! Where the value is one of some, they are tried. Otherwise it is built from left to right, all texts of a length
//! at once: what matters of a text so far is how much of each text in question its end, or its beginning, is. So
//! the shortest is found, and whether there is one at all.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Base, TooComplex};
use crate::domain::is_label_value;

/// Kubernetes' longest value of a label.
const LONGEST: usize = 63;
/// So many states are looked at.
const MOST_STATES: usize = 50_000;

/// All that is said of one label.
#[derive(Clone, Debug, Default)]
pub(super) struct Said<'a> {
    /// Whether it is there; None: that is open.
    there: Option<bool>,
    /// The values that it may have; None: any.
    allowed: Option<BTreeSet<&'a str>>,
    /// What else is said, and whether it has to hold or must not.
    comparisons: Vec<(Base<'a>, bool)>,
}

impl<'a> Said<'a> {
    /// Whether the label is there; None: that is open, so it need not be.
    pub(super) fn is_there(&self) -> Option<bool> {
        self.there
    }

    /// The value, where there is only one left.
    pub(super) fn only_value(&self) -> Option<&'a str> {
        let allowed = self.allowed.as_ref()?;
        allowed.first().copied().filter(|_| allowed.len() == 1)
    }

    /// Takes in that the label is there or not. Returns false where it cannot be.
    pub(super) fn has(&mut self, can: bool, wanted: bool) -> bool {
        if (wanted && !can) || self.there.is_some_and(|there| there != wanted) {
            return false;
        }
        self.there = Some(wanted);
        true
    }

    /// Takes in a comparison. Returns false where it contradicts what was said before, as far as that is easy to
    /// see.
    pub(super) fn compare(&mut self, base: Base<'a>, wanted: bool) -> bool {
        if wanted && !self.has(true, true) {
            return false;
        }
        let values = match base {
            Base::Equal(value) if wanted => Some(BTreeSet::from([value])),
            Base::In(values) if wanted => Some(values.iter().map(String::as_str).collect()),
            _ => None,
        };
        if let Some(values) = values {
            let (said, before) = (&self.comparisons, self.allowed.take());
            let mut left: BTreeSet<_> = match before {
                Some(before) => before.intersection(&values).copied().collect(),
                None => values,
            };
            left.retain(|value| is_label_value(value) && said.iter().all(|it| fits(it, value)));
            return !self.allowed.insert(left).is_empty();
        }
        let said = (base, wanted);
        if let Some(allowed) = &mut self.allowed {
            allowed.retain(|value| fits(&said, value));
            // A value is asked for, and none is left.
            return !allowed.is_empty();
        }
        self.comparisons.push(said);
        true
    }

    /// A value for which all of it holds, the shortest; None where there is none.
    pub(super) fn value(&self) -> Result<Option<String>, TooComplex> {
        match &self.allowed {
            Some(allowed) => Ok(allowed.first().map(|value| (*value).to_owned())),
            None => build(&self.comparisons),
        }
    }
}

fn fits((base, wanted): &(Base<'_>, bool), value: &str) -> bool {
    base.holds(value) == *wanted
}

/// Whether a label's value may have it, besides at its ends.
fn is_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

/// How far one text in question has come, as what is built grows.
struct Watched {
    text: Vec<u8>,
    /// How it counts.
    part: Part,
    wanted: bool,
    /// For each number of matched bytes, how many match after a byte that does not go on (Knuth, Morris, Pratt).
    falls_back: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Start,
    End,
    Anywhere,
}

/// More than any number of matched bytes: it cannot match any more.
const NEVER: u8 = u8::MAX;

impl Watched {
    fn new(text: &str, part: Part, wanted: bool) -> Self {
        let text = text.as_bytes().to_vec();
        let mut falls_back = vec![0; text.len() + 1];
        let mut matched = 0;
        for at in 1..text.len() {
            while matched > 0 && text[at] != text[matched] {
                matched = falls_back[matched];
            }
            if text[at] == text[matched] {
                matched += 1;
            }
            falls_back[at + 1] = matched;
        }
        Self {
            text,
            part,
            wanted,
            falls_back,
        }
    }

    /// How many bytes match after one more.
    fn after(&self, matched: u8, byte: u8) -> u8 {
        let length = self.text.len();
        let mut at = usize::from(matched);
        match self.part {
            Part::Start | Part::Whole => {
                let is_done = self.part == Part::Start && at == length;
                if matched == NEVER || is_done {
                    matched
                } else if self.text.get(at) == Some(&byte) {
                    matched + 1
                } else {
                    NEVER
                }
            }
            Part::Anywhere if at == length => matched,
            Part::Anywhere | Part::End => {
                loop {
                    if self.text.get(at) == Some(&byte) {
                        at += 1;
                        break;
                    }
                    if at == 0 {
                        break;
                    }
                    at = self.falls_back[at];
                }
                u8::try_from(at).unwrap_or(NEVER)
            }
        }
    }

    fn holds(&self, matched: u8) -> bool {
        usize::from(matched) == self.text.len()
    }

    /// Whether what has come so far can still become right.
    fn is_open(&self, matched: u8) -> bool {
        let is_decided = match self.part {
            Part::Start | Part::Anywhere => self.holds(matched) || matched == NEVER,
            Part::Whole => matched == NEVER,
            Part::End => false,
        };
        !is_decided || self.holds(matched) == self.wanted
    }
}

/// What a text ends with so far: neither its first byte nor its last may be anything else than a letter or a digit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Last {
    None,
    Alphanumeric,
    Other,
}

/// The shortest value for which all of it holds.
fn build(said: &[(Base<'_>, bool)]) -> Result<Option<String>, TooComplex> {
    let mut watched = Vec::new();
    for (base, wanted) in said {
        let texts: Vec<(&str, Part)> = match base {
            Base::Equal(value) => vec![(value, Part::Whole)],
            Base::In(values) => values.iter().map(|it| (it.as_str(), Part::Whole)).collect(),
            Base::Contains(text) => vec![(text, Part::Anywhere)],
            Base::StartsWith(text) => vec![(text, Part::Start)],
            Base::EndsWith(text) => vec![(text, Part::End)],
        };
        for (text, part) in texts {
            if text.len() <= LONGEST && text.chars().all(is_character) {
                watched.push(Watched::new(text, part, *wanted));
            } else if *wanted {
                return Ok(None);
            }
        }
    }
    // Bytes that no text has are all alike.
    let mut bytes: BTreeSet<u8> = watched.iter().flat_map(|it| it.text.clone()).collect();
    bytes.extend(
        (b'a'..=b'z')
            .chain(b'0'..=b'9')
            .find(|byte| !bytes.contains(byte)),
    );

    // A text so far: how far each has come, and what its last byte is.
    let start: (Vec<u8>, Last) = (vec![0; watched.len()], Last::None);
    let is_whole = |(matched, last): &(Vec<u8>, Last)| {
        let mut all = watched.iter().zip(matched);
        *last != Last::Other && all.all(|(it, matched)| it.holds(*matched) == it.wanted)
    };
    if is_whole(&start) {
        return Ok(Some(String::new()));
    }
    let mut seen = HashSet::from([start.clone()]);
    let mut texts = BTreeMap::from([(start, Vec::new())]);
    for length in 1..=LONGEST {
        let mut longer = BTreeMap::new();
        for ((matched, _), text) in texts {
            for &byte in &bytes {
                let last = match byte.is_ascii_alphanumeric() {
                    true => Last::Alphanumeric,
                    false if length == 1 => continue,
                    false => Last::Other,
                };
                let matched: Vec<_> = watched
                    .iter()
                    .zip(&matched)
                    .map(|(it, matched)| it.after(*matched, byte))
                    .collect();
                let mut all = watched.iter().zip(&matched);
                let state = (matched.clone(), last);
                if !all.all(|(it, matched)| it.is_open(*matched)) || !seen.insert(state.clone()) {
                    continue;
                }
                if seen.len() > MOST_STATES {
                    return Err(TooComplex);
                }
                let mut text: Vec<u8> = Vec::clone(&text);
                text.push(byte);
                if is_whole(&state) {
                    return Ok(Some(String::from_utf8_lossy(&text).into_owned()));
                }
                longer.insert(state, text);
            }
        }
        texts = longer;
    }
    Ok(None)
}
