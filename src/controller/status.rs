//! Status, computed from what was applied and observed, never from what was meant; and the only
//! module that writes it.

mod boundary;
mod conditions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::apply::{Applied, Failure, TIMEOUT, WriteError};
use super::eviction::Told;
use super::guard::{self, Found};
use super::kind::{Kind, ObjectKey};
use super::memory::Fight;
use super::placement::{Admitted, Looked, Shown};
use super::plan::Plan;
use super::rendered::Rendered;
use crate::api::condition::{self, reason};
use crate::api::names::{APPLICATION_CODE, MANAGED_BY, MANAGER, OWNER, POD_SECURITY_PREFIX, ZONE};
use crate::api::{
    CrossingState, CrossingStatus, EffectiveValues, LandingZone, LandingZonePlatform,
    LandingZonePlatformStatus, LandingZoneStatus, NamespaceState, NamespaceStatus, Stage,
};
use crate::cluster::{ClusterFacts, Enforcement};
use crate::domain::{self, PLATFORM_NAME};

pub(super) use boundary::held as boundary_held;
pub use conditions::{
    Conditions, Progress, nobody_looks, nobody_looks_after, progress, sentence, shortened,
};

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
    let namespaces = namespaces(outcome);
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

fn namespaces(outcome: &Outcome<'_>) -> Vec<NamespaceStatus> {
    let done = done(outcome);
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
                keys: declared_keys(outcome.rendered, name),
            }
        })
        .collect()
}

