//! The command in one process, with files as `az` prints them.

use std::fs;
use std::path::Path;

use clap::{Args as _, CommandFactory as _, Parser};
use jiff::civil::date;
use serde_json::Value;

use super::*;
use crate::posture::Question;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    posture: PostureArgs,
}

const TODAY: Date = date(2026, 11, 28);

/// The path of an input.
fn input(name: &str) -> String {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/posture/inputs");
    inputs.join(name).display().to_string()
}

struct Ran {
    outcome: Outcome,
    out: String,
    err: String,
}

fn run(arguments: &[&str]) -> Ran {
    run_with(arguments, b"")
}

fn run_with(arguments: &[&str], mut stdin: &[u8]) -> Ran {
    let arguments = ["posture"].iter().chain(arguments);
    let command = Command::try_parse_from(arguments).unwrap();
    let mut err = Vec::new();
    let (outcome, out) = command
        .posture
        .posture(TODAY, &mut stdin, &mut err)
        .unwrap();
    Ran {
        outcome,
        out: anstream::adapter::strip_str(&out).to_string(),
        err: String::from_utf8(err).unwrap(),
    }
}

/// All that is around the cluster that is as it should be.
fn good() -> Vec<String> {
    let files = [
        ("cluster", "aks-show"),
        ("vnet", "vnet"),
        ("route-tables", "route-tables"),
        ("application-gateways", "application-gateways"),
        ("api-management", "apim"),
        ("network-watchers", "network-watchers"),
        ("flow-logs", "flow-logs"),
        ("diagnostic-settings", "diagnostic-settings"),
        ("activity-log-alerts", "activity-log-alerts"),
        ("policy-assignments", "policy-assignments"),
    ];
    let files = files.iter().flat_map(|(flag, file)| {
        let file = input(&format!("{file}.json"));
        [format!("--{flag}"), file]
    });
    files.collect()
}

fn bad() -> Vec<String> {
    let files = [("cluster", "aks-show-bad"), ("vnet", "vnet-bad")];
    let files = files.iter().flat_map(|(flag, file)| {
        let file = input(&format!("{file}.json"));
        [format!("--{flag}"), file]
    });
    files.collect()
}

fn with<'a>(files: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    files
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect()
}

#[test]
fn the_whole_report_of_a_good_cluster() {
    let ran = run(&with(&good(), &[]));
    assert_eq!((ran.outcome, ran.err.as_str()), (Outcome::Done, ""));
    insta::assert_snapshot!(ran.out);
}

#[test]
fn the_whole_report_of_a_bad_cluster() {
    let ran = run(&with(&bad(), &[]));
    assert_eq!((ran.outcome, ran.err.as_str()), (Outcome::Found, ""));
    insta::assert_snapshot!(ran.out);
}

#[test]
fn json_says_the_same() {
    let ran = run(&with(&bad(), &["-o", "json"]));
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let checks = told["checks"].as_array().unwrap();
    let ids: Vec<_> = checks.iter().map(|it| it["id"].as_str().unwrap()).collect();
    let all: Vec<_> = Question::ALL.iter().map(|it| it.id()).collect();
    assert_eq!(ids, all);
    for check in checks {
        let is = |outcome: &str| check["outcome"] == outcome;
        let is_empty = |key: &str| check[key].as_array().unwrap().is_empty();
        assert!(!is_empty("seen"), "{check}");
        assert_eq!(is_empty("wouldTell"), !is("unknown"), "{check}");
        assert_eq!(is_empty("mend"), !is("fail"), "{check}");
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&checks[0]).unwrap());
}

