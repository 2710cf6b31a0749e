use std::collections::BTreeSet;
use std::fs;

use clap::Parser;
use serde_json::Value;

use super::*;

mod behind;
mod change;
mod read;
mod several;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    matrix: MatrixArgs,
}

const SHOP: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: shop}
spec:
  applicationCode: shop
  namespaces:
  - {name: shop-web, zone: frontend}
  - {name: shop-data, zone: data}
  network:
    flows:
    - {name: sql, from: {zone: frontend}, to: {zone: data}, ports: [{protocol: TCP, port: 5432}]}
    egress:
    - {name: orders, from: {zone: frontend}, to: {landingZone: orders, zone: api}, ports: [{protocol: TCP, port: 8443}]}
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: orders}
spec:
  applicationCode: orders
  namespaces:
  - {name: orders-api, zone: api}
  network:
    sharedServices: [ingress]
    ingress:
    - {name: shop, from: {landingZone: shop, zone: frontend}, to: {zone: api}, ports: [{protocol: TCP, port: 8443}]}
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata: {name: cluster}
spec:
  network: {podCidrs: [10.244.0.0/16]}
  sharedServices:
  - name: ingress
    peers:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: app-routing-system}}
    direction: ToLandingZones
    ports: [{protocol: TCP, port: 8080}]
    landingZones: Declared
";

/// What a run left: the outcome, standard output, standard error.
fn run(files: &[(&str, &str)], arguments: &[&str]) -> (Outcome, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec!["matrix".to_owned()];
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    for argument in arguments {
        all.push(
            if argument.starts_with('-') || ["json", "html", "open", "crossings"].contains(argument)
            {
                (*argument).to_owned()
            } else {
                folder.path().join(argument).display().to_string()
            },
        );
    }
    let command = Command::try_parse_from(all).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let outcome = command
        .matrix
        .matrix(Layout::Lines, &mut io::empty(), &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (outcome.unwrap(), text(out), text(err))
}

fn json(files: &[(&str, &str)], arguments: &[&str]) -> Vec<Value> {
    let (outcome, out, err) = run(files, arguments);
    assert_eq!(outcome, Outcome::Done, "{err}");
    serde_json::from_str(&out).unwrap()
}

fn place(name: &Value) -> String {
    match name["landingZone"].as_str() {
        Some(zone) => format!("{zone}/{}", name["zone"].as_str().unwrap()),
        None => name["zone"].as_str().unwrap().to_owned(),
    }
}

/// `verdict ports` of all entries of a pair.
fn told(entries: &[Value], from: &str, to: &str) -> String {
    let own = entries
        .iter()
        .filter(|it| place(&it["from"]) == from && place(&it["to"]) == to);
    let told = own.map(|it| {
        let ports: Vec<_> = it["ports"].as_array().unwrap().iter().collect();
        let ports: Vec<_> = ports.iter().map(|it| it.as_str().unwrap()).collect();
        let verdict = it["verdict"].as_str().unwrap();
        format!("{verdict} {}", ports.join(", "))
            .trim_end()
            .to_owned()
    });
    told.collect::<Vec<_>>().join("; ")
}

#[test]
fn flows_crossings_and_services_are_open_and_the_rest_is_closed() {
    for flags in [&["--tiers=false"][..], &["--flavour=v3"], &[]] {
        let arguments = [&["-f", "all.yaml", "-o", "json"], flags].concat();
        let entries = json(&[("all.yaml", SHOP)], &arguments);
        for (from, to, expected) in [
            ("shop/frontend", "shop/data", "allowed TCP 5432"),
            ("shop/data", "shop/frontend", "denied"),
            ("shop/data", "shop/data", "allowed any"),
            ("orders/api", "orders/api", "allowed any"),
            ("shop/frontend", "orders/api", "allowed TCP 8443"),
            ("shop/data", "orders/api", "denied"),
            ("orders/api", "shop/frontend", "denied"),
            ("shared service ingress", "orders/api", "allowed TCP 8080"),
            ("shared service ingress", "shop/frontend", "denied"),
            ("orders/api", "shared service ingress", "denied"),
            ("shop/frontend", "DNS", "allowed TCP 53, UDP 53"),
            ("DNS", "shop/frontend", "denied"),
            ("shop/frontend", "internet", "denied"),
            ("internet", "shop/frontend", "denied"),
            ("shop/frontend", "metadata of Azure", "denied"),
            ("namespaces of no landing zone", "shop/data", "denied"),
            // The pods of DNS run in one of these namespaces.
            (
                "shop/data",
                "namespaces of no landing zone",
                "partly TCP 53, UDP 53",
            ),
            // The ingress controllers run in one of these namespaces.
            (
                "namespaces of no landing zone",
                "orders/api",
                "partly TCP 8080",
            ),
        ] {
            assert_eq!(
                told(&entries, from, to),
                expected,
                "{flags:?}: {from} → {to}"
            );
        }
        let keys: Vec<_> = entries[0].as_object().unwrap().keys().collect();
        let expected = ["cluster", "decidedBy", "from", "ports", "to", "verdict"];
        assert_eq!(keys, expected);
    }
}

#[test]
fn what_decides_is_told_for_both_sides() {
    let entries = json(&[("all.yaml", SHOP)], &["-f", "all.yaml", "-o", "json"]);
    let decided = |from: &str, to: &str| {
        let mut entries = entries.iter();
        let entry = entries.find(|it| place(&it["from"]) == from && place(&it["to"]) == to);
        entry.unwrap()["decidedBy"].as_str().unwrap().to_owned()
    };
    let crossing = decided("shop/frontend", "orders/api");
    assert!(
        crossing.contains("egress: GlobalNetworkPolicy landingzones-platform.landing-zone-shop-"),
        "{crossing}"
    );
    assert!(
        crossing
            .contains("ingress: GlobalNetworkPolicy landingzones-platform.landing-zone-orders-"),
        "{crossing}"
    );
    let closed = decided("internet", "shop/data");
    assert!(
        !closed.contains("egress") && closed.contains("shop-boundary"),
        "{closed}"
    );
}

/// A policy of a team narrows the inside and opens nothing beyond; network sets and unreadable policies are seen.
#[test]
fn policies_of_teams_count_as_they_are() {
    let team = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop-data}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: open, namespace: shop-web}
