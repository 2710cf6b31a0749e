//! What holds for the whole cluster: built-in values, what the operator was told, and what the
//! platform declares.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

pub use crate::api::rule::BUILT_IN_EXEMPT_NAMESPACES;

use super::{FieldPath, Problem};
use crate::api::{self, PlatformValues, rule};

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
            let path = path.key("network").key("podCidrs");
            let parse = |text: &str| parse_range(text).ok_or(rule::RANGE);
            let ranges: Vec<IpNet> = each(&network.pod_cidrs, &path, parse, &mut problems);
            if !ranges.is_empty() {
                platform.pod_cidrs = ranges;
            }
        }
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
        PlatformValues {
            pod_cidrs: texts(&self.pod_cidrs),
            dns_addresses: texts(&self.dns_addresses),
            cluster_roles: self.roles.iter().cloned().collect(),
        }
    }

    /// The values that a status told.
    #[must_use]
    pub fn of_values(values: &PlatformValues) -> Self {
        let nets = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Self {
            pod_cidrs: nets(&values.pod_cidrs),
            dns_addresses: nets(&values.dns_addresses),
            roles: values.cluster_roles.iter().cloned().collect(),
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

fn parse_range(text: &str) -> Option<IpNet> {
    let range: IpNet = text.parse().ok()?;
    (range == range.trunc()).then_some(range)
}

fn parse_address(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.into()),
        Err(_) => parse_range(text),
    }
}

fn parse_role(text: &str) -> Option<String> {
    let is_name = !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '%']);
    is_name.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn declared(name: &str, spec: serde_json::Value) -> Result<Platform, Vec<Problem>> {
        let told = Platform {
            pod_cidrs: vec!["10.1.0.0/16".parse().unwrap()],
            dns_addresses: vec!["169.254.20.10".parse::<IpAddr>().unwrap().into()],
            roles: ["view", "edit", "admin", "told"].map(str::to_owned).into(),
        };
        let spec = serde_json::from_value(spec).unwrap();
        told.declared(&api::LandingZonePlatform::new(name, spec))
    }

    #[test]
    fn what_is_left_out_stays() {
        let values = declared("cluster", json!({})).unwrap().values();
        assert_eq!(values.pod_cidrs, ["10.1.0.0/16"]);
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
            }),
        );
        let values = platform.unwrap().values();
        assert_eq!(values.pod_cidrs, ["10.244.0.0/16", "fd00::/48"]);
        let caches = ["169.254.20.10/32", "169.254.10.10/32", "fd00:1::/64"];
        assert_eq!(values.dns_addresses, caches);
        assert_eq!(values.cluster_roles, ["deployer", "told", "view"]);
        assert_eq!(Platform::of_values(&values).values(), values);
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let problems = declared(
            "main",
            json!({
                "dns": {"extraAddresses": ["coredns"]},
                "access": {"clusterRoles": ["a/b"]},
                "network": {"podCidrs": ["10.244.0.1/16"]},
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
            ]
        );
    }
}
