//! `kubectl landingzone diff`: what is in a cluster against what is declared, rendered and compared as the operator
//! does it. It writes nothing.
//!
//! | file | what it does |
//! |---|---|
//! | `cluster` | what is declared in a cluster, and what the cluster takes |
//! | `world` | all declarations together, and what they render to; pure |
//! | `objects` | reads the objects that are compared |
//! | `compared` | what differs; pure |
//! | `told` | the forms of output |

mod cluster;
mod compared;
mod objects;
mod told;
mod world;

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use kube::Client;

use self::cluster::Cluster;
use self::compared::ObjectDiff;
use self::objects::Live;
use self::told::Report;
use self::world::{Files, World};
use super::client::{ClientError, client, runtime};
use super::declaration;
use super::platform::PlatformArgs;
use super::reader::Unread;
use super::render::note_skipped;
use super::schema::SchemaError;
use super::source::{self, MAX_FILE_BYTES};
use super::terminal::{ColorArgs, Look};
use super::{Outcome, complain, finding};
use crate::controller::rendered::RenderError;

/// What follows the options in the help.
pub(super) const AFTER_HELP: &str = "\
Without -f, the objects that are there are compared with what the LandingZones in the cluster declare: what the operator
has not put right, because it does not run, a landing zone is suspended or in stage Plan, or it may not. With -f, with
what the operator would make of the cluster if these files were applied; other landing zones are shown as far as they
change along, such as the other end of a crossing.

-o json prints an object with these fields:
  differences  a list: landingZone (none for the platform's), object (Kind/name or Kind/namespace/name), state (Missing,
               Differs or NotDeclared), and fields (a list: path, found, declared, manager)
  compared     how many objects were
  notes        what there is to know besides
  unread       a list: what, why

Exit codes:
  0  no difference
  1  something differs
  2  not everything could be read (see --partial), or the files or the command line are wrong";

/// What to compare.
#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// Name of a landing zone; all of them, and the platform, when left out
    name: Option<String>,

    /// File or folder with landing zones and the platform, as render reads them, or - for standard input; repeatable
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Context of the kubeconfig; the current one when left out
    #[arg(long)]
    context: Option<String>,

    /// What your rights do not let you read is told, and the rest counts as everything
    #[arg(long)]
    partial: bool,

    /// Form of output
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Form,

    #[command(flatten)]
    color: ColorArgs,

    #[command(flatten)]
    platform: PlatformArgs,
}

/// A form of output.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// For people: each object with the fields that differ
    #[default]
    Tree,
    /// For programs
    Json,
}

