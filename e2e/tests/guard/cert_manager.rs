//! The certificate kept by cert-manager, the real one: the operator only reads the Secret.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::audit::Mark;
use e2e::governed::CONVERGED;
use e2e::kustomize::Overlay;
use e2e::ports::free_port;
use e2e::shop::Shop;
use e2e::{
    CertManager, Governed, OperatorOptions, OperatorProcess, cert_manager, eventually, holds_for,
    install,
};
use jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use landing_zone_operator::admission::certificate::Certificate;
use serde_json::{Value, json};

use super::Clusters;
use super::policy::{api, object};
use super::renewal::{is_replaced_unnoticed, kept};
use super::webhook::{
    NAME, SYSTEM, declare, enforce, is_out, is_ready, leaving, passes, refused, secrets, write,
};

const CERT_MANAGER: &str = "cert-manager.io/v1";
const AUTHORITY: &str = "landing-zone-operator-guard-authority";
/// An authority below that one, as a platform may have it.
const BETWEEN: &str = "between";
/// cert-manager tries again after 5 s, 10 s and so on where something was not there yet.
const ISSUED: Duration = Duration::from_secs(90);
/// Longer than the operator waits between two looks.
const A_WHILE: Duration = Duration::from_secs(12);

pub async fn cert_manager_keeps_the_certificate(clusters: &Clusters) -> Result<()> {
    let port = free_port()?;
    let test = async |governed: &Governed| {
        let _shop = Shop::open(governed, "shop").await?;
        let component = component(governed).await?;
        install::apply_objects(&governed.client(), component).await?;
        declare(governed, json!({"guard": "Enforce"})).await?;
        is_out(governed, "NoCertificate", "there is no Secret").await?;
        let cert_manager = CertManager::start(&governed.cluster).await?;
        issued(governed, "").await?;
        is_ready(governed).await?;
        refused(governed, "first").await?;
        renewed_by_hand(governed, port)
            .await
            .context("renewed by hand")?;
        authority_replaced(governed, port)
            .await
            .context("authority replaced")?;
        signed_by_another(governed, port)
            .await
            .context("signed by an authority below another")?;
        cert_manager.ensure_running()?;
        without_cert_manager(governed, port, cert_manager)
            .await
            .context("without cert-manager")?;
        only_read(governed, Mark::default())
    };
    clusters.with(reading(None, port), Vec::new(), test).await
}

pub async fn cert_manager_takes_over_what_the_operator_kept(clusters: &Clusters) -> Result<()> {
    let port = free_port()?;
    let test = async |governed: &Governed| {
        let _shop = Shop::open(governed, "shop").await?;
        enforce(governed).await?;
        let before = kept(governed).await?.context("no Secret")?;

        let mut component = component(governed).await?;
        // It is the same, but for the address under which this cluster finds the operator.
        component.retain(|it| {
            let types = it.types.as_ref();
            types.is_none_or(|types| types.kind != "ValidatingWebhookConfiguration")
        });
        install::apply_objects(&governed.client(), component).await?;
        governed.operator.terminate().await?;
        let mark = governed.cluster.audit_log().mark()?;
        let operator =
            OperatorProcess::start(&governed.cluster, reading(Some("again"), port)).await?;
        operator.wait_until_ready(CONVERGED).await?;
        refused(governed, "with-what-was-kept").await?;
        ensure!(kept(governed).await?.as_ref() == Some(&before));
        let cert_manager = CertManager::start(&governed.cluster).await?;
        is_replaced_unnoticed(governed, port, &before.chain).await?;
        is_ready(governed).await?;
        only_read(governed, mark)?;
        operator.terminate().await?;
        cert_manager.stop().await
    };
    let options = super::webhook::options(None, port);
    clusters.with(options, Vec::new(), test).await
}

/// An operator that only reads the Secret.
fn reading(name: Option<&str>, port: u16) -> OperatorOptions {
    let mut options = super::webhook::options(name, port);
    options
        .arguments
        .push("--webhook-certificate=secret".to_owned());
    options
}

/// What `config/cert-manager` makes of the guard, for the address under which this cluster finds the operator; its kinds are
/// installed.
async fn component(governed: &Governed) -> Result<Vec<DynamicObject>> {
    cert_manager::install_kinds(&governed.client()).await?;
    let overlay = Overlay {
        resources: &["config/guard"],
        components: &["config/cert-manager"],
        patches: vec![json!({
            "target": {"kind": "Certificate", "name": NAME},
            "patch": r#"[{"op": "add", "path": "/spec/ipAddresses", "value": ["127.0.0.1"]}]"#,
        })],
    };
    let cluster = &governed.cluster;
    let folder = cluster.directory().join("overlay");
    overlay.build(cluster.kubectl_path(), &folder)
}

fn certificates(governed: &Governed) -> Api<DynamicObject> {
    api(governed.client(), CERT_MANAGER, "Certificate", Some(SYSTEM))
}

/// Waits until the Secret holds another certificate than before.
async fn issued(governed: &Governed, before: &str) -> Result<Certificate> {
    eventually(ISSUED, "cert-manager to issue a certificate", async || {
        let kept = kept(governed).await?;
        Ok(kept.filter(|it| it.chain != before))
    })
    .await
}

