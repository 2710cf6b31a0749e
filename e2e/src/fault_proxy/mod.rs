//! Whatever can go wrong between the operator and the API server: a proxy that lets everything through but what it is told
//! otherwise.
//!
//! Whoever asks through it does so on loopback, without encryption and without a token; the proxy asks the API server with
//! the rights that it was started with.
//!
//! ```no_run
//! # async fn example(cluster: e2e::LocalCluster) -> anyhow::Result<()> {
//! use std::time::Duration;
//! use e2e::fault_proxy::{Call, Fault, FaultProxy, Moment, Rule};
//! use e2e::operator::operator_kubeconfig;
//!
//! let proxy = FaultProxy::start(&operator_kubeconfig(&cluster).await?).await?;
//! // The operator, started with `proxy.kubeconfig()`, gets no answer to its fourth write, which took effect.
//! let crash = Rule::new(Fault::Crash(Moment::After)).of(Call::is_write).at(3);
//! proxy.inject(crash).happened(Duration::from_secs(30)).await?;
//! proxy.clear();
//! # Ok(())
//! # }
//! ```

mod call;
mod events;
mod fault;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use futures::{StreamExt, stream};
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

pub use self::call::Call;
pub use self::events::End;
pub use self::fault::{Fault, Injected, Moment, Refusal, Rule};

use self::events::{Watches, events};
use self::fault::{Decided, Rules};
use crate::cluster::Kubeconfig;

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// A proxy that runs. Dropped, it ends with all connections.
#[derive(Debug)]
pub struct FaultProxy {
    kubeconfig: Kubeconfig,
    state: Arc<State>,
    _running: AbortOnDropHandle<()>,
}

/// What its connections share.
struct State {
    upstream: Client,
    rules: Rules,
    watches: Arc<Watches>,
    /// Whether the world stands still.
    still: watch::Sender<bool>,
    /// Every write that was asked for.
    writes: Mutex<Vec<Call>>,
    lists: Mutex<Lists>,
}

/// Lists as they were answered once.
#[derive(Default)]
struct Lists {
    is_recording: bool,
    answers: HashMap<ListCall, (http::response::Parts, Bytes)>,
}

/// What a list is asked for, and in which form.
type ListCall = (String, String, Option<header::HeaderValue>);

