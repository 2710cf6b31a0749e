//! Ways of writing YAML in which some readers see something else than others.

use super::command::*;

/// `NetworkPolicy` in the alphabet of `!!binary`.
const ENCODED: &str = "TmV0d29ya1BvbGljeQ==";
const OTHER: &str =
    "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"x\"}}";
const JSON: &str = "{\"apiVersion\": \"projectcalico.org/v3\", \"kind\": \"NetworkPolicy\", \"metadata\": {\"name\": \"a\", \
    \"namespace\": \"application2-ns2\"}, \"spec\": {\"types\": [\"Ingress\"], \"ingress\": [{\"action\": \"Allow\"}]}}";

/// A list that holds an object.
fn listed(kind: &str, object: &str) -> String {
    let mut list = format!("apiVersion: v1\nkind: {kind}\nitems:\n  -\n");
    for line in object.lines() {
        list += "    ";
        list += line;
        list.push('\n');
    }
    list
}

/// Ways of writing a policy, each with what it is called: some readers see something else.
fn hidden() -> Vec<(&'static str, String)> {
    let crossing = policy(OUTSIDE);
    let kind = |kind: &str| crossing.replace("kind: NetworkPolicy", kind);
    let tagged = kind(&format!("kind: !!binary {ENCODED}"));
    let on_key = kind("!!binary a2luZA==: NetworkPolicy");
    let twice = format!("kind: ConfigMap\n{crossing}");
    let body = kind("").replace("\n\n", "\n");
    let merged = format!("kind: ConfigMap\n<<: {{kind: NetworkPolicy}}\n{body}");
    let escaped = JSON.replace("NetworkPolicy", "\\u004eetworkPolic\\u0079");
    let handle = kind(&format!("kind: !x!binary {ENCODED}"));
    let group = "apiVersion: !!binary cHJvamVjdGNhbGljby5vcmcvdjM=";
    vec![
        (
            "a tag with its whole name",
            kind(&format!("kind: !<tag:yaml.org,2002:binary> {ENCODED}")),
        ),
        (
            "a tag of another name",
            format!("%TAG !x! tag:yaml.org,2002:\n---\n{handle}"),
        ),
        (
            "a tag on the group",
            crossing.replace("apiVersion: projectcalico.org/v3", group),
        ),
        ("a tag on kind, in a list", listed("List", &tagged)),
        ("a tag on kind", tagged),
        ("a tag on the key, in a list", listed("List", &on_key)),
        ("a tag on the key", on_key),
        (
            "merged over what stands there, in a list",
            listed("List", &merged),
        ),
        ("merged over what stands there", merged),
        ("twice, in a list", listed("List", &twice)),
        (
            "one after the other, with escapes",
            format!("{OTHER}{escaped}"),
        ),
        (
            "a list that says it is none",
            listed("ConfigMap", &crossing),
        ),
    ]
}

#[test]
fn no_way_of_writing_yaml_hides_a_policy() {
    for (how, text) in hidden() {
        let files = [("zones.yaml", ZONES), ("a.yaml", text.as_str())];
        let ran = review(&files, &["-f", ".", "-o", "json"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{how}: {}", ran.err);
        assert!(ran.err.contains("a.yaml:"), "{how}: {}", ran.err);
    }
}

#[test]
fn what_everybody_reads_alike_is_read() {
    let crossing = policy(OUTSIDE);
    let kind = |kind: &str| crossing.replace("kind: NetworkPolicy", kind);
    for (how, text) in [
        ("text", kind("kind: !!str NetworkPolicy")),
        ("an escape", kind("\"k\\x69nd\": \"Network\\u0050olicy\"")),
        ("an anchor", kind("x: &kind NetworkPolicy\nkind: *kind")),
        ("merged", kind("<<: {kind: NetworkPolicy}")),
        ("behind another", format!("{OTHER}\n---\n{crossing}")),
        ("as JSON", JSON.to_owned()),
    ] {
        let files = [("zones.yaml", ZONES), ("a.yaml", text.as_str())];
        let ran = review(&files, &["-f", ".", "-o", "json"]);
        assert_eq!(ran.code, 1, "{how}: {}", ran.err);
        assert_eq!(ran.json()["approvalRequired"], true, "{how}: {}", ran.out);
    }
}

#[test]
fn merged_fields_count_as_kubectl_reads_them() {
    let selector = "namespaceSelector: \"applicationcode == 'application2'\"";
    for source in [
        // What is merged afterwards wins in Go's reader of YAML 1.1.
        format!("{{{selector}, <<: {{namespaceSelector: all()}}}}"),
        // In quotes it is a field of that name, which is none.
        format!("{{\"<<\": {{{selector}}}}}"),
    ] {
        let policy = policy(INSIDE);
        let (before, _) = policy.split_once("    source:").unwrap();
        let text = format!("{before}    source: {source}\n");
        let files = [("zones.yaml", ZONES), ("a.yaml", text.as_str())];
        let ran = review(&files, &["-f", ".", "-o", "json"]);
        assert_eq!(ran.code, 1, "{source}: {}", ran.err);
        assert_eq!(
            ran.json()["approvalRequired"],
            true,
            "{source}: {}",
            ran.out
        );
    }
}

/// In the root of a repository lies more than what Kubernetes reads.
#[test]
fn a_workflow_of_github_is_no_reason_to_stop() {
    let crossing = policy(OUTSIDE);
    let workflow = "on: [push]\njobs: {a: {steps: [{run: echo yes}]}}\n";
    let files = [
        ("zones.yaml", ZONES),
        ("a.yaml", crossing.as_str()),
        (".github/workflows/ci.yaml", workflow),
    ];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(ran.json()["findings"].as_array().unwrap().len(), 1);
}
