//! Several clusters, and two states of one.

use super::*;

#[test]
fn a_namespace_that_is_named_opens_and_closes_nothing_by_that() {
    let named = format!("{SHOP}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: other}}\n");
    let two = format!("{named}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: more}}\n");
    for (before, after) in [
        (SHOP, named.as_str()),
        (&named, SHOP),
        (&named, &two),
        (&two, &named),
    ] {
        let files = [("old/a.yaml", before), ("new/a.yaml", after)];
        let (_, out, err) = run(&files, &["-f", "new", "--base", "old"]);
        assert_eq!(out, "nothing opens and nothing closes\n", "{err}");
    }
    // What it opens is told, once, and of it alone.
    let service = SHOP.to_owned()
        + "  - {name: scraper, direction: ToLandingZones, landingZones: All, ports: [{protocol: TCP, port: 9090}], \
           peers: [{namespaceSelector: {matchLabels: {team: monitoring}}}]}\n";
    let joins = format!(
        "{service}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: evil, labels: {{team: monitoring}}}}\n"
    );
    let files = [
        ("old/a.yaml", service.as_str()),
        ("new/a.yaml", joins.as_str()),
    ];
    let changes = json(&files, &["-f", "new", "--base", "old", "-o", "json"]);
    assert!(!changes.is_empty());
    for change in &changes {
        assert_eq!(change["change"], "opened", "{change}");
        assert_eq!(place(&change["from"]), "namespace evil", "{change}");
        assert_eq!(change["ports"][0], "TCP 9090", "{change}");
    }
    let (_, page, _) = run(&files, &["-f", "new", "--base", "old", "-o", "html"]);
    assert!(!page.contains("namespaces of no landing zone"));
}

/// Several clusters by their files, each with what they share.
#[test]
fn clusters_are_told_side_by_side_from_files() {
    let (zones, platform) = SHOP.split_at(SHOP.rfind("---\n").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path).display().to_string();
    let wider = zones.replace("port: 5432", "port: 5433");
    for (name, text) in [("w.yaml", zones), ("e.yaml", &wider), ("p.yaml", platform)] {
        fs::write(at(name), text).unwrap();
    }
    let run = |arguments: &[&str]| {
        let all = ["matrix"].iter().chain(arguments);
        let command = Command::try_parse_from(all).map_err(|it| it.to_string())?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let outcome = command
            .matrix
            .matrix(Layout::Lines, &mut io::empty(), &mut out, &mut err)
            .unwrap();
        let [out, err] = [out, err].map(|it| String::from_utf8(it).unwrap());
        Ok::<_, String>((outcome, out, err))
    };
    let [west, east, platform] = [
        format!("west={}", at("w.yaml")),
        format!("east={}", at("e.yaml")),
        at("p.yaml"),
    ];
    let both = ["--cluster", &west, "--cluster", &east, "-f", &platform];
    let (outcome, out, err) = run(&[&both[..], &["-o", "json"]].concat()).unwrap();
    assert_eq!(outcome, Outcome::Done, "{err}");
    let entries: Vec<Value> = serde_json::from_str(&out).unwrap();
    for (cluster, port) in [("west", "TCP 5432"), ("east", "TCP 5433")] {
        let own = entries.iter().filter(|it| it["cluster"] == cluster);
        let own: Vec<Value> = own.cloned().collect();
        assert_eq!(
            told(&own, "shop/frontend", "shop/data"),
            format!("allowed {port}")
        );
        // What they share is in each.
        assert!(
            own.iter()
                .any(|it| place(&it["from"]) == "shared service ingress")
        );
    }
    let (_, table, _) = run(&both).unwrap();
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0][..3], ["CLUSTER", "FROM", "TO"], "{table}");
    let row = [
        "east",
        "shop/frontend",
        "shop/data",
        "allowed",
        "TCP",
        "5433",
    ];
    assert!(lines.iter().any(|it| it.starts_with(&row)), "{table}");
    for (wrong, told) in [
        (&["--cluster", "west"][..], "west=clusters/west"),
        (&["--cluster", "west=-"], "standard input"),
        (
            &["--cluster", &west, "--base", &platform],
            "cannot be used with",
        ),
        (&["--cluster", &west, "--live"], "cannot be used with"),
    ] {
        let error = run(wrong).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
    let (outcome, _, err) = run(&["--cluster", &west, "--cluster", &east, "-f", "-"]).unwrap();
    assert_eq!(outcome, Outcome::BadInput);
    assert!(err.contains("standard input"), "{err}");
}
