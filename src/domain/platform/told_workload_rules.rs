//! Rules for what application teams put into landing zones, as a status tells them.

use super::super::validate::workload_rules::workload_rules;
use super::super::{FieldPath, WorkloadRules};
use super::Findings;
use crate::api;

/// None where all of them are off.
pub(super) fn told(rules: &WorkloadRules) -> Option<api::WorkloadRules> {
    if *rules == WorkloadRules::default() {
        return None;
    }
    let (services, hosts) = (&rules.service_ports, &rules.host_network);
    let addresses = &rules.external_ips;
    Some(api::WorkloadRules {
        https_ingress: Some(rules.https_ingress),
        service_ports: Some(api::ServicePorts {
            stage: Some(services.stage),
            allowed: services.allowed.iter().copied().map(i32::from).collect(),
        }),
        external_ips: Some(api::ExternalIps {
            stage: Some(addresses.stage),
            allowed: addresses.allowed.iter().map(ToString::to_string).collect(),
        }),
        host_network: Some(api::HostNetwork {
            stage: Some(hosts.stage),
            allow_host_network: Some(hosts.allow_host_network),
            allowed_ports: hosts.allowed_ports.iter().copied().map(i32::from).collect(),
        }),
    })
}

/// What a status told; what a newer operator told and this one cannot read is left out.
pub(super) fn read(told: Option<&api::WorkloadRules>) -> WorkloadRules {
    told.map(|told| workload_rules(told, &FieldPath::default(), &mut Findings::default()))
        .unwrap_or_default()
}
