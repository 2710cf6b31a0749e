//! What an application team may try.

use anyhow::{Context, Result, ensure};
use e2e::Calico;
use e2e::data_plane::Verdict::{Allowed, Denied};
use e2e::data_plane::{FelixNode, OUTSIDE};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _, discovery};
use serde_json::{Value, json};

use super::landscape::{Landscape, Wired};
use super::observe::OBSERVED;
use super::residents::before_admission;
use super::table::Sent::{Both, Tcp, Udp};
use super::table::{Row, holds, holds_with_tiers, holds_without_tiers};
use crate::{API, CALICO};

/// What never opens, whatever the team of `free` writes.
const BOUNDARY: [Row; 10] = [
    ("free-web", Both(8080), "outside metadata endpoint", Denied),
    ("outside metadata endpoint", Both(8080), "free-web", Denied),
    ("free-web", Both(8080), "other-web stranger", Denied),
    ("other-web stranger", Both(8080), "free-web", Denied),
    // It bears the label of this landing zone, which does not declare it.
    ("free-web", Both(8080), "false-free", Denied),
    ("false-free", Both(8080), "free-web", Denied),
    ("free-web", Both(8080), "node", Denied),
    ("free-web", Both(53), "stranger/false-dns", Denied),
    ("stranger/false-dns", Both(53), "free-web", Denied),
    ("free-web", Both(53), "outside endpoint node", Denied),
];

