//! From the signs that a cluster shows to the flavour of its policies. Pure.

use std::collections::BTreeSet;

use super::azure::{AzureDefinition, AzureDefinitions};
use crate::domain::{AzureKind, AzureVersions, CalicoNaming, Flavour, PolicyApi};

/// Endings of the names of custom resource definitions that say something about policies.
pub const FLAVOUR_SIGNS: &[&str] = &[".projectcalico.org", ".cilium.io", ".antrea.io"];
/// The ending of those of the cluster's administrators' policies, which say nothing about who enforces them.
pub const ADMINISTRATORS_POLICIES: &str = ".policy.networking.k8s.io";

/// What the cluster shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFacts {
    /// Names of the custom resource definitions that end in one of [`FLAVOUR_SIGNS`], or in
    /// [`ADMINISTRATORS_POLICIES`].
    pub definitions: BTreeSet<String>,
    /// Whether a Service answers for the `APIService` `v3.projectcalico.org`: Calico's own API
    /// server. While it does not, the storage behind it takes the same policies.
    pub aggregated_v3: bool,
    /// `spec.calicoVersion` of the `ClusterInformation` named default.
    pub calico_version: Option<String>,
    /// The kinds of Azure Service Operator.
    pub azure: AzureDefinitions,
}

/// Why nothing can be written for Azure Service Operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAzure {
    /// These kinds are not there, by name.
    Missing(Vec<&'static str>),
    /// They are there, and cannot be used: a phrase each.
    Unfit(Vec<String>),
}

/// Who puts network policies into effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// Calico, through its own kinds.
    Calico,
    /// A plugin that knows Kubernetes policies only, as far as the operator can tell.
    KubernetesPolicies,
    /// Nothing that the operator knows.
    Unknown,
}

impl ClusterFacts {
    /// The flavour in which policies are written.
    #[must_use]
    pub fn flavour(&self) -> Flavour {
        let has = |name: &str| self.definitions.contains(name);
        let stored = has("globalnetworkpolicies.crd.projectcalico.org");
        let stages = |group: &str| has(&format!("stagedglobalnetworkpolicies.{group}"));
        let (api, tiers) = if self.aggregated_v3 && stored {
            (PolicyApi::CalicoV3, has("tiers.crd.projectcalico.org"))
        } else if has("globalnetworkpolicies.projectcalico.org") {
            // They came with 3.32, which stores policies under their own name.
            return Flavour {
                api: PolicyApi::CalicoV3,
                tiers: has("tiers.projectcalico.org"),
                staged: has("tiers.projectcalico.org") && stages("projectcalico.org"),
                naming: CalicoNaming::Plain,
            };
        } else if stored {
            (PolicyApi::CalicoCrdV1, has("tiers.crd.projectcalico.org"))
        } else {
            return Flavour::KUBERNETES;
        };
        Flavour {
            api,
            tiers,
            staged: tiers && stages("crd.projectcalico.org"),
            naming: self.naming(),
        }
    }

    /// In which versions objects of Azure Service Operator are written, of these kinds.
    ///
    /// # Errors
    /// Where they cannot be.
    pub fn azure_versions(&self, kinds: &[AzureKind]) -> Result<AzureVersions, NoAzure> {
        let definitions = kinds.iter().map(|kind| (*kind, self.azure.get(kind)));
        let definitions: Vec<_> = definitions.collect();
        let missing = definitions.iter().filter(|(_, it)| it.is_none());
        let missing: Vec<_> = missing.map(|(kind, _)| kind.definition()).collect();
        if !missing.is_empty() {
            return Err(NoAzure::Missing(missing));
        }
        let mut versions = std::collections::BTreeMap::new();
        let mut unfit = Vec::new();
        for (kind, definition) in definitions {
            match definition {
                Some(AzureDefinition::Serves(version)) => {
                    versions.insert(kind, version.clone());
                }
                Some(AzureDefinition::Unfit(why)) => unfit.push(why.clone()),
                None => {}
            }
        }
        AzureVersions::of(kinds, versions).ok_or(NoAzure::Unfit(unfit))
    }