/// The labels and annotations of a namespace that a declaration may also leave out.
fn declared_keys(rendered: &Rendered, namespace: &str) -> Vec<String> {
    let Some(target) = rendered.get(&ObjectKey::namespace(namespace)) else {
        return Vec::new();
    };
    let keys = |map: &'static str| {
        let found = target.object.pointer(&format!("/metadata/{map}"));
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
    keys("labels").chain(keys("annotations")).collect()
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

fn network_enforced(conditions: &mut Conditions, outcome: &Outcome<'_>) -> bool {
    let done = done(outcome);
    let pending: Vec<_> = outcome
        .rendered
        .targets
        .iter()
        .map(|target| &target.key)
        .filter(|key| key.kind.is_policy() && !done.contains(key))
        .collect();
    let tiers = outcome.applied.failed.iter();
    let tiers: Vec<_> = tiers
        .filter(|failure| failure.key.kind == Kind::Tier)
        .map(|failure| format!("{}: {}", failure.key, failure.error))
        .collect();
    if !tiers.is_empty() {
        let message = sentence(tiers.into_iter());
        conditions.set(
            condition::NETWORK_ENFORCED,
            "False",
            reason::POLICIES_PENDING,
            message,
        );
        return false;
    }
    if !pending.is_empty() {
        let items = pending.iter().map(|key| {
            let failure = outcome
                .applied
                .failed
                .iter()
                .find(|failure| failure.key == **key);
            failure.map_or_else(
                || format!("{key} is not in place yet"),
                |failure| format!("{key}: {}", failure.error),
            )
        });
        let message = sentence(items);
        conditions.set(
            condition::NETWORK_ENFORCED,
            "False",
            reason::POLICIES_PENDING,
            message,
        );
        return false;
    }
    if !outcome.withheld.is_empty() {
        let outside = sentence(outcome.withheld.keys().cloned());
        let message = format!(
            "no policy of this landing zone selects {outside}: see NamespacesReady; what is not \
             withheld is inside its boundary"
        );
        let why = reason::NAMESPACES_WITHHELD;
        conditions.set(condition::NETWORK_ENFORCED, "False", why, message);
        return false;
    }
    if outcome.zone.stage == Stage::Observe {
        let message = observed(outcome);
        let why = reason::OBSERVED;
        conditions.set(condition::NETWORK_ENFORCED, "False", why, message);
        return true;
    }
    match outcome.facts.enforcement() {
        Enforcement::Calico => {
            let tiers = if outcome.facts.flavour().tiers {
                "with"
            } else {
                "without"
            };
            let api = outcome.facts.flavour().api;
            let message = format!(
                "the boundary is in place as Calico policies ({api}, {tiers} tiers){}",
                closed_by_name(outcome)
            );
            conditions.set(condition::NETWORK_ENFORCED, "True", reason::CALICO, message);
            true
        }
        Enforcement::KubernetesPolicies => {
            let message = format!(
                "the boundary is in place as Kubernetes policies, which are weaker: a policy of the application's own \
                 can open it, and a new namespace is open until its policy is there; install Calico for a boundary \
                 that holds{}",
                closed_by_name(outcome)
            );
            let why = reason::KUBERNETES_POLICIES_ONLY;
            conditions.set(condition::NETWORK_ENFORCED, "True", why, message);
            true
        }
        Enforcement::Unknown => {
            let message = "Kubernetes policies are written, but no network plugin is known to enforce \
                           them in this cluster, so they may have no effect; create the cluster with \
                           Calico (AKS: --network-policy calico)";
            let why = reason::NO_ENFORCING_PLUGIN;
            conditions.set(condition::NETWORK_ENFORCED, "False", why, message);
            false
        }
    }
}

/// The namespaces that are closed by name, and what to do about them.
fn closed_by_name(outcome: &Outcome<'_>) -> String {
    let pretenders = &outcome.rendered.source.openings.pretenders;
    if pretenders.is_empty() {
        return String::new();
    }
    let names = sentence(pretenders.iter().map(ToString::to_string));
    format!(
        "; closed by name, since they bear the label {OWNER} of a landing zone that they do not belong to: {names}; take it \
         off them, or declare them"
    )
}

fn policies_are_in_place(outcome: &Outcome<'_>) -> bool {
    let done = done(outcome);
    let policies = outcome.rendered.targets.iter().map(|target| &target.key);
    policies
        .filter(|key| key.kind.is_policy())
        .all(|key| done.contains(key))
}

/// Whether all that this landing zone declares is open. Nothing is said where nothing was ever declared.
pub fn crossings_open(
    conditions: &mut Conditions,
    crossings: &[CrossingStatus],
    policies_are_in_place: bool,
) {
    let own = |crossing: &&CrossingStatus| crossing.state != CrossingState::DeclaredThere;
    let own: Vec<_> = crossings.iter().filter(own).collect();
    if own.is_empty() && !conditions.has(condition::CROSSINGS_OPEN) {
        return;
    }
    if !policies_are_in_place {
        let message = "the policies are not all in place yet: see NetworkEnforced";
        let why = reason::POLICIES_PENDING;
        conditions.set(condition::CROSSINGS_OPEN, "False", why, message);
        return;
    }
    let closed = own.iter().filter(|it| it.state != CrossingState::Open);
    let said = |crossing: &&&CrossingStatus| {
        let message = crossing.message.as_deref().unwrap_or("closed");
        format!("{} ({}): {message}", crossing.name, crossing.peer)
    };
    let closed: Vec<_> = closed.map(|it| said(&it)).collect();
    if !closed.is_empty() {
        let message = sentence(closed.into_iter());
        let why = reason::CROSSINGS_CLOSED;
        conditions.set(condition::CROSSINGS_OPEN, "False", why, message);
        return;
    }
    let remarks: Vec<_> = own
        .iter()
        .filter(|it| it.message.is_some())
        .map(|it| said(&it))
        .collect();
    let (why, message) = if remarks.is_empty() {
        let message = format!("all {} crossings and shared services are open", own.len());
        (reason::AS_DECLARED, message)
    } else {
        (reason::CROSSINGS_REMARKED, sentence(remarks.into_iter()))
    };
    conditions.set(condition::CROSSINGS_OPEN, "True", why, message);
}

/// What stage Observe does.
fn observed(outcome: &Outcome<'_>) -> String {
    let flavour = outcome.facts.flavour();
    if flavour.staged {
        return "stage Observe: nothing is denied; staged policies tell Calico's flow logs what would be"
            .to_owned();
    }
    if flavour.api == domain::PolicyApi::Kubernetes {
        return "stage Observe: nothing is denied, and nothing recorded either, since Kubernetes policies \
                cannot log; install Calico for that"
            .to_owned();
    }
    let logged = "stage Observe: nothing is denied; what would be is in the kernel log of the nodes \
                  (calico-packet, or what Felix's logPrefix says), which kubectl landingzone propose \
                  --from-log reads";
    if outcome.unobserved.is_empty() {
        return logged.to_owned();
    }
    let unseen = sentence(outcome.unobserved.iter().cloned());
    format!("{logged}; not observed, since others' policies decide there: {unseen}")
}

/// Whether pods get what the placement declares.
fn placement_enforced(conditions: &mut Conditions, outcome: &Outcome<'_>) {
    let type_ = condition::PLACEMENT_ENFORCED;
    let declared = outcome.zone.placement.as_ref();
    if declared.is_none_or(domain::Placement::is_empty) {
        conditions.remove(type_);
        return;
    }
    if outcome.zone.stage == Stage::Observe {
        let message = "stage Observe: placement waits for stage Enforce";
        conditions.set(type_, "False", reason::OBSERVED, message);
        return;
    }
    match outcome.placement.map(|looked| &looked.shown) {
        // Its namespaces are not there yet, which Ready tells.
        None => conditions.set(
            type_,
            "Unknown",
            reason::PROGRESSING,
            "no namespace is there yet",
        ),
        Some(Shown::InForce) => {
            let (why, warning) = remarked(outcome);
            let message = format!(
                "the API server adds it to every pod, as a pod that was not created has shown{warning}"
            );
            conditions.set(type_, "True", why, message);
        }
        Some(Shown::Missing(missing)) => {
            let message = format!(
                "the API server leaves out {}, as a pod that was not created has shown: pods run where \
                 they like. AKS has the admission plugins for node selectors and tolerations; elsewhere, and \
                 for node affinity and spread, apply config/placement (Kubernetes 1.36 and later)",
                sentence(missing.iter().cloned())
            );
            conditions.set(type_, "False", reason::NOT_ADDED_TO_PODS, message);
        }
        Some(Shown::Refused(why)) => {
            let message = format!(
                "nobody knows: the API server refused the pod that would have shown it, which is not \
                 created ({why}); it is tried again"
            );
            conditions.set(type_, "Unknown", reason::TEST_REFUSED, message);
        }
    }
}

/// Whether every pod runs where it belongs, where those that do not are evicted.
fn pods_placed(conditions: &mut Conditions, outcome: &Outcome<'_>) {
    let type_ = condition::PODS_PLACED;
    match outcome.pods_placed {
        _ if !outcome.evicts => conditions.remove(type_),
        Some(Told {
            state,
            reason,
            message,
        }) => conditions.set(type_, state, reason, message),
        // What was told before the operator started stands until somebody has looked.
        None if conditions.has(type_) => {}
        None => {
            let message = "nobody has looked yet where the pods run";
            conditions.set(type_, "Unknown", reason::PROGRESSING, message);
        }
    }
}

/// Whether every pod was in its place when the status was written.
#[must_use]
pub fn were_pods_placed(status: Option<&LandingZoneStatus>) -> bool {
    let mut conditions = status.into_iter().flat_map(|status| &status.conditions);
    conditions.any(|it| it.type_ == condition::PODS_PLACED && it.status == "True")
}

/// What there is to know about the nodes that a placement admits. No numbers of nodes: they change with every
/// scaling of a pool.
fn remarked(outcome: &Outcome<'_>) -> (&'static str, String) {
    let wanted = outcome.zone.placement.as_ref();
    let wanted = wanted.and_then(|placement| placement.min_availability_zones);
    match outcome.placement.map(|looked| &looked.admitted) {
        Some(Admitted::None) => {
            let warning = "; but no node has what it asks for at present, and pods wait for one: a node pool \
                           that is scaled to zero, or a label or taint that no pool has";
            (reason::NO_NODE, warning.to_owned())
        }
        Some(Admitted::In(zones)) if wanted.is_some_and(|wanted| zones.len() < wanted.into()) => {
            let names: Vec<_> = zones.iter().map(String::as_str).collect();
            let names = if names.is_empty() {
                String::new()
            } else {
                format!(" ({})", names.join(", "))
            };
            let warning = format!(
                "; but its nodes are in {} availability zones{names}, and minAvailabilityZones asks for {}: use \
                 a pool that spans more, or ask for fewer",
                zones.len(),
                wanted.unwrap_or_default()
            );
            (reason::FEW_AVAILABILITY_ZONES, warning)
        }
        _ => (reason::ADDED_TO_PODS, String::new()),
    }
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

/// Writes a status on condition that the landing zone is as it was looked at. Returns its new
/// resource version.
///
/// # Errors
/// As the API server answers; a conflict means that it was changed meanwhile.
pub async fn write(
    client: &Client,
    zone: &LandingZone,
    resource_version: &str,
    status: &LandingZoneStatus,
) -> Result<String, kube::Error> {
    let operations = json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
        {"op": "add", "path": "/status", "value": status},
    ]);
    let patch = serde_json::from_value(operations).map_err(kube::Error::SerdeError)?;
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let api = Api::<LandingZone>::all(client.clone());
    let name = zone.name_any();
    let patch = Patch::Json::<()>(patch);
    let written = tokio::time::timeout(TIMEOUT, api.patch_status(&name, &params, &patch))
        .await
        .unwrap_or_else(|_| Err(kube::Error::Service(Box::new(WriteError::Timeout))))?;
    Ok(written.metadata.resource_version.unwrap_or_default())
}

