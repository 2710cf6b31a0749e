//! What holds whichever mechanism puts placement into pods.

use anyhow::{Context, Result, ensure};
use e2e::Governed;
use e2e::binaries::{OperatorBinaries, Profile};
use e2e::eventually;
use e2e::governed::{CONVERGED, condition};
use e2e::process::{command_that_dies_with_us, spawn};
use e2e::shop::Shop;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::pools::{Pools, SYSTEM, placed, tenant};
use super::workload::{
    are_on, create, is_refused, nodes_of, pod_spec, settle, waits_for_ever, workload,
};

/// Every kind of workload, without a word about nodes.
pub async fn every_workload_is_on_the_nodes_of_its_landing_zone(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    settle(governed, "plain", placed("plain", &tenant("tenant1"))).await?;
    for (kind, pods) in [
        ("Pod", 1),
        ("Deployment", 3),
        ("StatefulSet", 2),
        ("Job", 2),
    ] {
        let manifest = workload(kind, &kind.to_lowercase(), pods, pod_spec(json!({})));
        are_on(
            governed,
            "plain",
            manifest,
            usize::try_from(pods)?,
            "tenant1-",
        )
        .await?;
    }
    // A priority puts a pod before others, not elsewhere.
    let class = json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": "urgent"}, "value": 1_000_000,
    });
    e2e::install::apply_objects(&governed.client(), vec![serde_json::from_value(class)?]).await?;
    let urgent = pod_spec(json!({"priorityClassName": "urgent"}));
    // Admission hears of a new class a moment later.
    eventually(CONVERGED, "a pod of the new priority", async || {
        let urgent = workload("Pod", "urgent", 1, urgent.clone());
        Ok(Some(create(governed, "plain", urgent).await??))
    })
    .await?;
    let nodes = nodes_of(governed, "plain", "urgent", 1).await?;
    ensure!(nodes[0].starts_with("tenant1-"), "{nodes:?}");
    Ok(())
}

/// Required terms are alternatives; bringing one's own is no way out.
pub async fn its_own_affinity_takes_no_pod_elsewhere(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    settle(governed, "affine", placed("affine", &tenant("tenant1"))).await?;
    let terms = |terms: Value| {
        let required = json!({"nodeSelectorTerms": terms});
        let affinity = json!({"requiredDuringSchedulingIgnoredDuringExecution": required});
        pod_spec(json!({"affinity": {"nodeAffinity": affinity}}))
    };
    let pool = |name: &str| json!({"matchExpressions": [{"key": "stack", "operator": "In", "values": [name]}]});
    let named = |name: &str| json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]});
    let several = terms(json!([pool("shared"), pool("tenant1"), named("tenant2-1")]));
    are_on(
        governed,
        "affine",
        workload("Deployment", "several", 3, several),
        3,
        "tenant1-",
    )
    .await?;
    let zone = json!({"matchExpressions": [
        {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["westeurope-3"]},
    ]});
    let within = workload("Pod", "within", 1, terms(json!([zone])));
    are_on(governed, "affine", within, 1, "tenant1-3").await?;
    for (name, against) in [
        ("elsewhere", terms(json!([pool("shared")]))),
        (
            "by-name",
            terms(json!([named("shared-1"), pool("tenant2")])),
        ),
        ("nowhere", terms(json!([{}]))),
    ] {
        create(governed, "affine", workload("Pod", name, 1, against)).await??;
        waits_for_ever(governed, "affine", name).await?;
    }
    Ok(())
}

/// What would lead elsewhere, with the words of the refusal; those of AKS's plugins come before ours.
fn ways_out() -> Vec<(&'static str, Value, &'static str)> {
    let tolerates = |it: Value| pod_spec(json!({ "tolerations": [it] }));
    vec![
        (
            "named",
            pod_spec(json!({"nodeName": "system-1"})),
            ".nodeName is system-1",
        ),
        (
            "system",
            tolerates(json!({"key": SYSTEM, "operator": "Exists"})),
            "tolerat",
        ),
        (
            "everything",
            tolerates(json!({"operator": "Exists"})),
            "tolerat",
        ),
        (
            "other-pool",
            tolerates(json!({"key": "stack", "value": "tenant2", "effect": "NoSchedule"})),
            "tolerat",
        ),
        (
            "any-value",
            tolerates(json!({"key": "stack", "operator": "Exists", "effect": "NoSchedule"})),
            "tolerat",
        ),
        // What is requested is tolerated by itself; nothing of it is nothing requested.
        (
            "device",
            json!({
                "containers": [{
                    "name": "app", "image": "example.invalid/app:1",
                    "resources": {
                        "requests": {"example.com/pool": "0"}, "limits": {"example.com/pool": "0"},
                    },
                }],
                "tolerations": [{"key": "example.com/pool", "operator": "Exists"}],
            }),
            "tolerat",
        ),
        // What every node has is no device.
        (
            "memory",
            json!({
                "containers": [{
                    "name": "app", "image": "example.invalid/app:1",
                    "resources": {"requests": {"memory": "1Mi"}},
                }],
                "tolerations": [{"key": "memory", "operator": "Exists"}],
            }),
            "tolerat",
        ),
        (
            "selector",
            pod_spec(json!({"nodeSelector": {"stack": "tenant2"}})),
            "elector",
        ),
    ]
}

