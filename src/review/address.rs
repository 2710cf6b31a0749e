//! Ranges of addresses: what is left of them, and whose addresses they hold.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::domain::{Platform, metadata_addresses, overlap, reaches_most};

/// What is left of ranges without others.
pub(super) fn without(nets: &[IpNet], others: &[IpNet]) -> Vec<IpNet> {
    let mut left = nets.to_vec();
    for other in others {
        left = left.into_iter().flat_map(|net| rest(net, *other)).collect();
    }
    left
}

fn rest(net: IpNet, other: IpNet) -> Vec<IpNet> {
    if other.contains(&net) {
        return Vec::new();
    }
    if !net.contains(&other) {
        return vec![net];
    }
    // The half that does not hold it stays, and the other one is looked at again: at most 128 times.
    let halves: Vec<IpNet> = match net {
        IpNet::V4(net) => net
            .subnets(net.prefix_len() + 1)
            .map(v4)
            .unwrap_or_default(),
        IpNet::V6(net) => net
            .subnets(net.prefix_len() + 1)
            .map(v6)
            .unwrap_or_default(),
    };
    halves
        .into_iter()
        .flat_map(|half| rest(half, other))
        .collect()
}

fn v4(nets: impl Iterator<Item = Ipv4Net>) -> Vec<IpNet> {
    nets.map(IpNet::V4).collect()
}

fn v6(nets: impl Iterator<Item = Ipv6Net>) -> Vec<IpNet> {
    nets.map(IpNet::V6).collect()
}

/// What is in both.
pub(super) fn within(nets: &[IpNet], others: &[IpNet]) -> Vec<IpNet> {
    let pairs = nets
        .iter()
        .flat_map(|net| others.iter().map(move |other| (net, other)));
    let shared = pairs.filter_map(|(net, other)| {
        if net.contains(other) {
            Some(*other)
        } else {
            other.contains(net).then_some(*net)
        }
    });
    shared.collect()
}

/// Whose addresses ranges can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Holds {
    /// Most addresses there are.
    Everything,
    /// Azure's metadata service.
    Metadata,
    /// Nodes.
    Nodes,
    /// Pods.
    Pods,
    /// None of these.
    Outside,
}

/// Whose addresses ranges hold: all of them, but for what lies outside the cluster.
pub(super) fn kinds(nets: &[IpNet], platform: &Platform) -> BTreeSet<Holds> {
    let any = |others: &[IpNet]| {
        nets.iter()
            .any(|net| others.iter().any(|other| overlap(*net, *other)))
    };
    let mut held = BTreeSet::new();
    if any(&platform.pod_cidrs) {
        held.insert(Holds::Pods);
    }
    if any(&platform.node_cidrs) {
        held.insert(Holds::Nodes);
    }
    if any(&metadata_addresses()) {
        held.insert(Holds::Metadata);
    }
    if nets.iter().any(|net| reaches_most(*net)) {
        held.insert(Holds::Everything);
    }
    held
}

/// Whose addresses ranges hold: the worst of it, and all of it in words.
pub(super) fn holds(nets: &[IpNet], platform: &Platform) -> (Holds, String) {
    // In the order in which they are to be told.
    let held = kinds(nets, platform);
    let words: Vec<_> = held
        .iter()
        .map(|it| match it {
            Holds::Everything => "most of the internet",
            Holds::Metadata => "Azure's metadata service",
            Holds::Nodes => "nodes",
            Holds::Pods => "pods",
            Holds::Outside => "others",
        })
        .collect();
    let words = match words.as_slice() {
        [] => "addresses outside the cluster".to_owned(),
        [one] => format!("addresses of {one}"),
        [most @ .., last] => format!("addresses of {} and of {last}", most.join(", of ")),
    };
    (held.first().copied().unwrap_or(Holds::Outside), words)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|it| it.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_left_is_exact() {
        let left = without(&nets(&["10.0.0.0/30"]), &nets(&["10.0.0.1/32"]));
        assert_eq!(left, nets(&["10.0.0.0/32", "10.0.0.2/31"]));
        assert_eq!(without(&nets(&["10.0.0.0/30"]), &nets(&["0.0.0.0/0"])), []);
        let other = nets(&["fd00::/8"]);
        assert_eq!(without(&other, &nets(&["10.0.0.0/8"])), other);
        assert_eq!(
            without(&nets(&["::/0"]), &nets(&["fd00::1/128"])).len(),
            128
        );
    }

    #[test]
    fn the_worst_of_what_ranges_hold_is_told_first() {
        let platform = Platform {
            pod_cidrs: nets(&["10.244.0.0/16"]),
            node_cidrs: nets(&["10.1.0.0/24"]),
            ..Platform::default()
        };
        let told = |texts: &[&str]| holds(&nets(texts), &platform);
        assert_eq!(
            told(&["10.0.0.0/8"]),
            (Holds::Nodes, "addresses of nodes and of pods".to_owned())
        );
        assert_eq!(
            told(&["169.254.169.254/32", "10.244.1.0/24"]).0,
            Holds::Metadata
        );
        assert_eq!(
            told(&["198.51.100.0/24"]),
            (Holds::Outside, "addresses outside the cluster".to_owned())
        );
        assert_eq!(told(&["0.0.0.0/1"]).0, Holds::Everything);
    }

    fn range() -> impl Strategy<Value = IpNet> {
        // Few addresses, so that ranges have to do with each other.
        (0..16_u8, 26..=32_u8).prop_map(|(last, length)| {
            let address = IpAddr::from([10, 0, 0, last * 16]);
            IpNet::new(address, length).unwrap().trunc()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_address_is_where_it_belongs(
            some in proptest::collection::vec(range(), 0..4),
            others in proptest::collection::vec(range(), 0..4),
        ) {
            let (left, shared) = (without(&some, &others), within(&some, &others));
            let is_in = |nets: &[IpNet], address: &IpAddr| nets.iter().any(|net| net.contains(address));
            for last in 0..=255_u8 {
                let address = IpAddr::from([10, 0, 0, last]);
                let (one, other) = (is_in(&some, &address), is_in(&others, &address));
                prop_assert_eq!(is_in(&left, &address), one && !other);
                prop_assert_eq!(is_in(&shared, &address), one && other);
            }
        }
    }
}