    /// Who enforces.
    #[must_use]
    pub fn enforcement(&self) -> Enforcement {
        if self.flavour().api != PolicyApi::Kubernetes {
            return Enforcement::Calico;
        }
        let other = |ending: &&str| self.definitions.iter().any(|name| name.ends_with(*ending));
        if FLAVOUR_SIGNS.iter().any(other) {
            Enforcement::KubernetesPolicies
        } else {
            Enforcement::Unknown
        }
    }

    /// Group and version of Calico's pools of addresses; None where there are none. In front of Calico's
    /// storage its API server tells the same, and may be away.
    #[must_use]
    pub fn pools(&self) -> Option<(&'static str, &'static str)> {
        let has = |name: &str| self.definitions.contains(name);
        let stored = has("globalnetworkpolicies.crd.projectcalico.org");
        let is_aggregated = self.aggregated_v3 && stored;
        let is_native = self.flavour().api == PolicyApi::CalicoV3 && !is_aggregated;
        if is_native && has("ippools.projectcalico.org") {
            Some(("projectcalico.org", "v3"))
        } else if has("ippools.crd.projectcalico.org") {
            Some(("crd.projectcalico.org", "v1"))
        } else {
            None
        }
    }

    fn naming(&self) -> CalicoNaming {
        let version = self.calico_version.as_deref().and_then(minor_version);
        match version {
            // Calico's 3.32 stores policies under their own name; its kube-controllers rename
            // older ones.
            Some(version) if version >= (3, 32) => CalicoNaming::Plain,
            _ => CalicoNaming::TierPrefixed,
        }
    }
}

