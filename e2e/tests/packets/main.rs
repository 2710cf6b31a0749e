//! What Calico's Felix does with real packets under the policies that the operator writes.

use std::process::ExitCode;
use std::time::Duration;

use e2e::{scenario, scenarios};

mod inside;
mod landscape;
mod table;

use inside::*;
use landscape::Landscape;

/// Policies take effect within about a second; a busy machine takes longer.
const LONG: Duration = Duration::from_mins(2);

fn main() -> ExitCode {
    scenario::run::<Landscape>(scenarios![
        traffic_inside_is_free_until_flows_are_declared within LONG,
        traffic_goes_along_flows_and_not_against_them within LONG,
        nothing_crosses_the_boundary within LONG,
    ])
}
