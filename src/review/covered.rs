//! What a landing zone and the platform declare to be open, as conditions on the other end.

use ipnet::IpNet;

use super::known::{canonical, of_namespace};
use super::landscape::{Boundary, KnownNamespace, Landscape};
use crate::api::names::{API_SERVER_PORT, APPLICATION_CODE, OWNER, ZONE};
use crate::api::{CrossingDirection, CrossingState, Protocol};
use crate::domain::{Fqdn, Opening, PortRange, Reach, Zone};
use crate::policy::{LabelMap, NAMESPACE, PortMatch, Selector, TransportProtocol, Way};

/// One thing that is open.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cover {
    /// What it is, in words.
    pub(super) what: String,
    /// Pods that are meant; None: none.
    pub(super) pods: Option<Selector>,
    /// Addresses that are meant.
    pub(super) nets: Vec<IpNet>,
    /// Addresses among them that are not.
    pub(super) except: Vec<IpNet>,
    /// A service that is meant: namespace and name.
    pub(super) service: Option<(&'static str, &'static str)>,
    /// Ports; empty: all.
    ports: Vec<PortRange>,
    /// Labels that pods inside must have.
    pub(super) own: Selector,
}

/// The ports of a rule: its protocol, and which of the protocol's ports; empty: all.
pub(super) type RulePorts<'a> = (Option<TransportProtocol>, &'a [PortMatch]);

impl Cover {
    /// Whether it opens all ports that a rule is about.
    pub(super) fn has_ports(&self, (protocol, ports): RulePorts<'_>) -> bool {
        if self.ports.is_empty() {
            return true;
        }
        let of_protocol: Vec<_> = self
            .ports
            .iter()
            .filter(|it| protocol == Some(transport(it.protocol)))
            .collect();
        let is_open = |first: u16, last: u16| {
            let mut open = of_protocol.iter();
            open.any(|it| it.first <= first && last <= it.last)
        };
        let is_match = |port: &PortMatch| match port {
            PortMatch::Range(first, last) => is_open(*first, *last),
            PortMatch::Named(_) => false,
        };
        if ports.is_empty() {
            return is_open(1, u16::MAX);
        }
        ports.iter().all(is_match)
    }

    /// The API server's service opens the ports that are its own; its addresses are open on one port only.
    fn of_api_server(self) -> Vec<Self> {
        let by_address = Self {
            what: self.what.clone(),
            pods: None,
            nets: self.nets,
            except: Vec::new(),
            service: None,
            ports: vec![PortRange {
                protocol: Protocol::TCP,
                first: API_SERVER_PORT,
                last: API_SERVER_PORT,
            }],
            own: self.own.clone(),
        };
        let by_service = Self {
            nets: Vec::new(),
            ..self
        };
        vec![by_service, by_address]
    }

    /// The parts of a rule's ports on which it does not change whether something is open.
    pub(super) fn cut(
        &self,
        protocol: Option<TransportProtocol>,
        parts: Vec<PortMatch>,
    ) -> Vec<PortMatch> {
        let own = self.ports.iter();
        let own = own.filter(|it| protocol == Some(transport(it.protocol)));
        let mut edges: Vec<u16> = own
            .flat_map(|it| [Some(it.first), it.last.checked_add(1)])
            .flatten()
            .collect();
        edges.sort_unstable();
        let cut = |part: PortMatch| {
            let PortMatch::Range(mut first, last) = part else {
                return vec![part];
            };
            let mut parts = Vec::new();
            for edge in edges.iter().copied().filter(|it| *it <= last) {
                if first < edge {
                    parts.push(PortMatch::Range(first, edge - 1));
                    first = edge;
                }
            }
            parts.push(PortMatch::Range(first, last));
            parts
        };
        parts.into_iter().flat_map(cut).collect()
    }

