//! What holds for the whole cluster: built-in values, what the operator was told, and what the
//! platform declares.

mod found;
mod told;
mod told_azure;
mod told_defaults;
mod told_workload_rules;

use std::collections::BTreeSet;

use ipnet::IpNet;

pub use crate::api::rule::BUILT_IN_EXEMPT_NAMESPACES;
pub use found::{FoundRanges, PodRangeSources};

use super::address::{parse_address, parse_range};
use super::validate::Findings;
use super::validate::azure::platform as azure;
use super::validate::defaults::defaults;
use super::validate::metadata::required_keys;
use super::validate::shared_services::{destinations, shared_services};
use super::validate::workload_rules::workload_rules;
use super::{
    DefaultDeny, Defaults, Destination, Exempt, FieldPath, PlatformAzure, Problem, SharedService,
    WorkloadRules,
};
use crate::api::rule::EXEMPT_MARKERS;
use crate::api::{
    self, ExpiredCrossings, GuardStage, NetworkPlugin, PlatformValues, PodCidrsSource, rule,
};

/// The only name that a platform may have.
pub const PLATFORM_NAME: &str = "cluster";

/// What holds for the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The ranges that pods get their addresses from. Known, they close a gap: no address outside
    /// of them can pass for a pod, whatever labels a network set claims.
    pub pod_cidrs: Vec<IpNet>,
    /// Addresses of DNS caches on the node, besides the Service `kube-system/kube-dns`.
    pub dns_addresses: Vec<IpNet>,
    /// Cluster roles that a landing zone may hand out.
    pub roles: BTreeSet<String>,
    /// Subnets of the nodes; empty: not known.
    pub node_cidrs: Vec<IpNet>,
    /// Addresses of the API server besides those behind the Service `default/kubernetes`.
    pub api_server: Vec<IpNet>,
    /// What landing zones use or are reached from, presets included; names are unique.
    pub shared_services: Vec<SharedService>,
    /// Places outside the cluster that several may use; names are unique.
    pub destinations: Vec<Destination>,
    /// What becomes of a crossing whose last day is over.
    pub expired_crossings: ExpiredCrossings,
    /// The default deny of the whole cluster.
    pub default_deny: DefaultDeny,
    /// What is done about policies that leave a boundary when somebody writes them.
    pub guard: GuardStage,
    /// What landing zones get where they say nothing.
    pub defaults: Defaults,
    /// Keys of labels that every landing zone must have a value for.
    pub required_labels: BTreeSet<String>,
    /// Ranges of Services; empty: not known.
    pub service_cidrs: Vec<IpNet>,
    /// Who says which ranges pods have; without meaning where there are none.
    pub pod_cidrs_from: PodCidrsSource,
    /// Who gives pods their addresses; None: not known.
    pub plugin: Option<NetworkPlugin>,
    /// Whether `NodeLocal` `DNSCache` answers on the address of the Service of DNS, which the cluster
    /// has to be asked for.
    pub node_local_dns: bool,
    /// Where in Azure the cluster lies; None: not known.
    pub azure: Option<PlatformAzure>,
    /// Rules for what application teams put into landing zones, which the API server keeps.
    pub workload_rules: WorkloadRules,
}

/// Cluster roles that a landing zone may hand out when nobody says otherwise.
const BUILT_IN_ROLES: [&str; 3] = ["view", "edit", "admin"];

impl Default for Platform {
    /// Safe values: no pod ranges known, the cluster's DNS service only, view, edit and admin.
    fn default() -> Self {
        Self {
            pod_cidrs: Vec::new(),
            dns_addresses: Vec::new(),
            roles: BUILT_IN_ROLES.map(str::to_owned).into(),
            node_cidrs: Vec::new(),
            api_server: Vec::new(),
            shared_services: Vec::new(),
            destinations: Vec::new(),
            expired_crossings: ExpiredCrossings::default(),
            default_deny: DefaultDeny::default(),
            guard: GuardStage::default(),
            defaults: Defaults::default(),
            required_labels: BTreeSet::new(),
            service_cidrs: Vec::new(),
            pod_cidrs_from: PodCidrsSource::default(),
            plugin: None,
            node_local_dns: false,
            azure: None,
            workload_rules: WorkloadRules::default(),
        }
    }
}

