//! A certificate that ends is replaced, and nobody notices.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::Governed;
use e2e::ports::free_port;
use e2e::shop::Shop;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::api::{Patch, PatchParams};
use landing_zone_operator::admission::certificate::Certificate;
use landing_zone_operator::admission::probe;
use serde_json::{Value, json};

use super::Clusters;
use super::webhook::{
    NAME, declare, install_guard, is_ready, leaving, options, refused, secrets, write,
};

const SERVER: &str = "127.0.0.1";
/// A new certificate is shown 10 s after the API server was told of it, when the operator looks next.
const RENEWED: Duration = Duration::from_secs(90);
/// So long it is looked whether the API server trusts what is shown then.
const AFTERWARDS: Duration = Duration::from_secs(15);

pub async fn a_certificate_is_renewed_unnoticed(clusters: &Clusters) -> Result<()> {
    let port = free_port()?;
    let test = async |governed: &Governed| {
        let _shop = Shop::open(governed, "shop").await?;
        install_guard(governed).await?;
        declare(governed, json!({"guard": "Enforce"})).await?;
        is_ready(governed).await?;
        refused(governed, "first").await?;
        let ending = ending(governed).await?;
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
            if is_shown(governed, port, &ending).await? {
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
        is_ready(governed).await
    };
    clusters.with(options(None, port), Vec::new(), test).await
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

/// Whether the server shows the certificate in the Secret, and that is another one.
async fn is_shown(governed: &Governed, port: u16, ending: &Certificate) -> Result<bool> {
    const END: &str = "-----END CERTIFICATE-----";
    let data = secrets(governed).get(NAME).await?.data.context("no data")?;
    let text = |key: &str| -> Result<String> {
        Ok(String::from_utf8(
            data.get(key).context("a key is missing")?.0.clone(),
        )?)
    };
    let authorities = text("ca.crt")?;
    let end = authorities.find(END).context("no certificate")? + END.len();
    // Of those that are trusted only the first one, which is its own.
    let kept = Certificate {
        authorities: authorities[..end].to_owned(),
        chain: text("tls.crt")?,
        key: text("tls.key")?,
    };
    Ok(kept.chain != ending.chain && probe(port, SERVER, &kept).await.is_ok())
}
