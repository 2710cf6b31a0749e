//! Status, computed from what was applied and observed, never from what was meant; and the only
//! module that writes it.

mod boundary;
mod conditions;
mod network;
mod placement;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::apply::{Applied, Failure, WriteError};
use super::azure::{AzureTold, azure_ready};
use super::eviction::Told;
use super::guard::{self, Found};
use super::kind::ObjectKey;
use super::memory::Fight;
use super::placement::{Looked, Shown};
use super::plan::Plan;
use super::released::recorded_keys;
use super::rendered::Rendered;
use crate::api::condition::{self, reason};
use crate::api::names::{APPLICATION_CODE, MANAGED_BY, OWNER, POD_SECURITY_PREFIX, ZONE};
use crate::api::{
    CrossingStatus, EffectiveValues, LandingZoneStatus, NamespaceState, NamespaceStatus, Stage,
};
use crate::cluster::{ClusterFacts, Enforcement};
use crate::domain;

pub(super) use boundary::{held as boundary_held, is_first_judgement_due, is_told};
pub use conditions::{
    Conditions, Progress, nobody_looks, nobody_looks_after, progress, sentence, shortened,
};
use network::{crossings_open, network_enforced, policies_are_in_place};
pub use placement::were_pods_placed;
use placement::{placement_enforced, pods_placed};
pub use write::{write, write_conditions, write_platform};

/// How long another landing zone may hold what this one declares before it counts as stalled: a
/// rename in Git (old deleted, new created) takes less.
pub const CONFLICT_PATIENCE: Duration = Duration::from_mins(1);

/// The status lists at most this much of what stage Observe cannot see.
const UNOBSERVED: usize = 100;

/// A declared namespace to which nothing is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Why, and the way out.
    pub why: String,
    /// Whose it is.
    pub holder: Holder,
}

/// Whose a withheld namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Another landing zone's.
    LandingZone {
        /// It is being deleted: waiting is enough.
        leaving: bool,
    },
    /// Somebody else's.
    Other,
}

/// What a status is computed from.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The declaration, all namespaces included.
    pub zone: &'a domain::LandingZone,
    /// What was rendered, without what is withheld.
    pub rendered: &'a Rendered,
    /// What was planned: what waits is told from here.
    pub plan: &'a Plan,
    /// What came of it.
    pub applied: &'a Applied,
    /// Namespaces that are withheld.
    pub withheld: &'a BTreeMap<String, Withheld>,
    /// Another landing zone that comes first with the same application code.
    pub shared_code: Option<&'a Withheld>,
    /// UIDs of the namespaces that are ours.
    pub uids: &'a std::collections::HashMap<String, String>,
    /// Whether a conflict has lasted long enough to be a failure.
    pub conflict_is_old: bool,
    /// Objects that somebody else keeps changing back.
    pub fights: &'a [Fight],
    /// What the cluster can do.
    pub facts: &'a ClusterFacts,
    /// What became of the crossings, where the policies are in place.
    pub crossings: &'a [CrossingStatus],
    /// What is found in what others write; None: it was not judged yet.
    pub found: Option<&'a Found>,
    /// What stage Observe cannot see, a sentence each.
    pub unobserved: &'a [String],
    /// How the half in Azure stands; None where there is none.
    pub azure: Option<&'a AzureTold>,
    /// What a pod showed of the placement; None where there is none to be seen yet.
    pub placement: Option<&'a Looked>,
    /// Whether pods are evicted that run elsewhere.
    pub evicts: bool,
    /// What is known of where the pods run; None: nothing yet.
    pub pods_placed: Option<&'a Told>,
}

