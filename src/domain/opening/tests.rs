mod neighbours;

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::api;

fn zone(name: &str, network: impl Into<Value>) -> LandingZone {
    let network = network.into();
    let spec = json!({
        "applicationCode": name,
        "namespaces": [
            {"name": format!("{name}-web"), "zone": "web"},
            {"name": format!("{name}-data"), "zone": "data"},
        ],
        "network": network,
    });
    let declared = api::LandingZone::new(name, serde_json::from_value(spec).unwrap());
    LandingZone::validate(&declared, &platform()).unwrap()
}

fn platform() -> Platform {
    let spec = json!({
        "network": {"podCidrs": ["10.244.0.0/16"], "nodeCidrs": ["10.1.0.0/22"]},
        "sharedServices": [
            {"name": "ingress", "direction": "ToLandingZones", "ports": [{"protocol": "TCP", "port": 8080}],
             "peers": [{"namespaceSelector": {"matchLabels": {"tier": "ingress"}}}, {"nodes": true}]},
            {"name": "metrics", "direction": "Both", "landingZones": "All",
             "peers": [{"cidrs": ["10.9.0.0/24"]}]},
        ],
        "presets": ["dapr"],
        "destinations": [
            {"name": "orders-db", "owner": "team-orders", "cidrs": ["10.20.3.4/32"],
             "ports": [{"protocol": "TCP", "port": 1433}]},
        ],
    });
    let declared = api::LandingZonePlatform::new("cluster", serde_json::from_value(spec).unwrap());
    Platform::default().declared(&declared).unwrap()
}

fn around(platform: &Platform) -> Surroundings<'_> {
    Surroundings {
        platform,
        flavour: Flavour {
            api: PolicyApi::CalicoCrdV1,
            tiers: false,
            staged: false,
            naming: crate::domain::CalicoNaming::TierPrefixed,
        },
        today: "2026-11-21".parse().unwrap(),
        neighbours: BTreeMap::new(),
        before: Vec::new(),
        shared_ranges: BTreeMap::new(),
    }
}

fn beside(mut around: Surroundings<'_>, other: LandingZone) -> Surroundings<'_> {
    let name = other.name.clone();
    let other = Neighbour::InForce(Box::new(other));
    around.neighbours.insert(name, other);
    around
}

fn told<'a>(resolved: &'a Resolved, name: &str) -> &'a CrossingStatus {
    let found = resolved.crossings.iter().find(|it| it.name == name);
    found.unwrap_or_else(|| panic!("{name} is not told: {:?}", resolved.crossings))
}

fn message<'a>(resolved: &'a Resolved, name: &str) -> &'a str {
    told(resolved, name).message.as_deref().unwrap_or_default()
}

fn towards_orders() -> Value {
    json!({"egress": [{
        "name": "orders-db",
        "from": {"zone": "web"},
        "to": {"landingZone": "orders", "zone": "data"},
        "ports": [{"protocol": "TCP", "port": 5000, "endPort": 5999}],
    }]})
}

fn from_shop(entry: &Value) -> Value {
    let mut from = json!({"name": "from-shop", "from": {"landingZone": "shop"}});
    from.as_object_mut()
        .unwrap()
        .extend(entry.as_object().unwrap().clone());
    json!({"ingress": [from]})
}

#[test]
fn what_both_declare_is_open_on_the_ports_that_both_name() {
    let platform = platform();
    let shop = zone("shop", towards_orders());
    let orders = zone(
        "orders",
        from_shop(&json!({"ports": [{"protocol": "TCP", "port": 5432}]})),
    );
    let here = resolve(&shop, &beside(around(&platform), orders.clone()));
    assert_eq!(told(&here, "orders-db").state, CrossingState::Open);
    assert_eq!(message(&here, "orders-db"), "");
    let open = json!([{"landingZone": "orders", "zone": "web", "peerZone": "data", "ports": ["TCP 5432"]}]);
    assert_eq!(json!(told(&here, "orders-db").open), open);

    let there = resolve(&orders, &beside(around(&platform), shop));
    assert_eq!(told(&there, "from-shop").state, CrossingState::Open);
    let open =
        json!([{"landingZone": "shop", "zone": "data", "peerZone": "web", "ports": ["TCP 5432"]}]);
    assert_eq!(json!(told(&there, "from-shop").open), open);
    assert_eq!(there.openings.crossings.len(), 1);
}

