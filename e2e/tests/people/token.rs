//! What the operator's own token is good for in other hands: its rights are wide, and rules on admission hold them to what
//! landing zones are made of.

use anyhow::{Context, Result, ensure};
use e2e::governed::CONVERGED;
use e2e::{Governed, eventually};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use landing_zone_operator::api::LandingZone;
use serde_json::{Value, json};

use super::Fixture;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Whoever holds the token; all that he asks for is a dry run, so that nothing is lost where nothing stops him.
struct Thief(Client);

impl Thief {
    async fn of(governed: &Governed) -> Result<Self> {
        let access = governed
            .cluster
            .kubeconfig_for_service_account("landing-zone-system", "landing-zone-operator");
        Ok(Self(access.await?.client().await?))
    }

    async fn creates<K>(&self, api: Api<K>, object: Value) -> Result<String>
    where
        K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
    {
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let object = serde_json::from_value(object).context("the object of the test is wrong")?;
        refusal(api.create(&params, &object).await)
    }

    async fn binds(&self, namespace: &str, name: &str, role: &str) -> Result<String> {
        let bindings = Api::<RoleBinding>::namespaced(self.0.clone(), namespace);
        self.creates(bindings, binding(name, role)).await
    }

    async fn binds_everywhere(&self, name: &str, role: &str) -> Result<String> {
        let bindings = Api::<ClusterRoleBinding>::all(self.0.clone());
        self.creates(bindings, binding(name, role)).await
    }

    async fn patches<K>(&self, name: &str, patch: Value) -> Result<String>
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let params = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        let api = Api::<K>::all(self.0.clone());
        refusal(api.patch(name, &params, &Patch::Merge(patch)).await)
    }

    async fn deletes<K>(&self, api: Api<K>, name: &str) -> Result<String>
    where
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let params = DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        };
        refusal(api.delete(name, &params).await)
    }

    fn within<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.0.clone(), namespace)
    }
}

/// What the API server says against a request; empty where it says nothing.
fn refusal<T>(answer: kube::Result<T>) -> Result<String> {
    match answer {
        Ok(_) => Ok(String::new()),
        Err(kube::Error::Api(status)) => Ok(status.message.clone()),
        Err(error) => Err(error.into()),
    }
}

fn binding(name: &str, role: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": "User", "name": "eve"}],
    })
}

fn role(name: &str, group: &str, resource: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "rules": [{"apiGroups": [group], "resources": [resource], "resourceNames": ["kept"], "verbs": ["get"]}],
    })
}

