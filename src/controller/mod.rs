//! observe → validate → build → compare → apply → status.
//!
//! [`apply`] and [`status`] are the only modules that write objects of landing zones and what is said of them; `webhook`
//! and `lease` write their own. What decides is pure and stands in a module of its own: [`claims`], [`adoption`], [`compare`], [`plan`], [`memory`].

pub mod adoption;
pub mod apply;
mod azure;
pub mod cache;
mod calico_metadata;
pub mod claims;
mod clients;
pub mod compare;
mod context;
pub(crate) mod crossings;
mod default_deny;
mod entry;
mod eviction;
mod guard;
pub mod inheritance;
mod kind;
mod lease;
mod left_alone;
pub mod memory;
pub mod neighbourhood;
mod others;
mod overload;
pub mod packed;
mod placement;
pub mod plan;
mod platform;
mod platform_status;
mod pressure;
pub(crate) mod pretenders;
mod reconcile;
pub(crate) mod released;
mod removal;
pub(crate) mod rendered;
mod report;
mod round;
mod run;
mod standby;
mod standstill;
pub mod status;
mod team_policies;
mod tiers;
mod watch;
mod webhook;
pub(crate) mod withheld;

pub use clients::Clients;
pub use kind::{Kind, ObjectKey, UnknownObject};
pub use lease::{Leadership, LeaseLost, NAME as LEASE, NotLeading};
pub use run::{Ended, Settings, run};
pub use webhook::{CertificateKeeper, WebhookSettings};
