//! What a landing zone owns in Azure, and where in Azure the cluster lies.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::Findings;
use crate::api::{self, NetworkPlugin, NodeProvisioning, rule};
use crate::domain::address::{overlap, parse_range};
use crate::domain::{
    FieldPath, Firewall, LandingZoneAzure, NodePool, Placement, Platform, PlatformAzure,
    ServiceOperator, SharedSubnet, Subnet, SystemSubnet, VirtualNetwork, syntax,
};

/// Addresses of every subnet that Azure keeps for itself (Azure documentation, "Virtual network FAQ").
const KEPT_BY_AZURE: u64 = 5;
/// Pods of a node where nobody says how many, with addresses from the nodes' subnet (AKS documentation, "IP address
/// planning").
const PODS_IN_NODE_SUBNET: u64 = 30;
/// The same with addresses from a subnet of their own.
const PODS_IN_POD_SUBNET: u64 = 110;
/// A pool has to have room for so many pods in all (AKS documentation, "IP address planning").
const LEAST_PODS: u64 = 30;
/// A node takes addresses of a pod subnet by so many at once (AKS documentation, "Dynamic IP allocation").
const POD_ADDRESSES_AT_ONCE: u64 = 16;
/// A tenth of the nodes more than the most are there while they are upgraded (AKS documentation, "Upgrade options": the default
/// of `maxSurge`).
const SURGE: u64 = 10;

/// What a landing zone owns in Azure.
pub(super) fn landing_zone(
    declared: &api::LandingZoneAzure,
    platform: &Platform,
    path: &FieldPath,
    findings: &mut Findings,
) -> LandingZoneAzure {
    let Some(azure) = &platform.azure else {
        findings.report(path, "", rule::NO_PLATFORM_AZURE);
        return LandingZoneAzure::default();
    };
    let node_pool = declared
        .node_pool
        .as_ref()
        .map(|it| node_pool(it, &path.key("nodePool"), findings));
    let at_subnet = path.key("subnet");
    if declared.subnet.is_some() && node_pool.is_none() {
        findings.report(&at_subnet, "", rule::SUBNET_OF_NOTHING);
    }
    if declared.subnet.is_none() && node_pool.is_some() {
        findings.report(&path.key("nodePool"), "", rule::POOL_WITHOUT_SUBNET);
    }
    if azure.node_provisioning == NodeProvisioning::Auto {
        if let Some(pool) = node_pool.as_ref().filter(|it| it.min > 0) {
            let path = path.key("nodePool").key("min");
            findings.report(&path, pool.min, rule::NO_FEWEST_NODES);
        }
        let pods = declared.subnet.as_ref().and_then(|it| it.pod_cidr.as_ref());
        if let Some(pods) = pods {
            findings.report(&at_subnet.key("podCidr"), pods, rule::NO_POD_SUBNET);
        }
    }
    let is_routed = platform.plugin != Some(NetworkPlugin::Kubenet) || azure.route_table.is_some();
    if declared.subnet.is_some() && !is_routed {
        findings.report(&at_subnet, "", rule::NO_CLUSTER_ROUTES);
    }
    if declared.network_security_group.is_some() && declared.subnet.is_none() {
        let path = path.key("networkSecurityGroup");
        findings.report(&path, "", rule::SECURITY_GROUP_OF_NOTHING);
    }
    let own = declared.subnet.as_ref().and_then(|it| {
        let pods = it.pod_cidr.as_deref();
        subnet(&it.cidr, pods, platform.plugin, &at_subnet, findings)
    });
    if let Some(subnet) = own {
        is_free(subnet, (azure, platform), &at_subnet, findings);
        if let Some(pool) = &node_pool {
            has_room(subnet, pool, platform.plugin, &at_subnet, findings);
        }
    }
    LandingZoneAzure {
        node_pool,
        subnet: own,
        has_security_group: declared.network_security_group.is_some(),
        delete_policy: declared.delete_policy.unwrap_or_default(),
    }
}

/// Whether what is declared of placement leaves the label to the pool.
pub(super) fn placement(
    declared: Option<&Placement>,
    code: &str,
    path: &FieldPath,
    findings: &mut Findings,
) {
    let key = api::names::STACK;
    let selected = declared.and_then(|it| it.node_selector.get(key));
    if let Some(other) = selected.filter(|value| *value != code) {
        let path = path.key("nodeSelector").key(key);
        findings.report(&path, other, rule::STACK_OF_OTHERS);
    }
}

