//! `kubectl landingzone review` as people and pipelines call it: the real binary, real files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

const ZONES: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: application2}
spec:
  applicationCode: application2
  namespaces:
  - {name: application2-ns1, zone: frontend}
  - {name: application2-ns2, zone: backend}
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: orders}
spec:
  applicationCode: orders
  namespaces:
  - {name: orders-ns1, zone: data}
";

/// A policy of the backend that lets in what a selector of namespaces means.
fn policy(selector: &str) -> String {
    format!(
        "\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  name: from-frontend
  namespace: application2-ns2
spec:
  selector: all()
  types: [Ingress]
  ingress:
  - action: Allow
    source:
      namespaceSelector: \"{selector}\"
"
    )
}

const INSIDE: &str = "applicationcode == 'application2' && zone == 'frontend'";
const OUTSIDE: &str = "zone == 'frontend'";

fn waived(policy: &str, waiver: &str) -> String {
    let annotation = format!("spec:\n  # {waiver}\n");
    let metadata =
        format!("metadata:\n  annotations: {{\"landingzones.dev/waive\": \"{waiver}\"}}\n");
    policy
        .replace("metadata:\n", &metadata)
        .replace("spec:\n", &annotation)
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// What a run left: exit code, standard output, standard error.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    fn rules(&self) -> Vec<String> {
        let json = self.json();
        let findings = json["findings"].as_array().unwrap();
        let rules = findings.iter().map(|it| it["rule"].as_str().unwrap());
        rules.map(str::to_owned).collect()
    }
}

