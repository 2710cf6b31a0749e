//! What Felix makes of what nobody validates. Each case is read off `libcalico-go` and Felix 3.28; those that packets tell
//! stand in `e2e/tests/agreement/lenient.rs` as well.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::*;
use crate::policy::{Action, PolicyRule, RuleEnd};

fn team(spec: &Value) -> NetworkPolicy {
    serde_json::from_value(json!({"metadata": {"name": "a", "namespace": "shop"}, "spec": spec}))
        .unwrap()
}

fn global(spec: &Value) -> GlobalNetworkPolicy {
    serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).unwrap()
}

/// The selector of a policy in storage, and what is said against it.
fn selected(draft: &Draft) -> (String, Vec<String>) {
    let told = draft.objections.iter();
    let told = told.map(|it| format!("{} {:?}", it.problem.path, it.effect));
    (draft.policy.selector.to_string(), told.collect())
}

fn of_team(spec: &Value) -> (String, Vec<String>) {
    selected(&Policy::draft_of_calico(&team(spec), Written::Storage).unwrap())
}

fn of_cluster(spec: &Value) -> (String, Vec<String>) {
    let draft = Policy::draft_of_global(&global(spec), Written::Storage);
    selected(&draft.unwrap().unwrap())
}

#[test]
fn actions_and_types_are_read_in_any_case() {
    let policy = team(&json!({
        "types": ["ingress", "EGRESS"],
        "ingress": [{"action": "allow"}, {"action": "DENY"}, {"action": "next-tier"}, {"action": ""}],
        "egress": [{"action": "pass"}, {"action": "log"}],
    }));
    let read = Policy::of_calico(&policy, Written::Storage).unwrap();
    let actions = |rules: &Option<Vec<PolicyRule>>| -> Vec<Action> {
        rules.iter().flatten().map(|it| it.action).collect()
    };
    assert_eq!(
        actions(&read.ingress),
        [Action::Allow, Action::Deny, Action::Pass, Action::Allow]
    );
    assert_eq!(actions(&read.egress), [Action::Pass, Action::Log]);
    assert!(Policy::of_calico(&policy, Written::Api).is_err());
    // Felix ends on it.
    let other: Result<NetworkPolicy, _> = serde_json::from_value(json!({
        "metadata": {"name": "a", "namespace": "shop"}, "spec": {"ingress": [{"action": "permit"}]},
    }));
    assert!(other.is_err());
    // A direction that is none is left out, and is none at all where it is alone.
    let read =
        Policy::of_calico(&team(&json!({"types": ["in", "Egress"]})), Written::Storage).unwrap();
    assert_eq!(
        (read.ingress.is_some(), read.egress.is_some()),
        (false, true)
    );
    let read = Policy::of_calico(&team(&json!({"types": ["in"]})), Written::Storage).unwrap();
    assert_eq!(
        (read.ingress.is_some(), read.egress.is_some()),
        (false, false)
    );
}

#[test]
fn selectors_of_namespaces_and_accounts_that_are_none_are_dropped() {
    let dropped = |field: &str| vec![format!("spec.{field} LeftOut")];
    assert_eq!(
        of_cluster(&json!({"namespaceSelector": "name = 'a'"})),
        ("all()".to_owned(), dropped("namespaceSelector"))
    );
    assert_eq!(
        of_cluster(
            &json!({"selector": "app == 'a'", "namespaceSelector": "name ==", "serviceAccountSelector": "x == 'y'"})
        ),
        (
            "app == 'a' && pcsa.x == 'y'".to_owned(),
            dropped("namespaceSelector")
        )
    );
    assert_eq!(
        of_team(&json!({"serviceAccountSelector": "x == y"})),
        (
            "projectcalico.org/namespace == 'shop'".to_owned(),
            dropped("serviceAccountSelector")
        )
    );
    // What stands in a rule has to be right.
    let rule = team(
        &json!({"ingress": [{"action": "Allow", "source": {"namespaceSelector": "name = 'a'"}}]}),
    );
    assert!(Policy::of_calico(&rule, Written::Storage).is_err());
}

#[test]
fn a_parenthesis_too_many_reaches_out_of_the_namespace() {
    let (selector, told) = of_team(&json!({"selector": "app == 'x') || (all()"}));
    assert_eq!(
        selector,
        "app == 'x' || all() && projectcalico.org/namespace == 'shop'"
    );
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("spec.selector TakenFor("), "{told:?}");
    let (selector, told) =
        of_cluster(&json!({"selector": "app == 'x') || (all()", "namespaceSelector": "a == 'b'"}));
    assert_eq!(
        selector,
        "app == 'x' || has(projectcalico.org/namespace) && pcns.a == 'b'"
    );
    assert_eq!(told.len(), 1, "{told:?}");
    // Alone, nothing is put around it.
    let alone = global(&json!({"selector": "app == 'x') || (all()"}));
    assert!(Policy::of_global(&alone, Written::Storage).is_err());
    let closed = team(&json!({"selector": "app == 'x'("}));
    assert!(Policy::of_calico(&closed, Written::Storage).is_err());
    let in_api = team(&json!({"selector": "app == 'x') || (all()"}));
    assert!(Policy::of_calico(&in_api, Written::Api).is_err());
}

/// Whether two selectors mean the same.
fn is_same(one: &Selector, other: &Selector) -> bool {
    let never = |one: &Selector, other: &Selector| {
        let both = [one.clone(), other.clone().negate()];
        matches!(crate::policy::example(&both), Ok(None))
    };
    never(one, other) && never(other, one)
}

