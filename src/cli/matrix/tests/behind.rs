//! What network security groups deny that policies let through.

use super::*;

/// Two landing zones with subnets of their own, and what crosses between them. No rule of a group can name SCTP.
const APART: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: shop}
spec:
  applicationCode: shop
  namespaces: [{name: shop-web, zone: web}]
  network:
    egress:
    - name: orders
      to: {landingZone: orders}
      ports: [{protocol: TCP, port: 8443}, {protocol: SCTP, port: 3868}]
  azure:
    nodePool: {vmSize: Standard_D4s_v5, min: 1, max: 2}
    subnet: {cidr: 10.1.4.0/24}
    networkSecurityGroup: Managed
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: orders}
spec:
  applicationCode: orders
  namespaces: [{name: orders-api, zone: api}]
  network:
    ingress: [{name: shop, from: {landingZone: shop}}]
  azure:
    nodePool: {vmSize: Standard_D4s_v5, min: 1, max: 2}
    subnet: {cidr: 10.1.5.0/24}
    networkSecurityGroup: Managed
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata: {name: cluster}
spec:
  network: {plugin: AzureCNI, podCidrs: [10.1.0.0/16]}
  azure:
    subscription: 00000000-0000-0000-0000-000000000001
    resourceGroup: rg
    location: westeurope
    cluster: aks
    virtualNetwork: {name: vnet, cidrs: [10.1.0.0/16]}
    systemSubnet: {name: system, cidr: 10.1.0.0/24}
";

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
