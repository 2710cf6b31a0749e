//! Karpenter, simulated: its kinds, and what it does with their objects as far as somebody else can see it.
//!
//! Source: Karpenter's documentation, "`NodePools`", "`NodeClasses`" and "Disruption".

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use landing_zone_operator::domain::AzureKind;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::azure_service_operator::objects;
use crate::install::{apply_objects, read_manifests};
use crate::workspace;

const FINALIZER: &str = "karpenter.sh/termination";
/// The label of a node that names its pool.
pub const POOL_OF_NODE: &str = "karpenter.sh/nodepool";
/// The label of a node that names what it is made of.
const CLASS_OF_NODE: &str = "karpenter.azure.com/aksnodeclass";
/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// Installs the kinds, and the operator's rights to them.
///
/// # Errors
/// Where something cannot be applied.
pub async fn install(client: &Client) -> Result<()> {
    let mut objects = read_manifests(&workspace::root().join("config/karpenter"))?;
    objects.extend(read_manifests(&workspace::root().join("e2e/karpenter"))?);
    apply_objects(client, objects).await
}

/// Karpenter, until it is dropped. It makes one node of each pool.
pub struct Karpenter {
    moves: Arc<AtomicBool>,
    _running: AbortOnDropHandle<()>,
}

impl Karpenter {
    /// Starts it in a cluster that has its kinds.
    #[must_use]
    pub fn start(client: Client) -> Self {
        let moves = Arc::new(AtomicBool::new(true));
        let running = run(client, moves.clone());
        Self {
            moves,
            _running: AbortOnDropHandle::new(tokio::spawn(running)),
        }
    }

    /// From now on it makes nodes anew that are made of something else than their pool says, or waits as a budget would have it.
    pub fn moves(&self, moves: bool) {
        self.moves.store(moves, Ordering::Relaxed);
    }
}

async fn run(client: Client, moves: Arc<AtomicBool>) {
    loop {
        // Where a kind is not there, or an object changed meanwhile, the next look helps.
        let _ = look(&client, moves.load(Ordering::Relaxed)).await;
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn look(client: &Client, moves: bool) -> Result<()> {
    let all = ListParams::default();
    let nodes = Api::<Node>::all(client.clone());
    let pools = objects(client.clone(), AzureKind::NodePool);
    let classes = objects(client.clone(), AzureKind::AksNodeClass);
    let there = pools.list(&all).await?.items;
    // A pool has no finalizer: its nodes go after it.
    for node in nodes
        .list(&ListParams::default().labels(POOL_OF_NODE))
        .await?
    {
        let pool = node.labels().get(POOL_OF_NODE);
        if moves && !there.iter().any(|it| Some(&it.name_any()) == pool) {
            nodes
                .delete(&node.name_any(), &DeleteParams::default())
                .await?;
        }
    }
    for pool in there {
        let of_pool = ListParams::default().labels(&format!("{POOL_OF_NODE}={}", pool.name_any()));
        let made = nodes.list(&of_pool).await?.items;
        says_ready(&pools, &pool).await?;
        let template = &pool.data["spec"]["template"];
        let class = template["spec"]["nodeClassRef"]["name"].as_str();
        let class = class.context("a pool without a class")?;
        match made.first() {
            None => {
                let node = node(&pool, class, template)?;
                nodes.create(&PostParams::default(), &node).await?;
            }
            Some(there) if there.labels().get(CLASS_OF_NODE).map(String::as_str) != Some(class) => {
                if moves {
                    nodes
                        .delete(&there.name_any(), &DeleteParams::default())
                        .await?;
                }
            }
            Some(_) => {}
        }
    }
    for class in classes.list(&all).await? {
        let name = class.name_any();
        if class.metadata.deletion_timestamp.is_none() {
            if !class.finalizers().iter().any(|it| it == FINALIZER) {
                let patch = json!({"metadata": {"finalizers": [FINALIZER]}});
                classes
                    .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                    .await?;
            }
            says_ready(&classes, &class).await?;
            continue;
        }
        let of_class = ListParams::default().labels(&format!("{CLASS_OF_NODE}={name}"));
        if nodes.list(&of_class).await?.items.is_empty() {
            let patch = json!({"metadata": {"finalizers": null}});
            classes
                .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                .await?;
        }
    }
    Ok(())
}

fn node(pool: &DynamicObject, class: &str, template: &Value) -> Result<Node> {
    let mut labels = template["metadata"]["labels"].clone();
    labels[POOL_OF_NODE] = json!(pool.name_any());
    labels[CLASS_OF_NODE] = json!(class);
    let taints = &template["spec"]["taints"];
    let taints = if taints.is_null() {
        json!([])
    } else {
        taints.clone()
    };
    Ok(serde_json::from_value(json!({
        "metadata": {"name": format!("{}-of-{class}", pool.name_any()), "labels": labels},
        "spec": {"taints": taints},
    }))?)
}

async fn says_ready(api: &Api<DynamicObject>, object: &DynamicObject) -> Result<()> {
    let generation = object.metadata.generation;
    let said = object
        .data
        .pointer("/status/conditions/0/observedGeneration");
    if said.is_some() && said.and_then(Value::as_i64) == generation {
        return Ok(());
    }
    let condition = json!({
        "type": "Ready", "status": "True", "reason": "Ready", "message": "", "observedGeneration": generation,
        "lastTransitionTime": format!("{:.0}", Timestamp::now()),
    });
    let patch = json!({"status": {"conditions": [condition]}});
    api.patch_status(
        &object.name_any(),
        &PatchParams::default(),
        &Patch::Merge(patch),
    )
    .await?;
    Ok(())
}