pub async fn what_leads_elsewhere_is_refused(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    settle(governed, "fenced", placed("fenced", &tenant("tenant1"))).await?;
    for (name, spec, words) in ways_out() {
        is_refused(governed, "fenced", workload("Pod", name, 1, spec), &[words]).await?;
    }
    // What is declared may be said again, and more may be asked for.
    let same = pod_spec(json!({
        "tolerations": [
            {"key": "stack", "operator": "Equal", "value": "tenant1", "effect": "NoSchedule"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
             "tolerationSeconds": 10},
        ],
        "nodeSelector": {"stack": "tenant1", "topology.kubernetes.io/zone": "westeurope-2"},
    }));
    let same = workload("Pod", "same", 1, same);
    are_on(governed, "fenced", same, 1, "tenant1-2").await?;

    // A toleration is the one thing that can be added to a pod that runs.
    let pods = Api::<k8s_openapi::api::core::v1::Pod>::namespaced(governed.client(), "fenced");
    let pod = pods.get("same").await?;
    let mut tolerations = json!(pod.spec.and_then(|spec| spec.tolerations));
    let system = json!({"key": SYSTEM, "operator": "Exists"});
    tolerations
        .as_array_mut()
        .context("it has no tolerations")?
        .push(system);
    let added = Patch::Merge(json!({"spec": {"tolerations": tolerations}}));
    match pods.patch("same", &PatchParams::default(), &added).await {
        Err(kube::Error::Api(status)) => {
            ensure!(status.message.contains("tolerat"), "{}", status.message);
        }
        other => anyhow::bail!("a toleration was added afterwards: {other:?}"),
    }
    // and what it has it keeps through other changes.
    let label = Patch::Merge(json!({"metadata": {"labels": {"seen": "yes"}}}));
    pods.patch("same", &PatchParams::default(), &label).await?;
    Ok(())
}

/// Whoever writes a template hears of it at once, with the landing zone and whom to ask.
pub async fn what_leads_elsewhere_is_refused_in_templates(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    settle(
        governed,
        "templates",
        placed("templates", &tenant("tenant1")),
    )
    .await?;
    let ours = ["landing zone templates", "contact: platform@example.com"];
    for kind in ["Deployment", "StatefulSet", "Job", "CronJob"] {
        let path = if kind == "CronJob" {
            "spec.jobTemplate.spec.template.spec."
        } else {
            "spec.template.spec."
        };
        for (name, spec, words) in ways_out() {
            let words = [ours.as_slice(), &[words, path]].concat();
            is_refused(governed, "templates", workload(kind, name, 1, spec), &words).await?;
        }
        let fine = workload(kind, &kind.to_lowercase(), 1, pod_spec(json!({})));
        create(governed, "templates", fine).await??;
    }
    Ok(())
}

pub async fn two_landing_zones_share_a_pool(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    for name in ["flat", "mate"] {
        settle(governed, name, placed(name, &tenant("tenant2"))).await?;
        let manifest = workload("Deployment", "web", 2, pod_spec(json!({})));
        are_on(governed, name, manifest, 2, "tenant2-1").await?;
    }
    Ok(())
}

pub async fn placement_that_is_removed_is_gone(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    settle(governed, "freed", placed("freed", &tenant("tenant2"))).await?;
    let before = workload("Pod", "before", 1, pod_spec(json!({})));
    are_on(governed, "freed", before, 1, "tenant2-").await?;
    let removed =
        Patch::Merge(json!({"spec": {"placement": {"nodeSelector": null, "tolerations": null}}}));
    governed
        .zones()
        .patch("freed", &PatchParams::default(), &removed)
        .await?;
    governed.ready("freed").await?;
    // The API server hears of a namespace's change a moment later.
    let shared = pod_spec(json!({"nodeSelector": {"stack": "shared"}}));
    eventually(CONVERGED, "another pool to be open", async || {
        let after = workload("Pod", "after", 1, shared.clone());
        Ok(Some(create(governed, "freed", after).await??))
    })
    .await?;
    let nodes = nodes_of(governed, "freed", "after", 1).await?;
    ensure!(nodes[0].starts_with("shared-"), "{nodes:?}");
    // The taints of others keep it away from their pools all the same.
    let free = workload("Deployment", "free", 3, pod_spec(json!({})));
    are_on(governed, "freed", free, 3, "shared-").await?;
    let system = pod_spec(json!({"tolerations": [{"key": SYSTEM, "operator": "Exists"}]}));
    is_refused(
        governed,
        "freed",
        workload("Pod", "system", 1, system),
        &[SYSTEM, "freed"],
    )
    .await
}

