//! Declared namespaces to which nothing is done, because they are somebody else's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, PoisonError};

use kube::ResourceExt;
use tokio::time::Instant;

use super::adoption::{self, Circumstances, Decision};
use super::cache::Objects;
use super::claims::{Claimant, Claims, Holding, winner_over};
use super::context::Context;
use super::kind::ObjectKey;
use super::memory::Memory;
use super::reconcile::Observation;
use super::released;
use super::rendered::{Rendered, Source};
use super::status::{self, Holder, Withheld};
use crate::api::{LandingZone, LandingZoneStatus};
use crate::domain;

/// What others claim, too.
pub(super) struct Claimed {
    /// Namespaces that are not to be touched, and why.
    pub withheld: BTreeMap<String, Withheld>,
    /// Another landing zone that comes first with the same application code.
    pub shared_code: Option<Withheld>,
}

/// What is not to be touched, and why.
pub(super) fn claimed(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    zone: &domain::LandingZone,
) -> Claimed {
    let objects = context.cache.read();
    let claims = context
        .claims
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    let known = |name: &str| context.zone(name);
    let dispute = Contest {
        zone: &observation.zone,
        name: &observation.name,
        status: observation.status.as_ref(),
        inventory: &observation.inventory,
        flavour: observation.facts.flavour(),
        platform: &observation.platform,
        objects: &objects,
        claims: &claims,
        known: &known,
        uids: &memory.uids,
    };
    let withheld = dispute.withheld(zone);
    let shared_code = dispute.shared_code();
    let conflicts = withheld
        .values()
        .chain(&shared_code)
        .any(|withheld| matches!(withheld.holder, Holder::LandingZone { .. }));
    memory.conflict_since = if conflicts {
        memory.conflict_since.or_else(|| Some(Instant::now()))
    } else {
        None
    };
    Claimed {
        withheld,
        shared_code,
    }
}

/// What one landing zone declares, against what others declare and what is there.
pub(crate) struct Contest<'a> {
    /// As it is stored.
    pub zone: &'a LandingZone,
    pub name: &'a str,
    /// Its status as it was last written.
    pub status: Option<&'a LandingZoneStatus>,
    pub inventory: &'a BTreeSet<ObjectKey>,
    pub flavour: domain::Flavour,
    pub platform: &'a Arc<domain::Platform>,
    pub objects: &'a Objects,
    pub claims: &'a Claims,
    /// The other landing zones, by name.
    pub known: &'a dyn Fn(&str) -> Option<LandingZone>,
    /// UIDs under which namespaces were last known to be its own, where that is known better than from its status.
    pub uids: &'a HashMap<String, String>,
}

