//! Whether this process may write, and the gate before the API server that holds it to that.

use std::error::Error;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::{Either, Ready, ready};
use futures::{FutureExt, TryFutureExt};
use http::Request;
use tokio::sync::watch;
use tower::{Layer, Service};

/// Whether this process may write: shared by whoever keeps the Lease and whoever writes.
#[derive(Clone, Debug, Default)]
pub struct Leadership(watch::Sender<Option<Instant>>);

impl Leadership {
    /// Whether a write may begin now.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Writes may begin until then.
    pub(super) fn holds_until(&self, until: Instant) {
        self.0.send_replace(Some(until));
    }

    /// No write may begin any more.
    pub(super) fn ends(&self) {
        self.0.send_replace(None);
    }

    /// Whether writes could begin once.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits until writes may begin for the first time.
    pub async fn begun(&self) {
        // The sender lives as long as this does.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }

    /// What a client needs so that no write of its begins while another operator leads.
    #[must_use]
    pub fn gate(&self) -> Gate {
        Gate(self.clone())
    }
}

/// Why a write was not sent.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this operator does not hold the Lease, so it writes nothing")]
pub struct NotLeading;

/// Lets writes through while this process leads, and reads always.
#[derive(Clone, Debug)]
pub struct Gate(Leadership);

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated {
            inner,
            leadership: self.0.clone(),
        }
    }
}

/// A client behind a [`Gate`].
#[derive(Clone, Debug)]
pub struct Gated<S> {
    inner: S,
    leadership: Leadership,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<S, B> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<
        futures::future::MapErr<S::Future, fn(S::Error) -> BoxError>,
        Ready<Result<S::Response, BoxError>>,
    >;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.method().is_safe() || self.leadership.may_write() {
            let sent = self.inner.call(request);
            sent.map_err(S::Error::into as fn(S::Error) -> BoxError)
                .left_future()
        } else {
            ready(Err(NotLeading.into())).right_future()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use http::Method;
    use tower::ServiceExt;

    use super::*;

    async fn passes(leadership: &Leadership, method: Method) -> bool {
        let server = tower::service_fn(|_: Request<()>| async { Ok::<_, Infallible>(()) });
        let request = Request::builder().method(method).body(()).unwrap();
        match leadership.gate().layer(server).oneshot(request).await {
            Ok(()) => true,
            Err(error) => {
                assert!(error.is::<NotLeading>(), "{error}");
                false
            }
        }
    }

    #[tokio::test]
    async fn only_who_leads_writes_and_everybody_reads() {
        let leadership = Leadership::default();
        let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        for write in &writes {
            assert!(!passes(&leadership, write.clone()).await, "{write}");
        }
        assert!(passes(&leadership, Method::GET).await);

        leadership.holds_until(Instant::now() + Duration::from_hours(1));
        for write in &writes {
            assert!(passes(&leadership, write.clone()).await, "{write}");
        }

        // A process that was stopped for a while finds out by the clock, before anybody tells it.
        leadership.holds_until(Instant::now());
        for write in writes {
            assert!(!passes(&leadership, write.clone()).await, "{write}");
        }
        assert!(passes(&leadership, Method::GET).await);
    }

    #[tokio::test]
    async fn leading_begins_once() {
        let leadership = Leadership::default();
        assert!(leadership.begun().now_or_never().is_none());
        leadership.holds_until(Instant::now());
        leadership.begun().await;
    }
}