spec: {types: [Ingress, Egress], ingress: [{action: Allow}], egress: [{action: Allow}]}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: broken, namespace: shop-web}
spec: {selector: \"app = 'web'\", ingress: [{action: Allow}]}
";
    let files = [("all/shop.yaml", SHOP), ("all/team.yaml", team)];
    let (_, out, err) = run(&files, &["-f", "all", "-o", "json"]);
    assert!(
        err.contains("NetworkPolicy shop-web/broken counts as missing: spec.selector"),
        "{err}"
    );
    let entries: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(told(&entries, "shop/frontend", "shop/data"), "denied");
    assert_eq!(told(&entries, "internet", "shop/frontend"), "denied");
    assert_eq!(told(&entries, "shop/frontend", "internet"), "denied");
}

/// What one application writes for itself says nothing of the others' names of hosts.
#[test]
fn a_policy_of_one_application_leaves_dns_to_the_others() {
    for (selects, way) in [
        (
            "namespaceSelector: applicationcode == 'shop'",
            "types: [Ingress, Egress]",
        ),
        (
            "selector: app == 'a', namespaceSelector: applicationcode == 'shop'",
            "types: [Ingress]",
        ),
        (
            "selector: app == 'a', namespaceSelector: \"zone == 'data'\"",
            "types: [Ingress, Egress]",
        ),
        (
            "namespaceSelector: \"landingzones.dev/landing-zone == 'shop'\"",
            "types: [Ingress, Egress]",
        ),
        (
            "namespaceSelector: team == 'red'",
            "types: [Ingress, Egress]",
        ),
    ] {
        let policy = format!(
            "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {{name: own}}\n\
             spec: {{order: 200, {selects}, {way}, ingress: [{{action: Allow, source: {{namespaceSelector: applicationcode == 'shop'}}}}]}}\n"
        );
        let files = [("all/shop.yaml", SHOP), ("all/own.yaml", policy.as_str())];
        for flags in [&["--tiers=false"][..], &[]] {
            let arguments = [&["-f", "all", "-o", "json"], flags].concat();
            let entries = json(&files, &arguments);
            let dns = "allowed TCP 53, UDP 53";
            assert_eq!(
                told(&entries, "orders/api", "DNS"),
                dns,
                "{selects} {flags:?}"
            );
        }
    }
    // It is of the others' where it selects all that there is, and of the pods of DNS where it names them.
    for selects in [
        "selector: all()",
        "selector: k8s-app == 'kube-dns'",
        "namespaceSelector: projectcalico.org/name == 'kube-system'",
    ] {
        let policy = format!(
            "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {{name: own}}\n\
             spec: {{order: 5, {selects}, types: [Ingress], ingress: [{{action: Deny}}]}}\n"
        );
        let files = [("all/shop.yaml", SHOP), ("all/own.yaml", policy.as_str())];
        let entries = json(&files, &["-f", "all", "-o", "json"]);
        assert_eq!(told(&entries, "orders/api", "DNS"), "denied", "{selects}");
    }
}

