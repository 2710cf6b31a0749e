//! The samples that this project comes from, as landing zones.

use anyhow::Result;
use e2e::data_plane::Verdict::{Allowed, Denied};
use serde_json::{Value, json};

use super::landscape::Landscape;
use super::table::Sent::{Both, Tcp, Udp};
use super::table::{Row, holds, holds_with_tiers, holds_without_tiers};
use super::team::{allows_everything, create};

/// Two namespaces of one application, as two zones. A zone is free inside, the second one, too.
pub async fn one_namespace_calls_another_and_itself(landscape: &Landscape) -> Result<()> {
    let both = "namespace1 namespace2";
    let rows = [
        ("namespace1", Both(8080), "namespace1/nginx", Allowed),
        ("namespace1", Both(8080), "namespace2/nginx", Allowed),
        ("namespace2", Both(8080), "namespace2/nginx", Allowed),
        ("namespace2", Both(8080), "namespace1/nginx", Denied),
        (both, Both(53), "kube-system/coredns", Allowed),
        (
            both,
            Both(8080),
            "outside stranger ntierapp application2-ns2",
            Denied,
        ),
        (
            "outside stranger ntierapp application2-ns2",
            Both(8080),
            both,
            Denied,
        ),
    ];
    holds(landscape.wired()?, &rows).await
}

pub async fn layers_inside_one_namespace_are_told_apart_by_labels(
    landscape: &Landscape,
) -> Result<()> {
    let all = "ntierapp/frontend ntierapp/backend ntierapp/a";
    let rows = [
        ("ntierapp/frontend", Both(8080), "ntierapp/backend", Allowed),
        ("ntierapp/backend", Both(8080), "ntierapp/frontend", Denied),
        // A pod with neither label.
        (
            "ntierapp/a",
            Both(8080),
            "ntierapp/backend ntierapp/frontend",
            Denied,
        ),
        (
            "ntierapp/frontend ntierapp/backend",
            Both(8080),
            "ntierapp/a",
            Denied,
        ),
        // The same label on somebody else's pod.
        ("stranger/frontend", Both(8080), "ntierapp/backend", Denied),
        ("ntierapp/backend", Both(8080), "stranger/frontend", Denied),
        (all, Both(53), "kube-system/coredns", Allowed),
        (all, Both(8080), "outside endpoint stranger", Denied),
        ("outside endpoint stranger", Both(8080), all, Denied),
    ];
    holds(landscape.wired()?, &rows).await
}

/// What is declared of some pods of a namespace is open to no others in it: to an address of its own, and to a
/// destination of the platform.
pub async fn some_pods_of_a_namespace_reach_addresses_outside(landscape: &Landscape) -> Result<()> {
    let others = "ntierapp/frontend ntierapp/a";
    let rows = [
        ("ntierapp/backend", Tcp(5432), "endpoint", Allowed),
        ("ntierapp/backend", Udp(5432), "endpoint", Denied),
        ("ntierapp/backend", Both(8080), "endpoint", Denied),
        ("ntierapp/backend", Udp(9090), "outside", Allowed),
        ("ntierapp/backend", Tcp(9090), "outside", Denied),
        // The range holds nodes, which nobody acknowledged.
        ("ntierapp/backend", Both(9090), "node other-node", Denied),
        (others, Both(5432), "endpoint", Denied),
        (others, Both(9090), "outside", Denied),
        // The same label on somebody else's pod, and the way back.
        ("namespace1", Both(5432), "endpoint", Denied),
        ("endpoint", Both(5432), "ntierapp/backend", Denied),
        ("outside", Both(9090), "ntierapp/backend", Denied),
    ];
    holds(landscape.wired()?, &rows).await
}

