//! What to do about the Lease, decided from what this process saw and when it saw it. The clocks of others decide
//! nothing: a Lease has run out once nobody changed it for as long as it lasts, by the clock of whoever looks.

use std::time::{Duration, Instant};

/// How long a Lease lasts without a renewal.
pub const LASTS: Duration = Duration::from_secs(10);
/// How often its holder renews it.
pub const RENEWED_EVERY: Duration = Duration::from_secs(2);
/// How long after it asked for its last renewal the holder still writes. Others count from when they saw the renewal,
/// which is later: between the last write of one and the first of another there are at least two seconds.
pub const WRITES_FOR: Duration = Duration::from_secs(8);
/// What somebody else's Lease may claim at most: a wrong figure must not keep everybody out for ever.
const LONGEST: Duration = Duration::from_mins(1);

/// What a Lease says, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; None: nobody.
    pub holder: Option<String>,
    /// How long it lasts without a renewal.
    pub lasts: Duration,
    /// When it was renewed, by the clock of its holder: one renewal differs from the next by this.
    pub renewed: Option<String>,
}

/// What this process knows of the Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// Nobody has looked yet.
    #[default]
    Unseen,
    /// It is not there.
    Absent,
    /// It is there, and says the same since then.
    Present(Record, Instant),
}

impl Sight {
    /// Takes in what the Lease says now.
    pub fn see(&mut self, record: Record, now: Instant) {
        let since = match self {
            Self::Present(known, since) if *known == record => *since,
            _ => now,
        };
        *self = Self::Present(record, since);
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Look: nothing is known.
    Look,
    /// Create it.
    Create,
    /// Write it with this process as its holder, whether that is so already or not.
    Hold,
    /// Nothing, until then or until it changes.
    WaitUntil(Instant),
    /// Somebody else holds what this process held: it must end.
    End(String),
}

/// Decides what to do. `renewed` is when this process asked for the last renewal that it got; None: it never held it.
pub fn step(me: &str, sight: &Sight, renewed: Option<Instant>, now: Instant) -> Step {
    let (record, since) = match sight {
        Sight::Unseen => return Step::Look,
        Sight::Absent => return Step::Create,
        Sight::Present(record, since) => (record, *since),
    };
    match (&record.holder, renewed) {
        (None, _) => Step::Hold,
        (Some(holder), Some(renewed)) if holder == me => due(renewed + RENEWED_EVERY, now),
        // This process ran before, under the same name, and that one is gone.
        (Some(holder), None) if holder == me => Step::Hold,
        (Some(holder), Some(_)) => Step::End(holder.clone()),
        (Some(_), None) => due(since + record.lasts.min(LONGEST), now),
    }
}

fn due(at: Instant, now: Instant) -> Step {
    if now >= at {
        Step::Hold
    } else {
        Step::WaitUntil(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn held_by(holder: &str, renewal: u64) -> Record {
        Record {
            holder: Some(holder.to_owned()),
            lasts: LASTS,
            renewed: Some(format!("renewal {renewal}")),
        }
    }

    #[test]
    fn what_is_not_there_is_created_and_what_nobody_holds_is_taken() {
        let now = Instant::now();
        assert_eq!(step("a", &Sight::Unseen, None, now), Step::Look);
        assert_eq!(step("a", &Sight::Absent, None, now), Step::Create);
        let free = Sight::Present(Record::default(), now);
        assert_eq!(step("a", &free, None, now), Step::Hold);
    }

    #[test]
    fn a_lease_runs_out_when_nobody_changed_it_for_as_long_as_it_lasts() {
        let start = Instant::now();
        let mut sight = Sight::Absent;
        sight.see(held_by("b", 1), start);
        let end = start + LASTS;
        let before = start + LASTS.saturating_sub(Duration::from_millis(1));
        assert_eq!(step("a", &sight, None, before), Step::WaitUntil(end));
        assert_eq!(step("a", &sight, None, end), Step::Hold);

        // The same once more is no renewal; another one is, whatever time it claims.
        sight.see(held_by("b", 1), start + seconds(5));
        assert_eq!(step("a", &sight, None, end), Step::Hold);
        sight.see(held_by("b", 0), start + seconds(5));
        assert_eq!(
            step("a", &sight, None, end),
            Step::WaitUntil(end + seconds(5))
        );
    }

    #[test]
    fn a_lease_that_claims_to_last_for_ever_does_not() {
        let start = Instant::now();
        let mut record = held_by("b", 1);
        record.lasts = seconds(u64::from(u32::MAX));
        let sight = Sight::Present(record, start);
        assert_eq!(step("a", &sight, None, start + LONGEST), Step::Hold);
    }

    #[test]
    fn its_holder_renews_it_in_time_and_ends_when_it_lost_it() {
        let start = Instant::now();
        let sight = Sight::Present(held_by("a", 1), start);
        let at = start + RENEWED_EVERY;
        assert_eq!(step("a", &sight, Some(start), start), Step::WaitUntil(at));
        assert_eq!(step("a", &sight, Some(start), at), Step::Hold);
        let lost = Sight::Present(held_by("b", 1), start);
        let end = Step::End("b".to_owned());
        assert_eq!(step("a", &lost, Some(start), start), end);
    }

    #[test]
    fn a_process_that_starts_anew_under_its_name_does_not_wait() {
        let now = Instant::now();
        let sight = Sight::Present(held_by("a", 1), now);
        assert_eq!(step("a", &sight, None, now), Step::Hold);
    }

    proptest! {
        /// Whenever one may take the Lease, the last one to renew it writes no more: whatever the time between asking
        /// and the renewal, and between the renewal and its being seen.
        #[test]
        fn nobody_takes_it_from_one_who_may_write(
            answered_after in 0_u64..8_000,
            seen_after in 0_u64..60_000,
            looked_after in 0_u64..120_000,
        ) {
            let asked = Instant::now();
            let seen = asked + Duration::from_millis(answered_after + seen_after);
            let looked = seen + Duration::from_millis(looked_after);
            let sight = Sight::Present(held_by("b", 1), seen);
            if step("a", &sight, None, looked) == Step::Hold {
                prop_assert!(looked >= asked + WRITES_FOR + seconds(2));
            }
        }
    }
}
