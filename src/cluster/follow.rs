//! Watches that start over after a failure.
//!
//! kube's own watcher goes on after most failures where it left off, and says nothing until the
//! next event. In a quiet cluster that may be hours away, and nobody could tell whether the watch
//! works again. Here every failure is followed by a new list, which says so.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

/// The first and the longest wait after a failure: an API server that comes back, or a kind that is
/// installed, is noticed soon, and a list every few seconds costs an API server in need nothing.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// After so much time without a failure the next one counts as the first.
const CALM: Duration = Duration::from_mins(1);

/// Most objects of one page of a list. A page is read as a whole, and its trees of values take some ten times as much as its
/// text, for each kind at the same time: a fifth of the usual 500 keeps less of that at once.
const PAGE: u32 = 100;

/// Lists and watches, and starts over after a failure, which is yielded as a sentence.
pub fn follow<K>(api: Api<K>, config: Config) -> impl Stream<Item = Result<Event<K>, String>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = config.page_size(PAGE);
    let following = Following {
        events: Some(watcher(api.clone(), config.clone()).boxed()),
        api,
        config,
        pause: Pause::default(),
    };
    stream::unfold(following, Following::next)
}

struct Following<K> {
    api: Api<K>,
    config: Config,
    /// None after a failure.
    events: Option<BoxStream<'static, watcher::Result<Event<K>>>>,
    pause: Pause,
}

impl<K> Following<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    async fn next(mut self) -> Option<(Result<Event<K>, String>, Self)> {
        loop {
            let events = if let Some(events) = &mut self.events {
                events
            } else {
                tokio::time::sleep(self.pause.after_failure(Instant::now())).await;
                let events = watcher(self.api.clone(), self.config.clone()).boxed();
                self.events.insert(events)
            };
            match events.next().await {
                Some(Ok(event)) => return Some((Ok(event), self)),
                // Too old to go on, which is no failure: the watcher lists anew at once.
                Some(Err(watcher::Error::WatchError(status))) if status.code == 410 => {}
                Some(Err(error)) => {
                    self.events = None;
                    return Some((Err(failed_watch(&error)), self));
                }
                None => self.events = None,
            }
        }
    }
}

/// How long to wait after failures.
#[derive(Debug, Default)]
struct Pause(Option<(Duration, Instant)>);

impl Pause {
    fn after_failure(&mut self, now: Instant) -> Duration {
        let pause = match self.0 {
            Some((last, when)) if now.duration_since(when) < CALM => (last * 2).min(BACKOFF.1),
            _ => BACKOFF.0,
        };
        self.0 = Some((pause, now));
        pause
    }
}

fn failed_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error) => format!("failed to list: {}", failure(error)),
        watcher::Error::WatchStartFailed(error) => format!("failed to watch: {}", failure(error)),
        watcher::Error::WatchFailed(error) => format!("the watch broke off: {}", failure(error)),
        watcher::Error::WatchError(status) => format!("the watch broke off: {}", status.message),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

/// What went wrong with a request, as a sentence: kube's own repeats an answer of the API server as
/// a data structure, and leaves out why a connection failed.
#[must_use]
pub fn failure(error: &kube::Error) -> String {
    let mut cause: Option<&dyn Error> = match error {
        kube::Error::Api(status) => return status.message.clone(),
        kube::Error::Service(error) => Some(error.as_ref()),
        other => Some(other),
    };
    let mut parts: Vec<String> = Vec::new();
    while let Some(error) = cause {
        let text = error.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        cause = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_begin_anew_in_calm() {
        let mut pause = Pause::default();
        let start = Instant::now();
        let pauses: Vec<_> = (0..6)
            .map(|second| pause.after_failure(start + Duration::from_secs(second)))
            .map(|pause| pause.as_millis())
            .collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 5_000, 5_000]);
        let later = start + Duration::from_secs(5) + CALM;
        assert_eq!(pause.after_failure(later), BACKOFF.0);
    }

    #[test]
    fn failures_are_sentences() {
        let status = kube::core::Status::failure("landingzones is forbidden", "Forbidden");
        let refused = kube::Error::Api(Box::new(status));
        assert_eq!(failure(&refused), "landingzones is forbidden");
        let list = watcher::Error::InitialListFailed(refused);
        assert_eq!(
            failed_watch(&list),
            "failed to list: landingzones is forbidden"
        );

        let connection = std::io::Error::other("connection refused");
        let unreachable = kube::Error::Service(Box::new(connection));
        assert_eq!(failure(&unreachable), "connection refused");
    }
}
