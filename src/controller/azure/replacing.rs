//! How a node pool gives way to another one, where that is declared: the other one is there first, then nobody new comes onto the
//! nodes of the first, their pods move one by one, and it goes. Nothing of it is decided twice: each look finds out from what is
//! there how far it is.

use kube::core::PartialObjectMeta;
use kube::{Api, ResourceExt};

use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;

use super::{AzureState, POOL, Ready, ReadyProgress};
use crate::cluster::{failure, list_pods, list_pods_on};
use crate::controller::context::Context;
use crate::controller::eviction::{Moved, move_away};
use crate::controller::kind::{Kind, ObjectKey};
use crate::controller::plan::Prune;
use crate::domain::Pod;

/// The label of nodes that names their pool (AKS documentation, "Use labels in an AKS cluster").
const POOL_OF_NODE: &str = "kubernetes.azure.com/agentpool";
/// The same of Karpenter's (its documentation, "`NodePools`").
const KARPENTER_POOL_OF_NODE: &str = "karpenter.sh/nodepool";
/// What keeps everybody off the nodes of a pool that goes.
pub(super) const TAINT: &str = "landingzones.dev/replaced=true:NoSchedule";

/// A pool that gives way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Replaced {
    /// Its object.
    pub prune: Prune,
    /// Its name in Azure.
    pub name: String,
    /// Its taints, as its object has them.
    pub taints: Vec<String>,
    /// The object of the pool that takes its place.
    pub successor: ObjectKey,
    /// How far it is.
    pub step: Step,
    /// Whether its object says already that it goes in Azure, too.
    pub is_marked: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Step {
    /// The other one is being made.
    Making,
    /// Its nodes are to let nobody new in.
    Closing,
    /// Azure is telling its nodes.
    Closed,
    /// Its pods move, and when the last one has moved, it goes.
    Draining,
}

impl Step {
    /// How far a pool is that `successor` takes the place of.
    pub(super) fn of(pool: &AzureState, successor: Option<&AzureState>) -> Self {
        let is_done = |state: &AzureState| {
            matches!(
                state.ready,
                Some(Ready {
                    progress: ReadyProgress::Done,
                    ..
                })
            )
        };
        if !successor.is_some_and(is_done) {
            Self::Making
        } else if !pool.taints.iter().any(|taint| taint == TAINT) {
            Self::Closing
        } else if !is_done(pool) {
            Self::Closed
        } else {
            Self::Draining
        }
    }
}

impl Replaced {
    /// What is told of it; `doing` what was done just now.
    pub(super) fn told(&self, doing: &str) -> String {
        let (key, successor) = (&self.prune.key, &self.successor);
        match self.step {
            Step::Making => format!(
                "step 1 of 4: {successor} is being made, and {key} works on until it is there"
            ),
            Step::Closing | Step::Closed => {
                format!("step 2 of 4: {key} lets no new pods in, and Azure is telling its nodes")
            }
            Step::Draining => format!("{doing} ({key} gives way to {successor})"),
        }
    }
}

