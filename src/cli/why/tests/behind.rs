//! What network security groups deny that policies let through.

use super::*;

#[test]
fn both_layers_are_told() {
    let apart = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: shop}
spec:
  applicationCode: shop
  namespaces: [{name: shop-web, zone: web}]
  network:
    egress:
    - {name: orders, to: {landingZone: orders}, ports: [{protocol: TCP, port: 8443}, {protocol: SCTP, port: 3868}]}
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
    let rule = ": OthersInBound (4096) denies: SCTP 3868";
    let one = ask_of(apart, "shop/web", "orders/api:3868/SCTP").1;
    assert!(
        one.contains("SCTP 3868: allowed by policies, and denied by a network security group"),
        "{one}"
    );
    assert!(one.contains(rule), "{one}");
    let open = ask_of(apart, "shop/web", "orders/api:8443").1;
    assert!(open.contains("TCP 8443: allowed\n"), "{open}");
    assert!(
        open.contains("network security groups\n    allow: TCP 8443"),
        "{open}"
    );
    let all = ask_of(apart, "shop/web", "orders/api").1;
    assert!(all.contains(rule), "{all}");
}