/// The status after a plan was carried out. Inventory and drift are the caller's.
#[must_use]
pub fn after_apply(
    outcome: &Outcome<'_>,
    old: Option<&LandingZoneStatus>,
    generation: Option<i64>,
    now: Timestamp,
) -> LandingZoneStatus {
    let mut conditions = Conditions::of(old, generation, now);
    let namespaces = namespaces(outcome, old);
    let ready = namespaces
        .iter()
        .filter(|namespace| namespace.state == NamespaceState::Ready)
        .count();
    let declared = namespaces.len();

    namespaces_ready(&mut conditions, outcome, &namespaces);
    let enforced = network_enforced(&mut conditions, outcome);
    boundary::held(&mut conditions, outcome.found);
    placement_enforced(&mut conditions, outcome);
    pods_placed(&mut conditions, outcome);
    azure_ready(&mut conditions, outcome.azure);
    let policies_are_in_place = policies_are_in_place(outcome);
    let crossings = if policies_are_in_place {
        outcome.crossings.to_vec()
    } else {
        // What was told last is what is in force.
        old.map(|old| old.crossings.clone()).unwrap_or_default()
    };
    crossings_open(&mut conditions, outcome.crossings, policies_are_in_place);
    contested(&mut conditions, outcome.fights);
    overall(&mut conditions, outcome, &namespaces, enforced);

    let flavour = outcome.facts.flavour();
    LandingZoneStatus {
        observed_generation: generation,
        conditions: conditions.finish(),
        namespaces_ready: Some(format!("{ready}/{declared}")),
        effective: Some(effective(outcome.zone, flavour)),
        namespaces,
        crossings,
        findings: match outcome.found {
            Some(found) => guard::in_status(found),
            // What was told last stands until somebody has looked.
            None => old.map(|old| old.findings.clone()).unwrap_or_default(),
        },
        unobserved: outcome
            .unobserved
            .iter()
            .take(UNOBSERVED)
            .cloned()
            .collect(),
        ..LandingZoneStatus::default()
    }
}

/// The values in force.
#[must_use]
pub fn effective(zone: &domain::LandingZone, flavour: domain::Flavour) -> EffectiveValues {
    EffectiveValues {
        stage: zone.stage,
        adoption_policy: zone.adoption_policy,
        delete_policy: zone.delete_policy,
        intra_zone: zone.network.intra_zone,
        flavour: flavour.api.to_string(),
        tiers: flavour.tiers,
    }
}

fn namespaces(outcome: &Outcome<'_>, before: Option<&LandingZoneStatus>) -> Vec<NamespaceStatus> {
    let done = done(outcome);
    let recorded = recorded_keys(before);
    outcome
        .zone
        .namespaces
        .iter()
        .map(|namespace| {
            let name = namespace.name.as_str();
            let (state, message) = namespace_state(outcome, name, &done);
            NamespaceStatus {
                name: name.to_owned(),
                zone: namespace.zone.to_string(),
                state,
                message: message.map(shortened),
                uid: outcome.uids.get(name).cloned(),
                // While it is withheld, what a former declaration put on it is still there.
                keys: declared_keys(outcome.rendered, name)
                    .or_else(|| Some(recorded.get(name)?.iter().cloned().collect()))
                    .unwrap_or_default(),
            }
        })
        .collect()
}

/// The labels and annotations of a namespace that a declaration may also leave out.
fn declared_keys(rendered: &Rendered, namespace: &str) -> Option<Vec<String>> {
    let target = rendered.get(&ObjectKey::namespace(namespace))?;
    let object = target.object.unpack();
    let keys = |map: &'static str| {
        let found = object.pointer(&format!("/metadata/{map}"));
        let keys = found
            .and_then(serde_json::Value::as_object)
            .into_iter()
            .flatten();
        keys.filter(|(key, _)| {
            ![OWNER, MANAGED_BY, APPLICATION_CODE, ZONE].contains(&key.as_str())
                && !key.starts_with(POD_SECURITY_PREFIX)
        })
        .map(move |(key, _)| format!("{map}/{key}"))
    };
    Some(keys("labels").chain(keys("annotations")).collect())
}

/// What is as declared. An object that somebody keeps changing and that is put back at once counts:
/// were it otherwise, the status would change with every round of the fight, which Contested tells.
fn done<'a>(outcome: &'a Outcome<'_>) -> BTreeSet<&'a ObjectKey> {
    let fought_over = outcome.plan.postponed.iter();
    let fought_over = fought_over
        .filter(|postponed| postponed.why.is_none() && postponed.key.kind.is_urgent())
        .map(|postponed| &postponed.key);
    let done = outcome.applied.done.iter().map(|(key, _)| key);
    done.chain(fought_over).collect()
}

