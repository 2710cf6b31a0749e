//! Nodes that Karpenter makes: the real API server with definitions of its kinds, and somebody who does with their objects what
//! Karpenter does.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::azure_service_operator as aso;
use e2e::governed::{CONVERGED, condition};
use e2e::karpenter::{self, Karpenter, POOL_OF_NODE};
use e2e::{
    AzureServiceOperator, Calico, Governed, OperatorOptions, OperatorProcess, eventually, holds_for,
};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use landing_zone_operator::domain::AzureKind;
use serde_json::{Value, json};

use super::replaced::runs_on;
use super::{InAzure, declare_platform, says, spec};

/// A cluster in Azure with Azure Service Operator, in which Karpenter makes nodes.
async fn start() -> Result<(InAzure, Karpenter)> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    aso::install(&governed.client()).await?;
    karpenter::install(&governed.client()).await?;
    declare_platform(&governed, json!({"nodeProvisioning": "Auto"})).await?;
    let aso = AzureServiceOperator::start(governed.client());
    let karpenter = Karpenter::start(governed.client());
    Ok((InAzure { governed, aso }, karpenter))
}

/// A landing zone whose nodes Karpenter makes.
fn on_demand(name: &str, third: u8, network: &Value) -> Value {
    let mut spec = spec(name, third, network);
    spec["azure"]["nodePool"]["min"] = json!(0);
    spec
}

async fn only(azure: &InAzure, kind: AzureKind) -> Result<DynamicObject> {
    let mut found = azure
        .objects(kind)
        .list(&ListParams::default())
        .await?
        .items;
    ensure!(found.len() == 1, "{found:?}");
    found.pop().context("nothing")
}

/// One pool and one class for each, what the platform team tunes stays, and what somebody else changes is put back.
pub(super) async fn karpenter_makes_the_nodes((): &()) -> Result<()> {
    let (azure, _karpenter) = start().await?;
    let governed = &azure.governed;
    governed
        .declare("shop", on_demand("shop", 4, &json!({})))
        .await?;
    let message = azure.says("shop", "True", "AsDeclared").await?;
    ensure!(message.contains("resources are as declared"), "{message}");
    governed.ready("shop").await?;
    ensure!(
        azure
            .aso
            .resources(AzureKind::ManagedClustersAgentPool)
            .is_empty()
    );
    let class = only(&azure, AzureKind::AksNodeClass).await?;
    let subnet = class.data["spec"]["vnetSubnetID"].as_str();
    let subnet = subnet.and_then(|it| it.rsplit('/').next());
    let subnets = azure.aso.resources(AzureKind::VirtualNetworksSubnet);
    ensure!(
        subnets.keys().map(String::as_str).eq(subnet),
        "{subnet:?} of {subnets:?}"
    );
    let pool = only(&azure, AzureKind::NodePool).await?;
    let spec = &pool.data["spec"];
    ensure!(spec["limits"]["nodes"] == "3", "{spec}");
    let of_nodes = &spec["template"]["spec"];
    ensure!(
        of_nodes["nodeClassRef"]["name"] == json!(class.name_any()),
        "{spec}"
    );
    ensure!(of_nodes["taints"][0]["value"] == "shop", "{spec}");

    // How nodes are replaced is the platform team's to say, and what the API server fills in is nobody's.
    let pools = azure.objects(AzureKind::NodePool);
    let name = pool.name_any();
    let mark = azure.all_is_said().await?;
    let tuned = json!({"spec": {
        "disruption": {"consolidateAfter": "1h"}, "weight": 10, "template": {"spec": {"expireAfter": "24h"}},
    }});
    let merge = PatchParams::default();
    pools.patch(&name, &merge, &Patch::Merge(tuned)).await?;
    azure.writes_nothing_since(mark).await?;

    let open = json!({"spec": {"limits": {"nodes": "100"}, "template": {"spec": {"taints": []}}}});
    let mallory = PatchParams {
        field_manager: Some("mallory".to_owned()),
        ..PatchParams::default()
    };
    pools.patch(&name, &mallory, &Patch::Merge(open)).await?;
    eventually(CONVERGED, "the pool to be put back", async || {
        let spec = &pools.get(&name).await?.data["spec"];
        ensure!(
            spec["limits"]["nodes"] == "3"
                && spec["template"]["spec"]["taints"][0]["value"] == "shop",
            "{spec}"
        );
        ensure!(
            spec["weight"] == 10
                && spec["disruption"]["consolidateAfter"] == "1h"
                && spec["template"]["spec"]["expireAfter"] == "24h",
            "{spec}"
        );
        Ok(Some(()))
    })
    .await?;
    azure
        .tells_of_mallory("shop", &format!("NodePool/{name}"))
        .await?;

    // Karpenter moves the pods where what nodes are made of changes.
    let edit = json!({"azure": {"nodePool": {"maxPods": 20}}});
    azure.edit("shop", edit).await?;
    eventually(CONVERGED, "the class to follow", async || {
        let changed = only(&azure, AzureKind::AksNodeClass).await?;
        ensure!(changed.name_any() == class.name_any(), "{changed:?}");
        ensure!(changed.data["spec"]["maxPods"] == 20, "{changed:?}");
        Ok(Some(()))
    })
    .await?;
    azure.stop().await
}