#[test]
fn half_a_crossing_is_closed_and_told_on_both_sides() {
    let platform = platform();
    let (shop, orders) = (zone("shop", towards_orders()), zone("orders", json!({})));
    let here = resolve(&shop, &beside(around(&platform), orders.clone()));
    assert_eq!(told(&here, "orders-db").state, CrossingState::DeclaredHere);
    assert!(here.openings.crossings.is_empty());
    let entry = "- {name: from-shop, from: {landingZone: shop, zone: web}, to: {zone: data}, ports: \
                 [{protocol: TCP, port: 5000, endPort: 5999}]}";
    let wanted = message(&here, "orders-db");
    assert!(
        wanted.contains("spec.network.ingress") && wanted.contains(entry),
        "{wanted}"
    );

    let there = resolve(&orders, &beside(around(&platform), shop));
    assert_eq!(
        told(&there, "orders-db").state,
        CrossingState::DeclaredThere
    );
    assert_eq!(
        told(&there, "orders-db").direction,
        Some(CrossingDirection::Ingress)
    );
    let wanted = message(&there, "orders-db");
    assert!(
        wanted.contains("landing zone shop asks for it") && wanted.contains(entry),
        "{wanted}"
    );
    assert!(there.openings.crossings.is_empty());
}

/// What the status says to write is what opens the crossing.
#[test]
fn the_entry_that_is_proposed_opens_the_crossing() {
    let platform = platform();
    let shop = zone("shop", towards_orders());
    let half = resolve(&shop, &beside(around(&platform), zone("orders", json!({}))));
    let text = message(&half, "orders-db");
    let entry = &text[text.find("- {").unwrap()..];
    let entries: Value = serde_saphyr::from_str(entry).unwrap();
    let orders = zone("orders", json!({ "ingress": entries }));
    let whole = resolve(&shop, &beside(around(&platform), orders));
    assert_eq!(told(&whole, "orders-db").state, CrossingState::Open);
}

#[rstest]
#[case::other_ports(json!({"ports": [{"protocol": "UDP", "port": 5432}]}))]
#[case::another_zone(json!({"to": {"zone": "web"}}))]
#[case::pods_of_another_zone(json!({"from": {"landingZone": "shop", "zone": "data"}}))]
#[case::another_landing_zone(json!({"from": {"landingZone": "billing"}}))]
fn what_the_other_side_means_otherwise_is_closed(#[case] entry: Value) {
    let platform = platform();
    let orders = zone("orders", from_shop(&entry));
    let resolved = resolve(
        &zone("shop", towards_orders()),
        &beside(around(&platform), orders),
    );
    assert_eq!(
        told(&resolved, "orders-db").state,
        CrossingState::DeclaredHere
    );
}

/// Each side hears what the other one names, not only that something is missing.
#[test]
fn two_halves_on_other_ports_are_told_so() {
    let platform = platform();
    let ports = json!([{"protocol": "UDP", "port": 5432}, {"protocol": "TCP", "port": 443}]);
    let shop = zone("shop", towards_orders());
    let orders = zone("orders", from_shop(&json!({"ports": ports})));
    let here = resolve(&shop, &beside(around(&platform), orders.clone()));
    let there = resolve(&orders, &beside(around(&platform), shop));
    let asked =
        "here TCP 5000-5999 (orders-db), in landing zone orders TCP 443, UDP 5432 (from-shop)";
    let answered =
        "here TCP 443, UDP 5432 (from-shop), in landing zone shop TCP 5000-5999 (orders-db)";
    for (message, expected, entry) in [
        (message(&here, "orders-db"), asked, "- {name: from-shop,"),
        (message(&here, "from-shop"), asked, "- {name: to-orders,"),
        (
            message(&there, "from-shop"),
            answered,
            "- {name: to-orders,",
        ),
        (
            message(&there, "orders-db"),
            answered,
            "- {name: from-shop,",
        ),
    ] {
        assert!(
            message.starts_with("declared on both sides, on other ports")
                && message.contains(expected)
                && message.contains(entry),
            "{message}"
        );
    }
}

#[test]
fn a_landing_zone_that_is_not_there_is_waited_for() {
    let platform = platform();
    let resolved = resolve(&zone("shop", towards_orders()), &around(&platform));
    assert_eq!(
        told(&resolved, "orders-db").state,
        CrossingState::NoSuchPeer
    );
    assert!(message(&resolved, "orders-db").contains("there is no landing zone orders"));
}

