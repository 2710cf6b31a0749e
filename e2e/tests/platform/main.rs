//! What holds for the whole cluster, declared by a `LandingZonePlatform`.

mod addresses;
mod defaults;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::governed::CONVERGED;
use e2e::scenario;
use e2e::shop::{PATIENCE, Shop};
use e2e::{Calico, Governed, OperatorOptions, OperatorProcess, eventually, holds_for, scenarios};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, CustomResourceExt};
use landing_zone_operator::api::{LandingZonePlatform, LandingZonePlatformStatus};
use serde_json::{Value, json};

mod default_deny;

use addresses::{
    ranges_of_pods_come_from_calico_s_pools, ranges_of_pods_come_from_native_pools,
    ranges_of_pods_come_from_nodes_without_pools, the_address_of_dns_is_followed,
};
use default_deny::{
    a_policy_of_somebody_else_is_left_alone, exemptions_that_find_no_room_are_told,
    observe_is_staged_where_calico_can, observe_records_only_where_nobody_decides,
    observe_says_what_enforce_would_refuse, the_default_deny_comes_and_goes,
    the_operator_does_not_cut_itself_off, what_the_api_server_calls_is_not_cut_off,
    with_its_platform_the_default_deny_goes, with_tiers_long_lists_pass_before_the_deny,
    without_calico_it_is_refused,
};
use defaults::{
    a_landing_zone_without_required_labels_is_refused, what_a_landing_zone_leaves_out_is_filled_in,
};

/// Each starts a cluster of its own.
const LONG: Duration = Duration::from_mins(3);

fn platforms(governed: &Governed) -> Api<LandingZonePlatform> {
    Api::all(governed.client())
}

async fn declare(governed: &Governed, name: &str, spec: Value) -> Result<()> {
    let platform = LandingZonePlatform::new(name, serde_json::from_value(spec)?);
    let platforms = platforms(governed);
    platforms.create(&PostParams::default(), &platform).await?;
    Ok(())
}

