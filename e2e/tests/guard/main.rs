//! What others write is judged: in the background, and where the API server asks.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::scenario::{self, Shared};
use e2e::{Calico, Governed, OperatorOptions, scenarios};
use kube::core::DynamicObject;
use tokio::sync::Semaphore;

mod administrators;
mod aggregated;
mod background;
mod cert_manager;
mod live;
mod policy;
mod renewal;
mod replicas;
mod webhook;

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
    /// Runs a test in a cluster of its own, with objects that were there before the rules on admission.
    async fn with(
        &self,
        options: OperatorOptions,
        older: Vec<DynamicObject>,
        test: impl AsyncFnOnce(&Governed) -> Result<()>,
    ) -> Result<()> {
        self.with_calico(Calico::Storage, options, older, test)
            .await
    }

    /// The same, with Calico in another form.
    async fn with_calico(
        &self,
        calico: Calico,
        options: OperatorOptions,
        older: Vec<DynamicObject>,
        test: impl AsyncFnOnce(&Governed) -> Result<()>,
    ) -> Result<()> {
        let _turn = self.0.acquire().await?;
        let governed = Governed::start_among(calico, options, older).await?;
        if let Err(error) = test(&governed).await {
            let log = governed.operator.logs().unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            return Err(error).with_context(|| format!("the operator's log ends:\n{last}\n"));
        }
        governed.stop().await
    }
}

#[expect(
    clippy::wildcard_imports,
    reason = "every function of these modules is a test, listed below by its name"
)]
fn main() -> ExitCode {
    use administrators::*;
    use aggregated::*;
    use background::*;
    use cert_manager::*;
    use live::*;
    use renewal::*;
    use replicas::*;
    use webhook::*;

    const LONG: Duration = Duration::from_mins(4);
    // Four certificates, one after the other.
    const LONGEST: Duration = Duration::from_mins(8);
    scenario::run::<Clusters>(scenarios![
        what_others_write_is_judged_in_the_background within LONG,
        what_administrators_write_and_what_is_staged_is_judged within LONG,
        a_network_set_that_was_there_first_is_found within LONG,
        what_found_no_room_is_judged_once_there_is_some within LONG,
        policies_are_judged_when_they_are_written within LONG,
        nothing_depends_on_the_webhook within LONG,
        a_certificate_is_renewed_unnoticed within LONG,
        the_operator_that_does_not_write_answers_too within LONG,
        what_is_left_alone_is_judged_by_whoever_starts_later within LONG,
        cert_manager_keeps_the_certificate within LONGEST,
        cert_manager_takes_over_what_the_operator_kept within LONG,
        what_comes_through_calicos_api_server_is_judged within LONG,
        the_command_line_reads_a_cluster within LONG,
    ])
}
