//! What was installed, in a cluster: how it is taken away, how much of the API server it gets, and where its pods run.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::governed::CONVERGED;
use e2e::install::{install_calico_crds, read_manifests};
use e2e::operator::operator_kubeconfig;
use e2e::rights::{GRANTING, Right};
use e2e::{ClusterOptions, LocalCluster, eventually, workspace};
use http::{HeaderMap, Request};
use k8s_openapi::api::core::v1::{Pod, Taint};
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::client::Body;
use kube::{Api, Client, ResourceExt};
use landing_zone_operator::api::LandingZone;
use serde_json::{Value, json};

use crate::{Built, CHART, NAMESPACE, RELEASE};

const INSTALL: [&str; 6] = [
    "install",
    RELEASE,
    CHART,
    "-n",
    NAMESPACE,
    "--create-namespace",
];

/// As docs/upgrade.md and the README say it.
async fn apply(cluster: &LocalCluster, folder: &str) -> Result<()> {
    let folder = workspace::root().join(folder);
    let folder = folder.to_str().context("a path that is no text")?;
    cluster
        .kubectl(["apply", "--server-side", "-k", folder])
        .await?;
    Ok(())
}

/// Whoever takes away what he applied takes the operator away, and no landing zone.
pub async fn kustomize_takes_no_landing_zone_away(_: &Built) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    let client = cluster.client();
    install_calico_crds(&client).await?;
    for folder in ["crds", "config"] {
        apply(&cluster, folder).await?;
    }
    let zones: Api<LandingZone> = Api::all(client.clone());
    let spec: Value = json!({
        "applicationCode": "shop", "namespaces": [{"name": "shop-web", "zone": "frontend"}],
    });
    let zone = LandingZone::new("shop", serde_json::from_value(spec)?);
    eventually(CONVERGED, "a landing zone to be declared", async || {
        let declared = zones.create(&PostParams::default(), &zone).await;
        Ok(Some(declared?))
    })
    .await?;
    let before = zones.get("shop").await?.metadata.uid;

    let folder = workspace::root().join("config");
    let folder = folder.to_str().context("a path that is no text")?;
    cluster.kubectl(["delete", "-k", folder]).await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in read_manifests(&workspace::root().join("crds"))? {
        let found = definitions.get(&definition.name_any()).await?;
        ensure!(found.metadata.deletion_timestamp.is_none(), "{found:?}");
        // And neither does what applies from Git, when they leave it.
        let annotations = found.annotations();
        let says = |key: &str, value: &str| annotations.get(key).is_some_and(|it| it == value);
        ensure!(
            says("kustomize.toolkit.fluxcd.io/prune", "disabled")
                && says(
                    "argocd.argoproj.io/sync-options",
                    "Prune=false,Delete=false"
                ),
            "{annotations:?}"
        );
    }
    let after = zones.get("shop").await?;
    ensure!(
        after.metadata.uid == before && after.metadata.deletion_timestamp.is_none(),
        "{after:?}"
    );
    cluster.stop().await
}

/// By which rule and at which level the API server answers a request.
async fn answered_by(client: &Client, uri: &str) -> Result<(String, String)> {
    let answer = client.send(Request::get(uri).body(Body::empty())?).await?;
    ensure!(answer.status().is_success(), "{uri}: {}", answer.status());
    let header = |headers: &HeaderMap, name: &str| -> Result<String> {
        let found = headers.get(name).with_context(|| format!("no {name}"))?;
        Ok(found.to_str()?.to_owned())
    };
    let schema = header(answer.headers(), "x-kubernetes-pf-flowschema-uid")?;
    let level = header(answer.headers(), "x-kubernetes-pf-prioritylevel-uid")?;
    Ok((schema, level))
}