/// Karpenter moves the pods: meanwhile neighbours let both subnets in, and nothing of the first one goes.
pub(super) async fn karpenter_moves_nodes_to_another_subnet((): &()) -> Result<()> {
    let (azure, karpenter) = start().await?;
    let InAzure { governed, aso } = &azure;
    let to_orders = json!({"egress": [{"name": "orders", "to": {"landingZone": "orders"}}]});
    let from_shop = json!({"ingress": [{"name": "shop", "from": {"landingZone": "shop"}}]});
    governed
        .declare("shop", on_demand("shop", 4, &to_orders))
        .await?;
    governed
        .declare("orders", on_demand("orders", 5, &from_shop))
        .await?;
    for name in ["shop", "orders"] {
        azure.says(name, "True", "AsDeclared").await?;
    }
    let sources = || {
        let rules = aso.resources(AzureKind::NetworkSecurityGroupsSecurityRule);
        let mut rules = rules.into_iter();
        let found = rules.find(|(name, _)| name.contains("From-shop"));
        found.map(|(_, rule)| json!([rule["sourceAddressPrefix"], rule["sourceAddressPrefixes"]]))
    };
    karpenter.moves(false);
    azure
        .edit(
            "shop",
            json!({"azure": {"subnet": {"cidr": "10.1.6.0/24"}}}),
        )
        .await?;
    let both = json!([null, ["10.1.4.0/24", "10.1.6.0/24"]]);
    eventually(CONVERGED, "both subnets to be let in", async || {
        let found = sources();
        ensure!(found.as_ref() == Some(&both), "{found:?}");
        Ok(Some(()))
    })
    .await?;
    let message = azure.says("shop", "False", "Leaving").await?;
    ensure!(
        message.contains("stays while Karpenter moves its nodes")
            && message.contains("stays as long as the nodes"),
        "{message}"
    );
    holds_for(Duration::from_secs(2), "nothing goes", async || {
        let subnets = azure.objects(AzureKind::VirtualNetworksSubnet);
        let subnets = subnets.list(&ListParams::default()).await?.items;
        ensure!(subnets.len() == 3, "{subnets:?}");
        ensure!(aso.deleted().is_empty(), "{:?}", aso.deleted());
        Ok(())
    })
    .await?;
    let pools = azure.objects(AzureKind::NodePool);
    ensure!(pools.list(&ListParams::default()).await?.items.len() == 2);

    karpenter.moves(true);
    eventually(CONVERGED * 3, "the move to be over", async || {
        Ok(Some(azure.says("shop", "True", "AsDeclared").await?))
    })
    .await?;
    let one = json!(["10.1.6.0/24", null]);
    eventually(CONVERGED, "one subnet to be let in", async || {
        let found = sources();
        ensure!(found.as_ref() == Some(&one), "{found:?}");
        Ok(Some(()))
    })
    .await?;
    let classes = azure.objects(AzureKind::AksNodeClass);
    ensure!(classes.list(&ListParams::default()).await?.items.len() == 2);
    // Kept in Azure, as everything that leaves.
    ensure!(aso.deleted().is_empty(), "{:?}", aso.deleted());
    azure.stop().await
}

