//! What a change adds to what was there before.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::declared::{Located, is_about};
use super::input::{Input, ObjectName};
use super::report::{Counted, Report, Reported, breaking, crossing, unread};
use crate::review::{self, Finding, Found, Object, Rule, added, identity};

/// Where what was there before lies below `base`: at the paths that are reviewed, or else everywhere.
pub(in crate::cli) fn paths(base: &Path, reviewed: &[PathBuf]) -> Vec<PathBuf> {
    let below = reviewed.iter().filter_map(|path| {
        let relative = relative(path)?;
        let there = base.join(relative);
        there.exists().then_some(there)
    });
    let below: Vec<PathBuf> = below.collect();
    if below.is_empty() {
        vec![base.to_owned()]
    } else {
        below
    }
}

/// A path below the working directory; None for others, and for standard input.
pub(super) fn relative(path: &Path) -> Option<PathBuf> {
    let here = std::env::current_dir().ok();
    let path = match here.filter(|_| path.is_absolute()) {
        Some(here) => path.strip_prefix(here).ok()?,
        None => path,
    };
    let mut relative = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) if name != "-" => relative.push(name),
            _ => return None,
        }
    }
    Some(relative)
}

/// Keeps what is found anew, and counts what changed; `declared` is what is told of declarations.
pub(super) fn compared(
    after: &Input,
    before: &Input,
    (found, found_before): (Vec<Reported>, Vec<Reported>),
    declared: Vec<Located>,
) -> Report {
    let mut findings = new(after, found, (before, &found_before));
    for reported in &mut findings {
        reported.waiver_is_new = true;
    }
    let mut report = Report::new(findings, Counted::default());
    let crossing = crossing(&report.findings);
    let breaking = breaking(&report.findings);
    let told = |name: &ObjectName| declared.iter().any(|it| is_about(name, &it.change));
    let mut changed = changed(before, after);
    // What is told of a declaration is counted one by one.
    changed.retain(|name| !told(name));
    // What did not change can cross all the same, where what is known besides did.
    let unread = unread(&report.findings);
    let needing = crossing.iter().chain(&breaking).chain(&unread);
    changed.extend(needing.map(|name| (*name).clone()));
    changed.sort();
    changed.dedup();
    let opening = declared.iter().filter(|it| it.change.crosses_boundary);
    report.counted = Counted::Changes {
        crossing: crossing.len() + opening.count(),
        breaking: breaking.len(),
        all: changed.len() + declared.len(),
    };
    report.changes = declared;
    report
}

/// Why things were waived before for which a waiver gives another reason now, by the position of the object.
fn other_reasons(before: &Input, after: &Input) -> BTreeMap<(usize, Rule), String> {
    let mut known: BTreeMap<[String; 4], &Object> = BTreeMap::new();
    for written in &before.written {
        if let Ok(object) = &written.read {
            known.insert(identity(&written.json), object);
        }
    }
    let mut reasons = BTreeMap::new();
    for (position, written) in after.written.iter().enumerate() {
        let known = known.get(&identity(&written.json));
        if let (Ok(object), Some(before)) = (&written.read, known) {
            let others = review::other_reasons(before, object).into_iter();
            reasons.extend(others.map(|it| ((position, it.rule), it.before)));
        }
    }
    reasons
}

/// What was not found before in the object that was called so.
fn new(
    after: &Input,
    found: Vec<Reported>,
    (before, found_before): (&Input, &[Reported]),
) -> Vec<Reported> {
    let mut known: BTreeMap<[String; 4], Vec<Found<'_>>> = BTreeMap::new();
    for (object, positions) in by_object(before, found_before) {
        let findings = findings(found_before, &positions);
        let of_name = known.entry(identity(object)).or_default();
        of_name.push(Found { object, findings });
    }
    let mut is_old = vec![false; found.len()];
    for (object, positions) in by_object(after, &found) {
        let findings = findings(&found, &positions);
        let before = known.get(&identity(object));
        let now = Found { object, findings };
        let is_new = added(&now, before.map_or(&[], Vec::as_slice));
        for (position, is_new) in positions.into_iter().zip(is_new) {
            is_old[position] = !is_new;
        }
    }
    let reasons = other_reasons(before, after);
    let found = found.into_iter().zip(is_old).map(|(mut reported, is_old)| {
        let waived = reported.finding.waived.as_ref();
        let before = waived.and_then(|_| reasons.get(&(reported.written, reported.finding.rule)));
        reported.waiver_before = before.cloned();
        (reported, is_old)
    });
    // Who approved a waiver did so for its reason.
    let new = found.filter(|(reported, is_old)| !is_old || reported.waiver_before.is_some());
    new.map(|(reported, _)| reported).collect()
}

fn findings<'a>(found: &'a [Reported], positions: &[usize]) -> Vec<&'a Finding> {
    let reported = positions.iter().filter_map(|it| found.get(*it));
    reported.map(|it| &it.finding).collect()
}

/// The positions of what is found in each object that is judged.
fn by_object<'a>(
    input: &'a Input,
    found: &[Reported],
) -> impl Iterator<Item = (&'a Value, Vec<usize>)> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new(); input.written.len()];
    for (position, reported) in found.iter().enumerate() {
        if let Some(of_object) = all.get_mut(reported.written) {
            of_object.push(position);
        }
    }
    input.written.iter().map(|it| &it.json).zip(all)
}

/// Objects that were added, changed or taken away.
fn changed(before: &Input, after: &Input) -> Vec<ObjectName> {
    let before = objects(before);
    let after = objects(after);
    let names = before.keys().chain(after.keys());
    let changed = names.filter(|name| before.get(*name) != after.get(*name));
    changed.map(|name| (*name).clone()).collect()
}

fn objects(input: &Input) -> BTreeMap<&ObjectName, Vec<&Value>> {
    let mut objects: BTreeMap<&ObjectName, Vec<&Value>> = BTreeMap::new();
    let written = input.written.iter().map(|it| (&it.name, &it.json));
    let others = input.others.iter().map(|it| (&it.name, &it.json));
    for (name, json) in written.chain(others) {
        objects.entry(name).or_default().push(json);
    }
    objects
}
