//! `kubectl landingzone posture` as people and pipelines call it: the real binary, real files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../review/sarif_schema.rs"]
mod sarif_schema;

use std::path::Path;
use std::process::Stdio;

use assert_cmd::Command;
use serde_json::Value;

/// What a run left: exit code, standard output, standard error.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs it where the inputs lie.
fn posture(arguments: &[&str]) -> Ran {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/posture/inputs");
    let output = Command::cargo_bin("kubectl-landingzone")
        .unwrap()
        .current_dir(inputs)
        .env("KUBECONFIG", "/nonexistent")
        .arg("posture")
        .args(arguments)
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

const GOOD: [&str; 4] = ["--cluster", "aks-show.json", "--vnet", "vnet.json"];
const BAD: [&str; 4] = ["--cluster", "aks-show-bad.json", "--vnet", "vnet-bad.json"];

#[test]
fn exit_codes_say_how_it_ended() {
    assert_eq!(posture(&GOOD).code, 0);
    assert_eq!(posture(&BAD).code, 1);
    assert_eq!(posture(&["--cluster", "vnet.json"]).code, 2);
    assert_eq!(posture(&["--cluster", "missing.json"]).code, 2);
    let nothing = posture(&[]);
    assert_eq!(nothing.code, 2);
    assert!(nothing.err.contains("--live"), "{}", nothing.err);
    let nowhere = posture(&["--live"]);
    assert_eq!(
        (nowhere.code, nowhere.out.as_str()),
        (2, ""),
        "{}",
        nowhere.err
    );
}

/// Who stops reading, as `head` does, learns from the exit code all the same what came of it.
#[test]
fn a_closed_pipe_changes_no_exit_code() {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/posture/inputs");
    for (given, code) in [(GOOD, 0), (BAD, 1)] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_kubectl-landingzone"))
            .current_dir(&inputs)
            .arg("posture")
            .args(given)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
}

#[test]
fn a_log_in_sarif_is_valid() {
    let ran = posture(&[BAD.as_slice(), &["-o", "sarif"]].concat());
    let log: Value = serde_json::from_str(&ran.out).unwrap();
    sarif_schema::is_of_the_schema(&log);
    sarif_schema::code_scanning_takes(&log);
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    let first = &results[0];
    assert_eq!(first["ruleId"], "egress-firewall");
    assert_eq!(first["level"], "error");
    let uri = &first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "aks-show-bad.json");
    let told = &run["invocations"][0]["toolExecutionNotifications"];
    assert!(
        told[0]["message"]["text"]
            .as_str()
            .unwrap()
            .contains("it would be told by")
    );
}

#[test]
fn what_is_excepted_is_suppressed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exceptions.yaml");
    std::fs::write(
        &path,
        "exceptions:\n- {check: egress-firewall, reason: CHG-1, expires: 9999-12-31}\n",
    )
    .unwrap();
    let exceptions = ["--exceptions", path.to_str().unwrap(), "-o", "sarif"];
    let ran = posture(&[BAD.as_slice(), &exceptions].concat());
    let log: Value = serde_json::from_str(&ran.out).unwrap();
    sarif_schema::is_of_the_schema(&log);
    let suppression = &log["runs"][0]["results"][0]["suppressions"][0];
    assert_eq!(suppression["kind"], "external");
    assert_eq!(suppression["justification"], "CHG-1 (until 9999-12-31)");
}

#[test]
fn help_names_every_form_and_the_exit_codes() {
    let ran = posture(&["--help"]);
    assert_eq!(ran.code, 0);
    for said in [
        "sarif",
        "html",
        "Exit codes:",
        "--policy-states",
        "--exit-on",
    ] {
        assert!(ran.out.contains(said), "{said}");
    }
}
