//! `kubectl landingzone review`: what leaves a boundary, in policies and in declarations.
//!
//! | file | what it does |
//! |---|---|
//! | `input` | files of any mixture of kinds become objects, landing zones and namespaces |
//! | `live` | the same from a cluster |
//! | `placeholders` | names for values that something else puts in |
//! | `pods` | what pods among them call their ports |
//! | `report`, `meaning` | what is judged, and what a finding is known by over time |
//! | `base`, `declared` | what a change adds, and what it declares otherwise |
//! | `between` | what it opens where no landing zone holds a boundary |
//! | `clusters` | several clusters in one review |
//! | `copies` | what was known of an object before, which may be there several times |
//! | `kustomization` | what alters objects after they were read here |
//! | `unread` | what of a change only people can judge |
//! | `table`, `json`, `sarif`, `markdown` | the forms of output |

mod base;
mod between;
mod clusters;
mod copies;
mod declared;
mod input;
mod json;
mod kustomization;
mod live;
mod markdown;
mod meaning;
mod placeholders;
mod pods;
mod report;
mod sarif;
mod several;
mod table;
mod unread;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use thiserror::Error;

use self::input::Input;
use self::report::{NotJudged, Report, Reported};
use super::Outcome;
use super::base::Base;
use super::client::{ClientError, client, runtime};
use super::crossings;
use super::flavour::FlavourArgs;
use super::landscape::{ClusterFiles, cluster_files};
use super::platform::PlatformArgs;
use super::render::note_skipped;
use super::safe;
use super::schema::SchemaError;
use super::source::{self, MAX_FILE_BYTES, SourceFile, Sources};
use crate::domain::Flavour;
use crate::policy::NetworkSet;
use crate::review::{Body, Landscape, Rule, declare};

pub(super) const EXIT_CODES: &str = "Exit codes:
  0  nothing is found, but what is declared or waived
  1  something is found (see --exit-on)
  2  something could not be read, or the command line is wrong: the review is not whole";

/// What to review, and what is known besides.
#[derive(Args, Clone, Debug)]
pub struct ReviewArgs {
    /// File or folder (with all *.yaml, *.yml and *.json below it, hidden ones as well, as kubectl reads them), or - for
    /// standard input; repeatable. Policies, network sets, tiers, namespaces, landing zones and the
    /// platform, in any mixture; documents of other kinds are skipped
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "PATH",
        required_unless_present_any = ["live", "clusters"]
    )]
    paths: Vec<PathBuf>,

    /// Name of a cluster, and a file or folder that holds what is in it; repeatable, for several clusters that are reviewed
    /// each by itself, and for one that has several. What -f names is in each of them. What is found names its cluster
    #[arg(
        long = "cluster",
        value_name = "NAME=PATH",
        value_parser = cluster_files,
        conflicts_with = "live"
    )]
    clusters: Vec<ClusterFiles>,

    /// Review what is in the cluster, with your rights there
    #[arg(long, conflicts_with_all = ["paths", "base"])]
    live: bool,

    /// Context of the kubeconfig; the current one when left out
    #[arg(long, requires = "live")]
    context: Option<String>,

    /// A landing zone that you may read, where your rights do not let you list all of them; repeatable. Without it,
    /// that of the namespace of -n or of your context is read
    #[arg(long = "landing-zone", value_name = "NAME", requires = "live")]
    landing_zones: Vec<String>,

    /// What your rights do not let you read is told, and the rest counts as everything
    #[arg(long, requires = "live")]
    partial: bool,

    /// Folder with everything as it was before, for instance a copy of the main branch: only what the
    /// change adds is shown. What lies at the paths of -f below it is compared, or at as much of their ends as is there;
    /// with a single path of -f that is not there at all, all of it
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,

    /// Form of output
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Form,

    /// Show only some of what is found
    #[arg(long, value_enum, value_name = "WHAT")]
    only: Option<Only>,

    /// What makes the exit code 1
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    exit_on: ExitOn,

    /// Namespace of policies that name none, as kubectl apply has it; with --live, the only one whose policies
    /// are read
    #[arg(short = 'n', long)]
    namespace: Option<String>,

    /// Also set this output variable of Azure DevOps to true or false: whether approval is required. The
    /// line that does it goes to standard error, which the agent reads as well
    #[arg(long, value_name = "NAME", value_parser = safe::variable)]
    azure_devops_variable: Option<String>,

    #[command(flatten)]
    flavour: FlavourArgs,

    #[command(flatten)]
    platform: PlatformArgs,
}