    /// Whether it may open any of the ports that a rule is about.
    pub(super) fn may_have_ports(&self, (protocol, ports): RulePorts<'_>) -> bool {
        let own: Vec<_> = self
            .ports
            .iter()
            .filter(|it| protocol.is_none_or(|protocol| protocol == transport(it.protocol)))
            .collect();
        let is_open = |port: &PortMatch| match port {
            PortMatch::Range(first, last) => {
                own.iter().any(|it| it.first <= *last && *first <= it.last)
            }
            PortMatch::Named(_) => !own.is_empty(),
        };
        self.ports.is_empty() || (ports.is_empty() && !own.is_empty()) || ports.iter().any(is_open)
    }

    /// Whether some pods that a policy selects are among those that it is for.
    pub(super) fn may_be_for(&self, selected: &Selector) -> bool {
        let both = [selected.clone(), self.own.clone()];
        !matches!(crate::policy::example(&both), Ok(None))
    }

    /// Whether all pods that a policy selects are among those that it is for.
    pub(super) fn is_for(&self, selected: &Selector) -> bool {
        let others = [selected.clone(), self.own.clone().negate()];
        matches!(crate::policy::example(&others), Ok(None))
    }
}

/// A protocol of a crossing, as packets have it.
pub(super) fn transport(protocol: Protocol) -> TransportProtocol {
    match protocol {
        Protocol::TCP => TransportProtocol::TCP,
        Protocol::UDP => TransportProtocol::UDP,
        Protocol::SCTP => TransportProtocol::SCTP,
    }
}

/// What is open for pods of a namespace in one direction.
pub(super) fn covers(
    boundary: &Boundary,
    namespace: Option<&KnownNamespace>,
    way: Way,
    landscape: &Landscape,
) -> Vec<Cover> {
    let direction = match way {
        Way::Ingress => CrossingDirection::Ingress,
        Way::Egress => CrossingDirection::Egress,
    };
    let zone = namespace.and_then(KnownNamespace::zone);
    let openings = &boundary.openings;
    let services = openings.services.iter().map(|it| (it, true));
    let crossings = openings.crossings.iter().map(|it| (it, false));
    let mut covers: Vec<_> = services
        .chain(crossings)
        .filter(|(it, _)| it.direction == direction)
        .filter(|(it, _)| {
            let own = it.own.zone.as_ref();
            own.is_none_or(|own| Some(own.as_str()) == zone)
        })
        .flat_map(|(opening, is_shared)| {
            let cover = cover(opening, is_shared, boundary, landscape);
            match opening.reach {
                Reach::ApiServer(_) => cover.of_api_server(),
                _ => vec![cover],
            }
        })
        .collect();
    if way == Way::Egress {
        covers.push(dns(landscape));
    }
    covers
}

/// DNS is open to every landing zone.
fn dns(landscape: &Landscape) -> Cover {
    let port = |protocol| PortRange {
        protocol,
        first: 53,
        last: 53,
    };
    Cover {
        what: "the cluster's DNS, which every landing zone may use".to_owned(),
        pods: Some(Selector::and([
            Selector::equal(NAMESPACE, "kube-system"),
            Selector::equal("k8s-app", "kube-dns"),
        ])),
        nets: landscape.platform.dns_addresses.clone(),
        except: Vec::new(),
        service: Some(("kube-system", "kube-dns")),
        ports: vec![port(Protocol::TCP), port(Protocol::UDP)],
        own: Selector::All,
    }
}

