//! The kinds in which Azure Service Operator, and Karpenter, take what landing zones own in Azure.

use std::collections::BTreeMap;

/// A kind of Azure Service Operator's or Karpenter's, in the order in which objects are applied: what others refer to comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AzureKind {
    /// What guards a subnet.
    NetworkSecurityGroup,
    /// One of its rules.
    NetworkSecurityGroupsSecurityRule,
    /// Where nodes or pods lie.
    VirtualNetworksSubnet,
    /// Nodes.
    ManagedClustersAgentPool,
    /// What Karpenter's nodes are made of, and where they lie.
    AksNodeClass,
    /// Nodes that Karpenter makes.
    NodePool,
    /// What a firewall lets through.
    FirewallPoliciesRuleCollectionGroup,
}

impl AzureKind {
    /// Every kind, in the order in which objects are applied.
    pub const ALL: [Self; 7] = [
        Self::NetworkSecurityGroup,
        Self::NetworkSecurityGroupsSecurityRule,
        Self::VirtualNetworksSubnet,
        Self::ManagedClustersAgentPool,
        Self::AksNodeClass,
        Self::NodePool,
        Self::FirewallPoliciesRuleCollectionGroup,
    ];

    /// Whether it is one of Karpenter's, whose objects lie in no namespace, and are what they stand for.
    #[must_use]
    pub const fn is_karpenter(self) -> bool {
        matches!(self, Self::AksNodeClass | Self::NodePool)
    }

    /// The kind's name in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetworkSecurityGroup => "NetworkSecurityGroup",
            Self::NetworkSecurityGroupsSecurityRule => "NetworkSecurityGroupsSecurityRule",
            Self::VirtualNetworksSubnet => "VirtualNetworksSubnet",
            Self::ManagedClustersAgentPool => "ManagedClustersAgentPool",
            Self::AksNodeClass => "AKSNodeClass",
            Self::NodePool => "NodePool",
            Self::FirewallPoliciesRuleCollectionGroup => "FirewallPoliciesRuleCollectionGroup",
        }
    }

    /// Its API group.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::NetworkSecurityGroup
            | Self::NetworkSecurityGroupsSecurityRule
            | Self::VirtualNetworksSubnet
            | Self::FirewallPoliciesRuleCollectionGroup => "network.azure.com",
            Self::ManagedClustersAgentPool => "containerservice.azure.com",
            Self::AksNodeClass => "karpenter.azure.com",
            Self::NodePool => "karpenter.sh",
        }
    }

    /// What it is called in paths.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::NetworkSecurityGroup => "networksecuritygroups",
            Self::NetworkSecurityGroupsSecurityRule => "networksecuritygroupssecurityrules",
            Self::VirtualNetworksSubnet => "virtualnetworkssubnets",
            Self::ManagedClustersAgentPool => "managedclustersagentpools",
            Self::AksNodeClass => "aksnodeclasses",
            Self::NodePool => "nodepools",
            Self::FirewallPoliciesRuleCollectionGroup => "firewallpoliciesrulecollectiongroups",
        }
    }

    /// The name of its custom resource definition.
    #[must_use]
    pub const fn definition(self) -> &'static str {
        match self {
            Self::NetworkSecurityGroup => "networksecuritygroups.network.azure.com",
            Self::NetworkSecurityGroupsSecurityRule => {
                "networksecuritygroupssecurityrules.network.azure.com"
            }
            Self::VirtualNetworksSubnet => "virtualnetworkssubnets.network.azure.com",
            Self::ManagedClustersAgentPool => {
                "managedclustersagentpools.containerservice.azure.com"
            }
            Self::AksNodeClass => "aksnodeclasses.karpenter.azure.com",
            Self::NodePool => "nodepools.karpenter.sh",
            Self::FirewallPoliciesRuleCollectionGroup => {
                "firewallpoliciesrulecollectiongroups.network.azure.com"
            }
        }
    }

    /// The kind whose custom resource definition has that name.
    #[must_use]
    pub fn defined_by(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.definition() == name)
    }

    /// Every field of `spec` that is ever written, with dots in between; a list is its items. A version of the kind that lacks one
    /// would lose it without a word.
    #[must_use]
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::NetworkSecurityGroup => &["azureName", "location", "owner.armId"],
            Self::NetworkSecurityGroupsSecurityRule => &[
                "access",
                "azureName",
                "destinationAddressPrefix",
                "destinationAddressPrefixes",
                "destinationPortRange",
                "destinationPortRanges",
                "direction",
                "owner.name",
                "priority",
                "protocol",
                "sourceAddressPrefix",
                "sourceAddressPrefixes",
                "sourcePortRange",
                "sourcePortRanges",
            ],
            Self::VirtualNetworksSubnet => &[
                "addressPrefix",
                "azureName",
                "delegations.name",
                "delegations.serviceName",
                "networkSecurityGroup.reference.group",
                "networkSecurityGroup.reference.kind",
                "networkSecurityGroup.reference.name",
                "owner.armId",
                "routeTable.reference.armId",
            ],
            Self::ManagedClustersAgentPool => &[
                "availabilityZones",
                "azureName",
                "count",
                "enableAutoScaling",
                "maxCount",
                "maxPods",
                "minCount",
                "mode",
                "nodeLabels",
                "nodeTaints",
                "osSKU",
                "osType",
                "owner.armId",
                "podSubnetReference.group",
                "podSubnetReference.kind",
                "podSubnetReference.name",
                "vmSize",
                "vnetSubnetReference.group",
                "vnetSubnetReference.kind",
                "vnetSubnetReference.name",
            ],
            Self::AksNodeClass => &["imageFamily", "maxPods", "vnetSubnetID"],
            Self::NodePool => &[
                "limits",
                "template.metadata.labels",
                "template.spec.nodeClassRef.group",
                "template.spec.nodeClassRef.kind",
                "template.spec.nodeClassRef.name",
                "template.spec.requirements.key",
                "template.spec.requirements.operator",
                "template.spec.requirements.values",
                "template.spec.taints.effect",
                "template.spec.taints.key",
                "template.spec.taints.value",
            ],
            Self::FirewallPoliciesRuleCollectionGroup => &[
                "azureName",
                "owner.armId",
                "priority",
                "ruleCollections.firewallPolicyFilterRuleCollection.action.type",
                "ruleCollections.firewallPolicyFilterRuleCollection.name",
                "ruleCollections.firewallPolicyFilterRuleCollection.priority",
                "ruleCollections.firewallPolicyFilterRuleCollection.ruleCollectionType",
                "ruleCollections.firewallPolicyFilterRuleCollection.rules.applicationRule.fqdnTags",
                "ruleCollections.firewallPolicyFilterRuleCollection.rules.applicationRule.name",
                "ruleCollections.firewallPolicyFilterRuleCollection.rules.applicationRule.protocols.port",
                "ruleCollections.firewallPolicyFilterRuleCollection.rules.applicationRule.protocols.protocolType",
                "ruleCollections.firewallPolicyFilterRuleCollection.rules.applicationRule.ruleType",
                "ruleCollections.firewallPolicyFilterRuleCollection.rules.applicationRule.sourceAddresses",
                "ruleCollections.firewallPolicyFilterRuleCollection.rules.applicationRule.targetFqdns",
            ],
        }
    }
}

