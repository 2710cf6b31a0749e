//! Pods, as their place goes: which of them run where their placement does not admit them, and which of
//! those may move now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Node, Placement};

/// A pod that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Its node; None: it waits for one.
    pub node: Option<String>,
    /// What brings it back when it goes; None: nothing does.
    pub workload: Option<Workload>,
    /// Whether it serves.
    pub is_ready: bool,
    /// Whether it is on its way out.
    pub is_leaving: bool,
}

/// What a pod is one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its kind, such as `ReplicaSet`.
    pub kind: String,
    /// Its identity.
    pub uid: String,
}

/// Why a pod is not evicted, wherever it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// It would be gone for good.
    NothingBringsItBack,
    /// The template of its `DaemonSet` decides on which nodes there is one.
    OfADaemonSet,
    /// It would begin its work anew, and ends by itself.
    OfAJob,
}

impl fmt::Display for Stays {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NothingBringsItBack => "nothing would bring it back, delete it when it suits",
            Self::OfADaemonSet => {
                "a DaemonSet chooses its nodes by its template: restart it, or write the placement into it"
            }
            Self::OfAJob => "its Job ends by itself",
        })
    }
}

impl Pod {
    /// Why it is never evicted; None where it may be.
    #[must_use]
    pub fn stays(&self) -> Option<Stays> {
        match self.workload.as_ref().map(|it| it.kind.as_str()) {
            // A static pod belongs to its Node.
            None | Some("Node") => Some(Stays::NothingBringsItBack),
            Some("DaemonSet") => Some(Stays::OfADaemonSet),
            Some("Job") => Some(Stays::OfAJob),
            Some(_) => None,
        }
    }
}

/// The pods that run on nodes that the placement does not admit, by name. Such a pod was there before the
/// placement, or its node was labelled or tainted otherwise. Of a node that nobody knows nothing is said.
#[must_use]
pub fn elsewhere<'a>(
    placement: &Placement,
    nodes: &BTreeMap<String, Node>,
    pods: &'a [Pod],
) -> Vec<&'a Pod> {
    let is_elsewhere = |pod: &&Pod| {
        let node = pod.node.as_ref().and_then(|node| nodes.get(node));
        node.is_some_and(|node| !placement.admits(node))
    };
    let mut found: Vec<_> = pods.iter().filter(is_elsewhere).collect();
    found.sort_unstable_by_key(|pod| (&pod.namespace, &pod.name));
    found
}

/// Those of the pods elsewhere that may be evicted now: one of each workload, and none while another of its
/// pods is on its way out or does not serve yet. One that does not serve goes before one that does.
#[must_use]
pub fn movable<'a>(elsewhere: &[&'a Pod], all: &[Pod]) -> Vec<&'a Pod> {
    let mut workloads: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in all {
        if let Some(workload) = &pod.workload {
            workloads.entry(&workload.uid).or_default().push(pod);
        }
    }
    let mut chosen: BTreeMap<&str, &'a Pod> = BTreeMap::new();
    let evictable = elsewhere.iter().filter(|pod| pod.stays().is_none());
    for &pod in evictable {
        let Some(workload) = &pod.workload else {
            continue;
        };
        let others = workloads.get(workload.uid.as_str());
        let mut others = others.into_iter().flatten().filter(|it| it.uid != pod.uid);
        // One that fails where it should not be gives way, whatever the others do there.
        let counts = |it: &&&Pod| pod.is_ready || !elsewhere.iter().any(|one| one.uid == it.uid);
        let is_busy =
            pod.is_leaving || others.any(|it| it.is_leaving || (!it.is_ready && counts(&it)));
        if is_busy {
            continue;
        }
        let known = chosen.entry(&workload.uid).or_insert(pod);
        if known.is_ready && !pod.is_ready {
            *known = pod;
        }
    }
    chosen.into_values().collect()
}

