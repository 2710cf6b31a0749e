//! Properties of resources in the words of Azure Resource Manager, which Azure Service Operator and Bicep share.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use super::{ApplicationRule, NodePool, RuleCollection, RuleNames};
use crate::api::OsSku;
use crate::policy::security_group::{Access, AddressPrefix, Direction, Protocol, SecurityRule};

/// To whom subnets of pods are delegated.
pub(super) const DELEGATED_TO: &str = "Microsoft.ContainerService/managedClusters";
/// What AKS calls that.
pub(super) const DELEGATION: &str = "aks-delegation";

/// What a rule of a network security group says. One address stands alone and several in a list, as Azure has it.
pub(super) fn security_rule(rule: &SecurityRule) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut put = |key: &str, value: Value| properties.insert(key.to_owned(), value);
    put("priority", rule.priority.into());
    put("direction", direction(rule.direction).into());
    put("access", access(rule.access).into());
    put("protocol", protocol(rule.protocol).into());
    for (end, prefixes, ports) in [
        ("source", &rule.sources, &rule.source_ports),
        ("destination", &rule.destinations, &rule.destination_ports),
    ] {
        match prefixes.as_slice() {
            [prefix] => put(&format!("{end}AddressPrefix"), address(prefix).into()),
            several => {
                let several: Vec<_> = several.iter().map(address).collect();
                put(&format!("{end}AddressPrefixes"), several.into())
            }
        };
        match ports.as_slice() {
            [] => put(&format!("{end}PortRange"), "*".into()),
            [range] => put(&format!("{end}PortRange"), port(range).into()),
            several => {
                let several: Vec<_> = several.iter().map(port).collect();
                put(&format!("{end}PortRanges"), several.into())
            }
        };
    }
    properties
}

/// What a pool is, but where it lies.
pub(super) fn agent_pool(pool: &NodePool) -> Map<String, Value> {
    let zones: Vec<_> = pool
        .availability_zones
        .iter()
        .map(ToString::to_string)
        .collect();
    let taints: Vec<_> = pool.taints.iter().map(ToString::to_string).collect();
    let mut properties = Map::new();
    let mut put = |key: &str, value: Value| properties.insert(key.to_owned(), value);
    put("mode", "User".into());
    put("osType", "Linux".into());
    put("osSKU", os_sku(pool.os_sku).into());
    put("vmSize", pool.vm_size.clone().into());
    put("enableAutoScaling", true.into());
    // Asked for where a pool is made, even though it scales by itself (Azure/azure-service-operator#3220).
    put("count", pool.min.into());
    put("minCount", pool.min.into());
    put("maxCount", pool.max.into());
    if !zones.is_empty() {
        put("availabilityZones", zones.into());
    }
    if let Some(pods) = pool.max_pods {
        put("maxPods", pods.into());
    }
    put("nodeLabels", json!(pool.labels));
    if !taints.is_empty() {
        put("nodeTaints", taints.into());
    }
    properties
}

/// What a collection of rules says, but the rules.
pub(super) fn rule_collection(collection: &RuleCollection) -> Map<String, Value> {
    let properties = [
        (
            "ruleCollectionType",
            json!("FirewallPolicyFilterRuleCollection"),
        ),
        ("name", json!(collection.name)),
        ("priority", json!(collection.priority)),
        ("action", json!({"type": "Allow"})),
    ];
    properties
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

/// What a rule of Azure Firewall says.
pub(super) fn application_rule(rule: &ApplicationRule) -> Map<String, Value> {
    let sources: Vec<_> = rule.sources.iter().map(ToString::to_string).collect();
    let protocols: Vec<_> = rule
        .protocols
        .iter()
        .map(|it| json!({"protocolType": it.protocol_type(), "port": it.port}))
        .collect();
    let names = match &rule.names {
        RuleNames::Fqdns(names) => {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            ("targetFqdns", json!(names))
        }
        RuleNames::Tag(tag) => ("fqdnTags", json!([tag])),
    };
    let properties = [
        ("ruleType", json!("ApplicationRule")),
        ("name", json!(rule.name)),
        ("sourceAddresses", json!(sources)),
        ("protocols", json!(protocols)),
        names,
    ];
    properties
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

pub(super) const fn os_sku(sku: OsSku) -> &'static str {
    match sku {
        OsSku::Ubuntu => "Ubuntu",
        OsSku::AzureLinux => "AzureLinux",
    }
}

pub(super) const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "Inbound",
        Direction::Outbound => "Outbound",
    }
}

pub(super) const fn access(access: Access) -> &'static str {
    match access {
        Access::Allow => "Allow",
        Access::Deny => "Deny",
    }
}

pub(super) const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Any => "*",
        Protocol::Tcp => "Tcp",
        Protocol::Udp => "Udp",
        Protocol::Icmp => "Icmp",
        Protocol::Esp => "Esp",
        Protocol::Ah => "Ah",
    }
}

pub(super) fn address(prefix: &AddressPrefix) -> String {
    match prefix {
        AddressPrefix::Any => "*".to_owned(),
        AddressPrefix::Range(range) => range.to_string(),
        AddressPrefix::Tag(tag) => tag.clone(),
    }
}

pub(super) fn port(range: &RangeInclusive<u16>) -> String {
    if range.start() == range.end() {
        range.start().to_string()
    } else {
        format!("{}-{}", range.start(), range.end())
    }
}
