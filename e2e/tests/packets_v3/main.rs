//! The tests of `packets` once more, where Calico's own API server is installed: the operator and the
//! teams write through it.

use std::process::ExitCode;

use e2e::Calico;

#[path = "../packets/suite/mod.rs"]
mod suite;

/// How Calico is installed, and the API that teams write its kinds through.
const CALICO: Calico = Calico::Aggregated;
const API: &str = "projectcalico.org/v3";

fn main() -> ExitCode {
    suite::run(Vec::new())
}
