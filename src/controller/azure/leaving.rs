//! What left the declaration, and how it goes: nothing is deleted in Azure unless that is declared, and no node while it carries
//! pods.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::replacing::{
    CLASS_OF_NODE, Replaced, Step, TAINT, drain, is_missed, nodes_of, nodes_with, pods_on,
};
use super::{AzureState, KARPENTER_POOL, NODE_CLASS, POOL};
use crate::api::DeletePolicy;
use crate::api::names::{MANAGED_BY, OWNER, RECONCILE_POLICY};
use crate::build::{comes_and_goes, reconcile_policy};
use crate::controller::apply::{Failure, WriteError};
use crate::controller::cache::Objects;
use crate::controller::context::Context;
use crate::controller::kind::{Kind, ObjectKey};
use crate::controller::plan::Prune;
use crate::domain::{AzureKind, Flavour};

const RULE: Kind = Kind::Azure(AzureKind::NetworkSecurityGroupsSecurityRule);

/// What left the declaration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::controller) struct Leaving {
    /// Objects whose annotation has to say first what becomes of the resource.
    pub marked: Vec<(Prune, &'static str)>,
    /// Objects that go without anything in Azure going that nodes need.
    pub now: Vec<Prune>,
    /// Objects that stay and are the landing zone's no more: what they stand for would go with them.
    pub released: Vec<Prune>,
    /// Node pools that go in Azure, too, with the label of their nodes, once nobody runs on them.
    pub pools: Vec<(Prune, String)>,
    /// What nodes need, which goes after them.
    pub after_pools: Vec<Prune>,
    /// Node pools that give way to another one, whatever becomes of the rest.
    pub replaced: Vec<Replaced>,
}

/// What is declared of what goes.
#[derive(Clone, Copy, Debug)]
pub(in crate::controller) struct Declared<'a> {
    /// What becomes of the resources.
    pub delete_policy: DeletePolicy,
    /// The pool that takes the place of another one; None: none does.
    pub successor: Option<&'a ObjectKey>,
    /// Whether Karpenter makes nodes for it: where they change, it moves their pods itself.
    pub has_karpenter_pool: bool,
}

impl Declared<'_> {
    /// Nothing takes the place of anything.
    pub(in crate::controller) const fn only(delete_policy: DeletePolicy) -> Self {
        Self {
            delete_policy,
            successor: None,
            has_karpenter_pool: false,
        }
    }
}

impl Leaving {
    /// Sorts out how each of these goes.
    pub(in crate::controller) fn of(
        prune: &[Prune],
        objects: &Objects,
        declared: Declared<'_>,
    ) -> Self {
        let states = prune.iter().map(|prune| {
            let found = objects.get(&prune.key);
            let state = found.and_then(|found| found.azure.clone());
            (prune.key.clone(), state.unwrap_or_default())
        });
        let successor = declared.successor.map(|key| {
            let found = objects.get(key);
            (key, found.and_then(|found| found.azure.clone()))
        });
        let zone = prune
            .first()
            .and_then(|it| objects.get(&it.key)?.owner.as_deref());
        let mut owned = zone.into_iter().flat_map(|zone| objects.owned_by(zone));
        let is_class_going = owned.any(|(key, found)| key.kind == NODE_CLASS && found.deleting);
        let moves = if declared.has_karpenter_pool {
            Moves::ByKarpenter { is_class_going }
        } else {
            Moves::Nowhere
        };
        Self::sorted(
            prune,
            &states.collect(),
            declared.delete_policy,
            successor.as_ref(),
            moves,
        )
    }

