//! Writes that fail without the operator ending.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::fault_proxy::{Fault, Moment, Refusal};

use crate::Fixture;
use crate::ground::Ground;
use crate::journey::{Disturbance, Fate, Tally, all_points, learn, live, points};
use crate::life::Step;

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
    let few = points(most, Step::ALL.len())?;
    let answer = |(fault, number): (&Fault, &usize)| Disturbance::Answer(fault.clone(), *number);
    let fates: Vec<Fate> = if all_points()? {
        let all = faults
            .iter()
            .flat_map(|fault| few.iter().map(move |it| (fault, it)));
        all.map(|it| vec![answer(it)]).collect()
    } else {
        // Each step has another fault at another write, and in two lives each fault has its turn.
        let mut turns = faults.iter().cycle().zip(few.iter().cycle());
        let mut fate = || turns.by_ref().take(Step::ALL.len()).map(answer).collect();
        vec![fate(), fate()]
    };
    each(&mut ground, "writes that fail", &fates).await
}

/// Lets a landing zone live for each of these fates, and says how many points were tried.
pub async fn each(ground: &mut Ground, what: &str, fates: &[Fate]) -> Result<()> {
    let begun = Instant::now();
    let mut sum = Tally::default();
    let mut failures = Vec::new();
    for fate in fates {
        match live(ground, fate).await {
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
        "{what}: {} lives, {} points, of which {} were reached, {:.0?}",
        fates.len(),
        sum.tried,
        sum.happened,
        begun.elapsed()
    );
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    // Some writes are gathered, and an event more or less is none: but most points have to be points.
    ensure!(
        2 * sum.happened > sum.tried,
        "only {} of {} were disturbed",
        sum.happened,
        sum.tried
    );
    Ok(())
}
