use rstest::rstest;
use serde_json::{Value, json};

use super::super::fixture::{CLUSTER, Given, cluster, namespaces, refused, state};
use super::super::{Check, ClusterState, Outcome, Question};
use super::*;

#[rstest]
#[case(json!({"azurepolicy": {"enabled": true}}), Outcome::Pass)]
#[case::by_the_portal(json!({"azurePolicy": {"enabled": true}}), Outcome::Pass)]
#[case(json!({"azurepolicy": {"enabled": false}}), Outcome::Fail)]
#[case(json!({}), Outcome::Fail)]
#[case(json!(null), Outcome::Fail)]
fn the_addon_is_enabled(#[case] addons: Value, #[case] expected: Outcome) {
    let given = Given::default().file(
        InputFile::Cluster,
        cluster(json!({ "addonProfiles": addons })),
    );
    assert_eq!(given.ask(Question::AzurePolicyAddon).outcome, expected);
}

#[test]
fn the_cluster_shows_that_there_is_no_addon() {
    let ask = |state| Given::default().live(state).ask(Question::AzurePolicyAddon);
    let with = |names: &[(&str, &[(&str, &str)])]| ClusterState {
        namespaces: Ok(namespaces(names)),
        ..state()
    };
    assert_eq!(ask(with(&[])).outcome, Outcome::Fail);
    assert_eq!(
        ask(with(&[("gatekeeper-system", &[])])).outcome,
        Outcome::Unknown
    );
    let refused = ClusterState {
        namespaces: Err(refused("namespaces")),
        ..state()
    };
    assert_eq!(ask(refused).tells.len(), 2);
    assert_eq!(
        Given::default().ask(Question::AzurePolicyAddon).tells.len(),
        2
    );
}

fn assignment(id: &str, fields: &Value) -> Value {
    let mut assignment = json!({"type": "Microsoft.Authorization/policyAssignments", "name": "a", "scope": "/subscriptions/0",
        "enforcementMode": "Default", "policyDefinitionId": format!("/providers/Microsoft.Authorization/{id}")});
    for (key, value) in fields.as_object().unwrap() {
        assignment[key] = value.clone();
    }
    assignment
}

/// The cluster, with the add-on.
fn with_addon() -> Value {
    cluster(json!({"addonProfiles": {"azurepolicy": {"enabled": true}}}))
}

fn assigned(assignments: Value, question: Question) -> Check {
    Given::default()
        .file(InputFile::Cluster, with_addon())
        .file(InputFile::PolicyAssignments, assignments)
        .ask(question)
}

fn effect(effect: &str) -> Value {
    json!({"parameters": {"effect": {"value": effect}}})
}

#[rstest]
#[case::by_default(json!({}), Outcome::Pass, 1)]
#[case(effect("deny"), Outcome::Pass, 1)]
#[case(effect("Audit"), Outcome::Pass, 2)]
#[case(effect("Disabled"), Outcome::Fail, 0)]
#[case(effect("[parameters('effect')]"), Outcome::Unknown, 0)]
#[case(json!({"enforcementMode": "DoNotEnforce"}), Outcome::Fail, 0)]
#[case(json!({"enforcementMode": "Enroll"}), Outcome::Unknown, 0)]
#[case::of_some_resources(json!({"resourceSelectors": [{"name": "a", "selectors": []}]}), Outcome::Unknown, 0)]
#[case::overridden(json!({"overrides": [{"kind": "policyEffect", "value": "Disabled"}]}), Outcome::Unknown, 0)]
#[case::some_namespaces(json!({"parameters": {"namespaces": {"value": ["a"]}}}), Outcome::Fail, 0)]
#[case::no_namespaces_named(json!({"parameters": {"namespaces": {"value": []}, "labelSelector": {"value": {}}}}), Outcome::Pass, 1)]
#[case::some_objects(json!({"parameters": {"labelSelector": {"value": {"matchLabels": {"a": "b"}}}}}), Outcome::Fail, 0)]
#[case::elsewhere(json!({"scope": "/subscriptions/1"}), Outcome::Fail, 0)]
#[case::above(json!({"scope": "/providers/Microsoft.Management/managementGroups/all"}), Outcome::Pass, 1)]
#[case::left_out(json!({"notScopes": [CLUSTER]}), Outcome::Fail, 0)]
fn an_assignment_has_an_effect_on_the_cluster(
    #[case] fields: Value,
    #[case] expected: Outcome,
    #[case] notes: usize,
) {
    let id = format!("policyDefinitions/{}", HTTPS_INGRESS.id);
    let check = assigned(
        json!([assignment(&id, &fields)]),
        Question::PolicyHttpsIngress,
    );
    assert_eq!(
        (check.outcome, check.notes.len()),
        (expected, notes),
        "{check:?}"
    );
}

