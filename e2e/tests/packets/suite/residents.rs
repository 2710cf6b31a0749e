//! Who lives in the landscape: landing zones, and others beside them.

use anyhow::{Context, Result};
use e2e::data_plane::{OUTSIDE_RANGE, Place};
use serde_json::{Value, json};

/// Pods: namespace, name, labels of its own.
pub type Pod = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

pub const PODS: [Pod; 59] = [
    ("shop-frontend", "a", &[]),
    ("shop-frontend", "b", &[]),
    ("shop-backend", "a", &[]),
    ("shop-data", "a", &[]),
    ("portal-frontend", "a", &[]),
    ("portal-backend", "a", &[]),
    ("portal-data", "a", &[]),
    ("orders-frontend", "a", &[]),
    ("orders-frontend", "b", &[]),
    ("orders-backend", "a", &[]),
    ("orders-data", "a", &[]),
    ("billing-frontend", "a", &[]),
    ("billing-frontend", "b", &[]),
    ("billing-backend", "a", &[]),
    ("billing-data", "a", &[]),
    // What teams and time do to a landing zone has its own.
    ("free-web", "a", &[]),
    ("free-api", "a", &[]),
    ("other-web", "a", &[]),
    ("bare-web", "a", &[]),
    ("bare-api", "a", &[]),
    ("drifting-web", "a", &[]),
    ("closing-web", "a", &[]),
    ("closing-api", "a", &[]),
    ("layered-one", "a", &[]),
    ("layered-two", "a", &[]),
    ("narrowed-one", "a", &[]),
    ("narrowed-two", "a", &[]),
    ("early", "a", &[]),
    ("exposed-web", "a", &[]),
    ("false-orders", "a", &[]),
    ("false-buyer", "a", &[]),
    ("false-free", "a", &[]),
    ("inherited", "a", &[]),
    ("inherited", "b", &[]),
    // Of the samples that this project comes from.
    ("namespace1", "a", &[("app", "busybox")]),
    ("namespace1", "nginx", &[("app", "nginx")]),
    ("namespace2", "a", &[("app", "busybox")]),
    ("namespace2", "nginx", &[("app", "nginx")]),
    ("ntierapp", "frontend", &[("app", "frontend")]),
    ("ntierapp", "backend", &[("app", "backend")]),
    ("ntierapp", "a", &[]),
    ("application2-ns1", "a", &[]),
    ("application2-ns2", "a", &[]),
    ("application2-ns3", "a", &[]),
    // Of no landing zone.
    ("kube-system", "a", &[]),
    ("kube-system", "coredns", &[("k8s-app", "kube-dns")]),
    ("gatekeeper-system", "a", &[]),
    ("app-routing-system", "a", &[]),
    ("stranger", "a", &[]),
    ("stranger", "control", &[("app", "control")]),
    ("stranger", "witness", &[("app", "witness")]),
    ("stranger", "listener", &[("app", "listener")]),
    ("plain-web", "a", &[]),
    ("plain-api", "a", &[]),
    // Who calls himself what he is not.
    ("stranger", "false-dns", &[("k8s-app", "kube-dns")]),
    (
        "stranger",
        "impostor",
        &[
            ("pcns.landingzones.dev/landing-zone", "orders"),
            ("landingzones.dev/landing-zone", "orders"),
            ("zone", "backend"),
        ],
    ),
    ("stranger", "frontend", &[("app", "frontend")]),
    ("impostor", "a", &[]),
    ("impostor", "false-dns", &[("k8s-app", "kube-dns")]),
];

/// The landing zones: names and specs.
pub fn landing_zones() -> Result<Vec<(&'static str, Value)>> {
    let layers = ["frontend", "backend", "data"];
    Ok(vec![
        // The four of the table. Two with the same flows, so that one could be taken for the other.
        ("shop", landing_zone("shop", &layers, flows())),
        ("portal", landing_zone("portal", &layers, flows())),
        // Free inside.
        ("orders", landing_zone("orders", &layers, Value::Null)),
        // Closed inside but for its flows.
        ("billing", landing_zone("billing", &layers, only_flows())),
        ("free", landing_zone("free", &["web", "api"], Value::Null)),
        ("other", landing_zone("other", &["web"], Value::Null)),
        ("exposed", exposed()),
        ("bare", landing_zone("bare", &["web", "api"], Value::Null)),
        ("drifting", landing_zone("drifting", &["web"], Value::Null)),
        (
            "closing",
            landing_zone("closing", &["web", "api"], Value::Null),
        ),
        (
            "layered",
            landing_zone("layered", &["one", "two"], one_way()),
        ),
        (
            "narrowed",
            landing_zone("narrowed", &["one", "two"], one_way()),
        ),
        ("eastwest", eastwest()),
        ("ntierapp", ntierapp()),
        ("application2", application2()?),
    ])
}

/// A landing zone whose namespaces are called after it and their zones.
fn landing_zone(name: &str, zones: &[&str], network: Value) -> Value {
    let namespaces: Vec<_> = zones
        .iter()
        .map(|zone| json!({"name": format!("{name}-{zone}"), "zone": zone}))
        .collect();
    let mut spec = json!({"applicationCode": name, "namespaces": namespaces});
    if !network.is_null() {
        spec["network"] = network;
    }
    spec
}

fn flows() -> Value {
    json!({"flows": [
        {"name": "frontend-to-backend", "from": {"zone": "frontend"}, "to": {"zone": "backend"},
         "ports": [{"protocol": "TCP", "port": 8080}]},
        {"name": "backend-to-data", "from": {"zone": "backend"}, "to": {"zone": "data"},
         "ports": [{"protocol": "TCP", "port": 5432}, {"protocol": "UDP", "port": 5432}]},
    ]})
}

