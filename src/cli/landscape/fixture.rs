//! Declarations for tests.

/// Two landing zones with subnets of their own, and what crosses between them. No rule of a group can name SCTP.
pub(in crate::cli) const APART: &str = "\
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
