//! The webhook: what the API server is told when somebody writes a policy, and that nothing depends on it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::governed::CONVERGED;
use e2e::ports::free_port;
use e2e::process::{command_that_dies_with_us, spawn};
use e2e::shop::Shop;
use e2e::{Governed, OperatorOptions, OperatorProcess, eventually, install, workspace};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use landing_zone_operator::admission::certificate::Certificate;
use landing_zone_operator::api::LandingZonePlatform;
use serde_json::{Value, json};

use super::Clusters;
use super::policy::{CALICO, KUBERNETES, api, object, towards};

pub(super) const NAME: &str = "landing-zone-operator-guard";
pub(super) const SYSTEM: &str = "landing-zone-system";
/// Where policies are written, unless a test says otherwise.
const SHOP: &str = "shop-web";
/// The API server waits for 5 s, and everybody is busy.
const LONGEST_WRITE: Duration = Duration::from_secs(12);

pub(super) fn options(name: Option<&str>, port: u16) -> OperatorOptions {
    let arguments = [
        "--namespace",
        SYSTEM,
        "--webhook-listen",
        &format!("127.0.0.1:{port}"),
        "--webhook-url",
        &format!("https://127.0.0.1:{port}"),
    ];
    OperatorOptions {
        arguments: arguments.map(str::to_owned).into(),
        name: name.map(str::to_owned),
        ..OperatorOptions::default()
    }
}

pub async fn policies_are_judged_when_they_are_written(clusters: &Clusters) -> Result<()> {
    let port = free_port()?;
    let test = async |governed: &Governed| {
        let _shop = Shop::open(governed, "shop").await?;
        declare(governed, json!({"guard": "Observe"})).await?;
        // Without the rights the rest of the operator goes on.
        is_out(governed, "NoCertificate", "apply config/guard").await?;
        governed.operator.wait_until_ready(CONVERGED).await?;
        install_guard(governed).await?;
        is_ready(governed).await?;
        observe_warns(governed).await.context("in stage Observe")?;
        declare(governed, json!({"guard": "Enforce"})).await?;
        enforce_refuses(governed)
            .await
            .context("in stage Enforce")?;
        only_what_is_new_is_refused(governed)
            .await
            .context("in stage Enforce")?;
        declare(governed, json!({"guard": "Off"})).await?;
        eventually(CONVERGED, "the guard to be off", async || {
            let said = guard_ready(governed).await?;
            ensure!(said.is_none(), "{said:?}");
            let leaving = leaving("off")?;
            ensure!(write(governed, &leaving).await?.is_ok());
            Ok(Some(()))
        })
        .await
    };
    clusters.with(options(None, port), Vec::new(), test).await
}

async fn observe_warns(governed: &Governed) -> Result<()> {
    let manifest = json!({
        "apiVersion": CALICO, "kind": "NetworkPolicy",
        "metadata": {"name": "default.warned", "namespace": "shop-web"},
        "spec": towards("projectcalico.org/name == 'kube-system'"),
    });
    let file = governed.cluster.directory().join("warned.yaml");
    std::fs::write(&file, manifest.to_string())?;
    let file = file.to_str().context("a path that is no text")?;
    // The stage is in force a moment after it is declared.
    eventually(CONVERGED, "kubectl to print a warning", async || {
        let gone = ["delete", "--ignore-not-found", "-f", file];
        kubectl(governed, &gone).await?;
        let warned = kubectl(governed, &["apply", "-f", file]).await?;
        for words in ["Warning: spec.egress[0]", "namespace-name", "kube-system"] {
            ensure!(warned.contains(words), "{warned}");
        }
        Ok(Some(()))
    })
    .await?;
    let api = policies(governed);
    api.get("default.warned")
        .await
        .context("it was not written")?;
    api.delete("default.warned", &DeleteParams::default())
        .await?;
    Ok(())
}

