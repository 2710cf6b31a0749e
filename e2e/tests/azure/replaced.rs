//! A node pool that gives way to another one.

use anyhow::{Context, Result, ensure};
use e2e::governed::CONVERGED;
use e2e::install::apply_manifests;
use e2e::{AzureServiceOperator, Governed, eventually, workspace};
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use landing_zone_operator::domain::AzureKind;
use serde_json::{Value, json};

use super::{InAzure, LONG, spec};

const TAINT: &str = "landingzones.dev/replaced=true:NoSchedule";

/// A pod on a node of a new pool, which something brings back where it goes.
async fn works(governed: &Governed, node: &str, pool: &str) -> Result<Api<Pod>> {
    let client = governed.client();
    let labelled =
        json!({"metadata": {"name": node, "labels": {"kubernetes.azure.com/agentpool": pool}}});
    let nodes: Api<Node> = Api::all(client);
    nodes
        .create(&PostParams::default(), &serde_json::from_value(labelled)?)
        .await?;
    runs_on(governed, node).await
}

/// A pod of shop on a node, which something brings back where it goes.
pub(super) async fn runs_on(governed: &Governed, node: &str) -> Result<Api<Pod>> {
    let client = governed.client();
    let owners: Api<ConfigMap> = Api::namespaced(client.clone(), "shop-web");
    let owner = json!({"metadata": {"name": "owner"}});
    let owner = owners
        .create(&PostParams::default(), &serde_json::from_value(owner)?)
        .await?;
    let pod = json!({
        "metadata": {"name": "works", "ownerReferences": [{
            "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid, "controller": true,
        }]},
        "spec": {
            "schedulerName": "nobody",
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "a", "image": "registry.example.com/a",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    });
    let pods: Api<Pod> = Api::namespaced(client, "shop-web");
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?)
        .await?;
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "works", "namespace": "shop-web"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let _: Value = pods
        .create_subresource("binding", "works", &PostParams::default(), &binding)
        .await?;
    Ok(pods)
}

/// Whom orders lets in of shop: one range, or several.
fn sources(aso: &AzureServiceOperator) -> Result<Value> {
    let rules = aso.resources(AzureKind::NetworkSecurityGroupsSecurityRule);
    let mut found = rules.iter();
    let found = found.find(|(name, _)| name.contains("From-shop"));
    let (_, rule) = found.with_context(|| format!("{:?}", rules.keys()))?;
    Ok(json!([
        rule["sourceAddressPrefix"],
        rule["sourceAddressPrefixes"]
    ]))
}

fn is_of_shop((_, pool): &(&String, &Value)) -> bool {
    pool["nodeLabels"]["stack"] == "shop"
}

