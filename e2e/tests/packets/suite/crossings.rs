//! What crosses boundaries, because both sides declare it or the platform does.

use anyhow::Result;
use e2e::data_plane::OUTSIDE_RANGE;
use e2e::data_plane::Verdict::{Allowed, Denied};
use e2e::install::apply_objects;
use kube::Api;
use kube::api::{Patch, PatchParams};
use landing_zone_operator::api::LandingZone;
use serde_json::{Value, json};

use super::landscape::{Landscape, Wired};
use super::residents::Pod;
use super::table::Sent::{Both, Tcp, Udp};
use super::table::holds;

pub const PODS: [Pod; 22] = [
    ("buyer-web", "a", &[]),
    ("buyer-web", "b", &[]),
    ("buyer-api", "a", &[]),
    ("buyer-api", "sync", &[("job", "sync")]),
    ("seller-web", "a", &[]),
    ("seller-api", "a", &[]),
    ("seller-data", "a", &[]),
    ("seller-data", "cache", &[("app", "cache")]),
    ("loner-web", "a", &[]),
    ("roamer-web", "a", &[]),
    ("closer-web", "a", &[]),
    ("closer-api", "a", &[]),
    ("ingress", "nginx", &[("app", "nginx")]),
    ("ingress", "a", &[]),
    ("tools", "a", &[]),
    ("tools", "registry", &[("app", "registry")]),
    ("posing-web", "nginx", &[("app", "nginx")]),
    ("metrics", "a", &[]),
    ("mesh", "a", &[]),
    ("istio-system", "a", &[]),
    ("istio-ingress", "a", &[]),
    ("dapr-system", "a", &[]),
];

/// What the platform opens.
fn platform() -> Value {
    json!({
        "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZonePlatform",
        "metadata": {"name": "cluster"},
        "spec": {
            "network": {"nodeCidrs": ["203.0.113.1/32", "203.0.113.2/32"], "apiServer": ["203.0.113.10"]},
            "sharedServices": [
                {"name": "ingress", "direction": "ToLandingZones", "ports": [{"protocol": "TCP", "port": 8080}],
                 "peers": [{"namespaceSelector": {"matchLabels": {"tier": "ingress"}},
                            "podSelector": {"matchLabels": {"app": "nginx"}}}]},
                {"name": "gateway", "direction": "ToLandingZones", "ports": [{"protocol": "TCP", "port": 9090}],
                 "peers": [{"cidrs": [OUTSIDE_RANGE]}]},
                {"name": "registry", "direction": "FromLandingZones", "ports": [{"protocol": "UDP", "port": 8080}],
                 "peers": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "tools"}},
                            "podSelector": {"matchLabels": {"app": "registry"}}}]},
                // On the host's network.
                {"name": "agent", "direction": "FromLandingZones", "ports": [{"protocol": "TCP", "port": 9090}],
                 "peers": [{"nodes": true}]},
                {"name": "balancer", "direction": "ToLandingZones", "ports": [{"protocol": "TCP", "port": 8080}],
                 "peers": [{"nodes": true}]},
                // Nobody has to ask for it.
                {"name": "metrics", "direction": "ToLandingZones", "landingZones": "All",
                 "ports": [{"protocol": "TCP", "port": 9090}],
                 "peers": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "metrics"}}}]},
                {"name": "mesh", "direction": "Both", "ports": [{"protocol": "TCP", "port": 8080}, {"protocol": "UDP", "port": 9090}],
                 "peers": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mesh"}}}]},
            ],
            "presets": ["istio", "dapr"],
            "destinations": [
                {"name": "private-endpoint", "owner": "team-data", "cidrs": ["10.244.255.10/32"],
                 "ports": [{"protocol": "TCP", "port": 5432}]},
            ],
        },
    })
}

pub fn beside() -> [Value; 8] {
    let namespace = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    [
        namespace("ingress", json!({"tier": "ingress"})),
        namespace("tools", json!({})),
        namespace("metrics", json!({})),
        namespace("mesh", json!({})),
        namespace("istio-system", json!({})),
        namespace("istio-ingress", json!({})),
        namespace("dapr-system", json!({})),
        platform(),
    ]
}

