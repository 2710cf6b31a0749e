//! Identity: the second line, where a rule of the network fails.

use super::check::Answer;
use super::{Asked, InputFile};

/// Whether pods can prove who they are.
pub(super) fn workload_identity(asked: &Asked<'_>) -> Answer {
    let Some(cluster) = asked.azure.cluster() else {
        return asked.without(InputFile::Cluster);
    };
    let issuer = cluster.get("oidcIssuerProfile").get("enabled").flag() == Some(true);
    let profile = cluster.get("securityProfile");
    let identity = profile.get("workloadIdentity").get("enabled").flag() == Some(true);
    let missing: Vec<&str> = [(issuer, "the OIDC issuer"), (identity, "workload identity")]
        .into_iter()
        .filter_map(|(is_on, name)| (!is_on).then_some(name))
        .collect();
    let answer = if missing.is_empty() {
        Answer::pass("the OIDC issuer and workload identity are enabled")
    } else {
        Answer::fail(format!("not enabled: {}", missing.join(", ")))
    };
    let pod_identity = cluster.get("podIdentityProfile").get("enabled").flag() == Some(true);
    let answer = if pod_identity {
        answer.note("pod identity is enabled, which workload identity replaces")
    } else {
        answer
    };
    answer.mend(format!(
        "az aks update {} --enable-oidc-issuer --enable-workload-identity",
        asked.azure.names().cluster
    ))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::fixture::{Given, cluster};
    use super::super::{Outcome, Question};
    use super::*;

    #[rstest]
    #[case(json!({"oidcIssuerProfile": {"enabled": true}, "securityProfile": {"workloadIdentity": {"enabled": true}}}), Outcome::Pass)]
    #[case(json!({"oidcIssuerProfile": {"enabled": true}, "securityProfile": {"workloadIdentity": null}}), Outcome::Fail)]
    #[case(json!({"oidcIssuerProfile": null, "securityProfile": {"workloadIdentity": {"enabled": true}}}), Outcome::Fail)]
    #[case(json!({"oidcIssuerProfile": {"enabled": 1}}), Outcome::Unknown)]
    fn both_have_to_be_enabled(#[case] fields: Value, #[case] expected: Outcome) {
        let given = Given::default().file(InputFile::Cluster, cluster(fields));
        assert_eq!(given.ask(Question::WorkloadIdentity).outcome, expected);
    }

    #[test]
    fn without_a_file_it_is_unknown() {
        let check = Given::default().ask(Question::WorkloadIdentity);
        assert_eq!(check.tells, [InputFile::Cluster.to_string()]);
    }
}
