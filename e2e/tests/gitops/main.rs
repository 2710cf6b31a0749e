//! What tools that apply from Git make of landing zones.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use e2e::binaries::kustomize_controller;
use e2e::ports::free_port;
use e2e::progress::Progress;
use e2e::scenario::{self, Shared};
use e2e::{Calico, Governed, OperatorOptions, scenarios};

mod argocd;
mod flux;

use argocd::{
    ArgoCd, argo_cd_sees_no_drift_in_what_the_operator_writes, argo_cd_tells_every_state,
    what_argo_cd_marks_stays_its_own,
};
use flux::{
    flux_waits_fails_fast_prunes_and_leaves_alone, flux_waits_for_an_operator_that_is_not_there_yet,
};

struct Fixture {
    governed: Governed,
    argo_cd: ArgoCd,
    kustomize_controller: PathBuf,
}

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        let building = tokio::task::spawn_blocking(|| {
            anyhow::Ok((ArgoCd::ensure()?, kustomize_controller(&Progress::new())?))
        });
        let (argo_cd, kustomize_controller) = building.await??;
        let governed = Governed::start(Calico::Storage, with_guard()?).await?;
        Ok(Self {
            argo_cd: ArgoCd::of(argo_cd, &governed).await?,
            kustomize_controller,
            governed,
        })
    }

    async fn stop(self) -> Result<()> {
        self.governed.stop().await
    }
}

/// The guard writes into its configuration, which Git declares, too.
fn with_guard() -> Result<OperatorOptions> {
    let arguments = [
        "--namespace=landing-zone-system".to_owned(),
        format!("--webhook-listen=127.0.0.1:{}", free_port()?),
    ];
    Ok(OperatorOptions {
        arguments: arguments.into(),
        ..OperatorOptions::default()
    })
}

fn main() -> ExitCode {
    let long = Duration::from_mins(2);
    scenario::run::<Fixture>(scenarios![
        argo_cd_tells_every_state within long,
        what_argo_cd_marks_stays_its_own,
        argo_cd_sees_no_drift_in_what_the_operator_writes,
        flux_waits_fails_fast_prunes_and_leaves_alone within long,
        flux_waits_for_an_operator_that_is_not_there_yet within 2 * long,
    ])
}