/// What the operator asks for takes no seat of anybody else's, and its Lease does not wait behind it.
pub async fn the_operator_has_seats_of_its_own(built: &Built) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    let client = cluster.client();
    install_calico_crds(&client).await?;
    built.said(Some(&cluster), &INSTALL)?;
    let schemas: Api<FlowSchema> = Api::all(client.clone());
    let levels: Api<PriorityLevelConfiguration> = Api::all(client.clone());
    let uid = |uid: Option<String>| uid.context("an object without a UID");
    let own = (
        uid(schemas.get(RELEASE).await?.metadata.uid)?,
        uid(levels.get(RELEASE).await?.metadata.uid)?,
    );
    let operator = operator_kubeconfig(&cluster).await?.client().await?;
    let lease =
        "/apis/coordination.k8s.io/v1/namespaces/landing-zone-system/leases/landing-zone-operator";
    // It is there once an operator ran.
    let leases: Api<k8s_openapi::api::coordination::v1::Lease> =
        Api::namespaced(client.clone(), NAMESPACE);
    let object = serde_json::from_value(json!({"metadata": {"name": RELEASE}}))?;
    leases.create(&PostParams::default(), &object).await?;
    eventually(CONVERGED, "requests to be told apart", async || {
        for uri in [
            "/api/v1/namespaces?limit=1",
            "/apis/landingzones.dev/v1alpha1/landingzones",
            "/apis/crd.projectcalico.org/v1/globalnetworkpolicies",
            "/apis/networking.k8s.io/v1/networkpolicies",
        ] {
            let by = answered_by(&operator, uri).await?;
            ensure!(by == own, "{uri}: {by:?} is not {own:?}");
        }
        Ok(Some(()))
    })
    .await?;
    let by = answered_by(&operator, lease).await?;
    ensure!(
        by.0 != own.0 && by.1 != own.1,
        "the Lease waits behind work"
    );
    let by = answered_by(&client, "/api/v1/namespaces?limit=1").await?;
    ensure!(by.1 != own.1, "somebody else sits there");

    // Every group that it is granted something in, but for the Lease's.
    let mut granted = BTreeSet::new();
    for folder in GRANTING {
        let objects = read_manifests(&workspace::root().join("config").join(folder))?;
        granted.extend(Right::of(&objects)?.into_iter().map(|right| right.group));
    }
    ensure!(granted.remove("coordination.k8s.io"), "it has no Lease");
    let schema = schemas.get(RELEASE).await?.spec.context("no spec")?;
    let rules = schema.rules.into_iter().flatten();
    let known: BTreeSet<String> = rules
        .flat_map(|rule| rule.resource_rules.into_iter().flatten())
        .flat_map(|rule| rule.api_groups)
        .collect();
    ensure!(known == granted, "{known:?}\n{granted:?}");
    let level = levels.get(RELEASE).await?.spec.context("no spec")?;
    let limited = level.limited.context("it is not limited")?;
    ensure!(limited.borrowing_limit_percent == Some(0), "{limited:?}");
    let waits = limited.limit_response.context("nothing is said")?.type_;
    ensure!(waits == "Queue", "{waits}");
    cluster.stop().await
}

/// With the cluster's own add-ons, and not both of them in one place.
pub async fn the_pods_run_on_the_system_pool(built: &Built) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    let client = cluster.client();
    let reserved = Taint {
        key: "CriticalAddonsOnly".to_owned(),
        value: Some("true".to_owned()),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    for (name, zone) in [("system-1", "west-1"), ("system-2", "west-2")] {
        let labels = [
            ("kubernetes.azure.com/mode", "system"),
            ("topology.kubernetes.io/zone", zone),
        ];
        let taints = std::slice::from_ref(&reserved);
        cluster.create_node(name, &labels, taints).await?;
    }
    let of_users = [
        ("kubernetes.azure.com/mode", "user"),
        ("topology.kubernetes.io/zone", "west-3"),
    ];
    cluster.create_node("user-1", &of_users, &[]).await?;
    built.said(Some(&cluster), &INSTALL)?;
    let pods: Api<Pod> = Api::namespaced(client, NAMESPACE);
    let ours = ListParams::default().labels("app.kubernetes.io/name=landing-zone-operator");
    eventually(CONVERGED, "both pods to have a node", async || {
        let found = pods.list(&ours).await?.items;
        let nodes: BTreeSet<String> = found
            .into_iter()
            .filter_map(|pod| pod.spec?.node_name)
            .collect();
        let expected = BTreeSet::from(["system-1".to_owned(), "system-2".to_owned()]);
        ensure!(nodes == expected, "{nodes:?}");
        Ok(Some(()))
    })
    .await?;
    cluster.stop().await
}
