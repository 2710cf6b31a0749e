//! How fast this machine is meanwhile: virtual cores are as fast as their neighbours let them.
//!
//! The operator and the bare client are measured one after the other. Where the same work takes twice as long in between, their
//! ratio says nothing; so a thread does the same little work all along and times it, and tells how much of a ratio is the
//! machine's.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest as _, Sha256};

use super::figures::at;

/// From one piece of work to the next: some milliseconds of work each time are below a hundredth of a core.
const EACH: Duration = Duration::from_millis(500);
/// What is digested as one piece of work, bytes.
const WORK: usize = 256 * 1024;

/// The same work, done and timed by a thread of its own until it is dropped.
pub(super) struct Pace {
    took: Arc<std::sync::Mutex<Vec<(Instant, f64)>>>,
    stop: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Pace {
    /// Begins.
    pub fn begin() -> Result<Self> {
        let took = Arc::<std::sync::Mutex<Vec<_>>>::default();
        let (stop, stopped) = channel();
        let told = took.clone();
        let working = std::thread::Builder::new().name("pace".to_owned());
        let working = working
            .spawn(move || {
                let piece = vec![1; WORK];
                while stopped.recv_timeout(EACH) == Err(RecvTimeoutError::Timeout) {
                    let sample = (Instant::now(), piece_of_work(&piece));
                    if let Ok(mut told) = told.lock() {
                        told.push(sample);
                    }
                }
            })
            .context("failed to start a thread")?;
        Ok(Self {
            took,
            stop: Some((stop, working)),
        })
    }

    /// What one piece of work took since then, or where none was done since, the last one before: half of them took less,
    /// milliseconds of processor time. Waiting for a processor is not in it.
    pub fn since(&self, then: Instant) -> Result<f64> {
        let took = self.took.lock();
        let took = took.map_err(|_| anyhow::anyhow!("the pace was not taken any more"))?;
        let since = took.iter().filter(|(at, _)| *at >= then);
        let mut since: Vec<f64> = since.map(|(_, took)| *took).collect();
        if since.is_empty() {
            since.extend(took.last().map(|(_, took)| *took));
        }
        ensure!(!since.is_empty(), "not one piece of work is done yet");
        since.sort_by(f64::total_cmp);
        Ok(at(&since, 0.5))
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        if let Some((stop, working)) = self.stop.take() {
            drop(stop);
            // A thread that panicked took its samples with it, and whoever asked for them knows.
            let _ = working.join();
        }
    }
}

/// Does it. Returns the processor time that it took, milliseconds.
fn piece_of_work(piece: &[u8]) -> f64 {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::try_from(now).unwrap_or_default().as_secs_f64() * 1e3
    };
    let before = now();
    black_box(Sha256::digest(black_box(piece)));
    now() - before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_work_takes_longer() {
        let (little, much) = (vec![1; WORK], vec![1; 20 * WORK]);
        assert!(piece_of_work(&little) > 0.0);
        assert!(piece_of_work(&much) > piece_of_work(&little));
    }

    #[test]
    fn a_short_span_has_the_pace_before_it() {
        let pace = Pace {
            took: Arc::default(),
            stop: None,
        };
        let is = |then: Instant, expected: f64| {
            pace.since(then)
                .is_ok_and(|it| (it - expected).abs() < f64::EPSILON)
        };
        let now = Instant::now();
        assert!(pace.since(now).is_err());
        let earlier = now.checked_sub(Duration::from_secs(1)).unwrap();
        pace.took
            .lock()
            .unwrap()
            .extend([(earlier, 2.0), (now, 3.0)]);
        assert!(is(earlier, 3.0));
        assert!(is(now, 3.0));
        let later = now + Duration::from_secs(1);
        assert!(is(later, 3.0));
        pace.took.lock().unwrap().push((later, 1.0));
        assert!(is(earlier, 2.0));
    }
}
