//! Namespaces that the API server itself calls into: they host admission webhooks, conversion webhooks
//! or aggregated APIs. Watched only while somebody asks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::core::{ApiResource, DynamicObject, NotUsed, Object};
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Resource, ResourceExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::cluster::follow;
use crate::controller::context::Context;
use crate::telemetry::Health;

/// A kind of object that tells whom the API server calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Validating,
    Mutating,
    Definition,
    ApiService,
}

impl Source {
    const ALL: [Self; 4] = [
        Self::Validating,
        Self::Mutating,
        Self::Definition,
        Self::ApiService,
    ];

    const fn kind(self) -> &'static str {
        match self {
            Self::Validating => "ValidatingWebhookConfiguration",
            Self::Mutating => "MutatingWebhookConfiguration",
            Self::Definition => "CustomResourceDefinition",
            Self::ApiService => "APIService",
        }
    }

    fn part(self) -> String {
        format!("watch of {} (defaultDeny)", self.kind())
    }
}

/// What hosts what: namespaces, and what the API server calls in each, as kind and name.
pub type Hosted = BTreeMap<String, BTreeSet<String>>;

/// Follows whom the API server calls, until it is dropped.
pub struct Hosts {
    seen: Arc<Mutex<Seen>>,
    health: Health,
    _watches: Vec<AbortOnDropHandle<()>>,
}

#[derive(Default)]
struct Seen {
    /// By the object that says so: the namespaces that it names.
    named: BTreeMap<(Source, String), BTreeSet<String>>,
    listed: BTreeSet<Source>,
    failing: BTreeMap<Source, String>,
}

impl Hosts {
    /// Begins to follow. Whoever keeps the default deny is woken when something changes.
    pub fn follow(context: &Arc<Context>, health: &Health) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let watches = Source::ALL.map(|source| {
            health.waits_for(&source.part());
            let following = Following {
                source,
                seen: seen.clone(),
                context: context.clone(),
                health: health.clone(),
            };
            AbortOnDropHandle::new(tokio::spawn(following.run()))
        });
        Self {
            seen,
            health: health.clone(),
            _watches: watches.into(),
        }
    }

    /// Who hosts what.
    ///
    /// # Errors
    /// While not all of it is known: what is missing.
    pub fn hosted(&self) -> Result<Hosted, String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(missing) = Source::ALL.iter().find(|it| !seen.listed.contains(it)) {
            let why = seen.failing.get(missing);
            let why = why.map_or("not seen yet", String::as_str);
            return Err(format!("{}: {why}", missing.kind()));
        }
        let mut hosted = Hosted::new();
        for ((source, name), namespaces) in &seen.named {
            for namespace in namespaces {
                let what = format!("{} {name}", source.kind());
                hosted.entry(namespace.clone()).or_default().insert(what);
            }
        }
        Ok(hosted)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for source in Source::ALL {
            self.health.not_needed(&source.part());
        }
    }
}

struct Following {
    source: Source,
    seen: Arc<Mutex<Seen>>,
    context: Arc<Context>,
    health: Health,
}

impl Following {
    async fn run(self) {
        let resource = match self.source {
            Source::Validating => ApiResource::erase::<ValidatingWebhookConfiguration>(&()),
            Source::Mutating => ApiResource::erase::<MutatingWebhookConfiguration>(&()),
            Source::Definition => ApiResource::erase::<CustomResourceDefinition>(&()),
            Source::ApiService => ApiResource::erase::<APIService>(&()),
        };
        match self.source {
            Source::Validating | Source::Mutating => {
                let of = |object: &DynamicObject| called_by_webhooks(&object.data);
                self.dispatch(&resource, of).await;
            }
            Source::ApiService => {
                let of = |object: &DynamicObject| called(object.data.pointer("/spec/service"));
                self.dispatch(&resource, of).await;
            }
            // Schemas are large, and of no interest here.
            Source::Definition => {
                let of = |object: &Object<Definition, NotUsed>| object.spec.called();
                self.dispatch(&resource, of).await;
            }
        }
    }

