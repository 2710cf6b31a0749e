//! The network policy engine and the network plugin.

use jiff::civil::{Date, date};

use super::azure::is_same;
use super::check::{Answer, LIVE, Seen};
use super::cluster_state::Agent;
use super::{Asked, ClusterState, InputFile, Severity};

/// The day on which AKS retires kubenet. Source: Azure/AKS#4859, and AKS's page on legacy network plugins.
const KUBENET_RETIRES: Date = date(2028, 3, 31);
/// The day from which less than a year is left for it.
const KUBENET_IS_SOON: Date = date(2027, 3, 31);
/// The day from which half a year is left for it.
const KUBENET_IS_NOW: Date = date(2027, 9, 30);
/// The day on which Azure's network policy manager lost its support on Windows. Source: AKS's page on network policies.
const NPM_ENDS_ON_WINDOWS: Date = date(2026, 9, 30);

/// Whether a network policy engine is installed.
pub(super) fn engine(asked: &Asked<'_>) -> Answer {
    let running = asked.live.map(|it| it.agents.as_deref());
    let Some(cluster) = asked.azure.cluster() else {
        return match running {
            Some(Ok(agents)) => of_agents(agents, asked),
            Some(Err(missing)) => Answer::missing(missing).or_tells(&InputFile::Cluster),
            None => Answer::without(InputFile::Cluster).or_tells(&LIVE),
        };
    };
    let profile = cluster.get("networkProfile");
    let policy = profile.get("networkPolicy").text().unwrap_or("none");
    let plugin = profile.get("networkPlugin").text().unwrap_or_default();
    match policy.to_ascii_lowercase().as_str() {
        "calico" | "cilium" | "azure" => match running {
            Some(Ok([])) => mended(
                Answer::fail(format!(
                    "networkPolicy is {policy} in the file, and the cluster runs none of {}",
                    ClusterState::AGENTS.join(", ")
                )),
                asked,
            ),
            _ => Answer::pass(format!("networkPolicy is {policy}")),
        },
        // The engine is then somebody's own, of which Azure does not know.
        "none" if is_same(plugin, "none") => match running {
            Some(Ok(agents)) => of_agents(agents, asked),
            Some(Err(missing)) => Answer::missing(missing),
            None => Answer::without_cluster(),
        },
        "none" => mended(Answer::fail("networkPolicy is none"), asked),
        _ => {
            let seen = format!("networkPolicy is {policy}, of which nothing is known here");
            Answer::unknown(seen, InputFile::Cluster)
        }
    }
}

fn of_agents(agents: &[Agent], asked: &Asked<'_>) -> Answer {
    match agents.first() {
        Some(agent) => Answer::pass(format!("the cluster runs {}", agent.title())),
        None => mended(
            Answer::fail(format!(
                "the cluster runs none of {}",
                ClusterState::AGENTS.join(", ")
            )),
            asked,
        ),
    }
}

fn mended(answer: Answer, asked: &Asked<'_>) -> Answer {
    let cluster = asked.azure.names().cluster;
    answer
        .mend("# the article knew it at creation only; it can be done later, and all pools are re-imaged at once")
        .mend(format!("az aks update {cluster} --network-policy calico"))
}

/// Whether it runs on every node.
pub(super) fn enforcing(asked: &Asked<'_>) -> Answer {
    let Some(live) = asked.live else {
        return Answer::without_cluster();
    };
    let agents = match &live.agents {
        Ok(agents) => agents,
        Err(missing) => return Answer::missing(missing),
    };
    if agents.is_empty() {
        return Answer::fail(format!(
            "the cluster runs none of {}",
            ClusterState::AGENTS.join(", ")
        ))
        .mend("# see network-policy-engine");
    }
    let mend = agents.iter().filter(|it| !it.is_whole()).flat_map(|it| {
        let (namespace, name) = (&it.namespace, &it.name);
        [
            format!("kubectl -n {namespace} rollout status daemonset/{name}"),
            format!("kubectl -n {namespace} get pods -o wide | grep {name}"),
        ]
    });
    let mend: Vec<String> = mend.collect();
    let failing = agents.iter().filter(|it| !it.is_whole()).map(|it| {
        let what = format!("is ready on {} of {} nodes", it.ready, it.desired);
        Seen::of(it.title(), what)
    });
    let titles: Vec<String> = agents.iter().map(Agent::title).collect();
    let well = format!("{} is ready on every node", titles.join(", "));
    let answer = Answer::fail_each(failing.collect(), well);
    mend.into_iter().fold(answer, Answer::mend)
}

