//! Tables of what packets may do, and tests that send them.

use std::process::ExitCode;
use std::time::Duration;

use e2e::scenario::{self, Scenario};
use e2e::scenarios;

mod crossings;
mod default_deny;
mod fatal;
mod inside;
mod kubernetes;
pub mod landscape;
mod moments;
mod observe;
mod propose;
mod residents;
mod samples;
mod table;
mod team;
mod tiers;

use landscape::Landscape;

/// Policies take effect within about a second; a busy machine takes longer.
pub const LONG: Duration = Duration::from_mins(2);

#[expect(
    clippy::wildcard_imports,
    reason = "every function of these modules is a test, listed below by its name"
)]
pub fn run(more: Vec<Scenario<Landscape>>) -> ExitCode {
    use crossings::*;
    use default_deny::the_default_deny_cuts_off_who_is_not_exempt;
    use fatal::no_policy_ends_felix;
    use inside::*;
    use kubernetes::kubernetes_policies_hold_until_a_team_opens_them;
    use moments::*;
    use observe::*;
    use propose::*;
    use samples::*;
    use team::*;

    let mut all = scenarios![
        calicoctl_reads_what_is_written within LONG,
        a_crossing_is_open_where_both_declare_it within LONG,
        half_a_crossing_is_closed within LONG,
        addresses_are_open_as_far_as_they_are_acknowledged within LONG,
        shared_services_reach_those_that_ask within LONG,
        shared_services_are_open_as_they_say within LONG,
        the_api_server_is_reached_by_its_endpoints within LONG,
        what_is_not_declared_any_more_is_closed within LONG,
        nothing_is_denied_in_stage_observe within LONG,
        a_running_application_gets_its_boundary_unharmed within LONG,
        a_running_application_is_observed_unharmed within LONG,
        what_would_be_denied_is_in_the_kernel_log within LONG,
        one_reader_that_ends_does_not_end_the_log_of_another,
        what_was_logged_becomes_declarations_that_open_it within LONG,
        what_a_team_closes_stays_closed_in_stage_observe within LONG,
        nothing_declared_is_cut_between_stages within 2 * LONG,
        traffic_inside_is_free_until_flows_are_declared within LONG,
        traffic_goes_along_flows_and_not_against_them within LONG,
        only_flows_pass_where_only_flows_count within LONG,
        no_landing_zone_reaches_another within LONG,
        nothing_crosses_the_boundary within LONG,
        only_the_cluster_s_dns_is_dns within LONG,
        nobody_is_a_member_by_labels within LONG,
        namespaces_that_took_the_label_before_gain_nothing within LONG,
        everybody_else_is_as_before within LONG,
        one_namespace_calls_another_and_itself within LONG,
        layers_inside_one_namespace_are_told_apart_by_labels within LONG,
        some_pods_of_a_namespace_reach_addresses_outside within LONG,
        the_sample_is_as_its_comment_says within LONG,
        what_a_team_allows_inside_narrows_flows_with_tiers_only within LONG,
        no_policy_of_a_team_opens_the_boundary within LONG,
        a_policy_without_order_comes_after_the_last_deny within LONG,
        a_policy_before_the_boundary_is_refused within LONG,
        a_policy_before_the_boundary_would_open_it within LONG,
        a_policy_of_the_cluster_decides_by_its_order within 2 * LONG,
        no_pod_of_a_landing_zone_is_on_its_node_s_network within LONG,
        kubernetes_policies_hold_until_a_team_opens_them within LONG,
        no_policy_ends_felix within LONG,
        network_sets_take_nobody_in_and_cut_nobody_off within LONG,
        network_sets_from_before_take_nobody_in within LONG,
        nothing_passes_while_a_landing_zone_is_created within LONG,
        what_leaks_while_a_namespace_is_adopted within LONG,
        what_leaks_while_policies_are_put_back within LONG,
        open_connections_go_on_when_a_policy_closes within LONG,
        a_namespace_without_its_label_is_cut_off within LONG,
        the_default_deny_cuts_off_who_is_not_exempt within 2 * LONG,
    ];
    all.extend(more);
    scenario::run(all)
}
