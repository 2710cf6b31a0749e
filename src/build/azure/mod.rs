//! What a landing zone owns in Azure, and what guards the system pool's subnet: the same resources for Azure Service Operator,
//! Bicep and Terraform.

mod aso;
mod bicep;
mod firewall;
mod karpenter;
mod node_pool;
mod pool_name;
mod priorities;
mod properties;
mod resource_id;
mod security_group;
mod terraform;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use aso::{Owner, comes_and_goes, reconcile_policy};
pub use bicep::{BicepError, bicep};
pub use firewall::{
    ApplicationProtocol, ApplicationRule, RuleCollection, RuleCollectionGroup, RuleNames,
    application_rules, landing_zone_of_rule, read_application_rules,
};
pub use karpenter::KarpenterPool;
pub use node_pool::NodePool;
pub use security_group::security_groups_govern_pods;
pub use terraform::terraform;

use crate::api::{self, NodeProvisioning};
use crate::domain::{self, AzureVersions, LandingZone, LandingZoneName, Openings, Platform};
use crate::policy::security_group::SecurityGroup;

/// Longest name of a subnet with Azure CNI Overlay (AKS documentation, "Azure CNI Overlay"); others may have 80.
const LONGEST_NAME: usize = 63;

/// Everything in Azure that follows from declarations. Whoever writes it takes it apart without `..`, so that a new kind that
/// nobody writes does not compile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AzureResources {
    /// Network security groups, before the subnets that they guard.
    pub security_groups: Vec<SecurityGroup>,
    /// Subnets, before the nodes that lie in them.
    pub subnets: Vec<Subnet>,
    /// Agent pools.
    pub node_pools: Vec<NodePool>,
    /// Nodes that Karpenter makes.
    pub karpenter_pools: Vec<KarpenterPool>,
    /// What the firewall lets through.
    pub rule_collection_groups: Vec<RuleCollectionGroup>,
}

impl AzureResources {
    /// All that Azure would refuse, a sentence each; empty if nothing.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let groups = self.security_groups.iter();
        let faults = groups.flat_map(|group| {
            let faults = group.validate().into_iter();
            faults.map(|fault| format!("network security group {}: {fault}", group.name))
        });
        faults.collect()
    }
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its name in Azure.
    pub name: String,
    /// Its range.
    pub cidr: IpNet,
    /// Whether pods get their addresses from it: AKS has it delegated to itself then.
    pub of_pods: bool,
    /// The network security group that guards it, by name.
    pub security_group: Option<String>,
    /// Resource id of its route table.
    pub route_table: Option<String>,
}

/// What others own that a landing zone has to do with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Their subnets; those that have none share the platform's.
    pub subnets: BTreeMap<LandingZoneName, OwnSubnet>,
}

/// The subnet of a landing zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSubnet {
    /// Where it lies.
    pub subnet: domain::Subnet,
    /// Ranges of its subnets that are declared no more, in which nodes and pods may still be.
    pub former: Vec<IpNet>,
    /// Whether a group of its own guards it.
    pub has_security_group: bool,
}

impl OwnSubnet {
    /// All addresses that its nodes and pods may have.
    fn ranges(&self) -> Vec<IpNet> {
        [self.subnet.ranges(), self.former.clone()].concat()
    }

    /// Where its pods may have their addresses.
    fn pods(&self) -> Vec<IpNet> {
        [vec![self.subnet.pods()], self.former.clone()].concat()
    }
}

impl OwnSubnet {
    /// That of a landing zone; None where it has none.
    #[must_use]
    pub fn of(declared: &domain::LandingZoneAzure) -> Option<Self> {
        Some(Self {
            subnet: declared.subnet?,
            former: Vec::new(),
            has_security_group: declared.has_security_group,
        })
    }

    /// That of a landing zone as it is written, valid or not, where its ranges can be read.
    #[must_use]
    pub fn as_written(declared: &api::LandingZoneAzure) -> Option<Self> {
        let subnet = declared.subnet.as_ref()?;
        Some(Self {
            subnet: domain::Subnet {
                cidr: subnet.cidr.parse().ok()?,
                pod_cidr: subnet.pod_cidr.as_ref().and_then(|it| it.parse().ok()),
            },
            former: Vec::new(),
            has_security_group: declared.network_security_group.is_some(),
        })
    }
}

impl Neighbours {
    /// All of these.
    #[must_use]
    pub fn of(zones: &[LandingZone]) -> Self {
        let own = zones
            .iter()
            .filter_map(|zone| Some((zone.name.clone(), OwnSubnet::of(&zone.azure)?)));
        Self {
            subnets: own.collect(),
        }
    }
}

