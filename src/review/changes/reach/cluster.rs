//! The pods that stand for all others, under the policies that are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Asked, Outsider, Pods};
use crate::api::names;
use crate::build;
use crate::domain::{LandingZone, Opening, Reach};
use crate::policy::{Endpoint, LabelMap, Policy, TransportProtocol, World, labels};
use crate::review::changes::{extent, spans};

/// The API server's address: one that nothing else has.
pub(super) const API_SERVER: [u8; 4] = [192, 0, 2, 1];

/// Ranges of pods where none are known.
const PODS: [&str; 2] = ["10.244.0.0/16", "fd00:10:244::/112"];

/// The pods that are asked about, under the policies of one or two landing zones.
pub(super) struct Cluster<'a> {
    side: &'a Asked<'a>,
    pub world: World,
    /// Pods of the landing zone in question.
    pub own: Vec<(Pods, usize)>,
    /// Pods of no landing zone.
    pub outsiders: Vec<(Outsider, usize)>,
}

impl<'a> Cluster<'a> {
    pub fn new(side: &'a Asked<'a>, policies: Vec<Policy>) -> Self {
        let tiers = build::tiers(side.estate.flavour);
        let mut world = World::new(&tiers, policies);
        world.services.insert(
            ("default".to_owned(), "kubernetes".to_owned()),
            vec![(
                API_SERVER.into(),
                TransportProtocol::TCP,
                names::API_SERVER_PORT,
            )],
        );
        Self {
            side,
            world,
            own: Vec::new(),
            outsiders: Vec::new(),
        }
    }

    /// Adds a pod for each zone and set of labels. The first landing zone is the one in question.
    pub fn add_zone(
        &mut self,
        zone: &LandingZone,
        namespaces: &BTreeMap<String, LabelMap>,
        sets: &BTreeSet<LabelMap>,
    ) -> Vec<(Pods, usize)> {
        let mut added = Vec::new();
        for layer in extent::layers(zone) {
            let mut of_layer = zone.namespaces.iter().filter(|it| it.zone == *layer);
            let Some(namespace) = of_layer.next() else {
                continue;
            };
            let name = namespace.name.as_str();
            let nothing = LabelMap::new();
            let of_namespace = namespaces.get(name).unwrap_or(&nothing);
            for set in sets {
                let index = self.add_pod(name, of_namespace, set);
                let pods = Pods {
                    layer: layer.clone(),
                    labels: set.clone(),
                };
                added.push((pods, index));
            }
        }
        if self.own.is_empty() {
            self.own.clone_from(&added);
        }
        added
    }

    pub fn add_outsiders(&mut self, openings: &[Opening]) {
        let any = self.add_pod("of-nobody", &LabelMap::new(), &LabelMap::new());
        self.outsiders.push((Outsider::AnyPods, any));
        let named: BTreeSet<(LabelMap, LabelMap)> = openings
            .iter()
            .filter_map(|it| match &it.reach {
                Reach::Namespaces {
                    namespace_labels,
                    pod_labels,
                } => Some((namespace_labels.clone(), pod_labels.clone())),
                _ => None,
            })
            .collect();
        for (number, (namespaces, pods)) in named.into_iter().enumerate() {
            let index = self.add_pod(&format!("of-nobody-{number}"), &namespaces, &pods);
            self.outsiders
                .push((Outsider::Foreign(namespaces, pods), index));
        }
    }

    fn add_pod(&mut self, namespace: &str, of_namespace: &LabelMap, own: &LabelMap) -> usize {
        let index = self.world.endpoints.len();
        self.world.endpoints.push(Endpoint {
            namespace: namespace.to_owned(),
            name: format!("pod-{index}"),
            labels: labels(own, (namespace, of_namespace), None),
            addresses: self.addresses(index),
            ports: Vec::new(),
        });
        index
    }

    /// An address of each family in which pods have some, counted from the end of their ranges: declared
    /// ranges rather begin there.
    fn addresses(&self, index: usize) -> Vec<IpAddr> {
        let known = &self.side.estate.platform.pod_cidrs;
        let assumed: Vec<IpNet> = PODS.iter().filter_map(|text| text.parse().ok()).collect();
        let ranges = if known.is_empty() { &assumed } else { known };
        let of_family = |is_v6| {
            let (first, last) = spans::addresses(ranges, is_v6).iter().last()?;
            let number = last.saturating_sub(2 + index as u128).max(first);
            address(number, is_v6)
        };
        [false, true].into_iter().filter_map(of_family).collect()
    }
}

/// The address of that number.
pub(super) fn address(number: u128, is_v6: bool) -> Option<IpAddr> {
    if is_v6 {
        Some(IpAddr::V6(number.into()))
    } else {
        Some(IpAddr::V4(u32::try_from(number).ok()?.into()))
    }
}