/// Also when its team writes the same once more, in policies of its own. And what the team denies
/// is denied.
pub async fn the_sample_is_as_its_comment_says(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    // The first seven are between two layers, the way the team's own policies open.
    let rows = [
        ("application2-ns1", Tcp(8080), "application2-ns2", Allowed),
        ("application2-ns2", Tcp(5432), "application2-ns3", Allowed),
        ("application2-ns2", Udp(5440), "application2-ns3", Denied),
        ("application2-ns2", Both(5441), "application2-ns3", Denied),
        ("application2-ns1", Udp(8080), "application2-ns2", Denied),
        ("application2-ns1", Both(9090), "application2-ns2", Denied),
        ("application2-ns2", Udp(5432), "application2-ns3", Denied),
        ("application2-ns2", Both(8080), "application2-ns1", Denied),
        ("application2-ns3", Both(5432), "application2-ns2", Denied),
        ("application2-ns1", Both(5432), "application2-ns3", Denied),
        ("application2-ns3", Both(5432), "application2-ns1", Denied),
        ("application2-*", Both(53), "kube-system/coredns", Allowed),
        (
            "application2-*",
            Both(8080),
            "outside endpoint stranger",
            Denied,
        ),
        (
            "outside endpoint stranger",
            Both(8080),
            "application2-*",
            Denied,
        ),
    ];
    let last_port = |verdict| ("application2-ns2", Tcp(5440), "application2-ns3", verdict);
    holds(wired, &rows).await?;
    holds(wired, &[last_port(Allowed)]).await?;
    for (namespace, ingress, egress) in [
        ("application2-ns1", None, Some("backend")),
        ("application2-ns2", Some("frontend"), Some("data")),
        ("application2-ns3", Some("backend"), None),
    ] {
        let policy = layers(namespace, ingress, egress);
        create(wired, policy).await?;
    }
    let denies = json!({"order": 100, "types": ["Ingress"], "egress": Value::Null, "ingress": [
        {"action": "Deny", "protocol": "TCP", "destination": {"ports": [5440]}},
    ]});
    create(
        wired,
        allows_everything("application2-ns3", "closes", denies),
    )
    .await?;
    // The last one is in force, so the others are.
    holds_without_tiers(wired, &[last_port(Denied)]).await?;
    holds_with_tiers(wired, &[last_port(Denied)]).await?;
    holds_without_tiers(wired, &rows).await?;
    // With tiers the team's policies come before the flows: they open between two layers what flows do not name.
    let inside = [
        ("application2-ns1", Both(9090), "application2-ns2", Allowed),
        ("application2-ns2", Tcp(5441), "application2-ns3", Allowed),
    ];
    holds_with_tiers(wired, &inside).await?;
    holds_with_tiers(wired, &rows[7..]).await
}

/// A team's policies that allow something inside, in Kubernetes' kind, at both ends: without tiers they add to the flows,
/// with tiers they are asked before them and leave nothing to them.
pub async fn what_a_team_allows_inside_narrows_flows_with_tiers_only(
    landscape: &Landscape,
) -> Result<()> {
    let wired = landscape.wired()?;
    let (one, two) = ("narrowed-one", "narrowed-two");
    let rows = |theirs, flow| -> [Row; 5] {
        [
            (one, Tcp(8080), two, theirs),
            (one, Both(5432), two, flow),
            (one, Udp(8080), two, Denied),
            (two, Both(8080), one, Denied),
            (two, Both(5432), one, Denied),
        ]
    };
    holds(wired, &rows(Denied, Allowed)).await?;
    for (namespace, direction, rules, peers, zone) in [
        (one, "Egress", "egress", "to", "two"),
        (two, "Ingress", "ingress", "from", "one"),
    ] {
        let peer = json!({"namespaceSelector": {"matchLabels": {"zone": zone}}});
        let rule = json!({peers: [peer], "ports": [{"protocol": "TCP", "port": 8080}]});
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "theirs", "namespace": namespace},
            "spec": {"podSelector": {}, "policyTypes": [direction], rules: [rule]},
        });
        create(wired, policy).await?;
    }
    holds_without_tiers(wired, &rows(Allowed, Allowed)).await?;
    holds_with_tiers(wired, &rows(Allowed, Denied)).await
}

/// A team's policy that names the layers before and after its own.
fn layers(namespace: &str, before: Option<&str>, after: Option<&str>) -> Value {
    let peer = |zone: &str| {
        let selector = format!("applicationcode == 'application2' && zone == '{zone}'");
        json!({"namespaceSelector": selector})
    };
    let ingress = before.map(|zone| json!([{"action": "Allow", "source": peer(zone)}]));
    let egress = after.map(|zone| json!([{"action": "Allow", "destination": peer(zone)}]));
    let types: Vec<_> = [(&ingress, "Ingress"), (&egress, "Egress")]
        .into_iter()
        .filter_map(|(rules, direction)| rules.as_ref().map(|_| direction))
        .collect();
    let spec = json!({"types": types, "ingress": ingress, "egress": egress});
    allows_everything(namespace, "layers", spec)
}
