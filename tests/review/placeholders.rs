//! Names for values that something puts in later.

use super::command::*;

fn egress(end: &str) -> String {
    format!(
        "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {{name: out, namespace: application2-ns2}}\nspec:\n  \
         selector: app == 'api'\n  types: [Egress]\n  egress:\n  - action: Allow\n    protocol: TCP\n    destination: {{{end}}}\n"
    )
}

#[test]
fn a_value_that_nobody_knows_needs_approval_wherever_it_decides() {
    let inside = "namespaceSelector: \"applicationcode == 'application2'\"";
    let plain = egress(inside);
    for (text, path) in [
        (
            egress("namespaceSelector: \"applicationcode == '${code}'\""),
            "spec.egress[0].destination.namespaceSelector",
        ),
        (
            egress("namespaceSelector: \"applicationcode == '${code:=application2}'\""),
            "spec.egress[0].destination.namespaceSelector",
        ),
        (
            egress("nets: ['${partner}']"),
            "spec.egress[0].destination.nets[0]",
        ),
        (
            egress(&format!("{inside}, ports: ['${{port}}']")),
            "spec.egress[0].destination.ports[0]",
        ),
        (plain.replace("'api'", "'${app}'"), "spec.selector"),
        (
            plain.replace("application2-ns2", "\"${namespace}\""),
            "metadata.namespace",
        ),
    ] {
        let files = [("z.yaml", ZONES), ("a.yaml", text.as_str())];
        let ran = review(&files, &["-f", ".", "-o", "json"]);
        let json = ran.json();
        assert_eq!(json["approvalRequired"], true, "{text}\n{}", ran.out);
        let findings = json["findings"].as_array().unwrap().iter();
        let told: Vec<&str> = findings
            .filter(|it| it["rule"] == "invalid")
            .map(|it| it["message"].as_str().unwrap())
            .collect();
        let start = format!("{path} holds ${{");
        assert!(told.len() == 1 && told[0].starts_with(&start), "{told:#?}");
        // In each form of output.
        for form in ["table", "markdown", "sarif"] {
            let ran = review(&files, &["-f", ".", "-o", form]);
            assert!(
                ran.out.contains("something puts a value in"),
                "{form}: {}",
                ran.out
            );
        }
        // Whoever had it approved does not ask again.
        let both = [
            ("a/z.yaml", ZONES),
            ("a/p.yaml", text.as_str()),
            ("main/a/z.yaml", ZONES),
            ("main/a/p.yaml", text.as_str()),
        ];
        let same = review(&both, &["-f", "a", "--base", "main", "-o", "json"]);
        assert_eq!(same.json()["approvalRequired"], false, "{}", same.out);
        let new = [both[0], both[1], both[2], ("main/a/p.yaml", plain.as_str())];
        let new = review(&new, &["-f", "a", "--base", "main", "-o", "json"]);
        assert_eq!(new.json()["approvalRequired"], true, "{}", new.out);
    }
}

#[test]
fn what_decides_nothing_may_have_such_names() {
    let inside = "namespaceSelector: \"applicationcode == 'application2'\"";
    let noted = egress(inside).replace(
        "metadata: {",
        "metadata: {annotations: {note: \"for ${team}\"}, ",
    );
    let ran = review(
        &[("z.yaml", ZONES), ("a.yaml", &noted)],
        &["-f", ".", "-o", "json"],
    );
    assert_eq!(ran.code, 0, "{}", ran.out);
}

/// What Flux puts in stands beside it.
#[test]
fn values_that_a_kustomization_of_flux_takes_from_elsewhere_need_approval_when_they_change() {
    let flux = "\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: policies, namespace: flux-system}
spec:
  path: ./policies
  postBuild:
    substituteFrom:
    - {kind: ConfigMap, name: values}
";
    let values = |code: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: values, namespace: flux-system}}\ndata: {{code: {code}}}\n"
        )
    };
    let (one, other) = (values("application2"), values("orders"));
    let with = |values: &str| {
        let files = [
            ("a/flux.yaml", flux),
            ("a/values.yaml", values),
            ("main/a/flux.yaml", flux),
            ("main/a/values.yaml", one.as_str()),
        ];
        review(&files, &["-f", "a", "--base", "main", "-o", "json"])
    };
    let changed = with(&other);
    assert_eq!(changed.rules(), ["decides-unread"], "{}", changed.out);
    assert_eq!(with(&one).json()["approvalRequired"], false);
}
