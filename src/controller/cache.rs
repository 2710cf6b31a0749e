//! What the operator knows of the cluster: for every owned object as much as the comparison needs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::core::ApiResource;
use serde_json::Value;

use super::azure::AzureState;
use super::calico_metadata;
use super::compare::{Content, Digest, keys_held};
use super::kind::{Kind, ObjectKey};
use super::packed::Packed;
use super::rendered::Target;
use crate::api::names::{MANAGER, OWNER, PLATFORM};
use crate::domain::{AzureKind, Flavour, PLATFORM_NAME};
use crate::policy::LabelMap;

/// The owner of what belongs to the platform as a whole. No landing zone can be called so.
pub const PLATFORM_OWNER: &str = PLATFORM;

/// One object as it was last observed.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they say different things about it"
)]
pub struct Observed {
    /// Its UID, a precondition of deletion.
    pub uid: String,
    /// Its resource version, a precondition of every change.
    pub resource_version: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The landing zone that its ownership label names, or [`PLATFORM_OWNER`].
    pub owner: Option<String>,
    /// Whether the operator wrote the ownership label and still holds it.
    pub labelled_by_us: bool,
    /// Whether our field manager appears among those that wrote the object.
    pub written_by_us: bool,
    /// Whether Calico's API server keeps its labels in an annotation, which we see because we look at
    /// its storage.
    pub kept_by_calico: bool,
    /// The labels of a namespace; of other objects only those are known that are in [`Self::object`].
    pub labels: Arc<LabelMap>,
    /// Digest of the part that is ours.
    pub digest: Digest,
    /// The object itself, kept only while it is not known to be as declared: what was different,
    /// and who wrote it, is told from here. Always kept for namespaces (metadata only).
    pub object: Option<Packed>,
    /// What Azure Service Operator says of one of its objects.
    pub azure: Option<Arc<AzureState>>,
}

impl Observed {
    /// Reads an object as the API server sent it.
    #[must_use]
    pub fn of(kind: Kind, object: Value) -> Option<Self> {
        let object = calico_metadata::with_labels(kind, object);
        let mut observed = Self::digested(kind, &object)?;
        observed.keep(&object);
        Some(observed)
    }

    /// Reads an object with its labels (see [`calico_metadata::with_labels`]), of which nothing but the digest is kept unless
    /// somebody says so: most are as they are declared, and packing them takes longer than all the rest.
    #[must_use]
    pub fn digested(kind: Kind, object: &Value) -> Option<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let labels = object.pointer("/metadata/labels");
        let label = |key: &str| labels.and_then(|labels| labels.get(key)?.as_str());
        // With both labels it is the platform's, which takes the other off.
        let is_platforms =
            kind.ownership_labels().contains(&PLATFORM) && label(PLATFORM) == Some(PLATFORM_NAME);
        let (key, owner) = if is_platforms {
            (PLATFORM, Some(PLATFORM_OWNER))
        } else {
            (OWNER, label(OWNER))
        };
        let owner = owner.map(str::to_owned);
        Some(Self {
            uid: text("/metadata/uid")?.to_owned(),
            resource_version: text("/metadata/resourceVersion")?.to_owned(),
            deleting: text("/metadata/deletionTimestamp").is_some(),
            labelled_by_us: owner.is_some() && keys_held(object, "labels").contains(key),
            owner,
            written_by_us: written_by_us(object),
            kept_by_calico: calico_metadata::is_there(object),
            labels: match kind {
                Kind::Namespace => labels_of(labels),
                _ => Arc::default(),
            },
            digest: Content::digest_of(kind, object),
            object: None,
            azure: kind.is_azure().then(|| Arc::new(AzureState::of(object))),
        })
    }

    /// Keeps the object itself, which it was read from.
    pub fn keep(&mut self, object: &Value) {
        self.object = Some(Packed::from(object));
    }

    /// Whether the digest is enough where it is as declared. One that Calico's API server wrote is kept: to change it in the
    /// storage takes more. Of a namespace others look at more than what is declared.
    #[must_use]
    pub fn is_told_by_digest(&self, kind: Kind) -> bool {
        kind != Kind::Namespace && !self.kept_by_calico
    }

    /// Keeps no more than the digest of what nobody declares, nor of what is larger than anything that
    /// the operator writes: people with rights in a single namespace must not fill the memory.
    pub fn bound(&mut self, may_be_declared: bool) {
        let fits = |object: &Packed| object.size() <= LARGEST_KEPT;
        if !may_be_declared || !self.object.as_ref().is_some_and(fits) {
            self.object = None;
        }
    }
}

