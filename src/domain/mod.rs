//! Validated values: what cannot be said wrongly.
//!
//! [`LandingZone::validate`] turns what people wrote into these types, or says everything that is
//! wrong with it, each with field, value, rule and way out. The schema of the kind refuses the same
//! mistakes on admission; these rules serve the command line and whatever reached the cluster
//! before the schema knew a rule.

mod flavour;
mod landing_zone;
mod names;
mod platform;
mod problem;
mod quantity;
mod syntax;
mod validate;

pub use flavour::{CalicoNaming, Flavour, PolicyApi};
pub use landing_zone::{
    Access, Flow, FlowEnd, LandingZone, Limits, Namespace, Network, Placement, PortRange,
    Toleration,
};
pub use names::{ApplicationCode, LandingZoneName, NamespaceName, Zone};
pub use platform::{BUILT_IN_EXEMPT_NAMESPACES, PLATFORM_NAME, Platform};
pub use problem::{FieldPath, Problem, Segment};
pub use quantity::Quantity;
