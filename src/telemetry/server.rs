//! `/metrics`, `/healthz` and `/readyz`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::{Health, Metrics};

/// Serves until `shutdown` is done.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    health: Health,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(render))
        .with_state(metrics)
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(
            Router::new()
                .route("/readyz", get(readiness))
                .with_state(health),
        );
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .await
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Who does not ask for `OpenMetrics`, such as a person or an older agent, gets the older form.
async fn render(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> Response {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let knows_openmetrics = accepted
        .filter_map(|it| it.to_str().ok())
        .any(|it| it.contains("application/openmetrics-text"));
    match metrics.encode() {
        Ok(text) if knows_openmetrics => {
            ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response()
        }
        Ok(text) => ([(header::CONTENT_TYPE, PLAIN)], plain(&text)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// `OpenMetrics` as Prometheus' older text format: it names counters by their samples, and knows neither units nor an end.
/// (Prometheus, "Exposition formats".)
fn plain(openmetrics: &str) -> String {
    let counters: BTreeSet<&str> = openmetrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(name) => {
                text.extend(["# ", what, " ", name, "_total ", rest]);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

async fn readiness(State(health): State<Health>) -> Response {
    let complaints = health.complaints();
    if complaints.is_empty() {
        return "ok\n".into_response();
    }
    let text = complaints.join("\n") + "\n";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_form_names_counters_by_their_samples() {
        let openmetrics = "# HELP a_writes Requests that change something.\n# TYPE a_writes counter\n\
            a_writes_total{verb=\"patch\"} 1\n# HELP a_seconds Time.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
            a_seconds_sum 0.1\n# EOF\n";
        assert_eq!(
            plain(openmetrics),
            "# HELP a_writes_total Requests that change something.\n# TYPE a_writes_total counter\n\
             a_writes_total{verb=\"patch\"} 1\n# HELP a_seconds Time.\n# TYPE a_seconds histogram\na_seconds_sum 0.1\n"
        );
    }
}
