//! What only the `MutatingAdmissionPolicy` does.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::eventually;
use e2e::governed::condition;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::suite::pools::{Pools, placed, tenant};
use crate::suite::workload::{
    are_on, create, nodes_of, pod_spec, settle, waits_for_ever, workload,
};

pub async fn a_daemon_set_runs_on_every_node_of_the_pool(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    settle(governed, "daemons", placed("daemons", &tenant("tenant1"))).await?;
    let manifest = workload("DaemonSet", "agent", 0, pod_spec(json!({})));
    are_on(governed, "daemons", manifest, 3, "tenant1-").await?;
    // Changed, it stays there.
    let daemons: Api<DaemonSet> = Api::namespaced(governed.client(), "daemons");
    let bare = json!({"spec": {"template": {"spec": {"nodeSelector": null, "tolerations": null}}}});
    let agent = daemons
        .patch("agent", &PatchParams::default(), &Patch::Merge(bare))
        .await?;
    let template = agent
        .spec
        .and_then(|spec| spec.template.spec)
        .context("no template")?;
    let selector = template.node_selector.unwrap_or_default();
    ensure!(
        selector.get("stack").is_some_and(|it| it == "tenant1"),
        "{selector:?}"
    );
    ensure!(template.tolerations.is_some_and(|it| it.len() == 1));
    Ok(())
}

/// A placement of several pools and some availability zones.
fn several() -> Value {
    json!({
        "nodeAffinity": [
            {"key": "stack", "operator": "In", "values": ["tenant2", "tenant1"]},
            {"key": "topology.kubernetes.io/zone", "operator": "NotIn", "values": ["westeurope-3"]},
            {"key": "pool", "operator": "Exists"},
        ],
        "tolerations": [{"key": "stack", "operator": "Exists"}],
    })
}

pub async fn a_rule_goes_into_every_term(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    settle(governed, "terms", placed("terms", &several())).await?;
    let nodes = are_on(
        governed,
        "terms",
        workload("Deployment", "plain", 6, pod_spec(json!({}))),
        6,
        "tenant",
    )
    .await?;
    ensure!(!nodes.iter().any(|node| node == "tenant1-3"), "{nodes:?}");
    let terms = |terms: Value| {
        let required = json!({"nodeSelectorTerms": terms});
        pod_spec(json!({"affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required},
            "podAntiAffinity": {},
        }}))
    };
    let key = |key: &str, value: &str| json!({"key": key, "operator": "In", "values": [value]});
    let own = terms(json!([
        {"matchExpressions": [key("stack", "shared")]},
        {"matchFields": [key("metadata.name", "tenant1-3")]},
        {"matchFields": [key("metadata.name", "tenant1-2")], "matchExpressions": [key("pool", "tenant1")]},
    ]));
    are_on(
        governed,
        "terms",
        workload("Pod", "own", 1, own),
        1,
        "tenant1-2",
    )
    .await?;
    for (name, against) in [
        (
            "elsewhere",
            terms(json!([{"matchExpressions": [key("stack", "shared")]}])),
        ),
        (
            "by-name",
            terms(json!([{"matchFields": [key("metadata.name", "tenant1-3")]}])),
        ),
        ("nothing", terms(json!([{}]))),
    ] {
        create(governed, "terms", workload("Pod", name, 1, against)).await??;
        waits_for_ever(governed, "terms", name).await?;
    }
    // A pod that waits at a gate may be narrowed afterwards, not widened.
    let gated = pod_spec(json!({"schedulingGates": [{"name": "example.com/gate"}]}));
    create(governed, "terms", workload("Pod", "gated", 1, gated)).await??;
    let pods: Api<Pod> = Api::namespaced(governed.client(), "terms");
    let affinity = |pod: Pod| pod.spec.and_then(|spec| spec.affinity);
    let before = affinity(pods.get("gated").await?);
    ensure!(before.is_some(), "it has no affinity");
    let bare = Patch::Merge(json!({"spec": {"affinity": null}}));
    let answer = pods.patch("gated", &PatchParams::default(), &bare).await;
    // It is put back, or the patch refused.
    let is_invalid = |error: &kube::Error| matches!(error, kube::Error::Api(it) if it.code == 422);
    ensure!(answer.as_ref().err().is_none_or(is_invalid), "{answer:?}");
    let now = affinity(pods.get("gated").await?);
    ensure!(now == before, "its affinity was taken away: {now:?}");
    Ok(())
}