    fn sorted(
        prune: &[Prune],
        states: &BTreeMap<ObjectKey, Arc<AzureState>>,
        delete_policy: DeletePolicy,
        successor: Option<&(&ObjectKey, Option<Arc<AzureState>>)>,
        moves: Moves,
    ) -> Self {
        let mut leaving = Self::default();
        let nothing = Arc::default();
        let is_replaced = |it: &Prune| successor.is_some() && it.key.kind == POOL;
        // Agent pools, too: others let in whoever is in a subnet as long as its object is there.
        let is_nodes = |it: &Prune| [NODE_CLASS, POOL].contains(&it.key.kind);
        let is_any_replaced = prune.iter().any(is_replaced)
            || match moves {
                Moves::Nowhere => false,
                Moves::ByKarpenter { is_class_going } => {
                    is_class_going || prune.iter().any(is_nodes)
                }
            };
        for prune in prune {
            let state = states.get(&prune.key).unwrap_or(&nothing);
            if let Some((key, there)) = successor.filter(|_| is_replaced(prune)) {
                leaving.replaced.push(Replaced {
                    prune: prune.clone(),
                    name: state.azure_name.clone().unwrap_or_default(),
                    taints: state.taints.clone(),
                    successor: (*key).clone(),
                    step: Step::of(state, there.as_deref()),
                    is_marked: state.reconcile_policy.as_deref()
                        == Some(reconcile_policy(DeletePolicy::Delete)),
                });
                continue;
            }
            if prune.key.kind.is_karpenter() {
                let is_pool = prune.key.kind == KARPENTER_POOL;
                match (moves, delete_policy) {
                    // As soon as Karpenter has moved the nodes that are made of it.
                    (Moves::ByKarpenter { .. }, _) if !is_pool => leaving.now.push(prune.clone()),
                    (_, DeletePolicy::Keep) => leaving.released.push(prune.clone()),
                    (_, DeletePolicy::Delete) if is_pool => {
                        let nodes = nodes_of(KARPENTER_POOL, &prune.key.name);
                        leaving.pools.push((prune.clone(), nodes));
                    }
                    (_, DeletePolicy::Delete) => leaving.after_pools.push(prune.clone()),
                }
                continue;
            }
            let is_opening = prune.key.kind == RULE && state.priority.is_some_and(comes_and_goes);
            let wanted = if is_opening {
                DeletePolicy::Delete
            } else {
                delete_policy
            };
            let policy = reconcile_policy(wanted);
            if state.reconcile_policy.as_deref() != Some(policy) {
                leaving.marked.push((prune.clone(), policy));
            } else if is_opening || wanted == DeletePolicy::Keep && !is_any_replaced {
                leaving.now.push(prune.clone());
            } else if prune.key.kind == POOL {
                let name = state.azure_name.as_deref().unwrap_or_default();
                leaving.pools.push((prune.clone(), nodes_of(POOL, name)));
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
        let replaced = self.replaced.iter().map(|it| {
            format!(
                "replace {} by {}: move its pods, then delete it in Azure, too",
                it.prune.key, it.successor
            )
        });
        let released = self.released.iter();
        let released = released.map(|it| format!("let go of {}, which stays", it.key));
        let all = all.map(|(prune, policy)| match policy {
            "manage" => format!("delete {} and what it stands for in Azure", prune.key),
            _ => format!("delete {}", prune.key),
        });
        all.chain(released).chain(replaced).collect()
    }
}

/// Who moves pods where the subnet or the nodes of a pool that stays become others.
#[derive(Clone, Copy, Debug)]
enum Moves {
    /// Nobody.
    Nowhere,
    /// Karpenter; `is_class_going`: whether it is about to.
    ByKarpenter { is_class_going: bool },
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
    /// How far pools are that give way to others, a phrase each.
    pub replacing: Vec<String>,
    /// What stays and is somebody else's from now on.
    pub released: Vec<ObjectKey>,
}

/// Lets go of what left the declaration, as far as that may be done now.
pub(in crate::controller) async fn leave(
    context: &Context,
    zone: &str,
    leaving: Leaving,
    flavour: Flavour,
) -> Left {
    let mut left = Left::default();
    for (prune, policy) in leaving.marked {
        let marked = context
            .writer
            .patch_azure(&prune, marked_as(policy), flavour)
            .await;
        match marked {
            // The watch brings it back, and then it goes.
            Ok(()) => left.waits.push(format!("{} is about to go", prune.key)),
            Err(error) => left.failed.push(Failure {
                key: prune.key,
                error,
            }),
        }
    }
    for prune in leaving.released {
        let labels = json!({"metadata": {"labels": {OWNER: null, MANAGED_BY: null}}});
        let released = context.writer.patch_azure(&prune, labels, flavour).await;
        let key = prune.key;
        match released {
            Ok(()) => left.released.push(key),
            Err(error) => left.failed.push(Failure { key, error }),
        }
    }
    let mut are_pools_gone = !leaving.now.iter().any(|it| it.key.kind == NODE_CLASS);
    let mut go = leaving.now;
    for (prune, nodes) in leaving.pools {
        are_pools_gone = false;
        match carries(context, &nodes).await {
            Ok(None) => go.push(prune),
            Ok(Some(pods)) => left.waits.push(format!(
                "{} stays while its nodes carry pods ({pods}): evict them, or write the pool back",
                prune.key
            )),
            Err(error) => left.waits.push(format!(
                "{} stays, since nobody knows what runs on its nodes: {error}; apply {}",
                prune.key,
                rights(&prune.key)
            )),
        }
    }
    for replaced in leaving.replaced {
        are_pools_gone = false;
        match replace(context, zone, &replaced, flavour).await {
            Ok(None) => {
                left.replacing.push(replaced.told(
                    "step 4 of 4: nobody runs on its nodes any more, and it is being deleted in Azure",
                ));
                go.push(replaced.prune);
            }
            Ok(Some(told)) => left.replacing.push(told),
            Err(error) => left.failed.push(Failure {
                key: replaced.prune.key,
                error,
            }),
        }
    }
    are_pools_gone &= !is_any_pool_going(context, &leaving.after_pools);
    if are_pools_gone {
        // Karpenter's nodes outlive their pool: what they are made of goes first, and where that has gone, they have.
        let (classes, rest): (Vec<_>, Vec<_>) = leaving
            .after_pools
            .into_iter()
            .partition(|it| it.key.kind == NODE_CLASS);
        if classes.is_empty() {
            go.extend(rest);
        } else {
            left.waits.extend(rest.iter().map(|it| stays(&it.key)));
            go.extend(classes);
        }
    } else {
        let waiting = leaving.after_pools.iter();
        left.waits.extend(waiting.map(|it| stays(&it.key)));
    }
    for prune in go {
        if let Some(why) = is_needed(context, &prune.key).await {
            left.waits.push(why);
            continue;
        }
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

/// An object that says what becomes of its resource.
fn marked_as(policy: &str) -> Value {
    json!({"metadata": {"annotations": {RECONCILE_POLICY: policy}}})
}

/// Does what comes next for a pool that gives way. Returns what is told; None: it may go.
async fn replace(
    context: &Context,
    zone: &str,
    replaced: &Replaced,
    flavour: Flavour,
) -> Result<Option<String>, WriteError> {
    let patch = |fields| context.writer.patch_azure(&replaced.prune, fields, flavour);
    match replaced.step {
        Step::Making | Step::Closed => Ok(Some(replaced.told(""))),
        Step::Closing => {
            let mut taints = replaced.taints.clone();
            taints.push(TAINT.to_owned());
            patch(json!({"spec": {"nodeTaints": taints}})).await?;
            Ok(Some(replaced.told("")))
        }
        Step::Draining => match drain(context, zone, &replaced.name).await {
            Ok(None) if replaced.is_marked => Ok(None),
            Ok(None) => {
                patch(marked_as(reconcile_policy(DeletePolicy::Delete))).await?;
                Ok(Some(replaced.told("step 4 of 4: it is about to go")))
            }
            Ok(Some(doing)) => Ok(Some(replaced.told(&doing))),
            Err(error) => Ok(Some(replaced.told(&format!(
                "step 3 of 4 waits, since nobody knows what runs on its nodes: {error}; apply config/azure"
            )))),
        },
    }
}

fn stays(key: &ObjectKey) -> String {
    format!("{key} stays as long as the nodes")
}

/// Where the rights are that deletions need.
fn rights(key: &ObjectKey) -> &'static str {
    if key.kind.is_karpenter() {
        "config/karpenter"
    } else {
        "config/azure"
    }
}

/// Why what nodes are made of may not go yet; None: it may, or it is something else. While it is being deleted Karpenter makes no
/// nodes of it, so whoever writes it back would have to wait until the last of them is gone.
async fn is_needed(context: &Context, key: &ObjectKey) -> Option<String> {
    if key.kind != NODE_CLASS {
        return None;
    }
    if is_in_use(context, key) {
        return Some(format!("{key} stays until its pool has another one"));
    }
    let label = format!("{CLASS_OF_NODE}={}", key.name);
    match nodes_with(context, &label).await {
        Ok(nodes) => {
            let node = nodes.first()?;
            Some(format!(
                "{key} stays while Karpenter moves its nodes, such as {node}"
            ))
        }
        Err(error) => Some(format!(
            "{key} stays, since nobody knows which nodes are made of it: {error}"
        )),
    }
}

/// Whether a pool that stays still has its nodes made of that: without it Karpenter would make none.
fn is_in_use(context: &Context, class: &ObjectKey) -> bool {
    let objects = context.cache.read();
    let mut pools = objects
        .of_kind(KARPENTER_POOL)
        .filter(|(_, found)| !found.deleting);
    let class = (class.kind == NODE_CLASS).then_some(&*class.name);
    class.is_some()
        && pools.any(|(_, found)| {
            let state = found.azure.as_ref();
            state.is_some_and(|it| it.node_class.as_deref() == class)
        })
}

/// Whether a pool of the same landing zone is still there, on its way out.
fn is_any_pool_going(context: &Context, after: &[Prune]) -> bool {
    let objects = context.cache.read();
    let zone = after
        .first()
        .and_then(|prune| objects.get(&prune.key)?.owner.as_deref());
    zone.is_some_and(|zone| {
        let mut owned = objects.owned_by(zone);
        let nodes = [POOL, KARPENTER_POOL, NODE_CLASS];
        owned.any(|(key, found)| nodes.contains(&key.kind) && found.deleting)
    })
}

/// Some of the pods on the nodes of a pool that somebody would miss; None: there are none.
async fn carries(context: &Context, nodes: &str) -> Result<Option<String>, String> {
    let pods = pods_on(context, nodes).await?;
    let missed = pods.iter().find(|pod| is_missed(pod));
    Ok(missed.map(|pod| {
        let node = pod.node.as_deref().unwrap_or_default();
        format!("{}/{} on {node}", pod.namespace, pod.name)
    }))
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
        Leaving::sorted(&all, &states, delete_policy, None, Moves::Nowhere)
    }

    #[test]
    fn nodes_go_before_what_they_need() {
        let leaving = sorted(["manage"; 4], DeletePolicy::Delete);
        assert_eq!(leaving.now, [prune(OPENING)]);
        let nodes = "kubernetes.azure.com/agentpool=pool1".to_owned();
        assert_eq!(leaving.pools, [(prune(POOL_KEY), nodes)]);
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

    /// Its subnet stays as long as it does, whatever is declared about subnets.
    #[test]
    fn a_pool_that_gives_way_goes_before_what_it_needs() {
        let keys = [POOL_KEY, SUBNET, OPENING];
        let priorities = [None, None, Some(1500)];
        let all = keys.map(prune);
        let states = all.iter().zip(priorities).map(|(prune, priority)| {
            let policy = if priority.is_some() {
                "manage"
            } else {
                "detach-on-delete"
            };
            (prune.key.clone(), state(policy, priority))
        });
        let successor: ObjectKey = "ManagedClustersAgentPool/azure/pool2".parse().unwrap();
        let there = (&successor, None);
        let leaving = Leaving::sorted(
            &all,
            &states.collect(),
            DeletePolicy::Keep,
            Some(&there),
            Moves::Nowhere,
        );
        let [replaced] = leaving.replaced.as_slice() else {
            panic!("{leaving:?}");
        };
        assert_eq!((&replaced.prune, replaced.step), (&all[0], Step::Making));
        assert!(!replaced.is_marked);
        assert_eq!(leaving.after_pools, [prune(SUBNET)]);
        assert_eq!(leaving.now, [prune(OPENING)]);
        let sentences = leaving.sentences();
        assert!(
            sentences
                .iter()
                .any(|it| it.contains("replace ManagedClustersAgentPool/azure/pool1")),
            "{sentences:?}"
        );
    }

    const KARPENTER: [&str; 3] = [
        "AKSNodeClass/lz-shop-1",
        "NodePool/lz-shop",
        "VirtualNetworksSubnet/azure/snet",
    ];

    fn of_karpenter(keys: &[&str], policy: DeletePolicy, moves: Moves) -> Leaving {
        let all: Vec<_> = keys.iter().map(|key| prune(key)).collect();
        let states = all
            .iter()
            .map(|it| (it.key.clone(), state(reconcile_policy(policy), None)));
        Leaving::sorted(&all, &states.collect(), policy, None, moves)
    }

    /// An object of Karpenter's is what it stands for: it goes only where that is declared.
    #[test]
    fn karpenters_nodes_stay_or_go_as_declared() {
        let [class, pool, subnet] = KARPENTER.map(prune);
        let kept = of_karpenter(&KARPENTER, DeletePolicy::Keep, Moves::Nowhere);
        assert_eq!(kept.released, [class.clone(), pool.clone()]);
        assert_eq!(kept.now, std::slice::from_ref(&subnet));
        let deleted = of_karpenter(&KARPENTER, DeletePolicy::Delete, Moves::Nowhere);
        let nodes = "karpenter.sh/nodepool=lz-shop".to_owned();
        assert_eq!(deleted.pools, [(pool, nodes)]);
        assert_eq!(deleted.after_pools, [class, subnet]);
        assert!(deleted.now.is_empty() && deleted.released.is_empty());
    }

    /// Others let in whoever is in the subnet of before, as long as its object is there.
    #[test]
    fn the_subnet_of_before_stays_until_karpenter_has_moved_all() {
        let [class, _, subnet] = KARPENTER.map(prune);
        let moves = |is_class_going| Moves::ByKarpenter { is_class_going };
        for policy in [DeletePolicy::Keep, DeletePolicy::Delete] {
            let begins = of_karpenter(&[KARPENTER[0], KARPENTER[2]], policy, moves(false));
            assert_eq!(begins.now, std::slice::from_ref(&class));
            assert_eq!(begins.after_pools, std::slice::from_ref(&subnet));
            let waits = of_karpenter(&[KARPENTER[2]], policy, moves(true));
            assert_eq!(waits.after_pools, std::slice::from_ref(&subnet));
        }
        let done = of_karpenter(&[KARPENTER[2]], DeletePolicy::Keep, moves(false));
        assert_eq!(done.now, std::slice::from_ref(&subnet));
        // The agent pool of before, which Azure keeps: its pods have their addresses from there.
        let begins = of_karpenter(&[POOL_KEY, KARPENTER[2]], DeletePolicy::Keep, moves(false));
        assert_eq!((begins.now.len(), begins.pools.len()), (0, 1));
        assert_eq!(begins.after_pools, [subnet]);
    }
}
