//! A file of exceptions: what somebody has decided to live with, for a reason and for a time.

use std::io::Read;
use std::path::Path;

use jiff::civil::Date;

use super::input::Reading;
use crate::api::rule;
use crate::cli::document::{self, Content, Entry, Flaw, Node};
use crate::cli::finding::Finding;
use crate::cli::spelling;
use crate::domain::FieldPath;
use crate::posture::{Exception, Question};

/// The only field of the file.
const EXCEPTIONS: &str = "exceptions";
const CHECK: &str = "check";
const RESOURCE: &str = "resource";
const REASON: &str = "reason";
const EXPIRES: &str = "expires";
/// The fields of an exception.
const FIELDS: [&str; 4] = [CHECK, RESOURCE, REASON, EXPIRES];

/// The exceptions of a file. What is wrong with one of them is told, and the others count.
pub(super) fn read(path: &Path, stdin: &mut dyn Read, reading: &mut Reading) -> Vec<Exception> {
    let mut all = Vec::new();
    for file in reading.texts(path, stdin) {
        let (exceptions, flaws) = parsed(&file.name, &file.text);
        all.extend(exceptions);
        let findings = flaws.iter().map(|it| Finding::of_flaw(&file.name, it));
        reading.findings.extend(findings);
        reading.sources.push(file);
    }
    all
}

fn parsed(name: &str, text: &str) -> (Vec<Exception>, Vec<Flaw>) {
    let stream = document::parse(text);
    let mut flaws = stream.syntax;
    let mut exceptions = Vec::new();
    for document in &stream.documents {
        flaws.extend(document.flaws.iter().cloned());
        let root = &document.root;
        known_fields(root, &FieldPath::default(), &[EXCEPTIONS], &mut flaws);
        let path = FieldPath::default().key(EXCEPTIONS);
        if let Some(Content::List(items)) = root.get(EXCEPTIONS).map(|it| &it.content) {
            for (at, item) in items.iter().enumerate() {
                exceptions.extend(exception(name, item, &path.index(at), &mut flaws));
            }
        } else {
            let at = root.locate(&path);
            let rule = "must be a list of exceptions, each with check, reason and expires";
            flaws.push(Flaw::new(at, path, "", rule));
        }
    }
    (exceptions, flaws)
}

fn exception(
    file: &str,
    node: &Node,
    path: &FieldPath,
    flaws: &mut Vec<Flaw>,
) -> Option<Exception> {
    let before = flaws.len();
    known_fields(node, path, &FIELDS, flaws);
    let check = required(node, path, CHECK, flaws);
    let question = check.and_then(|word| {
        let found = Question::of_id(word);
        if found.is_none() {
            let ids = Question::ALL.iter().map(|it| it.id());
            wrong(
                node,
                path.key(CHECK),
                word,
                spelling::unknown("check", word, ids),
                flaws,
            );
        }
        found
    });
    let reason = required(node, path, REASON, flaws);
    let expires = required(node, path, EXPIRES, flaws).and_then(|text| {
        let day = text.parse::<Date>().ok();
        // Longer forms are read as well, and say more than a day.
        let day = day.filter(|day| day.to_string() == text);
        if day.is_none() {
            wrong(node, path.key(EXPIRES), text, rule::DATE, flaws);
        }
        day
    });
    // Nothing behind the field is no resource, and not all of them.
    let resource = node
        .get(RESOURCE)
        .and_then(|_| text_of(node, path, RESOURCE, flaws));
    let exception = Exception {
        question: question?,
        resource: resource.map(str::to_owned),
        reason: reason?.to_owned(),
        expires: expires?,
        place: format!("{file}:{}", node.at),
    };
    (flaws.len() == before).then_some(exception)
}

/// Tells fields that there are not.
fn known_fields(node: &Node, path: &FieldPath, known: &[&str], flaws: &mut Vec<Flaw>) {
    let Content::Map(entries) = &node.content else {
        return;
    };
    let strange = entries
        .iter()
        .filter(|it| !known.contains(&it.key.as_str()));
    flaws.extend(strange.map(|Entry { key, key_at, .. }| {
        let rule = spelling::unknown("field", key, known.iter().copied());
        Flaw::new(*key_at, path.key(key), "", rule)
    }));
}

