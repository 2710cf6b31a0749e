//! Node pools: what runs on the system's, and whether they span availability zones.

use std::collections::{BTreeMap, BTreeSet};

use super::azure::{Pool, is_same, quoted};
use super::check::{Answer, LIVE, Seen};
use super::{Asked, ClusterState, InputFile};
use crate::domain::Node;

/// The taint that keeps applications off system pools, without its effect. Source: AKS's page on system node pools.
const TAINT: &str = "CriticalAddonsOnly=true";
/// The label of a node that says whether its pool is the system's.
const MODE: &str = "kubernetes.azure.com/mode";
/// The label of a node that says whether it may be evicted at any moment.
const PRIORITY: &str = "kubernetes.azure.com/scalesetpriority";
/// The label of a node that names its pool.
const POOL: &str = "kubernetes.azure.com/agentpool";

/// Whether only system pods run on system pools.
pub(super) fn tainted(asked: &Asked<'_>) -> Answer {
    let Some(cluster) = asked.azure.cluster() else {
        return tainted_nodes(asked);
    };
    let pools = asked.azure.pools();
    let mut failing: Vec<Seen> = pools
        .iter()
        .filter(|it| it.is_system() && !it.taints.iter().any(|it| is_tainted(it)))
        .map(|it| {
            Seen::of(
                it.name,
                "is a system pool without the taint CriticalAddonsOnly=true",
            )
        })
        .collect();
    let flag = |profile: &str, key: &str| cluster.get(profile).get(key);
    let is_automatic = flag("nodeProvisioningProfile", "mode")
        .text()
        .is_some_and(|it| is_same(it, "Auto"));
    let is_hosted = flag("hostedSystemProfile", "enabled").flag() == Some(true);
    let has_another = is_automatic || is_hosted || pools.iter().any(Pool::is_user);
    if !has_another {
        failing.push("there is no user pool that applications could run on".into());
    }
    let untainted: Vec<&Pool<'_>> = pools
        .iter()
        .filter(|it| it.is_system() && !it.taints.iter().any(|it| is_tainted(it)))
        .collect();
    let of_pools = asked.azure.names().of_pools;
    let answer = Answer::fail_each(
        failing,
        "every system pool has the taint, and applications have another",
    );
    let answer = if has_another {
        answer
    } else {
        let subnet = pools.iter().find_map(|it| it.subnet);
        let subnet = subnet.map_or_else(String::new, |_| {
            " --vnet-subnet-id <id of a subnet>".to_owned()
        });
        answer
            .mend("# first a pool for applications, with the labels and taints that they ask for")
            .mend(format!(
                "az aks nodepool add {of_pools} -n apps --mode User --zones 1 2 3{subnet}"
            ))
    };
    let answer = answer.mend("# pods that run there stay until the nodes are drained");
    untainted.iter().fold(answer, |answer, pool| {
        // The command takes all taints of the pool, and takes away those that it does not name.
        let kept = pool.taints.iter().filter(|it| !it.starts_with(TAINT));
        let all: Vec<String> = kept
            .map(|it| (*it).to_owned())
            .chain([format!("{TAINT}:NoSchedule")])
            .collect();
        answer.mend(format!(
            "az aks nodepool update {of_pools} -n {} --node-taints {}",
            quoted(pool.name),
            quoted(&all.join(","))
        ))
    })
}

/// Whether a taint, as a pool has it, keeps pods away.
fn is_tainted(taint: &str) -> bool {
    let kept = taint.rsplit_once(':');
    kept.is_some_and(|(taint, effect)| {
        taint == TAINT && matches!(effect, "NoSchedule" | "NoExecute")
    })
}

/// The same, as the nodes show it.
fn tainted_nodes(asked: &Asked<'_>) -> Answer {
    let nodes = match nodes(asked) {
        Ok(nodes) => nodes,
        Err(answer) => return answer,
    };
    let of = |mode: &'static str| {
        let of_mode = nodes.iter().copied();
        of_mode.filter(move |(_, node)| node.labels.get(MODE).is_some_and(|it| it == mode))
    };
    // Taints that only prefer other nodes are not read.
    let is_tainted = |node: &Node| {
        node.taints
            .iter()
            .any(|it| format!("{}={}", it.key, it.value) == TAINT)
    };
    let mut failing: Vec<Seen> = of("system")
        .filter(|(_, node)| !is_tainted(node))
        .map(|(name, _)| {
            Seen::of(
                name.as_str(),
                "is a node of a system pool without the taint CriticalAddonsOnly=true",
            )
        })
        .collect();
    if of("system").next().is_none() {
        let seen = format!("no node has the label {MODE}=system");
        return Answer::unknown(seen, InputFile::Cluster);
    }
    if of("user").next().is_none() {
        failing.push("there is no node of a user pool".into());
    }
    let cluster = asked.azure.names().of_pools;
    Answer::fail_each(
        failing,
        "every node of a system pool has the taint, and there are others",
    )
    .mend("# with all taints that the pool has, since the command takes away those that it does not name")
    .mend(format!(
        "az aks nodepool update {cluster} -n <pool> --node-taints <its taints>,{TAINT}:NoSchedule"
    ))
}