#[expect(
    clippy::too_many_lines,
    reason = "a table of what somebody may try, with a line for each"
)]
pub async fn the_operator_s_token_hands_out_nothing_else(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let spec = json!({
        "applicationCode": "kept", "namespaces": [{"name": "kept-web", "zone": "frontend"}],
        "access": [{"kind": "Group", "name": "kept-editors", "role": "edit"}],
    });
    governed.converge("kept", spec).await?;
    let thief = Thief::of(governed).await?;
    let roles = Api::<ClusterRole>::all(thief.0.clone());
    let label = json!({"metadata": {"labels": {"landingzones.dev/landing-zone": "kept"}}});
    let access = json!({"spec": {"access": [{"kind": "User", "name": "eve", "role": "admin"}]}});
    let weaker =
        json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    let aggregated =
        json!({"metadata": {"labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}});

    eventually(CONVERGED, "what the token is good for", async || {
        let elsewhere = "knows of no landing zone";
        let own = "named landing-zone-<landing zone>-reader only";
        for (what, said, words) in [
            (
                "view in default",
                thief.binds("default", "landing-zone-view", "view").await?,
                elsewhere,
            ),
            (
                "admin in kube-system",
                thief
                    .binds("kube-system", "landing-zone-admin", "admin")
                    .await?,
                elsewhere,
            ),
            (
                "a name of his own",
                thief.binds("kept-web", "eve", "view").await?,
                "named landing-zone-<role>",
            ),
            (
                "a role that is not handed out",
                thief
                    .binds(
                        "kept-web",
                        "landing-zone-landing-zone-kept-reader",
                        "landing-zone-kept-reader",
                    )
                    .await?,
                "(view, edit, admin)",
            ),
            (
                "admin everywhere",
                thief.binds_everywhere("eve", "admin").await?,
                own,
            ),
            (
                "view everywhere under a reader's name",
                thief
                    .binds_everywhere("landing-zone-kept-reader", "view")
                    .await?,
                "role of the binding's own name",
            ),
            (
                "a role with other rights that he has",
                thief
                    .creates(
                        roles.clone(),
                        role("landing-zone-eve-reader", "", "namespaces"),
                    )
                    .await?,
                "read one landing zone, and nothing else",
            ),
            (
                "a role with another name",
                thief
                    .creates(
                        roles.clone(),
                        role("eve", "landingzones.dev", "landingzones"),
                    )
                    .await?,
                own,
            ),
            (
                "a role that goes into others",
                thief
                    .patches::<ClusterRole>("landing-zone-kept-reader", aggregated.clone())
                    .await?,
                "nothing else",
            ),
            (
                "somebody else's role",
                thief
                    .patches::<ClusterRole>("landing-zone-operator", json!({"rules": []}))
                    .await?,
                own,
            ),
            (
                "an administrator's role",
                thief.deletes(roles.clone(), "cluster-admin").await?,
                own,
            ),
            (
                "the operator's own binding",
                thief
                    .deletes(
                        thief.within::<RoleBinding>("landing-zone-system"),
                        "landing-zone-operator-lease",
                    )
                    .await?,
                elsewhere,
            ),
            (
                "kube-system in a landing zone",
                thief
                    .patches::<Namespace>("kube-system", label.clone())
                    .await?,
                "leaves it alone",
            ),
            (
                "default in a landing zone",
                thief.patches::<Namespace>("default", label.clone()).await?,
                "leaves it alone",
            ),
            (
                "its own namespace",
                thief
                    .patches::<Namespace>("landing-zone-system", weaker.clone())
                    .await?,
                "leaves it alone",
            ),
            (
                "a declaration",
                thief.patches::<LandingZone>("kept", access.clone()).await?,
                "changes no declaration",
            ),
        ] {
            ensure!(
                said.contains(words),
                "{what}: {said:?} instead of {words:?}"
            );
        }
        Ok(Some(()))
    })
    .await?;

    // And what landing zones are made of it still writes.
    for (what, said) in [
        (
            "a binding",
            thief.binds("kept-web", "landing-zone-view", "view").await?,
        ),
        (
            "a reader",
            thief
                .creates(
                    roles.clone(),
                    role(
                        "landing-zone-more-reader",
                        "landingzones.dev",
                        "landingzones",
                    ),
                )
                .await?,
        ),
        (
            "a binding that went",
            thief
                .deletes(thief.within::<RoleBinding>("kept-web"), "landing-zone-edit")
                .await?,
        ),
        (
            "a finalizer",
            thief
                .patches::<LandingZone>(
                    "kept",
                    json!({"metadata": {"finalizers": ["landingzones.dev/cleanup"]}}),
                )
                .await?,
        ),
    ] {
        ensure!(said.is_empty(), "{what}: {said}");
    }
    Ok(())
}

/// A namespace of another application can be declared, not taken: the operator's own label goes with nothing else.
pub async fn the_operator_s_token_writes_no_other_namespace(fixture: &Fixture) -> Result<()> {
    let client = fixture.0.client();
    let namespaces: Api<Namespace> = Api::all(client);
    let other = serde_json::from_value(json!({"metadata": {"name": "of-others"}}))?;
    namespaces.create(&PostParams::default(), &other).await?;
    let thief = Thief::of(&fixture.0).await?;
    let weaker =
        json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    eventually(
        CONVERGED,
        "the namespace of others to be left alone",
        async || {
            let said = thief
                .patches::<Namespace>("of-others", weaker.clone())
                .await?;
            ensure!(said.contains("of-others belongs to none"), "{said:?}");
            Ok(Some(()))
        },
    )
    .await
}
