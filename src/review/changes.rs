//! What one set of declarations opens across boundaries that another one does not: a change, by its meaning.
//!
//! | file | what it knows |
//! |---|---|
//! | `estate` | one of the two sets, and what is open across each boundary |
//! | `extent` | what is open, taken apart and compared exactly |
//! | `crossings` | crossings and shared services of a landing zone, one by one |
//! | `landing_zone` | everything else of a landing zone |
//! | `platform` | what holds for the whole cluster |
//! | `reach`, `lines` | what the rendered policies let through, before and after, and in words |
//! | `about` | which part of that is shown with a change |
//! | `approval` | what the policies open beyond what the declarations explain |
//!
//! A landing zone in stage Observe is judged as if it were in stage Enforce: what is declared while nothing is
//! denied yet would otherwise be open later without anybody having seen it. Where one begins or ends to be observed, what is
//! shown is what is open.

mod about;
mod approval;
mod crossings;
mod estate;
mod extent;
mod landing_zone;
mod lines;
mod platform;
mod reach;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::civil::Date;
use serde::{Serialize, Serializer};

use super::spans;
use crate::api::{CrossingDirection, RangeAcknowledgement};
use crate::domain::{FieldPath, Flavour, LandingZone, LandingZoneName, Platform};
use about::About;
use estate::Estate;

/// All that is declared.
#[derive(Clone, Copy, Debug)]
pub struct Declared<'a> {
    /// All landing zones; names are unique.
    pub zones: &'a [LandingZone],
    /// What holds for the whole cluster.
    pub platform: &'a Platform,
}

/// One thing that is declared otherwise than before.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Whose declaration changed; None: the platform's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing_zone: Option<String>,
    /// What of it.
    pub part: Part,
    /// What became of it.
    pub kind: ChangeKind,
    /// Whether it opens something across a boundary, or weakens what holds the boundary: somebody has to approve it.
    pub crosses_boundary: bool,
    /// Name of the crossing, service, namespace …; empty where the part has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Who opens the connection; of crossings only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<CrossingDirection>,
    /// Who is on the other side, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Ports as declared, for instance TCP 5432; empty: all, or there is nothing to say about ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// Why a crossing is needed, as declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who answers for it, as declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Last day of a crossing, as declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Date>,
    /// A range that is seldom meant, and is meant here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<RangeAcknowledgement>,
    /// In which of the two sets of declarations `path` is found.
    pub side: Side,
    /// The field, from the root of the object; where it is not written out, the nearest field above it is meant.
    #[serde(serialize_with = "as_text")]
    pub path: FieldPath,
    /// What the rendered policies let through of what the change is about.
    #[serde(skip_serializing_if = "ReachChange::is_empty")]
    pub reach: ReachChange,
    /// All of it in one sentence.
    pub message: String,
    /// What that the policies newly let through it explains.
    #[serde(skip)]
    scope: Scope,
    /// What of it is shown.
    #[serde(skip)]
    about: About,
}

/// What the rendered policies let through across the boundary, before and after, in words such as
/// `application2/backend → orders/data TCP 5432, until 2026-12-31`. Of a crossing or a shared service it is between those
/// whom it is about, of a namespace it is what its zone reaches, and of a stage all of the landing zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReachChange {
    /// Before.
    pub before: Vec<String>,
    /// After.
    pub after: Vec<String>,
}

/// One of the two sets of declarations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Side {
    /// What was there.
    Before,
    /// What shall be there.
    After,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum ChangeKind {
    /// It is open, and was not.
    Opened,
    /// More is open than before: peers, ports, zones or pods.
    Widened,
    /// It is open for longer.
    Extended,
    /// Less holds the boundary: a stage, an exemption, the standard of pods.
    Lowered,
    /// It went from one landing zone, or from one zone, to another.
    Moved,
    /// It is declared, and nothing is open yet: the other half is missing.
    StillClosed,
    /// Less is open than before.
    Narrowed,
    /// It ends sooner.
    Shortened,
    /// It is not open any more.
    Closed,
    /// More holds the boundary.
    Raised,
    /// The same is open as before, said otherwise.
    Reworded,
    /// It is there, and was not.
    Added,
    /// It is gone.
    Removed,
    /// It is otherwise.
    Changed,
}

