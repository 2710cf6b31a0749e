//! `kubectl landingzone posture`: how the cluster, and what is around it in Azure, stands to recommendations about its network.
//!
//! | file | what it does |
//! |---|---|
//! | `input` | what `az` printed becomes resources, or what is wrong with it by line and column |
//! | `exceptions` | a file of exceptions |
//! | `live` | what the cluster shows |
//! | `report` | what is told, whatever the form of output |
//! | `table`, `json`, `sarif`, `page` | the forms of output |

mod exceptions;
mod input;
mod json;
mod live;
mod page;
mod report;
mod sarif;
mod table;

use std::io::{self, Read, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::civil::Date;
use thiserror::Error;

use self::input::Reading;
use self::report::Report;
use super::client::{ClientError, client, runtime};
use super::platform::PlatformArgs;
use super::terminal::ColorArgs;
use super::{Outcome, crossings, finding, safe};
use crate::posture::{ClusterState, InputFile, Inputs, ask, except};

/// How it is called: of files and the cluster, which are many, one at least.
pub(super) const USAGE: &str = "kubectl landingzone posture [OPTIONS] [--cluster FILE] [--vnet FILE] [--<OTHERS> FILE]... [--live]";
/// What follows the options in the help.
pub(super) const AFTER_HELP: &str = "\
Files are what az prints with -o json or -o yaml, or what Azure Resource Manager answers; docs/posture.md has the command for each, and
what is asked. A list without anything in it says that there is nothing.

Exit codes:
  0  nothing fails but what is excepted (see --exit-on)
  1  something fails
  2  something could not be read, or the command line is wrong: the report is not whole";

/// What is given to answer by, and how it is told.
#[derive(Args, Clone, Debug)]
pub(super) struct PostureArgs {
    #[command(flatten)]
    given: GivenArgs,

    /// Context of the kubeconfig; the current one when left out
    #[arg(long, value_name = "NAME", requires = "live")]
    context: Option<String>,

    /// File with what you have decided to live with: check, resource, reason and the last day
    #[arg(long, value_name = "FILE")]
    exceptions: Option<PathBuf>,

    /// Form of output
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Form,

    /// What makes the exit code 1
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    exit_on: ExitOn,

    #[command(flatten)]
    color: ColorArgs,

    #[command(flatten)]
    platform: PlatformArgs,
}

/// Files and the cluster; one of them at least.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = true)]
struct GivenArgs {
    /// The cluster: az aks show
    #[arg(long, value_name = "FILE")]
    cluster: Option<PathBuf>,

    /// The VNet of its nodes: az network vnet show
    #[arg(long, value_name = "FILE")]
    vnet: Option<PathBuf>,

    /// Route tables: az network route-table list; repeatable
    #[arg(long, value_name = "FILE")]
    route_tables: Vec<PathBuf>,

    /// Application gateways: az network application-gateway list; repeatable
    #[arg(long, value_name = "FILE")]
    application_gateways: Vec<PathBuf>,

    /// Instances of API Management: az apim list; repeatable
    #[arg(long, value_name = "FILE")]
    api_management: Vec<PathBuf>,

    /// Network Watchers: az network watcher list; repeatable
    #[arg(long, value_name = "FILE")]
    network_watchers: Vec<PathBuf>,

    /// Flow logs: az network watcher flow-log list; repeatable
    #[arg(long, value_name = "FILE")]
    flow_logs: Vec<PathBuf>,

    /// The cluster's diagnostic settings: az monitor diagnostic-settings list; repeatable
    #[arg(long, value_name = "FILE")]
    diagnostic_settings: Vec<PathBuf>,

    /// Alerts on the activity log: az monitor activity-log alert list; repeatable
    #[arg(long, value_name = "FILE")]
    activity_log_alerts: Vec<PathBuf>,

    /// Assignments of Azure Policy: az policy assignment list; repeatable
    #[arg(long, value_name = "FILE")]
    policy_assignments: Vec<PathBuf>,

    /// What Azure Policy says of the cluster: az policy state list; repeatable
    #[arg(long, value_name = "FILE")]
    policy_states: Vec<PathBuf>,

    /// Look into the cluster, with your rights there. Of Azure nothing is asked
    #[arg(long)]
    live: bool,
}

impl GivenArgs {
    /// The files, each with what it was given as.
    fn files(&self) -> impl Iterator<Item = (InputFile, &PathBuf)> {
        let of = |input: InputFile| -> Vec<&PathBuf> {
            match input {
                InputFile::Cluster => self.cluster.iter().collect(),
                InputFile::Vnet => self.vnet.iter().collect(),
                InputFile::RouteTables => self.route_tables.iter().collect(),
                InputFile::ApplicationGateways => self.application_gateways.iter().collect(),
                InputFile::ApiManagement => self.api_management.iter().collect(),
                InputFile::NetworkWatchers => self.network_watchers.iter().collect(),
                InputFile::FlowLogs => self.flow_logs.iter().collect(),
                InputFile::DiagnosticSettings => self.diagnostic_settings.iter().collect(),
                InputFile::ActivityLogAlerts => self.activity_log_alerts.iter().collect(),
                InputFile::PolicyAssignments => self.policy_assignments.iter().collect(),
                InputFile::PolicyStates => self.policy_states.iter().collect(),
            }
        };
        let all = InputFile::ALL.iter().copied();
        all.flat_map(move |input| of(input).into_iter().map(move |path| (input, path)))
    }
}

/// A form of output.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// For people: what fails first, with what was seen, why it matters and how to mend it
    #[default]
    Table,
    /// For programs
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// One page for a browser, which loads nothing: to print and to attach
    Html,
}