async fn edit(governed: &Governed, spec: Value) -> Result<()> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    let platforms = platforms(governed);
    platforms
        .patch("cluster", &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// Waits until the platform's present generation is Ready, or is not.
async fn stands(governed: &Governed, ready: &str) -> Result<LandingZonePlatformStatus> {
    let what = format!("the platform to be Ready={ready}");
    eventually(PATIENCE, &what, async || {
        let platform = platforms(governed).get("cluster").await?;
        let status = platform.status.context("no status")?;
        ensure!(status.observed_generation == platform.metadata.generation);
        let is_ready = |condition: &&Condition| condition.type_ == "Ready";
        let condition = status.conditions.iter().find(is_ready);
        let condition = condition.context("no condition")?;
        ensure!(condition.status == ready, "{condition:?}");
        Ok(Some(status))
    })
    .await
}

/// Waits until the boundary of a landing zone knows exactly these ranges of pods.
async fn knows(shop: &Shop<'_>, ranges: &[&str]) -> Result<()> {
    let what = format!("the boundary of {} to know {ranges:?}", shop.name());
    eventually(PATIENCE, &what, async || {
        let rules = shop.policy("boundary").at("/spec/ingress").await?;
        let rules = rules.as_array().context("no rules")?;
        let known = rules
            .iter()
            .filter_map(|rule| rule.pointer("/source/notNets")?.as_array());
        let known: Vec<_> = known.flatten().filter_map(Value::as_str).collect();
        ensure!(known == ranges, "{known:?}");
        Ok(Some(()))
    })
    .await
}

async fn it_holds_for_every_landing_zone((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let (one, two) = (
        Shop::open(&governed, "one").await?,
        Shop::open(&governed, "two").await?,
    );
    knows(&one, &[]).await?;

    let log = governed.cluster.audit_log();
    let mark = log.mark()?;
    let spec = json!({"network": {"podCidrs": ["10.244.0.0/16"]}});
    declare(&governed, "cluster", spec).await?;
    for shop in [&one, &two] {
        knows(shop, &["10.244.0.0/16"]).await?;
        governed.ready(shop.name()).await?;
    }
    let status = stands(&governed, "True").await?;
    let values = status.effective.context("no values")?;
    ensure!(values.pod_cidrs == ["10.244.0.0/16"], "{values:?}");
    ensure!(
        values.cluster_roles == ["admin", "edit", "view"],
        "{values:?}"
    );
    // One write for each object that is another one now; it was no drift.
    holds_for(
        Duration::from_secs(3),
        "nothing else is written",
        async || {
            let writes = log.writes_by(governed.operator_user(), mark)?;
            let objects: Vec<_> = writes
                .iter()
                .filter(|write| write.subresource != "status" && write.resource != "events")
                .map(|write| write.name.as_str())
                .collect();
            let distinct: BTreeSet<_> = objects.iter().copied().collect();
            let boundaries =
                ["one", "two"].map(|name| format!("default.landing-zone-{name}-boundary"));
            ensure!(
                distinct == boundaries.iter().map(String::as_str).collect(),
                "{objects:?}"
            );
            ensure!(objects.len() == 2, "{objects:?}");
            Ok(())
        },
    )
    .await?;
    one.counts_repairs(0).await?;

    // What landing zones may hand out.
    edit(&governed, json!({"access": {"clusterRoles": ["view"]}})).await?;
    let role = [
        "spec.access[0].role",
        "use one of view",
        "spec.access.clusterRoles",
    ];
    one.says("Ready", "False", "Invalid", &role).await?;
    // Its boundary stands all the same.
    one.policy("boundary").delete().await?;
    one.policy("boundary").appears().await?;
    edit(&governed, json!({"access": Value::Null})).await?;
    governed.ready("one").await?;

    // DNS caches on the nodes.
    edit(
        &governed,
        json!({"dns": {"extraAddresses": ["169.254.20.10"]}}),
    )
    .await?;
    eventually(PATIENCE, "the cache to be allowed", async || {
        let rules = one.policy("dns").at("/spec/egress").await?.to_string();
        Ok(rules.contains("169.254.20.10/32").then_some(()))
    })
    .await?;

    // Taken away, built-in values hold again.
    let platforms = platforms(&governed);
    platforms
        .delete("cluster", &DeleteParams::default())
        .await?;
    for shop in [&one, &two] {
        knows(shop, &[]).await?;
    }
    drop((one, two));
    governed.stop().await
}

/// Otherwise every restart would open what the platform closes, and write twice.
async fn a_restart_in_between_writes_nothing((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let spec = json!({"network": {"podCidrs": ["10.244.0.0/16"]}});
    declare(&governed, "cluster", spec).await?;
    stands(&governed, "True").await?;
    let shop = Shop::open(&governed, "restarted").await?;
    knows(&shop, &["10.244.0.0/16"]).await?;
    drop(shop);
    restart_writes_nothing(&mut governed).await?;

    // One that cannot be read, such as one of another version: what held before goes on holding.
    let anything = json!([{
        "op": "replace",
        "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec",
        "value": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }]);
    let definitions: Api<CustomResourceDefinition> = Api::all(governed.client());
    definitions
        .patch(
            LandingZonePlatform::crd_name(),
            &PatchParams::default(),
            &Patch::Json::<()>(serde_json::from_value(anything)?),
        )
        .await?;
    eventually(PATIENCE, "the platform to become unreadable", async || {
        let unreadable = json!({"network": {"podCidrs": 5}});
        let edited = edit(&governed, unreadable).await;
        // What comes back cannot be read either.
        let read = platforms(&governed).get("cluster").await;
        ensure!(read.is_err(), "it can be read: {edited:?}");
        Ok(Some(()))
    })
    .await?;
    let says = [
        "get",
        "lzp",
        "cluster",
        "-o",
        "jsonpath={.status.conditions[*].message}",
    ];
    eventually(PATIENCE, "its status to say so", async || {
        let said = governed.cluster.kubectl(says).await?;
        ensure!(
            said.contains("cannot be read") && said.contains("what held before holds"),
            "{said}"
        );
        Ok(Some(()))
    })
    .await?;
    restart_writes_nothing(&mut governed).await?;
    let shop = Shop::visit(&governed, "restarted").await?;
    knows(&shop, &["10.244.0.0/16"]).await?;
    drop(shop);
    governed.stop().await
}

async fn restart_writes_nothing(governed: &mut Governed) -> Result<()> {
    governed.operator.terminate().await?;
    let mark = governed.cluster.audit_log().mark()?;
    governed.operator =
        OperatorProcess::start(&governed.cluster, OperatorOptions::default()).await?;
    governed.operator.wait_until_ready(CONVERGED).await?;
    holds_for(
        Duration::from_secs(4),
        "the restart writes nothing",
        async || {
            let log = governed.cluster.audit_log();
            let writes = log.writes_by(governed.operator_user(), mark)?;
            ensure!(writes.is_empty(), "{writes:?}");
            Ok(())
        },
    )
    .await
}

/// An operator that is newer than the cluster's definitions.
async fn without_the_kind_built_in_values_hold((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(governed.client());
    let name = LandingZonePlatform::crd_name();
    definitions.delete(name, &DeleteParams::default()).await?;
    eventually(PATIENCE, "the kind to be gone", async || {
        Ok(definitions.get_opt(name).await?.is_none().then_some(()))
    })
    .await?;
    governed.operator.terminate().await?;
    governed.operator =
        OperatorProcess::start(&governed.cluster, OperatorOptions::default()).await?;
    Shop::open(&governed, "kindless").await?;
    let (_, why) = governed.operator.ready().await?;
    ensure!(
        why.contains("landingzoneplatforms.landingzones.dev installed?"),
        "{why}"
    );
    governed.stop().await
}

#[expect(
    clippy::too_many_lines,
    reason = "a table, with an entry for each mistake"
)]
async fn each_mistake_is_refused_with_the_way_out((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let mistakes = [
        ("main", json!({}), "metadata.name must be cluster"),
        (
            "cluster",
            json!({"network": {"podCidrs": ["10.244.0.1/16"]}}),
            "write it like 10.244.0.0/16",
        ),
        (
            "cluster",
            json!({"network": {"podCidrs": ["all"]}}),
            "is not a range of addresses",
        ),
        (
            "cluster",
            json!({"dns": {"extraAddresses": ["coredns"]}}),
            "is neither an address",
        ),
        (
            "cluster",
            json!({"access": {"clusterRoles": ["a/b"]}}),
            "cannot be the name of a ClusterRole",
        ),
        (
            "cluster",
            json!({"network": {"serviceCidrs": ["10.0.0.10"]}}),
            "is not a range of addresses",
        ),
        (
            "cluster",
            json!({"defaults": {"quota": {"request.cpu": "1"}}}),
            "use one like requests.cpu",
        ),
        (
            "cluster",
            json!({"defaults": {"limits": {"min": {"cpu": "2"}, "max": {"cpu": "1"}}}}),
            "is more than max",
        ),
        (
            "cluster",
            json!({"defaults": {"podSecurity": "privileged"}}),
            "privileged in the namespaces that need it",
        ),
        (
            "cluster",
            json!({"defaults": {"placement": {"tolerations": [{"key": "CriticalAddonsOnly"}]}}}),
            "the taint of the system node pool",
        ),
        (
            "cluster",
            json!({"requiredLabels": ["cost center"]}),
            "write it like costCenter",
        ),
        (
            "cluster",
            json!({"requiredLabels": ["team", "kubernetes.azure.com/team"]}),
            "is a key that no landing zone can set",
        ),
        (
            "cluster",
            json!({"workloadRules": {"servicePorts": {"stage": "Observe"}}}),
            "allowed must name a port",
        ),
        (
            "cluster",
            json!({"workloadRules": {"hostNetwork": {"allowedPorts": [9100, 0]}}}),
            "one of them is not a port",
        ),
        (
            "cluster",
            json!({"workloadRules": {"externalIPs": {"allowed": ["192.0.2.1/24"]}}}),
            "is neither an address",
        ),
    ];
    for (name, spec, words) in mistakes {
        let Err(error) = declare(&governed, name, spec.clone()).await else {
            anyhow::bail!("accepted: {spec}");
        };
        let said = format!("{error:#}");
        ensure!(said.contains(words), "{words:?} is missing in: {said}");
    }
    let fine = json!({
        "dns": {"nodeLocal": false, "extraAddresses": ["169.254.20.10", "169.254.10.0/31", "fd00::1"]},
        "access": {"clusterRoles": ["view", "edit", "team:deployer"]},
        "network": {"podCidrs": ["10.244.0.0/16", "fd00:10::/56"], "serviceCidrs": ["10.96.0.0/16"]},
        "defaults": {
            "quota": {"pods": "50", "requests.nvidia.com/gpu": "1"},
            "limits": {"default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}},
            "podSecurity": "baseline",
            "placement": {"tolerations": [{"key": "shared", "operator": "Exists"}]},
        },
        "requiredLabels": ["costCenter", "example.com/owner"],
        "workloadRules": {
            "httpsIngress": "Enforce", "servicePorts": {"stage": "Off"},
            "externalIPs": {"stage": "Enforce", "allowed": ["192.0.2.4", "2001:db8::/64"]},
            "hostNetwork": {"stage": "Observe", "allowHostNetwork": true, "allowedPorts": [9100]},
        },
    });
    declare(&governed, "cluster", fine).await?;
    stands(&governed, "True").await?;
    let explained = eventually(CONVERGED, "the kind to be described", async || {
        let cluster = &governed.cluster;
        Ok(Some(
            cluster
                .kubectl(["explain", "lzp.spec.network.podCidrs"])
                .await?,
        ))
    })
    .await?;
    ensure!(
        explained.contains("of them passes for a pod"),
        "{explained}"
    );
    governed.stop().await
}

fn main() -> ExitCode {
    scenario::run::<()>(scenarios![
        it_holds_for_every_landing_zone within LONG,
        a_restart_in_between_writes_nothing within LONG,
        without_the_kind_built_in_values_hold within LONG,
        each_mistake_is_refused_with_the_way_out within LONG,
        the_default_deny_comes_and_goes within LONG,
        with_its_platform_the_default_deny_goes within LONG,
        what_the_api_server_calls_is_not_cut_off within LONG,
        the_operator_does_not_cut_itself_off within LONG,
        exemptions_that_find_no_room_are_told within LONG,
        a_policy_of_somebody_else_is_left_alone within LONG,
        with_tiers_long_lists_pass_before_the_deny within LONG,
        without_calico_it_is_refused within LONG,
        what_a_landing_zone_leaves_out_is_filled_in within LONG,
        a_landing_zone_without_required_labels_is_refused within LONG,
        the_address_of_dns_is_followed within LONG,
        ranges_of_pods_come_from_calico_s_pools within LONG,
        ranges_of_pods_come_from_native_pools within LONG,
        ranges_of_pods_come_from_nodes_without_pools within LONG,
        observe_records_only_where_nobody_decides within LONG,
        observe_says_what_enforce_would_refuse within LONG,
        observe_is_staged_where_calico_can within LONG,
    ])
}
