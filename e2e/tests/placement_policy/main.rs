//! The tests of `placement` once more in a cluster without AKS's admission plugins, where the
//! `MutatingAdmissionPolicy` in config/placement puts placement into pods; and what only this can.

use std::process::ExitCode;

use e2e::cluster::AdmissionPlugins;
use e2e::scenarios;

mod policy;
#[path = "../placement/suite/mod.rs"]
mod suite;

use policy::{
    a_daemon_set_follows_its_placement, a_daemon_set_runs_on_every_node_of_the_pool,
    a_pod_at_a_gate_does_not_get_by, a_rule_goes_into_every_term,
    pods_spread_over_availability_zones, the_policy_adds_nothing_twice,
    whoever_requests_a_device_tolerates_it, without_plugins_and_policy_it_says_so,
};
use suite::LONG;

/// What puts placement into pods.
const PLUGINS: AdmissionPlugins = AdmissionPlugins::None;

fn main() -> ExitCode {
    suite::run(scenarios![
        a_daemon_set_runs_on_every_node_of_the_pool within LONG,
        a_daemon_set_follows_its_placement within 2 * LONG,
        a_pod_at_a_gate_does_not_get_by within LONG,
        a_rule_goes_into_every_term within LONG,
        pods_spread_over_availability_zones within LONG,
        the_policy_adds_nothing_twice within LONG,
        whoever_requests_a_device_tolerates_it within LONG,
        without_plugins_and_policy_it_says_so within 2 * LONG,
    ])
}