/// Its objects are what they stand for: they stay and are nobody's, or go once nobody runs there.
pub(super) async fn nodes_of_karpenter_go_only_as_declared((): &()) -> Result<()> {
    let (azure, karpenter) = start().await?;
    let governed = &azure.governed;
    governed
        .declare("shop", on_demand("shop", 4, &json!({})))
        .await?;
    azure.says("shop", "True", "AsDeclared").await?;
    let own = json!({"azure": {"nodePool": null, "subnet": null, "networkSecurityGroup": null}});
    azure.edit("shop", own.clone()).await?;
    let pools = azure.objects(AzureKind::NodePool);
    let classes = azure.objects(AzureKind::AksNodeClass);
    eventually(CONVERGED, "the pool to be nobody's", async || {
        let pool = only(&azure, AzureKind::NodePool).await?;
        let class = only(&azure, AzureKind::AksNodeClass).await?;
        ensure!(
            pool.labels().is_empty() && class.labels().is_empty(),
            "{pool:?} {class:?}"
        );
        ensure!(pool.metadata.deletion_timestamp.is_none(), "{pool:?}");
        Ok(Some(()))
    })
    .await?;
    let zone = governed
        .zone_when("shop", "to have let go", |zone, status| {
            status.observed_generation == zone.metadata.generation
                && !status
                    .inventory
                    .iter()
                    .any(|it| it.starts_with("NodePool/"))
        })
        .await?;
    let inventory = zone.status.context("no status")?.inventory;
    ensure!(
        !inventory.iter().any(|it| it.starts_with("AKSNodeClass/")),
        "{inventory:?}"
    );

    // Declared again, it is the landing zone's again.
    let mut again = on_demand("shop", 4, &json!({}))["azure"].clone();
    again["deletePolicy"] = json!("Delete");
    azure.edit("shop", json!({"azure": again})).await?;
    azure.says("shop", "True", "AsDeclared").await?;
    let pool = only(&azure, AzureKind::NodePool).await?;
    ensure!(!pool.labels().is_empty(), "{pool:?}");

    let client = governed.client();
    let nodes: Api<Node> = Api::all(client);
    let of_pool = ListParams::default().labels(&format!("{POOL_OF_NODE}={}", pool.name_any()));
    let node = eventually(CONVERGED, "a node", async || {
        Ok(nodes.list(&of_pool).await?.items.pop())
    })
    .await?;
    let pods = runs_on(governed, &node.name_any()).await?;
    azure.edit("shop", own).await?;
    let message = azure.says("shop", "False", "Leaving").await?;
    ensure!(message.contains("shop-web/works on"), "{message}");
    holds_for(Duration::from_secs(2), "the pool stays", async || {
        let pool = only(&azure, AzureKind::NodePool).await?;
        ensure!(pool.metadata.deletion_timestamp.is_none(), "{pool:?}");
        Ok(())
    })
    .await?;
    let now = DeleteParams::default().grace_period(0);
    pods.delete("works", &now).await?;
    // Nodes outlive their pool, and what they need outlives them.
    karpenter.moves(false);
    eventually(CONVERGED * 2, "the pool to go", async || {
        let pools = pools.list(&ListParams::default()).await?.items;
        Ok(pools.is_empty().then_some(()))
    })
    .await?;
    holds_for(Duration::from_secs(2), "the class stays", async || {
        only(&azure, AzureKind::AksNodeClass).await?;
        ensure!(azure.aso.resources(AzureKind::VirtualNetworksSubnet).len() == 1);
        Ok(())
    })
    .await?;
    karpenter.moves(true);
    eventually(CONVERGED * 3, "all of it to go", async || {
        let classes = classes.list(&ListParams::default()).await?.items;
        let subnets = azure.aso.resources(AzureKind::VirtualNetworksSubnet);
        ensure!(
            classes.is_empty() && subnets.is_empty(),
            "{classes:?} {subnets:?}"
        );
        Ok(Some(()))
    })
    .await?;
    azure.stop().await
}

