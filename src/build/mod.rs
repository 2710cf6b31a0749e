//! From a validated landing zone to the objects that the cluster must hold. Pure: the operator and
//! the command line render with the same functions.

mod access;
mod address_range;
mod azure;
#[cfg(test)]
mod boundary;
mod calico_rule;
mod default_deny;
#[cfg(test)]
pub(crate) mod fixture;
mod global_network_policy;
mod halves;
mod limit_range;
mod manifest;
mod metadata;
mod namespace;
mod network_policy;
mod observe;
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

use crate::api::Stage;
use crate::domain::{
    Flavour, LandingZone, NamespaceName, Openings, Platform, PolicyApi, TeamPolicies, Zone,
};
use crate::policy::{GlobalNetworkPolicy, Tier};
use observe::Observed;
use targets::Targets;

pub use azure::{
    ApplicationProtocol, ApplicationRule, AzureResources, BicepError, KarpenterPool, Neighbours,
    OwnSubnet, Owner, Priorities, RuleCollection, RuleCollectionGroup, RuleNames,
    application_rules, azure_objects, bicep, comes_and_goes, landing_zone_azure,
    landing_zone_of_rule, platform_azure, read_application_rules, reconcile_policy,
    security_groups_govern_pods, system_security_group, terraform,
};
pub use default_deny::{
    DefaultDenyError, DefaultDenyPolicies, Undecided, default_deny, depends_on_others,
    observed_default_deny, stage_of,
};
pub use manifest::{ManifestError, default_deny_manifests, manifests, tier_manifests};
pub use policy_name::{denies, is_operators};

/// Everything that one landing zone is made of, by kind. Whoever applies it takes it apart without
/// `..`, so that a new kind that nobody applies does not compile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// Calico policies; empty with Kubernetes policies. They come before the namespaces that they
    /// select, so that no window is open.
    pub global_network_policies: Vec<GlobalNetworkPolicy>,
    /// Calico policies that only say what they would do; in stage Observe.
    pub staged_global_network_policies: Vec<GlobalNetworkPolicy>,
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

/// Renders one landing zone. `openings` is what [`crate::domain::resolve`] found to be open across its
/// boundary, and `teams` where others' policies decide, which matters in stage Observe only.
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
    openings: &Openings,
    teams: &TeamPolicies,
    flavour: Flavour,
) -> Desired {
    let targets = Targets::new(zone, released);
    if zone.stage == Stage::Observe {
        return observed(zone, &targets, platform, openings, teams, flavour);
    }
    let (global_network_policies, network_policies) = match flavour.api {
        PolicyApi::CalicoV3 | PolicyApi::CalicoCrdV1 => (
            global_network_policy::global_network_policies(
                zone, &targets, platform, openings, flavour,
            ),
            Vec::new(),
        ),
        PolicyApi::Kubernetes => (
            Vec::new(),
            network_policy::network_policies(zone, &targets, platform, openings),
        ),
    };
    let declared = sorted(zone);
    Desired {
        global_network_policies,
        staged_global_network_policies: Vec::new(),
        namespaces: namespaces(zone),
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

/// The namespaces of a landing zone with their labels, by name.
#[must_use]
pub fn namespaces(zone: &LandingZone) -> Vec<Namespace> {
    let declared = sorted(zone);
    let namespaces = declared
        .iter()
        .map(|namespace| namespace::namespace(zone, namespace));
    namespaces.collect()
}

/// Renders one landing zone that is on its way to its boundary: all of it but what denies packets, in
/// whose place stands what stage Observe has.
#[must_use]
pub fn entering_landing_zone(
    zone: &LandingZone,
    released: &[Released],
    platform: &Platform,
    openings: &Openings,
    teams: &TeamPolicies,
    flavour: Flavour,
) -> Desired {
    let mut desired = landing_zone(zone, released, platform, openings, teams, flavour);
    let targets = Targets::new(zone, released);
    let observed = observed(zone, &targets, platform, openings, teams, flavour);
    desired.global_network_policies = observed.global_network_policies;
    desired.staged_global_network_policies = observed.staged_global_network_policies;
    desired
}

/// Renders one landing zone that is observed: nothing that could deny anything is there.
fn observed(
    zone: &LandingZone,
    targets: &Targets,
    platform: &Platform,
    openings: &Openings,
    teams: &TeamPolicies,
    flavour: Flavour,
) -> Desired {
    let mut desired = Desired::default();
    if flavour.staged {
        let staged = global_network_policy::global_network_policies(
            zone, targets, platform, openings, flavour,
        );
        desired.staged_global_network_policies = staged.into_iter().map(staged_policy).collect();
    } else if flavour.api != PolicyApi::Kubernetes {
        let observed = Observed {
            zone,
            targets,
            platform,
            openings,
            teams,
        };
        desired.global_network_policies = observe::policies(observed, flavour);
    }
    desired.namespaces = namespaces(zone);
    for namespace in sorted(zone) {
        let bindings = role_binding::role_bindings(zone, namespace);
        desired.role_bindings.extend(bindings);
    }
    desired.cluster_roles.extend(access::reader_role(zone));
    desired
        .cluster_role_bindings
        .extend(access::reader_binding(zone));
    desired
}

fn staged_policy(mut policy: GlobalNetworkPolicy) -> GlobalNetworkPolicy {
    policy.spec.staged_action = Some("Set".to_owned());
    policy
}

fn sorted(zone: &LandingZone) -> Vec<&crate::domain::Namespace> {
    let mut declared: Vec<_> = zone.namespaces.iter().collect();
    declared.sort_by(|one, other| one.name.cmp(&other.name));
    declared
}

/// The tiers that policies of landing zones lie in, where there are tiers.
#[must_use]
pub fn own_tiers() -> Vec<Tier> {
    tier::all()
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