/// Created where nothing was in force yet, it gets its placement when it begins to be scheduled.
pub async fn a_pod_at_a_gate_does_not_get_by(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    let mut placement = tenant("tenant1");
    placement["nodeAffinity"] = json!([{"key": "pool", "operator": "In", "values": ["tenant1"]}]);
    let mut spec = placed("gates", &placement);
    spec["stage"] = json!("Observe");
    settle(governed, "gates", spec).await?;
    let gated = pod_spec(json!({"schedulingGates": [{"name": "example.com/gate"}]}));
    for name in ["opened", "hostile"] {
        create(governed, "gates", workload("Pod", name, 1, gated.clone())).await??;
    }
    let enforced = Patch::Merge(json!({"spec": {"stage": "Enforce"}}));
    let zones = governed.zones();
    zones
        .patch("gates", &PatchParams::default(), &enforced)
        .await?;
    governed
        .condition("gates", "PlacementEnforced", "True", "AddedToPods")
        .await?;

    let pods: Api<Pod> = Api::namespaced(governed.client(), "gates");
    let opened = Patch::Merge(json!({"spec": {"schedulingGates": null}}));
    pods.patch("opened", &PatchParams::default(), &opened)
        .await?;
    let nodes = nodes_of(governed, "gates", "opened", 1).await?;
    ensure!(nodes[0].starts_with("tenant1-"), "{nodes:?}");
    let hostile = Patch::Merge(json!({"spec": {
        "schedulingGates": null, "nodeSelector": {"kubernetes.io/hostname": "shared-1"},
    }}));
    pods.patch("hostile", &PatchParams::default(), &hostile)
        .await?;
    waits_for_ever(governed, "gates", "hostile").await
}

/// What was put into its template goes, and what belongs there now comes, with the next change of the `DaemonSet`.
pub async fn a_daemon_set_follows_its_placement(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    let with_affinity = |pool: &str| {
        let mut placement = tenant(pool);
        placement["nodeAffinity"] = json!([{"key": "pool", "operator": "In", "values": [pool]}]);
        placement
    };
    settle(
        governed,
        "follows",
        placed("follows", &with_affinity("tenant1")),
    )
    .await?;
    let _kubelet = governed.cluster.run_pods("follows");
    // Some of it is the team's own.
    let own = json!({
        "nodeSelector": {"kubernetes.azure.com/mode": "user"},
        "tolerations": [{"key": "node.kubernetes.io/network-unavailable", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "Exists"}]},
        ]}}},
    });
    for (name, spec) in [("own", own.clone()), ("plain", json!({}))] {
        let manifest = workload("DaemonSet", name, 0, pod_spec(spec));
        are_on(governed, "follows", manifest, 3, "tenant1-").await?;
    }
    let daemons: Api<DaemonSet> = Api::namespaced(governed.client(), "follows");
    let zones = governed.zones();
    for (placement, pool, count) in [
        (with_affinity("tenant2"), "tenant2-", 1),
        (tenant("tenant1"), "tenant1-", 3),
        (json!({"nodeSelector": {"pool": "shared"}}), "shared-", 2),
    ] {
        zones
            .patch(
                "follows",
                &PatchParams::default(),
                &Patch::Merge(json!({"spec": {"placement": null}})),
            )
            .await?;
        let moved = Patch::Merge(json!({"spec": {"placement": placement}}));
        zones
            .patch("follows", &PatchParams::default(), &moved)
            .await?;
        governed
            .condition("follows", "PlacementEnforced", "True", "AddedToPods")
            .await?;
        governed.ready("follows").await?;
        for name in ["own", "plain"] {
            daemons.restart(name).await?;
        }
        for name in ["own", "plain"] {
            let what = format!("the pods of {name} to be on {count} nodes of {pool}");
            eventually(Duration::from_mins(1), &what, async || {
                let nodes = nodes_of(governed, "follows", name, count).await?;
                ensure!(nodes.iter().all(|it| it.starts_with(pool)), "{nodes:?}");
                Ok(Some(()))
            })
            .await?;
        }
    }
    let own_now = daemons
        .get("own")
        .await?
        .spec
        .context("no spec")?
        .template
        .spec;
    let own_now = serde_json::to_value(own_now.context("no template")?)?;
    for field in ["tolerations", "affinity"] {
        ensure!(own_now[field] == own[field], "{field}: {}", own_now[field]);
    }
    let plain = daemons
        .get("plain")
        .await?
        .spec
        .context("no spec")?
        .template
        .spec;
    let plain = plain.context("no template")?;
    ensure!(plain.node_selector.is_some_and(|it| it.len() == 1));
    ensure!(plain.tolerations.is_none_or(|it| it.is_empty()));
    let affinity = plain.affinity.and_then(|it| it.node_affinity);
    ensure!(affinity.is_none_or(|it| {
        it.required_during_scheduling_ignored_during_execution
            .is_none()
    }));
    Ok(())
}

pub async fn pods_spread_over_availability_zones(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    let mut placement = tenant("tenant1");
    placement["spread"] = json!({"whenUnsatisfiable": "DoNotSchedule"});
    settle(governed, "spread", placed("spread", &placement)).await?;
    for kind in ["Deployment", "StatefulSet", "Job"] {
        let manifest = workload(kind, &kind.to_lowercase(), 6, pod_spec(json!({})));
        let nodes = are_on(governed, "spread", manifest, 6, "tenant1-").await?;
        let mut counts = BTreeMap::<_, u32>::new();
        for node in &nodes {
            *counts.entry(node).or_default() += 1;
        }
        ensure!(
            counts.values().all(|count| *count == 2) && counts.len() == 3,
            "{kind}: {counts:?}"
        );
    }
    // Neither a single pod nor a DaemonSet has anything to spread.
    let single = workload("Pod", "single", 1, pod_spec(json!({})));
    are_on(governed, "spread", single, 1, "tenant1-").await?;
    let daemons = workload("DaemonSet", "daemons", 0, pod_spec(json!({})));
    are_on(governed, "spread", daemons, 3, "tenant1-").await?;
    Ok(())
}

