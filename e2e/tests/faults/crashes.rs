//! An operator that dies in the middle of what it does.

use anyhow::Result;
use e2e::fault_proxy::Moment;

use crate::Fixture;
use crate::answers::each;
use crate::journey::{Disturbance, learn, points};

/// At each write, on both sides of its effect.
pub async fn an_operator_that_dies_at_a_write_goes_on_where_it_was(
    fixture: &Fixture,
) -> Result<()> {
    let mut ground = fixture.ground.lock().await;
    let expected = learn(&mut ground).await?;
    let most = expected.values().map(|it| it.writes).max().unwrap_or(0);
    let mut all = Vec::new();
    for number in points(most, 2)? {
        all.push(vec![Disturbance::Crash(Moment::Before, number)]);
        all.push(vec![Disturbance::Crash(Moment::After, number)]);
    }
    each(&mut ground, "crashes", &all).await
}
