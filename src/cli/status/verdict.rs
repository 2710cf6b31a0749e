//! What people want to know of a landing zone before anything else: whether it is healthy, whether somebody has to act
//! now, or whom it waits for. Pure.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::api::condition::{self, reason};
use crate::api::names::FINALIZER;
use crate::api::{
    CrossingState, CrossingStatus, LandingZone, LandingZonePlatform, LandingZoneStatus,
    NamespaceState,
};
use crate::controller::adoption::CREATED_ONCE_GONE;

/// How something stands, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Standing {
    /// All is as declared.
    Healthy,
    /// It becomes well once somebody else has done something.
    Waiting,
    /// Whoever declares it has to do something.
    ActNow,
}

/// Who has to do something before it goes on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "who")]
pub(super) enum Whom {
    /// Kubernetes, which deletes a namespace.
    Kubernetes,
    /// The operator.
    Operator,
    /// Whoever runs the cluster.
    PlatformTeam,
    /// The team of another landing zone.
    LandingZone {
        /// Its name.
        name: String,
    },
    /// Nodes that are not there.
    Nodes,
    /// Its own team, which keeps it back by `stage` or `suspend`.
    OwnTeam,
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kubernetes => "Kubernetes",
            Self::Operator => "the operator",
            Self::PlatformTeam => "the platform team",
            Self::LandingZone { name } => return write!(f, "the team of landing zone {name}"),
            Self::Nodes => "nodes",
            Self::OwnTeam => "its own team",
        })
    }
}

/// What is said first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// How it stands.
    pub standing: Standing,
    /// For whom it waits; nobody where it does not.
    pub waiting_for: Vec<Whom>,
    /// Why, and what to do.
    pub message: String,
}

impl Verdict {
    /// Without its message: `waiting for the operator and nodes`.
    pub(super) fn word(&self) -> String {
        match self.standing {
            Standing::Healthy => "healthy".to_owned(),
            Standing::ActNow => "act now".to_owned(),
            Standing::Waiting => {
                let all: Vec<_> = self.waiting_for.iter().map(ToString::to_string).collect();
                format!("waiting for {}", all.join(" and "))
            }
        }
    }

    /// Something that cannot be read.
    pub(super) fn unreadable(why: &str) -> Self {
        Self {
            standing: Standing::ActNow,
            waiting_for: Vec::new(),
            message: format!("the declaration cannot be read: {why}"),
        }
    }

    fn waiting(whom: Whom, message: impl Into<String>) -> Self {
        Self {
            standing: Standing::Waiting,
            waiting_for: vec![whom],
            message: message.into(),
        }
    }
}

/// `act now: why`
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word())?;
        if self.message.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.message)
    }
}

/// What follows from a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Course {
    /// Nothing; or another condition tells.
    Fine,
    /// Whoever declares it has to do something.
    Act,
    /// Somebody is waited for.
    Wait(Whom),
    /// It depends on the crossings.
    Crossings,
    /// It depends on who has what is declared, and for how long.
    Conflict,
    /// It depends on the namespaces that are somebody else's.
    NotAdopted,
    /// It depends on what others write.
    WeakBoundary,
}

