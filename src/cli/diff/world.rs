//! All declarations together, as they are or would be, and what they render to. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::DiffError;
use super::cluster::Cluster;
use crate::api::{DefaultDenyStage, LandingZone, LandingZoneStatus, Stage};
use crate::build;
use crate::cli::crossings::today;
use crate::cli::render;
use crate::controller::cache::Objects;
use crate::controller::claims::Claims;
use crate::controller::crossings::neighbour_of;
use crate::controller::pretenders::Pretenders;
use crate::controller::released::{Former, recorded_keys};
use crate::controller::rendered::{self, Rendered, Source, Targets};
use crate::controller::withheld::Contest;
use crate::controller::{Kind, ObjectKey, status};
use crate::domain::{
    self, Flavour, LandingZoneName, Neighbour, Opening, Platform, PolicyApi, Surroundings,
    TeamPolicies, resolve,
};

/// What files declare.
pub(super) struct Files {
    /// Landing zones.
    pub zones: Vec<LandingZone>,
    /// The platform, where it is among them.
    pub platform: Option<Arc<Platform>>,
}

impl Files {
    /// The names of its landing zones.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.zones.iter().map(name).collect()
    }
}

fn name(zone: &LandingZone) -> String {
    zone.metadata.name.clone().unwrap_or_default()
}

/// All declarations.
pub(super) struct World {
    zones: BTreeMap<String, LandingZone>,
    /// What holds for the whole cluster.
    pub platform: Arc<Platform>,
    /// The form of policies.
    pub flavour: Flavour,
    around: Around,
    claims: Claims,
    /// By whom a landing zone is named.
    named_by: BTreeMap<String, BTreeSet<String>>,
    /// Whom a landing zone names.
    naming: BTreeMap<String, BTreeSet<String>>,
}

/// What no declaration changes.
#[derive(Clone)]
struct Around {
    /// Landing zones that are stored under another schema.
    unreadable: BTreeSet<String>,
    /// Whether all landing zones are known.
    is_whole: bool,
    /// What the platform's status says is its own.
    inventory: BTreeSet<ObjectKey>,
    /// Whether it is what the operator sees, and not what it would see.
    is_real: bool,
}

/// What a landing zone renders to.
pub(super) struct Declared {
    /// Its name.
    pub name: String,
    /// Its objects.
    pub rendered: Rendered,
    /// As its status was written last.
    status: LandingZoneStatus,
    /// What its status says is its own.
    pub inventory: BTreeSet<ObjectKey>,
    /// Labels and annotations that the declaration put on its namespaces, by namespace.
    pub recorded_keys: BTreeMap<String, BTreeSet<String>>,
    /// Namespaces that are not touched, and why.
    pub withheld: BTreeMap<String, String>,
    /// Namespaces that left the declaration.
    released: Vec<String>,
    is_suspended: bool,
    /// Whether the status speaks of this declaration.
    is_seen: bool,
}

impl World {
    /// What is declared in a cluster.
    pub(super) fn of(cluster: &Cluster) -> Self {
        let around = Around {
            unreadable: cluster.unreadable.clone(),
            is_whole: cluster.is_whole,
            inventory: cluster.inventory.clone(),
            is_real: true,
        };
        let (zones, platform) = (cluster.zones.clone(), cluster.platform.clone());
        Self::new(zones, platform, cluster.flavour, around)
    }

