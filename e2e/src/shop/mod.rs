//! A shop: one application with a landing zone of its own, for tests that read like sentences.
//!
//! ```no_run
//! # async fn example(governed: &e2e::Governed) -> anyhow::Result<()> {
//! use e2e::shop::{MALLORY, Shop};
//! use serde_json::json;
//!
//! let shop = Shop::open(governed, "quota-raised").await?;
//! let quota = shop.quota();
//! quota.merge(json!({"spec": {"hard": {"pods": "500"}}})).await?;
//! shop.puts_back(&quota, "spec.hard.pods: 500, declared 50", Some(MALLORY)).await
//! # }
//! ```

mod object;
mod watched;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use landing_zone_operator::api::names::OWNER;
use landing_zone_operator::api::{LandingZone, LandingZoneSpec, LandingZoneStatus};
use landing_zone_operator::controller::{Kind, ObjectKey};
use serde_json::{Value, json};

pub use object::{FLAVOUR, MALLORY, Object};
pub use watched::Watched;

use self::object::content;
use crate::{Governed, eventually};

/// How long the operator may take to do something and to tell about it: events and drift counts
/// are gathered for 5 s, and machines are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a namespace that was deleted may take to be gone: kube-controller-manager lets 5 s pass
/// first, and another 5, 10, 20 and so on after each attempt that found something left in it.
pub const NAMESPACE_PATIENCE: Duration = Duration::from_secs(90);

/// One application with a landing zone of its own. Its namespaces are `<name>-web` and
/// `<name>-data`; what is said of its quota, limits and binding is meant of the first.
pub struct Shop<'a> {
    governed: &'a Governed,
    name: String,
    /// Every object as it was when the shop opened.
    declared: BTreeMap<ObjectKey, Value>,
    /// How many repairs the operator had counted then.
    repairs: BTreeMap<&'static str, u64>,
}

impl<'a> Shop<'a> {
    /// Declares a landing zone and waits until it is in the cluster.
    pub async fn open(governed: &'a Governed, name: &str) -> Result<Self> {
        Self::open_with(governed, name, json!({})).await
    }

    /// Declares a landing zone that differs from the usual one by a merge patch.
    pub async fn open_with(governed: &'a Governed, name: &str, amend: Value) -> Result<Self> {
        governed.converge(name, spec_with(name, amend)).await?;
        Self::visit(governed, name).await
    }

    /// Declares a landing zone and does not wait.
    pub async fn declare(governed: &'a Governed, name: &str, amend: Value) -> Result<Self> {
        governed.declare(name, spec_with(name, amend)).await?;
        Self::visit(governed, name).await
    }

    /// Looks at a landing zone as it is now.
    pub async fn visit(governed: &'a Governed, name: &str) -> Result<Self> {
        let mut shop = Self {
            governed,
            name: name.to_owned(),
            declared: BTreeMap::new(),
            repairs: BTreeMap::new(),
        };
        for object in shop.inventory().await? {
            // The inventory names an object before it is created.
            if let Some(found) = object.look().await? {
                shop.declared.insert(object.key().clone(), content(&found));
            }
        }
        for kind in Kind::ALL {
            shop.repairs.insert(kind.name(), shop.repaired(kind).await?);
        }
        Ok(shop)
    }