impl Platform {
    /// These values with what a platform declares: pod ranges take the place of those known so far,
    /// and roles that of the built-in ones; the rest is added.
    ///
    /// # Errors
    /// Everything that is wrong with the declaration; never empty.
    pub fn declared(&self, declared: &api::LandingZonePlatform) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let root = FieldPath::default();
        let name = declared.metadata.name.as_deref().unwrap_or_default();
        if name != PLATFORM_NAME {
            problems.push(Problem {
                path: root.key("metadata").key("name"),
                value: name.to_owned(),
                rule: rule::ONLY_PLATFORM.to_owned(),
            });
        }
        let spec = &declared.spec;
        let path = root.key("spec");
        let mut platform = self.clone();
        if let Some(dns) = &spec.dns {
            platform.node_local_dns = dns.node_local == Some(true);
            let cache = IpNet::from(found::NODE_LOCAL_DNS);
            if platform.node_local_dns && !platform.dns_addresses.contains(&cache) {
                platform.dns_addresses.push(cache);
            }
            let path = path.key("dns").key("extraAddresses");
            let parse = |text: &str| parse_address(text).ok_or(rule::ADDRESS);
            let addresses = each(&dns.extra_addresses, &path, parse, &mut problems);
            for address in addresses {
                if !platform.dns_addresses.contains(&address) {
                    platform.dns_addresses.push(address);
                }
            }
        }
        if let Some(roles) = spec
            .access
            .as_ref()
            .and_then(|it| it.cluster_roles.as_ref())
        {
            let path = path.key("access").key("clusterRoles");
            let parse = |text: &str| parse_role(text).ok_or(rule::ROLE);
            let roles = each(roles, &path, parse, &mut problems);
            for role in BUILT_IN_ROLES {
                platform.roles.remove(role);
            }
            platform.roles.extend(roles);
        }
        if let Some(network) = &spec.network {
            platform.plugin = network.plugin;
            let path = path.key("network");
            let range = |text: &str| parse_range(text).ok_or(rule::RANGE);
            let at_pods = path.key("podCidrs");
            let ranges: Vec<IpNet> = each(&network.pod_cidrs, &at_pods, range, &mut problems);
            if !ranges.is_empty() {
                platform.pod_cidrs = ranges;
                platform.pod_cidrs_from = PodCidrsSource::Platform;
            }
            let at_nodes = path.key("nodeCidrs");
            platform.node_cidrs = each(&network.node_cidrs, &at_nodes, range, &mut problems);
            let address = |text: &str| parse_address(text).ok_or(rule::ADDRESS);
            let at_server = path.key("apiServer");
            platform.api_server = each(&network.api_server, &at_server, address, &mut problems);
            let at_services = path.key("serviceCidrs");
            let services = &network.service_cidrs;
            platform.service_cidrs = each(services, &at_services, range, &mut problems);
        }
        let mut findings = Findings::default();
        platform.shared_services =
            shared_services(&spec.shared_services, &spec.presets, &path, &mut findings);
        platform.destinations = destinations(&spec.destinations, &path, &mut findings);
        platform.expired_crossings = spec.expired_crossings.unwrap_or_default();
        if let Some(declared) = &spec.defaults {
            platform.defaults = defaults(declared, &path.key("defaults"), &mut findings);
        }
        let at_required = path.key("requiredLabels");
        platform.required_labels =
            required_keys(&spec.required_labels, &at_required, &mut findings);
        if let Some(declared) = &spec.azure {
            let path = path.key("azure");
            platform.azure = azure(
                declared,
                (platform.plugin, &platform.pod_cidrs),
                &path,
                &mut findings,
            );
        }
        if let Some(declared) = &spec.workload_rules {
            let path = path.key("workloadRules");
            platform.workload_rules = workload_rules(declared, &path, &mut findings);
        }
        problems.extend(findings.0);
        platform.default_deny = DefaultDeny::declared(spec, &path, &mut problems);
        platform.guard = spec.guard.unwrap_or_default();
        if problems.is_empty() {
            Ok(platform)
        } else {
            Err(problems)
        }
    }

    /// The values as a status tells them.
    #[must_use]
    pub fn values(&self) -> PlatformValues {
        let texts = |nets: &[IpNet]| nets.iter().map(ToString::to_string).collect();
        let exempt = &self.default_deny.exempt;
        PlatformValues {
            pod_cidrs: texts(&self.pod_cidrs),
            dns_addresses: texts(&self.dns_addresses),
            cluster_roles: self.roles.iter().cloned().collect(),
            node_cidrs: texts(&self.node_cidrs),
            api_server: texts(&self.api_server),
            shared_services: self.shared_services.iter().map(told::service).collect(),
            destinations: self.destinations.iter().map(told::destination).collect(),
            expired_crossings: Some(self.expired_crossings),
            default_deny: Some(self.default_deny.stage),
            guard: Some(self.guard),
            exempt_namespaces: exempt.all_names().into_iter().map(str::to_owned).collect(),
            exempt_labels: exempt.labels.clone(),
            exempt_markers: EXEMPT_MARKERS.iter().map(|&key| key.to_owned()).collect(),
            defaults: told_defaults::defaults(&self.defaults),
            required_labels: self.required_labels.iter().cloned().collect(),
            service_cidrs: texts(&self.service_cidrs),
            pod_cidrs_from: (!self.pod_cidrs.is_empty()).then_some(self.pod_cidrs_from),
            plugin: self.plugin,
            azure: self.azure.as_ref().map(told_azure::told),
            workload_rules: told_workload_rules::told(&self.workload_rules),
        }
    }

    /// The values that a status told. Addresses of DNS stay as they were told: that of the Service is
    /// not followed.
    #[must_use]
    fn of_values(values: &PlatformValues) -> Self {
        let nets = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Self {
            pod_cidrs: nets(&values.pod_cidrs),
            dns_addresses: nets(&values.dns_addresses),
            roles: values.cluster_roles.iter().cloned().collect(),
            node_cidrs: nets(&values.node_cidrs),
            api_server: nets(&values.api_server),
            shared_services: values
                .shared_services
                .iter()
                .filter_map(told::read_service)
                .collect(),
            destinations: values
                .destinations
                .iter()
                .filter_map(told::read_destination)
                .collect(),
            expired_crossings: values.expired_crossings.unwrap_or_default(),
            default_deny: DefaultDeny {
                stage: values.default_deny.unwrap_or_default(),
                exempt: Exempt {
                    labels: values.exempt_labels.clone(),
                    ..Exempt::named(values.exempt_namespaces.iter().cloned())
                },
            },
            guard: values.guard.unwrap_or_default(),
            defaults: told_defaults::read(values.defaults.as_ref()),
            required_labels: values.required_labels.iter().cloned().collect(),
            service_cidrs: nets(&values.service_cidrs),
            pod_cidrs_from: values.pod_cidrs_from.unwrap_or_default(),
            plugin: values.plugin,
            node_local_dns: false,
            azure: values
                .azure
                .as_ref()
                .and_then(|told| told_azure::read(told, values.plugin, &nets(&values.pod_cidrs))),
            workload_rules: told_workload_rules::read(values.workload_rules.as_ref()),
        }
    }
}

