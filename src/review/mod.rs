//! What leaves a boundary: policies judged against what is declared; and what a change of declarations opens; pure.
//!
//! | file | what it knows |
//! |---|---|
//! | `rule`, `finding` | the catalogue, and what is found |
//! | `object`, `part` | policies of all kinds, as they are written; what of a cluster's objects is judged |
//! | `landscape` | whose namespaces there are, and what is declared |
//! | `judge` | a policy, end by end |
//! | `fatal` | on what Felix ends |
//! | `known` | what is known of every pod, and who gets through, in words |
//! | `address` | whose addresses ranges hold |
//! | `spans` | sets of addresses and ports, compared exactly |
//! | `covered` | what is declared to be open |
//! | `opening` | what a rule opens, and whether that lies within what another one does |
//! | `added` | what of what is found was not there before |
//! | `changes` | what one set of declarations opens that another one does not |

mod added;
mod address;
mod changes;
mod covered;
pub mod declare;
mod fatal;
mod finding;
mod judge;
mod known;
mod landscape;
mod object;
mod opening;
mod part;
mod rule;
mod spans;
mod waiver;

pub use added::{Found, added, identity};
pub use changes::{
    Change, ChangeKind, Declared, Part, ReachChange, Side, approval_required, changes,
};
pub use fatal::Fatal;
pub use finding::Finding;
pub use judge::{CALICOS_PREFIXES, FIRST_ORDER_OF_TEAMS, judge, judge_for};
pub use landscape::{Boundary, KnownNamespace, Landscape};
pub use object::{Body, Deciding, Object, StagedAction, Unread};
pub use opening::Opening;
pub use part::judged_part;
pub use rule::{Rule, Severity};
pub use waiver::{OtherReason, other_reasons, waive};