/// Whether our field manager appears among those that wrote an object.
#[must_use]
pub fn written_by_us(object: &Value) -> bool {
    let entries = object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    let mut entries = entries.into_iter().flatten();
    entries.any(|entry| entry.get("manager").and_then(Value::as_str) == Some(MANAGER))
}

fn labels_of(labels: Option<&Value>) -> Arc<LabelMap> {
    let labels = labels.and_then(Value::as_object).into_iter().flatten();
    let labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    Arc::new(labels.collect())
}

/// The largest object in a namespace that is kept whole, in bytes of JSON: many times what the operator writes.
const LARGEST_KEPT: usize = 64 * 1024;

/// All observed objects, by kind, and which kinds were listed completely.
#[derive(Debug, Default)]
pub struct Objects {
    /// By kind first, so that what concerns one kind looks at no other.
    entries: BTreeMap<ObjectKey, Entry>,
    /// Owner label → keys, so that pruning finds what a landing zone holds.
    by_owner: BTreeMap<String, BTreeSet<ObjectKey>>,
    synced: BTreeSet<Kind>,
    /// The flavour whose kinds are watched.
    watched: Option<Flavour>,
    /// Where Azure Service Operator's kinds are watched; none while they are not.
    azure: Vec<(Kind, ApiResource)>,
    /// Counts observations.
    clock: u64,
    /// When the list under way began, by kind.
    listing: HashMap<Kind, u64>,
}

#[derive(Debug)]
struct Entry {
    observed: Observed,
    /// The observation that last saw it.
    seen: u64,
    /// Whose it was before a write of ours gave it to another landing zone, until the watch has seen that
    /// and told the former owner.
    former_owner: Option<String>,
}

