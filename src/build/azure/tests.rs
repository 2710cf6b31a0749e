use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::{CalicoNaming, Flavour, Neighbour, PolicyApi, Reach, Surroundings, resolve};
use crate::policy::security_group::{Access, Direction, Flow, Protocol, ServiceTags};

mod firewall;
mod rendered;

pub(super) fn platform(spec: Value) -> Platform {
    let mut azure = json!({
        "subscription": "00000000-0000-0000-0000-000000000001",
        "resourceGroup": "rg-aks",
        "location": "westeurope",
        "cluster": "aks-shared",
        "virtualNetwork": {"name": "vnet-spoke", "cidrs": ["10.1.0.0/16"]},
        "systemSubnet": {
            "name": "snet-system", "cidr": "10.1.0.0/24",
            "networkSecurityGroup": "Managed", "applicationGateway": "10.1.254.0/24",
        },
        "sharedSubnets": [{"name": "snet-shared", "cidr": "10.1.1.0/24"}],
        "hub": {"routeTable": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/routeTables/rt-hub"},
        "serviceOperator": {"namespace": "azure-resources", "credentialFrom": "azure"},
    });
    let mut network = json!({"plugin": "AzureCNI"});
    if let Value::Object(fields) = spec {
        for (key, value) in fields {
            match key.as_str() {
                "plugin" => network["plugin"] = value,
                "podCidrs" => network["podCidrs"] = value,
                _ => azure[key] = value,
            }
        }
    }
    let spec = serde_json::from_value(json!({"network": network, "azure": azure})).unwrap();
    let declared = api::LandingZonePlatform::new("cluster", spec);
    Platform::default().declared(&declared).unwrap()
}

pub(super) fn zone(name: &str, platform: &Platform, azure: &Value, network: &Value) -> LandingZone {
    let mut spec = json!({
        "applicationCode": name,
        "namespaces": [{"name": format!("{name}-web"), "zone": "web"}],
        "network": network,
    });
    if !azure.is_null() {
        spec["azure"] = azure.clone();
    }
    let declared = api::LandingZone::new(name, serde_json::from_value(spec).unwrap());
    LandingZone::validate(&declared, platform).unwrap()
}

/// A pool in the subnet 10.1.<third>.0/24.
pub(super) fn own(third: usize) -> Value {
    json!({
        "nodePool": {"vmSize": "Standard_D4s_v5", "min": 1, "max": 2},
        "subnet": {"cidr": format!("10.1.{third}.0/24")},
        "networkSecurityGroup": "Managed",
    })
}

/// Landing zones that know of each other.
pub(super) struct Estate {
    platform: Platform,
    zones: Vec<LandingZone>,
}

impl Estate {
    pub(super) fn new(platform: Platform, zones: Vec<LandingZone>) -> Self {
        Self { platform, zones }
    }

    fn openings(&self, zone: &LandingZone) -> Openings {
        let others = self.zones.iter().filter(|it| it.name != zone.name);
        let around = Surroundings {
            platform: &self.platform,
            flavour: Flavour {
                api: PolicyApi::CalicoCrdV1,
                tiers: true,
                staged: false,
                naming: CalicoNaming::Plain,
            },
            today: "2026-11-28".parse().unwrap(),
            neighbours: others
                .map(|it| (it.name.clone(), Neighbour::InForce(Box::new(it.clone()))))
                .collect(),
            before: Vec::new(),
            shared_ranges: BTreeMap::new(),
        };
        resolve(zone, &around).openings
    }

    fn neighbours(&self) -> Neighbours {
        Neighbours::of(&self.zones)
    }

    pub(super) fn resources(&self, zone: &LandingZone, before: &Priorities) -> AzureResources {
        let openings = self.openings(zone);
        landing_zone_azure(zone, &self.platform, &openings, &self.neighbours(), before)
    }

    fn group(&self, zone: &LandingZone) -> Option<SecurityGroup> {
        let resources = self.resources(zone, &Priorities::new());
        resources.security_groups.into_iter().next()
    }

    /// Where the nodes of a landing zone lie.
    fn subnet(&self, zone: &LandingZone) -> domain::Subnet {
        let shared = || self.platform.azure.as_ref().unwrap().shared_subnets[0].subnet;
        zone.azure.subnet.unwrap_or_else(shared)
    }

    /// Whether both groups let a packet through, on TCP.
    fn passes(
        &self,
        from: &LandingZone,
        to: &LandingZone,
        ends: (IpAddr, IpAddr),
        port: u16,
    ) -> bool {
        let flow = Flow {
            source: ends.0,
            source_port: 40_000,
            destination: ends.1,
            destination_port: port,
            protocol: Protocol::Tcp,
        };
        let decided = |zone: &LandingZone, direction| {
            // A subnet without a group lets everything through.
            self.group(zone).is_none_or(|group| {
                group.decide(direction, &flow, &tags()).unwrap().access == Access::Allow
            })
        };
        decided(from, Direction::Outbound) && decided(to, Direction::Inbound)
    }

    /// Whether somebody in the subnet of `from` may reach somebody in that of `to`, by what both declare.
    fn is_declared(&self, from: &LandingZone, to: &LandingZone, port: u16) -> bool {
        let shares = |one: &LandingZone, other: &LandingZone| {
            one.name == other.name || one.azure.subnet.is_none() && other.azure.subnet.is_none()
        };
        let senders = self.zones.iter().filter(|it| shares(it, from));
        let mut opened = senders.flat_map(|it| self.openings(it).crossings);
        opened.any(|opening| {
            let is_egress = opening.direction == api::CrossingDirection::Egress;
            let Reach::LandingZone { name, .. } = &opening.reach else {
                return false;
            };
            let reached = self.zones.iter().find(|it| it.name == *name).unwrap();
            let is_tcp = |it: &&crate::domain::PortRange| it.protocol == api::Protocol::TCP;
            let mut ports = opening.ports.iter().filter(is_tcp);
            let has_port =
                opening.ports.is_empty() || ports.any(|it| (it.first..=it.last).contains(&port));
            is_egress && shares(reached, to) && has_port
        })
    }
}

fn tags() -> ServiceTags {
    ServiceTags {
        virtual_network: vec!["10.1.0.0/16".parse().unwrap()],
        others: BTreeMap::new(),
    }
}

/// Some address of a range.
fn address(range: IpNet, number: u8) -> IpAddr {
    range.hosts().nth(usize::from(number)).unwrap()
}

/// Who declares what to whom: from, to, and the ports, none for all.
type Declared = (usize, usize, Vec<(u16, u16, bool)>, bool);

fn declarations() -> impl Strategy<Value = Vec<Declared>> {
    let ports = prop::collection::vec((1_u16..200, 0_u16..50, any::<bool>()), 0..4);
    prop::collection::vec((0_usize..4, 0_usize..4, ports, any::<bool>()), 0..8)
}

/// What a landing zone has of its own: nothing, a subnet, or a subnet that a group guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    Nothing,
    Subnet,
    Group,
}