pub async fn a_landing_zone_without_placement_is_where_the_platform_says(
    pools: &Pools,
) -> Result<()> {
    let governed = &pools.0;
    settle(governed, "unplaced", placed("unplaced", &Value::Null)).await?;
    let manifest = workload("Deployment", "web", 3, pod_spec(json!({})));
    are_on(governed, "unplaced", manifest, 3, "shared-").await?;
    let tenant = pod_spec(json!({"nodeSelector": {"pool": "tenant1"}}));
    is_refused(
        governed,
        "unplaced",
        workload("Pod", "tenant", 1, tenant),
        &["elector"],
    )
    .await
}

/// However many landing zones there are, the API server evaluates the same few policies.
pub async fn one_more_landing_zone_adds_no_admission_policy(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    let policies = async || {
        let mut names = Vec::new();
        for kind in [
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
            "MutatingWebhookConfiguration",
        ] {
            let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
            let resource = ApiResource::from_gvk(&kind);
            let api = Api::<DynamicObject>::all_with(governed.client(), &resource);
            let found = api.list(&ListParams::default()).await?;
            names.extend(found.items.iter().map(ResourceExt::name_any));
        }
        anyhow::Ok(names)
    };
    let before = policies().await?;
    settle(governed, "more", placed("more", &tenant("tenant1"))).await?;
    let after = policies().await?;
    ensure!(
        before == after && before.len() > 1,
        "{before:?}, then {after:?}"
    );
    Ok(())
}

/// Whether it is in force is shown by a pod that the API server does not keep, once for all landing zones with
/// the same placement.
pub async fn what_is_in_force_is_shown_once(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    let mut placement = tenant("tenant2");
    placement["nodeSelector"]["pool"] = json!("tenant2");
    let log = governed.cluster.audit_log();
    let mark = log.mark()?;
    for name in ["shown", "told"] {
        settle(governed, name, placed(name, &placement)).await?;
        let is_told = governed.condition(name, "PlacementEnforced", "True", "AddedToPods");
        is_told.await?;
    }
    let requests = log.requests_by(governed.operator_user(), mark)?;
    let tests = |namespace: &str| {
        let tests = requests
            .iter()
            .filter(|it| it.resource == "pods" && it.namespace == namespace);
        ensure!(
            tests
                .clone()
                .all(|it| it.request_uri.contains("dryRun=All")),
            "{:?}",
            tests.collect::<Vec<_>>()
        );
        anyhow::Ok(tests.count())
    };
    ensure!(tests("shown")? > 0 && tests("told")? == 0, "{requests:?}");
    Ok(())
}

