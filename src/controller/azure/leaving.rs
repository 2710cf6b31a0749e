//! What left the declaration, and how it goes: nothing is deleted in Azure unless that is declared, and no node while it carries
//! pods.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, ResourceExt};

use super::AzureState;
use crate::api::DeletePolicy;
use crate::build::{comes_and_goes, reconcile_policy};
use crate::cluster::{failure, list_pods_on};
use crate::controller::apply::Failure;
use crate::controller::cache::Objects;
use crate::controller::context::Context;
use crate::controller::kind::{Kind, ObjectKey};
use crate::controller::plan::Prune;
use crate::domain::{AzureKind, Flavour, Pod};

const POOL: Kind = Kind::Azure(AzureKind::ManagedClustersAgentPool);
const RULE: Kind = Kind::Azure(AzureKind::NetworkSecurityGroupsSecurityRule);
/// The label of nodes that names their pool (AKS documentation, "Use labels in an AKS cluster").
const POOL_OF_NODE: &str = "kubernetes.azure.com/agentpool";

/// What left the declaration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::controller) struct Leaving {
    /// Objects whose annotation has to say first what becomes of the resource.
    pub marked: Vec<(Prune, &'static str)>,
    /// Objects that go without anything in Azure going that nodes need.
    pub now: Vec<Prune>,
    /// Node pools that go in Azure, too, with their names there, once nobody runs on them.
    pub pools: Vec<(Prune, String)>,
    /// What nodes need, which goes after them.
    pub after_pools: Vec<Prune>,
}

impl Leaving {
    /// Sorts out how each of these goes.
    pub(in crate::controller) fn of(
        prune: &[Prune],
        objects: &Objects,
        delete_policy: DeletePolicy,
    ) -> Self {
        let states = prune.iter().map(|prune| {
            let found = objects.get(&prune.key);
            let state = found.and_then(|found| found.azure.clone());
            (prune.key.clone(), state.unwrap_or_default())
        });
        Self::sorted(prune, &states.collect(), delete_policy)
    }

    fn sorted(
        prune: &[Prune],
        states: &BTreeMap<ObjectKey, Arc<AzureState>>,
        delete_policy: DeletePolicy,
    ) -> Self {
        let mut leaving = Self::default();
        let nothing = Arc::default();
        for prune in prune {
            let state = states.get(&prune.key).unwrap_or(&nothing);
            let is_opening = prune.key.kind == RULE && state.priority.is_some_and(comes_and_goes);
            let wanted = if is_opening {
                DeletePolicy::Delete
            } else {
                delete_policy
            };
            let policy = reconcile_policy(wanted);
            if state.reconcile_policy.as_deref() != Some(policy) {
                leaving.marked.push((prune.clone(), policy));
            } else if is_opening || wanted == DeletePolicy::Keep {
                leaving.now.push(prune.clone());
            } else if prune.key.kind == POOL {
                let name = state.azure_name.clone().unwrap_or_default();
                leaving.pools.push((prune.clone(), name));
            } else {
                leaving.after_pools.push(prune.clone());
            }
        }
        leaving
    }

