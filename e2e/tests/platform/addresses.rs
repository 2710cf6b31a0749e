//! What the operator finds out about addresses in the cluster, where nobody declares them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::shop::{PATIENCE, Shop};
use e2e::{Calico, Governed, OperatorOptions, OperatorProcess, eventually, holds_for};
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use landing_zone_operator::api::{LandingZonePlatformStatus, PodCidrsSource};
use serde_json::{Value, json};

use crate::{declare, edit, knows, platforms, restart_writes_nothing, stands};

/// Waits until the platform says all of that about a condition, for a reason.
async fn says(
    governed: &Governed,
    type_: &str,
    reason: &str,
    words: &[&str],
) -> Result<LandingZonePlatformStatus> {
    let what = format!("the platform to have {type_} ({reason}), saying {words:?}");
    eventually(PATIENCE, &what, async || {
        let status = platforms(governed).get("cluster").await?.status;
        let status = status.context("no status")?;
        let is_it = |condition: &&Condition| condition.type_ == type_;
        let condition = status.conditions.iter().find(is_it);
        let condition = condition.context("no such condition")?;
        let says_all = words.iter().all(|word| condition.message.contains(word));
        ensure!(condition.reason == reason && says_all, "{condition:?}");
        Ok(Some(status))
    })
    .await
}

fn dns_service(address: &str) -> Result<Service> {
    let service = json!({
        "metadata": {"name": "kube-dns"},
        "spec": {
            "clusterIP": address, "selector": {"k8s-app": "kube-dns"},
            "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}],
        },
    });
    Ok(serde_json::from_value(service)?)
}

/// Waits until exactly these addresses of DNS caches are allowed.
async fn caches(shop: &Shop<'_>, addresses: &[&str]) -> Result<()> {
    let what = format!("DNS on {addresses:?} to be allowed to {}", shop.name());
    eventually(PATIENCE, &what, async || {
        let rules = shop.policy("dns").at("/spec/egress").await?;
        let rules = rules.as_array().context("no rules")?;
        let udp = rules.iter().filter(|rule| rule["protocol"] == "UDP");
        let nets = udp.filter_map(|rule| rule.pointer("/destination/nets")?.as_array());
        let nets: Vec<_> = nets.flatten().filter_map(Value::as_str).collect();
        ensure!(nets == addresses, "{nets:?}");
        Ok(Some(()))
    })
    .await
}

const ALLOWED: &str = "NodeLocalDnsAllowed";

pub async fn the_address_of_dns_is_followed((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let services: Api<Service> = Api::namespaced(governed.client(), "kube-system");
    let shop = Shop::open(&governed, "asking").await?;
    caches(&shop, &[]).await?;

    // Asked for before there is a Service: what is known is allowed, and the rest is told.
    declare(&governed, "cluster", json!({"dns": {"nodeLocal": true}})).await?;
    caches(&shop, &["169.254.20.10/32"]).await?;
    says(
        &governed,
        ALLOWED,
        "ServiceMissing",
        &["169.254.20.10 only"],
    )
    .await?;
    let status = stands(&governed, "True").await?;
    let ready = status.conditions.iter().find(|it| it.type_ == "Ready");
    let said = &ready.context("no condition")?.message;
    ensure!(said.contains("no Service kube-system/kube-dns"), "{said}");

    let params = PostParams::default();
    services
        .create(&params, &dns_service("10.96.0.10")?)
        .await?;
    caches(&shop, &["10.96.0.10/32", "169.254.20.10/32"]).await?;
    let status = says(&governed, ALLOWED, "ServiceFound", &["(10.96.0.10)"]).await?;
    let told = status.effective.context("no values")?.dns_addresses;
    ensure!(told == ["169.254.20.10/32", "10.96.0.10/32"], "{told:?}");
    governed.ready("asking").await?;
    drop(shop);
    restart_writes_nothing(&mut governed).await?;

    // An address is given anew with the Service.
    let shop = Shop::visit(&governed, "asking").await?;
    let gone = DeleteParams::default();
    services.delete("kube-dns", &gone).await?;
    caches(&shop, &["169.254.20.10/32"]).await?;
    says(&governed, ALLOWED, "ServiceMissing", &[]).await?;
    services
        .create(&params, &dns_service("10.96.0.53")?)
        .await?;
    caches(&shop, &["10.96.0.53/32", "169.254.20.10/32"]).await?;

    // Another Service is nobody's business, and the operator may not read it.
    edit(&governed, json!({"dns": null})).await?;
    caches(&shop, &[]).await?;
    let status = stands(&governed, "True").await?;
    let left = status.conditions.iter().find(|it| it.type_ == ALLOWED);
    ensure!(left.is_none(), "{left:?}");
    drop(shop);
    governed.stop().await
}

/// Where Calico's pools are: in its storage, or in its native kinds.
const STORAGE: (&str, &str) = ("crd.projectcalico.org", "v1");
const NATIVE: (&str, &str) = ("projectcalico.org", "v3");

fn pools(governed: &Governed) -> Api<DynamicObject> {
    pools_in(governed, STORAGE)
}

fn pools_in(governed: &Governed, (group, version): (&str, &str)) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: format!("{group}/{version}"),
        kind: "IPPool".into(),
        plural: "ippools".into(),
    };
    Api::all_with(governed.client(), &resource)
}

