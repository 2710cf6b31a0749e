//! The files that tell of Azure, and the commands of `az` that make them.

use std::fmt;

use serde_json::Value;

use super::Question;
use crate::domain::Problem;

/// A file that was given.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenFile {
    /// What it was given as.
    pub input: InputFile,
    /// What it is called.
    pub name: String,
    /// What it holds: a resource, a list of them, or an object whose `value` is that list.
    pub content: Value,
}

/// What is wrong with a file that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputProblem {
    /// What it was given as.
    pub input: InputFile,
    /// What it is called.
    pub file: String,
    /// Field, value, rule and way out.
    pub problem: Problem,
}

/// Declares the files once: variant, flag, type of resource and command.
macro_rules! input_files {
    ($($(#[$doc:meta])* $variant:ident = $flag:literal, $type:expr, $command:literal;)*) => {
        /// A kind of file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum InputFile {
            $($(#[$doc])* $variant,)*
        }

        impl InputFile {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The flag that takes it, without its dashes.
            #[must_use]
            pub const fn flag(self) -> &'static str {
                match self { $(Self::$variant => $flag,)* }
            }

            /// The type of its resources, as Azure Resource Manager has it; None where they tell none.
            #[must_use]
            pub const fn resource_type(self) -> Option<&'static str> {
                match self { $(Self::$variant => $type,)* }
            }

            /// The command that prints it. `$RG` and `$AKS` are the cluster's resource group and name, `$AKS_ID` is its id.
            #[must_use]
            pub const fn command(self) -> &'static str {
                match self { $(Self::$variant => $command,)* }
            }
        }
    };
}

input_files! {
    /// The cluster.
    Cluster = "cluster", Some("Microsoft.ContainerService/managedClusters"), "az aks show -g $RG -n $AKS -o json";
    /// The VNet of its nodes.
    Vnet = "vnet", Some("Microsoft.Network/virtualNetworks"), "az network vnet show --ids $VNET_ID -o json";
    /// Route tables.
    RouteTables = "route-tables", Some("Microsoft.Network/routeTables"), "az network route-table list -o json";
    /// Application gateways.
    ApplicationGateways = "application-gateways", Some("Microsoft.Network/applicationGateways"), "az network application-gateway list -o json";
    /// Instances of API Management.
    ApiManagement = "api-management", Some("Microsoft.ApiManagement/service"), "az apim list -o json";
    /// Network Watchers.
    NetworkWatchers = "network-watchers", Some("Microsoft.Network/networkWatchers"), "az network watcher list -o json";
    /// Flow logs.
    FlowLogs = "flow-logs", Some("Microsoft.Network/networkWatchers/flowLogs"), "az network watcher flow-log list --location $LOCATION -o json";
    /// The cluster's diagnostic settings.
    DiagnosticSettings = "diagnostic-settings", Some("Microsoft.Insights/diagnosticSettings"), "az monitor diagnostic-settings list --resource $AKS_ID -o json";
    /// Alerts on the activity log.
    ActivityLogAlerts = "activity-log-alerts", Some("Microsoft.Insights/activityLogAlerts"), "az monitor activity-log alert list -o json";
    /// Assignments of Azure Policy.
    PolicyAssignments = "policy-assignments", Some("Microsoft.Authorization/policyAssignments"), "az policy assignment list -g $RG -o json";
    /// What Azure Policy says of the cluster.
    PolicyStates = "policy-states", None, "az policy state list --resource $AKS_ID -o json";
}

impl InputFile {
    /// The file that answers a question; None where only the cluster itself does.
    #[must_use]
    pub const fn of(question: Question) -> Option<Self> {
        Some(match question {
            Question::EgressFirewall
            | Question::NetworkPolicyEngine
            | Question::NetworkPluginSupported
            | Question::NetworkPolicyManagerRetiring
            | Question::PrivateCluster
            | Question::AuthorizedIpRanges
            | Question::AzurePolicyAddon
            | Question::SystemPoolTainted
            | Question::PoolsAcrossZones
            | Question::WorkloadIdentity => Self::Cluster,
            Question::DdosProtection | Question::SubnetNsg => Self::Vnet,
            Question::WafInFront => Self::ApplicationGateways,
            Question::ApiManagementInVnet => Self::ApiManagement,
            Question::NetworkWatcher => Self::NetworkWatchers,
            Question::VnetFlowLogs => Self::FlowLogs,
            Question::DiagnosticSettings => Self::DiagnosticSettings,
            Question::NetworkChangeAlerts => Self::ActivityLogAlerts,
            Question::PolicyHttpsIngress
            | Question::PolicyServicePorts
            | Question::PolicyExternalIps
            | Question::PolicyHostNetwork
            | Question::PolicyAuthorizedIpRanges => Self::PolicyAssignments,
            Question::NetworkPolicyEnforcing
            | Question::DefaultDeny
            | Question::DnsAllowed
            | Question::SystemNamespacesExempt
            | Question::NamespacesLabelled
            | Question::NamespaceQuotas
            | Question::DefaultNamespaceUnused
            | Question::LoadBalancerSource => return None,
        })
    }

    /// Whether it holds one resource and no more.
    #[must_use]
    pub const fn is_single(self) -> bool {
        matches!(self, Self::Cluster | Self::Vnet)
    }
}

/// ``--vnet FILE (`az network vnet show --ids $VNET_ID -o json`)``
impl fmt::Display for InputFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{} FILE (`{}`)", self.flag(), self.command())
    }
}