/// A form of output.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// For people: each finding with its line, who would get through, and what to write instead
    #[default]
    Table,
    /// For a comment on a pull request
    Markdown,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// For programs
    Json,
}

/// What is shown.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    /// What leaves a boundary and is not declared, and what else has to be approved; what is waived stays, as a note
    Crossings,
}

/// What makes the exit code 1.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ExitOn {
    /// Anything that is shown, but what is declared or waived
    #[default]
    Findings,
    /// What has to be approved
    Approval,
    /// Nothing
    Never,
}

/// What could not be done, other than that the input is wrong.
#[derive(Debug, Error)]
enum ReviewError {
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("failed to write the output")]
    Write(#[from] io::Error),
    #[error("failed to write {form} output")]
    Serialize {
        form: &'static str,
        source: serde_json::Error,
    },
}

/// What is to be reviewed.
struct Given {
    input: Input,
    /// What of it nothing is said of.
    not_judged: Vec<NotJudged>,
    /// Whether that is all that there is.
    is_whole: bool,
    /// Whether something is said of it where it is not.
    is_told: bool,
}

/// What is told, and the files that it quotes.
struct Told {
    report: Report,
    files: Vec<SourceFile>,
}

/// What was judged, and what was found.
struct Reviewed {
    input: Input,
    found: Vec<Reported>,
}

impl Reviewed {
    fn of(input: Input, flavour: Flavour) -> Self {
        let landscape = landscape(&input, flavour);
        let found = report::judged(&input, &landscape);
        Self { input, found }
    }
}

impl ReviewArgs {
    /// Reviews the files; what is found goes to standard output, what could not be read to standard error.
    pub fn run(&self) -> Outcome {
        // Told at the end, so that no line from a file comes after it.
        let mut stderr = Vec::new();
        let outcome = self.review(&mut io::stdin(), &mut io::stdout(), &mut stderr);
        let told = safe::text(&String::from_utf8_lossy(&stderr));
        // Nobody is left to tell when standard error is closed.
        let _ = io::stderr().write_all(told.as_bytes());
        match outcome {
            Ok((outcome, approval)) => {
                if let (Some(name), Some(approval)) = (&self.azure_devops_variable, approval) {
                    let _ = writeln!(
                        io::stderr(),
                        "##vso[task.setvariable variable={name};isOutput=true]{approval}"
                    );
                }
                outcome
            }
            Err(error) => {
                super::complain(&error);
                Outcome::Unread
            }
        }
    }

