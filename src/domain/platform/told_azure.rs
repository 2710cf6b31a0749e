//! Where in Azure the cluster lies, as a status tells it.

use super::super::validate::azure::platform;
use super::super::{FieldPath, PlatformAzure};
use super::Findings;
use ipnet::IpNet;

use crate::api::{self, NetworkPlugin, NetworkSecurityGroup, NodeProvisioning};

pub(super) fn told(azure: &PlatformAzure) -> api::PlatformAzure {
    let group = |is_managed: bool| is_managed.then_some(NetworkSecurityGroup::Managed);
    let system = &azure.system_subnet;
    let network = &azure.virtual_network;
    api::PlatformAzure {
        subscription: azure.subscription.clone(),
        resource_group: azure.resource_group.clone(),
        location: azure.location.clone(),
        cluster: azure.cluster.clone(),
        virtual_network: api::VirtualNetwork {
            name: network.name.clone(),
            resource_group: Some(network.resource_group.clone()),
            cidrs: network.cidrs.iter().map(ToString::to_string).collect(),
        },
        system_subnet: api::SystemSubnet {
            name: system.name.clone(),
            cidr: system.subnet.cidr.to_string(),
            pod_cidr: system.subnet.pod_cidr.map(|it| it.to_string()),
            network_security_group: group(system.has_security_group),
            application_gateway: system.application_gateway.map(|it| it.to_string()),
        },
        shared_subnets: azure
            .shared_subnets
            .iter()
            .map(|it| api::SharedSubnet {
                name: it.name.clone(),
                cidr: it.subnet.cidr.to_string(),
                pod_cidr: it.subnet.pod_cidr.map(|it| it.to_string()),
            })
            .collect(),
        api_server_subnet: azure.api_server_subnet.map(|it| it.to_string()),
        hub: azure.route_table.as_ref().map(|it| api::Hub {
            route_table: Some(it.clone()),
            firewall: azure.firewall.as_ref().map(|it| api::Firewall {
                policy: it.policy.clone(),
                priority: Some(it.priority.into()),
                credential_from: it.credential_from.clone(),
            }),
        }),
        node_provisioning: (azure.node_provisioning != NodeProvisioning::default())
            .then_some(azure.node_provisioning),
        service_operator: azure
            .service_operator
            .as_ref()
            .map(|it| api::ServiceOperator {
                namespace: it.namespace.clone(),
                credential_from: it.credential_from.clone(),
            }),
    }
}

/// None where a newer operator told what this one cannot read.
pub(super) fn read(
    told: &api::PlatformAzure,
    plugin: Option<NetworkPlugin>,
    pod_cidrs: &[IpNet],
) -> Option<PlatformAzure> {
    platform(
        told,
        (plugin, pod_cidrs),
        &FieldPath::default(),
        &mut Findings::default(),
    )
}
