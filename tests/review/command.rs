//! The command as people and pipelines call it, and what it is given.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

pub const ZONES: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: application2}
spec:
  applicationCode: application2
  namespaces:
  - {name: application2-ns1, zone: frontend}
  - {name: application2-ns2, zone: backend}
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: orders}
spec:
  applicationCode: orders
  namespaces:
  - {name: orders-ns1, zone: data}
";

/// A policy of the backend that lets in what a selector of namespaces means.
pub fn policy(selector: &str) -> String {
    format!(
        "\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  name: from-frontend
  namespace: application2-ns2
spec:
  selector: all()
  types: [Ingress]
  ingress:
  - action: Allow
    source:
      namespaceSelector: \"{selector}\"
"
    )
}

pub const INSIDE: &str = "applicationcode == 'application2' && zone == 'frontend'";
pub const OUTSIDE: &str = "zone == 'frontend'";

pub fn waived(policy: &str, waiver: &str) -> String {
    let annotation = format!("spec:\n  # {waiver}\n");
    let metadata =
        format!("metadata:\n  annotations: {{\"landingzones.dev/waive\": \"{waiver}\"}}\n");
    policy
        .replace("metadata:\n", &metadata)
        .replace("spec:\n", &annotation)
}

pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// What a run left: exit code, standard output, standard error.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    pub fn rules(&self) -> Vec<String> {
        let json = self.json();
        let findings = json["findings"].as_array().unwrap();
        let rules = findings.iter().map(|it| it["rule"].as_str().unwrap());
        rules.map(str::to_owned).collect()
    }
}

pub fn review_in(folder: &Path, arguments: &[&str], stdin: &[u8]) -> Ran {
    let output = Command::cargo_bin("kubectl-landingzone")
        .unwrap()
        .current_dir(folder)
        .env_remove("LANDING_ZONE_OPERATOR_POD_CIDRS")
        .env_remove("LANDING_ZONE_OPERATOR_DNS_ADDRESSES")
        .env_remove("LANDING_ZONE_OPERATOR_ALLOWED_ROLES")
        .arg("review")
        .args(arguments)
        .write_stdin(stdin)
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn review(files: &[(&str, &str)], arguments: &[&str]) -> Ran {
    review_in(folder(files).path(), arguments, b"")
}

/// Reviews files of `a` against those of `main/a`.
pub fn compared(before: &[(&str, &str)], after: &[(&str, &str)]) -> Ran {
    let at = |folder: &str, files: &[(&str, &str)]| {
        let files = files.iter();
        let files = files.map(|(name, text)| (format!("{folder}/{name}"), (*text).to_owned()));
        files.collect::<Vec<_>>()
    };
    let files = [at("main/a", before), at("a", after)].concat();
    let files: Vec<_> = files
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    review(&files, &["-f", "a", "--base", "main", "-o", "json"])
}
