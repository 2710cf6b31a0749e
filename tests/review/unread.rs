//! What only people can judge.

use super::command::*;

const FELIX: &str = "\
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec:
  defaultEndpointToHostAction: Drop
";

const BASE: [&str; 6] = ["-f", "a", "--base", "main/", "-o", "json"];

#[test]
fn a_change_of_what_calico_reads_needs_approval() {
    let changed = FELIX.replace("Drop", "Accept");
    let files = [
        ("main/a/zones.yaml", ZONES),
        ("main/a/felix.yaml", FELIX),
        ("a/zones.yaml", ZONES),
        ("a/felix.yaml", changed.as_str()),
    ];
    let ran = review(&files, &BASE);
    let json = ran.json();
    assert_eq!(json["approvalRequired"], true, "{}", ran.out);
    assert_eq!(json["notJudged"], serde_json::json!([]));
    let finding = &json["findings"][0];
    assert_eq!(finding["rule"], "decides-unread");
    assert_eq!(finding["policy"], "FelixConfiguration/default");
    assert_eq!(
        (&finding["file"], &finding["line"]),
        (&"a/felix.yaml".into(), &1.into())
    );
    for only in [&[][..], &["--only", "crossings"]] {
        let ran = review(&files, &[&BASE[..4], &["-o", "markdown"], only].concat());
        let first = ran.out.lines().next().unwrap();
        assert_eq!(
            first,
            "approval needed: 1 of 1 change decides what is not judged, and has to be read"
        );
        assert_eq!(ran.code, 1);
    }
}

#[test]
fn what_did_not_change_needs_none() {
    let files = [
        ("main/a/zones.yaml", ZONES),
        ("main/a/felix.yaml", FELIX),
        ("a/zones.yaml", ZONES),
        ("a/felix.yaml", &format!("# moved\n{FELIX}")),
    ];
    let ran = review(&files, &BASE);
    assert_eq!(ran.json()["approvalRequired"], false, "{}", ran.out);
    assert_eq!(ran.code, 0);
    // Seen as a whole, it has to be read, until somebody says that it was.
    let ran = review(&files, &["-f", "a", "-o", "json"]);
    assert_eq!(ran.rules(), ["decides-unread"]);
    let waived = waived(FELIX, "decides-unread: read on 2026-11-26").replace(
        "metadata: {name: default}\n",
        "metadata:\n  name: default\n  annotations: {\"landingzones.dev/waive\": \"decides-unread: read\"}\n",
    );
    let ran = review(
        &[("a/zones.yaml", ZONES), ("a/felix.yaml", &waived)],
        &["-f", "a", "-o", "json"],
    );
    assert_eq!(
        (ran.rules(), ran.code),
        (vec!["decides-unread".to_owned()], 0)
    );
}

#[test]
fn what_is_taken_away_needs_approval() {
    let files = [
        ("main/a/zones.yaml", ZONES),
        ("main/a/felix.yaml", FELIX),
        ("a/zones.yaml", ZONES),
    ];
    let ran = review(&files, &BASE);
    let json = ran.json();
    assert_eq!(json["approvalRequired"], true, "{}", ran.out);
    assert_eq!(json["findings"][0]["file"], "main/a/felix.yaml");
    let text = review(&files, &BASE[..4]).out;
    assert!(
        text.ends_with(
            "approval needed: 1 of 1 change decides what is not judged, and has to be read\n"
        ),
        "{text}"
    );
}

const KUSTOMIZATION: &str = "\
resources: [policy.yaml]
patches:
- path: patch.yaml
  target: {kind: NetworkPolicy}
";
const PATCH: &str = "- {op: replace, path: /spec/order, value: 500}\n";

#[test]
fn a_kustomization_that_alters_policies_is_told() {
    let policy = policy(INSIDE);
    let files = [
        ("a/zones.yaml", ZONES),
        ("a/policy.yaml", policy.as_str()),
        ("a/kustomization.yaml", KUSTOMIZATION),
        ("a/patch.yaml", PATCH),
    ];
    let ran = review(&files, &["-f", "a", "-o", "json"]);
    let json = ran.json();
    assert_eq!(json["approvalRequired"], false, "{}", ran.out);
    let told = json["notJudged"].to_string();
    assert!(
        told.contains("kustomize build DIR | kubectl landingzone review -f -"),
        "{told}"
    );

    // One that brings objects along and nothing else alters nothing.
    let plain = [
        ("a/zones.yaml", ZONES),
        (
            "a/kustomization.yaml",
            "resources: [zones.yaml]\nimages: [{name: a, newTag: b}]\n",
        ),
    ];
    let told = review(&plain, &["-f", "a", "-o", "json"]).json()["notJudged"].to_string();
    assert!(!told.contains("kustomize build"), "{told}");
}

