//! Argo CD: its health checks, evaluated by its own code, and the marks by which it knows its objects.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use e2e::process::{command_that_dies_with_us, spawn};
use e2e::progress::Progress;
use e2e::{Governed, binaries, install, workspace};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use landing_zone_operator::api::{LandingZone, LandingZonePlatform};
use serde_json::{Value, json};

use crate::Fixture;

/// Argo CD's code around `config/argocd`.
pub struct ArgoCd {
    program: PathBuf,
    kinds: PathBuf,
}

impl ArgoCd {
    pub fn ensure() -> Result<PathBuf> {
        binaries::argocd_answers(&Progress::new())
    }

    /// With the kinds of a cluster, which Argo CD compares by.
    pub async fn of(program: PathBuf, governed: &Governed) -> Result<Self> {
        let cluster = &governed.cluster;
        let kinds = cluster.directory().join("openapi.json");
        fs::write(
            &kinds,
            cluster.kubectl(["get", "--raw", "/openapi/v2"]).await?,
        )?;
        Ok(Self { program, kinds })
    }

    /// What Argo CD answers, with the settings of a file.
    fn answer(&self, settings: &Path, question: &Value) -> Result<Value> {
        let mut command = command_that_dies_with_us(&self.program);
        command
            .arg(settings)
            .arg(&self.kinds)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = spawn(command).context("failed to start Argo CD's code")?;
        let mut input = child.stdin.take().context("no input")?;
        input.write_all(question.to_string().as_bytes())?;
        drop(input);
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{}", output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// What Argo CD shows of an object: state and message.
    fn health(&self, object: &Value) -> Result<(String, String)> {
        let answer = self.answer(&settings(), &json!({"health": object}))?;
        let text = |key: &str| answer[key].as_str().map(str::to_owned);
        let status = text("status").with_context(|| format!("{answer}"))?;
        Ok((status, text("message").unwrap_or_default()))
    }

    /// How what is live differs from what is declared, where Argo CD says that it does.
    fn difference(&self, settings: &Path, declared: &Value, live: &Value) -> Result<Option<Value>> {
        let question = json!({"declared": declared, "live": live});
        let answer = self.answer(settings, &question)?;
        match answer["outOfSync"].as_bool() {
            Some(true) => Ok(Some(answer["patch"].clone())),
            Some(false) => Ok(None),
            None => bail!("{answer}"),
        }
    }

    fn shows(&self, object: &Value, status: &str, words: &str) -> Result<()> {
        let (is, message) = self.health(object)?;
        ensure!(
            is == status && message.contains(words),
            "{status} ({words}) expected, but it is {is}: {message}\n{object:#}"
        );
        Ok(())
    }
}

/// What the project tells Argo CD.
fn settings() -> PathBuf {
    workspace::root().join("config/argocd/argocd-cm.yaml")
}

/// An object as Argo CD reads it from the API server.
fn read(zone: &LandingZone) -> Result<Value> {
    let mut object = serde_json::to_value(zone)?;
    object["apiVersion"] = json!("landingzones.dev/v1alpha1");
    object["kind"] = json!("LandingZone");
    Ok(object)
}

fn spec(code: &str, namespace: &str) -> Value {
    json!({
        "applicationCode": code,
        "namespaces": [{"name": namespace, "zone": "frontend"}],
    })
}

fn condition<'a>(object: &'a mut Value, type_: &str) -> Result<&'a mut Value> {
    let conditions = object["status"]["conditions"].as_array_mut();
    let conditions = conditions.context("no conditions")?;
    let found = conditions.iter_mut().find(|it| it["type"] == type_);
    found.with_context(|| format!("no condition {type_}"))
}

