//! Moments in which something is changing: what passes meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::data_plane::Verdict::{Allowed, Denied};
use e2e::data_plane::{Call, Calls, End, Protocol};
use e2e::governed::CONVERGED;
use e2e::shop::Object;
use e2e::{eventually, holds_for};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use landing_zone_operator::api::names::OWNER;
use landing_zone_operator::controller::{Kind, ObjectKey};
use serde_json::{Value, json};

use super::landscape::{Landscape, Wired};
use super::observe::OBSERVED;
use super::table::Sent::Both;
use super::table::{holds, holds_without_tiers};

/// How long it is watched that nothing leaks, beyond what is waited for.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// How long calls are made before something begins.
const BEFORE: Duration = Duration::from_millis(500);
/// Policies are in force within about a second after they are written; a busy machine takes longer.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// Calls of both protocols, from and to.
fn both_ways<'a>(own: End<'a>, others: &[End<'a>]) -> Vec<Call<'a>> {
    let pairs = others.iter().flat_map(|&it| [(own, it), (it, own)]);
    pairs
        .flat_map(|(from, to)| Protocol::ALL.map(|protocol| (from, protocol, to.address(), 8080)))
        .collect()
}

/// What each kind of call came to.
pub fn told(kinds: &[Call<'_>], calls: &[Calls]) -> String {
    let name = |end: End<'_>| match end {
        End::Pod(pod) => format!("{}/{}", pod.namespace, pod.name),
        other => other.address().to_string(),
    };
    let lines = kinds.iter().zip(calls);
    let lines = lines.map(|((from, protocol, to, port), calls)| {
        format!("{} → {to} {protocol} {port}: {calls}", name(*from))
    });
    lines.collect::<Vec<_>>().join(", ")
}

/// A pod that starts as soon as its namespace is there is behind the boundary from its first packet on, whichever way
/// it goes.
pub async fn nothing_passes_while_a_landing_zone_is_created(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let (stranger, outside) = (wired.end("stranger")?, wired.end("outside")?);
    for number in 0..5 {
        let name = format!("new-{number}");
        let address = wired.node.free_address()?;
        let created = async {
            let spec = json!({
                "applicationCode": name,
                "namespaces": [{"name": format!("{name}-web"), "zone": "web"}],
            });
            wired.governed.declare(&name, spec).await?;
            let namespaces: Api<Namespace> = Api::all(wired.governed.client());
            let namespace = format!("{name}-web");
            eventually(CONVERGED, "the namespace", async || {
                Ok(namespaces.get_opt(&namespace).await?)
            })
            .await?;
            let pod = wired.node.wire_at(address, &namespace, "a", &[]).await?;
            let kinds = [stranger, outside].map(|to| {
                Protocol::ALL.map(|protocol| (End::Pod(&pod), protocol, to.address(), 8080))
            });
            let ready = async {
                wired.governed.ready(&name).await?;
                tokio::time::sleep(AFTERWARDS).await;
                Ok(())
            };
            let ((), out) = wired.node.meanwhile(kinds.as_flattened(), ready).await?;
            ensure!(
                out.iter().all(Calls::all_denied),
                "{}",
                told(kinds.as_flattened(), &out)
            );
            anyhow::Ok(pod)
        };
        let kinds = [stranger, outside]
            .map(|from| Protocol::ALL.map(|protocol| (from, protocol, address, 8080)));
        let kinds = kinds.as_flattened();
        let (pod, calls) = Box::pin(wired.node.meanwhile(kinds, created)).await?;
        ensure!(
            calls.iter().all(Calls::all_denied),
            "{}",
            told(kinds, &calls)
        );
        // The pod listens: its kubelet hears it.
        let node = wired.end("node")?;
        let heard = async || {
            for protocol in Protocol::ALL {
                let verdict = wired.node.can(node, End::Pod(&pod), protocol, 8080).await?;
                ensure!(verdict == Allowed, "{protocol} is {verdict}");
            }
            Ok(Some(()))
        };
        eventually(CONVERGED, "the node to reach the pod", heard).await?;
        wired.node.unwire(pod).await?;
    }
    Ok(())
}

/// A namespace that runs already is outside until it is adopted: how long it stays open then. Several are observed
/// for a while first, so that nothing is cut between them.
pub async fn what_leaks_while_a_namespace_is_adopted(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let _turn = OBSERVED.read().await;
    let (stranger, outside) = (wired.end("stranger")?, wired.end("outside")?);
    for (name, layers) in [("settled", &["web"][..]), ("settlers", &["web", "api"])] {
        let mut pods = Vec::new();
        for layer in layers {
            let namespace = format!("{name}-{layer}");
            let object =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            Object::create(wired.governed.client(), object).await?;
            pods.push(wired.node.wire(&namespace, "a", &[]).await?);
        }
        let first = pods.first().context("no pod")?;
        let kinds = both_ways(End::Pod(first), &[stranger, outside]);
        let open = async || {
            for protocol in Protocol::ALL {
                for (from, to) in [(stranger, End::Pod(first)), (End::Pod(first), outside)] {
                    let verdict = wired.node.can(from, to, protocol, 8080).await?;
                    ensure!(verdict == Allowed, "{protocol} is {verdict}");
                }
            }
            Ok(Some(()))
        };
        eventually(CONVERGED, "the namespace to be open", open).await?;
        let namespaces: Vec<_> = layers
            .iter()
            .map(|layer| json!({"name": format!("{name}-{layer}"), "zone": layer}))
            .collect();
        let spec = json!({
            "applicationCode": name, "adoptionPolicy": "Always", "namespaces": namespaces,
        });
        let adopted = async {
            tokio::time::sleep(BEFORE).await;
            let declared = Instant::now();
            wired.governed.declare(name, spec).await?;
            let labelled = labelled(wired, &format!("{name}-web"), name).await?;
            wired.governed.ready(name).await?;
            let ready = Instant::now();
            tokio::time::sleep(AFTERWARDS).await;
            Ok((declared, labelled, ready))
        };
        let ((declared, labelled, ready), calls) =
            Box::pin(wired.node.meanwhile(&kinds, adopted)).await?;
        let latest = |since: Instant| {
            let all = calls.iter().map(|calls| calls.open_until(since));
            all.max().unwrap_or_default()
        };
        println!(
            "{name} was adopted, {} namespaces at once: the last call was answered {:?} after it was declared, \
             {:?} after its namespace had the label, {:?} after it was ready; {}",
            layers.len(),
            latest(declared),
            latest(labelled),
            latest(ready),
            told(&kinds, &calls)
        );
        for calls in &calls {
            // It was open before, and closes once and for all.
            ensure!(
                calls.answered() > 10 && calls.changed_once(true, false),
                "{calls}"
            );
        }
        ensure!(latest(ready) < CLOSED_WITHIN, "{:?}", latest(ready));
        for pod in pods {
            wired.node.unwire(pod).await?;
        }
    }
    Ok(())
}

/// When a namespace has the label of a landing zone; known to a few milliseconds.
async fn labelled(wired: &Wired, namespace: &str, owner: &str) -> Result<Instant> {
    let namespaces: Api<Namespace> = Api::all(wired.governed.client());
    let looks = async {
        loop {
            let found = namespaces.get_metadata(namespace).await?;
            if found.labels().get(OWNER).is_some_and(|it| it == owner) {
                return Ok(Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(CONVERGED, looks)
        .await
        .with_context(|| format!("{namespace} was not adopted"))?
}

fn policies(wired: &Wired, zone: &str) -> Vec<Object> {
    ["boundary", "deny", "dns", "inside", "services"]
        .into_iter()
        .map(|purpose| {
            let key = ObjectKey {
                kind: Kind::GlobalNetworkPolicy,
                namespace: None,
                name: format!("default.landing-zone-{zone}-{purpose}").into(),
            };
            Object::new(wired.governed.client(), key)
        })
        .collect()
}

/// Deletes policies, and waits until they are back and for a while longer.
async fn deleted_and_back(policies: &[Object]) -> Result<()> {
    let uids = try_join_all(policies.iter().map(Object::uid)).await?;
    try_join_all(policies.iter().map(Object::delete)).await?;
    for (policy, former) in policies.iter().zip(uids) {
        eventually(CONVERGED, "the policy to be put back", async || {
            let uid = policy
                .look()
                .await?
                .map(|found| found["metadata"]["uid"].clone());
            Ok((uid.is_some() && uid != Some(former.clone())).then_some(()))
        })
        .await?;
    }
    tokio::time::sleep(AFTERWARDS).await;
    Ok(())
}

/// One policy fewer denies more, whichever it is; without any, all is open until they are back.
pub async fn what_leaks_while_policies_are_put_back(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let policies = policies(wired, "drifting");
    let kinds = both_ways(
        wired.end("drifting-web")?,
        &[wired.end("stranger")?, wired.end("outside")?],
    );
    for policy in &policies {
        let during = deleted_and_back(std::slice::from_ref(policy));
        let ((), calls) = wired.node.meanwhile(&kinds, during).await?;
        println!("{} deleted: {} passed", policy.key(), told(&kinds, &calls));
        ensure!(
            calls.iter().all(Calls::all_denied),
            "{}: {}",
            policy.key(),
            told(&kinds, &calls)
        );
    }
    let during = deleted_and_back(&policies);
    let ((), calls) = wired.node.meanwhile(&kinds, during).await?;
    println!(
        "all policies deleted at once: {} passed",
        told(&kinds, &calls)
    );
    // They are back within milliseconds, and in force within the second that Felix takes.
    for calls in &calls {
        ensure!(
            calls.made() > 100 && calls.answered() < calls.made() / 2,
            "{calls}"
        );
    }
    let others = "stranger outside";
    let closed = [
        (others, Both(8080), "drifting-web", Denied),
        ("drifting-web", Both(8080), others, Denied),
    ];
    holds(wired, &closed).await
}

/// Only what is opened afterwards is denied.
pub async fn open_connections_go_on_when_a_policy_closes(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let (from, to) = (wired.end("closing-web")?, wired.end("closing-api")?);
    let mut open = Vec::new();
    for protocol in Protocol::ALL {
        open.push((protocol, wired.node.open(from, to, protocol, 8080).await?));
    }
    let flows = json!([{"name": "back", "from": {"zone": "api"}, "to": {"zone": "web"}}]);
    let declared = json!({"spec": {"network": {"flows": flows}}});
    wired
        .governed
        .zones()
        .patch("closing", &PatchParams::default(), &Patch::Merge(declared))
        .await?;
    let closed = [
        ("closing-web", Both(8080), "closing-api", Denied),
        ("closing-api", Both(8080), "closing-web", Allowed),
    ];
    holds(wired, &closed).await?;
    holds_for(AFTERWARDS, "what was open goes on", async || {
        for (protocol, conversation) in &mut open {
            let verdict = conversation.goes_on().await?;
            ensure!(verdict == Allowed, "{protocol} is {verdict}");
        }
        Ok(())
    })
    .await?;
    holds(wired, &closed).await
}

/// Nobody puts the label back here: the landing zone is suspended.
pub async fn a_namespace_without_its_label_is_cut_off(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let inside = [("bare-web", Both(8080), "bare-api", Allowed)];
    holds(wired, &inside).await?;
    let suspend = json!({"spec": {"suspend": true}});
    wired
        .governed
        .zones()
        .patch("bare", &PatchParams::default(), &Patch::Merge(suspend))
        .await?;
    wired
        .governed
        .condition("bare", "Ready", "Unknown", "Suspended")
        .await?;
    let strip = json!({"metadata": {"labels": {OWNER: Value::Null}}});
    let namespaces: Api<Namespace> = Api::all(wired.governed.client());
    let stripped = namespaces
        .patch("bare-web", &PatchParams::default(), &Patch::Merge(strip))
        .await?;
    let labels = stripped.metadata.labels.context("no labels")?;
    ensure!(!labels.contains_key(OWNER), "{labels:?}");
    let closed = [
        ("bare-web", Both(8080), "bare-api", Denied),
        ("bare-api", Both(8080), "bare-web", Denied),
        ("bare-web", Both(8080), "outside", Denied),
        ("outside", Both(8080), "bare-web", Denied),
        ("stranger", Both(8080), "bare-web", Denied),
        ("bare-web", Both(8080), "stranger", Denied),
        ("bare-web", Both(53), "kube-system/coredns", Allowed),
    ];
    // What is judged from declarations has the label.
    holds_without_tiers(wired, &closed).await
}
