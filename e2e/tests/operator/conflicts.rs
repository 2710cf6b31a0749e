//! Landing zones that claim the same.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::eventually;
use e2e::governed::condition;
use e2e::shop::{MALLORY, Object, PATIENCE, Shop, Watched, spec_with};
use landing_zone_operator::api::names::OWNER;
use landing_zone_operator::api::{LandingZoneStatus, NamespaceState};
use landing_zone_operator::controller::Kind;
use serde_json::{Value, json};

use crate::Fixture;

/// When a conflict counts as a failure.
const STALLED_AFTER: Duration = Duration::from_mins(1);

/// Waits for the failure that a conflict becomes, and that it was none before its time.
async fn stalls_in_time(shop: &Shop<'_>, since: Instant) -> Result<()> {
    let what = format!("{} to be stalled", shop.name());
    let stalled = eventually(STALLED_AFTER + PATIENCE, &what, async || {
        let status = shop.status().await?;
        let (state, reason, _) = condition(&status, "Stalled").unwrap_or_default();
        Ok((state == "True").then(|| reason.to_owned()))
    })
    .await?;
    ensure!(stalled == "Conflict", "{stalled}");
    let waited = since.elapsed();
    ensure!(
        waited + Duration::from_secs(2) > STALLED_AFTER,
        "{waited:?}"
    );
    Ok(())
}

pub async fn the_incumbent_keeps_a_namespace(fixture: &Fixture) -> Result<()> {
    let first = fixture.shop("incumbent").await?;
    let contested = first.named("web");
    let watched = Watched::since_now([first.policy("boundary"), first.binding()]).await?;
    let since = Instant::now();
    let second = Shop::declare(
        &fixture.0,
        "latecomer",
        json!({
            "adoptionPolicy": "Always",
            "namespaces": [
                {"name": "latecomer-web", "zone": "web", "quota": {"pods": "9"}},
                {"name": "latecomer-data", "zone": "data"},
                {"name": contested, "zone": "web"},
            ],
        }),
    )
    .await?;
    let status = second
        .says(
            "Reconciling",
            "True",
            "Conflict",
            &["incumbent-web", "landing zone incumbent"],
        )
        .await?;
    for namespace in &status.namespaces {
        let expected = if namespace.name == contested {
            NamespaceState::Withheld
        } else {
            NamespaceState::Ready
        };
        ensure!(namespace.state == expected, "{namespace:?}");
    }
    // Only the contested part is withheld: the rest is put back,
    let quota = second.quota();
    quota
        .merge(json!({"spec": {"hard": {"pods": "500"}}}))
        .await?;
    quota.becomes("/spec/hard/pods", json!("9")).await?;
    second
        .reports(&quota, "spec.hard.pods: 500, declared 9", Some(MALLORY))
        .await?;
    // and no policy selects what is somebody else's.
    for policy in second.policies().await? {
        let selected = policy.at("/spec/namespaceSelector").await?.to_string();
        ensure!(!selected.contains("incumbent-web"), "{selected}");
    }
    stalls_in_time(&second, since).await?;
    second
        .event("NotReady", &["incumbent-web", "landing zone incumbent"])
        .await?;
    watched.are_untouched().await?;
    fixture.0.ready("incumbent").await?;

    first.close().await?;
    fixture.0.ready("latecomer").await?;
    let owner = first.namespace("web").at(&owner()).await?;
    ensure!(owner == "latecomer", "{owner}");
    Ok(())
}

fn owner() -> String {
    format!("/metadata/labels/{}", OWNER.replace('/', "~1"))
}

pub async fn the_incumbent_keeps_an_application_code(fixture: &Fixture) -> Result<()> {
    let first = fixture.shop("code").await?;
    let since = Instant::now();
    let second = Shop::declare(&fixture.0, "code-2", json!({"applicationCode": "code"})).await?;
    let status = second
        .says(
            "NamespacesReady",
            "False",
            "Conflict",
            &["the landing zone code has the application code code already"],
        )
        .await?;
    for namespace in &status.namespaces {
        ensure!(namespace.state == NamespaceState::Withheld, "{namespace:?}");
    }
    ensure!(second.namespace("web").look().await?.is_none());
    stalls_in_time(&second, since).await?;
    fixture.0.ready("code").await?;

    first.close().await?;
    fixture.0.ready("code-2").await?;
    second.namespace("web").read().await?;

    // Declared anew, the first has its namespaces back, and hears who has the code by now.
    first.reopen(json!({})).await?;
    let heard = [
        "the landing zone code-2 has the application code code already",
        "what this one has already is kept in order",
    ];
    first.says("Ready", "False", "Conflict", &heard).await?;
    first.quota().delete().await?;
    first.is_back(&first.quota()).await
}

