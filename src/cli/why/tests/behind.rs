//! What network security groups deny that policies let through.

use super::*;
use crate::cli::landscape::fixture::APART;

#[test]
fn both_layers_are_told() {
    let rule = ": OthersInBound (4096) denies: SCTP 3868";
    let one = ask_of(APART, "shop/web", "orders/api:3868/SCTP").1;
    assert!(
        one.contains("SCTP 3868: allowed by policies, and denied by a network security group"),
        "{one}"
    );
    assert!(one.contains(rule), "{one}");
    let open = ask_of(APART, "shop/web", "orders/api:8443").1;
    assert!(open.contains("TCP 8443: allowed\n"), "{open}");
    assert!(
        open.contains("network security groups\n    allow: TCP 8443"),
        "{open}"
    );
    let all = ask_of(APART, "shop/web", "orders/api").1;
    assert!(all.contains(rule), "{all}");
}
