//! What one landing zone renders to, by object, ready to be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::compare::{Content, Digest, digest_of};
use super::kind::{Kind, ObjectKey};
use super::packed::Packed;
use crate::build::{self, DefaultDenyPolicies, Neighbours, Priorities, Released};
use crate::domain::{AzureVersions, Flavour, LandingZone, Openings, Platform, TeamPolicies};
use crate::policy::GlobalNetworkPolicy;

/// One object as it must be.
#[derive(Clone, Debug)]
pub struct Target {
    /// Which object.
    pub key: ObjectKey,
    /// The whole manifest.
    pub object: Packed,
    /// Digest of the part that is ours.
    pub digest: Digest,
}

/// Objects as they must be, in the order in which they are applied.
#[derive(Clone, Debug)]
pub struct Targets {
    all: Vec<Target>,
    /// Digest of all of them.
    pub digest: Digest,
    /// Their positions in the order of their keys: less than another copy of each key.
    by_key: Box<[usize]>,
}

impl Targets {
    /// These, in their order.
    #[must_use]
    pub fn new(all: Vec<Target>) -> Self {
        let digests: BTreeMap<_, _> = all
            .iter()
            .map(|target| (target.key.to_string(), target.digest.to_string()))
            .collect();
        let mut by_key: Box<[usize]> = (0..all.len()).collect();
        by_key.sort_by(|one, other| all[*one].key.cmp(&all[*other].key));
        Self {
            digest: digest_of(&digests),
            by_key,
            all,
        }
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Target> {
        self.all.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The target of that key.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<&Target> {
        let key_at = |position: &usize| &self.all[*position].key;
        let place = self
            .by_key
            .binary_search_by(|it| key_at(it).cmp(key))
            .ok()?;
        self.all.get(self.by_key[place])
    }

    /// Keys of all of them.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<ObjectKey> {
        self.all.iter().map(|target| target.key.clone()).collect()
    }
}

/// None.
impl Default for Targets {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<'a> IntoIterator for &'a Targets {
    type Item = &'a Target;
    type IntoIter = std::slice::Iter<'a, Target>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Everything that one landing zone renders to.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The landing zone, without the namespaces that are withheld from it. While an edit is invalid, this is what is kept in
    /// order.
    pub zone: Arc<LandingZone>,
    /// The objects.
    pub targets: Targets,
    /// Digest of all of them.
    pub digest: Digest,
    /// The objects of Azure Service Operator and Karpenter; none where they cannot be written.
    pub azure: Targets,
    /// What Azure would refuse of them, a sentence each.
    pub azure_faults: Vec<String>,
    /// What it was rendered from.
    pub source: Source,
}

/// What a rendering depends on: the same source renders to the same objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// UID and generation of the declaration.
    pub declaration: (Option<String>, Option<i64>),
    /// Flavour of the policies.
    pub flavour: Flavour,
    /// What holds for the whole cluster.
    pub platform: Arc<Platform>,
    /// Namespaces that are withheld, by name.
    pub withheld: BTreeSet<String>,
    /// Namespaces that left the declaration.
    pub released: Vec<Released>,
    /// What is open across the boundary.
    pub openings: Openings,
    /// Where others' policies decide; known where it is observed.
    pub teams: TeamPolicies,
    /// Whether it is on its way to its boundary, and only observed so far.
    pub is_entering: bool,
    /// What the half in Azure depends on besides; None where it cannot be written.
    pub azure: Option<AzureSource>,
}

/// What the half in Azure depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct AzureSource {
    /// In which versions it is written.
    pub versions: AzureVersions,
    /// What others own there.
    pub neighbours: Arc<Neighbours>,
    /// Priorities of rules as they are.
    pub before: Priorities,
}

/// Rendering failed; a defect, since validated values render.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// An object does not serialise.
    #[error(transparent)]
    Manifest(#[from] build::ManifestError),
    /// An object has no known kind or no name.
    #[error("rendered an object without a known kind and name: {0}")]
    Unknown(String),
    /// A policy fails our validation, which is Felix's: Felix would drop it without a word.
    #[error("rendered a policy that Calico would drop: {0}")]
    InvalidPolicy(String),
}