pub fn landing_zones() -> Vec<(&'static str, Value)> {
    vec![
        ("buyer", landing_zone("buyer", &["web", "api"], &buyer())),
        (
            "seller",
            landing_zone("seller", &["web", "api", "data"], &seller()),
        ),
        ("loner", landing_zone("loner", &["web"], &json!({}))),
        ("roamer", landing_zone("roamer", &["web"], &roamer())),
        ("closer", landing_zone("closer", &["web", "api"], &closer())),
        ("posing", posing()),
    ]
}

pub fn landing_zone(name: &str, zones: &[&str], network: &Value) -> Value {
    let namespaces: Vec<_> = zones
        .iter()
        .map(|zone| json!({"name": format!("{name}-{zone}"), "zone": zone}))
        .collect();
    json!({"applicationCode": name, "namespaces": namespaces, "network": network})
}

fn tcp(ports: &[u16]) -> Value {
    let port = |port: &u16| json!({"protocol": "TCP", "port": port});
    ports.iter().map(port).collect()
}

fn buyer() -> Value {
    json!({
        "sharedServices": ["registry"],
        "egress": [
            {"name": "orders", "from": {"zone": "web"}, "to": {"landingZone": "seller", "zone": "data"},
             "ports": tcp(&[5432, 8080])},
            // Only here.
            {"name": "half", "from": {"zone": "web"}, "to": {"landingZone": "seller", "zone": "api"},
             "ports": tcp(&[8080])},
            {"name": "sync", "from": {"zone": "api", "podSelector": {"matchLabels": {"job": "sync"}}},
             "to": {"landingZone": "seller", "zone": "data", "podSelector": {"matchLabels": {"app": "cache"}}}},
            {"name": "partner", "from": {"zone": "api"}, "to": {"cidrs": [OUTSIDE_RANGE]}, "ports": tcp(&[8080])},
            {"name": "endpoint", "from": {"zone": "api"}, "to": {"destination": "private-endpoint"}},
        ],
    })
}

fn seller() -> Value {
    json!({
        "sharedServices": [
            "ingress", "gateway", "agent", "balancer", "mesh", "istio", "istio-gateways", "dapr",
        ],
        "ingress": [
            // Fewer zones than the buyer's, and other ports.
            {"name": "orders", "from": {"landingZone": "buyer"}, "to": {"zone": "data"}, "ports": tcp(&[5432, 9090])},
            {"name": "sync", "from": {"landingZone": "buyer", "zone": "api"}, "to": {"zone": "data"}},
            // Only here.
            {"name": "half", "from": {"landingZone": "buyer", "zone": "api"}, "to": {"zone": "web"}, "ports": tcp(&[8080])},
        ],
    })
}

/// Everything but pods, nodes and the metadata service; and that by name.
fn roamer() -> Value {
    json!({"egress": [
        {"name": "everywhere", "to": {"cidrs": ["0.0.0.0/0"]}, "acknowledge": "AllAddresses", "ports": tcp(&[8080])},
        {"name": "identity", "to": {"cidrs": ["169.254.169.254/32"]}, "acknowledge": "MetadataService", "ports": tcp(&[9090])},
        {"name": "node", "to": {"cidrs": ["203.0.113.1/32"]}, "acknowledge": "NodeRange", "ports": tcp(&[9090])},
        {"name": "but-for-one", "to": {"cidrs": [OUTSIDE_RANGE], "except": ["203.0.113.10/32"]}, "ports": tcp(&[5440])},
        {"name": "api", "to": {"apiServer": true}},
    ]})
}

fn closer() -> Value {
    json!({"egress": [{"name": "partner", "from": {"zone": "web"}, "to": {"cidrs": [OUTSIDE_RANGE]}, "ports": tcp(&[8080])}]})
}

/// A landing zone whose namespaces bear the label of a shared service.
fn posing() -> Value {
    json!({
        "applicationCode": "posing",
        "labels": {"tier": "ingress"},
        "namespaces": [{"name": "posing-web", "zone": "web"}],
        "network": {"egress": [{"name": "all", "to": {"cidrs": ["10.244.0.0/16"]}, "acknowledge": "PodRange"}]},
    })
}

