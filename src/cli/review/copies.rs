//! What was known of an object before. It may have been there several times, in folders of several stages or clusters, or by
//! mistake: whichever of them holds, nothing counts as known that it did not let through. Folders may be those of clusters: what
//! comes to one in which it was not is new there, whether it was copied or moved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::base::{by_object, findings};
use super::input::{Input, Written};
use super::report::Reported;
use crate::cli::base::{self, Base};
use crate::domain::FieldPath;
use crate::review::{Body, Found, added, identity};

type Identity = [String; 4];

/// Where a copy of an object stands: in which file, as it is reviewed; None: in none, or in one that is not.
type Place = Option<PathBuf>;

/// Objects as they were.
pub(super) struct Known<'a> {
    /// Each with where it stood, in the order of the files.
    copies: BTreeMap<Identity, Vec<(Place, Found<'a>)>>,
    /// What is there several times, otherwise each time and not as now, in words; and what follows from that.
    several: Vec<String>,
    /// Those that are there now as often in each file as they were.
    are_in_place: BTreeSet<Identity>,
    /// Policies that are there no more, by group, kind and namespace, each with where it stood.
    gone: BTreeMap<[String; 3], Vec<(Place, Found<'a>)>>,
    /// Whether what was known besides policies was one thing: else nobody knows what those let through.
    is_certain: bool,
}

/// Where an object stands that is reviewed.
pub(super) fn place(written: &Written) -> Place {
    let place = written.place.as_ref()?;
    Some(base::normal(Path::new(&place.file)))
}

/// Whether something stood in the folder in which something stands now. What comes by standard input stands in none.
fn is_same_folder(was: &Place, is: &Place) -> bool {
    let (Some(was), Some(is)) = (was, is) else {
        return false;
    };
    is.as_os_str() == STDIN || was.parent() == is.parent()
}

/// What the text of standard input is called.
const STDIN: &str = "<stdin>";

/// How often an object is there, by file.
fn counts<'a>(
    all: impl Iterator<Item = (&'a Value, Place)>,
) -> BTreeMap<Identity, BTreeMap<Place, usize>> {
    let mut counts: BTreeMap<Identity, BTreeMap<Place, usize>> = BTreeMap::new();
    for (object, place) in all {
        let of_object = counts.entry(identity(object)).or_default();
        *of_object.entry(place).or_default() += 1;
    }
    counts
}

impl<'a> Known<'a> {
    /// What was found before, and how that is compared with what is there now.
    pub fn of(before: &'a Input, found: &'a [Reported], after: &Input, base: &Base) -> Self {
        let was = |written: &Written| -> Place {
            let place = written.place.as_ref()?;
            base.reviewed(Path::new(&place.file))
        };
        let mut copies: BTreeMap<Identity, Vec<(Place, Found<'_>)>> = BTreeMap::new();
        for (written, positions) in by_object(before, found) {
            let object = &written.json;
            let findings = findings(found, &positions);
            let of_name = copies.entry(identity(object)).or_default();
            of_name.push((was(written), Found { object, findings }));
        }
        let now = counts(after.written.iter().map(|it| (&it.json, place(it))));
        let then = counts(before.written.iter().map(|it| (&it.json, was(it))));
        let is_in_place = |(identity, places): &(&Identity, &BTreeMap<Place, usize>)| {
            let now = now.get(*identity);
            let mut places = places.iter();
            places.all(|(place, count)| now.is_some_and(|now| now.get(place) == Some(count)))
        };
        let are_in_place = then.iter().filter(is_in_place);
        let are_in_place = are_in_place.map(|(identity, _)| identity.clone()).collect();
        let is_certain = is_certain(before, &copies, after);
        let several = several(before, &copies, &are_in_place);
        let mut gone: BTreeMap<[String; 3], Vec<(Place, Found<'_>)>> = BTreeMap::new();
        for (identity, copies) in &copies {
            // Of several nobody knows which one it was.
            if let ([one], None) = (copies.as_slice(), now.get(identity)) {
                let [group, kind, namespace, _] = identity.clone();
                let of_kind = gone.entry([group, kind, namespace]).or_default();
                of_kind.push(one.clone());
            }
        }
        Self {
            copies,
            several,
            are_in_place,
            gone,
            is_certain,
        }
    }

    /// What counts as known otherwise than somebody may think, in words.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let what = if self.is_certain {
            "only what each of them let through counts as known"
        } else {
            "nobody knows which of them held, so whatever is found counts as new"
        };
        let several = self.several.iter();
        several.map(move |it| format!("--base: {it}: {what}"))
    }

    /// That an object comes to a folder in which it was not, in words; None: it was there, or nowhere.
    pub fn moved(&self, written: &Written) -> Option<String> {
        let copies = self.copies.get(&identity(&written.json))?;
        let is = place(written);
        if copies.iter().any(|(was, _)| is_same_folder(was, &is)) {
            return None;
        }
        let (file, at) = written.locate(&FieldPath::default())?;
        Some(format!(
            "--base: {file}:{at}: {} was in another folder, which may be that of another cluster: what is found of it counts as new",
            written.name
        ))
    }

    /// For each finding of an object, whether it was not there before; `copy` tells it from others in the same file.
    pub fn added(
        &self,
        now: &Found<'_>,
        identity: &Identity,
        (place, copy): (Place, usize),
    ) -> Vec<bool> {
        let mut is_new = vec![true; now.findings.len()];
        if !self.is_certain {
            return is_new;
        }
        let copies = self.copies.get(identity).map_or(&[][..], Vec::as_slice);
        let mut same = copies.iter().filter(|(it, _)| *it == place);
        // Whichever file holds, it is the same one as before.
        let own = same
            .nth(copy)
            .filter(|_| self.are_in_place.contains(identity));
        if let Some((_, own)) = own {
            is_new = added(now, std::slice::from_ref(own));
        } else if copies.iter().any(|(was, _)| is_same_folder(was, &place)) {
            is_new = vec![false; now.findings.len()];
            for (_, before) in copies {
                let of_copy = added(now, std::slice::from_ref(before));
                let both = is_new.iter_mut().zip(of_copy);
                both.for_each(|(is_new, of_copy)| *is_new |= of_copy);
            }
        }
        let [group, kind, namespace, _] = identity.clone();
        let gone = self.gone.get(&[group, kind, namespace]).into_iter();
        let gone = gone
            .flatten()
            .filter(|(was, _)| is_same_folder(was, &place));
        let gone: Vec<Found<'_>> = gone.map(|(_, it)| it.clone()).collect();
        if !gone.is_empty() && is_new.contains(&true) {
            let of_gone = added(now, &gone);
            for ((is_new, of_gone), finding) in is_new.iter_mut().zip(of_gone).zip(&now.findings) {
                // What nobody knows the reach of may depend on the name.
                let is_known = finding.opening.is_some() || !finding.rule.needs_approval();
                *is_new &= of_gone || !is_known;
            }
        }
        is_new
    }
}

/// Whether copies do not all say the same.
fn are_several(copies: &[(Place, Found<'_>)]) -> bool {
    let mut copies = copies.iter().map(|(_, it)| it.object);
    let first = copies.next();
    copies.any(|it| Some(it) != first)
}

/// What was there several times, and is not now in the same files: each with its places.
fn several(
    before: &Input,
    copies: &BTreeMap<Identity, Vec<(Place, Found<'_>)>>,
    are_in_place: &BTreeSet<Identity>,
) -> Vec<String> {
    let is_meant = |(identity, copies): &(&Identity, &Vec<(Place, Found<'_>)>)| {
        are_several(copies) && !are_in_place.contains(*identity)
    };
    let meant = copies.iter().filter(is_meant);
    let told = meant.filter_map(|(name, _)| {
        let mut all = before
            .written
            .iter()
            .filter(|it| identity(&it.json) == *name);
        let first = all.next()?;
        let places = [first].into_iter().chain(all).filter_map(|it| {
            let (file, at) = it.locate(&FieldPath::default())?;
            Some(format!("{file}:{at}"))
        });
        let places: Vec<_> = places.collect();
        let places = places.join(" and ");
        Some(format!(
            "{} is there several times, at {places}",
            first.name
        ))
    });
    told.collect()
}

/// Whether each network set, namespace and whatever else policies are read with was one thing, or is as it was.
fn is_certain(
    before: &Input,
    copies: &BTreeMap<Identity, Vec<(Place, Found<'_>)>>,
    after: &Input,
) -> bool {
    let is_beside = |written: &&Written| {
        let body = written.read.as_ref().map(|it| &it.body);
        !matches!(
            body,
            Ok(Body::Kubernetes(_) | Body::Calico(_) | Body::Global(_) | Body::Admin(..))
        )
    };
    let beside = before.written.iter().filter(is_beside);
    let several: BTreeSet<Identity> = beside
        .map(|it| identity(&it.json))
        .filter(|it| copies.get(it).is_some_and(|it| are_several(it)))
        .collect();
    several.iter().all(|name| {
        let now = after
            .written
            .iter()
            .filter(|it| identity(&it.json) == *name);
        let now: Vec<_> = now.map(|it| (place(it), &it.json)).collect();
        let then = copies.get(name).into_iter().flatten();
        let then: Vec<_> = then.map(|(place, it)| (place.clone(), it.object)).collect();
        now == then
    })
}
