//! Rules for what application teams put into landing zones.

use std::collections::BTreeSet;

use super::Findings;
use crate::api::{self, WorkloadRuleStage, rule};
use crate::domain::address::parse_address;
use crate::domain::{ExternalIps, FieldPath, HostNetwork, ServicePorts, WorkloadRules};

/// What a platform declares; what is left out is off.
pub(in crate::domain) fn workload_rules(
    declared: &api::WorkloadRules,
    path: &FieldPath,
    findings: &mut Findings,
) -> WorkloadRules {
    let service_ports = declared.service_ports.as_ref();
    let external_ips = declared.external_ips.as_ref();
    let host_network = declared.host_network.as_ref();
    WorkloadRules {
        https_ingress: declared.https_ingress.unwrap_or_default(),
        service_ports: service_ports
            .map(|it| of_service_ports(it, &path.key("servicePorts"), findings))
            .unwrap_or_default(),
        external_ips: external_ips
            .map(|it| of_external_ips(it, &path.key("externalIPs"), findings))
            .unwrap_or_default(),
        host_network: host_network
            .map(|it| of_host_network(it, &path.key("hostNetwork"), findings))
            .unwrap_or_default(),
    }
}

fn of_service_ports(
    declared: &api::ServicePorts,
    path: &FieldPath,
    findings: &mut Findings,
) -> ServicePorts {
    let stage = declared.stage.unwrap_or_default();
    let path = path.key("allowed");
    if stage != WorkloadRuleStage::Off && declared.allowed.is_empty() {
        findings.report(&path, "", rule::NO_SERVICE_PORTS);
    }
    ServicePorts {
        stage,
        allowed: ports(&declared.allowed, &path, findings),
    }
}

fn of_external_ips(
    declared: &api::ExternalIps,
    path: &FieldPath,
    findings: &mut Findings,
) -> ExternalIps {
    let path = path.key("allowed");
    let mut allowed = Vec::new();
    for (index, text) in declared.allowed.iter().enumerate() {
        match parse_address(text) {
            Some(range) => allowed.push(range),
            None => findings.report(&path.index(index), text, rule::ADDRESS),
        }
    }
    ExternalIps {
        stage: declared.stage.unwrap_or_default(),
        allowed,
    }
}

fn of_host_network(
    declared: &api::HostNetwork,
    path: &FieldPath,
    findings: &mut Findings,
) -> HostNetwork {
    HostNetwork {
        stage: declared.stage.unwrap_or_default(),
        allow_host_network: declared.allow_host_network == Some(true),
        allowed_ports: ports(&declared.allowed_ports, &path.key("allowedPorts"), findings),
    }
}

fn ports(declared: &[i32], path: &FieldPath, findings: &mut Findings) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for (index, number) in declared.iter().enumerate() {
        match u16::try_from(*number) {
            Ok(port) if port > 0 => {
                ports.insert(port);
            }
            _ => findings.report(&path.index(index), number, rule::PORT),
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn validated(declared: Value) -> Result<WorkloadRules, Vec<(String, String)>> {
        let declared = serde_json::from_value(declared).unwrap();
        let mut findings = Findings::default();
        let rules = workload_rules(&declared, &FieldPath::default(), &mut findings);
        let told = findings.0.into_iter();
        let told: Vec<_> = told.map(|it| (it.path.to_string(), it.rule)).collect();
        if told.is_empty() {
            Ok(rules)
        } else {
            Err(told)
        }
    }

    #[test]
    fn what_is_left_out_is_off() {
        let sparse = json!({"servicePorts": {"allowed": []}, "externalIPs": {}, "hostNetwork": {}});
        assert_eq!(validated(sparse).unwrap(), WorkloadRules::default());
    }

    #[rstest]
    #[case::no_port(json!({"servicePorts": {"stage": "Observe"}}), "servicePorts.allowed", "for instance 80 and 443")]
    #[case::port_zero(json!({"servicePorts": {"allowed": [80, 0]}}), "servicePorts.allowed[1]", "from 1 to 65535")]
    #[case::port_too_high(json!({"hostNetwork": {"allowedPorts": [65536]}}), "hostNetwork.allowedPorts[0]", "from 1 to 65535")]
    #[case::name(json!({"externalIPs": {"allowed": ["gateway"]}}), "externalIPs.allowed[0]", "neither an address")]
    #[case::bits(json!({"externalIPs": {"allowed": ["192.0.2.1/24"]}}), "externalIPs.allowed[0]", "without bits beyond")]
    fn each_mistake_is_told_at_its_field(
        #[case] declared: Value,
        #[case] path: &str,
        #[case] words: &str,
    ) {
        let told = validated(declared).unwrap_err();
        let [(at, rule)] = told.as_slice() else {
            panic!("{told:?}");
        };
        assert_eq!(at, path);
        assert!(rule.contains(words), "{rule}");
    }
}