fn minor_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim_start_matches('v').split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn facts(definitions: &[&str], aggregated_v3: bool, version: Option<&str>) -> ClusterFacts {
        ClusterFacts {
            definitions: definitions.iter().map(|&name| name.to_owned()).collect(),
            aggregated_v3,
            calico_version: version.map(str::to_owned),
            azure: AzureDefinitions::new(),
        }
    }

    const GNP_V1: &str = "globalnetworkpolicies.crd.projectcalico.org";
    const TIERS_V1: &str = "tiers.crd.projectcalico.org";
    const GNP_V3: &str = "globalnetworkpolicies.projectcalico.org";
    const POOLS_V1: &str = "ippools.crd.projectcalico.org";
    const POOLS_V3: &str = "ippools.projectcalico.org";

    #[rstest]
    #[case::plain_cluster(&[], false, None, PolicyApi::Kubernetes, false)]
    #[case::aks_1_32(&[GNP_V1], false, Some("v3.28.5"), PolicyApi::CalicoCrdV1, false)]
    #[case::aks_1_34(&[GNP_V1, TIERS_V1], false, Some("v3.30.4"), PolicyApi::CalicoCrdV1, true)]
    #[case::api_server(&[GNP_V1, TIERS_V1], true, Some("v3.30.4"), PolicyApi::CalicoV3, true)]
    #[case::api_server_leftover(&[], true, None, PolicyApi::Kubernetes, false)]
    #[case::native(&[GNP_V3], false, Some("v3.32.0"), PolicyApi::CalicoV3, false)]
    fn flavour_follows_what_is_installed(
        #[case] definitions: &[&str],
        #[case] aggregated: bool,
        #[case] version: Option<&str>,
        #[case] api: PolicyApi,
        #[case] tiers: bool,
    ) {
        let flavour = facts(definitions, aggregated, version).flavour();
        assert_eq!((flavour.api, flavour.tiers), (api, tiers));
    }

    #[test]
    fn staged_policies_are_used_where_there_are_tiers_for_them() {
        const STAGED: &str = "stagedglobalnetworkpolicies.crd.projectcalico.org";
        assert!(
            facts(&[GNP_V1, TIERS_V1, STAGED], false, None)
                .flavour()
                .staged
        );
        assert!(
            facts(&[GNP_V1, TIERS_V1, STAGED], true, None)
                .flavour()
                .staged
        );
        assert!(!facts(&[GNP_V1, STAGED], false, None).flavour().staged);
        assert!(!facts(&[GNP_V1, TIERS_V1], false, None).flavour().staged);
    }

    #[rstest]
    #[case(None, CalicoNaming::TierPrefixed)]
    #[case(Some("v3.31.2"), CalicoNaming::TierPrefixed)]
    #[case(Some("v3.32.0"), CalicoNaming::Plain)]
    #[case(Some("v4.0.0"), CalicoNaming::Plain)]
    #[case(Some("master"), CalicoNaming::TierPrefixed)]
    fn names_follow_the_version(#[case] version: Option<&str>, #[case] naming: CalicoNaming) {
        assert_eq!(facts(&[GNP_V1], false, version).flavour().naming, naming);
    }

    #[rstest]
    #[case::no_calico(&[], false, None)]
    #[case::storage(&[GNP_V1, POOLS_V1], false, Some("crd.projectcalico.org"))]
    #[case::api_server(&[GNP_V1, POOLS_V1], true, Some("crd.projectcalico.org"))]
    #[case::native(&[GNP_V3, POOLS_V3], false, Some("projectcalico.org"))]
    #[case::native_over_old_storage(&[GNP_V1, POOLS_V1, GNP_V3, POOLS_V3], false, Some("projectcalico.org"))]
    #[case::policies_only(&[GNP_V1], false, None)]
    fn pools_are_read_where_they_are_stored(
        #[case] definitions: &[&str],
        #[case] aggregated: bool,
        #[case] group: Option<&str>,
    ) {
        let pools = facts(definitions, aggregated, None).pools();
        assert_eq!(pools.map(|(group, _)| group), group);
    }

    #[test]
    fn native_kinds_have_plain_names_whatever_the_version() {
        let flavour = facts(&[GNP_V3], false, None).flavour();
        assert_eq!(flavour.naming, CalicoNaming::Plain);
    }

    #[test]
    fn nothing_known_enforces_nothing() {
        assert_eq!(facts(&[], false, None).enforcement(), Enforcement::Unknown);
        let cilium = facts(&["ciliumnetworkpolicies.cilium.io"], false, None);
        assert_eq!(cilium.enforcement(), Enforcement::KubernetesPolicies);
        assert_eq!(
            facts(&[GNP_V1], false, None).enforcement(),
            Enforcement::Calico
        );
    }

    #[test]
    fn azure_is_written_where_every_kind_can_be() {
        let mut facts = facts(&[], false, None);
        let Err(NoAzure::Missing(missing)) = facts.azure_versions(&AzureKind::ALL) else {
            panic!("nothing is there");
        };
        assert_eq!(missing.len(), AzureKind::ALL.len());
        let served = AzureDefinition::Serves("v20250301".to_owned());
        facts.azure = AzureKind::ALL.map(|kind| (kind, served.clone())).into();
        let versions = facts.azure_versions(&AzureKind::ALL).unwrap();
        let pool = AzureKind::ManagedClustersAgentPool;
        assert_eq!(
            versions.api_version(pool),
            "containerservice.azure.com/v20250301"
        );
        facts
            .azure
            .insert(pool, AzureDefinition::Unfit("too old".to_owned()));
        let unfit = NoAzure::Unfit(vec!["too old".to_owned()]);
        assert_eq!(facts.azure_versions(&AzureKind::ALL), Err(unfit));
        facts.azure.remove(&pool);
        let missing = NoAzure::Missing(vec![pool.definition()]);
        assert_eq!(facts.azure_versions(&AzureKind::ALL), Err(missing));
    }
}