/// The states that the operator tells, as it tells them, and those in between.
pub async fn argo_cd_tells_every_state(fixture: &Fixture) -> Result<()> {
    let Fixture {
        governed, argo_cd, ..
    } = fixture;
    let zone = governed
        .converge("healthy", spec("healthy", "healthy-web"))
        .await?;
    let healthy = read(&zone)?;
    argo_cd.shows(&healthy, "Healthy", "")?;

    let mut unseen = healthy.clone();
    unseen
        .as_object_mut()
        .context("no object")?
        .remove("status");
    argo_cd.shows(&unseen, "Progressing", "has not seen it yet")?;
    let mut changed = healthy.clone();
    changed["metadata"]["generation"] = json!(7);
    argo_cd.shows(&changed, "Progressing", "has not seen the last change")?;
    let mut leaving = healthy.clone();
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    argo_cd.shows(&leaving, "Progressing", "is being deleted")?;
    let mut working = healthy.clone();
    condition(&mut working, "Reconciling")?["status"] = json!("True");
    argo_cd.shows(&working, "Progressing", "")?;
    let mut open = healthy.clone();
    let boundary = condition(&mut open, "BoundaryHeld")?;
    boundary["status"] = json!("False");
    boundary["reason"] = json!("BoundaryOpen");
    boundary["message"] = json!("somebody gets through");
    argo_cd.shows(&open, "Degraded", "somebody gets through")?;

    let namespaces: Api<Namespace> = Api::all(governed.client());
    let foreign: Namespace = serde_json::from_value(json!({"metadata": {"name": "foreign"}}))?;
    namespaces.create(&PostParams::default(), &foreign).await?;
    governed
        .declare("stalled", spec("stalled", "foreign"))
        .await?;
    let stalled = governed
        .zone_when("stalled", "to be stalled", |_, status| {
            let mut conditions = status.conditions.iter();
            conditions.any(|it| it.type_ == "Stalled" && it.status == "True")
        })
        .await?;
    argo_cd.shows(&read(&stalled)?, "Degraded", "foreign")?;

    for (name, field) in [
        ("suspended", json!({"suspend": true})),
        ("planned", json!({"stage": "Plan"})),
    ] {
        let mut declared = spec(name, &format!("{name}-web"));
        let fields = declared.as_object_mut().context("no object")?;
        fields.extend(field.as_object().cloned().unwrap_or_default());
        governed.declare(name, declared).await?;
        let zone = governed
            .zone_when(name, "to be looked at", |zone, status| {
                let mut conditions = status.conditions.iter();
                status.observed_generation == zone.metadata.generation
                    && conditions.any(|it| it.type_ == "Ready" && it.reason != "Progressing")
            })
            .await?;
        argo_cd.shows(&read(&zone)?, "Suspended", "")?;
    }

    let platforms: Api<LandingZonePlatform> = Api::all(governed.client());
    let platform = json!({
        "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZonePlatform",
        "metadata": {"name": "cluster"}, "spec": {"network": {"podCidrs": ["10.0.0.0/8"]}},
    });
    argo_cd.shows(&platform, "Progressing", "has not seen it yet")?;
    let apply = PatchParams::apply("git");
    platforms
        .patch("cluster", &apply, &Patch::Apply(&platform))
        .await?;
    let healthy = e2e::eventually(
        e2e::governed::CONVERGED,
        "the platform to be in force",
        async || {
            let mut object = serde_json::to_value(platforms.get("cluster").await?)?;
            object["apiVersion"] = platform["apiVersion"].clone();
            object["kind"] = platform["kind"].clone();
            argo_cd.shows(&object, "Healthy", "")?;
            Ok(Some(object))
        },
    )
    .await?;
    let mut changed = healthy.clone();
    changed["metadata"]["generation"] = json!(7);
    argo_cd.shows(&changed, "Progressing", "has not seen the last change")?;
    let mut leaving = healthy.clone();
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    argo_cd.shows(&leaving, "Progressing", "is being deleted")?;
    let mut working = healthy.clone();
    condition(&mut working, "Reconciling")?["status"] = json!("True");
    argo_cd.shows(&working, "Progressing", "")?;
    let mut stalled = healthy;
    condition(&mut stalled, "Ready")?["status"] = json!("False");
    let cause = condition(&mut stalled, "Stalled")?;
    cause["status"] = json!("True");
    cause["message"] = json!("spec.network.podCidrs: no range");
    argo_cd.shows(&stalled, "Degraded", "no range")
}

