//! What differs between what is there and what must be, as the operator's plan has it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tokio::time::Instant;

use super::world::Declared;
use crate::controller::ObjectKey;
use crate::controller::cache::{Objects, PLATFORM_OWNER};
use crate::controller::compare::{Difference, holder};
use crate::controller::memory::Memory;
use crate::controller::plan::{Basis, Change, Half, Plan, plan};
use crate::controller::rendered::Targets;

/// An object that is not as it must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ObjectDiff {
    /// Of which landing zone; None: of the platform.
    pub landing_zone: Option<String>,
    /// Which.
    pub key: ObjectKey,
    /// What is wrong with it.
    pub state: State,
    /// What differs.
    pub fields: Vec<Field>,
}

/// What is wrong with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is declared and not there.
    Missing,
    /// It is there and otherwise.
    Differs,
    /// It is there and no longer declared.
    NotDeclared,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// Where, from the root of the object.
    pub path: String,
    /// What is there.
    pub found: Option<Value>,
    /// What must be.
    pub declared: Option<Value>,
    /// Who wrote what is there, where it is known and not the operator.
    pub manager: Option<String>,
}

/// Objects that could not be read, and why.
pub(super) type Unread = BTreeMap<ObjectKey, String>;

/// What differs of a landing zone. Objects that could not be read are left out: nobody knows.
pub(super) fn zone(declared: &Declared, objects: &Objects, unread: &Unread) -> Vec<ObjectDiff> {
    let basis = Basis {
        half: Half::Cluster,
        owner: &declared.name,
        targets: declared.targets(),
        inventory: &declared.inventory,
        inherited: &BTreeSet::new(),
        left_alone: &declared.left_alone(),
        applied_before: false,
        lost: &BTreeSet::new(),
        recorded_keys: &declared.recorded_keys,
        memory: &Memory::default(),
        now: Instant::now(),
    };
    let plan = plan(&basis, objects);
    let mut all = differences(plan, Some(&declared.name));
    all.retain(|it| declared.is_compared(&it.key) && !unread.contains_key(&it.key));
    all
}

/// What differs of what all landing zones share.
pub(super) fn shared(
    targets: &Targets,
    inventory: &BTreeSet<ObjectKey>,
    objects: &Objects,
    unread: &Unread,
) -> Vec<ObjectDiff> {
    let basis = Basis {
        half: Half::Cluster,
        owner: PLATFORM_OWNER,
        targets,
        inventory,
        inherited: &BTreeSet::new(),
        left_alone: &BTreeSet::new(),
        applied_before: false,
        lost: &BTreeSet::new(),
        recorded_keys: &BTreeMap::new(),
        memory: &Memory::default(),
        now: Instant::now(),
    };
    let mut all = differences(plan(&basis, objects), None);
    all.retain(|it| !unread.contains_key(&it.key));
    all
}

fn differences(plan: Plan, landing_zone: Option<&str>) -> Vec<ObjectDiff> {
    let landing_zone = landing_zone.map(str::to_owned);
    let writes = plan.writes.into_iter().map(|write| {
        let (state, fields) = match &write.change {
            Change::Create => (State::Missing, Vec::new()),
            Change::Fields {
                found, differences, ..
            } => (State::Differs, fields(differences, found.as_deref())),
            Change::Metadata {
                found, differences, ..
            }
            | Change::Replace {
                found, differences, ..
            } => (State::Differs, fields(differences, Some(found))),
        };
        ObjectDiff {
            landing_zone: landing_zone.clone(),
            key: write.target.key,
            state,
            fields,
        }
    });
    // What is being deleted is missing soon, and comes back after that.
    let waiting = plan.waiting.into_iter().map(|key| (key, State::Missing));
    let gone = plan
        .prune
        .into_iter()
        .map(|it| (it.key, State::NotDeclared));
    let others = waiting.chain(gone).map(|(key, state)| ObjectDiff {
        landing_zone: landing_zone.clone(),
        key,
        state,
        fields: Vec::new(),
    });
    writes.chain(others).collect()
}

fn fields(differences: &[Difference], found: Option<&Value>) -> Vec<Field> {
    let field = |it: &Difference| Field {
        path: it.path.to_string(),
        found: it.found.clone(),
        declared: it.declared.clone(),
        manager: found
            .filter(|_| it.found.is_some())
            .and_then(|found| holder(found, &it.managed_path())),
    };
    differences.iter().map(field).collect()
}

#[cfg(test)]
mod tests;