/// Replaces the whole status of the platform: a list that became empty leaves nothing behind.
///
/// Returns its new resource version.
///
/// # Errors
/// As the API server answers.
pub async fn write_platform(
    client: &Client,
    status: &LandingZonePlatformStatus,
) -> Result<String, kube::Error> {
    let operations = json!([{"op": "add", "path": "/status", "value": status}]);
    let patch = serde_json::from_value(operations).map_err(kube::Error::SerdeError)?;
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    // The answer may be as unreadable as what is stored, so nothing but its metadata is read.
    let api = Api::<PartialObjectMeta<LandingZonePlatform>>::all(client.clone());
    let patch = Patch::Json::<()>(patch);
    let written = tokio::time::timeout(TIMEOUT, api.patch_status(PLATFORM_NAME, &params, &patch))
        .await
        .unwrap_or_else(|_| Err(kube::Error::Service(Box::new(WriteError::Timeout))))?;
    Ok(written.metadata.resource_version.unwrap_or_default())
}

/// Writes conditions, and leaves everything else of a status as it is.
///
/// # Errors
/// As the API server answers.
pub async fn write_conditions(
    client: &Client,
    zone: &str,
    generation: Option<i64>,
    conditions: &[Condition],
) -> Result<(), kube::Error> {
    let patch = json!({"status": {"observedGeneration": generation, "conditions": conditions}});
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    // The answer is as unreadable as what is stored, so nothing but its metadata is read.
    let api = Api::<PartialObjectMeta<LandingZone>>::all(client.clone());
    api.patch_status(zone, &params, &Patch::Merge(patch))
        .await
        .map(drop)
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
