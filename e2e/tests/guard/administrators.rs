//! What administrators write, and what is staged, is judged like everything else; neither gets past the boundary.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::install::apply_manifests;
use e2e::shop::spec_with;
use e2e::{Calico, Governed, OperatorOptions, workspace};
use kube::api::{DeleteParams, DynamicObject, PostParams};
use serde_json::{Value, json};

use super::Clusters;
use super::background::{is, when};
use super::policy::{api, object, towards};

const ADMINISTRATORS: &str = "policy.networking.k8s.io/v1alpha1";
const CLUSTER: &str = "policy.networking.k8s.io/v1alpha2";
const CALICO: &str = "projectcalico.org/v3";

pub async fn what_administrators_write_and_what_is_staged_is_judged(
    clusters: &Clusters,
) -> Result<()> {
    let test = async |governed: &Governed| {
        let spec = spec_with("shop", json!({}));
        governed.converge("shop", spec).await?;
        governed
            .condition("shop", "BoundaryHeld", "True", "NothingCrosses")
            .await?;
        // Definitions that come later are noticed.
        let definitions = workspace::root().join("e2e/calico/administrators.yaml");
        apply_manifests(&governed.client(), &definitions).await?;
        for (written, told) in written()? {
            is_found(governed, &written, told).await.context(told)?;
        }
        Ok(())
    };
    clusters
        .with_calico(Calico::Native, OperatorOptions::default(), Vec::new(), test)
        .await
}

/// What is written, and what it is called in the status.
fn written() -> Result<Vec<(DynamicObject, &'static str)>> {
    let shop = json!({"namespaces": {"matchLabels": {"applicationcode": "shop"}}});
    let to_anybody =
        |action: &str| json!([{"name": "all", "action": action, "to": [{"namespaces": {}}]}]);
    let admin = json!({"priority": 10, "subject": shop, "egress": to_anybody("Allow")});
    let baseline = json!({"subject": shop, "egress": to_anybody("Allow")});
    let cluster = json!({
        "tier": "Admin", "priority": 10, "subject": shop, "egress": to_anybody("Accept"),
    });
    let kubernetes = json!({
        "podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"namespaceSelector": {}}]}],
    });
    let mut global = towards("projectcalico.org/name == 'kube-system'");
    global["namespaceSelector"] = json!("applicationcode == 'shop'");
    let leaves = towards("projectcalico.org/name == 'kube-system'");
    let of_cluster = |version, kind, name, spec: &Value| object(version, kind, name, spec);
    let of_shop = |kind, spec: &Value| {
        let mut written = object(CALICO, kind, "leaves", spec)?;
        written.metadata.namespace = Some("shop-web".to_owned());
        anyhow::Ok(written)
    };
    Ok(vec![
        (
            of_cluster(ADMINISTRATORS, "AdminNetworkPolicy", "monitoring", &admin)?,
            "AdminNetworkPolicy.policy.networking.k8s.io/monitoring",
        ),
        (
            of_cluster(
                ADMINISTRATORS,
                "BaselineAdminNetworkPolicy",
                "default",
                &baseline,
            )?,
            "BaselineAdminNetworkPolicy.policy.networking.k8s.io/default",
        ),
        (
            of_cluster(CLUSTER, "ClusterNetworkPolicy", "monitoring", &cluster)?,
            "ClusterNetworkPolicy.policy.networking.k8s.io/monitoring",
        ),
        (
            of_shop("StagedNetworkPolicy", &leaves)?,
            "StagedNetworkPolicy.projectcalico.org/shop-web/leaves",
        ),
        (
            of_shop("StagedKubernetesNetworkPolicy", &kubernetes)?,
            "StagedKubernetesNetworkPolicy.projectcalico.org/shop-web/leaves",
        ),
        (
            of_cluster(CALICO, "StagedGlobalNetworkPolicy", "leaves", &global)?,
            "StagedGlobalNetworkPolicy.projectcalico.org/leaves",
        ),
    ])
}

/// It is found, in so many words, opens nothing, and is forgotten when it is gone.
async fn is_found(governed: &Governed, written: &DynamicObject, told: &str) -> Result<()> {
    let types = written.types.clone().context("it has no kind")?;
    let namespace = written.metadata.namespace.as_deref();
    let api = api(
        governed.client(),
        &types.api_version,
        &types.kind,
        namespace,
    );
    api.create(&PostParams::default(), written).await?;
    let status = when(governed, "it to be found", |status| {
        is(status, "True", "KeptClosed") && !status.findings.is_empty()
    })
    .await?;
    let found = status.findings;
    let objects: BTreeSet<_> = found.iter().map(|it| it.object.as_str()).collect();
    ensure!(objects == BTreeSet::from([told]), "{found:?}");
    ensure!(found.iter().all(|it| !it.open), "{found:?}");
    let is_staged = told.starts_with("Staged");
    ensure!(
        found
            .iter()
            .all(|it| it.message.contains("the policy is staged") == is_staged),
        "{found:?}"
    );
    let name = written.metadata.name.as_deref().unwrap_or_default();
    api.delete(name, &DeleteParams::default()).await?;
    when(governed, "it to be forgotten", |status| {
        is(status, "True", "NothingCrosses") && status.findings.is_empty()
    })
    .await?;
    Ok(())
}