/// The text of a field that has to be there.
fn required<'a>(
    node: &'a Node,
    path: &FieldPath,
    key: &str,
    flaws: &mut Vec<Flaw>,
) -> Option<&'a str> {
    match node.get(key) {
        Some(value) if !value.is_null() => text_of(node, path, key, flaws),
        _ => {
            let rule = format!(
                "this field is required and missing: an exception has {CHECK}, {REASON} and {EXPIRES}"
            );
            wrong(node, path.key(key), "", rule, flaws);
            None
        }
    }
}

fn text_of<'a>(
    node: &'a Node,
    path: &FieldPath,
    key: &str,
    flaws: &mut Vec<Flaw>,
) -> Option<&'a str> {
    let text = node.get(key).and_then(|it| it.text()).map(str::trim);
    let text = text.filter(|it| !it.is_empty());
    if text.is_none() {
        wrong(
            node,
            path.key(key),
            "",
            "must be text, and not empty",
            flaws,
        );
    }
    text
}

fn wrong(
    node: &Node,
    path: FieldPath,
    value: &str,
    rule: impl Into<String>,
    flaws: &mut Vec<Flaw>,
) {
    // Paths begin at the root of the file, and nodes at the exception.
    let own = FieldPath(path.0.iter().skip(2).cloned().collect());
    flaws.push(Flaw::new(node.locate(&own), path, value, rule));
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn told(text: &str) -> (usize, Vec<String>) {
        let (exceptions, flaws) = parsed("a.yaml", text);
        let flaws = flaws
            .iter()
            .map(|it| format!("{}: {}", it.at, it.message()));
        (exceptions.len(), flaws.collect())
    }

    #[test]
    fn an_exception_has_a_check_a_reason_and_a_last_day() {
        let text = "exceptions:\n- check: waf-in-front\n  resource: agw\n  reason: CHG-1\n  expires: 2027-06-30\n";
        let (exceptions, flaws) = parsed("a.yaml", text);
        assert_eq!(flaws, []);
        assert_eq!(
            exceptions,
            [Exception {
                question: Question::WafInFront,
                resource: Some("agw".to_owned()),
                reason: "CHG-1".to_owned(),
                expires: date(2027, 6, 30),
                place: "a.yaml:2:3".to_owned(),
            }]
        );
    }

    #[test]
    fn each_that_is_wrong_is_told_and_the_others_count() {
        let text = "\
exceptions:
- {check: waf-in-frnt, reason: a, expires: 2027-06-30}
- {check: subnet-nsg, expires: 2027-06-30}
- {check: subnet-nsg, reason: ' ', expires: 30.6.2027, until: never}
- {check: ddos-protection, reason: no money, expires: 2027-06-30}
";
        let (count, told) = told(text);
        assert_eq!(count, 1);
        assert_eq!(
            told,
            [
                "2:11: exceptions[0].check: \"waf-in-frnt\": unknown check: did you mean waf-in-front?",
                "3:3: exceptions[1].reason: this field is required and missing: an exception has check, reason and expires",
                "4:56: exceptions[2].until: unknown field: there are check, resource, reason, expires",
                "4:31: exceptions[2].reason: must be text, and not empty",
                "4:45: exceptions[2].expires: \"30.6.2027\": is not a day: write it like 2027-06-30",
            ]
        );
    }

    /// All of a check is meant where the field is left out, and not where somebody forgot its value.
    #[test]
    fn a_resource_without_a_value_excepts_nothing() {
        for value in ["", "null", "~", "''"] {
            let text = format!(
                "exceptions:\n- check: subnet-nsg\n  resource: {value}\n  reason: a\n  expires: 2027-06-30\n"
            );
            let (count, told) = told(&text);
            assert_eq!(count, 0, "{value}");
            assert!(
                told[0].contains("exceptions[0].resource: must be text, and not empty"),
                "{told:?}"
            );
        }
    }

    #[test]
    fn a_file_of_something_else_is_told() {
        let (count, flaws) = told("exeptions: []\n");
        assert_eq!(count, 0);
        assert_eq!(
            flaws[0],
            "1:1: exeptions: unknown field: did you mean exceptions?"
        );
        assert!(
            flaws[1].contains("must be a list of exceptions"),
            "{flaws:?}"
        );
        assert!(told("- a\n").1[0].contains("must be a list of exceptions"));
    }
}