/// Deleted and declared anew, a landing zone has no inventory; the label says whose its namespaces
/// were all the time, whoever else waits for them.
pub async fn what_is_declared_anew_keeps_its_namespaces(fixture: &Fixture) -> Result<()> {
    let first = fixture.shop("anew").await?;
    let amend = json!({"namespaces": [
        {"name": "anew-2-web", "zone": "web"},
        {"name": "anew-2-data", "zone": "data"},
        {"name": first.named("web"), "zone": "web"},
    ]});
    let second = Shop::declare(&fixture.0, "anew-2", amend).await?;
    second
        .says("Reconciling", "True", "Conflict", &["anew-web"])
        .await?;
    first.close().await?;
    second
        .says("Stalled", "True", "NotAdopted", &["anew-web"])
        .await?;
    first.reopen(json!({})).await?;
    fixture.0.ready("anew").await?;
    let selected = first
        .policy("boundary")
        .at("/spec/namespaceSelector")
        .await?;
    ensure!(selected.to_string().contains("'anew-web'"), "{selected}");
    let landing_zone = ["landing zone anew declares the namespace too"];
    second
        .says("Ready", "False", "Conflict", &landing_zone)
        .await?;
    let outside = ["no policy of this landing zone selects anew-web"];
    let state = second.says("NetworkEnforced", "False", "NamespacesWithheld", &outside);
    state.await.map(drop)
}

/// A folder moves in Git: one landing zone is created and another deleted, of the same code and
/// namespaces.
struct Rename<'a> {
    old: Shop<'a>,
    /// The namespace as it was before.
    former: Value,
    policies: Vec<Object>,
}

impl<'a> Rename<'a> {
    async fn begin(fixture: &'a Fixture, name: &str, amend: Value) -> Result<Self> {
        let old = Shop::open_with(&fixture.0, name, amend).await?;
        Ok(Self {
            former: old.namespace("web").uid().await?,
            policies: old.policies().await?,
            old,
        })
    }

    async fn create(&self) -> Result<Shop<'a>> {
        let declared = spec_with(self.old.name(), json!({"adoptionPolicy": "Always"}));
        let name = format!("{}-2", self.old.name());
        Shop::declare(self.old.governed(), &name, declared).await
    }

    /// The new one has it all, as it was, and nothing of the old one is left to stand in its way.
    async fn is_complete(&self, new: &Shop<'_>) -> Result<()> {
        new.governed().ready(new.name()).await?;
        let (web, quota, binding) = (
            self.old.namespace("web"),
            self.old.quota(),
            self.old.binding(),
        );
        ensure!(web.uid().await? == self.former, "it is another namespace");
        for object in [&web, &quota, &binding] {
            ensure!(object.at(&owner()).await? == new.name());
        }
        new.policy("boundary").read().await?;
        // What the old name left behind would deny what the new one allows.
        for policy in &self.policies {
            policy.vanishes().await?;
        }
        for kind in [Kind::ClusterRole, Kind::ClusterRoleBinding] {
            let what = format!("nothing of kind {kind} to be left");
            eventually(PATIENCE, &what, async || {
                let left = self.old.labelled(kind).await?;
                ensure!(left.is_empty(), "{left:?}");
                Ok(Some(()))
            })
            .await?;
        }
        let inherited = |status: &LandingZoneStatus| {
            let names = self.policies.iter().map(|policy| policy.key().to_string());
            names
                .into_iter()
                .any(|name| status.inventory.contains(&name))
        };
        let status = new
            .when("to forget what it cleared away", |status| {
                !inherited(status)
            })
            .await?;
        let (stalled, ..) = condition(&status, "Stalled").unwrap_or_default();
        ensure!(stalled == "False");
        Ok(())
    }
}

pub async fn a_rename_is_no_failure(fixture: &Fixture) -> Result<()> {
    let rename = Rename::begin(fixture, "renamed", json!({})).await?;
    let new = rename.create().await?;
    new.says("Reconciling", "True", "Conflict", &["renamed"])
        .await?;
    rename.old.close().await?;
    rename.is_complete(&new).await
}

pub async fn a_rename_in_the_other_order_is_no_failure(fixture: &Fixture) -> Result<()> {
    let rename = Rename::begin(fixture, "reordered", json!({})).await?;
    rename.old.close().await?;
    let new = rename.create().await?;
    rename.is_complete(&new).await
}

/// What lost its label, and is known to be another landing zone's, is no reason to keep what the old one left.
pub async fn a_rename_waits_for_no_namespace_of_others(fixture: &Fixture) -> Result<()> {
    let other = fixture.shop("unmarked").await?;
    let data = json!({"namespaces": [{"name": other.named("data"), "zone": "data"}],
        "network": Value::Null, "access": Value::Null});
    other.edit_and_converge(data).await?;
    other
        .when("to release a namespace", |it| it.released.len() == 1)
        .await?;
    other.namespace("web").strip_label(OWNER).await?;
    let rename = Rename::begin(fixture, "beside", json!({})).await?;
    let new = rename.create().await?;
    rename.old.close().await?;
    rename.is_complete(&new).await
}

/// Whatever the old one says about deletion: the new one declares the namespaces.
pub async fn a_rename_deletes_no_namespace(fixture: &Fixture) -> Result<()> {
    let amend = json!({"deletePolicy": "Delete"});
    let rename = Rename::begin(fixture, "moved", amend).await?;
    let new = rename.create().await?;
    new.says("Reconciling", "True", "Conflict", &["moved"])
        .await?;
    rename.old.close().await?;
    rename.is_complete(&new).await
}
