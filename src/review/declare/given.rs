//! Names that suggestions of one review have given: whoever puts in all of them finds none twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::entry::Entry;
use super::line::in_one_line;
use super::name::with_digest;

/// The names that were given in each list of each landing zone; copies share them.
#[derive(Clone, Debug, Default)]
pub struct Given(Arc<Mutex<BTreeMap<[String; 2], OfList>>>);

/// The names of one list.
#[derive(Debug, Default)]
struct OfList {
    /// What each name stands for.
    contents: BTreeMap<String, String>,
    /// The name of each content.
    names: BTreeMap<String, String>,
}

impl Given {
    /// The name of something that a list of an owner should hold: the one that is wanted, or another one where that stands for
    /// something else already. The same content keeps its name.
    #[must_use]
    pub fn name(&self, [owner, list]: [&str; 2], wanted: &str, content: &str) -> String {
        // Whoever ended with it held left a whole map.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_list = all.entry([owner, list].map(str::to_owned)).or_default();
        if let Some(name) = of_list.names.get(content) {
            return name.clone();
        }
        let mut name = wanted.to_owned();
        let mut attempt = 0;
        while of_list.contents.contains_key(&name) {
            name = with_digest(wanted, &[content], attempt);
            attempt += 1;
        }
        of_list.contents.insert(name.clone(), content.to_owned());
        of_list.names.insert(content.to_owned(), name.clone());
        name
    }

    /// Entries of a list of a landing zone, under names that stand for nothing else.
    #[must_use]
    pub fn entries(&self, landing_zone: &str, list: &str, entries: &[Entry]) -> Vec<Entry> {
        let entries = entries.iter().cloned();
        let named = entries.map(|mut entry| {
            let wanted = std::mem::take(&mut entry.name);
            let content = in_one_line(list, std::slice::from_ref(&entry));
            entry.name = self.name([landing_zone, list], &wanted, &content);
            entry
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_one_content_and_a_content_has_one_name() {
        let given = Given::default();
        let of = |list: &str, content: &str| given.name(["shop", list], "to-a", content);
        assert_eq!(of("egress", "one"), "to-a");
        let other = of("egress", "two");
        assert!(other.starts_with("to-a-") && other.len() == 11, "{other}");
        assert_eq!(of("egress", "one"), "to-a");
        assert_eq!(of("egress", "two"), other);
        assert_eq!(of("ingress", "two"), "to-a");
        assert_eq!(given.name(["orders", "egress"], "to-a", "two"), "to-a");
        // What it would be called next may be another's.
        let taken = Given::default();
        assert_eq!(taken.name(["shop", "egress"], &other, "three"), other);
        assert_eq!(taken.name(["shop", "egress"], "to-a", "one"), "to-a");
        assert_ne!(taken.name(["shop", "egress"], "to-a", "two"), other);
    }
}
