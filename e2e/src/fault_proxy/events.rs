//! What a watch is told: each event may be held back, left out, or followed by the end of the watch.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BytesMut};
use futures::stream::{self, Stream};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Call;

type Predicate = Box<dyn Fn(&Call, &Value) -> bool + Send + Sync>;
type Held = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

/// How a watch ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The connection ends: whoever watches asks again from where it was.
    Cut,
    /// The API server says that its history does not go back so far (410): whoever watches needs a new list.
    Gone,
}

/// What is done to all watches, those that run included.
#[derive(Default)]
pub(super) struct Watches {
    hidden: Mutex<Option<Predicate>>,
    /// Which watches are held back.
    held: watch::Sender<Option<Held>>,
    /// How often they were ended, and how the last time.
    ended: watch::Sender<(u64, Option<End>)>,
}

impl Watches {
    /// Leaves out events of which that is true.
    pub fn hide(&self, events: impl Fn(&Call, &Value) -> bool + Send + Sync + 'static) {
        *self.hidden() = Some(Box::new(events));
    }

    /// Holds the events of these watches back, and no others'.
    pub fn hold(&self, watches: impl Fn(&Call) -> bool + Send + Sync + 'static) {
        self.held.send_replace(Some(Arc::new(watches)));
    }

    /// Ends all that run.
    pub fn end(&self, how: End) {
        self.ended
            .send_modify(|ended| *ended = (ended.0 + 1, Some(how)));
    }

    /// Everything is told again.
    pub fn clear(&self) {
        *self.hidden() = None;
        self.held.send_replace(None);
    }

    fn hidden(&self) -> std::sync::MutexGuard<'_, Option<Predicate>> {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an event, a line of the answer, is left out. Bookmarks and errors tell of no object.
    fn hides(&self, call: &Call, line: &[u8]) -> bool {
        let hidden = self.hidden();
        let Some(hides) = hidden.as_ref() else {
            return false;
        };
        let Ok(event) = serde_json::from_slice::<Value>(line) else {
            return false;
        };
        let of_an_object = matches!(
            event["type"].as_str(),
            Some("ADDED" | "MODIFIED" | "DELETED")
        );
        of_an_object && hides(call, &event)
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Watches")
            .field("hides", &self.hidden().is_some())
            .field("holds", &self.held.borrow().is_some())
            .field("ended", &*self.ended.borrow())
            .finish_non_exhaustive()
    }
}

/// One watch.
struct Watching<B> {
    watches: Arc<Watches>,
    call: Call,
    answer: B,
    /// What came of an event that is not whole yet.
    begun: BytesMut,
    held: watch::Receiver<Option<Held>>,
    ended: watch::Receiver<(u64, Option<End>)>,
    is_over: bool,
}

/// The events of a watch, as far as they are let through.
pub(super) fn events<B>(
    watches: Arc<Watches>,
    call: Call,
    answer: B,
) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send
where
    B: hyper::body::Body<Data = Bytes> + Unpin + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let watching = Watching {
        held: watches.held.subscribe(),
        ended: watches.ended.subscribe(),
        watches,
        call,
        answer,
        begun: BytesMut::new(),
        is_over: false,
    };
    stream::try_unfold(watching, |mut watching| async move {
        let next = watching.next().await?;
        Ok(next.map(|line| (Frame::data(line), watching)))
    })
}

impl<B> Watching<B>
where
    B: hyper::body::Body<Data = Bytes> + Unpin + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// The next event that is let through; None at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if self.is_over {
                return Ok(None);
            }
            if let Some(line) = self.line() {
                if self.watches.hides(&self.call, &line) {
                    continue;
                }
                let call = &self.call;
                let goes_on = |held: &Option<Held>| !held.as_ref().is_some_and(|of| of(call));
                let ended = tokio::select! {
                    biased;
                    ended = self.ended.changed() => Some(ended.is_ok()),
                    _ = self.held.wait_for(goes_on) => None,
                };
                return match ended {
                    Some(is_asked_for) => self.end(is_asked_for),
                    None => Ok(Some(line)),
                };
            }
            tokio::select! {
                biased;
                ended = self.ended.changed() => return self.end(ended.is_ok()),
                frame = self.answer.frame() => match frame {
                    None => return Ok(None),
                    Some(Ok(frame)) => if let Ok(mut data) = frame.into_data() {
                        self.begun.extend_from_slice(&data.copy_to_bytes(data.remaining()));
                    },
                    Some(Err(error)) => return Err(io::Error::other(error)),
                },
            }
        }
    }

    /// A whole event.
    fn line(&mut self) -> Option<Bytes> {
        let end = self.begun.iter().position(|byte| *byte == b'\n')?;
        Some(self.begun.split_to(end + 1).freeze())
    }

    fn end(&mut self, is_asked_for: bool) -> io::Result<Option<Bytes>> {
        self.is_over = true;
        match self.ended.borrow().1 {
            Some(End::Gone) if is_asked_for => Ok(Some(gone())),
            _ => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        }
    }
}

fn gone() -> Bytes {
    let mut line = json!({"type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410
    }})
    .to_string();
    line.push('\n');
    line.into()
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn call() -> Call {
        Call {
            method: "GET".to_owned(),
            path: "/api/v1/namespaces".to_owned(),
            query: "watch=true".to_owned(),
        }
    }

    fn event(name: &str) -> String {
        format!(
            "{}\n",
            json!({"type": "ADDED", "object": {"metadata": {"name": name}}})
        )
    }

    fn text(item: Option<io::Result<Frame<Bytes>>>) -> String {
        let data = item.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(data.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn events_come_whole_without_those_that_are_hidden() {
        let watches = Arc::new(Watches::default());
        watches.hide(|_, event| event["object"]["metadata"]["name"] == "b");
        let whole = ["a", "b", "c"].map(event).concat();
        let (begin, end) = whole.split_at(10);
        let parts = [begin, end]
            .map(|part| Ok::<_, io::Error>(Frame::data(Bytes::copy_from_slice(part.as_bytes()))));
        let answer = StreamBody::new(stream::iter(parts));
        let told: Vec<_> = events(watches, call(), answer)
            .map(|it| text(Some(it)))
            .collect()
            .await;
        assert_eq!(told, [event("a"), event("c")]);
    }

    #[tokio::test]
    async fn what_is_held_comes_later_and_what_is_ended_does_not() {
        let watches = Arc::new(Watches::default());
        watches.hold(|_| true);
        let answer = Full::new(Bytes::from(["a", "b", "c"].map(event).concat()));
        let mut told = Box::pin(events(Arc::clone(&watches), call(), answer));
        assert!(told.next().now_or_never().is_none());
        watches.hold(|_| false);
        assert_eq!(text(told.next().await), event("a"));
        watches.end(End::Gone);
        assert!(text(told.next().await).contains("410"));
        assert!(told.next().await.is_none());
    }

    #[tokio::test]
    async fn a_watch_that_is_cut_ends_in_an_error() {
        let watches = Arc::new(Watches::default());
        let answer = Full::new(Bytes::from(event("a")));
        let mut told = Box::pin(events(Arc::clone(&watches), call(), answer));
        watches.end(End::Cut);
        assert!(told.next().await.unwrap().is_err());
    }
}
