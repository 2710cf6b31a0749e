//! What the cluster itself tells of its addresses, where nobody declares them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::Platform;
use crate::api::{NetworkPlugin, PlatformValues, PodCidrsSource};
use crate::domain::address::{at_most, widen};

/// Address of `NodeLocal` `DNSCache` on every node, by convention (Kubernetes documentation, "Using
/// `NodeLocal` `DNSCache` in Kubernetes Clusters").
pub(super) const NODE_LOCAL_DNS: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 20, 10));

/// Most ranges of one family that are kept apart.
const MOST: usize = 64;
/// Ranges of Nodes that differ in so many bits at most are taken as one.
const JOINED_BITS: u8 = 8;

/// Ranges of pods that the cluster told of.
///
/// A range that was told once stays until somebody declares the ranges. Pods keep their addresses while
/// their pool is disabled or deleted, and while a Node is replaced; a list may come back empty for a
/// moment. If a range went at once, pods with addresses in it would be outsiders to their own landing
/// zone, and a wide crossing would reach them, since it leaves out the ranges of pods. A range too many
/// costs less: an address in it may pass for a pod's, where a network set claims so that admission did
/// not refuse, and a crossing to it has to be acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundRanges {
    told: BTreeSet<IpNet>,
    from: Option<PodCidrsSource>,
    /// With this one in mind it was asked.
    plugin: Option<NetworkPlugin>,
}

/// Where the ranges of pods are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodRangeSources {
    /// In Calico's enabled pools.
    pub pools: bool,
    /// In what the Nodes' specs say.
    pub nodes: bool,
}

impl FoundRanges {
    /// What an earlier operator found, as a status told it: a restart forgets nothing.
    #[must_use]
    pub fn of_values(values: &PlatformValues) -> Self {
        let from = values.pod_cidrs_from.filter(|from| is_found(*from));
        let ranges = values.pod_cidrs.iter().filter(|_| from.is_some());
        Self {
            told: ranges.filter_map(|text| text.parse().ok()).collect(),
            from,
            plugin: values.plugin,
        }
    }

    /// Forgets what was told once somebody declares the ranges, or who gives them out: they know better.
    pub fn keep_for(&mut self, platform: &Platform) {
        if !platform.pod_cidrs.is_empty() || self.plugin != platform.plugin {
            *self = Self {
                plugin: platform.plugin,
                ..Self::default()
            };
        }
    }

    /// Adds the ranges of Calico's pools. They are what Calico gives out, so Nodes need not be asked.
    pub fn add_pools(&mut self, ranges: &[IpNet]) {
        if !ranges.is_empty() {
            self.told.extend(ranges.iter().map(IpNet::trunc));
            self.from = Some(PodCidrsSource::IPPools);
        }
    }

    /// Adds the ranges of Nodes.
    ///
    /// They come out of one range of the cluster, which no API tells. The smallest range around those
    /// that lie close together is within it, and a new Node seldom changes that one. Otherwise each
    /// would mean a write for every landing zone, and until then its pods would be outsiders.
    pub fn add_nodes(&mut self, ranges: &[IpNet]) {
        if !ranges.is_empty() {
            self.told.extend(joined(ranges));
            self.from = self.from.or(Some(PodCidrsSource::Nodes));
        }
    }

    /// Who told; None: nobody.
    #[must_use]
    pub fn source(&self) -> Option<PodCidrsSource> {
        self.from
    }

    /// The ranges, without overlaps.
    #[must_use]
    pub fn ranges(&self) -> Vec<IpNet> {
        let (v4, v6): (Vec<IpNet>, Vec<IpNet>) = self
            .told
            .iter()
            .partition(|range| matches!(range, IpNet::V4(_)));
        let families = [v4, v6].map(|family| at_most(&IpNet::aggregate(&family), MOST));
        families.concat()
    }

    /// The ranges that lie in none of these pools.
    #[must_use]
    pub fn not_in(&self, pools: &[IpNet]) -> Vec<IpNet> {
        let lies_in = |range: &&IpNet| pools.iter().any(|pool| pool.contains(*range));
        let others = self.told.iter().filter(|range| !lies_in(range));
        others.copied().collect()
    }
}

fn is_found(from: PodCidrsSource) -> bool {
    match from {
        PodCidrsSource::Platform | PodCidrsSource::Operator => false,
        PodCidrsSource::IPPools | PodCidrsSource::Nodes => true,
    }
}

/// The smallest range around all those that lie in the same block.
fn joined(ranges: &[IpNet]) -> Vec<IpNet> {
    let mut blocks: BTreeMap<IpNet, IpNet> = BTreeMap::new();
    for range in ranges {
        let range = range.trunc();
        let block = widen(&range, range.prefix_len().saturating_sub(JOINED_BITS));
        let around = blocks.entry(block).or_insert(range);
        *around = enclosing(*around, range);
    }
    blocks.into_values().collect()
}

