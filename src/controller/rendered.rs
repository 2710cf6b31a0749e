//! What one landing zone renders to, by object, ready to be compared.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::compare::{Content, Digest, digest_of};
use super::kind::{Kind, ObjectKey};
use crate::build::{self, Released};
use crate::domain::{Flavour, LandingZone, Platform};

/// One object as it must be.
#[derive(Clone, Debug)]
pub struct Target {
    /// Which object.
    pub key: ObjectKey,
    /// The whole manifest.
    pub object: Value,
    /// Digest of the part that is ours.
    pub digest: Digest,
}

/// Everything that one landing zone renders to.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The landing zone, without the namespaces that are withheld from it.
    pub zone: LandingZone,
    /// The objects, in the order in which they are applied.
    pub targets: Vec<Target>,
    /// Digest of all of them.
    pub digest: Digest,
    /// What it was rendered from.
    pub source: Source,
    index: HashMap<ObjectKey, usize>,
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
        let desired = build::landing_zone(&zone, &source.released, &source.platform, flavour);
        for policy in &desired.global_network_policies {
            let problems = policy.validate(flavour);
            if let Some(problem) = problems.first() {
                let name = policy.metadata.name.as_deref().unwrap_or_default();
                return Err(RenderError::InvalidPolicy(format!("{name}: {problem}")));
            }
        }
        let targets = targets(build::manifests(&desired, flavour)?, flavour)?;
        let all: BTreeMap<_, _> = targets
            .iter()
            .map(|target| (target.key.to_string(), target.digest.to_string()))
            .collect();
        let index = targets
            .iter()
            .enumerate()
            .map(|(position, target)| (target.key.clone(), position))
            .collect();
        Ok(Self {
            zone,
            digest: digest_of(&json!(all)),
            source,
            index,
            targets,
        })
    }

    /// The target of that key.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<&Target> {
        self.targets.get(*self.index.get(key)?)
    }

    /// Keys of all targets.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<ObjectKey> {
        self.index.keys().cloned().collect()
    }
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
        .map(|object| target(object, flavour))
        .collect()
}

fn target(object: Value, flavour: Flavour) -> Result<Target, RenderError> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let kind =
        text("/kind").and_then(|name| Kind::ALL.into_iter().find(|kind| kind.name() == name));
    let (Some(kind), Some(name)) = (kind, text("/metadata/name")) else {
        return Err(RenderError::Unknown(object.to_string()));
    };
    let namespace = text("/metadata/namespace").map(str::to_owned);
    let key = ObjectKey::of_served(kind, namespace, name, flavour);
    let digest = match kind {
        // Of a namespace single labels and annotations are ours.
        Kind::Namespace => digest_of(&json!([
            object.pointer("/metadata/labels"),
            object.pointer("/metadata/annotations"),
        ])),
        _ => Content::of(kind, &object).digest(),
    };
    Ok(Target {
        key,
        object,
        digest,
    })
}