fn node_pool(declared: &api::NodePool, path: &FieldPath, findings: &mut Findings) -> NodePool {
    let size = &declared.vm_size;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_size = size.len() <= 64
        && size.starts_with(|c: char| c.is_ascii_alphabetic())
        && size.chars().all(is_part);
    if !is_size {
        findings.report(&path.key("vmSize"), size, rule::VM_SIZE);
    }
    let max = within(declared.max, 1, 1000, &path.key("max"), findings);
    let at_min = path.key("min");
    let min = within(declared.min, 0, 1000, &at_min, findings);
    if min > max {
        findings.report(&at_min, min, rule::MIN_OVER_MAX);
    }
    let mut availability_zones = BTreeSet::new();
    for (index, zone) in declared.availability_zones.iter().enumerate() {
        let path = path.key("availabilityZones").index(index);
        let number = u8::try_from(within(*zone, 1, 3, &path, findings)).unwrap_or(1);
        if !availability_zones.insert(number) {
            findings.report(&path, zone, rule::TWICE);
        }
    }
    let at_pods = path.key("maxPods");
    let max_pods = declared
        .max_pods
        .map(|it| within(it, 10, 250, &at_pods, findings));
    let room = max_pods.map(|pods| u64::from(pods) * u64::from(max));
    if let Some(room) = room.filter(|room| *room < LEAST_PODS) {
        let told = format!(
            "leaves room for {room} pods on {max} nodes, and AKS asks for {LEAST_PODS}: raise maxPods, or max"
        );
        findings.report(&at_pods, max_pods.unwrap_or_default(), told);
    }
    NodePool {
        vm_size: size.clone(),
        min,
        max,
        availability_zones,
        max_pods: max_pods.and_then(|it| u8::try_from(it).ok()),
        os_sku: declared.os_sku.unwrap_or_default(),
        taint: declared.taint.unwrap_or(true),
        replace: declared.replace.unwrap_or(false),
    }
}

fn within(value: i32, least: u16, most: u16, path: &FieldPath, findings: &mut Findings) -> u16 {
    match u16::try_from(value) {
        Ok(value) if (least..=most).contains(&value) => value,
        _ => {
            findings.report(
                path,
                value,
                format!("must be from {least} to {most}: correct it"),
            );
            least
        }
    }
}

/// A subnet with that of its pods.
fn subnet(
    cidr: &str,
    pod_cidr: Option<&str>,
    plugin: Option<NetworkPlugin>,
    path: &FieldPath,
    findings: &mut Findings,
) -> Option<Subnet> {
    let at_pods = path.key("podCidr");
    let nodes = ipv4_range(cidr, &path.key("cidr"), findings);
    let pods = pod_cidr.map(|it| ipv4_range(it, &at_pods, findings));
    if let Some(text) = pod_cidr
        && plugin != Some(NetworkPlugin::AzureCNI)
    {
        findings.report(&at_pods, text, rule::POD_SUBNET_OF_NOBODY);
    }
    let pods = match pods {
        None => None,
        Some(pods) => Some(pods?),
    };
    let nodes = nodes?;
    if let Some(pods) = pods.filter(|it| overlap(*it, nodes)) {
        findings.report(&at_pods, pods, "overlaps cidr: name another range");
    }
    Some(Subnet {
        cidr: nodes,
        pod_cidr: pods,
    })
}

fn ipv4_range(text: &str, path: &FieldPath, findings: &mut Findings) -> Option<IpNet> {
    let range = parse_range(text);
    let range =
        range.filter(|it| matches!(it, IpNet::V4(_)) && it.prefix_len() <= rule::NARROWEST_SUBNET);
    if range.is_none() {
        findings.report(path, text, rule::SUBNET_RANGE);
    }
    range
}

