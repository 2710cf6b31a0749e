//! A small cluster to send packets through.

use std::sync::LazyLock;

use super::declared::Declared;
use super::dump::{Dump, Rest};
use super::inventory::Inventory;
use super::packet::{self, Line, Packet};
use super::proposal::Proposals;
use super::proposer;
use super::tally::{Tallied, Tally};
use crate::cli::declaration;
use crate::cli::source::{Origin, SourceFile};
use crate::domain::{LandingZone, Platform};

/// Landing zones shop (frontend, backend, data) and orders (data), and pods in and beside them.
pub const DECLARED: &str = "
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: shop}
spec:
  applicationCode: shop
  namespaces:
  - {name: shop-web, zone: frontend}
  - {name: shop-api, zone: backend}
  - {name: shop-db, zone: data}
  network:
    flows:
    - {name: web-to-api, from: {zone: frontend}, to: {zone: backend}, ports: [{protocol: TCP, port: 8080, endPort: 8090}]}
    - {name: leader, from: {zone: backend, podSelector: {matchLabels: {role: leader}}}, to: {zone: data}, ports: [{protocol: TCP, port: 5432}]}
    - {name: data-to-web, from: {zone: data}, to: {zone: frontend}}
    sharedServices: [ingress]
    egress:
    - {name: to-orders, from: {zone: backend}, to: {landingZone: orders, zone: data}, ports: [{protocol: TCP, port: 6000}]}
    - {name: to-orders-half, to: {landingZone: orders}, ports: [{protocol: TCP, port: 7000}]}
    - {name: payments, from: {zone: backend}, to: {cidrs: [198.51.100.0/24], except: [198.51.100.7/32]}, ports: [{protocol: TCP, port: 443}]}
    - {name: near-metadata, from: {zone: backend}, to: {cidrs: [169.254.0.0/16]}}
    - {name: bank, from: {zone: backend}, to: {destination: bank}}
    - {name: api, from: {zone: backend}, to: {apiServer: true}}
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: orders}
spec:
  applicationCode: orders
  namespaces: [{name: orders-db, zone: data}]
  network:
    intraZone: FlowsOnly
    egress:
    - {name: identity, to: {cidrs: [169.254.169.254/32]}, acknowledge: MetadataService, ports: [{protocol: TCP, port: 80}]}
    ingress:
    - {name: from-shop, from: {landingZone: shop, zone: backend}, ports: [{protocol: TCP, port: 6000}]}
    - {name: from-shop-half, from: {landingZone: shop}, to: {podSelector: {matchLabels: {app: db}}}, ports: [{protocol: TCP, port: 7001}]}
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata: {name: cluster}
spec:
  network: {podCidrs: [10.244.0.0/16], nodeCidrs: [10.240.0.0/24], apiServer: [10.2.0.4]}
  dns: {extraAddresses: [169.254.20.10]}
  sharedServices:
  - name: ingress
    peers: [{namespaceSelector: {matchLabels: {tier: edge}}, podSelector: {matchLabels: {app: nginx}}}]
    direction: ToLandingZones
    ports: [{protocol: TCP, port: 8080}]
  - {name: agent, peers: [{nodes: true}], direction: FromLandingZones, ports: [{protocol: TCP, port: 24224}]}
  - {name: subnet, peers: [{cidrs: [10.1.8.0/24]}], direction: Both, landingZones: All}
  destinations:
  - {name: bank, owner: treasury, cidrs: [192.0.2.0/28], ports: [{protocol: TCP, port: 443}]}
";

