//! The tiers that all landing zones share.

use super::apply::{Behalf, Failure};
use super::cache::Objects;
use super::context::Context;
use super::plan::{Cause, Change, Plan, Write, field_change};
use super::rendered::{self, RenderError, Target};
use crate::api::AdoptionPolicy;
use crate::domain::Flavour;

/// Makes sure that the tiers are there and as they must be. Costs nothing when they are.
///
/// # Errors
/// Only where rendering is wrong. What could not be written is returned: the policies wait for it.
pub(super) async fn ensure(
    context: &Context,
    flavour: Flavour,
) -> Result<Vec<Failure>, RenderError> {
    if !flavour.tiers {
        return Ok(Vec::new());
    }
    let targets = rendered::tiers(flavour)?;
    if missing(&targets, &context.cache.read()).is_empty() {
        return Ok(Vec::new());
    }
    // All landing zones see at once that a tier is missing: one writes, the others look again.
    let _turn = context.tiers.lock().await;
    let writes = missing(&targets, &context.cache.read());
    let plan = Plan {
        writes,
        ..Plan::default()
    };
    let behalf = Behalf {
        zone: "",
        // The names are ours: a tier of that name with another order would break the boundary.
        adoption: AdoptionPolicy::Always,
        flavour,
    };
    let applied = context.writer.apply(&plan, Vec::new(), behalf).await;
    Ok(applied.failed)
}

fn missing(targets: &[Target], objects: &Objects) -> Vec<Write> {
    targets
        .iter()
        .filter_map(|target| {
            let change = match objects.get(&target.key) {
                None => Change::Create,
                Some(found) if found.digest == target.digest => return None,
                Some(found) => field_change(target, found),
            };
            Some(Write {
                target: target.clone(),
                change,
                cause: Cause::Declared,
                was_ours: false,
            })
        })
        .collect()
}