    /// Its name, which is its code too.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster that it is in.
    #[must_use]
    pub fn governed(&self) -> &'a Governed {
        self.governed
    }

    /// An object of the landing zone, by kind and name; in the first namespace where its kind lives
    /// in one.
    #[must_use]
    pub fn object(&self, kind: Kind, name: &str) -> Object {
        let namespace = match kind {
            Kind::NetworkPolicy | Kind::ResourceQuota | Kind::LimitRange | Kind::RoleBinding => {
                Some(self.named("web"))
            }
            _ => None,
        };
        let key = ObjectKey {
            kind,
            namespace: namespace.map(Into::into),
            name: name.into(),
        };
        Object::new(self.governed.client(), key)
    }

    /// One of its namespaces: `web` or `data`.
    #[must_use]
    pub fn namespace(&self, part: &str) -> Object {
        self.object(Kind::Namespace, &self.named(part))
    }

    /// Its quota.
    #[must_use]
    pub fn quota(&self) -> Object {
        self.object(Kind::ResourceQuota, "landing-zone")
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> Object {
        self.object(Kind::LimitRange, "landing-zone")
    }

    /// Its developers' access.
    #[must_use]
    pub fn binding(&self) -> Object {
        self.object(Kind::RoleBinding, "landing-zone-edit")
    }

    /// One of its policies: `dns`, `boundary`, `inside`, `deny` or `data-flows`.
    #[must_use]
    pub fn policy(&self, purpose: &str) -> Object {
        let name = format!("default.landing-zone-{}-{purpose}", self.name);
        self.object(Kind::GlobalNetworkPolicy, &name)
    }

    /// All its policies.
    pub async fn policies(&self) -> Result<Vec<Object>> {
        let mut all = self.inventory().await?;
        all.retain(|object| object.key().kind.is_policy());
        ensure!(!all.is_empty(), "{} has no policies", self.name);
        Ok(all)
    }

    /// Everything that its status says is its own.
    pub async fn inventory(&self) -> Result<Vec<Object>> {
        let status = self.status().await?;
        let keys = status
            .inventory
            .iter()
            .map(|entry| entry.parse::<ObjectKey>());
        keys.map(|key| Ok(Object::new(self.governed.client(), key?)))
            .collect()
    }

    /// A name that is this shop's alone.
    #[must_use]
    pub fn named(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    /// Its status as it is now; empty before there is one.
    pub async fn status(&self) -> Result<LandingZoneStatus> {
        let zone = self.governed.zones().get(&self.name).await?;
        Ok(zone.status.unwrap_or_default())
    }

    /// Waits until its status is as a test wants it.
    pub async fn when(
        &self,
        what: &str,
        wanted: impl Fn(&LandingZoneStatus) -> bool,
    ) -> Result<LandingZoneStatus> {
        let zone = self
            .governed
            .zone_when(&self.name, what, |_, status| wanted(status))
            .await?;
        zone.status.context("no status")
    }

    /// Changes the declaration by a merge patch of its spec, as Git would. Returns once it is in
    /// the API server, not in force.
    pub async fn edit(&self, spec: Value) -> Result<LandingZone> {
        self.amend(json!({ "spec": spec })).await
    }

    /// Changes the whole landing zone by a merge patch.
    pub async fn amend(&self, patch: Value) -> Result<LandingZone> {
        let params = PatchParams {
            field_manager: Some("git".to_owned()),
            ..PatchParams::default()
        };
        let zones = self.governed.zones();
        let patched = zones.patch(&self.name, &params, &Patch::Merge(patch)).await;
        patched.with_context(|| format!("failed to edit the landing zone {}", self.name))
    }

    /// Changes the declaration and waits until it is in force.
    pub async fn edit_and_converge(&self, spec: Value) -> Result<LandingZone> {
        self.edit(spec).await?;
        self.governed.ready(&self.name).await
    }

    /// Creates an object of somebody else's: the team's, or another tool's.
    pub async fn somebody_creates(&self, manifest: Value) -> Result<Object> {
        Object::create(self.governed.client(), manifest).await
    }

    /// The operator puts an object back as it was, and says so: in status, in an event, and in the
    /// metrics. `change` is part of what status says was different.
    pub async fn puts_back(
        &self,
        object: &Object,
        change: &str,
        manager: Option<&str>,
    ) -> Result<()> {
        self.is_back(object).await?;
        self.reports(object, change, manager).await
    }

    /// An object is again as it was when the shop opened.
    pub async fn is_back(&self, object: &Object) -> Result<()> {
        let key = object.key();
        let declared = self.declared.get(key);
        let declared = declared.with_context(|| format!("{key} was not there at first"))?;
        let what = format!("{key} to be put back");
        eventually(object.patience(), &what, async || {
            let found = object.content().await?;
            ensure!(found == *declared, "it is {found}, declared {declared}");
            Ok(Some(()))
        })
        .await
    }

    /// The operator tells of one repair of an object: its status, an event, and the metrics.
    pub async fn reports(
        &self,
        object: &Object,
        change: &str,
        manager: Option<&str>,
    ) -> Result<()> {
        let key = object.key();
        let what = format!("to tell that {key} was put back ({change}, by {manager:?})");
        let status = self.when(&what, |status| {
            let repairs = status.drift.iter().flat_map(|drift| &drift.recent);
            repairs.into_iter().any(|repair| {
                repair.object == key.to_string()
                    && repair.change.contains(change)
                    && repair.manager.as_deref() == manager
            })
        });
        let drift = status.await?.drift.context("no drift")?;
        ensure!(drift.repaired >= 1 && drift.recent.len() <= 10, "{drift:?}");
        let who = manager.unwrap_or("somebody (unknown, see the audit log)");
        self.event(
            "DriftRepaired",
            &[&key.to_string(), change, &format!("changed by {who}")],
        )
        .await?;
        let kind = key.kind;
        let before = self.repairs.get(kind.name()).copied().unwrap_or_default();
        let now = self.repaired(kind).await?;
        ensure!(now > before, "the metrics count {now} repairs of {kind}");
        Ok(())
    }

    /// Exactly so many repairs are counted once all is told.
    pub async fn counts_repairs(&self, expected: i64) -> Result<()> {
        let count = |status: &LandingZoneStatus| status.drift.as_ref().map_or(0, |d| d.repaired);
        let what = format!("to count {expected} repairs");
        let status = self.when(&what, |status| count(status) >= expected).await?;
        ensure!(count(&status) == expected, "{} repairs", count(&status));
        Ok(())
    }

    async fn repaired(&self, kind: Kind) -> Result<u64> {
        // One that has just been started does not listen yet.
        let metrics = eventually(PATIENCE, "the operator to tell its metrics", async || {
            self.governed.operator.metrics().await.map(Some)
        })
        .await?;
        let name = format!("landingzone_drift_repairs_total{{kind=\"{kind}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(Ok(0), |value| Ok(value.parse()?))
    }

    /// Waits for an event of that reason that says all of that.
    pub async fn event(&self, reason: &str, texts: &[&str]) -> Result<()> {
        let what = format!("an event {reason} of {} that says {texts:?}", self.name);
        eventually(PATIENCE, &what, async || {
            let notes = self.events(reason).await?;
            let says_all = |note: &String| texts.iter().all(|text| note.contains(text));
            ensure!(notes.iter().any(says_all), "the events say {notes:?}");
            Ok(Some(()))
        })
        .await
    }

    /// What the events of a reason say.
    pub async fn events(&self, reason: &str) -> Result<Vec<String>> {
        let events: Api<Event> = Api::namespaced(self.governed.client(), "default");
        let all = events
            .list(&ListParams::default().fields(&format!("reason={reason}")))
            .await?;
        let about_this = |event: &Event| {
            let about = event
                .regarding
                .as_ref()
                .and_then(|about| about.name.as_ref());
            about == Some(&self.name)
        };
        let notes = all.items.into_iter().filter(about_this);
        Ok(notes.filter_map(|event| event.note).collect())
    }

    /// Waits until a condition is in a state for a reason, and says all of that.
    pub async fn says(
        &self,
        type_: &str,
        state: &str,
        reason: &str,
        texts: &[&str],
    ) -> Result<LandingZoneStatus> {
        let what = format!("to have {type_}={state} ({reason}), saying {texts:?}");
        self.when(&what, |status| {
            crate::governed::condition(status, type_).is_some_and(|(is, why, message)| {
                is == state && why == reason && texts.iter().all(|text| message.contains(text))
            })
        })
        .await
    }

    /// The policies of the landing zone as the label finds them, whatever status says.
    pub async fn labelled(&self, kind: Kind) -> Result<Vec<String>> {
        let resource = kind.api_resource(FLAVOUR).context("no such kind")?;
        let api = Api::<kube::core::DynamicObject>::all_with(self.governed.client(), &resource);
        let mine = ListParams::default().labels(&format!("{OWNER}={}", self.name));
        let found = api.list(&mine).await?;
        Ok(found.items.iter().map(ResourceExt::name_any).collect())
    }

    /// Declares the landing zone again, after it was deleted.
    pub async fn reopen(&self, amend: Value) -> Result<()> {
        let spec: LandingZoneSpec = serde_json::from_value(spec_with(&self.name, amend))?;
        let zone = LandingZone::new(&self.name, spec);
        let zones = self.governed.zones();
        zones.create(&PostParams::default(), &zone).await?;
        Ok(())
    }

    /// Deletes the declaration and waits until it is gone.
    pub async fn close(&self) -> Result<()> {
        self.governed.withdraw(&self.name).await?;
        self.is_closed().await
    }

    /// Waits until the declaration is gone.
    pub async fn is_closed(&self) -> Result<()> {
        let zones = self.governed.zones();
        let what = format!("the landing zone {} to be gone", self.name);
        eventually(NAMESPACE_PATIENCE, &what, async || {
            let zone = zones.get_opt(&self.name).await?;
            if let Some(zone) = &zone {
                let conditions = zone.status.as_ref().map(|status| &status.conditions);
                let ready =
                    json!(conditions.and_then(|all| all.iter().find(|it| it.type_ == "Ready")));
                // Kubernetes says there what holds a namespace up.
                let namespaces = self.governed.client();
                let namespaces = Api::<k8s_openapi::api::core::v1::Namespace>::all(namespaces);
                let mut left = Vec::new();
                for part in &zone.spec.namespaces {
                    let found = namespaces.get_opt(&part.name).await?;
                    left.push(found.map(|it| json!({"name": part.name, "status": it.status})));
                }
                anyhow::bail!("it is {ready}; its namespaces are {}", json!(left));
            }
            Ok(Some(()))
        })
        .await
    }
}

/// The usual landing zone of a test, with everything that can drift, changed by a merge patch.
#[must_use]
pub fn spec_with(name: &str, amend: Value) -> Value {
    let mut spec = json!({
        "applicationCode": name,
        "contact": "shop@example.com",
        "labels": {"costCenter": "4711"},
        "namespaces": [
            {
                "name": format!("{name}-web"),
                "zone": "web",
                "quota": {"pods": "50", "requests.cpu": "4"},
                "limits": {"default": {"cpu": "500m"}, "max": {"cpu": "2"}},
            },
            {"name": format!("{name}-data"), "zone": "data"},
        ],
        "access": [{"kind": "Group", "name": "developers", "role": "edit", "zones": ["web"]}],
        "placement": {"nodeSelector": {"stack": "tenant1"}},
        "network": {"flows": [
            {"name": "web-to-data", "from": {"zone": "web"}, "to": {"zone": "data"},
             "ports": [{"protocol": "TCP", "port": 5432}]},
        ]},
    });
    merge(&mut spec, amend);
    spec
}

/// RFC 7386.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(fields) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(&key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}
