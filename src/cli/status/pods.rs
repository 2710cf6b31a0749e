//! Which pods of a landing zone run where its placement would not put them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kube::{Api, Client};

use crate::api::{self, LandingZonePlatform, Stage};
use crate::cluster::{failure, list_nodes, list_pods};
use crate::domain::{LandingZone, Node, PLATFORM_NAME, Placement, Platform, Pod, elsewhere};

/// So many pods are named; the rest is counted.
const NAMED: usize = 20;

/// What of it cannot be read, and why.
#[derive(thiserror::Error, Debug)]
#[error("{what} cannot be read: {}", failure(.error))]
pub(super) struct PodsError {
    what: String,
    error: kube::Error,
}

/// Adds what was being read.
fn reading(what: impl Into<String>) -> impl FnOnce(kube::Error) -> PodsError {
    let what = what.into();
    move |error| PodsError { what, error }
}

/// Which pods run where the placement would not put them: a line that counts them, and one for each that is named.
pub(super) async fn placed(client: &Client, zone: &api::LandingZone) -> Result<String, PodsError> {
    let platforms = Api::<LandingZonePlatform>::all(client.clone());
    let platform = platforms
        .get_opt(PLATFORM_NAME)
        .await
        .map_err(reading("the LandingZonePlatform"))?;
    let values = platform
        .and_then(|platform| platform.status?.effective)
        .map_or_else(Platform::default, |values| Platform::of_status(&values).0);
    let Ok(zone) = LandingZone::validate(zone, &values) else {
        return Ok("the declaration is not valid: see Ready".to_owned());
    };
    let placement = zone.placement.filter(|it| !it.is_empty());
    let Some(placement) = placement.filter(|_| zone.stage == Stage::Enforce) else {
        return Ok("no placement is in force: they run where they like".to_owned());
    };
    let nodes = list_nodes(client).await.map_err(reading("the nodes"))?;
    let mut pods = Vec::new();
    for namespace in &zone.namespaces {
        let name = namespace.name.as_str();
        let found = list_pods(client, name).await;
        pods.extend(found.map_err(reading(format!("the pods of {name}")))?);
    }
    Ok(misplaced(&placement, &nodes, &pods))
}

/// Counts the pods that run, and names those that the placement does not admit to their nodes.
fn misplaced(placement: &Placement, nodes: &BTreeMap<String, Node>, pods: &[Pod]) -> String {
    let running = pods
        .iter()
        .filter(|pod| pod.node.is_some() && !pod.is_leaving);
    let mut elsewhere = elsewhere(placement, nodes, pods);
    elsewhere.retain(|pod| !pod.is_leaving);
    let mut text = format!("{} run", running.count());
    let waiting = pods.iter().filter(|pod| pod.node.is_none()).count();
    if waiting > 0 {
        let _ = write!(text, " and {waiting} wait for a node");
    }
    if elsewhere.is_empty() {
        text.push_str(", all on nodes that the placement admits");
        return text;
    }
    let until = if placement.evict_misplaced {
        "the operator evicts those it may, see PodsPlaced"
    } else {
        "they stay there until they are deleted"
    };
    let _ = write!(
        text,
        ", {} of them on nodes that the placement does not admit; {until}:",
        elsewhere.len()
    );
    for pod in elsewhere.iter().take(NAMED) {
        let node = pod.node.as_deref().unwrap_or_default();
        let _ = write!(text, "\n  {}/{} on {node}", pod.namespace, pod.name);
        let stays = pod.stays().filter(|_| placement.evict_misplaced);
        if let Some(why) = stays {
            let _ = write!(text, " (not evicted: {why})");
        }
    }
    if elsewhere.len() > NAMED {
        let _ = write!(text, "\n  and {} more", elsewhere.len() - NAMED);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, node: Option<&str>) -> Pod {
        Pod {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            uid: name.to_owned(),
            node: node.map(str::to_owned),
            workload: None,
            is_ready: true,
            is_leaving: false,
        }
    }

    fn told(pods: &[Pod], evict_misplaced: bool) -> String {
        let placement = Placement {
            node_selector: BTreeMap::from([("stack".into(), "one".into())]),
            evict_misplaced,
            ..Placement::default()
        };
        let node = |stack: &str| Node {
            labels: BTreeMap::from([("stack".into(), stack.into())]),
            ..Node::default()
        };
        let nodes = BTreeMap::from([("here".into(), node("one")), ("there".into(), node("two"))]);
        misplaced(&placement, &nodes, pods)
    }

    #[test]
    fn pods_elsewhere_are_counted_and_named() {
        let mut leaving = pod("leaves", Some("there"));
        leaving.is_leaving = true;
        let pods = [
            pod("a", Some("here")),
            pod("b", Some("there")),
            pod("waits", None),
            pod("unknown", Some("gone")),
            leaving,
        ];
        assert_eq!(
            told(&pods, false),
            "3 run and 1 wait for a node, 1 of them on nodes that the placement does not admit; they stay there until \
             they are deleted:\n  shop/b on there"
        );
        assert_eq!(
            told(&pods, true),
            "3 run and 1 wait for a node, 1 of them on nodes that the placement does not admit; the operator evicts those \
             it may, see PodsPlaced:\n  shop/b on there (not evicted: \
             nothing would bring it back, delete it when it suits)"
        );
        assert_eq!(
            told(&pods[..1], false),
            "1 run, all on nodes that the placement admits"
        );
        let many: Vec<_> = (0..25)
            .map(|number| pod(&format!("p{number}"), Some("there")))
            .collect();
        let told = told(&many, false);
        assert!(told.ends_with("  and 5 more"), "{told}");
    }
}
