//! The operator: arguments, then run.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use kube::Config;
use landing_zone_operator::cli::PlatformArgs;
use landing_zone_operator::controller::{
    CertificateKeeper, Clients, Settings, WebhookSettings, run,
};
use landing_zone_operator::telemetry::{LogFormat, end_on_panic, start_logs};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Reading and comparing everything at a start takes a quarter less processor time with it than with the
/// allocator of glibc, which keeps memory for each thread besides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Turns LandingZones into governed namespaces and puts back whatever drifts. Runs in a cluster, or
/// against the current kubeconfig outside of one.
#[derive(Debug, Parser)]
#[command(version = landing_zone_operator::version())]
#[expect(
    clippy::doc_markdown,
    reason = "--help shows these comments as they are"
)]
struct Arguments {
    /// Address of /metrics, /healthz and /readyz.
    #[arg(
        long,
        env = "LANDING_ZONE_OPERATOR_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    listen: SocketAddr,
    /// Form of the log lines.
    #[arg(
        long,
        env = "LANDING_ZONE_OPERATOR_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value = "text"
    )]
    log_format: LogFormat,
    /// Which log lines are written, for instance info or landing_zone_operator=debug.
    #[arg(
        long,
        env = "LANDING_ZONE_OPERATOR_LOG",
        value_name = "FILTER",
        default_value = "info"
    )]
    log: String,
    /// Namespace that the operator itself runs in, which a default deny must not cut off; in a pod it finds
    /// that out itself.
    #[arg(long, env = "LANDING_ZONE_OPERATOR_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,
    /// Address of the webhook that judges policies, while the LandingZonePlatform declares guard.
    #[arg(
        long,
        env = "LANDING_ZONE_OPERATOR_WEBHOOK_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:9443"
    )]
    webhook_listen: SocketAddr,
    /// Where the API server finds the webhook, for instance https://127.0.0.1:9443, where it is not in the
    /// cluster; otherwise by the Service of config/guard.
    #[arg(
        long,
        env = "LANDING_ZONE_OPERATOR_WEBHOOK_URL",
        value_name = "URL",
        value_parser = webhook_url
    )]
    webhook_url: Option<http::Uri>,
    /// Who makes the certificate of the webhook, in the Secret landing-zone-operator-guard, and replaces it in time.
    #[arg(
        long,
        env = "LANDING_ZONE_OPERATOR_WEBHOOK_CERTIFICATE",
        value_name = "KEEPER",
        value_enum,
        default_value = "operator"
    )]
    webhook_certificate: CertificateKeeper,
    /// Requests at once that write objects, and as many again that grant rights, which mostly wait. With 1 or 2 others have an
    /// API server of few processors nearly for themselves, and many landing zones take longer to become ready.
    #[arg(
        long,
        env = "LANDING_ZONE_OPERATOR_WRITES_IN_FLIGHT",
        value_name = "COUNT",
        value_parser = clap::value_parser!(u16).range(1..=256),
        default_value_t = 32
    )]
    writes_in_flight: u16,
    /// Requests a second that the operator makes at most, watches aside; as many as there are when left out. On an API server
    /// of few processors, 50 leave others theirs, and many landing zones take longer to become ready.
    #[arg(
        long,
        env = "LANDING_ZONE_OPERATOR_REQUESTS_PER_SECOND",
        value_name = "COUNT",
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    requests_per_second: Option<u16>,
    #[command(flatten)]
    platform: PlatformArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    start_logs(arguments.log_format, &arguments.log)?;
    end_on_panic();
    let mut config = Config::infer().await.context(
        "failed to find a cluster: neither running in one nor is there a usable kubeconfig",
    )?;
    // The queue tries again; kube's own retries could hold one call up for minutes.
    config.default_retry = false;
    let clients = Clients::new(
        &config,
        arguments.writes_in_flight,
        arguments.requests_per_second,
    )?;
    let own_namespace = arguments.namespace.or_else(own_namespace);
    let settings = Settings {
        listen: arguments.listen,
        platform: arguments.platform.platform(),
        webhook: WebhookSettings {
            listen: arguments.webhook_listen,
            url: arguments.webhook_url,
            own_namespace: own_namespace.clone(),
            certificate: arguments.webhook_certificate,
        },
        own_namespace,
    };
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; the writes in hand are finished");
        stopping.cancel();
    });
    Box::pin(run(clients, settings, stop)).await?;
    Ok(())
}

/// A URL of which the API server asks nothing but scheme, host and port.
fn webhook_url(text: &str) -> Result<http::Uri, String> {
    let url: http::Uri = text.parse().map_err(|error| format!("{error}"))?;
    let is_plain = url.scheme_str() == Some("https") && url.host().is_some() && url.path() == "/";
    if is_plain {
        Ok(url)
    } else {
        Err("it has to be https://HOST:PORT, without a path".to_owned())
    }
}

/// The namespace of the pod that this runs in, as Kubernetes tells every pod; None outside of one.
fn own_namespace() -> Option<String> {
    const FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    let text = std::fs::read_to_string(FILE).ok()?;
    Some(text.trim().to_owned()).filter(|name| !name.is_empty())
}
