//! What of a base is compared with what.

use rstest::rstest;

use super::command::*;

/// A change that copies an open policy from a folder that nobody reviews into one that is reviewed.
fn copied<'a>(open: &'a str, inside: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("main/policies/a.yaml", inside),
        ("main/zones/z.yaml", ZONES),
        ("main/scratch/x.yaml", open),
        ("pr/policies/a.yaml", inside),
        ("pr/policies/x.yaml", open),
        ("pr/zones/z.yaml", ZONES),
    ]
}

const SIDE_BY_SIDE: [&str; 6] = ["-f", "pr/policies", "-f", "pr/zones", "--base", "main"];

fn named(name: &str, selector: &str) -> String {
    policy(selector).replace("from-frontend", name)
}

#[test]
fn what_lies_beside_what_is_reviewed_was_not_there_before() {
    let (open, inside) = (named("x", OUTSIDE), named("a", INSIDE));
    let files = copied(&open, &inside);
    let ran = review(&files, &[&SIDE_BY_SIDE[..], &["-o", "json"]].concat());
    assert_eq!(ran.rules(), ["code-missing"], "{}{}", ran.out, ran.err);
    let json = ran.json();
    assert_eq!(json["approvalRequired"], true);
    assert_eq!(
        json["compared"],
        serde_json::json!([
            {"path": "pr/policies", "with": "main/policies"},
            {"path": "pr/zones", "with": "main/zones"},
        ])
    );
    assert!(
        ran.err
            .contains("note: --base: pr/policies is compared with main/policies\n"),
        "{}",
        ran.err
    );
    let markdown = review(&files, &[&SIDE_BY_SIDE[..], &["-o", "markdown"]].concat());
    assert!(
        markdown
            .out
            .contains("Base: pr/policies is compared with main/policies; pr/zones is compared with main/zones.\n"),
        "{}",
        markdown.out
    );
}