/// The right to create pods is good for nothing else, whoever has the operator's token.
pub async fn the_operator_creates_no_pods(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    let operator = governed
        .cluster
        .kubeconfig_for_service_account("landing-zone-system", "landing-zone-operator")
        .await?
        .client()
        .await?;
    settle(governed, "empty", placed("empty", &tenant("tenant1"))).await?;
    let pods = Api::<k8s_openapi::api::core::v1::Pod>::namespaced(operator, "empty");
    let pod = serde_json::from_value(workload("Pod", "pod", 1, pod_spec(json!({}))))?;
    for dry_run in [true, false] {
        let params = PostParams {
            dry_run,
            ..PostParams::default()
        };
        match pods.create(&params, &pod).await {
            Ok(_) => ensure!(dry_run, "it created a pod"),
            Err(kube::Error::Api(status)) => {
                ensure!(
                    !dry_run && status.message.contains("creates no pods"),
                    "{}",
                    status.message
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether there are nodes for it, and in enough availability zones.
pub async fn the_nodes_that_it_admits_are_looked_at(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    let wants = |placement: Value, zones: u8| {
        let mut placement = placement;
        placement["minAvailabilityZones"] = json!(zones);
        placement
    };
    for (name, placement, reason, words) in [
        ("zonal", wants(tenant("tenant1"), 3), "AddedToPods", ""),
        (
            "flat-zonal",
            wants(tenant("tenant2"), 2),
            "FewAvailabilityZones",
            "1 availability zones (westeurope-1), and minAvailabilityZones asks for 2",
        ),
        // The taint keeps it away, whatever its labels say.
        (
            "untolerated",
            json!({"nodeSelector": {"stack": "tenant1"}}),
            "NoNode",
            "no node has what it asks for",
        ),
        (
            "awaiting",
            json!({"nodeSelector": {"stack": "late"}}),
            "NoNode",
            "no node has what it asks for",
        ),
    ] {
        governed.converge(name, placed(name, &placement)).await?;
        let told = governed.condition(name, "PlacementEnforced", "True", reason);
        let status = told.await?.status.context("no status")?;
        let (.., message) = condition(&status, "PlacementEnforced").context("not told")?;
        ensure!(message.contains(words), "{message}");
        if reason != "AddedToPods" {
            let shop = Shop::visit(governed, name).await?;
            shop.event("PlacementWarning", &[words]).await?;
        }
    }
    let labels = [("stack", "late")];
    governed.cluster.create_node("late-1", &labels, &[]).await?;
    let told = governed.condition("awaiting", "PlacementEnforced", "True", "AddedToPods");
    told.await.map(drop)
}

/// In stage Observe nobody is refused, and everybody is told.
pub async fn in_stage_observe_ways_out_are_warned_of(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    let mut spec = placed("watched", &tenant("tenant1"));
    spec["stage"] = json!("Observe");
    settle(governed, "watched", spec).await?;
    let tolerant = json!({"tolerations": [{"key": SYSTEM, "operator": "Exists"}]});
    for (name, spec, words) in [
        (
            "named",
            json!({"nodeName": "system-1"}),
            "nodeName is system-1",
        ),
        ("system", tolerant, SYSTEM),
        ("plain", json!({}), ""),
    ] {
        let pod = workload("Pod", name, 1, pod_spec(spec));
        let request = http::Request::post("/api/v1/namespaces/watched/pods")
            .header("content-type", "application/json")
            .body(kube::client::Body::from(serde_json::to_vec(&pod)?))?;
        let answer = governed.client().send(request).await?;
        ensure!(answer.status().is_success(), "{name}: {}", answer.status());
        let warning = answer.headers().get("warning");
        let warning = warning.map_or(Ok(""), |warning| warning.to_str())?;
        ensure!(warning.contains(words), "{name}: {warning:?}");
        ensure!(
            warning.contains("watched") != words.is_empty(),
            "{name}: {warning:?}"
        );
    }
    let told = governed.condition("watched", "PlacementEnforced", "False", "Observed");
    told.await.map(drop)
}

/// Pods that were there before stay where they are, and are counted.
pub async fn pods_elsewhere_are_told(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    settle(governed, "moved", placed("moved", &tenant("tenant2"))).await?;
    let before = workload("Deployment", "before", 2, pod_spec(json!({})));
    are_on(governed, "moved", before, 2, "tenant2-").await?;
    let told = status(governed, "moved").await?;
    ensure!(
        told.contains("2 run, all on nodes that the placement admits"),
        "{told}"
    );
    let moved = Patch::Merge(json!({"spec": {"placement": tenant("tenant1")}}));
    governed
        .zones()
        .patch("moved", &PatchParams::default(), &moved)
        .await?;
    governed.ready("moved").await?;
    let told = status(governed, "moved").await?;
    ensure!(
        told.contains("2 run, 2 of them on nodes that the placement does not admit")
            && told.contains("moved/before-")
            && told.contains(" on tenant2-1"),
        "{told}"
    );
    for words in [
        "PlacementEnforced True AddedToPods:",
        "Ready moved, zone web",
    ] {
        ensure!(told.contains(words), "{told}");
    }
    let unknown = status(governed, "nobody").await;
    let why = unknown
        .err()
        .context("a landing zone that is not there has a status")?;
    ensure!(
        why.to_string().contains("there is no landing zone nobody"),
        "{why}"
    );
    Ok(())
}

/// What `kubectl landingzone status` prints.
async fn status(governed: &Governed, name: &str) -> Result<String> {
    let build = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test));
    let mut command = command_that_dies_with_us(&build.await??.plugin);
    command
        .args(["status", name])
        .env("KUBECONFIG", governed.cluster.kubeconfig().path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = spawn(command)?;
    let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await??;
    ensure!(
        output.status.code() != Some(2),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Without the lines of the tree, and where its lines end.
    let told = String::from_utf8(output.stdout)?;
    let words = told
        .split_whitespace()
        .filter(|it| !["|", "|-", "`-"].contains(it));
    Ok(words.collect::<Vec<_>>().join(" "))
}
