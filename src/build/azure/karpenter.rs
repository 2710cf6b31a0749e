//! The nodes of a landing zone as Karpenter makes them: one `NodePool`, and one `AKSNodeClass` for each subnet that they lie in.
//!
//! Source of the fields: the definitions of `karpenter.sh/v1` and `karpenter.azure.com/v1beta1` (Azure/karpenter-provider-azure,
//! `pkg/apis/crds`); the labels: AKS documentation, "Configure node pools for node auto-provisioning".

use serde_json::{Map, Value, json};

use super::resource_id::ResourceIds;
use super::{NodePool, Owner, Subnet, resource_name};
use crate::api::OsSku;
use crate::domain::{AzureKind, AzureVersions, LandingZone, PlatformAzure};

/// Nodes that Karpenter makes when pods ask for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KarpenterPool {
    /// Its name.
    pub name: String,
    /// The name of what its nodes are made of. Karpenter makes no more nodes where the subnet in there becomes another (AKS
    /// documentation, "Networking configurations for node auto-provisioning"): another subnet is another one.
    pub node_class: String,
    /// What the nodes are; `min` is 0, and there is no subnet of pods.
    pub nodes: NodePool,
}

/// The pool of a landing zone, and what its nodes are made of.
pub(super) fn karpenter_pool(
    zone: &LandingZone,
    nodes: NodePool,
    subnet: &Subnet,
) -> KarpenterPool {
    let name = zone.name.as_str();
    KarpenterPool {
        name: resource_name("lz", name, &[name]),
        node_class: resource_name("lz", name, &[name, &subnet.name]),
        nodes,
    }
}

/// Its objects, in the order in which they are applied.
pub(super) fn objects(
    pool: &KarpenterPool,
    azure: &PlatformAzure,
    versions: &AzureVersions,
    owner: &Owner,
) -> [Value; 2] {
    let object = |kind: AzureKind, name: &str, spec: Value| {
        json!({
            "apiVersion": versions.api_version(kind),
            "kind": kind.name(),
            "metadata": {"name": name, "labels": owner.labels},
            "spec": spec,
        })
    };
    [
        object(
            AzureKind::AksNodeClass,
            &pool.node_class,
            node_class(pool, azure),
        ),
        object(AzureKind::NodePool, &pool.name, node_pool(pool, azure)),
    ]
}

fn node_class(pool: &KarpenterPool, azure: &PlatformAzure) -> Value {
    let nodes = &pool.nodes;
    let family = match nodes.os_sku {
        OsSku::Ubuntu => "Ubuntu",
        OsSku::AzureLinux => "AzureLinux",
    };
    let mut spec = Map::new();
    spec.insert("imageFamily".to_owned(), json!(family));
    if let Some(pods) = nodes.max_pods {
        spec.insert("maxPods".to_owned(), json!(pods));
    }
    if let Some(subnet) = &nodes.subnet {
        let id = ResourceIds(azure).subnet(subnet);
        spec.insert("vnetSubnetID".to_owned(), json!(id));
    }
    Value::Object(spec)
}

fn node_pool(pool: &KarpenterPool, azure: &PlatformAzure) -> Value {
    let nodes = &pool.nodes;
    let is_in =
        |key: &str, values: Vec<String>| json!({"key": key, "operator": "In", "values": values});
    let one = |key: &str, value: &str| is_in(key, vec![value.to_owned()]);
    let mut requirements = vec![
        one("karpenter.azure.com/sku-name", &nodes.vm_size),
        one("karpenter.sh/capacity-type", "on-demand"),
        one("kubernetes.io/os", "linux"),
    ];
    if !nodes.availability_zones.is_empty() {
        let zones = nodes.availability_zones.iter();
        let zones = zones.map(|zone| format!("{}-{zone}", azure.location));
        requirements.push(is_in("topology.kubernetes.io/zone", zones.collect()));
    }
    let taints: Vec<_> = nodes
        .taints
        .iter()
        .map(|taint| json!({"key": taint.key, "value": taint.value, "effect": "NoSchedule"}))
        .collect();
    let class = AzureKind::AksNodeClass;
    let mut spec = json!({
        "nodeClassRef": {"group": class.group(), "kind": class.name(), "name": pool.node_class},
        "requirements": requirements,
    });
    if !taints.is_empty() {
        spec["taints"] = json!(taints);
    }
    json!({
        "limits": {"nodes": nodes.max.to_string()},
        "template": {"metadata": {"labels": nodes.labels}, "spec": spec},
    })
}
