//! In which form a cluster takes policies, as flags say it.

use clap::{Args, ValueEnum};
use thiserror::Error;

use crate::domain::{CalicoNaming, Flavour, PolicyApi};

/// What the cluster takes.
#[derive(Args, Clone, Debug)]
pub(super) struct FlavourArgs {
    /// API that takes the policies in your cluster
    #[arg(long, value_enum, default_value_t = FlavourName::Crd)]
    flavour: FlavourName,

    /// Whether Calico's tiers are used [default: true from Calico 3.29 on]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    tiers: Option<bool>,

    /// Version of Calico in your cluster; it decides how policies are named
    #[arg(long, value_name = "X.Y", default_value = "3.31")]
    calico_version: CalicoVersion,
}

/// An API that takes policies, by its short name.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum FlavourName {
    /// projectcalico.org/v3: Calico's API server, or its native CRDs
    V3,
    /// crd.projectcalico.org/v1: what AKS offers by default
    Crd,
    /// networking.k8s.io/v1: no Calico; weaker
    Kubernetes,
}

/// A version of Calico, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CalicoVersion {
    major: u32,
    minor: u32,
}

impl CalicoVersion {
    /// The first version with tiers in open source.
    const TIERS: Self = Self::new(3, 29);
    /// The first version with staged policies in open source.
    const STAGED: Self = Self::new(3, 30);
    /// The first version whose storage names policies plainly.
    const PLAIN_NAMES: Self = Self::new(3, 32);

    const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl std::str::FromStr for CalicoVersion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "not a version like 3.31 or v3.31.2";
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or(RULE);
        let version = Self::new(number()?, number()?);
        // A patch release may follow, and is of no consequence.
        match (parts.next().map(str::parse::<u32>), parts.next()) {
            (None | Some(Ok(_)), None) => Ok(version),
            _ => Err(RULE),
        }
    }
}

/// The flags contradict each other.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum FlavourError {
    #[error(
        "--tiers=true needs Calico 3.29 or later: raise --calico-version, or leave --tiers out"
    )]
    NoTiersYet,
    #[error("--tiers=true needs a flavour of Calico: Kubernetes policies know no tiers")]
    NoTiersInKubernetes,
}

impl FlavourArgs {
    /// The form that the flags mean.
    pub(super) fn flavour(&self) -> Result<Flavour, FlavourError> {
        let api = match self.flavour {
            FlavourName::V3 => PolicyApi::CalicoV3,
            FlavourName::Crd => PolicyApi::CalicoCrdV1,
            FlavourName::Kubernetes if self.tiers == Some(true) => {
                return Err(FlavourError::NoTiersInKubernetes);
            }
            FlavourName::Kubernetes => return Ok(Flavour::KUBERNETES),
        };
        let tiers_exist = self.calico_version >= CalicoVersion::TIERS;
        if self.tiers == Some(true) && !tiers_exist {
            return Err(FlavourError::NoTiersYet);
        }
        Ok(Flavour {
            api,
            tiers: self.tiers.unwrap_or(tiers_exist),
            staged: self.tiers.unwrap_or(tiers_exist)
                && self.calico_version >= CalicoVersion::STAGED,
            naming: if self.calico_version >= CalicoVersion::PLAIN_NAMES {
                CalicoNaming::Plain
            } else {
                CalicoNaming::TierPrefixed
            },
        })
    }
}
