//! What Calico's Felix does with real packets under the policies that the operator writes.

use std::process::ExitCode;
use std::time::Duration;

use e2e::{scenario, scenarios};

mod inside;
mod landscape;
mod table;
mod team;

use landscape::Landscape;

/// Policies take effect within about a second; a busy machine takes longer.
const LONG: Duration = Duration::from_mins(2);

#[expect(
    clippy::wildcard_imports,
    reason = "every function of these modules is a test, listed below by its name"
)]
fn main() -> ExitCode {
    use inside::*;
    use team::*;

    scenario::run::<Landscape>(scenarios![
        traffic_inside_is_free_until_flows_are_declared within LONG,
        traffic_goes_along_flows_and_not_against_them within LONG,
        nothing_crosses_the_boundary within LONG,
        no_policy_of_a_team_opens_the_boundary within LONG,
        a_policy_before_the_boundary_is_refused within LONG,
        a_policy_before_the_boundary_would_open_it within LONG,
        network_sets_take_nobody_in_and_cut_nobody_off within LONG,
    ])
}