/// What follows from a reason, whatever condition has it; None for one that this version does not know.
fn course(why: &str) -> Option<Course> {
    Some(match why {
        reason::AS_DECLARED
        | reason::CALICO
        | reason::OBSERVED
        | reason::ADDED_TO_PODS
        | reason::ALL_PLACED
        | reason::CROSSINGS_REMARKED
        | reason::NOTHING_CROSSES
        | reason::KEPT_CLOSED
        | reason::NO_OTHER_WRITER
        | reason::DECLARED
        | reason::TOLD
        | reason::IP_POOLS
        | reason::NODES
        | reason::SERVICE_FOUND
        | reason::OFF
        | reason::ENFORCING
        | reason::ANSWERING
        // Bicep or Terraform makes it.
        | reason::NOT_MANAGED
        // Ready tells whose the namespaces are, and PlacementEnforced why it is not in force.
        | reason::NAMESPACES_WITHHELD
        | reason::PLACEMENT_NOT_ENFORCED => Course::Fine,
        reason::PROGRESSING
        | reason::POLICIES_PENDING
        | reason::TEST_REFUSED
        | reason::REPLACING
        | reason::EVICTING
        | reason::PODS_UNKNOWN => Course::Wait(Whom::Operator),
        reason::TERMINATING | reason::DELETING => Course::Wait(Whom::Kubernetes),
        reason::SUSPENDED | reason::PLAN_ONLY => Course::Wait(Whom::OwnTeam),
        reason::NO_NODE | reason::FEW_AVAILABILITY_ZONES => Course::Wait(Whom::Nodes),
        reason::APPLY_FAILED
        | reason::NO_ENFORCING_PLUGIN
        | reason::NOT_ADDED_TO_PODS
        | reason::EVICTION_FORBIDDEN
        | reason::KARPENTER_MISSING
        | reason::KARPENTER_UNFIT
        | reason::SERVICE_OPERATOR_MISSING
        | reason::SERVICE_OPERATOR_UNFIT
        | reason::NOT_WATCHED
        | reason::DELETION_REFUSED => Course::Wait(Whom::PlatformTeam),
        reason::INVALID
        | reason::EVICTION_BLOCKED
        | reason::NOT_EVICTED
        | reason::BOUNDARY_OPEN
        | reason::POOL_CANNOT_CHANGE
        | reason::REFUSED_BY_AZURE
        | reason::LEAVING
        | reason::OTHER_WRITER
        | reason::CONFIRMATION_NEEDED
        | reason::NOT_FOUND
        | reason::SERVICE_MISSING
        | reason::WOULD_CUT_OFF
        | reason::EXEMPTIONS_TOO_LONG
        | reason::NOT_ANSWERING
        | reason::WEBHOOK_MISSING
        | reason::NO_CERTIFICATE
        | reason::NO_CALICO => Course::Act,
        reason::CONFLICT => Course::Conflict,
        reason::NOT_ADOPTED => Course::NotAdopted,
        reason::CROSSINGS_CLOSED => Course::Crossings,
        reason::KUBERNETES_POLICIES_ONLY => Course::WeakBoundary,
        _ => return None,
    })
}

/// What is said of one matter.
struct Said {
    /// None: somebody has to act.
    whom: Option<Whom>,
    why: String,
    message: String,
}

/// What is said of a landing zone.
pub(super) fn of_zone(zone: &LandingZone) -> Verdict {
    let nothing = LandingZoneStatus::default();
    let status = zone.status.as_ref().unwrap_or(&nothing);
    let ready = find(&status.conditions, condition::READY);
    if zone.metadata.deletion_timestamp.is_some() {
        return leaving(zone, status);
    }
    let Some(ready) = ready else {
        let message = "nothing is known of it yet; if that lasts, see whether the operator runs (metric landingzone_leader)";
        return Verdict::waiting(Whom::Operator, message);
    };
    if let Some(verdict) = unseen(zone.metadata.generation, status.observed_generation) {
        return verdict;
    }
    let mut all = Vec::new();
    for it in told(&status.conditions) {
        say(&mut all, it, status);
    }
    verdict(all, &ready.message)
}

/// What is said of the platform, whose team reads it.
pub(super) fn of_platform(platform: &LandingZonePlatform) -> Verdict {
    let nothing = LandingZoneStatus::default();
    let Some(status) = &platform.status else {
        let message = "nothing is known of the platform yet: does the operator run?";
        return Verdict::waiting(Whom::Operator, message);
    };
    if let Some(verdict) = unseen(platform.metadata.generation, status.observed_generation) {
        return verdict;
    }
    let mut all = Vec::new();
    for it in told(&status.conditions) {
        say(&mut all, it, &nothing);
    }
    for said in &mut all {
        // It is they who read it.
        if said.whom == Some(Whom::PlatformTeam) {
            said.whom = None;
        }
    }
    let ready = find(&status.conditions, condition::READY);
    verdict(all, ready.map_or("", |it| it.message.as_str()))
}

fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|it| it.type_ == type_)
}

