//! Pods, and what makes pods.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::{Governed, eventually};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

/// How long the scheduler and the controllers may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Declares a landing zone and waits until pods can be created in its namespace.
pub async fn settle(governed: &Governed, name: &str, spec: Value) -> Result<()> {
    governed.converge(name, spec).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(governed.client(), name);
    eventually(PATIENCE, "the default service account", async || {
        Ok(accounts.get_opt("default").await?)
    })
    .await
    .map(drop)
}

/// A pod's spec with one container, and more.
pub fn pod_spec(more: Value) -> Value {
    let mut spec = json!({"containers": [{"name": "app", "image": "example.invalid/app:1"}]});
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    spec
}

/// A workload of a kind whose pods have this spec.
pub fn workload(kind: &str, name: &str, pods: u32, spec: Value) -> Value {
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": spec});
    let selector = json!({"matchLabels": {"app": name}});
    let (api, spec) = match kind {
        "Pod" => ("v1", spec),
        "Job" => {
            let mut template = template;
            template["spec"]["restartPolicy"] = json!("Never");
            (
                "batch/v1",
                json!({"completions": pods, "parallelism": pods, "template": template}),
            )
        }
        "CronJob" => {
            let mut template = template;
            template["spec"]["restartPolicy"] = json!("Never");
            let job = json!({"spec": {"template": template}});
            (
                "batch/v1",
                json!({"schedule": "0 0 1 1 *", "jobTemplate": job}),
            )
        }
        "DaemonSet" => (
            "apps/v1",
            json!({"selector": selector, "template": template}),
        ),
        "StatefulSet" => (
            "apps/v1",
            json!({
                "replicas": pods, "selector": selector, "serviceName": name, "template": template,
                "podManagementPolicy": "Parallel",
            }),
        ),
        _ => (
            "apps/v1",
            json!({"replicas": pods, "selector": selector, "template": template}),
        ),
    };
    json!({
        "apiVersion": api, "kind": kind,
        "metadata": {"name": name, "labels": {"app": name}}, "spec": spec,
    })
}

/// Creates a workload as somebody with all rights on workloads, and none on landing zones.
pub async fn create(
    governed: &Governed,
    namespace: &str,
    manifest: Value,
) -> Result<kube::Result<DynamicObject>> {
    let (version, kind) = (manifest["apiVersion"].clone(), manifest["kind"].clone());
    let (version, kind) = (
        version.as_str().context("no version")?,
        kind.as_str().context("no kind")?,
    );
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api = Api::<DynamicObject>::namespaced_with(governed.client(), namespace, &resource);
    let object = serde_json::from_value(manifest)?;
    Ok(api.create(&PostParams::default(), &object).await)
}

/// What a creation was refused with, which must say all of that.
pub async fn is_refused(
    governed: &Governed,
    namespace: &str,
    manifest: Value,
    words: &[&str],
) -> Result<()> {
    let what = format!("{} {}", manifest["kind"], manifest["metadata"]["name"]);
    match create(governed, namespace, manifest).await? {
        Err(kube::Error::Api(status)) => {
            for word in words {
                ensure!(
                    status.message.contains(word),
                    "{what}: {:?} lacks {word:?}",
                    status.message
                );
            }
            Ok(())
        }
        Err(error) => Err(error).context(what),
        Ok(_) => bail!("{what} was created"),
    }
}

/// Waits until all pods of a workload have nodes, and returns these, one for each pod.
pub async fn nodes_of(
    governed: &Governed,
    namespace: &str,
    name: &str,
    pods: usize,
) -> Result<Vec<String>> {
    let api: Api<Pod> = Api::namespaced(governed.client(), namespace);
    let selector = ListParams::default().labels(&format!("app={name}"));
    let what = format!("{pods} pods of {namespace}/{name} to be placed");
    eventually(PATIENCE, &what, async || {
        let found = api.list(&selector).await?.items;
        let nodes = found.iter().map(|pod| pod.spec.as_ref()?.node_name.clone());
        let nodes: Option<Vec<_>> = nodes.collect();
        let why: Vec<_> = found.iter().filter_map(waits).collect();
        let nodes = nodes.with_context(|| format!("{why:?}"))?;
        ensure!(nodes.len() == pods, "they are on {nodes:?}");
        Ok(Some(nodes))
    })
    .await
}

/// All pods of a workload are on these nodes only.
pub async fn are_on(
    governed: &Governed,
    namespace: &str,
    manifest: Value,
    pods: usize,
    pool: &str,
) -> Result<Vec<String>> {
    let name = manifest["metadata"]["name"]
        .as_str()
        .context("no name")?
        .to_owned();
    create(governed, namespace, manifest).await??;
    let nodes = nodes_of(governed, namespace, &name, pods).await?;
    let strangers: BTreeSet<_> = nodes
        .iter()
        .filter(|node| !node.starts_with(pool))
        .collect();
    ensure!(
        strangers.is_empty(),
        "{namespace}/{name} is on {strangers:?}"
    );
    Ok(nodes)
}

/// The scheduler finds no node for a pod.
pub async fn waits_for_ever(governed: &Governed, namespace: &str, name: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(governed.client(), namespace);
    let what = format!("the pod {namespace}/{name} to be turned away");
    eventually(PATIENCE, &what, async || {
        let pod = pods.get(name).await?;
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
        ensure!(node.is_none(), "{} is on {node:?}", pod.name_any());
        Ok(waits(&pod))
    })
    .await
    .map(drop)
}

/// Why a pod has no node, once the scheduler has looked.
fn waits(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|it| it.type_ == "PodScheduled")?;
    (scheduled.reason.as_deref() == Some("Unschedulable"))
        .then(|| scheduled.message.clone().unwrap_or_default())
}
