//! Several clusters in one review.

use std::collections::BTreeSet;

use super::command::*;

/// The same application in two clusters, of which one lets others in.
fn files() -> Vec<(&'static str, String)> {
    vec![
        ("shared/z.yaml", ZONES.to_owned()),
        ("west/p.yaml", policy(OUTSIDE)),
        ("east/p.yaml", policy(INSIDE)),
    ]
}

fn run(files: &[(&str, String)], arguments: &[&str]) -> Ran {
    let files = files.iter().map(|(name, text)| (*name, text.as_str()));
    review(&files.collect::<Vec<_>>(), arguments)
}

const BOTH: [&str; 6] = [
    "--cluster",
    "west=west",
    "--cluster",
    "east=east",
    "-f",
    "shared",
];

#[test]
fn each_finding_names_its_cluster() {
    let json = [&BOTH[..], &["-o", "json"]].concat();
    let ran = run(&files(), &json);
    assert_eq!(
        (ran.code, ran.rules()),
        (1, vec!["code-missing".to_owned()]),
        "{}",
        ran.err
    );
    let finding = &ran.json()["findings"][0];
    assert_eq!(
        (&finding["cluster"], &finding["file"]),
        (&"west".into(), &"west/p.yaml".into())
    );
    // What is in each of them is found in each.
    let mut all = files();
    all.push((
        "shared/q.yaml",
        policy(OUTSIDE).replace("from-frontend", "other"),
    ));
    let ran = run(&all, &json);
    let json = ran.json();
    let findings = json["findings"].as_array().unwrap();
    let told: Vec<(&str, &str)> = findings
        .iter()
        .map(|it| {
            (
                it["cluster"].as_str().unwrap(),
                it["file"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("west", "shared/q.yaml"),
        ("west", "west/p.yaml"),
        ("east", "shared/q.yaml"),
    ];
    assert_eq!(told, expected);
    // Code scanning takes the same alert of two clusters for two.
    let sarif = run(&all, &[&BOTH[..], &["-o", "sarif"]].concat()).json();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let prints = results
        .iter()
        .map(|it| it["partialFingerprints"].to_string());
    assert_eq!(prints.collect::<BTreeSet<_>>().len(), 3);
    assert!(
        results[0]["message"]["text"]
            .as_str()
            .unwrap()
            .starts_with("west: ")
    );
    let table = run(&all, &BOTH);
    assert!(
        table.out.contains("\nwest: west/p.yaml:")
            && table.out.contains("\neast: shared/q.yaml:")
            && table
                .out
                .ends_with("approval needed: 3 of 4 policies cross a boundary\n"),
        "{}",
        table.out
    );
    let markdown = run(&all, &[&BOTH[..], &["-o", "markdown"]].concat());
    assert!(
        markdown.out.contains("<code>east: shared/q.yaml:"),
        "{}",
        markdown.out
    );
}

#[test]
fn each_cluster_is_compared_with_what_it_was() {
    let mut all = files();
    all.extend([
        ("main/shared/z.yaml", ZONES.to_owned()),
        ("main/west/p.yaml", policy(OUTSIDE)),
        ("main/east/p.yaml", policy(OUTSIDE)),
    ]);
    let arguments = [&BOTH[..], &["--base", "main", "-o", "json"]].concat();
    assert_eq!(run(&all, &arguments).rules(), [""; 0]);
    // What another cluster has says nothing of this one.
    all[3 + 1].1 = policy(INSIDE);
    let ran = run(&all, &arguments);
    assert_eq!(ran.json()["findings"][0]["cluster"], "west", "{}", ran.out);
    // A declaration of one of them.
    let stage = ZONES.replacen("spec:\n", "spec:\n  stage: Observe\n", 1);
    all.push(("east/z.yaml", stage.clone()));
    all.retain(|(name, _)| *name != "shared/z.yaml");
    all.push(("west/z.yaml", ZONES.to_owned()));
    let arguments = [
        "--cluster",
        "west=west",
        "--cluster",
        "east=east",
        "--base",
        "main",
        "-o",
        "json",
    ];
    all.extend([
        ("main/west/z.yaml", ZONES.to_owned()),
        ("main/east/z.yaml", ZONES.to_owned()),
    ]);
    let ran = run(&all, &arguments);
    let json = ran.json();
    let changes = json["changes"].as_array().unwrap();
    assert!(
        !changes.is_empty() && changes.iter().all(|it| it["cluster"] == "east"),
        "{}",
        ran.out
    );
}

#[test]
fn a_cluster_that_cannot_be_read_is_named() {
    let mut all = files();
    all[2].1 = "spec: [".to_owned();
    all.push(("east/q.yaml", "kind: NetworkPolicy\nspec: [\n".to_owned()));
    let ran = run(&all, &BOTH);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(
        ran.err.contains("cluster east:\n") && !ran.err.contains("cluster west:"),
        "{}",
        ran.err
    );
    let twice = run(
        &files(),
        &[
            "--cluster",
            "west=west",
            "--cluster",
            "east=east",
            "-f",
            "-",
        ],
    );
    assert_eq!(twice.code, 2);
    assert!(
        twice.err.contains("standard input is read once"),
        "{}",
        twice.err
    );
}
