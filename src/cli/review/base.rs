//! What a change adds to what was there before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::copies::{Known, place};
use super::declared::{self, Located, is_about};
use super::input::{Input, ObjectName, Written};
use super::kustomization::Applied;
use super::report::{self, Counted, CountedOf, Report, Reported, breaking, crossing};
use super::{Reviewed, between, kustomization, several, unread};
use crate::cli::base::{self, Base};
use crate::cli::schema::SchemaError;
use crate::domain::Flavour;
use crate::review::{self, Finding, Found, Object, Rule, identity};

/// What a change adds, in policies and in declarations; what of it only people can judge as well.
pub(super) fn report(
    (now, found): (&Input, Vec<Reported>),
    mut before: Reviewed,
    base: &Base,
    flavour: Flavour,
) -> Result<Report, SchemaError> {
    let was_applied = before.input.applied.clone();
    let applied = now.applied.clone().after(&was_applied, base);
    // What comes into force by being named is new.
    let written = &before.input.written;
    before.found.retain(|it| {
        let written = written.get(it.written);
        written.is_none_or(|it| it.is_applied(&was_applied) || !is_applied_now(it, &applied, base))
    });
    let found = (found, before.found);
    let was = before.input.in_force(&was_applied)?;
    let is = now.in_force(&applied)?;
    let declared = declared::compared(&was, &is, flavour);
    let changed = changed(&was, &is);
    let mut report = compared(now, &before.input, found, (declared, changed), base);
    report.notes.extend(left_out(now, &was, &applied, base));
    report.findings.extend(unread::gone(&was, &is));
    report.findings.extend(several::written(&was, &is, base));
    between::opened(&mut report, &was, &is);
    kustomization::changed(&mut report, (&before.input, base), now);
    report.compared = base.pairs().to_vec();
    Ok(report)
}

/// Whether the file of something that was there is applied now.
fn is_applied_now<T>(was: &Written<T>, applied: &Applied, base: &Base) -> bool {
    let file = was.place.as_ref();
    let file = file.and_then(|it| base.reviewed(Path::new(&it.file)));
    file.is_none_or(|it| applied.has(&it))
}

/// Files that were applied, and are left out now though they are there, in words.
fn left_out(after: &Input, was: &Input, applied: &Applied, base: &Base) -> Vec<String> {
    let others = was.others.iter().map(|it| &it.place);
    let was = was.written.iter().map(|it| &it.place);
    let was = was.chain(others).flatten();
    let was: BTreeSet<_> = was
        .filter_map(|it| base.reviewed(Path::new(&it.file)))
        .collect();
    let now = after.written.iter().map(|it| &it.place);
    let others = after.others.iter().map(|it| &it.place);
    let now = now.chain(others).flatten();
    let files = now.map(|it| it.file.as_str()).filter(|file| {
        !applied.has(Path::new(file)) && was.contains(&base::normal(Path::new(file)))
    });
    let files: BTreeSet<&str> = files.collect();
    let told = files.into_iter().map(|file| {
        format!("--base: {file} is there, and no kustomization names it any more: what it holds counts as gone")
    });
    told.collect()
}

/// Keeps what is found anew, and counts what changed; `declared` is what is told of declarations.
fn compared(
    after: &Input,
    before: &Input,
    (found, found_before): (Vec<Reported>, Vec<Reported>),
    (declared, mut changed): (Vec<Located>, Vec<ObjectName>),
    base: &Base,
) -> Report {
    let known = Known::of(before, &found_before, after, base);
    let mut findings = new(after, before, found, &known);
    let moved = findings.iter().filter(|it| it.needs_approval());
    let moved = moved.filter_map(|it| known.moved(after.written.get(it.written)?));
    let moved: BTreeSet<String> = moved.collect();
    let notes = known.notes().chain(moved).collect();
    let declared_before = declared_before(before, &found_before);
    findings.retain(|it| !is_as_declared(it, after, &declared_before));
    for reported in &mut findings {
        reported.waiver_is_new = true;
    }
    let mut report = Report::new(findings, Counted::default());
    let crossing = crossing(&report.findings);
    let breaking = breaking(&report.findings);
    let told = |name: &ObjectName| declared.iter().any(|it| is_about(name, &it.change));
    // What is told of a declaration is counted one by one.
    changed.retain(|name| !told(name));
    // What did not change can cross all the same, where what is known besides did.
    let unread = report::unread(&report.findings);
    let settled = report::settled(&report.findings);
    let crossing_now = crossing.iter().chain(&breaking).chain(&unread);
    changed.extend(crossing_now.chain(&settled).map(|name| (*name).clone()));
    changed.sort();
    changed.dedup();
    let opening = declared.iter().filter(|it| it.change.crosses_boundary);
    report.counted = Counted {
        of: CountedOf::Changes,
        crossing: crossing.len() + opening.count(),
        breaking: breaking.len(),
        all: changed.len() + declared.len(),
    };
    report.changes = declared;
    report.notes = notes;
    report
}

/// Objects as they were, by what they are called, each with what was declared of what was found in it.
type DeclaredBefore<'a> = BTreeMap<[String; 4], Vec<(&'a Value, Vec<&'a Finding>)>>;

fn declared_before<'a>(before: &'a Input, found: &'a [Reported]) -> DeclaredBefore<'a> {
    let mut all = DeclaredBefore::new();
    for (written, positions) in by_object(before, found) {
        let mut declared = findings(found, &positions);
        declared.retain(|it| it.declared.is_some());
        if !declared.is_empty() {
            let of_name = all.entry(identity(&written.json)).or_default();
            of_name.push((&written.json, declared));
        }
    }
    all
}

/// Whether it is declared, and was before in an object that says the same: wherever that stands now, and whatever else is known
/// of those beside it, that is no news.
fn is_as_declared(reported: &Reported, after: &Input, before: &DeclaredBefore<'_>) -> bool {
    let finding = &reported.finding;
    let Some(written) = after.written.get(reported.written) else {
        return false;
    };
    let known = before.get(&identity(&written.json));
    finding.declared.is_some()
        && known.into_iter().flatten().any(|(json, declared)| {
            let mut declared = declared.iter();
            **json == written.json
                && declared.any(|it| (it.rule, &it.path) == (finding.rule, &finding.path))
        })
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

/// What was not found before in the object that was called so, nor in a policy beside it that is gone.
fn new(after: &Input, before: &Input, found: Vec<Reported>, known: &Known<'_>) -> Vec<Reported> {
    let mut is_old = vec![false; found.len()];
    let mut seen = BTreeMap::new();
    for (written, positions) in by_object(after, &found) {
        let identity = identity(&written.json);
        let copy = seen.entry((identity.clone(), place(written))).or_insert(0);
        let now = Found {
            object: &written.json,
            findings: findings(&found, &positions),
        };
        let is_new = known.added(&now, &identity, (place(written), *copy));
        *copy += 1;
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

pub(super) fn findings<'a>(found: &'a [Reported], positions: &[usize]) -> Vec<&'a Finding> {
    let reported = positions.iter().filter_map(|it| found.get(*it));
    reported.map(|it| &it.finding).collect()
}

/// The positions of what is found in each object that is judged.
pub(super) fn by_object<'a>(
    input: &'a Input,
    found: &[Reported],
) -> impl Iterator<Item = (&'a Written, Vec<usize>)> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new(); input.written.len()];
    for (position, reported) in found.iter().enumerate() {
        if let Some(of_object) = all.get_mut(reported.written) {
            of_object.push(position);
        }
    }
    input.written.iter().zip(all)
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
