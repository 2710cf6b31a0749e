//! Landing zones for applications in shared AKS clusters: the operator's library.
//!
//! Data goes one way, `api` → `domain` → `build` → `controller`; `policy` serves `build`, and
//! with `review` the command line and the status. `domain`, `build`, `policy` and `review` know no client, no clock and no
//! runtime, so that the operator and the command line render with the same function.
//!
//! | module | holds |
//! |---|---|
//! | [`api`] | the kinds as people write them, conditions and reasons; no behaviour |
//! | [`domain`] | validated values: what cannot be said wrongly |
//! | [`build`] | validated → desired objects, one kind of object per file; pure |
//! | [`policy`] | the Calico policy language; pure |
//! | [`review`] | what leaves a boundary: policies judged against what is declared, and what a change opens; pure |
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
pub mod review;
pub mod telemetry;