fn namespace_state(
    outcome: &Outcome<'_>,
    name: &str,
    done: &BTreeSet<&ObjectKey>,
) -> (NamespaceState, Option<String>) {
    if let Some(withheld) = outcome.withheld.get(name) {
        return (NamespaceState::Withheld, Some(withheld.why.clone()));
    }
    let inside = |key: &&ObjectKey| key.in_namespace() == Some(name);
    let namespace = ObjectKey::namespace(name);
    if outcome.plan.waiting.contains(&namespace) {
        let message = "the namespace is being deleted; it is created anew, empty, once it is gone, \
                       and its policies stay meanwhile";
        return (NamespaceState::Terminating, Some(message.to_owned()));
    }
    let missing: Vec<_> = outcome
        .rendered
        .targets
        .iter()
        .map(|target| &target.key)
        .filter(|key| inside(key) && !done.contains(key))
        .collect();
    if missing.is_empty() {
        return (NamespaceState::Ready, None);
    }
    let failure = outcome
        .applied
        .failed
        .iter()
        .find(|failure| inside(&&failure.key));
    let postponed = outcome
        .plan
        .postponed
        .iter()
        .find(|postponed| inside(&&postponed.key));
    let message = failure
        .map(|failure| format!("{}: {}", failure.key, failure.error))
        .or_else(|| {
            let postponed = postponed?;
            Some(postponed.why.clone().unwrap_or_else(|| {
                format!(
                    "{} is repaired once a minute, since somebody else changes it back",
                    postponed.key
                )
            }))
        });
    (NamespaceState::Pending, message)
}

fn namespaces_ready(
    conditions: &mut Conditions,
    outcome: &Outcome<'_>,
    namespaces: &[NamespaceStatus],
) {
    let not_ready: Vec<_> = namespaces
        .iter()
        .filter(|namespace| namespace.state != NamespaceState::Ready)
        .collect();
    if not_ready.is_empty() {
        let message = format!("all {} namespaces are as declared", namespaces.len());
        conditions.set(
            condition::NAMESPACES_READY,
            "True",
            reason::AS_DECLARED,
            message,
        );
        return;
    }
    let why = if let Some(withheld) = outcome.withheld.values().next() {
        match withheld.holder {
            Holder::LandingZone { .. } => reason::CONFLICT,
            Holder::Other => reason::NOT_ADOPTED,
        }
    } else if not_ready
        .iter()
        .any(|namespace| namespace.state == NamespaceState::Terminating)
    {
        reason::TERMINATING
    } else if outcome.applied.failed.is_empty() {
        reason::PROGRESSING
    } else {
        reason::APPLY_FAILED
    };
    let items = not_ready.iter().map(|namespace| match &namespace.message {
        Some(message) => format!("{}: {message}", namespace.name),
        None => format!("{}: not complete yet", namespace.name),
    });
    conditions.set(condition::NAMESPACES_READY, "False", why, sentence(items));
}

/// Whether somebody else keeps changing what is declared.
pub fn contested(conditions: &mut Conditions, fights: &[Fight]) {
    if fights.is_empty() {
        let why = reason::NO_OTHER_WRITER;
        conditions.set(
            condition::CONTESTED,
            "False",
            why,
            "nobody else writes what is declared here",
        );
        return;
    }
    let items = fights.iter().map(|fight| {
        let who = fight
            .manager
            .as_deref()
            .unwrap_or("somebody (unknown, see the audit log)");
        let pace = if fight.key.kind.is_urgent() {
            "at once"
        } else {
            "once a minute"
        };
        format!("{who} keeps changing {}, it is put back {pace}", fight.key)
    });
    let message =
        sentence(items) + "; take the object out of the other tool, or change the declaration";
    conditions.set(condition::CONTESTED, "True", reason::OTHER_WRITER, message);
}

fn overall(
    conditions: &mut Conditions,
    outcome: &Outcome<'_>,
    namespaces: &[NamespaceStatus],
    enforced: bool,
) {
    let (ready, state, message) =
        obstacle(outcome).unwrap_or_else(|| standing(outcome, namespaces, enforced));
    progress(conditions, ready, state, &message);
}