async fn renewed_by_hand(governed: &Governed, port: u16) -> Result<()> {
    let before = kept(governed).await?.context("no Secret")?;
    ensure!(before.key.contains("BEGIN PRIVATE KEY"), "no PKCS#8");
    // What `cmctl renew` does.
    let certificates = certificates(governed);
    let mut found = certificates.get(NAME).await?;
    let conditions = found.data["status"]["conditions"]
        .as_array_mut()
        .context("no conditions")?;
    conditions.retain(|it| it["type"] != "Issuing");
    conditions.push(json!({
        "type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "asked for",
        "lastTransitionTime": format!("{:.0}", Timestamp::now()),
    }));
    let conditions = Patch::Merge(json!({"status": {"conditions": conditions}}));
    certificates
        .patch_status(NAME, &PatchParams::default(), &conditions)
        .await?;
    is_replaced_unnoticed(governed, port, &before.chain).await?;
    let after = kept(governed).await?.context("no Secret")?;
    ensure!(after.authorities == before.authorities && after.key != before.key);
    is_ready(governed).await
}

/// A new authority of the same name, which the API server has not seen, and a key in the form of PKCS#1.
async fn authority_replaced(governed: &Governed, port: u16) -> Result<()> {
    let before = kept(governed).await?.context("no Secret")?;
    let secrets = secrets(governed);
    let authority = secrets.get(AUTHORITY).await?.data;
    secrets.delete(AUTHORITY, &DeleteParams::default()).await?;
    eventually(ISSUED, "another authority", async || {
        let now = secrets.get(AUTHORITY).await?.data;
        Ok((now != authority).then_some(()))
    })
    .await?;
    let key = json!({"algorithm": "RSA", "encoding": "PKCS1", "size": 2048});
    edit(governed, json!({"privateKey": key})).await?;
    is_replaced_unnoticed(governed, port, &before.chain).await?;
    let after = kept(governed).await?.context("no Secret")?;
    ensure!(
        after.key.contains("BEGIN RSA PRIVATE KEY"),
        "no key in the form of PKCS#1"
    );
    ensure!(
        after.authorities != before.authorities,
        "the same authority signed"
    );
    is_ready(governed).await
}

/// An authority below another one, and a key in the form of SEC 1.
async fn signed_by_another(governed: &Governed, port: u16) -> Result<()> {
    let before = kept(governed).await?.context("no Secret")?;
    let certificate = json!({
        "secretName": BETWEEN, "isCA": true, "commonName": BETWEEN,
        "privateKey": {"algorithm": "ECDSA", "size": 384}, "issuerRef": {"name": NAME, "kind": "Issuer"},
    });
    let issuer = json!({"ca": {"secretName": BETWEEN}});
    for (kind, spec) in [("Certificate", certificate), ("Issuer", issuer)] {
        let mut object = object(CERT_MANAGER, kind, BETWEEN, &spec)?;
        object.metadata.namespace = Some(SYSTEM.to_owned());
        install::apply(&governed.client(), object).await?;
    }
    edit(
        governed,
        json!({
            "issuerRef": {"name": BETWEEN},
            "privateKey": {"algorithm": "ECDSA", "encoding": "PKCS1", "size": 384},
        }),
    )
    .await?;
    is_replaced_unnoticed(governed, port, &before.chain).await?;
    let after = kept(governed).await?.context("no Secret")?;
    ensure!(
        after.key.contains("BEGIN EC PRIVATE KEY"),
        "no key in the form of SEC 1"
    );
    let count = after.chain.matches("BEGIN CERTIFICATE").count();
    ensure!(count == 2, "{count} certificates:\n{}", after.chain);
    is_ready(governed).await
}

/// Edits the webhook's Certificate, as its owner would.
async fn edit(governed: &Governed, spec: Value) -> Result<()> {
    let edited = Patch::Merge(json!({"spec": spec}));
    certificates(governed)
        .patch(NAME, &PatchParams::default(), &edited)
        .await?;
    Ok(())
}

async fn without_cert_manager(
    governed: &Governed,
    port: u16,
    cert_manager: CertManager,
) -> Result<()> {
    cert_manager.stop().await?;
    secrets(governed)
        .delete(NAME, &DeleteParams::default())
        .await?;
    let mut number = 0;
    holds_for(A_WHILE, "what is good is shown further on", async || {
        number += 1;
        let written = write(governed, &leaving(&format!("without-secret-{number}"))?).await?;
        ensure!(written.is_err(), "policy {number} was not judged");
        Ok(())
    })
    .await?;
    is_ready(governed).await?;

    // An operator that begins now has nothing to show.
    governed.operator.terminate().await?;
    let operator = OperatorProcess::start(&governed.cluster, reading(Some("again"), port)).await?;
    operator.wait_until_ready(CONVERGED).await?;
    let words = "there is no Secret landing-zone-operator-guard; the operator was started with \
                 --webhook-certificate=secret, so whoever keeps the Secret has to put a certificate for 127.0.0.1 there: \
                 see the Certificate landing-zone-operator-guard of cert-manager";
    is_out(governed, "NoCertificate", words).await?;
    let metrics = operator.metrics().await?;
    ensure!(
        metrics.contains("landingzone_guard_ready{stage=\"Enforce\"} 0\n"),
        "{metrics}"
    );
    passes(governed, "without-certificate").await?;

    let cert_manager = CertManager::start(&governed.cluster).await?;
    issued(governed, "").await?;
    is_ready(governed).await?;
    refused(governed, "cert-manager-back").await?;
    operator.terminate().await?;
    cert_manager.stop().await
}

/// Since then the operator has followed the Secret, but it has not even tried to write one.
fn only_read(governed: &Governed, since: Mark) -> Result<()> {
    let log = governed.cluster.audit_log();
    let mut asked = log.requests_by(governed.operator_user(), since)?;
    asked.retain(|it| it.resource == "secrets");
    let watched = asked.iter().any(|it| it.verb == "watch" && it.succeeded());
    ensure!(watched, "it did not even watch: {asked:#?}");
    let reads = ["get", "list", "watch"];
    asked.retain(|it| !reads.contains(&it.verb.as_str()));
    ensure!(asked.is_empty(), "{asked:#?}");
    Ok(())
}
