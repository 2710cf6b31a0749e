//! What the operator sees is old, or not all there is.

use anyhow::Result;
use e2e::fault_proxy::End;

use crate::Fixture;
use crate::answers::each;
use crate::journey::{Disturbance, learn, points};

/// Lists of before a step, after it was done in part or whole; and events that come late.
pub async fn an_old_view_of_the_cluster_does_no_harm(fixture: &Fixture) -> Result<()> {
    let mut ground = fixture.ground.lock().await;
    let expected = learn(&mut ground).await?;
    let most = expected.values().map(|it| it.writes).max().unwrap_or(0);
    let mut all = vec![vec![Disturbance::Held], vec![Disturbance::Stale(None)]];
    let in_part = points(most, 1)?.into_iter();
    all.extend(in_part.map(|number| vec![Disturbance::Stale(Some(number))]));
    each(&mut ground, "old views", &all).await
}

/// An event is missed by a watch that has to begin anew later, as when the API server's history ends.
pub async fn an_event_that_nobody_saw_is_made_up_for(fixture: &Fixture) -> Result<()> {
    let mut ground = fixture.ground.lock().await;
    let expected = learn(&mut ground).await?;
    let most = expected.values().map(|it| it.events).max().unwrap_or(0);
    let unseen = points(most, 2)?.into_iter();
    let unseen = unseen.map(|number| vec![Disturbance::Unseen(number)]);
    each(
        &mut ground,
        "events that nobody saw",
        &unseen.collect::<Vec<_>>(),
    )
    .await
}

pub async fn watches_that_end_lose_nothing(fixture: &Fixture) -> Result<()> {
    let mut ground = fixture.ground.lock().await;
    let expected = learn(&mut ground).await?;
    let most = expected.values().map(|it| it.events).max().unwrap_or(0);
    let mut all = Vec::new();
    for number in points(most, 1)? {
        all.push(vec![Disturbance::Ended(End::Cut, number)]);
        all.push(vec![Disturbance::Ended(End::Gone, number)]);
    }
    each(&mut ground, "watches that end", &all).await
}
