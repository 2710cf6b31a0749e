//! What is asked of a cluster and of what is around it, as `docs/posture.md` lists it.

use std::fmt;

use super::control::Benchmark::{CisAks, Mcsb};
use super::control::{Control, near, of};

/// How much it weighs that something is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Hygiene.
    Low,
    /// A second line of defence is missing.
    Medium,
    /// A way in or out is open, or something is about to break.
    High,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

/// An article that the project comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Article {
    /// On network security groups beside Calico.
    NetworkSecurityGroups,
    /// On Calico alone.
    CalicoOnly,
    /// On shared clusters, and who is responsible for what.
    SharedCluster,
    /// On network policies in AKS.
    PoliciesInAks,
    /// On network security in AKS, nine recommendations.
    Recommendations,
}

impl Article {
    /// Its title.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::NetworkSecurityGroups => {
                "Using Network Security Groups combined with Project Calico Network Policy"
            }
            Self::CalicoOnly => "Using Project Calico Network Policy to handle east-west traffic",
            Self::SharedCluster => "East-West Traffic shared cluster and shared responsibilities",
            Self::PoliciesInAks => "Network Policies with Calico in AKS",
            Self::Recommendations => "Azure Kubernetes Service: Network Security Recommendations",
        }
    }

    /// Its number among the articles.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::NetworkSecurityGroups => 1,
            Self::CalicoOnly => 2,
            Self::SharedCluster => 3,
            Self::PoliciesInAks => 4,
            Self::Recommendations => 5,
        }
    }
}

/// Where a recommendation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The article.
    pub article: Article,
    /// Its part: a number, `intro`, or empty where it is all of it.
    pub part: &'static str,
}

/// `article 5, 1`
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "article {}", self.article.number())?;
        if self.part.is_empty() {
            Ok(())
        } else {
            write!(f, ", {}", self.part)
        }
    }
}

/// Declares the catalogue once: variant, id, severity, source, controls, title and why it matters.
macro_rules! questions {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $severity:ident, $article:ident $part:literal, [$($control:expr),*],
        $title:literal, $why:literal;)*) => {
        /// What is asked. The ids are stable: exceptions and code scanning refer to them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Question {
            $($(#[$doc])* $variant,)*
        }

        impl Question {
            /// All of them, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its stable id.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// How much it weighs where nothing about the cluster says otherwise.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// Who recommends it.
            #[must_use]
            pub const fn source(self) -> Source {
                match self { $(Self::$variant => Source { article: Article::$article, part: $part },)* }
            }

            /// The controls that it answers to; none where no benchmark has one.
            #[must_use]
            pub const fn controls(self) -> &'static [Control] {
                match self { $(Self::$variant => const { &[$($control),*] },)* }
            }

            /// What is as it should be where it passes.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// Why it matters.
            #[must_use]
            pub const fn why(self) -> &'static str {
                match self { $(Self::$variant => $why,)* }
            }
        }
    };
}