#[test]
fn what_is_put_together_is_what_its_text_says() {
    let selectors = [
        "",
        "a == 'b'",
        "a == 'b' || !has(c)",
        "all()",
        "!all()",
        "!(all() || has(q))",
    ];
    for own in selectors {
        for other in selectors {
            let spec = json!({"selector": own, "namespaceSelector": other});
            let draft = Policy::draft_of_global(&global(&spec), Written::Storage);
            let read = draft.unwrap().unwrap().policy.selector;
            // As `prefixAndAppendSelector` does it.
            let other = other
                .replace("a ==", "pcns.a ==")
                .replace("has(", "has(pcns.");
            let text = match (own, other.as_str()) {
                (own, "") => own.to_owned(),
                ("", other) => other.replace("all()", "has(projectcalico.org/namespace)"),
                (own, other) => format!("({own}) && ({other})")
                    .replace("all()", "has(projectcalico.org/namespace)"),
            };
            assert!(is_same(&read, &text.parse().unwrap()), "{spec}: {read}");
        }
    }
}

#[test]
fn ranges_that_are_none_are_dropped_and_then_anybody_is_meant() {
    let nets = |end: &str, nets: Value| {
        let policy =
            team(&json!({"types": ["Ingress"], "ingress": [{"action": "Allow", end: nets}]}));
        let read = Policy::of_calico(&policy, Written::Storage).unwrap();
        let rule = read.ingress.unwrap().remove(0);
        let end = if end == "source" {
            rule.source
        } else {
            rule.destination
        };
        let texts = |nets: Vec<IpNet>| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
        (end.nets.map(texts), texts(end.not_nets))
    };
    for end in ["source", "destination"] {
        assert_eq!(nets(end, json!({"nets": ["bogus"]})), (None, vec![]));
        assert_eq!(
            nets(end, json!({"nets": ["10.0.0.0/33", "10.1.0.0/16"]})),
            (Some(vec!["10.1.0.0/16".to_owned()]), vec![])
        );
        assert_eq!(
            nets(end, json!({"nets": ["10.0.0.0/000"]})),
            (Some(vec!["0.0.0.0/0".to_owned()]), vec![])
        );
        assert_eq!(
            nets(end, json!({"nets": ["::ffff:10.0.0.0/104"]})),
            (Some(vec!["10.0.0.0/8".to_owned()]), vec![])
        );
        assert_eq!(
            nets(end, json!({"notNets": ["10.0.0.0/8x"]})),
            (None, vec![])
        );
    }
}

#[test]
fn what_felix_takes_the_policy_for_missing_because_of() {
    for rule in [
        json!({"protocol": "TCP", "destination": {"ports": [0]}}),
        json!({"protocol": "TCP", "destination": {"ports": ["0:80"]}}),
        json!({"protocol": "TCP", "destination": {"ports": ["+1:80"]}}),
        json!({"protocol": "TCP", "destination": {"ports": ["HTTP"]}}),
        json!({"protocol": "TCP", "destination": {"ports": ["my_port"]}}),
        json!({"protocol": "TCP", "destination": {"ports": ["longer-than-iana-has-it"]}}),
        json!({"protocol": "+6"}),
        json!({"protocol": "0"}),
        json!({"destination": {"ports": [80]}}),
        json!({"ipVersion": 5}),
        json!({"source": {"notSelector": "a = 'b'"}}),
        json!({"source": {"serviceAccounts": {"selector": "a = 'b'"}}}),
    ] {
        let mut rule = rule;
        rule["action"] = json!("Allow");
        let policy = team(&json!({"ingress": [{"action": "Deny"}, rule]}));
        assert!(
            Policy::of_calico(&policy, Written::Storage).is_err(),
            "{rule}"
        );
        // The rest can be judged all the same.
        let draft = Policy::draft_of_calico(&policy, Written::Storage).unwrap();
        assert_eq!(draft.ingress, [0], "{rule}");
    }
    let hints = team(&json!({"performanceHints": ["Fast"]}));
    assert!(Policy::of_calico(&hints, Written::Storage).is_err());
    let good = team(
        &json!({"performanceHints": ["AssumeNeededOnEveryNode"], "ingress": [
            {"action": "Allow", "protocol": "006", "destination": {"ports": ["0080", "http-alt", "1:65535"]}},
        ]}),
    );
    assert!(Policy::of_calico(&good, Written::Api).is_ok());
}

#[test]
fn a_range_of_kubernetes_that_calico_cannot_read_means_anybody() {
    let peer = |peer: Value| {
        let policy = json!({
            "metadata": {"name": "a", "namespace": "shop"},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [peer]}]},
        });
        let read = Policy::of_kubernetes(&serde_json::from_value(policy).unwrap()).unwrap();
        read.ingress.unwrap().remove(0).source
    };
    assert_eq!(
        peer(json!({"ipBlock": {"cidr": "010.0.0.0/8"}})),
        RuleEnd::default()
    );
    let end = peer(
        json!({"ipBlock": {"cidr": "10.1.2.3/008", "except": ["10.1.0.0/16", "010.2.0.0/16", "10.3.0.0/16"]}}),
    );
    assert_eq!(end.nets, Some(vec!["10.0.0.0/8".parse().unwrap()]));
    assert_eq!(end.not_nets, ["10.1.0.0/16".parse::<IpNet>().unwrap()]);
    // An address is no range there.
    assert_eq!(
        peer(json!({"ipBlock": {"cidr": "10.0.0.1"}})),
        RuleEnd::default()
    );
}
