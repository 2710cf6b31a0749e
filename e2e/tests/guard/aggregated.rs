//! Through Calico's own API server: kube-apiserver does not ask webhooks about requests to an aggregated API. It sees what
//! comes out of them in Calico's storage, and the background sees all of it.

use anyhow::{Context, Result, bail, ensure};
use e2e::governed::CONVERGED;
use e2e::ports::free_port;
use e2e::shop::Shop;
use e2e::{Calico, Governed, eventually};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::json;

use super::Clusters;
use super::background::{is, shown, told, when};
use super::policy::{api, object, towards};
use super::webhook::{NAME, declare, install_guard, is_ready, options};

const V3: &str = "projectcalico.org/v3";

pub async fn what_comes_through_calicos_api_server_is_judged(clusters: &Clusters) -> Result<()> {
    let port = free_port()?;
    let test = async |governed: &Governed| {
        let _shop = Shop::open(governed, "shop").await?;
        install_guard(governed).await?;
        declare(governed, json!({"guard": "Enforce"})).await?;
        is_ready(governed).await?;
        governed
            .condition("shop", "BoundaryHeld", "True", "NothingCrosses")
            .await?;
        what_is_stored_is_asked_about(governed)
            .await
            .context("at the storage")?;
        what_nobody_asks_about_is_found(governed)
            .await
            .context("in the background")
    };
    clusters
        .with_calico(Calico::Aggregated, options(None, port), Vec::new(), test)
        .await
}

fn policies(governed: &Governed) -> Api<DynamicObject> {
    api(governed.client(), V3, "NetworkPolicy", Some("shop-web"))
}

/// What Calico's API server stores is a request of its own, and whoever asked hears why it was refused.
async fn what_is_stored_is_asked_about(governed: &Governed) -> Result<()> {
    let leaves = towards("projectcalico.org/name == 'kube-system'");
    let leaves = object(V3, "NetworkPolicy", "leaves", &leaves)?;
    eventually(CONVERGED, "the policy to be refused", async || {
        let created = policies(governed)
            .create(&PostParams::default(), &leaves)
            .await;
        let Err(error) = created else {
            policies(governed)
                .delete("leaves", &DeleteParams::default())
                .await?;
            return Ok(None);
        };
        let message = error.to_string();
        for words in [
            "leaves the boundary of the landing zone shop",
            "namespace-name",
        ] {
            ensure!(message.contains(words), "{message}");
        }
        Ok(Some(()))
    })
    .await
}

/// Where the storage is not asked about, nobody is: the request itself passes by, though the webhook names its group.
async fn what_nobody_asks_about_is_found(governed: &Governed) -> Result<()> {
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(governed.client());
    let rules = json!([
        {"op": "replace", "path": "/webhooks/0/rules", "value": [{
            "apiGroups": ["projectcalico.org"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
            "resources": ["networkpolicies", "networksets"], "scope": "Namespaced",
        }]},
    ]);
    let rules = Patch::Json::<()>(serde_json::from_value(rules)?);
    configurations
        .patch(NAME, &PatchParams::default(), &rules)
        .await?;
    // The rules on admission refuse an order before the boundary; what was there before them, they do not see.
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(governed.client());
    bindings
        .delete("landing-zone-team-policies", &DeleteParams::default())
        .await?;
    let mut spec = towards("projectcalico.org/name == 'kube-system'");
    spec["order"] = json!(5);
    let early = object(V3, "NetworkPolicy", "early", &spec)?;
    eventually(
        CONVERGED,
        "the policy to be written",
        async || match policies(governed)
            .create(&PostParams::default(), &early)
            .await
        {
            Ok(_) => Ok(Some(())),
            Err(kube::Error::Api(status)) if status.message.contains("denied") => Ok(None),
            Err(kube::Error::Api(status)) if status.message.contains("orders below 100") => {
                Ok(None)
            }
            Err(error) => bail!(error),
        },
    )
    .await?;
    is_ready(governed).await?;
    let status = when(governed, "the policy to be found", |status| {
        is(status, "False", "BoundaryOpen") && status.findings.len() == 2
    })
    .await?;
    let rules: Vec<_> = status
        .findings
        .iter()
        .map(|it| (it.rule.as_str(), it.open))
        .collect();
    ensure!(
        rules == [("order-before-platform", true), ("namespace-name", false)],
        "{rules:?}"
    );
    for found in &status.findings {
        ensure!(
            found
                .object
                .starts_with("NetworkPolicy.projectcalico.org/shop-web/")
                && found.object.ends_with("early"),
            "{found:?}"
        );
    }
    let held = status.conditions.iter();
    let held = held.into_iter().find(|it| it.type_ == "BoundaryHeld");
    let words = &held.context("no condition")?.message;
    ensure!(
        words.contains("order 5 comes before the boundary"),
        "{words}"
    );
    shown(governed, "order-before-platform", Some(1)).await?;
    shown(governed, "namespace-name", Some(1)).await?;
    told(governed, &["order-before-platform", "namespace-name"]).await?;

    policies(governed)
        .delete("early", &DeleteParams::default())
        .await?;
    when(governed, "nothing to be found", |status| {
        is(status, "True", "NothingCrosses") && status.findings.is_empty()
    })
    .await?;
    shown(governed, "order-before-platform", None).await
}
