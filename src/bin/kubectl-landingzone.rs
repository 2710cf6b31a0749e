//! `kubectl landingzone`: the kubectl plugin.

use std::process::ExitCode;

fn main() -> ExitCode {
    landing_zone_operator::cli::run()
}
