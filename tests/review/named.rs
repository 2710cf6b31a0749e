//! Files that a kustomization names, whatever they are called: it stays as it is, and they say another thing.

use rstest::rstest;

use super::command::*;

const BASE: [&str; 6] = ["-f", "a", "--base", "main/", "-o", "json"];
const LABEL: &str = "- {op: add, path: /metadata/labels, value: {a: b}}\n";
const OPEN: &str = "- {op: replace, path: /spec/egress, value: [{action: Allow}]}\n";

/// What is found where files say this before, and one of them says another thing afterwards.
fn changed(files: &[(&str, &str)], named: &str, now: &str) -> Ran {
    let policy = policy(INSIDE);
    let all = [("z.yaml", ZONES), ("policy.yaml", policy.as_str())];
    let all = all.iter().chain(files);
    let texts: Vec<(String, &str)> = all
        .flat_map(|(name, text)| {
            let after = if *name == named { now } else { text };
            [
                (format!("main/a/{name}"), *text),
                (format!("a/{name}"), after),
            ]
        })
        .collect();
    let texts: Vec<_> = texts.iter().map(|(a, b)| (a.as_str(), *b)).collect();
    review(&texts, &BASE)
}

#[rstest]
#[case::patches("patches: [{path: p.txt, target: {kind: NetworkPolicy}}]")]
#[case::detours("patches: [{path: ./q/../p.txt, target: {kind: NetworkPolicy}}]")]
#[case::strategic_merge("patchesStrategicMerge: [p.txt]")]
#[case::json_6902(
    "patchesJson6902: [{path: p.txt, target: {version: v3, kind: NetworkPolicy, name: a}}]"
)]
#[case::transformers("transformers: [p.txt]")]
#[case::replacements("replacements: [{path: p.txt}]")]
#[case::generators("generators: [p.txt]")]
#[case::inside("transformers: ['{kind: PatchTransformer, metadata: {name: x}, path: p.txt}']")]
#[case::of_a_generated_map("configMapGenerator: [{name: a, files: [b=p.txt]}]\nreplacements: []")]
fn a_file_of_any_ending_counts(#[case] field: &str) {
    let kustomization = format!("resources: [policy.yaml]\n{field}\n");
    let files = [
        ("kustomization.yaml", kustomization.as_str()),
        ("p.txt", LABEL),
        ("q/keep", ""),
    ];
    let ran = changed(&files, "p.txt", OPEN);
    assert_eq!(ran.rules(), ["decides-unread"], "{}", ran.out);
    let json = ran.json();
    assert_eq!(json["approvalRequired"], true);
    assert_eq!(json["findings"][0]["file"], "a/kustomization.yaml");
    let same = changed(&files, "p.txt", LABEL);
    assert_eq!(same.json()["approvalRequired"], false, "{}", same.out);
    // What nobody names is nobody's.
    let beside = changed(
        &[files[0], files[1], ("other.txt", LABEL)],
        "other.txt",
        OPEN,
    );
    assert_eq!(beside.json()["approvalRequired"], false, "{}", beside.out);
}

#[rstest]
#[case::of_a_component(
    "c/kustomization.yaml",
    "kind: Component\npatches: [{path: p.txt}]\n",
    "components: [c]"
)]
#[case::of_a_folder_of_transformers(
    "c/kustomization.yaml",
    "resources: [p.txt]\n",
    "transformers: [c]"
)]
#[case::of_a_configuration(
    "t.txt",
    "kind: PatchTransformer\nmetadata: {name: x}\npath: c/p.txt\n",
    "transformers: [t.txt]"
)]
fn a_file_that_is_named_by_what_is_named_counts(
    #[case] between: &str,
    #[case] text: &str,
    #[case] field: &str,
) {
    let kustomization = format!("resources: [policy.yaml]\n{field}\n");
    let files = [
        ("kustomization.yaml", kustomization.as_str()),
        (between, text),
        ("c/p.txt", LABEL),
    ];
    let ran = changed(&files, "c/p.txt", OPEN);
    assert_eq!(ran.json()["approvalRequired"], true, "{}", ran.out);
    let files: Vec<_> = ran.json()["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["file"].clone())
        .collect();
    assert!(files.contains(&"a/kustomization.yaml".into()), "{files:?}");
}

#[test]
fn bytes_that_are_no_text_count() {
    let folder = folder(&[
        ("main/a/z.yaml", ZONES),
        ("a/z.yaml", ZONES),
        ("main/a/kustomization.yaml", "patches: [{path: p}]\n"),
        ("a/kustomization.yaml", "patches: [{path: p}]\n"),
    ]);
    let asks = |bytes: [u8; 2]| {
        std::fs::write(folder.path().join("main/a/p"), [0xff, 0xfe]).unwrap();
        std::fs::write(folder.path().join("a/p"), bytes).unwrap();
        review_in(folder.path(), &BASE, b"").json()["approvalRequired"].clone()
    };
    assert_eq!(asks([0xff, 0xfe]), false);
    assert_eq!(asks([0xff, 0xfd]), true);
}
