//! What a change writes a second time, and otherwise: the cluster has one object of a name, and nobody knows which of them it gets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::copies::place;
use super::input::{Input, Written};
use super::meaning::Meaning;
use super::report::Reported;
use crate::cli::base::Base;
use crate::domain::FieldPath;
use crate::review::{Finding, Rule, identity};

type Identity = [String; 4];

fn folder(written: &Written) -> Option<PathBuf> {
    Some(place(written)?.parent()?.to_owned())
}

/// Objects of which there are more than before in some file, and not all alike. What stands in the same files as before is compared
/// one by one, and may be that of several clusters; what stands beside the same once more changes nothing.
pub(super) fn written(before: &Input, after: &Input, base: &Base) -> Vec<Reported> {
    let was = |written: &Written| {
        let place = written.place.as_ref()?;
        base.reviewed(Path::new(&place.file))
    };
    let mut known: BTreeMap<(Identity, _), usize> = BTreeMap::new();
    for written in &before.written {
        *known
            .entry((identity(&written.json), was(written)))
            .or_default() += 1;
    }
    let mut by_identity: BTreeMap<Identity, Vec<&Written>> = BTreeMap::new();
    for written in &after.written {
        let of_it = by_identity.entry(identity(&written.json)).or_default();
        of_it.push(written);
    }
    let mut found = Vec::new();
    for (identity, copies) in by_identity {
        let is_alike = copies.iter().all(|it| it.json == copies[0].json);
        if is_alike {
            continue;
        }
        let mut now: BTreeMap<_, Vec<&Written>> = BTreeMap::new();
        for copy in &copies {
            now.entry(place(copy)).or_default().push(copy);
        }
        let is_alone = |one: &&Written| {
            let is_beside = |it: &&Written| !std::ptr::eq(*it, *one) && folder(it) == folder(one);
            !copies
                .iter()
                .filter(|it| is_beside(it))
                .any(|it| it.json == one.json)
        };
        let new = now.into_iter().find_map(|(place, there)| {
            let before = known.get(&(identity.clone(), place)).copied();
            let there = there.into_iter().skip(before.unwrap_or_default());
            there.into_iter().find(is_alone)
        });
        // What was there once, and is moved, is there once.
        let Some(new) = new else {
            continue;
        };
        let places = copies.iter().filter_map(|it| {
            let (file, at) = it.locate(&FieldPath::default())?;
            Some(format!("{file}:{at}"))
        });
        let places: Vec<_> = places.collect();
        let message = format!(
            "{} is written several times and not always the same, at {}: a cluster has it once, and nobody can tell which one that \
             will be",
            new.name,
            places.join(" and ")
        );
        let suggestion = "write it once; where the folders are those of several clusters, have somebody read what is new in each";
        let finding = Finding::new(
            Rule::DecidesUnread,
            FieldPath::default(),
            message,
            suggestion,
        );
        found.push(Reported::of(
            new,
            usize::MAX,
            finding,
            &mut Meaning::of(new),
        ));
    }
    found
}