async fn enforce_refuses(governed: &Governed) -> Result<()> {
    let message = refused(governed, "refused").await?;
    for words in [
        "policies.landingzones.dev",
        "it leaves the boundary of the landing zone shop",
        "spec.egress[0]",
        "namespace-name",
        "declare the crossing in spec.network of the LandingZone shop",
    ] {
        ensure!(message.contains(words), "{words} is not in: {message}");
    }
    // A waiver in the policy itself counts in a review only.
    let mut waived = leaving("waived")?;
    let annotation = (
        "landingzones.dev/waive".to_owned(),
        "namespace-name: needed".to_owned(),
    );
    waived.metadata.annotations = Some([annotation].into());
    ensure!(
        write(governed, &waived).await?.is_err(),
        "a waiver opened the boundary"
    );

    let kubernetes = api(
        governed.client(),
        KUBERNETES,
        "NetworkPolicy",
        Some("shop-data"),
    );
    let spec = json!({
        "podSelector": {}, "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"namespaceSelector": {}}]}],
    });
    let everybody = object(KUBERNETES, "NetworkPolicy", "everybody", &spec)?;
    let answer = kubernetes.create(&PostParams::default(), &everybody).await;
    ensure!(answer.is_err(), "all namespaces were let in");

    let inside = object(
        CALICO,
        "NetworkPolicy",
        "default.inside",
        &towards("applicationcode == 'shop'"),
    )?;
    write(governed, &inside)
        .await?
        .map_err(anyhow::Error::msg)?;
    // Outside of landing zones it is nobody's business.
    let elsewhere = api(governed.client(), CALICO, "NetworkPolicy", Some("default"));
    elsewhere
        .create(&PostParams::default(), &leaving("elsewhere")?)
        .await?;
    eventually(CONVERGED, "the metrics to follow", async || {
        let metrics = governed.operator.metrics().await?;
        for line in [
            "landingzone_guard_reviews_total{result=\"Refused\"} ",
            "landingzone_guard_ready{stage=\"Enforce\"} 1\n",
        ] {
            ensure!(metrics.contains(line), "{metrics}");
        }
        Ok(Some(()))
    })
    .await
}

async fn only_what_is_new_is_refused(governed: &Governed) -> Result<()> {
    declare(governed, json!({"guard": "Observe"})).await?;
    eventually(CONVERGED, "an old policy to be there", async || {
        write(governed, &leaving("old")?)
            .await?
            .map_err(anyhow::Error::msg)?;
        Ok(Some(()))
    })
    .await?;
    declare(governed, json!({"guard": "Enforce"})).await?;
    refused(governed, "refused").await?;
    let api = policies(governed);
    let params = PatchParams::default();
    let label = Patch::Merge(json!({
        "metadata": {"labels": {"team": "a"}, "finalizers": ["example.com/wait"]},
        "spec": {"order": 1001},
    }));
    api.patch("default.old", &params, &label)
        .await
        .context("an old policy could not be edited")?;
    let more = Patch::Merge(json!({"spec": {"egress": [
        {"action": "Allow", "destination": {"namespaceSelector": "projectcalico.org/name == 'kube-system'"}},
        {"action": "Allow", "destination": {"nets": ["203.0.113.0/24"]}},
    ]}}));
    match api.patch("default.old", &params, &more).await {
        Err(kube::Error::Api(status)) => {
            ensure!(
                status.message.contains("203.0.113.0/24"),
                "{}",
                status.message
            );
            ensure!(
                !status.message.contains("kube-system"),
                "{}",
                status.message
            );
        }
        other => bail!("what is new was not refused: {other:?}"),
    }
    // What is being deleted has to lose its finalizers.
    api.delete("default.old", &DeleteParams::default()).await?;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("default.old", &params, &free)
        .await
        .context("it could not go")?;
    Ok(())
}

pub async fn nothing_depends_on_the_webhook(clusters: &Clusters) -> Result<()> {
    let port = free_port()?;
    let test = async |governed: &Governed| {
        let _shop = Shop::open(governed, "shop").await?;
        enforce(governed).await?;
        a_deleted_secret_comes_back(governed)
            .await
            .context("Secret deleted")?;
        an_expired_certificate_is_replaced(governed)
            .await
            .context("certificate expired")?;
        a_changed_authority_is_put_back(governed)
            .await
            .context("caBundle changed")?;
        a_lost_configuration_is_told(governed)
            .await
            .context("configuration deleted")?;
        a_slow_server_holds_nothing_up(governed)
            .await
            .context("slow")?;
        a_server_that_is_down_holds_nothing_up(governed, port)
            .await
            .context("down")
    };
    clusters.with(options(None, port), Vec::new(), test).await
}

async fn a_deleted_secret_comes_back(governed: &Governed) -> Result<()> {
    let secrets = secrets(governed);
    let before = secrets.get(NAME).await?.data;
    secrets.delete(NAME, &DeleteParams::default()).await?;
    passes_or_is_refused(governed, "without-secret").await?;
    eventually(CONVERGED, "another certificate", async || {
        let now = secrets.get(NAME).await?.data;
        ensure!(now != before);
        Ok(Some(()))
    })
    .await?;
    refused(governed, "secret-back").await?;
    is_ready(governed).await?;
    is_counted_ready(governed).await
}