pub async fn a_crossing_is_open_where_both_declare_it(landscape: &Landscape) -> Result<()> {
    let rows = [
        ("buyer-web buyer-web/b", Tcp(5432), "seller-data", Allowed),
        // Another protocol, and ports that only one of them names.
        ("buyer-web buyer-web/b", Udp(5432), "seller-data", Denied),
        ("buyer-web", Both(8080), "seller-data", Denied),
        ("buyer-web", Both(9090), "seller-data", Denied),
        // Other zones, the other way, and somebody else.
        ("buyer-api", Both(5432), "seller-data", Denied),
        ("buyer-web", Both(5432), "seller-api seller-web", Denied),
        (
            "seller-data",
            Both(5432),
            "buyer-web buyer-web/b loner-web stranger",
            Denied,
        ),
        ("loner-web stranger", Both(5432), "seller-data", Denied),
        ("buyer-web", Both(5432), "loner-web stranger", Denied),
        (
            "seller-api seller-web loner-web stranger",
            Both(5432),
            "buyer-web",
            Denied,
        ),
        // Pods by their labels, on all ports.
        ("buyer-api/sync", Both(9090), "seller-data/cache", Allowed),
        ("buyer-api/sync", Both(9090), "seller-data", Denied),
        ("buyer-api", Both(9090), "seller-data/cache", Denied),
        (
            "seller-data seller-data/cache",
            Both(9090),
            "buyer-api buyer-api/sync",
            Denied,
        ),
        ("seller-data", Both(5432), "buyer-api", Denied),
    ];
    holds(landscape.wired()?, &rows).await
}

pub async fn half_a_crossing_is_closed(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let rows = [
        ("buyer-web", Both(8080), "seller-api", Denied),
        ("seller-api", Both(8080), "buyer-web", Denied),
        ("buyer-api buyer-api/sync", Both(8080), "seller-web", Denied),
        ("seller-web", Both(8080), "buyer-api buyer-api/sync", Denied),
    ];
    holds(wired, &rows).await?;
    // The other half opens it, and only it.
    let mut network = seller();
    if let Some(Value::Array(ingress)) = network.get_mut("ingress") {
        ingress.push(json!({
            "name": "other-half", "from": {"landingZone": "buyer", "zone": "web"}, "to": {"zone": "api"},
            "ports": tcp(&[8080]),
        }));
    }
    declare(wired, "seller", &network).await?;
    let opened = [
        ("buyer-web", Tcp(8080), "seller-api", Allowed),
        ("buyer-web", Udp(8080), "seller-api", Denied),
        ("seller-api", Both(8080), "buyer-web", Denied),
        ("buyer-api buyer-api/sync", Both(8080), "seller-web", Denied),
        ("seller-web", Both(8080), "buyer-api buyer-api/sync", Denied),
        ("buyer-web", Tcp(5432), "seller-data", Allowed),
    ];
    holds(wired, &opened).await?;
    declare(wired, "seller", &seller()).await?;
    holds(wired, &rows).await
}

pub async fn addresses_are_open_as_far_as_they_are_acknowledged(
    landscape: &Landscape,
) -> Result<()> {
    let rows = [
        ("buyer-api", Tcp(8080), "outside", Allowed),
        ("buyer-api", Udp(8080), "outside", Denied),
        ("buyer-api", Both(9090), "outside", Denied),
        ("buyer-web", Both(8080), "outside", Denied),
        ("outside", Both(8080), "buyer-api buyer-web", Denied),
        // The range holds the node, and nobody said that it is meant.
        ("buyer-api", Both(8080), "node", Denied),
        // Named by the platform; in flat networks it lies among the pods.
        ("buyer-api", Tcp(5432), "endpoint", Allowed),
        ("buyer-api", Udp(5432), "endpoint", Denied),
        ("buyer-api", Both(8080), "endpoint", Denied),
        ("buyer-web", Both(5432), "endpoint", Denied),
        ("endpoint", Both(5432), "buyer-api buyer-web", Denied),
        ("endpoint", Both(8080), "buyer-api", Denied),
        // All addresses are neither pods nor nodes nor the metadata service.
        ("roamer-web", Tcp(8080), "outside", Allowed),
        ("roamer-web", Udp(8080), "outside", Denied),
        (
            "roamer-web",
            Both(8080),
            "stranger seller-data kube-system",
            Denied,
        ),
        // And nobody answers by calling.
        (
            "outside metadata endpoint stranger seller-data kube-system",
            Both(8080),
            "roamer-web",
            Denied,
        ),
        ("outside metadata", Both(9090), "roamer-web", Denied),
        ("outside", Both(5440), "roamer-web", Denied),
        // Its node is kubelet.
        ("node", Both(9090), "roamer-web", Allowed),
        ("roamer-web", Both(8080), "node metadata endpoint", Denied),
        // Until it is said.
        ("roamer-web", Tcp(9090), "metadata node", Allowed),
        ("roamer-web", Udp(9090), "metadata node", Denied),
        // What is excepted stays closed.
        ("roamer-web", Both(5440), "outside", Denied),
    ];
    holds(landscape.wired()?, &rows).await
}

