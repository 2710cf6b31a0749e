//! The network policy engine and the network plugin.

use jiff::civil::{Date, date};

use super::azure::is_same;
use super::check::{Answer, LIVE, Seen};
use super::cluster_state::{Agent, Engine};
use super::{Asked, InputFile, Severity};
use crate::domain::Node;

/// The day on which AKS retires kubenet. Source: Azure/AKS#4859, and AKS's page on legacy network plugins.
const KUBENET_RETIRES: Date = date(2028, 3, 31);
/// The day from which less than a year is left for it.
const KUBENET_IS_SOON: Date = date(2027, 3, 31);
/// The day from which half a year is left for it.
const KUBENET_IS_NOW: Date = date(2027, 9, 30);
/// The day on which Azure's network policy manager lost its support on Windows. Source: AKS's page on network policies.
const NPM_ENDS_ON_WINDOWS: Date = date(2026, 9, 30);
/// The day on which it is to lose it on Linux. Editions of the same page differ about it; this is the last one that is named.
const NPM_ENDS_ON_LINUX: Date = date(2028, 9, 30);

/// Whether a network policy engine is installed.
pub(super) fn engine(asked: &Asked<'_>) -> Answer {
    let running = asked.live.map(|it| it.agents.as_deref());
    let Some(cluster) = asked.azure.cluster() else {
        return match running {
            Some(Ok(agents)) => of_agents(agents, asked),
            Some(Err(missing)) => Answer::missing(missing).or_tells(&InputFile::Cluster),
            None => asked.without(InputFile::Cluster).or_tells(&LIVE),
        };
    };
    let profile = cluster.get("networkProfile");
    let policy = profile.get("networkPolicy").text().unwrap_or("none");
    let plugin = profile.get("networkPlugin").text().unwrap_or_default();
    if let Some(engine) = Engine::of_field(policy) {
        return match running {
            Some(Ok(agents)) if agents.iter().all(|it| it.engine != engine) => {
                contradicted(policy, agents)
            }
            _ => Answer::pass(format!("networkPolicy is {policy}")),
        };
    }
    match policy.to_ascii_lowercase().as_str() {
        // The engine is then somebody's own, of which Azure does not know.
        "none" if is_same(plugin, "none") => match running {
            Some(Ok(agents)) => of_agents(agents, asked),
            Some(Err(missing)) => Answer::missing(missing),
            None => Answer::without_cluster(),
        },
        "none" => match running {
            Some(Ok(agents @ [_, ..])) => of_agents(agents, asked).note(
                "networkPolicy is none, so the engine is your own, and AKS neither upgrades nor supports it",
            ),
            _ => mended(Answer::fail("networkPolicy is none"), asked),
        },
        _ => {
            let seen = format!("networkPolicy is {policy}, of which nothing is known here");
            Answer::unknown(seen, InputFile::Cluster)
        }
    }
}

/// The file names an engine that the cluster does not run.
fn contradicted(policy: &str, agents: &[Agent]) -> Answer {
    let runs = match agents {
        [] => format!("none of {}", Agent::all_names()),
        agents => {
            let titles: Vec<String> = agents.iter().map(Agent::title).collect();
            titles.join(", ")
        }
    };
    Answer::fail(format!(
        "networkPolicy is {policy} in the file, and the cluster runs {runs}"
    ))
    .mend("# one of both is out of date, or the agents of the engine are gone: make the file anew and look again, before anything is changed")
    .mend(InputFile::Cluster.command())
}

fn of_agents(agents: &[Agent], asked: &Asked<'_>) -> Answer {
    match agents.first() {
        Some(agent) => Answer::pass(format!("the cluster runs {}", agent.title())),
        None => mended(
            Answer::fail(format!("the cluster runs none of {}", Agent::all_names())),
            asked,
        ),
    }
}

fn mended(answer: Answer, asked: &Asked<'_>) -> Answer {
    let cluster = asked.azure.names().cluster;
    answer
        .mend("# not where you run an engine of your own, which --live shows: two of them get in each other's way")
        .mend("# the article knew it at creation only; it can be done later, and all pools are re-imaged at once")
        .mend(format!("az aks update {cluster} --network-policy calico"))
}

/// The label of a node that says its operating system.
const SYSTEM: &str = "kubernetes.io/os";

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
        return Answer::fail(format!("the cluster runs none of {}", Agent::all_names()))
            .mend("# see network-policy-engine");
    }
    let nodes = match &live.nodes {
        Ok(nodes) => nodes,
        Err(missing) => return Answer::missing(missing),
    };
    let is_windows = |node: &Node| node.labels.get(SYSTEM).is_some_and(|it| it == "windows");
    let count = |on_windows| {
        let of_system = nodes.values().filter(|it| is_windows(it) == on_windows);
        i64::try_from(of_system.count()).unwrap_or(i64::MAX)
    };
    let (on_linux, on_windows) = (count(false), count(true));
    // What a DaemonSet does not want a pod on is a node all the same.
    let failing = agents.iter().filter_map(|it| {
        let nodes = if it.is_for_windows {
            on_windows
        } else {
            on_linux
        };
        let wanted = nodes.max(it.desired);
        let is_missing = !it.is_whole() || it.ready < wanted;
        // An agent for Windows waits for nodes that are not there.
        let is_idle = it.is_for_windows && wanted == 0;
        let what = format!("is ready on {} of {wanted} nodes", it.ready);
        (is_missing && !is_idle).then(|| (it, Seen::of(it.title(), what)))
    });
    let failing: Vec<(&Agent, Seen)> = failing.collect();
    if failing.is_empty() && on_windows > 0 && !agents.iter().any(|it| it.is_for_windows) {
        let seen = format!(
            "there are {on_windows} nodes with Windows, and no DaemonSet of an engine for them"
        );
        let tells = "whether an engine runs on the nodes with Windows as a service of theirs";
        return Answer::untold(seen, tells);
    }
    let mend = failing.iter().flat_map(|(it, _)| {
        let (namespace, name) = (&it.namespace, &it.name);
        [
            format!("kubectl -n {namespace} rollout status daemonset/{name}"),
            format!("kubectl -n {namespace} get pods -o wide | grep {name}"),
        ]
    });
    let mend: Vec<String> = mend.collect();
    let titles: Vec<String> = agents.iter().map(Agent::title).collect();
    let well = format!("{} is ready on every node", titles.join(", "));
    let failing = failing.into_iter().map(|(_, seen)| seen).collect();
    let answer = Answer::fail_each(failing, well);
    mend.into_iter().fold(answer, Answer::mend)
}

