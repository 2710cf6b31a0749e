//! What landing zones own in Azure, through Azure Service Operator: the real API server with definitions of its kinds, and
//! somebody who does with their objects what Azure Service Operator does.

mod firewall;
mod karpenter;
mod replaced;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::audit::Mark;
use e2e::azure_service_operator::{self as aso, NAMESPACE, objects};
use e2e::governed::CONVERGED;
use e2e::{
    AzureServiceOperator, Calico, Governed, OperatorOptions, OperatorProcess, eventually,
    holds_for, scenario, scenarios,
};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use landing_zone_operator::api::LandingZonePlatform;
use landing_zone_operator::domain::AzureKind;
use serde_json::{Value, json};

use firewall::{
    names_go_through_the_firewall, what_is_suspended_keeps_its_way_out,
    what_is_the_platforms_own_reaches_azure, without_a_firewall_names_are_closed,
};
use karpenter::{
    a_platform_that_changes_takes_nothing_away, karpenter_makes_the_nodes,
    karpenter_moves_nodes_to_another_subnet, nodes_of_karpenter_go_only_as_declared,
    with_its_kinds_karpenters_objects_are_gone, without_karpenter_the_cluster_goes_on,
};
use replaced::{a_pool_gives_way_to_another, a_pool_that_is_written_back_stays};

const LONG: Duration = Duration::from_mins(3);
const READY: &str = "AzureReady";
const POLICY: &str = "serviceoperator.azure.com/reconcile-policy";

/// A cluster in Azure, with Azure Service Operator.
struct InAzure {
    governed: Governed,
    aso: AzureServiceOperator,
}

impl InAzure {
    async fn start() -> Result<Self> {
        Self::start_with(json!({})).await
    }

    /// With these fields of the platform's `azure` besides.
    async fn start_with(fields: Value) -> Result<Self> {
        let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
        aso::install(&governed.client()).await?;
        declare_platform(&governed, fields).await?;
        let aso = AzureServiceOperator::start(governed.client());
        Ok(Self { governed, aso })
    }

    async fn stop(self) -> Result<()> {
        self.governed.stop().await
    }

    fn objects(&self, kind: AzureKind) -> Api<kube::api::DynamicObject> {
        objects(self.governed.client(), kind)
    }

    /// Waits until a landing zone says of Azure what is expected. Returns the message.
    async fn says(&self, name: &str, state: &str, reason: &str) -> Result<String> {
        says(&self.governed, name, state, reason).await
    }

    /// Changes the spec of a landing zone.
    async fn edit(&self, name: &str, spec: Value) -> Result<()> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let zones = self.governed.zones();
        zones.patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Waits until all is said, which is gathered in events for some seconds.
    async fn all_is_said(&self) -> Result<Mark> {
        let log = self.governed.cluster.audit_log();
        let user = self.governed.operator_user();
        log.quiet(user, Duration::from_secs(6), LONG).await
    }

    /// Nothing is written for a while but what is said of it.
    async fn writes_nothing_since(&self, mark: Mark) -> Result<()> {
        let governed = &self.governed;
        let log = governed.cluster.audit_log();
        holds_for(Duration::from_secs(3), "nothing is written", async || {
            let writes = log.writes_by(governed.operator_user(), mark)?;
            let writes: Vec<_> = writes
                .iter()
                .filter(|it| it.subresource != "status")
                .collect();
            ensure!(writes.is_empty(), "{writes:?}");
            Ok(())
        })
        .await
    }

    /// Waits until a landing zone tells whose change of an object was put back.
    async fn tells_of_mallory(&self, name: &str, object: &str) -> Result<()> {
        let zone = self.governed.zone_when(name, "to tell of it", |_, status| {
            status.drift.as_ref().is_some_and(|it| it.repaired > 0)
        });
        let drift = zone.await?.status.and_then(|it| it.drift);
        let drift = drift.context("no drift")?;
        let told = &drift.recent[0];
        ensure!(told.object.starts_with(object), "{told:?}");
        ensure!(told.manager.as_deref() == Some("mallory"), "{told:?}");
        Ok(())
    }

