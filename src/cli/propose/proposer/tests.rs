use serde_json::{Value, json};

use crate::cli::propose::fixture::{Cluster, DECLARED, DUMPED, line, syn};

const WEB: &str = "10.244.1.1";
const WEB_2: &str = "10.244.1.2";
const API: &str = "10.244.2.1";
const DB: &str = "10.244.3.1";
const ORDERS: &str = "10.244.4.1";
const PROM: &str = "10.244.5.1";
const NODE: &str = "10.240.0.4";

fn proposed(log: &[String]) -> Value {
    serde_json::to_value(Cluster::usual().proposed(log)).unwrap()
}

/// What is proposed for a landing zone.
fn of<'a>(proposals: &'a Value, landing_zone: &str) -> &'a Value {
    let all = proposals["landingZones"].as_array().unwrap();
    let found = all.iter().find(|it| it["landingZone"] == landing_zone);
    found.unwrap_or_else(|| panic!("nothing for {landing_zone}: {proposals:#}"))
}

/// The entries of a list, without what was seen of them.
fn entries(list: &Value) -> Vec<Value> {
    let list = list.as_array().unwrap();
    list.iter()
        .map(|proposal| proposal["entry"].clone())
        .collect()
}

fn names(list: &Value) -> Vec<String> {
    entries(list)
        .iter()
        .map(|entry| entry["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn between_zones_it_is_a_flow() {
    let proposals = proposed(&[syn(WEB, DB, 5432), syn(WEB_2, DB, 5432)]);
    let shop = of(&proposals, "shop");
    assert_eq!(
        shop["flows"],
        json!([{
            "entry": {
                "name": "frontend-to-data-5432",
                "from": {"zone": "frontend"},
                "to": {"zone": "data"},
                "ports": [{"protocol": "TCP", "port": 5432}],
            },
            "packets": 2,
            "sources": 2,
            "sourceKind": "Pod",
            "moreSources": false,
            "moreAddresses": false,
            "example": {"from": "shop-web/web-1", "to": "shop-db/db"},
        }])
    );
    assert_eq!(
        (&shop["egress"], &shop["ingress"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(proposals["landingZones"].as_array().unwrap().len(), 1);
}

#[test]
fn each_port_and_protocol_is_an_entry() {
    let udp = line(WEB, DB, "UDP SPT=41000 DPT=53");
    let proposals = proposed(&[syn(WEB, DB, 53), udp, syn(WEB, DB, 80)]);
    assert_eq!(
        names(&of(&proposals, "shop")["flows"]),
        [
            "frontend-to-data-53",
            "frontend-to-data-80",
            "frontend-to-data-53-udp"
        ]
    );
}

#[test]
fn names_that_are_declared_are_not_given_again() {
    let declared = DECLARED.replace("name: leader", "name: frontend-to-data-5432");
    let cluster = Cluster::new(&declared, DUMPED);
    let proposals = serde_json::to_value(cluster.proposed(&[syn(WEB, DB, 5432)])).unwrap();
    let names = names(&of(&proposals, "shop")["flows"]);
    assert!(
        names.len() == 1 && names[0].starts_with("frontend-to-data-5432-"),
        "{names:?}"
    );
}

#[test]
fn inside_a_zone_a_flow_selects_pods() {
    let proposals = proposed(&[
        syn(ORDERS, "10.244.4.2", 9000),
        syn("10.244.4.3", ORDERS, 1),
    ]);
    assert_eq!(
        entries(&of(&proposals, "orders")["flows"]),
        [
            json!({
                "name": "data-to-data-db-1",
                "from": {"zone": "data"},
                "to": {"zone": "data", "podSelector": {"matchLabels": {"app": "db"}}},
                "ports": [{"protocol": "TCP", "port": 1}],
            }),
            json!({
                "name": "data-db-to-data-job-9000",
                "from": {"zone": "data", "podSelector": {"matchLabels": {"app": "db"}}},
                "to": {"zone": "data", "podSelector": {"matchLabels": {"app": "job"}}},
                "ports": [{"protocol": "TCP", "port": 9000}],
            })
        ]
    );
}

#[test]
fn inside_a_zone_pods_without_labels_cannot_be_selected() {
    let proposals = proposed(&[syn("10.244.4.3", "10.244.4.4", 9000)]);
    let orders = of(&proposals, "orders");
    assert_eq!(orders["flows"], json!([]));
    assert_eq!(orders["undeclarable"][0]["what"], "TCP 9000");
}

#[test]
fn between_landing_zones_both_sides_declare() {
    let proposals = proposed(&[syn(API, ORDERS, 5432)]);
    let ports = json!([{"protocol": "TCP", "port": 5432}]);
    assert_eq!(
        entries(&of(&proposals, "shop")["egress"]),
        [json!({
            "name": "backend-to-orders-data-5432",
            "from": {"zone": "backend"},
            "to": {"landingZone": "orders", "zone": "data"},
            "ports": ports,
        })]
    );
    assert_eq!(
        entries(&of(&proposals, "orders")["ingress"]),
        [json!({
            "name": "from-shop-backend-to-data-5432",
            "from": {"landingZone": "shop", "zone": "backend"},
            "to": {"zone": "data"},
            "ports": ports,
        })]
    );
}

#[test]
fn addresses_outside_that_share_a_port_share_an_entry() {
    let log = [
        syn(API, "203.0.113.9", 443),
        syn(API, "203.0.113.8", 443),
        syn(API, "2001:db8::1", 443),
        syn(API, "203.0.113.9", 80),
        syn(WEB, "203.0.113.9", 443),
    ];
    let proposals = proposed(&log);
    let egress = &of(&proposals, "shop")["egress"];
    assert_eq!(
        names(egress),
        [
            "backend-to-outside-80",
            "backend-to-outside-443",
            "frontend-to-outside-443"
        ]
    );
    assert_eq!(
        egress[1]["entry"]["to"],
        json!({"cidrs": ["203.0.113.8/32", "203.0.113.9/32", "2001:db8::1/128"]})
    );
}

#[test]
fn many_addresses_are_split() {
    let log: Vec<String> = (0..100)
        .map(|host| syn(API, &format!("203.0.113.{host}"), 443))
        .collect();
    let proposals = proposed(&log);
    let egress = &of(&proposals, "shop")["egress"];
    assert_eq!(
        names(egress),
        [
            "backend-to-outside-443",
            "backend-to-outside-2-443",
            "backend-to-outside-3-443",
            "backend-to-outside-4-443"
        ]
    );
    let count = |index: usize| {
        egress[index]["entry"]["to"]["cidrs"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!([0, 1, 2, 3].map(count), [32, 32, 32, 4]);
}

#[test]
fn the_metadata_service_is_not_proposed_along_with_the_rest() {
    let proposals = proposed(&[syn(API, "169.254.169.254", 80)]);
    let shop = of(&proposals, "shop");
    assert_eq!(shop["egress"], json!([]));
    let entry = &shop["toAcknowledge"][0]["entry"];
    assert_eq!(entry["acknowledge"], "MetadataService");
    assert_eq!(entry["to"], json!({"cidrs": ["169.254.169.254/32"]}));
}

#[test]
fn everything_else_is_a_shared_service_of_the_platform() {
    let log = [
        syn(PROM, API, 9102),
        syn(PROM, ORDERS, 9102),
        syn(API, PROM, 9091),
        syn(NODE, API, 8080),
        syn("198.51.100.1", WEB, 443),
    ];
    let proposals = proposed(&log);
    let services = &proposals["sharedServices"];
    let monitoring = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}});
    let port = |port: u16| json!([{"protocol": "TCP", "port": port}]);
    assert_eq!(
        entries(services),
        [
            json!({"name": "from-monitoring-9102", "peers": [monitoring],
                "direction": "ToLandingZones", "ports": port(9102), "landingZones": "Declared"}),
            json!({"name": "to-monitoring-9091", "peers": [monitoring],
                "direction": "FromLandingZones", "ports": port(9091), "landingZones": "Declared"}),
            json!({"name": "from-nodes-8080", "peers": [{"nodes": true}],
                "direction": "ToLandingZones", "ports": port(8080), "landingZones": "Declared"}),
            json!({"name": "from-outside-443", "peers": [{"cidrs": ["198.51.100.1/32"]}],
                "direction": "ToLandingZones", "ports": port(443), "landingZones": "Declared"}),
        ]
    );
    assert_eq!(services[0]["landingZones"], json!(["orders", "shop"]));
    assert_eq!(services[0]["packets"], 2);
    let kinds: Vec<&str> = (0..4)
        .map(|index| services[index]["sourceKind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["Pod", "Pod", "Node", "Address"]);
    let orders = of(&proposals, "orders");
    assert_eq!(
        orders["missingSharedServices"],
        json!(["from-monitoring-9102"])
    );
    assert_eq!(orders["sharedServices"], json!([]));
}

#[test]
fn of_a_crossing_only_the_half_that_is_missing_is_asked_for() {
    let proposals = proposed(&[syn(API, ORDERS, 7000), syn(API, ORDERS, 7000)]);
    let landing_zones = proposals["landingZones"].as_array().unwrap();
    assert_eq!(landing_zones.len(), 1);
    let ingress = &of(&proposals, "orders")["ingress"];
    assert_eq!(names(ingress), ["from-shop-backend-to-data-7000"]);
    assert_eq!(ingress[0]["packets"], 2);
    // The other half is declared for some of the pods.
    let log = [syn(API, ORDERS, 7001), syn(API, "10.244.4.2", 7001)];
    let proposals = proposed(&log);
    let packets =
        |landing_zone: &str, list: &str| of(&proposals, landing_zone)[list][0]["packets"].clone();
    assert_eq!(
        (packets("shop", "egress"), packets("orders", "ingress")),
        (2.into(), 1.into())
    );
}

#[test]
fn what_the_platform_has_a_name_for_is_called_by_it() {
    let log = [
        syn(WEB, "192.0.2.1", 443),
        syn(WEB, "192.0.2.2", 443),
        syn(WEB, "10.2.0.4", 443),
        syn(WEB, "10.2.0.4", 6443),
    ];
    assert_eq!(
        entries(&of(&proposed(&log), "shop")["egress"]),
        [
            json!({
                "name": "frontend-to-api-server",
                "from": {"zone": "frontend"},
                "to": {"apiServer": true},
            }),
            json!({
                "name": "frontend-to-bank-443",
                "from": {"zone": "frontend"},
                "to": {"destination": "bank"},
                "ports": [{"protocol": "TCP", "port": 443}],
            }),
            // By its addresses the API server is opened on 443 only.
            json!({
                "name": "frontend-to-outside-6443",
                "from": {"zone": "frontend"},
                "to": {"cidrs": ["10.2.0.4/32"]},
                "ports": [{"protocol": "TCP", "port": 6443}],
            }),
        ]
    );
}

#[test]
fn a_shared_service_that_the_platform_has_is_named() {
    let log = [
        syn("10.244.7.1", ORDERS, 8080),
        syn(ORDERS, NODE, 24224),
        syn(ORDERS, "10.240.0.77", 24224),
    ];
    let proposals = proposed(&log);
    assert_eq!(proposals["sharedServices"], json!([]));
    let orders = of(&proposals, "orders");
    assert_eq!(orders["missingSharedServices"], json!([]));
    let asks = orders["sharedServices"].as_array().unwrap();
    let asks: Vec<_> = asks
        .iter()
        .map(|ask| (&ask["name"], &ask["packets"]))
        .collect();
    assert_eq!(
        asks,
        [(&json!("agent"), &json!(2)), (&json!("ingress"), &json!(1))]
    );
}

#[test]
fn names_of_shared_services_that_the_platform_has_are_not_given_again() {
    let declared = DECLARED.replace("{name: subnet,", "{name: from-monitoring-9102,");
    let cluster = Cluster::new(&declared, DUMPED);
    let proposals = serde_json::to_value(cluster.proposed(&[syn(PROM, API, 9102)])).unwrap();
    let name = &names(&proposals["sharedServices"])[0];
    assert!(name.starts_with("from-monitoring-9102-"), "{name}");
}

#[test]
fn many_addresses_of_a_shared_service_are_several_peers() {
    let log: Vec<String> = (0..40)
        .map(|host| syn(&format!("203.0.113.{host}"), WEB, 443))
        .collect();
    let proposals = proposed(&log);
    let peers = proposals["sharedServices"][0]["entry"]["peers"]
        .as_array()
        .unwrap();
    let counts: Vec<usize> = peers
        .iter()
        .map(|peer| peer["cidrs"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [32, 8]);
}

#[test]
fn a_namespace_that_is_only_labelled_is_outside_and_doubted() {
    let proposals = proposed(&[syn("10.244.5.2", API, 8080)]);
    let service = &proposals["sharedServices"][0];
    assert_eq!(service["entry"]["name"], "from-shop-old-8080");
    assert_eq!(
        service["doubt"],
        "it carries the application code shop of landing zone shop, which does not declare it"
    );
}

#[test]
fn what_has_no_ports_is_told_to_both_sides() {
    let proposals = proposed(&[line(API, ORDERS, "ICMP TYPE=8 CODE=0")]);
    for landing_zone in ["shop", "orders"] {
        let told = &of(&proposals, landing_zone)["undeclarable"];
        assert_eq!(told.as_array().unwrap().len(), 1);
        assert_eq!(told[0]["what"], "ICMP");
        assert_eq!(told[0]["from"], "zone backend of shop");
    }
}

#[test]
fn what_is_declared_is_told_with_counts() {
    let log = [
        syn(WEB, API, 8080),
        syn(WEB_2, API, 8081),
        syn(WEB, WEB_2, 1),
        syn(WEB, "10.244.6.1", 53),
    ];
    let proposals = proposed(&log);
    let shop = of(&proposals, "shop");
    assert_eq!(
        shop["covered"],
        json!([
            {"by": "the cluster's DNS", "packets": 1},
            {"by": "intraZone: Allow", "packets": 1},
            {"by": "flow web-to-api", "packets": 2},
        ])
    );
    assert_eq!(shop["flows"], json!([]));
}
