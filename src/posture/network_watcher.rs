//! Network Watcher and its flow logs.

use super::azure::{is_same, last_name};
use super::check::{Answer, Seen};
use super::field::Field;
use super::{Asked, InputFile};

/// Whether Network Watcher is on in the region.
pub(super) fn watcher(asked: &Asked<'_>) -> Answer {
    let Some(watchers) = asked.azure.given(InputFile::NetworkWatchers) else {
        return asked.without(InputFile::NetworkWatchers);
    };
    let location = asked.azure.cluster().or(asked.azure.vnet());
    let Some(location) = location.and_then(|it| it.get("location").text()) else {
        return Answer::unknown("the cluster's region was not seen", InputFile::Cluster);
    };
    let is_there = watchers.iter().any(|it| {
        let text = |key: &str| it.get(key).text().unwrap_or_default();
        is_same(text("location"), location) && is_same(text("provisioningState"), "Succeeded")
    });
    let answer = if is_there {
        Answer::pass(format!("Network Watcher is on in {location}"))
    } else {
        Answer::fail(format!("no Network Watcher is on in {location}"))
    };
    answer.mend(format!(
        "az network watcher configure -g NetworkWatcherRG -l {location} --enabled true"
    ))
}

/// Whether VNet flow logs are on.
pub(super) fn flow_logs(asked: &Asked<'_>) -> Answer {
    let azure = &asked.azure;
    let Some(logs) = azure.given(InputFile::FlowLogs) else {
        let Some(vnet) = azure.vnet() else {
            return asked
                .without(InputFile::FlowLogs)
                .or_tells(&InputFile::Vnet);
        };
        // It only refers to them.
        if !vnet.get("flowLogs").is_list() {
            // What is not set is left out, and by an older az what is set as well.
            let seen = "the VNet's file says nothing of flow logs";
            return Answer::unknown(seen, InputFile::FlowLogs);
        }
        if vnet.get("flowLogs").items().is_empty() {
            return mended(Answer::fail("the VNet has no flow log"), asked);
        }
        return Answer::pass("the VNet has a flow log").note(format!(
            "whether it is enabled, and how long it is kept, was not seen: {} tells",
            InputFile::FlowLogs
        ));
    };
    let Some(vnet) = azure.vnet_id() else {
        let seen = "it is not known which VNet is the cluster's";
        return Answer::unknown(seen, azure.tells_vnet());
    };
    let target = |it: &Field<'_>| {
        it.get("targetResourceId")
            .text()
            .unwrap_or_default()
            .to_owned()
    };
    let enabled: Vec<&Field<'_>> = logs
        .iter()
        .filter(|it| it.get("enabled").flag() == Some(true))
        .collect();
    let of = |wanted: &str| enabled.iter().find(|it| is_same(&target(it), wanted));
    let subnets = azure.pool_subnets();
    let covering: Option<Vec<&&Field<'_>>> = match of(vnet) {
        Some(log) => Some(vec![log]),
        None if subnets.is_empty() => None,
        None => subnets.iter().map(|it| of(it)).collect(),
    };
    if let Some(covering) = covering {
        let answer = Answer::pass(format!("a flow log of {} is enabled", last_name(vnet)));
        let notes = covering.iter().flat_map(|it| kept(it));
        return notes.fold(answer, Answer::note);
    }
    let is_disabled = logs.iter().any(|it| is_same(&target(it), vnet));
    let of_groups = logs.iter().any(|it| {
        let target = target(it).to_ascii_lowercase();
        target.contains("/networksecuritygroups/")
    });
    let answer = if is_disabled {
        Answer::fail(Seen::of(last_name(vnet), "its flow log is not enabled"))
    } else if of_groups {
        Answer::fail(
            "there are flow logs of network security groups only, which cannot be made anew since 30 June 2025 and are retired on 30 September 2027",
        )
    } else {
        Answer::fail(Seen::of(
            last_name(vnet),
            "has no flow log, nor has each subnet of a pool",
        ))
    };
    mended(answer, asked)
}

