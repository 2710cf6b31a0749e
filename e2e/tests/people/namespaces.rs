//! What somebody may do who has every right on namespaces, and none on landing zones.

use anyhow::{Context, Result, bail, ensure};
use e2e::eventually;
use e2e::governed::CONVERGED;
use e2e::install::apply_objects;
use e2e::shop::Shop;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::Fixture;

/// A client of somebody with every right on namespaces.
async fn editor(fixture: &Fixture) -> Result<Client> {
    let objects = [
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "namespace-editors"},
            "rules": [{
                "apiGroups": [""],
                "resources": ["namespaces", "namespaces/status", "namespaces/finalize"],
                "verbs": ["get", "list", "create", "update", "patch", "delete"],
            }],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "namespace-editors"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                "name": "namespace-editors",
            },
            "subjects": [{
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "namespace-editors",
            }],
        }),
    ];
    let objects = objects.into_iter().map(serde_json::from_value);
    apply_objects(&fixture.0.client(), objects.collect::<Result<_, _>>()?).await?;
    let cluster = &fixture.0.cluster;
    let client = cluster
        .client_as_user("eve", &["namespace-editors"])
        .await?;
    // The API server learns of new rights with a little delay. Until then it refuses for want of them, which is no rule
    // of ours.
    let namespaces: Api<Namespace> = Api::all(client.clone());
    eventually(CONVERGED, "the rights of an editor", async || {
        Ok(Some(
            namespaces.list(&ListParams::default().limit(1)).await?,
        ))
    })
    .await?;
    Ok(client)
}

/// What a request was refused with, which must say all of that.
fn refused<T>(what: &str, answer: kube::Result<T>, words: &[&str]) -> Result<()> {
    let status = match answer {
        Err(kube::Error::Api(status)) => status,
        Err(error) => return Err(error).context(what.to_owned()),
        Ok(_) => bail!("{what} passed"),
    };
    let message = &status.message;
    ensure!(status.code == 403, "{what}: {} {message}", status.code);
    for word in words {
        ensure!(message.contains(word), "{what}: {message:?} lacks {word:?}");
    }
    Ok(())
}