impl FaultProxy {
    /// Starts it in front of an API server, with the rights of a kubeconfig.
    pub async fn start(upstream: &Kubeconfig) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("failed to listen on loopback")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            upstream: upstream.client().await?,
            rules: Rules::default(),
            watches: Arc::default(),
            still: watch::Sender::default(),
            writes: Mutex::default(),
            lists: Mutex::default(),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self {
            kubeconfig: upstream.through(&format!("http://{address}"))?,
            state,
            _running: AbortOnDropHandle::new(serving),
        })
    }

    /// The way through it.
    #[must_use]
    pub fn kubeconfig(&self) -> &Kubeconfig {
        &self.kubeconfig
    }

    /// Puts a rule into force, after those that are; whoever does not ask whether it happened lets go of what is returned.
    #[must_use = "a fault that never happens shows nothing"]
    pub fn inject(&self, rule: Rule) -> Injected {
        self.state.rules.add(rule)
    }

    /// Leaves out events of which that is true, of all watches, those that run included.
    pub fn hide_events(&self, events: impl Fn(&Call, &Value) -> bool + Send + Sync + 'static) {
        self.state.watches.hide(events);
    }

    /// Holds back the events of these watches, and no others', until [`Self::clear`]: what was seen so far grows old.
    pub fn hold_events(&self, watches: impl Fn(&Call) -> bool + Send + Sync + 'static) {
        self.state.watches.hold(watches);
    }

    /// Ends all watches that run.
    pub fn end_watches(&self, how: End) {
        self.state.watches.end(how);
    }

    /// From now on lists are recorded for [`Fault::Stale`], each as it is answered first.
    pub fn record_lists(&self) {
        *self.state.lists() = Lists {
            is_recording: true,
            answers: HashMap::new(),
        };
    }

    /// No list is recorded any more.
    pub fn keep_recorded_lists(&self) {
        self.state.lists().is_recording = false;
    }

    /// Everything goes through again, events that were held back first. What stood still is lost, since whoever asked for
    /// it is meant to be gone.
    pub fn clear(&self) {
        self.state.rules.clear();
        self.state.watches.clear();
        self.state.still.send_replace(false);
    }

    /// Whether a [`Fault::Crash`] has the world stand still.
    #[must_use]
    pub fn stands_still(&self) -> bool {
        *self.state.still.borrow()
    }

    /// The writes that were asked for since this was asked last.
    #[must_use]
    pub fn take_writes(&self) -> Vec<Call> {
        std::mem::take(&mut *self.state.writes())
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let state = Arc::clone(&state);
                    connections.spawn(async move {
                        let service = service_fn(|request| state.answer(request));
                        let connection = http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service);
                        // It ends in an error where a fault ends it, or whoever asked went away.
                        let _ = connection.await;
                    });
                }
                // Such as a connection that was over before it was accepted.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Answer> {
        let call = Call::new(&request);
        if *self.still.borrow() {
            return self.stand_still().await;
        }
        if call.is_write() {
            self.writes().push(call.clone());
        }
        let Some(decided) = self.rules.decide(&call) else {
            return self.forward(call, request).await;
        };
        let Decided { fault, .. } = &decided;
        match fault {
            Fault::Crash(moment) => {
                self.still.send_replace(true);
                if *moment == Moment::After {
                    self.take_effect(request).await?;
                }
                decided.happens();
                self.stand_still().await
            }
            Fault::Lost(moment) => {
                if *moment == Moment::After {
                    self.take_effect(request).await?;
                }
                decided.happens();
                Err(lost())
            }
            Fault::Refused(refusal) => {
                decided.happens();
                Ok(refused(refusal))
            }
            Fault::Late(delay) => {
                tokio::time::sleep(*delay).await;
                decided.happens();
                self.forward(call, request).await
            }
            Fault::CutAfter(bytes) => {
                let (head, body) = self.forward(call, request).await?.into_parts();
                decided.happens();
                let begin = collected(body).await?;
                let begin = begin.slice(..begin.len().min(*bytes));
                let parts = [Ok(Frame::data(begin)), Err(lost())];
                // One after the other: hyper looks for more before it sends what it has.
                let parts = stream::iter(parts).then(async |part| {
                    tokio::task::yield_now().await;
                    part
                });
                Ok(Response::from_parts(
                    head,
                    StreamBody::new(parts).boxed_unsync(),
                ))
            }
            Fault::Stale => {
                let recorded = self
                    .lists()
                    .answers
                    .get(&list_call(&call, &request))
                    .cloned();
                let Some((head, body)) = recorded else {
                    return self.forward(call, request).await;
                };
                decided.happens();
                Ok(Response::from_parts(head, whole(body)))
            }
        }
    }

    /// Until what stands still is cleared away.
    async fn stand_still(&self) -> io::Result<Answer> {
        // The sender is this very struct's.
        let _ = self.still.subscribe().wait_for(|still| !still).await;
        Err(lost())
    }

    /// Asks the API server, and waits for the whole answer.
    async fn take_effect(&self, request: Request<Incoming>) -> io::Result<()> {
        let answer = self.ask(request).await?;
        answer
            .into_body()
            .collect()
            .await
            .map_err(io::Error::other)?;
        Ok(())
    }

    async fn forward(&self, call: Call, request: Request<Incoming>) -> io::Result<Answer> {
        let key = list_call(&call, &request);
        let (head, body) = self.ask(request).await?.into_parts();
        if call.is_watch() {
            let body = events(Arc::clone(&self.watches), call, body);
            return Ok(Response::from_parts(
                head,
                StreamBody::new(body).boxed_unsync(),
            ));
        }
        let body = body.map_err(io::Error::other).boxed_unsync();
        if !(call.is_list() && self.lists().is_recording) {
            return Ok(Response::from_parts(head, body));
        }
        let body = collected(body).await?;
        let first = self
            .lists()
            .answers
            .entry(key)
            .or_insert((head, body))
            .clone();
        Ok(Response::from_parts(first.0, whole(first.1)))
    }

    async fn ask(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (mut head, body) = request.into_parts();
        // What is meant for this connection; and an answer that can be read.
        for name in [header::HOST, header::CONNECTION, header::ACCEPT_ENCODING] {
            head.headers.remove(name);
        }
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let request = Request::from_parts(head, Body::from(body.to_vec()));
        let mut answer = self
            .upstream
            .send(request)
            .await
            .map_err(io::Error::other)?;
        answer.headers_mut().remove(header::CONNECTION);
        answer.headers_mut().remove(header::TRANSFER_ENCODING);
        Ok(answer)
    }

    fn writes(&self) -> MutexGuard<'_, Vec<Call>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list_call<B>(call: &Call, request: &Request<B>) -> ListCall {
    let form = request.headers().get(header::ACCEPT).cloned();
    (call.path.clone(), call.query.clone(), form)
}

async fn collected(body: UnsyncBoxBody<Bytes, io::Error>) -> io::Result<Bytes> {
    Ok(body.collect().await?.to_bytes())
}

fn whole(body: Bytes) -> UnsyncBoxBody<Bytes, io::Error> {
    Full::new(body)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

fn lost() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// A refusal in the API server's words.
fn refused(refusal: &Refusal) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": refusal.message, "reason": refusal.reason, "code": refusal.code,
        "details": refusal.retry_after.map(|seconds| json!({"retryAfterSeconds": seconds})),
    });
    let mut answer = Response::new(whole(status.to_string().into()));
    *answer.status_mut() =
        StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = refusal.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("State")
            .field("rules", &self.rules)
            .field("watches", &self.watches)
            .finish_non_exhaustive()
    }
}
