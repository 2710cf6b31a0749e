//! What Calico's Felix does with real packets under the policies that the operator writes: into
//! Calico's storage, as on every default AKS cluster. `packets_v3` is the same through Calico's API.

use std::process::ExitCode;

use e2e::{Calico, scenarios};

mod remains;
mod suite;

use remains::{a_killed_suite_leaves_nothing_on_the_host, what_would_be_left_is_seen};
use suite::LONG;

/// How Calico is installed, and the API that teams write its kinds through.
const CALICO: Calico = Calico::Storage;
const API: &str = "crd.projectcalico.org/v1";

fn main() -> ExitCode {
    suite::run(scenarios![
        what_would_be_left_is_seen,
        a_killed_suite_leaves_nothing_on_the_host within LONG,
    ])
}
