//! What a kustomization no longer names is gone, though its file is there.

use super::command::*;

const NAMESPACES: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop-api, labels: {applicationcode: shop1, zone: backend}}
---
apiVersion: v1
kind: Namespace
metadata: {name: orders-db, labels: {applicationcode: ord1, zone: data}}
";
const DENY: &str = "\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: deny, namespace: shop-api}
spec:
  selector: all()
  types: [Ingress, Egress]
";

fn kustomization(resources: &str) -> String {
    format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [{resources}]\n"
    )
}

#[test]
fn a_policy_that_is_no_longer_named_counts_as_gone() {
    let (both, one) = (
        kustomization("ns.yaml, deny.yaml"),
        kustomization("ns.yaml"),
    );
    let files = |kustomization| {
        [
            ("kustomization.yaml", kustomization),
            ("ns.yaml", NAMESPACES),
            ("deny.yaml", DENY),
        ]
    };
    let (with, without) = (files(both.as_str()), files(one.as_str()));
    let gone = compared(&with, &without);
    assert_eq!(gone.rules(), ["decides-unread"], "{}", gone.out);
    assert_eq!(gone.json()["approvalRequired"], true);
    assert_eq!(
        gone.json()["findings"][0]["policy"],
        "NetworkPolicy/shop-api/deny"
    );
    assert!(
        gone.err
            .contains("note: --base: a/deny.yaml is there, and no kustomization names it any more"),
        "{}",
        gone.err
    );
    // What was never named, and what stays named, is no change.
    for same in [&with, &without] {
        let ran = compared(same, same);
        assert_eq!(
            (ran.code, ran.err.contains("any more")),
            (0, false),
            "{}",
            ran.out
        );
    }
    assert_eq!(compared(&without, &with).rules(), [""; 0]);
    // Without a kustomization all that lies there is applied.
    let plain = compared(&with[1..], &with[1..]);
    assert_eq!(plain.code, 0, "{}", plain.out);
}

#[test]
fn a_folder_that_is_no_longer_named_counts_as_gone() {
    let (both, one) = (kustomization("ns.yaml, ./team"), kustomization("ns.yaml"));
    let own = kustomization("deny.yaml");
    let files = |kustomization| {
        [
            ("kustomization.yaml", kustomization),
            ("ns.yaml", NAMESPACES),
            ("team/kustomization.yaml", own.as_str()),
            ("team/deny.yaml", DENY),
        ]
    };
    let (with, without) = (files(both.as_str()), files(one.as_str()));
    let gone = compared(&with, &without);
    assert_eq!(gone.rules(), ["decides-unread"], "{}", gone.out);
    // What nobody named before may be applied by itself.
    let ran = compared(&without, &without);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert_eq!(compared(&without, &files(one.as_str())).code, 0);
}

#[test]
fn what_comes_to_be_named_is_new() {
    let outside = policy(OUTSIDE);
    let (both, one) = (kustomization("z.yaml, p.yaml"), kustomization("z.yaml"));
    let files = |kustomization| {
        [
            ("kustomization.yaml", kustomization),
            ("z.yaml", ZONES),
            ("p.yaml", outside.as_str()),
        ]
    };
    let (with, without) = (files(both.as_str()), files(one.as_str()));
    let named = compared(&without, &with);
    assert_eq!(named.rules(), ["code-missing"], "{}", named.out);
    assert_eq!(compared(&with, &with).rules(), [""; 0]);
    assert_eq!(compared(&without, &without).rules(), [""; 0]);
}

#[test]
fn a_landing_zone_that_is_no_longer_named_holds_no_boundary() {
    let (both, one) = (kustomization("z.yaml, ns.yaml"), kustomization("ns.yaml"));
    let files = |kustomization| {
        [
            ("kustomization.yaml", kustomization),
            ("z.yaml", ZONES),
            ("ns.yaml", NAMESPACES),
        ]
    };
    let gone = compared(&files(both.as_str()), &files(one.as_str()));
    let json = gone.json();
    let changes = json["changes"].as_array().unwrap();
    let zones: Vec<&str> = changes
        .iter()
        .filter_map(|it| it["landingZone"].as_str())
        .collect();
    assert!(
        zones.contains(&"application2") && zones.contains(&"orders"),
        "{}",
        gone.out
    );
    // The same as if the file were gone.
    let removed = compared(&files(both.as_str()), &[("ns.yaml", NAMESPACES)]);
    assert_eq!(json["approvalRequired"], removed.json()["approvalRequired"]);
}

#[test]
fn a_platform_that_is_no_longer_named_holds_no_longer() {
    const PLATFORM: &str = "
apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata: {name: cluster}
spec: {defaultDeny: {stage: Enforce}}
";
    let (both, one) = (
        kustomization("z.yaml, platform.yaml"),
        kustomization("z.yaml"),
    );
    let files = |kustomization| {
        [
            ("kustomization.yaml", kustomization),
            ("z.yaml", ZONES),
            ("platform.yaml", PLATFORM),
        ]
    };
    let (with, without) = (files(both.as_str()), files(one.as_str()));
    let gone = compared(&with, &without);
    // The same as if the file were gone.
    let removed = compared(&with, &without[..2]);
    assert_eq!(removed.json()["approvalRequired"], true, "{}", removed.out);
    assert_eq!(gone.json()["approvalRequired"], true, "{}", gone.out);
    assert_eq!(
        gone.json()["changes"][0]["part"],
        removed.json()["changes"][0]["part"]
    );
    // What was never named, and what stays named, is no change.
    for same in [&with, &without] {
        let ran = compared(same, same);
        assert_eq!(
            ran.json()["changes"].as_array().unwrap().len(),
            0,
            "{}",
            ran.out
        );
    }
}

/// Charts are not rendered here.
#[test]
fn charts_that_a_kustomization_names_are_told_as_not_read() {
    let charts = format!(
        "{}helmCharts:\n- {{name: ingress, repo: \"https://charts.example.com\", version: 1.0.0}}\n",
        kustomization("z.yaml")
    );
    let files = [("kustomization.yaml", charts.as_str()), ("z.yaml", ZONES)];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    let json = ran.json();
    let told = json["notJudged"].as_array().unwrap();
    let chart = told.iter().find(|it| it["what"] == "Helm chart").unwrap();
    assert_eq!(chart["count"], 1);
    assert!(
        chart["why"].as_str().unwrap().starts_with(
            "a kustomization names ingress, and nothing that comes out of it was read"
        ),
        "{chart}"
    );
    let table = review(&files, &["-f", "."]);
    let all = table.out + &table.err;
    assert!(all.contains("a kustomization names ingress"), "{all}");
    // As they were named earlier.
    let earlier = format!(
        "{}helmChartInflationGenerator:\n- {{chartName: ingress, chartVersion: 1.0.0}}\n",
        kustomization("z.yaml")
    );
    let files = [("kustomization.yaml", earlier.as_str()), ("z.yaml", ZONES)];
    let table = review(&files, &["-f", "."]);
    let all = table.out + &table.err;
    assert!(all.contains("a kustomization names ingress"), "{all}");
}