/// By its marks Argo CD finds what it has to prune: children must not carry them, whoever is marked.
pub async fn what_argo_cd_marks_stays_its_own(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.governed;
    let marks = json!({"metadata": {
        "labels": {"app.kubernetes.io/instance": "landing-zones"},
        "annotations": {"argocd.argoproj.io/tracking-id": "landing-zones:landingzones.dev/LandingZone:/marked"},
    }});
    governed
        .declare("marked", spec("marked", "marked-web"))
        .await?;
    let zones = governed.zones();
    zones
        .patch("marked", &PatchParams::default(), &Patch::Merge(&marks))
        .await?;
    let zone = governed.ready("marked").await?;
    let inventory = zone.status.context("no status")?.inventory;
    ensure!(!inventory.is_empty(), "no children");
    let kinds = "namespaces,resourcequotas,limitranges,rolebindings,networkpolicies,\
                 globalnetworkpolicies.crd.projectcalico.org";
    let selector = "landingzones.dev/landing-zone=marked";
    let listed = governed
        .cluster
        .kubectl(["get", kinds, "-A", "-o", "json", "-l", selector])
        .await?;
    let listed: Value = serde_json::from_str(&listed)?;
    let children = listed["items"].as_array().context("no list")?;
    ensure!(
        !children.is_empty(),
        "no children of {}",
        zone.metadata.name.unwrap_or_default()
    );
    for child in children {
        let metadata = child["metadata"].to_string();
        let is_marked = ["argocd.argoproj.io", "app.kubernetes.io/instance"]
            .iter()
            .any(|mark| metadata.contains(mark));
        ensure!(!is_marked, "{metadata}");
    }
    Ok(())
}

/// Neither what the operator writes to a landing zone nor its part of the guard's configuration looks like drift to
/// Argo CD, which would write it back for ever.
pub async fn argo_cd_sees_no_drift_in_what_the_operator_writes(fixture: &Fixture) -> Result<()> {
    let Fixture {
        governed, argo_cd, ..
    } = fixture;
    let spec = spec("synced", "synced-web");
    let zone = governed.converge("synced", spec.clone()).await?;
    ensure!(zone.status.is_some(), "the operator wrote nothing");
    let declared = json!({
        "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
        "metadata": {"name": "synced"}, "spec": spec,
    });
    let difference = argo_cd.difference(&settings(), &declared, &read(&zone)?)?;
    ensure!(difference.is_none(), "{difference:?}");

    // Git may say what is trusted, too: charts have a line end there, since some tools want something.
    let file = fs::read_to_string(workspace::root().join("config/guard/webhook.yaml"))?;
    let first = file.split("\n---").next().context("nothing declared")?;
    let mut declared: Value = serde_saphyr::from_str(first)?;
    declared["webhooks"][0]["clientConfig"]["caBundle"] = json!("Cg==");
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(governed.client());
    let folder = workspace::root().join("config/guard");
    install::apply_manifests(&governed.client(), &folder).await?;
    let platforms: Api<LandingZonePlatform> = Api::all(governed.client());
    let guard = json!({
        "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZonePlatform",
        "metadata": {"name": "cluster"}, "spec": {"guard": "Observe"},
    });
    let someone = PatchParams::apply("guard");
    platforms
        .patch("cluster", &someone, &Patch::Apply(&guard))
        .await?;
    let live = e2e::eventually(
        e2e::governed::CONVERGED,
        "the operator to say whom to trust",
        async || {
            let found = configurations.get("landing-zone-operator-guard").await?;
            let webhook = found.webhooks.iter().flatten().next().context("none")?;
            ensure!(webhook.client_config.ca_bundle.is_some());
            let mut object = serde_json::to_value(found)?;
            object["apiVersion"] = declared["apiVersion"].clone();
            object["kind"] = declared["kind"].clone();
            Ok(Some(object))
        },
    )
    .await?;
    let difference = argo_cd.difference(&settings(), &declared, &live)?;
    ensure!(difference.is_none(), "{difference:?}");

    // It is the setting that does it.
    let text = fs::read_to_string(settings())?;
    let at = text.find("  # The operator tells the API server whom to trust");
    let without = governed.cluster.directory().join("argocd-cm-without.yaml");
    fs::write(&without, &text[..at.context("no such setting")?])?;
    let difference = argo_cd.difference(&without, &declared, &live)?;
    ensure!(difference.is_some(), "nothing differs without the setting");
    Ok(())
}