fn any_has() -> impl Strategy<Value = [Has; 4]> {
    let one = || prop::sample::select(&[Has::Nothing, Has::Subnet, Has::Group]);
    [one(), one(), one(), one()]
}

/// Four landing zones.
fn estate(platform: Platform, has: [Has; 4], declared: &[Declared]) -> Estate {
    let names = ["a", "b", "c", "d"];
    let zones = names.iter().enumerate().map(|(number, name)| {
        let mut azure = own(10 + number);
        match has[number] {
            Has::Nothing => azure = Value::Null,
            Has::Subnet => azure["networkSecurityGroup"] = Value::Null,
            Has::Group => {}
        }
        let (mut egress, mut ingress) = (Vec::new(), Vec::new());
        for (index, (from, to, ports, by_both)) in declared.iter().enumerate() {
            if from == to {
                continue;
            }
            let mut seen = BTreeSet::new();
            let ports: Vec<_> = ports
                .iter()
                .filter(|port| seen.insert(**port))
                .map(|(first, more, is_tcp)| {
                    let protocol = if *is_tcp { "TCP" } else { "UDP" };
                    json!({"protocol": protocol, "port": first, "endPort": first + more})
                })
                .collect();
            let crossing = |field: &str, other: usize| {
                json!({"name": format!("c{index}"), field: {"landingZone": names[other]}, "ports": ports})
            };
            if *from == number {
                egress.push(crossing("to", *to));
            }
            if *to == number && *by_both {
                ingress.push(crossing("from", *from));
            }
        }
        zone(name, &platform, &azure, &json!({"egress": egress, "ingress": ingress}))
    });
    let zones = zones.collect();
    Estate::new(platform, zones)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With Azure CNI groups see pods: they let through what a declared crossing needs, and no more.
    #[test]
    fn groups_allow_what_is_declared_and_no_more(
        declared in declarations(),
        has in any_has(),
        port in 1_u16..260,
    ) {
        let estate = estate(platform(json!({})), has, &declared);
        for from in &estate.zones {
            for to in &estate.zones {
                let ends = (
                    address(estate.subnet(from).pods(), 20),
                    address(estate.subnet(to).pods(), 30),
                );
                let is_guarded = |it: &LandingZone| it.azure.has_security_group;
                // Names are looked up wherever DNS runs; who has a group of his own does not answer.
                let is_free = match (is_guarded(from), is_guarded(to)) {
                    (false, false) => true,
                    (true, false) => port == 53,
                    (_, true) => from.name == to.name,
                };
                let expected = is_free || from.name == to.name || estate.is_declared(from, to, port);
                prop_assert_eq!(
                    estate.passes(from, to, ends, port), expected,
                    "{} to {} on {}", from.name, to.name, port
                );
            }
        }
    }

    /// Where pods have addresses that say nothing of their node, groups let all of them through, and hold nodes apart.
    #[test]
    fn with_an_overlay_groups_hold_nodes_apart(
        declared in declarations(),
        has in any_has(),
        port in 1_u16..260,
        plugin in prop::sample::select(&["AzureCNIOverlay", "Kubenet"]),
    ) {
        let platform = platform(json!({"plugin": plugin, "podCidrs": ["10.244.0.0/16"]}));
        let estate = estate(platform, has, &declared);
        for from in &estate.zones {
            for to in &estate.zones {
                let pods = ("10.244.1.5".parse().unwrap(), "10.244.2.6".parse().unwrap());
                prop_assert!(estate.passes(from, to, pods, port));
                let nodes = (
                    address(estate.subnet(from).cidr, 20),
                    address(estate.subnet(to).cidr, 30),
                );
                let is_guarded = |it: &LandingZone| it.azure.has_security_group;
                let expected = match (is_guarded(from), is_guarded(to)) {
                    (false, false) => true,
                    (true, false) => port == 53,
                    (_, true) => false,
                };
                let expected = expected || from.name == to.name;
                prop_assert_eq!(estate.passes(from, to, nodes, port), expected);
            }
        }
    }

    /// Azure takes every group, and none is longer than it takes.
    #[test]
    fn azure_takes_every_group(
        declared in declarations(),
        has in any_has(),
        plugin in prop::sample::select(&["AzureCNI", "AzureCNIOverlay", "Kubenet", "Calico"]),
    ) {
        let platform = platform(json!({"plugin": plugin, "podCidrs": ["10.244.0.0/16"]}));
        let estate = estate(platform, has, &declared);
        for zone in &estate.zones {
            let groups = estate.resources(zone, &Priorities::new()).security_groups;
            for group in groups.iter().chain(&platform_azure(&estate.platform, &Neighbours::default(), &[], &Priorities::new()).security_groups) {
                prop_assert_eq!(group.validate(), vec![]);
                prop_assert!(group.rules.iter().all(|it| it.name.len() <= 80));
            }
        }
    }
}

