//! A certificate that ends is replaced, and nobody notices.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::Governed;
use e2e::ports::free_port;
use e2e::shop::Shop;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::api::{Patch, PatchParams};
use landing_zone_operator::admission::certificate::Certificate;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

use super::Clusters;
use super::webhook::{NAME, enforce, is_ready, leaving, options, secrets, write};

const SERVER: &str = "127.0.0.1";
/// A new certificate is shown 10 s after the API server was told of it, when the operator looks next.
const RENEWED: Duration = Duration::from_secs(90);
/// So long it is looked whether the API server trusts what is shown then.
const AFTERWARDS: Duration = Duration::from_secs(15);
/// A loop that wrote less has not looked.
const FEWEST_WRITES: u32 = 50;

pub async fn a_certificate_is_renewed_unnoticed(clusters: &Clusters) -> Result<()> {
    let port = free_port()?;
    let test = async |governed: &Governed| {
        let _shop = Shop::open(governed, "shop").await?;
        enforce(governed).await?;
        let ending = ending(governed).await?;
        is_replaced_unnoticed(governed, port, &ending.chain).await?;
        is_ready(governed).await
    };
    clusters.with(options(None, port), Vec::new(), test).await
}

/// Writes policies until the server shows another certificate, and for a while after: each has to be judged.
pub(super) async fn is_replaced_unnoticed(
    governed: &Governed,
    port: u16,
    before: &str,
) -> Result<()> {
    let mut number = 0;
    let mut is_refused = async || {
        number += 1;
        let written = write(governed, &leaving(&format!("renewed-{number}"))?).await?;
        ensure!(written.is_err(), "policy {number} was not judged");
        Ok::<_, anyhow::Error>(())
    };
    let started = Instant::now();
    loop {
        is_refused().await?;
        if let Some(kept) = kept(governed).await?
            && kept.chain != before
            && is_shown(port, &kept).await?
        {
            break;
        }
        ensure!(
            started.elapsed() < RENEWED,
            "the new certificate is not shown"
        );
    }
    let shown = Instant::now();
    while shown.elapsed() < AFTERWARDS {
        is_refused().await?;
    }
    ensure!(
        number >= FEWEST_WRITES,
        "only {number} policies were written"
    );
    Ok(())
}

/// Puts a certificate into the Secret that is good, of an authority of its own, and ends soon.
async fn ending(governed: &Governed) -> Result<Certificate> {
    let ending = Certificate::make(
        SERVER,
        Timestamp::now() - Duration::from_hours(70 * 24),
        None,
    )?;
    ending.examine(SERVER, Timestamp::now())?;
    let data = [
        ("ca.crt", &ending.authorities),
        ("tls.crt", &ending.chain),
        ("tls.key", &ending.key),
    ]
    .map(|(key, text)| (key.to_owned(), json!(ByteString(text.clone().into_bytes()))));
    let data: serde_json::Map<String, Value> = data.into_iter().collect();
    secrets(governed)
        .patch(
            NAME,
            &PatchParams::default(),
            &Patch::Merge(json!({"data": data})),
        )
        .await?;
    Ok(ending)
}

/// The certificate in the Secret; None where there is no Secret.
pub(super) async fn kept(governed: &Governed) -> Result<Option<Certificate>> {
    let Some(secret) = secrets(governed).get_opt(NAME).await? else {
        return Ok(None);
    };
    let data = secret.data.context("no data")?;
    let text = |key: &str| -> Result<String> {
        let value = data.get(key).with_context(|| format!("no {key}"))?;
        Ok(String::from_utf8(value.0.clone())?)
    };
    Ok(Some(Certificate {
        authorities: text("ca.crt")?,
        chain: text("tls.crt")?,
        key: text("tls.key")?,
    }))
}

/// Whether the server shows this certificate, all of its chain, and its authority vouches for it.
async fn is_shown(port: u16, kept: &Certificate) -> Result<bool> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(kept.roots()?)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let connection = TcpStream::connect((SERVER, port)).await?;
    let name = ServerName::try_from(SERVER)?;
    let Ok(connection) = connector.connect(name, connection).await else {
        // For what is shown yet another authority vouches.
        return Ok(false);
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(kept.chain.as_bytes()).collect();
    Ok(connection.get_ref().1.peer_certificates() == Some(&chain?[..]))
}