#[test]
fn what_leaves_is_closed() {
    let platform = platform();
    let mut around = around(&platform);
    let orders = "orders".parse().unwrap();
    around.neighbours.insert(orders, Neighbour::Leaving);
    let resolved = resolve(&zone("shop", towards_orders()), &around);
    assert_eq!(
        told(&resolved, "orders-db").state,
        CrossingState::PeerNotInForce
    );
    assert!(message(&resolved, "orders-db").contains("is being deleted"));
}

#[test]
fn beside_one_that_is_suspended_everything_stays_as_it_was() {
    let platform = platform();
    let shop = zone("shop", towards_orders());
    let orders = zone(
        "orders",
        from_shop(&json!({"ports": [{"protocol": "TCP", "port": 5432}]})),
    );
    let open = resolve(&shop, &beside(around(&platform), orders.clone()));
    // As the status tells it, and as it is read after a restart.
    let told_open = told(&open, "orders-db").open.iter();
    let before: Vec<_> = told_open
        .filter_map(|told| Opening::of_status(CrossingDirection::Egress, told))
        .collect();
    let mut suspended = around(&platform);
    suspended
        .neighbours
        .insert(orders.name.clone(), Neighbour::AsBefore("is suspended"));
    let nothing_before = resolve(&shop, &suspended);
    assert_eq!(
        told(&nothing_before, "orders-db").state,
        CrossingState::PeerNotInForce
    );

    suspended.before = before;
    let resolved = resolve(&shop, &suspended);
    assert_eq!(resolved.openings, open.openings);
    // What is no longer declared here is closed all the same.
    let gone = resolve(&zone("shop", json!({})), &suspended);
    assert!(gone.openings.crossings.is_empty());
}

#[rstest]
#[case(
    "2026-11-20",
    ExpiredCrossings::Close,
    CrossingState::Expired,
    "closed"
)]
#[case(
    "2026-11-20",
    ExpiredCrossings::Warn,
    CrossingState::Open,
    "still open"
)]
#[case(
    "2026-11-21",
    ExpiredCrossings::Close,
    CrossingState::Open,
    "its last day is 2026-11-21"
)]
#[case(
    "2026-12-21",
    ExpiredCrossings::Close,
    CrossingState::Open,
    "is closed afterwards"
)]
#[case("2026-12-22", ExpiredCrossings::Close, CrossingState::Open, "")]
fn a_crossing_ends_with_its_last_day(
    #[case] last: &str,
    #[case] then: ExpiredCrossings,
    #[case] state: CrossingState,
    #[case] said: &str,
) {
    let platform = Platform {
        expired_crossings: then,
        ..platform()
    };
    let partner = json!({"egress": [{"name": "partner", "to": {"cidrs": ["203.0.113.0/24"]}, "validUntil": last}]});
    let resolved = resolve(&zone("shop", partner), &around(&platform));
    assert_eq!(told(&resolved, "partner").state, state);
    let message = message(&resolved, "partner");
    assert!(
        message.contains(said) && (message.is_empty() == said.is_empty()),
        "{message}"
    );
    let next = match last {
        "2026-11-20" => None,
        "2026-12-21" => Some("2026-12-22"),
        _ => Some("2026-11-22"),
    };
    assert_eq!(resolved.next_change, next.map(|day| day.parse().unwrap()));
}

#[test]
fn an_end_on_the_other_side_ends_the_crossing() {
    let platform = Platform {
        expired_crossings: ExpiredCrossings::Close,
        ..platform()
    };
    let orders = zone("orders", from_shop(&json!({"validUntil": "2026-11-20"})));
    let shop = zone("shop", towards_orders());
    let resolved = resolve(&shop, &beside(around(&platform), orders));
    assert_eq!(
        told(&resolved, "orders-db").state,
        CrossingState::DeclaredHere
    );
}

fn towards(to: impl Into<Value>, rest: Value) -> Value {
    let to = to.into();
    let mut entry = json!({"name": "out", "to": to});
    let rest: serde_json::Map<_, _> = serde_json::from_value(rest).unwrap();
    entry.as_object_mut().unwrap().extend(rest);
    json!({"egress": [entry]})
}

