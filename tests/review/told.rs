//! What is told of more than policies: namespaces that label themselves in, what belongs to nobody, and nothing at all.

use std::fs;

use super::command::*;

/// A Namespace with labels.
fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels: {labels}\n")
}

#[test]
fn a_policy_of_a_namespace_that_nothing_declares_has_to_be_approved() {
    let elsewhere = policy(INSIDE).replace("application2-ns2", "nobodys-ns1");
    let files = [("zones.yaml", ZONES), ("a.yaml", elsewhere.as_str())];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    assert_eq!(ran.rules(), ["namespace-unknown"], "{}", ran.out);
    assert_eq!(ran.json()["approvalRequired"], true);
    let approval = review(&files, &["-f", ".", "--exit-on", "approval"]);
    assert_eq!(approval.code, 1, "{}", approval.out);
    // Without any declaration, nothing at all can be said.
    let alone = review(&files[1..], &["-f", ".", "--exit-on", "approval"]);
    assert_eq!(alone.code, 1, "{}", alone.out);
}

#[test]
fn a_review_that_read_nothing_has_not_found_that_nothing_is_wrong() {
    let nothing = tempfile::tempdir().unwrap();
    for (text, form) in [(None, "table"), (Some("# later\n---\n"), "json")] {
        if let Some(text) = text {
            fs::write(nothing.path().join("a.yaml"), text).unwrap();
        }
        let ran = review_in(nothing.path(), &["-f", ".", "-o", form], b"");
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
        assert!(ran.err.contains("no object"), "{}", ran.err);
    }
    let stdin = review_in(nothing.path(), &["-f", "-"], b"");
    assert_eq!(stdin.code, 2, "{}", stdin.out);

    // What a change takes away was there.
    let policy = policy(OUTSIDE);
    let files = [
        ("main/policies/a.yaml", policy.as_str()),
        ("policies/.gitkeep", ""),
    ];
    let ran = review(&files, &["-f", "policies", "--base", "main", "-o", "json"]);
    // Nothing else held a boundary there.
    assert_eq!(ran.rules(), ["decides-unread"], "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("no object"), "{}", ran.err);
    let files = [
        ("main/policies/a.yaml", policy.as_str()),
        ("main/zones/z.yaml", ZONES),
        ("policies/.gitkeep", ""),
        ("zones/z.yaml", ZONES),
    ];
    let paths = ["-f", "policies", "-f", "zones", "--base", "main"];
    let ran = review(&files, &paths);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
}

#[test]
fn a_namespace_that_labels_itself_into_a_landing_zone_has_to_be_approved() {
    for labels in [
        "{applicationcode: orders}",
        "{landingzones.dev/landing-zone: orders}",
        "{landingzones.dev/landing-zone: nobody-declares-it, app.kubernetes.io/managed-by: landing-zone-operator}",
    ] {
        let joins = namespace("mine", labels);
        let files = [("zones.yaml", ZONES), ("ns.yaml", joins.as_str())];
        let ran = review(&files, &["-f", ".", "-o", "json"]);
        assert_eq!(ran.rules(), ["namespace-joins"], "{labels}: {}", ran.out);
        let json = ran.json();
        assert_eq!(json["approvalRequired"], true);
        assert_eq!(json["findings"][0]["policy"], "Namespace/mine");
        assert_eq!(json["findings"][0]["line"], 5);
        let table = review(&files, &["-f", "."]).out;
        assert!(
            table.ends_with("approval needed: 1 of 1 object crosses a boundary\n"),
            "{table}"
        );
    }
    // The landing zone that declares it may have it labelled so, and nobody else.
    for (labels, expected) in [
        (
            "{applicationcode: orders, landingzones.dev/landing-zone: orders}",
            0,
        ),
        ("{team: red}", 0),
        ("{applicationcode: application2}", 1),
    ] {
        let declared = namespace("orders-ns1", labels);
        let files = [("zones.yaml", ZONES), ("ns.yaml", declared.as_str())];
        let ran = review(&files, &["-f", ".", "--exit-on", "approval"]);
        assert_eq!(ran.code, expected, "{labels}: {}", ran.out);
    }
    // Where nobody declares landing zones, labels are what there is.
    let labelled = namespace("orders-ns1", "{applicationcode: orders}");
    let ran = review(&[("ns.yaml", labelled.as_str())], &["-f", "."]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

#[test]
fn policies_of_administrators_are_judged() {
    let open = "\
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: monitoring}
spec:
  priority: 10
  subject:
    namespaces:
      matchLabels: {applicationcode: application2}
  ingress:
  - action: Allow
    from:
    - namespaces: {}
";
    let files = [("zones.yaml", ZONES), ("a.yaml", open)];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    assert_eq!(ran.rules(), ["all-namespaces"], "{}{}", ran.out, ran.err);
    assert_eq!(ran.json()["approvalRequired"], true);
    assert_eq!(ran.err, "");
    let findings = ran.json()["findings"].clone();
    assert_eq!(findings[0]["line"], 12, "{findings}");
}

#[test]
fn a_namespace_that_labels_itself_into_what_the_platform_means_has_to_be_approved() {
    let platform = "apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata: {name: cluster}
spec:
  defaultDeny: {stage: Enforce}
  exempt: {selector: {matchLabels: {tier: platform}}}
  sharedServices:
  - name: scraper
    peers:
    - namespaceSelector: {matchLabels: {team: monitoring, env: prod}}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: named, team: named}}
    direction: ToLandingZones
    ports: [{protocol: TCP, port: 9090}]
    landingZones: All
";
    let plain = namespace("mine", "{team: shop, env: prod}");
    for (labels, expected) in [
        ("{team: monitoring, env: prod}", vec!["namespace-joins"]),
        ("{team: monitoring}", vec![]),
        // The platform has named the namespace that it means.
        ("{kubernetes.io/metadata.name: mine, team: named}", vec![]),
        ("{tier: platform}", vec!["namespace-exempt"]),
        (
            "{kubernetes.azure.com/managedby: aks}",
            vec!["namespace-exempt"],
        ),
    ] {
        let joins = namespace("mine", labels);
        let files = [
            ("platform.yaml", platform),
            ("zones.yaml", ZONES),
            ("ns.yaml", joins.as_str()),
            ("main/platform.yaml", platform),
            ("main/zones.yaml", ZONES),
            ("main/ns.yaml", plain.as_str()),
        ];
        let reviewed = ["-f", "platform.yaml", "-f", "zones.yaml", "-f", "ns.yaml"];
        let json = |more: &[&str]| review(&files, &[&reviewed[..], more, &["-o", "json"]].concat());
        let ran = json(&["--base", "main"]);
        assert_eq!(ran.rules(), expected, "{labels}: {}", ran.out);
        assert_eq!(ran.json()["approvalRequired"], !expected.is_empty());
        // What was there before is known, also where a label changes that says nothing.
        let relabelled = joins.replace("labels: {", "labels: {contact: somebody, ");
        let files = [
            ("new/platform.yaml", platform),
            ("new/ns.yaml", relabelled.as_str()),
            ("old/platform.yaml", platform),
            ("old/ns.yaml", joins.as_str()),
        ];
        let ran = review(&files, &["-f", "new", "--base", "old", "-o", "json"]);
        assert_eq!(ran.rules(), Vec::<&str>::new(), "{labels}: {}", ran.out);
    }
}

/// A cluster has one object of a name. Whoever writes it a second time, and otherwise, decides which one that is.
#[test]
fn what_is_written_a_second_time_otherwise_has_to_be_approved() {
    let spaces = format!(
        "{}---\n{}",
        namespace("a1", "{applicationcode: a}"),
        namespace("b1", "{applicationcode: b}")
    );
    let policy = |selector: &str| {
        format!(
            "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {{name: deny, namespace: a1}}\n\
             spec: {{selector: \"{selector}\", types: [Ingress, Egress]}}\n"
        )
    };
    let base = format!("{spaces}---\n{}", policy("all()"));
    let joined = namespace("b1", "{applicationcode: a}");
    let weak = policy("app == 'none'");
    for second in [&joined, &weak] {
        let same = format!("{base}---\n{second}");
        let beside = [
            ("base/a.yaml", base.as_str()),
            ("now/a.yaml", same.as_str()),
        ];
        let elsewhere = [
            ("base/a.yaml", base.as_str()),
            ("now/a.yaml", base.as_str()),
            ("now/other/b.yaml", second.as_str()),
        ];
        for files in [&beside[..], &elsewhere[..]] {
            let ran = review(files, &["-f", "now", "--base", "base", "-o", "json"]);
            assert_eq!(
                ran.json()["approvalRequired"],
                true,
                "{}{}",
                ran.out,
                ran.err
            );
            assert!(ran.out.contains("is written several times"), "{}", ran.out);
        }
        // As it was, it is nobody's change; nor is what is written twice and alike.
        let known = [
            ("base/a.yaml", same.as_str()),
            ("now/a.yaml", same.as_str()),
        ];
        let ran = review(&known, &["-f", "now", "--base", "base", "-o", "json"]);
        assert_eq!(
            ran.json()["approvalRequired"],
            false,
            "{}{}",
            ran.out,
            ran.err
        );
    }
    let alike = format!("{base}---\n{}", policy("all()"));
    let files = [
        ("base/a.yaml", base.as_str()),
        ("now/a.yaml", alike.as_str()),
    ];
    let ran = review(&files, &["-f", "now", "--base", "base", "-o", "json"]);
    assert_eq!(
        ran.json()["approvalRequired"],
        false,
        "{}{}",
        ran.out,
        ran.err
    );
}

/// What is staged to take a policy away needs the approval that taking it away does.
#[test]
fn what_is_staged_to_take_a_policy_away_has_to_be_approved() {
    let staged = "\
apiVersion: projectcalico.org/v3
kind: StagedNetworkPolicy
metadata: {name: deny, namespace: application2-ns2}
spec: {stagedAction: Delete}
";
    let files = [("zones.yaml", ZONES), ("a.yaml", staged)];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    assert_eq!(ran.rules(), ["decides-unread"], "{}", ran.out);
    assert_eq!(ran.json()["approvalRequired"], true);
}

/// What has objects applied that stand elsewhere is no policy, and may bring some.
#[test]
fn what_brings_objects_from_elsewhere_is_told() {
    let flux = "\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: more, namespace: flux-system}
spec: {interval: 10m, prune: true, path: ./more, sourceRef: {kind: GitRepository, name: more}}
";
    let files = [("zones.yaml", ZONES), ("a.yaml", flux)];
    let ran = review(&files, &["-f", ".", "-o", "markdown"]);
    let told =
        "<code>Kustomization.kustomize.toolkit.fluxcd.io</code> (what it brings is not read here";
    assert!(ran.out.contains(told), "{}", ran.out);
}
