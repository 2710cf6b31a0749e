//! Landing zones for applications in shared AKS clusters: the operator's library.
//!
//! Data goes one way, `api` → `domain` → `build` → `controller`; `policy` serves `build`, and
//! with `review` the command line and the status. `domain`, `build`, `policy`, `review` and `posture` know no client, no clock
//! and no runtime, so that the operator and the command line render with the same function.
//!
//! | module | holds |
//! |---|---|
//! | [`api`] | the kinds as people write them, conditions and reasons; no behaviour |
//! | [`domain`] | validated values: what cannot be said wrongly |
//! | [`build`] | validated → desired objects, one kind of object per file; pure |
//! | [`policy`] | the Calico policy language; pure |
//! | [`review`] | what leaves a boundary: policies judged against what is declared, and what a change opens; pure |
//! | [`posture`] | how a cluster, and what is around it in Azure, stands to the recommendations of the articles that the project comes from; pure |
//! | [`admission`] | the webhook: policies judged where the API server asks |
//! | [`cluster`] | what this cluster can do: flavour, versions |
//! | [`controller`] | observe → validate → build → compare → apply → status |
//! | [`cli`] | the kubectl plugin |
//! | [`telemetry`] | metrics, logs, events |

pub mod admission;
pub mod api;
pub mod build;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod domain;
pub mod policy;
pub mod posture;
pub mod review;
pub mod telemetry;

/// The version and, where a release was built, its commit: `0.1.0 (4b5f932…)`. The build tells the commit by the variable
/// `LANDING_ZONE_OPERATOR_COMMIT`: whoever compiles at the desk does not compile anew after each commit.
#[must_use]
pub fn version() -> &'static str {
    static VERSION: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let version = env!("CARGO_PKG_VERSION");
        let commit = option_env!("LANDING_ZONE_OPERATOR_COMMIT").unwrap_or("not a release");
        format!("{version} ({commit})")
    });
    &VERSION
}