/// Where its kinds are not there, that is said, and everything else goes on; without Azure Service Operator, its nodes are made
/// all the same.
pub(super) async fn without_karpenter_the_cluster_goes_on((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    declare_platform(
        &governed,
        json!({"nodeProvisioning": "Auto", "serviceOperator": null}),
    )
    .await?;
    governed
        .declare("shop", on_demand("shop", 4, &json!({})))
        .await?;
    let message = says(&governed, "shop", "False", "KarpenterMissing").await?;
    ensure!(
        message.contains("nodepools.karpenter.sh") && message.contains("az aks update"),
        "{message}"
    );
    governed
        .condition("shop", "NamespacesReady", "True", "AsDeclared")
        .await?;
    governed
        .condition("shop", "Reconciling", "False", "KarpenterMissing")
        .await?;

    // Installed while the operator runs.
    karpenter::install(&governed.client()).await?;
    let _karpenter = Karpenter::start(governed.client());
    let message = says(&governed, "shop", "True", "AsDeclared").await?;
    ensure!(
        message.contains("all 2 resources") && message.contains("render --azure"),
        "{message}"
    );

    // With its kinds all of its nodes went.
    let definitions: Api<CustomResourceDefinition> = Api::all(governed.client());
    definitions
        .delete("nodepools.karpenter.sh", &DeleteParams::default())
        .await?;
    says(&governed, "shop", "False", "KarpenterMissing").await?;
    governed.stop().await
}

/// Whoever says that Karpenter makes the nodes takes no pool away from a landing zone that is not valid with it, and whoever takes Azure
/// Service Operator out takes nothing away at all.
pub(super) async fn a_platform_that_changes_takes_nothing_away((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let InAzure { governed, aso } = &azure;
    karpenter::install(&governed.client()).await?;
    let _karpenter = Karpenter::start(governed.client());
    let mut declared = spec("shop", 4, &json!({}));
    declared["azure"]["deletePolicy"] = json!("Delete");
    governed.declare("shop", declared).await?;
    azure.says("shop", "True", "AsDeclared").await?;
    let pools = azure.objects(AzureKind::ManagedClustersAgentPool);
    let pool = pools.list(&ListParams::default()).await?.items;
    let pool = pool.first().context("no pool")?.name_any();
    let is_kept = async || {
        let there = pools.get(&pool).await?;
        ensure!(there.metadata.deletion_timestamp.is_none(), "{there:?}");
        ensure!(aso.deleted().is_empty(), "{:?}", aso.deleted());
        Ok(())
    };
    azure
        .edit_platform(json!({"azure": {"nodeProvisioning": "Auto"}}))
        .await?;
    let zone = governed
        .condition("shop", "Ready", "False", "Invalid")
        .await?;
    let status = zone.status.context("no status")?;
    let said = condition(&status, "Ready");
    ensure!(
        said.is_some_and(|(.., message)| message.contains("nodePool.min")),
        "{said:?}"
    );
    holds_for(Duration::from_secs(3), "the pool stays", is_kept).await?;

    // Valid again, it has the one before the other goes.
    azure
        .edit("shop", json!({"azure": {"nodePool": {"min": 0}}}))
        .await?;
    eventually(CONVERGED * 3, "Karpenter to have it", async || {
        let there = only(&azure, AzureKind::NodePool).await?;
        ensure!(!there.labels().is_empty(), "{there:?}");
        let message = azure.says("shop", "True", "AsDeclared").await?;
        Ok(Some(message))
    })
    .await?;
    let subnets = azure.objects(AzureKind::VirtualNetworksSubnet);
    let gone = aso.deleted();
    azure
        .edit_platform(json!({"azure": {"serviceOperator": null}}))
        .await?;
    eventually(CONVERGED, "that to be said", async || {
        let message = azure.says("shop", "True", "AsDeclared").await?;
        ensure!(message.contains("somebody else's to make"), "{message}");
        Ok(Some(()))
    })
    .await?;
    holds_for(Duration::from_secs(3), "all of it stays", async || {
        let there = subnets.list(&ListParams::default()).await?.items;
        let is_going = |it: &DynamicObject| it.metadata.deletion_timestamp.is_some();
        ensure!(there.len() == 1 && !there.iter().any(is_going), "{there:?}");
        ensure!(aso.deleted() == gone, "{:?}", aso.deleted());
        Ok(())
    })
    .await?;
    azure.stop().await
}

/// A landing zone is deleted after Karpenter's definitions are: nothing waits for what is gone, not after a restart either.
pub(super) async fn with_its_kinds_karpenters_objects_are_gone((): &()) -> Result<()> {
    let (azure, _karpenter) = start().await?;
    let governed = &azure.governed;
    let rights = e2e::workspace::root().join("config/namespace-deletion");
    e2e::install::apply_manifests(&governed.client(), &rights).await?;
    let mut declared = on_demand("shop", 4, &json!({}));
    declared["deletePolicy"] = json!("Delete");
    declared["azure"]["deletePolicy"] = json!("Delete");
    governed.declare("shop", declared).await?;
    azure.says("shop", "True", "AsDeclared").await?;
    governed.operator.terminate().await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(governed.client());
    for kind in [AzureKind::AksNodeClass, AzureKind::NodePool] {
        definitions
            .delete(kind.definition(), &DeleteParams::default())
            .await?;
    }
    // What the finalizer of the class waited for is the node.
    let nodes: Api<Node> = Api::all(governed.client());
    nodes
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await?;
    let objects = azure.objects(AzureKind::AksNodeClass);
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    eventually(CONVERGED, "the definitions to be gone", async || {
        if let Ok(left) = objects.list(&ListParams::default()).await {
            for object in left {
                let merge = PatchParams::default();
                // Whoever was faster let it go already.
                let _ = objects.patch(&object.name_any(), &merge, &free).await;
            }
        }
        let left = definitions.list(&ListParams::default()).await?.items;
        let is_karpenters = |it: &&CustomResourceDefinition| it.spec.group.starts_with("karpenter");
        ensure!(!left.iter().any(|it| is_karpenters(&it)), "not yet");
        Ok(Some(()))
    })
    .await?;
    governed.withdraw("shop").await?;
    let operator = OperatorProcess::start(&governed.cluster, OperatorOptions::default()).await?;
    let zones = governed.zones();
    eventually(CONVERGED * 3, "the landing zone to be gone", async || {
        let left = zones.list(&ListParams::default()).await?.items;
        ensure!(left.is_empty(), "{:?}", left[0].status);
        Ok(Some(()))
    })
    .await?;
    let left = azure.aso.resources(AzureKind::VirtualNetworksSubnet);
    ensure!(left.is_empty(), "{left:?}");
    operator.terminate().await?;
    Ok(())
}
