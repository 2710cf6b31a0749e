//! SARIF, as its schema has it and code scanning reads it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::base::{TO_PARTNER, zones};
use super::command::*;
use super::sarif_schema::{code_scanning_takes, is_of_the_schema};

fn sarif(files: &[(&str, &str)]) -> Value {
    review(files, &["-f", ".", "-o", "sarif"]).json()
}

/// The bad examples of the catalogue, each in a file of its own, with what is known around them.
fn catalogue() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/review-rules.md");
    let text = fs::read_to_string(path).unwrap();
    let mut files = Vec::new();
    for (at, block) in text.split("```yaml\n").skip(1).enumerate() {
        let (yaml, _) = block.split_once("```\n").unwrap();
        let is_bad = |before: &str| before.trim_end().ends_with("Bad:");
        if at == 0 || is_bad(text.split("```yaml\n").nth(at).unwrap()) {
            files.push((format!("examples/{at}.yaml"), yaml.to_owned()));
        }
    }
    files
}

#[test]
fn every_rule_in_one_log_is_valid() {
    let mut files = catalogue();
    let waived = waived(&policy("team == 'red'"), "namespace-labels: CHG-1");
    files.push(("waived.yaml".to_owned(), waived));
    let other = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a}\n";
    files.push(("other.yaml".to_owned(), other.to_owned()));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    let log = sarif(&files);
    is_of_the_schema(&log);
    code_scanning_takes(&log);
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    let found: BTreeSet<&str> = results
        .iter()
        .map(|it| it["ruleId"].as_str().unwrap())
        .collect();
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let known: BTreeSet<&str> = rules.iter().map(|it| it["id"].as_str().unwrap()).collect();
    let missing: Vec<_> = known.difference(&found).collect();
    // Only a change of a declaration is told by the one, and only without tiers the other is.
    assert_eq!(missing, [&"declaration-opens", &"order-before-platform"]);
    let suppressed = |it: &&Value| it["suppressions"] != serde_json::json!([]);
    assert_eq!(results.iter().filter(suppressed).count(), 1);

    // What nothing is said of is told, since an empty log looks like consent.
    let notes = &run["invocations"][0]["toolExecutionNotifications"];
    let notes = notes.as_array().unwrap();
    let of_kind = |it: &&Value| {
        it["message"]["text"]
            .as_str()
            .unwrap()
            .contains("CiliumNetworkPolicy")
    };
    assert_eq!(notes.iter().find(of_kind).unwrap()["level"], "warning");
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
}

#[test]
fn what_opens_against_a_base_is_valid() {
    let before = zones(10, "");
    let after = zones(10, TO_PARTNER);
    let policy = policy(OUTSIDE);
    let files = [
        ("main/network/z.yaml", before.as_str()),
        ("network/z.yaml", after.as_str()),
        ("network/p.yaml", policy.as_str()),
    ];
    let ran = review(&files, &["-f", "network", "--base", "main", "-o", "sarif"]);
    let log = ran.json();
    is_of_the_schema(&log);
    code_scanning_takes(&log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    let rules: Vec<_> = results
        .iter()
        .map(|it| it["ruleId"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["code-missing", "declaration-opens"]);
}

/// GitHub refuses a log with more results, and nothing of it would be shown.
#[test]
fn no_log_has_more_results_than_code_scanning_takes() {
    let harmless = policy(INSIDE).replace("  types: [Ingress]\n", "") + "---\n";
    let many = harmless.repeat(25_010);
    let crossing = policy(OUTSIDE);
    let files = [
        ("zones.yaml", ZONES),
        ("a.yaml", many.as_str()),
        ("z.yaml", crossing.as_str()),
    ];
    let log = sarif(&files);
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 25_000);
    assert!(results.iter().any(|it| it["ruleId"] == "code-missing"));
    let note = run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"].clone();
    assert!(
        note.as_str().unwrap().contains("more results are left out"),
        "{note}"
    );
}

#[test]
fn sarif_is_what_code_scanning_reads() {
    let waived = waived(&policy("team == 'red'"), "namespace-labels: CHG-1")
        .replace("from-frontend", "waived");
    let crossing = policy(OUTSIDE).replace("  types: [Ingress]\n", "");
    let files = [
        ("zones.yaml", ZONES),
        ("with space/a#1.yaml", crossing.as_str()),
        ("b.yaml", waived.as_str()),
    ];
    let log = sarif(&files);
    is_of_the_schema(&log);
    assert_eq!(log["version"], "2.1.0");
    assert!(
        log["$schema"]
            .as_str()
            .unwrap()
            .ends_with("sarif-2.1.0.json")
    );
    let [run] = log["runs"].as_array().unwrap().as_slice() else {
        panic!("one run");
    };
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "kubectl-landingzone");
    let rules = driver["rules"].as_array().unwrap();
    let levels = ["none", "note", "warning", "error"];
    for rule in rules {
        assert!(
            !rule["shortDescription"]["text"]
                .as_str()
                .unwrap()
                .is_empty()
        );
        let level = rule["defaultConfiguration"]["level"].as_str().unwrap();
        assert!(levels.contains(&level));
    }
    let results = run["results"].as_array().unwrap();
    let told: Vec<(&str, &str, &str)> = results
        .iter()
        .map(|result| {
            let location = &result["locations"][0]["physicalLocation"];
            let uri = location["artifactLocation"]["uri"].as_str().unwrap();
            let rule = result["ruleId"].as_str().unwrap();
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], rule);
            assert!(location["region"]["startLine"].as_u64().unwrap() > 0);
            assert!(location["region"]["startColumn"].as_u64().unwrap() > 0);
            assert!(!result["message"]["text"].as_str().unwrap().is_empty());
            let fingerprint = &result["partialFingerprints"]["primaryLocationLineHash"];
            assert!(fingerprint.as_str().unwrap().ends_with(":1"));
            (uri, rule, result["level"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("b.yaml", "namespace-labels", "note"),
            ("with%20space/a%231.yaml", "types-missing", "warning"),
            ("with%20space/a%231.yaml", "code-missing", "error"),
        ]
    );
    let suppressions = serde_json::json!([{"kind": "inSource", "justification": "CHG-1"}]);
    assert_eq!(results[0]["suppressions"], suppressions);
    assert_eq!(results[1]["suppressions"], serde_json::json!([]));
}

#[test]
fn fingerprints_stay_when_lines_move() {
    let fingerprints = |policy: &str| -> Vec<Value> {
        let log = sarif(&[("zones.yaml", ZONES), ("a.yaml", policy)]);
        let results = log["runs"][0]["results"].as_array().unwrap().clone();
        let of = |it: &Value| it["partialFingerprints"].clone();
        results.iter().map(of).collect()
    };
    let policy = policy(OUTSIDE);
    let moved = format!(
        "# a comment\n\n{}",
        policy.replace("  selector: all()\n", "\n  selector: all()\n")
    );
    assert_eq!(fingerprints(&policy), fingerprints(&moved));
    let other = policy.replace(OUTSIDE, "zone == 'backend'");
    assert_ne!(fingerprints(&policy), fingerprints(&other));
}