    async fn dispatch<K>(self, resource: &ApiResource, of: impl Fn(&K) -> BTreeSet<String>)
    where
        K: Resource<DynamicType = ApiResource>,
        K: Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        let part = self.source.part();
        let api = Api::<K>::all_with(self.context.watching.clone(), resource);
        let mut listed = BTreeMap::new();
        let mut events = std::pin::pin!(follow(api, Config::default()));
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(object)) => {
                    listed.insert(object.name_any(), of(&object));
                }
                Ok(Event::InitDone) => {
                    self.health.is_well(&part);
                    self.list(std::mem::take(&mut listed));
                }
                Ok(Event::Apply(object)) => {
                    self.health.is_well(&part);
                    self.name(object.name_any(), of(&object));
                }
                Ok(Event::Delete(object)) => {
                    self.health.is_well(&part);
                    self.name(object.name_any(), BTreeSet::new());
                }
                Err(error) => {
                    self.health.fails(&part, &error);
                    self.change(|seen| seen.failing.insert(self.source, error).is_none());
                }
            }
        }
    }

    fn list(&self, listed: BTreeMap<String, BTreeSet<String>>) {
        self.change(|seen| {
            let before = seen.named.clone();
            seen.named.retain(|(source, _), _| *source != self.source);
            let named = listed.into_iter().filter(|(_, of)| !of.is_empty());
            seen.named
                .extend(named.map(|(name, of)| ((self.source, name), of)));
            seen.failing.remove(&self.source);
            seen.listed.insert(self.source) || seen.named != before
        });
    }

    fn name(&self, name: String, namespaces: BTreeSet<String>) {
        self.change(|seen| {
            let key = (self.source, name);
            if namespaces.is_empty() {
                seen.named.remove(&key).is_some()
            } else {
                seen.named.insert(key, namespaces.clone()) != Some(namespaces)
            }
        });
    }

    /// Changes what was seen, and wakes whoever keeps the default deny where that is news.
    fn change(&self, change: impl FnOnce(&mut Seen) -> bool) {
        let is_news = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut seen)
        };
        if is_news {
            self.context.wake_default_deny();
        }
    }
}

/// As much of a definition as matters.
#[derive(Clone, Debug, Deserialize)]
struct Definition {
    conversion: Option<Value>,
}

impl Definition {
    fn called(&self) -> BTreeSet<String> {
        let conversion = self.conversion.as_ref();
        called(conversion.and_then(|it| it.pointer("/webhook/clientConfig/service")))
    }
}

fn called_by_webhooks(configuration: &Value) -> BTreeSet<String> {
    let webhooks = configuration.get("webhooks").and_then(Value::as_array);
    webhooks
        .into_iter()
        .flatten()
        .flat_map(|webhook| called(webhook.pointer("/clientConfig/service")))
        .collect()
}

/// The namespace of a service, where there is one: a URL leads out of the cluster.
fn called(service: Option<&Value>) -> BTreeSet<String> {
    let namespace = service.and_then(|service| service.get("namespace")?.as_str());
    namespace.map(str::to_owned).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn services_are_found_wherever_they_are_named() {
        let service = |namespace: &str| json!({"namespace": namespace, "name": "hook"});
        let configuration = json!({"webhooks": [
            {"clientConfig": {"service": service("a")}},
            {"clientConfig": {"url": "https://hooks.example.com"}},
            {"clientConfig": {"service": service("b")}},
        ]});
        let found = called_by_webhooks(&configuration);
        assert_eq!(found, ["a", "b"].map(str::to_owned).into());
        assert!(called_by_webhooks(&json!({})).is_empty());

        let converts = json!({"spec": {"conversion": {
            "strategy": "Webhook", "webhook": {"clientConfig": {"service": service("c")}},
        }}});
        let definition = |value: &Value| -> BTreeSet<String> {
            let read: Definition = serde_json::from_value(value["spec"].clone()).unwrap();
            read.called()
        };
        assert_eq!(definition(&converts), ["c".to_owned()].into());
        let without = json!({"spec": {"conversion": {"strategy": "None"}, "group": "x"}});
        assert!(definition(&without).is_empty());
        assert!(definition(&json!({"spec": {"group": "x"}})).is_empty());
    }
}