/// Whether the network plugin has a future.
pub(super) fn plugin(asked: &Asked<'_>) -> Answer {
    let Some(cluster) = asked.azure.cluster() else {
        return Answer::without(InputFile::Cluster);
    };
    let Some(plugin) = cluster.get("networkProfile").get("networkPlugin").text() else {
        let seen = "the file says nothing of networkProfile.networkPlugin";
        return Answer::unknown(seen, InputFile::Cluster);
    };
    let seen = format!("networkPlugin is {plugin}");
    match plugin.to_ascii_lowercase().as_str() {
        "azure" | "none" => Answer::pass(seen),
        "kubenet" => {
            let severity = match asked.today {
                today if today >= KUBENET_IS_NOW => Severity::High,
                today if today >= KUBENET_IS_SOON => Severity::Medium,
                _ => Severity::Low,
            };
            let tense = if asked.today > KUBENET_RETIRES {
                "was"
            } else {
                "is"
            };
            Answer::fail(format!("{seen}, which {tense} retired on {KUBENET_RETIRES}"))
                .weighs(severity)
                .mend("# not to be taken back; all pools are re-imaged, pods keep their ranges, the route table is no longer used")
                .mend(format!(
                    "az aks update {} --network-plugin azure --network-plugin-mode overlay",
                    asked.azure.names().cluster
                ))
        }
        _ => {
            let seen = format!("{seen}, of which nothing is known here");
            Answer::unknown(seen, InputFile::Cluster)
        }
    }
}