/// Moves pods off the nodes of a pool, a few at a time. Returns what is told; None: there are none left.
pub(super) async fn drain(
    context: &Context,
    zone: &str,
    pool: &str,
) -> Result<Option<String>, String> {
    let there = pods_on(context, &nodes_of(POOL, pool)).await?;
    let there: Vec<&Pod> = there.iter().filter(|pod| is_missed(pod)).collect();
    let Some(one) = there.first() else {
        return Ok(None);
    };
    let mut namespaces: Vec<&str> = there.iter().map(|pod| pod.namespace.as_str()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let mut all = Vec::new();
    for namespace in namespaces {
        let pods = list_pods(&context.client, namespace).await;
        all.extend(pods.map_err(|error| failure(&error))?);
    }
    let text = |pod: &Pod| {
        let node = pod.node.as_deref().unwrap_or_default();
        format!(
            "evicted from {node}, whose node pool {pool} of the landing zone {zone} is being replaced; its successor goes to \
             the new one"
        )
    };
    let Moved { refused, .. } = move_away(context, zone, (&there, &all), || true, text).await;
    let number = there.len();
    let named = format!(
        "{}/{} on {}",
        one.namespace,
        one.name,
        one.node.as_deref().unwrap_or_default()
    );
    let stays = there
        .iter()
        .find_map(|pod| Some((pod, pod.stays()?)))
        .map(|(pod, why)| format!("{}/{}: {why}", pod.namespace, pod.name));
    let why = refused.or(stays);
    let why = why.map(|why| format!("; {why}")).unwrap_or_default();
    Ok(Some(format!(
        "step 3 of 4: pods move one of each workload at a time, {number} are left, such as {named}{why}"
    )))
}

/// The label of Karpenter's nodes that names what they are made of.
pub(super) const CLASS_OF_NODE: &str = "karpenter.azure.com/aksnodeclass";

/// The label of the nodes of a pool, with its value.
pub(super) fn nodes_of(kind: Kind, pool: &str) -> String {
    let label = if kind.is_karpenter() {
        KARPENTER_POOL_OF_NODE
    } else {
        POOL_OF_NODE
    };
    format!("{label}={pool}")
}

/// The nodes with a label, by name.
pub(super) async fn nodes_with(context: &Context, label: &str) -> Result<Vec<String>, String> {
    let nodes = Api::<PartialObjectMeta<Node>>::all(context.client.clone());
    let labelled = ListParams::default().labels(label);
    let nodes = nodes.list(&labelled).await;
    let nodes = nodes.map_err(|error| failure(&error))?.items;
    Ok(nodes.iter().map(ResourceExt::name_any).collect())
}

/// The pods on the nodes with a label.
pub(super) async fn pods_on(context: &Context, label: &str) -> Result<Vec<Pod>, String> {
    let mut pods = Vec::new();
    for node in nodes_with(context, label).await? {
        let of_node = list_pods_on(&context.client, &node).await;
        pods.extend(of_node.map_err(|error| failure(&error))?);
    }
    Ok(pods)
}

/// Whether a pod is more than a part of its node.
pub(super) fn is_missed(pod: &Pod) -> bool {
    let workload = pod.workload.as_ref().map(|it| it.kind.as_str());
    // The kubelet's own pods are controlled by their node.
    !matches!(workload, Some("DaemonSet" | "Node"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(progress: ReadyProgress, taints: &[&str]) -> AzureState {
        AzureState {
            taints: taints.iter().map(|&it| it.to_owned()).collect(),
            ready: Some(Ready {
                progress,
                reason: String::new(),
                message: String::new(),
            }),
            ..AzureState::default()
        }
    }

    #[test]
    fn a_pool_works_on_until_the_other_one_is_there() {
        use ReadyProgress::{Done, GivenUp, Working};
        let (open, closed) = (
            state(Done, &["stack=shop:NoSchedule"]),
            state(Done, &[TAINT]),
        );
        assert_eq!(Step::of(&open, None), Step::Making);
        for progress in [Working, GivenUp] {
            assert_eq!(Step::of(&closed, Some(&state(progress, &[]))), Step::Making);
        }
        let successor = state(Done, &[]);
        assert_eq!(Step::of(&open, Some(&successor)), Step::Closing);
        // Azure has not told its nodes yet.
        assert_eq!(
            Step::of(&state(Working, &[TAINT]), Some(&successor)),
            Step::Closed
        );
        assert_eq!(Step::of(&closed, Some(&successor)), Step::Draining);
    }

    #[test]
    fn what_belongs_to_a_node_holds_nothing_up() {
        let pod = |workload: Option<&str>| Pod {
            namespace: "shop".to_owned(),
            name: "a".to_owned(),
            uid: "1".to_owned(),
            node: None,
            workload: workload.map(|kind| crate::domain::Workload {
                kind: kind.to_owned(),
                uid: "2".to_owned(),
            }),
            is_ready: true,
            is_leaving: false,
        };
        assert!(is_missed(&pod(None)));
        assert!(is_missed(&pod(Some("ReplicaSet"))));
        assert!(!is_missed(&pod(Some("DaemonSet"))));
        assert!(!is_missed(&pod(Some("Node"))));
    }
}
