//! What a change adds to what was there before.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::declared::{Located, is_about};
use super::input::{Input, ObjectName};
use super::report::{Counted, Report, Reported, breaking, crossing};

/// Where what was there before lies below `base`: at the paths that are reviewed, or else everywhere.
pub(super) fn paths(base: &Path, reviewed: &[PathBuf]) -> Vec<PathBuf> {
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
fn relative(path: &Path) -> Option<PathBuf> {
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
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for reported in found_before {
        *known.entry(reported.reach).or_default() += 1;
    }
    let mut findings = found;
    findings.retain(|reported| match known.get_mut(&reported.reach) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    });
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
    let needing = crossing.iter().chain(&breaking);
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
