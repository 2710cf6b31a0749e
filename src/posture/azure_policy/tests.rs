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

fn assigned(assignments: Value, question: Question) -> Check {
    Given::default()
        .file(InputFile::Cluster, cluster(json!({})))
        .file(InputFile::PolicyAssignments, assignments)
        .ask(question)
}

fn effect(effect: &str) -> Value {
    json!({"parameters": {"effect": {"value": effect}}})
}

#[rstest]
#[case::by_default(json!({}), Outcome::Pass, 0)]
#[case(effect("deny"), Outcome::Pass, 0)]
#[case(effect("Audit"), Outcome::Pass, 1)]
#[case(effect("Disabled"), Outcome::Fail, 0)]
#[case(json!({"enforcementMode": "DoNotEnforce"}), Outcome::Fail, 0)]
#[case::elsewhere(json!({"scope": "/subscriptions/1"}), Outcome::Fail, 0)]
#[case::above(json!({"scope": "/providers/Microsoft.Management/managementGroups/all"}), Outcome::Pass, 0)]
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

#[test]
fn initiatives_hold_definitions() {
    let of = |id: &str, question| {
        assigned(
            json!([assignment(
                &format!("policySetDefinitions/{id}"),
                &json!({})
            )]),
            question,
        )
    };
    let known = of(MCSB, Question::PolicyServicePorts);
    assert_eq!((known.outcome, known.notes.len()), (Outcome::Pass, 1));
    for (id, question) in [
        (MCSB, Question::PolicyExternalIps),
        ("another", Question::PolicyServicePorts),
    ] {
        let check = of(id, question);
        assert_eq!(check.outcome, Outcome::Unknown);
        assert_eq!(check.tells, [InputFile::PolicyStates.to_string()]);
    }
    assert_eq!(
        assigned(json!([]), Question::PolicyHostNetwork).outcome,
        Outcome::Fail
    );
}

#[rstest]
#[case("deny", Outcome::Pass, 0)]
#[case("audit", Outcome::Pass, 1)]
fn states_see_through_initiatives(
    #[case] action: &str,
    #[case] expected: Outcome,
    #[case] notes: usize,
) {
    let state = json!([{"policyDefinitionId": format!("/x/{}", EXTERNAL_IPS.id.to_uppercase()), "policyDefinitionAction": action,
        "complianceState": "Compliant", "resourceId": CLUSTER}]);
    let given = Given::default()
        .file(InputFile::Cluster, cluster(json!({})))
        .file(InputFile::PolicyStates, state);
    let check = given.ask(Question::PolicyExternalIps);
    assert_eq!((check.outcome, check.notes.len()), (expected, notes));
    assert_eq!(
        given.ask(Question::PolicyHostNetwork).outcome,
        Outcome::Fail
    );
}

#[test]
fn a_definition_that_can_only_record_passes_with_it() {
    let id = format!("policyDefinitions/{}", AUTHORIZED_IP_RANGES.id);
    let check = assigned(
        json!([assignment(&id, &json!({}))]),
        Question::PolicyAuthorizedIpRanges,
    );
    assert_eq!((check.outcome, check.notes), (Outcome::Pass, vec![]));
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
