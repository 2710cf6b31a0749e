//! What is suggested is taken by the command, and settles what was found.

use serde_json::Value;

use super::command::*;

const PLATFORM: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata: {name: cluster}
spec:
  network: {podCidrs: [10.244.0.0/16], nodeCidrs: [10.1.0.0/24]}
";

/// A policy for some pods of the backend, with one egress rule.
fn to(end: &str) -> String {
    format!(
        "\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: out, namespace: application2-ns2}}
spec:
  selector: app == 'api'
  types: [Egress]
  egress:
  - action: Allow
    protocol: TCP
    destination: {{ports: [443], {end}}}
"
    )
}

/// The landing zones with what a suggestion declares in them: none of them declares anything so far.
fn declared(zones: &str, suggestion: &str) -> String {
    let mut documents: Vec<Value> = zones
        .split("---\n")
        .map(|it| serde_saphyr::from_str(it).unwrap())
        .collect();
    for part in suggestion.split("declare in landing zone ").skip(1) {
        let (name, network) = part.split_once(": network: ").unwrap();
        let end = network.rfind("}]}").unwrap() + "}]}".len();
        let mut documents = documents.iter_mut();
        let zone = documents.find(|it| it["metadata"]["name"] == name).unwrap();
        zone["spec"]["network"] = serde_saphyr::from_str(&network[..end]).unwrap();
    }
    let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
    texts.join("\n---\n")
}

#[test]
fn what_is_declared_as_told_is_no_longer_found() {
    for end in [
        "nets: [0.0.0.0/0]",
        "nets: [0.0.0.0/1, 128.0.0.0/1]",
        "nets: ['::/0']",
        "nets: [10.0.0.0/8]",
        "nets: [198.51.100.0/24], notNets: [198.51.100.7/32]",
        "nets: [0.0.0.0/0], notNets: [10.0.0.0/8, 169.254.0.0/16]",
        "nets: [0.0.0.0/0], notNets: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 168.63.129.16/32]",
        "namespaceSelector: applicationcode == 'orders' && zone == 'data'",
    ] {
        let policy = to(end);
        let with = |zones: &str| {
            let files = [
                ("zones.yaml", zones),
                ("platform.yaml", PLATFORM),
                ("a.yaml", policy.as_str()),
            ];
            review(&files, &["-f", ".", "-o", "json"])
        };
        let before = with(ZONES);
        assert_eq!(before.json()["approvalRequired"], true, "{end}");
        let json = before.json();
        let suggestion = json["findings"][0]["suggestion"].as_str().unwrap();
        assert!(
            suggestion.contains("from: {zone: backend, podSelector: {matchLabels: {app: api}}}"),
            "{suggestion}"
        );
        let after = with(&declared(ZONES, suggestion));
        assert_eq!(after.code, 0, "{suggestion}\n{}{}", after.out, after.err);
        assert_eq!(after.json()["approvalRequired"], false, "{suggestion}");
    }
}

/// What containers call a port is written in the manifests beside the policies.
#[test]
fn names_of_ports_get_the_numbers_of_the_manifests_beside_them() {
    let pods = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: orders-ns1}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - {name: db, image: db, ports: [{name: sql, containerPort: 5432}]}
";
    let end = "namespaceSelector: applicationcode == 'orders' && zone == 'data'";
    let named = to(end).replace("443", "sql");
    let with = |zones: &str, policy: &str| {
        let files = [
            ("zones.yaml", zones),
            ("platform.yaml", PLATFORM),
            ("a.yaml", policy),
            ("db.yaml", pods),
        ];
        review(&files, &["-f", ".", "-o", "json"])
    };
    let before = with(ZONES, &named).json();
    let suggestion = before["findings"][0]["suggestion"].as_str().unwrap();
    assert!(
        suggestion.contains("; with it, write 5432 instead of sql in the ports of the rule"),
        "{suggestion}"
    );
    let settled = with(
        &declared(ZONES, suggestion),
        &to(end).replace("443", "5432"),
    );
    assert_eq!(settled.code, 0, "{}", settled.out);
    assert_eq!(settled.json()["approvalRequired"], false);
}
