//! What comes to another folder, which may be that of another cluster or stage.

use rstest::rstest;

use super::base::{TO_PARTNER, zones};
use super::command::*;

/// What is found where files of one folder come to be others.
fn added(before: &[(&str, &str)], after: &[(&str, &str)]) -> Ran {
    let at = |folder: &str, files: &[(&str, &str)]| {
        let files = files.iter().chain(&[("z.yaml", ZONES)]);
        let files = files.map(|(name, text)| (format!("{folder}/{name}"), (*text).to_owned()));
        files.collect::<Vec<_>>()
    };
    let files = [at("main/p", before), at("p", after)].concat();
    let files: Vec<_> = files
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    review(&files, &["-f", "p", "--base", "main", "-o", "json"])
}

const SET: &str = "\
apiVersion: projectcalico.org/v3
kind: NetworkSet
metadata: {name: s, namespace: application2-ns2, labels: {role: x}}
spec: {nets: [198.51.100.0/24]}
";

#[rstest]
#[case::a_policy(policy(OUTSIDE), "code-missing")]
#[case::a_network_set(SET.to_owned(), "network-set-inside")]
fn what_comes_to_another_folder_is_new_there(#[case] open: String, #[case] rule: &str) {
    let (east, west) = (
        ("east/a.yaml", open.as_str()),
        ("west/a.yaml", open.as_str()),
    );
    for after in [&[east, west][..], &[west]] {
        let ran = added(&[east], after);
        assert_eq!(ran.rules(), [rule], "{}", ran.err);
        let json = ran.json();
        assert_eq!(json["approvalRequired"], true);
        assert_eq!(json["findings"][0]["file"], "p/west/a.yaml");
        assert!(
            ran.err.contains("note: --base: p/west/a.yaml:1:1: ")
                && ran.err.contains("was in another folder"),
            "{}",
            ran.err
        );
    }
    // Deeper, or higher, is another folder as well.
    for other in ["east/sub/a.yaml", "a.yaml"] {
        assert_eq!(
            added(&[east], &[(other, open.as_str())]).rules(),
            [rule],
            "{other}"
        );
    }
    // Another file of the same folder is none, and what is there stays known.
    for same in [
        &[("east/b.yaml", open.as_str())][..],
        &[east, ("east/b.yaml", open.as_str())],
        &[east],
    ] {
        let ran = added(&[east], same);
        assert_eq!(ran.rules(), Vec::<String>::new(), "{}", ran.err);
    }
}

#[test]
fn a_policy_that_is_called_otherwise_in_another_folder_is_new() {
    let (open, other) = (
        policy(OUTSIDE),
        policy(OUTSIDE).replace("from-frontend", "to-frontend"),
    );
    let before = [("east/a.yaml", open.as_str())];
    assert_eq!(
        added(&before, &[("east/b.yaml", &other)]).rules(),
        Vec::<String>::new()
    );
    assert_eq!(
        added(&before, &[("west/a.yaml", &other)]).rules(),
        ["code-missing"]
    );
}

#[test]
fn what_stays_inside_may_move() {
    let inside = policy(INSIDE);
    let ran = added(&[("east/a.yaml", &inside)], &[("west/a.yaml", &inside)]);
    assert_eq!((ran.rules(), ran.err.as_str()), (vec![], ""));
}

/// What is declared needs nobody's approval, here or there: a policy that only moves is no news, and is not counted as a change
/// that crosses a boundary.
#[test]
fn what_is_declared_may_move() {
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
    let zones = zones(10, TO_PARTNER);
    let compared = |after: &str| {
        let files = [
            ("main/p/z.yaml", zones.as_str()),
            ("main/p/east/a.yaml", policy),
            ("p/z.yaml", zones.as_str()),
            ("p/west/a.yaml", after),
        ];
        review(&files, &["-f", "p", "--base", "main"])
    };
    let ran = compared(policy);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (
            0,
            "nothing found\nno approval needed: none of 0 changes crosses a boundary\n"
        ),
        "{}",
        ran.err
    );
    // One that says another thing is told, as declared.
    let narrower = policy.replace("203.0.113.0/24", "203.0.113.0/25");
    let ran = compared(&narrower);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(
        ran.out.contains("  declared  crossing partner"),
        "{}",
        ran.out
    );
    let count = "no approval needed: 1 of 1 change crosses a boundary, declared or waived\n";
    assert!(ran.out.ends_with(count), "{}", ran.out);
}

/// What kustomize builds stands in no folder.
#[test]
fn standard_input_is_no_folder() {
    let open = format!("{ZONES}---\n{}", policy(OUTSIDE));
    let folder = folder(&[("main/east/a.yaml", &open)]);
    let arguments = ["-f", "-", "--base", "main", "-o", "json"];
    let ran = review_in(folder.path(), &arguments, open.as_bytes());
    assert_eq!(ran.rules(), Vec::<String>::new(), "{}", ran.err);
}
