//! What leaves a boundary: policies judged against what is declared; pure.
//!
//! | file | what it knows |
//! |---|---|
//! | `rule`, `finding` | the catalogue, and what is found |
//! | `object` | policies of all kinds, as they are written |
//! | `landscape` | whose namespaces there are, and what is declared |
//! | `judge` | a policy, end by end |
//! | `waiver` | what an author says about findings |

mod finding;
mod judge;
mod landscape;
mod object;
mod rule;

pub use finding::Finding;
pub use judge::judge;
pub use landscape::{Boundary, KnownNamespace, Landscape};
pub use object::{Body, Object, Unread};
pub use rule::{Rule, Severity};
