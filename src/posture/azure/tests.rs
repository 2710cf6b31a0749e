use rstest::rstest;
use serde_json::{Value, json};

use super::super::fixture::{CLUSTER, Given, VNET, cluster, vnet};
use super::super::{Outcome, Question};
use super::*;

#[rstest]
#[case("/a/b/c", "/a/b", true)]
#[case("/A/B", "/a/b/", true)]
#[case("/a/bc", "/a/b", false)]
#[case("/a", "/a/b", false)]
fn ids_lie_in_scopes(#[case] id: &str, #[case] scope: &str, #[case] expected: bool) {
    assert_eq!(is_within(id, scope), expected);
}

fn problems(input: InputFile, content: Value) -> Vec<String> {
    let problems = Given::default().file(input, content).problems();
    problems.iter().map(|it| it.problem.to_string()).collect()
}

const WAY_OUT: &str =
    "give what `az network vnet show --ids $VNET_ID -o json` prints, as it is printed";

#[test]
fn a_file_holds_what_it_was_given_as() {
    assert_eq!(
        problems(InputFile::Vnet, cluster(json!({}))),
        [format!(
            "type: \"Microsoft.ContainerService/ManagedClusters\": is another resource than Microsoft.Network/virtualNetworks, which --vnet takes: {WAY_OUT}"
        )]
    );
    assert_eq!(
        problems(InputFile::Vnet, json!({"name": "a"})),
        [format!(
            "type: is missing, and would be Microsoft.Network/virtualNetworks: {WAY_OUT}"
        )]
    );
    assert_eq!(
        problems(InputFile::Vnet, json!([])),
        [format!(
            ": \"[]\": must be one resource, and there are 0: {WAY_OUT}"
        )]
    );
    assert_eq!(
        problems(InputFile::Vnet, json!("a")),
        [format!(
            ": \"a\": must be a resource of Azure, or a list of them: {WAY_OUT}"
        )]
    );
    let states = problems(InputFile::PolicyStates, json!([{"a": 1}]));
    assert!(
        states[0].starts_with("[0]: \"{\"a\":1}\": is no state of a policy"),
        "{states:?}"
    );
}

#[test]
fn a_resource_may_be_alone_in_a_list_or_in_a_value() {
    let vnet = vnet(json!({}));
    for content in [vnet.clone(), json!([vnet]), json!({ "value": [vnet] })] {
        assert_eq!(problems(InputFile::Vnet, content), Vec::<String>::new());
    }
}

#[test]
fn a_vnet_is_that_of_the_cluster() {
    let told = |cluster: Value, id: &str| {
        let given = Given::default()
            .file(InputFile::Cluster, cluster)
            .file(InputFile::Vnet, vnet(json!({ "id": id })));
        given.problems().len()
    };
    assert_eq!(told(cluster(json!({})), &VNET.to_uppercase()), 0);
    assert_eq!(told(cluster(json!({})), "/other"), 1);
    let managed =
        cluster(json!({"agentPoolProfiles": [{"name": "a"}], "nodeResourceGroup": "MC_a"}));
    let of = |group: &str| format!("/subscriptions/0/resourceGroups/{group}/providers/x/aks-vnet");
    assert_eq!(told(managed.clone(), &of("mc_a")), 0);
    assert_eq!(told(managed, &of("other")), 1);
}

#[test]
fn states_are_those_of_the_cluster() {
    let told = |id: &str| {
        let state = json!([{"policyDefinitionId": "/a", "resourceId": id}]);
        let given = Given::default()
            .file(InputFile::Cluster, cluster(json!({})))
            .file(InputFile::PolicyStates, state);
        given.problems().len()
    };
    assert_eq!(told(&CLUSTER.to_lowercase()), 0);
    assert_eq!(told("/other"), 1);
}

#[test]
fn the_network_lies_in_the_group_of_the_vnet_or_of_the_nodes() {
    let scope = |cluster: Value| {
        let problems = Problems::default();
        let files = [GivenFile {
            input: InputFile::Cluster,
            name: "a.json".to_owned(),
            content: cluster,
        }];
        Azure::of(&files, &BTreeSet::new(), &problems).network_scope()
    };
    let own = scope(cluster(json!({})));
    assert_eq!(own.as_deref(), Some("/subscriptions/0/resourceGroups/rg"));
    let managed = json!({"agentPoolProfiles": [{"name": "a"}], "nodeResourceGroup": "MC_a"});
    let managed = scope(cluster(managed));
    assert_eq!(
        managed.as_deref(),
        Some("/subscriptions/0/resourceGroups/MC_a")
    );
}

#[test]
fn commands_name_what_is_known() {
    let problems = Problems::default();
    let nothing = Azure::of(&[], &BTreeSet::new(), &problems).names();
    assert_eq!(nothing.cluster, "-g $RG -n $AKS");
    let files = [GivenFile {
        input: InputFile::Cluster,
        name: "a.json".to_owned(),
        content: cluster(json!({})),
    }];
    for (word, expected) in [
        ("rg-a_b.c", "rg-a_b.c"),
        ("a (b)", "'a (b)'"),
        ("a';b", r"'a'\'';b'"),
        ("$(a)", "'$(a)'"),
    ] {
        assert_eq!(quoted(word), expected);
    }
    let names = Azure::of(&files, &BTreeSet::new(), &problems).names();
    assert_eq!(names.of_pools, "-g rg --cluster-name aks");
    assert_eq!(
        (names.network_group.as_str(), names.vnet.as_str()),
        ("rg", "vnet")
    );
}

/// A list that is not whole tells of nothing that it is not there.
#[test]
fn what_is_not_whole_counts_as_not_given() {
    let ask = |given: Given| {
        let check = given.ask(Question::ApiManagementInVnet);
        assert_eq!(check.outcome, Outcome::Unknown, "{check:?}");
        check.seen[0].what.clone()
    };
    let broken = Given::default()
        .file(InputFile::ApiManagement, json!([]))
        .file(InputFile::ApiManagement, json!([{"type": "another"}]));
    assert!(ask(broken).contains("cannot be used"));
    let paged = Given::default().file(
        InputFile::ApiManagement,
        json!({"value": [], "nextLink": "https://management.azure.com/next"}),
    );
    assert!(ask(paged).contains("cannot be used"));
    let unread = Given::default()
        .file(InputFile::ApiManagement, json!([]))
        .unread(InputFile::ApiManagement);
    assert!(ask(unread).contains("cannot be used"));
    let told = problems(
        InputFile::ApiManagement,
        json!({"value": [], "nextLink": "https://a"}),
    );
    assert!(
        told[0].starts_with("nextLink: \"https://a\": there is more"),
        "{told:?}"
    );
}

#[test]
fn there_is_one_cluster() {
    let given = Given::default()
        .file(InputFile::Cluster, cluster(json!({})))
        .file(InputFile::Cluster, cluster(json!({"id": "/other"})));
    assert_eq!(
        given.ask(Question::PrivateCluster).outcome,
        Outcome::Unknown
    );
    assert_eq!(given.problems().len(), 1);
}