fn addresses(resolved: &Resolved) -> (Vec<String>, Vec<String>, bool) {
    let texts = |nets: &[IpNet]| nets.iter().map(ToString::to_string).collect();
    let [Opening { reach, .. }] = &resolved.openings.crossings[..] else {
        panic!("{resolved:?}");
    };
    let Reach::Addresses {
        nets,
        except,
        without_pods,
    } = reach
    else {
        panic!("{reach:?}");
    };
    (texts(nets), texts(except), *without_pods)
}

#[test]
fn wide_ranges_leave_out_pods_nodes_and_metadata() {
    let platform = platform();
    let all = towards(
        json!({"cidrs": ["0.0.0.0/0"]}),
        json!({"acknowledge": "AllAddresses"}),
    );
    let resolved = resolve(&zone("shop", all), &around(&platform));
    let (nets, except, without_pods) = addresses(&resolved);
    assert_eq!(nets, ["0.0.0.0/0"]);
    assert_eq!(
        except,
        [
            "10.1.0.0/22",
            "10.244.0.0/16",
            "168.63.129.16/32",
            "169.254.169.254/32"
        ]
    );
    assert!(!without_pods);
    assert!(message(&resolved, "out").contains("acknowledged: AllAddresses"));
}

/// No range can be excepted then.
#[test]
fn where_pods_ranges_are_not_known_pods_are_left_out_by_what_they_are() {
    let platform = Platform {
        pod_cidrs: Vec::new(),
        ..platform()
    };
    for (acknowledge, left_out) in [("AllAddresses", true), ("PodRange", false)] {
        let wide = towards(
            json!({"cidrs": ["10.0.0.0/8"]}),
            json!({"acknowledge": acknowledge}),
        );
        let resolved = resolve(&zone("shop", wide), &around(&platform));
        assert_eq!(addresses(&resolved).2, left_out, "{acknowledge}");
    }
}

#[rstest]
#[case("10.244.7.0/24", "PodRange")]
#[case("10.1.1.4/32", "NodeRange")]
fn addresses_of_pods_and_nodes_are_acknowledged(#[case] range: &str, #[case] by: &str) {
    let platform = platform();
    let bare = towards(json!({"cidrs": [range]}), json!({}));
    let resolved = resolve(&zone("shop", bare), &around(&platform));
    assert_eq!(told(&resolved, "out").state, CrossingState::NotAcknowledged);
    let said = message(&resolved, "out");
    assert!(said.contains(&format!("acknowledge: {by}")), "{said}");
    assert!(resolved.openings.crossings.is_empty());

    let meant = towards(json!({"cidrs": [range]}), json!({"acknowledge": by}));
    let resolved = resolve(&zone("shop", meant), &around(&platform));
    let (nets, except, without_pods) = addresses(&resolved);
    assert_eq!(
        (nets, except, without_pods),
        (vec![range.to_owned()], vec![], false)
    );
}

#[test]
fn destinations_bring_their_addresses_and_ports() {
    let platform = platform();
    let resolved = resolve(
        &zone(
            "shop",
            towards(json!({"destination": "orders-db"}), json!({})),
        ),
        &around(&platform),
    );
    assert_eq!(addresses(&resolved).0, ["10.20.3.4/32"]);
    assert_eq!(
        resolved.openings.crossings[0].ports,
        ["TCP 1433".parse().unwrap()]
    );
    assert_eq!(
        told(&resolved, "out").peer,
        "destination orders-db of team-orders"
    );

    let unknown = towards(json!({"destination": "billing-db"}), json!({}));
    let resolved = resolve(&zone("shop", unknown), &around(&platform));
    assert_eq!(told(&resolved, "out").state, CrossingState::NoSuchPeer);
    assert!(message(&resolved, "out").contains("there are orders-db"));
}

/// The platform needs no acknowledgement, so what it did not mean stays closed.
#[test]
fn wide_destinations_leave_out_nodes_and_metadata() {
    let mut platform = platform();
    platform.node_cidrs = vec!["10.1.0.0/22".parse().unwrap()];
    let mut left_out = |ranges: &[&str]| {
        platform.destinations[0].cidrs = ranges.iter().map(|it| it.parse().unwrap()).collect();
        let named = towards(json!({"destination": "orders-db"}), json!({}));
        addresses(&resolve(&zone("shop", named), &around(&platform))).1
    };
    let all = ["10.1.0.0/22", "168.63.129.16/32", "169.254.169.254/32"];
    assert_eq!(left_out(&["0.0.0.0/0"]), all);
    assert!(left_out(&["10.20.3.4/32"]).is_empty());
    // Whoever means them names them.
    assert!(left_out(&["169.254.169.254/32", "10.1.0.4/32"]).is_empty());
}