/// Whether the network plugin has a future.
pub(super) fn plugin(asked: &Asked<'_>) -> Answer {
    let Some(cluster) = asked.azure.cluster() else {
        return asked.without(InputFile::Cluster);
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
        return asked.without(InputFile::Cluster);
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
    let (severity, what) = if asked.today > NPM_ENDS_ON_LINUX {
        let what = format!("it has had no support at all since {NPM_ENDS_ON_LINUX}");
        (Severity::High, what)
    } else if windows.is_empty() {
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
    use std::collections::BTreeMap;

    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::fixture::{Given, agent, cluster, refused, state};
    use super::super::{ClusterState, Outcome, Question};
    use super::*;

    fn network(profile: &Value) -> Value {
        cluster(json!({ "networkProfile": profile }))
    }

    fn ready(ready: i64) -> Agent {
        Agent {
            ready,
            ..agent("calico-node")
        }
    }

    /// Three nodes with Linux, and some with Windows.
    fn nodes(with_windows: usize) -> BTreeMap<String, Node> {
        let systems = ["linux"; 3].into_iter();
        let systems = systems.chain(std::iter::repeat_n("windows", with_windows));
        let nodes = systems.enumerate().map(|(at, system)| {
            let node = Node {
                labels: [(SYSTEM.to_owned(), system.to_owned())].into(),
                ..Node::default()
            };
            (format!("node-{at}"), node)
        });
        nodes.collect()
    }

    fn running(agents: Vec<Agent>) -> ClusterState {
        ClusterState {
            agents: Ok(agents),
            nodes: Ok(nodes(0)),
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
        assert_eq!(given(vec![ready(3)]).outcome, Outcome::Pass);
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
        assert_eq!(ask(running(vec![ready(3)])).outcome, Outcome::Pass);
        let partly = ask(running(vec![ready(2)]));
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

    /// Which engine it is says its `DaemonSet`, and nobody's own is replaced by another.
    #[test]
    fn the_engine_is_the_one_that_runs() {
        let given = |policy: &str, agents: &[&str]| {
            let profile = json!({"networkPolicy": policy, "networkPlugin": "azure"});
            let agents = agents.iter().map(|it| agent(it)).collect();
            Given::default()
                .file(InputFile::Cluster, network(&profile))
                .live(running(agents))
                .ask(Question::NetworkPolicyEngine)
        };
        assert_eq!(given("calico", &["calico-node"]).outcome, Outcome::Pass);
        let own = given("none", &["calico-node"]);
        assert_eq!(
            (own.outcome, own.notes.len()),
            (Outcome::Pass, 1),
            "{own:?}"
        );
        let other = given("cilium", &["calico-node"]);
        assert_eq!(
            other.seen[0].what,
            "networkPolicy is cilium in the file, and the cluster runs calico-system/calico-node"
        );
        let mended = other.mend.join("\n");
        assert!(!mended.contains("--network-policy"), "{mended}");
        assert_eq!(given("none", &[]).outcome, Outcome::Fail);
    }

    /// A node without an agent enforces nothing, whether the agent was meant to run there or not.
    #[test]
    fn agents_are_counted_by_nodes() {
        let ask = |with_windows, agents: Vec<Agent>| {
            let state = ClusterState {
                nodes: Ok(nodes(with_windows)),
                ..running(agents)
            };
            Given::default()
                .live(state)
                .ask(Question::NetworkPolicyEnforcing)
        };
        let of_two = Agent {
            desired: 2,
            ..ready(2)
        };
        assert_eq!(
            ask(0, vec![of_two]).seen,
            [Seen::of(
                "calico-system/calico-node",
                "is ready on 2 of 3 nodes"
            )]
        );
        let on_windows = |ready| Agent {
            desired: ready,
            ready,
            ..agent("calico-node-windows")
        };
        assert_eq!(ask(2, vec![ready(3), on_windows(2)]).outcome, Outcome::Pass);
        assert_eq!(ask(2, vec![ready(3), on_windows(1)]).outcome, Outcome::Fail);
        assert_eq!(ask(0, vec![ready(3), on_windows(0)]).outcome, Outcome::Pass);
        assert_eq!(ask(2, vec![ready(3)]).outcome, Outcome::Unknown);
        let state = ClusterState {
            nodes: Err(refused("nodes")),
            ..running(vec![ready(3)])
        };
        let check = Given::default()
            .live(state)
            .ask(Question::NetworkPolicyEnforcing);
        assert_eq!(check.tells, ["the right to list nodes (--live)"]);
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
    #[case("Linux", date(2028, 10, 1), Severity::High)]
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
