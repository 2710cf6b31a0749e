//! What the webhook has in the cluster: the Secret with its certificate, and the configuration by which the API server
//! knows it. Both are followed by name, while the webhook is to be there.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::NAME;
use tokio_util::task::AbortOnDropHandle;

use crate::admission::certificate::Certificate;
use crate::api::names::MANAGER;
use crate::cluster::{failure, follow};
use crate::controller::context::Context;

const AUTHORITIES: &str = "ca.crt";
const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";

/// An object that is followed.
#[derive(Clone, Debug, Default)]
pub(super) enum Found<K> {
    /// Nobody has looked yet.
    #[default]
    NotListed,
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// It is not there.
    Absent,
    /// It is there.
    Present(K),
}

/// Both objects, followed until this is dropped.
pub(super) struct InCluster {
    secrets: Api<Secret>,
    configurations: Api<ValidatingWebhookConfiguration>,
    secret: watch::Receiver<Found<Secret>>,
    webhooks: watch::Receiver<Found<ValidatingWebhookConfiguration>>,
    _watches: [AbortOnDropHandle<()>; 2],
}

impl InCluster {
    /// Begins to follow.
    pub fn follow(context: &Arc<Context>, namespace: &str) -> Self {
        let watching = context.watching.clone();
        let watched = Api::<Secret>::namespaced(watching.clone(), namespace);
        let (found, secret) = watch::channel(Found::NotListed);
        let secrets = follow_one(watched, found, context.clone());
        let watched = Api::<ValidatingWebhookConfiguration>::all(watching);
        let (found, webhooks) = watch::channel(Found::NotListed);
        let configurations = follow_one(watched, found, context.clone());
        Self {
            secrets: Api::namespaced(context.client.clone(), namespace),
            configurations: Api::all(context.client.clone()),
            secret,
            webhooks,
            _watches: [
                AbortOnDropHandle::new(tokio::spawn(secrets)),
                AbortOnDropHandle::new(tokio::spawn(configurations)),
            ],
        }
    }

    pub fn secret(&self) -> Found<Secret> {
        self.secret.borrow().clone()
    }

    pub fn webhooks(&self) -> Found<ValidatingWebhookConfiguration> {
        self.webhooks.borrow().clone()
    }

    /// Writes a certificate into the Secret.
    pub async fn keep(&self, known: &Found<Secret>, new: &Certificate) -> Result<(), String> {
        let data: BTreeMap<_, _> = [
            (AUTHORITIES, &new.authorities),
            (CHAIN, &new.chain),
            (KEY, &new.key),
        ]
        .map(|(key, text)| (key.to_owned(), ByteString(text.clone().into_bytes())))
        .into();
        let mut secret = Secret {
            data: Some(data),
            ..Secret::default()
        };
        let writing = async {
            if let Found::Present(known) = known {
                // Of several operators the first one wins, and the others take what it wrote.
                secret
                    .metadata
                    .resource_version
                    .clone_from(&known.metadata.resource_version);
                let patch = Patch::Merge(&secret);
                let params = PatchParams {
                    field_manager: Some(MANAGER.to_owned()),
                    ..PatchParams::default()
                };
                self.secrets.patch(NAME, &params, &patch).await
            } else {
                secret.metadata.name = Some(NAME.to_owned());
                secret.type_ = Some("kubernetes.io/tls".to_owned());
                let params = PostParams {
                    field_manager: Some(MANAGER.to_owned()),
                    ..PostParams::default()
                };
                self.secrets.create(&params, &secret).await
            }
        };
        answered(writing).await
    }

    /// Tells the API server whom to trust, and by which address to ask if not by the Service. Nothing is written that
    /// is so already; returns whether it is.
    pub async fn tell(
        &self,
        known: &ValidatingWebhookConfiguration,
        authorities: &str,
        url: Option<&str>,
    ) -> Result<bool, String> {
        let operations = operations(known, authorities, url);
        if operations.is_empty() {
            return Ok(true);
        }
        let patch = serde_json::from_value(Value::Array(operations));
        let patch = Patch::Json::<()>(patch.map_err(|error| error.to_string())?);
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        answered(self.configurations.patch(NAME, &params, &patch)).await?;
        Ok(false)
    }
}