/// Those that say something of their own, Ready first: Reconciling and Stalled repeat it.
fn told(conditions: &[Condition]) -> impl Iterator<Item = &Condition> {
    let repeats = [condition::READY, condition::RECONCILING, condition::STALLED];
    let others = conditions
        .iter()
        .filter(move |it| !repeats.contains(&it.type_.as_str()));
    find(conditions, condition::READY).into_iter().chain(others)
}

/// A declaration that was edited since the status was written.
fn unseen(generation: Option<i64>, observed: Option<i64>) -> Option<Verdict> {
    let is_seen = generation.is_none() || observed >= generation;
    let message = "the declaration was edited, and the operator has not answered yet; if that lasts, see whether it \
                   runs (metric landingzone_leader)";
    (!is_seen).then(|| Verdict::waiting(Whom::Operator, message))
}

/// A landing zone that is being deleted.
fn leaving(zone: &LandingZone, status: &LandingZoneStatus) -> Verdict {
    let ready = find(&status.conditions, condition::READY);
    let message = ready.map(|it| it.message.clone()).unwrap_or_default();
    match ready.map(|it| it.reason.as_str()) {
        Some(reason::CONFIRMATION_NEEDED) => {
            return Verdict {
                standing: Standing::ActNow,
                waiting_for: Vec::new(),
                message,
            };
        }
        Some(reason::DELETION_REFUSED) => return Verdict::waiting(Whom::PlatformTeam, message),
        Some(reason::DELETING) => return Verdict::waiting(Whom::Kubernetes, message),
        _ => {}
    }
    let others = zone.finalizers().iter().filter(|it| *it != FINALIZER);
    let others: Vec<_> = others.map(String::as_str).collect();
    if others.is_empty() {
        let message = "it is being deleted, and the operator has not taken that up yet";
        return Verdict::waiting(Whom::Operator, message);
    }
    let message = format!(
        "it is being deleted, and whoever set these finalizers has to take them off: {}",
        others.join(", ")
    );
    Verdict::waiting(Whom::Kubernetes, message)
}

/// Says what follows from a condition.
fn say(all: &mut Vec<Said>, told: &Condition, status: &LandingZoneStatus) {
    let mut add = |whom: Option<Whom>, message: String| {
        let why = told.reason.clone();
        // One matter may stand in several conditions, of which some only refer to another.
        match all.iter_mut().find(|it| it.why == why && it.whom == whom) {
            Some(known) if refers(&known.message) && !refers(&message) => known.message = message,
            Some(_) => {}
            None => all.push(Said { whom, why, message }),
        }
    };
    let message = told.message.clone();
    let Some(course) = course(&told.reason) else {
        // An operator that is newer says something new, or somebody else has a condition of their own here.
        if is_ours(&told.type_) && told.status != good(&told.type_) {
            add(None, message);
        }
        return;
    };
    match course {
        Course::Fine => {}
        Course::Act => add(None, message),
        Course::Wait(whom) => add(Some(whom), message),
        Course::Conflict => add(conflict(&message, status), message),
        Course::NotAdopted => {
            let mut withheld = status
                .namespaces
                .iter()
                .filter(|it| it.state == NamespaceState::Withheld)
                .filter_map(|it| it.message.as_deref())
                .peekable();
            let is_soon_gone =
                withheld.peek().is_some() && withheld.all(|it| it.contains(CREATED_ONCE_GONE));
            add(is_soon_gone.then_some(Whom::Kubernetes), message);
        }
        Course::WeakBoundary => {
            let is_open = status.findings.iter().any(|it| it.open);
            let is_told_here = told.type_ == condition::BOUNDARY_HELD;
            let whom = Some(Whom::PlatformTeam).filter(|_| !(is_open && is_told_here));
            add(whom, message);
        }
        Course::Crossings => {
            let closed = status.crossings.iter().filter_map(closed);
            let closed: Vec<_> = closed.collect();
            if closed.is_empty() {
                // Not all of them are listed.
                add(None, message);
            }
            for (whom, message) in closed {
                add(whom, message);
            }
        }
    }
}

