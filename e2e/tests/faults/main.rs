//! The operator while something fails between it and the API server: whatever that is, and whenever, what is declared comes
//! true as if nothing had happened, and nothing of anybody else's is touched.
//!
//! `FAULT_POINTS=all` tries every write and every event; otherwise it is a few of each kind, spread over all.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use e2e::scenario::{self, Shared};
use e2e::scenarios;
use tokio::sync::Mutex;

mod answers;
mod crashes;
mod generated;
mod ground;
mod journey;
mod life;
mod views;

use ground::Ground;

/// What the tests share; one after the other, since each has the operator for itself.
struct Fixture {
    ground: Mutex<Ground>,
}

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        Ok(Self {
            ground: Mutex::new(Ground::start().await?),
        })
    }

    async fn stop(self) -> Result<()> {
        self.ground.into_inner().stop().await
    }

    fn logs(&self) -> String {
        let ground = self.ground.try_lock();
        ground.map_or_else(|_| String::new(), |ground| ground.logs())
    }
}

#[expect(
    clippy::wildcard_imports,
    reason = "every function of these modules is a test, listed below by its name"
)]
fn main() -> ExitCode {
    use answers::*;
    use crashes::*;
    use generated::*;
    use views::*;

    // They wait for each other.
    const DEADLINE: Duration = Duration::from_hours(3);
    scenario::run::<Fixture>(scenarios![
        an_operator_that_dies_at_a_write_goes_on_where_it_was within DEADLINE,
        a_write_that_fails_once_is_made_up_for within DEADLINE,
        an_old_view_of_the_cluster_does_no_harm within DEADLINE,
        nothing_is_created_for_a_landing_zone_that_is_gone within DEADLINE,
        an_event_that_nobody_saw_is_made_up_for within DEADLINE,
        watches_that_end_lose_nothing within DEADLINE,
        whatever_is_declared_comes_true_by_any_way within DEADLINE,
    ])
}
