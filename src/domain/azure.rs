//! What a landing zone owns in Azure, and where in Azure its cluster lies.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::landing_zone::Toleration;
use super::{AzureKind, Placement};
use crate::api::{
    DeletePolicy, NodeProvisioning, OsSku, TolerationEffect, TolerationOperator, names,
};

/// What a landing zone owns in Azure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LandingZoneAzure {
    /// Nodes for it alone.
    pub node_pool: Option<NodePool>,
    /// Their subnet; never without nodes, nor these without it.
    pub subnet: Option<Subnet>,
    /// Whether the rules of the subnet's network security group follow from declarations. Never without a
    /// subnet.
    pub has_security_group: bool,
    /// What becomes of all this when it is declared no more.
    pub delete_policy: DeletePolicy,
}

/// Nodes for one landing zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePool {
    /// Size of the virtual machines.
    pub vm_size: String,
    /// The fewest nodes.
    pub min: u16,
    /// The most nodes; at least the fewest, and at least one.
    pub max: u16,
    /// Availability zones; empty: wherever Azure likes.
    pub availability_zones: BTreeSet<u8>,
    /// The most pods of a node; None: what AKS says.
    pub max_pods: Option<u8>,
    /// The operating system.
    pub os_sku: OsSku,
    /// Whether a taint keeps the pods of others off.
    pub taint: bool,
    /// Whether it takes the place of one that Azure cannot make into it.
    pub replace: bool,
}

/// A subnet of nodes, and where their pods get their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its range.
    pub cidr: IpNet,
    /// The subnet of the pods; None: the same.
    pub pod_cidr: Option<IpNet>,
}

/// Where in Azure the cluster lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformAzure {
    /// The subscription.
    pub subscription: String,
    /// The resource group of the cluster.
    pub resource_group: String,
    /// The region.
    pub location: String,
    /// The managed cluster.
    pub cluster: String,
    /// The virtual network.
    pub virtual_network: VirtualNetwork,
    /// The subnet of the system node pool.
    pub system_subnet: SystemSubnet,
    /// Subnets that landing zones share; names are unique.
    pub shared_subnets: Vec<SharedSubnet>,
    /// The subnet that the API server asks from, where it lies in the virtual network.
    pub api_server_subnet: Option<IpNet>,
    /// Resource id of the route table that leads to the hub's firewall.
    pub route_table: Option<String>,
    /// The firewall, where it takes rules for this cluster. Never without a route table.
    pub firewall: Option<Firewall>,
    /// Who makes the nodes of landing zones.
    pub node_provisioning: NodeProvisioning,
    /// Where objects of Azure Service Operator lie; None: there are none.
    pub service_operator: Option<ServiceOperator>,
}

/// Azure Firewall, as far as its policy takes rules for this cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// Resource id of its policy.
    pub policy: String,
    /// The priority of this cluster's rule collection group.
    pub priority: u16,
    /// The Secret with the credentials for it; None: that of the other objects.
    pub credential_from: Option<String>,
}

/// Where objects of Azure Service Operator lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceOperator {
    /// The namespace of its objects.
    pub namespace: String,
    /// The Secret with the credentials.
    pub credential_from: Option<String>,
}

/// A virtual network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualNetwork {
    /// Its name.
    pub name: String,
    /// Its resource group.
    pub resource_group: String,
    /// Its ranges; never empty.
    pub cidrs: Vec<IpNet>,
}

/// The subnet of the system node pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemSubnet {
    /// Its name.
    pub name: String,
    /// Where it lies.
    pub subnet: Subnet,
    /// Whether the rules of its network security group follow from declarations.
    pub has_security_group: bool,
    /// The subnet of the Application Gateway.
    pub application_gateway: Option<IpNet>,
}

/// A subnet that landing zones share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSubnet {
    /// Its name.
    pub name: String,
    /// Where it lies.
    pub subnet: Subnet,
}

impl Subnet {
    /// All of its addresses: those of nodes, and those of pods.
    #[must_use]
    pub fn ranges(&self) -> Vec<IpNet> {
        [Some(self.cidr), self.pod_cidr]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Where its pods have their addresses, if they have them from a subnet at all.
    #[must_use]
    pub fn pods(&self) -> IpNet {
        self.pod_cidr.unwrap_or(self.cidr)
    }
}

impl PlatformAzure {
    /// The kinds of Azure Service Operator's that are written, in the order in which objects are applied. Those of firewalls are
    /// newer than the others (Azure Service Operator 2.15), and wanted only where there is one.
    #[must_use]
    pub fn kinds(&self) -> Vec<AzureKind> {
        let is_wanted = |kind: &AzureKind| match kind {
            AzureKind::FirewallPoliciesRuleCollectionGroup => self.firewall.is_some(),
            kind => !kind.is_karpenter(),
        };
        AzureKind::ALL.into_iter().filter(is_wanted).collect()
    }

    /// The kinds that landing zones are written in, in the order in which objects are applied. Karpenter's are in the cluster, and
    /// the operator's to write whoever makes the rest.
    #[must_use]
    pub fn kinds_of_landing_zones(&self) -> Vec<AzureKind> {
        let is_auto = self.node_provisioning == NodeProvisioning::Auto;
        let has_service_operator = self.service_operator.is_some();
        let is_wanted = |kind: &AzureKind| match kind {
            AzureKind::NetworkSecurityGroup
            | AzureKind::NetworkSecurityGroupsSecurityRule
            | AzureKind::VirtualNetworksSubnet => has_service_operator,
            AzureKind::ManagedClustersAgentPool => has_service_operator && !is_auto,
            AzureKind::AksNodeClass | AzureKind::NodePool => is_auto,
            // The platform's alone.
            AzureKind::FirewallPoliciesRuleCollectionGroup => false,
        };
        AzureKind::ALL.into_iter().filter(is_wanted).collect()
    }

    /// The subnets that are not a landing zone's, with their names.
    pub fn subnets(&self) -> impl Iterator<Item = (&str, Subnet)> {
        let system = (self.system_subnet.name.as_str(), self.system_subnet.subnet);
        let shared = self.shared_subnets.iter();
        std::iter::once(system).chain(shared.map(|it| (it.name.as_str(), it.subnet)))
    }
}

/// The placement that leads pods onto the pool of their landing zone, in the words of seed 000: the label `stack` on its nodes,
/// and a taint of the same name and value.
#[must_use]
pub fn placed_on_own_pool(declared: Option<Placement>, code: &str, pool: &NodePool) -> Placement {
    let mut placement = declared.unwrap_or_default();
    placement
        .node_selector
        .insert(names::STACK.to_owned(), code.to_owned());
    let tolerated = Toleration {
        key: names::STACK.to_owned(),
        operator: TolerationOperator::Equal,
        value: Some(code.to_owned()),
        effect: Some(TolerationEffect::NoSchedule),
    };
    if pool.taint && !placement.tolerations.contains(&tolerated) {
        placement.tolerations.push(tolerated);
    }
    placement
}
