use rstest::rstest;

use super::*;
use crate::cli::propose::fixture::file;

const POD: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "n",
    "labels": {"app": "x"}, "managedFields": [{}]}, "spec": {"nodeName": "n1", "hostNetwork": true},
    "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}}"#;

fn read(text: &str) -> (Dump, Rest) {
    let mut dump = Dump::default();
    let rest = dump.add(&file(text)).unwrap();
    (dump, rest)
}

/// The only pod that a text holds.
fn pod(text: &str) -> Object {
    let (mut dump, rest) = read(text);
    assert_eq!((dump.pods.len(), rest), (1, Rest::Nothing), "{text}");
    dump.pods.remove(0)
}

fn as_yaml(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap();
    crate::cli::output::yaml(&[value])
}

#[rstest]
#[case::alone(POD.to_owned())]
#[case::in_a_list(format!(r#"{{"apiVersion": "v1", "kind": "List", "items": [{POD}]}}"#))]
#[case::in_a_list_of_pods(format!(
    r#"{{"kind": "PodList", "items": [{}]}}"#,
    POD.replace(r#""kind": "Pod","#, "").replace(r#""apiVersion": "v1","#, "")
))]
fn pods_are_read_from_json_and_yaml(#[case] json: String) {
    for text in [
        json.clone(),
        as_yaml(&json),
        format!("\u{feff}{json}"),
        // Comments make it YAML.
        format!("{json} # the end"),
    ] {
        let pod = pod(&text);
        assert_eq!((&*pod.metadata.name, &*pod.metadata.namespace), ("a", "n"));
        assert_eq!(pod.metadata.labels["app"], "x");
        assert!(pod.spec.host_network && pod.spec.node_name == "n1");
        let addresses: Vec<&str> = pod.status.pod_ips.iter().map(|ip| &*ip.ip).collect();
        assert_eq!(addresses, ["10.0.0.1", "fd00::1"]);
    }
}

#[test]
fn several_documents_of_any_kind_are_read() {
    let text = format!(
        "{}---\nkind: Namespace\napiVersion: v1\nmetadata: {{name: n}}\n---\nkind: Node\n\
         apiVersion: v1\nspec: {{podCIDRs: [10.0.0.0/24]}}\n---\nkind: Deployment\nspec: 3\n---\n- 1\n",
        as_yaml(POD)
    );
    let (dump, rest) = read(&text);
    let counts = (dump.pods.len(), dump.namespaces.len(), dump.nodes.len());
    assert_eq!((counts, rest), ((1, 1, 1), Rest::Nothing));
    assert_eq!(dump.nodes[0].spec.pod_cidrs, ["10.0.0.0/24"]);
    let (dump, _) = read(&format!("{POD}\n{POD}"));
    assert_eq!(dump.pods.len(), 2);
}

#[rstest]
#[case("{\"kind\": \"LandingZone\"}")]
#[case("kind: LandingZone\n")]
#[case("apiVersion: landingzones.dev/v1alpha1\nkind: LandigZone\n")]
#[case("kind: List\nitems: [{kind: Pod}, {kind: LandingZonePlatform}]\n")]
#[case("{\"kind\": \"List\", \"items\": [{\"kind\": \"LandingZone\"}, {\"kind\": \"Pod\"}]}")]
#[case("this is: no: yaml\n")]
fn what_may_declare_something_is_left_to_others(#[case] text: &str) {
    assert_eq!(read(text).1, Rest::Declarations);
}

#[test]
fn what_lies_in_a_folder_and_is_no_yaml_is_skipped() {
    let mut template = file("{{ if }}\nkind: Pod\n");
    template.origin = Origin::Found;
    assert_eq!(Dump::default().add(&template), Ok(Rest::Nothing));
    template.text.push_str("# LandingZone");
    assert_eq!(Dump::default().add(&template), Ok(Rest::Declarations));
}

#[test]
fn fields_that_are_not_what_they_should_be_count_as_left_out() {
    let text = POD
        .replace(r#""Running""#, "[1]")
        .replace("true", "\"yes\"")
        .replace(r#"{"app": "x"}"#, r#"{"app": 3}"#);
    for text in [text.clone(), as_yaml(&text)] {
        let pod = pod(&text);
        assert_eq!(pod.status.phase, "");
        assert!(!pod.spec.host_network && pod.metadata.labels.is_empty());
        assert_eq!(pod.status.pod_ip, "10.0.0.1");
    }
}

#[test]
fn other_groups_may_have_kinds_of_the_same_name() {
    let (dump, rest) = read(&POD.replace("\"v1\"", "\"example.com/v1\""));
    assert_eq!((dump.pods.len(), rest), (0, Rest::Nothing));
}

#[test]
fn long_dumps_are_read_as_json() {
    let long = |text: &str| {
        let mut dump = Dump::default();
        let rest = dump.add_file(&file(text), true);
        rest.map(|_| dump.pods.len())
            .map_err(|finding| finding.to_string())
    };
    assert_eq!(long(POD), Ok(1));
    let refused = |text: &str| long(text).unwrap_err();
    assert!(refused("kind: Pod\n").ends_with("as JSON, by kubectl get … -o json"));
    assert!(refused("{\"kind\": \"Pod\"").contains("this is not JSON: EOF"));
    assert!(refused("{\"kind\": \"LandingZone\"}").contains("keep those in files of their own"));
}
