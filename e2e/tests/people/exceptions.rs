//! What Kubernetes before 1.36 takes in its own policies, and Calico's Felix does not live through.

use anyhow::{Result, bail, ensure};
use e2e::governed::CONVERGED;
use e2e::{ClusterOptions, LocalCluster, eventually, install, workspace};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use super::Fixture;

/// Felix reads the first as 0.0.0.0/0. In a cluster of its own: which forms an API server takes is said at its start.
pub async fn an_older_api_server_takes_no_exception_of_everything(_: &Fixture) -> Result<()> {
    let options = ClusterOptions {
        apiserver_arguments: vec!["--feature-gates=StrictIPCIDRValidation=false".to_owned()],
        ..ClusterOptions::default()
    };
    let cluster = LocalCluster::start(options).await?;
    let policies: Api<NetworkPolicy> = Api::default_namespaced(cluster.client());
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let tried = async |range: &str| {
        let peer = json!({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", range]}});
        let policy = json!({
            "metadata": {"name": "a"},
            "spec": {"podSelector": {}, "ingress": [{}, {"from": [{"podSelector": {}}, peer]}]},
        });
        policies
            .create(&dry_run, &serde_json::from_value(policy)?)
            .await
            .map_err(anyhow::Error::from)
    };
    let mapped = "::ffff:0.0.0.0/96";
    // It does take it.
    tried(mapped).await?;
    let rules = workspace::root().join("config/admission/fatal-rules.yaml");
    install::apply_manifests(&cluster.client(), &rules).await?;
    let refusal = eventually(
        CONVERGED,
        "the rule to be in force",
        async || match tried(mapped).await {
            Ok(_) => bail!("it was accepted"),
            Err(refusal) => Ok(Some(refusal.to_string())),
        },
    )
    .await?;
    for word in [
        "spec.ingress[1].from[1].ipBlock.except",
        mapped,
        "leave the peer out",
    ] {
        ensure!(refusal.contains(word), "{word:?} is missing in: {refusal}");
    }
    tried("192.0.2.0/24").await?;
    cluster.stop().await
}
