use proptest::prelude::*;

use super::*;

const GOOD: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata:
  name: app
spec:
  applicationCode: app
  namespaces:
  - name: app-ns1
    zone: frontend
    quota: {pods: \"50\", requests.cpu: \"4\"}
";

fn files(texts: &[&str]) -> Vec<SourceFile> {
    texts
        .iter()
        .enumerate()
        .map(|(index, text)| SourceFile {
            name: format!("{index}.yaml"),
            text: (*text).to_owned(),
            origin: Origin::Found,
        })
        .collect()
}

fn declarations(texts: &[&str]) -> Declarations {
    read(&files(texts), &Platform::default()).unwrap()
}

fn findings(text: &str) -> Vec<String> {
    declarations(&[text])
        .findings
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The finding that a change of the good file leads to; there must be one only.
fn finding(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from));
    let findings = findings(&GOOD.replace(from, to));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.into_iter().next().unwrap()
}

#[test]
fn a_good_file_has_no_findings() {
    assert_eq!(findings(GOOD), Vec::<String>::new());
    assert_eq!(declarations(&[GOOD]).zones.len(), 1);
}

#[test]
fn an_unknown_field_is_pointed_at() {
    assert_eq!(
        finding("    zone:", "    labelz: {a: b}\n    zone:"),
        "0.yaml:9:5: spec.namespaces[0].labelz: unknown field: did you mean labels?"
    );
    assert_eq!(
        finding("  name: app\n", "  name: app\n  lable: {}\n"),
        "0.yaml:5:3: metadata.lable: unknown field: did you mean labels?"
    );
    assert!(
        finding("spec:", "hello: 1\nspec:").contains("0.yaml:5:1: hello: unknown field: there are")
    );
}

#[test]
fn beside_an_unknown_field_the_rules_are_judged() {
    let findings = findings(
        &GOOD
            .replace("    zone:", "    foo: 1\n    zone:")
            .replace("pods: \"50\"", "pods: abc"),
    );
    assert_eq!(findings.len(), 2, "{findings:#?}");
    assert!(findings[0].starts_with("0.yaml:9:5: spec.namespaces[0].foo: unknown field"));
    assert!(
        findings[1].starts_with("0.yaml:11:19: spec.namespaces[0].quota.pods: \"abc\": "),
        "{findings:#?}"
    );
}

#[test]
fn wrong_types_are_pointed_at() {
    assert_eq!(
        finding("zone: frontend", "zone: 7"),
        "0.yaml:9:11: spec.namespaces[0].zone: \"7\": must be text: put it in quotes, \"7\""
    );
    assert_eq!(
        finding("zone: frontend", "zone: [frontend]"),
        "0.yaml:9:5: spec.namespaces[0].zone: must be text, not a list"
    );
    assert_eq!(
        finding("zone: frontend", "zone:"),
        "0.yaml:9:5: spec.namespaces[0].zone: must be text, and is empty: leave the field out or \
         fill it in"
    );
    assert_eq!(
        finding("metadata:\n  name: app\n", "metadata: app\n"),
        "0.yaml:3:11: metadata: \"app\": must be a map, not text"
    );
    assert_eq!(
        finding("  applicationCode", "  network: [a]\n  applicationCode"),
        "0.yaml:6:3: spec.network: must be a map, not a list"
    );
}

/// YAML 1.1 reads some words as booleans, and stages are among them.
#[test]
fn a_stage_that_reads_as_a_boolean_is_to_be_quoted() {
    let platform = |guard: &str| {
        let text = format!(
            "apiVersion: landingzones.dev/v1alpha1\nkind: LandingZonePlatform\nmetadata: {{name: cluster}}\n\
             spec: {{guard: {guard}}}\n"
        );
        findings(&text).join("\n")
    };
    assert_eq!(platform("\"Off\""), "");
    for wrong in ["Off", "false", "no"] {
        let told = platform(wrong);
        assert!(told.contains("put it in quotes"), "{wrong}: {told}");
        assert!(told.contains("\"Off\""), "{wrong}: {told}");
    }
}

#[test]
fn missing_fields_are_pointed_at_by_what_they_are_missing_in() {
    assert_eq!(
        finding("    zone: frontend\n", ""),
        "0.yaml:8:5: spec.namespaces[0].zone: this field is required and missing"
    );
    assert_eq!(
        finding("  name: app\n", "  labels: {}\n"),
        "0.yaml:3:1: metadata.name: this field is required and missing"
    );
    assert_eq!(
        finding("apiVersion: landingzones.dev/v1alpha1\n", ""),
        "0.yaml:1:1: apiVersion: this field is required and missing: write \
         landingzones.dev/v1alpha1"
    );
    assert_eq!(
        finding("kind: LandingZone\n", ""),
        "0.yaml:1:1: kind: this field is required and missing: write LandingZone"
    );
}

#[test]
fn unknown_words_are_pointed_at() {
    assert_eq!(
        finding("  applicationCode", "  stage: enforce\n  applicationCode"),
        "0.yaml:6:10: spec.stage: \"enforce\": must be one of Plan, Observe, Enforce: did you mean \
         Enforce?"
    );
}

