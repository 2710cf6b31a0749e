//! Names of proposed entries: DNS labels that say what an entry opens, the same for the same entry.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::api::rule::LONGEST_NAME;

/// The names of one list, those taken included.
#[derive(Debug, Default)]
pub struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// Names of which some are taken.
    pub fn new<'a>(taken: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            taken: taken.into_iter().map(str::to_owned).collect(),
        }
    }

    /// A name out of words, of at most 40 characters and given to nobody else.
    ///
    /// It is made of the words alone, but for names that others have already: what else a log holds
    /// renames nothing.
    pub fn give(&mut self, words: &[&str]) -> String {
        let plain = label(words);
        let mut name = if plain.len() <= LONGEST_NAME {
            plain.clone()
        } else {
            with_digest(&plain, words, 0)
        };
        let mut attempt = 0;
        while !self.taken.insert(name.clone()) {
            attempt += 1;
            name = with_digest(&plain, words, attempt);
        }
        name
    }
}

/// Words as one DNS label of any length.
fn label(words: &[&str]) -> String {
    let mut label = String::new();
    for c in words.join("-").chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            label.push(c);
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    label.truncate(label.trim_end_matches('-').len());
    if label.is_empty() {
        label.push('x');
    }
    label
}

/// A label with a digest of its words, which tells it apart from others that begin like it.
pub(super) fn with_digest(plain: &str, words: &[&str], attempt: u32) -> String {
    let text = format!("{}\0{attempt}", words.join("\0"));
    let [one, two, three, ..]: [u8; 32] = Sha256::digest(text).into();
    let digest = format!("-{one:02x}{two:02x}{three:02x}");
    let room = LONGEST_NAME - digest.len();
    let start: String = plain.chars().take(room).collect();
    start.trim_end_matches('-').to_owned() + &digest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_says_what_it_opens() {
        let mut names = Names::default();
        assert_eq!(
            names.give(&["frontend", "to", "backend", "5432"]),
            "frontend-to-backend-5432"
        );
        assert_eq!(names.give(&["Ä b_c", "..", "53", "udp"]), "b-c-53-udp");
    }

    #[test]
    fn long_names_are_cut_and_told_apart() {
        let zone = "a".repeat(40);
        let mut names = Names::default();
        let one = names.give(&[&zone, "to", "b", "80"]);
        let other = names.give(&[&zone, "to", "c", "80"]);
        assert_eq!((one.len(), other.len()), (40, 40));
        assert_ne!(one, other);
        assert_eq!(Names::default().give(&[&zone, "to", "c", "80"]), other);
    }

    #[test]
    fn names_that_are_taken_are_not_given() {
        let mut names = Names::new(["a-to-b-80"]);
        let one = names.give(&["a", "to", "b", "80"]);
        let other = names.give(&["a-to", "b", "80"]);
        assert!(one.starts_with("a-to-b-80-") && other.starts_with("a-to-b-80-"));
        assert_ne!(one, other);
    }

    proptest! {
        #[test]
        fn every_name_is_a_dns_label_that_nobody_else_has(
            all in prop::collection::vec(prop::collection::vec("[a-c.Ä -]{0,30}", 0..4), 0..30)
        ) {
            let mut names = Names::default();
            let mut given = BTreeSet::new();
            for words in &all {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let name = names.give(&words);
                let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                prop_assert!(name.chars().all(allowed) && (1..=40).contains(&name.len()), "{}", name);
                prop_assert!(!name.starts_with('-') && !name.ends_with('-'), "{}", name);
                prop_assert!(given.insert(name));
            }
        }
    }
}
