//! `cargo demo`: one file in, a governed landing zone out, drift put back.

use std::process::ExitCode;

use clap::Parser;
use e2e::demo::{self, Options};

/// Shows on a real Kubernetes API server how a landing zone becomes namespaces, quotas, limits,
/// access, placement and network policies, and how drift is put back. Ends with code 0 when all
/// that was shown held, and with code 1 when something did not.
#[derive(Debug, Parser)]
#[command(name = "cargo demo", version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    // The alias ends the arguments of cargo itself, so a second `--` is one too many, and usual.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "--") {
        arguments.remove(1);
    }
    match demo::run(Arguments::parse_from(arguments).options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the demo ended early: {error:#}");
            ExitCode::FAILURE
        }
    }
}