impl Rendered {
    /// Renders a landing zone.
    ///
    /// # Errors
    /// Only where rendering itself is wrong.
    pub fn of(mut zone: LandingZone, source: Source) -> Result<Self, RenderError> {
        // A policy must never select a namespace that is somebody else's.
        zone.namespaces
            .retain(|namespace| !source.withheld.contains(namespace.name.as_str()));
        let flavour = source.flavour;
        let build = if source.is_entering {
            build::entering_landing_zone
        } else {
            build::landing_zone
        };
        let desired = build(
            &zone,
            &source.released,
            &source.platform,
            &source.openings,
            &source.teams,
            flavour,
        );
        check(&desired.global_network_policies, flavour)?;
        check(&desired.staged_global_network_policies, flavour)?;
        let targets = Targets::new(targets(build::manifests(&desired, flavour)?, flavour)?);
        let (azure, azure_faults) = azure(&zone, &source)?;
        Ok(Self {
            zone: Arc::new(zone),
            digest: targets.digest,
            targets,
            azure: Targets::new(azure),
            azure_faults,
            source,
        })
    }

    /// The target of that key.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<&Target> {
        if key.kind.is_azure() {
            self.azure.get(key)
        } else {
            self.targets.get(key)
        }
    }

    /// Keys of all targets in the cluster.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<ObjectKey> {
        self.targets.keys()
    }
}

/// The objects of Azure Service Operator and Karpenter, and what Azure would refuse of them.
fn azure(zone: &LandingZone, source: &Source) -> Result<(Vec<Target>, Vec<String>), RenderError> {
    let platform = &source.platform;
    let (Some(depends), Some(azure)) = (&source.azure, &platform.azure) else {
        return Ok(<_>::default());
    };
    let resources = build::landing_zone_azure(
        zone,
        platform,
        &source.openings,
        &depends.neighbours,
        &depends.before,
    );
    let owner = build::Owner::landing_zone(zone);
    let objects = build::azure_objects(&resources, azure, &depends.versions, &owner);
    Ok((targets(objects, source.flavour)?, resources.faults()))
}

/// The policies of the default deny, as targets; those that open come first.
///
/// # Errors
/// Only where rendering itself is wrong.
pub fn default_deny(
    policies: &DefaultDenyPolicies,
    flavour: Flavour,
) -> Result<Targets, RenderError> {
    let DefaultDenyPolicies {
        opening,
        closing,
        staged,
    } = policies;
    check(opening, flavour)?;
    check(closing, flavour)?;
    check(staged, flavour)?;
    let manifests = build::default_deny_manifests(policies, flavour)?;
    Ok(Targets::new(targets(manifests, flavour)?))
}

/// What the platform owns in Azure, as targets.
///
/// # Errors
/// Only where rendering itself is wrong.
pub fn platform_azure(objects: Vec<Value>, flavour: Flavour) -> Result<Targets, RenderError> {
    Ok(Targets::new(targets(objects, flavour)?))
}

fn check(policies: &[GlobalNetworkPolicy], flavour: Flavour) -> Result<(), RenderError> {
    for policy in policies {
        let problems = policy.validate(flavour);
        if let Some(problem) = problems.first() {
            let name = policy.metadata.name.as_deref().unwrap_or_default();
            return Err(RenderError::InvalidPolicy(format!("{name}: {problem}")));
        }
    }
    Ok(())
}

/// The tiers that all landing zones share, as targets.
///
/// # Errors
/// Only where rendering itself is wrong.
pub fn tiers(flavour: Flavour) -> Result<Vec<Target>, RenderError> {
    targets(
        build::tier_manifests(&build::tiers(flavour), flavour)?,
        flavour,
    )
}

fn targets(manifests: Vec<Value>, flavour: Flavour) -> Result<Vec<Target>, RenderError> {
    manifests
        .into_iter()
        .map(|object| target(&object, flavour))
        .collect()
}

fn target(object: &Value, flavour: Flavour) -> Result<Target, RenderError> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").and_then(Kind::of_name);
    let (Some(kind), Some(name)) = (kind, text("/metadata/name")) else {
        return Err(RenderError::Unknown(object.to_string()));
    };
    let namespace = text("/metadata/namespace");
    let key = ObjectKey::of_served(kind, namespace, name, flavour);
    let digest = match kind {
        // Of a namespace single labels and annotations are ours.
        Kind::Namespace => digest_of(&[
            object.pointer("/metadata/labels"),
            object.pointer("/metadata/annotations"),
        ]),
        _ => Content::digest_of(kind, object),
    };
    Ok(Target {
        key,
        object: Packed::from(object),
        digest,
    })
}
