//! What can go wrong with a request, and to which requests it happens.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;

use super::Call;
use crate::wait::eventually;

/// On which side of its effect something happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the request reaches the API server.
    Before,
    /// After it took effect, before the answer.
    After,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The world stands still at that moment, as if whoever asks had died: neither this request nor any later one is
    /// answered or reaches the API server, until [`FaultProxy::clear`](super::FaultProxy::clear).
    Crash(Moment),
    /// The connection ends at that moment.
    Lost(Moment),
    /// The API server is not asked.
    Refused(Refusal),
    /// The API server is asked later.
    Late(Duration),
    /// The connection ends after so many bytes of the answer.
    CutAfter(usize),
    /// Of a list: it is answered as it was when [`FaultProxy::record_lists`](super::FaultProxy::record_lists) recorded it;
    /// what was not recorded, as it is.
    Stale,
}

/// An answer in place of the API server's.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Such as 409.
    pub code: u16,
    /// Such as `Conflict`.
    pub reason: &'static str,
    /// What it says.
    pub message: &'static str,
    /// When to ask again, in seconds.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// Somebody else was faster.
    pub const CONFLICT: Self = Self::of(409, "Conflict", "the object has been modified");
    /// Whoever asks lacks the right.
    pub const FORBIDDEN: Self = Self::of(403, "Forbidden", "no RBAC policy matched");
    /// The API server failed.
    pub const INTERNAL_ERROR: Self = Self::of(500, "InternalError", "an error on the server");
    /// The API server is not there, such as behind a load balancer.
    pub const UNAVAILABLE: Self = Self::of(503, "ServiceUnavailable", "apiserver not ready");
    /// The API server has too much to do.
    pub const TOO_MANY: Self = Self {
        retry_after: Some(1),
        ..Self::of(429, "TooManyRequests", "too many requests")
    };

    const fn of(code: u16, reason: &'static str, message: &'static str) -> Self {
        Self {
            code,
            reason,
            message,
            retry_after: None,
        }
    }
}

type Predicate = Box<dyn Fn(&Call) -> bool + Send + Sync>;

/// Which requests something happens to.
pub struct Rule {
    fault: Fault,
    of: Predicate,
    passing: usize,
    times: usize,
}

impl Rule {
    /// To every request.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            of: Box::new(|_| true),
            passing: 0,
            times: usize::MAX,
        }
    }

    /// Only to such requests.
    #[must_use]
    pub fn of(mut self, of: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.of = Box::new(of);
        self
    }

    /// Only to one of them, counted from 0.
    #[must_use]
    pub fn at(mut self, number: usize) -> Self {
        (self.passing, self.times) = (number, 1);
        self
    }

    /// Only to the first so many of them.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}

/// A rule that is in force.
#[derive(Clone, Debug)]
pub struct Injected(Arc<AtomicUsize>);

impl Injected {
    /// How often it happened.
    #[must_use]
    pub fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits until it has happened.
    pub async fn happened(&self, deadline: Duration) -> Result<()> {
        eventually(deadline, "a fault to happen", async || {
            Ok((self.times() > 0).then_some(()))
        })
        .await
    }
}

/// The rules in force, tried in the order in which they came.
#[derive(Default)]
pub(super) struct Rules(Mutex<Vec<Armed>>);

struct Armed {
    rule: Rule,
    seen: usize,
    happened: Arc<AtomicUsize>,
}

/// A fault, and what counts that it happened: when it took place, not when it was decided on.
#[derive(Debug)]
pub(super) struct Decided {
    pub fault: Fault,
    pub happened: Arc<AtomicUsize>,
}

impl Decided {
    pub fn happens(&self) {
        self.happened.fetch_add(1, Ordering::SeqCst);
    }
}

impl Rules {
    pub fn add(&self, rule: Rule) -> Injected {
        let happened = Arc::new(AtomicUsize::new(0));
        self.lock().push(Armed {
            rule,
            seen: 0,
            happened: Arc::clone(&happened),
        });
        Injected(happened)
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    /// What happens to a request: the first rule that it is of, and whose turn it is, says.
    pub fn decide(&self, call: &Call) -> Option<Decided> {
        for armed in self.lock().iter_mut() {
            if !(armed.rule.of)(call) {
                continue;
            }
            let number = armed.seen;
            armed.seen += 1;
            let due = number
                .checked_sub(armed.rule.passing)
                .is_some_and(|past| past < armed.rule.times);
            if due {
                return Some(Decided {
                    fault: armed.rule.fault.clone(),
                    happened: Arc::clone(&armed.happened),
                });
            }
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Armed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.lock();
        let faults = faults.iter().map(|armed| &armed.rule.fault);
        formatter.debug_list().entries(faults).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &str) -> Call {
        Call {
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: String::new(),
        }
    }

    #[test]
    fn a_rule_concerns_those_requests_that_it_names_by_number() {
        let rules = Rules::default();
        let second = Rule::new(Fault::Lost(Moment::Before)).of(|call| call.path == "/a");
        rules.add(second.at(1));
        let hit = |path: &str| rules.decide(&write(path)).is_some();
        assert_eq!(
            ["/a", "/b", "/a", "/a"].map(hit),
            [false, false, true, false]
        );
    }

    #[test]
    fn the_first_rule_whose_turn_it_is_decides() {
        let rules = Rules::default();
        rules.add(Rule::new(Fault::Refused(Refusal::CONFLICT)).times(1));
        rules.add(Rule::new(Fault::Refused(Refusal::UNAVAILABLE)));
        let code = || match rules.decide(&write("/a")).unwrap().fault {
            Fault::Refused(refusal) => refusal.code,
            other => panic!("{other:?}"),
        };
        assert_eq!([code(), code(), code()], [409, 503, 503]);
        rules.clear();
        assert!(rules.decide(&write("/a")).is_none());
    }
}