async fn an_expired_certificate_is_replaced(governed: &Governed) -> Result<()> {
    let long_ago: Timestamp = "2020-01-01T00:00:00Z".parse()?;
    let expired = Certificate::make("127.0.0.1", long_ago, None)?;
    let data = [
        ("ca.crt", &expired.authorities),
        ("tls.crt", &expired.chain),
        ("tls.key", &expired.key),
    ]
    .map(|(key, text)| (key, ByteString(text.clone().into_bytes())));
    let data: std::collections::BTreeMap<_, _> = data.into();
    let patch = Patch::Merge(json!({"data": data}));
    secrets(governed)
        .patch(NAME, &PatchParams::default(), &patch)
        .await?;
    passes_or_is_refused(governed, "expired").await?;
    eventually(CONVERGED, "a certificate that is valid", async || {
        let secret = secrets(governed).get(NAME).await?;
        let chain = secret.data.context("no data")?.remove("tls.crt");
        ensure!(chain != data.get("tls.crt").cloned());
        Ok(Some(()))
    })
    .await?;
    refused(governed, "valid-again").await?;
    is_ready(governed).await?;
    is_counted_ready(governed).await
}

/// The metric says the same as the condition.
async fn is_counted_ready(governed: &Governed) -> Result<()> {
    eventually(CONVERGED, "the metric to say so", async || {
        let metrics = governed.operator.metrics().await?;
        ensure!(
            metrics.contains("landingzone_guard_ready{stage=\"Enforce\"} 1\n"),
            "{metrics}"
        );
        Ok(Some(()))
    })
    .await
}

async fn a_changed_authority_is_put_back(governed: &Governed) -> Result<()> {
    let other = Certificate::make("127.0.0.1", Timestamp::now(), None)?;
    let other = ByteString(other.authorities.into_bytes());
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(governed.client());
    let patch = json!([
        {"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": other},
    ]);
    let patch = Patch::Json::<()>(serde_json::from_value(patch)?);
    configurations
        .patch(NAME, &PatchParams::default(), &patch)
        .await?;
    passes_or_is_refused(governed, "other-authority").await?;
    eventually(CONVERGED, "the authority to be put back", async || {
        let webhooks = configurations.get(NAME).await?.webhooks.context("none")?;
        ensure!(webhooks[0].client_config.ca_bundle.as_ref() != Some(&other));
        Ok(Some(()))
    })
    .await?;
    refused(governed, "authority-back").await?;
    is_ready(governed).await
}

async fn a_lost_configuration_is_told(governed: &Governed) -> Result<()> {
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(governed.client());
    configurations
        .delete(NAME, &DeleteParams::default())
        .await?;
    is_out(governed, "WebhookMissing", "config/guard").await?;
    let metrics = governed.operator.metrics().await?;
    ensure!(
        metrics.contains("landingzone_guard_ready{stage=\"Enforce\"} 0\n"),
        "{metrics}"
    );
    let leaving = leaving("unasked")?;
    write(governed, &leaving)
        .await?
        .map_err(anyhow::Error::msg)?;
    install_guard(governed).await?;
    is_ready(governed).await?;
    refused(governed, "asked-again").await.map(drop)
}

async fn a_slow_server_holds_nothing_up(governed: &Governed) -> Result<()> {
    governed.operator.pause()?;
    let written = passes(governed, "slow").await;
    governed.operator.resume()?;
    written?;
    refused(governed, "fast-again").await?;
    // Whoever hung could say nothing of it, and it is in again as soon as it goes on.
    is_ready(governed).await?;
    is_counted_ready(governed).await
}

async fn a_server_that_is_down_holds_nothing_up(governed: &Governed, port: u16) -> Result<()> {
    governed.operator.kill().await?;
    passes(governed, "down").await?;
    // Somebody else listens there: that the guard is out is told.
    let taken = std::net::TcpListener::bind(("127.0.0.1", port))?;
    let operator = OperatorProcess::start(&governed.cluster, options(Some("again"), port)).await?;
    operator.wait_until_ready(CONVERGED).await?;
    is_out(governed, "NotAnswering", "failed to listen").await?;
    passes(governed, "taken").await?;
    drop(taken);
    is_ready(governed).await?;
    refused(governed, "up-again").await?;
    operator.terminate().await?;
    Ok(())
}

pub(super) fn secrets(governed: &Governed) -> Api<Secret> {
    Api::namespaced(governed.client(), SYSTEM)
}

fn policies(governed: &Governed) -> Api<DynamicObject> {
    policies_in(governed, SHOP)
}

/// Policies of Calico in a namespace.
pub(super) fn policies_in(governed: &Governed, namespace: &str) -> Api<DynamicObject> {
    api(governed.client(), CALICO, "NetworkPolicy", Some(namespace))
}

/// A policy that lets pods reach the namespaces of the system.
pub(super) fn leaving(name: &str) -> Result<DynamicObject> {
    let spec = towards("projectcalico.org/name == 'kube-system'");
    object(CALICO, "NetworkPolicy", &format!("default.{name}"), &spec)
}

