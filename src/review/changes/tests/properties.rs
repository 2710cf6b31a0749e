//! What holds for any declarations.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::fixture::{FLAVOURS, Stand, told};
use crate::api::{ServiceAudience, Stage};
use crate::build;
use crate::domain::{Flavour, Peer, PolicyApi, ServicePeer, TeamPolicies};
use crate::policy::{
    Endpoint, LabelMap, Packet, Place, Policy, TransportProtocol, World, Written, labels,
};
use crate::review::changes::estate::Estate;
use crate::review::changes::{ChangeKind, approval_required};

const NAMES: [&str; 3] = ["one", "two", "three"];

fn ports() -> impl Strategy<Value = String> {
    select(vec![
        "",
        ", ports: [{protocol: TCP, port: 80}, {protocol: TCP, port: 5432}]",
        ", ports: [{protocol: TCP, port: 80}]",
    ])
    .prop_map(str::to_owned)
}

fn end() -> impl Strategy<Value = String> {
    let app = "podSelector: {matchLabels: {app: a}}";
    select(vec![
        String::new(),
        "zone: web".to_owned(),
        format!("zone: data, {app}"),
        app.to_owned(),
    ])
}

fn egress(own: &'static str) -> impl Strategy<Value = String> {
    let others: Vec<_> = NAMES.into_iter().filter(|it| *it != own).collect();
    let zone = (select(others), end()).prop_map(|(name, end)| {
        let end = if end.is_empty() {
            end
        } else {
            format!(", {end}")
        };
        format!("{{landingZone: {name}{end}}}")
    });
    let nets = select(vec![
        "{cidrs: [198.51.100.0/24]}",
        "{cidrs: [198.51.100.0/24], except: [198.51.100.7/32]}",
        "{cidrs: [198.51.100.0/25, 10.240.0.0/16]}",
        "{destination: bank}",
    ]);
    let to = prop_oneof![3 => zone, 1 => nets.prop_map(str::to_owned)];
    (end(), to, ports()).prop_map(|(end, to, ports)| format!("from: {{{end}}}, to: {to}{ports}"))
}

fn ingress(own: &'static str) -> impl Strategy<Value = String> {
    let others: Vec<_> = NAMES.into_iter().filter(|it| *it != own).collect();
    (select(others), end(), end(), ports()).prop_map(|(name, from, to, ports)| {
        let from = if from.is_empty() {
            from
        } else {
            format!(", {from}")
        };
        format!("from: {{landingZone: {name}{from}}}, to: {{{to}}}{ports}")
    })
}

fn landing_zone(name: &'static str) -> impl Strategy<Value = String> {
    let list = |entries: Vec<String>| {
        let entries = entries.iter().enumerate();
        let entries = entries.map(|(number, it)| format!("{{name: c{number}, {it}}}"));
        entries.collect::<Vec<_>>().join(", ")
    };
    let several = |strategy: BoxedStrategy<String>| proptest::collection::vec(strategy, 0..3);
    (
        select(vec!["Enforce", "Enforce", "Enforce", "Observe"]),
        any::<bool>(),
        several(egress(name).boxed()),
        several(ingress(name).boxed()),
        select(vec!["", "monitoring"]),
        select(vec!["restricted", "baseline"]),
    )
        .prop_map(move |(stage, batch, egress, ingress, service, security)| {
            let batch = if batch { format!(", {{name: {name}-batch, zone: batch}}") } else { String::new() };
            format!(
                "kind: LandingZone\nmetadata: {{name: {name}}}\nspec:\n  applicationCode: {name}\n  stage: {stage}\n  \
                 namespaces: [{{name: {name}-web, zone: web, podSecurity: {security}}}, {{name: {name}-data, zone: data}}{batch}]\n  \
                 network: {{sharedServices: [{service}], egress: [{}], ingress: [{}]}}\n",
                list(egress),
                list(ingress)
            )
        })
}