#[test]
fn what_could_be_two_places_of_a_base_is_refused() {
    let (open, inside) = (named("x", OUTSIDE), named("a", INSIDE));
    let mut files = copied(&open, &inside);
    // A folder that nobody reviews is called as the path is.
    files.push(("main/pr/policies/x.yaml", &open));
    let ran = review(&files, &SIDE_BY_SIDE);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    assert!(
        ran.err.contains("-f pr/policies") && ran.err.contains("--base main/pr"),
        "{}",
        ran.err
    );
    let deeper = [
        "-f",
        "pr/policies",
        "--base",
        "main/policies",
        "-f",
        "pr/zones",
    ];
    let ran = review(&files, &deeper);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    assert!(ran.err.contains("main/policies/policies"), "{}", ran.err);

    // A copy of all that is here has both.
    let files = [
        ("main/apps/policies/a.yaml", inside.as_str()),
        ("main/policies/a.yaml", open.as_str()),
        ("apps/policies/a.yaml", inside.as_str()),
        ("policies/a.yaml", open.as_str()),
        ("apps/policies/z.yaml", ZONES),
        ("main/apps/policies/z.yaml", ZONES),
    ];
    let ran = review(&files, &["-f", "apps/policies", "--base", "main"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);

    let twice = [
        ("main/policies/z.yaml", ZONES),
        ("a/policies/z.yaml", ZONES),
        ("b/policies/x.yaml", open.as_str()),
    ];
    let arguments = ["-f", "a/policies", "-f", "b/policies", "--base", "main"];
    let ran = review(&twice, &arguments);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    assert!(ran.err.contains("-f b/policies"), "{}", ran.err);
}

#[rstest]
#[case::several(&["-f", "zones", "-f", "policies"])]
#[case::a_file(&["-f", "policies/x.yaml"])]
fn paths_that_are_not_in_the_base_at_all_are_refused(#[case] paths: &[&str]) {
    let open = named("x", OUTSIDE);
    let files = [
        ("main/scratch/x.yaml", open.as_str()),
        ("policies/x.yaml", open.as_str()),
        ("zones/z.yaml", ZONES),
    ];
    let ran = review(&files, &[paths, &["--base", "main"]].concat());
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    assert!(
        ran.err.contains(&format!("-f {} was in", paths[1])) && ran.err.contains("empty folder"),
        "{}",
        ran.err
    );
}

#[test]
fn a_path_that_is_new_is_told_and_all_of_it_is_new() {
    let open = named("x", OUTSIDE);
    let files = [
        ("main/zones/z.yaml", ZONES),
        ("main/scratch/x.yaml", open.as_str()),
        ("policies/x.yaml", open.as_str()),
        ("zones/z.yaml", ZONES),
    ];
    let paths = ["-f", "zones", "-f", "policies", "--base", "main"];
    let ran = review(&files, &[&paths[..], &["-o", "json"]].concat());
    assert_eq!(ran.rules(), ["code-missing"]);
    assert_eq!(
        ran.err,
        "note: --base: policies was not there before, so all of it counts as new\n"
    );
    assert_eq!(ran.json()["compared"][1]["with"], serde_json::Value::Null);
}

#[test]
fn all_of_a_base_is_what_a_single_folder_was_and_that_is_told() {
    let open = named("x", OUTSIDE);
    let both = format!("{ZONES}---\n{open}");
    let files = [("old/a.yaml", both.as_str()), ("new/b.yaml", both.as_str())];
    let ran = review(&files, &["-f", "new", "--base", "old"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(
        ran.err
            .starts_with("note: --base: new is compared with old, which has no new of its own: all that lies in it counts as what was there before"),
        "{}",
        ran.err
    );
    // What is built from both is named by file.
    let arguments = ["-f", "new/b.yaml", "--base", "old/a.yaml"];
    let ran = review(&files, &arguments);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
}

#[test]
fn a_kustomization_is_known_where_its_folder_is_compared() {
    let kustomization = "kind: Kustomization\nresources: [z.yaml]\nnamePrefix: a-\n";
    let files = [
        ("main/zones/z.yaml", ZONES),
        ("main/zones/kustomization.yaml", kustomization),
        ("pr/zones/z.yaml", ZONES),
        ("pr/zones/kustomization.yaml", kustomization),
    ];
    let ran = review(&files, &["-f", "pr/zones", "--base", "main", "-o", "json"]);
    assert_eq!(ran.rules(), Vec::<String>::new(), "{}", ran.out);
}

/// A policy of this name to these ports of the partner, in some of the files.
fn partner(ports: &str) -> String {
    policy(OUTSIDE).replace(
        "    source:",
        &format!("    protocol: TCP\n    destination: {{ports: [{ports}]}}\n    source:"),
    )
}

#[test]
fn of_what_is_there_twice_only_what_both_let_through_is_known() {
    let (wide, narrow) = (partner("80, 443"), partner("80"));
    let added = |before: &[(&str, &str)], after: &[(&str, &str)]| {
        let at = |folder: &str, files: &[(&str, &str)]| {
            let files = files.iter();
            let files = files.map(|(name, text)| (format!("{folder}{name}"), (*text).to_owned()));
            files.collect::<Vec<_>>()
        };
        let mut files = [at("main/p/", before), at("p/", after)].concat();
        files.extend(["main/p/z.yaml", "p/z.yaml"].map(|it| (it.to_owned(), ZONES.to_owned())));
        let files: Vec<_> = files
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        review(&files, &["-f", "p", "--base", "main", "-o", "json"])
    };
    let both = [
        ("dev/a.yaml", wide.as_str()),
        ("prod/a.yaml", narrow.as_str()),
    ];
    let new = ["code-missing"];
    // As it was, each in its place, it is known.
    let same = added(&both, &both);
    assert_eq!((same.rules(), same.err.as_str()), (vec![], ""));
    let narrower = [both[1], ("dev/a.yaml", narrow.as_str())];
    assert_eq!(added(&both, &narrower).rules(), Vec::<String>::new());
    // In another order, or with one of them gone, the wide one may hold where the narrow one did.
    let swapped = [
        ("dev/a.yaml", narrow.as_str()),
        ("prod/a.yaml", wide.as_str()),
    ];
    assert_eq!(added(&both, &swapped).rules(), new);
    for one in ["dev/a.yaml", "prod/a.yaml", "other.yaml"] {
        let ran = added(&both, &[(one, wide.as_str())]);
        assert_eq!(ran.rules(), new, "{one}");
        assert!(
            ran.err.contains(
                "note: --base: NetworkPolicy/application2-ns2/from-frontend is there several times, at \
                 main/p/dev/a.yaml:1:1 and main/p/prod/a.yaml:1:1: only what each of them let through counts as known"
            ),
            "{}",
            ran.err
        );
        // A folder in which it was not may be that of another cluster.
        let narrower = added(&both, &[(one, narrow.as_str())]).rules();
        let expected = if one == "other.yaml" { &new[..] } else { &[] };
        assert_eq!(narrower, expected, "{one}");
    }
    // Another copy is one more.
    let three = [both[0], both[1], ("stage/a.yaml", wide.as_str())];
    let found = added(&both, &three).rules();
    assert_eq!(found, ["code-missing", "decides-unread"]);
    let three = [both[0], both[1], ("prod/b.yaml", narrow.as_str())];
    assert_eq!(added(&both, &three).rules(), Vec::<String>::new());
}

#[test]
fn where_nobody_knows_what_was_known_beside_policies_everything_is_new() {
    let open = policy("partner == 'yes'").replace(
        "namespaceSelector",
        "namespaceSelector: global()\n      selector",
    );
    let set = |nets: &str| {
        format!(
            "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata: {{name: s, labels: {{partner: 'yes'}}}}\n\
             spec: {{nets: [{nets}]}}\n"
        )
    };
    let (wide, narrow) = (set("203.0.113.0/24"), set("203.0.113.7/32"));
    let mut files = vec![
        ("main/p/z.yaml", ZONES),
        ("p/z.yaml", ZONES),
        ("main/p/a.yaml", open.as_str()),
        ("p/a.yaml", open.as_str()),
        ("main/p/s/1.yaml", narrow.as_str()),
        ("main/p/s/2.yaml", wide.as_str()),
        ("p/s/2.yaml", wide.as_str()),
    ];
    let arguments = ["-f", "p", "--base", "main", "-o", "json"];
    let ran = review(&files, &arguments);
    assert_eq!(ran.rules(), ["network-set"], "{}", ran.err);
    assert!(
        ran.err.contains("whatever is found counts as new"),
        "{}",
        ran.err
    );
    files.push(("p/s/1.yaml", narrow.as_str()));
    let ran = review(&files, &arguments);
    assert_eq!((ran.rules(), ran.err.as_str()), (vec![], ""));
}

/// Who gives the files of a change one by one gives new ones as well, and their last names may be those of others.
#[test]
fn a_new_file_is_not_what_another_one_of_its_name_was() {
    let outside = policy(OUTSIDE);
    let files = [
        ("main/z.yaml", ZONES),
        ("main/x.yaml", outside.as_str()),
        ("main/known/y.yaml", A_NAMESPACE),
        ("pr/z.yaml", ZONES),
        ("pr/new/x.yaml", outside.as_str()),
        ("pr/known/x.yaml", outside.as_str()),
        ("pr/x.yaml", outside.as_str()),
    ];
    let folder = folder(&files);
    let ran = |at: &str, arguments: &[&str]| {
        let arguments = [arguments, &["-o", "json"]].concat();
        review_in(&folder.path().join(at), &arguments, b"")
    };
    let new = ran(
        "pr",
        &["-f", "z.yaml", "-f", "new/x.yaml", "--base", "../main"],
    );
    assert_eq!(new.rules(), ["code-missing"], "{}", new.err);
    assert!(
        new.err
            .contains("note: --base: new/x.yaml was not there before, so all of it counts as new"),
        "{}",
        new.err
    );
    let alone = ran("pr", &["-f", "new/x.yaml", "--base", "../main"]);
    assert_eq!(alone.code, 2, "{}", alone.out);
    // The base has the folder in which it is given.
    let below = ran(
        "pr/known",
        &["-f", "../z.yaml", "-f", "x.yaml", "--base", "../../main"],
    );
    assert_eq!(below.rules(), ["code-missing"], "{}", below.err);
    // Where it has not, it says what it took.
    let taken = ran("pr/new", &["-f", "x.yaml", "--base", "../../main"]);
    assert!(
        taken
            .err
            .contains("note: --base: x.yaml is compared with ../../main/x.yaml"),
        "{}",
        taken.err
    );
    // A copy beside it has the same files.
    for (at, file, base) in [
        (".", "pr/x.yaml", "main"),
        ("pr", "x.yaml", "../main"),
        ("pr", "../pr/x.yaml", "../main"),
    ] {
        let same = ran(at, &["-f", file, "--base", base]);
        assert_eq!(same.rules(), [""; 0], "{file}: {}", same.err);
        assert_eq!(same.code, 0, "{file}: {}", same.err);
    }
}

const A_NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n";
