//! A cluster with the rules, and what its API server says to whoever writes an object.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{ClusterOptions, LocalCluster, eventually, install, workspace};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::client::Body;
use serde_json::{Value, json};

/// How long a policy may take to be in force, or to be so no more: the API server looks for new kinds twice a minute.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// A landing zone, one in stage Observe, and a namespace that is none's.
pub const SHOP: &str = "shop";
pub const WATCHED: &str = "watched";
pub const OUTSIDE: &str = "outside";

pub struct World(pub LocalCluster);

/// What the API server says.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    /// The object, or why not.
    pub body: Value,
    /// Warnings of the rules, one a line.
    pub warnings: String,
}

impl World {
    /// With the kinds, the rules, and a platform without any in force.
    pub async fn start() -> Result<Self> {
        let world = Self::without_kinds().await?;
        world.install_kinds().await?;
        Ok(world)
    }

    /// With the rules, and nothing that they could read.
    pub async fn without_kinds() -> Result<Self> {
        let cluster = LocalCluster::start(ClusterOptions::default()).await?;
        let client = cluster.client();
        let rules = workspace::root().join("config/workload-rules");
        install::apply_manifests(&client, &rules).await?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        for (name, stage) in [(SHOP, "Enforce"), (WATCHED, "Observe"), (OUTSIDE, "")] {
            let owner = ("landingzones.dev/landing-zone", name);
            let labels = [owner, ("landingzones.dev/stage", stage)];
            let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let namespace = Namespace {
                metadata: ObjectMeta {
                    name: Some(name.to_owned()),
                    labels: (name != OUTSIDE).then(|| labels.into()),
                    ..ObjectMeta::default()
                },
                ..Namespace::default()
            };
            namespaces
                .create(&PostParams::default(), &namespace)
                .await?;
            let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
            eventually(PATIENCE, "pods to have an account", async || {
                accounts.get_opt("default").await.map_err(Into::into)
            })
            .await?;
        }
        Ok(Self(cluster))
    }

    pub async fn install_kinds(&self) -> Result<()> {
        let client = self.0.client();
        install::apply_manifests(&client, &workspace::root().join("crds")).await?;
        let platform = json!({
            "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZonePlatform",
            "metadata": {"name": "cluster"}, "spec": {},
        });
        install::apply(&client, serde_json::from_value(platform)?).await
    }

    /// The same with these rules, from when on `written` is answered as `is_so` says: they share one platform, so that all of
    /// them are in force when one is.
    pub async fn with_rules(
        &self,
        rules: Value,
        (namespace, written): (&str, &Value),
        is_so: impl Fn(&Answer) -> bool,
    ) -> Result<()> {
        let platforms: Api<landing_zone_operator::api::LandingZonePlatform> =
            Api::all(self.0.client());
        let patch = Patch::Merge(json!({"spec": {"workloadRules": rules}}));
        platforms
            .patch("cluster", &PatchParams::default(), &patch)
            .await?;
        self.answers(namespace, written, is_so).await
    }

    /// Waits until an object is answered as `is_so` says.
    pub async fn answers(
        &self,
        namespace: &str,
        written: &Value,
        is_so: impl Fn(&Answer) -> bool,
    ) -> Result<()> {
        eventually(PATIENCE, "the rules to take effect", async || {
            let answer = self.created(namespace, written).await?;
            ensure!(is_so(&answer), "{answer:?}");
            Ok(Some(()))
        })
        .await
    }

    /// What is said to whoever creates an object, which gets a name of its own.
    pub async fn created(&self, namespace: &str, object: &Value) -> Result<Answer> {
        let mut object = object.clone();
        object["metadata"]["generateName"] = json!("it-");
        let request = http::Request::post(place(namespace, &object)?)
            .header("content-type", "application/json")
            .body(Body::from(serde_json::to_vec(&object)?))?;
        self.answer(request).await
    }

    /// What is said to whoever changes an object by a merge patch, which may be one of a subresource.
    pub async fn patched(&self, object: &Value, below: &str, patch: &Value) -> Result<Answer> {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .context("no such field")
        };
        let name = text("/metadata/name")?;
        let place = place(text("/metadata/namespace")?, object)?;
        let request = http::Request::patch(format!("{place}/{name}{below}"))
            .header("content-type", "application/merge-patch+json")
            .body(Body::from(serde_json::to_vec(patch)?))?;
        self.answer(request).await
    }

    async fn answer(&self, request: http::Request<Body>) -> Result<Answer> {
        let answer = self.0.client().send(request).await?;
        let warnings = answer.headers().get_all("warning").iter();
        let warnings: Vec<&str> = warnings
            .filter_map(|it| it.to_str().ok())
            // Kubernetes has warnings of its own.
            .filter(|it| it.contains("ValidatingAdmissionPolicy"))
            .collect();
        // Quotes are escaped in a header.
        let warnings = warnings.join("\n").replace("\\\"", "\"");
        let code = answer.status().as_u16();
        let body = answer.into_body().collect_bytes().await?;
        let body = serde_json::from_slice(&body).context("the answer is no JSON")?;
        Ok(Answer {
            code,
            body,
            warnings,
        })
    }
}

impl Answer {
    /// Whether it was taken, and nobody was warned.
    pub fn is_silent(&self) -> bool {
        self.code < 300 && self.warnings.is_empty()
    }

    /// Whether it was refused, or taken with a warning, in these words.
    pub fn is_refusal(&self, words: &str) -> bool {
        self.code == 403 && self.message().contains(words)
    }

    pub fn is_warning(&self, words: &str) -> bool {
        self.code < 300 && self.warnings.contains(words)
    }

    fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

/// Where objects of its kind are.
fn place(namespace: &str, object: &Value) -> Result<String> {
    let (group, plural) = match object["kind"].as_str().context("no kind")? {
        "Ingress" => ("/apis/networking.k8s.io/v1", "ingresses"),
        "Service" => ("/api/v1", "services"),
        _ => ("/api/v1", "pods"),
    };
    Ok(format!("{group}/namespaces/{namespace}/{plural}"))
}