pub async fn shared_services_reach_those_that_ask(landscape: &Landscape) -> Result<()> {
    let rows = [
        (
            "ingress/nginx",
            Tcp(8080),
            "seller-web seller-api seller-data",
            Allowed,
        ),
        (
            "ingress/nginx",
            Udp(8080),
            "seller-web seller-api seller-data",
            Denied,
        ),
        ("ingress/nginx", Both(9090), "seller-web", Denied),
        ("ingress", Both(8080), "seller-web", Denied),
        ("ingress/nginx", Both(8080), "buyer-web loner-web", Denied),
        (
            "seller-web seller-api seller-data buyer-web loner-web",
            Both(8080),
            "ingress/nginx",
            Denied,
        ),
        ("seller-web", Both(8080), "ingress", Denied),
        // By address.
        ("outside", Tcp(9090), "seller-web", Allowed),
        ("outside", Udp(9090), "seller-web", Denied),
        ("seller-web", Both(9090), "outside", Denied),
        ("outside", Both(9090), "buyer-web loner-web", Denied),
        // The other way.
        ("buyer-web buyer-api", Udp(8080), "tools/registry", Allowed),
        ("buyer-web buyer-api", Tcp(8080), "tools/registry", Denied),
        ("buyer-web", Both(8080), "tools", Denied),
        ("seller-web", Both(8080), "tools/registry", Denied),
        (
            "tools tools/registry",
            Both(8080),
            "buyer-web buyer-api",
            Denied,
        ),
        // By the addresses of nodes: an agent on the host's network.
        ("seller-web seller-api", Tcp(9090), "node", Allowed),
        ("seller-web seller-api", Udp(9090), "node", Denied),
        ("seller-web", Both(8080), "node", Denied),
        ("buyer-web loner-web", Both(9090), "node", Denied),
        // A landing zone is no shared service, whatever its labels. It may leave its own boundary, so
        // that nothing but the other's keeps it out.
        ("posing-web/nginx", Both(8080), "stranger", Allowed),
        ("posing-web/nginx", Both(8080), "seller-web", Denied),
        ("seller-web", Both(8080), "posing-web/nginx", Denied),
    ];
    holds(landscape.wired()?, &rows).await
}

