//! What this cluster can do: the flavour of its policies and who enforces them.

mod facts;
mod follow;
mod watch;

pub use facts::{ClusterFacts, Enforcement, FLAVOUR_SIGNS};
pub use follow::{failure, follow};
pub use watch::{Signs, watch_signs};