fn platform() -> impl Strategy<Value = String> {
    (
        select(vec!["podCidrs: [10.244.0.0/16]", "nodeCidrs: [10.240.0.0/24, 10.240.9.0/24]"]),
        select(vec!["Declared", "All"]),
        select(vec!["192.0.2.0/28", "192.0.2.0/27"]),
    )
        .prop_map(|(network, audience, bank)| {
            format!(
                "kind: LandingZonePlatform\nmetadata: {{name: cluster}}\nspec:\n  network: {{{network}}}\n  \
                 destinations: [{{name: bank, owner: me, cidrs: [{bank}, 203.0.113.0/24]}}]\n  \
                 sharedServices:\n  - {{name: monitoring, direction: Both, landingZones: {audience}, ports: [{{protocol: TCP, port: 80}}], \
                 peers: [{{namespaceSelector: {{matchLabels: {{tier: monitoring}}}}}}, {{cidrs: [198.51.100.64/26]}}]}}\n"
            )
        })
}

fn stand() -> impl Strategy<Value = Stand> {
    let zones = (
        landing_zone(NAMES[0]),
        landing_zone(NAMES[1]),
        landing_zone(NAMES[2]),
    );
    (zones, subsequence(vec![0, 1, 2], 2..=3), platform()).prop_map(
        |((one, two, three), there, platform)| {
            let all = [one, two, three];
            let mut documents: Vec<_> = there.into_iter().map(|index| all[index].clone()).collect();
            documents.push(platform);
            Stand::of(&documents.join("\n---\n"))
        },
    )
}

/// The same declarations in another order.
fn turned(stand: &Stand) -> Stand {
    let mut turned = stand.clone();
    turned.zones.reverse();
    for zone in &mut turned.zones {
        zone.namespaces.reverse();
        zone.network.crossings.reverse();
        for crossing in &mut zone.network.crossings {
            crossing.ports.reverse();
            if let Peer::Addresses { cidrs, except } = &mut crossing.peer {
                cidrs.reverse();
                except.reverse();
            }
        }
    }
    let platform = &mut turned.platform;
    platform.pod_cidrs.reverse();
    platform.node_cidrs.reverse();
    for destination in &mut platform.destinations {
        destination.cidrs.reverse();
    }
    for service in &mut platform.shared_services {
        service.peers.reverse();
        for peer in &mut service.peers {
            if let ServicePeer::Addresses(nets) = peer {
                nets.reverse();
            }
        }
    }
    turned
}

/// All pods of a set of declarations under all of its policies, as they are rendered.
fn world(stand: &Stand, flavour: Flavour) -> World {
    let estate = Estate::new(
        stand.declared(),
        flavour,
        "2026-05-01".parse().unwrap(),
        None,
    );
    let written = match flavour.api {
        PolicyApi::CalicoCrdV1 => Written::Storage,
        _ => Written::Api,
    };
    let mut policies = Vec::new();
    let mut namespaces: BTreeMap<String, LabelMap> = BTreeMap::new();
    for zone in &stand.zones {
        let openings = estate.resolved(zone).openings;
        let teams = TeamPolicies::default();
        let desired = build::landing_zone(zone, &[], &stand.platform, &openings, &teams, flavour);
        for policy in &desired.global_network_policies {
            policies.extend(Policy::of_global(policy, written).unwrap());
        }
        for policy in &desired.network_policies {
            policies.push(Policy::of_kubernetes(policy).unwrap());
        }
        for namespace in desired.namespaces {
            namespaces.insert(
                namespace.metadata.name.unwrap(),
                namespace.metadata.labels.unwrap(),
            );
        }
    }
    let foreign = [("tier".to_owned(), "monitoring".to_owned())];
    namespaces.insert("monitoring".to_owned(), foreign.into());
    namespaces.insert("stranger".to_owned(), LabelMap::new());
    let mut world = World::new(&build::tiers(flavour), policies);
    let apps: [LabelMap; 2] = [LabelMap::new(), [("app".to_owned(), "a".to_owned())].into()];
    let pods = namespaces
        .iter()
        .flat_map(|it| apps.iter().map(move |own| (it, own)));
    world.endpoints = pods
        .enumerate()
        .map(|(number, ((namespace, of_namespace), own))| Endpoint {
            namespace: namespace.clone(),
            name: format!("{}", own.len()),
            labels: labels(own, (namespace, of_namespace), None),
            addresses: vec![format!("10.244.0.{}", number + 1).parse().unwrap()],
            ports: Vec::new(),
        })
        .collect();
    world
}

const ADDRESSES: [&str; 7] = [
    "198.51.100.1",
    "198.51.100.7",
    "198.51.100.200",
    "192.0.2.20",
    "10.240.0.9",
    "10.240.9.9",
    "8.8.4.4",
];