    /// Changes the platform.
    async fn edit_platform(&self, spec: Value) -> Result<()> {
        let platforms: Api<LandingZonePlatform> = Api::all(self.governed.client());
        let patch = Patch::Merge(json!({ "spec": spec }));
        platforms
            .patch("cluster", &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    fn only_pool(&self) -> Result<String> {
        let pools = self.aso.resources(AzureKind::ManagedClustersAgentPool);
        ensure!(pools.len() == 1, "{pools:?}");
        pools.into_keys().next().context("no pool")
    }
}

async fn says(governed: &Governed, name: &str, state: &str, reason: &str) -> Result<String> {
    // Until the present generation was looked at, what is said is of the one before.
    let zone = governed
        .zone_when(name, "to have been looked at", |zone, status| {
            let conditions = status.conditions.iter();
            let mut found = conditions.filter(|it| it.type_ == READY);
            found.any(|it| {
                it.status == state
                    && it.reason == reason
                    && it.observed_generation == zone.metadata.generation
            })
        })
        .await
        .with_context(|| format!("{READY}={state} because of {reason}"))?;
    let status = zone.status.context("no status")?;
    let mut conditions = status.conditions.into_iter();
    let found = conditions.find(|it| it.type_ == READY);
    Ok(found.context("no condition")?.message)
}

async fn declare_platform(governed: &Governed, fields: Value) -> Result<()> {
    let mut spec = json!({
        "network": {"plugin": "AzureCNI"},
        "azure": {
            "subscription": "00000000-0000-0000-0000-000000000001",
            "resourceGroup": "rg-aks", "location": "westeurope", "cluster": "aks-shared",
            "virtualNetwork": {"name": "vnet-spoke", "cidrs": ["10.1.0.0/16"]},
            "systemSubnet": {"name": "snet-system", "cidr": "10.1.0.0/24"},
            "serviceOperator": {"namespace": NAMESPACE},
        },
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        spec["azure"][field] = value.clone();
    }
    let platform = LandingZonePlatform::new("cluster", serde_json::from_value(spec)?);
    let platforms: Api<LandingZonePlatform> = Api::all(governed.client());
    platforms.create(&PostParams::default(), &platform).await?;
    Ok(())
}

/// A landing zone with nodes of its own.
fn spec(name: &str, third: u8, network: &Value) -> Value {
    json!({
        "applicationCode": name,
        "namespaces": [{"name": format!("{name}-web"), "zone": "web"}],
        "network": network,
        "azure": {
            "nodePool": {"vmSize": "Standard_D4s_v5", "min": 1, "max": 3, "maxPods": 30},
            "subnet": {"cidr": format!("10.1.{third}.0/24")},
            "networkSecurityGroup": "Managed",
        },
    })
}

/// What is declared reaches Azure, both sides of a crossing, and nothing is written once it is there, whoever scales the nodes.
async fn what_is_declared_reaches_azure((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let InAzure { governed, aso } = &azure;
    let ports = json!([{"protocol": "TCP", "port": 8080}]);
    let to_shop =
        json!({"egress": [{"name": "shop", "to": {"landingZone": "shop"}, "ports": ports}]});
    let from_orders =
        json!({"ingress": [{"name": "orders", "from": {"landingZone": "orders"}, "ports": ports}]});
    governed
        .declare("shop", spec("shop", 4, &from_orders))
        .await?;
    governed
        .declare("orders", spec("orders", 5, &to_shop))
        .await?;
    for name in ["shop", "orders"] {
        let message = azure.says(name, "True", "AsDeclared").await?;
        ensure!(message.contains("resources are as declared"), "{message}");
        governed.ready(name).await?;
    }
    let pools = aso.resources(AzureKind::ManagedClustersAgentPool);
    ensure!(pools.len() == 2, "{pools:?}");
    let labels: BTreeSet<_> = pools
        .values()
        .filter_map(|pool| pool["nodeLabels"]["stack"].as_str())
        .collect();
    ensure!(labels == BTreeSet::from(["shop", "orders"]), "{labels:?}");
    ensure!(aso.resources(AzureKind::NetworkSecurityGroup).len() == 2);
    let subnets = aso.resources(AzureKind::VirtualNetworksSubnet);
    let guarded = subnets
        .values()
        .filter(|it| it["networkSecurityGroup"]["reference"]["name"].is_string());
    ensure!(guarded.count() == 2, "{subnets:?}");
    let rules = aso.resources(AzureKind::NetworkSecurityGroupsSecurityRule);
    let opens = rules.iter().find(|(name, _)| name.contains("From-orders"));
    let (_, opens) = opens.with_context(|| format!("{:?}", rules.keys()))?;
    ensure!(opens["sourceAddressPrefix"] == "10.1.5.0/24", "{opens}");
    ensure!(opens["destinationPortRange"] == "8080", "{opens}");

    // The autoscaler's business.
    let pools = azure.objects(AzureKind::ManagedClustersAgentPool);
    let pool = pools.list(&ListParams::default()).await?.items.remove(0);
    let scaled = Patch::Merge(json!({"spec": {"count": 3}}));
    let mark = azure.all_is_said().await?;
    pools
        .patch(&pool.name_any(), &PatchParams::default(), &scaled)
        .await?;
    azure.writes_nothing_since(mark).await?;
    azure.stop().await
}

/// What somebody changes is put back, above all the annotation that keeps Azure from losing something.
async fn drift_is_put_back((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let InAzure { governed, aso } = &azure;
    governed
        .declare("shop", spec("shop", 4, &json!({})))
        .await?;
    azure.says("shop", "True", "AsDeclared").await?;
    let pools = azure.objects(AzureKind::ManagedClustersAgentPool);
    let name = azure.only_pool()?;
    let params = PatchParams {
        field_manager: Some("mallory".to_owned()),
        ..PatchParams::default()
    };
    let patch = json!({
        "metadata": {"annotations": {POLICY: "Detach"}},
        "spec": {"maxCount": 100, "count": 2, "enableFIPS": true},
    });
    pools.patch(&name, &params, &Patch::Merge(patch)).await?;
    eventually(CONVERGED, "the pool to be put back", async || {
        let pool = pools.get(&name).await?;
        let spec = &pool.data["spec"];
        ensure!(
            pool.annotations()[POLICY] == "detach-on-delete",
            "{:?}",
            pool.metadata
        );
        ensure!(
            spec["maxCount"] == 3 && spec["enableFIPS"].is_null(),
            "{spec}"
        );
        // Whoever scales it is not disturbed.
        ensure!(spec["count"] == 2, "{spec}");
        Ok(Some(()))
    })
    .await?;
    azure
        .tells_of_mallory("shop", "ManagedClustersAgentPool/")
        .await?;

    // An object that is deleted comes back, and the resource was never gone.
    pools.delete(&name, &DeleteParams::default()).await?;
    eventually(CONVERGED, "the pool to come back", async || {
        let pool = pools.get(&name).await?;
        Ok(pool.metadata.deletion_timestamp.is_none().then_some(()))
    })
    .await?;
    azure.says("shop", "True", "AsDeclared").await?;
    ensure!(aso.deleted().is_empty(), "{:?}", aso.deleted());
    azure.stop().await
}

/// Nothing is deleted in Azure unless that is declared; what opened something that is declared no more is.
async fn what_leaves_the_declaration_stays_in_azure((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let InAzure { governed, aso } = &azure;
    let opens = json!({"ingress": [{"name": "orders", "from": {"landingZone": "orders"}}]});
    governed.declare("shop", spec("shop", 4, &opens)).await?;
    let to_shop = json!({"egress": [{"name": "shop", "to": {"landingZone": "shop"}}]});
    governed
        .declare("orders", spec("orders", 5, &to_shop))
        .await?;
    azure.says("shop", "True", "AsDeclared").await?;
    azure.says("orders", "True", "AsDeclared").await?;
    let rules = || aso.resources(AzureKind::NetworkSecurityGroupsSecurityRule);
    let is_open = || rules().keys().any(|name| name.contains("From-orders"));
    eventually(CONVERGED, "the crossing to be open", async || {
        Ok(is_open().then_some(()))
    })
    .await?;

    azure.edit("shop", json!({"network": null})).await?;
    eventually(CONVERGED, "the crossing to be closed", async || {
        Ok((!is_open()).then_some(()))
    })
    .await?;
    // With Delete, and then with Keep in the same edit that takes it all away: what is declared last counts.
    azure
        .edit("shop", json!({"azure": {"deletePolicy": "Delete"}}))
        .await?;
    let pools = azure.objects(AzureKind::ManagedClustersAgentPool);
    let of_shop = ListParams::default().labels("landingzones.dev/landing-zone=shop");
    eventually(CONVERGED, "the pool to say so", async || {
        let found = pools.list(&of_shop).await?.items;
        let says = found.iter().all(|it| it.annotations()[POLICY] == "manage");
        Ok((!found.is_empty() && says).then_some(()))
    })
    .await?;
    let before = aso.deleted();
    azure.edit("shop", json!({"azure": null})).await?;
    eventually(CONVERGED, "the objects to go", async || {
        for kind in AzureKind::ALL.into_iter().filter(|it| !it.is_karpenter()) {
            let left = azure.objects(kind).list(&of_shop).await?.items;
            ensure!(left.is_empty(), "{left:?}");
        }
        Ok(Some(()))
    })
    .await?;
    governed.ready("shop").await?;
    ensure!(aso.deleted() == before, "{:?}", aso.deleted());
    ensure!(aso.resources(AzureKind::ManagedClustersAgentPool).len() == 2);
    azure.stop().await
}

/// With deletePolicy Delete a pool goes in Azure, too, and not while its nodes carry pods; its subnet goes after it.
async fn no_node_goes_while_it_carries_pods((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let InAzure { governed, aso } = &azure;
    let mut declared = spec("shop", 4, &json!({}));
    declared["azure"]["deletePolicy"] = json!("Delete");
    governed.declare("shop", declared).await?;
    azure.says("shop", "True", "AsDeclared").await?;
    let pool = azure.only_pool()?;
    let node =
        json!({"metadata": {"name": "node-a", "labels": {"kubernetes.azure.com/agentpool": pool}}});
    let nodes: Api<Node> = Api::all(governed.client());
    nodes
        .create(&PostParams::default(), &serde_json::from_value(node)?)
        .await?;
    let running = json!({
        "metadata": {"name": "works"},
        "spec": {"nodeName": "node-a", "containers": [{"name": "a", "image": "registry.example.com/a"}]},
    });
    let pods: Api<Pod> = Api::namespaced(governed.client(), "default");
    pods.create(&PostParams::default(), &serde_json::from_value(running)?)
        .await?;

    azure
        .edit(
            "shop",
            json!({"azure": {"nodePool": null, "subnet": null, "networkSecurityGroup": null}}),
        )
        .await?;
    let message = azure.says("shop", "False", "Leaving").await?;
    ensure!(message.contains("default/works on node-a"), "{message}");
    ensure!(aso.deleted().is_empty(), "{:?}", aso.deleted());
    ensure!(aso.resources(AzureKind::VirtualNetworksSubnet).len() == 1);
    pods.delete("works", &DeleteParams::default().grace_period(0))
        .await?;
    // What runs on nodes is looked at twice a minute.
    eventually(LONG, "the pool to go", async || {
        for kind in AzureKind::ALL {
            let left = aso.resources(kind);
            ensure!(left.is_empty(), "{left:?}");
        }
        Ok(Some(()))
    })
    .await?;
    ensure!(aso.deleted().contains(&pool), "{:?}", aso.deleted());
    governed.ready("shop").await?;
    azure.stop().await
}

/// Azure cannot make another pool of one that is there: nothing is changed there, and everything in the cluster goes on.
async fn a_pool_does_not_become_another((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let InAzure { governed, aso } = &azure;
    governed
        .declare("shop", spec("shop", 4, &json!({})))
        .await?;
    azure.says("shop", "True", "AsDeclared").await?;
    let pool = azure.only_pool()?;
    azure
        .edit("shop", json!({"azure": {"nodePool": {"vmSize": "Standard_D8s_v5"}}, "labels": {"team": "web"}}))
        .await?;
    let message = azure.says("shop", "False", "PoolCannotChange").await?;
    for part in [
        pool.as_str(),
        "vmSize is Standard_D4s_v5, declared Standard_D8s_v5",
        "take nodePool",
    ] {
        ensure!(message.contains(part), "{part:?} is missing in: {message}");
    }
    governed
        .condition("shop", "Stalled", "True", "PoolCannotChange")
        .await?;
    let namespaces: Api<Namespace> = Api::all(governed.client());
    eventually(CONVERGED, "the namespace to have its label", async || {
        let namespace = namespaces.get("shop-web").await?;
        Ok(namespace.labels().get("team").map(drop))
    })
    .await?;
    ensure!(azure.only_pool()? == pool, "it became another");
    azure
        .edit(
            "shop",
            json!({"azure": {"nodePool": {"vmSize": "Standard_D4s_v5"}}}),
        )
        .await?;
    azure.says("shop", "True", "AsDeclared").await?;
    governed.ready("shop").await?;
    ensure!(aso.deleted().is_empty(), "{:?}", aso.deleted());
    azure.stop().await
}

/// What Azure refuses for good is told with its words, until an edit mends it.
async fn what_azure_refuses_is_told((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let InAzure { governed, aso } = &azure;
    governed
        .declare("shop", spec("shop", 4, &json!({})))
        .await?;
    azure.says("shop", "True", "AsDeclared").await?;
    let pool = azure.only_pool()?;
    aso.refuses(&pool, true);
    azure
        .edit("shop", json!({"azure": {"nodePool": {"max": 5}}}))
        .await?;
    let message = azure.says("shop", "False", "RefusedByAzure").await?;
    ensure!(message.contains("Azure does not like it"), "{message}");
    governed
        .condition("shop", "Stalled", "True", "RefusedByAzure")
        .await?;
    governed
        .condition("shop", "NetworkEnforced", "True", "Calico")
        .await?;
    aso.refuses(&pool, false);
    azure
        .edit("shop", json!({"azure": {"nodePool": {"max": 4}}}))
        .await?;
    azure.says("shop", "True", "AsDeclared").await?;
    governed.ready("shop").await?;
    azure.stop().await
}

/// Without Azure Service Operator, with a release that lacks something, and without the rights: each is told, and everything in
/// the cluster goes on; nobody has to restart anything once it is mended.
async fn without_azure_service_operator_the_cluster_goes_on((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    declare_platform(&governed, json!({})).await?;
    governed
        .declare("shop", spec("shop", 4, &json!({})))
        .await?;
    let message = says(&governed, "shop", "False", "ServiceOperatorMissing").await?;
    ensure!(message.contains("--crd-pattern"), "{message}");
    governed
        .condition("shop", "NamespacesReady", "True", "AsDeclared")
        .await?;
    governed
        .condition("shop", "Reconciling", "False", "ServiceOperatorMissing")
        .await?;

    // An old release.
    let kind = AzureKind::VirtualNetworksSubnet;
    let mut definitions = aso::definitions()?;
    let subnets = definitions
        .iter_mut()
        .find(|it| it.name_any() == kind.definition());
    let subnets = subnets.context("no definition of subnets")?;
    let whole = subnets.data.clone();
    let versions = subnets.data["spec"]["versions"].as_array_mut();
    for version in versions.context("no versions")? {
        let fields = version.pointer_mut("/schema/openAPIV3Schema/properties/spec/properties");
        let fields = fields.and_then(Value::as_object_mut);
        fields.context("no fields")?.remove("routeTable");
    }
    e2e::install::apply_objects(&governed.client(), definitions).await?;
    let message = says(&governed, "shop", "False", "ServiceOperatorUnfit").await?;
    ensure!(message.contains("routeTable.reference.armId"), "{message}");

    // A newer one, and nobody gave the operator its rights.
    let all: Api<CustomResourceDefinition> = Api::all(governed.client());
    let patch = Patch::Merge(json!({"spec": whole["spec"]}));
    all.patch(kind.definition(), &PatchParams::default(), &patch)
        .await?;
    let message = says(&governed, "shop", "False", "NotWatched").await?;
    ensure!(message.contains("config/azure"), "{message}");
    let (state, said) = governed.operator.ready().await?;
    ensure!(state.is_success(), "{said}");

    aso::install(&governed.client()).await?;
    let aso = AzureServiceOperator::start(governed.client());
    says(&governed, "shop", "True", "AsDeclared").await?;
    governed.ready("shop").await?;
    ensure!(aso.resources(AzureKind::ManagedClustersAgentPool).len() == 1);
    governed.stop().await
}

/// Objects would stay behind in the old namespace, and the resources would have two of them.
async fn the_namespace_of_the_objects_does_not_move((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let platforms: Api<LandingZonePlatform> = Api::all(azure.governed.client());
    let params = PatchParams::default();
    let moved = json!({"spec": {"azure": {"serviceOperator": {"namespace": "elsewhere"}}}});
    let Err(error) = platforms
        .patch("cluster", &params, &Patch::Merge(moved))
        .await
    else {
        anyhow::bail!("it moved");
    };
    let said = error.to_string();
    ensure!(said.contains("take serviceOperator out"), "{said}");
    // Without it everything stays as it is, and that is told.
    let InAzure { governed, aso } = &azure;
    governed
        .declare("shop", spec("shop", 4, &json!({})))
        .await?;
    azure.says("shop", "True", "AsDeclared").await?;
    let out = json!({"spec": {"azure": {"serviceOperator": null}}});
    platforms
        .patch("cluster", &params, &Patch::Merge(out))
        .await?;
    let message = azure.says("shop", "Unknown", "NotManaged").await?;
    ensure!(message.contains("--azure bicep"), "{message}");
    let pools = azure.objects(AzureKind::ManagedClustersAgentPool);
    let left = pools.list(&ListParams::default()).await?.items;
    ensure!(left.len() == 1 && aso.deleted().is_empty(), "{left:?}");
    azure.stop().await
}

/// A restart writes nothing, in Azure neither.
async fn a_restart_writes_nothing((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let governed = &azure.governed;
    for (name, third) in [("shop", 4), ("orders", 5)] {
        governed
            .declare(name, spec(name, third, &json!({})))
            .await?;
    }
    for name in ["shop", "orders"] {
        azure.says(name, "True", "AsDeclared").await?;
        governed.ready(name).await?;
    }
    governed.operator.terminate().await?;
    let log = governed.cluster.audit_log();
    let mark = log.mark()?;
    let operator = OperatorProcess::start(&governed.cluster, OperatorOptions::default()).await?;
    operator.wait_until_ready(CONVERGED).await?;
    holds_for(Duration::from_secs(8), "nothing is written", async || {
        let writes = log.writes_by(governed.operator_user(), mark)?;
        let writes: Vec<_> = writes.iter().filter(|it| it.resource != "leases").collect();
        ensure!(writes.is_empty(), "{writes:?}");
        Ok(())
    })
    .await?;
    operator.terminate().await?;
    Ok(())
}

/// With its landing zone goes what is in Azure, as declared: the namespaces first, then nodes, then what they needed.
async fn a_deleted_landing_zone_leaves_azure_as_declared((): &()) -> Result<()> {
    let azure = InAzure::start().await?;
    let InAzure { governed, aso } = &azure;
    let rights = e2e::workspace::root().join("config/namespace-deletion");
    e2e::install::apply_manifests(&governed.client(), &rights).await?;
    for (name, third, policy) in [("kept", 4, "Keep"), ("gone", 5, "Delete")] {
        let mut declared = spec(name, third, &json!({}));
        declared["deletePolicy"] = json!("Delete");
        declared["azure"]["deletePolicy"] = json!(policy);
        governed.declare(name, declared).await?;
    }
    for name in ["kept", "gone"] {
        azure.says(name, "True", "AsDeclared").await?;
        governed.ready(name).await?;
    }
    for name in ["kept", "gone"] {
        governed.withdraw(name).await?;
    }
    let zones = governed.zones();
    eventually(LONG, "both to be gone", async || {
        Ok(zones
            .list(&ListParams::default())
            .await?
            .items
            .is_empty()
            .then_some(()))
    })
    .await?;
    let pools = aso.resources(AzureKind::ManagedClustersAgentPool);
    let labels: Vec<_> = pools
        .values()
        .map(|it| it["nodeLabels"]["stack"].clone())
        .collect();
    ensure!(labels == ["kept"], "{labels:?}");
    for kind in AzureKind::ALL.into_iter().filter(|it| !it.is_karpenter()) {
        let left = azure
            .objects(kind)
            .list(&ListParams::default())
            .await?
            .items;
        ensure!(left.is_empty(), "{left:?}");
    }
    azure.stop().await
}

fn main() -> ExitCode {
    scenario::run::<()>(scenarios![
        what_is_declared_reaches_azure within LONG,
        drift_is_put_back within LONG,
        what_leaves_the_declaration_stays_in_azure within LONG,
        no_node_goes_while_it_carries_pods within LONG,
        a_pool_does_not_become_another within LONG,
        what_azure_refuses_is_told within LONG,
        without_azure_service_operator_the_cluster_goes_on within LONG,
        the_namespace_of_the_objects_does_not_move within LONG,
        a_restart_writes_nothing within LONG,
        a_deleted_landing_zone_leaves_azure_as_declared within LONG,
        a_pool_gives_way_to_another within LONG,
        a_pool_that_is_written_back_stays within LONG,
        what_is_the_platforms_own_reaches_azure within LONG,
        names_go_through_the_firewall within LONG,
        without_a_firewall_names_are_closed within LONG,
        what_is_suspended_keeps_its_way_out within LONG,
        karpenter_makes_the_nodes within LONG,
        karpenter_moves_nodes_to_another_subnet within LONG,
        nodes_of_karpenter_go_only_as_declared within LONG,
        without_karpenter_the_cluster_goes_on within LONG,
        a_platform_that_changes_takes_nothing_away within LONG,
        with_its_kinds_karpenters_objects_are_gone within LONG,
    ])
}