/// Whether a message sends its reader to another condition.
fn refers(message: &str) -> bool {
    [
        condition::READY,
        condition::NAMESPACES_READY,
        condition::NETWORK_ENFORCED,
        condition::PLACEMENT_ENFORCED,
        condition::AZURE_READY,
    ]
    .iter()
    .any(|type_| message.contains(&format!("see {type_}")))
}

/// While a conflict is young, or the other one is on its way out, waiting is enough.
fn conflict(message: &str, status: &LandingZoneStatus) -> Option<Whom> {
    let is_stalled =
        find(&status.conditions, condition::STALLED).is_some_and(|it| it.status == "True");
    if is_stalled {
        return None;
    }
    let name = message.split("landing zone ").nth(1)?;
    let name = name.split([' ', ',', ';', ':']).next()?;
    Some(Whom::LandingZone {
        name: name.to_owned(),
    })
}

/// Who has to do something about a crossing that is closed; None where it is open, or nobody here asks for it.
fn closed(crossing: &CrossingStatus) -> Option<(Option<Whom>, String)> {
    let there = || {
        let name = crossing.peer.strip_prefix("landing zone ")?;
        let name = name.split(',').next()?.to_owned();
        Some(Whom::LandingZone { name })
    };
    let whom = match crossing.state {
        CrossingState::Open | CrossingState::DeclaredThere => return None,
        CrossingState::DeclaredHere | CrossingState::PeerNotInForce => there(),
        CrossingState::NoSuchPeer => Some(there().unwrap_or(Whom::PlatformTeam)),
        CrossingState::NotAcknowledged | CrossingState::Expired => None,
        CrossingState::Unsupported => Some(Whom::PlatformTeam),
    };
    let why = crossing.message.as_deref().unwrap_or("closed");
    let message = format!("{} ({}): {why}", crossing.name, crossing.peer);
    Some((whom, message))
}

/// Whether a condition is the operator's: others may have their own beside it.
fn is_ours(type_: &str) -> bool {
    OURS.contains(&type_)
}

/// All that the operator sets.
const OURS: [&str; 15] = [
    condition::READY,
    condition::RECONCILING,
    condition::STALLED,
    condition::NAMESPACES_READY,
    condition::NETWORK_ENFORCED,
    condition::PLACEMENT_ENFORCED,
    condition::PODS_PLACED,
    condition::CROSSINGS_OPEN,
    condition::BOUNDARY_HELD,
    condition::CONTESTED,
    condition::AZURE_READY,
    condition::DEFAULT_DENY_READY,
    condition::GUARD_READY,
    condition::POD_RANGES_KNOWN,
    condition::NODE_LOCAL_DNS_ALLOWED,
];

/// The state of a condition while all is well.
fn good(type_: &str) -> &'static str {
    match type_ {
        condition::RECONCILING | condition::STALLED | condition::CONTESTED => "False",
        _ => "True",
    }
}

/// What one condition of a status says.
pub(super) fn standing(told: &Condition, status: &LandingZoneStatus) -> Standing {
    let mut said = Vec::new();
    say(&mut said, told, status);
    verdict(said, "").standing
}

/// The first matter of the worst kind stands for all of them.
fn verdict(mut all: Vec<Said>, healthy: &str) -> Verdict {
    all.sort_by(|one, other| one.whom.cmp(&other.whom));
    let Some(first) = all.first() else {
        return Verdict {
            standing: Standing::Healthy,
            waiting_for: Vec::new(),
            message: healthy.to_owned(),
        };
    };
    let mut message = first.message.clone();
    let alike = all.iter().filter(|it| it.whom == first.whom).count() - 1;
    if alike > 0 {
        message = format!("{message} (and {alike} more, see below)");
    }
    if first.whom.is_none() {
        return Verdict {
            standing: Standing::ActNow,
            waiting_for: Vec::new(),
            message,
        };
    }
    let mut waiting_for: Vec<Whom> = all.into_iter().filter_map(|it| it.whom).collect();
    waiting_for.dedup();
    Verdict {
        standing: Standing::Waiting,
        waiting_for,
        message,
    }
}

#[cfg(test)]
mod tests;
