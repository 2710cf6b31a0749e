//! What an application team may try.

use anyhow::{Context, Result, ensure};
use e2e::Calico;
use e2e::data_plane::OUTSIDE;
use e2e::data_plane::Verdict::{Allowed, Denied};
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, discovery};
use serde_json::{Value, json};

use super::landscape::{Landscape, Wired};
use super::table::Sent::{Both, Tcp};
use super::table::{Row, holds};
use crate::{API, CALICO};

/// What never opens, whatever the team of `free` writes.
const BOUNDARY: [Row; 8] = [
    ("free-web", Both(8080), "outside", Denied),
    ("outside", Both(8080), "free-web", Denied),
    ("free-web", Both(8080), "other-web", Denied),
    ("other-web", Both(8080), "free-web", Denied),
    ("stranger", Both(8080), "free-web", Denied),
    ("free-web", Both(8080), "stranger", Denied),
    ("free-web", Both(8080), "node", Denied),
    ("free-web", Both(53), "stranger/false-dns", Denied),
];

/// Creates an object as somebody with all rights: what RBAC allows a team is another matter.
async fn create(wired: &Wired, manifest: Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(manifest)?;
    let types = object.types.as_ref().context("no kind")?;
    let resource = resource(wired, &types.api_version, &types.kind).await?;
    let client = wired.governed.client();
    let api = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

async fn resource(wired: &Wired, api_version: &str, kind: &str) -> Result<ApiResource> {
    let (group, version) = api_version.split_once('/').context("no group")?;
    let kind = GroupVersionKind::gvk(group, version, kind);
    let (resource, _) = discovery::pinned_kind(&wired.governed.client(), &kind).await?;
    Ok(resource)
}

async fn is_refused(wired: &Wired, manifest: Value, words: &[&str]) -> Result<()> {
    let Err(error) = create(wired, manifest.clone()).await else {
        anyhow::bail!("accepted: {manifest}");
    };
    let said = format!("{error:#}");
    for word in words {
        ensure!(said.contains(word), "{word:?} is missing in: {said}");
    }
    Ok(())
}

/// A policy of a team that allows everything.
fn allows_everything(namespace: &str, name: &str, spec: Value) -> Value {
    let mut everything = json!({
        "selector": "all()", "types": ["Ingress", "Egress"],
        "ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}],
    });
    if let (Some(all), Value::Object(more)) = (everything.as_object_mut(), spec) {
        all.extend(more);
    }
    json!({
        "apiVersion": API, "kind": "NetworkPolicy",
        "metadata": {"name": named(name), "namespace": namespace},
        "spec": everything,
    })
}

/// What a policy is called: the storage wants its tier before its name.
fn named(policy: &str) -> String {
    match CALICO {
        Calico::Storage => format!("default.{policy}"),
        _ => policy.to_owned(),
    }
}

pub async fn no_policy_of_a_team_opens_the_boundary(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let kubernetes = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "all", "namespace": "free-web"},
        "spec": {
            "podSelector": {}, "policyTypes": ["Ingress", "Egress"],
            "ingress": [{}], "egress": [{}],
        },
    });
    create(wired, kubernetes).await?;
    for (name, spec) in [
        ("no-order", json!({})),
        ("first", json!({"order": 100})),
        ("usual", json!({"order": 1000})),
        (
            "passes",
            json!({"order": 101, "ingress": [{"action": "Pass"}], "egress": [{"action": "Pass"}]}),
        ),
        ("no-types", json!({"order": 102, "types": Value::Null})),
    ] {
        create(wired, allows_everything("free-web", name, spec)).await?;
    }
    // That they are in force shows inside, where they are free to decide.
    let denies = json!({
        "order": 100, "selector": "all()", "ingress": [{
            "action": "Deny", "protocol": "TCP", "destination": {"ports": [9090]},
        }, {"action": "Allow"}],
    });
    create(wired, allows_everything("free-api", "closes", denies)).await?;
    let inside = [
        ("free-web", Tcp(9090), "free-api", Denied),
        ("free-web", Both(5432), "free-api", Allowed),
    ];
    holds(wired, &inside).await?;
    holds(wired, &BOUNDARY).await
}

pub async fn a_policy_before_the_boundary_is_refused(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    for order in [json!(99), json!(99.9), json!(30), json!(0), json!(-5)] {
        is_refused(
            wired,
            allows_everything("free-web", "early", json!({"order": order})),
            &["landing zone free", &order.to_string(), "100 or more"],
        )
        .await?;
    }
    // Calico's API server takes no such name in the first place.
    let mut elsewhere = allows_everything("free-web", "early", json!({}));
    elsewhere["metadata"]["name"] = json!("landing-zone-platform.early");
    let words: &[&str] = match CALICO {
        Calico::Storage => &["another tier than default", "landing zone free"],
        _ => &["early"],
    };
    is_refused(wired, elsewhere, words).await?;
    // Nobody else is told how to order policies.
    create(
        wired,
        allows_everything(
            "stranger",
            "early",
            json!({"order": 5, "selector": "app == 'nobody'"}),
        ),
    )
    .await
}

