//! Through Calico's own API server, whose requests do not pass kube-apiserver's admission. It asks webhooks itself, and
//! kube-apiserver asks about what it stores. Where neither does, the background sees it.

use anyhow::{Context, Result, ensure};
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
        refused(governed, "with both").await?;
        for group in ["crd.projectcalico.org", "projectcalico.org"] {
            // What was asked about before must not be what refuses.
            ask_about(governed, "networking.k8s.io").await?;
            passes(governed).await?;
            ask_about(governed, group).await?;
            refused(governed, group).await?;
        }
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

/// Has the webhook asked about policies of one group only.
async fn ask_about(governed: &Governed, group: &str) -> Result<()> {
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(governed.client());
    let rules = json!([
        {"op": "replace", "path": "/webhooks/0/rules", "value": [{
            "apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
            "resources": ["networkpolicies"], "scope": "Namespaced",
        }]},
    ]);
    let rules = Patch::Json::<()>(serde_json::from_value(rules)?);
    configurations
        .patch(NAME, &PatchParams::default(), &rules)
        .await?;
    Ok(())
}

/// Whoever asked hears why it was refused, whichever server did.
async fn refused(governed: &Governed, asked: &str) -> Result<()> {
    let leaves = towards("projectcalico.org/name == 'kube-system'");
    let leaves = object(V3, "NetworkPolicy", "leaves", &leaves)?;
    let refused = eventually(CONVERGED, "the policy to be refused", async || {
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
    });
    refused.await.context(asked.to_owned())
}

/// Waits until a policy that leaves can be written, and takes it back.
async fn passes(governed: &Governed) -> Result<()> {
    let leaves = towards("projectcalico.org/name == 'kube-system'");
    let leaves = object(V3, "NetworkPolicy", "leaves", &leaves)?;
    eventually(CONVERGED, "the policy to be written", async || {
        let params = PostParams::default();
        Ok(Some(policies(governed).create(&params, &leaves).await?))
    })
    .await?;
    policies(governed)
        .delete("leaves", &DeleteParams::default())
        .await?;
    Ok(())
}

/// Where nobody is asked it is written, and found.
async fn what_nobody_asks_about_is_found(governed: &Governed) -> Result<()> {
    ask_about(governed, "networking.k8s.io").await?;
    // The rules on admission refuse an order before the boundary; what was there before them, they do not see.
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(governed.client());
    bindings
        .delete("landing-zone-team-policies", &DeleteParams::default())
        .await?;
    let mut spec = towards("projectcalico.org/name == 'kube-system'");
    spec["order"] = json!(5);
    let early = object(V3, "NetworkPolicy", "early", &spec)?;
    // The rules that are taken back are in force for a moment still.
    eventually(CONVERGED, "the policy to be written", async || {
        let params = PostParams::default();
        Ok(Some(policies(governed).create(&params, &early).await?))
    })
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