    /// What would be done, a sentence each.
    pub(super) fn sentences(&self) -> Vec<String> {
        let marked = self.marked.iter().map(|(prune, policy)| (prune, *policy));
        let detached = self.now.iter().map(|prune| (prune, ""));
        let pools = self.pools.iter().map(|(prune, _)| (prune, "manage"));
        let after = self.after_pools.iter().map(|prune| (prune, "manage"));
        let all = marked.chain(detached).chain(pools).chain(after);
        all.map(|(prune, policy)| match policy {
            "manage" => format!("delete {} and what it stands for in Azure", prune.key),
            _ => format!("delete {}", prune.key),
        })
        .collect()
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(in crate::controller) struct Left {
    /// What is deleted.
    pub pruned: Vec<ObjectKey>,
    /// What could not be.
    pub failed: Vec<Failure>,
    /// What waits, a phrase each.
    pub waits: Vec<String>,
}

/// Lets go of what left the declaration, as far as that may be done now.
pub(in crate::controller) async fn leave(
    context: &Context,
    leaving: Leaving,
    flavour: Flavour,
) -> Left {
    let mut left = Left::default();
    for (prune, policy) in leaving.marked {
        let marked = context.writer.mark_azure(&prune, policy, flavour).await;
        match marked {
            // The watch brings it back, and then it goes.
            Ok(()) => left.waits.push(format!("{} is about to go", prune.key)),
            Err(error) => left.failed.push(Failure {
                key: prune.key,
                error,
            }),
        }
    }
    let mut go = leaving.now;
    let mut are_pools_gone = true;
    for (prune, pool) in leaving.pools {
        are_pools_gone = false;
        match carries(context, &pool).await {
            Ok(None) => go.push(prune),
            Ok(Some(pods)) => left.waits.push(format!(
                "{} stays while its nodes carry pods ({pods}): evict them, or write the pool back",
                prune.key
            )),
            Err(error) => left.waits.push(format!(
                "{} stays, since nobody knows what runs on its nodes: {error}; apply config/azure",
                prune.key
            )),
        }
    }
    are_pools_gone &= !is_any_pool_going(context, &leaving.after_pools);
    if are_pools_gone {
        go.extend(leaving.after_pools);
    } else {
        let keys = leaving.after_pools.iter().map(|prune| &prune.key);
        left.waits
            .extend(keys.map(|key| format!("{key} stays as long as the node pool")));
    }
    for prune in go {
        let version = Some(prune.resource_version.as_str());
        let deleted = context
            .writer
            .delete(&prune.key, &prune.uid, version, flavour)
            .await;
        match deleted {
            Ok(()) => left.pruned.push(prune.key),
            Err(error) => left.failed.push(Failure {
                key: prune.key,
                error,
            }),
        }
    }
    left
}

/// Whether a pool of the same landing zone is still there, on its way out.
fn is_any_pool_going(context: &Context, after: &[Prune]) -> bool {
    let objects = context.cache.read();
    let zone = after
        .first()
        .and_then(|prune| objects.get(&prune.key)?.owner.as_deref());
    zone.is_some_and(|zone| {
        let mut owned = objects.owned_by(zone);
        owned.any(|(key, found)| key.kind == POOL && found.deleting)
    })
}

/// Some of the pods on the nodes of a pool that somebody would miss; None: there are none.
async fn carries(context: &Context, pool: &str) -> Result<Option<String>, String> {
    let nodes = Api::<PartialObjectMeta<Node>>::all(context.client.clone());
    let of_pool = ListParams::default().labels(&format!("{POOL_OF_NODE}={pool}"));
    let nodes = nodes
        .list(&of_pool)
        .await
        .map_err(|error| failure(&error))?;
    for node in nodes.items {
        let node = node.name_any();
        let pods = list_pods_on(&context.client, &node)
            .await
            .map_err(|error| failure(&error))?;
        if let Some(pod) = pods.iter().find(|pod| is_missed(pod)) {
            return Ok(Some(format!("{}/{} on {node}", pod.namespace, pod.name)));
        }
    }
    Ok(None)
}

/// Whether a pod is more than a part of its node.
fn is_missed(pod: &Pod) -> bool {
    let workload = pod.workload.as_ref().map(|it| it.kind.as_str());
    // The kubelet's own pods are controlled by their node.
    !matches!(workload, Some("DaemonSet" | "Node"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prune(key: &str) -> Prune {
        Prune {
            key: key.parse().unwrap(),
            uid: "1".to_owned(),
            resource_version: "2".to_owned(),
        }
    }

    fn state(policy: &str, priority: Option<u16>) -> Arc<AzureState> {
        Arc::new(AzureState {
            reconcile_policy: Some(policy.to_owned()),
            azure_name: Some("pool1".to_owned()),
            priority,
            ..AzureState::default()
        })
    }

    const POOL_KEY: &str = "ManagedClustersAgentPool/azure/pool1";
    const SUBNET: &str = "VirtualNetworksSubnet/azure/snet";
    const OPENING: &str = "NetworkSecurityGroupsSecurityRule/azure/nsg.from-orders";
    const NEEDED: &str = "NetworkSecurityGroupsSecurityRule/azure/nsg.system";

    fn sorted(policies: [&str; 4], delete_policy: DeletePolicy) -> Leaving {
        let keys = [POOL_KEY, SUBNET, OPENING, NEEDED];
        let priorities = [None, None, Some(1500), Some(100)];
        let all = keys.map(prune);
        let states = all.iter().zip(policies).zip(priorities);
        let states = states
            .map(|((prune, policy), priority)| (prune.key.clone(), state(policy, priority)))
            .collect();
        Leaving::sorted(&all, &states, delete_policy)
    }

    #[test]
    fn nodes_go_before_what_they_need() {
        let leaving = sorted(["manage"; 4], DeletePolicy::Delete);
        assert_eq!(leaving.now, [prune(OPENING)]);
        assert_eq!(leaving.pools, [(prune(POOL_KEY), "pool1".to_owned())]);
        assert_eq!(leaving.after_pools, [prune(SUBNET), prune(NEEDED)]);
        assert!(leaving.marked.is_empty());
    }

    #[test]
    fn what_is_kept_in_azure_goes_at_once() {
        let detach = "detach-on-delete";
        let policies = [detach, detach, "manage", detach];
        let leaving = sorted(policies, DeletePolicy::Keep);
        assert_eq!(leaving.now.len(), 4);
        assert!(leaving.pools.is_empty() && leaving.after_pools.is_empty());
    }

    /// Whatever is misspelt counts as manage, which deletes in Azure.
    #[test]
    fn nothing_goes_before_its_annotation_says_what_is_declared() {
        let policies = ["manage", "Detach-On-Delete", "manage", ""];
        let leaving = sorted(policies, DeletePolicy::Keep);
        let detach = "detach-on-delete";
        let marked = [POOL_KEY, SUBNET, NEEDED].map(|key| (prune(key), detach));
        assert_eq!(leaving.marked, marked);
        assert_eq!(leaving.now, [prune(OPENING)]);
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