/// A definition for Kubernetes reaches no cluster without the add-on, whoever assigns it.
#[test]
fn without_the_addon_nothing_that_is_assigned_arrives() {
    let assignments = || {
        let id = |it: &Definition| format!("policyDefinitions/{}", it.id);
        json!([
            assignment(&id(&HTTPS_INGRESS), &json!({})),
            assignment(&id(&AUTHORIZED_IP_RANGES), &json!({}))
        ])
    };
    let given = |addons: Value| {
        Given::default()
            .file(
                InputFile::Cluster,
                cluster(json!({ "addonProfiles": addons })),
            )
            .file(InputFile::PolicyAssignments, assignments())
    };
    for off in [json!({}), json!({"azurePolicy": {"enabled": false}})] {
        let check = given(off.clone()).ask(Question::PolicyHttpsIngress);
        assert_eq!(check.outcome, Outcome::Fail);
        assert!(check.seen[0].what.contains("add-on"), "{check:?}");
        assert!(check.mend[0].contains("enable-addons"), "{check:?}");
        // What is asked of the cluster's own resource in Azure needs no add-on.
        let ranges = given(off).ask(Question::PolicyAuthorizedIpRanges);
        assert_eq!(ranges.outcome, Outcome::Pass, "{ranges:?}");
    }
}

/// Without the cluster nobody says whether an assignment, or a state, is about it.
#[test]
fn without_the_cluster_an_assignment_may_be_about_another() {
    let id = format!("policyDefinitions/{}", HTTPS_INGRESS.id);
    let given = Given::default().file(
        InputFile::PolicyAssignments,
        json!([assignment(&id, &json!({}))]),
    );
    let check = given.ask(Question::PolicyHttpsIngress);
    assert_eq!(check.tells, [InputFile::Cluster.to_string()]);
}

#[test]
fn initiatives_hold_definitions() {
    let of = |id: &str, fields: Value, question| {
        assigned(
            json!([assignment(&format!("policySetDefinitions/{id}"), &fields)]),
            question,
        )
    };
    let known = of(MCSB, json!({}), Question::PolicyServicePorts);
    assert_eq!((known.outcome, known.notes.len()), (Outcome::Pass, 2));
    for (id, question) in [
        (MCSB, Question::PolicyExternalIps),
        (POD_SECURITY[0], Question::PolicyHostNetwork),
        ("another", Question::PolicyServicePorts),
    ] {
        let check = of(id, json!({}), question);
        assert_eq!(check.outcome, Outcome::Unknown);
        assert_eq!(check.tells, [InputFile::PolicyStates.to_string()]);
    }
    // Its parameters have names of their own, and one of them may be this definition's.
    let parameters = json!({"parameters": {"someMonitoringEffect": {"value": "Disabled"}}});
    let check = of(MCSB, parameters, Question::PolicyServicePorts);
    assert_eq!(check.tells, [InputFile::PolicyStates.to_string()]);
    assert_eq!(
        assigned(json!([]), Question::PolicyHostNetwork).outcome,
        Outcome::Fail
    );
}