impl Contest<'_> {
    /// Namespaces that are not to be touched, and why.
    pub(crate) fn withheld(&self, zone: &domain::LandingZone) -> BTreeMap<String, Withheld> {
        self.lost().chain(self.not_adopted(zone)).collect()
    }

    /// Whether another landing zone comes first with the same application code.
    fn shared_code(&self) -> Option<Withheld> {
        let code = &self.zone.spec.application_code;
        let holder = self.winner(self.claims.of_code(code), None)?;
        Some(Withheld {
            why: format!(
                "the landing zone {} has the application code {code} already; a code cannot be \
                 changed: delete one of the two, and declare it anew with another code",
                holder.name
            ),
            holder: Holder::LandingZone {
                leaving: holder.deleting,
            },
        })
    }

    /// Namespaces that another landing zone has, or whose code it has.
    fn lost(&self) -> impl Iterator<Item = (String, Withheld)> {
        let shared_code = self.shared_code();
        let declared = &self.zone.spec.namespaces;
        declared.iter().filter_map(move |namespace| {
            let name = &namespace.name;
            let (holder, why) = match &shared_code {
                // What is ours already is kept in order; only what is new is withheld.
                Some(withheld) if !self.is_ours(name) && !self.is_recorded(name) => {
                    return Some((name.clone(), withheld.clone()));
                }
                _ => {
                    let holder = self.winner(self.claims.of_namespace(name), Some(name))?;
                    let why = format!(
                        "the landing zone {} declares the namespace too and comes first; remove it \
                         from one of the two",
                        holder.name
                    );
                    (holder, why)
                }
            };
            let holder = Holder::LandingZone {
                leaving: holder.deleting,
            };
            Some((name.clone(), Withheld { why, holder }))
        })
    }

    /// Namespaces that exist and may not be adopted.
    fn not_adopted(&self, zone: &domain::LandingZone) -> impl Iterator<Item = (String, Withheld)> {
        // What is rendered without regard to others, to compare foreign namespaces with: seldom
        // needed.
        let declared = LazyLock::new(|| {
            let source = Source {
                azure: None,
                declaration: (
                    self.zone.metadata.uid.clone(),
                    self.zone.metadata.generation,
                ),
                flavour: self.flavour,
                platform: self.platform.clone(),
                withheld: BTreeSet::new(),
                released: Vec::new(),
                openings: domain::Openings::default(),
                teams: domain::TeamPolicies::default(),
                is_entering: false,
            };
            Rendered::of(zone.clone(), source).ok()
        });
        let lost: BTreeMap<_, _> = self.lost().collect();
        zone.namespaces.iter().filter_map(move |namespace| {
            let name = namespace.name.as_str();
            if lost.contains_key(name) {
                return None;
            }
            let key = ObjectKey::namespace(name);
            let found = self.objects.get(&key);
            if found.is_none() || self.is_ours(name) {
                return None;
            }
            let owner = found.and_then(|found| found.owner.as_deref());
            let circumstances = Circumstances {
                zone: self.name,
                policy: zone.adoption_policy,
                in_inventory: self.inventory.contains(&key),
                known_uid: self
                    .uids
                    .get(name)
                    .map(String::as_str)
                    .or_else(|| self.recorded_uid(name)),
                declared_by_owner: owner.is_some_and(|owner| {
                    self.claims
                        .of_namespace(name)
                        .any(|claimant| claimant == owner)
                }),
                held_by_owner: owner
                    .and_then(|owner| (self.known)(owner))
                    .is_some_and(|owner| status::inventory(owner.status.as_ref()).contains(&key)),
            };
            let target = declared.as_ref()?.get(&key)?;
            match adoption::decide(&target.object.unpack(), found, &circumstances) {
                Decision::Withhold(why) => {
                    let holder = Holder::Other;
                    Some((name.to_owned(), Withheld { why, holder }))
                }
                Decision::Create | Decision::Ours | Decision::Adopt | Decision::Wait => None,
            }
        })
    }

    fn is_ours(&self, namespace: &str) -> bool {
        let found = self.objects.get(&ObjectKey::namespace(namespace));
        found.is_some_and(|found| found.owner.as_deref() == Some(self.name))
    }

    fn is_recorded(&self, namespace: &str) -> bool {
        let key = ObjectKey::namespace(namespace);
        self.inventory.contains(&key)
    }

    fn recorded_uid(&self, namespace: &str) -> Option<&str> {
        released::recorded_uid(self.status, namespace)
    }

    /// The claimant before whom this landing zone has to give way; None: it comes first.
    fn winner<'n>(
        &self,
        claimants: impl Iterator<Item = &'n str>,
        namespace: Option<&String>,
    ) -> Option<Claimant> {
        let others: Vec<_> = claimants
            .filter(|other| *other != self.name)
            .filter_map(|other| (self.known)(other))
            .map(|other| self.claimant(&other, other.status.as_ref(), namespace))
            .collect();
        let this = self.claimant(self.zone, self.status, namespace);
        winner_over(&this, &others).cloned()
    }

    fn claimant(
        &self,
        zone: &LandingZone,
        status: Option<&LandingZoneStatus>,
        namespace: Option<&String>,
    ) -> Claimant {
        let name = zone.name_any();
        let holding = Holding::of(&name, status);
        let holds = |namespace: &String| holding.has(namespace, self.objects);
        Claimant {
            // Who holds a code is who holds any namespace: the code is a label of all of them.
            incumbent: match namespace {
                Some(namespace) => holds(namespace),
                None => zone
                    .spec
                    .namespaces
                    .iter()
                    .any(|namespace| holds(&namespace.name)),
            },
            created: zone
                .metadata
                .creation_timestamp
                .as_ref()
                .map_or(i64::MAX, |time| time.0.as_second()),
            deleting: zone.metadata.deletion_timestamp.is_some(),
            name,
        }
    }
}