/// Nobody else's, as far as the platform knows, and in the virtual network.
fn is_free(
    own: Subnet,
    (azure, platform): (&PlatformAzure, &Platform),
    path: &FieldPath,
    findings: &mut Findings,
) {
    let of_pods: &[IpNet] = match platform.plugin {
        Some(NetworkPlugin::Kubenet | NetworkPlugin::AzureCNIOverlay) => &platform.pod_cidrs,
        _ => &[],
    };
    let others = [
        ("the ranges of pods", of_pods),
        ("the ranges of Services", &platform.service_cidrs),
        (
            "the subnet of the Application Gateway",
            azure.system_subnet.application_gateway.as_slice(),
        ),
        (
            "the subnet of the API server",
            azure.api_server_subnet.as_slice(),
        ),
    ];
    let fields = [("cidr", Some(own.cidr)), ("podCidr", own.pod_cidr)];
    for (field, range) in fields {
        let Some(range) = range else { continue };
        let path = path.key(field);
        for (name, other) in azure.subnets() {
            if other.ranges().iter().any(|it| overlap(*it, range)) {
                let told = format!(
                    "overlaps subnet {name} of the platform: name a range that nobody else uses"
                );
                findings.report(&path, range, told);
            }
        }
        for (whose, others) in others {
            if let Some(other) = others.iter().find(|it| overlap(**it, range)) {
                let told =
                    format!("overlaps {other} of {whose}: name a range that nobody else uses");
                findings.report(&path, range, told);
            }
        }
        let network = &azure.virtual_network;
        let is_inside = network.cidrs.iter().any(|it| it.contains(&range));
        if !is_inside {
            let ranges: Vec<_> = network.cidrs.iter().map(ToString::to_string).collect();
            let told = format!(
                "lies outside of virtual network {} ({}): name a part of it, or add the range to \
                 azure.virtualNetwork.cidrs of the LandingZonePlatform once the network has it",
                network.name,
                ranges.join(", ")
            );
            findings.report(&path, range, told);
        }
    }
}

/// A pool that cannot grow as declared would fail when it is needed most.
fn has_room(
    own: Subnet,
    pool: &NodePool,
    plugin: Option<NetworkPlugin>,
    path: &FieldPath,
    findings: &mut Findings,
) {
    let surge = u64::from(pool.max).div_ceil(SURGE);
    let nodes = u64::from(pool.max) + surge;
    let pods = |usual| pool.max_pods.map_or(usual, u64::from);
    let of_node = match (plugin, own.pod_cidr) {
        (Some(NetworkPlugin::AzureCNI), None) => 1 + pods(PODS_IN_NODE_SUBNET),
        _ => 1,
    };
    let mut check = |field: &str, range: IpNet, each: u64| {
        let size = 1_u64 << (32 - u32::from(range.prefix_len()));
        let needed = nodes * each + KEPT_BY_AZURE;
        if size < needed {
            let told = format!(
                "has {size} addresses, but {nodes} nodes (max and {surge} more while they are upgraded) with {each} each need \
                 {needed}, {KEPT_BY_AZURE} that Azure keeps included: widen it, or lower nodePool.max or nodePool.maxPods"
            );
            findings.report(&path.key(field), range, told);
        }
    };
    check("cidr", own.cidr, of_node);
    if let Some(range) = own.pod_cidr {
        // More are taken as soon as half of that is all that is free.
        let most = pods(PODS_IN_POD_SUBNET) + POD_ADDRESSES_AT_ONCE / 2;
        let each = most.div_ceil(POD_ADDRESSES_AT_ONCE) * POD_ADDRESSES_AT_ONCE;
        check("podCidr", range, each);
    }
}