/// What nobody knows the ranges of is told by what it is.
#[rstest]
#[case(&["10.244.0.0/16"], "198.51.100.0/24", false)]
#[case(&["10.244.0.0/16"], "10.244.9.0/28", true)]
#[case(&[], "198.51.100.0/24", true)]
fn pods_are_left_out_where_they_may_be(
    #[case] pods: &[&str],
    #[case] range: &str,
    #[case] expected: bool,
) {
    let mut platform = platform();
    platform.pod_cidrs = pods.iter().map(|range| range.parse().unwrap()).collect();
    platform.destinations[0].cidrs = vec![range.parse().unwrap()];
    let named = towards(json!({"destination": "orders-db"}), json!({}));
    let resolved = resolve(&zone("shop", named), &around(&platform));
    assert_eq!(addresses(&resolved).2, expected);
}

#[test]
fn shared_services_are_for_all_or_for_those_that_ask() {
    let platform = platform();
    let resolved = resolve(&zone("shop", json!({})), &around(&platform));
    let names: Vec<_> = resolved
        .crossings
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["metrics"]);
    assert_eq!(resolved.openings.services.len(), 2);

    let asking = zone(
        "shop",
        json!({"sharedServices": ["ingress", "dapr", "kafka"]}),
    );
    let resolved = resolve(&asking, &around(&platform));
    for (name, state) in [
        ("dapr", CrossingState::Open),
        ("ingress", CrossingState::Open),
        ("metrics", CrossingState::Open),
        ("kafka", CrossingState::NoSuchPeer),
    ] {
        assert_eq!(told(&resolved, name).state, state, "{name}");
    }
    assert!(message(&resolved, "kafka").contains("there are dapr, ingress, metrics"));
}

#[test]
fn a_service_on_nodes_that_nobody_knows_is_closed() {
    let mut platform = platform();
    platform.node_cidrs.clear();
    platform.shared_services[1].peers = vec![ServicePeer::Nodes];
    let asking = zone("shop", json!({"sharedServices": ["ingress"]}));
    let resolved = resolve(&asking, &around(&platform));
    assert_eq!(told(&resolved, "ingress").state, CrossingState::Unsupported);
    assert!(message(&resolved, "ingress").contains("network.nodeCidrs"));
}

/// What the schema of the status does not take would keep the whole status from being written.
#[test]
fn what_is_said_is_bounded() {
    let platform = platform();
    let mut around = around(&platform);
    let ranges: Vec<String> = (0..32).map(|it| format!("203.0.{it}.0/24")).collect();
    let others: BTreeSet<String> = (0..9).map(|it| format!("{it}{}", "o".repeat(39))).collect();
    for range in &ranges {
        around
            .shared_ranges
            .insert(range.parse().unwrap(), others.clone());
    }
    let open = towards(json!({ "cidrs": ranges }), json!({}));
    let resolved = resolve(&zone("shop", open), &around);
    assert_eq!(message(&resolved, "out").chars().count(), SAID);
}

#[test]
fn what_leads_to_services_is_told_to_have_no_effect() {
    let mut platform = platform();
    platform.service_cidrs = vec!["10.0.0.0/16".parse().unwrap()];
    platform.destinations[0].cidrs = vec!["10.0.3.0/24".parse().unwrap()];
    let zone = zone(
        "shop",
        json!({"egress": [
            {"name": "service", "to": {"cidrs": ["10.0.0.10/32", "203.0.113.0/24"]}},
            {"name": "wide", "to": {"cidrs": ["10.0.0.0/8"]}},
            {"name": "named", "to": {"destination": "orders-db"}},
        ]}),
    );
    let resolved = resolve(&zone, &around(&platform));
    for name in ["service", "wide", "named"] {
        assert_eq!(told(&resolved, name).state, CrossingState::Open, "{name}");
    }
    assert!(message(&resolved, "service").starts_with("10.0.0.10/32 has no effect, since"));
    assert!(message(&resolved, "named").starts_with("10.0.3.0/24 has no effect, since"));
    assert_eq!(told(&resolved, "wide").message, None);
}