/// Priorities of the rules of a group as they are, by name.
pub type Priorities = BTreeMap<String, u16>;

/// What one landing zone owns in Azure; nothing where the platform says nothing of Azure.
#[must_use]
pub fn landing_zone_azure(
    zone: &LandingZone,
    platform: &Platform,
    openings: &Openings,
    neighbours: &Neighbours,
    before: &Priorities,
) -> AzureResources {
    let Some(azure) = &platform.azure else {
        return AzureResources::default();
    };
    let own = |prefix: &str, of: &str| {
        let told = format!("{}-{}", azure.cluster, zone.name);
        resource_name(prefix, &told, &[&azure.cluster, zone.name.as_str(), of])
    };
    let group_name = own("nsg", "");
    let group = security_group::landing_zone(
        zone, group_name, platform, azure, openings, neighbours, before,
    );
    let mut subnets = Vec::new();
    if let Some(declared) = &zone.azure.subnet {
        let mut add = |name: String, cidr, of_pods| {
            subnets.push(Subnet {
                name,
                cidr,
                of_pods,
                security_group: group.as_ref().map(|it| it.name.clone()),
                route_table: azure.route_table.clone(),
            });
        };
        // Azure moves no subnet that something lies in: another range is another subnet.
        let nodes = declared.cidr;
        add(own("snet", &nodes.to_string()), nodes, false);
        if let Some(pods) = declared.pod_cidr {
            add(own("podsnet", &pods.to_string()), pods, true);
        }
    }
    let mut node_pools = Vec::new();
    let mut karpenter_pools = Vec::new();
    if let Some(pool) = node_pool::node_pool(zone, azure, &subnets) {
        match (azure.node_provisioning, subnets.first()) {
            (NodeProvisioning::Auto, Some(subnet)) => {
                karpenter_pools.push(karpenter::karpenter_pool(zone, pool, subnet));
            }
            // Without a subnet there are no nodes either.
            _ => node_pools.push(pool),
        }
    }
    AzureResources {
        node_pools,
        karpenter_pools,
        security_groups: group.into_iter().collect(),
        subnets,
        rule_collection_groups: Vec::new(),
    }
}

/// The objects of the cluster that stand for these, in the order in which they are applied: those of Azure Service Operator where
/// the platform says in which namespace they lie, and Karpenter's.
#[must_use]
pub fn azure_objects(
    resources: &AzureResources,
    azure: &domain::PlatformAzure,
    versions: &AzureVersions,
    owner: &Owner,
) -> Vec<Value> {
    let operator = azure.service_operator.as_ref();
    let mut objects = operator.map_or_else(Vec::new, |operator| {
        aso::azure_service_operator(resources, azure, operator, versions, owner)
    });
    for pool in &resources.karpenter_pools {
        objects.extend(karpenter::objects(pool, azure, versions, owner));
    }
    objects
}

/// What is the platform's own: what guards the subnet of its system pool, and what the firewall lets through, of which `declared`
/// is what landing zones ask for.
#[must_use]
pub fn platform_azure(
    platform: &Platform,
    neighbours: &Neighbours,
    declared: &[ApplicationRule],
    before: &Priorities,
) -> AzureResources {
    let Some(azure) = &platform.azure else {
        return AzureResources::default();
    };
    let name = system_security_group(azure);
    let group = security_group::system_subnet(name, platform, azure, before);
    let rules = firewall::rule_collection_group(azure, neighbours, declared);
    AzureResources {
        security_groups: group.into_iter().collect(),
        rule_collection_groups: rules.into_iter().collect(),
        ..AzureResources::default()
    }
}

/// The name of the group that guards the system pool's subnet.
#[must_use]
pub fn system_security_group(azure: &domain::PlatformAzure) -> String {
    resource_name(
        "nsg",
        &format!("{}-system", azure.cluster),
        &[&azure.cluster],
    )
}

/// What people read, cut where it is too long, and what tells it apart: several clusters may share a resource group, and
/// have landing zones of the same name.
fn resource_name(prefix: &str, told: &str, distinct: &[&str]) -> String {
    let digest = short_digest(&distinct.join("/"));
    let room = LONGEST_NAME - prefix.len() - digest.len() - 2;
    let told: String = told.chars().take(room).collect();
    let told = told.trim_end_matches(['-', '.', '_']);
    format!("{prefix}-{told}-{digest}")
}

/// Eight hexadecimal digits that tell apart what would have the same name.
fn short_digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let first = [digest[0], digest[1], digest[2], digest[3]];
    format!("{:08x}", u32::from_be_bytes(first))
}