/// Where in Azure the cluster lies.
pub(in crate::domain) fn platform(
    declared: &api::PlatformAzure,
    (plugin, pod_cidrs): (Option<NetworkPlugin>, &[IpNet]),
    path: &FieldPath,
    findings: &mut Findings,
) -> Option<PlatformAzure> {
    let before = findings.0.len();
    match plugin {
        None => findings.report(path, "", rule::NO_PLUGIN),
        Some(NetworkPlugin::Kubenet | NetworkPlugin::AzureCNIOverlay) if pod_cidrs.is_empty() => {
            findings.report(path, "", rule::NO_POD_CIDRS);
        }
        Some(_) => {}
    }
    findings.check(
        &path.key("subscription"),
        &declared.subscription,
        uuid(&declared.subscription),
    );
    let mut name = |field: &FieldPath, text: &str, longest| {
        findings.check(field, text, azure_name(text, longest));
        text.to_owned()
    };
    let resource_group = name(&path.key("resourceGroup"), &declared.resource_group, 90);
    let cluster = name(&path.key("cluster"), &declared.cluster, 63);
    let at_network = path.key("virtualNetwork");
    let network = &declared.virtual_network;
    let network_name = name(&at_network.key("name"), &network.name, 64);
    let network_group = match &network.resource_group {
        Some(group) => name(&at_network.key("resourceGroup"), group, 90),
        None => resource_group.clone(),
    };
    let at_system = path.key("systemSubnet");
    let system = &declared.system_subnet;
    let system_name = name(&at_system.key("name"), &system.name, 80);
    let location = &declared.location;
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_location = (2..=50).contains(&location.len())
        && location.starts_with(|c: char| c.is_ascii_lowercase())
        && location.chars().all(is_part);
    if !is_location {
        findings.report(&path.key("location"), location, rule::LOCATION);
    }
    let mut cidrs = Vec::new();
    for (index, text) in network.cidrs.iter().enumerate() {
        match parse_range(text) {
            Some(range) => cidrs.push(range),
            None => findings.report(&at_network.key("cidrs").index(index), text, rule::RANGE),
        }
    }
    let pods = system.pod_cidr.as_deref();
    let system_range = subnet(&system.cidr, pods, plugin, &at_system, findings);
    let application_gateway = system
        .application_gateway
        .as_ref()
        .and_then(|it| ipv4_range(it, &at_system.key("applicationGateway"), findings));
    let api_server_subnet = declared
        .api_server_subnet
        .as_ref()
        .and_then(|it| ipv4_range(it, &path.key("apiServerSubnet"), findings));
    let shared_subnets = shared_subnets(declared, plugin, &path.key("sharedSubnets"), findings);
    let route_table = declared.hub.as_ref().and_then(|it| it.route_table.clone());
    if let Some(id) = &route_table {
        let path = path.key("hub").key("routeTable");
        findings.check(&path, id, resource_id(id, "Microsoft.Network/routeTables"));
    }
    let firewall = declared.hub.as_ref().and_then(|hub| {
        let path = path.key("hub").key("firewall");
        if hub.firewall.is_some() && hub.route_table.is_none() {
            findings.report(&path, "", rule::FIREWALL_WITHOUT_ROUTES);
        }
        hub.firewall
            .as_ref()
            .map(|it| firewall_of(it, &path, findings))
    });
    let service_operator = declared.service_operator.as_ref();
    let service_operator =
        service_operator.map(|it| service_operator_of(it, &path.key("serviceOperator"), findings));
    let azure = PlatformAzure {
        subscription: declared.subscription.to_ascii_lowercase(),
        resource_group,
        location: location.clone(),
        cluster,
        virtual_network: VirtualNetwork {
            name: network_name,
            resource_group: network_group,
            cidrs,
        },
        system_subnet: SystemSubnet {
            name: system_name,
            subnet: system_range?,
            has_security_group: system.network_security_group.is_some(),
            application_gateway,
        },
        shared_subnets,
        api_server_subnet,
        route_table,
        firewall,
        node_provisioning: node_provisioning(declared, plugin, path, findings),
        service_operator,
    };
    apart(&azure, path, findings);
    (findings.0.len() == before).then_some(azure)
}

fn node_provisioning(
    declared: &api::PlatformAzure,
    plugin: Option<NetworkPlugin>,
    path: &FieldPath,
    findings: &mut Findings,
) -> NodeProvisioning {
    let provisioning = declared.node_provisioning.unwrap_or_default();
    if provisioning == NodeProvisioning::Auto && plugin == Some(NetworkPlugin::Kubenet) {
        findings.report(&path.key("nodeProvisioning"), "Auto", rule::NO_KUBENET);
    }
    provisioning
}

fn shared_subnets(
    declared: &api::PlatformAzure,
    plugin: Option<NetworkPlugin>,
    path: &FieldPath,
    findings: &mut Findings,
) -> Vec<SharedSubnet> {
    let mut seen = BTreeSet::new();
    let mut shared_subnets = Vec::new();
    for (index, shared) in declared.shared_subnets.iter().enumerate() {
        let path = path.index(index);
        let at_name = path.key("name");
        findings.check(&at_name, &shared.name, azure_name(&shared.name, 80));
        if !seen.insert(&shared.name) || shared.name == declared.system_subnet.name {
            findings.report(&at_name, &shared.name, rule::TWICE);
        }
        let pods = shared.pod_cidr.as_deref();
        let range = subnet(&shared.cidr, pods, plugin, &path, findings);
        shared_subnets.extend(range.map(|subnet| SharedSubnet {
            name: shared.name.clone(),
            subnet,
        }));
    }
    shared_subnets
}