impl Objects {
    /// The object of that key.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<&Observed> {
        self.entries.get(key).map(|entry| &entry.observed)
    }

    /// Everything that carries the ownership label of that landing zone, in order of the keys.
    pub fn owned_by(&self, owner: &str) -> impl Iterator<Item = (&ObjectKey, &Observed)> {
        self.by_owner
            .get(owner)
            .into_iter()
            .flatten()
            .filter_map(|key| Some((key, self.get(key)?)))
    }

    /// All namespaces, by name.
    pub fn namespaces(&self) -> impl Iterator<Item = (&str, &Observed)> {
        let namespaces = self.of_kind(Kind::Namespace);
        namespaces.map(|(key, found)| (&*key.name, found))
    }

    /// All objects of a kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&ObjectKey, &Observed)> {
        let of_kind = self.entries_of(kind);
        of_kind.map(|(key, entry)| (key, &entry.observed))
    }

    fn entries_of(&self, kind: Kind) -> impl Iterator<Item = (&ObjectKey, &Entry)> {
        let from = self.entries.range(ObjectKey::first_of(kind)..);
        from.take_while(move |(key, _)| key.kind == kind)
    }

    /// Whether a namespace bears that ownership label, or none though the operator wrote it: then it
    /// may have lost that one, unless `is_anothers` says so of its name and UID.
    #[must_use]
    pub fn any_namespace_of(&self, owner: &str, is_anothers: impl Fn(&str, &str) -> bool) -> bool {
        let may_be_its = |(name, found): (&str, &Observed)| {
            if let Some(other) = &found.owner {
                return other == owner;
            }
            found.written_by_us && !is_anothers(name, &found.uid)
        };
        self.namespaces().any(may_be_its)
    }

    /// Whether what is held is of this flavour's kinds, and each of them was listed completely.
    #[must_use]
    pub fn are_synced(&self, flavour: Flavour) -> bool {
        self.watched == Some(flavour)
            && Kind::ALL
                .into_iter()
                .filter(|kind| kind.api_resource(flavour).is_some())
                .all(|kind| self.synced.contains(&kind))
    }

    /// From now on this flavour's kinds are watched; of those in `changed`, nothing is known yet.
    pub fn watch(&mut self, flavour: Flavour, changed: &[Kind]) {
        for kind in changed {
            self.unwatch(*kind);
        }
        self.watched = Some(flavour);
    }

    /// From now on these kinds of Azure Service Operator's and Karpenter's are watched; nothing is known of them yet.
    pub fn watch_azure(&mut self, resources: Vec<(Kind, ApiResource)>) {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_azure()) {
            self.unwatch(kind);
        }
        self.azure = resources;
    }

    /// Whether these kinds of Azure Service Operator's and Karpenter's are watched, and each of them was listed completely.
    #[must_use]
    pub fn is_azure_synced(&self, kinds: &[AzureKind]) -> bool {
        kinds.iter().map(|kind| Kind::Azure(*kind)).all(|kind| {
            self.azure.iter().any(|(known, _)| *known == kind) && self.synced.contains(&kind)
        })
    }

    /// Where a kind is served.
    #[must_use]
    pub fn resource(&self, kind: Kind, flavour: Flavour) -> Option<ApiResource> {
        let mut azure = self.azure.iter();
        match azure.find(|(known, _)| *known == kind) {
            Some((_, resource)) => Some(resource.clone()),
            None => kind.api_resource(flavour),
        }
    }

    /// How many objects are held, by kind.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.entries_of(kind).count()
    }

    /// Takes in an observation, unless a later one is there already. Returns what was there before,
    /// or the observation itself where it came too late.
    pub fn observe(
        &mut self,
        key: ObjectKey,
        mut observed: Observed,
    ) -> Result<Option<Observed>, Late> {
        self.clock += 1;
        let seen = self.clock;
        if let Some(known) = self.entries.get_mut(&key)
            && is_older(&observed.resource_version, &known.observed.resource_version)
        {
            known.seen = seen;
            return Err(Late);
        }
        let owner = observed.owner.clone();
        let mut former_owner = None;
        if let Some(known) = self.entries.get_mut(&key) {
            former_owner = known.former_owner.take();
            if known.observed.labels == observed.labels {
                // Others hold them, too.
                observed.labels = known.observed.labels.clone();
            }
        }
        let entry = Entry {
            observed,
            seen,
            former_owner,
        };
        let before = self.entries.insert(key.clone(), entry);
        let before = before.map(|entry| entry.observed);
        if let Some(old) = before.as_ref().and_then(|old| old.owner.as_ref())
            && owner.as_ref() != Some(old)
        {
            self.disown(old, &key);
        }
        if let Some(owner) = owner {
            self.by_owner.entry(owner).or_default().insert(key);
        }
        Ok(before)
    }

    /// Forgets an object, unless a newer one is known than the one that went.
    pub fn forget(&mut self, key: &ObjectKey, resource_version: Option<&str>) -> Option<Observed> {
        let known = self.get(key)?;
        if let Some(gone) = resource_version
            && is_older(gone, &known.resource_version)
        {
            return None;
        }
        let known = self.entries.remove(key)?.observed;
        if let Some(owner) = &known.owner {
            self.disown(owner, key);
        }
        Some(known)
    }

    /// Drops the object itself once it is known to be as declared; the digest stays, where it is enough.
    pub fn settle(&mut self, key: &ObjectKey, digest: Digest) {
        if let Some(known) = self.entries.get_mut(key)
            && known.observed.digest == digest
            && known.observed.is_told_by_digest(key.kind)
        {
            known.observed.object = None;
        }
    }

    /// Has an object again that was dropped since it was as declared: what declared it is forgotten, and from now on it says
    /// itself what it was for.
    pub fn unsettle(&mut self, target: &Target) {
        if let Some(known) = self.entries.get_mut(&target.key)
            && known.observed.digest == target.digest
            && known.observed.object.is_none()
        {
            known.observed.object = Some(target.object.clone());
        }
    }

    /// Drops all but digests of what bears a landing zone's label and is not its own: anybody may write
    /// such objects into a namespace of his, as many and as large as he likes.
    pub fn strip(&mut self, owner: &str, is_own: impl Fn(&ObjectKey) -> bool) {
        for key in self.by_owner.get(owner).into_iter().flatten() {
            if key.is_in_reach_of_teams()
                && !is_own(key)
                && let Some(entry) = self.entries.get_mut(key)
            {
                entry.observed.object = None;
            }
        }
    }

    /// All landing zones that some label names.
    pub fn owners(&self) -> impl Iterator<Item = &String> {
        self.by_owner.keys()
    }

    /// Begins a complete list of one kind.
    pub fn list_begins(&mut self, kind: Kind) {
        self.clock += 1;
        self.listing.insert(kind, self.clock);
    }

    /// Ends a complete list of one kind: whatever was not seen since it began is gone. What we wrote
    /// meanwhile was seen, and stays. Returns what vanished.
    pub fn list_ends(&mut self, kind: Kind) -> Vec<ObjectKey> {
        let began = self.listing.remove(&kind).unwrap_or(0);
        let vanished: Vec<_> = self
            .entries_of(kind)
            .filter(|(_, entry)| entry.seen < began)
            .map(|(key, _)| key.clone())
            .collect();
        for key in &vanished {
            self.forget(key, None);
        }
        self.synced.insert(kind);
        vanished
    }

    /// Takes in what was read or written in a flavour. In another than the one that is watched, it says
    /// nothing about Calico's kinds: they move from one API to another while the operator runs, and a
    /// policy that only the old one holds must not count as present.
    pub fn observe_in(&mut self, flavour: Flavour, key: &ObjectKey, observed: Observed) {
        let moves = key.kind == Kind::Tier || key.kind.is_calico_policy();
        if moves && self.watched != Some(flavour) {
            return;
        }
        let owner = observed.owner.clone();
        // Whatever came later is the better observation.
        let Ok(before) = self.observe(key.clone(), observed) else {
            return;
        };
        let former = before.and_then(|before| before.owner);
        if let Some(entry) = self.entries.get_mut(key)
            && former != owner
            && former.is_some()
        {
            entry.former_owner = former;
        }
    }

    /// Whose an object was before a write of ours gave it to another landing zone: asked for once.
    pub fn take_former_owner(&mut self, key: &ObjectKey) -> Option<String> {
        self.entries.get_mut(key)?.former_owner.take()
    }

    /// Forgets a whole kind: its watch ended.
    fn unwatch(&mut self, kind: Kind) {
        let keys: Vec<_> = self.entries_of(kind).map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.forget(key, None);
        }
        self.synced.remove(&kind);
    }

    fn disown(&mut self, owner: &str, key: &ObjectKey) {
        if let Some(owned) = self.by_owner.get_mut(owner) {
            owned.remove(key);
            if owned.is_empty() {
                self.by_owner.remove(owner);
            }
        }
    }
}

/// An observation that came after a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late;

/// Whether one resource version is older than another. They are numbers of one sequence in every
/// API server since 1.35 by contract, and before it in practice; what does not parse is not older.
#[must_use]
pub fn is_older(this: &str, that: &str) -> bool {
    match (this.parse::<u128>(), that.parse::<u128>()) {
        (Ok(this), Ok(that)) => this < that,
        _ => false,
    }
}

/// The objects, shared by the watches that write and the reconciles that read. Locks are held for
/// the time of a look-up, never across an await.
#[derive(Clone, Debug, Default)]
pub struct Cache(Arc<RwLock<Objects>>);

impl Cache {
    /// The objects, to read.
    pub fn read(&self) -> RwLockReadGuard<'_, Objects> {
        // Nothing panics while it holds the lock; were it so, the map would still be whole.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects, to change.
    pub fn write(&self) -> RwLockWriteGuard<'_, Objects> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