/// What of a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// The landing zone as a whole.
    LandingZone,
    /// Its stage.
    Stage,
    /// Whether nothing is reconciled.
    Suspend,
    /// A namespace.
    Namespace,
    /// The Pod Security standard of a namespace.
    PodSecurity,
    /// A crossing.
    Crossing,
    /// A shared service: asked for by a landing zone, or declared by the platform.
    SharedService,
    /// What the policies let through, and no other change explains.
    Reach,
    /// Traffic inside the landing zone.
    Flow,
    /// Who may do what.
    Access,
    /// Which nodes pods run on.
    Placement,
    /// A quota.
    Quota,
    /// Defaults and bounds of containers.
    Limits,
    /// Labels and annotations of namespaces.
    Metadata,
    /// Contact, code and policies of adoption and deletion.
    Description,
    /// A destination that the platform names.
    Destination,
    /// What becomes of crossings whose last day is over.
    ExpiredCrossings,
    /// The default deny of the whole cluster.
    DefaultDeny,
    /// Whom the default deny leaves alone.
    Exempt,
    /// What is done about policies that leave a boundary when somebody writes them.
    Guard,
    /// A rule for what application teams put into landing zones.
    WorkloadRules,
    /// Addresses of pods, nodes, the API server, or Services.
    Network,
    /// Addresses of DNS.
    Dns,
    /// Cluster roles that may be handed out.
    Roles,
    /// What landing zones get where they say nothing, and labels that they must have.
    Defaults,
    /// What a landing zone owns in Azure, or where the cluster lies there.
    Azure,
}

/// What that the policies newly let through is explained by a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Scope {
    /// Nothing.
    #[default]
    Nothing,
    /// What is between its landing zone and this one.
    Peer(LandingZoneName),
    /// What is between its landing zone and whoever is in none.
    Outside,
    /// All of its landing zone, if there is anything: then it crosses the boundary.
    Carries(LandingZoneName),
    /// What is between any landing zone and whoever is in none.
    AnyOutside,
    /// Everything.
    Everything,
}

/// What changed from one set of declarations to another, those first that need approval; the rest by landing
/// zone. The order of lists means nothing, and neither does how a range or a list of ports is written.
///
/// `today` decides which crossings are over. Both sides are rendered for the same `flavour`.
#[must_use]
pub fn changes(
    before: Declared<'_>,
    after: Declared<'_>,
    flavour: Flavour,
    today: Date,
) -> Vec<Change> {
    let before = Estate::new(before, flavour, today, None);
    let after = Estate::new(after, flavour, today, Some(&before));
    let mut changes = platform::changes(&before, &after);
    changes.extend(landing_zone::changes(&before, &after));
    approval::judge(&before, &after, &mut changes);
    changes.sort_by(|one, other| {
        let rank = |it: &Change| (!it.crosses_boundary, it.landing_zone.clone());
        rank(one).cmp(&rank(other))
    });
    changes
}

/// Whether any of these crosses a boundary, so that somebody has to approve them.
#[must_use]
pub fn approval_required(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.crosses_boundary)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ReachChange {
    fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }
}

impl Change {
    /// A change that crosses no boundary, of a landing zone or, without one, of the platform.
    fn new(
        landing_zone: Option<&LandingZoneName>,
        (part, kind): (Part, ChangeKind),
        (side, path): (Side, FieldPath),
        message: impl Into<String>,
    ) -> Self {
        Self {
            landing_zone: landing_zone.map(ToString::to_string),
            part,
            kind,
            crosses_boundary: false,
            name: String::new(),
            direction: None,
            peer: None,
            ports: Vec::new(),
            reason: None,
            owner: None,
            valid_until: None,
            acknowledge: None,
            side,
            path,
            reach: ReachChange::default(),
            message: message.into(),
            scope: Scope::Nothing,
            about: About::Whole,
        }
    }

    fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }

    fn about(self, about: About) -> Self {
        Self { about, ..self }
    }

    fn crossing_if(self, crosses_boundary: bool, scope: Scope) -> Self {
        Self {
            crosses_boundary,
            scope,
            ..self
        }
    }
}

fn as_text<S: Serializer>(path: &FieldPath, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(path)
}

/// The path of the spec.
fn spec() -> FieldPath {
    FieldPath::default().key("spec")
}