/// Raw answers of Azure Resource Manager, in which most fields stand below `properties`, and are spelt otherwise.
#[test]
fn raw_answers_and_yaml_say_the_same() {
    let text = fs::read_to_string(input("aks-show.json")).unwrap();
    let printed: Value = serde_json::from_str(&text).unwrap();
    let outer = [
        "id", "name", "type", "location", "sku", "kind", "identity", "tags",
    ];
    let mut raw = serde_json::json!({"properties": {}});
    for (key, value) in printed.as_object().unwrap() {
        if outer.contains(&key.as_str()) {
            raw[key] = value.clone();
        } else if !value.is_null() {
            raw["properties"][key] = value.clone();
        }
    }
    let raw = serde_json::to_string(&raw)
        .unwrap()
        .replace("vnetSubnetId", "vnetSubnetID");
    let expected = run(&["--cluster", &input("aks-show.json")]);
    let from_raw = run_with(&["--cluster", "-"], raw.as_bytes());
    assert_eq!(from_raw.err, "");
    assert_eq!(from_raw.out, expected.out);
    let yaml = crate::cli::output::yaml(&[printed]);
    assert_eq!(
        run_with(&["--cluster", "-"], yaml.as_bytes()).out,
        expected.out
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_the_rest_is_reported() {
    let cluster = fs::read_to_string(input("aks-show.json")).unwrap();
    let wrong = cluster.replace(
        "\"enablePrivateCluster\": true",
        "\"enablePrivateCluster\": \"yes\"",
    );
    let ran = run_with(&["--cluster", "-"], wrong.as_bytes());
    assert_eq!(ran.outcome, Outcome::Unread);
    let line = wrong.lines().position(|it| it.contains("\"yes\"")).unwrap() + 1;
    let place = format!(
        "<stdin>:{line}:29: apiServerAccessProfile.enablePrivateCluster: \"yes\": must be true or false: give what"
    );
    assert!(ran.err.starts_with(&place), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert!(ran.out.contains("unknown private-cluster"), "{}", ran.out);
    assert!(
        ran.out.contains("pass network-policy-engine"),
        "{}",
        ran.out
    );

    let ran = run(&[
        "--cluster",
        &input("aks-show.json"),
        "--vnet",
        &input("apim.json"),
    ]);
    assert_eq!(ran.outcome, Outcome::Unread);
    assert!(
        ran.err.contains(
            "apim.json:21:13: [0].type: \"Microsoft.ApiManagement/service\": is another resource"
        ),
        "{}",
        ran.err
    );
    assert!(ran.out.contains("pass private-cluster"), "{}", ran.out);

    let ran = run(&[
        "--cluster",
        &input("aks-show.json"),
        "--vnet",
        &input("vnet-bad.json"),
    ]);
    assert!(
        ran.err
            .contains("is not the VNet of the cluster: its nodes run in"),
        "{}",
        ran.err
    );

    let ran = run_with(&["--vnet", "-"], b"{\"a\": 1,}");
    assert!(
        ran.err.starts_with("<stdin>:1:9: this is not JSON"),
        "{}",
        ran.err
    );
    let ran = run(&["--vnet", "missing.json"]);
    assert_eq!(ran.outcome, Outcome::Unread);
    assert!(
        ran.err.starts_with("missing.json: failed to read it"),
        "{}",
        ran.err
    );
}

#[test]
fn exceptions_count_until_they_are_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exceptions.yaml");
    let path = path.to_str().unwrap();
    let all = |expires: &str| {
        let ids = run(&with(&bad(), &["-o", "json"]));
        let told: Value = serde_json::from_str(&ids.out).unwrap();
        let failing = told["checks"].as_array().unwrap().iter();
        let failing = failing.filter(|it| it["outcome"] == "fail");
        let entries = failing.map(|it| {
            format!(
                "- {{check: {}, reason: a test, expires: {expires}}}\n",
                it["id"].as_str().unwrap()
            )
        });
        format!("exceptions:\n{}", entries.collect::<String>())
    };
    fs::write(path, all("2026-11-28")).unwrap();
    let ran = run(&with(&bad(), &["--exceptions", path]));
    assert_eq!((ran.outcome, ran.err.as_str()), (Outcome::Done, ""));
    assert!(
        ran.out.contains("excepted egress-firewall (high)"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("(excepted until 2026-11-28: a test)"),
        "{}",
        ran.out
    );
    fs::write(path, all("2026-11-27")).unwrap();
    let ran = run(&with(&bad(), &["--exceptions", path]));
    assert_eq!(ran.outcome, Outcome::Found);
    assert!(
        ran.err.contains(
            "exceptions.yaml:2:3: the exception of egress-firewall was over on 2026-11-27"
        ),
        "{}",
        ran.err
    );
    fs::write(
        path,
        "exceptions:\n- {check: egres-firewall, reason: a, expires: 2027-01-01}\n",
    )
    .unwrap();
    let ran = run(&with(&bad(), &["--exceptions", path]));
    assert_eq!(ran.outcome, Outcome::Unread);
    assert!(
        ran.err.contains("did you mean egress-firewall?"),
        "{}",
        ran.err
    );
}

#[test]
fn what_makes_the_exit_code_is_a_choice() {
    let outcome = |exit_on: &str| run(&with(&bad(), &["--exit-on", exit_on])).outcome;
    assert_eq!(outcome("fail"), Outcome::Found);
    assert_eq!(outcome("never"), Outcome::Done);
    let nothing =
        |exit_on: &str| run_with(&["--api-management", "-", "--exit-on", exit_on], b"[]").outcome;
    assert_eq!(nothing("fail"), Outcome::Done);
    assert_eq!(nothing("unknown"), Outcome::Found);
}

#[test]
fn something_has_to_be_given() {
    assert!(Command::try_parse_from(["posture"]).is_err());
    assert!(Command::try_parse_from(["posture", "--context", "a", "--vnet", "b"]).is_err());
    let twice = run_with(&["--vnet", "-", "--cluster", "-"], b"[]");
    assert!(
        twice.err.contains("standard input is read once"),
        "{}",
        twice.err
    );
}

#[test]
fn every_kind_of_file_has_its_flag() {
    let command = GivenArgs::augment_args(Command::command());
    let flags: Vec<_> = command
        .get_arguments()
        .filter_map(|it| it.get_long())
        .collect();
    for input in InputFile::ALL {
        assert!(flags.contains(&input.flag()), "{}", input.flag());
    }
}

/// The page holds every check, and loads nothing.
#[test]
fn the_page_stands_by_itself() {
    let ran = run(&with(&bad(), &["-o", "html"]));
    for question in Question::ALL {
        assert!(
            ran.out.contains(&format!("<code>{question}</code>")),
            "{question}"
        );
    }
    assert!(
        ran.out
            .contains("az aks update -g rg-aks-shared-weu -n aks-dev-weu --network-policy calico")
    );
    for loads in ["src=", "url(", "@import", "<link", "<script", "<!--"] {
        assert!(!ran.out.contains(loads), "{loads}");
    }
    let hostile =
        br#"[{"type": "Microsoft.ApiManagement/service", "name": "<script>alert(1)</script>"}]"#;
    let ran = run_with(&["--api-management", "-", "-o", "html"], hostile);
    assert!(ran.out.contains("&lt;script&gt;") && !ran.out.contains("<script"));
}

/// `docs/posture.md` has a row for each question, with what the catalogue says of it.
#[test]
fn the_document_lists_every_question() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/posture.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text
        .lines()
        .filter(|it| it.starts_with("| `") && it.matches('|').count() == 6);
    let rows: Vec<&str> = rows.collect();
    let expected = Question::ALL.iter().map(|question| {
        let controls = question.controls().iter().map(ToString::to_string);
        let controls: Vec<String> = controls.collect();
        let from = match InputFile::of(*question) {
            Some(input) => format!("`--{}`", input.flag()),
            None => "`--live`".to_owned(),
        };
        format!(
            "| `{question}` | {} | {from} | {} | {} |",
            question.title(),
            question.source(),
            controls.join(", ")
        )
    });
    let expected: Vec<String> = expected.collect();
    assert_eq!(rows, expected);
}
