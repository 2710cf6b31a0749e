//! Where landing zones hold the boundary, whatever policies say, and where nothing but policies does.

use std::collections::BTreeSet;

use super::super::input::Input;
use crate::api::Stage;
use crate::build;
use crate::domain::LandingZone;
use crate::policy::LabelMap;

/// Namespaces of landing zones, as a change leaves them.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Those of landing zones that deny: what crosses there is declared.
    enforced: BTreeSet<String>,
    /// All.
    claimed: BTreeSet<String>,
}

impl Held {
    pub fn of(input: &Input) -> Self {
        let names = |zone: &LandingZone| {
            let names = zone.namespaces.iter().map(|it| it.name.to_string());
            names.collect::<Vec<_>>()
        };
        let denies = |it: &&LandingZone| it.stage == Stage::Enforce;
        Self {
            enforced: input.zones.iter().filter(denies).flat_map(names).collect(),
            claimed: input.zones.iter().flat_map(names).collect(),
        }
    }

    /// Whether a landing zone denies what crosses the boundary of a namespace.
    pub fn denies(&self, namespace: &str) -> bool {
        self.enforced.contains(namespace)
    }

    /// Whether a landing zone labels a namespace, whatever else is written.
    pub fn labels(&self, namespace: &str) -> bool {
        self.claimed.contains(namespace)
    }
}

/// The namespaces that landing zones declare, with the labels that they give them.
pub(super) fn declared(input: &Input) -> impl Iterator<Item = (String, LabelMap)> {
    input.zones.iter().flat_map(build::namespaces).map(|it| {
        let labels = it.metadata.labels.unwrap_or_default();
        (it.metadata.name.unwrap_or_default(), labels)
    })
}
