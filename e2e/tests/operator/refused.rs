//! Policies that the API server does not take: nothing goes on as if they were there.

use anyhow::{Context, Result, ensure};
use e2e::governed::{CONVERGED, condition};
use e2e::install::{apply_objects, parse_manifests};
use e2e::shop::{FLAVOUR, Shop};
use e2e::{Governed, eventually};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use landing_zone_operator::controller::Kind;
use serde_json::{Value, json};

use super::Fixture;

/// What the refusal says.
const WORDS: &str = "not today";

/// An admission policy of somebody's that lets nobody create, or delete, the global policies whose names begin so.
struct Refusal<'a> {
    governed: &'a Governed,
    start: String,
}

impl<'a> Refusal<'a> {
    /// Returns once it is in force. `start` names it, too.
    async fn of(governed: &'a Governed, start: &str) -> Result<Self> {
        Self::of_either(governed, start, "CREATE").await
    }

    /// The same for deletions; there has to be a policy of that name.
    async fn of_deletion(governed: &'a Governed, name: &str) -> Result<Self> {
        Self::of_either(governed, name, "DELETE").await
    }

    async fn of_either(governed: &'a Governed, start: &str, operation: &str) -> Result<Self> {
        let creates = operation == "CREATE";
        let named = if creates { "object" } else { "oldObject" };
        let manifests = format!(
            "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {start}}}
spec:
  matchConstraints:
    resourceRules:
    - apiGroups: [crd.projectcalico.org]
      apiVersions: [v1]
      operations: [{operation}]
      resources: [globalnetworkpolicies]
  validations:
  - expression: {named}.metadata.name.startsWith('{start}') == false
    message: {WORDS}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {start}}}
spec: {{policyName: {start}, validationActions: [Deny]}}
"
        );
        apply_objects(&governed.client(), parse_manifests(&manifests)?).await?;
        let resource = Kind::GlobalNetworkPolicy.api_resource(FLAVOUR);
        let resource = resource.context("no such kind")?;
        let policies = Api::<DynamicObject>::all_with(governed.client(), &resource);
        let tried = DynamicObject::new(&format!("{start}-tried"), &resource);
        let create = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let delete = DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        };
        eventually(CONVERGED, "a refusal to be in force", async || {
            let answer = if creates {
                policies.create(&create, &tried).await.map(drop)
            } else {
                policies.delete(start, &delete).await.map(drop)
            };
            let refused = answer.is_err_and(|error| error.to_string().contains(WORDS));
            Ok(refused.then_some(()))
        })
        .await?;
        let start = start.to_owned();
        Ok(Self { governed, start })
    }

    /// The landing zone says that this stands in its way.
    async fn is_told_by(&self, shop: &Shop<'_>) -> Result<()> {
        let told = shop.when("to tell what was refused", |status| {
            condition(status, "Ready")
                .is_some_and(|(state, _, message)| state == "False" && message.contains(WORDS))
        });
        told.await.map(drop)
    }

    async fn ends(self) -> Result<()> {
        let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(self.governed.client());
        let deleted = bindings.delete(&self.start, &DeleteParams::default()).await;
        deleted.map(drop).context("failed to end a refusal")
    }
}

/// Without all of its policies it would be open.
pub async fn a_namespace_is_not_made_before_its_policies(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let refusal = Refusal::of(governed, "default.landing-zone-unprotected-deny").await?;
    let shop = Shop::declare(governed, "unprotected", json!({})).await?;
    refusal.is_told_by(&shop).await?;
    ensure!(shop.policy("boundary").look().await?.is_some());
    for part in ["web", "data"] {
        let namespace = shop.namespace(part).look().await?;
        ensure!(namespace.is_none(), "{namespace:?}");
    }
    refusal.ends().await?;
    governed.ready("unprotected").await.map(drop)
}

/// Without both, what passes inside would be denied.
pub async fn an_old_policy_stays_until_the_new_ones_are_there(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let free = json!({"network": Value::Null});
    let shop = Shop::open_with(governed, "gradual", free).await?;
    let inside = shop.policy("inside");
    let refusal = Refusal::of(governed, "default.landing-zone-gradual-data-flows").await?;
    let flow = json!({"name": "one", "from": {"zone": "web"}, "to": {"zone": "data"}});
    shop.edit(json!({"network": {"flows": [flow]}})).await?;
    refusal.is_told_by(&shop).await?;
    ensure!(shop.policy("web-flows").look().await?.is_some());
    ensure!(inside.look().await?.is_some(), "it went before the new one");
    refusal.ends().await?;
    governed.ready("gradual").await?;
    inside.vanishes().await
}

/// On the way to stage Observe, what is declared would be denied meanwhile.
pub async fn what_allows_stays_until_what_denies_is_gone(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let shop = Shop::open(governed, "retreating").await?;
    let allowing = [shop.policy("dns"), shop.policy("data-flows")];
    let denying = ["boundary", "deny"].map(|purpose| shop.policy(purpose));
    let name = "default.landing-zone-retreating-deny";
    let refusal = Refusal::of_deletion(governed, name).await?;
    shop.edit(json!({"stage": "Observe"})).await?;
    refusal.is_told_by(&shop).await?;
    let [boundary, deny] = &denying;
    boundary.vanishes().await?;
    ensure!(deny.look().await?.is_some());
    for policy in &allowing {
        let found = policy.look().await?;
        ensure!(found.is_some(), "{} went before {name}", policy.key());
    }
    refusal.ends().await?;
    for policy in allowing.iter().chain([deny]) {
        policy.vanishes().await?;
    }
    governed.ready("retreating").await.map(drop)
}
