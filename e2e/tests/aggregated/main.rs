//! Policies through Calico's own API server, in front of the storage where they could be written
//! directly too.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::audit::Mark;
use e2e::scenario::{self, Shared};
use e2e::{Calico, Governed, OperatorOptions, scenarios};

mod drift;
mod policies;
mod sample;
mod switch;
mod team;

/// A cluster in which the operator writes through v3.
struct Fixture(Governed);

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        let governed = Governed::start(Calico::Aggregated, OperatorOptions::default()).await?;
        Ok(Self(governed))
    }

    async fn stop(self) -> Result<()> {
        let log = self.0.cluster.audit_log();
        let mut refused = log.requests_by(self.0.operator_user(), Mark::default())?;
        refused.retain(|request| request.code == 403);
        self.0.stop().await?;
        ensure!(refused.is_empty(), "the operator lacks rights: {refused:?}");
        Ok(())
    }

    fn logs(&self) -> String {
        self.0.operator.logs().unwrap_or_default()
    }
}

#[expect(
    clippy::wildcard_imports,
    reason = "the list below names each test once; a second list would have to follow it"
)]
fn main() -> ExitCode {
    use drift::*;
    use sample::*;
    use switch::*;
    use team::*;

    // Those that start a cluster of their own come first, so that the others run beside them.
    const LONG: Duration = Duration::from_mins(4);
    scenario::run::<Fixture>(scenarios![
        calicos_api_server_comes_and_goes_unnoticed within LONG,
        an_api_server_that_never_answers_holds_nothing_up within LONG,
        the_sample_is_stored_under_calicos_names,
        a_converged_landing_zone_sees_no_writes within LONG,
        drift_through_v3_is_put_back,
        drift_in_calicos_storage_is_put_back,
        what_leaves_the_declaration_leaves_calicos_storage,
        a_team_writes_policies_in_its_own_namespaces_only,
    ])
}