fn decided(group: &SecurityGroup, source: &str, destination: &str, port: u16) -> String {
    let flow = Flow {
        source: source.parse().unwrap(),
        source_port: 40_000,
        destination: destination.parse().unwrap(),
        destination_port: port,
        protocol: Protocol::Tcp,
    };
    group
        .decide(Direction::Inbound, &flow, &tags())
        .unwrap()
        .to_string()
}

/// Seed 000, one by one.
#[test]
fn a_landing_zone_s_group_is_what_the_articles_list() {
    let platform = platform(json!({"apiServerSubnet": "10.1.250.0/28"}));
    let zone = zone("shop", &platform, &own(10), &Value::Null);
    let estate = Estate::new(platform, vec![zone.clone()]);
    let group = estate.group(&zone).unwrap();
    let to = |source: &str, port| decided(&group, source, "10.1.10.7", port);
    assert_eq!(to("10.1.0.5", 443), "AllowSystemPoolInBound (100)");
    assert_eq!(to("10.1.10.9", 443), "AllowSubnetInBound (110)");
    assert_eq!(
        to("168.63.129.16", 30_080),
        "AllowAzureLoadBalancerInBound (120)"
    );
    assert_eq!(to("10.1.250.4", 10_250), "AllowApiServerInBound (130)");
    assert_eq!(to("10.1.251.4", 10_250), "OthersInBound (4096)");
    assert_eq!(to("10.1.1.9", 10_250), "AllowKubeletInBound (160)");
    assert_eq!(to("10.1.11.9", 5473), "AllowTyphaInBound (150)");
    assert_eq!(to("10.1.11.9", 443), "OthersInBound (4096)");
    assert_eq!(to("10.1.1.9", 443), "OthersInBound (4096)");
    assert_eq!(to("203.0.113.9", 443), "OthersInBound (4096)");
}

