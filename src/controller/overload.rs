//! What to do when the API server has too much to do: wait as long as it says, and ask again.
//!
//! It answers 429 before it looks at a request (priority and fairness, limits of requests in flight), so asking again does
//! nothing twice. Eviction says 429 where a disruption budget forbids it, which is an answer.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use kube::client::Body;
use kube::client::retry::RetryPolicy;
use tokio::time::{Instant, sleep_until};
use tower::retry::Policy;
use tower::retry::backoff::InvalidBackoff;
use tower::util::rng::{HasherRng, Rng};

/// How long to wait where the API server does not say: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often to ask again. The more it turns away, the longer it asks whoever is turned away to wait, up to 32 s (`DroppedRequestsTracker`
/// of k8s.io/apiserver 1.37), so that is some minutes.
const TIMES: u32 = 8;

/// Asks again when the API server has too much to do.
#[derive(Clone)]
pub(super) struct AskAgain(RetryPolicy);

impl AskAgain {
    /// # Errors
    /// Never: the pauses are fixed.
    pub(super) fn new() -> Result<Self, InvalidBackoff> {
        RetryPolicy::new(PAUSE.0, PAUSE.1, TIMES, true).map(Self)
    }
}

impl<R> Policy<Request<Body>, Response<R>, tower::BoxError> for AskAgain {
    type Future = tokio::time::Sleep;

    fn retry(
        &mut self,
        request: &mut Request<Body>,
        result: &mut Result<Response<R>, tower::BoxError>,
    ) -> Option<Self::Future> {
        let is_overloaded = result
            .as_ref()
            .is_ok_and(|response| response.status() == StatusCode::TOO_MANY_REQUESTS);
        let is_eviction = request.uri().path().ends_with("/eviction");
        if !is_overloaded || is_eviction {
            return None;
        }
        tracing::debug!(
            path = request.uri().path(),
            "the API server has too much to do"
        );
        let pause = self.0.retry(request, result)?;
        // All that were turned away together are told the same time, and would be turned away together once more. A policy is
        // cloned for each request, and with it the numbers that it would draw.
        let until = pause.deadline();
        let longer = until.saturating_duration_since(Instant::now()) / 2;
        Some(sleep_until(
            until + longer.mul_f64(HasherRng::new().next_f64()),
        ))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        <RetryPolicy as Policy<_, Response<R>, _>>::clone_request(&mut self.0, request)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;
    use tower::retry::Retry;
    use tower::{Service, ServiceExt, service_fn};

    use super::*;

    /// A server that says no so many times.
    struct Busy {
        no: StatusCode,
        times: u32,
        after: &'static str,
    }

    /// How often it was asked, what it said in the end, and how long that took.
    type Asked = (u32, StatusCode, Duration);

    async fn asked(policy: &AskAgain, path: &str, busy: Busy) -> Asked {
        let count = Arc::new(AtomicU32::new(0));
        let counted = count.clone();
        let server = service_fn(move |_: Request<Body>| {
            let is_over = counted.fetch_add(1, Ordering::Relaxed) >= busy.times;
            let status = if is_over { StatusCode::OK } else { busy.no };
            let answer = Response::builder()
                .status(status)
                .header("Retry-After", busy.after);
            std::future::ready(Ok::<_, Infallible>(answer.body(()).unwrap()))
        });
        let server = server.map_err(tower::BoxError::from);
        let mut service = Retry::new(policy.clone(), server);
        let body = Body::from(b"{}".to_vec());
        let request = Request::post(path).body(body).unwrap();
        let started = Instant::now();
        let answer = service.ready().await.unwrap().call(request).await.unwrap();
        let times = count.load(Ordering::Relaxed);
        (times, answer.status(), started.elapsed())
    }

    const PATH: &str = "/api/v1/namespaces";

    fn too_many(times: u32, after: &'static str) -> Busy {
        let no = StatusCode::TOO_MANY_REQUESTS;
        Busy { no, times, after }
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_as_long_as_the_api_server_says() {
        let policy = AskAgain::new().unwrap();
        let (times, answer, took) = asked(&policy, PATH, too_many(3, "2")).await;
        assert_eq!((times, answer), (4, StatusCode::OK));
        let bounds = Duration::from_secs(6)..=Duration::from_secs(9);
        assert!(bounds.contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_turned_away_together_does_not_come_back_together() {
        let policy = AskAgain::new().unwrap();
        let all = (0..20).map(|_| asked(&policy, PATH, too_many(1, "8")));
        let all = join_all(all).await;
        let times = all.iter().map(|(.., took)| took.as_millis() / 500);
        let times: BTreeSet<_> = times.collect();
        assert!(times.len() > 3, "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_does_not_ask_for_ever() {
        let policy = AskAgain::new().unwrap();
        let (times, answer, took) = asked(&policy, PATH, too_many(100, "32")).await;
        assert_eq!((times, answer), (TIMES + 1, StatusCode::TOO_MANY_REQUESTS));
        assert!(took <= Duration::from_mins(7), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_else_is_an_answer() {
        let policy = AskAgain::new().unwrap();
        let others = [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
            StatusCode::CONFLICT,
        ];
        for no in others {
            let busy = Busy {
                no,
                ..too_many(1, "1")
            };
            assert_eq!(asked(&policy, PATH, busy).await.0, 1, "{no}");
        }
        let eviction = "/api/v1/namespaces/a/pods/b/eviction";
        assert_eq!(asked(&policy, eviction, too_many(1, "10")).await.0, 1);
    }
}