    /// How it ended, and whether approval is required, where that is known.
    fn review(
        &self,
        stdin: &mut dyn Read,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
    ) -> Result<(Outcome, Option<bool>), ReviewError> {
        let flavour = match self.flavour.flavour() {
            Ok(flavour) => flavour,
            Err(error) => {
                writeln!(stderr, "error: {error}")?;
                return Ok((Outcome::Unread, None));
            }
        };
        let told = if self.clusters.is_empty() {
            self.one(&self.paths, flavour, stdin, stderr)?
        } else {
            self.each_cluster(flavour, stdin, stderr)?
        };
        let Some(Told { mut report, files }) = told else {
            return Ok((Outcome::Unread, None));
        };
        let approval = report.approval_required();
        if self.only == Some(Only::Crossings) {
            // What ends Felix leaves no boundary, and has to be approved all the same; so has what nobody can judge.
            report.findings.retain(|it| {
                let leaves = it.finding.leaves_boundary() && it.finding.declared.is_none();
                leaves || matches!(it.finding.rule, Rule::BreaksFelix | Rule::DecidesUnread)
            });
            report.changes.retain(|it| it.change.crosses_boundary);
        }
        report.quote(&files);
        let text = self.print(&report)?;
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
        match written {
            // Whoever reads has seen enough, as `head` has.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
        let is_found = match self.exit_on {
            ExitOn::Findings => report.findings.iter().any(Reported::counts) || approval,
            ExitOn::Approval => approval,
            ExitOn::Never => false,
        };
        let outcome = match (report.is_whole, is_found) {
            (false, _) => Outcome::Unread,
            (true, true) => Outcome::Found,
            (true, false) => Outcome::Done,
        };
        Ok((outcome, Some(approval)))
    }

    /// What is found in one cluster; None where that cannot be said.
    fn one(
        &self,
        paths: &[PathBuf],
        flavour: Flavour,
        stdin: &mut dyn Read,
        stderr: &mut dyn Write,
    ) -> Result<Option<Told>, ReviewError> {
        // Nothing is said of files that cannot be compared.
        let base = match self.base.as_deref().map(|it| Base::of(it, paths)) {
            Some(Err(error)) => {
                writeln!(stderr, "error: {}", super::with_sources(&error))?;
                return Ok(None);
            }
            Some(Ok(base)) => Some(base),
            None => None,
        };
        let given = if self.live {
            self.live(stderr)?
        } else {
            self.given(paths, stdin, stderr)?
        };
        let mut reviewed = Reviewed::of(given.input, flavour);
        let before = match &base {
            Some(base) => Some(self.before(base, flavour, stderr)?),
            None => None,
        };
        let is_readable = before.as_ref().is_none_or(Option::is_some);
        if !given.is_told || !is_readable {
            return Ok(None);
        }
        if !self.live && reviewed.input.is_empty() {
            let paths = source::described(paths);
            let was_there = before.as_ref().and_then(Option::as_ref);
            // A change may take everything away. A path that is wrong looks the same, but for what was there before.
            if was_there.is_none_or(|before| before.input.is_empty()) {
                writeln!(
                    stderr,
                    "error: no object was read in {paths}, so nothing was reviewed: name the files or folders that hold \
                     policies and landing zones"
                )?;
                return Ok(None);
            }
            writeln!(
                stderr,
                "note: no object was read in {paths}: all that --base holds there is gone"
            )?;
        }
        if before.as_ref().is_some_and(Option::is_some) && reviewed.input.zones.is_empty() {
            writeln!(
                stderr,
                "note: no LandingZone was read, so nothing but the policies themselves holds a boundary: what opens is \
                 decided by those that were read"
            )?;
        }
        if self.live {
            // Namespaces of nobody's are the platform's.
            let is_ours = |it: &Reported| it.finding.rule != Rule::NamespaceUnknown;
            reviewed.found.retain(is_ours);
        }
        let Reviewed { input, found } = reviewed;
        let mut report = match base.as_ref().zip(before.flatten()) {
            Some((base, before)) => base::report((&input, found), before, base, flavour)?,
            None => Report::of(&input, found),
        };
        for note in &report.notes {
            writeln!(stderr, "note: {note}")?;
        }
        report.not_judged = given.not_judged;
        report.is_whole = given.is_whole;
        Ok(Some(Told {
            report,
            files: input.files,
        }))
    }

    /// Reads the files, and says what of them could not be.
    fn given(
        &self,
        paths: &[PathBuf],
        stdin: &mut dyn Read,
        stderr: &mut dyn Write,
    ) -> Result<Given, ReviewError> {
        let mut sources = source::read_for(paths, stdin, MAX_FILE_BYTES, input::concerns);
        let failures = std::mem::take(&mut sources.failures);
        let input = self.read(sources)?;
        note_skipped(stderr, &input.skipped, input.skipped_files)?;
        unread::note(stderr, &input)?;
        for failure in &failures {
            writeln!(stderr, "{}", super::with_sources(failure))?;
        }
        super::finding::report(stderr, &input.unreadable, &input.files)?;
        let is_whole = failures.is_empty() && input.unreadable.is_empty();
        Ok(Given {
            not_judged: NotJudged::of(&input),
            input,
            is_whole,
            is_told: is_whole,
        })
    }

    /// Reads the cluster, and says what of it could not be.
    fn live(&self, stderr: &mut dyn Write) -> Result<Given, ReviewError> {
        let told = self.platform.platform();
        let namespace = self.namespace.as_deref();
        let read = async {
            let client = client(self.context.as_deref()).await?;
            // Said once, and not for each kind.
            client.apiserver_version().await.map_err(|error| {
                let what = "the cluster";
                ClientError::Unreachable { what, error }
            })?;
            Ok::<_, ClientError>(live::read(&client, &told, namespace, &self.landing_zones).await)
        };
        let live = runtime()?.block_on(read)?;
        for unread in live.unread.iter().chain(&live.besides) {
            writeln!(stderr, "could not be read: {unread}")?;
        }
        Ok(Given {
            is_whole: live.unread.is_empty() || self.partial,
            not_judged: {
                let unread = live.unread.into_iter().chain(live.besides);
                unread.map(NotJudged::from).collect()
            },
            input: live.input,
            is_told: true,
        })
    }

    fn read(&self, sources: Sources) -> Result<Input, SchemaError> {
        let told = self.platform.platform();
        Input::of_files(sources, &told, self.namespace.as_deref())
    }

    /// What was there before; None where it cannot be read.
    fn before(
        &self,
        base: &Base,
        flavour: Flavour,
        stderr: &mut dyn Write,
    ) -> Result<Option<Reviewed>, ReviewError> {
        for note in base.notes() {
            writeln!(stderr, "note: --base: {note}")?;
        }
        let paths = base.paths();
        let nothing = &mut io::empty();
        let sources = source::read_for(&paths, nothing, MAX_FILE_BYTES, input::concerns);
        for failure in &sources.failures {
            writeln!(stderr, "{}", super::with_sources(failure))?;
        }
        if !sources.failures.is_empty() {
            return Ok(None);
        }
        let before = Reviewed::of(self.read(sources)?, flavour);
        // It may be what the change mends. Whatever it held counts as new.
        for finding in &before.input.unreadable {
            writeln!(stderr, "note: --base: {finding}")?;
        }
        Ok(Some(before))
    }

    fn print(&self, report: &Report) -> Result<String, ReviewError> {
        let failed = |form| move |source| ReviewError::Serialize { form, source };
        Ok(match self.output {
            Form::Table => safe::text(&table::print(report)),
            Form::Markdown => safe::text(&markdown::print(report)),
            Form::Sarif => safe::json(&sarif::print(report).map_err(failed("SARIF"))?),
            Form::Json => safe::json(&json::print(report).map_err(failed("JSON"))?),
        })
    }
}

/// What is known besides the policies.
fn landscape(input: &Input, flavour: Flavour) -> Landscape {
    let resolved = crossings::resolved(&input.zones, &input.platform, flavour);
    let zones: Vec<_> = input.zones.iter().zip(&resolved).collect();
    let read = input.written.iter().filter_map(|it| it.read.as_ref().ok());
    let sets = read.clone().filter_map(|it| match &it.body {
        Body::NetworkSet(set) => Some::<&NetworkSet>(set),
        _ => None,
    });
    let tiers = read.filter_map(|it| match &it.body {
        Body::Tier(tier) => Some((**tier).clone()),
        _ => None,
    });
    let read_live: BTreeSet<_> = input.namespaces_live().collect();
    let mut landscape = Landscape::new(&zones, &input.namespaces, input.platform.clone())
        .with_labels_of_others(|name| read_live.contains(name))
        .with_sets(sets);
    landscape
        .services_by_hand
        .clone_from(&input.services_by_hand);
    landscape.pods = pods::endpoints(&input.pods, &landscape);
    landscape.tiers = flavour.tiers.then(|| tiers.collect());
    // Whoever puts in all that is suggested finds no name twice.
    landscape.given = Some(declare::Given::default());
    landscape
}

/// The lines of files, each split once.
fn lines(files: &[SourceFile]) -> BTreeMap<&str, Vec<&str>> {
    let lines = files.iter().map(|file| {
        let text = file.text.trim_start_matches('\u{feff}');
        (file.name.as_str(), text.lines().collect())
    });
    lines.collect()
}

#[cfg(test)]
mod tests;
