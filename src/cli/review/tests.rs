//! The examples of `docs/review-rules.md`.

mod pipelines;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::super::source::Origin;
use super::*;
use crate::domain::{CalicoNaming, Platform, PolicyApi};
use crate::review::Rule;

const FLAVOUR: Flavour = Flavour {
    api: PolicyApi::CalicoCrdV1,
    tiers: true,
    staged: true,
    naming: CalicoNaming::TierPrefixed,
};

/// The entry of a rule.
struct Entry {
    id: String,
    text: String,
    bad: Vec<String>,
    good: Vec<String>,
}

/// What is known around the examples, and the entries.
fn catalogue() -> (String, Vec<Entry>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/review-rules.md");
    let text = fs::read_to_string(path).unwrap();
    let mut sections = text.split("\n## ");
    let head = blocks(sections.next().unwrap()).remove(0).1;
    let entries = sections.map(|section| {
        let (id, text) = section.split_once('\n').unwrap();
        let of = |word: &str| {
            let blocks = blocks(text).into_iter();
            let of_word = blocks.filter(|(before, _)| before.starts_with(word));
            of_word.map(|(_, yaml)| yaml).collect()
        };
        Entry {
            id: id.to_owned(),
            bad: of("Bad"),
            good: of("Good"),
            text: text.to_owned(),
        }
    });
    (head, entries.collect())
}

/// The blocks of YAML in a text, each with the line of text before it.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut inside: Option<String> = None;
    for line in text.lines() {
        match &mut inside {
            None if line == "```yaml" => inside = Some(String::new()),
            None if line.is_empty() => {}
            None => before = line,
            Some(_) if line == "```" => {
                blocks.extend(inside.take().map(|it| (before.to_owned(), it)));
            }
            Some(yaml) => {
                yaml.push_str(line);
                yaml.push('\n');
            }
        }
    }
    blocks
}

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
        origin: Origin::Named,
    }
}

/// Where there are tiers.
fn found(head: &str, example: &str) -> Vec<Reported> {
    found_by(head, example, FLAVOUR)
}

fn found_by(head: &str, example: &str, flavour: Flavour) -> Vec<Reported> {
    let files = vec![file("head.yaml", head), file("example.yaml", example)];
    let sources = Sources {
        files,
        ..Sources::default()
    };
    let input = Input::of_files(sources, &Platform::default(), None).unwrap();
    assert_eq!(input.unreadable, [], "{example}");
    assert!(input.skipped.is_empty(), "{example}");
    assert!(!input.written.is_empty(), "{example}");
    report::judged(&input, &landscape(&input, flavour))
}

#[test]
fn every_rule_has_an_entry_and_every_entry_a_rule() {
    let (_, entries) = catalogue();
    let ids: Vec<&str> = entries.iter().map(|it| it.id.as_str()).collect();
    let rules: Vec<&str> = Rule::ALL.iter().map(|it| it.id()).collect();
    assert_eq!(ids, rules);
    for (entry, rule) in entries.iter().zip(Rule::ALL) {
        let leaves = if rule.leaves_boundary() {
            ", leaves the boundary"
        } else {
            ""
        };
        let first = format!("**{}**{leaves}: {}.", rule.severity(), rule.title());
        assert_eq!(entry.text.lines().nth(1), Some(first.as_str()), "{rule}");
        assert!(!entry.bad.is_empty() && !entry.good.is_empty(), "{rule}");
    }
}

#[test]
fn bad_examples_are_found_by_their_rule_and_good_ones_need_no_approval() {
    let (head, entries) = catalogue();
    let mut wrong = Vec::new();
    let told = |found: &[Reported]| -> Vec<String> {
        found.iter().map(|it| it.finding.to_string()).collect()
    };
    for entry in &entries {
        let is_it = |it: &Reported| it.finding.rule.id() == entry.id && it.counts();
        for bad in &entry.bad {
            // An order says more where there are no tiers.
            let tiers = entry.id != Rule::OrderBeforePlatform.id();
            let found = found_by(&head, bad, Flavour { tiers, ..FLAVOUR });
            if !found.iter().any(is_it) {
                wrong.push(format!("{}, bad: {:#?}", entry.id, told(&found)));
            }
        }
        for good in &entry.good {
            let found = found(&head, good);
            if found
                .iter()
                .any(|it| is_it(it) || it.finding.needs_approval())
            {
                wrong.push(format!("{}, good: {:#?}", entry.id, told(&found)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_leaves_a_boundary_names_who_gets_through() {
    // Nobody can be named, or not in each example; the catalogue says why.
    const WITHOUT: [&str; 4] = ["invalid", "other-tier", "namespace-unknown", "too-complex"];
    let (head, entries) = catalogue();
    for (entry, rule) in entries.iter().zip(Rule::ALL) {
        let of_rule = |bad: &String| {
            let found = found(&head, bad).into_iter();
            found
                .filter(|it| it.finding.rule == *rule)
                .collect::<Vec<_>>()
        };
        let mut all = entry.bad.iter().flat_map(of_rule);
        if !rule.leaves_boundary() {
            assert!(all.all(|it| it.finding.witness.is_none()), "{rule}");
        } else if WITHOUT.contains(&rule.id()) {
            let is_known = !["namespace-unknown", "too-complex"].contains(&rule.id());
            assert_eq!(
                all.any(|it| it.finding.witness.is_some()),
                is_known,
                "{rule}"
            );
        } else {
            assert!(all.all(|it| it.finding.witness.is_some()), "{rule}");
        }
        for it in entry.bad.iter().flat_map(of_rule) {
            assert!(!it.finding.suggestion.is_empty(), "{rule}");
        }
    }
}

#[test]
fn what_is_found_stands_where_it_is_written() {
    let (head, entries) = catalogue();
    for entry in &entries {
        for bad in &entry.bad {
            let lines = bad.lines().count();
            for reported in found(&head, bad) {
                assert_eq!(reported.file.as_deref(), Some("example.yaml"));
                let line = reported.at.unwrap().line;
                assert!((1..=lines).contains(&line), "{}: {line}", entry.id);
            }
        }
    }
}

#[test]
fn no_two_findings_of_a_file_have_one_fingerprint() {
    let (head, entries) = catalogue();
    let all: Vec<&str> = entries
        .iter()
        .flat_map(|it| &it.bad)
        .map(String::as_str)
        .collect();
    let twice = [all.as_slice(), &all].concat().join("---\n");
    let found = found(&head, &twice);
    let fingerprints: BTreeSet<_> = found.iter().map(|it| &it.fingerprint).collect();
    assert_eq!(fingerprints.len(), found.len());
}