/// Why that is refused: one that was there before its namespace became a landing zone's.
pub async fn a_policy_before_the_boundary_would_open_it(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    // It lies in namespace `early`, which nobody governs yet.
    create(
        wired,
        allows_everything("early", "early", json!({"order": 5})),
    )
    .await?;
    let spec = json!({
        "applicationCode": "early", "adoptionPolicy": "Always",
        "namespaces": [{"name": "early", "zone": "web"}],
    });
    wired.governed.converge("early", spec).await?;
    let open = [
        ("stranger", Both(8080), "early", Allowed),
        ("early", Both(8080), "outside", Allowed),
    ];
    holds(wired, &open).await?;
    let policies = Api::<DynamicObject>::namespaced_with(
        wired.governed.client(),
        "early",
        &resource(wired, API, "NetworkPolicy").await?,
    );
    policies
        .delete(&named("early"), &DeleteParams::default())
        .await?;
    let closed = [
        ("stranger", Both(8080), "early", Denied),
        ("early", Both(8080), "outside", Denied),
    ];
    holds(wired, &closed).await
}

fn network_set(namespace: Option<&str>, name: &str, labels: &Value, nets: &[String]) -> Value {
    let kind = if namespace.is_some() {
        "NetworkSet"
    } else {
        "GlobalNetworkSet"
    };
    json!({
        "apiVersion": API, "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"nets": nets},
    })
}

pub async fn network_sets_take_nobody_in_and_cut_nobody_off(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let outside = ["203.0.113.10/32".to_owned()];
    let in_a_landing_zone = network_set(Some("free-web"), "mine", &json!({}), &outside);
    is_refused(
        wired,
        in_a_landing_zone,
        &["landing zone free", "ask the platform team"],
    )
    .await?;
    let forged = [
        "pcns.landingzones.dev/landing-zone",
        "pcsa.name",
        "projectcalico.org/orchestrator",
    ];
    for label in forged {
        for namespace in [Some("stranger"), None] {
            let set = network_set(namespace, "forged", &json!({label: "free"}), &outside);
            is_refused(wired, set, &["begins with", "use keys of your own"]).await?;
        }
        let hidden = json!({"labels": {label: "free"}}).to_string();
        // Through Calico's API server nobody writes that annotation but itself.
        for text in [hidden.clone(), hidden.replacen("{\"p", "{\"\\u0070", 1)] {
            let mut set = network_set(None, "hidden", &json!({}), &outside);
            set["metadata"]["annotations"] = json!({"projectcalico.org/metadata": text});
            set["apiVersion"] = json!("crd.projectcalico.org/v1");
            is_refused(wired, set, &["annotation", "use keys of your own"]).await?;
        }
    }
    // What may be written changes nothing here: neither outside addresses nor those of pods.
    let addresses = [wired.address("free-api")?, OUTSIDE].map(|address| format!("{address}/32"));
    for namespace in [Some("stranger"), None] {
        let labels = json!({"landingzones.dev/landing-zone": "free", "k8s-app": "kube-dns"});
        create(wired, network_set(namespace, "plain", &labels, &addresses)).await?;
    }
    // That they are in force shows where somebody refers to them.
    let refers = |port: u16, of: &str, whose: Value| {
        json!({
            "action": "Allow", "protocol": "TCP", "destination": {"ports": [port]},
            "source": {"selector": of, "namespaceSelector": whose},
        })
    };
    let selects_them = "landingzones.dev/landing-zone == 'free' && k8s-app == 'kube-dns'";
    let control = json!({
        "selector": "app == 'control'", "types": ["Ingress"], "egress": Value::Null,
        "ingress": [
            refers(8080, selects_them, Value::Null),
            refers(9090, selects_them, json!("global()")),
        ],
    });
    create(wired, allows_everything("stranger", "control", control)).await?;
    let in_force = [
        ("outside", Tcp(8080), "stranger/control", Allowed),
        ("outside", Tcp(9090), "stranger/control", Allowed),
        ("outside", Tcp(5432), "stranger/control", Denied),
    ];
    holds(wired, &in_force).await?;
    holds(wired, &BOUNDARY).await?;
    holds(wired, &[("free-web", Both(5432), "free-api", Allowed)]).await
}
