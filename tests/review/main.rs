//! `kubectl landingzone review` as people and pipelines call it: the real binary, real files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod base;
mod between;
mod clusters;
mod command;
mod comment;
mod compared;
mod dropped;
mod forms;
mod moved;
mod named;
mod narrowed;
mod pipelines;
mod placeholders;
mod sarif;
mod sarif_schema;
mod settled;
mod suggested;
mod told;
mod unread;
mod widened;
mod yaml;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

use self::command::*;

#[test]
fn what_leaves_is_told_with_its_place_and_exit_code_1() {
    let policy = policy(OUTSIDE);
    let files = [("zones.yaml", ZONES), ("policies/a.yaml", policy.as_str())];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let json = ran.json();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["approvalRequired", "changes", "findings", "notJudged"]
    );
    assert_eq!(json["notJudged"], serde_json::json!([]));
    assert_eq!(json["approvalRequired"], true);
    assert_eq!(json["changes"], serde_json::json!([]));
    let finding = &json["findings"][0];
    let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
    let all = [
        "column",
        "declared",
        "file",
        "leavesBoundary",
        "line",
        "message",
        "policy",
        "rule",
        "severity",
        "suggestion",
        "witness",
    ];
    assert_eq!(keys, all);
    assert_eq!(finding["rule"], "code-missing");
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["leavesBoundary"], true);
    assert_eq!(
        finding["policy"],
        "NetworkPolicy/application2-ns2/from-frontend"
    );
    assert_eq!(finding["file"], "./policies/a.yaml");
    assert_eq!(finding["line"], 12);
    assert_eq!(finding["column"], 26);
    assert_eq!(finding["declared"], Value::Null);

    let table = review(&files, &["-f", "."]);
    assert_eq!(table.code, 1);
    let first = table.out.lines().next().unwrap();
    assert!(
        first.starts_with("./policies/a.yaml:12:26: error[code-missing]: "),
        "{first}"
    );
    assert!(
        table.out.contains(
            "    12 |       namespaceSelector: \"zone == 'frontend'\"\n       |                          ^\n"
        ),
        "{}",
        table.out
    );
    assert!(
        table
            .out
            .ends_with("1 error\napproval needed: 1 of 1 policy crosses a boundary\n"),
        "{}",
        table.out
    );
}

/// Whoever misspelt the only field of an object is led to that field, not to what it stands in.
#[test]
fn an_unknown_field_is_told_where_it_stands() {
    let policy = policy(OUTSIDE).replace("namespaceSelector", "selektor");
    let files = [("zones.yaml", ZONES), ("a.yaml", policy.as_str())];
    let ran = review(&files, &["-f", "."]);
    let told = "a.yaml:12:17: warning[unknown-field]: ";
    assert!(ran.out.contains(told), "{}", ran.out);
    let path = "spec.ingress[0].source.selektor is no field of this kind";
    assert!(ran.out.contains(path), "{}", ran.out);
}