fn enclosing(one: IpNet, other: IpNet) -> IpNet {
    let mut around = one;
    while !around.contains(&other) {
        match around.supernet() {
            Some(wider) => around = wider,
            None => return around,
        }
    }
    around
}

impl Platform {
    /// Where the ranges of pods are to be looked for, `pools` being what those tell, once they do. Nodes
    /// count only without pools, since Calico gives pods addresses outside of the Nodes' ranges.
    #[must_use]
    pub fn sources_of_pod_ranges(
        &self,
        found: &FoundRanges,
        pools: Option<&[IpNet]>,
    ) -> PodRangeSources {
        let (pools, nodes) = match self.plugin {
            _ if !self.pod_cidrs.is_empty() => (false, false),
            Some(NetworkPlugin::AzureCNI) => (false, false),
            Some(NetworkPlugin::Kubenet | NetworkPlugin::AzureCNIOverlay) => (false, true),
            Some(NetworkPlugin::Calico) => (true, false),
            None => {
                let without_pools = pools.is_some_and(<[IpNet]>::is_empty);
                let nodes = without_pools && found.source() != Some(PodCidrsSource::IPPools);
                (true, nodes)
            }
        };
        PodRangeSources { pools, nodes }
    }

    /// These values with what the cluster tells where nobody says so: the ranges of pods, and with
    /// `NodeLocal` `DNSCache` the addresses of the Service of DNS, on which it answers as well.
    #[must_use]
    pub fn completed(mut self, found: &FoundRanges, dns_service: &[IpAddr]) -> Self {
        if let Some(from) = found.source().filter(|_| self.pod_cidrs.is_empty()) {
            self.pod_cidrs = found.ranges();
            self.pod_cidrs_from = from;
        }
        if self.node_local_dns {
            for address in dns_service.iter().copied().map(IpNet::from) {
                if !self.dns_addresses.contains(&address) {
                    self.dns_addresses.push(address);
                }
            }
        }
        self
    }