#[test]
fn the_same_addresses_in_two_landing_zones_are_told() {
    let platform = platform();
    let mut around = around(&platform);
    let range: IpNet = "203.0.113.0/24".parse().unwrap();
    around
        .shared_ranges
        .insert(range, ["orders".to_owned()].into());
    let open = towards(json!({"cidrs": ["203.0.113.0/24"]}), json!({}));
    let resolved = resolve(&zone("shop", open), &around);
    assert_eq!(told(&resolved, "out").state, CrossingState::Open);
    assert!(message(&resolved, "out").contains("is opened by orders, too"));
}

fn with_firewall(mut platform: Platform) -> Platform {
    let hub = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network";
    let spec = json!({
        "network": {"plugin": "AzureCNIOverlay", "podCidrs": ["10.244.0.0/16"]},
        "azure": {
            "subscription": "00000000-0000-0000-0000-000000000001",
            "resourceGroup": "rg-aks", "location": "westeurope", "cluster": "aks-shared",
            "virtualNetwork": {"name": "vnet-spoke", "cidrs": ["20.1.0.0/16"]},
            "systemSubnet": {"name": "snet-system", "cidr": "20.1.0.0/24"},
            "hub": {
                "routeTable": format!("{hub}/routeTables/rt-hub"),
                "firewall": {"policy": format!("{hub}/firewallPolicies/fw")},
            },
        },
    });
    let declared = api::LandingZonePlatform::new("cluster", serde_json::from_value(spec).unwrap());
    platform.azure = Platform::default().declared(&declared).unwrap().azure;
    platform
}

fn names(ports: &Value) -> Value {
    towards(
        json!({"fqdns": ["*.example.org", "api.example.com"]}),
        json!({ "ports": ports }),
    )
}

/// Open-source Calico matches no names, so that nothing opens where no firewall does.
#[test]
fn names_without_a_firewall_are_closed_and_told() {
    let platform = platform();
    let resolved = resolve(&zone("shop", names(&json!([]))), &around(&platform));
    assert!(resolved.openings.crossings.is_empty());
    assert_eq!(told(&resolved, "out").state, CrossingState::Unsupported);
    let message = message(&resolved, "out");
    for part in ["azure.hub.firewall", "open-source Calico", "cidrs"] {
        assert!(message.contains(part), "{message}");
    }
}

/// Policies let out to the internet, and nowhere that only this network knows.
#[rstest]
#[case(json!([]), &["TCP 443"])]
#[case(json!([{"protocol": "TCP", "port": 8443}, {"protocol": "TCP", "port": 80}]), &["TCP 8443", "TCP 80"])]
fn names_open_the_internet_on_their_ports_and_nothing_else(
    #[case] ports: Value,
    #[case] expected: &[&str],
) {
    let platform = with_firewall(platform());
    let resolved = resolve(&zone("shop", names(&ports)), &around(&platform));
    let [opening] = resolved.openings.crossings.as_slice() else {
        panic!("{:?}", resolved.openings);
    };
    let opened: Vec<_> = opening.ports.iter().map(ToString::to_string).collect();
    assert_eq!(opened, expected);
    let Reach::Fqdns {
        crossing,
        names,
        nets,
        except,
        ..
    } = &opening.reach
    else {
        panic!("{opening:?}");
    };
    assert_eq!(crossing, "out");
    let names: Vec<_> = names.iter().map(Fqdn::as_str).collect();
    assert_eq!(names, ["*.example.org", "api.example.com"]);
    let is_open = |address: &str| {
        let address: IpNet = format!("{address}/32").parse().unwrap();
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        within(nets) && !within(except)
    };
    for outside in ["8.8.8.8", "20.2.0.1", "203.0.113.9"] {
        assert!(is_open(outside), "{outside}");
    }
    // Pods, nodes, the virtual network, whatever is private, and what tells a machine's secrets.
    for inside in [
        "10.244.3.4",
        "10.1.0.4",
        "20.1.7.7",
        "192.168.1.1",
        "172.20.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "127.0.0.1",
    ] {
        assert!(!is_open(inside), "{inside}");
    }
    assert_eq!(
        told(&resolved, "out").peer,
        "*.example.org, api.example.com"
    );
    let message = message(&resolved, "out");
    assert!(message.contains("the firewall sees subnets"), "{message}");
}