#[test]
fn only_the_application_gateway_talks_to_the_system_pool() {
    let group = &platform_azure(
        &platform(json!({})),
        &Neighbours::default(),
        &[],
        &Priorities::new(),
    )
    .security_groups[0];
    let to = |source: &str, port| decided(group, source, "10.1.0.100", port);
    assert_eq!(
        to("10.1.254.4", 443),
        "AllowApplicationGatewayInBound (200)"
    );
    assert_eq!(to("10.1.254.4", 8080), "OthersInBound (4096)");
    assert_eq!(to("10.1.10.9", 443), "OthersInBound (4096)");
    assert_eq!(to("203.0.113.9", 443), "OthersInBound (4096)");
    assert_eq!(to("10.1.10.9", 53), "AllowDnsTcpInBound (170)");
    assert_eq!(to("10.1.10.9", 10_250), "AllowKubeletInBound (160)");
    assert_eq!(to("10.1.0.9", 9090), "AllowSubnetInBound (110)");
}

/// Whoever opens a wide range does not open it to other landing zones, and no rule holds a range and a part of it.
#[test]
fn wide_ranges_leave_out_who_lies_in_them() {
    let mut platform = platform(json!({}));
    platform.shared_services = vec![crate::domain::SharedService {
        name: "scanners".to_owned(),
        direction: api::ServiceDirection::ToLandingZones,
        landing_zones: api::ServiceAudience::All,
        peers: vec![crate::domain::ServicePeer::Addresses(
            ["10.0.0.0/8", "10.1.253.0/24", "fd00::/64"]
                .map(|it| it.parse().unwrap())
                .into(),
        )],
        ports: Vec::new(),
    }];
    let shop = zone("shop", &platform, &own(10), &Value::Null);
    let orders = zone("orders", &platform, &own(11), &Value::Null);
    let estate = Estate::new(platform, vec![shop.clone(), orders]);
    let group = estate.group(&shop).unwrap();
    let to = |source: &str| decided(&group, source, "10.1.10.7", 443);
    assert!(
        to("10.9.0.4").starts_with("Allow-FromAddresses-"),
        "{}",
        to("10.9.0.4")
    );
    assert!(to("10.1.253.9").starts_with("Allow-FromAddresses-"));
    assert_eq!(to("10.1.11.9"), "OthersInBound (4096)");
    assert_eq!(to("10.1.1.9"), "OthersInBound (4096)");
    for rule in &group.rules {
        let nets: Vec<IpNet> = rule
            .sources
            .iter()
            .filter_map(|it| match it {
                crate::policy::security_group::AddressPrefix::Range(net) => Some(*net),
                _ => None,
            })
            .collect();
        assert_eq!(IpNet::aggregate(&nets).len(), nets.len(), "{}", rule.name);
        assert!(
            nets.iter().all(|it| matches!(it, IpNet::V4(_))),
            "{}",
            rule.name
        );
    }
}

/// Whatever a group has by itself: pods of an overlay and the internet are outside of the virtual network.
#[test]
fn what_is_observed_is_denied_nothing() {
    let platform = platform(json!({}));
    let mut zone = zone("shop", &platform, &own(10), &Value::Null);
    zone.stage = api::Stage::Observe;
    let estate = Estate::new(platform, vec![zone.clone()]);
    let group = estate.group(&zone).unwrap();
    for (source, destination) in [
        ("10.1.11.9", "10.1.10.7"),
        ("203.0.113.9", "10.1.10.7"),
        ("10.1.10.7", "10.1.1.9"),
        ("10.1.10.7", "203.0.113.9"),
    ] {
        let flow = Flow {
            source: source.parse().unwrap(),
            source_port: 40_000,
            destination: destination.parse().unwrap(),
            destination_port: 443,
            protocol: Protocol::Tcp,
        };
        for direction in [Direction::Inbound, Direction::Outbound] {
            let decided = group.decide(direction, &flow, &tags()).unwrap();
            let is_own = direction == Direction::Inbound || source.starts_with("10.1.10.");
            assert!(
                !is_own || decided.access == Access::Allow,
                "{flow:?}: {decided}"
            );
        }
    }
}

