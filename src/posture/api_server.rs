//! Who reaches the API server.

use std::net::IpAddr;

use ipnet::IpNet;

use super::check::Answer;
use super::field::Field;
use super::{Asked, InputFile};

/// Whether the API server has no public address.
pub(super) fn private(asked: &Asked<'_>) -> Answer {
    let Some(cluster) = asked.azure.cluster() else {
        return asked.without(InputFile::Cluster);
    };
    let profile = cluster.get("apiServerAccessProfile");
    if is_private(cluster) {
        let seen = Answer::pass("enablePrivateCluster is true");
        return match profile.get("enablePrivateClusterPublicFqdn").flag() {
            Some(false) => seen,
            _ => seen.note("its private address has a public name, which `az aks update --disable-public-fqdn` takes away"),
        };
    }
    let names = asked.azure.names().cluster;
    let name = cluster.get("fqdn").text().unwrap_or("a public name");
    Answer::fail(format!("enablePrivateCluster is not true: the API server answers at {name}"))
        .mend("# one way: a cluster becomes private only with the API server in the VNet, and its address changes")
        .mend(format!("az aks update {names} --enable-apiserver-vnet-integration --apiserver-subnet-id <id of a subnet>"))
        .mend("# at once after it; nothing runs in the cluster until it is started again")
        .mend(format!("az aks stop {names} && az aks start {names}"))
        .mend(format!("az aks update {names} --enable-private-cluster"))
}

/// Whether only known networks reach the API server.
pub(super) fn ranges(asked: &Asked<'_>) -> Answer {
    let Some(cluster) = asked.azure.cluster() else {
        return asked.without(InputFile::Cluster);
    };
    let ranges = cluster
        .get("apiServerAccessProfile")
        .get("authorizedIpRanges");
    if is_private(cluster) {
        return Answer::pass(
            "the cluster is private, and ranges do not apply to a private endpoint",
        );
    }
    let ranges: Vec<IpNet> = ranges.items().iter().filter_map(range).collect();
    let told: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    let answer = if ranges.is_empty() {
        Answer::fail("authorizedIpRanges is empty: everybody reaches the API server")
    } else if let Some(part) = part_of_the_internet(&ranges) {
        Answer::fail(format!(
            "authorizedIpRanges hold {part}, which is more than anybody's networks: {}",
            told.join(", ")
        ))
    } else {
        Answer::pass(format!("authorizedIpRanges are {}", told.join(", ")))
    };
    answer
        .mend("# with the address that the cluster's egress has, or its nodes lose the API server")
        .mend(format!(
            "az aks update {} --api-server-authorized-ip-ranges <range>,<range>",
            asked.azure.names().cluster
        ))
}

/// Whether the API server has a private endpoint only.
pub(super) fn is_private(cluster: &Field<'_>) -> bool {
    let profile = cluster.get("apiServerAccessProfile");
    profile.get("enablePrivateCluster").flag() == Some(true)
}

/// A range, or an address as a range.
fn range(field: &Field<'_>) -> Option<IpNet> {
    let text = field.text()?;
    let range = text.parse::<IpNet>().ok();
    let range = range.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    range.or_else(|| field.refuse("must be a range of addresses"))
}

/// The shortest prefixes of IPv4 and IPv6 that anybody's own network has; what is shorter is a part of the internet.
const OWN_PREFIX: [u8; 2] = [8, 16];

/// What of ranges, all together, is more than the networks of anybody; None where it is not.
fn part_of_the_internet(ranges: &[IpNet]) -> Option<IpNet> {
    let ranges: Vec<IpNet> = ranges.iter().map(IpNet::trunc).collect();
    let shortest = |it: &IpNet| match it {
        IpNet::V4(_) => OWN_PREFIX[0],
        IpNet::V6(_) => OWN_PREFIX[1],
    };
    let mut together = IpNet::aggregate(&ranges).into_iter();
    together.find(|it| it.prefix_len() < shortest(it))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::fixture::{Given, cluster};
    use super::super::{Outcome, Question};
    use super::*;

    fn ask(question: Question, profile: &Value) -> super::super::Check {
        let cluster = cluster(json!({"apiServerAccessProfile": profile}));
        Given::default()
            .file(InputFile::Cluster, cluster)
            .ask(question)
    }

    #[rstest]
    #[case(json!({"enablePrivateCluster": true, "enablePrivateClusterPublicFqdn": false}), Outcome::Pass, 0)]
    #[case(json!({"enablePrivateCluster": true}), Outcome::Pass, 1)]
    #[case(json!({"enablePrivateCluster": false}), Outcome::Fail, 0)]
    #[case(json!({}), Outcome::Fail, 0)]
    #[case(json!(null), Outcome::Fail, 0)]
    #[case(json!({"enablePrivateCluster": "yes"}), Outcome::Unknown, 0)]
    fn a_private_cluster_says_so(
        #[case] profile: Value,
        #[case] expected: Outcome,
        #[case] notes: usize,
    ) {
        let check = ask(Question::PrivateCluster, &profile);
        assert_eq!(
            (check.outcome, check.notes.len()),
            (expected, notes),
            "{check:?}"
        );
    }

    #[rstest]
    #[case(json!({"authorizedIpRanges": ["203.0.113.0/24"]}), Outcome::Pass)]
    #[case(json!({"authorizedIPRanges": ["203.0.113.7"]}), Outcome::Pass)]
    #[case::nodes_only(json!({"authorizedIpRanges": ["0.0.0.0/32"]}), Outcome::Pass)]
    #[case::private(json!({"enablePrivateCluster": true}), Outcome::Pass)]
    #[case(json!({"authorizedIpRanges": []}), Outcome::Fail)]
    #[case(json!(null), Outcome::Fail)]
    #[case(json!({"authorizedIpRanges": ["0.0.0.0/0"]}), Outcome::Fail)]
    #[case::halves(json!({"authorizedIpRanges": ["0.0.0.0/1", "128.0.0.0/1"]}), Outcome::Fail)]
    #[case::half(json!({"authorizedIpRanges": ["0.0.0.0/1"]}), Outcome::Fail)]
    #[case::in_pieces(json!({"authorizedIpRanges": ["64.0.0.0/8", "65.0.0.0/8"]}), Outcome::Fail)]
    #[case::of_one_owner(json!({"authorizedIpRanges": ["10.0.0.0/8"]}), Outcome::Pass)]
    #[case(json!({"authorizedIpRanges": ["the office"]}), Outcome::Unknown)]
    fn ranges_are_not_all_addresses(#[case] profile: Value, #[case] expected: Outcome) {
        assert_eq!(
            ask(Question::AuthorizedIpRanges, &profile).outcome,
            expected
        );
    }

    #[test]
    fn without_a_file_both_are_unknown() {
        for question in [Question::PrivateCluster, Question::AuthorizedIpRanges] {
            let check = Given::default().ask(question);
            assert_eq!(check.tells, [InputFile::Cluster.to_string()]);
        }
    }
}