/// The new pool is there before anything of the old one goes, pods move by eviction, and meanwhile neighbours let both subnets in.
pub(super) async fn a_pool_gives_way_to_another((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let InAzure { governed, aso } = &azure;
    apply_manifests(
        &governed.client(),
        &workspace::root().join("config/eviction"),
    )
    .await?;
    let to_orders = json!({"egress": [{"name": "orders", "to": {"landingZone": "orders"}}]});
    let from_shop = json!({"ingress": [{"name": "shop", "from": {"landingZone": "shop"}}]});
    governed
        .declare("shop", spec("shop", 4, &to_orders))
        .await?;
    governed
        .declare("orders", spec("orders", 5, &from_shop))
        .await?;
    for name in ["shop", "orders"] {
        azure.says(name, "True", "AsDeclared").await?;
    }
    let pools = aso.resources(AzureKind::ManagedClustersAgentPool);
    let (old, _) = pools.iter().find(is_of_shop).context("no pool")?;
    let pods = works(governed, "node-a", old).await?;

    azure
        .edit(
            "shop",
            json!({"azure": {
                "nodePool": {"vmSize": "Standard_D8s_v5", "replace": true}, "subnet": {"cidr": "10.1.6.0/24"},
            }}),
        )
        .await?;
    let both = json!([null, ["10.1.4.0/24", "10.1.6.0/24"]]);
    eventually(CONVERGED, "the pod to be evicted", async || {
        let pod = pods.get("works").await?;
        Ok(pod.metadata.deletion_timestamp.is_some().then_some(()))
    })
    .await?;
    eventually(CONVERGED, "the third step to be told", async || {
        let message = azure.says("shop", "False", "Replacing").await?;
        ensure!(
            message.contains("step 3 of 4") && message.contains("shop-web/works on node-a"),
            "{message}"
        );
        Ok(Some(()))
    })
    .await?;
    let pools = aso.resources(AzureKind::ManagedClustersAgentPool);
    ensure!(pools.iter().filter(is_of_shop).count() == 2, "{pools:?}");
    let taints = &pools[old]["nodeTaints"];
    ensure!(
        *taints == json!(["stack=shop:NoSchedule", TAINT]),
        "{taints}"
    );
    ensure!(aso.deleted().is_empty(), "{:?}", aso.deleted());
    ensure!(aso.resources(AzureKind::VirtualNetworksSubnet).len() == 3);
    eventually(CONVERGED, "both subnets to be let in", async || {
        let found = sources(aso)?;
        ensure!(found == both, "{found}");
        Ok(Some(()))
    })
    .await?;

    // What its kubelet would do.
    pods.delete("works", &DeleteParams::default().grace_period(0))
        .await?;
    eventually(LONG, "the old pool to go", async || {
        ensure!(aso.deleted().contains(old), "{:?}", aso.deleted());
        Ok(Some(()))
    })
    .await?;
    azure.says("shop", "True", "AsDeclared").await?;
    let pools = aso.resources(AzureKind::ManagedClustersAgentPool);
    let sizes: Vec<_> = pools
        .iter()
        .filter(is_of_shop)
        .map(|(_, pool)| pool["vmSize"].clone())
        .collect();
    ensure!(sizes == ["Standard_D8s_v5"], "{pools:?}");
    // Of everything else deletePolicy decides.
    ensure!(aso.deleted().len() == 1, "{:?}", aso.deleted());
    let only = json!(["10.1.6.0/24", null]);
    eventually(
        CONVERGED,
        "the old subnet to be let in no more",
        async || {
            let found = sources(aso)?;
            ensure!(found == only, "{found}");
            Ok(Some(()))
        },
    )
    .await?;
    azure.stop().await
}

/// What is written back is there as it was: nothing of it went, and nobody is kept off its nodes any more.
pub(super) async fn a_pool_that_is_written_back_stays((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let InAzure { governed, aso } = &azure;
    let declared = spec("shop", 4, &json!({}));
    governed.declare("shop", declared.clone()).await?;
    azure.says("shop", "True", "AsDeclared").await?;
    let old = azure.only_pool()?;
    // Without the rights in config/eviction it goes no further than to its pods.
    works(governed, "node-a", &old).await?;
    let other = json!({"nodePool": {"vmSize": "Standard_D8s_v5", "replace": true}});
    azure.edit("shop", json!({ "azure": other })).await?;
    eventually(CONVERGED, "what is refused to be told", async || {
        let message = azure.says("shop", "False", "Replacing").await?;
        ensure!(
            message.contains("step 3 of 4") && message.contains("config/eviction"),
            "{message}"
        );
        Ok(Some(()))
    })
    .await?;

    let mut back = declared["azure"].clone();
    back["nodePool"]["replace"] = Value::Null;
    azure.edit("shop", json!({ "azure": back })).await?;
    azure.says("shop", "True", "AsDeclared").await?;
    let pools = aso.resources(AzureKind::ManagedClustersAgentPool);
    let taints = &pools[&old]["nodeTaints"];
    ensure!(*taints == json!(["stack=shop:NoSchedule"]), "{taints}");
    ensure!(aso.deleted().is_empty(), "{:?}", aso.deleted());
    azure.stop().await
}
