//! From a validated landing zone to the objects that the cluster must hold. Pure: the operator and
//! the command line render with the same functions.

mod access;
mod address_range;
mod calico_rule;
#[cfg(test)]
mod fixture;
mod global_network_policy;
mod halves;
mod limit_range;
mod manifest;
mod metadata;
mod namespace;
mod network_policy;
mod placement;
mod policy_name;
mod resource_quota;
mod role_binding;
mod targets;
#[cfg(test)]
mod tests;
mod tier;

use k8s_openapi::api::core::v1::{LimitRange, Namespace, ResourceQuota};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding};

use crate::domain::{Flavour, LandingZone, NamespaceName, Platform, PolicyApi, Zone};
use crate::policy::{GlobalNetworkPolicy, Tier};
use targets::Targets;

pub use manifest::{ManifestError, manifests, tier_manifests};

/// Everything that one landing zone is made of, by kind. Whoever applies it takes it apart without
/// `..`, so that a new kind that nobody applies does not compile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// Calico policies; empty with Kubernetes policies. They come before the namespaces that they
    /// select, so that no window is open.
    pub global_network_policies: Vec<GlobalNetworkPolicy>,
    /// The namespaces.
    pub namespaces: Vec<Namespace>,
    /// Kubernetes policies; empty with Calico.
    pub network_policies: Vec<NetworkPolicy>,
    /// One for each namespace with a quota.
    pub resource_quotas: Vec<ResourceQuota>,
    /// One for each namespace with limits.
    pub limit_ranges: Vec<LimitRange>,
    /// One for each namespace and role with its subjects.
    pub role_bindings: Vec<RoleBinding>,
    /// The right to read this landing zone, for its access subjects.
    pub cluster_roles: Vec<ClusterRole>,
    /// Its binding.
    pub cluster_role_bindings: Vec<ClusterRoleBinding>,
}

/// A namespace that left the spec: the policies keep selecting it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// Its name.
    pub name: NamespaceName,
    /// Its zone when it left.
    pub zone: Zone,
}

/// Renders one landing zone.
///
/// Everything is sorted by namespace and name, and policies by their place in the evaluation; the
/// order of namespaces, access, flows, ports and tolerations in the declaration changes nothing. A
/// released namespace is selected by the policies and keeps its zone there; its other objects are
/// not rendered, so that nobody repairs them.
#[must_use]
pub fn landing_zone(
    zone: &LandingZone,
    released: &[Released],
    platform: &Platform,
    flavour: Flavour,
) -> Desired {
    let targets = Targets::new(zone, released);
    let (global_network_policies, network_policies) = match flavour.api {
        PolicyApi::CalicoV3 | PolicyApi::CalicoCrdV1 => (
            global_network_policy::global_network_policies(zone, &targets, platform, flavour),
            Vec::new(),
        ),
        PolicyApi::Kubernetes => (
            Vec::new(),
            network_policy::network_policies(zone, &targets, platform),
        ),
    };
    let mut declared: Vec<&crate::domain::Namespace> = zone.namespaces.iter().collect();
    declared.sort_by(|one, other| one.name.cmp(&other.name));
    Desired {
        global_network_policies,
        namespaces: declared
            .iter()
            .map(|namespace| namespace::namespace(zone, namespace))
            .collect(),
        network_policies,
        resource_quotas: declared
            .iter()
            .filter_map(|namespace| resource_quota::resource_quota(zone, namespace))
            .collect(),
        limit_ranges: declared
            .iter()
            .filter_map(|namespace| limit_range::limit_range(zone, namespace))
            .collect(),
        role_bindings: declared
            .iter()
            .flat_map(|namespace| role_binding::role_bindings(zone, namespace))
            .collect(),
        cluster_roles: access::reader_role(zone).into_iter().collect(),
        cluster_role_bindings: access::reader_binding(zone).into_iter().collect(),
    }
}

/// The tiers that the policies of all landing zones share; none without tiers.
#[must_use]
pub fn tiers(flavour: Flavour) -> Vec<Tier> {
    if tier::used(flavour) {
        tier::all()
    } else {
        Vec::new()
    }
}
