//! Labels that others put on namespaces, where files do not show them.

use super::*;

/// The landscape as files tell it.
fn of_files() -> Landscape {
    landscape().with_labels_of_others(|_| false)
}

fn told(policy: &Value, landscape: &Landscape) -> Vec<Finding> {
    judge(&Object::read(policy).unwrap().unwrap(), landscape)
}

fn ids(found: &[Finding]) -> Vec<&'static str> {
    found.iter().map(|it| it.rule.id()).collect()
}

/// A policy of the whole cluster that lets everybody in to namespaces.
fn open(namespaces: &str) -> Value {
    json!({
        "apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "open"},
        "spec": {"namespaceSelector": namespaces, "types": ["Ingress"], "ingress": [{"action": "Allow"}]},
    })
}

#[test]
fn a_label_that_files_do_not_show_may_be_there() {
    for namespaces in [
        "cost-centre == '42'",
        "has(istio-injection)",
        "zone == 'backend' && cost-centre == '42'",
        "pod-security.kubernetes.io/enforce-version == 'latest'",
    ] {
        let found = told(&open(namespaces), &of_files());
        assert_eq!(ids(&found), ["any-peer"], "{namespaces}");
        let witness = found[0].witness.as_deref().unwrap();
        assert!(
            witness.contains("where a namespace of it is labelled"),
            "{witness}"
        );
        // In a cluster, what is there is there.
        assert_eq!(told(&open(namespaces), &landscape()), [], "{namespaces}");
    }
    let selector = open("projectcalico.org/name != 'x'");
    let mut by_pods = selector.clone();
    by_pods["spec"]["namespaceSelector"] = json!("");
    by_pods["spec"]["selector"] = json!("has(pcns.istio-injection)");
    assert_eq!(ids(&told(&by_pods, &of_files())), ["any-peer"]);
    assert_eq!(told(&by_pods, &landscape()), []);
}

#[test]
fn what_the_operator_decides_is_as_it_is_declared() {
    for namespaces in [
        "zone == 'bakend'",
        "landingzones.dev/platform == 'cluster'",
        "landingzones.dev/landing-zone == 'others'",
        "kubernetes.io/metadata.name == 'elsewhere'",
        "pod-security.kubernetes.io/enforce == 'privileged'",
        "applicationcode == 'elsewhere' && has(istio-injection)",
    ] {
        assert_eq!(told(&open(namespaces), &of_files()), [], "{namespaces}");
    }
}

#[test]
fn nothing_is_called_without_effect_that_may_have_one() {
    // Inside, some of it: nothing to find.
    let inside = to(&json!({
        "namespaceSelector": "applicationcode == 'application2' && has(istio-injection)"
    }));
    assert_eq!(told(&inside, &of_files()), []);
    assert_eq!(ids(&told(&inside, &landscape())), ["matches-nothing"]);
    let zone = to(&json!({
        "namespaceSelector": "applicationcode == 'application2' && zone == 'bakend' && has(istio-injection)"
    }));
    assert_eq!(ids(&told(&zone, &of_files())), ["matches-nothing"]);
    // Of its own namespace's labels as well.
    let mut own = to(&json!({"namespaceSelector": "applicationcode == 'application2'"}));
    own["spec"]["selector"] = json!("pcns.istio-injection == 'enabled'");
    assert_eq!(told(&own, &of_files()), []);
    assert_eq!(ids(&told(&own, &landscape())), ["selects-nothing"]);
    own["spec"]["selector"] = json!("pcns.zone == 'data'");
    assert_eq!(ids(&told(&own, &of_files())), ["selects-nothing"]);
}

#[test]
fn a_selector_without_the_code_is_found_whatever_is_known() {
    let peers = to(&json!({"namespaceSelector": "cost-centre == '42'"}));
    for landscape in [of_files(), landscape()] {
        let found = told(&peers, &landscape);
        assert_eq!(ids(&found), ["namespace-labels"]);
        // Nobody knows of a namespace with it, so none is accused.
        let witness = found[0].witness.as_deref().unwrap();
        assert!(
            witness.contains("any namespace labelled cost-centre=42"),
            "{witness}"
        );
        assert!(
            !found[0].suggestion.contains("orders"),
            "{}",
            found[0].suggestion
        );
    }
}

#[test]
fn labels_that_take_back_what_is_declared_are_found() {
    let labelled = |labels: Value| {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "app2-ns2", "labels": labels},
        });
        found(&namespace)
    };
    let enforce = "pod-security.kubernetes.io/enforce";
    for (key, value) in [
        ("zone", "data"),
        ("landingzones.dev/stage", "Observe"),
        (enforce, "baseline"),
        (enforce, "privileged"),
    ] {
        let found = labelled(json!({"applicationcode": "application2", key: value}));
        let [found] = found.as_slice() else {
            panic!("{key} {value}: {found:?}");
        };
        assert_eq!(found.rule, Rule::NamespaceWeakened, "{key} {value}");
        assert!(
            found.message.contains(&format!("{key}: {value}")),
            "{}",
            found.message
        );
        assert!(found.needs_approval());
    }
    for (key, value) in [
        ("zone", "backend"),
        ("landingzones.dev/stage", "Enforce"),
        (enforce, "restricted"),
        ("pod-security.kubernetes.io/warn", "privileged"),
        ("cost-centre", "42"),
    ] {
        assert_eq!(labelled(json!({key: value})), [], "{key} {value}");
    }
    let of_nobody = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "stranger", "labels": {enforce: "privileged"}},
    });
    assert_eq!(found(&of_nobody), []);
}