/// The pods for which others of their workload wait: they do not serve yet, or are on their way out.
pub fn awaited<'a>(elsewhere: &[&Pod], all: &'a [Pod]) -> impl Iterator<Item = &'a Pod> {
    let evictable = elsewhere.iter().filter(|pod| pod.stays().is_none());
    let workloads: BTreeSet<String> = evictable
        .filter_map(|pod| Some(pod.workload.as_ref()?.uid.clone()))
        .collect();
    all.iter().filter(move |pod| {
        let workload = pod.workload.as_ref();
        let is_one = workload.is_some_and(|it| workloads.contains(&it.uid));
        is_one && (pod.is_leaving || !pod.is_ready)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// `<name> <node or -> <workload's kind/uid or -> [unready|leaving]`
    fn pods(lines: &[&str]) -> Vec<Pod> {
        let pod = |line: &&str| {
            let mut words = line.split(' ');
            let mut word = || words.next().filter(|word| *word != "-");
            let (name, node, workload, state) = (word(), word(), word(), word());
            Pod {
                namespace: "shop".to_owned(),
                name: name.unwrap().to_owned(),
                uid: name.unwrap().to_owned(),
                node: node.map(str::to_owned),
                workload: workload
                    .and_then(|it| it.split_once('/'))
                    .map(|(kind, uid)| Workload {
                        kind: kind.to_owned(),
                        uid: uid.to_owned(),
                    }),
                is_ready: state.is_none(),
                is_leaving: state == Some("leaving"),
            }
        };
        lines.iter().map(pod).collect()
    }

    fn nodes() -> BTreeMap<String, Node> {
        let node = |stack: &str| Node {
            labels: BTreeMap::from([("stack".into(), stack.into())]),
            ..Node::default()
        };
        BTreeMap::from([("here".into(), node("one")), ("there".into(), node("two"))])
    }

    fn found(all: &[Pod]) -> Vec<&Pod> {
        let placement = Placement {
            node_selector: BTreeMap::from([("stack".into(), "one".into())]),
            ..Placement::default()
        };
        elsewhere(&placement, &nodes(), all)
    }

    fn names(pods: &[&Pod]) -> Vec<String> {
        pods.iter().map(|pod| pod.name.clone()).collect()
    }

    #[test]
    fn pods_are_elsewhere_where_the_placement_does_not_admit_them() {
        let all = pods(&["b there -", "a there -", "c here -", "d - -", "e gone -"]);
        assert_eq!(names(&found(&all)), ["a", "b"]);
    }

    #[test]
    fn it_is_known_for_whom_others_wait() {
        let all = pods(&[
            "a there ReplicaSet/x",
            "b - ReplicaSet/x unready",
            "c there ReplicaSet/x leaving",
            "d here ReplicaSet/y unready",
        ]);
        let awaited: Vec<_> = awaited(&found(&all), &all).collect();
        assert_eq!(names(&awaited), ["b", "c"]);
    }

    #[rstest]
    #[case::one_of_each_workload(&["a there ReplicaSet/x", "b there ReplicaSet/x", "c there StatefulSet/y"], &["a", "c"])]
    #[case::not_while_another_leaves(&["a there ReplicaSet/x", "b there ReplicaSet/x leaving"], &[])]
    #[case::nor_while_its_successor_does_not_serve(&["a there ReplicaSet/x", "b here ReplicaSet/x unready"], &[])]
    #[case::nor_while_it_waits_for_a_node(&["a there ReplicaSet/x", "b - ReplicaSet/x unready"], &[])]
    #[case::its_successor_serves(&["a there ReplicaSet/x", "b here ReplicaSet/x"], &["a"])]
    #[case::what_does_not_serve_goes_first(&["a there ReplicaSet/x", "b there ReplicaSet/x unready"], &["b"])]
    #[case::one_of_several_that_do_not(&["a there ReplicaSet/x unready", "b there ReplicaSet/x unready"], &["a"])]
    #[case::but_not_while_a_successor_waits(&["a there ReplicaSet/x unready", "b - ReplicaSet/x unready"], &[])]
    #[case::of_another_workload(&["a there ReplicaSet/x", "b - ReplicaSet/y unready"], &["a"])]
    #[case::what_cannot_come_back(&["a there -", "b there DaemonSet/x", "c there Job/y", "d there Node/z"], &[])]
    #[case::of_a_kind_that_nobody_knows(&["a there StrimziPodSet/x"], &["a"])]
    #[case::in_its_place(&["a here ReplicaSet/x"], &[])]
    fn one_pod_of_a_workload_moves_at_a_time(#[case] lines: &[&str], #[case] expected: &[&str]) {
        let all = pods(lines);
        assert_eq!(names(&movable(&found(&all), &all)), expected);
    }
}
