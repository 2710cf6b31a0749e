//! The forms in which clusters take policies, and what happens when one becomes another.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::process::last_lines;
use e2e::scenario::{self, Shared};
use e2e::{Calico, Governed, OperatorOptions, scenarios};
use tokio::sync::Semaphore;

mod absent;
mod audited;
mod large;
mod policies;
mod storage;
mod tiers;

use absent::calico_that_comes_later_and_goes_is_followed;
use large::fifty_namespaces_with_the_longest_names_are_governed;
use storage::{
    policies_come_before_their_namespaces_and_outlive_them,
    policies_move_into_tiers_when_there_are_any,
    storage_without_tiers_takes_prefixed_names_until_they_are_plain,
};
use tiers::{
    native_staged_policies_say_what_would_be_enforced, staged_policies_say_what_would_be_enforced,
    tiers_of_native_kinds_are_used_and_kept, tiers_of_the_storage_kinds_are_used_and_kept,
};

/// Each test starts a cluster of its own and may have to wait for its turn.
const LONG: Duration = Duration::from_mins(4);
/// How many clusters run at once.
const CLUSTERS: usize = 2;
/// How much of the operator's log a failure shows.
const LOG_LINES: usize = 40;

struct Clusters(Semaphore);

impl Shared for Clusters {
    async fn start() -> Result<Self> {
        Ok(Self(Semaphore::new(CLUSTERS)))
    }

    async fn stop(self) -> Result<()> {
        Ok(())
    }
}

impl Clusters {
    /// Runs a test in a cluster of its own.
    async fn with(
        &self,
        calico: Calico,
        test: impl AsyncFnOnce(&Governed) -> Result<()>,
    ) -> Result<()> {
        let _turn = self.0.acquire().await?;
        let governed = Governed::start(calico, OperatorOptions::default()).await?;
        if let Err(error) = test(&governed).await {
            let log = governed.operator.logs().unwrap_or_default();
            let log = last_lines(&log, LOG_LINES);
            return Err(error).with_context(|| format!("the operator's log ends:\n{log}\n"));
        }
        governed.stop().await
    }
}

fn main() -> ExitCode {
    scenario::run::<Clusters>(scenarios![
        calico_that_comes_later_and_goes_is_followed within LONG,
        storage_without_tiers_takes_prefixed_names_until_they_are_plain within LONG,
        policies_move_into_tiers_when_there_are_any within LONG,
        policies_come_before_their_namespaces_and_outlive_them within LONG,
        tiers_of_the_storage_kinds_are_used_and_kept within LONG,
        tiers_of_native_kinds_are_used_and_kept within LONG,
        staged_policies_say_what_would_be_enforced within LONG,
        native_staged_policies_say_what_would_be_enforced within LONG,
        fifty_namespaces_with_the_longest_names_are_governed within LONG,
    ])
}