/// In which version each kind is written: with the API group's name before it, it is the object's apiVersion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureVersions(BTreeMap<AzureKind, String>);

impl AzureVersions {
    /// Those that every release of Azure Service Operator has from 2.11 on, and of Karpenter from 1.0 on, for whoever has no
    /// cluster at hand.
    #[must_use]
    pub fn common() -> Self {
        let version = |kind: AzureKind| match kind.group() {
            "network.azure.com" => "v1api20240301",
            "karpenter.sh" => "v1",
            "karpenter.azure.com" => "v1beta1",
            _ => "v1api20240901",
        };
        Self(
            AzureKind::ALL
                .into_iter()
                .map(|kind| (kind, version(kind).to_owned()))
                .collect(),
        )
    }

    /// These; None where one of `kinds` has none.
    #[must_use]
    pub fn of(kinds: &[AzureKind], versions: BTreeMap<AzureKind, String>) -> Option<Self> {
        let is_there = |kind| versions.contains_key(kind);
        kinds.iter().all(is_there).then_some(Self(versions))
    }

    /// The kinds that are written.
    pub fn kinds(&self) -> impl Iterator<Item = AzureKind> {
        self.0.keys().copied()
    }

    /// The version of a kind, for instance `v1api20240901`.
    #[must_use]
    pub fn version(&self, kind: AzureKind) -> &str {
        self.0.get(&kind).map_or("", String::as_str)
    }

    /// The apiVersion of a kind, for instance `containerservice.azure.com/v1api20240901`.
    #[must_use]
    pub fn api_version(&self, kind: AzureKind) -> String {
        format!("{}/{}", kind.group(), self.version(kind))
    }
}
