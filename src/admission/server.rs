//! Takes requests of the API server, within bounds: whoever may write policies must not be able to take the operator's
//! memory or time.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_server::tls_rustls::RustlsConfig;
use futures::StreamExt;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::answer::{Knowledge, answer, in_vain};
use super::certificate::{Certificate, Unfit, name, provider};
use crate::telemetry::{Metrics, ReviewLabels, ReviewResult, contained};

/// Where reviews are asked for.
pub const REVIEW_PATH: &str = "/review";
/// Where anybody learns that the server answers.
pub const HEALTH_PATH: &str = "/healthz";

/// The API server takes objects of 3 MiB at most.
const LARGEST_REQUEST: usize = 3 * 1024 * 1024;
/// The API server waits for 5 s.
const DEADLINE: Duration = Duration::from_secs(4);
/// Whoever gets a turn with less than this left is told nothing: the API server goes on without us.
const LEAST_TIME: Duration = Duration::from_secs(1);
/// So many are judged at once. What takes too long counts until it ends.
const AT_ONCE: u32 = 4;
/// A larger request, in bytes, is judged alone: judging takes a hundred times its size in memory.
const LARGE_REQUEST: usize = 256 * 1024;
/// So many bytes of requests are in memory that wait for their turn, or for their end.
const ROOM: usize = 8 * LARGEST_REQUEST;
/// How long a probe waits for an answer.
const PROBE: Duration = Duration::from_secs(5);