/// Whether node pools span availability zones.
pub(super) fn across_zones(asked: &Asked<'_>) -> Answer {
    if asked.azure.cluster().is_none() {
        return nodes_across_zones(asked);
    }
    let pools = asked.azure.pools();
    // What may be evicted at any moment is nobody's only place, and gateways run no pods.
    let counted = pools
        .iter()
        .filter(|it| it.is_system() || (it.is_user() && !it.is_spot));
    let failing = counted.filter(|it| it.zones.len() < 2).map(|it| {
        let what = match it.zones.first() {
            Some(zone) => format!("stands in availability zone {zone} alone"),
            None => "stands in no availability zone".to_owned(),
        };
        Seen::of(it.name, what)
    });
    let answer = Answer::fail_each(failing.collect(), "every pool spans availability zones");
    let spread = asked.live.and_then(|it| it.nodes.as_ref().ok());
    let zones = spread.map(|nodes| zones_by_pool(nodes.iter()));
    let alone = zones.into_iter().flatten().filter(|(pool, zones)| {
        let declared = pools.iter().find(|it| it.name == *pool);
        zones.len() == 1 && declared.is_some_and(|it| it.zones.len() > 1)
    });
    let answer = alone.fold(answer, |answer, (pool, zones)| {
        let zone = zones.into_iter().next().unwrap_or_default();
        answer.note(format!("all nodes of {pool} are in {zone} at present"))
    });
    mended(answer, asked)
}

fn mended(answer: Answer, asked: &Asked<'_>) -> Answer {
    let of_pools = asked.azure.names().of_pools;
    let pools = asked.azure.pools();
    let failing = answer.seen.iter().filter_map(|it| it.resource.clone());
    let failing: Vec<String> = failing.collect();
    let answer = answer
        .mend("# availability zones of a pool cannot be changed: a new pool takes its place, with the size and scaling that the old one has; a region without any is an exception");
    failing.iter().fold(answer, |answer, name| {
        let old = pools.iter().find(|it| it.name == name);
        let options = old.map_or_else(
            || " --mode <as the old one> --node-taints <its taints> --labels <its labels> --vnet-subnet-id <its subnet>".to_owned(),
            Pool::options,
        );
        let name = quoted(name);
        answer
            .mend(format!("az aks nodepool add {of_pools} -n <new pool> --zones 1 2 3{options}"))
            .mend(format!("kubectl drain --ignore-daemonsets --delete-emptydir-data -l {POOL}={name}"))
            .mend(format!("az aks nodepool delete {of_pools} -n {name}"))
    })
}

impl Pool<'_> {
    /// What makes a pool in which the same pods run.
    fn options(&self) -> String {
        let labels = self.labels.iter();
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let one = |value: Option<&str>| Vec::from_iter(value.map(str::to_owned));
        let taints = Some(self.taints.join(",")).filter(|it| !it.is_empty());
        let all = [
            ("mode", vec![self.mode.to_owned()]),
            ("node-taints", Vec::from_iter(taints)),
            ("labels", labels),
            ("vnet-subnet-id", one(self.subnet)),
            ("pod-subnet-id", one(self.pod_subnet)),
        ];
        let given = all.iter().filter(|(_, values)| !values.is_empty());
        let options = given.map(|(option, values)| {
            let values: Vec<String> = values.iter().map(|it| quoted(it)).collect();
            format!(" --{option} {}", values.join(" "))
        });
        options.collect()
    }
}