#[derive(thiserror::Error, Debug)]
enum DiffError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error("failed to write the output")]
    Write(#[from] io::Error),
    #[error("failed to write JSON output")]
    Serialize(#[from] serde_json::Error),
    #[error("there is no landing zone {name} {place}")]
    NoSuch { name: String, place: String },
    #[error("no landing zone can be read: {0}")]
    Nothing(String),
}

impl DiffArgs {
    pub(super) fn run(&self) -> Outcome {
        let ended = runtime()
            .map_err(DiffError::from)
            .and_then(|runtime| runtime.block_on(self.diff(&mut io::stdin(), &mut io::stderr())));
        match ended {
            Ok(outcome) => outcome,
            // Whoever reads has seen enough, as `head` has.
            Err(DiffError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Outcome::Done
            }
            Err(error) => {
                complain(&error);
                Outcome::Unread
            }
        }
    }

    async fn diff(
        &self,
        stdin: &mut dyn Read,
        stderr: &mut dyn Write,
    ) -> Result<Outcome, DiffError> {
        let client = client(self.context.as_deref()).await?;
        let told = self.platform.platform();
        let cluster = cluster::read(&client, &told, self.name.as_deref()).await;
        let before = World::of(&cluster);
        let report = if self.paths.is_empty() {
            self.live(&client, &cluster, &before).await?
        } else {
            let Some(files) = self.files(&before, stdin, stderr)? else {
                return Ok(Outcome::BadInput);
            };
            self.with_files(&client, &cluster, &before, files, stderr)
                .await?
        };
        for note in &report.notes {
            writeln!(stderr, "note: {note}")?;
        }
        for unread in &report.unread {
            writeln!(stderr, "could not be read: {unread}")?;
        }
        let text = match self.output {
            Form::Tree => told::tree(&report, Look::of_stdout()),
            Form::Json => told::json(&report)?,
        };
        self.color.write(&text)?;
        let is_whole = report.unread.is_empty() || self.partial;
        Ok(match (is_whole, report.differences.is_empty()) {
            (false, _) => Outcome::Unread,
            (true, true) => Outcome::Done,
            (true, false) => Outcome::Found,
        })
    }

    /// What is there against what is declared there.
    async fn live(
        &self,
        client: &Client,
        cluster: &Cluster,
        world: &World,
    ) -> Result<Report, DiffError> {
        let names: BTreeSet<String> = match &self.name {
            Some(name) if world.has(name) => [name.clone()].into(),
            Some(name) if cluster.is_whole => {
                return Err(DiffError::NoSuch {
                    name: name.clone(),
                    place: "in the cluster".to_owned(),
                });
            }
            Some(_) => BTreeSet::new(),
            None => world.names(),
        };
        if names.is_empty() && !cluster.is_whole {
            let unread = cluster.unread.iter().map(ToString::to_string);
            return Err(DiffError::Nothing(unread.collect::<Vec<_>>().join("; ")));
        }
        let mut live = Live::new(client, world.flavour);
        let mut report = Report::of(cluster);
        for name in &names {
            live.look(world.namespaces(name)).await;
        }
        for name in &names {
            self::one(
                world,
                name,
                cluster.is_platform_known,
                &mut live,
                &mut report,
            )
            .await?;
        }
        if self.name.is_none() {
            shared(world, &mut live, &mut report).await?;
        }
        report.miss(&live);
        Ok(report)
    }

    /// What the files hold; None where they are wrong, which is said.
    fn files(
        &self,
        before: &World,
        stdin: &mut dyn Read,
        stderr: &mut dyn Write,
    ) -> Result<Option<Files>, DiffError> {
        let sources = source::read(&self.paths, stdin, MAX_FILE_BYTES);
        let mut declarations = declaration::read(&sources.files, &before.platform)?;
        declarations.skipped_files += sources.skipped_files;
        declarations.findings.extend(sources.findings);
        for failure in &sources.failures {
            writeln!(stderr, "{}", super::with_sources(failure))?;
        }
        finding::report(stderr, &declarations.findings, &sources.files)?;
        if !sources.failures.is_empty() || !declarations.findings.is_empty() {
            return Ok(None);
        }
        note_skipped(stderr, &declarations.skipped, declarations.skipped_files)?;
        let has_platform = declarations.platform_place.is_some();
        if declarations.zones.is_empty() && !has_platform {
            let paths = source::described(&self.paths);
            writeln!(stderr, "error: no LandingZone in {paths}")?;
            return Ok(None);
        }
        Ok(Some(Files {
            zones: declarations.written,
            platform: has_platform.then(|| Arc::new(declarations.platform)),
        }))
    }

    /// What would change if files were applied.
    async fn with_files(
        &self,
        client: &Client,
        cluster: &Cluster,
        before: &World,
        files: Files,
        stderr: &mut dyn Write,
    ) -> Result<Report, DiffError> {
        let has_platform = files.platform.is_some();
        if !(has_platform || cluster.is_platform_known) {
            let note = "the platform cannot be read: what it gives landing zones that say nothing counts as not declared";
            writeln!(stderr, "note: {note}")?;
        }
        let mut named: BTreeSet<String> = files.names();
        let after = before.with(files);
        if let Some(name) = &self.name {
            if !named.contains(name) {
                return Err(DiffError::NoSuch {
                    name: name.clone(),
                    place: format!("in {}", source::described(&self.paths)),
                });
            }
            named = [name.clone()].into();
        }
        let along: BTreeSet<String> = if has_platform && self.name.is_none() {
            after.names().difference(&named).cloned().collect()
        } else {
            let peers = named
                .iter()
                .flat_map(|name| before.peers(name).into_iter().chain(after.peers(name)));
            peers
                .filter(|it| !named.contains(it) && after.has(it))
                .collect()
        };
        let mut live = Live::new(client, after.flavour);
        let mut report = Report::of(cluster);
        for name in named.iter().chain(&along) {
            live.look(after.namespaces(name)).await;
            live.look(before.namespaces(name)).await;
        }
        for name in named.iter().chain(&along) {
            let changes_along = !named.contains(name);
            if changes_along && before.renders_alike(&after, name, &live.objects)? {
                continue;
            }
            self::one(&after, name, true, &mut live, &mut report).await?;
        }
        if has_platform && self.name.is_none() {
            shared(&after, &mut live, &mut report).await?;
        }
        report.miss(&live);
        Ok(report)
    }
}

/// Compares what one landing zone declares.
async fn one(
    world: &World,
    name: &str,
    is_platform_known: bool,
    live: &mut Live<'_>,
    report: &mut Report,
) -> Result<(), DiffError> {
    let rendered = match world.rendered(name, &live.objects)? {
        Ok(rendered) => rendered,
        Err(why) => {
            let what =
                format!("what landing zone {name} would be, since its declaration is not valid");
            report.unread.push(Unread { what, why });
            return Ok(());
        }
    };
    if !is_platform_known && !rendered.was_applied() {
        // With other defaults and other ranges of pods it would be something else.
        let what = format!("what landing zone {name} renders to");
        let why = "the platform cannot be read, and the operator applied something else".to_owned();
        report.unread.push(Unread { what, why });
        return Ok(());
    }
    report.notes.extend(rendered.notes());
    live.look(rendered.keys()).await;
    report.compared += rendered.targets().len();
    let differences = compared::zone(&rendered, &live.objects, &live.unread);
    report.differences.extend(differences);
    Ok(())
}

/// Compares what all landing zones share.
async fn shared(world: &World, live: &mut Live<'_>, report: &mut Report) -> Result<(), DiffError> {
    let (targets, inventory, notes) = world.shared()?;
    report.notes.extend(notes);
    live.look(targets.keys().into_iter().chain(inventory.iter().cloned()))
        .await;
    report.compared += targets.len();
    let differences: Vec<ObjectDiff> =
        compared::shared(&targets, &inventory, &live.objects, &live.unread);
    report.differences.extend(differences);
    Ok(())
}