/// What has to be known of a log that is enabled.
fn kept(log: &Field<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let policy = log.get("retentionPolicy");
    let days = policy.get("days").number();
    // Nothing else than days above 0 ends it.
    if let Some(days) =
        days.filter(|it| (1..90).contains(it) && policy.get("enabled").flag() == Some(true))
    {
        notes.push(format!("it is kept for {days} days only"));
    }
    if log.get("enabledFilteringCriteria").text().is_some() {
        notes.push("a filter leaves some of the traffic out of it".to_owned());
    }
    notes
}

fn mended(answer: Answer, asked: &Asked<'_>) -> Answer {
    let names = asked.azure.names();
    let (location, group, vnet) = (names.location, names.network_group, names.vnet);
    answer
        .mend("az provider register --namespace Microsoft.Insights")
        .mend(format!("az network watcher flow-log create --location {location} --name {vnet}-flowlog --resource-group {group} --vnet {vnet} --storage-account <id> --workspace <id> --traffic-analytics true --interval 10 --retention 90"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::fixture::{Given, POOL_SUBNET, VNET, cluster, vnet};
    use super::super::{Outcome, Question};
    use super::*;

    fn log(target: &str, enabled: bool) -> Value {
        json!({"type": "Microsoft.Network/networkWatchers/flowLogs", "targetResourceId": target, "enabled": enabled,
            "retentionPolicy": {"days": 30, "enabled": true}})
    }

    #[rstest]
    #[case("westeurope", "Succeeded", Outcome::Pass)]
    #[case("WestEurope", "Succeeded", Outcome::Pass)]
    #[case("northeurope", "Succeeded", Outcome::Fail)]
    #[case("westeurope", "Failed", Outcome::Fail)]
    fn the_watcher_is_that_of_the_region(
        #[case] location: &str,
        #[case] state: &str,
        #[case] expected: Outcome,
    ) {
        let watcher = json!([{"type": "Microsoft.Network/networkWatchers", "location": location, "provisioningState": state}]);
        let given = Given::default()
            .file(InputFile::Cluster, cluster(json!({})))
            .file(InputFile::NetworkWatchers, watcher);
        assert_eq!(given.ask(Question::NetworkWatcher).outcome, expected);
    }

    #[test]
    fn a_watcher_without_a_region_tells_nothing() {
        let given = Given::default().file(InputFile::NetworkWatchers, json!([]));
        let check = given.ask(Question::NetworkWatcher);
        assert_eq!(check.tells, [InputFile::Cluster.to_string()]);
        assert_eq!(
            Given::default().ask(Question::NetworkWatcher).outcome,
            Outcome::Unknown
        );
    }

    #[rstest]
    #[case::vnet(json!([log(VNET, true)]), Outcome::Pass)]
    #[case::each_subnet(json!([log(POOL_SUBNET, true)]), Outcome::Pass)]
    #[case::disabled(json!([log(VNET, false)]), Outcome::Fail)]
    #[case::groups_only(json!([log("/x/networkSecurityGroups/nsg", true)]), Outcome::Fail)]
    #[case::none(json!([]), Outcome::Fail)]
    fn a_log_covers_the_vnet_or_each_subnet(#[case] logs: Value, #[case] expected: Outcome) {
        let given = Given::default()
            .file(InputFile::Cluster, cluster(json!({})))
            .file(InputFile::FlowLogs, logs);
        let check = given.ask(Question::VnetFlowLogs);
        assert_eq!(check.outcome, expected, "{check:?}");
        if expected == Outcome::Pass {
            assert_eq!(check.notes, ["it is kept for 30 days only"]);
        }
    }

    #[test]
    fn the_vnet_knows_whether_there_is_one() {
        let ask = |fields| {
            Given::default()
                .file(InputFile::Vnet, vnet(fields))
                .ask(Question::VnetFlowLogs)
        };
        let with = ask(json!({"flowLogs": [{"id": "/log"}]}));
        assert_eq!((with.outcome, with.notes.len()), (Outcome::Pass, 1));
        assert_eq!(ask(json!({"flowLogs": []})).outcome, Outcome::Fail);
        assert_eq!(ask(json!({})).tells, [InputFile::FlowLogs.to_string()]);
        assert_eq!(ask(json!({"flowLogs": null})).outcome, Outcome::Unknown);
        let nothing = Given::default().ask(Question::VnetFlowLogs);
        assert_eq!(nothing.tells.len(), 2);
    }
}