/// Writes a policy into the landing zone; the inner error is a refusal.
pub(super) async fn write(
    governed: &Governed,
    policy: &DynamicObject,
) -> Result<std::result::Result<(), String>> {
    write_in(governed, SHOP, policy).await
}

/// The same, into a namespace.
pub(super) async fn write_in(
    governed: &Governed,
    namespace: &str,
    policy: &DynamicObject,
) -> Result<std::result::Result<(), String>> {
    match policies_in(governed, namespace)
        .create(&PostParams::default(), policy)
        .await
    {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) if status.message.contains("denied the request") => {
            Ok(Err(status.message.clone()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Waits until the guard refuses a policy, and returns its words. Whatever passes meanwhile is taken back.
pub(super) async fn refused(governed: &Governed, name: &str) -> Result<String> {
    refused_in(governed, SHOP, name).await
}

/// The same, in a namespace.
pub(super) async fn refused_in(governed: &Governed, namespace: &str, name: &str) -> Result<String> {
    eventually(CONVERGED, "the policy to be refused", async || {
        if let Err(message) = write_in(governed, namespace, &leaving(name)?).await? {
            return Ok(Some(message));
        }
        let name = format!("default.{name}");
        policies_in(governed, namespace)
            .delete(&name, &DeleteParams::default())
            .await?;
        Ok(None)
    })
    .await
}

/// A policy can be written, soon.
pub(super) async fn passes(governed: &Governed, name: &str) -> Result<()> {
    let started = Instant::now();
    write(governed, &leaving(name)?)
        .await?
        .map_err(anyhow::Error::msg)?;
    let took = started.elapsed();
    ensure!(took < LONGEST_WRITE, "it took {took:?}");
    Ok(())
}

/// Whatever the guard does at this moment, it answers, or the policy passes.
async fn passes_or_is_refused(governed: &Governed, name: &str) -> Result<()> {
    write(governed, &leaving(name)?).await.map(drop)
}

pub(super) async fn declare(governed: &Governed, spec: Value) -> Result<()> {
    let platforms: Api<LandingZonePlatform> = Api::all(governed.client());
    let platform = json!({
        "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZonePlatform",
        "metadata": {"name": "cluster"}, "spec": spec,
    });
    let params = PatchParams::apply("e2e").force();
    platforms
        .patch("cluster", &params, &Patch::Apply(&platform))
        .await?;
    Ok(())
}

/// Installs the guard with stage Enforce, and waits until it refuses.
pub(super) async fn enforce(governed: &Governed) -> Result<()> {
    install_guard(governed).await?;
    declare(governed, json!({"guard": "Enforce"})).await?;
    is_ready(governed).await?;
    refused(governed, "first").await.map(drop)
}

pub(super) async fn install_guard(governed: &Governed) -> Result<()> {
    let folder = workspace::root().join("config/guard");
    install::apply_manifests(&governed.client(), &folder).await
}

/// State, reason and message of the condition; None where there is none.
async fn guard_ready(governed: &Governed) -> Result<Option<(String, String, String)>> {
    let platforms: Api<LandingZonePlatform> = Api::all(governed.client());
    let status = platforms.get("cluster").await?.status.unwrap_or_default();
    let found = status
        .conditions
        .into_iter()
        .find(|it| it.type_ == "GuardReady");
    Ok(found.map(|it| (it.status, it.reason, it.message)))
}

pub(super) async fn is_ready(governed: &Governed) -> Result<()> {
    eventually(CONVERGED, "the guard to be ready", async || {
        let (state, reason, message) = guard_ready(governed).await?.context("not said yet")?;
        ensure!(state == "True", "{reason}: {message}");
        Ok(Some(()))
    })
    .await
}

pub(super) async fn is_out(governed: &Governed, reason: &str, words: &str) -> Result<()> {
    eventually(CONVERGED, "the guard to be out", async || {
        let (state, why, message) = guard_ready(governed).await?.context("not said yet")?;
        ensure!(
            state == "False" && why == reason,
            "{state} {why}: {message}"
        );
        ensure!(message.contains(words), "{message}");
        Ok(Some(()))
    })
    .await
}

/// What kubectl prints beside.
async fn kubectl(governed: &Governed, arguments: &[&str]) -> Result<String> {
    let cluster = &governed.cluster;
    let mut command = command_that_dies_with_us(cluster.kubectl_path());
    command
        .args(arguments)
        .env("KUBECONFIG", cluster.kubeconfig().path())
        .env("KUBECACHEDIR", cluster.directory().join("kubectl-cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = spawn(command)?;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await??;
    let warned = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{arguments:?}: {warned}");
    Ok(warned)
}