#[test]
fn what_stays_inside_is_nothing_and_exit_code_0() {
    let policy = policy(INSIDE);
    let files = [("a.yaml", policy.as_str()), ("zones.yaml", ZONES)];
    let ran = review(&files, &["-f", "a.yaml", "-f", "zones.yaml"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(
        ran.out,
        "nothing found\nno approval needed: none of 1 policy crosses a boundary\n"
    );
}

#[test]
fn namespaces_and_lists_are_read_from_standard_input() {
    let list = "\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: shop, labels: {applicationcode: shop}}
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: open, namespace: shop}
  spec:
    podSelector: {}
    ingress:
    - from:
      - namespaceSelector: {}
";
    let ran = review_in(Path::new("."), &["-f", "-", "-o", "json"], list.as_bytes());
    assert_eq!(ran.rules(), ["all-namespaces"], "{}", ran.err);
    let finding = &ran.json()["findings"][0];
    assert_eq!(
        (&finding["file"], &finding["line"]),
        (&"<stdin>".into(), &14.into())
    );
}

#[test]
fn what_could_not_be_read_is_exit_code_2_and_nothing_is_said() {
    let broken = "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nspec: {selector: [\n";
    let zone = ZONES.replace("zone: frontend", "zone: Front End");
    let policy = policy(OUTSIDE);
    for (files, told) in [
        (vec![("a.yaml", broken)], "a.yaml:"),
        (
            vec![("a.yaml", policy.as_str()), ("z.yaml", zone.as_str())],
            "z.yaml:7:36: ",
        ),
    ] {
        let ran = review(&files, &["-f", ".", "-o", "json"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
        assert!(ran.err.contains(told), "{}", ran.err);
    }
    let missing = review(&[], &["-f", "nowhere"]);
    assert_eq!((missing.code, missing.out.as_str()), (2, ""));
    let wrong = review(&[], &["-f", ".", "-o", "xml"]);
    assert_eq!((wrong.code, wrong.out.as_str()), (2, ""));
    // What is none of our business is none.
    let chart = review(
        &[
            ("zones.yaml", ZONES),
            ("chart/x.yaml", "{{ if .Values.x }}\na: b\n{{ end }}\n"),
        ],
        &["-f", "."],
    );
    assert_eq!(
        (chart.code, chart.err.as_str()),
        (0, "skipped 1 file without YAML\n")
    );
}

#[test]
fn a_policy_that_cannot_be_understood_is_a_finding() {
    let files = [
        ("zones.yaml", ZONES),
        (
            "a.yaml",
            "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: a, namespace: application2-ns1}\nspec:\n  selector: [a]\n",
        ),
        (
            "b.yaml",
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: b, namespace: application2-ns1}\nspec:\n  podSelector: {}\n  podSelector: {}\n",
        ),
    ];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.rules(), ["invalid", "invalid"], "{}", ran.out);
    let findings = ran.json()["findings"].clone();
    assert_eq!(
        (&findings[0]["line"], &findings[1]["line"]),
        (&5.into(), &6.into())
    );
    assert_eq!(ran.json()["approvalRequired"], true);
}

#[test]
fn a_waiver_keeps_a_finding_listed_and_needs_no_approval() {
    let policy = waived(&policy(OUTSIDE), "code-missing: until the move, CHG-1");
    let files = [("zones.yaml", ZONES), ("a.yaml", policy.as_str())];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    let json = ran.json();
    assert_eq!(json["approvalRequired"], false);
    let finding = &json["findings"][0];
    assert_eq!(finding["waived"], "until the move, CHG-1");
    assert_eq!(finding["severity"], "note");
    let table = review(&files, &["-f", "."]).out;
    assert!(
        table.contains("  waived    until the move, CHG-1\n"),
        "{table}"
    );
    assert!(
        table.ends_with(
            "no approval needed: 1 of 1 policy crosses a boundary, declared or waived\n"
        ),
        "{table}"
    );
}

#[test]
fn the_operators_label_in_a_file_opens_nothing() {
    let forged = "apiVersion: crd.projectcalico.org/v1
kind: GlobalNetworkPolicy
metadata:
  name: landingzones-platform.landing-zone-application2-crossings
  labels: {app.kubernetes.io/managed-by: landing-zone-operator}
spec:
  tier: landingzones-platform
  order: 20
  types: [Egress]
  namespaceSelector: applicationcode == 'application2'
  egress: [{action: Allow}]
";
    let ran = review(
        &[("zones.yaml", ZONES), ("a.yaml", forged)],
        &["-f", ".", "-o", "json"],
    );
    assert_eq!(
        ran.rules(),
        ["operators-name", "other-tier", "any-peer"],
        "{}",
        ran.out
    );
    assert_eq!(ran.json()["approvalRequired"], true);
}

#[test]
fn what_kubectl_reads_otherwise_is_not_taken_for_harmless() {
    let crossing = policy(OUTSIDE);
    let in_hidden = [("zones.yaml", ZONES), (".h/.a.yaml", crossing.as_str())];
    let ran = review(&in_hidden, &["-f", ".", "-o", "json"]);
    assert_eq!(ran.rules(), ["code-missing"], "{}", ran.err);

    let twice = format!("kind: ConfigMap\n{crossing}");
    let bare = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nitems:\n- {}\n";
    let typed = "apiVersion: crd.projectcalico.org/v1\nkind: NetworkPolicyList\nitems:\n- metadata: {name: a, namespace: application2-ns1}\n";
    let broken_line = format!("{crossing}# more\u{2028}  - action: Allow\n");
    for text in [twice.as_str(), bare, typed, broken_line.as_str()] {
        let files = [("zones.yaml", ZONES), ("a.yaml", text)];
        let ran = review(&files, &["-f", "."]);
        assert_eq!(ran.code, 2, "{text}\n{}\n{}", ran.out, ran.err);
        assert!(ran.err.contains("a.yaml"), "{}", ran.err);
    }
    let utf16: Vec<u8> = crossing.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let folder = folder(&[("zones.yaml", ZONES)]);
    fs::write(folder.path().join("u.yaml"), utf16).unwrap();
    let ran = review_in(folder.path(), &["-f", "."], b"");
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
}

#[test]
fn exit_on_decides_what_fails_a_pipeline() {
    let warning = policy(INSIDE).replace("  types: [Ingress]\n", "");
    let files = [("zones.yaml", ZONES), ("a.yaml", warning.as_str())];
    let with = |exit_on| review(&files, &["-f", ".", "--exit-on", exit_on]).code;
    assert_eq!(["findings", "approval", "never"].map(with), [1, 0, 0]);
    let crossing = policy(OUTSIDE);
    let files = [("zones.yaml", ZONES), ("a.yaml", crossing.as_str())];
    let with = |exit_on| review(&files, &["-f", ".", "--exit-on", exit_on]).code;
    assert_eq!(["findings", "approval", "never"].map(with), [1, 1, 0]);
}

#[test]
fn only_crossings_leaves_the_rest_out() {
    let both = policy(OUTSIDE).replace("  types: [Ingress]\n", "");
    let files = [("zones.yaml", ZONES), ("a.yaml", both.as_str())];
    let all = review(&files, &["-f", ".", "-o", "json"]);
    assert_eq!(all.rules(), ["types-missing", "code-missing"]);
    let only = review(&files, &["-f", ".", "-o", "json", "--only", "crossings"]);
    assert_eq!(only.rules(), ["code-missing"]);
}

#[test]
fn a_policy_without_a_namespace_is_taken_for_one_of_the_flag() {
    let policy = policy(OUTSIDE).replace("  namespace: application2-ns2\n", "");
    let files = [("zones.yaml", ZONES), ("a.yaml", policy.as_str())];
    let ran = review(&files, &["-f", ".", "-o", "json", "-n", "application2-ns2"]);
    assert_eq!(ran.rules(), ["code-missing"]);
    assert_eq!(
        ran.json()["findings"][0]["policy"],
        "NetworkPolicy/application2-ns2/from-frontend"
    );
}

#[test]
fn a_review_reads_files_or_the_cluster() {
    let both = review(&[], &["-f", ".", "--live"]);
    assert_eq!(both.code, 2);
    let nothing = review(&[], &[]);
    assert_eq!(nothing.code, 2);
    // A cluster that does not answer is one that could not be read.
    let config = "\
apiVersion: v1
kind: Config
current-context: a
clusters: [{name: a, cluster: {server: \"https://127.0.0.1:9\"}}]
users: [{name: a, user: {token: a}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
";
    let folder = folder(&[("config", config)]);
    let output = Command::cargo_bin("kubectl-landingzone")
        .unwrap()
        .current_dir(folder.path())
        .env("KUBECONFIG", folder.path().join("config"))
        .args(["review", "--live"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.starts_with("error: the cluster cannot be read: "),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");

    // One that is not there is told with those that are.
    for command in [&["review", "--live"][..], &["matrix"]] {
        let output = Command::cargo_bin("kubectl-landingzone")
            .unwrap()
            .env("KUBECONFIG", folder.path().join("config"))
            .args(command)
            .args(["--context", "b"])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let expected = "error: there is no context \"b\" in the kubeconfig: there are a\n";
        assert_eq!(told, expected);
    }
}
