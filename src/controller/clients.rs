//! Connections to the API server.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue, USER_AGENT};
use kube::Client;
use kube::client::ClientBuilder;

use super::lease::{Leadership, identity};
use crate::api::names::MANAGER;

/// Watches end by themselves after 290 s: a connection that is silent for longer is dead.
const LONGEST_SILENCE_OF_A_WATCH: Duration = Duration::from_mins(5);
/// An API server that takes longer for an answer does not answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// Connections to the API server.
#[derive(Clone)]
pub struct Clients {
    /// For watches: silence is nothing unusual.
    pub watching: Client,
    /// For everything else: an answer has to come soon, and a write begins only while this operator leads.
    pub asking: Client,
    /// For the Lease by which it leads.
    pub electing: Client,
    /// Whether this operator leads.
    pub leadership: Leadership,
}

impl Clients {
    /// Connections that are made when they are needed.
    ///
    /// # Errors
    /// When the configuration names certificates or the like that cannot be used.
    pub fn new(config: &kube::Config) -> kube::Result<Self> {
        let leadership = Leadership::default();
        let mut config = config.clone();
        config.headers.extend(user_agent());
        let client = |longest_silence| {
            let mut config = config.clone();
            config.read_timeout = Some(longest_silence);
            ClientBuilder::try_from(config)
        };
        let asking = client(LONGEST_ANSWER)?.with_layer(&leadership.gate());
        Ok(Self {
            watching: client(LONGEST_SILENCE_OF_A_WATCH)?.build(),
            asking: asking.build(),
            electing: client(LONGEST_ANSWER)?.build(),
            leadership,
        })
    }
}

/// By which the API server's audit log tells one operator from another.
fn user_agent() -> Option<(HeaderName, HeaderValue)> {
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("{MANAGER}/{version} ({})", identity());
    Some((USER_AGENT, HeaderValue::from_str(&text).ok()?))
}