/// The same, as the nodes show it.
fn nodes_across_zones(asked: &Asked<'_>) -> Answer {
    let nodes = match nodes(asked) {
        Ok(nodes) => nodes,
        Err(answer) => return answer,
    };
    // As for pools: what may be evicted at any moment is nobody's only place, and gateways run no pods.
    let counts = |node: &Node| {
        let is = |key: &str, value: &str| node.labels.get(key).is_some_and(|it| is_same(it, value));
        !is(PRIORITY, "spot") && !is(MODE, "gateway")
    };
    let nodes = nodes.into_iter().filter(|(_, node)| counts(node));
    let zones = zones_by_pool(nodes);
    if zones.is_empty() {
        let seen = format!("no node that counts has the label {POOL}");
        return Answer::unknown(seen, InputFile::Cluster);
    }
    let failing = zones
        .iter()
        .filter(|(_, zones)| zones.len() < 2)
        .map(|(pool, zones)| {
            let what = match zones.first() {
                Some(zone) => format!("all its nodes are in {zone}"),
                None => "none of its nodes is in an availability zone".to_owned(),
            };
            Seen::of(*pool, what)
        });
    let failing = failing.collect();
    mended(
        Answer::fail_each(
            failing,
            "the nodes of every pool are in several availability zones",
        ),
        asked,
    )
}

/// The availability zones in which the nodes of each pool are.
fn zones_by_pool<'a>(
    nodes: impl Iterator<Item = (&'a String, &'a Node)>,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut pools: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (_, node) in nodes {
        if let Some(pool) = node.labels.get(POOL) {
            pools
                .entry(pool)
                .or_default()
                .extend(node.availability_zone());
        }
    }
    pools
}

