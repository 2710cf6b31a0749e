//! What a change adds to what was there before.

use super::command::*;
use super::sarif_schema::is_of_the_schema;

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

    assert!(
        table.contains(": note[code-missing] (needs approval: what is waived is new): "),
        "{table}"
    );
    let markdown = review(&files, &[&arguments[..6], &["-o", "markdown"]].concat()).out;
    assert!(
        markdown.contains(
            "**note <code>code-missing</code>, needs approval: what is waived is new** in "
        ),
        "{markdown}"
    );
    let sarif = review(&files, &[&arguments[..6], &["-o", "sarif"]].concat()).json();
    is_of_the_schema(&sarif);
    let suppression = &sarif["runs"][0]["results"][0]["suppressions"][0];
    assert_eq!(suppression["status"], "underReview");

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

/// Who approved what is waived did so for the reason that was given.
#[test]
fn a_waiver_for_another_reason_has_to_be_approved() {
    let open = policy(OUTSIDE);
    let before = waived(&open, "code-missing: until June, CHG-1");
    let arguments = ["-f", "zones.yaml", "-f", "a.yaml", "--base", "main/"];
    let told = |after: &str, form: &str| {
        let files = [
            ("main/zones.yaml", ZONES),
            ("main/a.yaml", before.as_str()),
            ("zones.yaml", ZONES),
            ("a.yaml", after),
        ];
        review(&files, &[&arguments[..], &["-o", form]].concat())
    };
    let after = waived(&open, "code-missing: for ever, CHG-2");
    let table = told(&after, "table").out;
    for line in [
        ": note[code-missing] (needs approval: the waiver has another reason): ",
        "  waived    for ever, CHG-2 (before: until June, CHG-1)\n",
        "approval needed: 1 of 1 change crosses a boundary\n",
    ] {
        assert!(table.contains(line), "{line}: {table}");
    }
    let markdown = told(&after, "markdown").out;
    assert!(
        markdown.contains("needs approval: the waiver has another reason** in "),
        "{markdown}"
    );
    let json = told(&after, "json").json();
    assert_eq!(json["approvalRequired"], true);
    assert_eq!(json["findings"][0]["waived"], "for ever, CHG-2");
    is_of_the_schema(&told(&after, "sarif").json());
    // Written otherwise, it is the same.
    let same = before.replace("code-missing: until", "code-missing :  until");
    assert_ne!(same, before);
    let json = told(&same, "json").json();
    assert_eq!(
        (&json["approvalRequired"], &json["findings"]),
        (&false.into(), &serde_json::json!([]))
    );
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
}

#[test]
fn a_base_that_is_not_there_is_an_error_and_nothing_else() {
    let policy = policy(OUTSIDE);
    let files = [
        ("policies/z.yaml", ZONES),
        ("policies/a.yaml", policy.as_str()),
        ("policies/b.yaml", "kind: ConfigMap\n"),
    ];
    let both = ["-f", "policies/z.yaml", "-f", "policies/a.yaml"];
    for paths in [&["-f", "policies"][..], &both] {
        let ran = review(&files, &[paths, &["--base", "nowhere"]].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""));
        let said =
            "error: --base nowhere: failed to read it: No such file or directory (os error 2)\n";
        assert_eq!(ran.err, said);
    }
}

/// A landing zone with a quota, and with what it declares of its network.
pub fn zones(pods: u32, network: &str) -> String {
    let quota = format!("zone: backend, quota: {{pods: \"{pods}\"}}}}");
    let zones = ZONES.replacen("zone: backend}", &quota, 1);
    zones.replacen("---\n", &format!("{network}---\n"), 1)
}

pub const TO_PARTNER: &str = "  network:
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

/// With Felix the boundary of everybody on the node ends: a waiver of its own is no approval.
#[test]
fn only_crossings_keeps_what_has_to_be_approved() {
    let fatal = policy(INSIDE).replace(
        "action: Allow",
        "action: Allow\n    notProtocol: UDP\n    protocol: TCP",
    );
    let files = [("zones.yaml", ZONES), ("a.yaml", fatal.as_str())];
    let ran = review(&files, &["-f", ".", "--only", "crossings", "-o", "json"]);
    assert_eq!(ran.rules(), ["breaks-felix"], "{}", ran.out);
    assert_eq!(ran.json()["approvalRequired"], true, "{}", ran.out);
}

#[test]
fn a_rule_that_lets_out_is_told_behind_another_one() {
    let two = policy("applicationcode != 'application2'")
        + "  - action: Allow\n    source: {namespaceSelector: all()}\n";
    let files = [("zones.yaml", ZONES), ("a.yaml", two.as_str())];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    assert_eq!(
        ran.rules(),
        ["code-negated", "all-namespaces"],
        "{}",
        ran.out
    );
}

#[test]
fn what_ends_felix_has_to_be_approved() {
    let ends = policy(INSIDE).replace("    source:\n", "    source:\n      notNets: [0.0.0.0/0]\n");
    let files = [
        ("main/z.yaml", ZONES),
        ("n/z.yaml", ZONES),
        ("n/a.yaml", ends.as_str()),
    ];
    let arguments = ["-f", "n", "--base", "main", "--exit-on", "approval"];
    let ran = review(&files, &arguments);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("error[breaks-felix]"), "{}", ran.out);
    assert!(
        ran.out
            .ends_with("approval needed: 1 of 1 change ends Felix\n"),
        "{}",
        ran.out
    );
    let waived = waived(&ends, "breaks-felix: we like it");
    let files = [
        ("main/z.yaml", ZONES),
        ("n/z.yaml", ZONES),
        ("n/a.yaml", waived.as_str()),
    ];
    let ran = review(&files, &arguments);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let both = format!(
        "{ends}---\n{}",
        policy(OUTSIDE).replace("from-frontend", "b")
    );
    let files = [
        ("main/z.yaml", ZONES),
        ("n/z.yaml", ZONES),
        ("n/a.yaml", both.as_str()),
    ];
    let ran = review(&files, &arguments);
    let headline = "approval needed: 1 of 2 changes crosses a boundary, 1 ends Felix\n";
    assert!(ran.out.ends_with(headline), "{}", ran.out);
}