type Verdict = (&'static str, Progress, String);

/// What holds the landing zone up: something that is not its own, or that could not be written.
fn obstacle(outcome: &Outcome<'_>) -> Option<Verdict> {
    let withheld = outcome
        .withheld
        .iter()
        .map(|(name, withheld)| format!("{name}: {}", withheld.why));
    let withheld = sentence(withheld);
    let holders = || outcome.withheld.values().map(|withheld| withheld.holder);
    let failed = &outcome.applied.failed;
    let stuck = |reason, message| Some(("False", Progress::Stuck(reason), message));
    let working = |reason, message| Some(("False", Progress::Working(reason), message));

    if holders().any(|holder| holder == Holder::Other) {
        return stuck(reason::NOT_ADOPTED, withheld);
    }
    let not_ours = |failure: &&Failure| matches!(failure.error, WriteError::NotOurs(_));
    if let Some(Failure { key, error }) = failed.iter().find(not_ours) {
        return stuck(reason::NOT_ADOPTED, format!("{key}: {error}"));
    }
    if let (true, Some(shared)) = (outcome.withheld.is_empty(), outcome.shared_code) {
        let message = format!("{}; what this one has already is kept in order", shared.why);
        let waits = shared.holder == Holder::LandingZone { leaving: true };
        return if outcome.conflict_is_old && !waits {
            stuck(reason::CONFLICT, message)
        } else {
            working(reason::CONFLICT, message)
        };
    }
    if !outcome.withheld.is_empty() {
        let leaving = |holder| matches!(holder, Holder::LandingZone { leaving: true });
        return if outcome.conflict_is_old && !holders().all(leaving) {
            stuck(reason::CONFLICT, withheld)
        } else {
            working(reason::CONFLICT, withheld)
        };
    }
    if failed.is_empty() {
        return None;
    }
    let failures = failed
        .iter()
        .map(|failure| format!("{}: {}", failure.key, failure.error));
    working(
        reason::APPLY_FAILED,
        sentence(failures) + "; it is tried again",
    )
}

/// How a landing zone stands that nothing holds up.
fn standing(outcome: &Outcome<'_>, namespaces: &[NamespaceStatus], enforced: bool) -> Verdict {
    let ready = |namespace: &NamespaceStatus| namespace.state == NamespaceState::Ready;
    let waits = !outcome.applied.skipped.is_empty() || !outcome.plan.waiting.is_empty();
    if waits || !namespaces.iter().all(ready) {
        let waiting = namespaces.iter().filter_map(|namespace| {
            Some(format!(
                "{}: {}",
                namespace.name,
                namespace.message.as_ref()?
            ))
        });
        return (
            "False",
            Progress::Working(reason::PROGRESSING),
            sentence(waiting),
        );
    }
    if enforced
        && outcome
            .placement
            .is_some_and(|looked| matches!(looked.shown, Shown::Missing(_)))
    {
        let message = "everything declared is in the cluster, but pods do not get all of the placement: see \
                       PlacementEnforced";
        let why = Progress::Done(reason::NOT_ADDED_TO_PODS);
        return ("False", why, message.to_owned());
    }
    if enforced
        && let Some(azure) = outcome.azure
        && let Some(progress) = azure.progress()
    {
        let message = "everything declared is in the cluster, but not in Azure: see AzureReady";
        return ("False", progress, message.to_owned());
    }
    if enforced {
        let message = if outcome.zone.stage == Stage::Observe {
            "everything declared is in the cluster but what could deny anything: see NetworkEnforced"
        } else {
            "everything declared is in the cluster"
        };
        let message = message.to_owned();
        return ("True", Progress::Done(reason::AS_DECLARED), message);
    }
    let why = match outcome.facts.enforcement() {
        Enforcement::Unknown => reason::NO_ENFORCING_PLUGIN,
        Enforcement::Calico | Enforcement::KubernetesPolicies => reason::POLICIES_PENDING,
    };
    let message = "everything declared is in the cluster, but nothing is known to enforce its \
                   policies: see NetworkEnforced";
    ("False", Progress::Done(why), message.to_owned())
}

/// The keys of an inventory. Entries of kinds that this version does not know are kept as text by
/// the caller, never acted on.
#[must_use]
pub fn inventory(status: Option<&LandingZoneStatus>) -> BTreeSet<ObjectKey> {
    let entries = status.map_or(&[][..], |status| &status.inventory);
    entries
        .iter()
        .filter_map(|entry| entry.parse().ok())
        .collect()
}
