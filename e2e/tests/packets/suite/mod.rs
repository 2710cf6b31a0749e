//! Tables of what packets may do, and tests that send them.

use std::process::ExitCode;
use std::time::Duration;

use e2e::{scenario, scenarios};

mod inside;
mod landscape;
mod moments;
mod table;
mod team;

use landscape::Landscape;

/// Policies take effect within about a second; a busy machine takes longer.
const LONG: Duration = Duration::from_mins(2);

#[expect(
    clippy::wildcard_imports,
    reason = "every function of these modules is a test, listed below by its name"
)]
pub fn run() -> ExitCode {
    use inside::*;
    use moments::*;
    use team::*;

    scenario::run::<Landscape>(scenarios![
        calicoctl_reads_what_is_written within LONG,
        traffic_inside_is_free_until_flows_are_declared within LONG,
        traffic_goes_along_flows_and_not_against_them within LONG,
        nothing_crosses_the_boundary within LONG,
        no_policy_of_a_team_opens_the_boundary within LONG,
        a_policy_before_the_boundary_is_refused within LONG,
        a_policy_before_the_boundary_would_open_it within LONG,
        network_sets_take_nobody_in_and_cut_nobody_off within LONG,
        nothing_passes_while_a_landing_zone_is_created within LONG,
        what_leaks_while_policies_are_put_back within LONG,
        a_namespace_without_its_label_is_cut_off within LONG,
    ])
}
