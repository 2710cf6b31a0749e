//! What landing zones get where they say nothing.

use std::collections::BTreeMap;

use super::{Limits, Placement, Quantity};
use crate::api::PodSecurity;

/// What landing zones get where they say nothing; empty: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Hard limits of a namespace without quota, by resource name; empty: no quota.
    pub quota: BTreeMap<String, Quantity>,
    /// Defaults and bounds for each container of a namespace without limits.
    pub limits: Option<Limits>,
    /// Pod Security standard of a namespace that names none; never privileged. None: the built-in one.
    pub pod_security: Option<PodSecurity>,
    /// Which nodes the pods of a landing zone without placement run on; None: any.
    pub placement: Option<Placement>,
}
