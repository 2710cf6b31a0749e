//! Rules for what application teams put into landing zones.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::api::WorkloadRuleStage;

/// Rules for Ingresses, Services and pods of landing zones. The API server keeps them; here they are read, told and
/// compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadRules {
    /// Whether Ingresses serve HTTPS only.
    pub https_ingress: WorkloadRuleStage,
    /// Which ports Services listen on.
    pub service_ports: ServicePorts,
    /// Which external IPs Services have.
    pub external_ips: ExternalIps,
    /// How far pods use the network of their node.
    pub host_network: HostNetwork,
}

/// Which ports Services listen on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePorts {
    /// What is done about others.
    pub stage: WorkloadRuleStage,
    /// Those that are allowed; not empty unless the stage is Off.
    pub allowed: BTreeSet<u16>,
}

/// Which external IPs Services have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalIps {
    /// What is done about others.
    pub stage: WorkloadRuleStage,
    /// Those that are allowed, each address as a range; empty: none.
    pub allowed: Vec<IpNet>,
}

/// How far pods use the network of their node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNetwork {
    /// What is done about pods that go further.
    pub stage: WorkloadRuleStage,
    /// Whether pods may be in the node's network.
    pub allow_host_network: bool,
    /// Ports of the node that are allowed; empty: none.
    pub allowed_ports: BTreeSet<u16>,
}
