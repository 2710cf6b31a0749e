//! What Azure Firewall lets through: the names that landing zones declare, and those that AKS itself needs.
//!
//! A firewall sees subnets and not pods: which pods may go there at all is for policies to hold. All of a cluster lies in one
//! group of rule collections, since a firewall policy takes few of them.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::Value;

use super::{Neighbours, OwnSubnet, resource_name, short_digest};
use crate::domain::{Fqdn, LandingZone, Openings, Platform, PlatformAzure, PortRange, Reach};

/// The collection with what AKS itself needs.
pub const OF_AKS: &str = "aks";
/// The collection with what landing zones declare.
pub const OF_LANDING_ZONES: &str = "landing-zones";
/// Every name that AKS needs, as Azure keeps it (Azure documentation, "FQDN tags overview" and "Limit network traffic with Azure Firewall
/// in AKS").
const AKS_TAG: &str = "AzureKubernetesService";
/// Priorities of the collections in their group. Each allows, so that their order means nothing.
const PRIORITIES: [u16; 2] = [1000, 2000];
/// The port of names in the clear.
const HTTP: u16 = 80;
/// Longest name of a rule (Azure documentation, "Naming rules and restrictions").
const LONGEST_NAME: usize = 80;

/// Rule collections of one cluster in a firewall policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCollectionGroup {
    /// Its name in Azure.
    pub name: String,
    /// Resource id of the policy.
    pub policy: String,
    /// Its priority in the policy.
    pub priority: u16,
    /// The Secret with the credentials for it; None: that of the other objects.
    pub credential_from: Option<String>,
    /// The collections; never empty.
    pub collections: Vec<RuleCollection>,
}

/// Rules that allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCollection {
    /// Its name.
    pub name: &'static str,
    /// Its priority in the group.
    pub priority: u16,
    /// The rules, by name; never empty.
    pub rules: Vec<ApplicationRule>,
}

/// Lets some subnets out to some names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApplicationRule {
    /// Its name.
    pub name: String,
    /// The subnets.
    pub sources: Vec<IpNet>,
    /// Ports, and how the firewall reads names there.
    pub protocols: Vec<ApplicationProtocol>,
    /// The names.
    pub names: RuleNames,
}

/// A port, and how the firewall reads names there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApplicationProtocol {
    /// Whether names are read from TLS, and not from HTTP.
    pub is_encrypted: bool,
    /// The port.
    pub port: u16,
}

impl ApplicationProtocol {
    /// As Azure calls it.
    #[must_use]
    pub const fn protocol_type(self) -> &'static str {
        if self.is_encrypted { "Https" } else { "Http" }
    }
}

/// Names that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleNames {
    /// These.
    Fqdns(BTreeSet<Fqdn>),
    /// Those that Azure keeps under a tag.
    Tag(&'static str),
}

/// What a landing zone declares: a rule for each crossing with names. `neighbours` knows its own subnets, too.
#[must_use]
pub fn application_rules(
    zone: &LandingZone,
    platform: &Platform,
    openings: &Openings,
    neighbours: &Neighbours,
) -> Vec<ApplicationRule> {
    let Some(azure) = &platform.azure else {
        return Vec::new();
    };
    let rules = openings.crossings.iter().filter_map(|opening| {
        let Reach::Fqdns {
            crossing, names, ..
        } = &opening.reach
        else {
            return None;
        };
        Some(ApplicationRule {
            name: rule_name(zone.name.as_str(), crossing),
            sources: sources(zone, azure, neighbours),
            protocols: protocols(&opening.ports),
            names: RuleNames::Fqdns(names.clone()),
        })
    });
    rules.collect()
}

/// The rules of landing zones in rule collections as Azure Service Operator has them. What cannot be read is nobody's.
#[must_use]
pub fn read_application_rules(collections: &Value) -> Vec<ApplicationRule> {
    let collections = collections.as_array().into_iter().flatten();
    let inside = collections.filter_map(|it| it.get("firewallPolicyFilterRuleCollection"));
    let ours = inside.filter(|it| it["name"] == OF_LANDING_ZONES);
    let rules = ours.filter_map(|it| it.get("rules")?.as_array()).flatten();
    rules
        .filter_map(|it| read_application_rule(it.get("applicationRule")?))
        .collect()
}