/// What has to be changed so that the API server trusts and finds the server.
fn operations(
    known: &ValidatingWebhookConfiguration,
    authorities: &str,
    url: Option<&str>,
) -> Vec<Value> {
    let wanted = ByteString(authorities.as_bytes().to_vec());
    let mut operations = Vec::new();
    for (index, webhook) in known.webhooks.iter().flatten().enumerate() {
        let client = &webhook.client_config;
        let is_found = url.is_none_or(|url| client.url.as_deref() == Some(url));
        if client.ca_bundle.as_ref() == Some(&wanted) && is_found {
            continue;
        }
        let mut new = client.clone();
        new.ca_bundle = Some(wanted.clone());
        if let Some(url) = url {
            new.url = Some(url.to_owned());
            new.service = None;
        }
        let path = format!("/webhooks/{index}");
        operations.extend([
            json!({"op": "test", "path": format!("{path}/name"), "value": webhook.name}),
            json!({"op": "replace", "path": format!("{path}/clientConfig"), "value": new}),
        ]);
    }
    operations
}

/// The certificate in a Secret; None where something is missing.
pub(super) fn read(secret: &Secret) -> Option<Certificate> {
    let data = secret.data.as_ref()?;
    let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
    Some(Certificate {
        authorities: text(AUTHORITIES)?,
        chain: text(CHAIN)?,
        key: text(KEY)?,
    })
}

async fn answered<K>(call: impl Future<Output = kube::Result<K>>) -> Result<(), String> {
    call.await.map(drop).map_err(|error| failure(&error))
}

/// Follows one object. That it cannot be read makes nobody but the webhook unready, whose condition tells it.
async fn follow_one<K>(api: Api<K>, found: watch::Sender<Found<K>>, context: Arc<Context>)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let by_name = Config::default().fields(&format!("metadata.name={NAME}"));
    let mut events = std::pin::pin!(follow(api, by_name));
    let mut listed = Found::Absent;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = Found::Absent,
            Ok(Event::InitApply(object)) => listed = Found::Present(object),
            Ok(Event::InitDone) => {
                found.send_replace(std::mem::take(&mut listed));
            }
            Ok(Event::Apply(object)) => {
                found.send_replace(Found::Present(object));
            }
            Ok(Event::Delete(_)) => {
                found.send_replace(Found::Absent);
            }
            Err(error) => {
                // What was seen once stands until it is seen again.
                found.send_if_modified(|known| {
                    let was_seen = matches!(known, Found::Present(_) | Found::Absent);
                    if !was_seen {
                        *known = Found::Unreadable(error);
                    }
                    !was_seen
                });
            }
        }
        context.wake_webhook();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(client: &Value) -> ValidatingWebhookConfiguration {
        serde_json::from_value(json!({
            "metadata": {"name": NAME},
            "webhooks": [{
                "name": "policies.landingzones.dev",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": client,
            }],
        }))
        .unwrap()
    }

    #[test]
    fn only_what_differs_is_written() {
        let service = json!({"name": NAME, "namespace": "system", "path": "/review"});
        let told = operations(&configuration(&json!({"service": service})), "new", None);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(
            told[1]["value"],
            json!({"service": service, "caBundle": "bmV3"})
        );
        let same = json!({"service": service, "caBundle": "bmV3"});
        assert!(operations(&configuration(&same), "new", None).is_empty());
        assert_eq!(operations(&configuration(&same), "newer", None).len(), 2);
    }

    #[test]
    fn an_address_takes_the_place_of_the_service() {
        let url = "https://127.0.0.1:9443/review";
        let service = json!({"name": NAME, "namespace": "system"});
        let known = configuration(&json!({"service": service, "caBundle": "bmV3"}));
        let told = operations(&known, "new", Some(url));
        assert_eq!(told[1]["value"], json!({"url": url, "caBundle": "bmV3"}));
        let known = configuration(&json!({"url": url, "caBundle": "bmV3"}));
        assert!(operations(&known, "new", Some(url)).is_empty());
    }
}
