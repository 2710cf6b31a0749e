//! The form in which policies can be written in a cluster.

use std::fmt;

/// Which API takes our policies, and how it wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flavour {
    /// The API that takes the policies.
    pub api: PolicyApi,
    /// Whether Calico's tiers exist (3.29 and later).
    pub tiers: bool,
    /// Whether Calico's staged policies exist (3.30 and later), which say what they would do.
    pub staged: bool,
    /// How Calico stores the names of policies; of no consequence with Kubernetes policies.
    pub naming: CalicoNaming,
}

/// An API that takes network policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyApi {
    /// `projectcalico.org/v3`: Calico's aggregated API server, or its native CRDs.
    CalicoV3,
    /// `crd.projectcalico.org/v1`: Calico's storage, all that a default AKS cluster offers. Nothing
    /// validates what is written there.
    CalicoCrdV1,
    /// `networking.k8s.io/v1`: no Calico kinds.
    Kubernetes,
}

/// How `crd.projectcalico.org/v1` names a policy of tier default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CalicoNaming {
    /// Up to 3.31: `default.<name>`.
    TierPrefixed,
    /// From 3.32: the name itself.
    Plain,
}

/// What Calico's storage puts before the name of a policy of tier default.
const DEFAULT_TIER: &str = "default.";

impl Flavour {
    /// Kubernetes policies only.
    pub const KUBERNETES: Self = Self {
        api: PolicyApi::Kubernetes,
        tiers: false,
        staged: false,
        naming: CalicoNaming::Plain,
    };

    /// Whether Calico's API server calls a policy of tier default otherwise than its storage does.
    #[must_use]
    pub fn renames(self) -> bool {
        self.api == PolicyApi::CalicoV3 && self.naming == CalicoNaming::TierPrefixed
    }

    /// The name in Calico's storage of a policy that this flavour's API calls `served`. It is what
    /// the API server and the storage agree on, so it is the name of the object.
    #[must_use]
    pub fn name_in_storage(self, served: &str) -> String {
        // With a dot in it, the name tells its tier already.
        if self.renames() && !served.contains('.') {
            format!("{DEFAULT_TIER}{served}")
        } else {
            served.to_owned()
        }
    }

    /// The name under which this flavour's API serves a policy: the reverse of
    /// [`Self::name_in_storage`].
    #[must_use]
    pub fn name_served(self, stored: &str) -> &str {
        match stored.strip_prefix(DEFAULT_TIER) {
            Some(served) if self.renames() => served,
            _ => stored,
        }
    }
}

impl fmt::Display for PolicyApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CalicoV3 => "projectcalico.org/v3",
            Self::CalicoCrdV1 => "crd.projectcalico.org/v1",
            Self::Kubernetes => "networking.k8s.io/v1",
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::served(
        PolicyApi::CalicoV3,
        CalicoNaming::TierPrefixed,
        "shop",
        "default.shop"
    )]
    #[case::in_a_tier(
        PolicyApi::CalicoV3,
        CalicoNaming::TierPrefixed,
        "own.shop",
        "own.shop"
    )]
    #[case::plain(PolicyApi::CalicoV3, CalicoNaming::Plain, "shop", "shop")]
    #[case::direct(
        PolicyApi::CalicoCrdV1,
        CalicoNaming::TierPrefixed,
        "default.shop",
        "default.shop"
    )]
    fn names_lead_to_the_storage_and_back(
        #[case] api: PolicyApi,
        #[case] naming: CalicoNaming,
        #[case] served: &str,
        #[case] stored: &str,
    ) {
        let flavour = Flavour {
            api,
            tiers: false,
            staged: false,
            naming,
        };
        assert_eq!(flavour.name_in_storage(served), stored);
        assert_eq!(flavour.name_served(stored), served);
    }
}
