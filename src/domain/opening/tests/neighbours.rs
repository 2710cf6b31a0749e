use serde_json::json;

use super::*;

/// Each asks to open connections, and neither lets any in.
#[test]
fn two_that_go_the_same_way_do_not_meet() {
    let platform = platform();
    let shop = zone("shop", towards_orders());
    let orders = zone(
        "orders",
        json!({"egress": [{"name": "to-shop", "to": {"landingZone": "shop"}}]}),
    );
    let resolved = resolve(&shop, &beside(around(&platform), orders));
    assert_eq!(
        told(&resolved, "orders-db").state,
        CrossingState::DeclaredHere
    );
    assert_eq!(
        told(&resolved, "to-shop").state,
        CrossingState::DeclaredThere
    );
    assert!(resolved.openings.crossings.is_empty());
}

/// What was open before is no declaration: it stays as far as this side still wants it.
#[test]
fn beside_one_that_is_suspended_what_is_declared_less_is_open_less() {
    let platform = platform();
    let orders = zone("orders", from_shop(&json!({})));
    let name = orders.name.clone();
    let wide = json!({"egress": [{"name": "orders-db", "to": {"landingZone": "orders"}}]});
    let before = resolve(&zone("shop", wide), &beside(around(&platform), orders));
    let mut suspended = around(&platform);
    let why = "is suspended";
    suspended.neighbours.insert(name, Neighbour::AsBefore(why));
    suspended.before = before.openings.crossings;

    let resolved = resolve(&zone("shop", towards_orders()), &suspended);
    let open = json!([{"landingZone": "orders", "zone": "web", "peerZone": "data", "ports": ["TCP 5000-5999"]}]);
    assert_eq!(json!(told(&resolved, "orders-db").open), open);
}
