//! Whether the API server has its hands full with what the operator writes: then what is merely told waits for a moment.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many writes of objects within [`MOMENT`] are pressure: more than a landing zone of average size takes.
const MANY: usize = 64;
const MOMENT: Duration = Duration::from_secs(1);
/// How long what is told waits for what is written, at most.
pub const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// When the last objects were written.
#[derive(Debug, Default)]
pub struct Pressure(Mutex<VecDeque<Instant>>);

impl Pressure {
    /// An object is being written.
    pub fn writes(&self, now: Instant) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == MANY {
            last.pop_front();
        }
        last.push_back(now);
    }

    /// Whether that is so at present.
    #[must_use]
    pub fn is_high(&self, now: Instant) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.len() == MANY && last.front().is_some_and(|it| now - *it < MOMENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_writes_in_a_moment_are_pressure_until_it_is_over() {
        let (pressure, start) = (Pressure::default(), Instant::now());
        let at = |thousandths: usize| start + Duration::from_millis(thousandths as u64);
        for count in 0..MANY {
            assert!(!pressure.is_high(at(count)), "after {count}");
            pressure.writes(at(count));
        }
        assert!(pressure.is_high(at(MANY)));
        assert!(!pressure.is_high(start + MOMENT));
    }

    #[test]
    fn many_writes_one_after_the_other_are_none() {
        let (pressure, start) = (Pressure::default(), Instant::now());
        for count in 0..10 * MANY {
            let now = start + MOMENT / 60 * u32::try_from(count).unwrap();
            pressure.writes(now);
            assert!(!pressure.is_high(now));
        }
    }
}