fn review_in(folder: &Path, arguments: &[&str], stdin: &[u8]) -> Ran {
    let output = Command::cargo_bin("kubectl-landingzone")
        .unwrap()
        .current_dir(folder)
        .env_remove("LANDING_ZONE_OPERATOR_POD_CIDRS")
        .env_remove("LANDING_ZONE_OPERATOR_DNS_ADDRESSES")
        .env_remove("LANDING_ZONE_OPERATOR_ALLOWED_ROLES")
        .arg("review")
        .args(arguments)
        .write_stdin(stdin)
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn review(files: &[(&str, &str)], arguments: &[&str]) -> Ran {
    review_in(folder(files).path(), arguments, b"")
}

#[test]
fn what_leaves_is_told_with_its_place_and_exit_code_1() {
    let policy = policy(OUTSIDE);
    let files = [("zones.yaml", ZONES), ("policies/a.yaml", policy.as_str())];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let json = ran.json();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["approvalRequired", "changes", "findings"]);
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
fn kinds_that_are_not_judged_are_told() {
    let other = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a}\n";
    let ran = review(&[("a.yaml", other)], &["-f", "."]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.err
            .contains("note: nothing is said of objects of kind CiliumNetworkPolicy"),
        "{}",
        ran.err
    );
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
    assert_eq!(ran.rules(), ["any-peer"], "{}", ran.out);
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
fn a_waiver_that_a_change_brings_along_has_to_be_approved() {
    let policy = waived(&policy(OUTSIDE), "code-missing: because we say so");
    let files = [
        ("main/zones.yaml", ZONES),
        ("zones.yaml", ZONES),
        ("a.yaml", policy.as_str()),
    ];
    let arguments = [
        "-f",
        "zones.yaml",
        "-f",
        "a.yaml",
        "--base",
        "main/",
        "-o",
        "json",
    ];
    let ran = review(&files, &arguments);
    assert_eq!(ran.json()["approvalRequired"], true, "{}", ran.out);
    assert_eq!(ran.code, 1);
    let table = review(&files, &arguments[..6]).out;
    assert!(
        table.ends_with("approval needed: 1 of 1 change crosses a boundary\n"),
        "{table}"
    );

    // Once it is in main, somebody has seen it.
    let files = [
        ("main/zones.yaml", ZONES),
        ("main/a.yaml", policy.as_str()),
        ("zones.yaml", ZONES),
        ("a.yaml", policy.as_str()),
    ];
    let ran = review(&files, &arguments);
    assert_eq!(ran.json()["approvalRequired"], false, "{}", ran.out);
    assert_eq!(ran.code, 0);
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
fn base_shows_what_a_change_adds() {
    let old = policy(OUTSIDE);
    // The lines move, and another policy comes along.
    let moved = format!("# licence\n\n{old}");
    let added = policy("team == 'red'").replace("from-frontend", "from-red");
    let files = [
        ("main/zones/z.yaml", ZONES),
        ("main/policies/a.yaml", &old),
        ("main/unrelated/x.yaml", "kind: NetworkPolicy\n{{ broken"),
        ("zones/z.yaml", ZONES),
        ("policies/a.yaml", &moved),
        ("policies/b.yaml", &added),
    ];
    let base = ["-f", "policies/", "-f", "zones", "--base", "main/"];
    let ran = review(&files, &[&base[..], &["-o", "json"]].concat());
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(ran.rules(), ["namespace-labels"]);
    let table = review(&files, &base).out;
    assert!(
        table.ends_with("approval needed: 1 of 1 change crosses a boundary\n"),
        "{table}"
    );

    let same = [
        ("main/zones/z.yaml", ZONES),
        ("main/policies/a.yaml", &old),
        ("zones/z.yaml", ZONES),
        ("policies/a.yaml", &moved),
    ];
    let ran = review(&same, &base);
    assert_eq!(ran.code, 0);
    assert_eq!(
        ran.out,
        "nothing found\nno approval needed: none of 0 changes crosses a boundary\n"
    );
}

#[test]
fn what_is_widened_is_new() {
    let narrow = policy(OUTSIDE).replace(
        "    source:",
        "    protocol: TCP\n    destination: {ports: [8080]}\n    source:",
    );
    let wide = policy(OUTSIDE);
    let files = [
        ("main/policies/z.yaml", ZONES),
        ("main/policies/a.yaml", &narrow),
        ("policies/z.yaml", ZONES),
        ("policies/a.yaml", &wide),
    ];
    let ran = review(&files, &["-f", "policies", "--base", "main", "-o", "json"]);
    assert_eq!(ran.rules(), ["code-missing"]);
}

#[test]
fn a_base_that_cannot_be_read_is_told() {
    let policy = policy(OUTSIDE);
    let files = [
        ("main/policies/a.yaml", "kind: NetworkPolicy\nspec: [\n"),
        ("policies/z.yaml", ZONES),
        ("policies/a.yaml", &policy),
    ];
    // The change mends it: all of it counts as new.
    let ran = review(&files, &["-f", "policies", "--base", "main", "-o", "json"]);
    assert_eq!(ran.rules(), ["code-missing"]);
    assert!(
        ran.err.contains("note: --base: main/policies/a.yaml:"),
        "{}",
        ran.err
    );
    let ran = review(&files, &["-f", "policies", "--base", "nowhere"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
}

#[test]
fn markdown_opens_with_the_decision_and_ends_with_its_mark() {
    let policy = policy(OUTSIDE);
    let files = [("zones.yaml", ZONES), ("a.yaml", policy.as_str())];
    let ran = review(&files, &["-f", ".", "-o", "markdown"]);
    assert!(
        ran.out
            .starts_with("approval needed: 1 of 1 policy crosses a boundary\n\n**error "),
        "{}",
        ran.out
    );
    assert!(
        ran.out.ends_with("<!-- kubectl-landingzone-review -->\n"),
        "{}",
        ran.out
    );
}

#[test]
fn no_comment_is_longer_than_a_platform_takes() {
    let many: Vec<String> = (0..500)
        .map(|index| policy(OUTSIDE).replace("from-frontend", &format!("p{index}")))
        .collect();
    let many = many.join("---\n");
    let files = [("zones.yaml", ZONES), ("a.yaml", many.as_str())];
    let ran = review(&files, &["-f", ".", "-o", "markdown"]);
    assert!(ran.out.len() < 65_536);
    assert!(ran.out.contains(" more, which are too many for a comment"));
    assert!(ran.out.ends_with("<!-- kubectl-landingzone-review -->\n"));
}

#[test]
fn no_file_gives_a_pipeline_commands() {
    let evil = "##vso[task.setvariable variable=approvalRequired;isOutput=true]false";
    let policy = policy(OUTSIDE)
        .replace("name: from-frontend", &format!("name: \"\\n{evil}\""))
        .replace(OUTSIDE, &format!("zone == '{evil}' || zone == 'x'"));
    let files = [("zones.yaml", ZONES), ("a.yaml", policy.as_str())];
    for form in ["table", "markdown", "sarif", "json"] {
        let ran = review(
            &files,
            &[
                "-f",
                ".",
                "-o",
                form,
                "--azure-devops-variable",
                "approvalRequired",
            ],
        );
        assert_eq!(ran.code, 1);
        assert!(!ran.out.contains("##"), "{form}: {}", ran.out);
        assert_eq!(ran.err.matches("##").count(), 1, "{form}: {}", ran.err);
        let last = ran.err.lines().last().unwrap();
        assert_eq!(
            last,
            "##vso[task.setvariable variable=approvalRequired;isOutput=true]true"
        );
    }
}

#[test]
fn azure_is_told_whether_approval_is_required() {
    let policy = policy(OUTSIDE);
    let files = [("zones.yaml", ZONES), ("a.yaml", policy.as_str())];
    let ran = review(
        &files,
        &["-f", ".", "--azure-devops-variable", "approvalRequired"],
    );
    assert_eq!(
        ran.err,
        "##vso[task.setvariable variable=approvalRequired;isOutput=true]true\n"
    );
    let ran = review(
        &files,
        &["-f", "zones.yaml", "--azure-devops-variable", "a b"],
    );
    assert_eq!(ran.code, 2);
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
fn the_readme_shows_what_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let call = "$ kubectl landingzone review -f config/samples/review\n";
    let (_, shown) = readme.split_once(call).unwrap();
    let (shown, _) = shown.split_once("```\n").unwrap();
    let ran = review_in(root, &["-f", "config/samples/review"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (1, shown));
}

/// A landing zone with a quota, and with what it declares of its network.
fn zones(pods: u32, network: &str) -> String {
    let quota = format!("zone: backend, quota: {{pods: \"{pods}\"}}}}");
    let zones = ZONES.replacen("zone: backend}", &quota, 1);
    zones.replacen("---\n", &format!("{network}---\n"), 1)
}

const TO_PARTNER: &str = "  network:
    egress:
    - name: partner
      reason: rates of exchange
      to: {cidrs: [203.0.113.0/24]}
      ports: [{protocol: TCP, port: 443}]
";

#[test]
fn a_crossing_that_is_declared_needs_approval_and_a_quota_does_not() {
    let before = zones(10, "");
    let opened = zones(20, TO_PARTNER);
    let files = [
        ("main/zones/z.yaml", before.as_str()),
        ("zones/z.yaml", opened.as_str()),
    ];
    let arguments = ["-f", "zones", "--base", "main", "--exit-on", "approval"];
    let ran = review(&files, &[&arguments[..], &["-o", "json"]].concat());
    assert_eq!(ran.code, 1, "{}", ran.err);
    let json = ran.json();
    assert_eq!(json["approvalRequired"], true);
    let changes = json["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2, "{json:#}");
    let change = &changes[0];
    assert_eq!(change["kind"], "Opened");
    assert_eq!(change["crossesBoundary"], true);
    assert_eq!(change["reason"], "rates of exchange");
    assert_eq!(change["file"], "zones/z.yaml");
    assert_eq!(
        (&change["line"], &change["column"]),
        (&11.into(), &7.into())
    );
    assert!(!change["reach"]["after"].as_array().unwrap().is_empty());
    assert_eq!(changes[1]["part"], "quota");
    assert_eq!(changes[1]["crossesBoundary"], false);
    let markdown = review(&files, &[&arguments[..], &["-o", "markdown"]].concat());
    assert!(
        markdown
            .out
            .starts_with("approval needed: 1 of 2 changes crosses a boundary\n"),
        "{}",
        markdown.out
    );
    let table = review(&files, &arguments);
    assert!(
        table.out.starts_with("zones/z.yaml:11:7: needs approval: "),
        "{}",
        table.out
    );

    let log = review(&files, &[&arguments[..], &["-o", "sarif"]].concat()).json();
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["ruleId"], "declaration-opens");
    is_of_the_schema(&log);
    let only = [&arguments[..], &["-o", "json", "--only", "crossings"]].concat();
    let only = review(&files, &only).json();
    assert_eq!(only["changes"].as_array().unwrap().len(), 1);

    let quota = zones(20, "");
    let files = [
        ("main/zones/z.yaml", before.as_str()),
        ("zones/z.yaml", quota.as_str()),
    ];
    let ran = review(&files, &arguments);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(
        ran.out
            .ends_with("no approval needed: none of 1 change crosses a boundary\n"),
        "{}",
        ran.out
    );
}

#[test]
fn what_is_gone_is_told_where_it_stood() {
    let before = zones(10, TO_PARTNER);
    let after = zones(10, "");
    let files = [
        ("main/zones/z.yaml", before.as_str()),
        ("zones/z.yaml", after.as_str()),
    ];
    let ran = review(&files, &["-f", "zones", "--base", "main", "-o", "json"]);
    assert_eq!(ran.code, 0);
    let change = &ran.json()["changes"][0];
    assert_eq!(change["kind"], "Closed");
    assert_eq!(change["side"], "Before");
    assert_eq!(change["file"], "main/zones/z.yaml");
}

#[test]
fn a_policy_that_a_crossing_covers_no_longer_needs_approval_again() {
    let policy = "\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: partner, namespace: application2-ns2}
spec:
  selector: all()
  types: [Egress]
  egress:
  - action: Allow
    protocol: TCP
    destination: {nets: [203.0.113.0/24], ports: [443]}
";
    let declared = zones(10, TO_PARTNER);
    let closed = zones(10, "");
    let files = [
        ("main/a/z.yaml", declared.as_str()),
        ("main/a/p.yaml", policy),
        ("a/z.yaml", closed.as_str()),
        ("a/p.yaml", policy),
    ];
    let ran = review(&files, &["-f", "a", "--base", "main", "-o", "json"]);
    assert_eq!(ran.rules(), ["nets-outside"]);
    assert_eq!(ran.json()["approvalRequired"], true);
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
}

fn sarif(files: &[(&str, &str)]) -> Value {
    review(files, &["-f", ".", "-o", "sarif"]).json()
}

/// Types that are generated from the schema leave out what it does not know, and miss what it asks for.
fn is_of_the_schema(log: &Value) {
    let read: serde_sarif::sarif::Sarif = serde_json::from_value(log.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), *log);
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

#[test]
fn nobody_has_to_read_a_selector_of_a_megabyte() {
    let long: Vec<String> = (0..20_000)
        .map(|index| format!("zone == 'z{index}'"))
        .collect();
    let policy = policy(&long.join(" || "));
    let files = [("zones.yaml", ZONES), ("a.yaml", policy.as_str())];
    let ran = review(&files, &["-f", "."]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.len() < 10_000, "{}", ran.out.len());
}

/// A Namespace with labels.
fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels: {labels}\n")
}

#[test]
fn a_policy_of_a_namespace_that_nothing_declares_has_to_be_approved() {
    let elsewhere = policy(INSIDE).replace("application2-ns2", "nobodys-ns1");
    let files = [("zones.yaml", ZONES), ("a.yaml", elsewhere.as_str())];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    assert_eq!(ran.rules(), ["namespace-unknown"], "{}", ran.out);
    assert_eq!(ran.json()["approvalRequired"], true);
    let approval = review(&files, &["-f", ".", "--exit-on", "approval"]);
    assert_eq!(approval.code, 1, "{}", approval.out);
    // Without any declaration, nothing at all can be said.
    let alone = review(&files[1..], &["-f", ".", "--exit-on", "approval"]);
    assert_eq!(alone.code, 1, "{}", alone.out);
}

#[test]
fn a_review_that_read_nothing_has_not_found_that_nothing_is_wrong() {
    let nothing = tempfile::tempdir().unwrap();
    for (text, form) in [(None, "table"), (Some("# later\n---\n"), "json")] {
        if let Some(text) = text {
            fs::write(nothing.path().join("a.yaml"), text).unwrap();
        }
        let ran = review_in(nothing.path(), &["-f", ".", "-o", form], b"");
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
        assert!(ran.err.contains("no object"), "{}", ran.err);
    }
    let stdin = review_in(nothing.path(), &["-f", "-"], b"");
    assert_eq!(stdin.code, 2, "{}", stdin.out);

    // What a change takes away was there.
    let policy = policy(OUTSIDE);
    let files = [
        ("main/policies/a.yaml", policy.as_str()),
        ("policies/.gitkeep", ""),
    ];
    let ran = review(&files, &["-f", "policies", "--base", "main"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("no object"), "{}", ran.err);
}

#[test]
fn a_namespace_that_labels_itself_into_a_landing_zone_has_to_be_approved() {
    for labels in [
        "{applicationcode: orders}",
        "{landingzones.dev/landing-zone: orders}",
        "{landingzones.dev/landing-zone: nobody-declares-it, app.kubernetes.io/managed-by: landing-zone-operator}",
    ] {
        let joins = namespace("mine", labels);
        let files = [("zones.yaml", ZONES), ("ns.yaml", joins.as_str())];
        let ran = review(&files, &["-f", ".", "-o", "json"]);
        assert_eq!(ran.rules(), ["namespace-joins"], "{labels}: {}", ran.out);
        let json = ran.json();
        assert_eq!(json["approvalRequired"], true);
        assert_eq!(json["findings"][0]["policy"], "Namespace/mine");
        assert_eq!(json["findings"][0]["line"], 5);
        let table = review(&files, &["-f", "."]).out;
        assert!(
            table.ends_with("approval needed: 1 of 1 object crosses a boundary\n"),
            "{table}"
        );
    }
    // The landing zone that declares it may have it labelled so, and nobody else.
    for (labels, expected) in [
        (
            "{applicationcode: orders, landingzones.dev/landing-zone: orders}",
            0,
        ),
        ("{team: red}", 0),
        ("{applicationcode: application2}", 1),
    ] {
        let declared = namespace("orders-ns1", labels);
        let files = [("zones.yaml", ZONES), ("ns.yaml", declared.as_str())];
        let ran = review(&files, &["-f", ".", "--exit-on", "approval"]);
        assert_eq!(ran.code, expected, "{labels}: {}", ran.out);
    }
    // Where nobody declares landing zones, labels are what there is.
    let labelled = namespace("orders-ns1", "{applicationcode: orders}");
    let ran = review(&[("ns.yaml", labelled.as_str())], &["-f", "."]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

/// `NetworkPolicy` in the alphabet of `!!binary`.
const ENCODED: &str = "TmV0d29ya1BvbGljeQ==";
const OTHER: &str =
    "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"x\"}}";
const JSON: &str = "{\"apiVersion\": \"projectcalico.org/v3\", \"kind\": \"NetworkPolicy\", \"metadata\": {\"name\": \"a\", \
    \"namespace\": \"application2-ns2\"}, \"spec\": {\"types\": [\"Ingress\"], \"ingress\": [{\"action\": \"Allow\"}]}}";

/// A list that holds an object.
fn listed(kind: &str, object: &str) -> String {
    let mut list = format!("apiVersion: v1\nkind: {kind}\nitems:\n  -\n");
    for line in object.lines() {
        list += "    ";
        list += line;
        list.push('\n');
    }
    list
}

/// Ways of writing a policy, each with what it is called: some readers see something else.
fn hidden() -> Vec<(&'static str, String)> {
    let crossing = policy(OUTSIDE);
    let kind = |kind: &str| crossing.replace("kind: NetworkPolicy", kind);
    let tagged = kind(&format!("kind: !!binary {ENCODED}"));
    let on_key = kind("!!binary a2luZA==: NetworkPolicy");
    let twice = format!("kind: ConfigMap\n{crossing}");
    let body = kind("").replace("\n\n", "\n");
    let merged = format!("kind: ConfigMap\n<<: {{kind: NetworkPolicy}}\n{body}");
    let escaped = JSON.replace("NetworkPolicy", "\\u004eetworkPolic\\u0079");
    let handle = kind(&format!("kind: !x!binary {ENCODED}"));
    let group = "apiVersion: !!binary cHJvamVjdGNhbGljby5vcmcvdjM=";
    vec![
        (
            "a tag with its whole name",
            kind(&format!("kind: !<tag:yaml.org,2002:binary> {ENCODED}")),
        ),
        (
            "a tag of another name",
            format!("%TAG !x! tag:yaml.org,2002:\n---\n{handle}"),
        ),
        (
            "a tag on the group",
            crossing.replace("apiVersion: projectcalico.org/v3", group),
        ),
        ("a tag on kind, in a list", listed("List", &tagged)),
        ("a tag on kind", tagged),
        ("a tag on the key, in a list", listed("List", &on_key)),
        ("a tag on the key", on_key),
        (
            "merged over what stands there, in a list",
            listed("List", &merged),
        ),
        ("merged over what stands there", merged),
        ("twice, in a list", listed("List", &twice)),
        (
            "one after the other, with escapes",
            format!("{OTHER}{escaped}"),
        ),
        (
            "a list that says it is none",
            listed("ConfigMap", &crossing),
        ),
    ]
}

#[test]
fn no_way_of_writing_yaml_hides_a_policy() {
    for (how, text) in hidden() {
        let files = [("zones.yaml", ZONES), ("a.yaml", text.as_str())];
        let ran = review(&files, &["-f", ".", "-o", "json"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{how}: {}", ran.err);
        assert!(ran.err.contains("a.yaml:"), "{how}: {}", ran.err);
    }
}

#[test]
fn what_everybody_reads_alike_is_read() {
    let crossing = policy(OUTSIDE);
    let kind = |kind: &str| crossing.replace("kind: NetworkPolicy", kind);
    for (how, text) in [
        ("text", kind("kind: !!str NetworkPolicy")),
        ("an escape", kind("\"k\\x69nd\": \"Network\\u0050olicy\"")),
        ("an anchor", kind("x: &kind NetworkPolicy\nkind: *kind")),
        ("merged", kind("<<: {kind: NetworkPolicy}")),
        ("behind another", format!("{OTHER}\n---\n{crossing}")),
        ("as JSON", JSON.to_owned()),
    ] {
        let files = [("zones.yaml", ZONES), ("a.yaml", text.as_str())];
        let ran = review(&files, &["-f", ".", "-o", "json"]);
        assert_eq!(ran.code, 1, "{how}: {}", ran.err);
        assert_eq!(ran.json()["approvalRequired"], true, "{how}: {}", ran.out);
    }
}

#[test]
fn merged_fields_count_as_kubectl_reads_them() {
    let selector = "namespaceSelector: \"applicationcode == 'application2'\"";
    for source in [
        // What is merged afterwards wins in Go's reader of YAML 1.1.
        format!("{{{selector}, <<: {{namespaceSelector: all()}}}}"),
        // In quotes it is a field of that name, which is none.
        format!("{{\"<<\": {{{selector}}}}}"),
    ] {
        let policy = policy(INSIDE);
        let (before, _) = policy.split_once("    source:").unwrap();
        let text = format!("{before}    source: {source}\n");
        let files = [("zones.yaml", ZONES), ("a.yaml", text.as_str())];
        let ran = review(&files, &["-f", ".", "-o", "json"]);
        assert_eq!(ran.code, 1, "{source}: {}", ran.err);
        assert_eq!(
            ran.json()["approvalRequired"],
            true,
            "{source}: {}",
            ran.out
        );
    }
}

#[test]
fn policies_of_administrators_are_judged() {
    let open = "\
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: monitoring}
spec:
  priority: 10
  subject:
    namespaces:
      matchLabels: {applicationcode: application2}
  ingress:
  - action: Allow
    from:
    - namespaces: {}
";
    let files = [("zones.yaml", ZONES), ("a.yaml", open)];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    assert_eq!(ran.rules(), ["all-namespaces"], "{}{}", ran.out, ran.err);
    assert_eq!(ran.json()["approvalRequired"], true);
    assert_eq!(ran.err, "");
    let findings = ran.json()["findings"].clone();
    assert_eq!(findings[0]["line"], 12, "{findings}");
}