fn read_application_rule(rule: &Value) -> Option<ApplicationRule> {
    let texts = |field: &str| -> Option<Vec<&str>> {
        let texts = rule.get(field)?.as_array()?.iter();
        texts.map(Value::as_str).collect()
    };
    let protocols = rule.get("protocols")?.as_array()?.iter();
    let protocols = protocols.map(|it| {
        Some(ApplicationProtocol {
            is_encrypted: match it.get("protocolType")?.as_str()? {
                "Https" => true,
                "Http" => false,
                _ => return None,
            },
            port: it.get("port")?.as_u64()?.try_into().ok()?,
        })
    });
    let names = texts("targetFqdns")?.into_iter();
    Some(ApplicationRule {
        name: rule.get("name")?.as_str()?.to_owned(),
        sources: texts("sourceAddresses")?
            .into_iter()
            .map(|it| it.parse().ok())
            .collect::<Option<_>>()?,
        protocols: protocols.collect::<Option<_>>()?,
        names: RuleNames::Fqdns(names.map(|it| it.parse().ok()).collect::<Option<_>>()?),
    })
}

/// The landing zone whose rule bears that name.
#[must_use]
pub fn landing_zone_of_rule(name: &str) -> Option<&str> {
    name.split_once('.').map(|(zone, _)| zone)
}

/// A dot, which no name of a landing zone holds.
fn rule_name(zone: &str, crossing: &str) -> String {
    let name = format!("{zone}.{crossing}");
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let digest = short_digest(&name);
    let told: String = name.chars().take(LONGEST_NAME - digest.len() - 1).collect();
    format!("{told}-{digest}")
}

/// Where its pods' packets come from: addresses of their own, or those of its nodes.
fn sources(zone: &LandingZone, azure: &PlatformAzure, neighbours: &Neighbours) -> Vec<IpNet> {
    let own = neighbours.subnets.get(&zone.name);
    let ranges: Vec<IpNet> = match zone.azure.subnet {
        // What runs in a subnet that is declared no more goes on.
        Some(subnet) => own.map_or_else(|| subnet.ranges(), OwnSubnet::ranges),
        None => azure.subnets().flat_map(|(_, it)| it.ranges()).collect(),
    };
    IpNet::aggregate(&ranges)
}

fn protocols(ports: &[PortRange]) -> Vec<ApplicationProtocol> {
    let ports: BTreeSet<u16> = ports.iter().map(|it| it.first).collect();
    let protocols = ports.into_iter().map(|port| ApplicationProtocol {
        is_encrypted: port != HTTP,
        port,
    });
    protocols.collect()
}

/// The collections of the cluster: what AKS needs, for all of its subnets, and `declared` by landing zones. None where the platform
/// declares no firewall.
pub(super) fn rule_collection_group(
    azure: &PlatformAzure,
    neighbours: &Neighbours,
    declared: &[ApplicationRule],
) -> Option<RuleCollectionGroup> {
    let firewall = azure.firewall.as_ref()?;
    let of_platform = azure.subnets().flat_map(|(_, it)| it.ranges());
    let of_zones = neighbours.subnets.values();
    let of_zones = of_zones.flat_map(OwnSubnet::ranges);
    let all: Vec<IpNet> = of_platform.chain(of_zones).collect();
    let aks = ApplicationRule {
        name: AKS_TAG.to_owned(),
        sources: IpNet::aggregate(&all),
        protocols: [(HTTP, false), (443, true)]
            .map(|(port, is_encrypted)| ApplicationProtocol { is_encrypted, port })
            .into(),
        names: RuleNames::Tag(AKS_TAG),
    };
    let [of_aks, of_landing_zones] = PRIORITIES;
    let mut collections = vec![RuleCollection {
        name: OF_AKS,
        priority: of_aks,
        rules: vec![aks],
    }];
    if !declared.is_empty() {
        let mut rules = declared.to_vec();
        rules.sort();
        collections.push(RuleCollection {
            name: OF_LANDING_ZONES,
            priority: of_landing_zones,
            rules,
        });
    }
    Some(RuleCollectionGroup {
        name: resource_name("rcg", &azure.cluster, &[&azure.cluster]),
        policy: firewall.policy.clone(),
        priority: firewall.priority,
        credential_from: firewall.credential_from.clone(),
        collections,
    })
}