    fn new(
        zones: BTreeMap<String, LandingZone>,
        platform: Arc<Platform>,
        flavour: Flavour,
        around: Around,
    ) -> Self {
        let mut claims = Claims::default();
        let mut named_by: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut naming: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, zone) in &zones {
            claims.update(zone);
            let Ok(zone) = domain::LandingZone::validate(zone, &platform) else {
                continue;
            };
            for peer in zone.network.crossings.iter().filter_map(|it| it.names()) {
                let peer = peer.to_string();
                named_by
                    .entry(peer.clone())
                    .or_default()
                    .insert(name.clone());
                naming.entry(name.clone()).or_default().insert(peer);
            }
        }
        Self {
            zones,
            platform,
            flavour,
            around,
            claims,
            named_by,
            naming,
        }
    }

    /// The same after files were applied.
    pub(super) fn with(&self, files: Files) -> Self {
        let mut zones = self.zones.clone();
        for mut zone in files.zones {
            let name = name(&zone);
            if let Some(known) = zones.get(&name) {
                let mut metadata = known.metadata.clone();
                if known.spec != zone.spec {
                    metadata.generation = metadata.generation.map(|it| it + 1);
                }
                zone.metadata = metadata;
                zone.status.clone_from(&known.status);
            }
            zones.insert(name, zone);
        }
        let platform = files.platform.unwrap_or_else(|| self.platform.clone());
        let around = Around {
            is_real: false,
            ..self.around.clone()
        };
        Self::new(zones, platform, self.flavour, around)
    }

    /// Whether a landing zone is declared.
    pub(super) fn has(&self, name: &str) -> bool {
        self.zones.contains_key(name)
    }

    /// All landing zones.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.zones.keys().cloned().collect()
    }

    /// Landing zones that one has to do with.
    pub(super) fn peers(&self, name: &str) -> BTreeSet<String> {
        let naming = self.named_by.get(name).into_iter().flatten();
        let named = self.naming.get(name).into_iter().flatten();
        naming.chain(named).cloned().collect()
    }

    /// The namespaces that a landing zone declares or had: what is there of them decides what it renders to.
    pub(super) fn namespaces(&self, name: &str) -> Vec<ObjectKey> {
        let Some(zone) = self.zones.get(name) else {
            return Vec::new();
        };
        let status = zone.status.as_ref();
        let declared = zone.spec.namespaces.iter().map(|it| &it.name);
        let known = status.into_iter().flat_map(|it| &it.namespaces);
        let released = status.into_iter().flat_map(|it| &it.released);
        let all = declared
            .chain(known.map(|it| &it.name))
            .chain(released.map(|it| &it.name));
        all.map(ObjectKey::namespace).collect()
    }

    /// What a landing zone renders to, where its namespaces are known; why it does not, where it is not valid.
    pub(super) fn rendered(
        &self,
        name: &str,
        objects: &Objects,
    ) -> Result<Result<Declared, String>, DiffError> {
        let Some(stored) = self.zones.get(name) else {
            return Ok(Err("it is not declared".to_owned()));
        };
        let zone = match domain::LandingZone::validate(stored, &self.platform) {
            Ok(zone) => zone,
            Err(problems) => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                return Ok(Err(problems.join("; ")));
            }
        };
        let status = stored.status.clone().unwrap_or_default();
        let inventory = status::inventory(Some(&status));
        let known = |name: &str| self.zones.get(name).cloned();
        let contest = Contest {
            zone: stored,
            name,
            status: Some(&status),
            inventory: &inventory,
            flavour: self.flavour,
            platform: &self.platform,
            objects,
            claims: &self.claims,
            known: &known,
            uids: &HashMap::new(),
        };
        let withheld: BTreeMap<_, _> = contest
            .withheld(&zone)
            .into_iter()
            .map(|(name, withheld)| (name, withheld.why))
            .collect();
        let former = Former {
            status: Some(&status),
            inventory: &inventory,
            before: &[],
            objects,
            known: &known,
        };
        let released = former.released(&zone);
        let mut openings = resolve(&zone, &self.surroundings(&zone, &status)).openings;
        let withheld_names: BTreeSet<String> = withheld.keys().cloned().collect();
        let pretenders = Pretenders {
            objects,
            known: &known,
        };
        openings.pretenders = pretenders.of(&zone, &withheld_names, &released, &openings);
        let source = Source {
            declaration: (stored.metadata.uid.clone(), stored.metadata.generation),
            flavour: self.flavour,
            platform: self.platform.clone(),
            withheld: withheld_names,
            released: released.clone(),
            openings,
            teams: TeamPolicies::default(),
            is_entering: false,
            azure: None,
        };
        let is_seen = self.around.is_real
            && status.observed_generation == stored.metadata.generation
            && status.observed_generation.is_some();
        let recorded_keys = recorded_keys(Some(&status));
        Ok(Ok(Declared {
            name: name.to_owned(),
            is_suspended: zone.suspend,
            rendered: Rendered::of(zone, source)?,
            status,
            inventory,
            recorded_keys,
            withheld,
            released: released.iter().map(|it| it.name.to_string()).collect(),
            is_seen,
        }))
    }

    fn surroundings(
        &self,
        zone: &domain::LandingZone,
        status: &LandingZoneStatus,
    ) -> Surroundings<'_> {
        let neighbours = self.peers(zone.name.as_str());
        let neighbours = neighbours.into_iter().filter_map(|name| {
            let neighbour = match self.zones.get(&name) {
                Some(zone) => neighbour_of(zone, &self.platform),
                None if self.around.unreadable.contains(&name) => {
                    Neighbour::AsBefore("is not validly declared")
                }
                None if self.around.is_whole => return None,
                None => Neighbour::AsBefore("cannot be read"),
            };
            Some((name.parse::<LandingZoneName>().ok()?, neighbour))
        });
        Surroundings {
            platform: &self.platform,
            flavour: self.flavour,
            today: today(),
            neighbours: neighbours.collect(),
            before: Opening::all_of_status(&status.crossings),
            // They make remarks and open nothing.
            shared_ranges: BTreeMap::new(),
        }
    }

    /// Whether a landing zone renders to the same here and there.
    pub(super) fn renders_alike(
        &self,
        other: &Self,
        name: &str,
        objects: &Objects,
    ) -> Result<bool, DiffError> {
        let digest = |world: &Self| {
            let rendered = world.rendered(name, objects)?;
            Ok::<_, DiffError>(rendered.ok().map(|it| it.rendered.digest))
        };
        Ok(digest(self)? == digest(other)?)
    }

    /// What all landing zones share: tiers, and the default deny of the platform. With what the platform's status says
    /// is its own, and what there is to know.
    pub(super) fn shared(&self) -> Result<(Targets, BTreeSet<ObjectKey>, Vec<String>), DiffError> {
        let mut all = rendered::tiers(self.flavour)?;
        let stage = self.platform.default_deny.stage;
        if stage == DefaultDenyStage::Observe && build::depends_on_others(self.flavour) {
            let note = "the policies of the default deny are not compared: in stage Observe they depend on \
                        everybody's policies";
            return Ok((Targets::new(all), BTreeSet::new(), vec![note.to_owned()]));
        }
        let mut notes = Vec::new();
        match render::default_deny(&self.platform, self.flavour) {
            Ok(policies) => {
                let targets = rendered::default_deny(&policies, self.flavour)?;
                all.extend(targets.iter().cloned());
            }
            Err(error) => notes.push(format!("the default deny is not compared: {error}")),
        }
        let inventory = if notes.is_empty() {
            self.around.inventory.clone()
        } else {
            BTreeSet::new()
        };
        Ok((Targets::new(all), inventory, notes))
    }
}