/// What kubectl dumps of the same cluster.
pub const DUMPED: &str = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop-web}, status: {podIP: 10.244.1.1}}
- {apiVersion: v1, kind: Pod, metadata: {name: web-2, namespace: shop-web}, status: {podIP: 10.244.1.2}}
- {apiVersion: v1, kind: Pod, metadata: {name: api-1, namespace: shop-api, labels: {role: leader}}, status: {podIP: 10.244.2.1}}
- {apiVersion: v1, kind: Pod, metadata: {name: api-2, namespace: shop-api}, status: {podIP: 10.244.2.2}}
- {apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop-db}, status: {podIP: 10.244.3.1}}
- {apiVersion: v1, kind: Pod, metadata: {name: db-1, namespace: orders-db, labels: {app: db}}, status: {podIP: 10.244.4.1}}
- {apiVersion: v1, kind: Pod, metadata: {name: job-1, namespace: orders-db, labels: {app: job}}, status: {podIP: 10.244.4.2}}
- {apiVersion: v1, kind: Pod, metadata: {name: bare-1, namespace: orders-db}, status: {podIP: 10.244.4.3}}
- {apiVersion: v1, kind: Pod, metadata: {name: bare-2, namespace: orders-db}, status: {podIP: 10.244.4.4}}
- {apiVersion: v1, kind: Pod, metadata: {name: prom, namespace: monitoring}, status: {podIP: 10.244.5.1}}
- {apiVersion: v1, kind: Pod, metadata: {name: old, namespace: shop-old}, status: {podIP: 10.244.5.2}}
- {apiVersion: v1, kind: Pod, metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}, status: {podIP: 10.244.6.1}}
- {apiVersion: v1, kind: Pod, metadata: {name: forged, namespace: monitoring, labels: {k8s-app: kube-dns}}, status: {podIP: 10.244.6.2}}
- {apiVersion: v1, kind: Pod, metadata: {name: nginx, namespace: edge, labels: {app: nginx}}, status: {podIP: 10.244.7.1}}
- {apiVersion: v1, kind: Pod, metadata: {name: other, namespace: edge}, status: {podIP: 10.244.7.2}}
- {apiVersion: v1, kind: Namespace, metadata: {name: edge, labels: {tier: edge}}}
- {apiVersion: v1, kind: Namespace, metadata: {name: shop-old, labels: {applicationcode: shop}}}
- {apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 10.240.0.4}]}}
";

/// What files say.
pub struct Cluster {
    /// The landing zones.
    pub zones: Vec<LandingZone>,
    /// What holds for all of them.
    pub platform: Platform,
    /// Pods, namespaces and nodes.
    pub dump: Dump,
}

impl Cluster {
    /// A cluster out of two files.
    pub fn new(declared: &str, dumped: &str) -> Self {
        let mut dump = Dump::default();
        assert_eq!(dump.add(&file(dumped)), Ok(Rest::Nothing));
        let declared = declaration::read(&[file(declared)], &Platform::default()).unwrap();
        assert_eq!(declared.findings, []);
        Self {
            zones: declared.zones,
            platform: declared.platform,
            dump,
        }
    }

    /// The landing zones of [`DECLARED`], and other pods.
    pub fn with(dumped: &str) -> Self {
        let mut dump = Dump::default();
        assert_eq!(dump.add(&file(dumped)), Ok(Rest::Nothing));
        let usual = Self::usual();
        Self {
            zones: usual.zones.clone(),
            platform: usual.platform.clone(),
            dump,
        }
    }

    /// The cluster of [`DECLARED`] and [`DUMPED`].
    pub fn usual() -> &'static Self {
        static USUAL: LazyLock<Cluster> = LazyLock::new(|| Cluster::new(DECLARED, DUMPED));
        &USUAL
    }

    /// Counts what a log tells.
    pub fn tallied(&self, log: &[String]) -> Tallied {
        self.told(log).0
    }

    /// Proposes what a log asks for.
    pub fn proposed(&self, log: &[String]) -> Proposals {
        self.told(log).1
    }

    fn told(&self, log: &[String]) -> (Tallied, Proposals) {
        let inventory = Inventory::new(&self.dump, &self.zones, &self.platform);
        let declared = Declared::new(&self.zones, &self.platform);
        let mut tally = Tally::new(&inventory, &declared);
        for line in log {
            tally.add(packet(line));
        }
        let tallied = tally.finish();
        let proposals = proposer::propose(&tallied, &declared, &inventory);
        (tallied, proposals)
    }
}

/// A file that was named.
pub fn file(text: &str) -> SourceFile {
    SourceFile {
        name: "a.yaml".to_owned(),
        text: text.to_owned(),
        origin: Origin::Named,
    }
}

/// A line about a packet: addresses, and what comes behind the protocol's name.
pub fn line(from: &str, to: &str, rest: &str) -> String {
    format!("calico-packet: IN= OUT= SRC={from} DST={to} LEN=60 TTL=63 ID=0 PROTO={rest}")
}

/// A line about a TCP connection that is opened.
pub fn syn(from: &str, to: &str, port: u16) -> String {
    line(from, to, &format!("TCP SPT=41000 DPT={port} SYN"))
}

fn packet(line: &str) -> Packet {
    match packet::read(line.as_bytes(), "calico-packet") {
        Line::Packet(packet) => packet,
        other => panic!("{other:?}: {line}"),
    }
}