/// A rule that comes moves none that is there.
#[test]
fn one_more_crossing_moves_no_rule() {
    let platform = platform(json!({}));
    let names: Vec<String> = (0..40).map(|it| format!("n{it}")).collect();
    let estate = |open: usize| {
        let mut zones = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let egress = json!([{"name": "c", "to": {"landingZone": "shop"}}]);
            zones.push(zone(
                name,
                &platform,
                &own(10 + number),
                &json!({"egress": egress}),
            ));
        }
        let ingress: Vec<_> = names[..open]
            .iter()
            .map(|it| json!({"name": it, "from": {"landingZone": it}}))
            .collect();
        zones.push(zone(
            "shop",
            &platform,
            &own(5),
            &json!({"ingress": ingress}),
        ));
        Estate::new(platform.clone(), zones)
    };
    let mut before = Priorities::new();
    for open in 1..names.len() {
        let estate = estate(open);
        let shop = estate.zones.last().unwrap();
        let resources = estate.resources(shop, &before);
        let group = &resources.security_groups[0];
        let now: BTreeMap<_, _> = group
            .rules
            .iter()
            .map(|it| (it.name.clone(), it.priority))
            .collect();
        for (rule, priority) in &before {
            assert_eq!(now[rule], *priority, "{rule}");
        }
        before = now;
    }
}

/// Whoever may write in that namespace changes nodes, subnets and groups.
#[test]
fn nobody_declares_the_namespace_of_azure_service_operator_s_objects() {
    let platform = platform(json!({}));
    let spec = json!({
        "applicationCode": "shop",
        "namespaces": [{"name": "shop", "zone": "web"}, {"name": "azure-resources", "zone": "web"}],
    });
    let declared = api::LandingZone::new("shop", serde_json::from_value(spec).unwrap());
    let problems = LandingZone::validate(&declared, &platform).unwrap_err();
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("spec.namespaces[1].name"), "{told:?}");
    assert!(told[0].contains("choose another name"), "{told:?}");
}

#[test]
fn pools_have_names_that_azure_takes() {
    let platform = platform(json!({}));
    let mut names = BTreeSet::new();
    for name in ["shop", "0ps", "a-b", "ab", &"x".repeat(40)] {
        for third in [10, 11] {
            let zone = zone(name, &platform, &own(third), &Value::Null);
            let estate = Estate::new(platform.clone(), vec![zone.clone()]);
            let pool = estate
                .resources(&zone, &Priorities::new())
                .node_pools
                .remove(0);
            assert!(pool.name.len() <= 12, "{}", pool.name);
            assert!(
                pool.name.starts_with(|c: char| c.is_ascii_lowercase()),
                "{}",
                pool.name
            );
            assert!(
                pool.name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            );
            assert!(names.insert(pool.name));
        }
    }
    assert!(names.iter().any(|it| it.starts_with("shop")), "{names:?}");
}

/// Taints and labels are those that the landing zone's pods are placed by.
#[test]
fn pods_are_placed_on_their_pool() {
    let platform = platform(json!({}));
    let zone = zone("shop", &platform, &own(10), &Value::Null);
    let estate = Estate::new(platform, vec![zone.clone()]);
    let pool = estate
        .resources(&zone, &Priorities::new())
        .node_pools
        .remove(0);
    let placement = zone.placement.unwrap();
    assert_eq!(placement.node_selector, pool.labels);
    let tolerated: Vec<_> = placement
        .tolerations
        .iter()
        .map(|it| format!("{}={}:NoSchedule", it.key, it.value.as_deref().unwrap()))
        .collect();
    let taints: Vec<_> = pool.taints.iter().map(ToString::to_string).collect();
    assert_eq!(tolerated, taints);
    assert_eq!(taints, ["stack=shop:NoSchedule"]);
}
