//! What the operator tells about itself: metrics, health, logs and events.

mod events;
mod health;
mod logs;
mod metrics;
mod panics;
mod server;

pub use events::{Busy, Events, Note, Severity};
pub use health::Health;
pub use logs::{LogFormat, start_logs};
pub use metrics::{
    CrossingLabels, FindingLabels, GuardLabels, KindLabels, Metrics, ReasonLabels, RequestVerb,
    Result as ReconcileResult, ResultLabels, ReviewLabels, ReviewResult, WriteLabels,
};
pub use panics::{Panicked, contained, end_on_panic};
pub use server::serve;