/// In both directions, for everybody, by the addresses of nodes, and as presets know them.
pub async fn shared_services_are_open_as_they_say(landscape: &Landscape) -> Result<()> {
    let some = "buyer-web seller-web loner-web shop-frontend orders-data billing-backend";
    let rows = [
        ("metrics", Tcp(9090), some, Allowed),
        ("metrics", Udp(9090), some, Denied),
        ("metrics", Both(8080), some, Denied),
        (some, Both(9090), "metrics", Denied),
        // Somebody else does not pass for it.
        ("stranger tools", Both(9090), some, Denied),
        (some, Both(9090), "stranger tools", Denied),
        // Whoever opens the connection.
        ("mesh", Tcp(8080), "seller-web seller-api", Allowed),
        ("seller-web seller-api", Tcp(8080), "mesh", Allowed),
        ("mesh", Udp(9090), "seller-web", Allowed),
        ("seller-web", Udp(9090), "mesh", Allowed),
        ("mesh", Udp(8080), "seller-web", Denied),
        ("seller-web", Udp(8080), "mesh", Denied),
        ("mesh", Tcp(9090), "seller-web", Denied),
        ("seller-web", Tcp(9090), "mesh", Denied),
        ("mesh", Both(8080), "buyer-web loner-web", Denied),
        ("buyer-web loner-web", Both(8080), "mesh", Denied),
        // From another node; what comes from its own no policy sees.
        ("other-node", Tcp(8080), "seller-web seller-data", Allowed),
        ("other-node", Udp(8080), "seller-web", Denied),
        ("other-node", Both(5432), "seller-web", Denied),
        ("other-node", Both(8080), "buyer-web loner-web", Denied),
        ("seller-web", Both(8080), "other-node", Denied),
        ("seller-web", Tcp(9090), "other-node", Allowed),
        ("seller-web", Udp(9090), "other-node", Denied),
        ("buyer-web loner-web", Both(9090), "other-node", Denied),
        ("node", Both(8080), "loner-web", Allowed),
        // Presets.
        ("seller-web", Tcp(15012), "istio-system", Allowed),
        ("seller-web", Udp(15012), "istio-system", Denied),
        ("seller-web", Both(8080), "istio-system", Denied),
        ("istio-system", Both(15012), "seller-web", Denied),
        ("istio-ingress", Both(8080), "seller-web", Allowed),
        ("seller-web", Both(8080), "istio-ingress", Denied),
        ("seller-web", Tcp(50001), "dapr-system", Allowed),
        ("seller-web", Udp(50001), "dapr-system", Denied),
        ("seller-web", Both(8080), "dapr-system", Denied),
        ("dapr-system", Both(50001), "seller-web", Denied),
        ("buyer-web loner-web", Both(15012), "istio-system", Denied),
        ("buyer-web loner-web", Both(50001), "dapr-system", Denied),
        ("istio-system", Both(15012), "buyer-web loner-web", Denied),
        ("dapr-system", Both(50001), "buyer-web loner-web", Denied),
        ("istio-ingress", Both(8080), "buyer-web loner-web", Denied),
        ("buyer-web loner-web", Both(8080), "istio-ingress", Denied),
    ];
    holds(landscape.wired()?, &rows).await
}

/// By the endpoints of its Service, and by the addresses that the platform names on port 443.
pub async fn the_api_server_is_reached_by_its_endpoints(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let rows = [
        ("roamer-web", Both(5441), "outside", Denied),
        ("roamer-web", Udp(443), "outside", Denied),
        ("roamer-web", Tcp(443), "outside", Allowed),
        ("roamer-web", Both(443), "endpoint", Denied),
        ("buyer-api", Both(443), "outside", Denied),
    ];
    holds(wired, &rows).await?;
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes-outside", "namespace": "default",
                     "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["203.0.113.10"], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "protocol": "TCP", "port": 5441}],
    });
    let slice = vec![serde_json::from_value(slice)?];
    apply_objects(&wired.governed.client(), slice).await?;
    let rows = [
        ("roamer-web", Tcp(5441), "outside", Allowed),
        ("roamer-web", Udp(5441), "outside", Denied),
        ("outside endpoint", Both(5441), "roamer-web", Denied),
        ("outside endpoint", Both(443), "roamer-web", Denied),
        ("roamer-web", Both(5441), "endpoint", Denied),
        ("buyer-api loner-web", Both(5441), "outside", Denied),
    ];
    holds(wired, &rows).await
}

pub async fn what_is_not_declared_any_more_is_closed(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let rows = [
        ("closer-web", Tcp(8080), "outside", Allowed),
        ("closer-web", Udp(8080), "outside", Denied),
        ("outside", Both(8080), "closer-web", Denied),
    ];
    holds(wired, &rows).await?;
    declare(wired, "closer", &json!({"egress": []})).await?;
    let rows = [
        ("closer-web", Both(8080), "outside", Denied),
        ("outside", Both(8080), "closer-web", Denied),
        ("closer-web", Both(8080), "closer-api", Allowed),
    ];
    holds(wired, &rows).await
}

async fn declare(wired: &Wired, zone: &str, network: &Value) -> Result<()> {
    let zones: Api<LandingZone> = wired.governed.zones();
    let patch = json!([{"op": "replace", "path": "/spec/network", "value": network}]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(patch)?);
    zones.patch(zone, &PatchParams::default(), &patch).await?;
    wired.governed.ready(zone).await.map(drop)
}