#[test]
fn a_change_is_what_opens_and_closes() {
    let wider = SHOP.replace("port: 5432", "port: 5433");
    let files = [("old/shop.yaml", SHOP), ("new/shop.yaml", wider.as_str())];
    let changes = json(&files, &["-f", "new", "--base", "old", "-o", "json"]);
    let told: Vec<_> = changes
        .iter()
        .map(|it| {
            let change = it["change"].as_str().unwrap();
            format!(
                "{change} {} {} {}",
                place(&it["from"]),
                place(&it["to"]),
                it["ports"][0]
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "opened shop/frontend shop/data \"TCP 5433\"",
            "closed shop/frontend shop/data \"TCP 5432\"",
        ]
    );
    let (_, out, _) = run(&files, &["-f", "new", "--base", "new"]);
    assert_eq!(out, "nothing opens and nothing closes\n");
}

#[test]
fn what_is_closed_can_be_left_out() {
    let files = [("all.yaml", SHOP)];
    let all = json(&files, &["-f", "all.yaml", "-o", "json"]);
    let open = json(&files, &["-f", "all.yaml", "-o", "json", "--only", "open"]);
    assert!(open.iter().all(|it| it["verdict"] != "denied"));
    let closed = all.iter().filter(|it| it["verdict"] == "denied").count();
    assert_eq!(open.len() + closed, all.len());
    let crossing = json(
        &files,
        &["-f", "all.yaml", "-o", "json", "--only", "crossings"],
    );
    assert_eq!(
        told(&crossing, "shop/frontend", "orders/api"),
        "allowed TCP 8443"
    );
    assert_eq!(told(&crossing, "shop/frontend", "shop/data"), "");
    assert!(!crossing.is_empty() && crossing.len() < open.len());

    // An entry to a line, so that the rest is not layout.
    let (_, out, _) = run(&files, &["-f", "all.yaml", "-o", "json"]);
    assert_eq!(out.lines().count(), all.len() + 2);

    let (_, table, _) = run(&files, &["-f", "all.yaml", "--only", "crossings"]);
    assert!(table.contains("orders/api*"), "{table}");
    let inside = |line: &str| line.starts_with("shop/frontend ") && line.contains(" shop/data ");
    assert!(!table.lines().any(inside), "{table}");
    let (_, whole, _) = run(&files, &["-f", "all.yaml"]);
    assert!(whole.lines().any(inside), "{whole}");
    assert_eq!(table.lines().last(), whole.lines().last());
}

#[test]
fn the_table_tells_what_passes() {
    let (outcome, out, err) = run(&[("all.yaml", SHOP)], &["-f", "all.yaml"]);
    assert_eq!(outcome, Outcome::Done, "{err}");
    let rows: Vec<Vec<&str>> = out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][..3], ["FROM", "TO", "VERDICT"], "{out}");
    let pair = |row: &&Vec<&str>| row[..2] == ["shop/frontend", "orders/api*"];
    let row = rows.iter().find(pair).unwrap();
    assert_eq!(row[2..5], ["allowed", "TCP", "8443"], "{out}");
    assert!(!out.contains("denied"), "{out}");
    assert!(out.contains("pairs are closed"), "{out}");
}