/// A state of the definition, by an assignment called `a`.
fn of_state(action: &str, compliance: &str) -> Value {
    json!([{"policyDefinitionId": format!("/x/{}", EXTERNAL_IPS.id.to_uppercase()), "policyDefinitionAction": action,
        "complianceState": compliance, "resourceId": CLUSTER, "policyAssignmentId": "/Assignments/A"}])
}

#[rstest]
#[case("deny", "Compliant", json!({}), Outcome::Pass, 0)]
#[case("audit", "Compliant", json!({}), Outcome::Pass, 1)]
#[case("disabled", "Compliant", json!({}), Outcome::Fail, 0)]
#[case("deny", "NonCompliant", json!({}), Outcome::Fail, 0)]
#[case("deny", "Exempt", json!({}), Outcome::Fail, 0)]
#[case("deny", "Unknown", json!({}), Outcome::Unknown, 0)]
#[case::not_enforced("deny", "Compliant", json!({"enforcementMode": "DoNotEnforce"}), Outcome::Fail, 0)]
#[case::perhaps_enforced("deny", "Compliant", json!({"enforcementMode": "Enroll"}), Outcome::Unknown, 0)]
#[case::narrow("deny", "Compliant", json!({"parameters": {"namespaces": {"value": ["a"]}}}), Outcome::Fail, 0)]
#[case::selected("deny", "Compliant", json!({"resourceSelectors": [{"name": "a"}]}), Outcome::Pass, 0)]
#[case::of_another_assignment("deny", "Compliant", json!({"id": "/assignments/b"}), Outcome::Unknown, 0)]
fn states_see_through_initiatives(
    #[case] action: &str,
    #[case] compliance: &str,
    #[case] fields: Value,
    #[case] expected: Outcome,
    #[case] notes: usize,
) {
    let mut initiative = assignment(
        "policySetDefinitions/another",
        &json!({"id": "/assignments/a"}),
    );
    initiative
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let given = Given::default()
        .file(InputFile::Cluster, with_addon())
        .file(InputFile::PolicyAssignments, json!([initiative]))
        .file(InputFile::PolicyStates, of_state(action, compliance));
    let check = given.ask(Question::PolicyExternalIps);
    assert_eq!(
        (check.outcome, check.notes.len()),
        (expected, notes),
        "{check:?}"
    );
    assert_eq!(
        given.ask(Question::PolicyHostNetwork).outcome,
        Outcome::Fail
    );
}

/// A state says what would be done, and its assignment whether it is.
#[test]
fn states_alone_do_not_say_whether_they_are_enforced() {
    let given = Given::default()
        .file(InputFile::Cluster, with_addon())
        .file(InputFile::PolicyStates, of_state("deny", "Compliant"));
    let check = given.ask(Question::PolicyExternalIps);
    assert_eq!(check.tells, [InputFile::PolicyAssignments.to_string()]);
}

#[test]
fn a_definition_that_can_only_record_passes_with_it() {
    let id = format!("policyDefinitions/{}", AUTHORIZED_IP_RANGES.id);
    let check = assigned(
        json!([assignment(&id, &json!({}))]),
        Question::PolicyAuthorizedIpRanges,
    );
    assert_eq!((check.outcome, check.notes.len()), (Outcome::Pass, 1));
}

#[test]
fn templates_in_the_cluster_tell_that_it_is_assigned() {
    let ask = |definitions| {
        let state = ClusterState {
            definitions,
            ..state()
        };
        Given::default()
            .live(state)
            .ask(Question::PolicyHostNetwork)
    };
    let found = ask(Ok([HOST_NETWORK.id.to_owned()].into()));
    assert_eq!((found.outcome, found.notes.len()), (Outcome::Pass, 1));
    assert_eq!(ask(Ok([].into())).tells.len(), 2);
    let refused = ask(Err(refused(
        "constrainttemplates of templates.gatekeeper.sh/v1",
    )));
    assert_eq!(refused.tells.len(), 3);
    assert_eq!(
        Given::default().ask(Question::PolicyHostNetwork).outcome,
        Outcome::Unknown
    );
}
