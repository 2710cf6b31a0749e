//! The demo: what the operator does, shown on a cluster for somebody who sees it for the first time.
//!
//! | module | what it does |
//! |---|---|
//! | `page` | headings, sentences, checked facts and trees, at most 100 columns wide |
//! | `stage` | where the demo plays: a local cluster, or one of the user's |
//! | `context` | a cluster of the user's: what is looked at first, and what is cleaned up |
//! | `owned` | the objects of a landing zone, read back from the cluster |
//! | `landscape` | those objects as a tree, and whether they are as declared |
//! | `meaning` | what a policy means, in a line |
//! | `drift` | four changes by somebody else, and how each is put back |
//! | `team` | what belongs to others and must stay |
//! | `packets` | who reaches whom, with real packets, before and after |
//! | `report` | what the landing zone itself says about it |
//!
//! Architecture invariant: nothing is shown that was not read from the cluster, and what is claimed
//! about it is a fact that was checked; one that does not hold makes the demo fail.

mod context;
mod drift;
mod landscape;
mod meaning;
mod owned;
mod packets;
mod page;
mod report;
mod stage;
mod team;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use landing_zone_operator::api::LandingZone;
use landing_zone_operator::api::condition::READY;
use landing_zone_operator::api::condition::reason::NO_ENFORCING_PLUGIN;
use tokio::signal::unix::{SignalKind, signal};

use self::page::{Page, seconds};
use self::stage::Stage;
use crate::governed::{CONVERGED, condition};
use crate::{eventually, workspace};

const SAMPLE: &str = "config/samples/application2.yaml";

/// How the demo runs.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Leaves the cluster and the operator running until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Uses this context of your kubeconfig instead of a local cluster
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Does not ask before it installs the operator's kind and rights with --context
    #[arg(long, requires = "context")]
    yes: bool,
    /// Builds Calico's Felix where it is not there yet (2 to 3 minutes), and shows who reaches whom with
    /// real packets; needs root on Linux. Without it they are shown where Felix is there
    #[arg(long, conflicts_with = "context")]
    packets: bool,
    /// An operator that is built already; it is built when this is left out
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
}

/// Runs the demo. Returns whether all that was shown held.
pub async fn run(options: Options) -> Result<bool> {
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut stopped = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let sample = read_sample()?;
    let mut page = Page::new();
    page.title("Landing zones: one file in, a governed application out, drift put back");

    let stage = tokio::select! {
        stage = Stage::open(&options, &sample, &mut page) => stage?,
        () = stopped() => bail!("interrupted"),
    };
    let played = tokio::select! {
        played = play(&options, &stage, &sample, &mut page) => played,
        () = stopped() => Err(anyhow::anyhow!("interrupted")),
    };
    if played.is_ok() {
        conclude(&mut page);
        if options.keep {
            stage.invite(&mut page);
            tokio::select! {
                () = stopped() => {}
                ended = stage.until_something_ends() => ended?,
            }
        }
    }
    // Also after a failure: what the demo made in a cluster of the user's does not stay there.
    stage.close(&mut page).await?;
    played?;
    Ok(page.failed().is_empty())
}

async fn play(
    options: &Options,
    stage: &Stage,
    sample: &LandingZone,
    page: &mut Page,
) -> Result<()> {
    let zone = declare(stage, sample, page).await?;
    let objects = landscape::show(stage, &zone, page).await?;
    team::show(stage, &zone, page).await?;
    let repairs = drift::show(stage, &zone, &objects, page).await?;
    report::show(stage, &zone, &repairs, page).await?;
    team::survived(stage, &zone, page).await?;
    packets::show(options, stage, &zone, page).await
}

fn conclude(page: &mut Page) {
    let failed = page.failed().to_vec();
    if failed.is_empty() {
        page.title(&format!("All {} facts shown above held.", page.checked()));
        return;
    }
    page.title(&format!(
        "{} of {} facts did not hold:",
        failed.len(),
        page.checked()
    ));
    for fact in failed {
        page.failure(&fact);
    }
}

fn read_sample() -> Result<LandingZone> {
    let file = workspace::root().join(SAMPLE);
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("failed to read {SAMPLE}"))?;
    serde_saphyr::from_str(&text).with_context(|| format!("failed to understand {SAMPLE}"))
}

/// Applies the sample, and waits until it is ready.
async fn declare(stage: &Stage, sample: &LandingZone, page: &mut Page) -> Result<LandingZone> {
    page.heading("One file in");
    let name = sample.metadata.name.as_deref().unwrap_or_default();
    let zones: Api<LandingZone> = Api::all(stage.client());
    let apply = PatchParams::apply("kubectl");
    let start = Instant::now();
    zones
        .patch(name, &apply, &Patch::Apply(sample))
        .await
        .with_context(|| format!("failed to apply {SAMPLE}"))?;
    page.command(&format!("kubectl apply --server-side -f {SAMPLE}"));
    let ready = eventually(CONVERGED, "the landing zone to be ready", async || {
        stage.ensure_running().await?;
        let zone = zones.get(name).await?;
        let status = zone.status.as_ref().context("it has no status yet")?;
        let (is, reason, message) =
            condition(status, READY).context("it has no condition Ready yet")?;
        if is != "True" && reason != NO_ENFORCING_PLUGIN {
            bail!("Ready is {is} because of {reason}: {message}");
        }
        let current = status.observed_generation == zone.metadata.generation;
        Ok(current.then_some(zone))
    })
    .await?;
    let took = seconds(start.elapsed());
    if is_ready(&ready) {
        let text = format!("The landing zone is Ready, {took} after it was applied.");
        page.fact(true, &text);
    } else {
        page.fact(
            true,
            &format!(
                "All is in the cluster {took} after it was applied. But nothing in it is known to \
                 enforce policies, and the landing zone says so: it is not Ready \
                 ({NO_ENFORCING_PLUGIN})."
            ),
        );
    }
    Ok(ready)
}

/// Whether the landing zone says of itself that it is ready.
fn is_ready(zone: &LandingZone) -> bool {
    let ready = zone
        .status
        .as_ref()
        .and_then(|status| condition(status, READY));
    ready.is_some_and(|(is, ..)| is == "True")
}

/// Parameters of writes under somebody's name.
fn written_by(manager: &str) -> (PatchParams, PostParams) {
    let manager = Some(manager.to_owned());
    let patch = PatchParams {
        field_manager: manager.clone(),
        ..PatchParams::default()
    };
    let post = PostParams {
        field_manager: manager,
        ..PostParams::default()
    };
    (patch, post)
}