questions! {
    /// The way out.
    EgressFirewall = "egress-firewall", High, Recommendations "1", [of(Mcsb, "NS-3")],
        "Egress leaves through a firewall",
        "a compromised pod that may reach any address loads its tools and sends out what it finds; what AKS itself needs are names, so only a firewall that knows names can hold back the rest";
    /// Whether policies can have an effect.
    NetworkPolicyEngine = "network-policy-engine", High, Recommendations "2", [of(CisAks, "5.4.4"), near(Mcsb, "NS-1")],
        "A network policy engine is installed",
        "without an engine every network policy is stored and none has an effect: every pod reaches every pod";
    /// Whether they have one everywhere.
    NetworkPolicyEnforcing = "network-policy-enforcing", High, PoliciesInAks "", [near(CisAks, "5.4.4"), near(Mcsb, "NS-1")],
        "The network policy engine runs on every node",
        "on a node whose agent is down, policies are not brought up to date, and new pods start without them or not at all";
    /// kubenet.
    NetworkPluginSupported = "network-plugin-supported", Low, Recommendations "intro", [near(CisAks, "4.4.1")],
        "The network plugin has a future",
        "kubenet is retired on 31 March 2028, and network security groups cannot tell its pods apart";
    /// Azure's own engine.
    NetworkPolicyManagerRetiring = "network-policy-manager-retiring", Low, Recommendations "2", [],
        "The network policy engine has a future",
        "an engine without support gets no fixes, and Azure's network policy manager loses it node by node";
    /// The API server's address.
    PrivateCluster = "private-cluster", Medium, Recommendations "3", [of(CisAks, "5.4.2"), near(CisAks, "5.4.3"), near(Mcsb, "NS-2")],
        "The API server has no public address",
        "whoever has a stolen token, or knows a hole that is not patched yet, can try it on an API server that the internet reaches";
    /// Who reaches the API server.
    AuthorizedIpRanges = "authorized-ip-ranges", High, Recommendations "8", [of(CisAks, "5.4.1"), of(Mcsb, "NS-2")],
        "Only known networks reach the API server",
        "ranges shrink those who may even knock at the API server to the networks that are yours";
    /// The way in.
    WafInFront = "waf-in-front", Medium, Recommendations "4", [of(Mcsb, "NS-6")],
        "A web application firewall stands in front",
        "a web application firewall stops the common attacks before any pod has to parse them";
    /// The way in for APIs.
    ApiManagementInVnet = "api-management-in-vnet", Low, Recommendations "5", [of(Mcsb, "NS-2")],
        "The API gateway is inside the VNet",
        "one guarded door for all APIs, with authentication and throttling, is worth most where it is not on the internet itself";
    /// Volumetric attacks.
    DdosProtection = "ddos-protection", Medium, Recommendations "6", [of(Mcsb, "NS-5")],
        "DDoS Network Protection covers the VNet",
        "the protection that all of Azure has is tuned for Azure and not for your traffic, so that an attack can take the ingress down before it begins";
    /// NSGs.
    SubnetNsg = "subnet-nsg", Medium, NetworkSecurityGroups "1", [of(Mcsb, "NS-1")],
        "Every node subnet has a network security group",
        "it is the wall that still stands when a process has left its container";
    /// Network Watcher.
    NetworkWatcher = "network-watcher", Low, Recommendations "7", [near(Mcsb, "LT-4")],
        "Network Watcher is on in the region",
        "without it neither packets can be captured nor flow logs be made once something odd happens";
    /// Flow logs.
    VnetFlowLogs = "vnet-flow-logs", Medium, Recommendations "7", [near(Mcsb, "LT-4")],
        "VNet flow logs are on",
        "they are the only record of who talked to whom below Kubernetes, denied traffic included";
    /// The add-on.
    AzurePolicyAddon = "azure-policy-addon", Medium, Recommendations "8", [of(Mcsb, "PV-2")],
        "The Azure Policy add-on is on",
        "without the add-on no definition for Kubernetes that somebody assigns ever reaches the cluster";
    /// Built-in definition 1a5b4dca.
    PolicyHttpsIngress = "policy-https-ingress", Medium, Recommendations "8", [of(CisAks, "5.4.5"), of(Mcsb, "DP-3")],
        "Azure Policy holds ingresses to HTTPS",
        "credentials and data that cross an ingress without TLS can be read on the way";
    /// Built-in definition 233a2a17.
    PolicyServicePorts = "policy-service-ports", Medium, Recommendations "8", [of(Mcsb, "PV-2")],
        "Azure Policy holds services to allowed ports",
        "a debug port that somebody forgot becomes an entrance";
    /// Built-in definition d46c275d.
    PolicyExternalIps = "policy-external-ips", High, Recommendations "8", [],
        "Azure Policy holds services to allowed external IPs",
        "whoever may create a Service can otherwise draw traffic for a foreign address to himself (CVE-2020-8554)";
    /// Built-in definition 82985f06.
    PolicyHostNetwork = "policy-host-network", High, Recommendations "8", [of(CisAks, "4.2.4"), of(Mcsb, "PV-2")],
        "Azure Policy holds pods to approved host network and ports",
        "a pod on the host's network stands outside every policy of pods, and shares the node's address and its metadata service";
    /// Built-in definition 0e246bcf.
    PolicyAuthorizedIpRanges = "policy-authorized-ip-ranges", Medium, Recommendations "8", [near(CisAks, "5.4.1"), of(Mcsb, "NS-2")],
        "Azure Policy watches the authorized IP ranges",
        "ranges that somebody takes away during an incident stay away unless something tells";
    /// Logs of the control plane.
    DiagnosticSettings = "diagnostic-settings", High, Recommendations "9", [of(CisAks, "2.1.1"), of(Mcsb, "LT-3")],
        "Logs of the control plane are kept",
        "logs of the control plane do not exist until a setting sends them somewhere; without the audit log nobody can say who changed a policy";
    /// Alerts.
    NetworkChangeAlerts = "network-change-alerts", Medium, Recommendations "9", [near(Mcsb, "LT-3")],
        "Changes to the network raise an alert",
        "a rule that was opened for a test stays open unless somebody is told";
    /// System pools.
    SystemPoolTainted = "system-pool-tainted", Medium, CalicoOnly "1", [near(Mcsb, "NS-1")],
        "Only system pods run on system pools",
        "an application on a system pool can starve or attack DNS and the agents that enforce policies, and its pool's network security group cannot be narrow";
    /// Availability zones.
    PoolsAcrossZones = "pools-across-zones", Medium, CalicoOnly "1", [],
        "Node pools span availability zones",
        "where a pool stands in one data centre, its failure takes every landing zone on it";
    /// Default deny.
    DefaultDeny = "default-deny", High, SharedCluster "", [of(CisAks, "4.4.2"), near(Mcsb, "NS-1")],
        "Every namespace starts from deny",
        "a pod that no policy selects may reach everything and be reached by everything";
    /// DNS under a deny.
    DnsAllowed = "dns-allowed", High, CalicoOnly "", [],
        "Pods reach DNS, whatever else is denied",
        "a deny without DNS stops every name, and with it nearly every application";
    /// System namespaces under a deny.
    SystemNamespacesExempt = "system-namespaces-exempt", High, CalicoOnly "", [],
        "No cluster-wide policy cuts off system namespaces",
        "a deny over the system's namespaces stops DNS, the agents that enforce policies, and the cluster";
    /// Labels of namespaces.
    NamespacesLabelled = "namespaces-labelled", Medium, SharedCluster "", [near(CisAks, "4.6.1"), near(Mcsb, "NS-1")],
        "Each namespace names its application",
        "a namespace without its application's code cannot be put inside a boundary";
    /// Quotas.
    NamespaceQuotas = "namespace-quotas", Low, SharedCluster "", [near(CisAks, "4.6.1")],
        "Each landing zone has quotas",
        "in a shared cluster one application without a quota can take what all others need";
    /// The namespace default.
    DefaultNamespaceUnused = "default-namespace-unused", Low, SharedCluster "", [of(CisAks, "4.6.3"), of(Mcsb, "PV-2")],
        "Nothing runs in the namespace default",
        "the namespace default belongs to nobody, so that no boundary fits it";
    /// Whose address pods see.
    LoadBalancerSource = "load-balancer-source", Medium, NetworkSecurityGroups "", [near(Mcsb, "NS-1")],
        "Load balancers of landing zones keep the client's address",
        "otherwise a node's address hides the client's on the way to the pod, so that network policies, and network security groups behind that node, judge by the wrong source";
    /// Identity.
    WorkloadIdentity = "workload-identity", Medium, PoliciesInAks "", [of(CisAks, "5.2.1")],
        "Pods can prove who they are",
        "where a network rule fails, or cannot know the service behind an address, identity still decides who reads the data";
}

impl Question {
    /// By its id; None where there is none.
    #[must_use]
    pub fn of_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.id() == id)
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