/// What makes the exit code 1.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ExitOn {
    /// What fails, but what is excepted
    #[default]
    Fail,
    /// The same, and what is unknown
    Unknown,
    /// Nothing
    Never,
}

/// What could not be done, other than that the input is wrong.
#[derive(Debug, Error)]
enum PostureError {
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

impl PostureArgs {
    /// Prints the report to standard output; what could not be read goes to standard error.
    pub(super) fn run(&self) -> Outcome {
        let mut stderr = Vec::new();
        let told = self.posture(crossings::today(), &mut io::stdin(), &mut stderr);
        let said = safe::text(&String::from_utf8_lossy(&stderr));
        // Nobody is left to tell when standard error is closed.
        let _ = io::stderr().write_all(said.as_bytes());
        let written = told.and_then(|(outcome, text)| match self.color.write(&text) {
            // Whoever reads has seen enough, as `head` has; what came of it is the same.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(outcome),
            written => Ok(written.map(|()| outcome)?),
        });
        match written {
            Ok(outcome) => outcome,
            Err(error) => {
                super::complain(&error);
                Outcome::Unread
            }
        }
    }

    /// How it ended, and what is told.
    fn posture(
        &self,
        today: Date,
        stdin: &mut dyn Read,
        stderr: &mut dyn Write,
    ) -> Result<(Outcome, String), PostureError> {
        let mut reading = Reading::default();
        for (input, path) in self.given.files() {
            reading.file(input, path, stdin);
        }
        let exceptions = match &self.exceptions {
            Some(path) => exceptions::read(path, stdin, &mut reading),
            None => Vec::new(),
        };
        let inputs = Inputs {
            files: std::mem::take(&mut reading.given),
            unread: std::mem::take(&mut reading.unread),
            live: if self.given.live {
                Some(self.look(stderr)?)
            } else {
                None
            },
            today,
        };
        let (mut checks, problems) = ask(&inputs);
        let notes = except(&mut checks, &exceptions, today);
        for problem in &problems {
            reading.problem(problem);
        }
        for failure in &reading.failures {
            writeln!(stderr, "{}", super::with_sources(failure))?;
        }
        finding::report(stderr, &reading.findings, &reading.sources)?;
        for (place, message) in &notes {
            writeln!(stderr, "note: {place}: {message}")?;
        }
        let files = inputs.files.into_iter();
        let report = Report {
            checks,
            today,
            files: files.map(|it| (it.input, it.name)).collect(),
            notes,
            is_whole: reading.is_whole(),
        };
        let is_found = match self.exit_on {
            ExitOn::Fail => report.fails(),
            ExitOn::Unknown => report.fails() || report.is_partial(),
            ExitOn::Never => false,
        };
        let outcome = match (report.is_whole, is_found) {
            (false, _) => Outcome::Unread,
            (true, true) => Outcome::Found,
            (true, false) => Outcome::Done,
        };
        Ok((outcome, self.print(&report)?))
    }

    /// Looks into the cluster. What could not be read is told by the questions that need it.
    fn look(&self, stderr: &mut dyn Write) -> Result<ClusterState, PostureError> {
        let told = self.platform.platform();
        let read = async {
            let client = client(self.context.as_deref()).await?;
            // Said once, and not for each kind.
            client.apiserver_version().await.map_err(|error| {
                let what = "the cluster";
                ClientError::Unreachable { what, error }
            })?;
            Ok::<_, ClientError>(live::read(&client, &told).await)
        };
        let (state, notes) = runtime()?.block_on(read)?;
        for note in notes {
            writeln!(stderr, "note: {}", note.replace(char::is_control, " "))?;
        }
        Ok(state)
    }

    fn print(&self, report: &Report) -> Result<String, PostureError> {
        let failed = |form| move |source| PostureError::Serialize { form, source };
        Ok(match self.output {
            Form::Table => safe::text(&table::print(report)),
            Form::Json => safe::json(&json::print(report).map_err(failed("JSON"))?),
            Form::Sarif => safe::json(&sarif::print(report).map_err(failed("SARIF"))?),
            Form::Html => page::print(report),
        })
    }
}

#[cfg(test)]
mod tests;