#[test]
fn other_versions_and_kinds_of_the_group_are_refused() {
    assert_eq!(
        finding("v1alpha1", "v1"),
        "0.yaml:1:13: apiVersion: \"landingzones.dev/v1\": LandingZone is supported as \
         landingzones.dev/v1alpha1 only"
    );
    assert_eq!(
        finding("kind: LandingZone", "kind: LandingZones"),
        "0.yaml:2:7: kind: \"LandingZones\": landingzones.dev has no such kind: did you mean \
         LandingZone?"
    );
}

#[test]
fn what_only_one_may_claim_names_both_places() {
    let found = declarations(&[GOOD, GOOD]).findings;
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "1.yaml:4:9: metadata.name: \"app\": a landing zone of this name is declared twice, \
             first in 0.yaml:4:9",
            "1.yaml:6:20: spec.applicationCode: \"app\": two landing zones claim this application \
             code, first in 0.yaml:6:20",
            "1.yaml:8:11: spec.namespaces[0].name: \"app-ns1\": two landing zones claim this \
             namespace, first in 0.yaml:8:11",
        ]
    );
}

#[test]
fn lists_are_unpacked_and_their_items_judged_alone() {
    let item = GOOD.replace('\n', "\n  ");
    let text = format!(
        "apiVersion: v1\nkind: List\nitems:\n- kind: Deployment\n  flag: yes\n- {}\n",
        item.trim_end()
    );
    let read = declarations(&[&text]);
    assert_eq!(read.findings, []);
    assert_eq!(read.zones.len(), 1);
    assert_eq!(read.skipped.get("Deployment"), Some(&1));
    let text = text.replace("zone: frontend", "zone: yes");
    assert_eq!(findings(&text).len(), 1);
    assert!(findings(&text)[0].starts_with("0.yaml:14:13: spec.namespaces[0].zone: \"yes\""));
}

#[test]
fn what_was_exported_from_a_cluster_is_read() {
    let text = GOOD.replace(
        "  name: app\n",
        "  name: app\n  creationTimestamp: null\n  uid: abc\n  generation: 3\n  managedFields: \
         [{manager: x, operation: Update, time: \"2026-01-01T00:00:00Z\", fieldsV1: {\"f:x\": {}}}]\n",
    ) + "status: {anything: [1, {a: b}]}\n";
    assert_eq!(findings(&text), Vec::<String>::new());
}

#[test]
fn what_nests_deeply_is_read_without_recursing_too_far() {
    let deep = |inside: &str| "[".repeat(250) + inside + &"]".repeat(250);
    let text = format!(
        "{GOOD}status:\n  a: &a {}\n  b: {}\n",
        deep("x"),
        deep("*a")
    );
    assert_eq!(findings(&text), Vec::<String>::new());
}

#[test]
fn templates_in_folders_are_skipped_unless_they_mention_landing_zones() {
    let template = "{{ if .Values.x }}\nkind: Service\n{{ end }}\n";
    let read = declarations(&[template, GOOD]);
    assert_eq!(read.findings, []);
    assert_eq!(read.skipped_files, 1);
    let mentioned = format!("{{{{ if x }}}}\n{GOOD}");
    let findings = findings(&mentioned);
    assert!(findings[0].contains("this is not YAML"), "{findings:#?}");
}

#[test]
fn the_order_of_files_does_not_matter() {
    let other = GOOD
        .replace(" app\n", " abc\n")
        .replace("app-ns1", "abc-ns1");
    let names = |texts: &[&str]| -> Vec<String> {
        let zones = declarations(texts).zones;
        zones.iter().map(|zone| zone.name.to_string()).collect()
    };
    assert_eq!(names(&[GOOD, &other]), ["abc", "app"]);
    assert_eq!(names(&[&other, GOOD]), ["abc", "app"]);
}

#[test]
fn half_a_document_is_none() {
    // The line is a directive, which the parser takes for the end of what came before.
    let broken = GOOD.replace("    quota:", "%a    quota:");
    let read = declarations(&[&broken]);
    assert_eq!(read.zones.len(), 0);
    assert_eq!(read.findings.len(), 1, "{:?}", read.findings);

    // What was over before is whole, and so is what comes after.
    let other = GOOD.replace(": app", ": other");
    for end in ["---\n", "...\n"] {
        let read = declarations(&[&format!(
            "{other}{end}{broken}---\n{}",
            GOOD.replace(": app", ": last")
        )]);
        let names: Vec<_> = read
            .zones
            .iter()
            .map(|zone| zone.name.to_string())
            .collect();
        assert_eq!(names, ["last", "other"], "{:?}", read.findings);
        assert_eq!(read.findings.len(), 1, "{:?}", read.findings);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        declarations(&[&String::from_utf8_lossy(&bytes)]);
    }

    #[test]
    fn no_yaml_makes_it_panic(
        text in "([a-c]: |- |\\? |[\\[\\]{},&*!|>'\"%@#:\n]|&a |\\*a|<<: |\n  |---\n|\t|é){0,40}"
    ) {
        declarations(&[&text]);
    }

    #[test]
    fn no_change_of_a_good_file_makes_it_panic(
        at in 0..GOOD.len(), length in 0..20_usize, insert in "[ -~\n\t]{0,8}"
    ) {
        let end = (at + length).min(GOOD.len());
        let text = format!("{}{insert}{}", &GOOD[..at], &GOOD[end..]);
        let read = declarations(&[&text]);
        prop_assert!(read.zones.is_empty() || read.findings.is_empty());
    }
}
