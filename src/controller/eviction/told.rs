//! What is told of pods that run elsewhere. Pure.

use crate::api::condition::reason;
use crate::controller::status::sentence;
use crate::domain::{Pod, Stays, awaited};

/// The condition `PodsPlaced`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// True, False or Unknown.
    pub state: &'static str,
    /// Why.
    pub reason: &'static str,
    /// What is so, what is done and what the reader can do.
    pub message: String,
}

impl Told {
    /// Which pods there are could not be found out.
    pub(super) fn unknown(why: &str) -> Self {
        Self {
            state: "Unknown",
            reason: reason::PODS_UNKNOWN,
            message: format!("nobody is evicted, since {why}; it is tried again"),
        }
    }

    /// Which pods there are may not be found out.
    pub(super) fn forbidden(why: &str) -> Self {
        Self {
            state: "Unknown",
            reason: reason::EVICTION_FORBIDDEN,
            message: format!(
                "nobody is evicted, since the operator may not look for pods: {why}; apply config/eviction, or \
                 take evictMisplaced back"
            ),
        }
    }

    /// Nobody is evicted before the placement is in force: pods would come back where they were.
    pub(in crate::controller) fn waits_for_placement() -> Self {
        Self {
            state: "Unknown",
            reason: reason::PLACEMENT_NOT_ENFORCED,
            message: "nobody is evicted before the placement is in force: see PlacementEnforced"
                .to_owned(),
        }
    }

    /// Whether it may be otherwise because of nodes that come.
    pub(super) fn waits_for_nodes(&self) -> bool {
        [reason::NO_NODE, reason::PODS_UNKNOWN].contains(&self.reason)
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The pods elsewhere that go sooner or later, in words.
    pub moving: Vec<String>,
    /// Those that stay, in words, and why.
    pub staying: Vec<(String, Stays)>,
    /// Pods that are not ready, or on their way out, and for which others of their workload wait, in words.
    pub awaited: Vec<String>,
    /// How many were evicted just now.
    pub evicted: usize,
    /// What an eviction was refused with.
    pub refused: Option<String>,
    /// Whether none could be for long.
    pub is_blocked: bool,
    /// Whether there is a node that the placement admits.
    pub has_nodes: bool,
}

impl Found {
    pub(super) fn of(elsewhere: &[&Pod], all: &[Pod]) -> Self {
        let mut found = Self {
            awaited: awaited(elsewhere, all)
                .map(|pod| format!("{}/{}", pod.namespace, pod.name))
                .collect(),
            ..Self::default()
        };
        for pod in elsewhere {
            let node = pod.node.as_deref().unwrap_or_default();
            let named = format!("{}/{} on {node}", pod.namespace, pod.name);
            match pod.stays() {
                Some(why) if !pod.is_leaving => found.staying.push((named, why)),
                _ => found.moving.push(named),
            }
        }
        found
    }

    /// What is told of it.
    pub(super) fn told(&self) -> Told {
        let Self {
            moving,
            staying,
            refused,
            ..
        } = self;
        let count = moving.len() + staying.len();
        if count == 0 {
            return Told {
                state: "True",
                reason: reason::ALL_PLACED,
                message: "every pod runs on a node that the placement admits".to_owned(),
            };
        }
        let mut message = match count {
            1 => "1 pod runs on a node that the placement does not admit".to_owned(),
            count => format!("{count} pods run on nodes that the placement does not admit"),
        };
        let mut why = reason::NOT_EVICTED;
        if !moving.is_empty() {
            let (then, now) = self.course();
            why = now;
            let named = sentence(moving.iter().cloned());
            message = format!("{message}; {then}: {named}");
            if !self.awaited.is_empty() {
                let awaited = sentence(self.awaited.iter().cloned());
                message = format!("{message}; not ready yet: {awaited}");
            }
            if let Some(refused) = refused {
                message = format!("{message}; the API server refuses to evict {refused}");
            }
        }
        if !staying.is_empty() {
            let named = staying.iter().map(|(pod, why)| format!("{pod} ({why})"));
            message = format!("{message}; not evicted: {}", sentence(named));
        }
        Told {
            state: "False",
            reason: why,
            message,
        }
    }

    /// What becomes of those that may be evicted.
    fn course(&self) -> (&'static str, &'static str) {
        if !self.has_nodes {
            let then = "nobody is evicted, since no node has what the placement asks for and takes pods at \
                        present";
            (then, reason::NO_NODE)
        } else if self.is_blocked {
            let then = "none could be evicted for 10 minutes; it is tried again";
            (then, reason::EVICTION_BLOCKED)
        } else {
            let then = "evicted one at a time from each workload, while its other pods are ready";
            (then, reason::EVICTING)
        }
    }
}