fn each<T>(
    texts: &[String],
    path: &FieldPath,
    parse: impl Fn(&str) -> Result<T, &'static str>,
    problems: &mut Vec<Problem>,
) -> Vec<T> {
    let mut values = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match parse(text) {
            Ok(value) => values.push(value),
            Err(rule) => problems.push(Problem {
                path: path.index(index),
                value: text.chars().take(80).collect(),
                rule: rule.to_owned(),
            }),
        }
    }
    values
}

fn parse_role(text: &str) -> Option<String> {
    let is_name = !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '%']);
    is_name.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use serde_json::json;

    use super::*;

    fn declared(name: &str, spec: serde_json::Value) -> Result<Platform, Vec<Problem>> {
        let told = Platform {
            pod_cidrs: vec!["10.1.0.0/16".parse().unwrap()],
            dns_addresses: vec!["169.254.20.10".parse::<IpAddr>().unwrap().into()],
            roles: ["view", "edit", "admin", "told"].map(str::to_owned).into(),
            ..Platform::default()
        };
        let spec = serde_json::from_value(spec).unwrap();
        told.declared(&api::LandingZonePlatform::new(name, spec))
    }

    #[test]
    fn what_is_left_out_stays() {
        let values = declared("cluster", json!({})).unwrap().values();
        assert_eq!(values.pod_cidrs, ["10.1.0.0/16"]);
        assert_eq!(values.pod_cidrs_from, Some(PodCidrsSource::Operator));
        assert_eq!(values.dns_addresses, ["169.254.20.10/32"]);
        assert_eq!(values.cluster_roles, ["admin", "edit", "told", "view"]);
    }

    #[test]
    fn ranges_are_replaced_and_caches_are_added() {
        let platform = declared(
            "cluster",
            json!({
                "dns": {"extraAddresses": ["169.254.10.10", "169.254.20.10", "fd00:1::/64"]},
                "access": {"clusterRoles": ["view", "deployer"]},
                "network": {"podCidrs": ["10.244.0.0/16", "fd00::/48"]},
                "defaultDeny": {"stage": "Enforce"},
                "exempt": {
                    "namespaces": ["mine"], "selector": {"matchLabels": {"tier": "platform"}},
                },
                "workloadRules": {
                    "httpsIngress": "Enforce",
                    "servicePorts": {"stage": "Observe", "allowed": [443, 80]},
                    "externalIPs": {"stage": "Enforce", "allowed": ["192.0.2.4", "2001:db8::/64"]},
                    "hostNetwork": {"stage": "Enforce", "allowHostNetwork": true, "allowedPorts": [9100]},
                },
            }),
        );
        let values = platform.unwrap().values();
        assert_eq!(values.pod_cidrs, ["10.244.0.0/16", "fd00::/48"]);
        assert_eq!(values.pod_cidrs_from, Some(PodCidrsSource::Platform));
        let caches = ["169.254.20.10/32", "169.254.10.10/32", "fd00:1::/64"];
        assert_eq!(values.dns_addresses, caches);
        assert_eq!(values.cluster_roles, ["deployer", "told", "view"]);
        assert!(values.exempt_namespaces.contains(&"mine".to_owned()));
        assert!(values.exempt_namespaces.contains(&"kube-system".to_owned()));
        assert_eq!(Platform::of_values(&values).values(), values);
    }

    #[test]
    fn a_cache_on_every_node_has_one_address_by_convention() {
        let told = Platform::default();
        let with = |spec: serde_json::Value| {
            let spec = serde_json::from_value(spec).unwrap();
            let declared = told.declared(&api::LandingZonePlatform::new("cluster", spec));
            let declared = declared.unwrap();
            (declared.node_local_dns, declared.values().dns_addresses)
        };
        let cache = || vec!["169.254.20.10/32".to_owned()];
        assert_eq!(with(json!({"dns": {"nodeLocal": true}})), (true, cache()));
        let both = json!({"dns": {"nodeLocal": true, "extraAddresses": ["169.254.20.10"]}});
        assert_eq!(with(both), (true, cache()));
        assert_eq!(with(json!({"dns": {"nodeLocal": false}})), (false, vec![]));
    }

    #[test]
    fn what_is_opened_is_told_and_read_back() {
        let platform = declared(
            "cluster",
            json!({
                "network": {
                    "nodeCidrs": ["10.1.0.0/22"], "apiServer": ["10.2.0.4"],
                    "serviceCidrs": ["10.0.0.0/16", "fd00:5::/112"],
                },
                "sharedServices": [{
                    "name": "ingress", "direction": "ToLandingZones",
                    "peers": [
                        {"namespaceSelector": {"matchLabels": {"tier": "ingress"}},
                         "podSelector": {"matchLabels": {"app": "nginx"}}},
                        {"cidrs": ["10.1.8.0/24"]},
                        {"nodes": true},
                    ],
                    "ports": [{"protocol": "TCP", "port": 8000, "endPort": 8080}],
                }],
                "presets": ["istio"],
                "destinations": [{
                    "name": "orders-db", "owner": "team-orders", "cidrs": ["10.20.3.4/32"],
                    "ports": [{"protocol": "TCP", "port": 1433}],
                }],
                "expiredCrossings": "Close",
                "defaults": {
                    "quota": {"requests.cpu": "4"},
                    "limits": {"default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}},
                    "podSecurity": "baseline",
                    "placement": {
                        "nodeSelector": {"pool": "shared"},
                        "tolerations": [{"key": "shared", "operator": "Exists"}],
                    },
                },
                "requiredLabels": ["costCenter"],
            }),
        )
        .unwrap();
        let names: Vec<_> = platform
            .shared_services
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        assert_eq!(names, ["istio", "istio-gateways", "ingress"]);
        assert_eq!(Platform::of_values(&platform.values()), platform);
        let mut values = platform.values();
        values.shared_services[2].ports = vec!["any".to_owned()];
        assert_eq!(Platform::of_values(&values).shared_services.len(), 2);
    }

    fn azure() -> serde_json::Value {
        json!({
            "subscription": "00000000-0000-0000-0000-00000000000A", "resourceGroup": "rg-aks",
            "location": "westeurope", "cluster": "aks",
            "virtualNetwork": {"name": "vnet", "resourceGroup": "rg-network", "cidrs": ["10.1.0.0/16"]},
            "systemSubnet": {
                "name": "system", "cidr": "10.1.0.0/24", "podCidr": "10.1.8.0/22",
                "networkSecurityGroup": "Managed", "applicationGateway": "10.1.254.0/24",
            },
            "sharedSubnets": [{"name": "shared", "cidr": "10.1.1.0/24", "podCidr": "10.1.12.0/22"}],
            "apiServerSubnet": "10.1.250.0/28",
            "hub": {
                "routeTable": "/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/hub/providers/\
                               Microsoft.Network/routeTables/rt",
                "firewall": {
                    "policy": "/subscriptions/00000000-0000-0000-0000-00000000000b/resourceGroups/hub/providers/\
                               Microsoft.Network/firewallPolicies/fw",
                    "priority": 2000, "credentialFrom": "hub",
                },
            },
            "nodeProvisioning": "Auto",
            "serviceOperator": {"namespace": "azure", "credentialFrom": "key"},
        })
    }

    #[test]
    fn where_in_azure_the_cluster_lies_is_told_and_read_back() {
        let spec = json!({"network": {"plugin": "AzureCNI"}, "azure": azure()});
        let platform = declared("cluster", spec).unwrap();
        assert!(platform.azure.is_some());
        let told = Platform::of_values(&platform.values());
        assert_eq!(told.azure, platform.azure);
    }

    #[test]
    fn what_is_wrong_with_azure_is_told() {
        let mut azure = azure();
        for (pointer, wrong) in [
            ("/subscription", json!("mine")),
            ("/resourceGroup", json!("rg aks")),
            ("/location", json!("West Europe")),
            ("/virtualNetwork/cidrs", json!(["10.1.0.1/16"])),
            ("/systemSubnet/cidr", json!("10.1.0.0/30")),
            ("/sharedSubnets/0/podCidr", json!("10.1.1.0/25")),
            ("/hub/routeTable", json!("rt")),
            ("/hub/firewall/policy", json!("fw")),
            ("/hub/firewall/priority", json!(99)),
            ("/hub/firewall/credentialFrom", json!("The Hub")),
            ("/serviceOperator/namespace", json!("Azure")),
        ] {
            *azure.pointer_mut(pointer).unwrap() = wrong;
        }
        let spec = json!({"network": {"plugin": "AzureCNI"}, "azure": azure});
        let problems = declared("cluster", spec).unwrap_err();
        let told: BTreeSet<_> = problems.iter().map(|it| it.path.to_string()).collect();
        let all = [
            "hub.firewall.credentialFrom",
            "hub.firewall.policy",
            "hub.firewall.priority",
            "hub.routeTable",
            "location",
            "resourceGroup",
            "serviceOperator.namespace",
            "sharedSubnets[0].podCidr",
            "subscription",
            "systemSubnet.cidr",
            "virtualNetwork.cidrs[0]",
        ];
        assert_eq!(told, all.map(|it| format!("spec.azure.{it}")).into());
        // Nothing would lead to the firewall.
        let mut azure = self::azure();
        azure["hub"].as_object_mut().unwrap().remove("routeTable");
        let spec = json!({"network": {"plugin": "AzureCNI"}, "azure": azure});
        let problems = declared("cluster", spec).unwrap_err();
        let [problem] = problems.as_slice() else {
            panic!("{problems:?}");
        };
        assert_eq!(problem.path.to_string(), "spec.azure.hub.firewall");
        // Pods get no address of a subnet there.
        let spec = json!({
            "network": {"plugin": "Kubenet", "podCidrs": ["10.244.0.0/16"]}, "azure": self::azure(),
        });
        let problems = declared("cluster", spec).unwrap_err();
        let told: Vec<_> = problems.iter().map(|it| it.path.to_string()).collect();
        assert_eq!(
            told,
            [
                "spec.azure.systemSubnet.podCidr",
                "spec.azure.sharedSubnets[0].podCidr",
                "spec.azure.nodeProvisioning"
            ]
        );
    }

    #[test]
    fn what_is_wrong_with_services_and_destinations_is_told() {
        let service = |name: &str, peer: serde_json::Value| json!({"name": name, "direction": "Both", "peers": [peer]});
        let problems = declared(
            "cluster",
            json!({
                "sharedServices": [
                    service("dapr", json!({"nodes": true})),
                    service("one", json!({})),
                    service("one", json!({"cidrs": ["10.1.8.1/24"]})),
                    service("Two", json!({"namespaceSelector": {"matchLabels": {}}})),
                    service("three", json!({"nodes": true, "podSelector": {"matchLabels": {"a": "b"}}})),
                ],
                "presets": ["dapr"],
                "destinations": [{"name": "db", "owner": " ", "cidrs": ["db"]}],
            }),
        );
        let problems = problems.unwrap_err();
        let told: Vec<_> = problems.iter().map(|it| it.path.to_string()).collect();
        assert_eq!(
            told,
            [
                "spec.sharedServices[0].name",
                "spec.sharedServices[1].peers[0]",
                "spec.sharedServices[2].name",
                "spec.sharedServices[2].peers[0].cidrs[0]",
                "spec.sharedServices[3].name",
                "spec.sharedServices[3].peers[0].namespaceSelector.matchLabels",
                "spec.sharedServices[4].peers[0].podSelector",
                "spec.destinations[0].owner",
                "spec.destinations[0].cidrs[0]",
            ]
        );
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let problems = declared(
            "main",
            json!({
                "dns": {"extraAddresses": ["coredns"]},
                "access": {"clusterRoles": ["a/b"]},
                "network": {"podCidrs": ["10.244.0.1/16"], "serviceCidrs": ["10.0.0.10"]},
            }),
        );
        let told: Vec<_> = problems
            .unwrap_err()
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.value))
            .collect();
        assert_eq!(
            told,
            [
                "metadata.name: main",
                "spec.dns.extraAddresses[0]: coredns",
                "spec.access.clusterRoles[0]: a/b",
                "spec.network.podCidrs[0]: 10.244.0.1/16",
                "spec.network.serviceCidrs[0]: 10.0.0.10",
            ]
        );
    }
}
