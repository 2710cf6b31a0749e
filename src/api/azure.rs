//! What a landing zone owns in Azure: its node pool, its subnet, its network security group.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DeletePolicy, rule, schema};

/// What a landing zone owns in Azure. It needs spec.azure of the LandingZonePlatform.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.subnet) || has(self.nodePool)")
        .message(schema::about("subnet", rule::SUBNET_OF_NOTHING))
        .field_path(".subnet"),
    validation = Rule::new("!has(self.nodePool) || has(self.subnet)")
        .message(schema::about("nodePool", rule::POOL_WITHOUT_SUBNET))
        .field_path(".nodePool"),
    validation = Rule::new("!has(self.networkSecurityGroup) || has(self.subnet)")
        .message(schema::about("networkSecurityGroup", rule::SECURITY_GROUP_OF_NOTHING))
        .field_path(".networkSecurityGroup")
)]
pub struct LandingZoneAzure {
    /// Nodes for this landing zone alone. Its pods are placed on them by the label stack and its taint, both
    /// with the application's code; placement need not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_pool: Option<NodePool>,
    /// The subnet of the node pool, which needs one: without, nodes lie in that of the system pool, which
    /// everybody lets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<Subnet>,
    /// Who writes the network security group of the subnet: Managed derives its rules from the same
    /// declarations as the network policies. Nobody when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_security_group: Option<NetworkSecurityGroup>,
    /// What becomes of these in Azure when they leave the landing zone, or when it is deleted and deletePolicy
    /// is Delete; Keep when left out. No node goes while it carries pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_policy: Option<DeletePolicy>,
}

/// Nodes for one landing zone.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.min <= self.max")
        .message(schema::about("min", rule::MIN_OVER_MAX))
        .field_path(".min")
)]
pub struct NodePool {
    /// Size of the virtual machines, for instance Standard_D4s_v5. Azure cannot change it.
    #[schemars(length(max = 128))]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z][A-Za-z0-9_-]{0,63}$')").message(rule::VM_SIZE)
    )]
    pub vm_size: String,
    /// The fewest nodes, 0 to 1000; 0 where Karpenter makes them.
    #[schemars(range(min = 0, max = 1000))]
    pub min: i32,
    /// The most nodes, 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub max: i32,
    /// Availability zones that the nodes are spread over, for instance 1, 2 and 3; wherever Azure likes when
    /// left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3), inner(range(min = 1, max = 3)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub availability_zones: Vec<i32>,
    /// The most pods of a node, 10 to 250; what AKS says for the network plugin when left out. Azure cannot
    /// change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 250))]
    pub max_pods: Option<i32>,
    /// The operating system of the nodes; Ubuntu when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_sku: Option<OsSku>,
    /// Whether a taint keeps the pods of others off the nodes; true when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taint: Option<bool>,
    /// Whether a pool that Azure cannot make into what is declared is replaced: the new one is made, the pods of the old one
    /// move, one of each workload at a time, and it is deleted, whatever azure.deletePolicy says. It needs the rights in
    /// config/eviction. Left out, such a change is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<bool>,
}

/// The operating system of nodes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OsSku {
    /// Ubuntu Linux.
    #[default]
    Ubuntu,
    /// Azure Linux.
    AzureLinux,
}

/// The subnet of a landing zone's nodes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Subnet {
    /// Its range, for instance 10.1.4.0/24; IPv4, a part of the virtual network that nobody else uses.
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::ipv4_range())]
    pub cidr: String,
    /// A second subnet from which the pods get their addresses, with Azure CNI; from the first when left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::ipv4_range())]
    pub pod_cidr: Option<String>,
}

/// Who writes the rules of a network security group.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetworkSecurityGroup {
    /// They follow from the declarations of the landing zones and of the platform.
    Managed,
}