/// What a pod says already is not said again, and the policy may run twice.
pub async fn the_policy_adds_nothing_twice(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    let mut placement = several();
    placement["nodeSelector"] = json!({"kubernetes.azure.com/mode": "user"});
    placement["spread"] = json!({"whenUnsatisfiable": "ScheduleAnyway"});
    settle(governed, "twice", placed("twice", &placement)).await?;
    create(
        governed,
        "twice",
        workload("Pod", "once", 1, pod_spec(json!({}))),
    )
    .await??;
    let pods: Api<Pod> = Api::namespaced(governed.client(), "twice");
    let once = pods.get("once").await?.spec.context("no spec")?;
    let again = json!({
        "containers": [{"name": "app", "image": "example.invalid/app:1"}],
        "nodeSelector": once.node_selector, "tolerations": once.tolerations, "affinity": once.affinity,
    });
    create(governed, "twice", workload("Pod", "again", 1, again)).await??;
    let again = pods.get("again").await?.spec.context("no spec")?;
    ensure!(
        again.node_selector == once.node_selector,
        "{:?}",
        again.node_selector
    );
    ensure!(
        again.tolerations == once.tolerations,
        "{:?}",
        again.tolerations
    );
    ensure!(again.affinity == once.affinity, "{:?}", again.affinity);
    // A pod that is changed later is left as it is.
    let label = Patch::Merge(json!({"metadata": {"labels": {"seen": "yes"}}}));
    pods.patch("again", &PatchParams::default(), &label).await?;
    Ok(())
}

/// Where nothing enforces placement nothing pretends to; and what is installed later is noticed.
pub async fn without_plugins_and_policy_it_says_so(_: &Pools) -> Result<()> {
    let governed = Pools::bare().await?;
    governed
        .declare("bare", placed("bare", &tenant("tenant1")))
        .await?;
    let told = governed
        .condition("bare", "PlacementEnforced", "False", "NotAddedToPods")
        .await?;
    let status = told.status.context("no status")?;
    let (.., message) = condition(&status, "PlacementEnforced").context("not told")?;
    for words in [
        "the node selector stack=tenant1; the toleration of stack",
        "config/placement",
    ] {
        ensure!(message.contains(words), "{message}");
    }
    governed
        .condition("bare", "Ready", "False", "NotAddedToPods")
        .await?;
    Pools::install_policy(&governed).await?;
    let what = "the policy to be noticed";
    eventually(Duration::from_secs(90), what, async || {
        let zone = governed.zones().get("bare").await?;
        let status = zone.status.context("no status")?;
        let (state, ..) = condition(&status, "Ready").context("not told")?;
        Ok((state == "True").then_some(()))
    })
    .await?;
    governed
        .condition("bare", "PlacementEnforced", "True", "AddedToPods")
        .await?;

    // Without the right to ask nobody knows, and everything else goes on.
    let roles: Api<ClusterRole> = Api::all(governed.client());
    let mut role = roles.get("landing-zone-operator").await?;
    let is_of_pods = |rule: &PolicyRule| {
        rule.resources
            .as_ref()
            .is_some_and(|it| it.contains(&"pods".to_owned()))
    };
    role.rules
        .get_or_insert_default()
        .retain(|rule| !is_of_pods(rule));
    roles
        .replace("landing-zone-operator", &PostParams::default(), &role)
        .await?;
    governed
        .declare("blind", placed("blind", &tenant("tenant2")))
        .await?;
    let told = governed
        .condition("blind", "PlacementEnforced", "Unknown", "TestRefused")
        .await?;
    let status = told.status.context("no status")?;
    let (.., message) = condition(&status, "PlacementEnforced").context("not told")?;
    ensure!(message.contains("cannot create resource"), "{message}");
    governed.ready("blind").await?;
    governed.stop().await
}

/// A device is tolerated by whoever requests some of it, in whichever container; `ways_out` has those who request
/// nothing of it.
pub async fn whoever_requests_a_device_tolerates_it(pools: &Pools) -> Result<()> {
    let governed = &pools.0;
    settle(governed, "devices", placed("devices", &tenant("tenant1"))).await?;
    let device = json!({"resources": {
        "requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "1"},
    }});
    let device = |name: &str| {
        let mut container = device.clone();
        container["name"] = json!(name);
        container["image"] = json!("example.invalid/app:1");
        container
    };
    let tolerated =
        json!([{"key": "example.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]);
    for (name, spec) in [
        (
            "device",
            json!({"containers": [device("app")], "tolerations": tolerated}),
        ),
        (
            "device-first",
            json!({"initContainers": [device("first")], "tolerations": tolerated}),
        ),
    ] {
        let pod = workload("Pod", name, 1, pod_spec(spec));
        create(governed, "devices", pod).await?.context(name)?;
    }
    Ok(())
}
