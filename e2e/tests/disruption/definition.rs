//! The definition of the kind goes away, or lets pass what cannot be read.

use anyhow::{Context, Result, ensure};
use e2e::shop::{MALLORY, PATIENCE, Shop};
use e2e::{Calico, Governed, OperatorOptions, eventually, install, workspace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, CustomResourceExt};
use landing_zone_operator::api::LandingZone;
use serde_json::{Value, json};

fn definitions(governed: &Governed) -> Api<CustomResourceDefinition> {
    Api::all(governed.client())
}

/// Deleting a definition deletes every object of its kind, and no namespace must pay for that.
pub async fn when_the_kind_is_deleted_the_namespaces_are_kept((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let right = workspace::root().join("config/namespace-deletion");
    install::apply_manifests(&governed.client(), &right).await?;
    let amend = json!({"deletePolicy": "Delete"});
    let shop = Shop::open_with(&governed, "uninstalled", amend).await?;
    let everything = shop.inventory().await?;

    let name = LandingZone::crd_name();
    let definitions = definitions(&governed);
    definitions.delete(name, &DeleteParams::default()).await?;
    eventually(PATIENCE, "the definition to be gone", async || {
        ensure!(definitions.get_opt(name).await?.is_none(), "it is there");
        Ok(Some(()))
    })
    .await?;
    for object in &everything {
        shop.is_back(object).await?;
        ensure!(object.at("/metadata/deletionTimestamp").await?.is_null());
    }
    shop.event("NamespacesKept", &["kept", "whatever deletePolicy says"])
        .await?;

    // Installed anew, the kind finds its namespaces by their label.
    let crds = workspace::root().join("crds");
    install::apply_manifests(&governed.client(), &crds).await?;
    eventually(
        PATIENCE,
        "the landing zone to be declared again",
        async || shop.reopen(json!({})).await.map(Some),
    )
    .await?;
    governed.ready("uninstalled").await?;
    for object in &everything {
        shop.is_back(object).await?;
    }
    governed.stop().await
}

/// Such an object may come from a former version of the definition.
pub async fn one_that_cannot_be_read_does_not_stop_others((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let shop = Shop::open(&governed, "readable").await?;
    let definitions = definitions(&governed);
    let name = LandingZone::crd_name();
    let strict = definitions.get(name).await?;
    let schema = |schema: Value| {
        Patch::Json::<()>(
            serde_json::from_value(json!([{
                "op": "replace",
                "path": "/spec/versions/0/schema/openAPIV3Schema",
                "value": schema,
            }]))
            .unwrap_or_default(),
        )
    };
    let anything = json!({
        "type": "object",
        "properties": {
            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    });
    let params = PatchParams {
        field_manager: Some(MALLORY.to_owned()),
        ..PatchParams::default()
    };
    definitions.patch(name, &params, &schema(anything)).await?;
    eventually(
        PATIENCE,
        "the loose definition to be in force",
        async || {
            let unreadable = json!({
                "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
                "metadata": {"name": "unreadable"},
                "spec": {"applicationCode": 5, "namespaces": "none"},
            });
            shop.somebody_creates(unreadable).await.map(Some)
        },
    )
    .await?;
    let former = strict
        .spec
        .versions
        .first()
        .and_then(|version| version.schema.as_ref());
    let former = former.and_then(|schema| schema.open_api_v3_schema.as_ref());
    let former = json!(former.context("the definition has no schema")?);
    definitions.patch(name, &params, &schema(former)).await?;

    let log = governed.operator.logs()?;
    ensure!(!log.contains("panicked"), "{log}");
    shop.quota().delete().await?;
    shop.puts_back(&shop.quota(), "deleted", None).await?;
    eventually(
        PATIENCE,
        "the strict definition to be in force",
        async || {
            let loose = governed.zones().get("unreadable").await;
            ensure!(loose.is_err(), "it can be read");
            Ok(Some(()))
        },
    )
    .await?;
    Shop::open(&governed, "declared-later").await?;
    eventually(PATIENCE, "its status to tell of it", async || {
        let message = "jsonpath={.status.conditions[?(@.type=='Stalled')].message}";
        let kubectl = governed
            .cluster
            .kubectl(["get", "lz", "unreadable", "-o", message]);
        let told = kubectl.await?;
        ensure!(told.contains("cannot be read"), "it says {told:?}");
        ensure!(
            told.contains("CustomResourceDefinition"),
            "no way out: {told:?}"
        );
        Ok(Some(()))
    })
    .await?;
    eventually(PATIENCE, "the operator to tell of it", async || {
        let log = governed.operator.logs()?;
        ensure!(
            log.contains("cannot read the landing zone"),
            "it says nothing"
        );
        ensure!(log.contains("unreadable"), "it does not name it");
        Ok(Some(()))
    })
    .await?;
    // A restart lists it anew.
    governed.operator.terminate().await?;
    let again = e2e::OperatorProcess::start(&governed.cluster, OperatorOptions::default()).await?;
    again.wait_until_ready(e2e::governed::CONVERGED).await?;
    shop.limits().delete().await?;
    shop.is_back(&shop.limits()).await?;
    again.terminate().await?;
    governed.cluster.stop().await
}