    /// The values that a status told, and what of them was found in the cluster: that goes on being
    /// followed.
    #[must_use]
    pub fn of_status(values: &PlatformValues) -> (Self, FoundRanges) {
        let mut platform = Self::of_values(values);
        if is_found(platform.pod_cidrs_from) {
            platform.pod_cidrs.clear();
            platform.pod_cidrs_from = PodCidrsSource::default();
        }
        (platform, FoundRanges::of_values(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn of_nodes(texts: &[&str]) -> Vec<IpNet> {
        let mut found = FoundRanges::default();
        found.add_nodes(&nets(texts));
        found.ranges()
    }

    #[test]
    fn what_was_told_once_stays() {
        let mut found = FoundRanges::default();
        found.add_pools(&nets(&["10.244.0.0/16", "fd00::/48"]));
        found.add_pools(&[]);
        found.add_pools(&nets(&["10.245.0.0/16"]));
        assert_eq!(found.ranges(), nets(&["10.244.0.0/15", "fd00::/48"]));
        let gone = found.not_in(&nets(&["10.245.0.0/16"]));
        assert_eq!(gone, nets(&["10.244.0.0/16", "fd00::/48"]));
    }

    #[test]
    fn a_new_node_seldom_changes_anything() {
        let mut found = FoundRanges::default();
        let node = |number: usize| nets(&[&format!("10.244.{number}.0/24")]);
        let mut changes = 0;
        let mut all = Vec::new();
        for number in 0..256 {
            let before = found.ranges();
            all.extend(node(number));
            found.add_nodes(&all);
            changes += usize::from(found.ranges() != before);
        }
        assert_eq!(found.ranges(), nets(&["10.244.0.0/16"]));
        assert_eq!(changes, 9);
    }

    #[test]
    fn ranges_of_nodes_that_are_far_apart_say_nothing_of_what_lies_between() {
        assert_eq!(
            of_nodes(&[
                "10.0.0.0/24",
                "10.244.3.0/24",
                "10.244.1.0/24",
                "fd00:0:0:1::/64"
            ]),
            nets(&["10.0.0.0/24", "10.244.0.0/22", "fd00:0:0:1::/64"])
        );
        assert_eq!(
            of_nodes(&["0.0.0.0/4", "240.0.0.0/4"]),
            nets(&["0.0.0.0/0"])
        );
    }

    #[test]
    fn ranges_are_few_whatever_the_cluster_tells() {
        let many: Vec<_> = (0..200).map(|it| format!("10.{it}.1.0/24")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let ranges = of_nodes(&many);
        assert!(ranges.len() <= MOST, "{}", ranges.len());
        let all = nets(&many);
        assert!(
            all.iter()
                .all(|it| ranges.iter().any(|range| range.contains(it)))
        );
    }

    #[test]
    fn pools_are_believed_before_nodes() {
        let mut found = FoundRanges::default();
        found.add_nodes(&nets(&["10.1.0.0/24"]));
        assert_eq!(found.source(), Some(PodCidrsSource::Nodes));
        found.add_pools(&nets(&["10.244.0.0/16"]));
        assert_eq!(found.source(), Some(PodCidrsSource::IPPools));
        found.add_nodes(&nets(&["10.1.1.0/24"]));
        assert_eq!(found.source(), Some(PodCidrsSource::IPPools));
    }

    #[test]
    fn the_plugin_says_where_to_look() {
        let asked = |plugin, pools: Option<&[IpNet]>| {
            let platform = Platform {
                plugin,
                ..Platform::default()
            };
            let PodRangeSources { pools, nodes } =
                platform.sources_of_pod_ranges(&FoundRanges::default(), pools);
            (pools, nodes)
        };
        assert_eq!(asked(None, None), (true, false));
        assert_eq!(asked(None, Some(&[])), (true, true));
        assert_eq!(asked(None, Some(&nets(&["10.244.0.0/16"]))), (true, false));
        assert_eq!(
            asked(Some(NetworkPlugin::AzureCNI), Some(&[])),
            (false, false)
        );
        assert_eq!(asked(Some(NetworkPlugin::Calico), Some(&[])), (true, false));
        for of_nodes in [NetworkPlugin::Kubenet, NetworkPlugin::AzureCNIOverlay] {
            assert_eq!(asked(Some(of_nodes), None), (false, true));
        }
        let declared = Platform {
            pod_cidrs: nets(&["10.1.0.0/16"]),
            plugin: Some(NetworkPlugin::Kubenet),
            ..Platform::default()
        };
        let PodRangeSources { pools, nodes } =
            declared.sources_of_pod_ranges(&FoundRanges::default(), None);
        assert_eq!((pools, nodes), (false, false));
    }

    #[test]
    fn what_was_told_is_forgotten_when_somebody_says_who_knows() {
        let mut found = FoundRanges::default();
        found.add_pools(&nets(&["10.244.0.0/16"]));
        found.keep_for(&Platform::default());
        assert_eq!(found.ranges(), nets(&["10.244.0.0/16"]));
        let kubenet = Platform {
            plugin: Some(NetworkPlugin::Kubenet),
            ..Platform::default()
        };
        found.keep_for(&kubenet);
        assert_eq!(found.ranges(), []);
        found.add_nodes(&nets(&["10.1.0.0/24"]));
        let values = kubenet.clone().completed(&found, &[]).values();
        // Across a restart, too.
        let (before, mut found) = Platform::of_status(&values);
        assert_eq!(before, kubenet);
        found.keep_for(&kubenet);
        assert_eq!(found.ranges(), nets(&["10.1.0.0/24"]));
        found.keep_for(&Platform {
            pod_cidrs: nets(&["10.2.0.0/16"]),
            ..kubenet
        });
        assert_eq!(found.ranges(), []);
    }

    #[test]
    fn what_somebody_says_comes_first() {
        let mut found = FoundRanges::default();
        found.add_pools(&nets(&["10.244.0.0/16"]));
        let declared = Platform {
            pod_cidrs: nets(&["10.1.0.0/16"]),
            pod_cidrs_from: PodCidrsSource::Platform,
            ..Platform::default()
        };
        assert_eq!(declared.clone().completed(&found, &[]), declared);
        let completed = Platform::default().completed(&found, &[]);
        assert_eq!(completed.pod_cidrs, nets(&["10.244.0.0/16"]));
        assert_eq!(completed.pod_cidrs_from, PodCidrsSource::IPPools);
        let unknown = Platform::default().completed(&FoundRanges::default(), &[]);
        assert_eq!(unknown, Platform::default());
    }

    #[test]
    fn what_was_found_is_read_back_and_what_was_said_is_not_taken_for_found() {
        let mut found = FoundRanges::default();
        found.add_pools(&nets(&["10.244.0.0/16"]));
        let values = Platform::default().completed(&found, &[]).values();
        assert_eq!(values.pod_cidrs_from, Some(PodCidrsSource::IPPools));
        assert_eq!(Platform::of_status(&values), (Platform::default(), found));
        let declared = Platform {
            pod_cidrs: nets(&["10.1.0.0/16"]),
            pod_cidrs_from: PodCidrsSource::Platform,
            ..Platform::default()
        };
        let (platform, found) = Platform::of_status(&declared.values());
        assert_eq!((platform, found), (declared, FoundRanges::default()));
    }

    #[test]
    fn the_address_of_dns_is_allowed_where_a_cache_answers_on_it() {
        let service: [IpAddr; 2] = ["10.0.0.10", "fd00::a"].map(|it| it.parse().unwrap());
        let found = FoundRanges::default();
        let without = Platform::default().completed(&found, &service);
        assert!(without.dns_addresses.is_empty());
        let node_local = Platform {
            node_local_dns: true,
            dns_addresses: nets(&["10.0.0.10/32"]),
            ..Platform::default()
        };
        let completed = node_local.completed(&found, &service);
        assert_eq!(
            completed.dns_addresses,
            nets(&["10.0.0.10/32", "fd00::a/128"])
        );
    }
}