/// What decides is as long as the names of policies are: a table has room for some of it, and JSON has all.
#[test]
fn what_decides_leaves_the_table_narrow() {
    let files = [("all.yaml", SHOP)];
    let (_, out, _) = run(&files, &["-f", "all.yaml"]);
    let head = out.lines().next().unwrap();
    let column = head.find("DECIDED BY").unwrap();
    for line in out.lines().filter(|it| it.starts_with("shop/")) {
        let decided: String = line.chars().skip(column).collect();
        assert!(
            decided.chars().count() <= 60 + " and 10 more".len(),
            "{line}"
        );
    }
    let crossing = out
        .lines()
        .find(|it| it.starts_with("shop/frontend ") && it.contains(" orders/api* "));
    let crossing = crossing.unwrap();
    assert!(
        crossing.contains("  egress: landingzones-platform.landing-zone-shop-"),
        "{crossing}"
    );
    assert!(crossing.ends_with(" and 1 more"), "{crossing}");
    let entries = json(&files, &["-f", "all.yaml", "-o", "json"]);
    let whole = entries
        .iter()
        .find(|it| place(&it["from"]) == "shop/frontend" && place(&it["to"]) == "orders/api");
    let whole = whole.unwrap()["decidedBy"].as_str().unwrap();
    assert!(whole.contains("; ingress: GlobalNetworkPolicy "), "{whole}");
}