/// Creates an object as somebody with all rights: what RBAC allows a team is another matter.
pub async fn create(wired: &Wired, manifest: Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(manifest)?;
    let api = api_of(wired, &object).await?;
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

/// Changes the object of a manifest by a merge patch.
pub async fn amend(wired: &Wired, manifest: Value, patch: Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(manifest)?;
    let api = api_of(wired, &object).await?;
    let patch = Patch::Merge(patch);
    api.patch(&object.name_any(), &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// Applies a manifest as `kubectl apply --server-side` does.
async fn apply(wired: &Wired, manifest: Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(manifest)?;
    let api = api_of(wired, &object).await?;
    let params = PatchParams::apply("team");
    api.patch(&object.name_any(), &params, &Patch::Apply(&object))
        .await?;
    Ok(())
}

/// Deletes the object of a manifest; with a finalizer it stays.
async fn delete(wired: &Wired, manifest: Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(manifest)?;
    let api = api_of(wired, &object).await?;
    api.delete(&object.name_any(), &DeleteParams::default())
        .await?;
    Ok(())
}

async fn api_of(wired: &Wired, object: &DynamicObject) -> Result<Api<DynamicObject>> {
    let types = object.types.as_ref().context("no kind")?;
    let resource = resource(wired, &types.api_version, &types.kind).await?;
    let client = wired.governed.client();
    Ok(match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    })
}

async fn resource(wired: &Wired, api_version: &str, kind: &str) -> Result<ApiResource> {
    let (group, version) = api_version.split_once('/').context("no group")?;
    let kind = GroupVersionKind::gvk(group, version, kind);
    let (resource, _) = discovery::pinned_kind(&wired.governed.client(), &kind).await?;
    Ok(resource)
}

pub async fn is_refused(wired: &Wired, manifest: Value, words: &[&str]) -> Result<()> {
    let answer = create(wired, manifest.clone()).await;
    refused(answer, words).with_context(|| manifest.to_string())
}

/// Whether an answer is a refusal that says all of this.
pub fn refused(answer: Result<()>, words: &[&str]) -> Result<()> {
    let Err(error) = answer else {
        anyhow::bail!("accepted");
    };
    let said = format!("{error:#}");
    for word in words {
        ensure!(said.contains(word), "{word:?} is missing in: {said}");
    }
    Ok(())
}

/// A policy of a team that allows everything.
pub fn allows_everything(namespace: &str, name: &str, spec: Value) -> Value {
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
        ("free-web", Udp(9090), "free-api", Allowed),
        ("free-web", Both(5432), "free-api", Allowed),
        ("free-api", Both(9090), "free-web", Allowed),
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
    // Nor may one be moved there that was written where it belongs.
    let moved = allows_everything("other-web", "moved", json!({"selector": "app == 'nobody'"}));
    create(wired, moved.clone()).await?;
    let answer = amend(wired, moved, json!({"spec": {"order": 5}})).await;
    refused(answer, &["landing zone other", "100 or more"])?;
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
    // They lie in namespace `early`, which nobody governs yet.
    let early = allows_everything("early", "early", json!({"order": 5}));
    create(wired, early.clone()).await?;
    let mut leaving = allows_everything("early", "leaving", json!({"order": 6}));
    leaving["apiVersion"] = json!("crd.projectcalico.org/v1");
    leaving["metadata"]["name"] = json!("default.leaving");
    leaving["metadata"]["finalizers"] = json!(["example.com/backup"]);
    create(wired, leaving.clone()).await?;
    let spec = json!({
        "applicationCode": "early", "adoptionPolicy": "Always",
        "namespaces": [{"name": "early", "zone": "web"}],
    });
    wired.governed.converge("early", spec).await?;
    let open = [
        ("stranger outside", Both(8080), "early", Allowed),
        ("early", Both(8080), "stranger outside", Allowed),
    ];
    holds_without_tiers(wired, &open).await?;
    let closed = [
        ("stranger outside", Both(8080), "early", Denied),
        ("early", Both(8080), "stranger outside", Denied),
    ];
    // Their tier is asked before the team's, whatever the order.
    holds_with_tiers(wired, &closed).await?;
    delete(wired, early).await?;
    delete(wired, leaving.clone()).await?;
    // One is kept by its finalizer, which may go. Until then it is in force, and may not be put elsewhere.
    holds_without_tiers(wired, &open).await?;
    let earlier = amend(wired, leaving.clone(), json!({"spec": {"order": 1}})).await;
    refused(earlier, &["spec.order is 1", "100 or more"])?;
    amend(wired, leaving, json!({"metadata": {"finalizers": null}})).await?;
    holds(wired, &closed).await
}

/// Policies of the whole cluster are the platform's own: no team may write one, and one of an order before the
/// boundary decides before it, about whatever it selects. The operator tells whom it concerns.
pub async fn a_policy_of_the_cluster_decides_by_its_order(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let _turn = OBSERVED.write().await;
    let global = |name: &str, order: Value| {
        let mut policy = allows_everything("exposed-web", name, json!({"order": order}));
        policy["kind"] = json!("GlobalNetworkPolicy");
        policy["metadata"] = json!({"name": named(name)});
        policy["spec"]["namespaceSelector"] = json!("projectcalico.org/name == 'exposed-web'");
        policy
    };
    let team = wired
        .governed
        .cluster
        .client_as_user("somebody", &["exposed-editors"]);
    let team = team.await?;
    // In its own namespace it writes what it likes.
    let own = allows_everything("exposed-web", "own", json!({"order": 100}));
    let own: DynamicObject = serde_json::from_value(own)?;
    let theirs = resource(wired, API, "NetworkPolicy").await?;
    Api::<DynamicObject>::namespaced_with(team.clone(), "exposed-web", &theirs)
        .create(&PostParams::default(), &own)
        .await?;
    for order in [json!(-5), json!(0), json!(1000), Value::Null] {
        let policy: DynamicObject = serde_json::from_value(global("theirs", order))?;
        let resource = resource(wired, API, "GlobalNetworkPolicy").await?;
        let policies = Api::<DynamicObject>::all_with(team.clone(), &resource);
        let answer = policies.create(&PostParams::default(), &policy).await;
        refused(answer.map(drop).map_err(Into::into), &["forbidden"])?;
    }

    let others = "outside endpoint stranger";
    let rows = |verdict| {
        [
            (others, Both(8080), "exposed-web", verdict),
            ("exposed-web", Both(8080), others, verdict),
            // Behind a boundary of its own.
            ("exposed-web", Both(8080), "other-web", Denied),
            ("other-web", Both(8080), "exposed-web", Denied),
        ]
    };
    holds(wired, &rows(Denied)).await?;
    // After the boundary it opens nothing beyond it.
    let after = global("after", json!(100));
    create(wired, after.clone()).await?;
    let closes = json!([{"action": "Deny", "protocol": "TCP", "destination": {"ports": [5432]}}]);
    let mut witness = global("witness", json!(100));
    witness["spec"]["namespaceSelector"] = json!("projectcalico.org/name == 'stranger'");
    witness["spec"]["selector"] = json!("app == 'listener'");
    witness["spec"]["types"] = json!(["Ingress"]);
    witness["spec"]["egress"] = Value::Null;
    witness["spec"]["ingress"] = json!([closes[0], {"action": "Allow"}]);
    create(wired, witness.clone()).await?;
    holds(
        wired,
        &[("stranger", Tcp(5432), "stranger/listener", Denied)],
    )
    .await?;
    holds(wired, &rows(Denied)).await?;
    wired
        .governed
        .condition("exposed", "BoundaryHeld", "True", "KeptClosed")
        .await?;
    delete(wired, witness).await?;
    delete(wired, after).await?;
    for order in [json!(-5), json!(0)] {
        let before = global("before", order);
        create(wired, before.clone()).await?;
        holds_without_tiers(wired, &rows(Allowed)).await?;
        // With tiers the platform's is asked first.
        holds_with_tiers(wired, &rows(Denied)).await?;
        // The evaluator says the same.
        let told = wired
            .governed
            .condition("exposed", "BoundaryHeld", "False", "BoundaryOpen");
        let status = told.await?.status.context("no status")?;
        ensure!(
            status
                .findings
                .iter()
                .any(|it| it.open && it.object.contains("before")),
            "{:?}",
            status.findings
        );
        delete(wired, before).await?;
        holds(wired, &rows(Denied)).await?;
        wired
            .governed
            .condition("exposed", "BoundaryHeld", "True", "KeptClosed")
            .await?;
    }
    Ok(())
}

/// What is on the network of its node no policy sees; so admission refuses it where a landing zone says nothing else,
/// and at both levels of Pod Security that are no exception.
pub async fn no_pod_of_a_landing_zone_is_on_its_node_s_network(
    landscape: &Landscape,
) -> Result<()> {
    let wired = landscape.wired()?;
    let spec = json!({
        "applicationCode": "hosted", "namespaces": [
            {"name": "hosted-usual", "zone": "web"},
            {"name": "hosted-restricted", "zone": "api", "podSecurity": "restricted"},
            {"name": "hosted-baseline", "zone": "data", "podSecurity": "baseline"},
        ],
    });
    wired.governed.converge("hosted", spec).await?;
    for namespace in ["hosted-usual", "hosted-restricted", "hosted-baseline"] {
        let pods: Api<Pod> = Api::namespaced(wired.governed.client(), namespace);
        let pod = |host_network: bool| {
            let mut pod = FelixNode::pod("asks", &[]);
            pod["spec"]["hostNetwork"] = json!(host_network);
            serde_json::from_value::<Pod>(pod)
        };
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let answer = pods.create(&params, &pod(true)?).await;
        let words = ["violates PodSecurity", "host namespaces (hostNetwork=true)"];
        refused(answer.map(drop).map_err(Into::into), &words).context(namespace)?;
        pods.create(&params, &pod(false)?)
            .await
            .context(namespace)?;
    }
    Ok(())
}

/// Calico puts a policy without order behind all others, so behind our last deny. At the other end a
/// policy of the team opens what flows do not, so that one direction alone decides.
pub async fn a_policy_without_order_comes_after_the_last_deny(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let flow = [
        ("layered-one", Both(5432), "layered-two", Allowed),
        ("layered-one", Both(8080), "layered-two", Denied),
        ("layered-two", Both(8080), "layered-one", Denied),
    ];
    holds(wired, &flow).await?;
    create(wired, allows_everything("layered-one", "late", json!({}))).await?;
    // The last one is in force, so the first is.
    let denies = json!({"action": "Deny", "protocol": "TCP", "destination": {"ports": [5432]}});
    let early = json!({"order": 100, "ingress": [denies, {"action": "Allow"}]});
    create(wired, allows_everything("layered-two", "early", early)).await?;
    let closed = [
        ("layered-one", Tcp(5432), "layered-two", Denied),
        ("layered-one", Udp(5432), "layered-two", Allowed),
        ("layered-one", Both(8080), "layered-two", Denied),
        ("layered-two", Both(8080), "layered-one", Denied),
    ];
    holds_without_tiers(wired, &closed).await?;
    // With tiers the team's policies come before the flows, and decide what is inside.
    let by_the_team = [
        ("layered-one", Tcp(5432), "layered-two", Denied),
        ("layered-one", Udp(5432), "layered-two", Allowed),
        ("layered-one", Both(8080), "layered-two", Allowed),
        ("layered-two", Both(8080), "layered-one", Allowed),
    ];
    holds_with_tiers(wired, &by_the_team).await
}

pub fn network_set(namespace: Option<&str>, name: &str, labels: &Value, nets: &[String]) -> Value {
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
    let proper = network_set(Some("stranger"), "proper", &json!({}), &outside);
    create(wired, proper.clone()).await?;
    // Without its last label it is as without labels.
    for labels in [json!({"kind": "partner"}), json!({})] {
        let set = network_set(Some("stranger"), "relabelled", &labels, &outside);
        apply(wired, set).await?;
    }
    let forged = [
        "pcns.landingzones.dev/landing-zone",
        "pcsa.name",
        "projectcalico.org/orchestrator",
    ];
    for label in forged {
        let patch = json!({"metadata": {"labels": {label: "free"}}});
        let answer = amend(wired, proper.clone(), patch).await;
        refused(answer, &["begins with", "use keys of your own"])?;
        for namespace in [Some("stranger"), None] {
            let set = network_set(namespace, "forged", &json!({label: "free"}), &outside);
            is_refused(wired, set, &["begins with", "use keys of your own"]).await?;
        }
        let hidden = json!({"labels": {label: "free"}}).to_string();
        // Through Calico's API server nobody writes that annotation but itself.
        let spelled = [
            hidden.clone(),
            hidden.replacen("{\"p", "{\"\\u0070", 1),
            hidden.replace('/', "\\/"),
        ];
        for text in spelled {
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

/// Sets that no rule on admission ever saw: the namespace that they lie in was adopted later, or they
/// lie in none.
pub async fn network_sets_from_before_take_nobody_in(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let spec = json!({
        "applicationCode": "inherited", "adoptionPolicy": "Always",
        "namespaces": [{"name": "inherited", "zone": "web"}],
    });
    wired.governed.converge("inherited", spec).await?;
    let all = allows_everything("inherited", "all", json!({"order": 100}));
    create(wired, all).await?;
    // To Calico they are part of the landing zone: a rule of somebody's that names its members means
    // them.
    let members = |set: &str, port: u16| {
        json!({
            "action": "Allow", "protocol": "TCP", "destination": {"ports": [port]},
            "source": {
                "selector": format!("set == '{set}'"),
                "namespaceSelector": "landingzones.dev/landing-zone == 'inherited'",
            },
        })
    };
    let witness = json!({
        "selector": "app == 'witness'", "types": ["Ingress"], "egress": Value::Null,
        "ingress": [members("plain", 8080), members("forged", 9090), members("global", 5432)],
    });
    create(wired, allows_everything("stranger", "witness", witness)).await?;
    let rows = [
        ("outside", Tcp(8080), "stranger/witness", Allowed),
        ("outside", Tcp(9090), "stranger/witness", Allowed),
        ("outside", Tcp(5432), "stranger/witness", Allowed),
        ("outside", Tcp(53), "stranger/witness", Denied),
        // And to us they are not, whatever the team allows. In the pods' own range, that holds for
        // plain ones.
        ("outside endpoint", Both(8080), "inherited", Denied),
        ("inherited", Both(8080), "outside endpoint", Denied),
        ("inherited", Both(53), "outside", Denied),
        ("inherited", Both(8080), "node", Denied),
        ("inherited", Both(8080), "inherited/b", Allowed),
    ];
    holds(wired, &rows).await?;
    // What is being deleted may lose its finalizer, whatever its labels.
    let [_, _, forged, ..] = before_admission();
    delete(wired, forged.clone()).await?;
    let other = json!({"metadata": {"labels": {"pcns.team": "b"}}});
    refused(
        amend(wired, forged.clone(), other).await,
        &["metadata.labels", "pcns."],
    )?;
    amend(wired, forged, json!({"metadata": {"finalizers": null}})).await?;
    let gone = [("outside", Tcp(9090), "stranger/witness", Denied)];
    holds(wired, &gone).await?;
    holds(wired, &[("outside", Both(8080), "inherited", Denied)]).await
}
