//! The operator as a process: how it starts, what it says, how it ends.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::binaries::{OperatorBinaries, Profile};
use e2e::process::last_lines;
use e2e::scenario::{self, Shared};
use e2e::{Calico, ClusterOptions, Governed, LocalCluster, OperatorOptions, scenarios};
use tokio::sync::Mutex;

mod ending;
mod surface;
mod waiting;

use ending::{a_signal_ends_it_once_the_writes_in_hand_are_done, the_last_repairs_are_counted};
use surface::{
    health_is_served, help_names_a_variable_for_each_flag, logs_are_json_or_text,
    metrics_are_open_metrics, no_log_tells_a_token,
};
use waiting::{
    an_api_server_that_is_gone_is_waited_for, what_is_missing_is_said_once_and_waited_for,
};

/// Tests with a cluster of their own wait for each other.
const LONG: Duration = Duration::from_mins(3);

struct Fixture {
    governed: Governed,
    turn: Mutex<()>,
}

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        let options = OperatorOptions {
            // All that can be said, so that a token that is said is seen.
            environment: vec![(
                "LANDING_ZONE_OPERATOR_LOG".into(),
                "trace,kube_client=trace,kube_runtime::watcher=trace".into(),
            )],
            ..OperatorOptions::default()
        };
        Ok(Self {
            governed: Governed::start(Calico::Storage, options).await?,
            turn: Mutex::default(),
        })
    }

    async fn stop(self) -> Result<()> {
        self.governed.stop().await
    }
}

impl Fixture {
    /// Runs a test in a cluster of its own, in which nothing is installed.
    async fn alone(&self, test: impl AsyncFnOnce(&LocalCluster) -> Result<()>) -> Result<()> {
        let _turn = self.turn.lock().await;
        let cluster = LocalCluster::start(ClusterOptions::default()).await?;
        if let Err(error) = test(&cluster).await {
            let log = cluster.directory().join("landing-zone-operator.log");
            let log = std::fs::read_to_string(log).unwrap_or_default();
            let log = last_lines(&log, 30);
            return Err(error).with_context(|| format!("the operator's log ends:\n{log}\n"));
        }
        cluster.stop().await
    }
}

/// The operator's program.
async fn operator_binary() -> Result<PathBuf> {
    let binaries =
        tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test)).await??;
    Ok(binaries.operator)
}

fn main() -> ExitCode {
    scenario::run::<Fixture>(scenarios![
        what_is_missing_is_said_once_and_waited_for within LONG,
        an_api_server_that_is_gone_is_waited_for within LONG,
        a_signal_ends_it_once_the_writes_in_hand_are_done within LONG,
        the_last_repairs_are_counted within LONG,
        metrics_are_open_metrics,
        health_is_served,
        logs_are_json_or_text,
        no_log_tells_a_token,
        help_names_a_variable_for_each_flag,
    ])
}