async fn create_pool(governed: &Governed, name: &str, spec: Value) -> Result<()> {
    create_pool_in(governed, STORAGE, name, spec).await
}

async fn create_pool_in(
    governed: &Governed,
    served: (&str, &str),
    name: &str,
    spec: Value,
) -> Result<()> {
    let (group, version) = served;
    let pool = json!({
        "apiVersion": format!("{group}/{version}"), "kind": "IPPool",
        "metadata": {"name": name}, "spec": spec,
    });
    let pool = serde_json::from_value(pool)?;
    pools_in(governed, served)
        .create(&PostParams::default(), &pool)
        .await?;
    Ok(())
}

/// Makes a Node that gives a range to its pods.
async fn create_node(governed: &Governed, name: &str, range: &str) -> Result<()> {
    governed.cluster.create_node(name, &[], &[]).await?;
    let nodes: Api<Node> = Api::all(governed.client());
    let spec = Patch::Merge(json!({"spec": {"podCIDR": range, "podCIDRs": [range]}}));
    nodes.patch(name, &PatchParams::default(), &spec).await?;
    Ok(())
}

/// So long nothing may happen before it counts as not happening.
const CALM: Duration = Duration::from_secs(3);

const KNOWN: &str = "PodRangesKnown";

pub async fn ranges_of_pods_come_from_native_pools((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Native, OperatorOptions::default()).await?;
    declare(&governed, "cluster", json!({})).await?;
    says(&governed, KNOWN, "NotFound", &[]).await?;
    create_pool_in(&governed, NATIVE, "pods", json!({"cidr": "10.244.0.0/16"})).await?;
    says(&governed, KNOWN, "IPPools", &["from 10.244.0.0/16"]).await?;
    governed.stop().await
}