/// Whether the engine is Azure's, which is retired.
pub(super) fn manager(asked: &Asked<'_>) -> Answer {
    let Some(cluster) = asked.azure.cluster() else {
        return Answer::without(InputFile::Cluster);
    };
    let policy = cluster.get("networkProfile").get("networkPolicy").text();
    if !policy.is_some_and(|it| is_same(it, "azure")) {
        return Answer::pass(format!(
            "networkPolicy is {}, which is not Azure's network policy manager",
            policy.unwrap_or("none")
        ));
    }
    let pools = asked.azure.pools();
    let windows: Vec<&str> = pools
        .iter()
        .filter(|it| it.is_windows)
        .map(|it| it.name)
        .collect();
    let (severity, what) = if windows.is_empty() {
        let what = "Microsoft ends its support on Linux in September 2028".to_owned();
        (Severity::Low, what)
    } else if asked.today > NPM_ENDS_ON_WINDOWS {
        let what = format!(
            "it has had no support on Windows since {NPM_ENDS_ON_WINDOWS}, and there are pools of it: {}",
            windows.join(", ")
        );
        (Severity::High, what)
    } else {
        let what = format!(
            "it loses its support on Windows on {NPM_ENDS_ON_WINDOWS}, and there are pools of it: {}",
            windows.join(", ")
        );
        (Severity::Medium, what)
    };
    let names = asked.azure.names().cluster;
    Answer::fail(format!("networkPolicy is azure: {what}"))
        .weighs(severity)
        .note("editions of Microsoft's page on network policies differ about the day on Linux: look there before you plan")
        .mend("# all pools are re-imaged at once; with Cilium there are no kinds of Calico")
        .mend(format!("az aks update {names} --network-policy calico"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::fixture::{Given, cluster, refused, state};
    use super::super::{Outcome, Question};
    use super::*;

    fn network(profile: &Value) -> Value {
        cluster(json!({ "networkProfile": profile }))
    }

    fn agent(ready: i64) -> Agent {
        Agent {
            namespace: "calico-system".to_owned(),
            name: "calico-node".to_owned(),
            desired: 3,
            ready,
        }
    }

    fn running(agents: Vec<Agent>) -> ClusterState {
        ClusterState {
            agents: Ok(agents),
            ..state()
        }
    }

    #[rstest]
    #[case(json!({"networkPolicy": "Calico"}), Outcome::Pass)]
    #[case(json!({"networkPolicy": "cilium"}), Outcome::Pass)]
    #[case(json!({"networkPolicy": "azure"}), Outcome::Pass)]
    #[case(json!({"networkPolicy": null, "networkPlugin": "kubenet"}), Outcome::Fail)]
    #[case(json!({"networkPolicy": "none", "networkPlugin": "azure"}), Outcome::Fail)]
    #[case(json!({"networkPolicy": "", "networkPlugin": "none"}), Outcome::Unknown)]
    #[case(json!({"networkPolicy": "wishes"}), Outcome::Unknown)]
    fn the_file_names_the_engine(#[case] profile: Value, #[case] expected: Outcome) {
        let given = Given::default().file(InputFile::Cluster, network(&profile));
        assert_eq!(given.ask(Question::NetworkPolicyEngine).outcome, expected);
    }

    #[test]
    fn the_cluster_knows_of_engines_that_are_not_azures() {
        let own = network(&json!({"networkPlugin": "none"}));
        let given = |agents| {
            Given::default()
                .file(InputFile::Cluster, own.clone())
                .live(running(agents))
                .ask(Question::NetworkPolicyEngine)
        };
        assert_eq!(given(vec![agent(3)]).outcome, Outcome::Pass);
        assert_eq!(given(vec![]).outcome, Outcome::Fail);
    }

    #[test]
    fn what_the_file_and_the_cluster_say_differently_fails_with_both() {
        let check = Given::default()
            .file(
                InputFile::Cluster,
                network(&json!({"networkPolicy": "calico"})),
            )
            .live(running(vec![]))
            .ask(Question::NetworkPolicyEngine);
        assert_eq!(check.outcome, Outcome::Fail);
        assert!(
            check.seen[0]
                .what
                .contains("calico in the file, and the cluster runs none")
        );
    }

    #[test]
    fn the_agent_has_to_be_ready_everywhere() {
        let ask = |state| {
            Given::default()
                .live(state)
                .ask(Question::NetworkPolicyEnforcing)
        };
        assert_eq!(ask(running(vec![agent(3)])).outcome, Outcome::Pass);
        let partly = ask(running(vec![agent(2)]));
        assert_eq!(partly.outcome, Outcome::Fail);
        assert_eq!(
            partly.seen,
            [Seen::of(
                "calico-system/calico-node",
                "is ready on 2 of 3 nodes"
            )]
        );
        assert_eq!(ask(running(vec![])).outcome, Outcome::Fail);
        let refused = ask(ClusterState {
            agents: Err(refused("daemonsets of apps/v1")),
            ..state()
        });
        assert_eq!(refused.outcome, Outcome::Unknown);
        assert_eq!(
            refused.tells,
            ["the right to list daemonsets of apps/v1 (--live)"]
        );
        assert_eq!(
            Given::default().ask(Question::NetworkPolicyEnforcing).tells,
            [LIVE]
        );
    }

    #[rstest]
    #[case("azure", date(2026, 11, 28), Outcome::Pass, Severity::Low)]
    #[case("none", date(2026, 11, 28), Outcome::Pass, Severity::Low)]
    #[case("kubenet", date(2026, 11, 28), Outcome::Fail, Severity::Low)]
    #[case("kubenet", date(2027, 4, 1), Outcome::Fail, Severity::Medium)]
    #[case("kubenet", date(2028, 1, 1), Outcome::Fail, Severity::High)]
    #[case("tin cans", date(2026, 11, 28), Outcome::Unknown, Severity::Low)]
    fn kubenet_weighs_more_the_nearer_its_end_is(
        #[case] plugin: &str,
        #[case] today: Date,
        #[case] outcome: Outcome,
        #[case] severity: Severity,
    ) {
        let check = Given::default()
            .on(today)
            .file(
                InputFile::Cluster,
                network(&json!({ "networkPlugin": plugin })),
            )
            .ask(Question::NetworkPluginSupported);
        assert_eq!((check.outcome, check.severity), (outcome, severity));
    }

    #[rstest]
    #[case("Linux", date(2026, 11, 28), Severity::Low)]
    #[case("Windows", date(2026, 11, 28), Severity::High)]
    #[case("Windows", date(2026, 1, 1), Severity::Medium)]
    fn azures_manager_ends_on_windows_first(
        #[case] system: &str,
        #[case] today: Date,
        #[case] severity: Severity,
    ) {
        let cluster = cluster(json!({"networkProfile": {"networkPolicy": "azure"},
            "agentPoolProfiles": [{"name": "a", "osType": system}]}));
        let check = Given::default()
            .on(today)
            .file(InputFile::Cluster, cluster)
            .ask(Question::NetworkPolicyManagerRetiring);
        assert_eq!((check.outcome, check.severity), (Outcome::Fail, severity));
    }

    #[test]
    fn other_engines_go_on() {
        let given = Given::default().file(
            InputFile::Cluster,
            network(&json!({"networkPolicy": "calico"})),
        );
        let check = given.ask(Question::NetworkPolicyManagerRetiring);
        assert_eq!(check.outcome, Outcome::Pass);
    }
}
