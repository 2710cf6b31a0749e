//! Pods, workloads, and the nodes that the real scheduler gives them.

use std::process::ExitCode;
use std::time::Duration;

use e2e::scenario::{self, Scenario};
use e2e::scenarios;

mod evicted;
pub mod pools;
mod shared;
pub mod workload;

use evicted::pods_elsewhere_are_evicted_as_budgets_allow;
use pools::Pools;
use shared::{
    a_landing_zone_without_placement_is_where_the_platform_says,
    every_workload_is_on_the_nodes_of_its_landing_zone, in_stage_observe_ways_out_are_warned_of,
    its_own_affinity_takes_no_pod_elsewhere, one_more_landing_zone_adds_no_admission_policy,
    placement_that_is_removed_is_gone, pods_elsewhere_are_told,
    the_nodes_that_it_admits_are_looked_at, the_operator_creates_no_pods,
    two_landing_zones_share_a_pool, what_is_in_force_is_shown_once,
    what_leads_elsewhere_is_refused, what_leads_elsewhere_is_refused_in_templates,
};

/// The scheduler takes a moment; a busy machine takes longer.
pub const LONG: Duration = Duration::from_mins(2);

pub fn run(more: Vec<Scenario<Pools>>) -> ExitCode {
    let mut all = scenarios![
        every_workload_is_on_the_nodes_of_its_landing_zone within LONG,
        its_own_affinity_takes_no_pod_elsewhere within LONG,
        what_leads_elsewhere_is_refused within LONG,
        what_leads_elsewhere_is_refused_in_templates within LONG,
        two_landing_zones_share_a_pool within LONG,
        placement_that_is_removed_is_gone within LONG,
        a_landing_zone_without_placement_is_where_the_platform_says within LONG,
        one_more_landing_zone_adds_no_admission_policy within LONG,
        what_is_in_force_is_shown_once within LONG,
        the_operator_creates_no_pods within LONG,
        pods_elsewhere_are_told within LONG,
        pods_elsewhere_are_evicted_as_budgets_allow within 2 * LONG,
        in_stage_observe_ways_out_are_warned_of within LONG,
        the_nodes_that_it_admits_are_looked_at within LONG,
    ];
    all.extend(more);
    scenario::run(all)
}