/// The priority of the rule collection group where nobody says which.
const FIREWALL_PRIORITY: i32 = 1000;

fn firewall_of(declared: &api::Firewall, path: &FieldPath, findings: &mut Findings) -> Firewall {
    let id = &declared.policy;
    let of_policy = resource_id(id, "Microsoft.Network/firewallPolicies");
    findings.check(&path.key("policy"), id, of_policy);
    let priority = declared.priority.unwrap_or(FIREWALL_PRIORITY);
    if let Some(secret) = &declared.credential_from {
        let path = path.key("credentialFrom");
        findings.check(&path, secret, syntax::dns_label(secret, 63));
    }
    Firewall {
        policy: id.clone(),
        // Those that a firewall policy takes (Azure Service Operator, `FirewallPoliciesRuleCollectionGroup`).
        priority: within(priority, 100, 65_000, &path.key("priority"), findings),
        credential_from: declared.credential_from.clone(),
    }
}

fn service_operator_of(
    declared: &api::ServiceOperator,
    path: &FieldPath,
    findings: &mut Findings,
) -> ServiceOperator {
    let mut check = |field: &str, name: &str| {
        findings.check(&path.key(field), name, syntax::dns_label(name, 63));
    };
    check("namespace", &declared.namespace);
    if let Some(secret) = &declared.credential_from {
        check("credentialFrom", secret);
    }
    ServiceOperator {
        namespace: declared.namespace.clone(),
        credential_from: declared.credential_from.clone(),
    }
}

/// The platform's own subnets do not overlap.
fn apart(azure: &PlatformAzure, path: &FieldPath, findings: &mut Findings) {
    let subnets: Vec<_> = azure.subnets().collect();
    for (place, (name, subnet)) in subnets.iter().enumerate() {
        let mut others = subnets[..place].iter();
        let touches = |other: &Subnet| {
            let ranges = other.ranges();
            let mut own = subnet.ranges().into_iter();
            own.any(|range| ranges.iter().any(|it| overlap(*it, range)))
        };
        if let Some((other, _)) = others.find(|(_, other)| touches(other)) {
            let told = format!("overlaps subnet {other}: correct one of them");
            findings.report(&path.key("sharedSubnets"), name, told);
        }
    }
}

/// Names of resources, as narrow as the narrowest of those that are named here (Azure documentation, "Naming rules and
/// restrictions").
fn azure_name(text: &str, longest: usize) -> Result<(), String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let good = (1..=longest).contains(&text.len())
        && text.chars().all(is_part)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if good {
        Ok(())
    } else {
        Err(rule::azure_name(longest))
    }
}

fn uuid(text: &str) -> Result<(), String> {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    let is_hex = text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    if lengths == [8, 4, 4, 4, 12] && is_hex {
        Ok(())
    } else {
        Err(rule::SUBSCRIPTION.to_owned())
    }
}

/// `/subscriptions/<uuid>/resourceGroups/<name>/providers/<type>/<name>`; Azure compares them without case.
fn resource_id(text: &str, kind: &str) -> Result<(), String> {
    let parts: Vec<_> = text.split('/').collect();
    let good = match parts.as_slice() {
        [
            "",
            subscriptions,
            id,
            groups,
            group,
            providers,
            namespace,
            of_kind,
            name,
        ] => {
            subscriptions.eq_ignore_ascii_case("subscriptions")
                && groups.eq_ignore_ascii_case("resourceGroups")
                && providers.eq_ignore_ascii_case("providers")
                && format!("{namespace}/{of_kind}").eq_ignore_ascii_case(kind)
                && uuid(id).is_ok()
                && azure_name(group, 90).is_ok()
                && azure_name(name, 80).is_ok()
        }
        _ => false,
    };
    if good {
        Ok(())
    } else {
        Err(rule::resource_id(kind))
    }
}