#[test]
fn a_change_of_a_kustomization_or_of_its_patches_needs_approval() {
    let policy = policy(INSIDE);
    let other = PATCH.replace("500", "5");
    let wider = KUSTOMIZATION.replace("resources:", "namespace: orders-ns1\nresources:");
    for (kustomization, patch, asks) in [
        (KUSTOMIZATION, PATCH, false),
        (KUSTOMIZATION, other.as_str(), true),
        (wider.as_str(), PATCH, true),
        ("resources: [policy.yaml]\n", PATCH, true),
    ] {
        let files = [
            ("main/a/zones.yaml", ZONES),
            ("main/a/policy.yaml", policy.as_str()),
            ("main/a/kustomization.yaml", KUSTOMIZATION),
            ("main/a/patch.yaml", PATCH),
            ("a/zones.yaml", ZONES),
            ("a/policy.yaml", policy.as_str()),
            ("a/kustomization.yaml", kustomization),
            ("a/patch.yaml", patch),
        ];
        let ran = review(&files, &BASE);
        assert_eq!(
            ran.json()["approvalRequired"],
            asks,
            "{kustomization}{patch}: {}",
            ran.out
        );
        if asks {
            assert_eq!(ran.rules(), ["decides-unread"]);
            let text = review(&files, &BASE[..4]).out;
            let last =
                "approval needed: 1 of 1 change decides what is not judged, and has to be read\n";
            assert!(text.ends_with(last), "{text}");
        }
    }
}

#[test]
fn the_names_of_kustomizes_files_are_known() {
    for (name, text) in [
        ("a/kustomization.yml", KUSTOMIZATION.to_owned()),
        ("a/Kustomization", KUSTOMIZATION.to_owned()),
        ("a/x.yaml", format!("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n{KUSTOMIZATION}")),
        (
            "a/flux.yaml",
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a}\nspec: {path: ./a, patches: []}\n".to_owned(),
        ),
        ("a/kustomization.yaml", "resources: ['https://example.com/policies?ref=main']\n".to_owned()),
    ] {
        let files = [("main/a/zones.yaml", ZONES), ("a/zones.yaml", ZONES), (name, text.as_str())];
        let ran = review(&files, &BASE);
        assert_eq!(ran.rules(), ["decides-unread"], "{name}");
        assert_eq!(ran.json()["findings"][0]["file"], name);
    }
}

#[test]
fn another_address_behind_a_service_is_another_change() {
    let slice = |address: &str| {
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: db, namespace: application2-ns2}}\n\
             addressType: IPv4\nendpoints:\n- addresses: [{address}]\n"
        )
    };
    for (address, asks) in [("198.51.100.7", false), ("198.51.100.8", true)] {
        let files = [
            ("main/a/zones.yaml", ZONES),
            ("main/a/slice.yaml", &slice("198.51.100.7")),
            ("a/zones.yaml", ZONES),
            ("a/slice.yaml", &slice(address)),
        ];
        let ran = review(&files, &BASE);
        assert_eq!(ran.json()["approvalRequired"], asks, "{}", ran.out);
    }
}

#[test]
fn resources_that_are_not_read_are_what_a_kustomization_alters() {
    const READ: &str = "resources: [zones.yaml, sub]\n";
    let open = policy(OUTSIDE);
    let sub = "apiVersion: v1\nkind: Namespace\nmetadata: {name: elsewhere}\n";
    for (kustomization, named, was, is) in [
        // It names what nobody reads here.
        (
            "resources: [zones.yaml, more.txt]\n",
            "a/more.txt",
            "",
            open.as_str(),
        ),
        (
            "resources: [zones.yaml, ../b]\n",
            "b/policy.yaml",
            "",
            open.as_str(),
        ),
        // It named it before, and another thing is in it.
        (
            "resources: [zones.yaml, more.txt]\n",
            "a/more.txt",
            "# later\n",
            open.as_str(),
        ),
    ] {
        let before = if was.is_empty() { READ } else { kustomization };
        let base = format!("main/{named}");
        let files = [
            ("main/a/zones.yaml", ZONES),
            ("main/a/sub/x.yaml", sub),
            ("main/a/kustomization.yaml", before),
            (base.as_str(), was),
            ("a/zones.yaml", ZONES),
            ("a/sub/x.yaml", sub),
            ("a/kustomization.yaml", kustomization),
            (named, is),
        ];
        let ran = review(&files, &BASE);
        assert_eq!(
            ran.rules(),
            ["decides-unread"],
            "{kustomization}{}",
            ran.out
        );
        assert_eq!(ran.json()["approvalRequired"], true);
    }
    // What is read is judged, and that it is named says nothing.
    let files = [
        ("main/a/zones.yaml", ZONES),
        ("main/a/sub/x.yaml", sub),
        ("a/zones.yaml", ZONES),
        ("a/sub/x.yaml", sub),
        ("a/kustomization.yaml", READ),
    ];
    let ran = review(&files, &BASE);
    assert_eq!(ran.json()["approvalRequired"], false, "{}", ran.out);
}

