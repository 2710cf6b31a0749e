//! `kubectl landingzone status`: how a landing zone stands, and which of its pods run where its placement
//! would not put them. It reads with the rights of whoever asks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use clap::Args;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::config::KubeConfigOptions;
use kube::{Api, Client, Config, ResourceExt};

use super::{Outcome, complain};
use crate::api::{self, LandingZonePlatform, Stage};
use crate::cluster::{failure, list_nodes};
use crate::domain::{LandingZone, Node, PLATFORM_NAME, Placement, Platform};

/// Pods are read in pages of so many.
const PAGE: u32 = 500;
/// So many pods are named; the rest is counted.
const NAMED: usize = 20;

/// Arguments of `status`.
#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    /// Name of the landing zone
    name: String,
    /// Context of the kubeconfig; the current one when left out
    #[arg(long)]
    context: Option<String>,
}

#[derive(thiserror::Error, Debug)]
enum StatusError {
    #[error("no runtime")]
    Runtime(#[from] std::io::Error),
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    #[error("{what} cannot be read: {}", failure(.error))]
    Read { what: String, error: kube::Error },
    #[error("there is no landing zone {0}: kubectl get landingzones lists them")]
    NoSuch(String),
}

/// Adds what was being read.
fn reading(what: impl Into<String>) -> impl FnOnce(kube::Error) -> StatusError {
    let what = what.into();
    move |error| StatusError::Read { what, error }
}

impl StatusArgs {
    pub(super) fn run(&self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let text = runtime
            .map_err(StatusError::from)
            .and_then(|runtime| runtime.block_on(self.text()));
        let told = text.and_then(|text| Ok(std::io::stdout().write_all(text.as_bytes())?));
        match told {
            Ok(()) => Outcome::Done,
            Err(error) => {
                complain(&error);
                Outcome::Failed
            }
        }
    }

    async fn text(&self) -> Result<String, StatusError> {
        let client = self.client().await?;
        let zones = Api::<api::LandingZone>::all(client.clone());
        let what = format!("the landing zone {}", self.name);
        let zone = zones.get_opt(&self.name).await.map_err(reading(what))?;
        let zone = zone.ok_or_else(|| StatusError::NoSuch(self.name.clone()))?;
        let mut text = standing(&zone);
        let pods = placed(&client, &zone).await;
        text.push_str("pods\n");
        // Whoever may not read nodes or pods still reads the rest.
        let pods = pods.unwrap_or_else(|error| error.to_string());
        let _ = writeln!(text, "  {pods}");
        Ok(text)
    }

    async fn client(&self) -> Result<Client, StatusError> {
        let config = match &self.context {
            None => Config::infer().await.map_err(|error| {
                reading("the cluster's address")(kube::Error::InferConfig(error))
            })?,
            Some(context) => {
                let options = KubeConfigOptions {
                    context: Some(context.clone()),
                    ..KubeConfigOptions::default()
                };
                Config::from_kubeconfig(&options).await?
            }
        };
        Client::try_from(config).map_err(reading("the cluster"))
    }
}

/// What the status says.
fn standing(zone: &api::LandingZone) -> String {
    let mut text = format!(
        "landing zone {}, application code {}\n",
        zone.name_any(),
        zone.spec.application_code
    );
    let Some(status) = &zone.status else {
        text.push_str("nothing is known of it yet: does the operator run?\n");
        return text;
    };
    text.push_str("conditions\n");
    for it in &status.conditions {
        let _ = writeln!(
            text,
            "  {:<18} {:<8} {}: {}",
            it.type_, it.status, it.reason, it.message
        );
    }
    text.push_str("namespaces\n");
    for it in &status.namespaces {
        let message = it
            .message
            .as_ref()
            .map_or(String::new(), |it| format!(": {it}"));
        let _ = writeln!(
            text,
            "  {}, zone {}, {:?}{message}",
            it.name, it.zone, it.state
        );
    }
    text
}

/// Which pods run where the placement would not put them.
async fn placed(client: &Client, zone: &api::LandingZone) -> Result<String, StatusError> {
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
        pods.extend(list_pods(client, namespace.name.as_str()).await?);
    }
    Ok(misplaced(&placement, &nodes, &pods))
}

async fn list_pods(client: &Client, namespace: &str) -> Result<Vec<Pod>, StatusError> {
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    let mut params = ListParams::default().limit(PAGE);
    let mut pods = Vec::new();
    loop {
        let what = format!("the pods of {namespace}");
        let page = api.list(&params).await.map_err(reading(what))?;
        pods.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(pods),
        }
    }
}

/// Counts the pods that run, and names those that the placement does not admit to their nodes. Such a pod
/// was there before the placement, or its node was labelled otherwise.
fn misplaced(placement: &Placement, nodes: &BTreeMap<String, Node>, pods: &[Pod]) -> String {
    let running = pods.iter().filter_map(|pod| {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        let is_over = matches!(phase, Some("Succeeded" | "Failed"));
        let node = pod.spec.as_ref()?.node_name.as_deref()?;
        (!is_over && pod.metadata.deletion_timestamp.is_none()).then_some((pod, node))
    });
    let running: Vec<_> = running.collect();
    let elsewhere: Vec<_> = running
        .iter()
        .filter(|(_, node)| nodes.get(*node).is_some_and(|node| !placement.admits(node)))
        .collect();
    let mut text = format!("{} run", running.len());
    if elsewhere.is_empty() {
        text.push_str(", all on nodes that the placement admits");
        return text;
    }
    let _ = write!(
        text,
        ", {} of them on nodes that the placement does not admit; they stay there until they are deleted:",
        elsewhere.len()
    );
    for (pod, node) in elsewhere.iter().take(NAMED) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let _ = write!(text, "\n  {namespace}/{} on {node}", pod.name_any());
    }
    if elsewhere.len() > NAMED {
        let _ = write!(text, "\n  and {} more", elsewhere.len() - NAMED);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, node: Option<&str>, phase: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": name},
            "spec": {"containers": [], "nodeName": node},
            "status": {"phase": phase},
        }))
        .unwrap()
    }

    fn told(pods: &[Pod]) -> String {
        let placement = Placement {
            node_selector: BTreeMap::from([("stack".into(), "one".into())]),
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
        let pods = [
            pod("a", Some("here"), "Running"),
            pod("b", Some("there"), "Running"),
            pod("waits", None, "Pending"),
            pod("over", Some("there"), "Succeeded"),
            pod("unknown", Some("gone"), "Running"),
        ];
        assert_eq!(
            told(&pods),
            "3 run, 1 of them on nodes that the placement does not admit; they stay there until \
             they are deleted:\n  shop/b on there"
        );
        assert_eq!(
            told(&pods[..1]),
            "1 run, all on nodes that the placement admits"
        );
        let many: Vec<_> = (0..25)
            .map(|number| pod(&format!("p{number}"), Some("there"), "Running"))
            .collect();
        assert!(told(&many).ends_with("  and 5 more"), "{}", told(&many));
    }
}
