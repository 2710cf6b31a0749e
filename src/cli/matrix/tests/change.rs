//! What of a change is told: what people would see a difference in.

use super::*;

#[test]
fn what_changes_within_what_is_partly_open_is_told() {
    const BASE: &str = "
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: shop}
spec:
  applicationCode: shop
  namespaces: [{name: shop-web, zone: web}]
  network:
    egress:
    - name: partner
      reason: rates
      to: {cidrs: [203.0.113.0/24]}
      ports: [{protocol: TCP, port: 443}]
";
    let told = |before: &str, after: &str| {
        let files = [("old/shop.yaml", before), ("new/shop.yaml", after)];
        let changes = json(&files, &["-f", "new", "--base", "old", "-o", "json"]);
        let told = changes.iter().map(|it| {
            format!(
                "{} {} {} {}",
                it["change"].as_str().unwrap(),
                it["verdict"].as_str().unwrap(),
                place(&it["from"]),
                it["ports"][0]
            )
        });
        // The same for each place that has such addresses.
        told.collect::<BTreeSet<_>>()
    };
    let altered = BTreeSet::from(["altered partly shop/web \"TCP 443\"".to_owned()]);
    for range in ["203.0.0.0/16", "198.51.100.0/24", "203.0.113.0/25"] {
        let after = BASE.replace("203.0.113.0/24", range);
        assert_eq!(told(BASE, &after), altered, "{range}");
    }
    let by_pods = |app: &str| {
        let zone = format!("from: {{zone: web, podSelector: {{matchLabels: {{app: {app}}}}}}}");
        BASE.replace("reason: rates\n", &format!("reason: rates\n      {zone}\n"))
    };
    assert_eq!(told(&by_pods("one"), &by_pods("other")), altered);
    // Nothing of it is in the rules.
    let reworded = BASE.replace("rates", "more rates");
    assert_eq!(told(BASE, &reworded), BTreeSet::new());
}

/// Lets some pods of the same application in.
const TEAM: &str = "
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: some, namespace: shop-data}
spec:
  selector: app == 'db'
  types: [Ingress]
  ingress:
  - action: Allow
    source: {selector: app == 'web', namespaceSelector: applicationcode == 'shop'}
";

fn changed(before: &[(&str, &str)], after: &[(&str, &str)]) -> String {
    let at = |folder: &str, files: &[(&str, &str)]| {
        let files = files.iter();
        let files = files.map(|(name, text)| (format!("{folder}/{name}"), (*text).to_owned()));
        files.collect::<Vec<_>>()
    };
    let files = [at("old", before), at("new", after)].concat();
    let files: Vec<_> = files
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    let (outcome, out, err) = run(&files, &["-f", "new", "--base", "old"]);
    assert_eq!(outcome, Outcome::Done, "{err}");
    out
}

const NOTHING: &str = "nothing opens and nothing closes\n";

#[test]
fn what_looks_the_same_to_people_is_not_told() {
    let team = ("team.yaml", TEAM);
    // A policy is called otherwise.
    let renamed = TEAM.replace("name: some", "name: other");
    let before = [("shop.yaml", SHOP), team];
    let out = changed(&before, &[before[0], ("team.yaml", &renamed)]);
    assert_eq!(out, NOTHING);
    // A network set that no rule means.
    let set = "
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: partners, labels: {role: partner}}
spec: {nets: [198.51.100.0/24]}
";
    let out = changed(&before, &[before[0], team, ("set.yaml", set)]);
    assert_eq!(out, NOTHING);
    // A namespace joins a zone of the landing zone.
    let more = SHOP.replace(
        "- {name: shop-data, zone: data}",
        "- {name: shop-data, zone: data}\n  - {name: shop-more, zone: data}",
    );
    assert_ne!(more, SHOP);
    let plain = [("shop.yaml", SHOP)];
    let out = changed(&plain, &[("shop.yaml", &more)]);
    assert_eq!(out, NOTHING);
}

/// What the table says of a pair is the same before and after, and who gets through is not.
#[test]
fn what_is_decided_by_other_rules_is_told_once() {
    let wider = TEAM.replace("app == 'web'", "has(app)");
    let before = [("shop.yaml", SHOP), ("team.yaml", TEAM)];
    let out = changed(&before, &[before[0], ("team.yaml", &wider)]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines.iter().any(|it| it.starts_with("~ shop/frontend ")),
        "{out}"
    );
    assert!(
        !lines
            .iter()
            .any(|it| it.starts_with("+ ") || it.starts_with("- ")),
        "{out}"
    );
    assert_eq!(
        lines.last(),
        Some(&"~ passes partly as before, by rules that say another thing now")
    );
    // A set that the rule means is one, too.
    let by_set = TEAM.replace(
        "selector: app == 'web', namespaceSelector: applicationcode == 'shop'",
        "selector: role == 'partner', namespaceSelector: all()",
    );
    assert_ne!(by_set, TEAM);
    let set = |nets: &str| {
        format!(
            "apiVersion: projectcalico.org/v3\nkind: NetworkSet\nmetadata: {{name: a, namespace: shop-web, labels: {{role: partner}}}}\n\
             spec: {{nets: [{nets}]}}\n"
        )
    };
    let (one, other) = (set("10.244.1.0/24"), set("10.244.2.0/24"));
    let before = [
        ("shop.yaml", SHOP),
        ("team.yaml", by_set.as_str()),
        ("set.yaml", one.as_str()),
    ];
    let out = changed(&before, &[before[0], before[1], ("set.yaml", &other)]);
    assert!(out.contains("\n~ "), "{out}");
    // The page has a mark for it.
    let wider = [
        ("old/a.yaml", TEAM),
        ("new/a.yaml", wider.as_str()),
        ("old/s.yaml", SHOP),
        ("new/s.yaml", SHOP),
    ];
    let (_, page, _) = run(&wider, &["-f", "new", "--base", "old", "-o", "html"]);
    assert!(page.contains("class=\"altered\""), "{page}");
}