/// Where in Azure the cluster lies.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PlatformAzure {
    /// The subscription, for instance 00000000-0000-0000-0000-000000000000.
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::uuid())]
    pub subscription: String,
    /// The resource group of the cluster.
    #[schemars(length(max = 128))]
    #[x_kube(validation = schema::azure_name(90))]
    pub resource_group: String,
    /// The region, for instance westeurope.
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z][a-z0-9]{1,49}$')").message(rule::LOCATION)
    )]
    pub location: String,
    /// The name of the managed cluster.
    #[schemars(length(max = 128))]
    #[x_kube(validation = schema::azure_name(63))]
    pub cluster: String,
    /// The virtual network that the cluster lies in.
    pub virtual_network: VirtualNetwork,
    /// The subnet of the system node pool.
    pub system_subnet: SystemSubnet,
    /// Subnets of node pools that landing zones without a pool of their own share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub shared_subnets: Vec<SharedSubnet>,
    /// The subnet that the API server asks from, with API Server VNet Integration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::ipv4_range())]
    pub api_server_subnet: Option<String>,
    /// The hub that egress goes through; nowhere special when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<Hub>,
    /// Who makes the nodes of landing zones: Manual, an agent pool for each that grows and shrinks by itself; Auto, Karpenter, as
    /// node auto-provisioning has it in the cluster, which needs the rights in config/karpenter. Manual when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_provisioning: Option<NodeProvisioning>,
    /// Where the objects of Azure Service Operator lie, through which the operator makes what landing zones own in Azure.
    /// Left out, somebody else makes it from what kubectl landingzone render --azure writes. It needs the rights in
    /// config/azure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_operator: Option<ServiceOperator>,
}

/// Who makes nodes, in the words of AKS (`nodeProvisioningProfile.mode`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NodeProvisioning {
    /// Agent pools.
    #[default]
    Manual,
    /// Karpenter.
    Auto,
}

/// Where objects of Azure Service Operator lie.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceOperator {
    /// The namespace of its objects, in which no application may write.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(
        validation = schema::dns_label(),
        validation = Rule::new("self == oldSelf").message(rule::SERVICE_OPERATOR_MOVES)
    )]
    pub namespace: String,
    /// The Secret in that namespace with the credentials; as Azure Service Operator is set up when left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::dns_label())]
    pub credential_from: Option<String>,
}

/// A virtual network.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct VirtualNetwork {
    /// Its name.
    #[schemars(length(max = 128))]
    #[x_kube(validation = schema::azure_name(64))]
    pub name: String,
    /// Its resource group; that of the cluster when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = schema::azure_name(90))]
    pub resource_group: Option<String>,
    /// Its ranges: no subnet of a landing zone lies outside of them, and groups mean them by the virtual network.
    #[schemars(length(min = 1, max = 16), inner(length(max = 64)))]
    #[x_kube(validation = schema::each_range())]
    pub cidrs: Vec<String>,
}

/// The subnet of the system node pool.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SystemSubnet {
    /// Its name.
    #[schemars(length(max = 128))]
    #[x_kube(validation = schema::azure_name(80))]
    pub name: String,
    /// Its range.
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::ipv4_range())]
    pub cidr: String,
    /// A second subnet from which its pods get their addresses, with Azure CNI; from the first when left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::ipv4_range())]
    pub pod_cidr: Option<String>,
    /// Who writes its network security group: Managed lets in what Kubernetes needs and the
    /// applicationGateway, and nobody else. Nobody when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_security_group: Option<NetworkSecurityGroup>,
    /// The subnet of the Application Gateway, which alone may talk to the load balancer's addresses in the
    /// system subnet, on TCP 80 and 443.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::ipv4_range())]
    pub application_gateway: Option<String>,
}

/// The subnet of a node pool that landing zones share.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SharedSubnet {
    /// Its name.
    #[schemars(length(max = 128))]
    #[x_kube(validation = schema::azure_name(80))]
    pub name: String,
    /// Its range.
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::ipv4_range())]
    pub cidr: String,
    /// A second subnet from which its pods get their addresses, with Azure CNI; from the first when left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::ipv4_range())]
    pub pod_cidr: Option<String>,
}

/// The hub that egress goes through.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.firewall) || has(self.routeTable)")
        .message(schema::about("firewall", rule::FIREWALL_WITHOUT_ROUTES))
        .field_path(".firewall")
)]
pub struct Hub {
    /// Resource id of the route table that leads everything to the firewall. The subnets of landing zones
    /// get it. With Kubenet it has to be the cluster's own, since AKS writes the routes of pods into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = schema::resource_id("Microsoft.Network/routeTables"))]
    pub route_table: Option<String>,
    /// Azure Firewall at the end of that way, which lets the fqdns of landing zones through, and nothing else of theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<Firewall>,
}

/// Azure Firewall, as far as its policy takes rules for this cluster.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Firewall {
    /// Resource id of its policy. It gets one rule collection group for this cluster.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = schema::resource_id("Microsoft.Network/firewallPolicies"))]
    pub policy: String,
    /// The priority of that group, 100 to 65000; 1000 when left out. No other group of the policy may have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 65_000))]
    pub priority: Option<i32>,
    /// The Secret with the credentials for it, in the namespace of serviceOperator, where the hub lies in another
    /// subscription; that of serviceOperator when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = schema::dns_label())]
    pub credential_from: Option<String>,
}
