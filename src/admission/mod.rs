//! The webhook: judges the policies and network sets of landing zones where the API server asks, before they are stored.
//! It writes nothing.
//!
//! | file | does |
//! |---|---|
//! | `answer` | from a request to an answer: what is new in a policy, told like a review's findings; pure |
//! | `server` | takes requests, within bounds of size, number and time |
//! | `certificate` | makes the server's certificate, and looks at it as the API server will |

mod answer;
pub mod certificate;
mod server;

pub use answer::{Knowledge, answer};
pub use server::{HEALTH_PATH, Listening, ProbeError, REVIEW_PATH, ServeError, probe, serve};
