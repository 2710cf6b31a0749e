//! Moments in which something is changing: what passes meanwhile.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::data_plane::Protocol;
use e2e::data_plane::Verdict::{Allowed, Denied};
use e2e::governed::CONVERGED;
use e2e::shop::Object;
use e2e::{eventually, holds_for};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams};
use landing_zone_operator::api::names::OWNER;
use landing_zone_operator::controller::{Kind, ObjectKey};
use serde_json::{Value, json};

use super::landscape::{Landscape, Wired};
use super::table::Sent::Both;
use super::table::{holds, holds_without_tiers};

/// How long it is watched that nothing leaks, beyond what is waited for.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// A pod that starts as soon as its namespace is there is behind the boundary from its first packet on.
pub async fn nothing_passes_while_a_landing_zone_is_created(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
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
            wired.governed.ready(&name).await?;
            tokio::time::sleep(AFTERWARDS).await;
            anyhow::Ok(pod)
        };
        let stranger = wired.end("stranger")?;
        let (pod, leak) = wired.node.leak(stranger, address, 8080, created).await?;
        ensure!(leak.sent > 100, "{leak:?}");
        ensure!(leak.answered == 0, "{leak:?}");
        // The pod listens: its kubelet hears it.
        let node = wired.end("node")?;
        let heard = async || {
            let protocol = Protocol::Udp;
            let pod = e2e::data_plane::End::Pod(&pod);
            let verdict = wired.node.can(node, pod, protocol, 8080).await?;
            Ok((verdict == Allowed).then_some(()))
        };
        eventually(CONVERGED, "the node to reach the pod", heard).await?;
        wired.node.unwire(pod).await?;
    }
    Ok(())
}

fn policies(wired: &Wired, zone: &str) -> Vec<Object> {
    ["boundary", "deny", "dns", "inside"]
        .into_iter()
        .map(|purpose| {
            let key = ObjectKey {
                kind: Kind::GlobalNetworkPolicy,
                namespace: None,
                name: format!("default.landing-zone-{zone}-{purpose}"),
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
    let target = wired.address("drifting-web")?;
    let stranger = wired.end("stranger")?;
    for policy in &policies {
        let during = deleted_and_back(std::slice::from_ref(policy));
        let ((), leak) = wired.node.leak(stranger, target, 8080, during).await?;
        println!(
            "{} deleted: {} of {} packets passed",
            policy.key(),
            leak.answered,
            leak.sent
        );
        ensure!(
            leak.sent > 100 && leak.answered == 0,
            "{}: {leak:?}",
            policy.key()
        );
    }
    let during = deleted_and_back(&policies);
    let ((), leak) = wired.node.leak(stranger, target, 8080, during).await?;
    println!(
        "all policies deleted at once: {} of {} packets passed",
        leak.answered, leak.sent
    );
    // They are back within milliseconds, and in force within the second that Felix takes.
    ensure!(leak.sent > 100 && leak.answered < leak.sent / 2, "{leak:?}");
    holds(wired, &[("stranger", Both(8080), "drifting-web", Denied)]).await
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
        ("bare-web", Both(53), "kube-system/coredns", Allowed),
    ];
    // What is judged from declarations has the label.
    holds_without_tiers(wired, &closed).await
}