/// What the operator wrote on a namespace is changed by nobody else, on whatever way.
pub async fn a_landing_zone_s_namespace_is_not_edited(fixture: &Fixture) -> Result<()> {
    let shop = Shop::open(&fixture.0, "edited").await?;
    let name = shop.named("web");
    let namespaces: Api<Namespace> = Api::all(editor(fixture).await?);
    let params = PatchParams::default();
    let declared = ["belongs to the landing zone edited", "shop@example.com"];
    for (patch, key) in [
        (
            json!({"labels": {"landingzones.dev/landing-zone": null}}),
            "landingzones.dev/landing-zone",
        ),
        (
            json!({"labels": {"landingzones.dev/landing-zone": "other"}}),
            "landingzones.dev/landing-zone",
        ),
        (
            json!({"labels": {"landingzones.dev/stage": "Observe"}}),
            "landingzones.dev/stage",
        ),
        (json!({"labels": {"zone": "data"}}), "zone"),
        (
            json!({"labels": {"applicationcode": null}}),
            "applicationcode",
        ),
        (
            json!({"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}),
            "pod-security.kubernetes.io/enforce",
        ),
        (
            json!({"annotations": {"scheduler.alpha.kubernetes.io/node-selector": "stack=other"}}),
            "scheduler.alpha.kubernetes.io/node-selector",
        ),
        (
            json!({"annotations": {"scheduler.alpha.kubernetes.io/tolerationsWhitelist": null}}),
            "scheduler.alpha.kubernetes.io/tolerationsWhitelist",
        ),
        (
            json!({"annotations": {"landingzones.dev/confirm-delete": name}}),
            "landingzones.dev/confirm-delete",
        ),
        (json!({"labels": null}), "landingzones.dev/landing-zone"),
    ] {
        let what = format!("patching {patch}");
        let patch = Patch::Merge(json!({"metadata": patch}));
        let words = [declared.as_slice(), &[key]].concat();
        refused(
            &what,
            namespaces.patch(&name, &params, &patch).await,
            &words,
        )?;
        let by_status = namespaces.patch_status(&name, &params, &patch).await;
        refused(&format!("{what} through status"), by_status, &words)?;
    }
    let mut whole: Namespace = namespaces.get(&name).await?;
    whole.metadata.labels = None;
    let replaced = namespaces
        .replace(&name, &PostParams::default(), &whole)
        .await;
    refused("replacing it", replaced, &declared)?;
    let request = http::Request::put(format!("/api/v1/namespaces/{name}/finalize"))
        .header("content-type", "application/json")
        .body(serde_json::to_vec(&whole)?)?;
    let client = namespaces.into_client();
    let finalized = client.request::<Value>(request).await;
    refused("replacing it through finalize", finalized, &declared)?;

    // What is not ours is edited by whoever may.
    let namespaces: Api<Namespace> = Api::all(client);
    let patch = json!({"metadata": {
        "labels": {"istio.io/rev": "1"}, "annotations": {"note": "mine"},
    }});
    let edited = namespaces
        .patch(&name, &params, &Patch::Merge(patch))
        .await?;
    ensure!(edited.labels().contains_key("istio.io/rev"), "{edited:?}");
    shop.close().await
}

/// A landing zone's namespace is not deleted by itself, but by those who may declare landing zones, or
/// once one of them has confirmed it.
pub async fn a_landing_zone_s_namespace_is_not_deleted(fixture: &Fixture) -> Result<()> {
    let shop = Shop::open(&fixture.0, "deleted").await?;
    let name = shop.named("web");
    let namespaces: Api<Namespace> = Api::all(editor(fixture).await?);
    let words = [
        "belongs to the landing zone deleted",
        "shop@example.com",
        "landingzones.dev/confirm-delete=deleted-web",
    ];
    let deleted = namespaces.delete(&name, &DeleteParams::default()).await;
    refused("deleting it", deleted, &words)?;
    let admins: Api<Namespace> = Api::all(fixture.0.client());
    for confirmed in ["yes", &name] {
        let patch =
            json!({"metadata": {"annotations": {"landingzones.dev/confirm-delete": confirmed}}});
        admins
            .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        let dry_run = DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        };
        let deleted = namespaces.delete(&name, &dry_run).await;
        if confirmed == name {
            deleted.context("it was confirmed")?;
        } else {
            refused("deleting what was not confirmed", deleted, &words)?;
        }
    }
    shop.close().await
}

/// Nobody takes a namespace into a landing zone but its declaration.
pub async fn nobody_joins_a_landing_zone_by_label(fixture: &Fixture) -> Result<()> {
    let shop = Shop::open(&fixture.0, "joined").await?;
    let namespaces: Api<Namespace> = Api::all(editor(fixture).await?);
    let forged = |name: &str| -> Result<Namespace> {
        Ok(serde_json::from_value(json!({"metadata": {
            "name": name, "labels": {"landingzones.dev/landing-zone": "joined", "zone": "web"},
        }}))?)
    };
    let words = ["landingzones.dev/landing-zone: joined", "spec.namespaces"];
    let created = namespaces
        .create(&PostParams::default(), &forged("joiner")?)
        .await;
    refused("creating it with the label", created, &words)?;

    let mut foreign = forged("joiner")?;
    foreign.metadata.labels = None;
    namespaces.create(&PostParams::default(), &foreign).await?;
    let patch = Patch::Merge(json!({"metadata": forged("joiner")?.metadata}));
    let patched = namespaces
        .patch("joiner", &PatchParams::default(), &patch)
        .await;
    refused("adding the label", patched, &words)?;

    // Whatever else is edited as before, and so are namespaces of nobody.
    let patch = Patch::Merge(json!({"metadata": {
        "labels": {"zone": "web", "applicationcode": "joined"},
        "annotations": {"scheduler.alpha.kubernetes.io/node-selector": "stack=tenant1"},
    }}));
    namespaces
        .patch("joiner", &PatchParams::default(), &patch)
        .await?;
    namespaces
        .delete("joiner", &DeleteParams::default())
        .await?;
    shop.close().await
}