pub async fn ranges_of_pods_come_from_calico_s_pools((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let shop = Shop::open(&governed, "pooled").await?;
    knows(&shop, &[]).await?;
    declare(&governed, "cluster", json!({})).await?;
    let weaker = ["could pass for a pod", "declare network.podCidrs"];
    says(&governed, KNOWN, "NotFound", &weaker).await?;

    let before = shop.status().await?.applied_digest;
    let of_pods = json!({"cidr": "10.244.0.0/16"});
    create_pool(&governed, "pods", of_pods.clone()).await?;
    knows(&shop, &["10.244.0.0/16"]).await?;
    let status = says(&governed, KNOWN, "IPPools", &["from 10.244.0.0/16"]).await?;
    let values = status.effective.context("no values")?;
    ensure!(
        values.pod_cidrs_from == Some(PodCidrsSource::IPPools),
        "{values:?}"
    );

    // Neither is a pool of pods; the Nodes are not asked any more.
    eventually(PATIENCE, "the status to tell of it", async || {
        let told = shop.status().await?.applied_digest;
        Ok((told != before).then_some(()))
    })
    .await?;
    let mark = governed.cluster.audit_log().mark()?;
    create_pool(
        &governed,
        "outside",
        json!({"cidr": "10.0.0.0/9", "disabled": true}),
    )
    .await?;
    let tunnels = json!({"cidr": "10.250.0.0/24", "allowedUses": ["Tunnel"]});
    create_pool(&governed, "tunnels", tunnels).await?;
    create_node(&governed, "one", "10.100.0.0/24").await?;
    nothing_is_written(&governed, mark).await?;

    // A pool that is disabled or gone, for a moment or for good: pods still have its addresses.
    let disable = Patch::Merge(json!({"spec": {"disabled": true}}));
    let params = PatchParams::default();
    pools(&governed).patch("pods", &params, &disable).await?;
    let kept = ["10.244.0.0/16 still counts"];
    says(&governed, KNOWN, "IPPools", &kept).await?;
    let gone = DeleteParams::default();
    pools(&governed).delete("pods", &gone).await?;
    nothing_is_written(&governed, mark).await?;
    knows(&shop, &["10.244.0.0/16"]).await?;
    drop(shop);
    restart_writes_nothing(&mut governed).await?;
    let shop = Shop::visit(&governed, "pooled").await?;
    knows(&shop, &["10.244.0.0/16"]).await?;
    create_pool(&governed, "more", json!({"cidr": "fd00:10::/56"})).await?;
    knows(&shop, &["10.244.0.0/16", "fd00:10::/56"]).await?;

    // Whoever declares the ranges knows better, and ends what was kept.
    edit(&governed, json!({"network": {"podCidrs": ["10.1.0.0/16"]}})).await?;
    knows(&shop, &["10.1.0.0/16"]).await?;
    says(&governed, KNOWN, "Declared", &["network.podCidrs"]).await?;
    edit(&governed, json!({"network": null})).await?;
    knows(&shop, &["fd00:10::/56"]).await?;
    drop(shop);
    governed.stop().await
}

/// Nothing that pods notice: the platform's status may tell what it is about.
async fn nothing_is_written(governed: &Governed, mark: e2e::audit::Mark) -> Result<()> {
    holds_for(CALM, "no landing zone is written", async || {
        let writes = governed.cluster.audit_log();
        let writes = writes.writes_by(governed.operator_user(), mark)?;
        let mut written = writes
            .iter()
            .filter(|write| write.resource != "landingzoneplatforms" && write.resource != "events");
        let first = written.next();
        ensure!(first.is_none(), "{first:?}");
        Ok(())
    })
    .await
}

pub async fn ranges_of_pods_come_from_nodes_without_pools((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    // Without a platform, too.
    let shop = Shop::open(&governed, "noded").await?;
    knows(&shop, &[]).await?;
    create_node(&governed, "zero", "10.244.0.0/24").await?;
    knows(&shop, &["10.244.0.0/24"]).await?;
    create_node(&governed, "three", "10.244.3.0/24").await?;
    knows(&shop, &["10.244.0.0/22"]).await?;
    governed.ready("noded").await?;
    drop(shop);
    // Nobody remembers the ranges, so nothing may be done before they are read.
    restart_writes_nothing(&mut governed).await?;
    let shop = Shop::visit(&governed, "noded").await?;
    knows(&shop, &["10.244.0.0/22"]).await?;
    declare(&governed, "cluster", json!({})).await?;
    let status = says(&governed, KNOWN, "Nodes", &["from 10.244.0.0/22"]).await?;
    // It declares what holds without it, and is answered all the same.
    says(&governed, "DefaultDenyReady", "Off", &[]).await?;
    let values = status.effective.context("no values")?;
    ensure!(
        values.pod_cidrs_from == Some(PodCidrsSource::Nodes),
        "{values:?}"
    );

    // More of them, and fewer, between those that are known.
    let mark = governed.cluster.audit_log().mark()?;
    create_node(&governed, "one", "10.244.1.0/24").await?;
    create_node(&governed, "two", "10.244.2.0/24").await?;
    let nodes: Api<Node> = Api::all(governed.client());
    let gone = DeleteParams::default();
    nodes.delete("three", &gone).await?;
    nothing_is_written(&governed, mark).await?;
    drop(shop);
    restart_writes_nothing(&mut governed).await?;

    // Where the plugin takes addresses from elsewhere, what the Nodes say means nothing.
    let shop = Shop::visit(&governed, "noded").await?;
    edit(&governed, json!({"network": {"plugin": "AzureCNI"}})).await?;
    knows(&shop, &[]).await?;
    says(&governed, KNOWN, "NotFound", &["with Azure CNI"]).await?;
    edit(&governed, json!({"network": {"plugin": "Kubenet"}})).await?;
    knows(&shop, &["10.244.0.0/22"]).await?;
    drop(shop);

    // What the operator was started with comes first.
    governed.operator.terminate().await?;
    let told = OperatorOptions {
        arguments: vec!["--pod-cidr=10.1.0.0/16".to_owned()],
        ..OperatorOptions::default()
    };
    governed.operator = OperatorProcess::start(&governed.cluster, told).await?;
    let shop = Shop::visit(&governed, "noded").await?;
    knows(&shop, &["10.1.0.0/16"]).await?;
    says(&governed, KNOWN, "Told", &["--pod-cidr"]).await?;
    drop(shop);
    governed.stop().await
}