impl Declared {
    /// Its objects.
    pub(super) fn targets(&self) -> &Targets {
        &self.rendered.targets
    }

    /// What has to be looked at: its objects, and those that its status says are its own.
    pub(super) fn keys(&self) -> BTreeSet<ObjectKey> {
        let mut keys = self.rendered.keys();
        keys.extend(self.inventory.iter().cloned());
        keys
    }

    /// Namespaces that keep what they have.
    pub(super) fn left_alone(&self) -> BTreeSet<String> {
        let withheld = self.withheld.keys().cloned();
        withheld.chain(self.released.iter().cloned()).collect()
    }

    /// Whether exactly this was applied last.
    pub(super) fn was_applied(&self) -> bool {
        self.status.applied_digest.as_ref() == Some(&self.rendered.digest.to_string())
    }

    /// Whether its policies depend on others' policies, which are not read here.
    fn depends_on_others(&self) -> bool {
        let flavour = self.rendered.source.flavour;
        let logs = flavour.api != PolicyApi::Kubernetes && !flavour.staged;
        self.rendered.zone.stage == Stage::Observe && logs && !self.was_applied()
    }

    /// Whether an object is compared.
    pub(super) fn is_compared(&self, key: &ObjectKey) -> bool {
        !(key.kind == Kind::GlobalNetworkPolicy && self.depends_on_others())
    }

    /// What there is to know besides what differs.
    pub(super) fn notes(&self) -> Vec<String> {
        let Self { name, .. } = self;
        let mut notes = Vec::new();
        if self.is_suspended {
            notes.push(format!(
                "landing zone {name} is suspended: the operator puts nothing right"
            ));
        } else if self.rendered.zone.stage == Stage::Plan {
            notes.push(format!(
                "landing zone {name} is in stage Plan: what differs is what the operator would do in stage Enforce"
            ));
        } else if self.depends_on_others() {
            notes.push(format!(
                "policies of landing zone {name} are not compared: in stage Observe they depend on others' policies"
            ));
        } else if self.is_seen && self.status.applied_digest.is_some() && !self.was_applied() {
            notes.push(format!(
                "what the operator applied last for landing zone {name} is not what is rendered here: it has still to \
                 apply it, is of another version, or knows more of the cluster (--pod-cidr, --dns-address)"
            ));
        }
        let withheld = self.withheld.iter();
        notes.extend(withheld.map(|(namespace, why)| {
            format!("landing zone {name} leaves Namespace/{namespace} alone: {why}")
        }));
        notes
    }
}
