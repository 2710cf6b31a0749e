//! How one certificate follows another, so that the API server trusts whatever is shown at any moment: it is told both
//! authorities, and only when that has spread the server shows the new certificate. Pure.

use std::time::{Duration, Instant};

/// How long an API server may go on trusting what it was told before: each of several follows the configuration by
/// itself.
pub(super) const SPREADS_WITHIN: Duration = Duration::from_secs(10);

/// What the API server knows, and since when.
#[derive(Debug, Default)]
pub(super) struct Handover {
    known: Option<(String, Instant)>,
}

impl Handover {
    /// Whether the server may show a certificate whose authority is among those that are told now; `is_known`: whether
    /// the configuration has been seen with them.
    pub fn has_spread(&mut self, authorities: &str, is_known: bool, now: Instant) -> bool {
        if !is_known {
            self.known = None;
            return false;
        }
        match &self.known {
            Some((known, since)) if known == authorities => now - *since >= SPREADS_WITHIN,
            _ => {
                self.known = Some((authorities.to_owned(), now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use jiff::Timestamp;

    use super::*;
    use crate::admission::certificate::Certificate;

    const SERVER: &str = "landing-zone-operator-guard.landing-zone-system.svc";

    /// An API server that learns late what it is told.
    struct Late(VecDeque<(Instant, String)>);

    impl Late {
        fn trusts(&mut self, shown: &Certificate, now: Instant) -> bool {
            while self
                .0
                .get(1)
                .is_some_and(|(told, _)| now - *told >= SPREADS_WITHIN)
            {
                self.0.pop_front();
            }
            let known = Certificate {
                authorities: self.0[0].1.clone(),
                ..shown.clone()
            };
            known.examine(SERVER, Timestamp::now()).is_ok()
        }
    }

    #[test]
    fn whatever_is_shown_is_trusted_at_every_moment() {
        let make = |before: Option<&Certificate>| {
            Certificate::make(SERVER, Timestamp::now(), before).unwrap()
        };
        let first = make(None);
        let renewed = make(Some(&first));
        // Somebody put another one into the Secret, made without regard to what is shown.
        let foreign = make(None);
        let last = make(Some(&foreign));
        let start = Instant::now();
        let mut late = Late([(start, first.authorities.clone())].into());
        let mut handover = Handover::default();
        let mut shown = first.clone();
        let mut told = first.authorities.clone();
        for second in 0..200 {
            let now = start + Duration::from_secs(second);
            let wanted = match second {
                20..60 => &renewed,
                60..65 => &foreign,
                65..130 => &last,
                _ => &first,
            };
            let authorities = wanted.authorities_beside(&shown);
            let is_known = told == authorities;
            if !is_known {
                told.clone_from(&authorities);
                late.0.push_back((now, authorities.clone()));
            }
            let has_spread = handover.has_spread(&authorities, is_known, now);
            if has_spread {
                shown.clone_from(wanted);
            }
            assert!(late.trusts(&shown, now), "after {second} s");
            if [59, 129, 199].contains(&second) {
                assert!(
                    shown == *wanted,
                    "after {second} s the old one is still shown"
                );
            }
        }
    }
}
