//! Whether this process may write, and the gate before the API server that holds it to that.

use std::error::Error;
use std::future::Future as _;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::FutureExt;
use futures::future::{BoxFuture, poll_fn};
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
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_write = !request.method().is_safe();
        if is_write && !self.leadership.may_write() {
            return async { Err(NotLeading.into()) }.boxed();
        }
        let mut sent = Box::pin(self.inner.call(request));
        let leadership = self.leadership.clone();
        // A connection may have to be opened first. Whoever was stopped meanwhile must not send once it goes on.
        poll_fn(move |context| {
            if is_write && !leadership.may_write() {
                return Poll::Ready(Err(NotLeading.into()));
            }
            sent.as_mut().poll(context).map_err(Into::into)
        })
        .boxed()
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

    /// Between the gate and the socket a connection is opened, and that takes time.
    #[tokio::test]
    async fn what_is_under_way_does_not_begin_any_more() {
        let leadership = Leadership::default();
        leadership.holds_until(Instant::now() + Duration::from_hours(1));
        let (connected, connects) = tokio::sync::oneshot::channel::<()>();
        let connects = connects.shared();
        let server = tower::service_fn(move |_: Request<()>| {
            let connects = connects.clone();
            async move {
                connects.await.unwrap();
                Ok::<_, Infallible>(())
            }
        });
        let mut gated = leadership.gate().layer(server);
        let mut send = |method: Method| {
            let request = Request::builder().method(method).body(()).unwrap();
            let mut sent = gated.call(request);
            assert!((&mut sent).now_or_never().is_none());
            sent
        };
        let (write, read) = (send(Method::PATCH), send(Method::GET));
        leadership.holds_until(Instant::now());
        connected.send(()).unwrap();
        assert!(write.await.unwrap_err().is::<NotLeading>());
        read.await.unwrap();
    }

    #[tokio::test]
    async fn leading_begins_once() {
        let leadership = Leadership::default();
        assert!(leadership.begun().now_or_never().is_none());
        leadership.holds_until(Instant::now());
        leadership.begun().await;
    }
}
