//! What would end Felix, and with it every policy on its node, is refused to everybody.

use anyhow::Result;
use e2e::Calico;
use e2e::data_plane::Verdict::{Allowed, Denied};
use serde_json::{Value, json};

use super::landscape::{Landscape, Wired};
use super::table::Sent::{Both, Tcp};
use super::table::holds;
use super::team::{allows_everything, amend, create, is_refused, network_set, refused};
use crate::CALICO;

/// A policy of which the second rule for what comes in, or for what goes out, is this.
fn with(namespace: &str, direction: &str, rule: &Value) -> Value {
    let spec = json!({"order": 100, "selector": "app == 'nobody'", direction: [{"action": "Allow"}, rule]});
    allows_everything(namespace, "fatal", spec)
}

/// Rules on which a Felix was seen to end, and what their refusal says.
fn fatal() -> Vec<(Value, &'static str)> {
    let end =
        |end: &str, field: &str, range: &str| json!({"action": "Deny", end: {field: [range]}});
    let many = |most: u16| (1..=most).map(|it| it * 3).collect::<Vec<_>>();
    let names = ('a'..='k').map(String::from).collect::<Vec<_>>();
    let annotations: serde_json::Map<_, _> = (0..21)
        .map(|number| (format!("a{number}"), Value::from("b")))
        .collect();
    let tcp = |more: Value| {
        let mut rule = json!({"action": "Allow", "protocol": "TCP"});
        if let (Some(all), Value::Object(more)) = (rule.as_object_mut(), more) {
            all.extend(more);
        }
        rule
    };
    vec![
        (
            end("source", "notNets", "0.0.0.0/0"),
            "[1].source.notNets holds \"0.0.0.0/0\"",
        ),
        (
            end("destination", "notNets", "0.0.0.0/0"),
            "[1].destination.notNets holds",
        ),
        (end("source", "notNets", "::/0"), "every address"),
        (end("source", "notNets", "1.2.3.4/0"), "every address"),
        (
            end("source", "notNets", "0.0.0.0/00"),
            "no range of addresses",
        ),
        (
            end("source", "notNets", "::ffff:0.0.0.0/96"),
            "no range of addresses",
        ),
        (end("source", "notNets", ""), "no range of addresses"),
        (end("source", "nets", ""), "[1].source.nets holds \"\""),
        (json!({"action": "Jump"}), "[1].action is Jump; write Allow"),
        (
            tcp(json!({"notProtocol": "UDP"})),
            "[1].notProtocol is UDP beside protocol TCP",
        ),
        (tcp(json!({"icmp": {"type": 8}})), "need protocol ICMP"),
        (
            json!({"action": "Deny", "icmp": {"type": 8}}),
            "need protocol ICMP",
        ),
        (
            json!({"action": "Deny", "protocol": 58, "icmp": {"type": 128}}),
            "need protocol ICMP",
        ),
        (
            json!({"action": "Deny", "ipVersion": 4, "protocol": "ICMPv6", "notICMP": {"type": 128}}),
            "need protocol ICMP",
        ),
        (
            tcp(json!({"destination": {"notPorts": many(1000)}})),
            "more than 50 notPorts",
        ),
        (
            tcp(json!({"source": {"notPorts": names}})),
            "more than 10 names",
        ),
        (
            json!({"action": "Allow", "metadata": {"annotations": annotations}}),
            "more than 20 entries",
        ),
    ]
}

/// Each is refused, in landing zones and elsewhere, and what is written afterwards takes effect.
pub async fn no_policy_ends_felix(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let open = [("stranger", Both(443), "stranger/frontend", Allowed)];
    holds(wired, &open).await?;
    for (rule, said) in fatal() {
        for (namespace, direction) in [("free-web", "ingress"), ("stranger", "egress")] {
            let at = format!("spec.{direction}[1]");
            let words = [at.as_str(), said, "Felix would end"];
            // Calico's API server refuses some of them before, in its own words.
            let words = match CALICO {
                Calico::Storage => &words[..],
                _ => &[],
            };
            is_refused(wired, with(namespace, direction, &rule), words).await?;
        }
    }
    exceptions_of_kubernetes(wired).await?;
    for range in ["::ffff:10.0.0.0/104", "10.0.0.0/33", "nobody", ""] {
        let set = network_set(Some("stranger"), "fatal", &json!({}), &[range.to_owned()]);
        let words: &[&str] = match CALICO {
            Calico::Storage => &["spec.nets holds", range, "write it like"],
            _ => &[],
        };
        is_refused(wired, set, words).await?;
    }

    // Just within what is refused: what matches nothing, and as much as may be.
    let not_ports: Vec<_> = (1..=40)
        .map(|it| Value::from(format!("{}:{}", it * 100, it * 100 + 3)))
        .chain(('a'..='j').map(|it| Value::from(String::from(it))))
        .collect();
    let end = json!({"notNets": ["192.0.2.0/25", "192.0.2.0/24"], "nets": ["192.0.2.0/24"], "notPorts": not_ports});
    let afterwards = json!({
        "order": 100, "selector": "app == 'frontend'", "types": ["Ingress"], "egress": [],
        "ingress": [
            {"action": "Deny", "source": {"notNets": ["0.0.0.0/1", "128.0.0.0/1"]}},
            {"action": "Deny", "protocol": "TCP", "source": end, "destination": end},
            {"action": "Deny", "protocol": "ICMP", "icmp": {"type": 8}},
            {"action": "Deny", "protocol": "TCP", "destination": {"ports": [443]}},
            {"action": "Allow"},
        ],
    });
    let afterwards = allows_everything("stranger", "afterwards", afterwards);
    create(wired, afterwards.clone()).await?;
    let closed = [
        ("stranger", Tcp(443), "stranger/frontend", Denied),
        ("stranger", Both(8080), "stranger/frontend", Allowed),
    ];
    holds(wired, &closed).await?;
    // Nor does a policy become one by a change.
    let (rule, _) = fatal().swap_remove(0);
    let changed = amend(wired, afterwards, json!({"spec": {"ingress": [rule]}})).await;
    refused(changed, &["notNets"])?;
    holds(wired, &closed).await
}

/// What Kubernetes' kind excepts becomes `notNets`.
async fn exceptions_of_kubernetes(wired: &Wired) -> Result<()> {
    for range in ["0.0.0.0/0", "1.2.3.4/0", "0.0.0.0/00", "::ffff:0.0.0.0/96"] {
        let peer = json!({"ipBlock": {"cidr": "0.0.0.0/0", "except": [range]}});
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "fatal", "namespace": "stranger"},
            "spec": {"podSelector": {"matchLabels": {"app": "nobody"}}, "egress": [{"to": [peer]}]},
        });
        is_refused(wired, policy, &["except"]).await?;
    }
    Ok(())
}
