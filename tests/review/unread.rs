//! What only people can judge.

use super::command::*;

const FELIX: &str = "\
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec:
  defaultEndpointToHostAction: Drop
";

const BASE: [&str; 6] = ["-f", "a", "--base", "main/", "-o", "json"];

#[test]
fn a_change_of_what_calico_reads_needs_approval() {
    let changed = FELIX.replace("Drop", "Accept");
    let files = [
        ("main/a/zones.yaml", ZONES),
        ("main/a/felix.yaml", FELIX),
        ("a/zones.yaml", ZONES),
        ("a/felix.yaml", changed.as_str()),
    ];
    let ran = review(&files, &BASE);
    let json = ran.json();
    assert_eq!(json["approvalRequired"], true, "{}", ran.out);
    assert_eq!(json["notJudged"], serde_json::json!([]));
    let finding = &json["findings"][0];
    assert_eq!(finding["rule"], "decides-unread");
    assert_eq!(finding["policy"], "FelixConfiguration/default");
    assert_eq!(
        (&finding["file"], &finding["line"]),
        (&"a/felix.yaml".into(), &1.into())
    );
    for only in [&[][..], &["--only", "crossings"]] {
        let ran = review(&files, &[&BASE[..4], &["-o", "markdown"], only].concat());
        let first = ran.out.lines().next().unwrap();
        assert_eq!(
            first,
            "approval needed: 1 of 1 change decides what is not judged, and has to be read"
        );
        assert_eq!(ran.code, 1);
    }
}

#[test]
fn what_did_not_change_needs_none() {
    let files = [
        ("main/a/zones.yaml", ZONES),
        ("main/a/felix.yaml", FELIX),
        ("a/zones.yaml", ZONES),
        ("a/felix.yaml", &format!("# moved\n{FELIX}")),
    ];
    let ran = review(&files, &BASE);
    assert_eq!(ran.json()["approvalRequired"], false, "{}", ran.out);
    assert_eq!(ran.code, 0);
    // Seen as a whole, it has to be read, until somebody says that it was.
    let ran = review(&files, &["-f", "a", "-o", "json"]);
    assert_eq!(ran.rules(), ["decides-unread"]);
    let waived = waived(FELIX, "decides-unread: read on 2026-11-26").replace(
        "metadata: {name: default}\n",
        "metadata:\n  name: default\n  annotations: {\"landingzones.dev/waive\": \"decides-unread: read\"}\n",
    );
    let ran = review(
        &[("a/zones.yaml", ZONES), ("a/felix.yaml", &waived)],
        &["-f", "a", "-o", "json"],
    );
    assert_eq!(
        (ran.rules(), ran.code),
        (vec!["decides-unread".to_owned()], 0)
    );
}

#[test]
fn what_is_taken_away_needs_approval() {
    let files = [
        ("main/a/zones.yaml", ZONES),
        ("main/a/felix.yaml", FELIX),
        ("a/zones.yaml", ZONES),
    ];
    let ran = review(&files, &BASE);
    let json = ran.json();
    assert_eq!(json["approvalRequired"], true, "{}", ran.out);
    assert_eq!(json["findings"][0]["file"], "main/a/felix.yaml");
    let text = review(&files, &BASE[..4]).out;
    assert!(
        text.ends_with(
            "approval needed: 1 of 1 change decides what is not judged, and has to be read\n"
        ),
        "{text}"
    );
}