#[test]
fn folders_that_kustomize_would_not_take_are_not_read() {
    // Whoever names the root of the machine has nobody read it; kustomize refuses both.
    for named in ["/", "../b"] {
        let kustomization = format!("resources: [zones.yaml, {named}]\n");
        let read = |more: &str| {
            let files = [
                ("main/a/zones.yaml", ZONES),
                ("main/a/kustomization.yaml", kustomization.as_str()),
                ("main/b/x.yaml", "a: 1\n"),
                ("a/zones.yaml", ZONES),
                ("a/kustomization.yaml", kustomization.as_str()),
                ("b/x.yaml", "a: 2\n"),
                ("b/kustomization.yaml", more),
            ];
            // A file that is not there.
            let files: Vec<_> = files
                .into_iter()
                .filter(|(_, text)| !text.is_empty())
                .collect();
            let ran = review(&files, &BASE);
            ran.json()["approvalRequired"].clone()
        };
        assert_eq!(read(""), false, "{named}");
        assert_eq!(read("resources: [x.yaml]\n"), named == "../b", "{named}");
    }
}

#[test]
fn what_is_behind_the_api_server_and_dns_has_to_be_read() {
    let slice = |namespace: &str, service: &str, address: &str| {
        format!(
            "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: by-hand
  namespace: {namespace}
  labels: {{kubernetes.io/service-name: {service}}}
addressType: IPv4
endpoints: [{{addresses: [{address}]}}]
ports: [{{name: https, port: 443, protocol: TCP}}]
"
        )
    };
    for (namespace, service, expected) in [
        ("default", "kubernetes", vec!["decides-unread"]),
        ("kube-system", "kube-dns", vec!["decides-unread"]),
        ("default", "other", vec![]),
    ] {
        let before = slice(namespace, service, "10.1.0.9");
        let after = slice(namespace, service, "8.8.8.8");
        let files = [
            ("main/a/zones.yaml", ZONES),
            ("main/a/slice.yaml", before.as_str()),
            ("a/zones.yaml", ZONES),
            ("a/slice.yaml", after.as_str()),
        ];
        let ran = review(&files, &BASE);
        assert_eq!(ran.rules(), expected, "{service}: {}", ran.out);
        assert_eq!(ran.json()["approvalRequired"], !expected.is_empty());
    }
}

/// Without anything that says whose namespaces there are, nothing would be found in whatever they open.
#[test]
fn policies_of_the_cluster_are_told_as_not_judged_where_no_boundary_is_known() {
    let open = "\
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: open}
spec: {order: 200, selector: all(), types: [Egress], egress: [{action: Allow}]}
";
    let namespace = |labels: &str| {
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: a, labels: {{{labels}}}}}\n")
    };
    let told = "no LandingZone was read, and no Namespace with the label applicationcode";
    let plain = namespace("team: red");
    for others in [&[][..], &[("ns.yaml", plain.as_str())]] {
        let files = [others, &[("open.yaml", open)]].concat();
        let ran = review(&files, &["-f", ".", "-o", "json"]);
        let json = ran.json();
        assert!(
            json["notJudged"][0]["why"]
                .as_str()
                .unwrap()
                .starts_with(told)
                && ran.err.contains(told),
            "{}{}",
            ran.out,
            ran.err
        );
        assert_eq!(json["notJudged"][0]["count"], 1);
    }
    let known = namespace("applicationcode: a");
    for others in [("ns.yaml", known.as_str()), ("z.yaml", ZONES)] {
        let ran = review(&[others, ("open.yaml", open)], &["-f", ".", "-o", "json"]);
        assert_eq!(ran.json()["approvalRequired"], true, "{}", ran.out);
        assert!(!ran.err.contains(told), "{}", ran.err);
    }
}
