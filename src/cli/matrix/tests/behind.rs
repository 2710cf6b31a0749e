//! What network security groups deny that policies let through.

use super::*;
use crate::cli::landscape::fixture::APART;

#[test]
fn what_a_network_security_group_denies_does_not_pass() {
    let entries = json(&[("all.yaml", APART)], &["-f", "all.yaml", "-o", "json"]);
    assert_eq!(
        told(&entries, "shop/web", "orders/api"),
        "allowed TCP 8443; denied SCTP 3868"
    );
    let denied = entries.iter().find(|it| !it["securityGroup"].is_null());
    let rule = denied.unwrap()["securityGroup"].as_str().unwrap();
    assert!(rule.starts_with("nsg-aks-orders-"), "{rule}");
    assert!(rule.ends_with(": OthersInBound (4096)"), "{rule}");
    assert_eq!(told(&entries, "shop/web", "shop/web"), "allowed any");
    let (_, table, _) = run(&[("all.yaml", APART)], &["-f", "all.yaml"]);
    let line = format!("policies allow, network security group {rule} denies");
    assert!(table.contains(&line), "{table}");
    let open = json(
        &[("all.yaml", APART)],
        &["-f", "all.yaml", "-o", "json", "--only", "open"],
    );
    assert!(
        open.iter().all(|it| it["securityGroup"].is_null()),
        "{open:?}"
    );
}

/// Where they do not see pods, they have no say about them.
#[test]
fn with_an_overlay_policies_alone_decide() {
    let overlay = APART.replace(
        "plugin: AzureCNI, podCidrs: [10.1.0.0/16]",
        "plugin: AzureCNIOverlay, podCidrs: [10.244.0.0/16]",
    );
    let entries = json(&[("all.yaml", &overlay)], &["-f", "all.yaml", "-o", "json"]);
    assert_eq!(
        told(&entries, "shop/web", "orders/api"),
        "allowed TCP 8443; allowed SCTP 3868"
    );
}
