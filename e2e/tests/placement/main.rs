//! Where the real scheduler puts the pods of landing zones on AKS: by the admission plugins that read the
//! annotations of namespaces. `placement_policy` is the same by a `MutatingAdmissionPolicy`.

use std::process::ExitCode;

use e2e::cluster::AdmissionPlugins;
use e2e::scenarios;

mod plugins;
mod suite;

use plugins::{
    a_daemon_set_never_leaves_the_pool, node_affinity_without_the_policy_is_told,
    the_plugins_and_the_policy_agree,
};
use suite::LONG;

/// What puts placement into pods.
const PLUGINS: AdmissionPlugins = AdmissionPlugins::Aks;

fn main() -> ExitCode {
    suite::run(scenarios![
        a_daemon_set_never_leaves_the_pool within LONG,
        node_affinity_without_the_policy_is_told within LONG,
        the_plugins_and_the_policy_agree within 2 * LONG,
    ])
}
