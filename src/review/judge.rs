//! A policy, judged end by end.

use super::{Finding, Landscape, Object};

/// Everything that is found in an object, in the order of its fields.
#[must_use]
pub fn judge(_object: &Object, _landscape: &Landscape) -> Vec<Finding> {
    Vec::new()
}