/// A server that listens. Dropped, it ends.
pub struct Listening {
    config: RustlsConfig,
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listening {
    /// Takes another certificate for new connections.
    ///
    /// # Errors
    /// When the certificate cannot be used.
    pub fn renew(&self, certificate: &Certificate) -> Result<(), Unfit> {
        self.config.reload_from_config(certificate.for_server()?);
        Ok(())
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why nobody listens.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or not ours.
    #[error("failed to listen on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The certificate is no good.
    #[error(transparent)]
    Certificate(#[from] Unfit),
}

/// Serves reviews until it is dropped. Before anything is known, everything passes with a warning.
///
/// # Errors
/// When the address cannot be listened on, or the certificate cannot be used.
pub fn serve(
    address: SocketAddr,
    certificate: &Certificate,
    knowledge: watch::Receiver<Option<Knowledge>>,
    metrics: Arc<Metrics>,
) -> Result<Listening, ServeError> {
    let reviewer = Reviewer {
        knowledge,
        metrics,
        turns: Arc::new(Semaphore::new(AT_ONCE as usize)),
        room: Arc::new(Semaphore::new(ROOM)),
    };
    serve_by(address, certificate, reviewer)
}

fn serve_by(
    address: SocketAddr,
    certificate: &Certificate,
    reviewer: Reviewer,
) -> Result<Listening, ServeError> {
    let listen = |error| ServeError::Listen(address, error);
    let listener = TcpListener::bind(address).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    let config = RustlsConfig::from_config(certificate.for_server()?);
    let app = Router::new()
        .route(REVIEW_PATH, post(review))
        .route(HEALTH_PATH, get(healthy))
        .with_state(reviewer);
    let server = axum_server::from_tcp_rustls(listener, config.clone()).map_err(listen)?;
    let task = tokio::spawn(async move {
        if let Err(error) = server.serve(app.into_make_service()).await {
            tracing::error!(%error, "the webhook's server ended");
        }
    });
    Ok(Listening {
        config,
        address: bound,
        task,
    })
}

#[derive(Clone)]
struct Reviewer {
    knowledge: watch::Receiver<Option<Knowledge>>,
    metrics: Arc<Metrics>,
    turns: Arc<Semaphore>,
    /// For what is read of requests, in bytes.
    room: Arc<Semaphore>,
}

async fn review(State(reviewer): State<Reviewer>, body: Body) -> Response {
    let (result, response) = match timeout(DEADLINE, reviewed(&reviewer, body)).await {
        Ok(Ok(response)) => {
            let result = if !response.allowed {
                ReviewResult::Refused
            } else if response.warnings.is_some() {
                ReviewResult::Warned
            } else {
                ReviewResult::Passed
            };
            (result, Json(response.into_review()).into_response())
        }
        Ok(Err((status, why))) => (ReviewResult::Failed, (status, why).into_response()),
        Err(_) => {
            let why = "no turn in time".to_owned();
            let busy = (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
            (ReviewResult::Failed, busy)
        }
    };
    let labels = ReviewLabels { result };
    reviewer.metrics.guard_reviews.get_or_create(&labels).inc();
    response
}

/// That it answers says enough: a server that is busy is not out, and what it does not get done is counted.
async fn healthy() -> StatusCode {
    StatusCode::OK
}

type Failed = (StatusCode, String);

async fn reviewed(reviewer: &Reviewer, body: Body) -> Result<AdmissionResponse, Failed> {
    let started = tokio::time::Instant::now();
    let (body, room) = taken_in(reviewer, body).await?;
    let turns = if body.len() > LARGE_REQUEST {
        AT_ONCE
    } else {
        1
    };
    let turn = reviewer.turns.clone().acquire_many_owned(turns).await;
    let turn = turn.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let read = tokio::task::spawn_blocking(move || {
        let request = contained(|| read(&body));
        drop((body, room));
        (request, turn)
    });
    let (request, turn) = read.await.map_err(|error| broken(&error))?;
    let request = Arc::new(request.map_err(|panicked| broken(&panicked))??);
    let knowledge = reviewer.knowledge.borrow().clone();
    let Some(knowledge) = knowledge else {
        let mut response = AdmissionResponse::from(&*request);
        let warning = "the guard of landing zones has just started and does not know the cluster yet; it judges the \
                       policy in the background";
        response.warnings = Some(vec![warning.to_owned()]);
        return Ok(response);
    };
    let stage = knowledge.stage;
    let judged = request.clone();
    let judging = tokio::task::spawn_blocking(move || {
        let response = contained(|| answer(&judged, &knowledge));
        drop(turn);
        response
    });
    // A moment is left to say so.
    let left = (started + DEADLINE - Duration::from_millis(500))
        .saturating_duration_since(tokio::time::Instant::now());
    if left < LEAST_TIME {
        // It is not the policy that is to blame.
        let why = "the turn came too late".to_owned();
        return Err((StatusCode::SERVICE_UNAVAILABLE, why));
    }
    match timeout(left, judging).await {
        Ok(Ok(Ok(response))) => Ok(response),
        // A defect of the evaluator, which is logged, or too much for it.
        Ok(Ok(Err(_)) | Err(_)) | Err(_) => Ok(in_vain(&request, stage)),
    }
}

/// Reads a request as far as there is room: whoever sends slowly holds as much as he sent. All of it is given back at the
/// end, or after the deadline.
async fn taken_in(
    reviewer: &Reviewer,
    body: Body,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Failed> {
    let bad = |status, why: &str| (status, why.to_owned());
    let mut chunks = body.into_data_stream();
    let mut read = Vec::new();
    let mut room: Option<OwnedSemaphorePermit> = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| bad(StatusCode::BAD_REQUEST, "the request broke off"))?;
        if read.len() + chunk.len() > LARGEST_REQUEST {
            let why = format!("the request is larger than {LARGEST_REQUEST} bytes");
            return Err((StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        let size = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        let more = reviewer.room.clone().acquire_many_owned(size).await;
        let more = more.map_err(|_| bad(StatusCode::SERVICE_UNAVAILABLE, "the server ends"))?;
        match &mut room {
            Some(room) => room.merge(more),
            None => room = Some(more),
        }
        read.extend_from_slice(&chunk);
    }
    Ok((read, room))
}

fn broken(error: &impl std::error::Error) -> Failed {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn read(body: &[u8]) -> Result<AdmissionRequest<DynamicObject>, Failed> {
    let bad = |why: String| (StatusCode::BAD_REQUEST, why);
    let review: AdmissionReview<DynamicObject> =
        serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    review
        .try_into()
        .map_err(|error: kube::core::admission::ConvertAdmissionReviewError| bad(error.to_string()))
}

/// Why nobody answers as the API server wants it.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No connection, no good certificate, or no answer.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What the client needs is no good.
    #[error(transparent)]
    Certificate(#[from] Unfit),
    /// It takes too long.
    #[error("no answer within {} s", PROBE.as_secs())]
    Slow,
    /// It is not ours.
    #[error("it answers {0}")]
    Other(String),
}

/// Asks a server on this machine as the API server would: under its name, trusting nobody but its authorities.
///
/// # Errors
/// Why it does not answer.
pub async fn probe(port: u16, server: &str, certificate: &Certificate) -> Result<(), ProbeError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Unfit::from)?
        .with_root_certificates(certificate.roots()?)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let server = name(server)?;
    let asking = async {
        let connection = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        let mut connection = connector.connect(server, connection).await?;
        let request =
            format!("GET {HEALTH_PATH} HTTP/1.1\r\nhost: guard\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).await?;
        Ok(answer)
    };
    match timeout(PROBE, asking).await {
        Err(_) => Err(ProbeError::Slow),
        Ok(Err(error)) => Err(ProbeError::Io(error)),
        Ok(Ok(answer)) if answer == *b"HTTP/1.1 200" => Ok(()),
        Ok(Ok(answer)) => {
            let answer = String::from_utf8_lossy(&answer).into_owned();
            Err(ProbeError::Other(answer))
        }
    }
}

#[cfg(test)]
mod tests;