/// Who reaches whom across boundaries.
fn reached(stand: &Stand, flavour: Flavour) -> Vec<(String, String, u16)> {
    let world = world(stand, flavour);
    let owner = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    let pods = world.endpoints.iter().map(|pod| {
        (
            format!("{}/{}", pod.namespace, pod.name),
            owner(&pod.namespace),
            Place::Pod(pod),
        )
    });
    let addresses = ADDRESSES.iter().map(|text| {
        (
            (*text).to_owned(),
            (*text).to_owned(),
            Place::Address(text.parse().unwrap()),
        )
    });
    let all: Vec<_> = pods.chain(addresses).collect();
    let mut found = Vec::new();
    for (from, one, source) in &all {
        for (to, other, destination) in &all {
            let is_ours = |it: &String| NAMES.contains(&it.as_str());
            if one == other || !(is_ours(one) || is_ours(other)) {
                continue;
            }
            for port in [80, 443, 5432] {
                let packet = Packet {
                    protocol: TransportProtocol::TCP,
                    source_port: 40_000,
                    port,
                };
                let verdict = world.verdict(*source, *destination, packet);
                if verdict.is_some_and(|it| it.is_allowed()) {
                    found.push((from.clone(), to.clone(), port));
                }
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_changes_nothing(stand in stand(), flavour in select(FLAVOURS.to_vec())) {
        prop_assert_eq!(stand.changes(&stand, flavour), []);
        let found = stand.changes(&turned(&stand), flavour);
        prop_assert!(found.is_empty(), "{:#?}", told(&found));
    }

    #[test]
    fn nothing_opens_without_approval(
        before in stand(),
        after in stand(),
        flavour in select(FLAVOURS.to_vec()),
    ) {
        // A landing zone that is new is open to nobody before, whatever stood there.
        let mut after = after;
        let there: Vec<_> = before.zones.iter().map(|zone| zone.name.clone()).collect();
        after.zones.retain(|zone| there.contains(&zone.name));
        let found = before.changes(&after, flavour);
        let had = reached(&before, flavour);
        let gone = |name: &str| !after.zones.iter().any(|zone| name.starts_with(zone.name.as_str()));
        let mut news = reached(&after, flavour).into_iter().filter(|it| !had.contains(it));
        // What the platform opens for all is approved for those that come later, too.
        let for_all = before.platform.shared_services.iter();
        let for_all = for_all.clone().any(|it| it.landing_zones == ServiceAudience::All);
        let is_new = |end: &String| {
            let mut names = before.zones.iter().flat_map(|zone| &zone.namespaces);
            let name = end.split('/').next().unwrap_or_default();
            !names.any(|it| it.name.as_str() == name)
        };
        let is_granted = |(from, to, _): &(String, String, u16)| {
            let of_service = |end: &String| end.starts_with("monitoring/");
            for_all && ((of_service(from) && is_new(to)) || (of_service(to) && is_new(from)))
        };
        // While a landing zone is observed, nothing is denied to anybody: a namespace that joins it is as open as the rest.
        let is_observed = |end: &String| {
            let mut zones = before.zones.iter().filter(|zone| zone.stage == Stage::Observe);
            is_new(end) && zones.any(|zone| end.starts_with(zone.name.as_str()))
        };
        let is_beside_observed = |(from, to, _): &(String, String, u16)| is_observed(from) || is_observed(to);
        let is_between_those_that_stay = |(from, to, _): &(String, String, u16)| {
            NAMES.iter().all(|name| !(gone(name) && (from.starts_with(name) || to.starts_with(name))))
        };
        let is_meant = |it: &(String, String, u16)| {
            is_between_those_that_stay(it) && !is_granted(it) && !is_beside_observed(it)
        };
        if let Some(line) = news.find(is_meant) {
            prop_assert!(approval_required(&found), "{line:?}: {:#?}", told(&found));
        }
        for change in &found {
            let opens = matches!(change.kind, ChangeKind::Narrowed | ChangeKind::Closed | ChangeKind::StillClosed);
            prop_assert!(!(opens && change.crosses_boundary), "{change}");
            let opens = matches!(change.kind, ChangeKind::Opened | ChangeKind::Widened | ChangeKind::Extended);
            prop_assert!(!opens || change.crosses_boundary, "{change}");
        }
    }
}
