//! The node pool of a landing zone.

use std::collections::{BTreeMap, BTreeSet};

use super::Subnet;
use super::pool_name::pool_name;
use crate::api::{OsSku, names};
use crate::domain::{LandingZone, PlatformAzure};

/// A pool of nodes in mode User, which grows and shrinks by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePool {
    /// The landing zone whose it is.
    pub zone: String,
    /// Its name: at most 12 lower-case letters and digits.
    pub name: String,
    /// Size of the virtual machines.
    pub vm_size: String,
    /// The fewest nodes.
    pub min: u16,
    /// The most nodes.
    pub max: u16,
    /// Availability zones; empty: wherever Azure likes.
    pub availability_zones: BTreeSet<u8>,
    /// The most pods of a node; None: what AKS says.
    pub max_pods: Option<u8>,
    /// The operating system.
    pub os_sku: OsSku,
    /// Labels of its nodes.
    pub labels: BTreeMap<String, String>,
    /// What keeps the pods of others off.
    pub taints: Vec<Taint>,
    /// The subnet of its nodes, by name.
    pub subnet: Option<String>,
    /// The subnet of their pods, by name; None: the same.
    pub pod_subnet: Option<String>,
}

/// A taint that lets nobody in who does not tolerate it. As text as AKS takes it, `stack=<code>:NoSchedule`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl std::fmt::Display for Taint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}:NoSchedule", self.key, self.value)
    }
}

/// The pool of a landing zone in its own subnets: nodes first, then pods.
pub(super) fn node_pool(
    zone: &LandingZone,
    azure: &PlatformAzure,
    subnets: &[Subnet],
) -> Option<NodePool> {
    let declared = zone.azure.node_pool.as_ref()?;
    let code = zone.code.as_str();
    let taint = Taint {
        key: names::STACK.to_owned(),
        value: code.to_owned(),
    };
    let named = |place: usize| subnets.get(place).map(|it| it.name.clone());
    Some(NodePool {
        zone: zone.name.to_string(),
        name: pool_name(
            &azure.cluster,
            &zone.name,
            declared,
            zone.azure.subnet.as_ref(),
        ),
        vm_size: declared.vm_size.clone(),
        min: declared.min,
        max: declared.max,
        availability_zones: declared.availability_zones.clone(),
        max_pods: declared.max_pods,
        os_sku: declared.os_sku,
        labels: [(names::STACK.to_owned(), code.to_owned())].into(),
        taints: declared.taint.then_some(taint).into_iter().collect(),
        subnet: named(0),
        pod_subnet: named(1),
    })
}