fn nodes<'a>(asked: &Asked<'a>) -> Result<Vec<(&'a String, &'a Node)>, Answer> {
    let live: &ClusterState = asked
        .live
        .ok_or_else(|| asked.without(InputFile::Cluster).or_tells(&LIVE))?;
    match &live.nodes {
        Ok(nodes) => Ok(nodes.iter().collect()),
        Err(missing) => Err(Answer::missing(missing).or_tells(&InputFile::Cluster)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::fixture::{Given, cluster, refused, state};
    use super::super::{Check, Outcome, Question};
    use super::*;
    use crate::domain::Taint;

    fn pools(pools: &Value) -> Given {
        Given::default().file(
            InputFile::Cluster,
            cluster(json!({ "agentPoolProfiles": pools })),
        )
    }

    #[rstest]
    #[case(json!([{"name": "a", "mode": "System", "nodeTaints": ["CriticalAddonsOnly=true:NoSchedule"]}, {"name": "b", "mode": "User"}]), 0)]
    #[case(json!([{"name": "a", "mode": "System", "nodeTaints": ["CriticalAddonsOnly=true:NoExecute"]}, {"name": "b", "mode": "User"}]), 0)]
    #[case::prefers(json!([{"name": "a", "mode": "System", "nodeTaints": ["CriticalAddonsOnly=true:PreferNoSchedule"]}, {"name": "b", "mode": "User"}]), 1)]
    #[case(json!([{"name": "a", "mode": "System", "nodeTaints": null}, {"name": "b", "mode": "User"}]), 1)]
    #[case(json!([{"name": "a", "mode": "System"}]), 2)]
    fn system_pools_are_tainted_and_there_are_others(#[case] given: Value, #[case] failing: usize) {
        let check = pools(&given).ask(Question::SystemPoolTainted);
        let expected = if failing == 0 {
            Outcome::Pass
        } else {
            Outcome::Fail
        };
        assert_eq!(check.outcome, expected);
        assert_eq!(check.seen.len(), failing.max(1), "{check:?}");
    }

    #[test]
    fn nodes_that_are_made_on_demand_are_a_user_pool() {
        let fields = json!({"agentPoolProfiles": [{"name": "a", "mode": "System", "nodeTaints": ["CriticalAddonsOnly=true:NoSchedule"]}],
            "nodeProvisioningProfile": {"mode": "Auto"}});
        let given = Given::default().file(InputFile::Cluster, cluster(fields));
        assert_eq!(
            given.ask(Question::SystemPoolTainted).outcome,
            Outcome::Pass
        );
    }

    #[rstest]
    #[case(json!([{"name": "a", "mode": "System", "availabilityZones": ["1", "2"]}]), Outcome::Pass)]
    #[case(json!([{"name": "a", "mode": "System", "availabilityZones": ["1"]}]), Outcome::Fail)]
    #[case(json!([{"name": "a", "mode": "User", "availabilityZones": null}]), Outcome::Fail)]
    #[case::spot(json!([{"name": "a", "mode": "User", "scaleSetPriority": "Spot"}]), Outcome::Pass)]
    #[case::gateway(json!([{"name": "a", "mode": "Gateway"}]), Outcome::Pass)]
    fn pools_that_count_span_availability_zones(#[case] given: Value, #[case] expected: Outcome) {
        assert_eq!(
            pools(&given).ask(Question::PoolsAcrossZones).outcome,
            expected
        );
    }

    fn node(pool: &str, mode: &str, zone: &str, is_tainted: bool) -> Node {
        let labels = [
            (POOL, pool),
            (MODE, mode),
            ("topology.kubernetes.io/zone", zone),
        ];
        Node {
            labels: labels
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            taints: Vec::from_iter(is_tainted.then(|| Taint {
                key: "CriticalAddonsOnly".to_owned(),
                value: "true".to_owned(),
                effect: "NoSchedule".to_owned(),
            })),
            ..Node::default()
        }
    }

    fn running(nodes: Vec<Node>) -> ClusterState {
        let nodes = nodes.into_iter().enumerate();
        ClusterState {
            nodes: Ok(nodes.map(|(at, it)| (format!("node-{at}"), it)).collect()),
            ..state()
        }
    }

    #[test]
    fn nodes_show_the_same() {
        let ask =
            |nodes, question| -> Check { Given::default().live(running(nodes)).ask(question) };
        let good = || {
            vec![
                node("a", "system", "we-1", true),
                node("a", "system", "we-2", true),
                node("b", "user", "we-1", false),
                node("b", "user", "we-2", false),
            ]
        };
        for question in [Question::SystemPoolTainted, Question::PoolsAcrossZones] {
            assert_eq!(ask(good(), question).outcome, Outcome::Pass);
            assert_eq!(ask(vec![], question).outcome, Outcome::Unknown);
            let refused = Given::default()
                .live(ClusterState {
                    nodes: Err(refused("nodes")),
                    ..state()
                })
                .ask(question);
            assert_eq!(refused.tells[0], "the right to list nodes (--live)");
        }
        let bad = vec![node("a", "system", "we-1", false)];
        assert_eq!(ask(bad.clone(), Question::SystemPoolTainted).seen.len(), 2);
        let alone = ask(bad, Question::PoolsAcrossZones);
        assert_eq!(alone.seen, [Seen::of("a", "all its nodes are in we-1")]);
        // Where there are no availability zones the label holds the number of a fault domain.
        let without = ask(
            vec![node("a", "user", "0", false), node("a", "user", "1", false)],
            Question::PoolsAcrossZones,
        );
        assert_eq!(
            without.seen,
            [Seen::of(
                "a",
                "none of its nodes is in an availability zone"
            )]
        );
    }

    #[test]
    fn nodes_that_do_not_count_by_pool_do_not_count_by_themselves() {
        let mut spot = node("b", "user", "we-1", false);
        spot.labels.insert(PRIORITY.to_owned(), "spot".to_owned());
        let all = vec![
            node("a", "system", "we-1", true),
            node("a", "system", "we-2", true),
            spot,
            node("c", "gateway", "we-1", false),
        ];
        let check = Given::default()
            .live(running(all))
            .ask(Question::PoolsAcrossZones);
        assert_eq!(check.outcome, Outcome::Pass, "{check:?}");
    }

    /// A command that is run as it stands takes nothing away from a pool.
    #[test]
    fn commands_keep_what_a_pool_has() {
        let given = pools(
            &json!([{"name": "sys", "mode": "System", "nodeTaints": ["a=b:NoSchedule"],
            "nodeLabels": {"team": "x y"}, "vnetSubnetId": "/subnets/a"}]),
        );
        let tainted = given.ask(Question::SystemPoolTainted);
        let last = tainted.mend.last().unwrap();
        assert!(
            last.ends_with(
                "-n sys --node-taints a=b:NoSchedule,CriticalAddonsOnly=true:NoSchedule"
            ),
            "{last}"
        );
        assert!(tainted.mend[1].contains("--vnet-subnet-id"), "{tainted:?}");
        let zones = given.ask(Question::PoolsAcrossZones);
        assert!(
            zones.mend[1].ends_with(
                "--zones 1 2 3 --mode System --node-taints a=b:NoSchedule --labels 'team=x y' --vnet-subnet-id /subnets/a"
            ),
            "{zones:?}"
        );
        assert!(zones.mend[3].ends_with("-n sys"), "{zones:?}");
    }

    #[test]
    fn nodes_that_are_all_in_one_of_the_declared_availability_zones_are_noted() {
        let check = pools(&json!([{"name": "a", "mode": "User", "availabilityZones": ["1", "2"]}]))
            .live(running(vec![node("a", "user", "we-1", false)]))
            .ask(Question::PoolsAcrossZones);
        assert_eq!(check.outcome, Outcome::Pass);
        assert_eq!(check.notes, ["all nodes of a are in we-1 at present"]);
    }
}
