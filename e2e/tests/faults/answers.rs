//! Writes that fail without the operator ending.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::fault_proxy::{Fault, Moment, Refusal};

use crate::Fixture;
use crate::ground::Ground;
use crate::journey::{Disturbance, Tally, learn, live, points};

/// Whatever the answer, and whether or not the write took effect.
pub async fn a_write_that_fails_once_is_made_up_for(fixture: &Fixture) -> Result<()> {
    let mut ground = fixture.ground.lock().await;
    let expected = learn(&mut ground).await?;
    let most = expected.values().map(|it| it.writes).max().unwrap_or(0);
    let faults = [
        Fault::Refused(Refusal::CONFLICT),
        Fault::Refused(Refusal::TOO_MANY),
        Fault::Refused(Refusal::INTERNAL_ERROR),
        Fault::Refused(Refusal::UNAVAILABLE),
        Fault::Refused(Refusal::FORBIDDEN),
        Fault::Lost(Moment::Before),
        Fault::Lost(Moment::After),
        Fault::Late(Duration::from_secs(3)),
        Fault::CutAfter(20),
    ];
    let mut all = Vec::new();
    // Without the flag each fault meets one write, and together they meet writes all over.
    let few = points(most, faults.len())?;
    for (turn, fault) in faults.into_iter().enumerate() {
        if few.len() == most {
            all.extend(few.iter().map(|it| Disturbance::Answer(fault.clone(), *it)));
        } else {
            all.push(Disturbance::Answer(fault, few[turn % few.len()]));
        }
    }
    each(&mut ground, "writes that fail", &all).await
}

/// Lets a landing zone live with each of these disturbances, and says how many points were tried.
pub async fn each(ground: &mut Ground, what: &str, all: &[Disturbance]) -> Result<()> {
    let begun = Instant::now();
    let mut sum = Tally::default();
    let mut failures = Vec::new();
    for disturbance in all {
        match live(ground, disturbance).await {
            Ok(tally) => {
                sum.tried += tally.tried;
                sum.happened += tally.happened;
            }
            Err(error) => {
                eprintln!("{what}: {error:#}");
                failures.push(format!("{error:#}"));
                // Whatever became of this one, the next shall find an operator.
                ground.recover().await?;
            }
        }
    }
    eprintln!(
        "{what}: {} lives, {} steps, disturbed in {} of them, {:.0?}",
        all.len(),
        sum.tried,
        sum.happened,
        begun.elapsed()
    );
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    ensure!(sum.happened > 0, "nothing was ever disturbed");
    Ok(())
}
