//! The objects that are compared, read one by one or, where they are many, kind by kind.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, ResourceExt as _};

use super::compared::Unread;
use crate::cluster::failure;
use crate::controller::cache::{Objects, Observed};
use crate::controller::{Kind, ObjectKey};
use crate::domain::Flavour;

/// More objects of a kind than this are listed, others read by name.
const MANY: usize = 60;
/// So many requests are under way at once.
const AT_ONCE: usize = 8;
/// Objects are listed in pages of so many.
const PAGE: u32 = 500;

/// What was read of a cluster so far.
pub(super) struct Live<'a> {
    client: &'a Client,
    flavour: Flavour,
    /// What is there.
    pub objects: Objects,
    looked: BTreeSet<ObjectKey>,
    /// What could not be read, and why.
    pub unread: Unread,
}

impl<'a> Live<'a> {
    /// Reads nothing yet.
    pub(super) fn new(client: &'a Client, flavour: Flavour) -> Self {
        Self {
            client,
            flavour,
            objects: Objects::default(),
            looked: BTreeSet::new(),
            unread: Unread::new(),
        }
    }

    /// Reads these objects, as far as they were not read before.
    pub(super) async fn look(&mut self, keys: impl IntoIterator<Item = ObjectKey>) {
        let mut by_kind: BTreeMap<Kind, BTreeSet<ObjectKey>> = BTreeMap::new();
        for key in keys {
            if self.looked.insert(key.clone()) {
                by_kind.entry(key.kind).or_default().insert(key);
            }
        }
        for (kind, keys) in by_kind {
            // What this form of policies does not have cannot be there.
            let Some(resource) = kind.api_resource(self.flavour) else {
                continue;
            };
            if keys.len() > MANY && self.list(kind, &resource, &keys).await.is_ok() {
                continue;
            }
            // Whoever may not list a kind may still read what is their own.
            self.get(&resource, keys).await;
        }
    }

    async fn list(
        &mut self,
        kind: Kind,
        resource: &ApiResource,
        keys: &BTreeSet<ObjectKey>,
    ) -> Result<(), kube::Error> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), resource);
        let mut params = ListParams::default().limit(PAGE);
        let mut found = Vec::new();
        loop {
            let page = api.list(&params).await?;
            for object in page.items {
                let name = object.name_any();
                let key =
                    ObjectKey::of_served(kind, object.namespace().as_deref(), &name, self.flavour);
                if keys.contains(&key) {
                    found.push((key, object));
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
        for (key, object) in found {
            self.take(key, object);
        }
        Ok(())
    }

    async fn get(&mut self, resource: &ApiResource, keys: BTreeSet<ObjectKey>) {
        let (client, flavour) = (self.client, self.flavour);
        let get = async |key: ObjectKey| {
            let client = client.clone();
            let api: Api<DynamicObject> = match &key.namespace {
                Some(namespace) => Api::namespaced_with(client, namespace, resource),
                None => Api::all_with(client, resource),
            };
            let found = api.get_opt(key.name_served(flavour)).await;
            (key, found)
        };
        let requests = stream::iter(keys.into_iter().map(get));
        let answers: Vec<_> = requests.buffer_unordered(AT_ONCE).collect().await;
        for (key, found) in answers {
            match found {
                Ok(Some(object)) => self.take(key, object),
                Ok(None) => {}
                Err(error) => {
                    self.unread.insert(key, failure(&error));
                }
            }
        }
    }

    fn take(&mut self, key: ObjectKey, object: DynamicObject) {
        let observed = serde_json::to_value(object).ok();
        match observed.and_then(|it| Observed::of(key.kind, it)) {
            // Nothing is read twice, so none is older than another.
            Some(observed) => drop(self.objects.observe(key, observed)),
            None => {
                self.unread
                    .insert(key, "it has no UID or no resource version".to_owned());
            }
        }
    }
}
