//! What a landing zone owns in Azure, and what guards the system pool's subnet: the same resources for Azure Service Operator,
//! Bicep and Terraform.

mod aso;
mod bicep;
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
use sha2::{Digest, Sha256};

pub use aso::{Owner, azure_service_operator};
pub use bicep::{BicepError, bicep};
pub use node_pool::NodePool;
pub use security_group::security_groups_govern_pods;
pub use terraform::terraform;

use crate::domain::{self, LandingZone, LandingZoneName, Openings, Platform};
use crate::policy::security_group::SecurityGroup;

/// Longest name of a subnet and of a network security group (Azure documentation, "Naming rules and restrictions").
const LONGEST_NAME: usize = 80;

/// Everything in Azure that follows from declarations. Whoever writes it takes it apart without `..`, so that a new kind that
/// nobody writes does not compile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AzureResources {
    /// Network security groups, before the subnets that they guard.
    pub security_groups: Vec<SecurityGroup>,
    /// Subnets, before the nodes that lie in them.
    pub subnets: Vec<Subnet>,
    /// Node pools.
    pub node_pools: Vec<NodePool>,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its name in Azure.
    pub name: String,
    /// Its range.
    pub cidr: IpNet,
    /// The network security group that guards it, by name.
    pub security_group: Option<String>,
    /// Resource id of its route table.
    pub route_table: Option<String>,
}

/// What others own that a landing zone has to do with.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// Their subnets; those that have none share the platform's.
    pub subnets: BTreeMap<LandingZoneName, domain::Subnet>,
}

impl Neighbours {
    fn subnet(&self, name: &LandingZoneName) -> Option<&domain::Subnet> {
        self.subnets.get(name)
    }
}

/// Priorities of rules as they are, by the group's name and the rule's.
pub type Priorities = BTreeMap<String, BTreeMap<String, u16>>;

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
    // Several clusters may share a virtual network, and have landing zones of the same name.
    let own = |prefix: &str| cut(&format!("{prefix}-{}-{}", azure.cluster, zone.name));
    let nothing = BTreeMap::new();
    let group_name = own("nsg");
    let priorities = before.get(&group_name).unwrap_or(&nothing);
    let group = security_group::landing_zone(
        zone, group_name, platform, azure, openings, neighbours, priorities,
    );
    let mut subnets = Vec::new();
    if let Some(declared) = &zone.azure.subnet {
        let mut add = |name: String, cidr| {
            subnets.push(Subnet {
                name,
                cidr,
                security_group: group.as_ref().map(|it| it.name.clone()),
                route_table: azure.route_table.clone(),
            });
        };
        add(own("snet"), declared.cidr);
        if let Some(pods) = declared.pod_cidr {
            add(own("podsnet"), pods);
        }
    }
    AzureResources {
        node_pools: node_pool::node_pool(zone, &subnets).into_iter().collect(),
        security_groups: group.into_iter().collect(),
        subnets,
    }
}

/// What guards the subnets of the platform itself.
#[must_use]
pub fn platform_azure(platform: &Platform, before: &Priorities) -> AzureResources {
    let Some(azure) = &platform.azure else {
        return AzureResources::default();
    };
    let name = system_security_group(azure);
    let nothing = BTreeMap::new();
    let priorities = before.get(&name).unwrap_or(&nothing);
    let group = security_group::system_subnet(name, platform, azure, priorities);
    AzureResources {
        security_groups: group.into_iter().collect(),
        ..AzureResources::default()
    }
}

/// The name of the group that guards the system pool's subnet.
#[must_use]
pub fn system_security_group(azure: &domain::PlatformAzure) -> String {
    cut(&format!("nsg-{}", azure.cluster))
}

/// The name, or, where it is too long, its beginning with a digest of the whole.
fn cut(name: &str) -> String {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let digest = short_digest(name);
    let kept: String = name.chars().take(LONGEST_NAME - digest.len() - 1).collect();
    format!("{kept}-{digest}")
}

/// Eight hexadecimal digits that tell apart what would have the same name.
fn short_digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let first = [digest[0], digest[1], digest[2], digest[3]];
    format!("{:08x}", u32::from_be_bytes(first))
}