fn cover(opening: &Opening, is_shared: bool, boundary: &Boundary, landscape: &Landscape) -> Cover {
    let mut cover = Cover {
        what: String::new(),
        pods: None,
        nets: Vec::new(),
        except: Vec::new(),
        service: None,
        ports: opening.ports.clone(),
        own: Selector::from(&opening.own.pod_labels),
    };
    let what = match &opening.reach {
        Reach::LandingZone { name, end } => {
            let of_zone = end.zone.as_ref().map(Zone::as_str);
            let pods = pods_of(name.as_str(), (of_zone, &end.pod_labels), landscape);
            cover.pods = Some(pods);
            let zone = end.zone.as_ref().map(|zone| format!(", zone {zone}"));
            format!("to landing zone {name}{}", zone.unwrap_or_default())
        }
        Reach::Namespaces {
            namespace_labels,
            pod_labels,
        } => {
            let namespaces = namespace_labels
                .iter()
                .map(|(key, value)| Selector::equal(of_namespace(key), value));
            let pods = Selector::from(pod_labels);
            cover.pods = Some(canonical(Selector::and(namespaces.chain([pods]))));
            let labels: Vec<_> = namespace_labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            format!("to namespaces labelled {}", labels.join(", "))
        }
        Reach::Addresses { nets, except, .. } => {
            cover.nets.clone_from(nets);
            cover.except.clone_from(except);
            let nets: Vec<_> = nets.iter().map(ToString::to_string).collect();
            format!("to {}", nets.join(", "))
        }
        Reach::Fqdns {
            names,
            nets,
            except,
            ..
        } => {
            cover.nets.clone_from(nets);
            cover.except.clone_from(except);
            let names: Vec<_> = names.iter().map(Fqdn::as_str).collect();
            format!("through the firewall to {}", names.join(", "))
        }
        Reach::ApiServer(nets) => {
            cover.nets.clone_from(nets);
            cover.service = Some(("default", "kubernetes"));
            "to the API server".to_owned()
        }
    };
    cover.what = if is_shared {
        format!("a shared service of the platform, {what}")
    } else {
        match name_of(opening, boundary) {
            Some(name) => format!("crossing {name}, {what}"),
            // Its ports tell it from the others.
            None if opening.ports.is_empty() => format!("a crossing {what}"),
            None => {
                let ports = opening.ports.iter().map(ToString::to_string);
                let ports: Vec<_> = ports.collect();
                format!("a crossing {what} on {}", ports.join(", "))
            }
        }
    };
    cover
}

/// Pods of a landing zone: of one of its zones, where one is named, and with these labels.
pub(super) fn pods_of(
    landing_zone: &str,
    (zone, labels): (Option<&str>, &LabelMap),
    landscape: &Landscape,
) -> Selector {
    let mut marks = vec![Selector::equal(of_namespace(OWNER), landing_zone)];
    let mut names = Vec::new();
    if let Some(theirs) = landscape.called(landing_zone) {
        marks.push(Selector::equal(
            of_namespace(APPLICATION_CODE),
            &theirs.code,
        ));
        names.extend(theirs.namespaces.iter().cloned());
    }
    let mut pods = Selector::any_of(marks);
    if let Some(zone) = zone {
        pods = Selector::and([pods, Selector::equal(of_namespace(ZONE), zone)]);
        names.retain(|it| {
            let known = landscape.namespace(it).and_then(KnownNamespace::zone);
            known == Some(zone)
        });
    }
    let by_name = Selector::one_of(NAMESPACE, names);
    Selector::and([Selector::any_of([pods, by_name]), Selector::from(labels)])
}

/// The name of the crossing that opens something, where only one can be meant.
fn name_of(opening: &Opening, boundary: &Boundary) -> Option<String> {
    let peer = match &opening.reach {
        Reach::LandingZone { name, .. } => format!("landing zone {name}"),
        Reach::ApiServer(_) => "the API server".to_owned(),
        Reach::Addresses { nets, .. } => nets.first()?.to_string(),
        Reach::Fqdns { crossing, .. } => return Some(crossing.clone()),
        Reach::Namespaces { .. } => return None,
    };
    let is_it =
        |peers: &str| peers.split([',', ' ']).any(|it| it == peer) || peers.starts_with(&peer);
    let mut names = boundary.declared.iter().filter(|it| {
        it.state == CrossingState::Open
            && it.direction == Some(opening.direction)
            && is_it(&it.peer)
    });
    let first = names.next()?;
    names.next().is_none().then(|| first.name.clone())
}
