//! Connections to the API server.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue, USER_AGENT};
use kube::Client;
use kube::client::ClientBuilder;
use tower::ServiceBuilder;
use tower::buffer::BufferLayer;
use tower::limit::RateLimitLayer;
use tower::retry::RetryLayer;
use tower::timeout::TimeoutLayer;
use tower::timeout::error::Elapsed;
use tower::util::{MapErrLayer, option_layer};

use super::apply::WriteError;
use super::lease::{Leadership, identity};
use super::overload::AskAgain;
use crate::api::names::MANAGER;

/// Watches end by themselves after 290 s: a connection that is silent for longer is dead.
const LONGEST_SILENCE_OF_A_WATCH: Duration = Duration::from_mins(5);
/// An API server that takes longer until an answer begins does not answer.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// Nor does one that falls silent for longer in the middle of one.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
/// Requests that may wait for the connection, as many as in a client of kube's.
const BUFFERED: usize = 1024;

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
    /// Requests that write objects and may be under way at once.
    pub writes_in_flight: u16,
}

impl Clients {
    /// Connections that are made when they are needed, with so many requests at once that write objects, and so many a
    /// second, one after the other at the same distance; None: as they come.
    ///
    /// # Errors
    /// When the configuration names certificates or the like that cannot be used.
    pub fn new(
        config: &kube::Config,
        writes_in_flight: u16,
        requests_per_second: Option<u16>,
    ) -> kube::Result<Self> {
        let leadership = Leadership::default();
        let mut config = config.clone();
        config.headers.extend(user_agent());
        let client = |longest_silence| {
            let mut config = config.clone();
            config.read_timeout = Some(longest_silence);
            ClientBuilder::try_from(config)
        };
        // Asking again takes a client that can be cloned.
        let buffered = BufferLayer::new(BUFFERED);
        let again = AskAgain::new().map_err(|error| kube::Error::Service(error.into()))?;
        let again = RetryLayer::new(again);
        let watching = client(LONGEST_SILENCE_OF_A_WATCH)?
            .with_layer(&buffered)
            .with_layer(&again);
        // Each time that it is asked has its own time: an API server that asks for patience answers.
        let asking = client(LONGEST_SILENCE)?
            .with_layer(&TimeoutLayer::new(LONGEST_WAIT))
            .with_layer(&MapErrLayer::new(no_answer))
            .with_layer(&buffered)
            .with_layer(&again)
            .with_layer(&leadership.gate())
            // Outside of the gate: who waits for his turn may lose the lead meanwhile.
            .with_layer(&option_layer(requests_per_second.map(|count| {
                ServiceBuilder::new().layer(buffered).layer(paced(count))
            })));
        Ok(Self {
            watching: watching.build(),
            asking: asking.build(),
            electing: client(LONGEST_SILENCE)?.build(),
            leadership,
            writes_in_flight,
        })
    }
}

/// One request at a time, so many a second. Several at once and a pause would hold others up as much as all of them do.
fn paced(requests_per_second: u16) -> RateLimitLayer {
    RateLimitLayer::new(
        1,
        Duration::from_secs(1) / u32::from(requests_per_second.max(1)),
    )
}

fn no_answer(error: tower::BoxError) -> tower::BoxError {
    if error.is::<Elapsed>() {
        return WriteError::Timeout.into();
    }
    error
}

/// By which the API server's audit log tells one operator from another.
fn user_agent() -> Option<(HeaderName, HeaderValue)> {
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("{MANAGER}/{version} ({})", identity());
    Some((USER_AGENT, HeaderValue::from_str(&text).ok()?))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::time::Instant;
    use tower::ServiceExt;

    use super::*;

    /// However many wait.
    #[tokio::test(start_paused = true)]
    async fn requests_go_one_after_the_other() {
        let server = tower::service_fn(|(): ()| async { Ok::<_, Infallible>(Instant::now()) });
        let service = ServiceBuilder::new()
            .layer(BufferLayer::new(BUFFERED))
            .layer(paced(50))
            .service(server);
        let begun = Instant::now();
        let all = (0..20).map(|_| service.clone().oneshot(()));
        let mut answered: Vec<_> = futures::future::try_join_all(all).await.unwrap();
        answered.sort_unstable();
        for (number, answered) in (0_u32..).zip(answered) {
            let due = Duration::from_millis(20) * number;
            assert!(answered - begun >= due, "{number}: {:?}", answered - begun);
        }
    }
}
