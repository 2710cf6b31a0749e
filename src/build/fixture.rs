//! Landing zones for tests: the sample of the articles, and generated ones.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::Released;
use crate::api::{
    AdoptionPolicy, CrossingDirection, DeletePolicy, IntraZone, NodeOperator, PodSecurity,
    Protocol, Stage, SubjectKind, TolerationEffect, TolerationOperator, WhenUnsatisfiable,
};
use crate::domain::{
    Access, CalicoNaming, CrossingEnd, Flavour, Flow, FlowEnd, LandingZone, LandingZoneAzure,
    Namespace, Network, NodeRequirement, Opening, Openings, Placement, Platform, PolicyApi,
    PortRange, Reach, Toleration,
};

pub(super) const V3_TIERS: Flavour = calico(PolicyApi::CalicoV3, true, CalicoNaming::TierPrefixed);
pub(super) const V3_NO_TIERS: Flavour =
    calico(PolicyApi::CalicoV3, false, CalicoNaming::TierPrefixed);
pub(super) const CRD_NO_TIERS: Flavour =
    calico(PolicyApi::CalicoCrdV1, false, CalicoNaming::TierPrefixed);
pub(super) const CRD_TIERS: Flavour =
    calico(PolicyApi::CalicoCrdV1, true, CalicoNaming::TierPrefixed);
pub(super) const CRD_PLAIN: Flavour = calico(PolicyApi::CalicoCrdV1, true, CalicoNaming::Plain);
pub(super) const CALICO: [Flavour; 5] = [V3_TIERS, V3_NO_TIERS, CRD_NO_TIERS, CRD_TIERS, CRD_PLAIN];

const fn calico(api: PolicyApi, tiers: bool, naming: CalicoNaming) -> Flavour {
    Flavour {
        api,
        tiers,
        staged: false,
        naming,
    }
}

pub(crate) fn landing_zone(name: &str) -> LandingZone {
    LandingZone {
        name: name.parse().unwrap(),
        code: "app".parse().unwrap(),
        contact: None,
        stage: Stage::Enforce,
        suspend: false,
        adoption_policy: AdoptionPolicy::Never,
        delete_policy: DeletePolicy::Keep,
        quota_total: BTreeMap::new(),
        namespaces: Vec::new(),
        access: Vec::new(),
        placement: None,
        network: Network::default(),
        azure: LandingZoneAzure::default(),
    }
}

