//! The forms of output.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::command::*;

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
fn the_readme_shows_what_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let call = "$ kubectl landingzone review -f config/samples/review\n";
    let (_, shown) = readme.split_once(call).unwrap();
    let (shown, _) = shown.split_once("```\n").unwrap();
    let ran = review_in(root, &["-f", "config/samples/review"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (1, shown));
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

/// Whoever sees only the comment or the log must not take silence for consent.
#[test]
fn what_is_not_judged_is_told_in_each_form() {
    let other = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a}\n";
    let files = [
        ("a.yaml", other),
        ("chart.yaml", "{{ if .Values.x }}\na: b\n{{ end }}\n"),
        (
            "c.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n",
        ),
    ];
    let table = review(&files, &["-f", "."]);
    assert_eq!(table.code, 0);
    let told = "note: nothing is said of objects of kind CiliumNetworkPolicy";
    assert!(table.err.contains(told), "{}", table.err);

    let json = review(&files, &["-f", ".", "-o", "json"]).json();
    let all = json["notJudged"].as_array().unwrap();
    let counted: Vec<_> = all
        .iter()
        .map(|it| (it["what"].as_str().unwrap(), &it["count"]))
        .collect();
    let one = Value::from(1);
    let two = Value::from(2);
    let expected = [
        ("CiliumNetworkPolicy", &one),
        ("ConfigMap", &two),
        ("files without YAML", &one),
    ];
    assert_eq!(counted, expected);
    assert!(
        all[0]["why"]
            .as_str()
            .unwrap()
            .contains("somebody has to read them")
    );

    let markdown = review(&files, &["-f", ".", "-o", "markdown"]).out;
    assert!(
        markdown.contains(
            "\nNot judged: 1 × <code>CiliumNetworkPolicy</code> (this command does not judge"
        ),
        "{markdown}"
    );
    assert!(
        markdown.contains("2 × <code>ConfigMap</code>, 1 × <code>files without YAML</code>.\n"),
        "{markdown}"
    );

    let hidden = review(&[("zones.yaml", ZONES)], &["-f", ".", "-o", "markdown"]).out;
    assert!(!hidden.contains("Not judged"), "{hidden}");
}