fn only_flows() -> Value {
    json!({"intraZone": "FlowsOnly", "flows": [
        // All ports.
        {"name": "frontend-to-backend", "from": {"zone": "frontend"}, "to": {"zone": "backend"}},
        {"name": "backend-to-data", "from": {"zone": "backend"}, "to": {"zone": "data"},
         "ports": [{"protocol": "UDP", "port": 5432, "endPort": 5440}]},
    ]})
}

fn one_way() -> Value {
    json!({"flows": [{"name": "one-to-two", "from": {"zone": "one"}, "to": {"zone": "two"},
        "ports": [{"protocol": "TCP", "port": 5432}, {"protocol": "UDP", "port": 5432}]}]})
}

/// A landing zone whose team has all rights that there are to be had in it.
fn exposed() -> Value {
    let mut spec = landing_zone("exposed", &["web"], Value::Null);
    spec["access"] = json!([{"kind": "Group", "name": "exposed-editors", "role": "admin"}]);
    spec
}

/// Namespace 1 may call namespace 2, and itself.
fn eastwest() -> Value {
    json!({
        "applicationCode": "eastwest",
        "namespaces": [{"name": "namespace1", "zone": "one"}, {"name": "namespace2", "zone": "two"}],
        "network": {"flows": [{"name": "one-to-two", "from": {"zone": "one"}, "to": {"zone": "two"}}]},
    })
}

/// Layers inside a single namespace: pods are told apart by their labels.
fn ntierapp() -> Value {
    let app = |app: &str| json!({"zone": "app", "podSelector": {"matchLabels": {"app": app}}});
    json!({
        "applicationCode": "ntierapp",
        "namespaces": [{"name": "ntierapp", "zone": "app"}],
        "network": {"intraZone": "FlowsOnly", "flows": [
            {"name": "frontend-to-backend", "from": app("frontend"), "to": app("backend")},
        ], "egress": [
            {"name": "endpoint", "from": app("backend"), "to": {"destination": "private-endpoint"}},
            {"name": "partner", "from": app("backend"), "to": {"cidrs": [OUTSIDE_RANGE]},
             "ports": [{"protocol": "UDP", "port": 9090}]},
        ]},
    })
}

/// The sample, as it is delivered.
fn application2() -> Result<Value> {
    let sample = e2e::workspace::root().join("config/samples/application2.yaml");
    let objects = e2e::install::read_manifests(&sample)?;
    let zone = objects.into_iter().next().context("the sample is empty")?;
    Ok(zone.data["spec"].clone())
}

/// Namespaces of no landing zone, and the cluster's DNS.
pub fn beside() -> Vec<Value> {
    let namespace = |name: &str, labels: Value| {
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        })
    };
    vec![
        namespace("gatekeeper-system", json!({"control-plane": "gatekeeper"})),
        namespace(
            "app-routing-system",
            json!({"kubernetes.azure.com/managedby": "aks"}),
        ),
        namespace("stranger", json!({})),
        namespace("early", json!({})),
        namespace("plain-web", json!({})),
        namespace("plain-api", json!({})),
        // The code and the zone alone make nobody a member.
        namespace(
            "impostor",
            json!({"applicationcode": "orders", "zone": "backend"}),
        ),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {
                "selector": {"k8s-app": "kube-dns"},
                "ports": [
                    {"name": "dns", "protocol": "UDP", "port": 53},
                    {"name": "dns-tcp", "protocol": "TCP", "port": 53},
                ],
            },
        }),
    ]
}

/// What was there before the operator and its rules on admission: a namespace, to be adopted later,
/// with network sets in it that would be refused now, and one of the whole cluster's. They say of
/// addresses outside what only Calico says of a pod: one plainly, by lying where it lies, the others
/// with forged labels. And namespaces that say of themselves what only the operator says.
pub fn before_admission() -> [Value; 7] {
    // Calico's API server refuses some of these labels itself; its storage takes what it gets.
    let set = |kind: &str, metadata: Value, nets: &[String]| {
        json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": kind, "metadata": metadata,
            "spec": {"nets": nets},
        })
    };
    let forged = |name: &str| {
        json!({
            "set": name,
            "pcns.landingzones.dev/landing-zone": "inherited",
            "pcns.zone": "web",
            "projectcalico.org/namespace": "inherited",
            "projectcalico.org/orchestrator": "k8s",
            // As if they were the cluster's DNS, too.
            "pcns.projectcalico.org/name": "kube-system",
            "k8s-app": "kube-dns",
        })
    };
    let plain = json!({"name": "plain", "namespace": "inherited", "labels": {"set": "plain"}});
    let lies = json!({
        "name": "forged", "namespace": "inherited", "labels": forged("forged"),
        "finalizers": ["example.com/backup"],
    });
    let global = json!({"name": "global", "labels": forged("global")});
    // Nobody else's label may be on a namespace now.
    let member = |name: &str, zone: &str, layer: &str| {
        let labels = json!({
            "landingzones.dev/landing-zone": zone, "app.kubernetes.io/managed-by": "landing-zone-operator",
            "applicationcode": zone, "zone": layer, "landingzones.dev/stage": "Enforce",
        });
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    };
    let outside = OUTSIDE_RANGE.to_owned();
    let endpoint = format!("{}/32", Place::Endpoint.address());
    [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "inherited"}}),
        set("NetworkSet", plain, &[outside.clone(), endpoint]),
        set("NetworkSet", lies, std::slice::from_ref(&outside)),
        set("GlobalNetworkSet", global, &[outside]),
        member("false-orders", "orders", "backend"),
        member("false-buyer", "buyer", "web"),
        member("false-free", "free", "web"),
    ]
}
