//! The nodes of the cluster, followed while somebody wants to know: where pods get their addresses from, or
//! which nodes a placement admits.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use ipnet::IpNet;
use kube::api::{ListParams, Object};
use kube::core::{ApiResource, GroupVersionKind, NotUsed};
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;
use tokio::sync::watch;

use super::follow;
use crate::domain::{Node, Taint};
use crate::telemetry::Health;

const PART: &str = "watch of nodes";
/// Taints that Kubernetes itself puts on nodes, as they come and go.
const OF_KUBERNETES: &str = "node.kubernetes.io/";

/// Who wants to know of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedNodes {
    /// For the ranges that they give to their pods.
    pub ranges: bool,
    /// For their labels and taints.
    pub placement: bool,
}

/// All nodes by name; None: nobody wants to know, or they were not read yet.
pub type Nodes = Option<Arc<BTreeMap<String, Node>>>;

/// Follows the nodes while they are wanted, and sends them whenever something changed about them that
/// somebody could want to know. A watch that fails takes nothing back.
pub async fn watch_nodes(
    client: Client,
    health: Health,
    mut wanted: watch::Receiver<WantedNodes>,
    found: watch::Sender<Nodes>,
) {
    let any = |wanted: &WantedNodes| wanted.ranges || wanted.placement;
    loop {
        if wanted.wait_for(any).await.is_err() {
            return;
        }
        tokio::select! {
            () = follow_nodes(client.clone(), &health, &found) => return,
            toggled = wanted.wait_for(|wanted| !any(wanted)) => if toggled.is_err() { return },
        }
        health.not_needed(PART);
        found.send_replace(None);
    }
}

/// All nodes by name, as they are now.
///
/// # Errors
/// As the API server answers.
pub async fn list_nodes(client: &Client) -> kube::Result<BTreeMap<String, Node>> {
    let all = api(client.clone()).list(&ListParams::default()).await?;
    Ok(all
        .items
        .iter()
        .map(|node| (node.name_any(), read(node)))
        .collect())
}

fn api(client: Client) -> Api<Read> {
    let kind = GroupVersionKind::gvk("", "v1", "Node");
    let resource = ApiResource::from_gvk_with_plural(&kind, "nodes");
    Api::all_with(client, &resource)
}

/// A Node as it is read: nothing else of it is kept.
type Read = Object<SpecOfNode, NotUsed>;

#[derive(Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct SpecOfNode {
    #[serde(rename = "podCIDRs", default)]
    pod_cidrs: Vec<String>,
    #[serde(rename = "podCIDR")]
    pod_cidr: Option<String>,
    #[serde(default)]
    taints: Vec<TaintOfNode>,
    #[serde(default)]
    unschedulable: bool,
}

#[derive(Deserialize, Clone, Debug)]
struct TaintOfNode {
    key: String,
    #[serde(default)]
    value: String,
    effect: String,
}

async fn follow_nodes(client: Client, health: &Health, found: &watch::Sender<Nodes>) {
    health.waits_for(PART);
    let mut known: BTreeMap<String, Node> = BTreeMap::new();
    let mut listed: BTreeMap<String, Node> = BTreeMap::new();
    let mut events = std::pin::pin!(follow(api(client), Config::default()));
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(Event::InitApply(node)) => {
                listed.insert(node.name_any(), read(&node));
                continue;
            }
            Ok(Event::InitDone) => known = std::mem::take(&mut listed),
            Ok(Event::Apply(node)) => {
                known.insert(node.name_any(), read(&node));
            }
            Ok(Event::Delete(node)) => {
                known.remove(&node.name_any());
            }
            Err(error) => {
                health.fails(PART, &error);
                continue;
            }
        }
        health.is_well(PART);
        // A Node tells of itself every few minutes.
        found.send_if_modified(|found| {
            let is_news = found.as_deref() != Some(&known);
            if is_news {
                *found = Some(Arc::new(known.clone()));
            }
            is_news
        });
    }
}

fn read(node: &Read) -> Node {
    let SpecOfNode {
        pod_cidrs,
        pod_cidr,
        taints,
        unschedulable,
    } = &node.spec;
    let ranges = pod_cidrs.iter().chain(pod_cidr);
    let mut ranges: Vec<IpNet> = ranges.filter_map(|range| range.parse().ok()).collect();
    ranges.sort_unstable();
    ranges.dedup();
    let taints = taints.iter().filter(|it| it.effect != "PreferNoSchedule");
    let of_kubernetes = |taint: &&TaintOfNode| taint.key.starts_with(OF_KUBERNETES);
    let (passing, lasting): (Vec<_>, Vec<_>) = taints.partition(of_kubernetes);
    Node {
        labels: node.labels().clone(),
        is_closed: *unschedulable || !passing.is_empty(),
        taints: lasting
            .into_iter()
            .map(|taint| Taint {
                key: taint.key.clone(),
                value: taint.value.clone(),
                effect: taint.effect.clone(),
            })
            .collect(),
        ranges,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(spec: &Value) -> Node {
        let node = json!({"metadata": {"name": "a", "labels": {"pool": "one"}}, "spec": spec});
        read(&serde_json::from_value(node).unwrap())
    }

    #[test]
    fn a_node_has_ranges_of_each_family() {
        let ranges = |spec: &Value| -> Vec<String> {
            node(spec).ranges.iter().map(ToString::to_string).collect()
        };
        let both = json!({"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00::/64"]});
        assert_eq!(ranges(&both), ["10.1.0.0/24", "fd00::/64"]);
        assert_eq!(ranges(&json!({"podCIDR": "10.1.0.0/24"})), ["10.1.0.0/24"]);
        assert!(ranges(&json!({})).is_empty());
    }

    /// What keeps pods away for good, and not because of how the node is at present.
    #[test]
    fn taints_are_those_that_people_put_there() {
        let taints = json!({"taints": [
            {"key": "stack", "value": "tenant1", "effect": "NoSchedule"},
            {"key": "gpu", "effect": "NoExecute"},
            {"key": "spot", "effect": "PreferNoSchedule"},
            {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
        ]});
        let read = node(&taints);
        let keys: Vec<_> = read.taints.iter().map(|taint| taint.key.as_str()).collect();
        assert_eq!(keys, ["stack", "gpu"]);
        assert_eq!(read.labels["pool"], "one");
        assert!(read.is_closed, "not ready");
        assert!(node(&json!({"unschedulable": true})).is_closed);
        assert!(!node(&json!({"taints": [{"key": "stack", "effect": "NoSchedule"}]})).is_closed);
    }
}