pub(crate) fn namespace(name: &str, zone: &str) -> Namespace {
    Namespace {
        name: name.parse().unwrap(),
        zone: zone.parse().unwrap(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        pod_security: PodSecurity::Restricted,
        quota: BTreeMap::new(),
        limits: None,
    }
}

pub(super) fn released(name: &str, zone: &str) -> Released {
    Released {
        name: name.parse().unwrap(),
        zone: zone.parse().unwrap(),
    }
}

pub(super) fn end(zone: &str, labels: &[(&str, &str)]) -> FlowEnd {
    FlowEnd {
        zone: zone.parse().unwrap(),
        pod_labels: labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

pub(super) fn flow(name: &str, from: FlowEnd, to: FlowEnd, ports: &[(u16, u16)]) -> Flow {
    let tcp = |&(first, last)| PortRange {
        protocol: Protocol::TCP,
        first,
        last,
    };
    Flow {
        name: name.to_owned(),
        from,
        to,
        ports: ports.iter().map(tcp).collect(),
    }
}

pub(super) fn access(kind: SubjectKind, name: &str, role: &str, zones: &[&str]) -> Access {
    let (namespace, name) = match (kind, name.split_once(':')) {
        (SubjectKind::ServiceAccount, Some((namespace, name))) => {
            (Some(namespace.to_owned()), name)
        }
        _ => (None, name),
    };
    Access {
        kind,
        namespace,
        name: name.to_owned(),
        role: role.to_owned(),
        zones: zones.iter().map(|zone| zone.parse().unwrap()).collect(),
    }
}

/// The three layers of the articles, with a flow from each to the next.
pub(super) fn sample() -> LandingZone {
    let mut zone = landing_zone("application2");
    zone.code = "application2".parse().unwrap();
    zone.namespaces = vec![
        namespace("application2-ns1", "frontend"),
        namespace("application2-ns2", "backend"),
        namespace("application2-ns3", "data"),
    ];
    zone.network.flows = vec![
        flow(
            "web-to-api",
            end("frontend", &[]),
            end("backend", &[]),
            &[(8080, 8080)],
        ),
        flow(
            "api-to-data",
            end("backend", &[]),
            end("data", &[]),
            &[(5432, 5440)],
        ),
    ];
    zone
}

pub(super) fn platform() -> Platform {
    Platform {
        pod_cidrs: vec!["10.244.0.0/16".parse().unwrap()],
        dns_addresses: vec!["169.254.20.10/32".parse().unwrap()],
        ..Platform::default()
    }
}

const ZONES: [&str; 6] = ["frontend", "web-tier", "data", "deny", "flows", "a--b"];

/// Any landing zone that validation lets through, with what was released from it.
pub(super) fn any_landing_zone() -> impl Strategy<Value = (LandingZone, Vec<Released>)> {
    let names = proptest::collection::btree_set("[a-z]([a-z0-9-]{0,61}[a-z0-9])?", 1..=50)
        .prop_map(|names| {
            let good = |name: &String| name.parse::<crate::domain::NamespaceName>().is_ok();
            names.into_iter().filter(good).collect::<Vec<_>>()
        });
    let flows = proptest::collection::vec(any_flow(), 0..12).prop_map(|mut flows| {
        for (number, flow) in flows.iter_mut().enumerate() {
            flow.name = format!("flow-{number}");
        }
        flows
    });
    (
        "[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
        names,
        proptest::collection::vec(select(&ZONES), 50),
        proptest::collection::vec(any::<bool>(), 50),
        flows,
        any::<bool>(),
        proptest::collection::vec(any_access(), 0..6),
        proptest::option::of(any_placement()),
    )
        .prop_map(
            |(name, names, zones, leaves, flows, flows_only, access, placement)| {
                let mut zone = landing_zone(&name);
                let mut gone = Vec::new();
                for ((name, layer), leaves) in names.iter().zip(zones).zip(leaves) {
                    if leaves {
                        gone.push(released(name, layer));
                    } else {
                        zone.namespaces.push(namespace(name, layer));
                    }
                }
                zone.access = access;
                zone.placement = placement;
                zone.network.flows = flows;
                if flows_only {
                    zone.network.intra_zone = IntraZone::FlowsOnly;
                }
                (zone, gone)
            },
        )
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let protocol = select(&[Protocol::TCP, Protocol::UDP, Protocol::SCTP]);
    let range =
        (protocol, 1..=u16::MAX, 1..=u16::MAX).prop_map(|(protocol, one, other)| PortRange {
            protocol,
            first: one.min(other),
            last: one.max(other),
        });
    (
        any_end(),
        any_end(),
        proptest::collection::vec(range, 0..70),
    )
        .prop_map(|(from, to, ports)| Flow {
            name: String::new(),
            from,
            to,
            ports,
        })
}

/// Labels with every character that Kubernetes allows, and words that mean something in selectors.
fn any_end() -> impl Strategy<Value = FlowEnd> {
    let word = select(&[
        "has", "all", "global", "in", "not", "contains", "starts", "ends",
    ]);
    let name = "[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?";
    let domain = "[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?(\\.[a-z0-9]{1,20}){0,10}";
    let key = prop_oneof![
        word.prop_map(str::to_owned),
        name.prop_map(String::from),
        (domain, name).prop_map(|(domain, name)| format!("{domain}/{name}")),
    ];
    let labels = proptest::collection::btree_map(key, prop_oneof!["", name], 0..8);
    (select(&ZONES), labels).prop_map(|(zone, pod_labels)| FlowEnd {
        zone: zone.parse().unwrap(),
        pod_labels,
    })
}

/// Anything that may be open across a boundary.
pub(super) fn any_openings() -> impl Strategy<Value = Openings> {
    let opening = || {
        let direction = select(&[CrossingDirection::Egress, CrossingDirection::Ingress]);
        (direction, any_crossing_end(), any_reach(), any_flow()).prop_map(
            |(direction, own, reach, flow)| Opening {
                // Nobody opens a connection from the API server.
                direction: match reach {
                    Reach::ApiServer(_) | Reach::Fqdns { .. } => CrossingDirection::Egress,
                    _ => direction,
                },
                own,
                reach,
                ports: flow.ports,
            },
        )
    };
    let several = move || proptest::collection::vec(opening(), 0..8);
    (several(), several()).prop_map(|(mut services, crossings)| {
        for service in &mut services {
            service.own = CrossingEnd::default();
        }
        Openings {
            services,
            crossings,
            pretenders: BTreeSet::new(),
        }
    })
}

fn any_crossing_end() -> impl Strategy<Value = CrossingEnd> {
    (any_end(), any::<bool>()).prop_map(|(end, everywhere)| CrossingEnd {
        zone: (!everywhere).then_some(end.zone),
        pod_labels: end.pod_labels,
    })
}

fn any_reach() -> impl Strategy<Value = Reach> {
    let nets = || any_platform().prop_map(|platform| platform.pod_cidrs);
    prop_oneof![
        ("[a-z]{1,40}", any_crossing_end()).prop_map(|(name, end)| Reach::LandingZone {
            name: name.parse().unwrap(),
            end,
        }),
        (any_end(), any_end()).prop_map(|(namespaces, pods)| Reach::Namespaces {
            namespace_labels: namespaces.pod_labels,
            pod_labels: pods.pod_labels,
        }),
        (nets(), nets(), any::<bool>()).prop_map(|(nets, except, without_pods)| {
            Reach::Addresses {
                nets,
                except,
                without_pods,
            }
        }),
        (nets(), nets(), any::<bool>()).prop_map(|(nets, except, without_pods)| Reach::Fqdns {
            crossing: "out".to_owned(),
            names: ["api.example.com".parse().unwrap()].into(),
            nets,
            except,
            without_pods,
        }),
        nets().prop_map(Reach::ApiServer),
    ]
}

fn any_access() -> impl Strategy<Value = Access> {
    let kind = select(&[
        SubjectKind::User,
        SubjectKind::Group,
        SubjectKind::ServiceAccount,
    ]);
    let role = select(&["view", "edit", "system:aggregate-to-view"]);
    (
        kind,
        select(&["ns:robot", "ns:other"]),
        role,
        subsequence(ZONES.to_vec(), 1..=ZONES.len()),
    )
        .prop_map(|(kind, name, role, zones)| access(kind, name, role, &zones))
}

fn any_placement() -> impl Strategy<Value = Placement> {
    let toleration = (
        select(&["stack", "gpu"]),
        proptest::option::of(select(&["a", "b"])),
        proptest::option::of(select(&[
            TolerationEffect::NoSchedule,
            TolerationEffect::NoExecute,
        ])),
    )
        .prop_map(|(key, value, effect)| Toleration {
            key: key.to_owned(),
            operator: match value {
                Some(_) => TolerationOperator::Equal,
                None => TolerationOperator::Exists,
            },
            value: value.map(str::to_owned),
            effect,
        });
    (
        proptest::collection::btree_map("[a-z]{1,5}", "[a-z]{1,5}", 0..3),
        proptest::collection::vec(toleration, 0..4),
        proptest::collection::vec(any_requirement(), 0..3),
        proptest::option::of(select(&[
            WhenUnsatisfiable::DoNotSchedule,
            WhenUnsatisfiable::ScheduleAnyway,
        ])),
    )
        .prop_map(
            |(node_selector, tolerations, node_affinity, spread)| Placement {
                node_selector,
                tolerations,
                node_affinity,
                spread,
                min_availability_zones: None,
                evict_misplaced: false,
            },
        )
}

fn any_requirement() -> impl Strategy<Value = NodeRequirement> {
    let operator = select(&[NodeOperator::In, NodeOperator::NotIn, NodeOperator::Exists]);
    let values = proptest::collection::btree_set("[a-z]{1,5}", 1..3);
    ("[a-z]{1,5}", operator, values).prop_map(|(key, operator, values)| NodeRequirement {
        key,
        operator,
        values: match operator {
            NodeOperator::Exists => BTreeSet::new(),
            NodeOperator::In | NodeOperator::NotIn => values,
        },
    })
}

/// Ranges of both families, canonical or not.
pub(super) fn any_platform() -> impl Strategy<Value = Platform> {
    let v4 = (any::<[u8; 4]>(), 0..=32u8)
        .prop_map(|(address, length)| ipnet::IpNet::new(address.into(), length).unwrap());
    let v6 = (any::<[u8; 16]>(), 0..=128u8)
        .prop_map(|(address, length)| ipnet::IpNet::new(address.into(), length).unwrap());
    let nets = || {
        let net = prop_oneof![v4.clone(), v6.clone()];
        proptest::collection::vec(net, 0..6)
    };
    (nets(), nets()).prop_map(|(pod_cidrs, dns_addresses)| Platform {
        pod_cidrs,
        dns_addresses,
        ..Platform::default()
    })
}
