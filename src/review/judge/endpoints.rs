//! Addresses behind services: a rule by a service means whatever somebody wrote there.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Endpoints;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::Judge;
use crate::domain::FieldPath;
use crate::policy::{PortMatch, Selector, TransportProtocol, Way};
use crate::review::Rule;
use crate::review::address::without;
use crate::review::covered::{Cover, covers};

/// So many addresses are named.
const SHOWN: usize = 3;

/// An address behind a service.
struct Address {
    net: IpNet,
    at: FieldPath,
    /// Whether it is said to be that of a pod of the namespace.
    is_of_pod: bool,
}

/// Ports on which a service's addresses answer; no port: any of the protocol.
type Ports = Vec<(Option<TransportProtocol>, Option<u16>)>;

/// Services that landing zones reach whatever is behind them: the API server, by a crossing, and the cluster's DNS.
const OF_THE_CLUSTER: [(&str, &str, &str); 2] = [
    ("default", "kubernetes", "for the API server"),
    ("kube-system", "kube-dns", "for the cluster's DNS"),
];
/// By which label a slice belongs to its service.
const SERVICE: &str = "kubernetes.io/service-name";

impl Judge<'_> {
    /// What stands behind the API server and DNS in a file, which in a cluster the API server and its controllers write.
    fn behind_the_cluster(&mut self, namespace: Option<&str>, service: Option<&str>) {
        let is_it = |it: &&(&str, &str, &str)| Some(it.0) == namespace && Some(it.1) == service;
        let Some((namespace, service, what)) = OF_THE_CLUSTER.iter().find(is_it) else {
            return;
        };
        if self.object.is_by_hand {
            self.find(
                Rule::DecidesUnread,
                FieldPath::default(),
                format!(
                    "it decides what is behind the service {namespace}/{service}, which landing zones may take {what}, and \
                     Kubernetes writes that itself"
                ),
                "remove it; if it is meant, have somebody who knows the cluster read it",
            );
        }
    }

    pub(super) fn slice(&mut self, slice: &EndpointSlice) {
        let labels = slice.metadata.labels.as_ref();
        let service = labels.and_then(|it| it.get(SERVICE)).map(String::as_str);
        self.behind_the_cluster(slice.metadata.namespace.as_deref(), service);
        let at = FieldPath::default().key("endpoints");
        let mut addresses = Vec::new();
        for (index, endpoint) in slice.endpoints.iter().enumerate() {
            let target = endpoint.target_ref.as_ref();
            let is_of_pod = target.is_some_and(|it| it.kind.as_deref() == Some("Pod"));
            for (position, text) in endpoint.addresses.iter().enumerate() {
                let at = at.index(index).key("addresses").index(position);
                addresses.extend(address(text, at, is_of_pod));
            }
        }
        let ports = slice.ports.iter().flatten();
        let ports = ports.map(|it| port(it.protocol.as_deref(), it.port));
        self.behind_service(
            slice.metadata.namespace.as_deref(),
            addresses,
            &ports.collect(),
        );
    }

    pub(super) fn endpoints(&mut self, endpoints: &Endpoints) {
        let metadata = &endpoints.metadata;
        self.behind_the_cluster(metadata.namespace.as_deref(), metadata.name.as_deref());
        let at = FieldPath::default().key("subsets");
        let mut addresses = Vec::new();
        let mut ports = Ports::new();
        for (index, subset) in endpoints.subsets.iter().flatten().enumerate() {
            let ready = subset.addresses.iter().flatten().enumerate();
            let ready = ready.map(|it| ("addresses", it));
            let others = subset.not_ready_addresses.iter().flatten().enumerate();
            let others = others.map(|it| ("notReadyAddresses", it));
            for (field, (position, one)) in ready.chain(others) {
                let target = one.target_ref.as_ref();
                let is_of_pod = target.is_some_and(|it| it.kind.as_deref() == Some("Pod"));
                let at = at.index(index).key(field).index(position).key("ip");
                addresses.extend(address(&one.ip, at, is_of_pod));
            }
            let own = subset.ports.iter().flatten();
            ports.extend(own.map(|it| port(it.protocol.as_deref(), Some(it.port))));
        }
        self.behind_service(endpoints.metadata.namespace.as_deref(), addresses, &ports);
    }

    /// Finds addresses outside of the landing zone that the namespace belongs to.
    fn behind_service(
        &mut self,
        namespace: Option<&str>,
        mut addresses: Vec<Address>,
        ports: &Ports,
    ) {
        let inside = namespace.and_then(|it| self.landscape.of_namespace(it));
        let Some((boundary, known)) = inside else {
            return;
        };
        let pods = &self.landscape.platform.pod_cidrs;
        let is_by_hand = self.object.is_by_hand;
        // Kubernetes' own controllers name the pod; by hand anybody can.
        addresses.retain(|it| {
            let is_pods = pods.is_empty() || pods.iter().any(|range| range.contains(&it.net));
            is_by_hand || !it.is_of_pod || !is_pods
        });
        if addresses.is_empty() {
            return;
        }
        let mut covers = covers(boundary, Some(known), Way::Egress, self.landscape);
        covers.retain(|it| it.is_for(&Selector::All) && opens(it, ports));
        let open: Vec<_> = covers
            .iter()
            .map(|it| (it.what.as_str(), without(&it.nets, &it.except)))
            .collect();
        let mut what: BTreeSet<&str> = BTreeSet::new();
        let (declared, undeclared): (Vec<_>, Vec<_>) = addresses.iter().partition(|address| {
            let holds = |nets: &[IpNet]| nets.iter().any(|range| range.contains(&address.net));
            let declaring = open.iter().find(|(_, nets)| holds(nets));
            what.extend(declaring.map(|(what, _)| what));
            declaring.is_some()
        });
        let told = if undeclared.is_empty() {
            &declared
        } else {
            &undeclared
        };
        let shown: Vec<_> = told
            .iter()
            .take(SHOWN)
            .map(|it| it.net.addr().to_string())
            .collect();
        let more = if told.len() > SHOWN { " and more" } else { "" };
        let shown = shown.join(", ");
        let what: Vec<_> = what.into_iter().collect();
        let is_declared = undeclared.is_empty();
        let suggestion = if is_declared {
            String::new()
        } else {
            let own = boundary.landing_zone.as_deref().unwrap_or(&boundary.code);
            format!(
                "if it is meant, declare the addresses as network.egress in landing zone {own}; or let a selector find \
                 them"
            )
        };
        self.find_who(
            Rule::EndpointsOutside,
            told[0].at.clone(),
            format!(
                "they are written by hand, or are no pods of {boundary}: a rule by the service means them all the same"
            ),
            suggestion,
            format!("pods of {boundary} could reach {shown}{more} by a rule that names the service"),
        );
        if let Some(found) = self.findings.last_mut().filter(|_| is_declared) {
            found.declared = Some(what.join("; "));
        }
    }
}

/// Whether all ports of a service are open.
fn opens(cover: &Cover, ports: &Ports) -> bool {
    if ports.is_empty() {
        return cover.has_ports((None, &[]));
    }
    ports.iter().all(|(protocol, port)| {
        let port = port.map(|it| PortMatch::Range(it, it));
        cover.has_ports((*protocol, port.as_slice()))
    })
}

fn address(text: &str, at: FieldPath, is_of_pod: bool) -> Option<Address> {
    // What is none, as a name, Calico leaves out.
    let address: IpAddr = text.parse().ok()?;
    Some(Address {
        net: IpNet::from(address),
        at,
        is_of_pod,
    })
}

fn port(protocol: Option<&str>, port: Option<i32>) -> (Option<TransportProtocol>, Option<u16>) {
    let protocol = TransportProtocol::read(protocol.unwrap_or("TCP"));
    (protocol, port.and_then(|it| u16::try_from(it).ok()))
}
