//! The kubectl plugin: what can be said about landing zones without a cluster, and about those in
//! one.
//!
//! Findings about the input are printed one to a line, as `file:line:column: field: value: rule`,
//! for editors and for CI; the exit codes are those of [`Outcome`].

mod base;
mod client;
mod completion;
mod crossings;
mod declaration;
mod diff;
mod digest;
mod document;
mod finding;
mod flavour;
mod html;
mod landscape;
mod matrix;
mod output;
mod platform;
mod pod_ranges;
mod posture;
mod propose;
mod reader;
mod render;
mod review;
mod safe;
mod sarif;
mod schema;
mod source;
mod spelling;
mod status;
mod terminal;
mod why;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use landscape::world;
pub use platform::PlatformArgs;

/// Arguments of the kubectl plugin.
#[derive(Parser, Debug)]
#[command(
    name = "kubectl-landingzone",
    bin_name = "kubectl landingzone",
    version = crate::version(),
    about = "Landing zones for applications in shared clusters",
    after_help = EXIT_CODES
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Print the exact objects that the operator would apply, for review
    #[command(after_help = EXIT_CODES)]
    Render(render::RenderArgs),
    /// Tell who may reach whom on what, zone by zone
    #[command(after_help = EXIT_CODES)]
    Matrix(matrix::MatrixArgs),
    /// Propose declarations for what Felix logged in stage Observe
    #[command(after_help = EXIT_CODES)]
    Propose(propose::ProposeArgs),
    /// Find what leaves the boundary of a landing zone, in policies and in declarations
    #[command(after_help = review::EXIT_CODES)]
    Review(review::ReviewArgs),
    /// Tell how the cluster, and what is around it in Azure, stands to recommendations about its network
    #[command(after_help = posture::AFTER_HELP, override_usage = posture::USAGE)]
    Posture(posture::PostureArgs),
    /// Print what makes a shell complete these commands
    #[command(after_help = EXIT_CODES)]
    Completion(completion::CompletionArgs),
    /// Tell what may follow what was typed; kubectl asks
    #[command(hide = true)]
    Complete(completion::CompleteArgs),
    /// Tell how landing zones stand: healthy, what to do now, or whom they wait for
    #[command(after_help = status::AFTER_HELP)]
    Status(status::StatusArgs),
    /// Compare what is in a cluster with what is declared, or would be by files
    #[command(after_help = diff::AFTER_HELP)]
    Diff(diff::DiffArgs),
    /// Tell why something reaches something or does not, and what would let it
    #[command(after_help = EXIT_CODES)]
    Why(why::WhyArgs),
}

/// Of those that look for nothing: 1 is kept for what is found.
const EXIT_CODES: &str = "Exit codes:
  0  done
  2  it could not be done: a file or the cluster could not be read, or the input or the command line is wrong";

/// How a command ended. The codes mean the same everywhere: 0 there is nothing to say, or it is done; 1 something is found or
/// differs; 2 it could not be done. Only `status` has one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done: exit code 0.
    Done,
    /// It could not be done: exit code 2.
    Failed,
    /// The input is wrong: exit code 2, which clap uses for a wrong command line as well.
    BadInput,
    /// Something is found that somebody has to look at: exit code 1.
    Found,
    /// Not everything could be read: exit code 2.
    Unread,
    /// Nothing is to be done but to wait: exit code 3.
    Waits,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Found => 1,
            Outcome::Failed | Outcome::BadInput | Outcome::Unread => 2,
            Outcome::Waits => 3,
        })
    }
}

/// Runs the plugin with the arguments of the process.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Render(render) => render.run(),
        Command::Matrix(matrix) => matrix.run(),
        Command::Propose(propose) => propose.run(),
        Command::Review(review) => review.run(),
        Command::Posture(posture) => posture.run(),
        Command::Completion(completion) => completion.run(),
        Command::Complete(complete) => complete.run(),
        Command::Status(status) => status.run(),
        Command::Diff(diff) => diff.run(),
        Command::Why(why) => why.run(),
    }
    .into()
}

/// Prints why something could not be done.
fn complain(error: &dyn Error) {
    use std::io::Write;
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "error: {}", with_sources(error));
}

/// An error with all that led to it.
fn with_sources(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    message
}
