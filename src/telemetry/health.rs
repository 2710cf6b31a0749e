//! Whether the operator sees all that it needs, and if not, why.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The state of each thing that the operator needs. A failure is logged once, not at every retry.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, Part>>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Waiting,
    Well,
    Failing(String),
}

impl Health {
    /// Something is needed and was not seen yet.
    pub fn waits_for(&self, part: &str) {
        self.lock().insert(part.to_owned(), Part::Waiting);
    }

    /// Something is as it must be.
    pub fn is_well(&self, part: &str) {
        let mut parts = self.lock();
        let before = parts.insert(part.to_owned(), Part::Well);
        match before {
            Some(failing @ Part::Failing(_)) if !parts.values().any(|other| *other == failing) => {
                tracing::info!(part, "works again");
            }
            Some(Part::Well) => {}
            _ => tracing::debug!(part, "works"),
        }
    }

    /// Something fails; it is being tried again. What fails for the same reason as something else
    /// is not worth a line of its own: an API server that is gone fails every watch.
    pub fn fails(&self, part: &str, why: &str) {
        let failing = Part::Failing(why.to_owned());
        let mut parts = self.lock();
        let told = parts.values().any(|other| *other == failing);
        parts.insert(part.to_owned(), failing);
        if told {
            tracing::debug!(part, why, "does not work; trying again");
        } else {
            tracing::warn!(part, why, "does not work; trying again");
        }
    }

    /// Something is no longer needed.
    pub fn not_needed(&self, part: &str) {
        self.lock().remove(part);
    }

    /// Everything that is not well, a line each; empty: all is well. Before anything was asked for,
    /// nothing is well.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let parts = self.lock();
        if parts.is_empty() {
            return vec!["starting".to_owned()];
        }
        parts
            .iter()
            .filter_map(|(name, part)| match part {
                Part::Well => None,
                Part::Waiting => Some(format!("{name}: not seen yet")),
                Part::Failing(why) => Some(format!("{name}: {why}")),
            })
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_ready_before_anything_is_known_and_says_what_is_missing() {
        let health = Health::default();
        assert_eq!(health.complaints(), ["starting"]);
        health.waits_for("watch of namespaces");
        health.is_well("watch of landingzones");
        assert_eq!(health.complaints(), ["watch of namespaces: not seen yet"]);
        health.fails("watch of namespaces", "forbidden");
        assert_eq!(health.complaints(), ["watch of namespaces: forbidden"]);
        health.is_well("watch of namespaces");
        assert!(health.complaints().is_empty());
    }
}
