//! What tools that apply from Git make of landing zones.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use e2e::scenario::{self, Shared};
use e2e::{Calico, Governed, OperatorOptions, scenarios};

mod argocd;

use argocd::{ArgoCd, argo_cd_tells_every_state, what_argo_cd_marks_stays_its_own};

struct Fixture {
    governed: Governed,
    argo_cd: ArgoCd,
}

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        let argo_cd = tokio::task::spawn_blocking(ArgoCd::ensure).await??;
        Ok(Self {
            governed: Governed::start(Calico::Storage, OperatorOptions::default()).await?,
            argo_cd,
        })
    }

    async fn stop(self) -> Result<()> {
        self.governed.stop().await
    }
}

fn main() -> ExitCode {
    let long = Duration::from_mins(2);
    scenario::run::<Fixture>(scenarios![
        argo_cd_tells_every_state within long,
        what_argo_cd_marks_stays_its_own,
    ])
}