/// Applications are known by their code, as the seed's are.
#[test]
fn without_landing_zones_applications_are_those_of_namespaces() {
    let namespace = |name: &str, labels: &str| {
        format!(
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n"
        )
    };
    let policy = |name: &str, peer: &str| {
        format!(
            "---\napiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {{name: in, namespace: {name}}}\nspec:\n  \
             selector: all()\n  types: [Ingress]\n  ingress:\n  - action: Allow\n    source: {{namespaceSelector: \"{peer}\"}}\n"
        )
    };
    let text = [
        namespace("app2-ns1", "applicationcode: application2, zone: frontend"),
        namespace("app2-ns2", "applicationcode: application2, zone: backend"),
        namespace("app3-ns1", "applicationcode: application3"),
        namespace("ingress", "team: platform"),
        policy(
            "app2-ns2",
            "applicationcode == 'application2' && zone == 'frontend'",
        ),
        policy("app3-ns1", "applicationcode == 'application3'"),
    ];
    let files = [("all.yaml", text.concat())];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let (outcome, out, err) = run(&files, &["-f", "all.yaml", "-o", "json"]);
    assert_eq!(outcome, Outcome::Done, "{err}");
    assert!(err.starts_with("note: no LandingZone in "), "{err}");
    let entries: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    let verdict = |from: [&str; 2], to: [&str; 2]| {
        let is_it = |end: &serde_json::Value, place: [&str; 2]| {
            end["landingZone"].as_str().unwrap_or_default() == place[0] && end["zone"] == place[1]
        };
        let mut found = entries
            .iter()
            .filter(|it| is_it(&it["from"], from) && is_it(&it["to"], to));
        found.next().unwrap()["verdict"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let backend = ["application2", "backend"];
    assert_eq!(verdict(["application2", "frontend"], backend), "allowed");
    assert_eq!(verdict(["application3", "app3-ns1"], backend), "denied");
    assert_eq!(verdict(["", "namespace ingress"], backend), "denied");
    assert_eq!(verdict(backend, ["application3", "app3-ns1"]), "denied");
}

#[test]
fn files_without_landing_zones_and_wrong_ones_are_told() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n";
    let (outcome, _, err) = run(&[("a.yaml", namespace)], &["-f", "a.yaml"]);
    assert_eq!(outcome, Outcome::BadInput);
    assert!(
        err.contains("a.yaml, and no Namespace with the label applicationcode: give one"),
        "{err}"
    );
    let wrong = SHOP.replace("zone: data}", "zon: data}");
    let (outcome, _, err) = run(&[("a.yaml", &wrong)], &["-f", "a.yaml"]);
    assert_eq!(outcome, Outcome::BadInput);
    assert!(err.contains("zon"), "{err}");
    let (outcome, ..) = run(&[], &["-f", "missing"]);
    assert_eq!(outcome, Outcome::Failed);
}

/// The page holds all that passes twice, for people without a script and for its own, and loads nothing.
#[test]
fn the_page_stands_by_itself() {
    let files = [("all<script>.yaml", SHOP)];
    let (outcome, out, err) = run(&files, &["-f", "all<script>.yaml", "-o", "html"]);
    assert_eq!(outcome, Outcome::Done, "{err}");
    let row = "<td>shop/frontend</td><td>orders/api</td><td>allowed</td><td>TCP 8443</td>";
    assert!(out.contains(row), "{out}");
    let start = out.find("id=\"data\">").unwrap() + "id=\"data\">".len();
    let data = &out[start..];
    let data: Value = serde_json::from_str(&data[..data.find("</script>").unwrap()]).unwrap();
    let rows = out.matches("<tr>").count() + out.matches("<tr class").count();
    // One is the head of the list.
    assert_eq!(data["passing"].as_array().unwrap().len(), rows - 1);
    assert_eq!(
        data["places"][0]["landingZone"], "orders",
        "landing zones come first"
    );
    for loads in ["http:", "https:", "src=", "url(", "@import", "<link"] {
        let found: Vec<_> = out.match_indices(loads).collect();
        let is_name = |at: usize| out[at..].starts_with("http://www.w3.org/2000/svg");
        assert!(found.iter().all(|(at, _)| is_name(*at)), "{loads}");
    }
    assert_eq!(out.matches("<script").count(), 2, "a name is never markup");
}

/// The page about a change marks what it opens and closes, and holds what stays as well.
#[test]
fn the_page_marks_what_a_change_opens_and_closes() {
    let wider = SHOP.replace("port: 5432", "port: 5433");
    let files = [("old/shop.yaml", SHOP), ("new/shop.yaml", wider.as_str())];
    let (outcome, out, err) = run(&files, &["-f", "new", "--base", "old", "-o", "html"]);
    assert_eq!(outcome, Outcome::Done, "{err}");
    let row = |class: &str, port: &str| {
        let start = format!("<tr{class}><td>");
        let mut rows = out.lines().filter(|it| it.starts_with(&start));
        rows.any(|it| {
            it.contains(&format!(
                "<td>shop/frontend</td><td>shop/data</td><td>allowed</td><td>{port}</td>"
            ))
        })
    };
    assert!(row(" class=\"opened\"", "TCP 5433"), "{out}");
    assert!(row(" class=\"closed\"", "TCP 5432"), "{out}");
    assert!(
        out.contains("<tr class=\"crossing\"><td>"),
        "what stays is there, too"
    );
    assert!(out.contains("<title>What a change opens and closes</title>"));
    let data = &out[out.find("id=\"data\">").unwrap() + "id=\"data\">".len()..];
    let data: Value = serde_json::from_str(&data[..data.find("</script>").unwrap()]).unwrap();
    assert_eq!(data["isChange"], true);
    assert_eq!(data["clusters"].as_array().unwrap().len(), 1);
    let changes = data["passing"].as_array().unwrap().iter();
    let changes: Vec<_> = changes.filter_map(|it| it["change"].as_str()).collect();
    assert_eq!(changes, ["opened", "closed"]);
    let (_, whole, _) = run(&files, &["-f", "new", "-o", "html"]);
    assert!(whole.contains("<title>Who may reach whom</title>"));
}

/// A copy of all that is there is the base of the parts that are named.
#[test]
fn of_a_copy_the_paths_that_are_named_are_read() {
    let (zones, platform) = SHOP.split_at(SHOP.rfind("---\n").unwrap());
    let wider = zones.replace("port: 5432", "port: 5433");
    let folder = tempfile::tempdir_in(".").unwrap();
    let here = folder.path().strip_prefix(".").unwrap_or(folder.path());
    let here = here
        .strip_prefix(std::env::current_dir().unwrap())
        .unwrap_or(here);
    let at = |path: &str| here.join(path).display().to_string();
    for (path, text) in [
        (at("zones/shop.yaml"), wider.as_str()),
        (at("platform/all.yaml"), platform),
        (at(&format!("copy/{}", at("zones/shop.yaml"))), zones),
        (at(&format!("copy/{}", at("platform/all.yaml"))), platform),
        (
            at(&format!("copy/{}", at("elsewhere/broken.yaml"))),
            "kind: LandingZone\n{{",
        ),
    ] {
        fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let arguments = [
        "matrix".to_owned(),
        "-f".to_owned(),
        at("zones"),
        "-f".to_owned(),
        at("platform"),
        "--base".to_owned(),
        at("copy"),
    ];
    let command = Command::try_parse_from(arguments).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let outcome = command
        .matrix
        .matrix(Layout::Lines, &mut io::empty(), &mut out, &mut err)
        .unwrap();
    let (out, err) = (
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    );
    assert_eq!(outcome, Outcome::Done, "{err}");
    assert!(
        out.contains("+ shop/frontend") && out.contains("- shop/frontend"),
        "{out}"
    );
    assert_eq!(out.lines().count(), 3, "{out}");
}

/// Addresses that somebody may reach might be those of the API server.
#[test]
fn where_the_api_server_may_be_anywhere_that_is_said() {
    let text = |network: &str| {
        format!(
            "apiVersion: landingzones.dev/v1alpha1\nkind: LandingZone\nmetadata: {{name: shop}}\nspec:\n  applicationCode: shop\n  \
             namespaces: [{{name: shop-web, zone: web}}]\n  network: {{egress: [{{name: partner, from: {{zone: web}}, to: {{cidrs: \
             [203.0.113.7/32]}}, ports: [{{protocol: TCP, port: 443}}]}}]}}\n---\napiVersion: landingzones.dev/v1alpha1\nkind: \
             LandingZonePlatform\nmetadata: {{name: cluster}}\nspec: {{network: {{{network}}}}}\n"
        )
    };
    let said = |network: &str| {
        let text = text(network);
        let (outcome, out, err) = run(&[("a.yaml", &text)], &["-f", "a.yaml"]);
        assert_eq!(outcome, Outcome::Done, "{err}");
        (out.contains("API server"), err)
    };
    let (is_told, err) = said("podCidrs: [10.244.0.0/16]");
    assert!(
        is_told && err.contains("nobody says where the API server is"),
        "{err}"
    );
    let (is_told, err) = said("podCidrs: [10.244.0.0/16], apiServer: [10.1.0.4]");
    assert!(!is_told && err.is_empty(), "{err}");
}
